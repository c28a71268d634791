"""The Event Hook as others' programs see it: curl, two Python libraries, Node's and Chromium's own EventSource."""

import json
import pathlib

import httpx
import pytest
import requests
import sseclient
from httpx_sse import connect_sse

from support import http as web
from support.commandline import Lines
from support.eventstream import STREAM
from support.overlaypage import Overlay
from support.waiting import eventually

# What a parser might stumble over: a byte order mark, all kinds of line ends, a comment, fields, an emoji.
TEXTS = [
    "\ufeff", "\ufeffBOM", "one\ntwo\n\nthree\n", "\u2028\u2029", ": keepalive", "data: x\nid: 7\nretry: 1",
    "\U0001f600\U0001f469\u200d\U0001f4bb \u20ac \u00e9 e\u0301", "\"\\/ </script>", "\U0010fffd"]


def address(server, key=None, page=None, **parameters):
    return f"{server.url}{STREAM}?" + web.query(token=key, page=page, **parameters)


def told(log):
    """Cursors of what the Event Hook tells of a log."""
    return [event["cursor"] for event in log if event["type"] not in ("tip.replayed", "tip.refunded")]


def tell_a_chain(server, slug):
    """A tip that completes two goals: five messages."""
    for number in range(2):
        server.goal(slug, 100, f"Goal {number}")
    server.tip(slug, grossAmountInCents=200, message="\ufeffa chain \U0001f600")


# curl


def test_curl_prints_each_message_as_it_comes_and_takes_the_end_for_clean(make_server, curl):
    server = make_server()
    slug = server.page()
    url, bearer = address(server, page=slug), f"Authorization: Bearer {server.admin}"
    with Lines([*curl, "--include", "--compressed", "--header", bearer, url]) as listening:
        listening.wait_for_text('data: {"type":"connected"}')
        head = [line.rstrip("\r").lower() for line in listening.lines[:listening.lines.index("\r")]]
        assert head[0] == "http/1.1 200 ok" and "content-type: text/event-stream" in head
        assert not any(line.startswith(("content-encoding", "content-length")) for line in head), head
        for number, text in enumerate(TEXTS):
            server.tip(slug, message=text)
            listening.wait_for(lambda lines: len(lines) == len(head) + 1 + 2 * (number + 2), f"message {number}")
        body = listening.lines[len(head) + 1:]
        assert set(body[1::2]) == {""} and all(line.startswith("data: ") for line in body[::2])
        assert [json.loads(line[6:]).get("message") for line in body[2::2]] == TEXTS
        server.close()
        assert listening.process.wait(10) == 0, "curl tells a body that was cut short from one that ended"


def test_curl_sees_that_a_killed_server_did_not_end_its_stream(make_server, curl):
    server = make_server()
    with Lines([*curl, address(server, server.admin, server.page())]) as listening:
        listening.wait_for_text('data: {"type":"connected"}')
        server.kill()
        assert listening.process.wait(10) in (18, 56)


# Python


def httpx_messages(client, url, position=None):
    """(id, message) of what `httpx-sse` gets, in order. Closing the generator closes the connection."""
    headers = {"Last-Event-ID": position} if position else {}
    with connect_sse(client, "GET", url, headers=headers) as source:
        source.response.raise_for_status()
        for event in source.iter_sse():
            assert event.event == "message" and event.retry is None
            # Once it has seen an id, it also reports the empty line after a comment, as an event without data.
            if event.data:
                yield event.id, json.loads(event.data)


def sseclient_messages(url, position=None):
    """The same with `sseclient-py` on `requests`."""
    headers = {"Last-Event-ID": position} if position else {}
    with requests.get(url, headers=headers, stream=True, timeout=10) as response:
        response.raise_for_status()
        for event in sseclient.SSEClient(response).events():
            assert event.event == "message" and event.retry is None
            yield event.id, json.loads(event.data)


@pytest.fixture(params=["httpx-sse", "sseclient-py"])
def library(request):
    """One of the libraries, as a function from an address and a position to messages."""
    if request.param == "sseclient-py":
        yield sseclient_messages
        return
    with httpx.Client(timeout=10) as client:
        yield lambda url, position=None: httpx_messages(client, url, position)


def test_a_library_gets_every_message_at_once_and_unchanged(make_server, library):
    server = make_server("--sse-keepalive-seconds", "1")
    slug = server.page()
    messages = library(address(server, server.admin, slug))
    assert next(messages)[1] == {"type": "connected"}
    for text in TEXTS:
        tip = server.tip(slug, message=text)["tip"]
        received = next(messages)[1]
        assert (received["tipId"], received["message"]) == (tip["id"], text)
    with server.stream(server.admin, slug) as beside:
        beside.connected()
        beside.keepalive()
        beside.keepalive()
    # Comments have gone by; what the library says next is the tip.
    tip = server.tip(slug)["tip"]["id"]
    assert next(messages)[1]["tipId"] == tip
    server.close()
    assert list(messages) == [], "the end is clean"


def test_a_library_resumes_after_a_restart_and_misses_nothing(make_server, library):
    server = make_server()
    slug = server.page()
    start = server.head(slug)
    url = address(server, server.admin, slug, resume="true")
    messages = library(url)
    assert [next(messages) for _ in range(2)] == [
        (start, {"type": "connected"}), (start, {"type": "resumed", "status": "resumed"})]
    server.tip(slug)
    got = [next(messages)[0]]
    server.kill()
    messages.close()
    server.start()
    tell_a_chain(server, slug)
    messages = library(url, got[-1])
    assert [next(messages)[1]["type"] for _ in range(2)] == ["connected", "resumed"]
    got += [next(messages)[0] for _ in range(7)]
    server.tip(slug)
    got.append(next(messages)[0])
    assert got == told(server.log(slug, start))
    messages.close()


def test_a_library_sees_the_status_of_a_refusal(server, library):
    for url, status in (
        (address(server, "nonsense"), 401), (address(server, server.admin, "no-such-page"), 403),
    ):
        with pytest.raises((httpx.HTTPStatusError, requests.HTTPError)) as refused:
            next(library(url))
        assert refused.value.response.status_code == status


# Node


@pytest.fixture
def node_events(node):
    script = pathlib.Path(__file__).parent / "support/node_events.mjs"
    return [node, "--experimental-eventsource", "--no-warnings", str(script)]


def test_nodes_own_eventsource_comes_back_after_a_restart_and_misses_nothing(make_server, node_events):
    server = make_server("--sse-keepalive-seconds", "1")
    slug = server.page()
    start = server.head(slug)

    def said(client):
        return [json.loads(line) for line in client.lines]

    with Lines([*node_events, address(server, server.admin, slug, resume="true")]) as client:
        client.wait_for(lambda lines: len(lines) >= 3, "open, connected and resumed")
        assert said(client) == [
            {"open": True}, {"message": '{"type":"connected"}', "id": start},
            {"message": '{"type":"resumed","status":"resumed"}', "id": start}]
        for number, text in enumerate(TEXTS):
            server.tip(slug, message=text)
            client.wait_for(lambda lines: len(lines) == 4 + number, f"message {number}")
        assert [json.loads(one["message"])["message"] for one in said(client)[3:]] == TEXTS
        server.restart()
        tell_a_chain(server, slug)
        client.wait_for_text("tip:overflow-chain", 20)
        server.tip(slug, message="the end")
        client.wait_for_text("the end")
        told_ids = [one["id"] for one in said(client) if "message" in one and '"type":"tip:' in one["message"]]
        assert told_ids == told(server.log(slug, start))
        assert [one for one in said(client) if one.get("open")] == [{"open": True}] * 2


# Chromium


def test_chromiums_eventsource_gets_every_text_unchanged_and_no_comment(make_server, chromium, origin):
    server = make_server("--sse-keepalive-seconds", "1")
    slug = server.page()
    with Overlay(chromium, origin.name()) as overlay:
        overlay.listen(address(server, server.admin, slug))
        assert overlay.messages(1) == [("", {"type": "connected"})]
        for number, text in enumerate(TEXTS):
            tip = server.tip(slug, message=text, displayName=f"N{number}")["tip"]["id"]
            last = overlay.messages(number + 2)[-1][1]
            assert (last["tipId"], last["message"]) == (tip, text)
        with server.stream(server.admin, slug) as beside:
            beside.connected()
            beside.keepalive()
            beside.keepalive()
        tell_a_chain(server, slug)
        types = [message["type"] for _, message in overlay.messages(len(TEXTS) + 8)[-7:]]
        assert types == [
            "tip:queue-updated", "tip:queue-updated", "tip:received", "tip:goal-completed", "tip:goal-completed",
            "tip:overflow-chain", "tip:queue-updated"]
        assert len(overlay.told) == 1 + 1 + len(TEXTS) + 7, "one `open`, no `error`, and no message of a comment"


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_chromiums_eventsource_comes_back_by_itself_and_misses_nothing(make_server, chromium, origin, end):
    server = make_server()
    slug = server.page()
    start = server.head(slug)
    with Overlay(chromium, origin.name()) as overlay:
        overlay.listen(address(server, server.admin, slug, resume="true"))
        assert overlay.messages(2) == [
            (start, {"type": "connected"}), (start, {"type": "resumed", "status": "resumed"})]
        server.tip(slug)
        seen = overlay.messages(3)[-1][0]
        getattr(server, end)()
        overlay.wait_for("told.some((one) => one.error === EventSource.CONNECTING)", "an error, and a new attempt")
        server.start()
        tell_a_chain(server, slug)
        # `connected` and `resumed` once more, and the seven of the chain and its goals.
        overlay.messages(3 + 2 + 7, seconds=30)
        server.tip(slug)
        got = overlay.messages(3 + 2 + 7 + 1)
        assert got[3:5] == [(seen, {"type": "connected"}), (seen, {"type": "resumed", "status": "resumed"})]
        ids = [position for position, message in got if message["type"].startswith("tip:")]
        assert ids == told(server.log(slug, start))


def test_chromium_shows_a_stream_only_to_pages_of_allowed_origins(make_server, chromium, origin):
    server = make_server("--cors-allowed-origins", origin.name())
    slug = server.page()
    url = address(server, server.admin, slug)
    with Overlay(chromium, origin.name()) as allowed, Overlay(chromium, origin.name("localhost")) as foreign:
        allowed.listen(url)
        allowed.messages(1)
        foreign.listen(url)
        foreign.wait_for("told.some((one) => one.error === EventSource.CLOSED)", "a final error")
        tip = server.tip(slug)["tip"]["id"]
        assert allowed.messages(2)[-1][1]["tipId"] == tip
        assert foreign.told == [{"error": 2}]


def test_chromium_may_send_the_key_and_the_position_in_headers_and_read_a_refusal(make_server, chromium, origin):
    server = make_server("--cors-allowed-origins", origin.name())
    slug = server.page()
    seen = server.tip(slug)["cursor"]
    missed = server.tip(slug)["cursor"]
    with Overlay(chromium, origin.name()) as overlay:
        headers = {"Authorization": f"Bearer {server.admin}", "Last-Event-ID": seen}
        blocks = overlay.page.evaluate(
            "([url, headers]) => fetchMessages(url, headers, 3)", [address(server, page=slug), headers])
        assert [block.split("\n")[0] for block in blocks] == [f"id: {seen}", f"id: {seen}", f"id: {missed}"]
        refused = overlay.page.evaluate(
            "async (url) => { const r = await fetch(url); return [r.status, await r.json()] }", address(server, "bad"))
        assert refused[0] == 401 and list(refused[1]) == ["error"]
        # And its EventSource gives up on such an answer for good, as the standard says.
        overlay.listen(address(server, "bad"))
        overlay.wait_for("told.length", "an error")
        assert overlay.told == [{"error": 2}]
        eventually(lambda: not server.samples().get('tipwire_connections{kind="sse"}'), "the fetched stream to be gone")
