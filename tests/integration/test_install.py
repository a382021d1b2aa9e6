"""The .deb and `cmake --install`: what is in them, that it works from where it lands, and that the manuals hold every
command and key."""
import gzip
import os
import pathlib
import re
import shutil
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]

BUILD = pathlib.Path(os.environ.get("MAYDAY_BUILD_DIR", REPO / "build/release")).resolve()


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, **kwargs)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def build():
    return BUILD


@pytest.fixture(scope="module")
def deb(build, tmp_path_factory):
    out = tmp_path_factory.mktemp("deb")
    run("cpack", "-B", out, "--config", build / "CPackConfig.cmake", cwd=build)
    return next(out.glob("*.deb"))


@pytest.fixture(scope="module")
def root(deb, tmp_path_factory):
    path = tmp_path_factory.mktemp("root")
    run("dpkg", "-x", deb, path)
    return path


@pytest.fixture(scope="module")
def mayday(root):
    return root / "usr/bin/mayday"


def commands(mayday):
    listed = run(mayday, "--help").split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def plain(page):
    """A manual page as text, without the roff escapes that stand for themselves."""
    return page.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


def test_the_package_holds_everything_once(root):
    multiarch = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    expected = {
        "usr/bin/mayday", "usr/sbin/mayday-gateway", "usr/share/man/man8/mayday-gateway.8.gz", "usr/lib/sysusers.d/mayday.conf",
        "usr/lib/systemd/system/mayday-gateway.service", f"usr/lib/{multiarch}/mosquitto_mayday.so", "etc/mayday/mayday.conf", "etc/mayday/policy.conf",
        "etc/mosquitto/conf.d/mayday.conf.example", "usr/share/mayday/mosquitto.conf.d/listeners.conf",
        "usr/lib/systemd/system/mosquitto.service.d/mayday.conf", "usr/lib/systemd/system/mayday-prune.service",
        "usr/lib/systemd/system/mayday-prune.timer", "usr/share/man/man1/mayday.1.gz",
        "usr/share/man/man5/mayday.conf.5.gz", "usr/share/man/man8/mosquitto_mayday.8.gz",
        "usr/share/bash-completion/completions/mayday", "usr/share/mayday/sensors.json"}
    expected |= {f"usr/share/doc/mosquitto-mayday/{p.name}" for p in (REPO / "docs").glob("*.md") if p.stem not in ("benchmarks", "tour")}
    expected |= {f"usr/share/mayday/{p.relative_to(REPO)}" for p in (REPO / "schemas").rglob("*.json")}
    expected |= {f"usr/share/mayday/plans/{p.name}" for p in (REPO / "examples" / "plans").glob("*.json")}
    expected |= {f"usr/share/mayday/sql/{p.name}" for p in (REPO / "sql").glob("*.sql")}
    found = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    assert expected <= found
    assert not [p for p in found - expected if not p.startswith("usr/share/doc/")], "nobody decided to ship these"


def test_everything_belongs_to_root_and_nobody_else_may_write(deb):
    for line in run("dpkg-deb", "-c", deb).splitlines():
        mode, owner = line.split()[:2]
        assert owner == "root/root" and mode[8] == "-" and mode[5] == "-", line
        assert not line.split()[-1].startswith(("./work", "./home", "./tmp")), line


def test_every_file_in_etc_is_a_conffile(deb, root):
    listed = set(run("dpkg-deb", "-I", deb, "conffiles").split())
    assert listed == {f"/{p.relative_to(root)}" for p in (root / "etc").rglob("*") if p.is_file()}


def test_the_dependencies_are_the_libraries_that_are_used(deb):
    depends = run("dpkg-deb", "-f", deb, "Depends")
    for name in "mosquitto", "libssl3", "libpq5", "libjson-c5", "libinih1", "libpcre2-8-0", "libsystemd0", "libc6":
        assert re.search(rf"(^|, ){re.escape(name)}( |,|$)", depends), depends


def test_a_running_broker_is_not_changed_by_the_installation(root, deb):
    assert not list((root / "etc/mosquitto/conf.d").glob("*.conf"))
    scripts = run("dpkg-deb", "-I", deb, "postinst") + run("dpkg-deb", "-I", deb, "postrm")
    assert not re.search(r"systemctl|service |invoke-rc.d|deb-systemd", scripts)
    for script in "postinst", "postrm":
        run("sh", "-n", REPO / "packaging/debian" / script)


def test_the_binaries_name_no_folder_of_the_machine_that_built_them(root, build):
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            assert str(build).encode() not in data and str(REPO).encode() not in data, path


def test_the_command_and_the_sample_configuration_work_from_the_package(root, mayday, build):
    version = re.search(r"CMAKE_PROJECT_VERSION:STATIC=(.*)", (build / "CMakeCache.txt").read_text())[1]
    assert run(mayday, "--version") == f"mayday {version}\n"
    run(mayday, "--config", root / "etc/mayday/mayday.conf", "config", "check")


def test_the_drop_in_names_the_plugin_and_the_configuration_of_the_package(root):
    drop_in = (root / "etc/mosquitto/conf.d/mayday.conf.example").read_text()
    plugin = re.search(r"^plugin (.*)$", drop_in, re.M)[1]
    assert (root / plugin[1:]).is_file()
    assert re.search(r"^plugin_opt_config (.*)$", drop_in, re.M)[1] == "/etc/mayday/mayday.conf"


def test_the_plugin_shows_its_entry_points_and_nothing_else(root):
    plugin = next((root / "usr/lib").rglob("mosquitto_mayday.so"))
    defined = {line.split()[-1] for line in run("nm", "-D", "--defined-only", plugin).splitlines()}
    assert defined == {"mosquitto_plugin_version", "mosquitto_plugin_init", "mosquitto_plugin_cleanup"}


def test_the_broker_loads_the_plugin_of_the_package_and_says_what_it_lacks(root, tmp_path):
    plugin = next((root / "usr/lib").rglob("mosquitto_mayday.so"))
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"user root\nlistener 0 {tmp_path}/socket\nplugin {plugin}\nplugin_opt_config {tmp_path}/none.conf\n")
    done = subprocess.run(["/usr/sbin/mosquitto", "-c", str(conf)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert f"mayday: cannot start: configuration: {tmp_path}/none.conf" in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="dpkg --root needs root")
def test_dpkg_installs_keeps_an_edited_configuration_and_purges(deb, tmp_path):
    target = tmp_path / "target"
    for folder in "var/lib/dpkg/info", "var/lib/dpkg/updates", "etc", "usr":
        (target / folder).mkdir(parents=True)
    (target / "var/lib/dpkg/status").touch()
    # The maintainer scripts run inside the folder, so it needs what they call.
    dpkg = ["dpkg", f"--root={target}", f"--log={tmp_path}/log", "--force-depends", "--force-script-chrootless",
            "--force-confdef", "--force-confold"]
    env = dict(os.environ, DPKG_ROOT=str(target), PATH=f"/usr/sbin:/sbin:{os.environ['PATH']}")
    run(*dpkg, "--install", deb, env=env)
    conf = target / "etc/mayday/mayday.conf"
    conf.write_text("[node]\nname = mine\n")
    run(*dpkg, "--install", deb, env=env)
    assert conf.read_text() == "[node]\nname = mine\n"
    state = target / "var/lib/mayday/journal"
    assert state.stat().st_mode & 0o777 == 0o750
    run(*dpkg, "--remove", "mosquitto-mayday", env=env)
    assert state.is_dir() and conf.is_file()
    run(*dpkg, "--purge", "mosquitto-mayday", env=env)
    assert not state.parent.exists() and not conf.exists()


def test_install_below_another_prefix_names_that_prefix(build, tmp_path):
    run("cmake", "--install", build, "--prefix", tmp_path)
    conf = (tmp_path / "etc/mayday/mayday.conf").read_text()
    for key, path in {"schema_dir": "share/mayday/schemas", "sql_dir": "share/mayday/sql",
                      "policy_file": "etc/mayday/policy.conf"}.items():
        assert f"\n{key} = {tmp_path}/{path}\n" in conf
        assert (tmp_path / path).exists()
    assert f"{tmp_path}/" in (tmp_path / "etc/mosquitto/conf.d/mayday.conf.example").read_text()


def test_install_leaves_a_configuration_in_etc_alone(build, tmp_path):
    conf = tmp_path / "etc/mayday/mayday.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("mine")
    run("cmake", "--install", build, "--prefix", "/usr", env=dict(os.environ, DESTDIR=str(tmp_path)))
    assert conf.read_text() == "mine"
    assert "[journal]" in conf.with_name("mayday.conf.new").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_understands_the_units_with_debians_own(root, tmp_path):
    units = tmp_path / "units"
    shutil.copytree(root / "usr/lib/systemd/system", units)
    shutil.copy("/lib/systemd/system/mosquitto.service", units)
    prune = units / "mayday-prune.service"
    prune.write_text(prune.read_text().replace("/usr/bin/mayday", str(root / "usr/bin/mayday")))
    gateway = units / "mayday-gateway.service"
    gateway.write_text(gateway.read_text().replace("/usr/sbin/mayday-gateway", str(root / "usr/sbin/mayday-gateway")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", units / "mosquitto.service", gateway,
                           units / "mayday-prune.service", units / "mayday-prune.timer"],
                          capture_output=True, text=True, env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{units}:"))
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_the_gateways_house_is_as_small_as_its_sensors_allow(root):
    """Serial lines, BlueZ and gpsd can be reached, and as little else as there was when this was written."""
    unit = root / "usr/lib/systemd/system/mayday-gateway.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=23", unit], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    lines = unit.read_text().splitlines()
    assert [line for line in lines if line.startswith("Device")] == ["DevicePolicy=closed", *(
        f"DeviceAllow=char-{kind} rw" for kind in ("ttyUSB", "ttyACM", "ttyS", "ttyAMA", "rfcomm"))]
    assert {"LimitCORE=0", "UMask=0077", "CapabilityBoundingSet=", "SupplementaryGroups=dialout"} <= set(lines)
    assert "m mayday-gateway bluetooth" in (root / "usr/lib/sysusers.d/mayday.conf").read_text()


def test_the_manual_holds_every_command_with_its_whole_help(mayday):
    page = plain(run(mayday, "manual", "mayday.1"))
    names = commands(mayday)
    assert {"config", "manual", "migrate", "raise", "sim", "tail"} <= set(names)
    for name in names:
        assert f".SS {name}\n" in page
        for line in run(mayday, name, "--help").splitlines():
            assert line in page, f"{name}: {line}"


def test_the_manual_holds_every_key_with_its_section_and_default(mayday):
    page = plain(run(mayday, "manual", "mayday.conf.5"))
    section = None
    for line in run(mayday, "config", "sample").splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            section = line
            assert f".SH {section}\n" in page
        elif section and (key := re.fullmatch(r"#(\w+) = (.*)", line)):
            entry = page.split(f".SH {section}\n")[1].split("\n.SH ")[0].split(f".B {key[1]}\n")
            assert len(entry) == 2, f"{section} {key[1]}"
            assert not key[2] or f"Default:\n{key[2]}\n" in entry[1].split(".TP")[0] + "\n"


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff here")
def test_the_manual_pages_are_sound_roff(root):
    pages = list((root / "usr/share/man").rglob("*.gz"))
    assert len(pages) == 4
    for page in pages:
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=gzip.decompress(page.read_bytes()),
                              capture_output=True)
        assert done.returncode == 0 and done.stderr == b"", page


def complete(root, *words):
    script = f". {root}/usr/share/bash-completion/completions/mayday; COMP_WORDS=({' '.join(words)} ''); " \
             f"COMP_CWORD={len(words)}; _mayday; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(run("bash", "-c", script).split())


def test_the_completion_knows_commands_their_words_and_options(root, mayday):
    assert set(commands(mayday)) <= complete(root, "mayday")
    assert {"sample", "check"} <= complete(root, "mayday", "config")
    for name in commands(mayday):
        offered = complete(root, "mayday", "--config", "x", name)
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", run(mayday, name, "--help"))) <= offered | {"--config"}


def test_the_admins_guide_names_every_figure():
    guide = (REPO / "docs/operations.md").read_text()
    source = (REPO / "plugin/counters.c").read_text()
    for name in set(re.findall(r'(?:figure|publish)\("([^"]+)"', source)):
        last = name.split("/")[-1]
        assert f"`{name}" in guide or f"`/{last}`" in guide, name


def test_the_admins_guide_names_only_commands_that_exist(mayday):
    guide = (REPO / "docs/operations.md").read_text()
    used = set(re.findall(r"(?:^|[`;(&| ])mayday ([a-z]+)", " ".join(re.findall(r"```sh\n(.*?)```", guide, re.S)), re.M))
    used |= set(re.findall(r"`mayday ([a-z]+)", guide))
    assert used and used <= set(commands(mayday))
