"""The database is away when somebody raises, and the gateway tells the first level by itself; when it is back nothing is told again, and the
history is complete. The broker goes, and whom the plan names hears it."""
import json
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from support import messages as m
from support.mortal import mortal_server, open_folder
from support.passing import pass_time
from support.providers import Simulator
from support.proxy import Proxy
from support.site import Site, wait_until

PLAN = {
    "v": 1,
    "policies": [{
        "name": "all",
        "levels": [
            {"after": 0, "targets": [{"role": "dispatcher"}, {"team": "night"}, {"family": True}]},
            {"after": 300, "targets": [{"role": "supervisor"}]},
        ],
        "rounds": 1, "pause": 300, "forgotten_after": 1800,
    }],
    "trouble": [{"person": "tom"}],
}
CROWD = 450
DORA, NINA, SUE, TOM, FAY = "+27821110001", "+27821110002", "+27821110003", "+27821110004", "+27821110005"


@pytest.fixture(scope="module")
def server():
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def sim():
    with Simulator() as running:
        yield running
        running.up()
        running.assert_strict()


def enter(server, org="acme", plan=None):
    """People with phones, and a plan."""
    for person, role, number, lang in (("dora", "dispatcher", DORA, None), ("nina", "responder", NINA, "af"), ("sue", "supervisor", SUE, None),
                                       ("tom", "admin", TOM, None), ("fay", "member", FAY, None), ("ann", "member", None, None)):
        server.sql("SELECT mayday.enter_person(%s, %s, %s, %s)", [org, person, [role], lang])
        if number:
            server.sql("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES (%s, %s, 1, 'sms', %s), (%s, %s, 2, 'voice', %s)"
                       " ON CONFLICT DO NOTHING", [org, person, number, org, person, number])
    server.sql("UPDATE mayday.person SET name = 'Ann Smith' WHERE org = %s AND person = 'ann'", [org])
    server.sql("INSERT INTO mayday.contact (org, person, contact) VALUES (%s, 'ann', 'fay') ON CONFLICT DO NOTHING", [org])
    server.sql("INSERT INTO mayday.team (org, team, people) VALUES (%s, 'night', '{nina}') ON CONFLICT DO NOTHING", [org])
    server.sql("DELETE FROM mayday.plan WHERE org = %s", [org])
    server.sql("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 1, %s)", [org, json.dumps(plan or PLAN)])


@pytest.fixture
def site(server, tmp_path):
    if not server.pid():
        server.start()
    server.sql("TRUNCATE mayday.alert, mayday.membership, mayday.escalation, mayday.notification, mayday.attempt, mayday.answer,"
               " mayday.provider_event, mayday.number_note, mayday.raise, mayday.action CASCADE")
    enter(server)
    with Site(tmp_path / "site", server) as running:
        yield running
    if not server.pid():
        server.start()


def at_hand(gateway, *words):
    """What the gateway keeps holds these words."""
    def holds():
        with closing(sqlite3.connect(f"file:{gateway.folder}/gateway-{gateway.id}.db?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT body FROM document WHERE shelf = CAST('standby' AS BLOB)").fetchall()
        return rows and all(word.encode() in rows[0][0] for word in words)
    wait_until(holds, f"{gateway.id} has {words} at hand")


def ledger(gateway):
    with closing(sqlite3.connect(f"file:{gateway.folder}/gateway-{gateway.id}.db?mode=ro", uri=True)) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM document WHERE shelf = CAST('ledger' AS BLOB)")]


@pytest.fixture
def gateway(site, sim):
    with site.gateway(providers=sim, notify__timeout="1500ms") as running:
        at_hand(running, DORA, NINA, FAY, "Ann Smith")
        yield running


def away(server, *gateways):
    seen = [g.log().count("the database is away") for g in gateways]
    server.stop("immediate")
    wait_until(lambda: all(g.log().count("the database is away") > n for g, n in zip(gateways, seen)), "the gateways notice")


def press(site, who="ann", alert=None, **fields):
    alert = alert or m.uuid7()
    with site.client(who) as c:
        assert c.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(**fields))) == 0
    return alert


def act(site, who, roles, alert, action, **fields):
    with site.client(who, roles) as c:
        assert c.publish(m.topic("alert", alert, "action"), m.dump(m.message(action=action, **fields))) == 0


def back(server, site, alert):
    server.start()
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = %s", [(1,)], [alert], timeout=60)
    # the escalator has been there: level 1 is behind it
    wait_until(lambda: site.rows("SELECT level FROM mayday.escalation WHERE alert = %s", [alert])[0][0] >= 1
               or site.rows("SELECT status FROM mayday.escalation WHERE alert = %s", [alert])[0][0] not in ("running",), "the engine goes on", 60)


def notifications(site, alert):
    return site.rows("SELECT person, kind, place, level, family, status FROM mayday.notification WHERE alert = %s AND purpose = 'raise'"
                     " ORDER BY level, person, place", [alert])


def test_the_first_level_is_told_and_nobody_twice_when_the_database_is_back(site, server, sim, gateway):
    away(server, gateway)
    alert = press(site, location={"lat": -33.9, "lon": 18.4}, text="behind the shed")
    (said,) = sim.phone(DORA).wait_texts()
    assert "Ann Smith" in said.body and "-33.9" in said.body and "behind the shed" in said.body and "OK " in said.body
    sim.phone(NINA).wait_texts()
    sim.phone(FAY).wait_texts()
    assert sim.phone(SUE).texts == []
    wait_until(lambda: all(n["status"] == "sent" for n in ledger(gateway)[0]["notices"] if n["place"] == 1), "the ledger knows")
    back(server, site, alert)
    site.wait_rows("SELECT person, kind, place, level, family, status FROM mayday.notification WHERE alert = %s AND purpose = 'raise'"
                   " AND place = 1 ORDER BY person",
                   [("dora", "sms", 1, 1, False, "delivered"), ("fay", "sms", 1, 1, True, "delivered"),
                    ("nina", "sms", 1, 1, False, "delivered")], [alert])
    assert site.rows("SELECT count(*), count(DISTINCT notification), min(outcome), min(gateway) FROM mayday.attempt WHERE alert = %s",
                     [alert]) == [(3, 3, "sent", "gw1")]
    assert site.rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND body IS NULL AND place = 1", [alert]) == [(0,)]
    wait_until(lambda: ledger(gateway) == [], "the ledger is empty")
    # and then it goes on as it does
    pass_time(site, alert, 300)
    sim.phone(SUE).wait_texts()
    assert [len(sim.phone(n).texts) for n in (DORA, NINA, FAY)] == [1, 1, 1]
    assert site.rows("SELECT count(*) FROM mayday.audit_pending WHERE kind = 'standby.told' AND alert = %s", [alert])[0][0] + \
        site.rows("SELECT count(*) FROM mayday.audit WHERE kind = 'standby.told' AND alert = %s", [alert])[0][0] == 1


def test_the_next_levels_are_due_by_when_it_was_told(site, server, sim, gateway):
    away(server, gateway)
    before = time.time()
    alert = press(site)
    sim.phone(DORA).wait_texts()
    told = time.time()
    wait_until(lambda: time.time() > told + 4, "the database is away for a while")
    back(server, site, alert)
    (begun,) = site.rows("SELECT extract(epoch FROM begun_at)::float FROM mayday.escalation WHERE alert = %s", [alert])[0]
    assert before - 1 < begun < told + 1


def test_while_the_database_is_there_it_tells_nobody_by_itself(site, server, sim, gateway):
    alert = press(site)
    sim.phone(DORA).wait_texts()
    wait_until(lambda: "mayday_gateway_standby_waiting 0\n" in metrics(gateway), "it knows that it is stored")
    assert "is told without the database" not in gateway.log()
    assert len(sim.phone(DORA).texts) == 1 and ledger(gateway) == []
    assert site.rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND place = 1", [alert]) == [(3,)]


def metrics(gateway):
    from urllib.request import urlopen
    with urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics") as answer:
        return answer.read().decode()


def test_a_failing_provider_is_not_the_end(site, server, sim, gateway):
    sim.script(DORA, "twilio", http=503)
    away(server, gateway)
    alert = press(site)
    (said,) = sim.phone(DORA).wait_texts()
    assert said.provider == "vonage"
    back(server, site, alert)
    dora = "(SELECT id FROM mayday.notification WHERE alert = %s AND person = 'dora' AND place = 1)"
    wait_until(lambda: site.rows(f"SELECT status FROM mayday.notification WHERE id = {dora}", [alert])[0][0] in ("sent", "delivered"), "it is sent")
    tried = site.rows(f"SELECT provider, outcome FROM mayday.attempt WHERE notification = {dora} ORDER BY begun_at", [alert])
    assert tried[-1] == ("vonage-sms", "sent") and tried[0][0] == "twilio-sms" and tried[0][1] != "sent"


def test_several_presses_of_one_person_are_one_text(site, server, sim, gateway):
    away(server, gateway)
    first = press(site)
    for _ in range(9):
        press(site)
    other = press(site, "bob")
    sim.phone(DORA).wait_texts(2)
    back(server, site, first)
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE joined_to = %s", [(9,)], [first])
    site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = ANY (%s::uuid[]) AND person = 'dora' AND place = 1"
                   " AND status IN ('sent', 'delivered')", [(2,)], [[first, other]])
    sim.quiet()
    assert len(sim.phone(DORA).texts) == 2


def test_an_acknowledgement_stops_further_channels_and_a_cancel_does_not(site, server, sim, gateway):
    server.sql("UPDATE mayday.plan SET body = jsonb_set(body, '{policies,0,levels,0,gap}', '3') WHERE org = 'acme'")
    at_hand(gateway, '"gap": 3')
    away(server, gateway)
    taken, canceled = press(site), press(site, "bob")
    sim.phone(DORA).wait_texts(2)
    act(site, "dora", ["dispatcher"], taken, "acknowledge")
    act(site, "bob", ["member"], canceled, "cancel")
    act(site, "bob", ["member"], canceled, "acknowledge")
    wait_until(lambda: [n["status"] for d in ledger(gateway) if d["alert"] == taken for n in d["notices"]
                        if n["kind"] == "voice" and not n.get("family")] == ["withdrawn"] * 2, "nobody is called")
    assert "bob" in sim.phone(DORA).wait_menu().said
    sim.phone(DORA).press("1")  # by phone it is an answer, too
    wait_until(lambda: [d.get("answered") for d in ledger(gateway) if d["alert"] == canceled] == [True], "it is heard")
    server.start()
    site.wait_rows("SELECT answer, how FROM mayday.answer WHERE alert = %s AND person = 'dora'", [("acknowledge", "voice")], [canceled], timeout=60)
    site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND kind = 'voice' AND status = 'withdrawn' AND NOT family",
                   [(2,)], [taken], timeout=60)
    sim.quiet()
    assert len(sim.phone(DORA).calls) == 1


def test_ok_by_text_acknowledges_at_once_and_counts_as_theirs(site, server, sim, gateway):
    away(server, gateway)
    with site.client("dee", ["dispatcher"]) as dee:
        dee.subscribe("mayday/v1/acme/alert/+/action")
        alert = press(site)
        (said,) = sim.phone(DORA).wait_texts()
        sim.phone(DORA).reply("OK " + said.body.split("OK ")[1][:4])
        action = json.loads(dee.receive().payload)
        assert (action["action"], action["by"]) == ("acknowledge", "dora")
    wait_until(lambda: all(n["status"] != "waiting" for n in ledger(gateway)[0]["notices"] if not n.get("family")), "others are not called")
    server.start()
    site.wait_rows("SELECT status, acknowledged_by FROM mayday.alert WHERE id = %s", [("acknowledged", "dora")], [alert], timeout=60)
    site.wait_rows("SELECT id::text, person, answer, done FROM mayday.answer WHERE alert = %s", [(action["id"], "dora", "acknowledge", True)],
                   [alert], timeout=60)
    assert site.rows("SELECT count(*) FROM mayday.action WHERE alert = %s", [alert]) == [(1,)]


def test_a_gateway_that_is_killed_meanwhile_sends_nothing_twice(site, server, sim):
    gateway = site.gateway(providers=sim, notify__timeout="1500ms").start()
    at_hand(gateway, DORA)
    away(server, gateway)
    alert = press(site)
    sim.phone(DORA).wait_texts()
    gateway.kill()
    with gateway.start():
        wait_until(lambda: all(n["status"] == "sent" for n in ledger(gateway)[0]["notices"] if n["place"] == 1), "it knows what it sent")
        back(server, site, alert)
        site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND place = 1 AND status = 'delivered'", [(3,)], [alert])
        sim.quiet()
        assert [len(sim.phone(n).texts) for n in (DORA, NINA, FAY)] == [1, 1, 1]


def test_killed_between_a_request_and_its_answer_it_looks_into_the_providers_list(site, server, sim):
    sim.script(DORA, "twilio", slow=2.5)
    gateway = site.gateway(providers=sim, notify__timeout="5s", sms="twilio").start()
    at_hand(gateway, DORA)
    away(server, gateway)
    alert = press(site)
    wait_until(lambda: sim.phone(DORA).texts, "it is on its way")
    gateway.kill()
    sim.up()
    with gateway.start():
        wait_until(lambda: [n["status"] for n in ledger(gateway)[0]["notices"] if n.get("person") == "dora" and n["place"] == 1] == ["sent"],
                   "it was found")
        back(server, site, alert)
        sim.quiet()
    assert len(sim.phone(DORA).texts) == 1


def test_of_two_gateways_one_tells(site, server, sim):
    with site.gateway("gw1", providers=sim) as first, site.gateway("gw2", providers=sim) as second:
        at_hand(first, DORA)
        at_hand(second, DORA)
        away(server, first, second)
        alert = press(site)
        sim.phone(DORA).wait_texts()
        with site.client("adm", ["admin"]) as adm:
            adm.subscribe("mayday/v1/acme/gateway/gw1/status")
            told = json.loads(adm.receive().payload)
            while "told" not in told:
                told = json.loads(adm.receive().payload)
            assert told["told"] == [alert] and told["status"] == "online"
        heard = time.time()
        wait_until(lambda: time.time() > heard + 12, "the second's time is over")
        assert "is told without the database" in first.log() and "is told without the database" not in second.log()
        back(server, site, alert)
        sim.quiet()
        assert len(sim.phone(DORA).texts) == 1


def test_of_two_gateways_one_tells_of_a_crowd(site, server, sim):
    """Of more incidents than a gateway's status has room to name, and than it can tell, by the rate as shipped, before the second's time
    comes: 900 texts, 120 of them at once and then 60 a second."""
    with site.gateway("gw1", providers=sim) as first, site.gateway("gw2", providers=sim) as second:
        at_hand(first, DORA)
        at_hand(second, DORA)
        away(server, first, second)
        with site.client("ann", ["gateway"]) as crowd:
            for n in range(CROWD):
                assert crowd.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_(person=f"fan{n}"))) == 0
        heard = time.time()
        wait_until(lambda: min(len(sim.phone(who).texts) for who in (DORA, NINA)) >= CROWD, "both hear of all", 60)
        wait_until(lambda: time.time() > heard + 13, "the second's time is over")
        sim.quiet()
        assert first.log().count("is told without the database") == CROWD and "is told without the database" not in second.log()
        assert [len(sim.phone(who).texts) for who in (DORA, NINA)] == [CROWD, CROWD]


def test_of_a_crowd_the_most_urgent_come_first_and_somebody_of_each_before_others_of_any(site, server, sim):
    """By the moment they were handed over, as the ledger has it; but for what is under way before all have been heard of."""
    with site.gateway(providers=sim, notify__rate="20 4") as gateway:
        at_hand(gateway, DORA, NINA)
        away(server, gateway)
        ranks = {}
        with site.client("ann", ["gateway"]) as crowd:
            gateway.signal(signal.SIGSTOP)
            for n in range(80):
                alert, priority = m.uuid7(), "low" if n % 2 else "critical"
                ranks[alert] = 1 if n % 2 else 4
                assert crowd.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(person=f"fan{n}", priority=priority))) == 0
            gateway.signal(signal.SIGCONT)
        wait_until(lambda: min(len(sim.phone(who).texts) for who in (DORA, NINA)) >= 80, "both hear of all", 60)
        begun = sorted((notice["tries"][0]["begun_at"], entry["alert"]) for entry in ledger(gateway) for notice in entry["notices"]
                       if notice["kind"] == "sms")
    order, seen = [], set()
    for _, alert in begun:
        order.append((ranks[alert], alert not in seen))
        seen.add(alert)
    assert len(order) == 160
    for most in ((4, True), (4, False), (1, True)):
        last = len(order) - 1 - order[::-1].index(most)
        early = [one for one in order[:last] if one < most]
        assert len(early) <= 16, f"{len(early)} before the last that is {most}"


def test_when_the_first_gateway_is_gone_the_second_tells(site, server, sim):
    first = site.gateway("gw1", providers=sim).start()
    with site.gateway("gw2", providers=sim) as second:
        at_hand(second, DORA)
        away(server, first, second)
        first.kill()
        press(site)
        sim.phone(DORA).wait_texts()
        assert "is told without the database" in second.log()


def through(server, proxy):
    return f"host=127.0.0.1 port={proxy.port} user=mayday_gateway dbname=mayday"


def test_a_database_that_hangs_is_away_and_what_was_told_is_brought_in_before_the_engine_looks(site, server, sim):
    with Proxy(server.port) as proxy, site.gateway(providers=sim, gateway__database=through(server, proxy)) as gateway:
        at_hand(gateway, DORA)
        proxy.stall()
        alert = press(site)  # the broker stores it in time: the engine will find it due at once
        sim.phone(DORA).wait_texts()
        assert "is told without the database" in gateway.log()
        proxy.cut()
        site.wait_rows("SELECT level FROM mayday.escalation WHERE alert = %s", [(1,)], [alert])
        site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND place = 1 AND status = 'delivered'", [(3,)], [alert])
        sim.quiet()
        assert [len(sim.phone(n).texts) for n in (DORA, NINA, FAY)] == [1, 1, 1]


def test_while_another_gateway_has_the_database_it_is_left_to_that_one(site, server, sim):
    with Proxy(server.port) as proxy, site.gateway("gw0", providers=sim, gateway__database=through(server, proxy)) as alone, \
            site.gateway("gw1", providers=sim) as well:
        at_hand(alone, DORA)
        proxy.stall()
        wait_until(lambda: "the database is away" in alone.log(), "it notices")
        press(site)
        sim.phone(DORA).wait_texts()
        heard = time.time()
        wait_until(lambda: time.time() > heard + 8, "there was time to tell")
        sim.quiet()
        assert len(sim.phone(DORA).texts) == 1 and "is told without the database" not in alone.log() + well.log()
        proxy.cut()


def test_from_the_beginning_without_the_database_what_was_known_is_enough(site, server, sim, gateway):
    gateway.stop()
    server.stop("immediate")
    again = site.gateway(providers=sim, gateway__organisations="")
    with again:
        press(site)
        sim.phone(DORA).wait_texts()


def test_a_broker_that_is_gone_is_said_once_and_once_that_it_is_back(site, server, sim):
    with site.gateway(providers=sim, notify__trouble_after="2s") as gateway:
        at_hand(gateway, TOM)
        site.kill()
        (said,) = sim.phone(TOM).wait_texts()
        assert "trouble" in said.body
        site.start()
        gateway.wait_ready()
        sim.phone(TOM).wait_text("works again")
        site.kill()
        wait_until(lambda: gateway.log().count("no connection to the broker") >= 2, "it is gone again")
        gone = time.time()
        wait_until(lambda: time.time() > gone + 4, "a while passes")
        sim.quiet()
        assert len(sim.phone(TOM).texts) == 2, "at most once an hour"
        assert sim.phone(DORA).texts == []
        site.start()


def test_so_is_a_database_and_with_it_the_broker(site, server, sim):
    with site.gateway(providers=sim, notify__trouble_after="2s") as gateway:
        at_hand(gateway, TOM)
        away(server, gateway)
        sim.phone(TOM).wait_text("the database cannot be reached")
        site.kill()
        sim.phone(TOM).wait_text("the message broker cannot be reached")
        site.start()
        gateway.wait_ready()
        sim.phone(TOM).wait_text("works again")
        server.start()
        wait_until(lambda: len(sim.phone(TOM).texts) == 4, "it is over")
        site.wait_rows("SELECT purpose, count(*) FROM mayday.notification WHERE person = 'tom' GROUP BY 1 ORDER BY 1",
                       [("trouble", 2), ("trouble_over", 2)])
        sim.quiet()
        assert len(sim.phone(TOM).texts) == 4


def test_a_damaged_store_is_set_aside_and_that_is_said(site, server, sim, gateway):
    gateway.stop()
    (gateway.folder / "gateway-gw1.db").write_bytes(b"not a database at all" * 1000)
    with gateway.start():
        at_hand(gateway, DORA)
        assert "was damaged; it is set aside" in gateway.log()
        assert [p.read_bytes()[:5] for p in gateway.folder.glob("gateway-gw1.db.damaged-*") if not p.name.endswith(("-wal", "-shm"))] == [b"not a"]


def test_a_store_that_cannot_be_had_is_a_clear_error_at_the_start(site, sim):
    gateway = site.gateway(providers=sim, node__state_dir="/proc/nowhere")
    gateway.spawn()
    assert gateway.process.wait(30) == 1
    assert "its own store can't be opened: /proc/nowhere" in gateway.log()


def test_an_entry_of_the_ledger_that_cannot_be_read_is_put_aside(site, server, sim, gateway):
    gateway.stop()
    with closing(sqlite3.connect(gateway.folder / "gateway-gw1.db")) as db:
        db.execute("INSERT INTO document (shelf, name, body) VALUES (CAST('ledger' AS BLOB), CAST('odd' AS BLOB), CAST('{' AS BLOB))")
        db.commit()
    with gateway.start():
        assert "can't be read" in gateway.log() and ledger_is_empty(gateway)


def ledger_is_empty(gateway):
    with closing(sqlite3.connect(f"file:{gateway.folder}/gateway-{gateway.id}.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM document WHERE shelf = CAST('ledger' AS BLOB)").fetchone() == (0,)
