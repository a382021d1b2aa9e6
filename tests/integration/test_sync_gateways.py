"""Away and back when gateways come and go."""
import json

from support.phone import belongs, chats, named, person, word


def test_a_gateway_killed_in_the_middle_is_followed_by_another(own_site):
    """What was not noted yet is said again: no page is missing, and what came twice follows no cursor that is held."""
    with own_site() as site:
        ann, room = person(site, "ann"), named("room")
        belongs(site, "room", room, ann, "member")
        chats(site, "room", room, [f"number {n}" for n in range(5000)])
        first = site.gateway("first", gateway__organisations="acme").start()
        with ann.connect() as client:
            request, got, more = ann.ask(client), [], True
            while more:
                page = json.loads(client.receive(60).payload)
                if first.process.returncode is None:
                    first.kill()
                    second = site.gateway("second", gateway__organisations="acme").start()
                assert page["request"] == request
                if page.get("after") == ann.cursor:
                    got += [e["payload"]["text"] for e in page["messages"]]
                    ann.cursor, more = page["cursor"], page["more"]
            assert got == [f"number {n}" for n in range(5000)]
        site.wait_rows("SELECT count(*) FROM mayday.sync_open WHERE person = %s", [(0,)], [ann.sub])
        second.stop()


def test_a_question_asked_while_no_gateway_runs_is_answered_when_one_does(own_site):
    site = own_site()
    with site:
        ann, room = person(site, "ann"), named("room")
        belongs(site, "room", room, ann, "member")
        chats(site, "room", room, ["hello"])
        with ann.connect() as client:
            request = ann.ask(client)
            with site.gateway("late", gateway__organisations="acme"):
                assert [word(e) for e in ann.take(client, request)[0]] == ["hello"]
