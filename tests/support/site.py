"""A whole Mayday site in a folder of its own: keys, configuration, the shipped broker configuration and policy, a real Mosquitto with the
plugin, and a real PostgreSQL. Only processes started here are ever signalled."""
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from support import messages
from support.gateway import Gateway
from support.wire import Client

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MAYDAY_BUILD_DIR", ROOT / "build" / "debug"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, timeout=30):
    """Polls a state; there is no other way to learn of it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)


def preload():
    """Sanitizer runtimes must come first in a broker that was built without them."""
    libraries = os.environ.get("MAYDAY_PRELOAD", "")
    return {"LD_PRELOAD": libraries} if libraries else {}


def as_ini(values):
    lines = []
    for section, keys in values.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


class Site:
    def __init__(self, folder, postgres=None, **settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.postgres = postgres
        self.process = None
        self.port, self.ws_port = free_port(), free_port()
        self.keys_file = self.folder / "keys.json"
        self.policy_file = self.folder / "policy.conf"
        self.conf = self.folder / "mayday.conf"
        self.log_file = self.folder / "mosquitto.log"
        self.write_keys([messages.JWK])
        self.policy_file.write_text((ROOT / "mosquitto.conf.d" / "policy.conf").read_text())
        self.configure(**settings)

    def write_keys(self, keys):
        fresh = self.folder / "keys.new"
        fresh.write_text(json.dumps({"keys": keys}))
        fresh.rename(self.keys_file)

    def configure(self, **settings):
        """Settings as section__key=value."""
        dsn = self.postgres.dsn("mayday_plugin") if self.postgres else f"host={self.folder} dbname=nowhere"
        admin = self.postgres.dsn("mayday_owner") if self.postgres else dsn
        values = {
            "node": {"name": "test", "state_dir": self.folder / "state"},
            "token": {"keys_file": self.keys_file},
            "access": {"policy_file": self.policy_file},
            "messages": {"schema_dir": ROOT / "schemas"},
            "journal": {"dir": self.folder / "state" / "journal", "segment_size": "1M", "max_size": "64M", "min_free": "16M"},
            "database": {"writer": dsn, "admin": admin, "retry_max": "500ms"},
            "status": {"interval": "1s"},
            # tests are one person each and send as fast as a machine can; test_limits.py has the limits as shipped
            "limits": {"telemetry": "off", "talk": "off", "action": "off", "request": "off", "raise": "off"},
        }
        for name, value in settings.items():
            section, key = name.split("__")
            values.setdefault(section, {})[key] = value
        self.values = values
        self.conf.write_text(as_ini(values))
        shipped = (ROOT / "mosquitto.conf.d" / "mayday.conf").read_text()
        shipped = re.sub(r"^plugin .*$", f"plugin {BUILD}/lib/mosquitto_mayday.so", shipped, flags=re.M)
        shipped = re.sub(r"^plugin_opt_config .*$", f"plugin_opt_config {self.conf}", shipped, flags=re.M)
        own = f"""\
user {'root' if os.geteuid() == 0 else os.environ.get('USER', '')}
listener {self.port} 127.0.0.1
listener {self.ws_port} 127.0.0.1
protocol websockets
persistence true
persistence_location {self.folder}/
log_dest file {self.log_file}
log_type all
sys_interval 1
"""
        (self.folder / "mosquitto.conf").write_text(own + shipped)

    def start(self):
        self.spawn()
        wait_until(self._listens, "the broker listens", 60)
        return self

    def spawn(self):
        """Starts the broker and does not wait for it."""
        options = {"abort_on_error": "0", "exitcode": "99", "log_path": str(self.folder / "sanitizer")}
        env = {
            **os.environ,
            **preload(),
            "ASAN_OPTIONS": ":".join(f"{k}={v}" for k, v in {**options, "detect_leaks": "1"}.items()),
            "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={self.folder}/sanitizer",
            "TSAN_OPTIONS": f"exitcode=99:log_path={self.folder}/sanitizer:suppressions={ROOT}/tests/support/tsan.supp",
            "LSAN_OPTIONS": f"print_suppressions=0:suppressions={ROOT}/tests/support/lsan.supp",
        }
        with open(self.folder / "mosquitto.out", "ab") as out:
            self.process = subprocess.Popen(["mosquitto", "-c", str(self.folder / "mosquitto.conf")], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, env=env)

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the broker ended with {self.process.returncode}:\n{self.log()[-3000:]}{self.output()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def refuses_to_start(self):
        """Starts a broker that must not come up; what it logged. Mosquitto leaves without giving its memory back then."""
        self.spawn()
        assert self.process.wait(60) != 0
        for report in self.folder.glob("sanitizer.*"):
            if "mosquitto_mayday" not in report.read_text(errors="replace"):
                report.unlink()
        return self.log()

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def output(self):
        at = self.folder / "mosquitto.out"
        return at.read_text(errors="replace") if at.exists() else ""

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM, and no complaint of a sanitizer."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.check_sanitizers()

    def check_sanitizers(self):
        reports = [p.read_text(errors="replace") for p in self.folder.glob("sanitizer.*")]
        assert not reports, reports[0][:6000]

    def restart(self):
        self.stop()
        return self.start()

    def client(self, sub="ann", roles=("member",), *, org="acme", client_id=None, ttl=3600, claims=None, **options):
        jwt = messages.token(sub, org, roles, ttl, **(claims or {}))
        return Client(self.port, client_id or sub, jwt, **options)

    def gateway(self, id="gw1", **settings):
        """A gateway for this site, not started: use it in a `with`, or start() it. With providers=Simulator() it can text and call."""
        return Gateway(self, id=id, **settings)

    def figure(self, name):
        """One figure under $SYS/broker/mayday/, as last published."""
        with self.client("sys-admin", ["admin"], client_id=f"sys-admin:{os.urandom(4).hex()}") as c:
            assert c.subscribe(f"$SYS/broker/mayday/{name}") == [1]
            return float(c.receive().payload)

    def rows(self, query, params=None):
        return self.postgres.sql(query, params)

    def wait_rows(self, query, want, params=None, timeout=30):
        return wait_until(lambda: (got := self.rows(query, params)) == want and (True, got) or None, f"{query} gives {want}", timeout)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
