"""Behind nginx, HAProxy and Caddy as `docs/proxies.md` configures them: nothing is held back, changed or leaked."""

import json
import subprocess

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from support import http as web
from support.commandline import Lines
from support.eventstream import STREAM
from support.overlaypage import Overlay
from support.proxies import Proxy, blocks, installed, replaced
from support.waiting import eventually

FORGED = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture(params=["nginx", "haproxy", "caddy"])
def behind(request, make_server, certificate, tmp_path):
    """Makes a server behind a proxy: options to (server, page, proxy)."""
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    made = []

    def make(*options):
        server = make_server("--server-trusted-proxies", "127.0.0.1", *options)
        folder = tmp_path / "proxy"
        folder.mkdir()
        made.append(Proxy(request.param, server, folder, certificate))
        return server, server.page("demo"), made[0]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def curl(curl, certificate):
    return [*curl, "--include", "--compressed", "--cacert", str(certificate.certificate)]


def stream_address(proxy, key, page):
    return f"{proxy.url}{STREAM}?{web.query(token=key, page=page)}"


def websocket(proxy, key, **more):
    url = proxy.url.replace("https", "wss") + "/?" + web.query(auth=key, channel="firehose")
    return connect(url, ssl=proxy.certificate.context, proxy=None, ping_interval=None, close_timeout=2, **more)


def test_each_event_arrives_at_once_and_the_end_is_clean(behind, curl):
    # No comment comes to push anything along.
    server, slug, proxy = behind("--sse-keepalive-seconds", "600")
    address = stream_address(proxy, server.admin, slug)
    with Lines([*curl, "--http1.1", address]) as old, Lines([*curl, "--http2", address]) as new:
        for client, version in ((old, "HTTP/1.1 200"), (new, "HTTP/2 200")):
            client.wait_for_text('data: {"type":"connected"}', 5)
            assert client.lines[0].startswith(version), client.lines
            headers = [line.lower() for line in client.lines[1:client.lines.index("\r")]]
            assert "content-type: text/event-stream\r" in headers
            assert not any(header.startswith("content-encoding") for header in headers), headers
        for _ in range(10):
            tip = server.tip(slug, message="small")["tip"]["id"]
            for client in (old, new):
                client.wait_for_text(tip, 5)
        server.close()
        for client in (old, new):
            assert client.process.wait(10) == 0, f"not a clean end: {client.errors}"


def test_keepalives_pass_and_a_client_that_has_gone_is_gone_for_the_server_too(behind, curl):
    server, slug, proxy = behind("--sse-keepalive-seconds", "1")
    for version in ("--http1.1", "--http2"):
        with Lines([*curl, version, stream_address(proxy, server.admin, slug)]) as client:
            client.wait_for(lambda lines: lines.count(": keepalive") >= 2, "two comments")
            assert server.samples()['tipwire_connections{kind="sse"}'] == 1
        eventually(lambda: server.samples()['tipwire_connections{kind="sse"}'] == 0, "the server to notice")


def test_a_position_in_a_header_arrives(behind, curl):
    server, slug, proxy = behind()
    seen, missed = (server.tip(slug)["cursor"] for _ in range(2))
    headers = ["--header", f"Last-Event-ID: {seen}", "--header", f"Authorization: Bearer {server.admin}"]
    with Lines([*curl, *headers, f"{proxy.url}{STREAM}?page={slug}"]) as client:
        client.wait_for_text(f"id: {missed}")
        assert 'data: {"type":"resumed","status":"resumed"}' in client.lines


def test_a_feed_gets_each_event_at_once_pongs_and_the_close_code(behind):
    server, slug, proxy = behind()
    with websocket(proxy, server.admin) as feed:
        for _ in range(10):
            cursor = server.tip(slug)["cursor"]
            assert json.loads(feed.recv(timeout=5))["cursor"] == cursor
            feed.send("ping")
            assert feed.recv(timeout=5) == "pong"
        assert feed.ping().wait(5)
        server.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            feed.recv(timeout=10)
        assert closed.value.rcvd.code == 1012
        server.close()


def test_the_clients_own_address_counts_and_not_what_it_says_of_itself(behind, curl):
    server, slug, proxy = behind("--auth-max-failures-per-minute", "3")
    # All of 127.0.0.0/8 is this machine; only 127.0.0.1 is trusted.
    from_9 = [*curl, "--interface", "127.0.0.9", "--header", "X-Forwarded-For: 203.0.113.7"]
    source = {"source_address": ("127.0.0.10", 0), "additional_headers": FORGED}
    address = stream_address(proxy, server.admin, slug)
    with Lines([*from_9, address]) as client, websocket(proxy, server.admin, **source):
        client.wait_for_text("connected")
        listed = {one["kind"]: one["remoteAddress"] for one in server.get("/api/v1/connections").json["data"]}
        assert listed == {"sse": "127.0.0.9", "feed": "127.0.0.10"}

    def status(address, key):
        command = [*curl, "--interface", address, stream_address(proxy, key, slug)]
        return int(subprocess.run(command, stdout=subprocess.PIPE, timeout=20, text=True).stdout.split()[1])

    assert [status("127.0.0.9", f"tw_{number:064x}") for number in range(4)] == [401, 401, 401, 429]
    assert status("127.0.0.10", "tw_" + "e" * 64) == 401, "one bad client is not all of them"


def test_calls_large_ones_too_and_the_cookie_know_that_they_came_by_https(behind):
    server, slug, proxy = behind()
    with httpx.Client(verify=proxy.certificate.context, base_url=proxy.url, http1=True, timeout=30) as client:
        headers = {"Authorization": f"Bearer {server.admin}"}
        tips = [{"grossAmountInCents": 5, "message": "\u20ac" * 1_000}] * 1_000
        batch = client.post(f"/api/v1/pages/{slug}/tips:batch", json={"tips": tips}, headers=headers)
        assert batch.status_code == 201 and len(batch.json()["results"]) == 1_000
        link = server.post("/api/v1/accounts/admin/link").json["url"]
        answer = client.get(link[len(server.url):])
        assert "secure" in answer.headers["Set-Cookie"].lower().split("; ")


def test_no_key_reaches_what_the_proxy_writes(behind, curl):
    server, slug, proxy = behind()
    address = stream_address(proxy, server.admin, slug)
    with Lines([*curl, address]) as client, websocket(proxy, server.admin):
        client.wait_for_text("connected")
    for where in (f"/api/v1/pages?auth={server.admin}", f"/nope?key={server.admin}"):
        command = [*curl, "--referer", address, proxy.url + where]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=20)
    server.close()
    down = subprocess.run([*curl, address], stdout=subprocess.PIPE, timeout=20, text=True)
    assert int(down.stdout.split()[1]) in (502, 503), down.stdout
    eventually(lambda: "/nope" in proxy.written(), "something in the proxy's log")
    proxy.close()
    written = proxy.written()
    assert STREAM in written and "203.0.113" not in written
    assert server.admin[11:] not in written, "a key is in a log"


def test_the_commands_of_the_page_show_that_it_works(behind, certificate):
    server, slug, proxy = behind()
    commands = [block for block in blocks("sh") if block.startswith("curl")]
    assert len(commands) == 2
    own = {"YOUR_API_KEY": server.admin, "https://tips.example": proxy.url}
    stream, feed = (["bash", "-c", "exec " + replaced(command, own)] for command in commands)
    # curl's own setting for whom to trust.
    trusting = {"CURL_CA_BUNDLE": str(certificate.certificate)}
    with Lines(stream, trusting) as listening, Lines(feed, trusting) as upgraded:
        listening.wait_for_text('data: {"type":"connected"}')
        listening.wait_for_text(server.tip(slug)["tip"]["id"])
        eventually(lambda: server.samples()['tipwire_connections{kind="feed"}'] == 1, "the WebSocket to open")
        # Into anything but a terminal curl writes the head of such an answer when the connection ends.
        server.close()
        upgraded.wait_for_text("HTTP/1.1 101 Switching Protocols")


def test_a_page_in_chromium_may_have_more_streams_than_http_1_allows(behind, chromium, origin):
    server, slug, proxy = behind()
    context = chromium.new_context(ignore_https_errors=True)
    with Overlay(context, origin.name()) as overlay:
        overlay.hears_by(
            8, stream_address(proxy, server.admin, slug),
            proxy.url.replace("https", "wss") + "/?" + web.query(auth=server.admin, channel="firehose"),
            lambda: server.tip(slug))
    context.close()
