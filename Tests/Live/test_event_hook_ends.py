"""How a stream of the Event Hook ends: cleanly, at once, for those alone who must go; and what is left of it."""

import time
import types

import pytest

from support import http as web
from support.server import Server, fresh, wait_until_closed
from support.waiting import eventually


@pytest.fixture(scope="module")
def cast(server):
    """Alice, who owns a page, and Bob, who is a member of it."""
    alice, bob = server.account(fresh("alice")), server.account(fresh("bob"))
    cast = types.SimpleNamespace(
        alice=alice, bob=bob, alices_key=server.key(account=alice), bobs_key=server.key(account=bob),
        slug=server.page(owner=alice))
    assert server.call("PUT", f"/api/v1/pages/{cast.slug}/members/{bob}").status == 204
    return cast


def is_open(server, slug, *streams):
    """Whether each of them still gets what happens."""
    tip = server.tip(slug)["tip"]["id"]
    for stream in streams:
        assert stream.message()["tipId"] == tip
    return True


# Rights


def test_revoking_a_key_ends_its_streams_cleanly_and_no_others(server, cast):
    key = server.key_object(account=cast.alice)
    bearer = {"Authorization": f"Bearer {key['key']}"}
    with server.stream(key["key"], cast.slug) as one, server.stream(page=cast.slug, headers=bearer) as two:
        with server.stream(cast.alices_key, cast.slug) as other:
            for stream in (one, two, other):
                stream.connected()
            assert is_open(server, cast.slug, one, two, other)
            assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
            one.ended()
            two.ended()
            assert is_open(server, cast.slug, other)
    assert server.hook(web.query(token=key["key"], page=cast.slug)).status == 401


def test_a_key_that_expires_ends_its_streams_when_its_time_comes_and_not_before(server, cast):
    expiry = time.time() + 2
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(expiry)) + f".{int(expiry % 1 * 1000):03d}Z"
    key = server.key(account=cast.alice, expiresAt=text)
    with server.stream(key, cast.slug) as stream, server.stream(cast.alices_key, cast.slug) as other:
        stream.connected()
        other.connected()
        assert is_open(server, cast.slug, stream, other)
        stream.ended()
        assert expiry - 0.01 <= time.time() <= expiry + 4
        assert is_open(server, cast.slug, other)
    assert server.hook(web.query(token=key, page=cast.slug)).status == 401


def test_a_member_who_is_removed_loses_the_stream_at_once(server, cast):
    slug = server.page(owner=cast.alice)
    members = f"/api/v1/pages/{slug}/members/{cast.bob}"
    assert server.call("PUT", members).status == 204
    with server.stream(cast.bobs_key, slug) as bobs, server.stream(cast.alices_key, slug) as alices:
        bobs.connected()
        alices.connected()
        assert is_open(server, slug, bobs, alices)
        assert server.delete(members).status == 204
        bobs.ended()
        assert is_open(server, slug, alices)
    assert server.hook(web.query(token=cast.bobs_key, page=slug)).status == 403


def test_a_deleted_page_ends_its_streams(server, cast):
    slug = server.page(owner=cast.alice)
    with server.stream(cast.alices_key, slug) as stream, server.stream(cast.alices_key, cast.slug) as other:
        stream.connected()
        other.connected()
        assert server.delete(f"/api/v1/pages/{slug}?confirm={slug}").status == 204
        stream.ended()
        assert is_open(server, cast.slug, other)
    assert server.hook(web.query(token=cast.alices_key, page=slug)).status == 403


def test_a_stream_is_listed_and_can_be_cut_by_hand(server):
    slug = server.page()
    key = server.key_object(pages=[slug])
    with server.stream(key["key"]) as stream:
        stream.connected()
        assert is_open(server, slug, stream)
        listed = [one for one in server.get("/api/v1/connections?limit=1000").json["data"] if one["page"] == slug]
        assert len(listed) == 1, listed
        assert (listed[0]["kind"], listed[0]["keyId"], listed[0]["deliveries"]) == ("sse", key["id"], 1), listed
        assert server.delete(f"/api/v1/connections/{listed[0]['id']}").status == 204
        stream.ended()


# Time


def test_a_time_limit_ends_each_stream_cleanly_at_its_time(make_server):
    server = make_server("--sse-max-stream-seconds", "2", "--sse-keepalive-seconds", "1")
    slug = server.page()
    began = time.monotonic()
    with server.stream(server.admin, slug) as stream, server.feed(server.admin) as feed:
        stream.connected()
        assert is_open(server, slug, stream)
        stream.ended()
        assert 1.0 <= time.monotonic() - began <= 5.0
        assert stream.keepalives
        # A WebSocket has no such limit.
        assert feed.event()


def test_a_stop_ends_every_stream_cleanly_and_takes_no_longer_for_them(make_server):
    server = make_server()
    slug = server.page()
    streams = [server.stream(server.admin, slug, version=version) for version in ["1.1"] * 40 + ["1.0"] * 10]
    for stream in streams:
        stream.connected()
    resuming = [server.stream(server.admin, slug, resume="true") for _ in range(40)]
    for stream in resuming:
        stream.resumed()
    assert is_open(server, slug, *streams)
    status, took = server.terminate()
    assert status == 0 and took < 5, (status, took)
    for stream in resuming:
        stream.identified()
    for stream in streams + resuming:
        stream.ended()
        stream.close()


# What is left of it


def test_clients_that_go_away_leave_nothing(server, cast):
    baseline = server.sockets()
    for end in ("close", "cut"):
        streams = [server.stream(cast.alices_key, cast.slug) for _ in range(50)]
        for stream in streams:
            stream.connected()
        eventually(lambda: server.samples()['tipwire_connections{kind="sse"}'] >= 50, "the gauge to count them")
        for stream in streams:
            getattr(stream, end)()
        wait_until_closed(server, baseline)
    eventually(lambda: server.samples()['tipwire_connections{kind="sse"}'] == 0, "the gauge to be down again")


def test_two_hundred_streams_get_each_message_once_and_in_order(server, cast):
    streams = [server.stream(cast.bobs_key, cast.slug) for _ in range(200)]
    try:
        for stream in streams:
            stream.connected()
        tips = [server.tip(cast.slug)["tip"]["id"] for _ in range(3)]
        tips += [result["tip"]["id"] for result in server.batch(cast.slug, [{"grossAmountInCents": 1}] * 20)]
        for stream in streams:
            assert [stream.message()["tipId"] for _ in tips] == tips
        assert is_open(server, cast.slug, *streams)
    finally:
        for stream in streams:
            stream.close()


# Slow


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server that soon has enough of a slow client."""
    server = Server(
        tmp_path_factory.mktemp("narrow"), "--feed-max-lag-bytes", "65536", "--feed-send-buffer-bytes", "4096",
        "--auth-max-failures-per-minute", "0", log_level="info").start()
    yield server
    server.close()


def big_tips(count):
    return [{"grossAmountInCents": 7, "message": "x" * 1000}] * count


def test_a_client_that_does_not_read_is_cut_the_others_notice_nothing_and_it_can_resume(narrow):
    server = narrow
    slug = server.page()
    with server.stream(server.admin, slug, receive_buffer=4096, timeout=20, resume="true") as slow:
        with server.stream(server.admin, slug) as prompt:
            position = slow.resumed()[1]
            prompt.connected()
            posted, worst = [], 0.0
            # Some 4 MB: more than both kernels may hide and the limit together.
            for _ in range(30):
                results = server.batch(slug, big_tips(100))
                began = time.monotonic()
                assert [prompt.message()["tipId"] for _ in results] == [result["tip"]["id"] for result in results]
                worst = max(worst, time.monotonic() - began)
                posted += [(result["cursor"], result["tip"]["id"]) for result in results]
            assert worst < 2.0
            eventually(lambda: len(server.get("/api/v1/connections").json["data"]) == 1, "the slow one to be cut", 15)
            assert server.samples()["tipwire_slow_consumers_cut_total"] == 1
        got = []
        try:
            while (lines := slow.block()) is not None:
                got.append(lines[0][4:])
        except (EOFError, ConnectionError, AssertionError):
            pass  # Cut in the middle of a message: whoever is that slow is not waited for.
    assert got == [cursor for cursor, _ in posted[:len(got)]] and len(got) < len(posted)
    # Back again from what it has: nothing is missing.
    with server.stream(server.admin, slug, headers={"Last-Event-ID": got[-1] if got else position}) as again:
        assert again.resumed()[0] == "resumed"
        rest = [again.identified() for _ in posted[len(got):]]
        assert [(cursor, message["tipId"]) for cursor, message in rest] == posted[len(got):]


def test_a_client_that_falls_behind_and_reads_on_in_time_gets_everything(make_server):
    server = make_server(
        "--feed-max-lag-bytes", "100000000", "--feed-max-lag-seconds", "60", "--feed-send-buffer-bytes", "4096",
        log_level="info")
    slug = server.page()
    with server.stream(server.admin, slug, receive_buffer=4096, timeout=20) as slow:
        slow.connected()
        posted = [result["tip"]["id"] for _ in range(20) for result in server.batch(slug, big_tips(100))]
        assert [slow.message()["tipId"] for _ in posted] == posted
        assert is_open(server, slug, slow)
