"""What 200 sensors at a reading a second cost the gateway: memory and processor time, beside the same gateway without any."""
import time
from statistics import median

from .. import edge
from ..servers import Broken, wait_until
from ..table import Line, count, ratio, spread, yes

TITLE = "a gateway with 200 sensors"

SENSORS = 200
REACH = 64 << 20  # a small machine has a quarter of a gigabyte


def share(value):
    return f"{value * 100:.1f} %"


def mega(value):
    return f"{value / (1 << 20):.1f} MiB"


def settle(pid, seconds):
    """Memory at the end, and the share of one core over the time."""
    begun, used = time.monotonic(), edge.cpu(pid)
    time.sleep(seconds)
    return {"bytes": edge.rss(pid), "core": (edge.cpu(pid) - used) / (time.monotonic() - begun)}


def without(lab, seconds):
    with lab.mayday() as mayday, lab.gateway(mayday):
        time.sleep(2)
        return settle(mayday.gateway, seconds)


def one_round(lab, seconds):
    with lab.mayday() as mayday, edge.lines(mayday.home, SENSORS) as made:
        with lab.gateway(mayday, edge.configure(mayday.home, made)) as address:
            wait_until("every sensor", lambda: edge.are_open(address))
            straps = edge.Straps(made)
            straps.start()
            time.sleep(5)
            found = settle(mayday.gateway, seconds)
            said = straps.stop()
            wait_until("every reading", lambda: sum(s["heard"] for s in edge.health(address)["sensors"].values()) == said, 20)
            sent = sum(s["published"] for s in edge.health(address)["sensors"].values())
            if sent < 0.9 * said:
                raise Broken(f"of {said} readings {sent} went up")
        if said < 0.9 * SENSORS * seconds:
            raise Broken(f"the sensors themselves were too slow: {said} readings in {seconds} s")
    return found


def measure(lab):
    seconds = 5 if lab.quick else 30
    plain, ours = [], []
    for _ in range(lab.rounds):
        plain.append(without(lab, seconds))
        ours.append(one_round(lab, seconds))
    more = [(o["bytes"] - p["bytes"]) / SENSORS for o, p in zip(ours, plain)]
    return [
        Line(f"memory of the gateway, {SENSORS} sensors at a reading a second, all of it sent", f"{spread([p['bytes'] for p in plain], mega)} (no sensor)",
             spread([o["bytes"] for o in ours], mega), spread([o["bytes"] / p["bytes"] for o, p in zip(ours, plain)], ratio), "≤ 64 MiB",
             yes(median([o["bytes"] for o in ours]) <= REACH)),
        Line("the same, for each sensor and the body that wears it (bytes)", "–", spread(more, count), "–", "–", "–"),
        Line(f"processor time of the gateway, {SENSORS} sensors, of one core", f"{spread([p['core'] for p in plain], share)} (no sensor)",
             spread([o["core"] for o in ours], share), "–", "–", "–"),
    ]
