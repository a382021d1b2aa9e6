"""Twilio's REST API of 2010-04-01, as far as texts and calls go, and its webhooks."""
import asyncio
import base64
import calendar
import email.utils
import json
import re
import time
import urllib.parse
import uuid

from . import signing, voice
from .http import Answer
from .phone import Call, Text
from .script import segments

E164 = re.compile(r"\+[1-9]\d{6,14}")
NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +\-_&]{1,11}")
SERVICE = re.compile(r"MG[0-9a-f]{32}")
TEXT_FIELDS = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod", "ApplicationSid", "MaxPrice",
               "ProvideFeedback", "Attempt", "ForceDelivery", "ContentRetention", "AddressRetention", "SmartEncoded", "ShortenUrls",
               "RiskCheck", "TrafficType"}
CALL_FIELDS = {"To", "From", "Url", "Twiml", "ApplicationSid", "Method", "FallbackUrl", "FallbackMethod", "StatusCallback",
               "StatusCallbackEvent", "StatusCallbackMethod", "SendDigits", "Timeout", "Record", "MachineDetection",
               "MachineDetectionTimeout", "MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold",
               "MachineDetectionSilenceTimeout", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "CallerId",
               "CallReason", "TimeLimit", "Trim", "CallToken"}
EVENTS = ("initiated", "ringing", "answered", "completed")
STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
START = {"START", "YES", "UNSTOP"}
FINAL_CALLS = ("completed", "busy", "no-answer", "failed", "canceled")
WORDS = {20003: "Authenticate", 20404: "The requested resource was not found", 20429: "Too Many Requests",
         21211: "Invalid 'To' Phone Number", 21212: "Invalid From Number", 21603: "A 'From' phone number is required",
         21604: "A 'To' phone number is required", 21602: "Message body is required", 21606: "The 'From' number is not yours",
         21610: "Attempt to send to unsubscribed recipient", 21614: "'To' number is not a valid mobile number",
         21617: "The concatenated message body exceeds the 1600 character limit", 21609: "Invalid 'StatusCallback' URL",
         21205: "Url is not a valid URL", 21210: "Caller ID is not verified", 20001: "Invalid parameter", 20500: "Internal Server Error"}
STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}


def rfc2822(at):
    return None if at is None else email.utils.formatdate(at, usegmt=False).replace("-0000", "+0000")


class Refuse(Exception):
    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


class Twilio:
    name = "twilio"

    def __init__(self, simulator):
        self.simulator = simulator
        self.account, self.token = "AC" + signing.word(16), signing.word(16)
        self.numbers = {"+15550100200", "+27600100200"}
        self.messages, self.calls = {}, {}  # by sid, in the order of their making
        self.stopped = set()  # (phone, our number)

    # ---- requests

    def handle(self, request):
        prefix = f"/2010-04-01/Accounts/{self.account}"
        if not request.path.startswith("/2010-04-01/Accounts/"):
            return None
        if request.headers.get("authorization") != "Basic " + base64.b64encode(f"{self.account}:{self.token}".encode()).decode():
            return self.violated(20003, "wrong credentials")
        if not request.path.startswith(prefix + "/"):
            return self.violated(20404, f"no such account in {request.path}")
        what = request.path[len(prefix):]
        found = re.fullmatch(r"/(Messages|Calls)(?:/([A-Z]{2}[0-9a-f]{32}))?\.json", what)
        if not found:
            return self.violated(20404, f"no such address: {request.path}")
        family, sid = found.groups()
        try:
            if request.method == "POST" and not sid:
                return self.send_text(request) if family == "Messages" else self.make_call(request)
            if request.method == "POST" and family == "Calls":
                return self.change_call(request, sid)
            if request.method == "GET":
                return self.fetch(family, sid) if sid else self.list(request, family)
        except (Refuse, voice.Wrong) as why:
            return self.violated(getattr(why, "code", 20001), str(why))
        return self.violated(20404, f"{request.method} {request.path}")

    def fault(self, code, status=None, words=None):
        status = status or STATUS.get(code, 400)
        body = {"code": code, "message": words or WORDS.get(code, "Refused"), "more_info": f"https://www.twilio.com/docs/errors/{code}",
                "status": status}
        return Answer(status, json.dumps(body).encode(), "application/json")

    def violated(self, code, why):
        self.simulator.violate(f"twilio: {why}")
        return self.fault(code, words=f"{WORDS.get(code, 'Refused')}: {why}")

    def outage(self, script):
        code = 20429 if script.http == 429 else 20003 if script.http == 401 else 20000 + script.http
        answer = self.fault(code, script.http)
        if script.retry_after is not None:
            answer.headers["Retry-After"] = str(script.retry_after)
        return answer

    def refusal(self, script):
        return self.fault(script.code)

    def form(self, request, known, several=()):
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            raise Refuse(20001, f"Content-Type is {request.headers.get('content-type')!r}")
        try:
            pairs = request.form()
        except (ValueError, UnicodeDecodeError) as why:
            raise Refuse(20001, f"the form is malformed: {why}") from why
        values = {}
        for name, value in pairs:
            if name not in known:
                raise Refuse(20001, f"there is no parameter {name}")
            if name in values and name not in several:
                raise Refuse(20001, f"{name} comes twice")
            values.setdefault(name, []).append(value)
        return {name: found if name in several else found[0] for name, found in values.items()}

    def number(self, values, name, missing, wrong):
        if not values.get(name):
            raise Refuse(missing, f"{name} is missing")
        if not E164.fullmatch(values[name]):
            raise Refuse(wrong, f"{name} is {values[name]!r}")
        return values[name]

    def callback(self, values, name="StatusCallback"):
        if name in values:
            try:
                self.simulator.ours(voice.url(values[name], name))
            except voice.Wrong as why:
                raise Refuse(21609, str(why)) from why
        return values.get(name)

    def send_text(self, request):
        values = self.form(request, TEXT_FIELDS)
        to = self.number(values, "To", 21604, 21211)
        sender = values.get("From") or values.get("MessagingServiceSid")
        if not sender:
            raise Refuse(21603, "neither From nor MessagingServiceSid")
        if "From" in values and not (values["From"] in self.numbers or NAME.fullmatch(values["From"])):
            raise Refuse(21606 if E164.fullmatch(values["From"]) else 21212, f"From is {values['From']!r}")
        if "MessagingServiceSid" in values and not SERVICE.fullmatch(values["MessagingServiceSid"]):
            raise Refuse(20001, f"MessagingServiceSid is {values['MessagingServiceSid']!r}")
        if not values.get("Body"):
            raise Refuse(21602, "Body is missing")
        if len(values["Body"].encode("utf-16-le")) // 2 > 1600:
            raise Refuse(21617, f"Body has {len(values['Body'])} characters")
        if "ValidityPeriod" in values:
            voice.positive(values["ValidityPeriod"], "ValidityPeriod", 1, 36000)
        callback = self.callback(values)
        script = self.simulator.choose("twilio", "sms", to)
        if (to, sender) in self.stopped:
            self.simulator.log("twilio", "sms", to, 400, False)
            return self.fault(21610)

        def do():
            sid, now = "SM" + uuid.uuid4().hex, time.time()
            record = {"sid": sid, "to": to, "from": sender, "body": values["Body"], "created": now, "sent": None, "updated": now,
                      "status": "accepted" if "MessagingServiceSid" in values else "queued", "code": None,
                      "service": values.get("MessagingServiceSid"), "callback": callback}
            self.messages[sid] = record
            body = json.dumps(self.message(record)).encode()
            hooks = self.deliver(record, script)
            return Answer(201, body), lambda: self.simulator.tell(self, script, hooks)
        return self.simulator.under(self, script, "sms", to, do)

    def message(self, record):
        sid, parts = record["sid"], segments(record["body"])[0]
        uri = f"/2010-04-01/Accounts/{self.account}/Messages/{sid}"
        return {"account_sid": self.account, "api_version": "2010-04-01", "body": record["body"], "date_created": rfc2822(record["created"]),
                "date_sent": rfc2822(record["sent"]), "date_updated": rfc2822(record["updated"]), "direction": "outbound-api",
                "error_code": record["code"], "error_message": None, "from": None if record["service"] else record["from"],
                "messaging_service_sid": record["service"], "num_media": "0", "num_segments": str(parts), "price": None,
                "price_unit": "USD", "sid": sid, "status": record["status"], "subresource_uris": {"media": uri + "/Media.json"},
                "to": record["to"], "uri": uri + ".json"}

    def deliver(self, record, script):
        """What becomes of a text, at once: in the provider's books and at the phone. Returns the webhooks that tell of it."""
        steps = {"queued": [], "sent": ["sent"], "failed": ["failed"]}.get(script.text, ["sent", script.text])
        code = script.text_code if script.text in ("undelivered", "failed") else None
        if steps:
            record.update(status=steps[-1], code=code, updated=time.time(), sent=time.time())
        if script.text == "delivered":
            self.simulator.receive(record["to"], Text(record["body"], record["from"], "twilio", record["sid"], time.time()))
        return [self.receipt(record, status, code if status == steps[-1] else None) for status in steps if record["callback"]]

    def receipt(self, record, status, code=None):
        """The webhook that says so of a text or call."""
        if "call" in record:
            pairs = [("AccountSid", self.account), ("ApiVersion", "2010-04-01"), ("CallSid", record["sid"]), ("CallStatus", status),
                     ("From", record["from"]), ("SequenceNumber", "9"), ("To", record["to"])]
        else:
            pairs = [("AccountSid", self.account), ("ApiVersion", "2010-04-01"), ("From", record["from"]), ("MessageSid", record["sid"]),
                     ("MessageStatus", status), ("SmsSid", record["sid"]), ("SmsStatus", status), ("To", record["to"])]
        return record["callback"], pairs + ([("ErrorCode", str(code))] if code else [])

    def record(self, sid):
        return self.messages.get(sid) or self.calls[sid]

    # ---- reading

    def fetch(self, family, sid):
        record = (self.messages if family == "Messages" else self.calls).get(sid)
        self.simulator.log("twilio", "fetch", sid, 200 if record else 404, True)
        script = self.simulator.choose("twilio", "fetch", record["to"] if record else "")
        if not record:
            return self.fault(20404)
        body = self.message(record) if family == "Messages" else self.call_body(record)
        return self.simulator.under(self, script, None, "", lambda: (Answer(200, json.dumps(body).encode()), None))

    def list(self, request, family):
        dates = {"DateSent": "sent"} if family == "Messages" else {"StartTime": "started", "EndTime": "ended"}
        known = {"To", "From", "PageSize", "Page", "PageToken", *(["Status", "ParentCallSid"] if family == "Calls" else []),
                 *(name + sign for name in dates for sign in ("", "<", ">"))}
        values = {}
        for name, value in request.query:
            if name not in known or name in values:
                raise Refuse(20001, f"there is no parameter {name}, or it comes twice")
            values[name] = value
        if "To" in values and not E164.fullmatch(values["To"]):
            raise Refuse(20001, f"To is {values['To']!r}: is the '+' escaped?")
        size = voice.positive(values.get("PageSize", "50"), "PageSize", 1, 1000)
        page = voice.positive(values.get("Page", "0"), "Page", 0)
        if page and "PageToken" not in values:
            raise Refuse(20001, "Page without PageToken")
        records = list((self.messages if family == "Messages" else self.calls).values())[::-1]
        for name, value in values.items():
            if name in ("To", "From", "Status"):
                records = [r for r in records if r[name.lower()] == value]
            elif name.rstrip("<>") in dates:
                low, high = moment(value)
                key = dates[name.rstrip("<>")]
                records = [r for r in records if r[key] is not None and (
                    r[key] <= high if name.endswith("<") else r[key] >= low if name.endswith(">") else low <= r[key] < high)]
        script = self.simulator.choose("twilio", "list", values.get("To", ""))
        self.simulator.log("twilio", "list", values.get("To", ""), 200, True)
        start, more = page * size, len(records) > (page + 1) * size
        plain = [(n, v) for n, v in values.items() if n not in ("Page", "PageToken")]

        def link(number):
            query = plain + [("Page", number)] + ([("PageToken", f"P{family[0]}{number:032x}")] if number else [])
            return f"/2010-04-01/Accounts/{self.account}/{family}.json?" + urllib.parse.urlencode(query)
        shown = records[start:start + size]
        render = self.message if family == "Messages" else self.call_body
        body = {"first_page_uri": link(0), "end": start + max(len(shown) - 1, 0), "next_page_uri": link(page + 1) if more else None,
                "previous_page_uri": link(page - 1) if page else None, "page": page, "page_size": size, "start": start, "uri": link(page),
                family.lower(): [render(r) for r in shown]}
        return self.simulator.under(self, script, None, "", lambda: (Answer(200, json.dumps(body).encode()), None))

    # ---- calls

    def make_call(self, request):
        values = self.form(request, CALL_FIELDS, ("StatusCallbackEvent",))
        to = self.number(values, "To", 21201, 21211)
        if self.number(values, "From", 21213, 21212) not in self.numbers:
            raise Refuse(21210, f"From is {values['From']!r}")
        if ("Url" in values) + ("Twiml" in values) + ("ApplicationSid" in values) != 1:
            raise Refuse(21205, "exactly one of Url, Twiml and ApplicationSid is needed")
        steps = None
        if "Twiml" in values:
            if len(values["Twiml"]) > 4000:
                raise Refuse(20001, f"Twiml has {len(values['Twiml'])} characters")
            steps = voice.twiml(values["Twiml"])
        else:
            self.callback(values, "Url")
        callback, events = self.callback(values), values.get("StatusCallbackEvent", [])
        if values.get("StatusCallbackMethod", "POST") != "POST":
            raise Refuse(20001, "StatusCallbackMethod GET is not played here")
        for event in events:
            if event not in EVENTS:
                raise Refuse(20001, f"StatusCallbackEvent is {event!r}")
        for name in ("Method", "StatusCallbackMethod"):
            if values.get(name, "POST") not in ("GET", "POST"):
                raise Refuse(20001, f"{name} is {values[name]!r}")
        if "Timeout" in values:
            voice.positive(values["Timeout"], "Timeout", 1, 600)
        if values.get("MachineDetection", "Enable") not in ("Enable", "DetectMessageEnd"):
            raise Refuse(20001, f"MachineDetection is {values['MachineDetection']!r}")
        if values.get("AsyncAmd", "false") not in ("true", "false"):
            raise Refuse(20001, f"AsyncAmd is {values['AsyncAmd']!r}")
        if "TimeLimit" in values:
            voice.positive(values["TimeLimit"], "TimeLimit", 1, 14400)
        if "MachineDetectionTimeout" in values:
            voice.positive(values["MachineDetectionTimeout"], "MachineDetectionTimeout", 3, 59)
        script = self.simulator.choose("twilio", "voice", to)

        def do():
            sid, now = "CA" + uuid.uuid4().hex, time.time()
            call = Call(to, values["From"], "twilio", sid, now)
            record = {"sid": sid, "to": to, "from": values["From"], "created": now, "updated": now, "started": None, "ended": None,
                      "status": "queued", "call": call, "answered_by": None, "callback": callback}
            self.calls[sid] = record
            call.facts = {"callback": callback, "events": set(events) or {"completed"}, "sequence": 0, "record": record,
                          "detect": "MachineDetection" in values, "asynchronous": values.get("AsyncAmd") == "true",
                          "url": values.get("Url"), "method": values.get("Method", "POST")}
            body = self.call_body(record)
            return Answer(201, json.dumps(body).encode()), lambda: self.simulator.ring(call, self.dial(call, steps, script))
        return self.simulator.under(self, script, "voice", to, do)

    def call_body(self, record):
        uri = f"/2010-04-01/Accounts/{self.account}/Calls/{record['sid']}"
        over = record["status"] in FINAL_CALLS
        length = str(int(record["ended"] - record["started"])) if over and record["started"] else None
        return {"account_sid": self.account, "annotation": None, "answered_by": record["answered_by"], "api_version": "2010-04-01",
                "caller_name": None, "date_created": rfc2822(record["created"]), "date_updated": rfc2822(record["updated"]),
                "direction": "outbound-api", "duration": length, "end_time": rfc2822(record["ended"]), "forwarded_from": None,
                "from": record["from"], "from_formatted": record["from"], "group_sid": None, "parent_call_sid": None,
                "phone_number_sid": None, "price": None, "price_unit": "USD", "queue_time": "0", "sid": record["sid"],
                "start_time": rfc2822(record["started"]), "status": record["status"],
                "subresource_uris": {"notifications": uri + "/Notifications.json", "recordings": uri + "/Recordings.json"},
                "to": record["to"], "to_formatted": record["to"], "trunk_sid": None, "uri": uri + ".json"}

    def change_call(self, request, sid):
        values = self.form(request, {"Status", "Url", "Method", "Twiml"})
        record = self.calls.get(sid)
        if not record:
            return self.fault(20404)
        if values.get("Status") not in ("canceled", "completed"):
            raise Refuse(20001, f"Status is {values.get('Status')!r}")
        if record["status"] not in FINAL_CALLS:
            record.update(status="canceled" if record["status"] in ("queued", "ringing") else "completed", ended=time.time())
            self.simulator.end(record["call"])
        return Answer(200, json.dumps(self.call_body(record)).encode())

    def progress(self, call, status, script, event, more=()):
        """A step in a call's life; its webhook, when it was asked for, as (address, pairs)."""
        record = call.facts["record"]
        record.update(status=status, updated=time.time())
        if status == "ringing":
            record["started"] = time.time()
        if status in FINAL_CALLS:
            record["ended"] = time.time()
        self.simulator.change(call, status=status)
        if not call.facts["callback"] or event not in call.facts["events"]:
            return []
        pairs = [("AccountSid", self.account), ("ApiVersion", "2010-04-01"), ("CallSid", call.sid), ("CallStatus", status),
                 ("Called", call.number), ("Caller", call.sender), ("CallbackSource", "call-progress-events"), ("Direction", "outbound-api"),
                 ("From", call.sender), ("SequenceNumber", str(call.facts["sequence"])), ("Timestamp", rfc2822(time.time())),
                 ("To", call.number), *more]
        call.facts["sequence"] += 1
        return [(call.facts["callback"], pairs)]

    async def dial(self, call, steps, script):
        """A call from the first ring to its end. Webhooks of its steps leave as they come about, in one go when scripted otherwise."""
        simulator, hooks, final = self.simulator, [], script.call

        def went(*args, **kwargs):
            found = self.progress(call, *args, **kwargs)
            if script.receipts == "once":
                simulator.tell(self, script, found, call)
            hooks.extend(found)
        try:
            went("queued", script, "initiated")
            went("ringing", script, "ringing")
            if script.rings:
                await asyncio.sleep(script.rings)
            if final not in ("answer", "machine"):
                went(final, script, "completed", [("CallDuration", "0"), ("Duration", "0"),
                                                  ("SipResponseCode", {"busy": "486", "no-answer": "487", "failed": "404"}.get(final, "487"))])
                return
            by = ("machine_start" if final == "machine" else "human") if call.facts["detect"] else None
            call.facts["record"]["answered_by"] = by
            more = [("AnsweredBy", by)] if by and not call.facts["asynchronous"] else []
            simulator.change(call, answered=True, machine=final == "machine")
            went("in-progress", script, "answered", more)
            if call.facts["url"]:
                steps = await self.ask(call, call.facts["url"], call.facts["method"], more)
            await simulator.play(self, call, steps, script)
            went("completed", script, "completed", [("CallDuration", "1"), ("Duration", "1"), *more])
        except asyncio.CancelledError:
            went(call.facts["record"]["status"] if call.facts["record"]["status"] in FINAL_CALLS else "completed", script, "completed",
                 [("CallDuration", "0"), ("Duration", "0")])
        finally:
            if script.receipts in ("reversed", "early"):
                simulator.tell(self, script, hooks, call)
            simulator.change(call, over=True, waiting=False)

    async def ask(self, call, url, method, pairs):
        """The TwiML that an address answers with."""
        pairs = [("AccountSid", self.account), ("ApiVersion", "2010-04-01"), ("CallSid", call.sid), ("CallStatus", "in-progress"),
                 ("Called", call.number), ("Caller", call.sender), ("Direction", "outbound-api"), ("From", call.sender),
                 ("To", call.number), *pairs]
        got = await self.simulator.post(self, (url, pairs), method=method)
        if got is None:
            return [("say", "An application error has occurred.")]
        try:
            if got[1].get("content-type", "").split(";")[0] not in ("text/xml", "application/xml"):
                raise voice.Wrong(f"Content-Type is {got[1].get('content-type')!r}")
            return voice.twiml(got[2].decode(), url)
        except (voice.Wrong, UnicodeDecodeError) as why:
            self.simulator.violate(f"twilio: the answer of {url}: {why}")
            return [("say", "An application error has occurred.")]

    async def pressed(self, call, how, digits):
        return await self.ask(call, how["action"], how["method"], [("Digits", digits), ("FinishedOnKey", ""), ("msg", "Gather End")])

    # ---- webhooks

    def sealed(self, hook, script=None, method="POST"):
        """(method, address, headers, body) of a webhook."""
        url, pairs = hook
        pairs = pairs + list((script.extra if script else {}).items())
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "User-Agent": "TwilioProxy/1.1",
                   "I-Twilio-Idempotency-Token": str(uuid.uuid4()), "Accept": "*/*"}
        if not (script and script.unsigned):
            token = "another" if script and script.forged else self.token
            headers["X-Twilio-Signature"] = signing.twilio(token, url, pairs)
        return method, url, headers, urllib.parse.urlencode(pairs).encode()

    def inbound(self, number, to, body, sid=None):
        """Somebody writes to one of our numbers."""
        sid, first = sid or "SM" + uuid.uuid4().hex, body.strip().upper()
        stop, start = first in STOP, first in START
        for ours in self.numbers | {to}:
            if ours == to and stop:
                self.stopped.add((number, ours))
            if ours == to and start:
                self.stopped.discard((number, ours))
        pairs = [("ToCountry", "ZA"), ("ToState", ""), ("SmsMessageSid", sid), ("NumMedia", "0"), ("ToCity", ""), ("FromZip", ""),
                 ("SmsSid", sid), ("FromState", ""), ("SmsStatus", "received"), ("FromCity", ""), ("Body", body), ("FromCountry", "ZA"),
                 ("To", to), ("NumSegments", str(segments(body)[0])), ("MessageSid", sid), ("AccountSid", self.account),
                 ("From", number), ("ApiVersion", "2010-04-01")]
        return self.simulator.public_url + "/hooks/twilio/text", pairs

    def heard_back(self, hook, got):
        """What a webhook about a text was answered with may be TwiML that says more."""
        if got[2] and got[1].get("content-type", "").split(";")[0] in ("text/xml", "application/xml"):
            pairs = dict(hook[1])
            try:
                for step in voice.twiml(got[2].decode(), hook[0]):
                    if step[0] == "text":
                        self.simulator.receive(pairs["From"], Text(step[1], pairs["To"], "twilio", "SM" + uuid.uuid4().hex, time.time()))
            except voice.Wrong as why:
                self.simulator.violate(f"twilio: the answer of {hook[0]}: {why}")


def moment(value):
    """(first, last) second of a date or time."""
    for form, length in (("%Y-%m-%d", 86400), ("%Y-%m-%dT%H:%M:%SZ", 1)):
        try:
            at = calendar.timegm(time.strptime(value, form))
            return at, at + length
        except ValueError:
            continue
    raise Refuse(20001, f"no date: {value!r}")
