"""`tipwire doctor`, and what it said."""

import re
import subprocess

from .server import binary, environment


class Report:
    """What it said of each thing: `url`, `port` and so on."""

    def __init__(self, done):
        self.status, self.said = done.returncode, done.stdout + done.stderr
        self.lines = re.findall(r"^(ok|warning|problem)  ([a-z]+): (.*)$", done.stdout, re.MULTILINE)
        assert len(self.lines) == len(done.stdout.splitlines()), done.stdout

    def of(self, subject, verdict=None):
        return [text for word, about, text in self.lines if about == subject and verdict in (None, word)]

    @property
    def problems(self):
        return {about for word, about, _ in self.lines if word == "problem"}

    def __repr__(self):
        return f"<exit {self.status}\n{self.said}>"


def doctor(*options, **env):
    return Report(subprocess.run(
        [binary(), "doctor", *map(str, options)], capture_output=True, text=True, timeout=60, env=environment(**env)))


def examine(server, *options, **env):
    return doctor("--data", server.data, "--port", server.port, *options, **env)
