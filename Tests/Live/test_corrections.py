"""Refunds and adjustments: money taken back or moved by hand, once, however often it is asked for."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.goalcalls import Since, adjust, edit, order, path, state, types
from support.goals import followed
from support.http import TIME, problem


@pytest.fixture
def slug(server):
    return server.page()


@pytest.fixture
def goals(server, slug):
    """Three goals of 1,000, 2,000 and 500; their ids."""
    return [
        server.goal(slug, amount, name)["id"] for name, amount in (("Mic", 1_000), ("Lights", 2_000), ("Desk", 500))]


# Refunds


def refund(server, slug, tip, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    return server.post(f"/api/v1/pages/{slug}/tips/{tip}/refund", headers=headers)


def test_a_refund_takes_out_of_open_goals_what_the_tip_put_in_and_leaves_completed_ones(server, slug, goals):
    server.tip(slug, grossAmountInCents=900)
    tip = server.tip(slug, grossAmountInCents=350)["tip"]
    assert state(server, slug)[:2] == [(goals[0], 1_000, "completed"), (goals[1], 250, "active")]
    answer = server.refund(slug, tip["id"])
    assert list(answer) == ["tip", "events", "cursor"] and types(answer) == ["tip.refunded", "goal.queue"]
    assert answer["cursor"] == answer["events"][-1]["cursor"]
    assert answer["tip"] == tip | {"refundedAt": answer["events"][0]["time"]}
    assert TIME.fullmatch(answer["tip"]["refundedAt"])
    assert answer["events"][0]["data"] == answer["tip"]
    assert answer["events"][1]["data"]["change"] == {
        "kind": "refunded", "tipId": tip["id"], "taken": [{"goalId": goals[1], "amountInCents": 250}]}
    assert state(server, slug)[:2] == [(goals[0], 1_000, "completed"), (goals[1], 0, "active")]
    # Everywhere that the tip is shown.
    assert server.get(f"/api/v1/pages/{slug}/tips/{tip['id']}").json["refundedAt"] == answer["tip"]["refundedAt"]
    listed = server.get(f"/api/v1/pages/{slug}/tips").json["data"]
    assert [one["refundedAt"] for one in listed] == [answer["tip"]["refundedAt"], None]


def test_a_refund_that_changes_no_goal_tells_of_none(server, slug):
    before = server.tip(slug)["tip"]["id"]
    goal = server.goal(slug, 500)["id"]
    exact = server.tip(slug)["tip"]["id"]
    assert state(server, slug) == [(goal, 500, "completed")]
    assert types(server.refund(slug, before)) == ["tip.refunded"], "it gave nothing to any goal"
    assert types(server.refund(slug, exact)) == ["tip.refunded"], "a completed goal stays"
    gone = server.goal(slug, 1_000)["id"]
    given = server.tip(slug)["tip"]["id"]
    server.delete(path(slug, gone))
    assert types(server.refund(slug, given)) == ["tip.refunded"], "its goal is gone"


def test_a_refund_never_takes_a_goal_below_nothing(server, slug, goals):
    tip = server.tip(slug, grossAmountInCents=300)["tip"]["id"]
    adjust(server, slug, goals[0], -200)
    answer = server.refund(slug, tip)
    assert answer["events"][1]["data"]["change"]["taken"] == [{"goalId": goals[0], "amountInCents": 100}]
    assert state(server, slug)[0] == (goals[0], 0, "active")
    other = server.tip(slug, grossAmountInCents=50)["tip"]["id"]
    adjust(server, slug, goals[0], -50)
    assert types(server.refund(slug, other)) == ["tip.refunded"], "nothing is left to take"


def test_a_repeated_refund_is_answered_as_the_first_and_takes_nothing_more(server, slug, goals):
    tip = server.tip(slug, grossAmountInCents=300)["tip"]["id"]
    server.tip(slug, grossAmountInCents=300)
    first = refund(server, slug, tip, "key-1")
    since = Since(server, slug)
    server.goal(slug, 5)
    for key in (None, "key-1", "key-2", None):
        again = refund(server, slug, tip, key)
        assert again.status == 200 and again.json["tip"] == first.json["tip"]
        assert again.json["cursor"] == first.json["cursor"]
    assert len(since.events()) == 1 and state(server, slug)[0] == (goals[0], 300, "active")
    followed(server.log(slug))


def test_a_refunded_tip_is_not_shown_again_and_its_id_stays_taken(server, slug, goals):
    body = {"id": "the-tip", "grossAmountInCents": 300}
    first = server.post(f"/api/v1/pages/{slug}/tips", body).json
    server.refund(slug, "the-tip")
    problem(server.post(f"/api/v1/pages/{slug}/tips/the-tip/replay"), 409)
    again = server.post(f"/api/v1/pages/{slug}/tips", body)
    assert again.status == 200 and again.json["tip"] == first["tip"], "the first answer"
    assert state(server, slug)[0] == (goals[0], 0, "active")


def test_a_refund_of_no_tip_is_404_and_a_key_stands_for_one_thing(server, slug, goals):
    one, two = (server.tip(slug)["tip"]["id"] for _ in range(2))
    assert refund(server, slug, "nope").status == 404
    assert refund(server, server.page(), one).status == 404
    problem(refund(server, slug, one, "not a key!"), 422, "Idempotency-Key")
    assert refund(server, slug, one, "K").status == 200
    problem(refund(server, slug, two, "K"), 409, "Idempotency-Key")

    def tip_with(key):
        body = {"grossAmountInCents": 5}
        return server.post(f"/api/v1/pages/{slug}/tips", body, headers={"Idempotency-Key": key})

    problem(tip_with("K"), 409, "Idempotency-Key")
    adjust(server, slug, goals[1], 1, key="K", status=409)
    assert tip_with("T").status == 201
    problem(refund(server, slug, two, "T"), 409, "Idempotency-Key")
    # Another page has keys of its own.
    other = server.page()
    tip = server.tip(other)["tip"]["id"]
    assert refund(server, other, tip, "K").status == 200


def test_a_refund_is_nothing_to_the_pally_feed(server, slug, goals):
    with server.feed(server.admin, "activity-feed", slug) as feed:
        tip = server.tip(slug)["tip"]["id"]
        assert feed.tip_id() == tip
        server.refund(slug, tip)
        adjust(server, slug, goals[0], 7)
        assert server.tip(slug)["tip"]["id"] == feed.tip_id()


# Adjustments


def test_an_adjustment_moves_the_progress_up_and_down_and_says_why(server, slug, goals):
    for amount, progress in ((300, 300), (-100, 200), (-200, 0)):
        since = Since(server, slug)
        answer = adjust(server, slug, goals[1], amount, reason="cash \u20ac at the door")
        assert list(answer) == ["goal", "events", "cursor"] and types(answer) == ["goal.queue"]
        assert answer["goal"] == server.goals(slug)[1] and answer["goal"]["progressInCents"] == progress
        assert since.change() == {
            "kind": "adjusted", "goalId": goals[1], "amountInCents": amount, "reason": "cash \u20ac at the door"}


def test_an_adjustment_out_of_range_is_refused_and_changes_nothing(server, slug, goals):
    adjust(server, slug, goals[0], 400)
    since = Since(server, slug)
    for amount in (601, -401, 10_000_000_000, -10_000_000_000, 0, 10_000_000_001, 1.5, "1", None):
        body = {"amountInCents": amount, "reason": "r"}
        problem(server.post(path(slug, goals[0], "adjust"), body), 422, "amountInCents")
    for reason in (None, "", " ", "x" * 201, "a\nb", 7):
        body = {"amountInCents": 1, "reason": reason}
        problem(server.post(path(slug, goals[0], "adjust"), body), 422, "reason")
    assert server.post(path(slug, "nope", "adjust"), {"amountInCents": 1, "reason": "r"}).status == 404
    assert since.events() == [] and state(server, slug)[0] == (goals[0], 400, "active")


def test_an_adjustment_that_reaches_the_target_completes_without_a_completion(server, slug, goals):
    answer = adjust(server, slug, goals[0], 1_000)
    assert types(answer) == ["goal.queue"] and answer["goal"]["state"] == "completed"
    assert answer["events"][0]["data"]["activeGoal"]["id"] == goals[1]
    for amount in (1, -1):
        body = {"amountInCents": amount, "reason": "r"}
        problem(server.post(path(slug, goals[0], "adjust"), body), 422, "amountInCents")


def test_an_adjustment_with_a_key_happens_once_and_is_answered_as_the_first_time(server, slug, goals):
    first = adjust(server, slug, goals[0], 100, key="A")
    adjust(server, slug, goals[0], 50)
    since = Since(server, slug)
    again = adjust(server, slug, goals[0], 100, key="A")
    assert (again["goal"], again["cursor"]) == (first["goal"], first["cursor"]), "as it stood then"
    same = "a correction"
    for goal, amount, reason in ((goals[0], 101, same), (goals[1], 100, same), (goals[0], 100, "other")):
        body = {"amountInCents": amount, "reason": reason}
        answer = server.post(path(slug, goal, "adjust"), body, headers={"Idempotency-Key": "A"})
        problem(answer, 409, "Idempotency-Key")
    assert since.events() == [] and state(server, slug)[0][1] == 150
    # Even when the goal is completed or gone since.
    adjust(server, slug, goals[0], 850)
    assert adjust(server, slug, goals[0], 100, key="A")["goal"] == first["goal"]
    server.delete(path(slug, goals[0]))
    assert adjust(server, slug, goals[0], 100, key="A")["goal"] == first["goal"]
    # Without a key each counts; a refused one uses no key up.
    adjust(server, slug, goals[1], 5_000, key="B", status=422)
    for _ in range(2):
        adjust(server, slug, goals[1], 10)
    adjust(server, slug, goals[1], 20, key="B")
    assert state(server, slug)[0] == (goals[1], 40, "active")


def test_the_same_correction_sent_by_many_at_once_happens_once(server, slug, goals):
    tip = server.tip(slug, grossAmountInCents=100)["tip"]["id"]
    since = Since(server, slug)
    with ThreadPoolExecutor(16) as people:
        refunds = list(people.map(lambda number: refund(server, slug, tip, f"R{number % 3}").json, range(16)))
        adjustments = list(people.map(lambda _: adjust(server, slug, goals[1], 7, key="A"), range(16)))
    for answers in (refunds, adjustments):
        assert all(answer == answers[0] for answer in answers)
    assert [event["type"] for event in since.events()] == ["tip.refunded", "goal.queue", "goal.queue"]
    assert state(server, slug)[:2] == [(goals[0], 0, "active"), (goals[1], 7, "queued")]


def test_keys_survive_a_restart(make_server):
    server = make_server()
    slug = server.page()
    goal = server.goal(slug, 1_000)["id"]
    tip = server.tip(slug, grossAmountInCents=10)["tip"]["id"]
    adjusted = adjust(server, slug, goal, 100, key="A")
    refunded = server.refund(slug, tip)
    server.kill()
    server.start()
    again = adjust(server, slug, goal, 100, key="A")
    assert (again["goal"], again["cursor"]) == (adjusted["goal"], adjusted["cursor"])
    assert server.refund(slug, tip)["cursor"] == refunded["cursor"]
    assert state(server, slug) == [(goal, 100, "active")]
    followed(server.log(slug))


@pytest.mark.parametrize("correction", ["refund", "adjust"])
def test_corrections_of_an_open_goal_after_edits_and_moves_find_the_right_goal(server, slug, goals, correction):
    server.tip(slug, grossAmountInCents=200)
    order(server, slug, [goals[2], goals[0], goals[1]])
    tip = server.tip(slug, grossAmountInCents=600)["tip"]["id"]
    order(server, slug, [goals[1], goals[0]])
    edit(server, slug, goals[0], amountInCents=301, description="other")
    assert state(server, slug) == [(goals[2], 500, "completed"), (goals[1], 0, "active"), (goals[0], 300, "queued")]
    if correction == "refund":
        server.refund(slug, tip)
        assert state(server, slug)[2] == (goals[0], 200, "queued")
    else:
        adjust(server, slug, goals[0], 1)
        assert state(server, slug)[2] == (goals[0], 301, "completed")
    followed(server.log(slug))
