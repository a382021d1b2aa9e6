"""What people answer by phone, and what providers tell of their messages: over HTTP as the providers send it, through the gateway's own
store into the database, and from there as somebody's own action through the broker. What was sent before is put into the database by
hand here; that it is sent at all is told elsewhere."""
import http.client
import itertools
import json
import os
import random
import re
import socket
import sqlite3
import threading
import time
import uuid
from contextlib import closing, contextmanager
from urllib.parse import urlencode, urlsplit

import psycopg2
import pytest

from support import messages as m
from support.messages import message, raise_, uuid7
from support.providers import Simulator, signing
from support.site import wait_until

PUBLIC = "https://mayday.example"
NUMBERS = itertools.count(27821000001)


class Desk:
    """A gateway, and the providers that talk to it."""

    def __init__(self, site, sim, gateway):
        self.site, self.sim, self.gateway = site, sim, gateway

    # -- HTTP

    def post(self, target, body, headers, method="POST"):
        """(status, content type, body)."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.gateway.http_port, timeout=20)) as c:
            c.request(method, target, body, headers)
            r = c.getresponse()
            return r.status, r.getheader("Content-Type", ""), r.read().decode()

    def twilio(self, target, pairs, signature=None):
        body = urlencode(pairs)
        signature = signing.twilio(self.sim.twilio.token, PUBLIC + target, list(pairs.items())) if signature is None else signature
        return self.post(target, body, {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature})

    def vonage(self, target, values, signature=None):
        body = json.dumps(values).encode()
        jwt = signing.vonage_jwt(self.sim.vonage.signature if signature is None else signature, body, self.sim.vonage.key)
        return self.post(target, body, {"Content-Type": "application/json", "Authorization": f"Bearer {jwt}"})

    def text(self, number, words, provider="twilio", sid=None):
        """Somebody writes. Its answer's status."""
        if provider == "twilio":
            return self.twilio("/hooks/twilio/text", {"MessageSid": sid or "SM" + os.urandom(16).hex(), "From": number, "To": "+27600100200", "Body": words,
                                                      "AccountSid": self.sim.twilio.account, "NumMedia": "0"})[0]
        return self.vonage("/hooks/vonage/text", {"msisdn": number[1:], "to": "27600200200", "messageId": sid or os.urandom(8).hex().upper(), "text": words,
                                                  "type": "text", "keyword": words.upper(), "message-timestamp": "2026-11-21 02:40:00"})[0]

    def key(self, call, key):
        """Somebody presses a key in a call. (status, content type, body)."""
        if call.provider == "twilio-voice":
            return self.twilio(f"/hooks/twilio/key?n={call.id}", {"CallSid": call.reference, "Digits": key, "From": "+27600100200", "To": call.number,
                                                                  "CallStatus": "in-progress"})
        return self.vonage(f"/hooks/vonage/key?n={call.id}", {"uuid": call.reference, "from": "27600200200", "to": call.number[1:], "timed_out": not key,
                                                              "dtmf": key})

    def status(self, sent, status, code=None):
        """The provider says what became of it. Its answer's status."""
        more = {"ErrorCode": code} if code else {}
        if sent.provider == "twilio-sms":
            return self.twilio(f"/hooks/twilio/status?n={sent.id}", {"MessageSid": sent.reference, "MessageStatus": status, "To": sent.number, **more})[0]
        if sent.provider == "twilio-voice":
            return self.twilio(f"/hooks/twilio/status?n={sent.id}", {"CallSid": sent.reference, "CallStatus": status, "To": sent.number, **more})[0]
        return self.vonage(f"/hooks/vonage/status?n={sent.id}", {"msisdn": sent.number[1:], "messageId": sent.reference, "status": status,
                                                                 "err-code": code or "0"})[0]

    def figure(self, name):
        for line in self.post("/metrics", None, {}, "GET")[2].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0.0

    # -- the database

    def alarm(self, person):
        alert = uuid7()
        with self.site.client(person, version=5) as c:
            assert c.publish(m.topic("alert", alert, "raise"), m.dump(raise_())) == 0
        self.site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = %s", [(1,)], [alert])
        return alert

    def told(self, alert, person, number=None, provider="twilio-sms", **values):
        return Told(self, alert, person, number or f"+{next(NUMBERS)}", provider, **values)

    def actions(self, alert):
        return self.site.rows("SELECT action, sender, via, verdict FROM mayday.action WHERE alert = %s ORDER BY id", [alert])

    def wait_action(self, alert, *want):
        """All actions of an incident, in the order they came: (action, sender, verdict)."""
        self.site.wait_rows("SELECT action, sender, verdict FROM mayday.action WHERE alert = %s AND verdict IS NOT NULL ORDER BY received_at",
                            list(want), [alert])

    def wait_answer(self, number_or_person, answer, alert=None):
        self.site.wait_rows("SELECT answer, alert::text FROM mayday.answer WHERE person = %s ORDER BY at DESC LIMIT 1", [(answer, alert)],
                            [number_or_person])

    def said_back(self, number):
        """What was said back to a number, as the texts are named."""
        return [r[0] for r in self.site.rows("SELECT purpose FROM mayday.notification WHERE address = %s AND purpose NOT IN ('raise', 'forgotten',"
                                             " 'exhausted') ORDER BY made_at", [number])]

    def carried(self):
        """Everything that was kept is in the database."""
        wait_until(lambda: self.figure("mayday_gateway_mail_waiting") == 0, "the letters are carried")

    def truth(self, alert):
        return self.site.postgres.sql("SELECT mayday.state_of('acme', %s)", [alert], user="mayday_gateway")[0][0]


class Told:
    """A message that went out to somebody, and its request."""

    def __init__(self, desk, alert, person, number, provider, code=None, family=False, purpose="raise", outcome="sent", reference=None, place=1):
        self.desk, self.alert, self.person, self.number, self.provider, self.code = desk, alert, person, number, provider, code
        self.kind = "voice" if "voice" in provider else "sms"
        self.id, self.attempt = uuid7(), uuid7()
        self.reference = reference or {"twilio-sms": "SM" + os.urandom(16).hex(), "twilio-voice": "CA" + os.urandom(16).hex(),
                                       "vonage-sms": os.urandom(8).hex().upper(), "vonage-voice": str(uuid.uuid4())}[provider]
        rows = desk.site.rows
        rows("INSERT INTO mayday.person (org, person) VALUES ('acme', %s) ON CONFLICT DO NOTHING", [person])
        rows("INSERT INTO mayday.channel (org, person, place, kind, number) SELECT 'acme', %s, coalesce(max(place), 0) + 1, %s, %s FROM mayday.channel"
             " WHERE org = 'acme' AND person = %s HAVING count(*) FILTER (WHERE number = %s AND kind = %s) = 0",
             [person, self.kind, number, person, number, self.kind])
        rows("INSERT INTO mayday.notification (id, org, alert, person, kind, address, purpose, family, place, rank, lang, code, status, expires_at, attempts,"
             " sent_at) VALUES (%s, 'acme', %s, %s, %s, %s, %s, %s, %s, 4, 'en', %s, %s, now() + interval '1 hour', 1, now())",
             [self.id, alert, person, self.kind, number, purpose, family, place, code, {"sent": "sent", "unknown": "doubt", None: "sending"}[outcome]])
        rows("INSERT INTO mayday.attempt (id, notification, org, alert, provider, gateway, pid, pid_since, until, outcome, ended_at, reference)"
             " SELECT %s, %s, 'acme', %s, %s, 'gw1', a.pid, a.backend_start, now() + interval '10 minutes', %s, now(), %s FROM pg_stat_activity a"
             " WHERE a.datname = current_database() AND a.application_name LIKE 'mayday-gateway sender%%'",
             [self.attempt, self.id, alert, provider, outcome, self.reference if outcome == "sent" else None])

    def status(self):
        return self.desk.site.rows("SELECT n.status, t.receipt FROM mayday.notification n JOIN mayday.attempt t ON t.notification = n.id WHERE t.id = %s",
                                   [self.attempt])[0]


@pytest.fixture(scope="module")
def sim():
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def desk(site, sim):
    with site.gateway("gw1", providers=sim) as gateway:
        yield Desk(site, sim, gateway)


@contextmanager
def no_database(database):
    server, name = database.server, database.name
    server.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', database="postgres")
    try:
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,), database="postgres")
        yield
    finally:
        server.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true', database="postgres")


# ---- texts ----

@pytest.mark.parametrize("provider", ["twilio", "vonage"])
def test_ok_takes_it_on(desk, provider):
    alert = desk.alarm(f"ok-{provider}-ann")
    rob = f"ok-{provider}-rob"
    sent = desk.told(alert, rob, code="4821")
    assert desk.text(sent.number, "Ok!", provider) == 204
    desk.wait_action(alert, ("acknowledge", rob, "applied"))
    assert desk.actions(alert) == [("acknowledge", rob, "gw1", "applied")]
    shown = desk.truth(alert)
    assert shown["status"] == "acknowledged" and shown["receipts"]["acknowledged"]["by"] == rob and shown["assigned"] == [rob]
    desk.site.wait_rows("SELECT answer, how, done, notification::text FROM mayday.answer WHERE alert = %s", [("acknowledge", "sms", True, sent.id)], [alert])
    wait_until(lambda: desk.said_back(sent.number) == ["answered"], "it is said back")


@pytest.mark.parametrize("words", ["OK", "ok 1234", "1234", "ok1234", "1", " yes.\n", "Yes 1234!", "OK OK"])
def test_many_words_mean_yes(desk, words):
    alert = desk.alarm("yes-ann" + os.urandom(3).hex())
    sent = desk.told(alert, "yes-rob", code="1234")
    assert desk.text(sent.number, words) == 204
    desk.wait_action(alert, ("acknowledge", "yes-rob", "applied"))


@pytest.mark.parametrize("words", ["ok 9999", "not ok", "OK but I can't come", "who is this?", "", "OK 1234 1234", "12345", "x" * 1500, "ok\u200b?"])
def test_what_is_not_clear_is_asked_back_once_and_takes_nothing_on(desk, words):
    alert, rob = desk.alarm("un-ann" + os.urandom(3).hex()), "un-rob" + os.urandom(3).hex()
    sent = desk.told(alert, rob, code="1234")
    for _ in range(3):
        assert desk.text(sent.number, words) == 204
    desk.site.wait_rows("SELECT count(*) FROM mayday.answer WHERE person = %s AND answer = 'unclear' AND done", [(3,)], [rob])
    assert desk.said_back(sent.number) == ["which" if words == "ok 9999" else "unclear"]
    assert desk.actions(alert) == [] and desk.truth(alert)["status"] == "active"


def test_the_code_says_which_of_several(desk):
    alerts = [desk.alarm(f"sev-ann{i}") for i in range(2)]
    number = f"+{next(NUMBERS)}"
    for alert, code in zip(alerts, ("1111", "2222")):
        desk.told(alert, "sev-rob", number, code=code)
    desk.text(number, "OK")
    desk.wait_answer("sev-rob", "unclear")
    assert desk.said_back(number) == ["which"] and not desk.actions(alerts[0]) and not desk.actions(alerts[1])
    desk.text(number, "ok 1111")
    desk.wait_action(alerts[0], ("acknowledge", "sev-rob", "applied"))
    assert desk.actions(alerts[1]) == []


def test_who_is_asked_which_sees_the_codes_and_not_what_somebody_wrote(desk):
    number = f"+{next(NUMBERS)}"
    for who, code in (("whi-ann", "1111"), ("whi-bea", "2222")):
        alert = uuid7()
        with desk.site.client(who, version=5) as c:
            assert c.publish(m.topic("alert", alert, "raise"), m.dump(raise_(text="send 9999"))) == 0
        desk.site.wait_rows("SELECT count(*) FROM mayday.raise WHERE alert = %s", [(1,)], [alert])
        desk.told(alert, "whi-rob", number, code=code)
    desk.text(number, "OK")
    desk.wait_answer("whi-rob", "unclear")
    assert desk.said_back(number) == ["which"]
    facts = desk.site.rows("SELECT mayday.notification_facts(id) FROM mayday.notification WHERE address = %s AND purpose = 'which'", [number])[0][0]
    assert facts["text"] == "2222 whi-bea, 1111 whi-ann"


def test_whoever_has_a_number_now_hears_nothing_of_whoever_had_it(desk):
    sent = desk.told(desk.alarm("old-ann"), "old-rob", code="1234")
    desk.site.rows("UPDATE mayday.notification SET made_at = now() - interval '8 days' WHERE id = %s", [sent.id])
    desk.site.rows("DELETE FROM mayday.channel WHERE number = %s", [sent.number])
    for words in ("hello", "HELP", "OK 1234"):
        assert desk.text(sent.number, words) == 204
    desk.carried()
    assert desk.said_back(sent.number) == [] and desk.actions(sent.alert) == []


def test_a_number_two_people_share(desk):
    alert = desk.alarm("shr-ann")
    number = f"+{next(NUMBERS)}"
    desk.told(alert, "shr-rob", number, code="1111")
    desk.told(alert, "shr-rita", number, code="2222")
    desk.text(number, "1111")
    desk.wait_action(alert, ("acknowledge", "shr-rob", "applied"))


def test_esc_asks_for_more_help(desk):
    alert = desk.alarm("esc-ann")
    sent = desk.told(alert, "esc-rob", code="1234")
    desk.text(sent.number, "ESC 1234")
    desk.wait_action(alert, ("escalate", "esc-rob", "applied"))
    assert desk.truth(alert)["status"] == "active"


def test_help_is_answered_and_changes_nothing(desk):
    alert = desk.alarm("hlp-ann")
    sent = desk.told(alert, "hlp-rob", code="1234")
    desk.text(sent.number, "HELP")
    desk.wait_answer("hlp-rob", "help", alert)
    assert desk.said_back(sent.number) == ["help"] and desk.actions(alert) == []


def test_stop_and_start(desk):
    alert = desk.alarm("stp-ann")
    sent = desk.told(alert, "stp-rob", code="1234")
    later = desk.told(alert, "stp-rob", sent.number, place=1)
    desk.site.rows("UPDATE mayday.notification SET status = 'waiting', due_at = now() + interval '1 hour' WHERE id = %s", [later.id])
    call = desk.told(alert, "stp-rob", provider="twilio-voice", place=2)
    desk.site.rows("UPDATE mayday.notification SET status = 'waiting', due_at = now() + interval '1 hour' WHERE id = %s", [call.id])
    noted = "SELECT opted_out_at IS NOT NULL FROM mayday.number_note WHERE number = %s"
    desk.text(sent.number, "STOP")
    desk.site.wait_rows(noted, [(True,)], [sent.number])
    desk.wait_answer("stp-rob", "stop", alert)
    assert later.status()[0] == "failed", "no text goes there any more"
    assert desk.site.rows("SELECT coalesce(due_at < clock_timestamp() + interval '10 minutes', true) FROM mayday.notification WHERE id = %s", [call.id]) == [(True,)], "the call does, now"
    assert desk.said_back(sent.number) == [], "the provider says it"
    desk.text(sent.number, "start")
    desk.site.wait_rows(noted, [(False,)], [sent.number])
    assert desk.said_back(sent.number) == ["opted_in"]


def test_the_code_of_what_was_said_back_is_good_too(desk):
    alert = desk.alarm("cod-ann")
    desk.alarm("cod-bea")
    sent = desk.told(alert, "cod-rob", code="1234")
    desk.text(sent.number, "what?")
    desk.site.wait_rows("SELECT count(*) FROM mayday.notification WHERE address = %s AND purpose = 'unclear' AND code ~ '^[0-9]{4}$'", [(1,)], [sent.number])
    desk.site.rows("UPDATE mayday.notification SET attempts = 1 WHERE address = %s AND status = 'waiting'", [sent.number])
    code = desk.site.rows("SELECT code FROM mayday.notification WHERE address = %s AND purpose = 'unclear'", [sent.number])[0][0]
    desk.text(sent.number, f"OK {code}")
    desk.wait_action(alert, ("acknowledge", "cod-rob", "applied"))


def test_an_answer_to_a_test(desk):
    sent, call = desk.told(None, "tst-rob", purpose="test"), desk.told(None, "tst-rita", provider="twilio-voice", purpose="test")
    desk.text(sent.number, "OK")
    desk.key(call, "1")
    desk.site.wait_rows("SELECT status, count(*) FROM mayday.notification WHERE id IN (%s, %s) GROUP BY status", [("answered", 2)], [sent.id, call.id])
    assert desk.site.rows("SELECT person, answer, done FROM mayday.answer WHERE person LIKE 'tst-%%' ORDER BY person") == [
        ("tst-rita", "acknowledge", True), ("tst-rob", "acknowledge", True)]
    assert desk.said_back(sent.number) == ["test"]


def test_strangers_are_not_answered(desk):
    number = f"+{next(NUMBERS)}"
    before = desk.site.rows("SELECT count(*) FROM mayday.answer")
    assert [desk.text(number, words) for words in ("OK", "HELP", "who are you?")] == [204] * 3
    desk.carried()
    assert desk.said_back(number) == [] and desk.site.rows("SELECT count(*) FROM mayday.answer") == before


def test_what_somebody_wrote_is_not_kept(desk):
    alert = desk.alarm("prv-ann")
    sent = desk.told(alert, "prv-rob", code="1234")
    desk.text(sent.number, "my secret is 47110815")
    desk.wait_answer("prv-rob", "unclear", alert)
    assert desk.site.rows("SELECT count(*) FROM mayday.provider_event e WHERE e::text LIKE '%%47110815%%'") == [(0,)]
    assert sent.number not in desk.gateway.log() and "47110815" not in desk.gateway.log()


def test_an_answer_for_an_incident_that_is_closed(desk):
    alert = desk.alarm("cls-ann")
    sent = desk.told(alert, "cls-rob", code="1234")
    with desk.site.client("dora", ["dispatcher"], version=5) as dora:
        for action in ("acknowledge", "resolve"):
            dora.publish(m.topic("alert", alert, "action"), m.dump(message(action=action)))
        desk.wait_action(alert, ("acknowledge", "dora", "applied"), ("resolve", "dora", "applied"))
    desk.text(sent.number, "OK")
    desk.wait_action(alert, ("acknowledge", "dora", "applied"), ("resolve", "dora", "applied"), ("acknowledge", "cls-rob", "illegal"))
    wait_until(lambda: desk.said_back(sent.number) == ["over"], "they hear that it is over")
    assert desk.truth(alert)["status"] == "resolved"


def test_two_people_answer(desk):
    alert = desk.alarm("two-ann")
    first, second = desk.told(alert, "two-rob"), desk.told(alert, "two-rita")
    desk.text(first.number, "OK")
    desk.wait_action(alert, ("acknowledge", "two-rob", "applied"))
    desk.text(second.number, "OK")
    desk.wait_action(alert, ("acknowledge", "two-rob", "applied"), ("acknowledge", "two-rita", "illegal"))
    wait_until(lambda: desk.said_back(second.number) == ["late"], "the second hears it")
    assert desk.truth(alert)["receipts"]["acknowledged"]["by"] == "two-rob"


@pytest.mark.parametrize("who", ["raiser", "family"])
def test_who_is_in_danger_and_their_family_take_nothing_on(desk, who):
    ann = f"own-{who}-ann"
    alert = desk.alarm(ann)
    sent = desk.told(alert, ann if who == "raiser" else f"own-{who}-mum", code="1234", family=who == "family")
    desk.text(sent.number, "OK 1234")
    desk.carried()
    if who == "raiser":
        desk.wait_action(alert, ("acknowledge", ann, "not_allowed"))
    assert desk.truth(alert)["status"] == "active"
    assert desk.said_back(sent.number) == (["barred"] if who == "raiser" else [])


# ---- keys ----

@pytest.mark.parametrize("provider", ["twilio-voice", "vonage-voice"])
def test_keys_in_a_call(desk, provider):
    alert, rob = desk.alarm(f"key-{provider}-ann"), f"key-{provider}-rob"
    call = desk.told(alert, rob, provider=provider)
    awaits = (lambda body: "<Gather" in body) if provider == "twilio-voice" else (lambda body: any(a["action"] == "input" for a in json.loads(body)))
    kind = "text/xml" if provider == "twilio-voice" else "application/json"
    for key in ("9", "5", "#", "0"):
        status, type_, body = desk.key(call, key)
        assert status == 200 and type_.startswith(kind) and awaits(body), key
    assert desk.key(call, "")[0] == 200 and not awaits(desk.key(call, "")[2]), "nobody is there"
    desk.carried()
    assert desk.actions(alert) == []
    status, type_, body = desk.key(call, "1")
    assert status == 200 and not awaits(body), "and it hangs up"
    desk.wait_action(alert, ("acknowledge", rob, "applied"))
    desk.site.wait_rows("SELECT how, answer, done FROM mayday.answer WHERE alert = %s", [("voice", "acknowledge", True)], [alert])
    assert desk.key(call, "2")[0] == 200
    desk.wait_action(alert, ("acknowledge", rob, "applied"), ("escalate", rob, "applied"))


def test_a_machine_takes_nothing_on(desk):
    alert = desk.alarm("mch-ann")
    call = desk.told(alert, "mch-rob", provider="twilio-voice")
    for pairs in ({"CallStatus": "in-progress"}, {"CallStatus": "in-progress", "AnsweredBy": "machine_start"}, {"CallStatus": "completed", "CallDuration": "20"}):
        assert desk.twilio(f"/hooks/twilio/status?n={call.id}", {"CallSid": call.reference, **pairs})[0] == 204
    assert desk.key(call, "")[0] == 200
    desk.carried()
    assert desk.actions(alert) == [] and desk.site.rows("SELECT count(*) FROM mayday.answer WHERE alert = %s", [alert]) == [(0,)]
    assert call.status()[0] == "delivered" and desk.truth(alert)["status"] == "active"


# ---- receipts ----

def test_receipts_come_in_any_order_and_often(desk):
    alert = desk.alarm("rcp-ann")
    noise = random.Random(20261121)
    for end in ("delivered", "undelivered"):
        for _ in range(4):
            sent = desk.told(alert, "rcp-rob")
            said = ["queued", "sending", "sent", end] * 2
            noise.shuffle(said)
            assert [desk.status(sent, s, "30003" if s == "undelivered" else None) for s in said] == [204] * 8
            desk.carried()
            status, receipt = sent.status()
            assert receipt == ("delivered" if end == "delivered" else "failed"), said
            assert status == "delivered" if end == "delivered" else status in ("waiting", "failed", "sending", "sent"), (status, said)
    assert desk.truth(alert)["receipts"]["delivered"]


def test_delivered_is_final(desk):
    sent = desk.told(desk.alarm("fin-ann"), "fin-rob")
    for status in ("delivered", "undelivered", "failed", "sent"):
        desk.status(sent, status)
    desk.carried()
    assert sent.status() == ("delivered", "delivered")


@pytest.mark.parametrize("code, column", [("21610", "opted_out_at"), ("30005", "bad_since"), ("30006", "no_text_since")])
def test_what_a_receipt_says_of_a_number_is_remembered(desk, code, column):
    alert = desk.alarm(f"num-{code}")
    sent = desk.told(alert, f"num-rob-{code}")
    call = desk.told(alert, f"num-rob-{code}", provider="twilio-voice", place=2)
    desk.site.rows("UPDATE mayday.notification SET status = 'waiting', due_at = now() + interval '1 hour' WHERE id = %s", [call.id])
    desk.status(sent, "undelivered", code)
    desk.site.wait_rows(f"SELECT {column} IS NOT NULL FROM mayday.number_note WHERE number = %s", [(True,)], [sent.number])
    # the call is due, and may have been tried by now
    assert desk.site.rows("SELECT coalesce(due_at < clock_timestamp() + interval '10 minutes', true) FROM mayday.notification WHERE id = %s",
                          [call.id]) == [(True,)]


def test_a_receipt_before_its_request_is_over(desk):
    sent = desk.told(desk.alarm("bef-ann"), "bef-rob", outcome=None)
    desk.status(sent, "delivered")
    desk.carried()
    assert sent.status() == ("sending", None)
    desk.site.rows("SELECT mayday.end_attempts(%s)", [json.dumps([{"attempt": sent.attempt, "outcome": "sent", "http": 201, "reference": sent.reference,
                                                                  "then": "sent", "ms": 60000}])])
    assert sent.status() == ("delivered", "delivered")


def test_a_receipt_settles_what_was_in_doubt(desk):
    sent = desk.told(desk.alarm("dbt-ann"), "dbt-rob", outcome="unknown")
    desk.site.rows("UPDATE mayday.notification SET due_at = now() + interval '1 hour' WHERE id = %s", [sent.id])
    desk.status(sent, "sent")
    desk.carried()
    assert sent.status()[0] == "sent"
    assert desk.site.rows("SELECT outcome, reference FROM mayday.attempt WHERE id = %s", [sent.attempt]) == [("sent", sent.reference)]
    assert desk.site.rows("SELECT due_at > now() FROM mayday.notification WHERE id = %s", [sent.id]) == [(True,)]  # it is asked what came of it


def test_receipts_do_not_hold_up_whoever_has_one_of_their_incidents(desk):
    """A writer has the second, and then wants the first."""
    one, other = sorted(desk.alarm(f"lck-{who}") for who in ("ann", "ben"))
    sent = [desk.told(alert, f"lck-{who}") for alert, who in ((one, "rob"), (other, "rita"))]
    letters = [{"key": f"{n}" * 64, "provider": "twilio-sms", "kind": "receipt", "reference": each.reference, "said": "delivered",
                "receipt": "delivered", "received_at": raise_()["ts"]} for n, each in enumerate(sent)]
    faults = []

    def carry():
        try:
            desk.site.rows("SELECT mayday.mail_take(%s::jsonb)", [json.dumps(letters)])
        except psycopg2.Error as fault:
            faults.append(fault)

    writer = psycopg2.connect(desk.site.postgres.dsn())
    lock = "SELECT 1 FROM mayday.alert WHERE id = %s FOR UPDATE"
    with writer, writer.cursor() as cursor:
        cursor.execute(lock, [other])
        mail = threading.Thread(target=carry)
        mail.start()
        desk.site.wait_rows("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'SELECT mayday.mail_take(''[%%' "
                            "AND wait_event IN ('PgSleep', 'transactionid', 'tuple')", [(True,)])
        cursor.execute(lock, [one])
    mail.join()
    writer.close()
    assert faults == [] and [each.status()[0] for each in sent] == ["delivered", "delivered"]


def test_a_letter_that_cannot_be_stored_stays_and_keeps_no_other_back(desk):
    """A slip of an operator, such as a trigger that fails: it is no reason to lose an answer."""
    sql, alert = desk.site.rows, desk.alarm("stk-ann")
    one, other = desk.told(alert, "stk-rob"), desk.told(alert, "stk-rita")
    sql("CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.reference = 'SM{'e' * 32}' THEN RAISE 'poisoned'; END IF; RETURN NEW; END $$")
    sql("CREATE TRIGGER poison BEFORE INSERT ON mayday.provider_event FOR EACH ROW EXECUTE FUNCTION public.poison()")
    try:
        assert desk.text(one.number, "ok", sid="SM" + "e" * 32) == 204
        assert desk.text(other.number, "ok") == 204
        desk.wait_action(alert, ("acknowledge", "stk-rita", "applied"))
        wait_until(lambda: desk.figure("mayday_gateway_mail_waiting") == 1, "it alone stays")
        assert (desk.gateway.folder / "log").read_text().count("poisoned") == 1
    finally:
        sql("DROP TRIGGER poison ON mayday.provider_event")
        sql("DROP FUNCTION public.poison()")
    desk.carried()
    desk.site.wait_rows("SELECT count(*) FROM mayday.answer WHERE alert = %s AND person = 'stk-rob'", [(1,)], [alert])


# ---- repeats, forgeries, bad days ----

def test_the_same_text_and_key_twice_is_one_answer(desk):
    alert = desk.alarm("rpt-ann")
    sent, call = desk.told(alert, "rpt-rob"), desk.told(alert, "rpt-rita", provider="twilio-voice")
    for _ in range(3):
        assert desk.text(sent.number, "ok", sid="SM" + "ab" * 16) == 204
        assert desk.key(call, "1")[0] == 200
    desk.carried()
    desk.site.wait_rows("SELECT person, count(*) FROM mayday.answer WHERE alert = %s AND done GROUP BY person ORDER BY person",
                        [("rpt-rita", 1), ("rpt-rob", 1)], [alert])
    desk.site.wait_rows("SELECT count(*) FROM mayday.action WHERE alert = %s", [(2,)], [alert])


def test_forged_ones_are_refused_and_counted(desk):
    alert = desk.alarm("frg-ann")
    sent, call = desk.told(alert, "frg-rob", code="1234"), desk.told(alert, "frg-rob", provider="vonage-voice")
    before = desk.figure("mayday_gateway_hooks_forged_total")
    good = {"MessageSid": "SM" + "1" * 32, "From": sent.number, "To": "+27600100200", "Body": "OK 1234"}
    elsewhere = signing.twilio(desk.sim.twilio.token, "https://elsewhere.example/hooks/twilio/text", list(good.items()))
    for signature in ("", "AAAA", signing.twilio("other", PUBLIC + "/hooks/twilio/text", list(good.items())), elsewhere):
        assert desk.twilio("/hooks/twilio/text", good, signature)[0] == 403
    assert desk.vonage(f"/hooks/vonage/key?n={call.id}", {"uuid": call.reference, "dtmf": "1"}, "wrong")[0] == 403
    assert desk.post("/hooks/vonage/text?msisdn=27821000001&text=OK", None, {}, "GET")[0] == 403
    assert desk.figure("mayday_gateway_hooks_forged_total") == before + 6
    desk.carried()
    assert desk.actions(alert) == [] and desk.truth(alert)["status"] == "active"


@pytest.mark.parametrize("path", ["/hooks/", "/hooks/twilio", "/hooks/twilio/", "/hooks/twilio/other", "/hooks/nobody/text", "/hooks/twilio/text/", "/hooks//text"])
def test_other_paths_are_nobody_s(desk, path):
    assert desk.post(path, "", {})[0] == 404


def test_methods_and_sizes_are_bounded(desk):
    assert desk.post("/hooks/twilio/text", None, {}, "PUT")[0] == 405
    assert desk.post("/hooks/twilio/text", b"x" * 20000, {})[0] == 413
    many = {f"X-{i}": "y" for i in range(70)}
    assert desk.post("/hooks/twilio/text", b"x=1", many)[0] == 431
    assert desk.twilio("/hooks/twilio/text", {"Body": "signed, and senseless"})[0] == 400
    assert desk.figure("mayday_gateway_hooks_malformed_total") >= 1
    with socket.create_connection(("127.0.0.1", desk.gateway.http_port), timeout=20) as s:
        s.sendall(b"POST /hooks/twilio/text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_flood_of_forgeries_hides_nothing(desk):
    alert = desk.alarm("fld-ann")
    sent = desk.told(alert, "fld-rob")
    over = threading.Event()

    def flood():
        while not over.is_set():
            try:
                desk.twilio("/hooks/twilio/text", {"MessageSid": "SM" + os.urandom(16).hex(), "From": sent.number, "Body": "OK"}, "AAAA")
            except OSError:
                pass
    forgers = [threading.Thread(target=flood) for _ in range(8)]
    for f in forgers:
        f.start()
    try:
        assert desk.text(sent.number, "OK") == 204
        desk.wait_action(alert, ("acknowledge", "fld-rob", "applied"))
    finally:
        over.set()
        for f in forgers:
            f.join()
    assert len(desk.actions(alert)) == 1


def test_who_trickles_a_request_is_cut_off(desk):
    with socket.create_connection(("127.0.0.1", desk.gateway.http_port), timeout=20) as s:
        s.settimeout(0.5)
        s.sendall(b"POST /hooks/twilio/text HTTP/1.1\r\nX: ")

        def ended():
            try:
                s.sendall(b"y")
                return s.recv(4096) == b""
            except TimeoutError:
                return False
            except OSError:
                return True
        wait_until(ended, "it is cut off, although it never was silent", 60)


def test_without_the_database_all_is_taken_and_carried_when_it_is_back(desk, database):
    alert, other = desk.alarm("ndb-ann"), desk.alarm("ndb-bea")
    sent, call, rcp = desk.told(alert, "ndb-rob"), desk.told(other, "ndb-rita", provider="twilio-voice"), desk.told(alert, "ndb-rita")
    with no_database(database):
        wait_until(lambda: json.loads(desk.post("/health", None, {}, "GET")[2])["database"] is False, "it is away")
        assert desk.text(sent.number, "OK") == 204
        status, _, body = desk.key(call, "1")
        assert status == 200 and "<Response" in body
        assert [desk.status(rcp, s) for s in ("sent", "delivered", "sent")] == [204] * 3
        assert desk.figure("mayday_gateway_mail_waiting") == 4
    desk.wait_action(alert, ("acknowledge", "ndb-rob", "applied"))
    desk.wait_action(other, ("acknowledge", "ndb-rita", "applied"))
    wait_until(lambda: rcp.status() == ("delivered", "delivered"), "so are the receipts")


def test_a_database_that_stands_still_holds_no_provider_up(desk):
    """Every table that an answer or a receipt is stored in is locked; whoever calls is answered, and it is stored afterwards."""
    alert = desk.alarm("slw-ann")
    sent, call, rcp = desk.told(alert, "slw-rob"), desk.told(alert, "slw-rita", provider="vonage-voice"), desk.told(alert, "slw-rex")
    holding = psycopg2.connect(desk.site.postgres.dsn("postgres"))
    try:
        holding.cursor().execute("LOCK mayday.provider_event, mayday.attempt, mayday.answer, mayday.notification, mayday.number_note IN ACCESS EXCLUSIVE MODE")
        assert desk.status(rcp, "delivered") == 204
        assert desk.text(sent.number, "OK") == 204
        status, _, body = desk.key(call, "2")
        assert status == 200 and json.loads(body)
        assert desk.figure("mayday_gateway_mail_waiting") == 3
    finally:
        holding.rollback()
        holding.close()
    desk.site.wait_rows("SELECT sender, action, verdict FROM mayday.action WHERE alert = %s AND verdict IS NOT NULL ORDER BY sender",
                        [("slw-rita", "escalate", "applied"), ("slw-rob", "acknowledge", "applied")], [alert])
    wait_until(lambda: rcp.status() == ("delivered", "delivered"), "the receipt, too")


def test_without_the_broker_answers_wait_for_it(desk):
    alert = desk.alarm("nbr-ann")
    sent = desk.told(alert, "nbr-rob")
    desk.site.kill()
    try:
        assert desk.text(sent.number, "OK") == 204
        desk.site.wait_rows("SELECT answer, done FROM mayday.answer WHERE alert = %s", [("acknowledge", False)], [alert])
    finally:
        desk.site.start()
    desk.wait_action(alert, ("acknowledge", "nbr-rob", "applied"))
    desk.site.wait_rows("SELECT done FROM mayday.answer WHERE alert = %s", [(True,)], [alert])


def test_a_gateway_killed_at_any_moment_loses_no_answer_and_doubles_none(desk):
    noise, taken = random.Random(20261122), []
    people = [f"kil-rob{i}" for i in range(20)]
    alerts = [desk.alarm(f"kil-ann{i}") for i in range(20)]
    sent = [desk.told(alert, person) for alert, person in zip(alerts, people)]
    for each in sent:
        sid = "SM" + os.urandom(16).hex()
        try:
            if desk.text(each.number, "OK", sid=sid) == 204:
                taken.append(each)
        except OSError:
            pass
        if noise.random() < 0.4:
            time.sleep(noise.random() * 0.05)
            desk.gateway.kill()
            desk.gateway.start()
    assert len(taken) > 10
    for each in taken:
        desk.wait_action(each.alert, ("acknowledge", each.person, "applied"))
    desk.site.wait_rows("SELECT count(*) FROM mayday.answer WHERE person LIKE 'kil-%%' AND NOT done", [(0,)])
    assert desk.site.rows("SELECT count(*) FROM mayday.action WHERE sender LIKE 'kil-rob%%'") == [(len(taken),)]


# ---- the whole way ----

@pytest.fixture(scope="module")
def plan(desk):
    """Of medical incidents rob hears by text, and, when that fails, by a call; of no others anybody."""
    nobody = {"after": 0, "targets": [{"role": "auditor"}]}
    body = {"v": 1, "policies": [{"name": "medical", "when": {"types": ["medical"]}, "levels": [{"after": 0, "targets": [{"person": "way-rob"}], "gap": 600}]},
                                 {"name": "rest", "levels": [nobody]}]}
    desk.site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, %s)", [json.dumps(body)])
    desk.site.rows("INSERT INTO mayday.person (org, person, name) VALUES ('acme', 'way-rob', 'Rob')")
    numbers = [f"+{next(NUMBERS)}" for _ in range(2)]
    desk.site.rows("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', 'way-rob', 1, 'sms', %s), ('acme', 'way-rob', 2, 'voice', %s)",
                   numbers)
    yield [desk.sim.phone(n) for n in numbers]
    desk.site.rows("DELETE FROM mayday.plan WHERE org = 'acme'")


@pytest.fixture
def medical(desk, plan):
    """Raises a medical incident."""
    def raised(person):
        alert = uuid7()
        with desk.site.client(person, version=5) as c:
            assert c.publish(m.topic("alert", alert, "raise"), m.dump(raise_(type="medical"))) == 0
        return alert
    yield raised
    desk.sim.up()
    desk.sim.assert_strict()


def test_from_the_alarm_to_a_text_to_an_answer(desk, plan, medical):
    texts, _ = plan
    had = len(texts.texts)
    alert = medical("way-ann")
    told = texts.wait_texts(had + 1)[-1]
    assert "way-ann" in told.body
    code = re.search(r"Reply OK (\d{4})", told.body)[1]
    assert texts.reply(f"ok {code}") == [204]
    desk.wait_action(alert, ("acknowledge", "way-rob", "applied"))
    texts.wait_texts(had + 2)
    assert "You have it: way-ann" in texts.texts[-1].body
    shown = desk.truth(alert)
    assert shown["receipts"]["acknowledged"]["by"] == "way-rob" and shown["receipts"]["notified"]
    wait_until(lambda: desk.truth(alert)["receipts"].get("delivered"), "and it was delivered")
    desk.site.wait_rows("SELECT status FROM mayday.notification WHERE alert = %s AND purpose = 'raise' ORDER BY place", [("answered",), ("withdrawn",)], [alert])


@pytest.mark.parametrize("provider", ["twilio", "vonage"])
def test_from_a_text_that_fails_to_a_call_to_a_key(desk, plan, medical, provider):
    texts, calls = plan
    desk.sim.script(texts.number, text="undelivered", text_code=30008 if provider == "twilio" else None)
    if provider == "vonage":
        desk.sim.script(calls.number, "twilio", "voice", http=503)
    had = len(calls.calls)
    alert = medical(f"way-{provider}")
    calls.wait_calls(had + 1)
    heard = calls.wait_menu().said
    assert f"way-{provider}" in heard and "Press 1" in heard
    again = calls.press("9").said
    assert again.count(f"way-{provider}") > heard.count(f"way-{provider}"), "it is heard again"
    calls.press("1")
    assert "You have it" in calls.calls[-1].said
    desk.wait_action(alert, ("acknowledge", "way-rob", "applied"))


def test_what_calls_said_is_forgotten_after_days(desk, plan, medical):
    """The gateway's own store; a call of today is there, one of last week is not after its next start."""
    at = desk.gateway.folder / "gateway-gw1.db"
    names = {"old": uuid7(time.time() - 7 * 86400), "young": uuid7()}
    desk.gateway.stop()
    with closing(sqlite3.connect(at)) as db:
        (table,) = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if {"shelf", "name", "body"} <= {
            c[1] for c in db.execute(f"PRAGMA table_info({r[0]})")}]
        for name in names.values():
            db.execute(f"INSERT INTO {table} (shelf, name, body) VALUES (?, ?, ?)", [b"spoken", name.encode(), b'{"text": "x", "lang": "en"}'])
        db.commit()
    desk.gateway.start()

    def left():
        with closing(sqlite3.connect(f"file:{at}?mode=ro", uri=True)) as db:
            return {bytes(r[0], "ascii") if isinstance(r[0], str) else r[0] for r in db.execute(f"SELECT name FROM {table}")}
    wait_until(lambda: names["old"].encode() not in left(), "the old one is gone")
    assert names["young"].encode() in left()


def test_family_is_called_without_a_menu(desk, plan, medical):
    alert, to = medical("way-kin"), f"+{next(NUMBERS)}"
    desk.site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND place = 1", [(1,)], [alert])
    desk.site.rows("SELECT mayday.notify('acme', %s, 'way-mum', 'voice', %s, 'raise', 3, true, 0, 1, 1, now(), interval '1 hour')", [alert, to])
    (call,) = desk.sim.phone(to).wait_over()
    assert "way-kin" in call.said and call.menus == 0 and "Press" not in call.said


def test_a_machine_that_takes_the_call_is_nobody(desk, plan, medical):
    texts, calls = plan
    desk.sim.script(texts.number, text="undelivered")
    desk.sim.script(calls.number, call="machine")
    had = len(calls.calls)
    alert = medical("way-machine")
    calls.wait_calls(had + 1)
    calls.wait_over(had + 1)
    desk.sim.quiet()
    desk.carried()
    assert desk.actions(alert) == [] and desk.truth(alert)["status"] == "active"
