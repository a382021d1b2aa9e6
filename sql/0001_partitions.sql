-- Messages are kept in tables partitioned by their id. The id is a UUIDv7 made by the client: it begins with the
-- time, so a range of ids is a range of time, and the primary key (id) alone makes a message unique everywhere.
-- Ids that fall into no partition (a device with an absurd clock, or back after months) go to <table>_default.

-- One row for each partitioned table. Change `keep` to change how long its messages stay. (The audit trail is kept here
-- too, without a default partition: its ids are made by the server.)
CREATE TABLE mayday.message_table (
    name text PRIMARY KEY,
    span text NOT NULL CHECK (span IN ('day', 'month')),
    keep interval NOT NULL CHECK (keep > interval '1 day')
);

-- The lowest id of a moment.
CREATE FUNCTION mayday.uuid_at(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(least(greatest(floor(extract(epoch FROM moment) * 1000), 0), 281474976710655)::bigint),
                 12, '0') || repeat('0', 20))::uuid
$$;

-- The moment an id was made, as its device's clock had it.
CREATE FUNCTION mayday.uuid_time(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp(('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0)
$$;

-- Makes one partition, with what <table>_default, if there is one, already holds of its time. False when it was there.
CREATE FUNCTION mayday.make_partition(table_name text, span text, begins timestamp) RETURNS boolean
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    part text := table_name || to_char(begins, CASE span WHEN 'day' THEN '_YYYYMMDD' ELSE '_YYYYMM' END);
    lower_id uuid := mayday.uuid_at(begins AT TIME ZONE 'UTC');
    upper_id uuid := mayday.uuid_at((begins + ('1 ' || span)::interval) AT TIME ZONE 'UTC');
    has_default boolean := to_regclass(format('mayday.%I', table_name || '_default')) IS NOT NULL;
    definition text;
BEGIN
    IF to_regclass(format('mayday.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF has_default THEN
        EXECUTE format('LOCK TABLE mayday.%I IN ACCESS EXCLUSIVE MODE', table_name || '_default');
    END IF;
    EXECUTE format('CREATE TABLE mayday.%I (LIKE mayday.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                   part, table_name);
    IF has_default THEN
        EXECUTE format('WITH moved AS (DELETE FROM mayday.%I WHERE id >= $1 AND id < $2 RETURNING *)
                        INSERT INTO mayday.%I SELECT * FROM moved', table_name || '_default', part)
            USING lower_id, upper_id;
    END IF;
    EXECUTE format('ALTER TABLE mayday.%I ATTACH PARTITION mayday.%I FOR VALUES FROM (%L) TO (%L)',
                   table_name, part, lower_id, upper_id);
    -- Triggers for each row came with that, those for a statement do not.
    FOR definition IN
        SELECT pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid = format('mayday.%I', table_name)::regclass AND NOT tgisinternal AND tgtype & 1 = 0
    LOOP
        EXECUTE replace(definition, format(' ON mayday.%I ', table_name), format(' ON mayday.%I ', part));
    END LOOP;
    RETURN true;
END
$$;

-- Makes the partitions of the last week and of `days_ahead` days to come; returns how many were missing.
-- The plugin calls it; it may make partitions and nothing else, hence the owner's rights.
CREATE FUNCTION mayday.make_partitions(days_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    t mayday.message_table;
    first_day timestamp := date_trunc('day', now() AT TIME ZONE 'UTC') - interval '7 days';
    last_day timestamp := date_trunc('day', now() AT TIME ZONE 'UTC') +
                          make_interval(days => least(greatest(days_ahead, 1), 366));
    begins timestamp;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mayday.make_partitions'));
    FOR t IN SELECT * FROM mayday.message_table ORDER BY name LOOP
        FOR begins IN SELECT generate_series(date_trunc(t.span, first_day), last_day, ('1 ' || t.span)::interval)
        LOOP
            made := made + mayday.make_partition(t.name, t.span, begins)::integer;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Retention: drops the partitions that ended longer ago than `older_than` (by default each table's own `keep`), and
-- the rows of that age in the default partitions, where the age is that of their arrival. For the owner alone.
CREATE FUNCTION mayday.drop_partitions(older_than interval DEFAULT NULL) RETURNS TABLE (dropped text)
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    t mayday.message_table;
    oldest timestamptz;
BEGIN
    FOR t IN SELECT * FROM mayday.message_table ORDER BY name LOOP
        oldest := now() - coalesce(older_than, t.keep);
        FOR dropped IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('mayday.%I', t.name)::regclass AND c.relname ~ (t.name || '_[0-9]{6,8}$')
              AND (to_date(substring(c.relname FROM '[0-9]+$'),
                           CASE t.span WHEN 'day' THEN 'YYYYMMDD' ELSE 'YYYYMM' END)::timestamp
                   + ('1 ' || t.span)::interval) AT TIME ZONE 'UTC' <= oldest
            ORDER BY c.relname
        LOOP
            IF t.name = 'location' THEN -- what belongs to an incident stays as long as incidents do
                EXECUTE format('INSERT INTO mayday.location_kept SELECT * FROM mayday.%I
                                WHERE alert IS NOT NULL OR mayday.is_evidence(org, person, at)
                                ON CONFLICT (id) DO NOTHING', dropped);
            END IF;
            EXECUTE format('DROP TABLE mayday.%I', dropped);
            PERFORM mayday.record_audit('-', 'retention.drop', session_user::text, NULL, NULL,
                                        jsonb_build_object('table', dropped));
            RETURN NEXT;
        END LOOP;
        IF t.name = 'location' THEN
            INSERT INTO mayday.location_kept SELECT * FROM mayday.location_default d
            WHERE (d.alert IS NOT NULL OR mayday.is_evidence(d.org, d.person, d.at)) AND d.received_at < oldest ON CONFLICT (id) DO NOTHING;
        END IF;
        IF to_regclass(format('mayday.%I', t.name || '_default')) IS NOT NULL THEN
            EXECUTE format('DELETE FROM mayday.%I WHERE received_at < $1', t.name || '_default') USING oldest;
        END IF;
        IF t.name = 'raise' THEN
            DELETE FROM mayday.location_kept k WHERE k.received_at < oldest;
        END IF;
        IF t.name = 'person_check' THEN
            DELETE FROM mayday.check_watch w WHERE w.sent_at < oldest;
        END IF;
    END LOOP;
END
$$;
