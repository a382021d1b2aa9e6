-- Geofences: what zones there are, who is inside, and which gateway judges. The live decision is made in the gateway's
-- memory (lib/place, gateway/services/fences.c); here is what must be kept, and what can be asked.

CREATE TABLE mayday.zone (
    org text NOT NULL,
    zone text NOT NULL, -- as in zone/<zone>/event
    document jsonb NOT NULL, -- schemas/documents/zone.json
    area geography NOT NULL, -- a circle and a corridor as polygons: a distance that differs from row to row has no index
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (org, zone)
);
COMMENT ON TABLE mayday.zone IS 'The zones of each organisation. Changed through put_zone and drop_zone, which `mayday zone` calls.';
CREATE INDEX ON mayday.zone USING gist (area);

-- Moves with every change of an organisation's zones, also one made by hand.
CREATE TABLE mayday.zone_edition (
    org text PRIMARY KEY,
    edition bigint NOT NULL
);

-- Who is inside of what. Who left is kept for a while, so that a gateway that takes over knows which positions are old.
CREATE TABLE mayday.zone_presence (
    org text NOT NULL,
    person text NOT NULL,
    zone text NOT NULL,
    since timestamptz NOT NULL,
    seen timestamptz NOT NULL, -- of the last position that was judged when this was written
    dwelled boolean NOT NULL DEFAULT false,
    checked_in boolean NOT NULL DEFAULT false,
    speeding boolean NOT NULL DEFAULT false,
    left_at timestamptz, -- NULL: is inside
    PRIMARY KEY (org, person, zone)
);
COMMENT ON TABLE mayday.zone_presence IS 'Kept by the gateway that judges an organisation''s fences.';
CREATE INDEX ON mayday.zone_presence (org, zone) WHERE left_at IS NULL;
CREATE INDEX ON mayday.zone_presence (left_at) WHERE left_at IS NOT NULL;

-- Which gateway judges (it holds an advisory lock besides, which ends with its connection), and up to when everything it
-- heard was said: whoever takes over looks at the positions since.
CREATE TABLE mayday.zone_judge (
    org text PRIMARY KEY,
    gateway text NOT NULL,
    judged_until timestamptz NOT NULL
);

CREATE FUNCTION mayday.tell_zones() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    changed text := CASE WHEN TG_OP = 'DELETE' THEN OLD.org ELSE NEW.org END;
BEGIN
    INSERT INTO mayday.zone_edition AS e (org, edition) VALUES (changed, 1)
    ON CONFLICT (org) DO UPDATE SET edition = e.edition + 1;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM mayday.zone_presence p WHERE p.org = OLD.org AND p.zone = OLD.zone;
    END IF;
    PERFORM pg_notify('mayday_zones', changed);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mayday.zone FOR EACH ROW EXECUTE FUNCTION mayday.tell_zones();

-- The area of a document that was found good (`mayday zone check`).
CREATE FUNCTION mayday.zone_area(document jsonb) RETURNS geography
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    shape jsonb := document->'shape';
BEGIN
    IF shape ? 'circle' THEN
        RETURN ST_Buffer(ST_SetSRID(ST_MakePoint((shape#>>'{circle,lon}')::float8, (shape#>>'{circle,lat}')::float8), 4326)::geography,
                         (shape#>>'{circle,radius}')::float8, 16);
    ELSIF shape ? 'corridor' THEN
        RETURN ST_Buffer(ST_SetSRID(ST_GeomFromGeoJSON(jsonb_build_object('type', 'LineString',
                         'coordinates', shape#>'{corridor,line}')), 4326)::geography, (shape#>>'{corridor,width}')::float8 / 2, 16);
    END IF;
    RETURN ST_SetSRID(ST_GeomFromGeoJSON(shape), 4326)::geography;
END
$$;

-- Puts a zone, or replaces it; false when it was the same already.
CREATE FUNCTION mayday.put_zone(in_org text, in_document jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_org !~ '^[^/+#[:cntrl:]]{1,128}$' OR coalesce(in_document->>'zone', '') !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the names of organisations and zones fit into one level of a topic' USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.zone AS z (org, zone, document, area)
    VALUES (in_org, in_document->>'zone', in_document, mayday.zone_area(in_document))
    ON CONFLICT (org, zone) DO UPDATE SET document = excluded.document, area = excluded.area, updated_at = now(),
        updated_by = session_user
    WHERE z.document <> excluded.document;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mayday.record_audit(in_org, 'zone.put', mayday.audit_actor(NULL), NULL, NULL,
                                mayday.audit_hand() || jsonb_build_object('zone', in_document->>'zone'));
    RETURN true;
END
$$;

CREATE FUNCTION mayday.drop_zone(in_org text, in_zone text) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM mayday.zone z WHERE z.org = in_org AND z.zone = in_zone;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mayday.record_audit(in_org, 'zone.drop', mayday.audit_actor(NULL), NULL, NULL,
                                mayday.audit_hand() || jsonb_build_object('zone', in_zone));
    RETURN true;
END
$$;

-- Which zones hold a place, by the stored areas: for questions about the past. What the gateway says live has margins.
CREATE FUNCTION mayday.zones_at(in_org text, lat float8, lon float8) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT z.zone FROM mayday.zone z
    WHERE z.org = in_org AND ST_Covers(z.area, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography) ORDER BY 1
$$;

-- Who is inside of what, now.
CREATE VIEW mayday.zone_inside WITH (security_invoker = true) AS
    SELECT p.org, p.zone, coalesce(z.document->>'name', z.zone) AS name, p.person, p.since, p.seen, p.dwelled, p.checked_in
    FROM mayday.zone_presence p JOIN mayday.zone z USING (org, zone)
    WHERE p.left_at IS NULL;

-- ---- the gateway's

-- Where these people are inside now: [{"person", "seen", "stays": [{"zone", "since", "dwelled", "checked_in", "speeding"}]}].
-- Of what is not named any more they have left.
CREATE FUNCTION mayday.save_presence(in_org text, people jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mayday.zone_presence p SET left_at = clock_timestamp(), seen = (x->>'seen')::timestamptz
    FROM jsonb_array_elements(people) x
    WHERE p.org = in_org AND p.person = x->>'person' AND p.left_at IS NULL
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(x->'stays') s WHERE s->>'zone' = p.zone);
    INSERT INTO mayday.zone_presence AS p (org, person, zone, since, seen, dwelled, checked_in, speeding)
    SELECT in_org, x->>'person', s->>'zone', (s->>'since')::timestamptz, (x->>'seen')::timestamptz, (s->>'dwelled')::boolean,
           (s->>'checked_in')::boolean, (s->>'speeding')::boolean
    FROM jsonb_array_elements(people) x, jsonb_array_elements(x->'stays') s
    WHERE EXISTS (SELECT FROM mayday.zone z WHERE z.org = in_org AND z.zone = s->>'zone')
    ON CONFLICT (org, person, zone) DO UPDATE SET since = excluded.since, seen = excluded.seen, dwelled = excluded.dwelled,
        checked_in = excluded.checked_in, speeding = excluded.speeding, left_at = NULL;
END
$$;

-- Everything heard before `until` is judged and said.
CREATE FUNCTION mayday.zones_judged(in_org text, in_gateway text, until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.zone_judge AS j (org, gateway, judged_until) VALUES (in_org, in_gateway, until)
    ON CONFLICT (org) DO UPDATE SET gateway = excluded.gateway, judged_until = excluded.judged_until;
    DELETE FROM mayday.zone_presence p WHERE p.left_at < clock_timestamp() - interval '1 hour';
END
$$;

-- Positions nobody has judged: since shortly before the one that judged last was done, ten minutes at most; the newest,
-- when they are more than anybody can judge.
CREATE FUNCTION mayday.unjudged_positions(in_org text)
RETURNS TABLE (person text, at timestamptz, received_at timestamptz, offline boolean, lat float8, lon float8, accuracy real,
               speed real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT n.person, n.at, n.received_at, n.offline, ST_Y(n.position::geometry), ST_X(n.position::geometry), n.accuracy, n.speed
    FROM (
        SELECT l.person, l.at, l.received_at, l.offline, l.position, l.accuracy, l.speed
        FROM mayday.zone_judge j CROSS JOIN LATERAL (
            SELECT greatest(j.judged_until, clock_timestamp() - interval '10 minutes') - interval '10 seconds' AS since) f
        JOIN mayday.location l ON l.org = j.org AND l.id >= mayday.uuid_at(f.since) AND l.received_at >= f.since
        WHERE j.org = in_org
        ORDER BY l.at DESC LIMIT 200000
    ) n ORDER BY n.at
$$;

-- Questions that zones asked and that nobody answered so far: whoever judges keeps them in mind, in case that the database
-- goes away before they are answered (gateway/fences/ask.c).
CREATE FUNCTION mayday.zone_questions(in_org text)
RETURNS TABLE (check_id uuid, person text, lang text, question text, due_ms bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.check_id, w.person, p.lang, k.text, (extract(epoch FROM w.due_at - clock_timestamp()) * 1000)::bigint
    FROM mayday.check_watch w JOIN mayday.person_check k ON k.id = w.check_id
    LEFT JOIN mayday.person p ON p.org = w.org AND p.person = w.person
    WHERE w.org = in_org AND k.reason = 'zone' AND w.alarmed_at IS NULL AND w.answered_at IS NULL
      AND w.due_at IS NOT NULL AND w.sent_at > clock_timestamp() - interval '1 day'
    ORDER BY w.due_at LIMIT 10000
$$;

-- What became of some of them.
CREATE FUNCTION mayday.zone_answers(in_org text, checks uuid[])
RETURNS TABLE (check_id uuid, settled boolean, due_ms bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.check_id, w.alarmed_at IS NOT NULL OR (w.answered_at IS NOT NULL AND w.answer IS DISTINCT FROM 'help'),
           (extract(epoch FROM w.due_at - clock_timestamp()) * 1000)::bigint
    FROM mayday.check_watch w WHERE w.check_id = ANY (checks) AND w.org = in_org
$$;

-- Everybody, as the gateway that judges keeps it at hand: [[person, name, lang, roles]...]; in a very large organisation
-- those who were there last.
CREATE FUNCTION mayday.zone_people(in_org text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT coalesce(json_agg(json_build_array(p.person, p.name, p.lang, to_json(p.roles)) ORDER BY p.person), '[]')::text
    FROM (SELECT * FROM mayday.person q WHERE q.org = in_org ORDER BY q.last_seen DESC LIMIT 100000) p
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT SELECT ON mayday.zone, mayday.zone_edition, mayday.zone_presence, mayday.zone_judge, mayday.zone_inside TO mayday_gateway;
GRANT SELECT ON mayday.zone, mayday.zone_presence, mayday.zone_inside TO mayday_console;
GRANT EXECUTE ON FUNCTION mayday.save_presence(text, jsonb), mayday.zones_judged(text, text, timestamptz),
    mayday.unjudged_positions(text), mayday.zone_questions(text), mayday.zone_answers(text, uuid[]), mayday.zone_people(text)
    TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.zones_at(text, float8, float8) TO mayday_gateway, mayday_console;
