"""The networked commands of `mayday` against a whole site: the plugin accepts what they send, and they tell the truth
about it."""
import json
import os
import re
import subprocess

import pytest

from support import messages as m
from support.site import BUILD, ROOT

STORED = ("raise", "action", "location", "chat")


@pytest.fixture(scope="module")
def run(site):
    keys = json.dumps({"keys": [m.JWK]})
    signing = site.folder / "signing-keys.json"
    signing.write_text(keys)
    for file in (signing, site.keys_file):
        file.chmod(0o600)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}
    env = {**clean, "MAYDAY_CONF": str(site.conf), "MQTT_PORT": str(site.port)}

    def run(*args):
        return subprocess.run([BUILD / "bin" / "mayday", *map(str, args)], env=env, text=True, capture_output=True,
                              timeout=120)

    run.env = env
    return run


def test_a_raise_is_stored(site, run):
    done = run("raise", "--sub", "ann", "--org", "acme", "--lat", 51.5, "--lon", -0.1, "--text", "help", "--json")
    assert done.returncode == 0, done
    alert = json.loads(done.stdout)["alert"]
    site.wait_rows("SELECT sender, text FROM mayday.raise WHERE alert = %s", [("ann", "help")], (alert,))


def test_a_raise_over_websockets_is_stored(site, run):
    done = run("raise", "--sub", "ann", "--org", "acme", "--ws", "--port", site.ws_port, "--json")
    assert done.returncode == 0, done
    site.wait_rows("SELECT sender FROM mayday.raise WHERE alert = %s", [("ann",)], (json.loads(done.stdout)["alert"],))


@pytest.mark.parametrize("version", [[], ["--v311"]])
def test_a_refusal_is_told_whatever_the_protocol_version(run, version):
    """The shipped policy lets no family contact raise; the schema has no such language."""
    done = run("raise", "--sub", "fay", "--org", "acme", "--lang", "no language", *version)
    assert done.returncode == 1 and done.stdout.startswith("refused: alert"), done
    assert "heard" not in done.stdout


def test_the_panic_arrives_in_the_database_and_on_the_dispatcher_s_screen(site, run):
    tail = subprocess.Popen([BUILD / "bin" / "mayday", "tail", "--json", "--sub", "dora", "--org", "acme", "--role",
                             "dispatcher"], env=run.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    listening = tail.stderr.readline()
    assert "alert/+/raise" in listening and "acme/#" not in listening, listening
    done = run("sim", "--org", "acme", "--people", 5, "--rate", 2, "--seconds", 9, "--raise-after", "1s", "--json")
    assert done.returncode == 0, done
    summary = json.loads(done.stdout)
    assert summary["sent"] == summary["acked"] and summary["rejected"] == 0
    sums = " + ".join(f"(SELECT count(*) FROM mayday.{t} WHERE sender LIKE 'walker-%%')" for t in STORED)
    site.wait_rows(f"SELECT {sums}", [(summary["acked"],)])
    site.wait_rows("SELECT count(*) FROM mayday.chat WHERE alert = %s", [(4,)], (summary["alert"],))
    tail.terminate()
    out, _ = tail.communicate(timeout=60)
    assert tail.returncode == 0
    topics = [json.loads(line)["topic"].rsplit("/", 1)[1] for line in out.splitlines()]
    assert topics.count("raise") == 1 and topics.count("chat") == 4 and topics.count("location") > 50


def test_the_doctor_finds_a_running_site_in_order(site, run):
    done = run("doctor", "--json", "--sql", ROOT / "sql")
    report = json.loads(done.stdout)
    assert report["ok"] and done.returncode == 0, [f for f in report["findings"] if f["finding"] == "FAIL"]
    by_check = {}
    for f in report["findings"]:
        by_check.setdefault(f["check"], []).append(f)
    for check in ("configuration", "keys", "policy", "schemas", "journal", "database", "partitions", "progress",
                  "broker"):
        assert all(f["finding"] == "ok" for f in by_check[check]), by_check[check]
    assert re.search(r"the plugin tells \d+ figures", by_check["broker"][1]["what"])


def test_the_doctor_notices_people_whom_no_text_speaks_to(site, run):
    """The gateway's role may read languages; where it can't log in, the rest is looked at nevertheless."""
    original = site.conf.read_text()
    for gateway, finding, words in ((site.postgres.dsn("mayday_gateway"), "warn", "2 of the people speak 'zu-ZA'"),
                                    ("host=127.0.0.1 port=1", "skip", "people's languages")):
        site.rows("SELECT mayday.enter_person('acme', x, NULL, 'zu-ZA') IS NULL FROM unnest('{zola,zandile}'::text[]) x")
        site.rows("SELECT mayday.enter_person('acme', 'anna', NULL, 'af-ZA') IS NULL")
        site.conf.write_text(f"{original}\n[gateway]\ndatabase = {gateway}\n")
        report = json.loads(run("doctor", "--json", "--sql", ROOT / "sql").stdout)
        said = [f for f in report["findings"] if f["check"] == "texts"]
        assert said[0]["finding"] == "ok" and "af en" in said[0]["what"], said
        assert len(said) == 2 and said[1]["finding"] == finding and words in said[1]["what"], said
    site.conf.write_text(original)


def test_the_doctor_notices_a_database_that_is_behind(site, run):
    site.rows("DELETE FROM mayday.migration WHERE version = (SELECT max(version) FROM mayday.migration) RETURNING 1")
    done = run("doctor", "--json", "--sql", ROOT / "sql")
    said = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "database" and f["finding"] == "FAIL"]
    assert done.returncode == 1 and "mayday migrate" in said[0]["remedy"], said
