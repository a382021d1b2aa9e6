"""What is retained at a broker, and whether it is what the database says."""
import json
import os
import time

from support import messages as m

VIEWS = {  # leaf: family, and the truth: (id, payload)
    "state": ("alert", "SELECT id::text, mayday.state_of(org, id) FROM mayday.alert WHERE org = %s"),
    "dispatch": ("alert", "SELECT id::text, mayday.dispatch_of(org, id) FROM mayday.alert WHERE org = %s"),
    "presence": ("user", "SELECT person, mayday.presence_of(org, person) FROM mayday.person WHERE org = %s"),
}
READER = "reader-of-truth"  # whose own presence changes with each look


def retained(site, leaf, org="acme", family=None):
    """What a dispatcher finds retained: payloads by id. What is changed or cleared while we look, is as it then is."""
    with site.client(READER, ["dispatcher"], org=org, client_id=f"{READER}:{os.urandom(4).hex()}") as c:
        c.subscribe(m.topic(family or VIEWS[leaf][0], "+", leaf, org), qos=0)
        c.receives_nothing()
        found = {p.topic.split("/")[4]: p.payload for p in c.inbox}
    return {id_: json.loads(payload) for id_, payload in found.items() if payload}


def true(site, leaf, org="acme"):
    return {id_: payload for id_, payload in site.rows(VIEWS[leaf][1], [org]) if payload}


def comparable(leaf, payloads):
    """Each presence is a message of its own, with an id of its own."""
    kept = {k: v for k, v in payloads.items() if k != READER}
    return {k: {n: x for n, x in v.items() if n != "id"} for k, v in kept.items()} if leaf == "presence" else kept


def differences(site, leaf, org="acme"):
    found, truth = comparable(leaf, retained(site, leaf, org)), comparable(leaf, true(site, leaf, org))
    return [(id_, found.get(id_), truth.get(id_)) for id_ in {**found, **truth} if found.get(id_) != truth.get(id_)]


def assert_whole(site, leaves=tuple(VIEWS), timeout=60, org="acme"):
    """Everything has been said, and everything that is retained is true, and nothing is missing."""
    deadline = time.monotonic() + timeout
    while True:
        waiting = site.rows("SELECT count(*) FROM mayday.outbox WHERE org = %s AND lane <> %s", [org, f"user/{READER}"])[0][0]
        wrong = {leaf: differences(site, leaf, org) for leaf in leaves}
        if not waiting and not any(wrong.values()):
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{waiting} in the outbox; (id, retained, true): { {k: v[:3] for k, v in wrong.items()} }")
        time.sleep(0.1)
