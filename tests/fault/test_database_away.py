"""PostgreSQL stops, dies, is cut off, has no disk left, while people go on sending. Alerts are acknowledged and delivered meanwhile, the
broker waits for nobody, and at the end everything acknowledged is stored, once."""
import os
import random
import subprocess
import time

import psycopg2
import pytest

from support import messages as m
from support.load import Load, rss
from support.mortal import Ballast, mortal_server, open_folder, small_disk
from support.proxy import Proxy
from support.site import Site, wait_until

SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))
AWAY = 60 if os.environ.get("MAYDAY_LONG") else 6  # seconds
MORE_MEMORY = 64 << 20  # what a broker may take in addition while the database is away


@pytest.fixture(scope="module")
def server():
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def rng():
    print(f"seed {SEED}: MAYDAY_SEED={SEED} repeats it")
    return random.Random(SEED)


@pytest.fixture
def site(server, tmp_path):
    if not server.pid():
        server.start()
    with Site(tmp_path / "site", server, journal__segment_size="8M", journal__max_size="2G") as running:
        yield running


def raise_and_deliver(ann, dora):
    """One alert, acknowledged and delivered."""
    sent = m.raise_()
    assert ann.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(sent)) == 0
    while sent["id"].encode() not in dora.receive().payload:
        pass  # an alert of the others
    return sent["id"]


def is_stored(site, ids):
    return site.rows("SELECT count(*) FROM mayday.raise WHERE id = ANY (%s::uuid[])", [ids]) == [(len(ids),)]


def test_stopped_for_a_while_under_load(site, server, rng):
    raised = []
    with site.client("ann") as ann, site.client("dora", ["dispatcher"]) as dora, Load(site, rng, clients=4, pause=0.002) as load:
        assert dora.subscribe("mayday/v1/acme/alert/+/raise") == [1]
        load.goes_on(300)
        wait_until(lambda: site.figure("database/connected") == 1, "the database is there")
        before = rss(site.process)
        server.stop()
        back_at = time.monotonic() + AWAY
        while time.monotonic() < back_at:
            raised.append(raise_and_deliver(ann, dora))
        wait_until(lambda: site.figure("database/connected") == 0, "the figures say that the database is away")
        wait_until(lambda: site.figure("journal/lag_records") > 300 and site.figure("journal/lag_seconds") > 1, "the figures say how far behind")
        assert rss(site.process) < before + MORE_MEMORY
        server.start()
        load.finish()
        load.assert_stored_once(site)
    assert is_stored(site, raised)
    wait_until(lambda: site.figure("database/connected") == 1 and site.figure("journal/lag_records") == 0, "the figures say that it has caught up")
    assert site.figure("database/dead_letters") == 0


def test_killed_again_and_again_under_load(site, server, rng):
    with Load(site, rng, clients=4) as load:
        for _ in range(4):
            load.goes_on(200)
            time.sleep(rng.uniform(0, 0.2))  # the moment of the crash is what varies
            server.kill()
            load.goes_on(200)
            server.start()
        load.finish()
        load.assert_stored_once(site)


def test_sessions_are_ended_again_and_again_under_load(site, server, rng):
    ended = 0
    with Load(site, rng, clients=4) as load:
        for _ in range(20):
            load.goes_on(50)
            ended += server.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'mayday_plugin'")[0][0]
        load.finish()
        load.assert_stored_once(site)
    assert ended > 1
    wait_until(lambda: site.figure("database/reconnects") > 1, "the figures say that it had to connect again")


def test_the_broker_dies_too_while_the_database_is_away(site, server, rng):
    with Load(site, rng, clients=4) as load:
        load.goes_on(200)
        server.kill()
        for _ in range(3):
            load.goes_on(300)
            site.kill()
            site.start()
        load.goes_on(100)
        server.start()
        load.finish()
        load.assert_stored_once(site)


def test_without_a_database_from_the_start_alerts_are_taken_and_delivered(site, server, rng):
    site.stop()
    server.stop()
    site.start()
    with site.client("ann") as ann, site.client("dora", ["dispatcher"]) as dora:
        dora.subscribe("mayday/v1/acme/alert/+/raise")
        raised = [raise_and_deliver(ann, dora) for _ in range(20)]
    server.start()
    wait_until(lambda: is_stored(site, raised), "the alerts are stored")


def fill_up_under_load(site, disk, rng, filled=lambda: None, back=lambda: None):
    ballast = Ballast(disk)
    with Load(site, rng, clients=4, repeats=0) as load:
        load.goes_on(200)
        before = len(site.log())
        ballast.fill()
        filled()
        wait_until(lambda: any(said in site.log()[before:] for said in ("a batch failed", "cannot be reached", "does not let us begin")),
                   "the database has no room for a batch", 300)
        load.goes_on(500)
        ballast.drop()
        back()
        load.finish()
        load.assert_stored_once(site)
    wait_until(lambda: site.figure("database/connected") == 1 and site.figure("journal/lag_records") == 0, "the figures say that it has caught up")
    assert site.figure("database/dead_letters") == 0


SMALL_LOG = {"max_wal_size": "32MB", "min_wal_size": "32MB"}


def test_out_of_disk_the_writer_waits_and_goes_on_when_there_is_room(tmp_path, rng):
    with small_disk(512 << 20) as disk, mortal_server(disk / "pg", **SMALL_LOG) as server, Site(tmp_path / "site", server, journal__segment_size="8M", journal__max_size="2G") as site:
        fill_up_under_load(site, disk, rng)
        assert "No space left on device" in (server.folder / "log").read_text()


def test_a_server_that_gives_up_for_want_of_disk_is_waited_for(tmp_path, rng):
    with open_folder() as folder, small_disk(128 << 20) as disk, mortal_server(folder, wal_keep_size="1GB", **SMALL_LOG) as server:
        server.stop()
        subprocess.run(["mv", server.data / "pg_wal", disk], check=True)  # keeps its owner
        (server.data / "pg_wal").symlink_to(disk / "pg_wal")
        server.start()

        def use_up_the_log():
            with pytest.raises(psycopg2.OperationalError):
                while True:
                    server.sql("SELECT pg_switch_wal()")
                    server.sql("CREATE TABLE IF NOT EXISTS public.noise ()")
            wait_until(lambda: not server.pid(), "PostgreSQL has given up")

        with Site(tmp_path / "site", server, journal__segment_size="8M", journal__max_size="2G") as site:
            fill_up_under_load(site, disk, rng, use_up_the_log, server.start)
        assert "PANIC" in (server.folder / "log").read_text()


@pytest.fixture
def far_site(server, tmp_path):
    """A site whose database is behind a network."""
    if not server.pid():
        server.start()

    class Far:
        sql = server.sql

        def dsn(self, user="postgres", database="mayday"):
            return f"host=127.0.0.1 port={proxy.port} user={user} dbname={database}"

    with Proxy(server.port) as proxy, Site(tmp_path / "site", Far()) as running:
        yield running, proxy


@pytest.mark.parametrize("then", ["resume", "cut"])
def test_the_network_to_the_database_falls_silent(far_site, rng, then):
    site, proxy = far_site
    with Load(site, rng, clients=4, pause=0.002) as load:
        wait_until(lambda: site.figure("database/rows") > 0, "the database is reached through the network")
        for _ in range(2):
            load.goes_on(100)
            wait_until(lambda: site.figure("database/connected") == 1, "the database is there")
            passed = proxy.passed
            wait_until(lambda: proxy.passed > passed, "rows pass through the network")
            proxy.stall()
            wait_until(lambda: site.figure("journal/lag_records") > 200, "nothing gets through")
            until = time.monotonic() + AWAY / 3
            while time.monotonic() < until:
                load.goes_on(100)
            getattr(proxy, then)()
        load.finish()
        load.assert_stored_once(site)
    if then == "cut":
        wait_until(lambda: site.figure("database/reconnects") > 0, "it connected again")


def test_the_network_loses_its_connections_all_the_time(far_site, rng):
    site, proxy = far_site
    with Load(site, rng, clients=4) as load:
        for _ in range(15):
            load.goes_on(60)
            proxy.cut()
        load.finish()
        load.assert_stored_once(site)
