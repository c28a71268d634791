"""Goals by the API: each rule of the queue, as a client meets it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.goalcalls import Since, edit, order, path, state, types
from support.goals import followed, messages
from support.http import problem
from support.server import fresh


@pytest.fixture
def slug(server):
    return server.page()


@pytest.fixture
def goals(server, slug):
    """Three goals of 1,000, 2,000 and 500; their ids."""
    return [
        server.goal(slug, amount, name)["id"] for name, amount in (("Mic", 1_000), ("Lights", 2_000), ("Desk", 500))]


# Adding


def test_a_goal_is_answered_as_it_stands_and_the_first_is_active_at_once(server, slug):
    since = Since(server, slug)
    first = server.goal(slug, 5_000, "New Webcam Fund \U0001f4f7")
    assert list(first) == ["id", "description", "amountInCents", "progressInCents", "state"]
    assert list(first.values())[1:] == ["New Webcam Fund \U0001f4f7", 5_000, 0, "active"]
    assert since.change() == {
        "kind": "added", "goalId": first["id"], "description": first["description"], "amountInCents": 5_000}
    second = server.goal(slug, 1)
    assert second["state"] == "queued"
    assert server.goals(slug) == [first, second]


def test_bad_goals_are_refused_with_the_member_named_and_nothing_is_added(server, slug):
    good = {"description": "d", "amountInCents": 1}
    since = Since(server, slug)
    for member, values in {
        "description": [None, "", "  ", "x" * 201, "a\nb", "a\u0000b", 7, ["d"]],
        "amountInCents": [None, 0, -1, 10_000_000_001, 1.5, "5", True, 10**30],
        "more": [1], "id": ["own"], "progressInCents": [1],
    }.items():
        for value in values:
            problem(server.post(path(slug), good | {member: value}), 422, member)
    assert server.post(path(slug), b"{").status == 400
    assert server.post(path(slug), b"{}", headers={"Content-Type": "text/plain"}).status == 415
    assert server.goals(slug) == [] and since.events() == []
    longest = {"description": "\U0001f600" * 200, "amountInCents": 10_000_000_000}
    assert server.post(path(slug), longest).json["description"] == longest["description"]


def test_goals_are_for_those_who_may_manage_the_page(server, slug):
    goal = server.goal(slug, 100)["id"]
    calls = [
        ("GET", path(slug), None), ("POST", path(slug), {"description": "d", "amountInCents": 1}),
        ("PATCH", path(slug, goal), {"description": "e"}), ("DELETE", path(slug, goal), None),
        ("PUT", path(slug, "order"), {"ids": [goal]}),
        ("POST", path(slug, goal, "adjust"), {"amountInCents": 1, "reason": "r"}),
        ("POST", f"/api/v1/pages/{slug}/tips/none/refund", None)]
    stranger = server.key("manage", account=server.account())
    reader = server.key("events:read", "tips:write")
    for method, where, body in calls:
        problem(server.call(method, where, body, key=None), 401)
        problem(server.call(method, where, body, key=reader), 403)
        problem(server.call(method, where, body, key=stranger), 404)
    member = server.account()
    assert server.call("PUT", f"/api/v1/pages/{slug}/members/{member}").status == 204
    key = server.key("manage", account=member)
    assert server.goal(slug, 5, key=key)["state"] == "queued"
    assert len(server.goals(slug, key=key)) == 2


def test_a_page_takes_a_thousand_goals_one_tip_completes_them_all_and_a_stream_tells_of_each(server, slug):
    with ThreadPoolExecutor(16) as people:
        assert len({goal["id"] for goal in people.map(lambda _: server.goal(slug, 1), range(1_000))}) == 1_000
    problem(server.post(path(slug), {"description": "one more", "amountInCents": 1}), 422)
    with server.stream(server.admin, slug) as stream:
        stream.connected()
        answer = server.tip(slug, grossAmountInCents=1_001)
        kinds = types(answer)
        assert kinds == ["tip.received", *["goal.completed"] * 1_000, "goal.chain", "goal.queue"]
        assert [stream.message() for _ in kinds] == [said for _, said in messages(answer["events"])]
    assert answer["events"][-1]["data"]["change"]["surplusInCents"] == 1
    assert [event["data"]["overflowAmount"] for event in answer["events"][1:-2]] == list(range(1_000, 0, -1))
    assert {goal["state"] for goal in server.goals(slug)} == {"completed"}
    # A completed one may go, and makes room.
    assert server.delete(path(slug, server.goals(slug)[0]["id"])).status == 204
    assert server.goal(slug, 10_000_000_000)["state"] == "active"


# Tips


def test_a_tip_that_completes_nothing_is_told_alone(server, slug, goals):
    answer = server.tip(slug, grossAmountInCents=999, processingFeeInCents=500)
    assert types(answer) == ["tip.received"]
    data = answer["events"][0]["data"]
    assert (data["goalId"], data["goalProgress"], data["goalTarget"]) == (goals[0], 999, 1_000), "gross counts"
    assert state(server, slug)[0] == (goals[0], 999, "active")


def test_an_exact_hit_completes_and_nothing_spills(server, slug, goals):
    answer = server.tip(slug, grossAmountInCents=1_000)
    assert types(answer) == ["tip.received", "goal.completed", "goal.queue"]
    completed = answer["events"][1]["data"]
    assert (completed["overflowAmount"], completed["nextGoal"]["progress"]) == (0, 0)
    assert "surplusInCents" not in answer["events"][2]["data"]["change"]
    assert state(server, slug) == [(goals[0], 1_000, "completed"), (goals[1], 0, "active"), (goals[2], 0, "queued")]


def test_an_overflow_reports_what_is_left_even_if_the_next_goal_can_not_hold_it(server, slug, goals):
    server.tip(slug, grossAmountInCents=400)
    answer = server.tip(slug, grossAmountInCents=2_700)
    assert types(answer) == ["tip.received", "goal.completed", "goal.completed", "goal.chain", "goal.queue"]
    received, one, two, chain, queue = (event["data"] for event in answer["events"])
    assert (received["goalId"], received["goalProgress"], received["goalTarget"]) == (goals[0], 1_000, 1_000)
    assert one["overflowAmount"] == 2_100 and one["nextGoal"]["progress"] == 2_000, "capped at its amount"
    assert two["overflowAmount"] == 100 and two["nextGoal"]["progress"] == 100
    assert (chain["totalAmount"], chain["goalIds"]) == (2_700, goals[:2])
    assert queue["activeGoal"]["progress"] == 100 and (queue["goalCount"], queue["completedGoalCount"]) == (3, 2)
    cursors = [event["cursor"] for event in answer["events"]]
    assert [event["cursor"] for event in server.log(slug)[-5:]] == cursors and answer["cursor"] == cursors[-1]


def test_when_the_last_goal_overflows_the_surplus_is_reported_and_credited_to_no_goal(server, slug, goals):
    answer = server.tip(slug, grossAmountInCents=4_000)
    last, queue = answer["events"][3]["data"], answer["events"][-1]["data"]
    assert (last["goalId"], last["nextGoal"], last["overflowAmount"]) == (goals[2], None, 500)
    assert queue["activeGoal"] is None and queue["change"]["surplusInCents"] == 500
    later = server.tip(slug)
    assert types(later) == ["tip.received"]
    data = later["events"][0]["data"]
    assert (data["goalId"], data["goalProgress"], data["goalTarget"]) == (None, None, None)
    # A goal added now is active at once, and starts at nothing.
    assert server.goal(slug, 100)["state"] == "active"


def test_a_repeated_tip_counts_once_and_a_batch_counts_in_its_order(server, slug, goals):
    body = {"id": "once", "grossAmountInCents": 600}
    first = server.post(f"/api/v1/pages/{slug}/tips", body)
    again = server.post(f"/api/v1/pages/{slug}/tips", body)
    assert (first.status, again.status) == (201, 200) and again.json == first.json
    assert state(server, slug)[0][1] == 600
    batch = [body, {"grossAmountInCents": 500}, body, {"grossAmountInCents": 1}, {"grossAmountInCents": 2_400}]
    results = server.batch(slug, batch)
    assert [types(result) for result in results[1::2]] == [
        ["tip.received", "goal.completed", "goal.queue"], ["tip.received"]]
    assert types(results[4])[-2:] == ["goal.chain", "goal.queue"]
    assert {one for *_, one in state(server, slug)} == {"completed"}
    followed(server.log(slug))


def test_a_replay_changes_no_goal_and_tells_nothing_of_goals(server, slug, goals):
    tip = server.tip(slug, grossAmountInCents=300)["tip"]["id"]
    before = state(server, slug)
    assert types(server.replay(slug, tip)) == ["tip.replayed"]
    assert state(server, slug) == before


# Editing, removing, reordering


def test_an_edit_changes_what_it_names_and_is_told_even_if_it_moves_nothing(server, slug, goals):
    for members in ({"description": "Microphone"}, {"amountInCents": 3_000}, {"description": "Microphone"}):
        since = Since(server, slug)
        edited = edit(server, slug, goals[0], **members)
        assert members.items() <= edited.items()
        assert since.change() == {"kind": "edited", "goalId": goals[0]} | members
    for members in ({"amountInCents": 0}, {"description": ""}, {"progressInCents": 5}, {"state": "completed"}):
        problem(server.call("PATCH", path(slug, goals[0]), members), 422, *members)
    assert server.call("PATCH", path(slug, "nope"), {"description": "d"}).status == 404


@pytest.mark.parametrize("amount", [700, 600, 1])
def test_an_edit_that_reaches_the_target_completes_without_a_completion_and_spills_nowhere(server, slug, goals, amount):
    server.tip(slug, grossAmountInCents=700)
    since = Since(server, slug)
    edited = edit(server, slug, goals[0], amountInCents=amount)
    assert (edited["progressInCents"], edited["amountInCents"], edited["state"]) == (amount, amount, "completed")
    surplus = {"surplusInCents": 700 - amount} if amount < 700 else {}
    assert since.change() == {"kind": "edited", "goalId": goals[0], "amountInCents": amount} | surplus
    assert state(server, slug)[1] == (goals[1], 0, "active")
    # It is as completed as any other.
    problem(server.call("PATCH", path(slug, goals[0]), {"amountInCents": amount + 1}), 422, "amountInCents")
    assert edit(server, slug, goals[0], description="Done")["description"] == "Done"


def test_removing_drops_the_progress_and_a_completed_goal_leaves_both_counts(server, slug, goals):
    server.tip(slug, grossAmountInCents=1_600)
    since = Since(server, slug)
    answer = server.delete(path(slug, goals[1]))
    assert answer.status == 204 and answer.body == b""
    assert since.change() == {"kind": "removed", "goalId": goals[1]}
    assert state(server, slug) == [(goals[0], 1_000, "completed"), (goals[2], 0, "active")]
    assert server.delete(path(slug, goals[1])).status == 404
    since = Since(server, slug)
    assert server.delete(path(slug, goals[0])).status == 204
    event, = since.events()
    assert (event["data"]["goalCount"], event["data"]["completedGoalCount"]) == (1, 0)


def test_a_goal_moved_to_the_front_is_active_and_each_keeps_its_progress(server, slug, goals):
    server.tip(slug, grossAmountInCents=1_250)
    fourth = server.goal(slug, 50)["id"]
    since = Since(server, slug)
    answer = order(server, slug, [fourth, goals[2], goals[1]])
    assert answer.status == 200 and answer.json == {"data": server.goals(slug), "next": None}
    assert since.change() == {"kind": "reordered", "order": [fourth, goals[2], goals[1]]}
    assert state(server, slug) == [
        (goals[0], 1_000, "completed"), (fourth, 0, "active"), (goals[2], 0, "queued"), (goals[1], 250, "queued")]
    # One in the middle of the list is completed, and keeps its place among those that move around it.
    server.tip(slug, grossAmountInCents=60)
    assert order(server, slug, [goals[1], goals[2]]).status == 200
    assert state(server, slug) == [
        (goals[0], 1_000, "completed"), (fourth, 50, "completed"), (goals[1], 250, "active"), (goals[2], 10, "queued")]
    since = Since(server, slug)
    assert order(server, slug, [goals[1], goals[2]]).status == 200
    assert since.change()["kind"] == "reordered", "told also when it moves nothing"


def test_a_stale_order_is_refused_with_what_was_added_removed_or_completed_since(server, slug, goals):
    server.delete(path(slug, goals[1]))
    server.tip(slug, grossAmountInCents=1_000)
    added = server.goal(slug, 7, "News")["id"]
    since = Since(server, slug)
    answer = order(server, slug, goals)
    assert set(problem(answer, 422, "ids")) == {"ids"}
    assert (answer.json["added"], answer.json["removed"], answer.json["completed"]) == ([added], [goals[1]], [goals[0]])
    details = " ".join(error["detail"] for error in answer.json["errors"])
    assert "News" in details and all(goal in details for goal in (added, goals[0], goals[1]))
    assert since.events() == [] and [one for one, *_ in state(server, slug)] == [goals[0], goals[2], added]
    for bad in ([goals[2]], [goals[2], added, added], [goals[2], goals[2], added], [], [goals[2], added, "nope"]):
        problem(order(server, slug, bad), 422, "ids")
    for bad in ({}, {"ids": "all"}, {"ids": [1, 2]}, {"ids": None}, {"ids": [added, goals[2]], "more": 1}):
        problem(server.call("PUT", path(slug, "order"), bad), 422)
    assert since.events() == []
    assert order(server, slug, [added, goals[2]]).status == 200


def test_an_order_of_no_goals_is_the_empty_one(server, slug):
    assert order(server, slug, []).json == {"data": [], "next": None}
    problem(order(server, slug, [fresh("nope")]), 422, "ids")
