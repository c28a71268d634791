"""A feed as Python's `websockets` sees it."""

import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Feed:
    """An open WebSocket. Every frame is a text; JSON unless it is `pong`."""

    def __init__(self, port, query, open_timeout=10.0, headers=None, compression="deflate", context=None, path="/"):
        # permessage-deflate is offered, as most clients do; the server may decline it. Keep-alive pings are off, so
        # that every inbound frame is one that the test sent.
        self.socket = connect(
            f"{'wss' if context else 'ws'}://127.0.0.1:{port}{path}?{query}", proxy=None, ping_interval=None, open_timeout=open_timeout,
            close_timeout=2.0, max_size=None, compression=compression, additional_headers=headers,
            ssl=context).__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def cut(self):
        """Ends the connection without a close handshake, as a lost network does."""
        self.socket.close_socket()

    def send(self, data):
        self.socket.send(data)

    def text(self, seconds=5.0):
        """The next frame, which must be a text."""
        try:
            data = self.socket.recv(timeout=seconds)
        except TimeoutError:
            raise AssertionError(f"no frame within {seconds} s") from None
        assert isinstance(data, str), f"a binary frame: {data!r}"
        return data

    def json(self, seconds=5.0):
        return json.loads(self.text(seconds))

    def event(self, seconds=5.0):
        """The next frame, which must be a `campaigntip.notify`."""
        frame = self.json(seconds)
        assert frame["type"] == "campaigntip.notify", frame
        return frame

    def tip_id(self, seconds=5.0):
        return self.event(seconds)["payload"]["campaignTip"]["id"]

    def tip_ids(self, count, seconds=10.0):
        return [self.tip_id(seconds) for _ in range(count)]

    def resumed(self, seconds=5.0):
        """The next frame, which must be a `feed.resumed`; its payload."""
        frame = self.json(seconds)
        assert frame["type"] == "feed.resumed", frame
        assert list(frame) == ["type", "payload"], frame
        assert set(frame["payload"]) == {"status", "cursor"}, frame
        return frame["payload"]

    def says_nothing_but_pong(self, seconds=5.0):
        """Sends `ping` and asserts that the answer is the very next frame: what was sent before got no answer."""
        self.socket.send("ping")
        assert self.text(seconds) == "pong"

    def closed(self, seconds=5.0):
        """Waits until the server closes it; returns the close code. No frame may come before that."""
        try:
            data = self.socket.recv(timeout=seconds)
        except TimeoutError:
            raise AssertionError(f"not closed within {seconds} s") from None
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"a frame instead of a close: {data!r}")

    def is_open(self):
        try:
            self.socket.ping().wait(3)
        except ConnectionClosed:
            return False
        return True
