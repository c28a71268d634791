"""A thousand sockets that take nothing and a thousand heads that never end, under intake: memory stays bounded, and who
behaves notices nothing. TIPWIRE_FLOOD_SECONDS makes it last longer than the moment that it takes here."""

import contextlib
import os
import time

from support import http as web
from support.rawsocket import RawSocket, upgrade_request
from support.server import wait_until_closed
from support.waiting import eventually

CROWD = 1_000
SECONDS = float(os.environ.get("TIPWIRE_FLOOD_SECONDS", "12"))
# What one of them may cost on average beyond what a quiet server holds, in bytes: a head that never ends is at most
# 32 KiB, and what waits for a socket that takes nothing is in the log, not in memory.
PER_CONNECTION = 24 * 1024


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
        worst = slowest = 0.0
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
