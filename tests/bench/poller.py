"""A small honest engine that polls, the reference of tools/bench for raise → request: every so many seconds it asks the database
which incidents nobody was told of, posts a text for each to the provider, and notes it done.

    poller.py CONNINFO SECONDS URL ACCOUNT TOKEN NUMBER

It makes the table plain.told, says "ready", and ends with stdin. One connection to the database and one, kept, to the provider; it
does nothing else: no levels, nothing that survives a kill between post and note."""
import base64
import http.client
import select
import sys
import time
import urllib.parse

import psycopg2

DUE = """SELECT a.id::text, a.raised_by FROM mayday.alert a LEFT JOIN plain.told t ON t.alert = a.id
         WHERE t.alert IS NULL AND a.closed_at IS NULL AND a.joined_to IS NULL ORDER BY a.received_at"""


def once(cursor, provider, path, headers, number):
    cursor.execute(DUE)
    for alert, who in cursor.fetchall():
        form = urllib.parse.urlencode({"To": number, "From": "+27600100200", "Body": f"{who} needs help. poll:{alert}"})
        provider.request("POST", path, form, headers)
        answer = provider.getresponse()
        answer.read()
        if answer.status == 201:
            cursor.execute("INSERT INTO plain.told (alert) VALUES (%s)", [alert])


def main(conninfo, seconds, url, account, token, number):
    database = psycopg2.connect(conninfo)
    database.autocommit = True
    cursor = database.cursor()
    cursor.execute("CREATE SCHEMA IF NOT EXISTS plain; CREATE TABLE IF NOT EXISTS plain.told (alert uuid PRIMARY KEY)")
    provider = http.client.HTTPConnection(url.split("//")[1], timeout=20)
    headers = {"Content-Type": "application/x-www-form-urlencoded",
               "Authorization": "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()}
    print("ready", flush=True)
    due = time.monotonic() + float(seconds)
    while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
        once(cursor, provider, f"/2010-04-01/Accounts/{account}/Messages.json", headers, number)
        due += float(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
