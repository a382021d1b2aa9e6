"""What the rows of escalation have in common: the provider's stand-in in a process of its own, a gateway that reaches people through it,
and an organisation with one person to be told."""
import contextlib
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass

from .lab import ORG
from .servers import Broken, end, wait_until

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
DESK, NUMBER = "desk", "+27820000001"
POLL = 5  # seconds between the looks of the engine that polls
TABLES = ("raise", "alert", "membership", "outbox", "escalation", "escalation_step", "notification", "attempt", "provider_event", "answer",
          "dead_letter", "location")
PLAN = {"v": 1, "policies": [{"name": "bench", "rounds": 2, "levels": [
    {"after": after, "targets": [{"person": DESK}], "channels": ["sms"]} for after in (0, 300, 900)]}]}


class Provider:
    """tests/bench/provider.py, running."""

    def __init__(self, folder, receipts="never"):
        os.makedirs(folder, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, os.path.join(BENCH, "provider.py"), folder, receipts],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self._line()
        self.settings, self.port, self.public_url = said["settings"], said["port"], said["public_url"]
        self.account, self.token = said["accounts"]["twilio"]

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Broken("the provider's stand-in ended")
        return json.loads(line)

    def _ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self._line()

    def route(self, address):
        self._ask(do="route", port=int(address.rsplit(":", 1)[1]))

    def take(self):
        """(nanoseconds, body) of each text that was asked for since."""
        return self._ask(do="take")

    def is_content(self):
        """Broken when it was sent anything that a provider would refuse."""
        if found := self._ask(do="violations"):
            raise Broken(f"a provider would have refused: {found[0]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        end(self.process)
        self.process.stdout.close()


@dataclass
class Night:
    """All of it, up."""
    lab: object
    mayday: object
    provider: Provider
    address: str      # of the gateway's HTTP
    gateway: int      # its process

    def forget(self):
        """As if nothing had happened, but for the audit trail."""
        self.mayday.postgres.sql(f"TRUNCATE {', '.join('mayday.' + t for t in TABLES)} CASCADE")
        self.mayday.postgres.sql("CHECKPOINT")


def settings(provider, notify):
    """Sections of the gateway's configuration."""
    sections = {name: dict(keys) for name, keys in provider.settings.items()}
    sections["notify"].update({"sms": "twilio", "voice": "twilio", **notify})
    return sections


def is_ready(address):
    """All of its services work."""
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def night(lab, receipts="never", **notify):
    """`notify`: settings that differ from the shipped ones."""
    with Provider(lab.fresh("provider"), receipts) as provider, lab.mayday() as mayday:
        enter(mayday.postgres)
        with lab.gateway(mayday, settings(provider, notify)) as address:
            provider.route(address)
            wait_until("the gateway's readiness", lambda: is_ready(address))
            yield Night(lab, mayday, provider, address, mayday.gateway)
            provider.is_content()


@contextlib.contextmanager
def poller(n, work):
    """tests/bench/poller.py, running."""
    command = [sys.executable, os.path.join(BENCH, "poller.py"), work, n.mayday.postgres.conninfo("postgres"), str(POLL),
               n.provider.settings["twilio"]["url"], n.provider.account, n.provider.token, NUMBER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise Broken("the engine that polls ended at once")
        yield
    finally:
        process.stdin.close()
        end(process)
        process.stdout.close()


def notifications(postgres):
    """{notification: the alert it is about}"""
    with contextlib.closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id::text, alert::text FROM mayday.notification")
        return dict(cursor.fetchall())


def about(form, of_notification):
    """(whose text it is, the alert it is about), as asked of either provider."""
    said = dict(urllib.parse.parse_qsl(form))
    if "poll:" in said.get("Body", ""):
        return "theirs", said["Body"].split("poll:")[1]
    which = said.get("client-ref") or urllib.parse.parse_qs(urllib.parse.urlsplit(said["StatusCallback"]).query)["n"][0]
    return "ours", of_notification.get(which)


def enter(postgres):
    """The organisation's plan, and whom it names."""
    postgres.sql("INSERT INTO mayday.plan (org, edition, body) VALUES (%s, 1, %s)", ORG, json.dumps(PLAN))
    postgres.sql("INSERT INTO mayday.person (org, person, roles, lang) VALUES (%s, %s, '{dispatcher}', 'en')", ORG, DESK)
    postgres.sql("INSERT INTO mayday.channel (org, person, place, kind, number) VALUES (%s, %s, 1, 'sms', %s)", ORG, DESK, NUMBER)
