"""The `tipwire` binary as a person uses it: a client of the server."""

import json
import subprocess
import threading

from .server import binary, environment


class Outcome:
    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<exit {self.status}\nout: {self.out}\nerr: {self.err}>"


class CommandLine:
    """Runs verbs against one server."""

    def __init__(self, server, key=None, cwd=None):
        self.env = environment(TIPWIRE_SERVER=server.url, TIPWIRE_KEY=key or server.admin)
        self.cwd = cwd

    def run(self, *arguments, timeout=30.0, **env):
        done = subprocess.run(
            [binary(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.env | env, cwd=self.cwd, timeout=timeout)
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def must(self, *arguments, **more):
        """Runs a verb that has to succeed, without a word on standard error but progress."""
        outcome = self.run(*arguments, **more)
        assert outcome.status == 0, outcome
        return outcome

    def listen(self, *arguments):
        return Lines([binary(), "listen", *arguments], self.env)


class Lines:
    """A child process whose output is read line by line as it comes."""

    def __init__(self, command, env=None):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.lines = []
        self.errors = []
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for thread in self._threads:
            thread.start()

    def _read(self, stream, into):
        for line in stream:
            with self._changed:
                into.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition, what, seconds=15.0):
        """Waits until `condition(lines)` is true."""
        with self._changed:
            met = self._changed.wait_for(lambda: condition(self.lines), seconds)
        assert met, f"{what}: not within {seconds} s; lines {self.lines[-20:]}, errors {self.errors[-20:]}"

    def wait_for_text(self, text, seconds=15.0):
        self.wait_for(lambda lines: any(text in line for line in lines), f"a line with {text!r}", seconds)

    def having(self, text):
        return [line for line in self.lines if text in line]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
