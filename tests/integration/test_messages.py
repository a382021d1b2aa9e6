"""Bad input is normal input: every refusal is seen by its sender, nothing is stored of it, nothing crashes."""
import json

import pytest

from support import messages as m
from support.wire import Closed, string


def big(size):
    return m.dump(m.chat("x" * size))


BAD = {
    "not JSON": (b"hello", "malformed"),
    "empty": (b"", "malformed"),
    "cut off": (m.dump(m.location())[:-5].encode(), "malformed"),
    "two values": (b"{} {}", "malformed"),
    "not UTF-8": (b'{"v":1,"x":"\xff"}', "not_utf8"),
    "nested deeply": (b"[" * 200 + b"]" * 200, "too_deep"),
    "nested absurdly": (b"[" * 50000, "too_deep"),
    "a duplicate member": (b'{"v":1,"v":1}', "malformed"),
    "an unknown field": (m.dump(m.location(colour="red")).encode(), "invalid"),
    "a field of the wrong type": (m.dump(m.location(lat="high")).encode(), "invalid"),
    "a latitude beyond the pole": (m.dump(m.location(lat=90.5)).encode(), "invalid"),
    "no id": (m.dump({k: v for k, v in m.location().items() if k != "id"}).encode(), "invalid"),
    "another version": (m.dump(m.location(v=2)).encode(), "invalid"),
    "an id of another kind": (m.dump(m.location(id="00000000-0000-4000-8000-000000000000")).encode(), "invalid"),
    "an array": (b"[]", "invalid"),
    "from the far future": (m.dump(m.location(ts="2999-01-01T00:00:00.000Z")).encode(), "from_future"),
    "a day that does not exist": (m.dump(m.location(ts="2026-02-30T00:00:00.000Z")).encode(), "invalid"),
    "too large": (big(70000).encode(), "too_large"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_payload_is_refused_by_name(site, what):
    payload, code = BAD[what]
    with site.client("sue", version=5) as sue:
        sue.subscribe("mayday/v1/acme/user/sue/rejected")
        assert sue.publish(m.topic("user", "sue", "location"), payload) == 0x87
        told = json.loads(sue.receive().payload)
        assert told["code"] == code, told
        assert sue.publish(m.topic("user", "sue", "location"), m.dump(m.location())) == 0


def test_nothing_refused_was_stored(site):
    with site.client("sue2") as sue:
        bad = m.location(lat=99)
        sue.publish(m.topic("user", "sue2", "location"), m.dump(bad))
        good = m.location()
        sue.publish(m.topic("user", "sue2", "location"), m.dump(good))
    site.wait_rows("SELECT id::text FROM mayday.location WHERE sender = 'sue2'", [(good["id"],)])


def test_a_packet_beyond_the_broker_s_limit_closes_the_connection(site):
    with site.client("sue") as sue:
        with pytest.raises(Closed):
            sue.publish(m.topic("user", "sue", "location"), b"x" * 300000)


def test_queued_messages_with_old_times_are_taken(site):
    old = 1_700_000_000
    sent = m.message(at=old, lat=1.0, lon=2.0, accuracy=3.0, source="gps", offline=True)
    with site.client("ola") as ola:
        assert ola.publish(m.topic("user", "ola", "location"), m.dump(sent)) == 0
    site.wait_rows("SELECT offline, extract(epoch FROM at)::bigint FROM mayday.location WHERE id = %s", [(True, old)], [sent["id"]])


SAMPLES = {
    "raise": ("member", lambda: (m.topic("alert", m.uuid7(), "raise"), m.raise_(priority="high", silent=True, lang="en", location={"lat": 1, "lon": 2})),
              "raise"),
    "vitals": ("member", lambda: (m.topic("user", "stored", "vitals"), m.message(hr=72, spo2=98, rr_ms=[810, 830], contact=True)), "vitals"),
    "vital_alert": ("gateway", lambda: (m.topic("user", "bob", "vital_alert"), m.message(
        rule="pulse-high", kind="begins", response="ask", words="pulse 158/min", vital="hr", value=158, limit=120, usual=68.5, since=m.moment(),
        context="rest", readings={"hr": 158}, check=m.uuid7())), "vital_alert"),
    "duty": ("officer", lambda: (m.topic("user", "stored", "duty"), m.message(status="on")), "duty"),
    "timer": ("device", lambda: (m.topic("user", "stored", "timer"), m.message(minutes=30, repeat=True)), "timer"),
    "check": ("dispatcher", lambda: (m.topic("user", "bob", "check"), m.message(text="Are you OK?", reason="dispatch", respond_within=60)),
              "person_check"),
    "reply": ("officer", lambda: (m.topic("user", "stored", "reply"), m.message(check=m.uuid7(), answer="ok")), "reply"),
    "inbox": ("dispatcher", lambda: (m.topic("user", "bob", "inbox"), m.message(kind="message", text="call me")), "inbox"),
    "notification": ("gateway", lambda: (m.topic("user", "bob", "inbox"), m.message(kind="notification", text="call me", alert=m.uuid7())),
                     "inbox"),
    "broadcast": ("dispatcher", lambda: (m.topic("role", "officer", "broadcast"), m.message(text="shift ends")), "broadcast"),
    "action": ("dispatcher", lambda: (m.topic("alert", m.uuid7(), "action"), m.message(action="note", reason="seen on camera")), "action"),
    "zone_event": ("gateway", lambda: (m.topic("zone", "gate", "event"), m.message(person="bob", event="entered")), "zone_event"),
    "chat": ("dispatcher", lambda: (m.topic("alert", m.uuid7(), "chat"), m.chat("hallo \U0001F198", lang="af")), "chat"),
}


@pytest.mark.parametrize("what", SAMPLES)
def test_every_stored_type_is_stored(site, what):
    role, make, table = SAMPLES[what]
    topic, sent = make()
    with site.client("stored", [role], version=5) as c:
        assert c.publish(topic, m.dump(sent)) in (0, 0x10)
    site.wait_rows(f"SELECT sender FROM mayday.{table} WHERE id = %s", [("stored",)], [sent["id"]])


def test_typing_travels_but_is_never_stored(site):
    alert = m.uuid7()
    with site.client("dora", ["dispatcher"]) as dora, site.client("tom") as tom:
        dora.subscribe("mayday/v1/acme/alert/+/typing")
        tom.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        before = site.figure("journal/records")
        tom.publish(m.topic("alert", alert, "typing"), m.dump(m.message(active=True)))
        assert json.loads(dora.receive().payload)["active"] is True


def test_whoever_has_the_most_and_longest_roles_is_heard_too(site):
    roles = ["member", *(f"{i:x}" + 126 * "r" for i in range(15))]
    sent = m.location()
    with site.client("rex", roles) as rex:
        assert rex.publish(m.topic("user", "rex", "location"), m.dump(sent)) == 0
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], [sent["id"]])


def test_a_refusal_names_even_the_longest_topic(site):
    topic = "mayday/v1/acme/" + '"' * 65500
    with site.client("quin") as quin:
        quin.subscribe("mayday/v1/acme/user/quin/rejected")
        quin.publish(topic, m.dump(m.location()))
        assert json.loads(quin.receive().payload)["topic"] == topic


def user_property(name, value):
    return b"\x26" + string(name) + string(value)


@pytest.mark.parametrize("leaf", ["raise", "action", "location"])
def test_who_sent_a_raise_an_action_or_a_position_of_an_incident_is_a_property_and_the_last_one_is_ours(site, leaf):
    alert = m.uuid7()
    with site.client("dee", ["dispatcher"], version=5) as dee, site.client("ann", version=5) as ann:
        dee.subscribe(f"mayday/v1/acme/alert/+/{leaf}")
        if leaf != "raise":
            assert ann.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
        said = {"raise": m.raise_, "action": lambda: m.message(action="note", reason="behind the shed"), "location": m.location}[leaf]()
        ann.send_publish(m.topic("alert", alert, leaf), m.dump(said), properties=user_property("sender", "dee"))
        heard = dee.receive()
        assert json.loads(heard.payload)["id"] == said["id"]
        assert heard.properties == user_property("sender", "dee") + user_property("sender", "ann")
    with site.client("old", ["dispatcher"]) as old, site.client("ann") as ann:
        old.subscribe("mayday/v1/acme/alert/+/raise")
        assert ann.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_())) == 0
        assert json.loads(old.receive().payload)["type"] == "panic", "of 3.1.1 nobody is told"
