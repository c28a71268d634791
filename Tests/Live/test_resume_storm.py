"""Everyone comes back at once, each with a position: after a server's new start, or when a network returns."""

import json
import os
import selectors
import socket
import time

import pytest

from support import http as web
from support.rawsocket import upgrade_request

CROWD = int(os.environ.get("TIPWIRE_STORM_SOCKETS", "1000"))
MISSED = 20


class Client:
    def __init__(self, port, query, selector):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.request = upgrade_request(query)
        self.buffer = b""
        self.isOpen = False
        self.got = []
        selector.register(self.socket, selectors.EVENT_WRITE, self)

    def ready(self, events, selector):
        if events & selectors.EVENT_WRITE:
            self.socket.sendall(self.request)
            selector.modify(self.socket, selectors.EVENT_READ, self)
            return
        data = self.socket.recv(1 << 16)
        assert data, f"closed after {len(self.got)} events: {self.buffer[:200]!r}"
        self.buffer += data
        if not self.isOpen:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self.isOpen, self.buffer = True, rest
        while len(self.buffer) >= 4:
            length, start = self.buffer[1], 2
            if length == 126:
                length, start = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < start + length:
                return
            document = json.loads(self.buffer[start:start + length])
            self.buffer = self.buffer[start + length:]
            if document["type"] == "campaigntip.notify":
                self.got.append(document["payload"]["campaignTip"]["message"])
            else:
                assert document["payload"]["status"] == "resumed", document


@pytest.mark.parametrize("is_new", [False, True], ids=["the network returns", "the server is new"])
def test_a_crowd_that_comes_back_with_its_positions_misses_nothing(make_server, is_new):
    server = make_server(log_level="info")
    page = server.page()
    first = server.tip(page, message="before")
    for number in range(MISSED):
        server.tip(page, message=f"missed {number}")
    ordinary = max(timed(server, page, f"quiet {number}") for number in range(20))
    wanted = [f"missed {number}" for number in range(MISSED)] + [f"quiet {number}" for number in range(20)]
    if is_new:
        server.restart()
    selector = selectors.DefaultSelector()
    query = web.query(auth=server.admin, channel="activity-feed", room=page, since=first["cursor"])
    began = time.monotonic()
    clients = [Client(server.port, query, selector) for _ in range(CROWD)]
    slowest, number, posted = 0.0, 0, began
    while any(len(client.got) < len(wanted) for client in clients):
        assert time.monotonic() - began < 60, "not everyone is back"
        for key, events in selector.select(0.05):
            key.data.ready(events, selector)
        if time.monotonic() - posted > 0.2:
            # Tips go on meanwhile, and each is everyone's, too.
            slowest = max(slowest, timed(server, page, f"storm {number}"))
            wanted.append(f"storm {number}")
            number, posted = number + 1, time.monotonic()
    took = time.monotonic() - began
    print(f"{CROWD} clients back in {took:.2f} s; a tip took {ordinary * 1000:.1f} ms before, {slowest * 1000:.1f} meanwhile")
    for client in clients:
        assert client.got == wanted
        client.socket.close()
    reads = server.samples()["tipwire_catch_up_reads_total"]
    if is_new:
        # Nothing is at hand. Who stands at the same place is read for once: a handful of reads, not one a client.
        assert 0 < reads < CROWD / 20, reads
    else:
        # So little was missed that memory still has it, and nobody needs the log.
        assert reads == 0


def timed(server, page, message):
    began = time.monotonic()
    server.tip(page, message=message)
    return time.monotonic() - began
