"""A device that was away: it asks for what it missed and takes the pages as docs/clients.md tells it to. And what tests say to it."""
import json
import os

from support import messages as m

PAYLOAD_MAX = 65536 + 4096  # [messages] max_size, and what a page may have on top


class Phone:
    def __init__(self, site, sub, roles=("member",), org="acme"):
        self.site, self.sub, self.roles, self.org, self.cursor = site, sub, roles, org, None
        self.pages, self.resets = [], 0

    def connect(self, **options):
        client = self.site.client(self.sub, self.roles, org=self.org, client_id=f"{self.sub}:{os.urandom(4).hex()}", **options)
        assert client.subscribe(m.topic("user", self.sub, "inbox", self.org)) == [1]
        return client

    def ask(self, client):
        question = m.message(**({"cursor": self.cursor} if self.cursor else {}))
        assert client.publish(m.topic("user", self.sub, "sync", self.org), m.dump(question)) == 0
        return question["id"]

    def take(self, client, request):
        """Entries of one page, and whether more follow. None: it is not for us."""
        packet = client.receive()
        page = json.loads(packet.payload)
        if page["kind"] != "sync" or page["request"] != request:
            return None
        assert len(packet.payload) <= PAYLOAD_MAX and len(page["messages"]) <= 500
        if page.get("reset"):
            self.resets += 1
        elif page.get("after") != self.cursor:
            raise AssertionError(f"a page is missing: held {self.cursor}, got {page.get('after')} to {page['cursor']}")
        self.cursor = page["cursor"]
        self.pages.append(page)
        return page["messages"], page["more"]

    def sync(self, client=None):
        """All that was missed, as a list of entries."""
        own = client or self.connect()
        request, found, more = self.ask(own), [], True
        while more:
            page = self.take(own, request)
            if page:
                found += page[0]
                more = page[1]
        if not client:
            own.disconnect()
        return found

    def heard(self, client=None):
        """The same as short words: the text of what was said, 'leaf' of the rest, '-<family>/<id>' for what is to be forgotten."""
        return [word(entry) for entry in self.sync(client)]


def word(entry):
    if "gone" in entry:
        return "-" + entry["gone"].split("/", 3)[3]
    leaf = entry["topic"].rsplit("/", 1)[1]
    return entry["payload"].get("text") or entry["payload"].get("action") or leaf


def named(name):
    """Somebody no other test knows."""
    return f"{name}-{m.uuid7()[-6:]}"


def person(site, name, *roles, org="acme"):
    """Somebody Mayday has met under these roles."""
    who = named(name)
    site.rows("INSERT INTO mayday.person (org, person, roles) VALUES (%s, %s, %s) ON CONFLICT (org, person) DO UPDATE SET roles = excluded.roles",
              [org, who, list(roles or ["member"])])
    return Phone(site, who, roles or ("member",), org)


def say(site, phone, family, id_, leaf, message, org="acme"):
    with site.client(phone.sub, phone.roles, org=org, client_id=f"{phone.sub}:say{m.uuid7()[-6:]}", version=5) as c:
        assert c.publish(m.topic(family, id_, leaf, org), m.dump(message)) == 0
    return message


def stored(site, table, message):
    site.wait_rows(f"SELECT count(*) FROM mayday.{table} WHERE id = %s", [(1,)], [message["id"]])
    return message


def opens(site, phone):
    """An incident of theirs, in the database, of which nothing happens by itself: it is notified already, and nobody escalates it."""
    alert = m.uuid7()
    stored(site, "raise", say(site, phone, "alert", alert, "raise", m.raise_()))
    site.rows("UPDATE mayday.alert SET notified_at = now() WHERE id = %s AND notified_at IS NULL", [alert])
    site.rows("UPDATE mayday.escalation SET status = 'ended', due_at = NULL WHERE alert = %s", [alert])
    return alert


def belongs(site, family, id_, phone, relation, until=None):
    site.rows("INSERT INTO mayday.membership (org, family, id, person, relation, until) VALUES (%s, %s, %s, %s, %s, %s) "
              "ON CONFLICT (org, family, id, person) DO UPDATE SET relation = excluded.relation, until = excluded.until",
              [phone.org, family, id_, phone.sub, relation, until])


def leaves(site, family, id_, phone):
    site.rows("UPDATE mayday.membership SET until = now() WHERE org = %s AND family = %s AND id = %s AND person = %s",
              [phone.org, family, id_, phone.sub])


def begun(site):
    """A connection whose statements are one transaction."""
    connection = site.postgres.server.connect("postgres", site.postgres.name)
    connection.autocommit = False
    return connection


def chats(site, family, id_, texts, org="acme", sender="ben", connection=None):
    """Chat as a broker's writer stores it: rows and their place in the feed, in one transaction."""
    column = "room" if family == "room" else "alert"
    rows = [(m.uuid7(), m.moment(), org, sender, id_, text) for text in texts]
    own = connection or begun(site)
    with own.cursor() as cursor:
        for id_, at, *rest in rows:
            cursor.execute(f"INSERT INTO mayday.chat (id, at, received_at, digest, org, sender, node, offline, {column}, text) "
                           "VALUES (%s, %s, clock_timestamp(), 1, %s, %s, 'x', false, %s, %s)", [id_, at, *rest])
        cursor.execute("SELECT mayday.feed_rows('chat', %s::uuid[])", [[row[0] for row in rows]])
    if not connection:
        own.commit()
        own.close()
