"""Processes that a measurement needs: a broker and a PostgreSQL cluster, in a folder of their own, on free ports of
127.0.0.1. Each is a context manager that stops what it started, by its own process handle."""
import glob
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import time

import psycopg2

OPEN_FILES = 12000  # ten thousand idle sessions and what a broker has besides


class Skip(Exception):
    """A row cannot be measured here; the text says why."""


class Broken(Exception):
    """A measurement went wrong; the text says how."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, ready, seconds=60, pause=0.02):
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise Broken(f"{what} did not happen within {seconds} s")
        time.sleep(pause)


def as_the_unit_does():
    """In the child, before exec, what the shipped systemd drop-in does for the broker, bare or ours: enough open files and a
    niceness of -5, as far as we may."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    except PermissionError:
        pass
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def end(process, sign=signal.SIGTERM, patience=30):
    if process.poll() is None:
        process.send_signal(sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Broker:
    """One Mosquitto. `configuration` is the text of its file, without a port: {port} and {ws_port} stand for those."""

    def __init__(self, folder, configuration):
        os.makedirs(folder, exist_ok=True)
        self.port, self.ws_port = free_port(), free_port()
        self.log = os.path.join(folder, "mosquitto.log")
        self.file = os.path.join(folder, "mosquitto.conf")
        self.process = None
        with open(self.file, "w") as f:
            f.write(configuration.format(port=self.port, ws_port=self.ws_port))

    def launch(self):
        """Starts it without waiting."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([mosquitto(), "-c", self.file], stdout=log, stderr=log,
                                            preexec_fn=as_the_unit_does)

    def __enter__(self):
        self.launch()
        wait_until("the broker's start", self._listens)
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise Broken(f"Mosquitto ended at once: {self.last_words()}")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def last_words(self):
        with open(self.log, errors="replace") as f:
            return " | ".join(line.strip() for line in f.readlines()[-3:])

    def end(self, sign=signal.SIGTERM):
        if self.process:
            end(self.process, sign)

    def __exit__(self, *_):
        self.end()


def mosquitto():
    path = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise Skip("there is no mosquitto on this machine")
    return path


class Postgres:
    """A private cluster, made for this run; durable as shipped (fsync and synchronous_commit on). As root it belongs to
    the user postgres, because PostgreSQL refuses to run as root."""

    def __init__(self, folder):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise Skip("there is no PostgreSQL on this machine")
        self.bin = os.path.dirname(found[-1])
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.port = free_port()
        self.process = None
        self.user = "postgres" if os.geteuid() == 0 else None
        os.makedirs(folder, exist_ok=True)
        if self.user:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                    "max_wal_size = 4GB\n")

    def _as_user(self):
        if not self.user:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": self.folder}

    def _run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], capture_output=True, text=True,
                              **self._as_user())
        if done.returncode:
            raise Broken(f"{program}: {done.stderr.strip()}")

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([os.path.join(self.bin, "postgres"), "-D", self.data], stdout=log,
                                            stderr=log, **self._as_user())
        wait_until("PostgreSQL's start", self._answers)

    def _answers(self):
        if self.process.poll() is not None:
            raise Broken("PostgreSQL ended at once")
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self):
        if self.process:
            end(self.process, signal.SIGINT)
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def connect(self, database="mayday"):
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database)
        connection.autocommit = True
        return connection

    def sql(self, statement, *values, database="mayday"):
        """The first column of the first row, or None."""
        connection = self.connect(database)
        try:
            with connection.cursor() as c:
                c.execute(statement, values)
                row = c.fetchone() if c.description else None
                return row[0] if row else None
        finally:
            connection.close()

    def conninfo(self, user, database="mayday"):
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user}"
