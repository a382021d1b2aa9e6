-- Where people are and were: the last known position of everyone, the way somebody took, what it amounts to, and how long
-- positions and vital signs are kept for each organisation.
--
-- Nothing here is on the writer's way: positions are stored as they were, and read by the indexes they have anyway.

-- ---- Now

-- The last known position of everybody of an organisation, not older than `max_age`. `at` is when they were there, as far
-- as we can know (mayday.happened_at). People come from mayday.person, positions by one probe of the index (org, person,
-- at) for each person and partition, and the ids, which begin with the time, leave few partitions to look into. A clock
-- that is ahead is read by when its messages came, so that it hides nothing that came later.
CREATE FUNCTION mayday.last_known(in_org text, max_age interval DEFAULT interval '1 day')
RETURNS TABLE (org text, person text, at timestamptz, "position" geography(Point, 4326), accuracy real, altitude real,
               speed real, heading real, source text, battery real, alert uuid, offline boolean, id uuid)
LANGUAGE sql STABLE SET search_path FROM CURRENT SET jit = off AS $$
    SELECT p.org, p.person, k.moment, k.position, k.accuracy, k.altitude, k.speed, k.heading, k.source, k.battery, k.alert,
           k.offline, k.id
    FROM mayday.person p CROSS JOIN LATERAL (
        SELECT n.*, mayday.happened_at(n.at, n.received_at, n.offline) AS moment FROM (
            (SELECT * FROM mayday.location l
             WHERE l.org = p.org AND l.person = p.person AND l.at <= now() + interval '5 s' AND l.at >= now() - max_age
               AND l.id >= mayday.uuid_at(now() - max_age - interval '1 hour')
               AND l.id < mayday.uuid_at(now() + interval '1 hour')
             ORDER BY l.at DESC LIMIT 1)
            UNION ALL
            (SELECT * FROM mayday.location l
             WHERE l.org = p.org AND l.person = p.person AND l.at > now() + interval '5 s'
               AND l.id >= mayday.uuid_at(now() - interval '1 hour') AND l.id < mayday.uuid_at(now() + interval '2 days')
             ORDER BY l.received_at DESC LIMIT 1)
        ) n ORDER BY moment DESC LIMIT 1
    ) k
    WHERE p.org = in_org
$$;

-- ---- History

-- Where somebody's way led through a circle, or all of it without one. The slack is for ids that were made some time
-- before or after what they tell of.
CREATE FUNCTION mayday.track_within(in_org text, in_person text, from_time timestamptz, to_time timestamptz,
    lat double precision DEFAULT NULL, lon double precision DEFAULT NULL, metres double precision DEFAULT NULL)
RETURNS SETOF mayday.location
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY SELECT * FROM (
        SELECT * FROM mayday.location
        UNION ALL SELECT * FROM mayday.location_kept k WHERE NOT EXISTS (SELECT FROM mayday.location x WHERE x.id = k.id)) l
    WHERE l.org = in_org AND l.person = in_person AND l.at >= from_time AND l.at < to_time
      AND (metres IS NULL OR ST_DWithin(l.position, ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography, metres))
    ORDER BY l.at, l.id;
END
$$;

-- Who was in an area, or within so many metres of it, between two times: first and last seen there, how many fixes, how
-- near its centre they came. Reads everything of that time, person by person: ask for minutes or hours, not for months.
CREATE FUNCTION mayday.seen_in(in_org text, area geography, from_time timestamptz, to_time timestamptz,
    metres double precision DEFAULT 0)
RETURNS TABLE (person text, first_at timestamptz, last_at timestamptz, fixes bigint, nearest double precision)
LANGUAGE sql STABLE SET search_path FROM CURRENT SET jit = off AS $$
    SELECT p.person, k.first_at, k.last_at, k.fixes, k.nearest
    FROM mayday.person p CROSS JOIN LATERAL (
        SELECT min(l.at) AS first_at, max(l.at) AS last_at, count(*) AS fixes,
               min(ST_Distance(l.position, ST_Centroid(area), false)) AS nearest
        FROM mayday.location l
        WHERE l.org = p.org AND l.person = p.person AND l.at >= from_time AND l.at < to_time
          AND l.id >= mayday.uuid_at(from_time - interval '1 day') AND l.id < mayday.uuid_at(to_time + interval '1 day')
          AND (metres > 0 OR l.position && area) AND ST_DWithin(l.position, area, metres, false)
    ) k
    WHERE p.org = in_org AND k.fixes > 0
    ORDER BY 2, 1
$$;

-- ---- What a way amounts to

CREATE FUNCTION mayday.haversine(lat1 double precision, lon1 double precision, lat2 double precision, lon2 double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT 2 * 6371008.8 * asin(least(1, sqrt(sind((lat2 - lat1) / 2) ^ 2 + cosd(lat1) * cosd(lat2) * sind((lon2 - lon1) / 2) ^ 2)))
$$;

-- A way as stretches: 'move', 'stop' and 'unknown' (nobody knows: no fix for longer than `gap`).
--
--   Accepted are fixes whose radius is at most `worst` metres, and that could have been reached from the one before at
--   `fastest` metres a second.
--   An anchor stays where it is until two accepted fixes in a row are further from it than jitter explains: three times the
--   greater of the two radii, 10 m at least (a fix without a radius counts as one of 10 m). Then the first of the two is
--   the new anchor, and the way from the old one counts. So a device at rest covers no distance however long it jitters,
--   a lone outlier does nothing, and curves are cut by less than that distance.
--   Where an anchor held for `stop_after` or longer, somebody stopped.
--   What lies across a gap counts neither as distance nor as time on the way.
CREATE FUNCTION mayday.track_stretches(in_org text, in_person text, from_time timestamptz, to_time timestamptz,
    stop_after interval DEFAULT interval '2 minutes', gap interval DEFAULT interval '10 minutes',
    worst double precision DEFAULT 50, fastest double precision DEFAULT 70)
RETURNS TABLE (kind text, begins timestamptz, ends timestamptz, metres double precision, lat double precision,
               lon double precision, fixes bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    f record;      -- the fix
    a record;      -- the anchor
    p record;      -- was beyond it; the next one tells
    seen record;   -- the last one accepted
    rested timestamptz; -- how long the anchor has held
    has_anchor boolean := false;
    waits boolean := false;
    moving timestamptz; -- since when; NULL: not
    covered double precision := 0;
    counted bigint := 0;
    far boolean;
    done boolean := false;
    fixes_cursor CURSOR FOR
        SELECT l.at, ST_Y(l.position::geometry) AS lat, ST_X(l.position::geometry) AS lon,
               coalesce(l.accuracy, 10)::double precision AS radius
        FROM mayday.location l
        WHERE l.org = in_org AND l.person = in_person AND l.at >= from_time AND l.at < to_time
          AND coalesce(l.accuracy, 10) <= worst
        ORDER BY l.at, l.id;
BEGIN
    SELECT NULL::timestamptz AS at, 0::double precision AS lat, 0::double precision AS lon, 0::double precision AS radius
    INTO seen;
    a := seen; p := seen;
    OPEN fixes_cursor;
    LOOP
        FETCH fixes_cursor INTO f;
        done := NOT FOUND;
        IF has_anchor AND NOT done THEN
            IF f.at = seen.at OR (f.at - seen.at <= gap AND mayday.haversine(seen.lat, seen.lon, f.lat, f.lon)
                                      > f.radius + seen.radius + fastest * extract(epoch FROM f.at - seen.at)) THEN
                CONTINUE;
            END IF;
        END IF;
        -- What is behind us ends: with a gap, or with the way.
        IF has_anchor AND (done OR f.at - seen.at > gap) THEN
            IF waits THEN
                moving := coalesce(moving, CASE WHEN rested - a.at < stop_after THEN a.at END);
                IF moving IS NULL THEN
                    RETURN QUERY SELECT 'stop', a.at, rested, 0::double precision, a.lat, a.lon, counted;
                    moving := rested; counted := 0;
                ELSIF rested - a.at >= stop_after THEN
                    RETURN QUERY SELECT 'move', moving, a.at, covered, a.lat, a.lon, counted;
                    RETURN QUERY SELECT 'stop', a.at, rested, 0::double precision, a.lat, a.lon, 0::bigint;
                    moving := rested; covered := 0; counted := 0;
                END IF;
                covered := covered + mayday.haversine(a.lat, a.lon, p.lat, p.lon);
                RETURN QUERY SELECT 'move', moving, p.at, covered, p.lat, p.lon, counted;
            ELSIF rested - a.at >= stop_after THEN
                IF moving IS NOT NULL THEN
                    RETURN QUERY SELECT 'move', moving, a.at, covered, a.lat, a.lon, 0::bigint;
                END IF;
                RETURN QUERY SELECT 'stop', a.at, rested, 0::double precision, a.lat, a.lon, counted;
            ELSIF moving IS NOT NULL OR rested > a.at THEN
                RETURN QUERY SELECT 'move', coalesce(moving, a.at), rested, covered, a.lat, a.lon, counted;
            END IF;
            IF NOT done THEN
                RETURN QUERY SELECT 'unknown', seen.at, f.at, 0::double precision, seen.lat, seen.lon, 0::bigint;
            END IF;
            has_anchor := false; waits := false; moving := NULL; covered := 0; counted := 0;
        END IF;
        EXIT WHEN done;
        counted := counted + 1;
        seen := f;
        IF NOT has_anchor THEN
            a := f; rested := f.at; has_anchor := true;
            CONTINUE;
        END IF;
        far := mayday.haversine(a.lat, a.lon, f.lat, f.lon) > greatest(10, 3 * greatest(a.radius, f.radius));
        IF NOT far THEN
            waits := false; rested := f.at;
            CONTINUE;
        ELSIF NOT waits THEN
            p := f; waits := true;
            CONTINUE;
        END IF;
        IF rested - a.at >= stop_after THEN
            IF moving IS NOT NULL THEN
                RETURN QUERY SELECT 'move', moving, a.at, covered, a.lat, a.lon, 0::bigint;
            END IF;
            RETURN QUERY SELECT 'stop', a.at, rested, 0::double precision, a.lat, a.lon, counted - 2;
            moving := rested; covered := 0; counted := 2;
        END IF;
        moving := coalesce(moving, a.at);
        covered := covered + mayday.haversine(a.lat, a.lon, p.lat, p.lon);
        a := p; rested := p.at;
        waits := mayday.haversine(a.lat, a.lon, f.lat, f.lon) > greatest(10, 3 * greatest(a.radius, f.radius));
        IF waits THEN
            p := f;
        ELSE
            rested := f.at;
        END IF;
    END LOOP;
    CLOSE fixes_cursor;
END
$$;

CREATE FUNCTION mayday.track_statistics(in_org text, in_person text, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (fixes bigint, accepted bigint, first_at timestamptz, last_at timestamptz, metres double precision,
               moving interval, stopped interval, unknown interval, stops bigint)
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    WITH stretch AS MATERIALIZED (SELECT * FROM mayday.track_stretches(in_org, in_person, from_time, to_time))
    SELECT l.fixes, (SELECT coalesce(sum(s.fixes), 0)::bigint FROM stretch s), l.first_at, l.last_at,
           (SELECT coalesce(sum(s.metres), 0) FROM stretch s),
           (SELECT coalesce(sum(s.ends - s.begins), interval '0') FROM stretch s WHERE s.kind = 'move'),
           (SELECT coalesce(sum(s.ends - s.begins), interval '0') FROM stretch s WHERE s.kind = 'stop'),
           (SELECT coalesce(sum(s.ends - s.begins), interval '0') FROM stretch s WHERE s.kind = 'unknown'),
           (SELECT count(*) FROM stretch s WHERE s.kind = 'stop')
    FROM (SELECT count(*) AS fixes, min(k.at) AS first_at, max(k.at) AS last_at FROM mayday.location k
          WHERE k.org = in_org AND k.person = in_person AND k.at >= from_time AND k.at < to_time) l
$$;

-- ---- How long it is kept

-- Of an organisation that is not here, positions and vital signs are kept in full as long as their tables are
-- (mayday.message_table).
CREATE TABLE mayday.retention (
    org text PRIMARY KEY,
    full_days integer NOT NULL CHECK (full_days BETWEEN 1 AND 36500), -- every sample
    thin_days integer NOT NULL CHECK (thin_days BETWEEN 1 AND 36500), -- then one a minute; then none
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (full_days <= thin_days)
);
COMMENT ON TABLE mayday.retention IS 'How long positions and vital signs are kept, organisation by organisation.';

-- What is done with each day: so that no day is read again for nothing.
CREATE TABLE mayday.retention_day (
    org text NOT NULL,
    part text NOT NULL,      -- the partition
    thinned_up_to text,      -- the last person
    thinned boolean NOT NULL DEFAULT false,
    dropped boolean NOT NULL DEFAULT false,
    removed bigint NOT NULL DEFAULT 0,
    arrived bigint,          -- what the server had counted of rows that came to it, when this began
    PRIMARY KEY (org, part)
);

-- Whoever sets it less than it was gets rid of what is older at once, in small steps; there is no way back.
CREATE FUNCTION mayday.set_retention(in_org text, in_full integer, in_thin integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    longest interval := (SELECT min(t.keep) FROM mayday.message_table t WHERE t.name IN ('location', 'vitals'));
BEGIN
    IF make_interval(days => in_thin) > longest THEN
        RAISE EXCEPTION 'positions and vital signs are kept for %; see mayday.message_table', longest
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.retention AS r (org, full_days, thin_days) VALUES (in_org, in_full, in_thin)
    ON CONFLICT (org) DO UPDATE SET full_days = in_full, thin_days = in_thin, changed_at = now()
        WHERE (r.full_days, r.thin_days) <> (in_full, in_thin);
    IF FOUND THEN
        UPDATE mayday.retention_day k SET dropped = false WHERE k.org = in_org; -- what is thinned stays thin
        PERFORM mayday.record_audit(in_org, 'retention.set', mayday.audit_actor(NULL), NULL, NULL,
            mayday.audit_hand() || jsonb_build_object('full_days', in_full, 'thin_days', in_thin));
        PERFORM pg_notify('mayday_janitor', '');
        RETURN true;
    END IF;
    RETURN false;
END
$$;

CREATE INDEX ON mayday.alert (org, raised_by, raised_at);

-- Does somebody's sample belong to an incident of theirs? From what led to it until it was closed, a week at most.
CREATE FUNCTION mayday.is_evidence(in_org text, in_person text, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM mayday.alert a WHERE a.org = in_org AND a.raised_by = in_person
                     AND a.raised_at BETWEEN moment - interval '7 days' AND moment + interval '30 minutes'
                     AND moment <= coalesce(a.closed_at, 'infinity'))
$$;

-- Removes what is too old, `at_most` rows or one person's day more, for two seconds at most; `more`: it is not done yet.
-- What was sent to an incident (`alert`) stays, and so do the samples of who was in one. Of several gateways one does it.
--
-- A day that is done is left alone until rows come to it, late ones of a device that was away: that the server counts.
CREATE FUNCTION mayday.tidy(at_most integer, OUT removed integer, OUT more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    d record;
    who text;
    n integer;
    until timestamptz := clock_timestamp() + interval '2 seconds';
    spare text;
BEGIN
    removed := 0;
    more := false;
    IF NOT pg_try_advisory_xact_lock(hashtext('mayday.tidy')) THEN
        RETURN;
    END IF;
    FOR d IN
        SELECT r.org, t.name, c.relname AS part,
               r.thin_days < x.age AS drops, x.arrived,
               CASE WHEN k.thinned THEN NULL ELSE k.thinned_up_to END AS up_to, -- a day once more begins anew
               CASE WHEN k.thinned OR k.thinned_up_to IS NULL THEN x.arrived ELSE k.arrived END AS since
        FROM mayday.retention r
        CROSS JOIN (VALUES ('location'), ('vitals')) AS t (name)
        JOIN pg_inherits i ON i.inhparent = ('mayday.' || t.name)::regclass
        JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ (t.name || '_[0-9]{8}$')
        CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE 'UTC')::date - to_date(right(c.relname, 8), 'YYYYMMDD') - 1 AS age,
                                   pg_stat_get_tuples_inserted(c.oid) AS arrived) x
        LEFT JOIN mayday.retention_day k ON k.org = r.org AND k.part = c.relname
        WHERE r.full_days < x.age
          AND (k.org IS NULL OR k.arrived IS DISTINCT FROM x.arrived
               OR CASE WHEN r.thin_days < x.age THEN NOT k.dropped ELSE NOT (k.thinned OR k.dropped) END)
        ORDER BY c.relname, r.org
    LOOP
        more := removed >= at_most OR clock_timestamp() > until;
        EXIT WHEN more;
        spare := CASE d.name WHEN 'location' THEN 'AND alert IS NULL ' ELSE '' END
                 || 'AND NOT mayday.is_evidence(org, person, at)';
        IF d.drops THEN
            EXECUTE format('DELETE FROM mayday.%I WHERE id IN (SELECT id FROM mayday.%I WHERE org = $1 %s LIMIT $2)',
                           d.part, d.part, spare) USING d.org, at_most - removed;
            GET DIAGNOSTICS n = ROW_COUNT;
            INSERT INTO mayday.retention_day AS k (org, part, removed, dropped, arrived)
            VALUES (d.org, d.part, n, n < at_most - removed, d.arrived)
            ON CONFLICT (org, part) DO UPDATE SET removed = k.removed + n, dropped = excluded.dropped, arrived = d.arrived;
            removed := removed + n;
            CONTINUE;
        END IF;
        LOOP
            EXECUTE format('SELECT person FROM mayday.%I WHERE org = $1 AND ($2::text IS NULL OR person > $2) ORDER BY person LIMIT 1',
                           d.part) INTO who USING d.org, d.up_to;
            n := 0;
            IF who IS NOT NULL THEN
                EXECUTE format('DELETE FROM mayday.%I WHERE id IN (SELECT s.id FROM (
                        SELECT id, row_number() OVER (PARTITION BY date_trunc(''minute'', at) ORDER BY at, id) AS nth
                        FROM mayday.%I WHERE org = $1 AND person = $2 %s) s WHERE s.nth > 1)', d.part, d.part, spare)
                    USING d.org, who;
                GET DIAGNOSTICS n = ROW_COUNT;
                removed := removed + n;
            END IF;
            d.up_to := coalesce(who, d.up_to);
            INSERT INTO mayday.retention_day AS k (org, part, thinned_up_to, thinned, removed, arrived)
            VALUES (d.org, d.part, d.up_to, who IS NULL, n, d.since)
            ON CONFLICT (org, part) DO UPDATE SET thinned_up_to = d.up_to, thinned = who IS NULL, removed = k.removed + n,
                arrived = d.since;
            EXIT WHEN who IS NULL;
            more := removed >= at_most OR clock_timestamp() > until;
            EXIT WHEN more;
        END LOOP;
        EXIT WHEN more;
    END LOOP;
    IF NOT more THEN
        -- Ids of no day: a device with an absurd clock. Their age is that of their arrival.
        FOR d IN SELECT r.org, r.thin_days, t.name FROM mayday.retention r CROSS JOIN (VALUES ('location'), ('vitals')) AS t (name)
        LOOP
            EXECUTE format('DELETE FROM mayday.%I WHERE id IN (SELECT id FROM mayday.%I WHERE org = $1 AND received_at < $2 %s LIMIT $3)',
                           d.name || '_default', d.name || '_default', CASE d.name WHEN 'location' THEN 'AND alert IS NULL ' ELSE '' END
                    || 'AND NOT mayday.is_evidence(org, person, at)')
                USING d.org, now() - make_interval(days => d.thin_days + 1), greatest(at_most - removed, 0);
            GET DIAGNOSTICS n = ROW_COUNT;
            removed := removed + n;
        END LOOP;
        -- What is usual for somebody is made of their vital signs, and outlives none of them.
        DELETE FROM mayday.body b USING mayday.retention r
        WHERE r.org = b.org AND b.at < now() - make_interval(days => r.thin_days + 1);
        DELETE FROM mayday.retention_day k WHERE to_regclass('mayday.' || quote_ident(k.part)) IS NULL;
        more := removed >= at_most;
    END IF;
END
$$;

-- ---- What belongs to incidents stays as long as they do

-- When a day of positions goes, those that were sent to an incident, or are of who was in one, come here
-- (mayday.drop_partitions).
CREATE TABLE mayday.location_kept (LIKE mayday.location INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id));
COMMENT ON TABLE mayday.location_kept IS 'Positions that belong to an incident, kept as long as incidents are.';
CREATE INDEX ON mayday.location_kept (alert, at);
CREATE INDEX ON mayday.location_kept (org, person, at);

GRANT SELECT ON mayday.retention, mayday.location_kept TO mayday_gateway, mayday_console;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.tidy(integer) TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.last_known(text, interval),
    mayday.track_within(text, text, timestamptz, timestamptz, double precision, double precision, double precision),
    mayday.seen_in(text, geography, timestamptz, timestamptz, double precision),
    mayday.haversine(double precision, double precision, double precision, double precision),
    mayday.track_stretches(text, text, timestamptz, timestamptz, interval, interval, double precision, double precision),
    mayday.track_statistics(text, text, timestamptz, timestamptz) TO mayday_gateway, mayday_console;
