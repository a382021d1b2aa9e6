"""People who wear sensors, for tests of the vigil: their readings, and what reaches them and dispatch."""
import json
import sqlite3
import time
from contextlib import closing

from support import messages as m
from support.site import wait_until


def shelf(gateway, name):
    """What a gateway keeps on disk under that name."""
    with closing(sqlite3.connect(f"file:{gateway.folder}/gateway-{gateway.id}.db?mode=ro", uri=True)) as db:
        return [body.decode() for (body,) in db.execute("SELECT body FROM document WHERE shelf = CAST(? AS BLOB)", [name])]


def on_shelf(gateway, name, word):
    wait_until(lambda: any(word in body.replace(" ", "") for body in shelf(gateway, name)), f"{gateway.id} keeps {word} under {name}")


class Wearer:
    """Somebody whose watch publishes vitals. Times are seconds before now: a morning is sent in a moment."""

    def __init__(self, site, person, org="acme", roles=("member",)):
        self.site, self.person, self.org = site, person, org
        self.phone = site.client(person, list(roles), org=org)
        for leaf in ("check", "inbox", "rejected"):
            self.phone.subscribe(m.topic("user", person, leaf, org))
        self.phone.subscribe(f"mayday/v1/{org}/alert/+/state")
        self.checks, self.states = [], []

    def close(self):
        self.phone.close()

    def reads(self, at=None, **values):
        said = m.message(at, **values)
        assert self.phone.publish(m.topic("user", self.person, "vitals", self.org), m.dump(said)) == 0
        return said

    def stretch(self, seconds, until=0.0, step=5, **values):
        """Readings every `step` seconds, from `seconds` ago up to `until` ago."""
        now, at = time.time(), float(seconds)
        turn = 0
        while at > until:
            if "hr" in values:  # a heart that beats alike for minutes is none
                values["hr"] += (1, -1, 2, -2)[turn % 4]
            self.reads(now - at, **values)
            at -= step
            turn += 1

    def rests(self, seconds=900, until=100.0):
        """A calm morning: enough to know what is usual."""
        self.stretch(seconds, until, step=10, hr=66, spo2=97, contact=True, quality=95, motion=0.01)

    def worries(self, seconds=95):
        """A heart far too fast for somebody who sits still."""
        self.stretch(seconds, 0, hr=158, spo2=96, contact=True, quality=95, motion=0.01)

    def collapses(self):
        """The device noticed a fall, and nothing moves."""
        self.reads(time.time() - 1, event="fall", hr=150, contact=True, quality=90, motion=0.01)
        self.reads(event="still", hr=38, spo2=84, contact=True, quality=90, motion=0.001)

    def hears(self):
        """Takes in what has come."""
        while not self.phone.receives_nothing():
            packet = self.phone.receive()
            said = json.loads(packet.payload) if packet.payload else None
            if packet.topic.endswith("/check"):
                self.checks.append(said)
            elif packet.topic.endswith("/state") and said:
                self.states.append((packet.topic.split("/")[4], said))
        return self

    def asked(self, timeout=30):
        """The question, once it is there; a repetition has the id of the first."""
        wait_until(lambda: self.hears().checks, f"{self.person} is asked", timeout)
        return self.checks[-1]

    def questions(self):
        """The ids of all that was asked, in order."""
        return list(dict.fromkeys(c["id"] for c in self.hears().checks))

    def answers(self, check, answer="ok", by=None, **more):
        phone = by or self.phone
        assert phone.publish(m.topic("user", self.person, "reply", self.org), m.dump(m.message(check=check["id"], answer=answer, **more))) == 0


class Desk:
    """A dispatcher who watches."""

    def __init__(self, site, name="dora", org="acme", roles=("dispatcher",)):
        self.site, self.org, self.name = site, org, name
        self.console = site.client(name, list(roles), org=org)
        self.console.subscribe(f"mayday/v1/{org}/user/+/vital_alert")
        self.console.subscribe(f"mayday/v1/{org}/user/+/reply")
        self.console.subscribe(f"mayday/v1/{org}/alert/#")
        self.findings, self.raises, self.replies, self.truths = [], [], [], {}

    def close(self):
        self.console.close()

    def hears(self):
        while not self.console.receives_nothing():
            packet = self.console.receive()
            said = json.loads(packet.payload) if packet.payload else None
            person, leaf = packet.topic.split("/")[4], packet.topic.split("/")[5]
            if leaf == "vital_alert":
                self.findings.append((person, said))
            elif leaf == "raise":
                self.raises.append((person, said))
            elif leaf == "reply":
                self.replies.append((person, said))
            elif leaf == "dispatch" and said:
                self.truths[person] = said
        return self

    def truth(self, alert):
        """What dispatch sees of an incident."""
        return self.hears().truths.get(alert, {})

    def sees(self, person, timeout=30, **wanted):
        """A finding about somebody, the newest that fits."""
        def newest():
            fits = [f for who, f in self.hears().findings if who == person and all(f.get(k) == v for k, v in wanted.items())]
            return fits and fits[-1]
        return wait_until(newest, f"dispatch sees {wanted} of {person}", timeout)

    def raised(self, person, timeout=40):
        """The incident that was raised for somebody: its id and message."""
        def one():
            found = [(alert, r) for alert, r in self.hears().raises if r.get("person") == person]
            return found and found[-1]
        return wait_until(one, f"an alarm is raised for {person}", timeout)
