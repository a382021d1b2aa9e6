-- The audit trail, first half: what is to be recorded is noted in the transaction that did it. The gateway's sealer
-- chains it (second half) within a second.
CREATE TABLE mayday.audit_pending (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    org text NOT NULL,
    kind text NOT NULL,  -- 'incident.acknowledge', 'member.set', 'connect', 'refused'...
    actor text NOT NULL, -- who did it: a subject, or the database user behind a change by hand
    person text,         -- whom it was done to
    alert uuid,
    detail jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION mayday.record_audit(in_org text, in_kind text, in_actor text, in_person text, in_alert uuid,
    in_detail jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mayday.audit_pending (org, kind, actor, person, alert, detail)
    VALUES (in_org, in_kind, in_actor, in_person, in_alert, coalesce(in_detail, '{}'))
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
