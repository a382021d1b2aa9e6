"""Who is told of an incident, level by level, until somebody answers: with a real broker, database and gateway. What the sender does with
the notifications is not looked at here. Time passes by pass_time()."""
import itertools
import json
import random
import signal
import threading
import time
from contextlib import closing

import psycopg2
import pytest

from support import messages as m
from support.passing import pass_time
from support.site import Site, wait_until

orgs = itertools.count(1)


@pytest.fixture(scope="module")
def everywhere(site):
    """A gateway that serves every organisation."""
    with site.gateway("gw1", gateway__organisations="").start_unready() as running:
        yield running


class Town:
    """An organisation of one test's own."""

    def __init__(self, site, org=None):
        self.site, self.org = site, org or f"town{next(orgs)}"

    def person(self, name, *roles, channels=(), near=None, connected=None):
        self.site.rows("INSERT INTO mayday.person (org, person, roles, connected) VALUES (%s, %s, %s, %s)",
                       [self.org, name, list(roles), bool(near) if connected is None else connected])
        for place, (kind, number) in enumerate(channels, 1):
            self.site.rows("INSERT INTO mayday.channel VALUES (%s, %s, %s, %s, %s)", [self.org, name, place, kind, number])
        if near:
            self.site.rows("INSERT INTO mayday.location (id, at, received_at, digest, org, sender, node, offline, person, position) "
                           "VALUES (mayday.new_id(), now(), now(), 0, %s, %s, 'n', false, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4326))",
                           [self.org, name, name, near[1], near[0]])
        return name

    def family(self, person, *contacts):
        for contact in contacts:
            self.site.rows("INSERT INTO mayday.contact VALUES (%s, %s, %s)", [self.org, person, contact])

    def plan(self, *levels, edition=1, **members):
        """One policy; levels as (after, targets, more members)."""
        body = {"v": 1, "policies": [{"name": "only", "levels": [
            {"after": after, "targets": targets, **(more[0] if more else {})} for after, targets, *more in levels], **members}]}
        self.site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, %s, %s)", [self.org, edition, json.dumps(body)])

    def client(self, sub, *roles, **options):
        return self.site.client(sub, roles or ("member",), org=self.org, client_id=f"{sub}:{m.uuid7()[-8:]}", **options)

    def raised(self, sub="ann", alert=None, **members):
        alert = alert or m.uuid7()
        with self.client(sub) as c:
            assert c.publish(m.topic("alert", alert, "raise", self.org), m.dump(m.raise_(**members))) == 0
        return alert

    def act(self, sub, role, alert, action, **members):
        """Returns the verdict. Whoever was invited a moment ago may have to wait until the broker knows."""
        body = m.message(action=action, **members)
        with self.client(sub, role, version=5) as c:
            wait_until(lambda: c.publish(m.topic("alert", alert, "action", self.org), m.dump(body)) == 0, f"{sub} may {action}")
        return wait_until(lambda: (rows := self.site.rows("SELECT verdict FROM mayday.action WHERE id = %s AND verdict IS NOT NULL", [body["id"]]))
                          and rows[0][0], f"{action} is judged")

    def told(self, alert, level=None, purpose=("raise", "forgotten"), round=None):
        """Who, by what; the family in brackets, webhooks by name."""
        rows = self.site.rows(
            "SELECT coalesce(CASE WHEN family THEN '(' || person || ')' ELSE person END, 'to ' || address), kind FROM mayday.notification "
            "WHERE alert = %s AND purpose = ANY (%s) AND level = coalesce(%s, level) AND round = coalesce(%s, round) ORDER BY 1, place",
            [alert, [purpose] if isinstance(purpose, str) else list(purpose), level, round])
        return [f"{who} {kind}" for who, kind in rows]

    def steps(self, alert):
        rows = self.site.rows("SELECT step, round, level FROM mayday.escalation_step WHERE alert = %s ORDER BY at, id", [alert])
        return [f"{round}.{level}" if step == "told" else step for step, round, level in rows]

    def escalation(self, alert):
        rows = self.site.rows("SELECT to_jsonb(e) FROM mayday.escalation e WHERE alert = %s", [alert])
        return rows[0][0] if rows else {}

    def wait(self, alert, *steps):
        wait_until(lambda: self.steps(alert) == list(steps), f"steps {steps}, not {self.steps(alert)}")
        return self.escalation(alert)

    def later(self, alert, seconds, *steps):
        pass_time(self.site, alert, seconds)
        return self.wait(alert, *steps)

    def still(self, alert, seconds, *steps):
        """Time passes, the engine looks, and nothing comes of it."""
        pass_time(self.site, alert, seconds)
        self.settled(alert)
        assert self.steps(alert) == list(steps)

    def settled(self, alert):
        wait_until(lambda: self.site.rows("SELECT 1 FROM mayday.escalation WHERE alert = %s AND due_at <= now()", [alert]) == [], "nothing is due")

    def statuses(self, alert, person):
        return [row[0] for row in self.site.rows("SELECT status FROM mayday.notification WHERE alert = %s AND person = %s ORDER BY made_at, place",
                                                 [alert, person])]

    def shown(self, alert, leaf="state"):
        return self.site.rows(f"SELECT mayday.{leaf}_of(%s, %s)", [self.org, alert])[0][0]


@pytest.fixture
def town(site, everywhere):
    return Town(site)


def role(name):
    return {"role": name}


def person(name):
    return {"person": name}


# ---- nobody answers ----

def test_who_has_no_plan_is_escalated_by_the_default_until_it_is_exhausted(town):
    for name, of in (("dora", "dispatcher"), ("sue", "supervisor"), ("far", "responder")):
        town.person(name, of)
    town.person("near", "responder", near=(-33.92, 18.42))
    town.person("mel", "member")
    town.family("ann", "mum")
    alert = town.raised(location={"lat": -33.9, "lon": 18.4})
    town.wait(alert, "0.1")
    assert town.told(alert, 1) == ["(mum) mqtt", "dora mqtt"]
    shown = wait_until(lambda: (s := town.shown(alert))["escalation"]["level"] == 1 and s, "level 1 is shown")
    assert "next_at" in shown["escalation"] and "status" not in shown["escalation"] and shown["version"] == 1
    assert town.shown(alert, "dispatch")["escalation"]["status"] == "running"
    town.still(alert, 295, "0.1")
    town.later(alert, 10, "0.1", "0.2")
    assert town.told(alert, 2) == ["near mqtt", "sue mqtt"]
    town.later(alert, 600, "0.1", "0.2", "0.3")
    assert town.told(alert, 3) == ["dora mqtt", "far mqtt", "near mqtt", "sue mqtt"]
    assert town.shown(alert, "dispatch")["invited"] == ["far", "near"], "dispatch sees everything as it is"
    town.later(alert, 300, "0.1", "0.2", "0.3", "1.1")
    assert town.told(alert, round=1) == ["(mum) mqtt", "dora mqtt"]
    for seconds, steps in ((310, ["1.2"]), (600, ["1.2", "1.3"])):
        town.later(alert, seconds, "0.1", "0.2", "0.3", "1.1", *steps)
    assert "exhausted_at" not in town.shown(alert)["escalation"]
    town.later(alert, 600, "0.1", "0.2", "0.3", "1.1", "1.2", "1.3", "exhausted")
    shown = town.shown(alert, "dispatch")
    assert shown["escalation"]["status"] == "exhausted" and "exhausted_at" in shown["escalation"] and "next_at" not in shown["escalation"]
    town.still(alert, 100000, "0.1", "0.2", "0.3", "1.1", "1.2", "1.3", "exhausted")


def test_a_dispatcher_who_is_connected_hears_that_nobody_answered(town):
    town.plan((0, [person("bob")]), pause=10, exhausted=[person("boss")])
    with town.client("dora", "dispatcher") as dora, town.client("sue", "supervisor") as sue:
        for c, of in ((dora, "dispatcher"), (sue, "supervisor")):
            assert c.subscribe(m.topic("role", of, "broadcast", town.org)) == [1]
        alert = town.raised()
        town.wait(alert, "0.1")
        town.later(alert, 11, "0.1", "exhausted")
        for c in (dora, sue):
            said = json.loads(c.receive().payload)
            assert "ann" in said["text"] and said["lang"] == "en"
    assert town.told(alert, purpose="exhausted") == ["boss mqtt"]
    kinds = [row[0] for row in town.site.rows("SELECT kind FROM mayday.audit_pending WHERE alert = %(a)s AND kind LIKE 'escalation.%%' UNION ALL "
                                              "SELECT kind FROM mayday.audit WHERE alert = %(a)s AND kind LIKE 'escalation.%%'", {"a": alert})]
    assert sorted(kinds) == ["escalation.exhausted", "escalation.told"]


def test_a_raiser_who_dispatches_does_not_hear_of_it_under_duress(town):
    town.person("dan", "dispatcher")
    town.person("dora", "dispatcher")
    town.plan((0, [person("bob")]), pause=10)
    alert = town.raised("dan")
    town.wait(alert, "0.1")
    town.site.rows("SELECT mayday.incident_duress(%s, %s, %s, 'dan', 1, 0, true)", [town.org, alert, m.uuid7()])
    with town.client("dan", "dispatcher") as dan, town.client("dora", "dispatcher") as dora, town.client("sue", "supervisor") as sue:
        for c, of in ((dan, "dispatcher"), (dora, "dispatcher"), (sue, "supervisor")):
            assert c.subscribe(m.topic("role", of, "broadcast", town.org)) == [1]
        for c, sub in ((dan, "dan"), (dora, "dora"), (sue, "sue")):
            assert c.subscribe(m.topic("user", sub, "inbox", town.org)) == [1]
        site_knows = "SELECT count(*) FROM mayday.person WHERE org = %s AND person IN ('dora', 'sue') AND roles && '{dispatcher,supervisor}'"
        town.site.wait_rows(site_knows, [(2,)], [town.org])
        town.later(alert, 11, "0.1", "exhausted")
        assert "dan" in json.loads(dora.receive().payload)["text"] and "dan" in json.loads(sue.receive().payload)["text"]
        town.site.wait_rows("SELECT count(*) FROM mayday.outbox WHERE org = %s", [(0,)], [town.org])
        assert dan.receives_nothing(), [(p.topic, p.payload) for p in dan.inbox]


# ---- somebody answers ----

TWO = [("mqtt", None), ("voice", "+27820000001")]


def test_an_answer_stops_it_and_what_was_forgotten_begins_again(town):
    town.person("dora", "dispatcher", channels=TWO, connected=True)
    town.family("ann", "mum")
    town.plan((0, [role("dispatcher"), {"family": True}], {"gap": 120}), (300, [person("sue")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.told(alert) == ["(mum) mqtt", "dora mqtt", "dora voice"]
    assert town.act("dora", "dispatcher", alert, "acknowledge") == "applied"
    assert town.statuses(alert, "dora")[1] == "withdrawn"
    assert "next_at" not in town.shown(alert)["escalation"] and town.shown(alert, "dispatch")["escalation"]["status"] == "answered"
    e = town.wait(alert, "0.1", "answered")
    assert e["status"] == "answered" and e["answered_by"] == ["dora"]
    town.still(alert, 1700, "0.1", "answered")
    assert town.act("dora", "dispatcher", alert, "assign", person="dora") == "applied"
    town.still(alert, 1700, "0.1", "answered")
    e = town.later(alert, 200, "0.1", "answered", "forgotten", "1.1")
    assert (e["forgotten"], e["first_round"], e["status"]) == (1, 1, "running")
    assert town.told(alert, purpose="forgotten") == ["dora mqtt", "dora voice"], "family was told that somebody has it"
    assert "next_at" in town.shown(alert)["escalation"]
    assert town.act("dora", "dispatcher", alert, "enroute") == "applied"
    assert town.wait(alert, "0.1", "answered", "forgotten", "1.1", "answered")["status"] == "answered"


def test_an_answer_that_was_given_before_it_was_forgotten_and_comes_late_stops_nothing(town):
    town.person("dora", "dispatcher", channels=TWO, connected=True)
    town.plan((0, [role("dispatcher")], {"gap": 120}), (300, [person("sue")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.act("dora", "dispatcher", alert, "acknowledge") == "applied"
    town.wait(alert, "0.1", "answered")
    before = time.time()
    town.later(alert, 1801, "0.1", "answered", "forgotten", "1.1")
    assert town.act("dan", "dispatcher", alert, "acknowledge", at=before, offline=True) == "illegal"
    town.settled(alert)
    assert (town.escalation(alert)["status"], town.escalation(alert)["answered_at"]) == ("running", None)
    assert town.act("dan", "dispatcher", alert, "acknowledge") == "illegal"
    town.wait(alert, "0.1", "answered", "forgotten", "1.1", "answered")


def test_somebody_else_who_answers_later_has_answered_too(town):
    for name in ("rob", "rita"):
        town.person(name, "responder", channels=TWO, connected=True)
    town.plan((0, [role("responder")], {"gap": 3600, "answer": "everyone"}), (300, [person("sue")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.act("rob", "responder", alert, "acknowledge") == "applied", "whoever was told may answer"
    e = wait_until(lambda: (e := town.escalation(alert))["answered_by"] == ["rob"] and e, "rob has answered")
    assert e["status"] == "running" and e["everyone"]
    assert town.statuses(alert, "rob")[1] == "withdrawn" and town.statuses(alert, "rita")[1] == "waiting"
    assert town.act("rita", "responder", alert, "acknowledge") == "illegal"
    e = town.wait(alert, "0.1", "answered")
    assert e["answered_by"] == ["rob", "rita"] and town.statuses(alert, "rita")[1] == "withdrawn"
    town.still(alert, 1000, "0.1", "answered")


def test_where_one_of_everyone_is_silent_the_next_level_is_told_and_asked(town):
    for name in ("rob", "rita"):
        town.person(name, "responder", connected=True)
    town.plan((0, [role("responder")], {"answer": "everyone"}), (300, [person("sue")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.act("rob", "responder", alert, "acknowledge") == "applied"
    town.settled(alert)
    e = town.later(alert, 301, "0.1", "0.2")
    assert (e["answered_at"], e["answered_by"], e["status"]) == (None, [], "running")
    assert town.act("sue", "supervisor", alert, "acknowledge") == "illegal"
    assert town.wait(alert, "0.1", "0.2", "answered")["status"] == "answered"


def test_closing_ends_it_and_reopening_begins_it_again(town):
    town.person("dora", "dispatcher", channels=TWO, connected=True)
    town.family("ann", "mum")
    town.plan((0, [role("dispatcher"), {"family": True}], {"gap": 120}), (300, [person("sue")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    town.site.rows("UPDATE mayday.notification SET status = 'sent' WHERE alert = %s AND family", [alert])
    assert town.act("ann", "member", alert, "cancel") == "applied"
    assert town.statuses(alert, "dora")[1] == "withdrawn" and "next_at" not in town.shown(alert)["escalation"]
    assert town.wait(alert, "0.1", "ended")["due_at"] is None
    wait_until(lambda: town.told(alert, purpose="canceled") == ["(mum) mqtt"], "mum hears that it was canceled")
    town.still(alert, 1000, "0.1", "ended")
    assert town.act("sue", "supervisor", alert, "reopen") == "applied"
    e = town.wait(alert, "0.1", "ended", "begun_again", "1.1")
    assert e["status"] == "running" and town.told(alert, round=1) == ["(mum) mqtt", "dora mqtt", "dora voice"]
    assert town.act("dora", "dispatcher", alert, "acknowledge") == town.act("dora", "dispatcher", alert, "resolve") == "applied"
    town.site.rows("UPDATE mayday.notification SET status = 'sent' WHERE alert = %s AND family", [alert])
    wait_until(lambda: town.escalation(alert)["status"] == "ended", "it has ended")
    wait_until(lambda: town.told(alert, purpose="resolved") == ["(mum) mqtt"], "mum hears that it is over")


# ---- by hand ----

def test_escalate_tells_the_next_level_or_the_one_it_names(town):
    town.plan((0, [person("a")]), (300, [person("b")]), (900, [person("c")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.act("ann", "member", alert, "escalate") == "applied"
    town.wait(alert, "0.1", "0.2")
    town.still(alert, 590, "0.1", "0.2")
    town.later(alert, 20, "0.1", "0.2", "0.3")
    assert town.act("dora", "dispatcher", alert, "escalate", level=2) == "applied"
    town.wait(alert, "0.1", "0.2", "0.3", "1.2")
    assert town.act("dora", "dispatcher", alert, "acknowledge") == "applied"
    town.wait(alert, "0.1", "0.2", "0.3", "1.2", "answered")
    assert town.act("dora", "dispatcher", alert, "escalate", level=20) == "applied"
    e = town.wait(alert, "0.1", "0.2", "0.3", "1.2", "answered", "1.3")
    assert e["status"] == "running" and town.told(alert, 3) == ["c mqtt", "c mqtt"]
    assert town.shown(alert)["escalation"]["level"] == 3
    assert town.act("c", "member", alert, "acknowledge") == "illegal"
    assert town.wait(alert, "0.1", "0.2", "0.3", "1.2", "answered", "1.3", "answered")["status"] == "answered"


def test_escalating_what_was_exhausted_begins_it_again(town):
    town.plan((0, [person("a")]), (30, [person("b")]), pause=10)
    alert = town.raised()
    town.wait(alert, "0.1")
    town.later(alert, 31, "0.1", "0.2")
    town.later(alert, 60, "0.1", "0.2", "exhausted")
    assert town.act("dora", "dispatcher", alert, "escalate") == "applied"
    e = town.wait(alert, "0.1", "0.2", "exhausted", "1.1")
    assert e["status"] == "running" and e["exhausted_at"] is None and "exhausted_at" not in town.shown(alert)["escalation"]
    town.later(alert, 31, "0.1", "0.2", "exhausted", "1.1", "1.2")
    town.later(alert, 60, "0.1", "0.2", "exhausted", "1.1", "1.2", "exhausted")


def test_a_hold_lets_it_wait_and_escalate_ends_the_hold(town):
    town.person("dora", "dispatcher", channels=TWO, connected=True)
    town.plan((0, [role("dispatcher")], {"gap": 120}), (300, [person("b")]), (900, [person("c")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    voice = "SELECT extract(epoch FROM due_at - now()) > 650 FROM mayday.notification WHERE alert = %s AND kind = 'voice'"
    assert town.act("dora", "dispatcher", alert, "hold") == "applied"
    e = town.wait(alert, "0.1", "held")
    assert e["status"] == "held" and town.site.rows(voice, [alert]) == [(True,)]
    shown = town.shown(alert, "dispatch")["escalation"]
    assert shown["status"] == "held" and shown["held_until"] == shown["next_at"]
    town.still(alert, 590, "0.1", "held")
    e = town.later(alert, 20, "0.1", "held", "0.2")
    assert e["status"] == "running" and e["held_until"] is None
    assert town.act("dora", "dispatcher", alert, "hold", seconds=3600) == "applied"
    town.wait(alert, "0.1", "held", "0.2", "held")
    assert town.act("dora", "dispatcher", alert, "escalate") == "applied"
    assert town.wait(alert, "0.1", "held", "0.2", "held", "0.3")["status"] == "running"
    assert town.site.rows(voice, [alert]) == [(False,)]


# ---- whom ----

def test_an_edited_plan_changes_nothing_that_is_under_way(town):
    town.plan((0, [person("a")]), (300, [person("b")]))
    alert = town.raised("ann")
    town.wait(alert, "0.1")
    town.plan((0, [person("x")]), (10, [person("y")]), edition=2)
    town.still(alert, 290, "0.1")
    town.later(alert, 20, "0.1", "0.2")
    other = town.raised("eve")
    town.wait(other, "0.1")
    assert town.told(alert) == ["a mqtt", "b mqtt"] and town.told(other) == ["x mqtt"]


def test_a_plan_that_cannot_be_read_still_tells_dispatch(town):
    town.person("dora", "dispatcher")
    town.site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 1, '{\"v\": 1, \"policies\": []}')", [town.org])
    alert = town.raised()
    assert town.wait(alert, "0.1")["policy"] == "last resort"
    assert town.told(alert) == ["dora mqtt"]


def test_policies_are_chosen_by_type_and_priority(town):
    level = {"after": 0, "targets": [person("x")]}
    body = {"v": 1, "policies": [{"name": "fire", "when": {"types": ["fire"]}, "levels": [level]},
                                 {"name": "urgent", "when": {"priorities": ["critical"]}, "levels": [level]},
                                 {"name": "rest", "levels": [level]}]}
    town.site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 1, %s)", [town.org, json.dumps(body)])
    for i, (kind, priority, policy) in enumerate((("fire", "low", "fire"), ("panic", "critical", "urgent"), ("panic", "high", "rest"))):
        alert = town.raised(f"p{i}", type=kind, priority=priority)
        assert town.wait(alert, "0.1")["policy"] == policy
        assert town.site.rows("SELECT DISTINCT rank FROM mayday.notification WHERE alert = %s", [alert]) == [({"low": 1, "high": 3}.get(priority, 4),)]


def test_everybody_is_reached_in_the_order_they_are_to_be(town):
    town.person("both", channels=[("sms", "+27820000002"), ("mqtt", None), ("voice", "+27820000002")])
    town.person("text", channels=[("sms", "+27820000003")])
    town.person("none")
    people = [person(p) for p in ("both", "text", "none")]
    town.plan((0, people, {"gap": 30}), (60, people, {"channels": ["voice", "sms"], "gap": 0}),
              (120, people, {"channels": ["mqtt"]}), (180, [{"webhook": "pager"}, person("ann")]))
    town.site.rows("UPDATE mayday.plan SET body = body || '{\"webhooks\": {\"pager\": \"https://pager.example.org\"}}' WHERE org = %s", [town.org])
    alert = town.raised()
    # Nobody is configured to carry texts here, so what phones alone were to get is found in the app in the end.
    for level, told in enumerate((["both sms", "both mqtt", "both voice", "none mqtt", "text sms", "text mqtt"],
                                  ["both voice", "both sms", "both mqtt", "none mqtt", "text sms", "text mqtt"],
                                  ["both mqtt", "none mqtt", "text mqtt"], ["to pager webhook"]), 1):
        town.wait(alert, *[f"0.{n}" for n in range(1, level + 1)])
        wait_until(lambda: town.told(alert, level) == told, f"level {level} is told: {told}")
        pass_time(town.site, alert, 61)
    rows = town.site.rows("SELECT kind, extract(epoch FROM expires_at - first_value(expires_at) OVER (ORDER BY place)), code ~ '^[0-9]{4}$' "
                          "FROM mayday.notification n WHERE alert = %s AND person = 'both' AND level = 1 ORDER BY place", [alert])
    assert rows == [("sms", 0, True), ("mqtt", 30, None), ("voice", 60, None)]
    codes = [c for c, in town.site.rows("SELECT code FROM mayday.notification WHERE address = '+27820000002' AND kind = 'sms'")]
    assert len(codes) == len(set(codes)) == 2


def test_the_nearest_who_are_free_are_told_and_anybody_where_the_place_is_not_known(town):
    for name, lat in (("n1", -33.901), ("n2", -33.91), ("n3", -33.95), ("ann", -33.9)):
        town.person(name, "responder", near=(lat, 18.4))
    town.person("away", "responder", near=(-33.9, 18.4), connected=False)
    town.plan((0, [{"nearest": 2}]), (60, [{"nearest": 9, "within": 2000}]))
    alert = town.raised("ann", location={"lat": -33.9, "lon": 18.4})
    town.wait(alert, "0.1")
    town.later(alert, 61, "0.1", "0.2")
    assert town.told(alert, 1) == ["n1 mqtt", "n2 mqtt"] and town.told(alert, 2) == ["n1 mqtt", "n2 mqtt"]
    town.act("dora", "dispatcher", alert, "assign", person="n1")
    lost = town.raised("eve")
    town.wait(lost, "0.1")
    assert len(town.told(lost, 1)) == 2 and not {"n1 mqtt", "away mqtt"} & set(town.told(lost, 1))


def test_a_team_takes_turns_at_the_same_local_time_all_year(town):
    sql = town.site.rows
    sql("INSERT INTO mayday.team VALUES (%s, 'watch', '{a,b,c}', '2026-03-26 07:00 Europe/Berlin', '1 day', 'Europe/Berlin')", [town.org])
    sql("INSERT INTO mayday.team VALUES (%s, 'short', '{a,b}', '2026-10-25 00:30 Europe/Berlin', '2 hours', 'Europe/Berlin')", [town.org])
    sql("INSERT INTO mayday.team VALUES (%s, 'odd', '{a,b}', '2026-03-01', '1 month', 'Nowhere/Atall')", [town.org])

    def on_call(team, at):
        return sql("SELECT mayday.on_call(%s, %s, %s)", [town.org, team, at])[0][0]

    for day, who in ((26, "a"), (27, "b"), (28, "c"), (29, "a"), (30, "b"), (31, "c")):  # the clocks go forward on the 29th
        before = {"a": "c", "b": "a", "c": "b"}[who]
        assert on_call("watch", f"2026-03-{day} 06:59:59 Europe/Berlin") == before, day
        assert on_call("watch", f"2026-03-{day} 07:00 Europe/Berlin") == who, day
    assert on_call("watch", "2026-10-24 07:00 Europe/Berlin") != on_call("watch", "2026-10-25 07:00 Europe/Berlin")
    assert on_call("watch", "2026-10-25 06:59 Europe/Berlin") == on_call("watch", "2026-10-24 07:00 Europe/Berlin")
    # an hour that comes twice does not bring the one before back
    turns = [on_call("short", f"2026-10-25 {at}Z") for at in ("00:29", "00:31", "00:59", "01:01", "01:31", "02:29", "03:31")]
    assert [k for k, _ in itertools.groupby(turns)] in (["a", "b", "a"], ["b", "a", "b"], ["a", "b"], ["b", "a"])
    assert on_call("odd", "2026-03-15 00:00Z") == "a" and on_call("odd", "2026-04-15 00:00Z") == "b" and on_call("odd", "2026-02-15 00:00Z") == "b"
    assert on_call("nobody", "2026-03-15 00:00Z") is None
    sql("INSERT INTO mayday.team_cover VALUES (%s, 'watch', 'stand-in', '2026-03-28 09:00Z', '2026-03-28 10:00Z')", [town.org])
    assert [on_call("watch", f"2026-03-28 {at}Z") for at in ("08:59:59", "09:00", "09:59:59", "10:00")] == ["c", "stand-in", "stand-in", "c"]
    town.plan((0, [{"team": "watch"}, {"team": "nobody"}]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.told(alert) == [f"{on_call('watch', 'now')} mqtt"]


# ---- family ----

def family_told(town, alert):
    town.site.rows("UPDATE mayday.notification SET status = 'sent', due_at = NULL WHERE alert = %s AND family AND purpose = 'raise'", [alert])


def test_family_hears_as_long_as_they_may_what_becomes_of_it(town):
    town.person("dora", "dispatcher")
    town.person("mum", "family", channels=[("voice", "+27820000005"), ("sms", "+27820000005")])
    town.family("ann", "mum", "dad", "dora")
    town.plan((0, [role("dispatcher"), {"family": True}], {"gap": 3600}), (60, [{"family": True}]))
    alert = town.raised()
    town.wait(alert, "0.1")
    assert town.told(alert) == ["(dad) mqtt", "(mum) voice", "(mum) sms", "dora mqtt"], "dora is told as what she is"
    family_told(town, alert)
    town.site.rows("DELETE FROM mayday.contact WHERE org = %s AND contact = 'dad'", [town.org])
    assert town.act("dora", "dispatcher", alert, "acknowledge") == "applied"
    wait_until(lambda: town.told(alert, purpose="acknowledged") == ["(mum) sms"], "one text, and none to whom she lets follow no more")
    assert town.site.rows("SELECT rank FROM mayday.notification WHERE alert = %s AND purpose = 'acknowledged'", [alert]) == [(1,)]
    assert town.act("dora", "dispatcher", alert, "resolve") == "applied"
    wait_until(lambda: town.told(alert, purpose="resolved") == ["(mum) sms"], "and that it is over")
    quiet = town.raised("bea")
    assert town.told(quiet, purpose=("raise", "acknowledged")) in ([], ["dora mqtt"]), "not everybody's family"


def test_family_that_does_not_follow_hears_of_the_alarm_alone(town):
    town.family("ann", "mum")
    town.plan((0, [{"family": True}]), family_follows=False)
    alert = town.raised()
    town.wait(alert, "0.1")
    family_told(town, alert)
    assert town.act("dora", "dispatcher", alert, "acknowledge") == town.act("dora", "dispatcher", alert, "resolve") == "applied"
    wait_until(lambda: town.escalation(alert)["due_at"] is None, "it has ended")
    assert town.told(alert, purpose=("acknowledged", "resolved")) == []


def test_under_duress_it_goes_on_and_the_family_hears_what_the_phone_shows(town):
    town.person("dora", "dispatcher")
    town.family("ann", "mum")
    town.plan((0, [role("dispatcher"), {"family": True}]), (300, [person("rob"), {"family": True}]), (600, [person("rita")]))
    with town.client("ann") as ann:
        assert ann.publish(m.topic("user", "ann", "settings", town.org), m.dump(m.message(pin="24680", duress_pin="13579", family=["mum"]))) == 0
    town.site.wait_rows("SELECT pin IS NOT NULL FROM mayday.person WHERE org = %s AND person = 'ann'", [(True,)], [town.org])
    alert = town.raised(type="general")
    town.wait(alert, "0.1")
    family_told(town, alert)
    assert town.act("ann", "member", alert, "cancel", pin="13579") == "duress"
    wait_until(lambda: town.told(alert, purpose="canceled") == ["(mum) mqtt"], "mum hears that it was canceled")
    shown = town.shown(alert)
    assert shown["status"] == "canceled" and "next_at" not in shown["escalation"]
    town.later(alert, 301, "0.1", "0.2")
    assert town.told(alert, 2) == ["rob mqtt"]
    assert town.site.rows("SELECT rank FROM mayday.notification WHERE alert = %s AND level = 2", [alert]) == [(4,)]
    assert town.shown(alert) == shown
    truth = town.shown(alert, "dispatch")
    assert truth["escalation"]["level"] == 2 and truth["escalation"]["status"] == "running"
    assert town.act("dora", "dispatcher", alert, "acknowledge") == town.act("dora", "dispatcher", alert, "resolve") == "applied"
    wait_until(lambda: town.escalation(alert)["due_at"] is None, "it has ended")
    assert town.told(alert, purpose=("acknowledged", "resolved")) == [] and town.told(alert, purpose="canceled") == ["(mum) mqtt"]
    said = town.site.rows("SELECT mayday.notification_facts(n)->>'by' FROM mayday.notification n WHERE n.alert = %s AND n.purpose = 'canceled'", [alert])
    assert said == [("ann",)], "also when it is said after dispatch resolved it"


def test_family_is_told_who_ended_it_and_not_who_tried_to(town):
    town.person("dora", "dispatcher")
    town.family("ann", "mum")
    town.plan((0, [{"family": True}]))
    alert = town.raised(type="general")
    town.wait(alert, "0.1")
    said = "SELECT mayday.notification_facts(n)->>'by' FROM mayday.notification n WHERE n.alert = %s AND n.family AND n.purpose = %s"
    family_told(town, alert)
    assert town.act("ann", "member", alert, "cancel") == "applied"
    wait_until(lambda: town.told(alert, purpose="canceled") == ["(mum) mqtt"], "mum hears that it was canceled")
    assert town.act("dora", "dispatcher", alert, "resolve") == "illegal"
    assert town.site.rows(said, [alert, "canceled"]) == [("ann",)]


# ---- presses, and what came late ----

def test_a_press_that_joined_another_has_no_escalation_and_makes_it_more_urgent(town):
    town.person("dora", "dispatcher", channels=TWO, connected=True)
    town.plan((0, [role("dispatcher")], {"gap": 3600}), (300, [person("b")]))
    alert = town.raised(type="general", priority="low")
    town.wait(alert, "0.1")
    repeat = town.raised(type="panic", priority="critical")
    town.site.wait_rows("SELECT joined_to::text FROM mayday.alert WHERE id = %s", [(alert,)], [repeat])
    assert town.site.rows("SELECT rank FROM mayday.notification WHERE alert = %s AND kind = 'voice'", [alert]) == [(4,)]
    town.settled(alert)
    assert town.escalation(repeat) == {} and town.steps(alert) == ["0.1"]
    assert town.act("dora", "dispatcher", repeat, "acknowledge") == "applied"
    town.wait(alert, "0.1", "answered")


def test_what_was_stored_late_waits_for_what_was_sent_without_the_database(town):
    due = "SELECT round(extract(epoch FROM due_at - now())) FROM mayday.escalation WHERE alert = %s"
    for age, offline, wait in (("10 seconds", False, 2), ("10 seconds", True, 2), ("1 second", False, 0)):
        rows = town.site.postgres.server.connect("postgres", town.site.postgres.name)
        alert = m.uuid7()
        try:
            rows.autocommit = False
            with rows.cursor() as c:
                c.execute("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline) "
                          "VALUES (%s, %s, 'eve', now(), now() - %s::interval, 'panic', 'critical', false, %s)", [town.org, alert, age, offline])
                c.execute(due, [alert])
                assert c.fetchone() == (wait,)
            rows.rollback()
        finally:
            rows.close()


# ---- the engine ----

def test_it_sleeps_until_something_is_due_and_wakes_by_itself(town):
    town.plan((0, [person("a")]), (3, [person("b")]), (100000, [person("c")]))
    alert = town.raised()
    town.wait(alert, "0.1")
    town.wait(alert, "0.1", "0.2")
    last = "SELECT query_start FROM pg_stat_activity WHERE application_name LIKE 'mayday-gateway escalator%%' AND datname = current_database()"
    town.site.rows("DELETE FROM mayday.escalation WHERE due_at <= now() + interval '1 minute'")
    wait_until(lambda: (before := town.site.rows(last)) and (time.sleep(1.5) or town.site.rows(last)) == before, "the engine asks nothing")


def test_one_that_cannot_be_stored_does_not_stop_the_others(town):
    sql = town.site.rows
    town.plan((0, [person("poison")]), edition=1)
    sql("ALTER TABLE mayday.notification ADD CONSTRAINT no_poison CHECK (person <> 'poison')")
    try:
        bad = town.raised("bad")
        failed = "SELECT count(*) FROM (SELECT kind, alert FROM mayday.audit_pending UNION ALL SELECT kind, alert FROM mayday.audit) a " \
                 "WHERE kind = 'escalation.failed' AND alert = %s"
        town.site.wait_rows(failed, [(1,)], [bad])
        town.plan((0, [person("a")]), edition=2)
        good = town.raised("good")
        town.wait(good, "0.1")
        assert town.steps(bad) == [] and "no_poison" in town.escalation(bad)["fault"]
        for _ in range(3):  # it is tried again, and its reason is not said again
            before = town.escalation(bad)["due_at"]
            pass_time(town.site, bad, 5)
            wait_until(lambda: town.escalation(bad)["due_at"] > before, "it is tried again")
        assert sql(failed, [bad]) == [(1,)]
    finally:
        sql("ALTER TABLE mayday.notification DROP CONSTRAINT no_poison")
    town.later(bad, 5, "0.1")
    assert town.escalation(bad)["fault"] is None


def test_the_timeline_holds_steps_and_notifications_without_addresses(town):
    town.person("dora", "dispatcher", channels=[("mqtt", None), ("sms", "+27820009999")])
    alert = town.raised()
    town.wait(alert, "0.1")
    town.site.rows("INSERT INTO mayday.attempt (id, notification, org, alert, provider, gateway, pid, pid_since, until, outcome) "
                   "SELECT mayday.new_id(), id, org, alert, 'twilio-sms', 'gw1', 1, now(), now(), 'sent' FROM mayday.notification WHERE alert = %s LIMIT 1",
                   [alert])
    rows = town.site.postgres.sql("SELECT kind, detail FROM mayday.timeline(%s)", [alert], user="mayday_console")
    kinds = [kind for kind, _ in rows]
    assert {"raise", "escalation", "notification", "attempt"} <= set(kinds)
    assert ("escalation", {"step": "told", "round": 0, "level": 1, "people": 1}) in rows
    assert "+2782" not in json.dumps(rows)


@pytest.mark.parametrize("user", ["mayday_console", "mayday_plugin"])
def test_who_need_not_know_numbers_and_texts_gets_none(town, user):
    town.person("dora", "dispatcher", channels=[("sms", "+27820009998")])
    alert = town.raised()
    town.wait(alert, "0.1")
    sql = town.site.postgres.sql
    for query in ("SELECT * FROM mayday.channel", "SELECT address FROM mayday.notification", "SELECT body FROM mayday.notification",
                  "SELECT code FROM mayday.notification", "SELECT * FROM mayday.number_note", "SELECT * FROM mayday.provider_event",
                  f"SELECT * FROM mayday.places_of('{town.org}', 'dora')", f"SELECT * FROM mayday.ways_of('{town.org}', 'dora', NULL)",
                  f"SELECT mayday.standby_snapshot('{town.org}')", "SELECT mayday.choices('+27820009998')", "SELECT mayday.who_has('+27820009998')",
                  f"SELECT mayday.notification_facts(id) FROM mayday.notification WHERE alert = '{alert}'", "SELECT mayday.mail_take('[]')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            sql(query, user=user)


def test_two_gateways_do_each_step_once(town):
    town.plan((0, [person("a"), person("b")]), (60, [person("c")]), (120, [person("d")]), rounds=2, pause=60)
    with town.site.gateway("gw2", gateway__organisations="").start_unready():
        with town.client("ann", "gateway") as ann:
            alerts = [m.uuid7() for _ in range(150)]
            for n, alert in enumerate(alerts):
                assert ann.publish(m.topic("alert", alert, "raise", town.org), m.dump(m.raise_(person=f"p{n}"))) == 0
            town.site.wait_rows("SELECT count(*) FROM mayday.escalation WHERE org = %s AND level = 1", [(150,)], [town.org])
        expected = ["0.1"]
        for step in ("0.2", "0.3", "1.1", "1.2", "1.3", "exhausted"):
            expected.append(step)
            town.site.rows("UPDATE mayday.escalation SET begun_at = begun_at - interval '60 s', due_at = due_at - interval '60 s' WHERE org = %s", [town.org])
            town.site.rows("SELECT pg_notify('mayday_escalation', '')")
            town.site.wait_rows("SELECT count(*) FROM (SELECT FROM mayday.escalation_step WHERE org = %s GROUP BY alert HAVING count(*) = %s) s",
                                [(150,)], [town.org, len(expected)])
        for alert in alerts[::10]:
            assert town.steps(alert) == expected
            assert len(town.told(alert)) == 8


def test_a_gateway_killed_at_any_moment_neither_loses_nor_doubles_a_step(own_site):
    """Sixty times."""
    rng = random.Random(4)
    with own_site() as site:
        town = Town(site)
        town.plan((0, [person("a"), person("b")]), (60, [person("c")]), (120, [person("d")]))
        alerts = []
        for n in range(60):
            gateway = site.gateway("doomed", gateway__organisations="").start_unready()
            wait_until(lambda: site.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'mayday-gateway escalator doomed'"), "it is connected")
            with town.client("ann", "gateway") as ann:
                for k in range(8):
                    alerts.append(m.uuid7())
                    assert ann.publish(m.topic("alert", alerts[-1], "raise", town.org), m.dump(m.raise_(person=f"p{n}-{k}"))) == 0
            site.rows("UPDATE mayday.escalation SET begun_at = begun_at - interval '60 s', due_at = due_at - interval '60 s' WHERE org = %s "
                      "AND level < 3", [town.org])
            site.rows("SELECT pg_notify('mayday_escalation', '')")
            time.sleep(rng.uniform(0, 0.03))
            gateway.kill()
        with site.gateway("last", gateway__organisations="").start_unready():
            def done():
                site.rows("UPDATE mayday.escalation SET begun_at = begun_at - interval '60 s', due_at = due_at - interval '60 s' WHERE org = %s "
                          "AND level BETWEEN 1 AND 2 AND due_at > now()", [town.org])
                site.rows("SELECT pg_notify('mayday_escalation', '')")
                return site.rows("SELECT count(*) FROM mayday.escalation WHERE org = %s AND level = 3", [town.org]) == [(len(alerts),)]

            wait_until(done, "all were told all levels", 60)
        for alert in alerts:
            assert town.steps(alert) == ["0.1", "0.2", "0.3"]
            assert town.told(alert) == ["a mqtt", "b mqtt", "c mqtt", "d mqtt"]


def test_a_gateway_that_stands_still_in_the_middle_of_a_step_lets_go_of_the_incident(postgres, tmp_path):
    """As one whose host is gone without a word: whoever answers must not wait for it. With a database of its own, so that no other
    gateway takes the step."""
    from conftest import Database

    postgres.sql("CREATE DATABASE stands_still TEMPLATE template_mayday", database="postgres")
    with Site(tmp_path / "site", Database(postgres, "stands_still")) as site:
        town = Town(site, "stillness")
        town.plan((0, [person("a")]))
        alert = town.raised()
        wait_until(lambda: town.escalation(alert), "it is stored")
        with closing(site.postgres.server.connect(database=site.postgres.name)) as blocker:
            blocker.autocommit = False
            blocker.cursor().execute("LOCK TABLE mayday.plan IN ACCESS EXCLUSIVE MODE")
            with site.gateway("frozen", gateway__organisations="").start_unready() as frozen:
                session = "SELECT state FROM pg_stat_activity WHERE application_name = 'mayday-gateway escalator frozen'"
                wait_until(lambda: site.rows(session + " AND wait_event_type = 'Lock'"), "it has claimed and reads the plan")
                frozen.signal(signal.SIGSTOP)
                blocker.close()
                site.wait_rows(session, [("idle in transaction",)])
                town.act("dora", "dispatcher", alert, "acknowledge")
                site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("acknowledged",)], [alert])
                frozen.signal(signal.SIGCONT)
                town.wait(alert, "answered")


def test_a_gateway_that_reconnects_leaves_nobody_waiting(postgres, tmp_path):
    """While something it needs is locked."""
    from conftest import Database

    postgres.sql("CREATE DATABASE left_waiting TEMPLATE template_mayday", database="postgres")
    with Site(tmp_path / "site", Database(postgres, "left_waiting")) as site, site.gateway("gw1"):
        with closing(site.postgres.server.connect(database=site.postgres.name)) as blocker:
            blocker.autocommit = False
            blocker.cursor().execute("LOCK TABLE mayday.plan IN ACCESS EXCLUSIVE MODE")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s AND wait_event_type = 'Lock'"
            ended = "canceling statement due to statement timeout"
            wait_until(lambda: ended in (site.postgres.server.folder / "log").read_text(errors="replace"), "the server ends a statement", 60)
            assert site.rows(waiting, ["mayday-gateway standby%"])[0][0] <= 8


def test_more_than_a_step_can_hold_is_told_one_by_one(town):
    """Together they would take longer than a gateway waits for an answer."""
    town.plan((0, [person("a")]))
    slow = f"""CREATE FUNCTION mayday.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2.2); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON mayday.notification FOR EACH ROW WHEN (NEW.org = '{town.org}') EXECUTE FUNCTION mayday.be_slow();
        CREATE FUNCTION mayday.be_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.due_at := now() + interval '1 hour'; RETURN NEW; END $$;
        CREATE TRIGGER late BEFORE INSERT ON mayday.escalation FOR EACH ROW WHEN (NEW.org = '{town.org}') EXECUTE FUNCTION mayday.be_late()"""
    town.site.rows(slow)
    try:
        alerts = [town.raised(f"p{n}") for n in range(6)]
        town.site.wait_rows("SELECT count(*) FROM mayday.escalation WHERE org = %s", [(6,)], [town.org])
        town.site.rows("UPDATE mayday.escalation SET due_at = now() WHERE org = %s", [town.org])
        town.site.rows("SELECT pg_notify('mayday_escalation', '')")
        wait_until(lambda: all(town.steps(alert) == ["0.1"] for alert in alerts), "all are told", 60)
    finally:
        town.site.rows("DROP FUNCTION mayday.be_slow() CASCADE; DROP FUNCTION mayday.be_late() CASCADE")


def test_what_was_open_before_there_was_escalation_is_escalated_when_somebody_asks_for_it(town):
    town.plan((0, [person("a")]), (60, [person("b")]))
    old, reopened = town.raised("ann"), town.raised("ben")
    for alert in old, reopened:
        town.wait(alert, "0.1")
        for table in "notification", "escalation_step", "escalation":
            town.site.rows(f"DELETE FROM mayday.{table} WHERE alert = %s", [alert])
    assert town.act("dora", "dispatcher", old, "acknowledge") == "applied"
    assert town.escalation(old) == {}
    assert town.act("dora", "dispatcher", old, "escalate") == "applied"
    town.wait(old, "0.1")
    for action in "acknowledge", "resolve":
        assert town.act("dora", "dispatcher", reopened, action) == "applied"
    assert town.escalation(reopened) == {}
    assert town.act("sue", "supervisor", reopened, "reopen") == "applied"
    wait_until(lambda: town.told(reopened) == ["a mqtt"], "it is told")


def test_one_of_some_organisations_sleeps_until_theirs_is_due(town):
    sleep = lambda *orgs: town.site.rows("SELECT mayday.escalation_sleep(%s)", [list(orgs) or None])[0][0]
    for org, due in (("sleep1", 60), ("sleep2", 30)):
        town.site.rows("INSERT INTO mayday.escalation (org, alert, edition_org, edition, policy, due_at) "
                       "VALUES (%s, mayday.new_id(), '*', 1, 'default', clock_timestamp() + %s * interval '1 second')", [org, due])
    try:
        assert 50000 < sleep("sleep1") <= 60000 and 20000 < sleep("sleep1", "sleep2") <= 30000
        assert sleep("sleep3") is None and sleep() <= 30000
    finally:
        town.site.rows("DELETE FROM mayday.escalation WHERE org LIKE 'sleep%'")


def test_an_acknowledgement_in_the_moment_of_a_step_comes_before_it_or_after_it(town):
    """Two threads at once, again and again; after an acknowledgement nobody is told."""
    rng = random.Random(7)
    town.plan((0, [person("a")]), (60, [person("b")]), (120, [person("c")]))
    after = before = 0
    with town.client("dora", "dispatcher") as dora:
        for n in range(60):
            alert = town.raised(f"p{n}")
            town.wait(alert, "0.1")
            # Whoever came last so far gets a head start, on a machine of any speed.
            body, lead = m.message(action="acknowledge"), rng.uniform(-0.01, 0.01) + 0.005 * (after - before)
            passing = threading.Thread(target=lambda: (time.sleep(max(0, -lead)), pass_time(town.site, alert, 61)))
            passing.start()
            time.sleep(min(max(0, lead), 0.2))
            assert dora.publish(m.topic("alert", alert, "action", town.org), m.dump(body)) == 0
            passing.join()
            e = wait_until(lambda: (e := town.escalation(alert))["status"] == "answered" and e, "it is answered")
            told = town.steps(alert)
            assert told in (["0.1", "answered"], ["0.1", "0.2", "answered"])
            after, before = after + (len(told) == 2), before + (len(told) == 3)
            assert e["level"] == len(told) - 1
            late = town.site.rows("SELECT n.made_at > e.answered_at, n.status FROM mayday.notification n JOIN mayday.escalation e USING (org, alert) "
                                  "WHERE n.alert = %s AND n.purpose = 'raise'", [alert])
            assert all(not made_after and status != "waiting" for made_after, status in late)
    assert after and before, f"both happened: {after} {before}"
