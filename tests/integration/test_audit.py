"""The audit trail: sealed, chained and signed; whatever is done to it afterwards, `mayday audit verify` names it."""
import csv
import hashlib
import io
import json
import os
import signal
import stat
import struct
import subprocess
import threading
import time
from datetime import timedelta, timezone

import psycopg2
import pytest

from support.messages import uuid7
from support.site import BUILD, wait_until

TAMPER = "SET session_replication_role = replica; "  # what switches triggers off, for a superuser


class Trail:
    """One database with a trail, its keys, and the sealer and `mayday audit` on it."""

    def __init__(self, database, folder, gateway="gw1", keys=None):
        self.database, self.folder = database, folder / gateway
        self.folder.mkdir()
        self.private, self.public = keys or (folder / "audit-keys.json", folder / "audit-public.json")
        if not keys:
            self.new_key("new")
        self.conf = self.folder / "mayday.conf"
        self.configure(f"signing_keys = {self.private}")
        self.file = self.folder / "audit-checkpoints"

    def new_key(self, action):
        subprocess.run([BUILD / "bin" / "mayday", "keys", action, "--type", "ec", "--private", self.private, "--public", self.public],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MAYDAY_CONF": os.devnull})

    def configure(self, audit):
        self.conf.write_text(f"[node]\nstate_dir = {self.folder}\n[database]\nadmin = {self.database.dsn('mayday_owner')}\n"
                             f"[gateway]\ndatabase = {self.database.dsn('mayday_gateway')}\n[audit]\n{audit}\n")

    def sql(self, statement, params=None, user="postgres"):
        return self.database.sql(statement, params, user)

    def tamper(self, statement, params=None):
        self.sql(TAMPER + statement, params)

    def record(self, count=1, kind="connect", person=None):
        self.sql("SELECT mayday.record_audit('acme', %s, 'ann', %s, NULL, jsonb_build_object('n', n)) FROM generate_series(1, %s) n",
                 [kind, person, count])

    def command(self, mode):
        return [BUILD / "bin" / "sealer", self.conf, mode]

    def seal(self, count=0, mode="once"):
        if count:
            self.record(count)
        done = subprocess.run(self.command(mode), text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done

    def start(self):
        return subprocess.Popen(self.command("run"), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def audit(self, *arguments, code=0):
        done = subprocess.run([BUILD / "bin" / "mayday", "--config", self.conf, "audit", *map(str, arguments)], text=True,
                              capture_output=True, timeout=300)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def verify(self, *arguments, code=0):
        return self.audit("verify", "--keys", self.public, *arguments, code=code).stdout

    def findings(self, *arguments):
        """The lines of a verification that found something, without its summary."""
        lines = self.verify(*arguments, code=1).splitlines()
        assert lines[-1].startswith("TAMPERED WITH")
        return [line for line in lines if line.startswith(("entry ", "position", "the checkpoint ", "/"))]

    def rows(self):
        return rows_of(self.sql("SELECT position, id, at, sealed_at, org, kind, actor, person, alert, detail::text, entry_hash, "
                                "chain_hash FROM mayday.audit ORDER BY position"))

    def rechain(self, first):
        """What somebody does who knows how it is made: hashes everything from `first` on anew."""
        rows = self.rows()
        before = rows[first - 2]["chain_hash"] if first > 1 else bytes(32)
        for row in rows[first - 1:]:
            row["entry_hash"], row["chain_hash"] = hashes(row, before)
            before = row["chain_hash"]
            self.tamper("UPDATE mayday.audit SET entry_hash = %s, chain_hash = %s WHERE id = %s",
                        [row["entry_hash"], row["chain_hash"], row["id"]])


COLUMNS = ["position", "id", "at", "sealed_at", "org", "kind", "actor", "person", "alert", "detail", "entry_hash", "chain_hash"]


def rows_of(rows):
    made = [dict(zip(COLUMNS, row)) for row in rows]
    for row in made:
        row["entry_hash"], row["chain_hash"] = bytes(row["entry_hash"]), bytes(row["chain_hash"])
    return made


def micros(moment):
    whole = moment.astimezone(timezone.utc).replace(tzinfo=None) - type(moment)(1970, 1, 1)
    return whole // timedelta(microseconds=1)


def hashes(row, before):
    """A second implementation of the chain."""
    fields = ["mayday-audit-1", row["position"], row["id"], micros(row["at"]), micros(row["sealed_at"]), row["org"], row["kind"],
              row["actor"], row["person"], row["alert"], row["detail"]]
    spelled = b""
    for field in fields:
        data = None if field is None else str(field).encode()
        spelled += b"\xff\xff\xff\xff" if data is None else struct.pack(">I", len(data)) + data
    entry = hashlib.sha256(spelled).digest()
    return entry, hashlib.sha256(before + entry).digest()


def thirty(postgres, name, folder):
    """A fresh database, and thirty entries sealed in it in three batches, each with a checkpoint: 10, 20, 30."""
    from conftest import Database
    postgres.sql(f'CREATE DATABASE "{name}" TEMPLATE template_mayday', database="postgres")
    made = Trail(Database(postgres, name), folder)
    made.sql("DELETE FROM mayday.audit_pending")
    for _ in range(3):
        made.seal(10)
    return made


@pytest.fixture
def trail(postgres, tmp_path, request):
    """A trail of the test's own."""
    name = "audit_" + request.node.name[5:50]
    yield thirty(postgres, name, tmp_path)
    postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


@pytest.fixture(scope="module")
def shared(postgres, tmp_path_factory):
    made = thirty(postgres, "audit_shared", tmp_path_factory.mktemp("audit"))
    made.sql("CREATE SCHEMA kept; CREATE TABLE kept.audit AS TABLE mayday.audit; CREATE TABLE kept.checkpoint AS TABLE mayday.audit_checkpoint")
    made.kept = made.file.read_text()
    return made


@pytest.fixture
def sealed(shared):
    """A trail that is put back after the test, for what does not seal."""
    yield shared
    shared.tamper("DELETE FROM mayday.audit; INSERT INTO mayday.audit TABLE kept.audit; DELETE FROM mayday.audit_checkpoint; "
                  "INSERT INTO mayday.audit_checkpoint TABLE kept.checkpoint; DELETE FROM mayday.audit_pending")
    shared.file.touch(0o600)
    shared.file.write_text(shared.kept)
    shared.configure(f"signing_keys = {shared.private}")


def test_an_untouched_trail_is_intact(sealed):
    said = sealed.verify()
    assert "30 entries, positions 1 to 30" in said and said.endswith("intact\n")
    assert "is of position 30" in said
    assert sealed.sql("SELECT count(*) FROM mayday.audit_pending") == [(0,)]


def test_a_second_implementation_agrees(trail):
    trail.sql("SELECT mayday.record_audit('acme', 'incident.raise', 'änn', '', %s, %s)",
              [uuid7(), json.dumps({"text": "Hilfe \u2603 \"quoted\"\n", "z": 1.50, "a": [1, None, True], "big": 10 ** 30})])
    trail.seal()
    before = bytes(32)
    for n, row in enumerate(trail.rows(), 1):
        assert row["position"] == n
        assert hashes(row, before) == (row["entry_hash"], row["chain_hash"])
        before = row["chain_hash"]
    assert n == 31


def test_checkpoints_verify_with_another_makers_library(sealed):
    jwt = pytest.importorskip("jwt")
    keys = {key["kid"]: jwt.PyJWK(key) for key in json.loads(sealed.public.read_text())["keys"]}
    chain = {row["position"]: row["chain_hash"].hex() for row in sealed.rows()}
    lines = sealed.file.read_text().splitlines()
    assert stat.S_IMODE(sealed.file.stat().st_mode) == 0o600
    assert lines == [row[0] for row in sealed.sql("SELECT signature FROM mayday.audit_checkpoint ORDER BY id")]
    seen = []
    for line in lines:
        header = jwt.get_unverified_header(line)
        said = jwt.decode(line, keys[header["kid"]].key, algorithms=["ES256"])
        assert header["typ"] == "mayday-checkpoint" and said["chain_hash"] == chain[said["position"]]
        seen.append(said["position"])
    assert {10, 20, 30} <= set(seen)


FIELDS = {
    "org": "'zeta'", "kind": "'other'", "actor": "'bob'", "person": "'bob'", "alert": "gen_random_uuid()", "detail": "'{\"n\": 0}'",
    "at": "at + interval '1 microsecond'", "sealed_at": "sealed_at - interval '1 microsecond'",
    "id": "(left(id::text, 35) || CASE right(id::text, 1) WHEN '0' THEN '1' ELSE '0' END)::uuid",
    "entry_hash": "sha256('x')", "chain_hash": "sha256('x')",
}


@pytest.mark.parametrize("field", FIELDS)
def test_each_changed_field_is_named_with_its_entry(sealed, field):
    sealed.tamper(f"UPDATE mayday.audit SET {field} = {FIELDS[field]} WHERE position = 17")
    found = sealed.findings()
    assert found[0].startswith("entry 17 ("), found
    assert len(found) <= (2 if field in ("entry_hash", "chain_hash") else 1), found


def test_one_removed_and_a_range_removed(sealed):
    sealed.tamper("DELETE FROM mayday.audit WHERE position = 7 OR position BETWEEN 13 AND 22")
    assert sealed.findings() == ["position 7: missing", "positions 13 to 22: missing"]


def test_the_first_removed(sealed):
    sealed.tamper("DELETE FROM mayday.audit WHERE position <= 10")
    assert sealed.findings() == ["positions 1 to 10: missing"]


def test_two_swapped(sealed):
    sealed.tamper("UPDATE mayday.audit SET position = 25 - position WHERE position IN (12, 13)")
    named = " ".join(sealed.findings())
    assert "entry 12 (" in named and "entry 13 (" in named and "entry 14 (" in named


def test_one_inserted(sealed):
    copy = "INSERT INTO mayday.audit SELECT mayday.new_id(), {}, at, sealed_at, org, 'forged', actor, person, alert, detail, " \
           "entry_hash, chain_hash FROM mayday.audit WHERE position = {}"
    sealed.tamper(copy.format(17, 17))
    sealed.tamper(copy.format(31, 30))
    found = sealed.findings()
    assert any("entry 17 (" in line and "inserted" in line for line in found)
    assert any("entry 17 (" in line and "forged" in line and "altered" in line for line in found)
    assert any("entry 31 (" in line and "forged" in line and "altered" in line for line in found)


def test_a_chain_computed_anew_contradicts_its_checkpoints(sealed):
    sealed.tamper("UPDATE mayday.audit SET actor = 'bob' WHERE position = 17")
    sealed.rechain(17)
    found = sealed.findings()
    assert len(found) == 1 and found[0].startswith("positions 11 to 30: written anew")


def test_a_cut_off_end_is_known_from_the_file(sealed):
    sealed.tamper("DELETE FROM mayday.audit WHERE position > 25; DELETE FROM mayday.audit_checkpoint WHERE position > 25")
    assert sealed.findings()[0].startswith("positions 26 to 30: cut off")
    elsewhere = sealed.folder / "elsewhere"
    sealed.file.rename(elsewhere)
    assert "intact" in sealed.verify()  # the database alone can't know
    assert sealed.findings("--checkpoints", elsewhere)[0].startswith("positions 26 to 30: cut off")


def test_sealing_goes_on_behind_what_was_cut_off(trail):
    trail.tamper("DELETE FROM mayday.audit WHERE position > 25; DELETE FROM mayday.audit_checkpoint WHERE position > 25")
    said = trail.seal(5).stderr
    assert "entries are missing" in said
    assert trail.findings() == ["positions 26 to 30: missing"]
    assert trail.sql("SELECT max(position), count(*) FROM mayday.audit") == [(35, 30)]
    assert "intact" in trail.verify("--from", 31)


@pytest.mark.parametrize("column, value", [
    ("position", "19"), ("chain_hash", "sha256('x')"), ("at", "at + interval '1 s'"), ("kid", "'other'"),
    ("signature", "overlay(signature PLACING 'AAAA' FROM length(signature) - 8)"), ("signature", "'e30.e30.e30'"),
])
def test_an_altered_checkpoint_is_named(sealed, column, value):
    sealed.tamper(f"UPDATE mayday.audit_checkpoint SET {column} = {value} WHERE position = 20")
    found = sealed.findings()
    assert found and all(line.startswith("the checkpoint ") for line in found), found


def test_a_checkpoint_by_a_strange_key_counts_for_nothing(trail, tmp_path):
    """Who rewrites the trail and signs it with a key of their own."""
    other = tmp_path / "other"
    other.mkdir()
    trail.tamper("UPDATE mayday.audit SET actor = 'bob' WHERE position = 5; DELETE FROM mayday.audit_checkpoint")
    trail.rechain(5)
    Trail(trail.database, other).seal(1)
    found = trail.findings()
    assert any("unknown key" in line for line in found)
    assert any(line.startswith("positions 1 to 30: written anew") for line in found), found
    assert "no checkpoint vouches for them" in trail.verify(code=1)


def test_a_bogus_checkpoint_far_ahead_stops_nothing(trail):
    trail.tamper("INSERT INTO mayday.audit_checkpoint SELECT mayday.new_id(), 1000000, chain_hash, at, kid, signature "
                 "FROM mayday.audit_checkpoint WHERE position = 20 LIMIT 1")
    trail.seal(5)
    assert trail.sql("SELECT max(position) FROM mayday.audit") == [(35,)]
    assert len(trail.findings()) == 1


def test_without_keys_the_chain_is_verified_and_the_lack_is_said(trail):
    trail.configure("")
    done = trail.audit("verify")
    assert "intact" in done.stdout and "not checked" in done.stderr
    said = trail.seal(3).stderr
    assert "signing_keys" in said
    assert "33 entries" in trail.audit("verify").stdout


def test_after_a_rotation_old_and_new_checkpoints_are_good(trail):
    trail.new_key("rotate")
    trail.seal(5)
    assert len({row[0] for row in trail.sql("SELECT kid FROM mayday.audit_checkpoint")}) == 2
    assert "intact" in trail.verify()


@pytest.mark.parametrize("statement", [
    "UPDATE mayday.audit SET actor = 'bob'", "DELETE FROM mayday.audit", "TRUNCATE mayday.audit", "TRUNCATE mayday.audit_{month}",
    "DELETE FROM mayday.audit_{month}", "UPDATE mayday.audit_checkpoint SET position = 1", "DELETE FROM mayday.audit_checkpoint",
    "TRUNCATE mayday.audit_checkpoint_{month}", "UPDATE mayday.audit_pending SET actor = 'bob'", "TRUNCATE mayday.audit_pending",
])
@pytest.mark.parametrize("user", ["mayday_owner", "mayday_gateway", "mayday_plugin", "mayday_console"])
def test_nobody_changes_what_was_written(database, statement, user):
    database.sql("SELECT mayday.record_audit('acme', 'connect', 'ann', NULL, NULL, NULL)")
    if database.sql("SELECT count(*) FROM mayday.audit") == [(0,)]:
        database.sql("INSERT INTO mayday.audit SELECT mayday.new_id(), 1, now(), now(), 'a', 'k', 'b', NULL, NULL, '{}', sha256(''), sha256('')")
        database.sql("INSERT INTO mayday.audit_checkpoint SELECT mayday.new_id(), 1, sha256(''), now(), NULL, ''")
    month = database.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')")[0][0]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        database.sql(statement.format(month=month), user=user)


def test_only_the_gateway_reads_the_trail(database):
    for user in ["mayday_plugin", "mayday_console"]:
        for table in ["audit", "audit_pending", "audit_checkpoint"]:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                database.sql(f"SELECT * FROM mayday.{table}", user=user)
    database.sql("SELECT * FROM mayday.audit", user="mayday_gateway")


def test_two_sealers_make_one_chain(trail, tmp_path):
    second = Trail(trail.database, tmp_path, "gw2", (trail.private, trail.public))
    running = [trail.start(), second.start()]
    try:
        def write():
            for _ in range(20):
                trail.record(37)
        writers = [threading.Thread(target=write) for _ in range(3)]
        for each in writers:
            each.start()
        for each in writers:
            each.join()
        wait_until(lambda: trail.sql("SELECT count(*) FROM mayday.audit_pending") == [(0,)], "all is sealed", 60)
    finally:
        for each in running:
            each.terminate()
        said = [each.communicate(timeout=60) for each in running]
    assert [each.returncode for each in running] == [0, 0], said
    assert trail.sql("SELECT count(*), count(DISTINCT position), max(position) FROM mayday.audit") == [(2250, 2250, 2250)]
    assert "intact" in trail.verify("--checkpoints", trail.file, "--checkpoints", second.file)
    # A clean end leaves nothing unsigned, whoever sealed it.
    newest = [trail.sql("SELECT max(position) FROM mayday.audit_checkpoint WHERE signature = ANY(%s)", [each.file.read_text().split()])
              for each in (trail, second)]
    assert newest == [[(2250,)], [(2250,)]]


def test_who_does_not_get_the_lock_leaves_sealing_to_the_other(trail):
    other = trail.database.server.connect("postgres", trail.database.name)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('mayday.seal_audit'))")
        trail.record(5)
        trail.seal(mode="abandon")  # an end would wait for the lock
        assert trail.sql("SELECT (SELECT max(position) FROM mayday.audit), (SELECT count(*) FROM mayday.audit_pending)") == [(30, 5)]
    other.close()
    trail.seal()
    assert trail.sql("SELECT max(position) FROM mayday.audit") == [(35,)]


def test_a_sealer_killed_in_the_middle_loses_and_repeats_nothing(trail):
    """It is held inside its transaction, behind the INSERT and before the COMMIT, and killed there."""
    holder = trail.database.server.connect("postgres", trail.database.name)
    holder.autocommit = False
    trail.record(50)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE mayday.audit_checkpoint IN EXCLUSIVE MODE")
    victim = trail.start()
    wait_until(lambda: trail.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sealer' AND datname = current_database() "
                                 "AND wait_event_type = 'Lock'") == [(1,)], "the sealer waits in its transaction")
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    holder.rollback()
    holder.close()
    wait_until(lambda: trail.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sealer' "
                                 "AND datname = current_database()") == [(0,)], "its transaction is over")
    assert trail.sql("SELECT (SELECT count(*) FROM mayday.audit), (SELECT count(*) FROM mayday.audit_pending)") == [(30, 50)]
    trail.seal()
    assert trail.sql("SELECT (SELECT count(*) FROM mayday.audit), (SELECT count(*) FROM mayday.audit_pending)") == [(80, 0)]
    assert "intact" in trail.verify()


def test_a_sealer_that_dies_without_an_end_is_followed_by_one_that_signs(trail):
    trail.seal(5, mode="abandon")  # signs at its start; what follows it is not signed
    trail.seal()
    assert "0 entries came after it" in trail.verify()


def test_a_line_of_the_file_that_was_cut_does_not_spoil_the_next(trail):
    with trail.file.open("a") as file:
        file.write("eyJhbGciOi")
    trail.seal(1)
    lines = trail.file.read_text().splitlines()
    assert lines[-2] == "eyJhbGciOi" and lines[-1].count(".") == 2
    assert any("line" in line for line in trail.findings())


def test_months_that_were_dropped_leave_a_trail_that_verifies(trail):
    """Entries of two months ago, made by turning back the ids of the first thirty and hashing anew, as a sealer would have made them then."""
    trail.tamper("SELECT mayday.open_audit_month(now() - interval '2 months')")
    trail.tamper("UPDATE mayday.audit SET id = (left(mayday.uuid_at(now() - interval '2 months')::text, 14) || right(id::text, 22))::uuid")
    trail.tamper("DELETE FROM mayday.audit_checkpoint")
    trail.file.unlink()
    trail.rechain(1)
    trail.seal(10)
    assert "40 entries, positions 1 to 40" in trail.verify()
    assert trail.sql("UPDATE mayday.message_table SET keep = '20 days' WHERE name LIKE 'audit%' RETURNING 1") == [(1,), (1,)]
    dropped = [row[0] for row in trail.sql("SELECT dropped FROM mayday.drop_partitions() WHERE dropped LIKE 'audit%'", user="mayday_owner")]
    assert len(dropped) >= 1
    said = trail.verify()
    assert "10 entries, positions 31 to 40" in said and "not kept any more" in said and said.endswith("intact\n")
    trail.seal()
    assert {row[0] for row in trail.sql("SELECT detail ->> 'table' FROM mayday.audit WHERE kind = 'retention.drop'")} >= set(dropped)
    assert "intact" in trail.verify()
    trail.tamper("UPDATE mayday.audit SET actor = 'bob' WHERE position = 31")
    assert trail.findings()[0].startswith("entry 31 (")
    trail.tamper("DELETE FROM mayday.audit WHERE position <= 32")
    assert trail.findings() == ["positions 1 to 32: missing"]


def test_a_hundred_thousand_entries_are_verified(trail, capsys):
    trail.record(100000)
    began = time.monotonic()
    trail.seal()
    sealed = time.monotonic()
    assert "100030 entries" in trail.verify()
    verified = time.monotonic()
    with capsys.disabled():
        print(f"\n  sealed {100000 / (sealed - began):,.0f}/s, verified {100030 / (verified - sealed):,.0f}/s ", end="")
    trail.sql("ANALYZE mayday.audit")
    for question in ["ORDER BY position", "WHERE alert = gen_random_uuid() ORDER BY position",
                     "WHERE person = 'nobody' OR actor = 'nobody' ORDER BY position"]:
        plan = "\n".join(row[0] for row in trail.sql(f"EXPLAIN DECLARE c CURSOR FOR SELECT * FROM mayday.audit {question}"))
        assert "Seq Scan on audit_" + trail.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')")[0][0] not in plan, plan
    trail.tamper("UPDATE mayday.audit SET actor = 'bob' WHERE position = 77777")
    assert [line.split(" (")[0] for line in trail.findings()] == ["entry 77777"]


def test_verify_warns_of_entries_that_wait_too_long(sealed):
    sealed.record()
    assert sealed.audit("verify", "--keys", sealed.public).stderr == ""
    sealed.tamper("UPDATE mayday.audit_pending SET at = at - interval '2 minutes'")
    assert "wait to be sealed" in sealed.audit("verify", "--keys", sealed.public).stderr


def test_a_user_who_may_only_read_can_verify_and_cannot_export(sealed):
    sealed.sql("CREATE ROLE auditor LOGIN IN ROLE pg_read_all_data")
    try:
        assert "intact" in sealed.verify("--database", sealed.database.dsn("auditor"))
        sealed.audit("export", "--person", "ann", "--database", sealed.database.dsn("auditor"), code=3)
    finally:
        sealed.sql("DROP ROLE auditor")


def test_verify_that_cannot_tell_says_so_with_3(sealed, tmp_path):
    sealed.audit("verify", "--database", f"host={tmp_path} dbname=x", code=3)
    sealed.audit("verify", "--keys", tmp_path / "nowhere", code=3)
    sealed.audit("verify", "--checkpoints", tmp_path / "nowhere", code=3)
    sealed.audit("verify", "--from", "x", code=2)
    sealed.audit("verify", "surplus", code=2)
    sealed.audit(code=2)
    sealed.conf.write_text("[nonsense]\nx = 1\n")
    sealed.audit("verify", code=3)


# ---- export ----


@pytest.fixture
def told(trail):
    """Entries about ann and an incident among others."""
    trail.alert = uuid7()
    for kind, actor, person, alert, detail in [
        ("incident.raise", "ann", None, trail.alert, {"type": "panic"}), ("incident.acknowledge", "dana", None, trail.alert, {}),
        ("member.set", "dana", "bob", trail.alert, {"relation": "assigned"}), ("person.roles", "x", "ann", None, {"to": ["a,b", 'say "x"']}),
        ("connect", "zoe", None, None, {}),
    ]:
        trail.sql("SELECT mayday.record_audit('acme', %s, %s, %s, %s, %s)", [kind, actor, person, alert, json.dumps(detail)])
    trail.seal()
    return trail


def test_an_export_by_incident_can_be_checked_entry_by_entry(told):
    entries = [json.loads(line) for line in told.audit("export", "--alert", told.alert, "--json").stdout.splitlines()]
    assert [e["kind"] for e in entries] == ["incident.raise", "incident.acknowledge", "member.set"]
    stored = {row["position"]: row for row in told.rows()}
    for e in entries:
        row = {**stored[e["position"]], "org": e["org"], "kind": e["kind"], "actor": e["actor"], "person": e.get("person"), "alert": e["alert"],
               "detail": json.dumps(e["detail"], ensure_ascii=False), "id": e["id"]}
        entry_hash, chain_hash = hashes(row, bytes.fromhex(e["previous_chain_hash"]))
        assert (entry_hash.hex(), chain_hash.hex()) == (e["entry_hash"], e["chain_hash"])


def test_an_export_by_person_holds_what_they_did_and_what_was_done_to_them(told):
    told.tamper("UPDATE mayday.audit SET org = 'zeta' WHERE position = 3")
    rows = list(csv.DictReader(io.StringIO(told.audit("export", "--person", "ann", "--org", "acme", "--csv").stdout)))
    assert len(rows) == 31 and "3" not in [row["position"] for row in rows]
    assert json.loads(rows[-1]["detail"]) == {"to": ["a,b", 'say "x"']} and rows[-1]["person"] == "ann"
    plain = told.audit("export", "--person", "ann", "--since", "tomorrow")
    assert plain.stdout == ""
    text = told.audit("export", "--person", "bob").stdout
    assert "member.set" in text and "entry " in text and "chain " in text


def test_an_export_is_recorded_before_it_is_shown(told):
    told.audit("export", "--person", "ann", "--org", "acme")
    recorded = told.sql("SELECT org, actor, person, detail FROM mayday.audit_pending WHERE kind = 'audit.export'")
    assert len(recorded) == 1 and recorded[0][0] == "acme" and recorded[0][2] == "ann" and recorded[0][1].endswith("/mayday_owner")
    told.sql("REVOKE EXECUTE ON FUNCTION mayday.record_audit FROM mayday_gateway")
    refused = told.audit("export", "--person", "ann", "--database", told.database.dsn("mayday_gateway"), code=3)
    assert refused.stdout == ""


def test_what_an_export_asks_for_is_checked(told):
    for arguments in [[], ["--person", "a", "--alert", told.alert], ["--alert", "x"], ["--person", "a", "--since", "whenever"],
                      ["--person", "a", "more"], ["--nonsense"]]:
        told.audit("export", *arguments, code=2)


# ---- what is recorded by itself ----


@pytest.fixture
def noted(database):
    database.sql("DELETE FROM mayday.audit_pending")

    def look():
        found = database.sql("SELECT kind, actor, person, alert::text, detail FROM mayday.audit_pending ORDER BY entry")
        database.sql("DELETE FROM mayday.audit_pending")
        return found
    return look


def test_memberships_are_recorded_by_whoever_changes_them(database, noted):
    alert = uuid7()
    database.sql("INSERT INTO mayday.membership (org, family, id, person, relation) VALUES ('acme', 'alert', %s, 'bob', 'invited')", [alert])
    assert noted() == [("member.set", "postgres", "bob", alert, {"relation": "invited", "by_hand": "postgres"})]
    join = "SELECT mayday.join_alert('acme', %s, 'bob', 'assigned', 'dana')"
    database.sql(join, [alert], user="mayday_gateway")
    assert noted() == [("member.set", "dana", "bob", alert, {"relation": "assigned", "from": "invited"})]
    database.sql(join, [alert], user="mayday_gateway")
    assert noted() == []
    database.sql("UPDATE mayday.membership SET changed_by = 'eve' WHERE id = %s", [alert])
    assert noted() == []
    database.sql("UPDATE mayday.membership SET until = now() WHERE id = %s", [alert])
    assert noted() == [("member.end", "postgres", "bob", alert, {"relation": "assigned", "by_hand": "postgres"})]
    database.sql("DELETE FROM mayday.membership WHERE id = %s", [alert])
    assert noted() == [("member.end", "postgres", "bob", alert, {"relation": "assigned", "by_hand": "postgres", "deleted": True})]
    database.sql("INSERT INTO mayday.membership (org, family, id, person, relation, changed_by) "
                 "VALUES ('acme', 'room', 'lobby', 'bob', 'member', 'dana')", user="mayday_gateway")
    assert noted() == [("member.set", "dana", "bob", None, {"relation": "member", "room": "lobby"})]


def test_consent_roles_and_pins_are_recorded_without_the_hashes(database, noted):
    database.sql("INSERT INTO mayday.contact (org, person, contact) VALUES ('acme', 'ann', 'mum')")
    database.sql("UPDATE mayday.contact SET since = now()")
    database.sql("DELETE FROM mayday.contact")
    assert [(row[0], row[2], row[4]["contact"]) for row in noted()] == [("contact.set", "ann", "mum"), ("contact.end", "ann", "mum")]
    database.sql("INSERT INTO mayday.person (org, person, roles) VALUES ('acme', 'ann', '{member}')")
    database.sql("UPDATE mayday.person SET last_seen = now(), duty = 'on'")
    database.sql("UPDATE mayday.person SET roles = '{member,dispatcher}'")
    database.sql("UPDATE mayday.person SET roles = '{dispatcher,member}'")
    found = noted()
    assert [(row[0], row[4].get("to")) for row in found] == [("person.roles", ["member"]), ("person.roles", ["member", "dispatcher"])]
    database.sql("UPDATE mayday.person SET pin = 'hash-one'")
    database.sql("UPDATE mayday.person SET pin = 'hash-two', duress_pin = 'hash-three'")
    database.sql("DELETE FROM mayday.person")
    found = noted()
    assert [row[0] for row in found] == ["person.pin", "person.pin", "person.delete"]
    assert found[1][4] == {"pin": "changed", "duress_pin": "set", "by_hand": "postgres"}
    assert "hash" not in json.dumps([row[4] for row in found])


def test_an_incident_changed_by_hand_is_recorded(database, noted):
    alert = uuid7()
    database.sql("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline) "
                 "VALUES ('acme', %s, 'ann', now(), now(), 'panic', 'critical', false, false)", [alert])
    database.sql("UPDATE mayday.alert SET status = 'resolved', closed_at = now() WHERE id = %s", [alert])
    database.sql("UPDATE mayday.alert SET status = 'resolved' WHERE id = %s", [alert])
    database.sql("UPDATE mayday.alert SET status = 'active' WHERE id = %s", [alert], user="mayday_gateway")
    database.sql("DELETE FROM mayday.alert WHERE id = %s", [alert])
    assert [row for row in noted() if row[0].startswith("incident.")] == [
        ("incident.by_hand", "postgres", "ann", alert, {"by_hand": "postgres", "changed": ["closed_at", "status"], "from": "active", "to": "resolved"}),
        ("incident.delete", "postgres", "ann", alert, {"by_hand": "postgres", "status": "active"})]


def test_recording_never_fails_for_what_it_is_given(database, noted):
    database.sql("SELECT mayday.record_audit(NULL, NULL, NULL, NULL, NULL, NULL)")
    database.sql("SELECT mayday.record_audit('acme', %s, %s, %s, NULL, jsonb_build_object('x', %s))", ["k" * 9999, "a" * 9999, "p" * 9999, os.urandom(40000).hex()])
    found = noted()
    assert found[0] == ("-", "-", None, None, {})
    assert len(found[1][1]) == 256 and found[1][4] == {"left_out": "more than 32 kB"}


def test_the_gateway_seals(own_site, tmp_path):
    """The real daemon, with the configuration as an operator writes it."""
    site = own_site()
    keys = tmp_path / "audit-keys.json"
    subprocess.run([BUILD / "bin" / "mayday", "keys", "new", "--type", "ed25519", "--private", keys, "--public", tmp_path / "audit-public.json"],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "MAYDAY_CONF": os.devnull})
    database = site.postgres
    database.sql(TAMPER + "DELETE FROM mayday.audit; DELETE FROM mayday.audit_checkpoint")
    site.start()
    with site.gateway(gateway__organisations="acme", audit__signing_keys=keys) as gateway:
        database.sql("SELECT mayday.record_audit('acme', 'connect', 'ann', NULL, NULL, NULL) FROM generate_series(1, 1500)")
        wait_until(lambda: database.sql("SELECT count(*) FROM mayday.audit_pending") == [(0,)], "all is sealed")
        wait_until(lambda: database.sql("SELECT count(*) >= 1500 FROM mayday.audit") == [(True,)], "and in the trail")
    said = subprocess.run([BUILD / "bin" / "mayday", "--config", gateway.conf, "audit", "verify"], text=True, capture_output=True)
    assert said.returncode == 0 and "0 entries came after it" in said.stdout, said.stdout + said.stderr
