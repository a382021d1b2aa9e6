"""What the gateway says of itself over HTTP: /health for whoever restarts and watches it, /metrics for Prometheus. And what it does not let
itself be talked into."""
import http.client
import json
import os
import random
import re
import socket
import subprocess
import time
from contextlib import closing

import pytest

from support.site import BUILD, ROOT, wait_until

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)",?')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text):
    """Prometheus's text format 0.0.4, strictly: {name: {"type":, "help":, "samples": {labels: value}}}."""
    assert text.endswith("\n")
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE") and NAME.fullmatch(name), line
            if word == "HELP":
                assert name not in families, f"{name} comes twice"
                assert re.fullmatch(r"(?:[^\\]|\\[\\n])+", rest), line
                current = families[name] = {"help": rest, "samples": {}}
            else:
                assert current is families[name] and not current["samples"], line
                assert rest in ("counter", "gauge", "untyped"), line
                current["type"] = rest
            continue
        found = SAMPLE.fullmatch(line)
        assert found, f"no sample: {line!r}"
        name, labels, value = found.groups()
        assert current is families[name] and "type" in current, f"out of its group: {line}"
        key = tuple(sorted((k, re.sub(r"\\.", lambda m: ESCAPES[m.group()], v)) for k, v in LABEL.findall(labels or "")))
        assert key not in current["samples"], f"twice: {line}"
        current["samples"][key] = float(value)
    for name, family in families.items():
        assert family["samples"], name
        assert (family["type"] == "counter") == name.endswith("_total"), name
    return families


def ask(gateway, path, method="GET", body=None, headers=()):
    """(status, headers, body)."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=20)) as c:
        c.request(method, path, body, dict(headers))
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def answer_to(gateway, request):
    """Everything that is said to raw bytes, until the connection is closed."""
    said = b""
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=20) as s:
        s.sendall(request)
        while piece := s.recv(65536):
            said += piece
    return said


def health(gateway):
    status, _, body = ask(gateway, "/health")
    said = json.loads(body)
    assert status == (200 if said["ready"] else 503)
    assert said["ready"] == (not said["why"])
    return said


def metrics(gateway):
    status, headers, body = ask(gateway, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    return parse(body.decode())


def answers(gateway):
    """It is there, whatever it has to say."""
    try:
        ask(gateway, "/health")
        return True
    except OSError:
        gateway.alive()
        return False


def await_ready(gateway):
    wait_until(lambda: answers(gateway) and health(gateway)["ready"], "the gateway is ready", 60)


@pytest.fixture(scope="module")
def running(gateway):
    await_ready(gateway)
    return gateway


def test_a_gateway_that_can_do_its_work_is_live_and_ready(running):
    said = health(running)
    assert said["live"] is True and said["why"] == [] and said["database"] is True
    assert said["gateway"] == "gw1" and said["brokers"] == {"acme": True}
    assert said["services"] and all(s["ok"] for s in said["services"].values())
    status, headers, body = ask(running, "/health")
    assert status == 200 and headers["content-type"] == "application/json" and headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(body))


def test_the_figures_are_what_prometheus_reads(running):
    found = metrics(running)
    for name in ("mayday_gateway_ready", "mayday_gateway_live", "mayday_gateway_database_up"):
        assert found[name]["samples"] == {(): 1.0}
    assert found["mayday_gateway_broker_up"]["samples"] == {(("org", "acme"),): 1.0}
    assert set(found["mayday_gateway_service_up"]["samples"].values()) == {1.0}
    services = {dict(labels)["service"] for labels in found["mayday_gateway_service_up"]["samples"]}
    assert services == set(health(running)["services"])
    assert abs(found["mayday_gateway_start_time_seconds"]["samples"][()] - time.time()) < 3600


def test_the_broker_s_figures_are_passed_on(running, site):
    def told():
        found = metrics(running)
        roles = found.get("mayday_broker_sessions_by_role", {"samples": {}})["samples"]
        return roles.get((("role", "gateway"),), 0) >= 1 and found

    found = wait_until(told, "the broker's figures have come")
    assert found["mayday_broker_database_connected"]["samples"] == {(): 1.0}
    assert {dict(k)["of"] for k in found["mayday_broker_journal_flush_seconds"]["samples"]} == {"last", "max", "mean"}
    assert found["mayday_broker_tokens_total"]["samples"][(("verdict", "accepted"),)] >= 1
    assert found["mayday_broker_figures_dropped_total"]["samples"] == {(): 0.0}
    before = found["mayday_broker_tokens_total"]["samples"][(("verdict", "accepted"),)]
    site.client("ann").__enter__().close()
    wait_until(lambda: metrics(running)["mayday_broker_tokens_total"]["samples"][(("verdict", "accepted"),)] > before, "a connect is counted")


def test_every_figure_is_in_the_manual(running):
    manual = (ROOT / "docs" / "operations.md").read_text()
    missing = [name for name in metrics(running) if f"`{name}`" not in manual]
    known = (ROOT / "gateway" / "figures.c").read_text()
    for source in (ROOT / "gateway").rglob("*.c"):
        for name in re.findall(r'service_(?:count|gauge)\([^,;]*,\s*"([a-z_]+)"', source.read_text()):
            missing += [name] if f"`{name}`" not in manual or f'"{name}"' not in known else []
    for name in re.findall(r'PREFIX "([a-z_]+)"', (ROOT / "gateway" / "bus" / "broker_figures.c").read_text()):
        missing += [name] if f"`mayday_broker_{name}`" not in manual else []
    assert not missing


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_head_is_answered_without_a_body(running, path):
    status, headers, body = ask(running, path, "HEAD")
    assert status == 200 and body == b"" and int(headers["content-length"]) > 100


@pytest.mark.parametrize("path", ["/", "/healthz", "/health/", "//health", "/metrics/x", "/Health", "/%00", "/health%00", "/he%61lth", "/../health"])
def test_there_is_nothing_else(running, path):
    status, headers, body = ask(running, path)
    assert status == 404 and headers["content-type"].startswith("text/plain")
    assert ask(running, path, "POST")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "BREW"])
def test_another_method_is_told_which_there_are(running, method):
    for path in ("/health", "/metrics"):
        status, headers, _ = ask(running, path, method)
        assert status == 405 and headers["allow"] == "GET, HEAD"


def test_a_query_changes_nothing(running):
    assert ask(running, "/health?verbose=1")[0] == 200


def test_a_long_body_is_refused_unread_and_a_short_one_thrown_away(running):
    assert answer_to(running, b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n").startswith(b"HTTP/1.1 413")
    # nobody says how long
    assert answer_to(running, b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").startswith(b"HTTP/1.1 413")
    assert ask(running, "/health", "POST", b"x" * 1000)[0] == 405
    assert ask(running, "/health", "GET", b"x" * 1000)[0] == 200
    assert ask(running, "/health", "POST", b"", {"Content-Length": "99999999999999999999"})[0] in (400, 413)


def test_garbage_does_no_harm(running):
    noise = random.Random(20261121)
    heads = [b"", b"GET ", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: ", b"\x16\x03\x01", b"POST /metrics HTTP/1.1\r\n\r\n",
             b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n\r\n", b"HEAD /health HTTP/1.0\r\n\r\n" * 50, b"GET /health HTTP/9.9\r\n\r\n", b"\r\n" * 5000]
    for round in range(300):
        with socket.create_connection(("127.0.0.1", running.http_port), timeout=5) as s:
            try:
                s.sendall(noise.choice(heads) + noise.randbytes(noise.choice([0, 1, 7, 300, 20000])))
                if round % 3 == 0:
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(0.05)  # a half request is given its time
                    while s.recv(65536):
                        pass
            except OSError:
                pass  # it may end what makes no sense at any time
        if round % 50 == 0:
            assert health(running)["live"]
    running.alive()
    assert health(running)["ready"]


def test_who_takes_all_connections_is_turned_away_and_nothing_else_suffers(running):
    held = [socket.create_connection(("127.0.0.1", running.http_port), timeout=5) for _ in range(200)]
    for s in held:
        s.close()
    wait_until(lambda: answers(running), "it answers again")
    assert health(running)["ready"]


def test_without_the_database_it_is_not_ready_and_says_why(own_site, database):
    with own_site() as site, site.gateway("thirsty", gateway__organisations="acme") as gateway:
        await_ready(gateway)
        database.server.sql(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false', database="postgres")
        try:
            database.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mayday_gateway' AND datname = %s",
                                (database.name,), database="postgres")
            wait_until(lambda: not health(gateway)["database"], "it notices")
            said = health(gateway)
            assert said["live"] is True and said["ready"] is False
            assert any(why.startswith("database: ") and "not currently accepting connections" in why for why in said["why"]), said["why"]
            assert said["brokers"] == {"acme": True}
            found = metrics(gateway)
            assert found["mayday_gateway_ready"]["samples"] == {(): 0.0}
            assert found["mayday_gateway_database_up"]["samples"] == {(): 0.0}
            assert 0.0 in found["mayday_gateway_service_up"]["samples"].values()
        finally:
            database.server.sql(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true', database="postgres")
        await_ready(gateway)


def test_a_database_that_was_never_there_is_named(own_site):
    site = own_site()
    gateway = site.gateway("lonely", gateway__organisations="acme", gateway__database=f"host={site.folder} dbname=nowhere").spawn()
    wait_until(lambda: answers(gateway) and len(health(gateway)["why"]) == 2 and not any("not connected yet" in w for w in health(gateway)["why"]),
               "it has tried both")
    said = health(gateway)
    database, broker = sorted(said["why"], reverse=True)
    assert database.startswith("database: ") and str(site.folder) in database
    assert broker.startswith("broker for acme: ")
    assert "mayday_broker_figures_age_seconds" not in metrics(gateway)
    gateway.stop()


def test_without_the_broker_it_is_not_ready_and_its_figures_are_gone(own_site):
    site = own_site()
    with site, site.gateway("mute", gateway__organisations="acme") as gateway:
        await_ready(gateway)
        wait_until(lambda: "mayday_broker_database_connected" in metrics(gateway), "the broker's figures have come")
        site.kill()
        wait_until(lambda: not health(gateway)["ready"], "it notices")
        said = wait_until(lambda: (s := health(gateway))["why"] and s, "it says why")
        assert said["database"] is True and said["brokers"] == {"acme": False}
        assert all(why.startswith("broker for acme: ") for why in said["why"])
        assert not [name for name in metrics(gateway) if name.startswith("mayday_broker_")]
        site.start()
        await_ready(gateway)
        assert metrics(gateway)["mayday_gateway_broker_connects_total"]["samples"][(("org", "acme"),)] >= 2


def test_an_address_that_is_taken_is_tried_again_and_stops_nothing_else(site, running):
    with site.gateway("second", gateway__organisations="acme", gateway__http=f"127.0.0.1:{running.http_port}") as second:
        assert "/health and /metrics are not answered" in second.log() and "in use" in second.log()
        second.alive()


def test_its_end_does_not_wait_for_those_who_hold_a_connection(site):
    gateway = site.gateway("ending", gateway__organisations="acme").start()
    await_ready(gateway)
    with socket.create_connection(("127.0.0.1", gateway.http_port)) as half, socket.create_connection(("127.0.0.1", gateway.http_port)) as done:
        half.sendall(b"GET /health HTTP/1.1\r\nHost:")
        done.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert done.recv(4096).startswith(b"HTTP/1.1 200")
        gateway.stop()


def check(gateway):
    done = subprocess.run([BUILD / "bin" / "mayday-gateway", "--config", gateway.conf, "--check"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ})
    return done.returncode, done.stdout


@pytest.mark.parametrize("address", ["8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http", "::1:8080", "[::1]", "a" * 150 + ":8o"])
def test_an_address_that_is_none_is_refused_before_the_start(site, address):
    code, said = check(site.gateway("checked", gateway__http=address))
    assert code == 1 and "[gateway] http" in said


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", ":8080", ""])
def test_good_addresses_are_taken(site, address):
    assert check(site.gateway("checked", gateway__http=address)) == (0, "the configuration is good\n")


def test_without_an_address_nobody_is_answered(site):
    with site.gateway("deaf", gateway__organisations="acme", gateway__http="") as gateway:
        with pytest.raises(OSError):
            ask(gateway, "/health")
        assert "/health" not in gateway.log()
