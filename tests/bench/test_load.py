"""The load generators print a figure only when everything happened: they are run against a broker and a server made of a few bytes
that answer badly, and, where Mosquitto is installed, against the real one."""
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness.phones import Provider  # noqa: E402
from harness.rows import texts  # noqa: E402
from harness.servers import Broken  # noqa: E402

LOAD, HTTP = os.environ["BENCH_LOAD"], os.environ["BENCH_HTTP"]
MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
CONNACK = b"\x20\x02\x00\x00"
CONNACK_5 = b"\x20\x03\x00\x00\x00"


def run(mode, port, *options):
    return subprocess.run([LOAD, mode, "--port", str(port), *options], capture_output=True, text=True, timeout=60)


class Fake:
    """Accepts connections; `answer(kind, body)` gives the bytes for each packet, None closes. Answers leave one byte
    at a time, so that none arrives whole."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _take(self, stream):
        """What answer() is asked, or None at the end."""
        first = stream.read(1)
        if not first:
            return None
        length = shift = 0
        while True:
            byte = stream.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return first[0] >> 4, stream.read(length)

    def _serve(self, peer):
        stream = peer.makefile("rb")
        try:
            with peer:
                while asked := self._take(stream):
                    reply = self.answer(*asked)
                    if reply is None:
                        return
                    for i in range(len(reply)):
                        peer.sendall(reply[i:i + 1])
        except OSError:
            pass  # the generator has given up, as it should

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def packet_id(body):
    """Of a QoS 1 PUBLISH."""
    topic = struct.unpack(">H", body[:2])[0]
    return body[2 + topic:4 + topic]


def honest(kind, body):
    if kind == 3:
        return b"\x40\x02" + packet_id(body)
    return CONNACK if kind == 1 else None


def test_answers_that_arrive_in_pieces_are_understood():
    with Fake(honest) as broker:
        done = run("publish", broker.port, "--connections", "3", "--window", "4", "--count", "50")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["sent"], result["acked"], result["refused"]) == (50, 50, 0)
    assert result["latency_us"]["count"] == 50


@pytest.mark.parametrize("options, connack, sentence", [
    ([], b"\x20\x02\x00\x05", "not authorised (code 5)"),
    ([], b"\x20\x02\x00\x02", "client id rejected (code 2)"),
    (["--v5"], b"\x20\x03\x00\x87\x00", "not authorised (code 135)"),
    (["--v5"], b"\x20\x03\x00\x97\x00", "quota exceeded (code 151)"),
])
@pytest.mark.parametrize("mode", ["publish", "connect"])
def test_a_refusal_ends_the_run_with_its_reason(mode, options, connack, sentence):
    with Fake(lambda kind, body: connack) as broker:
        done = run(mode, broker.port, "--count", "1", *options)
    assert done.returncode == 1 and done.stdout == ""
    assert sentence in done.stderr


@pytest.mark.parametrize("answer, sentence", [
    (lambda kind, body: CONNACK if kind == 1 else b"", "never acknowledged"),
    (lambda kind, body: CONNACK if kind == 1 else None, "closed the connection"),
    (lambda kind, body: None, "without answering CONNECT"),
    (lambda kind, body: CONNACK if kind == 1 else b"\x40\x02\x70\x70", "was not expected"),
    (lambda kind, body: b"\x20\xff\xff\xff\xff\xff", "no MQTT packet"),
])
def test_a_broker_that_fails_its_promise_gives_no_figure(answer, sentence):
    with Fake(answer) as broker:
        done = run("publish", broker.port, "--connections", "1", "--count", "5", "--patience", "0.3")
    assert done.returncode == 1 and done.stdout == ""
    assert sentence in done.stderr


def test_refused_messages_are_counted_in_mqtt_5():
    def answer(kind, body):
        return CONNACK_5 if kind == 1 else b"\x40\x04" + packet_id(body) + b"\x87\x00" if kind == 3 else None

    with Fake(answer) as broker:
        done = run("publish", broker.port, "--v5", "--connections", "1", "--count", "7")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refused"] == 7


def test_nobody_listening_is_said_plainly():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    done = run("publish", port, "--count", "1")
    assert done.returncode == 1 and "cannot connect" in done.stderr


@pytest.mark.parametrize("content, sentence", [
    ("one\ttopic\n", "line 1: expected client id, topic and token"),
    ("one\ttopic\ttoken\n", "holds 1 people, 2 are needed"),
])
def test_a_bad_crowd_file_is_named(tmp_path, content, sentence):
    crowd = tmp_path / "crowd"
    crowd.write_text(content)
    done = run("publish", 1, "--connections", "2", "--credentials", str(crowd))
    assert done.returncode == 1 and sentence in done.stderr


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    if not MOSQUITTO:
        pytest.skip("there is no mosquitto here")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    conf = tmp_path_factory.mktemp("broker") / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n")
    process = subprocess.Popen([MOSQUITTO, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ready = run("first", port)  # waits until it listens and acknowledges
        assert ready.returncode == 0, ready.stderr
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("version", [[], ["--v5"]], ids=["3.1.1", "5"])
@pytest.mark.parametrize("mode, options, check", [
    ("publish", ["--count", "2000"], lambda r: r["acked"] == 2000 and r["refused"] == 0),
    ("publish", ["--seconds", "0.5", "--rate", "1000"], lambda r: 0 < r["acked"] <= 501),
    ("alert", ["--count", "20", "--rate", "200"],
     lambda r: r["puback_us"]["count"] == 20 and r["heard_us"]["count"] == 20),
    ("fanout", ["--count", "50", "--connections", "20"], lambda r: r["delivered"] == 1000),
    ("fanout", ["--count", "50", "--connections", "20", "--qos", "1"], lambda r: r["delivered"] == 1000),
    ("connect", ["--count", "100"], lambda r: r["cycles"] == 100),
])
def test_every_mode_counts_what_happened(broker, version, mode, options, check):
    done = run(mode, broker[1], *options, *version)
    assert done.returncode == 0, done.stderr
    assert check(json.loads(done.stdout)), done.stdout


def test_idle_sessions_are_weighed(broker):
    process, port = broker
    done = run("idle", port, "--connections", "300", "--pid", str(process.pid))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["sessions"] == 300 and result["resident_after"] > 0


# ---- HTTP

class FakeServer(Fake):
    """Likewise for HTTP: `answer(request)`."""

    def _take(self, stream):
        lines = []
        while (line := stream.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return (b"".join(lines),) if lines else None


ASKED = b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n"
YES = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX-More: 1\r\n\r\nyes"


def ask(folder, port, requests, *patience):
    path = folder / "requests"
    path.write_bytes(b"".join(b"%d\n%b" % (len(one), one) for one in requests))
    return subprocess.run([HTTP, str(port), "3", str(path), *patience], capture_output=True, text=True, timeout=60)


def test_every_request_is_sent_once_and_every_answer_counted(tmp_path):
    asked, lock = [], threading.Lock()

    def answer(request):
        with lock:
            asked.append(request.split()[1])
            return YES if len(asked) % 2 else b"HTTP/1.1 204 No Content\r\n\r\n"

    with FakeServer(answer) as server:
        done = ask(tmp_path, server.port, [ASKED % i for i in range(20)])
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["answers"] == 20 and result["statuses"] == {"200": 10, "204": 10} and result["latency_us"]["count"] == 20
    assert sorted(asked) == sorted(b"/%d" % i for i in range(20))


@pytest.mark.parametrize("answer, sentence", [
    (lambda request: b"", "never answered"),
    (lambda request: YES[:-1], "never answered"),
    (lambda request: None, "closed a connection"),
    (lambda request: b"nonsense, and more\r\n\r\n", "no HTTP"),
    (lambda request: b"HTTP/1.1 200 OK\r\n\r\n", "does not say how long"),
])
def test_a_server_that_does_not_answer_gives_no_figure(tmp_path, answer, sentence):
    with FakeServer(answer) as server:
        done = ask(tmp_path, server.port, [ASKED % 1], "0.3")
    assert done.returncode == 1 and done.stdout == ""
    assert sentence in done.stderr


def test_the_provider_notes_each_text_and_when_it_came(tmp_path):
    before = time.monotonic_ns()
    with Provider(str(tmp_path / "provider")) as provider:
        n = SimpleNamespace(provider=provider)
        done = ask(tmp_path, provider.port, [texts.request(n, i) for i in range(30)])
        assert json.loads(done.stdout)["statuses"] == {"201": 30}, done
        came = provider.take()
        provider.is_content()
        assert provider.take() == []
        assert texts.rate_of(came, 30) > 0
        assert all(before < at < time.monotonic_ns() for at, _ in came)
        with pytest.raises(Broken):  # one is missing
            texts.rate_of(came[1:], 30)
        with pytest.raises(Broken):  # one came twice
            texts.rate_of(came[1:] + came[1:2], 30)
        ask(tmp_path, provider.port, [texts.request(n, 1).replace(b"Basic ", b"Basic x")])
        with pytest.raises(Broken, match="credentials"):
            provider.is_content()
