"""Ready bytes out of the server, by whatever way they go: whole, in order, and to nobody else, however sockets come and go.

A socket's descriptor gets its number back as soon as it is closed. A server that wrote by a stale one would show an event to
somebody who may not see it: here hundreds of sockets of several pages end and begin all the time, in every way there is."""

import contextlib
import functools
import itertools
import json
import random
import re
import threading
import time

import pytest

from conftest import SEED
from support import http as web
from support import eventsub
from support.browser import overlay_key
from support.eventstream import STREAM
from support.rawsocket import ODD_HEADER, RawWebSocket, RawSocket, TEXT, close_frame, frame
from support.waiting import eventually


class Poster:
    """Posts tips to pages until it is told to stop, and says what came of each page."""

    def __init__(self, server, slugs, size, pause):
        self.server, self.slugs, self.size, self.pause = server, slugs, size, pause
        self.posted = {slug: 0 for slug in slugs}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.is_set():
            for slug in self.slugs:
                first = self.posted[slug]
                self.server.batch(slug, [
                    {"grossAmountInCents": 5, "message": f"{slug} {first + number} ".ljust(self.size, "x")}
                    for number in range(4)])
                self.posted[slug] += 4
            time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


class Expected:
    """The messages of one connection: of its own page, each after the one before."""

    def __init__(self, slug, first=None):
        self.slug, self.next = slug, first

    def take(self, text):
        slug, number = re.search(r'"message":"([a-z0-9-]+) (\d+) x', text).groups()
        assert slug == self.slug, f"an event of {slug} on a connection of {self.slug}"
        assert self.next is None or int(number) == self.next, f"{number} instead of {self.next}"
        self.next = int(number) + 1


class Feed:
    def __init__(self, server, slug, **more):
        self.expected = Expected(slug)
        query = web.query(auth=server.admin, channel="activity-feed", room=slug)
        self.socket = RawWebSocket(server.port, query, context=server.context, **more)

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == TEXT:
            self.expected.take(payload.decode())


class Subscription(Feed):
    """EventSub: what each is sent begins with its own subscription, and goes on with what all share."""

    key = functools.cache(lambda server, slug: server.key("Funplace::eventsub", pages=[slug]))

    def __init__(self, server, slug, **more):
        self.expected = Expected(slug)
        self.data = eventsub.subscribe(server, Subscription.key(server, slug))
        self.socket = RawWebSocket(server.port, eventsub.connection(self.data), context=server.context, **more)

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == TEXT:
            message = json.loads(payload)
            assert json.dumps(message["subscription"]) == json.dumps(self.data)
            self.expected.take(payload.decode())


class OverlaySocket(Feed):
    """An overlay's: it begins with the state of its page, newest tips and all."""

    key = functools.cache(overlay_key)
    screens = itertools.count()

    def __init__(self, server, slug, **more):
        self.expected = Expected(slug)
        query = web.query(key=OverlaySocket.key(server, slug), screen=f"screen-{next(OverlaySocket.screens)}")
        self.socket = RawWebSocket(server.port, query, path="/overlay/socket", context=server.context, **more)
        state = json.loads(self.socket.text())
        assert (state["type"], state["page"]["slug"]) == ("overlay.state", slug), state
        assert all(tip["message"].startswith(f"{slug} ") for tip in state["recent"]), state


class Stream:
    def __init__(self, server, slug, more="", **options):
        self.expected = Expected(slug)
        self.socket = RawSocket(server.port, context=server.context, **options)
        self.socket.send(
            f"GET {STREAM}?{web.query(token=server.admin, page=slug)} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
        status, _ = self.socket.head()
        assert status == 200

    def read(self):
        size = int(self.socket.until(b"\r\n").strip(), 16)
        chunk = self.socket.take(size + 2)
        for line in chunk.decode().splitlines():
            if line.startswith("data: ") and '"tip:received"' in line:
                self.expected.take(line)


KINDS = {Feed: "feed", Stream: "sse", Subscription: "eventsub", OverlaySocket: "overlay"}


def leave(connection, choice):
    socket = connection.socket
    with contextlib.suppress(OSError):
        if choice == 0:
            socket.reset()
        elif choice == 1:
            socket.half_close()
        elif choice == 2 and isinstance(connection, Feed):
            socket.send(close_frame(1000))
        elif choice == 3 and isinstance(connection, Feed):
            socket.send(frame(TEXT, b"\xff"))
    socket.close()


@pytest.mark.parametrize("use", ["auto", "never"])
@pytest.mark.parametrize("form", KINDS, ids=KINDS.get)
def test_no_event_reaches_a_socket_that_has_another_s_number(make_server, form, use):
    server = make_server(
        "--http-idle-seconds", "5", "--feed-io-uring", use, "--eventsub-max-per-key", "1000000",
        "--eventsub-max-creations-per-minute", "1000000")
    slugs = [server.page() for _ in range(4)]
    random_ = random.Random(SEED)
    failures, read, ends = [], [0], [0]
    # At least for so long, and until enough has been read and ended.
    until, patience = time.monotonic() + 3, time.monotonic() + 60

    def churn(seed):
        own = random.Random(seed)
        held = []
        try:
            while not failures and (time.monotonic() < until or min(ends[0], read[0]) <= 200):
                assert time.monotonic() < patience, (ends, read)
                slug = own.choice(slugs)
                # Whatever a socket was before it became a stream: the numbers of all are of one row.
                connection = form(server, slug, more=own.choice(["", "", ODD_HEADER]), is_used=own.random() < 0.3)
                held.append(connection)
                # Some are read, some are left with what came, and some end at once.
                for _ in range(own.choice([0, 0, 1, 3])):
                    connection.read()
                    read[0] += 1
                while len(held) > own.randrange(30):
                    leave(held.pop(own.randrange(len(held))), own.randrange(5))
                    ends[0] += 1
        except Exception as error:  # noqa: BLE001  (told in the test's own thread)
            failures.append(error)
        finally:
            for connection in held:
                connection.socket.close()

    with Poster(server, slugs, 400, 0.01):
        threads = [threading.Thread(target=churn, args=(random_.random(),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def stalled(server, form):
    return server.samples()[f'tipwire_connection_states{{kind="{KINDS[form]}",state="stalled"}}']


# What a connection was before it became a stream.
PASTS = {"new": {}, "odd": {"more": ODD_HEADER}, "used": {"is_used": True}}


def in_pieces(make_server, form, past, *options, **more):
    """Twenty that read in every size and rhythm, and one that reads what comes, get everything once and in order."""
    # The kernel makes at least twice of it, and takes a message of this size seldom as a whole.
    server = make_server("--feed-send-buffer-bytes", "4096", "--feed-max-lag-seconds", "60", *options, **more)
    slug = server.page()
    own = random.Random(SEED)
    readers = [form(server, slug, receive_buffer=own.choice([2_304, 4_096, 8_192]), **past) for _ in range(20)]
    quick = form(server, slug, **past)
    for reader in [*readers, quick]:
        reader.expected.next = 0
    with Poster(server, [slug], 990, 0.0) as poster:
        eventually(lambda: stalled(server, form) >= 20, "sockets that take no more")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            quick.read()
            # In every size and rhythm: whole messages, and between them pauses in which the buffers fill.
            for reader in own.sample(readers, 7):
                if poster.posted[slug] - reader.expected.next > own.randrange(200):
                    for _ in range(own.randrange(12)):
                        if reader.expected.next < poster.posted[slug]:
                            reader.read()
    assert stalled(server, form) > 0, "all kept up, and nothing went in pieces"
    posted = poster.posted[slug]
    for reader in [*readers, quick]:
        while reader.expected.next < posted:
            reader.read()
    assert posted > 100
    tip = server.post(f"/api/v1/pages/{slug}/tips", {"grossAmountInCents": 5, "message": f"{slug} {posted} x"})
    assert tip.status == 201
    for reader in [*readers, quick]:
        reader.read()
        reader.socket.close()
    eventually(lambda: server.samples()[f'tipwire_connections{{kind="{KINDS[form]}"}}'] == 0,
               "the connections to be gone")


@pytest.mark.parametrize("use, past", [("auto", "new"), ("auto", "odd"), ("auto", "used"), ("never", "new")])
@pytest.mark.parametrize("form", KINDS, ids=KINDS.get)
def test_what_the_kernel_takes_in_pieces_arrives_whole_and_in_order(make_server, form, past, use):
    in_pieces(make_server, form, PASTS[past], "--feed-io-uring", use)


@pytest.mark.parametrize("form", KINDS, ids=KINDS.get)
def test_what_is_taken_in_pieces_by_tls_arrives_whole_and_in_order(make_server, certificate, form):
    in_pieces(make_server, form, PASTS["used"], certificate=certificate)
