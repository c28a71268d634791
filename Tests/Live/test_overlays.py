"""Overlays as OBS shows them: the real documents, in a real browser, against the real server."""

import contextlib
import json
import re

import pytest
from websockets.sync.client import connect

from support.browser import Overlay, Window, hostile_tip, overlay_key, receipts
from support.server import fresh
from support.waiting import eventually


@pytest.fixture
def window(chromium, server):
    with Window(chromium, server, viewport={"width": 800, "height": 600}) as window:
        yield window


def shown(server, slug, tip, screen="obs"):
    """Waits until a screen has said that it showed a tip."""
    return eventually(
        lambda: receipts(server, slug, tip).get(screen, {}).get("shownAt"), f"{tip} is shown on {screen}", seconds=20)


@contextlib.contextmanager
def socket(server, key, **query):
    """An overlay's socket without its document; gives what it says, parsed."""
    address = f"ws://127.0.0.1:{server.port}/overlay/socket?key={key}"
    with connect(address + "".join(f"&{name}={value}" for name, value in query.items())) as socket:
        yield lambda: json.loads(socket.recv(timeout=10)), socket


def test_a_tip_is_shown_and_the_server_is_told(server, window):
    slug = server.page(fresh("alerts"))
    overlay = Overlay(window, slug, duration=2)
    server.tip(slug, displayName="Grace", message="Hello there", grossAmountInCents=1234, id="one")
    overlay.shows("Grace")
    overlay.shows("12.34")
    overlay.shows("Hello there")
    assert shown(server, slug, "one") >= receipts(server, slug, "one")["obs"]["receivedAt"]
    overlay.page.wait_for_function("() => !document.body.innerText.includes('Grace')")


def test_a_document_is_transparent_and_asks_for_nothing_foreign(server, window):
    slug = server.page(fresh("plain"))
    requests = []
    window.context.on("request", lambda request: requests.append(request.url))
    for kind in ("alerts", "goal", "recent"):
        overlay = Overlay(window, slug, kind)
        color = overlay.page.evaluate(
            "[document.documentElement, document.body].map(e => getComputedStyle(e).backgroundColor)")
        assert color == ["rgba(0, 0, 0, 0)"] * 2, kind
    assert requests and all(url.startswith(server.url) for url in requests)


def test_what_a_tipper_writes_is_text(server, window):
    slug = server.page(fresh("hostile"))
    boxes = [Overlay(window, slug, kind, duration=3) for kind in ("alerts", "recent")]
    server.goal(slug, 99_999, "<script>alert(3)</script>")
    goal = Overlay(window, slug, "goal")
    server.tip(slug, **hostile_tip(id="bad"))
    for overlay in boxes:
        overlay.shows("<script>alert(1)</script>")
        assert overlay.page.evaluate("document.querySelectorAll('body script, body img[src=x]').length") == 0
    goal.shows("<script>alert(3)</script>")
    for overlay in boxes + [goal]:
        assert overlay.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"), overlay.kind


def test_an_alert_that_was_missed_is_shown_when_the_source_comes_back(server, window):
    """As OBS does it with 'shutdown source when not visible': the document is gone, and loaded again later."""
    slug = server.page(fresh("hidden"))
    overlay = Overlay(window, slug, duration=1)
    server.tip(slug, displayName="Before", id="before")
    overlay.shows("Before")
    shown(server, slug, "before")
    url = overlay.page.url
    overlay.page.goto("about:blank")
    eventually(
        lambda: not any(each["isConnected"] for each in server.get(f"/api/v1/pages/{slug}/screens").json["data"]),
        "the screen has gone")
    server.tip(slug, displayName="While hidden", id="missed")
    overlay.page.goto(url)
    overlay.shows("While hidden")
    shown(server, slug, "missed")


def test_overlays_outlive_the_server(make_server, chromium):
    server = make_server()
    with Window(chromium, server) as window:
        slug = server.page("life")
        server.goal(slug, 1000, "Microphone")
        alerts = Overlay(window, slug, duration=1)
        goal = Overlay(window, slug, "goal", key=alerts.key)
        recent = Overlay(window, slug, "recent", key=alerts.key)
        goal.shows("Microphone")
        server.kill()
        server.start()
        server.tip(slug, displayName="After", grossAmountInCents=250, id="after")
        for overlay in (alerts, recent):
            overlay.shows("After", timeout=30_000)
        goal.shows("$2.50", timeout=30_000)
        shown(server, slug, "after")


def test_a_goal_bar_follows_a_chain(server, window):
    slug = server.page(fresh("chain"))
    for name in ("First", "Second", "Third"):
        server.goal(slug, 1000, name)
    goal = Overlay(window, slug, "goal")
    goal.shows("First")
    server.tip(slug, grossAmountInCents=2500)
    goal.shows("Third", timeout=30_000)
    goal.shows("$5 of $10")


def test_of_several_copies_one_shows_an_alert(server, window):
    slug = server.page(fresh("once"))
    key = overlay_key(server, slug)
    copies = [Overlay(window, slug, screen=name, key=key, display="once", duration=2) for name in ("a", "b", "c")]
    for number in range(3):
        server.tip(slug, displayName=f"Tipper {number}", id=f"t{number}")
    for number in range(3):
        eventually(
            lambda: any(each["shownAt"] for each in receipts(server, slug, f"t{number}").values()),
            f"t{number} is shown", seconds=30)
        got = receipts(server, slug, f"t{number}")
        assert set(got) == {"a", "b", "c"}
        assert sum(each["shownAt"] is not None for each in got.values()) == 1, got
    assert all(copy.page.is_visible("body") for copy in copies)


def test_another_copy_takes_over_when_one_dies(server, window):
    slug = server.page(fresh("heir"))
    key = overlay_key(server, slug)
    with socket(server, key, screen="dying", display="once") as (hear, dying):
        assert hear()["type"] == "overlay.state"
        heir = Overlay(window, slug, screen="heir", key=key, display="once", duration=1)
        # Claimed before the other may ask: a tip of the past that the heir comes back for.
        server.tip(slug, displayName="Inherited", id="left")
        cursor = next(message for message in iter(hear, None) if message["type"] == "tip.received")["cursor"]
        dying.send(json.dumps({"type": "claim", "cursor": cursor}))
        state = hear()["state"]
    heir.shows("Inherited", timeout=30_000)
    assert state in ("granted", "held")
    shown(server, slug, "left", "heir")


def test_pause_mute_and_a_test_alert(server, window):
    slug = server.page(fresh("switches"))
    overlay = Overlay(window, slug, duration=1)
    answer = server.call("PATCH", f"/api/v1/pages/{slug}/alerts", {"paused": True})
    assert answer.status == 200 and answer.json == {"paused": True, "muted": False}
    server.tip(slug, displayName="Waiting", id="waits")
    eventually(lambda: "obs" in receipts(server, slug, "waits"), "it was received")
    head = server.head(slug)
    assert "Waiting" not in overlay.text and receipts(server, slug, "waits")["obs"]["shownAt"] is None
    server.call("PATCH", f"/api/v1/pages/{slug}/alerts", {"paused": False})
    overlay.shows("Waiting")
    shown(server, slug, "waits")
    answer = server.post(f"/api/v1/pages/{slug}/test-alert", {"displayName": "Only a test"})
    assert answer.status == 202 and answer.json == {"screens": 1}
    overlay.shows("Only a test")
    assert server.head(slug) == head


def test_a_replay_to_who_missed_it_alone(server, window):
    slug = server.page(fresh("missed"))
    key = overlay_key(server, slug)
    first = Overlay(window, slug, screen="first", key=key, duration=1)
    server.tip(slug, displayName="Replayed", id="r")
    shown(server, slug, "r", "first")
    second = Overlay(window, slug, screen="second", key=key, duration=1)
    first.page.wait_for_function("() => !document.body.innerText.includes('Replayed')")
    answer = server.post(f"/api/v1/pages/{slug}/tips/r/replay?missed=true")
    assert answer.status == 202 and answer.json == {"screens": 1}
    second.shows("Replayed")
    shown(server, slug, "r", "second")
    assert "Replayed" not in first.text
    assert server.post(f"/api/v1/pages/{slug}/tips/r/replay?missed=true").json == {"screens": 0}


def test_a_revoked_key_ends_it_and_says_so_outside_obs(server, window):
    slug = server.page(fresh("revoked"))
    made = server.key_object("overlay", pages=[slug])
    overlay = Overlay(window, slug, key=made["key"])
    assert server.delete(f"/api/v1/keys/{made['id']}").status == 204
    overlay.page.wait_for_selector("#trouble:not([hidden])", timeout=30_000)


def test_words_that_are_masked_and_amounts_that_are_too_small(server, window):
    slug = server.page(fresh("rules"))
    overlay = Overlay(window, slug, duration=1, min=500, mask="darn")
    server.tip(slug, displayName="Small", grossAmountInCents=499, id="small")
    server.tip(slug, displayName="Large", grossAmountInCents=500, message="Oh DARN it", id="large")
    overlay.shows("***")
    assert "DARN" not in overlay.text
    shown(server, slug, "large")
    assert receipts(server, slug, "small")["obs"]["shownAt"] is None


def test_an_idle_overlay_does_nothing(server, window):
    slug = server.page(fresh("idle"))
    overlay = Overlay(window, slug)
    session = window.context.new_cdp_session(overlay.page)
    session.send("Performance.enable")

    def work():
        values = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        return values["TaskDuration"], values["LayoutCount"]

    overlay.page.wait_for_timeout(1_500)
    before = work()
    overlay.page.wait_for_timeout(4_000)
    after = work()
    # Looking itself costs some of it; one percent of a processor is what nobody notices.
    assert after[0] - before[0] < 0.04 and after[1] == before[1], (before, after)


def test_hidden_documents_keep_up(server, window):
    """Another tab in front: timers are slow then, and nothing may depend on them."""
    slug = server.page(fresh("behind"))
    overlay = Overlay(window, slug, duration=1)
    session = window.context.new_cdp_session(overlay.page)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    server.tip(slug, displayName="Frozen", id="frozen")
    session.send("Page.setWebLifecycleState", {"state": "active"})
    shown(server, slug, "frozen")


def test_after_an_update_of_the_server_it_loads_itself_again(server, window):
    slug = server.page(fresh("update"))
    server.goal(slug, 1000, "Another build")
    overlay = Overlay(window, slug, "goal")
    sockets = []

    def pass_on(route):
        sockets.append(route)
        behind = route.connect_to_server()
        # The server that is back after an update says another build.
        behind.on_message(lambda text: route.send(re.sub(r'"build":"\w+"', '"build":"another"', text)))

    overlay.page.route_web_socket(re.compile("/overlay/socket"), pass_on)
    # A route takes sockets of documents that are loaded later; this one takes the build of its first state for its own.
    overlay.page.reload()
    overlay.shows("Another build")
    loads = []
    overlay.page.on("load", lambda _: loads.append(1))

    def pass_on_updated(route):
        behind = route.connect_to_server()
        behind.on_message(lambda text: route.send(re.sub(r'"build":"\w+"', '"build":"newer"', text)))

    overlay.page.route_web_socket(re.compile("/overlay/socket"), pass_on_updated)
    sockets[-1].close()
    eventually(lambda: pumped(overlay.page, loads), "it has loaded itself again", seconds=20)


def test_a_silent_server_is_given_up(server, window):
    """A connection that is open and says nothing: no error, no close, and nobody there."""
    slug = server.page(fresh("silent"))
    key = overlay_key(server, slug)
    page = window.context.new_page()
    page.clock.install()
    sockets = []

    def pass_on(route):
        behind = route.connect_to_server()
        is_first = not sockets
        sockets.append(route)
        behind.on_message(lambda text: None if is_first and text == "pong" else route.send(text))

    page.route_web_socket(re.compile("/overlay/socket"), pass_on)
    server.goal(slug, 1000, "Patience")
    page.goto(f"{server.url}/overlay/goal?key={key}&screen=obs")
    # The state is there: from here on it is the clock that counts.
    page.wait_for_function("() => document.body.innerText.includes('Patience')")
    page.clock.run_for(30_000)
    assert len(sockets) == 1, "it is patient for a while"
    page.clock.run_for(20_000)
    eventually(lambda: pumped(page, sockets[1:]), "it has come back")


def pumped(page, found):
    """What was found, after the browser has had its turn: its events come only while it is waited for."""
    page.wait_for_timeout(20)
    return found
