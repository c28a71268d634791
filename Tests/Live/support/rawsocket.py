"""WebSocket frame by frame, and HTTP byte by byte: what well-behaved clients can't be made to send."""

import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, masked=True, reserved=0, announce=None):
    """One frame's bytes. `announce` states another length than the payload has."""
    length = len(payload) if announce is None else announce
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))


def close_frame(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


class RawSocket:
    """A TCP connection, with a `context` one of TLS, with a read buffer. A used one has carried a request before."""

    def __init__(self, port, timeout=10.0, receive_buffer=None, context=None, is_used=False):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.buffer = b""
        if is_used:
            self.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            status, _, body = self.response()
            assert (status, body) == (200, b"ok\n"), (status, body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def send_what_is_taken(self, data):
        """Sends, and doesn't mind if the server has had enough before the end."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def fill(self):
        """Reads more; False at the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def take(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(f"{len(self.buffer)} of {count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f"no {mark!r} in {self.buffer[:300]!r}")
        data, self.buffer = self.buffer.split(mark, 1)
        return data + mark

    def rest(self):
        """Everything up to the end of the stream. A time-out is an error: the server must end it."""
        while self.fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self):
        """A response's head as (status, {lower-case name: value})."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
        return int(lines[0].split()[1]), headers

    def response(self):
        """A response with a Content-Length as (status, headers, body)."""
        status, headers = self.head()
        return status, headers, self.take(int(headers.get("content-length", "0")))


# Beyond ASCII. A request with such a header becomes a stream by way of a channel, others without one.
ODD_HEADER = "X-Name: Zo\u00eb\r\n"


def upgrade_request(query, path="/", more=""):
    return (
        f"GET {path}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n").encode()


def tip_head(server, slug, body=None, call="tips"):
    """The head of the request that sends a tip, with None as its body one in chunks. How much of it follows is the test's business."""
    length = "Transfer-Encoding: chunked" if body is None else f"Content-Length: {len(body)}"
    return (
        f"POST /api/v1/pages/{slug}/{call} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.admin}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n").encode()


class RawWebSocket(RawSocket):
    """A WebSocket whose every frame is the test's own doing. It answers nothing by itself."""

    def __init__(self, port, query, timeout=10.0, receive_buffer=None, more="", path="/", **options):
        super().__init__(port, timeout, receive_buffer, **options)
        self.send(upgrade_request(query, path, more))
        status, headers = self.head()
        assert status == 101, f"{status} {headers} {self.buffer[:300]!r}"
        # The sample of RFC 6455, section 1.3.
        assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", headers
        self.handshake_headers = headers

    def next(self):
        """The next frame as (fin, opcode, payload). A server's frames are never masked and have no reserved bits."""
        first, second = self.take(2)
        assert first & 0x70 == 0, f"reserved bits {first:#x}"
        assert second & 0x80 == 0, "a masked frame from the server"
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        return bool(first & 0x80), first & 0x0F, self.take(length)

    def text(self):
        fin, opcode, payload = self.next()
        assert (fin, opcode) == (True, TEXT), (fin, opcode, payload[:100])
        return payload.decode("utf-8")

    def close_code(self):
        """Reads up to the close frame, which must be the next; its code (1005: it has none). 1006: no close frame."""
        try:
            _, opcode, payload = self.next()
        except EOFError:
            return 1006
        assert opcode == CLOSE, f"opcode {opcode} with {payload[:100]!r} instead of a close"
        if not payload:
            return 1005
        payload[2:].decode("utf-8")
        return struct.unpack(">H", payload[:2])[0]
