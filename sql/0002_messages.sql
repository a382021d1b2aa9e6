-- One table for each kind of message. They all begin with the same columns: who sent it (from the session, never from
-- the payload), through which broker, when it happened on the device and when it reached us; `digest` is a hash of
-- the content, by which an identical repeat is told from another message under the same id.

CREATE TABLE mayday.raise (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    alert uuid NOT NULL,
    type text NOT NULL,
    priority text,
    position geography(Point, 4326),
    accuracy real,
    place jsonb, -- the location, all of it, as it was sent
    text text,
    lang text,
    silent boolean,
    person text, -- whom it is for, when Mayday raises it for somebody
    readings jsonb -- what their body said, when that is why
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.raise IS 'Somebody is in danger. The incident itself is mayday.alert.';
CREATE INDEX ON mayday.raise (alert, at);

CREATE TABLE mayday.action (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    alert uuid NOT NULL,
    action text NOT NULL,
    person text,
    reason text,
    expected_version integer,
    level integer,   -- of 'escalate'
    seconds integer, -- of 'hold'
    by text,         -- it came through a gateway, for this person: they are its sender
    via text,        -- that gateway
    -- The judgement, made in the transaction that stores the row (lib/core/incident.h); never NULL for long.
    verdict text,     -- 'applied', 'noted', or why it changed nothing: 'illegal', 'stale'...
    from_status text,
    to_status text,
    version integer,  -- of the incident, after it
    standing integer, -- what the sender was to the incident then: bits of lib/core/incident.h
    done_at timestamptz, -- when it counts as done: online when it was received; offline by its device's clock, within bounds
    run integer       -- how many online actions had been applied before it; see mayday.alert.run
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.action IS 'What people did about incidents, and what came of it. A PIN is judged and never stored.';
CREATE INDEX ON mayday.action (alert, at);

CREATE TABLE mayday.location (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    alert uuid,
    person text NOT NULL,
    position geography(Point, 4326) NOT NULL,
    accuracy real,
    altitude real,
    speed real,
    heading real,
    source text,
    battery real
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.location IS 'Where people are; `alert` when it was sent to an incident. The big one: few columns, few indexes.';
CREATE INDEX ON mayday.location (org, person, at DESC);
CREATE INDEX ON mayday.location (alert, at) WHERE alert IS NOT NULL;

CREATE TABLE mayday.chat (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    alert uuid,
    room text,
    text text,
    lang text,
    reply_to uuid,
    media jsonb,
    CHECK (num_nonnulls(alert, room) = 1)
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.chat IS 'Talk, of an incident or of a room.';
CREATE INDEX ON mayday.chat (alert, at) WHERE alert IS NOT NULL;
CREATE INDEX ON mayday.chat (org, room, at DESC) WHERE room IS NOT NULL;

CREATE TABLE mayday.vitals (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    hr real,
    spo2 real,
    resp real,
    temp real,
    sys real,
    dia real,
    rr_ms jsonb,
    contact boolean,
    quality real,
    motion real,
    event text, -- 'fall', 'still'
    sensor text,
    battery real
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.vitals IS 'What sensors read from bodies. Medical data.';
CREATE INDEX ON mayday.vitals (org, person, at DESC);

CREATE TABLE mayday.vital_alert (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    rule text NOT NULL,
    kind text NOT NULL,     -- 'begins', 'grows', 'ends'
    response text NOT NULL, -- 'note', 'ask', 'raise'
    words text NOT NULL,
    vital text,
    measured double precision,
    bound double precision,
    usual double precision,
    since timestamptz NOT NULL,
    context text,
    readings jsonb,
    check_id uuid, -- what the person was asked
    alert uuid     -- the incident that was raised with it, or was open
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.vital_alert IS 'What Mayday found in the readings of somebody''s body. Medical data.';
CREATE INDEX ON mayday.vital_alert (org, person, at DESC);
CREATE INDEX ON mayday.vital_alert (check_id) WHERE check_id IS NOT NULL;
CREATE INDEX ON mayday.vital_alert (alert) WHERE alert IS NOT NULL;

CREATE TABLE mayday.duty (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    status text NOT NULL
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.duty IS 'On duty, off, busy, on the way, on the scene.';
CREATE INDEX ON mayday.duty (org, person, at DESC);

CREATE TABLE mayday.person_check (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    text text,
    lang text,
    reason text,
    respond_within integer,
    alert uuid
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.person_check IS '''Are you OK?''';
CREATE INDEX ON mayday.person_check (org, person, at DESC);
CREATE INDEX ON mayday.person_check (alert, at) WHERE alert IS NOT NULL;

CREATE TABLE mayday.reply (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    check_id uuid,
    answer text NOT NULL,
    text text,
    position geography(Point, 4326),
    accuracy real,
    place jsonb, -- the location, all of it, as it was sent
    -- Judged in the transaction that stores it:
    pin_verdict text, -- 'right', 'wrong', 'duress'; NULL: there was none to judge
    for_them boolean NOT NULL DEFAULT false -- sent by dispatch, who heard from them otherwise
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.reply IS 'The answers to checks.';
CREATE INDEX ON mayday.reply (org, person, at DESC);

CREATE TABLE mayday.inbox (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    text text,
    lang text,
    kind text,
    alert uuid
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.inbox IS 'Messages for one person.';
CREATE INDEX ON mayday.inbox (org, person, at DESC);

CREATE TABLE mayday.broadcast (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    role text NOT NULL,
    text text,
    lang text
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.broadcast IS 'Messages for everyone of a role.';
CREATE INDEX ON mayday.broadcast (org, role, at DESC);

CREATE TABLE mayday.zone_event (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    zone text NOT NULL,
    person text,
    event text NOT NULL,
    position geography(Point, 4326),
    speed real,  -- m/s
    lasted real  -- seconds
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.zone_event IS 'Zones entered and left, and what people did there.';
CREATE INDEX ON mayday.zone_event (org, zone, at DESC);
CREATE INDEX ON mayday.zone_event (org, person, at DESC);

CREATE TABLE mayday.receipt (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    alert uuid,
    room text,
    person text,
    of jsonb NOT NULL, -- the ids of the messages
    mark text NOT NULL
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.receipt IS 'Which messages reached a device, and which were read.';
CREATE INDEX ON mayday.receipt (alert, at) WHERE alert IS NOT NULL;
CREATE INDEX ON mayday.receipt (org, person, at DESC) WHERE person IS NOT NULL;

CREATE TABLE mayday.setting (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    family jsonb,
    lang text,
    verdict text -- 'applied', or why nothing changed: 'bad_pin'...
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.setting IS 'What people changed of their own settings. PINs are not here: mayday.person has them, hashed.';
CREATE INDEX ON mayday.setting (org, person, at DESC);

CREATE TABLE mayday.sync_request (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    person text NOT NULL,
    cursor text
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.sync_request IS 'Who asked for what they missed.';

CREATE TABLE mayday.event (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bigint NOT NULL,
    org text NOT NULL,
    sender text NOT NULL,
    node text NOT NULL,
    offline boolean NOT NULL,
    kind text NOT NULL,
    person text,
    client text,
    roles jsonb,
    address text,
    topic text,
    code text,
    detail text
) PARTITION BY RANGE (id);
COMMENT ON TABLE mayday.event IS 'What a broker saw happen: connects, disconnects, refusals, revocations, starts.';

INSERT INTO mayday.message_table (name, span, keep) VALUES
    ('raise', 'month', '7 years'),
    ('action', 'month', '7 years'),
    ('location', 'day', '90 days'),
    ('chat', 'month', '2 years'),
    ('vitals', 'day', '90 days'),
    ('vital_alert', 'month', '2 years'),
    ('duty', 'month', '2 years'),
    ('person_check', 'month', '2 years'),
    ('reply', 'month', '2 years'),
    ('inbox', 'month', '1 year'),
    ('broadcast', 'month', '1 year'),
    ('zone_event', 'month', '1 year'),
    ('receipt', 'month', '2 years'),
    ('setting', 'month', '1 year'),
    ('sync_request', 'day', '7 days'),
    ('event', 'day', '30 days');

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT t.name FROM mayday.message_table t LOOP
        EXECUTE format('CREATE TABLE mayday.%I PARTITION OF mayday.%I DEFAULT', name || '_default', name);
    END LOOP;
END
$$;
SELECT mayday.make_partitions(7);
