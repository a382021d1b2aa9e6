"""PostgreSQL's bad days: whatever happens to the server, what is in the journal is in the database at the end, once."""
import os
import random
import socket
import subprocess
import time

import pytest

from support.drain import Drain
from support.messages import location, message, raise_, uuid7
from support.mortal import mortal_server, open_folder
from support.postgres import FAST, Postgres
from support.site import BUILD, ROOT, wait_until

ROUNDS = int(os.environ.get("MAYDAY_ROUNDS", "4"))
SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))


@pytest.fixture(scope="module")
def server():
    """A server that may be killed; nobody else uses it."""
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def drain(server, tmp_path):
    made = []

    def make(**options):
        made.append(Drain(tmp_path / "journal", server.dsn("mayday_plugin"), **{"retry": 100, **options}))
        return made[-1]

    yield make
    for each in made:
        each.__exit__()
    if not server.pid():
        server.start()


def assert_all_stored_once(server, sender, sent):
    rows = [row[0] for row in server.sql("SELECT id::text FROM mayday.location WHERE sender = %s", [sender])]
    assert len(rows) == len(set(rows)), "something is stored twice"
    assert set(rows) == {m["id"] for m in sent}
    assert server.sql("SELECT count(*) FROM mayday.dead_letter WHERE sender = %s", [sender]) == [(0,)]


def send(d, sender, count, sent):
    for _ in range(count):
        sent.append(location())
        d.send("user", sender, "location", sent[-1], sender=sender)
        if random.random() < 0.05:  # a retransmission
            d.send("user", sender, "location", random.choice(sent[-50:]), sender=sender)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_server_is_killed_at_random_under_load(server, drain, round_):
    seed = SEED + round_
    print(f"seed {seed}: MAYDAY_SEED={seed} MAYDAY_ROUNDS=1 repeats this round")
    random.seed(seed)
    sender, sent = f"killed-{seed}", []
    d = drain(batch=random.choice([50, 500, 8192]), wait=random.choice([0, 20]))
    d.expect("connected")
    for _ in range(3):
        send(d, sender, random.randrange(200, 2000), sent)
        time.sleep(random.random() * 0.05)  # the moment of the crash is what varies
        server.kill()
        send(d, sender, random.randrange(0, 500), sent)
        server.start()
    send(d, sender, 100, sent)
    figures = d.finish()
    assert figures["reconnects"] >= 1  # the server may die again before it was found
    assert_all_stored_once(server, sender, sent)


def test_an_administrator_ends_the_session_again_and_again(server, drain):
    sent = []
    d = drain(batch=200)
    d.expect("connected")
    ended = 0
    for _ in range(10):
        send(d, "ended", 500, sent)
        ended += server.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'mayday test'")[0][0]
    figures = d.finish()
    assert ended > 0 and figures["reconnects"] > 0
    assert_all_stored_once(server, "ended", sent)


def test_a_restart_of_the_server_is_survived_and_memberships_changed_meanwhile_arrive(server, drain):
    d, alert = drain(), uuid7()
    server.sql("SELECT mayday.enter_person('acme', 'rob', '{responder}', NULL)")
    d.send("alert", alert, "raise", raise_())
    d.send("alert", alert, "action", message(action="assign", person="rob"), sender="dee", roles="dispatcher")
    d.expect_member("set", "acme", "alert", alert, "rob", "assigned")
    server.stop()
    with Postgres(server.folder, port=5999, settings=FAST) as apart:  # where the writer does not find it
        apart.start()
        apart.sql("UPDATE mayday.membership SET until = now() WHERE person = 'rob'")
        apart.sql("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, 'eva', 'invited')", [alert])
    server.start()
    d.expect_member("remove", "acme", "alert", alert, "rob", "none")
    d.expect_member("set", "acme", "alert", alert, "eva", "invited")
    d.finish()


def test_without_a_schema_it_waits_and_says_what_to_do(server, drain, tmp_path):
    server.create_database("empty")
    with Drain(tmp_path / "elsewhere", server.dsn("mayday_plugin", "empty"), retry=100, generate=10) as d:
        d.expect("mayday migrate")
        subprocess.run([BUILD / "bin" / "mayday", "migrate", "--sql", ROOT / "sql", "--database", server.dsn("postgres", "empty")],
                       check=True, stdout=subprocess.DEVNULL)
        assert d.finish()["rows"] == 10


@pytest.mark.parametrize("code", ["53100", "40P01", "40001", "57014", "53200", "42501"])
def test_what_is_not_the_datas_fault_is_tried_again_and_makes_no_dead_letter(server, drain, code):
    """53100 is a full disk; 42501 a right that somebody took away."""
    sent, sender = [], f"code-{code}"
    server.sql(f"CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
               f"RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$")
    server.sql("CREATE TRIGGER fail BEFORE INSERT ON mayday.location FOR EACH STATEMENT EXECUTE FUNCTION public.fail()")
    d = drain()
    send(d, sender, 300, sent)
    d.expect(f"a batch failed: {code}: not now")
    server.sql("DROP FUNCTION public.fail() CASCADE")
    assert d.finish()["failed_batches"] > 0
    assert_all_stored_once(server, sender, sent)


def test_stopping_does_not_wait_for_a_host_that_swallows_everything(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts, and never says a word
        port = mute.getsockname()[1]
        with Drain(tmp_path / "mute", f"host=127.0.0.1 port={port} dbname=mayday", grace=300, timeout=1, generate=10) as d:
            d.finish(code=1)
            assert d.stopped < 5


def test_a_long_query_in_the_way_of_new_partitions_stops_nothing(server, drain):
    server.sql("DROP TABLE mayday.location_" + time.strftime("%Y%m%d", time.gmtime(time.time() + 86400)))
    reader = server.connect()
    reader.autocommit = False
    with reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mayday.location")
    sent = []
    d = drain()
    d.expect("partitions could not be made")
    send(d, "behind", 100, sent)
    wait_until(lambda: server.sql("SELECT count(*) FROM mayday.location WHERE sender = 'behind'") == [(100,)], "telemetry flows")
    reader.rollback()
    reader.close()
    d.finish()


def test_a_lock_held_by_somebody_delays_and_loses_nothing(server, drain):
    sent = []
    blocker = server.connect()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE mayday.location IN ACCESS EXCLUSIVE MODE")
    d = drain()
    send(d, "locked", 300, sent)
    wait_until(lambda: d.appended >= 300, "the journal takes what the database does not")
    blocker.rollback()
    blocker.close()
    d.finish()
    assert_all_stored_once(server, "locked", sent)


def test_stopping_does_not_wait_for_a_server_that_does_not_answer(server, drain):
    blocker = server.connect()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE mayday.location IN ACCESS EXCLUSIVE MODE")
    sent = []
    d = drain(grace=300, timeout=1)
    send(d, "stopped", 100, sent)
    d.finish(code=1)  # not drained
    assert d.stopped < 5
    blocker.rollback()
    blocker.close()
    drain().finish()  # the journal has kept it all
    assert_all_stored_once(server, "stopped", sent)
