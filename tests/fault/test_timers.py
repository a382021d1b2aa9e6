"""Bad days of those who work alone: the database is away when a timer runs out, gateways are killed, no broker takes anything. The sentence:
who set a timer is asked, who does not answer has exactly one incident, and who answers has none."""
import json
import random
import time

import pytest

from support import messages as m
from support.bodies import shelf
from support.mortal import mortal_server, open_folder
from support.providers import Simulator
from support.site import Site, wait_until

DORA = "+27821110001"
PLAN = {"v": 1, "policies": [{"name": "all", "levels": [{"after": 0, "targets": [{"role": "dispatcher"}]}],
                              "rounds": 1, "pause": 300, "forgotten_after": 1800}]}


@pytest.fixture(scope="module")
def server():
    with open_folder() as folder, mortal_server(folder) as running:
        yield running


@pytest.fixture
def site(server, tmp_path):
    if not server.pid():
        server.start()
    server.sql("TRUNCATE mayday.alert, mayday.membership, mayday.escalation, mayday.notification, mayday.attempt, mayday.raise, mayday.action,"
               " mayday.person_check, mayday.check_watch, mayday.reply, mayday.timer, mayday.timer_watch, mayday.dead_letter CASCADE")
    server.sql("SELECT mayday.enter_person('acme', 'dora', '{dispatcher}', NULL)")
    server.sql("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', 'dora', 1, 'sms', %s) ON CONFLICT DO NOTHING", [DORA])
    server.sql("DELETE FROM mayday.plan WHERE org = 'acme'")
    server.sql("INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, %s)", [json.dumps(PLAN)])
    server.sql("INSERT INTO mayday.body_rules (org, edition, body) VALUES ('acme', 1, %s) ON CONFLICT DO NOTHING",
               [json.dumps({"v": 1, "rules": [], "duress_words": {"*": ["marigold"]}})])
    with Site(tmp_path / "site", server) as running:
        yield running
    if not server.pid():
        server.start()


class Worker:
    """Who works alone, and hears what is asked."""

    def __init__(self, site, name="sam"):
        self.site, self.name, self.asked, self.alarms = site, name, [], []
        self.client = site.client(name, ["officer"])
        self.desk = site.client("desk-" + name, ["dispatcher"])
        self.client.subscribe(m.topic("user", name, "check"))
        self.desk.subscribe("mayday/v1/acme/alert/+/raise")

    def close(self):
        self.client.close(), self.desk.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def sets(self, minutes=1, left=2.0, **more):
        """A timer that has so many seconds left: it was set without a connection."""
        said = m.message(time.time() - 60 * minutes + left, minutes=minutes, offline=True, **more)
        assert self.client.publish(m.topic("user", self.name, "timer"), m.dump(said)) == 0
        return said["id"]

    def says(self, minutes):
        assert self.client.publish(m.topic("user", self.name, "timer"), m.dump(m.message(minutes=minutes))) == 0

    def answers(self, check, answer="ok", **more):
        assert self.client.publish(m.topic("user", self.name, "reply"), m.dump(m.message(check=check, answer=answer, **more))) == 0

    def hears(self):
        for client, to in ((self.client, self.asked), (self.desk, self.alarms)):
            while not client.receives_nothing():
                p = client.receive()
                body = json.loads(p.payload)
                if body["id"] not in [one["id"] for one in to] and body.get("person", self.name) == self.name:
                    to.append({**body, "alert": p.topic.split("/")[4]})
        return self

    def is_asked(self, times=1, timeout=60):
        wait_until(lambda: len(self.hears().asked) >= times, f"{self.name} is asked", timeout)
        assert len(self.asked) == times and self.asked[-1]["reason"] == "timer"
        return self.asked[-1]["id"]

    def is_raised_for(self, timeout=60):
        wait_until(lambda: self.hears().alarms, f"the alarm for {self.name}", timeout)
        return self.alarms[0]


def quick(site, id="gw1", answer="2s", **more):
    return site.gateway(id, timer__answer_within=answer, **more)


def away(server, *gateways):
    seen = [g.log().count("timers are watched from here") for g in gateways]
    server.stop("immediate")
    wait_until(lambda: all(g.log().count("timers are watched from here") > n for g, n in zip(gateways, seen)), "the gateways notice")


def settled(site, worker, checks, incidents):
    """All that was said is stored, and the keeper had time to do it once more."""
    site.wait_rows("SELECT count(*), count(*) FILTER (WHERE answered_at IS NULL AND alarmed_at IS NULL) FROM mayday.check_watch WHERE person = %s",
                   [(checks, 0)], [worker.name], timeout=60)
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE raised_by = %s", [(incidents,)], [worker.name], timeout=60)
    time.sleep(4)
    assert site.rows("SELECT count(*), coalesce(sum(presses), 0) FROM mayday.alert WHERE raised_by = %s", [worker.name]) == [(incidents, incidents)]
    assert site.rows("SELECT count(*) FROM mayday.check_watch WHERE person = %s", [worker.name]) == [(checks,)]
    assert site.rows("SELECT reason, count(*) FROM mayday.dead_letter GROUP BY 1") == []
    assert len(worker.hears().asked) == checks and len(worker.alarms) == incidents


def state(site, worker, want):
    site.wait_rows("SELECT state FROM mayday.timer_now WHERE person = %s", [(want,)], [worker.name], timeout=60)


@pytest.mark.parametrize("known", [True, False], ids=["set-before", "set-meanwhile"])
def test_without_the_database_it_asks_and_silence_is_an_alarm(site, server, known):
    with quick(site).start() as gateway, Worker(site) as sam:
        if known:
            sam.sets(left=20, text="cold store 2")
            site.wait_rows("SELECT count(*) FROM mayday.timer_watch", [(1,)])
        away(server, gateway)
        if not known:
            sam.sets(left=2, text="cold store 2")
        check = sam.is_asked()
        assert sam.client.publish(m.topic("user", "sam", "location"), m.dump(m.location(lat=-33.9, lon=18.4, accuracy=5))) == 0
        assert sam.asked[0]["text"] == "cold store 2" and sam.asked[0]["respond_within"] == 2
        said = sam.is_raised_for()
        assert said["person"] == "sam" and "timer had run out" in said["text"] and "cold store 2" in said["text"]
        assert said["location"] == {"lat": -33.9, "lon": 18.4, "accuracy": 5}
        server.start()
        settled(site, sam, checks=1, incidents=1)
        state(site, sam, "alarmed")
        assert site.rows("SELECT check_id::text, alert::text FROM mayday.timer_now") == [(check, said["alert"])]
        assert site.rows("SELECT cause FROM mayday.alert") == [("check",)]


def test_without_the_database_an_answer_ends_it(site, server):
    with quick(site, answer="20s").start() as gateway, Worker(site) as sam:
        away(server, gateway)
        sam.sets()
        sam.answers(sam.is_asked())
        time.sleep(3)
        server.start()
        settled(site, sam, checks=1, incidents=0)
        state(site, sam, "ended")


def test_without_the_database_a_repeating_one_goes_on(site, server):
    with quick(site, answer="20s").start() as gateway, Worker(site) as sam:
        sam.sets(left=3, repeat=True)
        site.wait_rows("SELECT count(*) FROM mayday.timer_watch", [(1,)])
        away(server, gateway)
        sam.answers(sam.is_asked())
        second = sam.is_asked(times=2, timeout=120)
        sam.answers(second)
        time.sleep(2)
        server.start()
        settled(site, sam, checks=2, incidents=0)
        state(site, sam, "running")
        (left,) = site.rows("SELECT extract(epoch FROM due_at - clock_timestamp())::float FROM mayday.timer_watch")[0]
        assert left < 55, "from when they answered, not from when the database was back"


@pytest.mark.parametrize("minutes", [0, 5], ids=["ended", "set-anew"])
def test_without_the_database_a_word_about_the_timer_answers_its_question(site, server, minutes):
    with quick(site, answer="10s").start() as gateway, Worker(site) as sam:
        away(server, gateway)
        sam.sets()
        sam.is_asked()
        sam.says(minutes)
        time.sleep(14)
        server.start()
        settled(site, sam, checks=1, incidents=0)
        state(site, sam, "running" if minutes else "ended")


@pytest.mark.parametrize("how", ["help", "word", "timer"])
def test_without_the_database_a_call_for_help_is_an_alarm_at_once(site, server, how):
    with quick(site, answer="1h").start() as gateway, Worker(site) as sam:
        wait_until(lambda: any("marigold" in body for body in shelf(gateway, "vigil-rules")), "the duress words are at hand")
        away(server, gateway)
        if how == "timer":
            sam.sets(left=3000, minutes=60, text="all is well, Marigold")
        else:
            sam.sets()
            check = sam.is_asked()
            sam.answers(check, "help" if how == "help" else "ok", text="the cold store" if how == "help" else "the marigold blooms")
        said = sam.is_raised_for()
        assert (said["type"], said["priority"], said.get("silent", False)) == ("panic", "critical", how != "help")
        server.start()
        site.wait_rows("SELECT count(*), sum(presses)::int FROM mayday.alert WHERE raised_by = 'sam'", [(1, 1)], timeout=60)
        site.wait_rows("SELECT count(*) FROM mayday.check_watch WHERE answer = 'help' AND alarmed_at IS NOT NULL", [(1,)], timeout=60)
        time.sleep(4)
        assert site.rows("SELECT count(*), sum(presses)::int FROM mayday.alert WHERE raised_by = 'sam'") == [(1, 1)]
        assert site.rows("SELECT reason FROM mayday.dead_letter") == [] and len(sam.hears().alarms) == 1


def test_without_the_database_an_answer_with_a_pin_is_in_doubt(site, server):
    with quick(site).start() as gateway, Worker(site) as sam:
        sam.sets(left=6)
        site.wait_rows("SELECT count(*) FROM mayday.timer_watch", [(1,)])
        wait_until(lambda: shelf(gateway, "timers"), "it is at hand")
        away(server, gateway)
        sam.answers(sam.is_asked(), pin="0000")
        said = sam.is_raised_for()
        assert said["silent"] is True and "PIN" in said["text"]
        server.start()
        settled(site, sam, checks=1, incidents=1)


@pytest.mark.parametrize("when", ["before", "asked"])
def test_without_the_database_a_killed_gateway_goes_on_where_it_was(site, server, when):
    gateway = quick(site, gateway__organisations="acme").start()
    with Worker(site) as sam:
        away(server, gateway)
        sam.sets(left=2 if when == "asked" else 8)
        if when == "asked":
            sam.is_asked()
        wait_until(lambda: any('"state":1' in body if when == "asked" else '"state":0' in body for body in shelf(gateway, "timers")), "it is on disk")
        gateway.kill()
        gateway.start("acme")
        sam.is_asked()
        sam.is_raised_for(90)
        server.start()
        settled(site, sam, checks=1, incidents=1)
        gateway.stop()


def test_without_the_database_two_gateways_ask_and_raise_as_one(site, server):
    with quick(site, "gw1").start() as first, quick(site, "gw2").start() as second, Worker(site) as sam:
        away(server, first, second)
        sam.sets()
        sam.is_asked()
        sam.is_raised_for()
        server.start()
        settled(site, sam, checks=1, incidents=1)


@pytest.mark.parametrize("killed", ["asked", "raised"])
def test_without_the_database_another_gateway_takes_over(site, server, killed):
    first, second = quick(site, "gw1").start(), quick(site, "gw2").start()
    with Worker(site) as sam:
        away(server, first, second)
        sam.sets()
        sam.is_asked()
        if killed == "raised":
            sam.is_raised_for()
        first.kill()
        sam.is_raised_for()
        server.start()
        settled(site, sam, checks=1, incidents=1)
        second.stop()


def test_who_cannot_be_asked_because_no_broker_is_there_is_raised_for(site, server):
    with Simulator() as sim:
        sim.up()
        with quick(site, providers=sim).start() as gateway, Worker(site) as sam:
            wait_until(lambda: any(DORA in body for body in shelf(gateway, "standby")), "whom to tell is at hand")
            sam.sets(left=8)
            site.wait_rows("SELECT count(*) FROM mayday.timer_watch", [(1,)])
            wait_until(lambda: shelf(gateway, "timers"), "it is at hand")
            away(server, gateway)
            site.kill()
            (text,) = sim.phone(DORA).wait_texts(timeout=60)
            assert "could not be asked" in text.body and "sam" in text.body
            server.start()
            site.start()
            site.wait_rows("SELECT count(*), sum(presses)::int FROM mayday.alert WHERE raised_by = 'sam'", [(1, 1)], timeout=60)
            time.sleep(4)
            assert site.rows("SELECT count(*), sum(presses)::int FROM mayday.alert WHERE raised_by = 'sam'") == [(1, 1)]
            assert len(sim.phone(DORA).texts) == 1, sim.phone(DORA).texts
            assert shelf(gateway, "handed") == []


def test_with_the_database_the_keeper_alone_asks_and_raises(site):
    with quick(site).start() as gateway, Worker(site) as sam:
        sam.sets()
        sam.is_asked()
        sam.is_raised_for()
        settled(site, sam, checks=1, incidents=1)
        from urllib.request import urlopen
        with urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics") as answer:
            figures = answer.read().decode()
        assert "mayday_gateway_timers_asked_total" not in figures and "mayday_gateway_timers_raised_total" not in figures


@pytest.mark.parametrize("database", [True, False], ids=["with-database", "without-database"])
def test_gateways_killed_at_any_moment_ask_and_raise_once(site, server, database):
    """Eight people, half of whom answer; a gateway that is killed again and again."""
    dice, gateway = random.Random(5), quick(site, answer="12s", gateway__organisations="acme")
    workers = [Worker(site, f"p{n}") for n in range(8)]
    gateway.start("acme")
    if not database:
        away(server, gateway)
    for worker in workers:
        worker.sets(left=dice.uniform(1, 6))
    wait_until(lambda: len(shelf(gateway, "timers")) >= 8, "all are at hand")
    answered = set()

    def answer():
        for worker in workers[:4]:
            for check in worker.hears().asked:
                if check["id"] not in answered:
                    answered.add(check["id"])
                    worker.answers(check["id"])
        return len(answered) == 4
    for _ in range(6):
        answer()
        time.sleep(dice.uniform(0, 2.5))
        gateway.kill()
        gateway.start("acme")
    wait_until(answer, "the four are asked, and answer", 60)
    for worker in workers[4:]:
        worker.is_asked()
        worker.is_raised_for(90)
    if not database:
        server.start()
    for n, worker in enumerate(workers):
        site.wait_rows("SELECT count(*), count(*) FILTER (WHERE answered_at IS NULL AND alarmed_at IS NULL) FROM mayday.check_watch WHERE person = %s",
                       [(1, 0)], [worker.name], timeout=60)
    time.sleep(4)
    assert site.rows("SELECT raised_by, count(*)::int, sum(presses)::int FROM mayday.alert GROUP BY 1 ORDER BY 1") == [(f"p{n}", 1, 1) for n in range(4, 8)]
    assert all(len(worker.hears().asked) == 1 for worker in workers)
    assert site.rows("SELECT reason FROM mayday.dead_letter") == []
    for worker in workers:
        worker.close()
    gateway.stop()
