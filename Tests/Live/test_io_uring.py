"""Sending to many sockets in one system call: where the kernel lets it, and what happens where it doesn't."""

import json
import subprocess

import pytest

from support import http as web
from support.rawsocket import RawWebSocket
from support.server import binary, environment
from support.tracing import traced
from support.waiting import eventually
from test_delivery_path import Feed, OverlaySocket, Stream, Subscription

WORD = "io_uring can't be used; events are sent by a system call for each socket"
BROKEN = "io_uring failed; events are sent by a system call for each socket from here on"


def starts_with_ring(tmp_path):
    command = [binary(), "serve", "--port", "0", "--data", str(tmp_path / "tried"), "--feed-io-uring", "always"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment())
    line = process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=20)
    return b"listening" in line, errors.decode()


def tell_everyone(server, sockets=300, tips=20):
    """All get every tip in its order; returns what they got in bytes."""
    page = server.page()
    feeds = [
        RawWebSocket(server.port, web.query(auth=server.admin, channel="activity-feed", room=page))
        for _ in range(sockets)]
    for number in range(tips):
        server.tip(page, message=f"number {number}")
    for feed in feeds:
        got = [json.loads(feed.next()[2])["payload"]["campaignTip"]["message"] for _ in range(tips)]
        assert got == [f"number {number}" for number in range(tips)]
    for feed in feeds:
        feed.close()


@pytest.fixture
def without_ring(tmp_path):
    """A wrapper of the program in which the kernel refuses io_uring, as many containers do."""
    return traced(tmp_path, "-e trace=io_uring_setup", "-e inject=io_uring_setup:error=EPERM")


def test_either_way_everyone_gets_everything(make_server, tmp_path):
    can, errors = starts_with_ring(tmp_path)
    for use in ["never", "auto"] + (["always"] if can else []):
        server = make_server("--feed-io-uring", use, data=tmp_path / use)
        active = server.samples()["tipwire_io_uring_active"]
        assert active == (0 if use == "never" or not can else 1), (use, can, errors)
        assert (WORD in server.stderr) == (use == "auto" and not can)
        tell_everyone(server)
        server.close()


def test_where_it_is_forbidden_the_server_says_so_and_serves(make_server, without_ring):
    server = make_server("--feed-io-uring", "auto", program=without_ring)
    assert WORD in server.stderr and "operation not permitted" in server.stderr
    assert server.samples()["tipwire_io_uring_active"] == 0
    tell_everyone(server, sockets=20)


def test_who_insists_on_it_is_told_that_it_is_forbidden(tmp_path, without_ring):
    ended = subprocess.run(
        [without_ring, "serve", "--port", "0", "--data", tmp_path / "data", "--feed-io-uring", "always"],
        capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "feed.ioUring is 'always', and io_uring can't be used here: operation not permitted" in ended.stderr
    assert "set it to 'auto' or 'never'" in ended.stderr


@pytest.mark.parametrize("when", [20, 21])
def test_when_it_breaks_in_mid_run_everyone_still_gets_everything_once_and_in_order(make_server, tmp_path, when):
    if not starts_with_ring(tmp_path)[0]:
        pytest.skip("io_uring can't be used here")
    # Of each thread's calls. With more than 256 listeners a loop of two processors makes two for an event: the first of them
    # breaks, or the second, when the first has sent already.
    breaking = traced(tmp_path, "-e trace=io_uring_enter", f"-e inject=io_uring_enter:error=EIO:when={when}+")
    server = make_server("--feed-io-uring", "auto", "--feed-send-buffer-bytes", "4096", program=breaking)
    assert server.samples()["tipwire_io_uring_active"] == 1
    slug = server.page()
    listeners = [form(server, slug) for form in [Feed] * 600 + [Stream, Subscription, OverlaySocket] * 20]
    # And some that stand still meanwhile.
    listeners += [form(server, slug, receive_buffer=2_304) for form in [Feed, Stream, Subscription, OverlaySocket] * 3]
    posted = 0

    def tell():
        """One more tip; whether it has broken by then."""
        nonlocal posted
        server.tip(slug, message=f"{slug} {posted} ".ljust(900, "x"))
        posted += 1
        return BROKEN in server.stderr

    eventually(tell, "the ring to break", seconds=30)
    for _ in range(20):
        tell()
    for listener in listeners:
        listener.expected.next = 0
        while listener.expected.next < posted:
            listener.read()
    assert server.samples()["tipwire_io_uring_active"] == 0
    tell()
    for listener in listeners:
        listener.read()
        listener.socket.close()
    server.close()
    # Each loop has found out once, and asked no more.
    assert (tmp_path / "trace").read_text().count("(INJECTED)") == server.stderr.count(BROKEN)
