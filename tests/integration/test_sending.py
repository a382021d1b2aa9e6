"""The sender: what is due reaches a phone, once, whatever the providers do."""
import json
import re
import time
from contextlib import contextmanager

import pytest

from support import messages as m
from support.providers import Simulator
from support.site import wait_until


@pytest.fixture(scope="module")
def sim():
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def gw(site, sim):
    with site.gateway(providers=sim, notify__timeout="1500ms", notify__rate="200 400") as running:
        yield running


@pytest.fixture(autouse=True)
def honest(request):
    """No test may make us send what a provider would refuse, and no number or text gets into a log."""
    yield
    if "sim" in request.fixturenames:
        sim = request.getfixturevalue("sim")
        sim.up()
        sim.assert_strict()
    if "gw" in request.fixturenames:
        log = request.getfixturevalue("gw").log()
        assert not re.search(r"\+\d{7}", log), re.search(r".*\+\d{7}.*", log)[0]
        assert "Wrote" not in log and "Reply OK" not in log


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


def raise_alert(site, who="ann", **fields):
    """An incident, stored; its plan is so slow that it tells nobody by itself."""
    alert = m.uuid7()
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
