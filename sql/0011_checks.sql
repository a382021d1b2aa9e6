-- "Are you OK?": every check is watched until it is answered. Without an answer in time, or when the answer is a call
-- for help, Mayday raises the alarm for the person.

CREATE TABLE mayday.check_watch (
    check_id uuid PRIMARY KEY,
    org text NOT NULL,
    person text NOT NULL,
    asked_by text NOT NULL,
    alert uuid,              -- the incident it is about
    sent_at timestamptz NOT NULL, -- when a broker took it; all times are ours
    received_at timestamptz, -- it reached a device of the person
    answered_at timestamptz, -- the first answer
    answer text,             -- 'ok', 'help' or 'text': the last; but help stays help
    answered_by text,        -- whose answer that is: the person's own, or of dispatch for them
    answer_text text,
    answer_position geography(Point, 4326),
    duress boolean NOT NULL DEFAULT false, -- they called for help so that whoever is beside them does not notice
    due_at timestamptz,      -- when silence becomes an alarm; NULL: never
    -- What is alarmed with is fixed before it is sent: the ids when the check is stored, the message when a gateway
    -- first picks it up. However often gateways die or repeat themselves, it is one message and one incident.
    alarm_alert uuid NOT NULL,
    alarm_message uuid NOT NULL,
    alarm jsonb,
    claimed_at timestamptz,  -- a gateway is at it; some seconds later another one may be
    alarmed_at timestamptz,  -- a broker has it in its journal
    earlier_alarms uuid[] NOT NULL DEFAULT '{}' -- incidents it had raised when help was called once more
);
COMMENT ON TABLE mayday.check_watch IS 'One row for each check: sent, received, answered, alarmed.';
CREATE INDEX ON mayday.check_watch (due_at)
    WHERE alarmed_at IS NULL AND due_at IS NOT NULL AND (answered_at IS NULL OR answer = 'help');
CREATE INDEX ON mayday.check_watch (org, person, sent_at);
CREATE INDEX ON mayday.check_watch (sent_at);
CREATE INDEX ON mayday.check_watch (alert) WHERE alert IS NOT NULL;
CREATE INDEX ON mayday.check_watch (alarm_alert);
CREATE INDEX ON mayday.check_watch USING gin (earlier_alarms) WHERE earlier_alarms <> '{}';
CREATE INDEX ON mayday.reply (check_id);

-- Replies that were stored before their check was (by another broker). The keeper looks at them again.
CREATE TABLE mayday.reply_unmatched (
    id uuid PRIMARY KEY,
    check_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An answer counts when it is the person's own, or dispatch answers for them; a late one too. A call for help is due at
-- once, and nothing takes it back: who can force one answer out of somebody can force another. Called when this check
-- has an alarm already, it is a new one, which joins the incident of the first if that is still open.
CREATE FUNCTION mayday.settle_replies(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    WITH own AS MATERIALIZED (
        SELECT w.check_id, r.id, r.sender, r.text, r.position,
               CASE WHEN d.duress THEN 'help' ELSE r.answer END AS answer, d.duress,
               greatest(mayday.happened_at(r.at, r.received_at, r.offline), w.sent_at) AS at
        FROM mayday.reply r JOIN mayday.check_watch w
            ON w.check_id = r.check_id AND w.org = r.org AND w.person = r.person
               AND (w.person = r.sender OR r.for_them)
        CROSS JOIN LATERAL (SELECT r.pin_verdict IS NOT DISTINCT FROM 'duress'
                                   OR mayday.calls_for_help(r.org, r.person, r.text) AS duress) d
        WHERE r.id = ANY (ids) AND (r.pin_verdict IS DISTINCT FROM 'wrong' OR r.answer = 'help' OR d.duress)
    ), said AS MATERIALIZED (
        -- The one that counts of each check: the last, but a call for help before all others.
        SELECT DISTINCT ON (o.check_id) o.check_id, o.answer, o.sender, o.text, o.position,
               min(o.at) OVER (PARTITION BY o.check_id) AS first_at,
               bool_or(o.duress) OVER (PARTITION BY o.check_id) AS duress
        FROM own o ORDER BY o.check_id, (o.answer = 'help') DESC, o.at DESC, o.id DESC
    ), judged AS MATERIALIZED (
        SELECT w.check_id, s.first_at, s.answer, s.sender, s.text, s.position, s.duress, s.answer = 'help' AS help,
               w.answer = 'help' AND s.answer <> 'help' AS kept,
               s.answer = 'help' AND w.alarm IS NOT NULL AS once_more
        FROM mayday.check_watch w JOIN said s USING (check_id)
        ORDER BY w.check_id FOR UPDATE OF w
    )
    UPDATE mayday.check_watch w SET
        received_at = least(w.received_at, j.first_at),
        answered_at = least(w.answered_at, j.first_at),
        answer = CASE WHEN j.kept THEN w.answer ELSE j.answer END,
        answered_by = CASE WHEN j.kept THEN w.answered_by ELSE j.sender END,
        answer_text = CASE WHEN j.kept THEN w.answer_text ELSE j.text END,
        answer_position = CASE WHEN j.kept THEN w.answer_position ELSE j.position END,
        duress = w.duress OR j.duress,
        due_at = CASE WHEN j.help THEN clock_timestamp() ELSE w.due_at END,
        earlier_alarms = w.earlier_alarms || CASE WHEN j.once_more THEN ARRAY[w.alarm_alert] ELSE '{}' END,
        alarm_alert = CASE WHEN j.once_more THEN mayday.new_id() ELSE w.alarm_alert END,
        alarm_message = CASE WHEN j.once_more THEN mayday.new_id() ELSE w.alarm_message END,
        alarm = CASE WHEN j.once_more THEN NULL ELSE w.alarm END,
        claimed_at = CASE WHEN j.once_more THEN NULL ELSE w.claimed_at END,
        alarmed_at = CASE WHEN j.once_more THEN NULL ELSE w.alarmed_at END
    FROM judged j
    WHERE w.check_id = j.check_id;
    IF FOUND AND EXISTS (SELECT FROM mayday.reply r JOIN mayday.check_watch w ON w.check_id = r.check_id
                         WHERE r.id = ANY (ids) AND w.answer = 'help' AND w.alarmed_at IS NULL) THEN
        PERFORM pg_notify('mayday_keeper', '');
    END IF;

    -- Who answers for another says so under their own name.
    PERFORM mayday.record_audit(r.org, 'check.answered_for', r.sender, r.person, NULL,
                                jsonb_build_object('check', r.check_id, 'answer', r.answer, 'message', r.id))
    FROM mayday.reply r JOIN mayday.check_watch w ON w.check_id = r.check_id AND w.org = r.org AND w.person = r.person
    WHERE r.id = ANY (ids) AND r.for_them;

    INSERT INTO mayday.reply_unmatched (id, check_id)
    SELECT r.id, r.check_id FROM mayday.reply r
    WHERE r.id = ANY (ids) AND r.check_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM mayday.check_watch w WHERE w.check_id = r.check_id)
    ON CONFLICT (id) DO NOTHING;
END
$$;

-- What an answer is worth, by its sender's roles when it was sent, and by its PIN; see lib/store/effect_reply.c.
CREATE FUNCTION mayday.reply_for_them(in_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.reply r SET for_them = true WHERE r.id = in_id AND r.sender <> r.person
$$;
CREATE FUNCTION mayday.reply_judged(in_id uuid, in_verdict text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.reply r SET pin_verdict = in_verdict WHERE r.id = in_id
$$;

-- Time runs from when the check is stored: while the database was away, so were the answers. The alarm of a check for
-- what a body said, for what somebody did in a zone, or because a timer ran out, has ids that a gateway without the
-- database makes, too (gateway/vigil/talk.c, gateway/fences/ask.c, gateway/timers/know.c).
CREATE FUNCTION mayday.settle_checks(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.check_watch (check_id, org, person, asked_by, alert, sent_at, due_at, alarm_alert, alarm_message)
    SELECT c.id, c.org, c.person, c.sender, c.alert, c.received_at,
           clock_timestamp() + make_interval(secs => c.respond_within),
           CASE WHEN c.reason IN ('vitals', 'zone', 'timer')
                THEN mayday.derived_id(c.reason || '/' || c.org || '/' || c.id || '/alert', mayday.uuid_time(c.id))
                ELSE mayday.new_id() END,
           CASE WHEN c.reason IN ('vitals', 'zone', 'timer')
                THEN mayday.derived_id(c.reason || '/' || c.org || '/' || c.id || '/raise', mayday.uuid_time(c.id))
                ELSE mayday.new_id() END
    FROM mayday.person_check c
    WHERE c.id = ANY (ids)
    ON CONFLICT (check_id) DO NOTHING;
    PERFORM mayday.settle_replies(array_agg(r.id)) FROM mayday.reply r WHERE r.check_id = ANY (ids)
    HAVING count(*) > 0;
END
$$;

-- A check has reached its person when a device of theirs says so; an alert is delivered when a device of anybody but
-- its raiser has the raise. What was read has been delivered.
CREATE FUNCTION mayday.settle_receipts(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    WITH reached AS MATERIALIZED (
        SELECT w.check_id, min(mayday.happened_at(r.at, r.received_at, r.offline)) AS at
        FROM mayday.receipt r CROSS JOIN LATERAL jsonb_array_elements_text(r.of) AS o (id)
        JOIN mayday.check_watch w ON w.check_id = o.id::uuid AND w.org = r.org AND w.person = r.person
                                     AND w.person = r.sender
        WHERE r.id = ANY (ids) AND r.person IS NOT NULL
        GROUP BY w.check_id
    ), locked AS MATERIALIZED (
        SELECT w.check_id, s.at FROM mayday.check_watch w JOIN reached s USING (check_id)
        ORDER BY w.check_id FOR UPDATE OF w
    )
    UPDATE mayday.check_watch w SET received_at = least(w.received_at, greatest(l.at, w.sent_at))
    FROM locked l WHERE w.check_id = l.check_id;

    PERFORM mayday.mark_delivered(d.org, d.alert, d.at) FROM (
        SELECT a.org, coalesce(a.joined_to, a.id) AS alert,
               min(mayday.happened_at(r.at, r.received_at, r.offline)) AS at
        FROM mayday.receipt r CROSS JOIN LATERAL jsonb_array_elements_text(r.of) AS o (id)
        JOIN mayday.raise x ON x.id = o.id::uuid AND x.org = r.org AND x.alert = r.alert
        JOIN mayday.alert a ON a.org = r.org AND a.id = r.alert
        WHERE r.id = ANY (ids) AND r.alert IS NOT NULL AND a.raised_by <> r.sender AND a.delivered_at IS NULL
        GROUP BY 1, 2 ORDER BY 1, 2
    ) d;
END
$$;

-- ---- What the gateway's keeper asks.
--
-- A claim is a row's time stamp and no lock: the writer changes the same rows, and must not wait for a gateway that
-- waits for a broker.

-- Takes due checks for this gateway, oldest first: help always, silence only when `silence_too`.
CREATE FUNCTION mayday.claim_checks(orgs text[], silence_too boolean, how_many integer, lease interval)
RETURNS TABLE (check_id uuid, org text, alarm_alert uuid, alarm_message uuid, alarm text, person text, lang text,
               help boolean, asked_by text, question text, answer_text text, reason text, finding text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    replies uuid[];
BEGIN
    IF EXISTS (SELECT FROM mayday.reply_unmatched) THEN
        WITH found AS (
            DELETE FROM mayday.reply_unmatched u USING mayday.check_watch w WHERE w.check_id = u.check_id RETURNING u.id
        )
        SELECT coalesce(array_agg(f.id), '{}') INTO replies FROM found f;
        PERFORM mayday.settle_replies(replies);
        DELETE FROM mayday.reply_unmatched u WHERE u.at < clock_timestamp() - interval '1 hour';
    END IF;
    -- What was sent has arrived, and only its sender could not say so any more.
    PERFORM count(mayday.mark_alarmed(w.check_id, w.alarm_message, r.sender))
    FROM mayday.check_watch w JOIN mayday.raise r ON r.id = w.alarm_message
    WHERE w.alarmed_at IS NULL AND w.due_at <= clock_timestamp() AND (w.answered_at IS NULL OR w.answer = 'help')
      AND r.org = w.org AND r.alert = w.alarm_alert;
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.check_id FROM mayday.check_watch w
        WHERE w.alarmed_at IS NULL AND w.due_at <= clock_timestamp() AND (w.answered_at IS NULL OR w.answer = 'help')
          AND (silence_too OR w.answer = 'help') AND w.org = ANY (orgs)
          AND (w.claimed_at IS NULL OR w.claimed_at < clock_timestamp() - lease)
        ORDER BY w.claimed_at NULLS FIRST, w.due_at LIMIT how_many FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE mayday.check_watch w SET claimed_at = clock_timestamp() FROM due d WHERE w.check_id = d.check_id
        RETURNING w.*
    )
    SELECT c.check_id, c.org, c.alarm_alert, c.alarm_message, c.alarm::text, c.person, p.lang,
           c.answer IS NOT DISTINCT FROM 'help', c.asked_by, k.text, c.answer_text, k.reason,
           (SELECT v.words FROM mayday.vital_alert v WHERE v.check_id = c.check_id AND v.org = c.org
            ORDER BY v.response = 'note', v.at DESC, v.id DESC LIMIT 1)
    FROM claimed c LEFT JOIN mayday.person p ON p.org = c.org AND p.person = c.person
    LEFT JOIN mayday.person_check k ON k.id = c.check_id
    ORDER BY c.due_at, c.check_id;
END
$$;

-- Fixes the message of an alarm and returns it: from now on it is this one, also for another gateway. NULL when the
-- alarm meanwhile is another one.
CREATE FUNCTION mayday.spell_alarm(in_check uuid, in_message uuid, in_type text, in_priority text, in_text text,
    in_lang text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    spelled text;
BEGIN
    UPDATE mayday.check_watch w SET alarm = coalesce(w.alarm, jsonb_strip_nulls(jsonb_build_object(
        'v', 1, 'id', w.alarm_message, 'ts', mayday.spell(w.due_at), 'type', in_type, 'priority', in_priority,
        'text', nullif(left(in_text, 4000), ''), 'lang', in_lang, 'person', w.person, 'silent', nullif(w.duress, false),
        'location', (SELECT jsonb_build_object('lat', ST_Y(l.position::geometry), 'lon', ST_X(l.position::geometry),
                                               'accuracy', l.accuracy)
                     FROM (SELECT w.answer_position AS position, NULL::real AS accuracy, w.due_at AS at
                           UNION ALL
                           (SELECT k.position, k.accuracy, k.at FROM mayday.location k
                            WHERE k.org = w.org AND k.person = w.person ORDER BY k.at DESC LIMIT 1)) l
                     WHERE l.position IS NOT NULL ORDER BY l.at DESC LIMIT 1),
        'readings', (SELECT v.readings FROM mayday.vital_alert v WHERE v.check_id = w.check_id AND v.org = w.org
                     ORDER BY v.response = 'note', v.at DESC, v.id DESC LIMIT 1))))
    WHERE w.check_id = in_check AND w.alarm_message = in_message
    RETURNING w.alarm::text INTO spelled;
    RETURN spelled;
END
$$;

-- A broker has the alarm in its journal.
CREATE FUNCTION mayday.mark_alarmed(in_check uuid, in_message uuid, in_gateway text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    w mayday.check_watch;
BEGIN
    UPDATE mayday.check_watch SET alarmed_at = clock_timestamp(), claimed_at = NULL
    WHERE check_id = in_check AND alarm_message = in_message AND alarmed_at IS NULL
    RETURNING * INTO w;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mayday.record_audit(w.org, 'check.alarm', in_gateway, w.person, w.alarm_alert, jsonb_build_object(
        'check', w.check_id, 'why', CASE WHEN w.answer = 'help' THEN 'help' ELSE 'silence' END));
    RETURN true;
END
$$;

-- What made Mayday raise it.
CREATE FUNCTION mayday.name_cause() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    why text;
BEGIN
    SELECT CASE k.reason WHEN 'vitals' THEN 'vitals' ELSE 'check' END INTO why
    FROM mayday.check_watch w LEFT JOIN mayday.person_check k ON k.id = w.check_id
    WHERE w.alarm_alert = NEW.id AND w.org = NEW.org LIMIT 1;
    -- Its check may be stored later: readings are attached by gateways alone.
    IF EXISTS (SELECT FROM mayday.raise r WHERE r.alert = NEW.id AND r.org = NEW.org AND r.readings IS NOT NULL) THEN
        why := 'vitals';
    END IF;
    -- Asked by a gateway without the database, and stored together with its alarm.
    IF why IS NULL AND EXISTS (
        SELECT FROM mayday.person_check k
        WHERE k.org = NEW.org AND k.person = NEW.raised_by AND k.reason = 'timer' AND k.received_at > NEW.received_at - interval '2 days'
          AND mayday.derived_id('timer/' || k.org || '/' || k.id || '/alert', mayday.uuid_time(k.id)) = NEW.id) THEN
        why := 'check';
    END IF;
    NEW.cause := coalesce(why, NEW.cause);
    RETURN NEW;
END
$$;
CREATE TRIGGER name_cause BEFORE INSERT ON mayday.alert FOR EACH ROW WHEN (NEW.cause <> 'person')
    EXECUTE FUNCTION mayday.name_cause();

-- ---- What people ask.

-- Checks, their replies and their alarms, in the form of mayday.timeline.
CREATE FUNCTION mayday.check_moments(checks uuid[])
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT k.at, k.received_at, 'check', k.id, k.org, k.sender,
           jsonb_strip_nulls(jsonb_build_object('person', k.person, 'text', k.text, 'reason', k.reason,
               'respond_within', k.respond_within, 'received_at', mayday.spell(w.received_at),
               'answered_at', mayday.spell(w.answered_at), 'answer', w.answer,
               'answered_by', nullif(w.answered_by, w.person), 'due_at', mayday.spell(w.due_at),
               'alarmed_at', mayday.spell(w.alarmed_at),
               'alarm', CASE WHEN w.alarmed_at IS NOT NULL THEN w.alarm_alert END))
    FROM mayday.check_watch w JOIN mayday.person_check k ON k.id = w.check_id WHERE w.check_id = ANY (checks)
    UNION ALL
    SELECT r.at, r.received_at, 'reply', r.id, r.org, r.sender,
           jsonb_strip_nulls(jsonb_build_object('check', r.check_id, 'answer', r.answer, 'text', r.text,
               'offline', r.offline, 'lat', ST_Y(r.position::geometry), 'lon', ST_X(r.position::geometry)))
    FROM mayday.reply r WHERE r.check_id = ANY (checks)
$$;

-- Those that are about an incident, or raised it.
CREATE FUNCTION mayday.checks_of(in_alert uuid)
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT * FROM mayday.check_moments(ARRAY(
        SELECT w.check_id FROM mayday.check_watch w WHERE w.alert = in_alert
        UNION SELECT w.check_id FROM mayday.check_watch w WHERE w.alarm_alert = in_alert
        UNION SELECT w.check_id FROM mayday.check_watch w
              WHERE w.earlier_alarms <> '{}' AND w.earlier_alarms @> ARRAY[in_alert]))
$$;

-- Those of one person: the conversation of dispatch with them, oldest first.
CREATE FUNCTION mayday.conversation(in_org text, in_person text, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT * FROM mayday.check_moments(ARRAY(
        SELECT w.check_id FROM mayday.check_watch w
        WHERE w.org = in_org AND w.person = in_person AND w.sent_at >= from_time AND w.sent_at < to_time))
    ORDER BY 2, 4
$$;

GRANT SELECT ON mayday.check_watch TO mayday_gateway, mayday_console;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.settle_checks(uuid[]), mayday.settle_replies(uuid[]), mayday.settle_receipts(uuid[]),
    mayday.reply_judged(uuid, text), mayday.reply_for_them(uuid)
    TO mayday_plugin;
GRANT EXECUTE ON FUNCTION mayday.claim_checks(text[], boolean, integer, interval),
    mayday.spell_alarm(uuid, uuid, text, text, text, text), mayday.mark_alarmed(uuid, uuid, text) TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.spell(timestamptz), mayday.check_moments(uuid[]), mayday.checks_of(uuid),
    mayday.conversation(text, text, timestamptz, timestamptz) TO mayday_gateway, mayday_console;
