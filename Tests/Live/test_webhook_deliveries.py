"""What webhooks send, how it is signed, and what is told of each delivery and done about it."""

import datetime
import json
import re
import socket
import sys
import time
import types
import urllib.request
from urllib.parse import quote

import pytest
import standardwebhooks

from support import http as web
from support.commandline import Lines
from support.eventsub import BASE, EventSubSocket, connection, create, data_of, subscribe
from support.http import problem
from support.proxies import free_port
from support.receiver import Held, answers
from support.server import ROOT, Server
from support.waiting import eventually
from support.webhooks import (
    ALLOWED, DELIVERY, PATH, SECRET, bad_request, deliveries, eventsub_webhook, make_page, moment, parameters, tips,
    webhook)

TYPES = ["alerts.notifications", "goals.progress", "goals.completed", "goals.chain", "goals.queue"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0", *ALLOWED).start()
    yield server
    server.close()


@pytest.fixture
def page(server):
    return make_page(server)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# What is sent


def test_a_message_is_the_sockets_message_but_for_its_subscription(server, page, receiver):
    endpoint = receiver.endpoint(path="/a/hook")
    endpoint.url += "?token=a%20b&x=1"
    hook = eventsub_webhook(server, endpoint, page.key)
    socket = subscribe(server, page.key)
    with EventSubSocket(server, socket) as feed:
        tip = server.tip(page.slug, displayName="Ada", message="\U0001f680 to\nthe \"moon\" / \\ \u2028")
        cursors = [tip["cursor"], server.replay(page.slug, tip["tip"]["id"])["cursor"], *tips(server, page, 1)]
        for cursor in cursors:
            text, request = feed.text(), endpoint.next()
            assert request.target == "/a/hook?token=a%20b&x=1", "path and query as they were given"
            assert compact(socket) in text and request.text == text.replace(compact(socket), compact(hook.public))
            assert request.id == request.json["id"] == cursor
            assert list(request.json) == ["type", "subscription", "data", "id"]
        feed.alive()
    assert hook.idle().states() == [(cursor, "delivered") for cursor in cursors]


def test_every_type_tells_the_same_as_its_socket(server, page, receiver):
    endpoints = {}
    for number, name in enumerate(TYPES):
        endpoints[name] = receiver.endpoint()
        if number % 2:
            eventsub_webhook(server, endpoints[name], page.key, type=name)
        else:
            webhook(server, page.slug, endpoints[name], page.manager, type=name)
    sockets = {name: EventSubSocket(server, subscribe(server, page.key, name)) for name in TYPES}
    goals = [server.goal(page.slug, amount) for amount in (300, 200, 1000)]
    tip = server.tip(page.slug, grossAmountInCents=700, displayName="Grace", isAnonymous=True)["tip"]
    server.replay(page.slug, tip["id"])
    server.tip(page.slug, grossAmountInCents=1)
    counts = {
        "alerts.notifications": 3, "goals.progress": 2, "goals.completed": 2, "goals.chain": 1,
        "goals.queue": len(goals) + 1}
    for name, feed in sockets.items():
        messages = [feed.message() for _ in range(counts[name])]
        feed.alive().close()
        requests = endpoints[name].take(counts[name])
        for message, request in zip(messages, requests):
            assert json.dumps(request.json["data"]) == json.dumps(message["data"]), name
            assert request.id == message["id"] and "Grace" not in request.text
    for endpoint in endpoints.values():
        assert not endpoint.unread()


def test_a_condition_leaves_out_smaller_tips_and_their_replays(server, page, receiver):
    endpoints = [receiver.endpoint(), receiver.endpoint()]
    hooks = [
        webhook(server, page.slug, endpoints[0], condition={"minimum_amount": "5"}),
        eventsub_webhook(server, endpoints[1], page.key, **{"condition[minimum_amount]": "5"})]
    small = server.tip(page.slug, grossAmountInCents=499)["tip"]["id"]
    server.replay(page.slug, small)
    enough = tips(server, page, 1, grossAmountInCents=500) + tips(server, page, 1, grossAmountInCents=501)
    for endpoint, hook in zip(endpoints, hooks):
        assert endpoint.ids(2) == enough
        assert hook.idle().states() == [(cursor, "delivered") for cursor in enough]


def test_first_attempts_are_made_one_at_a_time_and_in_order(server, page, receiver):
    held = Held()
    endpoint = receiver.endpoint(held, answers(500), answers(), answers(500), answers())
    hook = webhook(server, page.slug, endpoint)
    start = server.head(page.slug)
    tips(server, page, 3)
    server.batch(page.slug, [{"grossAmountInCents": 1}] * 60)
    first, = endpoint.requests(1)
    eventually(lambda: hook.shown()["pending"] == 63, "all of them to wait")
    assert len(endpoint.received) == 1, "the others wait for the first one's answer"
    held.let_go()
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    eventually(lambda: len(endpoint.order()) == 63, "all of them", 30)
    assert endpoint.order() == ids
    firsts = {}
    for request in endpoint.received:
        firsts.setdefault(request.id, request)
    firsts = list(firsts.values())
    for before, after in zip(firsts, firsts[1:]):
        assert before.ended <= after.began, (before, after)
    hook.attempted(ids[-1])
    hook.retry_all(status="500")  # They would come by themselves, but later.
    hook.idle()
    assert endpoint.delivered() == set(ids)


def test_subscriptions_get_each_event_once_and_with_the_same_id(server, page, receiver):
    endpoints = [receiver.endpoint() for _ in range(5)]
    hooks = [webhook(server, page.slug, endpoint) for endpoint in endpoints]
    start = server.head(page.slug)
    server.batch(page.slug, [{"grossAmountInCents": cents} for cents in range(1, 41)])
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    for endpoint, hook in zip(endpoints, hooks):
        assert endpoint.ids(40, 30) == ids
        hook.idle()
        assert not endpoint.unread()


def test_a_verifier_finds_what_was_changed_on_the_way(server, page, receiver):
    """The two libraries do refuse: without this all the other tests' signatures would prove nothing."""
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    tips(server, page, 1)
    request = endpoint.next()
    assert request.is_signed_with(hook.secret) and not request.is_signed_with(SECRET)
    kept = request.body, dict(request.headers)
    request.body = request.body.replace(b'"5.00"', b'"6.00"')
    assert request.body != kept[0] and not request.is_signed_with(hook.secret)
    request.body = kept[0]
    for header, value in (("webhook-id", "x" + request.id), ("webhook-timestamp", str(int(request.time) - 1000))):
        request.headers[header] = value
        assert not request.is_signed_with(hook.secret)
        request.headers.update(kept[1])


def test_the_documents_receiver_takes_each_tip_once(server, page, tmp_path):
    document = (ROOT / "docs/protocol/webhooks.md").read_text("utf-8")
    program, = re.findall(r"^```python\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    port, secret = free_port(), tmp_path / "hook.secret"
    for old, new in (('"hook.secret"', repr(str(secret))), ("8090", str(port))):
        assert old in program, f"the document no longer says {old}"
        program = program.replace(old, new)
    endpoint = types.SimpleNamespace(url=f"http://127.0.0.1:{port}/tips", trusts=secret.write_text)
    hook = webhook(server, page.slug, endpoint)
    with Lines([sys.executable, "-c", program]) as receiver:
        eventually(lambda: is_open(port), "the receiver to listen")
        cursor = server.tip(page.slug, displayName="Ada", message="Hello")["cursor"]
        receiver.wait_for_text("tip Ada 5.00 USD Hello")
        hook.idle(cursor)
        hook.retry(cursor)
        assert hook.attempted(cursor, 2)["status"] == 204
        server.tip(page.slug)
        receiver.wait_for_text("tip Anonymous 5.00 USD")
        hook.test()
        receiver.wait_for_text("test ")
        assert len(receiver.lines) == 3 and not receiver.errors, (receiver.lines, receiver.errors)
        # A challenge is answered as the document has it, if it is signed with the secret that the receiver has.
        body = json.dumps({"type": "challenge", "challenge": "0f7b"})
        sent = datetime.datetime.now(datetime.timezone.utc)
        headers = {
            "webhook-id": "challenge-1", "webhook-timestamp": str(int(sent.timestamp())),
            "webhook-signature": standardwebhooks.Webhook(hook.secret).sign("challenge-1", sent, body)}
        request = urllib.request.Request(endpoint.url, body.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200 and answer.headers["content-type"] == "text/plain" and answer.read() == b"0f7b"
    hook.delete()


# Secrets


def test_while_a_secret_rotates_requests_are_signed_with_both(server, page, receiver):
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint, page.manager)
    secrets = [hook.secret]
    for own in (None, SECRET, None, None, None):
        before = time.time()
        data = hook.rotate(own)
        assert list(data) == ["connection_id", "secret", "previous_expires_at"] and data["connection_id"] == hook.id
        assert data["secret"] == own or not own and data["secret"] not in secrets
        assert before - 1 <= data["previous_expires_at"] - 86_400 <= time.time() + 1
        secrets.append(data["secret"])
        endpoint.trusts(data["secret"])
        tips(server, page, 1)
        request = endpoint.next()
        signatures = request.headers["webhook-signature"].split(" ")
        assert len(signatures) == len(set(signatures)) == min(len(secrets), 5), "each is good for its own day"
        assert [request.is_signed_with(secret) for secret in secrets[-5:]] == [True] * len(signatures)
        assert len(secrets) < 6 or not request.is_signed_with(secrets[0]), "at most five"
        assert "secret" not in hook.shown()["transport"]


def test_after_the_overlap_only_the_new_secret_signs(make_server, receiver):
    server = make_server("--webhooks-secret-overlap-seconds", "1", *ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    data = hook.rotate()
    endpoint.trusts(data["secret"])
    eventually(lambda: time.time() > data["previous_expires_at"] + 1, "the overlap to be over")
    tips(server, page, 1)
    request = endpoint.next()
    assert request.is_signed_with(data["secret"]) and not request.is_signed_with(hook.secret)
    assert " " not in request.headers["webhook-signature"]


def test_a_secret_is_shown_once_and_reaches_no_log_and_no_other_answer(make_server, receiver):
    server = make_server(*ALLOWED, log_level="trace")
    page = make_page(server)
    endpoint = receiver.endpoint(answers(500, b"whsec_ is what I was asked not to tell"), answers())
    endpoint.url += "?token=of-the-receiver"
    hook = webhook(server, page.slug, endpoint, secret=SECRET)
    by_query = eventsub_webhook(server, receiver.endpoint(), page.key, **{"transport[secret]": SECRET[:-4] + "AAA="})
    generated = eventsub_webhook(server, receiver.endpoint(), page.key)
    form = parameters(receiver.endpoint().trusts(SECRET), **{"transport[secret]": SECRET}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert create(server, "", page.key, method="POST", body=form, headers=headers).status == 200
    rotated = generated.rotate()["secret"]
    generated_endpoint = receiver.endpoints[generated.data["transport"]["callback"].removeprefix(receiver.url)]
    generated_endpoint.trusts(rotated)
    bad = "whsec_" + "B" * 200
    bad_request(create(server, parameters(receiver.endpoint(), **{"transport[secret]": bad}), page.key), "secret")
    problem(server.post(PATH, {"page": page.slug, "callback": "x", "secret": bad, SECRET: 1}), 422)
    cursor, = tips(server, page, 1)
    hook.attempted(cursor)
    told = [
        server.get(path).text for path in (
            PATH, f"{PATH}?limit=1", hook.path, f"{hook.path}/deliveries", f"{hook.path}/deliveries/{cursor}",
            "/metrics")]
    for call in ("list", f"deliveries?{connection(hook.data)}"):
        told.append(server.get(f"{BASE}/{call}", key=page.key).text)
    told += [server.call("PATCH", hook.path, {"enabled": enabled}).text for enabled in (False, True)]
    told += [server.post(f"{hook.path}/{call}").text for call in ("test", "retry", f"deliveries/{cursor}/retry")]
    endpoint.requests(3)
    hook.idle()
    server.close()
    assert server.stderr.strip()
    secrets = {"own": SECRET, "in a query": by_query.secret, "generated": generated.secret, "new": rotated, "bad": bad}
    for name, secret in secrets.items():
        for text in [*told, server.stderr, *server.stdout]:
            for spelled in (secret[6:30], quote(secret, safe="")[8:36]):
                place = text.find(spelled)
                assert place < 0, f"the secret {name} after …{text[max(0, place - 200):place]}"
    assert "of-the-receiver" not in server.stderr, "what stands in a callback may be a secret too"


# Deliveries


def test_deliveries_tell_what_was_tried_in_both_apis(server, page, receiver):
    endpoint = receiver.endpoint(answers(200, b"thanks"), answers(500, b"\xff" + b"x" * 5000), answers(204))
    hook = webhook(server, page.slug, endpoint, page.manager)
    began = int(time.time())
    ids = tips(server, page, 3)
    requests = endpoint.take(3)
    hook.attempted(ids[2])
    delivered, failed, last = reversed(hook.deliveries())
    assert [delivered["id"], failed["id"], last["id"]] == ids, "newest first"
    for data in (delivered, failed, last):
        assert began <= data["created_at"] <= time.time() and data["type"] == "alerts.notifications"
        assert (data["attempts"], data["reason"], data["test"]) == (1, None, False)
        answer = hook.delivery(data["id"])
        assert {name: answer[name] for name in DELIVERY} == data
    wanted = {"state": "delivered", "status": 200, "next_attempt_at": None, "outcome": "answered 200"}
    assert {name: delivered[name] for name in wanted} == wanted
    assert (last["status"], last["outcome"]) == (204, "answered 204")
    wanted = {"state": "pending", "status": 500, "outcome": "answered 500"}
    assert {name: failed[name] for name in wanted} == wanted
    assert began + 5 <= failed["next_attempt_at"] <= time.time() + 7
    for identifier, request, status, told in (
            (ids[0], requests[0], 200, "thanks"), (ids[1], requests[1], 500, "\ufffd" + "x" * 2045)):
        answer = hook.delivery(identifier)
        assert answer["request"] == {"body": request.text}
        attempt, = answer["log"]
        assert began <= attempt["began_at"] <= time.time() and 0 <= attempt["duration_ms"] < 5000
        assert (attempt["status"], attempt["outcome"]) == (status, f"answered {status}")
        # What isn't UTF-8 is replaced, whether before or after the cut at 2 KiB.
        assert attempt["answer"].startswith(told) and len(attempt["answer"]) <= 2048
    for state, wanted in (("delivered", [ids[2], ids[0]]), ("pending", [ids[1]]), ("dead", [])):
        assert [data["id"] for data in hook.deliveries(state=state)] == wanted
    part = hook.call("GET", "/deliveries?limit=2")
    assert [data["id"] for data in part["data"]] == [ids[2], ids[1]] and part["next"]
    part = hook.call("GET", "/deliveries?limit=2&" + web.query(after=part["next"]))
    assert [data["id"] for data in part["data"]] == [ids[0]] and part["next"] is None
    brief = deliveries(server, hook.data, page.key)
    names = ["id", "type", "created_at", "attempts", "state", "status", "next_attempt_at"]
    assert json.dumps(brief) == json.dumps([{name: data[name] for name in names} for data in (last, failed, delivered)])
    assert deliveries(server, hook.data, page.key, limit=1) == brief[:1]
    shown = hook.shown()
    assert (shown["pending"], shown["next_attempt_at"]) == (1, failed["next_attempt_at"])
    problem(server.get(f"{hook.path}/deliveries/nope"), 404)


def test_what_waits_for_its_first_attempt_is_due_since_it_was_made(server, page, receiver):
    held = Held()
    endpoint = receiver.endpoint(held, answers())
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 2)
    endpoint.next()
    waiting = eventually(lambda: len(found := hook.deliveries(state="pending")) == 2 and found, "both")
    assert [data["id"] for data in waiting] == ids[::-1]
    for data in waiting:
        assert (data["attempts"], data["status"], data["outcome"]) == (0, None, None)
        assert data["next_attempt_at"] == data["created_at"]
    assert hook.shown()["failing_since"] is None
    held.let_go()
    hook.idle()


def test_one_delivery_is_sent_again_on_request(server, page, receiver):
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 2)
    first, _ = endpoint.take(2)
    hook.idle()
    data = hook.retry(ids[0])
    assert list(data) == DELIVERY and (data["id"], data["state"], data["attempts"]) == (ids[0], "pending", 1)
    again = endpoint.next()
    assert (again.id, again.body) == (first.id, first.body), "the same message with the same id"
    hook.idle()
    answer = hook.delivery(ids[0])
    assert (answer["state"], answer["attempts"], len(answer["log"])) == ("delivered", 2, 2)
    problem(server.post(f"{hook.path}/deliveries/nope/retry"), 404)
    assert not endpoint.unread()


def test_a_waiting_retry_can_be_brought_forward(server, page, receiver):
    endpoint = receiver.endpoint(answers(500), answers())
    hook = webhook(server, page.slug, endpoint)
    cursor, = tips(server, page, 1)
    hook.attempted(cursor)
    failing = hook.shown()
    assert failing["failing_since"] and failing["pending"] == 1
    began = time.monotonic()
    hook.retry(cursor)
    assert endpoint.ids(2) == [cursor] * 2 and time.monotonic() - began < 4, "not before its time"
    hook.idle()
    shown = hook.shown()
    assert (shown["failing_since"], shown["next_attempt_at"]) == (None, None)


def test_what_is_asked_of_a_disabled_webhook_waits_until_it_is_enabled(server, page, receiver):
    endpoint, witness = receiver.endpoint(), receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 2)
    assert endpoint.ids(2) == ids
    hook.idle()
    hook.disable()
    assert hook.retry(ids[0])["state"] == "pending" and hook.retry_all(status="delivered") == 1
    problem(server.post(f"{hook.path}/test"), 409)
    webhook(server, page.slug, witness)
    tips(server, page, 3)
    assert witness.take(3) and not endpoint.unread() and hook.shown()["pending"] == 2
    hook.enable()
    endpoint.requests(7)
    hook.idle()
    assert sorted(endpoint.ids(2 + 3)) == sorted(ids + witness.order()) and not endpoint.unread()


def test_a_retry_that_is_asked_for_amid_the_attempt_does_no_harm(server, page, receiver):
    held = Held()
    endpoint = receiver.endpoint(held, answers())
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 1)
    endpoint.requests(1)
    hook.retry(ids[0])
    hook.retry_all(status="all")
    ids += tips(server, page, 2)
    held.let_go()
    hook.idle(*ids)
    assert endpoint.order() == ids and hook.states() == [(cursor, "delivered") for cursor in ids]


def test_a_range_is_sent_again(server, page, receiver):
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    early = tips(server, page, 2)
    hook.idle(*early)
    # Times of deliveries have whole seconds, so the two lots have to be seconds apart.
    border = time.time() + 1
    eventually(lambda: time.time() > border + 1, "the next seconds")
    late = tips(server, page, 3)
    assert endpoint.ids(5) == early + late
    hook.idle()
    hour = 3600
    for query, again in (
        ({"from": moment(border), "status": "delivered"}, late), ({"to": moment(border), "status": "delivered"}, early),
        ({"from": moment(border - hour), "to": moment(border + hour), "status": "all"}, early + late),
        ({"status": "200"}, early + late), ({"status": "500"}, []), ({"from": moment(border + hour)}, []),
        ({"to": moment(border - hour), "status": "all"}, []), ({}, []), ({"status": "failed"}, []),
        ({"status": "pending"}, []), ({"from": moment(border - hour), "to": moment(border + hour)}, []),
    ):
        assert hook.retry_all(**query) == len(again), query
        assert sorted(endpoint.ids(len(again))) == sorted(again), query
        hook.idle()
    assert not endpoint.unread()


def test_what_was_refused_for_good_is_sent_when_the_settings_allow_it_and_somebody_asks(make_server, receiver):
    server = make_server(*ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    dead = []
    for options, words in (
        (["--webhooks-allow-http", "true"], ["127.0.0.1", "'loopback'", "webhooks.allowedNetworks"]),
        (["--webhooks-allowed-networks", "127.0.0.0/8"], ["webhooks.allowHTTP"]),
    ):
        server.options = options
        server.restart()
        cursor, = tips(server, page, 1)
        data = hook.attempted(cursor)
        dead.append(cursor)
        assert (data["state"], data["reason"], data["status"]) == ("dead", "refused", None)
        assert all(word in data["outcome"] for word in words), data
        assert data["next_attempt_at"] is None and hook.shown()["pending"] == 0
    assert not endpoint.received
    assert sorted(data["id"] for data in hook.deliveries(state="dead")) == sorted(dead)
    server.options = ALLOWED
    server.restart()
    assert hook.retry_all(status="failed") == 2
    assert sorted(endpoint.ids(2)) == sorted(dead)
    hook.idle()
    assert {state for _, state in hook.states()} == {"delivered"} and hook.retry_all() == 0


def test_a_test_delivery_shows_that_it_is_one(server, page, receiver):
    catalogue = {one["type"]: one for one in data_of(server.get(f"{BASE}/getEventsubs", key=None))}
    witness = receiver.endpoint()
    webhook(server, page.slug, witness)
    for name in TYPES:
        endpoint = receiver.endpoint()
        more = {"condition": {"minimum_amount": "99999"}} if name == "alerts.notifications" else {}
        hook = webhook(server, page.slug, endpoint, page.manager, type=name, **more)
        made = hook.test()
        assert list(made) == DELIVERY and (made["test"], made["type"]) == (True, name)
        request = endpoint.next()
        assert re.fullmatch(r"test-[0-9a-f]+", request.id) and request.id == made["id"] == request.json["id"]
        assert list(request.json) == ["type", "subscription", "data", "id", "test"]
        assert request.json["type"] == "message" and request.json["test"] is True
        assert request.json["subscription"] == hook.public
        assert list(request.json["data"]) == list(catalogue[name]["body"])
        data = hook.attempted(made["id"])
        assert (data["state"], data["test"], data["request"]) == ("delivered", True, {"body": request.text})
    assert not witness.received and server.log(page.slug) == [], "it is no event"


def test_beyond_the_limit_of_what_may_wait_the_oldest_is_given_up(make_server, receiver):
    server = make_server("--webhooks-max-pending", "2", *ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint(answers(500))
    hook = webhook(server, page.slug, endpoint)
    ids = []
    for number in range(4):
        ids += tips(server, page, 1)
        hook.attempted(ids[-1])
    assert hook.states() == list(zip(ids, ("dead", "dead", "pending", "pending")))
    assert [data["reason"] for data in reversed(hook.deliveries())] == ["too many pending"] * 2 + [None] * 2
    samples = server.samples()
    assert samples['tipwire_webhook_dead_letters_total{reason="too_many_pending"}'] == 2
    assert samples['tipwire_webhook_deliveries_total{result="dead"}'] == 2
    assert samples["tipwire_webhook_pending_deliveries"] == 2
    endpoint.take(4)
    endpoint.does(answers())
    assert hook.retry_all() == 2, "the dead ones alone"
    eventually(lambda: {ids[0], ids[1]} <= endpoint.delivered(), "both", 20)
