"""The writer alone, on a real PostgreSQL: what is in the journal gets into the database, once, whatever the data says."""
import json
import time

import psycopg2
import pytest

from support import messages
from support.drain import Drain
from support.messages import chat, location, message, raise_, uuid7
from support.site import wait_until

PLUGIN = "mayday_plugin"


@pytest.fixture
def drain(database, tmp_path):
    made = []

    def make(journal="journal", **options):
        made.append(Drain(tmp_path / journal, database.dsn(PLUGIN), **options))
        return made[-1]

    yield make
    for each in made:
        each.__exit__()


def stored(database, table, ids):
    return database.sql(f"SELECT id::text FROM mayday.{table} WHERE id = ANY (%s::uuid[])", [list(ids)])


def dead(database, sender):
    return [row[0] for row in database.sql("SELECT reason FROM mayday.dead_letter WHERE sender = %s ORDER BY seq", [sender])]


ALERT = uuid7()
EVERY_TYPE = [
    ("raise", "alert", uuid7(), "raise", raise_(location={"lat": 1.5, "lon": 2.5}, text="héllo", silent=True),
     {"priority": None, "silent": True, "st_y": 1.5, "st_x": 2.5}),
    ("action", "alert", ALERT, "action", message(action="cancel", pin="1234", expected_version=3), {"action": "cancel", "expected_version": 3}),
    ("location", "alert", ALERT, "location", location(battery=55.5), {"alert": ALERT, "person": "ann", "battery": 55.5}),
    ("location", "user", "ann", "location", location(heading=359, offline=True), {"alert": None, "heading": 359.0, "offline": True}),
    ("chat", "alert", ALERT, "chat", chat(media=[{"url": "https://x/y", "type": "image/png"}], reply_to=ALERT),
     {"alert": ALERT, "media": [{"url": "https://x/y", "type": "image/png"}], "reply_to": ALERT}),
    ("chat", "room", "north", "chat", chat("🆘 \" \\ '"), {"room": "north", "text": "🆘 \" \\ '", "lang": None}),
    ("vitals", "user", "ann", "vitals", message(hr=72, spo2=98.5, rr_ms=[800, 810.5], contact=True, quality=0.5, motion=1),
     {"hr": 72.0, "rr_ms": [800, 810.5], "contact": True, "quality": 0.5}),
    ("duty", "user", "ann", "duty", message(status="busy"), {"status": "busy", "person": "ann"}),
    ("timer", "user", "ann", "timer", message(minutes=45, text="lift 3"), {"person": "ann", "minutes": 45, "text": "lift 3", "repeat": None}),
    ("person_check", "user", "bob", "check", message(reason="timer", respond_within=60, alert=ALERT), {"person": "bob", "respond_within": 60}),
    ("reply", "user", "ann", "reply", message(check=ALERT, answer="ok"), {"check_id": ALERT, "answer": "ok"}),
    ("inbox", "user", "bob", "inbox", message(kind="message", text="come"), {"person": "bob", "kind": "message"}),
    ("broadcast", "role", "officer", "broadcast", message(text="all"), {"role": "officer", "text": "all"}),
    ("zone_event", "zone", "z1", "event", message(person="ann", event="left", location={"lat": -1, "lon": -2}),
     {"zone": "z1", "event": "left", "st_x": -2.0}),
]


def test_every_stored_type_reaches_its_table_with_its_values(database, drain):
    d = drain(node="broker-1")
    for table, family, id_, leaf, payload, _ in EVERY_TYPE:
        d.send(family, id_, leaf, payload)
    figures = d.finish()
    assert figures["rows"] == len(EVERY_TYPE) and figures["dead_letters"] == 0
    for table, family, id_, leaf, payload, want in EVERY_TYPE:
        point = ", ST_X(position::geometry), ST_Y(position::geometry)" if any(k.startswith("st_") for k in want) else ""
        with database.server.connect(database=database.name) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT *{point} FROM mayday.{table} WHERE id = %s", [payload["id"]])
            row = dict(zip([c.name for c in cursor.description], cursor.fetchone()))
        assert {k: row[k] for k in want} == want, table
        assert (row["org"], row["sender"], row["node"]) == ("acme", "ann", "broker-1")
        assert messages.moment(row["at"].timestamp()) == payload["ts"]


def test_a_repeat_is_stored_once_in_the_stream_and_across_restarts(database, drain):
    sent = [location() for _ in range(50)]
    d = drain("first")
    for each in sent + sent[:25]:
        d.send("user", "rep", "location", each, sender="rep")
    figures = d.finish()
    assert (figures["rows"], figures["duplicates"], figures["failed_batches"]) == (50, 25, 0)
    d = drain("second")  # another broker's journal: nothing remembered
    fresh = [location() for _ in range(10)]
    for each in sent + fresh + fresh:
        d.send("user", "rep", "location", each, sender="rep")
    figures = d.finish()
    assert (figures["rows"], figures["duplicates"], figures["dead_letters"]) == (10, 60, 0)
    assert len(stored(database, "location", [m["id"] for m in sent + fresh])) == 60


@pytest.mark.parametrize("together", [True, False])
def test_an_id_used_again_with_other_content_is_a_dead_letter(database, drain, together):
    who = f"reuse-{together}"
    first, other = chat("one"), chat("two")
    d = drain()
    d.send("room", "r", "chat", first, sender=who)
    if not together:
        d.finish()
        d = drain()
    d.send("room", "r", "chat", {**first, "text": "changed"}, sender=who)
    d.send("room", "r", "chat", first, sender=who + "-thief")
    d.send("room", "r", "chat", other, sender=who)
    assert d.finish()["dead_letters"] == 2
    assert dead(database, who) == dead(database, who + "-thief") == ["id already used"]
    assert database.sql("SELECT text FROM mayday.chat WHERE sender = %s ORDER BY at, text", [who]) == [("one",), ("two",)]


BAD = [
    ("{", "malformed JSON"),
    ('{"v":1}', "no proper 'id'"),
    ({"v": 1, "id": uuid7(), "ts": "yesterday"}, "no proper 'ts'"),
    (chat("nul \x00 in it"), "does not fit its type"),
    (chat(media=[{"url": "nul \x00"}]), "22P05"),  # only PostgreSQL objects
    (chat(reply_to="me"), "does not fit its type"),
]


def test_bad_records_become_dead_letters_and_all_others_are_stored(database, drain):
    good = [chat(f"good {i}") for i in range(100)]
    d = drain(wait=1000)
    for i, each in enumerate(good):
        d.send("room", "r", "chat", each, sender="bad")
        if i % 17 == 0:
            d.send("room", "r", "chat", BAD[i // 17][0], sender="bad")
    d.send("room", "r", "chat", chat(), sender="bad", topic="mayday/v1/acme/nowhere/r/chat")
    d.send("room", "r", "chat", chat(), sender="bad", topic="mayday/v1/other/room/r/chat")
    d.send("alert", uuid7(), "typing", message(active=True), sender="bad")
    d.raw("no record at all")
    figures = d.finish()
    assert figures["rows"] == 100
    reasons = dead(database, "bad")
    wanted = [why for _, why in BAD] + ["not an address", "not an address", "not stored"]
    assert len(reasons) == len(wanted) and all(w in r for w, r in zip(wanted, reasons)), reasons
    assert len(stored(database, "chat", [m["id"] for m in good])) == 100
    assert database.sql("SELECT reason, payload FROM mayday.dead_letter WHERE org IS NULL")[0][0] == "not a record"


@pytest.mark.parametrize("family, id_, leaf, bad", [
    ("alert", uuid7(), "action", message(action="cancel", pin="73911937", person=["no text"])),
    ("user", "pins", "settings", message(pin="73911937", duress_pin="73911938", current_pin="73911939", lang={"no": "text"})),
    ("user", "pins", "settings", '{"v": 1, "pin": "73911937"'),
    ("user", "pins", "settings", '["73911937"]'),
], ids=["an action", "settings", "cut off", "no object"])
def test_a_dead_letter_holds_no_pin(database, drain, family, id_, leaf, bad):
    d = drain()
    d.send(family, id_, leaf, bad, sender="pins")
    d.finish()
    rows = database.sql("DELETE FROM mayday.dead_letter WHERE sender = 'pins' RETURNING payload")
    assert len(rows) == 1
    kept = bytes(rows[0][0]).decode()
    assert "7391193" not in kept
    if isinstance(bad, dict):
        assert json.loads(kept) == {name: value for name, value in bad.items() if "pin" not in name}


def test_what_the_feed_refuses_is_a_dead_letter_and_all_others_are_fed_in_their_order(database, drain):
    database.sql("CREATE FUNCTION mayday.trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " IF NEW.message::text LIKE '%bad0' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; END IF; RETURN NEW; END $$")
    database.sql("CREATE TRIGGER trip BEFORE INSERT ON mayday.feed FOR EACH ROW EXECUTE FUNCTION mayday.trip()")
    try:
        sent = [chat(f"fed {i}") for i in range(40)]
        sent[7]["id"] = sent[7]["id"][:-4] + "bad0"
        d = drain(wait=1000)
        for each in sent:
            d.send("room", "r", "chat", each, sender="feeder")
        d.send("room", "r", "chat", sent[3], sender="feeder")
        assert d.finish()["dead_letters"] == 1
    finally:
        database.sql("DROP FUNCTION mayday.trip() CASCADE")
    assert dead(database, "feeder") == ["22000: no"]
    fed = database.sql("SELECT f.message::text FROM mayday.feed f JOIN mayday.chat c ON c.id = f.message WHERE c.sender = 'feeder' ORDER BY f.position")
    assert sorted(fed) == sorted((m["id"],) for i, m in enumerate(sent) if i != 7)


def test_many_bad_rows_among_many_good_ones_are_found(database, drain):
    d = drain(wait=1000)
    good = []
    for i in range(600):
        if i % 3 == 0:
            d.send("room", "r", "chat", chat(media=[{"url": "\x00"}]), sender="many")
        else:
            good.append(chat())
            d.send("room", "r", "chat", good[-1], sender="many")
    assert d.finish()["dead_letters"] == 200
    assert len(stored(database, "chat", [m["id"] for m in good])) == 400


def test_a_raise_opens_its_incident_once_and_its_first_sender_is_the_raiser(database, drain):
    alert, first = uuid7(), raise_(type="security", location={"lat": 5, "lon": 6})
    d = drain()
    d.send("alert", alert, "raise", first)
    d.send("alert", alert, "raise", first)
    d.send("alert", alert, "raise", raise_(), sender="eve")
    d.send("alert", alert, "raise", raise_(), sender="ann", org="other")
    d.expect_member("set", "acme", "alert", alert, "ann", "raiser")
    d.finish()
    assert database.sql("SELECT raised_by, type, priority, status, ST_Y(position::geometry) FROM mayday.alert WHERE org = 'acme' AND id = %s",
                        [alert]) == [("ann", "security", "high", "active", 5.0)]
    assert database.sql("SELECT org, person FROM mayday.membership WHERE id = %s ORDER BY 1, 2", [alert]) == [("acme", "ann"), ("other", "ann")]
    assert database.sql("SELECT count(*) FROM mayday.raise WHERE alert = %s", [alert]) == [(3,)]


def test_a_raise_whose_message_id_was_used_before_still_opens_its_incident(database, drain):
    reused, one, two = raise_(), uuid7(), uuid7()
    d = drain()
    d.send("alert", one, "raise", reused)
    d.send("alert", two, "raise", reused)
    assert d.finish()["dead_letters"] == 1
    assert database.sql("SELECT count(*) FROM mayday.alert WHERE id IN (%s, %s)", [one, two]) == [(2,)]


def test_only_dispatchers_and_supervisors_change_who_belongs(database, drain):
    alert = uuid7()
    database.sql("INSERT INTO mayday.person (org, person) SELECT 'acme', unnest(ARRAY['rob', 'ines', 'mallory', 'hans']) ON CONFLICT DO NOTHING")
    d = drain()
    d.send("alert", alert, "raise", raise_(), sender="hans")
    d.send("alert", alert, "action", message(action="assign", person="mallory"), sender="mallory", roles="member responder")
    assign = message(action="assign", person="rob")
    d.send("alert", alert, "action", assign, sender="dee", roles="officer dispatcher")
    d.send("alert", alert, "action", message(action="invite", person="ines"), sender="sue", roles="supervisor")
    d.expect_member("set", "acme", "alert", alert, "rob", "assigned")
    d.expect_member("set", "acme", "alert", alert, "ines", "invited")
    d.send("alert", alert, "action", message(action="unassign", person="rob"), sender="dee", roles="dispatcher")
    d.send("alert", alert, "action", message(action="unassign", person="hans"), sender="dee", roles="dispatcher")
    d.expect_member("remove", "acme", "alert", alert, "rob", "none")
    d.send("alert", alert, "action", assign, sender="dee", roles="officer dispatcher")  # late repeat: undoes nothing
    d.finish()
    assert database.sql("SELECT person, relation, until IS NULL FROM mayday.membership WHERE id = %s ORDER BY 1", [alert]) == [
        ("hans", "raiser", True), ("ines", "invited", True), ("rob", "assigned", False)]


def test_memberships_made_elsewhere_reach_an_idle_broker_and_a_new_one(database, drain):
    d = drain()
    d.expect("connected")
    database.sql("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'room', 'rx', 'olga', 'member')")
    d.expect_member("set", "acme", "room", "rx", "olga", "member")
    database.sql("UPDATE mayday.membership SET until = now() WHERE id = 'rx'")
    d.expect_member("remove", "acme", "room", "rx", "olga", "none")
    database.sql("INSERT INTO mayday.membership (org, family, id, person, relation) "
                 "SELECT 'acme', 'room', 'big', 'p' || n, 'member' FROM generate_series(1, 1234) n")
    wait_until(lambda: len([m for m in d.members if m[3] == "big"]) == 1234, "every notification arrives")
    d.finish()
    d = drain("another")
    wait_until(lambda: len({m[4] for m in d.members if m[3] == "big"}) == 1234, "every page arrives")
    # what ended while a broker was down must be taken back there
    assert {m[0] for m in d.members if m[3] == "rx"} == {"remove"}
    d.finish()


def test_a_small_queue_to_the_broker_loses_no_membership(database, drain):
    database.sql("INSERT INTO mayday.membership (org, family, id, person, relation) "
                 "SELECT 'acme', 'room', 'narrow', 'p' || n, 'member' FROM generate_series(1, 1500) n")
    d = drain(queue=64)
    wait_until(lambda: len({m[4] for m in d.members if m[3] == "narrow"}) == 1500, "every page arrives")
    database.sql("UPDATE mayday.membership SET until = now() WHERE id = 'narrow'")  # overflows: all is read again
    wait_until(lambda: len({m[4] for m in d.members if m[3] == "narrow" and m[0] == "remove"}) == 1500, "every removal arrives")
    d.finish()


def test_reads_on_where_the_database_is(database, drain):
    d = drain(generate=300, node="again")
    assert d.finish()["rows"] == 300
    assert database.sql("SELECT seq FROM mayday.journal_progress WHERE node = 'again'") == [(300,)]
    d = drain(node="again")
    d.expect("reading on behind record 300")
    assert d.finish()["rows"] == 0


def test_a_journal_restored_from_a_backup_is_written_again_loudly(database, drain):
    d = drain(generate=20, node="restored")
    d.finish()
    database.sql("UPDATE mayday.journal_progress SET seq = 5000 WHERE node = 'restored'")
    d = drain(node="restored")
    d.expect("it was restored")
    late = location()
    d.send("user", "late", "location", late, sender="late")
    figures = d.finish()
    assert (figures["rows"], figures["duplicates"]) == (1, 20)
    assert database.sql("SELECT seq FROM mayday.journal_progress WHERE node = 'restored'") == [(21,)]


def test_a_database_restored_from_a_backup_gets_what_the_journal_still_has(database, drain):
    d = drain(generate=20, node="older")
    d.finish()
    database.sql("DELETE FROM mayday.location WHERE node = 'older'")
    database.sql("UPDATE mayday.journal_progress SET seq = 5 WHERE node = 'older'")
    d = drain(node="older")
    assert d.finish()["rows"] == 15


@pytest.mark.parametrize("statement, words", [
    ("SELECT * FROM mayday.vitals", "permission denied"),
    ("SELECT hr FROM mayday.vitals", "permission denied"),
    ("SELECT count(*) FROM mayday.vitals", "permission denied"),
    ("SELECT * FROM mayday.vitals_default", "permission denied"),
    ("SELECT text FROM mayday.chat", "permission denied"),
    ("SELECT pin FROM mayday.person", "permission denied"),
    ("SELECT payload FROM mayday.dead_letter", "permission denied"),
    ("DELETE FROM mayday.location", "permission denied"),
    ("DELETE FROM mayday.membership", "permission denied"),
    ("UPDATE mayday.alert SET raised_by = 'me'", "permission denied"),
    ("TRUNCATE mayday.location", "permission denied"),
    ("DROP TABLE mayday.location", "must be owner"),
    ("SELECT mayday.drop_partitions('2 days')", "permission denied"),
    ("SELECT mayday.make_partition('location', 'day', '2020-01-01')", "permission denied"),
    ("SELECT * FROM mayday.known_ids('pg_authid', '{}')", "holds no messages"),
])
def test_the_plugins_role_may_write_and_neither_read_nor_delete(database, statement, words):
    with pytest.raises(psycopg2.Error, match=words):
        database.sql(statement, user=PLUGIN)


def test_no_role_but_the_owner_reads_the_hashes_of_pins(database):
    assert database.sql("SELECT r.rolname, a.attname FROM pg_roles r, pg_attribute a WHERE r.rolname ~ '^mayday_(plugin|gateway|console)' "
                        "AND a.attrelid = 'mayday.person'::regclass AND a.attname ~ 'pin' "
                        "AND has_column_privilege(r.oid, a.attrelid, a.attnum, 'SELECT')") == []


def test_no_role_but_the_owner_may_delete_besides_what_is_passed_on_and_done_with(database):
    granted = database.sql("SELECT r.rolname, c.relname FROM pg_roles r, pg_class c WHERE r.rolname ~ '^mayday_(plugin|gateway|console)' "
                           "AND c.relnamespace = 'mayday'::regnamespace AND c.relkind IN ('r', 'p', 'v') "
                           "AND has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE') ORDER BY 2")
    assert granted == [("mayday_gateway", "audit_pending"), ("mayday_gateway", "outbox")]


def test_ids_of_absurd_clocks_are_kept_and_moved_when_their_partition_comes(database, drain):
    day = 86400
    far = location(at=4102444800)  # the year 2100
    soon = location(at=time.time() + 30 * day)
    d = drain()
    for each in (far, soon):
        d.send("user", "clock", "location", each, sender="clock")
    d.finish()
    assert database.sql("SELECT count(*) FROM mayday.location_default WHERE sender = 'clock'") == [(2,)]
    database.sql("SELECT mayday.make_partitions(31)", user=PLUGIN)
    assert database.sql("SELECT count(*) FROM mayday.location_default WHERE sender = 'clock'") == [(1,)]
    assert len(stored(database, "location", [far["id"], soon["id"]])) == 2


def test_retention_drops_what_is_past_its_time_and_nothing_else(database, drain):
    d = drain()
    old, new = location(at=time.time() - 5 * 86400), location()
    for each in (old, new):
        d.send("user", "kept", "location", each, sender="kept")
    d.finish()
    dropped = [row[0] for row in database.sql("SELECT dropped FROM mayday.drop_partitions('3 days')")]
    assert dropped and all(name.startswith(("location_", "vitals_")) or name[-6:].isdigit() for name in dropped)
    assert stored(database, "location", [old["id"], new["id"]]) == [(new["id"],)]
