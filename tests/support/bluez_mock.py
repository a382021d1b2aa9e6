"""A template for dbusmock: its own `bluez5` (adapters, devices, the object manager), and on top of it what a sensor of the body needs of
BlueZ: devices that advertise before they are known, GATT services and characteristics, clients that are told apart, calls that fail or are
never answered. `python3 -m dbusmock --template` runs it; support/bluez.py tells it what happens, by the methods of org.bluez.Mock.

As BlueZ does: a device is an object once it was discovered (or is known); its characteristics are there once it is connected, and stay when
it is paired, with the value that was last said; who listens is counted by client, and stays counted while a paired device is away; `Value`
changes only for those who listen."""
import json
from collections import Counter

import dbus
import dbus.service
from dbusmock import OBJECT_MANAGER_IFACE, mockobject
from dbusmock.templates import bluez5
from dbusmock.templates.bluez5 import (ADAPTER_IFACE, BLUEZ_MOCK_IFACE, BUS_NAME, DEVICE_IFACE, IS_OBJECT_MANAGER, MAIN_OBJ,  # noqa: F401
                                       SYSTEM_BUS, AddAdapter, AddDevice, BlockDevice, PairDevice, RemoveAdapterWithDevices)
from gi.repository import GLib

SERVICE_IFACE, CHARACTERISTIC_IFACE, BATTERY_IFACE = "org.bluez.GattService1", "org.bluez.GattCharacteristic1", "org.bluez.Battery1"
OURS_ALREADY = ("InProgress", "Failed:Already notifying")  # what BlueZ says to a client that listens
BATTERY, INDICATED = "2a19", ("2a5e", "2a1c", "2a35")
objects = mockobject.objects
world = {}  # address: Peripheral


def fault(error, words="it was told to fail"):
    return dbus.exceptions.DBusException(words, name=f"org.bluez.Error.{error}")


def full(uuid):
    return f"0000{uuid}-0000-1000-8000-00805f9b34fb"


def equip(path, *methods):
    """Instead of those of the template: these know who calls, and may answer later."""
    for each in methods:
        objects[path].methods.setdefault(each._dbus_interface, {})[each.__name__] = (each._dbus_in_signature, each._dbus_out_signature, "", each)


def change(path, interface, **properties):
    objects[path].UpdateProperties(interface, properties)


def add(path, interface, properties, *methods):
    objects["/"].AddObject(path, interface, properties, [])
    equip(path, *methods)
    objects["/"].object_manager_emit_added(path)


def remove(path):
    objects["/"].object_manager_emit_removed(path)
    objects["/"].RemoveObject(path)


class Peripheral:
    """One in the world, whether BlueZ knows it or not."""

    def __init__(self, address, told):
        self.address, self.told, self.near = address, told, True
        self.calls, self.faults, self.listeners = Counter(), {}, {}
        self.adapter = f"/org/bluez/{told.get('adapter', 'hci0')}"
        self.path = f"{self.adapter}/dev_{address.replace(':', '_')}"
        self.service = f"{self.path}/service0001"

    def device(self):
        return objects.get(self.path)

    def connected(self):
        return self.device() and bool(self.device().props[DEVICE_IFACE]["Connected"])

    def may(self, method, done, failed, uuid=None):
        """Counts the call; False: it was answered, or never will be."""
        self.calls[method] += 1
        error = self.faults.get((method, uuid), self.faults.get((method, "")))
        if error and error != "hang":
            failed(fault(*error.split(":")))
        return not error

    def appear(self):
        if not self.near or self.adapter not in objects:
            return
        if self.device():
            change(self.path, DEVICE_IFACE, RSSI=dbus.Int16(-60))
            return
        hci = self.adapter.rsplit("/", 1)[1]
        AddDevice(objects["/"], hci, self.address, self.told["name"])
        equip(self.path, Connect, Disconnect)
        self.device().peripheral = self
        if self.told.get("paired"):
            PairDevice(objects["/"], hci, self.address, bluez5.MOCK_PHONE_CLASS)
        if self.told.get("blocked"):
            BlockDevice(objects["/"], hci, self.address)
        if self.told.get("trusted"):
            change(self.path, DEVICE_IFACE, Trusted=dbus.Boolean(True))

    def connect(self):
        change(self.path, DEVICE_IFACE, Connected=dbus.Boolean(True))
        if "percentage" in self.told:
            self.device().AddProperties(BATTERY_IFACE, {"Percentage": dbus.Byte(self.told["percentage"])})
            objects["/"].object_manager_emit_added(self.path)
        if self.told.get("late"):  # BlueZ may say that it knows its services before it says which
            change(self.path, DEVICE_IFACE, ServicesResolved=dbus.Boolean(True))
            GLib.timeout_add(self.told["late"], lambda: self.connected() and self.arrange(self.told["characteristics"]) and False)
        else:
            self.arrange(self.told["characteristics"])
            change(self.path, DEVICE_IFACE, ServicesResolved=dbus.Boolean(True))

    def arrange(self, uuids):
        """These are its characteristics now; those it has already stay."""
        if uuids and self.service not in objects:
            add(self.service, SERVICE_IFACE, {"UUID": dbus.String(full("180d")), "Primary": dbus.Boolean(True),
                                              "Device": dbus.ObjectPath(self.path)})
        for uuid in uuids:
            path = f"{self.service}/char{uuid}"
            if path not in objects:
                flags = ["read", "notify"] if uuid == BATTERY else ["indicate"] if uuid in INDICATED else ["notify"]
                add(path, CHARACTERISTIC_IFACE, {
                    "UUID": dbus.String(full(uuid)), "Service": dbus.ObjectPath(self.service), "Flags": dbus.Array(flags, signature="s"),
                    "Notifying": dbus.Boolean(False), "Value": dbus.Array([0x06, 222], signature="y")}, StartNotify, StopNotify, ReadValue)
                objects[path].peripheral, objects[path].uuid = self, uuid
                self.listeners[path] = set()
        for path in [p for p in self.listeners if p.rsplit("char", 1)[1] not in uuids]:
            del self.listeners[path]
            if path in objects:  # an adapter takes them with it
                remove(path)
        if not uuids and self.service in objects:
            remove(self.service)

    def drop(self):
        if self.connected():
            change(self.path, DEVICE_IFACE, Connected=dbus.Boolean(False), ServicesResolved=dbus.Boolean(False))
            if self.device().props.pop(BATTERY_IFACE, None):
                objects["/"].EmitSignal(OBJECT_MANAGER_IFACE, "InterfacesRemoved", "oas", [dbus.ObjectPath(self.path), [BATTERY_IFACE]])
        if not self.told.get("paired"):
            self.arrange([])

    def forget(self):
        self.drop()
        self.arrange([])
        if self.device():
            bluez5.RemoveDevice(objects[self.adapter], self.path)


# ---- what the gateway calls ----

@dbus.service.method(DEVICE_IFACE, async_callbacks=("done", "failed"))
def Connect(self, done, failed):
    p = self.peripheral
    if not p.may("Connect", done, failed):
        return
    if self.props[DEVICE_IFACE]["Blocked"] or not p.near:
        failed(fault("Failed", "le-connection-abort-by-local"))
        return
    if not p.connected():
        p.connect()
    done()


@dbus.service.method(DEVICE_IFACE)
def Disconnect(self):
    self.peripheral.calls["Disconnect"] += 1
    if not self.peripheral.connected():
        raise fault("NotConnected")
    self.peripheral.drop()


@dbus.service.method(ADAPTER_IFACE, in_signature="a{sv}")
def SetDiscoveryFilter(self, wanted):
    if wanted.get("Transport") != "le":
        raise fault("InvalidArguments")
    bluez5.SetDiscoveryFilter(self, wanted)


@dbus.service.method(ADAPTER_IFACE, sender_keyword="sender")
def StartDiscovery(self, sender=None):
    if not self.props[ADAPTER_IFACE]["Powered"]:
        raise fault("NotReady")
    if sender in self.sessions:
        raise fault("InProgress")
    self.sessions.add(sender)
    bluez5.StartDiscovery(self)
    for each in list(world.values()):
        if each.adapter == self.path:
            each.appear()


@dbus.service.method(ADAPTER_IFACE, sender_keyword="sender")
def StopDiscovery(self, sender=None):
    if sender not in self.sessions:
        raise fault("Failed", "No discovery started")
    self.sessions.discard(sender)
    if not self.sessions:
        bluez5.StopDiscovery(self)


@dbus.service.method(CHARACTERISTIC_IFACE, async_callbacks=("done", "failed"), sender_keyword="sender")
def StartNotify(self, done, failed, sender=None):
    p = self.peripheral
    if p.faults.get(("StartNotify", "")) in OURS_ALREADY:
        p.listeners[self.path].add(sender)
    if not p.may("StartNotify", done, failed, self.uuid):
        return
    if sender in p.listeners[self.path]:
        failed(fault("Failed", "Already notifying"))
        return
    p.listeners[self.path].add(sender)
    change(self.path, CHARACTERISTIC_IFACE, Notifying=dbus.Boolean(True))
    if p.told.get("echo"):
        change(self.path, CHARACTERISTIC_IFACE, Value=self.props[CHARACTERISTIC_IFACE]["Value"])
    done()


@dbus.service.method(CHARACTERISTIC_IFACE, sender_keyword="sender")
def StopNotify(self, sender=None):
    self.peripheral.calls["StopNotify"] += 1
    if sender not in self.peripheral.listeners[self.path]:
        raise fault("Failed", "No notify session started")
    self.peripheral.listeners[self.path].discard(sender)


@dbus.service.method(CHARACTERISTIC_IFACE, in_signature="a{sv}", out_signature="ay", async_callbacks=("done", "failed"))
def ReadValue(self, options, done, failed):
    if self.peripheral.may("ReadValue", done, failed, self.uuid):
        done(dbus.ByteArray(bytes([self.peripheral.told.get("battery", 100)])))


def gone(sender):
    """BlueZ forgets what a client that has gone wanted."""
    for each in [getattr(o, "sessions", set()) for o in objects.values()] + [s for p in world.values() for s in p.listeners.values()]:
        each.discard(sender)


# ---- what the test tells ----

@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="s")
def Plug(self, hci):
    path = f"/org/bluez/{hci}"
    if path not in objects:
        AddAdapter(self, hci, "gateway")
        objects[path].sessions = set()
        equip(path, SetDiscoveryFilter, StartDiscovery, StopDiscovery)


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="s")
def Unplug(self, hci):
    RemoveAdapterWithDevices(self, hci)
    for each in world.values():
        if each.adapter == f"/org/bluez/{hci}":
            each.arrange([])


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="sb")
def Power(self, hci, on):
    path = f"/org/bluez/{hci}"
    for each in world.values():
        if each.adapter == path:
            each.drop()
    objects[path].sessions.clear()
    change(path, ADAPTER_IFACE, Powered=on, Discovering=dbus.Boolean(False))


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="ss")
def Tell(self, address, told):
    """There is such a device now, as `told` describes it: it advertises; `known`: BlueZ knows it already; `connected`: it is."""
    if address in world:
        world[address].forget()
    world[address] = Peripheral(address, json.loads(told))
    adapter = objects.get(world[address].adapter)
    if adapter and (adapter.sessions or world[address].told.get("known")):
        world[address].appear()
        if world[address].told.get("connected"):
            world[address].connect()


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="ss")
def Happen(self, address, what):
    p = world[address]
    if what == "vanish":
        p.near = False
    if what == "rearrange":
        p.arrange([])
        p.arrange(p.told["characteristics"])
    elif what == "forget":
        p.forget()
    elif what == "deafen":
        for listeners in p.listeners.values():
            listeners.clear()
    else:
        p.drop()


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="ssss")
def Fail(self, address, method, error, uuid):
    world[address].faults[(method, uuid)] = error


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="ssvi", out_signature="b")
def Notify(self, address, uuid, value, times):
    for path, listeners in world[address].listeners.items():
        if listeners and path.endswith(f"char{uuid}"):
            for _ in range(times):
                objects[path].EmitSignal(dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as", [CHARACTERISTIC_IFACE, {"Value": value}, []])
            return True
    return False


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="sy")
def Percentage(self, address, percent):
    objects[world[address].path].EmitSignal(dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as",
                                            [BATTERY_IFACE, {"Percentage": dbus.Byte(percent, variant_level=1)}, []])


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="s", out_signature="s")
def State(self, address):
    p = world[address]
    return json.dumps({"known": bool(p.device()), "connected": bool(p.connected()), "listening": sum(map(bool, p.listeners.values())),
                       "calls": p.calls})


@dbus.service.method(BLUEZ_MOCK_IFACE, out_signature="as")
def Clients(self):
    return dbus.Array(sorted({c for p in world.values() for s in p.listeners.values() for c in s}), signature="s")


@dbus.service.method(BLUEZ_MOCK_IFACE, in_signature="s", out_signature="i")
def Discovering(self, hci):
    return len(objects[f"/org/bluez/{hci}"].sessions)


def load(mock, parameters):
    bluez5.load(mock, parameters)
    mock.connection.add_signal_receiver(lambda name, before, after: gone(before) if before and not after else None, "NameOwnerChanged",
                                        "org.freedesktop.DBus", "org.freedesktop.DBus")
