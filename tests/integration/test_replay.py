"""`mayday replay`: what a watch recorded arrives in the database whole, value by value, also over a bad link and a strict broker."""
import csv
import json
import os
import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from support import messages as m
from support import recordings
from support.site import BUILD, free_port, wait_until

MAYDAY = BUILD / "bin" / "mayday"


def environment(site):
    signing = site.folder / "signing-keys.json"
    signing.write_text(json.dumps({"keys": [m.JWK]}))
    for file in (signing, site.keys_file):
        file.chmod(0o600)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}
    return {**clean, "MAYDAY_CONF": str(site.conf), "MQTT_PORT": str(site.port)}


def replay(site, file, *args):
    return subprocess.run([MAYDAY, "replay", str(file), "--org", "acme", *map(str, args)], env=environment(site), text=True, capture_output=True,
                          timeout=240)


def stored_places(site, person):
    return site.rows("""SELECT ST_Y(position::geometry), ST_X(position::geometry), altitude, speed, extract(epoch FROM at), offline,
                     at <= received_at FROM mayday.location WHERE org = 'acme' AND person = %s ORDER BY at""", (person,))


def stored_readings(site, person):
    return site.rows("""SELECT hr, extract(epoch FROM at), offline, sensor FROM mayday.vitals
                     WHERE org = 'acme' AND person = %s ORDER BY at""", (person,))


def wait_whole(site, person, places, readings):
    wait_until(lambda: len(stored_places(site, person)) >= places and len(stored_readings(site, person)) >= readings,
               f"{places} positions and {readings} readings of {person}", 60)
    assert len(stored_places(site, person)) == places
    assert len(stored_readings(site, person)) == readings


def check_values(site, person, samples, with_hr=True):
    places, readings = stored_places(site, person), stored_readings(site, person)
    first = float(places[0][4])
    for place, s in zip(places, samples):
        lat, lon, altitude, speed, at, _, past = place
        assert past, "nothing may lie in the future"
        assert lat == pytest.approx(s.lat, abs=1e-6) and lon == pytest.approx(s.lon, abs=1e-6)
        assert altitude == pytest.approx(s.altitude, abs=0.06) or altitude is None and s is samples[0]
        assert speed == pytest.approx(s.speed, abs=0.001)
        assert float(at) - first == pytest.approx(s.at - samples[0].at, abs=0.0015)
    if with_hr:
        assert [r[0] for r in readings] == [s.hr for s in samples]
        assert [r[1] for r in readings] == [p[4] for p in places]


@pytest.mark.parametrize("format", ["fit", "gpx", "tcx", "csv", "nmea"])
def test_a_recording_arrives_whole(site, tmp_path, format):
    samples = recordings.walk(100)
    file = tmp_path / "a recording"
    file.write_bytes(getattr(recordings, format)(samples))
    done = replay(site, file, "--as", format, "--speed", "max", "--json", "--sensor", "strap")
    assert done.returncode == 0, done
    said = json.loads(done.stdout)
    hearts = 0 if format == "nmea" else 100
    assert (said["format"], said["fixes"], said["readings"], said["acked"], said["refused"]) == (format, 100, hearts, 100 + hearts, 0)
    wait_whole(site, format, 100, hearts)
    check_values(site, format, samples, with_hr=hearts > 0)
    assert {r[3] for r in stored_readings(site, format)} <= {"strap"}
    assert site.rows("SELECT DISTINCT source FROM mayday.location WHERE person = %s", (format,)) == [("replay",)], "nobody takes it for what happens now"


def test_at_the_speed_of_life_it_happens_now(site, tmp_path):
    samples = recordings.walk(3)
    (tmp_path / "run.fit").write_bytes(recordings.fit(samples))
    done = replay(site, tmp_path / "run.fit", "--as", "live")
    assert done.returncode == 0 and "6 of 6 acknowledged" in done.stdout, done
    wait_whole(site, "live", 3, 3)
    check_values(site, "live", samples)
    assert not any(p[5] for p in stored_places(site, "live")), "nothing waited"


def test_times_may_stay_as_they_were_recorded(site, tmp_path):
    samples = recordings.walk(5)
    (tmp_path / "run.gpx").write_bytes(recordings.gpx(samples))
    done = replay(site, tmp_path / "run.gpx", "--as", "past", "--speed", "max", "--start", "recorded")
    assert done.returncode == 0, done
    wait_whole(site, "past", 5, 5)
    assert [float(p[4]) for p in stored_places(site, "past")] == [s.at for s in samples]
    assert all(p[5] for p in stored_places(site, "past")), "it says that it waited"


def test_a_dry_run_says_what_it_would_send_and_sends_nothing(site, tmp_path):
    (tmp_path / "run.tcx").write_bytes(recordings.tcx(recordings.walk(4)))
    done = replay(site, tmp_path / "run.tcx", "--as", "dry", "--dry-run", "--speed", "2")
    assert done.returncode == 0, done
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert [(when, topic) for when, topic, _ in lines] == [(f"{i / 2:.3f}", f"user/dry/{kind}") for i in range(4) for kind in ("location", "vitals")]
    assert json.loads(lines[1][2])["hr"] == 90
    assert stored_places(site, "dry") == []


def test_all_that_a_table_says_of_a_body_arrives(site, tmp_path):
    (tmp_path / "body.csv").write_text("ts;hr;spo2;resp;temp;sys;dia;rr_ms;contact;quality;motion;battery\n"
                                       "2026-01-01T00:00:00Z;61,5;98;14;36,6;120;80;1000 900,5;yes;90;0,25;77\n"
                                       "2026-01-01T00:00:01Z;;;;;;;;no;;;\n")
    done = replay(site, tmp_path / "body.csv", "--as", "body", "--speed", "max")
    assert done.returncode == 0, done
    wait_whole(site, "body", 0, 2)
    assert site.rows("""SELECT hr, spo2, resp, round(temp::numeric, 2), sys, dia, rr_ms, contact, quality, motion, battery FROM mayday.vitals
                     WHERE person = 'body' ORDER BY at""") == [
        (61.5, 98, 14, Decimal("36.60"), 120, 80, [1000, 900.5], True, 90, 0.25, 77),
        (None, None, None, None, None, None, None, False, None, None, None)]


def test_a_file_that_ends_early_is_played_as_far_as_it_goes(site, tmp_path):
    (tmp_path / "cut.fit").write_bytes(recordings.fit(recordings.walk(20))[:-40])
    done = replay(site, tmp_path / "cut.fit", "--as", "cut", "--speed", "max")
    assert done.returncode == 1 and "the file ends within a message" in done.stderr, done
    wait_whole(site, "cut", 17, 17)


def test_what_cannot_be_played_is_said(site, tmp_path):
    damaged = bytearray(recordings.fit(recordings.walk(20)))
    damaged[100] ^= 1
    for content, words in [(b"hello", "none of FIT"), (bytes(damaged), "damaged"), (b"t_s,hr\n1,fast\n", "line 2"),
                           (b'<!DOCTYPE gpx [<!ENTITY a "a">]><gpx/>', "document type"), (b"", "none of FIT")]:
        (tmp_path / "bad").write_bytes(content)
        done = replay(site, tmp_path / "bad", "--as", "bad")
        assert (done.returncode, words in done.stderr) == (1, True), done
    assert replay(site, tmp_path / "nowhere", "--as", "bad").returncode == 1
    assert replay(site, tmp_path / "bad", "--speed", "0").returncode == 2
    assert replay(site, tmp_path / "bad", "--start", "later").returncode == 2
    (tmp_path / "good").write_bytes(recordings.csv(recordings.walk(2)))
    assert replay(site, tmp_path / "good").returncode == 2, "as nobody"
    done = replay(site, tmp_path / "good", "--as", "bad", "--port", free_port())
    assert done.returncode == 3 and "no broker" in done.stderr, done
    assert stored_places(site, "bad") == []


def test_somebody_else_s_readings_are_refused_and_said(site, tmp_path):
    (tmp_path / "good").write_bytes(recordings.csv(recordings.walk(2)))
    done = replay(site, tmp_path / "good", "--as", "victim", "--sub", "mallory", "--speed", "max", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["acked"], said["refused"]) == (1, 0, 4), done
    assert "not_authorised" in said["first_refusal"]
    assert stored_places(site, "victim") == []


def test_a_strict_broker_makes_it_slower_and_nothing_is_lost(own_site, tmp_path):
    with own_site(limits__telemetry="20 5") as strict:
        (tmp_path / "run.fit").write_bytes(recordings.fit(recordings.walk(120)))
        done = replay(strict, tmp_path / "run.fit", "--as", "strict", "--speed", "max", "--json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["acked"], said["refused"]) == (0, 240, 0), done
        assert said["too_fast"] > 0
        wait_whole(strict, "strict", 120, 120)


def test_a_broker_that_dies_on_the_way_costs_nothing(own_site, tmp_path):
    flaky = own_site()
    flaky.start()
    (tmp_path / "run.fit").write_bytes(recordings.fit(recordings.walk(200)))
    process = subprocess.Popen([MAYDAY, "replay", tmp_path / "run.fit", "--org", "acme", "--as", "flaky", "--speed", "50", "--json"],
                               env=environment(flaky), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(stored_places(flaky, "flaky")) > 20, "it has begun")
        flaky.process.send_signal(signal.SIGKILL)
        flaky.process.wait()
        flaky.start()
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, (out, err)
    assert json.loads(out)["acked"] == 400
    wait_whole(flaky, "flaky", 200, 200)


def test_it_can_be_stopped(site, tmp_path):
    (tmp_path / "run.fit").write_bytes(recordings.fit(recordings.walk(600)))
    process = subprocess.Popen([MAYDAY, "replay", tmp_path / "run.fit", "--org", "acme", "--as", "stopped"], env=environment(site), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: stored_places(site, "stopped"), "it has begun")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1 and "stopped after" in err, (out, err)


def test_a_real_run_arrives_value_by_value(site):
    folder = Path(os.environ.get("MAYDAY_SHARED_DATA", "/nowhere"))
    if not (folder / "run-fenix2.fit").exists():
        pytest.skip("MAYDAY_SHARED_DATA names no folder with recordings")
    with open(folder / "run-fenix2.csv", encoding="ascii") as file:
        want = list(csv.DictReader(file))
    done = replay(site, folder / "run-fenix2.fit", "--as", "runner", "--speed", "max", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["refused"] == 0 and said["readings"] == len(want), done
    wait_whole(site, "runner", said["fixes"], said["readings"])
    places = {round(float(p[4]) * 1000): p for p in stored_places(site, "runner")}
    for reading, row in zip(stored_readings(site, "runner"), want):
        lat, lon, altitude, speed, _, _, past = places[round(float(reading[1]) * 1000)]
        assert reading[0] == float(row["heart_rate_bpm"]) and past
        assert lat == pytest.approx(float(row["lat"]), abs=6e-7) and lon == pytest.approx(float(row["lon"]), abs=6e-7)
        assert altitude == pytest.approx(float(row["altitude_m"]), abs=0.06)
        assert speed == pytest.approx(float(row["speed_mps"]), abs=0.0051)
