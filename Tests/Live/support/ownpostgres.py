"""A PostgreSQL of a test's own, which can be stopped, restarted, and put back to what it was: nobody else uses it."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile


def programs():
    """The folder of its programs, of the newest version; None if it isn't installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return path and pathlib.Path(path).parent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class OwnPostgres:
    """Runs on a free port of 127.0.0.1 and has one empty database, `tipwire`.

    Writes are not synced, unless that is asked for: its processes are killed here, its machine is not.
    """

    def __init__(self, is_synced=False):
        self._sync = "on" if is_synced else "off"
        self._programs = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tipwire-postgres-"))
        self._data = self.folder / "data"
        # Its programs refuse to run as root.
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self.folder, "postgres")
        self.port = free_port()
        password = self.folder / "password"
        password.write_text("secret")
        password.chmod(0o644)
        self._run(
            "initdb", "-D", self._data, "-U", "tipwire", "--auth-local=trust", "--auth-host=scram-sha-256",
            f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start()
        self.sql("CREATE DATABASE tipwire", "postgres")

    def url(self, port=None, database="tipwire", host="127.0.0.1"):
        """Its address, by another way if a port or a host is given."""
        return f"postgres://tipwire:secret@{host}:{port or self.port}/{database}"

    def start(self):
        self._run(
            "pg_ctl", "start", "-D", self._data, "-l", self.folder / "log", "-w", "-s", "-o",
            f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync={self._sync} -c max_connections=200 -c shared_buffers=64MB")

    def stop(self, mode="fast"):
        """`fast` ends its sessions and tidies up, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "-D", self._data, "-m", mode, "-w", "-s")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def terminate_sessions(self):
        """Ends every session of the database, as an administrator would; how many there were."""
        return int(self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'tipwire'", "postgres"))

    def copy(self, name="copy"):
        """What a replica has that gets nothing from now on."""
        self._run(
            "pg_basebackup", "-h", self.folder, "-p", self.port, "-U", "tipwire", "-D", self.folder / name,
            "--checkpoint=fast", "--no-sync", "-X", "stream")

    def fail_over(self, name="copy"):
        """It crashes, and what `copy` kept takes its place."""
        self.stop("immediate")
        shutil.rmtree(self._data)
        (self.folder / name).rename(self._data)
        self.start()

    def sql(self, text, database="tipwire"):
        """Runs SQL as an operator would; returns what it prints."""
        return self._run(
            "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port, "-U", "tipwire", "-d",
            database, "-c", text).strip()

    def close(self):
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program, *arguments):
        # Into a file: what `pg_ctl` starts keeps its output open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [*self._as, str(self._programs / program), *map(str, arguments)], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, f"{program}: {said}"
        return said
