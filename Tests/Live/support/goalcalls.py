"""Calls about a page's goals that must succeed, and ways to look at what they did."""


def path(slug, goal=None, verb=None):
    return "/".join(filter(None, ["/api/v1/pages", slug, "goals", goal, verb]))


def state(server, slug):
    """The queue in short: (id, progress, state) each."""
    return [(goal["id"], goal["progressInCents"], goal["state"]) for goal in server.goals(slug)]


def types(answer):
    return [event["type"] for event in answer["events"]]


def edit(server, slug, goal, **members):
    answer = server.call("PATCH", path(slug, goal), members)
    assert answer.status == 200, answer
    return answer.json


def order(server, slug, ids):
    return server.call("PUT", path(slug, "order"), {"ids": ids})


def adjust(server, slug, goal, amount, reason="a correction", key=None, status=200):
    headers = {"Idempotency-Key": key} if key else {}
    body = {"amountInCents": amount, "reason": reason}
    answer = server.post(path(slug, goal, "adjust"), body, headers=headers)
    assert answer.status == status, answer
    return answer.json


class Since:
    """What the log gets from here on."""

    def __init__(self, server, slug):
        self.server, self.slug, self.cursor = server, slug, server.head(slug)

    def events(self):
        return self.server.log(self.slug, self.cursor)

    def change(self):
        """The `change` of the only new event, which must tell that the queue changed."""
        event, = self.events()
        assert event["type"] == "goal.queue", event
        return event["data"]["change"]
