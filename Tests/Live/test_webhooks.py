"""Webhook subscriptions by both APIs: made, listed, refused, challenged, ended; settings, limits, metrics."""

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from support import http as web
from support.eventsub import (
    BASE, NOT_FOUND, TOO_MANY, UNAUTHORIZED, connection, create, data_of, subscribe)
from support.http import problem
from support.receiver import Held, answers, closes, takes_challenges
from support.server import Server, fresh
from support.waiting import eventually
from support.webhooks import (
    ALLOWED, MANAGED, PATH, SECRET, Webhook, bad_request, deliveries, eventsub_webhook, listed, make_page, moment,
    parameters, tips, webhook)
from test_operating import assert_one_clear_line, serve

ID = re.compile(r"\d+-\d+-(\d+):\d+-[0-9a-f]{16}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0", *ALLOWED).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server that allows no more than every server does."""
    server = Server(tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0").start()
    yield server
    server.close()


@pytest.fixture
def page(server):
    return make_page(server)


# Subscriptions


@pytest.mark.parametrize("method, query, form", [
    ("GET", "transport[method]=webhook&transport[callback]={raw}&condition[minimum_amount]=5.00{secret}", None),
    ("GET", "transport%5Bmethod%5D=webhook&transport%5bcallback%5d={escaped}&type=alerts.notifications&version=1"
        "&condition%5Bminimum_amount%5D=5%2E00{secret}", None),
    ("GET", "x=1&condition[minimum_amount]=5.00&transport[callback]={raw}&transport[callback]=x{secret}"
        "&transport[method]=webhook&transport[method]=websocket", None),
    ("POST", "transport[method]=webhook&transport[callback]={raw}&condition[minimum_amount]=5.00{secret}", None),
    ("POST", "", "transport[method]=webhook&transport[callback]={raw}&condition[minimum_amount]=5.00{secret}"),
    ("POST", "transport[callback]={raw}&condition%5Bminimum_amount%5D=5.00",
        "transport%5Bmethod%5D=webhook&transport[callback]=ftp://x{secret}"),
])
def test_every_spelling_makes_the_same_webhook(server, page, receiver, method, query, form):
    for secret in (SECRET, None):
        endpoint = receiver.endpoint()
        spelled = {
            "raw": endpoint.url, "escaped": quote(endpoint.url, safe=""),
            "secret": f"&transport[secret]={quote(secret, safe='')}" if secret else ""}
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        body = form.format(**spelled).encode() if form else None
        data = data_of(create(server, query.format(**spelled), page.key, page.profile, method, body, headers=headers))
        made = ID.fullmatch(data["connection_id"])
        assert made and abs(int(made.group(1)) - time.time()) < 30
        shown = data["transport"]["secret"]
        assert shown == secret or not secret and 24 <= len(base64.b64decode(shown.removeprefix("whsec_"))) <= 64
        assert json.dumps(data) == json.dumps({
            "connection_id": made.group(),
            "transport": {"method": "webhook", "callback": endpoint.url, "secret": shown},
            "condition": {"minimum_amount": "5.00"}, "type": "alerts.notifications", "version": "1",
            "created_at": int(made.group(1))})
        endpoint.trusts(shown)
        _, cursor = tips(server, page, 1, grossAmountInCents=499) + tips(server, page, 1, grossAmountInCents=500)
        request = endpoint.next()
        assert (request.id, request.json["subscription"]) == (cursor, Webhook(server, data).public)


def test_the_management_api_makes_it_with_the_documented_shape(server, page, receiver):
    for more, key in (
        ({}, page.manager), ({"type": None, "version": None, "condition": None, "secret": None}, "admin"),
        ({"type": "alerts.notifications", "version": "1", "condition": {"minimum_amount": "1"}, "secret": SECRET},
            page.manager),
        ({"type": "goals.queue"}, page.manager),
    ):
        endpoint = receiver.endpoint()
        hook = webhook(server, page.slug.upper(), endpoint, key, **more)
        assert list(hook.data) == MANAGED and ID.fullmatch(hook.id)
        assert list(hook.data["transport"]) == ["method", "callback", "secret"]
        assert hook.secret == (more.get("secret") or hook.secret) and hook.secret.startswith("whsec_")
        wanted = {
            "connection_id": hook.id, "transport": {"method": "webhook", "callback": endpoint.url},
            "condition": more.get("condition"), "type": more.get("type") or "alerts.notifications", "version": "1",
            "created_at": int(ID.fullmatch(hook.id).group(1)), "page": page.slug, "key_id": hook.data["key_id"],
            "state": "enabled", "disabled_reason": None, "pending": 0, "dead": 0, "failing_since": None,
            "last_failure": None, "next_attempt_at": None, "paused_until": None, "previous_secret_expires_at": None}
        assert hook.data["key_id"] in [one["id"] for one in server.get("/api/v1/keys", key="admin").json["data"]]
        assert json.dumps(hook.shown()) == json.dumps(wanted)
        escaped = server.get(f"{PATH}/{quote(hook.id, safe='')}", key=key)
        assert escaped.json == wanted
        cursor, = tips(server, page, 1) if "goals.queue" not in more.values() else (hook.test()["id"],)
        request = endpoint.next()
        assert request.id == cursor and json.dumps(request.json["subscription"]) == json.dumps(hook.public)


def test_generated_secrets_are_all_different(server, page, receiver):
    secrets = {webhook(server, page.slug, receiver.endpoint()).secret for _ in range(5)}
    secrets |= {eventsub_webhook(server, receiver.endpoint(), page.key).secret for _ in range(5)}
    assert len(secrets) == 10


def test_both_apis_list_and_delete_what_the_other_made(server, page, receiver):
    other = make_page(server)
    webhook(server, other.slug, receiver.endpoint())
    one = webhook(server, page.slug, receiver.endpoint(), page.manager)
    two = eventsub_webhook(server, receiver.endpoint(), page.key, page.manager, type="goals.chain")
    socket = subscribe(server, page.key)
    assert listed(server, page.key) == [
        one.public | {"state": "enabled", "disabled_reason": None},
        two.public | {"state": "enabled", "disabled_reason": None}, socket | {"connected": False}]
    answer = server.get(PATH, key=page.manager)
    assert list(answer.json) == ["data", "next"] and answer.json["next"] is None
    assert answer.json["data"] == [one.shown(), two.shown()], "oldest first"
    for hook, delete in ((two, two.delete), (one, lambda: data_of(server.get(
            f"{BASE}/delete?{connection(one.data)}", key=page.key)))):
        assert delete() in (None, {"connection_id": hook.id})
        problem(server.get(hook.path, key=page.manager), 404)
        assert hook.id not in {data["connection_id"] for data in listed(server, page.key)}
        assert deliveries(server, socket, page.key) == [], "a socket has none"
        gone = server.get(f"{BASE}/deliveries?{connection(hook.data)}", key=page.key)
        assert (gone.status, gone.body) == (404, NOT_FOUND)
    assert server.get(PATH, key=page.manager).json == {"data": [], "next": None}


def test_a_list_is_read_page_by_page(server, page, receiver):
    made = [webhook(server, page.slug, receiver.endpoint()).id for _ in range(5)]
    seen, after = [], None
    for _ in range(3):
        part = server.get(f"{PATH}?" + web.query(limit=2, after=after), key=page.manager).json
        seen += [data["connection_id"] for data in part["data"]]
        assert len(part["data"]) == min(2, 5 - len(seen) + len(part["data"]))
        after = part["next"]
    assert after is None and seen == made
    for limit in ("0", "1001", "x"):
        problem(server.get(f"{PATH}?limit={limit}", key=page.manager), 422, "limit")


def test_a_deleted_webhook_is_sent_nothing_more(server, page, receiver):
    held = Held(answers(500))
    endpoint, witness = receiver.endpoint(held), receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    webhook(server, page.slug, witness)
    tips(server, page, 3)
    endpoint.next()
    hook.delete()
    held.let_go()
    tips(server, page, 1)
    assert witness.take(4) and not endpoint.unread()
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test"), ("POST", "/retry")):
        problem(server.call(method, hook.path + path), 404)


# Refusals


def test_a_refused_target_is_told_with_its_rule_and_the_setting_by_both_apis(strict):
    page = make_page(strict)
    networks = "webhooks.allowedNetworks"
    addresses = {
        "127.0.0.1": "loopback", "10.1.2.3": "private", "172.31.0.1": "private", "192.168.1.1": "private",
        "169.254.169.254": "link-local", "100.64.0.1": "cgnat", "0.0.0.0": "unspecified", "0.1.2.3": "this-network",
        "192.0.0.8": "protocol-assignment", "192.0.2.1": "documentation", "198.18.0.1": "benchmark",
        "224.0.0.1": "multicast", "240.0.0.1": "reserved", "255.255.255.255": "broadcast", "[::1]": "loopback",
        "[::]": "unspecified", "[fd00::1]": "unique-local", "[fe80::1]": "link-local", "[fec0::1]": "site-local",
        "[2001::1]": "teredo", "[2002:7f00:1::]": "6to4", "[64:ff9b::7f00:1]": "nat64",
        "[::ffff:127.0.0.1]": "ipv4-mapped", "[::127.0.0.1]": "ipv4-compatible", "localhost": "loopback",
        "some.localhost": "loopback"}
    refused = [(f"https://{host}/hook", f"'{rule}'", networks) for host, rule in addresses.items()] + [
        ("http://example.com/hook", "https", "webhooks.allowHTTP"), ("ftp://example.com/", "https"),
        ("/hook", "absolute"), ("x", "absolute"), ("https:///hook", "host"), ("https://a@example.com/", "user name"),
        ("https://example.com/#x", "fragment"), ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com./", "dot"), ("https://ex%61mple.com/", "percent"), ("https://2130706433/", "127.0.0.1"),
        ("https://0x7f.1/", "127.0.0.1"), ("https://127.1/", "127.0.0.1"), ("https://exa mple.com/", "ASCII"),
        ("https://ex\u00e4mple.com/", "ASCII"), ("https://example.com/" + "x" * 2000, "2000 characters"),
        ("https://example.com\\@127.0.0.1/", "ASCII")]
    for callback, *words in refused:
        answer = strict.post(PATH, {"page": page.slug, "callback": callback}, key=page.manager)
        assert problem(answer, 422, "callback") == ["callback"]
        told = json.dumps(answer.json["errors"], ensure_ascii=False)
        assert all(word in told for word in words), (callback, words, told)
        query = web.query(**{"transport[method]": "webhook", "transport[callback]": callback})
        bad_request(create(strict, query, page.key), "transport[callback]", *words)
    assert listed(strict, page.key) == []


def test_the_settings_allow_what_they_name_and_nothing_beside(server, page):
    for callback, rule in (
        ("http://10.0.0.1/", "'private'"), ("https://[::1]/", "'loopback'"), ("http://126.0.0.1@x/", "user name")):
        answer = server.post(PATH, {"page": page.slug, "callback": callback})
        assert problem(answer, 422) == ["callback"] and rule in answer.text, answer
    assert serve("--port", "0", "--check", "--webhooks-allowed-networks", "10.0.0.0/8,fd00::/8").returncode == 0


def test_a_name_that_means_nothing_yet_is_accepted_and_asked_for_at_each_attempt(strict):
    page = make_page(strict)
    body = {"page": page.slug, "callback": "https://hooks.invalid/x"}
    answer = strict.post(PATH, body, key=page.manager, timeout=40)
    assert answer.status == 201, answer
    hook = Webhook(strict, answer.json, page.manager)
    cursor, = tips(strict, page, 1)
    delivery = hook.attempted(cursor, seconds=30)
    assert (delivery["state"], delivery["status"], delivery["reason"]) == ("pending", None, None)
    assert delivery["next_attempt_at"] and delivery["outcome"] == delivery["log"][0]["outcome"] != ""


def test_bad_members_are_named(server, page, receiver):
    good = {"page": page.slug, "callback": receiver.endpoint().url}
    short, long = ("whsec_" + base64.b64encode(b"x" * count).decode() for count in (23, 65))
    for member, values in {
        "page": [fresh("nobody"), "", None, 5], "callback": ["", None, 5, ["x"]], "type": ["nope", "", 5],
        "version": ["2", 1],
        "secret": [short, long, SECRET[6:], "whsec_", "whsec_!" + SECRET[7:], SECRET.rstrip("="), 5],
        "condition": [
            {"nope": "1"}, {"minimum_amount": "x"}, {"minimum_amount": "1.234"}, {"minimum_amount": "-1"},
            {"minimum_amount": 5}, "x", []],
        "wat": [1],
    }.items():
        for value in values:
            answer = server.post(PATH, good | {member: value}, key=page.manager)
            named = problem(answer, 422)
            assert {re.split(r"[/.\[]", name)[0] for name in named} == {member}, (member, value, answer)
            assert "whsec_" not in answer.text.replace("'whsec_'", ""), "a secret is not repeated, not even a bad one"
    answer = server.post(PATH, good | {"type": "goals.queue", "condition": {"minimum_amount": "1"}}, key=page.manager)
    assert problem(answer, 422)[0].startswith("condition")
    for body, status in ((b"{", 400), (b"{}", 422)):
        assert server.post(PATH, body, key=page.manager).status == status
    url = good["callback"]
    for more, named in (
        ({"transport[secret]": short}, "transport[secret]"), ({"transport[secret]": "x"}, "transport[secret]"),
        ({"type": "nope"}, "'type'"), ({"version": "2"}, "'version'"), ({"condition[x]": "1"}, "condition[x]"),
        ({"condition[minimum_amount]": "x"}, "condition[minimum_amount]"), ({"transport[callback]": None}, "callback"),
        ({"transport[callback]": ""}, "transport[callback]"), ({"transport[method]": "mail"}, "transport[method]"),
    ):
        query = web.query(**{"transport[method]": "webhook", "transport[callback]": url} | more)
        bad_request(create(server, query, page.key), named)
    hook = webhook(server, page.slug, receiver.endpoint())
    for body, field in (
        ({}, "enabled"), ({"enabled": "no"}, "enabled"), ({"enabled": True, "callback": url}, "callback")):
        problem(server.call("PATCH", hook.path, body), 422, field)
    for secret in (short, "x", 5):
        problem(server.post(f"{hook.path}/secret/rotate", {"secret": secret}), 422, "secret")
    for query in ("state=x", "limit=0", "limit=1001"):
        problem(server.get(f"{hook.path}/deliveries?{query}"), 422, query.split("=")[0])
    for query in ("status=x", "status=99", "from=x", "to=yesterday", "status=600"):
        problem(server.post(f"{hook.path}/retry?{query}"), 422, query.split("=")[0])
    assert hook.shown()["state"] == "enabled"


def test_who_is_to_be_told_is_asked_first_if_the_setting_says_so(make_server, server, receiver):
    asking = make_server("--webhooks-require-challenge", "true", *ALLOWED)
    page = make_page(asking)
    key = asking.key("manage", "Funplace::eventsub", pages=[page.slug])
    for make in (lambda endpoint: webhook(asking, page.slug, endpoint, key),
                 lambda endpoint: eventsub_webhook(asking, endpoint, key, key)):
        endpoint = receiver.endpoint(takes_challenges)
        hook = make(endpoint)
        asked = endpoint.next()
        assert list(asked.json) == ["type", "challenge"] and asked.json["type"] == "challenge"
        assert len(asked.json["challenge"]) >= 16 and asked.id not in ("", asked.json["challenge"])
        cursor, = tips(asking, page, 1)
        assert endpoint.ids(1) == [cursor]
        assert hook.idle().states() == [(cursor, "delivered")], "the challenge is no delivery"
        hook.delete()
    wrong = answers(200, b"0" * 32, content_type="text/plain")
    for behaviour in (answers(), wrong, answers(404), answers(302, location="/trap"), closes):
        endpoint = receiver.endpoint(behaviour).trusts(SECRET)
        answer = asking.post(PATH, {"page": page.slug, "callback": endpoint.url, "secret": SECRET}, key=key)
        assert problem(answer, 422) == ["callback"] and "challenge" in answer.text, answer
        query = parameters(endpoint, **{"transport[secret]": SECRET})
        bad_request(create(asking, query, key), "transport[callback]", "challenge")
        assert [one.json["type"] for one in endpoint.take(2)] == ["challenge"] * 2
    assert listed(asking, key) == []
    # Without the setting nobody is asked.
    page, endpoint = make_page(server), receiver.endpoint()
    webhook(server, page.slug, endpoint)
    eventsub_webhook(server, endpoint, page.key)
    cursor, = tips(server, page, 1)
    assert endpoint.ids(2) == [cursor] * 2


def test_scopes_decide_who_may_what(server, page, receiver):
    hook = webhook(server, page.slug, receiver.endpoint())
    cursor, = tips(server, page, 1)
    hook.idle(cursor)
    calls = [
        ("GET", PATH, None), ("POST", PATH, {"page": page.slug, "callback": receiver.endpoint().url}),
        ("GET", hook.path, None), ("PATCH", hook.path, {"enabled": True}), ("GET", f"{hook.path}/deliveries", None),
        ("GET", f"{hook.path}/deliveries/{cursor}", None), ("POST", f"{hook.path}/deliveries/{cursor}/retry", None),
        ("POST", f"{hook.path}/retry", None), ("POST", f"{hook.path}/test", None),
        ("POST", f"{hook.path}/secret/rotate", None), ("DELETE", hook.path, None)]
    others = server.key("events:read", "tips:write", "Funplace::eventsub", pages=[page.slug])
    for method, path, body in calls:
        problem(server.call(method, path, body, None), 401)
        problem(server.call(method, path, body, others), 403)
    assert hook.shown() and len(hook.deliveries()) == 1, "none of them did anything"
    creator = server.key("Funplace::eventsub::create", pages=[page.slug])
    for key, allowed in ((creator, True), (page.manager, False), (server.key(pages=[page.slug]), False)):
        endpoint = receiver.endpoint()
        answer = create(server, parameters(endpoint), key)
        assert answer.status == 200 if allowed else (answer.status, answer.body) == (401, UNAUTHORIZED), answer
        for call in ("list", f"deliveries?{connection(hook.data)}", f"delete?{connection(hook.data)}"):
            answer = server.get(f"{BASE}/{call}", key=key)
            assert (answer.status, answer.body) == (401, UNAUTHORIZED), answer


def test_of_others_subscriptions_and_pages_nothing_is_seen_or_touched(server, page, receiver):
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    cursor, = tips(server, page, 1)
    hook.idle(cursor)
    other = make_page(server)
    account = server.account(fresh("mallory"))
    own = server.page(owner=account)
    socket = subscribe(server, page.key)
    for key in (server.key("manage", account=account), other.manager):
        foreign = [(hook.path, cursor), (f"{PATH}/{hook.id[:-1]}", cursor), (f"{PATH}/x", "x")]
        for path, delivery in foreign:
            for method, verb, body in (
                ("GET", "", None), ("PATCH", "", {"enabled": False}), ("DELETE", "", None),
                ("GET", "/deliveries", None), ("GET", f"/deliveries/{delivery}", None),
                ("POST", f"/deliveries/{delivery}/retry", None), ("POST", "/retry", None), ("POST", "/test", None),
                ("POST", "/secret/rotate", None),
            ):
                problem(server.call(method, path + verb, body, key), 404)
        assert hook.id not in server.get(PATH, key=key).text
        answer = server.post(PATH, {"page": page.slug, "callback": receiver.endpoint().url}, key=key)
        assert problem(answer, 422) == ["page"]
    for key in (server.key("Funplace::eventsub", account=account), other.key):
        for call in ("deliveries", "delete"):
            answer = server.get(f"{BASE}/{call}?{connection(hook.data)}", key=key)
            assert (answer.status, answer.body) == (404, NOT_FOUND)
        assert hook.id not in {data["connection_id"] for data in listed(server, key)}
        answer = create(server, parameters(receiver.endpoint()), key, page.profile)
        assert (answer.status, answer.body) == (401, UNAUTHORIZED)
    # A socket is no webhook, and a delivery belongs to one subscription.
    problem(server.get(f"{PATH}/{socket['connection_id']}"), 404)
    beside = webhook(server, page.slug, receiver.endpoint())
    problem(server.get(f"{beside.path}/deliveries/{cursor}"), 404)
    problem(server.post(f"{beside.path}/deliveries/{cursor}/retry"), 404)
    assert own and hook.shown()["state"] == "enabled" and hook.states() == [(cursor, "delivered")]
    assert len(endpoint.received) == 1, "nobody made it send anything"


# Ends


def test_what_happened_while_it_was_disabled_comes_after_enabling_and_in_order(server, page, receiver):
    endpoint, witness = receiver.endpoint(answers(500), answers()), receiver.endpoint()
    hook = webhook(server, page.slug, endpoint, page.manager)
    webhook(server, page.slug, witness)
    first, = tips(server, page, 1)
    hook.attempted(first)
    disabled = hook.disable()
    assert (disabled["disabled_reason"], disabled["pending"]) == ("disabled by its owner", 1)
    assert hook.disable() == disabled, "it is idempotent"
    assert listed(server, page.key)[0] == hook.public | {
        "state": "disabled", "disabled_reason": "disabled by its owner"}
    missed = tips(server, page, 3)
    server.batch(page.slug, [{"grossAmountInCents": 1}] * 30)
    missed = [event["cursor"] for event in server.log(page.slug)][1:]
    assert len(witness.ids(34, 20)) == len(missed) + 1 == 34
    assert len(endpoint.received) == 1 and hook.shown()["pending"] == 1
    enabled = hook.enable()
    assert enabled["disabled_reason"] is None
    hook.retry(first)
    endpoint.requests(35, 20)
    assert endpoint.order() == [first] + missed
    hook.idle()
    assert [cursor for cursor, state in hook.states() if state == "delivered"] == [first] + missed
    assert len(endpoint.received) == 35, "and each once"


def test_a_webhook_ends_with_its_key(server, page, receiver):
    keys = [server.key_object("manage", "Funplace::eventsub", pages=[page.slug]) for _ in range(2)]
    expiry = time.time() + 4
    keys.append(server.key_object("manage", "Funplace::eventsub", pages=[page.slug], expiresAt=moment(expiry)))
    ended, kept = [], receiver.endpoint()
    for key in keys:
        ended.append(webhook(server, page.slug, receiver.endpoint(), key["key"]))
        ended.append(eventsub_webhook(server, receiver.endpoint(), key["key"]))
    webhook(server, page.slug, kept, page.manager)
    endpoints = [endpoint for endpoint in receiver.endpoints.values() if endpoint is not kept]
    cursor, = tips(server, page, 1)
    assert [endpoint.next().id for endpoint in [*endpoints, kept]] == [cursor] * 7
    for key in keys[:2]:
        assert server.delete(f"/api/v1/keys/{key['id']}").status == 204
    eventually(lambda: time.time() > expiry + 1, "the third key to expire", 10)
    for hook in ended:
        hook.key = page.manager
        eventually(lambda: hook.shown()["state"] == "disabled", "the end of the webhook")
    reasons = [hook.shown()["disabled_reason"] for hook in ended]
    assert reasons == ["key revoked"] * 4 + ["key expired"] * 2
    assert [one["disabled_reason"] for one in listed(server, page.key)] == reasons + [None]
    assert kept.ids(3) if tips(server, page, 3) else None
    assert not [endpoint.unread() for endpoint in endpoints if endpoint.unread()]
    # Enabled by another key it is that key's, gets what it missed, and ends with it.
    heir = server.key_object("manage", pages=[page.slug])
    again, endpoint = ended[0], endpoints[0]
    again.key = heir["key"]
    again.enable()
    assert endpoint.ids(3) == kept.order()[1:]
    assert server.delete(f"/api/v1/keys/{heir['id']}").status == 204
    again.key = page.manager
    assert again.shown()["disabled_reason"] == "key revoked"


def test_a_webhook_goes_with_its_page(server, receiver):
    page, other = make_page(server), make_page(server)
    endpoint, witness = receiver.endpoint(answers(500)), receiver.endpoint()
    hook = webhook(server, page.slug, endpoint)
    webhook(server, other.slug, witness)
    tips(server, page, 1)
    endpoint.next()
    assert server.delete(f"/api/v1/pages/{page.slug}?confirm={page.slug}").status == 204
    for path in ("", "/deliveries"):
        problem(server.get(hook.path + path), 404)
    problem(server.call("PATCH", hook.path, {"enabled": True}), 404)
    assert hook.id not in server.get(f"{PATH}?limit=1000").text
    tips(server, other, 1)
    assert witness.next() and not endpoint.unread()


def test_a_webhook_stops_when_its_owner_is_no_member_any_more(server, receiver):
    bob = server.account(fresh("bob"))
    page = make_page(server)
    assert server.call("PUT", f"/api/v1/pages/{page.slug}/members/{bob}").status == 204
    endpoint, witness = receiver.endpoint(), receiver.endpoint()
    key = server.key("manage", account=bob)
    hook = webhook(server, page.slug, endpoint, key)
    webhook(server, page.slug, witness)
    assert tips(server, page, 1) == endpoint.ids(1) == witness.ids(1)
    assert server.delete(f"/api/v1/pages/{page.slug}/members/{bob}").status == 204
    tips(server, page, 2)
    assert witness.take(2) and not endpoint.unread()
    problem(server.get(hook.path, key=key), 404)
    hook.key = "admin"
    eventually(lambda: hook.shown()["state"] == "disabled", "the end of the webhook")
    assert hook.shown()["disabled_reason"] == "no access to the page any more"
    problem(server.call("PATCH", hook.path, {"enabled": True}), 409)
    tips(server, page, 1)
    assert witness.next() and not endpoint.unread()


def test_a_stop_waits_for_no_endpoint_and_what_was_under_way_is_sent_again(make_server, receiver):
    server = make_server(*ALLOWED)
    page = make_page(server)
    held = Held()
    endpoint = receiver.endpoint(held, answers())
    hook = webhook(server, page.slug, endpoint)
    ids = tips(server, page, 2)
    endpoint.next()
    status, took = server.terminate()
    assert status == 0 and took < 8, f"it took {took:.1f} s"
    held.let_go()
    server.start()
    assert endpoint.ids(2) == ids
    assert hook.idle().states() == [(cursor, "delivered") for cursor in ids]


# Settings


def test_an_https_receiver_whose_authority_the_setting_names_is_trusted(make_server, make_receiver, authority):
    server = make_server(
        "--webhooks-allowed-networks", "127.0.0.0/8", "--webhooks-trust-roots", str(authority.certificate))
    page = make_page(server)
    by_address = make_receiver(authority.context()).endpoint()
    by_name = make_receiver(authority.context("DNS:localhost"), host="localhost").endpoint()
    hooks = [webhook(server, page.slug, endpoint) for endpoint in (by_address, by_name)]
    ids = tips(server, page, 3)
    for endpoint, hook in zip((by_address, by_name), hooks):
        assert endpoint.ids(3) == ids
        assert hook.idle().states() == [(cursor, "delivered") for cursor in ids]


def test_settings_that_mean_nothing_are_told_at_the_start(tmp_path):
    for option, value, setting in (
        ("--webhooks-allowed-networks", "127.0.0.1/33", "webhooks.allowedNetworks"),
        ("--webhooks-allowed-networks", "everything", "webhooks.allowedNetworks"),
        ("--webhooks-allow-http", "perhaps", "webhooks.allowHTTP"),
        ("--webhooks-require-challenge", "5", "webhooks.requireChallenge"),
        ("--webhooks-trust-roots", str(tmp_path / "nothing.pem"), "webhooks.trustRoots"),
        ("--webhooks-trust-roots", __file__, "webhooks.trustRoots"),
        ("--webhooks-max-pending", "0", "webhooks.maxPending"),
        ("--webhooks-max-concurrent", "0", "webhooks.maxConcurrent"),
        ("--webhooks-max-history", "-1", "webhooks.maxHistory"),
        ("--webhooks-secret-overlap-seconds", "-1", "webhooks.secretOverlapSeconds"),
    ):
        done = serve("--port", "0", "--data", tmp_path / "data", option, value)
        assert_one_clear_line(done)
        assert setting in done.stderr or option in done.stderr, done.stderr


# Limits


def test_limits_count_sockets_and_webhooks_of_both_apis_together(make_server, receiver):
    server = make_server("--eventsub-max-per-key", "3", "--eventsub-max-per-page", "5", *ALLOWED)
    page = make_page(server)
    key = server.key("manage", "Funplace::eventsub", pages=[page.slug])
    endpoint = receiver.endpoint()
    body = {"page": page.slug, "callback": endpoint.url}

    def refused(key):
        for answer in (create(server, "transport[method]=websocket", key), create(server, parameters(endpoint), key)):
            assert (answer.status, answer.body) == (429, TOO_MANY) and int(answer.headers["Retry-After"]) > 0
        answer = server.post(PATH, body, key=key)
        assert problem(answer, 429) == [] and int(answer.headers["Retry-After"]) > 0

    subscribe(server, key)
    hook = webhook(server, page.slug, endpoint, key)
    eventsub_webhook(server, endpoint, key)
    refused(key)
    hook.disable()
    refused(key)  # A disabled one still counts.
    hook.delete()
    subscribe(server, key)
    refused(key)
    other = server.key("manage", "Funplace::eventsub", pages=[page.slug])
    for _ in range(2):
        webhook(server, page.slug, endpoint, other)
    refused(other)
    samples = server.samples()
    assert samples['tipwire_eventsub_refused_total{reason="per_key"}'] == 9
    assert samples['tipwire_eventsub_refused_total{reason="per_page"}'] == 3
    start = tips(server, page, 1)
    assert endpoint.ids(3) == start * 3


def test_limits_hold_when_many_ask_at_once(make_server, receiver):
    server = make_server("--eventsub-max-per-key", "5", "--eventsub-max-per-page", "8", *ALLOWED)
    page = make_page(server)
    keys = [server.key("manage", "Funplace::eventsub", pages=[page.slug]) for _ in range(2)]
    endpoint = receiver.endpoint()
    body = {"page": page.slug, "callback": endpoint.url}

    def burst(key):
        def ask(number):
            by_query = number % 2
            answer = create(server, parameters(endpoint), key) if by_query else server.post(PATH, body, key=key)
            if answer.status != 429:
                assert answer.status == 200 if by_query else 201, answer
                data = answer.json["data"] if by_query else answer.json
                endpoint.trusts(data["transport"]["secret"])
            return answer.status
        # Behind a large batch of tips all of them wait for the store at the same time.
        with ThreadPoolExecutor(25) as pool:
            batch = pool.submit(server.batch, page.slug, [{"grossAmountInCents": 1}] * 500)
            statuses = list(pool.map(ask, range(24)))
            batch.result()
        return 24 - statuses.count(429)

    assert burst(keys[0]) == 5
    assert burst(keys[1]) == 3
    hooks = [Webhook(server, data, page.manager) for data in listed(server, page.key)]
    assert len(hooks) == 8
    for hook in hooks:
        hook.delete()
    assert burst(keys[1]) == 5, "what has ended makes room"


def test_a_key_makes_no_more_than_so_many_in_a_minute(make_server, receiver):
    server = make_server("--eventsub-max-creations-per-minute", "4", *ALLOWED)
    page = make_page(server)
    key = server.key("manage", "Funplace::eventsub", pages=[page.slug])
    for _ in range(2):
        webhook(server, page.slug, receiver.endpoint(), key).delete()
        eventsub_webhook(server, receiver.endpoint(), key, key).delete()
    answer = server.post(PATH, {"page": page.slug, "callback": receiver.endpoint().url}, key=key)
    assert problem(answer, 429) == [] and 0 < int(answer.headers["Retry-After"]) <= 60
    answer = create(server, parameters(receiver.endpoint()), key)
    assert (answer.status, answer.body) == (429, TOO_MANY) and 0 < int(answer.headers["Retry-After"]) <= 60
    assert webhook(server, page.slug, receiver.endpoint(), page.manager), "another key may"
    assert server.samples()['tipwire_eventsub_refused_total{reason="per_minute"}'] == 2


# Metrics


def test_metrics_count_subscriptions_attempts_and_what_became_of_deliveries(make_server, receiver):
    server = make_server(*ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint(answers(), answers(500), answers())
    hook = webhook(server, page.slug, endpoint)
    webhook(server, page.slug, receiver.endpoint()).disable()
    ids = tips(server, page, 3)
    hook.attempted(ids[2])
    samples = server.samples()
    wanted = {
        'tipwire_webhook_subscriptions{state="enabled"}': 1, 'tipwire_webhook_subscriptions{state="disabled"}': 1,
        'tipwire_webhook_attempts_total{outcome="delivered"}': 2,
        'tipwire_webhook_attempts_total{outcome="status"}': 1,
        'tipwire_webhook_deliveries_total{result="delivered"}': 2,
        "tipwire_webhook_pending_deliveries": 1, "tipwire_webhook_attempts_running": 0,
        "tipwire_webhook_breakers_open": 0, "tipwire_webhook_attempt_duration_seconds_count": 3}
    assert {name: samples.get(name) for name in wanted} == wanted, [name for name in samples if "webhook" in name]
    text = server.get("/metrics").text
    for family, kind in (
        ("webhook_subscriptions", "gauge"), ("webhook_attempts_total", "counter"),
        ("webhook_deliveries_total", "counter"), ("webhook_dead_letters_total", "counter"),
        ("webhook_pending_deliveries", "gauge"), ("webhook_attempts_running", "gauge"),
        ("webhook_breakers_open", "gauge"), ("webhook_attempt_duration_seconds", "histogram"),
        ("eventsub_refused_total", "counter"),
    ):
        assert f"# TYPE tipwire_{family} {kind}\n" in text and f"# HELP tipwire_{family} " in text, family
    assert page.slug not in text and endpoint.path not in text, "no label is of a user's choosing"
