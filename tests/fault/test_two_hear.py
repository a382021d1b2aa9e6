"""One strap in reach of two gateways: both hear the same body, and whoever wears it is asked once and has one incident."""
import json

import pytest

from fault.test_vigil import DORA, RULES, figures, incidents, one_incident, quick, server, sim, site, watched  # noqa: F401 - the fixtures are used
from support.bluez import STRAP, Bluez, heart_rate
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
