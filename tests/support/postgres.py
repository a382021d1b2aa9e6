"""A throwaway PostgreSQL: initdb in a folder of its own, reached through a Unix socket in that folder (and, when asked,
a port on 127.0.0.1). Used by the integration tests, the benchmarks and tools/up.

    with Postgres(folder) as pg:
        pg.start()
        pg.sql("SELECT 1")

PostgreSQL refuses to run as root; then everything runs as the user `postgres` and the folder is given to it. Only
processes started here are ever signalled.
"""
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

FAST = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder of the newest server installed (Debian keeps them out of PATH)."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
    if found:
        return Path(found[-1]).parent
    at = shutil.which("postgres")
    if not at:
        raise RuntimeError("no PostgreSQL server is installed (Debian: postgresql postgresql-15-postgis-3)")
    return Path(os.path.realpath(at)).parent


class Postgres:
    def __init__(self, folder, port=5432, listen="", settings=None, env=None):
        self.folder = Path(folder)
        self.env = dict(env or {})  # of the server, besides
        self.data = self.folder / "data"
        self.socket_dir = self.folder / "s"  # short: socket paths end at 107 bytes
        self.port = port
        self.listen = listen
        self.settings = dict(settings or {})
        self.bin = binaries()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop("immediate")

    def _as_server(self, *command, **options):
        """Runs a command as the user the server runs as."""
        prefix = []
        if os.geteuid() == 0:
            prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        # only for the server: what is loaded before a user is changed may belong to the wrong one
        added = ["env", *(f"{name}={value}" for name, value in self.env.items())] if self.env else []
        return subprocess.run([*prefix, *added, *map(str, command)], cwd=self.folder, check=True, text=True,
                              stdin=subprocess.DEVNULL, **options)

    def create(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket_dir.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for each in (self.folder, self.socket_dir):
                os.chown(each, user.pw_uid, user.pw_gid)
            os.chmod(self.folder, 0o755)
        self._as_server(self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C.UTF-8", "--no-sync", stdout=subprocess.DEVNULL)
        return self

    def _options(self):
        settings = {"listen_addresses": self.listen, "unix_socket_directories": self.socket_dir, **self.settings}
        return " ".join(f"-c {name}='{value}'" for name, value in settings.items()) + f" -p {self.port}"

    def start(self):
        if not self.data.exists():
            self.create()
        self._as_server(self.bin / "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-o", self._options(),
                        "-w", "-t", "60", "-s", "start", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def stop(self, mode="fast"):
        """By signal rather than pg_ctl, which needs a folder that its user can still reach."""
        pid = self.pid()
        if pid:
            os.kill(pid, {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
            self._await_end([pid])

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def pid(self):
        """The postmaster's process id, or None when it does not run."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        return pid if self._alive(pid) else None

    def _children(self, pid):
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], text=True, stdout=subprocess.PIPE).stdout
        return [int(each) for each in listed.split()]

    def kill(self):
        """Like a power cut for the server's processes: SIGKILL to all of them, then waits until they are gone."""
        pid = self.pid()
        if not pid:
            return
        doomed = [pid, *self._children(pid)]
        for each in doomed:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._await_end(doomed)
        # Where nobody reaps orphans the dead keep their process ids, and the server would respect their locks.
        for stale in (self.data / "postmaster.pid", self.socket_dir / f".s.PGSQL.{self.port}.lock"):
            stale.unlink(missing_ok=True)

    def _await_end(self, pids):
        deadline = time.monotonic() + 60
        while any(self._alive(each) for each in pids):
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not end")
            time.sleep(0.01)

    @staticmethod
    def _alive(pid):
        try:
            state = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return re.sub(r"^.*\) ", "", state, flags=re.S)[0] != "Z"

    def dsn(self, user="postgres", database="mayday"):
        return f"host={self.socket_dir} port={self.port} user={user} dbname={database}"

    def connect(self, user="postgres", database="mayday"):
        import psycopg2
        connection = psycopg2.connect(self.dsn(user, database))
        connection.autocommit = True
        return connection

    def sql(self, statement, params=None, user="postgres", database="mayday"):
        """Runs one statement; its rows, or [] when it has none."""
        connection = self.connect(user, database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, params)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create_database(self, name="mayday"):
        self.sql(f'CREATE DATABASE "{name}"', database="postgres")
        return self
