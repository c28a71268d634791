"""SIGKILL while EventSub's sockets are busy: with the same ids as before they get everything, in order, none forgotten."""

import os
import random
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from conftest import SEED
from support.eventsub import EventSubSocket, listed, subscribe
from support.waiting import eventually
from test_kill import Writer

ROUNDS = int(os.environ.get("TIPWIRE_KILL_ROUNDS", "6"))


class Listener(threading.Thread):
    """A client that comes back with its id over every restart, and remembers what it saw."""

    def __init__(self, server, data, name):
        super().__init__(name=name, daemon=True)
        self.server, self.data = server, data
        self.seen = []  # Each message's (id, tip id), as they came.
        self.bodies = {}
        self.connections = 0
        self.failure = None
        self.stop = threading.Event()

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    with EventSubSocket(self.server, self.data, open_timeout=5) as socket:
                        self.listen(socket)
                except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, EOFError):
                    time.sleep(0.01)  # The server is down.
        except BaseException as error:
            self.failure = f"{self.name}: {error!r}"

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
