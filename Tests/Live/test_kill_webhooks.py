"""SIGKILL while webhooks are busy: each subscription gets every tip, first in order, whatever was under way."""

import json
import os
import random
import threading
import time

from conftest import SEED
from support.receiver import Held, answers, closes
from support.waiting import eventually
from support.webhooks import ALLOWED, PATH, eventsub_webhook, listed, make_page, tips, webhook
from test_kill import Writer

ROUNDS = int(os.environ.get("TIPWIRE_KILL_ROUNDS", "8"))
# Tips that no endpoint has yet; more would only make the end longer.
BACKLOG = 60


class PacedWriter(Writer):
    """One that waits for the slowest endpoint."""

    def __init__(self, *arguments, endpoints):
        super().__init__(*arguments)
        self.endpoints = endpoints

    def next_request(self):
        while not self.stop.is_set() and self.is_ahead():
            time.sleep(0.01)  # Not a wait for a time, only no busy loop.
        return super().next_request()

    def is_ahead(self):
        return len(self.promised) - min(len(endpoint.received) for endpoint in self.endpoints) > BACKLOG


class Unreliable:
    """Fails the first time for one event in ten, each time in another way; never twice for the same event."""

    def __init__(self, choices):
        self.choices = choices
        self.failed = set()
        self._lock = threading.Lock()

    def __call__(self, request, out):
        with self._lock:
            fails = request.id not in self.failed and self.choices.random() < 0.1
            if fails:
                self.failed.add(request.id)
            behaviour = self.choices.choice([answers(500), answers(503), closes]) if fails else answers()
        return behaviour(request, out)


def slowly(request, out):
    """Takes its time, so that a kill is likely to come amid an attempt."""
    out.receiver.closed.wait(0.01)
    return answers(204)(request, out)


def test_after_kills_each_webhook_was_told_everything_and_first_in_order(make_server, receiver):
    print(f"TIPWIRE_SEED={SEED}")
    choices = random.Random(f"{SEED} webhook kills")
    server = make_server(*ALLOWED, log_level="info")
    page = make_page(server)
    start = server.head(page.slug)
    unreliable = Unreliable(random.Random(f"{SEED} unreliable"))
    endpoints = [receiver.endpoint(*behaviour) for behaviour in ((), (slowly,), (unreliable,))]
    hooks = [
        webhook(server, page.slug, endpoints[0]), eventsub_webhook(server, endpoints[1], page.key),
        webhook(server, page.slug, endpoints[2], page.manager)]
    writers = [
        PacedWriter(server, page.slug, f"h{number}-{kind}", kind, endpoints=endpoints)
        for number, kind in enumerate(["id", "batch"])]
    for writer in writers:
        writer.start()
    for number in range(ROUNDS):
        # The moment is random on purpose; each endpoint must have got something, or the round would prove nothing.
        counts = [len(endpoint.received) for endpoint in endpoints]
        eventually(
            lambda: all(len(endpoint.received) > count for endpoint, count in zip(endpoints, counts)),
            f"something for each endpoint in round {number + 1}", 30)
        time.sleep(choices.uniform(0.0, 0.8))
        server.kill()
        server.start()
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive() and not writer.failure, writer.failure
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    assert len(ids) > ROUNDS * 5, "hardly a tip"
    for endpoint, hook in zip(endpoints, hooks):
        eventually(lambda: len(endpoint.order()) >= len(ids), f"all {len(ids)} at {endpoint.path}", 60)
        hook.idle(seconds=30)
        missing = set(ids) - endpoint.delivered()
        assert not missing, f"{endpoint.path}: {len(missing)} of {len(ids)} never came: {sorted(missing)[:5]}"
        assert endpoint.order() == ids
        bodies = {}
        for request in endpoint.received:
            request.check()
            assert bodies.setdefault(request.id, request.body) == request.body, "the same id, another message"
        assert hook.states() == [(cursor, "delivered") for cursor in ids], "each delivery is there once"
        # Only what was under way at a kill may come again, beside what failed: attempts of one webhook are limited.
        repeats = len(endpoint.received) - len(ids) - (len(unreliable.failed) if hook is hooks[2] else 0)
        assert repeats <= ROUNDS * 8, f"{endpoint.path}: {repeats} repeats"
    assert unreliable.failed, "nothing failed"
    server.close()


def test_an_attempt_that_a_kill_cut_off_is_made_again_and_was_none(make_server, receiver):
    server = make_server(*ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint(Held())
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 3)
    for _ in range(3):
        request = endpoint.next()
        assert request.id == ids[0] and not endpoint.unread()
        server.kill()
        server.start()
    endpoint.next()
    endpoint.does(answers())
    # What the last server sent is still held: it gets no answer, and the next one makes it again.
    server.kill()
    server.start()
    assert endpoint.ids(3) == ids
    hook.idle()
    assert [(data["id"], data["attempts"]) for data in reversed(hook.deliveries())] == [(cursor, 1) for cursor in ids]
    assert len({request.body for request in endpoint.received if request.id == ids[0]}) == 1
    server.close()


def test_what_was_answered_about_webhooks_is_kept_over_a_kill(make_server, receiver):
    server = make_server(*ALLOWED)
    page = make_page(server)
    busy = answers(429, b"busy", retry_after="600")
    endpoints = [receiver.endpoint(busy, answers()) for _ in range(4)]
    made, deleted, disabled, rotated = (webhook(server, page.slug, endpoint, page.manager) for endpoint in endpoints)
    secret = None
    changes = [
        deleted.delete, disabled.disable, lambda: rotated.rotate()["secret"],
        lambda: eventsub_webhook(server, receiver.endpoint(), page.key, page.manager).id]
    cursor, = tips(server, page, 1)
    for hook in (made, deleted, disabled, rotated):
        hook.attempted(cursor)
    for change in changes:
        result = change()
        secret = result if change is changes[2] else secret
        before = told(server, page, made, disabled)
        server.kill()
        server.start()
        eventually(lambda: told(server, page, made, disabled) == before, "all to be as it was", 3)
    states = {one["connection_id"]: one["state"] for one in listed(server, page.key)}
    assert states == {made.id: "enabled", disabled.id: "disabled", rotated.id: "enabled", result: "enabled"}
    endpoints[3].trusts(secret)
    later, = tips(server, page, 1)
    # Each endpoint has had one request so far: the retry's time is ten minutes off, and no restart brings it forward.
    for place, ids in ((0, [cursor, later]), (1, [cursor]), (2, [cursor]), (3, [cursor, later])):
        assert endpoints[place].ids(len(ids)) == ids
    *_, request = endpoints[3].received
    assert request.is_signed_with(secret) and request.is_signed_with(rotated.secret)
    assert not any(endpoint.unread() for endpoint in endpoints)
    made.retry(cursor)
    server.kill()
    server.start()
    assert cursor in endpoints[0].ids(1)
    made.idle()
    server.close()


def told(server, page, *hooks):
    """All that is kept of webhooks. How the last attempt failed is told of attempts since the start alone."""
    subscriptions = [
        {name: value for name, value in data.items() if name != "last_failure"}
        for data in server.get(PATH, key=page.manager).json["data"]]
    one_by_one = [[hook.delivery(data["id"]) for data in hook.deliveries()] for hook in hooks]
    return json.dumps([subscriptions, one_by_one, listed(server, page.key)])
