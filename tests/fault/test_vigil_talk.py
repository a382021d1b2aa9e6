"""Conversations on bad days: what was said is not forgotten, nobody is asked twice, nobody who says help waits for a database, and whoever
watches never waits for one either. With tests/fault/test_vigil.py, which is about what becomes of silence."""
import json
import signal
import sqlite3
import time
from contextlib import contextmanager

import pytest

from fault.test_vigil import away, figures, incidents, one_incident, quick, server, site, watched  # noqa: F401 - the fixtures are used
from support import messages as m
from support.bodies import Desk, Wearer, on_shelf, shelf
from support.proxy import Proxy
from support.site import wait_until


ON_ITS_WAY = 6  # what was read until five seconds after an incident may have been on its way: it is noted, and no more


@contextmanager
def locked(server, table):  # noqa: F811
    """Whoever wants that table waits."""
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
            cursor.execute("ROLLBACK")
    finally:
        connection.close()


def talks(gateway):
    return [json.loads(body) for body in shelf(gateway, "vigil")]


def raised_once(site, person, gateways=()):
    """One incident of theirs, of one message, and nothing more comes."""
    alert = one_incident(site, person)
    time.sleep(3.5)
    assert one_incident(site, person) == alert
    assert site.rows("SELECT presses FROM mayday.alert WHERE id = %s", [alert]) == [(1,)]
    for gateway in gateways:
        wait_until(lambda: not shelf(gateway, "vigil-say") and not shelf(gateway, "vigil"), f"{gateway.id} has nothing left to say")
    return alert


# ---- killed, without the database

@pytest.mark.parametrize("moment", ["before the question", "after the question", "at the timeout"])
def test_killed_without_the_database_and_started_again(site, server, moment):  # noqa: F811
    gateway = watched(site, quick(site, answer="4s").start())
    ann, desk = Wearer(site, "ann"), Desk(site)
    ann.rests()
    wait_until(lambda: figures(gateway) and "mayday_gateway_vitals_people 1" in figures(gateway), "ann is watched")
    away(server, gateway)
    if moment == "before the question":
        gateway.signal(signal.SIGSTOP)
        ann.worries()
        site.process.send_signal(signal.SIGSTOP)
        gateway.signal(signal.SIGCONT)
        wait_until(lambda: talks(gateway), "it is noted")
        gateway.kill()
        site.process.send_signal(signal.SIGCONT)
    else:
        ann.worries()
        check = ann.asked()
        wait_until(lambda: [t for t in talks(gateway) if t["out"]], "it is noted that the question is out")
        if moment == "at the timeout":
            time.sleep(max(0, talks(gateway)[0]["due"] / 1e6 - time.time() - 0.05))
        gateway.kill()
    gateway.start()
    alert, said = desk.raised("ann", 60)
    assert said["type"] == "medical" and said["readings"]["hr"]
    assert len(ann.questions()) == 1
    server.start()
    assert raised_once(site, "ann", [gateway]) == alert
    gateway.stop()
    ann.close(), desk.close()


def test_killed_again_and_again_it_raises_all_the_same(site, server):  # noqa: F811
    """The time that is added at a start is added once."""
    gateway = watched(site, quick(site, answer="4s").start())
    ann, desk = Wearer(site, "ann"), Desk(site)
    ann.rests()
    away(server, gateway)
    ann.worries()
    ann.asked()
    wait_until(lambda: talks(gateway), "it is noted")
    gateway.kill()
    gateway.start()
    wait_until(lambda: talks(gateway)[0]["winded"], "it went on")
    due = talks(gateway)[0]["due"]
    for _ in range(3):
        gateway.kill()
        gateway.start()
        time.sleep(1)
        assert talks(gateway)[0]["due"] <= due + 4_000_000, "the end comes no later each time"
    assert desk.raised("ann", 60)
    server.start()
    raised_once(site, "ann", [gateway])
    gateway.stop()
    ann.close(), desk.close()


def test_a_clock_that_was_set_back_does_not_put_off_the_alarm(site, server):  # noqa: F811
    gateway = watched(site, quick(site, answer="3s").start())
    ann, desk = Wearer(site, "ann"), Desk(site)
    ann.rests()
    away(server, gateway)
    ann.worries()
    ann.asked()
    wait_until(lambda: talks(gateway), "it is noted")
    gateway.kill()
    with sqlite3.connect(f"{gateway.folder}/gateway-{gateway.id}.db") as db:  # as if this had been written an hour from now
        (talk,) = talks(gateway)
        talk["due"] += 3600 * 1_000_000
        db.execute("UPDATE document SET body = CAST(? AS BLOB) WHERE shelf = CAST('vigil' AS BLOB)", [json.dumps(talk)])
    gateway.start()
    assert desk.raised("ann", 60)
    server.start()
    raised_once(site, "ann", [gateway])
    gateway.stop()
    ann.close(), desk.close()


def test_without_the_database_another_gateway_goes_on_with_a_question_it_only_heard(site, server):  # noqa: F811
    """The other one began to watch later: by itself it would ask something else."""
    first = watched(site, quick(site, "gw2", "5s").start())
    ann, desk = Wearer(site, "ann"), Desk(site)
    ann.rests(900, 40)
    with quick(site, "gw1", "5s") as second:
        ann.stretch(39, 30, step=3, hr=158, spo2=96, contact=True, quality=95, motion=0.01)
        wait_until(lambda: "mayday_gateway_vitals_people 1" in figures(second), "it watches, too")
        away(server, first, second)
        ann.worries(29)
        for _ in range(60):
            if ann.hears().checks:
                break
            ann.reads(hr=158 + _ % 3, spo2=96, contact=True, quality=95, motion=0.01)
            time.sleep(1)
        check = ann.asked()
        wait_until(lambda: [t for t in talks(second) if t["check"] == check["id"]], "the other one follows")
        first.kill()
        alert, _ = desk.raised("ann", 60)
        assert ann.questions() == [check["id"]]
        server.start()
        assert raised_once(site, "ann") == alert
    ann.close(), desk.close()


# ---- answers

def test_who_calls_for_help_to_an_older_question_is_heard_without_the_database(site, server):  # noqa: F811
    with watched(site, quick(site, answer="1h").start()) as gateway:
        ann, desk = Wearer(site, "ann"), Desk(site)
        ann.rests()
        check = m.message(reason="dispatch", respond_within=3600)
        assert desk.console.publish(m.topic("user", "ann", "check"), m.dump(check)) == 0
        wait_until(lambda: "mayday_gateway_vitals_people 1" in figures(gateway), "ann is watched")
        away(server, gateway)
        ann.answers(check, "help")
        alert, said = desk.raised("ann")
        assert said["type"] == "medical" and "calls for help" in said["text"]
        server.start()
        wait_until(lambda: incidents(site, "ann"), "the incident is stored")
        site.wait_rows("SELECT alarmed_at IS NOT NULL FROM mayday.check_watch WHERE check_id = %s", [(True,)], [check["id"]])
        assert site.rows("SELECT count(*) FROM mayday.alert WHERE raised_by = 'ann' AND joined_to IS NULL") == [(1,)]
        ann.close(), desk.close()


def set_pins(site, person):
    assert person.phone.publish(m.topic("user", person.person, "settings"), m.dump(m.message(pin="1234", duress_pin="4711"))) == 0
    site.wait_rows("SELECT count(*) FROM mayday.person WHERE person = %s AND duress_pin IS NOT NULL", [(1,)], [person.person])


@pytest.mark.parametrize("pin", ["1234", "4711", "0000"], ids=["right", "duress", "wrong"])
def test_an_ok_with_a_pin_that_nobody_can_judge_is_no_ok(site, server, pin):  # noqa: F811
    """Nobody but the database knows whether it is theirs; so dispatch is told, and who stands beside them sees nothing."""
    with watched(site, quick(site).start()) as gateway:
        ann, desk = Wearer(site, "ann"), Desk(site)
        set_pins(site, ann)
        ann.rests()
        away(server, gateway)
        ann.worries()
        check = ann.asked()
        ann.answers(check, "ok", pin=pin)
        wait_until(lambda: [t for t in talks(gateway) if t["unjudged"]], "the answer is in doubt")
        asked = len(ann.hears().checks)
        alert, said = desk.raised("ann")
        assert said["silent"] is True and "PIN" in said["text"]
        assert len(ann.hears().checks) == asked, "they are not asked again"
        server.start()
        site.wait_rows("SELECT pin_verdict FROM mayday.reply WHERE check_id = %s", [({"1234": "right", "4711": "duress", "0000": "wrong"}[pin],)], [check["id"]])
        wait_until(lambda: incidents(site, "ann"), "the incident is stored")
        time.sleep(3.5)
        assert site.rows("SELECT count(*) FROM mayday.alert WHERE raised_by = 'ann' AND joined_to IS NULL") == [(1,)]
        ann.close(), desk.close()


def test_a_call_under_duress_stays_silent_whatever_is_said_after_it(site, server):  # noqa: F811
    """Whoever writes to the database stands still, so that the gateway raises by itself: nobody beside them may notice that, either."""
    server.sql("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps({"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
    try:
        with watched(site, quick(site, answer="30s").start()) as gateway:
            on_shelf(gateway, "vigil-rules", "marigold")
            ann, desk = Wearer(site, "ann"), Desk(site)
            ann.rests()
            ann.worries()
            check = ann.asked()
            with locked(server, "mayday.reply"):
                ann.answers(check, "ok", text="fine, thank Marigold")
                wait_until(lambda: [t for t in talks(gateway) if t["raising"] and t["duress"]], "it is noted, and how")
                ann.answers(check, "ok", text="really")
                alert, said = desk.raised("ann")
                assert said["silent"] is True
            raised_once(site, "ann")
            ann.close(), desk.close()
    finally:
        server.sql("DELETE FROM mayday.body_rules")


# ---- incidents

def pressed(site, ann):
    alert = m.uuid7()
    assert ann.phone.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_())) == 0
    wait_until(lambda: any(a == alert for a, _ in ann.hears().states), "the state is published")
    return alert


def test_who_had_an_incident_is_watched_again_when_its_end_was_not_heard(site, server):  # noqa: F811
    with watched(site, quick(site, answer="1h").start()) as gateway:
        ann = Wearer(site, "ann")
        ann.rests()
        alert = pressed(site, ann)
        server.sql("UPDATE mayday.alert SET closed_at = now(), retired_at = now() WHERE id = %s", [alert])
        time.sleep(6 + ON_ITS_WAY)  # it looks every five seconds
        ann.worries()
        ann.asked()
        ann.close()


def test_what_was_found_during_an_alarm_that_was_a_mistake_is_asked_about_after_it(site):  # noqa: F811
    with watched(site, quick(site, answer="1h").start()):
        ann, desk = Wearer(site, "ann"), Desk(site)
        ann.rests()
        alert = pressed(site, ann)
        ann.worries()
        assert desk.sees("ann", rule="pulse-high")["response"] == "note" and not ann.questions()
        assert ann.phone.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="cancel"))) == 0
        ann.asked()
        ann.close(), desk.close()


def test_that_it_was_a_mistake_is_seen_in_the_database_when_it_was_not_heard(site, server):  # noqa: F811
    with watched(site, quick(site, answer="1h").start()):
        ann, desk = Wearer(site, "ann"), Desk(site)
        ann.rests()
        alert = pressed(site, ann)
        ann.worries()
        assert desk.sees("ann", rule="pulse-high")["response"] == "note" and not ann.questions()
        server.sql("UPDATE mayday.alert SET status = 'canceled', closed_at = now(), retired_at = now() WHERE id = %s", [alert])
        ann.asked()
        ann.close(), desk.close()


def test_without_the_database_who_was_helped_is_watched_again(site, server):  # noqa: F811
    with watched(site, quick(site).start()) as gateway:
        ann, desk = Wearer(site, "ann"), Desk(site)
        ann.rests()
        away(server, gateway)
        ann.worries()
        ann.asked()
        alert, _ = desk.raised("ann")
        assert desk.console.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="resolve"))) == 0
        time.sleep(ON_ITS_WAY)
        ann.stretch(1, 0, step=1, hr=80, contact=True, quality=95, motion=0.01)
        ann.reads(time.time() + 5, event="fall", hr=120, contact=True, quality=95, motion=0.6)
        for second in range(6, 66, 4):
            ann.reads(time.time() + second, hr=max(25, 110 - 6 * second), spo2=max(80, 97 - second // 3), contact=True, quality=90, motion=0.001)
        wait_until(lambda: len({a for a, r in desk.hears().raises if r.get("person") == "ann"}) == 2, "the collapse is raised", 40)
        server.start()
        ann.close(), desk.close()


# ---- nobody waits for anybody else

def test_a_database_that_hangs_delays_nobodys_question(site, server):  # noqa: F811
    with watched(site, quick(site, answer="1h").start()) as gateway:
        ann = Wearer(site, "ann")
        ann.rests()
        with locked(server, "mayday.vigil_lease"):
            wait_until(lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%vigil_claim%%'")[0][0],
                       "the gateway waits for it")
            failures = gateway.log().count("; trying again")
            ann.worries()
            ann.asked()
            assert gateway.log().count("; trying again") == failures, "the question came while it still waited"
        ann.close()


def test_an_answer_that_the_gateway_missed_counts(site, server):  # noqa: F811
    """Its line to the broker is cut while the answer is given; the database has it, and there is nothing to raise."""
    with Proxy(site.port) as proxy:
        gateway = quick(site, answer="6s", gateway__broker_port=proxy.port)
        with watched(site, gateway.start()):
            ann = Wearer(site, "ann")
            ann.rests()
            ann.worries()
            check = ann.asked()
            proxy.stall()
            ann.answers(check)
            site.wait_rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [("ok",)], [check["id"]])
            wait_until(lambda: not talks(gateway), "it is closed without having been heard")
            time.sleep(7)
            proxy.cut()
            time.sleep(3)
            assert incidents(site, "ann") == [] and not shelf(gateway, "handed")
            ann.close()
