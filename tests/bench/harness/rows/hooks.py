"""Receipts that providers send, signed, a second: verified, kept on the gateway's disk and answered. Each is of another text, and all
are in the database afterwards. The reference is /health, which verifies and keeps nothing, answered by the same server to the same
client (bench/http); and for the time of an answer, one fdatasync on the same disk: each receipt needs one. And a handler (receiver.py) that stores each receipt
straight into the database, and answers once that is committed."""
import contextlib
import os
import subprocess
import sys
import time
import urllib.parse

from ..lab import ORG
from ..phones import BENCH, DESK, night
from ..servers import Broken, end, wait_until
from ..table import Line, count, micro, ratio, spread

sys.path.insert(0, os.path.join(BENCH, os.pardir))
from support.providers import signing  # noqa: E402 - as the provider signs

TITLE = "signed receipts a second"

RECEIPTS = 5000
CONNECTIONS = 16
# Texts that were sent, and wait for their receipts.
SENT = f"""WITH made AS (
    INSERT INTO mayday.notification (id, org, person, kind, address, purpose, rank, status, sent_at, expires_at, attempts)
    SELECT mayday.new_id(), '{ORG}', '{DESK}', 'sms', '+2783' || lpad(i::text, 7, '0'), 'test', 3, 'sent', now(), now() + interval '1 hour', 1
    FROM generate_series(1, %s) i RETURNING id
)
INSERT INTO mayday.attempt (id, notification, org, provider, gateway, pid, pid_since, until, ended_at, outcome, http_status, reference)
SELECT mayday.new_id(), id, '{ORG}', 'twilio-sms', 'gw', 1, now(), now(), now(), 'sent', 201, 'SM' || md5(id::text || clock_timestamp()::text)
FROM made RETURNING notification::text, reference"""


def callback(n, notification, reference):
    path = f"/hooks/twilio/status?n={notification}"
    pairs = [("AccountSid", n.provider.account), ("ApiVersion", "2010-04-01"), ("From", "+27600100200"), ("MessageSid", reference),
             ("MessageStatus", "delivered"), ("SmsSid", reference), ("SmsStatus", "delivered"), ("To", "+27830000001")]
    signature, body = signing.twilio(n.provider.token, n.provider.public_url + path, pairs), urllib.parse.urlencode(pairs)
    return (f"POST {path} HTTP/1.1\r\nHost: mayday.example\r\nX-Twilio-Signature: {signature}\r\nContent-Type: "
            f"application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def health(n, asked):
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    return n.lab.http(port_of(n), CONNECTIONS, [request] * asked, expect="200")["rate"]


def port_of(n):
    return int(n.address.rsplit(":", 1)[1])


def texts_sent(n, asked):
    """The receipts of as many."""
    with contextlib.closing(n.mayday.postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(SENT, [asked])
        return [callback(n, *row) for row in cursor.fetchall()]


def receipts(n, asked):
    """(answered a second, 99th percentile of an answer in µs, carried into the database a second)."""
    wanted = texts_sent(n, asked)
    begun = time.monotonic()
    answered = n.lab.http(port_of(n), CONNECTIONS, wanted, expect="204")
    wait_until("the last receipt in the database", lambda: n.mayday.postgres.sql(
        "SELECT count(*) FROM mayday.notification WHERE status = 'delivered'") == asked, seconds=180, pause=0.1)
    carried = asked / (time.monotonic() - begun)
    n.forget()
    return answered["rate"], answered["latency_us"]["p99"], carried


def straight(n, asked):
    """(answered a second, 99th percentile of an answer in µs) by the handler that stores them itself."""
    wanted = texts_sent(n, asked)
    command = [sys.executable, os.path.join(BENCH, "receiver.py"), n.mayday.postgres.conninfo("postgres"), n.provider.token, n.provider.public_url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = process.stdout.readline()
        if not port:
            raise Broken("the handler ended at once")
        answered = n.lab.http(int(port), CONNECTIONS, wanted, expect="204")
    finally:
        process.stdin.close()
        end(process)
        process.stdout.close()
    if n.mayday.postgres.sql("SELECT count(*) FROM plain.receipt") != asked:
        raise Broken("the handler did not store every receipt")
    n.mayday.postgres.sql("TRUNCATE plain.receipt")
    n.forget()
    return answered["rate"], answered["latency_us"]["p99"]


def measure(lab):
    asked, plain, ours, disk, theirs = RECEIPTS // 10 if lab.quick else RECEIPTS, [], [], [], []
    with night(lab) as n:
        for _ in range(lab.rounds):
            plain.append(health(n, asked))
            disk.append(lab.fdatasync(500, 500)["p99"])
            theirs.append(straight(n, asked))
            ours.append(receipts(n, asked))
    rates, late, carried = zip(*ours)
    stored, their_late = zip(*theirs)
    itself = "(a handler that stores them in the database itself)"
    return [Line(f"signed receipts answered, {CONNECTIONS} connections (receipts/s)", f"{spread(plain, count)} (GET /health)",
                 spread(rates, count), spread([o / p for o, p in zip(rates, plain)], ratio), "–", "–"),
            Line(f"signed receipt → answer, p99, {CONNECTIONS} connections", f"{spread(disk, micro)} (one fdatasync)", spread(late, micro),
                 spread([o / d for o, d in zip(late, disk)], ratio), "–", "–"),
            Line(f"signed receipt → answer, p99, {CONNECTIONS} connections", f"{spread(their_late, micro)} {itself}", spread(late, micro),
                 spread([o / t for o, t in zip(late, their_late)], ratio), "–", "–"),
            Line("signed receipts until all are in the database (receipts/s)", f"{spread(stored, count)} {itself}", spread(carried, count),
                 spread([o / s for o, s in zip(carried, stored)], ratio), "–", "–")]
