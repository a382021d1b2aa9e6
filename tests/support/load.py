"""Many clients that behave as devices do: each keeps a window of QoS 1 messages in flight, remembers what was acknowledged, and sends
what was not again, with the same id, as soon as the broker is back. What they remember is then compared with the database.

    load = Load(site, random.Random(seed), clients=6)
    load.start()
    ...                      # something terrible
    load.finish()
    load.assert_stored_once(site)
"""
import json
import random
import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from support import messages as m
from support.site import wait_until
from support.wire import PUBACK, Closed, Refused

ACCEPTED = (0, 0x10)  # 0x10: MQTT 5, nobody subscribes
TABLES = ("raise", "location", "chat")
JOINED_ROWS_MAX = 20  # of one open incident, in sql/0010_incident_life.sql


@dataclass
class Message:
    id: str
    table: str
    topic: str
    payload: str
    alert: str = ""


@dataclass
class Sender(threading.Thread):
    """One person's device. Everything it decides comes from its own random numbers, so a seed repeats it as far as threads allow."""
    site: object
    sub: str
    rng: random.Random
    roles: tuple = ("member",)
    version: int = 4
    window: int = 20
    kinds: dict = field(default_factory=lambda: {"location": 8, "raise": 1, "chat": 2})
    pause: float = 0.0  # seconds between messages
    repeats: float = 0.02  # how often something acknowledged is sent again

    def __post_init__(self):
        super().__init__(daemon=True, name=self.sub)
        self.sent, self.acknowledged, self.waiting = {}, {}, OrderedDict()
        self.raised, self.recent = deque(), deque(maxlen=50)  # of what was acknowledged
        self.refused, self.trouble = [], None
        self.producing, self.abandoned, self.closed, self.connects = True, False, 0, 0

    __hash__ = threading.Thread.__hash__

    def run(self):
        try:
            while not self.abandoned and (self.producing or self.waiting):
                self._session()
        except Exception as e:  # shown by the test, not by the thread
            self.trouble = f"{self.sub}: {type(e).__name__}: {e}"

    def _session(self):
        try:
            with self.site.client(self.sub, self.roles, version=self.version) as client:
                self.connects += 1
                self._pump(client)
        except (TimeoutError, Refused):
            raise  # a broker that is there answers, and knows us
        except (Closed, OSError):
            self.closed += 1
            time.sleep(0.02 if self.connects else 0.005)

    def _pump(self, client):
        flying, again = {}, deque(self.waiting.values())
        while not self.abandoned:
            while len(flying) < self.window and (again or self.producing):
                message = again.popleft() if again else self._next()
                flying[client.send_publish(message.topic, message.payload)] = message
                if self.pause:
                    time.sleep(self.pause)
                    break
            if not flying:
                return
            answer = client.take(PUBACK)
            self._answered(flying.pop(answer.packet_id), answer.reason)

    def _answered(self, message, reason):
        self.waiting.pop(message.id, None)
        if reason in ACCEPTED:
            self.acknowledged[message.id] = message
            self.recent.append(message)
            if message.alert:
                self.raised.append(message.alert)
        else:
            self.refused.append((reason, message))

    def _next(self):
        if self.recent and self.rng.random() < self.repeats:
            return self.rng.choice(self.recent)
        message = self._make(self.rng.choices(list(self.kinds), self.kinds.values())[0])
        self.sent[message.id] = self.waiting[message.id] = message
        return message

    def _make(self, kind):
        if kind == "chat" and self.raised:  # in the incident; the later presses have joined it
            body, alert = m.chat(f"{self.sub} {len(self.sent)}"), self.raised[0]
            return Message(body["id"], "chat", m.topic("alert", alert, "chat"), m.dump(body))
        if kind == "raise":
            body, alert = m.raise_(text=f"number {len(self.sent)}"), m.uuid7()
            return Message(body["id"], "raise", m.topic("alert", alert, "raise"), m.dump(body), alert)
        body = m.location()
        return Message(body["id"], "location", m.topic("user", self.sub, "location"), m.dump(body))


class Load:
    made = 0

    def __init__(self, site, rng, clients=6, **options):
        Load.made += 1
        self.site, self.senders = site, []
        for i in range(clients):
            own = {"version": 4 + i % 2, "window": rng.choice([1, 10, 50]), **options}
            self.senders.append(Sender(site, f"load{Load.made}-{i}", random.Random(rng.random()), **own))

    def start(self):
        for each in self.senders:
            each.start()
        return self

    def acknowledged(self, table=None):
        return sum(1 for s in self.senders for a in list(s.acknowledged.values()) if table in (None, a.table))

    def goes_on(self, count=100, table=None):
        """Waits until that many more are acknowledged: the broker's thread is not waiting for anybody."""
        goal = self.acknowledged(table) + count
        wait_until(lambda: self.acknowledged(table) >= goal or self.troubles(), f"{count} more {table or 'messages'} acknowledged", 60)
        assert not self.troubles()

    def troubles(self):
        return [s.trouble for s in self.senders if s.trouble]

    def finish(self, timeout=60):
        """No new messages; waits until all are acknowledged."""
        for each in self.senders:
            each.producing = False
        deadline = time.monotonic() + timeout
        for each in self.senders:
            each.join(max(0.1, deadline - time.monotonic()))
        assert not self.troubles()
        assert not [s.sub for s in self.senders if s.is_alive()], "some clients never got all their acknowledgements"
        return self

    def abandon(self):
        """For the end of a test that failed: the threads go away."""
        for each in self.senders:
            each.producing, each.abandoned = False, True

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.abandon()

    def stored(self, site):
        names = [s.sub for s in self.senders]
        return {t: [r[0] for r in site.rows(f"SELECT id::text FROM mayday.{t} WHERE sender = ANY (%s)", [names])] for t in TABLES}

    def assert_stored_once(self, site, timeout=60):
        """The sentence all of this is for: acknowledged means stored, once; and what nobody sent is not there."""
        settle(site, timeout)
        names = [s.sub for s in self.senders]
        assert not [(s.sub, r[0], r[1].topic, r[1].payload) for s in self.senders for r in s.refused], "good messages were refused"
        for table, rows in self.stored(site).items():
            twice = [id_ for id_, n in Counter(rows).items() if n > 1]
            assert not twice, f"stored more than once in {table}: {twice[:5]}"
            sent = {id_ for s in self.senders for id_, a in s.sent.items() if a.table == table}
            kept = {id_ for s in self.senders for id_, a in s.acknowledged.items() if a.table == table}
            lost, invented = kept - set(rows), set(rows) - sent
            assert not lost, f"{len(lost)} of {len(kept)} acknowledged are not in {table}: {sorted(lost)[:5]}"
            assert not invented, f"in {table}, but sent by nobody: {sorted(invented)[:5]}"
        for s in self.senders:  # who raises again joins, and of the joined ones only so many have a row
            alerts = {a.alert for a in s.acknowledged.values() if a.alert}
            opened = [r[0] for r in site.rows("SELECT id::text FROM mayday.alert WHERE raised_by = %s", [s.sub])]
            assert len(opened) == len(set(opened)), "an incident was opened twice"
            assert alerts <= set(opened) or len(opened) >= JOINED_ROWS_MAX, "an incident was not opened"
        assert site.rows("SELECT count(*) FROM mayday.dead_letter WHERE sender = ANY (%s)", [names]) == [(0,)]


def settle(site, timeout=60):
    """Waits until all that is in the journal now is in the database: it is read in order, so a last message comes after the others."""
    last = m.location()
    with site.client("last") as last_one:
        assert last_one.publish(m.topic("user", "last", "location"), m.dump(last)) == 0
    site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = %s", [(1,)], [last["id"]], timeout)


def rss(process):
    """Resident bytes of a process."""
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has no memory: it is gone")


def ids(deliveries):
    return [json.loads(p.payload)["id"] for p in deliveries]
