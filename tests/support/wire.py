"""A small synchronous MQTT client that shows every packet: what a test needs to see reason codes, refusals, closed connections and
PUBACKs in the order they happen. Speaks 3.1.1 (version=4) and 5 (version=5). Not for production; real clients of other makers are tested
beside it."""
import os
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15

TIMEOUT = float(os.environ.get("MAYDAY_TEST_TIMEOUT", "20"))


class Closed(Exception):
    """The broker closed the connection."""


class Refused(Exception):
    """CONNACK with a return code that is not 0."""

    def __init__(self, code):
        super().__init__(f"CONNACK {code:#x}")
        self.code = code


@dataclass
class Packet:
    kind: int
    flags: int
    body: bytes
    topic: str = ""
    payload: bytes = b""
    packet_id: int = 0
    reason: int = 0
    reasons: list = field(default_factory=list)
    properties: bytes = b""  # of a PUBLISH in MQTT 5


def varint(n):
    out = bytearray()
    while True:
        n, digit = n >> 7, n & 0x7F
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def string(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(raw)) + raw


class Client:
    """Connects at once; raises Refused or Closed when that fails."""

    def __init__(self, port, client_id, password=None, *, username="u", version=4, clean=True, expiry=None, will=None,
                 auth=None, keepalive=60, host="127.0.0.1"):
        self.version, self.client_id = version, client_id
        self.sock = socket.create_connection((host, port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.inbox, self.next_id = b"", deque(), 0
        self.session_present = False
        self._connect(password, username, clean, expiry, will, auth, keepalive)

    def _connect(self, password, username, clean, expiry, will, auth, keepalive):
        flags, payload = (2 if clean else 0), string(self.client_id)
        if will:
            topic, message, qos = will
            flags |= 4 | qos << 3
            if self.version == 5:
                payload += varint(0)
            payload += string(topic) + string(message)
        if username is not None and not auth:
            flags |= 0x80
            payload += string(username)
        if password is not None:
            flags |= 0x40
            payload += string(password)
        head = string("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keepalive)
        if self.version == 5:
            properties = b""
            if expiry is not None:
                properties += b"\x11" + struct.pack(">I", expiry)
            if auth:
                properties += b"\x15" + string("JWT") + b"\x16" + string(auth)
            head += varint(len(properties)) + properties
        self._send(CONNECT, 0, head + payload)
        answer = self.take(CONNACK)
        self.session_present = bool(answer.body[0] & 1)
        if answer.reason:
            self.close()
            raise Refused(answer.reason)

    def _send(self, kind, flags, body):
        try:
            self.sock.sendall(bytes([kind << 4 | flags]) + varint(len(body)) + body)
        except OSError as e:
            raise Closed(str(e)) from e

    def _fill(self, deadline):
        self.sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            chunk = self.sock.recv(65536)
        except socket.timeout:
            raise TimeoutError("nothing came from the broker in time") from None
        except OSError as e:
            raise Closed(str(e)) from e
        if not chunk:
            raise Closed("end of stream")
        self.buffer += chunk

    def _read(self, deadline):
        while True:
            packet = self._cut()
            if packet:
                return packet
            self._fill(deadline)

    def _cut(self):
        length, shift, at = 0, 0, 1
        while True:
            if len(self.buffer) <= at:
                return None
            byte = self.buffer[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                break
        if len(self.buffer) < at + length:
            return None
        head, body = self.buffer[0], self.buffer[at:at + length]
        self.buffer = self.buffer[at + length:]
        return self._parse(Packet(head >> 4, head & 15, body))

    def _parse(self, p):
        if p.kind == CONNACK:
            p.reason = p.body[1]
        elif p.kind == PUBLISH:
            size = struct.unpack(">H", p.body[:2])[0]
            p.topic, at = p.body[2:2 + size].decode(), 2 + size
            if p.flags >> 1 & 3:
                p.packet_id, at = struct.unpack(">H", p.body[at:at + 2])[0], at + 2
            if self.version == 5:
                length, shift = 0, 0
                while True:
                    byte = p.body[at]
                    length, shift, at = length | (byte & 0x7F) << shift, shift + 7, at + 1
                    if not byte & 0x80:
                        break
                p.properties, at = p.body[at:at + length], at + length
            p.payload = p.body[at:]
        elif p.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            p.packet_id = struct.unpack(">H", p.body[:2])[0]
            p.reason = p.body[2] if len(p.body) > 2 else 0
        elif p.kind == SUBACK:
            p.packet_id = struct.unpack(">H", p.body[:2])[0]
            at = 2 + (1 + p.body[2] if self.version == 5 else 0)
            p.reasons = list(p.body[at:])
        elif p.kind in (DISCONNECT, AUTH):
            p.reason = p.body[0] if p.body else 0
        return p

    def take(self, kind, timeout=None):
        """The next packet of that kind; deliveries that come before it are kept, and acknowledged."""
        deadline = time.monotonic() + (timeout or TIMEOUT)
        if kind == PUBLISH and self.inbox:
            return self.inbox.popleft()
        while True:
            p = self._read(deadline)
            if p.kind == PUBLISH:
                if p.flags >> 1 & 3 == 1:
                    self._send(PUBACK, 0, struct.pack(">H", p.packet_id))
                if kind == PUBLISH:
                    return p
                self.inbox.append(p)
            elif p.kind == kind:
                return p
            elif p.kind == DISCONNECT:
                raise Closed(f"DISCONNECT {p.reason:#x}")

    def _fresh_id(self):
        self.next_id = self.next_id % 65535 + 1
        return self.next_id

    def send_publish(self, topic, payload, qos=1, retain=False, properties=b""):
        """Sends without waiting; the packet id. `properties`: of MQTT 5."""
        packet_id = self._fresh_id() if qos else 0
        raw = payload.encode() if isinstance(payload, str) else payload
        body = string(topic) + (struct.pack(">H", packet_id) if qos else b"") + (varint(len(properties)) + properties if self.version == 5 else b"") + raw
        self._send(PUBLISH, qos << 1 | retain, body)
        return packet_id

    def publish(self, topic, payload, retain=False):
        """QoS 1; the reason code of the PUBACK."""
        packet_id = self.send_publish(topic, payload, 1, retain)
        answer = self.take(PUBACK)
        assert answer.packet_id == packet_id
        return 0 if answer.reason == 0x10 else answer.reason  # MQTT 5: nobody subscribes, which is no refusal

    def subscribe(self, *filters, qos=1):
        """The granted QoS or failure code of each."""
        properties = b"\0" if self.version == 5 else b""
        self._send(SUBSCRIBE, 2, struct.pack(">H", self._fresh_id()) + properties + b"".join(string(f) + bytes([qos]) for f in filters))
        return self.take(SUBACK).reasons

    def receive(self, timeout=None):
        return self.take(PUBLISH, timeout)

    def receives_nothing(self):
        """True when everything the broker had for us before now was nothing: a PING's answer comes after it."""
        self._send(PINGREQ, 0, b"")
        self.take(PINGRESP)
        return not self.inbox

    def renew(self, token):
        """MQTT 5 re-authentication; the reason code of the answer."""
        properties = b"\x15" + string("JWT") + b"\x16" + string(token)
        self._send(AUTH, 0, b"\x19" + varint(len(properties)) + properties)
        return self.take(AUTH).reason

    def is_closed(self, timeout=None):
        """Waits until the broker closes."""
        deadline = time.monotonic() + (timeout or TIMEOUT)
        try:
            while True:
                self._read(deadline)
        except Closed:
            return True
        except TimeoutError:
            return False

    def disconnect(self):
        self._send(DISCONNECT, 0, b"")
        self.close()

    def close(self):
        self.sock.close()

    def vanish(self):
        """Resets the connection, so that the broker publishes the Will."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
