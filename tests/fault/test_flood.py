"""Thousands of presses of one person in one batch, some of them twice: the writer must not take them one by one, or it never gets through."""
import psycopg2

from support import messages as m
from support.site import Site, wait_until


def test_thousands_of_presses_of_one_person_with_repeats_among_them_are_one_incident(database, tmp_path):
    with Site(tmp_path / "site", database) as site, site.client("flo", version=5) as flo:
        presses = [(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_())) for _ in range(3001)]
        flo.publish(*presses[0])
        site.wait_rows("SELECT count(*) FROM mayday.alert WHERE raised_by = 'flo'", [(1,)])
        holding = psycopg2.connect(database.dsn("postgres"))
        holding.cursor().execute("LOCK mayday.raise IN ACCESS EXCLUSIVE MODE")  # so that the next batch holds them all
        for topic, payload in presses + presses[::10]:
            assert flo.publish(topic, payload) in (0, 0x10)
        holding.rollback()
        holding.close()
        site.wait_rows("SELECT count(*) FROM mayday.raise WHERE sender = 'flo'", [(3001,)])
        wait_until(lambda: site.figure("journal/lag_records") == 0, "the writer is through")
        rows, pressed = site.rows("SELECT count(*), sum(presses) FILTER (WHERE joined_to IS NULL) FROM mayday.alert WHERE raised_by = 'flo'")[0]
        assert rows == 21 and pressed >= 3001
        assert site.figure("database/dead_letters") == 0
