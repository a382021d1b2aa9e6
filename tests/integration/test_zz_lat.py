import time, sys
sys.path.insert(0, "/work/wt/sender/tests")
from support import messages as m
from support.providers import Simulator
def test_lat(site):
    with Simulator() as sim, site.gateway(providers=sim, notify__rate="1000 1000") as gw:
        to="+27821234567"
        site.rows("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', 'd1', '{dispatcher}') RETURNING 1")
        site.rows("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES ('acme', 'd1', 1, 'sms', %s) RETURNING 1", [to])
        took=[]
        for i in range(100):
            with site.client(f"p{i}") as c:
                a=m.uuid7()
                t=time.time()
                c.publish(m.topic("alert", a, "raise"), m.dump(m.raise_()))
                text=sim.phone(to).wait_text(f"p{i} ")
                took.append((text.at-t)*1000)
        took.sort()
        print("\nLAT p50 %.1f p90 %.1f p99 %.1f max %.1f ms" % (took[50],took[90],took[98],took[99]))
