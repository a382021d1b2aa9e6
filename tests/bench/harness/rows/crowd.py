"""Five hundred people raise at once, with the limits as shipped and two providers, and four people are to be told of each: from the first
raise until somebody has been told of the last incident. The same work, two thousand texts, takes half a minute; who comes first is
what counts here.

The reference is the engine that polls every five seconds (poller.py), about the very same raises: one text for each, one after the
other, and without any cap."""
import contextlib
import json
import time
from statistics import median

from ..lab import ORG
from ..phones import PLAN, POLL, about, night, notifications, poller
from ..servers import Broken
from ..table import Line, ratio, spread, yes
from .state import messages, wire

TITLE = "500 raises at once until somebody is told of each"

RAISES = 500
DESKS = [f"desk{i}" for i in range(4)]
REACH_S = 10
PATIENCE = 90
REST = 3  # seconds until all that may go at once may go again


def seconds(value):
    return f"{value:.1f} s"


def enter(postgres):
    for i, who in enumerate(DESKS):
        postgres.sql("INSERT INTO mayday.person (org, person, roles, lang) VALUES (%s, %s, '{dispatcher}', 'en')", ORG, who)
        postgres.sql("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES (%s, %s, 1, 'sms', %s)", ORG, who, f"+2782000010{i}")
    levels = [{"after": 0, "targets": [{"person": who} for who in DESKS], "channels": ["sms"]}]
    postgres.sql("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 2, %s)", ORG,
                 json.dumps({**PLAN, "policies": [{"name": "crowd", "levels": levels}]}))


def raise_all(n, number, raises):
    """(moment of the first in ns, their incidents); all of it by one client, on behalf of as many people."""
    token, alerts = n.lab.token(n.mayday.home, f"crowd{number}", "gateway"), []
    with contextlib.closing(wire.Client(n.mayday.port, f"crowd{number}", token)) as client:
        begun = time.monotonic_ns()
        for i in range(raises):
            alerts.append(messages.uuid7())
            body = messages.raise_(priority="critical", text="Help", person=f"fan{number}-{i}")
            client.publish(messages.topic("alert", alerts[-1], "raise", ORG), messages.dump(body))
    return begun, set(alerts)


def told_of_all(n, alerts):
    """{"ours": ns, "theirs": ns}: when somebody had been told of the last."""
    first, until = {"ours": {}, "theirs": {}}, time.monotonic() + PATIENCE
    while any(len(one) < len(alerts) for one in first.values()):
        if time.monotonic() > until:
            raise Broken(f"of {len(alerts)} raises {len(first['ours'])} were told by the engine and {len(first['theirs'])} by the reference")
        time.sleep(0.2)
        known, came = None, n.provider.take()
        for at, form in came:
            known = known or notifications(n.mayday.postgres)
            who, alert = about(form, known)
            if alert in alerts:
                first[who].setdefault(alert, at)
    return {who: max(one.values()) for who, one in first.items()}


def one_round(n, number, raises):
    with poller(n, "raises"):
        begun, alerts = raise_all(n, number, raises)
        last = told_of_all(n, alerts)
    n.mayday.postgres.sql("UPDATE mayday.notification SET status = 'withdrawn', due_at = NULL WHERE status = 'waiting'")
    time.sleep(REST)
    n.provider.take()
    n.forget()
    n.mayday.postgres.sql("TRUNCATE plain.told")
    return {who: (at - begun) / 1e9 for who, at in last.items()}


def measure(lab):
    raises = RAISES // 10 if lab.quick else RAISES
    with night(lab, sms="twilio vonage") as n:
        enter(n.mayday.postgres)
        rounds = [one_round(n, number, raises) for number in range(lab.rounds)]
    theirs, ours = [r["theirs"] for r in rounds], [r["ours"] for r in rounds]
    return [Line(f"{raises:,} raises at once, four people to be told of each → somebody is told of the last", f"{spread(theirs, seconds)} (polls every "
                 f"{POLL} s, one text for each, no cap)", spread(ours, seconds), spread([o / t for o, t in zip(ours, theirs)], ratio),
                 f"≤ {REACH_S} s", yes(median(ours) <= REACH_S))]
