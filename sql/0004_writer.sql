-- What the brokers' writers need besides the messages.

CREATE TABLE mayday.journal_progress (
    journal uuid PRIMARY KEY,
    node text NOT NULL,
    seq bigint NOT NULL, -- every record up to this one is in the database, or in dead_letter
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mayday.journal_progress IS 'How far each broker''s journal is written; committed with the rows.';

CREATE TABLE mayday.dead_letter (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal uuid NOT NULL,
    seq bigint NOT NULL,
    node text NOT NULL,
    received_at timestamptz,
    org text,
    sender text,
    topic text,
    payload bytea NOT NULL, -- of a record that could not be read: all of it
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
-- The payload too, because a journal that lost its end in a power cut gives the same numbers once more.
CREATE UNIQUE INDEX ON mayday.dead_letter (journal, seq, sha256(payload));
COMMENT ON TABLE mayday.dead_letter IS 'Accepted messages that could not be stored, and why.';
CREATE INDEX ON mayday.dead_letter (at);

-- Which of these ids are stored already, and with which content. The plugin may ask this much about messages it
-- holds itself; it cannot read the tables.
CREATE FUNCTION mayday.known_ids(table_name text, ids uuid[]) RETURNS TABLE (id uuid, digest bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mayday.message_table t WHERE t.name = table_name) THEN
        RAISE EXCEPTION 'mayday.% holds no messages', table_name USING ERRCODE = '42P01';
    END IF;
    RETURN QUERY EXECUTE format('SELECT m.id, m.digest FROM mayday.%I m WHERE m.id = ANY ($1)', table_name)
        USING ids;
END
$$;
