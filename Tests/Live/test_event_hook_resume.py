"""The Event Hook with positions: nothing lost, nothing twice, whatever ended the stream."""

import random
import re
import threading
import types

import pytest

from support.eventstream import EventStream
from support.server import Server, fresh
from support.waiting import eventually, settled

# Each way to name a position.
WAYS = ("header", "lastEventId", "last_event_id")


def resume(server, key, slug, position, way="header", **more):
    """A stream from `position`, asked for in one of three ways."""
    if way == "header":
        return server.stream(key, slug, headers={"Last-Event-ID": position}, **more)
    return server.stream(key, slug, **{way: position}, **more)


def told(events):
    """What the Event Hook tells of a log: (cursor, type)."""
    types = {
        "tip.received": "tip:received", "goal.completed": "tip:goal-completed", "goal.chain": "tip:overflow-chain",
        "goal.queue": "tip:queue-updated"}
    return [(event["cursor"], types[event["type"]]) for event in events if event["type"] in types]


def read(stream, count):
    """The next messages, as (position, type)."""
    return [(position, message["type"]) for position, message in (stream.identified() for _ in range(count))]


def is_live(server, slug, stream):
    """Whether what happens now is the very next that it tells."""
    cursor = server.tip(slug)["cursor"]
    assert read(stream, 1) == [(cursor, "tip:received")]
    return True


@pytest.fixture(scope="module")
def cast(server):
    """An account with one page, and another page that is none of its business."""
    account = server.account(fresh("alice"))
    return types.SimpleNamespace(
        key=server.key(account=account), slug=server.page(owner=account), foreign=server.page())


@pytest.mark.parametrize("way", WAYS)
def test_a_position_gives_exactly_what_was_missed_and_then_goes_on_live(server, cast, way):
    seen = server.tip(cast.slug)["cursor"]
    missed = [server.tip(slug)["cursor"] for slug in (cast.slug, cast.foreign, cast.slug, cast.foreign)]
    with resume(server, cast.key, cast.slug, seen, way) as stream:
        assert stream.resumed() == ("resumed", seen)
        assert read(stream, 2) == [(missed[0], "tip:received"), (missed[2], "tip:received")]
        live = server.tip(cast.slug)["cursor"]
        assert read(stream, 1) == [(live, "tip:received")]


@pytest.mark.parametrize("way", WAYS)
def test_the_head_as_a_position_misses_nothing(server, cast, way):
    head = server.tip(cast.slug)["cursor"]
    with resume(server, cast.key, cast.slug, head, way) as stream:
        assert stream.resumed() == ("resumed", head)
        assert is_live(server, cast.slug, stream)


def test_resume_true_alone_starts_now_and_numbers_everything(server, cast):
    head = server.tip(cast.slug)["cursor"]
    with server.stream(cast.key, resume="true") as stream:
        assert stream.resumed() == ("resumed", head)
        assert is_live(server, cast.slug, stream)


def test_every_byte_of_a_stream_with_positions(server, cast):
    head = server.tip(cast.slug)["cursor"]
    with server.stream(cast.key, resume="true") as stream:
        assert stream.lines() == [f"id: {head}", 'data: {"type":"connected"}']
        assert stream.lines() == [f"id: {head}", 'data: {"type":"resumed","status":"resumed"}']
        cursor = server.tip(cast.slug)["cursor"]
        piece = stream.piece().decode()
        assert re.fullmatch(re.escape(f"id: {cursor}\n") + r"data: \{[^\r\n]+\}\n\n", piece), piece


def test_without_any_word_of_resuming_there_are_no_ids(server, cast):
    for parameters, headers in (
        ({}, {}), ({"lastEventId": ""}, {}), ({"last_event_id": ""}, {"Last-Event-ID": ""}), ({"resume": "false"}, {}),
        ({"resume": ""}, {}), ({"since": "now"}, {}),
    ):
        with server.stream(cast.key, headers=headers, **parameters) as stream:
            stream.connected()
            tip = server.tip(cast.slug)["tip"]["id"]
            assert stream.message()["tipId"] == tip


def test_the_header_wins_over_the_query(server, cast):
    """A browser comes back to the address that it was given, position and all, and has the newer one in the header."""
    old = server.tip(cast.slug)["cursor"]
    new = server.tip(cast.slug)["cursor"]
    missed = server.tip(cast.slug)["cursor"]
    for parameters in ({"lastEventId": old}, {"last_event_id": old}, {"resume": "true"}, {"lastEventId": "nonsense"}):
        with resume(server, cast.key, cast.slug, new, **parameters) as stream:
            assert stream.resumed() == ("resumed", new)
            assert read(stream, 1) == [(missed, "tip:received")]
    # An empty header is none.
    with server.stream(cast.key, headers={"Last-Event-ID": ""}, lastEventId=new) as stream:
        assert stream.resumed() == ("resumed", new)


def test_a_position_wins_over_resume_true(server, cast):
    seen = server.tip(cast.slug)["cursor"]
    missed = server.tip(cast.slug)["cursor"]
    with server.stream(cast.key, lastEventId=seen, resume="true") as stream:
        assert stream.resumed() == ("resumed", seen)
        assert read(stream, 1) == [(missed, "tip:received")]


def test_a_chain_can_be_resumed_in_its_middle(server):
    slug = server.page()
    for number in range(3):
        server.goal(slug, 100, f"Goal {number}")
    before = server.head(slug)
    server.tip(slug, grossAmountInCents=350)
    log = told(server.log(slug, before))
    assert [kind for _, kind in log] == [
        "tip:received", *["tip:goal-completed"] * 3, "tip:overflow-chain", "tip:queue-updated"]
    for place in range(len(log)):
        position = log[place - 1][0] if place else before
        with resume(server, server.admin, slug, position) as stream:
            assert stream.resumed() == ("resumed", position)
            assert read(stream, len(log) - place) == log[place:]


def test_what_is_not_told_still_has_its_place(server, cast):
    """Replays and refunds have cursors too. A client may come with one, from elsewhere, and misses nothing."""
    tip = server.tip(cast.slug)
    replayed = server.replay(cast.slug, tip["tip"]["id"])["cursor"]
    refunded = server.refund(cast.slug, tip["tip"]["id"])["cursor"]
    last = server.tip(cast.slug)["cursor"]
    for position in (tip["cursor"], replayed, refunded):
        with resume(server, cast.key, cast.slug, position) as stream:
            assert stream.resumed() == ("resumed", position)
            assert read(stream, 1) == [(last, "tip:received")]


def test_positions_are_cursors_of_the_log_and_of_the_feed_and_theirs_are_positions(server, cast):
    with server.stream(cast.key, resume="true") as stream:
        start = stream.resumed()[1]
        posted = [server.tip(cast.slug)["cursor"] for _ in range(3)]
        ids = [position for position, _ in read(stream, 3)]
    assert ids == posted
    for place, position in enumerate([start, *ids]):
        assert [event["cursor"] for event in server.log(cast.slug, position)] == posted[place:]
        with server.feed(cast.key, since=position) as feed:
            assert feed.resumed() == {"status": "resumed", "cursor": position}
            cursors = [feed.event()["cursor"] for _ in posted[place:]]
            assert cursors == posted[place:]
        with resume(server, cast.key, cast.slug, cursors[0] if cursors else position) as stream:
            assert stream.resumed()[0] == "resumed"
            assert [one for one, _ in read(stream, len(posted[place + 1:]))] == posted[place + 1:]


def test_a_client_cut_off_during_catch_up_loses_nothing_by_the_id_of_connected(server, cast):
    seen = server.tip(cast.slug)["cursor"]
    missed = [result["cursor"] for result in server.batch(cast.slug, [{"grossAmountInCents": 1}] * 300)]
    with resume(server, cast.key, cast.slug, seen) as stream:
        assert stream.resumed() == ("resumed", seen), "just before the first message that follows, never later"
        stream.cut()
    with resume(server, cast.key, cast.slug, seen) as stream:
        stream.resumed()
        assert [position for position, _ in read(stream, 300)] == missed


def test_a_catch_up_longer_than_any_page_of_the_log_is_whole(server):
    slug = server.page()
    server.goal(slug, 100_000)
    seen = server.head(slug)
    for _ in range(3):
        server.batch(slug, [{"grossAmountInCents": 70}] * 1000)
    log = told(server.log(slug, seen))
    assert len(log) == 3002
    with resume(server, server.admin, slug, seen) as stream:
        stream.resumed()
        assert read(stream, len(log)) == log
        assert is_live(server, slug, stream)


# Positions that mean nothing


@pytest.mark.parametrize("nonsense", [
    "nonsense", "0", "-", "%00", "ffffffff-1", "x" * 3000, "null", "1-1-1", "%F0%9F", "+"])
def test_a_nonsense_position_is_reset_and_starts_live(server, cast, nonsense):
    head = server.tip(cast.slug)["cursor"]
    with EventStream.open(server.port, f"token={cast.key}&lastEventId={nonsense}") as stream:
        assert stream.resumed() == ("reset", head)
        assert is_live(server, cast.slug, stream)


def test_a_position_beyond_the_head_or_of_another_log_is_reset(server, cast, make_server):
    foreign = make_server()
    page = foreign.page()
    positions = [foreign.tip(page)["cursor"] for _ in range(3)][-1:]
    head = server.tip(cast.slug)["cursor"]
    # A cursor is opaque to clients; a test may know that it ends in its sequence.
    positions += [
        re.sub(r"\d+$", lambda match: str(int(match.group()) + 1_000), head), re.sub(r"\d+$", "9" * 18, head),
        re.sub(r"\d+$", "9" * 40, head)]
    for position in positions:
        for way in WAYS:
            with resume(server, cast.key, cast.slug, position, way) as stream:
                assert stream.resumed() == ("reset", head)
                assert is_live(server, cast.slug, stream)
            head = server.head(cast.slug)


# Retention


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A server whose log keeps only some tens of the two hundred tips that it got."""
    server = Server(
        tmp_path_factory.mktemp("pruned"), "--retention-bytes", "20000", "--retention-check-seconds", "1").start()
    slug = server.page()
    first = server.tip(slug)["cursor"]
    server.goal(slug, 600, "Within what is pruned")
    server.batch(slug, [{"grossAmountInCents": 5, "message": "m" * 100}] * 200)

    def oldest():
        return server.get(f"/api/v1/pages/{slug}/events?limit=1").json["data"][0]["cursor"]

    eventually(lambda: oldest() != first, "the log to be pruned", 15)
    # A pruning that goes in steps comes to its end before anything is compared.
    settled(oldest, calm=1.5)
    yield types.SimpleNamespace(server=server, slug=slug, first=first)
    server.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_position_older_than_retention_is_a_gap_and_starts_at_the_oldest_kept(pruned, way):
    server = pruned.server
    kept = told(server.log(pruned.slug))
    assert 0 < len(kept) < 200
    with resume(server, server.admin, pruned.slug, pruned.first, way) as stream:
        status, position = stream.resumed()
        assert status == "gap"
        assert read(stream, len(kept)) == kept
    # The position stands just before the oldest kept: whoever comes with it misses nothing more.
    with resume(server, server.admin, pruned.slug, position, way) as stream:
        assert stream.resumed() == ("resumed", position)
        assert read(stream, len(kept)) == kept
    with resume(server, server.admin, pruned.slug, kept[0][0], way) as stream:
        assert stream.resumed() == ("resumed", kept[0][0])
        assert read(stream, len(kept) - 1) == kept[1:]


def test_goals_are_untouched_by_retention(pruned):
    goal, = pruned.server.goals(pruned.slug)
    assert (goal["progressInCents"], goal["state"]) == (600, "completed")
    tip = pruned.server.tip(pruned.slug, grossAmountInCents=1)
    assert tip["events"][0]["data"]["goalId"] is None


# Restart


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_nothing_is_lost_or_doubled_over_a_restart(make_server, end):
    server = make_server()
    slug = server.page()
    server.goal(slug, 1_000)
    with server.stream(server.admin, slug, resume="true") as stream:
        start = stream.resumed()[1]
        server.tip(slug, grossAmountInCents=999)
        (seen, _), = read(stream, 1)
        missed = [server.tip(slug)["cursor"]]
        getattr(server, end)()
        # Whatever of the missed chain has arrived by now is as if it had not: it was never read.
    server.start()
    missed.append(server.tip(slug)["cursor"])
    log = told(server.log(slug, start))
    assert [kind for _, kind in log] == [
        "tip:received", "tip:received", "tip:goal-completed", "tip:queue-updated", "tip:received"]
    with resume(server, server.admin, slug, seen) as stream:
        assert stream.resumed() == ("resumed", seen)
        assert read(stream, 4) == log[1:]
        assert is_live(server, slug, stream)


def test_nothing_is_lost_or_doubled_by_clients_that_connect_amid_intake(server, rng):
    """Writers post on and complete goals; clients are cut at random and resume. Each ends up with exactly the log."""
    slug = server.page()
    for number in range(200):
        server.goal(slug, rng.randrange(1, 60), f"Goal {number}")
    start = server.head(slug)
    stop = threading.Event()
    failures = []

    def write(batches):
        while not stop.is_set():
            if batches:
                server.batch(slug, [{"grossAmountInCents": 2}] * 7)
            else:
                server.tip(slug, grossAmountInCents=90)

    def follow(choices, got):
        position = start
        try:
            while True:
                with resume(server, server.admin, slug, position, choices.choice(WAYS)) as stream:
                    assert stream.resumed() == ("resumed", position)
                    for _ in range(choices.randrange(0, 60)):
                        position, message = stream.identified()
                        got.append((position, message["type"]))
                        if message.get("message") == "the end":
                            return
                    stream.cut()
        except BaseException as error:  # Any end but the good one is told by the main thread.
            failures.append(repr(error))

    followed = [[] for _ in range(3)]
    followers = [threading.Thread(target=follow, args=(random.Random(rng.random()), got)) for got in followed]
    writers = [threading.Thread(target=write, args=(batches,)) for batches in (True, False)]
    for thread in writers + followers:
        thread.start()
    eventually(lambda: failures or all(len(got) >= 400 for got in followed), "400 messages each", 40)
    stop.set()
    for thread in writers:
        thread.join(20)
    # Whatever goal is left is completed first, so that nothing follows the end.
    server.tip(slug, grossAmountInCents=100_000)
    server.tip(slug, message="the end")
    for thread in followers:
        thread.join(30)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in followers), "a follower never came to the end"
    log = told(server.log(slug, start))
    assert len({kind for _, kind in log}) == 4, "all four types"
    for got in followed:
        assert got == log
