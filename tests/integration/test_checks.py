"""The conversation of dispatch with those in the field: asked, received, answered; and the alarm when there is no answer."""
import json
import signal
import time

import psycopg2
import pytest

from support import messages as m
from support.messages import uuid7
from support.site import wait_until

SINCE = time.time() - 1000


class Watch:
    """The checks of one organisation of its own, as the writer and the keeper see them: rows, settled in batches."""

    def __init__(self, database, org):
        self.database, self.org = database, org

    def sql(self, statement, params=None, user="postgres"):
        return self.database.sql(statement, params, user)

    def insert(self, table, at, sender, *, arrives=None, offline=False, org=None, **columns):
        """A row of a message table; times are seconds from the beginning."""
        id_ = uuid7(SINCE + at)
        columns = {"id": id_, "digest": 0, "org": org or self.org, "sender": sender, "node": "n1", "offline": offline, **columns}
        self.sql(f"INSERT INTO mayday.{table} ({', '.join(columns)}, at, received_at) VALUES ({', '.join(['%s'] * len(columns))}, "
                 "to_timestamp(%s), to_timestamp(%s))",
                 [*columns.values(), SINCE + at, SINCE + (at if arrives is None else arrives)])
        return id_

    def settle(self, function, *ids, user="mayday_plugin"):
        self.sql(f"SELECT mayday.{function}(%s::uuid[])", [list(ids)], user=user)

    def ask(self, person="sam", *, within=None, text=None, alert=None, settled=True):
        check = self.insert("person_check", 0, "dora", person=person, text=text, reason="dispatch", respond_within=within, alert=alert)
        if settled:
            self.settle("settle_checks", check)
        return check

    def reply(self, check, answer="ok", *, person="sam", sender=None, at=1, settled=True, position=None, **more):
        reply = self.insert("reply", at, sender or person, person=person, check_id=check, answer=answer, **more)
        if position:
            self.sql("UPDATE mayday.reply SET position = ST_MakePoint(%s, %s)::geography WHERE id = %s", [position[1], position[0], reply])
        if settled:
            self.settle("settle_replies", reply)
        return reply

    def receipt(self, *of, person=None, sender="sam", mark="delivered", at=1, **more):
        receipt = self.insert("receipt", at, sender, person=person, of=json.dumps(of), mark=mark, **more)
        self.settle("settle_receipts", receipt)
        return receipt

    def make_due(self, check):
        self.sql("UPDATE mayday.check_watch SET due_at = now() - interval '1 s' WHERE check_id = %s AND due_at IS NOT NULL", [check])

    def row(self, check):
        names = ["received_at", "answered_at", "answer", "answer_text", "due_at", "alarm_alert", "alarm_message", "alarm", "alarmed_at",
                 "sent_at", "earlier_alarms"]
        rows = self.sql(f"SELECT {', '.join(names)} FROM mayday.check_watch WHERE check_id = %s", [check])
        return dict(zip(names, rows[0])) if rows else None

    def claim(self, silence_too=True, lease="10 s", how_many=100):
        return [{"check": row[0], "org": row[1], "alert": row[2], "message": row[3], "alarm": row[4], "help": row[7]} for row in self.sql(
            "SELECT * FROM mayday.claim_checks(%s, %s, %s, %s)", [[self.org], silence_too, how_many, lease], user="mayday_gateway")]

    def spell(self, claim, text="no answer"):
        spelled = self.sql("SELECT mayday.spell_alarm(%s, %s, 'general', 'high', %s, 'en')", [claim["check"], claim["message"], text],
                           user="mayday_gateway")[0][0]
        return spelled and json.loads(spelled)

    def mark(self, claim):
        return self.sql("SELECT mayday.mark_alarmed(%s, %s, 'gw1')", [claim["check"], claim["message"]], user="mayday_gateway")[0][0]


@pytest.fixture
def watch(database, request):
    return Watch(database, request.node.name[:100].replace("/", "-"))


def test_a_check_is_watched_from_when_it_is_stored(watch):
    check = watch.ask(within=60)
    assert watch.sql("SELECT person, asked_by, due_at > now() + interval '50 s', sent_at < now() - interval '900 s' "
                     "FROM mayday.check_watch WHERE check_id = %s", [check]) == [("sam", "dora", True, True)], "not from when it was sent"
    first = watch.row(check)
    watch.settle("settle_checks", check)
    assert watch.row(check) == first, "settled again, nothing changes"
    assert watch.row(watch.ask())["due_at"] is None, "without respond_within silence is none"


def test_an_answer_in_time_ends_the_wait(watch):
    check = watch.ask(within=60)
    watch.reply(check, "text", text="in a tunnel")
    row = watch.row(check)
    assert (row["answer"], row["answer_text"]) == ("text", "in a tunnel")
    assert row["answered_at"] and row["received_at"], "who answers has received"
    watch.make_due(check)
    assert watch.claim() == []


@pytest.mark.parametrize("other", [dict(person="tom"), dict(sender="tom"), dict(org="elsewhere")])
def test_the_answer_of_somebody_else_changes_nothing(watch, other):
    check = watch.ask(within=60)
    watch.reply(check, "help", **other)
    row = watch.row(check)
    assert row["answer"] is None and row["answered_at"] is None and row["received_at"] is None
    assert watch.claim() == []
    watch.make_due(check)
    assert [c["check"] for c in watch.claim()] == [check]


def test_an_answer_to_no_check_is_ignored(watch):
    watch.reply(uuid7(), "help")
    watch.settle("settle_replies")
    watch.settle("settle_replies", uuid7())
    watch.settle("settle_checks", uuid7())
    watch.settle("settle_receipts", uuid7())
    watch.receipt(uuid7(), person="sam")
    assert watch.claim() == []


def test_silence_is_due_when_the_time_is_over_and_not_before(watch):
    check = watch.ask(within=60)
    assert watch.claim() == []
    watch.make_due(check)
    assert watch.claim(silence_too=False) == []
    assert [(c["check"], c["help"]) for c in watch.claim()] == [(check, False)]


def test_help_is_due_at_once_also_when_no_answer_was_asked_for(watch):
    for check in (watch.ask(), watch.ask(within=3600)):
        watch.reply(check, "help")
        assert [(c["check"], c["help"]) for c in watch.claim(silence_too=False)] == [(check, True)]


@pytest.mark.parametrize("together", [True, False])
def test_nothing_takes_a_call_for_help_back(watch, together):
    check = watch.ask(within=60)
    replies = [watch.reply(check, "help", text="he has a knife", settled=not together),
               watch.reply(check, "ok", at=2, text="all well", settled=not together)]
    if together:
        watch.settle("settle_replies", *replies)
    row = watch.row(check)
    assert (row["answer"], row["answer_text"]) == ("help", "he has a knife")
    assert len(watch.claim()) == 1


def test_of_several_answers_the_last_counts(watch):
    check = watch.ask(within=60)
    replies = [watch.reply(check, "text", text="later", at=n, arrives=50, offline=True, settled=False) for n in (2, 9, 4)]
    watch.settle("settle_replies", *replies)
    watch.reply(check, "ok", at=60)
    assert watch.row(check)["answer"] == "ok"


def test_a_late_answer_is_kept_beside_the_alarm(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    claimed, = watch.claim()
    watch.spell(claimed)
    assert watch.mark(claimed) is True
    watch.reply(check, "ok")
    row = watch.row(check)
    assert row["answer"] == "ok" and row["answered_at"] and row["alarmed_at"]
    assert watch.claim() == []


def test_help_after_the_alarm_is_an_alarm_of_its_own(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    first, = watch.claim()
    watch.spell(first)
    watch.mark(first)
    watch.reply(check, "help")
    second, = watch.claim()
    assert second["help"] and second["alert"] != first["alert"] and second["message"] != first["message"] and second["alarm"] is None
    assert watch.row(check)["earlier_alarms"] == "{" + first["alert"] + "}"
    assert watch.mark(first) is False and watch.spell(first) is None, "the first alarm's gateway can't end the second"
    watch.spell(second)
    assert watch.mark(second) is True and watch.claim() == []


def test_an_alarm_is_the_same_message_whoever_sends_it_and_however_often(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    first, = watch.claim()
    said = watch.spell(first, "first words")
    assert watch.claim() == [], "somebody is at it"
    again, = watch.claim(lease="0 s")
    assert again["message"] == first["message"] and json.loads(again["alarm"]) == said
    assert watch.spell(again, "other words") == said
    assert watch.mark(again) is True and watch.mark(first) is False
    assert watch.sql("SELECT kind, actor, person, alert::text, detail FROM mayday.audit_pending WHERE org = %s", [watch.org]) == [
        ("check.alarm", "gw1", "sam", first["alert"], {"check": check, "why": "silence"})]


def test_an_alarm_that_arrived_is_not_sent_again(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    claimed, = watch.claim()
    watch.spell(claimed)
    watch.sql("INSERT INTO mayday.raise (id, at, received_at, digest, org, sender, node, offline, alert, type, person) "
              "VALUES (%s, now(), now(), 0, %s, 'gw7', 'n1', false, %s, 'general', 'sam')",
              [claimed["message"], watch.org, claimed["alert"]])
    assert watch.claim(lease="0 s") == [] and watch.row(check)["alarmed_at"]
    assert watch.sql("SELECT actor FROM mayday.audit_pending WHERE org = %s", [watch.org]) == [("gw7",)]


def test_what_an_alarm_says(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    said = watch.spell(watch.claim()[0])
    row = watch.row(check)
    assert set(said) == {"v", "id", "ts", "type", "priority", "text", "lang", "person"}, "no position is known"
    assert said["id"] == row["alarm_message"] != row["alarm_alert"] and said["person"] == "sam"
    watch.insert("location", 10, "sam", person="sam", position="SRID=4326;POINT(18.4 -33.9)", accuracy=7)
    other = watch.ask()
    watch.reply(other, "help", at=5)
    assert watch.spell(watch.claim()[0])["location"] == {"lat": -33.9, "lon": 18.4, "accuracy": 7}
    third = watch.ask()
    watch.reply(third, "help", at=20, position=(-34.5, 18.5))
    assert watch.spell(watch.claim()[0])["location"] == {"lat": -34.5, "lon": 18.5}, "the reply said where"


def test_a_stranger_to_the_database_gets_nothing_claimed(watch):
    check = watch.ask(within=1)
    watch.make_due(check)
    assert watch.sql("SELECT * FROM mayday.claim_checks('{elsewhere}', true, 10, '1 s')", user="mayday_gateway") == []


@pytest.mark.parametrize("mark", ["delivered", "read"])
def test_a_receipt_of_the_person_says_that_the_check_arrived(watch, mark):
    check, other = watch.ask(within=60), watch.ask(within=60)
    watch.receipt(check, uuid7(), person="sam", mark=mark)
    received = watch.row(check)["received_at"]
    assert received and watch.row(check)["answered_at"] is None and watch.row(other)["received_at"] is None
    watch.receipt(check, other, person="sam", mark="read", at=50)
    assert watch.row(check)["received_at"] == received and watch.row(other)["received_at"]


@pytest.mark.parametrize("wrong", [dict(person="tom", sender="tom"), dict(person="sam", sender="tom"), dict(person="sam", org="elsewhere"),
                                   dict(alert=uuid7()), dict(room="blue")])
def test_the_receipt_of_somebody_else_says_nothing(watch, wrong):
    check = watch.ask(within=60)
    watch.receipt(check, **wrong)
    assert watch.row(check)["received_at"] is None


def test_replies_that_come_before_their_check_wait_for_it(watch):
    check = watch.ask(within=60, settled=False)
    watch.reply(check, "help")
    assert watch.claim() == [] and watch.row(check) is None
    watch.settle("settle_checks", check)
    assert [c["check"] for c in watch.claim()] == [check], "settled with the check"


def test_a_check_and_its_reply_that_two_brokers_store_at_once_find_each_other(watch):
    """Neither transaction sees the other's row."""
    check, answered = watch.ask(settled=False), watch.ask(settled=False)
    one, two = (psycopg2.connect(watch.database.dsn("mayday_plugin")) for _ in range(2))
    try:
        one.cursor().execute("SELECT mayday.settle_checks(%s::uuid[])", [[check, answered]])
        two.cursor().execute("SELECT mayday.settle_replies(%s::uuid[])", [[watch.reply(check, "help", settled=False)]])
        two.commit()
        one.commit()
    finally:
        one.close()
        two.close()
    assert [(c["check"], c["help"]) for c in watch.claim()] == [(check, True)]
    assert watch.sql("SELECT count(*) FROM mayday.reply_unmatched WHERE check_id = %s", [check]) == [(0,)]


def test_checks_and_replies_belong_to_the_timeline_of_their_incident_and_of_their_alarm(watch):
    alert = uuid7()
    check = watch.ask(within=60, text="Are you with her?", alert=alert)
    reply = watch.reply(check, "ok")
    watch.ask(within=60)

    def moments(about):
        return [(kind, id_) for kind, id_ in watch.sql("SELECT kind, id FROM mayday.checks_of(%s) ORDER BY at, id", [about],
                                                       user="mayday_console")]
    assert moments(alert) == [("check", check), ("reply", reply)]
    assert [kind for kind, in watch.sql("SELECT kind FROM mayday.timeline(%s)", [alert], user="mayday_console")] == ["check", "reply"]
    called = watch.reply(check, "help", at=3)
    alarm = watch.claim()[0]
    assert moments(alarm["alert"]) == [("check", check), ("reply", reply), ("reply", called)]
    watch.spell(alarm)
    watch.mark(alarm)
    watch.reply(check, "help", at=9)
    assert len(moments(alarm["alert"])) == 4, "also when it raised another one since"
    talk = watch.sql("SELECT kind, id, detail FROM mayday.conversation(%s, 'sam', now() - interval '1 day', now() + interval '1 day')",
                     [watch.org], user="mayday_console")
    assert [kind for kind, _, _ in talk] == ["check", "check", "reply", "reply", "reply"]
    said, = (detail for _, id_, detail in talk if id_ == check)
    assert said["answer"] == "help" and said["text"] == "Are you with her?"


def test_what_is_kept_of_checks_ends_with_them(watch):
    check = watch.ask(within=60)
    watch.sql("UPDATE mayday.check_watch SET sent_at = now() - interval '3 years' WHERE check_id = %s", [check])
    other = watch.ask()
    watch.sql("SELECT mayday.drop_partitions()", user="mayday_owner")
    assert watch.row(check) is None and watch.row(other)


class Incident:
    """One that ann raised."""

    def __init__(self, watch):
        self.watch, self.id = watch, uuid7()
        self.message = watch.insert("raise", 0, "ann", alert=self.id, type="panic")
        watch.sql("SELECT mayday.open_alert(%s, %s, 'ann', 'ann', now(), now(), 'panic', NULL, NULL, NULL, false, false, true, '1 h')",
                  [watch.org, self.id])

    def delivered(self):
        return self.watch.sql("SELECT delivered_at IS NOT NULL FROM mayday.alert WHERE id = %s", [self.id])[0][0]


def test_an_alert_is_delivered_when_somebody_else_has_the_raise(watch):
    incident = Incident(watch)
    watch.receipt(incident.message, sender="ann", alert=incident.id)
    assert not incident.delivered(), "the raiser's own device"
    watch.receipt(uuid7(), sender="dora", alert=incident.id)
    assert not incident.delivered(), "another message of the incident"
    watch.receipt(incident.message, sender="dora", alert=uuid7())
    watch.receipt(incident.message, sender="dora", alert=incident.id, org="elsewhere")
    watch.receipt(incident.message, sender="dora", person="dora")
    assert not incident.delivered(), "not at this incident"
    watch.receipt(uuid7(), incident.message, sender="dora", alert=incident.id, mark="read")
    assert incident.delivered()


def test_the_incident_of_an_alarm_names_its_cause(watch):
    check = watch.ask(within=1)
    alert = watch.row(check)["alarm_alert"]

    def opened(id_):
        watch.sql("SELECT mayday.open_alert(%s, %s, 'gw1', 'sam', now(), now(), 'general', 'high', NULL, NULL, false, false, true, '0 s')",
                  [watch.org, id_])
        return watch.sql("SELECT raised_by, cause FROM mayday.alert WHERE id = %s", [id_])
    assert opened(alert) == [("sam", "check")]
    assert opened(uuid7()) == [("sam", "gateway")]


def test_the_plugin_may_settle_checks_and_read_none(watch):
    for forbidden in ("SELECT * FROM mayday.check_watch", "SELECT * FROM mayday.claim_checks('{a}', true, 1, '1 s')",
                      "SELECT * FROM mayday.conversation('a', 'b', now(), now())"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            watch.sql(forbidden, user="mayday_plugin")


# ---- The whole way: broker, database, gateway.

class Talk:
    """Dispatch and the field, in an organisation of the test's own."""

    def __init__(self, site, org):
        self.site, self.org = site, org
        self.dora = site.client("dora", ["dispatcher"], org=org)
        assert self.dora.subscribe(*[f"mayday/v1/{org}/{filter_}" for filter_ in (
            "alert/+/raise", "user/+/reply", "user/+/receipt")]) == [1, 1, 1]

    def gateway(self, id="gw1"):
        """Started; use it in a `with`."""
        return self.site.gateway(id, gateway__organisations=self.org).start(self.org)

    def topic(self, person, leaf):
        return m.topic("user", person, leaf, self.org)

    def ask(self, person, within=None, text="Are you OK?"):
        check = m.message(reason="dispatch", text=text, **({"respond_within": within} if within else {}))
        assert self.dora.publish(self.topic(person, "check"), m.dump(check)) == 0
        return check["id"]

    def officer(self, person, **options):
        return self.site.client(person, ["officer"], org=self.org, **options)

    def answer(self, officer, check, answer, person="sam", **more):
        assert officer.publish(self.topic(person, "reply"), m.dump(m.message(check=check, answer=answer, **more))) == 0

    def hears(self, leaf):
        """What dispatch receives next must be one of these."""
        p = self.dora.receive(60)
        assert p.topic.endswith("/" + leaf), p.topic
        return p.topic.split("/")[4], json.loads(p.payload)

    def raised(self, person):
        """The raises for this person in the database: (incident, message, type, priority)."""
        return self.site.rows("SELECT alert::text, id::text, type, priority FROM mayday.raise WHERE org = %s AND person = %s",
                              [self.org, person])

    def marked(self, check):
        return wait_until(lambda: self.site.rows("SELECT alarm_alert::text, alarm_message::text FROM mayday.check_watch "
                                                 "WHERE check_id = %s AND alarmed_at IS NOT NULL", [check]), "the alarm is marked as raised")


@pytest.fixture
def talk(site, request):
    made = Talk(site, request.node.name[5:60].replace("_", "-"))
    yield made
    made.dora.close()


def test_dispatch_sees_live_how_a_check_fares(talk):
    with talk.gateway(), talk.officer("sam") as sam:
        sam.subscribe(talk.topic("sam", "check"))
        check = talk.ask("sam", 3600)
        said = sam.receive()
        assert json.loads(said.payload)["id"] == check and json.loads(said.payload)["text"] == "Are you OK?"
        assert sam.publish(talk.topic("sam", "receipt"), m.dump(m.message(of=[check], mark="delivered"))) == 0
        assert talk.hears("receipt")[1]["of"] == [check]
        talk.answer(sam, check, "text", text="two minutes")
        assert talk.hears("reply")[1]["text"] == "two minutes"
    talk.site.wait_rows("SELECT person, asked_by, received_at < answered_at, answer, answer_text, alarmed_at FROM mayday.check_watch "
                        "WHERE check_id = %s", [("sam", "dora", True, "text", "two minutes", None)], [check])


def test_silence_raises_the_alarm_by_itself_and_an_answer_in_time_does_not(talk):
    with talk.gateway(), talk.officer("sam") as sam, talk.officer("tom") as tom:
        assert tom.publish(talk.topic("tom", "location"), m.dump(m.location(lat=-33.9, lon=18.4))) == 0
        talk.site.wait_rows("SELECT count(*) FROM mayday.location WHERE org = %s", [(1,)], [talk.org])
        answered = talk.ask("sam", 1)
        talk.answer(sam, answered, "ok")
        assert talk.hears("reply")[0] == "sam"
        check = talk.ask("tom", 1)
        alert, raised = talk.hears("raise")
        assert raised["person"] == "tom" and (raised["type"], raised["priority"]) == ("general", "high")
        assert raised["location"]["lat"] == -33.9 and "tom" in raised["text"] and "dora" in raised["text"]
        assert talk.marked(check) == [(alert, raised["id"])]
        talk.site.wait_rows("SELECT alert::text, id::text, type FROM mayday.raise WHERE org = %s", [(alert, raised["id"], "general")],
                            [talk.org])
        # sam's time was over before tom's
        assert talk.site.rows("SELECT due_at < now(), alarmed_at FROM mayday.check_watch WHERE check_id = %s", [answered]) == [(True, None)]
        assert talk.dora.receives_nothing()


def test_help_raises_the_alarm_at_once(talk):
    with talk.gateway(), talk.officer("sam") as sam:
        check = talk.ask("sam", 86400)
        talk.answer(sam, check, "help", text="down by the river", location={"lat": -33.95, "lon": 18.45})
        assert talk.hears("reply")[1]["answer"] == "help"
        alert, raised = talk.hears("raise")
        assert (raised["type"], raised["priority"], raised["person"]) == ("panic", "critical", "sam")
        assert raised["location"] == {"lat": -33.95, "lon": 18.45} and "down by the river" in raised["text"]
        assert talk.marked(check) == [(alert, raised["id"])]
    talk.site.wait_rows("SELECT raised_by, cause FROM mayday.alert WHERE id = %s", [("sam", "check")], [alert])


def test_an_incident_is_put_away_when_its_grace_is_over(talk):
    alert = m.uuid7()
    with talk.site.gateway("gw1", gateway__organisations=talk.org, incident__grace="1s").start(talk.org):
        with talk.officer("sam") as sam:
            assert sam.publish(m.topic("alert", alert, "raise", talk.org), m.dump(m.raise_())) == 0
        assert talk.hears("raise")[0] == alert
        talk.site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("active",)], [alert])
        for action in ("acknowledge", "resolve"):
            assert talk.dora.publish(m.topic("alert", alert, "action", talk.org), m.dump(m.message(action=action))) == 0
        talk.site.wait_rows("SELECT retired_at >= closed_at + interval '1 s' FROM mayday.alert WHERE id = %s", [(True,)], [alert])


def test_an_alarm_speaks_the_language_of_its_person(talk):
    talk.site.rows("SELECT mayday.enter_person(%s, 'jan', '{officer}', 'de-CH'), mayday.enter_person(%s, 'ola', '{officer}', 'nb')",
                   [talk.org, talk.org])
    with talk.gateway():
        for person, lang, words in (("jan", "de", "keine Antwort"), ("ola", "en", "no answer")):
            talk.ask(person, 1)
            _, raised = talk.hears("raise")
            assert raised["lang"] == lang and words in raised["text"]


def test_two_gateways_raise_one_alarm_for_each_check(talk):
    with talk.gateway("gw1"), talk.gateway("gw2"):
        checks = [talk.ask(f"p{n}", 1) for n in range(40)]
        heard = [talk.hears("raise") for _ in checks]
        assert len({alert for alert, _ in heard}) == 40 and {raised["person"] for _, raised in heard} == {f"p{n}" for n in range(40)}
        last = talk.ask("last", 1)
        assert talk.hears("raise")[1]["person"] == "last", "no alarm came twice"
        talk.marked(last)
    talk.site.wait_rows("SELECT count(*), count(DISTINCT alert) FROM mayday.raise WHERE org = %s", [(41, 41)], [talk.org])


def test_a_gateway_that_dies_between_sending_and_marking_leaves_one_alarm(own_site):
    with own_site() as site:
        talk = Talk(site, "dies-between")
        first = talk.gateway("gw1")
        check = talk.ask("sam", 1)
        site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE check_id = %s", [(1,)], [check])
        site.process.send_signal(signal.SIGSTOP)
        try:
            alarm, = wait_until(lambda: site.rows("SELECT alarm_alert::text, alarm_message::text FROM mayday.check_watch "
                                                  "WHERE check_id = %s AND alarm IS NOT NULL", [check]), "the alarm is on its way")
            wait_until(lambda: "not taken by the broker" in first.log(), "the gateway waited for the broker in vain")
            first.kill()
        finally:
            site.process.send_signal(signal.SIGCONT)
        with talk.gateway("gw2"):
            assert talk.marked(check) == [alarm]
            follows = talk.ask("tom", 1)
            talk.marked(follows)
        heard = []
        while not heard or heard[-1][1]["person"] != "tom":
            heard.append(talk.hears("raise"))
        assert {(alert, raised["id"]) for alert, raised in heard[:-1]} == {alarm}, "sent twice, perhaps, but the same"
        site.wait_rows("SELECT person FROM mayday.raise WHERE org = %s ORDER BY 1", [("sam",), ("tom",)], [talk.org])
        site.wait_rows("SELECT count(*) FROM mayday.alert WHERE org = %s", [(2,)], [talk.org])
        assert site.rows("SELECT count(*) FROM mayday.dead_letter WHERE org = %s", [talk.org]) == [(0,)]
        talk.dora.close()


def test_silence_is_raised_when_the_broker_is_back(own_site):
    with own_site() as site:
        talk = Talk(site, "broker-away")
        with talk.gateway() as gateway:
            check = talk.ask("sam", 3)
            site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE check_id = %s", [(1,)], [check])
            site.kill()
            wait_until(lambda: site.rows("SELECT due_at < now() - interval '1 s' FROM mayday.check_watch WHERE check_id = %s",
                                         [check])[0][0], "its time is over")
            assert talk.raised("sam") == []
            site.start()
            gateway.wait_ready(talk.org)
            alarm, = talk.marked(check)
            site.wait_rows("SELECT alert::text, id::text FROM mayday.raise WHERE org = %s AND person = 'sam'", [alarm], [talk.org])


def test_an_officer_who_was_offline_answers_when_back(talk):
    with talk.gateway():
        with talk.officer("sam", clean=False) as sam:
            sam.subscribe(talk.topic("sam", "check"))
        check = talk.ask("sam", 1)
        alert, raised = talk.hears("raise")
        assert raised["person"] == "sam" and talk.marked(check) == [(alert, raised["id"])]
        with talk.officer("sam", clean=False) as sam:
            assert json.loads(sam.receive().payload)["id"] == check
            talk.answer(sam, check, "ok")
        assert talk.hears("reply")[1]["answer"] == "ok"
        talk.site.wait_rows("SELECT answer, answered_at > alarmed_at FROM mayday.check_watch WHERE check_id = %s", [("ok", True)], [check])
        later = talk.ask("tom", 1)
        assert talk.hears("raise")[1]["person"] == "tom", "the late answer raised nothing more"
        talk.marked(later)
