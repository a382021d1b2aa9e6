"""What one person may send: a flood is refused and told so, and never stands in the way of anybody's alarm."""
import json
import subprocess
import threading

import pytest

from support import messages as m
from support.site import BUILD, Site, wait_until

TIGHT = {"limits__telemetry": "1 5", "limits__talk": "1 5", "limits__action": "1 5", "limits__request": "1 5", "limits__raise": "1 5"}


@pytest.fixture(scope="module")
def tight(database, tmp_path_factory):
    with Site(tmp_path_factory.mktemp("tight"), database, **TIGHT) as site:
        yield site


def refusals(client, count):
    """The next `count` messages on `rejected`."""
    return [json.loads(client.receive().payload) for _ in range(count)]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("leaf, make, limit", [
    ("location", m.location, "1 5"),
    ("vitals", lambda: m.message(hr=70), "1 5"),
    ("duty", lambda: m.message(status="on"), "1 5"),
    ("reply", lambda: m.message(answer="ok", check=m.uuid7()), "1 5"),
    ("sync", m.message, "1 5"),
])
def test_what_is_beyond_the_limit_is_refused_and_each_one_told(tight, leaf, make, limit, version):
    sub = f"lim-{leaf}-{version}"
    with tight.client(sub, version=version) as c:
        c.subscribe(m.topic("user", sub, "rejected"))
        sent = [make() for _ in range(30)]
        reasons = [c.publish(m.topic("user", sub, leaf), m.dump(each)) for each in sent]
        if version == 5:
            assert reasons[:5] == [0] * 5 and 0x87 in reasons
        told = []
        while not c.receives_nothing():
            told.append(json.loads(c.receive().payload))
        assert told and {t["code"] for t in told} == {"rate_limited"}
        assert limit in told[0]["detail"] and told[0]["topic"] == m.topic("user", sub, leaf)
        refused = [t["id"] for t in told]
        assert len(set(refused)) == len(refused) and set(refused) <= {each["id"] for each in sent[5:]}
        if version == 5:
            assert refused == [each["id"] for each, reason in zip(sent, reasons) if reason]


def test_the_limit_is_the_persons_over_all_connections(tight):
    with tight.client("two", version=5, client_id="two:a") as a, tight.client("two", version=5, client_id="two:b") as b:
        topic = m.topic("user", "two", "location")
        reasons = [c.publish(topic, m.dump(m.location())) for _ in range(5) for c in (a, b)]
        assert reasons.count(0) < 10 and 0x87 in reasons
        assert a.publish(m.topic("user", "two", "vitals"), m.dump(m.message(hr=70))) == 0


def test_what_waited_on_the_device_has_room_of_its_own(tight):
    with tight.client("late", version=5) as c:
        topic = m.topic("user", "late", "location")
        assert [c.publish(topic, m.dump(m.location(offline=True))) for _ in range(50)] == [0] * 50


def test_a_raise_is_never_refused_and_its_repeats_are_marked(tight):
    with tight.client("panic", version=5) as c, tight.client("dora", ["dispatcher"]) as dora:
        dora.subscribe("mayday/v1/acme/alert/+/raise")
        sent = [m.raise_() for _ in range(40)]
        assert [c.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(each)) for each in sent] == [0] * 40
        assert [json.loads(dora.receive().payload)["id"] for _ in sent] == [each["id"] for each in sent]
        tight.wait_rows("SELECT count(*) FROM mayday.raise WHERE sender = 'panic'", [(40,)])
        assert wait_until(lambda: tight.figure("messages/repeated_raises"), "repeats are counted") >= 30


def test_the_gateway_has_no_limit(tight):
    with tight.client("g1", ["gateway"], version=5) as g:
        topic = m.topic("user", "bob", "location")
        assert [g.publish(topic, m.dump(m.location())) for _ in range(30)] == [0] * 30


def test_figures_count_what_was_refused_for_rate(tight):
    with tight.client("fig") as c:
        for _ in range(20):
            c.publish(m.topic("user", "fig", "location"), m.dump(m.location()))
    assert wait_until(lambda: tight.figure("messages/rate_limited"), "refusals are counted") > 0


def flood(site, sub, stop, topic, make):
    """Publishes without pause and without reading until told to stop."""
    with site.client(sub) as c:
        while not stop.is_set():
            for _ in range(50):
                c.send_publish(topic(), m.dump(make()))
            c.receives_nothing()
            c.inbox.clear()


def test_a_flood_by_one_neither_delays_nor_refuses_the_alarm_of_another(tight):
    stop = threading.Event()
    floods = [
        threading.Thread(target=flood, args=(tight, "eve", stop, lambda: m.topic("alert", m.uuid7(), "raise"), m.raise_)),
        threading.Thread(target=flood, args=(tight, "mal", stop, lambda: m.topic("user", "mal", "location"), m.location)),
    ]
    for each in floods:
        each.start()
    try:
        with tight.client("ann") as ann, tight.client("dora", ["dispatcher"]) as dora:
            wait_until(lambda: tight.figure("messages/rate_limited") > 100, "the flood is on")
            ann.subscribe(m.topic("user", "ann", "rejected"))
            for _ in range(5):
                alert, sent = m.uuid7(), m.raise_()
                dora.subscribe(m.topic("alert", alert, "raise"))
                ann.publish(m.topic("alert", alert, "raise"), m.dump(sent))
                assert json.loads(dora.receive().payload) == sent
                tight.wait_rows("SELECT sender FROM mayday.raise WHERE id = %s", [("ann",)], [sent["id"]])
            assert ann.receives_nothing()
    finally:
        stop.set()
        for each in floods:
            each.join()


@pytest.mark.parametrize("key, value", [("telemetry", "many"), ("raise", "0 5"), ("action", "1"), ("request", "5 0.1")])
def test_a_limit_that_makes_no_sense_stops_the_start_and_is_named(own_site, key, value):
    said = own_site(**{f"limits__{key}": value}).refuses_to_start()
    assert f"cannot start: configuration: [limits] {key} = {value}" in said


def test_config_check_names_a_limit_that_makes_no_sense(tmp_path):
    conf = tmp_path / "mayday.conf"

    def check(value):
        conf.write_text(f"[limits]\naction = {value}\n")
        done = subprocess.run([BUILD / "bin" / "mayday", "--config", conf, "config", "check"], capture_output=True, text=True)
        return done.returncode, done.stderr

    assert check("10 500") == (0, "") and check("off") == (0, "")
    code, said = check("5")
    assert code == 1 and "[limits] action = 5:" in said
