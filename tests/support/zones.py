"""Zones around 47 degrees north, and people who walk through them."""
import json
import time

from support import messages as m
from support.site import wait_until

LAT, LON = 47.0, 8.0
METRE = 1 / 111195.0


def north(metres):
    return LAT + metres * METRE


def circle(zone="yard", radius=100, **more):
    return {"zone": zone, "shape": {"circle": {"lat": LAT, "lon": LON, "radius": radius}}, **more}


class Field:
    """An organisation of the test's own. Positions have times of the last minute and a half, each a little later than the one before."""

    def __init__(self, site, org):
        self.site, self.org, self.clock = site, org, time.time() - 90
        self.dora = site.client("dora", ["dispatcher"], org=org, client_id=f"dora:{org}")
        assert self.dora.subscribe(*[f"mayday/v1/{org}/{filter_}" for filter_ in (
            "zone/+/event", "role/dispatcher/broadcast", "alert/+/raise")]) == [1, 1, 1]
        self.people = {}

    def put(self, *zones):
        for zone in zones:
            self.site.rows("SELECT mayday.put_zone(%s, %s)", [self.org, json.dumps(zone)])

    def gateway(self, id="gw1", **settings):
        return self.site.gateway(id, gateway__organisations=self.org, **settings).start(self.org)

    def watched(self, gateway):
        wait_until(lambda: f"watches the zones of {self.org}" in gateway.log(), f"{gateway.id} watches")
        return gateway

    def loaded(self, gateway, zones, times=1):
        wait_until(lambda: gateway.log().count(f"{self.org} has {zones} zones") == times, f"{zones} zones are loaded")

    def person(self, who):
        if who not in self.people:
            self.people[who] = self.site.client(who, ["officer"], org=self.org, client_id=f"{who}:{self.org}")
        return self.people[who]

    def walks(self, who, *metres, step=6, **more):
        """Positions so many metres north of the middle of the yard."""
        for each in metres:
            self.clock += step
            body = m.location(lat=north(each), lon=LON, accuracy=5.0, **more)
            body["ts"] = m.moment(self.clock)
            assert self.person(who).publish(m.topic("user", who, "location", self.org), m.dump(body)) == 0

    def known(self, *people):
        """They have connected, and the database knows with which role."""
        for who in people:
            self.person(who)
        wanted = [(who, ["officer"]) for who in sorted(people)]
        self.site.wait_rows("SELECT person, roles FROM mayday.person WHERE org = %s AND person = ANY (%s) ORDER BY 1", wanted,
                            [self.org, list(people)])

    def hears(self, timeout=30):
        p = self.dora.receive(timeout)
        body = json.loads(p.payload)
        return p.topic.split("/")[4], body.get("person"), body.get("event", body.get("text") or body.get("type"))

    def inside(self):
        return self.site.rows("SELECT zone, person FROM mayday.zone_inside WHERE org = %s ORDER BY 1, 2", [self.org])

    def wait_inside(self, *want):
        wait_until(lambda: self.inside() == list(want) or None, f"inside are {want}")

    def events(self):
        return self.site.rows("SELECT person, event FROM mayday.zone_event WHERE org = %s ORDER BY at, event", [self.org])

    def wait_events(self, *want):
        wait_until(lambda: self.events() == list(want) or None, f"stored are {want}")

    def close(self):
        for each in [self.dora, *self.people.values()]:
            each.close()
