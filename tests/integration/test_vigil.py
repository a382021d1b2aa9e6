"""Somebody's body gives cause for concern: dispatch sees it, the person is asked, and silence becomes a medical alarm with the readings."""
import json
import time

import pytest

from support import messages as m
from support.bodies import Desk, Wearer, on_shelf
from support.site import wait_until

QUICK = {"vitals__answer_within": "3s", "vitals__remind": "1s", "vitals__quiet": "1h"}


@pytest.fixture(scope="module")
def gateway(site):
    with site.gateway(**QUICK) as running:
        site.wait_rows("SELECT gateway FROM mayday.vigil_lease WHERE org = 'acme'", [("gw1",)])
        yield running


@pytest.fixture
def desk(site):
    with_console = Desk(site)
    yield with_console
    with_console.close()


def somebody(site, name):
    return Wearer(site, f"{name}-{m.uuid7()[-6:]}")


def incidents(site, person):
    return site.rows("SELECT id::text, type, priority, cause, status FROM mayday.alert WHERE raised_by = %s AND joined_to IS NULL", [person])


def test_silence_becomes_a_medical_alarm_with_the_readings(site, gateway, desk):
    ann = somebody(site, "ann")
    ann.rests()
    ann.worries()
    found = desk.sees(ann.person, kind="begins", response="ask")
    check = ann.asked()
    assert check["reason"] == "vitals" and check["respond_within"] == 3
    assert found["check"] == check["id"] and abs(found["readings"]["hr"] - 158) < 4 and found["vital"] == "hr"
    alert, said = desk.raised(ann.person)
    assert (said["type"], said["priority"]) == ("medical", "critical")
    assert said["readings"] == found["readings"] and found["words"] in said["text"]
    wait_until(lambda: incidents(site, ann.person), "the incident is stored")
    assert incidents(site, ann.person) == [(alert, "medical", "critical", "vitals", "active")]
    assert site.rows("SELECT words, check_id::text, response FROM mayday.vital_alert WHERE person = %s AND response = 'ask'", [ann.person]) == [
        (found["words"], check["id"], "ask")]
    assert ann.questions() == [check["id"]], "reminders repeat the same question"
    assert len(ann.checks) > 1, "and there were some"
    kinds = [kind for (kind,) in site.rows("SELECT kind FROM mayday.timeline(%s)", [alert])]
    assert {"raise", "check", "finding"} <= set(kinds)
    timeline = site.rows("SELECT detail FROM mayday.timeline(%s) WHERE kind = 'raise'", [alert])
    assert timeline[0][0]["readings"]["hr"] == found["readings"]["hr"]
    ann.close()


def test_ok_closes_it_and_nobody_asks_again_for_a_while(site, gateway, desk):
    bob = somebody(site, "bob")
    bob.rests()
    bob.worries()
    check = bob.asked()
    bob.answers(check)
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("ok",)], [check["id"]])
    # the same goes on: dispatch may see it, the person is left alone, also beyond when silence would have been an alarm
    until = time.time() + 5
    while time.time() < until:
        bob.reads(hr=159, spo2=96, contact=True, quality=95, motion=0.01)
        time.sleep(0.5)
    assert bob.questions() == [check["id"]] and incidents(site, bob.person) == []
    bob.close()


def test_who_says_ok_and_collapses_a_minute_later_is_not_left_alone(site, gateway, desk):
    cat = somebody(site, "cat")
    cat.rests()
    cat.worries()
    check = cat.asked()
    cat.answers(check)
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("ok",)], [check["id"]])
    # what a minute brings, told in seconds: the clock of the readings is the device's
    cat.stretch(1, 0, step=1, hr=157, contact=True, quality=95, motion=0.01)
    cat.reads(time.time() + 5, event="fall", hr=120, contact=True, quality=95, motion=0.6)
    for second in range(6, 66, 4):
        cat.reads(time.time() + second, hr=max(25, 110 - 6 * second), spo2=max(80, 97 - second // 3), contact=True, quality=90, motion=0.001)
    alert, said = desk.raised(cat.person)
    assert said["type"] == "medical" and said["readings"]
    wait_until(lambda: incidents(site, cat.person), "stored")
    assert [i[0] for i in incidents(site, cat.person)] == [alert]
    cat.close()


@pytest.mark.parametrize("answer", [{"answer": "help"}, {"answer": "ok", "text": "all fine, say hi to aunt Marigold!"}], ids=["help", "duress"])
def test_help_and_the_duress_word_raise_at_once(site, gateway, desk, answer):
    site.rows("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps({"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
    on_shelf(gateway, "vigil-rules", "marigold")
    dan = somebody(site, "dan")
    dan.rests()
    dan.worries()
    check = dan.asked()
    dan.answers(check, **answer)
    alert, said = desk.raised(dan.person)
    assert (said["type"], said["priority"]) == ("medical", "critical") and "calls for help" in said["text"]
    wait_until(lambda: incidents(site, dan.person), "stored")
    assert [i[0] for i in incidents(site, dan.person)] == [alert]
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("help",)], [check["id"]])
    assert desk.hears().replies[-1][1]["answer"] == answer["answer"], "dispatch reads what was said"
    dan.close()


def test_dispatch_answers_for_them(site, gateway, desk):
    eve, fay = somebody(site, "eve"), somebody(site, "fay")
    for one, answer in ((eve, "ok"), (fay, "help")):
        one.rests()
        one.worries()
        one.answers(one.asked(), answer, by=desk.console, text="I see them on camera")
    alert, _ = desk.raised(fay.person)
    site.wait_rows("SELECT w.answer, w.answered_by, r.sender FROM mayday.check_watch w JOIN mayday.reply r USING (check_id) WHERE w.person = %s",
                   [("ok", "dora", "dora")], [eve.person])
    wait_until(lambda: incidents(site, fay.person), "stored")
    assert incidents(site, eve.person) == [] and [i[0] for i in incidents(site, fay.person)] == [alert]
    eve.close(), fay.close()


def test_nobody_else_answers_for_them(site, gateway):
    gus, mallory = somebody(site, "gus"), site.client("mallory")
    gus.rests()
    gus.worries()
    check = gus.asked()
    mallory.publish(m.topic("user", gus.person, "reply"), m.dump(m.message(check=check["id"], answer="ok")))
    wait_until(lambda: incidents(site, gus.person), "silence is an alarm all the same")
    mallory.close()
    gus.close()


def test_who_has_raised_the_alarm_is_not_asked(site, gateway, desk):
    hal = somebody(site, "hal")
    hal.rests()
    alert = m.uuid7()
    assert hal.phone.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
    site.wait_rows("SELECT id::text FROM mayday.alert WHERE raised_by = %s", [(alert,)], [hal.person])
    wait_until(lambda: any(a == alert for a, _ in hal.hears().states), "the state is published")
    hal.worries()
    found = desk.sees(hal.person, rule="pulse-high")
    assert found["response"] == "note" and found["alert"] == alert and "check" not in found
    assert hal.questions() == []
    wait_until(lambda: ("finding",) in site.rows("SELECT kind FROM mayday.timeline(%s)", [alert]), "the incident shows it")
    hal.close()


def test_findings_and_readings_are_for_dispatch_and_supervisors(site, gateway):
    seen = {}
    clients = {name: site.client(f"{name}-reader", [role]) for name, role in
               (("dispatcher", "dispatcher"), ("supervisor", "supervisor"), ("member", "member"), ("responder", "responder"), ("family", "family"))}
    for name, client in clients.items():
        client.subscribe("mayday/v1/acme/user/+/vital_alert")
    ida = somebody(site, "ida")
    ida.phone.subscribe(m.topic("user", ida.person, "vital_alert"))
    ida.rests()
    ida.worries()
    ida.answers(ida.asked())
    site.wait_rows("SELECT count(*) > 0 FROM mayday.vital_alert WHERE person = %s", [(True,)], [ida.person])
    for name, client in clients.items():
        seen[name] = 0
        while not client.receives_nothing():
            seen[name] += client.receive().topic.endswith(f"{ida.person}/vital_alert")
        client.close()
    assert seen["dispatcher"] and seen["supervisor"] and not (seen["member"] or seen["responder"] or seen["family"])
    assert "pulse" not in gateway.log() and ida.person not in gateway.log(), "nothing of it is in a log"
    ida.close()


def test_only_a_gateway_attaches_readings(site):
    with site.client("jon", version=5) as jon:
        assert jon.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_(readings={"hr": 40}))) == 0x87


def test_dispatch_that_was_away_gets_what_was_found(site, gateway):
    with site.client("sync-dora", ["dispatcher"]) as dora:
        dora.subscribe(m.topic("user", "sync-dora", "inbox"))
        kim = somebody(site, "kim")
        kim.rests()
        kim.worries()
        kim.answers(kim.asked())
        site.wait_rows("SELECT count(*) > 0 FROM mayday.vital_alert WHERE person = %s", [(True,)], [kim.person])
        assert dora.publish(m.topic("user", "sync-dora", "sync"), m.dump(m.message())) == 0

        def page():
            if dora.receives_nothing():
                return None
            said = json.loads(dora.receive().payload)
            return [e for e in said.get("messages", said.get("entries", [])) if e.get("topic", "").endswith(f"{kim.person}/vital_alert")]
        entries = wait_until(page, "a page has it")
        assert entries[0]["payload"]["rule"] and entries[0]["payload"]["readings"]["hr"]
        kim.close()


def test_rules_of_an_organisation_count_at_once(site, gateway, desk):
    rules = {"v": 1, "rules": [{"name": "pulse-high", "above": 100, "for": 20, "response": "ask", "source": "ours"}]}
    site.rows("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps(rules)])
    on_shelf(gateway, "vigil-rules", '"ours"')
    lea = somebody(site, "lea")
    lea.rests()
    lea.stretch(60, 0, hr=112, spo2=97, contact=True, quality=95, motion=0.01)
    assert desk.sees(lea.person, rule="pulse-high")["limit"] == 100
    lea.answers(lea.asked())
    lea.close()
    site.rows("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps({"v": 1, "rules": []})])


def test_an_answer_with_a_wrong_pin_does_not_count_and_the_duress_pin_calls_for_help(site, gateway, desk):
    who = {}
    for pin in ("4711", "0000", "1234"):
        who[pin] = mia = somebody(site, "mia")
        mia.phone.subscribe(m.topic("user", mia.person, "rejected"))
        assert mia.phone.publish(m.topic("user", mia.person, "settings"), m.dump(m.message(pin="1234", duress_pin="4711"))) == 0
        site.wait_rows("SELECT count(*) FROM mayday.person WHERE person = %s AND duress_pin IS NOT NULL", [(1,)], [mia.person])
        mia.rests()
        mia.worries()
        check = mia.asked()
        mia.answers(check, "ok", pin=pin)
    site.wait_rows("SELECT answer FROM mayday.check_watch WHERE person = %s", [("ok",)], [who["1234"].person])
    site.wait_rows("SELECT answer, duress FROM mayday.check_watch WHERE person = %s", [("help", True)], [who["4711"].person])
    alert, said = desk.raised(who["4711"].person)
    assert said["silent"] is True and incidents(site, who["1234"].person) == []
    wait_until(lambda: incidents(site, who["0000"].person), "a wrong PIN is no answer")
    assert site.rows("SELECT r.pin_verdict, w.answered_at FROM mayday.reply r JOIN mayday.check_watch w USING (check_id) WHERE r.person = %s",
                     [who["0000"].person]) == [("wrong", None)]
    assert all("pin" not in r for _, r in desk.hears().replies), "nobody is handed a PIN"
    for mia in who.values():
        mia.close()
