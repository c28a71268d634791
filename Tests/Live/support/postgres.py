"""A PostgreSQL for servers to run on, where `scripts/with-postgres` has started one: every test that starts a server then does so on
a database of its own instead of a file."""

import hashlib
import os
import subprocess

GIVEN = os.environ.get("TIPWIRE_TEST_POSTGRES")


def run(sql, database="postgres"):
    """Runs SQL as an operator would; returns what it prints."""
    done = subprocess.run(
        ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, f"{GIVEN}/{database}"], capture_output=True, text=True,
        check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def name_for(data):
    """The database that stands for a data folder."""
    return "tipwire_" + hashlib.sha256(str(data).encode()).hexdigest()[:20]


def database_for(data):
    """The address of that database, which is made if there is none."""
    name = name_for(data)
    if run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'") != "1":
        run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    return f"{GIVEN}/{name}"
