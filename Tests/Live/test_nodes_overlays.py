"""A page's overlays on three nodes are one wall."""

import contextlib
import json
import types

import pytest

from support import http as web
from support.browser import Overlay, Window, overlay_key, receipts
from support.feed import Feed
from support.http import problem
from support.nodes import SOON, make_cast
from support.waiting import eventually


class Box(Feed):
    """An alert box's socket, without its document."""

    def __init__(self, node, key, screen):
        super().__init__(node.port, web.query(key=key, kind="alerts", screen=screen, display="once"), path="/overlay/socket")
        state = self.json()
        assert state["type"] == "overlay.state", state

    def say(self, kind, cursor, **more):
        self.send(json.dumps({"type": kind, "cursor": cursor} | more))

    def claim(self, cursor):
        """The answer to a claim."""
        self.say("claim", cursor)
        answer = self.json(SOON)
        assert (answer["type"], answer["cursor"]) == ("overlay.lease", cursor), answer
        return answer["state"]

    def shows(self, tip, cursor):
        self.say("received", cursor, tip=tip)
        self.say("shown", cursor, tip=tip)


@pytest.fixture
def wall(nodes):
    """A page that all nodes know, with a key for its overlays."""
    cast = make_cast(nodes)
    key = overlay_key(nodes[0], cast.slug, account=cast.owner)
    for node in nodes:
        # Once it knows the key, it finds fault with the rest.
        eventually(
            lambda: node.handshake(web.query(key=key, kind="none"), path="/overlay/socket").status == 400, "the key", SOON)
    return types.SimpleNamespace(slug=cast.slug, key=key, path=f"/api/v1/pages/{cast.slug}")


@pytest.fixture
def boxes(nodes, wall):
    """Copies of an alert box, connected to two nodes, of which the third knows."""
    _, b, c = nodes
    with Box(b, wall.key, "one") as one, Box(c, wall.key, "two") as two:
        for node in nodes:
            eventually(lambda: screens(node, wall) == {"one": True, "two": True}, f"{node} to know both screens", SOON)
        yield one, two


def screens(node, wall):
    """The page's screens as a node lists them, and whether they are connected."""
    return {one["screen"]: one["isConnected"] for one in node.get(f"{wall.path}/screens").json["data"]}


def tip(node, wall, boxes, **tip):
    """The cursor of a new tip, which all boxes have got."""
    cursor = node.tip(wall.slug, **tip)["cursor"]
    assert [box.json(SOON)["cursor"] for box in boxes] == [cursor] * len(boxes)
    return cursor


def test_what_comes_to_any_node_is_shown_on_all(nodes, wall, boxes):
    for node in nodes:
        tip(node, wall, boxes)


def test_a_pause_of_alerts_is_told_to_the_overlays_of_all_nodes(nodes, wall, boxes):
    for node, paused in zip(nodes, (True, False, True)):
        assert node.call("PATCH", f"{wall.path}/alerts", {"paused": paused}).status == 200
        for box in boxes:
            told = box.json(SOON)
            assert (told["type"], told["paused"], told["muted"]) == ("overlay.alerts", paused, False)
        for other in nodes:
            eventually(
                lambda: other.get(f"{wall.path}/alerts").json == {"paused": paused, "muted": False}, f"{other} to know", SOON)


def test_of_copies_on_two_nodes_one_may_show_an_alert(nodes, wall, boxes):
    for round, (first, second) in enumerate([boxes, boxes[::-1]]):
        cursor = tip(nodes[0], wall, boxes, id=f"t{round}")
        assert first.claim(cursor) == "granted"
        assert second.claim(cursor) == "held"
        assert first.claim(cursor) == "granted"
        first.shows(f"t{round}", cursor)
        eventually(lambda: second.claim(cursor) == "shown", "the other node to know", SOON)
        assert first.claim(cursor) == "granted", "whoever shows it goes on"


def test_when_a_copy_goes_one_on_another_node_shows_its_alert(nodes, wall, boxes):
    one, two = boxes
    cursor = tip(nodes[0], wall, boxes)
    assert one.claim(cursor) == "granted" and two.claim(cursor) == "held"
    one.close()
    eventually(lambda: two.claim(cursor) == "granted", "the alert to be free", SOON)


def test_when_a_node_dies_a_copy_on_another_shows_its_alerts(nodes, wall, boxes):
    one, two = boxes
    _, b, c = nodes
    cursor = tip(nodes[0], wall, boxes)
    assert one.claim(cursor) == "granted"
    b.kill()
    # Until its time is over: the node could be cut off, and its copy at it.
    eventually(lambda: two.claim(cursor) == "granted", "the alert to be free", 12, every=0.5)
    # A node that sends no beat is there for ten seconds more.
    eventually(lambda: screens(c, wall) == {"one": False, "two": True}, "its screen to be gone", 15, every=0.2)


def test_test_alerts_come_to_the_overlays_of_all_nodes(nodes, wall, boxes):
    for number, node in enumerate(nodes):
        answer = node.post(f"{wall.path}/test-alert", {"displayName": f"Test {number}"})
        assert answer.status == 202 and answer.json == {"screens": 2}, answer
        for box in boxes:
            told = box.json(SOON)
            assert (told["type"], told["tip"]["displayName"]) == ("overlay.test", f"Test {number}")
    for box in boxes:
        box.says_nothing_but_pong()


def test_an_alert_that_was_missed_is_shown_again_on_whichever_node_it_was(nodes, wall, boxes):
    one, two = boxes
    cursor = tip(nodes[0], wall, boxes, id="missed")
    assert one.claim(cursor) == "granted"
    one.shows("missed", cursor)
    for node in nodes:
        eventually(
            lambda: receipts(node, wall.slug, "missed").get("one", {}).get("shownAt"), f"{node} to know the receipt", SOON)
    eventually(lambda: two.claim(cursor) == "shown", "the other node to know", SOON)
    answer = nodes[0].post(f"{wall.path}/tips/missed/replay?missed=true")
    assert answer.status == 202 and answer.json == {"screens": 1}, answer
    told = two.json(SOON)
    assert (told["type"], told["cursor"]) == ("overlay.again", cursor)
    assert two.claim(cursor) == "granted"
    one.says_nothing_but_pong()


def test_a_screen_is_connected_or_not_whichever_node_is_asked(nodes, wall, boxes):
    one, _ = boxes
    for node in nodes:
        problem(node.delete(f"{wall.path}/screens/one"), 409)
    one.close()
    for node in nodes:
        eventually(lambda: screens(node, wall) == {"one": False, "two": True}, f"{node} to know that it has gone", SOON)
    assert nodes[2].delete(f"{wall.path}/screens/one").status == 204
    for node in nodes:
        assert screens(node, wall) == {"two": True}


def test_a_node_that_was_taken_for_dead_tells_its_screens_again(nodes, wall, boxes):
    _, b, c = nodes
    for link in b.links:
        link.cut()
    eventually(lambda: screens(c, wall) == {"one": False, "two": True}, "it is taken for dead", 20, every=0.2)
    for link in b.links:
        link.heal()
    eventually(lambda: screens(c, wall) == {"one": True, "two": True}, "its screens are back", 10, every=0.1)
    cursor = tip(c, wall, boxes)
    assert boxes[0].claim(cursor) == "granted" and boxes[1].claim(cursor) == "held"


def test_while_the_database_is_away_nobody_is_told_that_an_alert_is_anothers(nodes, wall, boxes):
    one, _ = boxes
    b = nodes[1]
    cursor = tip(nodes[0], wall, boxes)
    for link in b.links:
        link.cut()
    one.say("claim", cursor)
    # No answer, so that the box asks again for as long as it takes.
    one.says_nothing_but_pong()
    for link in b.links:
        link.heal()

    def granted():
        one.say("claim", cursor)
        with contextlib.suppress(AssertionError):
            return one.json(0.5)["state"] == "granted"
    eventually(granted, "the alert is had", 10)


def test_of_documents_on_all_nodes_one_shows_each_alert(nodes, wall, chromium):
    with contextlib.ExitStack() as stack:
        windows = [stack.enter_context(Window(chromium, node)) for node in nodes]
        for window, screen in zip(windows, "xyz"):
            Overlay(window, wall.slug, screen=screen, key=wall.key, display="once", duration=1)
        for number, node in enumerate(nodes):
            node.tip(wall.slug, displayName=f"Tipper {number}", id=f"t{number}")
        for number in range(3):
            eventually(
                lambda: any(one["shownAt"] for one in receipts(nodes[0], wall.slug, f"t{number}").values()),
                f"t{number} is shown", seconds=30)
        # The last has been on the screen for its whole time, and whoever held back would have begun.
        windows[0].context.pages[0].wait_for_timeout(2_500)
        for number in range(3):
            got = receipts(nodes[0], wall.slug, f"t{number}")
            assert set(got) == set("xyz") and sum(one["shownAt"] is not None for one in got.values()) == 1, got
