"""Geofences while the database is away: what was known counts, nobody is forgotten, and silence is an alarm."""
import json

import pytest

from support import messages as m
from support.bodies import shelf
from support.providers import Simulator
from support.site import Site, wait_until
from support.zones import Field, circle

DORA = "+27821110001"
AWAY = "zones are watched as they were last known"


@pytest.fixture(scope="module")
def mortal():
    from support.mortal import mortal_server, open_folder
    with open_folder() as folder, mortal_server(folder) as server:
        yield server


def test_without_the_database_zones_are_watched_as_they_were_and_it_is_brought_in_afterwards(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "away")
        field.put(circle())
        with field.gateway() as gateway:
            field.watched(gateway)
            field.walks("ann", 0)
            assert field.hears() == ("yard", "ann", "entered")
            field.wait_inside(("yard", "ann"))
            field.walks("ben", 300)
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            field.walks("ben", 50)
            assert field.hears() == ("yard", "ben", "entered")
            field.walks("ann", 300, 310)
            assert field.hears() == ("yard", "ann", "left")
            mortal.start()
            field.wait_inside(("yard", "ben"))
            field.wait_events(("ann", "entered"), ("ben", "entered"), ("ann", "left"))
        field.close()


def test_killed_without_the_database_it_remembers_who_is_inside(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "killed")
        field.put(circle(radius=120))
        gateway = field.gateway()
        try:
            field.watched(gateway)
            field.walks("eve", 300)
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            field.walks("eve", 0)
            assert field.hears() == ("yard", "eve", "entered")
            store = f"file:{gateway.folder}/gateway-gw1.db?mode=ro"
            wait_until(lambda: '"eve"' in shelved(store), "it is on the shelf")
            gateway.kill()
            gateway.start("killed")
            wait_until(lambda: gateway.log().count(AWAY) == 2, "it goes on")
            field.walks("eve", 10, 300, 310)
            assert field.hears() == ("yard", "eve", "left"), "and not entered again"
        finally:
            gateway.stop()
            mortal.start()
        field.close()


def test_who_left_without_the_database_has_left_also_when_the_gateway_was_killed_then(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "gone")
        field.put(circle())
        gateway = field.gateway()
        try:
            field.watched(gateway)
            field.walks("fay", 0)
            field.walks("kim", 0)
            assert sorted(field.hears()[1] for _ in range(2)) == ["fay", "kim"]
            field.wait_inside(("yard", "fay"), ("yard", "kim"))
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            field.walks("fay", 300, 310)
            assert field.hears() == ("yard", "fay", "left")
            store = f"file:{gateway.folder}/gateway-gw1.db?mode=ro"
            wait_until(lambda: '"person":"fay"' in shelved(store) and '"stays":[]' in shelved(store), "it is on the shelf")
            gateway.kill()
            mortal.start()
            gateway.start("gone")
            field.wait_inside(("yard", "kim"))
        finally:
            gateway.stop()
        field.close()


def test_who_is_met_first_without_the_database_has_the_zones_of_their_role(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "roles")
        field.put(circle("ours", **{"for": {"roles": ["officer"]}}), circle("theirs", **{"for": {"roles": ["responder"]}}))
        field.known("gil", "hal")
        gateway = field.gateway()
        try:
            field.watched(gateway)
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            field.walks("gil", 0)
            assert field.hears() == ("ours", "gil", "entered")
            gateway.kill()
            gateway.start("roles")
            wait_until(lambda: gateway.log().count(AWAY) == 2, "it goes on")
            field.walks("hal", 0)
            assert field.hears() == ("ours", "hal", "entered")
        finally:
            gateway.stop()
            mortal.start()
        field.close()


def asked(field, who):
    """They leave without a word, and are asked."""
    person = field.person(who)
    assert person.subscribe(m.topic("user", who, "check", field.org)) == [1]
    field.walks(who, 0)
    assert field.hears() == ("yard", who, "entered")
    field.walks(who, 300, 310)
    assert sorted(field.hears()[2] for _ in range(2)) == ["left", "left_unchecked"]
    return json.loads(person.receive(30).payload)


def test_silence_is_an_alarm_also_without_the_database_and_it_is_one(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "silence")
        field.put(circle(check_in=True, alarm="ask", alarm_on=["left_unchecked"], answer_within=10))
        with field.gateway() as gateway:
            field.watched(gateway)
            before = asked(field, "ida")  # while the database is there
            site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE org = 'silence'", [(1,)])
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            silent, fine, needy = [asked(field, who) for who in ("joe", "kay", "lea")]

            def answers(who, check, answer):
                assert field.person(who).publish(m.topic("user", who, "reply", "silence"), m.dump(m.message(check=check["id"], answer=answer, text="é" * 3000))) == 0
            answers("kay", fine, "ok")
            answers("lea", needy, "help")
            raised = {}
            while len(raised) < 3:
                p = field.dora.receive(60)
                body = json.loads(p.payload)
                assert p.topic.endswith("/raise"), p
                raised[body["person"]] = p.topic.split("/")[4], body
            assert sorted(raised) == ["ida", "joe", "lea"], "who has answered is left in peace"
            assert {who: (body["type"], body["priority"]) for who, (_, body) in raised.items()} == {
                "ida": ("general", "high"), "joe": ("general", "high"), "lea": ("panic", "critical")}
            assert raised["joe"][1]["location"]["lat"] == pytest.approx(47.0028, abs=1e-4)
            assert "Are you OK?" in raised["joe"][1]["text"]
            mortal.start()
            # Its watch over checks takes them for its own: nobody is raised for twice.
            field.site.wait_rows("SELECT person, alarm_alert::text, alarmed_at IS NOT NULL FROM mayday.check_watch WHERE org = 'silence' "
                                 "AND (answered_at IS NULL OR answer = 'help') ORDER BY 1",
                                 [(who, raised[who][0], True) for who in ("ida", "joe", "lea")], timeout=60)
            field.site.wait_rows("SELECT person, answer FROM mayday.check_watch WHERE org = 'silence' AND answered_at IS NOT NULL ORDER BY 1",
                                 [("kay", "ok"), ("lea", "help")])
            assert field.site.rows("SELECT count(*) FROM mayday.raise WHERE org = 'silence'") == [(3,)]
            assert before["id"] != silent["id"]
        field.close()


def test_duress_and_pins_in_an_answer_are_no_ok_without_the_database_either(mortal, tmp_path):
    """A word is known here; whether a PIN is theirs only the database knows. Both are alarms that who stands beside them does not notice."""
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "duress")
        field.put(circle(check_in=True, alarm="ask", alarm_on=["left_unchecked"], answer_within=10))
        site.rows("SELECT mayday.apply_body_rules('duress', %s)", [json.dumps({"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
        with field.gateway() as gateway:
            field.watched(gateway)
            wait_until(lambda: any("marigold" in body for body in shelf(gateway, "vigil-rules")), "the words are at hand")
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            word, pin = asked(field, "pam"), asked(field, "quin")
            for who, check, more in (("pam", word, {"text": "fine, thank Marigold"}), ("quin", pin, {"pin": "0000"})):
                assert field.person(who).publish(m.topic("user", who, "reply", "duress"), m.dump(m.message(check=check["id"], answer="ok", **more))) == 0
            raised = [json.loads(field.dora.receive(60).payload) for _ in range(2)]
            assert [(one["person"], one["type"], one.get("silent")) for one in raised] == [("pam", "panic", True), ("quin", "general", True)]
            assert "PIN" in raised[1]["text"]
            mortal.start()
            field.site.wait_rows("SELECT raised_by, silent FROM mayday.alert WHERE org = 'duress' AND joined_to IS NULL ORDER BY 1",
                                 [("pam", True), ("quin", True)], timeout=60)
        field.close()


def test_silence_is_told_from_here_when_the_broker_is_away_too(mortal, tmp_path):
    with Simulator() as sim, Site(tmp_path / "site", mortal) as site:
        sim.up()
        field = Field(site, "cut")
        field.put(circle(check_in=True, alarm="ask", alarm_on=["left_unchecked"], answer_within=10))
        site.rows("SELECT mayday.enter_person('cut', 'dora', '{dispatcher}', NULL)")
        site.rows("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('cut', 'dora', 1, 'sms', %s)", [DORA])
        with field.gateway(providers=sim) as gateway:
            field.watched(gateway)
            wait_until(lambda: any(DORA in body for body in shelf(gateway, "standby")), "whom to tell is at hand")
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            asked(field, "rob")
            site.kill()
            (text,) = sim.phone(DORA).wait_texts(timeout=60)
            assert "rob" in text.body
            mortal.start()
            site.start()
            site.wait_rows("SELECT count(*), sum(presses)::int FROM mayday.alert WHERE org = 'cut'", [(1, 1)], timeout=60)
            wait_until(lambda: shelf(gateway, "handed") == [], "a broker has it")
            assert len(sim.phone(DORA).texts) == 1, sim.phone(DORA).texts
        field.close()


def test_a_question_outlives_a_gateway_that_is_killed_without_the_database(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "outlives")
        field.put(circle(check_in=True, alarm="ask", alarm_on=["left_unchecked"], answer_within=10))
        gateway = field.gateway()
        try:
            field.watched(gateway)
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            check = asked(field, "max")
            store = f"file:{gateway.folder}/gateway-gw1.db?mode=ro"
            wait_until(lambda: check["id"] in shelved(store), "it is on the shelf")
            gateway.kill()
            gateway.start("outlives")
            p = field.dora.receive(60)
            assert p.topic.endswith("/raise") and json.loads(p.payload)["person"] == "max"
        finally:
            gateway.stop()
            mortal.start()
        field.close()


def test_another_gateway_stands_in_for_one_that_dies_without_the_database(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "alone")
        field.put(circle())
        first, second = field.gateway("gw1"), None
        try:
            field.watched(first)
            field.walks("ann", 0)
            assert field.hears() == ("yard", "ann", "entered")
            field.wait_inside(("yard", "ann"))
            second = field.gateway("gw2")
            field.walks("ben", 0)  # gw2 has learned of the one from the database, and hears of the other
            assert field.hears() == ("yard", "ben", "entered")
            field.wait_inside(("yard", "ann"), ("yard", "ben"))
            mortal.stop("immediate")
            wait_until(lambda: AWAY in first.log() and AWAY in second.log(), "both know")
            assert "stands in" not in second.log(), "one judges"
            field.walks("ann", 5)
            first.kill()
            wait_until(lambda: "stands in for gw1" in second.log(), "the other stands in")
            field.walks("ann", 300, 310)
            assert field.hears() == ("yard", "ann", "left")
            field.walks("cleo", 300, 0)
            assert field.hears() == ("yard", "cleo", "entered")
            mortal.start()
            field.wait_inside(("yard", "ben"), ("yard", "cleo"))
            field.wait_events(("ann", "entered"), ("ben", "entered"), ("ann", "left"), ("cleo", "entered"))
        finally:
            first.stop()
            if second:
                second.stop()
        field.close()


def test_who_gave_the_zones_back_for_want_of_a_broker_watches_them_when_it_is_back_and_the_database_is_not(mortal, tmp_path):
    with Site(tmp_path / "site", mortal) as site:
        field = Field(site, "deaf")
        field.put(circle())
        with field.gateway() as gateway:
            field.watched(gateway)
            field.close()
            site.stop()
            site.rows("SELECT 1")
            wait_until(lambda: site.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = "
                                         "(hashtext('mayday.fences')::bigint & 4294967295)::oid") == [(0,)], "it gave them back")
            mortal.stop("immediate")
            wait_until(lambda: AWAY in gateway.log(), "it knows")
            site.start()
            field = Field(site, "deaf")
            wait_until(lambda: "knows of nobody inside" in gateway.log(), "it stands in", timeout=60)
            field.walks("ann", 0)
            assert field.hears() == ("yard", "ann", "entered")
            mortal.start()
            field.wait_inside(("yard", "ann"))
            field.wait_events(("ann", "entered"))
        field.close()


def shelved(path):
    import sqlite3
    with sqlite3.connect(path, uri=True) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return "".join(str([bytes(v).decode(errors="replace") if isinstance(v, bytes) else v for v in row])
                       for table in tables for row in db.execute(f"SELECT * FROM {table}"))
