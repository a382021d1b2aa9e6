"""What an attacker may not learn, forge or use up of bodies and places; through a real broker, database and gateway. A phone in the
wrong hands, a console, a gateway of another organisation, a wearable that lies."""
import json
import time

import pytest

from support import messages as m
from support.bodies import Desk, Wearer, on_shelf
from support.site import wait_until

QUICK = {"vitals__answer_within": "3s", "vitals__remind": "1s", "vitals__quiet": "1h"}


@pytest.fixture(scope="module")
def gateway(site):
    site.rows("SELECT mayday.apply_body_rules('acme', %s)", [json.dumps({"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
    with site.gateway(**QUICK) as running:
        site.wait_rows("SELECT gateway FROM mayday.vigil_lease WHERE org = 'acme'", [("gw1",)])
        on_shelf(running, "vigil-rules", "marigold")
        yield running


@pytest.fixture
def desk(site):
    with_console = Desk(site)
    yield with_console
    with_console.close()


def somebody(site, name, **more):
    return Wearer(site, f"{name}-{m.uuid7()[-6:]}", **more)


# ---- whoever holds the phone of somebody under duress


def everything(phone, who):
    """Every incident that reaches a phone, on whatever topic."""
    seen = {}
    while not phone.receives_nothing():
        packet = phone.receive()
        if "/alert/" in packet.topic:
            _, _, _, _, alert, leaf = packet.topic.split("/")
            seen.setdefault(alert, set()).add(leaf)
    return seen


def synced(site, person):
    """Incidents that somebody is told of who was away."""
    rows = site.rows("SELECT entry::jsonb FROM mayday.sync_entries('acme', %s, NULL, 1000) WHERE entry IS NOT NULL", [person])
    return [e for (e,) in rows if "/alert/" in json.dumps(e)]


@pytest.mark.parametrize("roles", [("member",), ("member", "dispatcher")], ids=["member", "who dispatches"])
@pytest.mark.parametrize("answer", [{"pin": "4711"}, {"text": "fine, say hi to Marigold"}], ids=["pin", "word"])
def test_help_that_was_called_under_duress_shows_nothing_on_the_phone_it_was_called_with(site, gateway, desk, roles, answer):
    eva = somebody(site, "eva", roles=roles)
    eva.phone.subscribe("mayday/v1/acme/alert/#")
    for leaf in ("state", "dispatch", "raise", "action", "chat", "location"):
        eva.phone.subscribe(f"mayday/v1/acme/alert/+/{leaf}")
    assert eva.phone.publish(m.topic("user", eva.person, "settings"), m.dump(m.message(pin="1234", duress_pin="4711"))) == 0
    site.wait_rows("SELECT count(*) FROM mayday.person WHERE person = %s AND duress_pin IS NOT NULL", [(1,)], [eva.person])
    eva.rests()
    eva.worries()
    eva.answers(eva.asked(), **answer)
    alert, said = desk.raised(eva.person)
    assert said["silent"] is True and said["type"] == "medical"
    site.wait_rows("SELECT duress_at IS NOT NULL, raised_by FROM mayday.alert WHERE id = %s", [(True, eva.person)], [alert])
    # what helpers do then
    wait_until(lambda: desk.console.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="acknowledge"))) == 0, "somebody goes")
    site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("acknowledged",)], [alert])
    assert desk.console.publish(m.topic("alert", alert, "chat"), m.dump(m.message(text="two minutes away"))) == 0
    wait_until(lambda: desk.truth(alert).get("status") == "acknowledged", "dispatch has the truth")
    assert desk.truth(alert)["duress_at"]
    site.wait_rows("SELECT count(*) FROM mayday.chat WHERE alert = %s", [(1,)], [alert])
    assert alert not in everything(eva.phone, eva.person)
    late = site.client(eva.person, list(roles), client_id=f"{eva.person}:2")
    late.subscribe("mayday/v1/acme/alert/#")
    late.subscribe("mayday/v1/acme/alert/+/state")
    time.sleep(0.2)  # what is retained comes at once; nothing can be waited for
    assert alert not in everything(late, eva.person), "nor with another session"
    site.rows("SELECT mayday.feed_settle(100000)")
    assert not [e for e in synced(site, eva.person) if alert in json.dumps(e)], "nor by asking what was missed"
    # and their own alarm is one of its own, which they see
    own = m.uuid7()
    assert eva.phone.publish(m.topic("alert", own, "raise"), m.dump(m.raise_())) == 0
    site.wait_rows("SELECT joined_to FROM mayday.alert WHERE id = %s", [(None,)], [own])
    wait_until(lambda: "state" in everything(eva.phone, eva.person).get(own, ()), "their own")
    late.close()
    eva.close()
