"""What is shipped: the binary with its checksum, the Debian package, the systemd unit, the image's recipe."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support.server import ROOT, Server, binary
from support.tracing import traced

PACKAGING = ROOT / "packaging"
UNIT = PACKAGING / "tipwire.service"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=120, **more)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The folder that scripts/package fills, and the package unpacked."""
    if not shutil.which("dpkg-deb") or not shutil.which("strip"):
        pytest.skip("dpkg-deb or strip is not installed")
    folder = tmp_path_factory.mktemp("shipped")
    # The contents are what is tested, and a debug binary is large: no time for compression.
    done = run(ROOT / "scripts/package", binary(), folder, env=os.environ | {"DPKG_DEB_COMPRESSOR_TYPE": "none"})
    assert done.returncode == 0, done.stderr
    (package,) = folder.glob("*.deb")
    unpacked = folder / "unpacked"
    assert run("dpkg-deb", "--raw-extract", package, unpacked).returncode == 0
    return folder, package, unpacked


def test_the_binary_is_stripped_and_has_a_checksum(shipped):
    folder, package, _ = shipped
    assert (folder / "tipwire").stat().st_size < pathlib.Path(binary()).stat().st_size
    for name in ("tipwire.sha256", package.name + ".sha256"):
        assert run("sha256sum", "--check", "--strict", name, cwd=folder).returncode == 0
    with open(folder / "tipwire", "ab") as program:
        program.write(b"x")
    try:
        assert run("sha256sum", "--check", "tipwire.sha256", cwd=folder).returncode != 0
    finally:
        os.truncate(folder / "tipwire", (folder / "tipwire").stat().st_size - 1)


def test_the_package_says_what_it_is(shipped):
    folder, package, _ = shipped
    version = run(folder / "tipwire", "--version").stdout.strip()
    fields = dict(re.findall(r"^(\S+): (.*)", run("dpkg-deb", "--info", package).stdout.replace("\n ", "\n"), re.M))
    architecture = run("dpkg", "--print-architecture").stdout.strip()
    assert fields["Package"] == "tipwire" and fields["Version"] == version and fields["Architecture"] == architecture
    assert package.name == f"tipwire_{version}_{architecture}.deb"
    assert re.search(r"libc6 \(>= 2\.\d+\)", fields["Depends"]) and "libsqlite3-0" in fields["Depends"]
    assert int(fields["Installed-Size"]) > 1000
    if run("dpkg-query", "--show", "libsqlite3-0", "libstdc++6", "zlib1g", "adduser").returncode == 0:
        for name in re.findall(r"([a-z0-9+-]+)(?: \(|,|$)", fields["Depends"]):
            assert run("dpkg-query", "--show", name).returncode == 0, f"{name} is no package of this system"


def test_everything_in_the_package_is_roots_and_has_its_place(shipped):
    _, package, unpacked = shipped
    listing = run("dpkg-deb", "--contents", package).stdout.splitlines()
    entries = {line.split()[-1].removeprefix("."): line.split() for line in listing}
    assert {entry[1] for entry in entries.values()} == {"root/root"}
    assert all(not re.search(r"^.{5}w|^.{8}w|s", entry[0]) for entry in entries.values()), "nobody else may write"
    for path, mode in (
            ("/usr/bin/tipwire", "-rwxr-xr-x"), ("/lib/systemd/system/tipwire.service", "-rw-r--r--"),
            ("/etc/tipwire/tipwire.yaml", "-rw-r--r--"), ("/usr/share/doc/tipwire/copyright", "-rw-r--r--"),
            ("/usr/share/doc/tipwire/operating.md", "-rw-r--r--"),
            ("/usr/share/doc/tipwire/examples/prometheus/alerts.yml", "-rw-r--r--"),
            ("/usr/share/bash-completion/completions/tipwire", "-rw-r--r--"),
            ("/usr/share/zsh/vendor-completions/_tipwire", "-rw-r--r--"),
            ("/usr/share/fish/vendor_completions.d/tipwire.fish", "-rw-r--r--")):
        assert entries[path][0] == mode, path
    assert (unpacked / "DEBIAN/conffiles").read_text() == "/etc/tipwire/tipwire.yaml\n"
    for script in ("postinst", "prerm", "postrm"):
        assert os.access(unpacked / "DEBIAN" / script, os.X_OK)
        assert run("sh", "-n", unpacked / "DEBIAN" / script).returncode == 0
    assert run("bash", "-n", unpacked / "usr/share/bash-completion/completions/tipwire").returncode == 0


def test_removing_the_package_keeps_the_tips():
    assert not re.search(r"\brm\b|deluser", (PACKAGING / "deb/postrm").read_text())


def test_the_packaged_program_runs_with_the_packaged_settings(shipped, tmp_path, monkeypatch):
    _, _, unpacked = shipped
    settings = tmp_path / "tipwire.yaml"
    text = (unpacked / "etc/tipwire/tipwire.yaml").read_text()
    assert "data: /var/lib/tipwire" in text
    settings.write_text(text.replace("/var/lib/tipwire", str(tmp_path / "data")))
    monkeypatch.setenv("TIPWIRE_BINARY", str(unpacked / "usr/bin/tipwire"))
    with Server(tmp_path / "data", "--config", str(settings)) as server:
        assert server.get("/ready", key=None).status == 200
        server.tip(server.page())


@pytest.fixture
def analyze():
    path = shutil.which("systemd-analyze")
    if not path:
        pytest.skip("systemd-analyze is not installed")
    return path


def test_the_unit_is_valid(analyze, tmp_path):
    """With the program's path changed to one that exists; nothing else may be said."""
    unit = tmp_path / "tipwire.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/tipwire", binary()))
    done = run(analyze, "verify", "--man=no", unit)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "tipwire" in line]
    assert done.returncode == 0 and complaints == [], complaints


def test_the_unit_is_hardened(analyze):
    done = run(analyze, "security", "--offline=true", "--threshold=20", UNIT)
    assert done.returncode == 0, done.stdout[-500:]


def test_the_unit_fits_the_program():
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.M))
    defaults = (PACKAGING / "tipwire.yaml").read_text()
    drain = int(re.search(r"^drain:\n(?:\s+#.*\n)*\s+seconds: (\d+)", defaults, re.M)[1])
    connections = int(re.search(r"maxConnections: (\d+)", defaults)[1])
    assert int(unit["TimeoutStopSec"]) > drain and int(unit["LimitNOFILE"]) > connections
    assert unit["User"] == "tipwire" and unit["StateDirectory"] == "tipwire" and unit["StateDirectoryMode"] == "0700"
    assert "adduser --quiet --system --group" in (PACKAGING / "deb/postinst").read_text()


def test_the_unit_lets_every_system_call_through_that_the_server_makes(analyze, tmp_path):
    """From start to stop, with a tip, a webhook, a password and a scrape in between."""
    server = Server(tmp_path / "data", log_level="info", program=traced(tmp_path)).start()
    with server:
        slug = server.page()
        with server.feed(server.admin, "activity-feed", slug) as feed:
            server.tip(slug)
            assert feed.event()
        server.post("/api/v1/subscriptions", {"page": slug, "callback": "https://tips.example/hook"})
        assert server.post("/api/v1/accounts", {"name": "ada", "password": "long enough"}).status == 201
        assert server.get("/metrics").status == 200
        server.close()
    used = set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / "trace").read_text(), re.M))

    def expand(name):
        if not name.startswith("@"):
            return {name}
        lines = run(analyze, "syscall-filter", name).stdout
        return set().union(*map(expand, re.findall(r"^\s+(@?[a-z0-9_-]+)$", lines, re.M)))

    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        names = set().union(*map(expand, line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    assert "epoll_wait" in used and used - allowed == set()


def test_the_images_recipe_fits(tmp_path):
    text = (PACKAGING / "Containerfile").read_text()
    ignored = (PACKAGING / "Containerfile.dockerignore").read_text()
    for line in re.findall(r"^COPY (?!--)(.*)$", text, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists() and f"!{source}\n" in ignored, source
    assert re.search(r"^USER 10001$", text, re.M), "not root"
    probe = json.loads(re.search(r"HEALTHCHECK .*CMD (\[.*\])", text)[1])
    with Server(tmp_path / "data") as server:
        environment = os.environ | {"TIPWIRE_PORT": str(server.port)}
        assert run(*probe, env=environment).returncode == 0
        server.close()
        assert run(*probe, env=environment).returncode != 0
