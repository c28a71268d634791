"""HTTP/2 beside HTTP/1.1 on the same port, for everything but WebSockets."""

import json
import re
import shutil
import signal
import subprocess

import pytest

from support import http as web
from support.eventstream import STREAM
from support.http2 import HTTP2
from support.overlaypage import Overlay
from support.server import wait_until_closed
from support.waiting import eventually


@pytest.fixture(scope="module")
def server(secure):
    return secure


@pytest.fixture(scope="module")
def slug(server):
    return server.page()


@pytest.fixture
def client(server):
    with HTTP2(server) as client:
        yield client


def bearer(server):
    return [("authorization", f"Bearer {server.admin}")]


def posting(server, body):
    return bearer(server) + [("content-type", "application/json"), ("content-length", str(len(body)))]


def streams(server, kind="sse"):
    return server.samples()[f'tipwire_connections{{kind="{kind}"}}']


# Calls


def test_calls_are_answered_and_nothing_speaks_of_the_connection(client, server, slug):
    body = b'{"grossAmountInCents":500,"displayName":"Ada"}'
    made = client.call("POST", f"/api/v1/pages/{slug}/tips", posting(server, body), body)
    assert made.status == 201
    identifier = json.loads(made.body)["tip"]["id"]
    read = client.call("GET", f"/api/v1/pages/{slug}/tips/{identifier}", bearer(server))
    assert json.loads(read.body)["displayName"] == "Ada"
    head = client.call("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    allowed = client.call("OPTIONS", "/health")
    assert (allowed.status, allowed.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert client.call("GET", "/nowhere").status == 404
    for stream in client.streams.values():
        assert not {"connection", "keep-alive", "transfer-encoding", "upgrade"} & set(stream.headers), stream.headers


def test_many_requests_at_once_are_answered_each_on_its_stream(client, server, slug):
    bodies = {
        client.open("POST", f"/api/v1/pages/{slug}/tips", posting(server, body), body): index
        for index in range(100)
        if (body := b'{"grossAmountInCents":%d}' % (index + 1))
    }
    for number, index in bodies.items():
        stream = client.answer(number)
        assert stream.status == 201 and json.loads(stream.body)["tip"]["grossAmountInCents"] == index + 1


def test_a_hundred_and_first_stream_at_a_time_ends_the_connection_that_broke_its_word(server, slug):
    with HTTP2(server) as client:
        path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
        numbers = [client.open("GET", path) for _ in range(100)]
        for number in numbers:
            client.messages(number, 1)
        # h2 itself would keep the limit that it was told.
        client.h2.remote_settings[3] = 200
        client.h2.remote_settings.acknowledge()
        extra = client.open("GET", "/health")
        client.until(lambda: client.streams[extra].reset is not None or client.goaway, "the refusal")
        assert client.goaway.error_code == 1 and client.streams[extra].status is None
    eventually(lambda: streams(server) == 0, "the streams to be forgotten")


def test_expectations_are_met_as_on_http_1(client, server, slug):
    body = b'{"grossAmountInCents":500}'
    waiting = client.open(
        "POST", f"/api/v1/pages/{slug}/tips", posting(server, body) + [("expect", "100-continue")], ends=False)
    client.until(lambda: client.streams[waiting].informational, "a 100")
    assert client.streams[waiting].informational == [100]
    client.h2.send_data(waiting, body, end_stream=True)
    client.flush()
    assert client.answer(waiting).status == 201
    refused = client.open(
        "POST", f"/api/v1/pages/{slug}/tips", [("content-length", "26"), ("expect", "100-continue")], ends=False)
    stream = client.answer(refused)
    assert (stream.status, stream.informational) == (401, [])
    for headers, status in (
        ([("expect", "a-miracle")], 417), ([("content-length", "0"), ("content-length", "0")], 400),
        ([("content-length", "+0")], 400), ([("x", "y")] * 101, 431), ([("x", "y" * 17_000)], 431),
        ([("host", "elsewhere")], 400), ([("host", f"127.0.0.1:{client.port}")], 200),
    ):
        answer = client.call("GET", "/health", headers)
        assert answer.status == status and answer.reset is None, headers
        if status != 200:
            assert json.loads(answer.body)["error"], "the whole of it, to its end"
            assert answer.has_ended and len(answer.body) == int(answer.headers["content-length"])
    for path in ("http://evil.example/health", "/\u00e9", "health"):
        assert client.call("GET", path.encode()).status == 400, path
    refused = client.call("GET", STREAM)
    assert refused.status == 401 and refused.has_ended and json.loads(refused.body)["error"]
    assert client.call("GET", "/health").body == b"ok\n"


def test_an_answer_before_the_body_tells_the_client_to_stop_and_costs_only_the_stream(client, server, slug):
    number = client.open(
        "POST", f"/api/v1/pages/{slug}/tips",
        bearer(server) + [("content-type", "application/json"), ("content-length", "30000000")], b"x" * 10_000,
        ends=False)
    client.until(lambda: client.streams[number].reset is not None, "the reset")
    assert client.streams[number].status == 413 and client.streams[number].reset == 0
    assert client.call("GET", "/health").body == b"ok\n"


def test_many_answers_before_their_bodies_cost_only_their_streams(client, server, slug):
    heads = bearer(server) + [("content-type", "application/json"), ("content-length", "30000000")]
    numbers = [client.open("POST", f"/api/v1/pages/{slug}/tips", heads, b"x" * 500, ends=False) for _ in range(90)]
    for number in numbers:
        # Some is on its way while the answer comes.
        client.h2.send_data(number, b"x" * 100)
    client.flush()
    client.until(lambda: all(client.streams[number].reset is not None for number in numbers), "the resets")
    assert {(client.streams[number].status, client.streams[number].reset) for number in numbers} == {(413, 0)}
    assert all(client.streams[number].body for number in numbers)
    assert client.call("GET", "/health").body == b"ok\n" and client.goaway is None


def test_bytes_after_the_end_of_a_stream_end_no_other(server, slug):
    with HTTP2(server) as client:
        neighbour = client.open("GET", f"{STREAM}?{web.query(token=server.admin, page=slug)}")
        client.messages(neighbour, 1)
        number = client.open("GET", f"{STREAM}?{web.query(token=server.admin, page=slug)}")
        client.messages(number, 1)
        client.socket.sendall(bytes([0, 0, 1, 0, 0]) + number.to_bytes(4, "big") + b"x")
        client.until(lambda: client.streams[number].reset is not None, "the reset")
        tip = server.tip(slug)["tip"]
        assert client.messages(neighbour, 2)[1]["tipId"] == tip["id"]


def test_a_large_answer_is_taken_at_the_reader_s_pace(server, slug):
    server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 255}] * 1_000)
    with HTTP2(server, window=20_000) as client:
        stream = client.call("GET", f"/api/v1/pages/{slug}/tips?limit=1000", bearer(server))
        assert stream.status == 200 and len(stream.body) == int(stream.headers["content-length"]) > 300_000


@pytest.mark.parametrize("headers", [
    [("connection", "close")], [("transfer-encoding", "chunked")], [("upgrade", "websocket")], [("Upper", "x")],
    [("content-length", "5")], [("content-length", "-5")], [("x", "a\nb")], [(":path", "/twice")], [(":unknown", "x")],
])
def test_what_http_2_forbids_ends_its_stream_and_no_other_and_is_never_a_request(server, slug, headers):
    with HTTP2(server) as client:
        neighbour = client.open("GET", f"{STREAM}?{web.query(token=server.admin, page=slug)}")
        client.messages(neighbour, 1)
        number = client.open("GET", "/health", headers)
        stream = client.streams[number]
        client.until(lambda: stream.reset is not None or client.goaway or stream.status, "a refusal")
        assert stream.status in (None, 400), stream.status
        assert client.goaway is None
        tip = server.tip(slug)["tip"]
        assert client.messages(neighbour, 2)[1]["tipId"] == tip["id"]
        assert client.call("GET", "/health").status == 200


# Time


def test_bodies_and_readers_that_stop_are_ended_and_an_idle_connection_says_goodbye(make_server, certificate):
    server = make_server("--http-body-seconds", "1", "--http-idle-seconds", "1", certificate=certificate)
    slug = server.page()
    with HTTP2(server) as client:
        number = client.open(
            "POST", f"/api/v1/pages/{slug}/tips", posting(server, b"x" * 26), b'{"gross', ends=False)
        assert client.answer(number).status == 408
        number = client.open("GET", f"{STREAM}?{web.query(token=server.admin, page=slug)}", ends=False)
        assert client.answer(number).status == 408
        client.rest()
        assert client.goaway.error_code == 0
    server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 255}] * 1_000)
    with HTTP2(server, window=20_000, grants=False) as client:
        number = client.open("GET", f"/api/v1/pages/{slug}/tips?limit=1000", bearer(server))
        client.until(lambda: client.streams[number].reset is not None, "the end of a stream that isn't read")


@pytest.mark.parametrize("call, body", [
    ("tips", b'{"grossAmountInCents":5}'), ("tips:batch", b'{"tips":[{"grossAmountInCents":5}]}')])
def test_a_body_without_a_length_that_never_ended_is_none(make_server, certificate, call, body):
    server = make_server("--http-body-seconds", "1", certificate=certificate)
    slug = server.page()
    before, baseline = server.head(slug), server.sockets()
    heads = bearer(server) + [("content-type", "application/json")]

    def begun():
        client = HTTP2(server)
        number = client.open("POST", f"/api/v1/pages/{slug}/{call}", heads, body, ends=False)
        # It has arrived when what was sent behind it has its answer.
        assert client.call("GET", "/health").status == 200
        return client, number

    client, number = begun()
    client.h2.reset_stream(number)
    client.flush()
    assert client.call("GET", "/health").status == 200
    client.close()
    client, number = begun()
    client.close()
    client, number = begun()
    client.h2.close_connection()
    client.flush()
    client.close()
    client, number = begun()
    assert client.answer(number).status == 408
    client.close()
    wait_until_closed(server, baseline, slack=0)
    assert server.is_prompt(server.admin, slug)
    assert len(server.log(slug, before)) == 1
    with HTTP2(server) as client:
        assert client.call("POST", f"/api/v1/pages/{slug}/{call}", heads, body).status == 201


# Event streams


def test_an_event_stream_with_a_body_that_waits_for_the_word_gets_it(client, server, slug):
    path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
    number = client.open("GET", path, [("expect", "100-continue")], ends=False)
    client.until(lambda: client.streams[number].informational, "a 100")
    client.h2.send_data(number, b"none of its business", end_stream=True)
    client.flush()
    assert client.messages(number, 1) == [{"type": "connected"}]
    assert (client.streams[number].status, client.streams[number].informational) == (200, [100])


def test_an_event_stream_is_data_without_chunk_sizes(client, server, slug):
    path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
    number = client.open("GET", path)
    assert client.messages(number, 1) == [{"type": "connected"}]
    tip = server.tip(slug)["tip"]
    messages = client.messages(number, 2)
    assert messages[1]["tipId"] == tip["id"]
    stream = client.streams[number]
    assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["access-control-allow-origin"] == "*"
    assert not {"connection", "transfer-encoding", "content-length"} & set(stream.headers)
    assert re.fullmatch(rb"(data: \{.*\}\n\n)+", stream.body), stream.body
    # Calls go on beside it.
    assert client.call("GET", "/health").body == b"ok\n"


def test_an_event_stream_comes_whole_and_in_order_through_a_window_that_is_often_shut(make_server, certificate, rng):
    window = 20_000
    server = make_server("--feed-send-buffer-bytes", "4096", "--feed-max-lag-seconds", "60", certificate=certificate)
    slug = server.page()
    path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
    with HTTP2(server, window=window, grants=False) as client:
        # The one that never opens its window is in nobody's way.
        shut, number = client.open("GET", path), client.open("GET", path)
        for each in (shut, number):
            client.messages(each, 1)
        posted, granted = 0, 0

        def tell():
            """Posts more than a window takes; whether both streams stand still by then."""
            nonlocal posted
            server.batch(slug, [
                {"grossAmountInCents": 5, "message": f"{posted + place} ".ljust(900, "x")} for place in range(40)])
            posted += 40
            return server.samples()['tipwire_connection_states{kind="sse",state="stalled"}'] == 2

        def take(wanted):
            """Opens the window for what has come, until that is so many messages."""
            nonlocal granted
            stream = client.streams[number]
            while stream.body.count(b"\n\n") < wanted:
                if size := len(stream.body) - granted:
                    client.h2.increment_flow_control_window(size, number)
                    granted += size
                    client.flush()
                assert client.receive(), "the connection ended"

        for _ in range(15):
            eventually(tell, "a window that is shut")
            # Some of it is read, and what comes next finds the window shut or half open.
            take(rng.randrange(client.streams[number].body.count(b"\n\n"), posted))
        take(posted + 1)
        messages = client.messages(number, posted + 1)
        assert [int(message["message"].split()[0]) for message in messages[1:]] == list(range(posted))
        assert len(client.streams[shut].body) <= window
        assert client.call("GET", "/health").body == b"ok\n"


def test_positions_refusals_and_preflights_are_as_on_http_1(client, server, slug):
    path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
    cursor = server.tip(slug)["cursor"]
    missed = server.tip(slug)["tip"]["id"]
    number = client.open("GET", path, [("last-event-id", cursor)])
    client.until(lambda: missed.encode() in client.streams[number].body, "the missed event")
    assert client.streams[number].body.startswith(b"id: " + cursor.encode())
    assert client.call("GET", STREAM).status == 401
    refused = client.call("POST", path)
    assert refused.status == 405 and "connection" not in refused.headers
    assert client.call("OPTIONS", path).status == 204


def test_a_stream_that_is_reset_or_lost_is_forgotten(server, slug):
    path = f"{STREAM}?{web.query(token=server.admin, page=slug)}"
    eventually(lambda: streams(server) == 0, "no streams")
    with HTTP2(server) as client:
        numbers = [client.open("GET", path) for _ in range(3)]
        for number in numbers:
            client.messages(number, 1)
        assert streams(server) == 3
        client.h2.reset_stream(numbers[0], 8)
        client.flush()
        eventually(lambda: streams(server) == 2, "the reset one to be forgotten")
    eventually(lambda: streams(server) == 0, "the others to be forgotten")


def test_the_drain_ends_streams_cleanly_and_says_goodbye(make_server, certificate):
    server = make_server(certificate=certificate)
    slug = server.page()
    with HTTP2(server) as client:
        number = client.open("GET", f"{STREAM}?{web.query(token=server.admin, page=slug)}")
        client.messages(number, 1)
        server.process.send_signal(signal.SIGTERM)
        assert client.answer(number).reset is None
        client.rest()
        assert client.goaway.error_code == 0
    assert server.process.wait(10) == 0
    server._gone()


def test_a_page_in_chromium_may_have_more_streams_than_http_1_allows(server, slug, chromium, origin):
    context = chromium.new_context(ignore_https_errors=True)
    with Overlay(context, origin.name()) as overlay:
        overlay.hears_by(
            7, f"{server.url}{STREAM}?{web.query(token=server.admin, page=slug)}",
            server.url.replace("https", "wss") + "/?" + web.query(auth=server.admin, channel="firehose"),
            lambda: server.tip(slug))
    context.close()


def test_curl_speaks_http_2_and_keeps_http_1_for_who_wants_it(server, curl, certificate):
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        done = subprocess.run(
            [*curl, "--cacert", str(certificate.certificate), option, "--write-out", "%{http_version}", f"{server.url}/health"],
            stdout=subprocess.PIPE, check=True)
        assert done.stdout == f"ok\n{version}".encode()


def test_h2load_gets_every_answer(server):
    if not shutil.which("h2load"):
        pytest.skip("h2load is not installed")
    done = subprocess.run(
        ["h2load", "-n", "5000", "-c", "20", "-m", "50", f"{server.url}/health"], stdout=subprocess.PIPE, check=True,
        timeout=60, text=True)
    assert "5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
