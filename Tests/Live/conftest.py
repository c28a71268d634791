import os
import random
import shutil
import subprocess

import pytest

pytest.register_assert_rewrite(
    "support.http", "support.server", "support.feed", "support.rawsocket", "support.eventstream", "support.goals",
    "support.goalcalls", "support.eventsub", "support.receiver", "support.webhooks", "support.echo",
    "support.overlaypage", "support.browser", "support.doctor", "support.nodes", "support.ledger", "support.trial")

from playwright.sync_api import sync_playwright  # noqa: E402

from support.commandline import CommandLine  # noqa: E402  (after the line above, or its asserts stay mute)
from support.nodes import Cluster  # noqa: E402
from support.overlaypage import Origin  # noqa: E402
from support.ownpostgres import programs  # noqa: E402
from support.proxies import Certificate, installed  # noqa: E402
from support.receiver import Authority, Receiver  # noqa: E402
from support.server import Server, binary  # noqa: E402

SEED = int(os.environ.get("TIPWIRE_SEED") or random.SystemRandom().randrange(1 << 32))


def pytest_sessionstart(session):
    if not os.access(binary(), os.X_OK):
        pytest.exit(f"there is no binary at {binary()}: `make build` makes it, TIPWIRE_BINARY names another", 2)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"seed: TIPWIRE_SEED={SEED}")


@pytest.fixture(scope="session", autouse=True)
def logs(tmp_path_factory):
    """Where the output of every server of the run is collected."""
    Server.logs = tmp_path_factory.mktemp("logs")
    yield Server.logs
    for server in list(Server.running):
        server.kill()


@pytest.fixture
def rng(request):
    """Random choices that repeat with TIPWIRE_SEED."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for a module's tests, which keep out of each other's way by using pages and keys of their own.

    Counting of failed keys is off: the tests' refusals all come from one address.
    """
    server = Server(tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0").start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One for 127.0.0.1, which the tests alone trust."""
    if not installed("openssl"):
        pytest.skip("openssl is not installed")
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory, certificate):
    """As `server`, by TLS."""
    server = Server(
        tmp_path_factory.mktemp("data"), "--auth-max-failures-per-minute", "0", certificate=certificate).start()
    yield server
    server.close()


@pytest.fixture
def make_server(tmp_path):
    """Makes servers of a test's own, in `tmp_path/data` if no other folder is named. They are killed after it."""
    made = []

    def make(*options, data=None, start=True, **more):
        server = Server(data or tmp_path / "data", *options, **more)
        made.append(server)
        return server.start() if start else server

    yield make
    for server in made:
        server.__exit__()


@pytest.fixture
def tipwire(server):
    return CommandLine(server)


@pytest.fixture
def make_receiver():
    """Makes webhook receivers. After the test everything that they ever got must have been as it should."""
    made = []

    def make(*arguments, **more):
        made.append(Receiver(*arguments, **more))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()


@pytest.fixture
def authority(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return Authority(tmp_path / "authority")


@pytest.fixture
def node():
    """Node, with a WebSocket client and an EventSource of its own."""
    path = shutil.which("node")
    if not path:
        pytest.skip("node is not installed")
    return path


@pytest.fixture
def curl():
    path = shutil.which("curl")
    if not path:
        pytest.skip("curl is not installed")
    return [path, "--silent", "--show-error", "--no-buffer", "--max-time", "60"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Three nodes on a PostgreSQL of their own."""
    if not programs():
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster(tmp_path_factory.mktemp("nodes"))
    yield cluster
    cluster.close()


@pytest.fixture
def nodes(cluster):
    """All of them, well, whatever the test before has done."""
    return cluster.mend()


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium")
    if not path:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        # As OBS has it: an overlay may make a sound though nobody has clicked in it.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--autoplay-policy=no-user-gesture-required"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def origin():
    """A web server beside Tipwire, whose page is of another origin."""
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MiB in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting isn't allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
