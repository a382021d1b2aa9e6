"""The two views of an incident, who sees which, and what only Mayday itself may say."""
import json
import struct

import pytest

from support import messages as m
from support.site import wait_until
from support.wire import PUBCOMP, PUBREC, PUBREL, Client

RAISED = {"raised_by": "ann", "raised_at": m.moment(), "type": "panic", "priority": "critical"}


def state(version, **members):
    return m.message(version=version, status="active", **RAISED, **members)


@pytest.fixture
def gateway(site):
    with site.client("g1", ["gateway"], version=5) as g:
        yield g


def belongs(site, alert, person, relation):
    """Makes it so in the database, and waits until this broker knows."""
    before = site.rows("SELECT count(*) FROM mayday.membership WHERE until IS NULL")[0][0]
    site.rows("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, %s, %s)"
              " ON CONFLICT (org, family, id, person) DO UPDATE SET relation = excluded.relation, until = NULL", [alert, person, relation])
    after = site.rows("SELECT count(*) FROM mayday.membership WHERE until IS NULL")[0][0]
    return before, after


def receives(client, topic, say, what):
    """Repeats saying it until it arrives: a membership made in the database needs a moment."""

    def arrived():
        say()
        while not client.receives_nothing():
            if client.receive().topic == topic:
                return True
        return False

    wait_until(arrived, what)


def test_the_raiser_sees_state_and_never_dispatch(site, gateway):
    alert = m.uuid7()
    with site.client("ann") as ann, site.client("dora", ["dispatcher"]) as dora, site.client("eve") as eve:
        for c in (ann, eve):
            assert c.subscribe("mayday/v1/acme/alert/+/state", "mayday/v1/acme/alert/+/dispatch") == [1, 1]
        assert dora.subscribe(f"mayday/v1/acme/alert/{alert}/#") == [1]
        ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        assert dora.receive().topic.endswith("raise")
        assert gateway.publish(m.topic("alert", alert, "state"), m.dump(state(1)), retain=True) == 0
        assert gateway.publish(m.topic("alert", alert, "dispatch"), m.dump(state(1)), retain=True) == 0
        assert ann.receive().topic == m.topic("alert", alert, "state")
        assert ann.receives_nothing() and eve.receives_nothing()
        assert {dora.receive().topic.rsplit("/")[-1] for _ in range(2)} == {"state", "dispatch"}


def test_a_dispatcher_sees_of_their_own_incident_what_every_raiser_sees(site, gateway):
    alert = m.uuid7()
    with site.client("dan", ["dispatcher", "member"]) as dan:
        assert dan.subscribe(f"mayday/v1/acme/alert/{alert}/#") == [1]
        dan.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        assert dan.receive().topic.endswith("raise")
        gateway.publish(m.topic("alert", alert, "dispatch"), m.dump(state(1)), retain=True)
        gateway.publish(m.topic("alert", alert, "state"), m.dump(state(1)), retain=True)
        assert dan.receive().topic == m.topic("alert", alert, "state")
        assert dan.receives_nothing()


def test_who_canceled_sees_its_state_and_nothing_more(site, gateway):
    alert = m.uuid7()
    chat = m.topic("alert", alert, "chat")
    with site.client("fred", version=5) as fred, site.client("dora", ["dispatcher"]) as dora:
        fred.subscribe(*(f"mayday/v1/acme/alert/+/{leaf}" for leaf in ("state", "chat", "action", "location", "receipt", "typing", "dispatch")))
        fred.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        fred.publish(chat, m.dump(m.chat()))
        assert fred.receive().topic == chat
        site.wait_rows("SELECT relation FROM mayday.membership WHERE id = %s", [("raiser",)], [alert])
        site.rows("UPDATE mayday.membership SET relation = 'former' WHERE id = %s AND person = 'fred'", [alert])
        wait_until(lambda: fred.publish(chat, m.dump(m.chat())) == 0x87, "fred is former")
        while not fred.receives_nothing():
            fred.receive()
        dora.publish(chat, m.dump(m.chat("what fred must not know")))
        dora.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="note", reason="nor this")))
        gateway.publish(m.topic("alert", alert, "dispatch"), m.dump(state(2)), retain=True)
        gateway.publish(m.topic("alert", alert, "state"), m.dump(state(2)), retain=True)
        assert fred.receive().topic == m.topic("alert", alert, "state")
        assert fred.receives_nothing()


def test_who_is_assigned_sees_dispatch_from_then_on(site, gateway):
    alert = m.uuid7()
    topic = m.topic("alert", alert, "dispatch")
    with site.client("rob", ["responder"]) as rob:
        rob.subscribe("mayday/v1/acme/alert/+/dispatch")
        gateway.publish(topic, m.dump(state(1)), retain=True)
        assert rob.receives_nothing()
        belongs(site, alert, "rob", "assigned")
        receives(rob, topic, lambda: gateway.publish(topic, m.dump(state(1)), retain=True), "the assigned responder reads dispatch")


def test_only_who_is_in_danger_and_who_is_sent_say_where_they_are(site):
    alert = m.uuid7()
    where = m.topic("alert", alert, "location")
    with site.client("lea", version=5) as lea, site.client("ivo", ["officer"], version=5) as ivo:
        lea.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        assert lea.publish(where, m.dump(m.location())) == 0
        belongs(site, alert, "ivo", "invited")
        wait_until(lambda: ivo.publish(m.topic("alert", alert, "chat"), m.dump(m.chat())) == 0, "ivo is invited")
        assert ivo.publish(where, m.dump(m.location())) == 0x87
        belongs(site, alert, "ivo", "assigned")
        wait_until(lambda: ivo.publish(where, m.dump(m.location())) == 0, "ivo is assigned")


# ---- what only Mayday says

@pytest.mark.parametrize("version", [4, 5])
def test_nobody_but_the_gateway_raises_for_another(site, version):
    sent = m.raise_(person="bob")
    alert = m.uuid7()
    with site.client("mia", version=version) as mia, site.client("dora", ["dispatcher"]) as dora:
        mia.subscribe(m.topic("user", "mia", "rejected"))
        dora.subscribe(m.topic("alert", alert, "raise"))
        mia.publish(m.topic("alert", alert, "raise"), m.dump(sent))
        told = json.loads(mia.receive().payload)
        assert (told["id"], told["code"]) == (sent["id"], "not_authorised")
        assert dora.receives_nothing()


def test_nobody_but_the_gateway_sends_pages_of_missed_messages(site, gateway):
    page = m.message(kind="sync", request=m.uuid7(), cursor="1", more=False, messages=[])
    with site.client("dora", ["dispatcher"], version=5) as dora, site.client("kay") as kay:
        kay.subscribe(m.topic("user", "kay", "inbox"))
        dora.subscribe(m.topic("user", "dora", "rejected"))
        assert dora.publish(m.topic("user", "kay", "inbox"), m.dump(page)) == 0x87
        told = json.loads(dora.receive().payload)
        assert (told["id"], told["code"]) == (page["id"], "not_authorised")
        assert kay.receives_nothing()
        assert gateway.publish(m.topic("user", "kay", "inbox"), m.dump(page)) == 0
        assert json.loads(kay.receive().payload) == page


def test_whom_the_gateway_raises_for_belongs_to_the_incident_at_once(site, gateway):
    alert = m.uuid7()
    with site.client("bea", version=5) as bea:
        assert gateway.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(person="bea"))) == 0
        assert bea.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("I can't talk"))) == 0
        assert gateway.publish(m.topic("alert", alert, "chat"), m.dump(m.chat())) == 0x87


def test_the_plugins_own_records_cannot_be_published(own_site):
    site = own_site()
    site.policy_file.write_text(site.policy_file.read_text() + "\nrole careless\n    publish mayday/v1/{org}/#\n    read mayday/v1/{org}/user/{sub}/rejected\n")
    with site, site.client("cal", ["careless"], version=5) as cal:
        cal.subscribe(m.topic("user", "cal", "rejected"))
        assert cal.publish("mayday/v1/acme/node/test/event", m.dump(m.message(kind="stop"))) == 0x87
        assert json.loads(cal.receive().payload)["code"] == "no_such_topic"


# ---- versions

@pytest.mark.parametrize("leaf", ["state", "dispatch"])
def test_an_older_version_never_follows_a_newer_one(site, gateway, leaf):
    alert = m.uuid7()
    topic = m.topic("alert", alert, leaf)
    gateway.subscribe(m.topic("user", "g1", "rejected"))
    with site.client("dora", ["dispatcher"]) as dora:
        dora.subscribe(topic)
        for version, reason in ((3, 0), (3, 0), (2, 0x87), (4, 0), (3, 0x87)):
            assert gateway.publish(topic, m.dump(state(version)), retain=True) == reason
        assert [json.loads(dora.receive().payload)["version"] for _ in range(3)] == [3, 3, 4]
        assert dora.receives_nothing()
        assert {json.loads(gateway.receive().payload)["code"] for _ in range(2)} == {"stale"}
        assert gateway.publish(topic, "", retain=True) == 0
        assert dora.receive().payload == b""
        assert gateway.publish(topic, m.dump(state(1)), retain=True) == 0
        assert json.loads(dora.receive().payload)["version"] == 1
    with site.client("dora", ["dispatcher"]) as dora:
        dora.subscribe(topic)
        assert json.loads(dora.receive().payload)["version"] == 1
        gateway.publish(topic, "", retain=True)
    with site.client("dora", ["dispatcher"]) as dora:
        dora.subscribe(topic)
        assert dora.receives_nothing()


def test_nobody_else_clears_what_is_retained(site, gateway):
    alert = m.uuid7()
    topic = m.topic("alert", alert, "state")
    gateway.publish(topic, m.dump(state(1)), retain=True)
    with site.client("dora", ["dispatcher"], version=5) as dora, site.client("mia", version=5) as mia:
        assert dora.publish(topic, "", retain=True) == 0x87
        assert mia.publish(m.topic("user", "mia", "location"), "", retain=True) == 0x87
        dora.subscribe(topic)
        assert json.loads(dora.receive().payload)["version"] == 1


# ---- PINs

def send(client, topic, payload, qos):
    packet_id = client.send_publish(topic, payload, qos)
    if qos == 1:
        client.receives_nothing()
    if qos == 2:
        client.take(PUBREC)
        client._send(PUBREL, 2, struct.pack(">H", packet_id))
        client.take(PUBCOMP)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_pin_reaches_the_journal_and_nobody_elses_screen(site, version, qos):
    alert = m.uuid7()
    sent = m.message(action="cancel", pin="482913", reason="false alarm ä")
    with site.client("pia", version=version, client_id=f"pia:{version}{qos}") as pia, site.client("dora", ["dispatcher"], version=version) as dora:
        pia.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        pia.subscribe(m.topic("alert", alert, "action"))
        dora.subscribe(m.topic("alert", alert, "action"))
        for _ in range(2):
            send(pia, m.topic("alert", alert, "action"), m.dump(sent), qos)
        seen = dora.receive()
        assert b"482913" not in seen.payload and b'"pin"' not in seen.payload
        assert json.loads(seen.payload) == {k: v for k, v in sent.items() if k != "pin"}
        plain = m.message(action="note", reason="no PIN in it")
        send(pia, m.topic("alert", alert, "action"), m.dump(plain), qos)

        def note_arrives():
            got = dora.receive().payload
            assert b"482913" not in got
            return got == m.dump(plain).encode()

        wait_until(note_arrives, "the note arrives as it was sent")
        site.wait_rows("SELECT count(*) FROM mayday.action WHERE id = %s", [(1,)], [sent["id"]])
    journal = b"".join(p.read_bytes() for p in (site.folder / "state" / "journal").glob("*") if p.is_file())
    assert b"482913" in journal


def test_a_last_will_with_a_pin_is_refused(site):
    alert = m.uuid7()
    topic = m.topic("alert", alert, "action")
    with site.client("dora", ["dispatcher"]) as dora, site.client("wil", client_id="wil:1") as wil:
        wil.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        wil.subscribe(m.topic("user", "wil", "rejected"))
        dora.subscribe(topic)
        will = m.message(action="cancel", pin="482913")
        site.client("wil", client_id="wil:2", will=(topic, m.dump(will), 1)).vanish()
        assert json.loads(wil.receive().payload)["id"] == will["id"]
        assert dora.receives_nothing()
