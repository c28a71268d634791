"""Programs of the README, as they stand there."""

import pathlib
import re
import subprocess
import sys

from support.server import environment
from support.waiting import eventually

README = pathlib.Path(__file__).parents[2] / "README.md"


def program(language):
    """The only one in that language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    assert len(found) == 1, language
    return found[0]


def test_the_python_program_shows_tips_and_listens_on_after_a_restart(make_server, tmp_path):
    server = make_server("--demo", data=tmp_path / "tipwire-data")
    text = program("python").replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    assert str(server.port) in text
    shown = tmp_path / "shown.txt"
    with open(shown, "wb") as out:
        client = subprocess.Popen(
            [sys.executable, "-u", "-c", text], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env=environment())
    try:
        def listens():
            return server.samples().get('tipwire_connections{kind="feed"}') == 1

        def send(name):
            tip = {"displayName": name, "grossAmountInCents": 700, "message": "Hi"}
            assert server.post("/api/v1/pages/demo/tips", tip).status == 201
            eventually(lambda: f"{name} 700 Hi\n" in shown.read_text(), f"{name}: {shown.read_text()}")

        eventually(listens, "a listener", seconds=20)
        send("Ada")
        server.restart()
        # It waits up to five seconds before it tries again.
        eventually(listens, "the listener again", seconds=40)
        send("Grace")
        assert shown.read_text() == "Ada 700 Hi\nGrace 700 Hi\n"
    finally:
        client.kill()
        client.wait()
