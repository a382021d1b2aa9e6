-- Escalation: who is told of an incident, in which order, until somebody answers. The rules are in lib/core/escalation.c;
-- what they need and what comes of them is here. Everything due is a row with a time; the gateways claim such rows with
-- SKIP LOCKED, are woken by NOTIFY, and sleep until the next one is due. All times are this server's: the clocks of the
-- gateways don't matter.

-- An organisation's plan: its policies (schemas/documents/plan.json). A new edition never changes what is under way: an escalation
-- goes on by the edition it began with. Organisation '*' is what those have who have none of their own.
CREATE TABLE mayday.plan (
    org text NOT NULL,
    edition integer NOT NULL CHECK (edition > 0),
    body jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (org, edition)
);

-- How somebody is reached, in the order it is tried. Who has no row here is reached over MQTT alone.
CREATE TABLE mayday.channel (
    org text NOT NULL,
    person text NOT NULL,
    place smallint NOT NULL CHECK (place BETWEEN 1 AND 20),
    kind text NOT NULL CHECK (kind IN ('mqtt', 'sms', 'voice')),
    number text CHECK (number ~ '^\+[1-9][0-9]{6,14}$'), -- E.164
    PRIMARY KEY (org, person, place),
    CHECK ((kind = 'mqtt') = (number IS NULL))
);
CREATE INDEX ON mayday.channel (number) WHERE number IS NOT NULL;

-- What was learned of a number. Whoever sent STOP gets no more texts until they send START.
CREATE TABLE mayday.number_note (
    number text PRIMARY KEY,
    opted_out_at timestamptz,
    no_text_since timestamptz, -- a provider said that it takes no texts: a landline
    bad_since timestamptz,     -- a provider said that there is no such number
    noted_at timestamptz NOT NULL DEFAULT now()
);

-- Who is on call: people who take turns. `shift` long each, from `first_at` on; counted in the local time of `timezone`,
-- so that a shift that begins at seven begins at seven all year.
CREATE TABLE mayday.team (
    org text NOT NULL,
    team text NOT NULL,
    people text[] NOT NULL CHECK (cardinality(people) BETWEEN 1 AND 100),
    first_at timestamptz NOT NULL DEFAULT date_trunc('day', now()),
    shift interval NOT NULL DEFAULT interval '1 day' CHECK (shift >= interval '1 hour'),
    timezone text NOT NULL DEFAULT 'UTC',
    PRIMARY KEY (org, team)
);
-- Somebody stands in.
CREATE TABLE mayday.team_cover (
    org text NOT NULL,
    team text NOT NULL,
    person text NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    PRIMARY KEY (org, team, from_at, person),
    FOREIGN KEY (org, team) REFERENCES mayday.team ON DELETE CASCADE
);

-- One row for each incident.
CREATE TABLE mayday.escalation (
    org text NOT NULL,
    alert uuid NOT NULL,
    edition_org text NOT NULL, -- whose plan: the organisation's or '*'
    edition integer NOT NULL,
    policy text NOT NULL,      -- its name in that plan; '' until the first step chooses one
    -- 'running': somebody has to answer. 'held': likewise, but not before held_until. 'answered': somebody did, and the
    -- second clock runs. 'exhausted': nobody did. 'ended': the incident is closed.
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'held', 'answered', 'exhausted', 'ended')),
    round integer NOT NULL DEFAULT 0, -- how often the levels were gone through before; it only grows
    first_round integer NOT NULL DEFAULT 0, -- the first since it began, or began anew: only those after it count
    level integer NOT NULL DEFAULT 0, -- the last one told in this round; 0: none yet
    everyone boolean NOT NULL DEFAULT false, -- whoever was told at that level has to answer for themselves
    wanted_level integer,             -- somebody asked for this one, now
    begun_at timestamptz NOT NULL DEFAULT now(), -- of this round
    due_at timestamptz,               -- when to look at it again; NULL: never by itself
    next_at timestamptz,              -- when its next level is due, as `state` says it; NULL: none is
    answered_at timestamptz,          -- somebody did, and nobody was asked since
    answered_by text[] NOT NULL DEFAULT '{}', -- likewise
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- when somebody last did something about it
    held_until timestamptz,
    forgotten integer NOT NULL DEFAULT 0, -- how often it was answered and then forgotten
    exhausted_at timestamptz,
    fault text,                       -- why its next step cannot be stored; it is tried again and again
    PRIMARY KEY (org, alert)
);
CREATE INDEX ON mayday.escalation (due_at) WHERE due_at IS NOT NULL;

-- What it did, for the timeline.
CREATE TABLE mayday.escalation_step (
    id uuid PRIMARY KEY DEFAULT mayday.new_id(),
    org text NOT NULL,
    alert uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    step text NOT NULL CHECK (step IN ('told', 'answered', 'forgotten', 'held', 'exhausted', 'begun_again', 'ended')),
    round integer NOT NULL,
    level integer NOT NULL,
    people integer -- 'told', 'exhausted': how many
);
CREATE INDEX ON mayday.escalation_step (alert);

-- One message to one person over one channel, once. The id is made from what it is for, so that a step that is done again
-- makes no second one.
CREATE TABLE mayday.notification (
    id uuid PRIMARY KEY,
    org text NOT NULL,
    alert uuid,          -- NULL: not about an incident (a test, trouble)
    person text,         -- NULL: a webhook
    kind text NOT NULL CHECK (kind IN ('mqtt', 'sms', 'voice', 'webhook')),
    address text,        -- a number, or a webhook's name in the plan
    purpose text NOT NULL, -- which text of schemas/texts: 'raise', 'forgotten', 'exhausted', 'acknowledged', 'resolved', 'canceled'...
    family boolean NOT NULL DEFAULT false, -- told as family, by consent
    round integer NOT NULL DEFAULT 0,
    level integer NOT NULL DEFAULT 0,
    place smallint NOT NULL DEFAULT 1, -- which of the person's channels
    rank smallint NOT NULL, -- how urgent: 4 critical ... 1 low, 0 routine; the highest goes first
    behind boolean NOT NULL DEFAULT false, -- somebody else is told of it first: goes after others as urgent, of whom nobody is
    lang text,
    code text,           -- what an answer may name it by; four digits
    -- 'waiting' until due_at; 'sending': a gateway has it; 'doubt': it may have gone out; 'sent': a provider took it;
    -- 'delivered': the phone has it, or the call was taken; 'answered'; 'failed': nothing more is tried;
    -- 'withdrawn': not wanted any more before it went out.
    status text NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'sending', 'doubt', 'sent', 'delivered', 'answered', 'failed', 'withdrawn')),
    due_at timestamptz,  -- waiting: when to send; doubt, sent: when to ask the provider
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL, -- nothing is tried after it
    attempts smallint NOT NULL DEFAULT 0,
    sent_at timestamptz,
    done_at timestamptz, -- delivered, answered, failed or withdrawn
    body text,           -- as it was sent
    why text             -- of the last failure: a code of ours
);
CREATE INDEX ON mayday.notification (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ON mayday.notification (alert) WHERE alert IS NOT NULL;
CREATE INDEX ON mayday.notification (address, made_at) WHERE kind IN ('sms', 'voice');

-- One request to a provider. `outcome` is NULL while it is on its way. A gateway that holds one is known by its
-- connection: when pg_stat_activity has it no more, the request is an orphan, and whoever finds it finds out what became
-- of it.
CREATE TABLE mayday.attempt (
    id uuid PRIMARY KEY,
    notification uuid NOT NULL,
    org text NOT NULL,
    alert uuid,
    provider text NOT NULL, -- of gateway/providers: 'twilio-sms'...
    gateway text NOT NULL,
    pid integer NOT NULL,
    pid_since timestamptz NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL, -- when it is over at the latest
    ended_at timestamptz,
    outcome text CHECK (outcome IN ('sent', 'retry', 'refused', 'unknown')),
    http_status smallint,
    code text,          -- the provider's own
    blame text,         -- what it says about more than this attempt: 'provider', 'message', 'number', 'no_text', 'opted_out'
    reference text,     -- the provider's name for the message
    receipt text,       -- the last the provider said of it: 'queued', 'sent', 'delivered', 'failed'...
    receipt_at timestamptz
);
CREATE INDEX ON mayday.attempt (notification);
CREATE INDEX ON mayday.attempt (alert) WHERE alert IS NOT NULL;
CREATE UNIQUE INDEX ON mayday.attempt (provider, reference) WHERE reference IS NOT NULL;
CREATE INDEX ON mayday.attempt (begun_at) WHERE outcome IS NULL;

-- What providers told us over HTTP, once each, whatever order it came in. `id` is made from what it says.
CREATE TABLE mayday.provider_event (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('receipt', 'text', 'key')),
    reference text,
    notification uuid,
    said text NOT NULL, -- the status, the key, or the word of the answer
    code text,
    received_at timestamptz NOT NULL
);
CREATE INDEX ON mayday.provider_event (received_at);

-- What people answered by phone.
CREATE TABLE mayday.answer (
    id uuid PRIMARY KEY,   -- the event's, and the id of the action that came of it
    org text NOT NULL,
    alert uuid,
    person text NOT NULL,
    notification uuid,
    how text NOT NULL CHECK (how IN ('sms', 'voice')),
    answer text NOT NULL CHECK (answer IN ('acknowledge', 'escalate', 'help', 'stop', 'start', 'unclear')),
    at timestamptz NOT NULL,
    done boolean NOT NULL DEFAULT false -- the action was handed to the broker
);
CREATE INDEX ON mayday.answer (at) WHERE NOT done;
CREATE INDEX ON mayday.answer (alert) WHERE alert IS NOT NULL;

-- How each gateway sees each provider that it has; for `mayday provider status`, and for gateways that have it not:
-- mayday.left_to_others().
CREATE TABLE mayday.provider_state (
    gateway text NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('sms', 'voice', 'webhook')),
    orgs text[],         -- whom the gateway serves; NULL: all
    breaker text NOT NULL CHECK (breaker IN ('closed', 'open', 'trying')),
    in_flight integer NOT NULL,
    sent bigint NOT NULL,
    retry bigint NOT NULL,
    refused bigint NOT NULL,
    unknown bigint NOT NULL,
    last_failure text,
    last_failure_at timestamptz,
    noted_at timestamptz NOT NULL DEFAULT now(), -- every few seconds while the gateway runs
    PRIMARY KEY (gateway, provider)
);

-- Whoever has no plan of their own: dispatchers and supervisors at once, those on duty nearby after five minutes,
-- everybody again after fifteen.
INSERT INTO mayday.plan (org, edition, body, made_by) VALUES ('*', 1, '{
  "v": 1,
  "policies": [
    {
      "name": "default",
      "levels": [
        {"after": 0, "targets": [{"role": "dispatcher"}, {"family": true}]},
        {"after": 300, "targets": [{"role": "supervisor"}, {"nearest": 3}]},
        {"after": 900, "targets": [{"role": "dispatcher"}, {"role": "supervisor"}, {"role": "responder"}]}
      ],
      "rounds": 2,
      "pause": 300,
      "forgotten_after": 1800
    }
  ]
}', 'mayday');

GRANT SELECT ON mayday.plan, mayday.channel, mayday.number_note, mayday.team, mayday.team_cover, mayday.escalation,
    mayday.escalation_step, mayday.notification, mayday.attempt, mayday.provider_event, mayday.answer, mayday.provider_state TO mayday_gateway;
GRANT SELECT ON mayday.plan, mayday.team, mayday.team_cover, mayday.escalation, mayday.escalation_step, mayday.attempt,
    mayday.answer, mayday.provider_state TO mayday_console;
-- Without addresses and texts.
GRANT SELECT (id, org, alert, person, kind, purpose, family, round, level, place, rank, lang, status, due_at, made_at,
              expires_at, attempts, sent_at, done_at, why) ON mayday.notification TO mayday_console;
