"""RFC 6455 byte by byte, against `websocket-echo`. Every case is sent whole, frame by frame and byte by byte."""

import os
import socket
import struct
import time

import pytest

from support.echo import Echo
from support.rawsocket import (
    BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, RawWebSocket, close_frame, frame, upgrade_request)
from support.waiting import eventually

LIMIT = 16 << 20


@pytest.fixture(scope="module")
def echo():
    echo = Echo()
    yield echo
    echo.close()


def connect(echo, **more):
    connection = RawWebSocket(echo.port, "", **more)
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def first(opcode, payload=b"", **more):
    """A frame that begins a message."""
    return frame(opcode, payload, fin=False, **more)


def more(payload=b""):
    return frame(CONTINUATION, payload, fin=False)


def last(payload=b""):
    return frame(CONTINUATION, payload)


class Case:
    """What is sent, what must come back, and the code that the server ends with (None: nothing ends it but us)."""

    def __init__(self, name, frames, answers=(), code=None):
        self.name, self.frames, self.answers, self.code = name, list(frames), list(answers), code

    def run(self, echo, parts):
        with connect(echo) as connection:
            for part in parts:
                connection.send_what_is_taken(part)
            for number, (opcode, payload) in enumerate(self.answers):
                assert connection.next() == (True, opcode, payload), f"answer {number}"
            if self.code is None:
                connection.send(close_frame(1000))
            assert connection.close_code() == (self.code or 1000)
            assert connection.rest() == b"", "something behind the close frame"


def text(payload):
    payload = payload if isinstance(payload, bytes) else payload.encode()
    return TEXT, payload


HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()
BINARY_PING = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
SIZES = (0, 125, 126, 127, 128, 65_535, 65_536)


def plain():
    for size in SIZES:
        yield Case(f"text of {size}", [frame(TEXT, b"*" * size)], [text(b"*" * size)])
        yield Case(f"binary of {size}", [frame(BINARY, b"\xfe" * size)], [(BINARY, b"\xfe" * size)])


def pings():
    for name, payload in (("empty", b""), ("text", b"Hello, world!"), ("binary", BINARY_PING), ("longest", b"\xfe" * 125)):
        yield Case(f"ping, {name}", [frame(PING, payload)], [(PONG, payload)])
    yield Case("ping too long", [frame(PING, b"\xfe" * 126)], code=1002)
    yield Case("pong too long", [frame(PONG, b"\xfe" * 126)], code=1002)
    yield Case("pong unasked, empty", [frame(PONG)])
    yield Case("pong unasked", [frame(PONG, b"unsolicited")])
    yield Case("pong unasked, then ping", [frame(PONG, b"unsolicited"), frame(PING, b"mine")], [(PONG, b"mine")])
    many = [b"payload-%d" % number for number in range(10)]
    yield Case("ten pings", [frame(PING, payload) for payload in many], [(PONG, payload) for payload in many])


def reserved():
    for bits in range(1, 8):
        yield Case(f"reserved bits {bits}, text", [frame(TEXT, b"a", reserved=bits)], code=1002)
        yield Case(
            f"reserved bits {bits} behind a message", [frame(TEXT, HELLO), frame(TEXT, HELLO, reserved=bits), frame(PING)],
            [text(HELLO)], 1002)
        for name, opcode in (("binary", BINARY), ("ping", PING), ("close", CLOSE)):
            yield Case(f"reserved bits {bits}, {name}", [frame(opcode, b"", reserved=bits)], code=1002)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"opcode {opcode}", [frame(opcode)], code=1002)
        yield Case(f"opcode {opcode}, payload", [frame(opcode, b"reserved")], code=1002)
        yield Case(
            f"opcode {opcode} behind a message", [frame(TEXT, HELLO), frame(opcode), frame(PING)], [text(HELLO)], 1002)
        yield Case(
            f"opcode {opcode}, payload, behind a message", [frame(TEXT, HELLO), frame(opcode, b"x"), frame(PING)],
            [text(HELLO)], 1002)


def fragments():
    one, two = b"fragment1", b"fragment2"
    both = text(one + two)
    yield Case("ping in fragments", [first(PING, one), last(two)], code=1002)
    yield Case("pong in fragments", [first(PONG, one), last(two)], code=1002)
    yield Case("close in fragments", [first(CLOSE, b"\x03\xe8"), last(b"")], code=1002)
    yield Case("text in two", [first(TEXT, one), last(two)], [both])
    yield Case("binary in two", [first(BINARY, one), last(two)], [(BINARY, one + two)])
    yield Case("ping inside", [first(TEXT, one), frame(PING, b"ping"), last(two)], [(PONG, b"ping"), both])
    yield Case("pong inside", [first(TEXT, one), frame(PONG, b"pong"), last(two)], [both])
    for name, fragment in (("final", last(one)), ("not final", more(one)), ("final and empty", last())):
        yield Case(f"continuation of nothing, {name}", [fragment, frame(TEXT, HELLO)], code=1002)
        yield Case(
            f"continuation of nothing, {name}, behind a message", [first(TEXT, one), last(two), fragment, frame(TEXT, HELLO)],
            [both], 1002)
    yield Case("text inside text", [first(TEXT, one), frame(TEXT, two)], code=1002)
    yield Case("unfinished text inside text", [first(TEXT, one), first(TEXT, two)], code=1002)
    yield Case("binary inside text", [first(TEXT, one), frame(BINARY, two)], code=1002)
    pieces = [first(TEXT, b"f1"), more(b"f2"), frame(PING, b"p1"), more(b"f3"), more(b"f4"), frame(PING, b"p2"), last(b"f5")]
    yield Case("pings between many", pieces, [(PONG, b"p1"), (PONG, b"p2"), text("f1f2f3f4f5")])
    yield Case("message given up by closing", [first(TEXT, one), close_frame(1001), last(two)], code=1001)
    yield Case("empty fragments", [first(TEXT), more(), last()], [text("")])
    yield Case("middle alone filled", [first(TEXT), more(b"middle"), last()], [text("middle")])
    whole = b"*" * 65_536
    cut = [whole[at:at + 1_300] for at in range(0, len(whole), 1_300)]
    yield Case(
        "65,536 in fragments of 1,300", [first(TEXT, cut[0]), *map(more, cut[1:-1]), last(cut[-1])], [text(whole)])


VALID = {
    "greek": "κόσμε".encode(), "symbols": HELLO, "empty": b"", "nul": b"\x00", "del": b"\x7f",
    "lowest of 2": b"\xc2\x80", "lowest of 3": b"\xe0\xa0\x80", "lowest of 4": b"\xf0\x90\x80\x80",
    "highest of 2": b"\xdf\xbf", "highest of 3": b"\xef\xbf\xbf", "highest": b"\xf4\x8f\xbf\xbf",
    "before surrogates": b"\xed\x9f\xbf", "behind surrogates": b"\xee\x80\x80", "replacement": b"\xef\xbf\xbd",
    "private": b"\xf3\xb0\x80\x80", "byte order mark": b"\xef\xbb\xbf",
} | {
    f"noncharacter {plane:x}FFF{end:X}": chr(plane << 16 | 0xFFF0 | end).encode()
    for plane in range(17) for end in (14, 15)
}
INVALID = {
    "continuation alone": b"\x80", "last continuation alone": b"\xbf", "two": b"\x80\xbf", "three": b"\x80\xbf\x80",
    "all continuations": bytes(range(0x80, 0xC0)), "C0": b"\xc0", "C1": b"\xc1\x80",
    "leads of 2": b" ".join(bytes([byte]) for byte in range(0xC0, 0xE0)) + b" ",
    "leads of 3": b" ".join(bytes([byte]) for byte in range(0xE0, 0xF0)) + b" ",
    "leads of 4": b" ".join(bytes([byte]) for byte in range(0xF0, 0xF8)) + b" ",
    "lead of 5": b"\xf8\x88\x80\x80\x80", "lead of 6": b"\xfc\x84\x80\x80\x80\x80", "FE": b"\xfe", "FF": b"\xff",
    "FE FE FF FF": b"\xfe\xfe\xff\xff", "2 cut": b"\xc3", "3 cut": b"\xe0\xa0", "3 cut early": b"\xe2", "4 cut": b"\xf0\x90\x80",
    "4 cut early": b"\xf0", "2 cut inside": b"a\xc3b", "3 cut inside": b"\xe2\x82 ", "4 cut inside": b"\xf0\x90\x80 ",
    "overlong / of 2": b"\xc0\xaf", "overlong / of 3": b"\xe0\x80\xaf", "overlong / of 4": b"\xf0\x80\x80\xaf",
    "overlong / of 5": b"\xf8\x80\x80\x80\xaf", "overlong / of 6": b"\xfc\x80\x80\x80\x80\xaf",
    "highest overlong of 2": b"\xc1\xbf", "highest overlong of 3": b"\xe0\x9f\xbf", "highest overlong of 4": b"\xf0\x8f\xbf\xbf",
    "overlong NUL of 2": b"\xc0\x80", "overlong NUL of 3": b"\xe0\x80\x80", "overlong NUL of 4": b"\xf0\x80\x80\x80",
    "above the highest": b"\xf4\x90\x80\x80", "F5": b"\xf5\x80\x80\x80", "F7": b"\xf7\xbf\xbf\xbf",
    "surrogate inside": "κόσμε".encode() + b"\xed\xa0\x80" + b"edited",
} | {
    f"surrogate {code:X}": chr(code).encode("utf-8", "surrogatepass")
    for code in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)
} | {
    "pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80", "last pair of surrogates": b"\xed\xaf\xbf\xed\xbf\xbf",
}


def octets(payload):
    """A message with a fragment for every byte."""
    if len(payload) < 2:
        return [frame(TEXT, payload)]
    return [first(TEXT, payload[:1]), *(more(payload[at:at + 1]) for at in range(1, len(payload) - 1)), last(payload[-1:])]


def utf8():
    for name, payload in VALID.items():
        yield Case(f"valid, {name}", [frame(TEXT, payload)], [text(payload)])
        yield Case(f"valid in fragments, {name}", octets(payload), [text(payload)])
    for name, payload in INVALID.items():
        yield Case(f"invalid, {name}", [frame(TEXT, payload)], code=1007)
        yield Case(f"invalid in fragments, {name}", octets(payload), code=1007)
        yield Case(f"invalid for text alone, {name}", [frame(BINARY, payload)], [(BINARY, payload)])


GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def closes():
    yield Case("close, empty", [frame(CLOSE)], code=1005)
    yield Case("close of one byte", [frame(CLOSE, b"a")], code=1002)
    for code in GOOD_CODES:
        yield Case(f"close {code}", [close_frame(code)], code=code)
        yield Case(f"close {code} with a reason", [close_frame(code, b"Hello World!")], code=code)
    for code in BAD_CODES:
        yield Case(f"close {code}", [close_frame(code)], code=1002)
        yield Case(f"close {code} with a reason", [close_frame(code, b"reason")], code=1002)
    yield Case("longest reason", [close_frame(1001, b"*" * 123)], code=1001)
    yield Case("reason too long", [close_frame(1001, b"*" * 124)], code=1002)
    yield Case("reason that is no text", [close_frame(1001, HELLO + b"\xed\xa0\x80edited")], code=1007)
    yield Case("reason cut inside a character", [close_frame(1001, b"\xe2\x82")], code=1007)
    yield Case("message, then close", [frame(TEXT, HELLO), close_frame(1001)], [text(HELLO)], 1001)
    yield Case("close twice", [close_frame(1001), close_frame(1002)], code=1001)
    yield Case("ping behind close", [close_frame(1001), frame(PING)], code=1001)
    yield Case("message behind close", [close_frame(1001), frame(TEXT, HELLO)], code=1001)
    yield Case("violation behind close", [close_frame(1001), frame(3)], code=1001)
    big = b"BAsd7&jh23" * 26_214
    yield Case("close behind much", [frame(TEXT, big), frame(TEXT, HELLO), close_frame(1001), frame(PING)], [
        text(big), text(HELLO)], 1001)


def lengths():
    """What the framing rules alone forbid."""
    yield Case("unmasked", [frame(TEXT, HELLO, masked=False)], code=1002)
    yield Case("unmasked ping", [frame(PING, masked=False)], code=1002)
    mask = b"\x11\x22\x33\x44"
    yield Case("125 in the form of 16 bits", [b"\x82\xfe" + struct.pack(">H", 125) + mask + bytes(125)], code=1002)
    yield Case("0 in the form of 16 bits", [b"\x82\xfe\x00\x00" + mask], code=1002)
    yield Case("65,535 in the form of 64 bits", [b"\x82\xff" + struct.pack(">Q", 65_535) + mask], code=1002)
    yield Case("the highest bit of 64", [b"\x82\xff" + struct.pack(">Q", 1 << 63) + mask], code=1002)
    yield Case("2^63-1 announced", [b"\x82\xff" + struct.pack(">Q", (1 << 63) - 1) + mask], code=1009)
    yield Case("one too many announced", [b"\x82\xff" + struct.pack(">Q", LIMIT + 1) + mask], code=1009)
    yield Case("ping in the form of 16 bits", [b"\x89\xfe" + struct.pack(">H", 126) + mask], code=1002)
    yield Case("one too many over fragments", [first(BINARY, b"x"), b"\x80\xff" + struct.pack(">Q", LIMIT) + mask], code=1009)


CASES = [*plain(), *pings(), *reserved(), *fragments(), *utf8(), *closes(), *lengths()]
assert len({case.name for case in CASES}) == len(CASES)
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@by_name
def test_all_at_once(echo, case):
    case.run(echo, [b"".join(case.frames)])


@by_name
def test_frame_by_frame(echo, case):
    case.run(echo, case.frames)


@pytest.mark.parametrize("case", [case for case in CASES if sum(map(len, case.frames)) < 4_096], ids=lambda case: case.name)
def test_byte_by_byte(echo, case):
    whole = b"".join(case.frames)
    case.run(echo, [whole[at:at + 1] for at in range(len(whole))])


@pytest.mark.parametrize("chop", [997, 1_024])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_long_message_in_pieces_of_any_length(echo, opcode, chop):
    whole = frame(opcode, b"*" * 65_536)
    Case("chopped", [whole], [(opcode, b"*" * 65_536)]).run(
        echo, [whole[at:at + chop] for at in range(0, len(whole), chop)])


# As early as possible


@pytest.mark.parametrize("invalid", ["surrogate inside", "above the highest", "overlong / of 2", "FE"])
@pytest.mark.parametrize("form", ["fragments", "pieces of a frame"])
def test_text_that_cannot_become_valid_is_refused_before_its_end(echo, invalid, form):
    """The rest never comes, and neither does the end of the message."""
    head = "κόσμε".encode() + INVALID[invalid]
    with connect(echo) as connection:
        if form == "fragments":
            connection.send(first(TEXT, head))
        else:
            whole = frame(TEXT, head + b"edited" * 10)
            # Through the last of the bad bytes; header and mask take six.
            connection.send(whole[:6 + len(head)])
        assert connection.close_code() == 1007
        assert connection.rest() == b""


def test_a_message_too_large_is_refused_by_its_announcement(echo):
    """Neither mask nor payload ever comes."""
    with connect(echo) as connection:
        connection.send(b"\x82\xff" + struct.pack(">Q", LIMIT + 1))
        assert connection.close_code() == 1009


@pytest.mark.parametrize("head", [b"\xc1", b"\x83", b"\x80", b"\x09", b"\x81\x05", b"\x89\xfe", b"\x82\xfe\x00\x7d"])
def test_a_header_is_refused_by_the_first_byte_that_shows_the_breach(echo, head):
    with connect(echo) as connection:
        connection.send(head)
        assert connection.close_code() == 1002


# The end of the connection


def test_the_server_ends_the_connection_first(echo):
    with connect(echo) as connection:
        connection.send(close_frame(1000))
        assert connection.close_code() == 1000
        assert connection.rest() == b""


def test_a_violation_is_told_though_the_peer_goes_on_sending(echo):
    with connect(echo) as connection:
        connection.send_what_is_taken(frame(3) + frame(BINARY, bytes(1 << 20)))
        assert connection.close_code() == 1002


def test_half_a_connection_is_none(echo):
    with connect(echo) as connection:
        connection.send(first(TEXT, b"half"))
        connection.half_close()
        assert connection.rest() == b""


# Much


def big_frames(size, per_frame):
    """A binary message. The mask is zero, so that Python needn't do the work of it."""
    block = os.urandom(min(size, 65_536))
    payload = (block * (size // len(block) + 1))[:size]
    parts = []
    for at in range(0, size, per_frame):
        piece = payload[at:at + per_frame]
        opcode = (CONTINUATION if at else BINARY) | (0x80 if at + per_frame >= size else 0)
        length = len(piece)
        form = bytes([0x80 | length]) if length < 126 else (
            b"\xfe" + struct.pack(">H", length) if length < 65_536 else b"\xff" + struct.pack(">Q", length))
        parts.append(bytes([opcode]) + form + bytes(4) + piece)
    return payload, parts


@pytest.mark.parametrize("per_frame", [LIMIT, 1 << 20, 65_536, 4_096, 256], ids="{} a frame".format)
def test_the_largest_message_comes_back(echo, per_frame):
    payload, parts = big_frames(LIMIT, per_frame)
    with connect(echo, timeout=60) as connection:
        began = time.monotonic()
        connection.send(b"".join(parts))
        fin, opcode, length = take_header(connection)
        assert (fin, opcode, length) == (True, BINARY, LIMIT)
        assert take_much(connection, LIMIT) == payload
        assert time.monotonic() - began < 30
        connection.send(close_frame(1000))
        assert connection.close_code() == 1000


def test_the_largest_message_in_tiny_writes_takes_no_more_than_it_must(echo):
    """262,144 writes of 64 bytes: what the server does for each must not grow with what has come before."""
    payload, parts = big_frames(LIMIT, LIMIT)
    whole = memoryview(parts[0])
    with connect(echo, timeout=60) as connection:
        began = time.monotonic()
        for at in range(0, len(whole), 64):
            connection.socket.send(whole[at:at + 64])
        assert take_header(connection) == (True, BINARY, LIMIT)
        assert take_much(connection, LIMIT) == payload
        assert time.monotonic() - began < 60


def take_header(connection):
    first_byte, second = connection.take(2)
    assert second == 127
    return bool(first_byte & 0x80), first_byte & 0x0F, struct.unpack(">Q", connection.take(8))[0]


def take_much(connection, count):
    """As `take`, in time that is linear in the count."""
    pieces, left = [connection.buffer[:count]], count - len(connection.buffer[:count])
    connection.buffer = connection.buffer[count:]
    while left:
        piece = connection.socket.recv(min(left, 1 << 20))
        assert piece, "the stream ended"
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def test_who_asks_and_never_reads_is_not_answered_without_bound(echo):
    payload, parts = big_frames(1 << 20, 1 << 20)
    before = echo.resident()
    with connect(echo, receive_buffer=4_096) as greedy:
        greedy.socket.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(256):
                greedy.socket.sendall(parts[0])
                sent += 1
        assert sent < 64, "all of it was taken"
        assert echo.resident() - before < 64 << 20
        with connect(echo) as other:
            other.send(frame(TEXT, b"prompt"))
            assert other.text() == "prompt"


def test_connections_beyond_the_limit_are_closed_as_they_come(echo):
    held = []
    try:
        while len(held) <= 64:
            connection = RawSocket(echo.port)
            connection.send(upgrade_request(""))
            held.append(connection)
            try:
                assert connection.head()[0] == 101
            except (EOFError, ConnectionError):
                break
        # One or the other of an earlier test may not be gone yet.
        assert 60 <= len(held) - 1 <= 64
    finally:
        for connection in held:
            connection.close()

    def is_open_again():
        try:
            with connect(echo):
                return True
        except (EOFError, ConnectionError):
            return False
    eventually(is_open_again, "places given back")


# The handshake


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (upgrade_request("").replace(b"Version: 13", b"Version: 8"), 426),
    (upgrade_request("").replace(b"GET", b"POST"), 405),
    (upgrade_request("").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
    (b"nonsense\r\n\r\n", 400),
], ids=["no upgrade", "version", "method", "key", "no HTTP"])
def test_a_handshake_that_is_none_is_told_why(echo, request_bytes, status):
    with RawSocket(echo.port) as connection:
        connection.send(request_bytes)
        answer, headers, body = connection.response()
        assert answer == status and b'"error":"' in body
        assert connection.rest() == b""


def test_frames_may_come_right_behind_the_request(echo):
    with RawWebSocket.__new__(RawWebSocket) as connection:
        RawSocket.__init__(connection, echo.port)
        connection.send(upgrade_request("") + frame(TEXT, b"early"))
        assert connection.head()[0] == 101
        assert connection.text() == "early"
