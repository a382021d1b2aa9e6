-- The people Mayday has met, and which of them are connected.

CREATE TABLE mayday.person (
    org text NOT NULL,
    person text NOT NULL, -- the subject of their tokens
    roles text[] NOT NULL DEFAULT '{}', -- of their newest token
    lang text,
    -- Hashes as lib/core/pin.h spells them; a plain PIN is stored nowhere.
    pin text,
    duress_pin text,
    pin_failures integer NOT NULL DEFAULT 0, -- in a row
    pin_locked_until timestamptz,
    duty text,
    duty_since timestamptz,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, person)
);
COMMENT ON TABLE mayday.person IS 'Everybody who ever connected or was entered by an admin. Who is not here cannot be assigned.';

-- One row for each live session. A broker that starts removes those of its node.
CREATE TABLE mayday.connection (
    node text NOT NULL,
    org text NOT NULL,
    client text NOT NULL,
    person text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (node, org, client)
);
CREATE INDEX ON mayday.connection (org, person);

-- Family contacts: who may follow a person's incidents (state and location), because that person said so.
CREATE TABLE mayday.contact (
    org text NOT NULL,
    person text NOT NULL,
    contact text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, person, contact)
);

GRANT SELECT ON mayday.person, mayday.connection, mayday.contact TO mayday_gateway;
GRANT SELECT ON mayday.connection, mayday.contact TO mayday_console;
GRANT SELECT (org, person, roles, lang, duty, duty_since, first_seen, last_seen) ON mayday.person TO mayday_console;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
