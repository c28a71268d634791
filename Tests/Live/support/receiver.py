"""A webhook's receiver: keeps each request whole, holds it against its signature, and answers as it is told.

What it does on a path is a list of behaviours, one a request; the last one stays. A behaviour is a function of the
request: it answers by itself, and returns whether the connection may take another request. Two libraries that nobody
here wrote verify what came: every request, at the latest when the receiver is closed.
"""

import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import standardwebhooks
import svix.webhooks

# The whole head of a request that an honest sender makes is smaller.
LONGEST_HEAD = 16_384
# What a client under test can't have failed to hear of within.
PATIENCE = 30.0


class Received:
    """One request, as it came."""

    def __init__(self, endpoint, method, target, headers, body):
        self.endpoint = endpoint
        self.method, self.target = method, target
        self.fields = headers  # (name, value), as they were written and in their order.
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body
        self.time = time.time()
        self.began = time.monotonic()
        self.ended = None  # When its answer began to be written, or was given up.
        self.status = None  # What it was answered, if it was.
        self._is_checked = False

    def __repr__(self):
        return f"<{self.method} {self.target} {self.headers.get('webhook-id')} {self.body[:300]!r} → {self.status}>"

    @property
    def id(self):
        return self.headers.get("webhook-id", "")

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    def is_signed_with(self, secret):
        """Whether both libraries find this secret's signature among those that it has."""
        verdicts = set()
        for verifier in (standardwebhooks, svix.webhooks):
            try:
                verifier.Webhook(secret).verify(self.body, self.headers)
                verdicts.add(True)
            except verifier.WebhookVerificationError:
                verdicts.add(False)
        verdict, = verdicts
        return verdict

    def check(self):
        """All that holds for every request, whatever it tells; returns the request."""
        if self._is_checked:
            return self
        names = [name.lower() for name, _ in self.fields]
        assert len(names) == len(set(names)), f"a header twice: {self.fields}"
        known = {
            "host", "content-type", "content-length", "user-agent", "webhook-id", "webhook-timestamp",
            "webhook-signature"}
        assert known <= set(names), self.fields
        assert self.method == "POST" and self.headers["host"] == self.endpoint.receiver.authority, self.fields
        assert self.headers["content-type"] == "application/json", self.fields
        assert re.fullmatch(r"tipwire/\d+\.\d+\.\d+", self.headers["user-agent"]), self.fields
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", self.id), self.fields
        assert abs(int(self.headers["webhook-timestamp"]) - self.time) < 5, self.fields
        assert "whsec_" not in self.text and not any("whsec_" in value for value in self.headers.values()), self
        signatures = self.headers["webhook-signature"].split(" ")
        assert all(one.startswith("v1,") for one in signatures), self.fields
        assert self.endpoint.secrets, f"nobody told the secret of {self.target}"
        assert any(self.is_signed_with(secret) for secret in self.endpoint.secrets), f"not signed: {self.fields}"
        self._is_checked = True
        return self


class Endpoint:
    """One path of a receiver: what came there, and what it does about it."""

    def __init__(self, receiver, path):
        self.receiver, self.path = receiver, path
        self.url = f"{receiver.url}{path}"
        self.secrets = []
        self.received = []
        self.read = 0
        self.bytes_sent = 0
        self._script = [answers()]
        self._changed = threading.Condition()

    def trusts(self, *secrets):
        self.secrets += secrets
        return self

    def does(self, *behaviours):
        """What it does from the next request on."""
        with self._changed:
            self._script = list(behaviours)
        return self

    def behave(self, request, out):
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            behaviour = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if self.secrets:
            # At once, for a signature is good for five minutes. What fails here fails again where a test sees it.
            with contextlib.suppress(Exception):
                request.check()
        return behaviour(request, out)

    # What came

    def requests(self, count, seconds=10.0):
        """All requests that came so far, once they are `count` or more. None of them counts as read."""
        with self._changed:
            met = self._changed.wait_for(lambda: len(self.received) >= count, seconds)
            assert met, f"{len(self.received)} of {count} requests at {self.path} within {seconds} s: {self.received}"
            return list(self.received)

    def take(self, count, seconds=10.0):
        """The next requests that were not read yet."""
        self.requests(self.read + count, seconds)
        taken = self.received[self.read:self.read + count]
        self.read += count
        return [request.check() for request in taken]

    def next(self, seconds=10.0):
        request, = self.take(1, seconds)
        return request

    def ids(self, count, seconds=10.0):
        return [request.id for request in self.take(count, seconds)]

    def unread(self):
        """What came and was not read."""
        return self.received[self.read:]

    def order(self):
        """The ids in the order of their first arrivals."""
        return list(dict.fromkeys(request.id for request in list(self.received)))

    def delivered(self):
        """The ids that were answered with success."""
        return {request.id for request in list(self.received) if request.status and 200 <= request.status < 300}


class Receiver:
    """Listens on a free port of 127.0.0.1, by HTTP or, with a context, by HTTPS."""

    def __init__(self, context=None, host="127.0.0.1"):
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.authority = f"{host}:{self.port}"
        self.url = f"http{'s' if context else ''}://{self.authority}"
        self.endpoints = {}
        self.strays = []  # Requests for paths that there are not.
        self.closed = threading.Event()
        self._open = set()
        self._lock = threading.Lock()
        self._threads = []
        self._numbers = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def endpoint(self, *behaviours, path=None):
        with self._lock:
            self._numbers += 1
            path = path or f"/hook/{self._numbers}"
            assert path not in self.endpoints
            endpoint = self.endpoints[path] = Endpoint(self, path)
        return endpoint.does(*behaviours) if behaviours else endpoint

    def close(self):
        """Ends all connections. Every request that ever came must be as it should."""
        self.stop()
        assert not self.strays, self.strays
        for endpoint in self.endpoints.values():
            for request in endpoint.received:
                request.check()

    def stop(self):
        """Ends all connections, and whatever is under way on them."""
        if self.closed.is_set():
            return
        self.closed.set()
        # Shut down first: that wakes whoever stands in `accept`.
        for one in [self.listener, *self._open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a behaviour that doesn't end"

    # Connections

    def _accept(self):
        while not self.closed.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, bare):
        connection = bare
        try:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                bare.settimeout(PATIENCE)
                connection = self.context.wrap_socket(bare, server_side=True)
                connection.settimeout(None)
                with self._lock:
                    self._open.add(connection)
            stream = connection.makefile("rb")
            while not self.closed.is_set() and self._exchange(stream, connection):
                pass
        except OSError:
            pass  # The other side is gone or doesn't like the certificate, or the receiver is being closed.
        finally:
            with self._lock:
                self._open -= {bare, connection}
            connection.close()

    def _exchange(self, stream, connection):
        line = re.fullmatch(r"(\S+) (\S+) (HTTP/1\.1)\r\n", stream.readline(LONGEST_HEAD).decode("latin-1"))
        if not line:
            return False  # The end, or the beginning of TLS.
        method, target, _ = line.groups()
        headers = []
        while (field := stream.readline(LONGEST_HEAD).decode("latin-1").rstrip("\r\n")):
            name, _, value = field.partition(":")
            headers.append((name, value.strip()))
        length = {name.lower(): value for name, value in headers}.get("content-length")
        body = stream.read(int(length)) if length is not None else b""
        endpoint = self.endpoints.get(target) or self.endpoints.get(target.split("?")[0])
        request = Received(endpoint, method, target, headers, body)
        if length is None or len(body) != int(length) or not endpoint:
            self.strays.append(request)
            return False
        return endpoint.behave(request, Out(self, request, connection))


class Out:
    """How a behaviour speaks to the sender of its request."""

    def __init__(self, receiver, request, connection):
        self.receiver, self.request, self.connection = receiver, request, connection

    def send(self, data):
        self.request.ended = self.request.ended or time.monotonic()
        self.connection.sendall(data)
        self.request.endpoint.bytes_sent += len(data)

    def until_gone(self):
        """Waits until the sender has ended the connection, or the receiver is closed."""
        try:
            while not self.receiver.closed.is_set() and self.connection.recv(4096):
                pass
        except OSError:
            pass
        self.request.ended = self.request.ended or time.monotonic()
        return False


# Behaviours


def head(status, headers=None, length=0):
    fields = {"Content-Length": str(length)} if length is not None else {}
    lines = [f"{name}: {value}\r\n" for name, value in (fields | (headers or {})).items()]
    return f"HTTP/1.1 {status} Whatever\r\n{''.join(lines)}\r\n".encode()


def answers(status=200, body=b"", then_closes=False, **headers):
    """Answers. Headers by their names with underscores: `retry_after=60`."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    def behaviour(request, out):
        # Before the bytes leave: whoever reads of the delivery at the server must find it here.
        request.status = status
        out.send(head(status, fields, None if status == 204 else len(body)) + body)
        return not then_closes
    return behaviour


def takes_challenges(request, out):
    """Confirms that it wants to be told, and takes what it is told."""
    asked = request.json.get("challenge")
    return (answers(200, asked.encode(), content_type="text/plain") if asked else answers())(request, out)


def hangs(request, out):
    """Takes the request, and never says a word."""
    return out.until_gone()


def stalls(status=200):
    """Answers the head, announces a body, and stands still."""
    def behaviour(request, out):
        out.send(head(status, length=100) + b"a few bytes")
        return out.until_gone()
    return behaviour


def drips(request, out):
    """Sends a head that never ends, a byte at a time: no pause is long."""
    out.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not out.receiver.closed.wait(0.1):
        out.send(b"x")
    return False


def closes(request, out):
    """Takes the request, and ends the connection without an answer."""
    request.ended = time.monotonic()
    return False


def resets(request, out):
    """The same with RST."""
    request.ended = time.monotonic()
    out.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return False


def breaks_off(status=200):
    """Ends the connection amid the answer."""
    def behaviour(request, out):
        out.send(head(status, length=100) + b"half")
        return False
    return behaviour


def sends_endlessly(status=200):
    """A gigabyte and more, as fast as it is taken."""
    def behaviour(request, out):
        out.send(head(status, {"Transfer-Encoding": "chunked"}, None))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while not out.receiver.closed.is_set():
            out.send(chunk)
        return False
    return behaviour


def sends_a_head_without_end(request, out):
    out.send(b"HTTP/1.1 200 OK\r\n")
    while not out.receiver.closed.is_set():
        out.send(b"X-More: " + b"x" * 8000 + b"\r\n")
    return False


def sends(data):
    """These bytes, whatever they are, and the end."""
    def behaviour(request, out):
        out.send(data)
        return False
    return behaviour


class Held:
    """Answers when it is told to: slow for as long as a test needs it to be."""

    def __init__(self, then=None):
        self.then = then or answers()
        self._let_go = threading.Event()

    def __call__(self, request, out):
        while not self._let_go.wait(0.02):
            if out.receiver.closed.is_set():
                return False
        return self.then(request, out)

    def let_go(self):
        self._let_go.set()


# Certificates


class Authority:
    """A certificate authority that nobody but the tests trusts."""

    def __init__(self, folder, name="Tests"):
        folder.mkdir(exist_ok=True)
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self._request("-x509", "-days", "2", "-subj", f"/CN={name}", key=self.key, out=self.certificate)

    def context(self, names="IP:127.0.0.1", days=2):
        """For a receiver: a new certificate of these names. With less than no days it has expired."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(names, days))
        return context

    def issue(self, names="IP:127.0.0.1", days=2):
        """The files of a new certificate and its key."""
        stem = self.folder / f"{self.name}-{re.sub('[^a-z0-9]+', '-', names.lower())}-{days}"
        certificate, key, request = (stem.with_suffix(suffix) for suffix in (".pem", ".key", ".csr"))
        self._request("-subj", "/CN=receiver", "-addext", f"subjectAltName={names}", key=key, out=request)
        self._run(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-copy_extensions", "copyall",
            "-days", str(days), "-out", certificate)
        return certificate, key

    def _request(self, *more, key, out):
        self._run(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", out,
            *more)

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stderr=subprocess.DEVNULL)
