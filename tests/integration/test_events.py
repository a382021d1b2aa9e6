"""What the audit trail hears from a broker: connects, refusals, readers, revocations, starts and stops."""
import json
import time

import pytest

from support import messages as m
from support.site import wait_until
from support.wire import Client, Refused


def events(site, kind, **where):
    conditions = " AND ".join(f"{name} = %s" for name in where)
    rows = site.rows("SELECT org, sender, person, client, roles, address, topic, code, detail FROM mayday.event WHERE kind = %s"
                     + (f" AND {conditions}" if conditions else "") + " ORDER BY id", [kind, *where.values()])
    names = ("org", "sender", "person", "client", "roles", "address", "topic", "code", "detail")
    return [dict(zip(names, row)) for row in rows]


def wait_events(site, count, kind, **where):
    return wait_until(lambda: len(found := events(site, kind, **where)) >= count and found, f"{count} events {kind} {where}")


def test_a_session_begins_and_ends(site):
    site.client("ann", ["member", "officer"], client_id="ann:phone").disconnect()
    connect = wait_events(site, 1, "connect", client="ann:phone")[0]
    assert (connect["org"], connect["sender"], connect["person"]) == ("acme", "ann", "ann")
    assert connect["roles"] == ["member", "officer"] and connect["address"] == "127.0.0.1"
    gone = wait_events(site, 1, "disconnect", client="ann:phone")
    assert len(gone) == 1 and gone[0]["person"] == "ann"


def test_odd_characters_in_what_a_client_says_of_itself_are_kept(site):
    odd = 'ann/"phone\\" ü€😀'
    site.client("ann", ["member"], client_id=odd).disconnect()
    assert wait_events(site, 1, "disconnect", client=odd)[0]["person"] == "ann"


def test_a_takeover_ends_the_old_session_before_the_new_one_begins(site):
    first = site.client("tom")
    second = site.client("tom")
    assert first.is_closed()
    second.disconnect()
    wait_events(site, 2, "disconnect", client="tom")
    order = site.rows("SELECT kind, code FROM mayday.event WHERE client = 'tom' AND kind IN ('connect', 'disconnect') ORDER BY id")
    assert order == [("connect", None), ("disconnect", "taken_over"), ("connect", None), ("disconnect", None)]


def test_a_renewed_token_is_told_with_its_new_roles(site):
    with site.client("rae", version=5, auth=m.token("rae"), client_id="rae") as c:
        assert c.renew(m.token("rae", roles=["officer"])) == 0
        told = wait_events(site, 2, "connect", client="rae")
        assert [(t["code"], t["roles"]) for t in told] == [(None, ["member"]), ("renewed", ["officer"])]


def test_a_refused_connect_is_told_and_its_token_is_nowhere(site):
    bad = m.token("bad", secret=b"not the secret")
    with pytest.raises(Refused):
        Client(site.port, "bad:1", bad)
    told = wait_events(site, 1, "refused_connect", client="bad:1")[0]
    assert (told["org"], told["sender"], told["person"]) == ("-", "-", None) and told["detail"]
    with pytest.raises(Refused):
        Client(site.port, "other", m.token("known"))
    assert wait_events(site, 1, "refused_connect", client="other")[0]["person"] == "known"
    site.stop()
    site.start()
    for part in bad.split(".")[1:]:
        assert not site.rows("SELECT 1 FROM mayday.event e WHERE e::text LIKE %s", [f"%{part}%"])
        assert part not in site.log()


def test_an_attacker_does_not_fill_the_journal(own_site):
    with own_site() as site:
        bad = m.token("bad", secret=b"not the secret")
        for i in range(300):
            with pytest.raises(Refused):
                Client(site.port, f"bad:{i}", bad)
        with site.client("max") as mia:
            for _ in range(300):
                mia.publish(m.topic("user", "bob", "location"), m.dump(m.location()))
        wait_until(lambda: site.figure("events/left_out") > 300, "most are left out")
        # the next that is told says how many were not

        def told():
            with pytest.raises(Refused):
                Client(site.port, "bad:last", bad)
            return events(site, "refused_connect", client="bad:last")

        said = [e["detail"] for e in wait_until(told, "there is room again")]
        assert all(":" not in detail for detail in said)
        assert "were not told" in said[0] or any("were not told" in e["detail"] for e in events(site, "refused_connect"))


def test_refused_messages_are_told(site):
    with site.client("mia", version=5) as mia:
        topic = m.topic("user", "bob", "location")
        assert mia.publish(topic, m.dump(m.location())) == 0x87
        assert mia.publish(m.topic("user", "mia", "location"), "{}") == 0x87
    first, second = wait_events(site, 2, "refused", person="mia")
    assert (first["topic"], first["code"]) == (topic, "not_authorised")
    assert second["code"] == "invalid"


def test_who_reads_the_data_of_others_is_told_once_for_each_session_and_filter(site):
    with site.client("dora", ["dispatcher"]) as dora, site.client("moe") as moe:
        for _ in range(3):
            dora.subscribe("mayday/v1/acme/alert/#", "mayday/v1/acme/user/+/vitals", "mayday/v1/acme/user/dora/inbox",
                           "mayday/v1/acme/role/dispatcher/broadcast", "mayday/v1/acme/room/+/chat")
        moe.subscribe("mayday/v1/acme/alert/+/state", "mayday/v1/acme/user/moe/inbox", "mayday/v1/acme/user/+/vitals")
        dora.publish(m.topic("user", "nobody", "reply"), m.dump(m.message(answer="ok")))  # refused: comes last
        wait_events(site, 1, "refused", person="dora")
    assert {e["topic"] for e in events(site, "subscribe", person="dora")} == {"mayday/v1/acme/alert/#", "mayday/v1/acme/user/+/vitals"}
    assert len(events(site, "subscribe", person="dora")) == 2
    assert events(site, "subscribe", person="moe") == []


def test_revocations_and_kicks_name_who_did_what_to_whom(site):
    with site.client("root", ["admin"]) as root, site.client("vic") as vic:
        for command in ("revoke", "restore"):
            root.publish("$CONTROL/mayday/v1", m.dump(m.message(command=command, kind="sub", value="vic")))
        told = wait_events(site, 1, "revoke", person="vic")[0]
        assert (told["sender"], told["code"]) == ("root", "sub") and "vic" in told["detail"]
        assert wait_events(site, 1, "restore", person="vic")[0]["sender"] == "root"
        root.publish("$CONTROL/mayday/v1", m.dump(m.message(command="revoke", kind="sub", value="vic")))
        assert vic.is_closed()
        assert wait_events(site, 1, "kick", person="vic")[0]["code"] == "revoked"
        wait_events(site, 1, "disconnect", person="vic")


def test_starts_stops_and_files_are_told(own_site):
    with own_site(node__name="told") as site:
        good = site.policy_file.read_text()
        site.policy_file.write_text(good + "\nrole x\n  raed y\n")
        wait_until(lambda: "the policy from before stays" in site.log(), "the bad policy is refused")
        site.policy_file.write_text(good)
        wait_until(lambda: site.rows("SELECT count(*) FROM mayday.event WHERE node = 'told' AND kind = 'policy'")[0][0] == 2, "both are told")
        site.write_keys([m.JWK, {**m.JWK, "kid": "second"}])
        wait_until(lambda: site.rows("SELECT detail FROM mayday.event WHERE node = 'told' AND kind = 'keys'") == [("2 keys",)], "new keys are told")
        site.restart()
        site.wait_rows("SELECT kind FROM mayday.event WHERE node = 'told' AND kind IN ('start', 'stop') ORDER BY id",
                       [("start",), ("stop",), ("start",)])
    refused, taken = site.rows("SELECT code, detail FROM mayday.event WHERE node = 'told' AND kind = 'policy' ORDER BY id")
    assert refused[0] == "refused" and "raed" in refused[1] and taken[0] == "taken_up"


def test_what_brokers_tell_is_well_formed_and_in_order(site):
    with site.client("ord"):
        pass
    wait_events(site, 1, "disconnect", client="ord")
    rows = site.rows("SELECT id::text, extract(epoch FROM received_at)::numeric, kind FROM mayday.event WHERE node = 'test' ORDER BY id")
    assert [r[1] for r in rows] == sorted(r[1] for r in rows)
    assert site.rows("SELECT count(*) FROM mayday.dead_letter") == [(0,)]


@pytest.mark.parametrize("name", ["a/b", "a+b", "x" * 129])
def test_a_node_that_cannot_stand_in_a_topic_does_not_start(own_site, name):
    assert "cannot start: [node] name: " in own_site(node__name=name).refuses_to_start()
