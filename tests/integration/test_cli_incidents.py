"""`mayday alert`, `check`, `person`, `room`, `tail --alert` and the evening of `sim` against a whole site with a gateway."""
import json
import os
import re
import subprocess
import threading

import pytest

from support import messages as m
from support.site import BUILD, wait_until

MAYDAY = BUILD / "bin" / "mayday"


@pytest.fixture(scope="module")
def env(site):
    signing = site.folder / "signing-keys.json"
    signing.write_text(json.dumps({"keys": [m.JWK]}))
    for file in (signing, site.keys_file):
        file.chmod(0o600)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}
    return {**clean, "MAYDAY_CONF": str(site.conf), "MQTT_PORT": str(site.port)}


@pytest.fixture(scope="module")
def run(env):
    def run(*args, **more):
        return subprocess.run([MAYDAY, *map(str, args)], env={**env, **more}, text=True, capture_output=True, timeout=120)
    return run


@pytest.fixture(scope="module")
def life(site, gateway, run):
    """Everything is up, and the people of the tests are known."""
    for name, role in [("ann", "member"), ("ben", "responder"), ("eve", "responder"), ("dora", "dispatcher"), ("dan", "dispatcher")]:
        assert run("person", "enter", name, "--org", "acme", "--roles", role).returncode == 0
    with site.client("desk", ["dispatcher"], keepalive=3600):  # somebody who can help is there: so they are notified
        yield site


class Raised:
    """An open incident of ann's. Each test closes what it opened, because a second press would join it."""

    def __init__(self, run, site, sub="ann"):
        self.run, self.site = run, site
        done = run("raise", "--sub", sub, "--org", "acme", "--lat", 51.5, "--lon", -0.12, "--text", "help", "--json")
        assert done.returncode == 0, done
        self.id = json.loads(done.stdout)["alert"]
        site.wait_rows("SELECT status, notified_at IS NOT NULL FROM mayday.alert WHERE id = %s", [("active", True)], (self.id,))

    def do(self, word, *more, sub="dora"):
        return self.run("alert", word, self.id, *more, "--sub", sub, "--org", "acme")

    def shown(self):
        done = self.run("alert", "show", self.id, "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def close(self):
        if self.shown()["incident"]["status"] == "active":
            self.do("ack")
        self.do("resolve")
        self.site.wait_rows("SELECT closed_at IS NOT NULL FROM mayday.alert WHERE id = %s", [(True,)], (self.id,))


@pytest.fixture
def incident(life, run):
    opened = Raised(run, life)
    yield opened
    opened.close()


def test_an_incident_from_acknowledged_to_resolved(incident):
    steps = [("ack", (), "dora", "acknowledged"), ("assign", ("ben",), "dora", "assigned ben"),
             ("invite", ("eve",), "dora", "invited eve"), ("enroute", (), "ben", "en route"),
             ("on-scene", (), "ben", "on scene"), ("unassign", ("ben",), "dora", "unassigned ben"),
             ("resolve", (), "dora", "resolved")]
    version = 0
    for word, more, sub, said in steps:
        done = incident.do(word, *more, sub=sub)
        assert done.returncode == 0 and done.stdout.startswith(said + ", version "), (word, done)
        after = int(done.stdout.rsplit(" ", 1)[1])
        assert after > version
        version = after
    reopened = incident.run("alert", "reopen", incident.id, "--sub", "sue", "--org", "acme", "--json")
    outcome = json.loads(reopened.stdout)
    assert reopened.returncode == 0, reopened
    assert (outcome["outcome"], outcome["status"], outcome["action"]) == ("applied", "active", "reopen")
    assert outcome["version"] > version


def test_a_note_is_in_the_timeline_and_makes_no_version(incident):
    before = incident.shown()["incident"]["version"]
    done = incident.do("note", "a grey van")
    assert (done.returncode, done.stdout) == (0, "noted\n")
    incident.site.wait_rows("SELECT reason, verdict FROM mayday.action WHERE alert = %s AND action = 'note'",
                            [("a grey van", "noted")], (incident.id,))
    assert incident.shown()["incident"]["version"] == before


def test_what_is_refused_says_why(incident, run):
    for word, more, sub, code in [("resolve", (), "dora", "illegal"), ("ack", ("--expect", "99"), "dora", "stale"),
                                  ("reopen", ("--role", "dispatcher"), "dora", "not_allowed"),
                                  ("assign", ("nobody-known",), "dora", "")]:
        done = incident.do(word, *more, sub=sub)
        assert done.returncode == 1 and done.stdout.startswith(f"refused: {code}"), (word, done)
        assert len(done.stdout.strip()) > len("refused: "), done
    # who does not belong to it is refused by the broker itself
    done = run("alert", "ack", incident.id, "--sub", "tom", "--org", "acme", "--role", "member")
    assert done.returncode == 1 and done.stdout.startswith("refused: "), done
    assert incident.shown()["incident"]["status"] == "active"


def test_of_two_dispatchers_one_has_acknowledged(incident):
    outcomes = {}

    def press(sub):
        done = incident.do("ack", sub=sub)
        outcomes[sub] = (done.returncode, done.stdout)

    threads = [threading.Thread(target=press, args=(sub,)) for sub in ("dora", "dan")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    by = incident.shown()["incident"]["acknowledged_by"]
    other = "dan" if by == "dora" else "dora"
    assert outcomes[by][0] == 0 and outcomes[by][1].startswith("acknowledged, version"), outcomes
    assert outcomes[other][0] == 1 and outcomes[other][1].startswith("refused: "), outcomes


def test_the_raiser_cancels(life, run, tmp_path):
    opened = Raised(run, life, "carla")
    done = opened.do("cancel", sub="carla")
    assert done.returncode == 0 and done.stdout.startswith("canceled, version"), done
    missing = opened.do("cancel", "--pin-file", tmp_path / "none", sub="carla")
    assert missing.returncode == 1 and "cannot read the PIN" in missing.stderr


def test_without_the_gateway_the_message_is_safe_and_that_is_said(incident, gateway):
    gateway.stop()
    try:
        done = incident.do("ack", "--wait", "1s")
        assert done.returncode == 3 and "it is safe; Mayday has not answered within 1 s" in done.stderr, done
        incident.site.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("acknowledged",)], (incident.id,))
    finally:
        gateway.start()


def test_the_list_has_open_ones_and_all_of_them(life, run):
    opened = Raised(run, life)
    try:
        rows = [json.loads(line) for line in run("alert", "list", "--org", "acme", "--json").stdout.splitlines()]
        assert opened.id in [r["id"] for r in rows] and all("closed_at" not in r for r in rows)
        table = run("alert", "list", "--org", "acme").stdout.splitlines()
        assert table[0].split()[:3] == ["ID", "ORG", "STATUS"]
        row = next(line for line in table if line.startswith(opened.id))
        assert row.split()[:6] == [opened.id, "acme", "active", "critical", "panic", "ann"]
        assert run("alert", "list", "--org", "nowhere").stdout == "there are no open incidents\n"
    finally:
        opened.close()
    listed = run("alert", "list", "--json").stdout
    assert opened.id not in listed and opened.id in run("alert", "list", "--all", "--json").stdout
    assert len(run("alert", "list", "--all", "--json", "--limit", 1).stdout.splitlines()) == 1


def test_show_has_state_members_receipts_and_timeline(incident, run):
    assert incident.do("ack").returncode == 0 and incident.do("assign", "ben").returncode == 0
    assert incident.do("reopen", "--role", "dispatcher").returncode == 1
    shown = run("alert", "show", incident.id).stdout
    for pattern in (r"incident +" + incident.id + " of acme", r"status +acknowledged, version \d+", r"what +critical panic",
                    r"raised by +ann at ", r"where +51\.500000,-0\.120000", r"receipts +received \S+  stored \S+  .*acknowledged \S+ by dora",
                    r"ann +raiser", r"ben +assigned", r'raise +ann +"help"', r"action +dora +acknowledge +-> acknowledged, version \d",
                    r"action +dora +assign  person ben  -> acknowledged, version \d", r"action +dora +reopen .*-> changed nothing: not_allowed"):
        assert re.search(pattern, shown), (pattern, shown)
    whole = incident.shown()
    assert whole["incident"]["assigned"] == ["ben"] and whole["dispatch"]["status"] == "acknowledged"
    assert {(x["person"], x["relation"]) for x in whole["members"]} >= {("ann", "raiser"), ("ben", "assigned")}
    assert [t["kind"] for t in whole["timeline"]][0] == "raise"
    missing = run("alert", "show", m.uuid7())
    assert missing.returncode == 1 and "there is no incident" in missing.stderr
    assert incident.site.rows("SELECT count(*) > 0 FROM mayday.audit_pending WHERE kind = 'read' AND alert = %s UNION ALL "
                              "SELECT count(*) > 0 FROM mayday.audit WHERE kind = 'read' AND alert = %s ORDER BY 1 DESC LIMIT 1",
                              (incident.id, incident.id)) == [(True,)]


def test_who_is_nearest_and_free(incident, life, run):
    with life.client("ben", ["responder"]) as ben:
        ben.publish(m.topic("user", "ben", "location"), m.dump(m.location(lat=51.501, lon=-0.12)))
        ben.publish(m.topic("user", "ben", "duty"), m.dump(m.message(status="on")))
        near = wait_until(lambda: [json.loads(line) for line in run("alert", "nearest", incident.id, "--json").stdout.splitlines()],
                          "ben is near")
        assert near[0]["person"] == "ben" and 100 < near[0]["distance"] < 125
        by_place = run("person", "nearest", "--org", "acme", "--lat", 51.5, "--lon", -0.12)
        assert re.search(r"ben +111 +on +responder", by_place.stdout), by_place
        assert incident.do("ack").returncode == 0 and incident.do("assign", "ben").returncode == 0
        assert run("alert", "nearest", incident.id).stdout == "nobody is connected, free and known to be anywhere\n"


class Phone:
    """Ben's: answers the next check in its own thread."""

    def __init__(self, site, answer, receipt=True):
        self.client = site.client("ben", ["responder"], client_id="ben/phone")
        assert self.client.subscribe(m.topic("user", "ben", "check"))[0] < 0x80
        self.thread = threading.Thread(target=self.talk, args=(answer, receipt))
        self.thread.start()

    def talk(self, answer, receipt):
        check = json.loads(self.client.receive().payload)["id"]
        if receipt:
            self.client.publish(m.topic("user", "ben", "receipt"), m.dump(m.message(of=[check], mark="read")))
        if answer:
            self.client.publish(m.topic("user", "ben", "reply"), m.dump(m.message(check=check, **answer)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join()
        self.client.close()


CHECK = ["check", "send", "--sub", "dora", "--org", "acme", "--person", "ben"]


@pytest.mark.parametrize("answer,code", [({"answer": "ok"}, 0), ({"answer": "text", "text": "soon\x1b[2J".replace("\x1b", "")}, 0),
                                         ({"answer": "help"}, 1)])
def test_a_check_is_sent_received_and_answered(life, run, answer, code):
    with Phone(life, answer):
        done = run(*CHECK, "--wait", "--text", "Are you OK?")
    lines = [line.split()[0] for line in done.stdout.splitlines()]
    assert done.returncode == code and lines == ["sent", "received", "seen", "answered", "ben"], done
    assert done.stdout.splitlines()[-1].startswith(f"ben answers: {answer['answer']}")
    life.wait_rows("SELECT count(*) FROM mayday.reply r JOIN mayday.person_check c ON c.id = r.check_id WHERE r.answer = %s "
                   "AND c.text = 'Are you OK?'", [(1,)], (answer["answer"],))


def test_a_check_nobody_answers_and_one_that_is_refused(life, run):
    with Phone(life, None):
        done = run(*CHECK, "--wait", "--within", "1s", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 3 and "no answer from ben within 1 s" in done.stderr
    assert said["sent"] and said["received"] and "answer" not in said
    done = run("check", "send", "--sub", "ann", "--org", "acme", "--role", "member", "--person", "ben")
    assert done.returncode == 1 and done.stdout.startswith("refused: "), done
    done = run(*CHECK)
    assert done.returncode == 0 and done.stdout.startswith("sent after "), done


def test_people_and_rooms(life, run, site):
    assert run("person", "enter", "rita", "--org", "acme", "--roles", "member,officer", "--lang", "pt").stdout == "entered: rita\n"
    assert run("person", "enter", "rita", "--org", "acme").stdout == "known already: rita\n"
    rows = {r["person"]: r for r in map(json.loads, run("person", "list", "--org", "acme", "--json").stdout.splitlines())}
    assert rows["rita"]["roles"] == ["member", "officer"] and rows["rita"]["connected"] is False
    assert re.search(r"rita +acme +member officer +no", run("person", "list").stdout)
    unknown = run("room", "join", "tower", "nobody-known", "--org", "acme")
    assert unknown.returncode == 1 and "there is no person nobody-known" in unknown.stderr
    with site.client("rita") as rita:
        rita.subscribe(m.topic("room", "tower", "chat"))
        assert run("room", "join", "tower", "rita", "--org", "acme").stdout == "rita joined tower\n"
        wait_until(lambda: site.rows("SELECT 1 FROM mayday.person WHERE person = 'rita' AND connected"), "rita is seen")
        assert run("room", "join", "tower", "rita", "--org", "acme").stdout == "rita was already in tower\n"
        assert json.loads(run("room", "list", "--json").stdout) == {"room": "tower", "org": "acme", "members": ["rita"]}
        assert "rita" in run("person", "list", "--connected").stdout
        wait_until(lambda: rita.publish(m.topic("room", "tower", "chat"), m.dump(m.chat())) in (None, 0)
                   and site.rows("SELECT 1 FROM mayday.chat WHERE room = 'tower'"), "she may write in the room")
    assert run("room", "leave", "tower", "rita", "--org", "acme").stdout == "rita left tower\n"
    assert run("room", "leave", "tower", "rita", "--org", "acme").stdout == "rita was not in tower\n"
    assert run("room", "list").stdout == "there are no rooms with anybody in them\n"


def test_tail_of_one_incident_tells_what_is_new(incident, env):
    tail = subprocess.Popen([MAYDAY, "tail", "--sub", "dora", "--org", "acme", "--role", "dispatcher", "--alert", incident.id],
                            env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert "dispatch" in tail.stderr.readline()
    seen = []

    def until(word):
        while not seen or word not in seen[-1]:
            line = tail.stdout.readline()
            assert line, seen
            seen.append(line)

    until("active; critical panic of ann")
    assert incident.do("ack").returncode == 0
    until("acknowledged by dora")
    assert incident.do("assign", "ben").returncode == 0
    until("assigned +ben")
    tail.terminate()
    tail.communicate(timeout=60)
    assert tail.returncode == 0
    assert any(re.search(r"action +alert \.\.[0-9a-f]{8}  acknowledge", line) for line in seen)


def test_an_evening_comes_about_twice(life, run):
    """A second one in the same place, too: nothing of the first is in its way."""
    for seed in (1, 2):
        done = run("sim", "--scenario", "evening", "--org", "acme", "--people", 3, "--json", "--seed", seed)
        assert done.returncode == 0, done.stderr[-3000:]
        said = json.loads(done.stdout)
        assert said["happened"] == said["steps"] > 20 and said["rejected"] == 0 and said["unacked"] == 0
        assert said["sent"] == said["acked"] and said["caught_up"] >= 5
        life.wait_rows("SELECT status FROM mayday.alert WHERE id = %s", [("resolved",)], (said["alert"],))
        offline = life.rows("SELECT count(*) FROM mayday.chat WHERE alert = %s AND offline", (said["alert"],))
        assert offline == [(2,)]


def test_an_evening_without_the_gateway_fails_and_says_where(life, gateway, run):
    gateway.stop()
    try:
        done = run("sim", "--scenario", "evening", "--org", "acme", "--people", 1, "--json", "--bound", "2s")
        assert done.returncode == 1, done
        assert json.loads(done.stdout)["missing"] == "carl's phone is up to date"
        assert "this did not: carl's phone is up to date" in done.stderr
    finally:
        gateway.start()


def test_wrong_usage_is_one_sentence(run):
    for wrong in (["alert"], ["alert", "fly"], ["alert", "show"], ["alert", "show", "1"], ["alert", "list", "x"],
                  ["alert", "assign", m.uuid7()], ["alert", "ack", m.uuid7()], ["alert", "ack", m.uuid7(), "--expect", "-1"],
                  ["alert", "list", "--limit", "0"], ["check"], ["check", "send"], ["check", "ask", "--person", "x"],
                  ["check", "send", "--person", "a/b"], ["check", "send", "--person", "x", "--within", "2d"],
                  ["check", "send", "--person", "x", "--alert", "y"], ["person"], ["person", "enter"], ["person", "enter", "x"],
                  ["person", "nearest", "--org", "x"], ["person", "nearest", "--org", "x", "--lat", "100", "--lon", "1"],
                  ["room"], ["room", "join", "x"], ["room", "join", "x", "y"], ["sim", "--scenario", "opera"]):
        done = run(*wrong)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == "", (wrong, done)


def test_no_database_and_one_of_another_day_have_their_own_words(run, postgres):
    for words in (["alert", "list"], ["alert", "show", m.uuid7()], ["person", "list"], ["room", "list"]):
        done = run(*words, MAYDAY_DSN="host=127.0.0.1 port=1 dbname=none")
        assert done.returncode == 3 and "the database cannot be reached" in done.stderr, done
        done = run(*words, "--database", postgres.dsn("postgres", "postgres"))
        assert done.returncode == 1 and "run 'mayday migrate'" in done.stderr, done
