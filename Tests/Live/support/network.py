"""Hosts on one machine: network namespaces on a bridge, each with a cable of its own that can be pulled."""

import os
import subprocess

# Of the bridge, where everything is that isn't a node; the hosts follow it.
_SUBNET = "10.213.77"
PORT = 8080


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """Reached by nobody but this machine."""

    address = f"{_SUBNET}.1"
    # As a setting of networks that webhooks may go to.
    subnet = f"{_SUBNET}.0/24"

    def __init__(self):
        self.name = f"tw{os.getpid()}"
        self.hosts = []
        _ip("link", "add", self.name, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def host(self):
        host = Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    def close(self):
        for host in self.hosts:
            host.close()
        _ip("link", "delete", self.name)


class Host:
    def __init__(self, network, number):
        self.namespace = self._cable = f"{network.name}-{number}"
        self.address = f"{_SUBNET}.{number + 1}"
        _ip("netns", "add", self.namespace)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _ip("link", "set", self._cable, "master", network.name, "up")
        for command in (
                ["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                ["link", "set", "lo", "up"]):
            _ip("-n", self.namespace, *command)

    def inside(self, command):
        """A command that runs there, as the same process."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def pull(self):
        """What is on its way is lost, and what is sent from now on. Nobody is told."""
        _ip("link", "set", self._cable, "down")

    def plug(self):
        _ip("link", "set", self._cable, "up")

    def close(self):
        _ip("netns", "delete", self.namespace)
