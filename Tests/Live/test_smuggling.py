"""Requests that two readers could understand differently. Whatever becomes of them, what an attacker has hidden behind
one is never taken for a request of its own; and heads that never end take bounded memory."""

import threading

import pytest

from support.rawsocket import RawSocket
from support.server import fresh


@pytest.fixture(scope="module")
def slug(server):
    return server.page()


POST = b"POST /health HTTP/1.1"


def head(first, *fields):
    return b"\r\n".join((first, b"Host: x", *fields)) + b"\r\n\r\n"


# Each is a head and the start of a body, behind which comes the request that must not be answered. The status is what the
# carrier gets.
CARRIERS = {
    "two lengths": (400, head(POST, b"Content-Length: 0", b"Content-Length: 6") + b"x"),
    "a list of lengths": (400, head(POST, b"Content-Length: 0, 0")),
    "a signed length": (400, head(POST, b"Content-Length: +0")),
    "a hexadecimal length": (400, head(POST, b"Content-Length: 0x0")),
    "a length that overflows": (400, head(POST, b"Content-Length: 18446744073709551616")),
    "a length that can't be counted with": (413, head(POST, b"Content-Length: 9223372036854775808")),
    "a body of 2^64 - 1 bytes": (413, head(POST, b"Content-Length: 18446744073709551615")),
    "length, then chunked": (400, head(POST, b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "chunked, then length": (400, head(POST, b"Transfer-Encoding: chunked", b"Content-Length: 6") + b"0\r\n\r\n"),
    "chunked in HTTP/1.0": (400, head(b"POST /health HTTP/1.0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "an empty coding": (400, head(POST, b"Transfer-Encoding: ")),
    "another coding": (501, head(POST, b"Transfer-Encoding: identity")),
    "another coding before chunked": (501, head(POST, b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    "another coding behind chunked": (400, head(POST, b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n"),
    "chunked twice": (400, head(POST, b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n"),
    "codings on two lines": (
        501, head(POST, b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "a coding in quotes": (501, head(POST, b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n"),
    "a coding behind a vertical tab": (400, head(POST, b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n"),
    "a space before the colon": (400, head(POST, b"Transfer-Encoding : chunked") + b"0\r\n\r\n"),
    "a folded header": (400, head(POST, b"Content-Length:\r\n 0")),
    "a header behind a bare LF": (400, head(POST, b"X: y\nContent-Length: 0")),
    "a header behind a bare CR": (400, head(POST, b"X: y\rContent-Length: 0")),
    "a NUL": (400, head(POST, b"X: y\x00", b"Content-Length: 0")),
    "a head that ends with bare LFs": (400, b"POST /health HTTP/1.1\nHost: x\n\n"),
    "a chunk size with a bare LF": (400, head(POST, b"Transfer-Encoding: chunked") + b"0\n\r\n"),
    "a chunk extension with a bare LF": (400, head(POST, b"Transfer-Encoding: chunked") + b"0;a\n\r\n"),
    "a chunk size with a sign": (400, head(POST, b"Transfer-Encoding: chunked") + b"+0\r\n\r\n"),
    "a chunk size that overflows": (400, head(POST, b"Transfer-Encoding: chunked") + b"10000000000000000\r\n\r\n"),
    "a chunk that is longer than its size": (400, head(POST, b"Transfer-Encoding: chunked") + b"1\r\nab\r\n0\r\n\r\n"),
    "two hosts": (400, b"POST /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    "a host with a path": (400, b"POST /health HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    "an upgrade with a body": (
        405, head(b"POST / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 0")),
    "an upgrade to HTTP/2": (
        405, head(POST, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
    "a tunnel": (405, head(b"CONNECT /health HTTP/1.1")),
    "a tunnel with a length": (405, head(b"CONNECT /health HTTP/1.1", b"Content-Length: 0")),
    "HTTP/1.0 that would stay": (405, head(b"POST /health HTTP/1.0", b"Connection: keep-alive")),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_what_is_hidden_behind_an_ambiguous_request_is_never_answered(server, slug, name):
    status, carrier = CARRIERS[name]
    identifier = fresh("hidden")
    body = b'{"grossAmountInCents":500,"id":"%s"}' % identifier.encode()
    hidden = head(
        b"POST /api/v1/pages/%s/tips HTTP/1.1" % slug.encode(), b"Authorization: Bearer " + server.admin.encode(),
        b"Content-Type: application/json", b"Content-Length: %d" % len(body)) + body
    # In one piece, and cut where a reader that has gone on too soon would begin anew.
    for pieces in ([carrier + hidden], [carrier, hidden]):
        with RawSocket(server.port) as connection:
            for piece in pieces:
                connection.send_what_is_taken(piece)
            answered = connection.response()
            assert answered[0] == status, answered
            assert answered[1]["connection"] == "close"
            assert connection.rest() == b""
    assert server.get(f"/api/v1/pages/{slug}/tips/{identifier}").status == 404
    assert server.is_prompt(server.admin, slug)


def test_the_body_of_a_request_without_use_for_one_is_no_request(server):
    """The carriers' counterpart: lengths that say clearly what they mean are honoured, and what follows is answered."""
    hidden = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    length = b"Content-Length: %d" % len(hidden)
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
    with RawSocket(server.port) as connection:
        for request in (
            head(b"GET /health HTTP/1.1", length) + hidden,
            head(b"GET /health HTTP/1.1", b"Transfer-Encoding: chunked") + chunk,
        ):
            connection.send(request + b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.response()[2] == b"ok\n"
            assert connection.response()[2] == b"ready\n"


def test_heads_that_never_end_are_cut_off_and_take_bounded_memory(server, slug):
    """A hundred at a time, two megabytes each, and none of them gets more than the limit into memory."""
    before = server.resident()
    answers = []

    def pour():
        with RawSocket(server.port) as connection:
            connection.send_what_is_taken(b"GET /health HTTP/1.1\r\nHost: x\r\n")
            for _ in range(200):
                connection.send_what_is_taken(b"X: " + b"x" * 10_000 + b"\r\n")
            answers.append(connection.head()[0])

    threads = [threading.Thread(target=pour) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [431] * 100
    # A whole head's limit for each, and as much again for the buffers that it came by; 200 MB were sent.
    assert server.resident() - before < 30_000_000
    assert server.is_prompt(server.admin, slug)


def test_a_hundred_unfinished_heads_hold_no_more_than_the_limit_each(server, slug):
    before = server.resident()
    connections = [RawSocket(server.port) for _ in range(100)]
    try:
        for connection in connections:
            connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"x" * 10_000 + b"\r\n") * 3)
        assert server.is_prompt(server.admin, slug)
        assert server.resident() - before < 30_000_000
    finally:
        for connection in connections:
            connection.close()
