"""`mayday keys` and `mayday token`, as a person or a script uses them."""

import base64
import json
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MAYDAY_BIN_DIR", REPO / "build" / "debug" / "bin"))

TYPES = {"ec": "ES256", "rsa": "RS256", "ed25519": "EdDSA", "hmac": "HS256"}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


class Tool:
    """The tool with a configuration of its own."""

    def __init__(self, folder, settings=""):
        self.folder = folder
        self.conf = folder / "mayday.conf"
        self.public = folder / "keys.json"
        self.private = folder / "signing-keys.json"
        self.conf.write_text(f"[token]\nkeys_file = {self.public}\n{settings}")

    def __call__(self, *args, stdin="", code=0):
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        command = [BIN / "mayday", "--config", self.conf, *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done

    def keys(self):
        return json.loads(self("keys", "list", "--json").stdout)

    def mint(self, *args):
        return self("token", "--sub", "ada", "--org", "north", "--role", "member", *args).stdout.strip()

    def inspect(self, token, code=0):
        return json.loads(self("token", "inspect", "--json", stdin=token, code=code).stdout)


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind, alg", TYPES.items())
def test_a_new_key_signs_what_the_broker_would_take(tool, kind, alg):
    tool("keys", "new", "--type", kind)
    assert [(k["alg"], k["duty"]) for k in tool.keys()] == [(alg, "signs")]
    seen = tool.inspect(tool.mint())
    assert seen["accepted"] and seen["header"]["alg"] == alg
    assert seen["claims"]["sub"] == "ada" and seen["claims"]["roles"] == ["member"]


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_only_the_private_file_holds_private_members(tool, kind):
    tool("keys", "new", "--type", kind)
    assert not PRIVATE_MEMBERS & set(json.loads(tool.public.read_text())["keys"][0])
    assert PRIVATE_MEMBERS & set(json.loads(tool.private.read_text())["keys"][0])
    assert mode_of(tool.private) == 0o600
    assert mode_of(tool.public) == 0o644
    assert sorted(p.name for p in tool.folder.iterdir()) == ["keys.json", "mayday.conf", "signing-keys.json"]


def test_a_shared_secret_is_closed_to_others_and_never_exported(tool):
    tool("keys", "new", "--type", "ec")
    done = tool("keys", "rotate", "--type", "hmac")
    assert "shared secret" in done.stderr
    assert mode_of(tool.public) & 0o007 == 0
    exported = json.loads(tool("keys", "export").stdout)["keys"]
    assert [k["kty"] for k in exported] == ["EC"]


def test_a_second_new_refuses_and_changes_nothing(tool):
    tool("keys", "new", "--type", "ec")
    before = tool.private.read_bytes(), tool.public.read_bytes()
    assert "rotate" in tool("keys", "new", "--type", "ec", code=1).stderr
    assert before == (tool.private.read_bytes(), tool.public.read_bytes())


def test_rotation_keeps_old_tokens_valid_until_the_key_is_dropped(tool):
    tool("keys", "new", "--type", "ed25519")
    old = tool.mint()
    old_kid = tool.keys()[0]["kid"]
    tool("keys", "rotate")
    assert [(k["alg"], k["duty"]) for k in tool.keys()] == [("EdDSA", "retired"), ("EdDSA", "signs")]
    new = tool.mint()
    new_kid = tool.inspect(new)["header"]["kid"]
    assert new_kid != old_kid and tool.inspect(old)["accepted"]
    assert tool.inspect(tool.mint("--kid", old_kid))["header"]["kid"] == old_kid
    assert "rotate first" in tool("keys", "rotate", "--drop", new_kid, code=1).stderr
    tool("keys", "rotate", "--drop", old_kid)
    assert tool.inspect(old, code=1)["verdict"] == "unknown-key"
    assert tool.inspect(new)["accepted"]
    assert old_kid not in tool.private.read_text()
    tool("keys", "rotate", "--drop", old_kid, code=1)


def test_keys_of_another_issuer_stay(tool):
    (tool.folder / "other").mkdir()
    other = Tool(tool.folder / "other")
    other("keys", "new", "--type", "ec")
    theirs = other.mint()
    tool.public.write_text(other("keys", "export").stdout)
    tool("keys", "new", "--type", "ec")
    assert [k["duty"] for k in tool.keys()] == ["verifies", "signs"]
    assert tool.inspect(theirs)["accepted"]


def test_a_set_that_the_broker_would_refuse_is_not_written(tool):
    nameless = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    tool.public.write_text(json.dumps({"keys": [nameless]}))
    before = tool.public.read_bytes()
    assert "no 'kid'" in tool("keys", "new", "--type", "ec", code=1).stderr
    assert tool.public.read_bytes() == before and not tool.private.exists()


def test_a_damaged_key_file_is_named(tool):
    tool.public.write_text('{"keys":[')
    for action in (["new", "--type", "ec"], ["list"], ["export"]):
        assert "keys.json: malformed JSON" in tool("keys", *action, code=1).stderr


def test_a_token_takes_the_shape_that_the_configuration_asks_for(tmp_path):
    tool = Tool(
        tmp_path,
        "issuer = https://login.example\naudience = mayday\nauthorized_parties = app desk\n"
        "claim_org = o.id org_id\nclaim_roles = o.rol\nrequired_claims = jti email\n",
    )
    tool("keys", "new", "--alg", "PS256", "--bits", "2048")
    token = tool.mint("--role", "officer", "--claim", "email=a@b.example", "--claim", "n=[1,2]", "--ttl", "2m")
    payload = tool.inspect(token)["payload"]
    assert payload["o"] == {"id": "north", "rol": ["member", "officer"]}
    assert (payload["iss"], payload["aud"], payload["azp"]) == ("https://login.example", "mayday", "app")
    assert payload["exp"] - payload["iat"] == 120 and payload["n"] == [1, 2]
    refused = tool("token", "--sub", "ada", "--org", "north", "--role", "member")
    assert "would refuse the token: missing-claim" in refused.stderr
    assert tool.inspect(refused.stdout, code=1)["verdict"] == "missing-claim"


def test_inspect_says_why_a_token_is_refused(tool):
    tool("keys", "new", "--type", "ec")
    good = tool.mint()
    header, payload, signature = good.split(".")
    eve = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    eve["sub"] = "eve"
    forged = base64.urlsafe_b64encode(json.dumps(eve).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    past = str(int(time.time()) - 3600)
    rows = [
        (f"{header}.{forged}.{signature}", "bad-signature"),
        (f"{none}.{payload}.", "wrong-algorithm"),
        ("nonsense", "malformed"),
        ("x" * 9000, "too-long"),
        (tool.mint("--claim", f"exp={past}"), "expired"),
        (tool.mint("--claim", "nbf=99999999999"), "not-yet-valid"),
        (tool.mint("--claim", "org=a/b"), "bad-claim"),
        (tool.mint("--claim", "sub=#"), "bad-claim"),
    ]
    for token, verdict in rows:
        assert tool.inspect(token, code=1)["verdict"] == verdict
    assert "verdict: accepted" in tool("token", "inspect", good).stdout
    assert "verdict: accepted" in tool("token", "inspect", "-", stdin=good + "\n").stdout


def test_a_private_key_never_reaches_the_terminal(tool):
    tool("keys", "new", "--type", "ec")
    secret = json.loads(tool.private.read_text())["keys"][0]["d"]
    runs = [("keys", "rotate"), ("keys", "list"), ("keys", "list", "--json"), ("keys", "export")]
    runs.append(("token", "--sub", "ada", "--org", "north", "--role", "member"))
    for args in runs:
        done = tool(*args)
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "args, says",
    [
        (["keys"], "expected 'new'"),
        (["keys", "burn"], "no 'keys burn'"),
        (["keys", "new"], "--type or --alg"),
        (["keys", "new", "--typ3", "ec"], "--typ3"),
        (["keys", "new", "--type"], "--type"),
        (["keys", "new", "--type", "dsa"], "dsa"),
        (["keys", "new", "--alg", "none"], "none"),
        (["keys", "new", "--type", "ec", "--alg", "RS256"], "does not fit"),
        (["keys", "new", "--type", "rsa", "--bits", "1024"], "--bits"),
        (["keys", "new", "--type", "ec", "--bits", "2048"], "--bits"),
        (["keys", "list", "extra"], "extra"),
        (["token"], "--sub, --org"),
        (["token", "--sub", "a", "--org", "b"], "--role"),
        (["token", "--nope"], "--nope"),
        (["token", "--sub", "a", "--org", "b", "--role", "c", "--ttl", "soon"], "--ttl"),
        (["token", "--sub", "a", "--org", "b", "--role", "c", "--ttl", "0"], "--ttl"),
        (["token", "--sub", "a", "--org", "b", "--role", "c", "--claim", "x"], "--claim"),
        (["token", "--sub", "a", "--org", "b", "--role", "c", "--claim", "exp=null"], "null"),
        (["token", "inspect", "a", "b"], "one token"),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(tool, args, says):
    done = tool(*args, code=2)
    assert says in done.stderr and done.stdout == ""


def test_what_is_missing_is_named(tool):
    assert str(tool.public) in tool("keys", "list", code=1).stderr
    done = tool("token", "--sub", "a", "--org", "b", "--role", "c", code=1)
    assert str(tool.private) in done.stderr and "keys new" in done.stderr
    assert str(tool.public) in tool("token", "inspect", stdin="x", code=1).stderr
    tool("keys", "new", "--type", "ec")
    assert "nobody" in tool("token", "--sub", "a", "--org", "b", "--role", "c", "--kid", "nobody", code=1).stderr
    elsewhere = tool.folder / "no" / "keys.json"
    assert str(elsewhere) in tool("keys", "new", "--type", "ec", "--public", elsewhere, code=1).stderr


@pytest.mark.parametrize("args", ["keys --help", "keys new --help", "token --help", "token inspect -h"])
def test_help_is_complete(tool, args):
    out = tool(*args.split()).stdout
    assert out.startswith("Usage: mayday " + args.split()[0]) and "Exit codes" in out


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "RS256", "RS512", "PS256", "PS384", "EdDSA", "HS256", "HS512"])
def test_another_implementation_agrees(tool, alg):
    jwt = pytest.importorskip("jwt", reason="python3-jwt is not installed")
    tool("keys", "new", "--alg", alg)
    ours = json.loads(tool.public.read_text())["keys"][0]
    assert jwt.decode(tool.mint(), jwt.PyJWK(ours).key, algorithms=[alg])["sub"] == "ada"
    private = json.loads(tool.private.read_text())["keys"][0]
    payload = {"sub": "eve", "org": "north", "exp": int(time.time()) + 60}
    theirs = jwt.encode(payload, jwt.PyJWK(private).key, algorithm=alg, headers={"kid": ours["kid"]})
    assert tool.inspect(theirs)["claims"]["sub"] == "eve"
