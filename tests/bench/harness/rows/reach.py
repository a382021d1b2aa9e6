"""A raise, until the request that tells the first person of it is at the provider: publish → journal → writer's commit → engine →
sender → HTTP; with the settings as shipped, idle and beside 5,000 telemetry messages a second. The provider is a process of its
own and reads the clock once a request is whole.

The reference is an engine that polls every five seconds (poller.py). It acts on the very same raises, from the same database, and
posts to the same provider; so it has its own text for each, and neither waits for the other."""
import contextlib
import time
from statistics import median

from ..lab import ORG
from ..phones import POLL, about, night, notifications, poller
from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes
from .state import messages, quantiles, wire

TITLE = "raise → first provider request, idle and beside 5,000 telemetry msg/s"

PACE = 20          # raises a second: below the shipped 30 texts a second
PATIENCE = 60
TELEMETRY = 5000
REACH_US = {"p50": None, "p99": 100000}


def raisers(n, number, count):
    """People who raise once each, because whoever raises again joins their open incident."""
    found = []
    for i in range(count):
        who = f"r{number}-{i}"
        found.append(wire.Client(n.mayday.port, who, n.lab.token(n.mayday.home, who, "member"), keepalive=600))
    return found


def raise_all(clients):
    """{alert: nanoseconds at which it was handed to the socket}."""
    sent, begun = {}, time.monotonic()
    for i, client in enumerate(clients):
        alert, body = messages.uuid7(), messages.dump(messages.raise_(priority="critical", text="Help"))
        time.sleep(max(0, begun + i / PACE - time.monotonic()))
        sent[alert] = time.monotonic_ns()
        client.publish(messages.topic("alert", alert, "raise", ORG), body)
    return sent


def first_requests(n, sent):
    """{"ours": {alert: ns}, "theirs": {alert: ns}}, once every raise has both."""
    found, until = {"ours": {}, "theirs": {}}, time.monotonic() + PATIENCE
    while any(len(one) < len(sent) for one in found.values()):
        if time.monotonic() > until:
            raise Broken(f"of {len(sent)} raises {len(found['ours'])} were told by the engine and {len(found['theirs'])} by the reference")
        time.sleep(0.2)
        known = None
        for at, form in n.provider.take():
            known = known or notifications(n.mayday.postgres)
            who, alert = about(form, known)
            if alert in sent:
                found[who].setdefault(alert, at)
    return found


def one_round(n, number, field):
    """{"ours": quantiles, "theirs": quantiles}, beside telemetry when there is a field of people who send it."""
    clients = raisers(n, number, int(n.lab.seconds * PACE))
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.callback(client.close)
        stack.enter_context(poller(n, "raises"))
        beside = field and stack.enter_context(n.lab.load_beside("publish", n.mayday.port, seconds=n.lab.seconds + POLL + 2,
                                                                 rate=TELEMETRY, credentials=field))
        time.sleep(1 if field else 0)
        sent = raise_all(clients)
        found = first_requests(n, sent)
        telemetry = beside() if field else None
    if telemetry and telemetry["rate"] < 0.95 * TELEMETRY:
        raise Broken(f"only {telemetry['rate']:.0f} telemetry messages/s were acknowledged beside the raises")
    if telemetry:
        n.mayday.wait_for_rows(telemetry["acked"])
    n.forget()
    n.mayday.postgres.sql("TRUNCATE plain.told")
    return {who: quantiles([(at - sent[alert]) / 1000 for alert, at in times.items()]) for who, times in found.items()}


def lines(rounds, words):
    for quantile, reach in REACH_US.items():
        theirs, ours = [r["theirs"][quantile] for r in rounds], [r["ours"][quantile] for r in rounds]
        yield Line(f"raise published → first request at the provider, {quantile}, {words}", f"{spread(theirs, micro)} (polls every {POLL} s)",
                   spread(ours, micro), spread([o / t for o, t in zip(ours, theirs)], "{:.4f}".format), "p99 < 100 ms" if reach else "–",
                   yes(median(ours) < reach) if reach else "–")


def measure(lab):
    idle, loaded = [], []
    with night(lab, receipts="once") as n:
        field = lab.field_crowd(n.mayday.home, 50)
        for number in range(lab.rounds):
            idle.append(one_round(n, f"i{number}", None))
            loaded.append(one_round(n, f"l{number}", field))
    return [*lines(idle, "idle"), *lines(loaded, f"{TELEMETRY:,} telemetry msg/s beside it")]
