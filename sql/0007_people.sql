-- The people Mayday has met, and which of them are connected.

CREATE TABLE mayday.person (
    org text NOT NULL,
    person text NOT NULL, -- the subject of their tokens
    roles text[] NOT NULL DEFAULT '{}', -- of their newest token
    name text CHECK (length(name) BETWEEN 1 AND 100), -- as others know them; NULL: as `person` says
    lang text,
    -- Hashes as lib/core/pin.h spells them; a plain PIN is stored nowhere.
    pin text,
    duress_pin text,
    pin_failures integer NOT NULL DEFAULT 0, -- in a row
    pin_locked_until timestamptz,
    duty text,
    duty_since timestamptz,
    connected boolean NOT NULL DEFAULT false, -- has any session; kept by settle_events
    connected_since timestamptz,              -- since when it is so; NULL: never was
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, person)
);
COMMENT ON TABLE mayday.person IS
    'Everybody who ever connected or was entered by an admin. Who is not here cannot be assigned.';

-- One row for each live session, a gateway's too. A broker that starts or stops removes those of its node.
CREATE TABLE mayday.connection (
    node text NOT NULL,
    org text NOT NULL,
    client text NOT NULL,
    person text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (node, org, client)
);
CREATE INDEX ON mayday.connection (org, person);
CREATE INDEX ON mayday.person (org) WHERE connected;

-- Family contacts: who may follow a person's incidents (state and location), because that person said so.
CREATE TABLE mayday.contact (
    org text NOT NULL,
    person text NOT NULL,
    contact text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, person, contact)
);

-- When something happened, as far as we can know: devices with a wrong clock are many, so what came live happened when
-- it reached us; only of what waited on the device do we believe the device's time.
CREATE FUNCTION mayday.happened_at(at timestamptz, received_at timestamptz, offline boolean) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN offline THEN least(at, received_at) ELSE received_at END
$$;

-- What mayday.post does for one, for all whose presence changed: ten thousand come in one batch when a broker is back.
CREATE FUNCTION mayday.post_presence(orgs text[], persons text[]) RETURNS void
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.outbox (org, lane, kind)
    SELECT u.org, 'user/' || u.person, 'presence' FROM unnest(orgs, persons) AS u (org, person);
    IF FOUND THEN
        PERFORM pg_notify('mayday_outbox', '');
    END IF;
END
$$;

-- What a broker saw: sessions come and go, and with them people. Events count in the order they were received; the
-- last one of a client is true. A broker that starts or stops has no sessions from before.
--
-- The row of a person is locked before that person's connections are changed and counted: so of two brokers that see
-- the same person come and go in the same moment one waits for the other, and the last of them sees what is true.
-- Persons are always locked in the same order.
CREATE FUNCTION mayday.settle_events(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    orgs text[];
    persons text[];
    moments timestamptz[];
    new_orgs text[]; -- whoever was not known before
    new_persons text[];
BEGIN
    -- What mayday.record_audit does for one, for all: ten thousand come in one batch.
    INSERT INTO mayday.audit_pending (org, kind, actor, person, detail)
    SELECT e.org, e.kind, CASE WHEN e.kind IN ('start', 'stop', 'policy', 'keys') THEN e.node ELSE e.sender END, e.person,
           jsonb_strip_nulls(jsonb_build_object('node', e.node, 'client', e.client, 'roles', e.roles,
               'address', e.address, 'topic', e.topic, 'code', e.code, 'detail', e.detail,
               'at', mayday.spell(e.received_at)))
    FROM mayday.event e WHERE e.id = ANY (ids) ORDER BY e.received_at, e.id;

    WITH seen AS MATERIALIZED (
        -- Who came or went themselves.
        SELECT e.org, e.person, max(e.received_at) AS moment, min(e.received_at) AS first_seen,
               max(e.received_at) AS last_seen,
               (array_agg(e.roles ORDER BY e.received_at DESC, e.id DESC) FILTER (WHERE e.kind = 'connect'))[1] AS roles
        FROM mayday.event e
        WHERE e.id = ANY (ids) AND e.kind IN ('connect', 'disconnect') AND e.person IS NOT NULL
        GROUP BY e.org, e.person
        UNION ALL
        -- Whose session ended with their broker.
        SELECT c.org, c.person, max(r.moment), NULL, NULL, NULL
        FROM (SELECT e.node, max(e.received_at) AS moment FROM mayday.event e
              WHERE e.id = ANY (ids) AND e.kind IN ('start', 'stop') GROUP BY e.node) r
        JOIN mayday.connection c ON c.node = r.node
        GROUP BY c.org, c.person
        UNION ALL
        -- Whose session was taken over by somebody else under the same client id.
        SELECT c.org, c.person, max(e.received_at), NULL, NULL, NULL
        FROM mayday.event e JOIN mayday.connection c ON c.node = e.node AND c.org = e.org AND c.client = e.client
        WHERE e.id = ANY (ids) AND e.kind = 'connect' AND c.person <> e.person
        GROUP BY c.org, c.person
    ), met AS MATERIALIZED (
        -- A gateway is nobody. Whoever is only seen to leave was entered when they came, or is a gateway.
        SELECT s.org, s.person, max(s.moment) AS moment, min(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen,
               max(s.roles::text)::jsonb AS roles
        FROM seen s
        WHERE CASE WHEN s.roles IS NOT NULL THEN NOT s.roles ? 'gateway'
              ELSE EXISTS (SELECT FROM mayday.person p WHERE p.org = s.org AND p.person = s.person) END
        GROUP BY s.org, s.person
    ), entered AS (
        INSERT INTO mayday.person AS p (org, person, roles, first_seen, last_seen)
        SELECT m.org, m.person,
               -- {NULL}: they stay as they are
               CASE WHEN m.roles IS NULL THEN '{NULL}' ELSE ARRAY(SELECT jsonb_array_elements_text(m.roles)) END,
               coalesce(m.first_seen, m.moment), coalesce(m.last_seen, '-infinity')
        FROM met m ORDER BY m.org, m.person
        ON CONFLICT (org, person) DO UPDATE SET
            last_seen = greatest(p.last_seen, excluded.last_seen),
            -- A watch speaks for its person and does not say who they are.
            roles = CASE WHEN excluded.roles = '{NULL}' OR excluded.roles = '{device}'
                              OR excluded.last_seen < p.last_seen
                    THEN p.roles ELSE excluded.roles END
        RETURNING p.org, p.person, p.xmax = 0 AS fresh
    )
    SELECT array_agg(m.org), array_agg(m.person), array_agg(m.moment), array_agg(m.org) FILTER (WHERE e.fresh),
           array_agg(m.person) FILTER (WHERE e.fresh)
    INTO orgs, persons, moments, new_orgs, new_persons
    FROM met m JOIN entered e USING (org, person);

    DELETE FROM mayday.connection c
    WHERE c.node IN (SELECT e.node FROM mayday.event e WHERE e.id = ANY (ids) AND e.kind IN ('start', 'stop'));

    WITH last AS MATERIALIZED (
        SELECT DISTINCT ON (e.node, e.org, e.client) e.node, e.org, e.client, e.person, e.kind, e.received_at
        FROM (SELECT *, count(*) FILTER (WHERE kind IN ('start', 'stop'))
                            OVER (PARTITION BY node ORDER BY received_at DESC, id DESC) AS resets_after
              FROM mayday.event WHERE id = ANY (ids) AND kind IN ('start', 'stop', 'connect', 'disconnect')) e
        WHERE e.resets_after = 0 AND e.client IS NOT NULL AND e.person IS NOT NULL
        ORDER BY e.node, e.org, e.client, e.received_at DESC, e.id DESC
    ), gone AS (
        DELETE FROM mayday.connection c USING last l
        WHERE l.kind = 'disconnect' AND c.node = l.node AND c.org = l.org AND c.client = l.client
    )
    INSERT INTO mayday.connection AS c (node, org, client, person, since)
    SELECT l.node, l.org, l.client, l.person, l.received_at FROM last l WHERE l.kind = 'connect'
    ON CONFLICT (node, org, client) DO UPDATE SET person = excluded.person, since = excluded.since;

    WITH changed AS (
        UPDATE mayday.person p SET connected = NOT p.connected, connected_since = t.moment
        FROM unnest(orgs, persons, moments) AS t (org, person, moment)
        WHERE p.org = t.org AND p.person = t.person
          AND p.connected <> EXISTS (SELECT FROM mayday.connection c WHERE c.org = t.org AND c.person = t.person)
        RETURNING p.org, p.person
    )
    -- Of somebody new it is said also when they have gone again: everybody known has a presence.
    SELECT array_agg(c.org), array_agg(c.person) INTO orgs, persons
    FROM (SELECT org, person FROM changed UNION SELECT * FROM unnest(new_orgs, new_persons)) c;
    PERFORM mayday.post_presence(orgs, persons);
END
$$;

-- What people say of their duty. The newest is true, in whatever order they arrive.
CREATE FUNCTION mayday.settle_duty(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    orgs text[];
    persons text[];
BEGIN
    WITH newest AS (
        SELECT DISTINCT ON (d.org, d.person) d.org, d.person, d.status,
               mayday.happened_at(d.at, d.received_at, d.offline) AS since
        FROM mayday.duty d WHERE d.id = ANY (ids)
        ORDER BY d.org, d.person, mayday.happened_at(d.at, d.received_at, d.offline) DESC, d.id DESC
    ), said AS (
        INSERT INTO mayday.person AS p (org, person, duty, duty_since, first_seen, last_seen)
        SELECT n.org, n.person, n.status, n.since, n.since, n.since FROM newest n
        ON CONFLICT (org, person) DO UPDATE SET duty = excluded.duty, duty_since = excluded.duty_since,
            last_seen = greatest(p.last_seen, excluded.last_seen)
            WHERE p.duty_since IS NULL OR p.duty_since <= excluded.duty_since
        RETURNING p.org, p.person
    )
    SELECT array_agg(s.org), array_agg(s.person) INTO orgs, persons FROM said s;
    PERFORM mayday.post_presence(orgs, persons);
END
$$;

-- A person's retained presence (schemas/presence.json); NULL for somebody we never met.
CREATE FUNCTION mayday.presence_of(in_org text, in_person text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT jsonb_strip_nulls(jsonb_build_object('v', 1, 'id', mayday.new_id(),
                       'ts', mayday.spell(greatest(coalesce(p.connected_since, p.first_seen), p.duty_since)),
                       'connected', p.connected, 'since', mayday.spell(coalesce(p.connected_since, p.first_seen)),
                       'duty', p.duty))
            FROM mayday.person p WHERE p.org = in_org AND p.person = in_person);
END
$$;

-- Who is nearest and free: connected, on duty (officers and responders also when they said nothing of it), not
-- assigned to an open incident, with a position that is not older than `max_age`. Nearest first; metres.
CREATE FUNCTION mayday.nearest(in_org text, lat double precision, lon double precision,
    max_age interval DEFAULT interval '15 minutes', how_many integer DEFAULT 10)
RETURNS TABLE (person text, distance double precision, at timestamptz, "position" geography(Point, 4326),
               accuracy real, duty text, roles text[])
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT p.person, ST_Distance(l.position, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography),
           mayday.happened_at(l.at, l.received_at, l.offline), l.position, l.accuracy, p.duty, p.roles
    FROM mayday.person p CROSS JOIN LATERAL (
        SELECT * FROM mayday.location k WHERE k.org = p.org AND k.person = p.person ORDER BY k.at DESC LIMIT 1
    ) l
    WHERE p.org = in_org AND p.connected
      AND (p.duty = 'on' OR (p.duty IS NULL AND p.roles && '{officer,responder}'))
      AND mayday.happened_at(l.at, l.received_at, l.offline) >= now() - max_age
      AND NOT EXISTS (SELECT FROM mayday.membership m JOIN mayday.alert a ON a.org = m.org AND a.id::text = m.id
                      WHERE m.org = p.org AND m.person = p.person AND m.until IS NULL AND m.family = 'alert'
                        AND m.relation = 'assigned' AND a.closed_at IS NULL)
    ORDER BY 2, 1 LIMIT greatest(how_many, 0)
$$;

-- What an admin does by hand: enters people before they first connect, and says who is in which room. Returns whether
-- anything changed.
CREATE FUNCTION mayday.enter_person(in_org text, in_person text, in_roles text[], in_lang text DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_org !~ '^[^/+#[:cntrl:]]{1,128}$' OR in_person !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the names of an organisation and a person fit into one level of a topic'
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.person AS p (org, person, roles, lang)
    VALUES (in_org, in_person, coalesce(in_roles, '{}'), in_lang)
    ON CONFLICT (org, person) DO UPDATE SET roles = coalesce(in_roles, p.roles), lang = coalesce(in_lang, p.lang)
        WHERE p.roles <> coalesce(in_roles, p.roles) OR p.lang IS DISTINCT FROM coalesce(in_lang, p.lang);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mayday.post_presence(ARRAY[in_org], ARRAY[in_person]);
    RETURN true;
END
$$;

CREATE FUNCTION mayday.join_room(in_org text, in_room text, in_person text) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_room !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the name of a room fits into one level of a topic' USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM mayday.person p WHERE p.org = in_org AND p.person = in_person) THEN
        RAISE EXCEPTION 'there is no person % in %', in_person, in_org USING ERRCODE = 'P0002';
    END IF;
    INSERT INTO mayday.membership AS m (org, family, id, person, relation, changed_by)
    VALUES (in_org, 'room', in_room, in_person, 'member', session_user)
    ON CONFLICT (org, family, id, person) DO UPDATE
        SET relation = 'member', since = excluded.since, until = NULL, changed_by = excluded.changed_by
        WHERE m.until IS NOT NULL;
    RETURN FOUND;
END
$$;

CREATE FUNCTION mayday.leave_room(in_org text, in_room text, in_person text) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mayday.membership SET until = now(), changed_by = session_user
    WHERE org = in_org AND family = 'room' AND id = in_room AND person = in_person AND until IS NULL;
    RETURN FOUND;
END
$$;

GRANT SELECT ON mayday.connection, mayday.contact TO mayday_gateway, mayday_console;
-- Everything but what their PINs can be found out from.
GRANT SELECT (org, person, roles, name, lang, duty, duty_since, connected, connected_since, first_seen,
              last_seen) ON mayday.person TO mayday_gateway, mayday_console;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.settle_events(uuid[]), mayday.settle_duty(uuid[]) TO mayday_plugin;
GRANT EXECUTE ON FUNCTION mayday.happened_at(timestamptz, timestamptz, boolean), mayday.presence_of(text, text),
    mayday.post_presence(text[], text[]) TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.happened_at(timestamptz, timestamptz, boolean),
    mayday.nearest(text, double precision, double precision, interval, integer) TO mayday_gateway, mayday_console;
