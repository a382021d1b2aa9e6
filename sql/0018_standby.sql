-- Standby: what a gateway keeps at hand for the time without this database, and how what it did then comes in when the
-- database is back. See gateway/services/standby.c.

-- ---- at hand ----

-- Whom the first levels of an organisation's plan come to, and whom its trouble is told, with all that is needed to tell
-- them: channels, languages, who is on call when, who is free where, contacts who may know. Everything has a limit: an
-- organisation beyond it is told in part, by name of person, until its database is back.
CREATE FUNCTION mayday.standby_snapshot(in_org text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    most CONSTANT integer := 5000;
    plan mayday.plan;
    targets jsonb;
    roles jsonb;
    teams jsonb;
    free jsonb := '[]';
    contacts jsonb := '{}';
    wanted text[];
    people jsonb;
    names jsonb;
BEGIN
    SELECT * INTO plan FROM mayday.plan p WHERE p.org IN (in_org, '*') ORDER BY p.org = '*', p.edition DESC LIMIT 1;
    targets := coalesce(jsonb_path_query_array(plan.body, '$.policies[*].levels[0].targets[*]'), '[]')
               || coalesce(jsonb_path_query_array(plan.body, '$.trouble[*]'), '[]');
    SELECT coalesce(jsonb_object_agg(r.role, r.people), '{}') INTO roles
    FROM (SELECT t.role, (SELECT coalesce(jsonb_agg(x.person ORDER BY x.person), '[]')
                          FROM (SELECT p.person FROM mayday.person p WHERE p.org = in_org AND p.roles @> ARRAY[t.role]
                                ORDER BY p.person LIMIT most) x) AS people
          FROM (SELECT DISTINCT x.value->>'role' AS role FROM jsonb_array_elements(targets) x WHERE x.value ? 'role') t) r;
    -- For two days, by the hour: whom a change of shift brings.
    SELECT coalesce(jsonb_object_agg(t.team, t.turns), '{}') INTO teams
    FROM (SELECT d.team, (SELECT jsonb_agg(jsonb_build_object('from', extract(epoch FROM h.at)::bigint, 'person', h.who)
                                           ORDER BY h.at) FILTER (WHERE h.who IS DISTINCT FROM h.before)
                          FROM (SELECT g.at, w.who, lag(w.who) OVER (ORDER BY g.at) AS before
                                FROM generate_series(now(), now() + interval '48 hours', interval '1 hour') g(at)
                                CROSS JOIN LATERAL mayday.on_call(in_org, d.team, g.at) w(who)) h) AS turns
          FROM (SELECT DISTINCT x.value->>'team' AS team FROM jsonb_array_elements(targets) x WHERE x.value ? 'team'
                LIMIT 50) d) t;
    IF EXISTS (SELECT FROM jsonb_array_elements(targets) x WHERE x.value ? 'nearest') THEN
        SELECT coalesce(jsonb_agg(jsonb_build_object('person', n.person, 'lat', ST_Y(n.position::geometry),
                                                     'lon', ST_X(n.position::geometry))), '[]') INTO free
        FROM mayday.nearest(in_org, 0, 0, interval '15 minutes', 500) n;
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(targets) x WHERE x.value ? 'family') THEN
        SELECT coalesce(jsonb_object_agg(c.person, c.contacts), '{}') INTO contacts
        FROM (SELECT x.person, jsonb_agg(x.contact ORDER BY x.contact) AS contacts
              FROM (SELECT f.person, f.contact FROM mayday.contact f WHERE f.org = in_org AND f.contact <> f.person
                    ORDER BY f.person, f.contact LIMIT 4 * most) x GROUP BY x.person) c;
    END IF;
    wanted := ARRAY(SELECT DISTINCT w.person FROM (
        SELECT x.value->>'person' FROM jsonb_array_elements(targets) x WHERE x.value ? 'person'
        UNION ALL SELECT p.value FROM jsonb_each(roles) r CROSS JOIN LATERAL jsonb_array_elements_text(r.value) p
        UNION ALL SELECT p.value->>'person' FROM jsonb_each(teams) t CROSS JOIN LATERAL jsonb_array_elements(t.value) p
        UNION ALL SELECT f.value->>'person' FROM jsonb_array_elements(free) f
        UNION ALL SELECT p.value FROM jsonb_each(contacts) c CROSS JOIN LATERAL jsonb_array_elements_text(c.value) p
        ) w(person) WHERE w.person IS NOT NULL LIMIT 8 * most);
    SELECT coalesce(jsonb_object_agg(w.person, jsonb_strip_nulls(jsonb_build_object(
               'name', p.name, 'lang', p.lang, 'connected', p.connected,
               'channels', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('kind', c.kind, 'number', c.number,
                                'fault', mayday.number_fault(c.kind, c.number))) ORDER BY c.place)
                            FROM mayday.channel c WHERE c.org = in_org AND c.person = w.person)))), '{}') INTO people
    FROM unnest(wanted) w(person) LEFT JOIN mayday.person p ON p.org = in_org AND p.person = w.person;
    SELECT coalesce(jsonb_object_agg(n.person, n.name), '{}') INTO names
    FROM (SELECT p.person, p.name FROM mayday.person p WHERE p.org = in_org AND p.name IS NOT NULL
          ORDER BY p.last_seen DESC LIMIT 8 * most) n;
    RETURN jsonb_build_object('v', 1, 'org', in_org, 'made_at', mayday.spell(now()), 'plan', plan.body, 'roles', roles,
                              'teams', teams, 'free', free, 'contacts', contacts, 'people', people, 'names', names);
END
$$;

-- Gateways that LISTEN on mayday_standby ask again.
CREATE FUNCTION mayday.tell_standby() RETURNS trigger
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('mayday_standby', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER standby AFTER INSERT OR UPDATE OR DELETE ON mayday.plan
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_standby();
CREATE TRIGGER standby AFTER INSERT OR UPDATE OR DELETE ON mayday.channel
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_standby();
CREATE TRIGGER standby AFTER INSERT OR UPDATE OR DELETE ON mayday.contact
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_standby();
CREATE TRIGGER standby AFTER INSERT OR UPDATE OR DELETE ON mayday.team
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_standby();
CREATE TRIGGER standby AFTER INSERT OR UPDATE OR DELETE ON mayday.team_cover
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_standby();

-- Of raises that were heard on MQTT, those that are in good hands here: they are stored, or their person has an incident
-- open, which they join.
CREATE FUNCTION mayday.standby_stored(orgs text[], alerts uuid[], persons text[], join_window interval)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT u.alert FROM unnest(orgs, alerts, persons) AS u (org, alert, person)
    WHERE EXISTS (SELECT FROM mayday.alert a WHERE a.org = u.org AND a.id = u.alert)
       OR mayday.open_of(u.org, u.person, now() - join_window) IS NOT NULL;
END
$$;

-- ---- brought in ----

-- An incident whose first level was told without the database began then, not when it could be stored: its next levels
-- are due by that.
CREATE FUNCTION mayday.standby_began() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    NEW.begun_at := least(NEW.begun_at, (SELECT min(n.made_at) FROM mayday.notification n
                                         WHERE n.alert = NEW.alert AND n.org = NEW.org AND n.purpose = 'raise'));
    RETURN NEW;
END
$$;
CREATE TRIGGER began BEFORE INSERT ON mayday.escalation FOR EACH ROW EXECUTE FUNCTION mayday.standby_began();

-- What a gateway told by itself, as far as it has come; the same again, with more, as often as there is more. Times are
-- ages in milliseconds: whatever the gateway's clock says, this server's is the one. Each of `told`:
--   {"id", "org", "alert", "purpose", "person", "kind", "address", "family", "place", "rank", "lang", "code", "body", "status",
--    "made_ms", "due_ms" (from now on, may be negative), "valid_ms", "sent_ms", "why",
--    "attempts": [{"id", "provider", "begun_ms", "ended_ms", "outcome", "http", "code", "blame", "reference"}]}
-- An id that exists was made by the engine, or by us before: what is over stays over. `since`: when the gateway's own
-- connection began, by which requests still under way are known as such.
CREATE FUNCTION mayday.standby_bring(in_gateway text, told jsonb, since timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    n jsonb;
    t jsonb;
    last jsonb;
    known mayday.notification;
    fresh boolean;
    final text;
    made text[] := '{}'; -- '<alert> <org>' of each that is new here
BEGIN
    FOR n IN SELECT x.value FROM jsonb_array_elements(told) x ORDER BY x.value->>'id' LOOP
        final := n->>'status';
        INSERT INTO mayday.notification (id, org, alert, person, kind, address, purpose, family, round, level, place, rank,
                                         lang, code, status, due_at, made_at, expires_at, attempts, body, why, done_at)
        VALUES ((n->>'id')::uuid, n->>'org', (n->>'alert')::uuid, n->>'person', n->>'kind', n->>'address', n->>'purpose',
                (n->>'family')::boolean, 0, CASE WHEN n ? 'alert' THEN 1 ELSE 0 END, (n->>'place')::smallint, (n->>'rank')::smallint, n->>'lang', n->>'code',
                CASE final WHEN 'waiting' THEN 'waiting' WHEN 'withdrawn' THEN 'withdrawn' ELSE 'sending' END,
                CASE final WHEN 'waiting' THEN moment + (n->>'due_ms')::bigint * interval '1 ms' END,
                moment - (n->>'made_ms')::bigint * interval '1 ms',
                moment + (n->>'valid_ms')::bigint * interval '1 ms', 0, n->>'body', n->>'why',
                CASE final WHEN 'withdrawn' THEN moment END)
        ON CONFLICT (id) DO NOTHING;
        fresh := FOUND;
        IF fresh AND n ? 'alert' THEN
            made := made || concat_ws(' ', n->>'alert', n->>'org');
        END IF;
        SELECT * INTO known FROM mayday.notification x WHERE x.id = (n->>'id')::uuid FOR UPDATE;
        -- The engine made it meanwhile, and nobody has it yet.
        IF NOT fresh AND known.status IN ('waiting', 'withdrawn') AND final NOT IN ('waiting', 'withdrawn') THEN
            UPDATE mayday.notification x SET status = 'sending', due_at = NULL, done_at = NULL, body = n->>'body',
                code = coalesce(n->>'code', x.code)
            WHERE x.id = known.id;
        END IF;
        last := NULL;
        FOR t IN SELECT y.value FROM jsonb_array_elements(n->'attempts') y LOOP
            INSERT INTO mayday.attempt (id, notification, org, alert, provider, gateway, pid, pid_since, begun_at, until,
                                        ended_at, outcome, http_status, code, blame, reference)
            VALUES ((t->>'id')::uuid, known.id, known.org, known.alert, t->>'provider', in_gateway, pg_backend_pid(), since,
                    moment - (t->>'begun_ms')::bigint * interval '1 ms', moment + interval '30 seconds', NULL, NULL, NULL,
                    NULL, NULL, NULL)
            ON CONFLICT (id) DO NOTHING;
            IF FOUND THEN
                UPDATE mayday.notification x SET attempts = x.attempts + 1 WHERE x.id = known.id;
            END IF;
            -- Of those before the last one nothing follows any more.
            IF last IS NOT NULL THEN
                UPDATE mayday.attempt x SET outcome = last->>'outcome', http_status = (last->>'http')::smallint,
                    code = last->>'code', blame = last->>'blame',
                    ended_at = moment - (last->>'ended_ms')::bigint * interval '1 ms'
                WHERE x.id = (last->>'id')::uuid AND x.outcome IS NULL AND last ? 'outcome';
            END IF;
            last := t;
        END LOOP;
        IF last ? 'outcome' THEN
            PERFORM mayday.end_attempts(jsonb_build_array(last || jsonb_build_object('attempt', last->>'id', 'ms', 10000,
                'why', n->>'why', 'then', CASE final WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'fail'
                                          WHEN 'doubt' THEN 'doubt' ELSE 'again' END)));
            UPDATE mayday.attempt x SET ended_at = moment - (last->>'ended_ms')::bigint * interval '1 ms'
            WHERE x.id = (last->>'id')::uuid;
        ELSIF final = 'sent' AND last IS NULL THEN -- said on MQTT
            UPDATE mayday.notification x SET status = 'sent', due_at = NULL, body = n->>'body', why = n->>'why'
            WHERE x.id = known.id AND x.status IN ('waiting', 'sending', 'withdrawn');
        ELSIF final = 'failed' AND last IS NULL THEN -- nobody could be asked to send it
            UPDATE mayday.notification x SET status = 'failed', due_at = NULL, done_at = moment, why = n->>'why'
            WHERE x.id = known.id AND x.status IN ('waiting', 'sending');
        END IF;
        IF final = 'sent' THEN
            UPDATE mayday.notification x SET sent_at = moment - (n->>'sent_ms')::bigint * interval '1 ms'
            WHERE x.id = known.id AND n ? 'sent_ms';
        END IF;
    END LOOP;
    PERFORM mayday.record_audit(substr(b.which, 38), 'standby.told', in_gateway, NULL,
                                left(b.which, 36)::uuid, jsonb_build_object('notifications', count(*)))
    FROM unnest(made) b(which) GROUP BY b.which;
    PERFORM pg_notify('mayday_notify', '');
END
$$;

-- ---- trouble ----

CREATE INDEX ON mayday.notification (org, purpose, made_at) WHERE alert IS NULL;

-- Whoever the plan names hears that Mayday itself is in trouble, or that this is over: by text, and who has no number over
-- MQTT. At most once an hour for each organisation, whichever gateways see it; that it is over is said by the gateway that
-- said that it was. Returns how many are told.
CREATE FUNCTION mayday.standby_trouble(in_org text, in_purpose text, since interval DEFAULT interval '1 hour')
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    last_at timestamptz;
    told integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mayday.trouble'), hashtext(in_org));
    SELECT max(n.made_at) INTO last_at FROM mayday.notification n
    WHERE n.org = in_org AND n.alert IS NULL AND n.purpose = in_purpose AND n.made_at > now() - since;
    IF last_at IS NOT NULL AND in_purpose = 'trouble' THEN
        RETURN 0;
    END IF;
    SELECT count(mayday.notify(in_org, NULL, w.person, c.kind, c.number, in_purpose, 1, false, 0, 0, c.place,
                               clock_timestamp(), interval '1 hour'))
    INTO told
    FROM (SELECT p.body FROM mayday.plan p WHERE p.org IN (in_org, '*') ORDER BY p.org = '*', p.edition DESC LIMIT 1) plan
    CROSS JOIN LATERAL mayday.plan_people(in_org, NULL, coalesce(plan.body->'trouble', '[]')) w
    CROSS JOIN LATERAL (SELECT x.* FROM mayday.places_of(in_org, w.person) x
                        ORDER BY array_position(ARRAY['sms', 'mqtt', 'voice'], x.kind), x.place LIMIT 1) c
    WHERE w.person IS NOT NULL;
    RETURN told;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.standby_snapshot(text), mayday.standby_stored(text[], uuid[], text[], interval),
    mayday.standby_bring(text, jsonb, timestamptz), mayday.standby_trouble(text, text, interval) TO mayday_gateway;
