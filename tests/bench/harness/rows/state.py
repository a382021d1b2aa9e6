"""A raise, until its person is told that it is stored: publish → journal → writer's commit → gateway → retained `state` back
at the raiser, beside 5,000 telemetry messages a second through the same broker, writer and database.

The reference is the least that a server could do for the same promise (bare_chain): one raise at a time, nothing authorised, nothing
judged, no order kept, nobody else told. Bare Mosquitto hands the raise to a program, which syncs it to the disk, commits rows
of the same tables, hears of them by NOTIFY on another connection, and publishes them, retained, to the raiser. It stands beside
the same load, so both wait for the same processors, disk and database."""
import contextlib
import json
import os
import select
import sys
import time
from statistics import median

from ..lab import ORG
from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

sys.path.insert(0, os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
from support import messages, wire  # noqa: E402 - the client of the integration tests

TITLE = "raise → state `stored` beside 5,000 telemetry msg/s"

PACE = 50
TELEMETRY = 5000
REACH_US = {"p50": None, "p99": 100000}
RECORD = 512  # bytes, about what a raise is in the journal

TABLES = """
CREATE SCHEMA plain;
CREATE TABLE plain.raise (LIKE mayday.raise INCLUDING ALL);
CREATE TABLE plain.alert (LIKE mayday.alert INCLUDING ALL);
CREATE TABLE plain.membership (LIKE mayday.membership INCLUDING ALL);
"""
STORE = """
INSERT INTO plain.raise (id, at, received_at, digest, org, sender, node, offline, alert, type, priority, text)
VALUES (%(id)s, %(ts)s, now(), 1, 'bench', %(person)s, 'plain', false, %(alert)s, 'panic', 'critical', 'Help');
INSERT INTO plain.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline)
VALUES ('bench', %(alert)s, %(person)s, %(ts)s, now(), 'panic', 'critical', false, false);
INSERT INTO plain.membership (org, family, id, person, relation) VALUES ('bench', 'alert', %(alert)s, %(person)s, 'raiser');
SELECT pg_notify('plain', %(alert)s);
"""
READ = "SELECT json_build_object('status', status, 'stored', stored_at)::text FROM plain.alert WHERE org = 'bench' AND id = %s"


class Chain:
    """The person's client, the server's two clients, its file and its two connections to the database."""

    def __init__(self, folder, broker, postgres):
        self.person = wire.Client(broker.port, "person", None, username=None)
        self.server = wire.Client(broker.port, "server", None, username=None)
        self.person.subscribe(messages.topic("alert", "+", "state", ORG))
        self.server.subscribe(messages.topic("alert", "+", "raise", ORG))
        self.file = os.open(os.path.join(folder, "journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.writer, self.hearer = postgres.connect(), postgres.connect()
        self.writer.autocommit = False
        self.hearer.cursor().execute("LISTEN plain")

    def close(self):
        for one in (self.person, self.server, self.writer, self.hearer):
            one.close()
        os.close(self.file)

    def store(self, packet):
        raised = json.loads(packet.payload)
        os.write(self.file, packet.payload.ljust(RECORD))
        os.fdatasync(self.file)
        with self.writer, self.writer.cursor() as cursor:
            cursor.execute(STORE, {"id": raised["id"], "ts": raised["ts"], "person": "ann", "alert": packet.topic.split("/")[4]})

    def hear(self):
        while not self.hearer.notifies:
            select.select([self.hearer], [], [], 1)
            self.hearer.poll()
        return self.hearer.notifies.pop().payload

    def once(self):
        """Microseconds from the person's publish to the person's state."""
        alert, body = messages.uuid7(), messages.dump(messages.raise_(text="Help"))
        begun = time.perf_counter()
        self.person.send_publish(messages.topic("alert", alert, "raise", ORG), body)
        self.store(self.server.receive())
        heard = self.hear()
        with self.hearer.cursor() as cursor:
            cursor.execute(READ, [heard])
            state = cursor.fetchone()[0]
        self.server.send_publish(messages.topic("alert", heard, "state", ORG), state, retain=True)
        if self.person.receive().topic.split("/")[4] != alert:
            raise Broken("the reference told of another alert")
        return (time.perf_counter() - begun) * 1e6


def quantiles(values):
    ordered = sorted(values)
    return {name: ordered[max(0, round(len(ordered) * share) - 1)] for name, share in (("p50", 0.5), ("p99", 0.99))}


def bare_chain(lab, bare, postgres):
    took, begun = [], time.monotonic()
    with contextlib.closing(Chain(lab.fresh("plain"), bare, postgres)) as chain:
        for i in range(int(lab.seconds * PACE)):
            time.sleep(max(0, begun + i / PACE - time.monotonic()))
            took.append(chain.once())
    return quantiles(took)


def crowd(lab, home, number):
    """People who raise once each, because whoever raises again joins their open incident; and a dispatcher."""
    topic = f"mayday/v1/{ORG}/alert/%s/raise"
    raisers = [(f"r{number}-{i}", f"r{number}-{i}", "member", topic) for i in range(int(lab.seconds * PACE))]
    return lab.crowd(home, raisers + [(f"dispatcher:{number}", "dispatcher", "dispatcher", topic)])


def one_round(lab, mayday, bare, field, people):
    with lab.load_beside("publish", mayday.port, seconds=2 * lab.seconds + 3, rate=TELEMETRY, credentials=field) as telemetry:
        reference = bare_chain(lab, bare, mayday.postgres)
        ours = lab.load("state", mayday.port, rate=PACE, credentials=people)
        beside = telemetry()
    if beside["rate"] < 0.95 * TELEMETRY:
        raise Broken(f"only {beside['rate']:.0f} telemetry messages/s were acknowledged beside the raises")
    mayday.wait_for_rows(beside["acked"])
    mayday.wait_for_rows(ours["raises"], table="raise")
    mayday.forget_rows()
    return reference, ours


def measure(lab):
    rounds = []
    with lab.bare() as bare, lab.mayday() as mayday, lab.gateway(mayday):
        mayday.postgres.sql(TABLES)
        field = lab.field_crowd(mayday.home, 50)
        for number in range(lab.rounds):
            rounds.append(one_round(lab, mayday, bare, field, crowd(lab, mayday.home, number)))
    lines = []
    for heard, who in (("state", "at the raiser"), ("dispatch", "at a dispatcher")):
        for quantile, reach in REACH_US.items():
            plain, ours = [r[quantile] for r, _ in rounds], [o[f"{heard}_us"][quantile] for _, o in rounds]
            lines.append(Line(f"raise published → `{heard}` says stored, {who}, {quantile}, {TELEMETRY:,} telemetry msg/s beside it",
                              f"{spread(plain, micro)} (bare: sync, commit, NOTIFY, publish)", spread(ours, micro),
                              spread([o / p for o, p in zip(ours, plain)], ratio), "p99 < 100 ms" if reach else "–",
                              yes(median(ours) < reach) if reach else "–"))
    return lines
