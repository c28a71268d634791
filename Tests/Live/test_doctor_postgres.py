"""`tipwire doctor` on a PostgreSQL database, which it examines as closely as the file."""

import pytest

from support import postgres
from support.doctor import doctor, examine
from support.proxies import free_port

pytestmark = pytest.mark.skipif(not postgres.GIVEN, reason="TIPWIRE_TEST_POSTGRES names no server")


@pytest.fixture
def kept(make_server):
    """A server on a PostgreSQL database of its own, with goals, tips and a refund, and the database's name."""
    server = make_server()
    slug = server.page()
    server.goal(slug, 1_000)
    server.goal(slug, 5_000)
    for number in range(3):
        server.tip(slug, id=f"t{number}")
    server.refund(slug, "t1")
    return server, postgres.name_for(server.data)


def examine_postgres(server, *options):
    return examine(server, "--database", postgres.database_for(server.data), *options)


def test_postgresql_is_examined_running_or_not_and_nothing_is_changed(kept):
    server, name = kept
    log = "SELECT log, (SELECT count(*) FROM tipwire.batches) FROM tipwire.log"
    before = postgres.run(log, name)
    report = examine_postgres(server, "--url", server.url)
    assert report.status == 0 and not report.problems, report
    assert report.of("server", "ok") == ["running on this database, from 127.0.0.1"], report
    assert report.of("postgresql", "ok")[0].startswith("version 1"), report
    assert report.of("database", "ok")[0].startswith("sound (events: "), report
    assert report.of("goals", "ok") == ["the log leads to all 2 of them, to the cent"], report
    # As the PostgreSQL of these tests is set up, which may forget.
    assert "fsync is off" in report.of("commits", "warning")[0], report
    server.close()
    report = doctor(
        "--data", server.data, "--port", server.port, TIPWIRE_DATABASE=postgres.database_for(server.data))
    assert report.status == 0 and report.of("server", "ok") == ["not running on this database"], report
    assert report.of("port", "ok") == [f"{server.port} is free"], report
    assert postgres.run(log, name) == before


def test_a_server_on_another_machine_is_thought_of(kept, tmp_path):
    server, _ = kept
    database = "--database", postgres.database_for(server.data)
    report = doctor("--data", tmp_path, "--port", free_port(), *database)
    assert report.status == 0 and "on another machine" in report.of("port", "warning")[0], report
    # Somebody has the port here, and no server has the folder.
    report = doctor("--data", tmp_path, "--port", server.port, *database)
    assert report.status == 0 and "another program's" in report.of("port", "warning")[0], report
    # The server itself says where it listens.
    report = doctor("--data", server.data, "--port", free_port(), *database)
    assert report.status == 0 and "other settings" in report.of("port", "warning")[0], report


def test_a_folder_whose_server_has_another_database_is_a_problem(kept, make_server, tmp_path):
    server, _ = kept
    other = make_server(data=tmp_path / "other")
    other.close()
    report = doctor(
        "--data", server.data, "--port", server.port, "--database", postgres.database_for(other.data))
    assert report.status == 1 and report.problems == {"folder", "port"}, report
    assert f"process {server.process.pid}, {server.url}" in report.of("folder", "problem")[0], report


@pytest.mark.parametrize("sql, words", [
    ("UPDATE goals SET progress = progress - 1 WHERE position = 1", "by the log it has"),
    ("UPDATE tips SET gross = gross + 1 WHERE id = 't0'", "tip 't0' has another amount in the store"),
    ("DELETE FROM tips WHERE id = 't2'", "tip 't2' is not in the store"),
    ("DELETE FROM events WHERE kind = 'tip.refunded'", "doesn't tell of the refund of tip 't1'"),
    ("UPDATE log SET bytes = bytes + 1", "bytes and holds"),
    ("UPDATE events SET data = '{}' WHERE sequence = 4", "can't be read"),
])
def test_what_was_changed_by_hand_is_found_in_postgresql(kept, sql, words):
    server, name = kept
    server.close()
    assert examine_postgres(server).status == 0
    postgres.run(f"SET search_path = tipwire; {sql}", name)
    report = examine_postgres(server)
    assert report.status == 1 and report.problems == {"database"}, report
    assert any(words in text for text in report.of("database", "problem")), report


def test_a_database_that_no_server_can_use_is_a_problem_and_no_table_is_made(tmp_path):
    name, url = postgres.name_for(tmp_path), postgres.database_for(tmp_path)

    def problem(url, *words):
        report = doctor("--data", tmp_path, "--port", free_port(), "--database", url)
        assert report.status == 1 and report.problems == {"database"}, report
        text, = report.of("database", "problem")
        assert all(word in text for word in words), report
        return report

    problem(url, "no server was ever started on it")
    assert postgres.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'tipwire'", name) == "0"
    report = problem("postgres://tipwire:hunter2@127.0.0.1:1/x", "Connection refused")
    assert "hunter2" not in report.said
    problem(f"{postgres.GIVEN}/nowhere", "does not exist")
    postgres.run(
        "CREATE SCHEMA tipwire; CREATE TABLE tipwire.migrations AS SELECT '9999-later' AS name", name)
    problem(url, "a newer Tipwire (9999-later)")
    postgres.run("DELETE FROM tipwire.migrations", name)
    problem(url, "of an older version")
