"""Lets time pass for an incident: everything of its escalation moves back by so much, as if it had happened earlier. There is no clock to
be set: the engine and the sender go by the database's."""


def pass_time(site, alert, seconds):
    """`site`: anything with `postgres` or `sql`. In one transaction, locked in the order that everybody locks in."""
    database = getattr(site, "postgres", None) or site
    database.sql("""
        WITH incident AS MATERIALIZED (SELECT org, id FROM mayday.alert WHERE id = %(alert)s FOR UPDATE),
        escalation AS (
            UPDATE mayday.escalation e SET begun_at = begun_at - %(by)s::interval, due_at = due_at - %(by)s::interval,
                next_at = next_at - %(by)s::interval, answered_at = answered_at - %(by)s::interval, moved_at = moved_at - %(by)s::interval,
                held_until = held_until - %(by)s::interval, exhausted_at = exhausted_at - %(by)s::interval
            FROM incident i WHERE e.org = i.org AND e.alert = i.id RETURNING e.alert),
        notification AS (
            UPDATE mayday.notification n SET made_at = made_at - %(by)s::interval, due_at = due_at - %(by)s::interval,
                expires_at = expires_at - %(by)s::interval, sent_at = sent_at - %(by)s::interval, done_at = done_at - %(by)s::interval
            FROM incident i WHERE n.org = i.org AND n.alert = i.id AND (SELECT count(*) FROM escalation) >= 0 RETURNING n.id)
        SELECT pg_notify('mayday_escalation', ''), pg_notify('mayday_notify', ''), (SELECT count(*) FROM notification)
    """, {"alert": alert, "by": f"{seconds} seconds"})
