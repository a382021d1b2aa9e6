"""One person's positions to 200 dispatchers, READ decided for each delivery."""
from statistics import median

from ..lab import ORG
from ..table import Line, count, ratio, spread, yes

TITLE = "fan-out 1 → 200"

SUBSCRIBERS = 200
REACH = 0.9


def crowd(lab, home):
    topic = f"mayday/v1/{ORG}/user/u0/location"
    return lab.crowd(home, [("u0", "u0", "member", topic)] +
                     [(f"d{i}", f"d{i}", "dispatcher", topic) for i in range(SUBSCRIBERS)])


def measure(lab):
    lines = []
    with lab.bare() as bare, lab.mayday() as mayday:
        people = crowd(lab, mayday.home)
        for qos in (0, 1):
            bare_rates, our_rates = [], []
            for _ in range(lab.rounds):
                common = {"seconds": lab.seconds, "connections": SUBSCRIBERS, "qos": qos}
                bare_rates.append(lab.load("fanout", bare.port, **common)["rate"])
                run = lab.load("fanout", mayday.port, credentials=people, **common)
                our_rates.append(run["rate"])
                mayday.wait_for_rows(run["sent"])
                mayday.forget_rows()
            ratios = [ours / bare for ours, bare in zip(our_rates, bare_rates)]
            lines.append(Line(f"fan-out 1 → {SUBSCRIBERS}, QoS {qos} (deliveries/s)", spread(bare_rates, count),
                              spread(our_rates, count), spread(ratios, ratio), f"≥ {REACH} of bare Mosquitto",
                              yes(median(ratios) >= REACH)))
    return lines
