"""SIGKILL at a random moment, again and again: what was answered with 201 is there, once, in one order, for everyone."""

import http.client
import json
import os
import random
import subprocess
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from conftest import SEED
from support import http as web
from support.feed import Feed
from support.restarts import Returning
from support.server import environment
from support.waiting import eventually

ROUNDS = int(os.environ.get("TIPWIRE_KILL_ROUNDS", "40"))


class Writer(threading.Thread):
    """Posts tips one after the other, and remembers what it was promised.

    A request without an answer may have been kept or not. One with an id is sent again, unchanged, until it is answered:
    it must never make a second tip.
    """

    def __init__(self, server, slug, name, kind):
        super().__init__(name=name, daemon=True)
        self.server, self.slug, self.kind = server, slug, kind
        self.choices = random.Random(f"{SEED} {name}")
        self.stop = threading.Event()
        self.promised = []  # (tip id, cursor) in the order of the answers.
        self.unanswered = []  # Messages of tips without any id, whose answer was lost.
        self.batches = []  # Ids of each batch, in order.
        self.retries = 0
        self.failure = None
        self.number = 0

    def run(self):
        connection = None
        request = None
        try:
            while not self.stop.is_set() or request:
                request = request or self.next_request()
                connection = connection or self.server.connection()
                try:
                    answer = self.server.post(*request[:2], headers=request[2], connection=connection)
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                    if self.kind == "anonymous":
                        self.unanswered.append(request[1]["message"])
                        request = None
                    else:
                        self.retries += 1
                    time.sleep(0.01)  # The server is down; not a wait for anything, only no busy loop.
                    continue
                assert answer.status in (200, 201, 503), answer
                if answer.status == 503:
                    continue
                results = answer.json["results"] if self.kind == "batch" else [answer.json]
                self.promised += [(result["tip"]["id"], result["cursor"]) for result in results]
                request = None
        except BaseException as error:
            self.failure = f"{self.name}: {error!r}"

    def next_request(self):
        """(path, body, headers)"""
        self.number += 1
        name = f"{self.name}-{self.number}"
        path = f"/api/v1/pages/{self.slug}/tips"
        tip = {"grossAmountInCents": self.choices.randrange(1, 10_000), "message": name}
        if self.kind == "id":
            return path, tip | {"id": name}, {}
        if self.kind == "key":
            return path, tip, {"Idempotency-Key": name}
        if self.kind == "anonymous":
            return path, tip, {}
        tips = [tip | {"id": f"{name}.{place}"} for place in range(self.choices.randrange(1, 40))]
        self.batches.append([tip["id"] for tip in tips])
        return path + ":batch", {"tips": tips}, {}


class Follower(Returning):
    """A client that resumes from its last cursor, and remembers each (cursor, tip id)."""

    downs = (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, EOFError)

    def __init__(self, server, parameters, start):
        super().__init__(server)
        self.parameters, self.cursor = parameters, start

    def visit(self):
        with Feed(self.server.port, f"{self.parameters}&since={self.cursor}", open_timeout=5) as feed:
            self.follow(feed)

    def follow(self, feed):
        resumed = json.loads(feed.socket.recv(timeout=10))
        self.connections += 1
        wanted = {"type": "feed.resumed", "payload": {"status": "resumed", "cursor": self.cursor}}
        assert resumed == wanted, (resumed, wanted)
        while not self.stop.is_set():
            try:
                event = json.loads(feed.socket.recv(timeout=0.2))
            except TimeoutError:
                continue
            self.seen.append((event["cursor"], event["payload"]["campaignTip"]["id"]))
            self.cursor = event["cursor"]


def test_no_acknowledged_tip_is_lost_or_doubled_by_forty_kills(make_server):
    print(f"TIPWIRE_SEED={SEED}")
    choices = random.Random(f"{SEED} kills")
    server = make_server(log_level="info")
    slug = server.page()
    start = server.head(slug)
    key = server.key()
    followers = [
        Follower(server, web.query(auth=key, channel="firehose"), start),
        Follower(server, web.query(auth=key, channel="activity-feed", room=slug), start)]
    kinds = ["id", "id", "key", "anonymous", "batch", "batch"]
    writers = [Writer(server, slug, f"w{number}-{kind}", kind) for number, kind in enumerate(kinds)]
    for thread in followers + writers:
        thread.start()
    visits = [0, 0]
    for _ in range(ROUNDS):
        # The moment is random on purpose; a promise and both followers a round, or the round would prove nothing.
        progress = sum(len(writer.promised) for writer in writers)
        eventually(
            lambda: any(thread.failure for thread in followers + writers)
            or sum(len(writer.promised) for writer in writers) > progress
            and all(follower.connections > count for follower, count in zip(followers, visits)),
            "a promise in this round, and the followers", 20)
        time.sleep(choices.uniform(0.0, 0.6))
        visits = [follower.connections for follower in followers]
        server.kill()
        server.start()
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive(), f"{writer.name} never got its last answer"
    assert not [writer.failure for writer in writers if writer.failure]

    events = server.log(slug)
    log = [(event["cursor"], event["data"]["id"]) for event in events]
    messages = [event["data"]["message"] for event in events]
    for follower in followers:
        eventually(lambda: follower.failure or follower.cursor == log[-1][0], "the follower to reach the head", 30)
        follower.stop.set()
        follower.join(10)
        assert follower.failure is None, follower.failure

    # The log: each tip once; each promise kept, under the cursor that it was made with; in each writer's order.
    ids = [identifier for _, identifier in log]
    places = {entry: place for place, entry in enumerate(log)}
    assert len(set(ids)) == len(ids), "a tip is in the log twice"
    assert len({cursor for cursor, _ in log}) == len(log)
    for writer in writers:
        lost = [(identifier, cursor) for identifier, cursor in writer.promised if (cursor, identifier) not in places]
        assert not lost, f"{writer.name}: promised but not in the log: {lost[:5]}"
        order = [places[cursor, identifier] for identifier, cursor in writer.promised]
        assert order == sorted(order), f"{writer.name}: not in the order of its answers"
        for batch in writer.batches:
            first = ids.index(batch[0])
            assert ids[first:first + len(batch)] == batch, "a batch was torn"
    for writer in writers:
        for message in writer.unanswered:
            assert messages.count(message) <= 1
    known = {identifier for writer in writers for identifier, _ in writer.promised}
    unknown = [message for message, identifier in zip(messages, ids) if identifier not in known]
    lost_answers = {message for writer in writers for message in writer.unanswered}
    assert set(unknown) <= lost_answers, "the log has what nobody sent"

    # The tips, and the clients that resumed: the same, in the same order.
    tips, after = [], None
    while True:
        listed = server.get(f"/api/v1/pages/{slug}/tips?limit=1000" + (f"&after={after}" if after else "")).json
        tips += [tip["id"] for tip in listed["data"]]
        if (after := listed["next"]) is None:
            break
    assert tips[::-1] == ids
    for follower in followers:
        assert follower.seen == log, f"{len(follower.seen)} seen, {len(log)} in the log"
        assert follower.connections >= ROUNDS, "it hardly resumed at all"
    assert sum(writer.retries for writer in writers) >= ROUNDS, "hardly a request was cut off"
    assert len(log) > ROUNDS * 20, "hardly a tip"

    # And a retry now, long after, is still the same tip.
    writer = next(writer for writer in writers if writer.kind == "id" and writer.promised)
    identifier, cursor = writer.promised[0]
    stored = server.get(f"/api/v1/pages/{slug}/tips/{identifier}").json
    again = server.post(f"/api/v1/pages/{slug}/tips", {
        "id": identifier, "message": stored["message"], "grossAmountInCents": stored["grossAmountInCents"]})
    assert again.status == 200 and again.json["cursor"] == cursor, again
    server.close()


def test_a_first_start_that_was_killed_half_way_is_no_harm(make_server, tmp_path, rng):
    """SIGKILL while the server makes its data folder, at moments all over that time: the next start works."""
    print(f"TIPWIRE_SEED={SEED}")
    began = time.monotonic()
    make_server(data=tmp_path / "measured").kill()
    usual = time.monotonic() - began
    for number in range(16):
        server = make_server(data=tmp_path / str(number), start=False, log_level="info")
        process = subprocess.Popen(
            server.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment())
        time.sleep(usual * (number + rng.random()) / 16)
        process.kill()
        process.wait()
        server.start()
        slug = server.page()
        cursor = server.tip(slug)["cursor"]
        assert [account["name"] for account in server.get("/api/v1/accounts").json["data"]] == ["admin"]
        server.kill()
        server.start()
        assert server.log(slug)[-1]["cursor"] == cursor
        server.kill()
