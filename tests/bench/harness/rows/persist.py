"""Sustained end to end: published as fast as the broker acknowledges, until the last row is committed.

The reference is what people write first: a Node server that subscribes and makes one INSERT for each message (ten
connections to the same PostgreSQL settings). It is fed through bare Mosquitto at a pace beyond what it can take."""
import contextlib
import os
import shutil
import subprocess
import time
from statistics import median

from ..servers import Broken, Postgres, Skip, end, wait_until
from ..table import Line, count, ratio, spread, yes

TITLE = "sustained end-to-end persisted rate"

REACH = 30000
LONGER = 6  # times the seconds of the other rows
FEED = 10000

SERVER = os.path.join(os.path.dirname(__file__), "..", "..", "node-insert")


def node_server(lab):
    """The server's files with its packages, in our folder."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("there is no node and npm for the reference server")
    home = lab.fresh("node")
    for name in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(os.path.join(SERVER, name), home)
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=home, capture_output=True,
                          text=True)
    if done.returncode:
        raise Skip(f"npm cannot install the reference server: {done.stderr.strip()[-200:]}")
    return home


@contextlib.contextmanager
def running_node(home, broker, postgres):
    url = f"postgresql://postgres@127.0.0.1:{postgres.port}/node"
    with open(os.path.join(home, "log"), "wb") as log:
        server = subprocess.Popen(["node", "server.js", f"mqtt://127.0.0.1:{broker.port}", url], cwd=home,
                                  stdout=log, stderr=log)
    try:
        def ready():
            if server.poll() is not None:
                raise Broken(f"the reference server ended; see {home}/log")
            with open(os.path.join(home, "log"), "rb") as f:
                return b"ready" in f.read()
        wait_until("the reference server's start", ready)
        yield
    finally:
        end(server)


def node_rate(lab, home, seconds):
    with lab.bare() as bare, Postgres(lab.fresh("postgres")) as postgres:
        postgres.sql("CREATE DATABASE node", database="postgres")
        with running_node(home, bare, postgres):
            begun = time.monotonic()
            with lab.load_beside("publish", bare.port, seconds=seconds, rate=FEED) as fed:
                fed()
            rows = postgres.sql("SELECT count(*) FROM location", database="node")
            return rows / (time.monotonic() - begun)


def our_rate(lab, seconds):
    with lab.mayday() as mayday:
        crowd = lab.field_crowd(mayday.home, 50)
        before, begun = mayday.progress(), time.monotonic()
        run = lab.load("publish", mayday.port, seconds=seconds, credentials=crowd)
        mayday.wait_for_progress(before + run["acked"])
        took = time.monotonic() - begun
        mayday.wait_for_rows(run["acked"])
        return run["acked"] / took


def measure(lab):
    lab.installed()
    home = node_server(lab)
    seconds = lab.seconds * LONGER
    reference, ours = [], []
    for _ in range(min(lab.rounds, 2)):
        reference.append(node_rate(lab, home, seconds))
        ours.append(our_rate(lab, seconds))
    ratios = [o / r for o, r in zip(ours, reference)]
    return [Line(f"sustained end-to-end persisted rate, {seconds:g} s and its drain (rows/s)",
                 f"{spread(reference, count)} (Node, one INSERT a message)", spread(ours, count),
                 spread(ratios, ratio), f"≥ {REACH:,}/s", yes(median(ours) >= REACH))]
