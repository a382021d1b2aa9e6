"""Bluetooth sensors through BlueZ, which stands in on a private D-Bus: what they say arrives as vitals, and what happens to Bluetooth in a
life - restarts, unplugged adapters, devices that go, fail, lie and change hands - is got over."""
import json
import struct
import time

import pytest

from integration.test_sensors import dispatch, edge, health, heard, sensor_of, until, write_sensors
from support.bluez import ADAPTER, BATTERY, HEART, OTHER, OXIMETER, PRESSURE, SPOT, STRAP, THERMOMETER, Bluez, heart_rate
from support.site import wait_until

NAN, NRES, PLUS, MINUS, RESERVED = 0x07FF, 0x0800, 0x07FE, 0x0802, 0x0801


@pytest.fixture
def bluez():
    made = Bluez()
    yield made
    made.close()


def strap(name="strap", person="ann", address=STRAP, **more):
    options = {"address": address, **more.pop("options", {})}
    options = {k: v for k, v in options.items() if v is not None}
    return {"name": name, "kind": "bluetooth", "person": person, "every": 0.1, "rate": 1000, "heartbeat": 0, "options": options, **more}


def gateway_of(site, bluez, id, *sensors, **settings):
    gateway = edge(site, id, *sensors, **settings)
    gateway.env["DBUS_SYSTEM_BUS_ADDRESS"] = bluez.address
    return gateway


def is_state(gateway, state, name="strap", why=""):
    said = sensor_of(gateway, name)
    return said.get("state") == state and why in said.get("why", "")


def wait_state(gateway, state, name="strap", why=""):
    wait_until(lambda: is_state(gateway, state, name, why), f"{name} is {state} {why}", 60)


def beat(bluez, rate, **which):
    assert bluez.notify(heart_rate(rate), **which), "nobody listens"


def test_a_heart_rate_strap_is_found_connected_and_heard_and_let_go_at_the_end(site, bluez):
    bluez.device(battery=83).start()
    with gateway_of(site, bluez, "strap", strap()) as gateway, dispatch(site) as dan:
        wait_state(gateway, "open")
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 83, "its battery is read")
        assert bluez.notify(heart_rate(72, 830, 841))
        topic, said = heard(dan)
        assert topic == "mayday/v1/acme/user/ann/vitals" and said["hr"] == 72 and said["contact"] is True and said["battery"] == 83
        assert [round(rr) for rr in said["rr_ms"]] == [830, 841] and said["sensor"] == "strap"
        assert bluez.notify(bytes([41]), BATTERY)
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 41, "its battery is listened to")
        bluez.percentage(17)
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 17, "also as BlueZ says it")
        wait_until(lambda: bluez.discovering() == 0, "nothing is missing: no discovery", 60)
    wait_until(lambda: not bluez.state()["connected"], "it is let go")
    site.wait_rows("SELECT count(*) FROM mayday.vitals WHERE id = %s", [(1,)], (said["id"],))


def sfloat(value):
    """Whole numbers only, or the raw bits of a special value."""
    return struct.pack("<H", value & 0x0FFF if value not in (NAN, NRES, PLUS, MINUS, RESERVED) else value)


def test_oximeters_thermometers_and_cuffs_are_read_too(site, bluez):
    bluez.device(characteristics=(OXIMETER, SPOT, THERMOMETER, PRESSURE)).start()
    with gateway_of(site, bluez, "spots", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        assert bluez.notify(b"\0" + sfloat(97) + sfloat(64), OXIMETER)
        said = until(dan, lambda t, s: "spo2" in s)
        assert (said["spo2"], said["hr"]) == (97, 64)
        assert bluez.notify(b"\0" + sfloat(95) + sfloat(66), SPOT)
        assert until(dan, lambda t, s: s.get("spo2") == 95)["hr"] == 66
        assert bluez.notify(b"\0" + struct.pack("<I", 0xFF000000 | 374), THERMOMETER)
        assert until(dan, lambda t, s: "temp" in s)["temp"] == 37.4
        assert bluez.notify(b"\0" + sfloat(121) + sfloat(79) + sfloat(93), PRESSURE)
        said = until(dan, lambda t, s: "sys" in s)
        assert (said["sys"], said["dia"]) == (121, 79)


def cuff(systolic, age, zone=-5):
    """A blood pressure, measured `age` seconds ago by a clock in another zone."""
    at = time.gmtime(time.time() + zone * 3600 - age)
    return b"\x02" + sfloat(systolic) + sfloat(70) + sfloat(90) + struct.pack("<HBBBBB", *at[:6])


def test_what_a_cuff_has_stored_is_not_taken_for_what_it_measures(site, bluez):
    hour, day = 3600, 86400
    bluez.device(characteristics=(PRESSURE,), known=True, paired=True).start()
    with gateway_of(site, bluez, "stored", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        for systolic, age in (101, 9 * day), (102, 3 * hour), (103, hour), (121, 0):
            assert bluez.notify(cuff(systolic, age), PRESSURE)
        assert heard(dan)[1]["sys"] == 121, "the newest of those that come at once"
        bluez.drop()
        wait_until(lambda: gateway.log().count("sensor strap is open") == 2, "it is connected again")
        for systolic, age in (101, 9 * day), (102, 3 * hour), (103, hour):
            assert bluez.notify(cuff(systolic, age), PRESSURE)
        time.sleep(1.1)  # its clock knows seconds
        assert bluez.notify(cuff(122, 0), PRESSURE)
        assert heard(dan)[1]["sys"] == 122 and dan.receives_nothing()
        wait_until(lambda: sensor_of(gateway, "strap").get("refused") == 6, "the others are counted")


def test_only_devices_that_are_configured_are_ever_connected(site, bluez):
    bluez.device().device(OTHER, name="H10").device("C0:FF:EE:00:00:03", name="H10", known=True, paired=True).start()
    with gateway_of(site, bluez, "chosen", strap()) as gateway:
        wait_state(gateway, "open")
    assert bluez.state()["calls"]["Connect"] == 1
    assert not bluez.state(OTHER)["calls"] and not bluez.state("C0:FF:EE:00:00:03")["calls"]


def test_one_that_goes_by_its_name_must_be_paired_or_trusted_and_the_only_one(site, bluez):
    bluez.device(name="H10").start()
    by_name = strap(options={"address": None, "name": "H10"})
    with gateway_of(site, bluez, "named", by_name) as gateway:
        wait_state(gateway, "seeking", why="paired or trusted")
        bluez.device(name="H10", known=True, trusted=True)
        wait_state(gateway, "open")
        bluez.device(OTHER, name="H10", known=True, paired=True)
        bluez.drop()
        wait_state(gateway, "seeking", why="two of that name")
        assert not bluez.state(OTHER)["calls"]


def test_any_number_of_strangers_of_its_name_keep_out_none_that_is_trusted_or_addressed(site, bluez):
    for i in range(100):
        bluez.device(f"C0:FF:EE:01:00:{i:02X}", name="H10", known=True)
    bluez.device(name="H10", known=True, trusted=True).device(OTHER, name="T5", known=True).start()
    by_name = strap(options={"address": None, "name": "H10"})
    with gateway_of(site, bluez, "crowded", by_name, strap("other", "bob", OTHER)) as gateway:
        wait_state(gateway, "open")
        wait_state(gateway, "open", "other")


def test_one_that_must_be_paired_waits_for_it(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "paired", strap(options={"paired": True})) as gateway:
        wait_state(gateway, "seeking", why="not paired")
        assert "Connect" not in bluez.state()["calls"]
        bluez.device(known=True, paired=True)
        wait_state(gateway, "open")


def test_bluez_may_be_restarted(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "restart", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.stop()
        wait_state(gateway, "seeking", why="bluetoothd) is not running")
        bluez.start()
        wait_state(gateway, "open")
        beat(bluez, 75)
        assert heard(dan)[1]["hr"] == 75
        assert gateway.log().count("BlueZ (bluetoothd) is not running") == 2, "once for all, once for the sensor"


def test_an_adapter_may_be_pulled_out_plugged_in_and_switched_off(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "adapter", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.unplug()
        wait_state(gateway, "seeking", why="no Bluetooth adapter")
        bluez.plug()
        wait_state(gateway, "open")
        bluez.power(False)
        wait_state(gateway, "seeking", why="switched off")
        bluez.power(True)
        wait_state(gateway, "open")
        beat(bluez, 76)
        assert heard(dan)[1]["hr"] == 76


def test_a_sensor_of_one_adapter_is_not_sought_at_another(site, bluez):
    bluez.adapters = {"hci0", "hci1"}
    bluez.device(adapter="hci1").device(OTHER).start()
    mine, by_address = strap(options={"adapter": "hci0"}), strap("two", "bob", OTHER, options={"adapter": ADAPTER})
    with gateway_of(site, bluez, "adapters", mine, by_address) as gateway:
        wait_state(gateway, "open", "two")
        wait_until(lambda: bluez.discovering() == 1, "it is sought")
        wait_state(gateway, "seeking", why="not there")
        assert bluez.discovering("hci1") == 0 and not bluez.state()["calls"]


def test_a_device_that_goes_out_of_reach_or_breaks_off_is_connected_again(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "reach", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.drop()
        wait_until(lambda: bluez.state()["calls"]["Connect"] == 2, "it is connected again")
        wait_state(gateway, "open")
        assert "the connection was lost" in gateway.log()
        bluez.vanish()
        wait_until(lambda: bluez.state()["calls"]["Connect"] >= 4, "it is tried again and again", 60)
        wait_state(gateway, "seeking", why="out of reach")
        bluez.forget()
        wait_state(gateway, "seeking", why="it is not there")
        bluez.device()
        wait_state(gateway, "open")
        beat(bluez, 77)
        assert heard(dan)[1]["hr"] == 77


def test_a_paired_device_that_breaks_off_is_listened_to_anew_and_what_it_said_before_is_not_read(site, bluez):
    bluez.device(known=True, paired=True, echo=True).start()
    with gateway_of(site, bluez, "bonded", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        beat(bluez, 73)
        assert heard(dan)[1]["hr"] == 73
        bluez.drop()
        wait_until(lambda: gateway.log().count("sensor strap is open") == 2, "it is connected again")
        beat(bluez, 74)
        assert heard(dan)[1]["hr"] == 74


def test_characteristics_that_come_after_bluez_said_that_it_knows_them_are_waited_for(site, bluez):
    bluez.device(late=700, battery=55).start()
    with gateway_of(site, bluez, "late", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        beat(bluez, 72)
        assert heard(dan)[1]["hr"] == 72
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 55, "also those that come when it is read already")
        assert bluez.state()["calls"]["Connect"] == 1 and "Disconnect" not in bluez.state()["calls"]


def test_a_device_that_is_connected_before_is_listened_to_and_left_so_and_its_battery_is_known_from_the_beginning(site, bluez):
    bluez.device(characteristics=(HEART,), percentage=64, known=True, connected=True).start()
    with gateway_of(site, bluez, "before", strap()) as gateway:
        wait_until(lambda: sensor_of(gateway, "strap").get("battery") == 64, "what BlueZ said before anybody listened")
        wait_state(gateway, "open")
    calls = bluez.state()["calls"]
    assert "Connect" not in calls and "Disconnect" not in calls and bluez.state()["connected"]


@pytest.mark.parametrize("words", ["InProgress", "Failed:Already notifying"])
def test_one_that_is_listened_to_already_is_heard(site, bluez, words):
    bluez.device().start()
    bluez.fail("StartNotify", words)
    with gateway_of(site, bluez, "already", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        beat(bluez, 87)
        assert heard(dan)[1]["hr"] == 87


def test_one_that_has_forgotten_that_it_is_listened_to_is_asked_again(site, bluez):
    bluez.device(known=True, paired=True).start()
    with gateway_of(site, bluez, "deafened", strap(silent=1)) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.deafen()
        wait_until(lambda: bluez.notify(heart_rate(88)), "it is listened to again")
        assert heard(dan)[1]["hr"] == 88 and bluez.state()["calls"]["Connect"] == 1


def test_a_bluez_that_hangs_is_noticed_and_got_over(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "stopped", strap(silent=1)) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.hang(True)
        wait_state(gateway, "seeking", why="")
        assert "BlueZ does not answer" in gateway.log()
        bluez.hang(False)
        wait_state(gateway, "open")
        beat(bluez, 89)
        assert heard(dan)[1]["hr"] == 89


def test_a_blocked_device_is_left_alone(site, bluez):
    bluez.device(known=True, blocked=True).start()
    with gateway_of(site, bluez, "blocked", strap()) as gateway:
        wait_state(gateway, "seeking", why="it is blocked")
        assert not bluez.state()["calls"]
        bluez.device(known=True)
        wait_state(gateway, "open")


def test_an_attempt_to_connect_that_somebody_left_behind_is_ended(site, bluez):
    bluez.device().start()
    bluez.fail("Connect", "InProgress")
    with gateway_of(site, bluez, "stale", strap()) as gateway:
        wait_state(gateway, "seeking", why="somebody else is at it")
        assert "Disconnect" not in bluez.state()["calls"], "it may be somebody who lives"
        wait_until(lambda: "Disconnect" in bluez.state()["calls"], "it was in the way for long", 60)
        bluez.fail("Connect")
        wait_state(gateway, "open")


def test_one_whose_services_change_is_listened_to_anew(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "changing", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        bluez.rearrange()
        wait_until(lambda: bluez.notify(heart_rate(74)), "it is listened to again")
        assert heard(dan)[1]["hr"] == 74


def test_one_that_does_not_let_itself_be_listened_to_is_tried_again_and_why_is_said(site, bluez):
    bluez.device().start()
    bluez.fail("StartNotify", "NotPermitted")
    with gateway_of(site, bluez, "deaf", strap()) as gateway:
        wait_state(gateway, "seeking", why="wants to be paired first")
        wait_until(lambda: bluez.state()["calls"]["Connect"] >= 2, "it is connected again")
        bluez.fail("StartNotify")
        wait_state(gateway, "open")


def test_without_its_battery_or_one_of_two_measurements_a_sensor_is_one_all_the_same(site, bluez):
    bluez.device(characteristics=(HEART, OXIMETER, BATTERY)).start()
    for uuid in (BATTERY, OXIMETER):
        bluez.fail("StartNotify", "Failed", uuid=uuid)
    bluez.fail("ReadValue", "Failed")
    with gateway_of(site, bluez, "partly", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open", why="no pulse oximeter, continuous")
        beat(bluez, 78)
        assert heard(dan)[1]["hr"] == 78


def test_one_that_measures_nothing_is_let_go(site, bluez):
    bluez.device(characteristics=(BATTERY,)).start()
    with gateway_of(site, bluez, "idle", strap()) as gateway:
        wait_state(gateway, "seeking", why="measures nothing")
        wait_until(lambda: bluez.state()["calls"].get("Disconnect"), "it is let go")


def test_one_that_hangs_keeps_nobody_else_waiting(site, bluez):
    bluez.device().device(OTHER).start()
    bluez.fail("Connect", "hang")
    with gateway_of(site, bluez, "hang", strap(), strap("other", "bob", OTHER)) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open", "other")
        assert bluez.state()["calls"]["Connect"] == 1
        beat(bluez, 79, address=OTHER)
        topic, said = heard(dan)
        assert "/bob/" in topic and said["hr"] == 79
    assert bluez.state()["calls"]["Disconnect"] == 1, "the call that hangs is ended"


HOSTILE = [
    (HEART, [b"", b"\0", b"\x01\x40", b"\x10\x40\x01", b"\x08\x40", b"\xff" * 2, b"\x01\xff\xff", bytes(513), b"\xff" * 512]),
    (OXIMETER, [b"", b"\0" * 4, b"\xff" * 5, *(b"\0" + sfloat(x) + sfloat(x) for x in (NAN, NRES, PLUS, MINUS, RESERVED)),
                b"\0" + sfloat(200) + sfloat(60), b"\0" + b"\xff\x7e" + sfloat(60), b"\x04" + sfloat(98) + sfloat(60) + b"\0\x04"]),
    (THERMOMETER, [b"\0", *(b"\0" + struct.pack("<I", x) for x in (0x7FFFFF, 0x800000, 0x7FFFFE, 0x800002, 0x7F7FFFFF, 0x807FFFFF))]),
    (PRESSURE, [b"\0" * 6, b"\0" + sfloat(NAN) * 3, b"\0" + sfloat(60) + sfloat(120) + sfloat(80), b"\x1e" + sfloat(120) + sfloat(80) * 2]),
    (BATTERY, [b"", b"\x65", b"\xff"]),
]


def test_values_that_are_truncated_special_or_hostile_are_counted_and_never_published(site, bluez):
    bluez.device(characteristics=(HEART, OXIMETER, THERMOMETER, PRESSURE, BATTERY), percentage=90).start()
    with gateway_of(site, bluez, "hostile", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        wait_until(lambda: bluez.state()["listening"] == 5, "all are listened to")
        for uuid, values in HOSTILE:
            for value in values:
                assert bluez.notify(value, uuid)
        for strange in ("text", 7, True, ["a", "b"], [[1, 2]]):
            assert bluez.notify(strange)
        bluez.percentage(255)
        count = sum(len(values) for _, values in HOSTILE) + 6
        wait_until(lambda: sum(sensor_of(gateway, "strap").get(k, 0) for k in ("malformed", "refused")) == count, "all are counted")
        beat(bluez, 70)
        assert heard(dan)[1]["hr"] == 70, "the first that is published"
        assert is_state(gateway, "open") and sensor_of(gateway, "strap")["battery"] == 100


def test_a_flood_is_cut_and_others_are_heard_meanwhile(site, bluez):
    bluez.device().device(OTHER).start()
    loud, calm = strap("loud", rate=20), strap("calm", "bob", OTHER)
    with gateway_of(site, bluez, "flooded", loud, calm) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open", "loud")
        wait_state(gateway, "open", "calm")
        beat(bluez, 60, times=3000)
        beat(bluez, 71, address=OTHER)
        assert until(dan, lambda topic, said: "/bob/" in topic)["hr"] == 71
        wait_until(lambda: sensor_of(gateway, "loud").get("flooded", 0) > 2000, "the flood is counted")


def test_straps_that_change_hands_while_it_runs_are_the_others_from_then_on_and_stay_connected(site, bluez):
    bluez.device().device(OTHER).start()
    with gateway_of(site, bluez, "swap", strap("red", "ann"), strap("blue", "bob", OTHER)) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open", "red")
        wait_state(gateway, "open", "blue")
        beat(bluez, 61)
        assert "/ann/" in heard(dan)[0]
        write_sensors(gateway, strap("red", "bob"), strap("blue", "ann", OTHER))
        gateway.signal(1)
        for name in ("red", "blue"):
            wait_until(lambda: gateway.log().count(f"sensor {name} is open") == 2, f"{name} is open again")
        wait_until(lambda: health(gateway)["brokers"].get("acme"), "the broker is connected again")
        beat(bluez, 62)
        topic, said = heard(dan)
        assert "/bob/" in topic and (said["hr"], said["sensor"]) == (62, "red")
        beat(bluez, 93, address=OTHER)
        topic, said = heard(dan)
        assert "/ann/" in topic and (said["hr"], said["sensor"]) == (93, "blue")
        assert "Disconnect" not in bluez.state()["calls"], "it was not let go meanwhile"
        write_sensors(gateway, strap("blue", "ann", OTHER))
        gateway.signal(1)
        wait_until(lambda: not bluez.state()["connected"], "what nobody wears any more is let go")
        assert bluez.state(OTHER)["connected"]


def test_one_that_is_added_while_it_runs_is_found_though_bluez_knew_it_before(site, bluez):
    bluez.device().device(OTHER, known=True).start()
    with gateway_of(site, bluez, "added", strap()) as gateway:
        wait_state(gateway, "open")
        write_sensors(gateway, strap(), strap("other", "bob", OTHER))
        gateway.signal(1)
        wait_state(gateway, "open", "other")
        assert gateway.log().count("sensor strap is open") == 1, "the first went on"


def test_a_device_that_is_configured_for_two_people_is_read_as_the_first_ones_alone(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "both", strap("one", "ann"), strap("two", "bob")) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open", "one")
        wait_state(gateway, "seeking", "two", "another sensor has it")
        bluez.drop()
        wait_until(lambda: gateway.log().count("sensor one is open") == 2, "the first has it again")
        beat(bluez, 80)
        assert "/ann/" in heard(dan)[0] and dan.receives_nothing()


def test_two_gateways_at_one_bluez_say_the_same_and_one_goes_on_when_the_other_ends(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "left", strap()) as left, dispatch(site, "vitals") as dan:
        wait_state(left, "open")
        with gateway_of(site, bluez, "right", strap()) as right:
            wait_state(right, "open")
            beat(bluez, 81)
            said = [heard(dan)[1] for _ in range(2)]
            assert [(s["hr"], s["sensor"]) for s in said] == [(81, "strap")] * 2
        beat(bluez, 82)
        assert until(dan, lambda t, s: s["hr"] == 82)
        assert "Disconnect" not in bluez.state()["calls"], "whoever did not connect it does not disconnect it"


def test_of_two_gateways_that_hear_one_device_one_has_it_and_the_other_takes_over(site, bluez):
    with Bluez() as elsewhere:
        bluez.device().start()
        elsewhere.device()
        elsewhere.fail("Connect", "Failed")  # a strap takes one connection
        with gateway_of(site, elsewhere, "far", strap()) as far, dispatch(site, "vitals") as dan:
            with gateway_of(site, bluez, "near", strap()) as near:
                wait_state(near, "open")
                wait_state(far, "seeking", why="told to fail")
                beat(bluez, 83)
                assert heard(dan)[1]["hr"] == 83 and dan.receives_nothing()
                near.kill()
            elsewhere.fail("Connect")
            wait_state(far, "open")
            beat(elsewhere, 84)
            assert heard(dan)[1]["hr"] == 84


def test_without_d_bus_it_is_said_once_and_tried_again(site, bluez):
    with gateway_of(site, bluez, "busless", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "seeking", why="D-Bus can't be reached")
        bluez.device().start()
        wait_state(gateway, "open")
        bluez.bus_down()
        wait_state(gateway, "seeking", why="D-Bus")
        wait_until(lambda: gateway.log().count("D-Bus can't be reached") == 2, "once each time")
        bluez.start()
        wait_state(gateway, "open")
        beat(bluez, 85)
        assert heard(dan)[1]["hr"] == 85
        assert gateway.log().count("D-Bus can't be reached") == 2


def test_what_others_on_the_bus_say_in_bluezs_name_is_not_believed(site, bluez):
    bluez.device().start()
    with gateway_of(site, bluez, "forged", strap()) as gateway, dispatch(site, "vitals") as dan:
        wait_state(gateway, "open")
        for client in bluez.clients():
            bluez.pretend(heart_rate(199), client)
        beat(bluez, 86)
        assert heard(dan)[1]["hr"] == 86


@pytest.mark.parametrize("options, person, why", [
    ({}, "ann", "'address' or 'name'"),
    ({"address": STRAP, "name": "H10"}, "ann", "'address' or 'name'"),
    ({"address": STRAP}, None, "it needs 'person'"),
    ({"address": "the red one"}, "ann", "/address"),
])
def test_a_mistake_in_the_options_is_named(site, bluez, options, person, why):
    sensor = {"name": "x", "kind": "bluetooth", "options": options, **({"person": person} if person else {})}
    with gateway_of(site, bluez, "mistaken", sensor) as gateway:
        wait_until(lambda: why in gateway.log(), why)
