"""A single tip goes a short way through the server, all other requests a longer one. Nobody may be able to tell which.

The long way is forced by a query, which a tip's address doesn't have and which no route minds."""

import http.client
import json
import re
import time

import pytest

from support.http import Answer
from support.rawsocket import RawSocket, tip_head
from support.server import fresh
from support.waiting import eventually

TIP = {"grossAmountInCents": 500, "displayName": "Ada", "message": "Hi"}
VOLATILE = re.compile(
    r'"(id|cursor|createdAt|processedAt|time)":"[^"]*"|"sequence":\d+|/[a-z]+[-\w]*/[\w-]+(?=")')


def both(server, path, body, headers):
    """The answers by the short way and by the long one."""
    return [
        server.raw("POST", path + query, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)
        for query in ("", "?way=long")]


def shape(answer):
    """What must be the same whichever way the request went."""
    headers = sorted(
        (name.lower(), "" if name.lower() in ("date", "content-length") else value)
        for name, value in answer.headers.items()
        # Whether the connection goes on depends on how much of the body has come by the time of a refusal.
        if answer.status < 400 or name.lower() != "connection")
    return answer.status, headers, VOLATILE.sub("*", answer.text)


@pytest.fixture
def page(server):
    return server.page()


def with_key(token, **more):
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | more


CASES = {
    "a tip": (TIP, {}),
    "a tip with everything": (
        TIP | {"id": None, "processingFeeInCents": 10, "isAnonymous": True, "createdAt": "2026-01-31T12:00:00Z"}, {}),
    "no amount": ({"displayName": "Ada"}, {}),
    "two mistakes": ({"grossAmountInCents": 0, "colour": "red"}, {}),
    "a list": ([], {}),
    "no JSON": (b"{", {}),
    "an empty body": (b"", {}),
    "a name of 64 KiB": (TIP | {"displayName": "x" * 60_000}, {}),
    "more than a request may have": (TIP | {"message": "x" * 70_000}, {}),
    "an idempotency key": (TIP, {"Idempotency-Key": "once"}),
    "a bad idempotency key": (TIP, {"Idempotency-Key": "a b"}),
    "another media type": (TIP, {"Content-Type": "text/plain"}),
    "a media type with a parameter": (TIP, {"Content-Type": "application/json; charset=utf-8"}),
    "no media type": (TIP, {"Content-Type": ""}),
    "a wrong key": (TIP, {"Authorization": "Bearer tpw_wrong"}),
    "another scheme": (TIP, {"Authorization": "Basic eDp5"}),
    "the scheme in capitals": (TIP, {"Authorization": None}),
    "a wait for the word": (TIP, {"Expect": "100-continue"}),
    "the last request": (TIP, {"Connection": "close"}),
    "a foreign origin": (TIP, {"Origin": "https://example.com"}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_ways_answer_alike(server, page, name):
    body, headers = CASES[name]
    headers = with_key(server.admin) | headers
    if headers["Authorization"] is None:
        headers["Authorization"] = f"BEARER  {server.admin} "
    answers = []
    for number, query in enumerate(("", "?way=long")):
        sent = body
        if isinstance(body, dict) and "id" in body:
            sent = body | {"id": fresh("tip")}
        own = dict(headers)
        if own.get("Idempotency-Key") == "once":
            own["Idempotency-Key"] = fresh("once")
        answers.append(server.raw(
            "POST", f"/api/v1/pages/{page}/tips{query}", sent if isinstance(sent, bytes) else json.dumps(sent).encode(),
            own))
    assert shape(answers[0]) == shape(answers[1])


@pytest.mark.parametrize("scopes", [["events:read"], ["manage"], ["tips:write"]])
def test_scopes_count_on_both_ways(server, page, scopes):
    short, long = both(server, f"/api/v1/pages/{page}/tips", TIP, with_key(server.key(*scopes)))
    assert shape(short) == shape(long)
    assert short.status == (201 if scopes == ["tips:write"] else 403)


def test_a_page_that_is_not_there_or_not_theirs(server, page):
    limited = server.key("tips:write", pages=[page])
    other = server.page()
    for slug in (other, "nowhere", "UPPER", "%2e%2e", "a/b", ""):
        short, long = both(server, f"/api/v1/pages/{slug}/tips", TIP, with_key(limited))
        assert shape(short) == shape(long), slug
        assert short.status == (404 if slug else 405), slug


def test_a_repeat_on_one_way_knows_what_the_other_kept(server, page):
    path = f"/api/v1/pages/{page}/tips"
    headers = with_key(server.admin)
    first = server.raw("POST", path, json.dumps(TIP | {"id": "one"}).encode(), headers)
    again = server.raw("POST", path + "?way=long", json.dumps(TIP | {"id": "one"}).encode(), headers)
    back = server.raw("POST", path, json.dumps(TIP | {"id": "one"}).encode(), headers)
    assert (first.status, again.status, back.status) == (201, 200, 200)
    assert first.json == again.json == back.json
    other = TIP | {"id": "one", "grossAmountInCents": 700}
    short, long = both(server, path, other, headers)
    assert short.status == 409 and shape(short) == shape(long)
    assert short.json["errors"] == [{"field": "id", "detail": "stands for a tip with other content"}]
    keyed = with_key(server.admin, **{"Idempotency-Key": "k"})
    assert server.raw("POST", path, json.dumps(TIP).encode(), keyed).status == 201
    assert server.raw("POST", path + "?way=long", json.dumps(TIP).encode(), keyed).status == 200
    short, long = both(server, path, TIP | {"message": "other"}, keyed)
    assert short.status == 409 and shape(short) == shape(long)


def test_ways_change_on_one_connection(server, page):
    """The HTTP service joins a connection in its midst, and tips go past it afterwards."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    path = f"/api/v1/pages/{page}/tips"
    body = json.dumps(TIP).encode()
    wanted = [("POST", path, 201), ("GET", "/api/v1/pages", 200), ("POST", path, 201), ("POST", path, 201),
              ("POST", path + "?way=long", 201), ("GET", "/nowhere", 404), ("POST", path, 201)]
    for method, target, status in wanted * 3:
        connection.request(method, target, body if method == "POST" else None, with_key(server.admin))
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        assert answer.status == status, (method, target, answer)
    assert len(server.get(f"/api/v1/pages/{page}/tips?limit=200").json["data"]) == 15
    connection.close()


def request(server, page, tip, end=None):
    body = json.dumps(tip).encode()
    return tip_head(server, page, body) + body[:end]


def answer_of(socket):
    status, headers, body = socket.response()
    return status, json.loads(body), headers


def test_pipelined_requests_are_answered_in_their_order(server, page):
    with RawSocket(server.port) as socket:
        requests = [request(server, page, TIP | {"id": f"p{number}"}) for number in range(20)]
        # Others among them, one of which comes in two packets.
        requests.insert(7, f"GET /api/v1/pages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n\r\n".encode())
        stream = b"".join(requests)
        socket.send(stream[:1_000])
        time.sleep(0.05)
        socket.send(stream[1_000:])
        ids = []
        for _ in requests:
            status, document, _ = answer_of(socket)
            ids.append(document["tip"]["id"] if status == 201 else status)
        assert ids == [f"p{number}" for number in range(7)] + [200] + [f"p{number}" for number in range(7, 20)]


def test_a_body_in_single_bytes(server, page):
    with RawSocket(server.port) as socket:
        for byte in request(server, page, TIP):
            socket.send(bytes([byte]))
        assert answer_of(socket)[0] == 201
        socket.send(request(server, page, TIP))
        assert answer_of(socket)[0] == 201


def test_a_body_that_ends_early_is_no_tip(server, page):
    for end in ("half_close", "close", "reset"):
        socket = RawSocket(server.port)
        socket.send(request(server, page, TIP, end=-5))
        getattr(socket, end)()
        socket.close()
    assert server.get(f"/api/v1/pages/{page}/tips").json["data"] == []


def test_a_client_that_goes_before_its_answer_has_tipped(server, page):
    socket = RawSocket(server.port)
    socket.send(request(server, page, TIP))
    socket.half_close()
    assert answer_of(socket)[0] == 201
    assert socket.rest() == b""
    socket = RawSocket(server.port)
    socket.send(request(server, page, TIP))
    socket.close()
    eventually(lambda: len(server.get(f"/api/v1/pages/{page}/tips").json["data"]) == 2, "both tips are there")


def test_nonsense_behind_a_tip_leaves_the_tip_its_answer(server, page):
    with RawSocket(server.port) as socket:
        socket.send(request(server, page, TIP) + b"\x00\x01 nonsense\r\n\r\n")
        status, _, headers = answer_of(socket)
        assert status == 201


@pytest.mark.parametrize("query", ["", "?way=long"])
def test_nonsense_in_several_packets_leaves_the_tip_its_answer(server, page, query):
    """What follows comes while the tip is on its way to the disk, where it can't be refused any more."""
    for number in range(100):
        with RawSocket(server.port) as socket:
            socket.send_what_is_taken(
                request(server, page, TIP | {"id": f"n{number}"}).replace(b"/tips HTTP", f"/tips{query} HTTP".encode())
                + b"\x00 nonsense\r\n\r\n")
            for _ in range(number % 4):
                socket.send_what_is_taken(b"more of it\r\n\r\n")
            assert answer_of(socket)[0] == 201, number


def test_a_slow_body_is_told(make_server):
    server = make_server("--http-body-seconds", "1")
    page = server.page()
    with RawSocket(server.port) as socket:
        socket.send(request(server, page, TIP, end=-5))
        status, document, _ = answer_of(socket)
        assert status == 408
        assert "in time" in document["error"]


def test_a_key_that_is_revoked_in_the_midst_of_a_body_writes_nothing(server, page):
    made = server.key_object("tips:write")
    with RawSocket(server.port) as socket:
        whole = request(server, page, TIP).replace(server.admin.encode(), made["key"].encode())
        socket.send(whole[:-5])
        time.sleep(0.1)
        assert server.call("DELETE", f"/api/v1/keys/{made['id']}").status == 204
        socket.send(whole[-5:])
        status, _, _ = answer_of(socket)
        assert status == 401
    assert server.get(f"/api/v1/pages/{page}/tips").json["data"] == []


def test_answers_are_counted_and_uses_noted(make_server):
    server = make_server()
    page = server.page()
    before = server.samples()
    for _ in range(5):
        assert server.raw("POST", f"/api/v1/pages/{page}/tips", json.dumps(TIP).encode(), with_key(server.admin)).status == 201
    after = server.samples()
    name = 'tipwire_http_responses_total{status="201"}'
    assert after[name] - before.get(name, 0) == 5
    count = "tipwire_http_response_duration_seconds_count"
    assert after[count] - before[count] >= 5
