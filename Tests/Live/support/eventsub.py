"""EventSub as its clients use it: a subscription, and the WebSocket that its id opens."""

import json

from . import http as web
from .feed import Feed
from .rawsocket import TEXT, RawSocket, RawWebSocket, frame, upgrade_request

BASE = "/api/eventsub"
UNAUTHORIZED = b'{"error":"unauthorized","error_data":{}}'
NOT_FOUND = b'{"error":"not found","error_data":{}}'
TOO_MANY = b'{"error":"too many requests","error_data":{}}'


def create(
    server, parameters="transport[method]=websocket", key="admin", profile=None, method="GET", body=None, **more
):
    """The bare answer to `create`."""
    headers = dict(more.pop("headers", {}))
    if profile is not None:
        headers["FUNPLACE-PROFILE-ID"] = str(profile)
    return server.call(method, f"{BASE}/create?{parameters}", body, key, headers, **more)


def data_of(answer):
    """What a call that must succeed answers."""
    assert answer.status == 200, answer
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("application/json", "no-store"), answer
    document = answer.json
    assert list(document) == ["success", "data"] and document["success"] == "ok", document
    return document["data"]


def subscribe(server, key, type=None, minimum=None, profile=None):
    """Makes a subscription, and returns its data."""
    parameters = {"transport[method]": "websocket", "type": type, "condition[minimum_amount]": minimum}
    return data_of(create(server, web.query(**parameters), key, profile))


def listed(server, key):
    """The key's subscriptions as {connection_id: connected}."""
    data = data_of(server.get(f"{BASE}/list", key=key))
    return {one["connection_id"]: one["connected"] for one in data}


def connection(data):
    return web.query(connection_id=data["connection_id"])


class EventSubSocket(Feed):
    """A subscription's WebSocket. It answers pings by itself."""

    def __init__(self, server, data, **options):
        super().__init__(server.port, connection(data), context=server.context, **options)
        self.subscription = data

    def alive(self):
        """Returns it once the server has answered. No other frame may come before that."""
        self.send("PING")
        text = self.text()
        assert text == "PONG", text
        return self

    def message(self, seconds=5.0):
        """The next frame, which must be a message of this very subscription."""
        return self.is_message(self.text(seconds))

    def is_message(self, text):
        message = json.loads(text)
        assert list(message) == ["type", "subscription", "data", "id"], message
        assert message["type"] == "message", message
        given = json.dumps(message["subscription"])
        assert given == json.dumps(self.subscription), f"{given} was created as {self.subscription}"
        return message

    def tip_ids(self, count, seconds=10.0):
        return [self.message(seconds)["data"]["id"] for _ in range(count)]

    def disconnected(self, seconds=5.0):
        """What it is told at the end, and with what close code. Nothing else may come."""
        return said_farewell(self.text(seconds)), self.closed()


class RawEventSubSocket(RawWebSocket):
    """The same, frame by frame: it answers nothing by itself, and needs not read."""

    def __init__(self, server, data, **options):
        super().__init__(server.port, connection(data), **options)

    def alive(self):
        """Returns it once the server has answered. No other frame may come before that."""
        self.send(frame(TEXT, b"PING"))
        text = self.text()
        assert text == "PONG", text
        return self

    def challenged(self):
        """The next frame, which must ask for a sign of life."""
        got = self.next()
        assert got == (True, 9, b""), got

    def disconnected(self):
        return said_farewell(self.text()), self.close_code()


class AskingSocket(RawEventSubSocket):
    """One whose handshake has been sent, and whose answer is still to be read."""

    def __init__(self, server, data, timeout=10.0):
        RawSocket.__init__(self, server.port, timeout)
        self.send(upgrade_request(connection(data)))

    def opened(self):
        status, headers = self.head()
        assert status == 101, f"{status} {headers}"
        return self


def said_farewell(text):
    message = json.loads(text)
    assert list(message) == ["type", "data"] and message["type"] == "disconnect", message
    assert list(message["data"]) == ["msg"] and message["data"]["msg"], message
    return message["data"]["msg"]
