"""A real mayday-gateway for a Site: its configuration is the site's with a [gateway] section. Only processes started here are ever
signalled."""
import json
import os
import signal
import subprocess
from pathlib import Path

from support import messages


class Gateway:
    """Not started yet: start(), or `with`. Settings as section__key=value; gateway__organisations="" serves whatever the database
    knows, without it acme alone. `providers`: a simulator (support.providers) through which it reaches people, and which reaches it;
    `sms` and `voice` say in which order they are tried."""

    def __init__(self, site, postgres=None, id="gw1", providers=None, sms="twilio vonage", voice="twilio vonage", **settings):
        from support import site as sites

        self.sites, self.site, self.id = sites, site, id
        self.folder = site.folder / f"gateway-{id}"
        self.folder.mkdir(exist_ok=True)
        self.conf, self.log_file = self.folder / "mayday.conf", self.folder / "log"
        self.keys = self.folder / "signing-keys.json"
        self.keys.write_text(json.dumps({"keys": [messages.JWK]}))
        self.http_port = sites.free_port()
        self.process = None
        self.env = {}  # more of the environment
        database = postgres or site.postgres
        values = {key: dict(section) for key, section in site.values.items()}
        values["node"]["state_dir"] = self.folder
        values.setdefault("gateway", {}).update(
            id=id, broker_port=site.port, http=f"127.0.0.1:{self.http_port}", signing_keys=self.keys, organisations="acme",
            database=database.dsn("mayday_gateway") if database else f"host={self.folder} dbname=nowhere")
        if providers:
            for section, keys in providers.settings(self.folder, sms, voice).items():
                values.setdefault(section, {}).update(keys)
            providers.route_more(self.http_port)
        for name, value in settings.items():
            section, key = name.split("__")
            values.setdefault(section, {})[key] = value
        self.conf.write_text(sites.as_ini(values))

    def spawn(self):
        options = {"exitcode": "99", "log_path": str(self.folder / "sanitizer"), "detect_leaks": "1"}
        env = {
            **os.environ,
            "ASAN_OPTIONS": ":".join(f"{k}={v}" for k, v in options.items()),
            "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={self.folder}/sanitizer",
            "TSAN_OPTIONS": f"exitcode=99:log_path={self.folder}/sanitizer:suppressions={self.sites.ROOT}/tests/support/tsan.supp",
            **self.env,
        }
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen([self.sites.BUILD / "bin" / "mayday-gateway", "--config", self.conf], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, env=env)
        return self

    def start(self, org="acme"):
        self.spawn()
        return self.wait_ready(org)

    def start_unready(self):
        """For a gateway that has no organisation yet: it runs and awaits signals."""
        self.spawn()
        self.sites.wait_until(lambda: "serves as" in self.log() or self.alive(), f"the gateway {self.id} runs", 60)
        return self

    def wait_ready(self, org="acme"):
        """It is connected to the broker for this organisation: its retained status there says "online", and since this start."""
        at = messages.topic("gateway", self.id, "status", org)
        began = messages.moment(Path(f"/proc/{self.process.pid}").stat().st_ctime - 0.01)

        def online():
            self.alive()
            try:
                with self.site.client("ready", ["admin"], org=org, client_id=f"ready:{os.urandom(4).hex()}") as c:
                    c.subscribe(at)
                    if c.receives_nothing():
                        return False
                    said = json.loads(c.receive().payload)
            except Exception:  # noqa: BLE001 - the broker may be on its way up or down
                return False
            return said["status"] == "online" and said["ts"] >= began and "serves as" in self.log()  # which may come a moment later

        self.sites.wait_until(online, f"the gateway {self.id} is online for {org}", 60)
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-3000:]}")

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """SIGTERM; exit code 0, and no complaint of a sanitizer."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            code = self.process.wait(60)
            self.check_sanitizers()
            assert code == 0, f"the gateway ended with {code}:\n{self.log()[-3000:]}"
        self.check_sanitizers()

    def check_sanitizers(self):
        reports = [p.read_text(errors="replace") for p in self.folder.glob("sanitizer.*")]
        assert not reports, reports[0][:6000]

    def __enter__(self):
        return self if self.process and self.process.poll() is None else self.start()

    def __exit__(self, *_):
        self.stop()
