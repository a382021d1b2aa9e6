"""Where people are and were: last known positions, ways and what they amount to, and how long it is kept."""
import json
import math
import random
import re
import subprocess
import time
import xml.etree.ElementTree as xml
from datetime import datetime, timezone

import psycopg2
import pytest

from support import messages as m
from support.messages import uuid7
from support.site import BUILD, wait_until

LAT, LON = -33.9, 18.4
METRE = 1 / 111195.08  # degrees of latitude, on a sphere of the mean radius
DAY = 86400
BEGAN = 1_790_000_000.0  # of ways that have a time of their own


class Field:
    """The people of one organisation of its own. Times are seconds, from now on when negative or small."""

    def __init__(self, database, org):
        self.database, self.org, self.beat = database, org, 0

    def sql(self, statement, params=None, user="postgres"):
        return self.database.sql(statement, params, user)

    def person(self, *names):
        for name in names:
            self.sql("INSERT INTO mayday.person (org, person, roles) VALUES (%s, %s, '{officer}') ON CONFLICT DO NOTHING", [self.org, name])

    def fixes(self, person, rows):
        """(seconds, metres north, metres east[, columns])"""
        values = []
        for at, north, east, *more in rows:
            at = at if at > 1e9 else time.time() + at
            extra = more[0] if more else {}
            arrived = time.time() + extra["arrived"] if "arrived" in extra else at
            values.append((extra.get("id") or uuid7(at), at, arrived, self.org, person, person, extra.get("offline", False), extra.get("alert"),
                           LON + east * METRE / math.cos(math.radians(LAT)), LAT + north * METRE, extra.get("accuracy", 5)))
        with psycopg2.connect(self.database.dsn()) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO mayday.location (id, at, received_at, org, sender, person, digest, node, offline, alert, position, accuracy) "
                               "VALUES (%s, to_timestamp(%s), to_timestamp(%s), %s, %s, %s, 0, 'n1', %s, %s, ST_MakePoint(%s, %s)::geography, %s)", values)
        connection.close()
        return [row[0] for row in values]

    def vitals(self, person, seconds):
        for at in seconds:
            self.sql("INSERT INTO mayday.vitals (id, at, received_at, digest, org, sender, node, offline, person, hr) "
                     "VALUES (%s, to_timestamp(%s), now(), 0, %s, %s, 'n1', false, %s, 70)",
                     [uuid7(time.time() + at), time.time() + at, self.org, person, person])

    def known(self, max_age="1 day"):
        return {person: (round(lat, 6), round((datetime.now(timezone.utc) - at).total_seconds())) for person, lat, at in self.sql(
            "SELECT person, ST_Y(position::geometry), at FROM mayday.last_known(%s, %s)", [self.org, max_age], user="mayday_console")}

    def stretches(self, person="sam", **options):
        more = "".join(f", {name} => {value}" for name, value in options.items())
        return [(kind, round(seconds), metres) for kind, seconds, metres in self.sql(
            f"SELECT kind, extract(epoch FROM ends - begins)::float, metres FROM mayday.track_stretches(%s, %s, '-infinity', 'infinity'{more})",
            [self.org, person], user="mayday_console")]

    def statistics(self, person="sam"):
        names = ["fixes", "accepted", "metres", "moving", "stopped", "unknown", "stops"]
        return dict(zip(names, self.sql(
            "SELECT fixes, accepted, metres, extract(epoch FROM moving)::float, extract(epoch FROM stopped)::float, "
            "extract(epoch FROM unknown)::float, stops FROM mayday.track_statistics(%s, %s, '-infinity', 'infinity')",
            [self.org, person], user="mayday_console")[0]))

    def count(self, table="location", person=None):
        return self.sql(f"SELECT count(*) FROM mayday.{table} WHERE org = %s AND (%s::text IS NULL OR person = %s)", [self.org, person, person])[0][0]

    def keep(self, full, thin):
        return self.sql("SELECT mayday.set_retention(%s, %s, %s)", [self.org, full, thin], user="mayday_owner")[0][0]

    def tidy(self, at_most=1000):
        """All of it; how many rows each call removed."""
        removed, more = [], True
        while more:
            (count, more), = self.sql("SELECT removed, more FROM mayday.tidy(%s)", [at_most], user="mayday_gateway")
            removed.append(count)
        return removed


@pytest.fixture
def field(database, request):
    made = Field(database, request.node.name[:100].replace("/", "-"))
    yield made
    database.sql("DELETE FROM mayday.retention")


# ---- now

def test_everybody_is_known_where_they_were_last(field):
    field.person("sam", "kim", "bo")
    field.fixes("sam", [(-300, 0, 0), (-100, 200, 0), (-200, 100, 0)])
    field.fixes("kim", [(-3 * DAY, 0, 0)])
    field.fixes("stranger", [(-10, 0, 0)])
    known = field.known()
    assert set(known) == {"sam"} and known["sam"][0] == round(LAT + 200 * METRE, 6) and 95 < known["sam"][1] < 130
    assert set(field.known("5 days")) == {"sam", "kim"}
    assert field.sql("SELECT count(*) FROM mayday.last_known('elsewhere')") == [(0,)]


def test_a_clock_that_is_ahead_hides_nothing_that_came_later(field):
    field.person("sam")
    field.fixes("sam", [(2 * 3600, 500, 0, {"arrived": -600}), (2 * 3600 - 60, 400, 0, {"arrived": -500})])
    assert field.known()["sam"][0] == round(LAT + 400 * METRE, 6), "of two that lie ahead the one that came last"
    field.fixes("sam", [(-30, 100, 0)])
    assert field.known()["sam"][0] == round(LAT + 100 * METRE, 6), "the clock was set right"


def test_what_waited_on_the_device_is_as_old_as_it_is(field):
    field.person("sam")
    field.fixes("sam", [(-60, 100, 0), (-3600, 900, 0, {"arrived": -5, "offline": True})])
    assert field.known()["sam"][0] == round(LAT + 100 * METRE, 6)


def test_the_last_known_positions_are_found_by_index_in_few_partitions(field):
    field.person(*[f"p{n}" for n in range(50)])
    field.sql("""INSERT INTO mayday.location (id, at, received_at, digest, org, sender, node, offline, person, position)
                 SELECT (left(mayday.uuid_at(t)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid, t, t, n, %s, 'p' || n %% 50, 'x', false,
                        'p' || n %% 50, ST_MakePoint(18, -33)::geography
                 FROM (SELECT n, now() - n * interval '30 s' AS t FROM generate_series(1, 15000) n) s""", [field.org])
    field.sql("ANALYZE mayday.location")
    assert len(field.known()) == 50
    with psycopg2.connect(field.database.dsn()) as connection, connection.cursor() as cursor:
        cursor.execute("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; "
                       "SET auto_explain.log_analyze = on; SET client_min_messages = log")
        cursor.execute("SELECT * FROM mayday.last_known(%s)", [field.org])
        plan = "\n".join(connection.notices)
    connection.close()
    used = re.findall(r"(Seq|Index|Index Only|Bitmap Heap) Scan.* on (location_20\d+)(?: \w+)? .*actual", plan)
    full = {name for name, in field.sql("SELECT relname FROM pg_stat_user_tables WHERE relname ~ '^location_20' AND n_live_tup > 1000")}
    assert used and full and {kind for kind, name in used if name in full} == {"Index"}, plan
    assert len({name for _, name in used}) <= 4, plan


# ---- ways

def test_distances_are_those_of_a_sphere_of_the_mean_radius(field):
    haversine = lambda *points: field.sql("SELECT mayday.haversine(%s, %s, %s, %s)", points, user="mayday_console")[0][0]  # noqa: E731
    assert haversine(0, 0, 0, 1) == pytest.approx(111195.08, abs=0.01)
    assert haversine(0, 0, 0, 180) == pytest.approx(math.pi * 6371008.8, rel=1e-9)
    assert haversine(52.2296756, 21.0122287, 52.406374, 16.9251681) == pytest.approx(278_459, rel=1e-4)
    assert haversine(10, 179.9, 10, -179.9) == pytest.approx(haversine(10, 0, 10, 0.2), rel=1e-9)
    assert haversine(5, 5, 5, 5) == 0


def walk(seconds, speed=1.4, begins=BEGAN, north=0.0, noise=0.0, **columns):
    dice = random.Random(7)
    return [(begins + t, north + speed * t + dice.gauss(0, noise), dice.gauss(0, noise), columns) for t in range(seconds)]


@pytest.mark.parametrize("noise", [0, 2])
def test_a_walk_is_as_long_as_it_was(field, noise):
    field.fixes("sam", walk(1200, noise=noise))
    s = field.statistics()
    assert s["metres"] == pytest.approx(1.4 * 1199, rel=0.06) and s["stops"] == 0
    assert s["moving"] == pytest.approx(1199, abs=15) and s["stopped"] == 0 and s["unknown"] == 0 and s["fixes"] == 1200


def test_jitter_at_rest_is_no_way(field):
    dice = random.Random(3)
    field.fixes("sam", [(BEGAN + t, dice.gauss(0, 3), dice.gauss(0, 3)) for t in range(3600)])
    s = field.statistics()
    raw = field.sql("SELECT sum(ST_Distance(position, before)) FROM (SELECT position, lag(position) OVER (ORDER BY at) AS before "
                    "FROM mayday.location WHERE org = %s) l", [field.org])[0][0]
    assert raw > 10_000 and s["metres"] < 60 and s["stopped"] > 3000, (raw, s)


def test_a_stop_is_where_and_as_long_as_somebody_stood(field):
    north = 1.4 * 299
    field.fixes("sam", walk(300) + [(BEGAN + 300 + t, north, 0) for t in range(600)] + walk(300, begins=BEGAN + 900, north=north))
    kinds = field.stretches()
    assert [kind for kind, _, _ in kinds] == ["move", "stop", "move"]
    assert kinds[1][1] == pytest.approx(605, abs=15) and kinds[1][2] == 0
    assert field.statistics()["metres"] == pytest.approx(2 * north, rel=0.06)
    assert sum(seconds for _, seconds, _ in kinds) == pytest.approx(1199, abs=10), "all of the time is told"
    lat, = field.sql("SELECT lat FROM mayday.track_stretches(%s, 'sam', '-infinity', 'infinity') WHERE kind = 'stop'", [field.org])[0]
    assert lat == pytest.approx(LAT + north * METRE, abs=15 * METRE)


def test_outliers_and_vague_fixes_are_not_accepted(field):
    rows = [(BEGAN + t, 0, 0) for t in range(600)]
    rows[100] = (BEGAN + 100, 5000, 0)                       # nobody is that fast
    rows[200] = (BEGAN + 200, 45, 0)                         # alone
    rows[300] = (BEGAN + 300, 300, 0, {"accuracy": 400})     # says so itself
    field.fixes("sam", rows)
    s = field.statistics()
    assert s["metres"] == 0 and s["accepted"] < s["fixes"] == 600 and s["stops"] == 1


def test_what_lies_across_a_gap_is_unknown(field):
    field.fixes("sam", walk(300) + walk(300, begins=BEGAN + 3900, north=9000))
    assert [(kind, seconds) for kind, seconds, _ in field.stretches() if kind == "unknown"] == [("unknown", 3601)]
    s = field.statistics()
    assert s["metres"] == pytest.approx(2 * 1.4 * 299, rel=0.08) and s["unknown"] == 3601


def test_a_way_of_two_fixes_is_one_and_of_one_or_none_is_none(field):
    assert field.statistics() == {"fixes": 0, "accepted": 0, "metres": 0, "moving": 0, "stopped": 0, "unknown": 0, "stops": 0}
    field.fixes("sam", [(BEGAN, 0, 0)])
    assert field.statistics()["metres"] == 0 and field.stretches() == []
    field.fixes("sam", [(BEGAN + 60, 500, 0)])
    assert field.statistics()["metres"] == pytest.approx(500, abs=0.5) and field.statistics()["moving"] == 60


def test_who_was_in_an_area_then(field):
    field.person("sam", "kim", "bo")
    field.fixes("sam", [(-900, 500, 0), (-600, 30, 0), (-500, 10, 0), (-400, 500, 0)])
    field.fixes("kim", [(-7200, 0, 0)])
    field.fixes("bo", [(-600, 800, 0)])
    seen = field.sql("SELECT person, fixes, nearest, first_at < last_at FROM mayday.seen_in(%s, ST_Buffer(ST_MakePoint(%s, %s)::geography, 100), "
                     "now() - interval '1 hour', now())", [field.org, LON, LAT], user="mayday_console")
    assert [row[:2] for row in seen] == [("sam", 2)] and seen[0][2] == pytest.approx(10, abs=0.5) and seen[0][3]
    near = field.sql("SELECT person, fixes FROM mayday.seen_in(%s, ST_MakePoint(%s, %s)::geography, now() - interval '1 hour', now(), 100)",
                     [field.org, LON, LAT], user="mayday_console")
    assert near == [("sam", 2)]
    within = field.sql("SELECT count(*) FROM mayday.track_within(%s, 'sam', now() - interval '1 hour', now(), %s, %s, 100)",
                       [field.org, LAT, LON], user="mayday_console")
    assert within == [(2,)]


# ---- how long it is kept

def test_without_a_word_everything_stays(field):
    field.fixes("sam", [(-5 * DAY + t, 0, 0) for t in range(100)])
    assert field.tidy() == [0] and field.count() == 100


def test_what_is_old_is_thinned_and_what_is_older_goes(field):
    for days in (6, 3, 0.5):
        field.fixes("sam", [(-days * DAY + t, 0, 0) for t in range(300)])
        field.fixes("kim", [(-days * DAY + t, 0, 0) for t in range(300)])
        field.vitals("sam", [-days * DAY + t for t in range(0, 120, 2)])
    other = Field(field.database, field.org + "-2")
    other.fixes("sam", [(-6 * DAY + t, 0, 0) for t in range(100)])
    assert field.keep(1, 4) is True and field.keep(1, 4) is False
    removed = field.tidy(100)
    assert all(n >= 100 for n in removed[:-1]) and max(removed) < 500, "in small steps"
    per_day = dict(field.sql("SELECT round(extract(epoch FROM now() - at) / 86400), count(*) FROM mayday.location WHERE org = %s GROUP BY 1", [field.org]))
    per_day = {int(day): n for day, n in per_day.items()}
    assert per_day.pop(3) in (10, 11, 12) and sum(per_day.values()) == 600, per_day
    assert field.count("vitals") in (62, 63)
    assert field.sql("SELECT count(*) FROM (SELECT person, date_trunc('minute', at) FROM mayday.location WHERE org = %s AND at < now() - interval '2 days' "
                     "GROUP BY 1, 2 HAVING count(*) > 1) s", [field.org]) == [(0,)]
    assert other.count() == 100, "that is another organisation's"
    assert field.tidy() == [0]
    assert field.sql("SELECT sum(removed) FROM mayday.retention_day WHERE org = %s", [field.org]) == [(sum(removed),)]
    assert field.sql("SELECT detail FROM mayday.audit_pending WHERE org = %s AND kind = 'retention.set'", [field.org])[0][0]["thin_days"] == 4


def test_what_was_sent_to_an_incident_stays_with_it(field):
    alert = uuid7()
    field.fixes("sam", [(-6 * DAY + t, 0, 0, {"alert": alert if t % 2 else None}) for t in range(100)])
    field.fixes("sam", [(-3 * DAY + t, 0, 0, {"alert": alert if t % 2 else None}) for t in range(100)])
    field.keep(1, 4)
    field.tidy()
    assert field.sql("SELECT count(*) FROM mayday.location WHERE org = %s AND alert = %s", [field.org, alert]) == [(100,)]
    assert field.count() in (102, 103, 104)
    before = field.sql("SELECT count(*) FROM mayday.timeline(%s)", [alert], user="mayday_console")
    field.sql("UPDATE mayday.message_table SET keep = '5 days' WHERE name = 'location'")
    field.sql("SELECT mayday.drop_partitions()", user="mayday_owner")
    field.sql("UPDATE mayday.message_table SET keep = '90 days' WHERE name = 'location'")
    assert field.sql("SELECT count(*) FROM mayday.location WHERE org = %s AND alert = %s", [field.org, alert]) == [(50,)]
    assert field.sql("SELECT count(*) FROM mayday.timeline(%s)", [alert], user="mayday_console") == before == [(100,)], "their day is gone, they are not"
    field.sql("SELECT mayday.make_partitions(7)", user="mayday_owner")


def test_what_comes_late_to_a_day_that_is_done_is_thinned_and_dropped_too(field):
    for days in (6, 3):
        field.fixes("sam", [(-days * DAY + t, 0, 0) for t in range(120)])
    field.keep(1, 4)
    field.tidy()
    before = field.count()
    assert before in (2, 3) and field.tidy() == [0]
    for days in (6, 3):
        field.fixes("kim", [(-days * DAY + t, 0, 0, {"arrived": 0, "offline": True}) for t in range(120)])
    wait_until(lambda: field.tidy() and field.count(person="kim") in (2, 3), "what came late is as thin as the rest")
    assert field.count() - before == field.count(person="kim") and field.tidy() == [0]


def test_where_somebody_was_around_their_incident_stays_with_it(field):
    raised = time.time() - 6 * DAY
    field.fixes("sam", [(raised + t, 0, 0) for t in range(-3600, 3600, 10)])
    field.fixes("kim", [(raised + t, 0, 0) for t in range(-3600, 3600, 10)])
    field.sql("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, closed_at, status, type, priority, silent, offline) VALUES "
              "(%s, %s, 'sam', to_timestamp(%s), to_timestamp(%s), to_timestamp(%s), 'resolved', 'panic', 'critical', false, false)",
              [field.org, uuid7(raised), raised, raised, raised + 600])
    field.keep(1, 4)
    field.tidy()
    assert field.count(person="kim") == 0 and field.count(person="sam") == (1800 + 600) / 10 + 1
    field.sql("UPDATE mayday.message_table SET keep = '5 days' WHERE name = 'location'")
    field.sql("SELECT mayday.drop_partitions()", user="mayday_owner")
    field.sql("UPDATE mayday.message_table SET keep = '90 days' WHERE name = 'location'")
    assert field.count(person="sam") == 0 and field.count("location_kept", "sam") == 241
    assert field.sql("SELECT count(*) FROM mayday.track_within(%s, 'sam', '-infinity', 'infinity')", [field.org], user="mayday_console") == [(241,)]
    field.sql("SELECT mayday.make_partitions(7)", user="mayday_owner")


def test_rows_of_an_absurd_clock_go_by_when_they_came(field):
    absurd = [(1_000_000_000 + t, 0, 0, {"arrived": -10 * DAY if t < 5 else -DAY}) for t in range(10)]
    field.fixes("sam", absurd)
    field.keep(2, 4)
    assert field.tidy() == [5] and field.count() == 5


def test_nothing_is_kept_longer_than_its_table_keeps_it(field):
    for full, thin, why in ((30, 5000, "are kept for"), (5, 4, "retention_check"), (0, 4, "full_days_check")):
        with pytest.raises(psycopg2.Error, match=why):
            field.keep(full, thin)


def test_two_gateways_do_not_tidy_at_once(field):
    field.fixes("sam", [(-6 * DAY + t, 0, 0) for t in range(50)])
    field.keep(1, 2)
    one = psycopg2.connect(field.database.dsn("mayday_gateway"))
    try:
        with one.cursor() as cursor:
            cursor.execute("SELECT removed FROM mayday.tidy(1000)")
            assert cursor.fetchone() == (50,)
            assert field.tidy() == [0], "the other one is at it"
        one.commit()
    finally:
        one.close()
    assert field.count() == 0


def test_only_the_gateway_tidies_and_only_the_owner_says_how_long(field):
    for forbidden, who in (("SELECT mayday.tidy(1)", "mayday_plugin"), ("SELECT mayday.tidy(1)", "mayday_console"),
                           ("SELECT mayday.set_retention('a', 1, 1)", "mayday_gateway"), ("SELECT * FROM mayday.last_known('a')", "mayday_plugin"),
                           ("DELETE FROM mayday.location", "mayday_gateway")):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            field.sql(forbidden, user=who)


# ---- the whole way

def mayday(site, *words, code=0):
    done = subprocess.run([BUILD / "bin" / "mayday", "--config", site.conf, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_gateway_does_it_by_itself_once_it_is_told(site):
    org = "tidied"
    field = Field(site.postgres, org)
    field.fixes("sam", [(-6 * DAY + t, 0, 0) for t in range(50)])
    with site.gateway(gateway__organisations=org).start(org):
        mayday(site, "retention", "set", "--org", org, "--full", "1", "--thin", "2")
        wait_until(lambda: field.count() == 0, "what is old is gone")
    shown, = lines(mayday(site, "retention", "show", "--org", org, "--json"))
    assert (shown["full_days"], shown["thin_days"], shown["removed"]) == (1, 2, 50)
    assert "kept for" in mayday(site, "retention", "set", "--org", org, "--full", "1", "--thin", "3000", code=1)
    assert "--thin" in mayday(site, "retention", "set", "--org", org, "--full", "5", "--thin", "3", code=2)
    site.rows("DELETE FROM mayday.retention")


def test_the_command_shows_where_people_are_and_were(site, tmp_path):
    with site.client("wanda", ["officer"]) as wanda:
        for north in range(20):
            wanda.publish(m.topic("user", "wanda", "location"), m.dump(m.message(
                time.time() - 400 + 20 * north, lat=LAT + 30 * north * METRE, lon=LON, accuracy=5, altitude=12.5, offline=True)))
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE person = 'wanda'", [(20,)])
    site.wait_rows("SELECT count(*) FROM mayday.person WHERE person = 'wanda'", [(1,)])
    known = {row["person"]: row for row in lines(mayday(site, "track", "now", "--org", "acme", "--json"))}
    assert known["wanda"]["lat"] == pytest.approx(LAT + 570 * METRE, abs=1e-6)
    assert "wanda" in mayday(site, "track", "now", "--org", "acme")
    assert len(lines(mayday(site, "track", "show", "wanda", "--org", "acme", "--json"))) == 20
    near = lines(mayday(site, "track", "show", "wanda", "--org", "acme", "--area", f"{LAT},{LON},100", "--json"))
    assert len(near) == 4
    assert [row["person"] for row in lines(mayday(site, "track", "in", "--org", "acme", "--area", f"{LAT},{LON},100", "--json"))] == ["wanda"]
    later = lines(mayday(site, "track", "show", "wanda", "--org", "acme", "--from", m.moment(time.time() - 105), "--json"))
    assert 4 <= len(later) <= 6
    said = mayday(site, "track", "show", "wanda", "--org", "acme", "--stats")
    assert "570 m" in said and "move" in said, said
    assert mayday(site, "track", "show", "nobody", "--org", "acme").startswith("nothing is known")
    file = tmp_path / "way.gpx"
    mayday(site, "track", "show", "wanda", "--org", "acme", "--gpx", str(file))
    points = xml.parse(file).getroot().findall(".//{http://www.topografix.com/GPX/1/1}trkpt")
    assert len(points) == 20 and float(points[0].get("lat")) == pytest.approx(LAT, abs=1e-6)
    assert points[0].find("{http://www.topografix.com/GPX/1/1}ele").text == "12.5"
    read = site.rows("SELECT DISTINCT detail->>'with' FROM mayday.audit_pending WHERE kind = 'read' AND (person = 'wanda' OR person IS NULL) "
                     "UNION SELECT DISTINCT detail->>'with' FROM mayday.audit WHERE kind = 'read'")
    assert {row[0] for row in read} >= {"mayday track show", "mayday track show --stats", "mayday track show --gpx", "mayday track in"}


@pytest.mark.parametrize("words, why", [
    (["track", "now"], "--org"), (["track", "show", "--org", "a"], "expected"), (["track", "in", "--org", "a"], "--area"),
    (["track", "in", "--org", "a", "--area", "1,2"], "LAT,LON,METRES"), (["track", "in", "--org", "a", "--area", "91,2,3"], "--area"),
    (["timer"], "expected"), (["retention", "set", "--org", "a"], "--full"),
])
def test_wrong_words_are_refused(site, words, why):
    assert why in mayday(site, *words, code=2)


def test_the_command_lists_timers_and_shows_a_person(site):
    with site.client("lone", ["officer"]) as lone:
        lone.publish(m.topic("user", "lone", "timer"), m.dump(m.message(minutes=30, text="cold store", repeat=True)))
        lone.publish(m.topic("user", "lone", "location"), m.dump(m.location(lat=LAT, lon=LON)))
    site.wait_rows("SELECT count(*) FROM mayday.timer_now WHERE person = 'lone'", [(1,)])
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE person = 'lone'", [(1,)])
    row, = lines(mayday(site, "timer", "list", "--org", "acme", "--json"))
    assert (row["person"], row["state"], row["minutes"], row["text"], row["repeat"]) == ("lone", "running", 30, "cold store", True)
    assert "cold store" in mayday(site, "timer", "list")
    shown = mayday(site, "person", "show", "lone", "--org", "acme")
    assert "running" in shown and "cold store" in shown and "-33.9" in shown and "officer" in shown
    said, = lines(mayday(site, "person", "show", "lone", "--org", "acme", "--json"))
    assert said["timer"]["state"] == "running" and said["location"]["lat"] == pytest.approx(LAT)
    assert "no person" in mayday(site, "person", "show", "nobody", "--org", "acme", code=1)
