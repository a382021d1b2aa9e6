"""What an incident is over its life: who may do what when, who belongs to it, PINs and duress, late data. Some tests go through a real
broker, most through the writer alone; nothing here needs a gateway: what it would publish is read from the database."""
import json
import random
import re
import subprocess
import time

import jsonschema
import pytest

from support import messages as m
from support.drain import Drain
from support.messages import message, raise_, uuid7
from support.site import ROOT, wait_until

PLUGIN = "mayday_plugin"
HOUR = 3600


@pytest.fixture(scope="module", autouse=True)
def people(database):
    """Whom Mayday has met: nobody else can be assigned."""
    database.sql("INSERT INTO mayday.person (org, person) SELECT 'acme', unnest(ARRAY['bob', 'rob', 'ines', 'dora', 'dirk', 'sue'])"
                 " ON CONFLICT DO NOTHING")
    database.sql("INSERT INTO mayday.person (org, person) VALUES ('rival', 'roger')")


class Writer:
    """What was accepted goes to the database; then its truth is read."""

    def __init__(self, database, folder, **options):
        self.database, self.folder, self.options, self.runs = database, folder, options, 0
        self.said = []

    def run(self, *sent, **options):
        """Each of `sent`: (sender, roles, alert, leaf, message). All in one journal; returns when they are in the database."""
        self.runs += 1
        d = Drain(self.folder / f"journal{self.runs}-{random.getrandbits(32)}", self.database.dsn(PLUGIN), **{"wait": 1000, **self.options, **options})
        try:
            for sender, roles, alert, leaf, body in sent:
                family, id_ = ("user", sender) if leaf == "settings" else ("alert", alert)
                d.send(family, id_, leaf, body, sender=sender, roles=roles)
            d.finish()
            self.said = d.lines
            return d
        finally:
            d.__exit__()

    def act(self, sender, roles, alert, action, **members):
        """One action; its verdict."""
        body = message(action=action, **members)
        self.run((sender, roles, alert, "action", body))
        return self.verdict(body)

    def verdict(self, body):
        return self.database.sql("SELECT verdict FROM mayday.action WHERE id = %s", [body["id"]])[0][0]

    def raised(self, person, **members):
        alert = uuid7()
        self.run((person, "member", alert, "raise", raise_(**members)))
        return alert

    def settings(self, person, **members):
        body = message(**members)
        self.run((person, "member", None, "settings", body))
        return self.database.sql("SELECT verdict FROM mayday.setting WHERE id = %s", [body["id"]])[0][0]

    def state(self, alert):
        return self.database.sql("SELECT mayday.state_of('acme', %s)", [alert], user="mayday_gateway")[0][0]

    def dispatch(self, alert):
        return self.database.sql("SELECT mayday.dispatch_of('acme', %s)", [alert], user="mayday_gateway")[0][0]

    def relation(self, alert, person):
        rows = self.database.sql("SELECT relation FROM mayday.membership WHERE family = 'alert' AND id = %s AND person = %s AND until IS NULL",
                                 [alert, person])
        return rows[0][0] if rows else None

    def rejected(self, person):
        return [row[0] for row in self.database.sql("SELECT payload FROM mayday.outbox WHERE lane = %s AND leaf = 'rejected' ORDER BY entry",
                                                    [f"user/{person}"])]


@pytest.fixture
def writer(database, tmp_path):
    return Writer(database, tmp_path)


def conforms(schema, value):
    """Against the shipped schema, by an implementation that is not ours."""
    jsonschema.validate(value, json.loads((ROOT / "schemas" / f"{schema}.json").read_text()))


def at(seconds):
    return time.time() + seconds


# ---- legal transitions ----

OPEN = ("active", "acknowledged", "enroute", "on_scene")
STATUSES = (*OPEN, "resolved", "canceled")
ROLES = {  # who: relation, roles
    "raiser": ("raiser", ["member"]),
    "assigned": ("assigned", ["responder"]),
    "invited": ("invited", ["member"]),
    "dispatcher": (None, ["dispatcher"]),
    "supervisor": (None, ["supervisor"]),
}
EVERYBODY = set(ROLES)
DESK = {"dispatcher", "supervisor"}
LEGAL = {  # action: (who, {from: to})
    "acknowledge": (DESK | {"assigned", "invited"}, {"active": "acknowledged"}),
    "assign": (DESK, {s: s for s in OPEN}),
    "unassign": (DESK, {s: s for s in OPEN}),
    "invite": (DESK | {"assigned"}, {s: s for s in OPEN}),
    "escalate": (EVERYBODY, {s: s for s in OPEN}),
    "cancel": ({"raiser"}, {"active": "canceled", "acknowledged": "canceled"}),
    "resolve": (DESK | {"assigned"}, {s: "resolved" for s in ("acknowledged", "enroute", "on_scene")}),
    "reopen": ({"supervisor"}, {"resolved": "active", "canceled": "active"}),
    "note": (EVERYBODY, {s: s for s in STATUSES}),
    "enroute": ({"dispatcher", "assigned"}, {"acknowledged": "enroute", "enroute": "enroute", "on_scene": "on_scene"}),
    "on_scene": ({"dispatcher", "assigned"}, {"enroute": "on_scene", "on_scene": "on_scene"}),
}


def expected(who, action, status):
    allowed, moves = LEGAL[action]
    if who not in allowed:
        return "not_allowed", status
    if status not in moves:
        return "illegal", status
    return ("noted" if action == "note" else "applied"), moves[status]


def test_every_action_in_every_status_by_everybody_over_mqtt(site):
    """The whole table: 5 people, 6 statuses, 11 actions, each on an incident of its own, in its verdict, its status and its version."""
    cases = [(who, action, status, uuid7()) for who in ROLES for action in LEGAL for status in STATUSES]
    before = site.rows("SELECT count(*) FROM mayday.membership WHERE until IS NULL")[0][0]
    for who, action, status, alert in cases:
        site.rows("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline, status, run_from,"
                  " version, closed_at) VALUES ('acme', %s, %s, now(), now(), 'panic', 'critical', false, false, %s, %s, 5,"
                  " CASE WHEN %s IN ('resolved', 'canceled') THEN now() END)",
                  [alert, "t-raiser" if who == "raiser" else "t-other", status, status, status])
        if ROLES[who][0]:
            site.rows("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, %s, %s)",
                      [alert, f"t-{who}", ROLES[who][0]])
    mine = sum(1 for case in cases if ROLES[case[0]][0])
    wait_until(lambda: site.figure("memberships") >= before + mine, "the broker knows who belongs")
    sent = {}
    for who, (_, roles) in ROLES.items():
        with site.client(f"t-{who}", roles, version=5) as client:
            for case in (c for c in cases if c[0] == who):
                members = {"person": "bob"} if case[1] in ("assign", "unassign", "invite") else {"reason": "so"} if case[1] == "note" else {}
                body = message(action=case[1], **members)
                assert client.publish(m.topic("alert", case[3], "action"), m.dump(body)) == 0
                sent[case[3]] = body["id"]
    site.wait_rows("SELECT count(*) FROM mayday.action WHERE verdict IS NOT NULL AND sender LIKE 't-%%'", [(len(cases),)])
    rows = site.rows("SELECT a.id::text, x.verdict, a.status, a.version, x.from_status, x.to_status, a.closed_at IS NOT NULL"
                     " FROM mayday.alert a JOIN mayday.action x ON x.alert = a.id WHERE x.sender LIKE 't-%%'")
    found = {row[0]: row[1:] for row in rows}
    wrong = []
    for who, action, status, alert in cases:
        verdict, to = expected(who, action, status)
        want = (verdict, to, 6 if verdict == "applied" else 5, status, to, to in ("resolved", "canceled"))
        if found[alert] != want:
            wrong.append((who, action, status, found[alert], want))
    assert not wrong, wrong[:5]
    told = site.rows("SELECT payload->>'id', payload->>'code', payload->>'detail' FROM mayday.outbox WHERE leaf = 'rejected'")
    codes = {row[0]: row[1] for row in told}
    refused = {sent[c[3]]: expected(*c[:3])[0] for c in cases if expected(*c[:3])[0] not in ("applied", "noted")}
    assert {id_: codes.get(id_) for id_ in refused} == refused
    assert any("'resolve' is not possible while the incident is active (version 5)" == row[2] for row in told)


def test_state_and_dispatch_say_what_happened_and_obey_their_schemas(writer):
    alert = writer.raised("s-ann", location={"lat": 1.5, "lon": 2.5}, type="medical", silent=True)
    first = writer.state(alert)
    assert (first["version"], first["status"], first["type"], first["priority"], first["raised_by"]) == (1, "active", "medical", "critical", "s-ann")
    assert set(first["receipts"]) == {"received", "stored"} and first["location"] == {"lat": 1.5, "lon": 2.5} and first["assigned"] == []
    writer.act("dora", "dispatcher", alert, "acknowledge")
    writer.act("dora", "dispatcher", alert, "assign", person="bob")
    writer.act("dora", "dispatcher", alert, "invite", person="ines")
    writer.run(("s-ann", "member", alert, "location", m.location(lat=3, lon=4)))
    assert writer.database.sql("SELECT mayday.mark_delivered('acme', %s, now()), mayday.mark_delivered('acme', %s, now()),"
                               " mayday.mark_notified('acme', %s)", [alert] * 3, user="mayday_gateway") == [(True, False, True)]
    state, dispatch = writer.state(alert), writer.dispatch(alert)
    assert (state["version"], state["status"], state["assigned"]) == (6, "acknowledged", ["bob"])
    assert set(state["receipts"]) == {"received", "stored", "notified", "delivered", "acknowledged"}
    assert state["receipts"]["acknowledged"]["by"] == "dora" and state["location"]["lat"] == 3
    assert dispatch["invited"] == ["ines"] and dispatch["presses"] == 1 and dispatch["silent"] is True and dispatch["cause"] == "person"
    assert writer.state(alert) == state, "said again, it is the same message"
    for schema, value in (("state", first), ("state", state), ("dispatch", dispatch)):
        conforms(schema, value)


@pytest.mark.parametrize("type_, priority", [("panic", "critical"), ("medical", "critical"), ("fire", "critical"), ("security", "high"), ("general", "medium")])
def test_the_priority_follows_from_the_type(writer, type_, priority):
    assert writer.state(writer.raised(f"prio-{type_}", type=type_))["priority"] == priority


def test_a_stale_console_changes_nothing_and_is_told(writer):
    alert = writer.raised("st-ann")
    assert writer.act("dora", "dispatcher", alert, "acknowledge", expected_version=1) == "applied"
    assert writer.act("dirk", "dispatcher", alert, "resolve", expected_version=1) == "stale"
    told = writer.rejected("dirk")[-1]
    assert told["code"] == "stale" and told["detail"] == "the incident is at version 2 (acknowledged), and no more at 1: look again"
    assert writer.state(alert)["status"] == "acknowledged"
    assert writer.act("dirk", "dispatcher", alert, "resolve", expected_version=2) == "applied"


def test_two_dispatchers_acknowledge_in_the_same_millisecond(site):
    for _ in range(5):
        alert = uuid7()
        person = f"two-{alert[-6:]}"
        with site.client(person) as ann, site.client("dora", ["dispatcher"]) as dora, site.client("dirk", ["dispatcher"]) as dirk:
            ann.publish(m.topic("alert", alert, "raise"), m.dump(raise_()))
            sent = [message(action="acknowledge") for _ in range(2)]
            for client, body in zip((dora, dirk), sent):
                client.send_publish(m.topic("alert", alert, "action"), m.dump(body))
            site.wait_rows("SELECT count(*) FROM mayday.action WHERE alert = %s AND verdict IS NOT NULL", [(2,)], [alert])
        assert sorted(site.rows("SELECT verdict FROM mayday.action WHERE alert = %s", [alert])) == [("applied",), ("illegal",)]
        assert site.rows("SELECT version, acknowledged_by IN ('dora', 'dirk') FROM mayday.alert WHERE id = %s", [alert]) == [(2, True)]
        loser = site.rows("SELECT sender, id::text FROM mayday.action WHERE alert = %s AND verdict = 'illegal'", [alert])[0]
        told = site.rows("SELECT payload->>'code' FROM mayday.outbox WHERE lane = %s AND payload->>'id' = %s", [f"user/{loser[0]}", loser[1]])
        assert told == [("illegal",)]


def test_two_brokers_acknowledge_at_once(database, tmp_path):
    """Two writers, each with its own journal; whatever the order, one is applied and nothing is lost."""
    alerts = [uuid7() for _ in range(30)]
    first = Writer(database, tmp_path)
    first.run(*[(f"tb-{i}", "member", alert, "raise", raise_()) for i, alert in enumerate(alerts)])
    drains = [Drain(tmp_path / name, database.dsn(PLUGIN), node=name) for name in ("b1", "b2")]
    try:
        for n, d in enumerate(drains):
            for alert in alerts if n == 0 else reversed(alerts):
                d.send("alert", alert, "action", message(action="acknowledge"), sender=("dora", "dirk")[n], roles="dispatcher")
        for d in drains:
            assert d.finish()["dead_letters"] == 0
    finally:
        for d in drains:
            d.__exit__()
    rows = database.sql("SELECT array_agg(x.verdict ORDER BY x.verdict), a.version FROM mayday.alert a JOIN mayday.action x ON x.alert = a.id"
                        " WHERE a.id = ANY (%s::uuid[]) GROUP BY a.id, a.version", [alerts])
    assert len(rows) == 30 and all(row == (["applied", "illegal"], 2) for row in rows)


def test_unknown_incidents_and_foreign_people_are_refused(writer):
    assert writer.act("dora", "dispatcher", uuid7(), "acknowledge") == "unknown_alert"
    alert = writer.raised("f-ann")
    for person in ("roger", "nobody", "f-'; DROP TABLE mayday.alert; --"):
        assert writer.act("dora", "dispatcher", alert, "assign", person=person) == "unknown_person"
        assert writer.relation(alert, person) is None
    assert writer.state(alert)["version"] == 1
    assert writer.rejected("dora")[-1]["code"] == "unknown_person"


def test_an_action_that_comes_twice_counts_once(writer):
    alert = writer.raised("tw-ann")
    assign = ("dora", "dispatcher", alert, "action", message(action="assign", person="bob"))
    unassign = ("dora", "dispatcher", alert, "action", message(action="unassign", person="bob"))
    writer.run(assign, assign, unassign)
    writer.run(assign)
    assert writer.relation(alert, "bob") is None
    assert writer.state(alert)["version"] == 3


# ---- belonging ----

def test_membership_follows_actions_family_consent_and_closing(writer):
    assert writer.settings("b-ann", family=["mum", "dad", "b-ann"]) == "applied"
    alert = writer.raised("b-ann")
    assert [writer.relation(alert, p) for p in ("b-ann", "mum", "dad")] == ["raiser", "family", "family"]
    assert writer.settings("b-ann", family=["mum", "aunt"]) == "applied"
    assert [writer.relation(alert, p) for p in ("mum", "dad", "aunt")] == ["family", None, "family"]
    writer.database.sql("INSERT INTO mayday.person (org, person) VALUES ('acme', 'mum') ON CONFLICT DO NOTHING")
    writer.act("dora", "dispatcher", alert, "assign", person="mum")
    assert writer.relation(alert, "mum") == "assigned"
    writer.act("dora", "dispatcher", alert, "unassign", person="mum")
    assert writer.relation(alert, "mum") == "family", "the consent goes on"
    writer.act("dora", "dispatcher", alert, "assign", person="b-ann")
    writer.database.sql("INSERT INTO mayday.person (org, person) VALUES ('acme', 'b-ann') ON CONFLICT DO NOTHING")
    writer.act("dora", "dispatcher", alert, "unassign", person="b-ann")
    assert writer.relation(alert, "b-ann") == "raiser"
    writer.act("dora", "dispatcher", alert, "assign", person="bob")
    writer.act("bob", "responder", alert, "acknowledge")
    writer.act("bob", "responder", alert, "resolve")
    retire = "SELECT mayday.retire_incidents(%s)"
    writer.database.sql(retire, ["1 hour"], user="mayday_gateway")
    assert writer.relation(alert, "bob") == "assigned" and writer.state(alert)["status"] == "resolved"
    writer.database.sql(retire, ["0"], user="mayday_gateway")
    assert [writer.relation(alert, p) for p in ("b-ann", "mum", "bob")] == [None] * 3
    assert writer.state(alert) is None and writer.dispatch(alert) is None
    assert writer.act("bob", "responder", alert, "note", reason="late") == "not_allowed"
    assert writer.act("sue", "supervisor", alert, "reopen") == "applied"
    assert [writer.relation(alert, p) for p in ("b-ann", "mum", "bob", "dad")] == ["raiser", "family", "assigned", None]
    assert writer.state(alert)["status"] == "active"


def test_repeated_presses_join_the_open_incident(writer):
    alert = writer.raised("j-ann", type="general")
    ids = [uuid7() for _ in range(25)]
    writer.run(*[("j-ann", "member", id_, "raise", raise_(type="general")) for id_ in ids])
    rows = dict(writer.database.sql("SELECT id::text, joined_to::text FROM mayday.alert WHERE raised_by = 'j-ann'"))
    assert rows.pop(alert) is None and len(rows) == 20 and set(rows.values()) == {alert}
    dispatch = writer.dispatch(alert)
    assert (dispatch["presses"], dispatch["version"], dispatch["priority"]) == (26, 1, "medium")
    one_by_one = [writer.raised("j-ann", type="general") for _ in range(3)]
    left = {r[0] for r in writer.database.sql("SELECT id::text FROM mayday.alert WHERE joined_to = %s", [alert])}
    assert len(left) == 20 and left > set(one_by_one) and left - set(one_by_one) < set(rows), "the newest are those the phone goes by"
    joined = writer.state(one_by_one[-1])
    assert (joined["joined"], joined["status"], joined["version"]) == (alert, "active", 1)
    conforms("state", joined)
    for put_away in set(rows) - left:
        assert writer.state(put_away) is None and writer.relation(put_away, "j-ann") is None
    assert writer.act("dora", "dispatcher", one_by_one[0], "acknowledge") == "applied", "the id that was pressed means the incident"
    assert writer.state(alert)["status"] == writer.state(one_by_one[1])["status"] == "acknowledged"
    assert "presses" not in writer.dispatch(one_by_one[0]) and writer.dispatch(one_by_one[0])["joined"] == alert
    said = "SELECT count(DISTINCT lane) FROM mayday.outbox WHERE kind = 'state' AND lane = ANY (%s)"
    writer.database.sql("DELETE FROM mayday.outbox")
    writer.raised("j-ann", type="panic")
    assert writer.database.sql(said, [[f"alert/{id_}" for id_ in (alert, *left)]]) == [(21,)], "those that joined say it, too"
    assert (writer.state(alert)["priority"], writer.state(alert)["version"]) == ("critical", 3), "more urgent than it was"
    writer.act("dora", "dispatcher", alert, "resolve")
    other = writer.raised("j-ann")
    assert "joined" not in writer.state(other)
    writer.options["join"] = 0
    time.sleep(0.01)
    assert "joined" not in writer.state(writer.raised("j-ann"))


def test_presses_beyond_the_rate_are_one(writer, tmp_path):
    d = Drain(tmp_path / "flood", writer.database.dsn(PLUGIN), wait=2000)
    try:
        ids = [uuid7() for _ in range(50)]
        for id_ in ids:
            d.process.stdin.write(json.dumps({"org": "acme", "sender": "flood", "roles": "member", "payload": raise_(), "repeat": True,
                                              "topic": m.topic("alert", id_, "raise")}) + "\n")
        d.finish()
    finally:
        d.__exit__()
    assert writer.database.sql("SELECT id::text FROM mayday.alert WHERE raised_by = 'flood'") == [(ids[-1],)]
    assert writer.database.sql("SELECT count(*) FROM mayday.raise WHERE sender = 'flood'") == [(50,)]


def test_only_the_gateway_raises_for_somebody_else(writer):
    one, two = uuid7(), uuid7()
    writer.run(("gw", "gateway", one, "raise", raise_(person="g-ann")), ("g-eve", "member", two, "raise", raise_(person="g-bea")))
    assert writer.state(one)["raised_by"] == "g-ann" and writer.relation(one, "g-ann") == "raiser" and writer.relation(one, "gw") is None
    assert writer.state(two)["raised_by"] == "g-eve"


# ---- PINs ----

def test_pins_are_needed_once_set_and_guessing_is_locked_and_audited(writer):
    person = "p-ann"
    assert writer.settings(person, pin="24680", duress_pin="13579") == "applied"
    assert writer.settings(person, pin="11111") == "bad_pin"
    assert writer.settings(person, pin="11111", current_pin="99999") == "bad_pin"
    assert writer.settings(person, pin="13579", current_pin="24680") == "same_pins"
    assert writer.settings(person, pin="46802", duress_pin="35791", current_pin="24680") == "applied"
    alert = writer.raised(person)
    assert writer.act(person, "member", alert, "cancel") == "bad_pin"
    guesses = [("p-ann", "member", alert, "action", message(action="cancel", pin=f"{n:05}")) for n in range(6)]
    writer.run(*guesses)
    assert [writer.verdict(g[4]) for g in guesses] == ["bad_pin"] * 4 + ["pin_locked"] * 2
    assert writer.act(person, "member", alert, "cancel", pin="46802") == "pin_locked", "also the right one"
    assert writer.settings(person, pin="11111", current_pin="46802") == "pin_locked"
    assert writer.state(alert)["status"] == "active"
    assert {t["code"] for t in writer.rejected(person)} == {"bad_pin", "same_pins", "pin_locked"}
    kinds = dict(writer.database.sql("SELECT kind, count(*) FROM mayday.audit_pending WHERE actor = %s AND kind LIKE 'pin.%%' GROUP BY 1", [person]))
    assert kinds["pin.locked"] == 1 and kinds["pin.wrong"] >= 6
    writer.database.sql("UPDATE mayday.person SET pin_locked_until = now() WHERE person = %s", [person])
    assert writer.act(person, "member", alert, "cancel", pin="46802") == "applied"
    assert writer.state(alert)["status"] == "canceled" and writer.relation(alert, person) == "former"
    assert writer.database.sql("SELECT pin_failures FROM mayday.person WHERE person = %s", [person]) == [(0,)]


def test_without_a_pin_a_cancel_needs_none(writer):
    alert = writer.raised("np-ann")
    assert writer.act("np-ann", "member", alert, "cancel") == "applied"
    assert writer.relation(alert, "np-ann") == "former"
    assert writer.act("np-ann", "member dispatcher", alert, "note", reason="me again") == "not_allowed"
    assert writer.act("sue", "supervisor", alert, "reopen") == "applied"
    assert writer.relation(alert, "np-ann") == "raiser"


def neutral(value, names):
    """Without what must differ between two people: ids, times, and their names."""
    text = json.dumps(value, sort_keys=True)
    for name in names:
        text = text.replace(name, "NAME")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)


def raisers_view(writer, person, alerts):
    """Everything that can reach the phone of the raiser."""
    db = writer.database
    lanes = [f"alert/{a}" for a in alerts] + [f"user/{person}"]
    seen = {
        "states": [writer.state(a) for a in alerts],
        "said": db.sql("SELECT lane, kind, leaf, payload FROM mayday.outbox WHERE lane = ANY (%s) AND kind <> 'dispatch' ORDER BY entry", [lanes]),
        "belongs": db.sql("SELECT id, relation, until IS NULL FROM mayday.membership WHERE person = %s ORDER BY array_position(%s, id)",
                          [person, alerts]),
    }
    names = [person, *alerts]
    return neutral(seen, names)


def test_duress_shows_nothing_on_the_raisers_side(writer):
    """Two people live through the same evening; one cancels with the PIN, the other with the duress PIN."""
    views, ids, db = {}, {}, writer.database
    for person, pin in (("d-true", "24680"), ("d-forced", "13579")):
        view, alert, repeat, later = [], uuid7(), uuid7(), uuid7()
        ids[person] = alert, repeat, later

        def look():
            view.append(raisers_view(writer, person, [alert, repeat, later]))

        writer.settings(person, pin="24680", duress_pin="13579", family=["d-mum"])
        writer.run((person, "member", alert, "raise", raise_(type="security", location={"lat": 1, "lon": 2})),
                   (person, "member", repeat, "raise", raise_(type="security")))
        writer.act("dora", "dispatcher", alert, "acknowledge")
        writer.act("dora", "dispatcher", alert, "assign", person="bob")
        look()
        body = message(action="cancel", pin=pin)
        writer.run((person, "member", alert, "action", body))
        look()
        assert writer.relation(alert, person) == writer.relation(repeat, person) == "former"
        assert writer.state(alert)["status"] == "canceled" and writer.state(repeat)["status"] == "canceled"
        assert set(writer.state(alert)) - {"location"} == {"v", "id", "ts", "version", "status", "type", "priority", "raised_by", "raised_at",
                                                          "assigned", "receipts", "escalation"}
        # what others do now, and what whoever holds the phone tries
        writer.act("dora", "dispatcher", alert, "enroute")
        db.sql("SELECT mayday.mark_delivered('acme', %s, now()), mayday.mark_notified('acme', %s)", [alert, alert], user="mayday_gateway")
        writer.run((person, "member", alert, "action", message(action="cancel", pin="24680")),
                   (person, "member supervisor", alert, "action", message(action="reopen")),
                   (person, "member dispatcher", repeat, "action", message(action="resolve", expected_version=1)),
                   (person, "member", alert, "action", message(action="note", reason="x")),
                   (person, "member", alert, "action", message(action="cancel", pin=pin, offline=True, at=at(-5))),
                   (person, "member", alert, "raise", raise_()))
        look()
        writer.run((person, "member", later, "raise", raise_()))
        look()
        db.sql("SELECT mayday.retire_incidents('0')", user="mayday_gateway")
        look()
        assert writer.state(alert) is None and writer.state(repeat) is None and writer.state(later)["status"] == "active"
        assert writer.relation(alert, person) == "past" and writer.relation(alert, "d-mum") is None
        views[person] = view
    for step, (true, forced) in enumerate(zip(views["d-true"], views["d-forced"])):
        assert true == forced, f"step {step}"
    assert writer.dispatch(ids["d-true"][0]) is None
    truth = writer.dispatch(ids["d-forced"][0])
    assert (truth["status"], truth["priority"]) == ("enroute", "critical") and "duress_at" in truth
    conforms("dispatch", truth)
    assert writer.relation(ids["d-forced"][0], "bob") == "assigned"
    assert writer.act("dora", "dispatcher", ids["d-forced"][0], "resolve") == "applied"
    assert writer.dispatch(ids["d-forced"][0])["status"] == "resolved" and writer.state(ids["d-forced"][0]) is None


def test_the_duress_pin_calls_for_help_also_where_nothing_can_be_canceled(writer):
    person = "q-ann"
    writer.settings(person, pin="24680", duress_pin="13579")
    for case in ("locked", "under way", "settings"):
        alert = writer.raised(person, type="general")
        if case == "locked":
            writer.run(*[(person, "member", alert, "action", message(action="cancel", pin="0000")) for _ in range(5)])
        elif case == "under way":
            for action in ("acknowledge", "enroute"):
                writer.act("dora", "dispatcher", alert, action)
        before, said = writer.state(alert), len(writer.database.sql("SELECT FROM mayday.outbox WHERE lane = %s AND kind = 'state'", [f"alert/{alert}"]))
        if case == "settings":
            assert writer.settings(person, pin="55555", current_pin="13579") == "applied"
        else:
            assert writer.act(person, "member", alert, "cancel", pin="13579") == ("pin_locked" if case == "locked" else "illegal")
        assert writer.state(alert) == before, "not a letter of it changes"
        assert len(writer.database.sql("SELECT FROM mayday.outbox WHERE lane = %s AND kind = 'state'", [f"alert/{alert}"])) == said
        assert writer.relation(alert, person) == "raiser"
        truth = writer.dispatch(alert)
        assert truth["priority"] == "critical" and "duress_at" in truth and truth["status"] == before["status"]
        writer.database.sql("UPDATE mayday.person SET pin_locked_until = NULL, pin_failures = 0 WHERE person = %s", [person])
        if case != "under way":
            writer.act(person, "member", alert, "cancel", pin="24680")
            assert writer.state(alert)["status"] == "canceled" and writer.state(alert)["priority"] == "medium"
            assert writer.dispatch(alert)["status"] == "active", "once they called for help, no PIN ends it"
        writer.act("dora", "dispatcher", alert, "acknowledge")
        writer.act("dora", "dispatcher", alert, "resolve")
        assert writer.dispatch(alert)["status"] == "resolved"


def test_settings_do_not_tell_which_of_two_pins_somebody_gave(writer):
    """Whoever forced a PIN out of somebody tries it here, and what they set with it afterwards."""
    seen = []
    for person, pin in (("o-true", "24680"), ("o-forced", "13579")):
        writer.settings(person, pin="24680", duress_pin="13579")
        alert = writer.raised(person)
        said = [writer.settings(person, current_pin=pin, **change) for change in (
            {"pin": pin}, {"pin": "55555"})]
        said += [writer.settings(person, pin="66666", current_pin=old) for old in (pin, "55555")]
        said.append(writer.settings(person, pin="4444", duress_pin="4444", current_pin="66666"))
        said.append(writer.act(person, "member", alert, "cancel", pin="55555"))
        for _ in range(5):
            writer.act(person, "member", alert, "cancel", pin="66666", expected_version=1000)
        writer.act(person, "member", alert, "cancel", pin="66666")
        said += [[r["code"] for r in writer.rejected(person)], writer.state(alert)["status"], writer.relation(alert, person)]
        seen.append(said)
    assert seen[0] == seen[1]
    assert seen[0][:5] == ["applied", "applied", "bad_pin", "applied", "same_pins"] and seen[0][-2:] == ["canceled", "former"]
    assert writer.dispatch(alert)["status"] == "active" and "duress_at" in writer.dispatch(alert)
    again = writer.raised("o-forced")
    assert writer.act("o-forced", "member", again, "cancel", pin="24680") == "applied", "their own PIN is still theirs"


def test_no_pin_is_anywhere_in_the_database(writer):
    pins = {"pin": "731905551", "duress_pin": "731905552"}
    person = "n-ann"
    writer.settings(person, **pins)
    writer.settings(person, pin="731905553", duress_pin="731905554", current_pin="731905551")
    alert = writer.raised(person)
    for pin in ("731905556", "731905553"):
        writer.act(person, "member", alert, "cancel", pin=pin)
    bad = message(action="cancel", pin="731905557")
    writer.run((person, "member", alert, "action", bad), (person, "member", alert, "action", {**bad, "reason": "other content"}))
    writer.run((person, "member", None, "settings", message(pin="731905558", current_pin="731905559", lang={"not": "a text"})))
    assert writer.database.sql("SELECT count(*) FROM mayday.dead_letter WHERE sender = %s", [person]) == [(2,)]
    dump = subprocess.run(["pg_dump", writer.database.dsn()], check=True, capture_output=True).stdout
    assert person.encode() in dump and b"pbkdf2-sha256$" in dump
    assert b"73190555" not in dump and b"73190555".hex().encode() not in dump


# ---- late data ----

def settled(writer, alert):
    """The incident as it came out, without versions and the times of the server."""
    a = writer.database.sql("SELECT status, acknowledged_by, acknowledged_at, escalation_level, closed_at IS NULL FROM mayday.alert WHERE id = %s", [alert])
    members = writer.database.sql("SELECT person, relation, until IS NULL FROM mayday.membership WHERE id = %s ORDER BY 1", [alert])
    return a, [member for member in members if member[2]]


def verdicts(writer, bodies):
    rows = writer.database.sql("SELECT id::text, verdict = 'applied', from_status, to_status FROM mayday.action WHERE id = ANY (%s::uuid[])",
                               [[b["id"] for b in bodies]])
    found = {row[0]: row[1:] for row in rows}
    return [found[b["id"]] for b in bodies]


def test_of_two_late_edits_the_one_done_first_wins_and_both_are_in_the_timeline(writer):
    alert = writer.raised("l-ann")
    writer.act("dora", "dispatcher", alert, "acknowledge")
    writer.act("dora", "dispatcher", alert, "assign", person="bob")
    base = time.time()
    resolve = message(at=base + 0.3, action="resolve", offline=True)
    cancel = message(at=base + 0.2, action="cancel", offline=True)
    time.sleep(0.5)
    writer.run(("bob", "responder", alert, "action", resolve))
    assert writer.verdict(resolve) == "applied" and writer.state(alert)["status"] == "resolved"
    writer.run(("l-ann", "member", alert, "action", cancel))
    assert (writer.verdict(cancel), writer.verdict(resolve)) == ("applied", "displaced")
    assert writer.state(alert)["status"] == "canceled" and writer.relation(alert, "l-ann") == "former"
    assert writer.rejected("bob")[-1]["code"] == "displaced" and writer.rejected("bob")[-1]["id"] == resolve["id"]
    shown = {row[0]: row[1] for row in writer.database.sql("SELECT id::text, detail->>'verdict' FROM mayday.timeline(%s)", [alert])}
    assert shown[cancel["id"]] == "applied" and shown[resolve["id"]] == "displaced"


def test_what_was_done_online_is_never_undone(writer):
    alert = writer.raised("o-ann")
    base = time.time()
    time.sleep(0.05)
    writer.act("dora", "dispatcher", alert, "acknowledge")
    writer.act("dora", "dispatcher", alert, "resolve")
    cancel = message(at=base, action="cancel", offline=True)
    writer.run(("o-ann", "member", alert, "action", cancel))
    assert writer.verdict(cancel) == "illegal" and writer.state(alert)["status"] == "resolved"


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_clocks_an_hour_off_change_nothing_that_matters(writer, skew):
    person = f"c-ann{skew}"
    alert = uuid7(at(skew))
    raised = m.message(at=at(skew), type="panic", offline=True)
    writer.run((person, "member", alert, "raise", raised))
    ack, resolve = message(at=at(skew), action="acknowledge", offline=True), message(at=at(skew + 1), action="resolve")
    writer.run(("dora", "dispatcher", alert, "action", ack))
    writer.run(("dora", "dispatcher", alert, "action", resolve))
    state = writer.state(alert)
    assert state["status"] == "resolved" and state["raised_at"] == raised["ts"] and writer.dispatch(alert)["offline"] is True
    row = writer.database.sql("SELECT done_at BETWEEN a.received_at - interval '1 ms' AND x.received_at FROM mayday.action x JOIN mayday.alert a ON a.id = x.alert"
                              " WHERE x.id = %s", [ack["id"]])
    assert row == [(True,)], "no clock reaches beyond what we saw ourselves"


def late_actions(count, seed):
    """What responders did without a connection, in the order they did it."""
    rng = random.Random(seed)
    people = [("dora", "dispatcher"), ("dirk", "dispatcher"), ("sue", "supervisor")]
    made = []
    for _ in range(count):
        sender, roles = rng.choice(people)
        action = rng.choice(["acknowledge", "assign", "unassign", "invite", "escalate", "enroute", "on_scene", "resolve", "reopen", "assign"])
        members = {"person": rng.choice(["bob", "rob", "ines"])} if action in ("assign", "unassign", "invite") else {}
        made.append((sender, roles, message(action=action, offline=True, **members)))
    return made


@pytest.mark.parametrize("count, batches", [(1000, 1), (120, 12)])
def test_late_actions_in_any_order_come_out_the_same(writer, count, batches):
    made, outcomes = late_actions(count, count), []
    for order in ("as done", "shuffled"):
        person = f"late{count}-{order[0]}"
        alert = writer.raised(person)
        # the same evening once more: new ids in the same order, the same moments
        base = int(time.time() * 1000) + 1
        moments = [m.moment((base + i + 0.5) / 1000) for i in range(count)]
        bodies = [{**body, "id": uuid7((base + i + 0.5) / 1000), "ts": moments[i]} for i, (_, _, body) in enumerate(made)]
        time.sleep(count / 1000 + 0.1)
        sent = [(sender, roles, alert, "action", body) for (sender, roles, _), body in zip(made, bodies)]
        if order == "shuffled":
            random.Random(7).shuffle(sent)
            sent += sent[:50]  # and some of them twice
        size = -(-len(sent) // batches)
        for begin in range(0, len(sent), size):
            writer.run(*sent[begin:begin + size], timeout=120)
        a, members = settled(writer, alert)
        outcomes.append((a[0][0], a[0][1], moments.index(moment_of(a[0][2])) if a[0][2] else None, a[0][3], a[0][4],
                         [(who if who != person else "RAISER", relation) for who, relation, _ in members], verdicts(writer, bodies)))
    assert [(i, one, two) for i, (one, two) in enumerate(zip(outcomes[0][-1], outcomes[1][-1])) if one != two] == []
    assert outcomes[0][:-1] == outcomes[1][:-1]
    assert sum(v[0] for v in outcomes[0][-1]) > count // 5


def moment_of(value):
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


# ---- what somebody answered by phone ----

def test_an_answer_by_phone_is_that_person_s_own(writer):
    alert = writer.raised("ph-ann")
    body = message(action="acknowledge", by="ph-rob")
    writer.run(("gw1", "gateway", alert, "action", body))
    row = writer.database.sql('SELECT sender, "by", via, verdict, to_status FROM mayday.action WHERE id = %s', [body["id"]])
    assert row == [("ph-rob", "ph-rob", "gw1", "applied", "acknowledged")]
    assert writer.state(alert)["receipts"]["acknowledged"]["by"] == "ph-rob"
    assert writer.relation(alert, "ph-rob") == "assigned" and writer.relation(alert, "gw1") is None
    assert writer.state(alert)["assigned"] == ["ph-rob"]
    said = writer.database.sql("SELECT actor, detail->>'via' FROM mayday.audit_pending WHERE kind = 'incident.acknowledge' AND alert = %s", [alert])
    assert said == [("ph-rob", "gw1")]


@pytest.mark.parametrize("relation, action, verdict", [
    (None, "acknowledge", "applied"), (None, "escalate", "applied"), (None, "note", "noted"),
    ("invited", "acknowledge", "applied"), ("assigned", "acknowledge", "applied"),
    ("raiser", "acknowledge", "not_allowed"), ("raiser", "escalate", "applied"), ("raiser", "note", "noted"),
    ("family", "acknowledge", "not_allowed"), ("family", "escalate", "not_allowed"), ("family", "note", "not_allowed"),
    ("former", "acknowledge", "not_allowed"), ("past", "acknowledge", "not_allowed"),
    (None, "resolve", "not_allowed"), ("assigned", "resolve", "not_allowed"), (None, "assign", "not_allowed"), ("raiser", "cancel", "not_allowed"),
])
def test_who_may_do_what_by_phone(writer, relation, action, verdict):
    who = f"pw-{relation}-{action}"
    alert = writer.raised(who if relation == "raiser" else f"{who}-ann")
    if relation not in (None, "raiser"):
        writer.database.sql("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, %s, %s)", [alert, who, relation])
    members = {"reason": "so"} if action == "note" else {"person": "bob"} if action == "assign" else {}
    assert writer.act("gw1", "gateway", alert, action, by=who, **members) == verdict
    assert writer.state(alert)["status"] == ("acknowledged" if (action, verdict) == ("acknowledge", "applied") else "active")
    if verdict == "not_allowed":
        assert writer.rejected("gw1")[-1]["code"] == "not_allowed" and not writer.rejected(who), "its sender is told"
        said = "SELECT actor, detail->>'via' FROM mayday.audit_pending WHERE kind = 'incident.refused' AND alert = %s"
        assert writer.database.sql(said, [alert]) == [(who, "gw1")]


def test_nobody_but_a_gateway_answers_for_another(writer):
    """The broker refuses it; a journal that holds it nevertheless changes nothing for the one it names."""
    alert = writer.raised("pn-ann")
    body = message(action="acknowledge", by="pn-rob")
    writer.run(("pn-eve", "member", alert, "action", body))
    assert writer.database.sql("SELECT sender, via, verdict FROM mayday.action WHERE id = %s", [body["id"]]) == [("pn-eve", None, "not_allowed")]
    assert writer.relation(alert, "pn-rob") is None


def test_an_answer_by_phone_over_mqtt(site):
    alert = uuid7()
    with site.client("pm-ann", version=5) as ann, site.client("gw-phone", ["gateway"], version=5) as gateway, \
            site.client("pm-dora", ["dispatcher"], version=5) as dora:
        at_action = m.topic("alert", alert, "action")
        ann.publish(m.topic("alert", alert, "raise"), m.dump(raise_()))
        for client, sent in ((dora, {"action": "acknowledge", "by": "pm-rob"}), (ann, {"action": "escalate", "by": "pm-rob"}), (gateway, {"action": "acknowledge"})):
            assert client.publish(at_action, m.dump(message(**sent))) == 0x87, sent
        assert gateway.publish(at_action, m.dump(message(action="resolve", by="pm-rob"))) == 0x87, "by the schema"
        body = message(action="acknowledge", by="pm-rob")
        assert gateway.publish(at_action, m.dump(body)) == 0
        site.wait_rows("SELECT sender, verdict FROM mayday.action WHERE id = %s", [("pm-rob", "applied")], [body["id"]])
    assert site.rows("SELECT count(*) FROM mayday.action WHERE alert = %s", [alert]) == [(1,)]
