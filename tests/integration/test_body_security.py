"""What an attacker may not learn, forge or use up of bodies and places; through a real broker, database and gateway. A phone in the
wrong hands, a console, a gateway of another organisation, a wearable that lies."""
import json
import time
import urllib.request

import psycopg2
import pytest

from support import messages as m
from support.bodies import Desk, Wearer, on_shelf
from support.site import wait_until
from support.wire import PUBACK

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
    return [e for (e,) in rows if "/alert/" in json.dumps(e) or "gone" in e]


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
    # nor when it ends
    assert desk.console.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="resolve", reason="found"))) == 0
    site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("resolved",)], [alert])
    site.rows("SELECT mayday.retire_incidents('0 s')")
    wait_until(lambda: alert not in str(site.rows("SELECT id FROM mayday.membership WHERE until IS NULL AND person <> %s", [eva.person])), "it is over")
    site.rows("SELECT mayday.feed_settle(100000)")
    assert not [e for e in synced(site, eva.person) if alert in json.dumps(e)] and alert not in everything(late, eva.person)
    # and their own alarm is one of its own, which they see
    own = m.uuid7()
    assert eva.phone.publish(m.topic("alert", own, "raise"), m.dump(m.raise_())) == 0
    site.wait_rows("SELECT joined_to FROM mayday.alert WHERE id = %s", [(None,)], [own])
    wait_until(lambda: "state" in everything(eva.phone, eva.person).get(own, ()), "their own")
    late.close()
    eva.close()


# ---- who answers for whom, and who asks


def property_pairs(packet):
    """User properties of MQTT 5, in order."""
    pairs, raw, at = [], packet.properties, 0
    while at < len(raw):
        assert raw[at] == 0x26, raw
        at += 1
        words = []
        for _ in range(2):
            length = int.from_bytes(raw[at:at + 2], "big")
            words.append(raw[at + 2:at + 2 + length].decode())
            at += 2 + length
        pairs.append(tuple(words))
    return pairs


def asks(site, console, person, **more):
    """Dispatch asks; the question, once it is watched."""
    check = m.message(**{"reason": "dispatch", **more})
    assert console.publish(m.topic("user", person, "check"), m.dump(check)) == 0
    site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE check_id = %s", [(1,)], [check["id"]])
    return check


def test_an_answer_for_somebody_else_shows_whose_it_is_wherever_it_is_read(site, gateway, desk):
    finn = somebody(site, "finn")
    check = asks(site, desk.console, finn.person, respond_within=3600)
    with site.client("olaf", ["dispatcher"], version=5) as other:
        other.subscribe(m.topic("user", finn.person, "reply"))
        finn.answers(check, "ok", by=desk.console)
        packet = other.receive()
        assert property_pairs(packet)[-1] == ("sender", "dora"), "other dispatchers are told"
    site.wait_rows("SELECT answer, answered_by FROM mayday.check_watch WHERE check_id = %s", [("ok", "dora")], [check["id"]])
    told = site.rows("SELECT kind, sender, detail->>'answered_by' FROM mayday.conversation('acme', %s, now() - interval '1 hour', now() + interval '1 hour')",
                     [finn.person])
    assert sorted(told) == [("check", "dora", "dora"), ("reply", "dora", None)]
    audited = "SELECT actor, person, detail->>'answer' FROM mayday.audit WHERE kind = 'check.answered_for' AND person = %s"
    site.wait_rows(audited, [("dora", finn.person, "ok")], [finn.person])
    finn.close()


def test_dispatch_answers_for_others_by_the_token_it_answers_with(site, gateway, desk):
    """Not by what the database last heard of their roles: a phone of theirs that connected later may be a member's."""
    gail = somebody(site, "gail")
    check = asks(site, desk.console, gail.person, respond_within=3600)
    with site.client("dora", ["member"], client_id="dora:phone"):
        site.wait_rows("SELECT roles FROM mayday.person WHERE org = 'acme' AND person = 'dora'", [(["member"],)])
        gail.answers(check, "help", by=desk.console)
        site.wait_rows("SELECT answer, answered_by FROM mayday.check_watch WHERE check_id = %s", [("help", "dora")], [check["id"]])
        desk.raised(gail.person)
    gail.close()


@pytest.mark.parametrize("who", ["supervisor", "member", "device", "officer", "family", "responder", "admin"])
def test_only_dispatch_answers_for_somebody_else(site, gateway, desk, who):
    hugo = somebody(site, "hugo")
    check = asks(site, desk.console, hugo.person, respond_within=3600)
    with site.client("mallory", [who], client_id=f"mallory:{who}", version=5) as mallory:
        for leaf, body in (("reply", m.message(check=check["id"], answer="ok")), ("timer", m.message(minutes=0)), ("vitals", m.message(hr=70)),
                           ("location", m.location()), ("vital_alert", m.message(rule="x", kind="ends", response="note", words="x")),
                           ("check", m.message(reason="dispatch"))):
            assert mallory.publish(m.topic("user", hugo.person, leaf), m.dump(body)) >= 0x80, leaf
        assert mallory.publish(m.topic("zone", "yard", "event"), m.dump(m.message(event="leave", person=hugo.person))) >= 0x80
    assert site.rows("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [check["id"]]) == [(None,)]
    hugo.close()


def test_only_a_gateway_asks_in_maydays_name_raises_for_others_and_attaches_readings(site, gateway, desk):
    with site.client("dora", ["dispatcher", "member"], client_id="dora:two", version=5) as dora:
        for reason in ("vitals", "timer"):
            assert dora.publish(m.topic("user", "ivy", "check"), m.dump(m.message(reason=reason, respond_within=1))) >= 0x80, reason
        for more in ({"readings": {"hr": 200}}, {"person": "ivy"}):
            assert dora.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_(**more))) >= 0x80, more
        assert dora.publish(m.topic("user", "ivy", "check"), m.dump(m.message(reason="dispatch"))) == 0
    with site.client("gw-rival", ["gateway"], org="rival", version=5) as rival:
        for leaf, body in (("vitals", m.message(hr=70)), ("vital_alert", m.message(rule="x", kind="ends", response="note", words="x")),
                           ("check", m.message(reason="vitals", respond_within=1))):
            assert rival.publish(m.topic("user", "ivy", leaf), m.dump(body)) >= 0x80, leaf
        assert rival.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_(person="ivy", readings={"hr": 200}))) >= 0x80


# ---- what the database's roles may do


def test_every_function_with_the_owners_rights_pins_its_search_path(site):
    """Else whoever may make a temporary table is asked instead of ours."""
    loose = site.rows("""
        SELECT p.oid::regprocedure::text FROM pg_proc p
        CROSS JOIN LATERAL (SELECT regexp_replace(c, '^search_path=', '') AS path FROM unnest(coalesce(p.proconfig, '{}')) c
                            WHERE c LIKE 'search_path=%%' UNION ALL SELECT '' LIMIT 1) s
        WHERE p.pronamespace = 'mayday'::regnamespace AND p.prosecdef AND s.path !~ '^mayday, .*pg_temp$'""")
    assert loose == []


def test_what_is_usual_for_somebody_is_forgotten_with_what_it_was_made_of(database):
    database.sql("INSERT INTO mayday.body (org, person, body, at) VALUES ('brief', 'old', '{}', now() - interval '9 days'), "
                 "('brief', 'new', '{}', now() - interval '7 days'), ('long', 'old', '{}', now() - interval '900 days')")
    database.sql("SELECT mayday.set_retention('brief', 1, 7)")
    database.sql("SELECT mayday.tidy(1000)", user="mayday_gateway")
    assert database.sql("SELECT org, person FROM mayday.body WHERE org IN ('brief', 'long') ORDER BY 1, 2") == [("brief", "new"), ("long", "old")]


def test_nobody_but_its_roles_may_do_anything(site):
    assert site.rows("""SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'mayday'::regnamespace
                        AND has_function_privilege('public', p.oid, 'EXECUTE')""") == []
    assert site.rows("""SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'mayday'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                        AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE')""") == []


@pytest.mark.parametrize("role", ["mayday_plugin", "mayday_console", "mayday_gateway"])
def test_what_a_body_says_is_read_by_those_who_must(site, database, role):
    tables = {"mayday_plugin": ("vitals", "vital_alert", "location", "reply", "timer", "timer_watch", "check_watch", "zone", "zone_presence", "zone_event",
                                "body", "body_rules", "retention", "location_kept", "vigil_lease", "zone_judge"),
              "mayday_console": ("body", "body_rules", "vigil_lease", "zone_judge", "zone_edition", "timer_withdrawn", "retention_day", "dead_letter"),
              "mayday_gateway": ()}[role]
    calls = {"mayday_plugin": ("mayday.calls_for_help('acme', 'ann', 'x')", "mayday.vigil_rules('acme')", "mayday.vigil_people('[]', '1 h')",
                               "mayday.vigil_open('acme', '1 h')", "mayday.last_known('acme')", "mayday.findings_of(gen_random_uuid())",
                               "mayday.unjudged_positions('acme')", "mayday.claim_timers('{acme}', 1, 1, '1 s')", "mayday.tidy(1)",
                               "mayday.apply_body_rules('acme', '{}')", "mayday.set_retention('acme', 1, 1)", "mayday.put_zone('acme', '{}')",
                               "mayday.spell_alarm(gen_random_uuid(), gen_random_uuid(), '', '', '', '')", "mayday.state_of('acme', gen_random_uuid())"),
             "mayday_console": ("mayday.calls_for_help('acme', 'ann', 'x')", "mayday.vigil_rules('acme')", "mayday.vigil_keep('[]')", "mayday.tidy(1)",
                                "mayday.vigil_claim('x', '{acme}', '1 h')", "mayday.save_presence('acme', '[]')", "mayday.settle_timers('{}')",
                                "mayday.apply_body_rules('acme', '{}')", "mayday.set_retention('acme', 1, 1)", "mayday.put_zone('acme', '{}')",
                                "mayday.drop_zone('acme', 'x')", "mayday.mark_asked(gen_random_uuid())", "mayday.reply_for_them(gen_random_uuid())"),
             "mayday_gateway": ("mayday.calls_for_help('acme', 'ann', 'x')", "mayday.apply_body_rules('acme', '{}')", "mayday.set_retention('acme', 1, 1)",
                                "mayday.put_zone('acme', '{}')", "mayday.drop_zone('acme', 'x')", "mayday.settle_replies('{}')",
                                "mayday.settle_timers('{}')", "mayday.reply_judged(gen_random_uuid(), 'right')", "mayday.reply_for_them(gen_random_uuid())")}[role]
    allowed = [t for t in tables if database.sql("SELECT has_table_privilege(%s, %s, 'SELECT')", [role, f"mayday.{t}"]) == [(True,)]]
    assert allowed == []
    for call in calls:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            database.sql(f"SELECT {call}", user=role)
    written = database.sql("""SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'mayday'::regnamespace AND NOT c.relispartition
        AND c.relname IN ('vitals', 'vital_alert', 'location', 'location_kept', 'timer', 'timer_watch', 'reply', 'check_watch', 'body', 'body_rules',
                          'zone', 'zone_presence', 'retention', 'vigil_lease')
        AND has_table_privilege(%s, c.oid, 'UPDATE, DELETE, TRUNCATE')""", [role])
    assert written == [], "changed through functions alone"


# ---- what one may use up


def figure(gateway, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=20) as answer:
        return sum(float(line.split()[-1]) for line in answer.read().decode().splitlines() if line.startswith(name + " "))


def test_people_that_another_organisation_invents_keep_nobody_from_being_watched(site, desk):
    with site.gateway("gw-two", **QUICK, gateway__organisations="acme rival") as both, \
            site.client("gw-rival", ["gateway"], org="rival", client_id="gw-rival:2") as rival:
        site.wait_rows("SELECT gateway FROM mayday.vigil_lease WHERE org = 'rival'", [("gw-two",)])
        for start in range(0, 20400, 200):
            sent = [rival.send_publish(m.topic("user", f"p{n}", "vitals", "rival"), m.dump(m.message(hr=60 + n % 30)), qos=1)
                    for n in range(start, start + 200)]
            for _ in sent:
                rival.take(PUBACK, 60)
        wait_until(lambda: figure(both, "mayday_gateway_vitals_people") >= 20000, "there is room for nobody else", 120)
        jack = somebody(site, "jack")
        jack.rests()
        jack.worries()
        jack.answers(jack.asked(60))
        jack.close()


# ---- who learns how somebody is, and where

NOSY = [("acme", role) for role in ("member", "officer", "responder", "family", "device", "admin")] + [
    ("rival", role) for role in ("dispatcher", "supervisor", "gateway", "admin")]


def test_how_somebody_is_and_where_reaches_dispatch_and_nobody_else(site, gateway, desk):
    """Whatever they subscribe to, and also when they ask for what they missed."""
    filters = [f"mayday/v1/acme/{f}" for f in ("#", "user/#", "user/+/vitals", "user/+/location", "user/+/vital_alert", "user/+/timer", "user/+/reply",
                                               "user/+/check", "user/+/presence", "alert/#", "alert/+/raise", "alert/+/state", "zone/#", "gateway/#")]
    nosy = {}
    for org, role in NOSY:
        nosy[org, role] = site.client(f"nosy-{role}", [role], org=org, client_id=f"nosy-{role}:{org}")
        nosy[org, role].subscribe("#", *filters)
    kim = somebody(site, "kim")
    kim.rests()
    kim.worries()
    assert kim.phone.publish(m.topic("user", kim.person, "location"), m.dump(m.location())) == 0
    assert kim.phone.publish(m.topic("user", kim.person, "timer"), m.dump(m.message(minutes=60))) == 0
    desk.sees(kim.person, response="ask")
    alert, said = desk.raised(kim.person)
    assert said["readings"]["hr"] > 100 and said["location"], "dispatch and whoever is sent see how and where"
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = %s", [(1,)], [alert])
    for who, client in nosy.items():
        seen = set()
        while not client.receives_nothing():
            seen.add(client.receive().topic)
        of_kim = {t for t in seen if kim.person in t or alert in t}
        assert not of_kim, f"{who}: {of_kim}"
        client.close()
    site.rows("SELECT mayday.feed_settle(100000)")
    for org, role in NOSY:
        got = site.rows("SELECT entry FROM mayday.sync_entries(%s, %s, NULL, 1000) WHERE entry IS NOT NULL", [org, f"nosy-{role}"])
        assert kim.person not in str(got) and alert not in str(got), (org, role)
    own = str(site.rows("SELECT entry FROM mayday.sync_entries('acme', %s, NULL, 1000) WHERE entry IS NOT NULL", [kim.person]))
    assert "vital_alert" not in own, "what is found is for those who watch"
    console = str(site.rows("SELECT entry FROM mayday.sync_entries('acme', 'dora', NULL, 100000) WHERE entry IS NOT NULL"))
    assert f"{kim.person}/vital_alert" in console
    everything_said = gateway.log() + site.log()
    assert '"hr"' not in everything_said and f"{said['readings']['hr']:g}/min" not in everything_said and "marigold" not in everything_said
    kim.close()
