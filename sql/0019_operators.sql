-- What operators do about escalation: plans, channels, teams, test messages. All of it is the owner's; who changes
-- something, by these functions or past them, is in the audit trail.

-- As lib/core/phone.c masks: who need not know a number can still tell two apart.
CREATE FUNCTION mayday.mask_number(number text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN length(number) > 5
                THEN left(number, 3) || repeat('•', length(number) - 5) || right(number, 2) ELSE '•••••' END
$$;

-- One entry for each change, whoever made it. Numbers are masked: the trail is kept for seven years and read by many.
CREATE FUNCTION mayday.audit_reach() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    changed jsonb;
    detail jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN
        changed := to_jsonb(OLD);
    ELSE
        changed := to_jsonb(NEW);
    END IF;
    detail := changed - '{org,person,made_by,made_at}'::text[];
    IF changed ? 'number' THEN
        detail := detail || jsonb_build_object('number', mayday.mask_number(changed->>'number'));
    END IF;
    IF changed ? 'body' THEN
        detail := detail - 'body' || jsonb_build_object(
            CASE TG_ARGV[0] WHEN 'plan' THEN 'policies' ELSE 'rules' END,
            jsonb_path_query_array(changed, CASE TG_ARGV[0] WHEN 'plan' THEN '$.body.policies[*].name'
                                                            ELSE '$.body.rules[*].name' END::jsonpath),
            'sha256', encode(sha256(convert_to(changed->>'body', 'UTF8')), 'hex'));
    END IF;
    PERFORM mayday.record_audit(changed->>'org', TG_ARGV[0] || CASE TG_OP WHEN 'DELETE' THEN '.end' ELSE '.set' END,
        mayday.audit_actor(NULL), changed->>'person', NULL, mayday.audit_hand() || jsonb_strip_nulls(detail));
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.plan
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_reach('plan');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.channel
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_reach('channel');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.team
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_reach('team');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.team_cover
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_reach('cover');

-- A person as an admin enters them; see 0007. Now with a name.
DROP FUNCTION mayday.enter_person(text, text, text[], text);
CREATE FUNCTION mayday.enter_person(in_org text, in_person text, in_roles text[], in_lang text DEFAULT NULL,
    in_name text DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_org !~ '^[^/+#[:cntrl:]]{1,128}$' OR in_person !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the names of an organisation and a person fit into one level of a topic'
            USING ERRCODE = '22023';
    END IF;
    IF in_name !~ '^[^[:cntrl:]]{0,100}$' THEN
        RAISE EXCEPTION 'a name has at most 100 signs, none of them a control character' USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.person AS p (org, person, roles, lang, name)
    VALUES (in_org, in_person, coalesce(in_roles, '{}'), in_lang, nullif(in_name, ''))
    ON CONFLICT (org, person) DO UPDATE SET roles = coalesce(in_roles, p.roles), lang = coalesce(in_lang, p.lang),
        name = nullif(coalesce(in_name, p.name), '')
        WHERE p.roles <> coalesce(in_roles, p.roles) OR p.lang IS DISTINCT FROM coalesce(in_lang, p.lang)
           OR p.name IS DISTINCT FROM nullif(coalesce(in_name, p.name), '');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mayday.post_presence(ARRAY[in_org], ARRAY[in_person]);
    RETURN true;
END
$$;

CREATE FUNCTION mayday.known_person(in_org text, in_person text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mayday.person p WHERE p.org = in_org AND p.person = in_person) THEN
        RAISE EXCEPTION 'there is no person % in %', in_person, in_org USING ERRCODE = 'P0002';
    END IF;
END
$$;

-- How somebody is reached. Places count from 1 without a gap. `in_place` NULL: behind all others; else there, and what was
-- there and behind it moves on. A number that an admin enters is good until a provider says otherwise once more; what
-- its owner said (STOP) stays.
CREATE FUNCTION mayday.add_channel(in_org text, in_person text, in_kind text, in_number text,
    in_place integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    count integer;
    wanted integer;
BEGIN
    PERFORM FROM mayday.person p WHERE p.org = in_org AND p.person = in_person FOR UPDATE; -- one change at a time
    PERFORM mayday.known_person(in_org, in_person);
    IF EXISTS (SELECT FROM mayday.channel c WHERE c.org = in_org AND c.person = in_person AND c.kind = in_kind
               AND c.number IS NOT DISTINCT FROM in_number) THEN
        RAISE EXCEPTION '% has that channel already: to move it, remove it first', in_person USING ERRCODE = '23505';
    END IF;
    SELECT coalesce(max(c.place), 0) INTO count FROM mayday.channel c WHERE c.org = in_org AND c.person = in_person;
    IF count >= 20 THEN
        RAISE EXCEPTION '% has 20 channels, which is the most', in_person USING ERRCODE = '22023';
    END IF;
    wanted := greatest(1, least(coalesce(in_place, 20), count + 1));
    FOR i IN REVERSE count .. wanted LOOP -- the last one first: no two are ever at one place
        UPDATE mayday.channel c SET place = i + 1 WHERE c.org = in_org AND c.person = in_person AND c.place = i;
    END LOOP;
    INSERT INTO mayday.channel (org, person, place, kind, number) VALUES (in_org, in_person, wanted, in_kind, in_number);
    UPDATE mayday.number_note n SET no_text_since = NULL, bad_since = NULL, noted_at = now()
    WHERE n.number = in_number AND num_nonnulls(n.no_text_since, n.bad_since) > 0;
    RETURN wanted;
END
$$;

CREATE FUNCTION mayday.remove_channel(in_org text, in_person text, in_kind text, in_number text) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    gone integer;
BEGIN
    PERFORM FROM mayday.person p WHERE p.org = in_org AND p.person = in_person FOR UPDATE;
    PERFORM mayday.known_person(in_org, in_person);
    DELETE FROM mayday.channel c WHERE c.org = in_org AND c.person = in_person AND c.kind = in_kind
        AND c.number IS NOT DISTINCT FROM in_number RETURNING c.place INTO gone;
    IF gone IS NULL THEN
        RETURN false;
    END IF;
    FOR i IN gone + 1 .. 20 LOOP
        UPDATE mayday.channel c SET place = i - 1 WHERE c.org = in_org AND c.person = in_person AND c.place = i;
    END LOOP;
    RETURN true;
END
$$;

-- Who takes turns. Whoever is not known would be on call and reached by nothing.
CREATE FUNCTION mayday.set_team(in_org text, in_team text, in_people text[], in_first timestamptz, in_shift interval,
    in_timezone text) RETURNS void
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    one text;
    was mayday.team;
    zone text;
BEGIN
    IF in_team !~ '^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}$' THEN
        RAISE EXCEPTION 'the name of a team has letters, digits and _ . - and space, 64 at most' USING ERRCODE = '22023';
    END IF;
    FOREACH one IN ARRAY coalesce(in_people, '{}') LOOP
        PERFORM mayday.known_person(in_org, one);
    END LOOP;
    PERFORM now() AT TIME ZONE in_timezone; -- complains of an unknown one
    SELECT * INTO was FROM mayday.team t WHERE t.org = in_org AND t.team = in_team;
    IF was IS NULL AND in_people IS NULL THEN
        RAISE EXCEPTION 'there is no team % in %: a new one needs its people', in_team, in_org USING ERRCODE = 'P0002';
    END IF;
    zone := coalesce(in_timezone, was.timezone, 'UTC');
    INSERT INTO mayday.team AS t (org, team, people, first_at, shift, timezone)
    VALUES (in_org, in_team, coalesce(in_people, was.people), coalesce(in_first, was.first_at, date_trunc('day', now(), zone)),
            coalesce(in_shift, was.shift, interval '1 day'), zone)
    ON CONFLICT (org, team) DO UPDATE SET people = excluded.people, first_at = excluded.first_at, shift = excluded.shift,
        timezone = excluded.timezone;
END
$$;

CREATE FUNCTION mayday.cover_team(in_org text, in_team text, in_person text, in_from timestamptz, in_until timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mayday.team t WHERE t.org = in_org AND t.team = in_team) THEN
        RAISE EXCEPTION 'there is no team % in %', in_team, in_org USING ERRCODE = 'P0002';
    END IF;
    PERFORM mayday.known_person(in_org, in_person);
    INSERT INTO mayday.team_cover AS c (org, team, person, from_at, until_at)
    VALUES (in_org, in_team, in_person, coalesce(in_from, now()), in_until)
    ON CONFLICT (org, team, from_at, person) DO UPDATE SET until_at = excluded.until_at;
END
$$;

-- The plan that counts for an organisation now: its own newest, else that of all.
CREATE FUNCTION mayday.plan_of(in_org text) RETURNS mayday.plan
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT p FROM mayday.plan p WHERE p.org IN (in_org, '*') ORDER BY p.org = '*', p.edition DESC LIMIT 1
$$;

-- A new edition, unless it says what the last one says. The caller has checked it.
CREATE FUNCTION mayday.apply_plan(in_org text, in_body jsonb, OUT edition integer, OUT fresh boolean)
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    last mayday.plan;
BEGIN
    IF in_org <> '*' AND in_org !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the name of an organisation fits into one level of a topic' USING ERRCODE = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mayday.apply_plan'), hashtext(in_org));
    SELECT * INTO last FROM mayday.plan p WHERE p.org = in_org ORDER BY p.edition DESC LIMIT 1;
    fresh := last.body IS DISTINCT FROM in_body;
    edition := coalesce(last.edition, 0) + fresh::integer;
    IF fresh THEN
        INSERT INTO mayday.plan (org, edition, body) VALUES (in_org, edition, in_body);
    END IF;
END
$$;

-- Everybody whom targets could mean, at whatever time. For 'nearest' and 'family' that depends on the alarm: they give
-- one row without a person and `certain` false.
CREATE FUNCTION mayday.plan_reach(in_org text, in_targets jsonb)
RETURNS TABLE (target jsonb, person text, certain boolean, phone boolean)
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT t.target, w.person, NOT t.target ?| '{nearest,family}',
           EXISTS (SELECT FROM mayday.channel c WHERE c.org = in_org AND c.person = w.person AND c.kind <> 'mqtt')
    FROM jsonb_array_elements(in_targets) t (target) LEFT JOIN LATERAL (
        SELECT p.person FROM mayday.person p
        WHERE p.org = in_org AND (p.person = t.target->>'person' OR t.target->>'role' = ANY (p.roles)
              OR p.person IN (SELECT unnest(g.people) FROM mayday.team g WHERE g.org = in_org AND g.team = t.target->>'team'))
    ) w ON true
    WHERE NOT t.target ? 'webhook'
$$;

-- What in a plan does not fit the organisation, in sentences: names that nobody has, levels that reach nobody for
-- certain. `grave`: somebody would not be told. Nothing of '*', whose names are each organisation's own.
CREATE FUNCTION mayday.plan_gaps(in_org text, in_body jsonb) RETURNS TABLE (grave boolean, what text)
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    WITH lists AS (
        SELECT p.n AS policy, l.n AS level, format('policy %L, level %s', p.body->>'name', l.n) AS place, l.body->'targets' AS targets
        FROM jsonb_array_elements(in_body->'policies') WITH ORDINALITY p (body, n),
             jsonb_array_elements(p.body->'levels') WITH ORDINALITY l (body, n)
        UNION ALL
        SELECT p.n, 1000, format('policy %L, exhausted', p.body->>'name'), p.body->'exhausted'
        FROM jsonb_array_elements(in_body->'policies') WITH ORDINALITY p (body, n) WHERE p.body ? 'exhausted'
        UNION ALL
        SELECT 1000, 1000, 'trouble', in_body->'trouble' WHERE in_body ? 'trouble'
    ), reach AS MATERIALIZED (
        SELECT l.policy, l.level, l.place, r.* FROM lists l, mayday.plan_reach(in_org, l.targets) r
    )
    SELECT r.grave, r.what FROM (
        SELECT policy, level, 1 AS sort, true AS grave, format('%s: there is no person %s', place, target->>'person') AS what
        FROM reach WHERE person IS NULL AND target ? 'person'
        UNION ALL
        SELECT policy, level, 1, true, format('%s: there is no team %s', place, target->>'team') FROM reach
        WHERE person IS NULL AND target ? 'team'
        UNION ALL
        SELECT policy, level, 2, false, format('%s: nobody has the role %s', place, target->>'role') FROM reach
        WHERE person IS NULL AND target ? 'role'
        UNION ALL
        SELECT l.policy, l.level, 3, true, format('%s reaches nobody%s', l.place,
               CASE WHEN l.targets @? '$[*] ? (exists(@.nearest) || exists(@.family))'
                    THEN ', but who is near or of the family at the time' ELSE '' END)
        FROM lists l
        WHERE NOT EXISTS (SELECT FROM reach r WHERE r.place = l.place AND r.person IS NOT NULL)
          AND NOT l.targets @? '$[*].webhook'
    ) r
    WHERE in_org <> '*' GROUP BY r.policy, r.level, r.sort, r.grave, r.what ORDER BY r.policy, r.level, r.sort, r.what
$$;

-- Policies by which nobody at all would be told for certain.
CREATE FUNCTION mayday.plan_mute(in_org text, in_body jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT p.body->>'name' FROM jsonb_array_elements(in_body->'policies') WITH ORDINALITY p (body, n)
    WHERE NOT p.body @? '$.levels[*].targets[*].webhook'
      AND NOT EXISTS (SELECT FROM jsonb_path_query(p.body, '$.levels[*].targets') t (targets),
                                  mayday.plan_reach(in_org, t.targets) r WHERE r.person IS NOT NULL)
    ORDER BY p.n
$$;

-- Whoever a plan names or means for certain, and no phone is entered for: over the app alone.
CREATE FUNCTION mayday.plan_phoneless(in_org text, in_body jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT DISTINCT r.person
    FROM jsonb_path_query(in_body, '$.policies[*].levels[*].targets') t (targets), mayday.plan_reach(in_org, t.targets) r
    WHERE r.person IS NOT NULL AND NOT r.phone ORDER BY 1
$$;

-- How somebody would be reached at a level, by the engine's own order, with what stands in the way. `in_kinds` NULL: their
-- own order.
CREATE FUNCTION mayday.ways_of(in_org text, in_person text, in_kinds text[])
RETURNS TABLE (place integer, kind text, number text, trouble text)
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.place, w.kind, w.number,
           CASE WHEN w.kind = 'mqtt' AND NOT coalesce(p.connected, false) THEN 'not connected now'
                ELSE CASE mayday.number_fault(w.kind, w.number) WHEN 'bad_number' THEN 'no such number, a provider said'
                     WHEN 'opted_out' THEN 'wants no texts: STOP' WHEN 'no_text' THEN 'takes no texts' END END
    FROM mayday.places_of(in_org, in_person, in_kinds) w
         LEFT JOIN mayday.person p ON p.org = in_org AND p.person = in_person
$$;

-- For a dry run: an incident that is never committed, so that the engine's own functions can be asked about it. It must be
-- rolled back by whoever calls this.
CREATE FUNCTION mayday.pretend_alert(in_org text, in_raiser text, in_type text, in_priority text,
    lat double precision, lon double precision) RETURNS uuid
LANGUAGE plpgsql SET search_path = mayday, public, pg_catalog, pg_temp AS $$
DECLARE
    new uuid := mayday.new_id();
BEGIN
    INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, position, silent, offline)
    VALUES (in_org, new, coalesce(in_raiser, ''), now(), now(), in_type, in_priority,
            CASE WHEN lat IS NOT NULL AND lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography END,
            false, false);
    RETURN new;
END
$$;

-- A message that says it is a test, to one person, by the way that is theirs. Routine: it never holds an alarm back.
CREATE FUNCTION mayday.send_test(in_org text, in_person text, in_kind text, OUT id uuid, OUT kind text, OUT number text)
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    place integer;
BEGIN
    PERFORM mayday.known_person(in_org, in_person);
    SELECT w.place, w.kind, w.number INTO place, kind, number FROM mayday.places_of(in_org, in_person) w
    WHERE in_kind IS NULL OR w.kind = in_kind ORDER BY w.place LIMIT 1;
    IF NOT FOUND AND in_kind = 'mqtt' THEN
        place := 1;
        kind := 'mqtt';
    ELSIF NOT FOUND THEN
        RAISE EXCEPTION 'no % number is entered for %', in_kind, in_person USING ERRCODE = 'P0002';
    END IF;
    id := mayday.notify(in_org, NULL, in_person, kind, number, 'test', 0, false, 0, 0, place, now(), interval '10 minutes');
    PERFORM mayday.record_audit(in_org, 'notify.test', mayday.audit_actor(NULL), in_person, NULL,
        mayday.audit_hand() || jsonb_strip_nulls(jsonb_build_object('kind', kind, 'number', mayday.mask_number(number),
                                                                    'notification', id)));
END
$$;

-- Retention, as `mayday migrate --prune` asks for it until it returns 0: at most so many rows of each kind at once. Words
-- that were sent are forgotten after 90 days, tests with them; what providers said after 30, when nobody repeats it any
-- more; who was told, how and what they answered after 2 years, but not of an incident that is still open.
CREATE FUNCTION mayday.prune_reach(most integer DEFAULT 5000) RETURNS integer
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    gone integer;
    of_all integer := 0;
    past CONSTANT timestamptz := now() - interval '2 years';
    old uuid[];
BEGIN
    DELETE FROM mayday.provider_event v WHERE v.id IN (
        SELECT x.id FROM mayday.provider_event x WHERE x.received_at < now() - interval '30 days' LIMIT most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    of_all := of_all + gone;
    UPDATE mayday.notification n SET body = NULL WHERE n.id IN (
        SELECT x.id FROM mayday.notification x WHERE x.body IS NOT NULL AND x.made_at < now() - interval '90 days' LIMIT most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    of_all := of_all + gone;
    old := ARRAY(SELECT n.id FROM mayday.notification n
                 WHERE n.made_at < CASE WHEN n.alert IS NULL THEN now() - interval '90 days' ELSE past END
                   AND NOT EXISTS (SELECT FROM mayday.alert a WHERE a.org = n.org AND a.id = n.alert AND a.closed_at IS NULL)
                 LIMIT most);
    DELETE FROM mayday.attempt t WHERE t.notification = ANY (old);
    DELETE FROM mayday.answer w WHERE w.notification = ANY (old);
    DELETE FROM mayday.notification n WHERE n.id = ANY (old);
    of_all := of_all + cardinality(old);
    old := ARRAY(SELECT e.alert FROM mayday.escalation e JOIN mayday.alert a ON a.org = e.org AND a.id = e.alert
                 WHERE a.closed_at < past AND NOT EXISTS (SELECT FROM mayday.notification n WHERE n.alert = e.alert) LIMIT most);
    DELETE FROM mayday.escalation_step x WHERE x.alert = ANY (old);
    DELETE FROM mayday.answer w WHERE w.alert = ANY (old);
    DELETE FROM mayday.escalation e WHERE e.alert = ANY (old);
    RETURN of_all + cardinality(old);
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
-- `mayday doctor` looks with the gateway's eyes.
GRANT EXECUTE ON FUNCTION mayday.mask_number(text), mayday.plan_of(text), mayday.plan_reach(text, jsonb),
    mayday.plan_gaps(text, jsonb), mayday.plan_mute(text, jsonb), mayday.plan_phoneless(text, jsonb) TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.mask_number(text) TO mayday_console;
