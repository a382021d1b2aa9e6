"""The three questions the tables are made for: answered rightly, and by an index."""
import re
import time

import pytest

from support.messages import uuid7

ALERT = uuid7()


@pytest.fixture(scope="module")
def filled(database):
    """20,000 positions of 200 people over six days; a few of them sent to an incident."""
    database.sql("""
        INSERT INTO mayday.location (id, at, received_at, digest, org, sender, node, offline, alert, person, position)
        SELECT (left(mayday.uuid_at(t)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid, t, t, n, org, p, 'x', false,
               CASE WHEN n %% 1000 = 7 AND org = 'acme' THEN %s::uuid END, p, ST_MakePoint(n %% 100, n %% 50)::geography
        FROM (SELECT n, 'p' || n %% 200 AS p, CASE n %% 20 WHEN 3 THEN 'zeta' ELSE 'acme' END AS org,
                     now() - interval '6 days' + n * interval '25 s' AS t FROM generate_series(1, 20000) n) s""", [ALERT])
    database.sql("INSERT INTO mayday.chat (id, at, received_at, digest, org, sender, node, offline, alert, text) "
                 "SELECT gen_random_uuid(), now() - n * interval '1 h', now(), n, 'acme', 'p1', 'x', false, %s, 'c' || n "
                 "FROM generate_series(1, 3) n", [ALERT])
    database.sql("ANALYZE")
    return database


def test_the_last_position_of_everyone(filled):
    wanted = filled.sql("SELECT DISTINCT ON (person) person, id FROM mayday.location WHERE org = 'acme' ORDER BY person, at DESC")
    assert len(wanted) > 100
    assert sorted(filled.sql("SELECT person, id FROM mayday.last_positions('acme')", user="mayday_console")) == sorted(wanted)
    everyone = filled.sql("SELECT org, person, id FROM mayday.last_position", user="mayday_console")
    assert sorted(everyone) == sorted(filled.sql("SELECT DISTINCT ON (org, person) org, person, id FROM mayday.location "
                                                 "ORDER BY org, person, at DESC"))
    assert filled.sql("SELECT * FROM mayday.last_positions('nobody')") == []


def test_the_track_of_one_person_in_a_time_window(filled):
    window = "now() - interval '3 days', now() - interval '1 day'"
    track = filled.sql(f"SELECT id, at FROM mayday.track('acme', 'p7', {window})", user="mayday_console")
    assert [row[1] for row in track] == sorted(row[1] for row in track)
    assert {row[0] for row in track} == {row[0] for row in filled.sql(
        "SELECT id FROM mayday.location WHERE org || person = 'acmep7' AND at BETWEEN now() - interval '3 days' AND now() - interval '1 day'")}
    assert len(track) > 10


def test_the_timeline_of_an_incident(filled):
    rows = filled.sql("SELECT at, kind, detail FROM mayday.timeline(%s)", [ALERT], user="mayday_console")
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert [row[2]["text"] for row in rows if row[1] == "chat"] == ["c3", "c2", "c1"]
    assert len([row for row in rows if row[1] == "location"]) == 20


@pytest.mark.parametrize("question", [
    "SELECT * FROM mayday.last_positions('acme')",
    "SELECT * FROM mayday.track('acme', 'p7', now() - interval '3 days', now() - interval '1 day')",
    "SELECT * FROM mayday.location WHERE alert = gen_random_uuid()",
])
def test_every_question_is_served_by_an_index(filled, question):
    plan = "\n".join(row[0] for row in filled.sql("EXPLAIN " + question))
    scans = re.findall(r"(\w+ )?(Index Only|Index|Seq|Bitmap Heap) Scan.* on (location_20\d+)", plan)
    today = time.strftime("location_%Y%m%d", time.gmtime(time.time() - 86400))
    assert any(table == today for _, _, table in scans), plan
    assert "Seq" not in {kind for _, kind, table in scans if table == today}, plan
