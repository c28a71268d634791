"""Webhook subscriptions: made by either API, and what can be asked about them."""

import base64
import datetime
import types

from . import http as web
from .eventsub import BASE, create, data_of
from .waiting import eventually

PATH = "/api/v1/subscriptions"
# What a server needs to send to the tests' receivers.
ALLOWED = ["--webhooks-allow-http", "true", "--webhooks-allowed-networks", "127.0.0.0/8"]
# With `+`, `/` and `=`, which queries have to escape.
SECRET = "whsec_" + base64.b64encode(b"\xfb\xff" * 14).decode()
# In the order of the answers. The management API adds to EventSub's.
CREATED = ["connection_id", "transport", "condition", "type", "version", "created_at"]
MANAGED = CREATED + [
    "page", "key_id", "state", "disabled_reason", "pending", "dead", "failing_since", "last_failure",
    "next_attempt_at", "paused_until", "previous_secret_expires_at"]
DELIVERY = ["id", "type", "created_at", "attempts", "state", "status", "next_attempt_at", "reason", "outcome", "test"]
ATTEMPT = ["number", "began_at", "duration_ms", "status", "outcome", "answer"]


class Webhook:
    """A subscription, and the calls about it, by one key."""

    def __init__(self, server, data, key="admin"):
        self.server, self.data, self.key = server, data, key
        self.id = data["connection_id"]
        self.secret = data["transport"].get("secret")
        self.path = f"{PATH}/{self.id}"

    @property
    def public(self):
        """What everybody may see of it: the answer to its creation by EventSub, without the secret."""
        data = {name: self.data[name] for name in CREATED}
        return data | {"transport": {name: data["transport"][name] for name in ("method", "callback")}}

    def call(self, method, path="", body=None, status=200):
        answer = self.server.call(method, self.path + path, body, self.key)
        assert answer.status == status, answer
        return answer.json if answer.body else None

    def shown(self):
        data = self.call("GET")
        assert list(data) == MANAGED, data
        assert {name: data[name] for name in CREATED} == self.public, data
        return data

    def enable(self, enabled=True):
        data = self.call("PATCH", body={"enabled": enabled})
        assert data["state"] == ("enabled" if enabled else "disabled"), data
        return data

    def disable(self):
        return self.enable(False)

    def delete(self):
        assert self.call("DELETE", status=204) is None

    def rotate(self, secret=None):
        return self.call("POST", "/secret/rotate", {"secret": secret} if secret else None)

    def test(self):
        return self.call("POST", "/test", status=202)

    def deliveries(self, **parameters):
        """All of its deliveries, newest first."""
        found, after = [], None
        while True:
            page = self.call("GET", "/deliveries?" + web.query(**{"limit": 1000, "after": after} | parameters))
            assert list(page) == ["data", "next"], page
            found += page["data"]
            if (after := page["next"]) is None:
                break
        for delivery in found:
            assert list(delivery) == DELIVERY, delivery
        return found

    def delivery(self, identifier):
        """One with its request and its attempts."""
        data = self.call("GET", f"/deliveries/{identifier}")
        assert list(data) == [*DELIVERY, "request", "log"], data
        for number, attempt in enumerate(data["log"]):
            assert list(attempt) == ATTEMPT and attempt["number"] == number + 1, data
        return data

    def states(self):
        """(id, state) of each, oldest first."""
        return [(one["id"], one["state"]) for one in reversed(self.deliveries())]

    def retry(self, identifier):
        return self.call("POST", f"/deliveries/{identifier}/retry", status=202)

    def retry_all(self, **parameters):
        """How many are tried again."""
        data = self.call("POST", "/retry?" + web.query(**parameters), status=202)
        assert list(data) == ["retried", "state"], data
        return data["retried"]

    def idle(self, *ids, seconds=15.0):
        """Waits until nothing is pending, and these deliveries, which the dispatcher may not know yet, have ended."""
        def ended():
            return self.shown()["pending"] == 0 and set(ids) <= {one["id"] for one in self.deliveries()}
        eventually(ended, f"nothing pending of {self.data}", seconds)
        return self

    def attempted(self, identifier, count=1, seconds=10.0):
        """A delivery, once so many attempts of it have ended and been written down."""
        def found():
            # Until the dispatcher has read the log there is none.
            is_there = self.server.get(f"{self.path}/deliveries/{identifier}", key=self.key).status != 404
            return is_there and (data := self.delivery(identifier))["attempts"] >= count and data
        return eventually(found, f"{count} attempts of {identifier}", seconds)


def webhook(server, slug, endpoint, key="admin", **more):
    """Makes one by the management API."""
    answer = server.post(PATH, {"page": slug, "callback": endpoint.url} | more, key=key)
    assert answer.status == 201, answer
    made = Webhook(server, answer.json, key)
    endpoint.trusts(made.secret)
    return made


def parameters(endpoint, **more):
    """The query of an EventSub call that makes one."""
    return web.query(**{"transport[method]": "webhook", "transport[callback]": endpoint.url} | more)


def eventsub_webhook(server, endpoint, key, manager="admin", profile=None, **more):
    """Makes one by EventSub; what is asked about it afterwards is by the `manager`'s key."""
    made = Webhook(server, data_of(create(server, parameters(endpoint, **more), key, profile)), manager)
    endpoint.trusts(made.secret)
    return made


def listed(server, key):
    """EventSub's list."""
    return data_of(server.get(f"{BASE}/list", key=key))


def deliveries(server, data, key, **more):
    """EventSub's deliveries of a subscription."""
    return data_of(server.get(f"{BASE}/deliveries?" + web.query(connection_id=data["connection_id"], **more), key=key))


def make_page(server, **more):
    """A page, and two keys of its owner that see this page alone: one for EventSub, one for the management API."""
    made = server.page_object(**more)
    key = server.key_object("Funplace::eventsub", pages=[made["slug"]])
    return types.SimpleNamespace(
        slug=made["slug"], profile=made["profileId"], key=key["key"], key_id=key["id"],
        manager=server.key("manage", pages=[made["slug"]]))


def tips(server, page, count, **more):
    """Posts tips; the ids of their events."""
    return [server.tip(page.slug, **more)["cursor"] for _ in range(count)]


def moment(seconds):
    """A Unix time in the API's spelling."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def bad_request(answer, *words):
    """EventSub's refusal of a parameter, with these words in its sentence."""
    assert answer.status == 400 and list(answer.json) == ["error", "error_data"], answer
    assert answer.json["error"] == "bad request", answer
    assert all(word in answer.json["error_data"] for word in words), (words, answer)
