"""The thinnest whole path, and its refusals: a token in, a row out."""
import pytest

from support import messages as m
from support.site import wait_until
from support.wire import Client, Closed, Refused
import json


def test_a_message_becomes_a_row_with_who_when_and_where(site):
    sent = m.location(lat=-33.925, lon=18.424, speed=1.5, heading=270.0, battery=80)
    with site.client("ann") as ann:
        assert ann.publish(m.topic("user", "ann", "location"), m.dump(sent)) == 0
    site.wait_rows(
        "SELECT id::text, org, sender, person, alert, ST_Y(position::geometry), ST_X(position::geometry), accuracy, speed, node"
        " FROM mayday.location WHERE id = %s",
        [(sent["id"], "acme", "ann", "ann", None, -33.925, 18.424, 5.0, 1.5, "test")], [sent["id"]])


def test_an_alert_reaches_a_dispatcher_and_the_database(site):
    sent, alert = m.raise_(text="behind the library"), m.uuid7()
    with site.client("dora", ["dispatcher"]) as dora, site.client("ben") as ben:
        assert dora.subscribe("mayday/v1/acme/alert/+/raise") == [1]
        assert ben.publish(m.topic("alert", alert, "raise"), m.dump(sent)) == 0
        got = dora.receive()
        assert got.topic == m.topic("alert", alert, "raise")
        assert json.loads(got.payload) == sent
    site.wait_rows("SELECT org, sender, type, text FROM mayday.raise WHERE id = %s",
                   [("acme", "ben", "panic", "behind the library")], [sent["id"]])
    site.wait_rows("SELECT person, relation FROM mayday.membership WHERE id = %s", [("ben", "raiser")], [alert])


def test_the_same_id_twice_is_one_row(site):
    sent = m.location()
    with site.client("cid") as cid:
        for _ in range(3):
            assert cid.publish(m.topic("user", "cid", "location"), m.dump(sent)) == 0
        last = m.location()
        assert cid.publish(m.topic("user", "cid", "location"), m.dump(last)) == 0
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], [last["id"]])
    assert site.rows("SELECT count(*) FROM mayday.location WHERE id = %s", [sent["id"]]) == [(1,)]


def test_no_token_no_entry(site):
    for password in (None, "", "letmein", "a.b.c", "eyJhbGciOiJub25lIn0.e30."):
        with pytest.raises(Refused) as refused:
            Client(site.port, "eve", password)
        assert refused.value.code == 5


@pytest.mark.parametrize("version", [4, 5])
def test_a_refused_message_is_named_to_its_sender_in_both_protocols(site, version):
    bad = m.location(lat=91)
    with site.client("fay", version=version) as fay:
        assert fay.subscribe("mayday/v1/acme/user/fay/rejected") == [1]
        assert fay.publish(m.topic("user", "fay", "location"), m.dump(bad)) == (0x87 if version == 5 else 0)
        told = json.loads(fay.receive().payload)
        assert told["id"] == bad["id"] and told["code"] == "invalid" and "/lat" in told["detail"]
        assert told["topic"] == m.topic("user", "fay", "location")


def test_the_figures_are_published(site):
    with site.client("gil"):
        wait_until(lambda: site.figure("sessions/live") >= 1 and site.figure("sessions/role/member") >= 1, "a session is counted")
    wait_until(lambda: site.figure("database/connected") == 1, "the database is connected")
    wait_until(lambda: site.figure("journal/lag_records") == 0, "the journal is drained")
