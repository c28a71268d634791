"""Three nodes on one PostgreSQL are one Tipwire: whatever a client can do with one server, it can do with all of them."""

import contextlib
import itertools
import json
import random
import re
import threading
import time
import types
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from conftest import SEED
from support import http as web
from support.browser import Window
from support.commandline import CommandLine
from support.eventsub import BASE, AskingSocket, EventSubSocket, RawEventSubSocket, connection, data_of, listed, subscribe
from support.http import problem
from support.ledger import Ledger, listed_tips, sequence
from support.nodes import HANDOVER, RECENT, SOON, Cluster, Nats, known, make_cast
from support.ownpostgres import programs
from support.rawsocket import PING, TEXT
from support.receiver import answers
from support.server import Server, fresh
from support.trial import Trial
from support.waiting import eventually
from support.webhooks import Webhook, webhook

pytestmark = pytest.mark.skipif(not programs(), reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def woken(tmp_path_factory):
    """Three that are woken by NATS too."""
    if not Nats.program():
        pytest.skip("nats-server is not installed")
    cluster = Cluster(tmp_path_factory.mktemp("woken"), nats=True)
    yield cluster
    cluster.close()


def remaining(began, seconds=SOON):
    return max(0.01, began + seconds - time.monotonic())


class Audience:
    """Listeners of every dialect on these nodes."""

    def __init__(self, nodes, cast):
        self._stack = contextlib.ExitStack()
        self.feeds, self.streams, self.sockets = [], [], []
        for node, other in zip(nodes, itertools.islice(itertools.cycle(nodes), 1, None)):
            for feed in (node.feed(cast.everything), node.feed(cast.key, "activity-feed", cast.slug)):
                self.feeds.append(self._stack.enter_context(feed))
                feed.says_nothing_but_pong()
            self.streams.append(self._stack.enter_context(node.stream(cast.key, cast.slug, resume="true")))
            self.streams[-1].resumed()
            # Its id is another node's.
            socket = EventSubSocket(node, subscribe(other, cast.key))
            self.sockets.append(self._stack.enter_context(socket).alive())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def heard(self, answers, seconds=SOON):
        """Each hears these tips next, in this order."""
        ids, cursors = [one["tip"]["id"] for one in answers], [one["cursor"] for one in answers]
        for feed in self.feeds:
            assert feed.tip_ids(len(ids), seconds) == ids
        for stream in self.streams:
            stream.connection.socket.settimeout(seconds)
            told = [stream.identified() for _ in ids]
            assert [(position, message["tipId"]) for position, message in told] == list(zip(cursors, ids))
        for socket in self.sockets:
            assert [socket.message(seconds)["id"] for _ in ids] == cursors
        return True

    def are_open(self):
        for feed in self.feeds:
            feed.says_nothing_but_pong()
        for socket in self.sockets:
            socket.alive()
        for stream in self.streams:
            stream.connection.socket.settimeout(0.05)
            with pytest.raises(TimeoutError):
                stream.block()


# Beginning


def test_three_that_start_at_once_on_an_empty_database_are_one(cluster):
    cluster.mend()
    accounts = [node.get("/api/v1/accounts").json["data"] for node in cluster]
    assert accounts[0] == accounts[1] == accounts[2] and [one["name"] for one in accounts[0]] == ["admin"]
    # Each has the admin key of its own folder, and each takes those of the others.
    assert len({node.admin for node in cluster}) == 3
    for node in cluster:
        for other in cluster:
            eventually(
                lambda: node.get("/api/v1/accounts", key=other.admin).status == 200, f"{node} to know {other}'s key", SOON)
    assert cluster.postgres.sql("SELECT count(*) FROM tipwire.log") == "1"


def test_who_is_there_is_told_to_administrators(nodes):
    for node in nodes:
        found = {one["name"]: one for one in node.listed() if one["silentMilliseconds"] < RECENT}
        assert sorted(found) == ["a", "b", "c"]
        assert {one["url"] for one in found.values()} == {other.url for other in nodes}
        for one in found.values():
            assert set(one) == {
                "id", "name", "version", "url", "startedAt", "isDraining", "sendsWebhooks", "connections", "lagEvents",
                "silentMilliseconds"}
            assert set(one["connections"]) == {"feed", "sse", "eventsub", "overlay"}
            assert web.TIME.fullmatch(one["startedAt"]) and not one["isDraining"]
    key = nodes[0].key("events:read", "tips:write", "manage")
    for node in nodes:
        eventually(lambda: node.get("/api/v1/pages", key=key).status == 200, "the key to be known", SOON)
        problem(node.get("/api/v1/nodes", key=key), 403)
        problem(node.get("/api/v1/nodes", key=None), 401)
    cast = make_cast(nodes)
    with nodes[1].feed(cast.everything), nodes[1].stream(cast.key, cast.slug):
        def counted():
            return next(
                one["connections"] for one in nodes[0].listed()
                if one["name"] == "b" and one["silentMilliseconds"] < RECENT)
        eventually(lambda: (counted()["feed"], counted()["sse"]) == (1, 1), "node a to know what is open at b", 3)
    lines = CommandLine(nodes[2]).must("nodes").out.splitlines()
    assert len(lines) >= 4 and lines[0].split()[0] == "NAME"
    assert {line.split()[0] for line in lines[1:]} == {"a", "b", "c"}


# Events


def test_the_dashboard_shows_who_is_there(nodes, chromium):
    with Window(chromium, nodes[0]) as window:
        page = window.view(window.sign_in(), "/listeners")
        rows = page.locator("#nodes tr")
        expect(rows).to_have_count(len(nodes.nodes))
        for node in nodes:
            row = rows.filter(has=page.locator(".name", has_text=re.compile(f"^{node.name}$")))
            expect(row).to_contain_text("Up")
            expect(row).to_contain_text(node.url)
        expect(rows.filter(has_text="Sends them")).to_have_count(1)


def test_a_tip_to_any_node_is_heard_in_every_dialect_on_every_node(nodes, receiver):
    hears_all(nodes, receiver)


def hears_all(nodes, receiver, rounds=3):
    cast = make_cast(nodes)
    endpoint = receiver.endpoint()
    hook = webhook(nodes[0], cast.slug, endpoint)
    sent = []
    with Audience(nodes, cast) as audience:
        for _ in range(rounds):
            now = [node.tip(cast.slug, key=cast.key) for node in nodes]
            audience.heard(now)
            sent += now
    cursors = [one["cursor"] for one in sent]
    assert [sequence(cursor) for cursor in cursors] == sorted(map(sequence, cursors))
    assert endpoint.ids(len(cursors)) == cursors
    hook.idle()
    assert not endpoint.unread()
    for node in nodes:
        assert [event["cursor"] for event in node.log(cast.slug)] == cursors


def test_a_replay_by_any_node_is_seen_on_all(nodes):
    cast = make_cast(nodes)
    tip = nodes[0].tip(cast.slug)["tip"]["id"]
    with contextlib.ExitStack() as stack:
        feeds = [stack.enter_context(node.feed(cast.key, "activity-feed", cast.slug)) for node in nodes]
        for feed in feeds:
            feed.says_nothing_but_pong()
        for node in nodes:
            cursor = node.replay(cast.slug, tip)["cursor"]
            for feed in feeds:
                event = feed.event(SOON)
                assert (event["cursor"], event["payload"]["campaignTip"]["id"]) == (cursor, tip)


def test_tips_to_all_nodes_at_once_come_in_one_order_and_go_to_webhooks_once(nodes, receiver):
    cast = make_cast(nodes)
    endpoint = receiver.endpoint()
    hook = webhook(nodes[1], cast.slug, endpoint)

    def pour(node):
        for _ in range(10):
            node.batch(cast.slug, [{"grossAmountInCents": 1}] * 3, key=cast.key)
            node.tip(cast.slug, key=cast.key)
    threads = [threading.Thread(target=pour, args=(node,)) for node in nodes]
    with Audience(nodes, cast) as audience:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log = nodes[0].log(cast.slug)
        assert len(log) == 120
        cursors, ids = [event["cursor"] for event in log], [event["data"]["id"] for event in log]
        assert [sequence(cursor) for cursor in cursors] == sorted(map(sequence, cursors))
        audience.heard([{"tip": {"id": identifier}, "cursor": cursor} for cursor, identifier in zip(cursors, ids)])
        audience.are_open()
    for node in nodes:
        assert node.log(cast.slug) == log and listed_tips(node, cast.slug)[::-1] == ids
    assert endpoint.ids(120, 20) == cursors
    hook.idle()
    assert not endpoint.unread()
    assert [data["attempts"] for data in hook.deliveries()] == [1] * 120


def test_the_same_tip_sent_to_all_nodes_at_once_is_one(nodes):
    cast = make_cast(nodes)
    for number in range(10):
        got = []
        name, headers = ({"id": f"same-{number}"}, {}) if number % 2 else ({}, {"Idempotency-Key": f"same-{number}"})

        def send(node):
            body = {"grossAmountInCents": 5} | name
            answer = node.post(f"/api/v1/pages/{cast.slug}/tips", body, key=cast.key, headers=headers)
            got.append((answer.status, answer.json["cursor"]))
        threads = [threading.Thread(target=send, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in got) == [200, 200, 201] and len({cursor for _, cursor in got}) == 1, got
    assert len(nodes[0].log(cast.slug)) == 10


def test_goals_are_the_same_whoever_moves_them(nodes):
    cast = make_cast(nodes)
    made = [node.goal(cast.slug, 1_000 * (place + 1)) for place, node in enumerate(nodes)]
    wanted = [goal["id"] for goal in made]
    threads = [
        threading.Thread(target=lambda node=node: [node.tip(cast.slug, grossAmountInCents=100) for _ in range(12)])
        for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for node in nodes:
        goals = node.goals(cast.slug)
        assert [(goal["id"], goal["progressInCents"]) for goal in goals] == list(zip(wanted, (1_000, 2_000, 600)))
    refunded = nodes[0].log(cast.slug)[-1]["data"]["id"]
    nodes[1].refund(cast.slug, refunded)
    assert [node.goals(cast.slug)[2]["progressInCents"] for node in nodes] == [500] * 3


# Cursors


def test_a_cursor_of_one_node_means_the_same_on_the_others(nodes):
    a, b, c = nodes
    cast = make_cast(nodes)
    with a.feed(cast.key, "activity-feed", cast.slug) as feed:
        seen = a.tip(cast.slug)["cursor"]
        assert feed.event()["cursor"] == seen
    missed = [node.tip(cast.slug)["cursor"] for node in (b, a, c)]
    for node in (b, c):
        for channel, room in (("firehose", None), ("activity-feed", cast.slug)):
            key = cast.key if room else cast.everything
            with node.feed(key, channel, room, since=seen) as feed:
                assert feed.resumed() == {"status": "resumed", "cursor": seen}
                assert [feed.event()["cursor"] for _ in missed] == missed
                live = a.tip(cast.slug)["cursor"]
                assert feed.event()["cursor"] == live
            missed.append(live)
        with node.stream(cast.key, cast.slug, headers={"Last-Event-ID": seen}) as stream:
            assert stream.resumed() == ("resumed", seen)
            assert [stream.identified()[0] for _ in missed] == missed
        answer = node.get(f"/api/v1/pages/{cast.slug}/events?since={seen}").json
        assert answer["status"] == "resumed" and [event["cursor"] for event in answer["data"]] == missed


def test_a_cursor_that_was_just_made_is_never_beyond_another_nodes_head(nodes):
    """Its client must not be told that it has missed something, only because that node hasn't heard of it yet."""
    cast = make_cast(nodes)
    for node, other in itertools.islice(itertools.cycle(itertools.permutations(nodes, 2)), 24):
        cursor = node.tip(cast.slug)["cursor"]
        with other.feed(cast.key, "activity-feed", cast.slug, since=cursor) as feed:
            assert feed.resumed() == {"status": "resumed", "cursor": cursor}
            feed.says_nothing_but_pong()
        cursor = node.tip(cast.slug)["cursor"]
        with other.stream(cast.key, cast.slug, headers={"Last-Event-ID": cursor}) as stream:
            assert stream.resumed() == ("resumed", cursor)
        cursor = node.tip(cast.slug)["cursor"]
        answer = other.get(f"/api/v1/pages/{cast.slug}/events?since={cursor}").json
        assert (answer["status"], answer["next"], answer["data"]) == ("resumed", cursor, [])


def test_what_one_node_prunes_is_a_gap_on_all(tmp_path):
    cluster = Cluster(tmp_path, 2, options=["--retention-bytes", "65536", "--retention-check-seconds", "1"])
    with contextlib.closing(cluster):
        a, b = cluster.start()
        slug = a.page()
        old = a.tip(slug)["cursor"]
        known(b, slug, b.admin)
        with a.feed(a.admin, "activity-feed", slug) as feed, b.feed(b.admin, "activity-feed", slug, since=old) as other:
            # From there on, though b may not have heard of that tip yet.
            assert other.resumed() == {"status": "resumed", "cursor": old}
            sent = []
            for node in (a, b):
                sent += [one["tip"]["id"] for one in node.batch(slug, [{"grossAmountInCents": 1, "message": "x" * 900}] * 100)]
            assert feed.tip_ids(200) == other.tip_ids(200) == sent

            def told(node):
                return node.get(f"/api/v1/pages/{slug}/events?since={old}&limit=1").json["status"]
            # What a client was told, whoever comes next is told too, though the node may not have asked since.
            for node in (a, b):
                eventually(lambda: told(node) == "gap", f"{node} to tell of the gap", 10, every=0.002)
                with node.feed(node.admin, "activity-feed", slug, since=old) as late:
                    assert late.resumed()["status"] == "gap"
            assert a.log(slug) == b.log(slug)
            # Who listened on has missed nothing, and goes on.
            cursor = b.tip(slug)["cursor"]
            assert feed.event()["cursor"] == other.event()["cursor"] == cursor


# Keys, pages, members, sessions


def test_what_is_made_on_one_node_works_on_the_others(nodes):
    a, b, c = nodes
    account = a.account()
    eventually(lambda: account in [one["name"] for one in b.get("/api/v1/accounts").json["data"]], "the account at b", SOON)
    key = b.key("events:read", "tips:write", "manage", account=account)
    eventually(lambda: c.get("/api/v1/pages", key=key).status == 200, "the key at c", SOON)
    slug = c.page(key=key)
    known(a, slug, key)
    tip = a.tip(slug, key=key)["tip"]
    assert b.get(f"/api/v1/pages/{slug}/tips/{tip['id']}", key=key).json["id"] == tip["id"]
    assert c.call("PATCH", f"/api/v1/pages/{slug}", {"title": "Another"}, key=key).status == 200
    for node in nodes:
        eventually(
            lambda: node.get(f"/api/v1/pages/{slug}", key=key).json["title"] == "Another", f"the title at {node}", SOON)
    with b.feed(key, "activity-feed", slug) as feed:
        a.tip(slug, key=key)
        assert feed.event()["payload"]["page"]["title"] == "Another"
    problem(a.post("/api/v1/pages", {"slug": slug}, key=key), 409)
    problem(b.post("/api/v1/pages", {"slug": slug}, key=key), 409)


def test_what_was_answered_holds_on_every_node(nodes):
    cast = make_cast(nodes)
    for number in range(12):
        one, *others = nodes[number % 3:] + nodes[:number % 3]
        made = one.key_object("events:read", account=cast.owner)
        slug = one.page(owner=cast.owner)
        for other in others:
            assert other.get(f"/api/v1/pages/{slug}/tips", key=made["key"]).status == 200
        with others[0].feed(made["key"], "activity-feed", slug) as feed:
            feed.says_nothing_but_pong()
            assert others[1].delete(f"/api/v1/keys/{made['id']}").status == 204
            for node in nodes:
                problem(node.get(f"/api/v1/pages/{slug}/tips", key=made["key"]), 401)
            assert feed.closed(0.1) == 1008


def session(server, account):
    """A signed-in browser's cookie, and its headers."""
    link = server.post(f"/api/v1/accounts/{account}/link").json["url"]
    return follow(server, link)


def follow(server, link):
    parts = urlsplit(link)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    for _ in range(4):
        answer = server.raw("GET", path)
        for line in answer.headers.get_all("Set-Cookie") or []:
            if line.split(";")[0].split("=", 1)[1]:
                return line.split(";")[0]
        assert "Location" in answer.headers, answer
        path = urlsplit(answer.headers["Location"]).path or "/"
    raise AssertionError("no cookie came")


def browser(node, cookie):
    return {"Cookie": cookie, "Origin": node.url, "Sec-Fetch-Site": "same-origin"}


def test_a_link_of_one_node_signs_in_on_another_and_once(nodes):
    a, b, c = nodes
    account = a.account()
    for node in nodes:
        eventually(
            lambda: account in [one["name"] for one in node.get("/api/v1/accounts").json["data"]], "the account", SOON)
    link = a.post(f"/api/v1/accounts/{account}/link").json["url"]
    cookie = follow(b, link)
    for node in nodes:
        assert node.raw("GET", "/api/v1/pages", headers=browser(node, cookie)).status == 200
    for node in (c, a, b):
        with pytest.raises(AssertionError):
            follow(node, link)


def revoke_the_key(node, cast, _):
    assert node.delete(f"/api/v1/keys/{cast.key_id}").status == 204


def delete_the_page(node, cast, _):
    assert node.delete(f"/api/v1/pages/{cast.slug}?confirm={cast.slug}").status == 204


def remove_the_member(node, cast, _):
    assert node.delete(f"/api/v1/pages/{cast.slug}/members/{cast.member}").status == 204


def sign_out(node, _, cookie):
    assert node.raw("DELETE", "/api/v1/session", headers=browser(node, cookie)).status == 204


@pytest.mark.parametrize("ends", [revoke_the_key, delete_the_page, remove_the_member, sign_out])
def test_who_may_no_more_by_one_node_is_cut_off_by_the_others(nodes, ends):
    a, *others = nodes
    cast = make_cast(nodes)
    cookie = session(a, cast.member)
    by_key = ends != sign_out
    with contextlib.ExitStack() as stack:
        def streams(node):
            if by_key:
                yield node.feed(cast.key, "activity-feed", cast.slug)
                yield node.stream(cast.key, cast.slug)
                yield EventSubSocket(node, subscribe(node, cast.key))
            else:
                yield node.feed(None, "activity-feed", cast.slug, headers=browser(node, cookie))
                yield node.stream(page=cast.slug, headers=browser(node, cookie))
        kinds = [[stack.enter_context(one) for one in streams(node)] for node in others]
        for node, (feed, stream, *sockets) in zip(others, kinds):
            feed.says_nothing_but_pong()
            stream.connected()
            for socket in sockets:
                socket.alive()
        staying = stack.enter_context(others[0].feed(cast.everything))
        staying.says_nothing_but_pong()
        ends(a, cast, cookie)
        told = time.monotonic()
        for feed, stream, *sockets in kinds:
            assert feed.closed(remaining(told)) == 1008
            stream.connection.socket.settimeout(remaining(told))
            stream.ended()
            for socket in sockets:
                said, code = socket.disconnected(remaining(told))
                assert said and code == 1008
        staying.says_nothing_but_pong()
        for node in nodes:
            if by_key:
                refused = node.handshake(web.query(auth=cast.key, channel="activity-feed", room=cast.slug))
            else:
                refused = node.handshake(
                    web.query(channel="activity-feed", room=cast.slug), browser(node, cookie))
            assert refused.status == (403 if ends in (delete_the_page, remove_the_member) else 401), refused


def test_a_connection_is_listed_and_closed_whichever_node_is_asked(nodes):
    a, b, _ = nodes
    cast = make_cast(nodes)
    with b.feed(cast.key, "activity-feed", cast.slug) as feed:
        feed.says_nothing_but_pong()
        found = [one for one in b.get("/api/v1/connections?limit=1000").json["data"] if one["page"] == cast.slug]
        assert len(found) == 1
        assert b.delete(f"/api/v1/connections/{found[0]['id']}").status == 204
        assert feed.closed() == 1008


# EventSub


def test_an_eventsub_id_is_one_socket_on_all_nodes_and_its_window_is_open_on_all(nodes):
    a, b, c = nodes
    cast = make_cast(nodes)
    data = subscribe(a, cast.key)
    with EventSubSocket(b, data) as first:
        first.alive()
        for node in (c, a, b):
            with EventSubSocket(node, data) as second:
                assert second.disconnected(6)[1] == 1008
        first.alive()
        for node in nodes:
            eventually(lambda: listed(node, cast.key) == {data["connection_id"]: True}, "it to be listed as connected", SOON)
        cursor = c.tip(cast.slug)["cursor"]
        assert first.message()["id"] == cursor
    missed = [node.tip(cast.slug)["cursor"] for node in nodes]
    with EventSubSocket(c, data) as again:
        assert [again.message()["id"] for _ in missed] == missed
        again.alive()
        live = a.tip(cast.slug)["cursor"]
        assert again.message()["id"] == live
    for place in range(6):
        with EventSubSocket(nodes[place % 3], data) as again:
            again.alive()
            live = nodes[(place + 1) % 3].tip(cast.slug)["cursor"]
            assert again.message()["id"] == live


def test_a_half_open_socket_on_one_node_locks_nobody_out_of_another(nodes):
    _, b, c = nodes
    cast = make_cast(nodes)
    data = subscribe(b, cast.key)
    with RawEventSubSocket(b, data) as deaf:
        deaf.alive()
        with EventSubSocket(c, data) as second:
            # It was asked for a sign of life, and gave none.
            deaf.challenged()
            cursor = c.tip(cast.slug)["cursor"]
            assert second.message(8)["id"] == cursor
            second.alive()


@pytest.mark.parametrize("reads", [False, True])
def test_who_was_let_in_late_and_had_gone_by_then_has_lost_nothing(nodes, reads):
    a, b, c = nodes
    cast = make_cast(nodes)
    data = subscribe(a, cast.key)
    with RawEventSubSocket(a, data) as first:
        first.alive()
        a.kill()
        wanted = [c.tip(cast.slug)["cursor"] for _ in range(3)]
        # Node A is silent for three seconds before another may have what it had.
        gone = AskingSocket(b, data)

        def given():
            found = b.get("/api/v1/connections?limit=1000").json["data"]
            return [one["deliveries"] for one in found if one["page"] == cast.slug] == [3]
        eventually(given, "it to be let in and given what it missed", 8)
        if reads:
            gone.opened()
            assert gone.next()[1] == PING
        gone.close()
    with RawEventSubSocket(c, data) as last:
        texts = (payload for _, opcode, payload in iter(last.next, None) if opcode == TEXT)
        assert [json.loads(text)["id"] for text in itertools.islice(texts, 3)] == wanted


def test_a_subscription_that_is_deleted_on_one_node_ends_its_socket_on_another(nodes):
    a, b, c = nodes
    cast = make_cast(nodes)
    data = subscribe(b, cast.key)
    with EventSubSocket(c, data) as socket:
        socket.alive()
        assert data_of(a.call("POST", f"{BASE}/delete?{connection(data)}", key=cast.key)) == {
            "connection_id": data["connection_id"]}
        assert socket.disconnected(SOON)[1] == 1008
    for node in nodes:
        eventually(lambda: listed(node, cast.key) == {}, "it to be gone", SOON)
        with EventSubSocket(node, data) as late:
            assert late.disconnected()[1] == 1008


# Webhooks


def test_a_webhook_is_the_same_whichever_node_is_asked(nodes, receiver):
    a, b, c = nodes
    cast = make_cast(nodes)
    endpoint, witness = receiver.endpoint(), receiver.endpoint()
    made = webhook(a, cast.slug, endpoint)
    webhook(b, cast.slug, witness)
    at_a, at_b, at_c = (Webhook(node, made.data) for node in nodes)
    for node in nodes:
        eventually(lambda: node.get(made.path).status == 200, f"{node} to know the webhook", SOON)
    assert at_a.shown() == at_b.shown() == at_c.shown()

    def tip(node):
        """One that the witness has been told of: whoever is to be told is told by then."""
        cursor = node.tip(cast.slug)["cursor"]
        assert witness.ids(1) == [cursor]
        return cursor

    cursor = tip(b)
    assert endpoint.ids(1) == [cursor]
    # Off on one, on again on another.
    at_b.disable()
    kept = [tip(c), tip(a)]
    assert at_c.shown()["state"] == "disabled" and not endpoint.unread()
    at_c.enable()
    assert endpoint.ids(2) == kept
    # A new secret is used by whoever sends.
    secret = at_a.rotate()["secret"]
    endpoint.trusts(secret)
    cursor = tip(b)
    request = endpoint.next()
    assert request.id == cursor and request.is_signed_with(secret) and request.is_signed_with(made.secret)
    # A test, and what failed, retried at once instead of after five seconds.
    assert at_c.test()["id"] == endpoint.next().id
    endpoint.does(answers(500), answers())
    cursor = tip(c)
    assert endpoint.ids(1) == [cursor]
    at_b.attempted(cursor)
    assert at_c.delivery(cursor)["state"] == "pending"
    at_c.retry(cursor)
    assert endpoint.ids(1, SOON) == [cursor]
    at_a.idle()
    assert at_a.deliveries() == at_b.deliveries() == at_c.deliveries()
    at_b.delete()
    tip(a)
    assert not endpoint.unread()
    for node in nodes:
        problem(node.get(made.path), 404)


def test_when_the_node_that_sends_is_killed_another_does_within_seconds(nodes, receiver):
    cast = make_cast(nodes)
    endpoint = receiver.endpoint()
    made = webhook(nodes[0], cast.slug, endpoint)
    sender = nodes.sender()
    first = sender.tip(cast.slug)["cursor"]
    assert endpoint.ids(1) == [first]
    other = Webhook(nodes.others(sender)[0], made.data)
    # What it was killed before could keep would be sent again.
    other.idle(first)
    sender.kill()
    wanted = [node.tip(cast.slug)["cursor"] for node in nodes.up()]
    assert endpoint.ids(2, HANDOVER) == wanted
    assert nodes.sender() is not sender
    other.idle(*wanted)


# Faults


def test_a_node_that_is_cut_from_the_database_keeps_its_streams_and_takes_nothing(nodes):
    a, b, _ = nodes
    cast = make_cast(nodes)
    with Audience([b], cast) as audience:
        b.database.cut()
        eventually(lambda: not b.is_ready(), "b not to be ready", 5)
        answer = b.post(f"/api/v1/pages/{cast.slug}/tips", {"grossAmountInCents": 5, "id": "refused"}, key=cast.key)
        assert answer.status == 503 and answer.headers["Retry-After"], answer
        missed = [a.tip(cast.slug, key=cast.key) for _ in range(3)]
        audience.are_open()
        b.database.heal()
        audience.heard(missed, 10)
        # Not for ten seconds after a commit that failed.
        eventually(b.is_ready, "b to be ready", 20)
        audience.heard([b.tip(cast.slug, key=cast.key, id="refused"), a.tip(cast.slug, key=cast.key)])
        audience.are_open()


def test_a_node_that_stands_still_amid_a_commit_holds_the_others_up_for_seconds_alone(nodes):
    """It has the log's one row then, which every commit needs."""
    a, b, _ = nodes
    cast = make_cast(nodes)
    stop = threading.Event()

    def pour():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                b.post(f"/api/v1/pages/{cast.slug}/tips", {"grossAmountInCents": 1}, key=cast.key, timeout=30)

    def is_caught():
        b.database.heal()
        time.sleep(0.01)  # Some commits; where the last of them is held is left to chance, and tried again.
        b.database.freeze()
        # Whoever has the log's row, and has not been told for a while to go on.
        held = """SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE relation = 'tipwire.log'::regclass AND mode IN ('RowShareLock', 'RowExclusiveLock')
            AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '100 ms'"""
        time.sleep(0.15)
        return nodes.postgres.sql(held) != "0"
    threads = [threading.Thread(target=pour) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        eventually(is_caught, "the node to be held amid a commit", 20)
        began = time.monotonic()
        answer = a.post(f"/api/v1/pages/{cast.slug}/tips", {"grossAmountInCents": 5}, key=cast.key, timeout=30)
        assert answer.status == 201 and time.monotonic() - began < 6, (answer, time.monotonic() - began)
    finally:
        stop.set()
        b.database.heal()
        for thread in threads:
            thread.join()


def test_when_a_node_is_killed_its_sockets_are_taken_by_the_others(nodes):
    a, b, c = nodes
    cast = make_cast(nodes)
    data = subscribe(a, cast.key)
    with EventSubSocket(b, data) as socket:
        cursors = [a.tip(cast.slug)["cursor"] for _ in range(2)]
        assert [socket.message()["id"] for _ in cursors] == cursors
        b.kill()
    cursors += [node.tip(cast.slug)["cursor"] for node in (a, c, a)]

    def taken_over():
        with EventSubSocket(c, data) as socket:
            first = socket.json(6)
            return first["type"] == "message" and [first["id"]] + [socket.message()["id"] for _ in range(2)]
    got = eventually(taken_over, "the socket to be taken by another node", 15, every=0.3)
    # What came just before the kill may come again: nobody knows whether its client had it.
    assert got in (cursors[0:3], cursors[1:4], cursors[2:5])
    eventually(lambda: [len(node.listed()) for node in (a, c)] == [2, 2], "the dead to be forgotten", 15)
    assert a.knows() == c.knows() == ["a", "c"]


def test_a_rolling_restart_under_load_loses_nothing(nodes, receiver):
    with Ledger(nodes, receiver, SEED, writers=2, name=fresh("rolling")) as ledger:
        for node in nodes:
            before = ledger.acknowledged()
            node.restart()
            eventually(lambda: ledger.acknowledged() > before + 5 or ledger.failures(), "tips to be taken")
            ledger.caught_up(ledger.streams + ledger.sockets)
        ledger.end()
        print(*ledger.prove(), sep="\n")


# With NATS


def test_with_nats_a_tip_to_any_node_is_heard_on_every_node(woken, receiver):
    woken.mend()
    before = woken.nats.messages()
    hears_all(woken, receiver)
    assert woken.nats.messages() > before, "nothing went by NATS"


def test_when_nats_is_killed_nothing_is_lost(woken, receiver):
    woken.mend()
    cast = make_cast(woken)
    with Audience(woken, cast) as audience:
        audience.heard([node.tip(cast.slug, key=cast.key) for node in woken])
        woken.nats.kill()
        audience.heard([node.tip(cast.slug, key=cast.key) for node in woken for _ in range(3)])
        assert all(node.is_ready() for node in woken)
        woken.nats.start()
        audience.heard([node.tip(cast.slug, key=cast.key) for node in woken])
        eventually(lambda: woken.nats.clients() >= 3, "the nodes to come back to NATS", 15)
        before = woken.nats.messages()

        def goes_by_nats():
            # NATS counts a client that doesn't know yet that it is connected, and hands nothing to it till it does.
            audience.heard([node.tip(cast.slug, key=cast.key) for node in woken])
            return woken.nats.messages() > before
        eventually(goes_by_nats, "tips to go by NATS again", 5)
        audience.are_open()


def test_nats_that_asks_who_one_is_and_says_who_it_is_itself(cluster, authority, tmp_path):
    if not Nats.program():
        pytest.skip("nats-server is not installed")
    certificate, key = authority.issue()
    secret, trusting = "s3cret-of-nats", {"SSL_CERT_FILE": str(authority.certificate)}
    user, token = ("--user", "tipwire", "--pass", secret), ("--auth", secret)
    tls = ("--tls", "--tlscert", certificate, "--tlskey", key)
    # What NATS is told; the URL and environment of who is let in, and of who isn't, or doesn't trust it.
    cases = [
        (user, (f"nats://tipwire:{secret}@", {}), ("nats://tipwire:other@", {})),
        (token, (f"nats://{secret}@", {}), ("nats://other@", {})),
        (tls + user, (f"tls://tipwire:{secret}@", trusting), ("tls://tipwire:other@", trusting)),
        (tls + token, (f"tls://{secret}@", trusting), (f"tls://{secret}@", {})),
    ]
    cluster.postgres.sql("CREATE DATABASE guarded", "postgres")
    database = cluster.postgres.url(database="guarded")
    for number, (options, let_in, kept_out) in enumerate(cases):
        nats = Nats(tmp_path, *options)
        for is_in, (url, environment) in ((True, let_in), (False, kept_out)):
            server = Server(
                tmp_path / f"{number}-{is_in}", "--database", database, "--wakeup", f"{url}127.0.0.1:{nats.port}",
                env=environment).start()

            def connected():
                return next(
                    value for name, value in server.samples().items() if name.startswith("tipwire_exchange_connected"))
            if is_in:
                eventually(lambda: connected() == 1, f"{url} to be let in", 10)
            else:
                eventually(lambda: "NATS can't be used" in server.stderr, f"{url} to be told of", 10)
                assert connected() == 0
            server.tip(server.page())
            server.close()
            assert secret not in server.stderr
        nats.close()


def test_chaos(woken, receiver):
    """The node that sends the webhooks is killed, and stays so until another has their sending; meanwhile the others have all
    kinds of faults, in an order that TIPWIRE_SEED repeats. `scripts/node-trial` does this for longer."""
    print(f"TIPWIRE_SEED={SEED}")
    woken.mend()
    sender = woken.sender()
    with Ledger(woken, receiver, SEED, name=fresh("chaos")) as ledger:
        trial = Trial(woken, ledger, random.Random(f"{SEED} chaos"), waits_for_sockets=False)
        eventually(lambda: all(len(hook.seen) > 5 for hook in ledger.hooks), "webhooks to be sent")
        sender.kill()
        trial.run(20)
        assert woken.sender() is not sender
        sender.start()
        woken.settle()
        ledger.end(60)
        print(*trial.table(), *ledger.prove(), sep="\n")
        # What was under way at the end of a node, and hardly more.
        assert all(hook.repeats <= 16 for hook in ledger.hooks), [hook.repeats for hook in ledger.hooks]


# A database that has lost commits


def test_after_a_failover_that_lost_commits_nobody_is_told_a_wrong_history(nodes):
    a, b, c = nodes
    cast = make_cast(nodes)
    kept = [node.tip(cast.slug, id=fresh("kept")) for node in nodes]
    socket_data = subscribe(a, cast.key)
    nodes.postgres.copy()
    with contextlib.ExitStack() as stack:
        feeds = [stack.enter_context(node.feed(cast.key, "activity-feed", cast.slug)) for node in nodes]
        streams = [stack.enter_context(node.stream(cast.key, cast.slug, resume="true")) for node in nodes]
        for stream in streams:
            stream.resumed()
        socket = stack.enter_context(EventSubSocket(c, socket_data))
        lost = [node.tip(cast.slug, id=fresh("lost")) for node in nodes for _ in range(2)]
        for feed in feeds:
            assert feed.tip_ids(6) == [one["tip"]["id"] for one in lost]
        for stream in streams:
            assert [stream.identified()[0] for _ in lost] == [one["cursor"] for one in lost]
        assert [socket.message()["id"] for _ in lost] == [one["cursor"] for one in lost]
        nodes.postgres.fail_over()
        for feed in feeds:
            assert feed.closed(20) in (1001, 1012, 1013)
        for stream in streams:
            stream.connection.socket.settimeout(20)
            stream.ended()
    nodes.settle()
    logs = [node.log(cast.slug) for node in nodes]
    assert logs[0] == logs[1] == logs[2]
    assert [event["data"]["id"] for event in logs[0]] == [one["tip"]["id"] for one in kept]
    epoch = logs[0][0]["cursor"].split("-")[0]
    assert epoch != lost[0]["cursor"].split("-")[0]
    for node in nodes:
        # Neither what is gone nor what is still there under another number: the client can't know which is which.
        for cursor in (lost[-1]["cursor"], lost[0]["cursor"], kept[0]["cursor"]):
            with node.feed(cast.key, "activity-feed", cast.slug, since=cursor) as feed:
                payload = feed.resumed()
                assert payload["status"] == "reset" and payload["cursor"].split("-")[0] == epoch
            with node.stream(cast.key, cast.slug, headers={"Last-Event-ID": cursor}) as stream:
                assert stream.resumed()[0] == "reset"
    # Life goes on, and what was lost can be sent again.
    with Audience(nodes, cast) as audience:
        again = [node.tip(cast.slug, id=one["tip"]["id"]) for node, one in zip(nodes, lost)]
        assert all(one["cursor"].split("-")[0] == epoch for one in again)
        audience.heard(again)
    with EventSubSocket(b, socket_data) as socket:
        got = [socket.message()["data"]["id"] for _ in again]
        assert got == [one["tip"]["id"] for one in again]
