"""The shutdown under load: turns, late events, a second signal."""

import select
import signal
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

from support import http as web
from support.rawsocket import CLOSE, RawSocket, RawWebSocket, close_frame, tip_head
from support.waiting import eventually

# Enough that their turns take longer than a busy machine keeps a server, or this test, from running.
SOCKETS = 3_000
TURNS_A_SECOND = 1_000


def ends(sockets, seconds):
    """When each socket's close frame came, by file number, and its code. Events before it are allowed."""
    arrived = {}
    by_number = {socket.socket.fileno(): socket for socket in sockets}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    limit = time.monotonic() + seconds
    while len(arrived) < len(sockets) and time.monotonic() < limit:
        for number, _ in poll.poll(1_000):
            socket = by_number[number]
            _, opcode, payload = socket.next()
            if opcode == CLOSE:
                arrived[number] = (time.monotonic(), struct.unpack(">H", payload[:2])[0])
                poll.unregister(number)
                socket.send_what_is_taken(close_frame(1000))
    return arrived


def test_thousands_of_sockets_end_one_after_the_other_with_1012(make_server):
    server = make_server("--drain-seconds", "20", log_level="info")
    query = web.query(auth=server.admin, channel="firehose")
    sockets = [RawWebSocket(server.port, query) for _ in range(SOCKETS)]
    try:
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        arrived = ends(sockets, 15)
        took = time.monotonic() - began
        assert len(arrived) == SOCKETS
        assert {code for _, code in arrived.values()} == {1012}
        times = sorted(at - began for at, _ in arrived.values())
        span = SOCKETS / TURNS_A_SECOND
        # The middle four fifths of the sockets take about as much of the span: no wave has them all.
        middle = times[SOCKETS * 9 // 10] - times[SOCKETS // 10]
        assert middle > span * 0.6, f"all at once: {middle:.2f} s"
        fullest = max(sum(at <= other < at + span / 20 for other in times) for at in times)
        assert fullest < SOCKETS / 4, f"{fullest} in one twentieth of the time"
        assert took < span + 6, f"{took:.1f} s"
        status = server.process.wait(5)
        assert status == 0
        assert time.monotonic() - began < span + 8, "it stayed though all were gone"
    finally:
        for socket in sockets:
            socket.close()
        server.kill()


def test_until_its_turn_a_stream_gets_what_is_committed(make_server):
    """A tip whose request is under way when the signal comes reaches the sockets that are still there."""
    server = make_server("--drain-seconds", "30", log_level="info")
    slug = server.page()
    query = web.query(auth=server.admin, channel="activity-feed", room=slug)
    sockets = [RawWebSocket(server.port, query) for _ in range(400)]
    tip = b'{"grossAmountInCents":5,"id":"the-last"}'
    got = 0
    try:
        with RawSocket(server.port) as slow:
            slow.send(tip_head(server, slug, tip) + tip[:5])
            assert server.get("/health", key=None).status == 200
            server.process.send_signal(signal.SIGTERM)
            # The first goodbye says that the drain has begun.
            assert select.select([socket.socket for socket in sockets], [], [], 10)[0], "nobody was told"
            slow.send(tip[5:])
            assert slow.response()[0] == 201
            for socket in sockets:
                _, opcode, payload = socket.next()
                if opcode != CLOSE:
                    assert b"the-last" in payload
                    got += 1
                    _, opcode, payload = socket.next()
                assert opcode == CLOSE and payload[:2] == struct.pack(">H", 1012)
                socket.send_what_is_taken(close_frame(1000))
        assert got > 0, "none of them got the last tip"
        assert server.process.wait(10) == 0
    finally:
        for socket in sockets:
            socket.close()
        server.kill()


def test_event_streams_end_in_turns_too(make_server):
    server = make_server("--drain-seconds", "20", log_level="info")
    slug = server.page()
    streams = [server.stream(server.admin, slug) for _ in range(300)]
    try:
        for stream in streams:
            assert stream.message()["type"] == "connected"
        began = time.monotonic()
        times = []

        def end(stream):
            stream.ended()
            times.append(time.monotonic() - began)
        threads = [threading.Thread(target=end, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        status, took = server.terminate(seconds=20)
        for thread in threads:
            thread.join(5)
        assert status == 0 and took < 8, (status, took)
        assert len(times) == len(streams), "a stream was cut instead of ended"
        assert max(times) - min(times) > 0.15, times
    finally:
        for stream in streams:
            stream.close()


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_nothing_acknowledged_is_lost(make_server, again):
    server = make_server("--drain-seconds", "60", log_level="info")
    slug = server.page()
    acknowledged, stop = [], threading.Event()

    def pour(number):
        connection = server.connection()
        count = 0
        while not stop.is_set():
            name = f"{number}-{count}"
            try:
                connection.request(
                    "POST", f"/api/v1/pages/{slug}/tips", b'{"grossAmountInCents":5,"id":"%s"}' % name.encode(),
                    {"Authorization": f"Bearer {server.admin}", "Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except Exception:  # whatever way the connection ended: no acknowledgement
                return
            if answer.status == 201:
                acknowledged.append(name)
            if answer.getheader("connection") == "close":
                return
            count += 1

    threads = [threading.Thread(target=pour, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    # Two that would hold the drain for as long as they are let.
    with RawSocket(server.port) as slow, RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")):
        slow.send((
            f"POST /api/v1/pages/{slug}/tips HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{").encode())
        eventually(lambda: len(acknowledged) > 200, "tips under way")
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in server.stderr, "the first signal is noticed")
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1.5)
        status, took = server.terminate(by=again)
        assert status == 0 and took < 3, (status, took)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert "stopping at once" in server.stderr
    for mark in ("Fatal error", "Stack dump", "rror Domain"):
        assert mark not in server.stderr
    server.start()
    lost = [name for name in acknowledged if server.get(f"/api/v1/pages/{slug}/tips/{name}").status != 200]
    assert not lost, f"{len(lost)} of {len(acknowledged)} are lost"


def test_two_signals_before_anybody_is_connected_are_as_good_as_one(make_server):
    server = make_server()
    server.process.send_signal(signal.SIGINT)
    status, took = server.terminate()
    assert status == 0 and took < 3, (status, took)


def test_a_hangup_ends_nothing(make_server):
    server = make_server()
    slug = server.page()
    with server.feed(server.admin, "activity-feed", slug) as feed:
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "SIGHUP" in server.stderr, "the hangup is noticed")
        cursor = server.tip(slug)["cursor"]
        assert feed.event()["cursor"] == cursor


def test_a_lock_that_someone_else_holds_keeps_no_server_from_ending(make_server):
    server = make_server("--drain-seconds", "1", "--demo")
    tip = {"displayName": "Ada", "grossAmountInCents": 700}
    answers = []
    with sqlite3.connect(server.data / "tipwire.db", isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        senders = [
            threading.Thread(target=lambda: answers.append(server.post("/api/v1/pages/demo/tips", tip).status)) for _ in range(3)]
        for count, sender in enumerate(senders, 1):
            sender.start()
            eventually(lambda: server.samples()["tipwire_intake_pending_tips"] == count, f"{count} waiting")
        status, took = server.terminate(seconds=60)
        for sender in senders:
            sender.join()
        lock.execute("ROLLBACK")
    assert status == 0 and took < 4.5, took
    assert answers == [503] * 3
    server.start()
    assert server.get("/api/v1/pages/demo/tips").json["data"] == []
