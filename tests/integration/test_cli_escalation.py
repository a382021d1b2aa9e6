"""What operators do about escalation: plans, people's channels, teams, dry runs, looking, and the doctor's eye on it. Against a whole site with a
gateway; what goes out to providers is other tests' business."""
import json
import os
import re
import subprocess

import pytest

from support import messages as m
from support.providers import Simulator
from support.site import BUILD, ROOT

MAYDAY = BUILD / "bin" / "mayday"
ANN, BEN = "+27821234567", "+447700900123"
NIGHT = {"v": 1, "policies": [
    {"name": "night", "when": {"types": ["panic"]},
     "levels": [{"after": 0, "targets": [{"role": "dispatcher"}]},
                {"after": 90, "targets": [{"team": "watch"}, {"person": "sue"}], "channels": ["voice", "sms"], "gap": 20}],
     "rounds": 2, "pause": 60, "exhausted": [{"person": "sue"}]},
    {"name": "rest", "levels": [{"after": 0, "targets": [{"role": "dispatcher"}]}]}]}


@pytest.fixture(scope="module")
def env(site, database):
    signing = site.folder / "signing-keys.json"
    signing.write_text(json.dumps({"keys": [m.JWK]}))
    for file in (signing, site.keys_file):
        file.chmod(0o600)
    site.configure(gateway__database=database.dsn("mayday_gateway"), notify__sms="twilio vonage", notify__voice="twilio")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}
    return {**clean, "MAYDAY_CONF": str(site.conf), "MQTT_PORT": str(site.port)}


@pytest.fixture(scope="module")
def run(env):
    def run(*args, **more):
        return subprocess.run([MAYDAY, *map(str, args)], env={**env, **more}, text=True, capture_output=True, timeout=120)
    return run


@pytest.fixture(scope="module")
def people(run):
    for name, role in [("dora", "dispatcher"), ("dan", "dispatcher"), ("sue", "supervisor"), ("ann", "member"), ("ben", "responder")]:
        assert run("person", "enter", name, "--org", "acme", "--roles", role, "--name", name.title()).returncode == 0
    assert run("person", "channel", "acme", "dora", "add", "sms", BEN).returncode == 0
    return run


def plan_file(tmp_path, body):
    at = tmp_path / "plan.json"
    at.write_text(body if isinstance(body, str) else json.dumps(body))
    return at


def audited(site, kind):
    wanted = "SELECT kind, actor, person, detail FROM mayday.{} WHERE org = 'acme' AND kind = %s"
    return site.rows(wanted.format("audit_pending") + " UNION ALL " + wanted.format("audit"), (kind, kind))


# ---- plans ----

@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "plans").glob("*.json")), ids=lambda f: f.stem)
def test_every_sample_plan_is_well_formed(run, file):
    done = run("plan", "check", file)
    assert done.returncode == 0 and "is well-formed" in done.stdout, done


def test_the_guide_shows_the_plan_that_is_shipped(run):
    told = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "escalation.md").read_text(), re.S)[1]
    assert json.loads(run("plan", "show", "*").stdout) == json.loads(told)


@pytest.mark.parametrize("body,place", [
    ('{"v": 1,\n "policies": [}', "plan.json:2:"),
    ({"v": 1, "policies": []}, "/policies"),
    ({"v": 1, "policies": [{"name": "a", "levels": [{"after": -1, "targets": [{"role": "x"}]}]}]}, "/policies/0/levels/0/after"),
    ({"v": 1, "policies": [{"name": "a", "levels": [{"after": 60, "targets": [{"role": "x"}]}, {"after": 0, "targets": [{"role": "x"}]}]}]},
     "policies[0].levels[1]"),
    ({"v": 1, "policies": [{"name": "a", "when": {"types": ["fire"]}, "levels": [{"after": 0, "targets": [{"role": "x"}]}]}]}, "policies[0]"),
    ({"v": 1, "policies": [{"name": "a", "levels": [{"after": 0, "targets": [{"webhook": "nowhere"}]}]}]}, "policies[0].levels[0]")])
def test_a_bad_plan_is_refused_with_its_place(run, tmp_path, body, place):
    file = plan_file(tmp_path, body)
    for words in (["check", file], ["apply", "acme", file]):
        done = run("plan", *words)
        assert done.returncode == 1 and place in done.stderr and done.stderr.count("\n") == 1, done


def test_a_plan_is_applied_shown_and_kept_by_edition(run, people, site, tmp_path):
    file = plan_file(tmp_path, NIGHT)
    done = run("plan", "apply", "acme", file)
    assert done.returncode == 0 and done.stdout.startswith("edition 1 for acme; 2 policies: night (2 levels), rest (1 level)\n"), done
    assert "warn  policy 'night', level 2: there is no team watch\n" in done.stdout
    assert re.search(r"warn  no phone is entered for dan, sue", done.stdout)
    assert run("plan", "apply", "acme", file).stdout.startswith("edition 1 for acme, as before; ")
    shown = run("plan", "show", "acme")
    assert json.loads(shown.stdout) == NIGHT and shown.stderr.startswith("edition 1 of acme, by ")
    changed = {**NIGHT, "policies": NIGHT["policies"][1:]}
    assert run("plan", "apply", "acme", plan_file(tmp_path, changed)).stdout.startswith("edition 2 for acme; 1 policy: rest (1 level)")
    history = [json.loads(line) for line in run("plan", "history", "acme", "--json").stdout.splitlines()]
    assert [h["edition"] for h in history] == [2, 1] and history[1]["body"] == NIGHT
    assert json.loads(run("plan", "show", "acme", "--edition", 1).stdout) == NIGHT
    assert run("plan", "show", "acme", "--edition", 9).returncode == 1
    elsewhere = run("plan", "show", "nowhere")
    assert elsewhere.returncode == 0 and "for all without a plan of their own" in elsewhere.stderr
    # both editions are in the audit trail: which, by whom, and not by what they say
    entries = audited(site, "plan.set")
    assert len(entries) == 2 and all(e[3]["by_hand"] and len(e[3]["sha256"]) == 64 and "body" not in e[3] for e in entries)


def test_a_plan_is_checked_against_an_organisation(run, people, tmp_path):
    body = {"v": 1, "policies": [{"name": "a", "levels": [
        {"after": 0, "targets": [{"person": "nobody-known"}]}, {"after": 5, "targets": [{"role": "fireman"}, {"nearest": 2}]},
        {"after": 9, "targets": [{"webhook": "hook"}, {"family": True}]}]}], "webhooks": {"hook": "http://hook.example.org/"}}
    said = run("plan", "check", plan_file(tmp_path, body), "--org", "acme").stdout
    for line in ("policy 'a', level 1: there is no person nobody-known", "policy 'a', level 1 reaches nobody\n",
                 "policy 'a', level 2: nobody has the role fireman", "level 2 reaches nobody, but who is near",
                 "[webhook] secret_file is not set", "webhook 'hook': plain HTTP"):
        assert line in said, (line, said)
    assert "level 3 reaches nobody" not in said


# ---- people's channels ----

def test_channels_have_an_order_and_are_masked(run, people, site):
    assert re.search(r"1 +mqtt +not connected now +not entered", run("person", "channel", "acme", "ann", "list").stdout)
    assert run("person", "channel", "acme", "ann", "add", "sms", ANN).stdout == "ann is reached by sms at place 1\n"
    assert run("person", "channel", "acme", "ann", "add", "voice", ANN).stdout == "ann is reached by voice at place 2\n"
    assert run("person", "channel", "acme", "ann", "add", "mqtt", "--place", 1).stdout == "ann is reached by mqtt at place 1\n"
    rows = [json.loads(line) for line in run("person", "channel", "acme", "ann", "list", "--json").stdout.splitlines()]
    assert [(r["place"], r["kind"]) for r in rows] == [(1, "mqtt"), (2, "sms"), (3, "voice")]
    table = run("person", "channel", "acme", "ann", "list").stdout
    assert ANN not in table and ANN[:3] in table and ANN[-2:] in table and "•••" in table
    assert ANN in run("person", "channel", "acme", "ann", "list", "--full").stdout
    assert [e[2] for e in audited(site, "read") if "--full" in json.dumps(e[3])] == ["ann"]
    again = run("person", "channel", "acme", "ann", "add", "sms", ANN)
    assert again.returncode == 1 and "has that channel already" in again.stderr
    assert run("person", "channel", "acme", "ann", "remove", "mqtt").stdout == "ann: removed\n"
    assert run("person", "channel", "acme", "ann", "remove", "mqtt").stdout == "ann: there was no such channel\n"
    assert site.rows("SELECT place, kind FROM mayday.channel WHERE org = 'acme' AND person = 'ann' ORDER BY 1") == [(1, "sms"), (2, "voice")]
    details = [json.dumps(e[3]) for e in audited(site, "channel.set")]
    assert details and not any(ANN in d for d in details), "numbers are masked in the audit trail"


@pytest.mark.parametrize("number,why", [("0821234567", "is no number"), ("+27", "is no number"), ("+2782x234567", "is no number"),
                                        ("+27112", "emergency"), ("+1911", "emergency"), ("+44999", "emergency")])
def test_numbers_nobody_may_dial_are_refused(run, people, number, why):
    done = run("person", "channel", "acme", "ben", "add", "sms", number)
    assert done.returncode == 1 and why in done.stderr, done


def test_a_number_entered_anew_is_good_until_a_provider_says_otherwise(run, people, database, site):
    number = "+27821110000"
    database.sql("INSERT INTO mayday.number_note (number, bad_since, no_text_since, opted_out_at) VALUES (%s, now(), now(), now()) RETURNING 1",
                 (number,))
    assert run("person", "channel", "acme", "ben", "add", "sms", number).returncode == 0
    assert "wants no texts" in run("person", "channel", "acme", "ben", "list").stdout, "what its owner said stays"
    assert site.rows("SELECT bad_since, no_text_since, opted_out_at IS NULL FROM mayday.number_note WHERE number = %s",
                     (number,)) == [(None, None, False)]
    assert run("person", "channel", "acme", "ben", "remove", "sms", number).stdout == "ben: removed\n"


def test_a_person_has_a_name(run, people, site):
    assert run("person", "enter", "nia", "--org", "acme", "--name", "Nia Dube").stdout == "entered: nia\n"
    assert run("person", "enter", "nia", "--org", "acme", "--name", "Nia D.").stdout == "entered: nia\n"
    assert run("person", "enter", "nia", "--org", "acme").stdout == "known already: nia\n"
    assert site.rows("SELECT name FROM mayday.person WHERE person = 'nia'") == [("Nia D.",)]
    assert "Nia D." in run("person", "list", "--org", "acme").stdout
    assert run("person", "enter", "nia", "--org", "acme", "--name", "").returncode == 0
    assert site.rows("SELECT name FROM mayday.person WHERE person = 'nia'") == [(None,)]


# ---- teams ----

def test_people_take_turns_and_stand_in(run, people, site):
    made = run("team", "set", "acme", "watch", "--people", "dan,ben", "--first", "2026-01-01 07:00+02", "--shift", "12 hours",
               "--timezone", "Africa/Johannesburg")
    assert made.returncode == 0 and made.stdout.startswith("watch: on call now is "), made

    def who(at):
        return run("team", "who", "acme", "watch", "--at", at).stdout.strip()
    assert [who("2026-06-01 07:00+02"), who("2026-06-01 18:59+02"), who("2026-06-01 19:00+02"), who("2026-06-02 06:59+02")] == \
        ["dan", "dan", "ben", "ben"]
    assert run("team", "cover", "acme", "watch", "sue", "--from", "2026-06-01 10:00+02", "--until", "2026-06-01 11:00+02").returncode == 0
    assert [who("2026-06-01 09:59+02"), who("2026-06-01 10:30+02"), who("2026-06-01 11:00+02")] == ["dan", "sue", "dan"]
    assert run("team", "set", "acme", "watch", "--shift", "1 day").returncode == 0
    listed = json.loads(run("team", "list", "acme", "--json").stdout)
    assert (listed["team"], listed["people"], listed["shift"], listed["timezone"]) == ("watch", ["dan", "ben"], "1 day", "Africa/Johannesburg")
    for wrong in (["set", "acme", "watch", "--people", "dan,nobody-known"], ["set", "acme", "fresh"], ["set", "acme", "watch", "--timezone", "Mars"],
                  ["cover", "acme", "nowhere", "sue", "--until", "2030-01-01"], ["who", "acme", "nowhere"]):
        done = run("team", *wrong)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, (wrong, done)
    assert run("team", "set", "acme", "gone", "--people", "dan").returncode == 0
    assert run("team", "remove", "acme", "gone").stdout == "gone: removed\n"
    assert {e[3].get("team") for e in audited(site, "team.set") + audited(site, "team.end") + audited(site, "cover.set")} == {"watch", "gone"}


# ---- the dry run ----

def rehearsed(run, *more):
    done = run("escalation", "test", "acme", "--json", *more)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_dry_run_tells_a_night_and_stores_nothing(run, people, site, tmp_path):
    run("team", "set", "acme", "watch", "--people", "ben", "--first", "2026-01-01", "--shift", "1 day")
    run("person", "channel", "acme", "ben", "add", "sms", ANN)
    run("person", "channel", "acme", "ben", "add", "voice", ANN)
    file = plan_file(tmp_path, NIGHT)
    done, lines = rehearsed(run, "--plan", file, "--raiser", "ann")
    assert done.returncode == 0, done
    told = [(line["after"], line.get("level", ""), line["who"], line["how"].split()[0]) for line in lines if line.get("how")]
    once = [(0, "1", "dan", "mqtt"), (0, "1", "dora", "sms"), (90, "2", "ben", "voice"), (110, "2", "ben", "sms")]
    first = [t for t in told if t[0] < 150 and t[2] != "sue"]
    assert first == [(a, f"1.{lv}", w, h) for a, lv, w, h in once], told
    second = [t for t in told if 150 <= t[0] < 300 and t[2] != "sue"]
    assert second == [(a + 150, f"2.{lv}", w, h) for a, lv, w, h in once], told
    assert [(line["after"], line["who"]) for line in lines if line.get("because") == "exhausted"] == [(300, "dispatch")]
    assert any(line["after"] == 300 and line["who"] == "sue" for line in lines)
    assert next(line for line in lines if line["who"] == "dora")["by"] == "twilio vonage"
    assert "no phone" in next(line for line in lines if line["who"] == "dan")["note"]
    assert not any(ANN in line or BEN in line for line in done.stdout.splitlines())
    for table in ("alert", "escalation", "notification"):
        assert site.rows(f"SELECT count(*) FROM mayday.{table} WHERE org = 'acme' AND true") == [(0,)], table
    text = run("escalation", "test", "acme", "--plan", file, "--raiser", "ann").stdout
    assert re.search(r"policy +night, for a critical panic of ann", text) and re.search(r"\+0:01:30 +1\.2 +ben +team watch +voice", text), text
    assert "nothing fails: 4 texts, 2 calls, 5 times the app, 0 webhooks" in text, text


def test_a_level_that_reaches_nobody_is_shouted(run, people, tmp_path):
    body = {"v": 1, "policies": [{"name": "a", "levels": [{"after": 0, "targets": [{"role": "fireman"}]}]}]}
    done = run("escalation", "test", "acme", "--plan", plan_file(tmp_path, body))
    assert done.returncode == 1 and "THIS LEVEL REACHES NOBODY" in done.stdout and "reaches nobody" in done.stderr, done
    done = run("escalation", "test", "acme", "--plan", plan_file(tmp_path, body), "--policy", "b")
    assert done.returncode == 1 and "no policy 'b'" in done.stderr


def test_family_is_told_when_it_is_said_whose(run, people, database, tmp_path):
    database.sql("INSERT INTO mayday.contact (org, person, contact) VALUES ('acme', 'ann', 'fay') RETURNING 1")
    body = {"v": 1, "policies": [{"name": "a", "levels": [{"after": 0, "targets": [{"family": True}]}]}]}
    file = plan_file(tmp_path, body)
    done, lines = rehearsed(run, "--plan", file, "--raiser", "ann")
    assert done.returncode == 0 and lines[0]["who"] == "fay" and "family" in lines[0]["note"], done
    done, lines = rehearsed(run, "--plan", file)
    assert done.returncode == 0 and "--raiser" in lines[0]["note"], done


def test_the_policy_is_chosen_by_type_and_priority(run, people, tmp_path):
    file = plan_file(tmp_path, NIGHT)
    assert re.search(r"policy +rest, for a low fire", run("escalation", "test", "acme", "--plan", file, "--type", "fire", "--priority", "low").stdout)
    assert re.search(r"policy +night", run("escalation", "test", "acme", "--plan", file, "--type", "fire", "--policy", "night").stdout)


def test_wrong_usage_is_one_sentence(run):
    for wrong in (["plan"], ["plan", "check"], ["plan", "apply", "acme"], ["plan", "fly", "x"], ["plan", "show", "acme", "--edition", "0"],
                  ["escalation"], ["escalation", "fly"], ["escalation", "test"], ["escalation", "show", "acme", "1"],
                  ["escalation", "test", "acme", "--type", "war"], ["escalation", "level", m.uuid7(), "0"], ["escalation", "level", m.uuid7(), "21"],
                  ["escalation", "hold", m.uuid7(), "--for", "2h"], ["escalation", "now"], ["notify"], ["notify", "send", "acme"],
                  ["notify", "send", "acme", "ann", "--channel", "pigeon"], ["provider"], ["provider", "status", "x"],
                  ["provider", "status", "--hours", "0"], ["team"], ["team", "set", "acme"], ["team", "cover", "acme", "watch"],
                  ["person", "channel"], ["person", "channel", "acme", "ann", "add", "sms"], ["person", "channel", "acme", "ann", "add", "mqtt", "+1"],
                  ["person", "channel", "acme", "ann", "add", "fax", ANN]):
        done = run(*wrong)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == "", (wrong, done)


# ---- a test message ----

@pytest.fixture
def started(env, people):
    """A running `mayday notify send`, and the message it made."""
    running = []

    def start(*more):
        done = subprocess.Popen([MAYDAY, "notify", "send", "acme", "dora", *more], env=env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        running.append(done)
        first = done.stdout.readline()
        found = re.match(r"a test to dora by (.+): ([0-9a-f-]{36})\n", first)
        assert found, (first, done.stderr.read() if done.poll() else "")
        return done, found[2], found[1]
    yield start
    for each in running:
        each.kill()
        each.communicate()


def attempt(database, note, outcome=None, provider="twilio-sms", **more):
    columns = {"id": m.uuid7(), "notification": note, "org": "acme", "provider": provider, "gateway": "g1", "pid": 1, "pid_since": "now",
               "until": "now", "outcome": outcome, "ended_at": "now" if outcome else None, **more}
    database.sql(f"INSERT INTO mayday.attempt ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) RETURNING 1",
                 tuple(columns.values()))
    return columns["id"]


def settle(database, note, status, why=None):
    database.sql("UPDATE mayday.notification SET status = %s, why = %s WHERE id = %s RETURNING 1", (status, why, note))


def test_each_step_of_a_test_message_is_told(started, database, site):
    done, note, how = started("--wait", "60s")
    assert how.startswith("sms +44") and BEN not in how
    assert site.rows("SELECT purpose, rank, kind, alert, address FROM mayday.notification WHERE id = %s", (note,)) == [("test", 0, "sms", None, BEN)]
    attempt(database, note, "retry", "vonage-sms", http_status=503, code="http 503")
    at = attempt(database, note, "sent", http_status=201)
    settle(database, note, "sent")
    lines = [done.stdout.readline() for _ in range(4)]
    assert [line.split("  ", 1)[1].split(",")[0].strip() for line in lines if "asked" not in line] == ["vonage-sms: retry", "twilio-sms: sent"]
    database.sql("UPDATE mayday.attempt SET receipt = 'delivered', receipt_at = now() WHERE id = %s RETURNING 1", (at,))
    settle(database, note, "delivered")
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0 and "twilio-sms says: delivered" in out and out.endswith("\ndelivered\n"), (out, err)
    assert [e[3]["notification"] for e in audited(site, "notify.test")][-1] == note
    assert not any(BEN in json.dumps(e[3]) for e in audited(site, "notify.test"))


def test_a_test_message_that_fails_says_why(started, database):
    done, note, _ = started()
    settle(database, note, "failed", "opted_out")
    _, err = done.communicate(timeout=60)
    assert done.returncode == 1 and "it failed: opted_out" in err


def test_stopping_to_watch_stops_nothing(started, site):
    done, note, _ = started()
    done.send_signal(2)
    _, err = done.communicate(timeout=60)
    assert done.returncode == 3 and "it is waiting, and goes on without you" in err
    assert site.rows("SELECT status FROM mayday.notification WHERE id = %s", (note,)) == [("waiting",)]


def test_when_nobody_sends_it_that_is_said(run, people):
    done = run("notify", "send", "acme", "dora", "--wait", "1s")
    assert done.returncode == 3 and "nobody has tried: does a gateway run?" in done.stderr, done
    done = run("notify", "send", "acme", "dora", "--channel", "voice")
    assert done.returncode == 1 and "no voice number is entered for dora" in done.stderr
    done = run("notify", "send", "acme", "nobody-known")
    assert done.returncode == 1 and "there is no person nobody-known" in done.stderr


def test_how_providers_do_is_told(run, people, database):
    database.sql("INSERT INTO mayday.provider_state (gateway, provider, kind, breaker, in_flight, sent, retry, refused, unknown, last_failure, "
                 "last_failure_at) VALUES ('g1', 'vonage-sms', 'sms', 'open', 0, 3, 9, 1, 2, 'http 503', now()) RETURNING 1")
    status = run("provider", "status").stdout
    assert re.search(r"vonage-sms +g1 +open +0 +3 +9 +1 +2 +http 503, 0 s ago", status), status
    assert re.search(r"vonage-sms +retry +http 503 +1 ", status)
    rows = [json.loads(line) for line in run("provider", "status", "--json").stdout.splitlines()]
    twilio = next(r for r in rows if r["what"] == "outcomes" and r["provider"] == "twilio-sms")
    assert (twilio["requests"], twilio["sent"], twilio["delivered"], len(twilio["accept_ms"]), len(twilio["deliver_s"])) == (1, 1, 1, 3, 3)


def test_a_gateway_sends_it_and_the_phone_has_it(run, people, site):
    with Simulator() as sim, site.gateway(id="sends", providers=sim):
        done = run("notify", "send", "acme", "dora", "--wait", "60s")
        assert done.returncode == 0 and done.stdout.endswith("\ndelivered\n"), done
        assert sim.phone(BEN).wait_text("TEST of Mayday")
        run("person", "channel", "acme", "dora", "add", "voice", BEN)
        done = run("notify", "send", "acme", "dora", "--channel", "voice", "--wait", "60s", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["status"] in ("delivered", "answered"), done
        done = run("notify", "send", "acme", "dan", "--wait", "60s")
        assert done.returncode == 0 and "posted: the app shows it" in done.stdout, done
        run("person", "channel", "acme", "dora", "remove", "voice", BEN)
        sim.assert_strict()


# ---- what is under way ----

def test_an_escalation_is_listed_shown_hurried_and_held(run, people, site, gateway, database, tmp_path):
    assert run("plan", "apply", "acme", plan_file(tmp_path, NIGHT)).returncode == 0
    assert run("escalation", "list", "acme").stdout == "no escalation is under way\n"
    raised = run("raise", "--sub", "ann", "--org", "acme", "--json")
    alert = json.loads(raised.stdout)["alert"]
    site.wait_rows("SELECT status, level FROM mayday.escalation WHERE alert = %s", [("running", 1)], (alert,))
    listed = json.loads(run("escalation", "list", "acme", "--json").stdout)
    assert (listed["alert"], listed["status"], listed["policy"], listed["level"], listed["raised_by"]) == (alert, "running", "night", 1, "ann")
    assert re.search(rf"{alert} +running +critical +panic +ann .* night +1 +1 +in \d+ s", run("escalation", "list", "acme").stdout)
    note = site.rows("SELECT id FROM mayday.notification WHERE alert = %s AND person = 'dora'", (alert,))[0][0]
    attempt(database, note, "sent", alert=alert, http_status=201, reference="SM1", receipt="delivered", receipt_at="now")
    shown = run("escalation", "show", "acme", alert).stdout
    for pattern in (r"incident +" + alert + " of acme: critical panic of ann, active", r"escalation +running, round 1, level 1",
                    r"policy +night, edition \d+", r"dora +sms \+44•+23 +1\.1 +raise ", r"twilio-sms +g1 +sent +201 .*delivered .*SM1"):
        assert re.search(pattern, shown), (pattern, shown)
    assert BEN not in shown and ANN not in shown and BEN not in run("escalation", "show", "acme", alert, "--json").stdout
    assert [e for e in audited(site, "read") if e[3].get("with") == "mayday escalation show"]

    timeline = run("alert", "show", alert).stdout
    for pattern in (r"escalation +mayday +told, round 1, level 1, 2 people", r"notification +mayday +dora: raise by sms -> ",
                    r"attempt +mayday +dora: twilio-sms -> sent \(delivered\)"):
        assert re.search(pattern, timeline), (pattern, timeline)

    def do(*words):
        return run("escalation", *words, "--sub", "dora", "--org", "acme")
    held = do("hold", alert, "--for", "2m")
    assert held.returncode == 0 and held.stdout.startswith("held"), held
    site.wait_rows("SELECT status, held_until > now() + interval '100 seconds' FROM mayday.escalation WHERE alert = %s", [("held", True)], (alert,))
    now = do("now", alert)
    assert now.returncode == 0 and now.stdout.startswith("escalated"), now
    site.wait_rows("SELECT status, level FROM mayday.escalation WHERE alert = %s", [("running", 2)], (alert,))
    again = do("level", alert, 1)
    assert again.returncode == 0, again
    site.wait_rows("SELECT round, level FROM mayday.escalation WHERE alert = %s", [(1, 1)], (alert,))
    assert run("escalation", "show", "acme", m.uuid7()).returncode == 1
    for word in ("ack", "resolve"):
        assert run("alert", word, alert, "--sub", "dora", "--org", "acme").returncode == 0
    site.wait_rows("SELECT status FROM mayday.escalation WHERE alert = %s", [("ended",)], (alert,))
    assert run("escalation", "list", "acme").stdout == "no escalation is under way\n"
    assert alert in run("escalation", "list", "acme", "--all").stdout


# ---- the doctor ----

class Examined:
    """What the doctor finds, by check."""

    def __init__(self, run):
        self.findings = json.loads(run("doctor", "--json", "--sql", ROOT / "sql").stdout)["findings"]

    def __getitem__(self, check):
        return [(f["finding"], f["what"]) for f in self.findings if f["check"] == check]

    def has(self, check, finding, *words):
        assert any(f == finding and all(w in what for w in words) for f, what in self[check]), (check, finding, words, self[check])


def test_the_doctor_looks_at_gateway_providers_plans_and_trail(run, people, site, gateway, database, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("12345\n")
    secret.chmod(0o600)
    keys = {"gateway__database": database.dsn("mayday_gateway"), "gateway__http": f"127.0.0.1:{gateway.http_port}", "notify__sms": "twilio vonage",
            "twilio__account_sid": "AC" + "0" * 32, "twilio__token_file": secret, "twilio__sms_from": "*=+15005550006"}
    site.configure(**keys)
    mute = {"v": 1, "policies": [{"name": "a", "levels": [{"after": 0, "targets": [{"role": "fireman"}, {"nearest": 1}]}]}]}
    assert run("plan", "apply", "mute", plan_file(tmp_path, mute)).returncode == 0
    said = Examined(run)
    assert [f[0] for f in said["gateway"]] == ["ok"]
    said.has("providers", "FAIL", "vonage for sms: [vonage] api_key is not set")
    assert not any("twilio" in what for _, what in said["providers"])
    said.has("providers", "warn", "public_url is not set")
    said.has("audit", "warn", "it is not signed")
    said.has("escalation", "FAIL", "mute, policy a tells nobody at all")
    said.has("escalation", "warn", "acme: ", "without a phone")
    database.sql("DELETE FROM mayday.plan WHERE org = 'mute' RETURNING 1")

    secret.chmod(0o644)
    site.configure(**{**keys, "notify__sms": "twilio pigeon", "gateway__http": "127.0.0.1:1"})
    said = Examined(run)
    said.has("secrets", "FAIL", str(secret))
    said.has("providers", "FAIL", "there is no provider 'pigeon'")
    said.has("gateway", "FAIL", "no gateway answers at 127.0.0.1:1")
    assert not any("mute" in what for _, what in said["escalation"])

    site.configure(gateway__database=database.dsn("mayday_gateway"), gateway__http="127.0.0.1:1")
    said = Examined(run)
    assert [f[0] for f in said["providers"]] == ["warn"]
    assert said["gateway"][0][0] == "warn", "without providers much works without a gateway"


def test_the_old_is_forgotten_and_the_open_is_not(run, people, database, site):
    for days, alert in [(800, "NULL"), (100, "NULL"), (10, "NULL")]:
        database.sql("INSERT INTO mayday.notification (id, org, alert, person, kind, purpose, rank, made_at, expires_at, body) "
                     f"VALUES (gen_random_uuid(), 'old', {alert}, '{days}', 'sms', 'test', 0, now() - interval '{days} days', now(), 'x') RETURNING 1")
    database.sql("INSERT INTO mayday.provider_event (id, provider, kind, said, received_at) "
                 "SELECT gen_random_uuid(), 'twilio-sms', 'receipt', d::text, now() - d * interval '1 day' FROM unnest('{31,29}'::int[]) d RETURNING 1")
    for _ in range(2):
        assert run("migrate", "--prune").returncode in (0, 1)
    assert site.rows("SELECT person FROM mayday.notification WHERE org = 'old'") == [("10",)]
    assert site.rows("SELECT said FROM mayday.provider_event WHERE received_at < now() - interval '1 day'") == [("29",)]
