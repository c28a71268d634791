"""Ready bytes out of the server, by whatever way they go: whole, in order, and to nobody else, however sockets come and go.

A socket's descriptor gets its number back as soon as it is closed. A server that wrote by a stale one would show an event to
somebody who may not see it: here hundreds of sockets of several pages end and begin all the time, in every way there is."""

import contextlib
import json
import random
import re
import threading
import time

import pytest

from conftest import SEED
from support import http as web
from support import eventsub
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
        self.socket = RawWebSocket(
            server.port, web.query(auth=server.admin, channel="activity-feed", room=slug), **more)

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == TEXT:
            self.expected.take(payload.decode())


class Subscription(Feed):
    """EventSub: what each is sent begins with its own subscription, and goes on with what all share."""

    def __init__(self, server, slug, **more):
        self.expected = Expected(slug)
        self.data = eventsub.subscribe(server, server.key("Funplace::eventsub", pages=[slug]))
        self.socket = RawWebSocket(server.port, eventsub.connection(self.data), **more)

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == TEXT:
            message = json.loads(payload)
            assert json.dumps(message["subscription"]) == json.dumps(self.data)
            self.expected.take(payload.decode())


class Stream:
    def __init__(self, server, slug, more="", **options):
        self.expected = Expected(slug)
        self.socket = RawSocket(server.port, **options)
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


KINDS = {Feed: "feed", Stream: "sse", Subscription: "eventsub"}


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


@pytest.mark.parametrize("form", [Feed, Stream])
def test_no_event_reaches_a_socket_that_has_another_s_number(make_server, form):
    server = make_server("--http-idle-seconds", "5")
    slugs = [server.page() for _ in range(4)]
    random_ = random.Random(SEED)
    failures, read, ends = [], [0], [0]
    until = time.monotonic() + 8

    def churn(seed):
        own = random.Random(seed)
        held = []
        try:
            while time.monotonic() < until and not failures:
                slug = own.choice(slugs)
                # Some of them over channels: the numbers of both kinds are of one row.
                connection = form(server, slug, more=own.choice(["", "", ODD_HEADER]))
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
    assert ends[0] > 200 and read[0] > 200, (ends, read)


@pytest.mark.parametrize("use", ["auto", "never"])
@pytest.mark.parametrize("more", ["", ODD_HEADER], ids=["bare", "channel"])
@pytest.mark.parametrize("form", [Feed, Stream, Subscription])
def test_what_the_kernel_takes_in_pieces_arrives_whole_and_in_order(make_server, form, more, use):
    # The kernel makes at least twice of it, and takes a message of this size seldom as a whole.
    server = make_server("--feed-send-buffer-bytes", "4096", "--feed-max-lag-seconds", "60", "--feed-io-uring", use)
    slug = server.page()
    own = random.Random(SEED)
    readers = [form(server, slug, more=more, receive_buffer=own.choice([2_304, 4_096, 8_192])) for _ in range(20)]
    quick = form(server, slug, more=more)
    for reader in [*readers, quick]:
        reader.expected.next = 0
    with Poster(server, [slug], 990, 0.0) as poster:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            # In every size and rhythm: whole messages, and between them pauses in which the buffers fill.
            for reader in own.sample(readers, 7):
                for _ in range(own.randrange(12)):
                    if reader.expected.next < poster.posted[slug]:
                        reader.read()
            while quick.expected.next < poster.posted[slug]:
                quick.read()
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
