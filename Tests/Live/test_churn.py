"""Sockets that come, resume, stall, are revoked and go, for as long as one likes: nothing is lost or repeated, and memory
and descriptors stay where they were. TIPWIRE_CHURN_SECONDS makes it last longer than the moment that it takes here."""

import json
import os
import random
import re
import threading
import time

import pytest

from conftest import SEED
from support import http as web
from support.rawsocket import CLOSE, RawWebSocket, TEXT, close_frame
from support.server import wait_until_closed

SECONDS = float(os.environ.get("TIPWIRE_CHURN_SECONDS", "15"))
THREADS = 6
SOCKETS = 25
# What the resident memory may move between the middle of the time and its end, in bytes. An allocator that is given pieces of
# every size moves by itself, most of it in the first minute; a leak of one kilobyte a socket would be ten times the latter in
# half an hour.
SLACK = (64 if SECONDS < 300 else 12) << 20


class Reader:
    """One place at the server, whose sockets follow each other; each goes on where the last one ended."""

    def __init__(self, churn, number):
        self.churn, self.number = churn, number
        self.random = random.Random(f"{SEED} {number}")
        self.cursor, self.next = None, None
        self.socket = None
        self.got, self.ends = 0, 0

    def connect(self):
        key = self.churn.server.admin
        if self.random.random() < 0.1:
            key = self.churn.doomed_key()
        self.socket = RawWebSocket(
            self.churn.server.port,
            web.query(auth=key, channel="activity-feed", room=self.churn.page, since=self.cursor or "now"),
            receive_buffer=self.random.choice([None, None, 4_096]))

    def read(self):
        _, opcode, payload = self.socket.next()
        if opcode == CLOSE:
            self.leave(0)
            return
        if opcode != TEXT:
            return
        document = json.loads(payload)
        if document["type"] != "campaigntip.notify":
            assert document["payload"]["status"] == "resumed", document
            self.cursor = self.cursor or document["payload"]["cursor"]
            return
        number = int(re.match(r"n(\d+)", document["payload"]["campaignTip"]["message"])[1])
        assert self.next is None or number == self.next, f"{number} instead of {self.next}"
        self.next, self.cursor = number + 1, document["cursor"]
        self.got += 1

    def leave(self, way):
        if way == 0:
            self.socket.close()
        elif way == 1:
            self.socket.reset()
        else:
            self.socket.send_what_is_taken(close_frame(1000))
            self.socket.close()
        self.socket = None
        self.ends += 1

    def step(self):
        if self.socket is None:
            return self.connect()
        choice = self.random.random()
        if choice < 0.5:
            for _ in range(self.random.randrange(1, 4)):
                if self.socket and (self.next is None or self.next < self.churn.posted):
                    self.read()
        elif choice < 0.6:
            self.leave(self.random.randrange(3))
        # Else it takes nothing for a while.


class Churn:
    def __init__(self, server):
        self.server = server
        self.page = server.page()
        self.posted = 0
        self.end = time.monotonic() + SECONDS
        self.failures = []
        self.readers = [Reader(self, number) for number in range(THREADS * SOCKETS)]
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
        while self.goes_on:
            self.server.batch(self.page, [
                {"grossAmountInCents": 5, "message": f"n{self.posted + place}".ljust(400, "x")} for place in range(5)])
            self.posted += 5
            time.sleep(0.02)

    def revoke(self):
        while self.goes_on:
            made = self.server.key_object("events:read")
            self._key = made["key"]
            time.sleep(0.5)
            self._key = None
            assert self.server.delete(f"/api/v1/keys/{made['id']}").status == 204

    def read(self, readers):
        while self.goes_on:
            for reader in readers:
                try:
                    reader.step()
                except (EOFError, ConnectionError):
                    reader.leave(0)
                except AssertionError as error:
                    # A key may be revoked between its choice and its use.
                    if "401" not in str(error):
                        raise
            time.sleep(0.002)
        for reader in readers:
            if reader.socket:
                reader.leave(0)

    def run(self):
        threads = [self.guard(self.post), self.guard(self.revoke)]
        for place in range(THREADS):
            threads.append(self.guard(self.read, self.readers[place * SOCKETS:(place + 1) * SOCKETS]))
        samples = []
        while self.goes_on:
            time.sleep(min(1.0, SECONDS / 30))
            samples.append((self.server.resident(), len(os.listdir(f"/proc/{self.server.process.pid}/fd"))))
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
        return samples


@pytest.mark.parametrize("use", ["auto", "never"])
def test_churn_loses_nothing_and_leaves_nothing(make_server, use):
    server = make_server(
        "--feed-io-uring", use, "--feed-max-lag-seconds", "5", "--feed-send-buffer-bytes", "4096",
        "--auth-max-failures-per-minute", "0", log_level="info")
    baseline = server.sockets()
    churn = Churn(server)
    samples = churn.run()
    got = sum(reader.got for reader in churn.readers)
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
    assert got > 500 and ends > 100
    assert grown < SLACK, f"{grown / 1048576:.1f} MiB more"
    assert descriptors < len(churn.readers) * 2 + 120
    wait_until_closed(server, baseline, seconds=30)
