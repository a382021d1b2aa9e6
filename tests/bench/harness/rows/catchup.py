"""How long it takes to be given 10,000 missed messages through `sync`, against psql reading the same rows with one plain
SELECT. Ours is the whole way: the question through broker, journal and database, the answer from the gateway in pages
back through the broker to a client that parses them."""
import json
import os
import subprocess
import sys
import time
from statistics import median

from ..lab import ORG
from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

sys.path.insert(0, os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
from support import messages, wire  # noqa: E402 - the client of the integration tests

TITLE = "sync of 10,000 missed messages"

MISSED = 10_000
REACH = 2.0  # seconds

# A room that bea belongs to and was away from: rows and their lines in the feed, as the writer makes them.
FILL = f"""
INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('{ORG}', 'room', 'yard', 'bea', 'member');
SELECT mayday.feed_settle(1000);
INSERT INTO mayday.chat (id, at, received_at, digest, org, sender, node, offline, room, text)
SELECT mayday.new_id(), date_trunc('milliseconds', now()), now() + n * interval '1 us', n, '{ORG}', 'ann', 'bench',
       false, 'yard', 'This is message number ' || n || ', which says as much as people usually do.'
FROM generate_series(1, {MISSED}) n;
SELECT mayday.feed_rows('chat', ARRAY(SELECT id FROM mayday.chat WHERE room = 'yard'));
ANALYZE;
"""
READ = "SELECT id, at, received_at, sender, text FROM mayday.chat WHERE room = 'yard' ORDER BY received_at"


def psql_once(lab, mayday):
    begun = time.monotonic()
    done = subprocess.run(["psql", "-XAtqc", READ, mayday.postgres.conninfo("mayday_gateway")], capture_output=True, text=True)
    took = time.monotonic() - begun
    if done.returncode or done.stdout.count("\n") != MISSED:
        raise Broken(f"psql read {done.stdout.count(chr(10))} rows: {done.stderr.strip()[-200:]}")
    return took


def sync_once(mayday, token):
    topic = f"mayday/v1/{ORG}/user/bea/"
    client = wire.Client(mayday.port, f"bea:{os.urandom(4).hex()}", token)
    if client.subscribe(topic + "inbox") != [1]:
        raise Broken("the inbox was refused")
    begun, found, more = time.monotonic(), [], True
    question = messages.message()
    client.publish(topic + "sync", messages.dump(question))
    while more:
        page = json.loads(client.receive(60).payload)
        if page["request"] == question["id"]:
            found += [entry["payload"]["text"] for entry in page["messages"]]
            more = page["more"]
    took = time.monotonic() - begun
    client.disconnect()
    if [int(text.split()[4].rstrip(",")) for text in found] != list(range(1, MISSED + 1)):
        raise Broken(f"{len(found)} of {MISSED} messages arrived, or not in their order")
    return took


def measure(lab):
    reference, ours = [], []
    with lab.mayday() as mayday, lab.gateway(mayday):
        mayday.postgres.sql(FILL)
        token = lab.token(mayday.home, "bea", "member")
        for _ in range(lab.rounds):
            reference.append(psql_once(lab, mayday))
            ours.append(sync_once(mayday, token))
    return [Line(f"{TITLE}, through the inbox", spread([1e6 * t for t in reference], micro), spread([1e6 * t for t in ours], micro),
                 spread([o / r for o, r in zip(ours, reference)], ratio), "≤ 2 s", yes(median(ours) <= REACH))]
