"""What the figures were measured on."""
import glob
import os
import platform
import re
import subprocess

from .servers import mosquitto


def _said(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip()
    except OSError:
        return ""


def _cpu():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
    return found.group(1) if found else platform.machine()


def _memory():
    with open("/proc/meminfo") as f:
        return f"{int(re.search(r'MemTotal: *([0-9]+)', f.read()).group(1)) / 1048576:.0f} GB"


def _postgres():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return _said(found[-1], "--version").removeprefix("postgres (PostgreSQL) ") if found else "no PostgreSQL"


def describe(folder):
    """(name, value) pairs; `folder` is where the measurement writes."""
    version = re.search(r"version (\S+)", _said(mosquitto(), "-h"))
    return [
        ("processor", f"{os.cpu_count()} cores, {_cpu()}"),
        ("memory", _memory()),
        ("kernel", platform.release()),
        ("storage", _said("findmnt", "-no", "FSTYPE", "-T", folder) or "unknown"),
        ("Mosquitto", version.group(1) if version else "unknown"),
        ("PostgreSQL", _postgres()),
        ("OpenSSL", _said("openssl", "version").partition(" (")[0]),
        ("Node", _said("node", "--version") or "none"),
    ]
