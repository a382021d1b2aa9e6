-- How incidents begin, change and end. The brokers' writers and the gateway change them only through these functions,
-- in the transaction that stores what made them change. Which action is legal is said in lib/core/incident.c alone:
-- the writer locks the incident (incident_lock), judges, and applies (incident_apply, incident_refuse).

-- What is shown. These functions run again and again for each change of each incident, so they are PL/pgSQL, which keeps
-- its plans: an SQL function that can't be inlined is planned anew in every statement.

-- An id for a message that Mayday makes from what it knows: the same content, the same id.
CREATE FUNCTION mayday.derived_id(content text, moment timestamptz) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    h text := md5(content);
BEGIN
    RETURN (left(mayday.uuid_at(moment)::text, 13) || '-7' || substr(h, 1, 3) || '-a' || substr(h, 4, 3) || '-'
            || substr(h, 7, 12))::uuid;
END
$$;

-- The newest position of the raiser, sent to the incident; under duress, when they can't, also one sent elsewhere.
CREATE FUNCTION mayday.incident_location(a mayday.alert, anywhere boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    since uuid := mayday.uuid_at(least(a.raised_at, a.received_at) - interval '1 day');
    l mayday.location;
BEGIN
    IF anywhere THEN
        SELECT * INTO l FROM mayday.location x
        WHERE x.org = a.org AND x.person = a.raised_by AND x.id >= since AND x.at >= least(a.raised_at, a.received_at)
        ORDER BY x.at DESC LIMIT 1;
    ELSE
        SELECT * INTO l FROM mayday.location x
        WHERE x.alert = a.id AND x.org = a.org AND x.person = a.raised_by AND x.id >= since
        ORDER BY x.at DESC LIMIT 1;
    END IF;
    IF l.id IS NULL THEN
        RETURN CASE WHEN a.position IS NOT NULL THEN
            jsonb_build_object('lat', ST_Y(a.position::geometry), 'lon', ST_X(a.position::geometry)) END;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'lat', ST_Y(l.position::geometry), 'lon', ST_X(l.position::geometry), 'accuracy', l.accuracy,
        'altitude', l.altitude, 'speed', l.speed, 'heading', l.heading, 'source', l.source, 'battery', l.battery));
END
$$;

-- Who belongs to an incident as what. (With a plain "until IS NULL" the planner would take the index of a person's
-- incidents.)
CREATE FUNCTION mayday.incident_people(in_org text, in_alert uuid, in_relation text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(m.person ORDER BY m.person), '[]') FROM mayday.membership m
            WHERE m.org = in_org AND m.family = 'alert' AND m.id = in_alert::text AND m.relation = in_relation
              AND coalesce(m.until, 'infinity') = 'infinity');
END
$$;

-- What `state` and `dispatch` have in common, without their id.
CREATE FUNCTION mayday.incident_json(a mayday.alert) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'v', 1, 'ts', mayday.spell(a.changed_at), 'version', a.version, 'status', a.status, 'type', a.type,
        'priority', a.priority, 'raised_by', a.raised_by, 'raised_at', mayday.spell(a.raised_at),
        'location', mayday.incident_location(a, false),
        'assigned', mayday.incident_people(a.org, a.id, 'assigned'),
        'receipts', jsonb_build_object(
            'received', mayday.spell(a.received_at), 'stored', mayday.spell(a.stored_at),
            'notified', mayday.spell(a.notified_at), 'delivered', mayday.spell(a.delivered_at),
            'acknowledged', CASE WHEN a.acknowledged_at IS NOT NULL THEN
                jsonb_build_object('at', mayday.spell(a.acknowledged_at), 'by', a.acknowledged_by) END),
        'escalation', mayday.escalation_json(a)));
END
$$;

CREATE FUNCTION mayday.with_id(shown jsonb, in_alert uuid, leaf text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN shown || jsonb_build_object('id', mayday.derived_id(in_alert::text || leaf || shown::text,
                                                               (shown->>'ts')::timestamptz));
END
$$;

-- `alert/<id>/state` as it is now (schemas/state.json); NULL when nothing is to be retained there.
CREATE FUNCTION mayday.state_of(in_org text, in_alert uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    joined jsonb := '{}';
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert;
    IF a.joined_to IS NOT NULL THEN
        joined := jsonb_build_object('joined', a.joined_to);
        SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = a.joined_to;
    END IF;
    IF a.id IS NULL OR a.retired_at IS NOT NULL OR a.decoy = 'null' THEN
        RETURN NULL;
    END IF;
    a.priority := coalesce(a.shown_priority, a.priority);
    RETURN mayday.with_id(coalesce(a.decoy, mayday.incident_json(a)) || joined, in_alert, 'state');
END
$$;

-- `alert/<id>/dispatch` as it is now (schemas/dispatch.json); NULL when nothing is to be retained there.
CREATE FUNCTION mayday.dispatch_of(in_org text, in_alert uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    joined jsonb := '{}';
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert;
    IF a.joined_to IS NOT NULL THEN
        joined := jsonb_build_object('joined', a.joined_to);
        SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = a.joined_to;
    END IF;
    IF a.id IS NULL OR a.retired_at IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- A repeated press does not count them: it would have to be said again at each.
    RETURN mayday.with_id(mayday.incident_json(a) || joined || jsonb_strip_nulls(jsonb_build_object(
        'escalation', mayday.escalation_truth(a),
        'presses', CASE WHEN a.id = in_alert THEN a.presses END, 'silent', a.silent, 'offline', a.offline, 'cause', a.cause,
        'duress_at', mayday.spell(a.duress_at), 'invited', mayday.incident_people(a.org, a.id, 'invited'),
        'location', CASE WHEN a.duress_at IS NOT NULL THEN mayday.incident_location(a, true) END)), in_alert, 'dispatch');
END
$$;

-- The ids an incident has: its own, and those of the repeated presses that joined it.
CREATE FUNCTION mayday.incident_ids(a mayday.alert) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.presses > 1
           THEN a.id || ARRAY(SELECT x.id FROM mayday.alert x WHERE x.org = a.org AND x.joined_to = a.id ORDER BY x.id)
           ELSE ARRAY[a.id] END
$$;

-- Has it said on MQTT. Once there is a decoy, nothing moves on the raiser's side any more.
CREATE FUNCTION mayday.tell_incident(a mayday.alert, in_kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    each uuid;
BEGIN
    FOREACH each IN ARRAY mayday.incident_ids(a) LOOP
        PERFORM mayday.post(a.org, 'alert/' || each, in_kind);
    END LOOP;
END
$$;

-- Who belongs to it.

-- Which incident an id means: the one it joined, or its own.
CREATE FUNCTION mayday.incident_of(in_org text, in_alert uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT a.joined_to FROM mayday.alert a WHERE a.org = in_org AND a.id = in_alert), in_alert)
$$;

-- Assigns or invites a person to an incident, or lets a family contact follow it. Its raiser stays its raiser.
CREATE FUNCTION mayday.join_alert(in_org text, in_alert uuid, in_person text, in_relation text, by_whom text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_relation NOT IN ('assigned', 'invited', 'family') THEN
        RAISE EXCEPTION 'a person is assigned, invited or family, not %', in_relation USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.membership AS m (org, family, id, person, relation, changed_by)
    VALUES (in_org, 'alert', mayday.incident_of(in_org, in_alert)::text, in_person, in_relation, by_whom)
    ON CONFLICT (org, family, id, person) DO UPDATE
        SET relation = excluded.relation, changed_by = excluded.changed_by, until = NULL,
            since = CASE WHEN m.until IS NULL THEN m.since ELSE excluded.since END
        WHERE m.relation NOT IN ('raiser', 'former', 'past') AND (m.until IS NOT NULL OR m.relation <> excluded.relation);
END
$$;

-- Ends a membership, the raiser's excepted. Who is a family contact as well stays as that.
CREATE FUNCTION mayday.leave_alert(in_org text, in_alert uuid, in_person text, by_whom text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.membership m SET changed_by = by_whom,
        until = CASE WHEN f.stays THEN NULL ELSE now() END, relation = CASE WHEN f.stays THEN 'family' ELSE m.relation END
    FROM (SELECT i.id, EXISTS (SELECT FROM mayday.alert a
                               JOIN mayday.contact c ON c.org = a.org AND c.person = a.raised_by AND c.contact = in_person
                               WHERE a.org = in_org AND a.id = i.id) AS stays
          FROM mayday.incident_of(in_org, in_alert) i(id)) f
    WHERE m.org = in_org AND m.family = 'alert' AND m.id = f.id::text AND m.person = in_person
      AND m.relation IN ('assigned', 'invited') AND coalesce(m.until, 'infinity') = 'infinity'
$$;

-- Says an incident again to those who just joined it (as tell_membership notified it) and are connected at this broker:
-- what was said since may have come by before the broker knew of them. Under duress nothing moves where the raiser looks.
CREATE FUNCTION mayday.say_again(in_node text, joined jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mayday.post(a.org, 'alert/' || a.id, CASE WHEN a.duress_at IS NULL THEN 'state' ELSE 'dispatch' END)
    FROM (SELECT DISTINCT j.org, j.id FROM jsonb_to_recordset(joined) j(family text, org text, id text, person text)
          WHERE j.family = 'alert' AND EXISTS (SELECT FROM mayday.connection c WHERE c.org = j.org AND c.person = j.person
                                               AND c.node = in_node)) j
    JOIN mayday.alert a ON a.org = j.org AND a.id = j.id::uuid;
END
$$;

-- What the actions taken so far make of a person, the last one that holds deciding.
CREATE FUNCTION mayday.settle_belonging(a mayday.alert, in_person text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    said text;
    by_whom text;
BEGIN
    SELECT x.action, x.sender INTO said, by_whom FROM mayday.action x
    WHERE x.alert = ANY (mayday.incident_ids(a)) AND x.org = a.org AND x.person = in_person AND x.verdict = 'applied'
      AND x.action IN ('assign', 'unassign', 'invite')
    ORDER BY x.run DESC, x.offline DESC, x.done_at DESC, x.id DESC LIMIT 1;
    IF said IN ('assign', 'invite') THEN
        PERFORM mayday.join_alert(a.org, a.id, in_person, CASE said WHEN 'assign' THEN 'assigned' ELSE 'invited' END,
                                  by_whom);
    ELSE
        PERFORM mayday.leave_alert(a.org, a.id, in_person, coalesce(by_whom, 'mayday'));
    END IF;
END
$$;

-- The raiser follows an incident they canceled through its `state` alone, until its grace is over.
CREATE FUNCTION mayday.settle_raiser(a mayday.alert, by_whom text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted text := CASE WHEN a.status = 'canceled' OR a.decoy IS NOT NULL THEN 'former' ELSE 'raiser' END;
    each uuid;
BEGIN
    FOREACH each IN ARRAY mayday.incident_ids(a) LOOP
        UPDATE mayday.membership m SET relation = wanted, changed_by = by_whom,
            until = CASE WHEN m.relation = 'past' THEN NULL ELSE m.until END
        WHERE m.org = a.org AND m.family = 'alert' AND m.id = each::text AND m.person = a.raised_by
          AND m.relation IN ('raiser', 'former', 'past') AND m.relation <> wanted;
    END LOOP;
END
$$;

-- A raise.

CREATE FUNCTION mayday.priority_rank(priority text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_position(ARRAY['low', 'medium', 'high', 'critical'], priority), 0)
$$;

-- How urgent a raise is that does not say so.
CREATE FUNCTION mayday.urgency(in_type text, in_priority text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(in_priority, CASE in_type WHEN 'security' THEN 'high' WHEN 'general' THEN 'medium' ELSE 'critical' END)
$$;

-- The lock of a person who raises. There are few, because they are many in one transaction.
CREATE FUNCTION mayday.raiser_key(in_org text, in_person text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtext(in_org || '/' || in_person) & 255
$$;
CREATE FUNCTION mayday.lock_raiser(raiser_key integer) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('mayday.raise'), raiser_key)
$$;

-- A broker that did not know the incident has let the sender in as its raiser: it hears what they really are.
CREATE FUNCTION mayday.correct_membership(in_org text, in_alert uuid, in_person text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    m mayday.membership;
BEGIN
    -- By the whole key alone: with "until IS NULL" the planner takes the index of a person's incidents.
    SELECT * INTO m FROM mayday.membership x
    WHERE x.org = in_org AND x.family = 'alert' AND x.id = in_alert::text AND x.person = in_person;
    IF m.relation = 'raiser' AND m.until IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_notify('mayday_membership', json_build_object(
        'op', CASE WHEN m.relation IS NULL OR m.until IS NOT NULL THEN 'remove' ELSE 'set' END, 'org', in_org,
        'family', 'alert', 'id', in_alert, 'person', in_person, 'relation', m.relation)::text);
END
$$;

-- One more press for an open incident. A more urgent one makes it more urgent; a position moves it.
CREATE FUNCTION mayday.press_again(a mayday.alert, in_priority text, in_position public.geography) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    urgent boolean := mayday.priority_rank(in_priority) > mayday.priority_rank(coalesce(a.shown_priority, a.priority));
BEGIN
    UPDATE mayday.alert x SET presses = x.presses + 1, position = coalesce(in_position, x.position),
        priority = CASE WHEN urgent AND x.shown_priority IS NULL THEN in_priority ELSE x.priority END,
        shown_priority = CASE WHEN urgent AND x.shown_priority IS NOT NULL THEN in_priority ELSE x.shown_priority END,
        version = x.version + urgent::integer, changed_at = CASE WHEN urgent THEN now() ELSE x.changed_at END
    WHERE x.org = a.org AND x.id = a.id RETURNING x.* INTO a;
    IF urgent THEN
        PERFORM mayday.escalation_urgent(a);
    END IF;
    IF urgent OR in_position IS NOT NULL THEN
        PERFORM mayday.tell_incident(a, 'state');
    ELSE
        PERFORM mayday.post(a.org, 'alert/' || a.id, 'dispatch');
    END IF;
END
$$;

-- The incident that a person has open since `since`: the one that further presses join. See the index for its words.
CREATE FUNCTION mayday.open_of(in_org text, in_person text, since timestamptz) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT x.id FROM mayday.alert x
            WHERE x.raised_by = in_person AND x.received_at >= since AND (x.org = in_org) IS TRUE
              AND num_nonnulls(x.closed_at, x.decoy, x.joined_to) = 0
            ORDER BY x.received_at LIMIT 1);
END
$$;

-- Of the rows for repeated presses the newest stay: the one that the phone goes by is among them.
CREATE FUNCTION mayday.forget_joined(a mayday.alert, most integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    oldest uuid;
BEGIN
    FOR oldest IN SELECT x.id FROM mayday.alert x WHERE x.org = a.org AND x.joined_to = a.id
                  ORDER BY x.received_at DESC, x.id DESC OFFSET most LOOP
        UPDATE mayday.membership m SET until = now(), changed_by = 'mayday'
        WHERE m.org = a.org AND m.family = 'alert' AND m.id = oldest::text AND coalesce(m.until, 'infinity') = 'infinity';
        DELETE FROM mayday.alert x WHERE x.org = a.org AND x.id = oldest;
        PERFORM mayday.post(a.org, 'alert/' || oldest, 'state');
    END LOOP;
END
$$;

-- The first raise makes the incident; its person, and nobody else, is its raiser. Repeating it changes nothing but
-- how often it was pressed. Within `join_window` of an open incident of the same person it joins that one instead.
-- `in_sender` is who sent it, `in_person` whom it is for; `fresh`: the message is new.
--
-- What is raised silently for somebody is a call for help under duress (0011): on their side nothing may change at all.
-- They are nothing to it but its raiser, and what would say so to anybody else, `state`, says nothing from the beginning.
CREATE FUNCTION mayday.open_alert(in_org text, in_alert uuid, in_sender text, in_person text, in_at timestamptz,
    in_received_at timestamptz, in_type text, in_priority text, lat double precision, lon double precision,
    in_silent boolean, in_offline boolean, fresh boolean, join_window interval) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    joined_most CONSTANT integer := 20; -- rows for repeated presses that one open incident may have
    urgency text := mayday.urgency(in_type, in_priority);
    place geography := ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography;
    a mayday.alert;
    known mayday.alert;
    made boolean := false;
    hidden boolean := coalesce(in_silent, false) AND in_sender <> in_person;
BEGIN
    SELECT * INTO known FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert;
    IF known.id IS NULL THEN
        PERFORM mayday.lock_raiser(mayday.raiser_key(in_org, in_person));
        SELECT * INTO a FROM mayday.alert x
        WHERE x.org = in_org AND x.id = mayday.open_of(in_org, in_person, in_received_at - join_window)
          AND x.closed_at IS NULL AND x.decoy IS NULL FOR UPDATE;
        INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, position, silent,
                                  offline, joined_to, duress_at, decoy, cause)
        VALUES (in_org, in_alert, in_person, in_at, in_received_at, in_type, urgency, place,
                coalesce(in_silent, false), in_offline, a.id, CASE WHEN hidden AND a.id IS NULL THEN now() END,
                CASE WHEN hidden AND a.id IS NULL THEN 'null'::jsonb END,
                CASE WHEN in_sender = in_person THEN 'person'
                     WHEN EXISTS (SELECT FROM mayday.check_watch w WHERE w.alarm_alert = in_alert) THEN 'check'
                     ELSE 'gateway' END)
        ON CONFLICT (org, id) DO NOTHING;
        made := FOUND;
        IF made THEN
            INSERT INTO mayday.membership (org, family, id, person, relation, changed_by)
            VALUES (in_org, 'alert', in_alert::text, in_person, CASE WHEN hidden THEN 'past' ELSE 'raiser' END, in_sender)
            ON CONFLICT DO NOTHING;
            IF hidden THEN
                NULL; -- family sees what the raiser's phone shows
            ELSIF a.id IS NULL THEN
                INSERT INTO mayday.membership (org, family, id, person, relation, changed_by)
                SELECT c.org, 'alert', in_alert::text, c.contact, 'family', in_sender FROM mayday.contact c
                WHERE c.org = in_org AND c.person = in_person AND c.contact <> in_person
                ON CONFLICT DO NOTHING;
            ELSIF a.presses > joined_most THEN
                PERFORM mayday.forget_joined(a, joined_most);
            END IF;
            PERFORM mayday.post(in_org, 'alert/' || in_alert, CASE WHEN hidden THEN 'dispatch' ELSE 'state' END);
        END IF;
        PERFORM mayday.record_audit(in_org, CASE WHEN a.id IS NULL THEN 'incident.raise' ELSE 'incident.join' END,
            in_sender, in_person, in_alert,
            jsonb_strip_nulls(jsonb_build_object('type', in_type, 'priority', urgency, 'joined', a.id,
                                                 'duress', nullif(hidden, false))));
        IF hidden AND a.id IS NOT NULL THEN
            PERFORM mayday.incident_duress(in_org, a.id, in_alert, in_sender, 0, 0, true);
        ELSIF a.id IS NOT NULL THEN
            PERFORM mayday.press_again(a, urgency, place);
        END IF;
    ELSIF fresh AND known.raised_by = in_person THEN
        SELECT * INTO a FROM mayday.alert x
        WHERE x.org = in_org AND x.id = coalesce(known.joined_to, known.id) AND x.closed_at IS NULL
          AND x.decoy IS NULL FOR UPDATE;
        IF a.id IS NOT NULL THEN
            PERFORM mayday.press_again(a, urgency, place);
        END IF;
    END IF;
    IF NOT made OR in_sender <> in_person THEN
        PERFORM mayday.correct_membership(in_org, in_alert, in_sender);
    END IF;
END
$$;

-- The raises of a batch, in their order. Those of people who have nothing open and pressed once, nearly all, are made
-- together: it takes a third of the time.
CREATE FUNCTION mayday.open_alerts(raises jsonb, join_window interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    r record;
    made text[];
BEGIN
    -- Two presses on two devices at once must find each other; in one order for all writers.
    PERFORM mayday.lock_raiser(k) FROM (SELECT DISTINCT mayday.raiser_key(x->>'org', x->>'person') AS k
                                        FROM jsonb_array_elements(raises) x ORDER BY 1) locks;
    WITH said AS MATERIALIZED (
        SELECT x.*, count(*) OVER (PARTITION BY x.org, x.person) AS times,
               count(*) OVER (PARTITION BY x.org, x.alert) AS claims
        FROM jsonb_to_recordset(raises) x(org text, alert uuid, sender text, person text, at timestamptz,
            received_at timestamptz, type text, priority text, lat double precision, lon double precision,
            silent boolean, offline boolean)
    ), simple AS MATERIALIZED (
        -- LIMIT keeps these as probes of an index, one for each raise, whatever the statistics say.
        SELECT s.*, mayday.urgency(s.type, s.priority) AS urgency FROM said s
        WHERE s.times = 1 AND s.claims = 1 AND s.sender = s.person
          AND (SELECT x.id FROM mayday.alert x WHERE x.org = s.org AND x.id = s.alert LIMIT 1) IS NULL
          AND mayday.open_of(s.org, s.person, s.received_at - join_window) IS NULL
    ), opened AS (
        INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, position, silent, offline)
        SELECT s.org, s.alert, s.person, s.at, s.received_at, s.type, s.urgency,
               ST_SetSRID(ST_MakePoint(s.lon, s.lat), 4326)::geography, coalesce(s.silent, false), s.offline
        FROM simple s ON CONFLICT (org, id) DO NOTHING RETURNING org, id, raised_by, type, priority
    ), members AS (
        INSERT INTO mayday.membership (org, family, id, person, relation, changed_by)
        SELECT o.org, 'alert', o.id::text, o.raised_by, 'raiser', o.raised_by FROM opened o
        UNION ALL
        SELECT o.org, 'alert', o.id::text, c.contact, 'family', o.raised_by FROM opened o
        CROSS JOIN LATERAL (SELECT y.contact FROM mayday.contact y
                            WHERE y.org = o.org AND y.person = o.raised_by AND y.contact <> o.raised_by LIMIT 1000) c
        ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO mayday.outbox (org, lane, kind) SELECT o.org, 'alert/' || o.id, 'state' FROM opened o
    ), audited AS (
        SELECT mayday.record_audit(o.org, 'incident.raise', o.raised_by, o.raised_by, o.id,
                                   jsonb_build_object('type', o.type, 'priority', o.priority)),
               o.org || '/' || o.id AS which
        FROM opened o
    )
    SELECT array_agg(u.which) INTO made FROM audited u;
    PERFORM pg_notify('mayday_outbox', '');
    -- Of somebody who pressed very often the first, the newest and whatever is more urgent than those before get rows;
    -- the others are counted.
    FOR r IN SELECT y.*, sum((y.over AND y.fresh)::integer) OVER (PARTITION BY y.org, y.person) AS counted FROM (
             SELECT w.*, w.from_end > 20 AND w.rank <= w.rank_before AS over FROM (
             SELECT x.*, mayday.priority_rank(mayday.urgency(x.type, x.priority)) AS rank,
                    row_number() OVER (PARTITION BY x.org, x.person ORDER BY x.ordinality DESC) AS from_end,
                    max(mayday.priority_rank(mayday.urgency(x.type, x.priority)))
                        OVER (PARTITION BY x.org, x.person ORDER BY x.ordinality
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS rank_before
             FROM ROWS FROM (jsonb_to_recordset(raises) AS (org text, alert uuid, sender text, person text,
                 at timestamptz, received_at timestamptz, type text, priority text, lat double precision,
                 lon double precision, silent boolean, offline boolean, fresh boolean)) WITH ORDINALITY x
             WHERE x.org || '/' || x.alert NOT IN (SELECT unnest(made)) -- hashed; a join would be a nested loop
             ) w ) y
             ORDER BY y.ordinality
    LOOP
        IF r.over IS TRUE THEN
            PERFORM mayday.correct_membership(r.org, r.alert, r.sender);
            CONTINUE;
        END IF;
        PERFORM mayday.open_alert(r.org, r.alert, r.sender, r.person, r.at, r.received_at, r.type, r.priority, r.lat,
                                  r.lon, r.silent, r.offline, r.fresh, join_window);
        IF r.counted > 0 AND r.from_end = 1 THEN
            UPDATE mayday.alert x SET presses = x.presses + r.counted
            WHERE x.org = r.org AND x.id = mayday.open_of(r.org, r.person, r.received_at - join_window);
        END IF;
    END LOOP;
END
$$;

-- An action.

CREATE FUNCTION mayday.lock_incident(in_org text, in_alert uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM mayday.alert a WHERE a.org = in_org AND a.id = in_alert FOR UPDATE;
END
$$;

-- Locks the incidents that a batch is about to change, in one order for all writers, so that they don't wait for each
-- other in a circle.
CREATE FUNCTION mayday.lock_incidents(orgs text[], alerts uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM (SELECT DISTINCT w.org, mayday.incident_of(w.org, w.id) AS id FROM unnest(orgs, alerts) w(org, id)
                  ORDER BY 1, 2) w
        CROSS JOIN LATERAL (SELECT mayday.lock_incident(w.org, w.id)) l;
END
$$;

-- What must be known to judge an action, with the incident locked: of the id that was used, or of the incident that
-- id joined. Nothing comes back when there is none. PINs only for its raiser. `decoy_version`: the raiser's side says
-- it is canceled, at this version.
CREATE FUNCTION mayday.incident_lock(in_org text, in_alert uuid, in_sender text)
RETURNS TABLE (id uuid, status text, version integer, relation text, received_us bigint, decoy_version integer,
    under_duress boolean, run integer, run_from text, pin text, duress_pin text, pin_failures integer,
    pin_locked boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    p mayday.person;
    is_what text;
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert FOR UPDATE;
    IF a.joined_to IS NOT NULL THEN
        SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = a.joined_to FOR UPDATE;
    END IF;
    IF a.id IS NULL THEN
        RETURN;
    END IF;
    SELECT m.relation INTO is_what FROM mayday.membership m
    WHERE m.org = in_org AND m.family = 'alert' AND m.id = a.id::text AND m.person = in_sender
      AND coalesce(m.until, 'infinity') = 'infinity';
    IF a.raised_by = in_sender THEN
        -- Also when the grace is over: what can be done to it tells whether it goes on.
        is_what := CASE WHEN coalesce(is_what, 'past') = 'past' AND (a.decoy IS NOT NULL OR a.status = 'canceled')
                   THEN 'former' ELSE is_what END;
        SELECT * INTO p FROM mayday.person x WHERE x.org = in_org AND x.person = in_sender FOR UPDATE;
    END IF;
    RETURN QUERY SELECT a.id, a.status, a.version, is_what, (extract(epoch FROM a.received_at) * 1000000)::bigint,
        CASE WHEN a.decoy <> 'null' THEN (a.decoy->>'version')::integer END, a.duress_at IS NOT NULL, a.run, a.run_from,
        p.pin, p.duress_pin, coalesce(p.pin_failures, 0), coalesce(p.pin_locked_until > now(), false);
END
$$;

-- The run of offline actions that a late one may be put into: see mayday.alert.run and incident_replay().
CREATE FUNCTION mayday.incident_run(in_org text, in_alert uuid)
RETURNS TABLE (id uuid, done_us bigint, action text, standing integer, verdict text, from_status text, to_status text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
BEGIN
    SELECT * INTO a FROM mayday.alert x WHERE x.org = in_org AND x.id = in_alert;
    RETURN QUERY SELECT x.id, (extract(epoch FROM x.done_at) * 1000000)::bigint, x.action, x.standing, x.verdict,
        x.from_status, x.to_status
        FROM mayday.action x
        WHERE x.alert = ANY (mayday.incident_ids(a)) AND x.org = a.org AND x.run = a.run AND x.offline
          AND x.action <> 'note' AND x.verdict IN ('applied', 'displaced', 'illegal', 'not_allowed');
END
$$;

CREATE FUNCTION mayday.person_known(in_org text, in_person text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM mayday.person p WHERE p.org = in_org AND p.person = in_person)
$$;

-- Somebody answered by phone: through this gateway.
CREATE FUNCTION mayday.action_through(in_message uuid, in_gateway text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.action x SET via = in_gateway WHERE x.id = in_message
$$;

-- An action that changes nothing: its row says why, its sender is told (who answered by phone has sent nothing: the
-- gateway did). `in_status`: what it met.
CREATE FUNCTION mayday.incident_refuse(in_org text, in_message uuid, in_sender text, in_topic text, in_alert uuid,
    in_verdict text, in_detail text, in_standing integer, in_run integer, done_us bigint, in_status text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    x mayday.action;
    a mayday.alert;
BEGIN
    SELECT * INTO a FROM mayday.alert y WHERE y.org = in_org AND y.id = in_alert;
    UPDATE mayday.action y SET verdict = in_verdict, from_status = in_status, to_status = in_status, version = a.version,
        standing = in_standing, run = in_run, done_at = to_timestamp(done_us / 1000000.0)
    WHERE y.id = in_message RETURNING * INTO x;
    -- Somebody else was first; it is their answer all the same. But not to what was asked after it was done.
    IF x.action = 'acknowledge' AND in_verdict = 'illegal' AND a.closed_at IS NULL AND a.id IS NOT NULL
       AND NOT EXISTS (SELECT FROM mayday.escalation_step t WHERE t.org = a.org AND t.alert = a.id
                       AND t.step IN ('forgotten', 'begun_again') AND t.at > x.done_at) THEN
        PERFORM mayday.escalation_acted(a, a.status, x);
    END IF;
    PERFORM mayday.reject(in_org, coalesce(x.via, in_sender), in_message, in_topic, in_verdict, in_detail);
    PERFORM mayday.record_audit(in_org, 'incident.refused', in_sender, x.person, coalesce(in_alert, x.alert),
        jsonb_strip_nulls(jsonb_build_object('action', x.action, 'verdict', in_verdict, 'message', in_message,
                                             'via', x.via)));
END
$$;

-- What follows from an action whose verdict became another.
CREATE FUNCTION mayday.action_turned(a mayday.alert, x mayday.action, before text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF x.verdict = 'displaced' AND before = 'applied' THEN
        PERFORM mayday.reject(x.org, x.sender, x.id, 'mayday/v1/' || x.org || '/alert/' || x.alert || '/action',
            'displaced', 'what was done before it, on a device without a connection, has come in since');
        PERFORM mayday.record_audit(x.org, 'incident.displaced', 'mayday', x.sender, a.id,
            jsonb_build_object('action', x.action, 'message', x.id));
    END IF;
    IF (x.verdict = 'applied') <> (before IS NOT DISTINCT FROM 'applied') AND x.person IS NOT NULL THEN
        PERFORM mayday.settle_belonging(a, x.person);
    END IF;
END
$$;

-- Closing and opening again. A retired incident gets those back whom the retirement made leave.
CREATE FUNCTION mayday.incident_turned(a mayday.alert, before text, by_whom text) RETURNS mayday.alert
LANGUAGE plpgsql AS $$
DECLARE
    was_closed boolean := before IN ('resolved', 'canceled');
    is_closed boolean := a.status IN ('resolved', 'canceled');
BEGIN
    IF is_closed AND NOT was_closed THEN
        a.closed_at := now();
    ELSIF was_closed AND NOT is_closed THEN
        IF a.retired_at IS NOT NULL THEN
            UPDATE mayday.membership m SET until = NULL, changed_by = by_whom
            WHERE m.org = a.org AND m.family = 'alert' AND m.id = ANY (mayday.incident_ids(a)::text[])
              AND m.until = a.retired_at;
        END IF;
        a.closed_at := NULL;
        a.retired_at := NULL;
    END IF;
    IF a.presses > 1 THEN
        UPDATE mayday.alert x SET status = a.status, closed_at = a.closed_at, retired_at = a.retired_at
        WHERE x.org = a.org AND x.joined_to = a.id;
    END IF;
    RETURN a;
END
$$;

-- Stores the judgement of an action, and what became of those before it (ids with what is said of each now), and
-- everything that follows. The incident is locked. Returns its version.
CREATE FUNCTION mayday.incident_apply(in_org text, in_alert uuid, in_message uuid, in_standing integer, done_us bigint,
    online boolean, in_status text, ids uuid[], verdicts text[], froms text[], tos text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    own mayday.action;
    x mayday.action;
    befores text[];
    was text;
BEGIN
    SELECT * INTO a FROM mayday.alert y WHERE y.org = in_org AND y.id = in_alert FOR UPDATE;
    was := a.status;
    IF verdicts <> ARRAY['noted'] THEN
        a.version := a.version + 1;
        a.changed_at := now();
        a.status := in_status;
        IF online THEN
            a.run := a.run + 1;
            a.run_from := in_status;
        END IF;
    END IF;
    UPDATE mayday.action y SET standing = in_standing, run = a.run, done_at = to_timestamp(done_us / 1000000.0)
    WHERE y.id = in_message RETURNING * INTO own;
    -- All verdicts first, then what follows from them together.
    FOR i IN 1 .. cardinality(ids) LOOP
        SELECT array_append(befores, y.verdict) INTO befores FROM mayday.action y WHERE y.id = ids[i];
        UPDATE mayday.action y SET verdict = verdicts[i], from_status = froms[i], to_status = tos[i],
            version = CASE WHEN verdicts[i] = 'applied' OR y.version IS NULL THEN a.version ELSE y.version END
        WHERE y.id = ids[i];
    END LOOP;
    PERFORM mayday.record_audit(in_org, 'incident.' || own.action, own.sender, own.person, a.id, jsonb_strip_nulls(
        jsonb_build_object('from', was, 'to', a.status, 'version', a.version, 'message', own.id, 'offline',
                           nullif(own.offline, false), 'via', own.via)));
    IF verdicts = ARRAY['noted'] THEN
        RETURN a.version;
    END IF;
    FOR i IN 1 .. cardinality(ids) LOOP
        SELECT * INTO x FROM mayday.action y WHERE y.id = ids[i];
        PERFORM mayday.action_turned(a, x, befores[i]);
        IF x.action = 'acknowledge' THEN -- the first who took it on, in the order things were done
            SELECT y.done_at, y.sender INTO a.acknowledged_at, a.acknowledged_by FROM mayday.action y
            WHERE y.alert = ANY (mayday.incident_ids(a)) AND y.org = a.org AND y.action = 'acknowledge'
              AND y.verdict = 'applied'
            ORDER BY y.run, y.offline, y.done_at, y.id LIMIT 1;
        END IF;
    END LOOP;
    IF own.via IS NOT NULL AND own.action = 'acknowledge' THEN -- so that they may go on in the app
        PERFORM mayday.join_alert(a.org, a.id, own.sender, 'assigned', own.sender);
    END IF;
    a := mayday.incident_turned(a, was, own.sender);
    UPDATE mayday.alert y SET status = a.status, version = a.version, changed_at = a.changed_at, run = a.run,
        run_from = a.run_from, acknowledged_at = a.acknowledged_at, acknowledged_by = a.acknowledged_by,
        closed_at = a.closed_at, retired_at = a.retired_at
    WHERE y.org = a.org AND y.id = a.id;
    SELECT * INTO own FROM mayday.action y WHERE y.id = in_message;
    PERFORM mayday.escalation_acted(a, was, own);
    IF 'canceled' IN (was, a.status) THEN
        PERFORM mayday.settle_raiser(a, own.sender);
    END IF;
    PERFORM mayday.tell_incident(a, CASE WHEN a.decoy IS NULL THEN 'state' ELSE 'dispatch' END);
    RETURN a.version;
END
$$;

-- The duress PIN. `quietly`: there was no cancel to be shown, so on the raiser's side nothing may change at all;
-- otherwise `state` says from now on what it would say after a true cancel.
CREATE FUNCTION mayday.incident_duress(in_org text, in_alert uuid, in_message uuid, in_sender text, in_standing integer,
    done_us bigint, quietly boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    shown mayday.alert;
    ids uuid[];
BEGIN
    SELECT * INTO a FROM mayday.alert y WHERE y.org = in_org AND y.id = in_alert FOR UPDATE;
    IF a.closed_at IS NOT NULL OR a.decoy IS NOT NULL OR (quietly AND a.duress_at IS NOT NULL) THEN
        RETURN;
    END IF;
    shown := a;
    shown.priority := coalesce(a.shown_priority, a.priority);
    a.shown_priority := shown.priority;
    a.priority := 'critical';
    a.duress_at := coalesce(a.duress_at, now());
    IF NOT quietly THEN
        a.version := a.version + 1;
        a.changed_at := now();
        shown.status := 'canceled';
        shown.version := a.version;
        shown.changed_at := a.changed_at;
        a.decoy := mayday.incident_json(shown);
        UPDATE mayday.action y SET verdict = 'duress', from_status = a.status, to_status = a.status,
            version = a.version, standing = in_standing, run = a.run, done_at = to_timestamp(done_us / 1000000.0)
        WHERE y.id = in_message;
    END IF;
    UPDATE mayday.alert y SET priority = a.priority, shown_priority = a.shown_priority, duress_at = a.duress_at,
        version = a.version, changed_at = a.changed_at, decoy = a.decoy
    WHERE y.org = a.org AND y.id = a.id;
    PERFORM mayday.escalation_urgent(a);
    PERFORM mayday.record_audit(in_org, 'incident.duress', in_sender, NULL, a.id,
                                jsonb_build_object('version', a.version, 'message', in_message, 'quietly', quietly));
    IF NOT quietly THEN
        PERFORM mayday.settle_raiser(a, in_sender);
    END IF;
    PERFORM mayday.tell_incident(a, CASE WHEN quietly THEN 'dispatch' ELSE 'state' END);
END
$$;

-- PINs.

-- A PIN was tried. After `tries` wrong ones in a row none is taken for a while.
CREATE FUNCTION mayday.pin_tried(in_org text, in_person text, fits boolean, tries integer, lock_time interval)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    p mayday.person;
    locks boolean;
BEGIN
    SELECT * INTO p FROM mayday.person x WHERE x.org = in_org AND x.person = in_person FOR UPDATE;
    IF p.person IS NULL OR (fits AND p.pin_failures = 0) THEN
        RETURN;
    END IF;
    locks := NOT fits AND p.pin_failures + 1 >= tries AND coalesce(p.pin_locked_until <= now(), true);
    UPDATE mayday.person x SET pin_failures = CASE WHEN fits THEN 0 ELSE x.pin_failures + 1 END,
        pin_locked_until = CASE WHEN fits THEN NULL WHEN locks THEN now() + lock_time ELSE x.pin_locked_until END
    WHERE x.org = in_org AND x.person = in_person;
    IF NOT fits THEN
        PERFORM mayday.record_audit(in_org, CASE WHEN locks THEN 'pin.locked' ELSE 'pin.wrong' END, in_person, in_person,
                                    NULL, jsonb_build_object('in_a_row', p.pin_failures + 1));
    END IF;
END
$$;

-- What must be known to judge a change of settings, with the person locked.
CREATE FUNCTION mayday.person_lock(in_org text, in_person text)
RETURNS TABLE (pin text, duress_pin text, pin_failures integer, pin_locked boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.person (org, person) VALUES (in_org, in_person) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT p.pin, p.duress_pin, p.pin_failures, coalesce(p.pin_locked_until > now(), false)
        FROM mayday.person p WHERE p.org = in_org AND p.person = in_person FOR UPDATE;
END
$$;

-- The duress PIN given where the PIN was asked for, outside of a cancel.
CREATE FUNCTION mayday.person_duress(in_org text, in_message uuid, in_person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    each uuid;
BEGIN
    FOR each IN SELECT a.id FROM mayday.alert a
        WHERE a.raised_by = in_person AND a.org = in_org AND num_nonnulls(a.closed_at, a.decoy, a.joined_to) = 0
        ORDER BY a.id LOOP
        PERFORM mayday.incident_duress(in_org, each, in_message, in_person, 0, 0, true);
    END LOOP;
END
$$;

-- Family contacts, from now on: whose consent was taken back reads no more, also of what is going on.
CREATE FUNCTION mayday.set_family(in_org text, in_person text, in_family text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    WITH gone AS (
        DELETE FROM mayday.contact c WHERE c.org = in_org AND c.person = in_person AND c.contact <> ALL (in_family)
        RETURNING c.contact
    )
    UPDATE mayday.membership m SET until = now(), changed_by = in_person
    FROM gone g, mayday.alert a
    WHERE m.person = g.contact AND m.org = in_org AND m.until IS NULL AND m.family = 'alert' AND m.relation = 'family'
      AND a.org = m.org AND a.raised_by = in_person
      AND a.id = CASE WHEN m.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN m.id::uuid END;
    INSERT INTO mayday.contact (org, person, contact)
    SELECT in_org, in_person, f FROM unnest(in_family) f WHERE f <> in_person ON CONFLICT DO NOTHING;
    PERFORM mayday.join_alert(in_org, a.id, f, 'family', in_person)
    FROM mayday.alert a CROSS JOIN unnest(in_family) f
    WHERE a.raised_by = in_person AND a.org = in_org AND num_nonnulls(a.closed_at, a.decoy, a.joined_to) = 0
      AND f <> in_person
      AND NOT EXISTS (SELECT FROM mayday.membership m WHERE m.org = in_org AND m.family = 'alert' AND m.id = a.id::text
                      AND m.person = f AND coalesce(m.until, 'infinity') = 'infinity');
END
$$;

-- Stores the judgement of a change of settings, and the change when it is 'applied'. NULL: stays as it was.
CREATE FUNCTION mayday.settings_apply(in_org text, in_message uuid, in_person text, in_topic text, in_verdict text,
    in_detail text, in_pin text, in_duress_pin text, in_lang text, in_family text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mayday.setting s SET verdict = in_verdict WHERE s.id = in_message;
    IF in_verdict <> 'applied' THEN
        PERFORM mayday.reject(in_org, in_person, in_message, in_topic, in_verdict, in_detail);
        PERFORM mayday.record_audit(in_org, 'settings.refused', in_person, in_person, NULL,
                                    jsonb_build_object('verdict', in_verdict, 'message', in_message));
        RETURN;
    END IF;
    UPDATE mayday.person p SET pin = coalesce(in_pin, p.pin), duress_pin = coalesce(in_duress_pin, p.duress_pin),
        lang = coalesce(in_lang, p.lang)
    WHERE p.org = in_org AND p.person = in_person;
    IF in_family IS NOT NULL THEN
        PERFORM mayday.set_family(in_org, in_person, in_family);
    END IF;
    PERFORM mayday.record_audit(in_org, 'settings', in_person, in_person, NULL, jsonb_strip_nulls(jsonb_build_object(
        'pin', nullif(in_pin IS NOT NULL, false), 'duress_pin', nullif(in_duress_pin IS NOT NULL, false),
        'lang', in_lang, 'family', to_jsonb(in_family), 'message', in_message)));
END
$$;

-- Receipts, and the end.

-- A step was reached: once for each incident, and nothing more is told about one that is closed.
CREATE FUNCTION mayday.mark_receipt(in_org text, in_alert uuid, in_at timestamptz, delivered boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
BEGIN
    UPDATE mayday.alert x SET version = x.version + 1, changed_at = now(),
        delivered_at = CASE WHEN delivered THEN in_at ELSE x.delivered_at END,
        notified_at = CASE WHEN delivered THEN x.notified_at ELSE in_at END
    WHERE x.org = in_org AND x.closed_at IS NULL
      AND x.id = mayday.incident_of(in_org, in_alert)
      AND CASE WHEN delivered THEN x.delivered_at ELSE x.notified_at END IS NULL
    RETURNING * INTO a;
    IF a.id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM mayday.record_audit(in_org, CASE WHEN delivered THEN 'incident.delivered' ELSE 'incident.notified' END,
                                'mayday', NULL, a.id, jsonb_build_object('version', a.version));
    PERFORM mayday.tell_incident(a, CASE WHEN a.decoy IS NULL THEN 'state' ELSE 'dispatch' END);
    RETURN true;
END
$$;

-- The alert reached the first device of somebody who can help. True when this was the first.
CREATE FUNCTION mayday.mark_delivered(in_org text, in_alert uuid, in_at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT mayday.mark_receipt(in_org, in_alert, in_at, true)
$$;

-- The first notification was handed on, just now. True when this was the first.
CREATE FUNCTION mayday.mark_notified(in_org text, in_alert uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT mayday.mark_receipt(in_org, in_alert, clock_timestamp(), false)
$$;

-- Ends memberships of an incident and of what joined it; all of them, or only those who see the decoy. Who canceled it
-- stays as 'past', who sees nothing: somebody who is nothing to an incident may press its button again or see it by
-- their duty, and that after a duress cancel it goes on would show.
CREATE FUNCTION mayday.end_memberships(a mayday.alert, relations text[]) RETURNS void LANGUAGE sql AS $$
    UPDATE mayday.membership m SET changed_by = 'mayday',
        relation = CASE m.relation WHEN 'former' THEN 'past' ELSE m.relation END,
        since = CASE m.relation WHEN 'former' THEN now() ELSE m.since END,
        until = CASE m.relation WHEN 'former' THEN NULL ELSE now() END
    WHERE m.relation <> 'past' AND m.org = a.org AND m.family = 'alert' AND m.id = ANY (mayday.incident_ids(a)::text[])
      AND coalesce(m.until, 'infinity') = 'infinity' AND (relations IS NULL OR m.relation = ANY (relations))
$$;

-- The grace after closing is over: nobody belongs to the incident any more and nothing of it is retained. Under duress
-- the raiser's side ends as after a true cancel, and the incident goes on. Returns how many ended.
CREATE FUNCTION mayday.retire_incidents(grace interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    a mayday.alert;
    ended integer := 0;
BEGIN
    FOR a IN SELECT * FROM mayday.alert x
        WHERE x.duress_at <= now() - grace AND x.duress_at IS NOT NULL AND x.decoy <> 'null' AND x.retired_at IS NULL
          AND (x.decoy->>'ts')::timestamptz <= now() - grace
        ORDER BY x.org, x.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
        PERFORM mayday.end_memberships(a, ARRAY['former', 'family']);
        UPDATE mayday.alert x SET decoy = 'null' WHERE x.org = a.org AND x.id = a.id;
        PERFORM mayday.record_audit(a.org, 'incident.decoy_ended', 'mayday', a.raised_by, a.id, '{}');
        PERFORM mayday.tell_incident(a, 'state');
        ended := ended + 1;
    END LOOP;
    FOR a IN SELECT * FROM mayday.alert x
        WHERE x.closed_at <= now() - grace AND x.closed_at IS NOT NULL AND x.retired_at IS NULL AND x.joined_to IS NULL
        ORDER BY x.org, x.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
        PERFORM mayday.end_memberships(a, NULL);
        UPDATE mayday.alert x SET retired_at = now() WHERE x.org = a.org AND a.id IN (x.id, x.joined_to);
        PERFORM mayday.record_audit(a.org, 'incident.retire', 'mayday', NULL, a.id, '{}');
        PERFORM mayday.tell_incident(a, 'state');
        ended := ended + 1;
    END LOOP;
    -- Nothing comes of these any more.
    UPDATE mayday.membership m SET until = now(), changed_by = 'mayday'
    WHERE m.relation = 'past' AND m.until IS NULL AND m.since <= now() - interval '30 days' AND m.family = 'alert'
      AND EXISTS (SELECT FROM mayday.alert x WHERE x.org = m.org AND x.retired_at IS NOT NULL
                  AND x.id = CASE WHEN m.family = 'alert' THEN m.id::uuid END);
    RETURN ended;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    mayday.open_alerts(jsonb, interval), mayday.lock_incidents(text[], uuid[]), mayday.incident_lock(text, uuid, text), mayday.incident_run(text, uuid),
    mayday.person_known(text, text), mayday.action_through(uuid, text), mayday.say_again(text, jsonb),
    mayday.incident_refuse(text, uuid, text, text, uuid, text, text, integer, integer, bigint, text),
    mayday.incident_apply(text, uuid, uuid, integer, bigint, boolean, text, uuid[], text[], text[], text[]),
    mayday.incident_duress(text, uuid, uuid, text, integer, bigint, boolean),
    mayday.pin_tried(text, text, boolean, integer, interval), mayday.person_lock(text, text),
    mayday.person_duress(text, uuid, text),
    mayday.settings_apply(text, uuid, text, text, text, text, text, text, text, text[]) TO mayday_plugin;
GRANT EXECUTE ON FUNCTION mayday.state_of(text, uuid), mayday.dispatch_of(text, uuid),
    mayday.mark_delivered(text, uuid, timestamptz), mayday.mark_notified(text, uuid),
    mayday.retire_incidents(interval), mayday.join_alert(text, uuid, text, text, text),
    mayday.leave_alert(text, uuid, text, text) TO mayday_gateway;
