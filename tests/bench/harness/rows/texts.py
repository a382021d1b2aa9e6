"""Texts a second that the gateway gets out, with as many to send as it will take, and no cap on their rate: claimed, stored as an attempt,
posted, answered, stored. The reference is what the same provider answers to a bare client (bench/http) with as many requests under
way, each made beforehand; and an engine that polls (poller.py), which takes all that wait in one batch and sends one after the other:
its texts a second while it is at it, without the seconds until it looks."""
import base64
import urllib.parse

from ..lab import ORG
from ..phones import DESK, POLL, night, poller
from ..servers import Broken, wait_until
from ..table import Line, count, ratio, spread

TITLE = "texts a second through one provider"

TEXTS = 3000
POLLED = 1000
UNDER_WAY = 32  # half of [notify] concurrency, as shipped: what one provider is given
QUEUE = f"""SELECT count(mayday.notify('{ORG}', NULL, '{DESK}', 'sms', '+2783' || lpad(i::text, 7, '0'), 'test', 3, false, 0, 1, 1,
                                       now(), '1 hour')) FROM generate_series(1, %s) i"""
LEFT = "SELECT count(*) FROM mayday.notification WHERE status NOT IN ('sent', 'delivered')"


def rate_of(arrivals, wanted):
    """A second, from the first to the last."""
    if len(arrivals) != wanted or len({urllib.parse.parse_qs(form)["To"][0] for _, form in arrivals}) != wanted:
        raise Broken(f"of {wanted} texts {len(arrivals)} were asked for")
    times = sorted(at for at, _ in arrivals)
    return (len(times) - 1) / ((times[-1] - times[0]) / 1e9)


def ours(n, texts):
    n.mayday.postgres.sql(QUEUE, texts)
    wait_until("the last text", lambda: n.mayday.postgres.sql(LEFT) == 0, seconds=120, pause=0.1)
    rate = rate_of(n.provider.take(), texts)
    n.forget()
    return rate


def polled(n, texts):
    with poller(n, "texts"):
        n.mayday.postgres.sql("INSERT INTO plain.text (number, body) SELECT '+2783' || lpad(i::text, 7, '0'), 'This is a TEST of Mayday, and nothing else.'"
                              " FROM generate_series(1, %s) i", texts)
        wait_until("the last text of the engine that polls", lambda: n.mayday.postgres.sql(
            "SELECT count(*) FROM plain.text WHERE sent_at IS NULL") == 0, seconds=120, pause=0.1)
    n.mayday.postgres.sql("TRUNCATE plain.text")
    return rate_of(n.provider.take(), texts)


def request(n, number):
    who = base64.b64encode(f"{n.provider.account}:{n.provider.token}".encode()).decode()
    body = urllib.parse.urlencode({"To": f"+2783{number:07}", "From": "+27600100200", "Body": "This is a TEST of Mayday, and nothing else.",
                                   "StatusCallback": f"{n.provider.public_url}/hooks/twilio/status?n=0"})
    return (f"POST /2010-04-01/Accounts/{n.provider.account}/Messages.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {who}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def bare(n, texts):
    n.lab.http(n.provider.port, UNDER_WAY, [request(n, i) for i in range(texts)], expect="201")
    return rate_of(n.provider.take(), texts)


def measure(lab):
    texts, sent, taken, theirs = TEXTS // 10 if lab.quick else TEXTS, [], [], []
    with night(lab, rate="off") as n:
        for _ in range(lab.rounds):
            taken.append(bare(n, texts))
            theirs.append(polled(n, min(texts, POLLED)))
            sent.append(ours(n, texts))
    words = f"texts out through one provider, {texts:,} waiting, no cap on the rate (texts/s)"
    return [Line(words, f"{spread(taken, count)} (the provider's stand-in to a bare client)", spread(sent, count),
                 spread([s / t for s, t in zip(sent, taken)], ratio), "–", "–"),
            Line(words, f"{spread(theirs, count)} (polls every {POLL} s, then one after the other)", spread(sent, count),
                 spread([s / t for s, t in zip(sent, theirs)], ratio), "–", "–")]
