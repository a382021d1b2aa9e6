"""The journal finds no room: telemetry waits on the devices, alerts are taken from the reserve, and nothing acknowledged is lost. Full by
its own max_size (which needs no special machine) and full because the disk is."""
import os
import random

import pytest

from support import messages as m
from support.load import Load
from support.mortal import Ballast, mortal_server, open_folder, small_disk
from support.site import Site, wait_until

SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))
TELEMETRY, ALERTS = {"location": 1}, {"raise": 1}


@pytest.fixture(scope="module")
def server():
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def rng():
    print(f"seed {SEED}: MAYDAY_SEED={SEED} repeats it")
    return random.Random(SEED)


@pytest.fixture
def full_site(server, tmp_path):
    """Makes a site with a small journal, and stops the database."""
    made = []

    def make(**settings):
        if not server.pid():
            server.start()
        made.append(Site(tmp_path / f"site{len(made)}", server, **{"journal__segment_size": "1M", **settings}))
        return made[-1].start()

    yield make
    for each in made:
        each.stop()


def telemetry_until_refused(site, rng):
    load = Load(site, rng, clients=3, kinds=TELEMETRY).start()
    wait_until(lambda: sum(s.closed for s in load.senders) >= 6, "telemetry is refused", 60)
    wait_until(lambda: site.figure("journal/in_reserve") == 1 and site.figure("messages/journal_refused") > 0, "the figures say so")
    return load


def telemetry_is_kept_by_its_sender(site):
    with site.client("sue") as sue:
        sue.send_publish(m.topic("user", "sue", "location"), m.dump(m.location()))
        assert sue.is_closed(), "telemetry was taken although there is no room"


def alerts_are_taken(site, rng, count):
    with Load(site, rng, clients=2, kinds=ALERTS, window=10) as load:
        load.goes_on(count)
        load.finish()
    assert not [s.sub for s in load.senders if s.closed], "an alert was refused"
    return load


@pytest.mark.parametrize("max_size", ["3M", "4M"])
def test_a_journal_at_its_limit_takes_alerts_only_until_the_database_is_back(full_site, server, rng, max_size):
    site = full_site(journal__max_size=max_size)
    server.stop()
    telemetry = telemetry_until_refused(site, rng)
    try:
        telemetry_is_kept_by_its_sender(site)
        alerts = alerts_are_taken(site, rng, 300)
        site.kill()
        site.start()
        telemetry_is_kept_by_its_sender(site)
        later = alerts_are_taken(site, rng, 300)
        server.start()
        telemetry.goes_on(500)
        telemetry.finish()
    finally:
        telemetry.abandon()
    for load in (telemetry, alerts, later):
        load.assert_stored_once(site)
    wait_until(lambda: site.figure("journal/in_reserve") == 0, "the reserve is whole again")


def test_a_journal_with_no_room_at_all_refuses_alerts_too_and_they_are_kept_by_their_senders(full_site, server, rng):
    site = full_site(journal__max_size="3M")
    server.stop()
    with Load(site, rng, clients=3, kinds=ALERTS) as load:
        wait_until(lambda: sum(s.closed for s in load.senders) >= 6, "alerts are refused", 60)
        taken = load.acknowledged()
        assert taken > 3000  # they had the reserve as well
        assert "takes no alert messages now" in site.log()
        server.start()
        load.goes_on(300)
        load.finish()
        load.assert_stored_once(site)


@pytest.fixture
def disk():
    with small_disk(12 << 20) as folder:
        yield folder


def test_a_full_disk_refuses_telemetry_before_alerts(full_site, server, rng, disk):
    site = full_site(journal__dir=disk / "journal", journal__min_free="1M")
    server.stop()
    telemetry = telemetry_until_refused(site, rng)
    ballast = Ballast(disk)
    try:
        ballast.fill()  # the reserve is on the disk already
        telemetry_is_kept_by_its_sender(site)
        alerts = alerts_are_taken(site, rng, 300)
        site.kill()
        site.start()
        telemetry_is_kept_by_its_sender(site)
        ballast.drop()
        later = alerts_are_taken(site, rng, 300)
        server.start()
        telemetry.goes_on(500)
        telemetry.finish()
    finally:
        telemetry.abandon()
        ballast.drop()
    for load in (telemetry, alerts, later):
        load.assert_stored_once(site)


def test_room_made_by_an_administrator_is_used_at_once(full_site, server, rng, disk):
    ballast = Ballast(disk)
    site = full_site(journal__dir=disk / "journal", journal__min_free="1M")
    server.stop()
    ballast.fill(leaving=3 << 20)
    telemetry = telemetry_until_refused(site, rng)
    try:
        ballast.drop()
        telemetry.goes_on(1000)
        server.start()
        telemetry.finish()
    finally:
        telemetry.abandon()
    telemetry.assert_stored_once(site)
