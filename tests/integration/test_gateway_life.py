"""The gateway as a process: it says that it is there, and that it has gone; it ends when asked, and starts over when killed."""
import json
import os
import signal
import subprocess

import pytest

from support import messages as m
from support.site import BUILD, wait_until

STATUS = "mayday/v1/acme/gateway/{}/status"


def status(site, id="gw1"):
    """What is retained: a dict, or None."""
    with site.client("adm", ["admin"], client_id=f"adm:{os.urandom(4).hex()}") as c:
        assert c.subscribe(STATUS.format(id)) == [1]
        return None if c.receives_nothing() else json.loads(c.receive().payload)


def test_it_is_online_while_it_runs_and_offline_when_it_has_ended(site):
    with site.gateway() as gateway:
        said = status(site)
        assert said["status"] == "online"
        assert "serves as 'gw1'" in gateway.log()
    assert status(site)["status"] == "offline"
    assert gateway.process.returncode == 0


def test_its_last_will_says_offline_when_it_is_killed(site):
    gateway = site.gateway("gw2").start()
    with site.client("adm", ["admin"], client_id="adm:will") as c:
        c.subscribe(STATUS.format("gw2"))
        assert json.loads(c.receive().payload)["status"] == "online"
        gateway.kill()
        assert json.loads(c.receive().payload)["status"] == "offline"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_also_without_database_and_broker(own_site, number):
    site = own_site()
    gateway = site.gateway("lonely", gateway__database=f"host={site.folder} dbname=nowhere").spawn()
    wait_until(lambda: "no connection to the broker" in gateway.log() and "trying again" in gateway.log(), "it says what is missing")
    gateway.alive()
    gateway.signal(number)
    assert gateway.process.wait(20) == 0
    gateway.check_sanitizers()


def test_what_is_missing_is_said_once_and_so_is_that_it_is_back(own_site):
    site = own_site()
    gateway = site.gateway("patient").spawn()
    wait_until(lambda: "no connection to the broker" in gateway.log(), "it says that the broker is missing")
    site.start()
    gateway.wait_ready()
    site.kill()
    wait_until(lambda: gateway.log().count("no connection to the broker") == 2, "it says that the broker went")
    site.start()
    gateway.wait_ready()
    gateway.stop()
    assert gateway.log().count("no connection to the broker") == 2
    assert gateway.log().count("connected to the broker") == 2


def test_an_organisation_that_the_database_comes_to_know_is_served(site):
    with site.gateway("finder", gateway__organisations="").start_unready() as gateway:
        site.rows("INSERT INTO mayday.person (org, person) VALUES ('newcomer', 'ann')")
        gateway.wait_ready("newcomer")


def test_sighup_makes_the_connections_again_with_a_fresh_token(site):
    with site.gateway("renewed") as gateway:
        first = status(site, "renewed")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: status(site, "renewed")["id"] != first["id"], "it has connected again")
        assert status(site, "renewed")["status"] == "online"
        gateway.alive()


def test_a_second_gateway_of_the_same_name_is_complained_about(site):
    with site.gateway("twin") as first:
        second = site.gateway("twin")
        second.log_file = second.folder / "log2"
        second.spawn()
        wait_until(lambda: "give each gateway an id of its own" in first.log(), "the first says who took its place")
        second.stop()


def test_a_token_from_a_file_serves_its_organisation_alone(site, tmp_path):
    token = tmp_path / "token"
    token.write_text(m.token("filed", "acme", ["gateway"]) + "\n")
    with site.gateway("filed", gateway__token_file=token, gateway__signing_keys="", gateway__organisations="") as gateway:
        site.rows("INSERT INTO mayday.person (org, person) VALUES ('elsewhere', 'ann')")
        assert "serves as 'filed'" in gateway.log()
    assert "elsewhere" not in gateway.log()


def check(*arguments):
    done = subprocess.run([BUILD / "bin" / "mayday-gateway", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, env={**os.environ, "MAYDAY_CONF": "/nonexistent/mayday.conf"})
    return done.returncode, done.stdout + done.stderr


def test_the_configuration_is_checked_without_starting(site):
    gateway = site.gateway("checked")
    assert check("--config", gateway.conf, "--check") == (0, "the configuration is good\n")
    gateway.keys.write_text('{"keys": []}')
    code, said = check("--config", gateway.conf, "--check")
    assert code == 1 and str(gateway.keys) in said
    code, said = check("--config", site.conf, "--check")
    assert code == 1 and "signing_keys" in said
    assert check("--check")[0] == 1
    assert check("--nonsense")[0] == 2 and check("more")[0] == 2
    assert check("--version")[0] == 0 and "SIGHUP" in check("--help")[1]
