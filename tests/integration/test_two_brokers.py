"""Two brokers, each with its own journal, feed one database: rows of both, and one truth about who belongs to what."""
import json
import time

import pytest

from support import messages as m
from support.site import wait_until
from support.wire import Refused


def test_rows_of_both_carry_the_name_of_their_broker_and_memberships_reach_the_other(own_site):
    with own_site(node__name="north") as north, own_site(node__name="south") as south:
        alert = m.uuid7()
        chat = m.topic("alert", alert, "chat")
        with north.client("ann") as ann, north.client("bob", ["officer"]) as bob, south.client("dora", ["dispatcher"]) as dora:
            assert bob.subscribe("mayday/v1/acme/alert/+/chat") == [1]
            pressed = m.raise_()
            assert ann.publish(m.topic("alert", alert, "raise"), m.dump(pressed)) == 0
            north.wait_rows("SELECT sender FROM mayday.raise WHERE id = %s", [("ann",)], [pressed["id"]])
            assert dora.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="assign", person="bob"))) == 0

            def bob_hears():
                ann.publish(chat, m.dump(m.chat("at the gate")))
                return not bob.receives_nothing()

            wait_until(bob_hears, "the assignment made on one broker opens the incident on the other")
            assert json.loads(bob.receive().payload)["text"] == "at the gate"
        north.wait_rows("SELECT node FROM mayday.raise WHERE id = %s", [("north",)], [pressed["id"]])
        north.wait_rows("SELECT node FROM mayday.action WHERE alert = %s", [("south",)], [alert])
        north.wait_rows("SELECT count(DISTINCT journal) FROM mayday.journal_progress WHERE node IN ('north', 'south')", [(2,)])


def test_the_same_message_through_both_is_one_row(own_site):
    with own_site(node__name="east") as east, own_site(node__name="west") as west:
        sent = m.location()
        for site in (east, west):
            with site.client("cat") as cat:
                assert cat.publish(m.topic("user", "cat", "location"), m.dump(sent)) == 0
                last = m.location()
                assert cat.publish(m.topic("user", "cat", "location"), m.dump(last)) == 0
            site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], [last["id"]])
        assert east.rows("SELECT count(*) FROM mayday.location WHERE id = %s", [sent["id"]]) == [(1,)]
        assert east.rows("SELECT count(*) FROM mayday.dead_letter WHERE org = 'acme' AND sender = 'cat'") == [(0,)]


def test_a_revocation_reaches_the_other_broker_and_so_does_its_end(own_site):
    with own_site(node__name="near") as near, own_site(node__name="far") as far:
        with near.client("root", ["admin"]) as root, far.client("vic") as vic:
            root.publish("$CONTROL/mayday/v1", m.dump(m.message(command="revoke", kind="sub", value="vic")))
            assert vic.is_closed()
            with pytest.raises(Refused):
                far.client("vic")
            root.publish("$CONTROL/mayday/v1", m.dump(m.message(command="restore", kind="sub", value="vic")))

            def comes_in():
                try:
                    far.client("vic").disconnect()
                    return True
                except Refused:
                    return False

            wait_until(comes_in, "the other broker lets vic in again")


def test_a_broker_that_was_away_learns_what_was_revoked_meanwhile(own_site):
    with own_site(node__name="here") as here, own_site(node__name="away") as away:
        until = m.moment(int(time.time()) + 3600)
        away.stop()
        with here.client("root", ["admin"]) as root:
            root.publish("$CONTROL/mayday/v1", m.dump(m.message(command="revoke", kind="sub", value="max power", until=until)))
        here.wait_rows("SELECT value, lifted, node, changed_by FROM mayday.revocation WHERE value = 'max power'",
                       [("max power", False, "here", "root")])
        assert here.rows("SELECT until = %s::timestamptz FROM mayday.revocation WHERE value = 'max power'", [until]) == [(True,)]
        away.start()

        def refused():
            try:
                away.client("max power", client_id="max power").disconnect()
                return False
            except Refused:
                return True

        wait_until(refused, "the returned broker refuses")
