"""Sensors as a gateway meets them: serial lines (pseudo terminals at a path that can go and come back), and what receivers say."""
import json
import math
import os
import shutil
import socket
import subprocess
import threading
import time
import tty

import pytest


def sentence(body):
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"${body}*{check:02X}\r\n"


def degrees(value, digits, positive, negative):
    whole = math.floor(abs(value))
    return f"{whole:0{digits}d}{(abs(value) - whole) * 60:08.5f},{positive if value >= 0 else negative}"


def nmea(lat, lon, at=None, knots=0.0, course=0.0):
    """One epoch: RMC and GGA."""
    at = time.time() if at is None else at
    t, day = time.strftime("%H%M%S", time.gmtime(at)) + f".{int(at % 1 * 100):02d}", time.strftime("%d%m%y", time.gmtime(at))
    where = degrees(lat, 2, "N", "S") + "," + degrees(lon, 3, "E", "W")
    return (sentence(f"GPRMC,{t},A,{where},{knots:.1f},{course:.1f},{day},,,A") +
            sentence(f"GPGGA,{t},{where},1,09,0.9,12.0,M,45.0,M,,"))


class Line:
    """A serial line whose far end we hold. plug() and unplug() as often as wanted; the path stays."""

    def __init__(self, path):
        self.path = path
        self.far = self.near = None

    def plug(self):
        self.far, self.near = os.openpty()
        tty.setraw(self.near)
        os.set_blocking(self.far, False)
        new = self.path.with_suffix(".new")
        new.symlink_to(os.ttyname(self.near))
        new.rename(self.path)
        return self

    def unplug(self):
        self.path.unlink()
        os.close(self.far)
        os.close(self.near)
        self.far = self.near = None

    def say(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        while data:
            try:
                data = data[os.write(self.far, data):]
            except BlockingIOError:  # nobody reads, or not fast enough
                time.sleep(0.01)

    def say_json(self, **members):
        self.say(json.dumps(members) + "\n")

    def close(self):
        if self.far is not None:
            self.unplug()


class Gpsd:
    """A real gpsd with a receiver of ours at its line, which says where it is ten times a second."""

    def __init__(self, folder, port, env=None):
        self.env = {**os.environ, **(env or {})}
        self.program = shutil.which("gpsd") or shutil.which("gpsd", path="/usr/sbin")
        if not self.program:
            pytest.skip("gpsd is not installed")
        self.folder, self.port, self.process = folder, port, None
        self.lat, self.lon, self.at = 48.0, 2.0, None
        self.line = Line(folder / "receiver").plug()
        os.chmod(os.ttyname(self.line.near), 0o666)  # gpsd gives up being root
        self.over = threading.Event()
        self.speaker = threading.Thread(target=self._speak, daemon=True)
        self.speaker.start()

    def _speak(self):
        while not self.over.wait(0.1):
            try:
                os.write(self.line.far, nmea(self.lat, self.lon, self.at() if self.at else None).encode())
            except BlockingIOError:
                pass

    def start(self):
        self.process = subprocess.Popen([self.program, "-N", "-n", "-S", str(self.port), os.ttyname(self.line.near)], cwd=self.folder, env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "gpsd does not listen"
                time.sleep(0.05)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def close(self):
        self.over.set()
        self.speaker.join()
        self.stop()
        self.line.close()
