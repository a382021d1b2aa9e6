-- This server's clock is what everything waits by, and it may be wrong: small machines boot with one that is, and are put
-- right while people wait. A gateway looks at it every two seconds (gateway/services/keeper.c) and writes down what it saw.
--
--   It went back: what waits would wait so much longer, and nobody would be told. All of it is moved back by as much.
--   It went ahead, or nobody looked for a while: what is due since then is due. That cannot be told from time that passed,
--   and too early is better than too late. But no message expires of it: nobody could send it meanwhile.
--
-- What has happened keeps the times it was written with.
CREATE TABLE mayday.clock_seen (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seen_at timestamptz NOT NULL
);
INSERT INTO mayday.clock_seen (seen_at) VALUES (clock_timestamp());

-- The clock as far as it was looked at: what messages expire by.
CREATE FUNCTION mayday.watched_now() RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT least(clock_timestamp(), (SELECT c.seen_at + interval '10 seconds' FROM mayday.clock_seen c))
$$;

-- Whatever waits, waits as long as it would have. These tables are locked, in an order that everybody else takes them in,
-- so that no row is left out; of what is locked row by row nothing is lost when a row is.
CREATE FUNCTION mayday.clock_back(d interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE mayday.check_watch, mayday.timer_watch, mayday.escalation, mayday.notification IN EXCLUSIVE MODE;
    PERFORM mayday.record_audit(x.org, 'clock.back', 'mayday', NULL, NULL,
        jsonb_build_object('seconds', round(extract(epoch FROM d), 3), 'escalations', count(*)))
    FROM mayday.escalation x WHERE x.due_at IS NOT NULL GROUP BY x.org;
    UPDATE mayday.escalation x SET begun_at = x.begun_at - d, due_at = x.due_at - d, next_at = x.next_at - d,
        answered_at = x.answered_at - d, moved_at = x.moved_at - d, held_until = x.held_until - d
    WHERE x.due_at IS NOT NULL;
    UPDATE mayday.notification x SET due_at = x.due_at - d, expires_at = x.expires_at - d
    WHERE x.due_at IS NOT NULL OR x.status = 'sending';
    UPDATE mayday.check_watch x SET due_at = x.due_at - d, claimed_at = x.claimed_at - d
    WHERE x.alarmed_at IS NULL AND x.due_at IS NOT NULL;
    -- All of them: what is said from now on must not be older than what was said before.
    UPDATE mayday.timer_watch x SET said_at = x.said_at - d, due_at = x.due_at - d, claimed_at = x.claimed_at - d;
    UPDATE mayday.attempt x SET until = x.until - d, ended_at = x.ended_at - d
    WHERE x.id IN (SELECT y.id FROM mayday.attempt y JOIN mayday.notification n ON n.id = y.notification
                   WHERE n.status IN ('sending', 'doubt') AND (y.outcome IS NULL OR y.outcome = 'unknown')
                   FOR UPDATE OF y SKIP LOCKED);
    UPDATE mayday.answer x SET tried_at = x.tried_at - d
    WHERE x.id IN (SELECT y.id FROM mayday.answer y WHERE NOT y.done FOR UPDATE SKIP LOCKED);
    UPDATE mayday.person x SET pin_locked_until = x.pin_locked_until - d
    WHERE (x.org, x.person) IN (SELECT y.org, y.person FROM mayday.person y WHERE y.pin_locked_until > clock_timestamp()
                                FOR UPDATE SKIP LOCKED);
    PERFORM pg_notify(c, '') FROM unnest('{mayday_escalation,mayday_notify,mayday_keeper}'::text[]) c;
END
$$;

-- A look. Milliseconds: negative when the clock went back by so much, positive when nobody had looked for so long or it
-- went ahead, 0 otherwise. `first`: of a connection; then what was written while nobody looked counts as seen, too. Who
-- finds another gateway at it leaves it to that one.
CREATE FUNCTION mayday.clock_look(first boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp SET lock_timeout = '800ms' AS $$
DECLARE
    seen timestamptz;
    moment timestamptz;
BEGIN
    SELECT c.seen_at INTO seen FROM mayday.clock_seen c FOR UPDATE SKIP LOCKED;
    IF seen IS NULL THEN
        RETURN 0;
    END IF;
    moment := clock_timestamp();
    IF first THEN
        seen := greatest(seen, (SELECT max(e.moved_at) FROM mayday.escalation e WHERE e.due_at IS NOT NULL));
    END IF;
    IF moment < seen - interval '2 seconds' THEN
        PERFORM mayday.clock_back(seen - moment);
    ELSIF moment > seen + interval '10 seconds' THEN
        PERFORM FROM mayday.notification x
        WHERE x.status IN ('waiting', 'sending', 'doubt') AND x.expires_at > seen + interval '10 seconds'
        ORDER BY x.id FOR UPDATE;
        -- What is left of its time is at most what [notify] validity can be.
        UPDATE mayday.notification x SET expires_at = greatest(x.expires_at,
            moment + least(x.expires_at - (seen + interval '10 seconds'), interval '10 hours'))
        WHERE x.status IN ('waiting', 'sending', 'doubt') AND x.expires_at > seen + interval '10 seconds';
        PERFORM pg_notify(c, '') FROM unnest('{mayday_escalation,mayday_notify}'::text[]) c;
    ELSIF moment < seen + interval '1 second' THEN -- another gateway has just looked, or it went back by little
        RETURN 0;
    END IF;
    UPDATE mayday.clock_seen c SET seen_at = moment;
    RETURN CASE WHEN moment < seen OR moment > seen + interval '10 seconds'
                THEN (extract(epoch FROM moment - seen) * 1000)::bigint ELSE 0 END;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.clock_look(boolean) TO mayday_gateway;
