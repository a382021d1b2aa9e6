"""The broker is killed (SIGKILL) at random moments under load, again and again on the same journal: acknowledged means stored, once."""
import os
import random
import time

import pytest

from support.load import Load

ROUNDS = int(os.environ.get("MAYDAY_ROUNDS", "12"))
SEED = int(os.environ.get("MAYDAY_SEED", str(random.SystemRandom().randrange(1 << 31))))


def end_writers(site):
    site.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mayday_plugin' AND datname = current_database()")


def strike(site, rng):
    """Kills the broker and brings it back; now and then kills it in the middle of coming back, or ends its session in the database."""
    if rng.random() < 0.2:
        end_writers(site)
    site.kill()
    while rng.random() < 0.25:
        site.spawn()
        time.sleep(rng.uniform(0, 0.15))
        site.kill()
    site.start()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_acknowledged_means_stored_once_however_the_broker_dies(site, round_):
    seed = SEED + round_
    print(f"seed {seed}: MAYDAY_SEED={seed} MAYDAY_ROUNDS=1 repeats this round")
    rng = random.Random(seed)
    if site.process.poll() is not None:
        site.start()  # a round before failed half-way
    with Load(site, rng, clients=rng.randrange(2, 8)) as load:
        for _ in range(rng.randrange(1, 4)):
            time.sleep(rng.uniform(0.0, 0.5))  # the moment of the crash is what varies
            strike(site, rng)
        load.goes_on(50)
        load.finish()
        load.assert_stored_once(site)
    site.check_sanitizers()
    print(f"{load.acknowledged()} acknowledged, {sum(s.closed for s in load.senders)} connections lost")
