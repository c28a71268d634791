"""EventSub by WebSocket: subscriptions, their sockets, every body, reconnects, ends; and what an attacker tries."""

import contextlib
import json
import pathlib
import re
import socket
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed

from support import http as web
from support.commandline import Lines
from support.eventsub import (
    BASE, NOT_FOUND, TOO_MANY, UNAUTHORIZED, AskingSocket, EventSubSocket, RawEventSubSocket, connection, create,
    data_of, listed, said_farewell, subscribe)
from support.rawsocket import TEXT, RawSocket, RawWebSocket, close_frame, frame
from support.server import fresh, wait_until_closed
from support.waiting import eventually

ID = re.compile(r"\d+-\d+-(\d+):\d+-[0-9a-f]{16}")
UNKNOWN = "this connection_id is unknown, or its time to connect is over; create a new subscription"


@pytest.fixture
def page(server):
    """A page, its owner's key for EventSub that sees this page alone, and its profile number."""
    return make_page(server)


def make_page(server, **more):
    made = server.page_object(**more)
    key = server.key_object("Funplace::eventsub", pages=[made["slug"]])
    return types.SimpleNamespace(slug=made["slug"], profile=made["profileId"], key=key["key"], key_id=key["id"])


def post(server, page, count, **more):
    return [server.tip(page.slug, **more)["tip"]["id"] for _ in range(count)]


# Subscriptions


def test_what_can_be_subscribed_to_is_what_is_sent(server, page):
    catalogue = {one["type"]: one for one in data_of(server.get(f"{BASE}/getEventsubs", key=None))}
    assert list(catalogue) == [
        "alerts.notifications", "goals.completed", "goals.chain", "goals.queue", "goals.progress"]
    sockets = {name: EventSubSocket(server, subscribe(server, page.key, name)) for name in catalogue}
    for amount in (300, 200):
        server.goal(page.slug, amount)
    server.tip(page.slug, grossAmountInCents=500)
    for name, feed in sockets.items():
        body = catalogue[name]["body"]
        assert list(feed.message()["data"]) == list(body), name
        assert all(isinstance(meaning, str) and meaning for meaning in body.values())
        feed.close()
    assert [list(one["condition"]) for one in catalogue.values()] == [["minimum_amount"], [], [], [], []]


@pytest.mark.parametrize("method, parameters, body, headers", [
    ("GET", "transport[method]=websocket&type=alerts.notifications&version=1&condition[minimum_amount]=5.00", None, {}),
    ("GET", "condition%5Bminimum_amount%5D=5.00&transport%5Bmethod%5D=websocket", None, {}),
    ("GET", "x=1&transport%5bmethod%5d=websocket&condition%5bminimum_amount%5d=5%2E00&x[y]=z&version=", None, {}),
    ("GET", "transport[method]=websocket&transport[method]=webhook&condition[minimum_amount]=5.00"
        "&condition[minimum_amount]=6", None, {}),
    ("POST", "transport[method]=websocket&condition[minimum_amount]=5.00", None, {}),
    ("POST", "", b"transport[method]=websocket&condition[minimum_amount]=5.00", {}),
    ("POST", "", b"condition%5Bminimum_amount%5D=5.00&transport%5Bmethod%5D=websocket", {}),
    ("POST", "transport[method]=websocket", b"condition[minimum_amount]=5.00", {}),
    ("POST", "transport[method]=websocket&condition[minimum_amount]=5.00", b"transport[method]=x", {}),
    ("GET", "transport[method]=websocket&condition[minimum_amount]=5.00", None, {"Content-Type": "application/json"}),
])
def test_every_spelling_makes_the_same_subscription(server, page, method, parameters, body, headers):
    if body is not None:
        headers = headers | {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    for profile in (page.profile, None):
        data = data_of(create(server, parameters, page.key, profile, method, body, headers=headers))
        made = ID.fullmatch(data["connection_id"])
        assert made and abs(int(made.group(1)) - time.time()) < 30
        assert json.dumps(data) == json.dumps({
            "connection_id": made.group(), "you_can_connect_within": 120, "transport": {"method": "websocket"},
            "condition": {"minimum_amount": "5.00"}, "type": "alerts.notifications", "version": "1",
            "created_at": int(made.group(1))})


def test_refusals_to_the_letter(server, page):
    ok = "transport[method]=websocket"
    other = make_page(server)
    creator = server.key("Funplace::eventsub::create", pages=[page.slug])
    reader = server.key("events:read", pages=[page.slug])
    both = server.key("Funplace::eventsub", pages=[page.slug, other.slug])
    refused = [
        (create(server, ok, key), 401, UNAUTHORIZED) for key in (None, "tw_" + "0" * 64, "", reader)] + [
        (create(server, ok, page.key, other.profile), 401, UNAUTHORIZED),
        (create(server, ok, page.key, 999_999_999), 401, UNAUTHORIZED),
        (server.get(f"{BASE}/list", key=creator), 401, UNAUTHORIZED),
        (server.get(f"{BASE}/delete?connection_id=1", key=creator), 401, UNAUTHORIZED),
        (server.get("/api/v1/user/profiles/get", key=None), 401, UNAUTHORIZED),
        (server.get(f"{BASE}/delete?connection_id=1", key=page.key), 404, NOT_FOUND)]
    for parameters, named in [
        (f"{ok}&type=nope", "invalid 'type' value"), (f"{ok}&type=Alerts.notifications", "invalid 'type' value"),
        (f"{ok}&version=2", "invalid 'version' value"),
    ]:
        body = json.dumps({"error": "bad request", "error_data": named}, separators=(",", ":")).encode()
        refused.append((create(server, parameters, page.key), 400, body))
    for answer, status, body in refused:
        assert (answer.status, answer.body) == (status, body), answer
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("application/json", "no-store")
    for answer, named in [(create(server, parameters, page.key), named) for parameters, named in [
        ("", "transport[method]"), ("transport[method]=smtp", "invalid 'transport[method]' value"),
        (f"{ok}&condition[x]=1", "condition[x]"),
        (f"{ok}&type=goals.queue&condition[minimum_amount]=1", "condition[minimum_amount]"),
        *((f"{ok}&condition[minimum_amount]={bad}", "condition[minimum_amount]")
            for bad in ("x", "1.234", "-1", "1e3", "5,00", "%2B5", "99999999999999999999", "NaN")),
    ]] + [(create(server, ok, *caller), "FUNPLACE-PROFILE-ID") for caller in ((page.key, "me"), (both,))]:
        assert answer.status == 400 and list(answer.json) == ["error", "error_data"], answer
        assert answer.json["error"] == "bad request" and named in answer.json["error_data"], answer
    assert data_of(create(server, ok, creator)) and listed(server, page.key)


def test_of_others_subscriptions_nothing_is_seen_or_ended(server, page):
    mine = subscribe(server, page.key)
    stranger = server.key("Funplace::eventsub", account=server.account(fresh("mallory")))
    limited = make_page(server)
    for key in (stranger, limited.key):
        assert mine["connection_id"] not in listed(server, key)
        for method in ("GET", "POST", "DELETE"):
            answer = server.call(method, f"{BASE}/delete?{connection(mine)}", key=key)
            assert (answer.status, answer.body) == (404, NOT_FOUND)
    # It lives, and its id alone opens it.
    EventSubSocket(server, mine).alive().close()


# What is sent


def test_all_types_tell_their_part_of_one_tip_in_order(server, page):
    names = ["alerts.notifications", "goals.progress", "goals.completed", "goals.chain", "goals.queue"]
    goals = [server.goal(page.slug, amount, name)["id"] for amount, name in ((300, "A"), (200, "B"), (1000, "C"))]
    sockets = {name: EventSubSocket(server, subscribe(server, page.key, name)) for name in names}
    start = server.head(page.slug)
    tip = server.tip(page.slug, grossAmountInCents=700, displayName="Ada", message="\U0001f680 to\nthe \"moon\"")["tip"]
    created = server.log(page.slug, start)[0]["data"]["createdAt"]
    seconds = int(time.mktime(time.strptime(created[:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone)
    server.replay(page.slug, tip["id"])
    next_b = {"id": goals[1], "description": "B", "amount": 200, "progress": 200}
    next_c = {"id": goals[2], "description": "C", "amount": 1000, "progress": 200}
    alert = {
        "id": tip["id"], "kind": "donation", "nickname": "Ada", "message": "\U0001f680 to\nthe \"moon\"",
        "amount": "7.00", "curr": "USD", "created_at": seconds, "anonymous": False, "goal_id": goals[0],
        "replay": False}
    wanted = {
        "alerts.notifications": [("tip.received", alert), ("tip.replayed", alert | {"goal_id": None, "replay": True})],
        "goals.progress": [("tip.received", {
            "tip_id": tip["id"], "goal_id": goals[0], "goal_progress": 300, "goal_target": 300})],
        "goals.completed": [
            ("goal.completed", {
                "goal_id": goals[0], "goal_name": "A", "goal_target": 300, "overflow_amount": 400,
                "next_goal": next_b, "chain_index": 0, "chain_total": 2}),
            ("goal.completed", {
                "goal_id": goals[1], "goal_name": "B", "goal_target": 200, "overflow_amount": 200,
                "next_goal": next_c, "chain_index": 1, "chain_total": 2})],
        "goals.chain": [("goal.chain", {
            "tip_id": tip["id"], "total_amount": 700, "goals_completed": 2, "goal_ids": goals[:2]})],
        "goals.queue": [("goal.queue", {"active_goal": next_c, "goal_count": 3, "completed_goal_count": 2})]}
    log = server.log(page.slug, start)
    for name, feed in sockets.items():
        got = [feed.message() for _ in wanted[name]]
        assert [json.dumps(one["data"]) for one in got] == [json.dumps(data) for _, data in wanted[name]]
        kinds = {kind for kind, _ in wanted[name]}
        assert [one["id"] for one in got] == [event["cursor"] for event in log if event["type"] in kinds]
        feed.alive().close()  # And nothing more.


def test_who_is_anonymous_says_nothing_of_themselves_and_amounts_have_the_currencys_digits(server, page):
    yen = make_page(server, currency="JPY")
    dinar = make_page(server, currency="KWD")
    with EventSubSocket(server, subscribe(server, page.key)) as feed:
        for fields in ({"displayName": "Grace", "isAnonymous": True, "message": ""}, {"displayName": " "}, {}):
            server.tip(page.slug, **fields)
            text = feed.text()
            body = feed.is_message(text)["data"]
            assert (body["nickname"], body["anonymous"], body["message"]) == ("", True, "") and "Grace" not in text
    for other, amount, curr in ((yen, "500", "JPY"), (dinar, "0.500", "KWD")):
        with EventSubSocket(server, subscribe(server, other.key, minimum=amount)) as feed:
            server.tip(other.slug, grossAmountInCents=499)
            server.tip(other.slug, grossAmountInCents=500)
            body = feed.message()["data"]
            assert (body["amount"], body["curr"]) == (amount, curr)


def test_a_condition_leaves_out_smaller_tips_their_replays_and_what_was_missed(server, page):
    data = subscribe(server, page.key, minimum="5")
    assert data["condition"] == {"minimum_amount": "5"}
    with EventSubSocket(server, data) as feed:
        small, = post(server, page, 1, grossAmountInCents=499)
        server.replay(page.slug, small)
        enough = post(server, page, 2, grossAmountInCents=500)
        assert feed.tip_ids(2) == enough
        feed.alive()
    post(server, page, 2, grossAmountInCents=499)
    missed = post(server, page, 1, grossAmountInCents=501)
    with EventSubSocket(server, data) as feed:
        assert feed.tip_ids(1) == missed
        feed.alive()


def test_two_subscriptions_get_each_event_once_in_one_order_with_the_same_ids(server, page):
    with EventSubSocket(server, subscribe(server, page.key)) as one, (
        EventSubSocket(server, subscribe(server, server.admin, profile=page.profile))) as two:
        start = server.head(page.slug)
        server.batch(page.slug, [{"grossAmountInCents": cents} for cents in range(1, 100)])
        post(server, page, 1)
        ids = [event["cursor"] for event in server.log(page.slug, start)]
        assert len(set(ids)) == 100
        for feed in (one, two):
            assert [feed.message()["id"] for _ in range(100)] == ids
            feed.alive()


def test_only_ping_is_answered(server, page):
    with EventSubSocket(server, subscribe(server, page.key)) as feed:
        for text in ("ping", "PING", " PiNg\r\n"):
            feed.send(text)
            assert feed.text() == "PONG"
        for noise in ("PONG", "", "hello", '{"type":"ping"}', '{"type":"echo","payload":1}', b"PING", "PING PING"):
            feed.send(noise)
        assert feed.socket.ping().wait(5), "control pings are answered"
        feed.alive()


def test_nodes_own_websocket_gets_pong_message_disconnect_and_close_code(server, page, node):
    data = subscribe(server, page.key)
    script = pathlib.Path(__file__).parent / "support/node_feed.mjs"
    url = f"ws://127.0.0.1:{server.port}?{connection(data)}"
    with Lines([node, "--experimental-websocket", "--no-warnings", str(script), url, "PING"]) as client:
        client.wait_for(lambda lines: len(lines) >= 2, "open and PONG")
        cursor = server.tip(page.slug)["cursor"]
        client.wait_for(lambda lines: len(lines) >= 3, "the message")
        assert server.delete(f"/api/v1/keys/{page.key_id}").status == 204
        client.wait_for(lambda lines: {"close": 1008} in map(json.loads, lines), "close code 1008")
        said = [json.loads(line) for line in client.lines]
        assert said[:2] == [{"open": True}, {"message": "PONG"}]
        message, farewell = (json.loads(line["message"]) for line in said[2:4])
        assert message["id"] == cursor and message["subscription"] == data
        assert farewell["type"] == "disconnect" and said[4:] == [{"close": 1008}]


# Coming back


def test_what_happened_while_away_is_sent_once_and_in_order_after_each_kind_of_end(server, page):
    data = subscribe(server, page.key)
    missed = post(server, page, 3)
    for end in ("close", "cut", "reset", "close"):
        feed = EventSubSocket(server, data)
        assert feed.tip_ids(len(missed)) == missed
        live = post(server, page, 2)
        assert feed.tip_ids(2) == live
        feed.alive()
        assert listed(server, page.key) == {data["connection_id"]: True}
        if end == "reset":
            feed.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        feed.close() if end == "close" else feed.cut()
        eventually(lambda: not listed(server, page.key)[data["connection_id"]], "the socket to be gone")
        missed = post(server, page, 4)
    with EventSubSocket(server, data) as feed:
        assert feed.tip_ids(len(missed)) == missed
        feed.alive()


def test_whoever_closes_may_connect_again_in_the_same_breath(server, page):
    """The new socket's handshake may well overtake the old one's end on its way through the server."""
    data = subscribe(server, page.key)
    for number in range(40):
        old = RawEventSubSocket(server, data)
        old.send(close_frame(1000)) if number % 2 else old.close()
        new = AskingSocket(server, data).opened().alive()
        old.close()
        new.close()
        eventually(lambda: not listed(server, page.key)[data["connection_id"]], "the socket to be gone")


def test_over_a_restart_nothing_is_missed_and_nothing_comes_twice(make_server):
    server = make_server()
    page = make_page(server)
    here, away, never = (subscribe(server, page.key) for _ in range(3))
    with EventSubSocket(server, away) as feed:
        first = post(server, page, 2)
        assert feed.tip_ids(2) == first
    eventually(lambda: not listed(server, page.key)[away["connection_id"]], "the socket to be gone")
    feed = EventSubSocket(server, here)
    assert feed.tip_ids(2) == first
    second = post(server, page, 3)
    assert feed.tip_ids(3) == second
    server.process.terminate()
    text, code = feed.disconnected()
    assert code == 1012 and "shutting down" in text
    assert server.process.wait(10) == 0
    server.start()
    third = post(server, page, 2)
    for data, missed in ((here, third), (away, second + third), (never, first + second + third)):
        with EventSubSocket(server, data) as feed:
            assert feed.tip_ids(len(missed)) == missed
            feed.alive()


# One socket at a time


def test_a_second_socket_is_refused_while_the_first_shows_life(server, page):
    data = subscribe(server, page.key)
    with EventSubSocket(server, data) as first:
        first.alive()
        for _ in range(3):
            with EventSubSocket(server, data) as rival:
                assert rival.disconnected() == ("this connection_id is connected already", 1008)
        assert post(server, page, 1) == first.tip_ids(1)


def test_a_socket_that_shows_no_life_makes_room_and_a_rival_that_gave_up_takes_none(server, page):
    data, other = subscribe(server, page.key), subscribe(server, page.key)
    dead, deaf = RawEventSubSocket(server, data), RawEventSubSocket(server, other)
    eventually(lambda: set(listed(server, page.key).values()) == {True}, "both to be connected")
    began = time.monotonic()
    gone = AskingSocket(server, other)
    deaf.challenged()
    gone.reset()
    with EventSubSocket(server, data) as next_one:
        assert 2.5 <= time.monotonic() - began <= 6
        dead.challenged()
        assert dead.close_code() == 1006, "it is cut without a word"
        assert post(server, page, 1) == next_one.tip_ids(1)
    with EventSubSocket(server, other) as last:
        assert last.message()
        last.alive()
    deaf.close()


def test_a_close_frame_is_no_sign_of_life(server, page):
    """A client that closes and connects again is not in its own way."""
    data = subscribe(server, page.key)
    with RawEventSubSocket(server, data) as old:
        eventually(lambda: listed(server, page.key)[data["connection_id"]], "the socket to be there")
        with AskingSocket(server, data) as new:
            old.challenged()
            old.send(close_frame(1000))
            new.opened().alive()


def test_of_claims_at_the_same_instant_one_wins(server, page):
    for _ in range(25):
        data = subscribe(server, page.key)
        together = threading.Barrier(4)

        def claim(_):
            together.wait(10)
            feed = EventSubSocket(server, data)
            with contextlib.suppress(ConnectionClosed):
                feed.send("PING")
            return feed, feed.text(8)

        with ThreadPoolExecutor(4) as pool:
            claims = list(pool.map(claim, range(4)))
        winner, = (feed for feed, text in claims if text == "PONG")
        for feed, text in claims:
            assert feed is winner or said_farewell(text)
        assert post(server, page, 1) == winner.tip_ids(1)
        for feed, _ in claims:
            feed.close()


# Ends


def test_a_subscription_ends_with_its_key_its_page_its_membership_and_by_hand(server):
    alice, bob = server.account(fresh("alice")), server.account(fresh("bob"))
    slug = server.page(owner=alice)
    doomed = server.page_object(owner=alice)
    assert server.call("PUT", f"/api/v1/pages/{slug}/members/{bob}").status == 204
    profile = server.get(f"/api/v1/pages/{slug}").json["profileId"]
    key, bobs = (server.key("Funplace::eventsub", account=account) for account in (alice, bob))
    revoked = server.key_object("Funplace::eventsub", account=alice)
    kept = EventSubSocket(server, subscribe(server, key, profile=profile)).alive()
    for credential, number, method, path in [
        (revoked["key"], profile, "DELETE", f"/api/v1/keys/{revoked['id']}"),
        (bobs, None, "DELETE", f"/api/v1/pages/{slug}/members/{bob}"),
        (key, doomed["profileId"], "DELETE", f"/api/v1/pages/{doomed['slug']}?confirm={doomed['slug']}"),
        (key, profile, "GET", f"{BASE}/delete"), (key, profile, "POST", f"{BASE}/delete"),
        (key, profile, "DELETE", f"{BASE}/delete"),
    ]:
        data, waiting = (subscribe(server, credential, profile=number) for _ in range(2))
        feed = EventSubSocket(server, data).alive()
        if path.endswith("delete"):
            path = f"{path}?{connection(data)}"
            assert data_of(server.call(method, path, key=key)) == {"connection_id": data["connection_id"]}
            waiting = None
        else:
            assert server.call(method, path).status == 204
        assert feed.disconnected()[1] == 1008
        for ended in filter(None, (data, waiting)):
            with EventSubSocket(server, ended) as again:
                assert again.disconnected() == (UNKNOWN, 1008)
        assert data["connection_id"] not in listed(server, server.key("Funplace::eventsub", account=alice))
    server.tip(slug)
    assert kept.message()
    kept.alive().close()


def test_a_subscription_ends_when_its_key_expires_and_not_before(server, page):
    expiry = time.time() + 2
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(expiry)) + f".{int(expiry % 1 * 1000):03d}Z"
    key = server.key("Funplace::eventsub", pages=[page.slug], expiresAt=text)
    data = subscribe(server, key)
    with EventSubSocket(server, data).alive() as feed:
        _, code = feed.disconnected()
        assert code == 1008 and expiry - 0.01 <= time.time() <= expiry + 4
    with EventSubSocket(server, data) as again:
        assert again.disconnected()[1] == 1008


def test_an_idle_socket_is_told_and_its_subscription_waits(make_server):
    server = make_server("--feed-idle-seconds", "2", "--feed-probe-seconds", "1")
    page = make_page(server)
    data = subscribe(server, page.key)
    with EventSubSocket(server, subscribe(server, page.key)) as lively, RawEventSubSocket(server, data) as idle:
        idle.challenged()
        text, code = idle.disconnected()
        assert code == 1001 and "PING" in text
        missed = post(server, page, 1)
        assert lively.tip_ids(1) == missed, "who answers probes stays"
        with EventSubSocket(server, data) as again:
            assert again.tip_ids(1) == missed


# Attackers


def test_guessed_ids_get_one_answer_and_it_costs_little(server, page):
    data = subscribe(server, page.key)
    real = data["connection_id"]
    deleted = subscribe(server, page.key)["connection_id"]
    server.delete(f"{BASE}/delete?{web.query(connection_id=deleted)}", key=page.key)
    last = "0" if real[-1] != "0" else "1"
    guesses = [
        real[:-1] + last, real[:-1], real + "0", real.upper() if real.upper() != real else real + "A", " " + real,
        real + "\0", real.split("-", 1)[1], deleted, "x", "*", "%", "' OR 1=1 --", "../..", "\U0001f600", "a" * 4000]
    answers = set()
    for guess in guesses:
        with RawWebSocket(server.port, web.query(connection_id=guess)) as rival:
            answers.add((rival.text(), rival.next()))
    assert len(answers) == 1, answers
    assert UNKNOWN in answers.pop()[0]
    began = time.monotonic()
    for number in range(200):
        with RawWebSocket(server.port, web.query(connection_id=f"{real[:-6]}{number:06x}")) as rival:
            assert "disconnect" in rival.text()
    assert time.monotonic() - began < 10
    # Room for none of them is left behind, and the real one is as it was.
    with EventSubSocket(server, data) as feed:
        assert post(server, page, 1) == feed.tip_ids(1)
    assert server.handshake("connection_id=").status == 401, "an empty id is no id: this asks for a feed"
    printed = server.stderr + "\n".join(server.stdout)
    assert real not in printed and deleted not in printed, "an id is a secret"


def test_who_has_no_id_takes_no_room_from_those_who_have(make_server):
    server = make_server("--feed-max-connections", "4", "--auth-max-failures-per-minute", "0")
    page = make_page(server)
    data = subscribe(server, page.key)
    strangers = [AskingSocket(server, {"connection_id": "guess"}) for _ in range(8)]
    for stranger in strangers:
        stranger.head()  # Told and closed, or refused; they stay and don't answer.
    began = time.monotonic()
    eventually(lambda: server.handshake(connection(data)).status == 101, "room", 10)
    took = time.monotonic() - began
    for stranger in strangers:
        stranger.close()
    assert took < 2, f"strangers kept everyone out for {took:.1f} s"


def test_a_full_server_uses_no_subscription_up(make_server):
    server = make_server("--feed-max-connections", "2")
    page = make_page(server)
    data = subscribe(server, page.key)
    with server.feed(server.admin) as one, server.feed(server.admin) as two:
        for _ in range(5):
            refused = server.handshake(connection(data))
            assert refused.status == 503 and list(refused.json) == ["error"], refused
            assert int(refused.headers["Retry-After"]) > 0
        assert listed(server, page.key) == {data["connection_id"]: False}
        missed = post(server, page, 2)
        one.close()
        eventually(lambda: two.is_open() and len(server.get("/api/v1/connections").json["data"]) == 1, "room")
        with EventSubSocket(server, data) as feed:
            assert feed.tip_ids(2) == missed


def test_a_client_that_is_gone_before_the_answer_leaves_its_subscription_claimable(server, page):
    gone = [subscribe(server, page.key) for _ in range(20)]
    for number, data in enumerate(gone):
        client = AskingSocket(server, data)
        client.reset() if number % 2 else client.close()
    eventually(lambda: not any(listed(server, page.key).values()), "all to be free")
    for data in gone:
        with EventSubSocket(server, data) as feed:
            feed.alive()


def test_rubbish_ends_its_own_socket_and_nothing_else(server, page, rng):
    with EventSubSocket(server, subscribe(server, page.key)) as other:
        for number, (rubbish, code) in enumerate([
            (frame(TEXT, b"\xff\xfe"), 1007), (frame(TEXT, b"x", masked=False), 1002), (frame(3, b"x"), 1002),
            (frame(TEXT, b"x", reserved=4), 1002), (frame(0, b"x"), 1002), (frame(9, b"x", fin=False), 1002),
            (frame(TEXT, announce=1 << 30), 1009), (frame(TEXT, announce=(1 << 63) - 1), 1009),
            (close_frame(999), 1002), (rng.randbytes(3000), None), (b"GET / HTTP/1.1\r\n\r\n", None),
        ]):
            data = subscribe(server, page.key)
            with RawEventSubSocket(server, data) as bad:
                bad.send_what_is_taken(rubbish)
                if code:
                    assert bad.close_code() == code, number
            missed = post(server, page, 1)
            assert other.tip_ids(1) == missed
            eventually(lambda: not listed(server, page.key)[data["connection_id"]], "the socket to be gone")
            with EventSubSocket(server, data) as again:
                assert again.tip_ids(1) == missed
        assert server.is_prompt(server.admin, page.slug)


def test_limits_hold_when_many_ask_at_once(make_server):
    server = make_server("--eventsub-max-per-key", "5", "--eventsub-max-per-page", "8",
                         "--eventsub-max-creations-per-minute", "100")
    page = make_page(server)
    keys = [page.key, server.key("Funplace::eventsub", pages=[page.slug])]

    def burst(key, count):
        """As many requests at once; how many of them made a subscription."""
        head = f"GET {BASE}/create?transport[method]=websocket HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        asking = [RawSocket(server.port) for _ in range(count)]
        for one in asking:
            one.send(head.encode())
        # Behind a large batch of tips all of them wait for the store at the same time.
        with ThreadPoolExecutor(1) as pool:
            batch = pool.submit(server.batch, page.slug, [{"grossAmountInCents": 1}] * 500)
            for one in asking:
                one.send(b"\r\n")
            answers = [one.response() for one in asking]
            batch.result()
        for one, (status, headers, body) in zip(asking, answers):
            one.close()
            assert status == 200 or (status, body) == (429, TOO_MANY) and int(headers["retry-after"]) > 0
        return [status for status, _, _ in answers].count(200)

    assert burst(keys[0], 40) == 5
    assert burst(keys[1], 40) == 3
    assert len(listed(server, keys[0])) == 8, "all of the account's, on pages that the key reaches"
    mine = next(iter(listed(server, keys[0])))
    assert server.delete(f"{BASE}/delete?{web.query(connection_id=mine)}", key=keys[0]).status == 200
    assert burst(keys[0], 10) == 1, "what has ended makes room"
    burst(keys[0], 60)
    server.delete(f"{BASE}/delete?{web.query(connection_id=next(iter(listed(server, keys[0]))))}", key=keys[0])
    assert burst(keys[0], 1) == 0, "and no key makes more than so many in a minute"


def test_five_hundred_sockets_get_each_event_once_and_leave_nothing_behind(server, page):
    baseline = server.sockets()
    made = [subscribe(server, page.key) for _ in range(500)]
    sockets = [RawEventSubSocket(server, data) for data in made]
    start = server.head(page.slug)
    post(server, page, 2)
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    for data, one in zip(made, sockets):
        messages = [json.loads(one.text()) for _ in ids]
        assert [message["id"] for message in messages] == ids
        assert all(message["subscription"] == data for message in messages)
    assert server.is_prompt(server.admin, page.slug)
    # All at once: the key goes.
    assert server.delete(f"/api/v1/keys/{page.key_id}").status == 204
    for one in sockets:
        assert json.loads(one.text())["type"] == "message"
        assert one.disconnected()[1] == 1008
        one.close()
    wait_until_closed(server, baseline)
    assert not listed(server, server.key("Funplace::eventsub", pages=[page.slug]))
