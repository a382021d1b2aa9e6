"""Where everybody is, and who was in an area, among two million stored positions, against the statement that is written first."""
import time
from statistics import median

from ..lab import ORG
from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

TITLE = "positions among 2,000,000"

PEOPLE, DAYS = 2000, 10
AREA = "ST_SetSRID(ST_MakePoint(18.42, -33.92), 4326)::geography"

FILL = f"""
INSERT INTO mayday.person (org, person, roles) SELECT '{ORG}', 'p' || n, '{{officer}}' FROM generate_series(1, {PEOPLE}) n ON CONFLICT DO NOTHING;
SET ROLE mayday_owner;
SELECT mayday.make_partition('location', 'day', d) FROM generate_series(date_trunc('day', now() AT TIME ZONE 'UTC') - interval '{DAYS + 1} days',
    date_trunc('day', now() AT TIME ZONE 'UTC'), interval '1 day') d;
RESET ROLE;
INSERT INTO mayday.location (id, at, received_at, digest, org, sender, node, offline, person, position, accuracy)
SELECT (left(mayday.uuid_at(t)::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid, t, t, n, '{ORG}', who, 'bench', false, who,
       ST_SetSRID(ST_MakePoint(18.42 + 0.3 * random(), -33.92 + 0.3 * random()), 4326)::geography, 8
FROM (SELECT n, 'p' || 1 + n %% {PEOPLE} AS who, now() - interval '1 s' - n * interval '{DAYS} days' / %(rows)s AS t
      FROM generate_series(0, %(rows)s - 1) n) s;
ANALYZE;
"""
NAIVE_LAST = f"SELECT DISTINCT ON (person) person, at FROM mayday.location WHERE org = '{ORG}' ORDER BY person, at DESC"
LAST = f"SELECT person, at FROM mayday.last_known('{ORG}')"
NAIVE_SEEN = f"""SELECT person, count(*) FROM mayday.location WHERE org = '{ORG}' AND at >= now() - interval '1 hour'
    AND ST_DWithin(position, {AREA}, 2000) GROUP BY person"""
SEEN = f"SELECT person, fixes FROM mayday.seen_in('{ORG}', {AREA}, now() - interval '1 hour', now(), 2000)"


def ask(connection, statement):
    with connection.cursor() as cursor:
        begun = time.monotonic()
        cursor.execute(statement)
        rows = cursor.fetchall()
    return 1e6 * (time.monotonic() - begun), rows


def thin(connection):
    """All calls until it is done: the longest, and rows a second."""
    longest, removed, begun, more = 0, 0, time.monotonic(), True
    while more:
        took, ((count, more),) = ask(connection, "SELECT removed, more FROM mayday.tidy(5000)")
        longest, removed = max(longest, took), removed + count
    return longest, removed / (time.monotonic() - begun)


def measure(lab):
    rows = 200_000 if lab.quick else 2_000_000
    times = {statement: [] for statement in (NAIVE_LAST, LAST, NAIVE_SEEN, SEEN)}
    with lab.mayday() as mayday:
        connection = mayday.postgres.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(FILL, {"rows": rows})
        for _ in range(lab.rounds):
            answers = {}
            for statement, taken in times.items():
                ask(connection, statement)  # both from memory
                took, answers[statement] = ask(connection, statement)
                taken.append(took)
            if sorted(answers[LAST]) != sorted(answers[NAIVE_LAST]) or len(answers[LAST]) != PEOPLE:
                raise Broken("the two do not agree where people are")
            if abs(len(answers[SEEN]) - len(answers[NAIVE_SEEN])) > 2:  # a second has passed between them, and a sphere is no spheroid
                raise Broken("the two do not agree who was there")
        with connection.cursor() as cursor:
            cursor.execute("SELECT mayday.set_retention(%s, 1, 5)", [ORG])
        longest, pace = thin(connection)
        again, ((removed, _),) = ask(connection, "SELECT removed, more FROM mayday.tidy(5000)")
        connection.close()
    if removed:
        raise Broken("what is thin was thinned once more")
    last, naive = times[LAST], times[NAIVE_LAST]
    seen, naive_seen = times[SEEN], times[NAIVE_SEEN]
    return [
        Line(f"last known position of {PEOPLE:,} people among {rows:,}", f"{spread(naive, micro)} (DISTINCT ON)", spread(last, micro),
             spread([o / r for o, r in zip(last, naive)], ratio), "≤ 1/4 of it", yes(median(last) <= median(naive) / 4)),
        Line("who was within 2 km in the last hour", f"{spread(naive_seen, micro)} (ST_DWithin)", spread(seen, micro),
             spread([o / r for o, r in zip(seen, naive_seen)], ratio), "–", "–"),
        Line(f"thinning and removing: the longest transaction ({pace:,.0f} rows/s)", "–", micro(longest), "–", "≤ 3 s", yes(longest <= 3e6)),
        Line("and a look when there is nothing to do", "–", micro(again), "–", "≤ 100 ms", yes(again <= 1e5)),
    ]
