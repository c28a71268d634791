"""WebSocket clients that nobody here wrote, against `websocket-echo` and a feed: each does what its library can."""

import asyncio
import json
import pathlib
import socket
import subprocess

import aiohttp
import pytest
import wsproto
import wsproto.events as happened
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from support import http as web
from support.echo import Echo
from support.rawsocket import CONTINUATION, TEXT, RawWebSocket, frame

TEXTS = ["", "κόσμε €", "x" * 70_000]
BYTES = bytes(range(251)) * 20_000


@pytest.fixture(scope="module")
def echo():
    echo = Echo()
    yield echo
    echo.close()


def test_websockets(echo):
    with connect(echo.url, max_size=None) as client:
        for text in TEXTS:
            client.send(text)
            assert client.recv(10) == text
        client.send(BYTES)
        assert client.recv(10) == BYTES
        client.send(["in ", "three ", "pieces"])
        assert client.ping(b"are you there").wait(10)
        assert client.recv(10) == "in three pieces"
        assert client.response.headers.get("Sec-WebSocket-Extensions") is None, "an extension was offered, not agreed on"
        client.close(4321, "enough")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
        assert closed.value.rcvd.code == 4321


def test_aiohttp(echo):
    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(echo.url, max_msg_size=0, compress=15) as client:
            for text in TEXTS:
                await client.send_str(text)
                assert await client.receive_str(timeout=10) == text
            await client.send_bytes(BYTES)
            assert await client.receive_bytes(timeout=10) == BYTES
            await client.ping(b"are you there")
            await client.send_json({"a": [1]})
            assert await client.receive_json(timeout=10) == {"a": [1]}
            await client.close(code=4321)
            assert client.close_code == 4321
    asyncio.run(talk())


class Protocol:
    """wsproto has no socket of its own, and minds everything that comes."""

    def __init__(self, port, target="/"):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.say(happened.Request(host="127.0.0.1", target=target))
        assert isinstance(self.next(), happened.AcceptConnection)

    def say(self, *events):
        for event in events:
            self.socket.sendall(self.connection.send(event))

    def next(self):
        while True:
            for event in self.connection.events():
                return event
            data = self.socket.recv(65_536)
            self.connection.receive_data(data or None)

    def message(self):
        """A whole message: wsproto gives out what has come of one."""
        whole = None
        while True:
            event = self.next()
            assert isinstance(event, happened.Message), event
            whole = event.data if whole is None else whole + event.data
            if event.message_finished:
                return whole


def test_wsproto(echo):
    client = Protocol(echo.port)
    with client.socket:
        for text in TEXTS:
            client.say(happened.TextMessage(data=text))
            assert client.message() == text
        client.say(happened.BytesMessage(data=BYTES))
        assert client.message() == BYTES
        client.say(
            happened.TextMessage(data="in ", message_finished=False), happened.Ping(payload=b"are you there"),
            happened.TextMessage(data="pieces"))
        answer = client.next()
        assert isinstance(answer, happened.Pong) and answer.payload == b"are you there"
        assert client.message() == "in pieces"
        client.say(happened.CloseConnection(code=4321, reason="enough"))
        answer = client.next()
        assert isinstance(answer, happened.CloseConnection) and answer.code == 4321
        assert client.socket.recv(1) == b""


def test_wsproto_on_a_feed(server):
    slug = server.page()
    client = Protocol(server.port, f"/?{web.query(auth=server.admin, channel='activity-feed', room=slug)}")
    with client.socket:
        server.tip(slug, message="to wsproto")
        assert "to wsproto" in client.message()
        client.say(happened.Ping(payload=b"p"), happened.TextMessage(data="ping"))
        assert isinstance(client.next(), happened.Pong)
        assert client.message() == "pong"


def test_aiohttp_on_a_feed(server):
    slug = server.page()

    async def listen():
        query = web.query(auth=server.admin, channel="activity-feed", room=slug)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}/?{query}") as client:
            await asyncio.to_thread(server.tip, slug, message="to aiohttp")
            assert "to aiohttp" in await client.receive_str(timeout=10)
    asyncio.run(listen())


def test_a_message_in_many_fragments_keeps_a_feed_open(make_server):
    """Each frame is a sign of life; the message as a whole takes longer than silence may."""
    server = make_server("--feed-idle-seconds", "2", "--feed-probe-seconds", "1")
    with RawWebSocket(server.port, web.query(auth=server.admin, channel="firehose")) as feed:
        feed.send(frame(TEXT, b"pi", fin=False))
        feed.socket.settimeout(0.5)
        for _ in range(9):
            # A fragment each half second, unless the server asks whether anybody is there, or has heard enough.
            with pytest.raises(TimeoutError):
                feed.next()
            feed.send(frame(CONTINUATION, b"", fin=False))
        feed.socket.settimeout(10)
        feed.send(frame(CONTINUATION, b"ng"))
        assert feed.text() == "pong"


def test_node(echo, node):
    script = pathlib.Path(__file__).parent / "support/node_echo.mjs"
    done = subprocess.run(
        [node, "--experimental-websocket", script, echo.url, "1000000"], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == {"texts": 3, "bytes": True, "code": 4321, "clean": True}, done.stderr
