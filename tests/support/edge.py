"""Gateways with sensors: how they are configured and started, what they say of themselves, and who listens to what they publish."""
import contextlib
import json
import os
import urllib.error
import urllib.request
from datetime import datetime

from support.sensors import Line
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
def alone(gateway):
    """Started where there is no broker yet; its sensor is open. Ended somehow: it must read no line of a test that comes later."""
    try:
        gateway.start_unready()
        wait_until(lambda: sensor_of(gateway).get("state") == "open", "it is open")
        yield gateway
    finally:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()


@contextlib.contextmanager
def dispatch(site, *leaves):
    with site.client("dan", ["dispatcher"], client_id=f"dan:{os.urandom(4).hex()}") as c:
        for leaf in leaves or ("vitals", "location"):
            assert c.subscribe(f"mayday/v1/acme/user/+/{leaf}") == [1]
        yield c


def heard(client, timeout=None):
    message = client.receive(timeout)
    return message.topic, json.loads(message.payload)


def seconds(ts):
    return datetime.fromisoformat(ts.replace("Z", "+00:00")).timestamp()


def until(client, wanted):
    """The first message of which that holds; what comes before is left."""
    while True:
        topic, said = heard(client)
        if wanted(topic, said):
            return said


def ask(gateway):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/health", timeout=5) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return json.loads(answer.read())
    except urllib.error.URLError:  # it is on its way up
        gateway.alive()
        return None


def health(gateway):
    return wait_until(lambda: ask(gateway), "/health is answered")


def sensor_of(gateway, name="port"):
    return health(gateway).get("sensors", {}).get(name, {})
