"""A membership changed in the database, until a live subscription shows it: from the COMMIT to the first message that
is handed over, or no longer. The reference is a bare NOTIFY between two connections: from its COMMIT until the other has
it. Both beside 5,000 telemetry messages a second."""
import os
import select
import sys
import time

from ..lab import ORG
from ..table import Line, micro, ratio, spread, yes

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", ".."))
from support import messages as m  # noqa: E402
from support.wire import Client  # noqa: E402

TITLE = "membership change → enforced"

TELEMETRY = 5000
REACH_US = 50000


def connect(postgres):
    import psycopg2
    c = psycopg2.connect(postgres.conninfo("postgres"))
    c.autocommit = True
    return c


def p99(values):
    return sorted(values)[max(0, int(len(values) * 0.99 + 0.5) - 1)]


def notify_times(postgres, rounds):
    speaker, hearer = connect(postgres), connect(postgres)
    hearer.cursor().execute("LISTEN bench")
    took = []
    for _ in range(rounds):
        speaker.cursor().execute("NOTIFY bench")
        begun = time.perf_counter()
        while not hearer.notifies:
            select.select([hearer], [], [], 1)
            hearer.poll()
        took.append((time.perf_counter() - begun) * 1e6)
        hearer.notifies.clear()
    speaker.close()
    hearer.close()
    return took


def change_times(lab, mayday, rounds):
    database, alert = connect(mayday.postgres), m.uuid7()
    topic = m.topic("alert", alert, "chat", ORG)
    took = []
    with Client(mayday.port, "ann", lab.token(mayday.home, "ann", "member")) as ann, \
            Client(mayday.port, "bob", lab.token(mayday.home, "bob", "responder")) as bob:
        bob.subscribe(topic, qos=0)
        ann.publish(m.topic("alert", alert, "raise", ORG), m.dump(m.raise_()))
        for i in range(rounds):
            joins = i % 2 == 0
            database.cursor().execute(
                "INSERT INTO mayday.membership (org, family, id, person, relation, until) VALUES (%s, 'alert', %s, 'bob', 'assigned', %s)"
                " ON CONFLICT (org, family, id, person) DO UPDATE SET until = excluded.until",
                [ORG, alert, None if joins else "now"])
            begun = time.perf_counter()
            while True:
                ann.publish(topic, m.dump(m.chat()))
                heard = not bob.receives_nothing()
                bob.inbox.clear()
                if heard == joins:
                    break
            took.append((time.perf_counter() - begun) * 1e6)
    database.close()
    return took


def measure(lab):
    reference, ours = [], []
    changes = 40 if lab.quick else 400
    with lab.mayday() as mayday:
        field = lab.field_crowd(mayday.home, 50)
        for _ in range(lab.rounds):
            with lab.load_beside("publish", mayday.port, seconds=lab.seconds + 2, rate=TELEMETRY, credentials=field) as beside:
                reference.append(p99(notify_times(mayday.postgres, changes)))
                ours.append(p99(change_times(lab, mayday, changes)))
                beside()
    return [Line(f"membership change committed → enforced on a live subscription, p99, {TELEMETRY:,} telemetry msg/s beside it",
                 f"{spread(reference, micro)} (NOTIFY to a listener)", spread(ours, micro),
                 spread([o / r for o, r in zip(ours, reference)], ratio), "p99 < 50 ms",
                 yes(sorted(ours)[len(ours) // 2] < REACH_US))]
