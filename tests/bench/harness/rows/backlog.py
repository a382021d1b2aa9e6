"""A journal full of records, because the database was away: what drain and restart begin with."""
from ..servers import Broken


def build(lab, mayday, records):
    """Stops PostgreSQL and publishes that many locations; they are acknowledged and only in the journal."""
    crowd = lab.field_crowd(mayday.home, 50)
    mayday.postgres.stop()
    run = lab.load("publish", mayday.port, count=records, credentials=crowd, patience=60)
    if run["acked"] != records or run["refused"]:
        raise Broken(f"{run['acked']} of {records} were acknowledged, {run['refused']} refused")
    return crowd
