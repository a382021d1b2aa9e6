"""A wall clock that is wrong, and is set while a server runs: libfaketime (Debian: faketime) reads by how much from a file. What
measures waits, the monotonic clock, goes on as it is."""
import os
from pathlib import Path

import pytest


def library():
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.fail("libfaketime is not installed (Debian: faketime)")
    return found[0]


class Clock:
    """`folder`: where the server's user can read. `env` is what a server needs that goes by it."""

    def __init__(self, folder):
        self.file = Path(folder) / "clock"
        self.env = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
                    # else waits by the monotonic clock end at once, with the glibc of Debian 12
                    "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
        self.set(0)

    def set(self, seconds):
        """So much ahead of the real one from now on, or behind."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.chmod(0o644)
        os.rename(fresh, self.file)
