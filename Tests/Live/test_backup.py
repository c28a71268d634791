"""Backup while tips come in, and what a restored server tells those who come back."""

import os
import sqlite3
import stat
import subprocess
import threading

import pytest

from support.commandline import CommandLine
from support.http import problem
from support.server import binary, environment
from support.waiting import eventually


def restore(server, file, *more):
    return subprocess.run(
        [binary(), "restore", str(file), "--data", str(server.data), *more], stdin=subprocess.DEVNULL,
        capture_output=True, env=environment(), timeout=60, text=True)


def messages(file, slug):
    """The messages of a page's tips, in the order of their commits."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return [row[0] for row in database.execute(
            "SELECT message FROM tips JOIN pages ON pages.id = page_id WHERE slug = ? ORDER BY last_sequence", (slug,))]
    finally:
        database.close()


def assert_refused(done, *words):
    assert done.returncode == 1 and done.stdout == "", done
    for word in words:
        assert word in done.stderr, done
    assert "GRDB" not in done.stderr and "Swift/" not in done.stderr, done


class Tipper(threading.Thread):
    """Posts numbered tips until it is stopped, and counts those that were kept."""

    def __init__(self, server, slug):
        super().__init__(daemon=True)
        self.server, self.slug = server, slug
        self.kept = 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            self.server.tip(self.slug, message=str(self.kept))
            self.kept += 1

    def stop(self):
        self.ending.set()
        self.join(15)
        assert not self.is_alive()


def test_a_backup_under_load_is_one_moment_and_readable_by_its_owner_alone(make_server, tmp_path):
    server = make_server()
    slug = server.page()
    server.goal(slug, 1_000_000)
    tipper = Tipper(server, slug)
    tipper.start()
    eventually(lambda: tipper.kept > 50, "tips")
    before, file = tipper.kept, tmp_path / "copy.db"
    outcome = CommandLine(server).must("backup", str(file))
    during = tipper.kept
    assert "copy.db" in outcome.out and str(file.stat().st_size) in outcome.out
    eventually(lambda: tipper.kept > during, "tips after the backup")
    tipper.stop()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    saved = messages(file, slug)
    assert saved == [str(number) for number in range(len(saved))], "a beginning of the log without a hole"
    assert before <= len(saved) <= during + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"], "one file, and no half one"
    assert not [path for path in server.data.iterdir() if "backup" in path.name], "nor one in the data folder"


def test_the_api_gives_the_file_to_administrators_alone(server, tmp_path):
    slug = server.page()
    server.tip(slug, message="kept")
    problem(server.get("/api/v1/backup", key=None), 401)
    problem(server.get("/api/v1/backup", key=server.key("manage", "tips:write")), 403)
    answer = server.get("/api/v1/backup")
    assert answer.status == 200 and answer.content_type == "application/vnd.sqlite3"
    assert answer.headers["Cache-Control"] == "no-store" and "attachment" in answer.headers["Content-Disposition"]
    head = server.raw("HEAD", "/api/v1/backup", headers={"Authorization": f"Bearer {server.admin}"})
    assert head.status == 200 and server.stderr.count("a backup is sent") == 1, "a head is told without a copy"
    file = tmp_path / "api.db"
    file.write_bytes(answer.body)
    assert messages(file, slug) == ["kept"]


def half_taken(server, slug):
    """A backup of which nothing but the head has been read: the connection and the answer, both to be closed."""
    # More than the sockets between the two hold.
    for _ in range(16):
        server.batch(slug, [{"grossAmountInCents": 100, "message": "x" * 1000} for _ in range(1000)])
    connection = server.connection()
    connection.request("GET", "/api/v1/backup", headers={"Authorization": f"Bearer {server.admin}"})
    answer = connection.getresponse()
    assert answer.status == 200
    return connection, answer


def test_one_backup_at_a_time_until_it_is_taken_or_given_up(make_server):
    server = make_server()
    slug = server.page()
    first, answer = half_taken(server, slug)
    refused = server.get("/api/v1/backup")
    problem(refused, 409)
    assert "is being made or sent" in refused.json["detail"]
    server.tip(slug)
    answer.close()
    first.close()
    eventually(lambda: server.get("/api/v1/backup").status == 200, "the place is free again")


def test_a_caller_that_takes_nothing_loses_its_place(make_server):
    server = make_server("--http-body-seconds", "1")
    slug = server.page()
    first, answer = half_taken(server, slug)
    eventually(lambda: server.get("/api/v1/backup").status == 200, "the place is free again")
    answer.close()
    first.close()


def test_an_existing_file_is_replaced_only_by_force(server, tipwire, tmp_path):
    file = tmp_path / "mine"
    file.write_text("precious")
    outcome = tipwire.run("backup", str(file))
    assert outcome.status == 1 and "exists" in outcome.err and "--force" in outcome.err
    assert file.read_text() == "precious"
    tipwire.must("backup", str(file), "--force")
    assert file.read_bytes().startswith(b"SQLite format 3\0")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_refused_backup_leaves_no_file(server, tmp_path):
    file = tmp_path / "none"
    outcome = CommandLine(server, key=server.key("manage")).run("backup", str(file))
    assert outcome.status == 1 and "admin" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_standard_output_takes_it_too(server, tipwire, tmp_path):
    slug = server.page()
    server.tip(slug, message="piped")
    done = subprocess.run(
        [binary(), "backup", "-"], stdin=subprocess.DEVNULL, capture_output=True, env=tipwire.env, timeout=30)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    file = tmp_path / "piped"
    file.write_bytes(done.stdout)
    assert messages(file, slug) == ["piped"]


def test_a_restored_server_has_what_the_backup_has_and_tells_every_dialect_reset(make_server, tmp_path):
    server = make_server()
    slug = server.page()
    server.goal(slug, 10_000)
    key = server.key("events:read")
    cursor = server.tip(slug, message="before")["cursor"]
    file = tmp_path / "copy.db"
    CommandLine(server).must("backup", str(file))
    goals = server.goals(slug)
    server.tip(slug, message="after")
    admin = server.admin
    server.close()

    done = restore(server, file)
    assert done.returncode == 0 and done.stderr == "", done
    assert "events: " in done.stdout and "tipwire.db.before-" in done.stdout
    kept = [path for path in server.data.iterdir() if path.name.startswith("tipwire.db.before-")]
    assert len(kept) == 1 and stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert messages(kept[0], slug) == ["before", "after"]

    server.start()
    assert server.admin == admin, "the backup knows the key"
    assert server.goals(slug) == goals
    read = server.get(f"/api/v1/pages/{slug}/tips").json["data"]
    assert [tip["message"] for tip in read] == ["before"]
    events = server.get(f"/api/v1/pages/{slug}/events?since={cursor}").json
    assert events["status"] == "reset" and events["data"] == []
    with server.stream(key, slug, lastEventId=cursor) as stream:
        status, head = stream.resumed()
        assert status == "reset" and head.split("-")[0] != cursor.split("-")[0]
    with server.feed(key, "activity-feed", slug, since=cursor) as feed:
        assert feed.resumed()["status"] == "reset"
        fresh = server.tip(slug, message="new")["cursor"]
        assert feed.event()["cursor"] == fresh
    doctor = subprocess.run(
        [binary(), "doctor", "--data", str(server.data)], capture_output=True, env=environment(), timeout=60, text=True)
    assert doctor.returncode == 0, doctor


def test_a_link_to_a_backup_is_followed_and_the_backup_left_as_it_is(make_server, tmp_path):
    server = make_server()
    slug = server.page()
    server.tip(slug, message="kept")
    file, link = tmp_path / "copy.db", tmp_path / "latest.db"
    # A name that the server itself once gave to its copies.
    own = server.data / "tipwire.backup"
    CommandLine(server).must("backup", str(own))
    CommandLine(server).must("backup", str(file))
    assert messages(own, slug) == ["kept"]
    link.symlink_to(file)
    before = file.read_bytes()
    server.close()
    done = restore(server, link)
    assert done.returncode == 0, done
    database = server.data / "tipwire.db"
    assert not database.is_symlink() and file.read_bytes() == before
    assert messages(database, slug) == ["kept"]
    # What an interrupted restore may leave is no backup, and nothing to be removed while it is read.
    leftover = server.data / "tipwire.db.new"
    leftover.write_bytes(before)
    assert_refused(restore(server, leftover), "rename it")
    assert leftover.read_bytes() == before


def test_a_running_server_is_not_restored_under_its_feet(make_server, tmp_path):
    server = make_server()
    file = tmp_path / "copy.db"
    CommandLine(server).must("backup", str(file))
    assert_refused(restore(server, file), "in use", "stop it")
    server.tip(server.page())


def test_the_admin_key_that_the_backup_does_not_know_is_put_aside(make_server, tmp_path):
    server = make_server()
    file = tmp_path / "copy.db"
    CommandLine(server).must("backup", str(file))
    other = make_server(data=tmp_path / "other")
    foreign = other.admin
    other.close()
    done = restore(other, file)
    assert done.returncode == 0 and "admin.key.before-" in done.stdout, done
    other.start()
    assert other.admin not in (foreign, server.admin)
    assert other.get("/api/v1/accounts").status == 200


def test_the_file_of_a_killed_server_is_restored_with_what_lies_beside_it(make_server, tmp_path):
    server = make_server()
    slug = server.page()
    server.tip(slug, message="in the log beside it")
    server.kill()
    other = make_server(data=tmp_path / "other", start=False)
    done = restore(other, server.data / "tipwire.db")
    assert done.returncode == 0 and "before-" not in done.stdout, done
    other.start()
    assert [tip["message"] for tip in other.get(f"/api/v1/pages/{slug}/tips").json["data"]] == ["in the log beside it"]


@pytest.mark.parametrize("kind, words", [
    ("missing", ["can't read"]), ("folder", ["is not a file"]), ("empty", ["not an SQLite database"]),
    ("text", ["not an SQLite database"]), ("foreign", ["not a database of Tipwire"]), ("cut", ["damaged"]),
    ("edited", ["is not sound", "the log counts"])])
def test_what_is_no_sound_backup_is_refused_and_nothing_is_touched(make_server, tmp_path, kind, words):
    server = make_server()
    slug = server.page()
    server.batch(slug, [{"grossAmountInCents": 100, "message": "x" * 1000} for _ in range(500)])
    file = tmp_path / "copy.db"
    CommandLine(server).must("backup", str(file))
    server.close()
    before = {path.name: path.read_bytes() for path in server.data.iterdir()}
    if kind == "missing":
        file.unlink()
    elif kind == "folder":
        file.unlink()
        file.mkdir()
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "text":
        file.write_text("no database\n" * 100)
    elif kind == "cut":
        os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)
    else:
        if kind == "foreign":
            file.unlink()
        database = sqlite3.connect(file)
        database.execute("CREATE TABLE notes (text)" if kind == "foreign" else "DELETE FROM events WHERE sequence = 3")
        database.commit()
        database.close()
    assert_refused(restore(server, file), str(file), *words)
    assert {path.name: path.read_bytes() for path in server.data.iterdir()} == before
    server.start()
    assert len(server.log(slug)) == 500
