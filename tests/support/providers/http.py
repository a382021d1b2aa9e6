"""HTTP/1.1, both ends, on one asyncio loop: a server made for many small requests, and a client that carries webhooks.

Python's http.server takes about 1,500 requests a second with threads; this takes several times that, and can do with a connection what
a test wants."""
import asyncio
import socket
import struct
import urllib.parse
from dataclasses import dataclass, field

WORDS = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
         405: "Method Not Allowed", 422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error",
         502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
HEAD_MAX, BODY_MAX = 32 << 10, 1 << 20


@dataclass
class Request:
    method: str
    target: str
    headers: dict  # names in small letters
    body: bytes
    path: str = ""
    query: list = field(default_factory=list)  # (name, value), decoded

    def __post_init__(self):
        self.path, _, query = self.target.partition("?")
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)

    def form(self):
        return urllib.parse.parse_qsl(self.body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(self.body), errors="strict")


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: dict = field(default_factory=dict)
    wait: float = 0  # seconds before it is given
    cut: bool = False  # instead of it the connection is reset
    never: bool = False  # instead of it there is silence
    claim: int = 0  # a Content-Length that is not the body's: the connection ends early
    after: object = None  # called once it was given (or not)

    def raw(self):
        head = [f"HTTP/1.1 {self.status} {WORDS.get(self.status, 'Unknown')}", f"Content-Type: {self.type}",
                f"Content-Length: {self.claim or len(self.body)}", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + self.body


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other."""

    def __init__(self, handle, faults, open_):
        self.handle, self.faults, self.open, self.data, self.busy = handle, faults, open_, b"", False

    def connection_made(self, transport):
        self.transport = transport
        self.open.add(self)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, _):
        self.open.discard(self)

    def data_received(self, data):
        self.data += data
        if not self.busy:
            self.next()

    def next(self):
        while not self.busy and not self.transport.is_closing():
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                if len(self.data) > HEAD_MAX:
                    self.refuse("the head is endless")
                return
            lines = self.data[:end].decode("latin-1").split("\r\n")
            headers, words = {}, lines[0].split(" ")
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                if not colon or name != name.strip():
                    return self.refuse(f"no header: {line!r}")
                headers[name.lower()] = value.strip()
            if len(words) != 3 or not words[2].startswith("HTTP/1."):
                return self.refuse(f"no request: {lines[0]!r}")
            if "transfer-encoding" in headers:
                return self.refuse("chunked bodies are not taken")
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > BODY_MAX:
                return self.refuse(f"Content-Length: {length}")
            if headers.get("expect", "").lower() == "100-continue" and len(self.data) == end + 4 and int(length):
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                headers.pop("expect")
            if len(self.data) < end + 4 + int(length):
                return
            body = self.data[end + 4:end + 4 + int(length)]
            self.data = self.data[end + 4 + int(length):]
            self.busy = True
            self.answer(self.handle(Request(words[0], words[1], headers, body)), headers)

    def refuse(self, why):
        self.faults(f"HTTP: {why}")
        self.transport.write(Answer(400, b"", "text/plain", {"Connection": "close"}).raw())
        self.transport.close()

    def answer(self, answer, headers):
        if answer.wait:
            asyncio.get_running_loop().call_later(answer.wait, self.give, answer, headers)
        else:
            self.give(answer, headers)

    def give(self, answer, headers):
        if answer.never:
            pass  # and `busy` stays: nothing more is heard on this connection
        elif answer.cut:
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(answer.raw())
            if answer.claim or headers.get("connection", "").lower() == "close":
                self.transport.close()
        if answer.after:
            answer.after()
        if not answer.never:
            self.busy = False
            if self.data:
                self.next()


class Unreachable(Exception):
    """No route leads there, or nobody listens."""


class Carrier:
    """Carries requests to where an address leads: routes name the hosts and ports behind a public address; the first that takes a
    connection gets the request, as with a load balancer."""

    def __init__(self, routes, context=None):
        self.routes, self.context, self.idle = routes, context, {}

    def places(self, url):
        base = "/".join(url.split("/")[:3])
        if self.routes.get(base):
            return self.routes[base]
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"):
            return [(parts.hostname, parts.port)]
        raise Unreachable(f"no route leads to {base}")

    async def send(self, method, url, headers, body, timeout=15):
        """(status, headers, body)."""
        fault = Unreachable(f"nobody listens behind {url}")
        for place in self.places(url):
            for fresh in (False, True):
                pool = self.idle.setdefault(place, [])
                if not fresh and not pool:
                    continue
                try:
                    reader, writer = await asyncio.open_connection(*place) if fresh else pool.pop()
                except OSError:
                    break  # the next place
                try:
                    got = await asyncio.wait_for(self.exchange(reader, writer, method, url, headers, body), timeout)
                    if got[1].get("connection", "").lower() == "close":
                        writer.close()
                    else:
                        pool.append((reader, writer))
                    return got
                except (OSError, asyncio.IncompleteReadError, ValueError) as why:
                    writer.close()
                    fault = Unreachable(f"the connection broke: {why!r}")
                    if fresh:
                        raise fault from why
                except asyncio.TimeoutError:
                    writer.close()
                    raise
        raise fault

    async def exchange(self, reader, writer, method, url, headers, body):
        parts = urllib.parse.urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        head = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
        if body or method == "POST":
            head.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, found = int(lines[0].split(" ")[1]), {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            found[name.strip().lower()] = value.strip()
        if status == 204:
            return status, found, b""
        return status, found, await reader.readexactly(int(found.get("content-length", "0")))

    def close(self):
        for pool in self.idle.values():
            for _, writer in pool:
                writer.close()
        self.idle.clear()
