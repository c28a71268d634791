"""SIGKILL while EventSub's sockets are busy: with the ids that they had they get everything, in order."""

import contextlib
import json
import os
import random
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from conftest import SEED
from support.eventsub import EventSubSocket, RawEventSubSocket, listed, subscribe
from support.restarts import Returning
from support.waiting import eventually
from test_kill import Writer

ROUNDS = int(os.environ.get("TIPWIRE_KILL_ROUNDS", "5"))


class Listener(Returning):
    """A client that comes back with its id, and remembers each message's (id, tip id) as they came."""

    downs = (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, EOFError)

    def __init__(self, server, data, name):
        super().__init__(server, name)
        self.data = data
        self.bodies = {}

    def visit(self):
        with EventSubSocket(self.server, self.data, open_timeout=5) as socket:
            self.listen(socket)

    def listen(self, socket):
        self.connections += 1
        while not self.stop.is_set():
            try:
                text = socket.socket.recv(timeout=0.2)
            except TimeoutError:
                continue
            message = socket.is_message(text)
            assert self.bodies.setdefault(message["id"], text) == text, "the same id, another message"
            self.seen.append((message["id"], message["data"]["id"]))

    def order(self):
        """What it saw, of each message the first."""
        return list(dict.fromkeys(self.seen))


def test_after_a_kill_nothing_is_missing_and_what_comes_twice_is_the_same(make_server):
    print(f"TIPWIRE_SEED={SEED}")
    choices = random.Random(f"{SEED} eventsub kills")
    server = make_server(log_level="info")
    slug = server.page()
    start = server.head(slug)
    key = server.key("Funplace::eventsub")
    listeners = [Listener(server, subscribe(server, key), f"listener-{number}") for number in range(3)]
    unconnected = subscribe(server, key)
    writers = [Writer(server, slug, f"e{number}-{kind}", kind) for number, kind in enumerate(["id", "batch"])]
    for thread in listeners + writers:
        thread.start()
    for _ in range(ROUNDS):
        # The moment is random on purpose; each listener must have got something, or the round would prove nothing.
        counts = [len(listener.seen) for listener in listeners]
        eventually(
            lambda: any(listener.failure for listener in listeners) or all(
                len(listener.seen) > count for listener, count in zip(listeners, counts)), "messages for all", 20)
        time.sleep(choices.uniform(0.0, 1.2))
        server.kill()
        server.start()
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive() and not writer.failure, writer.failure
    log = [(event["cursor"], event["data"]["id"]) for event in server.log(slug, start)]
    for listener in listeners:
        eventually(
            lambda: listener.failure or listener.seen and listener.seen[-1] == log[-1], "the end of the log", 20)
        listener.stop.set()
        listener.join(10)
        assert listener.failure is None, listener.failure
        missing = set(log) - set(listener.seen)
        assert not missing, f"{listener.name}: {len(missing)} of {len(log)} never came: {sorted(missing)[:5]}"
        assert listener.order() == log
        assert listener.connections > ROUNDS // 2
    assert len(log) > ROUNDS * 5, "hardly a tip"
    # Who was never there is told of everything since.
    with EventSubSocket(server, unconnected) as socket:
        assert [socket.message()["id"] for _ in log] == [cursor for cursor, _ in log]
        socket.alive()
    assert len(listed(server, key)) == len(listeners) + 1
    server.close()


def test_what_a_slow_reader_had_not_been_sent_by_the_kill_is_not_missing(make_server):
    """What waits inside the server for a client that is slow to read is not delivered, though it is written."""
    server = make_server("--feed-send-buffer-bytes", "8192", log_level="info")
    slug = server.page()
    key = server.key("Funplace::eventsub", pages=[slug])
    slow, other = (subscribe(server, key) for _ in range(2))
    start = server.head(slug)
    with RawEventSubSocket(server, slow, receive_buffer=8192) as reader:
        with EventSubSocket(server, other) as witness:
            # Positions are kept once a second, so time has to pass while the slow one stands still.
            server.batch(slug, [{"grossAmountInCents": 1, "message": "x" * 900}] * 300)
            witness.tip_ids(300)
            began = time.monotonic()
            while time.monotonic() - began < 2.2:
                server.tip(slug)
                assert witness.message()
        server.kill()
        got = []
        with contextlib.suppress(EOFError):
            while True:
                got.append(json.loads(reader.text())["id"])
    server.start()
    log = [event["cursor"] for event in server.log(slug, start)]
    assert got == log[:len(got)] and len(got) < 200, "the reader was not slow"
    with EventSubSocket(server, slow) as socket:
        first = log.index(socket.message()["id"])
        assert first <= len(got), f"read {len(got)} before the kill, and after it the next is number {first + 1}"
        assert [socket.message()["id"] for _ in log[first + 1:]] == log[first + 1:]
        socket.alive()
    server.close()
