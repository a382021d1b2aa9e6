"""Away and back: who was offline is given everything they may read that they missed, and nothing else; through a real broker, a real
gateway and a real database."""
import json
import random
import subprocess
import threading

import pytest

from support import messages as m
from support.phone import Phone, begun, belongs, chats, leaves, named, opens, person, say, stored, word
from support.site import BUILD, wait_until
from support.wire import PUBACK


@pytest.fixture(scope="module", autouse=True)
def quiet(database):
    """An alarm puts nothing into the inboxes of these people."""
    database.sql("""INSERT INTO mayday.plan (org, edition, body) VALUES ('acme', 1, '{"v": 1, "policies": [
        {"name": "quiet", "levels": [{"after": 0, "targets": [{"person": "nobody"}]}]}]}')""")


@pytest.fixture(autouse=True)
def answering(gateway):
    gateway.alive()
    return gateway


# ---- what is given


def test_a_message_is_given_as_it_was_sent(site):
    """Every member of every kind of message that is part of it."""
    ann, dee = person(site, "ann", "member", "officer"), person(site, "dee", "dispatcher")
    alert, room, other = m.uuid7(), named("room"), m.uuid7()
    media = [{"url": "https://x.org/a?b=\"c\"", "type": "image/jpeg", "size": 1099511627776, "sha256": "e3" * 32}]
    text = "äöü \U0001f6a8 \"quoted\" \\ back/slash\nsecond line\ttab"
    place = {"lat": -33.924899999999994, "lon": 18.4241, "accuracy": 5.123456789, "altitude": 1e2, "speed": 0.1, "heading": 359.99, "source": "gps",
             "battery": 33.30}
    said = [
        (ann, "alert", alert, "raise", "raise", m.raise_(type="medical", priority="low", location=place, text=text, lang="pt-BR", silent=True, offline=True)),
        (ann, "alert", alert, "chat", "chat", m.chat(text, lang="de", reply_to=other, media=media)),
        (ann, "alert", alert, "chat", "chat", m.message(media=media)),
        (dee, "alert", alert, "action", "action", m.message(action="note", reason=text, expected_version=0)),
        (dee, "user", ann.sub, "check", "person_check", m.message(text=text, lang="en", reason="dispatch", respond_within=86400, alert=alert)),
        (dee, "user", ann.sub, "inbox", "inbox", m.message(kind="broadcast", text=text, lang="en")),
        (dee, "role", "officer", "broadcast", "broadcast", m.message(text=text, lang="en")),
        (ann, "user", ann.sub, "reply", "reply", m.message(check=other, answer="text", text=text, location=place, offline=True)),
        (ann, "user", ann.sub, "reply", "reply", m.message(check=other, answer="ok")),
    ]
    for who, family, id_, leaf, table, message in said:
        stored(site, table, say(site, who, family, id_, leaf, message))
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, ["in the room"])

    got = {e["payload"]["id"]: e for e in ann.sync() + dee.sync() if "payload" in e}
    for who, family, id_, leaf, _, message in said:
        entry = got[message["id"]]
        assert entry["payload"] == message, leaf
        assert entry["topic"] == m.topic(family, id_, leaf)
        assert entry["sender"] == who.sub
        assert entry["received_at"] >= message["ts"][:10]
    assert "in the room" in [word(e) for e in got.values()]


def test_a_pin_is_never_given(site):
    ann, dee = person(site, "ann"), person(site, "dee", "dispatcher")
    alert = opens(site, ann)
    stored(site, "action", say(site, ann, "alert", alert, "action", m.message(action="cancel", pin="0815")))
    assert "0815" not in json.dumps(dee.sync())


def test_everybody_is_given_what_they_may_read_and_nothing_else(site):
    ann, ben, mum = person(site, "ann"), person(site, "ben", "responder"), person(site, "mum", "family")
    dee, sue, eve = person(site, "dee", "dispatcher"), person(site, "sue", "supervisor"), person(site, "eve", "member", "officer")
    everybody = (ann, ben, mum, dee, sue, eve)
    for each in everybody:
        each.sync()
    alert, room = opens(site, ann), named("room")
    belongs(site, "alert", alert, ben, "assigned")
    belongs(site, "alert", alert, mum, "family")
    belongs(site, "room", room, eve, "member")
    chats(site, "alert", alert, ["on the way"])
    chats(site, "room", room, ["among us"])
    stored(site, "inbox", say(site, dee, "user", eve.sub, "inbox", m.message(kind="message", text="call me")))
    stored(site, "broadcast", say(site, dee, "role", "officer", "broadcast", m.message(text="all officers")))
    stored(site, "reply", say(site, ann, "user", ann.sub, "reply", m.message(check=m.uuid7(), answer="text", text="I am fine")))
    assert sorted(ann.heard()) == ["on the way", "raise", "state"]
    assert sorted(ben.heard()) == ["dispatch", "on the way", "raise"]
    assert mum.heard() == ["state"]
    assert sorted(dee.heard()) == ["I am fine", "dispatch", "on the way", "raise"]
    assert sorted(sue.heard()) == ["dispatch", "on the way", "raise"]
    assert sorted(eve.heard()) == ["all officers", "among us", "call me"]
    assert [each.heard() for each in everybody] == [[]] * len(everybody)  # and it is given once


def test_nothing_of_another_organisation_is_given(site):
    site.rows("INSERT INTO mayday.alert (org, id, raised_by, raised_at, received_at, type, priority, silent, offline) "
              "VALUES ('zeta', %s, 'zoe', now(), now(), 'panic', 'critical', false, false)", [alert := m.uuid7()])
    dee, ann = person(site, "dee", "dispatcher", "officer"), person(site, "ann", "officer")
    twin = Phone(site, ann.sub, ("officer",), "zeta")
    dee.sync(), ann.sync()
    chats(site, "alert", alert, ["secret of zeta"], org="zeta")
    belongs(site, "alert", alert, twin, "invited")
    for table, column, value in (("inbox", "person", ann.sub), ("broadcast", "role", "officer")):
        site.rows(f"INSERT INTO mayday.{table} (id, at, received_at, digest, org, sender, node, offline, {column}, text) "
                  "VALUES (%s, now(), now(), 1, 'zeta', 'zoe', 'x', false, %s, 'secret of zeta')", [id_ := m.uuid7(), value])
        site.rows("SELECT mayday.feed_rows(%s, %s::uuid[])", [table, [id_]])
    assert "zeta" not in json.dumps(dee.sync() + ann.sync())
    walk = "SELECT entry FROM mayday.sync_entries('zeta', %s, NULL, 100) WHERE entry LIKE '%%secret of zeta%%'"
    assert len(site.rows(walk, [ann.sub])) == 2  # chat and inbox; nobody there is an officer


# ---- belonging


def test_who_joins_is_given_the_incident_from_its_beginning(site):
    ann, ben = person(site, "ann"), person(site, "ben", "responder")
    alert, early = opens(site, ann), opens(site, ann)
    chats(site, "alert", alert, ["one", "two"])
    chats(site, "alert", early, ["not yours"])
    assert ben.heard() == []
    belongs(site, "alert", alert, ben, "invited")
    chats(site, "alert", alert, ["three"])
    got = ben.heard()
    assert [each for each in got if each in ("one", "two", "three")] == ["one", "two", "three"]
    assert "not yours" not in got and {"raise", "state"} < set(got)
    chats(site, "alert", alert, ["four"])
    assert ben.heard() == ["four"]


def test_what_ended_is_to_be_forgotten_and_what_came_later_is_not_given(site):
    ann, ben = person(site, "ann"), person(site, "ben", "responder")
    alert, room = opens(site, ann), named("room")
    belongs(site, "alert", alert, ben, "assigned")
    belongs(site, "room", room, ben, "member")
    chats(site, "alert", alert, ["one"])
    chats(site, "room", room, ["hello"])
    assert {"one", "hello"} < set(ben.heard())
    chats(site, "alert", alert, ["while he belonged, and he was away"])
    leaves(site, "alert", alert, ben)
    site.rows("DELETE FROM mayday.membership WHERE id = %s", [room])
    chats(site, "alert", alert, ["after he left"])
    chats(site, "room", room, ["after he left"])
    assert sorted(ben.heard()) == sorted([f"-alert/{alert}", f"-room/{room}"])
    assert ben.heard() == []
    belongs(site, "alert", alert, ben, "invited")
    assert [each for each in ben.heard() if each.startswith(("one", "while", "after"))] == ["one", "while he belonged, and he was away", "after he left"]


def test_who_left_and_came_again_in_between_is_not_told_to_forget(site):
    ann, ben = person(site, "ann"), person(site, "ben", "responder")
    alert = opens(site, ann)
    belongs(site, "alert", alert, ben, "invited")
    chats(site, "alert", alert, ["one"])
    ben.sync()
    leaves(site, "alert", alert, ben)
    chats(site, "alert", alert, ["two"])
    belongs(site, "alert", alert, ben, "invited")
    got = ben.heard()
    assert [each for each in got if each in ("one", "two")] == ["one", "two"] and not any(each.startswith("-") for each in got)


def test_who_only_follows_an_incident_is_given_its_state_and_more_when_they_take_part(site):
    ann, mum = person(site, "ann"), person(site, "mum", "family")
    alert = opens(site, ann)
    belongs(site, "alert", alert, mum, "family")
    chats(site, "alert", alert, ["not for family"])
    assert mum.heard() == ["state"]
    belongs(site, "alert", alert, mum, "invited")
    assert "not for family" in mum.heard()
    belongs(site, "alert", alert, mum, "former")
    chats(site, "alert", alert, ["not for those who are former"])
    assert mum.heard() == []


def test_only_the_newest_state_is_given(site):
    ann = person(site, "ann")
    ann.sync()
    alert = opens(site, ann)
    for version in range(2, 6):
        site.rows("UPDATE mayday.alert SET version = %s WHERE id = %s", [version, alert])
        site.rows("SELECT mayday.feed_settle(100)")
    states = [e["payload"]["version"] for e in ann.sync() if e["topic"].endswith("/state")]
    assert states == [5]
    site.rows("UPDATE mayday.alert SET version = 6 WHERE id = %s", [alert])
    assert [e["payload"]["version"] for e in ann.sync()] == [6]


def test_a_refusal_told_while_somebody_was_away_is_given(site):
    ann = person(site, "ann")
    ann.sync()
    site.rows("SELECT mayday.reject('acme', %s, %s, %s, 'stale', 'too late')", [ann.sub, id_ := m.uuid7(), m.topic("alert", m.uuid7(), "action")])
    (entry,) = ann.sync()
    assert entry["topic"] == m.topic("user", ann.sub, "rejected") and entry["payload"]["code"] == "stale" and entry["payload"]["id"] == id_


def shown(entries, phone, alert):
    """What a raiser is given of an incident of theirs, without what differs between any two."""
    spelled = json.dumps([e for e in entries if alert in json.dumps(e)]).replace(alert, "<alert>").replace(phone.sub, "<raiser>")
    for entry in (found := json.loads(spelled)):
        entry.pop("received_at", None)
        for name in ("id", "ts", "raised_at", "receipts"):
            entry.get("payload", {}).pop(name, None)
    return found


def test_a_raiser_cannot_tell_a_duress_cancel_from_a_true_one(site):
    """Not by what is given and not by when; also when the raiser dispatches."""
    seen = []
    for pin in ("4711", "1147"):
        ann, dee = person(site, "ann", "member", "dispatcher"), person(site, "dee", "dispatcher")
        stored(site, "setting", say(site, ann, "user", ann.sub, "settings", m.message(pin="4711", duress_pin="1147")))
        alert = opens(site, ann)
        site.rows("SELECT mayday.mark_notified('acme', %s)", [alert])  # or the gateway does, sooner or later
        pages = [shown(ann.sync(), ann, alert)]
        stored(site, "action", say(site, ann, "alert", alert, "action", m.message(action="cancel", pin=pin)))
        pages.append(shown(ann.sync(), ann, alert))
        for action in ({"action": "acknowledge"}, {"action": "assign", "person": dee.sub}, {"action": "note", "reason": "a squad is coming"}):
            stored(site, "action", say(site, dee, "alert", alert, "action", m.message(**action)))
            chats(site, "alert", alert, [f"told: {action['action']}"])
            pages.append(shown(ann.sync(), ann, alert))
        assert site.rows("SELECT duress_at IS NOT NULL, status FROM mayday.alert WHERE id = %s", [alert])[0] == (
            (True, "acknowledged") if pin == "1147" else (False, "canceled"))
        site.rows("SELECT mayday.retire_incidents('0 s')")
        pages.append(shown(ann.sync(), ann, alert))
        seen.append(pages)
    assert seen[0] == seen[1]
    assert [sorted(word(e) for e in page) for page in seen[0]] == [["raise", "state"], ["state"], [], [], [], ["-alert/<alert>"]]
    assert seen[0][1][0]["payload"]["status"] == "canceled"


# ---- order, and cursors


def test_two_writers_never_hide_a_row_from_a_cursor(site):
    """One transaction waits with its rows while another commits and a reader moves its cursor."""
    ann = person(site, "ann")
    room = named("room")
    belongs(site, "room", room, ann, "member")
    ann.sync()
    slow = begun(site)
    chats(site, "room", room, ["slow 1", "slow 2"], connection=slow)
    fast = threading.Thread(target=chats, args=(site, "room", room, ["fast"]))
    fast.start()
    wait_until(lambda: site.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0] >= 1, "the other writer waits")
    page = site.rows("SELECT entry, cursor FROM mayday.sync_entries('acme', %s, %s, 10)", [ann.sub, ann.cursor])
    assert [row[0] for row in page] == [None]
    slow.commit()
    fast.join()
    got = site.rows("SELECT entry::jsonb #>> '{payload,text}' FROM mayday.sync_entries('acme', %s, %s, 10) WHERE entry IS NOT NULL", [ann.sub, page[-1][1]])
    assert [row[0] for row in got] == ["slow 1", "slow 2", "fast"]
    assert ann.heard() == ["slow 1", "slow 2", "fast"]
    slow.close()


def test_memberships_changed_by_writers_in_the_same_moment_do_not_deadlock(site):
    """Each changes memberships the other changes too, in the same order as writers do, and feeds messages; nothing is lost."""
    people = [person(site, f"p{i}") for i in range(3)]
    rooms = sorted(named("room") for _ in range(4))
    failed = []

    def writer(seed):
        rng = random.Random(seed)
        own = begun(site)
        try:
            for n in range(30):
                with own.cursor() as cursor:
                    for room in rooms:
                        who = people[rng.randrange(3)] if room == rooms[0] else people[0]
                        cursor.execute("INSERT INTO mayday.membership AS k (org, family, id, person, relation) VALUES ('acme', 'room', %s, %s, 'member') "
                                       "ON CONFLICT (org, family, id, person) DO UPDATE SET until = CASE WHEN k.until IS NULL THEN now() END", [room, who.sub])
                chats(site, "room", rooms[rng.randrange(4)], [f"{seed}.{n}"], connection=own)
                own.commit()
        except Exception as e:  # noqa: BLE001 - shown by the test
            failed.append(e)
        finally:
            own.close()

    threads = [threading.Thread(target=writer, args=(seed,)) for seed in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failed
    for room in rooms:
        belongs(site, "room", room, people[0], "member")
    said = [each for each in people[0].heard() if "." in each]
    assert sorted(said) == sorted(f"{seed}.{n}" for seed in range(3) for n in range(30))
    for seed in range(3):
        per_room = site.rows("SELECT room, array_agg(text ORDER BY f.position) FROM mayday.feed f JOIN mayday.chat c ON c.id = f.message "
                             "WHERE c.room = ANY (%s) AND c.text LIKE %s GROUP BY room", [rooms, f"{seed}.%"])
        assert all(texts == sorted(texts, key=lambda t: int(t.split(".")[1])) for _, texts in per_room)


@pytest.mark.parametrize("cursor", ["x", "1n.00000000.1", "1n.0.0", "0", "....", "1n.ffffffff.99999999999999999999", "A" * 128])
def test_a_cursor_that_leads_nowhere_begins_again_and_says_so(site, cursor):
    ann = person(site, "ann")
    room = named("room")
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, ["hello"])
    assert ann.heard() == ["hello"] and ann.resets == 0
    good, ann.cursor = ann.cursor, cursor
    assert ann.heard() == ["hello"] and ann.resets == 1
    assert ann.cursor.split(".")[1] == good.split(".")[1]
    assert ann.heard() == [] and ann.resets == 1


def test_a_cursor_of_a_restored_database_begins_again(site):
    ann = person(site, "ann")
    ann.sync()
    head, epoch, at = ann.cursor.split(".")
    ann.cursor = f"{head}.{epoch}.{int(at) + 1000000}"  # behind all that is known here
    ann.sync()
    assert ann.resets == 1
    site.rows("SELECT mayday.renew_feed()")
    ann.sync()
    assert ann.resets == 2


def test_who_may_read_more_than_before_begins_again(site):
    ann, dee = person(site, "ann"), person(site, "dee", "member")
    alert = opens(site, ann)
    dee.sync()
    site.rows("UPDATE mayday.person SET roles = '{dispatcher}' WHERE person = %s", [dee.sub])
    dee.roles = ("member", "dispatcher")
    got = dee.sync()
    assert dee.resets == 1 and alert in json.dumps(got)
    dee.sync()
    assert dee.resets == 1


def test_retention_forgets_the_feed_and_not_the_messages(site):
    ann, room = person(site, "ann"), named("room")
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, ["old"])
    before = Phone(site, ann.sub)
    ann.sync()
    newest = site.rows("SELECT max(position) FROM mayday.feed")[0][0]
    site.rows("UPDATE mayday.feed SET at = now() - interval '100 days'")
    chats(site, "room", room, ["new"])
    assert site.rows("SELECT mayday.trim_feed(most => 2)") == [(2,)]
    done = subprocess.run([BUILD / "bin" / "mayday", "--config", site.conf, "migrate", "--prune"], capture_output=True, text=True, check=True)
    assert "feed" in done.stdout, done
    assert site.rows("SELECT mayday.trim_feed()") == [(0,)]
    assert site.rows("SELECT min(position) > %s FROM mayday.feed", [newest]) == [(True,)]
    assert ann.heard() == ["new"] and ann.resets == 0
    assert before.heard() == ["new"] and before.resets == 0  # never had a cursor: there is nothing to reset
    head, epoch, at = ann.cursor.split(".")
    ann.cursor = f"{head}.{epoch}.{newest - 1}"
    assert ann.heard() == ["new"] and ann.resets == 1
    assert site.rows("SELECT count(*) FROM mayday.chat WHERE room = %s", [room]) == [(2,)]


# ---- paging


def test_ten_thousand_missed_messages_arrive_in_order_and_once(site):
    ann, room = person(site, "ann"), named("room")
    belongs(site, "room", room, ann, "member")
    ann.sync()
    for begin in range(0, 10000, 1000):
        chats(site, "room", room, [f"number {n}" for n in range(begin, begin + 1000)])
    assert ann.heard() == [f"number {n}" for n in range(10000)]
    assert len(ann.pages) > 20 and all(page["more"] for page in ann.pages[1:-1])
    assert len({page["id"] for page in ann.pages}) == len(ann.pages)


def test_a_long_history_of_what_was_joined_goes_over_several_pages(site):
    ann, room = person(site, "ann"), named("room")
    chats(site, "room", room, [f"number {n}" for n in range(2500)])
    ann.sync()
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, ["after"])
    assert ann.heard() == [f"number {n}" for n in range(2500)] + ["after"]
    middle = Phone(site, ann.sub)
    middle.cursor = ann.pages[3]["cursor"]  # lost the rest: asks again from there
    had = sum(len(page["messages"]) for page in ann.pages[1:4])
    assert middle.heard() == [f"number {n}" for n in range(had, 2500)] + ["after"]


def test_the_largest_messages_fit_into_pages(site):
    ann, dee = person(site, "ann"), person(site, "dee", "dispatcher")
    ann.sync()
    url = "https://x/" + '"' * 2000
    media = [{"url": url, "type": "image/jpeg", "size": 1, "sha256": "00" * 32} for _ in range(10)]
    texts = ["\U0001f6a8" * 4000, "\"" * 4000]
    alert = opens(site, ann)
    sent = [stored(site, "chat", say(site, dee, "alert", alert, "chat", m.chat(text, media=media))) for text in texts for _ in range(3)]
    got = [e["payload"] for e in ann.sync() if e["topic"].endswith("/chat")]
    assert got == sent
    assert all(len(json.dumps(message, ensure_ascii=False).encode()) > 40000 for message in sent)


# ---- many, and bad days


def test_a_page_that_got_lost_is_asked_for_again(site):
    """The client goes away in the middle, and asks with its last cursor."""
    ann, room = person(site, "ann"), named("room")
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, [f"number {n}" for n in range(3000)])
    client = ann.connect()
    request, got = ann.ask(client), []
    while len(got) < 500:
        got += (ann.take(client, request) or ([],))[0]
    client.close()
    got += ann.sync()
    assert [word(e) for e in got] == [f"number {n}" for n in range(3000)]


def test_one_who_asks_without_end_does_not_hold_up_others(site, answering):
    greedy, ann, room, other = person(site, "greedy"), person(site, "ann"), named("room"), named("room")
    belongs(site, "room", room, greedy, "member")
    belongs(site, "room", other, ann, "member")
    for begin in range(0, 10000, 2000):
        chats(site, "room", room, [f"number {n}" for n in range(begin, begin + 2000)])
    chats(site, "room", other, ["hello"])
    # As if they had asked while the gateway was away: a hundred times from the beginning, and from everywhere.
    site.rows("INSERT INTO mayday.sync_request (id, at, received_at, digest, org, sender, node, offline, person, cursor) "
              "SELECT mayday.new_id(), now(), now() + n * interval '1 ms', n, 'acme', %s, 'x', false, %s, CASE n %% 2 WHEN 0 THEN 'from ' || n END "
              "FROM generate_series(1, 100) n", [greedy.sub, greedy.sub])
    site.rows("SELECT mayday.settle_syncs(ARRAY(SELECT id FROM mayday.sync_request WHERE person = %s))", [greedy.sub])
    assert site.rows("SELECT count(*) <= 8 FROM mayday.sync_open WHERE person = %s", [greedy.sub]) == [(True,)]
    with greedy.connect():
        assert ann.heard() == ["hello"]
        waiting = site.rows("SELECT count(*) FROM mayday.sync_open WHERE person = %s", [greedy.sub])[0][0]
        assert waiting > 0  # ann did not wait for the end of it
        site.wait_rows("SELECT count(*) FROM mayday.sync_open WHERE person = %s", [(0,)], [greedy.sub], 60)


def test_questions_from_the_same_cursor_are_answered_once(site):
    ann, room = person(site, "ann"), named("room")
    belongs(site, "room", room, ann, "member")
    chats(site, "room", room, ["hello"])
    ids = [m.uuid7() for _ in range(5)]
    for n, id_ in enumerate(ids):
        site.rows("INSERT INTO mayday.sync_request (id, at, received_at, digest, org, sender, node, offline, person) "
                  "VALUES (%s, now(), now() + %s * interval '1 ms', 1, 'acme', %s, 'x', false, %s)", [id_, n, ann.sub, ann.sub])
    with ann.connect() as client:
        site.rows("SELECT mayday.settle_syncs(%s::uuid[])", [ids])
        page = json.loads(client.receive().payload)
        assert page["request"] == ids[-1] and [word(e) for e in page["messages"]] == ["hello"]
        site.wait_rows("SELECT count(*) FROM mayday.sync_open WHERE person = %s", [(0,)], [ann.sub])
        assert client.receives_nothing()


def test_only_a_gateway_may_send_a_page(site):
    ann, dee = person(site, "ann"), person(site, "dee", "dispatcher")
    forged = m.message(kind="sync", request=m.uuid7(), cursor="1n.0.0", more=False, messages=[
        {"topic": m.topic("user", ann.sub, "check"), "sender": "mayday", "received_at": m.moment(), "payload": m.message(reason="timer")}])
    with site.client(dee.sub, dee.roles, version=5) as c, ann.connect() as phone:
        assert c.publish(m.topic("user", ann.sub, "inbox"), m.dump(forged)) >= 0x80
        assert phone.receives_nothing()
    assert site.rows("SELECT count(*) FROM mayday.inbox WHERE id = %s", [forged["id"]]) == [(0,)]


def test_what_was_queued_offline_gives_the_same_rows_in_any_order_and_however_often(site):
    """A thousand messages of a device that was away, shuffled and repeated, against the same ones sent as they happened."""
    rng = random.Random(3)
    results = []
    for shuffled in (False, True):
        ann, ben = person(site, "ann"), person(site, "ben", "responder")
        alerts = [m.uuid7() for _ in range(10)]
        raises = [("alert", a, "raise", m.raise_(offline=shuffled)) for a in alerts]
        rest = []
        for n in range(990):
            kind = n % 3
            if kind == 0:
                rest.append(("alert", alerts[n % 10], "chat", m.chat(f"chat {n}", offline=shuffled)))
            elif kind == 1:
                rest.append(("user", ann.sub, "location", m.location(offline=shuffled, accuracy=n)))
            else:
                rest.append(("user", ann.sub, "duty", m.message(status="on_scene" if n % 2 else "busy", offline=shuffled)))
        queue = raises + rest
        if shuffled:
            queue = raises[:1] + rng.sample(rest + raises, len(rest) + len(raises)) + rng.sample(rest, 100)
        with site.client(ann.sub, ("member",), client_id=f"{ann.sub}:phone", version=5) as c:
            waiting = [c.send_publish(m.topic(*q[:3]), m.dump(q[3])) for q in queue if q[2] == "raise"]
            assert all(c.take(PUBACK).reason in (0, 0x10) for _ in waiting)
            for q in queue:
                if q[2] != "raise":
                    assert c.publish(m.topic(*q[:3]), m.dump(q[3])) == 0
        counts = {}
        for table, want in (("raise", 10), ("chat", 330), ("location", 330), ("duty", 330)):
            site.wait_rows(f"SELECT count(*) FROM mayday.{table} WHERE sender = %s", [(want,)], [ann.sub], 60)
            counts[table] = site.rows(f"SELECT offline, count(*) FROM mayday.{table} WHERE sender = %s GROUP BY 1", [ann.sub])[0][1]
        for alert in alerts:
            belongs(site, "alert", alert, ben, "invited")
        got = [word(e) for e in ben.sync() if e["topic"].rsplit("/", 1)[1] in ("chat", "raise")]
        opened = site.rows("SELECT count(*) FROM mayday.alert WHERE raised_by = %s", [ann.sub])
        results.append((counts, sorted(got), opened))
    assert results[0] == results[1]
