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
    duress_at timestamptz,    -- it was canceled with the duress PIN
    decoy jsonb,              -- since then: what `state` says, whatever is true; `dispatch` says the truth
    closed_at timestamptz,
    retired_at timestamptz,   -- the grace after closing is over: nobody belongs to it, nothing of it is retained
    PRIMARY KEY (org, id)
);
COMMENT ON TABLE mayday.alert IS 'One row for each incident, made by its first raise.';
CREATE INDEX ON mayday.alert (org, raised_at DESC);
CREATE INDEX ON mayday.alert (org, raised_at) WHERE closed_at IS NULL;

CREATE TABLE mayday.membership (
    org text NOT NULL,
    family text NOT NULL CHECK (family IN ('alert', 'room')),
    id text NOT NULL, -- as in the topic
    person text NOT NULL,
    relation text NOT NULL CHECK (relation IN ('raiser', 'assigned', 'invited', 'family', 'former', 'member')),
    since timestamptz NOT NULL DEFAULT now(),
    until timestamptz, -- when it ended; ended memberships stay, as history
    changed_by text NOT NULL DEFAULT current_user,
    PRIMARY KEY (org, family, id, person)
);
COMMENT ON TABLE mayday.membership IS
    'Who belongs to which incident or room. Every change reaches every broker at once, also one made by hand.';
CREATE INDEX ON mayday.membership (org, person) WHERE until IS NULL;
CREATE INDEX ON mayday.membership (until) WHERE until IS NOT NULL;

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

-- The first raise makes the incident; its sender, and nobody else, is its raiser. Repeating it changes nothing.
CREATE FUNCTION mayday.open_alert(in_org text, in_alert uuid, in_person text, in_at timestamptz,
    in_received_at timestamptz, in_type text, in_priority text, lat double precision, lon double precision,
    in_silent boolean, in_offline boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    raiser text;
    belongs boolean;
BEGIN
    INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, position, silent, offline)
    VALUES (in_org, in_alert, in_person, in_at, in_received_at, in_type,
            coalesce(in_priority, CASE in_type WHEN 'security' THEN 'high' WHEN 'general' THEN 'medium'
                                  ELSE 'critical' END),
            ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography, coalesce(in_silent, false), in_offline)
    ON CONFLICT (org, id) DO NOTHING;
    SELECT a.raised_by INTO raiser FROM mayday.alert a WHERE a.org = in_org AND a.id = in_alert;
    IF raiser = in_person THEN
        INSERT INTO mayday.membership (org, family, id, person, relation, changed_by)
        VALUES (in_org, 'alert', in_alert::text, in_person, 'raiser', in_person)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    -- A broker that did not know the incident has let the sender in as its raiser: whoever is none goes out again.
    -- (Asked by the whole key alone: with "until IS NULL" the planner takes the index of a person's incidents.)
    SELECT m.until IS NULL INTO belongs FROM mayday.membership m
    WHERE m.org = in_org AND m.family = 'alert' AND m.id = in_alert::text AND m.person = in_person;
    IF belongs IS NOT TRUE THEN
        PERFORM pg_notify('mayday_membership', json_build_object('op', 'remove', 'org', in_org, 'family', 'alert',
                                                                 'id', in_alert, 'person', in_person)::text);
    END IF;
END
$$;

-- Assigns or invites a person to an incident. Its raiser stays its raiser.
CREATE FUNCTION mayday.join_alert(in_org text, in_alert uuid, in_person text, in_relation text, by_whom text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    IF in_relation NOT IN ('assigned', 'invited') THEN
        RAISE EXCEPTION 'a person is assigned or invited, not %', in_relation USING ERRCODE = '22023';
    END IF;
    INSERT INTO mayday.membership AS m (org, family, id, person, relation, changed_by)
    VALUES (in_org, 'alert', in_alert::text, in_person, in_relation, by_whom)
    ON CONFLICT (org, family, id, person) DO UPDATE
        SET relation = excluded.relation, changed_by = excluded.changed_by, until = NULL,
            since = CASE WHEN m.until IS NULL THEN m.since ELSE excluded.since END
        WHERE m.relation <> 'raiser' AND (m.until IS NOT NULL OR m.relation <> excluded.relation);
END
$$;

-- Ends a membership, the raiser's excepted.
CREATE FUNCTION mayday.leave_alert(in_org text, in_alert uuid, in_person text, by_whom text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    UPDATE mayday.membership SET until = now(), changed_by = by_whom
    WHERE org = in_org AND family = 'alert' AND id = in_alert::text AND person = in_person
      AND relation <> 'raiser' AND until IS NULL
$$;
