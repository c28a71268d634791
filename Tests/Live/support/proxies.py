"""nginx, HAProxy and Caddy as `docs/proxies.md` configures them: the page's own text, with other ports and paths."""

import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from .server import ROOT
from .waiting import eventually

PAGE = ROOT / "docs/proxies.md"
# Where Debian puts what is meant for root.
PATHS = os.environ.get("PATH", "") + ":/usr/sbin"


def blocks(language):
    """The fenced blocks of a language, in order."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/proxies.md has no block of {language}"
    return found


def installed(program):
    return shutil.which(program, path=PATHS)


def needed(program):
    """Where it is; without it the test is skipped."""
    path = installed(program)
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def replaced(text, changes):
    """The text with each of the keys, all of which it must have, replaced."""
    for old, new in changes.items():
        assert old in text, f"docs/proxies.md no longer says {old!r}"
        text = text.replace(old, new)
    return text


class Certificate:
    """A certificate for 127.0.0.1 that nobody but the tests trusts."""

    def __init__(self, folder):
        self.certificate, self.key, self.both = (folder / name for name in ("tips.pem", "tips.key", "both.pem"))
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-subj", "/CN=tips.example", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", self.key, "-out", self.certificate,
            ], check=True, stderr=subprocess.DEVNULL)
        self.both.write_bytes(self.certificate.read_bytes() + self.key.read_bytes())
        self.context = ssl.create_default_context(cafile=str(self.certificate))


class Proxy:
    """One of the three in front of a server, as a process of the test's own. All that it writes is in `folder`."""

    def __init__(self, kind, server, folder, certificate):
        self.server, self.folder, self.certificate = server, folder, certificate
        self.port = free_port()
        command = getattr(self, kind)()
        with open(folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [installed(command[0]), *map(str, command[1:])], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=folder, env={"PATH": PATHS, "HOME": str(folder)})
        try:
            eventually(self.is_listening, f"{kind} to listen", 15)
        except AssertionError as error:
            self.close()
            raise AssertionError(f"{error}: {self.written()[-3000:]}") from None

    def is_listening(self):
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        return is_listening(self.port)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def nginx(self):
        site = self.write("tipwire.conf", replaced(blocks("nginx")[0], {
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "/etc/ssl/tips.example.pem": str(self.certificate.certificate),
            "/etc/ssl/tips.example.key": str(self.certificate.key),
            "/var/log/nginx/": f"{self.folder}/",
            "http://127.0.0.1:8080": self.server.url,
        }))
        temporary = "".join(
            f"    {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # The rest of nginx as unkind to streams as it can be.
        main = self.write("nginx.conf", (
            f"daemon off;\nuser {'root' if os.getuid() == 0 else 'nobody'};\npid {self.folder}/pid;\n"
            f"events {{}}\nhttp {{\n{temporary}    gzip on;\n    gzip_types *;\n    include {site};\n}}\n"))
        return "nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", main

    def haproxy(self):
        rest = self.write("tipwire.cfg", replaced(blocks("haproxy")[0], {
            "bind :443 ": f"bind 127.0.0.1:{self.port} ",
            "/etc/haproxy/tips.example.pem": str(self.certificate.both),
            "127.0.0.1:8080": f"127.0.0.1:{self.server.port}",
        }))
        own = self.write("global.cfg", "global\n    log stdout format raw local0\n")
        return "haproxy", "-db", "-f", own, "-f", rest

    def caddy(self):
        text = replaced(blocks("caddyfile")[0], {
            "tips.example {\n": (
                f"https://127.0.0.1:{self.port} {{\n"
                f"    tls {self.certificate.certificate} {self.certificate.key}\n"),
            "127.0.0.1:8080": f"127.0.0.1:{self.server.port}",
        })
        assert text.startswith("{\n")
        own = f"{{\n    admin off\n    http_port {free_port()}\n    default_bind 127.0.0.1\n"
        return "caddy", "run", "--adapter", "caddyfile", "--config", self.write("Caddyfile", own + text[2:])

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def written(self):
        """All that it has put into files, its own output among them."""
        return "\n".join(
            file.read_text("utf-8", "replace") for file in sorted(self.folder.rglob("*")) if file.is_file())

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
