"""The Event Hook: who may listen, what is refused and how, and every byte of a stream."""

import json
import re
import types

import pytest

from support import http as web
from support.eventstream import STREAM, EventStream, stream_request
from support.rawsocket import RawSocket, tip_head
from support.server import fresh


@pytest.fixture(scope="module")
def cast(server):
    """Alice owns two pages, Bob one; Bob is a member of Alice's second. Carol has one page, and nothing to choose."""
    alice, bob, carol = (server.account(fresh(name)) for name in ("alice", "bob", "carol"))
    cast = types.SimpleNamespace(
        alice=server.key(account=alice), bob=server.key(account=bob), carol=server.key(account=carol),
        own=server.page(owner=alice), shared=server.page(owner=alice), bobs=server.page(owner=bob),
        carols=server.page(owner=carol), alice_name=alice, bob_name=bob)
    assert server.call("PUT", f"/api/v1/pages/{cast.shared}/members/{bob}").status == 204
    return cast


def refusal(server, status, parameters="", headers=None, method="GET"):
    """A refusal in the Event Hook's form: `{"error":"…"}`, which a page in a browser may read."""
    answer = server.hook(parameters, headers, method)
    assert answer.status == status, answer
    assert answer.content_type == "application/json", answer
    assert answer.headers["Cache-Control"] == "no-store", answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == "*", answer.headers
    if method != "HEAD":
        assert list(answer.json) == ["error"] and isinstance(answer.json["error"], str) and answer.json["error"]
    return answer


# Every byte


def test_a_stream_begins_with_the_documented_head_and_connected(server, cast):
    with RawSocket(server.port) as connection:
        connection.send(stream_request(web.query(token=cast.carol)))
        lines = connection.until(b"\r\n\r\n").decode("ascii").split("\r\n")
        assert lines[0] == "HTTP/1.1 200 OK"
        headers = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        date = dict(headers).pop("Date")
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date), date
        assert sorted(header for header in headers if header[0] != "Date") == [
            ("Access-Control-Allow-Origin", "*"),
            ("Cache-Control", "no-cache, no-transform"),
            ("Connection", "keep-alive"),
            ("Content-Type", "text/event-stream"),
            ("Transfer-Encoding", "chunked"),
            ("X-Accel-Buffering", "no"),
        ]
        content = b'data: {"type":"connected"}\n\n'
        chunk = b"%x\r\n%s\r\n" % (len(content), content)
        assert connection.take(len(chunk)) == chunk
        # And not one byte more until something happens.
        tip = server.tip(cast.carols)["tip"]["id"]
        assert f'"tipId":"{tip}"'.encode() in connection.until(b"\n\n\r\n")
        assert not connection.buffer


def test_a_message_is_one_data_line_and_an_empty_line_and_nothing_else(server):
    slug = server.page()
    with server.stream(server.admin, slug) as stream:
        stream.connected()
        tips = [
            server.tip(
                slug, message="two\nlines: \u2028 and \u2029\n\ndata: {}\nid: 7\n\n", displayName="a:b"),
            server.tip(slug, message=": no comment"), server.tip(slug, message="\ufeffretry: 1\nevent: x")]
        for tip in tips:
            piece = stream.piece().decode("utf-8")
            # Python's own idea of a line's end is wider than the standard's three.
            assert re.fullmatch(r"data: \{[^\r\n]+\}\n\n", piece), piece
            assert json.loads(piece[6:])["message"] == tip["tip"]["message"]


@pytest.mark.parametrize("message", [
    "\ufeff", "\ufeffBOM first", "line\nline", "\n", "\u2028\u2029", "\U0001f600\U0001f469\u200d\U0001f4bb",
    "\"\\/",
    "e\u0301 \u00e9 \u202e", "data: x", "{}", "</script>", "\U0010ffff\ufffe", "a" * 1000])
def test_any_text_arrives_unchanged(server, cast, message):
    with server.stream(cast.carol) as stream:
        stream.connected()
        server.tip(cast.carols, message=message, displayName=f"N{message[:50]}N")
        received = stream.message()
        assert received["message"] == message and received["displayName"] == f"N{message[:50]}N"


def test_every_message_has_the_documented_members_in_the_documented_order(server):
    slug = server.page()
    goals = [
        server.goal(slug, 5_000, "New Webcam Fund"), server.goal(slug, 10_000, "Lighting Upgrade"),
        server.goal(slug, 20_000, "Stage \u00abB\u00bb")]
    with server.stream(server.admin, slug) as stream:
        stream.connected()
        first = server.tip(slug, displayName="Jamie", message="Keep it up!", grossAmountInCents=500)["tip"]
        text = stream.text()
        assert list(json.loads(text).items()) == [
            ("type", "tip:received"), ("tipId", first["id"]), ("amount", 500), ("displayName", "Jamie"),
            ("message", "Keep it up!"), ("isAnonymous", False), ("goalId", goals[0]["id"]), ("goalProgress", 500),
            ("goalTarget", 5_000), ("timestamp", first["processedAt"])]
        assert text.startswith('{"type":"tip:received","tipId":"') and '"amount":500,' in text
        second = server.tip(slug, displayName="Jamie", grossAmountInCents=15_000)["tip"]
        assert json.loads(stream.text())["goalProgress"] == 5_000
        lighting = {"id": goals[1]["id"], "description": "Lighting Upgrade", "amount": 10_000, "progress": 10_000}
        stage = {"id": goals[2]["id"], "description": "Stage \u00abB\u00bb", "amount": 20_000, "progress": 500}
        assert list(stream.message().items()) == [
            ("type", "tip:goal-completed"), ("goalId", goals[0]["id"]), ("goalName", "New Webcam Fund"),
            ("goalTarget", 5_000), ("overflowAmount", 10_500), ("nextGoal", lighting), ("chainIndex", 0),
            ("chainTotal", 2)]
        completed = stream.message()
        assert list(completed.items()) == [
            ("type", "tip:goal-completed"), ("goalId", goals[1]["id"]), ("goalName", "Lighting Upgrade"),
            ("goalTarget", 10_000), ("overflowAmount", 500), ("nextGoal", stage), ("chainIndex", 1), ("chainTotal", 2)]
        assert list(completed["nextGoal"]) == ["id", "description", "amount", "progress"]
        assert list(stream.message().items()) == [
            ("type", "tip:overflow-chain"), ("tipId", second["id"]), ("totalAmount", 15_000), ("goalsCompleted", 2),
            ("goalIds", [goals[0]["id"], goals[1]["id"]])]
        updated = stream.message()
        assert list(updated.items()) == [
            ("type", "tip:queue-updated"), ("activeGoal", stage), ("goalCount", 3), ("completedGoalCount", 2)]
        assert list(updated["activeGoal"]) == ["id", "description", "amount", "progress"]


def test_without_a_goal_and_a_message_there_are_nulls(server, cast):
    with server.stream(cast.carol) as stream:
        stream.connected()
        tip = server.tip(cast.carols, displayName="Ada", message="", grossAmountInCents=1)["tip"]
        assert stream.text() == (
            f'{{"type":"tip:received","tipId":"{tip["id"]}","amount":1,"displayName":"Ada","message":null,'
            f'"isAnonymous":false,"goalId":null,"goalProgress":null,"goalTarget":null,'
            f'"timestamp":"{tip["processedAt"]}"}}')


def test_nobodys_hidden_name_is_told(server, cast):
    secret = fresh("Reginald-Secretname")
    with server.stream(cast.carol) as stream:
        stream.connected()
        server.tip(cast.carols, displayName=secret, isAnonymous=True, message="psst")
        for name in (None, "", "  "):
            server.tip(cast.carols, displayName=name, isAnonymous=False)
        for message in ("psst", None, None, None):
            received = stream.message()
            assert (received["displayName"], received["isAnonymous"]) == ("Anonymous", True), received
            assert received["message"] == message


def test_replays_and_refunds_are_not_told_but_what_they_change_is(server):
    slug = server.page()
    with server.stream(server.admin, slug) as stream, server.feed(server.admin, "activity-feed", slug) as feed:
        stream.connected()
        before = server.tip(slug)["tip"]["id"]
        goal = server.goal(slug, 1_000)
        inside = server.tip(slug, grossAmountInCents=300)["tip"]["id"]
        assert [stream.message()["type"] for _ in range(3)] == ["tip:received", "tip:queue-updated", "tip:received"]
        server.replay(slug, before)
        server.replay(slug, inside)
        server.refund(slug, before)
        server.refund(slug, inside)
        updated = stream.message()
        assert updated["type"] == "tip:queue-updated"
        assert updated["activeGoal"] == {
            "id": goal["id"], "description": "Something", "amount": 1_000, "progress": 0}
        last = server.tip(slug)["tip"]["id"]
        assert stream.message()["tipId"] == last
        # Pally shows replays, and neither goals nor refunds.
        assert feed.tip_ids(5) == [before, inside, before, inside, last]


def test_keepalives_are_comments_and_come_by_the_clock(make_server):
    server = make_server("--sse-keepalive-seconds", "1")
    slug = server.page()
    with server.stream(server.admin, slug) as stream, server.stream(server.admin, slug, resume="true") as resuming:
        stream.connected()
        for _ in range(2):
            assert stream.piece() == b": keepalive\n\n"
        assert resuming.resumed()[0] == "resumed"
        resuming.keepalive()
        tip = server.tip(slug)["tip"]["id"]
        assert stream.message()["tipId"] == tip == resuming.identified()[1]["tipId"]
        stream.keepalive()


# How it is asked for


def test_a_key_may_stand_in_the_query_or_in_a_header(server, cast):
    for headers in ({"Authorization": f"{scheme} {cast.carol}"} for scheme in ("Bearer", "bearer", "BEARER")):
        server.stream(headers=headers).connected().close()
    server.stream(cast.carol).connected().close()
    refusal(server, 401, headers={"Authorization": f"Basic {cast.carol}"})
    refusal(server, 401, headers={"Authorization": cast.carol})
    for foreign in ("auth", "key", "api_key", "Token"):
        refusal(server, 401, f"{foreign}={cast.carol}")


def test_of_a_query_key_and_a_header_the_query_wins_and_an_empty_one_is_none(server, cast):
    bad = "tw_" + "4" * 64
    server.stream(cast.carol, headers={"Authorization": f"Bearer {bad}"}).connected().close()
    refusal(server, 401, f"token={bad}", {"Authorization": f"Bearer {cast.carol}"})
    server.stream("", headers={"Authorization": f"Bearer {cast.carol}"}).connected().close()
    refusal(server, 401, "token=")


def test_names_and_values_are_decoded_the_first_of_a_name_counts_and_unknown_ones_do_not(server, cast):
    bad = "tw_" + "5" * 64
    parameters = f"utm=x&&=&a&%74oken={cast.alice}&token={bad}&page={cast.own.upper().replace('-', '%2D')}&page=nope"
    EventStream.open(server.port, parameters).connected().close()
    refusal(server, 401, f"token={bad}&token={cast.alice}")


@pytest.mark.parametrize("bad", ["nonsense", "tw_" + "0" * 64, "tw_" + "F" * 64, "%00", "tw_%ff", "x" * 4000])
def test_an_unknown_key_is_refused_with_401_and_not_repeated(server, bad):
    assert bad not in refusal(server, 401, f"token={bad}").text


def test_a_missing_key_and_one_without_events_read_are_refused_with_401(server):
    refusal(server, 401)
    for scope in ("tips:write", "manage"):
        slug = server.page()
        refusal(server, 401, web.query(token=server.key(scope), page=slug))


def test_the_only_page_need_not_be_named(server, cast):
    with server.stream(cast.carol) as stream:
        stream.connected()
        server.tip(cast.own)
        assert server.tip(cast.carols)["tip"]["id"] == stream.message()["tipId"]
    limited = server.key(account=cast.alice_name, pages=[cast.shared])
    with server.stream(limited) as stream:
        stream.connected()
        server.tip(cast.own)
        assert server.tip(cast.shared)["tip"]["id"] == stream.message()["tipId"]


def test_among_several_pages_a_missing_name_is_refused_with_400_that_names_them(server, cast):
    for key, pages in ((cast.alice, (cast.own, cast.shared)), (cast.bob, (cast.bobs, cast.shared))):
        for parameters in (web.query(token=key), web.query(token=key, page="")):
            error = refusal(server, 400, parameters).json["error"]
            assert "page" in error
            named = {slug for slug in (cast.own, cast.shared, cast.bobs, cast.carols) if slug in error}
            assert named == set(pages), error


def test_without_any_page_there_is_nothing_to_choose(server):
    refusal(server, 400, web.query(token=server.key(account=server.account())))


def test_a_page_is_open_to_its_owner_and_to_members(server, cast):
    for key in (cast.alice, cast.bob):
        with server.stream(key, cast.shared.upper()) as stream:
            stream.connected()
            assert server.tip(cast.shared)["tip"]["id"] == stream.message()["tipId"]


def test_a_foreign_page_is_refused_with_403_like_one_that_does_not_exist(server, cast):
    answers = [
        refusal(server, 403, web.query(token=cast.bob, page=page)).body
        for page in (cast.own, fresh("nobody"), "no slug!", "x" * 200)]
    assert len(set(answers)) == 1, "slugs could be probed"
    limited = server.key(account=cast.alice_name, pages=[cast.own])
    assert refusal(server, 403, web.query(token=limited, page=cast.shared)).body == answers[0]
    # With the scope `admin` it is still its own account's pages that a feed shows.
    assert refusal(server, 403, web.query(token=server.admin, page=cast.own)).body == answers[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "PROPFIND"])
def test_another_method_is_refused_with_405_before_anything_else(server, cast, method):
    for parameters in (web.query(token=cast.carol), ""):
        answer = refusal(server, 405, parameters, method=method)
        assert answer.headers["Allow"] == "GET, OPTIONS"
        assert (answer.body == b"") == (method == "HEAD"), "a HEAD has no body"


def test_there_is_no_stream_beside_its_path(server, cast):
    for path in (STREAM + "/", STREAM + "s", "/api/tip-events", STREAM.upper()):
        assert server.raw("GET", f"{path}?{web.query(token=cast.carol)}").status == 404


def test_an_address_that_keeps_failing_gets_429_and_a_good_key_passes_still(make_server):
    server = make_server("--auth-max-failures-per-minute", "5")
    slug = server.page()
    for number in range(5):
        refusal(server, 401, f"token=tw_{number:064x}")
    answer = refusal(server, 429, f"token=tw_{5:064x}")
    assert int(answer.headers["Retry-After"]) > 0
    server.stream(server.admin, slug).connected().close()


def test_without_room_there_is_503_and_with_room_again_there_is_not(make_server):
    server = make_server("--feed-max-connections", "2")
    slug = server.page()
    with server.stream(server.admin, slug) as first, server.feed(server.admin) as feed:
        first.connected()
        feed.says_nothing_but_pong()
        answer = refusal(server, 503, web.query(token=server.admin, page=slug))
        assert int(answer.headers["Retry-After"]) > 0
        refusal(server, 401, "token=nonsense")
        # Sockets and streams share the room.
        assert server.handshake(web.query(auth=server.admin, channel="firehose")).status == 503


# Other origins


def test_a_preflight_is_answered_with_204_and_what_may_be_sent(server):
    answer = server.hook(method="OPTIONS", headers={
        "Origin": "https://overlay.example", "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id"})
    assert answer.status == 204 and answer.body == b"", answer
    assert "Content-Length" not in answer.headers, "RFC 9110, 8.6"
    assert answer.headers["Allow"] == "GET, OPTIONS"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "last-event-id"} <= set(allowed)


def test_only_configured_origins_may_read(make_server):
    server = make_server(
        "--cors-allowed-origins", "https://Overlay.example,http://localhost:3000",
        "--auth-max-failures-per-minute", "0")
    slug = server.page()
    good = {"token": server.admin, "page": slug}

    def allowed(origin):
        """What each kind of answer says to a page of this origin; they must be of one mind."""
        headers = {"Origin": origin} if origin else {}
        with server.stream(server.admin, slug, headers=headers) as stream:
            stream.connected()
            said = [stream.headers.get("access-control-allow-origin")]
            assert stream.headers["vary"] == "Origin", "a cache must not give one origin's answer to another"
        for answer in (
            server.hook(method="OPTIONS", headers=headers), server.hook(headers=headers),
            server.hook(web.query(**good), headers, "POST"),
        ):
            assert answer.headers["Vary"] == "Origin"
            said.append(answer.headers["Access-Control-Allow-Origin"])
        assert len(set(said)) == 1, said
        return said[0]

    for origin in ("https://overlay.example", "http://localhost:3000"):
        assert allowed(origin) == origin
    for origin in (
        None, "null", "https://overlay.example:444", "http://overlay.example", "https://evil.overlay.example",
        "https://overlay.example.evil", "http://localhost", "*",
    ):
        assert allowed(origin) is None, origin
    preflight = server.hook(method="OPTIONS", headers={"Origin": "https://evil.example"})
    assert preflight.status == 204 and "Access-Control-Allow-Headers" not in preflight.headers


# The connection


def test_http_1_0_gets_the_stream_without_chunks_to_the_connections_end(server):
    slug = server.page()
    key = server.key_object(pages=[slug])
    with server.stream(key["key"], version="1.0") as stream:
        assert "transfer-encoding" not in stream.headers
        assert stream.headers["connection"] == "close"
        stream.connected()
        tip = server.tip(slug)["tip"]["id"]
        assert stream.message()["tipId"] == tip
        server.delete(f"/api/v1/keys/{key['id']}")
        stream.ended()


def test_a_kept_alive_connection_becomes_a_stream(server, cast):
    with RawSocket(server.port) as connection:
        connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response()[0] == 200
        connection.send(stream_request(web.query(token=cast.carol)))
        stream = EventStream(connection).connected()
        assert server.tip(cast.carols)["tip"]["id"] == stream.message()["tipId"]


def test_a_stream_asked_for_in_one_breath_behind_a_tip_begins_after_the_tip(server):
    slug = server.page()
    with RawSocket(server.port) as connection:
        body = b'{"grossAmountInCents":5}'
        connection.send(
            tip_head(server, slug, body) + body + stream_request(web.query(token=server.admin, page=slug)))
        assert connection.response()[0] == 201
        stream = EventStream(connection).connected()
        assert server.tip(slug)["tip"]["id"] == stream.message()["tipId"]


@pytest.mark.parametrize("kind", ["server", "secure"])
def test_a_stream_asked_for_behind_a_long_answer_that_is_read_late_begins_behind_it(request, kind):
    server = request.getfixturevalue(kind)
    slug = server.page()
    server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 900}] * 1_000)
    with RawSocket(server.port, receive_buffer=4_096, context=server.context) as connection:
        connection.send(
            f"GET /api/v1/pages/{slug}/tips?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n\r\n".encode()
            + stream_request(web.query(token=server.admin, page=slug)))
        status, headers = connection.head()
        assert status == 200
        if "content-length" in headers:
            answer = connection.take(int(headers["content-length"]))
        else:
            answer = b""
            while size := int(connection.until(b"\r\n"), 16):
                answer += connection.take(size)
                connection.take(2)
            connection.take(2)
        # As many as fit in one answer. The last of it was on its way in the server when the stream was let in.
        assert len(answer) > 400_000 and json.loads(answer)["data"]
        stream = EventStream(connection).connected()
        tips = [server.tip(slug)["tip"]["id"] for _ in range(3)]
        assert [stream.message()["tipId"] for _ in range(3)] == tips


@pytest.mark.parametrize("behind", [
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal", b"GET / HT",
    b"\x00 no HTTP\r\n\r\n"], ids=["a request", "half a body", "half a head", "no HTTP"])
@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["at first", "after a request"])
@pytest.mark.parametrize("kind", ["server", "secure"])
def test_what_a_client_sends_in_one_breath_behind_a_stream_is_for_nobody(request, kind, before, behind):
    server = request.getfixturevalue(kind)
    slug = server.page()
    asking = stream_request(web.query(token=server.admin, page=slug))
    for breaths in ([before, asking + behind], [before + asking + behind]):
        if before and len(breaths) == 1 and b"no HTTP" in behind:
            # It comes while the request before is being answered, and ends the connection after that answer.
            continue
        with RawSocket(server.port, context=server.context) as connection:
            for breath in filter(None, breaths):
                connection.send(breath)
                if breath is before:
                    assert connection.response()[0] == 200
            if before and len(breaths) == 1:
                assert connection.response()[0] == 200
            stream = EventStream(connection).connected()
            assert server.tip(slug)["tip"]["id"] == stream.message()["tipId"]


def test_the_absolute_form_and_a_request_in_pieces_are_read_too(server, cast):
    request = stream_request(web.query(token=cast.carol))
    request = request.replace(b"GET /", f"GET http://127.0.0.1:{server.port}/".encode(), 1)
    with RawSocket(server.port) as connection:
        for place in range(0, len(request), 7):
            connection.send(request[place:place + 7])
        EventStream(connection).connected()


def test_what_a_client_says_into_its_stream_is_ignored(server, cast):
    with server.stream(cast.carol) as stream:
        stream.connected()
        stream.connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nping" + bytes(range(256)) * 50)
        assert server.tip(cast.carols)["tip"]["id"] == stream.message()["tipId"]
