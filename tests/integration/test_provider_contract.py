"""What the gateway's providers say to Twilio and Vonage is what those take, and what they answer is understood: each request as it is built,
carried to the simulator by hand."""
import base64
import http.client
import json
import subprocess
import urllib.parse

import pytest

from support import messages as m
from support.providers import Simulator, segments
from support.site import BUILD, as_ini

ANN = "+27821110001"
TEXTS, CALLS = ["twilio-sms", "vonage-sms"], ["twilio-voice", "vonage-voice"]
SENT = {"outcome": "sent", "blame": 0}
WORDS = ["PANIC: Ann. https://maps.google.com/?q=-33.92,18.42 Answer OK 4821", "Ann het gevaar gedruk: sê OK 4821 \U0001f6a8",
         "a < b & \"c\" [d] €", "x" * 1500, "ê" * 1500]


@pytest.fixture
def sim(tmp_path):
    with Simulator() as made:
        (tmp_path / "mayday.conf").write_text(as_ini(made.settings(tmp_path)))
        made.conf = tmp_path / "mayday.conf"
        yield made


def courier(sim, provider, *words, said=""):
    done = subprocess.run([BUILD / "bin" / "courier", sim.conf, provider, *words], input=said.encode(), capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def message(body=WORDS[0], **more):
    return json.dumps({"id": m.uuid7(), "attempt": m.uuid7(), "to": ANN, "body": body, "lang": "en",
                       "menu": "Press 1 to take it, 2 for somebody else, 9 to hear it again.", **more})


def carry(sim, request):
    """(status, body)."""
    where = urllib.parse.urlsplit(request["url"])
    headers = dict(line.split(": ", 1) for line in request["headers"].splitlines())
    if request["user"]:
        headers["Authorization"] = "Basic " + base64.b64encode(request["user"].encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=20)
    connection.request(request["method"], where.path + ("?" + where.query if where.query else ""), request["body"].encode(), headers)
    answer = connection.getresponse()
    status, body = answer.status, answer.read().decode(errors="replace")
    connection.close()
    return status, body


def send(sim, provider, said):
    status, body = carry(sim, courier(sim, provider, "send", said=said))
    return courier(sim, provider, "read", str(status), said=body)


@pytest.mark.parametrize("provider", TEXTS)
@pytest.mark.parametrize("words", WORDS, ids=range(len(WORDS)))
def test_a_text_is_taken_whatever_is_in_it(sim, provider, words):
    result = send(sim, provider, message(words))
    assert {**result, "reference": "", "code": ""} == {**SENT, "reference": "", "code": ""}, sim.violations
    assert [(t.sid, t.provider) for t in sim.phone(ANN).texts] == [(result["reference"], provider.split("-")[0])]
    if segments(words)[0] == 1:
        assert sim.phone(ANN).texts[0].body == words
    sim.assert_strict()


@pytest.mark.parametrize("provider", CALLS)
@pytest.mark.parametrize("words", WORDS[:3] + ["word " * 1000], ids=range(4))
def test_a_call_is_taken_and_heard(sim, provider, words):
    result = send(sim, provider, message(words))
    assert result["outcome"] == "sent", sim.violations
    call = sim.phone(ANN).wait_menu()
    assert call.sid == result["reference"] and "Press 1 to take it" in call.said and words.split()[0].strip(":") in call.said
    sim.assert_strict()


def test_a_webhook_is_signed_and_known_by_its_id(sim):
    said = message('{"what":"panic"}', to=sim.webhook("room"))
    assert send(sim, "webhook", said)["outcome"] == "sent"
    assert [(w["id"], w["body"]) for w in sim.webhooks["room"]] == [(json.loads(said)["id"], {"what": "panic"})]
    sim.assert_strict()


@pytest.mark.parametrize("provider", TEXTS + CALLS)
def test_what_was_taken_is_found_in_the_list_and_nothing_else(sim, provider):
    said = message()
    for expected in ("retry", "sent"):
        status, body = carry(sim, courier(sim, provider, "search", said=said))
        found = courier(sim, provider, "found", str(status), said=said + "\n" + body)
        assert found["outcome"] == expected, (found, sim.violations)
        if expected == "retry":
            sent = send(sim, provider, said)
    assert found["reference"] == sent["reference"]
    sim.assert_strict()


@pytest.mark.parametrize("provider, how, receipt", [
    ("twilio-sms", {}, 2), ("twilio-sms", {"text": "sent"}, 1), ("twilio-sms", {"text": "undelivered"}, 3), ("vonage-sms", {}, 2),
    ("vonage-sms", {"text": "failed"}, 3), ("twilio-voice", {"call": "busy"}, 3), ("twilio-voice", {"keys": ("1",)}, 2),
    ("vonage-voice", {"call": "no-answer"}, 3), ("vonage-voice", {"keys": ()}, 2),
])
def test_what_became_of_it_can_be_asked(sim, provider, how, receipt):
    sim.script(ANN, **how)
    reference = send(sim, provider, message())["reference"]
    if provider in CALLS:
        sim.phone(ANN).wait_over()
    status, body = carry(sim, courier(sim, provider, "ask", reference))
    assert courier(sim, provider, "told", str(status), reference, said=body)["receipt"] == receipt, body
    sim.assert_strict()


@pytest.mark.parametrize("provider, how, outcome", [
    ("twilio-sms", {"http": 429}, "retry"), ("twilio-sms", {"http": 503}, None), ("twilio-sms", {"code": 21211}, "refused"),
    ("twilio-sms", {"code": 21610}, "refused"), ("twilio-sms", {"fault": "html"}, "unknown"), ("twilio-sms", {"fault": "garbage"}, "unknown"),
    ("twilio-voice", {"code": 21211}, "refused"), ("vonage-sms", {"code": 1}, "retry"), ("vonage-sms", {"code": 4}, "refused"),
    ("vonage-sms", {"code": 9}, "refused"), ("vonage-sms", {"parts": (0, 7)}, "refused"), ("vonage-sms", {"fault": "html"}, "unknown"),
    ("vonage-voice", {"code": 401}, "refused"), ("vonage-voice", {"http": 429}, "retry"), ("vonage-voice", {"fault": "garbage"}, "unknown"),
])
def test_failures_are_understood(sim, provider, how, outcome):
    sim.script(ANN, **how)
    result = send(sim, provider, message("two parts " * 20 if how.get("parts") else WORDS[0]))
    assert result["outcome"] != "sent" if outcome is None else result["outcome"] == outcome, result
    sim.assert_strict()
