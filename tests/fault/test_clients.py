"""Clients of other makers, as people use them, over TCP and WebSocket, in MQTT 3.1.1 and 5; and devices whose clocks are wrong."""
import json
import queue
import shutil
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from support import messages as m
from support.site import BUILD, wait_until

PROTOCOLS = {"3.1.1": ("mqttv311", paho.MQTTv311), "5": ("mqttv5", paho.MQTTv5)}


class Paho:
    """Paho's Python client; what arrives is in `came`."""

    def __init__(self, site, sub, roles, protocol, transport, token=None):
        self.came, self.answers = queue.Queue(), queue.Queue()
        self.client = paho.Client(sub, protocol=PROTOCOLS[protocol][1], transport=transport)
        self.client.username_pw_set("u", token or m.token(sub, roles=roles))
        self.client.on_connect = lambda c, u, flags, code, properties=None: self.answers.put(int(getattr(code, "value", code)))
        self.client.on_message = lambda c, u, message: self.came.put((message.topic, json.loads(message.payload), message.qos))
        self.client.on_subscribe = lambda c, u, mid, granted, properties=None: self.answers.put([int(getattr(g, "value", g)) for g in granted])
        self.client.connect("127.0.0.1", site.ws_port if transport == "websockets" else site.port)
        self.client.loop_start()
        self.connected = self.answers.get(timeout=20)

    def subscribe(self, topic, qos=1):
        self.client.subscribe(topic, qos)
        assert self.answers.get(timeout=20) == [qos]

    def publish(self, topic, body, qos=1):
        sent = self.client.publish(topic, m.dump(body), qos)
        sent.wait_for_publish(20)
        assert sent.is_published()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("qos", [1, 2])
def test_paho_raises_an_alert_and_talks_about_it(site, protocol, transport, qos):
    alert, raised, chat = m.uuid7(), m.raise_(text="paho"), m.chat("on my way", lang="en")
    with Paho(site, "dora", ["dispatcher"], protocol, transport) as dora, Paho(site, "ann", ["member"], protocol, transport) as ann:
        assert (dora.connected, ann.connected) == (0, 0)
        dora.subscribe("mayday/v1/acme/alert/#", qos)
        ann.subscribe("mayday/v1/acme/alert/+/chat", qos)
        ann.publish(m.topic("alert", alert, "raise"), raised, qos)
        assert dora.came.get(timeout=20) == (m.topic("alert", alert, "raise"), raised, qos)
        dora.publish(m.topic("alert", alert, "chat"), chat, qos)
        assert ann.came.get(timeout=20) == (m.topic("alert", alert, "chat"), chat, qos)
    site.wait_rows("SELECT sender, text FROM mayday.raise WHERE id = %s", [("ann", "paho")], [raised["id"]])
    site.wait_rows("SELECT sender, text FROM mayday.chat WHERE id = %s", [("dora", "on my way")], [chat["id"]])


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_paho_is_told_that_its_token_is_no_good(site, protocol, transport):
    with Paho(site, "eve", ["member"], protocol, transport, m.token("eve", ttl=-60)) as eve:
        assert eve.connected == (5 if protocol == "3.1.1" else 0x87)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_paho_is_told_which_message_was_refused(site, protocol):
    with Paho(site, "fay", ["member"], protocol, "tcp") as fay:
        fay.subscribe("mayday/v1/acme/user/fay/rejected")
        bad = m.location(lat=91)
        fay.publish(m.topic("user", "fay", "location"), bad)
        topic, told, _ = fay.came.get(timeout=20)
        assert (topic, told["id"], told["code"]) == (m.topic("user", "fay", "rejected"), bad["id"], "invalid")


def arguments(site, program, protocol, who, roles):
    return [program, "-h", "127.0.0.1", "-p", str(site.port), "-V", PROTOCOLS[protocol][0], "-i", who, "-u", who, "-P", m.token(who, roles=roles)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_s_own_tools(site, protocol, qos):
    who, sent = f"cli-{protocol}-{qos}", m.raise_(text="from a shell")
    topic = m.topic("alert", m.uuid7(), "raise")
    listening = subprocess.Popen([*arguments(site, "mosquitto_sub", protocol, f"dora-{who}", ["dispatcher"]), "-t", "mayday/v1/acme/alert/#",
                                  "-q", qos, "-C", "1", "-W", "20", "-F", "%t %q %p"], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: f"Sending SUBACK to dora-{who}" in site.log(), "the listener has subscribed")
        subprocess.run([*arguments(site, "mosquitto_pub", protocol, who, ["member"]), "-t", topic, "-q", qos, "-m", m.dump(sent)], check=True,
                       timeout=20)
        heard = listening.communicate(timeout=20)[0].rstrip("\n").split(" ", 2)
    finally:
        listening.kill()
        listening.wait()
    assert heard[:2] == [topic, qos] and json.loads(heard[2]) == sent
    site.wait_rows("SELECT sender, text FROM mayday.raise WHERE id = %s", [(who, "from a shell")], [sent["id"]])


def test_mosquitto_pub_says_why_it_may_not_come_in(site):
    done = subprocess.run(["mosquitto_pub", "-p", str(site.port), "-i", "eve", "-u", "eve", "-P", "letmein", "-t", "x", "-m", "y", "-q", "1"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "not authorised" in done.stderr


def test_mosquitto_pub_streams_lines_and_each_is_stored_once(site):
    sent = [m.location() for _ in range(500)]
    subprocess.run([*arguments(site, "mosquitto_pub", "5", "walker", ["member"]), "-t", m.topic("user", "walker", "location"), "-q", "1", "-l"],
                   input="".join(m.dump(each) + "\n" for each in sent), text=True, check=True, timeout=30)
    wait_until(lambda: {r[0] for r in site.rows("SELECT id::text FROM mayday.location WHERE sender = 'walker'")} == {s["id"] for s in sent},
               "every line is stored")


@pytest.fixture(scope="module")
def talk():
    """MQTT.js as its lock file names it, installed once into a folder of the build."""
    if not shutil.which("npm"):
        pytest.skip("node and npm are needed (Debian: nodejs, npm)")
    source, folder = Path(__file__).parent / "mqttjs", BUILD / "mqttjs"
    lock, installed = (source / "package-lock.json").read_bytes(), folder / "installed"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "talk.mjs"):
        shutil.copy(source / name, folder)
    if not installed.exists() or installed.read_bytes() != lock:
        subprocess.run(["npm", "ci"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        installed.write_bytes(lock)

    def run(task):
        done = subprocess.run(["node", "talk.mjs"], cwd=folder, input=json.dumps(task), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("transport", ["mqtt", "ws"])
@pytest.mark.parametrize("version", [4, 5])
def test_mqtt_js_as_browsers_use_it(site, talk, transport, version):
    alert, who, raised = m.uuid7(), f"js-{transport}-{version}", m.raise_(text="from a browser")
    sent = [{"topic": m.topic("alert", alert, "raise"), "payload": m.dump(raised)},
            {"topic": m.topic("alert", alert, "chat"), "payload": m.dump(m.chat("\U0001F198 here"))}]
    port = site.ws_port if transport == "ws" else site.port
    came = talk({
        "url": f"{transport}://127.0.0.1:{port}", "protocolVersion": version,
        "listener": {"id": f"dora-{who}", "token": m.token(f"dora-{who}", roles=["dispatcher"]), "filter": "mayday/v1/acme/alert/#"},
        "speaker": {"id": who, "token": m.token(who), "messages": sent},
    })
    assert came == sent
    site.wait_rows("SELECT sender, text FROM mayday.raise WHERE id = %s", [(who, "from a browser")], [raised["id"]])
    site.wait_rows("SELECT text FROM mayday.chat WHERE alert = %s", [("\U0001F198 here",)], [alert])


@pytest.mark.parametrize("hours", [-1, 1, -24 * 400])
def test_a_device_s_clock_is_kept_as_sent_and_ours_stands_beside_it(site, hours):
    begun, theirs = time.time(), time.time() + 3600 * hours
    sent = m.location(at=theirs)
    with site.client("skew") as skew:
        assert skew.publish(m.topic("user", "skew", "location"), m.dump(sent)) == 0
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], [sent["id"]])
    at, received = site.rows("SELECT at, received_at FROM mayday.location WHERE id = %s", [sent["id"]])[0]
    assert m.moment(at.timestamp()) == sent["ts"]
    assert begun - 1 <= received.timestamp() <= time.time() + 1


def test_a_wrong_clock_does_not_change_who_is_first(site):
    """An hour's error on the raiser's watch: the incident still opens, and chat in it is stored beside it."""
    alert, raised, chat = m.uuid7(), m.raise_(at=time.time() + 3600), m.chat("late clock", at=time.time() - 3600)
    with site.client("skew2") as skew:
        assert skew.publish(m.topic("alert", alert, "raise"), m.dump(raised)) == 0
        assert skew.publish(m.topic("alert", alert, "chat"), m.dump(chat)) == 0
    site.wait_rows("SELECT status, raised_by FROM mayday.alert WHERE id = %s", [("active", "skew2")], [alert])
    site.wait_rows("SELECT text FROM mayday.chat WHERE alert = %s", [("late clock",)], [alert])
