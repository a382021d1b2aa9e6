#!/usr/bin/python3
"""A phone with a panic button, on Mayday: the whole of a client, in one file to read. Needs paho-mqtt 1.6 (Debian's python3-paho-mqtt).

    TOKEN=... phone.py --store phone.db [--host 127.0.0.1] [--port 1883]

It reads commands, one a line:
    raise TYPE [TEXT]      panic, medical, security, fire, general
    chat TEXT              to the incident it raised last
    cancel [PIN]
    at LAT LON             says where it is: to the incident while there is one, else to its own topic
    quit
and prints what it learns, one line each. What was typed while there was no connection, or while the phone was switched off, is sent later:
nothing leaves the store before the broker has acknowledged it."""
import argparse
import base64
import json
import os
import queue
import secrets
import sqlite3
import sys
import threading
import time
from datetime import datetime, timezone

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def uuid7():
    """RFC 9562: 48 bits of milliseconds, then chance. Mayday's ids are these, in lower case."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + secrets.token_bytes(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """What must outlive a phone that is switched off: messages the broker has not acknowledged, and the sync cursor."""

    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS waiting (id TEXT PRIMARY KEY, topic TEXT, payload TEXT)")
        self.db.execute("CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT)")

    def keep(self, topic, message):
        with self.db:
            self.db.execute("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?)", (message["id"], topic, json.dumps(message)))

    def waiting(self):
        return self.db.execute("SELECT id, topic, payload FROM waiting ORDER BY topic NOT LIKE '%/raise', id").fetchall()  # alarms first

    def acknowledged(self, id_):
        with self.db:
            self.db.execute("DELETE FROM waiting WHERE id = ?", (id_,))

    def note(self, name, value=None):
        if value is not None:
            with self.db:
                self.db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))
        row = self.db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return row and row[0]


class Phone:
    def __init__(self, token, store, host, port):
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))  # to know our own name; the broker verifies
        self.me, self.root = claims["sub"], f"mayday/v1/{claims['org']}/"
        self.store, self.events, self.flying, self.seen = store, queue.Queue(), {}, set()
        self.up = False
        # A durable session: the broker queues for us while the token is valid. Sync is for all that it could not.
        self.client = mqtt.Client(client_id=f"{self.me}/phone", protocol=mqtt.MQTTv5)
        self.client.username_pw_set(self.me, token)
        self.client.on_connect = lambda *a: self.events.put(("up", a[3].value))
        self.client.on_disconnect = lambda *a: self.events.put(("down", None))
        self.client.on_publish = lambda _client, _data, packet: self.events.put(("acknowledged", packet))
        self.client.on_message = lambda _client, _data, message: self.events.put(("message", message))
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 7 * 86400
        self.client.reconnect_delay_set(min_delay=1, max_delay=5)  # Paho's own goes up to two minutes
        self.client.connect_async(host, port, keepalive=20, clean_start=False, properties=session)
        self.client.loop_start()

    # ---- saying something

    def say(self, topic, **members):
        message = {"v": 1, "id": uuid7(), "ts": now(), **members}
        if not self.up:
            message["offline"] = True  # it will have waited on the device
        self.store.keep(self.root + topic, message)
        if not self.up:
            print(f"kept {topic.split('/')[-1]}", flush=True)
        self.flush()
        return message["id"]

    def flush(self):
        """Sends what waits and is not under way. The same id twice does no harm, so when in doubt: again."""
        if not self.up:
            return
        for id_, topic, payload in self.store.waiting():
            if id_ not in self.flying.values():
                self.flying[self.client.publish(topic, payload, qos=1).mid] = id_

    # ---- hearing something

    def connected(self, reason):
        if reason != 0:
            return print(f"refused {reason}", flush=True)
        self.up, self.flying = True, {}
        mine = self.root + f"user/{self.me}/"
        self.client.subscribe([(f, 1) for f in (mine + "check", mine + "inbox", mine + "rejected", self.root + "alert/+/state",
                                                self.root + "alert/+/chat", self.root + "alert/+/action")])
        print("connected", flush=True)
        self.flush()
        self.catch_up()

    def catch_up(self):
        cursor = self.store.note("cursor")
        self.asked = self.say(f"user/{self.me}/sync", **({"cursor": cursor} if cursor else {}))

    def arrived(self, topic, payload, sender=None):
        if not payload:
            return print(f"gone {topic}", flush=True)
        message = json.loads(payload) if isinstance(payload, (bytes, str)) else payload
        if topic.endswith("/inbox") and message.get("kind") == "sync":
            return self.page(message)
        leaf = topic.split("/")[-1]
        if leaf not in ("state", "rejected"):
            if message["id"] in self.seen:  # live, queued and synced copies are one message
                return None
            self.seen.add(message["id"])
        if leaf == "state":
            print(f"state {message['version']} {message['status']} {' '.join(sorted(message.get('receipts', {})))}", flush=True)
        elif leaf == "check":
            self.say(f"user/{self.me}/receipt", of=[message["id"]], mark="delivered")
            print(f"check {message.get('text', '')}", flush=True)
            self.say(f"user/{self.me}/reply", check=message["id"], answer="ok")
        elif leaf == "rejected":
            print(f"rejected {message['code']} {message.get('detail', '')}", flush=True)
        elif leaf == "chat":
            print(f"chat {message.get('text', '')}", flush=True)
            if sender != self.me and message["id"] not in self.mine():
                self.say("/".join(topic.split("/")[3:5]) + "/receipt", of=[message["id"]], mark="delivered")
        else:
            print(f"{leaf} {message.get('action') or message.get('text') or ''}", flush=True)
        return None

    def mine(self):
        return set((self.store.note("said") or "").split())

    def page(self, page):
        """A page of what was missed. Its cursor is worth keeping once all of the page is dealt with."""
        if not page.get("reset") and page.get("after") != self.store.note("cursor"):
            if page["request"] == self.asked and not page["more"]:
                self.catch_up()  # one of ours got lost
            return  # otherwise another device of ours has asked
        for entry in page["messages"]:
            if "gone" in entry:
                print(f"gone {entry['gone']}", flush=True)
            else:
                self.arrived(entry["topic"], entry["payload"], entry.get("sender"))
        self.store.note("cursor", page["cursor"])
        if not page["more"]:
            print("caught up", flush=True)

    # ---- commands

    def command(self, line):
        word, _, rest = line.strip().partition(" ")
        alert = self.store.note("alert")
        if word == "raise":
            kind, _, text = rest.partition(" ")
            alert = self.store.note("alert", uuid7())  # made here: it works without a connection
            self.say(f"alert/{alert}/raise", type=kind or "panic", **({"text": text} if text else {}))
            print(f"alert {alert}", flush=True)
        elif word == "chat" and alert:
            said = self.say(f"alert/{alert}/chat", text=rest)
            self.store.note("said", " ".join([*self.mine(), said]))
        elif word == "cancel" and alert:
            self.say(f"alert/{alert}/action", action="cancel", **({"pin": rest} if rest else {}))
        elif word == "at":
            lat, lon = map(float, rest.split())
            self.say(f"alert/{alert}/location" if alert else f"user/{self.me}/location", lat=lat, lon=lon)
        elif word:
            print(f"unknown command: {word}", flush=True)

    def run(self, commands):
        def read():
            for line in commands:
                self.events.put(("command", line))
            self.events.put(("command", "quit"))

        threading.Thread(target=read, daemon=True).start()
        while True:
            what, about = self.events.get()
            if what == "command" and about.strip() == "quit":
                break
            if what == "command":
                self.command(about)
            elif what == "up":
                self.connected(about)
            elif what == "down":
                self.up = False
                print("disconnected", flush=True)
            elif what == "acknowledged":
                self.store.acknowledged(self.flying.pop(about, None))
            else:
                self.arrived(about.topic, about.payload)
        self.client.disconnect()
        self.client.loop_stop()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="A phone with a panic button, on Mayday")
    arguments.add_argument("--store", required=True)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=1883)
    given = arguments.parse_args()
    Phone(os.environ["TOKEN"], Store(given.store), given.host, given.port).run(sys.stdin)
