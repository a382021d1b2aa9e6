"""CONNECT with a token against a bare CONNECT plus one signature check as OpenSSL measures it on one core.

Everything here is processor time, the broker's for each cycle and OpenSSL's for each verification, so that whatever
else the machine does weighs less. The tokens of many people take turns."""
import os
import subprocess
from statistics import median

from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

TITLE = "CONNECT with ES256, RS256, EdDSA tokens"

ALGORITHMS = [("ES256", "ec", "ecdsap256"), ("RS256", "rsa", "rsa3072"), ("EdDSA", "ed25519", "ed25519")]
PEOPLE = 64
PARALLEL = 8
REACH = 1.25


def verify_us(name, seconds):
    """One verification, microseconds: `openssl speed` in its machine-readable form ends in verifications a second."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", str(max(1, round(seconds))), name],
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        fields = line.split(":")
        if line.startswith(("+F2", "+F4", "+F6")) and float(fields[-1]) > 0:
            return 1e6 / float(fields[-1])
    raise Broken(f"openssl speed {name} gave no figure")


def processor_us(pid):
    """What a process has used so far, all its threads, in user and kernel."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def connect_us(lab, broker, **options):
    before = processor_us(broker.process.pid)
    cycles = lab.load("connect", broker.port, seconds=lab.seconds, connections=PARALLEL, **options)["cycles"]
    return (processor_us(broker.process.pid) - before) / cycles


def measure_one(lab, label, key_type, openssl_name):
    references, ours = [], []
    with lab.bare() as bare, lab.mayday(key_type) as mayday:
        people = lab.crowd(mayday.home, [(f"u{i}", f"u{i}", "member", "unused") for i in range(PEOPLE)])
        for _ in range(lab.rounds):
            references.append(connect_us(lab, bare) + verify_us(openssl_name, lab.seconds / 2))
            ours.append(connect_us(lab, mayday.broker, credentials=people))
    ratios = [o / r for o, r in zip(ours, references)]
    return Line(f"CONNECT with {label} token, processor time of the broker", spread(references, micro), spread(ours, micro),
                spread(ratios, ratio), f"≤ {REACH} × (bare CONNECT + one verify)",
                yes(median(ratios) <= REACH))


def measure(lab):
    return [measure_one(lab, *algorithm) for algorithm in ALGORITHMS]
