-- "Check on me in 30 minutes": who works alone sets a timer (user/<user>/timer). When it has run out, Mayday asks "Are
-- you OK?"; from then on it is a check as any other (0011), and silence or a call for help raises the alarm.

CREATE TABLE mayday.timer (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    minutes integer NOT NULL, -- 0: it ends
    text text,
    repeat boolean
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.timer IS 'Who asked to be checked on, and when. What is so now: mayday.timer_watch.';
CREATE INDEX ON mayday.timer (org, person, at DESC);
INSERT INTO mayday.message_table (name, span, keep) VALUES ('timer', 'month', '2 years');
CREATE TABLE mayday.timer_default PARTITION OF mayday.timer DEFAULT;
SELECT mayday.make_partitions(7);

-- The last word of each person. The id of the question is made from the message that set the timer, and the one after it
-- from that question, so that a gateway without the database makes the same (gateway/timers/know.c); the message is fixed
-- when a gateway first picks it up. However often gateways die or repeat themselves, it is one question.
CREATE TABLE mayday.timer_watch (
    org text NOT NULL,
    person text NOT NULL,
    request uuid NOT NULL,        -- the message that is in force
    said_at timestamptz NOT NULL, -- when it was said; the newest counts, in whatever order they arrive
    minutes integer NOT NULL,
    text text,
    repeat boolean NOT NULL,
    started_at timestamptz,
    due_at timestamptz,           -- when the question is asked; NULL when there is nothing to wait for
    check_id uuid,                -- the question's id
    ask jsonb,                    -- the question
    claimed_at timestamptz,       -- a gateway is at it; some seconds later another one may be
    asked_at timestamptz,         -- a broker has it in its journal
    ended_at timestamptz,
    ended_by text CHECK (ended_by IN ('person', 'ok', 'text', 'help')),
    PRIMARY KEY (org, person),
    CHECK ((due_at IS NULL) = (ended_at IS NOT NULL))
);
COMMENT ON TABLE mayday.timer_watch IS 'The timer of each person who ever set one: running, asked, or ended.';
CREATE INDEX ON mayday.timer_watch (due_at) WHERE asked_at IS NULL AND due_at IS NOT NULL;
CREATE UNIQUE INDEX ON mayday.timer_watch (check_id) WHERE check_id IS NOT NULL;

-- The first question of a timer, and the one after an answer. Their time is about when they are asked.
CREATE FUNCTION mayday.timer_check(in_org text, request uuid, minutes integer) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT mayday.derived_id('timer/' || in_org || '/' || request || '/check',
                             mayday.uuid_time(request) + make_interval(mins => minutes))
$$;
CREATE FUNCTION mayday.timer_check_again(in_org text, before uuid, minutes integer) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT mayday.derived_id('timer/' || in_org || '/' || before || '/again',
                             mayday.uuid_time(before) + make_interval(mins => minutes))
$$;

-- Questions that may be on their way, of timers that were ended or set anew meanwhile: nobody waits for their answer.
CREATE TABLE mayday.timer_withdrawn (
    check_id uuid PRIMARY KEY,
    said_at timestamptz NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mayday.timer_withdrawn (at);

-- What a person says of their timer. Time runs from when it was said, also when that had to wait on the device or in a
-- journal: what should have been asked by now is asked at once. But no time is older than a day (the longest timer), and
-- none lies ahead: a wrong clock shortens a wait and never makes it longer.
--
-- Ending the timer or setting it anew is a sign of life: it answers a question that is open, also one that was asked while
-- the database was away and is stored only now.
--
-- Locks: the checks, then the timers. (settle_replies has locked a check when the trigger below comes to its timer.)
CREATE FUNCTION mayday.settle_timers(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    said mayday.timer_watch[];
    settled uuid[];
BEGIN
    SELECT array_agg(n ORDER BY n.org, n.person) INTO said FROM (
        SELECT DISTINCT ON (t.org, t.person) t.org, t.person, t.id, h.at AS said_at, t.minutes, t.text,
               coalesce(t.repeat, false), h.at, CASE WHEN t.minutes > 0 THEN h.at + make_interval(mins => t.minutes) END,
               CASE WHEN t.minutes > 0 THEN mayday.timer_check(t.org, t.id, t.minutes) END, NULL::jsonb, NULL::timestamptz, NULL::timestamptz,
               CASE WHEN t.minutes = 0 THEN h.at END, CASE WHEN t.minutes = 0 THEN 'person' END
        FROM mayday.timer t CROSS JOIN LATERAL (
            SELECT least(clock_timestamp(), greatest(mayday.happened_at(t.at, t.received_at, t.offline),
                                                     t.received_at - interval '1 day')) AS at) h
        WHERE t.id = ANY (ids)
        ORDER BY t.org, t.person, h.at DESC, t.id DESC
    ) n;
    IF said IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM mayday.check_watch c
    WHERE c.check_id IN (SELECT w.check_id FROM unnest(said) s JOIN mayday.timer_watch w USING (org, person)
                         WHERE w.claimed_at IS NOT NULL OR w.asked_at IS NOT NULL
                         UNION ALL
                         SELECT o.check_id FROM unnest(said) s, mayday.timer_open(s.org, s.person, s.said_at) o)
    ORDER BY c.check_id FOR UPDATE;
    PERFORM FROM mayday.timer_watch w WHERE (w.org, w.person) IN (SELECT s.org, s.person FROM unnest(said) s)
    ORDER BY w.org, w.person FOR UPDATE;
    WITH open AS (
        INSERT INTO mayday.timer_withdrawn (check_id, said_at)
        SELECT w.check_id, s.said_at FROM unnest(said) s JOIN mayday.timer_watch w USING (org, person)
        WHERE (w.claimed_at IS NOT NULL OR w.asked_at IS NOT NULL) AND w.ended_at IS NULL
          AND (w.said_at, w.request) < (s.said_at, s.request)
        ON CONFLICT (check_id) DO NOTHING
        RETURNING check_id
    )
    SELECT array_agg(o.check_id) INTO settled FROM open o;
    INSERT INTO mayday.timer_watch AS w SELECT s.* FROM unnest(said) s
    ON CONFLICT (org, person) DO UPDATE SET request = excluded.request, said_at = excluded.said_at,
        minutes = excluded.minutes, text = excluded.text, repeat = excluded.repeat, started_at = excluded.started_at,
        due_at = excluded.due_at, check_id = excluded.check_id, ask = NULL, claimed_at = NULL, asked_at = NULL,
        ended_at = excluded.ended_at, ended_by = excluded.ended_by
        WHERE (w.said_at, w.request) < (excluded.said_at, excluded.request);
    IF settled IS NOT NULL THEN
        PERFORM mayday.withdraw_checks(settled);
    END IF;
    PERFORM mayday.timer_alive(s.org, s.person, s.check_id, s.said_at) FROM unnest(said) s;
    PERFORM mayday.timer_follow(s.org, s.person) FROM unnest(said) s
    WHERE EXISTS (SELECT FROM mayday.check_watch c WHERE c.check_id = s.check_id);
    PERFORM mayday.timer_duress(ids);
END
$$;

-- The questions of somebody's timers that are open and were asked before a moment.
CREATE FUNCTION mayday.timer_open(in_org text, in_person text, moment timestamptz) RETURNS TABLE (check_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT c.check_id FROM mayday.check_watch c JOIN mayday.person_check k ON k.id = c.check_id
    WHERE c.org = in_org AND c.person = in_person AND c.answered_at IS NULL AND c.alarmed_at IS NULL
      AND c.sent_at <= moment AND c.sent_at > moment - interval '2 days' AND k.reason = 'timer'
$$;

-- They are answered by what was said of the timer at that moment; but not the one it asks for itself.
CREATE FUNCTION mayday.timer_alive(in_org text, in_person text, but uuid, moment timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.check_watch c SET answer = 'ok', answered_at = moment, received_at = least(c.received_at, moment)
    WHERE c.check_id IN (SELECT o.check_id FROM mayday.timer_open(in_org, in_person, moment) o)
      AND c.check_id IS DISTINCT FROM but AND c.answered_at IS NULL AND c.alarmed_at IS NULL
$$;

-- Who is forced to set or end their timer may say so in its text, with a duress word of their organisation: a call for help,
-- as in an answer to a check (0011), and the timer goes the way that was said. There is no question it belongs to; the
-- message itself stands for one, so that it is one alarm however often it is stored.
CREATE FUNCTION mayday.timer_duress(ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.check_watch (check_id, org, person, asked_by, sent_at, answered_at, answer, answer_text, duress,
                                    due_at, alarm_alert, alarm_message)
    SELECT t.id, t.org, t.person, t.person, t.received_at, t.received_at, 'help', t.text, true, clock_timestamp(),
           mayday.derived_id('timer/' || t.org || '/' || t.id || '/alert', mayday.uuid_time(t.id)),
           mayday.derived_id('timer/' || t.org || '/' || t.id || '/raise', mayday.uuid_time(t.id))
    FROM mayday.timer t WHERE t.id = ANY (ids) AND mayday.calls_for_help(t.org, t.person, t.text)
    ON CONFLICT (check_id) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('mayday_keeper', '');
    END IF;
END
$$;

-- An open question of a timer is answered by what the person did instead.
CREATE FUNCTION mayday.withdraw_checks(checks uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mayday.check_watch c SET answer = 'ok', answered_at = greatest(x.said_at, c.sent_at),
        received_at = least(c.received_at, greatest(x.said_at, c.sent_at))
    FROM mayday.timer_withdrawn x
    WHERE x.check_id = c.check_id AND c.check_id = ANY (checks) AND c.answered_at IS NULL;
END
$$;

-- Where a timer stands by what is stored of its questions; several of them, when they were asked and answered while the
-- database was away. An answer, a late one too, ends it, or starts it again when it is one that repeats: who answers works
-- on and goes by it. Who calls for help has dispatch with them now.
CREATE FUNCTION mayday.timer_follow(in_org text, in_person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    c mayday.check_watch;
    again boolean;
    since timestamptz;
BEGIN
    PERFORM FROM mayday.timer_watch w WHERE w.org = in_org AND w.person = in_person FOR UPDATE;
    LOOP
        SELECT x.* INTO c FROM mayday.timer_watch w
        JOIN mayday.check_watch x ON x.check_id = w.check_id AND x.org = w.org AND x.person = w.person
        WHERE w.org = in_org AND w.person = in_person AND w.ended_at IS NULL;
        EXIT WHEN NOT FOUND;
        UPDATE mayday.timer_watch w SET asked_at = coalesce(w.asked_at, clock_timestamp())
        WHERE w.org = in_org AND w.person = in_person RETURNING w.repeat AND (c.answer <> 'help' OR c.duress) INTO again;
        EXIT WHEN c.answer IS NULL;
        since := least(clock_timestamp(), c.answered_at);
        UPDATE mayday.timer_watch w SET
            started_at = CASE WHEN again THEN since ELSE w.started_at END,
            due_at = CASE WHEN again THEN since + make_interval(mins => w.minutes) END,
            check_id = CASE WHEN again THEN mayday.timer_check_again(w.org, w.check_id, w.minutes) ELSE w.check_id END,
            ask = CASE WHEN NOT again THEN w.ask END,
            claimed_at = CASE WHEN NOT again THEN w.claimed_at END,
            asked_at = CASE WHEN NOT again THEN w.asked_at END,
            ended_at = CASE WHEN NOT again THEN clock_timestamp() END,
            ended_by = CASE WHEN NOT again THEN c.answer END
        WHERE w.org = in_org AND w.person = in_person;
    END LOOP;
END
$$;

-- The question is stored: it was asked, whoever sent it and can say so or not. Or it comes too late.
CREATE FUNCTION mayday.timer_asked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mayday.timer_follow(NEW.org, NEW.person);
    PERFORM mayday.withdraw_checks(ARRAY[NEW.check_id]);
    UPDATE mayday.check_watch c SET answer = 'ok', answered_at = w.said_at, received_at = least(c.received_at, w.said_at)
    FROM mayday.timer_watch w, mayday.timer_open(w.org, w.person, w.said_at) o
    WHERE w.org = NEW.org AND w.person = NEW.person AND c.check_id = NEW.check_id AND o.check_id = c.check_id
      AND w.check_id IS DISTINCT FROM c.check_id AND c.answered_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER timer_asked AFTER INSERT ON mayday.check_watch FOR EACH ROW EXECUTE FUNCTION mayday.timer_asked();

CREATE FUNCTION mayday.timer_answered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mayday.timer_follow(NEW.org, NEW.person);
    RETURN NULL;
END
$$;
CREATE TRIGGER timer_answered AFTER UPDATE OF answer ON mayday.check_watch FOR EACH ROW
    WHEN (NEW.answer IS NOT NULL AND NEW.answer IS DISTINCT FROM OLD.answer)
    EXECUTE FUNCTION mayday.timer_answered();

-- ---- What the gateway's keeper asks. As with checks, a claim is a time stamp and no lock.

-- Takes timers that have run out for this gateway, oldest first, with the question as it is to be sent.
CREATE FUNCTION mayday.claim_timers(orgs text[], answer_within integer, how_many integer, lease interval)
RETURNS TABLE (org text, person text, check_id uuid, ask text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM mayday.timer_withdrawn x WHERE x.at < clock_timestamp() - interval '7 days';
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.org, w.person FROM mayday.timer_watch w
        WHERE w.asked_at IS NULL AND w.due_at <= clock_timestamp() AND w.org = ANY (orgs)
          AND (w.claimed_at IS NULL OR w.claimed_at < clock_timestamp() - lease)
        ORDER BY w.claimed_at NULLS FIRST, w.due_at LIMIT how_many FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE mayday.timer_watch w SET claimed_at = clock_timestamp(),
            ask = coalesce(w.ask, jsonb_strip_nulls(jsonb_build_object('v', 1, 'id', w.check_id,
                'ts', mayday.spell(w.due_at), 'reason', 'timer', 'respond_within', answer_within, 'text', w.text)))
        FROM due d WHERE w.org = d.org AND w.person = d.person
        RETURNING w.*
    )
    SELECT c.org, c.person, c.check_id, c.ask::text FROM claimed c ORDER BY c.due_at, c.check_id;
END
$$;

-- A broker has the question in its journal.
CREATE FUNCTION mayday.mark_asked(in_check uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mayday.timer_watch w SET asked_at = clock_timestamp() WHERE w.check_id = in_check AND w.asked_at IS NULL;
    RETURN FOUND;
END
$$;

-- What a gateway wants at hand of these organisations, for when the database is away: times from now on, in milliseconds.
CREATE FUNCTION mayday.timers_at_hand(orgs text[])
RETURNS TABLE (org text, person text, lang text, request uuid, check_id uuid, minutes integer, text text, repeat boolean,
               state text, said_ms bigint, due_ms bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.org, w.person, p.lang, w.request, w.check_id, w.minutes, w.text, w.repeat,
           CASE WHEN w.ended_at IS NOT NULL THEN 'ended' WHEN c.alarmed_at IS NOT NULL THEN 'raised'
                WHEN w.asked_at IS NOT NULL THEN 'asked' ELSE 'running' END,
           (extract(epoch FROM clock_timestamp() - w.said_at) * 1000)::bigint,
           (extract(epoch FROM CASE WHEN w.asked_at IS NOT NULL THEN c.due_at ELSE w.due_at END - clock_timestamp()) * 1000)::bigint
    FROM mayday.timer_watch w LEFT JOIN mayday.check_watch c ON c.check_id = w.check_id
    LEFT JOIN mayday.person p ON p.org = w.org AND p.person = w.person
    WHERE w.org = ANY (orgs) AND (w.due_at IS NOT NULL OR w.ended_at > clock_timestamp() - interval '1 day')
$$;

-- ---- What people ask: who has a timer, and how it stands.
CREATE VIEW mayday.timer_now WITH (security_invoker = true) AS
    SELECT w.org, w.person,
           CASE WHEN w.ended_at IS NOT NULL THEN 'ended' WHEN c.alarmed_at IS NOT NULL THEN 'alarmed'
                WHEN w.asked_at IS NOT NULL THEN 'asked' WHEN w.due_at <= clock_timestamp() THEN 'due' ELSE 'running' END
               AS state,
           w.minutes, w.repeat, w.text, w.started_at, w.due_at, w.check_id, w.asked_at, c.due_at AS answer_by,
           c.alarmed_at, CASE WHEN c.alarmed_at IS NOT NULL THEN c.alarm_alert END AS alert, w.ended_at, w.ended_by
    FROM mayday.timer_watch w LEFT JOIN mayday.check_watch c ON c.check_id = w.check_id;

GRANT INSERT ON mayday.timer TO mayday_plugin;
GRANT SELECT ON mayday.timer, mayday.timer_watch, mayday.timer_now TO mayday_gateway, mayday_console;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.settle_timers(uuid[]) TO mayday_plugin;
GRANT EXECUTE ON FUNCTION mayday.claim_timers(text[], integer, integer, interval), mayday.mark_asked(uuid),
    mayday.timers_at_hand(text[]) TO mayday_gateway;
