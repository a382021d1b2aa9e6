"""How fast raises get from the journal into the database after it was away: of as many people, each of whom opens an
incident, and of one person who presses again and again, whose raises join the first; beyond their burst the writer is told that they are
repeats, as the plugin tells it by the shipped limit. Against \\copy of the very rows that
came of them: raises, incidents, memberships, outbox, audit and feed.

It is the plugin's own writer on the plugin's own journal, without a broker around them (bin/drain): twenty thousand people
would need as many connections. The journal fills while PostgreSQL is down, and the rate is taken from the first commit to the
last, in mayday.journal_progress, as `drain` does it for locations."""
import contextlib
import json
import os
import subprocess
import time
from statistics import median

from ..lab import ORG
from ..servers import Broken, Postgres, end, wait_until
from ..table import Line, count, ratio, spread, yes
from .drain import commits
from .state import messages

TITLE = "raises drained to the database"

RAISES = 20000
BURST = 20  # [limits] raise, as shipped
REACH = 1000  # raises a second: a crowd of ten thousand is in the database within ten seconds
TABLES = ("raise", "alert", "membership", "escalation", "outbox", "audit_pending", "feed_pending", "feed")


def lines(how_many, people):
    for i in range(how_many):
        person = f"p{i % people}"
        yield json.dumps({"org": ORG, "sender": person, "roles": "member", "repeat": i // people >= BURST,
                          "payload": messages.raise_(priority="critical", text="Help"),
                          "topic": messages.topic("alert", messages.uuid7(), "raise", ORG)}) + "\n"


@contextlib.contextmanager
def writer(lab, postgres, folder):
    command = [os.path.join(lab.build, "bin", "drain"), f"--journal={folder}/journal", "--timeout=600",
               f"--database={postgres.conninfo('mayday_plugin')}"]
    with open(os.path.join(folder, "drain.log"), "w") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        process.stdin.close()
        end(process)


def appended(folder):
    with open(os.path.join(folder, "drain.log")) as f:
        return sum(line.startswith("appended ") for line in f)


def drain_once(lab, postgres, raises, people):
    """Raises a second between the first commit and the last."""
    folder = lab.fresh("raises")
    os.mkdir(os.path.join(folder, "journal"), 0o700)
    before = int(postgres.sql("SELECT coalesce(sum(seq), 0) FROM mayday.journal_progress"))
    postgres.stop()
    with writer(lab, postgres, folder) as process:
        process.stdin.writelines(lines(raises, people))
        process.stdin.flush()
        wait_until("the last raise in the journal", lambda: appended(folder) == raises, pause=0.1)
        postgres.start()
        with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
            seen = list(commits(cursor, before, before + raises))
    if postgres.sql("SELECT count(*) FROM mayday.raise") != raises or postgres.sql("SELECT count(*) FROM mayday.dead_letter"):
        raise Broken(f"of {raises} raises not all are stored")
    if len(seen) < 3:
        raise Broken(f"{raises} raises took {len(seen)} commits: too few to time")
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def psql(postgres, *statements):
    """In one transaction, and without triggers."""
    done = subprocess.run(["psql", "-qX1", "-v", "ON_ERROR_STOP=1", "-d", postgres.conninfo("postgres"),
                           *[word for s in ("SET session_replication_role = replica", *statements) for word in ("-c", s)]], capture_output=True, text=True)
    if done.returncode:
        raise Broken(f"psql: {done.stderr.strip()}")


def copy_once(lab, postgres, raises):
    """All that the writer made, out to files, and in again in one transaction, without the triggers that made some of it: raises a second
    of the latter."""
    folder = lab.fresh("copy")
    forget = f"TRUNCATE {', '.join('mayday.' + t for t in TABLES)} CASCADE"
    psql(postgres, *[f"\\copy (SELECT * FROM mayday.{t}) TO '{folder}/{t}'" for t in TABLES])
    psql(postgres, forget)
    postgres.sql("CHECKPOINT")
    begun = time.monotonic()
    psql(postgres, *[f"\\copy mayday.{t} FROM '{folder}/{t}'" for t in TABLES])
    rate = raises / (time.monotonic() - begun)
    if postgres.sql("SELECT count(*) FROM mayday.raise") != raises:
        raise Broken("\\copy did not store all raises")
    psql(postgres, forget)
    return rate


def line(words, drains, copies):
    return Line(f"raises drained to the database, {words} (raises/s)", f"{spread(copies, count)} (\\copy of all the rows made)",
                spread(drains, count), spread([d / c for d, c in zip(drains, copies)], ratio), f"≥ {REACH:,}/s",
                yes(median(drains) >= REACH))


def measure(lab):
    found = []
    lab.installed()
    for people, words in ((RAISES, f"{RAISES:,} people once each"), (1, f"one person {RAISES:,} times")):
        drains, copies = [], []
        with Postgres(lab.fresh("postgres")) as postgres:
            lab.home(postgres)
            for _ in range(lab.rounds):
                drains.append(drain_once(lab, postgres, RAISES, people))
                copies.append(copy_once(lab, postgres, RAISES))
        found.append(line(words, drains, copies))
    return found
