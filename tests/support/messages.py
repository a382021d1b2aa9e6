"""Messages as devices make them, and tokens as an issuer makes them."""
import base64
import hashlib
import hmac
import json
import os
import time
from datetime import datetime, timezone

SECRET = hashlib.sha256(b"only for tests").digest()


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


JWK = {"kty": "oct", "kid": "test", "alg": "HS256", "k": b64(SECRET)}


def token(sub="ann", org="acme", roles=("member",), ttl=3600, *, header=None, secret=SECRET, drop=(), **claims):
    now = time.time()
    body = {"sub": sub, "org": org, "roles": list(roles), "iat": int(now), "exp": now + ttl, "jti": b64(os.urandom(9)), **claims}
    for name in drop:
        body.pop(name)
    head = {"alg": "HS256", "kid": "test", "typ": "JWT", **(header or {})}
    signed = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    return signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


def uuid7(at=None):
    ms = int((time.time() if at is None else at) * 1000)
    raw = bytearray(ms.to_bytes(6, "big") + os.urandom(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def moment(at=None):
    when = datetime.fromtimestamp(time.time() if at is None else at, timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def message(at=None, **members):
    return {"v": 1, "id": uuid7(at), "ts": moment(at), **members}


def location(**members):
    return message(**{"lat": -33.92, "lon": 18.42, "accuracy": 5.0, "source": "gps", **members})


def raise_(**members):
    return message(**{"type": "panic", **members})


def chat(text="hello", **members):
    return message(text=text, **members)


def dump(message_):
    return json.dumps(message_, ensure_ascii=False)


def topic(family, id_, leaf, org="acme"):
    return f"mayday/v1/{org}/{family}/{id_}/{leaf}"
