"""What one due step of an escalation costs, with 100 escalations waiting and with 100,000: from the NOTIFY that wakes the engine to the
commit that claims it, stores what comes of it and has one more text to send; and the processor time of the engine's thread and of its
connection to the database. Each waiting escalation is an open incident whose first level was told, with that text; what is due is its
second level. 100 waiting are the reference: a cost that grows with what waits is no good for a bad night. Beside it one cycle of an engine
that polls, with as many waiting, in which one is due: that cycle it pays every five seconds, due or not.

And what the engine's trigger costs the writer: raises drained from the journal a second, as `raises` measures them, with the
trigger and, as the reference, without it."""
import contextlib
import os
import select
import time
from statistics import median

from ..lab import ORG
from ..phones import NUMBER, POLL, enter, night
from ..servers import Broken, Postgres
from ..table import Line, count, micro, ratio, spread, yes
from . import raises
from .state import quantiles

TITLE = "a due step with 100,000 escalations waiting"

FEW, MANY = 100, 100000
STEPS = 100        # of each reading; with FEW waiting, each of them once
RAISES = 20000
FLAT = 1.5         # times the cost with few
PATIENCE = 20
# Incidents open since a minute, told once; without the triggers, which are measured elsewhere.
FILL = f"""
SET session_replication_role = replica;
CREATE TEMP TABLE more AS SELECT mayday.new_id() AS id, i FROM generate_series(%(first)s::int, %(last)s) i;
INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, stored_at, type, priority, silent, offline, escalation_level)
SELECT '{ORG}', id, 'w' || i, now() - interval '1 minute', now() - interval '1 minute', now() - interval '1 minute', 'panic', 'critical',
       false, false, 1 FROM more;
INSERT INTO mayday.membership (org, family, id, person, relation) SELECT '{ORG}', 'alert', id::text, 'w' || i, 'raiser' FROM more;
INSERT INTO mayday.escalation (org, alert, edition_org, edition, policy, level, begun_at, due_at, next_at, moved_at)
SELECT '{ORG}', id, '{ORG}', 1, 'bench', 1, now(), at, at, now() FROM more, LATERAL (SELECT now() + interval '1 hour' * (1 + random()) AS at) d;
INSERT INTO mayday.notification (id, org, alert, person, kind, address, purpose, level, rank, lang, code, status, sent_at, expires_at)
SELECT mayday.new_id(), '{ORG}', id, 'desk', 'sms', '+2783' || lpad((i %% 10000)::text, 7, '0'), 'raise', 1, 4, 'en', '0000', 'sent', now(),
       now() + interval '1 hour' FROM more;
DROP TABLE more;
RESET session_replication_role;
"""
# Its second level is due by all that lib/core/escalation.c looks at.
DUE = """UPDATE mayday.escalation SET begun_at = now() - interval '300 seconds', due_at = now(), next_at = now() WHERE alert = %s"""


# What an engine that polls would keep of them, ask for, and note.
POLLED = """
CREATE SCHEMA IF NOT EXISTS plain;
DROP TABLE IF EXISTS plain.step;
CREATE TABLE plain.step AS SELECT id AS alert, 1 AS level, now() AS told_at FROM mayday.alert WHERE closed_at IS NULL;
ALTER TABLE plain.step ADD PRIMARY KEY (alert);
"""
POLL_DUE = """SELECT s.alert::text, s.level, a.raised_by, a.type, a.priority FROM plain.step s JOIN mayday.alert a ON a.id = s.alert
              WHERE a.closed_at IS NULL AND s.told_at + (ARRAY['5 minutes', '10 minutes']::interval[])[s.level] <= now()"""
CYCLES = 20


def fill(postgres, first, last):
    with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(FILL, {"first": first, "last": last})
        for table in ("alert", "membership", "escalation", "notification"):
            cursor.execute(f"VACUUM ANALYZE mayday.{table}")
        cursor.execute("CHECKPOINT")


def on_processor(pid, thread=None):
    """Nanoseconds that a process, or its thread of that name, was on a processor."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as comm, open(f"/proc/{pid}/task/{task}/schedstat") as times:
            if thread in (None, comm.read().strip()):
                total += int(times.read().split()[0])
    return total


def cost(n, backend):
    return on_processor(n.gateway, "mg-escalator") + on_processor(backend)


def hear(hearer, cursor, alert):
    """Until the step of that incident is committed: then there is something to send."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if select.select([hearer], [], [], 1)[0]:
            hearer.poll()
        heard, at = bool(hearer.notifies), time.perf_counter()
        hearer.notifies.clear()
        if heard:
            cursor.execute("SELECT level FROM mayday.escalation WHERE alert = %s", [alert])
            if cursor.fetchone()[0] == 2:
                return at
    raise Broken("a step that is due was not done")


def steps(n, number):
    """(quantiles of a step in µs, processor time of one in µs)."""
    with contextlib.closing(n.mayday.postgres.connect()) as hearer, contextlib.closing(n.mayday.postgres.connect()) as speaker, \
            speaker.cursor() as cursor:
        hearer.cursor().execute("LISTEN mayday_notify")
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'mayday-gateway escalator%'")
        backend = cursor.fetchone()[0]
        cursor.execute("SELECT alert FROM mayday.escalation WHERE level = 1 ORDER BY md5(alert::text) LIMIT %s", [number])
        alerts, took = [row[0] for row in cursor.fetchall()], []
        before = cost(n, backend)
        for alert in alerts:
            time.sleep(0.005)
            hearer.poll()
            hearer.notifies.clear()
            cursor.execute(DUE, [alert])  # the engine sleeps until it is woken
            begun = time.perf_counter()
            cursor.execute("NOTIFY mayday_escalation")
            took.append((hear(hearer, cursor, alert) - begun) * 1e6)
        after = cost(n, backend)
    return quantiles(took), (after - before) / 1000 / len(alerts)


def cycles(n):
    """As steps(), of an engine that polls: one due of all that wait in each cycle."""
    took = []
    with contextlib.closing(n.mayday.postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(POLLED)
        cursor.execute("VACUUM ANALYZE plain.step")
        cursor.execute("SELECT pg_backend_pid()")
        backend, spent = cursor.fetchone()[0], 0
        for _ in range(CYCLES):
            cursor.execute("UPDATE plain.step SET told_at = now() - interval '6 minutes' WHERE alert = (SELECT alert FROM plain.step WHERE level = 1 LIMIT 1)")
            before, begun = on_processor(backend) + time.process_time_ns(), time.perf_counter()
            cursor.execute(POLL_DUE)
            found = cursor.fetchall()
            for alert, *_ in found:
                cursor.execute("UPDATE plain.step SET level = level + 1, told_at = now() WHERE alert = %s", [alert])
            took.append((time.perf_counter() - begun) * 1e6)
            spent += on_processor(backend) + time.process_time_ns() - before
            if len(found) != 1:
                raise Broken(f"one was due, and the engine that polls found {len(found)}")
        cursor.execute("DROP TABLE plain.step")
    return quantiles(took), spent / 1000 / CYCLES


def one_round(n, many, number):
    """(with few waiting, with many, of an engine that polls with many), each as steps() gives it."""
    found = []
    for first, last in ((1, FEW), (FEW + 1, many)):
        fill(n.mayday.postgres, first, last)
        n.mayday.postgres.sql("UPDATE mayday.notification SET due_at = NULL WHERE address = %s AND status = 'sent'", NUMBER)
        found.append(steps(n, number))
        waiting = n.mayday.postgres.sql("SELECT count(*) FROM mayday.escalation WHERE status = 'running' AND due_at IS NOT NULL")
        if waiting != last:
            raise Broken(f"of {last} escalations {waiting} wait")
    found.append(cycles(n))
    n.forget()
    return found


def step_lines(rounds, many):
    words = f"one due step of an escalation, {FEW:,} → {many:,} waiting"
    for what, pick in (("NOTIFY → committed, p50", lambda r: r[0]["p50"]), ("NOTIFY → committed, p99", lambda r: r[0]["p99"]),
                       ("processor time", lambda r: r[1])):
        few, all_ = [pick(r[0]) for r in rounds], [pick(r[1]) for r in rounds]
        ratios = [a / f for a, f in zip(all_, few)]
        flat = what.endswith("p99")  # one hiccup of the machine is the p99 of a hundred
        yield Line(f"{words}, {what}", f"{spread(few, micro)} ({FEW:,} waiting)", spread(all_, micro), spread(ratios, ratio),
                   "–" if flat else f"flat: ≤ {FLAT} ×", "–" if flat else yes(median(ratios) <= FLAT))


def poll_lines(rounds, many):
    words = f"one due step of an escalation, {many:,} waiting"
    for what, pick in (("p50", lambda r: r[0]["p50"]), ("processor time", lambda r: r[1])):
        theirs, ours = [pick(r[2]) for r in rounds], [pick(r[1]) for r in rounds]
        yield Line(f"{words}, {what}", f"{spread(theirs, micro)} (one cycle, due or not, every {POLL} s)", spread(ours, micro),
                   spread([o / t for o, t in zip(ours, theirs)], ratio), "–", "–")


def drained(lab, postgres, how_many, trigger):
    """Raises a second with the trigger, or without."""
    postgres.sql(f"ALTER TABLE mayday.alert {'ENABLE' if trigger else 'DISABLE'} TRIGGER escalate")
    rate = raises.drain_once(lab, postgres, how_many, how_many)
    begun = postgres.sql("SELECT count(*) FROM mayday.escalation")
    if begun != (how_many if trigger else 0):
        raise Broken(f"of {how_many} incidents {begun} have an escalation")
    raises.psql(postgres, f"TRUNCATE {', '.join('mayday.' + t for t in raises.TABLES)} CASCADE")
    postgres.sql("CHECKPOINT")
    return rate


def writer_line(lab, how_many):
    with_it, without = [], []
    with Postgres(lab.fresh("postgres")) as postgres:
        lab.home(postgres)
        enter(postgres)
        for _ in range(lab.rounds):
            without.append(drained(lab, postgres, how_many, False))
            with_it.append(drained(lab, postgres, how_many, True))
    return Line(f"raises drained to the database with the engine's trigger, {how_many:,} people once each (raises/s)",
                f"{spread(without, count)} (without the trigger)", spread(with_it, count),
                spread([w / o for w, o in zip(with_it, without)], ratio), f"≥ {raises.REACH:,}/s", yes(median(with_it) >= raises.REACH))


def measure(lab):
    many, number, rounds = MANY // 50 if lab.quick else MANY, STEPS // 4 if lab.quick else STEPS, []
    with night(lab) as n:
        for _ in range(lab.rounds):
            rounds.append(one_round(n, many, number))
    return [*step_lines(rounds, many), *poll_lines(rounds, many), writer_line(lab, RAISES)]
