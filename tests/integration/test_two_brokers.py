"""Two brokers, each with its own journal, feed one database: rows of both, and one truth about who belongs to what."""
import json

from support import messages as m
from support.site import wait_until


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
