"""Twelve hours without a broker go up: how much later than usual a raise and a live reading arrive meanwhile.

The reference is the same gateway with nothing that waits. The file is filled as the gateway would have filled it: three people at a
reading a second. `[sensors] drain` is as shipped."""
import contextlib
import json
import os
import sqlite3
import sys
import threading
import time
import uuid
from statistics import median

from .. import edge
from ..lab import ORG
from ..servers import Broken, wait_until
from ..table import Line, count, micro, ratio, spread, yes

sys.path.insert(0, os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
from support import messages  # noqa: E402
from support.wire import Client  # noqa: E402

TITLE = "12 hours without a broker go up"

PEOPLE, HOURS = 3, 12
PACE = 10  # raises a second
REACH_US = 1000000
QUANTILES = ("p50", "p99", "max")


def fill(home, samples):
    now = time.time()
    with contextlib.closing(sqlite3.connect(os.path.join(home, "state", "backlog-gw.db"))) as file:
        file.executemany("INSERT INTO sample (alarm, ours, run, at, tries, id, org, topic, body) VALUES (0, 0, 1, ?, 0, ?, ?, ?, ?)", (
            (int((now - (samples - i) / PEOPLE) * 1e6), uuid.UUID(messages.uuid7(now - (samples - i) / PEOPLE)).bytes, ORG.encode(),
             b"user/old%d/vitals" % (i % PEOPLE), b',"hr":%d,"spo2":97,"contact":true,"sensor":"strap"}' % (60 + i % 40))
            for i in range(samples)))
        file.commit()


class Readings(threading.Thread):
    """One after the other, each as soon as the one before is at the dispatcher: from the serial line to there, in microseconds."""

    def __init__(self, lab, mayday, line):
        super().__init__(daemon=True)
        self.line, self.over, self.took = line, threading.Event(), []
        self.client = Client(mayday.port, "screen", lab.token(mayday.home, "screen", "dispatcher"))
        self.client.subscribe(messages.topic("user", "s0", "vitals", ORG), qos=0)
        self.fault = None

    def once(self, pulse):
        begun = time.perf_counter()
        self.line.say_json(hr=pulse)
        while json.loads(self.client.receive(30).payload)["hr"] != pulse:
            pass
        self.took.append((time.perf_counter() - begun) * 1e6)

    def run(self):
        turn = 0
        try:
            while not self.over.wait(0.15):  # longer than `every`, which is none of what is measured
                turn += 1
                self.once(60 + 10 * (turn % 10))
        except Exception as fault:  # noqa: BLE001 - told by stop()
            self.fault = fault

    def stop(self):
        self.over.set()
        self.join()
        self.client.close()
        if self.fault or not self.took:
            raise Broken(f"live readings did not arrive: {self.fault}")
        ordered = sorted(self.took)
        return {name: ordered[max(0, round(len(ordered) * share) - 1)] for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}


def crowd(lab, home, seconds):
    topic = f"mayday/v1/{ORG}/alert/%s/raise"
    people = [(f"r{i}", f"r{i}", "member", topic) for i in range(int(seconds * PACE))]
    return lab.crowd(home, people + [("desk", "desk", "dispatcher", topic)])


def one_site(lab, samples, seconds):
    """The figures of raises and live readings, and how many seconds it took until nothing waited."""
    with lab.mayday() as mayday, edge.lines(mayday.home, 1) as made:
        people = crowd(lab, mayday.home, seconds)
        sections = edge.configure(mayday.home, made, every=0.1, rate=100, heartbeat=0)
        with lab.gateway(mayday, sections):
            pass  # it makes its file
        if samples:
            fill(mayday.home, samples)
        begun = time.monotonic()
        with lab.gateway(mayday) as address:
            wait_until("the sensor", lambda: edge.are_open(address))
            readings = Readings(lab, mayday, made[0])
            readings.start()
            raises = lab.load("state", mayday.port, rate=PACE, credentials=people)
            waiting = edge.health(address)["backlog"]["waiting"]
            live = readings.stop()
            wait_until("the end of the backlog", lambda: edge.health(address)["backlog"]["waiting"] == 0, 600, 0.1)
            took = time.monotonic() - begun
        if samples and not waiting:
            raise Broken("nothing waited any more when the raises ended: measured for too long")
        wait_until(f"the storing of {samples} readings that waited", lambda: mayday.postgres.sql(
            "SELECT count(DISTINCT id) FROM mayday.vitals WHERE person ~ '^old'") == samples, 120, 1)
    return {"raise": raises["state_us"], "reading": live, "seconds": took}


def measure(lab):
    samples, seconds = (PEOPLE * 3600 * 4, 8) if lab.quick else (PEOPLE * 3600 * HOURS, 40)
    plain, ours = [], []
    for _ in range(lab.rounds):
        plain.append(one_site(lab, 0, 5 if lab.quick else 20))
        ours.append(one_site(lab, samples, seconds))
    lines = []
    for what, words in (("raise", "raise published → `state` says stored, at the raiser"),
                        ("reading", "live reading: serial line → dispatcher")):
        for quantile in QUANTILES:
            calm, busy = [p[what][quantile] for p in plain], [o[what][quantile] for o in ours]
            bar = quantile == "max"
            lines.append(Line(f"{words}, {quantile}, while {count(samples)} readings that waited go up", f"{spread(calm, micro)} (nothing waits)",
                              spread(busy, micro), spread([o / p for o, p in zip(busy, calm)], ratio), "at most 1 s later" if bar else "–",
                              yes(median(busy) - median(calm) <= REACH_US) if bar else "–"))
    rates = [samples / o["seconds"] for o in ours]
    lines.append(Line(f"{count(samples)} readings that waited, until all are sent (readings/s, from the start of the gateway)", "2,000 (`drain`)",
                      spread(rates, count), spread([r / 2000 for r in rates], ratio), "–", "–"))
    return lines
