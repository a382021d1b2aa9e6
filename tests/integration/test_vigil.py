"""Somebody's body gives cause for concern: dispatch sees it, the person is asked, and silence becomes a medical alarm with the readings."""
import json
import time

import pytest

from support import messages as m
from support.bodies import Desk, Wearer
from support.site import wait_until

QUICK = {"vitals__answer_within": "3s", "vitals__remind": "1s", "vitals__quiet": "1h"}


@pytest.fixture(scope="module")
def gateway(site):
    with site.gateway(**QUICK) as running:
        wait_until(lambda: site.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint ="
                                     " (hashtext('mayday.vigil')::bigint & 4294967295)")[0][0] == 1, "it watches")
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
