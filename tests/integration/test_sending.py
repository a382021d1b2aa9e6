"""The sender: what is due reaches a phone, once, whatever the providers do."""
import json
import re
import signal
import time
import urllib.request
from contextlib import contextmanager

import pytest

from support import messages as m
from support.providers import Simulator
from support.site import wait_until


@pytest.fixture(scope="module")
def sim():
    with Simulator() as running:
        yield running


SETTINGS = {"notify__timeout": "1500ms", "notify__rate": "200 400"}
shared = []  # the gateway that the tests of this file share, while it runs


@pytest.fixture
def gw(site, sim):
    if not shared:
        shared.append(site.gateway(providers=sim, **SETTINGS).start())
    return shared[0]


@pytest.fixture(scope="module", autouse=True)
def last(site, sim):
    yield
    while shared:
        shared.pop().stop()


@pytest.fixture
def own_gateway(site, sim):
    """Gateways with settings of their own; the shared one does not run meanwhile."""
    while shared:
        shared.pop().stop()
    made = []

    def make(id=None, **settings):
        made.append(site.gateway(id=id or f"own-{m.uuid7()[-8:]}", **{"providers": sim, **SETTINGS, **settings}))
        return made[-1].start()
    yield make
    for each in made:
        each.stop()


@pytest.fixture(autouse=True)
def honest(site, sim):
    """No test may make us send what a provider would refuse, and no number or text gets into a log."""
    yield
    sim.up()
    sim.assert_strict()
    number, secrets = r"\+\d{7}|(?<![0-9a-f])2782\d{7}(?![0-9a-f])", [sim.twilio.token, sim.vonage.secret, sim.vonage.signature]
    for log in (at.read_text(errors="replace") for at in site.folder.glob("gateway-*/log")):
        assert not re.search(number, log), re.search(f".*({number}).*", log)[0]
        assert "Message:" not in log and "Reply OK" not in log and not any(secret in log for secret in secrets)


numbers = iter(range(27820000001, 27829999999))


def number():
    return f"+{next(numbers)}"


def notify(site, to, kind="sms", person="bob", alert=None, purpose="raise", rank=3, family=False, level=1, place=1, due="now()",
           validity="1 hour"):
    """A notification that is due, as the engine makes it."""
    made = site.rows(f"SELECT mayday.notify('acme', %s, %s, %s, %s, %s, %s, %s, 0, %s, %s, {due}, %s)::text",
                     (alert, person, kind, to, purpose, rank, family, level, place, validity))
    return made[0][0]


def status(site, id_):
    return site.rows("SELECT status, why FROM mayday.notification WHERE id = %s", [id_])[0]


def becomes(site, id_, *wanted, timeout=30):
    """It is one of these; (status, why)."""
    return wait_until(lambda: (got := status(site, id_))[0] in wanted and got, f"{id_} is {wanted}: {status(site, id_)}", timeout)


def attempts(site, id_):
    return site.rows("SELECT provider, outcome FROM mayday.attempt WHERE notification = %s ORDER BY begun_at", [id_])


def raise_alert(site, who=None, **fields):
    """An incident, stored, of somebody who has no other. Nobody is there whom its plan could tell."""
    alert = m.uuid7()
    who = who or f"ann-{alert[-6:]}"
    with site.client(who) as c:
        c.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_(**fields)))
    site.wait_rows("SELECT count(*) FROM mayday.alert WHERE id = %s", [(1,)], [alert])
    return alert


def test_a_text_leaves_at_once_and_its_delivery_is_known(site, gw, sim):
    to = number()
    id_ = notify(site, to, purpose="test")
    (text,) = sim.phone(to).wait_texts()
    assert "TEST of Mayday" in text.body and text.provider == "twilio"
    becomes(site, id_, "delivered")
    assert attempts(site, id_) == [("twilio-sms", "sent")]


def heal(site, sim):
    """A good one, so that the failures of a test before don't add up to an open breaker."""
    def good():
        id_ = notify(site, number(), purpose="test", rank=1)
        becomes(site, id_, "sent", "delivered")
        return attempts(site, id_) == [("twilio-sms", "sent")]
    wait_until(good, "the first provider is used", 60)


# What a provider does with a text, and who brings it then. Whatever it is, the phone gets one.
FAULTS = {
    "says 503": (dict(http=503), "vonage"),
    "says 500": (dict(http=500), "vonage"),
    "says 429": (dict(http=429, retry_after=1), "vonage"),
    "knows no such account": (dict(http=401), "vonage"),
    "hangs and does nothing": (dict(fault="hang-before"), "vonage"),
    "cuts the connection before": (dict(fault="cut-before"), "vonage"),
    "hangs, and did it": (dict(fault="hang-after"), "twilio"),
    "cuts the connection after": (dict(fault="cut-after"), "twilio"),
    "answers garbage": (dict(fault="garbage"), "twilio"),
    "answers HTML": (dict(fault="html"), "twilio"),
    "answers 100 MB": (dict(fault="huge"), "twilio"),
    "answers half of it": (dict(fault="short"), "twilio"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_provider_that(site, gw, sim, what):
    how, by = FAULTS[what]
    heal(site, sim)
    to = number()
    sim.script(to, "twilio", "sms", **how)
    id_ = notify(site, to)
    becomes(site, id_, "delivered", "sent", timeout=60)
    (text,) = sim.phone(to).wait_texts()
    assert text.provider == by
    assert attempts(site, id_)[-1] == (f"{by}-sms", "sent")
    assert len(sim.found(provider="twilio", kind="sms", number=to)) == 1


def test_a_provider_that_nobody_can_reach(site, sim, own_gateway):
    from support.site import free_port
    own_gateway(twilio__url=f"http://127.0.0.1:{free_port()}")
    to = number()
    id_ = notify(site, to)
    becomes(site, id_, "delivered")
    assert sim.phone(to).wait_texts()[0].provider == "vonage"
    assert attempts(site, id_) == [("twilio-sms", "retry"), ("vonage-sms", "sent")]


def two_places(site, to, voice, person="bob"):
    """A text, and a call in an hour."""
    alert = m.uuid7()
    second = notify(site, voice, kind="voice", alert=alert, person=person, place=2, due="now() + interval '1 hour'")
    first = notify(site, to, alert=alert, person=person)
    return first, second


# By the provider's own code for it.
NUMBERS = {"bad_number": 21211, "no_text": 21614, "opted_out": 21610}


@pytest.mark.parametrize("why", NUMBERS)
def test_what_is_wrong_with_a_number_ends_texts_to_it_and_they_are_called_at_once(site, gw, sim, why):
    heal(site, sim)
    to, voice = number(), number()
    sim.script(to, "twilio", "sms", code=NUMBERS[why])
    first, second = two_places(site, to, voice)
    assert becomes(site, first, "failed") == ("failed", why)
    sim.phone(voice).wait_calls()
    becomes(site, second, "sent", "delivered", "answered")
    assert attempts(site, first) == [("twilio-sms", "refused")]
    # and it is remembered
    again = notify(site, to)
    assert becomes(site, again, "failed") == ("failed", why)
    assert attempts(site, again) == [] and not sim.phone(to).texts


def test_a_message_that_one_provider_refuses_is_brought_by_another(site, gw, sim):
    heal(site, sim)
    to = number()
    sim.script(to, "twilio", "sms", code=21408)  # not to that country
    id_ = notify(site, to)
    becomes(site, id_, "delivered")
    assert attempts(site, id_) == [("twilio-sms", "refused"), ("vonage-sms", "sent")]


def test_what_everybody_refuses_fails_and_the_next_place_is_tried(site, gw, sim):
    heal(site, sim)
    to, voice = number(), number()
    sim.script(to, "twilio", "sms", code=21408)
    sim.script(to, "vonage", "sms", code=6)
    first, second = two_places(site, to, voice)
    assert becomes(site, first, "failed") == ("failed", "refused")
    assert attempts(site, first) == [("twilio-sms", "refused"), ("vonage-sms", "refused")]
    sim.phone(voice).wait_calls()


@pytest.mark.parametrize("to", ["+27112", "+1911", "+27101", "+44999"])
def test_emergency_services_are_never_dialled(site, gw, sim, to):
    before = len(sim.hits)
    for kind in ("sms", "voice"):
        why = becomes(site, notify(site, to, kind=kind), "failed")[1]
        assert why in ("emergency_number", "bad_number")
    assert not [h for h in sim.hits[before:] if h.number == to]


def test_an_emergency_service_that_an_admin_allows_is_asked_for_and_no_other(site, sim, own_gateway):
    own_gateway(notify__emergency_numbers="+27112")
    id_ = notify(site, "+27112")
    becomes(site, id_, "failed")  # these providers don't know it, but were asked
    assert attempts(site, id_) and any("+27112" in said for said in sim.forgive())
    site.rows("DELETE FROM mayday.number_note WHERE number = '+27112'")
    other = notify(site, "+27999")
    assert becomes(site, other, "failed") == ("failed", "emergency_number") and attempts(site, other) == []


def test_a_slow_provider_holds_nobody_else_up(site, sim, own_gateway):
    """Its own texts wait for it; everything else through it and through the other goes out meanwhile."""
    own_gateway(notify__timeout="30s")
    slow = [number() for _ in range(8)]
    for to in slow:
        sim.script(to, "twilio", "sms", slow=12)
    waiting = [notify(site, to, rank=4) for to in slow]
    for to in slow:
        sim.phone(to).wait_texts()
    for _ in range(2):
        becomes(site, notify(site, number(), rank=1), "delivered", "sent")
    assert [status(site, id_)[0] for id_ in waiting] == ["sending"] * 8, "it has not answered yet"
    for id_ in waiting:
        becomes(site, id_, "delivered", "sent", timeout=60)
    assert [len(sim.phone(to).texts) for to in slow] == [1] * 8


def test_in_doubt_and_with_a_list_that_says_nothing_it_goes_out_by_the_other(site, gw, sim):
    """Two texts are better than none."""
    heal(site, sim)
    to = number()
    sim.script(to, "twilio", "sms", fault="hang-after")
    sim.script("*", "twilio", "list", http=503)
    id_ = notify(site, to)
    texts = sim.phone(to).wait_texts(2)
    assert [t.provider for t in texts] == ["twilio", "vonage"]
    becomes(site, id_, "delivered")
    assert attempts(site, id_) == [("twilio-sms", "unknown"), ("vonage-sms", "sent")]


def state_of(site, provider):
    return site.rows("SELECT breaker FROM mayday.provider_state WHERE provider = %s ORDER BY noted_at DESC LIMIT 1", [provider])


@pytest.mark.parametrize("kind, first", [("sms", "vonage"), ("voice", "twilio"), ("voice", "vonage")])
@pytest.mark.parametrize("fault", ["hang-after", "cut-after", "html"])
def test_whoever_took_it_and_did_not_say_so_is_looked_up(site, sim, own_gateway, kind, first, fault):
    """As above, of those who are not the first for texts."""
    order = f"{first} {'twilio' if first == 'vonage' else 'vonage'}"
    own_gateway(sms=order, voice=order)
    to = number()
    sim.script(to, first, kind, fault=fault, times=1)
    id_ = notify(site, to, kind=kind)
    becomes(site, id_, "delivered", "sent", timeout=60)
    assert attempts(site, id_) == [(f"{first}-{kind}", "sent")]
    sim.quiet()
    assert len(sim.phone(to).texts) + len(sim.phone(to).calls) == 1


def test_a_provider_that_is_down_is_not_asked_each_time(site, sim, own_gateway):
    own_gateway()
    down = sim.down("twilio")
    for _ in range(3):
        becomes(site, notify(site, number()), "delivered", "sent", timeout=60)
    wait_until(lambda: state_of(site, "twilio-sms") == [("open",)], "the breaker is open")
    asked = len(sim.found(provider="twilio", kind="sms"))
    for _ in range(5):
        becomes(site, notify(site, number()), "delivered", "sent")
    assert len(sim.found(provider="twilio", kind="sms")) == asked
    # It is tried again by what is not so urgent, and then it is as good as before.
    sim.up(down)

    def tried():
        becomes(site, notify(site, number(), rank=1), "delivered", "sent")
        return len(sim.found(provider="twilio", kind="sms")) > asked
    wait_until(tried, "it is tried again", 60)
    wait_until(lambda: state_of(site, "twilio-sms") == [("closed",)], "the breaker is closed")


def test_both_down_and_then_back(site, sim, own_gateway):
    own_gateway()
    down = sim.down()
    to = number()
    id_ = notify(site, to)
    sim.wait_hits(1, provider="twilio", kind="sms", number=to, timeout=60)
    sim.wait_hits(1, provider="vonage", kind="sms", number=to, timeout=60)
    sim.up(down)
    becomes(site, id_, "delivered", timeout=60)
    assert len(sim.phone(to).texts) == 1


def test_what_is_too_old_is_not_sent_any_more(site, sim, own_gateway):
    own_gateway()
    to, voice = number(), number()
    sim.script(to, "twilio", "sms", http=429)
    sim.script(to, "vonage", "sms", http=429)
    alert = m.uuid7()
    second = notify(site, voice, kind="voice", alert=alert, place=2, due="now() + interval '1 hour'")
    id_ = notify(site, to, alert=alert, validity="3 seconds")
    assert becomes(site, id_, "failed", timeout=60)[0] == "failed"
    becomes(site, second, "sent", "delivered", "answered")
    sim.up()
    assert not sim.phone(to).texts
    late = notify(site, number(), due="now() - interval '2 hours'")
    assert becomes(site, late, "failed") == ("failed", "expired")


def test_routine_never_holds_an_alert_back(site, sim, own_gateway):
    """Routine has a quarter of what can be under way at once, however much of it there is."""
    own_gateway(notify__concurrency="8", sms="twilio")
    sim.script("*", "twilio", "sms", slow=0.5)
    routine = [number() for _ in range(30)]
    for to in routine:
        notify(site, to, rank=0, purpose="test")
    wait_until(lambda: sum(len(sim.phone(r).texts) for r in routine) >= 2, "routine is under way")
    alert = number()
    notify(site, alert, rank=4)
    sim.phone(alert).wait_texts()
    done = sum(len(sim.phone(r).texts) for r in routine)
    assert done < len(routine)
    site.wait_rows("SELECT count(*) FROM mayday.attempt a JOIN mayday.notification n ON n.id = a.notification"
                   " WHERE n.address = ANY(%s) AND a.ended_at IS NOT NULL", [(30,)], [routine], timeout=60)
    most = site.rows("""SELECT max(n) FROM (SELECT count(*) AS n FROM mayday.attempt a JOIN mayday.attempt b
                        ON b.begun_at <= a.begun_at AND b.ended_at > a.begun_at
                        JOIN mayday.notification x ON x.id = b.notification JOIN mayday.notification y ON y.id = a.notification
                        WHERE x.rank = 0 AND y.rank = 0 AND x.address = ANY(%s) AND y.address = ANY(%s) GROUP BY a.id) c""",
                     [routine, routine])[0][0]
    assert most <= 2


def test_the_most_urgent_goes_first(site, sim, own_gateway):
    """Sent one at a time by a provider who takes few."""
    gateway = own_gateway(notify__rate="5 1", sms="twilio", notify__concurrency="2")
    gateway.stop()
    to = {rank: [number() for _ in range(3)] for rank in (1, 4, 2, 3)}
    for rank, phones in to.items():
        for each in phones:
            notify(site, each, rank=rank)
    gateway.start()
    wait_until(lambda: all(sim.phone(p).texts for phones in to.values() for p in phones), "all are sent", 60)
    got = sorted((sim.phone(p).texts[0].at, rank) for rank, phones in to.items() for p in phones)
    assert [rank for _, rank in got] == [4] * 3 + [3] * 3 + [2] * 3 + [1] * 3


def test_a_certificate_of_somebody_else_is_not_talked_to(site, tmp_path, own_gateway):
    with Simulator(tls=True, folder=tmp_path) as good, Simulator(tls=True) as other:
        first = own_gateway(providers=good)
        becomes(site, notify(site, number()), "delivered", "sent")
        good.assert_strict()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        first.stop()
        own_gateway(providers=good, notify__cafile=other.authority.file(elsewhere))
        to = number()
        id_ = notify(site, to)
        wait_until(lambda: len(attempts(site, id_)) >= 2, "it was tried")
        assert not good.phone(to).texts
        codes = site.rows("SELECT DISTINCT code, outcome FROM mayday.attempt WHERE notification = %s AND outcome IS NOT NULL", [id_])
        assert codes in ([("certificate", "retry")], [("tls", "retry")])
        site.rows("UPDATE mayday.notification SET expires_at = now() WHERE id = %s RETURNING 1", [id_])


def test_a_receipt_that_never_came_is_asked_for(site, gw, sim):
    heal(site, sim)
    to = number()
    sim.script(to, "twilio", "sms", receipts="never")
    id_ = notify(site, to)
    becomes(site, id_, "sent")
    time_passes(site, id_)
    becomes(site, id_, "delivered")


def time_passes(site, id_):
    site.rows("UPDATE mayday.notification SET due_at = now() WHERE id = %s RETURNING pg_notify('mayday_notify', '')", [id_])


def test_a_text_that_was_not_delivered_is_sent_by_another_way_and_they_are_called(site, gw, sim):
    heal(site, sim)
    alert = raise_alert(site)
    to, voice = number(), number()
    sim.script(to, "twilio", "sms", text="undelivered", text_code=30003)
    notify(site, voice, kind="voice", alert=alert, place=2, due="now() + interval '1 hour'")
    first = notify(site, to, alert=alert)
    sim.phone(voice).wait_calls()
    texts = sim.phone(to).wait_texts()
    becomes(site, first, "delivered")
    assert [t.provider for t in texts] == ["vonage"]


def test_a_call_that_nobody_takes_is_made_once_more(site, gw, sim):
    heal(site, sim)
    alert = raise_alert(site)
    to = number()
    sim.script(to, call="no-answer")
    id_ = notify(site, to, kind="voice", alert=alert)
    sim.phone(to).wait_calls()
    assert becomes(site, id_, "waiting") == ("waiting", "undelivered")
    time_passes(site, id_)
    sim.phone(to).wait_calls(2)
    assert becomes(site, id_, "failed") == ("failed", "undelivered")


def test_what_was_sent_to_somebody_who_helps_shows_in_the_state(site, gw, sim):
    heal(site, sim)
    alert = raise_alert(site)
    becomes(site, notify(site, number(), alert=alert, person="fay", family=True), "delivered")
    becomes(site, notify(site, number(), alert=alert, person=f"ann-{alert[-6:]}"), "delivered")
    assert site.rows("SELECT notified_at, delivered_at FROM mayday.alert WHERE id = %s", [alert]) == [(None, None)]
    to = number()
    sim.script(to, receipts="never")
    id_ = notify(site, to, alert=alert)
    becomes(site, id_, "sent")
    site.wait_rows("SELECT notified_at IS NOT NULL, delivered_at IS NOT NULL FROM mayday.alert WHERE id = %s", [(True, False)], [alert])
    becomes(site, id_, "sent")
    time_passes(site, id_)
    site.wait_rows("SELECT notified_at <= delivered_at FROM mayday.alert WHERE id = %s", [(True,)], [alert])


def test_a_text_says_who_what_where_and_how_to_answer(site, gw, sim):
    heal(site, sim)
    site.rows("INSERT INTO mayday.person (org, person, name, lang) VALUES ('acme', 'zoe', 'Zoë Botha', NULL),"
              " ('acme', 'piet', NULL, 'af') ON CONFLICT DO NOTHING RETURNING 1")
    alert = raise_alert(site, "zoe", type="medical", location={"lat": -33.9249, "lon": 18.4241}, text="I can't breathe")
    to, afrikaans = number(), number()
    notify(site, to, alert=alert)
    notify(site, afrikaans, alert=alert, person="piet")
    body = sim.phone(to).wait_texts()[0].body
    code = site.rows("SELECT code FROM mayday.notification WHERE address = %s", [to])[0][0]
    for word in ("Zoë Botha", "medical emergency", "-33.924900,18.424100", f"OK {code}", "I can't breathe"):
        assert word in body
    assert "mediese" in sim.phone(afrikaans).wait_texts()[0].body.lower()


def test_an_app_that_is_connected_is_told_in_its_inbox(site, gw):
    alert = raise_alert(site)
    with site.client("bea", ["responder"]) as bea:
        bea.subscribe("mayday/v1/acme/user/bea/inbox")
        site.wait_rows("SELECT connected FROM mayday.person WHERE person = 'bea'", [(True,)])
        id_ = notify(site, None, kind="mqtt", person="bea", alert=alert)
        told = json.loads(bea.receive().payload)
        assert (told["kind"], told["alert"], told["id"]) == ("notification", alert, id_) and "ann" in told["text"]
    assert becomes(site, id_, "sent") == ("sent", None)
    site.wait_rows("SELECT kind, alert::text FROM mayday.inbox WHERE id = %s", [("notification", alert)], [id_])


def test_whoever_is_not_connected_is_told_another_way_too(site, gw, sim):
    to, alert = number(), raise_alert(site)
    notify(site, to, person="away", alert=alert, place=2, due="now() + interval '1 hour'")
    first = notify(site, None, kind="mqtt", person="away", alert=alert)
    assert becomes(site, first, "sent") == ("sent", "not_connected")
    sim.phone(to).wait_texts()


def test_a_webhook_is_told_and_can_tell_that_it_is_us(site, gw, sim):
    body = {"v": 1, "policies": [{"name": "p", "levels": [{"after": 0, "targets": [{"webhook": "desk"}]}]}],
            "webhooks": {"desk": sim.webhook("desk")}}
    site.rows("INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, %s) ON CONFLICT (org, edition) DO UPDATE"
              " SET body = excluded.body RETURNING 1", [json.dumps(body)])
    sim.script("desk", "webhook", "webhook", http=503, times=1)
    id_ = notify(site, "desk", kind="webhook", person=None)
    assert becomes(site, id_, "sent")[0] == "sent"
    (got,) = sim.webhooks["desk"]
    assert got["id"] == id_ and got["body"]["purpose"] == "raise" and got["body"]["org"] == "acme"
    assert becomes(site, notify(site, "nowhere", kind="webhook", person=None), "failed") == ("failed", "no_webhook")
    site.rows("DELETE FROM mayday.plan WHERE org = 'acme' RETURNING 1")


def test_organisations_that_are_somebody_else_s_are_left_to_them(site, gw, sim):
    heal(site, sim)
    to = number()
    theirs, = site.rows("SELECT mayday.notify('other', NULL, 'bob', 'sms', %s, 'test', 4, false, 0, 1, 1, now(), '1 hour')::text", [to])[0]
    becomes(site, notify(site, number(), purpose="test"), "delivered")
    assert status(site, theirs)[0] == "waiting" and not sim.phone(to).texts


def seen_long_ago(site):
    """The gateways that ran before are counted on no more."""
    site.rows("UPDATE mayday.provider_state SET noted_at = noted_at - interval '1 minute' RETURNING 1")


def test_without_a_provider_it_says_so_once_and_the_next_place_goes_on(site, sim, own_gateway):
    own_gateway(id="own-changed").stop()  # it had providers until its settings were changed
    seen_long_ago(site)
    gateway = own_gateway(id="own-changed", sms="", voice="")
    site.wait_rows("SELECT provider FROM mayday.provider_state WHERE gateway = 'own-changed'", [("webhook",)])
    for _ in range(2):
        alert = m.uuid7()
        second = notify(site, None, kind="mqtt", alert=alert, place=2, due="now() + interval '1 hour'")
        first = notify(site, number(), alert=alert)
        assert becomes(site, first, "failed") == ("failed", "no_provider")
        becomes(site, second, "sent")
    assert gateway.log().count("nobody is configured to carry it") == 1


def test_what_a_gateway_has_no_provider_for_it_leaves_to_one_that_has_until_that_is_gone(site, sim, own_gateway):
    bare = own_gateway(providers=None)
    able = own_gateway(id="own-able")
    site.wait_rows("SELECT count(*) FROM mayday.provider_state WHERE gateway = 'own-able'", [(5,)])
    phones = [number() for _ in range(40)]
    ids = [notify(site, to, kind=kind, purpose="test") for to, kind in zip(phones, ("sms", "voice") * 20)]
    site.wait_rows("SELECT DISTINCT status IN ('sent', 'delivered') FROM mayday.notification WHERE id = ANY(%s::uuid[])", [(True,)], [ids],
                   timeout=60)
    assert site.rows("SELECT DISTINCT gateway FROM mayday.attempt WHERE notification = ANY(%s::uuid[])", [ids]) == [("own-able",)]
    # What became of a text is asked by who can ask, however busy that one is.
    to = number()
    sim.script(to, "twilio", "sms", receipts="never")
    becomes(site, id_ := notify(site, to), "sent")
    able.signal(signal.SIGSTOP)
    site.rows("UPDATE mayday.provider_state SET noted_at = now() + interval '1 hour' WHERE gateway = 'own-able' RETURNING 1")
    before = steps_of_sender(bare)
    time_passes(site, id_)
    wait_until(lambda: steps_of_sender(bare) > before + 3, "the other has looked")
    assert site.rows("SELECT due_at < now() FROM mayday.notification WHERE id = %s", [id_]) == [(True,)], "nobody has taken it"
    able.signal(signal.SIGCONT)
    becomes(site, id_, "delivered")
    site.wait_rows("SELECT bool_and(noted_at < now()) FROM mayday.provider_state WHERE gateway = 'own-able'", [(True,)])
    assert "nobody is configured" not in bare.log()
    able.kill()
    alert = m.uuid7()
    second = notify(site, None, kind="mqtt", alert=alert, place=2, due="now() + interval '1 hour'")
    first = notify(site, number(), alert=alert)
    assert becomes(site, first, "failed", timeout=60) == ("failed", "no_provider")
    becomes(site, second, "sent")
    assert site.rows("SELECT n.done_at > max(p.noted_at) + interval '10 seconds' FROM mayday.notification n, mayday.provider_state p"
                     " WHERE n.id = %s AND p.gateway = 'own-able' GROUP BY n.id", [first]) == [(True,)], "it may be starting again"


def steps_of_sender(gateway):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=10) as answer:
        return int(re.search(r'^mayday_gateway_service_steps_total\{service="sender"\} (\d+)$', answer.read().decode(), re.M)[1])


def see_another(site, orgs, age):
    """A gateway that serves these (None: all) said so long ago that it can text."""
    site.rows("INSERT INTO mayday.provider_state (gateway, provider, kind, orgs, breaker, in_flight, sent, retry, refused, unknown, noted_at)"
              " VALUES ('other', 'twilio-sms', 'sms', %s, 'closed', 0, 0, 0, 0, 0, now() - %s::interval) ON CONFLICT (gateway, provider)"
              " DO UPDATE SET orgs = excluded.orgs, noted_at = excluded.noted_at RETURNING 1", [orgs, age])


def test_another_gateway_is_counted_on_for_whom_it_serves_and_while_it_is_seen(site, own_gateway):
    seen_long_ago(site)
    bare = own_gateway(providers=None)
    for orgs, age in ((["elsewhere"], "0"), ([], "0"), (None, "1 minute"), (["acme"], "1 minute")):
        see_another(site, orgs, age)
        assert becomes(site, notify(site, number()), "failed") == ("failed", "no_provider")
    for orgs in (["elsewhere", "acme"], None):
        see_another(site, orgs, "-1 hour")
        left = notify(site, number())
        assert becomes(site, notify(site, number(), kind="voice"), "failed") == ("failed", "no_provider")
        # It waits, and nobody is busy with that.
        begun, before = site.rows("SELECT clock_timestamp()")[0][0], steps_of_sender(bare)
        site.wait_rows("SELECT clock_timestamp() > %s + interval '3 seconds'", [(True,)], [begun])
        took = (site.rows("SELECT clock_timestamp()")[0][0] - begun).total_seconds()
        assert steps_of_sender(bare) - before < 5 * took
        assert status(site, left) == ("waiting", None)
        see_another(site, orgs, "1 minute")
        assert becomes(site, left, "failed") == ("failed", "no_provider")
    site.rows("DELETE FROM mayday.provider_state WHERE gateway = 'other' RETURNING 1")


def test_what_is_in_doubt_is_left_to_who_can_look_for_it_but_not_for_long(site, own_gateway):
    """Who can't look would only have it sent again; and two texts are better than none."""
    seen_long_ago(site)
    own_gateway(providers=None)
    see_another(site, None, "-1 hour")
    id_ = notify(site, number(), due="now() + interval '1 hour'")
    site.rows("""WITH t AS (INSERT INTO mayday.attempt (id, notification, org, provider, gateway, pid, pid_since, until, ended_at, outcome)
                            VALUES (gen_random_uuid(), %s, 'acme', 'twilio-sms', 'other', 1, now(), now(), now() - interval '1 hour', 'unknown'))
                 UPDATE mayday.notification SET status = 'doubt', due_at = now(), made_at = now() WHERE id = %s RETURNING 1""", [id_, id_])
    assert becomes(site, id_, "waiting") == ("waiting", "doubt")
    assert site.rows("SELECT due_at > made_at + interval '3 seconds' FROM mayday.notification WHERE id = %s", [id_]) == [(True,)]
    site.rows("DELETE FROM mayday.provider_state WHERE gateway = 'other' RETURNING 1")
    assert becomes(site, id_, "failed") == ("failed", "no_provider")


def test_who_has_only_phones_that_cannot_be_reached_finds_it_in_their_app(site, own_gateway):
    seen_long_ago(site)
    own_gateway(sms="", voice="")
    shown = "SELECT kind, status FROM mayday.notification WHERE alert = %s ORDER BY place"
    alert = m.uuid7()
    second = notify(site, number(), kind="voice", alert=alert, place=2, due="now() + interval '1 hour'")
    becomes(site, notify(site, number(), alert=alert), "failed")
    becomes(site, second, "failed")
    site.wait_rows(shown, [("sms", "failed"), ("voice", "failed"), ("mqtt", "sent")], [alert])
    mum = m.uuid7()
    becomes(site, notify(site, number(), alert=mum, family=True), "failed")
    assert site.rows(shown, [mum]) == [("sms", "failed")], "family sees what the raiser's phone shows, and nothing behind it"


def test_one_that_the_database_does_not_take_keeps_no_other_back(site, gw, sim):
    poisoned, good = number(), number()
    site.rows("CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM mayday.notification n "
              f"WHERE n.id = NEW.notification AND n.address = '{poisoned}') THEN RAISE check_violation; END IF; RETURN NEW; END $$")
    site.rows("CREATE TRIGGER poison BEFORE INSERT ON mayday.attempt FOR EACH ROW EXECUTE FUNCTION public.poison()")
    try:
        bad = notify(site, poisoned, rank=4)
        sent = notify(site, good, rank=1)
        becomes(site, bad, "failed")
        becomes(site, sent, "delivered")
        assert site.rows("SELECT why FROM mayday.notification WHERE id = %s", [bad]) == [("database",)]
        assert attempts(site, bad) == [] and sim.phone(poisoned).texts == []
    finally:
        site.rows("DROP TRIGGER poison ON mayday.attempt")
        site.rows("DROP FUNCTION public.poison()")


def test_figures_tell_by_provider_and_outcome(site, gw, sim):
    heal(site, sim)
    with urllib.request.urlopen(f"http://127.0.0.1:{gw.http_port}/metrics", timeout=10) as answer:
        figures = answer.read().decode()
    assert re.search(r'^mayday_gateway_attempts_total\{provider="twilio-sms",outcome="sent"\} \d+$', figures, re.M)
    assert figures.count("# TYPE mayday_gateway_attempts_total counter") == 1


def test_two_gateways_send_each_once(site, sim, own_gateway):
    own_gateway()
    own_gateway()
    phones = [number() for _ in range(120)]
    ids = [notify(site, to, purpose="test") for to in phones]
    site.wait_rows("SELECT count(*) FROM mayday.notification WHERE id = ANY(%s::uuid[]) AND status IN ('sent', 'delivered')", [(120,)],
                   [ids], timeout=60)
    assert [len(sim.phone(p).texts) for p in phones] == [1] * 120
    assert len(site.rows("SELECT DISTINCT gateway FROM mayday.attempt WHERE notification = ANY(%s::uuid[])", [ids])) >= 1


def test_a_connection_to_the_database_that_ends_meanwhile_costs_nothing(site, gw, sim):
    heal(site, sim)
    to = number()
    sim.script(to, "twilio", "sms", slow=1.0, receipts="never")
    id_ = notify(site, to)
    sim.phone(to).wait_texts()
    ended = site.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mayday-gateway sender%%'"
                      " AND datname = current_database()")
    assert ended == [(True,)]
    becomes(site, id_, "sent")
    assert site.rows("SELECT provider, outcome, code, reference IS NOT NULL FROM mayday.attempt WHERE notification = %s", [id_]) == [
        ("twilio-sms", "sent", None, True)]
    assert len(sim.phone(to).texts) == 1


def test_a_gateway_that_is_asked_to_end_stores_what_came_of_it(site, sim, own_gateway):
    gateway = own_gateway()
    to = number()
    sim.script(to, "twilio", "sms", slow=0.7, receipts="never")
    id_ = notify(site, to)
    sim.phone(to).wait_texts()
    gateway.stop()
    assert status(site, id_)[0] == "sent"
    assert attempts(site, id_) == [("twilio-sms", "sent")]


def test_whose_gateway_was_killed_is_looked_for_and_found(site, sim, own_gateway):
    gateway = own_gateway()
    to = number()
    sim.script(to, "twilio", "sms", slow=1.0, receipts="never")
    id_ = notify(site, to)
    sim.phone(to).wait_texts()
    gateway.kill()
    own_gateway()
    becomes(site, id_, "sent")
    assert len(sim.phone(to).texts) == 1
    assert attempts(site, id_) == [("twilio-sms", "sent")]


def test_from_the_press_to_the_text(site, gw, sim):
    """The whole way: raise, plan, text."""
    heal(site, sim)
    to = number()
    site.rows("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', 'dispatch-1', '{dispatcher}') RETURNING 1")
    site.rows("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', 'dispatch-1', 1, 'sms', %s) RETURNING 1", [to])
    try:
        alert = raise_alert(site)
        assert "MAYDAY: ann-" in sim.phone(to).wait_text("MAYDAY", alert[-6:]).body
        site.wait_rows("SELECT notified_at IS NOT NULL FROM mayday.alert WHERE id = %s", [(True,)], [alert])
    finally:
        site.rows("DELETE FROM mayday.channel WHERE person = 'dispatch-1' RETURNING 1")
        site.rows("DELETE FROM mayday.person WHERE person = 'dispatch-1' RETURNING 1")


def test_what_came_of_it_while_the_database_was_away_survives_the_gateway(site, sim, own_gateway):
    """The database is lost while a request is under way, and the gateway ends before it is back."""
    gateway = own_gateway(id="away", notify__timeout="3s")
    to = number()
    sim.script(to, "twilio", "sms", slow=1.0, receipts="never")
    id_ = notify(site, to)
    sim.phone(to).wait_texts()
    run_sql(site, "ALTER ROLE mayday_gateway NOLOGIN")
    try:
        run_sql(site, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mayday_gateway'")
        wait_until(lambda: re.search("^.*sender: .*; trying again", gateway.log(), re.M), "it has lost the database")
        sim.wait_hits(1, provider="twilio", kind="sms", number=to)
        gateway.stop()
        assert status(site, id_)[0] == "sending"
    finally:
        run_sql(site, "ALTER ROLE mayday_gateway LOGIN")
    listed = len(sim.found(provider="twilio", kind="list"))
    own_gateway(id="away")
    becomes(site, id_, "sent")
    assert attempts(site, id_) == [("twilio-sms", "sent")]
    assert len(sim.phone(to).texts) == 1 and len(sim.found(provider="twilio", kind="list")) == listed


def run_sql(site, statement):
    import psycopg2
    connection = psycopg2.connect(site.postgres.dsn())
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()
