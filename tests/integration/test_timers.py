"""The timer of who works alone: "check on me in 30 minutes". It runs out, Mayday asks, and without an answer it raises the alarm."""
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from support import messages as m
from support.messages import uuid7
from support.mortal import mortal_server, open_folder
from support.site import Site, wait_until

MINUTE = 60


class Timers:
    """The timers of one organisation of its own, as the writer and the keeper see them."""

    def __init__(self, database, org):
        self.database, self.org = database, org

    def sql(self, statement, params=None, user="postgres"):
        return self.database.sql(statement, params, user)

    def say(self, minutes, *, ago=0, arrived=0, offline=False, person="sam", settled=True, **more):
        """Said so many seconds ago by the device's clock, and received so many seconds ago."""
        id_, now = uuid7(time.time() - ago), time.time()
        columns = {"id": id_, "digest": 0, "org": self.org, "sender": person, "person": person, "node": "n1", "offline": offline,
                   "minutes": minutes, **more}
        self.sql(f"INSERT INTO mayday.timer ({', '.join(columns)}, at, received_at) VALUES ({', '.join(['%s'] * len(columns))}, "
                 "to_timestamp(%s), to_timestamp(%s))", [*columns.values(), now - ago, now - arrived])
        if settled:
            self.settle("settle_timers", id_)
        return id_

    def settle(self, function, *ids):
        self.sql(f"SELECT mayday.{function}(%s::uuid[])", [list(ids)], user="mayday_plugin")

    def row(self, person="sam"):
        names = ["request", "minutes", "due_at", "check_id", "asked_at", "ended_by", "started_at"]
        rows = self.sql(f"SELECT {', '.join(names)}, extract(epoch FROM due_at - clock_timestamp())::float FROM mayday.timer_watch "
                        "WHERE org = %s AND person = %s", [self.org, person])
        return dict(zip([*names, "left"], rows[0])) if rows else None

    def state(self, person="sam"):
        return self.sql("SELECT state FROM mayday.timer_now WHERE org = %s AND person = %s", [self.org, person], user="mayday_console")[0][0]

    def run_out(self, person="sam"):
        self.sql("UPDATE mayday.timer_watch SET due_at = clock_timestamp() WHERE org = %s AND person = %s AND due_at IS NOT NULL",
                 [self.org, person])

    def claim(self, lease="10 s", within=60):
        return [dict(zip(("org", "person", "check", "ask"), row)) for row in self.sql(
            "SELECT * FROM mayday.claim_timers(%s, %s, 100, %s)", [[self.org], within, lease], user="mayday_gateway")]

    def store(self, claim, sender="gw1"):
        """The question arrives."""
        ask = json.loads(claim["ask"])
        self.sql("INSERT INTO mayday.person_check (id, at, received_at, digest, org, sender, node, offline, person, text, reason, respond_within) "
                 "VALUES (%s, now(), now(), 0, %s, %s, 'n1', false, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                 [ask["id"], self.org, sender, claim["person"], ask.get("text"), ask["reason"], ask["respond_within"]])
        self.settle("settle_checks", ask["id"])

    def ask(self, person="sam"):
        self.run_out(person)
        claim, = self.claim()
        self.store(claim)
        return claim["check"]

    def answer(self, check, answer="ok", person="sam"):
        id_ = uuid7()
        self.sql("INSERT INTO mayday.reply (id, at, received_at, digest, org, sender, node, offline, person, check_id, answer) "
                 "VALUES (%s, now(), now(), 0, %s, %s, 'n1', false, %s, %s, %s)", [id_, self.org, person, person, check, answer])
        self.settle("settle_replies", id_)

    def alarms(self):
        """What the keeper would raise for, were all time over."""
        self.sql("UPDATE mayday.check_watch SET due_at = now() WHERE org = %s AND due_at IS NOT NULL", [self.org])
        return [(person, help_) for person, help_ in self.sql("SELECT person, help FROM mayday.claim_checks(%s, true, 100, '10 s')",
                                                              [[self.org]], user="mayday_gateway")]


@pytest.fixture
def timers(database, request):
    return Timers(database, request.node.name[:100].replace("/", "-"))


def test_a_timer_runs_from_when_it_was_said(timers):
    timers.say(30)
    assert 29 * MINUTE < timers.row()["left"] <= 30 * MINUTE and timers.state() == "running"
    assert timers.claim() == []
    timers.say(10, ago=4 * MINUTE, arrived=4 * MINUTE, person="kim")
    assert 5 * MINUTE < timers.row("kim")["left"] <= 6 * MINUTE, "it had waited in a broker's journal"


def test_one_that_was_said_while_offline_and_is_over_asks_at_once(timers):
    timers.say(10, ago=60 * MINUTE, offline=True)
    assert timers.state() == "due" and [c["person"] for c in timers.claim()] == ["sam"]


@pytest.mark.parametrize("ago", [-5 * 3600, 40 * 365 * 86400])
def test_a_wrong_clock_makes_no_wait_longer(timers, ago):
    timers.say(30, ago=ago, offline=True)
    assert timers.row()["left"] <= 30 * MINUTE
    timers.say(20, person="kim", ago=ago)
    assert 19 * MINUTE < timers.row("kim")["left"] <= 20 * MINUTE, "of what came live we know when it was said"
    timers.say(20, person="bo", ago=0, arrived=-3600)
    assert timers.row("bo")["left"] <= 20 * MINUTE, "the broker's clock is ahead"


def test_the_newest_word_counts_in_whatever_order_they_arrive(timers):
    late = dict(offline=True, settled=False)
    words = [timers.say(30, ago=600, **late), timers.say(5, ago=900, **late), timers.say(0, ago=1200, **late)]
    timers.settle("settle_timers", *words)
    assert timers.row()["request"] == words[0]
    timers.say(0, ago=700, offline=True)
    assert timers.row()["request"] == words[0], "it had ended another one before"
    timers.say(0, ago=500, offline=True)
    assert timers.state() == "ended" and timers.row()["ended_by"] == "person" and timers.row()["left"] is None
    timers.run_out()
    assert timers.claim() == []


def test_a_repeat_of_the_message_changes_nothing(timers):
    said = timers.say(30)
    before = timers.row()
    timers.settle("settle_timers", said)
    after = timers.row()
    assert {k: v for k, v in before.items() if k != "left"} == {k: v for k, v in after.items() if k != "left"}
    timers.settle("settle_timers")
    timers.settle("settle_timers", uuid7())


def test_the_question_is_the_same_message_whoever_sends_it_and_however_often(timers):
    timers.say(30, text="lift 3, pit")
    fixed = timers.row()["check_id"]
    timers.run_out()
    first, = timers.claim(within=60)
    said = json.loads(first["ask"])
    assert said["id"] == fixed == first["check"]
    assert {k: said[k] for k in ("v", "reason", "text", "respond_within")} == {"v": 1, "reason": "timer", "text": "lift 3, pit", "respond_within": 60}
    assert timers.claim() == [], "somebody is at it"
    assert timers.claim(lease="0 s", within=5) == [first], "another gateway, otherwise configured"
    assert timers.sql("SELECT mayday.mark_asked(%s), mayday.mark_asked(%s)", [fixed, fixed], user="mayday_gateway") == [(True, False)]
    assert timers.claim(lease="0 s") == [] and timers.state() == "asked"


def test_a_question_that_arrived_is_not_sent_again(timers):
    timers.say(30)
    timers.ask()
    assert timers.claim(lease="0 s") == [] and timers.state() == "asked"


def test_silence_is_an_alarm(timers):
    timers.say(30)
    timers.ask()
    assert timers.alarms() == [("sam", False)]


@pytest.mark.parametrize("answer", ["ok", "text"])
def test_an_answer_ends_it(timers, answer):
    timers.say(30)
    timers.answer(timers.ask(), answer)
    assert timers.state() == "ended" and timers.row()["ended_by"] == answer
    assert timers.alarms() == [] and timers.claim(lease="0 s") == []


def test_an_answer_starts_a_repeating_one_again(timers):
    timers.say(30, repeat=True)
    first = timers.ask()
    timers.answer(first)
    row = timers.row()
    assert timers.state() == "running" and row["check_id"] != first and 29 * MINUTE < row["left"] <= 30 * MINUTE
    second = timers.ask()
    assert second != first and timers.alarms() == [("sam", False)]
    timers.answer(second)
    assert timers.state() == "running", "also a late answer: who works on goes by it"
    timers.say(0)
    assert timers.state() == "ended"


@pytest.mark.parametrize("repeat", [True, False])
def test_a_call_for_help_is_an_alarm_at_once_and_ends_it(timers, repeat):
    timers.say(30, repeat=repeat)
    timers.answer(timers.ask(), "help")
    assert timers.state() == "ended" and timers.row()["ended_by"] == "help"
    assert timers.alarms() == [("sam", True)]


def test_somebody_elses_answer_does_not_end_it(timers):
    timers.say(30)
    timers.answer(timers.ask(), person="kim")
    assert timers.state() == "asked" and timers.alarms() == [("sam", False)]


def test_a_new_timer_takes_the_place_of_the_old_one(timers):
    timers.say(30)
    old = timers.row()["check_id"]
    timers.say(60, text="later")
    row = timers.row()
    assert row["minutes"] == 60 and row["check_id"] != old and row["left"] > 59 * MINUTE


@pytest.mark.parametrize("minutes", [0, 45])
def test_a_word_about_the_timer_answers_an_open_question(timers, minutes):
    timers.say(30)
    check = timers.ask()
    timers.say(minutes)
    assert timers.alarms() == []
    assert timers.sql("SELECT answer FROM mayday.check_watch WHERE check_id = %s", [check]) == [("ok",)]
    assert timers.state() == ("running" if minutes else "ended"), "the answer to the old question is none to the new timer"


@pytest.mark.parametrize("minutes", [0, 45])
def test_a_question_that_is_on_its_way_when_the_timer_ends_raises_nothing(timers, minutes):
    timers.say(30)
    timers.run_out()
    claim, = timers.claim()
    timers.say(minutes)
    timers.store(claim)
    assert timers.alarms() == [] and timers.state() == ("running" if minutes else "ended")


@pytest.mark.parametrize("end_first", [True, False])
def test_an_end_and_its_question_that_two_brokers_store_at_once_raise_nothing(timers, end_first):
    """Neither transaction sees the other's row when it begins; the second waits for the first."""
    timers.say(30)
    timers.run_out()
    claim, = timers.claim()
    check = claim["check"]
    end = timers.say(0, settled=False)
    timers.sql("INSERT INTO mayday.person_check (id, at, received_at, digest, org, sender, node, offline, person, reason, respond_within) "
               "VALUES (%s, now(), now(), 0, %s, 'gw1', 'n1', false, 'sam', 'timer', 60)", [check, timers.org])
    calls = [("SELECT mayday.settle_timers(%s::uuid[])", [[end]]), ("SELECT mayday.settle_checks(%s::uuid[])", [[check]])]
    one = psycopg2.connect(timers.database.dsn("mayday_plugin"))
    try:
        one.cursor().execute(*calls[not end_first])
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(timers.sql, *calls[end_first], "mayday_plugin")
            wait_until(lambda: timers.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"),
                       "the other one waits")
            one.commit()
            waiting.result(60)
    finally:
        one.close()
    assert timers.alarms() == [] and timers.state() == "ended"


@pytest.mark.parametrize("minutes", [0, 45])
def test_a_duress_word_in_the_text_is_a_call_for_help(timers, minutes):
    timers.sql("INSERT INTO mayday.body_rules (org, edition, body) VALUES (%s, 1, %s)", [timers.org, json.dumps(
        {"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
    timers.say(30)
    said = timers.say(minutes, text="all well, the Marigold blooms")
    timers.settle("settle_timers", said)
    assert timers.state() == ("running" if minutes else "ended"), "as it was said"
    assert timers.alarms() == [("sam", True)], "once"
    assert timers.sql("SELECT duress FROM mayday.check_watch WHERE check_id = %s", [said]) == [(True,)], "silently"
    timers.say(20, text="marigolds, many")
    assert timers.alarms() == [], "another word"


def test_a_check_of_dispatch_has_nothing_to_do_with_it(timers):
    timers.say(30)
    check = uuid7()
    timers.sql("INSERT INTO mayday.person_check (id, at, received_at, digest, org, sender, node, offline, person, reason, respond_within) "
               "VALUES (%s, now(), now(), 0, %s, 'dora', 'n1', false, 'sam', 'dispatch', 60)", [check, timers.org])
    timers.settle("settle_checks", check)
    timers.say(0)
    assert timers.alarms() == [("sam", False)], "still unanswered"


def test_the_plugin_may_settle_timers_and_read_none(timers):
    for forbidden in ("SELECT * FROM mayday.timer", "SELECT * FROM mayday.timer_watch", "SELECT * FROM mayday.claim_timers('{a}', 1, 1, '1 s')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            timers.sql(forbidden, user="mayday_plugin")


# ---- The whole way: broker, database, gateway.

class Shift:
    """Dispatch, and people who work alone, in an organisation of the test's own."""

    def __init__(self, site, org):
        self.site, self.org = site, org
        self.dora = site.client("dora", ["dispatcher"], org=org)
        assert self.dora.subscribe(*[f"mayday/v1/{org}/{filter_}" for filter_ in ("alert/+/raise", "user/+/timer")]) == [1, 1]

    def gateway(self, id="gw1", within="1h"):
        """Started; use it in a `with`."""
        return self.site.gateway(id, gateway__organisations=self.org, timer__answer_within=within).start(self.org)

    def topic(self, person, leaf):
        return m.topic("user", person, leaf, self.org)

    def officer(self, person="sam", **options):
        made = self.site.client(person, ["officer"], org=self.org, **options)
        made.subscribe(self.topic(person, "check"))
        return made

    def say(self, officer, minutes, person="sam", **more):
        said = m.message(minutes=minutes, **more)
        assert officer.publish(self.topic(person, "timer"), m.dump(said)) == 0
        return said["id"]

    def stored(self, said):
        self.site.wait_rows("SELECT count(*) FROM mayday.timer_watch WHERE request = %s", [(1,)], [said])

    def run_out(self):
        assert self.site.rows("UPDATE mayday.timer_watch SET due_at = clock_timestamp() WHERE org = %s AND due_at IS NOT NULL AND asked_at IS NULL "
                              "RETURNING 1", [self.org])

    def checks(self):
        return self.site.rows("SELECT person, id::text FROM mayday.person_check WHERE org = %s ORDER BY 1", [self.org])

    def state(self, want, person="sam"):
        self.site.wait_rows("SELECT state FROM mayday.timer_now WHERE org = %s AND person = %s", [(want,)], [self.org, person])

    def answer(self, officer, check, answer, person="sam"):
        assert officer.publish(self.topic(person, "reply"), m.dump(m.message(check=check, answer=answer))) == 0

    def hears(self, leaf):
        p = self.dora.receive(60)
        assert p.topic.endswith("/" + leaf), p.topic
        return p.topic.split("/")[4], json.loads(p.payload)


@pytest.fixture
def shift(site, request):
    made = Shift(site, request.node.name[5:60].replace("_", "-"))
    yield made
    made.dora.close()


def test_it_asks_and_silence_raises_the_alarm(shift):
    with shift.gateway(within="1s"), shift.officer() as sam:
        shift.stored(shift.say(sam, 30, text="cold store 2"))
        assert shift.hears("timer")[1]["minutes"] == 30
        shift.run_out()
        asked = json.loads(sam.receive(60).payload)
        assert (asked["reason"], asked["text"], asked["respond_within"]) == ("timer", "cold store 2", 1)
        alert, raised = shift.hears("raise")
        assert raised["person"] == "sam" and "cold store 2" in raised["text"] and "timer had run out" in raised["text"]
        shift.state("alarmed")
        shift.site.wait_rows("SELECT raised_by, cause FROM mayday.alert WHERE id = %s", [("sam", "check")], [alert])
        assert shift.site.rows("SELECT alert::text FROM mayday.timer_now WHERE org = %s", [shift.org]) == [(alert,)]


def test_an_ok_starts_a_repeating_timer_again_and_help_raises_at_once(shift):
    with shift.gateway(), shift.officer() as sam:
        shift.stored(shift.say(sam, 30, repeat=True))
        shift.hears("timer")
        shift.run_out()
        first = json.loads(sam.receive(60).payload)["id"]
        shift.answer(sam, first, "ok")
        shift.state("running")
        shift.run_out()
        second = json.loads(sam.receive(60).payload)["id"]
        assert second != first
        shift.answer(sam, second, "help")
        assert shift.hears("raise")[1]["person"] == "sam"
        shift.state("ended")


def test_one_that_was_ended_in_time_asks_nothing(shift):
    with shift.gateway(), shift.officer() as sam, shift.officer("kim") as kim:
        shift.stored(shift.say(sam, 30))
        shift.stored(shift.say(sam, 0))
        shift.stored(shift.say(kim, 30, "kim"))
        shift.run_out()
        kim.receive(60)
        shift.state("asked", "kim")
        shift.site.wait_rows("SELECT person FROM mayday.person_check WHERE org = %s", [("kim",)], [shift.org])
        assert sam.receives_nothing()


def test_a_device_says_it_for_its_person_and_nobody_else_does(shift):
    with shift.site.client("sam", ["device"], org=shift.org, client_id="sam:watch", version=5) as watch:
        assert watch.publish(shift.topic("sam", "timer"), m.dump(m.message(minutes=5))) in (0, 0x10)
        assert watch.publish(shift.topic("kim", "timer"), m.dump(m.message(minutes=0))) == 0x87
    with shift.site.client("dan", ["dispatcher"], org=shift.org, version=5) as dan:
        assert dan.publish(shift.topic("sam", "timer"), m.dump(m.message(minutes=0))) == 0x87
    shift.state("running")


def test_one_that_waited_on_the_device_is_asked_when_it_comes(shift):
    with shift.gateway(), shift.officer() as sam:
        assert sam.publish(shift.topic("sam", "timer"), m.dump(m.message(time.time() - 3600, minutes=30, offline=True))) == 0
        assert json.loads(sam.receive(60).payload)["reason"] == "timer"


def test_two_gateways_ask_one_question_of_each(shift):
    people = [f"p{n}" for n in range(40)]
    with shift.gateway("gw1"), shift.gateway("gw2"):
        for person in people:
            with shift.site.client(person, ["officer"], org=shift.org) as c:
                said = shift.say(c, 30, person)
            shift.stored(said)
        shift.run_out()
        shift.site.wait_rows("SELECT count(*) FROM mayday.timer_now WHERE org = %s AND state = 'asked'", [(40,)], [shift.org])
        shift.site.wait_rows("SELECT count(*), count(DISTINCT person) FROM mayday.check_watch WHERE org = %s", [(40, 40)], [shift.org])


def test_a_gateway_that_dies_between_sending_and_marking_asks_once(own_site):
    with own_site() as site:
        shift = Shift(site, "asks-once")
        first = shift.gateway("gw1")
        with shift.officer() as sam:
            shift.stored(shift.say(sam, 30))
            site.process.send_signal(signal.SIGSTOP)
            try:
                shift.run_out()
                fixed, = wait_until(lambda: site.rows("SELECT check_id::text FROM mayday.timer_watch WHERE org = 'asks-once' AND ask IS NOT NULL"),
                                    "the question is on its way")
                wait_until(lambda: "not taken by the broker" in first.log(), "the gateway waited for the broker in vain")
                first.kill()
            finally:
                site.process.send_signal(signal.SIGCONT)
            with shift.gateway("gw2"):
                shift.state("asked")
                assert json.loads(sam.receive(60).payload)["id"] == fixed[0]
                site.wait_rows("SELECT person, id::text FROM mayday.person_check WHERE org = 'asks-once'", [("sam", fixed[0])])
        assert site.rows("SELECT count(*) FROM mayday.dead_letter WHERE org = 'asks-once'") == [(0,)]
        shift.dora.close()


def test_the_whole_conversation_survives_gateways_that_are_killed(shift):
    with shift.officer() as sam:
        gateway = shift.gateway("gw1", within="1s")
        shift.stored(shift.say(sam, 30))
        gateway.kill()
        shift.run_out()
        gateway = shift.gateway("gw2", within="1s")
        asked = json.loads(sam.receive(60).payload)["id"]
        gateway.kill()
        with shift.gateway("gw3", within="1s"):
            shift.hears("timer")
            assert shift.hears("raise")[1]["person"] == "sam"
        assert shift.checks() == [("sam", asked)]


def test_timers_while_the_database_is_away(tmp_path):
    """One runs out meanwhile, one is ended, one is set: when it is back each is as it was said."""
    with open_folder() as folder, mortal_server(folder / "postgres") as server, Site(tmp_path / "site", server) as site:
        shift = Shift(site, "away")
        with shift.gateway(), shift.officer("sam") as sam, shift.officer("kim") as kim, shift.officer("bo") as bo:
            shift.stored(shift.say(sam, 30))
            shift.stored(shift.say(kim, 30, "kim"))
            site.rows("UPDATE mayday.timer_watch SET due_at = clock_timestamp() + interval '2 s'")
            server.stop()
            shift.say(kim, 0, "kim")
            shift.say(bo, 30, "bo")
            server.start()
            assert json.loads(sam.receive(60).payload)["reason"] == "timer"
            shift.state("running", "bo")
            shift.state("ended", "kim")
            shift.state("asked", "sam")
            assert shift.site.rows("SELECT count(*) FROM mayday.check_watch WHERE answered_at IS NULL AND due_at IS NOT NULL") == [(1,)]
        shift.dora.close()
