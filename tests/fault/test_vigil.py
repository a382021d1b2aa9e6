"""Bad days of watching over people: gateways that are killed in the middle of a conversation, two that hear the same person, a database
that is away. The sentence is always the same: whoever does not answer has exactly one incident, with the readings."""
import json
import signal
import time

import pytest

from support import messages as m
from support.bodies import Desk, Wearer, on_shelf, shelf
from support.mortal import mortal_server, open_folder
from support.passing import pass_time
from support.providers import Simulator
from support.sensors import Line
from support.site import Site, wait_until

DORA, SUE = "+27821110001", "+27821110003"
PLAN = {"v": 1, "policies": [{"name": "all", "levels": [{"after": 0, "targets": [{"role": "dispatcher"}]},
                                                        {"after": 300, "targets": [{"role": "supervisor"}]}],
                              "rounds": 1, "pause": 300, "forgotten_after": 1800}]}


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


@pytest.fixture
def site(server, tmp_path):
    if not server.pid():
        server.start()
    server.sql("TRUNCATE mayday.alert, mayday.membership, mayday.escalation, mayday.notification, mayday.attempt, mayday.raise, mayday.action,"
               " mayday.vitals, mayday.vital_alert, mayday.person_check, mayday.check_watch, mayday.reply, mayday.body CASCADE")
    for person, role, number in (("dora", "dispatcher", DORA), ("sue", "supervisor", SUE)):
        server.sql("SELECT mayday.enter_person('acme', %s, %s, NULL)", [person, [role]])
        server.sql("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', %s, 1, 'sms', %s) ON CONFLICT DO NOTHING",
                   [person, number])
    server.sql("DELETE FROM mayday.plan WHERE org = 'acme'")
    server.sql("INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, %s)", [json.dumps(PLAN)])
    with Site(tmp_path / "site", server) as running:
        yield running
    if not server.pid():
        server.start()


def quick(site, id="gw1", answer="3s", **more):
    return site.gateway(id, vitals__answer_within=answer, vitals__remind="1s", vitals__quiet="1h", vitals__keep="1s", **more)


def holder(site):
    """Which gateway holds the organisation."""
    return site.rows("SELECT gateway FROM mayday.vigil_lease WHERE org = 'acme' AND until > clock_timestamp()")


def watched(site, gateway):
    wait_until(lambda: holder(site) == [(gateway.id,)], f"{gateway.id} watches")
    return gateway


def incidents(site, person):
    return site.rows("SELECT id::text, type, priority, cause FROM mayday.alert WHERE raised_by = %s", [person])


def away(server, *gateways):
    seen = [g.log().count("the database is away: people") for g in gateways]
    server.stop("immediate")
    wait_until(lambda: all(g.log().count("the database is away: people") > n for g, n in zip(gateways, seen)), "the gateways notice")


def one_incident(site, person, readings=True):
    wait_until(lambda: incidents(site, person), "the incident is stored", 60)
    (alert, *what), = incidents(site, person)
    assert what == ["medical", "critical", "vitals"]
    stored = site.rows("SELECT readings FROM mayday.raise WHERE alert = %s", [alert])
    assert len({json.dumps(r[0], sort_keys=True) for r in stored}) == 1 and (stored[0][0] or not readings)
    return alert


def test_killed_after_the_question_left_another_gateway_finishes(site):
    with watched(site, quick(site, "gw1", "4s").start()) as first:
        with quick(site, "gw2", "4s") as second:
            ann = Wearer(site, "ann")
            ann.rests()
            ann.worries()
            check = ann.asked()
            first.kill()
            alert = one_incident(site, "ann")
            wait_until(lambda: holder(site) == [(second.id,)], f"{second.id} took over")
            time.sleep(3.5)  # when either would have raised once more
            assert one_incident(site, "ann") == alert and ann.questions() == [check["id"]]
            assert site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
            ann.close()


def test_killed_after_the_question_left_and_nobody_there_until_it_is_started_again(site):
    gateway = watched(site, quick(site, answer="3s").start())
    ann = Wearer(site, "ann")
    ann.rests()
    ann.worries()
    check = ann.asked()
    site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE check_id = %s", [(1,)], [check["id"]])
    gateway.kill()
    time.sleep(4)
    assert incidents(site, "ann") == []
    gateway.start()
    alert = one_incident(site, "ann")
    time.sleep(3.5)
    assert one_incident(site, "ann") == alert and ann.questions() == [check["id"]]
    gateway.stop()
    ann.close()


def test_an_answer_that_came_while_no_gateway_was_there_counts(site):
    gateway = watched(site, quick(site, answer="3s").start())
    ann = Wearer(site, "ann")
    ann.rests()
    ann.worries()
    check = ann.asked()
    gateway.kill()
    ann.answers(check)
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("ok",)], [check["id"]])
    gateway.start()
    watched(site, gateway)
    time.sleep(6)
    assert incidents(site, "ann") == [] and ann.questions() == [check["id"]]
    gateway.stop()
    ann.close()


@pytest.mark.parametrize("another", [True, False])
def test_killed_before_the_question_left(site, another):
    """The broker stands still at that moment, so that nothing leaves; what was to be said is on disk, and with the other gateway."""
    gateway = watched(site, quick(site).start())
    second = quick(site, "gw2").start() if another else None
    ann = Wearer(site, "ann")
    ann.rests()
    # the gateway is stopped, the readings wait in its socket, it goes on and the broker is stopped instead: it finds and can't say
    gateway.signal(signal.SIGSTOP)
    ann.worries()
    site.process.send_signal(signal.SIGSTOP)
    gateway.signal(signal.SIGCONT)
    wait_until(lambda: len(shelf(gateway, "vigil-say")) >= 2, "it found and noted")
    assert shelf(gateway, "vigil")
    gateway.kill()
    site.process.send_signal(signal.SIGCONT)
    if not another:
        gateway.start()
    check = ann.asked(60)
    alert = one_incident(site, "ann")
    time.sleep(3.5)
    assert one_incident(site, "ann") == alert and ann.questions() == [check["id"]]
    (gateway if not another else second).stop()
    ann.close()


def test_two_gateways_hear_one_person_and_ask_once(site):
    with watched(site, quick(site, "gw1").start()), quick(site, "gw2"):
        ann = Wearer(site, "ann")
        ann.rests()
        ann.worries()
        check = ann.asked()
        alert = one_incident(site, "ann")
        time.sleep(3.5)
        assert ann.questions() == [check["id"]] and one_incident(site, "ann") == alert
        assert site.rows("SELECT count(*) FROM mayday.vital_alert WHERE person = 'ann' AND response = 'ask'") == [(1,)]
        ann.close()


def test_without_the_database_the_question_and_the_alarm_still_come(site, server, sim):
    with watched(site, quick(site, providers=sim).start()) as gateway:
        on_shelf(gateway, "standby", DORA)
        ann, desk = Wearer(site, "ann"), Desk(site, "dora")
        ann.rests()
        site.wait_rows("SELECT count(*) > 0 FROM mayday.body WHERE person = 'ann'", [(True,)])
        away(server, gateway)
        ann.worries()
        found = desk.sees("ann", response="ask")
        check = ann.asked()
        alert, said = desk.raised("ann")
        assert said["readings"]["hr"] and found["words"] in said["text"]
        (text,) = sim.phone(DORA).wait_texts()
        assert "pulse" in text.body
        server.start()
        assert one_incident(site, "ann") == alert
        site.wait_rows("SELECT alarmed_at IS NOT NULL FROM mayday.check_watch WHERE check_id = %s", [(True,)], [check["id"]])
        time.sleep(3.5)
        assert one_incident(site, "ann") == alert
        assert site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
        assert len(sim.phone(DORA).texts) == 1, "told once"
        ann.close(), desk.close()


def test_without_the_database_an_answer_closes_it(site, server):
    with watched(site, quick(site).start()) as gateway:
        ann = Wearer(site, "ann")
        ann.rests()
        away(server, gateway)
        ann.worries()
        check = ann.asked()
        ann.answers(check)
        time.sleep(5)
        server.start()
        site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("ok",)], [check["id"]], timeout=60)
        time.sleep(3)
        assert incidents(site, "ann") == []
        ann.close()


def test_without_the_database_two_gateways_say_the_same(site, server):
    with watched(site, quick(site, "gw1").start()) as first, quick(site, "gw2") as second:
        ann = Wearer(site, "ann")
        ann.rests()
        away(server, first, second)
        ann.worries()
        check = ann.asked()
        time.sleep(5)
        server.start()
        alert = one_incident(site, "ann")
        assert ann.questions() == [check["id"]] and site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
        ann.close()


def test_escalation_takes_it_from_there(site, sim):
    with watched(site, quick(site, providers=sim).start()):
        ann = Wearer(site, "ann")
        ann.rests()
        ann.worries()
        ann.asked()
        alert = one_incident(site, "ann")
        (text,) = sim.phone(DORA).wait_texts()
        assert "pulse" in text.body
        pass_time(site, alert, 301)
        (text,) = sim.phone(SUE).wait_texts()
        assert "pulse" in text.body
        kinds = {kind for (kind,) in site.rows("SELECT kind FROM mayday.timeline(%s)", [alert])}
        assert {"finding", "check", "raise"} <= kinds
        ann.close()


# ---- the edge: sensors of the gateway's own ----

RULES = {"v": 1, "rules": [{"name": "quick", "of": "hr", "above": 150, "for": 2, "clear_for": 5, "response": "ask", "source": "test"},
                           {"name": "grave", "of": "hr", "below": 30, "for": 2, "clear_for": 5, "response": "raise", "source": "test"}]}


@pytest.fixture
def strap(tmp_path):
    port = Line(tmp_path / "tty")
    yield port.plug()
    port.close()


@pytest.fixture
def edge(site, server, sim, strap):
    """A gateway that reads ann's strap itself."""
    server.sql("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps(RULES)])
    folder = site.folder / "gateway-gw1"
    gateway = quick(site, providers=sim, sensors__file=folder / "sensors.json")
    (folder / "sensors.json").write_text(json.dumps({"v": 1, "org": "acme", "sensors": [
        {"name": "strap", "kind": "serial", "person": "ann", "options": {"device": str(strap.path), "format": "json"}}]}))
    with watched(site, gateway.start()):
        wait_until(lambda: "sensor strap is open" in gateway.log(), "the strap is read")
        on_shelf(gateway, "standby", DORA)
        on_shelf(gateway, "vigil-rules", "grave")
        yield gateway
    server.sql("DELETE FROM mayday.body_rules")


def wear(strap, hr, until, what, timeout=60):
    """The strap says so, once in a while, until something is so."""
    turn = [0]

    def beat():
        turn[0] += 1
        strap.say_json(hr=hr + turn[0] % 3, contact=True, quality=95, motion=0.001)
        time.sleep(0.2)
        return until()
    return wait_until(beat, what, timeout)


@pytest.mark.parametrize("hr, database", [(20, True), (160, True), (20, False), (160, False)],
                         ids=["grave", "silence", "grave-no-database", "silence-no-database"])
def test_without_the_broker_the_gateway_tells_people_by_itself(site, server, sim, strap, edge, hr, database):
    wear(strap, 70, lambda: "mayday_gateway_vitals_people 1" in figures(edge), "ann is watched")
    site.kill()
    if not database:
        away(server, edge)
    wear(strap, hr, lambda: sim.phone(DORA).texts, "dispatch gets a text")
    assert "pulse" in sim.phone(DORA).texts[0].body
    if not database:
        server.start()
    site.start()
    alert = one_incident(site, "ann")
    wait_until(lambda: shelf(edge, "handed") == [] and shelf(edge, "vigil-say") == [] and shelf(edge, "ledger") == [], "all of it is said and brought in")
    time.sleep(3.5)
    assert one_incident(site, "ann") == alert and len(sim.phone(DORA).texts) == 1
    assert site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
    assert site.rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND person = 'dora' AND purpose = 'raise'", [alert]) == [(1,)]


def figures(gateway):
    from urllib.request import urlopen
    with urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics") as answer:
        return answer.read().decode()


def test_what_comes_back_over_mqtt_is_judged_once(site, edge, strap):
    wear(strap, 70, lambda: site.rows("SELECT count(*) > 3 FROM mayday.vitals WHERE person = 'ann'")[0][0], "readings are stored")
    assert 'mayday_gateway_vitals_readings_total{from="own"}' in figures(edge)
    assert 'mayday_gateway_vitals_readings_total{from="mqtt"}' not in figures(edge)
    ann = Wearer(site, "ann")
    wear(strap, 165, lambda: ann.hears().checks, "ann is asked")
    ann.answers(ann.checks[0])
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE person = 'ann'", [("ok",)])
    ann.close()


def test_a_gateway_that_hangs_is_not_waited_for(site):
    with watched(site, quick(site, "gw1").start()) as first, quick(site, "gw2") as second:
        ann = Wearer(site, "ann")
        ann.rests()
        first.signal(signal.SIGSTOP)
        ann.worries()
        check = ann.asked()
        assert holder(site) == [(second.id,)]
        alert = one_incident(site, "ann")
        first.signal(signal.SIGCONT)
        time.sleep(4)
        assert one_incident(site, "ann") == alert and ann.questions() == [check["id"]]
        assert site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
        ann.close()
