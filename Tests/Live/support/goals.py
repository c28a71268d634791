"""The rules of goals, written down a second time, to hold the server against.

It is not written like the server. Where that hands a tip on from goal to goal, this looks at running sums: of the goals
that are open, each takes what of the tip lies between the sum of all before it and its own.
"""

import itertools

GOAL_KINDS = {
    "goal.completed": "tip:goal-completed", "goal.chain": "tip:overflow-chain", "goal.queue": "tip:queue-updated"}


class Queue:
    """A page's goals. Each method does one thing to them, and returns what the log must say of it: (type, data) each.

    Of a tip's `data` only what concerns goals.
    """

    def __init__(self):
        self.goals = []  # {"id", "description", "amountInCents", "progressInCents"}
        self.gifts = {}  # What each tip gave: {tip id: [(goal id, cents)]}

    # What it looks like

    def listed(self):
        """As the API lists it."""
        active = self.active()
        return [
            goal | {"state": "completed" if is_completed(goal) else "active" if goal is active else "queued"}
            for goal in self.goals]

    def open(self):
        return [goal for goal in self.goals if not is_completed(goal)]

    def active(self):
        return next(iter(self.open()), None)

    def goal(self, identifier):
        return next(goal for goal in self.goals if goal["id"] == identifier)

    def updated(self, kind, **change):
        """The event that tells of a change."""
        return "goal.queue", {
            "activeGoal": shown(self.active()), "goalCount": len(self.goals),
            "completedGoalCount": sum(map(is_completed, self.goals)), "change": {"kind": kind} | change}

    # What happens to it

    def add(self, identifier, description, amount):
        self.goals.append(
            {"id": identifier, "description": description, "amountInCents": amount, "progressInCents": 0})
        return [self.updated("added", goalId=identifier, description=description, amountInCents=amount)]

    def edit(self, identifier, **new):
        goal = self.goal(identifier)
        surplus = max(0, goal["progressInCents"] - new.get("amountInCents", goal["amountInCents"]))
        goal.update(new)
        goal["progressInCents"] -= surplus
        return [self.updated("edited", goalId=identifier, **new, **({"surplusInCents": surplus} if surplus else {}))]

    def remove(self, identifier):
        self.goals.remove(self.goal(identifier))
        return [self.updated("removed", goalId=identifier)]

    def reorder(self, order):
        moving = iter([self.goal(identifier) for identifier in order])
        self.goals = [goal if is_completed(goal) else next(moving) for goal in self.goals]
        return [self.updated("reordered", order=order)]

    def adjust(self, identifier, amount, reason):
        self.goal(identifier)["progressInCents"] += amount
        return [self.updated("adjusted", goalId=identifier, amountInCents=amount, reason=reason)]

    def refund(self, tip):
        taken = []
        for identifier, cents in self.gifts[tip]:
            for goal in self.open():
                if goal["id"] == identifier and (loss := min(cents, goal["progressInCents"])):
                    goal["progressInCents"] -= loss
                    taken.append({"goalId": identifier, "amountInCents": loss})
        return [("tip.refunded", {})] + ([self.updated("refunded", tipId=tip, taken=taken)] if taken else [])

    def tip(self, tip, cents):
        goals = self.open()
        if not goals:
            self.gifts[tip] = []
            return [("tip.received", {"goalId": None, "goalProgress": None, "goalTarget": None})]
        before = [dict(goal) for goal in goals]
        sums = list(itertools.accumulate(missing(goal) for goal in goals))
        self.gifts[tip] = []
        for goal, through in zip(goals, sums):
            share = min(max(cents - (through - missing(goal)), 0), missing(goal))
            goal["progressInCents"] += share
            if share:
                self.gifts[tip].append((goal["id"], share))
        completed = [place for place, through in enumerate(sums) if cents >= through]
        first = goals[0]
        events = [("tip.received", {
            "goalId": first["id"], "goalProgress": first["progressInCents"], "goalTarget": first["amountInCents"]})]
        for place in completed:
            overflow = cents - sums[place]
            following = dict(before[place + 1]) if place + 1 < len(goals) else None
            if following:
                following["progressInCents"] += min(overflow, missing(following))
            events.append(("goal.completed", {
                "goalId": goals[place]["id"], "goalName": goals[place]["description"],
                "goalTarget": goals[place]["amountInCents"], "overflowAmount": overflow, "nextGoal": shown(following),
                "chainIndex": place, "chainTotal": len(completed)}))
        if len(completed) > 1:
            events.append(("goal.chain", {
                "tipId": tip, "totalAmount": cents, "goalsCompleted": len(completed),
                "goalIds": [goals[place]["id"] for place in completed]}))
        if completed:
            surplus = max(0, cents - sums[-1])
            events.append(self.updated("tip", tipId=tip, **({"surplusInCents": surplus} if surplus else {})))
        return events


def missing(goal):
    return goal["amountInCents"] - goal["progressInCents"]


def is_completed(goal):
    return missing(goal) == 0


def shown(goal):
    """A goal as an event names it."""
    return goal and {
        "id": goal["id"], "description": goal["description"], "amount": goal["amountInCents"],
        "progress": goal["progressInCents"]}


def about_goals(event):
    """(type, data) of an event of the log, of a tip only what concerns goals."""
    data = event["data"]
    if event["type"] == "tip.received":
        data = {name: data[name] for name in ("goalId", "goalProgress", "goalTarget")}
    elif event["type"].startswith("tip."):
        data = {}
    return event["type"], data


def followed(events, queue=None):
    """The queue that a log leads to. All that a tip caused must follow it, and nothing may be there besides."""
    queue = queue or Queue()
    events = iter(events)
    for event in events:
        kind, data = about_goals(event)
        if kind == "tip.received":
            wanted = queue.tip(event["data"]["id"], event["data"]["grossAmountInCents"])
        elif kind == "tip.refunded":
            wanted = queue.refund(event["data"]["id"])
        elif kind == "goal.queue":
            wanted = changed(queue, **data["change"])
        else:
            assert kind == "tip.replayed", f"{event} has nothing before it that it follows from"
            continue
        for place, (wanted_kind, wanted_data) in enumerate(wanted):
            event = next(events, None) if place else event
            assert event, f"the log ends in the middle of {wanted}"
            assert about_goals(event) == (wanted_kind, wanted_data), f"{event} instead of {wanted_kind} {wanted_data}"
    return queue


def changed(queue, kind, goalId=None, description=None, amountInCents=None, order=None, reason=None, **_):
    """Does what a person did."""
    if kind == "added":
        return queue.add(goalId, description, amountInCents)
    if kind == "edited":
        new = {"description": description, "amountInCents": amountInCents}
        return queue.edit(goalId, **{name: value for name, value in new.items() if value is not None})
    if kind == "removed":
        return queue.remove(goalId)
    if kind == "reordered":
        return queue.reorder(order)
    assert kind == "adjusted", f"a change of kind {kind!r} stands alone"
    return queue.adjust(goalId, amountInCents, reason)


def message(event):
    """What the Event Hook says of an event of the log; None for what it leaves out."""
    data = event["data"]
    if event["type"] == "tip.received":
        return {
            "type": "tip:received", "tipId": data["id"], "amount": data["grossAmountInCents"],
            "displayName": "Anonymous" if data["isAnonymous"] else data["displayName"],
            "message": data["message"] or None, "isAnonymous": data["isAnonymous"], "goalId": data["goalId"],
            "goalProgress": data["goalProgress"], "goalTarget": data["goalTarget"], "timestamp": data["processedAt"]}
    if event["type"] in GOAL_KINDS:
        return {"type": GOAL_KINDS[event["type"]]} | {name: data[name] for name in data if name != "change"}
    return None


def messages(events):
    """(cursor, message) of all that the Event Hook tells of a log."""
    return [(event["cursor"], said) for event in events if (said := message(event))]
