-- The feed: one line of everything that somebody who was away may have missed, in the order of commits, and the
-- answers to `sync` that are read from it.
--
-- Positions are given by whoever holds the one advisory lock of the feed, which is let go when the transaction is
-- over. So the order of positions is the order of commits, and a reader who has seen a position will never find a
-- lower one later. That lock is the last lock a transaction takes:
--   - the writer calls mayday.feed_rows with its new messages as its last statement but the note of its progress;
--   - everything else that belongs into the feed (memberships, states, refusals) is noted by triggers in
--     mayday.feed_pending, without any lock, in the transaction that makes it true. It is moved into the feed,
--     under the lock, by the next feed_rows or by the gateway before it answers (mayday.feed_settle). Only movers
--     delete from that table, one at a time, so nobody waits for anybody in a circle. Notes about one membership or
--     one incident are in the order of their commits, because their transactions waited for each other's row.
--
-- A line is found by its audience, family and id: 'alert', 'room', 'user' and 'role' as in topics, and 'reply' for
-- the answers of a person, which are for dispatch, and 'vital' for what was found in their readings, which is for
-- dispatch and supervisors. The kinds:
--   message   a stored message, in `source` under the id `message`
--   state     an incident changed; for its members its `state`, for those who help its `dispatch`, as they are when
--             they are read. Only the newest one of an incident stays in the feed
--   dispatch  the same when only `dispatch` changed: under duress. `state` then says what it said
--   joined    the person of the audience belongs to subject_family/subject since this position. They are given what
--             was said there before, from its beginning
--   gone      they no longer do: whoever has something of it forgets it
--   rejected  a message of theirs changed nothing; the payload says why
-- Of joined and gone, too, only the newest one of each person and subject stays.

-- (jit = off: compiling a plan takes ten times as long as running any of these.)

CREATE SEQUENCE mayday.feed_position;

CREATE TABLE mayday.feed (
    position bigint PRIMARY KEY,
    org text NOT NULL,
    family text NOT NULL CHECK (family IN ('alert', 'room', 'user', 'role', 'reply', 'vital')),
    id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('message', 'state', 'dispatch', 'joined', 'gone', 'rejected')),
    source text,
    message uuid,
    subject_family text,
    subject text,
    payload jsonb,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((kind = 'message') = (source IS NOT NULL AND message IS NOT NULL)),
    CHECK ((kind IN ('joined', 'gone')) = (subject_family IS NOT NULL AND subject IS NOT NULL)),
    CHECK ((kind = 'rejected') = (payload IS NOT NULL))
);
COMMENT ON TABLE mayday.feed IS 'What `sync` is answered from, in the order of commits.';
CREATE INDEX ON mayday.feed (org, family, id, position);
CREATE INDEX feed_wide ON mayday.feed (org, position) WHERE family IN ('alert', 'reply', 'vital');
CREATE INDEX feed_state ON mayday.feed (org, id) WHERE kind IN ('state', 'dispatch');
CREATE INDEX feed_subject ON mayday.feed (org, id, subject_family, subject) WHERE kind IN ('joined', 'gone');

-- Which feed this is: cursors of another one are worth nothing. And where it begins, since its retention.
CREATE TABLE mayday.feed_epoch (
    epoch text PRIMARY KEY CHECK (epoch ~ '^[0-9a-f]{8}$'),
    kept_after bigint NOT NULL DEFAULT 0
);
INSERT INTO mayday.feed_epoch (epoch) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 8));

-- Since which position a person belongs to an incident or room, while they do.
CREATE TABLE mayday.feed_since (
    org text NOT NULL,
    person text NOT NULL,
    family text NOT NULL,
    id text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (org, person, family, id)
);

CREATE TABLE mayday.feed_pending (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org text NOT NULL,
    family text NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    subject_family text,
    subject text,
    payload jsonb
);

-- Which column of which table names the audience of its messages, and the last level of their topic.
CREATE TABLE mayday.feed_source (
    name text NOT NULL,
    audience text NOT NULL, -- the feed's family
    id_column text NOT NULL,
    family text NOT NULL,   -- the topic's
    leaf text NOT NULL,
    PRIMARY KEY (name, audience)
);
INSERT INTO mayday.feed_source (name, audience, id_column, family, leaf) VALUES
    ('raise', 'alert', 'alert', 'alert', 'raise'),
    ('action', 'alert', 'alert', 'alert', 'action'),
    ('chat', 'alert', 'alert', 'alert', 'chat'),
    ('chat', 'room', 'room', 'room', 'chat'),
    ('person_check', 'user', 'person', 'user', 'check'),
    ('inbox', 'user', 'person', 'user', 'inbox'),
    ('reply', 'reply', 'person', 'user', 'reply'),
    ('vital_alert', 'vital', 'person', 'user', 'vital_alert'),
    ('broadcast', 'role', 'role', 'role', 'broadcast');

-- Which lines of what somebody belongs to they see: who only follows it sees how it goes.
CREATE FUNCTION mayday.sees(relation text, kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind WHEN 'state' THEN relation IS DISTINCT FROM 'past' WHEN 'dispatch' THEN relation = 'assigned'
                     ELSE relation IN ('raiser', 'assigned', 'invited', 'member') END
$$;

CREATE FUNCTION mayday.note_membership() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    same boolean := TG_OP = 'UPDATE' AND (OLD.org, OLD.family, OLD.id, OLD.person)
                                         IS NOT DISTINCT FROM (NEW.org, NEW.family, NEW.id, NEW.person);
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.until IS NULL AND OLD.relation <> 'past'
       AND (TG_OP = 'DELETE' OR NOT same OR NEW.until IS NOT NULL OR NEW.relation = 'past') THEN
        INSERT INTO mayday.feed_pending (org, family, id, kind, subject_family, subject)
        VALUES (OLD.org, 'user', OLD.person, 'gone', OLD.family, OLD.id);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.until IS NULL AND NEW.relation <> 'past'
       AND (NOT same OR OLD.until IS NOT NULL
            OR (mayday.sees(NEW.relation, 'message') AND NOT mayday.sees(OLD.relation, 'message')))
    THEN
        INSERT INTO mayday.feed_pending (org, family, id, kind, subject_family, subject)
        VALUES (NEW.org, 'user', NEW.person, 'joined', NEW.family, NEW.id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER feed AFTER INSERT OR UPDATE OR DELETE ON mayday.membership
    FOR EACH ROW EXECUTE FUNCTION mayday.note_membership();

-- Under duress nothing moves that `state` does not show: how often an incident changed says more than its state.
CREATE FUNCTION mayday.note_alert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    shown text := CASE WHEN TG_OP = 'UPDATE' AND NEW.decoy IS NOT NULL AND NEW.decoy IS NOT DISTINCT FROM OLD.decoy
                       THEN 'dispatch' ELSE 'state' END;
BEGIN
    INSERT INTO mayday.feed_pending (org, family, id, kind) VALUES (NEW.org, 'alert', NEW.id::text, shown);
    IF NEW.presses > 1 THEN -- the repeated presses that joined it say how it goes, too
        INSERT INTO mayday.feed_pending (org, family, id, kind)
        SELECT a.org, 'alert', a.id::text, shown FROM mayday.alert a
        WHERE a.org = NEW.org AND a.joined_to = NEW.id ORDER BY a.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER feed_new AFTER INSERT ON mayday.alert FOR EACH ROW EXECUTE FUNCTION mayday.note_alert();
CREATE TRIGGER feed_changed AFTER UPDATE ON mayday.alert
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION mayday.note_alert();

CREATE FUNCTION mayday.note_rejected() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mayday.feed_pending (org, family, id, kind, payload)
    VALUES (NEW.org, 'user', substr(NEW.lane, length('user/') + 1), 'rejected', NEW.payload);
    RETURN NULL;
END
$$;
CREATE TRIGGER feed AFTER INSERT ON mayday.outbox FOR EACH ROW
    WHEN (NEW.kind = 'message' AND NEW.leaf = 'rejected' AND NEW.lane LIKE 'user/%')
    EXECUTE FUNCTION mayday.note_rejected();

-- One note, into the feed. The caller holds the lock.
CREATE FUNCTION mayday.feed_place(note mayday.feed_pending) RETURNS void
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    place bigint := nextval('mayday.feed_position');
BEGIN
    IF note.kind IN ('state', 'dispatch') THEN
        DELETE FROM mayday.feed f
        WHERE f.org = note.org AND f.id = note.id AND f.kind IN ('state', 'dispatch')
          AND (note.kind = 'state' OR f.kind = 'dispatch');
    ELSIF note.kind IN ('joined', 'gone') THEN
        DELETE FROM mayday.feed f
        WHERE f.org = note.org AND f.id = note.id AND f.kind IN ('joined', 'gone')
          AND f.subject_family = note.subject_family AND f.subject = note.subject;
        IF note.kind = 'joined' THEN
            INSERT INTO mayday.feed_since (org, person, family, id, position)
            VALUES (note.org, note.id, note.subject_family, note.subject, place)
            ON CONFLICT (org, person, family, id) DO UPDATE SET position = excluded.position;
        ELSE
            DELETE FROM mayday.feed_since s WHERE s.org = note.org AND s.person = note.id
                AND s.family = note.subject_family AND s.id = note.subject;
        END IF;
    END IF;
    INSERT INTO mayday.feed (position, org, family, id, kind, subject_family, subject, payload)
    VALUES (place, note.org, note.family, note.id, note.kind, note.subject_family, note.subject, note.payload);
END
$$;

-- Moves what is pending, `most` notes; returns how many there were. The caller holds the lock.
CREATE FUNCTION mayday.feed_move(most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    note mayday.feed_pending;
    moved integer := 0;
BEGIN
    FOR note IN
        WITH taken AS (
            DELETE FROM mayday.feed_pending p
            WHERE p.entry IN (SELECT n.entry FROM mayday.feed_pending n ORDER BY n.entry LIMIT most) RETURNING p.*
        )
        SELECT * FROM taken ORDER BY entry
    LOOP
        PERFORM mayday.feed_place(note);
        moved := moved + 1;
    END LOOP;
    RETURN moved;
END
$$;

-- The writer's last word before it commits: these messages are new. Nobody takes another lock after this.
CREATE FUNCTION mayday.feed_rows(table_name text, ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
DECLARE
    s mayday.feed_source;
BEGIN
    IF NOT EXISTS (SELECT FROM mayday.feed_source f WHERE f.name = table_name) THEN
        RAISE EXCEPTION 'mayday.% is not part of the feed', table_name USING ERRCODE = '42P01';
    END IF;
    IF coalesce(cardinality(ids), 0) = 0 THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mayday.feed'));
    PERFORM mayday.feed_move(1000);
    FOR s IN SELECT * FROM mayday.feed_source f WHERE f.name = table_name LOOP
        EXECUTE format('INSERT INTO mayday.feed (position, org, family, id, kind, source, message)
                        SELECT nextval(''mayday.feed_position''), m.org, %L, m.audience, ''message'', %L, m.id
                        FROM (SELECT r.org, r.%I::text AS audience, r.id FROM mayday.%I r
                              WHERE r.id = ANY ($1) AND r.%I IS NOT NULL ORDER BY r.received_at, r.id) m',
                       s.audience, s.name, s.id_column, s.name, s.id_column) USING ids;
    END LOOP;
END
$$;

-- Moves what is pending, in a transaction of its own. Returns how many notes; as long as that is `most`, there may
-- be more. The gateway's.
CREATE FUNCTION mayday.feed_settle(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mayday.feed_pending) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mayday.feed'));
    RETURN mayday.feed_move(most);
END
$$;

-- Retention: forgets the oldest lines, as far as they are older than `older_than`, `most` of them at once because
-- writers wait meanwhile; returns how many. As long as that is `most`, there may be more. Cursors from before begin
-- again. The messages themselves stay as long as their tables keep them. For the owner alone (mayday migrate --prune).
CREATE FUNCTION mayday.trim_feed(older_than interval DEFAULT '90 days', most integer DEFAULT 20000) RETURNS integer
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
DECLARE
    upto bigint;
    dropped integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mayday.feed'));
    SELECT max(o.position) INTO upto FROM (SELECT f.position, f.at FROM mayday.feed f ORDER BY f.position LIMIT most) o
    WHERE o.at < now() - older_than;
    DELETE FROM mayday.feed f WHERE f.position <= upto;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    UPDATE mayday.feed_epoch SET kept_after = greatest(kept_after, upto);
    RETURN dropped;
END
$$;

-- After the database was restored from a backup: all cursors begin again. For the owner alone.
CREATE FUNCTION mayday.renew_feed() RETURNS void
LANGUAGE sql SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.feed_epoch SET epoch = left(replace(gen_random_uuid()::text, '-', ''), 8)
$$;

-- Messages as they were sent: lib/msg/type.c took them apart, this puts them together. The PIN of an action is not
-- stored, and "offline": false is not told from its absence.
CREATE FUNCTION mayday.sent(id uuid, at timestamptz, offline boolean, members jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('v', 1, 'id', id, 'ts', mayday.spell(at),
                                                'offline', nullif(offline, false)) || members)
$$;
CREATE FUNCTION mayday.sent(m mayday.raise) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('type', m.type, 'priority', m.priority,
        'location', m.place, 'text', m.text, 'lang', m.lang, 'silent', m.silent, 'person', m.person, 'readings', m.readings))
$$;
CREATE FUNCTION mayday.sent(m mayday.action) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('action', m.action, 'person', m.person,
        'reason', m.reason, 'expected_version', m.expected_version))
$$;
CREATE FUNCTION mayday.sent(m mayday.chat) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('text', m.text, 'lang', m.lang,
        'reply_to', m.reply_to, 'media', m.media))
$$;
CREATE FUNCTION mayday.sent(m mayday.person_check) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('text', m.text, 'lang', m.lang,
        'reason', m.reason, 'respond_within', m.respond_within, 'alert', m.alert))
$$;
CREATE FUNCTION mayday.sent(m mayday.reply) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('check', m.check_id, 'answer', m.answer,
        'text', m.text, 'location', m.place))
$$;
CREATE FUNCTION mayday.sent(m mayday.vital_alert) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('rule', m.rule, 'kind', m.kind, 'response', m.response,
        'words', m.words, 'vital', m.vital, 'value', m.measured, 'limit', m.bound, 'usual', m.usual,
        'since', mayday.spell(m.since), 'context', m.context, 'readings', m.readings, 'check', m.check_id,
        'alert', m.alert))
$$;
CREATE FUNCTION mayday.sent(m mayday.inbox) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('kind', m.kind, 'text', m.text, 'lang', m.lang,
        'alert', m.alert))
$$;
CREATE FUNCTION mayday.sent(m mayday.broadcast) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT mayday.sent(m.id, m.at, m.offline, jsonb_build_object('text', m.text, 'lang', m.lang))
$$;

-- One entry of a page (schemas/sync_page.json).
CREATE FUNCTION mayday.told(org text, rest text, sender text, received_at timestamptz, payload jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object('topic', 'mayday/v1/' || org || '/' || rest, 'sender', sender,
                              'received_at', mayday.spell(received_at), 'payload', payload)
$$;

-- What a person sees beyond what they belong to: by the roles of their newest token.
CREATE FUNCTION mayday.reach_of(roles text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN 'dispatcher' = ANY (roles) THEN 'd' WHEN 'supervisor' = ANY (roles) THEN 's' ELSE 'n' END
$$;

-- A cursor is ours alone to read: the version, what its reader saw by duty (see reach_of), the epoch, the position up
-- to which everything was given, and, inside the history of what was joined right behind it, the position reached
-- there. One we cannot go on from - garbage, of another epoch, of before what is kept or behind what there is, or of a
-- reader who saw less than they may now - is `reset` to the beginning of what is kept.
CREATE FUNCTION mayday.sync_begin(in_cursor text, reach text, OUT head text, OUT at bigint, OUT inside bigint,
    OUT reset boolean)
LANGUAGE plpgsql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    part text[] := regexp_match(in_cursor, '^1([nsd])\.([0-9a-f]{8})\.([0-9]{1,18})(?:\.([0-9]{1,18}))?$');
    e mayday.feed_epoch;
    newest bigint;
BEGIN
    SELECT * INTO e FROM mayday.feed_epoch;
    SELECT greatest(max(f.position), e.kept_after) INTO newest FROM mayday.feed f;
    head := '1' || reach || '.' || e.epoch || '.';
    at := e.kept_after;
    inside := 0;
    reset := in_cursor IS NOT NULL;
    IF part[2] = e.epoch AND part[3]::bigint BETWEEN e.kept_after AND newest
       AND position(reach IN 'nsd') <= position(part[1] IN 'nsd')
    THEN
        at := part[3];
        inside := coalesce(part[4], '0');
        reset := false;
    END IF;
END
$$;

-- Is this an incident that dispatch sees by its duty? Their own incidents they see as everybody does: what is told
-- about a duress is not told to whom the attacker may be looking over the shoulder.
CREATE FUNCTION mayday.by_duty(in_org text, in_family text, in_id text, in_person text, reach text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT reach <> 'n' AND in_family = 'alert'
       AND NOT EXISTS (SELECT FROM mayday.alert a WHERE a.org = in_org AND a.raised_by = in_person
                       AND a.id = CASE WHEN in_family = 'alert' THEN in_id::uuid END)
$$;

-- The next lines of the feed for this person behind a position, at most `most`.
CREATE FUNCTION mayday.sync_lines(in_org text, in_person text, roles text[], reach text, behind bigint, most integer)
RETURNS TABLE (line mayday.feed, relation text)
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT l.line, l.relation FROM (
        -- what is addressed to them
        (SELECT f AS line, NULL::text AS relation FROM mayday.feed f
         WHERE f.org = in_org AND f.family = 'user' AND f.id = in_person AND f.position > behind
         ORDER BY f.position LIMIT most)
        UNION ALL
        -- to their roles
        (SELECT x.f, NULL FROM unnest(roles) r CROSS JOIN LATERAL
            (SELECT f FROM mayday.feed f
             WHERE f.org = in_org AND f.family = 'role' AND f.id = r AND f.position > behind
             ORDER BY f.position LIMIT most) x)
        UNION ALL
        -- to what they belong to now, since they do
        (SELECT x.f, m.relation FROM mayday.membership m
         JOIN mayday.feed_since s ON s.org = m.org AND s.person = m.person AND s.family = m.family AND s.id = m.id
         CROSS JOIN LATERAL
            (SELECT f FROM mayday.feed f
             WHERE f.org = in_org AND f.family = m.family AND f.id = m.id AND f.position > greatest(behind, s.position)
               AND mayday.sees(m.relation, f.kind)
             ORDER BY f.position LIMIT most) x
         WHERE m.org = in_org AND m.person = in_person AND m.until IS NULL
           AND NOT mayday.by_duty(m.org, m.family, m.id, in_person, reach))
        UNION ALL
        -- and to dispatch
        (SELECT f, 'duty' FROM mayday.feed f
         WHERE reach <> 'n' AND f.org = in_org AND f.family IN ('alert', 'reply', 'vital') AND f.position > behind
           AND CASE f.family WHEN 'reply' THEN reach = 'd' WHEN 'vital' THEN true
               ELSE NOT EXISTS (SELECT FROM mayday.alert a WHERE a.org = in_org AND a.raised_by = in_person
                                AND a.id = CASE f.family WHEN 'alert' THEN f.id::uuid END) END
         ORDER BY f.position LIMIT most)
    ) l ORDER BY (l.line).position LIMIT most
$$;

-- What was said in an incident or room before its newest member came, up to and without `before`.
CREATE FUNCTION mayday.sync_history(m mayday.membership, behind bigint, before bigint, most integer)
RETURNS SETOF mayday.feed LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT f.* FROM mayday.feed f
    WHERE f.org = m.org AND f.family = m.family AND f.id = m.id AND f.position > behind AND f.position < before
      AND mayday.sees(m.relation, f.kind)
    ORDER BY f.position LIMIT most
$$;

-- The walk of one person through the feed: at most `most` lines to be given, each with the relation it is seen by and
-- the cursor behind it. When there are no more, a last row without a line, with the cursor to come back with. All
-- from one snapshot.
CREATE FUNCTION mayday.sync_walk(in_org text, in_person text, in_cursor text, most integer)
RETURNS TABLE (line mayday.feed, relation text, cursor text, reset boolean)
LANGUAGE plpgsql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    roles text[] := coalesce((SELECT p.roles FROM mayday.person p WHERE p.org = in_org AND p.person = in_person), '{}');
    reach text := mayday.reach_of(roles);
    start record;
    here bigint; -- everything up to here is given
    given integer := 0;
    looked integer;
    next record;
    belongs boolean;
    m mayday.membership;
BEGIN
    SELECT * INTO start FROM mayday.sync_begin(in_cursor, reach);
    reset := start.reset;
    here := start.at;
    LOOP
        looked := 0;
        FOR next IN SELECT l.line, (l.line).position, (l.line).kind, (l.line).subject_family, (l.line).subject,
                           l.relation
                    FROM mayday.sync_lines(in_org, in_person, roles, reach, here, most) l
        LOOP
            looked := looked + 1;
            IF next.kind IN ('joined', 'gone') THEN
                SELECT * INTO m FROM mayday.membership k
                WHERE k.org = in_org AND k.family = next.subject_family AND k.id = next.subject
                  AND k.person = in_person AND k.until IS NULL AND k.relation <> 'past';
                belongs := FOUND;
                CONTINUE WHEN mayday.by_duty(in_org, next.subject_family, next.subject, in_person, reach);
            END IF;
            IF next.kind = 'joined' AND belongs THEN
                relation := m.relation;
                FOR line IN SELECT h.* FROM mayday.sync_history(m, CASE WHEN next.position = start.at + 1
                                THEN start.inside ELSE 0 END, next.position, most - given) h
                LOOP
                    cursor := start.head || next.position - 1 || '.' || line.position;
                    RETURN NEXT;
                    given := given + 1;
                END LOOP;
            ELSIF next.kind <> 'joined' AND (next.kind <> 'gone' OR NOT belongs) THEN
                line := next.line;
                relation := next.relation;
                cursor := start.head || next.position;
                RETURN NEXT;
                given := given + 1;
            END IF;
            IF given >= most THEN
                RETURN;
            END IF;
            here := next.position;
        END LOOP;
        EXIT WHEN looked < most;
    END LOOP;
    line := NULL;
    relation := NULL;
    SELECT start.head || greatest(max(f.position), here) INTO cursor FROM mayday.feed f;
    RETURN NEXT;
END
$$;

-- The same as entries of pages (schemas/sync_page.json). `entry` is NULL where there is nothing to tell any more, and
-- in the row that ends it all, which is `last`. The gateway's.
CREATE FUNCTION mayday.sync_entries(in_org text, in_person text, in_cursor text, most integer)
RETURNS TABLE (entry text, cursor text, reset boolean, last boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
    SELECT (CASE (w.line).kind
        WHEN 'message' THEN CASE (w.line).source
            WHEN 'chat' THEN (SELECT mayday.told(m.org, (w.line).family || '/' || (w.line).id || '/chat', m.sender,
                                                 m.received_at, mayday.sent(m))
                              FROM mayday.chat m WHERE m.id = (w.line).message)
            WHEN 'raise' THEN (SELECT mayday.told(m.org, 'alert/' || m.alert || '/raise', m.sender, m.received_at,
                                                  mayday.sent(m))
                               FROM mayday.raise m WHERE m.id = (w.line).message)
            WHEN 'action' THEN (SELECT mayday.told(m.org, 'alert/' || m.alert || '/action', m.sender, m.received_at,
                                                   mayday.sent(m))
                                FROM mayday.action m WHERE m.id = (w.line).message)
            WHEN 'person_check' THEN (SELECT mayday.told(m.org, 'user/' || m.person || '/check', m.sender,
                                                         m.received_at, mayday.sent(m))
                                      FROM mayday.person_check m WHERE m.id = (w.line).message)
            WHEN 'reply' THEN (SELECT mayday.told(m.org, 'user/' || m.person || '/reply', m.sender, m.received_at,
                                                  mayday.sent(m))
                               FROM mayday.reply m WHERE m.id = (w.line).message)
            WHEN 'vital_alert' THEN (SELECT mayday.told(m.org, 'user/' || m.person || '/vital_alert', m.sender,
                                                        m.received_at, mayday.sent(m))
                                     FROM mayday.vital_alert m WHERE m.id = (w.line).message)
            WHEN 'inbox' THEN (SELECT mayday.told(m.org, 'user/' || m.person || '/inbox', m.sender, m.received_at,
                                                  mayday.sent(m))
                               FROM mayday.inbox m WHERE m.id = (w.line).message)
            WHEN 'broadcast' THEN (SELECT mayday.told(m.org, 'role/' || m.role || '/broadcast', m.sender,
                                                      m.received_at, mayday.sent(m))
                                   FROM mayday.broadcast m WHERE m.id = (w.line).message)
            END
        WHEN 'gone' THEN jsonb_build_object('gone', 'mayday/v1/' || (w.line).org || '/' || (w.line).subject_family ||
                                                    '/' || (w.line).subject)
        WHEN 'rejected' THEN mayday.told((w.line).org, 'user/' || (w.line).id || '/rejected', 'mayday', (w.line).at,
                                         (w.line).payload)
        ELSE CASE WHEN w.relation IN ('duty', 'assigned')
             THEN (SELECT mayday.told((w.line).org, 'alert/' || (w.line).id || '/dispatch', 'mayday', (w.line).at, v)
                   FROM mayday.dispatch_of((w.line).org, (w.line).id::uuid) v WHERE v IS NOT NULL)
             ELSE (SELECT mayday.told((w.line).org, 'alert/' || (w.line).id || '/state', 'mayday', (w.line).at, v)
                   FROM mayday.state_of((w.line).org, (w.line).id::uuid) v WHERE v IS NOT NULL) END
        END)::text, w.cursor, w.reset, w.line IS NULL
    FROM mayday.sync_walk(in_org, in_person, in_cursor, most) w
$$;

-- The questions that are not answered yet. Writers only insert; a gateway holds the row of the one it answers.
CREATE TABLE mayday.sync_open (
    id uuid PRIMARY KEY, -- of the sync_request
    org text NOT NULL,
    person text NOT NULL,
    asked text,          -- the cursor it came with
    cursor text,         -- how far the answer got
    node text NOT NULL,  -- the broker it came through
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    served_at timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX ON mayday.sync_open (org, person, at, id);

-- Of one person only the newest questions are kept: who asks without end is answered less often, not at the cost of
-- others. Gateways LISTEN on mayday_sync.
CREATE FUNCTION mayday.settle_syncs(ids uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
    INSERT INTO mayday.sync_open (id, org, person, node, asked, cursor)
    SELECT r.id, r.org, r.person, r.node, r.cursor, r.cursor FROM mayday.sync_request r WHERE r.id = ANY (ids)
    ORDER BY r.received_at, r.id ON CONFLICT (id) DO NOTHING;
    DELETE FROM mayday.sync_open o WHERE o.id IN (
        SELECT d.id FROM mayday.sync_open d WHERE d.id IN (
            SELECT n.id FROM (SELECT o.id, row_number() OVER (PARTITION BY o.org, o.person ORDER BY o.at DESC, o.id DESC)
                              FROM mayday.sync_open o
                              WHERE (o.org, o.person) IN (SELECT r.org, r.person FROM mayday.sync_request r
                                                          WHERE r.id = ANY (ids))) n
            WHERE n.row_number > 8)
        FOR UPDATE SKIP LOCKED);
    SELECT pg_notify('mayday_sync', '')
$$;

-- Takes the next question to be answered, of the person who waited longest, and locks it until the transaction ends.
-- Somebody asks again from the same cursor when the answer did not arrive: then the newest of them is answered, and
-- the older ones are forgotten. Persons of `orgs` only. For a second a question waits for a gateway at the broker that
-- it came through: brokers need not be bridged.
CREATE FUNCTION mayday.sync_claim(orgs text[], gateway text)
RETURNS TABLE (id uuid, org text, person text, cursor text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
#variable_conflict use_column
DECLARE
    here text[] := ARRAY(SELECT c.node FROM mayday.connection c WHERE c.org = ANY (orgs) AND c.person = gateway);
    taken mayday.sync_open;
BEGIN
    SELECT o.* INTO taken FROM mayday.sync_open o
    WHERE o.org = ANY (orgs) AND (here = '{}' OR o.node = ANY (here) OR o.at < clock_timestamp() - interval '1 s')
      AND NOT EXISTS (SELECT FROM mayday.sync_open n WHERE n.org = o.org AND n.person = o.person
                      AND n.asked IS NOT DISTINCT FROM o.asked AND (n.at, n.id) > (o.at, o.id))
    ORDER BY o.served_at, o.at, o.id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM mayday.sync_open d WHERE d.id IN (
        SELECT s.id FROM mayday.sync_open s
        WHERE s.org = taken.org AND s.person = taken.person AND s.asked IS NOT DISTINCT FROM taken.asked
          AND (s.at, s.id) < (taken.at, taken.id) FOR UPDATE SKIP LOCKED);
    RETURN QUERY SELECT taken.id, taken.org, taken.person, taken.cursor;
END
$$;

-- What came of it: the answer got up to `in_cursor`, or is `complete`. The other questions of that person wait behind
-- everybody else's.
CREATE FUNCTION mayday.sync_served(in_id uuid, in_cursor text, complete boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp
SET jit = off AS $$
BEGIN
    UPDATE mayday.sync_open w SET served_at = clock_timestamp() WHERE w.id IN (
        SELECT s.id FROM mayday.sync_open s JOIN mayday.sync_open t ON t.id = in_id
        WHERE s.org = t.org AND s.person = t.person FOR UPDATE OF s SKIP LOCKED);
    IF complete THEN
        DELETE FROM mayday.sync_open WHERE id = in_id;
    ELSE
        UPDATE mayday.sync_open SET cursor = in_cursor WHERE id = in_id;
    END IF;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.feed_rows(text, uuid[]), mayday.settle_syncs(uuid[]) TO mayday_plugin;
GRANT SELECT ON mayday.feed, mayday.feed_epoch, mayday.feed_since, mayday.feed_pending, mayday.sync_open
    TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.feed_settle(integer), mayday.sync_entries(text, text, text, integer),
    mayday.sync_claim(text[], text), mayday.sync_served(uuid, text, boolean) TO mayday_gateway;
