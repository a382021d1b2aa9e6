-- Sending: what the gateways' sender claims, and what came of it. Which provider, and what next, is decided in
-- gateway/sending/carriers.c alone.
--
--   waiting -> sending -> sent -> delivered            a receipt that says "failed": waiting once more, then failed
--                      -> waiting (later, or by another provider) -> ... -> failed
--                      -> doubt -> sent | waiting      what the provider's own list says
--
-- An attempt is stored before its request leaves, so whatever stops a gateway leaves a trace of what may have gone out.
-- Locks: the sender takes those of notifications, of many in the order of their ids, and of an incident only when nobody
-- has it: it must not wait for a writer's transaction while something is to be sent.

-- The most urgent first, of each kind; and what providers are asked about.
CREATE INDEX ON mayday.notification (kind, rank, behind, due_at) WHERE status = 'waiting';
CREATE INDEX ON mayday.notification (status, due_at) WHERE status IN ('doubt', 'sent') AND due_at IS NOT NULL;

-- ---- what is to be said ----

-- What a text may name, of a notification; see lib/core/texts.h. `url`: of a webhook.
CREATE FUNCTION mayday.notification_facts(n mayday.notification) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    a mayday.alert;
    e mayday.escalation;
    place jsonb;
    who text;
BEGIN
    IF n.alert IS NOT NULL THEN
        SELECT * INTO a FROM mayday.alert x WHERE x.org = n.org AND x.id = mayday.incident_of(n.org, n.alert);
    END IF;
    IF a.id IS NOT NULL THEN
        SELECT * INTO e FROM mayday.escalation x WHERE x.org = a.org AND x.alert = a.id;
        -- Family sees what was sent to the incident; whoever helps, also where somebody under duress is.
        place := mayday.incident_location(a, a.duress_at IS NOT NULL AND NOT n.family);
        -- Who did it, not who tried to; under duress, who did what the raiser's phone shows.
        who := CASE WHEN n.purpose IN ('resolved', 'canceled') THEN (
                   SELECT x.sender FROM mayday.action x WHERE x.alert = ANY (mayday.incident_ids(a)) AND x.org = a.org
                     AND x.action = CASE n.purpose WHEN 'resolved' THEN 'resolve' ELSE 'cancel' END
                     AND x.verdict IN ('applied', 'duress') ORDER BY x.received_at DESC, x.id DESC LIMIT 1)
               ELSE a.acknowledged_by END;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'org', n.org, 'purpose', n.purpose, 'family', n.family, 'level', n.level, 'round', n.round, 'code', n.code, 'alert', n.alert,
        'type', a.type, 'priority', a.priority, 'status', a.status, 'silent', a.silent, 'raised_by', a.raised_by,
        'who', coalesce((SELECT p.name FROM mayday.person p WHERE p.org = a.org AND p.person = a.raised_by), a.raised_by),
        'by', coalesce((SELECT p.name FROM mayday.person p WHERE p.org = a.org AND p.person = who), who),
        -- What a body said is not for family.
        'text', CASE WHEN n.purpose = 'which' THEN mayday.choices(n.address) WHEN n.family AND a.cause = 'vitals' THEN NULL
                     WHEN a.id IS NOT NULL THEN (
            SELECT r.text FROM mayday.raise r WHERE r.alert = a.id AND r.org = a.org AND r.text IS NOT NULL
            ORDER BY r.at LIMIT 1) END,
        'lat', place->'lat', 'lon', place->'lon', 'raised_at', mayday.spell(a.raised_at),
        'age_s', greatest(floor(extract(epoch FROM clock_timestamp() - least(a.raised_at, a.received_at))), 0)::bigint,
        'url', CASE WHEN n.kind = 'webhook' THEN (
            SELECT p.body->'webhooks'->>n.address FROM mayday.plan p
            WHERE CASE WHEN e.alert IS NOT NULL THEN p.org = e.edition_org AND p.edition = e.edition
                       ELSE p.org IN (n.org, '*') END
            ORDER BY p.org = n.org DESC, p.edition DESC LIMIT 1) END));
END
$$;

CREATE FUNCTION mayday.notification_facts(in_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    n mayday.notification;
BEGIN
    SELECT * INTO n FROM mayday.notification x WHERE x.id = in_id;
    RETURN CASE WHEN n.id IS NOT NULL THEN mayday.notification_facts(n) END;
END
$$;

-- ---- to send ----

-- What was tried before, the first first: [{"provider", "outcome", "blame"}...].
CREATE FUNCTION mayday.tried(in_notification uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('provider', t.provider, 'outcome', t.outcome, 'blame', t.blame)
                                      ORDER BY t.begun_at, t.id), '[]')
            FROM mayday.attempt t WHERE t.notification = in_notification);
END
$$;

-- Why a number is not to be tried; NULL: nothing is known against it. What providers say of a number may be a mistake, so
-- it is not believed for ever; what its owner says is.
CREATE FUNCTION mayday.number_fault(in_kind text, in_address text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    x mayday.number_note;
BEGIN
    SELECT * INTO x FROM mayday.number_note y WHERE y.number = in_address;
    RETURN CASE WHEN x.number IS NULL THEN NULL
                WHEN in_kind = 'sms' AND x.opted_out_at IS NOT NULL THEN 'opted_out'
                WHEN in_kind = 'sms' AND x.no_text_since > now() - interval '30 days' THEN 'no_text'
                WHEN x.bad_since > now() - interval '1 day' THEN 'bad_number' END;
END
$$;

-- A gateway says how it sees its providers, every few seconds: that is also how others know that it is there. Each:
-- {"provider", "kind", "breaker", "in_flight", "sent", "retry", "refused", "unknown", "failure"}; those that are not
-- named it has no more. `in_orgs`: whom it serves; NULL: all. Nothing is lost with the last second of it, so the commit
-- does not wait for the disk.
CREATE FUNCTION mayday.note_providers(in_gateway text, in_orgs text[], rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM mayday.provider_state p WHERE p.gateway = in_gateway
      AND NOT EXISTS (SELECT FROM jsonb_array_elements(rows) x WHERE x->>'provider' = p.provider);
    INSERT INTO mayday.provider_state AS p (gateway, provider, kind, orgs, breaker, in_flight, sent, retry, refused, unknown,
                                            last_failure, last_failure_at)
    SELECT in_gateway, x.provider, x.kind, in_orgs, x.breaker, x.in_flight, x.sent, x.retry, x.refused, x.unknown, x.failure,
           CASE WHEN x.failure IS NOT NULL THEN now() END
    FROM jsonb_to_recordset(rows) AS x (provider text, kind text, breaker text, in_flight integer, sent bigint, retry bigint,
                                        refused bigint, unknown bigint, failure text)
    ON CONFLICT (gateway, provider) DO UPDATE SET kind = excluded.kind, orgs = excluded.orgs, breaker = excluded.breaker,
        in_flight = excluded.in_flight, sent = excluded.sent, retry = excluded.retry, refused = excluded.refused,
        unknown = excluded.unknown, last_failure = coalesce(excluded.last_failure, p.last_failure),
        last_failure_at = coalesce(excluded.last_failure_at, p.last_failure_at), noted_at = now();
END
$$;

-- What a gateway leaves to others: the kinds, and the providers, that it has not and another has that was seen of late;
-- 'sms acme' for an organisation, 'sms *' for all. NULL: nothing, which is so where all have the same.
CREATE FUNCTION mayday.left_to_others(in_gateway text) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT array_agg(DISTINCT w.word || ' ' || coalesce(o.org, '*'))
            FROM mayday.provider_state p CROSS JOIN LATERAL (VALUES (p.kind), (p.provider)) w (word)
            LEFT JOIN LATERAL unnest(p.orgs) o (org) ON true
            WHERE p.gateway <> in_gateway AND p.noted_at > clock_timestamp() - interval '15 seconds'
              AND (p.orgs IS NULL OR o.org IS NOT NULL)
              AND NOT EXISTS (SELECT FROM mayday.provider_state m
                              WHERE m.gateway = in_gateway AND w.word IN (m.kind, m.provider)));
END
$$;

-- Is it among those? To send, by its kind; in doubt, or to be asked about, by the provider that has it. What is in doubt
-- for seconds and nobody looks at it, anybody may: a second text is better than none.
CREATE FUNCTION mayday.is_left(n mayday.notification, theirs text[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    word text := n.kind;
BEGIN
    IF n.status = 'doubt' AND n.due_at < clock_timestamp() - interval '3 seconds' THEN
        RETURN false;
    ELSIF n.status <> 'waiting' THEN
        SELECT t.provider INTO word FROM mayday.attempt t
        WHERE t.notification = n.id AND t.outcome = CASE n.status WHEN 'doubt' THEN 'unknown' ELSE 'sent' END
        ORDER BY t.begun_at DESC LIMIT 1;
    END IF;
    RETURN coalesce(ARRAY[word || ' *', word || ' ' || n.org] && theirs, false);
END
$$;

-- What is due of these organisations (NULL: of all), locked: of each kind at most so many, and among them at most so many
-- routine ones (rank 0); the most urgent first, then the longest due. What another gateway has locked is its; so is what only others can send.
CREATE FUNCTION mayday.claim_notifications(in_gateway text, orgs text[], kinds text[], most integer[], routine integer[])
RETURNS TABLE (id uuid, org text, alert uuid, person text, kind text, address text, purpose text, rank integer, lang text,
               code text, body text, left_ms bigint, connected boolean, fault text, tried jsonb, facts jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    theirs text[] := mayday.left_to_others(in_gateway);
    now_seen timestamptz := mayday.watched_now(); -- no message expires of a clock that nobody looked at
    n mayday.notification;
    room integer;
    r integer;
BEGIN
    FOR k IN 1 .. cardinality(kinds) LOOP
        CONTINUE WHEN kinds[k] || ' *' = ANY (theirs);
        room := most[k];
        FOR turn IN 0 .. 9 LOOP -- by rank, and of each those first of whose incident nobody else is told before
            r := 4 - turn / 2;
            CONTINUE WHEN room <= 0;
            FOR n IN SELECT * FROM mayday.notification x
                     WHERE x.status = 'waiting' AND x.kind = kinds[k] AND x.rank = r AND x.behind = (turn % 2 = 1)
                       AND x.due_at <= moment AND (orgs IS NULL OR x.org = ANY (orgs))
                       AND (theirs IS NULL OR NOT mayday.is_left(x, theirs))
                     ORDER BY x.due_at LIMIT CASE r WHEN 0 THEN least(room, routine[k]) ELSE room END
                     FOR UPDATE SKIP LOCKED LOOP
                room := room - 1;
                RETURN QUERY SELECT n.id, n.org, n.alert, n.person, n.kind, n.address, n.purpose, n.rank::integer, n.lang,
                    n.code, n.body, (extract(epoch FROM n.expires_at - now_seen) * 1000)::bigint,
                    EXISTS (SELECT FROM mayday.person p WHERE p.org = n.org AND p.person = n.person AND p.connected),
                    mayday.number_fault(n.kind, n.address), mayday.tried(n.id), mayday.notification_facts(n);
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;

-- The next way to reach the same person for the same reason is due now. Who had only phones, and none of them could be
-- reached, finds it in their app.
CREATE FUNCTION mayday.next_place(in_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    n mayday.notification;
BEGIN
    SELECT * INTO n FROM mayday.notification x WHERE x.id = in_id;
    -- Whoever has it locked is about to send or withdraw it.
    UPDATE mayday.notification x SET due_at = clock_timestamp()
    WHERE x.id = (SELECT y.id FROM mayday.notification y
                  WHERE y.alert = n.alert AND y.org = n.org AND y.person = n.person AND y.purpose = n.purpose
                    AND y.round = n.round AND y.level = n.level AND y.place > n.place AND y.status = 'waiting'
                    AND y.due_at > clock_timestamp()
                  ORDER BY y.place LIMIT 1 FOR UPDATE SKIP LOCKED);
    IF FOUND THEN
        PERFORM pg_notify('mayday_notify', '');
    ELSIF n.status = 'failed' AND n.kind IN ('sms', 'voice') AND n.alert IS NOT NULL AND NOT n.family
          AND n.purpose IN ('raise', 'forgotten', 'exhausted') AND n.expires_at > clock_timestamp()
          AND NOT EXISTS (SELECT FROM mayday.notification y
                          WHERE y.alert = n.alert AND y.org = n.org AND y.person = n.person AND y.purpose = n.purpose
                            AND y.round = n.round AND y.level = n.level AND (y.kind = 'mqtt' OR y.status <> 'failed')) THEN
        PERFORM mayday.notify(n.org, n.alert, n.person, 'mqtt', NULL, n.purpose, n.rank, n.family, n.round, n.level,
            n.place + 1, clock_timestamp(), n.expires_at - clock_timestamp(),
            mayday.notification_id(n.org, n.alert, 0, n.round, n.level, 'app:' || n.person, 0));
    END IF;
END
$$;

-- Nothing more is tried; the next place is.
CREATE FUNCTION mayday.give_up(in_id uuid, in_why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n mayday.notification;
BEGIN
    UPDATE mayday.notification x SET status = 'failed', why = in_why, due_at = NULL, done_at = clock_timestamp()
    WHERE x.id = in_id RETURNING * INTO n;
    IF NOT n.behind AND NOT n.family THEN -- somebody else is the first to hear of it, then
        UPDATE mayday.notification x SET behind = false
        WHERE x.id = (SELECT y.id FROM mayday.notification y
                      WHERE y.alert = n.alert AND y.org = n.org AND y.purpose = n.purpose AND y.round = n.round
                        AND y.level = n.level AND y.kind = n.kind AND y.status = 'waiting' AND y.behind AND NOT y.family
                      ORDER BY y.due_at, y.person LIMIT 1 FOR UPDATE SKIP LOCKED);
    END IF;
    PERFORM mayday.next_place(in_id);
END
$$;

-- Into the person's inbox (schemas/inbox.json). Whoever is not connected is reached another way, too.
CREATE FUNCTION mayday.post_notification(in_id uuid, in_body text, in_lang text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n mayday.notification;
    away boolean;
BEGIN
    SELECT * INTO n FROM mayday.notification x WHERE x.id = in_id;
    away := NOT EXISTS (SELECT FROM mayday.person p WHERE p.org = n.org AND p.person = n.person AND p.connected);
    PERFORM mayday.post(n.org, 'user/' || n.person, 'message', 'inbox', jsonb_strip_nulls(jsonb_build_object(
        'v', 1, 'id', n.id, 'ts', mayday.spell(clock_timestamp()), 'kind', 'notification', 'text', in_body,
        'lang', in_lang, 'alert', n.alert)));
    UPDATE mayday.notification x SET status = 'sent', sent_at = clock_timestamp(), due_at = NULL, body = in_body,
        why = CASE WHEN away THEN 'not_connected' END
    WHERE x.id = in_id;
    IF away THEN
        PERFORM mayday.next_place(in_id);
    END IF;
END
$$;

-- One of those claimed; see below.
CREATE FUNCTION mayday.begin_notification(in_gateway text, x jsonb, since timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF x->>'do' = 'send' THEN
        UPDATE mayday.notification n SET status = 'sending', due_at = NULL, attempts = n.attempts + 1, body = x->>'body'
        WHERE n.id = (x->>'id')::uuid;
        INSERT INTO mayday.attempt (id, notification, org, alert, provider, gateway, pid, pid_since, until)
        SELECT (x->>'attempt')::uuid, n.id, n.org, n.alert, x->>'provider', in_gateway, pg_backend_pid(), since,
               clock_timestamp() + (x->>'until_ms')::bigint * interval '1 ms'
        FROM mayday.notification n WHERE n.id = (x->>'id')::uuid;
    ELSIF x->>'do' = 'post' THEN
        PERFORM mayday.post_notification((x->>'id')::uuid, x->>'body', x->>'lang');
    ELSIF x->>'do' = 'wait' THEN
        UPDATE mayday.notification n SET due_at = clock_timestamp() + (x->>'ms')::bigint * interval '1 ms',
            why = x->>'why'
        WHERE n.id = (x->>'id')::uuid;
    ELSE
        PERFORM mayday.give_up((x->>'id')::uuid, x->>'why');
    END IF;
END
$$;

-- What is to be done with those claimed, in the claim's transaction. Each: {"id", "do"} and with "send": "attempt",
-- "provider", "body", "until_ms"; "post": "body", "lang"; "wait": "ms", "why"; "fail": "why". `since`: when the
-- gateway's own connection began, by which it is known.
-- One that cannot be stored must not keep back the others: it has failed, and its person is told another way. Returns those,
-- with the reason.
CREATE FUNCTION mayday.begin_notifications(in_gateway text, rows jsonb, since timestamptz)
RETURNS TABLE (id uuid, why text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    x jsonb;
BEGIN
    FOR x IN SELECT y.value FROM jsonb_array_elements(rows) WITH ORDINALITY y(value, i) ORDER BY y.i LOOP
        BEGIN
            PERFORM mayday.begin_notification(in_gateway, x, since);
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            id := (x->>'id')::uuid;
            why := SQLERRM;
            PERFORM mayday.give_up(id, 'database');
            RETURN NEXT;
        END;
    END LOOP;
END
$$;

-- ---- what came of it ----

-- Somebody was reached who can help: the first time, the incident says so. False: somebody else has the incident locked;
-- to be asked again.
CREATE FUNCTION mayday.mark_reached(in_id uuid, delivered boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    n mayday.notification;
    a mayday.alert;
BEGIN
    SELECT * INTO n FROM mayday.notification x WHERE x.id = in_id;
    IF n.alert IS NULL OR n.person IS NULL OR n.family THEN
        RETURN true;
    END IF;
    SELECT * INTO a FROM mayday.alert x WHERE x.org = n.org AND x.id = mayday.incident_of(n.org, n.alert);
    IF a.id IS NULL OR a.closed_at IS NOT NULL OR a.raised_by = n.person
       OR (a.notified_at IS NOT NULL AND (a.delivered_at IS NOT NULL OR NOT delivered)) THEN
        RETURN true;
    END IF;
    PERFORM FROM mayday.alert x WHERE x.org = a.org AND x.id = a.id FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF a.notified_at IS NULL THEN
        PERFORM mayday.mark_notified(a.org, a.id);
    END IF;
    IF delivered THEN
        PERFORM mayday.mark_delivered(a.org, a.id, clock_timestamp());
    END IF;
    RETURN true;
END
$$;

-- What a provider says of a number is remembered.
CREATE FUNCTION mayday.note_number(in_number text, in_blame text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO mayday.number_note AS o (number, opted_out_at, no_text_since, bad_since)
    VALUES (in_number, CASE in_blame WHEN 'opted_out' THEN now() END, CASE in_blame WHEN 'no_text' THEN now() END,
            CASE in_blame WHEN 'number' THEN now() END)
    ON CONFLICT (number) DO UPDATE SET opted_out_at = coalesce(o.opted_out_at, excluded.opted_out_at),
        no_text_since = coalesce(excluded.no_text_since, o.no_text_since),
        bad_since = coalesce(excluded.bad_since, o.bad_since), noted_at = now();
END
$$;

-- To be tried again, when there is still time.
CREATE FUNCTION mayday.try_again(in_id uuid, ms bigint, in_why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    due timestamptz := clock_timestamp() + ms * interval '1 ms';
BEGIN
    UPDATE mayday.notification n SET status = 'waiting', due_at = due, why = in_why
    WHERE n.id = in_id AND n.expires_at > mayday.watched_now() + ms * interval '1 ms';
    IF FOUND THEN
        PERFORM pg_notify('mayday_notify', '');
    ELSE
        PERFORM mayday.give_up(in_id, coalesce(in_why, 'expired'));
    END IF;
END
$$;

-- What became of requests. Each: {"attempt", "outcome", "http", "code", "blame", "reference", "then": what becomes of the
-- notification: "sent", "again", "doubt" or "fail", "ms": when to ask for the receipt, when to try again, or how long the
-- provider may still be at it, "why"}. An outcome that was
-- settled in another way meanwhile stays; that a message was sent, is always believed. Returns the notifications whose
-- incidents are to be marked by mark_reached().
CREATE FUNCTION mayday.end_attempts(rows jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    x jsonb;
    t mayday.attempt;
    n mayday.notification;
BEGIN
    FOR x IN SELECT y.value FROM jsonb_array_elements(rows) y
             LEFT JOIN mayday.attempt z ON z.id = (y.value->>'attempt')::uuid ORDER BY z.notification, z.begun_at LOOP
        SELECT n1.* INTO n FROM mayday.notification n1
        WHERE n1.id = (SELECT z.notification FROM mayday.attempt z WHERE z.id = (x->>'attempt')::uuid) FOR UPDATE;
        UPDATE mayday.attempt z SET outcome = x->>'outcome', http_status = (x->>'http')::smallint, code = x->>'code',
            blame = x->>'blame', ended_at = clock_timestamp(),
            reference = (SELECT x->>'reference' WHERE NOT EXISTS (
                SELECT FROM mayday.attempt o WHERE o.provider = z.provider AND o.reference = x->>'reference')),
            until = CASE x->>'then' WHEN 'doubt' THEN clock_timestamp() + (x->>'ms')::bigint * interval '1 ms'
                                    ELSE z.until END
        WHERE z.id = (x->>'attempt')::uuid
          AND (z.outcome IS NULL OR (x->>'outcome' = 'sent' AND z.outcome <> 'sent'))
        RETURNING * INTO t;
        CONTINUE WHEN NOT FOUND OR n.id IS NULL;
        IF x->>'blame' IN ('number', 'no_text', 'opted_out') AND n.kind IN ('sms', 'voice') THEN
            PERFORM mayday.note_number(n.address, x->>'blame');
        END IF;
        IF x->>'then' = 'sent' THEN
            UPDATE mayday.notification y SET sent_at = coalesce(y.sent_at, clock_timestamp()),
                status = CASE WHEN y.status IN ('delivered', 'answered') THEN y.status ELSE 'sent' END, why = NULL,
                done_at = CASE WHEN y.status IN ('delivered', 'answered') THEN y.done_at END,
                due_at = CASE WHEN y.status NOT IN ('delivered', 'answered')
                              THEN clock_timestamp() + (x->>'ms')::bigint * interval '1 ms' END
            WHERE y.id = n.id;
            RETURN NEXT n.id;
        ELSIF n.status NOT IN ('sending', 'doubt') OR EXISTS (
                SELECT FROM mayday.attempt z WHERE z.notification = n.id AND z.id <> t.id AND z.outcome IS NULL) THEN
            CONTINUE;
        ELSIF x->>'then' = 'doubt' THEN
            UPDATE mayday.notification y SET status = 'doubt', due_at = clock_timestamp(), why = 'doubt' WHERE y.id = n.id;
        ELSIF x->>'then' = 'again' THEN
            PERFORM mayday.try_again(n.id, (x->>'ms')::bigint, x->>'why');
        ELSE
            PERFORM mayday.give_up(n.id, x->>'why');
        END IF;
    END LOOP;
END
$$;

-- ---- in doubt ----

-- Requests whose gateway is gone, or that should long be over: their outcome is not known. `pids` and `since`: the
-- connections that there are. Returns how many.
CREATE FUNCTION mayday.find_orphans(pids integer[], since timestamptz[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    t mayday.attempt;
    found_some integer := 0;
BEGIN
    FOR t IN SELECT * FROM mayday.attempt z
             WHERE z.outcome IS NULL AND (z.until <= clock_timestamp() OR NOT EXISTS (
                 SELECT FROM unnest(pids, since) AS u (pid, since) WHERE u.pid = z.pid AND u.since = z.pid_since))
             ORDER BY z.notification FOR UPDATE SKIP LOCKED LOOP
        -- The notification first, as everybody: what has it locked is about to settle the attempt.
        PERFORM FROM mayday.notification n WHERE n.id = t.notification FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        UPDATE mayday.attempt z SET outcome = 'unknown', code = 'gateway gone', ended_at = clock_timestamp()
        WHERE z.id = t.id;
        UPDATE mayday.notification n SET status = 'doubt', due_at = clock_timestamp(), why = 'doubt'
        WHERE n.id = t.notification AND n.status = 'sending';
        found_some := found_some + 1;
    END LOOP;
    RETURN found_some;
END
$$;

-- Those in doubt whose provider is to be asked now, but for what is left to others. Asked again after `lease`, when nobody
-- said what came of it.
CREATE FUNCTION mayday.claim_doubts(in_gateway text, orgs text[], most integer, lease interval)
RETURNS TABLE (id uuid, kind text, address text, body text, attempt uuid, provider text, begun_us bigint, rank integer,
               tried jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    theirs text[] := mayday.left_to_others(in_gateway);
    n mayday.notification;
BEGIN
    FOR n IN SELECT * FROM mayday.notification x WHERE x.status = 'doubt' AND x.due_at <= moment
               AND (orgs IS NULL OR x.org = ANY (orgs)) AND (theirs IS NULL OR NOT mayday.is_left(x, theirs))
             ORDER BY x.rank DESC, x.due_at LIMIT most FOR UPDATE SKIP LOCKED LOOP
        UPDATE mayday.notification x SET due_at = moment + lease WHERE x.id = n.id;
        RETURN QUERY SELECT n.id, n.kind, n.address, n.body, t.id, t.provider,
            (extract(epoch FROM t.begun_at) * 1000000)::bigint, n.rank::integer, mayday.tried(n.id)
        FROM (SELECT * FROM mayday.attempt z WHERE z.notification = n.id AND z.outcome = 'unknown'
              ORDER BY z.begun_at DESC LIMIT 1) t;
        IF NOT FOUND THEN -- nothing is in doubt about it any more
            PERFORM mayday.try_again(n.id, 0, n.why);
        END IF;
    END LOOP;
END
$$;

-- What the provider's list says. Each: {"id", "attempt", "found": "sent", "absent" or "unclear", "reference", "code",
-- "ms": when to ask for its receipt, "again": nobody else can be asked to send it, so try at once}. A list without it is
-- believed once the provider can't be at it any more; one that can't be read is waited for three seconds. Then it goes
-- out once more: two texts are better than none. Returns what end_attempts() does.
CREATE FUNCTION mayday.settle_doubts(rows jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    x jsonb;
    t mayday.attempt;
    n mayday.notification;
    moment timestamptz := clock_timestamp();
BEGIN
    FOR x IN SELECT y.value FROM jsonb_array_elements(rows) y ORDER BY y.value->>'id' LOOP
        SELECT * INTO n FROM mayday.notification y WHERE y.id = (x->>'id')::uuid FOR UPDATE;
        SELECT * INTO t FROM mayday.attempt z WHERE z.id = (x->>'attempt')::uuid FOR UPDATE;
        CONTINUE WHEN n.id IS NULL OR t.id IS NULL OR t.outcome <> 'unknown';
        IF EXISTS (SELECT FROM mayday.attempt o
                   WHERE o.provider = t.provider AND o.reference = x->>'reference' AND o.id <> t.id) THEN
            x := x || '{"found": "unclear"}'; -- what was found is another message to the same number
        END IF;
        IF x->>'found' = 'sent' THEN
            UPDATE mayday.attempt z SET outcome = 'sent', reference = x->>'reference' WHERE z.id = t.id
              AND NOT EXISTS (SELECT FROM mayday.attempt o WHERE o.provider = t.provider AND o.reference = x->>'reference');
            IF n.status IN ('doubt', 'waiting') THEN
                UPDATE mayday.notification y SET status = 'sent', sent_at = coalesce(y.sent_at, moment), why = NULL,
                    due_at = moment + (x->>'ms')::bigint * interval '1 ms'
                WHERE y.id = n.id;
                RETURN NEXT n.id;
            END IF;
        ELSIF n.status <> 'doubt' THEN
            CONTINUE;
        ELSIF x->>'found' = 'absent' AND moment >= t.until THEN
            UPDATE mayday.attempt z SET outcome = 'retry', code = coalesce(t.code || ', ', '') || 'not in its list'
            WHERE z.id = t.id;
            PERFORM mayday.try_again(n.id, 0, 'not_sent');
        ELSIF x->>'found' = 'unclear' AND moment >= t.ended_at + interval '3 seconds' THEN
            PERFORM mayday.try_again(n.id, 0, 'doubt');
        ELSE
            UPDATE mayday.notification y SET due_at = moment + interval '500 ms' WHERE y.id = n.id;
        END IF;
    END LOOP;
END
$$;

-- ---- receipts ----

-- Does anybody still wait for an answer to it?
CREATE FUNCTION mayday.wanted(n mayday.notification) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN n.alert IS NULL OR n.purpose NOT IN ('raise', 'forgotten', 'exhausted') OR EXISTS (
        SELECT FROM mayday.escalation e
        WHERE e.org = n.org AND e.alert = n.alert AND e.status IN ('running', 'held', 'exhausted'));
END
$$;

-- What a provider says of a message that it took, asked or unasked. One that failed is tried once more (another provider
-- may have a way that this one has not; somebody who did not take a call may take the next), and the next place is due.
-- True: mark_reached(notification, true) is due.
CREATE FUNCTION mayday.take_receipt(in_attempt uuid, in_receipt text, in_code text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    t mayday.attempt;
    n mayday.notification;
BEGIN
    SELECT y.* INTO n FROM mayday.notification y
    WHERE y.id = (SELECT z.notification FROM mayday.attempt z WHERE z.id = in_attempt) FOR UPDATE;
    SELECT * INTO t FROM mayday.attempt z WHERE z.id = in_attempt FOR UPDATE;
    IF n.id IS NULL OR t.receipt = 'delivered' THEN -- what was delivered, was, whatever comes late
        RETURN false;
    END IF;
    UPDATE mayday.attempt z SET receipt = in_receipt, receipt_at = clock_timestamp(), code = coalesce(in_code, z.code)
    WHERE z.id = t.id AND (z.receipt IS DISTINCT FROM in_receipt OR in_code IS DISTINCT FROM z.code);
    IF in_receipt = 'delivered' THEN
        UPDATE mayday.notification y SET status = 'delivered', due_at = NULL, done_at = clock_timestamp(), why = NULL,
            sent_at = coalesce(y.sent_at, clock_timestamp())
        WHERE y.id = n.id AND y.status NOT IN ('delivered', 'answered');
        RETURN true;
    ELSIF in_receipt = 'failed' AND n.status = 'sent' AND t.receipt IS DISTINCT FROM 'failed'
          AND NOT EXISTS (SELECT FROM mayday.attempt z WHERE z.notification = n.id AND z.begun_at > t.begun_at) THEN
        PERFORM mayday.next_place(n.id);
        IF n.kind IN ('sms', 'voice') AND mayday.wanted(n) AND
           (SELECT count(*) FROM mayday.attempt z WHERE z.notification = n.id AND z.outcome = 'sent') < 2 THEN
            PERFORM mayday.try_again(n.id, CASE n.kind WHEN 'voice' THEN 60000 ELSE 2000 END, 'undelivered');
        ELSE
            PERFORM mayday.give_up(n.id, 'undelivered');
        END IF;
    END IF;
    RETURN false;
END
$$;

-- Messages whose provider is to be asked what became of them: their receipt may be lost. The older they are the more
-- rarely, and not for ever. Not what is left to others.
CREATE FUNCTION mayday.claim_receipts(in_gateway text, orgs text[], most integer)
RETURNS TABLE (id uuid, attempt uuid, provider text, reference text, sent_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    theirs text[] := mayday.left_to_others(in_gateway);
    n mayday.notification;
    age interval;
BEGIN
    FOR n IN SELECT * FROM mayday.notification x WHERE x.status = 'sent' AND x.due_at <= moment
               AND (orgs IS NULL OR x.org = ANY (orgs)) AND (theirs IS NULL OR NOT mayday.is_left(x, theirs))
             ORDER BY x.due_at LIMIT most FOR UPDATE SKIP LOCKED LOOP
        age := moment - n.sent_at;
        UPDATE mayday.notification x SET due_at = CASE WHEN moment < greatest(n.expires_at, n.sent_at) + interval '10 minutes'
                                                       THEN moment + greatest(age / 2, interval '10 seconds') END
        WHERE x.id = n.id;
        RETURN QUERY SELECT n.id, t.id, t.provider, t.reference, (extract(epoch FROM t.begun_at) * 1000000)::bigint
        FROM (SELECT * FROM mayday.attempt z WHERE z.notification = n.id AND z.outcome = 'sent' AND z.reference IS NOT NULL
              ORDER BY z.begun_at DESC LIMIT 1) t;
        IF NOT FOUND THEN
            UPDATE mayday.notification x SET due_at = NULL WHERE x.id = n.id;
        END IF;
    END LOOP;
END
$$;

-- What they said. Each: {"id", "attempt", "receipt": "pending", "delivered", "failed" or "none" when it can't be asked,
-- "code"}. Returns the notifications that were delivered, for mark_reached().
CREATE FUNCTION mayday.settle_receipts_asked(rows jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    x jsonb;
BEGIN
    FOR x IN SELECT y.value FROM jsonb_array_elements(rows) y ORDER BY y.value->>'id' LOOP
        IF x->>'receipt' = 'none' THEN
            UPDATE mayday.notification n SET due_at = NULL WHERE n.id = (x->>'id')::uuid AND n.status = 'sent';
        ELSIF mayday.take_receipt((x->>'attempt')::uuid, x->>'receipt', x->>'code') THEN
            RETURN NEXT (x->>'id')::uuid;
        END IF;
    END LOOP;
END
$$;

-- Milliseconds until something is due; 0 or less: it is; NULL: nothing ever. Nobody waits for what is left to others.
CREATE FUNCTION mayday.sending_sleep(in_gateway text, orgs text[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    theirs text[] := mayday.left_to_others(in_gateway);
    next_due timestamptz;
BEGIN
    SELECT min(n.due_at) INTO next_due FROM mayday.notification n
    WHERE n.due_at IS NOT NULL AND (orgs IS NULL OR n.org = ANY (orgs))
      AND (theirs IS NULL OR NOT mayday.is_left(n, theirs));
    RETURN ceil(extract(epoch FROM next_due - clock_timestamp()) * 1000)::bigint;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.notification_facts(uuid), mayday.note_providers(text, text[], jsonb),
    mayday.claim_notifications(text, text[], text[], integer[], integer[]), mayday.next_place(uuid), mayday.begin_notifications(text, jsonb, timestamptz), mayday.mark_reached(uuid, boolean),
    mayday.end_attempts(jsonb), mayday.find_orphans(integer[], timestamptz[]), mayday.claim_doubts(text, text[], integer, interval),
    mayday.settle_doubts(jsonb), mayday.take_receipt(uuid, text, text), mayday.claim_receipts(text, text[], integer),
    mayday.settle_receipts_asked(jsonb), mayday.sending_sleep(text, text[]) TO mayday_gateway;
