-- What Mayday has to say, kept in the transaction that made it true. The gateway's publisher says it on MQTT and
-- deletes it; if it dies in between, it is said again.
--
-- Entries of one lane ('alert/<id>', 'user/<person>') are published in their order, by one gateway at a time: it holds
-- the advisory lock of the lane while it works on it (mayday.lane_lock). Writers only insert, so they never wait for
-- a gateway.
CREATE TABLE mayday.outbox (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org text NOT NULL,
    lane text NOT NULL,
    -- 'state': the incident's retained `state` and `dispatch`, as they are when they are published (so several entries
    -- become one message); 'dispatch': the incident's `dispatch` alone, so that nothing shows on the raiser's side;
    -- 'presence': likewise for a person; 'message': exactly this payload, to <lane>/<leaf>.
    kind text NOT NULL CHECK (kind IN ('state', 'dispatch', 'presence', 'message')),
    leaf text,
    payload jsonb,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((kind = 'message') = (leaf IS NOT NULL AND payload IS NOT NULL))
);
CREATE INDEX ON mayday.outbox (org, lane, entry);
-- Incidents are said first.
CREATE INDEX ON mayday.outbox (entry) WHERE lane LIKE 'alert/%';
CREATE INDEX ON mayday.outbox (entry) WHERE NOT lane LIKE 'alert/%';

-- Messages, never a state, that the broker refused again and again: kept for an admin to look at, out of the way of those
-- behind them.
CREATE TABLE mayday.outbox_refused (
    entry bigint PRIMARY KEY,
    org text NOT NULL,
    lane text NOT NULL,
    leaf text NOT NULL,
    payload jsonb NOT NULL,
    at timestamptz NOT NULL,
    reason integer NOT NULL, -- MQTT 5 reason code
    refused_at timestamptz NOT NULL DEFAULT now()
);

-- Gateways LISTEN on mayday_outbox.
CREATE FUNCTION mayday.post(in_org text, in_lane text, in_kind text, in_leaf text DEFAULT NULL,
    in_payload jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO mayday.outbox (org, lane, kind, leaf, payload) VALUES (in_org, in_lane, in_kind, in_leaf, in_payload);
    PERFORM pg_notify('mayday_outbox', '');
END
$$;

-- A moment as messages spell it.
CREATE FUNCTION mayday.spell(moment timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- A UUIDv7 of now.
CREATE FUNCTION mayday.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT overlay(overlay(encode(substring(uuid_send(mayday.uuid_at(clock_timestamp())) FROM 1 FOR 6)
                                  || substring(uuid_send(gen_random_uuid()) FROM 7 FOR 10), 'hex')
                   PLACING '7' FROM 13 FOR 1)
           PLACING substr('89ab', 1 + (random() * 3)::integer, 1) FROM 17 FOR 1)::uuid
$$;

-- Tells a person that a message of theirs changed nothing, and why (schemas/rejected.json).
CREATE FUNCTION mayday.reject(in_org text, in_person text, in_id uuid, in_topic text, in_code text, in_detail text)
RETURNS void LANGUAGE sql AS $$
    SELECT mayday.post(in_org, 'user/' || in_person, 'message', 'rejected', jsonb_strip_nulls(jsonb_build_object(
        'v', 1, 'id', in_id, 'ts', mayday.spell(clock_timestamp()), 'topic', in_topic, 'code', in_code,
        'detail', in_detail)))
$$;

GRANT SELECT, INSERT, DELETE ON mayday.outbox TO mayday_gateway;
GRANT SELECT, INSERT ON mayday.outbox_refused TO mayday_gateway;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mayday.post(text, text, text, text, jsonb), mayday.spell(timestamptz), mayday.new_id(),
    mayday.reject(text, text, uuid, text, text, text) TO mayday_gateway;
