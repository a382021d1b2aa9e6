#!/usr/bin/python3
"""The laws of the house that a compiler does not know: which room may include what, which libraries are seen where, which calls are banned, how
long a file or function may grow. Prints each breach with its place; exits 1 when there is one."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORDER = ["base", "core", "sense", "place", "msg", "store"]
HOSTS = ["plugin", "gateway", "tools"]

# library header -> the only files that may include it
CONFINED = {
    r"json-c/|json\.h>": [r"lib/base/json\.c"],
    r"ini\.h": [r"lib/base/conf\.c"],
    r"libpq-fe\.h|postgres_ext\.h": [r"lib/store/pg[a-z_]*\.[ch]"],
    r"openssl/": [r"lib/core/(algorithm|jwk|keyset|token|sign|keygen|pin|seal|mac|audit|keyset_private)[a-z_]*\.[ch]", r"plugin/plugin\.c",
                  r"lib/store/(segment|journal|flusher|migrate)\.c", r"tools/mayday/[a-z_]*\.c"],
    r"pcre2\.h": [r"lib/msg/regex\.c"],
    r"mosquitto[a-z_]*\.h": [r"plugin/broker\.h"],
    r"MQTT(Client|Async)[A-Za-z]*\.h": [r"tools/mayday/mqtt\.c", r"gateway/bus/[a-z_]*\.[ch]"],
    r"microhttpd\.h": [r"gateway/http/http\.[ch]"],
    r"systemd/sd-daemon": [r"gateway/main\.c"],
    r"systemd/sd-event": [r"gateway/(edge|sensors)/[a-z_]*\.[ch]"],
    r"systemd/sd-bus": [r"gateway/sensors/bluetooth[a-z_]*\.[ch]"],
    r"geos_c\.h": [r"lib/place/shape\.c"],
    r"expat\.h": [r"lib/sense/(gpx|tcx|xml)\.[ch]"],
    r"gps\.h": [r"gateway/sensors/gpsd\.c"],
    r"curl/": [r"gateway/sending/client\.c"],
    r"sqlite3\.h": [r"gateway/local/[a-z_]*\.[ch]", r"gateway/edge/backlog[a-z_]*\.[ch]"],
}
BANNED = re.compile(r"\b(sprintf|strcpy|strcat|atoi|strtok|gets|system)\(")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
LONGEST_FILE, LONGEST_FUNCTION = 600, 80

breaches = []


def breach(path, line, what):
    breaches.append(f"{path}:{line}: {what}")


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE)
    return [Path(p) for p in sorted(set(listed.stdout.split("\n"))) if p and (ROOT / p).exists()]


def room_of(path):
    parts = path.parts
    return parts[1] if parts[0] == "lib" else parts[0]


def may_include(room, target):
    """room/file.h as written in an include; unknown first parts are local or the system's."""
    if target in ORDER:
        return room in HOSTS or room == "tests" or (room in ORDER and ORDER.index(target) <= ORDER.index(room))
    if target in HOSTS:
        return room in (target, "tests")
    return True


def check_includes(path, number, line):
    found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
    if not found:
        return
    header = found.group(2)
    if not may_include(room_of(path), header.split("/")[0]):
        breach(path, number, f"{room_of(path)} must not include {header}")
    if path.parts[0] == "tests":
        return
    for pattern, allowed in CONFINED.items():
        if found.group(1) == "<" and re.match(pattern, header) and not any(re.fullmatch(a, str(path)) for a in allowed):
            breach(path, number, f"<{header}> belongs behind another file")


def check_functions(path, lines):
    opened = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z_].*\{$", line) and "(" in line and not line.startswith(("typedef", "struct", "static const", "enum")):
            opened = number
        elif line == "}" and opened:
            if number - opened > LONGEST_FUNCTION:
                breach(path, opened, f"a function of {number - opened} lines")
            opened = None


def check_enum_switches(path, text):
    """A switch over one of our enums lists every case: no default."""
    for found in re.finditer(r"switch \((?:[a-z_]+->)?(?:kind|verdict|family|change|relation|r|level)\) \{(.*?)\n {0,8}\}", text, re.S):
        if "default:" in found.group(1):
            breach(path, text[:found.start()].count("\n") + 1, "a switch over an enum with a default")


def check_c(path):
    text = (ROOT / path).read_text()
    lines = text.split("\n")
    if not text.lstrip().startswith("/*") and path.parts[0] != "tests":
        breach(path, 1, "no comment says what this file is")
    if len(lines) > LONGEST_FILE and path.parts[0] != "tests":
        breach(path, len(lines), f"{len(lines)} lines: perhaps two rooms in one")
    for number, line in enumerate(lines, 1):
        check_includes(path, number, line)
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        if BANNED.search(code) and not code.lstrip().startswith(("*", "/*")):
            breach(path, number, f"banned: {BANNED.search(code).group(1)}()")
    if path.parts[0] != "tests":
        check_functions(path, lines)
    check_enum_switches(path, text)


def check_text(path):
    try:
        text = (ROOT / path).read_text()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if LEFTOVER.search(line) and path != Path("tests/house/laws.py"):
            breach(path, number, f"left for later: {LEFTOVER.search(line).group(1)}")


def check_links(path):
    """Relative links in the documents lead somewhere."""
    text = re.sub(r"```.*?```", "", (ROOT / path).read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:") and not (ROOT / path.parent / target).exists():
            breach(path, 1, f"the link to {target} leads nowhere")


for p in tracked("*.c", "*.h"):
    check_c(p)
for p in tracked("*.c", "*.h", "*.py", "*.sh", "*.sql", "*.cmake", "CMakeLists.txt", "tools/*"):
    check_text(p)
for p in tracked("*.md"):
    check_links(p)
print("\n".join(breaches) or "no breaches")
sys.exit(1 if breaches else 0)
