-- The audit trail: who did what, when, to whom. In two steps (docs/decisions/0010): what is to be recorded is noted in
-- the transaction that did it; the gateway's sealer then chains the notes, so that nobody can alter, remove or insert
-- one afterwards without `mayday audit verify` naming it.

-- The first step.
CREATE TABLE mayday.audit_pending (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(at)),
    org text NOT NULL,
    kind text NOT NULL,  -- 'incident.acknowledge', 'member.set', 'connect', 'refused'...
    actor text NOT NULL, -- who did it: a subject, or the database user behind a change by hand
    person text,         -- whom it was done to
    alert uuid,
    detail jsonb NOT NULL DEFAULT '{}'
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Never fails for what it is given: what is recorded must not undo what was done.
CREATE FUNCTION mayday.record_audit(in_org text, in_kind text, in_actor text, in_person text, in_alert uuid,
    in_detail jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.audit_pending (org, kind, actor, person, alert, detail)
    VALUES (left(coalesce(in_org, '-'), 256), left(coalesce(in_kind, '-'), 256), left(coalesce(in_actor, '-'), 256),
            left(in_person, 256), in_alert,
            CASE WHEN in_detail IS NULL THEN '{}'
                 WHEN pg_column_size(in_detail) > 32768 THEN '{"left_out": "more than 32 kB"}' ELSE in_detail END);
END
$$;

-- The second step. Positions count from 1 without a gap. The hashes are those of lib/core/audit.h:
-- entry_hash of the other columns, chain_hash of the chain_hash before it and its entry_hash.
CREATE TABLE mayday.audit (
    id uuid PRIMARY KEY, -- its time is that of sealing, so a partition is a run of positions
    position bigint NOT NULL CHECK (position > 0),
    at timestamptz NOT NULL,
    sealed_at timestamptz NOT NULL,
    org text NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    person text,
    alert uuid,
    detail jsonb NOT NULL,
    entry_hash bytea NOT NULL CHECK (length(entry_hash) = 32),
    chain_hash bytea NOT NULL CHECK (length(chain_hash) = 32)
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.audit IS 'Append-only. ''mayday audit verify'' tells whether it is whole, ''mayday audit export'' shows parts of it.';
CREATE INDEX ON mayday.audit (position);
CREATE INDEX ON mayday.audit (person, position) WHERE person IS NOT NULL;
CREATE INDEX ON mayday.audit (actor, position);
CREATE INDEX ON mayday.audit (alert, position) WHERE alert IS NOT NULL;

-- The chain as it was at a position, signed with a key that the database does not have.
CREATE TABLE mayday.audit_checkpoint (
    id uuid PRIMARY KEY,
    position bigint NOT NULL CHECK (position > 0),
    chain_hash bytea NOT NULL CHECK (length(chain_hash) = 32),
    at timestamptz NOT NULL,
    kid text, -- the name of the key
    signature text NOT NULL -- a compact JWS over position, chain_hash and at; the other columns repeat it
) PARTITION BY RANGE (id);
CREATE INDEX ON mayday.audit_checkpoint (position);

-- What nobody needs a right for: no right, and a trigger that stops the owner's own hand too.
CREATE FUNCTION mayday.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: no % of mayday.%', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON mayday.audit
    FOR EACH ROW EXECUTE FUNCTION mayday.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON mayday.audit
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON mayday.audit_checkpoint
    FOR EACH ROW EXECUTE FUNCTION mayday.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON mayday.audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE ON mayday.audit_pending -- sealing deletes
    FOR EACH ROW EXECUTE FUNCTION mayday.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON mayday.audit_pending
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.refuse_change();

INSERT INTO mayday.message_table (name, span, keep) VALUES
    ('audit', 'month', '7 years'),
    ('audit_checkpoint', 'month', '7 years');
SELECT mayday.make_partitions(7);

-- Sealing must not wait for a broker to make next month's partitions.
CREATE FUNCTION mayday.open_audit_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    month timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
BEGIN
    IF to_regclass('mayday.audit_' || to_char(month, 'YYYYMM')) IS NULL
       OR to_regclass('mayday.audit_checkpoint_' || to_char(month, 'YYYYMM')) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('mayday.make_partitions'));
        PERFORM mayday.make_partition('audit', 'month', month);
        PERFORM mayday.make_partition('audit_checkpoint', 'month', month);
    END IF;
END
$$;

-- What is recorded by itself, whoever does it and however. A session of anyone but the plugin and the gateway is a
-- change by hand. In theirs a function may name whom it acts for by set_config('mayday.actor', ..., true); otherwise it
-- is `own`: whom alone the plugin lets make such a change.
CREATE FUNCTION mayday.audit_actor(own text) RETURNS text
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT CASE WHEN session_user IN ('mayday_plugin', 'mayday_gateway')
                THEN coalesce(nullif(current_setting('mayday.actor', true), ''), own, session_user)
                ELSE session_user END
$$;

CREATE FUNCTION mayday.audit_hand() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT CASE WHEN session_user IN ('mayday_plugin', 'mayday_gateway') THEN '{}'::jsonb
                ELSE jsonb_build_object('by_hand', session_user) END
$$;

-- The one place where changes of membership are recorded.
CREATE FUNCTION mayday.audit_membership() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    m mayday.membership;
    actor text;
    ends boolean;
    detail jsonb := mayday.audit_hand();
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.org, OLD.family, OLD.id, OLD.person) <> (NEW.org, NEW.family, NEW.id, NEW.person) THEN
        detail := detail || jsonb_build_object('was', jsonb_build_array(OLD.org, OLD.family, OLD.id, OLD.person));
    ELSIF TG_OP = 'UPDATE' AND (OLD.relation, OLD.until, OLD.since) IS NOT DISTINCT FROM
                               (NEW.relation, NEW.until, NEW.since) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        m := OLD;
        ends := true;
        actor := mayday.audit_actor(NULL);
        detail := detail || '{"deleted": true}';
    ELSE
        m := NEW;
        ends := m.until IS NOT NULL;
        actor := m.changed_by;
        IF TG_OP = 'UPDATE' AND NEW.changed_by = OLD.changed_by AND detail <> '{}' THEN
            actor := mayday.audit_actor(NULL); -- a hand that did not say whose it was
        END IF;
        IF TG_OP = 'UPDATE' AND OLD.until IS NULL AND OLD.relation <> NEW.relation THEN
            detail := detail || jsonb_build_object('from', OLD.relation);
        END IF;
    END IF;
    detail := detail || jsonb_build_object('relation', m.relation);
    IF m.family <> 'alert' THEN
        detail := detail || jsonb_build_object(m.family, m.id);
    END IF;
    PERFORM mayday.record_audit(m.org, CASE WHEN ends THEN 'member.end' ELSE 'member.set' END, actor, m.person,
        CASE WHEN m.family = 'alert' AND m.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN m.id::uuid END,
        detail);
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.membership
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_membership();

-- Whom a person lets follow their incidents.
CREATE FUNCTION mayday.audit_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM mayday.record_audit(OLD.org, 'contact.end', mayday.audit_actor(OLD.person), OLD.person, NULL,
                                    mayday.audit_hand() || jsonb_build_object('contact', OLD.contact));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM mayday.record_audit(NEW.org, 'contact.set', mayday.audit_actor(NEW.person), NEW.person, NULL,
                                    mayday.audit_hand() || jsonb_build_object('contact', NEW.contact));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON mayday.contact
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_contact();
CREATE TRIGGER audit_update AFTER UPDATE ON mayday.contact FOR EACH ROW
    WHEN ((OLD.org, OLD.person, OLD.contact) IS DISTINCT FROM (NEW.org, NEW.person, NEW.contact))
    EXECUTE FUNCTION mayday.audit_contact();

-- What a person is, and that their PINs changed; never the hashes.
CREATE FUNCTION mayday.audit_person() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    pins jsonb := '{}';
    before mayday.person; -- all NULL for a new row
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM mayday.record_audit(OLD.org, 'person.delete', mayday.audit_actor(NULL), OLD.person, NULL,
                                    mayday.audit_hand() || jsonb_build_object('roles', OLD.roles));
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        before := OLD;
    END IF;
    IF NOT (coalesce(before.roles, '{}') @> NEW.roles AND NEW.roles @> coalesce(before.roles, '{}')) THEN
        PERFORM mayday.record_audit(NEW.org, 'person.roles', mayday.audit_actor(NULL), NEW.person, NULL,
            mayday.audit_hand() || jsonb_build_object('from', coalesce(before.roles, '{}'), 'to', NEW.roles));
    END IF;
    IF before.pin IS DISTINCT FROM NEW.pin THEN
        pins := jsonb_build_object('pin', CASE WHEN NEW.pin IS NULL THEN 'removed' WHEN before.pin IS NULL THEN 'set'
                                          ELSE 'changed' END);
    END IF;
    IF before.duress_pin IS DISTINCT FROM NEW.duress_pin THEN
        pins := pins || jsonb_build_object('duress_pin', CASE WHEN NEW.duress_pin IS NULL THEN 'removed'
                                                         WHEN before.duress_pin IS NULL THEN 'set' ELSE 'changed' END);
    END IF;
    IF pins <> '{}' THEN
        PERFORM mayday.record_audit(NEW.org, 'person.pin', mayday.audit_actor(NEW.person), NEW.person, NULL,
                                    mayday.audit_hand() || pins);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR DELETE ON mayday.person
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_person();
CREATE TRIGGER audit_update AFTER UPDATE ON mayday.person FOR EACH ROW
    WHEN (OLD.roles IS DISTINCT FROM NEW.roles OR OLD.pin IS DISTINCT FROM NEW.pin
          OR OLD.duress_pin IS DISTINCT FROM NEW.duress_pin)
    EXECUTE FUNCTION mayday.audit_person();

-- Transitions are recorded by the functions that make them; this sees who reaches past those.
CREATE FUNCTION mayday.audit_alert_by_hand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    changed jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM mayday.record_audit(OLD.org, 'incident.delete', session_user::text, OLD.raised_by, OLD.id,
                                    mayday.audit_hand() || jsonb_build_object('status', OLD.status));
        RETURN NULL;
    END IF;
    SELECT jsonb_agg(n.key ORDER BY n.key) INTO changed
    FROM jsonb_each(to_jsonb(NEW)) n JOIN jsonb_each(to_jsonb(OLD)) o USING (key)
    WHERE n.value IS DISTINCT FROM o.value;
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM mayday.record_audit(NEW.org, 'incident.by_hand', session_user::text, NEW.raised_by, NEW.id,
        mayday.audit_hand() || jsonb_build_object('changed', changed, 'from', OLD.status, 'to', NEW.status));
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_by_hand AFTER UPDATE OR DELETE ON mayday.alert FOR EACH ROW
    WHEN (session_user NOT IN ('mayday_plugin', 'mayday_gateway'))
    EXECUTE FUNCTION mayday.audit_alert_by_hand();

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT SELECT, DELETE ON mayday.audit_pending TO mayday_gateway;
GRANT SELECT, INSERT ON mayday.audit, mayday.audit_checkpoint TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.record_audit(text, text, text, text, uuid, jsonb),
    mayday.open_audit_month(timestamptz) TO mayday_gateway;
