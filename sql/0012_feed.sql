-- What `sync` gives to those who were away: every message that is part of it, in the order of commits.
CREATE TABLE mayday.feed (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    id uuid NOT NULL
);

-- The writer's last word before it commits: one global lock until then, so that the order of positions is the order
-- of commits and a reader never misses one that became visible late.
CREATE FUNCTION mayday.feed_rows(table_name text, ids uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mayday.feed'));
    INSERT INTO mayday.feed (table_name, id) SELECT feed_rows.table_name, unnest(ids);
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.feed_rows(text, uuid[]) TO mayday_plugin;
