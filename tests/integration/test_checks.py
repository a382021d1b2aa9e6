"""The conversation of dispatch with those in the field: asked, received, answered; and the alarm when there is no answer."""
import json
import time

import psycopg2
import pytest

from support.messages import uuid7

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
    assert watch.sql("SELECT person, asked_by, due_at - sent_at = interval '60 s', now() - sent_at < interval '60 s' "
                     "FROM mayday.check_watch WHERE check_id = %s", [check]) == [("sam", "dora", True, True)]
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
    called = watch.reply(check, "help", at=3)
    alarm = watch.claim()[0]
    assert moments(alarm["alert"]) == [("check", check), ("reply", reply), ("reply", called)]
    watch.spell(alarm)
    watch.mark(alarm)
    watch.reply(check, "help", at=9)
    assert len(moments(alarm["alert"])) == 4, "also when it raised another one since"
    talk = watch.sql("SELECT kind, detail FROM mayday.conversation(%s, 'sam', now() - interval '1 day', now() + interval '1 day')",
                     [watch.org], user="mayday_console")
    assert [kind for kind, _ in talk] == ["check", "check", "reply", "reply", "reply"]
    assert talk[0][1]["answer"] == "help" and talk[0][1]["text"] == "Are you with her?"


def test_the_plugin_may_settle_checks_and_read_none(watch):
    for forbidden in ("SELECT * FROM mayday.check_watch", "SELECT * FROM mayday.claim_checks('{a}', true, 1, '1 s')",
                      "SELECT * FROM mayday.conversation('a', 'b', now(), now())"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            watch.sql(forbidden, user="mayday_plugin")
