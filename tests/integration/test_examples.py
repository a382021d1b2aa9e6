"""The clients of examples/, run as they stand against a whole site: what the guide for client developers promises, other makers' libraries do."""
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from support import messages as m
from support.site import BUILD, ROOT, wait_until

EXAMPLES = ROOT / "examples"


class Phone:
    """One of the examples as a process: we type, and read its lines."""

    def __init__(self, command, who, env=None, cwd=None):
        self.lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd,
                                        env={**os.environ, "TOKEN": m.token(who), **(env or {})})
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self, beginning):
        return wait_until(lambda: next((x for x in self.lines if x.startswith(beginning)), None), f"the phone prints '{beginning}': {self.lines}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            try:
                self.type("quit")
                self.process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


@pytest.fixture(scope="module")
def javascript():
    """The JavaScript phone with the packages its lock file names, installed once into a folder of the build."""
    if not shutil.which("npm"):
        pytest.skip("node and npm are needed (Debian: nodejs, npm)")
    source, folder = EXAMPLES / "javascript", BUILD / "example-phone"
    lock, installed = (source / "package-lock.json").read_bytes(), folder / "installed"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "phone.mjs"):
        if (source / name).exists():
            shutil.copy(source / name, folder)
    if not installed.exists() or installed.read_bytes() != lock:
        subprocess.run(["npm", "ci"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        installed.write_bytes(lock)
    return folder


@pytest.fixture
def phone(site, request, tmp_path):
    def make(language, who):
        if language == "python":
            return Phone(["/usr/bin/python3", str(EXAMPLES / "python" / "phone.py"), "--store", str(tmp_path / f"{who}.db"),
                          "--port", str(site.port)], who)
        folder = request.getfixturevalue("javascript")
        return Phone(["node", "phone.mjs", f"ws://127.0.0.1:{site.ws_port}"], who, {"STORE": str(tmp_path / f"{who}.json")}, folder)

    return make


def act(dispatcher, alert, **members):
    assert dispatcher.publish(m.topic("alert", alert, "action"), m.dump(m.message(**members))) in (0, 0x10)


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_phone_raises_sees_its_receipts_talks_and_is_resolved(site, gateway, phone, language):
    who, boss = f"ex-{language}", f"dora-{language}"
    with site.client(boss, ["dispatcher"], version=5) as dora, phone(language, who) as ann:
        dora.subscribe("mayday/v1/acme/alert/+/chat")
        ann.line("connected")
        ann.type("raise panic somebody is at the door")
        alert = ann.line("alert").split()[1]
        assert "received stored" in ann.line("state 1 active")
        act(dora, alert, action="acknowledge")
        assert "acknowledged" in wait_until(lambda: next((x for x in ann.lines if " acknowledged " in x), None), "the phone sees who answers")
        ann.type("chat he is gone now")
        assert json.loads(dora.receive().payload)["text"] == "he is gone now"
        assert dora.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("stay inside"))) in (0, 0x10)
        ann.line("chat stay inside")
        act(dora, alert, action="resolve")
        wait_until(lambda: any(" resolved " in x for x in ann.lines), "the phone sees the end")


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_phone_answers_a_check(site, gateway, phone, language):
    who = f"check-{language}"
    with site.client(f"dan-{language}", ["dispatcher"], version=5) as dan, phone(language, who) as ann:
        dan.subscribe(f"mayday/v1/acme/user/{who}/reply")
        ann.line("connected")
        asked = m.message(text="Are you OK?", reason="dispatch", respond_within=600)
        assert dan.publish(m.topic("user", who, "check"), m.dump(asked)) in (0, 0x10)
        ann.line("check Are you OK?")
        assert json.loads(dan.receive().payload)["check"] == asked["id"]


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_phone_that_was_away_sends_what_it_queued_and_catches_up(site, gateway, phone, language):
    who, boss = f"away-{language}", f"dirk-{language}"
    with site.client(boss, ["dispatcher"], version=5) as dirk:
        with phone(language, who) as ann:
            ann.line("caught up")
            ann.type("raise medical")
            alert = ann.line("alert").split()[1]
            ann.line("state 1")
        assert dirk.publish(m.topic("alert", alert, "chat"), m.dump(m.chat("we are coming"))) in (0, 0x10)
        act(dirk, alert, action="acknowledge")
        site.stop()  # the phone is switched on where there is no broker
        with phone(language, who) as ann:
            ann.type("chat the door is open")
            ann.line("kept chat")
            site.start()
            ann.line("connected")
            ann.line("chat we are coming")
            ann.line("caught up")
            site.wait_rows("SELECT offline FROM mayday.chat WHERE alert = %s AND text = 'the door is open'", [(True,)], [alert])


def test_a_button_made_of_mosquitto_pub(site, gateway):
    env = {"MQTT_PORT": str(site.port)}
    with Phone([str(EXAMPLES / "shell" / "phone.sh"), "fire", "in the barn"], "button", env) as button, \
            site.client("dave", ["dispatcher"], version=5) as dave:
        alert = button.line("heard").split()[1]
        button.line("state 1 active")
        act(dave, alert, action="acknowledge")
        act(dave, alert, action="resolve")
        wait_until(lambda: any("resolved" in x for x in button.lines), "the button sees the end")
        button.process.wait(20)
    assert button.process.returncode == 0
