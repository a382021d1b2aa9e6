"""One strap in reach of two gateways: both hear the same body, and whoever wears it is asked once and has one incident. One strap of two
people: what it said of the first stays the first's."""
import json

import pytest

from fault.test_vigil import DORA, RULES, figures, incidents, one_incident, quick, server, sim, site, watched  # noqa: F401 - the fixtures are used
from support.bluez import OTHER, STRAP, Bluez, heart_rate
from support.bodies import Wearer
from support.site import wait_until


@pytest.fixture
def bluez():
    made = Bluez()
    yield made.device()
    made.close()


def test_two_gateways_that_hear_one_strap_ask_once_and_raise_one_alarm(site, server, sim, bluez):  # noqa: F811
    server.sql("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps(RULES)])
    bluez.start()
    both = [quick(site, id, providers=sim if id == "gw1" else None, sensors__file=site.folder / f"gateway-{id}" / "sensors.json") for id in ("gw1", "gw2")]
    for gateway in both:
        gateway.env["DBUS_SYSTEM_BUS_ADDRESS"] = bluez.address
        (gateway.folder / "sensors.json").write_text(json.dumps({"v": 1, "org": "acme", "sensors": [
            {"name": "strap", "kind": "bluetooth", "person": "ann", "options": {"address": STRAP}}]}))
    try:
        with both[0], both[1]:
            for gateway in both:
                wait_until(lambda: "sensor strap is open" in gateway.log(), f"{gateway.id} reads the strap")
            watched(site, both[0])
            ann = Wearer(site, "ann")
            turn = [0]

            def beats(until):
                turn[0] += 1
                bluez.notify(heart_rate(160 + turn[0] % 5, 370))
                return until()

            wait_until(lambda: beats(lambda: incidents(site, "ann")), "silence becomes an incident", 60)
            for _ in range(40):
                beats(lambda: True)
            assert all('vitals_readings_total{from="own"}' in figures(gateway) for gateway in both), "both judged what they heard"
            alert = one_incident(site, "ann")
            assert len(ann.questions()) == 1
            assert site.rows("SELECT count(*) FROM mayday.check_watch WHERE person = 'ann'") == [(1,)]
            assert len(sim.phone(DORA).wait_texts()) == 1
            assert site.rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND person = 'dora' AND purpose = 'raise'", [alert]) == [(1,)]
            ann.close()
    finally:
        server.sql("DELETE FROM mayday.body_rules")


def test_straps_that_are_swapped_leave_the_alarm_with_whom_it_was_found(site, server, sim, bluez):  # noqa: F811
    server.sql("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps(RULES)])
    bluez.device(OTHER).start()
    gateway = quick(site, "gw1", providers=sim, sensors__file=site.folder / "gateway-gw1" / "sensors.json")
    gateway.env["DBUS_SYSTEM_BUS_ADDRESS"] = bluez.address

    def worn(**straps):
        (gateway.folder / "sensors.json").write_text(json.dumps({"v": 1, "org": "acme", "usual": {"every": 0.1, "heartbeat": 0}, "sensors": [
            {"name": name, "kind": "bluetooth", "person": person, "options": {"address": {"red": STRAP, "blue": OTHER}[name]}}
            for name, person in straps.items()]}))

    def beat(until, red, blue):
        turn[0] += 1
        bluez.notify(heart_rate(red + turn[0] % 5, 370))
        bluez.notify(heart_rate(blue + turn[0] % 5, 800), address=OTHER)
        return until()

    turn = [0]
    worn(red="ann", blue="bob")
    try:
        with gateway:
            for name in ("red", "blue"):
                wait_until(lambda: f"sensor {name} is open" in gateway.log(), f"{name} is read")
            watched(site, gateway)
            ann, bob = Wearer(site, "ann"), Wearer(site, "bob")
            wait_until(lambda: beat(lambda: ann.hears().checks, 160, 70), "ann is asked", 60)
            worn(red="bob", blue="ann")
            gateway.signal(1)
            wait_until(lambda: gateway.log().count("sensor red is open") == 2 and gateway.log().count("sensor blue is open") == 2, "they are swapped")
            wait_until(lambda: beat(lambda: incidents(site, "ann"), 70, 66), "ann's silence becomes an incident, whatever the strap says of bob", 60)
            one_incident(site, "ann")
            for _ in range(20):
                beat(lambda: True, 70, 66)
            assert not bob.questions() and not incidents(site, "bob") and len(ann.questions()) == 1
            assert site.rows("SELECT max(hr) < 100 FROM mayday.vitals WHERE person = 'bob'") == [(True,)]
            ann.close()
            bob.close()
    finally:
        server.sql("DELETE FROM mayday.body_rules")
