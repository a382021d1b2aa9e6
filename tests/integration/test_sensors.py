"""Sensors at the edge: what they say arrives as vitals and positions, at once or later; what they do wrong is seen and does no harm."""
import contextlib
import json
import os
import sqlite3
import subprocess
import time
import urllib.request
import uuid

import pytest

from support import messages as m
from support.edge import alone, dispatch, edge, health, heard, line, running, seconds, sensor_of, serial, until, write_sensors
from support.mortal import Ballast, small_disk
from support.sensors import Gpsd, nmea
from support.site import BUILD, ROOT, free_port, wait_until
from support.wire import Client


def test_positions_of_a_receiver_at_a_serial_line_arrive_with_its_own_time(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "nmea", serial(port))), dispatch(site) as dan:
        at = round(time.time() - 1, 2)
        port.say(nmea(48.8583701, 2.2944813, at, knots=10, course=90))
        topic, said = heard(dan)
    assert topic == "mayday/v1/acme/user/ann/location"
    assert abs(said["lat"] - 48.8583701) < 1e-6 and abs(said["lon"] - 2.2944813) < 1e-6
    assert abs(said["speed"] - 5.144) < 0.01 and said["heading"] == 90 and said["source"] == "gps"
    assert abs(seconds(said["ts"]) - at) < 0.02 and "offline" not in said
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], (said["id"],))


def test_json_lines_become_vitals_and_positions(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "lines", serial(port, "json"))), dispatch(site) as dan:
        port.say_json(hr=72, spo2=97.5, rr_ms=[830, 841], contact=True, battery=80, lat=1.5, lon=-2.25)
        said = dict(heard(dan) for _ in range(2))
    body, place = said["mayday/v1/acme/user/ann/vitals"], said["mayday/v1/acme/user/ann/location"]
    assert {k: body[k] for k in ("hr", "spo2", "rr_ms", "contact", "battery", "sensor")} == {
        "hr": 72, "spo2": 97.5, "rr_ms": [830, 841], "contact": True, "battery": 80, "sensor": "port"}
    assert (place["lat"], place["lon"]) == (1.5, -2.25)


def test_a_line_that_is_pulled_out_is_read_again_once_it_is_back(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "pulled", serial(port, "json"))) as gateway, dispatch(site) as dan:
        port.say_json(hr=70)
        assert heard(dan)[1]["hr"] == 70
        port.unplug()
        wait_until(lambda: "No such file" in sensor_of(gateway).get("why", ""), "it is said to have gone")
        assert sensor_of(gateway)["state"] == "seeking"
        port.plug()
        wait_until(lambda: sensor_of(gateway).get("state") == "open", "it is back")
        port.say_json(hr=90)
        assert heard(dan)[1]["hr"] == 90


def test_garbage_on_a_line_is_counted_and_costs_nothing_else(site, tmp_path):
    rubbish = [os.urandom(5000).replace(b"\n", b"") + b"\n", b"$GPRMC,1,2,3*00\r\n", b"$" + b"A" * 20000 + b"\n", b"{}\n", b"\0\0\n",
               nmea(48, 2)[:40].encode() + b"\n"]
    with line(tmp_path) as port, running(edge(site, "garbage", serial(port))) as gateway, dispatch(site) as dan:
        for each in rubbish:
            port.say(each)
        port.say(nmea(48.5, 2.5))
        assert heard(dan)[1]["lat"] == 48.5
        wait_until(lambda: sensor_of(gateway).get("malformed", 0) >= 3, "it is counted")
        assert "can't be read" in gateway.log()


def test_a_flood_is_cut_and_others_are_heard_meanwhile(site, tmp_path):
    with line(tmp_path, "loud") as loud, line(tmp_path, "calm") as calm:
        gateway = edge(site, "flood", serial(loud, "json", name="loud"), serial(calm, "json", person="bob", name="calm"))
        with running(gateway, "loud", "calm"), dispatch(site) as dan:
            for i in range(3000):
                loud.say_json(hr=60 + i % 100)
            calm.say_json(hr=71)
            assert until(dan, lambda topic, said: "/bob/" in topic)["hr"] == 71
            wait_until(lambda: sensor_of(gateway, "loud").get("flooded", 0) > 2000, "the flood is counted")
            assert sensor_of(gateway, "loud")["published"] < 100 and "floods" in gateway.log()
            assert "flooded" not in sensor_of(gateway, "calm")


def test_what_a_sensor_says_wrongly_is_left_out_and_its_clock_is_put_right(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "liar", serial(port, "json", every=0.1))) as gateway, dispatch(site) as dan:
        port.say_json(hr=900, spo2=140)
        port.say_json(hr=72, temp=98.6, at=time.time() + 86400 * 300)
        said = heard(dan)[1]
        assert said["hr"] == 72 and "temp" not in said and abs(seconds(said["ts"]) - time.time()) < 30
        port.say_json(hr=150, at=time.time() - 3600)
        assert abs(seconds(until(dan, lambda t, s: s.get("hr") == 150)["ts"]) - time.time() + 3600) < 30
        wait_until(lambda: sensor_of(gateway).get("retimed") == 1 and sensor_of(gateway).get("impossible") == 1, "it is counted")


def test_one_who_floods_or_invents_people_silences_nobody_else_at_the_same_sensor(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "crowd", serial(port, "json", person=None, every=0.1))) as gateway, dispatch(site) as dan:
        port.say_json(person="bob", hr=71)
        until(dan, lambda topic, s: "/bob/" in topic and s.get("hr") == 71)
        for i in range(3000):  # more people than a sensor may have, and each in a hurry
            port.say_json(person=f"mallory-{i % 2500}", hr=60 + i % 40)
        wait_until(lambda: sensor_of(gateway)["heard"] > 3000 and sensor_of(gateway).get("flooded", 0) > 500, "the flood is counted")
        for i in range(200):
            port.say_json(person="mallory", hr=60 + i % 40)
        port.say_json(person="bob", event="fall", hr=140)
        assert until(dan, lambda topic, s: "/bob/" in topic and s.get("event") == "fall")["hr"] == 140
        assert "mallory" not in gateway.log(), "names are in no log"


def test_a_sensor_that_falls_silent_is_reported_and_so_is_that_it_speaks_again(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "silent", serial(port, "json", silent=1))) as gateway, dispatch(site) as dan:
        port.say_json(hr=70)
        heard(dan)
        wait_until(lambda: sensor_of(gateway).get("state") == "silent", "it is silent")
        assert "port is silent" in gateway.log()
        port.say_json(hr=80)
        wait_until(lambda: "port speaks again" in gateway.log() and sensor_of(gateway).get("heard") == 2, "it speaks again")
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=5) as answer:
            assert 'mayday_gateway_sensor_heard_total{sensor="port"} 2' in answer.read().decode()


def test_in_calm_less_is_published_than_is_heard(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "calm", serial(port, "json", every=0.1, rate=1000, heartbeat=3600))) as gateway:
        port.say_json(hr=70)
        wait_until(lambda: "the first is published" and sensor_of(gateway).get("published") == 1, "the first is published")

        def calmed():
            port.say_json(hr=70)
            s = sensor_of(gateway)
            return s["heard"] > s["published"] + 20

        wait_until(calmed, "and then fewer than are heard", 60)


def test_a_changed_configuration_is_taken_up_and_a_bad_one_leaves_things_as_they_are(site, tmp_path):
    with line(tmp_path, "a") as a, line(tmp_path, "b") as b:
        first, second = serial(a, "json", name="one"), serial(b, "json", name="two", person="bob")
        with running(edge(site, "changed", first), "one") as gateway, dispatch(site) as dan:
            a.say_json(hr=61)
            assert heard(dan)[1]["sensor"] == "one"
            (gateway.folder / "sensors.json").write_text('{"v": 1, "sensors": [}')
            gateway.signal(1)
            wait_until(lambda: "this is no JSON" in gateway.log(), "the mistake is said")
            assert "sensors.json:1:22" in gateway.log()
            wait_until(lambda: "sensors_why" in health(gateway), "also in /health")
            a.say_json(hr=99)
            assert until(dan, lambda t, s: s["hr"] == 99)
            write_sensors(gateway, first, second)
            gateway.signal(1)
            wait_until(lambda: "sensor two is open" in gateway.log(), "the second is there")
            assert gateway.log().count("sensor one is open") == 1, "the first went on"
            wait_until(lambda: health(gateway)["brokers"].get("acme"), "the broker is connected again")
            b.say_json(hr=77)
            assert until(dan, lambda t, s: s["sensor"] == "two")["hr"] == 77
            write_sensors(gateway, second)
            gateway.signal(1)
            wait_until(lambda: "sensor one is read no more" in gateway.log() and "one" not in health(gateway)["sensors"], "it is gone")


@pytest.mark.parametrize("sensors, why", [
    ([{"name": "x", "kind": "telepathy", "options": {}}], "there is no kind 'telepathy'"),
    ([{"name": "x", "kind": "serial", "options": {}}], "sensor 'x' (serial), options: "),
    ([{"name": "x", "kind": "gpsd", "options": {}}] * 2, "two sensors are called 'x'"),
    ([{"name": "x"}], "/sensors/0"),
])
def test_a_mistake_in_the_configuration_is_named(site, sensors, why):
    with edge(site, "mistaken", *sensors) as gateway:
        wait_until(lambda: why in gateway.log(), why)


def test_positions_come_from_gpsd_also_after_it_was_away(site, tmp_path):
    gpsd = Gpsd(tmp_path, free_port())
    try:
        sensor = {"name": "sky", "kind": "gpsd", "person": "ann", "options": {"port": gpsd.port}, "heartbeat": 1}
        with edge(site, "gpsd", sensor) as gateway, dispatch(site, "location") as dan:
            wait_until(lambda: "Connection refused" in sensor_of(gateway, "sky").get("why", ""), "it says what is missing")
            gpsd.start()
            said = heard(dan)[1]
            assert (said["lat"], said["lon"]) == (48.0, 2.0) and abs(seconds(said["ts"]) - time.time()) < 30
            gpsd.stop()
            wait_until(lambda: sensor_of(gateway, "sky").get("state") == "seeking", "it has gone")
            gpsd.lat = 48.01
            gpsd.start()
            until(dan, lambda t, s: s["lat"] == 48.01)
    finally:
        gpsd.close()


def test_a_wearable_that_publishes_json_of_its_own_is_understood(own_site):
    site = own_site(access__others_allowed="yes")
    conf = site.folder / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous false", "allow_anonymous true"))
    site.policy_file.write_text(site.policy_file.read_text().replace("role gateway\n", "role gateway\n    read wearables/{org}/#\n"))
    sensor = {"name": "bands", "kind": "mqtt", "every": 0.1,
              "options": {"topic": "wearables/acme/+/data", "person_level": 3, "people": {"band-7": "ann"},
                          "fields": {"hr": "/sensors/0/bpm", "battery": {"at": "/volts", "times": 100, "plus": -320}, "at": "/time",
                                     "lat": "/gps/0", "lon": "/gps/1"}}}
    with site, running(edge(site, "worn", sensor), "bands") as gateway, dispatch(site) as dan:
        with Client(site.port, "band", username=None, version=5) as band:
            at = round(time.time(), 2)
            payload = {"sensors": [{"bpm": 88}], "volts": 3.9, "time": int(at * 1000), "gps": [12.5, -7]}

            def arrives():
                assert band.publish("wearables/acme/band-7/data", json.dumps(payload)) in (0, 0x10)
                return not dan.receives_nothing()

            wait_until(arrives, "it is subscribed to")
            said = until(dan, lambda topic, s: topic == "mayday/v1/acme/user/ann/vitals")
            assert said["hr"] == 88 and said["battery"] == 70 and abs(seconds(said["ts"]) - at) < 0.01
            before = sensor_of(gateway, "bands").get("refused", 0)
            band.publish("wearables/acme/band-8/data", json.dumps(payload))
            band.publish("wearables/rival/band-7/data", json.dumps(payload))
            wait_until(lambda: sensor_of(gateway, "bands").get("refused", 0) == before + 1, "a band that nobody wears is left")


GPX = """<?xml version="1.0"?><gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v1"><trk><trkseg>%s</trkseg></trk></gpx>"""
POINT = """<trkpt lat="%.5f" lon="2.0"><ele>30</ele><time>2024-05-01T10:%02d:%02dZ</time><extensions><gpxtpx:TrackPointExtension>
<gpxtpx:hr>%d</gpxtpx:hr></gpxtpx:TrackPointExtension></extensions></trkpt>"""


def test_a_recording_is_played_as_if_it_happened_now(site, tmp_path):
    track = tmp_path / "run.gpx"
    track.write_text(GPX % "".join(POINT % (48 + i * 0.001, i // 60, i % 60, 100 + i // 10) for i in range(0, 600, 10)))
    sensor = {"name": "run", "kind": "replay", "person": "ann", "every": 0.1, "rate": 1000, "heartbeat": 0,
              "options": {"file": str(track), "speed": 100}}
    with dispatch(site) as dan, edge(site, "replay", sensor) as gateway:
        wait_until(lambda: sensor_of(gateway, "run").get("why") == "it is over", "it is played to its end")
        vitals, places = [], []
        while not vitals or vitals[-1]["hr"] < 159 or len(places) < 20:
            topic, said = heard(dan)
            (vitals if topic.endswith("vitals") else places).append(said)
        assert abs(seconds(vitals[0]["ts"]) - time.time()) < 60
        assert [v["hr"] for v in vitals] == sorted(v["hr"] for v in vitals) and vitals[0]["hr"] < 110
        assert places[0]["lat"] < places[-1]["lat"]


def test_a_recording_that_would_fill_the_memory_is_not_played(site, tmp_path):
    track = tmp_path / "years.csv"
    with track.open("w") as f:
        f.write("time,hr\n")
        f.writelines(f"{1_700_000_000 + i},{60 + i % 90}\n" for i in range((1 << 20) + 1))
    sensor = {"name": "years", "kind": "replay", "person": "ann", "options": {"file": str(track)}}
    with edge(site, "years", sensor) as gateway:
        wait_until(lambda: "too long" in sensor_of(gateway, "years").get("why", ""), "it is refused")
        assert sensor_of(gateway, "years")["state"] == "closed"


def test_what_was_sensed_while_the_broker_was_away_arrives_in_order_with_its_own_time_though_the_gateway_was_killed(own_site, tmp_path):
    site = own_site()
    hours_ago = time.time() - 12 * 3600
    with line(tmp_path) as port, alone(edge(site, "cut", serial(port, "json", every=0.1, rate=1000, heartbeat=0))) as gateway:
        for i in range(30):  # a twelfth of a day in half a minute
            port.say_json(hr=60 + i, at=hours_ago + i * 1200)
            wait_until(lambda: sensor_of(gateway).get("published", 0) == i + 1, f"reading {i} is taken")
        wait_until(lambda: health(gateway)["backlog"]["waiting"] == 30, "all of it is on disk")
        gateway.kill()
        with site, dispatch(site, "vitals") as dan:
            gateway.start()
            wait_until(lambda: gateway.log().count("sensor port is open") == 2, "it is open again")
            port.say_json(hr=200)
            said = [heard(dan)[1] for _ in range(31)]
            old = [s for s in said if s.get("offline")]
            assert [s["hr"] for s in old] == [60 + i for i in range(30)]
            assert all(abs(seconds(s["ts"]) - hours_ago - i * 1200) < 0.01 for i, s in enumerate(old))
            assert [s["hr"] for s in said if not s.get("offline")] == [200]
            site.wait_rows("SELECT count(*) FROM mayday.vitals WHERE id::text = ANY(%s)", [(31,)], ([s["id"] for s in said],))
            wait_until(lambda: health(gateway)["backlog"]["waiting"] == 0, "nothing waits any more")
            gateway.stop()


def test_twelve_hours_that_waited_go_up_beside_what_is_live_and_not_in_front_of_it(own_site, tmp_path):
    """The file is filled as the gateway would have filled it in half a day of one person at a reading a second."""
    site = own_site(journal__segment_size="4M").start()
    with line(tmp_path) as port:
        gateway = edge(site, "half", serial(port, "json", every=0.1, heartbeat=0), sensors__drain=4000)
        with running(gateway):
            pass
        now, count = int(time.time()), 12 * 3600
        with contextlib.closing(sqlite3.connect(gateway.folder / "backlog-half.db")) as file:
            file.executemany("INSERT INTO sample (alarm, ours, run, at, tries, id, org, topic, body) VALUES (0, 1, 1, ?, 0, ?, ?, ?, ?)", (
                ((now - count + i) * 1000000, uuid.UUID(m.uuid7(now - count + i)).bytes, b"acme", b"user/old/vitals",
                 b',"hr":%d,"sensor":"strap"}' % (60 + i % 40)) for i in range(count)))
            file.commit()
        with dispatch(site, "vitals") as dan, gateway:
            wait_until(lambda: gateway.log().count("sensor port is open") == 2, "it is open")
            beside = 0
            while health(gateway)["backlog"]["waiting"] > 0:
                pulse = 100 + beside % 100
                port.say_json(hr=pulse)
                until(dan, lambda topic, said: "/ann/" in topic and said["hr"] == pulse)
                beside += health(gateway)["backlog"]["waiting"] > 0
            assert beside > 3, "what is live went up while the past still waited"
            site.wait_rows("SELECT count(*), count(DISTINCT id) FROM mayday.vitals WHERE person = 'old'", [(count, count)], timeout=120)
            assert health(gateway)["backlog"]["thinned"] == 0


def test_a_fall_is_sent_at_once_and_keeps_its_place_in_front_of_all_that_waited(own_site, tmp_path):
    site = own_site()
    with line(tmp_path) as port, alone(edge(site, "fall", serial(port, "json", every=0.1, rate=1000, heartbeat=0))) as gateway:
        for i in range(5):
            port.say_json(hr=60 + 10 * i)
            wait_until(lambda: sensor_of(gateway).get("published", 0) == i + 1, f"reading {i} is taken")
        port.say_json(event="fall")
        wait_until(lambda: health(gateway)["backlog"]["waiting"] == 6, "all of it waits")
        with site, dispatch(site, "vitals") as dan:
            said = [heard(dan)[1] for _ in range(6)]
            assert said[0]["event"] == "fall" and [s["hr"] for s in said[1:]] == [60, 70, 80, 90, 100]
            gateway.stop()


def test_a_full_disk_at_the_edge_is_said_and_what_is_live_goes_on(own_site, tmp_path):
    site = own_site()
    with small_disk("4M") as disk, line(tmp_path) as port, alone(
            edge(site, "full", serial(port, "json", every=0.1, rate=1000, heartbeat=0), node__state_dir=disk)) as gateway:
        ballast = Ballast(disk)
        ballast.fill()

        def told():
            port.say_json(hr=60 + int(time.monotonic() * 10) % 100, rr_ms=[800] * 100)
            return health(gateway)["backlog"]["disk_full"]

        wait_until(told, "the disk is full", 60)
        assert "the disk is full" in gateway.log()
        with site, dispatch(site, "vitals") as dan:
            gateway.wait_ready()
            port.say_json(hr=222)
            until(dan, lambda t, s: s.get("hr") == 222)
            ballast.drop()
            wait_until(lambda: not health(gateway)["backlog"]["memory"] and not health(gateway)["backlog"]["waiting"], "all is sent")
        wait_until(lambda: port.say_json(hr=60 + int(time.monotonic() * 10) % 100) or not health(gateway)["backlog"]["disk_full"],
                   "it can be written again", 60)
        gateway.stop()


def mayday(conf, *words):
    done = subprocess.run([BUILD / "bin" / "mayday", *words], env={**os.environ, "MAYDAY_CONF": str(conf)}, text=True, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_shows_the_sensors_and_checks_what_is_configured(site, tmp_path):
    with line(tmp_path) as port, running(edge(site, "shown", serial(port, "json"))) as gateway:
        port.say_json(hr=70, battery=41, contact=True)
        wait_until(lambda: sensor_of(gateway).get("heard") == 1, "it is heard")
        code, out, _ = mayday(gateway.conf, "sensor", "list")
        row = out.splitlines()[1].split()
        assert code == 0 and row[:3] == ["port", "serial", "open"] and "41" in row and "yes" in row and row[-1] == "ann"
        shown = json.loads(mayday(gateway.conf, "sensor", "list", "--json")[1])
        assert shown["sensor"] == "port" and shown["person"] == "ann" and shown["is"]["heard"] == 1
        assert mayday(gateway.conf, "sensor", "check")[0] == 0
        bad = tmp_path / "bad.json"
        bad.write_text('{"v": 1, "org": "acme", "sensors": [{"name": "x", "kind": "serial", "options": {"device": "/dev/x", "baud": 7}}]}')
        code, _, err = mayday(gateway.conf, "sensor", "check", str(bad))
        assert code == 1 and "sensor 'x' (serial), options: /baud" in err
        assert mayday(gateway.conf, "sensor", "check", str(ROOT / "examples" / "sensors.json"))[0] == 0
    assert mayday(gateway.conf, "sensor", "list")[0] == 3


def test_every_kind_that_is_built_has_its_options_described_and_every_description_is_built(site):
    described = {p.stem for p in (ROOT / "schemas" / "documents" / "sensors").glob("*.json")}
    listed = (ROOT / "gateway" / "sensors" / "CMakeLists.txt").read_text().split("ENTRIES", 1)[1].split(")", 1)[0].split()
    assert described == set(listed)
    gateway = edge(site, "kinds")
    out = mayday(gateway.conf, "sensor", "kinds")[1]
    assert described == {row.split(" - ")[0] for row in out.splitlines() if " - " in row and not row.startswith(" ")}


def test_no_sensors_no_edge(site):
    with site.gateway("bare") as gateway:
        assert "sensors" not in health(gateway) and "edge" not in gateway.log()
        assert not list(gateway.folder.glob("backlog*"))
