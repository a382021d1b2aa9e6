"""Vonage's SMS API, Voice API v1 and Reports API v2, as far as texts and calls go, and their webhooks."""
import asyncio
import base64
import datetime
import json
import re
import time
import urllib.parse
import uuid

from . import signing, voice
from .http import Answer
from .phone import Call, Text
from .script import segments

DIGITS = re.compile(r"[1-9]\d{6,14}")
NAME = re.compile(r"[A-Za-z0-9 ]{1,11}")
TEXT_FIELDS = {"api_key", "api_secret", "from", "to", "text", "type", "ttl", "status-report-req", "callback", "message-class", "body",
               "udh", "protocol-id", "client-ref", "account-ref", "entity-id", "content-id"}
CALL_FIELDS = {"to", "from", "random_from_number", "ncco", "answer_url", "answer_method", "event_url", "event_method",
               "machine_detection", "advanced_machine_detection", "length_timer", "ringing_timer"}
WORDS = {1: "Throttled", 2: "Missing to param", 3: "Invalid to param", 4: "Bad Credentials", 5: "Internal Error", 6: "Invalid message",
         7: "Number barred", 8: "Partner account barred", 9: "Partner quota violation", 10: "Too many existing binds",
         11: "Account not enabled for HTTP", 12: "Message too long", 14: "Invalid signature", 15: "Invalid sender address",
         22: "Invalid network code", 23: "Invalid callback URL", 29: "Non-whitelisted destination"}
STATES = {"answer": "answered", "busy": "busy", "no-answer": "timeout", "failed": "failed", "canceled": "cancelled", "machine": "machine",
          "rejected": "rejected", "unanswered": "unanswered"}
RECEIPTS = {"delivered": ("delivered", "0"), "undelivered": ("failed", "6"), "failed": ("failed", "1"), "expired": ("expired", "4"),
            "rejected": ("rejected", "99")}
FINAL = ("completed", "busy", "timeout", "failed", "cancelled", "rejected", "unanswered")


def iso(at, form="%Y-%m-%dT%H:%M:%S.000Z"):
    return None if at is None else time.strftime(form, time.gmtime(at))


class Refuse(Exception):
    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


class Vonage:
    name = "vonage"

    def __init__(self, simulator):
        self.simulator = simulator
        self.key, self.secret, self.signature = signing.word(4), signing.word(8), signing.word(16)
        self.application = str(uuid.uuid4())
        self.pem, self.public = signing.one_rsa()
        self.numbers = {"15550200200", "27600200200"}
        self.messages, self.calls, self.good_tokens = {}, {}, {}
        self.lag = 0.0  # seconds until the reports know a message
        self.sms_hooks = "sig"  # how webhooks of texts are signed: by `sig` in them, or "jwt"
        self.sms_method = "POST-JSON"  # or "POST", "GET"

    # ---- requests

    def handle(self, request):
        if request.path == "/sms/json":
            return self.send_text(request)
        try:
            if request.path == "/v1/calls":
                self.bearer(request)
                return self.make_call(request) if request.method == "POST" else self.list_calls(request)
            if request.path.startswith("/v1/calls/"):
                self.bearer(request)
                return self.one_call(request, request.path.split("/")[3])
            if request.path == "/v2/reports/records":
                return self.records(request)
        except (Refuse, voice.Wrong) as why:
            return self.violated(getattr(why, "status", 400), str(why))
        return None

    def violated(self, status, why):
        self.simulator.violate(f"vonage: {why}")
        return self.fault(status, why)

    def fault(self, status, why="refused"):
        kinds = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "TOO_MANY_REQUESTS"}
        body = {"type": kinds.get(status, "INTERNAL_SERVER_ERROR"), "error_title": kinds.get(status, "Internal error").replace("_", " ").title(),
                "detail": why}
        return Answer(status, json.dumps(body).encode())

    def outage(self, script):
        answer = self.fault(script.http)
        if script.retry_after is not None:
            answer.headers["Retry-After"] = str(script.retry_after)
        return answer

    def refusal(self, script):
        """Texts are refused inside a 200; calls by a status."""
        if script.code < 100:
            return self.statuses([script.code], "", "")
        return self.fault(script.code)

    def bearer(self, request):
        head = request.headers.get("authorization", "")
        if not head.startswith("Bearer "):
            raise Refuse(401, "no bearer token")
        token, now = head[7:], time.time()
        if self.good_tokens.get(token, 0) > now:
            return
        fault = signing.application_fault(self.public, token, self.application, now)
        if fault:
            raise Refuse(401, fault)
        if len(self.good_tokens) > 1000:
            self.good_tokens.clear()
        self.good_tokens[token] = min(now + 60, json.loads(signing.unb64url(token.split(".")[1])).get("exp", now + 60))

    # ---- texts

    def statuses(self, statuses, to, ref, ids=()):
        entries = []
        for place, status in enumerate(statuses):
            if int(status):
                entries.append({"status": str(status), "error-text": WORDS.get(int(status), "Refused"), **({"to": to} if to else {})})
            else:
                entries.append({"to": to, "message-id": ids[place], "status": "0", "remaining-balance": "9.53200000",
                                "message-price": "0.03330000", "network": "65501", **({"client-ref": ref} if ref else {})})
        body = {"message-count": str(len(entries)), "messages": entries}
        return Answer(200, json.dumps(body).encode())

    def wrong(self, status, why):
        self.simulator.violate(f"vonage: {why}")
        return self.statuses([status], "", "")

    def send_text(self, request):
        if request.method != "POST":
            return self.wrong(11, f"{request.method} /sms/json")
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            return self.wrong(2, f"Content-Type is {request.headers.get('content-type')!r}")
        if request.query:
            return self.wrong(2, "parameters in the address: secrets would be in logs")
        try:
            pairs = request.form()
        except (ValueError, UnicodeDecodeError) as why:
            return self.wrong(6, f"the form is malformed: {why}")
        values = dict(pairs)
        for name, _ in pairs:
            if name not in TEXT_FIELDS:
                return self.wrong(2, f"there is no parameter {name}")
        if len(values) != len(pairs):
            return self.wrong(2, "a parameter comes twice")
        if values.get("api_key") != self.key or values.get("api_secret") != self.secret:
            return self.wrong(4, "wrong credentials")
        for name in ("from", "to", "text"):
            if not values.get(name):
                return self.wrong(2, f"{name} is missing")
        if not DIGITS.fullmatch(values["to"]):
            return self.wrong(3, f"to is {values['to']!r}")
        if values["from"] not in self.numbers and (values["from"].isdigit() or not NAME.fullmatch(values["from"])):
            return self.wrong(15, f"from is {values['from']!r}")
        if values.get("type", "text") not in ("text", "unicode"):
            return self.wrong(6, f"type is {values['type']!r}")
        parts, plain = segments(values["text"])
        if not plain and values.get("type", "text") == "text":
            return self.wrong(6, "the text is not GSM-7 and its type not unicode: it would arrive as question marks")
        if values.get("type") == "unicode":
            length = len(values["text"].encode("utf-16-le")) // 2
            parts = 1 if length <= 70 else -(-length // 67)
        if len(values["text"]) > 3200:
            return self.wrong(12, f"a text of {len(values['text'])} characters")
        if len(values.get("client-ref", "")) > 100:
            return self.wrong(6, "client-ref has more than 100 characters")
        if "ttl" in values and not (values["ttl"].isdigit() and 20000 <= int(values["ttl"]) <= 604800000):
            return self.wrong(6, f"ttl is {values['ttl']!r}")
        if "callback" in values:
            try:
                self.simulator.ours(voice.url(values["callback"], "callback"))
            except voice.Wrong as why:
                return self.wrong(23, str(why))
        to = "+" + values["to"]
        script = self.simulator.choose("vonage", "sms", to)

        def do():
            ids = [str(uuid.uuid4()) for _ in range(parts)]
            fates = list(script.parts or [0] * parts)
            fates += [0] * (parts - len(fates))
            now = time.time()
            records = []
            for place, id_ in enumerate(ids):
                if not int(fates[place]):
                    records.append({"id": id_, "to": values["to"], "from": values["from"], "body": values["text"], "at": now, "done": None,
                                    "status": "accepted", "code": "0", "ref": values.get("client-ref"),
                                    "callback": values.get("callback") or self.simulator.public_url + "/hooks/vonage/status"})
                    self.messages[id_] = records[-1]
            answer = self.statuses(fates[:parts], values["to"], values.get("client-ref"), ids)
            hooks = self.deliver(records, script, len(records) == parts)
            return answer, lambda: self.simulator.tell(self, script, hooks)
        return self.simulator.under(self, script, "sms", to, do)

    def deliver(self, records, script, whole):
        """What becomes of a text, at once. Returns the webhooks that tell of it."""
        if script.text in ("queued", "sent") or not records:
            return []
        status, code = RECEIPTS[script.text]
        code = str(script.text_code) if script.text_code else code
        for record in records:
            record.update(status=status, code=code, done=time.time())
        first = records[0]
        if status == "delivered" and whole:
            self.simulator.receive("+" + first["to"], Text(first["body"], ("+" if first["from"].isdigit() else "") + first["from"], "vonage",
                                                           first["id"], time.time()))
        told = [["accepted", "0"]] * (script.receipts == "reversed") + [[status, code]]
        return [self.receipt(record, *each) for each in told for record in records]

    def receipt(self, record, status, code="0"):
        """The webhook that says so of a text or call."""
        if "call" in record:
            values = {"from": record["from"], "to": record["to"], "uuid": record["id"], "conversation_uuid": record["conversation"],
                      "status": status, "direction": "outbound", "timestamp": iso(time.time())}
            return record["call"].facts["event"], values, "voice"
        values = {"msisdn": record["to"], "to": record["from"], "network-code": "65501", "messageId": record["id"], "price": "0.03330000",
                  "status": status, "scts": iso(time.time(), "%y%m%d%H%M"), "err-code": str(code or "0"), "api-key": self.key,
                  "message-timestamp": iso(time.time(), "%Y-%m-%d %H:%M:%S")}
        if record["ref"]:
            values["client-ref"] = record["ref"]
        return record["callback"], values, "sms"

    def record(self, id_):
        return self.messages.get(id_) or self.calls[id_]

    def records(self, request):
        said = "Basic " + base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()
        if request.headers.get("authorization") != said:
            raise Refuse(401, "wrong credentials for reports")
        known = {"account_id", "product", "direction", "id", "date_start", "date_end", "include_message", "status", "to", "from", "client_ref",
                 "account_ref", "country", "network", "cursor", "iv", "show_concatenated"}
        values = dict(request.query)
        unknown = set(values) - known
        if unknown or len(values) != len(request.query):
            raise Refuse(422, f"parameters that are unknown or come twice: {sorted(values)}")
        if values.get("account_id") != self.key:
            raise Refuse(403, f"account_id is {values.get('account_id')!r}")
        product = values.get("product")
        if product not in ("SMS", "VOICE-CALL"):
            raise Refuse(422, f"product is {product!r}")
        if values.get("direction", "outbound" if product == "VOICE-CALL" else None) not in ("inbound", "outbound"):
            raise Refuse(422, f"direction is {values.get('direction')!r}")
        rows = list((self.messages if product == "SMS" else self.calls).values())
        lost = []
        if "id" in values:
            if {"date_start", "date_end", "status"} & set(values):
                raise Refuse(422, "id together with dates or a status")
            asked = values["id"].split(",")
            rows = [r for r in rows if r["id"] in asked]
            lost = [id_ for id_ in asked if id_ not in {r["id"] for r in rows}]
        else:
            first, last = (when(values.get(name), name) for name in ("date_start", "date_end"))
            if not 0 < last - first <= 86400:
                raise Refuse(422, f"dates of more than 24 hours, or in the wrong order: {values['date_start']} {values['date_end']}")
            rows = [r for r in rows if first <= int(r["at"]) < last or first <= r["at"] < last]
        for name, key in (("to", "to"), ("from", "from"), ("status", "status"), ("client_ref", "ref")):
            if name in values:
                rows = [r for r in rows if r.get(key) == values[name]]
        rows = [r for r in rows if r["at"] + self.lag <= time.time()] if values.get("direction") != "inbound" else []
        render = self.sms_record if product == "SMS" else self.call_record
        body = {"_links": {"self": {"href": f"https://api.nexmo.com{request.target}"}}, "request_id": str(uuid.uuid4()),
                "request_status": "SUCCESS", "received_at": iso(time.time(), "%Y-%m-%dT%H:%M:%S+00:00"), "items_count": len(rows),
                "product": product, "account_id": self.key, "direction": values.get("direction", "outbound"),
                "records": [render(r, values.get("include_message") == "true") for r in rows]}
        if lost:
            body["ids_not_found"] = ",".join(lost)
        script = self.simulator.choose("vonage", "list", "+" + values.get("to", ""))
        self.simulator.log("vonage", "list", "+" + values.get("to", ""), 200, True)
        return self.simulator.under(self, script, None, "", lambda: (Answer(200, json.dumps(body).encode()), None))

    def sms_record(self, r, with_text):
        form = "%Y-%m-%dT%H:%M:%S+0000"
        return {"account_id": self.key, "message_id": r["id"], "client_ref": r["ref"], "direction": "outbound", "from": r["from"], "to": r["to"],
                **({"message_body": r["body"]} if with_text else {}), "network": "65501", "network_name": "Vodacom", "country": "ZA",
                "country_name": "South Africa", "date_received": iso(r["at"], form), "date_finalized": iso(r["done"], form),
                "latency": "1000", "status": r["status"], "error_code": r["code"], "error_code_description": "", "currency": "EUR",
                "total_price": "0.03330000"}

    def call_record(self, r, _):
        form = "%Y-%m-%dT%H:%M:%S+0000"
        return {"account_id": self.key, "call_id": r["id"], "conversation_id": r["conversation"], "direction": "outbound", "from": r["from"],
                "to": r["to"], "network": "65501", "network_name": "Vodacom", "country": "ZA", "country_name": "South Africa",
                "date_start": iso(r["at"], form), "date_end": iso(r["ended"], form), "duration": "1", "status": r["status"],
                "status_description": "", "currency": "EUR", "price": "0.01", "total_price": "0.01"}

    # ---- calls

    def make_call(self, request):
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refuse(400, f"Content-Type is {request.headers.get('content-type')!r}")
        try:
            said = json.loads(request.body)
        except ValueError as why:
            raise Refuse(400, f"the body is no JSON: {why}") from why
        if not isinstance(said, dict) or set(said) - CALL_FIELDS:
            raise Refuse(400, f"unknown members: {sorted(set(said) - CALL_FIELDS) if isinstance(said, dict) else said!r}")
        to = said.get("to")
        if not isinstance(to, list) or len(to) != 1 or not isinstance(to[0], dict) or set(to[0]) - {"type", "number", "dtmfAnswer"}:
            raise Refuse(400, f"to is {to!r}")
        sender = said.get("from")
        if not isinstance(sender, dict) or set(sender) - {"type", "number"}:
            raise Refuse(400, f"from is {sender!r}")
        for name, each in (("to", to[0]), ("from", sender)):
            if each.get("type") != "phone" or not isinstance(each.get("number"), str) or not DIGITS.fullmatch(each["number"]):
                raise Refuse(400, f"{name} is {each!r}")
        if sender["number"] not in self.numbers:
            raise Refuse(400, f"from is {sender['number']!r}, which is not ours")
        if ("ncco" in said) == ("answer_url" in said):
            raise Refuse(400, "exactly one of ncco and answer_url is needed")
        steps = voice.ncco(said["ncco"]) if "ncco" in said else None
        urls = {}
        for name in ("answer_url", "event_url"):
            if name in said:
                if not isinstance(said[name], list) or len(said[name]) != 1:
                    raise Refuse(400, f"{name} is {said[name]!r}")
                urls[name] = voice.url(said[name][0], name)
                self.simulator.ours(urls[name])
        for name in ("answer_method", "event_method"):
            if said.get(name, "POST") not in ("GET", "POST"):
                raise Refuse(400, f"{name} is {said[name]!r}")
        for name, most in (("ringing_timer", 120), ("length_timer", 7200)):
            value = said.get(name, 1)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise Refuse(400, f"{name} is {value!r}")
        if said.get("machine_detection", "hangup") not in ("continue", "hangup"):
            raise Refuse(400, f"machine_detection is {said['machine_detection']!r}")
        number = "+" + to[0]["number"]
        script = self.simulator.choose("vonage", "voice", number)

        def do():
            now = time.time()
            record = {"id": str(uuid.uuid4()), "conversation": f"CON-{uuid.uuid4()}", "to": to[0]["number"], "from": sender["number"],
                      "at": now, "started": None, "ended": None, "status": "started"}
            call = Call(number, "+" + sender["number"], "vonage", record["id"], now)
            call.facts = {"record": record, "event": urls.get("event_url"), "machine": said.get("machine_detection"),
                          "answer": urls.get("answer_url")}
            record["call"] = call
            self.calls[record["id"]] = record
            body = {"uuid": record["id"], "status": "started", "direction": "outbound", "conversation_uuid": record["conversation"]}
            return Answer(201, json.dumps(body).encode()), lambda: self.simulator.ring(call, self.dial(call, steps, script))
        return self.simulator.under(self, script, "voice", number, do)

    def call_body(self, r):
        return {"_links": {"self": {"href": f"/calls/{r['id']}"}}, "uuid": r["id"], "conversation_uuid": r["conversation"],
                "to": {"type": "phone", "number": r["to"]}, "from": {"type": "phone", "number": r["from"]}, "status": r["status"],
                "direction": "outbound", "rate": "0.39", "price": "0.01", "duration": "1" if r["ended"] else None,
                "start_time": iso(r["started"]), "end_time": iso(r["ended"]), "network": "65501"}

    def one_call(self, request, id_):
        record = self.calls.get(id_)
        self.simulator.log("vonage", "fetch", id_, 200 if record else 404, True)
        if not record:
            return self.fault(404, "no such call")
        if request.method == "GET":
            script = self.simulator.choose("vonage", "fetch", "+" + record["to"])
            body = self.call_body(record)
            return self.simulator.under(self, script, None, "", lambda: (Answer(200, json.dumps(body).encode()), None))
        if request.method == "PUT":
            try:
                said = json.loads(request.body)
            except ValueError as why:
                raise Refuse(400, f"the body is no JSON: {why}") from why
            if said != {"action": "hangup"}:
                raise Refuse(400, f"the action is {said!r}")
            if record["status"] not in FINAL:
                record["status"] = "completed" if record["started"] else "cancelled"
                self.simulator.end(record["call"])
            return Answer(204)
        raise Refuse(405, f"{request.method} of a call")

    def list_calls(self, request):
        known = {"status", "date_start", "date_end", "page_size", "record_index", "order", "conversation_uuid"}
        values = dict(request.query)
        if set(values) - known or len(values) != len(request.query):
            raise Refuse(400, f"parameters that are unknown or come twice: {sorted(values)}")
        rows = list(self.calls.values())
        for name, keep in (("date_start", lambda r, at: r["at"] >= at - 1), ("date_end", lambda r, at: r["at"] <= at + 1)):
            if name in values:
                at = when(values[name], name)
                rows = [r for r in rows if keep(r, at)]
        if "status" in values:
            rows = [r for r in rows if r["status"] == values["status"]]
        if "conversation_uuid" in values:
            rows = [r for r in rows if r["conversation"] == values["conversation_uuid"]]
        if values.get("order", "asc") not in ("asc", "desc"):
            raise Refuse(400, f"order is {values['order']!r}")
        if values.get("order") == "desc":
            rows.reverse()
        size = voice.positive(values.get("page_size", "10"), "page_size", 1, 100)
        start = voice.positive(values.get("record_index", "0"), "record_index", 0)
        body = {"count": len(rows), "page_size": size, "record_index": start,
                "_links": {"self": {"href": f"/calls?page_size={size}&record_index={start}"}},
                "_embedded": {"calls": [self.call_body(r) for r in rows[start:start + size]]}}
        script = self.simulator.choose("vonage", "list", "")
        self.simulator.log("vonage", "list", "", 200, True)
        return self.simulator.under(self, script, None, "", lambda: (Answer(200, json.dumps(body).encode()), None))

    def progress(self, call, status, more=None):
        record = call.facts["record"]
        record["status"] = status
        if status in ("answered", "machine"):
            record["started"] = record["started"] or time.time()
        if status in FINAL:
            record["ended"] = time.time()
        self.simulator.change(call, status=status)
        if not call.facts["event"]:
            return []
        values = {"from": record["from"], "to": record["to"], "uuid": record["id"], "conversation_uuid": record["conversation"],
                  "status": status, "direction": "outbound", "timestamp": iso(time.time()), **(more or {})}
        if status == "completed":
            values.update({"rate": "0.39", "price": "0.01", "duration": "1", "network": "65501", "start_time": iso(record["started"]),
                           "end_time": iso(record["ended"])})
        return [(call.facts["event"], values, "voice")]

    async def dial(self, call, steps, script):
        simulator, hooks, final = self.simulator, [], script.call

        def went(*args):
            found = self.progress(call, *args)
            if script.receipts == "once":
                simulator.tell(self, script, found, call)
            hooks.extend(found)
        try:
            went("started")
            went("ringing")
            if script.rings:
                await asyncio.sleep(script.rings)
            if final not in ("answer", "machine"):
                went(STATES[final])
                return
            simulator.change(call, answered=True, machine=final == "machine")
            went("answered")
            if final == "machine" and call.facts["machine"]:
                went("machine", {"sub_state": "beep_start"})
            if not (final == "machine" and call.facts["machine"] == "hangup"):
                if call.facts["answer"]:
                    steps = await self.ask(call, call.facts["answer"], {"status": "answered"}, "POST")
                await simulator.play(self, call, steps, script)
            went("completed")
        except asyncio.CancelledError:
            status = call.facts["record"]["status"]
            went(status if status in FINAL else "completed")
        finally:
            if script.receipts in ("reversed", "early"):
                simulator.tell(self, script, hooks, call)
            simulator.change(call, over=True, waiting=False)

    async def ask(self, call, url, values, method):
        record = call.facts["record"]
        said = {"from": record["from"], "to": record["to"], "uuid": record["id"], "conversation_uuid": record["conversation"],
                "timestamp": iso(time.time()), **values}
        got = await self.simulator.post(self, (url, said, "voice"))
        if got is None:
            return []
        try:
            if got[1].get("content-type", "").split(";")[0] != "application/json":
                raise voice.Wrong(f"Content-Type is {got[1].get('content-type')!r}")
            return voice.ncco(got[2])
        except voice.Wrong as why:
            self.simulator.violate(f"vonage: the answer of {url}: {why}")
            return []

    async def pressed(self, call, how, digits):
        url = how["action"] or call.facts["event"]
        if not url:
            return []
        return await self.ask(call, url, {"dtmf": {"digits": digits, "timed_out": not digits}}, how["method"])

    # ---- webhooks

    def sealed(self, hook, script=None, method="POST"):
        """(method, address, headers, body) of a webhook."""
        url, values, product = hook
        values = {**values, **(script.extra if script else {})}
        headers, secret = {"User-Agent": "nexmo/1.0"}, "another" if script and script.forged else self.signature
        unsigned = bool(script and script.unsigned)
        sig = product == "sms" and self.sms_hooks == "sig"
        if sig and not unsigned:
            values.update({"nonce": str(uuid.uuid4()), "timestamp": str(int(time.time()))})
            values["sig"] = signing.vonage_sig(secret, values)
        if product == "sms" and self.sms_method != "POST-JSON":
            form = urllib.parse.urlencode(values)
            if self.sms_method == "GET":
                return "GET", url + ("&" if "?" in url else "?") + form, headers, b""
            headers["Content-Type"], body = "application/x-www-form-urlencoded", form.encode()
        else:
            headers["Content-Type"], body = "application/json", json.dumps(values).encode()
        if not sig and not unsigned:
            application = self.application if product == "voice" else None
            headers["Authorization"] = "Bearer " + signing.vonage_jwt(secret, body, self.key, application)
        return "POST", url, headers, body

    def inbound(self, number, to, body, sid=None):
        values = {"msisdn": number[1:], "to": to.lstrip("+"), "messageId": sid or str(uuid.uuid4()), "text": body,
                  "type": "text" if segments(body)[1] else "unicode", "keyword": (body.split() or [""])[0].upper(), "api-key": self.key,
                  "message-timestamp": iso(time.time(), "%Y-%m-%d %H:%M:%S")}
        return self.simulator.public_url + "/hooks/vonage/text", values, "sms"

    def heard_back(self, hook, got):
        """The answer to a webhook about a text says nothing."""


def when(value, name):
    """Seconds of an ISO 8601 time with its offset."""
    try:
        text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", (value or "").replace("Z", "+00:00"))
        at = datetime.datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("no offset")
        return at.timestamp()
    except ValueError as why:
        raise Refuse(422, f"{name} is {value!r}: {why}") from why
