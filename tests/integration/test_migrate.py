"""`mayday migrate`: from nothing, again, half-way, with strangers' versions, without rights, without a server."""
import shutil
import subprocess

import pytest

from support.site import BUILD, ROOT


@pytest.fixture
def empty(postgres, request):
    """A database with nothing in it."""
    name = "m_" + request.node.name[5:50]
    postgres.sql(f'CREATE DATABASE "{name}"', database="postgres")
    return name


@pytest.fixture
def sql_dir(tmp_path):
    return shutil.copytree(ROOT / "sql", tmp_path / "sql")


def migrate(dsn, *arguments, sql=ROOT / "sql"):
    return subprocess.run([BUILD / "bin" / "mayday", "migrate", "--sql", sql, "--database", dsn, *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def known():
    return len(list((ROOT / "sql").glob("[0-9]*.sql")))


def test_from_nothing_and_again(postgres, empty):
    dsn = postgres.dsn("postgres", empty)
    assert migrate(dsn, "--check").returncode == 1
    first = migrate(dsn)
    assert first.returncode == 0 and first.stdout.count("applied ") == known(), first.stderr
    again = migrate(dsn)
    assert again.returncode == 0 and "was up to date" in again.stdout
    assert migrate(dsn, "--check").returncode == 0
    assert postgres.sql("SELECT count(*) FROM mayday.migration", database=empty) == [(known(),)]
    foreign = "SELECT relname FROM pg_class WHERE relnamespace = 'mayday'::regnamespace AND pg_get_userbyid(relowner) <> 'mayday_owner'"
    assert postgres.sql(foreign, database=empty) == [], "everything belongs to the owner, also when a superuser migrates"


def test_the_owner_alone_can_migrate_what_a_superuser_has_prepared(postgres, empty):
    refused = migrate(postgres.dsn("mayday_owner", empty))
    assert refused.returncode == 1 and "prepare.sql" in refused.stderr
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROOT / "sql" / "prepare.sql", postgres.dsn(database=empty)], check=True)
    assert migrate(postgres.dsn("mayday_owner", empty)).returncode == 0
    stranger = migrate(postgres.dsn("mayday_plugin", empty))
    assert stranger.returncode == 1 and "mayday_owner" in stranger.stderr


def test_a_newer_database_is_refused(postgres, empty):
    dsn = postgres.dsn("postgres", empty)
    migrate(dsn)
    postgres.sql("INSERT INTO mayday.migration VALUES (9999, '9999_tomorrow.sql', 'x')", database=empty)
    for arguments in ([], ["--check"]):
        refused = migrate(dsn, *arguments)
        assert refused.returncode == 1 and "upgrade Mayday" in refused.stderr


def test_a_failing_migration_leaves_nothing_and_the_rest_goes_on_later(postgres, empty, sql_dir):
    dsn = postgres.dsn("postgres", empty)
    extra = sql_dir / f"{known() + 1:04d}_extra.sql"
    extra.write_text("CREATE TABLE mayday.extra (x int); SELECT 1 / 0;")
    failed = migrate(dsn, sql=sql_dir)
    assert failed.returncode == 1 and extra.name in failed.stderr and "division by zero" in failed.stderr
    assert postgres.sql("SELECT to_regclass('mayday.extra'), max(version) FROM mayday.migration", database=empty) == [(None, known())]
    extra.write_text("CREATE TABLE mayday.extra (x int);")
    assert migrate(dsn, sql=sql_dir).stdout.count("applied ") == 1


def test_a_changed_migration_is_refused(postgres, empty, sql_dir):
    dsn = postgres.dsn("postgres", empty)
    migrate(dsn, sql=sql_dir)
    first = sorted(sql_dir.glob("0001_*.sql"))[0]
    first.write_text(first.read_text() + "\n-- edited\n")
    refused = migrate(dsn, sql=sql_dir)
    assert refused.returncode == 1 and first.name in refused.stderr and "differs" in refused.stderr


def test_a_gap_in_the_numbers_is_refused(postgres, empty, sql_dir):
    sorted(sql_dir.glob("0002_*.sql"))[0].unlink()
    refused = migrate(postgres.dsn("postgres", empty), sql=sql_dir)
    assert refused.returncode == 1 and "without gap" in refused.stderr
    assert postgres.sql("SELECT to_regnamespace('mayday')", database=empty) == [(None,)]


def test_two_at_once_do_not_disturb_each_other(postgres, empty):
    command = [BUILD / "bin" / "mayday", "migrate", "--sql", ROOT / "sql", "--database", postgres.dsn("postgres", empty)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert sum(out.count("applied ") for out, _ in said) == known()


def test_an_unreachable_server_is_exit_3(tmp_path):
    answer = migrate(f"host={tmp_path} dbname=mayday")
    assert answer.returncode == 3 and "cannot reach" in answer.stderr
