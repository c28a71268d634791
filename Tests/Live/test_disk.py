"""A disk that is full, can't be written, or fails in the middle of a commit: what callers are told, and what is kept."""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.http import problem
from support.server import wrapped
from support.tracing import traced
from support.waiting import eventually

SOURCE = pathlib.Path(__file__).parent / "support" / "faultydisk.c"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("faultydisk") / "faultydisk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def post(server, slug, number):
    return server.post(
        f"/api/v1/pages/{slug}/tips",
        {"grossAmountInCents": 100, "id": f"tip-{number}", "message": "x" * 1000})


def ids(server, slug):
    """The tips that the log tells of, in order."""
    return [event["data"]["id"] for event in server.log(slug) if event["type"] == "tip.received"]


def test_a_full_disk_is_507_and_tips_are_taken_again_when_there_is_room(make_server, small_disk):
    server = make_server(data=small_disk / "data")
    slug = server.page()
    key = server.key("events:read")
    ballast = small_disk / "ballast"
    with server.feed(key, "activity-feed", slug) as feed:
        with open(ballast, "wb", buffering=0) as file:
            while True:
                try:
                    if file.write(bytes(4096)) < 4096:
                        break
                except OSError:
                    break
        kept = []
        for number in range(10_000):
            answer = post(server, slug, number)
            if answer.status != 201:
                break
            kept.append(f"tip-{number}")
            assert feed.event()["cursor"] == answer.json["cursor"]
        problem(answer, 507)
        assert "disk is full" in answer.json["detail"] and int(answer.headers["Retry-After"]) > 0, answer
        refused = number
        # Not only tips are refused in words, though what is smaller may find room for longer; and what only reads goes on.
        made = (server.post("/api/v1/pages", {"slug": f"another-{number}"}) for number in range(100))
        problem(next(answer for answer in made if answer.status != 201), 507)
        assert ids(server, slug) == kept
        assert server.get("/ready", key=None).status == 503
        assert server.get("/health", key=None).status == 200
        problem(server.get("/api/v1/backup"), 507)

        ballast.unlink()
        answer = eventually(
            lambda: (tried := post(server, slug, refused)).status == 201 and tried, "tips are taken again")
        kept.append(f"tip-{refused}")
        assert feed.event()["cursor"] == answer.json["cursor"], "on the socket that was open all the time"
        assert server.get("/ready", key=None).status == 200
    assert ids(server, slug) == kept
    server.restart()
    assert ids(server, slug) == kept


@pytest.mark.parametrize("fault, status", [("full", 507), ("readonly", 503), ("sync", 503)])
def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(make_server, library, tmp_path, fault, status):
    control = tmp_path / "control"
    server = make_server(env={"LD_PRELOAD": str(library), "FAULTY_DISK": str(control)})
    slug = server.page()
    key = server.key("events:read")
    with server.feed(key, "activity-feed", slug) as feed, server.stream(key, slug) as stream:
        stream.lines()
        kept = []
        for round in range(3):
            for number in (f"{round}-a", f"{round}-b"):
                answer = post(server, slug, number)
                assert answer.status == 201, answer
                kept.append(f"tip-{number}")
                assert feed.event()["cursor"] == answer.json["cursor"]
            control.write_text(fault)
            for number in range(3):
                answer = post(server, slug, f"{round}-refused-{number}")
                problem(answer, status)
                assert answer.headers["Retry-After"], answer
            assert ids(server, slug) == kept
            control.unlink()
            # The same tip again, as its sender sends it: kept once.
            answer = post(server, slug, f"{round}-refused-0")
            assert answer.status == 201, answer
            kept.append(f"tip-{round}-refused-0")
            assert feed.event()["cursor"] == answer.json["cursor"], "the next on the open socket, without one in between"
        assert ids(server, slug) == kept
    server.kill()
    server.start()
    assert ids(server, slug) == kept


def test_a_tip_whose_commit_failed_in_its_middle_is_kept_once_if_a_kill_follows(make_server, library, tmp_path):
    control = tmp_path / "control"
    server = make_server(env={"LD_PRELOAD": str(library), "FAULTY_DISK": str(control)})
    slug = server.page()
    assert post(server, slug, "first").status == 201
    control.write_text("sync")
    problem(post(server, slug, "doubtful"), 503)
    server.kill()
    os.unlink(control)
    server.start()
    # It may have been found by this start, or not; its sender can't know and sends it again.
    assert post(server, slug, "doubtful").status in (200, 201)
    assert ids(server, slug) == ["tip-first", "tip-doubtful"]


def test_no_commit_needs_a_file_of_its_own(make_server, tmp_path, rng):
    """Ids of a caller's own are all over the index, so that a few rows change many of its pages."""
    server = make_server(program=traced(tmp_path, "-e trace=openat"))
    slug = server.page()
    for _ in range(4):
        server.batch(slug, [{"grossAmountInCents": 100, "id": f"{rng.getrandbits(96):x}"} for _ in range(1000)])
    server.close()
    opened = (tmp_path / "trace").read_text()
    assert "tipwire.db-wal" in opened
    assert "etilqs" not in opened, "SQLite's name for a file that it is about to delete"


def test_where_only_the_folder_can_be_written_everything_works(make_server, tmp_path, rng):
    """As in a container with a read-only root."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    mounts = f"mount --make-rprivate / && mount --bind {data} {data} && mount -o remount,bind,ro /"
    if subprocess.run(["unshare", "--mount", "sh", "-c", mounts], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting isn't allowed here")
    confined = f"{mounts} && ! touch {tmp_path}/outside 2>/dev/null && exec \"$0\" \"$@\""
    server = make_server(program=wrapped(tmp_path / "confined", f"exec unshare --mount sh -c '{confined}'"))
    slug = server.page()
    for _ in range(3):
        server.batch(slug, [{"grossAmountInCents": 100, "id": f"{rng.getrandbits(96):x}"} for _ in range(1000)])
    assert server.delete(f"/api/v1/pages/{slug}?confirm={slug}").status == 204
    assert server.get(f"/api/v1/pages/{slug}").status == 404
