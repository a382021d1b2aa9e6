"""A private D-Bus and, on it, a stand-in for bluetoothd: adapters, devices that advertise, connect and notify. The stand-in is this file run
as a program of its own, so that it can be killed; it is told what happens by lines of JSON.

What it does as BlueZ does: a device is an object once it was discovered (or is known); its characteristics are there once it is connected;
who may listen is counted by client; `Value` changes only for those who listen."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STRAP, OTHER = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02"
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
        self.bus = self.process = None
        self.adapters, self.devices = {"hci0"}, {}

    def bus_up(self):
        (self.folder / "bus.conf").write_text(BUS % (self.folder / "bus"))
        self.bus = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self.folder}/bus.conf"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not (self.folder / "bus").exists():
            assert self.bus.poll() is None and time.monotonic() < deadline, "dbus-daemon does not start"
            time.sleep(0.02)
        return self

    def bus_down(self):
        self.stop()
        if self.bus:
            self.bus.kill()
            self.bus.wait()
            self.bus = None
        (self.folder / "bus").unlink(missing_ok=True)

    def start(self):
        if not self.bus:
            self.bus_up()
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address})
        assert self.process.stdout.readline() == '"ready"\n', "the stand-in for BlueZ does not start"
        for name in sorted(self.adapters):
            self.tell("adapter", name=name)
        for address, device in self.devices.items():
            self.tell("device", address=address, **device)
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def tell(self, what, **how):
        self.process.stdin.write(json.dumps({"what": what, **how}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert not isinstance(answer, dict) or "fault" not in answer, answer
        return answer

    def plug(self, name="hci0"):
        self.adapters.add(name)
        self.tell("adapter", name=name)
        for address, device in self.devices.items():
            self.tell("device", address=address, **device)

    def unplug(self, name="hci0"):
        self.adapters.discard(name)
        self.tell("unplug", name=name)

    def power(self, on, name="hci0"):
        self.tell("power", name=name, on=on)

    def device(self, address=STRAP, name="H10", characteristics=(HEART, BATTERY), **more):
        """One that advertises; `known`: BlueZ knows it already; `paired`; `battery`: what is read there."""
        self.devices[address] = {"name": name, "characteristics": list(characteristics), **more}
        if self.process:
            self.tell("device", address=address, **self.devices[address])
        return self

    def vanish(self, address=STRAP):
        """Out of reach: it disconnects and advertises no more."""
        self.tell("vanish", address=address)

    def drop(self, address=STRAP):
        """The connection breaks."""
        self.tell("drop", address=address)

    def forget(self, address=STRAP):
        """BlueZ forgets it: its object is removed."""
        self.tell("forget", address=address)

    def rearrange(self, address=STRAP):
        """It has other services now: the same ones, as new objects."""
        self.tell("rearrange", address=address)

    def fail(self, method, error=None, address=STRAP, uuid=None):
        """From now on this call to this device fails so ("hang": is never answered); None: not any more."""
        self.tell("fail", address=address, method=method, error=error, uuid=uuid)

    def notify(self, value, uuid=HEART, address=STRAP, times=1, force=False):
        """True when somebody listens, who is told then. `force`: told anyway."""
        return self.tell("notify", address=address, uuid=uuid, value=value.hex() if isinstance(value, bytes) else value, times=times, force=force)

    def percentage(self, percent, address=STRAP):
        """As BlueZ says it itself, by org.bluez.Battery1."""
        self.tell("percentage", address=address, percent=percent)

    def state(self, address=STRAP):
        """connected, listening (how many characteristics), and which calls came: {"Connect": 2, ...}"""
        return self.tell("state", address=address)

    def pretend(self, value, owner, uuid=HEART, address=STRAP):
        """Somebody else on the bus sends `owner` alone a value, as if BlueZ had: does not return before it was sent."""
        subprocess.run([sys.executable, __file__, "pretend", owner, path_of(address, uuid), value.hex()], check=True,
                       env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address})

    def clients(self):
        """The names on the bus of those who called BlueZ."""
        return self.tell("clients")

    def close(self):
        self.bus_down()
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def path_of(address, uuid=None, adapter="hci0"):
    path = f"/org/bluez/{adapter}/dev_{address.replace(':', '_')}"
    return f"{path}/service0001/char{uuid}" if uuid else path


def full(uuid):
    return f"0000{uuid}-0000-1000-8000-00805f9b34fb"


def serve():
    """The stand-in itself."""
    import dbus
    import dbus.mainloop.glib
    import dbus.service
    from gi.repository import GLib

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    name = dbus.service.BusName("org.bluez", bus, do_not_queue=True)
    PROPS, OM = dbus.PROPERTIES_IFACE, "org.freedesktop.DBus.ObjectManager"
    objects, world, callers = {}, {}, set()

    class Fault(dbus.DBusException):
        def __init__(self, error):
            super().__init__("it was told to fail", name=error)

    class Root(dbus.service.Object):
        @dbus.service.method(OM, out_signature="a{oa{sa{sv}}}", sender_keyword="sender")
        def GetManagedObjects(self, sender=None):
            callers.add(str(sender))
            return dbus.Dictionary({p: o.interfaces() for p, o in objects.items()}, signature="oa{sa{sv}}")

        @dbus.service.signal(OM, signature="oa{sa{sv}}")
        def InterfacesAdded(self, path, interfaces):
            pass

        @dbus.service.signal(OM, signature="oas")
        def InterfacesRemoved(self, path, interfaces):
            pass

    class Node(dbus.service.Object):
        interface = ""

        def __init__(self, path, **properties):
            super().__init__(bus, path)
            self.path, self.properties = dbus.ObjectPath(path), properties
            objects[self.path] = self
            root.InterfacesAdded(self.path, self.interfaces())

        def interfaces(self):
            return {self.interface: dbus.Dictionary(self.properties, signature="sv")}

        def remove(self):
            del objects[self.path]
            root.InterfacesRemoved(self.path, list(self.interfaces()))
            self.remove_from_connection()

        @dbus.service.signal(PROPS, signature="sa{sv}as")
        def PropertiesChanged(self, interface, changed, invalidated):
            pass

        def change(self, **properties):
            self.properties.update(properties)
            self.PropertiesChanged(self.interface, properties, [])

    class Adapter(Node):
        interface = "org.bluez.Adapter1"

        def __init__(self, hci):
            self.sessions = set()
            number = int(hci[3:])
            super().__init__(f"/org/bluez/{hci}", Address=f"00:00:00:00:00:{number:02X}", Powered=True, Discovering=False)

        @dbus.service.method(interface, in_signature="a{sv}")
        def SetDiscoveryFilter(self, wanted):
            if wanted.get("Transport") != "le":
                raise Fault("org.bluez.Error.InvalidArguments")

        @dbus.service.method(interface, sender_keyword="sender")
        def StartDiscovery(self, sender=None):
            if not self.properties["Powered"]:
                raise Fault("org.bluez.Error.NotReady")
            if sender in self.sessions:
                raise Fault("org.bluez.Error.InProgress")
            self.sessions.add(sender)
            self.change(Discovering=True)
            for device in list(world.values()):
                device.appear()

        @dbus.service.method(interface, sender_keyword="sender")
        def StopDiscovery(self, sender=None):
            self.sessions.discard(sender)
            self.change(Discovering=bool(self.sessions))

    class Characteristic(Node):
        interface = "org.bluez.GattCharacteristic1"

        def __init__(self, device, uuid):
            self.device, self.uuid, self.listeners = device, uuid, set()
            flags = ["read", "notify"] if uuid == BATTERY else ["indicate"] if uuid in (SPOT, THERMOMETER, PRESSURE) else ["notify"]
            super().__init__(path_of(device.address, uuid, device.adapter), UUID=full(uuid), Flags=dbus.Array(flags, signature="s"),
                             Notifying=False, Value=dbus.Array([0x06, 222], signature="y"))  # of long ago

        @dbus.service.method(interface, async_callbacks=("done", "failed"), sender_keyword="sender")
        def StartNotify(self, done, failed, sender=None):
            if self.device.may("StartNotify", done, failed, self.uuid):
                if sender in self.listeners:
                    failed(Fault("org.bluez.Error.InProgress"))
                    return
                self.listeners.add(sender)
                done()

        @dbus.service.method(interface, sender_keyword="sender")
        def StopNotify(self, sender=None):
            self.device.note("StopNotify")
            self.listeners.discard(sender)

        @dbus.service.method(interface, in_signature="a{sv}", out_signature="ay", async_callbacks=("done", "failed"))
        def ReadValue(self, options, done, failed):
            if self.device.may("ReadValue", done, failed, self.uuid):
                done(dbus.ByteArray(bytes([self.device.told.get("battery", 100)])))

    class Device:
        """One in the world, whether BlueZ knows it or not."""

        def __init__(self, address, told):
            self.address, self.told, self.calls, self.faults = address, told, {}, {}
            self.adapter, self.node, self.near, self.characteristics = told.get("adapter", "hci0"), None, True, []
            if told.get("known"):
                self.appear()

        def note(self, method):
            self.calls[method] = self.calls.get(method, 0) + 1

        def may(self, method, done, failed, uuid=None):
            """Counts the call; False: it was answered, or never will be."""
            self.note(method)
            error = self.faults.get((method, uuid), self.faults.get((method, None)))
            if error and error != "hang":
                failed(Fault(error))
            return not error

        def appear(self):
            adapter = objects.get(f"/org/bluez/{self.adapter}")
            if self.near and not self.node and adapter:
                self.node = Known(self)
            elif self.node and self.near:
                self.node.change(RSSI=dbus.Int16(-60))

        def connect(self):
            self.node.change(Connected=True)
            self.rearrange(self.told["characteristics"])
            self.node.change(ServicesResolved=True)

        def drop(self):
            if self.node and self.node.properties["Connected"]:
                self.node.change(Connected=False, ServicesResolved=False)
            self.rearrange([])

        def rearrange(self, uuids):
            for each in self.characteristics:
                each.remove()
            self.characteristics = [Characteristic(self, uuid) for uuid in uuids]

        def forget(self):
            self.drop()
            if self.node:
                self.node.remove()
            self.node = None

    class Known(Node):
        interface = "org.bluez.Device1"

        def __init__(self, device):
            self.device = device
            told = device.told
            super().__init__(path_of(device.address, None, device.adapter), Address=device.address, Name=told["name"], Alias=told["name"],
                             Paired=bool(told.get("paired")), Trusted=bool(told.get("trusted")), Connected=False, ServicesResolved=False,
                             Adapter=dbus.ObjectPath(f"/org/bluez/{device.adapter}"))

        def interfaces(self):
            more = self.device.told.get("percentage")
            battery = {"org.bluez.Battery1": dbus.Dictionary({"Percentage": dbus.Byte(more)}, signature="sv")} if more is not None else {}
            return {**super().interfaces(), **battery}

        @dbus.service.method(interface, async_callbacks=("done", "failed"))
        def Connect(self, done, failed):
            if not self.device.may("Connect", done, failed):
                return
            if not self.device.near:
                failed(Fault("org.bluez.Error.Failed"))
                return
            if not self.properties["Connected"]:
                self.device.connect()
            done()

        @dbus.service.method(interface)
        def Disconnect(self):
            self.device.note("Disconnect")
            self.device.drop()

    def gone(sender):  # BlueZ forgets what a client that has gone wanted
        for o in objects.values():
            for wanted in (getattr(o, "listeners", None), getattr(o, "sessions", None)):
                if wanted:
                    wanted.discard(sender)

    bus.add_signal_receiver(lambda n, before, after: gone(before) if before and not after else None, "NameOwnerChanged",
                            "org.freedesktop.DBus", "org.freedesktop.DBus")

    class Orders:
        def adapter(self, name):
            if f"/org/bluez/{name}" not in objects:
                Adapter(name)

        def unplug(self, name):
            for device in world.values():
                if device.adapter == name:
                    device.forget()
            objects[f"/org/bluez/{name}"].remove()

        def power(self, name, on):
            for device in world.values():
                if device.adapter == name:
                    device.drop()
            objects[f"/org/bluez/{name}"].change(Powered=on)

        def device(self, address, **told):
            if address in world:
                world[address].forget()
            world[address] = Device(address, told)
            adapter = objects.get(f"/org/bluez/{world[address].adapter}")
            if adapter and adapter.properties["Discovering"]:
                world[address].appear()

        def vanish(self, address):
            world[address].near = False
            world[address].drop()

        def drop(self, address):
            world[address].drop()

        def forget(self, address):
            world[address].forget()

        def rearrange(self, address):
            world[address].rearrange(world[address].told["characteristics"])

        def fail(self, address, method, error, uuid):
            world[address].faults[(method, uuid)] = error

        def notify(self, address, uuid, value, times, force):
            there = [c for c in world[address].characteristics if c.uuid == uuid and (c.listeners or force)]
            told = dbus.ByteArray(bytes.fromhex(value)) if isinstance(value, str) else value["strange"]
            for each in there:
                for _ in range(times):
                    each.PropertiesChanged(each.interface, {"Value": told}, [])
            return bool(there)

        def percentage(self, address, percent):
            world[address].node.PropertiesChanged("org.bluez.Battery1", {"Percentage": dbus.Byte(percent)}, [])

        def state(self, address):
            device = world[address]
            return {"known": bool(device.node), "connected": bool(device.node and device.node.properties["Connected"]),
                    "listening": sum(bool(c.listeners) for c in device.characteristics), "calls": device.calls}

        def clients(self):
            return sorted(callers)

        def discovering(self, name):
            return len(objects[f"/org/bluez/{name}"].sessions)

    orders = Orders()

    def on_order(*_):
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        order = json.loads(line)
        try:
            answer = getattr(orders, order.pop("what"))(**order)
        except Exception as fault:  # noqa: BLE001 - the test is told
            answer = {"fault": repr(fault)}
        print(json.dumps(answer), flush=True)
        return True

    root = Root(bus, "/")
    loop = GLib.MainLoop()
    GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, on_order)
    print(json.dumps("ready"), flush=True)
    loop.run()
    del name


def pretend(owner, path, value):
    import dbus
    import dbus.lowlevel

    bus = dbus.SystemBus()
    message = dbus.lowlevel.SignalMessage(path, dbus.PROPERTIES_IFACE, "PropertiesChanged")
    message.append("org.bluez.GattCharacteristic1", {"Value": dbus.ByteArray(bytes.fromhex(value))}, dbus.Array([], signature="s"),
                   signature="sa{sv}as")
    message.set_destination(owner)
    bus.send_message(message)
    bus.flush()
    bus.get_object("org.freedesktop.DBus", "/").GetId(dbus_interface="org.freedesktop.DBus")  # it has gone through


if __name__ == "__main__":
    if sys.argv[1:2] == ["pretend"]:
        pretend(*sys.argv[2:])
    else:
        serve()
