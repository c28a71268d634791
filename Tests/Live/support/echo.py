"""`websocket-echo`, as a child process: the server's WebSocket code without a server around it."""

import os
import pathlib
import re
import subprocess

from .memory import resident
from .server import ROOT

ECHOING = re.compile(r"^Echoing on ws://127\.0\.0\.1:(\d+)/$")


class Echo:
    def __init__(self):
        path = pathlib.Path(os.environ.get("WEBSOCKET_ECHO_BINARY") or ROOT / ".build/debug/websocket-echo")
        self.process = subprocess.Popen(
            [path.resolve(), "--port", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = ECHOING.match(line.rstrip("\n"))
        assert match, f"no 'Echoing' line but {line!r}"
        self.port = int(match.group(1))
        self.url = f"ws://127.0.0.1:{self.port}/"

    def resident(self):
        return resident(self.process.pid)

    def close(self):
        assert self.process.poll() is None, f"it ended by itself, with status {self.process.returncode}"
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
