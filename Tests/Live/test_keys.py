"""Keys, scopes, members: who may, and how at once it ends when they no longer may."""

import datetime
import pathlib
import re
import threading
import time
import types

import pytest

from support import http as web
from support.http import problem
from support.rawsocket import RawWebSocket
from support.server import fresh
from support.waiting import eventually, settled


@pytest.fixture(scope="module")
def cast(server):
    """Alice owns two pages; Bob is a member of the second and owns one."""
    alice, bob = server.account(fresh("alice")), server.account(fresh("bob"))
    cast = types.SimpleNamespace(
        alice=alice, bob=bob, own=server.page(owner=alice), shared=server.page(owner=alice), bobs=server.page(owner=bob),
        everything=("events:read", "tips:write", "manage"))
    assert server.call("PUT", f"/api/v1/pages/{cast.shared}/members/{bob}").status == 204
    return cast


def soon(seconds):
    """A time in the API's spelling, and the same as time.time()."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z", moment.timestamp()


# Shape


def test_a_new_key_has_the_documented_shape_and_is_shown_once(server, cast):
    answer = server.post("/api/v1/keys", {"name": "Shape", "account": cast.alice, "pages": [cast.own]})
    assert answer.status == 201, answer
    key = answer.json
    assert set(key) >= {"id", "key", "prefix", "name", "scopes", "pages", "account", "createdAt", "expiresAt"}
    assert re.fullmatch(r"tw_[0-9a-f]{64}", key["key"])
    assert key["prefix"] == key["key"][:11]
    assert key["scopes"] == ["events:read"], "the default"
    assert (key["name"], key["pages"], key["account"], key["expiresAt"]) == ("Shape", [cast.own], cast.alice, None)
    assert web.TIME.fullmatch(key["createdAt"])
    listed = server.get("/api/v1/keys?limit=1000")
    assert key["key"] not in listed.text
    found = [row for row in listed.json["data"] if row["id"] == key["id"]]
    assert len(found) == 1 and "key" not in found[0] and "lastUsedAt" in found[0], found


def test_the_admin_key_file_holds_the_key_and_a_newline_for_its_owner_alone(server):
    path = pathlib.Path(server.data) / "admin.key"
    assert re.fullmatch(r"tw_[0-9a-f]{64}\n", path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_key_is_stored_in_plain_text(server):
    key = server.key()
    with server.feed(key) as feed:
        feed.says_nothing_but_pong()
    for file in pathlib.Path(server.data).iterdir():
        if file.name != "admin.key":
            stored = file.read_bytes()
            assert key.encode() not in stored and key[11:].encode() not in stored, file.name
            assert server.admin.encode() not in stored, file.name


def test_the_last_use_of_a_key_is_kept(server):
    key = server.key_object()

    def last_used():
        rows = server.get("/api/v1/keys?limit=1000").json["data"]
        return next(row["lastUsedAt"] for row in rows if row["id"] == key["id"])

    assert last_used() is None
    with server.feed(key["key"]) as feed:
        feed.says_nothing_but_pong()
    # It may be written late, so that a key in heavy use costs no write each time.
    assert web.TIME.fullmatch(eventually(last_used, "lastUsedAt", 15))


# Revocation and expiry


def test_revoking_a_key_closes_its_open_sockets_with_1008_at_once_and_no_others(server, cast):
    doomed, other = server.key_object(account=cast.alice), server.key(account=cast.alice)
    with (server.feed(doomed["key"]) as firehose, server.feed(doomed["key"], "activity-feed", cast.own) as activity,
          server.feed(doomed["key"], since="now") as resuming, server.feed(other) as kept):
        resuming.resumed()
        for feed in (firehose, activity, resuming, kept):
            feed.says_nothing_but_pong()
        answer = server.delete(f"/api/v1/keys/{doomed['id']}")
        assert answer.status == 204 and answer.body == b"", answer
        began = time.monotonic()
        assert [feed.closed() for feed in (firehose, activity, resuming)] == [1008] * 3
        assert time.monotonic() - began < 2.0, "at once"
        tip = server.tip(cast.own)
        assert kept.event()["cursor"] == tip["cursor"]
    assert server.handshake(web.query(auth=doomed["key"], channel="firehose")).status == 401
    problem(server.get("/api/v1/pages", key=doomed["key"]), 401)
    assert server.delete(f"/api/v1/keys/{doomed['id']}").status == 404


def test_a_key_that_expires_closes_its_sockets_when_its_time_comes_and_not_before(server, cast):
    text, moment = soon(2.0)
    key = server.key(account=cast.alice, expiresAt=text)
    with server.feed(key) as firehose, server.feed(key, "activity-feed", cast.own) as activity:
        firehose.says_nothing_but_pong()
        assert server.get(f"/api/v1/pages/{cast.own}/tips", key=key).status == 200
        assert [firehose.closed(6), activity.closed(6)] == [1008, 1008]
        late = time.time() - moment
        assert -0.05 <= late < 1.5, f"closed {late:.3f} s after its time"
    assert server.handshake(web.query(auth=key, channel="firehose")).status == 401
    problem(server.get(f"/api/v1/pages/{cast.own}/tips", key=key), 401)


def test_a_key_that_is_expired_at_birth_is_refused(server):
    for time_text in (soon(-5)[0], "yesterday", 5):
        problem(server.post("/api/v1/keys", {"name": "Late", "expiresAt": time_text}), 422, "expiresAt")


def test_a_revoked_key_that_connects_all_the_while_never_stays(server):
    """A connection that is being opened while its key goes must not slip through."""
    key = server.key_object()
    query = web.query(auth=key["key"], channel="firehose")
    opened, stop = [], threading.Event()

    def keep_connecting():
        while not stop.is_set():
            try:
                opened.append(RawWebSocket(server.port, query))
            except (AssertionError, EOFError, OSError):
                return

    threads = [threading.Thread(target=keep_connecting) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(opened) >= 15, "fifteen sockets")
    assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "connecting is never refused"
    stop.set()
    try:
        assert {socket.close_code() for socket in opened} == {1008}
    finally:
        for socket in opened:
            socket.close()


def test_revoking_a_key_also_ends_a_socket_that_is_catching_up_and_never_reads(make_server):
    server = make_server(log_level="info")
    slug = server.page()
    start = server.head(slug)
    for _ in range(2):
        server.batch(slug, [{"grossAmountInCents": 1, "message": "m" * 1000}] * 500)
    key = server.key_object()
    before = settled(server.sockets)  # The requests above may still be hanging up.
    query = web.query(auth=key["key"], channel="activity-feed", room=slug, since=start)
    with RawWebSocket(server.port, query, receive_buffer=4096) as stuck:
        assert "resumed" in stuck.text()
        eventually(lambda: server.sockets() > before, "an open socket")
        assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
        # It reads nothing, so it can't be told; it is gone all the same.
        eventually(lambda: server.sockets() <= before, "the socket to be gone", 15)


# Limits to pages


def test_a_key_limited_to_pages_sees_only_these_everywhere(server, cast):
    limited = server.key(*cast.everything, account=cast.alice, pages=[cast.own])
    with server.feed(limited) as firehose:
        server.tip(cast.shared)
        tip = server.tip(cast.own)
        assert firehose.event()["cursor"] == tip["cursor"]
    assert server.handshake(web.query(auth=limited, channel="activity-feed", room=cast.own)).status == 101
    assert server.handshake(web.query(auth=limited, channel="activity-feed", room=cast.shared)).status == 403
    assert [page["slug"] for page in server.get("/api/v1/pages", key=limited).json["data"]] == [cast.own]
    for path in ("", "/tips", "/events"):
        problem(server.get(f"/api/v1/pages/{cast.shared}{path}", key=limited), 404)
    problem(server.post(f"/api/v1/pages/{cast.shared}/tips", {"grossAmountInCents": 1}, key=limited), 404)


def test_a_key_limited_to_pages_makes_no_page_and_grants_only_keys_so_limited(server, cast):
    limited = server.key(*cast.everything, account=cast.alice, pages=[cast.own])
    problem(server.post("/api/v1/pages", {"slug": fresh("page")}, key=limited), 403)
    for pages in (None, [cast.shared], [cast.own, cast.shared]):
        answer = server.post("/api/v1/keys", {"name": "More", "pages": pages}, key=limited)
        assert answer.status in (403, 404, 422), answer
    assert server.key_object(by=limited, pages=[cast.own])["pages"] == [cast.own]


# Scopes


def test_a_call_without_a_good_key_is_401_and_says_how_to_do_better(server, cast):
    for key in (None, "", "nonsense", "tw_" + "6" * 64):
        for method, path in (("GET", "/api/v1/pages"), ("POST", f"/api/v1/pages/{cast.own}/tips"), ("GET", "/metrics")):
            answer = server.call(method, path, {"grossAmountInCents": 1} if method == "POST" else None, key=key)
            assert answer.status == 401, answer
            assert answer.headers["WWW-Authenticate"].split()[0] == "Bearer", answer.headers.items()
    problem(server.get("/api/v1/pages", key=None), 401)


@pytest.mark.parametrize("scope, allowed", [
    ("events:read", {"read"}), ("tips:write", {"write"}), ("manage", {"manage"}), ("overlay", set()),
    ("Funplace::eventsub", set()), ("admin", {"read", "write", "manage", "admin"}),
])
def test_a_key_may_do_what_its_scope_says_and_nothing_else(server, scope, allowed):
    slug = server.page()
    key = server.key(scope)
    tip = server.tip(slug)["tip"]["id"]
    calls = [
        ("read", "GET", f"/pages/{slug}/tips", None), ("read", "GET", f"/pages/{slug}/tips/{tip}", None),
        ("read", "GET", f"/pages/{slug}/events", None),
        ("write", "POST", f"/pages/{slug}/tips", {"grossAmountInCents": 1}),
        ("write", "POST", f"/pages/{slug}/tips:batch", {"tips": [{"grossAmountInCents": 1}]}),
        ("manage", "GET", "/pages", None), ("manage", "GET", f"/pages/{slug}", None),
        ("manage", "PATCH", f"/pages/{slug}", {"title": "T"}), ("manage", "POST", "/pages", {"slug": fresh("page")}),
        ("manage", "POST", f"/pages/{slug}/tips/{tip}/replay", None), ("manage", "GET", "/keys", None),
        ("manage", "GET", "/connections", None),
        ("admin", "GET", "/accounts", None), ("admin", "POST", "/accounts", {"name": fresh("account")}),
    ]
    head = server.head(slug)
    for needs, method, path, body in calls:
        answer = server.call(method, "/api/v1" + path, body, key=key)
        if needs in allowed:
            assert answer.status in (200, 201, 202), (path, answer)
        else:
            problem(answer, 403)
    if not allowed & {"write", "manage"}:
        assert server.head(slug) == head, "a refused call left something in the log"


def test_a_key_grants_only_what_it_has(server, cast):
    manager = server.key("manage", "events:read", account=cast.alice)
    assert server.key_object("events:read", by=manager)["account"] == cast.alice
    for scopes in (["tips:write"], ["admin"], ["events:read", "Funplace::eventsub"]):
        answer = server.post("/api/v1/keys", {"name": "More", "scopes": scopes}, key=manager)
        assert answer.status in (403, 422), answer
    problem(server.post("/api/v1/keys", {"name": "Odd", "scopes": ["events:write"]}), 422)
    answer = server.post("/api/v1/keys", {"name": "Foreign", "account": cast.bob}, key=manager)
    assert answer.status in (403, 404, 422), answer


def test_a_scope_covers_every_longer_one_that_continues_it(server, cast):
    manager = server.key("manage", "Funplace::eventsub", account=cast.alice)
    assert server.key_object("Funplace::eventsub::create", by=manager)["scopes"] == ["Funplace::eventsub::create"]
    narrow = server.key("manage", "Funplace::eventsub::create", account=cast.alice)
    answer = server.post("/api/v1/keys", {"name": "Wide", "scopes": ["Funplace::eventsub"]}, key=narrow)
    assert answer.status in (403, 422), answer


def test_accounts_manage_their_own_and_admin_manages_all(server, cast):
    bob = server.key(*cast.everything, account=cast.bob)

    def slugs(key):
        return {page["slug"] for page in server.get("/api/v1/pages?limit=1000", key=key).json["data"]}

    assert slugs(bob) == {cast.bobs, cast.shared}
    assert {cast.own, cast.shared, cast.bobs} <= slugs("admin")
    problem(server.get(f"/api/v1/pages/{cast.own}", key=bob), 404)
    mine = server.page_object(key=bob)
    assert mine["owner"] == cast.bob, "a page without an owner belongs to the caller's account"
    answer = server.post("/api/v1/pages", {"slug": fresh("page"), "owner": cast.alice}, key=bob)
    assert answer.status in (403, 422), answer
    foreign = server.key_object(account=cast.alice)
    assert foreign["id"] not in server.get("/api/v1/keys?limit=1000", key=bob).text
    problem(server.delete(f"/api/v1/keys/{foreign['id']}", key=bob), 404)
    assert server.get(f"/api/v1/pages/{cast.own}/tips", key=foreign["key"]).status == 200, "it still works"


def test_a_key_for_unknown_pages_scopes_or_accounts_is_refused_with_the_member_named(server):
    for member, value in (("pages", [fresh("nobody")]), ("pages", "all"), ("scopes", ["nope"]), ("scopes", "events:read"),
                          ("account", fresh("nobody")), ("name", ""), ("name", None), ("name", 5), ("wat", 1)):
        named = problem(server.post("/api/v1/keys", {"name": "K"} | {member: value}), 422)
        assert [name.split("/")[0] for name in named] == [member], (member, value, named)


# Members


def test_a_member_may_do_what_the_owner_may_but_delete_the_page_or_change_its_members(server, cast):
    bob = server.key(*cast.everything, account=cast.bob)
    tip = server.tip(cast.shared, key=bob)["tip"]["id"]
    server.replay(cast.shared, tip, key=bob)
    assert server.call("PATCH", f"/api/v1/pages/{cast.shared}", {"title": "Ours"}, key=bob).json["title"] == "Ours"
    problem(server.delete(f"/api/v1/pages/{cast.shared}?confirm={cast.shared}", key=bob), 403)
    members = f"/api/v1/pages/{cast.shared}/members"
    problem(server.call("PUT", f"{members}/{cast.alice}", key=bob), 403)
    problem(server.delete(f"{members}/{cast.bob}", key=bob), 403)
    assert server.get(f"/api/v1/pages/{cast.shared}").status == 200


def test_a_members_firehose_does_not_hold_the_page(server, cast):
    with server.feed(server.key(account=cast.bob)) as feed:
        server.tip(cast.shared)
        assert server.tip(cast.bobs)["cursor"] == feed.event()["cursor"]


def test_a_removed_members_feed_ends_and_gets_nothing_after(server):
    carol = server.account(fresh("carol"))
    slug = server.page()
    members = f"/api/v1/pages/{slug}/members/{carol}"
    assert server.call("PUT", members).status == 204
    assert server.call("PUT", members).status == 204, "it is idempotent"
    key = server.key(account=carol)
    with server.feed(key, "activity-feed", slug) as feed, server.feed(server.admin, "activity-feed", slug) as owner:
        assert server.tip(slug)["cursor"] == feed.event()["cursor"] == owner.event()["cursor"]
        answer = server.delete(members)
        assert answer.status == 204, answer
        assert server.tip(slug)["cursor"] == owner.event()["cursor"]
        # `closed` fails on any frame, so on the tip too.
        assert feed.closed() == 1008
    assert server.handshake(web.query(auth=key, channel="activity-feed", room=slug)).status == 403
    problem(server.get(f"/api/v1/pages/{slug}/tips", key=key), 404)


def test_deleting_a_page_closes_its_feeds_and_leaves_the_firehose(server, cast):
    slug = server.page(owner=cast.alice)
    server.tip(slug)
    key = server.key(account=cast.alice)
    for query in ("", "?confirm=", f"?confirm={cast.own}"):
        answer = server.delete(f"/api/v1/pages/{slug}{query}")
        assert answer.status in (400, 409, 422), answer
    with server.feed(key, "activity-feed", slug) as activity, server.feed(key) as firehose:
        answer = server.delete(f"/api/v1/pages/{slug}?confirm={slug}")
        assert answer.status == 204, answer
        assert activity.closed() in (1000, 1001, 1008)
        tip = server.tip(cast.own)
        assert firehose.event()["cursor"] == tip["cursor"]
    assert server.handshake(web.query(auth=key, channel="activity-feed", room=slug)).status == 403
    problem(server.get(f"/api/v1/pages/{slug}"), 404)
    problem(server.post(f"/api/v1/pages/{slug}/tips", {"grossAmountInCents": 1}), 404)


# Connections


def test_open_feeds_are_listed_and_one_can_be_cut(server, cast):
    key = server.key_object(account=cast.bob, name=fresh("listed"))

    def listed(by="admin"):
        return {row["id"]: row for row in server.get("/api/v1/connections?limit=1000", key=by).json["data"]}

    before = set(listed())
    with server.feed(key["key"]) as one, server.feed(key["key"], "activity-feed", cast.shared) as other:
        for feed in (one, other):
            feed.says_nothing_but_pong()
        fresh_ids = eventually(lambda: len(new := set(listed()) - before) == 2 and new, "two connections")
        assert key["key"] not in server.get("/api/v1/connections").text
        assert fresh_ids <= set(listed(server.key("manage", account=cast.bob)))
        assert not fresh_ids & set(listed(server.key("manage", account=server.account())))
        for identifier in fresh_ids:
            assert server.delete(f"/api/v1/connections/{identifier}").status == 204
        codes = [one.closed(), other.closed()]
        assert all(code in (1000, 1001, 1008, 1012) for code in codes), codes
        eventually(lambda: not fresh_ids & set(listed()), "no longer listed")
    problem(server.delete("/api/v1/connections/nope"), 404)
