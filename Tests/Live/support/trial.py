"""Faults, one after the other, on nodes that work: what was done, and how soon all went on."""

import collections
import time

from .nodes import RECENT
from .waiting import eventually

# Tips that are taken before the next fault: it has to meet nodes at work.
CALM = 30
# After a fault is over, seconds within which every stream with a cursor must be level with the log.
RECOVERY = 30.0
# The same for what a dead node had: EventSub's sockets. Webhooks are waited for at the end.
INHERITANCE = 45.0


class Trial:
    """Does harm to a cluster by the choices that it is given, while a ledger is kept."""

    def __init__(self, cluster, ledger, choices, say=print, waits_for_sockets=True, only=None):
        self.cluster, self.ledger, self.choices, self.say = cluster, ledger, choices, say
        self.waits_for_sockets, self.only = waits_for_sockets, only
        self.count = collections.Counter()
        self.slowest = collections.Counter()
        self._bag = []

    @property
    def faults(self):
        found = [
            self.kill, self.kill_the_sender, self.suspend, self.end, self.cut_from_the_database,
            self.freeze_before_the_database, self.restart_the_database, self.crash_the_database, self.terminate_sessions]
        found += [self.cut_from_nats, self.kill_nats] if self.cluster.nats else []
        found += [self.pull_the_cable] if self.cluster.network else []
        return [fault for fault in found if (self.only or "") in fault.__name__]

    def run(self, seconds):
        """Harm until so much time is over, and each kind once before any is done again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.step()
        return self

    def step(self):
        if not self._bag:
            self._bag = self.choices.sample(self.faults, len(self.faults))
        self.do(self._bag.pop())

    def do(self, fault):
        calm = self.ledger.acknowledged()
        eventually(
            lambda: self.ledger.acknowledged() >= calm + CALM or self.ledger.failures(), "work between two faults", 20)
        assert not self.ledger.failures(), self.ledger.failures()
        before = self.ledger.acknowledged()
        began = time.monotonic()
        what = fault()
        took = time.monotonic() - began
        eventually(
            lambda: all(node.is_ready() for node in self.cluster.up()), f"all nodes to be ready after this: {what}", 30)
        recovered = self.ledger.caught_up(
            self.ledger.streams + (self.ledger.sockets if self.waits_for_sockets else []),
            INHERITANCE if self.waits_for_sockets else RECOVERY)
        kind = fault.__name__.replace("_", " ")
        self.count[kind] += 1
        self.slowest[kind] = max(self.slowest[kind], recovered)
        self.say(
            f"{what} ({took:.1f} s); {self.ledger.acknowledged() - before} tips were taken meanwhile; all streams level "
            f"{recovered:.2f} s after it")

    def node(self):
        return self.choices.choice(self.cluster.up())

    def hold(self, shortest=0.5, longest=4.0):
        """How long the fault lasts is left to chance: this is the fault, no wait for anything."""
        time.sleep(self.choices.uniform(shortest, longest))

    # Of a node

    def kill(self, node=None):
        node = node or self.node()
        node.kill()
        self.hold(0.0, 3.0)
        node.start()
        return f"node {node.name} was killed by SIGKILL and started again"

    def kill_the_sender(self):
        """Whoever sends the webhooks; any, if nobody does."""
        listed = self.cluster.up()[0].listed()
        names = {one["name"] for one in listed if one["sendsWebhooks"] and one["silentMilliseconds"] < RECENT}
        sender = next((node for node in self.cluster.up() if node.name in names), None)
        return self.kill(sender) + (", which sent the webhooks" if sender else "")

    def suspend(self):
        node = self.node()
        node.suspend()
        self.hold(1.0, 15.0 if self.waits_for_sockets else 3.0)
        node.resume()
        return f"node {node.name} stood still"

    def end(self):
        node = self.node()
        status, _ = node.terminate(40)
        assert status == 0, f"exit status {status}: {node.stderr[-2000:]}"
        node.start()
        return f"node {node.name} was ended by SIGTERM and started again"

    # Of what lies between

    def cut_from_the_database(self):
        node = self.node()
        node.database.cut()
        self.hold(longest=12.0 if self.waits_for_sockets else 3.0)
        node.database.heal()
        return f"node {node.name} was cut from the database"

    def freeze_before_the_database(self):
        node = self.node()
        node.database.freeze()
        self.hold(longest=12.0 if self.waits_for_sockets else 3.0)
        node.database.heal()
        return f"node {node.name}'s way to the database was frozen"

    def cut_from_nats(self):
        node = self.node()
        node.wakeup.cut()
        self.hold()
        node.wakeup.heal()
        return f"node {node.name} was cut from NATS"

    def pull_the_cable(self):
        """Packets are lost, both ways: to its clients too, which are told nothing."""
        node = self.node()
        node.host.pull()
        self.hold(longest=12.0)
        node.host.plug()
        return f"node {node.name}'s cable was pulled, and put in again"

    # Of what they share

    def restart_the_database(self):
        self.cluster.postgres.restart("fast")
        return "the database was restarted"

    def crash_the_database(self):
        self.cluster.postgres.stop("immediate")
        self.hold(0.0, 2.0)
        self.cluster.postgres.start()
        return "the database crashed (immediate stop) and was started again"

    def terminate_sessions(self):
        return f"{self.cluster.postgres.terminate_sessions()} sessions of the database were terminated"

    def kill_nats(self):
        self.cluster.nats.kill()
        self.hold()
        self.cluster.nats.start()
        return "NATS was killed by SIGKILL and started again"

    def table(self):
        return [
            (f"{kind}: slowest return of all streams {self.slowest[kind]:.2f} s", times)
            for kind, times in sorted(self.count.items())]
