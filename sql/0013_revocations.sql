-- What admins revoked, so that every broker knows of what one of them was told. Each broker keeps them in its own state
-- as well and needs no database to refuse; this is how they reach the others.

CREATE TABLE mayday.revocation (
    org text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('jti', 'sid', 'sub')), -- one token, one login session, or a person
    value text NOT NULL,
    until timestamptz, -- NULL: for ever
    lifted boolean NOT NULL DEFAULT false,
    node text NOT NULL DEFAULT '', -- the broker that was told; '' by hand
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT current_user,
    PRIMARY KEY (org, kind, value)
);
COMMENT ON TABLE mayday.revocation IS
    'Tokens, login sessions and people that may not come in. Every change reaches every broker at once, also one made by hand.';

-- Brokers LISTEN on mayday_revocation; each change is one small JSON object.
CREATE FUNCTION mayday.tell_revocation() RETURNS trigger
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('mayday_revocation', json_build_object('org', NEW.org, 'kind', NEW.kind, 'value', NEW.value,
        'node', NEW.node, 'lifted', NEW.lifted, 'until', coalesce(extract(epoch FROM NEW.until)::bigint, 0))::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON mayday.revocation
    FOR EACH ROW EXECUTE FUNCTION mayday.tell_revocation();

-- A broker tells with its events: `code` is the kind, `detail` the value and until when.
CREATE FUNCTION mayday.take_revocation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := regexp_match(NEW.detail, '^(.+) (for ever|lifted|until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z))$');
BEGIN
    IF parts IS NULL OR NEW.code NOT IN ('jti', 'sid', 'sub') THEN
        RETURN NULL;
    END IF;
    INSERT INTO mayday.revocation AS r (org, kind, value, until, lifted, node, changed_at, changed_by)
    VALUES (NEW.org, NEW.code, parts[1], parts[3]::timestamptz, NEW.kind = 'restore', NEW.node, NEW.received_at,
            NEW.sender)
    ON CONFLICT (org, kind, value) DO UPDATE
        SET until = excluded.until, lifted = excluded.lifted, node = excluded.node,
            changed_at = excluded.changed_at, changed_by = excluded.changed_by
        WHERE r.changed_at <= excluded.changed_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER take_revocation AFTER INSERT ON mayday.event
    FOR EACH ROW WHEN (NEW.kind IN ('revoke', 'restore')) EXECUTE FUNCTION mayday.take_revocation();

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT SELECT ON mayday.revocation TO mayday_plugin, mayday_gateway;
