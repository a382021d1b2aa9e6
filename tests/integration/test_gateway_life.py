"""The gateway as a process: it says that it is there, and that it has gone; it ends when asked, and starts over when killed."""
import json
import os
import signal
import socket
import subprocess

import pytest

from support import messages as m
from support.site import BUILD, free_port, wait_until

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
        wait_until(lambda: "serves as 'gw1'" in gateway.log(), "it says who it is")
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


def test_before_its_token_runs_out_it_connects_anew(site, tmp_path):
    token = tmp_path / "token"
    token.write_text(m.token("brief", "acme", ["gateway"], 10))
    with site.gateway("brief", gateway__token_file=token, gateway__signing_keys="", gateway__organisations="") as gateway:
        first = status(site, "brief")
        token.write_text(m.token("brief", "acme", ["gateway"], 3600))
        wait_until(lambda: status(site, "brief")["id"] != first["id"], "it has connected again")
        assert status(site, "brief")["status"] == "online"
        assert "no connection" not in gateway.log(), "of its own accord, before the broker ended it"


def test_systemd_is_told_how_it_goes(site, tmp_path):
    at = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(at)
        notify.settimeout(20)
        gateway = site.gateway("told")
        gateway.env = {"NOTIFY_SOCKET": at, "WATCHDOG_USEC": "200000"}
        with gateway:
            assert notify.recv(100) == b"READY=1"
            assert [notify.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        told = notify.recv(100)
        while told == b"WATCHDOG=1":
            told = notify.recv(100)
        assert told == b"STOPPING=1"


def certificate(folder):
    """A key, and its own certificate for localhost."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, stderr=subprocess.DEVNULL)
    return folder / "cert.pem", folder / "key.pem"


def test_with_a_cafile_the_connection_is_encrypted_and_the_broker_must_prove_its_name(own_site, tmp_path):
    site, port = own_site(), free_port()
    cert, key = certificate(tmp_path)
    conf = site.folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\n" + conf.read_text())
    site.start()
    options = {"gateway__broker_port": port, "gateway__broker_cafile": cert}
    with site.gateway("sealed", gateway__broker_host="localhost", **options):
        assert status(site, "sealed")["status"] == "online"
    wrong = site.gateway("misled", gateway__broker_host="127.0.0.1", **options).spawn()
    wait_until(lambda: "no connection to the broker" in wrong.log(), "the certificate is for another name")
    wrong.stop()
    assert status(site, "misled") is None


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
