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

from support import messages as m
from support.mortal import mortal_server, open_folder
from support.phone import Phone
from support.site import BUILD, Site, wait_until
from support.truth import assert_whole, differences, retained
from support.wire import PUBACK

SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))
ROUNDS = int(os.environ.get("MAYDAY_ROUNDS", "6"))
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
    server.sql("TRUNCATE mayday.alert, mayday.membership, mayday.outbox, mayday.connection, mayday.person CASCADE")
    with Site(tmp_path / "site", server) as running:
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


def test_a_responder_removed_in_the_middle_of_a_conversation_hears_nothing_more(site, server, tmp_path):
    """Live, through a durable session that is offline, and on another broker."""
    knows(site, "bob", "responder")
    with Site(tmp_path / "other", server, node__name="other") as other, site.gateway("gw1"), \
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
