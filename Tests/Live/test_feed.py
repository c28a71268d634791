"""The Pally feed: who sees what, what is refused and how, and every frame to the letter."""

import json
import pathlib
import re
import select
import socket as socket_options
import threading
import time
import types

import pytest
from websockets.exceptions import InvalidStatus

from support import http as web
from support.commandline import Lines
from support.rawsocket import BINARY, CONTINUATION, PING, PONG, TEXT, RawSocket, RawWebSocket, frame, upgrade_request
from support.server import fresh


@pytest.fixture(scope="module")
def cast(server):
    """Two accounts: Alice owns two pages, Bob one; Bob is a member of Alice's second."""
    alice, bob = server.account(fresh("alice")), server.account(fresh("bob"))
    cast = types.SimpleNamespace(
        alice=server.key(account=alice), bob=server.key(account=bob),
        own=server.page(owner=alice), shared=server.page(owner=alice), bobs=server.page(owner=bob),
        alice_name=alice, bob_name=bob)
    answer = server.call("PUT", f"/api/v1/pages/{cast.shared}/members/{bob}")
    assert answer.status == 204 and answer.body == b"", answer
    return cast


def refusal(server, status, parameters, headers=None, path="/"):
    answer = server.handshake(parameters, headers, path=path)
    assert answer.status == status, answer
    assert answer.content_type == "application/json", answer
    assert list(answer.json) == ["error"] and isinstance(answer.json["error"], str) and answer.json["error"], answer
    return answer


# Who sees what


def test_a_firehose_has_the_pages_that_its_account_owns_and_no_others(server, cast):
    with server.feed(cast.alice) as alice, server.feed(cast.bob) as bob:
        for slug in (cast.bobs, cast.own, cast.shared, cast.bobs, cast.own):
            server.tip(slug, message=f"to {slug}")
        # Commit order holds over pages too, so what Bob's firehose shows third would have come after Alice's page.
        assert [alice.event()["payload"]["page"]["slug"] for _ in range(3)] == [cast.own, cast.shared, cast.own]
        assert [bob.event()["payload"]["page"]["slug"] for _ in range(2)] == [cast.bobs, cast.bobs]
        alice.says_nothing_but_pong()
        bob.says_nothing_but_pong()


def test_an_activity_feed_of_an_owned_page_has_that_page_alone(server, cast):
    with server.feed(cast.alice, "activity-feed", cast.own) as feed:
        server.tip(cast.shared)
        wanted = server.tip(cast.own)
        assert feed.event()["cursor"] == wanted["cursor"]
        feed.says_nothing_but_pong()


def test_an_activity_feed_is_open_to_a_member(server, cast):
    with server.feed(cast.bob, "activity-feed", cast.shared) as feed:
        assert server.tip(cast.shared)["tip"]["id"] == feed.tip_id()


def test_an_activity_feed_of_a_foreign_page_is_refused_like_one_of_no_page(server, cast):
    foreign = refusal(server, 403, web.query(auth=cast.bob, channel="activity-feed", room=cast.own))
    unknown = refusal(server, 403, web.query(auth=cast.bob, channel="activity-feed", room=fresh("nobody")))
    no_slug = refusal(server, 403, web.query(auth=cast.bob, channel="activity-feed", room="no slug!"))
    assert foreign.body == unknown.body == no_slug.body, "slugs could be probed"


def test_an_admin_key_counts_as_its_own_accounts_on_the_feed(server, cast):
    refusal(server, 403, web.query(auth=server.admin, channel="activity-feed", room=cast.own))
    mine = server.page()
    with server.feed(server.admin) as feed:
        server.tip(cast.own)
        wanted = server.tip(mine)
        assert feed.event()["cursor"] == wanted["cursor"]


def test_a_room_is_compared_without_regard_to_case(server):
    slug = fresh("MiXed")
    assert server.page(slug) == slug.lower(), "slugs are stored in lower case"
    with server.feed(server.admin, "activity-feed", slug.upper()) as feed:
        server.tip(slug.lower())
        assert feed.event()["payload"]["page"]["slug"] == slug.lower()


def test_a_firehose_ignores_its_room(server, cast):
    with server.feed(cast.alice, "firehose", room=cast.bobs) as feed:
        server.tip(cast.bobs)
        assert server.tip(cast.own)["cursor"] == feed.event()["cursor"]


def test_a_page_made_later_joins_an_open_firehose(server, cast):
    with server.feed(cast.alice) as feed:
        later = server.page(owner=cast.alice_name)
        server.tip(later)
        assert feed.event()["payload"]["page"]["slug"] == later


def test_two_sockets_of_one_key_get_a_copy_each(server, cast):
    with server.feed(cast.alice) as first, server.feed(cast.alice) as second:
        with server.feed(cast.alice, "activity-feed", cast.own) as third:
            tips = [server.tip(cast.own)["tip"]["id"] for _ in range(3)]
            for feed in (first, second, third):
                assert feed.tip_ids(3) == tips
                feed.says_nothing_but_pong()


# Refusals


def test_a_missing_key_is_refused_with_401(server):
    refusal(server, 401, "channel=firehose")
    refusal(server, 401, "auth=&channel=firehose")


@pytest.mark.parametrize("bad", ["nonsense", "tw_" + "0" * 64, "tw_" + "F" * 64, "%00", "tw_%ff", "x" * 4000])
def test_an_unknown_key_is_refused_with_401(server, bad):
    answer = refusal(server, 401, f"auth={bad}&channel=firehose")
    assert bad not in answer.text


def test_a_key_of_the_right_prefix_and_wrong_rest_is_refused_with_401(server, cast):
    wrong = cast.alice[:-1] + ("0" if cast.alice[-1] != "0" else "1")
    refusal(server, 401, web.query(auth=wrong, channel="firehose"))


def test_a_key_without_events_read_is_refused_with_401(server):
    for scope in ("tips:write", "manage"):
        refusal(server, 401, web.query(auth=server.key(scope), channel="firehose"))


def test_a_missing_or_unknown_channel_is_refused_with_400(server, cast):
    for channel in (None, "", "nope", "FIREHOSES", "activity-feed,firehose"):
        refusal(server, 400, web.query(auth=cast.alice, channel=channel, room=cast.own))


def test_an_activity_feed_without_a_room_is_refused_with_400(server, cast):
    refusal(server, 400, web.query(auth=cast.alice, channel="activity-feed"))
    refusal(server, 400, web.query(auth=cast.alice, channel="activity-feed", room=""))


def test_refusals_are_checked_in_the_order_key_channel_room_access(server, cast):
    bad = "tw_" + "1" * 64
    refusal(server, 401, web.query(auth=bad, channel="nope"))
    refusal(server, 401, web.query(auth=bad, channel="activity-feed"))
    refusal(server, 401, web.query(auth=bad, channel="activity-feed", room=fresh("nobody")))
    refusal(server, 401, web.query(auth=server.key("tips:write"), channel="nope"))
    refusal(server, 400, web.query(auth=cast.alice, channel="nope", room=fresh("nobody")))
    refusal(server, 400, web.query(auth=cast.alice, channel="activity-feed"))


def test_an_address_that_keeps_failing_gets_429_and_a_good_key_passes_still(make_server):
    server = make_server("--auth-max-failures-per-minute", "5")
    statuses = []
    for number in range(12):
        answer = server.handshake(f"auth=tw_{number:064x}&channel=firehose")
        statuses.append(answer.status)
        if answer.status == 429:
            break
    assert statuses == [401] * 5 + [429], statuses
    assert int(answer.headers["Retry-After"]) > 0
    assert list(answer.json) == ["error"], answer
    # Many clients share a proxy's address: only requests with a bad key count, and only they are turned away.
    with server.feed(server.admin) as feed:
        feed.says_nothing_but_pong()
    answer = server.get("/api/v1/pages", key="tw_" + "e" * 64)
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0, answer
    assert server.get("/api/v1/pages").status == 200


def test_a_client_library_sees_the_status_of_a_refusal(server):
    with pytest.raises(InvalidStatus) as refused:
        server.feed("tw_" + "2" * 64)
    assert refused.value.response.status_code == 401
    assert list(json.loads(refused.value.response.body)) == ["error"]


def test_a_broken_handshake_is_told_so_and_not_with_404(server, cast):
    good = web.query(auth=cast.alice, channel="firehose")
    version = server.handshake(good, {"Sec-WebSocket-Version": "8"})
    assert version.status in (400, 426), version
    assert version.headers["Sec-WebSocket-Version"] == "13", "RFC 6455, 4.4: say which versions are spoken"
    for key in ("", "short", "dGhlIHNhbXBsZSBub25jZQ==x"):
        assert server.handshake(good, {"Sec-WebSocket-Key": key}).status == 400
    post = server.raw("POST", f"/?{good}", b"", web.UPGRADE)
    assert post.status in (400, 404, 405), post


def test_no_socket_opens_anywhere_but_at_the_root(server, cast):
    good = web.query(auth=cast.alice, channel="firehose")
    for path in ("/nope", "/api/v1/pages", "/health", "//"):
        assert server.handshake(good, path=path).status != 101, path


@pytest.mark.parametrize("path", ["", "/"])
def test_an_absolute_address_is_a_feed_also_with_an_empty_path(server, cast, path):
    """RFC 9112, 3.2.2: a server takes the absolute form, which proxies send. `wss://host?auth=…` has an empty path there."""
    with RawSocket(server.port) as connection:
        query = web.query(auth=cast.alice, channel="firehose")
        connection.send(upgrade_request(query, path=f"http://127.0.0.1:{server.port}{path}"))
        assert connection.head()[0] == 101


def test_a_handshake_is_read_in_any_case_and_from_any_origin(server, cast):
    query = web.query(auth=cast.alice, channel="firehose")
    for connection, upgrade in (("upgrade", "WebSocket"), ("UPGRADE", "WEBSOCKET"), ("keep-alive, Upgrade", "websocket")):
        with RawSocket(server.port) as socket:
            socket.send((
                f"GET /?{query} HTTP/1.1\r\nhost: tips.example\r\nCONNECTION: {connection}\r\nupgrade: {upgrade}\r\n"
                "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Origin: https://overlay.example\r\n\r\n").encode())
            assert socket.head()[0] == 101, (connection, upgrade)


# Where a key may stand, and how a query is read


def test_a_bearer_header_works_and_its_scheme_is_read_in_any_case(server, cast):
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = server.handshake("channel=firehose", {"Authorization": f"{scheme} {cast.alice}"})
        assert answer.status == 101, answer
    refusal(server, 401, "channel=firehose", {"Authorization": f"Basic {cast.alice}"})
    refusal(server, 401, "channel=firehose", {"Authorization": f"Bearer tw_{'3' * 64}"})


def test_of_a_query_key_and_a_header_the_query_wins(server, cast):
    bad = "tw_" + "4" * 64
    good = web.query(auth=cast.alice, channel="firehose")
    assert server.handshake(good, {"Authorization": f"Bearer {bad}"}).status == 101
    refusal(server, 401, f"auth={bad}&channel=firehose", {"Authorization": f"Bearer {cast.alice}"})


def test_an_empty_query_key_counts_as_absent(server, cast):
    answer = server.handshake("auth=&channel=firehose", {"Authorization": f"Bearer {cast.alice}"})
    assert answer.status == 101, answer


def test_unknown_parameters_are_ignored_and_order_does_not_matter(server, cast):
    answer = server.handshake(f"room={cast.own}&utm_source=x&&=&a&channel=activity-feed&b=%zz&auth={cast.alice}")
    assert answer.status == 101, answer


def test_of_a_repeated_parameter_the_first_wins(server, cast):
    bad = "tw_" + "5" * 64
    assert server.handshake(f"auth={cast.alice}&auth={bad}&channel=firehose&channel=nope").status == 101
    refusal(server, 401, f"auth={bad}&auth={cast.alice}&channel=firehose")
    refusal(server, 400, f"auth={cast.alice}&channel=nope&channel=firehose")
    refusal(server, 403, f"auth={cast.alice}&channel=activity-feed&room={cast.bobs}&room={cast.own}")


def test_names_and_values_of_a_query_are_percent_decoded(server, cast):
    answer = server.handshake(f"%61uth={cast.alice}&channel=activity%2dfeed&room={cast.own.replace('-', '%2D')}")
    assert answer.status == 101, answer


def test_plus_and_percent_20_are_the_same_space(server, cast):
    for room in ("{}", "a{}b", "{}" + cast.own):
        answers = [
            server.handshake(f"auth={cast.alice}&channel=activity-feed&room={room.format(space)}")
            for space in ("+", "%20")]
        assert answers[0].status == answers[1].status and answers[0].body == answers[1].body, answers
    # A number is where the two tell apart: `+5` undecoded would be five.
    path = f"/api/v1/pages/{cast.own}/tips?limit="
    plus, escaped, sign = (server.get(path + text) for text in ("+5", "%205", "%2B5"))
    assert plus.status == escaped.status == 422, (plus, escaped)
    assert sign.status in (200, 422)


# campaigntip.notify


def test_a_notification_has_the_documented_members_in_the_documented_order(server):
    page = server.page_object(title="Pally.gg's Team Page", url="https://pally.gg/p/pally")
    with server.feed(server.admin, "activity-feed", page["slug"]) as feed:
        posted = server.tip(
            page["slug"], id="b1w2pjwjtb9fx0v1se9ex4n2", displayName="Someone", message="Hi \"you\" \\ \n \u20ac \U0001f600",
            grossAmountInCents=500, processingFeeInCents=45, createdAt="2024-03-13T18:02:33.743Z")
        text = feed.text()
    notified = json.loads(text)
    tip = posted["tip"]
    assert list(notified) == ["type", "payload", "cursor"]
    assert list(notified["payload"]) == ["campaignTip", "page"]
    assert notified["type"] == "campaigntip.notify"
    assert notified["cursor"] == posted["cursor"]
    assert list(notified["payload"]["campaignTip"].items()) == [
        ("createdAt", "2024-03-13T18:02:33.743Z"),
        ("displayName", "Someone"),
        ("grossAmountInCents", 500),
        ("id", "b1w2pjwjtb9fx0v1se9ex4n2"),
        ("message", "Hi \"you\" \\ \n \u20ac \U0001f600"),
        ("netAmountInCents", 455),
        ("processingFeeInCents", 45),
        ("updatedAt", tip["processedAt"]),
    ]
    assert list(notified["payload"]["page"].items()) == [
        ("id", page["id"]),
        ("slug", page["slug"]),
        ("title", "Pally.gg's Team Page"),
        ("url", "https://pally.gg/p/pally"),
    ]
    for name, number in (("gross", 500), ("net", 455), ("processingFee", 45)):
        spelt = re.search(rf'"{name}\w*InCents"\s*:\s*([^,}}\s]+)', text)
        assert spelt.group(1) == str(number), "integers have no fraction and no exponent"


def test_a_bare_tip_has_empty_strings_and_a_time_of_its_own(server):
    page = server.page_object()
    with server.feed(server.admin, "activity-feed", page["slug"]) as feed:
        tip = server.tip(page["slug"], grossAmountInCents=1)["tip"]
        notified = feed.event()["payload"]
    assert notified["campaignTip"] == {
        "createdAt": tip["processedAt"], "displayName": "", "grossAmountInCents": 1, "id": tip["id"], "message": "",
        "netAmountInCents": 1, "processingFeeInCents": 0, "updatedAt": tip["processedAt"]}
    assert web.TIME.fullmatch(tip["processedAt"])
    assert notified["page"]["url"] == page["url"] == f"{server.url}/p/{page['slug']}"
    assert notified["page"]["title"] == page["title"] and isinstance(page["title"], str)


def test_the_largest_possible_event_is_one_unfragmented_text_frame_under_16_kib(server):
    face = "\U0001f600"
    slug = server.page(title=face * 200, url="https://example.com/" + "u" * 1980, slug=fresh("x" * 50))
    quote = '"'
    for letter in (face, quote):
        with RawWebSocket(server.port, web.query(auth=server.admin, channel="activity-feed", room=slug)) as socket:
            server.tip(
                slug, displayName=letter * 100, message=letter * 1000, id=fresh("i" * 60), grossAmountInCents=100_000_000,
                processingFeeInCents=100_000_000)
            fin, opcode, payload = socket.next()
            assert (fin, opcode) == (True, TEXT)
            assert len(payload) < 16 * 1024
            tip = json.loads(payload)["payload"]["campaignTip"]
            assert tip["message"] == letter * 1000 and tip["displayName"] == letter * 100
            assert tip["netAmountInCents"] == 0


def test_an_anonymous_tip_shows_no_name_anywhere(server):
    slug = server.page()
    secret = fresh("Reginald-Secretname")
    with server.feed(server.admin, "activity-feed", slug) as feed:
        tip = server.tip(slug, displayName=secret, isAnonymous=True, message="psst")["tip"]
        text = feed.text()
        assert json.loads(text)["payload"]["campaignTip"]["displayName"] == ""
        assert json.loads(text)["payload"]["campaignTip"]["message"] == "psst"
        server.replay(slug, tip["id"])
        text += feed.text()
    assert tip["displayName"] == "" and tip["isAnonymous"] is True
    for path in ("tips", f"tips/{tip['id']}", "events"):
        text += server.get(f"/api/v1/pages/{slug}/{path}").text
    assert secret not in text
    for file in pathlib.Path(server.data).iterdir():
        assert secret.encode() not in file.read_bytes(), f"the name is stored in {file.name}"


@pytest.mark.parametrize("name", [None, "", "   ", "\n", "\u2003\u00a0"])
def test_a_tip_without_a_name_is_anonymous_whatever_its_flag_says(server, name):
    slug = server.page()
    with server.feed(server.admin, "activity-feed", slug) as feed:
        tip = server.tip(slug, displayName=name, isAnonymous=False)["tip"]
        assert tip["isAnonymous"] is True and tip["displayName"] == ""
        assert feed.event()["payload"]["campaignTip"]["displayName"] == ""


def test_a_replay_reaches_firehose_and_activity_feed_with_a_new_cursor_and_all_else_the_same(server, cast):
    first = server.tip(cast.shared, displayName="Jamie", message="again!", createdAt="2025-01-01T00:00:00.000Z")
    with server.feed(cast.alice) as firehose, server.feed(cast.bob, "activity-feed", cast.shared) as activity:
        answer = server.replay(cast.shared, first["tip"]["id"])
        assert answer["cursor"] == answer["events"][-1]["cursor"], "in an answer `cursor` is the last event's"
        assert {"tip", "events", "cursor"} <= set(answer)
        assert answer["tip"] == first["tip"]
        assert [event["type"] for event in answer["events"]] == ["tip.replayed"]
        for feed in (firehose, activity):
            again = feed.event()
            assert again["cursor"] == answer["cursor"] != first["cursor"]
            tip = again["payload"]["campaignTip"]
            assert tip["id"] == first["tip"]["id"]
            assert tip["createdAt"] == "2025-01-01T00:00:00.000Z"
            assert tip["updatedAt"] == first["tip"]["processedAt"]
            assert (tip["displayName"], tip["message"]) == ("Jamie", "again!")
            feed.says_nothing_but_pong()


def test_a_replay_of_no_tip_is_404_and_of_a_foreign_page_too(server, cast):
    assert server.post(f"/api/v1/pages/{cast.own}/tips/nope/replay").status == 404
    tip = server.tip(cast.own)["tip"]["id"]
    bob = server.key("manage", account=cast.bob_name)
    assert server.post(f"/api/v1/pages/{cast.own}/tips/{tip}/replay", key=bob).status == 404


# What a client says


@pytest.mark.parametrize("text", ["ping", "PING", "Ping", "pInG", " ping", "ping\n", "\t\r\n ping \r\n"])
def test_a_text_ping_is_answered_with_pong(server, text):
    with server.feed(server.admin) as feed:
        feed.send(text)
        assert feed.text() == "pong"


@pytest.mark.parametrize("text", ['{"type":"ping"}', ' { "type" : "ping" } ', '{"id":7,"type":"ping","payload":{}}'])
def test_a_json_ping_is_answered_with_pong(server, text):
    with server.feed(server.admin) as feed:
        feed.send(text)
        assert feed.text() == "pong"


def test_ten_pings_a_second_are_all_answered(server):
    with server.feed(server.admin) as feed:
        for _ in range(10):
            feed.send("ping")
        assert [feed.text() for _ in range(10)] == ["pong"] * 10


@pytest.mark.parametrize("payload", [
    "1.50", "-0", "1e400", "1E+2", "12345678901234567890123456789", "0.1000", "true", "null", '""', "[]", "{}",
    '"\\u00e9 \u00e9 \\ud83d\\ude00 \U0001f600 \\/ / \\n"',
    '{"b":1,"a":[1.0,2e3,{"z":null,"y":false}],"c":{"b":0,"a":0}}',
    '{"type":"campaigntip.notify","payload":{"campaignTip":{"grossAmountInCents":500}}}',
    '"ping"', '{"type":"ping"}',
])
def test_an_echo_comes_back_with_its_spelling_kept(server, payload):
    with server.feed(server.admin) as feed:
        for text in (f'{{"type":"echo","payload":{payload}}}', f'{{ "payload" : {payload} , "x":0, "type":"echo" }}'):
            feed.send(text)
            assert feed.text() == payload


def test_an_echo_of_60_kilobytes_comes_back_whole(server):
    with server.feed(server.admin) as feed:
        payload = json.dumps(["\u20ac" * 50] * 350, ensure_ascii=False)
        assert 50_000 < len(payload.encode()) < 65_000
        feed.send('{"type":"echo","payload":' + payload + "}")
        assert feed.text() == payload


def test_an_echo_goes_to_its_own_socket_alone_and_is_not_stored(server):
    slug = server.page()
    before = server.head(slug)
    with server.feed(server.admin) as one, server.feed(server.admin) as other:
        one.send('{"type":"echo","payload":{"type":"campaigntip.notify"}}')
        assert one.json() == {"type": "campaigntip.notify"}
        one.says_nothing_but_pong()
        other.says_nothing_but_pong()
    assert server.head(slug) == before


@pytest.mark.parametrize("text", [
    "", " ", "pong", "pingping", "ping!", "p ing", '"ping"', "null", "[]", "{", "{}", '{"type":"echo"}', '{"type":"hello"}',
    '{"type":"PING"}', '{"type":["ping"]}', '{"type":1}', '{"type":null,"payload":1}', '{"type":"echo","payload":}',
    '{"type":"echo","payload":1}garbage', '[{"type":"ping"}]', "\u0000", "\U0001f600" * 100, "[" * 5000, '{"a":' * 5000,
])
def test_any_other_text_is_ignored(server, text):
    with server.feed(server.admin) as feed:
        feed.send(text)
        feed.says_nothing_but_pong()


def test_binary_frames_are_ignored(server):
    with server.feed(server.admin) as feed:
        for data in (b"", b"ping", b'{"type":"ping"}', b'{"type":"echo","payload":1}', bytes(range(256))):
            feed.send(data)
        feed.says_nothing_but_pong()


def test_a_control_ping_is_answered_with_its_payload(server):
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as socket:
        for payload in (b"", b"x", bytes(range(125))):
            socket.send(frame(PING, payload))
            assert socket.next() == (True, PONG, payload)
    with server.feed(server.admin) as feed:
        assert feed.socket.ping(b"hello").wait(5)


def test_an_unsolicited_pong_is_ignored(server):
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as socket:
        socket.send(frame(PONG, b"unasked") + frame(TEXT, b"ping"))
        assert socket.next() == (True, TEXT, b"pong")


def test_a_fragmented_ping_with_a_control_ping_inside_gets_both_answers(server):
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as socket:
        socket.send(frame(TEXT, b"pi", fin=False) + frame(PING, b"in between") + frame(CONTINUATION, b"", fin=False))
        assert socket.next() == (True, PONG, b"in between")
        socket.send(frame(CONTINUATION, b"ng"))
        assert socket.next() == (True, TEXT, b"pong")


def test_frames_that_arrive_byte_by_byte_or_all_in_one_segment_mean_the_same(server):
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as socket:
        # A byte a segment: Nagle is off, and each is its own system call.
        socket.socket.setsockopt(socket_options.IPPROTO_TCP, socket_options.TCP_NODELAY, 1)
        for byte in frame(TEXT, b'{"type":"echo","payload":[1,2]}'):
            socket.send(bytes([byte]))
        assert socket.text() == "[1,2]"
        socket.send(b"".join(frame(TEXT, b'{"type":"echo","payload":%d}' % number) for number in range(8)))
        assert [socket.text() for _ in range(8)] == [str(number) for number in range(8)]
        socket.send(frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"ping") + frame(TEXT, b"ping"))
        assert socket.text() == "pong"


def test_the_server_says_nothing_unasked(server):
    slug = server.page()
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="activity-feed", room=slug)) as socket:
        # A second of silence, and then the first bytes of all are those of the event.
        readable, _, _ = select.select([socket.socket], [], [], 1.0)
        assert not readable and not socket.buffer, "an unsolicited frame"
        cursor = server.tip(slug)["cursor"]
        assert json.loads(socket.text())["cursor"] == cursor


def test_no_extension_and_no_subprotocol_is_agreed_that_is_not_spoken(server):
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as socket:
        assert "sec-websocket-extensions" not in socket.handshake_headers
        assert "sec-websocket-protocol" not in socket.handshake_headers


def test_batches_come_in_order_and_leave_the_feed_prompt(server):
    slug = server.page()
    with server.feed(server.admin, "activity-feed", slug) as feed:
        posted = []
        for number in range(5):
            posted += [result["cursor"] for result in server.batch(slug, [{"grossAmountInCents": 1}] * 100)]
        assert [feed.event()["cursor"] for _ in range(500)] == posted
        began = time.monotonic()
        feed.says_nothing_but_pong()
        assert time.monotonic() - began < 1.0


def test_pong_is_prompt_while_the_database_is_busy(server):
    slug = server.page()
    stop = threading.Event()

    def keep_it_busy():
        while not stop.is_set():
            server.batch(slug, [{"grossAmountInCents": 1}] * 500)

    threads = [threading.Thread(target=keep_it_busy) for _ in range(2)]
    quiet = server.key(account=server.account())
    with server.feed(quiet) as feed:
        for thread in threads:
            thread.start()
        try:
            waits = []
            for _ in range(40):
                began = time.monotonic()
                feed.says_nothing_but_pong()
                waits.append(time.monotonic() - began)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert max(waits) < 1.0, f"{max(waits):.3f} s"


def test_three_hundred_sockets_get_each_event_once_and_in_order(server):
    slug = server.page()
    query = web.query(auth=server.admin, channel="activity-feed", room=slug)
    sockets = [RawWebSocket(server.port, query) for _ in range(300)]
    try:
        posted = [server.tip(slug)["cursor"] for _ in range(3)]
        posted += [result["cursor"] for result in server.batch(slug, [{"grossAmountInCents": 1}] * 5)]
        for socket in sockets:
            assert [json.loads(socket.text())["cursor"] for _ in posted] == posted
            socket.send(frame(TEXT, b"ping"))
        assert {socket.text() for socket in sockets} == {"pong"}
    finally:
        for socket in sockets:
            socket.close()


# Node


def test_nodes_own_websocket_gets_pong_echo_event_and_close_code(server, node):
    slug = server.page()
    key = server.key_object()
    url = f"ws://127.0.0.1:{server.port}?" + web.query(auth=key["key"], channel="activity-feed", room=slug)
    script = pathlib.Path(__file__).parent / "support/node_feed.mjs"
    command = [node, "--experimental-websocket", "--no-warnings", str(script), url]
    with Lines([*command, "ping", '{"type":"echo","payload":{"n":1.50}}']) as client:
        client.wait_for(lambda lines: len(lines) >= 3, "open, pong and echo")
        said = [json.loads(line) for line in client.lines]
        assert said == [{"open": True}, {"message": "pong"}, {"message": '{"n":1.50}'}]
        posted = server.tip(slug, displayName="N\u00f3de", message="\U0001f600")
        client.wait_for(lambda lines: len(lines) >= 4, "the event")
        notified = json.loads(json.loads(client.lines[3])["message"])
        assert notified["cursor"] == posted["cursor"]
        assert notified["payload"]["campaignTip"]["displayName"] == "N\u00f3de"
        assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
        client.wait_for(lambda lines: {"close": 1008} in map(json.loads, lines), "close code 1008")
