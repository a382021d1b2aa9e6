"""What somebody tries who holds another's phone, was sent away, or wants to know more than they may: through a real broker, a real
gateway and a real database."""
import json

import pytest

from support import messages as m
from support.phone import opens, person, say, stored
from support.site import wait_until

LEAVES = ("raise", "state", "dispatch", "action", "chat", "location", "typing", "receipt")


@pytest.fixture(scope="module", autouse=True)
def hasty(site):
    """A gateway that puts away at once what is over."""
    with site.gateway(gateway__organisations="acme", incident__grace="0s") as running:
        yield running


def canceled(site, who, pin):
    """An incident of theirs, canceled with one of their two PINs, and its grace over."""
    stored(site, "setting", say(site, who, "user", who.sub, "settings", m.message(pin="4711", duress_pin="1147")))
    alert = opens(site, who)
    stored(site, "action", say(site, who, "alert", alert, "action", m.message(action="cancel", pin=pin)))
    site.wait_rows("SELECT decoy = 'null' OR retired_at IS NOT NULL FROM mayday.alert WHERE id = %s", [(True,)], [alert])
    site.wait_rows("SELECT count(*) FROM mayday.outbox WHERE lane = %s", [(0,)], [f"alert/{alert}"])
    return alert


def hears(client):
    """Everything that comes, until it is quiet."""
    found = []
    while not client.receives_nothing():
        packet = client.receive()
        found.append((packet.topic.rsplit("/", 1)[1], bool(packet.payload)))
    return found


@pytest.mark.parametrize("roles", [("member",), ("member", "dispatcher")])
def test_the_danger_that_goes_on_is_not_seen_from_the_phone_after_the_grace(site, roles):
    """Nor when its holder presses the button of the old incident again, or looks with another connection."""
    seen = []
    for pin in ("4711", "1147"):
        ann, dora = person(site, "ann", *roles), person(site, "dora", "dispatcher")
        alert = canceled(site, ann, pin)
        filters = [m.topic("alert", alert, leaf) for leaf in LEAVES]
        with ann.connect() as phone, site.client(dora.sub, dora.roles) as desk:
            phone.subscribe(*(m.topic("alert", alert, leaf) for leaf in LEAVES))
            heard = [hears(phone)]
            desk.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("a squad is coming")))
            heard.append(hears(phone))
            phone.send_publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
            for text in ("it is near", "it is there"):
                desk.publish(m.topic("alert", alert, "chat"), m.dump(m.chat(text)))
            desk.publish(m.topic("alert", alert, "action"), m.dump(m.message(action="acknowledge")))
            heard.append(hears(phone))
        seen.append(heard)
    assert seen[0] == seen[1] == [[], [], []]
