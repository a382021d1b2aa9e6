"""A PostgreSQL of a test file's own, to be stopped, killed, starved and cut off; and small disks that fill up."""
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import prepare
from support.postgres import FAST, Postgres
from support.site import free_port


@contextmanager
def open_folder():
    """PostgreSQL's own user must be able to come here; pytest's folders are closed to all but the caller."""
    with tempfile.TemporaryDirectory(prefix="mayday-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def mortal_server(folder, env=None, **settings):
    with Postgres(folder, port=free_port(), listen="127.0.0.1", settings={**FAST, **settings}, env=env) as server:
        server.start()
        prepare(server, "mayday")
        yield server


@contextmanager
def small_disk(size):
    """A file system of `size` bytes; gives its folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with open_folder() as folder:
        disk = folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", disk], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"this machine mounts no small disk: {mounted.stderr.strip()}")
        try:
            yield disk
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


class Ballast:
    """A file that takes what is left of a disk, until it is thrown overboard."""

    def __init__(self, folder):
        self.path = Path(folder) / "ballast"

    def fill(self, leaving=0):
        room = os.statvfs(self.path.parent)
        size = max(0, room.f_bavail * room.f_frsize - leaving)
        with open(self.path, "wb") as f:
            try:
                os.posix_fallocate(f.fileno(), 0, size)
            except OSError:
                pass  # somebody else took the rest meanwhile

    def drop(self):
        self.path.unlink(missing_ok=True)
