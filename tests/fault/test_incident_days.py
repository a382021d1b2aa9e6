"""Bad days of incidents and conversations: whatever breaks, everyone sees the same truth in the end, and only those who should.

What holds each of them; those with a file's name are held there.

    a gateway killed between commit and publish       test_gateway_publisher: a_gateway_killed_between_commit_and_publish_loses_nothing;
                                                      test_checks: a_gateway_that_dies_between_sending_and_marking_leaves_one_alarm
    two gateways                                      test_gateway_publisher: two_gateways_share_the_work_and_versions_only_rise;
                                                      test_checks: two_gateways_raise_one_alarm_for_each_check; test_sync_gateways
    database away during a busy incident              test_the_database_is_away_during_a_busy_incident
    broker killed and restarted                       test_a_killed_broker_has_everything_again
    a responder removed mid-chat                      test_a_responder_removed_in_the_middle_of_a_conversation_hears_nothing_more
    a thousand late messages at once                  test_a_thousand_late_messages_at_once; test_incidents: late_actions_in_any_order_come_out_the_same
    two dispatchers in the same millisecond           test_two_dispatchers_acknowledge_in_the_same_millisecond_a_hundred_times;
                                                      test_incidents: two_brokers_acknowledge_at_once
    clocks an hour off                                test_clocks_an_hour_off; test_incidents: clocks_an_hour_off_change_nothing_that_matters
    PIN guessing                                      test_a_pin_guessed_over_many_connections_is_locked_and_told;
                                                      test_incidents: pins_are_needed_once_set_and_guessing_is_locked_and_audited
    a forged or replayed action, a foreign assignee   test_forged_and_replayed_actions_change_nothing; test_incidents:
                                                      an_action_that_comes_twice_counts_once, unknown_incidents_and_foreign_people_are_refused
    a flood by one client                             test_limits: a_flood_by_one_neither_delays_nor_refuses_the_alarm_of_another
    clients of other makers                           test_clients here; test_examples
    all of it in one evening                          test_an_evening_on_which_everything_breaks
"""
import json
import os
import random
import subprocess
import threading
import time

import pytest

from conftest import Database
from support import messages as m
from support.load import Load, Message, Sender, settle
from support.mortal import mortal_server, open_folder
from support.phone import Phone
from support.site import BUILD, Site, wait_until
from support.truth import assert_whole, differences, retained
from support.wire import PUBACK, Closed

SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))
ROUNDS = int(os.environ.get("MAYDAY_ROUNDS", "10"))
AWAY = 60 if os.environ.get("MAYDAY_LONG") else 5  # seconds
HOUR = 3600


@pytest.fixture(scope="module")
def server():
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def site(server, tmp_path):
    if not server.pid():
        server.start()
    name = f"day_{os.urandom(4).hex()}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE mayday", database="postgres")
    with Site(tmp_path / "site", Database(server, name)) as running:
        yield running


def knows(site, person, *roles, org="acme"):
    site.rows("SELECT mayday.enter_person(%s, %s, %s, NULL)", [org, person, list(roles or ["member"])])


def raises(client, alert=None, **members):
    alert = alert or m.uuid7()
    assert client.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(**members))) == 0
    return alert


def acts(client, alert, action, **members):
    body = m.message(action=action, **members)
    assert client.publish(m.topic("alert", alert, "action"), m.dump(body)) == 0
    return body["id"]


def chats(client, alert, text, **members):
    body = m.chat(text, **members)
    assert client.publish(m.topic("alert", alert, "chat"), m.dump(body)) == 0
    return body["id"]


def verdict(site, action):
    wait_until(lambda: site.rows("SELECT verdict FROM mayday.action WHERE id = %s AND verdict IS NOT NULL", [action]), "it is judged")
    return site.rows("SELECT verdict FROM mayday.action WHERE id = %s", [action])[0][0]


def shows(site, alert, condition=lambda s: True, leaf="state"):
    return wait_until(lambda: (s := retained(site, leaf).get(alert)) and condition(s) and s, f"{leaf} of {alert}", 60)


def heard(client):
    """What has come up to now: (leaf, message)."""
    client.receives_nothing()
    got = [(p.topic.rsplit("/", 1)[1], json.loads(p.payload)) for p in client.inbox if p.payload]
    client.inbox.clear()
    return got


# ---- the database ----

def test_the_database_is_away_during_a_busy_incident(site, server):
    """Raw alerts reach dispatch, people talk and act; the state follows when it returns."""
    knows(site, "bob", "responder")
    with site.gateway("gw1") as gateway, site.client("ann", version=5) as ann, site.client("bob", ["responder"], version=5) as bob, \
            site.client("dora", ["dispatcher"], version=5) as dora:
        alert = raises(ann)
        acts(dora, alert, "acknowledge")
        acts(dora, alert, "assign", person="bob")
        shows(site, alert, lambda s: s["assigned"] == ["bob"])
        for client in (ann, bob, dora):
            client.subscribe(*(m.topic("alert", "+", leaf) for leaf in ("chat", "action", "state")))
        dora.subscribe(m.topic("alert", "+", "raise"))
        for client in (ann, bob, dora):
            heard(client)
        server.stop("immediate")
        wait_until(lambda: "trying again" in gateway.log(), "the gateway misses the database")
        said, raised, back_at = [], {}, time.monotonic() + AWAY
        while time.monotonic() < back_at or len(raised) < 3:
            time.sleep(AWAY / 20)  # a busy incident, not a flood
            n = len(raised)
            with site.client(f"new{n}", version=5) as other:
                raised[raises(other)] = f"new{n}"
                assert heard(dora)[-1][0] == "raise", "heard at once"
                new = list(raised)[-1]
                chats(other, new, "is anybody there?")
                assert heard(dora)[-1][1]["text"] == "is anybody there?", "who raised belongs to the incident without the database"
                acts(dora, new, "acknowledge")
            said += [chats(ann, alert, f"ann {n}"), chats(bob, alert, f"bob {n}"), chats(dora, alert, f"dora {n}")]
            for client in (ann, bob):
                assert [b["id"] for leaf, b in heard(client) if leaf == "chat"] == said[-3:], "those who belong hear each other"
            heard(dora)
        acts(bob, alert, "enroute")
        gateway.alive()
        server.start()
        shows(site, alert, lambda s: s["status"] == "enroute")
        for new, person in raised.items():
            assert shows(site, new, lambda s: s["status"] == "acknowledged")["raised_by"] == person
        assert_whole(site)
        assert site.rows("SELECT count(*) FROM mayday.chat WHERE id = ANY (%s::uuid[])", [said]) == [(len(said),)]


# ---- the broker ----

def test_a_killed_broker_has_everything_again(site):
    """Mosquitto forgets what is retained and what waits for the absent; the database does not."""
    for person, role in (("bob", "responder"), ("ann", "member"), ("absent", "officer")):
        knows(site, person, role)
    with site.gateway("gw1") as gateway, site.client("dora", ["dispatcher"], version=5) as dora:
        absent = Phone(site, "absent", ("officer",))
        with site.client("absent", ["officer"], client_id="absent:phone", version=5, clean=False, expiry=HOUR) as phone:
            phone.subscribe(m.topic("user", "absent", "inbox"))
            absent.sync()
        alerts = []
        for n in range(12):
            with site.client(f"k{n}", version=5) as one:
                alerts.append(raises(one, type=("panic", "fire", "general")[n % 3]))
        for n, alert in enumerate(alerts[:8]):
            acts(dora, alert, "acknowledge")
            if n % 2:
                acts(dora, alert, "assign", person="bob")
            if n > 5:
                acts(dora, alert, "resolve")
        with site.client("ann") as ann:
            assert ann.publish(m.topic("user", "ann", "duty"), m.dump(m.message(status="busy"))) == 0
        direct = [m.message(kind="message", text=f"number {n}") for n in range(30)]
        for each in direct:
            assert dora.publish(m.topic("user", "absent", "inbox"), m.dump(each)) == 0
        shows(site, alerts[7], lambda s: s["status"] == "resolved")
        assert_whole(site)
        site.kill()
        (site.folder / "mosquitto.db").unlink(missing_ok=True)
        site.start()
        gateway.wait_ready()
        assert_whole(site)
        assert len(retained(site, "state")) == 12 and len(retained(site, "dispatch")) == 12
        who = retained(site, "presence")
        assert who["ann"]["duty"] == "busy" and who["dora"]["connected"] is False, "sessions from before are no sessions"
        with site.client("absent", ["officer"], client_id="absent:phone", version=5, clean=False, expiry=HOUR) as phone:
            assert not phone.session_present and phone.receives_nothing(), "the broker itself has lost them"
        missed = [e["payload"]["id"] for e in absent.sync() if e["topic"].endswith("/inbox")]
        assert missed == [each["id"] for each in direct]


# ---- who belongs ----

class Talker(threading.Thread):
    """Says one number after the other in an incident, until told to stop."""

    def __init__(self, client, alert):
        super().__init__(daemon=True)
        self.client, self.alert, self.said, self.ending = client, alert, 0, threading.Event()

    def run(self):
        while not self.ending.is_set():
            chats(self.client, self.alert, str(self.said))
            self.said += 1

    def says(self, more):
        goal = self.said + more
        wait_until(lambda: self.said >= goal, f"{more} more are said")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join()


def numbers(client):
    return [int(body["text"]) for leaf, body in heard(client) if leaf == "chat"]


def test_a_responder_removed_in_the_middle_of_a_conversation_hears_nothing_more(site, tmp_path):
    """Live, through a durable session that is offline, and on another broker."""
    knows(site, "bob", "responder")
    with Site(tmp_path / "other", site.postgres, node__name="other") as other, site.gateway("gw1"), \
            site.client("ann") as ann, other.client("ann") as ann_there, site.client("dora", ["dispatcher"], version=5) as dora, \
            site.client("bob", ["responder"]) as bob, other.client("bob", ["responder"]) as bob_there:
        alert = raises(ann)
        dora.subscribe(m.topic("alert", alert, "dispatch"))
        topic = m.topic("alert", alert, "chat")
        tablet = site.client("bob", ["responder"], client_id="bob:tablet", version=5, clean=False, expiry=HOUR)
        for client in (bob, bob_there, tablet):
            client.subscribe(m.topic("alert", "+", "chat"))
        acts(dora, alert, "assign", person="bob")

        def hears(client, speaker):
            chats(speaker, alert, "-1")
            return numbers(client)

        wait_until(lambda: hears(bob, ann), "bob belongs")
        wait_until(lambda: hears(tablet, ann), "and his tablet does")
        wait_until(lambda: hears(bob_there, ann_there), "and he does at the other broker")
        numbers(bob)  # of the -1
        tablet.disconnect()
        with Talker(ann, alert) as talker, Talker(ann_there, alert) as talker_there:
            talker.says(30)
            talker_there.says(30)
            heard(dora)
            acts(dora, alert, "unassign", person="bob")
            while "bob" in json.loads(dora.receive().payload)["assigned"]:
                pass
            told, told_there = talker.said, talker_there.said  # dispatch has seen that it is so; one may be under way
            talker.says(30)
            talker_there.says(30)
            live = [n for n in numbers(bob) if n >= 0]
            there = [n for n in numbers(bob_there) if n >= 0]
        for got, limit in ((live, told), (there, told_there)):
            assert got == list(range(len(got))), "all of it up to a moment, and nothing after"
            assert 30 <= len(got) <= limit + 1
        with site.client("bob", ["responder"], client_id="bob:tablet", version=5, clean=False, expiry=HOUR) as tablet:
            assert tablet.session_present
            waited = [n for n in numbers(tablet) if n >= 0]
            assert set(waited) <= set(live), "what waited for the tablet is no more than what bob heard himself"
            tablet.subscribe(topic)
            chats(ann, alert, "9999")
            assert numbers(tablet) == []
            assert tablet.publish(topic, m.dump(m.chat("me too"))) == 0x87
        assert other.rows("SELECT count(*) FROM mayday.chat WHERE alert = %s AND sender = 'bob'", [alert]) == [(0,)]
        gone = Phone(site, "bob", ("responder",)).sync()
        assert not [e for e in gone if alert in e.get("topic", "")], "nor is it given to him later"


# ---- late, at once, twice, wrong ----

def late_evening(rng, alert):
    """What one person's phone has queued while it had no connection: (leaf, message), in the order it was done: the alarm first, and
    the cancel last."""
    base, did = time.time() - 600, []

    def add(leaf, body, **members):
        did.append((leaf, {**body, "id": m.uuid7(base + len(did)), "ts": m.moment(base + len(did)), "offline": True, **members}))

    add("raise", m.raise_(type=rng.choice(["panic", "medical", "general"])))
    for n in range(40):
        add(*rng.choice([("location", m.location(lat=n / 10)), ("chat", m.chat(f"number {n}"))]))
    for _ in range(8):
        add("action", m.message(action="note", reason="so"))
    add("action", m.message(action="cancel"))
    return did


class Upload(threading.Thread):
    """Sends all it has without waiting in between, some of it twice, and what is neither first nor last in any order."""

    def __init__(self, client, alert, queued, rng):
        super().__init__(daemon=True)
        self.client, self.reasons = client, None
        first, *others, last = queued
        others += rng.sample(others, 10)
        rng.shuffle(others)
        self.packets = [(m.topic("alert", alert, leaf), m.dump(body)) for leaf, body in (first, first, *others, last)]

    def run(self):
        for packet in self.packets:
            self.client.send_publish(*packet)
        self.reasons = [self.client.take(PUBACK).reason for _ in self.packets]


def test_a_thousand_late_messages_at_once(site):
    """Twenty phones come back in the same second; somebody else's alarm does not wait for them."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    evenings = [(f"late{n}", m.uuid7(), None) for n in range(20)]
    evenings = [(who, alert, late_evening(rng, alert)) for who, alert, _ in evenings]
    with site.gateway("gw1"), site.client("dora", ["dispatcher"]) as dora, site.client("ann", version=5) as ann:
        dora.subscribe(m.topic("alert", "+", "raise"))
        clients = [site.client(who, version=5) for who, *_ in evenings]
        uploads = [Upload(c, alert, queued, rng) for c, (_, alert, queued) in zip(clients, evenings)]
        for upload in uploads:
            upload.start()
        mine = raises(ann)
        while f"/{mine}/" not in dora.receive().topic:
            pass
        for upload in uploads:
            upload.join(60)
        assert all(set(u.reasons) <= {0, 0x10} for u in uploads), [set(u.reasons or ["none"]) for u in uploads]
        for table, leaf in (("raise", "raise"), ("location", "location"), ("chat", "chat"), ("action", "action")):
            ids = [body["id"] for *_, queued in evenings for what, body in queued if what == leaf]
            site.wait_rows(f"SELECT count(*), count(DISTINCT id), bool_and(offline) FROM mayday.{table} WHERE id = ANY (%s::uuid[])",
                           [(len(ids), len(ids), True)], [ids])
        assert site.rows("SELECT verdict, count(*) FROM mayday.action GROUP BY 1 ORDER BY 1") == [("applied", 20), ("noted", 160)]
        for who, alert, queued in evenings:
            state = shows(site, alert, lambda s: s["status"] == "canceled")
            assert (state["raised_by"], state["raised_at"]) == (who, queued[0][1]["ts"])
        assert_whole(site)
        assert site.rows("SELECT count(*) FROM mayday.dead_letter WHERE sender LIKE 'late%%'") == [(0,)]
        for client in clients:
            client.close()


def test_two_dispatchers_acknowledge_in_the_same_millisecond_a_hundred_times(site):
    """One of them is first, and the other is told so, whether they said which version they saw or not."""
    with site.gateway("gw1"), site.client("desk", ["gateway"]) as desk:
        alerts = [raises(desk, person=f"two{n}") for n in range(100)]
        site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = ANY (%s::uuid[])", [(100,)], [alerts])
        consoles, sent, told = {}, {}, {}
        for who in ("dora", "dirk"):
            consoles[who] = site.client(who, ["dispatcher"], version=5)
            consoles[who].subscribe(m.topic("user", who, "rejected"))
        site.wait_rows("SELECT count(*) FROM mayday.alert WHERE notified_at IS NOT NULL", [(100,)])  # the last version that comes by itself
        start, versions = threading.Barrier(2), dict(site.rows("SELECT id::text, version FROM mayday.alert"))

        def press(who):
            for n, alert in enumerate(alerts):
                body = m.message(action="acknowledge", **({"expected_version": versions[alert]} if n % 2 else {}))
                sent[body["id"]] = (who, alert)
                start.wait()
                assert consoles[who].publish(m.topic("alert", alert, "action"), m.dump(body)) == 0

        pressing = [threading.Thread(target=press, args=(who,)) for who in consoles]
        for each in pressing:
            each.start()
        for each in pressing:
            each.join()
        site.wait_rows("SELECT count(*) FROM mayday.action WHERE verdict IS NOT NULL", [(200,)])
        found = site.rows("SELECT alert::text, id::text, sender, verdict FROM mayday.action")
        assert_whole(site, ["state", "dispatch"])
        states, first = retained(site, "state"), {a: who for a, _, who, v in found if v == "applied"}
        assert len(first) == 100 and sum(v == "applied" for *_, v in found) == 100
        assert all(states[a]["receipts"]["acknowledged"]["by"] == who and states[a]["status"] == "acknowledged" for a, who in first.items())
        lost = {id_: (who, v) for _, id_, who, v in found if v != "applied"}
        for who, console in consoles.items():
            for _, body in heard(console):
                assert body["id"] not in told, "told once"
                told[body["id"]] = (who, body["code"])
            console.close()
        assert told == lost and {v for _, v in lost.values()} <= {"illegal", "stale"}
        assert all(v == ("stale" if alerts.index(sent[id_][1]) % 2 and versions[sent[id_][1]] else v) for id_, (_, v) in lost.items())
        assert site.rows("SELECT count(DISTINCT acknowledged_by) FROM mayday.alert") == [(2,)], "each of them was first at times"


@pytest.mark.parametrize("hours", [1, -1])
def test_clocks_an_hour_off(site, hours):
    """A phone whose clock is wrong raises, talks, and cancels, live and late; to dispatch it is an incident like any other."""
    off = lambda: time.time() + hours * HOUR  # noqa: E731
    who = f"clock{hours}"
    with site.gateway("gw1"), site.client(who, version=5) as phone, site.client("dora", ["dispatcher"], version=5) as dora:
        phone.subscribe(*(m.topic("alert", "+", leaf) for leaf in ("state", "chat", "action")))
        dora.subscribe(m.topic("alert", "+", "chat"))
        alert, began = m.uuid7(off()), m.moment()
        raised = {**m.raise_(), **m.message(off())}
        assert phone.publish(m.topic("alert", alert, "raise"), m.dump(raised)) == 0
        state = shows(site, alert)
        assert state["raised_at"] == raised["ts"] and began <= state["receipts"]["received"] <= state["receipts"]["stored"] <= m.moment()
        acts(dora, alert, "acknowledge")
        state = shows(site, alert, lambda s: s["status"] == "acknowledged")
        assert began <= state["receipts"]["acknowledged"]["at"] <= m.moment(), "what happened here has our time"
        said = {**m.chat("am I late?"), **m.message(off())}
        assert phone.publish(m.topic("alert", alert, "chat"), m.dump(said)) == 0
        assert ("chat", said) in heard(dora), "the device's time is passed on as it was"
        late = {**m.chat("from the cellar"), **m.message(off() - 60, offline=True)}
        assert phone.publish(m.topic("alert", alert, "chat"), m.dump(late)) == 0
        cancel = m.message(off(), action="cancel", offline=True)
        assert phone.publish(m.topic("alert", alert, "action"), m.dump(cancel)) == 0
        assert verdict(site, cancel["id"]) == "applied"
        assert shows(site, alert, lambda s: s["status"] == "canceled")
        again = m.uuid7(off())
        assert phone.publish(m.topic("alert", again, "raise"), m.dump({**m.raise_(), **m.message(off())})) == 0
        assert "joined" not in shows(site, again), "the one before is over, whatever the phone's clock says"
        assert_whole(site)
        assert site.rows("SELECT done_at BETWEEN a.received_at AND x.received_at FROM mayday.action x JOIN mayday.alert a ON a.id = x.alert WHERE x.id = %s",
                         [cancel["id"]]) == [(True,)]
        given = [e["payload"]["id"] for e in Phone(site, "dora", ("dispatcher",)).sync() if e["topic"].startswith(f"mayday/v1/acme/alert/{alert}/")
                 and e["topic"].rsplit("/", 1)[1] in ("raise", "chat", "action")]
        assert sorted(given) == sorted(r[0] for t in ("raise", "chat", "action") for r in site.rows(f"SELECT id::text FROM mayday.{t} WHERE alert = %s", [alert]))


def test_a_pin_guessed_over_many_connections_is_locked_and_told(site):
    with site.gateway("gw1"), site.client("pia", version=5) as pia:
        assert pia.publish(m.topic("user", "pia", "settings"), m.dump(m.message(pin="97531"))) == 0
        alert = raises(pia)
        pia.subscribe(m.topic("user", "pia", "rejected"))
        site.wait_rows("SELECT count(*) FROM mayday.setting WHERE verdict = 'applied' AND sender = 'pia'", [(1,)])
        thieves = [site.client("pia", client_id=f"pia:{n}", version=5) for n in range(6)]
        guesses = [m.message(action="cancel", pin=f"{n:04}") for n in range(48)]
        for n, guess in enumerate(guesses):
            thieves[n % 6].send_publish(m.topic("alert", alert, "action"), m.dump(guess))
        for n in range(len(guesses)):
            assert thieves[n % 6].take(PUBACK).reason in (0, 0x10)
        right = acts(pia, alert, "cancel", pin="97531")
        assert verdict(site, right) == "pin_locked", "the right one does not count either"
        for each in thieves:
            each.close()
        rows = site.rows("SELECT verdict, count(*) FROM mayday.action WHERE alert = %s GROUP BY 1 ORDER BY 1", [alert])
        assert rows == [("bad_pin", 5), ("pin_locked", 44)], "five tries, as shipped"
        assert_whole(site)
        assert retained(site, "state")[alert]["status"] == "active"
        codes = [body["code"] for _, body in heard(pia)]
        assert codes.count("bad_pin") == 5 and codes.count("pin_locked") == 44
        kinds = dict(site.rows("SELECT kind, count(*) FROM (SELECT kind FROM mayday.audit WHERE actor = 'pia' AND kind LIKE 'pin.%%' UNION ALL "
                               "SELECT kind FROM mayday.audit_pending WHERE actor = 'pia' AND kind LIKE 'pin.%%') k GROUP BY 1"))
        assert kinds.get("pin.locked") == 1 and kinds.get("pin.wrong", 0) >= 5, kinds


def test_forged_and_replayed_actions_change_nothing(site):
    """What somebody has no right to, what was recorded and is sent again, and what names the people of others."""
    for person, role in (("bob", "responder"), ("dora", "dispatcher"), ("eve", "member")):
        knows(site, person, role)
    knows(site, "roger", "responder", org="rival")
    with site.gateway("gw1"), site.client("ann", version=5) as ann, site.client("dora", ["dispatcher"], version=5) as dora, \
            site.client("sue", ["supervisor"], version=5) as sue, site.client("eve", version=5) as eve, \
            site.client("rita", ["dispatcher", "supervisor"], org="rival", version=5) as rita:
        alert, other = raises(ann), raises(dora_member := site.client("oda", version=5))
        dora_member.close()
        topic = m.topic("alert", alert, "action")
        recorded = m.message(action="acknowledge")
        assert dora.publish(topic, m.dump(recorded)) == 0
        resolve = m.message(action="resolve")
        assert dora.publish(topic, m.dump(resolve)) == 0
        assert verdict(site, acts(sue, alert, "reopen")) == "applied"
        before = shows(site, alert, lambda s: s["status"] == "active" and s["version"] >= 4 and "notified" in s["receipts"])

        def unchanged():
            last = acts(sue, alert, "note", reason="look")  # all that came before it is judged
            assert verdict(site, last) == "noted"
            assert site.rows("SELECT version, status FROM mayday.alert WHERE id = %s", [alert]) == [(before["version"], "active")]
            assert site.rows("SELECT status FROM mayday.alert WHERE id = %s", [other]) == [("active",)]
            return True

        # replayed: as it was, by its sender and by others, with other content, to another incident
        for console in (dora, sue):
            for body in (recorded, resolve):
                assert console.publish(topic, m.dump(body)) == 0
        assert dora.publish(topic, m.dump({**recorded, "action": "escalate"})) == 0
        dora.publish(m.topic("alert", other, "action"), m.dump(resolve))
        assert unchanged()
        assert site.rows("SELECT count(*) FROM mayday.action WHERE id = ANY (%s::uuid[])", [[recorded["id"], resolve["id"]]]) == [(2,)]
        # forged: by strangers here, by the dispatcher of others, and by who says to be somebody else
        for action in ("acknowledge", "resolve", "cancel", "note", "invite"):
            body = m.dump(m.message(action=action, **({"person": "eve"} if action == "invite" else {"reason": "x"} if action == "note" else {})))
            assert eve.publish(topic, body) == 0x87 and rita.publish(topic, body) == 0x87
        for words in ({"by": "dora"}, {"sender": "dora"}, {"org": "acme"}, {"role": "dispatcher"}):
            assert ann.publish(topic, m.dump(m.message(action="resolve", **words))) in (0x87, 0x99)
        for action in ("acknowledge", "assign", "resolve", "reopen"):
            assert verdict(site, acts(ann, alert, action, **({"person": "ann"} if action == "assign" else {}))) == "not_allowed"
        assert unchanged()
        # foreign: people of another organisation, nobody at all, names that are none
        for person in ("roger", "nobody", "bob'; DROP TABLE mayday.alert; --"):
            for action in ("assign", "invite"):
                assert verdict(site, acts(dora, alert, action, person=person)) == "unknown_person"
        for person in ("a/b", "+", "#", ""):
            assert dora.publish(topic, m.dump(m.message(action="assign", person=person))) in (0x87, 0x99)
        assert unchanged()
        assert site.rows("SELECT person, relation FROM mayday.membership WHERE id = %s", [alert]) == [("ann", "raiser")]
        assert_whole(site)


# ---- all of it ----

PINS = {"pin": "24680", "duress_pin": "13579"}
KEPT = ("raise", "chat", "action")


class Person(Sender):
    """Raises, talks and cancels, with the right PIN, the one for duress, a wrong one and none."""

    def _make(self, kind):
        if kind == "raise" or not self.raised:
            return super()._make("raise")
        if kind == "cancel":
            pin = self.rng.choice([PINS["pin"], PINS["duress_pin"], "00000", None])
            body, alert = m.message(action="cancel", **({"pin": pin} if pin else {})), self.raised[-1]
        else:
            body, alert = m.chat(f"{self.sub} {len(self.sent)}"), self.raised[-1]
        return Message(body["id"], "action" if kind == "cancel" else "chat", m.topic("alert", alert, "action" if kind == "cancel" else "chat"), m.dump(body))


class Desk(Sender):
    """A dispatcher: answers what others have raised."""
    people = ()

    def _make(self, kind):
        alerts = [alert for person in self.people for alert in list(person.raised)[-3:]]
        if not alerts:
            return super()._make("location")
        alert, action = self.rng.choice(alerts), self.rng.choice(["acknowledge", "assign", "unassign", "enroute", "resolve", "escalate", "note", "chat"])
        if action == "chat":
            body = m.chat("this is dispatch")
            return Message(body["id"], "chat", m.topic("alert", alert, "chat"), m.dump(body))
        body = m.message(action=action, **({"person": "bob"} if "assign" in action else {"reason": "so"} if action == "note" else {}))
        return Message(body["id"], "action", m.topic("alert", alert, "action"), m.dump(body))


class Eye(threading.Thread):
    """A dispatcher's screen: every version of every incident as it comes, over all connections."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.ending, self.versions = site, threading.Event(), {}

    def run(self):
        while not self.ending.is_set():
            try:
                with self.site.client("eye", ["supervisor"]) as client:
                    client.subscribe(m.topic("alert", "+", "state"), m.topic("alert", "+", "dispatch"))
                    while not self.ending.is_set():
                        self._look(client)
            except (Closed, OSError):
                time.sleep(0.05)

    def _look(self, client):
        try:
            packet = client.receive(timeout=0.2)
        except TimeoutError:
            return
        if packet.payload:
            *_, alert, leaf = packet.topic.split("/")
            self.versions.setdefault((alert, leaf), []).append(json.loads(packet.payload)["version"])

    def fallen(self):
        return [(at, seen) for at, seen in self.versions.items() if any(a > b for a, b in zip(seen, seen[1:]))]


class Evening:
    """A site with two gateways, one of which may be dead at any time, and everything that can be struck down."""

    def __init__(self, site, gateways, rng):
        self.site, self.gateways, self.rng = site, gateways, rng
        self.server = site.postgres.server

    def broker(self):
        self.site.kill()
        self._pause()
        self.site.start()

    def gateway(self):
        one = self.rng.choice(self.gateways)
        one.kill()
        self._pause()
        one.spawn()

    def database(self):
        self.server.kill() if self.rng.random() < 0.5 else self.server.stop("immediate")
        self._pause()
        self.server.start()

    def sessions(self):
        self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('mayday_plugin', 'mayday_gateway')")

    def everything(self):
        self.server.kill()
        self.site.kill()
        for each in self.gateways:
            each.kill()
        self._pause()
        for each in self.gateways:
            each.spawn()
        self.site.start()
        self.server.start()

    def _pause(self):
        time.sleep(self.rng.uniform(0, 0.7))

    def strikes(self, blows):
        for what in blows:
            time.sleep(self.rng.uniform(0, 0.7))  # the moment of the blow is what is drawn
            getattr(self, what)()


def blows_of(rng, rounds):
    """Each of them comes, as far as the rounds go; in what order is drawn."""
    kinds = ["broker", "gateway", "database", "everything", "sessions"]
    return [kind for _ in range(-(-rounds // len(kinds))) for kind in rng.sample(kinds, len(kinds))][:rounds]


def feed_is_complete(site):
    """Every stored message has one line in the feed; a supervisor who was never there is given each of them once."""
    for table in KEPT:
        assert site.rows(f"SELECT count(*) FROM mayday.{table} t WHERE (SELECT count(*) FROM mayday.feed f WHERE f.source = %s AND f.message = t.id) <> 1",
                         [table]) == [(0,)], f"of {table}"
    wanted = {row[0] for table in KEPT for row in site.rows(f"SELECT id::text FROM mayday.{table}")}
    given = [e["payload"]["id"] for e in Phone(site, "late-supervisor", ("supervisor",)).sync() if e["topic"].rsplit("/", 1)[1] in KEPT]
    assert len(given) == len(set(given)) and set(given) == wanted
    return len(wanted)


def test_an_evening_on_which_everything_breaks(server, tmp_path):
    """People raise, talk and cancel while broker, gateways and database are struck down at random. Afterwards all that was acknowledged is
    stored, once; everything retained is true; nothing waits; the trail of the audit is whole; and no version ever went down."""
    print(f"seed {SEED}, {ROUNDS} rounds: MAYDAY_SEED={SEED} MAYDAY_ROUNDS={ROUNDS} repeats it as far as threads allow")
    rng, name = random.Random(SEED), f"evening_{os.urandom(4).hex()}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE mayday", database="postgres")
    keys, public = tmp_path / "audit-keys.json", tmp_path / "audit-public.json"
    subprocess.run([BUILD / "bin" / "mayday", "keys", "new", "--type", "ed25519", "--private", keys, "--public", public], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "MAYDAY_CONF": os.devnull})
    with Site(tmp_path / "site", Database(server, name), incident__grace="3s", incident__pin_tries="100", audit__signing_keys=keys) as site:
        knows(site, "bob", "responder")
        people = [Person(site, f"person{n}", random.Random(rng.random()), version=5, window=5, pause=0.05,
                         kinds={"raise": 1, "chat": 6, "cancel": 1}) for n in range(6)]
        desk = Desk(site, "dora", random.Random(rng.random()), roles=("dispatcher",), version=5, window=5, pause=0.05, repeats=0)
        desk.people = people
        for each in people:
            with site.client(each.sub, version=5) as client:
                assert client.publish(m.topic("user", each.sub, "settings"), m.dump(m.message(**PINS))) == 0
        load, eye = Load(site, rng, clients=0), Eye(site)
        load.senders = [*people, desk]
        with site.gateway("east") as east, site.gateway("west") as west, load:
            eye.start()
            load.goes_on(30)
            blows = blows_of(rng, ROUNDS)
            print(f"blows: {blows}")
            Evening(site, (east, west), rng).strikes(blows)
            load.goes_on(250)  # what went wrong before the last blow may have been made good by it
            load.finish()
            settle(site)
            # what was refused had its reason: who canceled may not go on talking
            for sender in load.senders:
                assert {a.table for _, a in sender.refused} <= {"chat", "action"} and {r for r, _ in sender.refused} <= {0x87}
            for table in (*KEPT, "location"):
                kept = [id_ for s in load.senders for id_, a in s.acknowledged.items() if a.table == table]
                found = dict(site.rows(f"SELECT id::text, count(*) FROM mayday.{table} WHERE id = ANY (%s::uuid[]) GROUP BY 1", [kept]))
                assert set(found) == set(kept) and set(found.values()) <= {1}, f"acknowledged, but not stored once, in {table}"
            site.wait_rows("SELECT count(*) FROM mayday.action WHERE verdict IS NULL", [(0,)])
            assert_whole(site)
            wait_until(lambda: not differences(site, "state"), "and it stays so")
            assert site.rows("SELECT count(*) FROM mayday.dead_letter WHERE sender LIKE 'person%%' OR sender = 'dora'") == [(0,)]
            messages = feed_is_complete(site)
            site.wait_rows("SELECT count(*) FROM mayday.audit_pending", [(0,)])
            eye.ending.set()
            eye.join()
            assert eye.versions and eye.fallen() == [], "a version went down"
            conf = east.conf
        said = subprocess.run([BUILD / "bin" / "mayday", "--config", conf, "audit", "verify"], text=True, capture_output=True)
        assert said.returncode == 0, said.stdout + said.stderr
        outcomes = site.rows("SELECT status, count(*), count(duress_at) FROM mayday.alert WHERE joined_to IS NULL GROUP BY 1 ORDER BY 1")
        print(f"{load.acknowledged()} acknowledged, {messages} messages, incidents {outcomes}, {sum(s.closed for s in load.senders)} connections lost")
