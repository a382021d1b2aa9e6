"""The provider simulator is what the tests of escalation believe in, so it is tested itself: by a client that behaves, one that does not, and
the vectors that the providers publish."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import ssl
import threading
import time
import urllib.parse
from contextlib import contextmanager

import pytest

from support.providers import Simulator, segments, signing

ANN, BEN = "+27821110001", "+27821110002"
OURS = "+27600100200"
TWIML = ('<Response><Gather input="dtmf" numDigits="1" timeout="5" action="https://mayday.example/hooks/twilio/key?n=7" method="POST">'
         '<Say language="en-GB">Ann pressed panic.</Say></Gather><Say>Goodbye.</Say></Response>')
NCCO = [{"action": "talk", "text": "Ann pressed panic.", "bargeIn": True},
        {"action": "input", "type": ["dtmf"], "dtmf": {"maxDigits": 1, "timeOut": 5}, "eventUrl": ["https://mayday.example/hooks/vonage/key?n=7"]}]


class Ours:
    """What stands in for a gateway: it keeps the webhooks that come, and answers as it is told to."""

    def __init__(self):
        self.got, self.answers = [], {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.got.append((self.path, dict(self.headers), body))
                answer = outer.answers.get(self.path.split("?")[0], (204, "text/plain", ""))
                if callable(answer):
                    answer = answer(body)
                status, type_, said = answer
                self.send_response(status)
                self.send_header("Content-Type", type_)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said.encode())

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # connections end as they may
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def forms(self, path="/hooks/twilio/status"):
        return [dict(urllib.parse.parse_qsl(body.decode())) for at, _, body in self.got if at.split("?")[0] == path]

    def jsons(self, path):
        return [json.loads(body) for at, _, body in self.got if at.split("?")[0] == path]


@pytest.fixture
def ours():
    made = Ours()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sim(ours):
    with Simulator() as made:
        made.route(ours.port)
        made.retries = (0.01, 0.02, 0.04)
        yield made


@contextmanager
def connection(sim, timeout=10):
    made = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=timeout)
    yield made
    made.close()


def request(sim, method, path, body=b"", headers=(), timeout=10):
    """(status, headers, body)."""
    with connection(sim, timeout) as c:
        c.request(method, path, body, dict(headers))
        answer = c.getresponse()
        return answer.status, answer.headers, answer.read()


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def twilio(sim, path="Messages.json", method="POST", form=None, auth=None, **options):
    headers = auth or basic(sim.twilio.account, sim.twilio.token)
    body = b""
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(form).encode()
    status, _, said = request(sim, method, f"/2010-04-01/Accounts/{sim.twilio.account}/{path}", body, headers, **options)
    return status, json.loads(said)


def text(to=ANN, **more):
    return {"To": to, "From": OURS, "Body": "Ann pressed panic. Answer OK 4821", "ValidityPeriod": "3600",
            "StatusCallback": "https://mayday.example/hooks/twilio/status?n=7", **more}


def call(to=ANN, **more):
    return [*{"To": to, "From": OURS, "Twiml": TWIML, "Timeout": "30", "MachineDetection": "Enable",
              "StatusCallback": "https://mayday.example/hooks/twilio/status?n=7", **more}.items(),
            *(("StatusCallbackEvent", event) for event in ("ringing", "answered", "completed"))]


def sms(to="27821110001", sim=None, **more):
    return {"api_key": sim.vonage.key, "api_secret": sim.vonage.secret, "from": "27600200200", "to": to, "text": "Ann pressed panic.",
            "client-ref": "7", "ttl": "3600000", "callback": "https://mayday.example/hooks/vonage/status?n=7", **more}


def vonage(sim, form=None, **more):
    body = urllib.parse.urlencode(form if form is not None else sms(sim=sim, **more)).encode()
    status, _, said = request(sim, "POST", "/sms/json", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 200
    return json.loads(said)


def bearer(sim, **claims):
    now = int(time.time())
    said = {"application_id": sim.vonage.application, "iat": now, "exp": now + 60, "jti": "x1", **claims}
    return {"Authorization": "Bearer " + signing.rs256(sim.vonage.pem, said)}


def ring(sim, headers=None, **more):
    said = {"to": [{"type": "phone", "number": "27821110001"}], "from": {"type": "phone", "number": "27600200200"}, "ncco": NCCO,
            "event_url": ["https://mayday.example/hooks/vonage/event?n=7"], "ringing_timer": 30, **more}
    status, _, body = request(sim, "POST", "/v1/calls", json.dumps(said).encode(),
                              {"Content-Type": "application/json", **(headers or bearer(sim))})
    return status, json.loads(body)


# ---- signatures

PARAMETERS = [("CallSid", "CA1234567890ABCDE"), ("Digits", "1234"), ("To", "+18005551212")]


@pytest.mark.parametrize("url, caller, signature", [
    ("https://example.com/myapp.php?foo=1&bar=2", "+14158675310", "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    ("https://mycompany.com/myapp.php?foo=1&bar=2", "+14158675310", "GvWf1cFY/Q7PnoempGyD5oXAezc="),
    ("https://mycompany.com/myapp.php?foo=1&bar=2", "+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "+14158675309", "kvajT1Ptam85bY51eRf/AJRuM3w="),
])
def test_twilio_signatures_are_the_published_ones(url, caller, signature):
    assert signing.twilio("12345", url, PARAMETERS + [("Caller", caller), ("From", caller)]) == signature


def test_vonages_sig_is_the_published_one():
    values = {"param1": "value1", "param2": "value2", "timestamp": 1234567890}
    assert signing.vonage_sig("signature_secret", values) == "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287"
    assert signing.vonage_sig("s", {"a": "x&y=z"}) == signing.vonage_sig("s", {"a": "x_y_z", "sig": "what it is not of"})


# ---- texts over Twilio

def test_a_text_arrives_and_its_receipts_are_signed(sim, ours):
    status, said = twilio(sim, form=text())
    assert status == 201 and said["status"] == "queued" and said["num_segments"] == "1" and said["direction"] == "outbound-api"
    assert said["error_code"] is None and said["date_sent"] is None and said["uri"].endswith(said["sid"] + ".json")
    found = sim.phone(ANN).wait_texts()
    assert [(t.body, t.sender, t.provider, t.sid) for t in found] == [(text()["Body"], OURS, "twilio", said["sid"])]
    sim.quiet()
    assert [f["MessageStatus"] for f in ours.forms()] == ["sent", "delivered"]
    path, headers, body = ours.got[0]
    pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)
    known = "https://mayday.example" + path + "".join(k + v for k, v in sorted(pairs))
    mac = hmac.new(sim.twilio.token.encode(), known.encode(), hashlib.sha1).digest()
    assert path == "/hooks/twilio/status?n=7" and headers["Host"] == "mayday.example"
    assert headers["X-Twilio-Signature"] == base64.b64encode(mac).decode()
    status, now = twilio(sim, f"Messages/{said['sid']}.json", "GET")
    assert status == 200 and now["status"] == "delivered" and now["date_sent"].endswith("+0000")
    sim.assert_strict()


@pytest.mark.parametrize("change, code", [
    ({"To": "27821110001"}, 21211), ({"To": ""}, 21604), ({"From": ""}, 21603), ({"From": "+15559990000"}, 21606),
    ({"From": "A name that is long"}, 21212), ({"Body": ""}, 21602), ({"Body": "x" * 1601}, 21617), ({"Body": "\U0001f6a8" * 801}, 21617),
    ({"ValidityPeriod": "0"}, 20001), ({"ValidityPeriod": "36001"}, 20001), ({"StatusCallback": "mayday.example/x"}, 21609),
    ({"StatusCallback": "https://elsewhere.example/x"}, 21609), ({"StatusCallBack": "https://mayday.example/x"}, 20001),
])
def test_twilio_refuses_what_is_wrong_and_remembers_it(sim, change, code):
    status, said = twilio(sim, form=text(**change))
    assert (status, said["code"], said["status"]) == (400, code, 400) and said["more_info"].endswith(str(code))
    assert not sim.texts()
    with pytest.raises(AssertionError):
        sim.assert_strict()
    assert len(sim.forgive()) == 1
    sim.assert_strict()


def test_twilio_wants_credentials_and_forms(sim):
    assert twilio(sim, form=text(), auth=basic(sim.twilio.account, "wrong"))[0] == 401
    assert request(sim, "POST", f"/2010-04-01/Accounts/{sim.twilio.account}/Messages.json", json.dumps(text()).encode(),
                   {"Content-Type": "application/json", **basic(sim.twilio.account, sim.twilio.token)})[0] == 400
    assert twilio(sim, form=[*text().items(), ("To", BEN)])[0] == 400
    assert twilio(sim, "Massages.json", form=text())[0] == 404
    assert request(sim, "GET", "/elsewhere")[0] == 404
    assert len(sim.forgive()) == 5


def test_names_and_services_may_send(sim):
    assert twilio(sim, form=text(From="MAYDAY"))[0] == 201
    form = text(MessagingServiceSid="MG" + "0a" * 16)
    del form["From"]
    status, said = twilio(sim, form=form)
    assert status == 201 and said["status"] == "accepted" and said["from"] is None
    sim.assert_strict()


def test_the_list_is_filtered_and_paged(sim):
    for number in (ANN, BEN, ANN, ANN):
        assert twilio(sim, form=text(number))[0] == 201
    today = time.strftime("%Y-%m-%d", time.gmtime())
    query = urllib.parse.urlencode({"To": ANN, "DateSent>": today, "PageSize": 2})
    status, page = twilio(sim, "Messages.json?" + query, "GET")
    assert status == 200 and [m["to"] for m in page["messages"]] == [ANN, ANN]
    assert page["page"] == 0 and page["page_size"] == 2 and page["previous_page_uri"] is None
    path = page["next_page_uri"].split("/Accounts/", 1)[1].split("/", 1)[1]
    status, rest = twilio(sim, path, "GET")
    assert status == 200 and len(rest["messages"]) == 1 and rest["next_page_uri"] is None
    sids = [m["sid"] for m in page["messages"] + rest["messages"]]
    assert sids == [t.sid for t in sim.phone(ANN).texts][::-1]
    assert twilio(sim, "Messages.json?To=%2B27821119999", "GET")[1]["messages"] == []
    sim.assert_strict()
    for wrong in ("To=+27821110001", "Dates=1", "PageSize=5000", "DateSent=yesterday", "Page=1"):
        assert twilio(sim, "Messages.json?" + wrong, "GET")[0] == 400, wrong
    assert len(sim.forgive()) == 5
    assert twilio(sim, "Messages/SM" + "0" * 32 + ".json", "GET")[0] == 404


@pytest.mark.parametrize("how, status, code", [
    ({"http": 429, "retry_after": 3}, 429, 20429), ({"http": 500}, 500, 20500), ({"http": 503}, 503, 20503), ({"code": 21211}, 400, 21211),
    ({"code": 21610}, 400, 21610), ({"code": 21614}, 400, 21614),
])
def test_scripted_failures_send_nothing_and_are_nobodys_fault(sim, how, status, code):
    script = sim.script(ANN, "twilio", times=1, **how)
    got = twilio(sim, form=text())
    assert (got[0], got[1]["code"]) == (status, code) and script.used == 1
    assert twilio(sim, form=text(BEN))[0] == 201
    assert twilio(sim, form=text())[0] == 201, "once was enough"
    assert len(sim.phone(ANN).wait_texts()) == 1
    assert [h.status for h in sim.found(number=ANN, kind="sms")] == [status, 201]
    sim.assert_strict()


@pytest.mark.parametrize("fault, arrives", [("hang-after", 1), ("hang-before", 0), ("cut-after", 1), ("cut-before", 0)])
def test_an_answer_that_never_comes_says_nothing_about_the_text(sim, fault, arrives):
    sim.script(ANN, "twilio", fault=fault)
    with pytest.raises((OSError, http.client.HTTPException)):
        twilio(sim, form=text(), timeout=0.5)
    assert len(sim.phone(ANN).texts) == arrives
    status, page = twilio(sim, "Messages.json?" + urllib.parse.urlencode({"To": ANN}), "GET")
    assert status == 200 and len(page["messages"]) == arrives
    assert sim.found(kind="sms")[0].status == 0 and sim.found(kind="sms")[0].done == bool(arrives)


def test_answers_that_are_not_to_be_understood(sim):
    path, headers = f"/2010-04-01/Accounts/{sim.twilio.account}/Messages.json", {
        "Content-Type": "application/x-www-form-urlencoded", **basic(sim.twilio.account, sim.twilio.token)}
    body = urllib.parse.urlencode(text()).encode()
    sim.script(ANN, fault="html", http=502, times=1)
    status, said, html = request(sim, "POST", path, body, headers)
    assert status == 502 and said["Content-Type"] == "text/html" and html.startswith(b"<!DOCTYPE")
    sim.up()
    sim.script(ANN, fault="garbage", times=1)
    with pytest.raises(ValueError):
        json.loads(request(sim, "POST", path, body, headers)[2])
    sim.up()
    sim.script(ANN, fault="huge", size=3 << 20, times=1)
    assert len(request(sim, "POST", path, body, headers)[2]) > 3 << 20
    sim.up()
    sim.script(ANN, fault="short", times=1)
    with pytest.raises(http.client.IncompleteRead):
        request(sim, "POST", path, body, headers)
    assert len(sim.phone(ANN).texts) == 3


def test_a_slow_provider_does_it_at_once_and_says_so_later(sim):
    sim.script(ANN, slow=0.3)
    began = time.monotonic()
    assert twilio(sim, form=text())[0] == 201
    assert time.monotonic() - began >= 0.3
    assert sim.phone(ANN).texts[0].at < sim.found(kind="sms")[0].at + 0.2


def test_all_of_a_provider_may_be_down(sim):
    sim.down("twilio", http=503)
    assert twilio(sim, form=text())[0] == 503
    assert twilio(sim, "Messages.json", "GET")[0] == 503
    assert vonage(sim)["messages"][0]["status"] == "0"
    sim.up()
    assert twilio(sim, form=text())[0] == 201


@pytest.mark.parametrize("how, statuses", [
    ({}, ["sent", "delivered"]), ({"receipts": "never"}, []), ({"receipts": "reversed"}, ["delivered", "sent"]),
    ({"repeat": 2}, ["sent", "sent", "delivered", "delivered"]), ({"text": "undelivered", "text_code": 30006}, ["sent", "undelivered"]),
    ({"text": "failed"}, ["failed"]), ({"text": "sent"}, ["sent"]), ({"text": "queued"}, []), ({"late": 0.2}, ["sent", "delivered"]),
])
def test_receipts_come_as_scripted(sim, ours, how, statuses):
    sim.script(ANN, **how)
    sid = twilio(sim, form=text())[1]["sid"]
    sim.wait(lambda: len(sim.hooks) == len(statuses), "the receipts")
    sim.quiet()
    forms = ours.forms()
    assert [f["MessageStatus"] for f in forms] == statuses
    if how.get("text_code"):
        assert [f.get("ErrorCode") for f in forms] == [None, "30006"]
    assert len(sim.phone(ANN).texts) == (how.get("text", "delivered") == "delivered")
    books = twilio(sim, f"Messages/{sid}.json", "GET")[1]
    assert books["status"] == {"queued": "queued"}.get(how.get("text"), how.get("text", "delivered"))
    sim.assert_strict()


def test_forged_receipts_are_to_be_refused(sim, ours):
    ours.answers["/hooks/twilio/status"] = 403, "text/plain", ""
    sim.script(ANN, forged=True)
    sim.script(BEN, unsigned=True)
    twilio(sim, form=text())
    twilio(sim, form=text(BEN))
    sim.wait(lambda: len(sim.hooks) == 4, "the receipts")
    sim.quiet()
    sim.assert_strict()
    ours.answers.clear()
    twilio(sim, form=text())
    sim.quiet()
    assert len(sim.forgive()) == 2, "somebody took them"


def test_a_good_receipt_that_is_refused_is_our_fault(sim, ours):
    ours.answers["/hooks/twilio/status"] = 403, "text/plain", ""
    twilio(sim, form=text())
    sim.wait(lambda: len(sim.violations) == 2, "two violations")
    assert "answered 403" in sim.violations[0]


def test_a_test_may_say_what_it_likes_when_it_likes(sim, ours):
    sim.script(receipts="never")
    twilio(sim, form=text())
    vonage(sim)
    twilio(sim, "Calls.json", form=call(BEN))
    ring(sim)
    one, other = sim.phone(ANN).texts
    assert sim.receipt(one, "undelivered", 30006) == [204] and sim.receipt(other, "failed", 6, times=2) == [204, 204]
    assert ours.forms()[0]["ErrorCode"] == "30006" and [j["err-code"] for j in ours.jsons("/hooks/vonage/status")] == ["6", "6"]
    assert sim.receipt(sim.phone(BEN).wait_menu(), "busy") == [204] and ours.forms()[1]["CallStatus"] == "busy"
    assert sim.receipt(sim.phone(ANN).wait_menu(), "busy") == [204] and ours.jsons("/hooks/vonage/event")[0]["status"] == "busy"
    ours.answers["/hooks/twilio/status"] = 403, "text/plain", ""
    hook = sim.twilio.receipt(sim.twilio.record(one.sid), "delivered")
    assert sim.flood("twilio", [hook] * 100, forged=True) == [403] * 100
    sim.assert_strict()


def test_receipts_carry_parameters_nobody_knew_of(sim, ours):
    sim.script(ANN, extra={"RawDlrDoneDate": "2607", "Zebra": "ä&="})
    twilio(sim, form=text())
    sim.wait(lambda: len(sim.hooks) == 2, "the receipts")
    assert ours.forms()[1]["Zebra"] == "ä&="
    path, headers, body = ours.got[1]
    assert headers["X-Twilio-Signature"] == signing.twilio(sim.twilio.token, "https://mayday.example" + path,
                                                           urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))


def test_somebody_writes_back_and_stops(sim, ours):
    twilio(sim, form=text())
    assert sim.phone(ANN).reply("OK 4821") == [204]
    said = ours.forms("/hooks/twilio/text")[0]
    assert (said["From"], said["To"], said["Body"], said["NumMedia"]) == (ANN, OURS, "OK 4821", "0")
    ours.answers["/hooks/twilio/text"] = 200, "text/xml", "<Response><Message>Which one?</Message></Response>"
    sim.phone(ANN).reply("ok?")
    assert sim.phone(ANN).wait_texts(2)[1].body == "Which one?"
    ours.answers.clear()
    sim.phone(ANN).reply("stop ")
    assert twilio(sim, form=text())[1]["code"] == 21610
    sim.phone(ANN).reply("START")
    assert twilio(sim, form=text())[0] == 201
    assert sim.inbound("twilio", ANN, OURS, "OK", times=3) == [204, 204, 204]
    assert len({f["MessageSid"] for f in ours.forms("/hooks/twilio/text")[-3:]}) == 1, "a repeat is the same text"
    sim.assert_strict()


# ---- calls over Twilio

def key(steps):
    """Answers the pressing of a key, one after the other."""
    left = list(steps)
    return lambda body: (200, "text/xml", left.pop(0))


def test_a_call_is_followed_through_what_we_serve(sim, ours):
    ours.answers["/hooks/twilio/key"] = key([TWIML, "<Response><Say>Taken down.</Say><Hangup/></Response>"])
    status, said = twilio(sim, "Calls.json", form=call())
    assert status == 201 and said["status"] == "queued" and said["sid"].startswith("CA")
    phone = sim.phone(ANN)
    assert phone.wait_menu().heard == ["Ann pressed panic."]
    phone.press("9")
    phone.press("1")
    done = phone.wait_over()[0]
    assert done.heard == ["Ann pressed panic.", "Ann pressed panic.", "Taken down."] and done.pressed == ["9", "1"]
    sim.quiet()
    pressed = ours.forms("/hooks/twilio/key")
    assert [p["Digits"] for p in pressed] == ["9", "1"] and pressed[0]["CallSid"] == said["sid"] and pressed[0]["CallStatus"] == "in-progress"
    steps = ours.forms()
    assert [s["CallStatus"] for s in steps] == ["ringing", "in-progress", "completed"]
    assert [s["SequenceNumber"] for s in steps] == ["0", "1", "2"] and steps[-1]["AnsweredBy"] == "human"
    assert twilio(sim, f"Calls/{said['sid']}.json", "GET")[1]["status"] == "completed"
    sim.assert_strict()


@pytest.mark.parametrize("fate", ["busy", "no-answer", "failed", "canceled"])
def test_a_call_may_come_to_nothing(sim, ours, fate):
    sim.script(ANN, call=fate)
    sid = twilio(sim, "Calls.json", form=call())[1]["sid"]
    done = sim.phone(ANN).wait_over()[0]
    sim.quiet()
    assert not done.answered and not done.heard and [s["CallStatus"] for s in ours.forms()] == ["ringing", fate]
    assert twilio(sim, f"Calls/{sid}.json", "GET")[1]["status"] == fate


def test_a_machine_listens_and_presses_nothing(sim, ours):
    sim.script(ANN, call="machine")
    twilio(sim, "Calls.json", form=call())
    done = sim.phone(ANN).wait_over()[0]
    sim.quiet()
    assert done.machine and not done.pressed and done.heard[:1] == ["Ann pressed panic."]
    assert ours.forms()[-1]["AnsweredBy"] == "machine_start" and ours.forms()[-1]["CallStatus"] == "completed"


def test_keys_may_be_scripted_and_silence_falls_through(sim, ours):
    ours.answers["/hooks/twilio/key"] = key(["<Response><Say>Taken down.</Say></Response>"])
    sim.script(ANN, keys=(None,))
    sim.script(BEN, keys=("1",))
    twilio(sim, "Calls.json", form=call())
    twilio(sim, "Calls.json", form=call(BEN))
    assert sim.phone(ANN).wait_over()[0].heard == ["Ann pressed panic.", "Goodbye."]
    assert sim.phone(BEN).wait_over()[0].heard == ["Ann pressed panic.", "Taken down."]
    assert len(ours.forms("/hooks/twilio/key")) == 1


def test_the_caller_may_give_up(sim, ours):
    sid = twilio(sim, "Calls.json", form=call())[1]["sid"]
    sim.phone(ANN).wait_menu()
    assert twilio(sim, f"Calls/{sid}.json", form={"Status": "completed"})[1]["status"] == "completed"
    assert sim.phone(ANN).wait_over()[0].status == "completed"
    sim.assert_strict()


@pytest.mark.parametrize("change, why", [
    ({"Twiml": "<Response><Say>x</Response>"}, "well-formed"), ({"Twiml": f"<Response><Say>{'x' * 4000}</Say></Response>"}, "characters"),
    ({"Twiml": "<Response><Dial>+27112</Dial></Response>"}, "Dial"), ({"Twiml": "<Response><Say/></Response>"}, "without words"),
    ({"Twiml": "<Response><Gather action='/key'><Say>x</Say></Gather></Response>"}, "absolute"),
    ({"Twiml": "<Response><Gather action='https://mayday.example/k' numdigits='1'/></Response>"}, "attribute"),
    ({"Twiml": "<Response>hello</Response>"}, "outside"), ({"Url": "https://mayday.example/x"}, "exactly one"), ({"Timeout": "0"}, "Timeout"),
    ({"Timeout": "601"}, "Timeout"), ({"MachineDetection": "yes"}, "MachineDetection"), ({"From": "MAYDAY"}, "From"),
    ({"To": "0821110001"}, "To"),
])
def test_twilio_refuses_calls_that_are_wrong(sim, change, why):
    assert twilio(sim, "Calls.json", form=call(**change))[0] == 400
    violations = sim.forgive()
    assert len(violations) == 1 and why in violations[0]
    assert not sim.phone(ANN).calls


def test_an_answer_to_a_key_that_is_no_twiml_is_our_fault(sim, ours):
    ours.answers["/hooks/twilio/key"] = 200, "text/xml", "<Response><Say>oops</Response>"
    twilio(sim, "Calls.json", form=call())
    sim.phone(ANN).press("1")
    assert "well-formed" in sim.forgive()[0]


# ---- texts over Vonage

def test_vonage_takes_a_text_and_receipts_are_signed(sim, ours):
    said = vonage(sim)
    entry = said["messages"][0]
    assert said["message-count"] == "1" and entry["status"] == "0" and entry["to"] == "27821110001" and entry["client-ref"] == "7"
    sim.wait(lambda: sim.hooks, "the receipt")
    receipt = ours.jsons("/hooks/vonage/status")[0]
    assert receipt["status"] == "delivered" and receipt["messageId"] == entry["message-id"] and receipt["msisdn"] == "27821110001"
    assert receipt["sig"] == signing.vonage_sig(sim.vonage.signature, receipt)
    assert [t.provider for t in sim.phone(ANN).texts] == ["vonage"]
    sim.assert_strict()


def test_receipts_of_texts_may_be_signed_as_calls_are(sim, ours):
    sim.vonage.sms_hooks = "jwt"
    vonage(sim)
    sim.wait(lambda: sim.hooks, "the receipt")
    verify_jwt(sim, *ours.got[0])


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_webhooks_of_texts_come_as_the_account_is_set(sim, ours, method):
    sim.vonage.sms_method = method
    vonage(sim)
    sim.wait(lambda: sim.hooks, "the receipt")
    path, _, body = ours.got[0]
    said = dict(urllib.parse.parse_qsl(body.decode() if method == "POST" else path.split("?", 1)[1]))
    ref = said.pop("n", None)
    assert ref == (None if method == "POST" else "7") and said["status"] == "delivered"
    assert said["sig"] == signing.vonage_sig(sim.vonage.signature, said)


def verify_jwt(sim, path, headers, body):
    head, claims, mac = headers["Authorization"].removeprefix("Bearer ").split(".")
    want = hmac.new(sim.vonage.signature.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert signing.unb64url(mac) == want and json.loads(signing.unb64url(head))["alg"] == "HS256"
    claims = json.loads(signing.unb64url(claims))
    assert claims["payload_hash"] == hashlib.sha256(body).hexdigest() and claims["api_key"] == sim.vonage.key
    assert claims["iat"] <= time.time() < claims["exp"] and claims["iss"] == "Vonage"


@pytest.mark.parametrize("change, status", [
    ({"to": "+27821110001"}, "3"), ({"to": ""}, "2"), ({"text": ""}, "2"), ({"from": "15559990000"}, "15"), ({"from": "A very long name"}, "15"),
    ({"api_secret": "wrong"}, "4"), ({"text": "Gevaar: Ann is in die moeilikheid ê"}, "6"), ({"client-ref": "x" * 101}, "6"), ({"ttl": "19999"}, "6"),
    ({"ttl": "1h"}, "6"), ({"callback": "https://elsewhere.example/"}, "23"), ({"validity": "1"}, "2"), ({"type": "sms"}, "6"),
])
def test_vonage_refuses_inside_a_200(sim, change, status):
    entry = vonage(sim, **change)["messages"][0]
    assert entry["status"] == status and entry["error-text"] and "message-id" not in entry
    assert len(sim.forgive()) == 1 and not sim.texts()


@pytest.mark.parametrize("code", [1, 4, 5, 7, 9])
def test_scripted_errors_are_inside_a_200(sim, code):
    sim.script(ANN, "vonage", code=code)
    assert vonage(sim)["messages"][0]["status"] == str(code) and not sim.texts()
    sim.assert_strict()


def test_long_texts_have_parts_that_fail_one_by_one(sim):
    said = vonage(sim, text="x" * 161)
    assert said["message-count"] == "2" and len({m["message-id"] for m in said["messages"]}) == 2
    sim.wait(lambda: len(sim.hooks) == 2, "a receipt for each part")
    assert len(sim.phone(ANN).texts) == 1
    sim.script(BEN, parts=(0, 1))
    said = vonage(sim, to=BEN[1:], text="x" * 161)
    assert [m["status"] for m in said["messages"]] == ["0", "1"]
    assert vonage(sim, text="ê" * 71, type="unicode")["message-count"] == "2"
    assert not sim.phone(BEN).texts, "half a text is none"
    sim.assert_strict()


@pytest.mark.parametrize("words, parts", [("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("ê" * 70, 1), ("ê" * 71, 2),
                                          ("\U0001f6a8" * 35, 1), ("\U0001f6a8" * 36, 2), ("x" * 306, 2), ("x" * 307, 3)])
def test_parts_are_counted_as_networks_count(words, parts):
    assert segments(words)[0] == parts


def test_vonage_tries_again_until_it_is_heard(sim, ours):
    answers = [503, 429, 200]
    ours.answers["/hooks/vonage/status"] = lambda body: (answers.pop(0), "text/plain", "")
    vonage(sim)
    sim.wait(lambda: len(sim.hooks) == 3, "three attempts")
    assert [h.status for h in sim.hooks] == [503, 429, 200] and len({h.values["messageId"] for h in sim.hooks}) == 1
    assert len({json.loads(body)["nonce"] for _, _, body in ours.got}) == 3
    sim.assert_strict()


def test_reports_tell_what_was_taken(sim):
    sent = vonage(sim)["messages"][0]["message-id"]
    vonage(sim, to=BEN[1:])
    now = time.time()

    def ask(auth=None, **query):
        given = {"account_id": sim.vonage.key, "product": "SMS", "direction": "outbound", **query}
        status, _, body = request(sim, "GET", "/v2/reports/records?" + urllib.parse.urlencode(given),
                                  headers=auth or basic(sim.vonage.key, sim.vonage.secret))
        return status, json.loads(body)

    def at(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    status, said = ask(date_start=at(now - 60), date_end=at(now + 60), include_message="true")
    assert status == 200 and said["items_count"] == 2 and said["records"][0]["message_body"] == "Ann pressed panic."
    status, said = ask(id=sent + ",00000000-0000-0000-0000-000000000000")
    assert [r["message_id"] for r in said["records"]] == [sent] and said["records"][0]["status"] == "delivered"
    assert said["ids_not_found"] == "00000000-0000-0000-0000-000000000000" and said["records"][0]["client_ref"] == "7"
    sim.vonage.lag = 60
    assert ask(date_start=at(now - 60), date_end=at(now + 60))[1]["records"] == [], "they are not always there at once"
    sim.assert_strict()
    assert ask(date_start=at(now - 86400), date_end=at(now + 60))[0] == 422
    assert ask(id=sent, date_start=at(now))[0] == 422
    assert ask(date_start="now", date_end=at(now))[0] == 422
    assert ask(product="FAX")[0] == 422
    assert ask(account_id="x")[0] == 403
    assert ask(basic("x", "y"))[0] == 401
    assert len(sim.forgive()) == 6


def test_somebody_writes_back_over_vonage(sim, ours):
    vonage(sim)
    assert sim.phone(ANN).reply("OK 4821") == [204]
    said = ours.jsons("/hooks/vonage/text")[0]
    assert (said["msisdn"], said["to"], said["text"], said["keyword"]) == (ANN[1:], "27600200200", "OK 4821", "OK")
    assert said["sig"] == signing.vonage_sig(sim.vonage.signature, said)


# ---- calls over Vonage

def test_a_vonage_call_is_followed_through_what_we_serve(sim, ours):
    answers = [json.dumps(NCCO), json.dumps([{"action": "talk", "text": "Taken down."}])]
    ours.answers["/hooks/vonage/key"] = lambda body: (200, "application/json", answers.pop(0))
    status, said = ring(sim)
    assert status == 201 and said["status"] == "started" and said["direction"] == "outbound" and said["conversation_uuid"].startswith("CON-")
    phone = sim.phone(ANN)
    phone.press("5")
    phone.press("1")
    done = phone.wait_over()[0]
    assert done.heard == ["Ann pressed panic.", "Ann pressed panic.", "Taken down."]
    sim.quiet()
    keys = ours.jsons("/hooks/vonage/key")
    assert [k["dtmf"] for k in keys] == [{"digits": "5", "timed_out": False}, {"digits": "1", "timed_out": False}]
    events = ours.jsons("/hooks/vonage/event")
    assert [e["status"] for e in events] == ["started", "ringing", "answered", "completed"] and events[0]["uuid"] == said["uuid"]
    for got in ours.got:
        verify_jwt(sim, *got)
    status, _, body = request(sim, "GET", f"/v1/calls/{said['uuid']}", headers=bearer(sim))
    assert status == 200 and json.loads(body)["status"] == "completed"
    status, _, body = request(sim, "GET", "/v1/calls?page_size=100&order=desc", headers=bearer(sim))
    assert [c["uuid"] for c in json.loads(body)["_embedded"]["calls"]] == [said["uuid"]]
    sim.assert_strict()


@pytest.mark.parametrize("fate, statuses", [
    ("busy", ["busy"]), ("no-answer", ["timeout"]), ("failed", ["failed"]), ("machine", ["answered", "machine", "completed"])])
def test_a_vonage_call_may_come_to_nothing(sim, ours, fate, statuses):
    ours.answers["/hooks/vonage/key"] = 200, "application/json", "[]"
    sim.script(ANN, call=fate)
    ring(sim, machine_detection="continue")
    sim.phone(ANN).wait_over()
    sim.quiet()
    assert [e["status"] for e in ours.jsons("/hooks/vonage/event")] == ["started", "ringing", *statuses]
    assert [k["dtmf"] for k in ours.jsons("/hooks/vonage/key")] == ([{"digits": "", "timed_out": True}] if fate == "machine" else [])


@pytest.mark.parametrize("claims", [{"application_id": "x"}, {"exp": 1}, {"iat": int(time.time()) + 3600}, {"jti": ""}, {"exp": int(time.time()) + 2 * 86400}])
def test_vonage_wants_a_token_of_the_application(sim, claims):
    assert ring(sim, bearer(sim, **claims))[0] == 401
    assert len(sim.forgive()) == 1


def test_vonage_wants_the_applications_key(sim):
    other = signing.new_rsa()[0]
    now = int(time.time())
    token = signing.rs256(other, {"application_id": sim.vonage.application, "iat": now, "exp": now + 60, "jti": "x"})
    assert ring(sim, {"Authorization": "Bearer " + token})[0] == 401
    assert ring(sim, {"Authorization": "Bearer x.y"})[0] == 401
    assert ring(sim, basic("a", "b"))[0] == 401
    assert len(sim.forgive()) == 3


@pytest.mark.parametrize("change", [
    {"to": [{"type": "phone", "number": "+27821110001"}]}, {"to": []}, {"from": {"type": "phone", "number": "15559990000"}},
    {"ncco": [{"action": "talk", "text": "x" * 1501}]}, {"ncco": [{"action": "connect", "endpoint": []}]},
    {"ncco": [{"action": "talk", "text": "x", "bargeIn": True}]}, {"ncco": [{"action": "input", "dtmf": {"maxDigits": 1}}]},
    {"ncco": [{"action": "input", "type": ["dtmf"], "dtmf": {"timeOut": 11}}]}, {"ringing_timer": 121}, {"ringing_timer": "30"},
    {"event_url": "https://mayday.example/x"}, {"event_url": ["https://elsewhere.example/x"]}, {"machine_detection": True},
    {"answer_url": ["https://mayday.example/x"]}, {"webhook": 1},
])
def test_vonage_refuses_calls_that_are_wrong(sim, change):
    assert ring(sim, **change)[0] == 400
    assert len(sim.forgive()) == 1 and not sim.phone(ANN).calls


# ---- webhooks of ours

def test_the_receiver_of_webhooks_checks_the_signature(sim):
    where = urllib.parse.urlsplit(sim.webhook("room")).path
    body, now = b'{"what": "panic"}', int(time.time())

    def post(at=now, mac=None, body=body, path=where, **headers):
        mac = mac or hmac.new(sim.webhook_secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        given = {"Content-Type": "application/json", "X-Mayday-Id": "n1", "X-Mayday-Signature": f"t={at},v1={mac}", **headers}
        return request(sim, "POST", path, body, given)[0]
    assert post() == 200
    assert [(w["id"], w["body"]) for w in sim.webhooks["room"]] == [("n1", {"what": "panic"})]
    sim.assert_strict()
    assert [post(mac="0" * 64), post(at=now - 1000), post(path="/webhook/other"), post(body=b"no JSON"), post(**{"X-Mayday-Id": ""}),
            post(**{"X-Mayday-Signature": "v1=1"})] == [401] * 6
    assert len(sim.forgive()) == 6 and len(sim.webhooks["room"]) == 1
    sim.script(provider="webhook", http=500, times=1)
    assert post() == 500 and post() == 200


# ---- the house

def test_https_by_an_authority_of_its_own(tmp_path):
    with Simulator(tls=True) as sim:
        context = ssl.create_default_context(cafile=sim.authority.file(tmp_path))
        c = http.client.HTTPSConnection("127.0.0.1", sim.port, timeout=10, context=context)
        c.request("GET", "/2010-04-01/Accounts/AC1/Messages.json")
        assert c.getresponse().status == 401
        c.close()
        with pytest.raises(ssl.SSLError):
            http.client.HTTPSConnection("127.0.0.1", sim.port, timeout=10, context=ssl.create_default_context()).request("GET", "/")


def test_settings_name_files_that_only_their_owner_reads(sim, tmp_path):
    settings = sim.settings(tmp_path)
    files = [value for section in settings.values() for name, value in section.items() if name.endswith("_file")]
    assert len(files) == 5 and all(f.stat().st_mode & 0o77 == 0 for f in files)
    assert settings["twilio"]["token_file"].read_text().strip() == sim.twilio.token


def test_connections_are_kept_and_requests_may_come_in_pieces(sim):
    with connection(sim) as c:
        for _ in range(3):
            c.request("GET", f"/2010-04-01/Accounts/{sim.twilio.account}/Messages.json",
                      headers=basic(sim.twilio.account, sim.twilio.token))
            assert c.getresponse().read()
        c.putrequest("POST", "/sms/json")
        body = urllib.parse.urlencode(sms(sim=sim)).encode()
        c.putheader("Content-Type", "application/x-www-form-urlencoded")
        c.putheader("Content-Length", str(len(body)))
        c.endheaders()
        for at in range(0, len(body), 50):
            c.send(body[at:at + 50])
        assert json.loads(c.getresponse().read())["messages"][0]["status"] == "0"
    assert request(sim, "POST", "/sms/json", b"x", {"Transfer-Encoding": "chunked"})[0] == 400
    assert "chunked" in sim.forgive()[0]


def test_webhooks_go_to_the_first_gateway_that_listens(sim, ours):
    dead = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port = dead.server_address[1]
    dead.server_close()
    sim.route(port, ours.port)
    twilio(sim, form=text())
    sim.wait(lambda: len(sim.hooks) == 2, "the receipts")
    assert len(ours.got) == 2
    sim.route(port)
    twilio(sim, form=text())
    sim.wait(lambda: len(sim.hooks) == 4, "the receipts")
    assert [h.status for h in sim.hooks] == [204, 204, 0, 0], "and are lost when there is none"
    sim.assert_strict()


def test_a_wait_that_fails_says_what_there_is(sim):
    with pytest.raises(AssertionError, match="received 1 texts"):
        sim.phone(ANN).wait_texts(timeout=0.05)
