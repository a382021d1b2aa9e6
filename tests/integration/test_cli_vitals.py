"""`mayday vitals`: what operators see of a person, and how they tune rules before they set them."""
import json
import os
import subprocess
import time

import pytest

from support import messages as m
from support.bodies import Wearer
from support.site import BUILD, wait_until

MAYDAY = BUILD / "bin" / "mayday"


@pytest.fixture(scope="module")
def run(site):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}

    def run(*args):
        return subprocess.run([MAYDAY, *map(str, args)], env={**env, "MAYDAY_CONF": str(site.conf)}, text=True, capture_output=True, timeout=120)
    return run


def rules_file(tmp_path, *rules, **more):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"v": 1, "rules": list(rules), **more}))
    return path


def test_rules_are_checked_set_and_shown(run, site, tmp_path):
    path = rules_file(tmp_path, {"name": "pulse-high", "above": 130}, duress_words={"*": ["marigold"]})
    checked = run("vitals", "rules", "check", path)
    assert checked.returncode == 0 and "pulse-high" in checked.stdout
    assert run("vitals", "rules", "set", "acme", path).stdout == "edition 1 for acme\n"
    assert "as before" in run("vitals", "rules", "set", "acme", path).stdout
    shown = run("vitals", "rules", "show", "acme")
    assert json.loads(shown.stdout) == json.loads(path.read_text()) and "edition 1 of acme" in shown.stderr
    assert site.rows("SELECT detail->>'rules' FROM mayday.audit_pending WHERE kind = 'body_rules.set' AND org = 'acme'"
                     " UNION ALL SELECT detail->>'rules' FROM mayday.audit WHERE kind = 'body_rules.set' AND org = 'acme'") == [('["pulse-high"]',)]
    other = run("vitals", "rules", "show", "elsewhere")
    assert other.returncode == 0 and "shipped" in other.stderr


@pytest.mark.parametrize("rule, why", [({"name": "pulse-high", "above": "a lot"}, "above"), ({"name": "mine", "of": "luck", "above": 1}, "of"),
                                       ({"name": "pulse-high", "abvoe": 130}, "abvoe")])
def test_rules_that_make_no_sense_are_refused_with_the_place(run, tmp_path, rule, why):
    path = rules_file(tmp_path, rule)
    for command in (("check", path), ("set", "acme", path)):
        refused = run("vitals", "rules", *command)
        assert refused.returncode == 1 and why in refused.stderr and str(path) in refused.stderr


def test_every_shipped_rule_names_its_source(run):
    shipped = json.loads(run("vitals", "rules", "show", "--shipped").stdout)
    assert len(shipped["rules"]) > 10 and all(rule["source"] for rule in shipped["rules"])


def recording(tmp_path):
    """A quarter of an hour of rest, then a heart at 140 for two minutes."""
    began = int(time.time()) - 3600
    lines = ["time,hr,motion,contact"]
    lines += [f"{began + s},{66 + s % 3},0.01,1" for s in range(0, 900, 5)]
    lines += [f"{began + s},{140 + s % 3},0.01,1" for s in range(900, 1020, 5)]
    path = tmp_path / "watch.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_recording_shows_what_rules_would_have_done(run, tmp_path):
    path = recording(tmp_path)
    strict = rules_file(tmp_path, {"name": "pulse-high", "above": 110, "for": 20})
    found = run("vitals", "rules", "test", "acme", strict, "--recording", path)
    assert found.returncode == 0 and "pulse-high" in found.stdout and "limit 110" in found.stdout
    lax = rules_file(tmp_path, {"name": "pulse-high", "above": 170}, {"name": "pulse-very-high", "off": True}, {"name": "news2", "off": True})
    assert "pulse-high" not in run("vitals", "rules", "test", "acme", lax, "--recording", path).stdout
    lines = [json.loads(line) for line in run("vitals", "rules", "test", "acme", strict, "--recording", path, "--json").stdout.splitlines()]
    assert lines[0]["rule"] and lines[0]["kind"] == "begins"


def test_a_person_is_shown_and_tried(run, site, tmp_path):
    with site.gateway(vitals__answer_within="2s", vitals__keep="1s") as gateway:
        ann = Wearer(site, "ann")
        ann.rests()
        ann.worries()
        ann.answers(ann.asked())
        site.wait_rows("SELECT answer FROM mayday.check_watch WHERE person = 'ann'", [("ok",)])
        site.wait_rows("SELECT count(*) FROM mayday.body WHERE person = 'ann'", [(1,)])
        wait_until(lambda: "usual" in run("vitals", "show", "acme", "ann").stdout, "what is usual is known")
        shown = run("vitals", "show", "acme", "ann").stdout
        assert "hr " in shown and "/min" in shown and "answered ok" in shown and "pulse" in shown
        lines = [json.loads(line) for line in run("vitals", "show", "acme", "ann", "--json").stdout.splitlines()]
        assert {"hr", "spo2"} <= {line.get("vital") for line in lines} and any(line.get("answer") == "ok" for line in lines)
        tried = run("vitals", "rules", "test", "acme", rules_file(tmp_path, {"name": "pulse-high", "above": 110, "for": 20}), "--person", "ann")
        assert "pulse-high" in tried.stdout and "findings" in tried.stdout
        ann.close()
        assert gateway.log().count("ann") == 0


def test_wrong_usage_says_what_is_expected(run):
    for words in (("vitals",), ("vitals", "rules", "paint"), ("vitals", "show", "acme"), ("vitals", "rules", "test", "acme")):
        assert run(*words).returncode == 2


def test_the_incident_tells_how_it_came_to_it(run, site):
    with site.gateway(vitals__answer_within="2s"):
        bea = Wearer(site, "bea")
        bea.rests()
        bea.worries()
        check = bea.asked()
        (alert,), = site.wait_rows("SELECT count(*) FROM mayday.alert WHERE raised_by = 'bea'", [(1,)]) and site.rows(
            "SELECT id::text FROM mayday.alert WHERE raised_by = 'bea'")
        shown = run("alert", "show", alert).stdout
        told = [line for line in shown.splitlines() if "pulse" in line]
        assert any(" finding " in line and "-> asked" in line for line in told), shown
        assert any(" raise " in line for line in told), "the alarm says it, too"
        assert any(" check " in line for line in shown.splitlines())
        assert check["id"] and "vitals" in shown
        bea.close()
