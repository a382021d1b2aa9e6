"""A private D-Bus and, on it, a stand-in for bluetoothd: dbusmock with the template bluez_mock.py, a process of its own, so that it can be
killed."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dbus
import dbus.bus
import dbus.lowlevel

STRAP, OTHER = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02"
ADAPTER = "00:01:02:03:04:05"  # of hci0, as dbusmock has it
HEART, OXIMETER, SPOT, THERMOMETER, PRESSURE, BATTERY = "2a37", "2a5f", "2a5e", "2a1c", "2a35", "2a19"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"""


def heart_rate(rate, *rr_ms, contact=True):
    flags = 0x04 | (0x02 if contact else 0) | (0x10 if rr_ms else 0)
    return bytes([flags, rate]) + b"".join(struct.pack("<H", round(rr * 1.024)) for rr in rr_ms)


class Bluez:
    """start() and stop() bluetoothd; bus_up() and bus_down() D-Bus. What was told stays told."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mayday-bus-"))
        self.address = f"unix:path={self.folder}/bus"
        self.bus = self.process = self.connection = None
        self.adapters, self.devices = {"hci0"}, {}

    def bus_up(self):
        (self.folder / "bus.conf").write_text(BUS % (self.folder / "bus"))
        self.bus = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self.folder}/bus.conf"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait(self._connected, self.bus, "dbus-daemon")
        return self

    def _wait(self, happened, process, what):
        deadline = time.monotonic() + 30
        while not happened():
            assert process.poll() is None and time.monotonic() < deadline, f"{what} does not start"
            time.sleep(0.02)

    def _connected(self):
        try:
            self.connection = dbus.bus.BusConnection(self.address)
        except dbus.DBusException:
            return False
        self.connection.set_exit_on_disconnect(False)
        return True

    def bus_down(self):
        self.stop()
        if self.connection:
            self.connection.close()
            self.connection = None
        if self.bus:
            self.bus.kill()
            self.bus.wait()
            self.bus = None
        (self.folder / "bus").unlink(missing_ok=True)

    def start(self):
        if not self.bus:
            self.bus_up()
        with open(self.folder / "bluez.log", "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "dbusmock", "--system", "--template", Path(__file__).with_name("bluez_mock.py")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address})
        self._wait(lambda: self.connection.name_has_owner("org.bluez"), self.process, "dbusmock")
        for name in sorted(self.adapters):
            self.plug(name)
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _tell(self, method, signature, *what):
        return self.connection.call_blocking("org.bluez", "/", "org.bluez.Mock", method, signature, what, timeout=60)

    def plug(self, name="hci0"):
        """With what the adapter finds."""
        self.adapters.add(name)
        self._tell("Plug", "s", name)
        for address, device in self.devices.items():
            if device.get("adapter", "hci0") == name:
                self._tell("Tell", "ss", address, json.dumps(device))

    def unplug(self, name="hci0"):
        self.adapters.discard(name)
        self._tell("Unplug", "s", name)

    def power(self, on, name="hci0"):
        self._tell("Power", "sb", name, on)

    def device(self, address=STRAP, name="H10", characteristics=(HEART, BATTERY), **more):
        """One that advertises; `known`: BlueZ knows it already; `paired`, `trusted`, `blocked`; `connected`: somebody did that before;
        `battery`: what is read there; `percentage`: what BlueZ says of it; `late`: its characteristics are objects so many ms after BlueZ
        said that it knows them; `echo`: what it said long ago is said once more when somebody wants to listen."""
        self.devices[address] = {"name": name, "characteristics": list(characteristics), **more}
        if self.process:
            self._tell("Tell", "ss", address, json.dumps(self.devices[address]))
        return self

    def vanish(self, address=STRAP):
        """Out of reach: it disconnects and advertises no more."""
        self._tell("Happen", "ss", address, "vanish")

    def drop(self, address=STRAP):
        """The connection breaks."""
        self._tell("Happen", "ss", address, "drop")

    def forget(self, address=STRAP):
        """BlueZ forgets it: its object is removed."""
        self._tell("Happen", "ss", address, "forget")

    def deafen(self, address=STRAP):
        """It was switched off and on, say: nobody is listened to any more, and nobody is told."""
        self._tell("Happen", "ss", address, "deafen")

    def hang(self, on):
        """BlueZ does nothing any more, until it does again."""
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def rearrange(self, address=STRAP):
        """It has other services now: the same ones, as new objects."""
        self._tell("Happen", "ss", address, "rearrange")

    def fail(self, method, error=None, address=STRAP, uuid=None):
        """From now on this call to this device fails so ("Failed", "Failed:in these words"; "hang": is never answered); None: not any more."""
        self._tell("Fail", "ssss", address, method, error or "", uuid or "")

    def notify(self, value, uuid=HEART, address=STRAP, times=1):
        """True when somebody listens, who is told then."""
        value = dbus.ByteArray(value) if isinstance(value, bytes) else value
        return bool(self._tell("Notify", "ssvi", address, uuid, value, times))

    def percentage(self, percent, address=STRAP):
        """As BlueZ says it itself, by org.bluez.Battery1."""
        self._tell("Percentage", "sy", address, percent)

    def state(self, address=STRAP):
        """connected, listening (how many characteristics), and which calls came: {"Connect": 2, ...}"""
        return json.loads(self._tell("State", "s", address))

    def discovering(self, name="hci0"):
        """How many clients want it to."""
        return int(self._tell("Discovering", "s", name))

    def clients(self):
        """The names on the bus of those who listen."""
        return [str(client) for client in self._tell("Clients", "")]

    def pretend(self, value, owner, uuid=HEART, address=STRAP):
        """Somebody else on the bus sends `owner` alone a value, as if BlueZ had: does not return before it was sent."""
        path = f"/org/bluez/hci0/dev_{address.replace(':', '_')}/service0001/char{uuid}"
        message = dbus.lowlevel.SignalMessage(path, dbus.PROPERTIES_IFACE, "PropertiesChanged")
        message.append("org.bluez.GattCharacteristic1", {"Value": dbus.ByteArray(value)}, dbus.Array([], signature="s"), signature="sa{sv}as")
        message.set_destination(owner)
        self.connection.send_message(message)
        self.connection.get_name_owner("org.bluez")  # it has gone through

    def close(self):
        self.bus_down()
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
