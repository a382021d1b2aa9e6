"""Bluetooth sensors through BlueZ, which stands in on a private D-Bus: what they say arrives as vitals, and what happens to Bluetooth in a
life - restarts, unplugged adapters, devices that go, fail, lie and change hands - is got over."""
import json
import struct
import time

import pytest

from integration.test_sensors import dispatch, edge, health, heard, sensor_of, until, write_sensors
from support.bluez import BATTERY, HEART, OTHER, OXIMETER, PRESSURE, SPOT, STRAP, THERMOMETER, Bluez, heart_rate
from support.site import wait_until

NAN, NRES, PLUS, MINUS, RESERVED = 0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801


@pytest.fixture
def bluez():
    made = Bluez()
    yield made
    made.close()


def strap(name="strap", person="ann", address=STRAP, **more):
    options = {"address": address, **more.pop("options", {})}
    options = {k: v for k, v in options.items() if v is not None}
    return {"name": name, "kind": "bluetooth", "person": person, "every": 0.1, "rate": 1000, "heartbeat": 0, "options": options, **more}


def gateway_of(site, bluez, id, *sensors, **settings):
    gateway = edge(site, id, *sensors, **settings)
    gateway.env["DBUS_SYSTEM_BUS_ADDRESS"] = bluez.address
    return gateway


def is_state(gateway, state, name="strap", why=""):
    said = sensor_of(gateway, name)
    return said.get("state") == state and why in said.get("why", "")


def wait_state(gateway, state, name="strap", why=""):
    wait_until(lambda: is_state(gateway, state, name, why), f"{name} is {state} {why}", 60)


def beat(bluez, rate, **which):
    assert bluez.notify(heart_rate(rate), **which), "nobody listens"


def test_a_heart_rate_strap_is_found_connected_and_heard_and_let_go_at_the_end(site, bluez):
    bluez.device(battery=83).start()
    with gateway_of(site, bluez, "strap", strap()) as gateway, dispatch(site) as dan:
        wait_state(gateway, "open")
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 83, "its battery is read")
        assert bluez.notify(heart_rate(72, 830, 841))
        topic, said = heard(dan)
        assert topic == "mayday/v1/acme/user/ann/vitals" and said["hr"] == 72 and said["contact"] is True and said["battery"] == 83
        assert [round(rr) for rr in said["rr_ms"]] == [830, 841] and said["sensor"] == "strap"
        assert bluez.notify(bytes([41]), BATTERY)
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 41, "its battery is listened to")
        bluez.percentage(17)
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 17, "also as BlueZ says it")
        wait_until(lambda: bluez.tell("discovering", name="hci0") == 0, "nothing is missing: no discovery", 60)
    wait_until(lambda: not bluez.state()["connected"], "it is let go")
    site.wait_rows("SELECT count(*) FROM mayday.vitals WHERE id = %s", [(1,)], (said["id"],))
