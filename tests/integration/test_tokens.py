"""Who gets in, who does not, and for how long."""
import base64
import json
import os
import subprocess
import time

import pytest

from support import messages as m
from support.site import BUILD, wait_until
from support.wire import Client, Closed, Refused


def tampered():
    head, body, signature = m.token("eve").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return ".".join([head, m.b64(json.dumps({**claims, "roles": ["admin"]}).encode()), signature])


BAD = {
    "tampered": tampered,
    "expired": lambda: m.token("eve", ttl=-60),
    "not yet valid": lambda: m.token("eve", nbf=int(time.time()) + 600),
    "unsigned": lambda: m.token("eve", header={"alg": "none"}).rsplit(".", 1)[0] + ".",
    "signed by somebody else": lambda: m.token("eve", secret=b"x" * 32),
    "another algorithm than its key's": lambda: m.token("eve", header={"alg": "HS512"}),
    "an unknown key": lambda: m.token("eve", header={"kid": "other"}),
    "without an organisation": lambda: m.token("eve", drop=["org"]),
    "without an expiry": lambda: m.token("eve", drop=["exp"]),
    "oversized": lambda: m.token("eve", padding="x" * 9000),
    "a subject with a wildcard": lambda: m.token("eve/#"),
    "an organisation with a slash": lambda: m.token("eve", "acme/x"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_bad_token_is_refused(site, what, enhanced):
    with pytest.raises(Refused):
        if enhanced:
            Client(site.port, "eve", version=5, auth=BAD[what]())
        else:
            Client(site.port, "eve", BAD[what]())


def test_audience_and_issuer_are_pinned_when_configured(own_site):
    with own_site(token__issuer="https://id.example", token__audience="mayday") as site:
        good = {"iss": "https://id.example", "aud": ["other", "mayday"]}
        site.client("ann", claims=good).disconnect()
        for wrong in ({**good, "aud": "other"}, {**good, "iss": "https://evil.example"}, {"iss": good["iss"]}):
            with pytest.raises(Refused):
                site.client("ann", claims=wrong)


def test_hosted_identity_providers_shapes_are_mapped(own_site):
    with own_site(token__claim_org="o.id org_id", token__claim_roles="o.rol org_role",
                  token__role_map="org:admin=admin", token__authorized_parties="https://app.example") as site:
        for claims in ({"o": {"id": "acme", "rol": "dispatcher"}}, {"org_id": "acme", "org_role": "dispatcher"}):
            jwt = m.token("dora", drop=["org", "roles"], azp="https://app.example", **claims)
            with Client(site.port, "dora", jwt) as dora:
                assert dora.subscribe("mayday/v1/acme/alert/+/raise", "mayday/v1/rival/alert/+/raise") == [1, 0x80]
        with pytest.raises(Refused):
            Client(site.port, "dora", m.token("dora", azp="https://evil.example", o={"id": "acme", "rol": "x"}))


@pytest.mark.parametrize("sub, client_id, good", [
    ("ann", "ann", True), ("ann", "ann:watch", True), ("ann", "ann/phone", True), ("ann", "ann/phone:2", True),
    ("ann", "ann:watch:2", True), ("ann", "ann2", False), ("ann", "bob", False), ("ann", "an", False), ("ann", "ann-", False),
    ("ann", "ann/" + 252 * "x", True), ("ann", "ann/" + 253 * "x", False),
    # whose else could it be? "eu:ann" has "eu:ann/..." for itself, and "eu" cannot take it
    ("eu:ann", "eu:ann/phone", True), ("eu:ann", "eu:ann", False), ("eu:ann", "eu:ann:watch", False), ("eu", "eu:ann/phone", False)])
def test_the_client_id_is_bound_to_the_subject(site, sub, client_id, good):
    if good:
        site.client(sub, client_id=client_id).disconnect()
    else:
        with pytest.raises(Refused):
            site.client(sub, client_id=client_id)


def test_nobody_takes_over_the_session_of_another_organisation_s_namesake(site):
    with site.client("sam", org="acme") as sam:
        with pytest.raises(Refused):
            site.client("sam", org="rival")
        assert sam.publish(m.topic("user", "sam", "location"), m.dump(m.location())) == 0
        with site.client("sam", org="acme"):
            assert sam.is_closed()


def test_a_person_may_take_over_their_own_session_and_both_keep_their_rights(site):
    first = site.client("tina")
    with site.client("tina") as second:
        assert first.is_closed()
        assert second.publish(m.topic("user", "tina", "location"), m.dump(m.location())) == 0


def test_expiry_ends_a_live_session(own_site):
    with own_site(token__leeway="0s") as site:
        ann = site.client("ann", ttl=3)
        assert ann.publish(m.topic("user", "ann", "location"), m.dump(m.location())) == 0
        assert ann.is_closed()
        wait_until(lambda: "token expired" in site.log(), "the log says why")


@pytest.mark.parametrize("version", [4, 5])
def test_what_is_acknowledged_while_a_token_runs_out_is_never_lost(own_site, version):
    """A refused publish is acknowledged to MQTT 3.1.1 clients: so one that comes after the token's end must not be refused."""
    with own_site(token__leeway="0s") as site:
        ann, sent = site.client("ann", ttl=2, version=version), []
        with pytest.raises(Closed):
            while True:
                body = m.location()
                assert ann.publish(m.topic("user", "ann", "location"), m.dump(body)) == 0
                sent.append(body["id"])
        assert sent
        site.wait_rows("SELECT count(*) FROM mayday.location WHERE id = ANY(%s::uuid[])", [(len(sent),)], [sent])


def test_a_live_session_renews_its_token_and_goes_on(own_site):
    with own_site(token__leeway="0s") as site:
        ends = time.time() + 3
        ann = Client(site.port, "ann", version=5, auth=m.token("ann", ttl=3))
        assert ann.renew(m.token("ann", ttl=3600)) == 0
        wait_until(lambda: time.time() > ends + 2, "the first token has run out")
        assert ann.publish(m.topic("user", "ann", "location"), m.dump(m.location())) == 0
        ann.disconnect()


@pytest.mark.parametrize("what", ["expired", "somebody else's", "another organisation's"])
def test_a_bad_renewal_ends_the_session(site, what):
    jwt = {"expired": m.token("uma", ttl=-60), "somebody else's": m.token("bob"), "another organisation's": m.token("uma", "rival")}
    uma = Client(site.port, "uma", version=5, auth=m.token("uma"))
    with pytest.raises(Closed):
        uma.renew(jwt[what])
        raise AssertionError("renewed")


def test_a_renewal_changes_what_a_session_may_do(site):
    with Client(site.port, "vic", version=5, auth=m.token("vic", roles=["member"])) as vic:
        assert vic.subscribe("mayday/v1/acme/alert/+/raise") == [0x87]
        assert vic.renew(m.token("vic", roles=["dispatcher"])) == 0
        assert vic.subscribe("mayday/v1/acme/alert/+/raise") == [1]
        with site.client("wes") as wes:
            alert = m.uuid7()
            wes.publish(m.topic("alert", alert, "raise"), m.dump(m.raise_()))
        vic.receive()
        assert vic.renew(m.token("vic", roles=["member"])) == 0
        with site.client("wes") as wes:
            wes.publish(m.topic("alert", m.uuid7(), "raise"), m.dump(m.raise_()))
        assert vic.receives_nothing()


def test_new_keys_are_taken_up_and_bad_ones_are_not(own_site):
    with own_site() as site:
        private = site.folder / "signing.json"
        public = site.folder / "public.json"
        subprocess.run([BUILD / "bin" / "mayday", "--config", site.conf, "keys", "new", "--type", "ec", "--private", private,
                        "--public", public], check=True, stdout=subprocess.DEVNULL)
        minted = subprocess.run([BUILD / "bin" / "mayday", "--config", site.conf, "token", "--sub", "ann", "--org", "acme", "--role", "member",
                                 "--signing-keys", private], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
        with pytest.raises(Refused):
            Client(site.port, "ann", minted)
        fresh = json.loads(public.read_text())["keys"]
        site.write_keys([m.JWK, *fresh])
        wait_until(lambda: "took up 2 keys" in site.log(), "the new keys are taken up")
        Client(site.port, "ann", minted).disconnect()
        site.keys_file.write_text('{"keys": [{"kty": "EC"')
        wait_until(lambda: "the keys from before stay" in site.log(), "the bad set is refused")
        Client(site.port, "ann", minted).disconnect()
        site.client("bob").disconnect()


def test_sighup_keeps_live_and_durable_sessions(own_site):
    with own_site() as site:
        away = site.client("dur", clean=False)
        away.subscribe("mayday/v1/acme/user/dur/inbox")
        away.disconnect()
        basic, enhanced = site.client("ann"), Client(site.port, "bob", version=5, auth=m.token("bob"))
        site.reload()
        wait_until(lambda: "reloading keys and policy" in site.log(), "the plugin reloads")
        for c, name in ((basic, "ann"), (enhanced, "bob")):
            assert c.publish(m.topic("user", name, "location"), m.dump(m.location())) == 0
        with site.client("dora", ["dispatcher"]) as dora:
            sent = m.message(kind="message", text="come in")
            assert dora.publish(m.topic("user", "dur", "inbox"), m.dump(sent)) == 0
        with site.client("dur", clean=False) as back:
            assert back.session_present
            assert json.loads(back.receive().payload)["id"] == sent["id"]


def test_sighup_leaves_an_offline_session_alone_whose_token_ran_out(own_site):
    """A refusal would disconnect the client once more, and the broker would keep a dangling entry of its session's end."""
    with own_site(token__leeway="0s") as site:
        for name, options in (("basic", {"version": 4, "clean": False}), ("enhanced", {"version": 5, "expiry": 3600})):
            jwt = m.token(name, ttl=2)
            how = {"auth": jwt} if name == "enhanced" else {"password": jwt}
            c = Client(site.port, name, **how, **options)
            c.subscribe(f"mayday/v1/acme/user/{name}/inbox")
            c.disconnect()
        ends = time.time() + 2
        wait_until(lambda: time.time() > ends + 1.5, "both tokens have run out, and a second has passed over it")
        log = site.log()
        site.reload()
        wait_until(lambda: "reloading keys and policy" in site.log()[len(log):], "the plugin reloads")
        site.client("ann").disconnect()
        since = site.log()[len(log):]
        assert "refused client" not in since
        assert "Client basic" not in since and "Client enhanced" not in since
        with site.client("basic", clean=False) as basic, site.client("enhanced", version=5, clean=False, expiry=3600) as enhanced:
            assert basic.session_present and enhanced.session_present
            site.reload()
            wait_until(lambda: site.log().count("reloading keys and policy") > 1, "the plugin reloads again")
            for c, name in ((basic, "basic"), (enhanced, "enhanced")):
                assert c.publish(m.topic("user", name, "location"), m.dump(m.location())) == 0


def test_sighup_leaves_restored_sessions_alone_too(own_site):
    with own_site(token__leeway="0s") as site:
        away = site.client("dur", clean=False, ttl=2)
        away.subscribe("mayday/v1/acme/user/dur/inbox")
        away.disconnect()
        site.restart()
        ends = time.time() + 2
        wait_until(lambda: time.time() > ends + 1.5, "the token has run out")
        log = site.log()
        site.reload()
        wait_until(lambda: "reloading keys and policy" in site.log()[len(log):], "the plugin reloads")
        site.client("ann").disconnect()
        assert "Client dur" not in site.log()[len(log):]
        with site.client("dur", clean=False) as back:
            assert back.session_present


def test_an_mqtt_5_session_is_remembered_as_long_as_the_broker_keeps_it(own_site):
    with own_site() as site:
        for i in range(20):
            site.client("ann", client_id=f"ann:{i}", version=5).disconnect()
        kept = site.client("bob", version=5, expiry=3600)
        kept.subscribe("mayday/v1/acme/user/bob/inbox")
        kept.disconnect()
        wait_until(lambda: site.figure("sessions/remembered") <= 2, "bob's is remembered, and the admin's who asks")
        with site.client("dora", ["dispatcher"]) as dora:
            sent = m.message(kind="message", text="come in")
            assert dora.publish(m.topic("user", "bob", "inbox"), m.dump(sent)) == 0
        with site.client("bob", version=5, clean=False, expiry=3600) as bob:
            assert json.loads(bob.receive().payload)["id"] == sent["id"]
        site.restart()
        assert "remembered 1 offline sessions" in site.log()


def admin_asks(site, org="acme", **command):
    with site.client("root", ["admin"], org=org, client_id=f"root:{os.urandom(3).hex()}") as admin:
        admin.subscribe("$CONTROL/mayday/v1/response")
        admin.publish("$CONTROL/mayday/v1", m.dump(m.message(**command)))
        return json.loads(admin.receive().payload)


@pytest.mark.parametrize("kind", ["jti", "sid", "sub"])
def test_revocation_ends_live_sessions_at_once_and_survives_a_restart(own_site, kind):
    with own_site() as site:
        claims = {"jti": "token-1", "sid": "login-1"}
        value = {"jti": "token-1", "sid": "login-1", "sub": "mal"}[kind]
        mal = site.client("mal", claims=claims)
        other = site.client("ann")
        assert admin_asks(site, command="revoke", kind=kind, value=value)["outcome"] == "done"
        assert mal.is_closed()
        assert other.publish(m.topic("user", "ann", "location"), m.dump(m.location())) == 0
        other.disconnect()
        with pytest.raises(Refused):
            site.client("mal", claims=claims)
        site.kill()
        site.start()
        with pytest.raises(Refused):
            site.client("mal", claims=claims)
        assert admin_asks(site, command="list")["revocations"] == [{"kind": kind, "value": value}]
        assert admin_asks(site, command="restore", kind=kind, value=value)["detail"] == "restored"
        site.client("mal", claims=claims).disconnect()


def test_what_was_sent_to_a_revoked_person_is_not_kept_for_them_over_a_restart_either(own_site):
    with own_site() as site:
        away = site.client("mal", clean=False)
        away.subscribe("mayday/v1/acme/user/mal/inbox")
        away.disconnect()
        assert admin_asks(site, command="revoke", kind="sub", value="mal")["outcome"] == "done"
        site.restart()
        with site.client("dora", ["dispatcher"]) as dora:
            assert dora.publish(m.topic("user", "mal", "inbox"), m.dump(m.message(kind="message", text="the code is 4711"))) == 0
        assert admin_asks(site, command="restore", kind="sub", value="mal")["outcome"] == "done"
        with site.client("mal", clean=False) as mal:
            assert mal.session_present
            assert mal.receives_nothing()


def test_an_admin_reaches_no_further_than_the_organisation_and_others_not_at_all(site):
    with site.client("pat") as pat:
        assert admin_asks(site, "rival", command="revoke", kind="sub", value="pat")["outcome"] == "done"
        assert pat.publish(m.topic("user", "pat", "location"), m.dump(m.location())) == 0
        pat.publish("$CONTROL/mayday/v1", m.dump(m.message(command="revoke", kind="sub", value="ann")))
        assert pat.subscribe("$CONTROL/mayday/v1/response") == [0x80]
    site.client("ann").disconnect()
    assert admin_asks(site, command="revoke", kind="sub")["outcome"] == "refused"
    assert admin_asks(site, command="revoke", kind="sub", value="ann", until=m.moment(time.time() - 60))["outcome"] == "refused"
    assert admin_asks(site, command="list")["revocations"] == []


def test_the_username_must_be_the_subject_only_when_asked(own_site):
    with own_site(token__username_is_subject="yes") as site:
        site.client("ann", username="ann").disconnect()
        with pytest.raises(Refused):
            site.client("ann", username="bob")
