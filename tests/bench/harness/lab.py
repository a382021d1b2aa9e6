"""The place where rows are measured: the build, a folder for everything that is written, the reference broker and
Mayday's. A Mayday broker here is what an admin gets: the installed tree, the shipped broker configuration, policy
and schemas, a migrated database; only ports, paths and the user differ."""
import contextlib
import glob
import json
import os
import re
import subprocess
import time

from .servers import Broken, Broker, Postgres, Skip, end, free_port, wait_until

ORG = "bench"
STANDSTILL = 60  # seconds
BARE = """\
# Mosquitto without Mayday: a plain listener, ample queues, everybody may come in.
listener {port} 127.0.0.1
max_connections 20000
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 100000
"""


class Mayday:
    """A running broker with the plugin, and the database behind it."""

    def __init__(self, lab, home, broker, postgres):
        self.lab, self.home, self.broker, self.postgres = lab, home, broker, postgres
        self.port = broker.port
        self.gateway_at = None  # the address it was configured for

    def stored(self, table="location"):
        return self.postgres.sql(f"SELECT count(*) FROM mayday.{table}")

    def progress(self):
        """How many records of its journal the database has been told of. Cheap, unlike counting rows."""
        return int(self.postgres.sql("SELECT coalesce(sum(seq), 0) FROM mayday.journal_progress"))

    def _wait(self, look, target, pause):
        """Until look() has reached the target; fails when it stands still for a minute."""
        seen, since = None, time.monotonic()
        while (now := look()) < target:
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STANDSTILL:
                raise Broken(f"the writer stands still at {now} of {target}: {self.broker.last_words()}")
            time.sleep(pause)

    def wait_for_progress(self, position):
        self._wait(self.progress, position, 0.05)

    def wait_for_rows(self, count, table="location"):
        """Until that many rows are committed: not one fewer, and not one more."""
        self._wait(lambda: self.stored(table), count, 0.25)
        stored, dead = self.stored(table), self.stored("dead_letter")
        if stored != count or dead:
            raise Broken(f"{count} messages were acknowledged, {stored} are stored and {dead} are dead letters")

    def forget_rows(self):
        self.postgres.sql("TRUNCATE mayday.location, mayday.raise, mayday.alert, mayday.dead_letter CASCADE")
        self.postgres.sql("CHECKPOINT")


class Lab:
    def __init__(self, folder, build, quick, seconds, rounds):
        self.folder, self.build, self.quick, self.seconds, self.rounds = folder, build, quick, seconds, rounds
        self._installed = None
        self._serial = 0

    # ---- tools

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def fresh(self, word):
        self._serial += 1
        path = self.path(f"{self._serial:02d}-{word}")
        os.makedirs(path)
        return path

    def _load_command(self, mode, port, options):
        command = [os.path.join(self.build, "bench", "load"), mode, "--port", str(port)]
        for name, value in options.items():
            command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return command

    def load(self, mode, port, **options):
        """Runs the generator; its figures, or Broken with its sentence."""
        return figures(subprocess.run(self._load_command(mode, port, options), capture_output=True, text=True))

    @contextlib.contextmanager
    def load_beside(self, mode, port, **options):
        """The generator in the background; the value is a function that waits for its figures."""
        process = subprocess.Popen(self._load_command(mode, port, options), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)

        def finish():
            out, err = process.communicate(timeout=600)
            return figures(subprocess.CompletedProcess(process.args, process.returncode, out, err))

        try:
            yield finish
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def fdatasync(self, count, rate):
        """The probe, on the disk of this folder."""
        return figures(subprocess.run([os.path.join(self.build, "bench", "fdatasync"), self.folder, str(count),
                                       str(rate)], capture_output=True, text=True))["latency_us"]

    def http(self, port, connections, requests, expect):
        """Sends prepared requests; the figures. Each must be answered with that status."""
        path = os.path.join(self.fresh("http"), "requests")
        with open(path, "wb") as f:
            f.writelines(b"%d\n%b" % (len(request), request) for request in requests)
        found = figures(subprocess.run([os.path.join(self.build, "bench", "http"), str(port), str(connections), path],
                                       capture_output=True, text=True))
        if found["statuses"] != {expect: len(requests)}:
            raise Broken(f"not every one of {len(requests)} requests was answered with {expect}: {found['statuses']}")
        return found

    def access(self, incidents, members, calls):
        """Access decisions on the plugin's own code, without a broker."""
        return figures(subprocess.run([os.path.join(self.build, "bench", "access"), self.find("etc/mayday/policy.conf"),
                                       str(incidents), str(members), str(calls)], capture_output=True, text=True))

    def vitals(self, *what):
        """Detection in simulated people, without anything else."""
        return figures(subprocess.run([os.path.join(self.build, "bench", "vitals"), *map(str, what)], capture_output=True, text=True))

    def decode(self, samples):
        """What sensors send, decoded, without anything else."""
        return figures(subprocess.run([os.path.join(self.build, "bench", "decode"), str(samples)], capture_output=True, text=True))

    def zones(self, people, zones, seconds):
        """Positions among zones, without anything else."""
        return figures(subprocess.run([os.path.join(self.build, "bench", "zones"), str(people), str(zones), str(seconds)],
                                      capture_output=True, text=True))

    # ---- the reference

    def bare(self, nodelay=True):
        """Mosquitto alone; with `nodelay` it writes its sockets as the shipped configuration does."""
        return Broker(self.fresh("bare"), BARE + ("set_tcp_nodelay true\n" if nodelay else "") + self._user())

    @staticmethod
    def _user():
        # as root Mosquitto would change to its own user, who cannot reach a folder of ours
        return "user root\n" if os.geteuid() == 0 else ""

    # ---- Mayday

    def installed(self):
        """The tree `cmake --install` makes; Skip when the build has no plugin."""
        if self._installed is None:
            app = self.path("app")
            done = subprocess.run(["cmake", "--install", self.build, "--prefix", app], capture_output=True, text=True)
            if done.returncode:
                raise Broken(f"cmake --install: {done.stderr.strip()[-300:]}")
            self._installed = app
        for needed in ("lib/**/mosquitto_mayday.so", "bin/mayday", "etc/mayday/policy.conf", "share/mayday/schemas",
                       "share/mayday/sql", "etc/mosquitto/conf.d/mayday.conf*",
                       "share/mayday/mosquitto.conf.d/listeners.conf"):
            if not glob.glob(os.path.join(self._installed, needed), recursive=True):
                raise Skip(f"the installed tree has no {needed}")
        return self._installed

    def find(self, pattern):
        return glob.glob(os.path.join(self.installed(), pattern), recursive=True)[0]

    def tool(self, home, *arguments):
        """Runs `mayday` with the configuration of `home`; its output."""
        done = subprocess.run([self.find("bin/mayday"), "--config", os.path.join(home, "mayday.conf"), *arguments],
                              capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"mayday {arguments[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout.strip()

    def home(self, postgres, key_type="ec"):
        """A folder with configuration and a key, and a migrated database."""
        home = self.fresh("mayday")
        with open(os.path.join(home, "mayday.conf"), "w") as f:
            f.write(f"[node]\nname = bench\nstate_dir = {home}/state\n"
                    f"[token]\nkeys_file = {home}/keys.json\n"
                    f"[access]\npolicy_file = {self.find('etc/mayday/policy.conf')}\n"
                    f"[messages]\nschema_dir = {self.find('share/mayday/schemas')}\n"
                    f"[journal]\ndir = {home}/journal\n"
                    f"[database]\nwriter = {postgres.conninfo('mayday_plugin')}\n"
                    f"admin = {postgres.conninfo('postgres')}\nsql_dir = {self.find('share/mayday/sql')}\n"
                    "retry_max = 500ms\n"
                    # the load comes from few clients that send as fast as they can
                    "[limits]\ntelemetry = off\ntalk = off\naction = off\nrequest = off\nraise = off\n")
        for name in ("state", "journal"):
            os.makedirs(os.path.join(home, name), mode=0o700)
        self.tool(home, "keys", "new", "--type", key_type)
        if not postgres.sql("SELECT 1 FROM pg_database WHERE datname = 'mayday'", database="postgres"):
            postgres.sql("CREATE DATABASE mayday", database="postgres")
        self.tool(home, "migrate")
        return home

    def broker(self, home):
        """The broker of `home`, not yet started, with the shipped files."""
        with open(self.find("share/mayday/mosquitto.conf.d/listeners.conf")) as f:
            listeners = f.read().replace("listener 1883 ", "listener {port} ").replace("listener 8083 ",
                                                                                       "listener {ws_port} ")
        with open(self.find("etc/mosquitto/conf.d/mayday.conf*")) as f:
            plugin = re.sub(r"(?m)^plugin .*$", f"plugin {self.find('lib/**/mosquitto_mayday.so')}", f.read())
        plugin = re.sub(r"(?m)^plugin_opt_config .*$", f"plugin_opt_config {home}/mayday.conf", plugin)
        return Broker(home, self._user() + plugin + "\n" + listeners)

    @contextlib.contextmanager
    def mayday(self, key_type="ec"):
        self.installed()
        with Postgres(self.fresh("postgres")) as postgres:
            home = self.home(postgres, key_type)
            with self.broker(home) as broker:
                yield Mayday(self, home, broker, postgres)

    @contextlib.contextmanager
    def gateway(self, mayday, sections=None):
        """The gateway of that broker and database, up; the value is its HTTP address. `sections`: more of its configuration. Once more
        without it: the same again."""
        if sections is None and mayday.gateway_at:
            address = mayday.gateway_at
        else:
            address = mayday.gateway_at = self._configure_gateway(mayday, sections)
        with open(os.path.join(mayday.home, "gateway.log"), "wb") as log:
            process = subprocess.Popen([self.find("sbin/mayday-gateway"), "--config",
                                        os.path.join(mayday.home, "mayday.conf")], stdout=log, stderr=log)
        mayday.gateway = process.pid
        try:
            wait_until("the gateway's connection", lambda: self._gateway_is_up(mayday, process))
            yield address
        finally:
            end(process)

    def _configure_gateway(self, mayday, sections):
        token, address = os.path.join(mayday.home, "gateway.token"), f"127.0.0.1:{free_port()}"
        with open(token, "w") as f:
            f.write(self.token(mayday.home, "gw", "gateway"))
        os.chmod(token, 0o600)
        with open(os.path.join(mayday.home, "mayday.conf"), "a") as f:
            f.write(f"[gateway]\nid = gw\nbroker_port = {mayday.port}\ntoken_file = {token}\nhttp = {address}\n"
                    f"database = {mayday.postgres.conninfo('mayday_gateway')}\n")
            for name, values in (sections or {}).items():
                f.write(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
        return address

    @staticmethod
    def _gateway_is_up(mayday, process):
        with open(os.path.join(mayday.home, "gateway.log")) as f:
            said = f.read()
        if process.poll() is not None:
            raise Broken(f"the gateway ended at once: {said[-300:]}")
        return "connected to the broker" in said

    # ---- people

    def token(self, home, sub, role):
        return self.tool(home, "token", "--sub", sub, "--org", ORG, "--role", role, "--ttl", "12h")

    def crowd(self, home, people):
        """A crowd file for the generator from (client id, subject, role, topic)."""
        tokens = {}
        path = os.path.join(home, f"crowd-{len(os.listdir(home))}")
        with open(path, "w") as f:
            for client, sub, role, topic in people:
                if (sub, role) not in tokens:
                    tokens[sub, role] = self.token(home, sub, role)
                f.write(f"{client}\t{topic}\t{tokens[sub, role]}\n")
        return path

    def field_crowd(self, home, count):
        """People who publish their own location."""
        return self.crowd(home, [(f"u{i}", f"u{i}", "member", f"mayday/v1/{ORG}/user/u{i}/location")
                                 for i in range(count)])


def figures(done):
    if done.returncode:
        raise Broken(done.stderr.strip() or f"{done.args[0]} ended with {done.returncode}")
    return json.loads(done.stdout)
