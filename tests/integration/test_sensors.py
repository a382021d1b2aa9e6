"""Sensors at the edge: what they say arrives as vitals and positions, at once or later; what they do wrong is seen and does no harm."""
import contextlib
import json
import os
import time
import urllib.request

import pytest

from support import messages as m
from support.sensors import Line, nmea, sentence
from support.site import wait_until


def write_sensors(gateway, *sensors, **top):
    path = gateway.folder / "sensors.json"
    path.write_text(json.dumps({"v": 1, "org": "acme", "sensors": list(sensors), **top}))
    return path


def edge(site, id, *sensors, top=None, **settings):
    """A gateway with these sensors, not started."""
    gateway = site.gateway(id, sensors__file=site.folder / f"gateway-{id}" / "sensors.json", **settings)
    write_sensors(gateway, *sensors, **(top or {}))
    return gateway


@contextlib.contextmanager
def line(folder, name="tty"):
    port = Line(folder / name)
    try:
        yield port.plug()
    finally:
        port.close()


def serial(port, format="nmea", person="ann", name="port", **more):
    options = {"device": str(port.path), "format": format, **more.pop("options", {})}
    sensor = {"name": name, "kind": "serial", "options": options, **more}
    return {**sensor, "person": person} if person else sensor


@contextlib.contextmanager
def running(gateway, *names):
    """Started, connected, and its sensors open."""
    with gateway:
        for name in names or ("port",):
            wait_until(lambda: f"sensor {name} is open" in gateway.log(), f"{name} is open")
        yield gateway


@contextlib.contextmanager
def dispatch(site, *leaves):
    with site.client("dan", ["dispatcher"], client_id=f"dan:{os.urandom(4).hex()}") as c:
        for leaf in leaves or ("vitals", "location"):
            assert c.subscribe(f"mayday/v1/acme/user/+/{leaf}") == [1]
        yield c


def heard(client):
    message = client.receive()
    return message.topic, json.loads(message.payload)


def health(gateway):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/health", timeout=5) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return json.loads(answer.read())


def sensor_of(gateway, name="port"):
    return health(gateway).get("sensors", {}).get(name, {})


def test_positions_of_a_receiver_at_a_serial_line_arrive_with_its_own_time(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "nmea", serial(port))), dispatch(site) as dan:
        at = round(time.time() - 1, 2)
        port.say(nmea(48.8583701, 2.2944813, at, knots=10, course=90))
        topic, said = heard(dan)
    assert topic == "mayday/v1/acme/user/ann/location"
    assert abs(said["lat"] - 48.8583701) < 1e-6 and abs(said["lon"] - 2.2944813) < 1e-6
    assert abs(said["speed"] - 5.144) < 0.01 and said["heading"] == 90 and said["source"] == "gps"
    assert abs(m_seconds(said["ts"]) - at) < 0.02 and "offline" not in said
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], (said["id"],))


def m_seconds(ts):
    from datetime import datetime
    return datetime.fromisoformat(ts.replace("Z", "+00:00")).timestamp()


def test_json_lines_become_vitals_and_positions(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "lines", serial(port, "json"))), dispatch(site) as dan:
        port.say_json(hr=72, spo2=97.5, rr_ms=[830, 841], contact=True, battery=80, lat=1.5, lon=-2.25)
        said = dict(heard(dan) for _ in range(2))
    body, place = said["mayday/v1/acme/user/ann/vitals"], said["mayday/v1/acme/user/ann/location"]
    assert {k: body[k] for k in ("hr", "spo2", "rr_ms", "contact", "battery", "sensor")} == {
        "hr": 72, "spo2": 97.5, "rr_ms": [830, 841], "contact": True, "battery": 80, "sensor": "port"}
    assert (place["lat"], place["lon"]) == (1.5, -2.25)
