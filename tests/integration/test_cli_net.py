"""The networked commands of `mayday` against a bare Mosquitto: what they send is valid, what they say is true, and a
simulated device loses nothing that was acknowledged or waiting when the broker goes away."""
import base64
import hashlib
import json
import os
import queue
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from support.site import BUILD

PATIENCE = 60  # seconds for a state to come about; never a measure of speed
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MAYDAY = str(Path(os.environ.get("MAYDAY_BIN_DIR", BUILD / "bin")).resolve() / "mayday")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    def __init__(self, folder, extra=""):
        self.folder, self.port, self.process = folder, free_port(), None
        folder.mkdir()
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n"
            f"max_queued_messages 1000000\nuser {'root' if os.geteuid() == 0 else ''}\n{extra}\n"
            .replace("user \n", ""))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["mosquitto", "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError("Mosquitto does not listen")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


@pytest.fixture
def broker(tmp_path):
    b = Broker(tmp_path / "broker", "allow_anonymous true").start()
    yield b
    b.stop()


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.json"
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    for file in (path, tmp_path / "signing-keys.json"):
        file.write_text(json.dumps({"keys": [{"kty": "oct", "kid": "t", "alg": "HS256", "use": "sig", "k": secret}]}))
        file.chmod(0o600)
    return path


@pytest.fixture
def env(tmp_path, keys):
    """A configuration of its own, so that nothing of this machine is used."""
    conf = tmp_path / "mayday.conf"
    conf.write_text(f"[token]\nkeys_file = {keys}\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "MAYDAY_"))}
    return {**clean, "MAYDAY_CONF": str(conf)}


def run(env, *args):
    return subprocess.run([MAYDAY, *map(str, args)], env=env, text=True, capture_output=True, timeout=PATIENCE * 2)


class Listener:
    """A subscriber with a durable session that comes back by itself: what the broker took, it gets."""

    def __init__(self, port, *filters):
        self.messages, self.granted = queue.Queue(), queue.Queue()
        self.client = mqtt.Client(client_id="listener", clean_session=False)
        self.client.on_connect = lambda c, *_: c.subscribe([(f, 1) for f in filters])
        self.client.on_subscribe = lambda *_: self.granted.put(True)
        self.client.on_message = lambda c, u, m: self.messages.put((m.topic, m.payload))
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.granted.get(timeout=PATIENCE)

    def next(self):
        topic, payload = self.messages.get(timeout=PATIENCE)
        return topic, json.loads(payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()


MEMBERS = {
    "raise": {"type": str, "priority": str, "location": dict, "text": str, "lang": str, "silent": bool},
    "location": {"lat": float, "lon": float, "accuracy": (int, float), "speed": (int, float), "source": str,
                 "heading": (int, float), "battery": int},
    "chat": {"text": str},
    "action": {"action": str},
}


def assert_valid(topic, body):
    """As docs of the protocol have it: what is always there, nothing unknown, and the types and ranges."""
    leaf = topic.rsplit("/", 1)[1]
    assert body["v"] == 1 and UUID7.fullmatch(body["id"])
    datetime.strptime(body["ts"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert len(body["ts"]) == 24
    for name, value in body.items():
        if name in ("v", "id", "ts"):
            continue
        if name == "offline":
            assert value is True
            continue
        assert name in MEMBERS[leaf], f"{leaf}: unknown member {name}"
        assert isinstance(value, MEMBERS[leaf][name]), f"{leaf}: {name} is {value!r}"
    if leaf == "location":
        assert -90 <= body["lat"] <= 90 and -180 <= body["lon"] <= 180
        assert 0 <= body["heading"] < 360 and 0 <= body["battery"] <= 100 and body["accuracy"] > 0


def who(sub, org="acme"):
    return ["--sub", sub, "--org", org]


@pytest.mark.parametrize("version", [[], ["--v311"]])
def test_raise_is_heard_and_valid(broker, env, version):
    with Listener(broker.port, "mayday/v1/acme/alert/+/raise") as listener:
        done = run(env, "raise", *who("ann"), "--port", broker.port, "--type", "medical", "--priority", "high",
                   "--lat", 51.5072, "--lon", -0.1276, "--accuracy", 8, "--text", 'she "fell" \\ here',
                   "--lang", "en", "--silent", *version)
        assert done.returncode == 0, done.stderr
        alert = re.fullmatch(r"heard: alert (\S+) in [0-9.]+ ms\n", done.stdout).group(1)
        topic, body = listener.next()
        assert topic == f"mayday/v1/acme/alert/{alert}/raise"
        assert_valid(topic, body)
        assert {k: body[k] for k in ("id", "type", "priority", "text", "lang", "silent")} == {
            "id": alert, "type": "medical", "priority": "high", "text": 'she "fell" \\ here', "lang": "en",
            "silent": True}
        assert body["location"] == {"lat": 51.5072, "lon": -0.1276, "accuracy": 8.0}


def test_a_repeated_raise_has_the_same_id(broker, env):
    alert = "01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2"
    with Listener(broker.port, "mayday/v1/#") as listener:
        for _ in range(2):
            done = run(env, "raise", *who("ann"), "--port", broker.port, "--id", alert, "--json")
            assert done.returncode == 0 and json.loads(done.stdout)["alert"] == alert
            assert listener.next()[1]["id"] == alert


def test_a_token_from_a_file_says_who_it_is(broker, env, tmp_path):
    Path(env["MAYDAY_CONF"]).write_text("[token]\nclaim_org = o.id org\n")
    token = tmp_path / "token"
    token.write_text(jwt({"sub": "bea", "o": {"id": "zoo"}}) + "\n")
    with Listener(broker.port, "mayday/v1/#") as listener:
        done = run({**env, "MAYDAY_TOKEN_FILE": str(token)}, "raise", "--port", broker.port)
        assert done.returncode == 0, done.stderr
        assert listener.next()[0].startswith("mayday/v1/zoo/alert/")


def test_a_refused_raise_says_so(tmp_path, env):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite somewhere/else\n")
    acl.chmod(0o600)
    b = Broker(tmp_path / "broker", f"allow_anonymous true\nacl_file {acl}").start()
    try:
        done = run(env, "raise", *who("ann"), "--port", b.port)
        assert done.returncode == 1 and "refused" in done.stdout and "not authorised" in done.stdout
        done = run(env, "raise", *who("ann"), "--port", b.port, "--json")
        assert done.returncode == 1
        outcome = json.loads(done.stdout)
        assert outcome["heard"] is False and outcome["reason"] == 0x87
    finally:
        b.stop()


def test_the_words_on_rejected_are_told(broker, env):
    """MQTT 3.1.1 acknowledges what was refused: there `rejected` is the only word."""
    client = mqtt.Client(client_id="refuser")
    ready = queue.Queue()

    def refuse(c, _, message):
        body = json.loads(message.payload)
        c.publish("mayday/v1/acme/user/ann/rejected",
                  json.dumps({"topic": message.topic, "id": body["id"], "code": "invalid", "detail": "/type: no"}), 1)

    client.on_message = refuse
    client.on_subscribe = lambda *_: ready.put(True)
    client.connect("127.0.0.1", broker.port)
    client.subscribe("mayday/v1/acme/alert/+/raise", 1)
    client.loop_start()
    try:
        ready.get(timeout=PATIENCE)
        done = run(env, "raise", *who("ann"), "--port", broker.port, "--v311")
        assert done.returncode == 1 and "invalid: /type: no" in done.stdout, done
    finally:
        client.disconnect()
        client.loop_stop()


def test_no_broker_and_wrong_usage_have_their_own_exit_codes(env, tmp_path):
    port = free_port()
    done = run(env, "raise", *who("ann"), "--port", port)
    assert done.returncode == 3 and str(port) in done.stderr
    assert run(env, "tail", *who("ann"), "--port", port).returncode == 3
    assert run(env, "sim", "--people", 1, "--seconds", "0.1", "--drain", "0.5", "--port", port).returncode == 3
    for wrong in (["raise"], ["raise", *who("ann"), "--type", "boring"], ["raise", *who("ann"), "--lat", "91"],
                  ["raise", *who("ann"), "--lat", "nan", "--lon", "1"], ["raise", *who("ann"), "--lat", "1"],
                  ["tail", *who("ann"), "--alert", "1"], ["tail", "--sub", "ann"], ["sim", "--center", "1"],
                  ["sim", "--people", "0"], ["raise", *who("ann"), "--port", "0"], ["doctor", "now"]):
        done = run(env, *wrong)
        assert done.returncode == 2, wrong
        assert done.stderr.count("\n") == 1, done.stderr


class Tail:
    def __init__(self, env, *args):
        self.process = subprocess.Popen([MAYDAY, "tail", *map(str, args)], env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.listening = self.process.stderr.readline()
        assert self.listening.startswith("listening as"), self.listening + self.process.stderr.read()

    def end(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def test_tail_shows_messages_and_ends_after_a_count(broker, env):
    tail = Tail(env, *who("dora"), "--role", "dispatcher", "--port", broker.port, "--count", 2)
    assert run(env, "raise", *who("ann"), "--port", broker.port, "--text", "a\x1b[2Jb").returncode == 0
    assert run(env, "raise", *who("ann"), "--port", broker.port, "--type", "fire").returncode == 0
    code, out, _ = tail.end()
    assert code == 0 and "raise" in out and "fire" in out
    assert "\x1b" not in out and len(out.splitlines()) == 2


def test_tail_as_json_and_of_one_incident(broker, env):
    alert, other = "01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2", "01a1fc25-cf3f-7dcc-8bba-8f284c9f3de3"
    tail = Tail(env, *who("dora"), "--port", broker.port, "--count", 1, "--json", "--alert", alert)
    for which in (other, alert):
        assert run(env, "raise", *who("ann"), "--port", broker.port, "--id", which).returncode == 0
    code, out, _ = tail.end()
    line = json.loads(out)
    assert code == 0 and line["topic"] == f"mayday/v1/acme/alert/{alert}/raise"
    assert line["payload"]["type"] == "panic" and line["retained"] is False


def jwt(claims):
    """Not signed: for brokers that compare it as a password."""
    parts = [json.dumps(p).encode() for p in ({"alg": "none"}, claims)] + [b"sig"]
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts)


def guarded_broker(folder, name, password, filters):
    """A broker whose own access plugin lets `name` subscribe to exactly these filters."""
    plugins = list(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"))
    if not plugins:
        pytest.skip("Mosquitto came without its dynamic security plugin")
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101, 64)
    acls = [{"acltype": "subscribeLiteral", "topic": f, "priority": 0, "allow": True} for f in filters]
    config = folder / "security.json"
    config.write_text(json.dumps({
        "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": False,
                             "unsubscribe": True},
        "clients": [{"username": name, "salt": base64.b64encode(salt).decode(), "iterations": 101,
                     "password": base64.b64encode(digest).decode(), "roles": [{"rolename": "some"}]}],
        "roles": [{"rolename": "some", "acls": acls}]}))
    config.chmod(0o600)
    return Broker(folder / "guarded", f"plugin {plugins[0]}\nplugin_opt_config_file {config}").start()


@pytest.mark.parametrize("version", [[], ["--v311"]])
@pytest.mark.parametrize("granted", [
    ["alert/+/raise", "user/+/location", "user/+/inbox", "user/dora/check", "role/officer/broadcast"],
    ["user/dora/inbox"],  # a single one, and last
    [],
])
def test_tail_falls_back_to_what_is_granted(tmp_path, env, version, granted):
    filters = [f"mayday/v1/acme/{f}" for f in granted]
    token = tmp_path / "token"
    token.write_text(jwt({"sub": "dora", "org": "acme", "roles": ["officer", "member"]}))
    b = guarded_broker(tmp_path, "dora", token.read_text(), filters)
    args = ["--token-file", token, "--port", b.port, "--for", "100ms", *version]
    try:
        if filters:
            tail = Tail(env, *args)
            assert tail.listening.split(" to ")[1].split() == filters
            assert tail.end()[0] == 0
        else:
            done = run(env, "tail", *args)
            assert done.returncode == 1 and "may read nothing" in done.stderr
    finally:
        b.stop()


def test_a_refused_connection_says_so(tmp_path, env):
    b = guarded_broker(tmp_path, "dora", "another", [])
    try:
        for version in ([], ["--v311"]):
            for command in (["raise"], ["tail"]):
                done = run(env, *command, *who("dora"), "--port", b.port, *version)
                assert done.returncode == 1 and "refused the connection: not authorised" in done.stderr, done
        done = run(env, "sim", "--people", 2, "--seconds", "200ms", "--drain", "200ms", "--json", "--port", b.port)
        assert done.returncode == 1 and "may not connect: not authorised" in json.loads(done.stdout)["first_refusal"]
    finally:
        b.stop()


def test_tail_ends_cleanly_when_interrupted_and_survives_a_restart(broker, env):
    tail = Tail(env, *who("dora"), "--port", broker.port)
    broker.stop()
    assert "trying again" in tail.process.stderr.readline()
    broker.start()
    deadline = time.monotonic() + PATIENCE
    seen = None
    while not seen and time.monotonic() < deadline:
        assert run(env, "raise", *who("ann"), "--port", broker.port).returncode == 0
        os.set_blocking(tail.process.stdout.fileno(), False)
        seen = tail.process.stdout.readline()
    os.set_blocking(tail.process.stdout.fileno(), True)
    assert seen and "raise" in seen
    tail.process.send_signal(signal.SIGINT)
    assert tail.end()[0] == 0


def test_sim_sends_valid_messages_and_repeats_its_paths(broker, env):
    def walk(seed):
        broker.stop()
        broker.start()
        (broker.folder / "mosquitto.db").unlink(missing_ok=True)
        with Listener(broker.port, "mayday/v1/#") as listener:
            done = run(env, "sim", "--people", 3, "--rate", 20, "--seconds", "1s", "--seed", seed, "--json",
                       "--port", broker.port)
            assert done.returncode == 0, done.stderr
            summary = json.loads(done.stdout)
            assert summary["sent"] == summary["acked"] > 20 and summary["unacked"] == summary["refused"] == 0
            messages = [listener.next() for _ in range(summary["acked"])]
        for topic, body in messages:
            assert_valid(topic, body)
            assert re.fullmatch(r"mayday/v1/demo/user/walker-000[123]/location", topic)
        return {(t, round(m["battery"])) for t, m in messages}

    assert walk(5) == walk(5)
    assert walk(5) != walk(6)


def test_sim_plays_the_panic_to_its_end(broker, env):
    with Listener(broker.port, "mayday/v1/#") as listener:
        done = run(env, "sim", "--people", 2, "--seconds", 8, "--raise-after", "500ms", "--json", "--port", broker.port)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        messages = [listener.next() for _ in range(summary["acked"])]
    leaves = [t.rsplit("/", 1)[1] for t, _ in messages if f"/alert/{summary['alert']}/" in t]
    assert leaves[0] == "raise" and leaves.count("raise") == 1
    assert leaves.count("chat") == 4 and leaves.count("action") == 2 and "location" in leaves
    for topic, body in messages:
        assert_valid(topic, body)
    for sentence in ("raises a panic", "the dispatcher sees it", "heard: the broker acknowledged", "resolves"):
        assert sentence in done.stderr


@pytest.mark.parametrize("version", [[], ["--v311"]])
def test_sim_loses_nothing_when_the_broker_restarts(broker, env, version):
    with Listener(broker.port, "mayday/v1/demo/#") as listener:
        sim = subprocess.Popen([MAYDAY, "sim", "--people", "100", "--rate", "5", "--seconds", "10", "--json", "--port",
                                str(broker.port), *version], env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        ids, latest = set(), None
        for _ in range(200):  # it is well under way
            ids.add(listener.next()[1]["id"])
        broker.stop()
        broker.start()
        out, err = sim.communicate(timeout=PATIENCE * 2)
        summary = json.loads(out)
        assert sim.returncode == 0, err
        assert summary["reconnects"] == 100 and summary["unacked"] == 0 and summary["dropped"] == 0, err
        assert summary["sent"] == summary["acked"]
        offline = 0
        while len(ids) < summary["acked"]:
            latest = listener.next()[1]
            offline += latest.get("offline", False)
            ids.add(latest["id"])
    assert len(ids) == summary["acked"], "every acknowledged message arrived, and none under a new id"
    assert offline > 0, "what was said while the broker was away is marked"


def unread_bytes(port):
    """What the kernel holds for a server on 127.0.0.1 that does not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(r[4].split(":")[1], 16) for r in rows if r[1].endswith(f":{port:04X}") and r[3] == "01")


@pytest.mark.parametrize("version", [[], ["--v311"]])
def test_sim_sends_again_what_was_under_way_when_the_broker_was_killed(broker, env, version):
    with Listener(broker.port, "mayday/v1/demo/#") as listener:
        sim = subprocess.Popen([MAYDAY, "sim", "--people", "50", "--rate", "5", "--seconds", "8", "--json", "--port",
                                str(broker.port), *version], env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        ids = {listener.next()[1]["id"] for _ in range(100)}
        broker.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE
        while unread_bytes(broker.port) < 2000:
            assert time.monotonic() < deadline, "nothing is under way"
            time.sleep(0.02)
        broker.process.kill()
        broker.stop()
        broker.start()
        out, err = sim.communicate(timeout=PATIENCE * 2)
        summary = json.loads(out)
        assert sim.returncode == 0, out + err
        assert summary["resent"] > 0 and summary["unacked"] == 0 and summary["sent"] == summary["acked"], out
        while not listener.messages.empty():
            ids.add(listener.next()[1]["id"])
        assert len(ids) <= summary["sent"], "what is sent again keeps its id"


BROKEN = [  # what is done to a good site, the check that must notice, and a word of what it says
    ("configuration", "FAIL", "no key 'x'", lambda s: s.conf("[nowhere]\nx = 1\n")),
    ("keys", "FAIL", "cannot be read", lambda s: s.keys.unlink()),
    ("keys", "FAIL", "keys.json", lambda s: s.keys.write_text("{}")),
    ("secrets", "FAIL", "keys.json holds signing keys", lambda s: s.keys.chmod(0o644)),
    ("secrets", "FAIL", "signing-keys.json", lambda s: (s.keys.parent / "signing-keys.json").chmod(0o644)),
    ("secrets", "FAIL", "can be changed", lambda s: s.policy.chmod(0o666)),
    ("secrets", "FAIL", "password", lambda s: s.conf("[database]\nwriter = host=127.0.0.1 port=1 password=x\n", 0o644)),
    ("policy", "FAIL", "line 2", lambda s: s.policy.write_text("role member\n  fly mayday/v1/{org}/x\n")),
    ("policy", "FAIL", "cannot be read", lambda s: s.policy.unlink()),
    ("schemas", "FAIL", "chat.json", lambda s: (s.schemas / "chat.json").write_text("{")),
    ("texts", "FAIL", "en.json: malformed", lambda s: (s.schemas / "texts/en.json").write_text("{")),
    ("texts", "FAIL", '"raise.sms": a fact', lambda s: s.reword("af", "raise.sms", "{hoe}")),
    ("texts", "FAIL", "No such file", lambda s: shutil.rmtree(s.schemas / "texts")),
    ("texts", "FAIL", "[notify] lang is 'fr'", lambda s: s.conf("[notify]\nlang = fr\n")),
    ("texts", "warn", "'af' lacks 1 that 'en' has: raise.sms", lambda s: s.reword("af", "raise.sms", None)),
    ("state", "FAIL", "No such file", lambda s: s.state.rmdir()),
    ("database", "FAIL", "cannot be reached", lambda s: None),
    ("broker", "FAIL", "no broker", lambda s: None),
]


class Site:
    def __init__(self, folder, keys):
        self.keys, self.policy, self.schemas, self.state = keys, folder / "policy", folder / "schemas", folder / "state"
        self.path = folder / "doctor.conf"
        self.policy.write_text("role member\n    publish mayday/v1/{org}/alert/+/raise\n")
        self.state.mkdir()
        shutil.copytree(Path(__file__).parents[2] / "schemas", self.schemas)
        self.conf("[database]\nwriter = host=127.0.0.1 port=1 dbname=none\n")

    def reword(self, lang, name, words):
        file = self.schemas / f"texts/{lang}.json"
        texts = json.loads(file.read_text())
        texts.pop(name)
        file.write_text(json.dumps({**texts, **({name: words} if words else {})}))

    def conf(self, more, mode=0o600):
        self.path.write_text(f"[node]\nstate_dir = {self.state}\n[token]\nkeys_file = {self.keys}\n[access]\n"
                             f"policy_file = {self.policy}\n[messages]\nschema_dir = {self.schemas}\n[journal]\n"
                             f"dir = {self.state}/journal\n{more}")
        self.path.chmod(mode)


def findings(env, site, port):
    done = run({**env, "MAYDAY_CONF": str(site.path)}, "doctor", "--json", "--port", port)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    assert report["ok"] == (report["fails"] == 0)
    assert report["fails"] == sum(f["finding"] == "FAIL" for f in report["findings"])
    return report["findings"]


@pytest.mark.parametrize("check,finding,word,breaking", BROKEN, ids=[f"{b[0]}-{b[2]}" for b in BROKEN])
def test_doctor_names_the_fault_and_the_remedy(tmp_path, env, keys, check, finding, word, breaking):
    site = Site(tmp_path, keys)
    port = free_port()
    if check not in ("database", "broker"):
        healthy = [f for f in findings(env, site, port) if f["check"] == check]
        assert all(f["finding"] != finding for f in healthy), healthy
    breaking(site)
    broken = [f for f in findings(env, site, port) if f["check"] == check and f["finding"] == finding]
    assert any(word in f["what"] and f["remedy"] for f in broken), broken


def test_doctor_notices_a_broker_that_lets_anybody_in(tmp_path, env, keys, broker):
    said = [f for f in findings(env, Site(tmp_path, keys), broker.port) if f["check"] == "broker"]
    assert said[0]["finding"] == "FAIL" and "lets in who has no token" in said[0]["what"]


def test_doctor_finds_a_guarded_broker_in_order(tmp_path, env, keys):
    b = Broker(tmp_path / "broker", "allow_anonymous false").start()
    try:
        said = [f for f in findings(env, Site(tmp_path, keys), b.port) if f["check"] == "broker"]
        assert said[0]["finding"] == "ok"
        assert said[1]["finding"] == "FAIL" and "not accepted" in said[1]["what"]  # it knows nothing of our keys
    finally:
        b.stop()


@pytest.mark.parametrize("command", ["raise", "tail", "sim", "doctor", "alert", "check", "person", "room"])
def test_help_names_every_option(env, command):
    help_text = run(env, command, "--help").stdout
    source = (Path(__file__).parents[2] / "tools" / "mayday" / f"{command}.c").read_text()
    shared = (Path(__file__).parents[2] / "tools" / "mayday" / "link.h").read_text()
    options = re.findall(r'\{"([a-z0-9-]+)", (?:no|required)_argument', source)
    if "LINK_WHO_OPTIONS" in source:
        options += re.findall(r'\{"([a-z0-9-]+)", (?:no|required)_argument', shared)
    assert len(options) >= 2
    for option in options:
        assert f"--{option} " in help_text or f"--{option}\n" in help_text, option
