"""The simulator itself: one thread, scripts, phones, webhooks, and what tests ask of it."""
import asyncio
import json
import threading
import time
from dataclasses import dataclass

from . import signing, voice
from .http import Answer, Carrier, Connection, Unreachable
from .phone import Phone, Text
from .script import Script
from .tls import Authority
from .twilio import Twilio
from .vonage import Vonage

MENUS_MAX = 20  # of one call; nobody listens longer


@dataclass
class Hit:
    """A request that came."""
    provider: str
    kind: str
    number: str
    status: int  # 0: no answer was given
    done: bool
    at: float    # time.time()


@dataclass
class Hook:
    """A webhook that was sent."""
    provider: str
    url: str
    values: dict
    status: int  # 0: nobody answered
    good: bool   # signed as it should be
    seconds: float
    at: float


class Simulator:
    def __init__(self, tls=False, port=0, folder=None, public_url="https://mayday.example", accounts=None):
        self.lock = threading.Condition()
        self.public_url = public_url
        self.routes = {public_url: []}
        self.scripts, self.phones, self.violations, self.hits, self.hooks = [], {}, [], [], []
        self.webhooks, self.webhook_secret = {}, signing.word(16)
        self.patience = 30.0     # seconds that somebody who holds a phone thinks about a menu
        self.retries = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # Vonage's, after a 429, a 5xx or silence
        self.under_way = 0       # webhooks, and answers that webhooks follow
        self.notices = []        # called with a line for whoever watches
        self.extra = None        # takes a request first: for the command line
        self.keep = True         # what came and was sent; a bench does without
        self.counts = {}
        self.authority = Authority(folder) if tls else None
        self.twilio, self.vonage = Twilio(self), Vonage(self)
        self.providers = {"twilio": self.twilio, "vonage": self.vonage}
        self.port, self.tasks, self.connections = port, set(), set()
        if accounts:
            self.take_accounts(accounts)

    # ---- life

    @property
    def url(self):
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        if self.failed:
            raise self.failed
        return self

    failed = None

    def run(self, ready):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self.main(ready))
        except OSError as why:
            self.failed = why
            ready.set()
        finally:
            self.loop.close()

    async def main(self, ready):
        self.ending = asyncio.Event()
        self.carrier = Carrier(self.routes)
        context = self.authority.context() if self.authority else None
        server = await self.loop.create_server(lambda: Connection(self.take, self.violate, self.connections), "127.0.0.1", self.port,
                                               ssl=context, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self.ending.wait()
        server.close()
        for each in list(self.connections):
            each.transport.abort()
        while self.tasks:  # a call that ends has more to tell
            leaving = list(self.tasks)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        self.carrier.close()

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.ending.set)
            self.thread.join(20)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def soon(self, what, *args):
        self.loop.call_soon_threadsafe(what, *args)

    def spawn(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.ended)
        return task

    def ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.violate(f"the simulator itself: {task.exception()!r}")

    # ---- what tests say

    def script(self, number="*", provider="*", kind="*", **how):
        """An instruction; see Script. The youngest that fits counts. Returns it: `used` tells how often it was."""
        made = Script(number, provider, kind, **how)
        with self.lock:
            self.scripts.insert(0, made)
        return made

    def down(self, provider="*", **how):
        """Everything of a provider fails, its lists too; up() ends it."""
        return self.script("*", provider, "all", **(how or {"http": 503}))

    def up(self, script=None):
        """Takes an instruction back, or all."""
        with self.lock:
            self.scripts = [s for s in self.scripts if script is not None and s is not script]

    def phone(self, number):
        with self.lock:
            return self.phones.setdefault(number, Phone(self, number))

    def route(self, *ports, url=None):
        """Where the public address leads to: one or more ports of this machine, tried in their order."""
        self.routes[url or self.public_url] = [("127.0.0.1", port) for port in ports]

    def route_more(self, port):
        """One more gateway behind the public address."""
        self.routes[self.public_url] = self.routes[self.public_url] + [("127.0.0.1", port)]

    def webhook(self, name):
        """The address of a webhook for a plan; what comes there is in webhooks[name]."""
        self.webhooks.setdefault(name, [])
        return f"{self.url}/webhook/{name}"

    def inbound(self, provider, number, to, body, times=1, script=None, wait=True):
        """A text to one of our numbers, the same one so many times. Returns the statuses of the webhooks' answers."""
        account = self.providers[provider]
        hook = account.inbound(number, to, body)

        async def carry():
            return [await self.post(account, hook, script) for _ in range(times)]
        future = asyncio.run_coroutine_threadsafe(carry(), self.loop)
        return [got and got[0] for got in future.result(60)] if wait else future

    def accounts(self):
        """The accounts and their secrets, for a simulator that is to know the same ones after a restart."""
        twilio, vonage = self.twilio, self.vonage
        return {"twilio": [twilio.account, twilio.token], "vonage": [vonage.key, vonage.secret, vonage.signature, vonage.application, vonage.pem],
                "webhook": self.webhook_secret}

    def take_accounts(self, known):
        self.twilio.account, self.twilio.token = known["twilio"]
        vonage = self.vonage
        vonage.key, vonage.secret, vonage.signature, vonage.application, vonage.pem = known["vonage"]
        vonage.public = signing.public_of(vonage.pem)
        self.webhook_secret = known["webhook"]

    def receipt(self, thing, status, code=None, times=1, **how):
        """Says something of a text or call once more, whenever a test wants it: receipt(phone.texts[0], "undelivered", 30006). `how` as in
        Script: forged, extra... Returns the statuses of the answers."""
        account = self.providers[thing.provider]
        hook = account.receipt(account.record(thing.sid), status, code)
        return self.flood(account.name, [hook] * times, at_once=1, **how)

    def flood(self, provider, hooks, at_once=16, **how):
        """Sends many webhooks at once; the statuses of the answers, 0 where there was none. `hooks`: as an account's receipt() and inbound()
        make them."""
        account, script, left = self.providers[provider], Script(**how), iter(hooks)

        async def carry():
            return [(await self.send_once(account, hook, script))[0] for hook in left]

        async def all_of_them():
            return await asyncio.gather(*(carry() for _ in range(at_once)))
        found = asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result(600)
        return [status for part in found for status in part]

    # ---- what tests ask

    def wait(self, condition, what, timeout=30, show=None):
        with self.lock:
            value = condition()
            deadline = time.monotonic() + timeout
            while not value:
                if not self.lock.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise AssertionError(f"never came true: {what}; there is {show() if show else self.summary()}")
                value = condition()
            return value

    def quiet(self, timeout=30):
        """Every webhook that is due has been answered."""
        self.wait(lambda: not self.under_way, "no webhook is under way", timeout)

    def wait_hits(self, count, timeout=30, **like):
        """The requests that are like this, once there are so many."""
        self.wait(lambda: len(self.found(**like)) >= count, f"{count} requests like {like}", timeout)
        return self.found(**like)

    def found(self, **like):
        return [hit for hit in self.hits if all(getattr(hit, name) == value for name, value in like.items())]

    def summary(self):
        return f"requests: {self.hits[-10:]}, violations: {self.violations[-5:]}"

    def texts(self):
        """Everything that any phone received, in order."""
        with self.lock:
            return sorted((t for p in self.phones.values() for t in p.texts), key=lambda t: t.at)

    def assert_strict(self):
        """Nothing came that a provider would have refused, no webhook was refused that was a provider's, and none taken that was not."""
        with self.lock:
            assert not self.violations, "\n".join(self.violations)

    def forgive(self):
        """The violations so far, which do not count any more."""
        with self.lock:
            had, self.violations = self.violations, []
            return had

    def settings(self, folder, sms="twilio vonage", voice="twilio vonage"):
        """Settings of a gateway that uses these providers, and the files of secrets they name: {section: {key: value}}."""
        def secret(name, value):
            at = folder / name
            at.write_text(value + "\n")
            at.chmod(0o600)
            return at
        twilio, vonage = self.twilio, self.vonage
        notify = {"sms": sms, "voice": voice, "public_url": self.public_url}
        if self.authority:
            notify["cafile"] = self.authority.file(folder)
        return {
            "notify": notify,
            "twilio": {"account_sid": twilio.account, "token_file": secret("twilio.token", twilio.token), "url": self.url,
                       "sms_from": "+27=+27600100200 *=+15550100200", "voice_from": "+27=+27600100200 *=+15550100200"},
            "vonage": {"api_key": vonage.key, "secret_file": secret("vonage.secret", vonage.secret),
                       "signature_file": secret("vonage.signature", vonage.signature), "application_id": vonage.application,
                       "private_key_file": secret("vonage.pem", vonage.pem), "sms_from": "+27=+27600200200 *=+15550200200",
                       "voice_from": "+27=+27600200200 *=+15550200200", "sms_url": self.url, "api_url": self.url},
            "webhook": {"secret_file": secret("webhook.secret", self.webhook_secret), "plain_http": "no" if self.authority else "yes"},
        }

    # ---- the loop's side: requests

    def take(self, request):
        try:
            return self.answer(request)
        except Exception as why:  # noqa: BLE001 - a fault of the simulator's must fail the test, not hang it
            self.violate(f"the simulator itself: {why!r}")
            return Answer(500, b"{}")

    def answer(self, request):
        with self.lock:
            if self.extra:
                answer = self.extra(request)
                if answer:
                    return answer
            if request.path.startswith("/webhook/"):
                return self.take_webhook(request)
            for each in self.providers.values():
                answer = each.handle(request)
                if answer:
                    return answer
            self.violate(f"nobody answers {request.method} {request.path}")
            return Answer(404, b"{}")

    def violate(self, what):
        with self.lock:
            self.violations.append(what)
            self.notice(f"VIOLATION {what}")
            self.lock.notify_all()

    def choose(self, provider, kind, number):
        for each in self.scripts:
            if each.fits(provider, kind, number):
                each.used += 1
                return each
        return Script()

    def log(self, provider, kind, number, status, done):
        key = (provider, kind, status)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.keep:
            self.hits.append(Hit(provider, kind, number, status, done, time.time()))
        self.lock.notify_all()

    def under(self, provider, script, kind, number, do):
        """Answers as scripted. `do` does what is asked for, and returns its answer and what comes of it later."""
        answer, later = do() if script.done else (Answer(), None)
        if script.http is not None:
            answer = provider.outage(script)
        elif script.code is not None:
            answer = provider.refusal(script)
        fault = script.fault or ""
        if fault.startswith("hang"):
            answer.never = True
        elif fault.startswith("cut"):
            answer.cut = True
        elif fault == "html":
            answer.body, answer.type = b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>", "text/html"
        elif fault == "garbage":
            answer.body = b'{"sid": "\xff\xfe\x00", [[[' + bytes(range(256))
        elif fault == "huge":
            answer.body = b'{"sid": "' + b"A" * script.size
        elif fault == "short":
            answer.claim = len(answer.body) + 500
        answer.wait = script.slow
        if kind:
            status = 0 if answer.never or answer.cut else answer.status
            self.log(provider.name, kind, number, status, script.done)
            self.notice(f"{provider.name}-{kind} to {number}: {status or 'no answer'}{'' if script.done else ', not done'}")
        if later:
            if script.receipts == "early" or script.fault or script.slow:
                later()
            else:
                self.under_way += 1
                answer.after = lambda: self.afterwards(later)
        return answer

    def afterwards(self, later):
        with self.lock:
            later()
            self.under_way -= 1
            self.lock.notify_all()

    def take_webhook(self, request):
        """A webhook of a plan: the posts of Mayday's own."""
        name, id_ = request.path[len("/webhook/"):], request.headers.get("x-mayday-id")
        fault = signing.mayday_fault(self.webhook_secret, request.headers.get("x-mayday-signature"), request.body, time.time())
        if name not in self.webhooks:
            fault = f"there is no webhook {name}"
        elif request.method != "POST":
            fault = f"{request.method} of a webhook"
        elif request.headers.get("content-type", "").split(";")[0] != "application/json":
            fault = f"Content-Type is {request.headers.get('content-type')!r}"
        elif not id_:
            fault = "no X-Mayday-Id"
        try:
            said = json.loads(request.body)
        except ValueError:
            said, fault = None, fault or "the body is no JSON"
        script = self.choose("webhook", "webhook", name)
        if fault:
            self.violate(f"webhook {name}: {fault}")

        def do():
            if not fault:
                self.webhooks[name].append({"id": id_, "at": time.time(), "body": said, "headers": request.headers})
            return Answer(401 if fault else 200, b"{}"), None
        return self.under(self, script, "webhook", name, do)

    name = "webhook"

    def outage(self, script):
        return Answer(script.http, b"", "text/plain", {"Retry-After": str(script.retry_after)} if script.retry_after is not None else {})

    def refusal(self, script):
        return Answer(script.code, b"", "text/plain")

    # ---- phones

    def receive(self, number, text):
        with self.lock:
            self.phones.setdefault(number, Phone(self, number)).texts.append(text)
            self.notice(f"{number} text by {text.provider}: {text.body}")
            self.lock.notify_all()

    def change(self, call, **values):
        with self.lock:
            for name, value in values.items():
                setattr(call, name, value)
            if "status" in values:
                self.notice(f"{call.number} call by {call.provider}: {call.status}")
            self.lock.notify_all()

    def ring(self, call, coroutine):
        with self.lock:
            call.keys = asyncio.Queue()
            self.phones.setdefault(call.number, Phone(self, call.number)).calls.append(call)
            call.task = self.spawn(coroutine)
            self.lock.notify_all()

    def end(self, call):
        """The caller gave up."""
        if call.task:
            call.task.cancel()

    def hear(self, call, steps):
        with self.lock:
            for step in steps:
                if step[0] == "say":
                    call.heard.append(step[1])
                    self.notice(f"{call.number} hears: {step[1]}")
            self.lock.notify_all()

    async def play(self, provider, call, steps, script):
        """Goes through what is said and asked in a call, whatever it leads to."""
        keys = None if script.keys is None else list(script.keys)
        if call.machine:
            keys = [None] * MENUS_MAX
        while steps:
            step, steps = steps[0], steps[1:]
            if step[0] == "say":
                self.hear(call, [step])
            elif step[0] == "hang up":
                return
            elif step[0] == "go":
                steps = await provider.ask(call, step[1], "POST", [])
            elif step[0] == "menu":
                if call.menus >= MENUS_MAX:
                    self.violate(f"{provider.name}: a call with more than {MENUS_MAX} menus")
                    return
                self.hear(call, step[1])
                digits = await self.key(call, keys)
                if digits == "hang up":
                    return
                if digits or step[2]["empty"]:
                    steps = await provider.pressed(call, step[2], digits)

    async def key(self, call, keys):
        """What is pressed: digits, "" for nothing, or "hang up"."""
        if keys is not None:
            self.change(call, menus=call.menus + 1)
            key = keys.pop(0) if keys else "hang up"
            key = key or ""
        else:
            self.change(call, menus=call.menus + 1, waiting=True)
            try:
                key = await asyncio.wait_for(call.keys.get(), self.patience)
            except asyncio.TimeoutError:
                key = "hang up"
            self.change(call, waiting=False)
        if key and key != "hang up":
            with self.lock:
                call.pressed.append(key)
                self.notice(f"{call.number} presses {key}")
        return key

    # ---- webhooks

    def ours(self, url):
        """An address we are to send webhooks to must be within the public one."""
        if not url.startswith(self.public_url + "/"):
            raise voice.Wrong(f"{url} is not within {self.public_url}")

    def tell(self, provider, script, hooks, call=None):
        """Sends webhooks, one after the other, as scripted."""
        if script.receipts == "never" or not hooks:
            return
        if script.receipts == "reversed":
            hooks = hooks[::-1]
        hooks = [hook for hook in hooks for _ in range(script.repeat)]
        with self.lock:
            self.under_way += len(hooks)
        before = call.facts.get("telling") if call else None  # a call's webhooks leave in the order of its life

        async def carry():
            left = len(hooks)
            try:
                if before:
                    await asyncio.wait([before])
                if script.late:
                    await asyncio.sleep(script.late)
                for hook in hooks:
                    await self.post(provider, hook, script)
                    left -= 1
                    with self.lock:
                        self.under_way -= 1
                        self.lock.notify_all()
            finally:
                with self.lock:
                    self.under_way -= left
                    self.lock.notify_all()
        task = self.spawn(carry())
        if call:
            call.facts["telling"] = task

    async def post(self, provider, hook, script=None, method="POST"):
        """Sends one webhook, again where the provider would; what was answered, or None."""
        waits = iter(self.retries if provider.name == "vonage" else ())
        while True:
            got = await self.send_once(provider, hook, script, method)
            if got[0] != 429 and 0 < got[0] < 500:
                if got[0] in (200, 204) and hook[0].split("?")[0].endswith("/text"):
                    provider.heard_back(hook, got)
                return got if got[0] in (200, 204) else None
            wait = next(waits, None)
            if wait is None:
                return None
            await asyncio.sleep(wait)

    async def send_once(self, provider, hook, script=None, method="POST"):
        """(status, headers, body); status 0 when nobody answered."""
        good = not (script and (script.forged or script.unsigned))
        how, url, headers, body = provider.sealed(hook, script, method)
        began = time.monotonic()
        try:
            got = await self.carrier.send(how, url, headers, body)
        except Unreachable:
            got = (0, {}, b"")
        except asyncio.TimeoutError:
            got = (0, {}, b"")
            self.violate(f"{provider.name}: {url} did not answer within 15 seconds")
        self.note(provider, hook, got[0], good, time.monotonic() - began)
        if good and 200 <= got[0] < 500 and got[0] not in (200, 204, 429):
            self.violate(f"{provider.name}: {url} answered {got[0]}")
        if not good and got[0] in (200, 204):
            self.violate(f"{provider.name}: {url} took a forged webhook")
        return got

    def note(self, provider, hook, status, good, seconds):
        with self.lock:
            key = (provider.name, "hook", status)
            self.counts[key] = self.counts.get(key, 0) + 1
            if self.keep:
                self.hooks.append(Hook(provider.name, hook[0], dict(hook[1]), status, good, seconds, time.time()))
            self.lock.notify_all()

    def notice(self, line):
        for each in self.notices:
            each(line)


__all__ = ["Hit", "Hook", "Simulator", "Text"]
