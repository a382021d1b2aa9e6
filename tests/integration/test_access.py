"""Only those who should, see: subscriptions, deliveries, memberships, on live and on offline sessions."""
import json

import pytest

from support import messages as m
from support.site import wait_until
from support.wire import Client, Refused

DENIED = 0x80


@pytest.fixture(scope="module", autouse=True)
def people(database):
    """Whom Mayday has met before: only they can be assigned."""
    database.sql("INSERT INTO mayday.person (org, person) VALUES ('acme', 'bob') ON CONFLICT DO NOTHING")


@pytest.mark.parametrize("filter_", ["#", "+/#", "mayday/#", "mayday/v1/#", "mayday/v1/+/alert/+/raise", "mayday/v1/rival/#", "$SYS/#",
                                     "$share/g/#", "$share/g/mayday/v1/rival/alert/+/raise", "+/v1/acme/alert/+/raise",
                                     "mayday/v1/acme/user/+/inbox", "mayday/+/acme/user/mia/inbox"])
def test_a_filter_wider_than_the_grant_is_refused(site, filter_):
    with site.client("mia") as mia:
        assert mia.subscribe(filter_) == [DENIED]


def test_a_filter_within_the_grant_is_given_shared_or_not(site):
    with site.client("dora", ["dispatcher"]) as dora:
        assert dora.subscribe("mayday/v1/acme/alert/#", "$share/desk/mayday/v1/acme/alert/+/raise", "mayday/v1/acme/alert/+/chat") == [1, 1, 1]


def test_nobody_publishes_for_another_person_or_organisation(site):
    with site.client("mia", version=5) as mia:
        for topic in (m.topic("user", "bob", "location"), m.topic("user", "mia", "location", "rival"), "mayday/v2/acme/user/mia/location",
                      m.topic("role", "officer", "broadcast"), m.topic("alert", m.uuid7(), "state"), "elsewhere"):
            assert mia.publish(topic, m.dump(m.location())) == 0x87
    assert site.rows("SELECT count(*) FROM mayday.location WHERE sender = 'mia'") == [(0,)]


def test_a_denied_publish_is_named_to_a_3_1_1_client(site):
    sent = m.location()
    with site.client("mia") as mia:
        mia.subscribe("mayday/v1/acme/user/mia/rejected")
        assert mia.publish(m.topic("user", "bob", "location"), m.dump(sent)) == 0
        told = json.loads(mia.receive().payload)
        assert (told["id"], told["code"]) == (sent["id"], "not_authorised")


def test_only_members_of_an_incident_receive_its_chat(site):
    alert = m.uuid7()
    chat = m.topic("alert", alert, "chat")
    with site.client("ann") as ann, site.client("bob", ["officer"]) as bob, site.client("eve") as eve, \
            site.client("dora", ["dispatcher"]) as dora, site.client("dora", ["dispatcher"], org="rival", client_id="dora:rival") as rival:
        for c in (ann, bob, eve):
            assert c.subscribe("mayday/v1/acme/alert/+/chat") == [1]
        assert dora.subscribe("mayday/v1/acme/alert/#") == [1]
        assert rival.subscribe("mayday/v1/rival/alert/#") == [1]
        ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        ann.publish(chat, m.dump(m.chat("help")))
        assert ann.receive().topic == chat
        assert eve.receives_nothing() and bob.receives_nothing() and rival.receives_nothing()

        dora.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="assign", person="bob")))
        site.wait_rows("SELECT relation FROM mayday.membership WHERE id = %s AND person = 'bob'", [("assigned",)], [alert])

        def bob_gets_it():
            ann.publish(chat, m.dump(m.chat("again")))
            return not bob.receives_nothing()

        wait_until(bob_gets_it, "the assigned officer receives the chat on the live subscription")
        assert bob.publish(chat, m.dump(m.chat("on my way"))) == 0
        assert eve.receives_nothing()

        dora.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="unassign", person="bob")))
        site.wait_rows("SELECT count(*) FROM mayday.membership WHERE id = %s AND person = 'bob' AND until IS NULL", [(0,)], [alert])

        def bob_is_out():
            while bob.inbox or not bob.receives_nothing():
                bob.inbox.clear()
            ann.publish(chat, m.dump(m.chat("secret")))
            return bob.receives_nothing()

        wait_until(bob_is_out, "the removed officer receives nothing more")


def test_knowing_the_id_of_an_incident_gives_no_entry(site):
    alert = m.uuid7()
    with site.client("ann") as ann, site.client("eve", version=5) as eve:
        ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        eve.subscribe(m.topic("alert", alert, "chat"))
        eve.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        assert eve.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("let me in"))) == 0x87
        ann.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("private")))
        assert eve.receives_nothing()


def test_who_raises_an_incident_that_only_the_database_knows_goes_out_again(site):
    alert = m.uuid7()
    site.rows("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline)"
              " VALUES ('acme', %s, 'ann', now(), now(), 'panic', 'critical', false, false)", [alert])
    with site.client("eve", version=5) as eve:
        eve.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        wait_until(lambda: eve.publish(m.topic("alert", alert, "chat"), m.dump(m.chat())) == 0x87,
                   "the database's word puts the stranger out")


def test_rooms_are_for_their_members_and_follow_the_database(site):
    with site.client("ann") as ann, site.client("bob") as bob:
        for c in (ann, bob):
            assert c.subscribe("mayday/v1/acme/room/+/chat") == [1]
        site.rows("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'room', 'night', 'ann', 'member')")

        def ann_may():
            with site.client("ann", version=5, client_id="ann:probe") as probe:
                return probe.publish(m.topic("room", "night", "chat"), m.dump(m.chat())) == 0

        wait_until(ann_may, "the membership made in the database reaches the broker")
        assert ann.receive().topic == m.topic("room", "night", "chat")
        assert bob.receives_nothing()


def test_a_changed_policy_takes_effect_and_a_bad_one_does_not(own_site):
    with own_site() as site:
        good = site.policy_file.read_text()
        with site.client("dora", ["dispatcher"]) as dora, site.client("ann") as ann:
            dora.subscribe("mayday/v1/acme/alert/+/raise")
            site.policy_file.write_text(good + "\nrole dispatcher2\n    raed mayday/v1/{org}/x\n")
            wait_until(lambda: "the policy from before stays" in site.log(), "the bad policy is refused")
            line = len(good.splitlines()) + 3
            assert f"line {line}:" in site.log()
            ann.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_()))
            dora.receive()
            site.policy_file.write_text("role member\n    publish mayday/v1/{org}/alert/+/raise\n")
            wait_until(lambda: "took up 1 roles" in site.log(), "the new policy is taken up")
            ann.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_()))
            assert dora.receives_nothing()


def test_what_an_offline_durable_client_may_read_survives_a_broker_restart(own_site):
    with own_site() as site:
        alert = m.uuid7()
        durable = site.client("ann", clean=False)
        durable.subscribe("mayday/v1/acme/alert/+/chat")
        durable.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        durable.disconnect()
        eve = site.client("eve", clean=False)
        eve.subscribe("mayday/v1/acme/alert/+/chat")
        eve.disconnect()
        site.wait_rows("SELECT count(*) FROM mayday.raise WHERE alert = %s", [(1,)], [alert])
        site.restart()
        with site.client("dora", ["dispatcher"]) as dora:
            dora.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("we are coming")))
        with site.client("eve", clean=False) as eve:
            assert eve.receives_nothing()
        with site.client("ann", clean=False) as ann:
            assert json.loads(ann.receive().payload)["text"] == "we are coming"


def test_a_membership_that_ended_while_the_broker_was_down_has_ended(own_site):
    with own_site() as site:
        alert = m.uuid7()
        with site.client("ann") as ann:
            ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        with site.client("dora", ["dispatcher"]) as dora:
            dora.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="invite", person="bob")))
        before = site.rows("SELECT count(*) FROM mayday.membership WHERE until IS NULL AND id <> %s", [alert])[0][0]
        wait_until(lambda: site.figure("memberships") == before + 2, "ann and bob belong to it")
        site.stop()
        site.rows("SELECT mayday.leave_alert('acme', %s, 'bob', 'dora')", [alert])
        site.start()
        wait_until(lambda: site.figure("memberships") == before + 1, "bob does not any more")
        with site.client("bob") as bob, site.client("dora", ["dispatcher"]) as dora:
            bob.subscribe("mayday/v1/acme/alert/+/chat")
            dora.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("between us")))
            assert bob.receives_nothing()


def test_a_retained_message_is_refused_where_only_mayday_retains(site):
    with site.client("mia", version=5) as mia:
        assert mia.publish(m.topic("user", "mia", "location"), m.dump(m.location()), retain=True) == 0x87


def test_clients_of_other_authentication_never_see_mayday(own_site, tmp_path):
    site = own_site(access__others_allowed="yes")
    conf = site.folder / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous false", "allow_anonymous true"))
    with site, Client(site.port, "legacy", username=None) as legacy, site.client("ann") as ann:
        assert legacy.subscribe("#") == [1]
        assert legacy.subscribe("mayday/#", "$share/g/mayday/v1/acme/#") == [DENIED, DENIED]
        ann.publish(m.topic("user", "ann", "location"), m.dump(m.location()))
        legacy.publish("plant/pump", "on")
        assert legacy.receive().topic == "plant/pump"
        assert legacy.receives_nothing()
        with pytest.raises(Refused):
            Client(site.port, "ann", username=None)
        with Client(site.port, "legacy5", username=None, version=5) as legacy5:
            assert legacy5.publish("plant/pump", "off") == 0
            for topic in ("$CONTROL/dynamic-security/v1", "$CONTROL/mayday/v1", m.topic("user", "ann", "location")):
                assert legacy5.publish(topic, "{}") == 0x87


def test_a_will_is_authorised_validated_and_stored(site):
    alert, will = m.uuid7(), m.raise_(text="phone went dead")
    with site.client("dora", ["dispatcher"]) as dora:
        dora.subscribe("mayday/v1/acme/alert/+/raise")
        site.client("wil", will=(m.topic("alert", alert, "raise"), m.dump(will), 1)).vanish()
        assert json.loads(dora.receive().payload) == will
        site.client("wil", will=(m.topic("alert", m.uuid7(), "raise"), m.dump({**will, "type": "party"}), 1)).vanish()
        site.client("wil", will=(m.topic("user", "bob", "location"), m.dump(m.location()), 1)).vanish()
        site.wait_rows("SELECT text FROM mayday.raise WHERE id = %s", [("phone went dead",)], [will["id"]])
        assert dora.receives_nothing()


def test_a_will_is_judged_when_the_session_is_taken_over(site):
    will = m.raise_(text="taken over")
    first = site.client("wyn", will=(m.topic("alert", m.uuid7(), "raise"), m.dump(will), 1))
    with site.client("wyn"):
        assert first.is_closed()
        site.wait_rows("SELECT text FROM mayday.raise WHERE id = %s", [("taken over",)], [will["id"]])


def test_a_will_is_judged_when_the_broker_stops(own_site):
    with own_site() as site:
        good, bad = m.raise_(text="the broker went down"), m.raise_(type="party")
        clients = [site.client("wes", will=(m.topic("alert", m.uuid7(), "raise"), m.dump(good), 1)),
                   site.client("wim", will=(m.topic("alert", m.uuid7(), "raise"), m.dump(bad), 1))]
        site.restart()
        site.wait_rows("SELECT id::text, text FROM mayday.raise WHERE sender IN ('wes', 'wim')", [(good["id"], "the broker went down")])
        for c in clients:
            c.close()
