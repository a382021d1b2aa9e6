-- Watching bodies: the rules of each organisation, what is usual for each person, and what a gateway must know to go on
-- with a conversation that another one began. What is found is mayday.vital_alert (0002), what is asked a check (0011):
-- silence becomes an alarm there, whoever has asked.

-- An organisation's rules (schemas/documents/body.json). Organisation '*' is what those have who have none of their own;
-- without either the rules that Mayday is shipped with count.
CREATE TABLE mayday.body_rules (
    org text NOT NULL,
    edition integer NOT NULL CHECK (edition > 0),
    body jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (org, edition)
);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mayday.body_rules
    FOR EACH ROW EXECUTE FUNCTION mayday.audit_reach('body_rules');

-- Gateways LISTEN on mayday_vigil.
CREATE FUNCTION mayday.tell_vigil() RETURNS trigger
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('mayday_vigil', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER vigil AFTER INSERT OR UPDATE OR DELETE ON mayday.body_rules
    FOR EACH STATEMENT EXECUTE FUNCTION mayday.tell_vigil();

CREATE FUNCTION mayday.body_rules_of(in_org text) RETURNS mayday.body_rules
LANGUAGE sql STABLE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT r FROM mayday.body_rules r WHERE r.org IN (in_org, '*') ORDER BY r.org = '*', r.edition DESC LIMIT 1
$$;

-- A new edition, unless it says what the last one says. The caller has checked it.
CREATE FUNCTION mayday.apply_body_rules(in_org text, in_body jsonb, OUT edition integer, OUT fresh boolean)
LANGUAGE plpgsql SET search_path = mayday, pg_catalog, pg_temp AS $$
DECLARE
    last mayday.body_rules;
BEGIN
    IF in_org <> '*' AND in_org !~ '^[^/+#[:cntrl:]]{1,128}$' THEN
        RAISE EXCEPTION 'the name of an organisation fits into one level of a topic' USING ERRCODE = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mayday.apply_body_rules'), hashtext(in_org));
    SELECT * INTO last FROM mayday.body_rules r WHERE r.org = in_org ORDER BY r.edition DESC LIMIT 1;
    fresh := last.body IS DISTINCT FROM in_body;
    edition := coalesce(last.edition, 0) + fresh::integer;
    IF fresh THEN
        INSERT INTO mayday.body_rules (org, edition, body) VALUES (in_org, edition, in_body);
    END IF;
END
$$;

-- Does an answer hold a word by which somebody under duress calls for help? "duress_words": {"*": [...], "<person>": [...]},
-- as words of their own, in whatever case.
CREATE FUNCTION mayday.calls_for_help(in_org text, in_person text, said text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT said IS NOT NULL AND EXISTS (
        SELECT FROM (SELECT (r).body->'duress_words' AS words FROM mayday.body_rules_of(in_org) r) d
        CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(d.words->'*', '[]') || coalesce(d.words->in_person, '[]')) w
        WHERE length(w) > 0 AND lower(said) ~ ('(^|[^[:alnum:]])' || regexp_replace(lower(w), '([^[:alnum:][:space:]])', '\\\1', 'g')
                                               || '($|[^[:alnum:]])'))
$$;

-- What a gateway knows of each person it watches, a few minutes old at most: whoever takes over goes on from there.
CREATE TABLE mayday.body (
    org text NOT NULL,
    person text NOT NULL,
    body jsonb NOT NULL, -- as lib/core/body.h spells it
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (org, person)
);
COMMENT ON TABLE mayday.body IS 'What is usual for somebody, learned from their readings. Medical data.';

-- Which gateway acts on what all of them hear of an organisation. A lease and no lock: it is renewed every second and runs
-- out by itself, also when its gateway's host is gone without a word.
CREATE TABLE mayday.vigil_lease (
    org text PRIMARY KEY,
    gateway text NOT NULL,
    until timestamptz NOT NULL
);

-- Takes, renews and returns those that this gateway has now; lets go of the others it had. One that runs out too late
-- was given before the clock went back.
CREATE FUNCTION mayday.vigil_claim(in_gateway text, orgs text[], lease interval) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM mayday.vigil_lease l WHERE l.gateway = in_gateway AND l.org <> ALL (orgs);
    RETURN QUERY INSERT INTO mayday.vigil_lease AS l (org, gateway, until)
    SELECT o, in_gateway, clock_timestamp() + lease FROM unnest(orgs) o ORDER BY o
    ON CONFLICT (org) DO UPDATE SET gateway = excluded.gateway, until = excluded.until
    WHERE l.gateway = excluded.gateway OR l.until < clock_timestamp() OR l.until > clock_timestamp() + 2 * lease
    RETURNING l.org;
END
$$;

-- [{"org", "person", "body"}...]
CREATE FUNCTION mayday.vigil_keep(bodies jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    INSERT INTO mayday.body AS b (org, person, body)
    SELECT DISTINCT ON (x->>'org', x->>'person') x->>'org', x->>'person', x->'body' FROM jsonb_array_elements(bodies) x
    ORDER BY x->>'org', x->>'person'
    ON CONFLICT (org, person) DO UPDATE SET body = excluded.body, at = clock_timestamp()
$$;

-- What a gateway wants at hand of an organisation.
CREATE FUNCTION mayday.vigil_rules(in_org text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('v', 1, 'rules', (SELECT (r).body FROM mayday.body_rules_of(in_org) r))::text
$$;

-- Of people whom it hears of for the first time: their roles, what is known of
-- their body, and the incident they have open. [{"org", "person"}...]
CREATE FUNCTION mayday.vigil_people(people jsonb, join_window interval)
RETURNS TABLE (org text, person text, roles text, lang text, body text, alert uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT x.org, x.person, array_to_json(p.roles)::text, p.lang, b.body::text,
           mayday.open_of(x.org, x.person, now() - join_window)
    FROM jsonb_to_recordset(people) x (org text, person text)
    LEFT JOIN mayday.person p ON p.org = x.org AND p.person = x.person
    LEFT JOIN mayday.body b ON b.org = x.org AND b.person = x.person
$$;

-- The conversations of an organisation that may still go on: who took over begins with them. And the incidents that are
-- open, as ends of conversations.
CREATE FUNCTION mayday.vigil_open(in_org text, since interval)
RETURNS TABLE (person text, check_id uuid, age_ms bigint, due_ms bigint, answered_ms bigint, answer text, alarmed boolean,
               alert uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.person, w.check_id, (extract(epoch FROM clock_timestamp() - w.sent_at) * 1000)::bigint,
           (extract(epoch FROM w.due_at - clock_timestamp()) * 1000)::bigint,
           (extract(epoch FROM clock_timestamp() - w.answered_at) * 1000)::bigint, w.answer, w.alarmed_at IS NOT NULL, NULL
    FROM mayday.check_watch w JOIN mayday.person_check k ON k.id = w.check_id
    WHERE w.org = in_org AND k.reason = 'vitals' AND w.sent_at > clock_timestamp() - since
    UNION ALL
    SELECT a.raised_by, NULL, NULL, NULL, NULL, NULL, NULL, a.id FROM mayday.alert a
    WHERE a.org = in_org AND a.closed_at IS NULL AND a.joined_to IS NULL AND a.decoy IS NULL
      AND a.raised_at > clock_timestamp() - interval '7 days'
    ORDER BY 3 DESC NULLS LAST
$$;

-- Of questions, those that are answered. An answer is one here when its PIN was judged.
CREATE FUNCTION mayday.vigil_answers(checks uuid[])
RETURNS TABLE (org text, person text, check_id uuid, answer text, duress boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT w.org, w.person, w.check_id, w.answer, w.duress FROM mayday.check_watch w
    WHERE w.check_id = ANY (checks) AND w.answered_at IS NOT NULL
$$;

-- Of incidents, those that are over, or joined one that is, or are not here.
CREATE FUNCTION mayday.vigil_over(orgs text[], alerts uuid[]) RETURNS TABLE (alert uuid, stored boolean, mistaken boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT u.alert, o.id IS NOT NULL, coalesce(o.status = 'canceled', false) FROM unnest(orgs, alerts) u (org, alert)
    LEFT JOIN mayday.alert a ON a.org = u.org AND a.id = u.alert
    LEFT JOIN mayday.alert o ON o.org = a.org AND o.id = coalesce(a.joined_to, a.id)
    WHERE o.id IS NULL OR o.closed_at IS NOT NULL
$$;

-- What was found about whom an incident is for, in the form of mayday.timeline: what led to it, and what came while it was
-- open.
CREATE FUNCTION mayday.findings_of(in_alert uuid)
RETURNS TABLE (at timestamptz, received_at timestamptz, kind text, id uuid, org text, sender text, detail jsonb)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = mayday, pg_catalog, pg_temp AS $$
    SELECT v.at, v.received_at, 'finding', v.id, v.org, v.sender,
           jsonb_strip_nulls(jsonb_build_object('person', v.person, 'rule', v.rule, 'kind', v.kind, 'response', v.response,
               'words', v.words, 'vital', v.vital, 'value', v.measured, 'limit', v.bound, 'usual', v.usual,
               'since', mayday.spell(v.since), 'context', v.context, 'readings', v.readings, 'check', v.check_id))
    FROM mayday.alert a JOIN mayday.vital_alert v ON v.org = a.org AND v.person = a.raised_by
    WHERE a.id = in_alert AND a.joined_to IS NULL
      AND v.at >= a.raised_at - interval '30 minutes' AND v.at <= coalesce(a.closed_at, 'infinity')
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mayday FROM PUBLIC;
GRANT SELECT ON mayday.vital_alert TO mayday_gateway, mayday_console;
-- (Not for the console: the rules hold the words that call for help.)
GRANT SELECT ON mayday.body_rules, mayday.body TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.vigil_claim(text, text[], interval), mayday.body_rules_of(text), mayday.vigil_keep(jsonb), mayday.vigil_rules(text),
    mayday.vigil_people(jsonb, interval), mayday.vigil_open(text, interval),
    mayday.vigil_answers(uuid[]), mayday.vigil_over(text[], uuid[]), mayday.findings_of(uuid) TO mayday_gateway;
GRANT EXECUTE ON FUNCTION mayday.findings_of(uuid) TO mayday_console;
