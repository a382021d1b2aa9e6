-- Incidents, and who belongs to them.

CREATE TABLE mayday.alert (
    org text NOT NULL,
    id uuid NOT NULL, -- made by the device; the <alert> of the topic
    raised_by text NOT NULL,
    raised_at timestamptz NOT NULL,   -- on the device
    received_at timestamptz NOT NULL, -- by us
    type text NOT NULL,
    priority text NOT NULL,
    position geography(Point, 4326),
    silent boolean NOT NULL,
    offline boolean NOT NULL, -- it waited on the device
    status text NOT NULL DEFAULT 'active'
        CHECK (status IN ('active', 'acknowledged', 'enroute', 'on_scene', 'resolved', 'canceled')),
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(), -- when it became this version
    -- Receipts: what has truly happened. received_at is the first.
    stored_at timestamptz NOT NULL DEFAULT now(),
    notified_at timestamptz,
    delivered_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    presses integer NOT NULL DEFAULT 1, -- how often its person raised it
    joined_to uuid,           -- a repeated press: the open incident it joined. Its own row then only says so
    cause text NOT NULL DEFAULT 'person', -- or what made Mayday raise it: 'check', 'vitals'...
    escalation_level integer NOT NULL DEFAULT 0,
    duress_at timestamptz,    -- it was canceled with the duress PIN, or called for with it or a duress word
    decoy jsonb,              -- since then: what `state` says, whatever is true; `dispatch` says the truth. JSON's null:
                              -- nothing, because the grace after that cancel is over, or nothing ever was
    shown_priority text,      -- under duress without a decoy: the priority that `state` goes on to say
    -- Late actions are put in where they belong in time, but never before what was done online: since the last such
    -- action (the run-th that was applied), which left the incident as run_from, a run of offline ones goes on.
    run integer NOT NULL DEFAULT 0,
    run_from text NOT NULL DEFAULT 'active',
    closed_at timestamptz,
    retired_at timestamptz,   -- the grace after closing is over: nobody belongs to it, nothing of it is retained
    PRIMARY KEY (org, id)
);
COMMENT ON TABLE mayday.alert IS 'One row for each incident, made by its first raise.';
-- While the table's statistics say that it is small, any index with a column of the question looks as good as any
-- other. So only the primary key has org in it, and what a person has open is asked for in words that fit its own
-- index alone (mayday.open_of).
CREATE INDEX ON mayday.alert (raised_at DESC);
CREATE INDEX ON mayday.alert (raised_at) WHERE closed_at IS NULL;
CREATE INDEX ON mayday.alert (raised_by, received_at) WHERE num_nonnulls(closed_at, decoy, joined_to) = 0;
CREATE INDEX ON mayday.alert (joined_to) WHERE joined_to IS NOT NULL;
CREATE INDEX ON mayday.alert (closed_at) WHERE closed_at IS NOT NULL AND retired_at IS NULL;
CREATE INDEX ON mayday.alert (duress_at) WHERE duress_at IS NOT NULL AND decoy <> 'null';

CREATE TABLE mayday.membership (
    org text NOT NULL,
    family text NOT NULL CHECK (family IN ('alert', 'room')),
    id text NOT NULL, -- as in the topic
    person text NOT NULL,
    relation text NOT NULL CHECK (relation IN ('raiser', 'assigned', 'invited', 'family', 'former', 'past', 'member')),
    since timestamptz NOT NULL DEFAULT now(),
    until timestamptz, -- when it ended; ended memberships stay, as history
    changed_by text NOT NULL DEFAULT current_user,
    PRIMARY KEY (org, family, id, person)
);
COMMENT ON TABLE mayday.membership IS
    'Who belongs to which incident or room. Every change reaches every broker at once, also one made by hand.';
CREATE INDEX ON mayday.membership (person, org) WHERE until IS NULL;
CREATE INDEX ON mayday.membership (until) WHERE until IS NOT NULL;
CREATE INDEX ON mayday.membership (since) WHERE relation = 'past' AND until IS NULL;

-- Brokers LISTEN on mayday_membership; each change is one small JSON object.
CREATE FUNCTION mayday.tell_membership() RETURNS trigger
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    m mayday.membership;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        m := OLD;
        IF TG_OP = 'DELETE' OR (OLD.org, OLD.family, OLD.id, OLD.person) <> (NEW.org, NEW.family, NEW.id, NEW.person)
        THEN
            PERFORM pg_notify('mayday_membership', json_build_object('op', 'remove', 'org', m.org, 'family', m.family,
                                                                     'id', m.id, 'person', m.person)::text);
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        m := NEW;
        PERFORM pg_notify('mayday_membership',
            json_build_object('op', CASE WHEN m.until IS NULL THEN 'set' ELSE 'remove' END, 'org', m.org,
                              'family', m.family, 'id', m.id, 'person', m.person, 'relation', m.relation)::text);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mayday.membership
    FOR EACH ROW EXECUTE FUNCTION mayday.tell_membership();
