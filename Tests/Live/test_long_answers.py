"""What is longer than the kernel takes at once, and whole requests, where the connection ends behind them."""

import json
import signal
import threading
import time

import pytest

from support import http as web
from support.http2 import HTTP2
from support.rawsocket import RawSocket, tip_head, upgrade_request
from support.server import wait_until_closed

TIPS = 1_000
# A client that takes nothing for so long has not gone.
PAUSE = 1.5


def request(server, target, more=""):
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n{more}\r\n".encode()


def long_list(server):
    """Where a list is that takes some hundred KB."""
    slug = server.page()
    tips = [{"id": f"tip-{number}", "grossAmountInCents": 500, "message": "m" * 240} for number in range(TIPS)]
    answer = server.post(f"/api/v1/pages/{slug}/tips:batch", {"tips": tips})
    assert answer.status == 201, answer
    return f"/api/v1/pages/{slug}/tips?limit={TIPS}"


@pytest.mark.parametrize("by_tls, end", [
    (False, "half-closed"), (False, "half-closed behind a stream's request"), (False, "half-closed behind no HTTP"),
    (False, "half-closed and closed"), (False, "shutdown"), (True, "shutdown"), (False, "half-closed and shutdown")])
def test_a_long_answer_comes_whole_though_the_connection_ends(make_server, certificate, by_tls, end):
    server = make_server(certificate=certificate if by_tls else None)
    target = long_list(server)
    with RawSocket(server.port, receive_buffer=4096, context=server.context if by_tls else None) as client:
        asked = request(server, target, "Connection: close\r\n" if "closed and closed" in end else "")
        client.send(asked + (b"nonsense\r\n\r\n" if "no HTTP" in end else b""))
        if "no HTTP" in end:
            client.half_close()
        # The answer is under way, and most of it can't be in the kernel.
        assert client.fill()
        if "stream" in end:
            client.send(upgrade_request(web.query(auth=server.admin, channel="firehose")))
        elif "and shutdown" in end:
            client.send(request(server, "/health"))
        if "half-closed" in end and "no HTTP" not in end:
            client.half_close()
        if "shutdown" in end:
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
        time.sleep(PAUSE)
        status, _, body = client.response()
        assert status == 200 and len(body) > 300_000
        assert len(json.loads(body)["data"]) == TIPS
        if "no HTTP" in end:
            assert client.response()[0] == 400
        rest = client.rest()
        # What was sent before the shutdown may have its answer.
        assert rest == b"" or "and shutdown" in end and rest.startswith(b"HTTP/1.1 200 ")


def test_a_long_answer_over_http_2_comes_whole_though_the_server_shuts_down(make_server, certificate):
    server = make_server(certificate=certificate)
    target = long_list(server)
    with HTTP2(server) as client:
        number = client.open("GET", target, [("authorization", f"Bearer {server.admin}")])
        client.until(lambda: client.streams[number].body, "its first bytes")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(PAUSE)
        answer = client.answer(number)
        assert answer.status == 200 and len(json.loads(answer.body)["data"]) == TIPS


def test_a_stream_asked_for_behind_an_answer_that_nobody_takes_is_ended_by_the_limits_of_http(make_server):
    server = make_server("--http-body-seconds", "1")
    target = long_list(server)
    baseline = server.sockets()
    with RawSocket(server.port, receive_buffer=4096) as client:
        client.send(request(server, target) + upgrade_request(web.query(auth=server.admin, channel="firehose")))
        assert client.fill()
        wait_until_closed(server, baseline, slack=0)
        assert server.samples()['tipwire_connections{kind="feed"}'] == 0


@pytest.mark.parametrize("before", [0, 1])
def test_a_whole_tip_is_answered_though_the_client_ends_its_side_in_the_next_request(make_server, before):
    server = make_server()
    slug = server.page()
    for number in range(20):
        tip = json.dumps({"grossAmountInCents": 5, "id": f"whole-{number}"}).encode()
        cut = json.dumps({"grossAmountInCents": 5, "id": f"cut-{number}"}).encode()
        with RawSocket(server.port) as client:
            client.send(
                b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * before + tip_head(server, slug, tip) + tip
                + tip_head(server, slug, cut) + cut[:9])
            client.half_close()
            for _ in range(before):
                assert client.response()[0] == 200
            assert client.response()[0] == 201
            assert client.rest() == b""
    ids = {tip["id"] for tip in server.get(f"/api/v1/pages/{slug}/tips?limit=100").json["data"]}
    assert ids == {f"whole-{number}" for number in range(20)}


@pytest.mark.parametrize("behind", [b"nonsense\r\n\r\n", tip_head], ids=["no HTTP", "half a request"])
def test_a_whole_request_that_waits_for_its_turn_is_answered_before_what_is_none(make_server, behind):
    """The turn comes a moment after the answer before it, in which what comes behind must take nothing away."""
    server = make_server()
    slug = server.page()
    for number in range(40):
        tip = json.dumps({"grossAmountInCents": 5, "id": f"tip-{number}"}).encode()
        rest = behind(server, slug, b"x" * 9) if callable(behind) else behind
        with RawSocket(server.port) as client:
            client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + tip_head(server, slug, tip) + tip)
            if number % 2:
                assert client.response()[0] == 200
            client.send_what_is_taken(rest)
            client.half_close()
            if not number % 2:
                assert client.response()[0] == 200
            status, _, body = client.response()
            assert status == 201, (number, status, body)


@pytest.mark.parametrize("before", [0, 1, 5])
def test_a_stream_is_refused_though_the_client_has_ended_its_side(make_server, before):
    server = make_server()
    refused = upgrade_request(web.query(auth="tw_" + "0" * 64, channel="firehose"))
    for _ in range(5):
        with RawSocket(server.port) as client:
            client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * before + refused)
            client.half_close()
            for _ in range(before):
                assert client.response()[0] == 200
            assert client.response()[0] == 401
            assert client.rest() == b""


def test_what_follows_the_last_answer_of_a_connection_is_kept_nowhere(make_server):
    server = make_server()
    before = server.resident()
    end = time.monotonic() + 3

    def pour():
        # Several ways to keep a connection were never a standard's for HTTP/1.0: each answer is the last.
        one = b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        try:
            with RawSocket(server.port) as client:
                while time.monotonic() < end:
                    client.send(one * 2_000)
        except OSError:
            pass

    threads = [threading.Thread(target=pour) for _ in range(4)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, server.resident())
        time.sleep(0.02)
    assert most - before < 32 << 20, f"{(most - before) >> 20} MiB more"
