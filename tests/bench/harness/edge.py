"""A gateway with sensors of ours at its serial lines (pseudo terminals), which speak JSON."""
import contextlib
import json
import os
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request

from .lab import ORG
from .servers import Broken

sys.path.insert(0, os.path.join(os.path.dirname(__file__), *[os.pardir] * 2))
from support.sensors import Line  # noqa: E402 - the serial lines of the integration tests


@contextlib.contextmanager
def lines(folder, count):
    """That many lines; the sensor `s<n>` is at the n-th, and a person's of the same name."""
    made = [Line(pathlib.Path(folder) / f"tty{i}").plug() for i in range(count)]
    try:
        yield made
    finally:
        for line in made:
            line.close()


def configure(folder, made, **more):
    """Writes sensors.json; the section of mayday.conf that names it."""
    path = os.path.join(folder, "sensors.json")
    with open(path, "w") as f:
        json.dump({"v": 1, "org": ORG, "sensors": [
            {"name": f"s{i}", "kind": "serial", "person": f"s{i}", "options": {"device": str(line.path), "format": "json"}, **more}
            for i, line in enumerate(made)]}, f)
    return {"sensors": {"file": path}}


def health(address):
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as answer:  # something is away yet
        return json.load(answer)


def are_open(address):
    """Every sensor is; False also while the gateway does not answer yet."""
    try:
        return all(s["state"] == "open" for s in health(address)["sensors"].values())
    except urllib.error.URLError:
        return False


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(row.split()[1]) * 1024 for row in f if row.startswith("VmRSS:"))


def cpu(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Straps(threading.Thread):
    """A reading a second from each, spread over the second, until stop(). Each pulse differs from the last by more than its band, so that
    all of it goes up."""

    def __init__(self, made):
        super().__init__(daemon=True)
        self.made, self.over, self.said = made, threading.Event(), 0

    def run(self):
        begun = time.monotonic()
        while not self.over.is_set():
            i = self.said % len(self.made)
            turn = self.said // len(self.made)
            self.made[i].say_json(hr=60 + 10 * (turn % 4), spo2=96 + turn % 3, rr_ms=[830, 815 + turn % 20], contact=True, battery=80)
            self.said += 1
            self.over.wait(max(0, begun + self.said / len(self.made) - time.monotonic()))

    def stop(self):
        self.over.set()
        self.join()
        if not self.said:
            raise Broken("no sensor said anything")
        return self.said
