"""A small honest engine that polls, a reference of tools/bench: every so many seconds it asks the database whom nobody told yet, posts
a text for each to the provider, one after the other, and notes each as done.

    poller.py raises|texts CONNINFO SECONDS URL ACCOUNT TOKEN NUMBER

`raises`: of each incident, to NUMBER; it makes the table plain.told. `texts`: those in plain.text, which it makes, all that wait in one
batch. It says "ready", and ends with stdin. One connection to the database and one, kept, to the provider; it does nothing else: no
levels, no caps, nothing that survives a kill between post and note."""
import base64
import http.client
import select
import sys
import time
import urllib.parse

import psycopg2

MAKE = """CREATE SCHEMA IF NOT EXISTS plain;
          CREATE TABLE IF NOT EXISTS plain.told (alert uuid PRIMARY KEY);
          CREATE TABLE IF NOT EXISTS plain.text (id bigserial PRIMARY KEY, number text, body text, sent_at timestamptz)"""
# What is due, as (key, number, body), and what notes it done.
WORK = {
    "raises": ("""SELECT a.id::text, %(number)s, a.raised_by || ' needs help. poll:' || a.id
                  FROM mayday.alert a LEFT JOIN plain.told t ON t.alert = a.id
                  WHERE t.alert IS NULL AND a.closed_at IS NULL AND a.joined_to IS NULL ORDER BY a.received_at""",
               "INSERT INTO plain.told (alert) VALUES (%s)"),
    "texts": ("SELECT id, number, body FROM plain.text WHERE sent_at IS NULL ORDER BY id", "UPDATE plain.text SET sent_at = now() WHERE id = %s"),
}


def once(work, cursor, provider, path, headers, number):
    due, note = WORK[work]
    cursor.execute(due, {"number": number})
    for key, to, body in cursor.fetchall():
        form = urllib.parse.urlencode({"To": to, "From": "+27600100200", "Body": body})
        provider.request("POST", path, form, headers)
        answer = provider.getresponse()
        answer.read()
        if answer.status == 201:
            cursor.execute(note, [key])


def main(work, conninfo, seconds, url, account, token, number):
    database = psycopg2.connect(conninfo)
    database.autocommit = True
    cursor = database.cursor()
    cursor.execute(MAKE)
    provider = http.client.HTTPConnection(url.split("//")[1], timeout=20)
    headers = {"Content-Type": "application/x-www-form-urlencoded",
               "Authorization": "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()}
    print("ready", flush=True)
    due = time.monotonic() + float(seconds)
    while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
        once(work, cursor, provider, f"/2010-04-01/Accounts/{account}/Messages.json", headers, number)
        due += float(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
