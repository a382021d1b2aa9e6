"""Gateways that are killed while they send, and many alerts at once: what each phone received is counted."""
import json
import random
import time

import pytest

from support import messages as m
from support.providers import Simulator
from support.site import wait_until

ROUNDS = 200
EACH = 4  # notifications of a round


@pytest.fixture(scope="module")
def sim():
    with Simulator() as running:
        yield running


def phones(start, count):
    return [f"+2782{start + n:07}" for n in range(count)]


def notify(site, numbers, rank="3"):
    """All in one transaction."""
    return [row[0] for row in site.rows(
        f"""SELECT mayday.notify('acme', NULL, 'bob', 'sms', u.number, 'test', {rank}, false, 0, 1, 1, now(), '1 hour')::text
            FROM unnest(%s::text[]) WITH ORDINALITY u(number, i) ORDER BY u.i""", [numbers])]


def all_sent(site, ids):
    """Or delivered, if somebody asked meanwhile."""
    left = "SELECT id::text, status, why, attempts FROM mayday.notification WHERE id = ANY(%s::uuid[]) AND status NOT IN ('sent', 'delivered')"
    try:
        wait_until(lambda: not site.rows(left, [ids]), "all are sent", 90)
    except AssertionError:
        raise AssertionError(f"not sent: {site.rows(left, [ids])[:10]}") from None


def test_gateways_killed_at_any_instant_lose_nothing_and_double_nothing(site, sim):
    """Between claim, send and record: the kill falls anywhere into the first tenth of a second of a round's work. Requests are slow
    enough to be cut in the middle, on both sides of what the provider does."""
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print(f"seed {seed}")
    sim.script("*", "twilio", "sms", slow=0.03, receipts="never")
    sim.script("*", "vonage", "sms", slow=0.03, receipts="never")
    all_phones, ids, orphans = [], [], 0
    gateway = site.gateway(providers=sim, notify__timeout="1s", notify__rate="1000 1000")
    gateway.start()
    for n in range(ROUNDS):
        numbers = phones(n * EACH, EACH)
        all_phones += numbers
        ids += notify(site, numbers)
        time.sleep(chance.uniform(0, 0.12))  # where the kill falls
        gateway.kill()
        orphans += site.rows("SELECT count(*) FROM mayday.attempt WHERE outcome IS NULL")[0][0]
        gateway.spawn()
        wait_until(lambda g=gateway: "serves as" in g.log().rsplit("mayday-gateway", 1)[-1] or g.alive(), "it runs again")
        wait_until(lambda i=ids[-EACH:]: site.rows("SELECT count(*) FROM mayday.notification WHERE id = ANY(%s::uuid[])"
                                                   " AND status = 'waiting'", [i]) == [(0,)], "it works", 60)
    all_sent(site, ids)
    gateway.stop()
    print(f"{orphans} requests were left behind in {ROUNDS} kills")
    assert orphans > ROUNDS // 20, "the kills fell beside what they were to hit"
    got = {number: len(sim.phone(number).texts) for number in all_phones}
    assert [number for number, count in got.items() if count == 0] == []
    assert [number for number, count in got.items() if count > 1] == []
    assert site.rows("SELECT count(*) FROM mayday.attempt WHERE outcome IS NULL OR outcome = 'unknown'") == [(0,)]
    sim.up()
    sim.assert_strict()


def test_five_hundred_at_once_go_out_the_most_urgent_first(site, sim):
    """With the limits as shipped: thirty a second and sixty at once for each provider. How long it takes is for tools/bench crowd."""
    numbers = phones(5000000, 500)
    with site.gateway(providers=sim):
        ids = notify(site, numbers, rank="1 + (u.i %% 4)::integer")
        all_sent(site, ids)
    assert [len(sim.phone(n).texts) for n in numbers] == [1] * 500
    # By the moment they were handed over: no less urgent one before a more urgent one.
    ranks = [r for r, in site.rows("""SELECT n.rank FROM mayday.attempt a JOIN mayday.notification n ON n.id = a.notification
                                      WHERE n.id = ANY(%s::uuid[]) ORDER BY a.begun_at""", [ids])]
    assert ranks == sorted(ranks, reverse=True)
    sim.assert_strict()


@pytest.mark.parametrize("silent", [False, True])
def test_of_a_stadium_somebody_hears_of_each_before_others_hear_of_it_too(site, sim, silent):
    """Five hundred people press at once, and the first level is four who have phones: two thousand texts, thirty seconds' worth. Also
    when the first of the four wants no texts."""
    desk = {f"desk{silent}{n}": number for n, number in enumerate(phones(7000000 + 1000 * silent, 4))}
    if silent:
        site.rows("INSERT INTO mayday.number_note (number, opted_out_at) VALUES (%s, now())", [min(desk.values())])
    for who, number in desk.items():
        site.rows("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', %s, '{dispatcher}')", [who])
        site.rows("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', %s, 1, 'sms', %s)", [who, number])
    levels = [{"after": 0, "targets": [{"person": who} for who in desk]}]
    site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, %s)",
              [json.dumps({"v": 1, "policies": [{"name": "stadium", "levels": levels}]})])
    alerts = [m.uuid7() for _ in range(500)]
    # What the engine makes is due when all of it is made, on a machine of any speed.
    site.rows("""CREATE FUNCTION mayday.be_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.due_at := now() + interval '30 minutes'; RETURN NEW; END $$;
                 CREATE TRIGGER late BEFORE INSERT ON mayday.notification FOR EACH ROW EXECUTE FUNCTION mayday.be_late()""")
    try:
        with site.gateway(providers=sim), site.client("ann", ["gateway"]) as crowd:
            for n, alert in enumerate(alerts):
                assert crowd.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(person=f"fan{silent}{n}", priority="critical"))) == 0
            site.wait_rows("SELECT count(*) FROM mayday.notification WHERE alert = ANY(%s::uuid[])", [(2000,)], [alerts], timeout=60)
            site.rows("UPDATE mayday.notification SET due_at = clock_timestamp() WHERE alert = ANY(%s::uuid[]) RETURNING pg_notify('mayday_notify', '')",
                      [alerts])
            told = "SELECT count(DISTINCT alert) FROM mayday.attempt WHERE alert = ANY(%s::uuid[])"
            wait_until(lambda: site.rows(told, [alerts]) == [(500,)], "somebody is told of each", 90)
    finally:
        site.rows("DELETE FROM mayday.plan WHERE org = 'acme'")
        site.rows("DROP FUNCTION mayday.be_late() CASCADE")
        site.rows("UPDATE mayday.notification SET status = 'withdrawn', due_at = NULL WHERE alert = ANY(%s::uuid[]) AND status = 'waiting'", [alerts])
    before, = site.rows("""WITH a AS (SELECT alert, begun_at FROM mayday.attempt WHERE alert = ANY(%s::uuid[]))
                           SELECT count(*) FROM a WHERE begun_at < (SELECT max(f.at) FROM (SELECT min(begun_at) AS at FROM a GROUP BY alert) f)""", [alerts])[0]
    assert before < 500 + 64  # and what is under way with the last
    sim.assert_strict()


@pytest.mark.parametrize("both", [False, True])
def test_gateways_side_by_side_and_one_is_killed(site, sim, both):
    """The other takes over what it had begun, at once."""
    sim.script("*", "*", "sms", slow=0.2, receipts="never")
    start = 6000000 + 1000 * both
    numbers = phones(start, 80)
    one, two = (site.gateway(id=f"{name}{both}", providers=sim, notify__timeout="3s", notify__rate="1000 1000") for name in ("a", "b"))
    with two:
        one.start()
        ids = notify(site, numbers)
        sim.wait(lambda: any(sim.phone(n).texts for n in numbers), "it is under way")
        one.kill()
        if both:
            two.kill()
            two.start()
        all_sent(site, ids)
    assert [len(sim.phone(n).texts) for n in numbers] == [1] * 80
    sim.up()
    sim.assert_strict()
