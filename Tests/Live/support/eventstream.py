"""An event stream to the letter: its chunks, its lines and its end."""

import json

from .rawsocket import RawSocket

STREAM = "/api/tip-events/stream"


def stream_request(parameters="", headers=None, version="1.1", method="GET"):
    """The bytes of a request for a stream."""
    lines = [f"{method} {STREAM}?{parameters} HTTP/{version}", "Host: 127.0.0.1", "Accept: text/event-stream"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class EventStream:
    """The answer to a stream's request that was sent on `connection`. Reads the head at once, which must be a 200."""

    def __init__(self, connection):
        self.connection = connection
        self.status, self.headers = connection.head()
        assert self.status == 200, f"{self.status} {self.headers} {connection.buffer[:300]!r}"
        self.is_chunked = "transfer-encoding" in self.headers
        self.content = b""
        self.keepalives = 0

    @classmethod
    def open(cls, port, parameters="", headers=None, version="1.1", timeout=10.0, receive_buffer=None, context=None):
        connection = RawSocket(port, timeout, receive_buffer, context)
        connection.send(stream_request(parameters, headers, version))
        return cls(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def close(self):
        self.connection.close()

    def cut(self):
        """Ends the connection as a lost network does, or a client that was killed."""
        self.connection.reset()

    def piece(self):
        """What comes next: the content of a chunk, or without chunks some bytes. Empty at the end."""
        if self.is_chunked:
            size = self.connection.until(b"\r\n")
            content = self.connection.take(int(size, 16))
            assert self.connection.take(2) == b"\r\n", "a chunk is longer than it says"
            return content
        if not self.connection.buffer and not self.connection.fill():
            return b""
        content, self.connection.buffer = self.connection.buffer, b""
        return content

    def block(self):
        """The next lines up to an empty one; None at the end, which must not come within a block."""
        while b"\n\n" not in self.content:
            piece = self.piece()
            if not piece:
                assert not self.content, f"the stream ends in the middle of {self.content!r}"
                return None
            self.content += piece
        block, self.content = self.content.split(b"\n\n", 1)
        return block.decode("utf-8").split("\n")

    def lines(self):
        """The lines of the next message. Comments are counted and passed over."""
        while (lines := self.block()) == [": keepalive"]:
            self.keepalives += 1
        assert lines is not None, "the stream ended"
        return lines

    def keepalive(self):
        """The next block, which must be a comment."""
        assert self.block() == [": keepalive"]
        self.keepalives += 1

    def text(self):
        """The next message's JSON. It must be one `data:` line and nothing else."""
        lines = self.lines()
        assert len(lines) == 1 and lines[0].startswith("data: "), lines
        return lines[0][6:]

    def message(self):
        return json.loads(self.text())

    def connected(self):
        """The next message, which must be `connected` to the letter. Returns the stream."""
        assert self.text() == '{"type":"connected"}'
        return self

    def identified(self):
        """The next message of a stream that has positions, as (id, message): an `id:` line, then a `data:` line."""
        lines = self.lines()
        assert len(lines) == 2 and lines[0].startswith("id: ") and lines[1].startswith("data: "), lines
        return lines[0][4:], json.loads(lines[1][6:])

    def resumed(self):
        """The next two messages, `connected` and `resumed`; their position and the status."""
        position, connected = self.identified()
        assert connected == {"type": "connected"}
        again, resumed = self.identified()
        assert list(resumed) == ["type", "status"] and resumed["type"] == "resumed", resumed
        assert again == position
        return resumed["status"], position

    def ended(self):
        """Waits for the end. It must come next, comments aside, and be clean: nothing missing, nothing after it."""
        while (lines := self.block()) == [": keepalive"]:
            self.keepalives += 1
        assert lines is None, f"a message instead of the end: {lines}"
        assert not self.connection.buffer
        # Not `rest()`, which takes a reset for an end.
        assert self.connection.socket.recv(1) == b""
