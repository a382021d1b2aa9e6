"""Clocks that are set while people wait: the database's, which everything waits by, and a gateway's own."""
import json
import os

import pytest

from support import messages as m
from support.clock import Clock
from support.mortal import mortal_server, open_folder
from support.passing import pass_time
from support.providers import Simulator
from support.site import Site, wait_until

HOUR, DAY = 3600, 86400
SOON = 4  # seconds; the look at the clock is every two
DORA, DAN, BOB = (f"+2783000000{n}" for n in range(1, 4))
SERVED = {"notify__timeout": "1500ms", "notify__rate": "200 400"}


class Town:
    """A site whose database has a clock of its own; dora is told at once, dan after a while."""

    def __init__(self, site, server, clock, sim):
        self.site, self.server, self.clock, self.sim = site, server, clock, sim
        for person, number in (("dora", DORA), ("dan", DAN)):
            site.rows("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', %s, '{dispatcher}')", [person])
            site.rows("INSERT INTO mayday.channel VALUES ('acme', %s, 1, 'sms', %s)", [person, number])

    def plan(self, after):
        self.site.rows("INSERT INTO mayday.plan (org, edition, body) SELECT 'acme', count(*) + 1, %s FROM mayday.plan", [json.dumps(
            {"v": 1, "policies": [{"name": "only", "levels": [
                {"after": 0, "targets": [{"person": "dora"}]},
                {"after": after, "targets": [{"person": "dan"}]}]}]})])

    def raised(self):
        """Dora is told by now, unless nobody can."""
        alert = m.uuid7()
        with self.site.client(f"ann-{alert[-6:]}") as c:
            c.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(text=f"Help {alert[-6:]}")))
        wait_until(lambda: self.level(alert) == 1, "the first level is told")
        return alert

    def has(self, number, alert):
        return self.sim.phone(number).wait_text(f"Help {alert[-6:]}")

    def level(self, alert):
        rows = self.site.rows("SELECT level FROM mayday.escalation WHERE alert = %s", [alert])
        return rows and rows[0][0]

    def close(self, alert):
        with self.site.client("dora", ["dispatcher"]) as c:
            for action in ("acknowledge", "resolve"):
                c.publish(m.topic("alert", alert, "action"), m.dump(m.message(action=action)))
        self.site.wait_rows("SELECT status FROM mayday.escalation WHERE alert = %s", [("ended",)], [alert])

    def looked(self):
        """A gateway has looked at the clock as it is now. Times that lie ahead are no look."""
        wait_until(lambda: self.site.rows("SELECT seen_at <= clock_timestamp() AND seen_at > clock_timestamp() - interval '5 s' "
                                          "FROM mayday.clock_seen")[0][0], "somebody looks at the clock")


@pytest.fixture(scope="module")
def sim():
    with Simulator() as running:
        yield running
        running.assert_strict()


@pytest.fixture(scope="module")
def town(sim, tmp_path_factory):
    with open_folder() as folder:
        clock = Clock(folder)
        with mortal_server(folder / "postgres", env=clock.env) as server, Site(tmp_path_factory.mktemp("site"), server) as site:
            yield Town(site, server, clock, sim)


@pytest.fixture(scope="module")
def served(town, sim):
    with town.site.gateway(providers=sim, **SERVED) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def right_again(town, served):
    """Each test begins with a database whose clock is right, and known to be."""
    town.looked()
    yield
    town.sim.up()
    town.clock.set(0)
    town.looked()


def waits(town, alert):
    """Seconds until the next level, and whether the plan's next time is the same."""
    return town.site.rows("SELECT extract(epoch FROM due_at - clock_timestamp())::float, due_at = next_at FROM mayday.escalation "
                          "WHERE alert = %s", [alert])[0]


def test_a_clock_that_goes_back_makes_nobody_wait_longer(town, served):
    town.plan(SOON)
    alert = town.raised()
    town.has(DORA, alert)
    town.clock.set(-HOUR)
    town.has(DAN, alert)
    assert "the database's clock went back by" in served.log()
    (who,) = town.site.rows("SELECT (detail->>'seconds')::float FROM mayday.audit_pending WHERE kind = 'clock.back' UNION ALL "
                            "SELECT (detail->>'seconds')::float FROM mayday.audit WHERE kind = 'clock.back'")
    assert HOUR - 60 < who[0] <= HOUR
    town.close(alert)


def test_all_that_waits_is_moved_back(town, served):
    """Minutes remain minutes: of the level, of a message, of a check, of a timer, of a request under way and of an answer to be handed on."""
    town.plan(300)
    alert = town.raised()
    town.has(DORA, alert)
    made = town.site.rows("SELECT mayday.notify('acme', %s, 'bob', 'sms', %s, 'raise', 3, false, 0, 1, 1, clock_timestamp() + "
                          "interval '200 s', '1 hour')::text", [alert, BOB])[0][0]
    check = m.uuid7()
    town.site.rows("INSERT INTO mayday.check_watch (check_id, org, person, asked_by, sent_at, due_at, alarm_alert, alarm_message) "
                   "VALUES (%s, 'acme', 'bob', 'dora', now(), now() + interval '100 s', mayday.new_id(), mayday.new_id())", [check])
    town.site.rows("INSERT INTO mayday.timer_watch (org, person, request, said_at, minutes, repeat, due_at, check_id) "
                   "VALUES ('acme', 'bob', mayday.new_id(), now(), 2, false, now() + interval '120 s', mayday.new_id())")
    town.site.rows("INSERT INTO mayday.answer (id, org, alert, person, how, answer, at, tried_at) VALUES "
                   "(mayday.new_id(), 'other', %s, 'bob', 'sms', 'acknowledge', now(), now())", [alert])
    town.clock.set(-HOUR)
    town.looked()
    left, same = waits(town, alert)
    assert left < 310 and same  # later by as much as the last look is old
    assert town.site.rows("SELECT due_at <= clock_timestamp() + interval '210 s', expires_at <= clock_timestamp() + interval '3810 s' "
                          "FROM mayday.notification WHERE id = %s", [made]) == [(True, True)]
    assert town.site.rows("SELECT due_at <= clock_timestamp() + interval '110 s' FROM mayday.check_watch WHERE check_id = %s",
                          [check]) == [(True,)]
    assert town.site.rows("SELECT due_at <= clock_timestamp() + interval '130 s', said_at <= clock_timestamp() + interval '10 s' "
                          "FROM mayday.timer_watch WHERE person = 'bob'") == [(True, True)]
    assert town.site.rows("SELECT tried_at <= clock_timestamp() + interval '10 s' FROM mayday.answer WHERE org = 'other'") == [(True,)]
    pass_time(town.site, alert, 300)
    town.has(DAN, alert)
    town.site.rows("DELETE FROM mayday.check_watch WHERE check_id = %s", [check])
    town.site.rows("DELETE FROM mayday.timer_watch")
    town.close(alert)


def test_a_day_back_across_a_restart_of_the_database(town, served):
    town.plan(SOON)
    alert = town.raised()
    town.server.stop()
    town.clock.set(-DAY)
    town.server.start()
    town.has(DAN, alert)
    town.close(alert)


def test_what_was_written_while_no_gateway_looked_counts_as_seen(town, served):
    """The clock was last looked at long ago, and what was stored since lies ahead of it."""
    town.plan(SOON)
    town.clock.set(HOUR)
    town.looked()
    served.stop()
    town.site.rows("UPDATE mayday.clock_seen SET seen_at = seen_at - interval '2 hours'")  # nobody was there
    alert = m.uuid7()
    with town.site.client("ann-late") as c:
        c.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(text=f"Help {alert[-6:]}")))
    town.site.wait_rows("SELECT level FROM mayday.escalation WHERE alert = %s", [(0,)], [alert])
    town.clock.set(0)
    served.start()
    town.has(DORA, alert)
    town.has(DAN, alert)
    town.close(alert)


def test_no_message_is_lost_when_the_clock_goes_ahead(town, served):
    """Both providers are away, an hour's validity is over at once; levels come early. When one is back, everybody has it."""
    town.plan(300)
    down = town.sim.down(http=429)
    alert = town.raised()
    wait_until(lambda: town.site.rows("SELECT attempts > 0 FROM mayday.notification WHERE alert = %s AND status = 'waiting'", [alert]) == [(True,)],
               "it was tried in vain")
    town.clock.set(3 * HOUR)
    wait_until(lambda: town.level(alert) == 2, "the second level is told early")
    town.looked()
    assert "the database's clock went ahead by about" in served.log()
    town.sim.up(down)
    town.has(DORA, alert)
    town.has(DAN, alert)
    assert town.site.rows("SELECT count(*) FROM mayday.notification WHERE alert = %s AND status = 'failed'", [alert]) == [(0,)]
    town.close(alert)


def test_what_was_answered_stays_so_when_the_clock_goes_ahead(town, served):
    """Nothing that was withdrawn is tried again for it."""
    town.plan(300)
    town.sim.down(http=429)
    alert = town.raised()
    wait_until(lambda: town.site.rows("SELECT attempts > 0 FROM mayday.notification WHERE alert = %s AND status = 'waiting'", [alert]) == [(True,)],
               "it was tried in vain")
    town.clock.set(3 * HOUR)
    town.close(alert)
    town.looked()
    wait_until(lambda: town.site.rows("SELECT 1 FROM mayday.notification WHERE alert = %s AND status NOT IN ('failed', 'withdrawn')", [alert]) == [],
               "nothing is tried any more")


@pytest.mark.skipif("MAYDAY_PRELOAD" in os.environ, reason="a sanitizer has to be loaded first")
@pytest.mark.parametrize("offset", [-2 * DAY, 2 * DAY])
def test_a_gateway_whose_own_clock_is_set_still_tells_and_hears(town, served, sim, offset):
    """Its requests to providers are timed by it, and the ids it makes and the moments it heard an answer; nothing that waits is."""
    served.stop()
    own = Clock(town.site.folder)
    gateway = town.site.gateway(id="gw-wrong", providers=sim, **SERVED)
    gateway.env = own.env
    with gateway.start():
        town.plan(SOON)
        alert = town.raised()
        own.set(offset)
        later = town.raised()
        for each in (alert, later):
            town.has(DAN, each)
        text = town.has(DAN, later)
        town.sim.phone(DAN).reply(f"OK {text.body.split('OK ', 1)[1][:4]}")
        town.site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("acknowledged",)], [later])
        for each in (alert, later):
            town.close(each)
        own.set(0)  # it ends its threads by a deadline that libfaketime does not know
    served.start()
