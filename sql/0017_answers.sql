-- What providers tell us: receipts, and what people answer by phone. The gateways keep it in their own store first; their
-- service mail brings it here, in any order and as often as it likes (gateway/services/mail.c).
--
-- Locks: the incidents of all letters first, in one order, as everybody else does; then their notifications.

ALTER TABLE mayday.attempt ADD COLUMN receipt_rank smallint NOT NULL DEFAULT 0; -- of `receipt`; see mayday.receipt_rank
ALTER TABLE mayday.provider_event ADD COLUMN receipt text; -- 'pending', 'delivered', 'failed' or 'unknown'
ALTER TABLE mayday.answer ADD COLUMN tried_at timestamptz;                      -- when it was last handed to a broker
CREATE INDEX ON mayday.provider_event (provider, reference) WHERE kind = 'receipt';

-- ---- receipts ----

-- How far a message had come when a provider said that. What is further is never overwritten by what is less far; once it
-- was delivered nothing else is true.
CREATE FUNCTION mayday.receipt_rank(receipt text, said text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE receipt
           WHEN 'delivered' THEN 10
           WHEN 'failed' THEN 9
           WHEN 'pending' THEN CASE WHEN said IN ('queued', 'accepted', 'scheduled', 'buffered', 'started') THEN 2
                                    WHEN said IN ('sending', 'initiated') THEN 3
                                    WHEN said IN ('sent', 'ringing') THEN 4 ELSE 5 END
           ELSE 1 END::smallint
$$;

-- What a provider's own code says about the number. Codes that are not here say nothing more than that it failed.
CREATE FUNCTION mayday.number_blame(in_provider text, in_code text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT b.blame FROM (VALUES
        ('twilio-sms', '21610', 'opted_out'), ('twilio-sms', '30005', 'number'), ('twilio-sms', '21211', 'number'),
        ('twilio-sms', '30006', 'no_text'), ('twilio-sms', '21614', 'no_text'),
        ('vonage-sms', '9', 'number'), ('vonage-sms', '3', 'number'), ('vonage-sms', '4', 'opted_out')
    ) b(provider, code, blame) WHERE b.provider = in_provider AND b.code = in_code
$$;

-- One receipt, for the attempt it is about. What follows from it is mayday.take_receipt()'s.
CREATE FUNCTION mayday.apply_receipt(t mayday.attempt, e mayday.provider_event) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    blame text := mayday.number_blame(t.provider, e.code);
    far smallint := mayday.receipt_rank(e.receipt, e.said);
BEGIN
    UPDATE mayday.attempt x SET receipt_rank = far WHERE x.id = t.id AND x.receipt_rank < far;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF e.receipt = 'failed' AND blame IS NOT NULL THEN
        PERFORM mayday.note_number(n.address, blame) FROM mayday.notification n
        WHERE n.id = t.notification AND n.address IS NOT NULL;
    END IF;
    IF mayday.take_receipt(t.id, e.receipt, e.code) THEN
        PERFORM mayday.mark_reached(t.notification, true);
    END IF;
END
$$;

-- What the provider said of a message may be here before we know its name: once we do, it counts. At the end of the
-- transaction, when whoever stored the attempt has said what became of the notification.
CREATE FUNCTION mayday.receipts_before() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    e mayday.provider_event;
    t mayday.attempt;
BEGIN
    FOR e IN SELECT * FROM mayday.provider_event x
             WHERE x.provider = NEW.provider AND x.reference = NEW.reference AND x.kind = 'receipt'
             ORDER BY x.received_at, x.id LOOP
        SELECT * INTO t FROM mayday.attempt x WHERE x.id = NEW.id;
        PERFORM mayday.apply_receipt(t, e);
    END LOOP;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER receipts_before AFTER INSERT OR UPDATE OF reference ON mayday.attempt
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.reference IS NOT NULL) EXECUTE FUNCTION mayday.receipts_before();

-- The attempt a receipt is about. By our own address, which has the notification in it, also one that nobody knew the end
-- of: now it is known to have gone out. One that is still on its way is left to whoever waits for it.
CREATE FUNCTION mayday.attempt_of(e mayday.provider_event) RETURNS mayday.attempt LANGUAGE plpgsql AS $$
DECLARE
    t mayday.attempt;
BEGIN
    SELECT * INTO t FROM mayday.attempt x WHERE x.provider = e.provider AND x.reference = e.reference;
    IF t.id IS NULL AND e.notification IS NOT NULL AND e.reference IS NOT NULL THEN
        PERFORM FROM mayday.notification n WHERE n.id = e.notification FOR UPDATE;
        UPDATE mayday.attempt x SET outcome = 'sent', reference = e.reference,
            ended_at = coalesce(x.ended_at, clock_timestamp())
        WHERE x.id = (SELECT y.id FROM mayday.attempt y
                      WHERE y.notification = e.notification AND y.provider = e.provider AND y.reference IS NULL
                        AND y.outcome = 'unknown'
                      ORDER BY y.begun_at DESC LIMIT 1)
        RETURNING * INTO t;
        -- What is said next may get lost: then it is asked for.
        UPDATE mayday.notification n SET status = 'sent', due_at = clock_timestamp() + interval '15 seconds',
            sent_at = coalesce(n.sent_at, e.received_at)
        WHERE n.id = t.notification AND n.status = 'doubt';
    END IF;
    RETURN t;
END
$$;

-- ---- answers ----

-- What a number was called about, the newest first: once for each incident and person. `open`: it still is.
CREATE FUNCTION mayday.called_about(in_number text)
RETURNS TABLE (notification uuid, org text, alert uuid, person text, code text, open boolean, made_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT n.id, n.org, n.alert, n.person, n.code, a.closed_at IS NULL, n.made_at
    FROM mayday.notification n JOIN mayday.alert a ON a.org = n.org AND a.id = n.alert
    WHERE n.address = in_number AND n.kind IN ('sms', 'voice') AND n.person IS NOT NULL AND NOT n.family
      AND n.purpose IN ('raise', 'forgotten', 'exhausted', 'unclear', 'answered') AND n.status <> 'withdrawn'
      AND (n.status <> 'waiting' OR n.attempts > 0) AND n.made_at > now() - interval '7 days'
    ORDER BY n.made_at DESC
$$;

-- The open ones among them, each by the code that names it: "4821 Ann Smith, 1177 bob". NULL: none has a code.
CREATE FUNCTION mayday.choices(in_number text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(o.code || ' ' || o.who, ', ' ORDER BY o.made_at DESC)
    FROM (SELECT DISTINCT ON (c.org, c.alert) c.code, c.made_at, coalesce(p.name, a.raised_by) AS who
          FROM mayday.called_about(in_number) c
          JOIN mayday.alert a ON a.org = c.org AND a.id = c.alert
          LEFT JOIN mayday.person p ON p.org = a.org AND p.person = a.raised_by
          WHERE c.open AND c.code IS NOT NULL ORDER BY c.org, c.alert, c.made_at DESC) o
$$;

-- Who has that number: whoever was called at it last, of late; else whose it is. Numbers change hands.
CREATE FUNCTION mayday.who_has(in_number text, OUT org text, OUT alert uuid, OUT person text, OUT family boolean,
    OUT notification uuid, OUT purpose text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT n.org, n.alert, n.person, n.family, n.id, n.purpose INTO org, alert, person, family, notification, purpose
    FROM mayday.notification n
    WHERE n.address = in_number AND n.kind IN ('sms', 'voice') AND n.person IS NOT NULL
      AND n.made_at > now() - interval '7 days' ORDER BY n.made_at DESC LIMIT 1;
    IF person IS NULL THEN
        SELECT c.org, c.person, false INTO org, person, family FROM mayday.channel c WHERE c.number = in_number
        ORDER BY c.org, c.person LIMIT 1;
    END IF;
END
$$;

-- A text back. The same is not said twice within ten minutes: two machines would never end.
CREATE FUNCTION mayday.text_back(in_org text, in_alert uuid, in_person text, in_number text, in_purpose text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF in_number IS NULL OR EXISTS (SELECT FROM mayday.notification n WHERE n.address = in_number AND n.kind = 'sms'
        AND n.made_at > clock_timestamp() - interval '10 minutes' AND n.purpose = in_purpose
        AND n.alert IS NOT DISTINCT FROM in_alert) THEN
        RETURN;
    END IF;
    PERFORM mayday.notify(in_org, in_alert, in_person, 'sms', in_number, in_purpose, 2, false, 0, 0, 1, clock_timestamp(),
                          interval '15 minutes');
END
$$;

-- STOP: no texts any more. What waited to be sent goes another way.
CREATE FUNCTION mayday.number_stopped(in_number text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n mayday.notification;
BEGIN
    PERFORM mayday.note_number(in_number, 'opted_out');
    FOR n IN UPDATE mayday.notification x SET status = 'failed', due_at = NULL, done_at = clock_timestamp(), why = 'opted_out'
             WHERE x.address = in_number AND x.kind = 'sms' AND x.status = 'waiting'
               AND x.made_at > now() - interval '7 days' RETURNING * LOOP
        PERFORM mayday.next_place(n.id);
    END LOOP;
END
$$;

CREATE FUNCTION mayday.number_started(in_number text) RETURNS void LANGUAGE sql AS $$
    UPDATE mayday.number_note n SET opted_out_at = NULL, noted_at = now() WHERE n.number = in_number
$$;

CREATE FUNCTION mayday.store_answer(e mayday.provider_event, in_key text, in_org text, in_alert uuid, in_person text,
    in_notification uuid, in_how text, in_answer text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF in_person IS NULL THEN
        RETURN; -- nobody we know
    END IF;
    INSERT INTO mayday.answer (id, org, alert, person, notification, how, answer, at, done)
    VALUES (mayday.derived_id(in_key, e.received_at), in_org, in_alert, in_person, in_notification, in_how, in_answer,
            -- by a gateway's clock; nobody answers what was not asked yet
            greatest(e.received_at, (SELECT n.made_at FROM mayday.notification n WHERE n.id = in_notification)),
            in_answer NOT IN ('acknowledge', 'escalate') OR in_alert IS NULL)
    ON CONFLICT DO NOTHING;
END
$$;

-- An answer to a test: it is seen that the way is good.
CREATE FUNCTION mayday.test_answered(in_notification uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE mayday.notification n SET status = 'answered', due_at = NULL, done_at = clock_timestamp()
    WHERE n.id = in_notification AND n.alert IS NULL AND n.status IN ('sending', 'doubt', 'sent', 'delivered')
$$;

-- A key in a call: by the call, or by our own address, while the call is not known yet. Family only listens.
CREATE FUNCTION mayday.take_key(e mayday.provider_event, in_key text, meaning text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n mayday.notification;
BEGIN
    SELECT * INTO n FROM mayday.notification x
    WHERE x.id = coalesce((SELECT t.notification FROM mayday.attempt t
                           WHERE t.provider = e.provider AND t.reference = e.reference), e.notification);
    IF n.id IS NOT NULL THEN
        PERFORM mayday.store_answer(e, in_key, n.org, n.alert, n.person, n.id, 'voice',
                                    CASE WHEN n.family THEN 'unclear' ELSE meaning END);
        PERFORM mayday.test_answered(n.id);
    END IF;
END
$$;

-- A text: the code says which, or there is only one it can mean. True: it may become clear in a moment, when a gateway
-- has brought what it did while the database was away.
CREATE FUNCTION mayday.take_text(e mayday.provider_event, in_key text, in_number text, meaning text, in_code text,
    early boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    c record;
    who record;
    open_ones integer;
BEGIN
    SELECT * INTO who FROM mayday.who_has(in_number);
    IF meaning = 'start' THEN
        PERFORM mayday.number_started(in_number);
        IF who.person IS NOT NULL THEN
            PERFORM mayday.text_back(who.org, NULL, who.person, in_number, 'opted_in');
        END IF;
    ELSIF meaning = 'stop' THEN
        PERFORM mayday.number_stopped(in_number);
    END IF;
    IF meaning NOT IN ('acknowledge', 'escalate') THEN
        PERFORM mayday.store_answer(e, in_key, who.org, who.alert, who.person, NULL, 'sms', meaning);
        IF meaning IN ('help', 'unclear') AND who.person IS NOT NULL AND NOT who.family THEN
            PERFORM mayday.text_back(who.org, who.alert, who.person, in_number, meaning);
        END IF;
        RETURN false;
    END IF;
    SELECT count(DISTINCT x.alert) INTO open_ones FROM mayday.called_about(in_number) x WHERE x.open;
    SELECT * INTO c FROM mayday.called_about(in_number) x
    WHERE CASE WHEN in_code IS NOT NULL THEN x.code = in_code WHEN open_ones > 0 THEN x.open
               ELSE x.made_at > now() - interval '1 day' END
    ORDER BY x.open DESC, x.made_at DESC LIMIT 1;
    IF c.alert IS NOT NULL AND (in_code IS NOT NULL OR open_ones <= 1) THEN
        PERFORM mayday.store_answer(e, in_key, c.org, c.alert, c.person, c.notification, 'sms', meaning);
        RETURN false;
    ELSIF early AND c.alert IS NULL THEN
        RETURN true;
    ELSIF open_ones = 0 AND in_code IS NULL AND who.purpose = 'test' THEN
        PERFORM mayday.store_answer(e, in_key, who.org, NULL, who.person, who.notification, 'sms', meaning);
        PERFORM mayday.test_answered(who.notification);
        RETURN false;
    END IF;
    PERFORM mayday.store_answer(e, in_key, who.org, NULL, who.person, NULL, 'sms', 'unclear');
    IF who.person IS NOT NULL AND NOT who.family THEN
        PERFORM mayday.text_back(who.org, who.alert, who.person, in_number, CASE WHEN open_ones > 0 THEN 'which' ELSE 'unclear' END);
    END IF;
    RETURN false;
END
$$;

-- Who answered by text hears what came of it, once that is true.
CREATE FUNCTION mayday.tell_answer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    r mayday.answer;
    n mayday.notification;
    closed boolean := EXISTS (SELECT FROM mayday.alert a WHERE a.org = NEW.org AND a.closed_at IS NOT NULL
                              AND a.id = mayday.incident_of(NEW.org, NEW.alert));
BEGIN
    SELECT * INTO r FROM mayday.answer x WHERE x.id = NEW.id AND x.how = 'sms';
    SELECT * INTO n FROM mayday.notification x WHERE x.id = r.notification;
    IF n.id IS NOT NULL THEN
        PERFORM mayday.text_back(n.org, n.alert, n.person, n.address, CASE
            WHEN NEW.verdict = 'applied' AND NEW.action = 'acknowledge' THEN 'answered'
            WHEN NEW.verdict = 'applied' THEN 'escalated'
            WHEN closed THEN 'over'
            WHEN NEW.verdict = 'illegal' THEN 'late'
            ELSE 'barred' END);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_answer AFTER UPDATE OF verdict ON mayday.action FOR EACH ROW
    WHEN (NEW.via IS NOT NULL AND NEW.verdict IS NOT NULL AND NEW.verdict <> 'displaced' AND OLD.verdict IS NULL)
    EXECUTE FUNCTION mayday.tell_answer();

-- ---- letters ----

-- All incidents that letters are about, then all notifications, in one order for everybody. Whoever stores what became of a
-- request has its notification locked: so either we find what they stored, or they find what we did (receipts_before).
-- A writer takes incidents in the order of its messages, and must not be held up: so we wait with nothing in our hands.
CREATE FUNCTION mayday.lock_for_mail(letters jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[] := ARRAY(
        SELECT l.notification::uuid FROM jsonb_to_recordset(letters) l(notification text)
        WHERE l.notification ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        UNION
        SELECT t.notification FROM jsonb_to_recordset(letters) l(provider text, reference text)
            JOIN mayday.attempt t ON t.provider = l.provider AND t.reference = l.reference
        UNION
        SELECT n.id FROM jsonb_to_recordset(letters) l("from" text, meaning text) JOIN mayday.notification n
            ON n.address = l."from" AND n.kind = 'sms' AND n.status = 'waiting' WHERE l.meaning = 'stop');
BEGIN
    FOR turn IN 1 .. 200 LOOP
        BEGIN
            PERFORM FROM mayday.alert a
            WHERE (a.org, a.id) IN (SELECT n.org, n.alert FROM mayday.notification n WHERE n.id = ANY (ids))
            ORDER BY a.org, a.id FOR UPDATE NOWAIT;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF turn = 200 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.02);
        END;
    END LOOP;
    PERFORM FROM mayday.notification n WHERE n.id = ANY (ids) ORDER BY n.id FOR UPDATE;
END
$$;

CREATE FUNCTION mayday.take_letter(l jsonb, early boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    e mayday.provider_event;
    t mayday.attempt;
BEGIN
    INSERT INTO mayday.provider_event (id, provider, kind, reference, notification, said, code, receipt, received_at)
    VALUES (left(l->>'key', 32)::uuid, l->>'provider', l->>'kind', l->>'reference',
            CASE WHEN l->>'notification' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (l->>'notification')::uuid END,
            CASE l->>'kind' WHEN 'text' THEN l->>'meaning' ELSE coalesce(l->>'said', '') END, l->>'code', l->>'receipt',
            -- by a gateway's clock: brokers refuse what comes from another day
            CASE WHEN (l->>'received_at')::timestamptz < clock_timestamp() + interval '12 hours'
                 THEN (l->>'received_at')::timestamptz ELSE clock_timestamp() END)
    ON CONFLICT DO NOTHING RETURNING * INTO e;
    IF e.id IS NULL THEN
        RETURN false;
    ELSIF e.kind = 'receipt' THEN
        t := mayday.attempt_of(e);
        IF t.id IS NOT NULL THEN
            PERFORM mayday.apply_receipt(t, e);
        END IF;
    ELSIF e.kind = 'key' THEN
        PERFORM mayday.take_key(e, l->>'key', l->>'meaning');
    ELSIF mayday.take_text(e, l->>'key', l->>'from', l->>'meaning', l->>'answer_code', early) THEN
        DELETE FROM mayday.provider_event x WHERE x.id = e.id;
        RETURN true;
    END IF;
    RETURN false;
END
$$;

-- Takes letters, each an event as gateway/local/mail.c spells it with its `key`, `received_at`, and of an answer its `meaning` and
-- `answer_code`. What is known changes nothing. `early`: what means nothing yet may do so in a moment. Returns the keys of
-- those, and of what can't be stored by no fault of its own, with the reason; the others need not be kept any more.
CREATE FUNCTION mayday.mail_take(letters jsonb, early boolean DEFAULT false) RETURNS TABLE (key text, why text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    l jsonb;
BEGIN
    PERFORM mayday.lock_for_mail(letters);
    FOR l IN SELECT x.value FROM jsonb_array_elements(letters) x LOOP
        BEGIN
            key := l->>'key';
            why := NULL;
            IF mayday.take_letter(l, early) THEN
                RETURN NEXT;
            END IF;
        EXCEPTION -- one must not stop the others
        WHEN data_exception OR integrity_constraint_violation THEN
            PERFORM mayday.record_audit('-', 'mail.failed', 'mayday', NULL, NULL, jsonb_build_object(
                'kind', l->>'kind', 'provider', l->>'provider', 'why', SQLERRM));
        WHEN transaction_rollback OR operator_intervention OR insufficient_resources OR object_not_in_prerequisite_state
        THEN
            RAISE; -- all of it is done again
        WHEN OTHERS THEN
            why := SQLERRM;
            RETURN NEXT;
        END;
    END LOOP;
END
$$;

-- What was answered and is to be said to a broker, of organisations that are connected; the longest waiting first. For
-- three seconds no other gateway does.
CREATE FUNCTION mayday.answers_claim(orgs text[], most integer)
RETURNS TABLE (id uuid, org text, alert uuid, person text, action text, at text)
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.answer x SET tried_at = clock_timestamp()
    WHERE x.id IN (SELECT y.id FROM mayday.answer y
                   WHERE NOT y.done AND y.org = ANY (orgs) AND y.at > now() - interval '1 day'
                     AND coalesce(y.tried_at < clock_timestamp() - interval '3 seconds', true)
                   ORDER BY y.at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING x.id, x.org, x.alert, x.person, x.answer, mayday.spell(x.at)
$$;

-- The broker has them.
CREATE FUNCTION mayday.answers_done(ids uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.answer x SET done = true WHERE x.id = ANY (ids) AND NOT x.done
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.mail_take(jsonb, boolean), mayday.answers_claim(text[], integer),
    mayday.answers_done(uuid[]) TO mayday_gateway;
