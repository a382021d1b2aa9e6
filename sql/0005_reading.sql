-- The three questions asked most. All run with the caller's rights.

-- Where everybody of an organisation was last. People are found by skipping through the index (org, person, at),
-- one probe a person, so the time does not grow with the number of positions.
CREATE FUNCTION mayday.last_positions(in_org text) RETURNS SETOF mayday.location
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE people AS (
        (SELECT l.person FROM mayday.location l WHERE l.org = in_org ORDER BY l.person LIMIT 1)
        UNION ALL
        SELECT (SELECT l.person FROM mayday.location l WHERE l.org = in_org AND l.person > p.person
                ORDER BY l.person LIMIT 1)
        FROM people p WHERE p.person IS NOT NULL
    )
    SELECT newest.* FROM people p CROSS JOIN LATERAL (
        SELECT * FROM mayday.location l WHERE l.org = in_org AND l.person = p.person ORDER BY l.at DESC LIMIT 1
    ) newest
    WHERE p.person IS NOT NULL
$$;

-- The same for all organisations.
CREATE VIEW mayday.last_position WITH (security_invoker = true) AS
    WITH RECURSIVE orgs AS (
        (SELECT l.org FROM mayday.location l ORDER BY l.org LIMIT 1)
        UNION ALL
        SELECT (SELECT l.org FROM mayday.location l WHERE l.org > o.org ORDER BY l.org LIMIT 1)
        FROM orgs o WHERE o.org IS NOT NULL
    )
    SELECT p.* FROM orgs o CROSS JOIN LATERAL mayday.last_positions(o.org) p WHERE o.org IS NOT NULL;

-- The way one person took.
CREATE FUNCTION mayday.track(in_org text, in_person text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF mayday.location LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM mayday.location l
    WHERE l.org = in_org AND l.person = in_person AND l.at >= from_time AND l.at < to_time
    ORDER BY l.at
$$;

-- Everything that was said and done in an incident, oldest first. (checks_of, escalation_of and findings_of come
-- with later migrations.)
SET LOCAL check_function_bodies = off;
CREATE FUNCTION mayday.timeline(in_alert uuid)
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT r.at, r.received_at, 'raise', r.id, r.org, r.sender,
           jsonb_strip_nulls(jsonb_build_object('type', r.type, 'priority', r.priority, 'text', r.text,
                                                'silent', r.silent, 'offline', r.offline, 'readings', r.readings,
                                                'lat', ST_Y(r.position::geometry), 'lon', ST_X(r.position::geometry)))
    FROM mayday.raise r WHERE r.alert = in_alert
    UNION ALL
    SELECT a.at, a.received_at, 'action', a.id, a.org, a.sender,
           jsonb_strip_nulls(jsonb_build_object('action', a.action, 'person', a.person, 'reason', a.reason,
                                                'expected_version', a.expected_version, 'offline', a.offline,
                                                'verdict', a.verdict, 'to_status', a.to_status,
                                                'version', a.version))
    FROM mayday.action a WHERE a.alert = in_alert
    UNION ALL
    SELECT c.at, c.received_at, 'chat', c.id, c.org, c.sender,
           jsonb_strip_nulls(jsonb_build_object('text', c.text, 'lang', c.lang, 'reply_to', c.reply_to,
                                                'media', c.media))
    FROM mayday.chat c WHERE c.alert = in_alert
    UNION ALL
    SELECT l.at, l.received_at, 'location', l.id, l.org, l.sender,
           jsonb_strip_nulls(jsonb_build_object('person', l.person, 'lat', ST_Y(l.position::geometry),
                                                'lon', ST_X(l.position::geometry), 'accuracy', l.accuracy))
    FROM (SELECT * FROM mayday.location k WHERE k.alert = in_alert
          UNION ALL SELECT * FROM mayday.location_kept k WHERE k.alert = in_alert) l
    UNION ALL
    SELECT * FROM mayday.checks_of(in_alert)
    UNION ALL
    SELECT * FROM mayday.findings_of(in_alert)
    UNION ALL
    SELECT * FROM mayday.escalation_of(in_alert)
    ORDER BY 1, 4
$$;
RESET check_function_bodies;
