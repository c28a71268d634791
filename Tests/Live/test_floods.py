"""A thousand sockets that take nothing and a thousand heads that never end, under intake: memory stays bounded, and who
behaves notices nothing. TIPWIRE_FLOOD_SECONDS makes it last longer than the moment that it takes here."""

import contextlib
import os
import re
import subprocess
import time

import pytest

from support import http as web
from support.proxies import needed
from support.rawsocket import ODD_HEADER, RawSocket, tip_head, upgrade_request
from support.server import wait_until_closed
from support.waiting import eventually

CROWD = 1_000
SECONDS = float(os.environ.get("TIPWIRE_FLOOD_SECONDS", "12"))
# What one of them may cost on average beyond what a quiet server holds, in bytes: a head that never ends is at most
# 32 KiB, and what waits for a socket that takes nothing is in the log, not in memory.
PER_CONNECTION = 24 * 1024


# What a connection has asked for before it becomes a stream: `odd` is in the stream's own request.
PASTS = {
    "nothing": lambda server, slug: b"",
    "odd": lambda server, slug: b"",
    "health": lambda server, slug: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a list": lambda server, slug: (
        f"GET /api/v1/pages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n\r\n").encode(),
    # Refused, so that nothing else grows. It fills the channel's buffer all the same.
    "60 KB": lambda server, slug: tip_head(server, slug, b" " * 60_000) + b" " * 60_000,
}


@pytest.mark.parametrize("kind, past", [*(("feed", past) for past in PASTS), ("sse", "nothing"), ("sse", "60 KB")])
def test_a_listener_that_waits_costs_next_to_nothing_whatever_its_connection_did_before(make_server, kind, past):
    server = make_server()
    slug, baseline = server.page(), server.sockets()
    more = ODD_HEADER if past == "odd" else ""
    request = (
        upgrade_request(web.query(auth=server.admin, channel="firehose"), more=more) if kind == "feed" else
        f"GET /api/tip-events/stream?token={server.admin}&page={slug} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
    before_it = PASTS[past](server, slug)
    # As many as tell a cost from chance; of those that say much fewer, for the time that it takes.
    count = 1_000 if past == "60 KB" else 2_000

    def listener():
        connection = RawSocket(server.port)
        if before_it:
            connection.send(before_it)
            connection.response()
        connection.send(request)
        assert connection.head()[0] == (101 if kind == "feed" else 200)
        return connection

    with contextlib.ExitStack() as everything:
        # Tables and pools have their first size by then.
        for _ in range(count // 4):
            everything.enter_context(listener())
        before = server.resident()
        for _ in range(count):
            everything.enter_context(listener())
        eventually(lambda: server.samples()[f'tipwire_connections{{kind="{kind}"}}'] == count + count // 4, "all of them")
        # A channel that one has left, and the task behind it, are gone a moment later.
        eventually(lambda: (server.resident() - before) / count < 2_048, "what they cost")
    wait_until_closed(server, baseline)


def slow_heads(server):
    return [RawSocket(server.port) for _ in range(CROWD)]


def drip(heads, server):
    """A byte for each; who was sent away for being slow comes again."""
    for place, connection in enumerate(heads):
        try:
            connection.send(b"G")
        except OSError:
            connection.close()
            heads[place] = RawSocket(server.port)


def test_a_thousand_stalled_sockets_and_a_thousand_slow_heads_cost_the_others_nothing(make_server):
    server = make_server("--http-head-seconds", "5", "--feed-max-lag-bytes", "65536", "--feed-max-lag-seconds", "10")
    slug = server.page()
    quiet = server.resident()
    baseline = server.sockets()
    query = web.query(auth=server.admin, channel="firehose")
    with contextlib.ExitStack() as everything:
        stalled = []
        for _ in range(CROWD):
            connection = everything.enter_context(RawSocket(server.port, receive_buffer=4_096))
            connection.send(upgrade_request(query))
            stalled.append(connection)
        heads = slow_heads(server)
        everything.callback(lambda: [connection.close() for connection in heads])
        eventually(lambda: server.samples()['tipwire_connections{kind="feed"}'] >= CROWD, "the stalled sockets")
        worst, slowest = 0, 0.0
        tips, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            drip(heads, server)
            began = time.monotonic()
            server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 800}] * 20)
            tips += 20
            assert server.is_prompt(server.admin, slug)
            slowest = max(slowest, time.monotonic() - began)
            worst = max(worst, server.resident())
        grown = worst - quiet
        print(
            f"{SECONDS:.0f} s, {tips} tips: {quiet >> 20} MiB before, {worst >> 20} MiB at most; "
            f"a batch, a request, a socket and a tip took {slowest:.2f} s at most")
        assert grown < 2 * CROWD * PER_CONNECTION, f"{grown >> 20} MiB more for {2 * CROWD} connections"
        # They were not spared: what takes nothing is cut, and can come again and resume.
        assert sum(value for name, value in server.samples().items() if "slow_consumers_cut" in name) > 0
    wait_until_closed(server, baseline, seconds=30)


# With tools that others have made to bring servers down


@pytest.mark.parametrize("mode", [
    pytest.param(["-H"], id="slow heads"),
    pytest.param(["-B", "-s", "4096", "-f", "application/json"], id="slow bodies"),
    pytest.param(["-X", "-w", "1", "-y", "1", "-z", "1", "-n", "1", "-k", "3"], id="slow readers"),
])
def test_slowhttptest_finds_the_service_available_all_the_time(make_server, mode):
    tool = needed("slowhttptest")
    server = make_server("--http-head-seconds", "3", "--http-body-seconds", "3", "--auth-max-failures-per-minute", "0")
    slug = server.page()
    server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 800}] * 500)
    baseline = server.sockets()
    path = f"/api/v1/pages/{slug}/tips" if "-B" in mode else "/openapi.json"
    # It has no option for the header that a body needs to be waited for.
    mode = [*mode, "-m", f"*/*\r\nAuthorization: Bearer {server.admin}"]
    attack = subprocess.Popen(
        [tool, *mode, "-c", "500", "-r", "500", "-i", "1", "-x", "16", "-p", "5", "-l", "8", "-u", server.url + path],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        connected = 0
        while attack.poll() is None:
            assert server.is_prompt(server.admin, slug)
            connected = max(connected, server.sockets() - baseline)
        said = re.sub(r"\x1b\[[0-9;]*m", "", attack.stdout.read())
    finally:
        attack.kill()
        attack.wait()
        attack.stdout.close()
    assert connected >= 400, f"the attack never stood: {connected}"
    available = re.findall(r"service available:\s+(\w+)", said)
    assert available and set(available) == {"YES"}, said[-2000:]
    wait_until_closed(server, baseline, seconds=15)


def test_wrk_loses_no_tip(make_server, tmp_path):
    tool = needed("wrk")
    server = make_server()
    slug = server.page()
    script = tmp_path / "tips.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.body = \'{"grossAmountInCents": 5, "message": "flood"}\'\n'
        f'wrk.headers["Authorization"] = "Bearer {server.admin}"\nwrk.headers["Content-Type"] = "application/json"\n')
    done = subprocess.run(
        [tool, "-t", "1", "-c", "200", "-d", "4s", "--timeout", "20s", "-s", script, f"{server.url}/api/v1/pages/{slug}/tips"],
        stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    answered = int(re.search(r"(\d+) requests in", done).group(1))
    # What was under way when wrk left may have been stored without its answer being counted.
    stored = server.samples()["tipwire_tips_total"]
    assert 100 < answered <= stored <= answered + 200, (answered, stored)


def test_requests_that_a_client_has_sent_before_it_ended_its_side_wait_as_bytes(make_server):
    """NIO reads all that the kernel has then, 64 KB of each, however many requests that is."""
    server = make_server()
    clients, requests = 100, 1_900
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(RawSocket(server.port)) for _ in range(clients)]
        before = server.resident()
        for client in crowd:
            client.send(one * requests)
            client.half_close()
        most = 0
        for _ in range(20):
            assert server.get("/health", key=None).status == 200
            most = max(most, server.resident() - before)
        # A request that has been decoded takes some five hundred bytes: ten times as much as this in all.
        assert most < clients * 2 * len(one) * requests, f"{most >> 20} MiB more"
        # Each of them has its answer, which is not to take as long as everybody's.
        for client in crowd[1:]:
            client.close()
        assert crowd[0].rest().count(b"HTTP/1.1 200 ") == requests
