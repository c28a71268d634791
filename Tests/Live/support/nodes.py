"""Several servers on one PostgreSQL, each with a way of its own to it, and to NATS if they have one."""

import os
import pathlib
import shutil
import signal
import subprocess
import threading
import types

from . import http as web
from .link import Link, Loop
from .network import PORT, Network
from .ownpostgres import OwnPostgres, free_port
from .server import Server, fresh
from .waiting import eventually
from .webhooks import ALLOWED

NAMES = "abc"
# Seconds within which what one node was told is so on all of them.
SOON = 2.0
# Milliseconds: who was silent for longer has missed two beats.
RECENT = 3_000
# Seconds within which another node sends the webhooks when the one that did is dead: its lease, a beat, and some patience.
HANDOVER = 13.0


class Nats:
    """A nats-server on a free port of 127.0.0.1, which keeps nothing.

    `more` are options of its command line.
    """

    def __init__(self, folder, *more):
        self._more = list(map(str, more))
        self.port, self._monitor = free_port(), free_port()
        self._log = open(pathlib.Path(folder) / "nats.log", "ab")
        self.process = None
        self.start()

    @staticmethod
    def program():
        return shutil.which("nats-server")

    def start(self):
        self.process = subprocess.Popen(
            [self.program(), "-a", "127.0.0.1", "-p", str(self.port), "-m", str(self._monitor), *self._more],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        eventually(lambda: self._says("connections") is not None, "NATS to start")

    def _says(self, name):
        try:
            return web.request(self._monitor, "GET", "/varz").json[name]
        except OSError:
            return None

    def messages(self):
        """How many were sent to it so far."""
        return self._says("in_msgs")

    def clients(self):
        return self._says("connections")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        self._log.close()


class Node(Server):
    """One of them. Its data folder, and so its admin key, is its own.

    With a `host` it runs there, and is reached by `front`, a link.
    """

    def __init__(self, name, data, database, wakeup=None, options=(), log_level="info", host=None, front=None):
        self.name = name
        self.host, self.front = host, front
        self.database, self.wakeup = database, wakeup
        # Whoever it calls on the network of hosts is ours as well.
        allowed = [*ALLOWED[:-1], f"{ALLOWED[-1]},{Network.subnet}"] if host else ALLOWED
        more = ["--node-name", name, "--auth-max-failures-per-minute", "0", *allowed, *options]
        super().__init__(data, *more, log_level=log_level)
        self.is_suspended = False

    @property
    def links(self):
        return [link for link in (self.database, self.wakeup, self.front) if link]

    def start(self, *more, seconds=30.0):
        if not self.host:
            return super().start(*more, seconds=seconds)
        self.port = PORT
        super().start("--host", self.host.address, *more, seconds=seconds)
        self.port = self.front.port
        return self

    def command(self, *more):
        command = super().command(*more)
        return self.host.inside(command) if self.host else command

    def reached_by(self, url, wakeup=None):
        self.options += ["--database", url]
        if wakeup:
            self.options += ["--wakeup", wakeup]
        return self

    @property
    def is_up(self):
        """Whether a client may expect an answer of it."""
        return bool(self.process) and self.process.poll() is None and not self.is_suspended

    def suspend(self):
        """As a machine that stands still: connections are taken, and nothing is said."""
        self.is_suspended = True
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_suspended = False

    def kill(self):
        if self.process:
            super().kill()
        self.is_suspended = False

    def is_ready(self):
        try:
            return self.get("/ready", key=None, timeout=3).status == 200
        except OSError:
            return False

    def listed(self):
        """The nodes as this one lists them, those that are gone and not yet forgotten too."""
        # A database that was just gone is tried again within a second.
        answer = eventually(
            lambda: next((one for one in [self.get("/api/v1/nodes")] if one.status != 503), None), f"{self}'s list")
        assert answer.status == 200, answer
        return answer.json["data"]

    def knows(self):
        """The names of those that it has heard of lately."""
        return sorted(one["name"] for one in self.listed() if one["silentMilliseconds"] < RECENT)

    def __repr__(self):
        return f"<node {self.name}>"


class Cluster:
    """The database, the nodes, and what lies between them."""

    def __init__(self, folder, count=3, nats=False, options=(), log_level="info", network=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._loop = Loop()
        self.network = network
        self._guests = []
        self.postgres = OwnPostgres()
        self.nats = Nats(self.folder) if nats else None
        self.nodes = []
        for name in NAMES[:count]:
            host = network.host() if network else None
            here = network.address if network else "127.0.0.1"
            database = Link(self._loop, self.postgres.port, (here, 0))
            wakeup = Link(self._loop, self.nats.port, (here, 0)) if nats else None
            front = Link(self._loop, PORT, host=host.address) if host else None
            node = Node(name, self.folder / name, database, wakeup, options, log_level, host, front)
            self.nodes.append(
                node.reached_by(
                    self.postgres.url(database.port, host=here), wakeup and f"nats://{here}:{wakeup.port}"))

    def invite(self, receiver):
        """Lets nodes on hosts of their own reach a receiver of this machine at the same port."""
        self._guests.append(Link(self._loop, receiver.port, (self.network.address, receiver.port)))

    def start(self):
        """All at once."""
        failures = []

        def one(node):
            try:
                node.start()
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=one, args=(node,)) for node in self.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return self.settle()

    def mend(self):
        """Heals, resumes and starts whatever needs it."""
        if not any(node.process for node in self.nodes):
            return self.start()
        for node in self.nodes:
            for link in node.links:
                link.heal()
            if node.is_suspended:
                node.resume()
            if node.process and node.process.poll() is not None:
                node.kill()
                node.start()
        if self.nats and self.nats.process.poll() is not None:
            self.nats.start()
        return self.settle()

    def settle(self, seconds=30.0):
        """Waits until every node is ready, each lists them all, and one of them sends the webhooks."""
        names = [node.name for node in self.nodes]
        eventually(lambda: all(node.is_ready() for node in self.nodes), "all nodes to be ready", seconds, every=0.05)
        eventually(
            lambda: all(node.knows() == names for node in self.nodes), "all nodes to know each other", seconds,
            every=0.05)
        self.sender()
        return self

    def __iter__(self):
        return iter(self.nodes)

    def __getitem__(self, place):
        return self.nodes[place]

    def up(self):
        return [node for node in self.nodes if node.is_up]

    def sender(self):
        """The node that sends the webhooks."""
        def found():
            sending = {
                one["name"] for one in self.up()[0].listed()
                if one["sendsWebhooks"] and one["silentMilliseconds"] < RECENT}
            return next((node for node in self.up() if node.name in sending), None)
        return eventually(found, "a node that sends", HANDOVER, every=0.1)

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    def close(self):
        for node in self.nodes:
            if node.is_suspended:
                os.kill(node.process.pid, signal.SIGCONT)
            node.kill()
            for link in node.links:
                link.close()
        for guest in self._guests:
            guest.close()
        if self.nats:
            self.nats.close()
        self.postgres.close()
        self._loop.close()


def make_cast(nodes):
    """An account with a page, a member, and their keys, made on one node and known on all."""
    first = nodes[0]
    owner, member = (first.account(fresh(name)) for name in ("owner", "member"))
    made = first.page_object(owner=owner)
    slug = made["slug"]
    assert first.call("PUT", f"/api/v1/pages/{slug}/members/{member}").status == 204
    key = first.key_object("events:read", "tips:write", "Funplace::eventsub", account=member, pages=[slug])
    cast = types.SimpleNamespace(
        owner=owner, member=member, slug=slug, profile=made["profileId"], key=key["key"], key_id=key["id"],
        everything=first.key("events:read", account=owner))
    for node in nodes:
        known(node, cast.slug, cast.key, cast.everything)
    return cast


def known(node, slug, *keys):
    """Waits until a node knows a page, and these keys for it."""
    for key in keys:
        eventually(
            lambda: node.get(f"/api/v1/pages/{slug}/tips", key=key).status == 200, f"{node} to know {slug}", SOON)
