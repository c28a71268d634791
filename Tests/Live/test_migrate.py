"""`tipwire migrate`: from the file to PostgreSQL, without anybody noticing but the operator."""

import shutil
import subprocess
from urllib.parse import urlsplit

import pytest

from support import postgres
from support.receiver import answers, hangs
from support.server import binary, environment
from support.webhooks import ALLOWED, Webhook, webhook

pytestmark = pytest.mark.skipif(not postgres.GIVEN, reason="TIPWIRE_TEST_POSTGRES names no server")

# In the file, whatever the other tests run on.
ON_FILE = ["--database", ""]


def migrate(source, target, **env):
    command = [binary(), "migrate", "--from", f"sqlite:{source}"] + (["--to", target] if target else [])
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment(**env), timeout=60, text=True)


def must(source, target, **env):
    done = migrate(source, target, **env)
    assert done.returncode == 0, done
    return done


def refused(source, target, *words, **env):
    done = migrate(source, target, **env)
    assert done.returncode == 1 and done.stdout == "", done
    assert len(done.stderr.splitlines()) == 1, done
    for word in words:
        assert word in done.stderr, done
    assert "GRDB" not in done.stderr and "Swift/" not in done.stderr, done
    return done


@pytest.fixture
def target(tmp_path):
    return postgres.database_for(tmp_path / "target")


@pytest.fixture
def stopped(make_server):
    """A server with a page, a goal and a tip in its file, which doesn't run any more."""
    server = make_server(*ON_FILE)
    slug = server.page()
    server.goal(slug, 10_000)
    server.tip(slug, message="kept")
    server.close()
    return server


def session(server):
    """A signed-in browser's cookie, by the link of the first start."""
    path = server.wait_for_line(rf"{server.url}(/\S+)").group(1)
    for _ in range(4):
        answer = server.raw("GET", path)
        for line in answer.headers.get_all("Set-Cookie") or []:
            if line.split(";")[0].split("=", 1)[1]:
                return line.split(";")[0]
        path = urlsplit(answer.headers["Location"]).path or "/"
    raise AssertionError("no cookie came")


def test_clients_go_on_as_if_nothing_had_happened(make_server, receiver, target):
    server = make_server(*ON_FILE, *ALLOWED)
    slug = server.page()
    cookie = session(server)
    server.goal(slug, 1_000, "First")
    server.goal(slug, 5_000, "Second")
    key = server.key("events:read", "tips:write")
    endpoint = receiver.endpoint(hangs)
    hook = webhook(server, slug, endpoint)
    cursor = server.tip(slug, id="first", message="first")["cursor"]
    missed = [f"missed-{number}" for number in range(3)]
    for tip in missed:
        server.tip(slug, id=tip)
    server.tip(slug, id="refunded")
    server.refund(slug, "refunded")
    endpoint.requests(1)
    goals, log, tips = server.goals(slug), server.log(slug), server.get(f"/api/v1/pages/{slug}/tips").json
    # Not asked to end: what lies beside the file has to come along.
    server.kill()

    done = must(server.data, target)
    assert "TABLE" in done.stdout and "tips" in done.stdout and "--database" in done.stdout.splitlines()[-1], done
    assert done.stderr == "", done
    endpoint.does(answers())

    moved = make_server("--database", target, *ALLOWED, data=server.data)
    assert moved.admin == server.admin
    assert moved.goals(slug) == goals and moved.log(slug) == log
    assert moved.get(f"/api/v1/pages/{slug}/tips").json == tips
    with moved.feed(key, "activity-feed", slug, since=cursor) as feed:
        assert feed.resumed() == {"status": "resumed", "cursor": cursor}
        assert feed.tip_ids(4) == [*missed, "refunded"]
        fresh = moved.tip(slug, key=key, message="new")["cursor"]
        assert feed.event()["cursor"] == fresh
    # A tip that is sent again is known, and a session still opens the door.
    again = moved.post(f"/api/v1/pages/{slug}/tips", {"id": "first", "message": "first", "grossAmountInCents": 500})
    assert again.status == 200 and again.json["cursor"] == cursor, again
    assert moved.raw("GET", "/api/v1/pages", headers={"Cookie": cookie}).status == 200
    Webhook(moved, hook.data).idle(fresh)
    pending = {event["cursor"] for event in log if event["type"] == "tip.received"}
    assert len(pending) == 5
    assert pending | {fresh} == endpoint.delivered(), "what was pending arrives, signed with the old secret"
    report = subprocess.run(
        [binary(), "doctor", "--data", str(server.data), "--port", str(moved.port), "--database", target],
        capture_output=True, env=environment(), timeout=60, text=True)
    assert report.returncode == 0, report


def test_it_can_be_repeated_until_a_server_has_written_to_the_copy(make_server, stopped, target, tmp_path):
    must(stopped.data / "tipwire.db", target)
    stopped.start()
    slug = stopped.page()
    stopped.tip(slug, message="meanwhile")
    stopped.close()
    done = must(stopped.data, None, TIPWIRE_DATABASE=target)
    assert "replaced" in done.stderr, done
    moved = make_server("--database", target, data=stopped.data)
    assert [tip["message"] for tip in moved.get(f"/api/v1/pages/{slug}/tips").json["data"]] == ["meanwhile"]
    shutil.copy(stopped.data / "tipwire.db", tmp_path / "copy.db")
    refused(tmp_path / "copy.db", target, "the database is in use by a server")
    moved.tip(slug, message="in postgres")
    moved.close()
    refused(stopped.data, target, "a server has written", "DROP SCHEMA tipwire CASCADE")


def test_a_file_that_a_server_is_on_is_refused(make_server, target):
    server = make_server(*ON_FILE)
    refused(server.data, target, str(server.data), "in use", "stop it")
    server.tip(server.page())


def test_a_copy_under_another_name_is_taken_from_where_nothing_may_be_written(stopped, target, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    shutil.copy(stopped.data / "tipwire.db", folder / "copy.db")
    must(folder / "copy.db", target)
    assert [path.name for path in folder.iterdir()] == ["copy.db"]


def test_a_key_that_the_copy_does_not_know_is_told(make_server, stopped, target):
    # Somebody tried the database first, and got a new admin key for it in the folder.
    admin = stopped.admin
    tried = make_server("--database", target, data=stopped.data)
    assert tried.admin != admin
    tried.close()
    done = must(stopped.data, target)
    assert str(stopped.data / "admin.key") in done.stderr and "remove it" in done.stderr, done
    (stopped.data / "admin.key").unlink()
    tried.start()
    assert tried.admin != admin and [page["slug"] for page in tried.get("/api/v1/pages").json["data"]]
    assert tried.get("/api/v1/accounts", key=admin).status == 200


def test_another_tipwire_is_left_alone(make_server, stopped, target, tmp_path):
    other = make_server("--database", target, data=tmp_path / "other")
    slug = other.page()
    other.close()
    refused(stopped.data, target, "another Tipwire", "choose an empty one")
    other.start()
    assert other.goals(slug) == []


@pytest.mark.parametrize("source, words", [
    ("nowhere", ["can't read"]), ("empty.db", ["not an SQLite database"]), ("text.db", ["not an SQLite database"]),
    ("folder", ["can't read", "tipwire.db"])])
def test_what_is_no_database_is_refused_and_nothing_is_made(tmp_path, target, source, words):
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database\n" * 100)
    (tmp_path / "folder").mkdir()
    refused(tmp_path / source, target, *words)
    assert list((tmp_path / "folder").iterdir()) == [] and not (tmp_path / "nowhere").exists()


def test_passwords_are_not_repeated(stopped):
    done = refused(stopped.data, "postgres://tipwire:hunter2@127.0.0.1:1/x", "Connection refused")
    assert "hunter2" not in done.stderr
    done = refused(stopped.data, "mysql://tipwire:hunter2@127.0.0.1/x", "--to must be a URL")
    assert "hunter2" not in done.stderr
    refused(stopped.data, None, "TIPWIRE_DATABASE")
    done = subprocess.run(
        [binary(), "migrate", "--from", str(stopped.data), "--to", "postgres://x/y"], capture_output=True,
        env=environment(), text=True, timeout=60)
    assert done.returncode == 1 and "--from must be like sqlite:" in done.stderr, done
