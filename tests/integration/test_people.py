"""Who is there, who is on duty, and who is nearest: from what brokers saw and people said."""
import json
import time

import psycopg2
import pytest

from support import messages as m
from support.messages import uuid7

NOW = time.time()


class Scene:
    """One organisation of its own in the database of the tests. Times are seconds from the beginning."""

    def __init__(self, database, org):
        self.database, self.org = database, org

    def sql(self, statement, params=None, user="postgres"):
        return self.database.sql(statement, params, user)

    def event(self, kind, at, person=None, *, client=None, roles=None, node="n1", org=None, sender=None, **more):
        id_ = uuid7(NOW + at)
        columns = {"id": id_, "digest": 0, "org": org or self.org, "sender": sender or person or "-", "node": node, "offline": False, "kind": kind,
                   "person": person, "client": client or person, "roles": json.dumps(roles) if roles is not None else None, **more}
        names = ", ".join(columns)
        self.sql(f"INSERT INTO mayday.event ({names}, at, received_at) SELECT {', '.join(['%s'] * len(columns))}, t, t "
                 "FROM to_timestamp(%s) t", [*columns.values(), NOW + at])
        return id_

    def settle(self, function, ids):
        self.sql(f"SELECT mayday.{function}(%s::uuid[])", [list(ids)], user="mayday_plugin")

    def events(self, *events):
        """One batch."""
        self.settle("settle_events", events)

    def duty(self, person, status, at, *, arrives=None, offline=False):
        id_ = uuid7(NOW + at)
        self.sql("INSERT INTO mayday.duty (id, at, received_at, digest, org, sender, node, offline, person, status) "
                 "VALUES (%s, to_timestamp(%s), to_timestamp(%s), 0, %s, %s, 'n1', %s, %s, %s)",
                 [id_, NOW + at, NOW + (at if arrives is None else arrives), self.org, person, offline, person, status])
        return id_

    def presence(self, person):
        return self.sql("SELECT mayday.presence_of(%s, %s)", [self.org, person], user="mayday_gateway")[0][0]

    def posted(self):
        """Whose presence waits to be said; takes it away."""
        return sorted(lane.removeprefix("user/") for lane, in self.sql(
            "DELETE FROM mayday.outbox WHERE org = %s AND kind = 'presence' RETURNING lane", [self.org]))

    def connected(self):
        return [person for person, in self.sql("SELECT person FROM mayday.person WHERE org = %s AND connected ORDER BY 1", [self.org])]


@pytest.fixture
def scene(database, request):
    return Scene(database, request.node.name[:100].replace("/", "-"))


def spelled(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW + at))


def test_a_person_is_connected_as_long_as_any_session_of_theirs_is(scene):
    scene.events(scene.event("connect", 0, "ann", roles=["member"], client="ann/phone"))
    assert scene.presence("ann")["connected"] is True and scene.posted() == ["ann"]
    scene.events(scene.event("connect", 1, "ann", roles=["device"], client="ann/watch", node="n2"))
    scene.events(scene.event("disconnect", 2, "ann", client="ann/phone"))
    assert scene.presence("ann")["connected"] is True and scene.posted() == [], "nothing changed, nothing is said"
    scene.events(scene.event("disconnect", 3, "ann", client="ann/watch", node="n2"))
    assert scene.presence("ann")["connected"] is False and scene.posted() == ["ann"]
    assert scene.presence("ann")["since"].startswith(spelled(3))


def test_presence_is_as_its_schema_says(scene):
    assert scene.presence("nobody") is None
    scene.events(scene.event("connect", 0, "ann", roles=["member"]))
    said = scene.presence("ann")
    assert set(said) == {"v", "id", "ts", "connected", "since"} and said["v"] == 1
    scene.settle("settle_duty", [scene.duty("ann", "busy", 1)])
    assert scene.presence("ann")["duty"] == "busy"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_last_event_of_a_client_in_a_batch_is_true_in_any_order_of_rows(scene, order):
    events = [scene.event("connect", 0, "ann", roles=["member"]), scene.event("disconnect", 1, "ann"),
              scene.event("connect", 2, "ann", roles=["member"])]
    scene.events(*[events[n] for n in order])
    assert scene.connected() == ["ann"] and scene.presence("ann")["since"].startswith(spelled(2))
    scene.events(scene.event("disconnect", 3, "ann"), scene.event("connect", 4, "ann"), scene.event("disconnect", 5, "ann"))
    assert scene.connected() == []


def test_a_broker_that_starts_has_no_sessions_from_before(scene):
    node = scene.org
    scene.events(*[scene.event("connect", n, f"p{n}", roles=["member"], node=node) for n in range(3)],
                 scene.event("connect", 3, "p2", roles=["member"], client="p2/other", node="elsewhere"))
    assert scene.posted() == ["p0", "p1", "p2"]
    scene.events(scene.event("connect", 4, "late", roles=["member"], node=node), scene.event("start", 5, node=node, org="-"),
                 scene.event("connect", 6, "p1", roles=["member"], node=node))
    assert scene.connected() == ["p1", "p2"]
    assert scene.posted() == ["late", "p0"], "p1 came back in the same batch, p2 is connected elsewhere; late is new, and known to be gone"
    assert scene.presence("p0")["since"].startswith(spelled(5))
    scene.events(scene.event("stop", 7, node=node, org="-"))
    assert scene.connected() == ["p2"]


def test_a_gateway_is_nobody_but_has_its_connection(scene):
    scene.events(scene.event("connect", 0, "gateway-1", roles=["gateway"]))
    assert scene.sql("SELECT person FROM mayday.connection WHERE org = %s", [scene.org]) == [("gateway-1",)]
    assert scene.presence("gateway-1") is None and scene.posted() == []
    scene.events(scene.event("disconnect", 1, "gateway-1"))
    assert scene.sql("SELECT FROM mayday.connection WHERE org = %s", [scene.org]) == []
    assert scene.presence("gateway-1") is None and scene.posted() == []


def test_the_directory_has_the_roles_of_the_newest_token_of_the_person(scene):
    def known(person="ann"):
        return scene.sql("SELECT roles, extract(epoch FROM first_seen - to_timestamp(%s))::integer, "
                         "extract(epoch FROM last_seen - to_timestamp(%s))::integer FROM mayday.person "
                         "WHERE org = %s AND person = %s", [NOW, NOW, scene.org, person])
    scene.events(scene.event("connect", 1, "ann", roles=["member"]), scene.event("connect", 2, "ann", roles=["officer", "member"]))
    assert known() == [(["officer", "member"], 1, 2)]
    scene.events(scene.event("connect", 3, "ann", roles=["device"], client="ann:watch"))
    assert known() == [(["officer", "member"], 1, 3)], "a watch does not say who its person is"
    scene.events(scene.event("connect", 2.5, "ann", roles=["supervisor"], client="ann/old", node="n2"))
    assert known() == [(["officer", "member"], 1, 3)], "a late report of an older token"
    scene.events(scene.event("disconnect", 9, "ann"))
    assert known() == [(["officer", "member"], 1, 9)]
    scene.events(scene.event("connect", 10, "ann", roles=[]))
    assert known() == [([], 1, 10)], "all roles were taken away"
    scene.events(scene.event("connect", 1, "button", roles=["device"]))
    assert known("button") == [(["device"], 1, 1)]


def test_a_client_id_taken_over_by_another_person_ends_the_first_ones_session(scene):
    scene.events(scene.event("connect", 0, "ann", roles=["member"], client="ann/bob/x"))
    scene.events(scene.event("connect", 1, "ann/bob", roles=["member"], client="ann/bob/x"))
    assert scene.connected() == ["ann/bob"]


def test_every_event_goes_to_the_audit(scene):
    kinds = ["connect", "disconnect", "refused_connect", "refused", "subscribe", "kick", "revoke", "restore", "policy", "keys", "start",
             "stop"]
    scene.events(*[scene.event(kind, n, "ann", sender="adam", topic="a/b", code="why", detail="more", address="1.2.3.4", roles=["member"])
                   for n, kind in enumerate(kinds)])
    rows = scene.sql("SELECT kind, actor, person, detail FROM mayday.audit_pending "
                     "WHERE org = %s AND kind <> 'person.roles' ORDER BY entry", [scene.org])
    assert [row[0] for row in rows] == kinds
    assert {row[0]: row[1] for row in rows} == {kind: "n1" if kind in ("start", "stop", "policy", "keys") else "adam" for kind in kinds}
    assert {row[2] for row in rows} == {"ann"}
    assert rows[2][3].items() >= {"topic": "a/b", "code": "why", "detail": "more", "address": "1.2.3.4", "client": "ann",
                                  "node": "n1", "roles": ["member"]}.items()
    scene.events(scene.event("policy", 20, node="n7", detail="10 roles"))
    assert scene.sql("SELECT actor, person FROM mayday.audit_pending WHERE org = %s AND detail->>'node' = 'n7'", [scene.org]) == [
        ("n7", None)]


def test_odd_events_harm_nothing(scene):
    scene.events()
    scene.settle("settle_duty", [])
    scene.events(uuid7())
    scene.events(scene.event("connect", 0, None, client="x"), scene.event("connect", 1, "ann", roles=["member"]),
                 scene.event("disconnect", 2, "unknown"), scene.event("disconnect", 3, None, client=None))
    assert scene.connected() == ["ann"] and scene.presence("unknown") is None


def test_who_was_refused_before_anybody_knew_them_is_nobody(scene):
    scene.events(scene.event("refused_connect", 0, None, client="x", address="9.9.9.9"))
    assert scene.sql("SELECT actor, person, detail->>'address' FROM mayday.audit_pending WHERE org = %s", [scene.org]) == [
        ("-", None, "9.9.9.9")]


def test_ten_thousand_connects_in_one_batch(scene):
    def storm(sessions):
        scene.sql("DELETE FROM mayday.event WHERE org = %s", [scene.org])
        scene.sql("INSERT INTO mayday.event (id, at, received_at, digest, org, sender, node, offline, kind, person, client, roles) "
                  "SELECT mayday.new_id(), now(), now() + n * interval '1 us', 0, %s, 'n9', 'n9', false, 'connect', 'p' || n, "
                  "'p' || n || '/' || %s, '[\"member\"]' FROM generate_series(1, 10000) n", [scene.org, sessions])
        return [id_ for id_, in scene.sql("SELECT id FROM mayday.event WHERE org = %s", [scene.org])]

    def timed(what, ids):
        started = time.monotonic()
        scene.events(*ids)
        print(f"{what}: {time.monotonic() - started:.3f} s")

    timed("10,000 connects", storm("phone"))
    assert len(scene.posted()) == 10000 and len(scene.connected()) == 10000
    timed("10,000 more sessions of the same people", storm("watch"))
    timed("the same sessions once more", storm("watch"))
    assert scene.posted() == []
    timed("their broker starts again", [scene.event("start", 60, node="n9", org="-")])
    assert len(scene.posted()) == 10000 and scene.connected() == []


def test_of_two_brokers_that_see_one_person_come_and_go_the_last_tells_the_truth(scene):
    """One broker reports the end of the only session and the other a new one, in transactions that overlap: whatever is said last must
    be true when it is said."""
    scene.events(scene.event("connect", 0, "ann", roles=["member"], client="ann/1", node="n1"))
    scene.posted()
    leaves, comes = scene.event("disconnect", 1, "ann", client="ann/1", node="n1"), scene.event("connect", 2, "ann", roles=["member"],
                                                                                              client="ann/2", node="n2")
    one, two = (psycopg2.connect(scene.database.dsn("mayday_plugin")) for _ in range(2))
    try:
        one.cursor().execute("SELECT mayday.settle_events(%s::uuid[])", [[leaves]])
        two.cursor().execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            two.cursor().execute("SELECT mayday.settle_events(%s::uuid[])", [[comes]])
        two.rollback()
        one.commit()
        two.cursor().execute("SELECT mayday.settle_events(%s::uuid[])", [[comes]])
        two.commit()
    finally:
        one.close()
        two.close()
    assert scene.posted() == ["ann", "ann"] and scene.presence("ann")["connected"] is True


def test_the_newest_word_about_duty_is_true_in_whatever_order_they_arrive(scene):
    def duty():
        return scene.sql("SELECT duty FROM mayday.person WHERE org = %s AND person = 'ann'", [scene.org])[0][0]
    scene.settle("settle_duty", [scene.duty("ann", "on", 10), scene.duty("ann", "busy", 20), scene.duty("ann", "enroute", 15)])
    assert duty() == "busy" and scene.posted() == ["ann"]
    scene.settle("settle_duty", [scene.duty("ann", "off", 12, arrives=30, offline=True)])
    assert duty() == "busy" and scene.posted() == [], "it had waited on the device, and is older"
    scene.settle("settle_duty", [scene.duty("ann", "on", 3600, arrives=40)])
    scene.settle("settle_duty", [scene.duty("ann", "off", 50)])
    assert duty() == "off", "the phone's clock was an hour fast, until it was set right"


class Field(Scene):
    def officer(self, person, lat, lon, *, roles=("officer",), duty=None, at=-60, arrives=None, offline=False, connected=True):
        events = [self.event("connect", -100, person, roles=list(roles))]
        self.events(*events, *([] if connected else [self.event("disconnect", -99, person)]))
        if duty:
            self.settle("settle_duty", [self.duty(person, duty, -100)])
        self.sql("INSERT INTO mayday.location (id, at, received_at, digest, org, sender, node, offline, person, position) VALUES "
                 "(%s, to_timestamp(%s), to_timestamp(%s), 0, %s, %s, 'n1', %s, %s, ST_MakePoint(%s, %s)::geography)",
                 [uuid7(NOW + at), NOW + at, NOW + (at if arrives is None else arrives), self.org, person, offline, person, lon, lat])

    def nearest(self, **more):
        asked = {"max_age": "10 minutes", "how_many": 10, **more}
        return self.sql("SELECT person, distance FROM mayday.nearest(%s, -33.9, 18.4, %s, %s)",
                        [self.org, asked["max_age"], asked["how_many"]], user="mayday_console")


@pytest.fixture
def field(database, request):
    return Field(database, request.node.name)


def test_who_is_nearest_and_free(field):
    field.officer("far", -33.8, 18.4, duty="on")
    field.officer("near", -33.901, 18.4)
    field.officer("nearer", -33.9001, 18.4, duty="on")
    field.officer("here-off", -33.9, 18.4, duty="off")
    field.officer("here-busy", -33.9, 18.4, duty="busy")
    field.officer("here-enroute", -33.9, 18.4, duty="enroute")
    field.officer("here-gone", -33.9, 18.4, connected=False)
    field.officer("here-old", -33.9, 18.4, at=-3600)
    field.officer("here-old-too", -33.9, 18.4, at=-3600, arrives=-1, offline=True)
    field.officer("slow-clock", -33.91, 18.4, at=-3600, arrives=-1)
    field.officer("here-public", -33.9, 18.4, roles=["member"])
    found = field.nearest()
    assert [person for person, _ in found] == ["nearer", "near", "slow-clock", "far"]
    assert found[1][1] == pytest.approx(110.9, abs=0.5) and found[3][1] == pytest.approx(11090, abs=20)
    assert [person for person, _ in field.nearest(how_many=1)] == ["nearer"]
    assert "here-old" in dict(field.nearest(max_age="2 hours"))
    assert field.sql("SELECT * FROM mayday.nearest('nowhere', 0, 0)") == []


def test_who_is_assigned_to_an_open_incident_is_not_free(field):
    field.officer("sam", -33.9, 18.4, duty="on")
    alert = uuid7()
    field.sql("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline) "
              "VALUES (%s, %s, 'ann', now(), now(), 'panic', 'critical', false, false)", [field.org, alert])
    field.sql("SELECT mayday.join_alert(%s, %s, 'sam', 'invited', 'dora')", [field.org, alert])
    assert dict(field.nearest()).keys() == {"sam"}
    field.sql("SELECT mayday.join_alert(%s, %s, 'sam', 'assigned', 'dora')", [field.org, alert])
    assert field.nearest() == []
    field.sql("UPDATE mayday.alert SET status = 'resolved', closed_at = now() WHERE org = %s AND id = %s", [field.org, alert])
    assert dict(field.nearest()).keys() == {"sam"}


def test_people_entered_by_hand(scene):
    def enter(*arguments):
        return scene.sql(f"SELECT mayday.enter_person({', '.join(['%s'] * len(arguments))})", list(arguments), user="mayday_owner")[0][0]
    assert enter(scene.org, "ann", ["member"], "de") is True
    assert enter(scene.org, "ann", ["member"], "de") is False
    assert enter(scene.org, "ann", None, "fr") is True
    assert scene.sql("SELECT roles, lang FROM mayday.person WHERE org = %s", [scene.org]) == [(["member"], "fr")]
    assert scene.presence("ann")["connected"] is False and scene.posted() == ["ann", "ann"]
    assert scene.sql("SELECT kind, actor, person FROM mayday.audit_pending WHERE org = %s", [scene.org]) == [
        ("person.roles", "mayday_owner", "ann")]
    for bad in ("", "a/b", "+", "a#", "tab\t", "x" * 129):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            enter(scene.org, bad, ["member"])


def test_who_is_in_a_room(scene):
    with pytest.raises(psycopg2.errors.NoDataFound):
        scene.sql("SELECT mayday.join_room(%s, 'blue', 'typo')", [scene.org], user="mayday_owner")
    scene.sql("SELECT mayday.enter_person(%s, 'ann', '{member}')", [scene.org], user="mayday_owner")

    def room(function):
        return scene.sql(f"SELECT mayday.{function}(%s, 'blue', 'ann')", [scene.org], user="mayday_owner")[0][0]
    assert [room("join_room"), room("join_room")] == [True, False]
    assert scene.sql("SELECT family, id, relation, changed_by, until FROM mayday.membership WHERE org = %s", [scene.org]) == [
        ("room", "blue", "member", "mayday_owner", None)]
    assert [room("leave_room"), room("leave_room")] == [True, False]
    assert [room("join_room"), room("leave_room")] == [True, True]


def test_the_plugin_may_settle_and_read_nothing(scene):
    for forbidden in ("SELECT * FROM mayday.person", "SELECT * FROM mayday.connection", "SELECT mayday.presence_of('a', 'b')",
                      "SELECT mayday.enter_person('a', 'b', '{}')", "SELECT mayday.join_room('a', 'b', 'c')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            scene.sql(forbidden, user="mayday_plugin")


# ---- The whole way: broker, database, gateway.

def test_dispatch_sees_who_is_there(own_site):
    org = "who-is-there"
    with own_site() as site, site.gateway("gw1", gateway__organisations=org).start(org):
        with site.client("dora", ["dispatcher"], org=org) as dora:
            assert dora.subscribe(m.topic("user", "+", "presence", org)) == [1]

            def hears(person):
                """The next word about this person."""
                while True:
                    p = dora.receive(60)
                    if p.topic == m.topic("user", person, "presence", org):
                        return json.loads(p.payload)

            sam = site.client("sam", ["officer"], org=org)
            assert hears("sam")["connected"] is True
            assert sam.publish(m.topic("user", "sam", "duty", org), m.dump(m.message(status="on"))) == 0
            assert hears("sam")["duty"] == "on"
            sam.vanish()
            said = hears("sam")
            assert said["connected"] is False and said["duty"] == "on"
            tom = site.client("tom", ["officer"], org=org)
            assert hears("tom")["connected"] is True
            tom.disconnect()
            assert hears("tom")["connected"] is False
            ann = site.client("ann", ["member"], org=org)
            assert hears("ann")["connected"] is True
        site.kill()
        ann.close()
        site.start()
        site.wait_rows("SELECT person FROM mayday.person WHERE org = %s AND connected", [], [org])
        with site.client("dora", ["dispatcher"], org=org) as dora:
            assert dora.subscribe(m.topic("user", "ann", "presence", org)) == [1]
            said = json.loads(dora.receive(60).payload)
            while said["connected"]:
                said = json.loads(dora.receive(60).payload)
