-- The engine of escalation: what the gateways' escalator claims and stores, and what a change of an incident does to it.
-- What comes next is decided in lib/core/escalation.c alone; see gateway/services/escalator.c.
--
-- Locks are taken in one order by everybody: the incident's row in mayday.alert, its row in mayday.escalation, then its
-- notifications. Whoever has the incident locked knows that nobody is told meanwhile.

-- ---- whom ----

CREATE INDEX ON mayday.person (org) WHERE roles && '{dispatcher,supervisor,responder}';

-- Who is on call in a team; NULL: there is no such team. Shifts begin at the same local time all year; each begins at one
-- moment, so that an hour that comes twice does not bring back whoever had the shift before.
CREATE FUNCTION mayday.shift_began(t mayday.team, number bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT ((t.first_at AT TIME ZONE t.timezone) + number * t.shift) AT TIME ZONE t.timezone
$$;

CREATE FUNCTION mayday.on_call(in_org text, in_team text, in_at timestamptz DEFAULT now()) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    t mayday.team;
    who text;
    number bigint;
BEGIN
    SELECT c.person INTO who FROM mayday.team_cover c
    WHERE c.org = in_org AND c.team = in_team AND c.from_at <= in_at AND c.until_at > in_at
    ORDER BY c.from_at DESC, c.person LIMIT 1;
    IF who IS NOT NULL THEN
        RETURN who;
    END IF;
    SELECT * INTO t FROM mayday.team x WHERE x.org = in_org AND x.team = in_team;
    IF t.team IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        PERFORM now() AT TIME ZONE t.timezone;
    EXCEPTION WHEN invalid_parameter_value THEN
        t.timezone := 'UTC'; -- somebody has to be on call, whatever was entered
    END;
    number := floor(extract(epoch FROM in_at - t.first_at) / extract(epoch FROM t.shift));
    WHILE mayday.shift_began(t, number + 1) <= in_at LOOP
        number := number + 1;
    END LOOP;
    WHILE mayday.shift_began(t, number) > in_at LOOP
        number := number - 1;
    END LOOP;
    number := number % cardinality(t.people);
    RETURN t.people[1 + (number + cardinality(t.people)) % cardinality(t.people)];
END
$$;

-- The nearest who are free, and when nobody knows where the incident is: anybody who is.
CREATE FUNCTION mayday.nearest_to(a mayday.alert, how_many integer, metres integer) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    place jsonb := mayday.incident_location(a, a.duress_at IS NOT NULL);
BEGIN
    IF place IS NOT NULL THEN
        RETURN QUERY SELECT n.person FROM mayday.nearest(a.org, (place->>'lat')::double precision,
                (place->>'lon')::double precision, interval '15 minutes', how_many + 1) n
            WHERE n.person <> a.raised_by AND (metres IS NULL OR n.distance <= metres) ORDER BY n.distance LIMIT how_many;
    ELSE
        RETURN QUERY SELECT p.person FROM mayday.person p
            WHERE p.org = a.org AND p.connected AND p.person <> a.raised_by
              AND (p.duty = 'on' OR (p.duty IS NULL AND p.roles && '{officer,responder}'))
              AND NOT EXISTS (SELECT FROM mayday.membership m JOIN mayday.alert x ON x.org = m.org AND x.id::text = m.id
                              WHERE m.org = p.org AND m.person = p.person AND m.until IS NULL AND m.family = 'alert'
                                AND m.relation = 'assigned' AND x.closed_at IS NULL)
            ORDER BY p.last_seen DESC, p.person LIMIT how_many;
    END IF;
END
$$;

-- Whom targets (schemas/documents/plan.json) mean for an incident: each person once, and as family only who is nothing
-- else; or a webhook. Never its raiser. Without an incident, for a dry run: nobody is near, and there is no family.
-- (One small statement for each kind: one for all would be planned, and compiled, for half a second.)
CREATE FUNCTION mayday.plan_people(in_org text, in_alert uuid, targets jsonb, in_at timestamptz DEFAULT now())
RETURNS TABLE (person text, family boolean, webhook text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET jit = off AS $$
DECLARE
    a mayday.alert;
    t jsonb;
    people text[] := '{}';
    contacts text[] := '{}';
    hooks text[] := '{}';
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert;
    FOR t IN SELECT x.value FROM jsonb_array_elements(targets) x LOOP
        IF t ? 'person' THEN
            people := people || (t->>'person');
        ELSIF t->>'role' IN ('dispatcher', 'supervisor', 'responder') THEN
            people := people || ARRAY(SELECT p.person FROM mayday.person p
                WHERE p.org = in_org AND p.roles && '{dispatcher,supervisor,responder}' AND p.roles @> ARRAY[t->>'role']);
        ELSIF t ? 'role' THEN
            people := people || ARRAY(SELECT p.person FROM mayday.person p
                                      WHERE p.org = in_org AND p.roles @> ARRAY[t->>'role']);
        ELSIF t ? 'nearest' AND a.id IS NOT NULL THEN
            people := people || ARRAY(SELECT mayday.nearest_to(a, (t->>'nearest')::integer, (t->>'within')::integer));
        ELSIF t ? 'team' THEN
            people := people || array_remove(ARRAY[mayday.on_call(in_org, t->>'team', in_at)], NULL);
        ELSIF t ? 'family' AND a.decoy IS NULL THEN -- under duress they see what the raiser's phone shows
            contacts := contacts || ARRAY(SELECT c.contact FROM mayday.contact c
                                          WHERE c.org = in_org AND c.person = a.raised_by);
        ELSIF t ? 'webhook' THEN
            hooks := hooks || (t->>'webhook');
        END IF;
    END LOOP;
    RETURN QUERY
        SELECT DISTINCT p, false, NULL::text FROM unnest(people) p WHERE p <> coalesce(a.raised_by, '')
        UNION ALL
        SELECT DISTINCT c, true, NULL FROM unnest(contacts) c WHERE c <> ALL (people) AND c <> a.raised_by
        UNION ALL
        SELECT DISTINCT NULL, false, h FROM unnest(hooks) h
        ORDER BY 1, 3;
END
$$;

-- How somebody is reached, in order: as entered, or by `kinds` alone. Whoever has none of these is reached as they can be.
CREATE FUNCTION mayday.places_of(in_org text, in_person text, kinds text[] DEFAULT NULL)
RETURNS TABLE (place smallint, kind text, number text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT row_number() OVER (ORDER BY array_position(kinds, c.kind), c.place)::smallint, c.kind, c.number
    FROM (SELECT x.place, x.kind, x.number FROM mayday.channel x
          WHERE x.org = in_org AND x.person = in_person AND (kinds IS NULL OR x.kind = ANY (kinds))
          UNION ALL -- everybody has an app
          SELECT 0::smallint, 'mqtt', NULL WHERE 'mqtt' = ANY (kinds) AND NOT EXISTS (
              SELECT FROM mayday.channel y WHERE y.org = in_org AND y.person = in_person AND y.kind = 'mqtt')) c;
    IF NOT FOUND AND kinds IS NOT NULL THEN
        RETURN QUERY SELECT * FROM mayday.places_of(in_org, in_person);
    ELSIF NOT FOUND THEN
        RETURN QUERY SELECT 1::smallint, 'mqtt', NULL::text;
    END IF;
END
$$;

-- ---- notifications ----

-- The same step makes the same ids, whoever does it: lib/core/notification.c spells them likewise, for a gateway without
-- a database. A webhook's `whom` is 'webhook:<name>'.
CREATE FUNCTION mayday.notification_id(in_org text, in_alert uuid, forgotten integer, in_round integer, in_level integer,
    whom text, in_place integer) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    h text := md5(concat_ws('/', in_org, in_alert, forgotten, in_round, in_level, whom, in_place));
BEGIN
    RETURN (left(in_alert::text, 13) || '-7' || substr(h, 1, 3) || '-a' || substr(h, 4, 3) || '-' || substr(h, 7, 12))::uuid;
END
$$;

-- Four digits that nothing open of that number has.
CREATE FUNCTION mayday.fresh_code(in_address text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    taken text[] := ARRAY(SELECT n.code FROM mayday.notification n
                          WHERE n.address = in_address AND n.kind IN ('sms', 'voice') AND n.code IS NOT NULL
                            AND n.made_at > now() - interval '7 days' AND n.status NOT IN ('failed', 'withdrawn'));
    drawn text;
BEGIN
    FOR i IN 1 .. 40 LOOP
        drawn := lpad(floor(random() * 10000)::integer::text, 4, '0');
        EXIT WHEN drawn <> ALL (taken);
    END LOOP;
    RETURN drawn;
END
$$;

-- Something is to be sent. NULL when that id exists.
CREATE FUNCTION mayday.notify(in_org text, in_alert uuid, in_person text, in_kind text, in_address text, in_purpose text,
    in_rank integer, in_family boolean, in_round integer, in_level integer, in_place integer, in_due timestamptz,
    in_validity interval, in_id uuid DEFAULT mayday.new_id()) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.notification (id, org, alert, person, kind, address, purpose, family, round, level, place, rank, lang,
                                     code, due_at, expires_at)
    VALUES (in_id, in_org, in_alert, in_person, in_kind, in_address, in_purpose, in_family, in_round, in_level, in_place,
            in_rank, (SELECT p.lang FROM mayday.person p WHERE p.org = in_org AND p.person = in_person),
            CASE WHEN in_kind = 'sms' AND in_alert IS NOT NULL THEN mayday.fresh_code(in_address) END, in_due,
            in_due + in_validity)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('mayday_notify', '');
    RETURN in_id;
END
$$;

-- What waits to call for an answer is not wanted any more; of one person, or of everybody. What is on its way, or may have
-- gone out, is not tried again. Follow-ups go out all the same.
CREATE FUNCTION mayday.withdraw(in_org text, in_alert uuid, in_person text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM mayday.notification n
    WHERE n.alert = in_alert AND n.org = in_org AND n.status IN ('waiting', 'sending', 'doubt')
      AND n.purpose IN ('raise', 'forgotten', 'exhausted') AND (in_person IS NULL OR n.person = in_person)
    ORDER BY n.id FOR UPDATE;
    UPDATE mayday.notification n SET expires_at = least(n.expires_at, mayday.watched_now()),
        status = CASE n.status WHEN 'waiting' THEN 'withdrawn' ELSE n.status END,
        due_at = CASE n.status WHEN 'waiting' THEN NULL ELSE n.due_at END,
        done_at = CASE n.status WHEN 'waiting' THEN clock_timestamp() ELSE n.done_at END
    WHERE n.alert = in_alert AND n.org = in_org AND n.status IN ('waiting', 'sending', 'doubt')
      AND n.purpose IN ('raise', 'forgotten', 'exhausted') AND (in_person IS NULL OR n.person = in_person);
END
$$;

-- ---- what an incident's life does to it ----

-- Every incident has an escalation from the moment it is stored; a press that joined another has none. What was stored
-- late, because the database was away, waits a moment more: gateways bring what they did without it.
CREATE FUNCTION mayday.escalation_begin() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.escalation (org, alert, edition_org, edition, policy, begun_at, due_at, next_at)
    SELECT n.org, n.id, coalesce(p.org, '*'), coalesce(p.edition, 0), '', d.at, d.at, d.at
    FROM new_alerts n
    LEFT JOIN (SELECT o.org AS wanted, y.* FROM (SELECT DISTINCT x.org FROM new_alerts x) o CROSS JOIN LATERAL
               (SELECT z.org, z.edition FROM mayday.plan z WHERE z.org IN (o.org, '*')
                ORDER BY z.org = '*', z.edition DESC LIMIT 1) y) p ON p.wanted = n.org
    CROSS JOIN LATERAL (SELECT now() + CASE WHEN n.stored_at - n.received_at > interval '1200 milliseconds'
                                       THEN interval '2 seconds' ELSE '0' END AS at) d
    WHERE n.joined_to IS NULL AND n.closed_at IS NULL
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('mayday_escalation', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER escalate AFTER INSERT ON mayday.alert
    REFERENCING NEW TABLE AS new_alerts FOR EACH STATEMENT EXECUTE FUNCTION mayday.escalation_begin();

-- The engine is to look at it now.
CREATE FUNCTION mayday.escalation_wake(a mayday.alert) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mayday.escalation e SET due_at = clock_timestamp() WHERE e.org = a.org AND e.alert = a.id;
    PERFORM pg_notify('mayday_escalation', '');
END
$$;

-- Somebody answers for themselves; nobody waits for them any more.
CREATE FUNCTION mayday.escalation_answer(e mayday.escalation, in_person text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mayday.escalation x SET answered_at = clock_timestamp(), due_at = clock_timestamp(),
        wanted_level = CASE WHEN x.everyone THEN x.wanted_level END, -- whoever asked for it was first
        answered_by = CASE WHEN in_person = ANY (x.answered_by) THEN x.answered_by ELSE x.answered_by || in_person END
    WHERE x.org = e.org AND x.alert = e.alert;
    PERFORM mayday.withdraw(e.org, e.alert, CASE WHEN e.everyone THEN in_person END);
    UPDATE mayday.notification n SET status = 'answered', done_at = clock_timestamp(), due_at = NULL
    WHERE n.alert = e.alert AND n.org = e.org AND n.person = in_person AND NOT n.family
      AND n.status IN ('sent', 'delivered') AND n.purpose IN ('raise', 'forgotten', 'exhausted');
END
$$;

-- What calls for an answer waits longer, or, when `longer` is negative, less long.
CREATE FUNCTION mayday.escalation_shift(e mayday.escalation, longer interval) RETURNS void LANGUAGE sql AS $$
    UPDATE mayday.notification n SET due_at = n.due_at + longer, expires_at = n.expires_at + longer
    WHERE n.alert = e.alert AND n.org = e.org AND n.status = 'waiting' AND n.purpose IN ('raise', 'forgotten')
$$;

CREATE FUNCTION mayday.escalation_hold(e mayday.escalation, seconds integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
    IF e.status NOT IN ('running', 'held') OR (e.answered_at IS NOT NULL AND NOT e.everyone) THEN
        RETURN; -- there is nothing that could wait
    END IF;
    PERFORM mayday.escalation_shift(e, until - CASE e.status WHEN 'held' THEN e.held_until ELSE clock_timestamp() END);
    UPDATE mayday.escalation x SET status = 'held', held_until = until, due_at = until, wanted_level = NULL,
        next_at = greatest(x.next_at, until)
    WHERE x.org = e.org AND x.alert = e.alert;
    INSERT INTO mayday.escalation_step (org, alert, step, round, level) VALUES (e.org, e.alert, 'held', e.round, e.level);
END
$$;

-- An action was taken: `a` is the incident after it, `before` its status until then. Also for an acknowledgement that
-- changed nothing, because somebody else was first: it is that person's answer all the same.
CREATE FUNCTION mayday.escalation_acted(a mayday.alert, before text, x mayday.action) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    e mayday.escalation;
    was_closed boolean := before IN ('resolved', 'canceled');
    is_closed boolean := a.status IN ('resolved', 'canceled');
BEGIN
    -- One that is older than escalation here has none until somebody asks for it.
    IF x.verdict = 'applied' AND NOT is_closed AND (was_closed OR x.action = 'escalate') THEN
        INSERT INTO mayday.escalation (org, alert, edition_org, edition, policy)
        SELECT a.org, a.id, coalesce(p.org, '*'), coalesce(p.edition, 0), ''
        FROM (SELECT) nothing LEFT JOIN (SELECT z.org, z.edition FROM mayday.plan z WHERE z.org IN (a.org, '*')
                                         ORDER BY z.org = '*', z.edition DESC LIMIT 1) p ON true
        WHERE a.joined_to IS NULL ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO e FROM mayday.escalation y WHERE y.org = a.org AND y.alert = a.id FOR UPDATE;
    IF e.alert IS NULL THEN
        RETURN;
    END IF;
    IF x.verdict = 'applied' THEN
        UPDATE mayday.escalation y SET moved_at = clock_timestamp() WHERE y.org = a.org AND y.alert = a.id;
    END IF;
    IF is_closed AND was_closed THEN
        RETURN;
    ELSIF is_closed THEN
        UPDATE mayday.escalation y SET status = 'ended', due_at = clock_timestamp(), next_at = NULL, wanted_level = NULL,
            held_until = NULL
        WHERE y.org = a.org AND y.alert = a.id;
        INSERT INTO mayday.escalation_step (org, alert, step, round, level) VALUES (a.org, a.id, 'ended', e.round, e.level);
        PERFORM mayday.withdraw(a.org, a.id);
    ELSIF was_closed OR (a.status = 'active' AND before <> 'active') THEN -- it is open again, whatever did it
        UPDATE mayday.escalation y SET status = 'ended', due_at = clock_timestamp(), answered_at = NULL,
            answered_by = '{}', wanted_level = NULL
        WHERE y.org = a.org AND y.alert = a.id;
    ELSIF x.action = 'escalate' THEN
        IF e.status = 'held' THEN
            PERFORM mayday.escalation_shift(e, least(clock_timestamp() - e.held_until, '0'));
        END IF;
        UPDATE mayday.escalation y SET due_at = clock_timestamp(),
            wanted_level = least(coalesce(x.level, greatest(y.wanted_level, y.level) + 1), 100)
        WHERE y.org = a.org AND y.alert = a.id;
    ELSIF x.action = 'hold' THEN
        PERFORM mayday.escalation_hold(e, coalesce(x.seconds, 600));
    ELSIF x.action = 'acknowledge' OR a.status <> 'active' THEN
        PERFORM mayday.escalation_answer(e, x.sender);
    END IF;
    PERFORM pg_notify('mayday_escalation', '');
END
$$;

-- It became more urgent, or the raiser's side is shown its end: what waits goes out as urgently as that, and family is
-- not told of what they are not to know.
CREATE FUNCTION mayday.escalation_urgent(a mayday.alert) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mayday.notification n SET rank = greatest(n.rank, mayday.priority_rank(a.priority))
    WHERE n.alert = a.id AND n.org = a.org AND n.status = 'waiting' AND n.purpose IN ('raise', 'forgotten', 'exhausted');
    IF a.decoy IS NOT NULL THEN
        UPDATE mayday.notification n SET status = 'withdrawn', due_at = NULL, done_at = clock_timestamp()
        WHERE n.alert = a.id AND n.org = a.org AND n.status = 'waiting' AND n.family;
    END IF;
    PERFORM mayday.escalation_wake(a);
END
$$;

-- ---- what the engine claims and stores ----

-- Escalations that are due, at most so many, locked; of these organisations, or NULL: of all. What somebody else has
-- locked is left to them, or for later.
CREATE FUNCTION mayday.escalation_claim(orgs text[], most integer)
RETURNS TABLE (org text, alert uuid, edition_org text, edition integer, policy text, status text, round integer,
    first_round integer, level integer, wanted_level integer, begun_us bigint, answered_us bigint, held_us bigint,
    moved_us bigint, forgotten integer, all_answered boolean, incident text, type text, priority text, decoyed boolean,
    who text, at_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    due record;
    a mayday.alert;
    e mayday.escalation;
    claimed integer := 0;
BEGIN
    FOR due IN SELECT x.org, x.alert FROM mayday.escalation x WHERE x.due_at <= moment
                 AND (orgs IS NULL OR x.org = ANY (orgs)) ORDER BY x.due_at LOOP
        SELECT * INTO a FROM mayday.alert x WHERE x.org = due.org AND x.id = due.alert FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO e FROM mayday.escalation x WHERE x.org = due.org AND x.alert = due.alert AND x.due_at <= moment
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        RETURN QUERY SELECT e.org, e.alert, e.edition_org, e.edition, e.policy, e.status, e.round, e.first_round, e.level,
            e.wanted_level, (extract(epoch FROM e.begun_at) * 1000000)::bigint,
            (extract(epoch FROM e.answered_at) * 1000000)::bigint, (extract(epoch FROM e.held_until) * 1000000)::bigint,
            (extract(epoch FROM e.moved_at) * 1000000)::bigint, e.forgotten,
            e.everyone AND NOT EXISTS (
                SELECT FROM mayday.notification n
                WHERE n.alert = e.alert AND n.org = e.org AND n.round = e.round AND n.level = e.level AND NOT n.family
                  AND n.person <> ALL (e.answered_by) AND n.purpose IN ('raise', 'forgotten')),
            a.status, a.type, a.priority, a.decoy IS NOT NULL,
            coalesce((SELECT p.name FROM mayday.person p WHERE p.org = a.org AND p.person = a.raised_by), a.raised_by),
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
        claimed := claimed + 1;
        EXIT WHEN claimed >= most;
    END LOOP;
END
$$;

-- Milliseconds until one is due; 0: one is; NULL: none ever. Of some organisations by an index of each: those of others
-- may be many.
CREATE INDEX ON mayday.escalation (org, due_at) WHERE due_at IS NOT NULL;
CREATE FUNCTION mayday.escalation_sleep(orgs text[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    due timestamptz;
BEGIN
    IF orgs IS NULL THEN
        SELECT min(e.due_at) INTO due FROM mayday.escalation e WHERE e.due_at IS NOT NULL;
    ELSE
        SELECT min(f.due_at) INTO due FROM unnest(orgs) o(org) CROSS JOIN LATERAL (
            SELECT e.due_at FROM mayday.escalation e WHERE e.org = o.org AND e.due_at IS NOT NULL
            ORDER BY e.due_at LIMIT 1) f;
    END IF;
    RETURN CASE WHEN due IS NOT NULL THEN greatest(ceil(extract(epoch FROM due - clock_timestamp()) * 1000), 0)::bigint END;
END
$$;

CREATE FUNCTION mayday.at_us(us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz 'epoch' + us * interval '1 microsecond'
$$;

-- Who was told of an incident has it in their app. Dispatch sees all of them anyway; whoever belongs to it more than that
-- stays what they are.
CREATE FUNCTION mayday.escalation_invite(a mayday.alert, people text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mayday.join_alert(a.org, a.id, p, 'invited', 'mayday')
    FROM unnest(people) p
    WHERE NOT EXISTS (SELECT FROM mayday.person x WHERE x.org = a.org AND x.person = p
                      AND x.roles && '{dispatcher,supervisor}')
      AND NOT EXISTS (SELECT FROM mayday.membership m WHERE m.org = a.org AND m.family = 'alert' AND m.id = a.id::text
                      AND m.person = p AND coalesce(m.until, 'infinity') = 'infinity' AND m.relation <> 'family');
END
$$;

-- Tells targets; returns how many people and webhooks these were. `kinds` NULL: by each one's own order.
CREATE FUNCTION mayday.escalation_tell(a mayday.alert, in_purpose text, forgotten integer, in_round integer,
    in_level integer, targets jsonb, kinds text[], gap interval, validity interval) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    told integer;
    people text[];
BEGIN
    WITH whom AS MATERIALIZED (
        -- Family is told once; and that nobody answers, is not for them.
        SELECT * FROM mayday.plan_people(a.org, a.id, targets, moment) w WHERE NOT w.family OR in_purpose = 'raise'
    ), places AS (
        SELECT w.person, w.family, c.kind, c.number AS address, c.place, w.person AS name
        FROM whom w CROSS JOIN LATERAL mayday.places_of(a.org, w.person, kinds) c WHERE w.person IS NOT NULL
        UNION ALL
        SELECT NULL, false, 'webhook', w.webhook, 1, 'webhook:' || w.webhook FROM whom w WHERE w.webhook IS NOT NULL
    ), made AS (
        INSERT INTO mayday.notification (id, org, alert, person, kind, address, purpose, family, round, level, place, rank,
                                         behind, lang, code, due_at, expires_at)
        SELECT mayday.notification_id(a.org, a.id, forgotten, in_round, in_level, p.name, p.place), a.org, a.id, p.person,
               p.kind, p.address, in_purpose, p.family, in_round, in_level, p.place, mayday.priority_rank(a.priority),
               -- When hundreds raise at once, somebody hears of each before others hear of any.
               p.family OR row_number() OVER (PARTITION BY p.family, p.kind ORDER BY p.place, p.name) > 1,
               (SELECT x.lang FROM mayday.person x WHERE x.org = a.org AND x.person = p.person),
               CASE WHEN p.kind = 'sms' THEN mayday.fresh_code(p.address) END, moment + (p.place - 1) * gap,
               moment + (p.place - 1) * gap + validity
        FROM places p ON CONFLICT (id) DO NOTHING
    )
    SELECT count(*), array_agg(w.person ORDER BY w.person) FILTER (WHERE w.person IS NOT NULL AND NOT w.family)
    INTO told, people FROM whom w;
    IF people IS NOT NULL THEN
        PERFORM mayday.escalation_invite(a, people);
    END IF;
    IF told > 0 THEN
        PERFORM pg_notify('mayday_notify', '');
    END IF;
    RETURN told;
END
$$;

-- Family who was told of the alarm hears how it went on, each thing once for each time it was opened, as long as they
-- may follow. Under duress they hear what the raiser's phone shows, and nothing after that.
CREATE FUNCTION mayday.escalation_follow(a mayday.alert, in_purpose text, validity interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    opening text := CASE WHEN a.decoy IS NOT NULL THEN 'shown' ELSE (
        SELECT count(*)::text FROM mayday.escalation_step t WHERE t.alert = a.id AND t.org = a.org AND t.step = 'begun_again') END;
BEGIN
    PERFORM mayday.notify(a.org, a.id, w.person, c.kind, c.number, in_purpose, 1, true, 0, 0, 1, clock_timestamp(), validity,
        mayday.notification_id(a.org, a.id, 0, 0, 0, concat_ws(':', in_purpose, opening, w.person), 1))
    FROM (SELECT DISTINCT n.person FROM mayday.notification n
          WHERE n.alert = a.id AND n.org = a.org AND n.family AND n.purpose = 'raise'
            AND n.status IN ('sending', 'doubt', 'sent', 'delivered', 'answered')) w
    JOIN mayday.contact f ON f.org = a.org AND f.person = a.raised_by AND f.contact = w.person
    CROSS JOIN LATERAL (SELECT * FROM mayday.places_of(a.org, w.person) p
                        ORDER BY p.kind = 'voice', p.kind = 'mqtt', p.place LIMIT 1) c
    ORDER BY w.person;
END
$$;

-- Nobody answered, and dispatch cannot miss it: everybody of these roles hears it, those who are away when they are
-- back. While the raiser may not know that it goes on, it is said to the others one by one: some session of the raiser
-- may hold that role, whatever their newest token says.
CREATE FUNCTION mayday.escalation_broadcast(a mayday.alert, in_round integer, words text, lang text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := jsonb_build_object('v', 1, 'ts', mayday.spell(clock_timestamp()), 'text', words, 'lang', lang);
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['dispatcher', 'supervisor'] LOOP
        IF a.duress_at IS NULL THEN
            PERFORM mayday.post(a.org, 'role/' || role, 'message', 'broadcast', said || jsonb_build_object(
                'id', mayday.notification_id(a.org, a.id, 0, in_round, 0, 'exhausted:' || role, 0)));
        ELSE
            PERFORM mayday.post(a.org, 'user/' || p.person, 'message', 'inbox', said || jsonb_build_object(
                'kind', 'message', 'id', mayday.notification_id(a.org, a.id, 0, in_round, 0, 'exhausted:' || p.person, 0)))
            FROM mayday.person p WHERE p.org = a.org AND p.roles @> ARRAY[role] AND p.person <> a.raised_by
              AND p.roles && '{dispatcher,supervisor,responder}';
        END IF;
    END LOOP;
END
$$;

-- One step that lib/core/escalation.c decided, of an escalation that is locked.
CREATE FUNCTION mayday.escalation_step_store(s jsonb, validity interval) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    a mayday.alert;
    e mayday.escalation;
    was mayday.escalation;
    told integer;
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = s->>'org' AND x.id = (s->>'alert')::uuid;
    SELECT * INTO was FROM mayday.escalation x WHERE x.org = a.org AND x.alert = a.id;
    e := was;
    e.policy := s->>'policy';
    e.status := s->>'status';
    e.round := (s->>'round')::integer;
    e.first_round := (s->>'first_round')::integer;
    e.level := (s->>'level')::integer;
    e.forgotten := (s->>'forgotten')::integer;
    e.begun_at := mayday.at_us((s->>'begun_us')::bigint);
    e.due_at := mayday.at_us((s->>'due_us')::bigint);
    e.next_at := CASE WHEN e.status IN ('running', 'held') THEN e.due_at END;
    e.wanted_level := NULL;
    e.everyone := coalesce((s->>'everyone')::boolean, false);
    e.held_until := CASE WHEN e.status = 'held' THEN was.held_until END;
    e.exhausted_at := CASE WHEN s ? 'exhausted' THEN clock_timestamp() WHEN e.first_round = was.first_round
                           THEN was.exhausted_at END;
    IF (s->>'anew')::boolean THEN
        e.answered_at := NULL;
        e.answered_by := '{}';
    END IF;
    UPDATE mayday.escalation x SET policy = e.policy, status = e.status, round = e.round, first_round = e.first_round,
        level = e.level, forgotten = e.forgotten, begun_at = e.begun_at, due_at = e.due_at, next_at = e.next_at,
        wanted_level = e.wanted_level, everyone = e.everyone, held_until = e.held_until, exhausted_at = e.exhausted_at,
        answered_at = e.answered_at, answered_by = e.answered_by, fault = NULL
    WHERE x.org = a.org AND x.alert = a.id;
    IF (s->>'withdraw')::boolean THEN
        PERFORM mayday.withdraw(a.org, a.id);
    END IF;
    IF s ? 'begins' THEN -- 'forgotten' or 'begun_again'
        INSERT INTO mayday.escalation_step (org, alert, step, round, level)
        VALUES (a.org, a.id, s->>'begins', e.round, 0);
        PERFORM mayday.record_audit(a.org, 'escalation.' || (s->>'begins'), 'mayday', NULL, a.id,
                                    jsonb_build_object('round', e.round));
    END IF;
    IF s ? 'tell' THEN
        told := mayday.escalation_tell(a, s->>'purpose', e.forgotten, e.round, e.level, s->'tell',
            CASE WHEN s ? 'kinds' THEN ARRAY(SELECT jsonb_array_elements_text(s->'kinds')) END,
            (s->>'gap_ms')::bigint * interval '1 millisecond', validity);
        INSERT INTO mayday.escalation_step (org, alert, step, round, level, people)
        VALUES (a.org, a.id, 'told', e.round, e.level, told);
        PERFORM mayday.record_audit(a.org, 'escalation.told', 'mayday', NULL, a.id, jsonb_build_object(
            'policy', e.policy, 'round', e.round, 'level', e.level, 'told', told));
    END IF;
    IF s ? 'exhausted' THEN
        told := mayday.escalation_tell(a, 'exhausted', e.forgotten, e.round, 0, s->'exhausted', NULL, interval '60 seconds',
                                       validity);
        PERFORM mayday.escalation_broadcast(a, e.round, s->>'words', s->>'lang');
        INSERT INTO mayday.escalation_step (org, alert, step, round, level, people)
        VALUES (a.org, a.id, 'exhausted', e.round, e.level, told);
        PERFORM mayday.record_audit(a.org, 'escalation.exhausted', 'mayday', NULL, a.id, jsonb_build_object(
            'policy', e.policy, 'round', e.round, 'level', e.level, 'told', told));
    END IF;
    IF e.status = 'answered' AND e.status <> was.status THEN
        INSERT INTO mayday.escalation_step (org, alert, step, round, level) VALUES (a.org, a.id, e.status, e.round, e.level);
    END IF;
    IF s ? 'follow' THEN
        PERFORM mayday.escalation_follow(a, s->>'follow', validity);
    END IF;
    -- Of one that is closed, or answered, all has been said by whoever did that.
    IF a.closed_at IS NULL AND e.status IN ('running', 'held', 'exhausted')
       AND (e.level, e.status, e.next_at, e.exhausted_at) IS DISTINCT FROM
           (a.escalation_level, was.status, was.next_at, was.exhausted_at) THEN
        UPDATE mayday.alert x SET escalation_level = e.level WHERE x.org = a.org AND x.id = a.id;
        PERFORM mayday.tell_incident(a, CASE WHEN a.decoy IS NULL THEN 'state' ELSE 'dispatch' END);
    END IF;
END
$$;

-- One that cannot be stored, for what somebody entered, must not stop the others. Nobody is told while it cannot, so it is
-- never given up; but its reason is said once. Returns how many there are whose reason is new.
CREATE FUNCTION mayday.escalation_store(steps jsonb, validity interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s jsonb;
    was text;
    failed integer := 0;
BEGIN
    FOR s IN SELECT x.value FROM jsonb_array_elements(steps) x LOOP
        BEGIN
            PERFORM mayday.escalation_step_store(s, validity);
        EXCEPTION
        WHEN transaction_rollback OR operator_intervention OR insufficient_resources OR object_not_in_prerequisite_state
        THEN
            RAISE; -- all of it is done again
        WHEN OTHERS THEN
            SELECT e.fault INTO was FROM mayday.escalation e WHERE e.org = s->>'org' AND e.alert = (s->>'alert')::uuid;
            UPDATE mayday.escalation e SET due_at = clock_timestamp() + interval '5 seconds', fault = SQLERRM
            WHERE e.org = s->>'org' AND e.alert = (s->>'alert')::uuid;
            CONTINUE WHEN was = SQLERRM;
            failed := failed + 1;
            PERFORM mayday.record_audit(s->>'org', 'escalation.failed', 'mayday', NULL, (s->>'alert')::uuid,
                                        jsonb_build_object('why', SQLERRM));
        END;
    END LOOP;
    RETURN failed;
END
$$;

-- ---- what is shown ----

-- As `state` says it. Nothing of it depends on when the engine was last woken.
CREATE FUNCTION mayday.escalation_json(a mayday.alert) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    e mayday.escalation;
BEGIN
    SELECT * INTO e FROM mayday.escalation x WHERE x.org = a.org AND x.alert = a.id;
    RETURN jsonb_build_object('level', a.escalation_level,
        'next_at', CASE WHEN a.status NOT IN ('resolved', 'canceled') AND e.status IN ('running', 'held')
                             AND (e.answered_at IS NULL OR e.everyone) THEN mayday.spell(e.next_at) END,
        'exhausted_at', mayday.spell(e.exhausted_at));
END
$$;

-- As `dispatch` says it besides.
CREATE FUNCTION mayday.escalation_truth(a mayday.alert) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    e mayday.escalation;
BEGIN
    SELECT * INTO e FROM mayday.escalation x WHERE x.org = a.org AND x.alert = a.id;
    RETURN mayday.escalation_json(a) || jsonb_build_object(
        'status', CASE WHEN a.status IN ('resolved', 'canceled') THEN 'ended'
                       WHEN e.answered_at IS NOT NULL AND NOT e.everyone AND e.status IN ('running', 'held', 'exhausted')
                       THEN 'answered' ELSE e.status END,
        'policy', CASE WHEN e.level > 0 OR e.round > 0 THEN nullif(e.policy, '') END, -- before, nobody is told when it is chosen
        'held_until', CASE WHEN e.status = 'held' THEN mayday.spell(e.held_until) END);
END
$$;

-- Its part of the timeline: steps, notifications and attempts, without addresses and texts.
CREATE FUNCTION mayday.escalation_of(in_alert uuid)
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT s.at, s.at, 'escalation', s.id, s.org, 'mayday', jsonb_strip_nulls(jsonb_build_object(
        'step', s.step, 'round', s.round, 'level', s.level, 'people', s.people))
    FROM mayday.escalation_step s WHERE s.alert = in_alert
    UNION ALL
    SELECT n.made_at, n.made_at, 'notification', n.id, n.org, 'mayday', jsonb_strip_nulls(jsonb_build_object(
        'person', n.person, 'by', n.kind, 'purpose', n.purpose, 'family', nullif(n.family, false), 'round', n.round,
        'level', n.level, 'place', n.place, 'status', n.status, 'why', n.why, 'sent_at', mayday.spell(n.sent_at),
        'done_at', mayday.spell(n.done_at)))
    FROM mayday.notification n WHERE n.alert = in_alert
    UNION ALL
    SELECT t.begun_at, t.begun_at, 'attempt', t.id, t.org, 'mayday', jsonb_strip_nulls(jsonb_build_object(
        'notification', t.notification, 'person', n.person, 'provider', t.provider, 'outcome', t.outcome, 'code', t.code,
        'http_status', t.http_status, 'receipt', t.receipt, 'ended_at', mayday.spell(t.ended_at)))
    FROM mayday.attempt t JOIN mayday.notification n ON n.id = t.notification WHERE t.alert = in_alert
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.on_call(text, text, timestamptz), mayday.plan_people(text, uuid, jsonb, timestamptz),
    mayday.escalation_of(uuid) TO mayday_gateway, mayday_console;
GRANT EXECUTE ON FUNCTION mayday.places_of(text, text, text[]), -- which has the numbers
    mayday.notification_id(text, uuid, integer, integer, integer, text, integer),
    mayday.notify(text, uuid, text, text, text, text, integer, boolean, integer, integer, integer, timestamptz, interval, uuid),
    mayday.withdraw(text, uuid, text), mayday.escalation_claim(text[], integer), mayday.escalation_sleep(text[]),
    mayday.escalation_store(jsonb, interval) TO mayday_gateway;
