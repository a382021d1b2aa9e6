"""Bad days at the edge: a clock that is wrong until GPS, or somebody, puts it right; a disk that is full when the gateway starts."""
import contextlib
import os
import time
import urllib.request

from support.clock import Clock
from support.edge import alone, dispatch, edge, health, heard, line, seconds, sensor_of, serial
from support.messages import token
from support.mortal import Ballast, open_folder, small_disk
from support.sensors import Gpsd
from support.site import BUILD, free_port, wait_until

YEAR = 365 * 86400


@contextlib.contextmanager
def wrong_clock(offset):
    with open_folder() as folder:
        clock = Clock(folder)
        clock.set(offset)
        clock.env["LD_PRELOAD"] = f"{BUILD / 'lib' / 'unset_clock.so'}:{clock.env['LD_PRELOAD']}"
        yield clock


@contextlib.contextmanager
def receiver(folder, clock):
    """gpsd goes by the machine's clock, like everything on it; the satellites don't."""
    gpsd = Gpsd(folder, free_port(), clock.env)
    try:
        yield gpsd
    finally:
        gpsd.close()


def sky(gpsd):
    return {"name": "sky", "kind": "gpsd", "person": "ann", "options": {"port": gpsd.port}, "heartbeat": 3600}


def strap(port, **more):
    return serial(port, "json", person="bob", every=0.1, heartbeat=0, **more)


def figure(gateway, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=5) as answer:
        return sum(float(row.split()[-1]) for row in answer.read().decode().splitlines() if row.startswith(name))


def reads(gateway, port, count, **values):
    """Says it; it is taken as the `count`th. Returns when that was."""
    now = time.time()
    port.say_json(**values)
    wait_until(lambda: sensor_of(gateway).get("published", 0) == count, f"reading {count} is taken")
    return now


def id_time(said):
    return int(said["id"].replace("-", "")[:12], 16) / 1000


def assert_timed(said, times):
    """Each pulse at its time, and with an id of that time, by which the database sorts it."""
    assert [s["hr"] for s in said] == sorted(times)
    for s in said:
        assert abs(seconds(s["ts"]) - times[s["hr"]]) < 60, f"{s} was sensed at {times[s['hr']]}"
        assert abs(id_time(s) - times[s["hr"]]) < 4000


def test_gps_puts_a_clock_right_that_was_wrong_at_boot_and_what_was_sensed_before_moves(own_site, tmp_path):
    site, times = own_site(), {}
    with wrong_clock(-5 * YEAR) as clock, receiver(tmp_path, clock) as gpsd, line(tmp_path) as port:
        gateway = edge(site, "boot", strap(port), sky(gpsd))
        gateway.env = clock.env
        with alone(gateway):
            times[70] = reads(gateway, port, 1, hr=70)
            wait_until(lambda: health(gateway)["backlog"]["waiting"] == 1, "it waits on disk")
            wait_until(lambda: health(gateway)["backlog"].get("oldest", "9") < "2025", "by the wrong clock")
            gpsd.start()
            wait_until(lambda: "the machine's clock is wrong by" in gateway.log(), "GPS is believed")
            wait_until(lambda: figure(gateway, "mayday_gateway_clock_correction_seconds") > 4 * YEAR, "the time is taken from it")
            times[80] = reads(gateway, port, 2, hr=80)
            clock.set(0)
            wait_until(lambda: figure(gateway, "mayday_gateway_clock_correction_seconds") == 0, "somebody sets the clock")
            times[90] = reads(gateway, port, 3, hr=90)
            with site, dispatch(site, "vitals") as dan:
                said = [heard(dan)[1] for _ in range(3)]
                assert_timed(sorted(said, key=lambda s: s["hr"]), times)
                site.wait_rows("SELECT count(*) FROM mayday.vitals WHERE id::text = ANY(%s)", [(3,)], ([s["id"] for s in said],))
                gateway.stop()


def test_what_the_broker_refuses_because_the_clock_is_ahead_goes_up_once_it_is_set(own_site, tmp_path):
    site, times = own_site(), {}
    badge = tmp_path / "token"
    badge.write_text(token("ahead", "acme", ["gateway"], 8 * YEAR))
    badge.chmod(0o600)
    with wrong_clock(4 * YEAR) as clock, line(tmp_path) as port, site, dispatch(site, "vitals") as dan:
        gateway = edge(site, "ahead", strap(port), gateway__token_file=badge, gateway__signing_keys="", gateway__organisations="")
        gateway.env = clock.env
        with alone(gateway):
            wait_until(lambda: health(gateway)["brokers"].get("acme"), "the broker is connected")
            times[70] = reads(gateway, port, 1, hr=70)
            times[200] = reads(gateway, port, 2, hr=200, event="fall")
            wait_until(lambda: figure(gateway, "mayday_gateway_sensors_refused_total") >= 4, "it is refused, and again")
            assert dan.receives_nothing()
            clock.set(0)
            wait_until(lambda: "was set" in gateway.log(), "somebody sets the clock")
            times[300] = reads(gateway, port, 3, hr=300)
            said = [heard(dan, 60)[1] for _ in range(3)]
            assert_timed(sorted(said, key=lambda s: s["hr"]), times)
            gateway.stop()


def test_a_fall_is_acted_on_though_gps_says_that_the_clock_is_years_ahead(own_site, tmp_path):
    site = own_site()
    with wrong_clock(4 * YEAR) as clock, receiver(tmp_path, clock) as gpsd, line(tmp_path) as port:
        gateway = edge(site, "future", strap(port), sky(gpsd))
        gateway.env = clock.env
        gpsd.start()
        with alone(gateway):
            wait_until(lambda: "the machine's clock is wrong by" in gateway.log(), "GPS is believed")
            wait_until(lambda: figure(gateway, "mayday_gateway_clock_correction_seconds") < -3 * YEAR, "the time is taken from it")
            reads(gateway, port, 1, event="fall")
            wait_until(lambda: figure(gateway, "mayday_gateway_vitals_talks_total") == 1, "something is done about it")
            gateway.kill()


def test_a_gateway_that_starts_on_a_full_disk_keeps_what_waited_and_writes_again_when_there_is_room(own_site, tmp_path):
    site = own_site()
    with small_disk("4M") as disk, line(tmp_path) as port:
        gateway = edge(site, "crammed", strap(port), node__state_dir=disk)
        with alone(gateway):
            for i in range(5):
                reads(gateway, port, i + 1, hr=60 + 10 * i)
            wait_until(lambda: health(gateway)["backlog"]["waiting"] == 5, "all of it waits on disk")
            gateway.stop()
        ballast = Ballast(disk)
        ballast.fill()
        os.truncate(gateway.log_file, 0)
        with alone(gateway):
            reads(gateway, port, 1, hr=150)
            ballast.drop()
            wait_until(lambda: health(gateway)["backlog"]["waiting"] == 6, "all of it waits on disk")
            with site, dispatch(site, "vitals") as dan:
                assert [heard(dan)[1]["hr"] for _ in range(6)] == [60, 70, 80, 90, 100, 150]
                gateway.stop()
