"""A small honest handler of receipts, a reference of tools/bench: verifies the provider's signature, stores the receipt straight into the
database, and answers when that is committed. A thread and a connection to the database for each client.

    receiver.py CONNINFO TOKEN PUBLIC_URL

It makes the table plain.receipt, says its port, and ends with stdin."""
import hmac
import os
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from support.providers import signing  # noqa: E402

MAKE = """CREATE SCHEMA IF NOT EXISTS plain;
          CREATE TABLE IF NOT EXISTS plain.receipt (notification uuid, reference text PRIMARY KEY, status text, at timestamptz DEFAULT now())"""
STORE = "INSERT INTO plain.receipt (notification, reference, status) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


def connect(conninfo):
    database = psycopg2.connect(conninfo)
    database.autocommit = True
    return database.cursor()


def handler(conninfo, token, public_url):
    class Receipts(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self):
            super().setup()
            self.cursor = connect(conninfo)

        def finish(self):
            self.cursor.connection.close()
            super().finish()

        def do_POST(self):
            pairs = urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            good = hmac.compare_digest(signing.twilio(token, public_url + self.path, pairs), self.headers["X-Twilio-Signature"] or "")
            if good:
                said, query = dict(pairs), dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
                self.cursor.execute(STORE, [query["n"], said["MessageSid"], said["MessageStatus"]])
            self.send_response(204 if good else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Receipts


def main(conninfo, token, public_url):
    connect(conninfo).execute(MAKE)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(conninfo, token, public_url)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
