"""Receivers that fail, each in its own way: what is told of it, what follows, and that nobody else suffers."""

import datetime
import shutil
import socket
import time
from email.utils import format_datetime

import pytest

from support.receiver import (
    Authority, Held, Receiver, answers, breaks_off, closes, drips, hangs, resets, sends, sends_a_head_without_end,
    sends_endlessly, stalls)
from support.server import Server
from support.waiting import eventually, settled
from support.webhooks import ALLOWED, make_page, tips, webhook

SCHEDULE = (5, 6)
REDIRECT = "answered {}; redirects aren't followed"
SILENCE = "no answer came in time"
CLOSED = "the connection was closed without an answer"
UNREADABLE = "the answer couldn't be read as HTTP/1.1"


def asks_for_two_minutes(request, out):
    """With a date, not with a number."""
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=2)
    return answers(503, retry_after=format_datetime(then, usegmt=True))(request, out)


# Behaviour: status, outcome, and seconds to the next attempt; without these it was delivered.
BEHAVIOURS = {
    "200": (answers(200, b"fine"), 200, "answered 200", None),
    "204": (answers(204), 204, "answered 204", None),
    "299": (answers(299), 299, "answered 299", None),
    "200 with every header and a long body": (
        answers(200, b"x" * 60_000, set_cookie="a=b", content_type="text/html"), 200, "answered 200", None),
    "HTTP/1.0 without a length": (sends(b"HTTP/1.0 200 OK\r\n\r\nfine"), 200, "answered 200", None),
    "more on the way, and 200": (
        sends(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200,
        "answered 200", None),
    "200 and a gigabyte": (sends_endlessly(200), 200, "answered 200", None),
    "500 and a gigabyte": (sends_endlessly(500), 500, "answered 500", SCHEDULE),
    "a head without end": (sends_a_head_without_end, None, UNREADABLE, SCHEDULE),
    **{str(status): (answers(status, location="/trap"), status, REDIRECT.format(status), SCHEDULE)
       for status in (301, 302, 303, 307, 308)},
    **{str(status): (answers(status, b"no"), status, f"answered {status}", SCHEDULE)
       for status in (400, 401, 404, 429, 500, 503)},
    "410": (answers(410), 410, "answered 410: gone", SCHEDULE),
    "429, later": (answers(429, retry_after="60"), 429, "answered 429", (60, 72)),
    "503, later": (answers(503, retry_after="100"), 503, "answered 503", (100, 120)),
    "503, at a time": (asks_for_two_minutes, 503, "answered 503", (118, 144)),
    "503, much later": (answers(503, retry_after="9" * 30), 503, "answered 503", (86_400, 103_680)),
    "429, sooner": (answers(429, retry_after="1"), 429, "answered 429", SCHEDULE),
    "503, sometime": (answers(503, retry_after="soon"), 503, "answered 503", SCHEDULE),
    "500, later": (answers(500, retry_after="60"), 500, "answered 500", SCHEDULE),
    "closes": (closes, None, CLOSED, SCHEDULE),
    "resets": (resets, None, CLOSED, SCHEDULE),
    "breaks off": (
        breaks_off(200), 200, "answered 200, but the connection was closed amid the answer", SCHEDULE),
    "not HTTP": (sends(b"220 mail.example ESMTP\r\n"), None, UNREADABLE, SCHEDULE),
    "HTTP/2": (sends(b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64\0\4\x40\0\0\0\0\2\0\0\0\0"), None, UNREADABLE, SCHEDULE),
    "a broken chunk": (
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsomething\r\n"), None, UNREADABLE, SCHEDULE),
    "two lengths": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), None, UNREADABLE, SCHEDULE),
    "nobody there": ("nobody", None, "the connection was refused", SCHEDULE),
    "an authority that nobody knows": ("stranger", None, "the certificate isn't trusted or has expired", SCHEDULE),
    "yesterday's certificate": ("expired", None, "the certificate isn't trusted or has expired", SCHEDULE),
    "another's certificate": ("misnamed", None, "the certificate is for another name", SCHEDULE),
    "HTTP where HTTPS was asked for": ("plain", None, "the TLS handshake failed", SCHEDULE),
    "no TLS handshake": ("mute", None, "connecting took too long", SCHEDULE),
    "hangs": (hangs, None, SILENCE, SCHEDULE),
    "stalls": (stalls(200), 200, "answered 200, but the answer didn't end in time", SCHEDULE),
    "drips": (drips, None, SILENCE, SCHEDULE),
}
TIMES = {"hangs": 15, "stalls": 15, "drips": 15, "no TLS handshake": 5}


class Elsewhere:
    """The address of an endpoint that no receiver's request can reach."""

    def __init__(self, url):
        self.url = url

    def trusts(self, *_):
        return self


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    server = Server(
        tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0", "--webhooks-trust-roots",
        str(authority.certificate), *ALLOWED).start()
    yield server
    server.close()


@pytest.fixture
def page(server):
    return make_page(server)


@pytest.fixture(scope="module")
def told(server, authority):
    """One event told to an endpoint of each behaviour, all at the same time: {behaviour: (webhook, endpoint)}."""
    page = make_page(server)
    receiver = Receiver()
    stranger = Receiver(Authority(authority.folder, "Strangers").context())
    misnamed = Receiver(authority.context("DNS:other.example,IP:127.0.0.2"))
    expired = Receiver(authority.context(days=-1))
    mute = socket.create_server(("127.0.0.1", 0))
    nobody = socket.create_server(("127.0.0.1", 0))
    nobody_port = nobody.getsockname()[1]
    nobody.close()
    special = {
        "nobody": Elsewhere(f"http://127.0.0.1:{nobody_port}/hook"), "stranger": stranger.endpoint(),
        "misnamed": misnamed.endpoint(), "expired": expired.endpoint(),
        "plain": Elsewhere(receiver.url.replace("http:", "https:") + "/hook"),
        "mute": Elsewhere(f"https://127.0.0.1:{mute.getsockname()[1]}/hook")}
    made = {}
    for name, (behaviour, *_) in BEHAVIOURS.items():
        endpoint = special[behaviour] if isinstance(behaviour, str) else receiver.endpoint(behaviour)
        made[name] = webhook(server, page.slug, endpoint, page.manager), endpoint
    cursor, = tips(server, page, 1)
    yield cursor, made
    # The others would go on to try for hours.
    assert server.delete(f"/api/v1/pages/{page.slug}?confirm={page.slug}").status == 204
    for one in (receiver, stranger, misnamed, expired):
        one.stop()
    mute.close()
    for one in (receiver, stranger, misnamed, expired):
        one.close()


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_each_behaviour_has_its_outcome(told, name):
    _, status, outcome, wait = BEHAVIOURS[name]
    cursor, made = told
    hook, endpoint = made[name]
    data = hook.attempted(cursor, seconds=40)
    attempt = data["log"][0]
    assert (attempt["number"], attempt["status"], attempt["outcome"]) == (1, status, outcome)
    least = TIMES.get(name, 0) * 1000
    assert least - 100 <= attempt["duration_ms"] <= least + 4000, attempt
    assert len(attempt["answer"]) <= 2048
    if data["attempts"] == 1:  # A slow machine may have come to the next one.
        assert (data["status"], data["outcome"], data["reason"]) == (status, outcome, None)
        assert data["state"] == ("pending" if wait else "delivered")
    if name == "410":
        assert data["next_attempt_at"] is None, "nothing is sent while it is disabled"
    elif wait and data["attempts"] == 1:
        ended = attempt["began_at"] + attempt["duration_ms"] / 1000
        assert wait[0] - 1 <= data["next_attempt_at"] - ended <= wait[1] + 2, data
    shown = hook.shown()
    if name == "410":
        assert (shown["state"], shown["disabled_reason"]) == ("disabled", "the endpoint answered 410")
    else:
        assert (shown["state"], shown["disabled_reason"]) == ("enabled", None)
        assert (shown["failing_since"] is not None) == bool(wait), shown
    if isinstance(endpoint, Elsewhere) or endpoint.receiver.context:
        assert not getattr(endpoint, "received", None)
    else:
        assert endpoint.requests(1)[0].check().id == cursor


def test_of_an_endless_answer_little_is_read(told):
    cursor, made = told
    for name in ("200 and a gigabyte", "500 and a gigabyte", "a head without end"):
        hook, endpoint = made[name]
        hook.attempted(cursor)
        # 64 KiB by the sender, and what the two kernels hold for it.
        assert endpoint.bytes_sent < 16 << 20, f"{name}: {endpoint.bytes_sent >> 20} MiB"


def test_a_hundred_endpoints_that_hang_hold_up_none_of_the_other_nine_hundred(make_server, receiver):
    server = make_server("--eventsub-max-creations-per-minute", "100000", *ALLOWED)
    page = make_page(server)
    hanging = [receiver.endpoint(hangs) for _ in range(100)]
    well = [receiver.endpoint() for _ in range(900)]
    for place in range(900):
        webhook(server, page.slug, well[place], page.manager)
        if place % 9 == 0:
            webhook(server, page.slug, hanging[place // 9], page.manager)
    first = time.monotonic()
    for number in range(5):
        began = time.monotonic()
        cursor, = tips(server, page, 1)
        for endpoint in well:
            assert endpoint.next(12).id == cursor
        took = time.monotonic() - began
        # An attempt that hangs takes 15 s. Most of this is the receiver's: nine hundred signatures, each verified twice.
        assert took < 10, f"tip {number + 1}: {took:.1f} s"
    # The first attempt, and on a machine that took so long for all this a retry and another first one.
    most = 1 + 2 * int((time.monotonic() - first) / 15)
    for endpoint in hanging:
        assert 1 <= len(endpoint.requests(1)) <= most
    if most == 1:
        assert server.samples()["tipwire_webhook_attempts_running"] >= 100
    assert server.is_prompt(server.admin, page.slug)


def test_the_first_retry_comes_by_itself_after_five_seconds_with_the_same_id_and_no_later_event_waits_for_it(
    server, page, receiver
):
    """And none comes for what was deleted, was disabled, or lost its key meanwhile."""
    doomed = server.key_object("manage", pages=[page.slug])
    endpoints = [receiver.endpoint(answers(500), answers()) for _ in range(4)]
    endpoint, *others = endpoints
    hook, deleted, disabled = (webhook(server, page.slug, one, page.manager) for one in endpoints[:3])
    webhook(server, page.slug, endpoints[3], doomed["key"])
    cursor, = tips(server, page, 1)
    first, *_ = [one.next() for one in endpoints]
    for one in (hook, deleted, disabled):
        one.attempted(cursor)
    deleted.delete()
    disabled.disable()
    assert server.delete(f"/api/v1/keys/{doomed['id']}").status == 204
    later = tips(server, page, 2)
    assert endpoint.ids(2) == later
    assert time.monotonic() - first.ended < 4.5, "the machine was too slow to tell anything"
    again = endpoint.next(15)
    waited = again.began - first.ended
    assert 4.99 <= waited <= 6 + 2, f"{waited:.2f} s"
    assert (again.id, again.body) == (cursor, first.body)
    stamps = [int(request.headers["webhook-timestamp"]) for request in (first, again)]
    assert 4 <= stamps[1] - stamps[0] <= 9 and again.headers["webhook-signature"] != first.headers["webhook-signature"]
    hook.idle()
    data = hook.delivery(cursor)
    assert (data["state"], data["attempts"], [one["status"] for one in data["log"]]) == ("delivered", 2, [500, 200])
    eventually(lambda: time.monotonic() - first.ended > 7, "the others' retries to be overdue")
    assert not any(one.unread() for one in others), [one.unread() for one in others]


def test_an_endpoint_that_only_fails_is_left_alone_for_five_seconds_and_then_asked_once(server, page, receiver):
    endpoint = receiver.endpoint(answers(500))
    hook = webhook(server, page.slug, endpoint, page.manager)
    before = server.samples()["tipwire_webhook_breakers_open"]
    ids = tips(server, page, 8)
    endpoint.requests(5)
    hook.attempted(ids[4])
    held = Held()
    endpoint.does(held, answers())
    shown = eventually(
        lambda: (data := hook.shown())["paused_until"] and data["pending"] == 8 and data, "the pause", 4)
    assert abs(shown["paused_until"] - (time.time() + 5)) < 3, shown
    assert server.samples()["tipwire_webhook_breakers_open"] == before + 1
    fifth, probe = endpoint.requests(6, 15)[4:6]
    assert 4.9 <= probe.began - fifth.ended <= 8
    tips(server, page, 1)
    server.is_prompt(server.admin, page.slug)
    assert len(endpoint.received) == 6, "one attempt finds out whether it is well"
    held.let_go()
    hook.idle(seconds=30)
    assert hook.shown()["paused_until"] is None
    assert server.samples()["tipwire_webhook_breakers_open"] == before
    assert endpoint.order()[:8] == ids and set(ids) <= endpoint.delivered()


def test_a_webhook_that_was_told_410_is_sent_what_it_missed_when_it_is_enabled_again(server, page, receiver):
    endpoint, witness = receiver.endpoint(answers(410), answers()), receiver.endpoint()
    hook = webhook(server, page.slug, endpoint, page.manager)
    webhook(server, page.slug, witness, page.manager)
    gone, = tips(server, page, 1)
    hook.attempted(gone)
    shown = eventually(lambda: (data := hook.shown())["state"] == "disabled" and data, "the end of the webhook")
    assert shown["disabled_reason"] == "the endpoint answered 410"
    missed = tips(server, page, 3)
    assert witness.ids(4) == [gone] + missed
    assert len(endpoint.received) == 1
    hook.enable()
    hook.retry(gone)
    endpoint.requests(5)
    assert endpoint.order() == [gone] + missed
    hook.idle()
    assert endpoint.delivered() == {gone, *missed}


@pytest.mark.parametrize("headers", [{"connection": "close"}, {}], ids=["said", "unsaid"])
def test_a_receiver_that_ends_each_connection_gets_everything(server, page, receiver, headers):
    endpoint = receiver.endpoint(answers(200, b"bye", then_closes=True, **headers))
    hook = webhook(server, page.slug, endpoint, page.manager)
    start = server.head(page.slug)
    server.batch(page.slug, [{"grossAmountInCents": 1}] * 20)
    tips(server, page, 5)
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    hook.idle(*ids, seconds=30)
    assert endpoint.order() == ids
    if headers:
        assert len(endpoint.received) == 25, "at the first attempt"


def test_what_a_receiver_answers_is_kept_as_text_whatever_it_is(server, page, receiver):
    bodies = [
        b"\x1b[31m\xff\xfe", "\U0001f680".encode() * 1000, b'{"error":"\xc3\xa4"}', b"", b"a\0b", b"x" * 2048 + b"y"]
    endpoint = receiver.endpoint(*(answers(200, body, content_type="x/y; charset=z") for body in bodies))
    hook = webhook(server, page.slug, endpoint, page.manager)
    for cursor, body in zip(tips(server, page, len(bodies)), bodies):
        attempt, = hook.attempted(cursor)["log"]
        # A NUL is replaced as what isn't UTF-8 is.
        expected = body[:2048].decode("utf-8", "ignore").replace("\0", "")
        assert attempt["answer"].replace("\ufffd", "") == expected


def test_what_is_switched_off_and_on_amid_a_stream_of_tips_loses_none(server, page, receiver):
    endpoint = receiver.endpoint()
    hook = webhook(server, page.slug, endpoint, page.manager)
    start = server.head(page.slug)
    for _ in range(12):
        server.batch(page.slug, [{"grossAmountInCents": 1}] * 7)
        hook.disable()
        tips(server, page, 1)
        hook.enable()
    ids = [event["cursor"] for event in server.log(page.slug, start)]
    eventually(lambda: len(endpoint.order()) == len(ids), f"all {len(ids)}", 30)
    hook.idle()
    assert endpoint.order() == ids and hook.states() == [(cursor, "delivered") for cursor in ids]
    assert len(endpoint.received) <= len(ids) + 12, "only what was under way may come again"


def test_what_retention_took_is_given_up_visibly(make_server, receiver):
    server = make_server("--retention-bytes", "20000", "--retention-check-seconds", "1", *ALLOWED)
    page = make_page(server)
    endpoint = receiver.endpoint(answers(429, retry_after="600"), answers())
    hook = webhook(server, page.slug, endpoint)
    first, = tips(server, page, 1)
    hook.attempted(first)
    hook.disable()
    start = server.head(page.slug)
    server.batch(page.slug, [{"grossAmountInCents": 5, "message": "m" * 100}] * 200)
    missed = [event["cursor"] for event in server.log(page.slug, start)]
    kept = settled(lambda: [event["cursor"] for event in server.log(page.slug)], calm=2.5)
    assert first not in kept and 0 < len(kept) < 200 == len(missed)
    # What was sent a moment ago is at hand beside the log, and would be sent again as well.
    server.restart()
    hook.enable()
    hook.retry(first)
    last, = tips(server, page, 1)
    eventually(lambda: hook.shown()["pending"] == 0 and last in endpoint.delivered(), "the end", 20)
    assert endpoint.order() == [first] + kept + [last]
    assert len(endpoint.received) == len(kept) + 2, "the first was not sent again: nobody knows any more what it said"
    data = hook.delivery(first)
    assert (data["state"], data["reason"], data["request"]) == ("dead", "no longer in the log", None)


def test_the_log_tells_of_what_fails_and_recovers_and_of_callbacks_that_settings_no_longer_allow(
        tmp_path, receiver):
    endpoint = receiver.endpoint(answers(500), answers())
    with Server(tmp_path, *ALLOWED).start() as server:
        page = make_page(server)
        hook = webhook(server, page.slug, endpoint)
        cursor, = tips(server, page, 1)
        assert hook.attempted(cursor)["status"] == 500
        assert hook.shown()["last_failure"] == "answered 500"
        hook.test()
        eventually(lambda: hook.shown()["failing_since"] is None, "the success")
        assert hook.shown()["last_failure"] is None
        warnings = [line for line in server.stderr.splitlines() if "webhook" in line and hook.id in line]
        assert any("webhook fails" in line and "answered 500" in line for line in warnings), warnings
        assert any("webhook answers again" in line for line in warnings), warnings
        server.terminate()
    with Server(tmp_path).start() as server:
        warnings = [line for line in server.stderr.splitlines() if "leads where it may not" in line]
        assert len(warnings) == 1 and hook.id in warnings[0] and "webhooks.allowHTTP" in warnings[0], warnings
        refused = server.post("/api/v1/subscriptions", {"page": page.slug, "callback": endpoint.url})
        assert refused.status == 422
        assert "webhooks.allowHTTP" in refused.text and "webhooks.allowedNetworks" in refused.text, refused.text
