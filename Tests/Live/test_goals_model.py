"""A page's goals under random and simultaneous changes, held against the rules as `support/goals.py` has them."""

import random
import threading

from support.goalcalls import order, path
from support.goals import Queue, about_goals, followed, message, messages
from support.http import problem

STEPS = 400


class Walk:
    """One page, its model, a client of its Event Hook, and a person who does things at random."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.slug = server.page()
        self.queue = Queue()
        self.tips = []
        self.refunded = set()
        self.stream = server.stream(server.admin, self.slug, resume="true")
        self.cursor = self.stream.resumed()[1]
        self.largest = rng.choice([20, 1_000, 100_000_000])

    def step(self):
        """Does one thing, and compares all that can be seen of it."""
        verbs = {
            self.tip: 10, self.add: 4, self.remove: 1, self.edit: 3, self.reorder: 2, self.adjust: 2, self.refund: 3,
            self.take_out_and_refund: 1, self.replay: 1, self.refused: 2}
        verb, = self.rng.choices(list(verbs), list(verbs.values()))
        before = self.queue.listed()
        wanted = verb()
        events = self.server.log(self.slug, self.cursor)
        assert [about_goals(event) for event in events] == wanted, verb.__name__
        listed = self.server.goals(self.slug)
        assert listed == self.queue.listed(), verb.__name__
        for goal in listed:
            assert 0 <= goal["progressInCents"] <= goal["amountInCents"], "over its target"
            assert (goal["state"] == "completed") == (goal["progressInCents"] == goal["amountInCents"])
        assert [goal["state"] for goal in listed].count("active") == listed_open(listed)
        if verb == self.tip:
            self.check_money(before, listed, events)
        for event in events:
            self.cursor = event["cursor"]
            if said := message(event):
                assert self.stream.identified() == (event["cursor"], said)

    def check_money(self, before, after, events):
        """What came in is in goals, or told as surplus, or came when no goal was open."""
        gained = sum(goal["progressInCents"] for goal in after) - sum(goal["progressInCents"] for goal in before)
        surplus = events[-1]["data"].get("change", {}).get("surplusInCents", 0)
        if listed_open(before):
            assert gained + surplus == events[0]["data"]["grossAmountInCents"], "a cent too many or too few"
        else:
            assert gained == 0

    def amount(self):
        """Small amounts and very large ones, and often just what is missing, or one more or less."""
        if self.queue.open() and self.rng.random() < 0.4:
            goals = self.queue.open()[:self.rng.randrange(1, 4)]
            exact = sum(goal["amountInCents"] - goal["progressInCents"] for goal in goals)
            return min(max(1, exact + self.rng.randrange(-1, 2)), 100_000_000)
        return self.rng.randrange(1, self.largest + 1)

    def any_goal(self):
        return self.rng.choice(self.queue.goals) if self.queue.goals else None

    # What a person may do: each returns what the log must say.

    def tip(self):
        amount = self.amount()
        named = {"displayName": "Ada"} if self.rng.random() < 0.5 else {}
        answer = self.server.tip(self.slug, grossAmountInCents=amount, **named)
        self.tips.append(answer["tip"]["id"])
        return self.queue.tip(answer["tip"]["id"], amount)

    def add(self):
        # Some as small as tips, others that take many.
        amount, name = self.amount() * self.rng.choice([1, 1, 10, 50]), f"Goal {self.rng.randrange(1_000)} \u00e9"
        return self.queue.add(self.server.goal(self.slug, amount, name)["id"], name, amount)

    def remove(self):
        if not (goal := self.any_goal()):
            return []
        assert self.server.delete(path(self.slug, goal["id"])).status == 204
        return self.queue.remove(goal["id"])

    def edit(self):
        if not (goal := self.any_goal()):
            return []
        new = {"description": f"Edited {self.rng.randrange(1_000)}", "amountInCents": self.amount()}
        if goal["progressInCents"] == goal["amountInCents"]:
            del new["amountInCents"]
        new = dict(self.rng.sample(sorted(new.items()), self.rng.randrange(1, len(new) + 1)))
        answer = self.server.call("PATCH", path(self.slug, goal["id"]), new)
        assert answer.status == 200, answer
        return self.queue.edit(goal["id"], **new)

    def reorder(self):
        ids = [goal["id"] for goal in self.queue.open()]
        self.rng.shuffle(ids)
        answer = order(self.server, self.slug, ids)
        wanted = self.queue.reorder(ids)
        assert answer.status == 200 and answer.json["data"] == self.queue.listed(), answer
        return wanted

    def adjust(self):
        if not self.queue.open():
            return []
        goal = self.rng.choice(self.queue.open())
        low, high = -goal["progressInCents"], goal["amountInCents"] - goal["progressInCents"]
        return self.adjust_by(goal["id"], self.rng.choice([low, high, self.rng.randint(low, high)]) or high)

    def adjust_by(self, goal, amount):
        body = {"amountInCents": amount, "reason": "by hand"}
        assert self.server.post(path(self.slug, goal, "adjust"), body).status == 200
        return self.queue.adjust(goal, amount, "by hand")

    def refund(self):
        return self.refund_of(self.rng.choice(self.tips[-3:])) if self.tips else []

    def take_out_and_refund(self):
        """What has been taken out by hand, a refund of the tip can't take once more."""
        for tip in reversed(self.tips):
            for goal in self.queue.open():
                cents = dict(self.queue.gifts[tip]).get(goal["id"], 0)
                if cents and goal["progressInCents"] >= cents and tip not in self.refunded:
                    left = self.rng.randrange(cents)
                    return self.adjust_by(goal["id"], left - goal["progressInCents"]) + self.refund_of(tip)
        return []

    def refund_of(self, tip):
        self.server.refund(self.slug, tip)
        if tip in self.refunded:
            return []
        self.refunded.add(tip)
        return self.queue.refund(tip)

    def replay(self):
        if not self.tips:
            return []
        tip = self.rng.choice(self.tips)
        answer = self.server.post(f"/api/v1/pages/{self.slug}/tips/{tip}/replay")
        assert answer.status == (409 if tip in self.refunded else 202), answer
        return [] if tip in self.refunded else [("tip.replayed", {})]

    def refused(self):
        """What is not possible is refused and leaves no trace."""
        ids = [goal["id"] for goal in self.queue.open()]
        problem(order(self.server, self.slug, ids + ["nope"]), 422, "ids")
        if goal := self.any_goal():
            body = {"amountInCents": goal["amountInCents"] - goal["progressInCents"] + 1, "reason": "too much"}
            problem(self.server.post(path(self.slug, goal["id"], "adjust"), body), 422, "amountInCents")
        if ids:
            problem(order(self.server, self.slug, ids[1:]), 422, "ids")
        return []


def listed_open(listed):
    return any(goal["state"] != "completed" for goal in listed)


def test_four_hundred_random_changes_do_what_the_rules_say_and_the_log_leads_to_the_same_goals(make_server, rng):
    server = make_server(log_level="info")
    walks = [Walk(server, random.Random(rng.random())) for _ in range(4)]
    for number in range(STEPS):
        walks[number % len(walks)].step()
        if number == STEPS // 2:
            # What is known only in memory shows by being gone.
            server.kill()
            for walk in walks:
                walk.stream.close()
            server.start()
            for walk in walks:
                walk.stream = server.stream(server.admin, walk.slug, lastEventId=walk.cursor)
                assert walk.stream.resumed() == ("resumed", walk.cursor)
    for walk in walks:
        log = server.log(walk.slug)
        assert followed(log).listed() == walk.queue.listed() == server.goals(walk.slug)
        # From the very beginning, and from anywhere between, a stream tells the same.
        position = log[len(log) // 2]["cursor"]
        with server.stream(server.admin, walk.slug, lastEventId=position) as stream:
            assert stream.resumed() == ("resumed", position)
            for said in messages(log[len(log) // 2 + 1:]):
                assert stream.identified() == said
        walk.stream.close()


def test_people_who_edit_at_once_lose_no_goal_and_a_stale_order_says_just_what_has_changed(server, rng):
    slug = server.page()
    lock = threading.Lock()
    added, removed, refusals, failures = set(), set(), [], []

    def edit(choices):
        try:
            for _ in range(60):
                verb = choices.choice(["add", "add", "order", "order", "order", "remove", "tip"])
                if verb == "add":
                    goal = server.goal(slug, choices.randrange(1, 500))["id"]
                    with lock:
                        added.add(goal)
                elif verb == "tip":
                    server.tip(slug, grossAmountInCents=choices.randrange(1, 300))
                elif verb == "remove":
                    seen = server.goals(slug)
                    if len(seen) > 5 and server.delete(path(slug, goal := choices.choice(seen)["id"])).status == 204:
                        with lock:
                            assert goal not in removed, "removed twice"
                            removed.add(goal)
                else:
                    seen = [goal["id"] for goal in server.goals(slug) if goal["state"] != "completed"]
                    choices.shuffle(seen)
                    answer = order(server, slug, seen)
                    if answer.status != 200:
                        problem(answer, 422, "ids")
                        refusals.append((seen, answer.json))
        except BaseException as error:  # The main thread tells of it.
            failures.append(repr(error))

    people = [threading.Thread(target=edit, args=(random.Random(rng.random()),)) for _ in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join(60)
    assert not failures, failures
    left = [goal["id"] for goal in server.goals(slug)]
    assert len(set(left)) == len(left) and set(left) == added - removed, "a goal is lost, or is there that nobody added"
    assert refusals, "nobody was ever late"
    for seen, told in refusals:
        assert told["added"] or told["removed"] or told["completed"]
        assert not set(told["added"]) & set(seen) and set(told["added"]) <= added
        assert set(told["removed"]) <= set(seen) & removed and set(told["completed"]) <= set(seen)
    assert followed(server.log(slug)).listed() == server.goals(slug)
