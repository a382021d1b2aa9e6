"""Geofences: what the database keeps, `mayday zone`, and the whole way with brokers and gateways: entered once, whoever dies."""
import json
import os
import subprocess
import time

import psycopg2
import pytest

from support import messages as m
from support.site import BUILD, wait_until
from support.zones import Field, LAT, LON, circle, north

MAYDAY = BUILD / "bin" / "mayday"


@pytest.fixture
def field(site, request):
    made = Field(site, request.node.name[:100])
    yield made
    made.close()


# ---- the database

def test_zones_are_put_replaced_and_dropped_and_it_is_noted(database):
    put = lambda zone: database.sql("SELECT mayday.put_zone('base', %s)", [json.dumps(zone)])[0][0]  # noqa: E731
    edition = lambda: database.sql("SELECT edition FROM mayday.zone_edition WHERE org = 'base'")  # noqa: E731
    assert put(circle()) is True and edition() == [(1,)]
    assert put(circle()) is False and edition() == [(1,)], "the same again is no change"
    assert put(circle(radius=200)) is True and edition() == [(2,)]
    area, = database.sql("SELECT ST_Area(area) FROM mayday.zone WHERE org = 'base'")[0]
    assert abs(area / (3.14159 * 200 ** 2) - 1) < 0.01
    assert database.sql("SELECT * FROM mayday.zones_at('base', %s, %s)", [north(190), LON]) == [("yard",)]
    assert database.sql("SELECT * FROM mayday.zones_at('base', %s, %s)", [north(210), LON]) == []
    database.sql("SELECT mayday.save_presence('base', %s)", [json.dumps([{"person": "ann", "seen": m.moment(), "stays": [
        {"zone": z, "since": m.moment(), "dwelled": False, "checked_in": False, "speeding": False} for z in ("yard", "gone")]}])],
        user="mayday_gateway")
    assert database.sql("SELECT zone FROM mayday.zone_inside WHERE org = 'base'") == [("yard",)], "of a zone that is no more nothing is kept"
    assert database.sql("SELECT mayday.drop_zone('base', 'yard'), mayday.drop_zone('base', 'yard')") == [(True, False)]
    assert database.sql("SELECT count(*) FROM mayday.zone_presence WHERE org = 'base'") == [(0,)]
    assert edition() == [(3,)]
    kinds = database.sql("SELECT kind FROM mayday.audit_pending WHERE org = 'base' ORDER BY 1")
    assert kinds == [("zone.drop",), ("zone.put",), ("zone.put",)]


@pytest.mark.parametrize("shape", [
    {"corridor": {"line": [[8, 47], [8.01, 47]], "width": 50}},
    {"type": "Polygon", "coordinates": [[[8, 47], [8.01, 47], [8.01, 47.01], [8, 47.01], [8, 47]]]},
    {"type": "MultiPolygon", "coordinates": [[[[8, 47], [8.01, 47], [8.01, 47.01], [8, 47]]]]}])
def test_every_shape_has_an_area(database, shape):
    database.sql("SELECT mayday.put_zone('shapes', %s)", [json.dumps({"zone": "z", "shape": shape})])
    assert database.sql("SELECT ST_Area(area) > 10000 FROM mayday.zone WHERE org = 'shapes'") == [(True,)]


def test_who_may_do_what_with_zones(database):
    for user, forbidden in [("mayday_plugin", "SELECT * FROM mayday.zone"), ("mayday_console", "SELECT mayday.put_zone('a', '{}')"),
                            ("mayday_console", "SELECT mayday.save_presence('a', '[]')"), ("mayday_console", "SELECT mayday.zone_people('a')"),
                            ("mayday_plugin", "SELECT mayday.zone_people('a')"), ("mayday_plugin", "SELECT * FROM mayday.zone_questions('a')"),
                            ("mayday_gateway", "DELETE FROM mayday.zone"), ("mayday_gateway", "UPDATE mayday.zone_presence SET zone = ''")]:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            database.sql(forbidden, user=user)
    database.sql("SELECT * FROM mayday.zone_inside", user="mayday_console")


# ---- mayday zone

@pytest.fixture(scope="module")
def run(site):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}

    def run(*args):
        return subprocess.run([MAYDAY, "zone", *map(str, args)], text=True, capture_output=True, timeout=60,
                              env={**clean, "MAYDAY_CONF": str(site.conf), "MAYDAY_DSN": site.postgres.dsn("mayday_owner")})
    return run


FEATURES = {"type": "FeatureCollection", "features": [
    {"type": "Feature", "id": "disc", "geometry": {"type": "Point", "coordinates": [8, 47]}, "properties": {"radius": 50, "stroke": "#f00"}},
    {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[8, 47], [8.01, 47]]},
     "properties": {"zone": "road", "width": 30, "speed_limit": 8.5}},
    {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[8, 47], [8.01, 47], [8.01, 47.01], [8, 47]]]},
     "properties": {"zone": "corner", "name": "The corner", "check_in": True}}]}


def test_geojson_goes_in_and_comes_out(run, tmp_path):
    file = tmp_path / "zones.geojson"
    file.write_text(json.dumps(FEATURES))
    assert run("check", file).stdout == f"{file}: 3 good zones\n"
    assert "3 zones for geo, 3 of them changed" in run("put", "geo", file).stdout
    out = json.loads(run("show", "geo", "--geojson").stdout)
    assert {f["properties"]["zone"]: f["geometry"]["type"] for f in out["features"]} == {
        "disc": "Point", "road": "LineString", "corner": "Polygon"}
    file.write_text(json.dumps(out))
    assert "3 zones for geo, 0 of them changed" in run("put", "geo", file).stdout, "what came out is what went in"
    assert json.loads(run("show", "geo", "disc").stdout)["shape"] == {"circle": {"lat": 47, "lon": 8, "radius": 50}}
    listed = run("list", "geo").stdout
    assert "The corner" in listed and "corridor" in listed and "circle" in listed
    assert run("who", "geo").stdout == "nobody\n"
    assert run("drop", "geo", "disc").stdout == "disc: dropped\n"
    assert run("show", "geo", "disc").returncode == 1


def nested(depth):
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("body, why", [
    ({"zone": "a/b", "shape": circle()["shape"]}, "zone: must be a name"),
    ({"type": "Polygon", "coordinates": []}, "make it a Feature"),
    ({"type": "Feature", "id": "x", "geometry": {"type": "Point", "coordinates": [8, 47]}, "properties": {}}, "needs the property 'radius'"),
    ([circle(), circle()], "there are two zones 'yard'"),
    ([circle("good"), circle("bad", radius=1)], "radius: must be a number from 5"),
    ({"zone": "x", "shape": {"type": "Polygon", "coordinates": [[[179, 1], [-179, 1], [-179, 2], [179, 1]]]}}, "180th meridian"),
    ({"zone": "x", "shape": {"type": "Polygon", "coordinates": [[[8, 47], [8.01, 47.01], [8.01, 47], [8, 47.01], [8, 47]]]}}, "Self-intersection"),
    ({"zone": "x", "shape": {"type": "Polygon", "coordinates": [[[8, 47]] * 20000]}}, "more than 1000 rings or 10000 positions"),
    ([circle(f"z{i}") for i in range(10001)], "must hold 1 to 10000 zones"),
    ({"type": "FeatureCollection", "features": None}, "must hold 1 to 10000 zones"),
    ({"type": "FeatureCollection", "features": [None]}, "neither a zone nor GeoJSON"),
    (nested(100), "no JSON"),
    ("x" * (33 << 20), "cannot read")], ids=lambda v: v if isinstance(v, str) and len(v) < 60 else "file")
def test_what_is_no_zone_is_refused_and_nothing_of_its_file_is_put(run, tmp_path, body, why):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(body))
    for words in (["check"], ["put", "refused"]):
        done = run(*words, file)
        assert done.returncode == 1 and why in done.stderr, done.stderr
    assert run("list", "refused").stdout == "no zones\n"


# ---- the whole way

def test_who_walks_through_is_said_to_have_entered_and_left(field):
    field.put(circle())
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 300, 200, 50)
        assert field.hears() == ("yard", "ann", "entered")
        field.wait_inside(("yard", "ann"))
        field.walks("ann", 0, 200, 300)
        assert field.hears() == ("yard", "ann", "left")
        field.wait_inside()
        field.wait_events(("ann", "entered"), ("ann", "left"))
        assert field.site.rows("SELECT sender, lasted FROM mayday.zone_event WHERE org = %s AND event = 'left'", [field.org]) == [("gw1", 12.0)]


def test_zones_count_as_soon_as_they_are_put_and_keep_who_is_inside_when_edited(field):
    with field.gateway() as gateway:
        field.put(circle("other", radius=10))
        field.watched(gateway)
        field.loaded(gateway, 1)
        field.walks("ann", 50)
        field.put(circle())
        field.loaded(gateway, 2)
        field.walks("ann", 50)
        assert field.hears() == ("yard", "ann", "entered")
        field.put(circle(radius=400))
        field.loaded(gateway, 2, times=2)
        field.walks("ann", 300, 310)  # outside of what it was
        field.site.rows("SELECT mayday.drop_zone(%s, 'yard')", [field.org])
        field.loaded(gateway, 1, times=2)
        field.walks("ann", 600, 610, 300, 0)  # not faster than anybody could be
        assert field.hears() == ("other", "ann", "entered"), "of a zone that is dropped nothing is said"


def test_a_gateway_that_is_killed_is_followed_by_another_and_nobody_enters_twice(field):
    field.put(circle())
    first, second = field.gateway("gw1"), None
    try:
        field.watched(first)
        second = field.gateway("gw2")
        field.walks("ann", 300, 50)
        assert field.hears() == ("yard", "ann", "entered")
        field.wait_inside(("yard", "ann"))
        assert f"watches the zones of {field.org}" not in second.log(), "one judges"
        first.kill()
        field.walks("ben", 300, 50)  # while nobody, perhaps, judges
        field.watched(second)
        assert field.hears() == ("yard", "ben", "entered")
        field.walks("ann", 40, 300, 310)
        assert field.hears() == ("yard", "ann", "left")
        field.wait_inside(("yard", "ben"))
        field.wait_events(("ann", "entered"), ("ben", "entered"), ("ann", "left"))
    finally:
        first.stop()
        if second:
            second.stop()


def test_a_restart_says_nothing_twice(field):
    field.put(circle(dwell=3600))
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 50)
        assert field.hears() == ("yard", "ann", "entered")
        field.wait_inside(("yard", "ann"))
    field.walks("ann", 40)
    with field.gateway() as gateway:
        wait_until(lambda: gateway.log().count(f"watches the zones of {field.org}") == 2, "it watches again")
        field.walks("ann", 30, 300, 310)
        assert field.hears() == ("yard", "ann", "left")
    field.wait_events(("ann", "entered"), ("ann", "left"))


def test_leaving_without_a_check_in_asks_notes_and_raises_as_the_zone_says(field):
    left = {"check_in": True, "alarm_on": ["left_unchecked"]}
    field.put(circle("ask", alarm="ask", answer_within=30, **left), circle("note", alarm="note", name="The yard", **left),
              circle("raise", alarm="raise", **left))
    with field.gateway() as gateway:
        field.watched(gateway)
        checks = field.person("ann")
        assert checks.subscribe(m.topic("user", "ann", "check", field.org)) == [1]
        field.walks("ann", 0)
        assert sorted(field.hears()[0] for _ in range(3)) == ["ask", "note", "raise"]
        field.walks("ann", 300, 310)
        heard = [field.hears() for _ in range(8)]
        events = sorted((zone, event) for zone, person, event in heard if person and event in ("left", "left_unchecked"))
        assert events == sorted((zone, event) for zone in ("ask", "note", "raise") for event in ("left", "left_unchecked"))
        assert ("dispatcher", None, "ann: has not checked in and has left The yard") in heard
        assert [what for _, person, what in heard if person == "ann" and what not in ("left", "left_unchecked")] == [
            "ann: has not checked in and has left raise"]
        check = json.loads(checks.receive(30).payload)
        assert check["reason"] == "zone" and check["respond_within"] == 30
        field.site.wait_rows("SELECT raised_by, type FROM mayday.alert WHERE org = %s", [("ann", "general")], [field.org])
        field.site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE org = %s AND person = 'ann'", [(1,)], [field.org])


def test_who_has_checked_in_leaves_in_peace(field):
    field.put(circle(check_in=True))
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 0)
        assert field.hears() == ("yard", "ann", "entered")
        assert field.person("ann").publish(m.topic("user", "ann", "duty", field.org), m.dump(m.message(status="busy"))) == 0
        wait_until(lambda: field.site.rows("SELECT checked_in FROM mayday.zone_presence WHERE org = %s", [field.org]) == [(True,)],
                   "the check-in is known")
        field.walks("ann", 300, 310, 0)
        assert [field.hears()[2] for _ in range(2)] == ["left", "entered"]


def test_a_zone_for_a_role_is_for_nobody_else(field):
    field.put(circle("theirs", **{"for": {"roles": ["responder"]}}), circle("ours", **{"for": {"roles": ["officer"]}}))
    field.known("ann")
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 300, 0, 300, 310)
        assert [field.hears() for _ in range(2)] == [("ours", "ann", "entered"), ("ours", "ann", "left")]
    field.wait_events(("ann", "entered"), ("ann", "left"))


def test_who_loses_a_zone_by_their_role_is_not_inside_any_more(field):
    field.put(circle("ours", **{"for": {"roles": ["officer"]}}), circle("all"))
    field.known("ann")
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 0)
        assert sorted(field.hears() for _ in range(2)) == [("all", "ann", "entered"), ("ours", "ann", "entered")]
        field.wait_inside(("all", "ann"), ("ours", "ann"))
        field.put(circle("ours", **{"for": {"roles": ["responder"]}}))
        field.loaded(gateway, 2, times=2)
        field.walks("ann", 5)
        field.wait_inside(("all", "ann"))
    field.wait_events(("ann", "entered"), ("ann", "entered"))


def test_positions_sent_to_an_incident_are_judged_and_said_of_who_sent_them(field):
    field.put(circle())
    alert = m.uuid7()
    places = m.topic("alert", alert, "location", field.org)

    def says(who, metres):
        field.clock += 6
        body = m.location(lat=north(metres), lon=LON, accuracy=5.0)
        body["ts"] = m.moment(field.clock)
        assert field.person(who).publish(places, m.dump(body)) == 0
    assert field.person("ann").publish(m.topic("alert", alert, "raise", field.org), m.dump(m.raise_())) == 0
    assert field.hears() == (alert, None, "panic")
    first, second = field.gateway("gw1"), None
    try:
        field.watched(first)
        says("ann", 300)
        says("ann", 0)
        assert field.hears() == ("yard", "ann", "entered")
        field.wait_inside(("yard", "ann"))
        first.kill()
        says("ann", 300)  # while nobody judges: whoever comes finds them in the database
        says("ann", 310)
        field.site.wait_rows("SELECT count(*) FROM mayday.location WHERE org = %s AND alert IS NOT NULL", [(4,)], [field.org])
        second = field.watched(field.gateway("gw2"))
        assert field.hears() == ("yard", "ann", "left")
        field.wait_inside()
    finally:
        first.stop()
        if second:
            second.stop()


def test_a_clock_that_was_ahead_makes_nobody_deaf(field):
    field.put(circle())
    with field.gateway() as gateway:
        field.watched(gateway)
        field.clock = time.time() + 100
        field.walks("ann", 0)
        assert field.hears() == ("yard", "ann", "entered")

        def left():
            field.clock = time.time() - 6.5
            field.walks("ann", 300)
            return any(event == "left" for _, event in field.events())
        wait_until(left, "positions of now count again")


def test_organisations_hear_nothing_of_each_other(site, request):
    ours, theirs = [Field(site, f"{request.node.name[:90]}-{n}") for n in (1, 2)]
    theirs.put(circle("ours"), circle("theirs"))
    ours.put(circle("ours", radius=60))
    both = site.gateway("gw1", gateway__organisations=f"{ours.org} {theirs.org}")
    try:
        both.start(ours.org)
        ours.watched(both)
        theirs.watched(both)
        ours.walks("ann", 300, 0)
        assert ours.hears() == ("ours", "ann", "entered")
        theirs.walks("ann", 300, 0)
        assert sorted(theirs.hears() for _ in range(2)) == [("ours", "ann", "entered"), ("theirs", "ann", "entered")]
        ours.walks("ann", 300, 310)
        assert ours.hears() == ("ours", "ann", "left")
        ours.wait_inside()
        theirs.wait_inside(("ours", "ann"), ("theirs", "ann"))
    finally:
        both.stop()
        ours.close()
        theirs.close()


def test_a_zone_that_is_none_hides_no_other(field):
    field.put(circle())
    field.site.rows("INSERT INTO mayday.zone (org, zone, document, area) VALUES (%s, 'bad', %s, mayday.zone_area(%s))",
                    [field.org, json.dumps(circle("bad", dwell=-1)), json.dumps(circle("bad"))])
    with field.gateway() as gateway:
        field.watched(gateway)
        assert "zone 'bad'" in gateway.log() and "dwell: must be" in gateway.log()
        field.walks("ann", 0)
        assert field.hears() == ("yard", "ann", "entered")


def test_the_figures_of_the_zones_are_there(field):
    import urllib.request
    field.put(circle())
    with field.gateway() as gateway:
        field.watched(gateway)
        field.walks("ann", 0)
        assert field.hears() == ("yard", "ann", "entered")

        def shown():
            with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            return 'mayday_gateway_zone_events_total{event="entered"} 1' in text and "mayday_gateway_zone_people_inside 1" in text
        wait_until(shown, "the figures are there")
