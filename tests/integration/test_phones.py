"""tools/phones as tools/up and its reader use it: a process of its own, spoken to by commands."""
import base64
import json
import os
import signal
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest

from support.site import ROOT, free_port, wait_until

PHONES, NORA = ROOT / "tools" / "phones", "+27821110001"
TWIML = "<Response><Gather numDigits='1' action='{}/hooks/twilio/key'><Say>Wake up.</Say></Gather></Response>"


class Desk:
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.public = f"http://127.0.0.1:{free_port()}"
        self.out = folder / "out"
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([PHONES, "serve", "--folder", folder / "phones", "--port", str(self.port), "--public-url",
                                             self.public, "--name", f"{NORA}=nora"], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        wait_until(lambda: "answer on" in self.out.read_text(), "the phones are there")
        self.secrets = json.loads((folder / "phones" / "accounts.json").read_text())

    def __call__(self, *words, code=0):
        done = subprocess.run([PHONES, *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PHONES_URL": f"http://127.0.0.1:{self.port}"})
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def post(self, what, **form):
        account, token = self.secrets["twilio"]
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/2010-04-01/Accounts/{account}/{what}.json",
                                         urllib.parse.urlencode({"To": NORA, "From": "+27600100200", **form}).encode(),
                                         {"Authorization": "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()})
        with urllib.request.urlopen(request, timeout=20) as got:
            return json.loads(got.read())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    if made.process.poll() is None:
        made.stop()


def test_texts_and_calls_are_printed_and_keys_pressed(desk):
    with socket.create_server(("127.0.0.1", int(desk.public.rsplit(":", 1)[1]))) as ours:
        desk.post("Messages", Body="Ann pressed panic", StatusCallback=desk.public + "/hooks/twilio/status")
        ours.settimeout(20)
        heard, _ = ours.accept()
        assert heard.recv(4000).startswith(b"POST /hooks/twilio/status HTTP/1.1"), "receipts go to the public address"
        heard.close()
    desk.post("Calls", Twiml=TWIML.format(desk.public))
    desk("press", NORA, "1")
    wait_until(lambda: "presses 1" in desk.out.read_text(), "the key was pressed")
    lines = desk.out.read_text()
    assert "nora's phone (+27821110001) text by twilio: Ann pressed panic" in lines and "hears: Wake up." in lines
    listed = desk("list")
    assert "text by twilio: Ann pressed panic" in listed and "pressed ['1']" in listed
    assert desk("violations") == "none\n"


def test_numbers_are_scripted_and_violations_are_told(desk):
    desk("script", NORA, "provider=twilio", "http=503", "times=1")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        desk.post("Messages", Body="x")
    desk("script", NORA, "kind=voice", "keys=-,1")
    desk("forget")
    assert "there is no nonsense" in desk("script", NORA, "nonsense=1", code=1)
    assert "nobody has written yet" not in desk("list")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        desk.post("Messages", Body="")
    assert "Body is missing" in desk("violations", code=1)


def test_the_accounts_outlive_it_and_the_settings_are_a_gateways(desk, tmp_path):
    settings = (tmp_path / "phones" / "phones.conf").read_text()
    assert f"url = http://127.0.0.1:{desk.port}\n" in settings and f"public_url = {desk.public}\n" in settings
    for name in ("accounts.json", "twilio.token", "vonage.pem"):
        assert (tmp_path / "phones" / name).stat().st_mode & 0o77 == 0
    desk.stop()
    again = Desk(tmp_path)
    assert again.secrets == desk.secrets
    again.post("Messages", Body="still known")
    again.stop()


def test_wrong_words_are_wrong_usage():
    assert subprocess.run([PHONES], capture_output=True).returncode == 2
    assert subprocess.run([PHONES, "dance"], capture_output=True).returncode == 2
    assert subprocess.run([PHONES, "list"], capture_output=True, env={"PATH": os.environ["PATH"]}).returncode == 2
    assert subprocess.run([PHONES, "list", "--at", "http://127.0.0.1:1"], capture_output=True).returncode == 1
