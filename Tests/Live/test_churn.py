"""Streams of three dialects that come, resume, stall, are revoked and go, for as long as one likes: nothing is lost or repeated,
and memory and descriptors stay where they were. TIPWIRE_CHURN_SECONDS makes it last longer than the moment that it takes here."""

import contextlib
import json
import os
import random
import re
import threading
import time

import pytest

from conftest import SEED
from support import http as web
from support.eventstream import EventStream, stream_request
from support.eventsub import BASE, connection, create
from support.rawsocket import CLOSE, RawSocket, RawWebSocket, TEXT, close_frame
from support.server import wait_until_closed

SECONDS = float(os.environ.get("TIPWIRE_CHURN_SECONDS", "15"))
THREADS = 6
SOCKETS = 25
# What the resident memory may move between the middle of the time and its end, in bytes. An allocator that is given pieces of
# every size moves by itself, most of it in the first minute; a leak of one kilobyte a socket would be ten times the latter in
# half an hour.
SLACK = (64 if SECONDS < 300 else 12) << 20


class Refused(Exception):
    """By 401: the key was revoked between its choice and its use."""


class Reader:
    """One place at the server, whose sockets follow each other; each goes on where the last one ended."""

    def __init__(self, churn, number):
        self.churn, self.number = churn, number
        self.random = random.Random(f"{SEED} {number}")
        self.cursor, self.next = None, None
        self.key = None
        self.socket = None
        self.got, self.ends = 0, 0

    def some_key(self):
        return self.churn.doomed_key() if self.random.random() < 0.1 else self.churn.server.admin

    def connect(self):
        """Opens the next socket, or raises `Refused`."""
        self.key = self.some_key()
        past = {"receive_buffer": self.random.choice([None, None, 4_096]), "is_used": self.random.random() < 0.2}
        try:
            self.socket = self.opened(**past)
        except AssertionError as error:
            if str(error).startswith("401 ") and self.key != self.churn.server.admin:
                raise Refused from None
            raise

    def take(self, message, cursor):
        """An event: the next one, under the cursor that everyone has it under."""
        number = int(re.match(r"n(\d+)", message)[1])
        assert self.churn.cursors.setdefault(number, cursor) == cursor, f"{number} has two cursors"
        assert self.next is None or number == self.next, f"{number} instead of {self.next}"
        self.next, self.cursor = number + 1, cursor
        self.got += 1

    def leave(self, way):
        if way == 1:
            self.socket.reset()
        else:
            if way == 2:
                self.say_goodbye()
            self.socket.close()
        self.socket = None
        self.ends += 1

    def lose(self):
        """The connection is broken, if there was one."""
        if self.socket:
            Reader.leave(self, 0)

    def say_goodbye(self):
        self.socket.send_what_is_taken(close_frame(1000))

    def step(self):
        if self.socket is None:
            return self.connect()
        choice = self.random.random()
        if choice < 0.5:
            # Now and then all that there is: who never draws level is only ever read to from the log.
            for _ in range(500 if self.random.random() < 0.02 else self.random.randrange(1, 4)):
                if self.socket and (self.next is None or self.next < self.churn.posted):
                    self.read()
        elif choice < 0.6:
            self.leave(self.random.randrange(3))
        # Else it takes nothing for a while.


class FeedReader(Reader):
    kind = "feed"

    def opened(self, **past):
        return RawWebSocket(
            self.churn.server.port,
            web.query(auth=self.key, channel="activity-feed", room=self.churn.page, since=self.cursor or "now"), **past)

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == CLOSE:
            self.leave(0)
            return
        if opcode != TEXT:
            return
        document = json.loads(payload)
        if document["type"] == "campaigntip.notify":
            self.take(document["payload"]["campaignTip"]["message"], document["cursor"])
        else:
            assert document["payload"]["status"] == "resumed", document
            self.cursor = self.cursor or document["payload"]["cursor"]


class StreamReader(Reader):
    """The Event Hook. A page in a browser gives its position in a header, others in the address."""

    kind = "sse"

    def opened(self, **past):
        position, headers = {"resume": "true"}, {}
        if self.cursor and self.random.random() < 0.5:
            headers = {"Last-Event-ID": self.cursor}
        elif self.cursor:
            position = {"lastEventId": self.cursor}
        socket = RawSocket(self.churn.server.port, **past)
        try:
            socket.send(stream_request(web.query(token=self.key, page=self.churn.page, **position), headers))
            self.stream = EventStream(socket)
        except BaseException:
            socket.close()
            raise
        return socket

    def read(self):
        lines = self.stream.block()
        if lines is None:
            self.leave(0)
            return
        if lines == [": keepalive"]:
            return
        cursor, message = lines[0].removeprefix("id: "), json.loads(lines[1].removeprefix("data: "))
        if message["type"] == "tip:received":
            self.take(message["message"], cursor)
        else:
            assert message["type"] == "connected" or message == {"type": "resumed", "status": "resumed"}, message
            assert self.cursor in (None, cursor), f"{cursor} instead of {self.cursor}"
            self.cursor = cursor

    def say_goodbye(self):
        with contextlib.suppress(OSError):
            self.socket.half_close()


class SubscriptionReader(Reader):
    """EventSub, where the server keeps the position, and what has left it counts as sent: what is on its way when a socket is
    thrown away is lost. Whoever says goodbye and reads to the end misses nothing; the next socket may begin with some of it
    once more, under the same ids."""

    kind = "eventsub"

    def __init__(self, churn, number):
        super().__init__(churn, number)
        self.data = None
        # The number that comes again next; 0 for whichever comes first on a new socket, None behind them.
        self.repeats = None

    def some_key(self):
        if self.data and self.random.random() < 0.95:
            return self.key
        if self.data:
            ended = self.churn.server.delete(f"{BASE}/delete?{connection(self.data)}")
            assert ended.status == 200 or self.key != self.churn.server.admin, ended
            self.data = None
        return super().some_key()

    def opened(self, **past):
        if not self.data:
            answer = create(self.churn.server, key=self.key)
            assert answer.status == 200, f"{answer.status} {answer}"
            self.data, self.next = answer.json["data"], None
        return RawWebSocket(self.churn.server.port, connection(self.data), **past)

    def read(self):
        """Returns whether something came that isn't the end."""
        _, opcode, payload = self.socket.next()
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            assert code in (1000, 1008, 1013), payload
            if code == 1008:
                assert self.key != self.churn.server.admin, payload
                self.data = None
            self.repeats = 0
            super().leave(0)
            return False
        if opcode == TEXT:
            message = json.loads(payload)
            if message["type"] == "message":
                self.take_message(message)
            else:
                assert message["type"] == "disconnect", message
        return True

    def take_message(self, message):
        assert message["subscription"] == self.data, message
        number = int(re.match(r"n(\d+)", message["data"]["message"])[1])
        if self.repeats is not None and self.next is not None and number < self.next:
            assert self.repeats in (0, number), f"{number} again, instead of {self.repeats}"
            assert self.churn.cursors[number] == message["id"]
            self.repeats = number + 1
            return
        self.repeats = None
        self.take(message["data"]["message"], message["id"])

    def leave(self, way):
        if way == 2 or self.random.random() < 0.5:
            self.say_goodbye()
            while self.read():
                pass
        else:
            super().leave(way)
            self.next = None

    def lose(self):
        super().lose()
        self.next = None


class Churn:
    def __init__(self, server):
        self.server = server
        self.page = server.page()
        self.posted = 0
        self.end = time.monotonic() + SECONDS
        self.failures = []
        # By number, as whoever heard of an event first was told it.
        self.cursors = {}
        self.is_read = True
        kinds = [FeedReader, StreamReader, SubscriptionReader]
        self.readers = [kinds[number % 3](self, number) for number in range(THREADS * SOCKETS)]
        self._key = None

    def doomed_key(self):
        return self._key or self.server.admin

    def guard(self, body, *arguments):
        def run():
            try:
                body(*arguments)
            except Exception as error:  # noqa: BLE001  (told in the test's own thread)
                self.failures.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    @property
    def goes_on(self):
        return not self.failures and time.monotonic() < self.end

    def post(self):
        # Longer than anybody reads, so that nobody waits for what never comes.
        while self.is_read and not self.failures:
            results = self.server.batch(self.page, [
                {"grossAmountInCents": 5, "message": f"n{self.posted + place}".ljust(400, "x")} for place in range(5)])
            for result in results:
                assert self.cursors.setdefault(self.posted, result["cursor"]) == result["cursor"]
                self.posted += 1
            time.sleep(0.02)

    def revoke(self):
        while self.goes_on:
            made = self.server.key_object("events:read", "Funplace::eventsub")
            self._key = made["key"]
            time.sleep(0.5)
            self._key = None
            assert self.server.delete(f"/api/v1/keys/{made['id']}").status == 204

    def read(self, readers):
        while self.goes_on:
            for reader in readers:
                with contextlib.suppress(Refused):
                    try:
                        reader.step()
                    except (EOFError, ConnectionError):
                        reader.lose()
            time.sleep(0.002)
        for reader in readers:
            reader.lose()

    def run(self):
        posting, revoking = self.guard(self.post), self.guard(self.revoke)
        reading = [
            self.guard(self.read, self.readers[place * SOCKETS:(place + 1) * SOCKETS]) for place in range(THREADS)]
        samples = []
        while self.goes_on:
            time.sleep(min(1.0, SECONDS / 30))
            samples.append((self.server.resident(), len(os.listdir(f"/proc/{self.server.process.pid}/fd"))))
        for thread in reading:
            thread.join()
        self.is_read = False
        posting.join()
        revoking.join()
        if self.failures:
            raise self.failures[0]
        return samples


@pytest.mark.parametrize("use", ["auto", "never"])
def test_churn_loses_nothing_and_leaves_nothing(make_server, use):
    server = make_server(
        "--feed-io-uring", use, "--feed-max-lag-seconds", "5", "--feed-send-buffer-bytes", "4096",
        "--auth-max-failures-per-minute", "0", "--eventsub-max-creations-per-minute", "1000000", log_level="info")
    baseline = server.sockets()
    churn = Churn(server)
    samples = churn.run()
    got = {kind: sum(reader.got for reader in churn.readers if reader.kind == kind) for kind in ("feed", "sse", "eventsub")}
    ends = sum(reader.ends for reader in churn.readers)
    half = len(samples) // 2
    early = sorted(memory for memory, _ in samples[half - half // 2:half])
    late = sorted(memory for memory, _ in samples[-(half // 2):])
    grown = late[len(late) // 2] - early[len(early) // 2]
    descriptors = max(count for _, count in samples)
    print(
        f"{use}, {SECONDS:.0f} s: {churn.posted} tips, {got} deliveries checked, {ends} sockets ended; resident "
        f"{early[len(early) // 2] / 1048576:.1f} MiB before the middle, {late[len(late) // 2] / 1048576:.1f} MiB at the "
        f"end; {descriptors} descriptors at most")
    assert min(got.values()) > 500 and ends > 100
    assert grown < SLACK, f"{grown / 1048576:.1f} MiB more"
    assert descriptors < len(churn.readers) * 2 + 120
    wait_until_closed(server, baseline, seconds=30)
