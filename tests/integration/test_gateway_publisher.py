"""What the outbox holds is said on MQTT: nothing is lost, and versions only rise, whoever dies in between."""
import json
import random
import signal
import threading
import time

from support import messages as m
from support import truth
from support.site import wait_until

def raise_alert(site, sub=None):
    """By a person who has no other incident, unless one is named: a second one would join the first."""
    alert = m.uuid7()
    sub = sub or f"person-{alert[-12:]}"
    with site.client(sub, client_id=f"{sub}:{alert[-8:]}") as c:
        assert c.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
    return alert


def retained(site, leaf="state", **where):
    return truth.retained(site, leaf, **where)


# An incident changes, as the writer does it: a new version, and an entry in the outbox, in one transaction.
BUMP = ("WITH a AS (UPDATE mayday.alert SET version = version + 1, changed_at = clock_timestamp() WHERE id = %s RETURNING org, id) "
        "SELECT mayday.post(org, 'alert/' || id, 'state') FROM a")


def version(site, alert):
    return site.rows("SELECT version FROM mayday.alert WHERE id = %s", [alert])[0][0]


def wait_state(site, alert, condition=lambda s: True, leaf="state"):
    return wait_until(lambda: (s := retained(site, leaf).get(alert)) and condition(s) and s, f"the {leaf} of {alert} is retained")


def truth_is_retained(site):
    """The outbox is empty, and what is retained is what the database says, for every incident."""
    wait_until(lambda: site.rows("SELECT count(*) FROM mayday.outbox") == [(0,)], "the outbox is empty", 60)
    true = dict(site.rows("SELECT id::text, mayday.state_of(org, id) FROM mayday.alert WHERE org = 'acme' "
                          "AND mayday.state_of(org, id) IS NOT NULL"))
    assert retained(site) == true
    assert true


def test_a_raise_becomes_a_retained_state(site):
    with site.gateway("gw1"):
        alert = raise_alert(site, "ann")
        state = wait_state(site, alert)
        assert state["status"] == "active" and state["raised_by"] == "ann"
        assert wait_state(site, alert, leaf="dispatch")["version"] >= 1
        with site.client("ann", client_id="ann:reader") as ann:
            assert ann.subscribe(m.topic("alert", alert, "state")) == [1]
            assert json.loads(ann.receive().payload)["raised_by"] == "ann"


def test_a_connected_dispatcher_makes_it_notified(site):
    with site.gateway("gw1"), site.client("olga", ["dispatcher"]):
        site.rows("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', 'olga', '{dispatcher}') ON CONFLICT DO NOTHING")
        site.rows("INSERT INTO mayday.connection (node, org, client, person, since) VALUES ('test', 'acme', 'olga', 'olga', now()) "
                  "ON CONFLICT DO NOTHING")
        alert = raise_alert(site)
        assert wait_state(site, alert, lambda s: "notified" in s["receipts"])
    site.rows("DELETE FROM mayday.connection")


def test_a_dispatcher_in_danger_is_not_told_that_somebody_was_notified_of_it(site):
    """While they are the only one there; then somebody else comes."""
    notified = "SELECT notified_at IS NOT NULL FROM mayday.alert WHERE id = %s"
    with site.gateway("gw1"), site.client("dan", ["dispatcher", "member"]) as dan:
        site.wait_rows("SELECT person FROM mayday.connection JOIN mayday.person USING (org, person) WHERE 'dispatcher' = ANY (roles)",
                       [("dan",)])
        alert = m.uuid7()
        assert dan.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
        site.wait_rows(notified, [(True,)], [raise_alert(site)])
        assert site.rows(notified, [alert]) == [(False,)]
        with site.client("olga", ["dispatcher"]):
            site.wait_rows(notified, [(True,)], [alert])


def test_messages_of_a_lane_come_in_their_order_and_once(site):
    with site.gateway("gw1"), site.client("bob") as bob:
        bob.subscribe(m.topic("user", "bob", "rejected"))
        for i in range(300):
            site.rows("SELECT mayday.reject('acme', 'bob', mayday.new_id(), 'mayday/v1/acme/x', 'invalid', %s)", [f"number {i}"])
        got = [json.loads(bob.receive().payload)["detail"] for _ in range(300)]
        assert got == [f"number {i}" for i in range(300)]
        assert bob.receives_nothing()
        site.wait_rows("SELECT count(*) FROM mayday.outbox", [(0,)])


def test_an_incident_does_not_wait_behind_a_crowd(own_site):
    site = own_site().start()
    alert = raise_alert(site)
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = %s", [(1,)], [alert])
    site.rows("DELETE FROM mayday.outbox")
    site.rows("SELECT mayday.reject('acme', 'p' || n, mayday.new_id(), 'mayday/v1/acme/x', 'invalid', 'x') FROM generate_series(1, 3000) n")
    site.rows(BUMP, [alert])
    with site.client("dora", ["dispatcher"], client_id="dora:first") as dora:
        dora.subscribe(m.topic("alert", alert, "dispatch"))
        with site.gateway("gw1").start_unready():
            dora.receive()
            assert site.rows("SELECT count(*) > 1000 FROM mayday.outbox") == [(True,)], "the crowd still waits"
            site.wait_rows("SELECT count(*) FROM mayday.outbox", [(0,)])


def test_what_the_broker_keeps_refusing_makes_room_and_is_kept_aside(site):
    with site.gateway("gw1") as gateway, site.client("cleo") as cleo:
        cleo.subscribe(m.topic("user", "cleo", "rejected"))
        site.rows("SELECT mayday.post('acme', 'user/cleo', 'message', 'rejected', '{\"not\": \"a message\"}')")
        site.rows("SELECT mayday.reject('acme', 'cleo', mayday.new_id(), 'mayday/v1/acme/x', 'invalid', 'good')")
        assert json.loads(cleo.receive().payload)["detail"] == "good"
        site.wait_rows("SELECT lane, leaf, payload, reason >= 128 FROM mayday.outbox_refused",
                       [("user/cleo", "rejected", {"not": "a message"}, True)])
        site.wait_rows("SELECT count(*) FROM mayday.outbox", [(0,)])
        assert "keeps refusing" in gateway.log()


def test_an_incident_that_cannot_be_rendered_holds_nobody_up(site):
    with site.gateway("gw1") as gateway:
        site.rows("SELECT mayday.post('acme', 'alert/no-uuid', 'state')")
        alert = raise_alert(site)
        wait_state(site, alert)
        wait_until(lambda: "alert/no-uuid can't be published" in gateway.log(), "it says which one")
        site.rows("DELETE FROM mayday.outbox WHERE lane = 'alert/no-uuid'")
        site.wait_rows("SELECT count(*) FROM mayday.outbox", [(0,)])


def test_what_a_killed_broker_forgot_is_said_again(own_site):
    site = own_site().start()
    with site.gateway("gw1") as gateway:
        alerts = [raise_alert(site) for _ in range(5)]
        for alert in alerts:
            wait_state(site, alert)
        site.kill()
        (site.folder / "mosquitto.db").unlink(missing_ok=True)
        site.start()
        gateway.wait_ready()
        for alert in alerts:
            wait_state(site, alert)
            wait_state(site, alert, leaf="dispatch")
        truth_is_retained(site)


def test_what_only_the_broker_remembers_is_cleared(own_site):
    site = own_site().start()
    with site.gateway("gw1"):
        gone, kept = raise_alert(site), raise_alert(site)
        wait_state(site, gone)
        wait_state(site, kept)
    site.rows("UPDATE mayday.alert SET retired_at = now(), closed_at = now(), status = 'resolved' WHERE id = %s", [gone])
    assert gone in retained(site)
    with site.gateway("gw1"):
        wait_until(lambda: gone not in retained(site) and gone not in retained(site, "dispatch"), "it is cleared")
        assert kept in retained(site)


def test_who_joins_while_connected_is_told_how_it_stands(site):
    """Also when what was said since came by before their broker knew of them: here nothing is said at all."""
    with site.gateway("gw1"), site.client("ivy") as ivy:
        alert = raise_alert(site)
        before = wait_state(site, alert)["version"]
        site.rows("UPDATE mayday.escalation SET status = 'ended', due_at = NULL WHERE alert = %s", [alert])
        ivy.subscribe(m.topic("alert", "+", "state"))
        site.wait_rows("SELECT count(*) FROM mayday.connection WHERE person = 'ivy'", [(1,)])
        site.rows("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, 'ivy', 'invited')", [alert])
        told = ivy.receive()
        assert told.topic == m.topic("alert", alert, "state") and json.loads(told.payload)["version"] >= before


class Changes(threading.Thread):
    """Incidents change, as fast as one connection can; and with each change `told` is told its number."""

    def __init__(self, site, alerts, told=None):
        super().__init__()
        self.told = told
        self.connection, self.alerts, self.stop, self.made = site.postgres.server.connect(database=site.postgres.name), alerts, threading.Event(), 0

    def run(self):
        with self.connection.cursor() as cursor:
            while not self.stop.is_set():
                cursor.execute(BUMP, [random.choice(self.alerts)])
                if self.told:
                    cursor.execute("SELECT mayday.reject('acme', %s, mayday.new_id(), 'mayday/v1/acme/x', 'invalid', %s)",
                                   [self.told, str(self.made)])
                self.made += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()
        self.connection.close()


def test_a_gateway_killed_between_commit_and_publish_loses_nothing(own_site):
    site = own_site().start()
    alerts = [raise_alert(site) for _ in range(6)]
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = ANY(%s::uuid[])", [(6,)], [alerts])
    eve = site.client("eve")
    eve.subscribe(m.topic("user", "eve", "rejected"))
    with Changes(site, alerts, told="eve") as changes:
        for _ in range(12):
            gateway = site.gateway("gw1").start()
            seen = changes.made
            wait_until(lambda: changes.made > seen, "changes go on")
            time.sleep(random.uniform(0, 0.3))  # the moment of the kill is what is drawn
            gateway.kill()
    with site.gateway("gw1"):
        truth_is_retained(site)
    for alert in alerts:
        assert retained(site)[alert]["version"] == version(site, alert) > 1
    first = {}  # one in doubt is told again
    while len(first) < changes.made:
        first.setdefault(int(json.loads(eve.receive().payload)["detail"]))
    assert list(first) == list(range(changes.made))
    eve.close()


class Watcher(threading.Thread):
    """A dispatcher who notes every version of every incident as it arrives."""

    def __init__(self, site):
        super().__init__()
        self.site, self.stop, self.versions = site, threading.Event(), {}
        self.client = site.client("dora", ["dispatcher"], client_id="dora:watcher")
        self.client.subscribe(m.topic("alert", "+", "state"), m.topic("alert", "+", "dispatch"))

    def run(self):
        while not self.stop.is_set():
            try:
                packet = self.client.receive(timeout=0.2)
            except TimeoutError:
                continue
            if packet.payload:
                _, _, _, _, alert, leaf = packet.topic.split("/")
                self.versions.setdefault((alert, leaf), []).append(json.loads(packet.payload)["version"])

    def end(self):
        self.stop.set()
        self.join()
        self.client.close()
        return self.versions


def test_two_gateways_share_the_work_and_versions_only_rise(own_site):
    site = own_site().start()
    with site.gateway("east") as east, site.gateway("west") as west:
        alerts = [raise_alert(site) for _ in range(8)]
        site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = ANY(%s::uuid[])", [(8,)], [alerts])
        watcher = Watcher(site)
        watcher.start()
        with Changes(site, alerts), Changes(site, alerts):
            for stalled in (east, west):
                stalled.signal(signal.SIGSTOP)
                time.sleep(8)  # longer than its database session may stand still
                before = max(len(v) for v in watcher.versions.values())
                stalled.signal(signal.SIGCONT)
                wait_until(lambda: max(len(v) for v in watcher.versions.values()) > before, "they go on")
        truth_is_retained(site)
        for alert in alerts:
            wait_state(site, alert, lambda s, a=alert: s["version"] == version(site, a))
        versions = watcher.end()
        for (alert, leaf), seen in versions.items():
            assert all(a <= b for a, b in zip(seen, seen[1:])), (alert, leaf, seen)
        for alert in alerts:
            assert versions[alert, "state"][-1] == version(site, alert)


def test_while_the_database_is_away_alerts_are_heard_and_their_state_follows(postgres, tmp_path):
    from conftest import Database, prepare
    from support.postgres import Postgres
    from support.site import Site
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="mayday-test-") as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "postgres") as server:
            server.start()
            prepare(server, "own")
            database = Database(server, "own")
            with Site(tmp_path / "site", database) as site, site.gateway("gw1") as gateway:
                first = raise_alert(site)
                wait_state(site, first)
                with site.client("dora", ["dispatcher"]) as dora:
                    dora.subscribe(m.topic("alert", "+", "raise"))
                    server.stop("immediate")
                    wait_until(lambda: "trying again" in gateway.log(), "the gateway misses the database")
                    second = raise_alert(site)
                    assert second in dora.receive().topic
                    gateway.alive()
                server.start()
                wait_state(site, second)
                wait_until(lambda: "it works again" in gateway.log(), "the gateway says so")
