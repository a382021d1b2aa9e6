"""How providers sign what they send, and how Mayday signs what it posts. Each function follows the maker's document; the vectors in
tests/integration/test_simulator.py are theirs."""
import base64
import functools
import hashlib
import hmac
import json
import os
import time
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def twilio(token, url, pairs=()):
    """X-Twilio-Signature: of the address, then each name and value in the order of names; values of one name once each, in order."""
    grouped = {}
    for name, value in pairs:
        grouped.setdefault(name, set()).add(value)
    said = url + "".join(name + value for name in sorted(grouped) for value in sorted(grouped[name]))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def vonage_sig(secret, values):
    """The `sig` of the SMS API, HMAC-SHA256."""
    clean = {name: str(value).replace("&", "_").replace("=", "_") for name, value in values.items() if name != "sig"}
    said = "".join(f"&{name}={clean[name]}" for name in sorted(clean))
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()


def vonage_jwt(secret, body, api_key, application=None, at=None, **claims):
    """The bearer token of a signed webhook."""
    now = int(time.time() if at is None else at)
    said = {"iat": now, "exp": now + 300, "jti": str(uuid.uuid4()), "iss": "Vonage", "api_key": api_key,
            "payload_hash": hashlib.sha256(body).hexdigest(), **({"application_id": application} if application else {}), **claims}
    signed = b64url(json.dumps({"typ": "JWT", "alg": "HS256"}).encode()) + "." + b64url(json.dumps(said).encode())
    return signed + "." + b64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def mayday(secret, at, body):
    """v1 of X-Mayday-Signature."""
    return hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()


def mayday_fault(secret, header, body, now):
    """What is wrong with an X-Mayday-Signature, or None."""
    parts = [part.split("=", 1) for part in (header or "").split(",")]
    if [part[0] for part in parts] != ["t", "v1"] or any(len(part) != 2 for part in parts):
        return f"X-Mayday-Signature is not 't=...,v1=...': {header!r}"
    at, mac = parts[0][1], parts[1][1]
    if not at.isdigit() or abs(int(at) - now) > 300:
        return f"X-Mayday-Signature is of another time: t={at}"
    if not hmac.compare_digest(mac, mayday(secret, at, body)):
        return "X-Mayday-Signature does not fit the body"
    return None


def new_rsa():
    """(private key as PEM, public key)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), key.public_key()


def public_of(pem):
    return serialization.load_pem_private_key(pem.encode(), None).public_key()


@functools.lru_cache
def one_rsa():
    """The same for all of this process: making one takes half a second."""
    return new_rsa()


def rs256(pem, claims):
    """A token as an application makes it."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    signed = b64url(json.dumps({"typ": "JWT", "alg": "RS256"}).encode()) + "." + b64url(json.dumps(claims).encode())
    return signed + "." + b64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))


def application_fault(public, token, application, now):
    """What is wrong with the token of an application, or None."""
    try:
        head, body, mac = token.split(".")
        header, claims = json.loads(unb64url(head)), json.loads(unb64url(body))
        signature = unb64url(mac)
    except (ValueError, UnicodeDecodeError):
        return "the token is no JWT"
    if header.get("alg") != "RS256" or header.get("typ", "JWT") != "JWT":
        return f"the token's header is {header}"
    try:
        public.verify(signature, f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return "the token's signature is wrong"
    if claims.get("application_id") != application:
        return f"the token is for application {claims.get('application_id')!r}"
    iat, exp = claims.get("iat"), claims.get("exp")
    if not isinstance(iat, int) or isinstance(iat, bool) or not now - 86400 < iat < now + 30:
        return f"the token's iat is {iat!r}"
    if exp is not None and (not isinstance(exp, int) or exp <= now or exp > iat + 86400):
        return f"the token's exp is {exp!r}"
    if exp is None and now > iat + 900:
        return "the token has no exp and is older than 15 minutes"
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        return "the token has no jti"
    return None


def word(bytes_=8):
    return os.urandom(bytes_).hex()
