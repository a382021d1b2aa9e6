"""A night in which nobody looks at a screen, with everything real but the providers: broker, database, gateway, and HTTPS by an authority of
the test's own. What the phones of the people received is counted, and so is what they did not."""
import itertools
import json
import os
import re
import subprocess

import pytest

from support import messages as m
from support.passing import pass_time
from support.providers import Simulator
from support.site import BUILD, wait_until

nights = itertools.count(1)


@pytest.fixture(scope="module")
def sim():
    with Simulator(tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def gw(site, sim):
    with site.gateway("gw-night", providers=sim, gateway__organisations="", notify__timeout="2s", notify__rate="200 400").start_unready() as running:
        yield running


@pytest.fixture(autouse=True)
def strict(sim):
    yield
    sim.up()
    sim.quiet()
    sim.assert_strict()


def look(site, *words):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MQTT_", "MAYDAY_"))}
    done = subprocess.run([BUILD / "bin" / "mayday", *words], env={**clean, "MAYDAY_CONF": str(site.conf)}, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done
    return done.stdout


class Night:
    """An organisation whose plan tells Nora, by text and then by call, and Omar five minutes later."""

    def __init__(self, site, sim, lang="en", family=()):
        at = next(nights)
        self.site, self.sim, self.org = site, sim, f"night{at}"
        self.nora, self.omar, self.mum = (f"+278211{at:03d}{who:02d}" for who in (1, 2, 3))
        for person, number, roles, spoken in (("nora", self.nora, ["dispatcher"], lang), ("omar", self.omar, ["supervisor"], "en"),
                                              ("mum", self.mum, ["member"], "af")):
            site.rows("INSERT INTO mayday.person (org, person, roles, lang) VALUES (%s, %s, %s, %s)", [self.org, person, roles, spoken])
            for place, kind in enumerate(("sms", "voice"), 1):
                site.rows("INSERT INTO mayday.channel VALUES (%s, %s, %s, %s, %s)", [self.org, person, place, kind, number])
        for contact in family:
            site.rows("INSERT INTO mayday.contact VALUES (%s, 'ann', %s)", [self.org, contact])
        first = [{"person": "nora"}, *([{"family": True}] if family else [])]
        plan = {"v": 1, "policies": [{"name": "night", "levels": [{"after": 0, "targets": first, "gap": 60},
                                                                  {"after": 300, "targets": [{"person": "omar"}]}]}]}
        site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 1, %s)", [self.org, json.dumps(plan)])

    def phone(self, who):
        return self.sim.phone(getattr(self, who))

    def raised(self):
        self.alert = m.uuid7()
        self.say("raise", m.raise_(text="Somebody is in the house", location={"lat": -33.92, "lon": 18.42}))
        return self.alert

    def say(self, leaf, message):
        with self.site.client("ann", org=self.org, client_id=f"ann:{m.uuid7()[-8:]}", version=5) as c:
            assert c.publish(m.topic("alert", self.alert, leaf, self.org), m.dump(message)) == 0

    def state(self):
        rows = self.site.postgres.sql("SELECT mayday.state_of(%s, %s)", [self.org, self.alert], user="mayday_gateway")
        return rows[0][0]

    def becomes(self, status):
        return wait_until(lambda: (state := self.state()) and state["status"] == status and state, f"it is {status}")

    def later(self, seconds):
        pass_time(self.site, self.alert, seconds)

    def notes(self):
        return self.site.rows("SELECT person, kind, status FROM mayday.notification WHERE alert = %s AND purpose = 'raise' ORDER BY person, place",
                              [self.alert])


def test_text_then_call_then_a_key_and_the_raiser_knows_who(site, sim, gw):
    night = Night(site, sim)
    sim.script(night.nora, "twilio", "sms", http=503)
    night.raised()
    nora = night.phone("nora")
    (text,) = nora.wait_texts()
    assert text.provider == "vonage" and "Somebody is in the house" in text.body and "-33.92" in text.body
    assert not nora.calls, "a call comes when the text stays without an answer"
    night.later(60)
    call = nora.press("9")
    assert call.provider == "twilio" and call.heard[0].count("Press 1") == 1 and len(call.heard) == 2, "she heard it twice"
    nora.press("1")
    state = night.becomes("acknowledged")
    assert state["receipts"]["acknowledged"]["by"] == "nora" and {"stored", "notified", "delivered"} <= state["receipts"].keys()
    assert nora.wait_over()[0].pressed == ["9", "1"]
    night.later(600)
    assert len(nora.texts) == len(nora.calls) == 1 and not night.phone("omar").texts, "nobody else is woken"
    assert night.notes() == [("nora", "sms", "answered"), ("nora", "voice", "answered")]


def test_the_timeline_tells_of_every_attempt(site, sim, gw):
    """Of a text and a call that the first provider did not take, and of the answer."""
    night = Night(site, sim)
    for kind in ("sms", "voice"):
        sim.script(night.nora, "twilio", kind, http=503)
    night.raised()
    nora = night.phone("nora")
    nora.wait_texts()
    wait_until(lambda: night.notes()[0] == ("nora", "sms", "delivered"), "the receipt is there")
    night.later(60)
    nora.press("1")
    night.becomes("acknowledged")
    nora.wait_over()
    wait_until(lambda: site.rows("SELECT count(*) FROM mayday.attempt WHERE alert = %s AND receipt IS NULL AND outcome = 'sent'", [night.alert]) == [(0,)],
               "both receipts are there")
    timeline, shown = look(site, "alert", "show", night.alert), look(site, "escalation", "show", night.org, night.alert)
    told = re.findall(r"  attempt +mayday +(.*)", timeline)
    assert len(told) == 4, timeline
    for line, pattern in zip(told, (r"nora: twilio-sms -> retry http 503", r"nora: vonage-sms -> sent .*\(delivered\)",
                                    r"nora: twilio-voice -> retry http 503", r"nora: vonage-voice -> sent .*\((delivered|answered)\)")):
        assert re.match(pattern, line), timeline
    for pattern in (r"escalation +mayday +told, round 1, level 1, 1 people", r"notification +mayday +nora: raise by sms -> answered",
                    r"notification +mayday +nora: raise by voice -> answered", r"action +nora +acknowledge", r"escalation +mayday +answered"):
        assert len(re.findall(pattern, timeline)) == 1, (pattern, timeline)
    tried = re.findall(r"nora +(sms|voice) \S+ +(\S+) +gw-night +(\S+) +(\d+)", shown)
    assert tried == [("sms", "twilio-sms", "retry", "503"), ("sms", "vonage-sms", "sent", "200"),
                     ("voice", "twilio-voice", "retry", "503"), ("voice", "vonage-voice", "sent", "201")], shown
    assert re.search(r"nora +voice +acknowledge +handed on", shown), shown
    assert night.nora not in timeline + shown, "numbers are masked"


def test_a_word_back_is_an_answer_and_no_call_is_made(site, sim, gw):
    night = Night(site, sim)
    night.raised()
    nora = night.phone("nora")
    nora.wait_texts()
    assert nora.reply("ok") in ([200], [204])
    assert night.becomes("acknowledged")["receipts"]["acknowledged"]["by"] == "nora"
    wait_until(lambda: night.notes() == [("nora", "sms", "answered"), ("nora", "voice", "withdrawn")], f"the call is withdrawn: {night.notes()}")
    night.later(60)
    assert not nora.calls


@pytest.mark.parametrize("fate", ["machine", "busy", "no-answer"])
def test_whoever_does_not_answer_is_not_counted_and_the_next_is_told(site, sim, gw, fate):
    night = Night(site, sim)
    sim.script(night.nora, kind="voice", call=fate)
    night.raised()
    night.phone("nora").wait_texts()
    night.later(60)
    night.phone("nora").wait_over()
    assert night.state()["status"] == "active"
    night.later(300)
    omar = night.phone("omar")
    omar.wait_texts()
    assert omar.reply("OK") in ([200], [204])
    assert night.becomes("acknowledged")["receipts"]["acknowledged"]["by"] == "omar"


def test_both_providers_are_down_and_come_back(site, sim, gw):
    night = Night(site, sim)
    sim.down(http=503)
    night.raised()
    sim.wait_hits(2, number=night.nora, kind="sms", status=503)
    assert not night.phone("nora").texts
    sim.up()
    night.phone("nora").wait_texts()
    assert len(night.phone("nora").texts) == 1


def test_one_that_takes_it_and_does_not_say_so_is_looked_up_and_not_doubled(site, sim, gw):
    night = Night(site, sim)
    sim.script(night.nora, "twilio", "sms", fault="cut-after", times=1)
    night.raised()
    wait_until(lambda: night.notes()[:1] in ([("nora", "sms", "sent")], [("nora", "sms", "delivered")]), f"it is found: {night.notes()}")
    assert [t.provider for t in night.phone("nora").texts] == ["twilio"]


def test_family_is_told_in_its_language_and_how_it_ends(site, sim, gw):
    night = Night(site, sim, family=["mum"])
    night.raised()
    mum = night.phone("mum")
    (text,) = mum.wait_texts()
    assert "-33.92" in text.body and "panic alarm" not in text.body, text.body
    night.phone("nora").wait_texts()
    night.phone("nora").reply("OK")
    mum.wait_texts(2)
    night.say("action", m.message(action="cancel"))
    night.becomes("canceled")
    mum.wait_texts(3)
    assert len({t.body for t in mum.texts}) == 3 and not mum.calls
