"""What several nodes were told and what they told, held against each other: whatever fails in between, they are one server.

Writers send tips to any node and remember what was answered; listeners of every dialect stay, or come back to any node
with the position that they had. `Ledger.prove` holds all of it against the log.
"""

import collections
import contextlib
import http.client
import json
import math
import random
import select
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from . import goals
from . import http as web
from .eventstream import EventStream
from .eventsub import RawEventSubSocket, subscribe
from .feed import Feed
from .rawsocket import CLOSE, PING, PONG, close_frame, frame
from .receiver import answers
from .waiting import eventually
from .webhooks import webhook

# Seconds that a client gives a node for an answer before it tries the next one.
PATIENCE = 3.0
# How long a node that was cut off, or stood still, may serve what others have revoked.
LONGEST_STAY = 40.0
# What a connection ends with while a node is gone, or what lies before it.
LOST = (OSError, EOFError, TimeoutError, http.client.HTTPException, ConnectionClosed, InvalidHandshake)


def sequence(cursor):
    return int(cursor.rsplit("-", 1)[1])


class Party(threading.Thread):
    """Somebody outside, who goes to whichever node answers. What can't be explained is its `failure`."""

    def __init__(self, cluster, name, seed):
        super().__init__(name=name, daemon=True)
        self.cluster = cluster
        self.choices = random.Random(f"{seed} {name}")
        self.stop = threading.Event()
        self.failure = None

    def node(self):
        """Any that is up, as far as anybody outside can know."""
        return self.choices.choice(self.cluster.up() or self.cluster.nodes)

    def turn(self):
        raise NotImplementedError

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.turn()
                except LOST as lost:
                    if isinstance(lost, InvalidStatus) and lost.response.status_code < 500:
                        raise AssertionError(f"refused: {lost.response}") from None
                    self.stop.wait(0.05)  # Not a wait for anything, only no busy loop.
        except BaseException as error:
            self.failure = f"{self.name}: {error!r}"


class Writer(Party):
    """Sends tips, each under its own id, and each again, at another node, until it is answered.

    Now and then it takes one back, or sends one again that was answered, which must be the same tip on every node.
    """

    def __init__(self, cluster, name, seed, slug, key, pause):
        super().__init__(cluster, name, seed)
        self.slug, self.key, self.pause = slug, key, pause
        self.acknowledged = []  # (tip id, cents, cursor) in the order of the answers.
        self.batches = []
        self.refunded = []  # (tip id, cursor)
        self.retries = self.repeats = 0
        self.open = None  # The request that was not answered yet.
        self.number = 0
        self._node = self._connection = None

    def turn(self):
        self.open = self.open or self.request()
        path, body = self.open
        if not self._connection or not self._node.is_up or self.choices.random() < 0.2:
            self.leave()
            self._node = self.node()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=PATIENCE)
        try:
            answer = self._node.post(path, body, key=self.key, connection=self._connection)
        except LOST:
            self.retries += 1
            self.leave()
            raise
        if answer.status == 503:
            self.retries += 1
            self.leave()
            self.stop.wait(0.02)
            return
        assert answer.status in (200, 201), answer
        self.open = None
        if body is None:
            self.refunded.append((answer.json["tip"]["id"], answer.json["cursor"]))
            return
        results = answer.json["results"] if "tips" in body else [answer.json]
        for result in results:
            self.acknowledged.append((result["tip"]["id"], result["tip"]["grossAmountInCents"], result["cursor"]))
        if "tips" in body:
            self.batches.append([tip["id"] for tip in body["tips"]])
        elif self.choices.random() < 0.03:
            self.open = f"{path}/{body['id']}/refund", None
        if self.choices.random() < 0.05:
            self.repeat()
        self.stop.wait(self.pause)

    def run(self):
        super().run()
        self.leave()

    def leave(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def request(self):
        path = f"/api/v1/pages/{self.slug}/tips"
        if self.choices.random() < 0.8:
            return path, self.tip()
        return path + ":batch", {"tips": [self.tip() for _ in range(self.choices.randrange(2, 6))]}

    def tip(self):
        self.number += 1
        identifier = f"{self.name}-{self.number}"
        return {"id": identifier, "message": identifier, "grossAmountInCents": self.choices.randrange(1, 2_000)}

    def repeat(self):
        identifier, cents, cursor = self.choices.choice(self.acknowledged)
        body = {"id": identifier, "message": identifier, "grossAmountInCents": cents}
        node = self.node()
        answer = node.post(f"/api/v1/pages/{self.slug}/tips", body, key=self.key, timeout=PATIENCE)
        if answer.status != 503:
            assert answer.status == 200 and answer.json["cursor"] == cursor, (node, cursor, answer)
            self.repeats += 1

    def finish(self, seconds=30.0):
        """Waits until nothing of it is open. To be called when the nodes are whole."""
        eventually(
            lambda: self.failure or not self.is_alive(), f"{self.name} to end", seconds)
        deadline = time.monotonic() + seconds
        while not self.failure and self.open:
            assert time.monotonic() < deadline, f"{self.name} never got its last answer"
            try:
                self.turn()
            except LOST:
                pass


class Listener(Party):
    """Comes back with its position. One with `patience` leaves a node that says nothing for so many seconds."""

    def __init__(self, cluster, name, seed, patience=None):
        super().__init__(cluster, name, seed)
        self.patience = patience
        self.seen = []
        # Of each visit the seconds since the beginning, the node, and how much had been seen by then.
        self.arrivals = []
        self.longest_gap = 0.0
        self._began = self._heard = time.monotonic()

    def visit(self, node):
        self.arrivals.append((round(time.monotonic() - self._began, 2), node.name, len(self.seen)))

    def note(self, entry):
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self._heard)
        self._heard = now
        self.seen.append(entry)

    def pieces(self, receive):
        """What `receive` gives, until it is to stop or loses its patience."""
        came = time.monotonic()
        while not self.stop.is_set():
            try:
                piece = receive(0.2)
            except TimeoutError:
                if self.patience and time.monotonic() - came > self.patience:
                    return
                continue
            came = time.monotonic()
            yield piece

    def last(self):
        """The number of the last event that it has seen."""
        return sequence(self.seen[-1][0]) if self.seen else 0

    def check(self, wanted):
        """Each event once, in order, none missing."""
        seen = self.observed()
        if seen == wanted:
            return
        known = set(map(repr, seen))
        missing = [one for one in wanted if repr(one) not in known]
        twice = [one for one, count in collections.Counter(map(repr, seen)).items() if count > 1]
        places = (place for place, (one, other) in enumerate(zip(seen, wanted)) if one != other)
        place = next(places, min(len(seen), len(wanted)))
        raise AssertionError(
            f"{self.name}: {len(seen)} seen, {len(wanted)} in the log; {len(missing)} missing {missing[:3]}, {len(twice)} "
            f"twice {twice[:3]}; at {place} {seen[place:place + 3]} instead of {wanted[place:place + 3]}; "
            f"the visits around it: {self.arrivals_about(seen[max(0, place - 1):place + 1])}")

    def arrivals_about(self, entries):
        """The visits in which these came, and those between."""
        places = [self.seen.index(one) for one in entries] or [0]
        ends = [seen for _, _, seen in self.arrivals[1:]] + [math.inf]
        return [
            arrival for arrival, end in zip(self.arrivals, ends) if arrival[2] <= places[-1] and end > places[0]]

    def observed(self):
        return self.seen


class FeedListener(Listener):
    """Of a Pally feed: (cursor, tip id)."""

    def __init__(self, cluster, name, seed, key, start, room=None, patience=None):
        super().__init__(cluster, name, seed, patience)
        self.key, self.cursor, self.room = key, start, room

    def turn(self):
        node = self.node()
        query = web.query(
            auth=self.key, channel="activity-feed" if self.room else "firehose", room=self.room, since=self.cursor)
        with Feed(node.port, query, open_timeout=PATIENCE) as feed:
            said = json.loads(feed.socket.recv(timeout=PATIENCE))
            wanted = {"type": "feed.resumed", "payload": {"status": "resumed", "cursor": self.cursor}}
            assert said == wanted, (node, said, wanted)
            self.visit(node)
            for text in self.pieces(lambda seconds: feed.socket.recv(timeout=seconds)):
                event = json.loads(text)
                self.cursor = event["cursor"]
                self.note((event["cursor"], event["payload"]["campaignTip"]["id"]))

    def wanted(self, log):
        return [(one["cursor"], one["data"]["id"]) for one in log if one["type"] == "tip.received"]


class StreamListener(Listener):
    """Of the Event Hook: (position, message)."""

    def __init__(self, cluster, name, seed, key, start, slug, patience=None):
        super().__init__(cluster, name, seed, patience)
        self.key, self.cursor, self.slug = key, start, slug

    def turn(self):
        node = self.node()
        with self.opened(node) as stream:
            head = [next_block(stream, PATIENCE) for _ in range(2)]
            if None in head:
                return
            assert head == [
                [f"id: {self.cursor}", 'data: {"type":"connected"}'],
                [f"id: {self.cursor}", 'data: {"type":"resumed","status":"resumed"}']], (node, head)
            self.visit(node)

            for lines in self.pieces(lambda seconds: next_block(stream, seconds)):
                if lines is None:
                    return
                if lines == [": keepalive"]:
                    continue
                position, data = lines
                self.cursor = position.removeprefix("id: ")
                self.note((self.cursor, json.loads(data.removeprefix("data: "))))

    def opened(self, node):
        try:
            return EventStream.open(
                node.port, web.query(token=self.key, page=self.slug), {"Last-Event-ID": self.cursor}, timeout=PATIENCE)
        except AssertionError as refused:
            if str(refused).startswith("503"):
                raise ConnectionError(str(refused)) from None
            raise

    def wanted(self, log):
        return goals.messages(log)


def next_block(stream, seconds):
    """The next lines of a stream, if they begin to come in time. What has begun to come has `PATIENCE` to end."""
    waiting = stream.connection
    if b"\n\n" not in stream.content and not waiting.buffer and not select.select([waiting.socket], [], [], seconds)[0]:
        raise TimeoutError
    waiting.socket.settimeout(PATIENCE)
    try:
        return stream.block()
    except TimeoutError:
        raise ConnectionError("it stands still amid a message") from None


class SocketListener(Listener):
    """Of EventSub by WebSocket: (message id, tip id). Its id is made on one node and used on all.

    After a crash a message may come again, the same; so of each the first counts. A restless one takes its leave every few
    seconds, and reads on until the node has done so too: what is on the way to a client that has gone is lost, by the
    dialect's own rule.
    """

    def __init__(self, cluster, name, seed, data, is_restless=False):
        super().__init__(cluster, name, seed)
        self.data, self.is_restless = data, is_restless
        self.bodies = {}
        self.refusals = collections.Counter()

    def turn(self):
        node = self.node()
        with self.opened(node) as socket:
            self.visit(node)
            stay = self.choices.uniform(1, 6) if self.is_restless else math.inf
            began, is_leaving = time.monotonic(), False
            while not self.stop.is_set():
                if not is_leaving and time.monotonic() - began > stay:
                    socket.send(close_frame(1000))
                    is_leaving = True
                if not socket.buffer and not select.select([socket.socket], [], [], 0.2)[0]:
                    continue
                _, opcode, payload = socket.next()
                if opcode == PING:
                    socket.send(frame(PONG, payload))
                elif opcode == CLOSE:
                    return
                else:
                    self.hear(payload.decode())

    def opened(self, node):
        try:
            return RawEventSubSocket(node, self.data, timeout=PATIENCE)
        except AssertionError as refused:
            if str(refused).startswith("503"):
                raise ConnectionError(str(refused)) from None
            raise

    def hear(self, text):
        message = json.loads(text)
        if message["type"] == "disconnect":
            # Another socket still counts as there, or this one ends.
            self.refusals[message["data"]["msg"]] += 1
            self.stop.wait(0.2)
            return
        assert message["type"] == "message" and message["subscription"] == self.data, message
        assert self.bodies.setdefault(message["id"], text) == text, "the same id, another message"
        self.note((message["id"], message["data"]["id"]))

    def observed(self):
        return list(dict.fromkeys(self.seen))

    wanted = FeedListener.wanted


class Visitor(Party):
    """Comes with a key that one node has made, listens at another, and is shown out by a third."""

    def __init__(self, cluster, name, seed, account, slug):
        super().__init__(cluster, name, seed)
        self.account, self.slug = account, slug
        self.times = 0
        self.slowest = 0.0

    def turn(self):
        made = self.persists(lambda node: node.post(
            "/api/v1/keys", {"name": self.name, "account": self.account, "pages": [self.slug]}, timeout=PATIENCE), 201)
        if not made:
            return
        key = made.json
        query = web.query(auth=key["key"], channel="activity-feed", room=self.slug)
        feed = self.enters(query)
        if not feed:
            return
        with feed:
            if not self.revokes(key["id"]):
                return
            began = time.monotonic()
            try:
                while True:
                    feed.socket.recv(timeout=max(0.0, began + LONGEST_STAY - time.monotonic()))
            except TimeoutError:
                if feed.node.is_up:
                    raise AssertionError(
                        f"{feed.node} serves the revoked key {key['id']} {LONGEST_STAY} s later") from None
            except ConnectionClosed as closed:
                if closed.rcvd and closed.rcvd.code == 1008:
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.times += 1
        for node in self.cluster.nodes:
            eventually(
                lambda: self.stop.is_set() or self.status(node, query) == 401, f"{node} to refuse a revoked key",
                LONGEST_STAY)
        self.stop.wait(1)

    def persists(self, call, status):
        """Asks one node after the other until one has done it; its answer, or None at the end."""
        while not self.stop.is_set():
            with contextlib.suppress(*LOST):
                answer = call(self.node())
                if answer.status == status:
                    return answer
                assert answer.status >= 500, answer
            self.stop.wait(0.05)
        return None

    def revokes(self, identifier):
        """The same for a key. That a node doesn't know it may be news that it hasn't heard, or the work of a request whose answer
        was lost, once it is said again and again."""
        began, is_lost, unknown = time.monotonic(), False, 0
        while not self.stop.is_set():
            try:
                answer = self.node().delete(f"/api/v1/keys/{identifier}", timeout=PATIENCE)
                if answer.status == 204:
                    return True
                assert answer.status == 404 or answer.status >= 500, answer
                unknown = unknown + 1 if answer.status == 404 else 0
                is_lost = is_lost or answer.status >= 500
                if is_lost and unknown > 20:
                    return True
                assert unknown < 20 or time.monotonic() - began < LONGEST_STAY, "no node knows a key that was made"
            except LOST:
                is_lost = True
            self.stop.wait(0.1)
        return False

    def enters(self, query):
        began = time.monotonic()
        while not self.stop.is_set():
            node = self.node()
            try:
                feed = Feed(node.port, query, open_timeout=PATIENCE)
                feed.node = node
                return feed
            except InvalidStatus as refused:
                # Known there soon, but perhaps not yet.
                assert refused.response.status_code in (401, 403, 503), refused.response
                assert time.monotonic() - began < LONGEST_STAY, f"{node} doesn't know a key: {refused.response}"
            except LOST:
                pass
            self.stop.wait(0.05)
        return None

    @staticmethod
    def status(node, query):
        try:
            return node.handshake(query, timeout=PATIENCE).status
        except LOST:
            return None


class Hooked:
    """A webhook: nobody comes back, it is told again."""

    def __init__(self, hook, endpoint, name):
        self.hook, self.endpoint, self.name = hook, endpoint, name

    failure = None
    wanted = FeedListener.wanted

    def last(self):
        # The last may be one that came again.
        return max((sequence(request.id) for request in self.endpoint.received[-50:]), default=0)

    @property
    def seen(self):
        return self.endpoint.received

    def check(self, wanted):
        """Each at least once, and the first time in order."""
        ids = [cursor for cursor, _ in wanted]
        delivered = self.endpoint.delivered()
        missing = [one for one in ids if one not in delivered]
        assert not missing, f"{self.name}: {len(missing)} of {len(ids)} never came: {missing[:5]}"
        assert self.endpoint.order() == ids, f"{self.name}: not in the order of the log"
        bodies = {}
        for request in list(self.endpoint.received):
            request.check()
            assert bodies.setdefault(request.id, request.body) == request.body, "the same id, another message"

    @property
    def repeats(self):
        return len(self.endpoint.received) - len(self.endpoint.order())


class Ledger:
    """Two pages, one of them with goals; writers to both, and listeners of every dialect."""

    def __init__(self, cluster, receiver=None, seed=0, writers=3, pause=0.02, name="trial"):
        self.cluster, self.seed, self.name = cluster, seed, name
        node = cluster[0]
        self.account = node.account(name)
        self.slugs = [node.page(f"{name}-{number}", owner=self.account) for number in (1, 2)]
        self.key = node.key("events:read", "tips:write", "manage", account=self.account)
        subscribing = node.key("Funplace::eventsub", account=self.account, pages=self.slugs[:1])
        for number in range(1, 41):
            node.goal(self.slugs[0], 5_000 * number, f"Goal {number}")
        # No cent is without a goal.
        node.goal(self.slugs[0], 10_000_000_000, "The last")
        # What was just made is known everywhere before anybody uses it.
        for other in cluster:
            eventually(
                lambda: other.get(f"/api/v1/pages/{self.slugs[1]}/tips", key=self.key).status == 200
                and other.get("/api/eventsub/list", key=subscribing).status == 200,
                f"node {other.name} to know the page and the keys", 5)
        start = node.head(self.slugs[0])
        self.start = sequence(start)
        first, second = self.slugs
        self.writers = [
            Writer(cluster, f"{name}-writer-{number}", seed, self.slugs[number % 2], self.key, pause)
            for number in range(writers)]
        self.streams = [
            FeedListener(cluster, "firehose, patient", seed, self.key, start),
            FeedListener(cluster, "firehose", seed, self.key, start, patience=2.0),
            FeedListener(cluster, "activity feed", seed, self.key, start, room=first, patience=2.0),
            StreamListener(cluster, "event stream, patient", seed, self.key, start, first),
            StreamListener(cluster, "event stream", seed, self.key, start, second, patience=2.0)]
        self.sockets = [
            SocketListener(
                cluster, f"eventsub{', restless' if is_restless else ''}", seed,
                subscribe(cluster[number % len(cluster.nodes)], subscribing), is_restless)
            for number, is_restless in enumerate((False, True))]
        self.visitor = Visitor(cluster, "visitor", seed, self.account, first)
        self.hooks = []
        if receiver:
            for number, slug in enumerate(self.slugs):
                endpoint = receiver.endpoint(answers())
                made = webhook(cluster[number % len(cluster.nodes)], slug, endpoint)
                self.hooks.append(Hooked(made, endpoint, f"webhook {number + 1}"))

    @property
    def listeners(self):
        return self.streams + self.sockets + self.hooks

    def __enter__(self):
        for party in self.people:
            party.start()
        return self

    def __exit__(self, *_):
        for party in self.people:
            party.stop.set()

    @property
    def people(self):
        return self.writers + self.streams + self.sockets + [self.visitor]

    def failures(self):
        return [party.failure for party in self.people if party.failure]

    def acknowledged(self):
        return sum(len(writer.acknowledged) for writer in self.writers)

    def slugs_of(self, listener):
        """The pages that it hears of."""
        if isinstance(listener, FeedListener):
            return [listener.room] if listener.room else self.slugs
        if isinstance(listener, StreamListener):
            return [listener.slug]
        if isinstance(listener, Hooked):
            return [self.slugs[self.hooks.index(listener)]]
        return self.slugs[:1]

    def caught_up(self, listeners, seconds=30.0):
        """Sends a tip to each page, and waits until all that hear of it have seen it; how long that took."""
        began = time.monotonic()
        marks = {}
        for slug in self.slugs:
            marks[slug] = eventually(lambda: self._mark(slug), "a node that takes a tip", seconds)
        for listener in listeners:
            wanted = max(marks[slug] for slug in self.slugs_of(listener))
            eventually(
                lambda: self.failures() or listener.last() >= wanted,
                f"{listener.name} to see event {wanted} ({len(listener.seen)} seen so far)",
                max(0.1, seconds - (time.monotonic() - began)))
            assert not self.failures(), self.failures()
        return time.monotonic() - began

    def _mark(self, slug):
        for node in self.cluster.up():
            try:
                answer = node.post(
                    f"/api/v1/pages/{slug}/tips", {"grossAmountInCents": 1, "message": "mark"}, key=self.key, timeout=PATIENCE)
            except LOST:
                continue
            if answer.status == 201:
                return sequence(answer.json["cursor"])
        return None

    def end(self, seconds=60.0):
        """Stops the writers, waits until everybody has seen everything, and stops the listeners."""
        for writer in self.writers:
            writer.stop.set()
        for writer in self.writers:
            writer.join(PATIENCE * 3)
            writer.finish()
        assert not self.failures(), self.failures()
        self.caught_up(self.listeners, seconds)
        for party in self.people:
            party.stop.set()
        for party in self.people:
            party.join(LONGEST_STAY + PATIENCE)
            assert not party.is_alive(), f"{party.name} doesn't end"
        assert not self.failures(), self.failures()

    def prove(self):
        """What all of it must have come to. Returns lines that say so, with figures."""
        said = []
        logs = [{slug: node.log(slug) for slug in self.slugs} for node in self.cluster]
        for node, other in zip(self.cluster, logs):
            assert other == logs[0], f"node {node.name} has another log than {self.cluster[0].name}"
        log = logs[0]
        events = sorted((event for slug in self.slugs for event in log[slug]), key=lambda event: sequence(event["cursor"]))
        numbers = [sequence(event["cursor"]) for event in events]
        assert len(set(numbers)) == len(numbers) and len({event["cursor"].split("-")[0] for event in events}) == 1
        said.append(("events in the log, the same on all nodes", len(events)))

        tips = {slug: [one for one in log[slug] if one["type"] == "tip.received"] for slug in self.slugs}
        promised = {}
        for writer in self.writers:
            entries = answered(log[writer.slug])
            lost = [one for one in writer.acknowledged if entries.get(one[0]) != one[1:]]
            assert not lost, f"{writer.name}: promised but not so in the log: {lost[:5]}"
            order = [sequence(cursor) for _, _, cursor in writer.acknowledged]
            assert order == sorted(order), f"{writer.name}: not in the order of its answers"
            promised[writer.slug] = promised.get(writer.slug, set()) | {one[0] for one in writer.acknowledged}
            ids = [one["data"]["id"] for one in tips[writer.slug]]
            places = {identifier: place for place, identifier in enumerate(ids)}
            for batch in writer.batches:
                place = places[batch[0]]
                assert ids[place:place + len(batch)] == batch, "a batch was torn"
        refunds = [one["data"]["id"] for one in events if one["type"] == "tip.refunded"]
        asked = [identifier for writer in self.writers for identifier, _ in writer.refunded]
        assert sorted(refunds) == sorted(asked), "a refund is lost, or in the log twice, or nobody's"
        for slug in self.slugs:
            ids = [one["data"]["id"] for one in tips[slug]]
            assert len(set(ids)) == len(ids), f"{slug}: a tip is in the log twice"
            unknown = {one["data"]["id"] for one in tips[slug] if one["data"]["message"] != "mark"} - promised[slug]
            assert not unknown, f"{slug}: the log has what nobody was promised: {list(unknown)[:5]}"
            for node in self.cluster:
                assert listed_tips(node, slug)[::-1] == ids, f"node {node.name} lists other tips of {slug} than the log has"
        count = sum(map(len, promised.values()))
        said.append(("tips acknowledged, each once in the log and in every node's list", count))
        said.append(("requests that were sent again, to any node, until answered", sum(one.retries for one in self.writers)))
        said.append(("acknowledged tips sent again, the same tip on every node", sum(one.repeats for one in self.writers)))

        said.append(("refunds, each once in the log", len(refunds)))

        queue = goals.followed(log[self.slugs[0]])
        for node in self.cluster:
            assert node.goals(self.slugs[0]) == queue.listed(), f"node {node.name} has other goals than the log leads to"
        gained = sum(goal["progressInCents"] for goal in queue.goals)
        total = sum(one["data"]["grossAmountInCents"] for one in tips[self.slugs[0]])
        taken = sum(
            cents["amountInCents"] for one in log[self.slugs[0]] for cents in one["data"].get("change", {}).get("taken", []))
        assert gained == total - taken, f"the goals have {gained} of {total} cents, of which {taken} were taken back"
        said.append(("cents in goals, the same on all nodes, as the tips gave", gained))

        for path in ("pages", "keys", "accounts", "subscriptions"):
            # What was delivered last is written down a moment later.
            def lists():
                found = [directory(node, path) for node in self.cluster]
                return all(one == found[0] for one in found)
            eventually(lists, f"the nodes to agree about /{path}", 5)
        said.append((
            f"keys made on one node, used on another, revoked on a third; slowest end of a stream {self.visitor.slowest:.1f} s",
            self.visitor.times))

        for listener in self.listeners:
            slugs = self.slugs_of(listener)
            mine = [event for event in events if event["page"] in slugs and sequence(event["cursor"]) > self.start]
            wanted = listener.wanted(mine)
            listener.check(wanted)
            if isinstance(listener, Hooked):
                said.append((f"{listener.name}: delivered, in order; {listener.repeats} more than once", len(wanted)))
            else:
                where = ", ".join(f"{name} {times}" for name, times in sorted(collections.Counter(node for _, node, _ in listener.arrivals).items()))
                twice = len(listener.seen) - len(listener.observed())
                said.append((
                    f"{listener.name}: seen {'once' if not twice else f'({twice} twice)'}, in order; connected to {where}; "
                    f"longest silence {listener.longest_gap:.1f} s", len(wanted)))
        return said


def directory(node, path):
    """What a node says there is, but for what it may be late with, or what the one that sends webhooks alone knows."""
    answer = node.get(f"/api/v1/{path}?limit=1000")
    assert answer.status == 200, answer
    late = ("lastUsedAt", "last_failure", "next_attempt_at", "paused_until", "url")
    return [{name: value for name, value in one.items() if name not in late} for one in answer.json["data"]]


def answered(log):
    """What each tip of a page's log must have been answered with: {tip id: (cents, cursor of the last event that it caused)}."""
    found, tip = {}, None
    for event in log:
        if event["type"] == "tip.received":
            tip = event["data"]
        elif event["type"] not in ("goal.completed", "goal.chain") and event["data"].get("change", {}).get("kind") != "tip":
            tip = None
        if tip:
            found[tip["id"]] = (tip["grossAmountInCents"], event["cursor"])
    return found


def listed_tips(node, slug):
    """The ids of a page's tips, newest first, as the API lists them."""
    found, after = [], None
    while True:
        answer = node.get(f"/api/v1/pages/{slug}/tips?" + web.query(limit=1000, after=after))
        assert answer.status == 200, answer
        found += [tip["id"] for tip in answer.json["data"]]
        if (after := answer.json["next"]) is None:
            return found
