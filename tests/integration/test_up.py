"""tools/up and tools/down as a user meets them. Nothing is built here: MAYDAY_BUILD_DIR names a
finished build tree, build/release when it is not set."""
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import psycopg2
import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
UP, DOWN = REPO / "tools/up", REPO / "tools/down"

BUILD = pathlib.Path(os.environ.get("MAYDAY_BUILD_DIR", REPO / "build/release")).resolve()
os.environ["MAYDAY_BUILD_DIR"] = str(BUILD)  # for tools/up


def free_base():
    """The first of five free ports in a row."""
    for base in range(23000 + os.getpid() % 4000, 32000, 5):
        sockets = [socket.socket() for _ in range(5)]
        try:
            for offset, s in enumerate(sockets):
                s.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


@pytest.fixture
def folder():
    """Below /tmp and open to the daemons' users, which pytest's own folders are not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mayday-up-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path / "var"
    finally:
        run(DOWN, "--dir", path / "var")
        shutil.rmtree(path, ignore_errors=True)


def run(*command, **kwargs):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, **kwargs)


def up(folder, *options, **kwargs):
    return run(UP, "--detach", "--no-demo", "--dir", folder, *options, **kwargs)


def env_of(folder):
    """What the shell file sets, as a shell that sources it sees it."""
    out = run("env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", f". {folder}/env && env").stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def query(folder, sql):
    env = env_of(folder)
    with psycopg2.connect(host=env["PGHOST"], port=env["PGPORT"], dbname=env["PGDATABASE"], user=env["PGUSER"],
                          passfile=env["PGPASSFILE"]) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def pid_of(folder, name):
    return int((folder / name).read_text().split()[0])


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def raise_alert(folder, sub="ann"):
    env = dict(os.environ, **env_of(folder))
    return run("mayday", "raise", "--sub", sub, "--org", "test", "--role", "member", env=env)


def test_the_shell_file_reaches_broker_and_database(folder):
    base = free_base()
    done = up(folder, "--port-base", base)
    assert done.returncode == 0, done.stderr
    env = env_of(folder)
    assert [env[name] for name in ("MQTT_HOST", "MQTT_PORT", "WS_PORT", "PGPORT", "HTTP_PORT")] == \
        ["127.0.0.1", *(str(base + i) for i in range(4))]
    for port in base, base + 1, base + 3, base + 4:
        socket.create_connection(("127.0.0.1", port), 5).close()
    assert query(folder, "select count(*) from mayday.raise") == [(0,)]
    assert run("mayday", "config", "check", env=env).returncode == 0
    heard = raise_alert(folder)
    assert heard.returncode == 0, heard.stdout + heard.stderr
    wait_until(lambda: query(folder, "select sender, org from mayday.raise") == [("ann", "test")], "the row")


def test_secrets_are_closed_to_others(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    for path in [folder / "signing-keys.json", *(folder / "secrets").iterdir()]:
        assert not path.stat().st_mode & stat.S_IRWXO, path
    assert not (folder / "postgres").stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG)


def test_nobody_gets_into_the_database_without_a_password(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    for user in "postgres", "mayday_owner", "mayday_plugin":
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=env_of(folder)["PGPORT"], dbname="mayday", user=user,
                             passfile="/dev/null")


def test_no_daemon_runs_as_root(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    for name in "mosquitto.pid", "postgres/postmaster.pid", "gateway.pid", "phones.pid":
        assert os.stat(f"/proc/{pid_of(folder, name)}").st_uid != 0


def test_a_second_run_keeps_the_data_and_revives_what_died(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    assert raise_alert(folder).returncode == 0
    wait_until(lambda: query(folder, "select count(*) from mayday.raise") == [(1,)], "the row")
    keys = (folder / "keys.json").read_bytes()

    broker, postgres = pid_of(folder, "mosquitto.pid"), pid_of(folder, "postgres/postmaster.pid")
    again = up(folder)
    assert again.returncode == 0 and pid_of(folder, "mosquitto.pid") == broker

    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: not alive(broker), "the broker's end")
    assert up(folder).returncode == 0
    assert pid_of(folder, "mosquitto.pid") != broker
    assert pid_of(folder, "postgres/postmaster.pid") == postgres

    gateway = pid_of(folder, "gateway.pid")
    os.kill(gateway, signal.SIGKILL)
    wait_until(lambda: not alive(gateway), "the gateway's end")
    assert up(folder).returncode == 0
    assert pid_of(folder, "gateway.pid") != gateway and alive(pid_of(folder, "gateway.pid"))

    os.kill(postgres, signal.SIGQUIT)
    wait_until(lambda: not alive(postgres), "the database's end")
    assert up(folder).returncode == 0
    assert query(folder, "select count(*) from mayday.raise") == [(1,)]
    assert (folder / "keys.json").read_bytes() == keys
    assert raise_alert(folder, "ben").returncode == 0


def test_two_folders_live_side_by_side(folder):
    other = folder.parent / "other"
    try:
        assert up(folder, "--port-base", free_base()).returncode == 0
        assert up(other, "--port-base", free_base()).returncode == 0
        assert raise_alert(folder).returncode == 0
        wait_until(lambda: query(folder, "select count(*) from mayday.raise") == [(1,)], "the row")
        assert query(other, "select count(*) from mayday.raise") == [(0,)]
        assert run(DOWN, "--dir", other).returncode == 0
        assert alive(pid_of(folder, "mosquitto.pid"))
    finally:
        run(DOWN, "--dir", other)


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4])
def test_a_taken_port_is_a_sentence_and_leaves_nothing_running(folder, offset):
    base = free_base()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", base + offset))
        squatter.listen()
        refused = up(folder, "--port-base", base)
    assert refused.returncode == 1
    assert refused.stderr.strip() == \
        f"up: port {base + offset} is taken by another program; choose others with --port-base N"
    assert not (folder / "mosquitto.pid").exists() and not (folder / "postgres").exists()


def test_no_space_is_a_sentence(folder):
    shims = folder.parent / "bin"
    shims.mkdir()
    df = shims / "df"
    df.write_text("#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted\necho x 100 90 10240 90% /\n")
    df.chmod(0o755)
    refused = up(folder, env=dict(os.environ, PATH=f"{shims}:{os.environ['PATH']}"))
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"up: no space: {folder} has 10 MB free and Mayday needs 600 MB"


def test_a_folder_that_cannot_be_made_is_a_sentence(folder):
    refused = up("/proc/mayday")
    assert refused.returncode == 1
    assert refused.stderr.strip() == "up: the folder /proc/mayday cannot be made; give one you may write to with --dir"


def test_a_broker_that_does_not_start_takes_the_database_down_with_it(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    assert run(DOWN, "--dir", folder).returncode == 0
    (folder / "keys.json").write_text("{}")
    refused = up(folder)
    assert refused.returncode == 1
    assert "mayday: " in refused.stderr and "\nup: Mosquitto did not start; the whole log is " in refused.stderr
    assert not (folder / "postgres/postmaster.pid").exists()


def test_wrong_words_are_wrong_usage(folder):
    for words in ["--dri", folder], ["--port-base", "x"], ["--port-base", "70000"], ["--dir"]:
        assert run(UP, *words).returncode == 2
    assert run(DOWN, "--all").returncode == 2


def hear_ctrl_c():
    """A shell without job control starts background jobs deaf to Ctrl-C, and a deaf shell cannot trap it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_everything_it_started(folder, end):
    shell = subprocess.Popen([UP, "--no-demo", "--dir", folder, "--port-base", str(free_base())],
                             stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    for line in shell.stdout:
        if "Ctrl-C stops it" in line:
            break
    daemons = [pid_of(folder, f) for f in ("mosquitto.pid", "postgres/postmaster.pid", "gateway.pid", "phones.pid")]
    assert all(map(alive, daemons))
    shell.send_signal(end)
    assert "stopped: phones\nstopped: gateway\nstopped: broker\nstopped: postgres\n" in shell.stdout.read()
    assert shell.wait(60) == 128 + end
    assert not any(map(alive, daemons))


def test_ctrl_c_in_the_middle_stops_what_was_started_so_far(folder):
    shell = subprocess.Popen([UP, "--no-demo", "--dir", folder, "--port-base", str(free_base())],
                             stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    for line in shell.stdout:
        if line.startswith("started: PostgreSQL"):
            break
    postgres = pid_of(folder, "postgres/postmaster.pid")
    shell.send_signal(signal.SIGINT)
    shell.stdout.read()
    assert shell.wait(60) == 130
    assert not alive(postgres)
    assert up(folder).returncode == 0


def test_down_twice_does_no_harm_and_spares_strangers(folder):
    assert up(folder, "--port-base", free_base()).returncode == 0
    broker = pid_of(folder, "mosquitto.pid")
    down = run(DOWN, "--dir", folder)
    assert (down.returncode, down.stdout) == (0, "stopped: phones\nstopped: gateway\nstopped: broker\nstopped: postgres\n")
    assert not alive(broker)
    # A pid file of another day may name a stranger by now.
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "mosquitto.pid").write_text(f"{stranger.pid}\n")
        down = run(DOWN, "--dir", folder)
        assert (down.returncode, down.stdout) == (0, f"nothing was running in {folder}\n")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_scenario_ends_with_rows_and_commands_that_work(folder):
    played = run(UP, "--detach", "--dir", folder, "--port-base", free_base())
    assert played.returncode == 0, played.stdout + played.stderr
    assert query(folder, "select count(*) > 50 from mayday.location") == [(True,)]
    assert query(folder, "select org, type, status, acknowledged_by from mayday.alert order by org, stored_at") == [
        ("demo", "panic", "resolved", "dora"), ("night", "panic", "canceled", "nora"), ("night", "medical", "canceled", "nora")]
    for line in "ann's phone shows version 1: active", "23 of 23 things came about", "--- mayday audit verify ---":
        assert line in played.stdout, played.stdout
    night, ran = played.stdout.split("--- a night")[1].split("--- a run")
    assert "notified" in night
    for order in (["ann raises a panic", "twilio-sms to nora's phone (+27821110001): 503, not done", "text by vonage: ", "call by twilio: ringing",
                   "hears: ", "presses 1", "--- mayday escalation show ---"],
                  ["ann raises a panic", "acknowledged by nora", "5 of 5 things came about", "--- mayday escalation show ---"]):
        places = [night.find(words) for words in order]
        assert -1 not in places and places == sorted(places), list(zip(order, places))
    of = "select t.provider, t.outcome from mayday.attempt t join mayday.notification n on n.id = t.notification join mayday.alert a on a.id = n.alert " \
         "where a.org = 'night' and a.type = '%s' order by t.begun_at"
    assert query(folder, of % "panic") == [("twilio-sms", "retry"), ("vonage-sms", "sent"), ("twilio-voice", "sent")]
    order = ["she rested, walked and ran, and nobody was asked or alarmed", "dora sees what is wrong", "she is asked whether she is OK",
             "her silence is a medical alarm, with her readings", "somebody answered by telephone", "9 of 9 things came about",
             "--- mayday alert show", "-> asked", " raise "]
    assert not [words for words in order if words not in ran], ran[-3000:]
    places = [ran.find(words) for words in order]
    assert -1 not in places and places == sorted(places), list(zip(order, places))
    assert ("twilio-voice", "sent") in query(folder, of % "medical")
    listed = run(REPO / "tools/phones", "list", env=dict(os.environ, **env_of(folder)))
    assert "pressed ['1']" in listed.stdout and "text by vonage: " in listed.stdout
    command = next(line for line in played.stdout.splitlines() if "mosquitto_pub" in line)
    pasted = run("bash", "-c", command)
    assert pasted.returncode == 0 and pasted.stderr == "", pasted.stderr
    wait_until(lambda: query(folder, "select count(*) from mayday.location where person = 'ann' and alert is null") == [(1,)], "the row")
