"""How fast the writer empties the journal into PostgreSQL, against \\copy of the very same rows into the same tables.

The broker runs with a backlog and no clients. Its rate is taken between the first and the last commit seen in
mayday.journal_progress. Then the rows are copied out, the table is emptied, and psql copies them in again."""
import os
import subprocess
import time
from statistics import median

from ..servers import Broken
from ..table import Line, count, ratio, spread, yes
from . import backlog

TITLE = "writer drain"

REACH = 0.6


def commits(cursor, before, target):
    """(time, position) of every commit seen behind `before`, until `target`."""
    deadline, seen = time.monotonic() + 600, before
    while seen < target:
        if time.monotonic() > deadline:
            raise Broken(f"the writer stands at {seen} of {target}")
        cursor.execute("SELECT coalesce(sum(seq), 0) FROM mayday.journal_progress")
        position = int(cursor.fetchone()[0])
        if position > seen:
            seen = position
            yield time.monotonic(), position
        time.sleep(0.002)


def watch_progress(mayday, before, target):
    """Rows a second from the first commit to the last."""
    connection = mayday.postgres.connect()
    try:
        with connection.cursor() as cursor:
            seen = list(commits(cursor, before, target))
    finally:
        connection.close()
    if len(seen) < 3:
        raise Broken(f"{target - before} records took {len(seen)} commits: too few to time")
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def drain_once(lab, mayday, records):
    before = mayday.progress()
    backlog.build(lab, mayday, records)
    mayday.postgres.start()
    rate = watch_progress(mayday, before, before + records)
    mayday.wait_for_rows(records)
    return rate


def copy_once(lab, mayday, records):
    """Out to a file, empty, in again from the file: rows a second of the last."""
    path = os.path.join(mayday.home, "rows")
    psql(lab, mayday, f"\\copy (SELECT * FROM mayday.location) TO '{path}'")
    mayday.forget_rows()
    begun = time.monotonic()
    psql(lab, mayday, f"\\copy mayday.location FROM '{path}'")
    rate = records / (time.monotonic() - begun)
    if mayday.stored() != records:
        raise Broken(f"\\copy stored {mayday.stored()} of {records} rows")
    os.unlink(path)
    mayday.forget_rows()
    return rate


def psql(lab, mayday, command):
    done = subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", mayday.postgres.conninfo("postgres"),
                           "-c", command], capture_output=True, text=True)
    if done.returncode:
        raise Broken(f"psql: {done.stderr.strip()}")


def measure(lab):
    records = 100000 if lab.quick else 300000
    copies, drains = [], []
    with lab.mayday() as mayday:
        for _ in range(lab.rounds):
            drains.append(drain_once(lab, mayday, records))
            copies.append(copy_once(lab, mayday, records))
    ratios = [d / c for d, c in zip(drains, copies)]
    return [Line(f"writer drain, {records:,} locations (rows/s)", spread(copies, count), spread(drains, count),
                 spread(ratios, ratio), f"≥ {REACH} of \\copy into the same tables",
                 yes(median(ratios) >= REACH))]
