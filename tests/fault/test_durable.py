"""Durable subscribers on bad days. What waits for an absent dispatcher is Mosquitto's to keep: it survives an orderly restart, and after
SIGKILL what Mosquitto had saved. What Mosquitto loses is in the database all the same."""
import os
import random
import signal

import pytest

from support import messages as m
from support.load import Load, ids
from support.site import wait_until

SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))
ALERTS = "mayday/v1/acme/alert/+/raise"


@pytest.fixture
def site(own_site):
    return own_site().start()


@pytest.fixture
def rng():
    print(f"seed {SEED}: MAYDAY_SEED={SEED} repeats it")
    return random.Random(SEED)


def dispatcher(site, version=4):
    return site.client("dora", ["dispatcher"], version=version, clean=False, expiry=3600 if version == 5 else None)


def absent_dispatcher(site, version=4):
    dora = dispatcher(site, version)
    assert dora.subscribe(ALERTS) == [1]
    dora.disconnect()


def raise_alerts(site, count):
    sent = [m.raise_() for _ in range(count)]
    with site.client("ann") as ann:
        for each in sent:
            assert ann.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(each)) == 0
    return [each["id"] for each in sent]


def save(site):
    """Mosquitto writes what it holds to its file, through another file and a rename."""
    at = site.folder / "mosquitto.db"
    before = at.stat().st_ino if at.exists() else 0
    site.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: at.exists() and at.stat().st_ino != before, "Mosquitto has saved")


def all_stored_once(site, wanted):
    site.wait_rows("SELECT count(*), count(DISTINCT id) FROM mayday.raise WHERE id = ANY (%s::uuid[])", [(len(wanted),) * 2], [wanted])


@pytest.mark.parametrize("version", [4, 5])
def test_an_orderly_restart_keeps_what_waits_for_an_absent_dispatcher(site, version):
    absent_dispatcher(site, version)
    waiting = []
    for _ in range(3):
        waiting += raise_alerts(site, 20)
        site.restart()
    with dispatcher(site, version) as dora:
        assert dora.session_present
        assert ids(dora.receive() for _ in waiting) == waiting
        assert dora.receives_nothing()
    all_stored_once(site, waiting)


def test_after_a_kill_what_was_saved_is_delivered_and_all_of_it_is_stored(site):
    absent_dispatcher(site)
    waiting, unsaved = [], []
    for _ in range(3):
        waiting += raise_alerts(site, 20)
        save(site)
        unsaved += raise_alerts(site, 5)
        site.kill()
        site.start()
    with dispatcher(site) as dora:
        assert dora.session_present
        assert ids(dora.receive() for _ in waiting) == waiting
        assert dora.receives_nothing()
    all_stored_once(site, waiting + unsaved)


def test_a_durable_member_hears_of_their_incident_after_a_kill(site):
    """Who may read what is ours to remember, and is not lost with the process."""
    alert, said = m.uuid7(), m.chat("are you there?")
    with site.client("ann", clean=False) as ann:
        ann.subscribe("mayday/v1/acme/alert/+/chat")
        assert ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
        save(site)
        ann.disconnect()
    site.kill()
    site.start()
    with site.client("dora", ["dispatcher"]) as dora:
        assert dora.publish(m.topic("alert", alert, "chat"), m.dump(said)) == 0
        other = m.uuid7()
        with site.client("ben") as ben:
            assert ben.publish(m.topic("alert", other, "raise"), m.dump(m.raise_())) == 0
        assert dora.publish(m.topic("alert", other, "chat"), m.dump(m.chat("not for ann"))) == 0
    with site.client("ann", clean=False) as ann:
        assert ann.session_present
        assert ids([ann.receive()]) == [said["id"]] and ann.receives_nothing()


def test_a_subscriber_that_does_not_read_delays_nobody_and_misses_nothing(site, rng):
    with site.client("dora", ["dispatcher"]) as dora:
        assert dora.subscribe(ALERTS) == [1]  # before the first of them: what came earlier is not hers
        with Load(site, rng, clients=4, repeats=0) as load:
            load.goes_on(3000)
            load.finish()
            load.assert_stored_once(site)
        raised = {id_ for s in load.senders for id_, a in s.acknowledged.items() if a.table == "raise"}
        came = ids(dora.receive() for _ in raised)
        assert set(came) == raised and dora.receives_nothing()


def test_a_queue_that_overflows_costs_its_subscriber_but_neither_senders_nor_the_database(site, rng):
    limit = 10000  # max_queued_messages as shipped
    dora = dispatcher(site)
    assert dora.subscribe("mayday/v1/acme/user/+/location") == [1]
    dora.disconnect()
    with Load(site, rng, clients=4, window=50, kinds={"location": 1}, repeats=0) as load:
        wait_until(lambda: load.acknowledged() > limit + 1000, "more than the queue holds", 60)
        load.finish()
        load.assert_stored_once(site)
    with dispatcher(site) as dora:
        came = ids(dora.receive() for _ in range(limit))
    sent = {id_ for s in load.senders for id_ in s.sent}
    assert set(came) <= sent and len(set(came)) == limit
