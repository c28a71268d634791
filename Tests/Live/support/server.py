"""The real server, as a child process."""

import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from . import http as web
from . import postgres
from .eventstream import STREAM, EventStream
from .feed import Feed
from .memory import resident
from .output import Output
from .waiting import eventually

ROOT = pathlib.Path(__file__).resolve().parents[3]
LISTENING = re.compile(r"^Tipwire is listening on https?://[\d.]+:(\d+)$")
_numbers = itertools.count(1)


def binary():
    path = pathlib.Path(os.environ.get("TIPWIRE_BINARY") or ROOT / ".build/debug/tipwire")
    return str(path if path.is_absolute() else (pathlib.Path.cwd() / path).resolve())


def wrapped(path, before):
    """A program in the server's place: a script that starts it behind `before`, the beginning of a command in the shell."""
    path.write_text(f"#!/bin/sh\n{before} '{binary()}' \"$@\"\n")
    path.chmod(0o755)
    return path


def environment(**more):
    """The environment without any setting of Tipwire's that the developer happens to have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIPWIRE_")}
    # A crash is told by its signal at once; Swift's own report of it takes minutes of reading symbols.
    return kept | {"SWIFT_BACKTRACE": "enable=no"} | more


def fresh(prefix):
    """A name that no other test uses."""
    return f"{prefix}-{next(_numbers)}"


class Server:
    """`tipwire serve` on a free port of 127.0.0.1. Its output is kept for the whole run in `logs`."""

    logs = None
    running = []

    def __init__(self, data, *options, port=0, log_level="debug", env=None, certificate=None, program=None):
        self.data = pathlib.Path(data)
        self.options = list(options)
        self.context = None
        if certificate:
            # What speaks to it through this object then speaks TLS, and trusts this certificate alone.
            self.options += ["--tls-certificate", str(certificate.certificate), "--tls-key", str(certificate.key)]
            self.context = certificate.context
        self.port = port
        self.log_level = log_level
        self.env = env or {}
        self.program = program or binary()
        self.process = None
        self.output = None
        self.admin = None

    # Life

    def start(self, *more, seconds=30.0):
        """Starts it and returns once it accepts connections."""
        if self.output:
            assert self.process.poll() is not None, "it runs already"
            self._gone()
        number = next(_numbers)
        kind = "demo-stdout" if "--demo" in self.options else "stdout"
        self.stderr_path = pathlib.Path(Server.logs) / f"{number}.stderr"
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                self.command(*more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, env=environment(**self.env))
        began = time.monotonic()
        Server.running.append(self)
        self.output = Output(self.process.stdout, pathlib.Path(Server.logs) / f"{number}.{kind}")
        match = self.output.first(LISTENING, seconds)
        if not match:
            took = time.monotonic() - began
            try:
                # Its output ends a moment before it does.
                state = f"exit status {self.process.wait(1)}"
            except subprocess.TimeoutExpired:
                state = "still running"
            self.kill()
            raise AssertionError(
                f"no 'listening' line but {self.stdout} in {took:.1f} s, {state}; "
                f"standard error: {self.stderr[-2000:]}")
        self.port = int(match.group(1))
        self.admin = (self.data / "admin.key").read_text().strip()
        return self

    def command(self, *more):
        """What starts it."""
        command = [str(self.program), "serve", "--port", str(self.port), "--data", str(self.data)]
        if self.log_level:
            command += ["--log-level", self.log_level]
        if postgres.GIVEN and "--database" not in self.options:
            command += ["--database", postgres.database_for(self.data)]
        return command + self.options + list(more)

    def wait_for_line(self, pattern, seconds=10.0):
        """The first match of `pattern` in a line of standard output."""
        match = self.output.first(pattern, seconds)
        assert match, f"no line like {pattern!r} in {self.stdout}"
        return match

    def terminate(self, seconds=15.0, by=signal.SIGTERM):
        """Asks it to end; returns the exit status and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(by)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {seconds} s after {by!r}: {self.stderr[-2000:]}") from None
        took = time.monotonic() - began
        self._gone()
        return status, took

    def kill(self):
        """SIGKILL: no chance to tidy up."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._gone()

    def _gone(self):
        self.output.close()
        if self in Server.running:
            Server.running.remove(self)

    def close(self):
        """Ends it whatever state it is in. It must go willingly if it was alive."""
        if self.process and self.process.poll() is None:
            status, _ = self.terminate()
            assert status == 0, f"exit status {status}: {self.stderr[-2000:]}"

    def restart(self):
        """SIGTERM, then again on the same port and data."""
        self.close()
        return self.start()

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()

    # What it says of itself

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @property
    def stdout(self):
        """The lines of its standard output."""
        return self.output.lines

    @property
    def stderr(self):
        return self.stderr_path.read_text("utf-8", "replace")

    def sockets(self):
        """Open sockets alone: what the database opens for one more reader is no connection."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
            except FileNotFoundError:  # closed meanwhile
                pass
        return count

    def resident(self):
        return resident(self.process.pid)

    def samples(self):
        """The metrics as {name with labels: value}."""
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        values = {}
        for line in answer.text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    # HTTP

    def raw(self, method, path, body=None, headers=None, **more):
        return web.request(self.port, method, path, body, headers, context=self.context, **more)

    def call(self, method, path, body=None, key="admin", headers=None, **more):
        """A call with a JSON body (a value, or bytes as they are) by `key` (None: without one)."""
        headers = dict(headers or {})
        key = self.admin if key == "admin" else key
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        return web.request(self.port, method, path, body, headers, context=self.context, **more)

    def get(self, path, key="admin", **more):
        return self.call("GET", path, key=key, **more)

    def post(self, path, body=None, key="admin", **more):
        return self.call("POST", path, body, key=key, **more)

    def delete(self, path, key="admin", **more):
        return self.call("DELETE", path, key=key, **more)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

    # What tests are about

    def account(self, name=None):
        name = name or fresh("account")
        answer = self.post("/api/v1/accounts", {"name": name})
        assert answer.status == 201, answer
        return name

    def page(self, slug=None, key="admin", **more):
        """Makes a page and returns its slug."""
        return self.page_object(slug, key, **more)["slug"]

    def page_object(self, slug=None, key="admin", **more):
        answer = self.post("/api/v1/pages", {"slug": slug or fresh("page")} | more, key=key)
        assert answer.status == 201, answer
        return answer.json

    def key_object(self, *scopes, by="admin", **more):
        body = {"name": more.pop("name", fresh("key"))} | more
        if scopes:
            body["scopes"] = list(scopes)
        answer = self.post("/api/v1/keys", body, key=by)
        assert answer.status == 201, answer
        return answer.json

    def key(self, *scopes, **more):
        """Makes a key (scope `events:read` if none is named) and returns its plain text."""
        return self.key_object(*scopes, **more)["key"]

    def tip(self, slug, key="admin", **fields):
        """Posts a tip that must be taken; returns the whole answer."""
        answer = self.post(f"/api/v1/pages/{slug}/tips", {"grossAmountInCents": 500} | fields, key=key)
        assert answer.status == 201, answer
        return answer.json

    def batch(self, slug, tips, key="admin"):
        answer = self.post(f"/api/v1/pages/{slug}/tips:batch", {"tips": tips}, key=key)
        assert answer.status == 201, answer
        return answer.json["results"]

    def replay(self, slug, tip, key="admin"):
        answer = self.post(f"/api/v1/pages/{slug}/tips/{tip}/replay", key=key)
        assert answer.status == 202, answer
        return answer.json

    def log(self, slug, since=None, limit=1000, key="admin"):
        """Every event of a page's log from `since` (None: from the oldest kept) to its end."""
        events = []
        while True:
            parameters = web.query(since=since, limit=limit)
            answer = self.get(f"/api/v1/pages/{slug}/events?{parameters}", key=key)
            assert answer.status == 200, answer
            read = answer.json
            assert read["status"] in ("resumed", "gap"), read["status"]
            events += read["data"]
            # Fewer than asked for, even none, need not be the end; the position standing still is.
            if not read["data"] and read["next"] == since:
                return events
            since = read["next"]

    def head(self, slug):
        """The head of the log: where a reader with a position that means nothing is sent."""
        answer = self.get(f"/api/v1/pages/{slug}/events?since=nonsense")
        assert answer.status == 200 and answer.json["status"] == "reset", answer
        return answer.json["next"]

    # Goals

    def goal(self, slug, amount, description="Something", key="admin"):
        """Adds a goal and returns it."""
        body = {"description": description, "amountInCents": amount}
        answer = self.post(f"/api/v1/pages/{slug}/goals", body, key=key)
        assert answer.status == 201, answer
        return answer.json

    def goals(self, slug, key="admin"):
        answer = self.get(f"/api/v1/pages/{slug}/goals", key=key)
        assert answer.status == 200 and answer.json["next"] is None, answer
        return answer.json["data"]

    def refund(self, slug, tip, key="admin"):
        answer = self.post(f"/api/v1/pages/{slug}/tips/{tip}/refund", key=key)
        assert answer.status == 200, answer
        return answer.json

    # The Event Hook

    def stream(self, key=None, page=None, headers=None, version="1.1", timeout=10.0, receive_buffer=None, **parameters):
        """An Event Hook stream; its first message is still to be read."""
        parameters = web.query(token=key, page=page, **parameters)
        return EventStream.open(self.port, parameters, headers, version, timeout, receive_buffer, self.context)

    def hook(self, parameters="", headers=None, method="GET", **more):
        """A request for the Event Hook that must not become a stream."""
        answer = self.raw(method, f"{STREAM}?{parameters}", headers=headers, **more)
        assert answer.status != 200, answer
        return answer

    # The feed

    def feed(self, key=None, channel="firehose", room=None, since=None, **options):
        return Feed(self.port, web.query(auth=key, channel=channel, room=room, since=since), context=self.context, **options)

    def handshake(self, parameters, headers=None, path="/", **more):
        """A WebSocket handshake without a WebSocket client, to see the bare answer."""
        return self.raw("GET", f"{path}?{parameters}", headers=web.UPGRADE | (headers or {}), **more)

    def is_prompt(self, key, slug, seconds=2.0):
        """Whether it answers, takes a tip and delivers it, all at once. For use while others misbehave."""
        assert self.get("/health", key=None, timeout=seconds).status == 200
        with self.feed(key, "activity-feed", slug) as feed:
            cursor = self.tip(slug)["cursor"]
            assert feed.event(seconds)["cursor"] == cursor
        return True


def wait_until_closed(server, baseline, slack=3, seconds=15.0):
    """Waits until the server's open sockets are near `baseline` again."""
    eventually(
        lambda: server.sockets() <= baseline + slack,
        f"open sockets back to {baseline} + {slack} (now {server.sockets()})", seconds)
