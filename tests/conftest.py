"""Fixtures shared by all Python tests."""
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.postgres import Postgres  # noqa: E402
from support.site import BUILD, ROOT, Site  # noqa: E402


@pytest.fixture(scope="session")
def postgres():
    """One server for the session, with a migrated database that others are made from. In a folder that its own user can reach:
    pytest's are closed to all but the caller."""
    with tempfile.TemporaryDirectory(prefix="mayday-test-") as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "postgres") as server:
            server.start()
            prepare(server, "template_mayday")
            yield server


def prepare(server, name):
    """A migrated database."""
    server.create_database(name)
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(ROOT / "sql" / "prepare.sql"), server.dsn(database=name)],
                   check=True, stdout=subprocess.DEVNULL)
    conf = server.folder / f"{name}.conf"
    conf.write_text(f"[database]\nadmin = {server.dsn('mayday_owner', name)}\n")
    subprocess.run([BUILD / "bin" / "mayday", "--config", conf, "migrate", "--sql", ROOT / "sql"], check=True,
                   stdout=subprocess.DEVNULL)


class Database:
    """One database of the shared server."""

    def __init__(self, server, name):
        self.server, self.name = server, name

    def dsn(self, user="postgres"):
        return self.server.dsn(user, self.name)

    def sql(self, statement, params=None, user="postgres"):
        return self.server.sql(statement, params, user, self.name)


@pytest.fixture(scope="module")
def database(postgres, request):
    """A fresh, migrated database for each file of tests."""
    name = request.module.__name__.replace(".", "_")[:60]
    postgres.sql(f'CREATE DATABASE "{name}" TEMPLATE template_mayday', database="postgres")
    return Database(postgres, name)


@pytest.fixture(scope="module")
def site(database, tmp_path_factory):
    """A running site that the tests of one file share."""
    with Site(tmp_path_factory.mktemp("site"), database) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(site):
    """A running gateway for that site."""
    with site.gateway(gateway__organisations="acme") as running:
        yield running


@pytest.fixture
def own_site(database, tmp_path):
    """A site of the test's own, not started; whatever still runs at the end is stopped."""
    made = []

    def make(**settings):
        made.append(Site(tmp_path / f"site{len(made)}", database, **settings))
        return made[-1]

    yield make
    for each in made:
        each.stop()
