"""CONNECT with a token against a bare CONNECT plus one signature check as OpenSSL measures it on one core.

Eight connections at a time keep the broker's one thread busy, so the time of a connect is the time between two of
them. The tokens of many people take turns."""
import subprocess
from statistics import median

from ..servers import Broken
from ..table import Line, micro, ratio, spread, yes

TITLE = "CONNECT with ES256, RS256, EdDSA tokens"

ALGORITHMS = [("ES256", "ec", "ecdsap256"), ("RS256", "rsa", "rsa2048"), ("EdDSA", "ed25519", "ed25519")]
PEOPLE = 64
PARALLEL = 8
REACH = 1.25


def verify_us(name, seconds):
    """One verification, microseconds: `openssl speed` in its machine-readable form ends in verifications a second."""
    done = subprocess.run(["openssl", "speed", "-elapsed", "-mr", "-seconds", str(max(1, round(seconds))), name],
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        fields = line.split(":")
        if line.startswith(("+F2", "+F4", "+F6")) and float(fields[-1]) > 0:
            return 1e6 / float(fields[-1])
    raise Broken(f"openssl speed {name} gave no figure")


def connect_us(lab, port, **options):
    return 1e6 / lab.load("connect", port, seconds=lab.seconds, connections=PARALLEL, **options)["rate"]


def measure_one(lab, label, key_type, openssl_name):
    references, ours = [], []
    with lab.bare() as bare, lab.mayday(key_type) as mayday:
        people = lab.crowd(mayday.home, [(f"u{i}", f"u{i}", "member", "unused") for i in range(PEOPLE)])
        for _ in range(lab.rounds):
            references.append(connect_us(lab, bare.port) + verify_us(openssl_name, lab.seconds / 2))
            ours.append(connect_us(lab, mayday.port, credentials=people))
    ratios = [o / r for o, r in zip(ours, references)]
    return Line(f"CONNECT with {label} token, broker's time", spread(references, micro), spread(ours, micro),
                spread(ratios, ratio), f"≤ {REACH} × (bare CONNECT + one verify)",
                yes(median(ratios) <= REACH))


def measure(lab):
    return [measure_one(lab, *algorithm) for algorithm in ALGORITHMS]
