"""Resume: a position in the log, and nothing lost or doubled after it."""

import random
import re
import threading
import types

import pytest
from websockets.exceptions import ConnectionClosed

from support import http as web
from support.feed import Feed
from support.rawsocket import RawWebSocket
from support.server import Server, fresh
from support.waiting import eventually, settled


def cursors(feed, count):
    return [feed.event(10)["cursor"] for _ in range(count)]


@pytest.fixture(scope="module")
def cast(server):
    """An account with two pages, so that its firehose is not every page's."""
    account = server.account(fresh("alice"))
    return types.SimpleNamespace(
        key=server.key(account=account), one=server.page(owner=account), two=server.page(owner=account),
        foreign=server.page())


def test_without_since_there_is_no_resumed_frame(server, cast):
    with server.feed(cast.key) as feed:
        tip = server.tip(cast.one)
        assert feed.json()["cursor"] == tip["cursor"]


def test_since_now_answers_resumed_with_the_head_and_goes_on_live(server, cast):
    last = server.tip(cast.one)["cursor"]
    with server.feed(cast.key, since="now") as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": last}
        assert server.tip(cast.one)["cursor"] == feed.event()["cursor"]
        feed.says_nothing_but_pong()


def test_since_a_cursor_gives_exactly_what_was_missed_and_then_goes_on_live(server, cast):
    seen = server.tip(cast.one)["cursor"]
    missed = [server.tip(slug)["cursor"] for slug in (cast.one, cast.two, cast.foreign, cast.one, cast.foreign)]
    own = [missed[0], missed[1], missed[3]]
    with server.feed(cast.key, since=seen) as firehose:
        with server.feed(cast.key, "activity-feed", cast.one, since=seen) as activity:
            assert firehose.resumed() == activity.resumed() == {"status": "resumed", "cursor": seen}
            assert cursors(firehose, 3) == own
            assert cursors(activity, 2) == [missed[0], missed[3]]
            live = server.tip(cast.one)["cursor"]
            assert cursors(firehose, 1) == cursors(activity, 1) == [live]
            firehose.says_nothing_but_pong()
            activity.says_nothing_but_pong()


def test_since_the_head_misses_nothing(server, cast):
    head = server.tip(cast.one)["cursor"]
    with server.feed(cast.key, since=head) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": head}
        feed.says_nothing_but_pong()
        assert server.tip(cast.two)["cursor"] == feed.event()["cursor"]


def test_cursors_of_feed_answer_and_log_are_the_same(server, cast):
    before = server.head(cast.one)
    posted = server.tip(cast.one)
    assert posted["cursor"] == posted["events"][-1]["cursor"]
    assert [event["cursor"] for event in server.log(cast.one, before)] == [posted["cursor"]]
    with server.feed(cast.key, since=before) as feed:
        feed.resumed()
        assert feed.event()["cursor"] == posted["cursor"]


def test_a_replay_reaches_a_resuming_client_as_an_event_of_its_own(server, cast):
    posted = server.tip(cast.one)
    replayed = server.replay(cast.one, posted["tip"]["id"])
    with server.feed(cast.key, since=posted["cursor"]) as feed:
        assert feed.resumed()["status"] == "resumed"
        again = feed.event()
        assert again["cursor"] == replayed["cursor"]
        assert again["payload"]["campaignTip"]["id"] == posted["tip"]["id"]
        assert again["payload"]["campaignTip"]["updatedAt"] == posted["tip"]["processedAt"]
        feed.says_nothing_but_pong()


def test_a_client_cut_off_during_catch_up_loses_nothing_by_the_cursor_of_its_resumed_frame(server, cast):
    seen = server.tip(cast.one)["cursor"]
    missed = [result["cursor"] for result in server.batch(cast.one, [{"grossAmountInCents": 1}] * 300)]
    with RawWebSocket(server.port, web.query(auth=cast.key, channel="firehose", since=seen)) as socket:
        assert f'"{seen}"' in socket.text(), "the position just before the first event that follows, never later"
        socket.reset()
    with server.feed(cast.key, since=seen) as feed:
        feed.resumed()
        assert cursors(feed, 300) == missed


def test_a_catch_up_longer_than_any_page_of_the_log_is_whole(server, cast):
    seen = server.head(cast.two)
    missed = []
    for _ in range(3):
        missed += [result["cursor"] for result in server.batch(cast.two, [{"grossAmountInCents": 1}] * 1000)]
    with server.feed(cast.key, since=seen) as feed:
        feed.resumed()
        assert cursors(feed, 3000) == missed
        feed.says_nothing_but_pong()


def test_nothing_is_lost_or_doubled_by_clients_that_connect_amid_intake(server, cast, rng):
    """Writers post on; clients are cut at random and resume. Each must end up with exactly the log."""
    start = server.head(cast.one)
    stop = threading.Event()
    failures = []

    def write(slug, batches):
        while not stop.is_set():
            if batches:
                server.batch(slug, [{"grossAmountInCents": 2}] * 7)
            else:
                server.tip(slug)

    def follow(choices, channel, room, end, got):
        cursor = start
        try:
            while True:
                feed = server.feed(cast.key, channel, room, since=cursor)
                try:
                    assert feed.resumed(10) == {"status": "resumed", "cursor": cursor}
                    for _ in range(choices.randrange(0, 60)):
                        event = feed.event(10)
                        cursor = event["cursor"]
                        got.append(cursor)
                        if event["payload"]["campaignTip"]["message"] == end:
                            feed.says_nothing_but_pong()
                            return
                finally:
                    feed.cut()
        except BaseException as error:  # Any end but the good one is told by the main thread.
            failures.append(repr(error))

    views = [
        ("firehose", None, "end one", []), ("activity-feed", cast.one, "end one", []),
        ("activity-feed", cast.two, "end two", []), ("firehose", None, "end one", [])]
    followers = [threading.Thread(target=follow, args=(random.Random(rng.random()), *view)) for view in views]
    writers = [
        threading.Thread(target=write, args=(slug, batches))
        for slug in (cast.one, cast.two) for batches in (True, False)]
    for thread in writers + followers:
        thread.start()
    eventually(lambda: failures or all(len(got) >= 300 for *_, got in views), "300 events each", 40)
    stop.set()
    for thread in writers:
        thread.join(20)
    server.tip(cast.two, message="end two")
    server.tip(cast.one, message="end one")
    for thread in followers:
        thread.join(30)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in followers), "a follower never came to the end"
    logs = {slug: [event["cursor"] for event in server.log(slug, start)] for slug in (cast.one, cast.two)}
    for _, room, _, got in views:
        if room:
            assert got == logs[room]
        else:
            assert len(got) == len(set(got)) == len(logs[cast.one]) + len(logs[cast.two])
            for log in logs.values():
                of_page = set(log)
                assert [cursor for cursor in got if cursor in of_page] == log
    assert views[0][-1] == views[-1][-1], "one order"


# Positions that mean nothing


@pytest.mark.parametrize("nonsense", ["nonsense", "0", "-", "%00", "ffffffff-1", "x" * 3000, "NOW", "null", "1-1-1", "%F0%9F"])
def test_a_nonsense_position_is_reset_and_starts_live(server, cast, nonsense):
    head = server.tip(cast.one)["cursor"]
    with Feed(server.port, f"auth={cast.key}&channel=firehose&since={nonsense}") as feed:
        assert feed.resumed() == {"status": "reset", "cursor": head}
        assert server.tip(cast.one)["cursor"] == feed.event()["cursor"]


def test_a_position_beyond_the_head_is_reset(server, cast):
    head = server.tip(cast.one)["cursor"]
    # A cursor is opaque to clients; a test may know that it ends in its sequence.
    beyond = re.sub(r"\d+$", lambda match: str(int(match.group()) + 1), head)
    for position in (beyond, re.sub(r"\d+$", "9" * 18, head), re.sub(r"\d+$", "9" * 40, head)):
        with server.feed(cast.key, since=position) as feed:
            assert feed.resumed() == {"status": "reset", "cursor": head}
            feed.says_nothing_but_pong()
        answer = server.get(f"/api/v1/pages/{cast.one}/events?since={position}").json
        assert answer == {"data": [], "next": head, "status": "reset"}


def test_a_position_of_another_log_is_reset(server, cast, make_server):
    foreign = make_server()
    page = foreign.page()
    for _ in range(3):
        position = foreign.tip(page)["cursor"]
    head = server.tip(cast.one)["cursor"]
    with server.feed(cast.key, since=position) as feed:
        assert feed.resumed() == {"status": "reset", "cursor": head}
        assert server.tip(cast.one)["cursor"] == feed.event()["cursor"]


# Restart


def test_positions_hold_over_a_restart(make_server):
    server = make_server()
    slug = server.page()
    seen = server.tip(slug)["cursor"]
    missed = [server.tip(slug)["cursor"] for _ in range(3)]
    server.restart()
    missed.append(server.tip(slug)["cursor"])
    with server.feed(server.admin, since=seen) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": seen}
        assert cursors(feed, 4) == missed
        feed.says_nothing_but_pong()
        server.close()
        with pytest.raises(ConnectionClosed):
            feed.socket.recv(timeout=5)
    server.start()
    with server.feed(server.admin, since=missed[-1]) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": missed[-1]}
        assert server.tip(slug)["cursor"] == feed.event()["cursor"]


# Retention


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A server whose log keeps only some tens of the two hundred tips that it got."""
    server = Server(
        tmp_path_factory.mktemp("pruned"), "--retention-bytes", "20000", "--retention-check-seconds", "1",
        "--auth-max-failures-per-minute", "0").start()
    slug = server.page()
    first = server.tip(slug, id="the-first", message="kept as a tip")
    posted = [result["cursor"] for result in server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 100}] * 200)]

    def oldest():
        return server.get(f"/api/v1/pages/{slug}/events?limit=1").json["data"][0]["cursor"]

    eventually(lambda: oldest() != first["cursor"], "the log to be pruned", 15)
    # A pruning that goes in steps comes to its end before anything is compared.
    settled(oldest, calm=1.5)
    yield types.SimpleNamespace(server=server, slug=slug, first=first, posted=posted)
    server.close()


def test_a_position_older_than_retention_is_a_gap_and_starts_at_the_oldest_kept(pruned):
    server = pruned.server
    kept = [event["cursor"] for event in server.log(pruned.slug)]
    assert 0 < len(kept) < 200
    assert pruned.posted[-len(kept):] == kept, "what is kept is the newest"
    with server.feed(server.admin, since=pruned.first["cursor"]) as feed:
        resumed = feed.resumed()
        assert resumed["status"] == "gap"
        assert cursors(feed, len(kept)) == kept
        feed.says_nothing_but_pong()
    # Its cursor stands just before the oldest kept: whoever comes with it misses nothing more.
    with server.feed(server.admin, since=resumed["cursor"]) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": resumed["cursor"]}
        assert cursors(feed, len(kept)) == kept


def test_the_log_itself_says_gap_too(pruned):
    server = pruned.server
    kept = [event["cursor"] for event in server.log(pruned.slug)]
    answer = server.get(f"/api/v1/pages/{pruned.slug}/events?limit=1000&since={pruned.first['cursor']}").json
    assert answer["status"] == "gap"
    assert [event["cursor"] for event in answer["data"]] == kept


def test_a_kept_position_is_no_gap(pruned):
    server = pruned.server
    kept = [event["cursor"] for event in server.log(pruned.slug)]
    with server.feed(server.admin, since=kept[0]) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": kept[0]}
        assert cursors(feed, len(kept) - 1) == kept[1:]


def test_tips_outlive_the_log_and_so_does_their_id(pruned):
    server = pruned.server
    tips = server.get(f"/api/v1/pages/{pruned.slug}/tips?limit=1000").json["data"]
    assert len(tips) == 201 and tips[-1] == pruned.first["tip"]
    body = {"id": "the-first", "message": "kept as a tip", "grossAmountInCents": 500}
    again = server.post(f"/api/v1/pages/{pruned.slug}/tips", body)
    assert again.status == 200, again
    assert again.json == {"tip": pruned.first["tip"], "events": [], "cursor": pruned.first["cursor"]}
    assert server.post(f"/api/v1/pages/{pruned.slug}/tips", body | {"message": "other"}).status == 409


def test_a_pruned_tip_can_be_replayed(pruned):
    server = pruned.server
    with server.feed(server.admin, "activity-feed", pruned.slug) as feed:
        replayed = server.replay(pruned.slug, "the-first")
        again = feed.event()
        assert again["cursor"] == replayed["cursor"]
        assert again["payload"]["campaignTip"]["updatedAt"] == pruned.first["tip"]["processedAt"]
