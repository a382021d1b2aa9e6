#!/usr/bin/python3
"""Holds docs/protocol.md to its sources: the tables between its markers are made from schemas/*.json, the message types of lib/msg/types, the
shipped policy, the transitions of lib/core/incident.c and the defaults of lib/core/settings.c, and both lists of refusal codes must be those of
the code. Without arguments: exits 1 when the document differs, and says where. With --write: brings the tables up to date."""
import difflib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "protocol.md"
POLICY = ROOT / "mosquitto.conf.d" / "policy.conf"
TYPES = ROOT / "lib" / "msg" / "types"
COMMON = ("v", "id", "ts", "offline")
NEVER_SENT = {"accepted", "no_memory", "none"}  # the first is no refusal, the second closes the connection
NO_REFUSAL = {"applied", "noted"}  # of an action


# ---- the sources


def schema(name):
    return json.loads((ROOT / "schemas" / f"{name}.json").read_text())


def message_types():
    """The rows of lib/msg/types, in the order of the family's list."""
    listed = re.search(r"ENTRIES\s+([^)]*)\)", (TYPES / "CMakeLists.txt").read_text()).group(1).split()
    rows = []
    for word in listed:
        row = re.search(r"const msg_type msg_type_\w+ = \{(.*?)\n\};", (TYPES / f"{word}.c").read_text(), re.S).group(1)
        fields = dict(re.findall(r"\.(\w+) = (?:ADDRESS_)?\"?(\w+)\"?", row))
        rows.append({"schema": fields["schema"], "family": fields["family"].lower(), "leaf": fields["leaf"],
                     "kind": fields.get("kind"), "limit": fields.get("limit", "MSG_BY_MAYDAY")[len("MSG_"):].lower(), **{flag: fields.get(flag) == "true" for flag in ("stored", "sync", "urgent", "retained")}})
    return rows


def policy_rules():
    """(role, "publish" or "read", levels behind mayday/v1/{org}/)"""
    role, rules = None, []
    for line in POLICY.read_text().split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "role":
            role = words[1]
        elif words[1].startswith("mayday/v1/{org}/"):
            rules.append((role, words[0], words[1].split("/")[3:]))
    return rules


def refusal_codes():
    named = re.search(r"msg_verdict_name\(.*?\n\}", (ROOT / "lib/msg/catalog.c").read_text(), re.S).group(0)
    denied = re.search(r"denial_codes\[DENIALS\] = \{(.*?)\};", (ROOT / "plugin/acceptance.c").read_text(), re.S).group(1)
    return (set(re.findall(r'return "(\w+)"', named)) | set(re.findall(r'"(\w+)"', denied))) - NEVER_SENT


def judgement_codes():
    """What the writer and the database say of a message that was stored and changed nothing."""
    named = re.search(r"verdict_names\[\] = \{(.*?)\};", (ROOT / "lib/core/incident.c").read_text(), re.S).group(1)
    codes = set(re.findall(r'= "(\w+)"', named)) - NO_REFUSAL
    for source in sorted((ROOT / "lib/store").glob("effect*.c")):
        codes |= set(re.findall(r'\brefuse\(s, (?:&?a, )?"(\w+)"', source.read_text()))
    for source in sorted((ROOT / "sql").glob("*.sql")):
        for call in re.findall(r"mayday\.reject\((.*?)\);", source.read_text(), re.S):
            codes |= set(re.findall(r"^\s*'([a-z_]+)',", call, re.M))
    return codes


# ---- actions: what is legal when, and for whom

STANDINGS = {"RAISER": "who raised it", "ASSIGNED": "assigned", "INVITED": "invited", "DISPATCHER": "dispatcher", "SUPERVISOR": "supervisor",
             "GATEWAY": "gateway"}


def transitions():
    """(action, statuses it is legal in, status afterwards or SAME, standings), the file's macros resolved."""
    source = (ROOT / "lib/core/incident.c").read_text()
    macros = dict(re.findall(r"^#define (\w+) +(.+)$", source, re.M))

    def words(expression):
        found = []
        for word in re.findall(r"\w+", expression):
            found += words(macros[word]) if word in macros and word not in ("IN", "SAME") else [word] if word != "IN" else []
        return found

    rows = re.findall(r"^    \{ACTION_(\w+), ([^,]+), (\w+), ([^,]+), INCIDENT_\w+\}", source, re.M)
    return [(action.lower(), [w[len("INCIDENT_"):].lower() for w in words(was)], to if to == "SAME" else to[len("INCIDENT_"):].lower(),
             [w[len("STANDING_"):] for w in words(who)]) for action, was, to, who in rows]


def actions():
    statuses = schema("state")["properties"]["status"]
    statuses = resolve(schema("state"), statuses)[0]["enum"]
    may_publish = allowed(policy_rules(), "publish", "alert", "action")
    lines = ["| action | " + " | ".join(f"`{s}`" for s in statuses) + " | who |", "|---" * (len(statuses) + 2) + "|"]
    rows = transitions()
    known = resolve(schema("action"), schema("action")["properties"]["action"])[0]["enum"]
    for action in known:
        mine = [row for row in rows if row[0] == action]
        if not mine:
            sys.exit(f"protocol_doc: lib/core/incident.c says nothing of the action {action}")
        cells = []
        for status in statuses:
            to = next((to for _, was, to, _ in mine if status in was), None)
            cells.append("" if to is None else "stays" if to in ("SAME", status) else f"→ `{to}`")
        who = [word for key, word in STANDINGS.items() if key in mine[0][3] and (key != "GATEWAY" or "gateway" in may_publish)]
        lines.append(f"| `{action}` | " + " | ".join(cells) + f" | {', '.join(who)} |")
    return lines


# ---- limits


def limits():
    found = re.findall(r'ROW\("limits", "(\w+)", CONF_TEXT, \w+, 0, 0, "([\d.]+) ([\d.]+)"', (ROOT / "lib/core/settings.c").read_text())
    lines = ["| `[limits]` | a second | at once | counts each of |", "|---|---|---|---|"]
    for key, second, burst in found:
        what = [f"`{row['family']}/…/{row['leaf']}`" for row in message_types() if row["limit"] == key]
        lines.append(f"| `{key}` | {second} | {burst} | {', '.join(what)} |")
    return lines


# ---- topics: who publishes, who reads, what becomes of it

RELATIONS = {"+": "", "{sub}": "own", "{other}": "unless it is their own", "{member}": "members of it",
             "{raiser}": "who raised it", "{assigned}": "assigned to it", "{former}": "who canceled it", "{family}": "family contacts",
             "{role}": "holders of it"}


def allowed(rules, access, family, leaf):
    """Roles by how they relate to what the topic names."""
    found = {}
    for role, verb, levels in rules:
        if verb != access:
            continue
        if levels[0] == family and (levels[1:] == ["#"] or levels[2:] in ([leaf], ["#"])):
            relation = "+" if levels[1] == "#" else levels[1]
            found.setdefault(relation, []).append(role)
    parts = []
    for relation, words in RELATIONS.items():
        roles = [r for r in found.pop(relation, []) if relation == "+" or r not in allowed_anywhere(rules, access, family, leaf)]
        if roles:
            parts.append(", ".join(roles) + (f" ({words})" if words else ""))
    if found:
        sys.exit(f"protocol_doc: a placeholder of the policy has no words here: {', '.join(found)}")
    return "; ".join(parts) or "nobody"


def allowed_anywhere(rules, access, family, leaf):
    return {role for role, verb, levels in rules
            if verb == access and levels[0] == family and levels[1] in ("+", "#") and (levels[1] == "#" or levels[2:] == [leaf])}


def keeps(row):
    words = [word for word in ("stored", "sync", "retained") if row[word]]
    return ", ".join(words + (["reserve"] if row["urgent"] else [])) or "never stored"


def topics():
    rules, rows = policy_rules(), message_types()
    lines = ["| topic | who may publish | who may read | schema | keeps |", "|---|---|---|---|---|"]
    for row in rows:
        if row["kind"]:
            continue  # it travels where another type does
        where = row["family"], row["leaf"]
        lines.append(f"| `{where[0]}/<{where[0]}>/{where[1]}` | {allowed(rules, 'publish', *where)} | {allowed(rules, 'read', *where)} | "
                     f"[{row['schema']}](#{row['schema']}) | {keeps(row)} |")
    lines.append(f"| `user/<user>/rejected` | Mayday itself | {allowed(rules, 'read', 'user', 'rejected')} | [rejected](#rejected) | |")
    return lines


# ---- payloads


def resolve(root, node):
    """A property with what it refers to, and the name of that definition."""
    if "$ref" not in node:
        return node, None
    name = node["$ref"].rsplit("/", 1)[1]
    return {**root["$defs"][name], **{k: v for k, v in node.items() if k != "$ref"}}, name


def number(value):
    return str(value).replace("-", "−")


def bounds(node, low, high, unit=""):
    if low in node and high in node:
        return f", {number(node[low])} to {number(node[high])}{unit}"
    if high in node:
        return f", at most {node[high]}{unit}"
    return f", at least {node[low]}{unit}" if low in node else ""


def spelled(root, node):
    """What values a field takes, in a few words."""
    node, name = resolve(root, node)
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return " · ".join(f"`{value}`" for value in node["enum"])
    if name == "uuid":
        return "UUIDv7"
    if name == "time":
        return "time"
    if name == "location":
        return "object as [location](#location), from `lat` to `battery`"
    kind = node.get("type")
    if kind in ("number", "integer"):
        return kind + bounds(node, "minimum", "maximum")
    if kind == "string":
        pattern = f", `{node['pattern']}`".replace("|", "\\|") if "pattern" in node and not name and len(node["pattern"]) < 60 else ""
        return ("a line of text" if name == "line" else name if name in ("text", "person") else "string") + (
            bounds(node, "low", "maxLength", " characters")) + pattern
    if kind == "array":
        inner = resolve(root, node["items"])[0]
        what = "objects" if inner.get("type") == "object" else spelled(root, node["items"])
        return f"array{bounds(node, 'minItems', 'maxItems', ' of')}: {what}" if "maxItems" in node else f"array of {what}"
    return kind or "any"


def fields(root, node, prefix=""):
    """One line for each field, those of nested objects below their parent."""
    for name, raw in node["properties"].items():
        full, definition = resolve(root, raw)
        required = "yes" if name in node.get("required", []) else ""
        yield f"| `{prefix}{name}` | {spelled(root, raw)} | {required} | {prose(full.get('description', ''))} |", raw
        inner, mark = full, "."
        if full.get("type") == "array":
            inner, mark = resolve(root, full["items"])[0], "[]."
        if inner.get("type") == "object" and "properties" in inner and definition != "location":
            yield from fields(root, inner, prefix + name + mark)


def prose(text):
    """A schema's words for Markdown, which would take <alert> for HTML."""
    return re.sub(r"[$\w]*(?:/\w+)*/?<\w+>(?:/\w+)*|\$\w+(?:/\w+)+", lambda found: f"`{found.group(0)}`", text)


def names(words):
    return " and ".join(f"`{w}`" for w in words)


def conditions(root):
    """The rules between fields, as sentences."""
    if "anyOf" in root:
        yield "At least one of " + ", ".join(names(branch["required"]) for branch in root["anyOf"]) + "."
    for rule in root.get("allOf", []) + ([root] if "if" in root else []):
        (field, test), = rule["if"]["properties"].items()
        case = f"`{field}` " + " or ".join(f"`{v}`" for v in test.get("enum", [test.get("const")]))
        barred = [n for n, value in rule.get("else", {}).get("properties", {}).items() if value is False]
        parts = [f"needs {names(rule['then']['required'])}"] if "then" in rule else []
        parts += [f"{names(barred)} only there"] if barred else []
        yield f"{case}: {'; '.join(parts)}."


def section(name, usual):
    root = schema(name)
    shown = [line for line, raw in fields(root, root) if not any(raw == usual.get(c) and f"| `{c}` |" in line for c in COMMON)]
    title = root["title"] + ("" if root["title"][-1] in '.?!"' else ".")
    lines = ["", f"### {name}", "", f"**{title}** {prose(root['description'])}", "", "| field | value | required | meaning |", "|---|---|---|---|", *shown]
    said = " ".join(conditions(root))
    return lines + (["", said] if said else [])


def messages():
    usual = schema("raise")
    usual = {name: usual["properties"][name] for name in COMMON}
    raised = schema("raise")
    lines = ["| field | value | required | meaning |", "|---|---|---|---|"]
    lines += [line for line, raw in fields(raised, {"properties": usual, "required": raised["required"]})]
    listed = list(dict.fromkeys(row["schema"] for row in message_types()))
    listed += sorted({p.stem for p in (ROOT / "schemas").glob("*.json")} - set(listed))
    for name in listed:
        lines += section(name, usual)
    return lines


# ---- the document

BLOCKS = {"topics": topics, "actions": actions, "limits": limits, "messages": messages}


def rendered(text):
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name}: begin (tests/house/protocol_doc.py --write) -->", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"docs/protocol.md: the markers of '{name}' are missing")
        head, rest = text.split(begin)
        text = head + begin + "\n" + "\n".join(make()) + "\n" + end + rest.split(end)[1]
    return text


def codes_differ(text, block, wanted):
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        return [f"docs/protocol.md: the markers of '{block}' are missing"]
    listed = set(re.findall(r"^\| `(\w+)` \|", text.split(begin)[1].split(end)[0], re.M))
    return [f"docs/protocol.md: the refusal code {code} is {'not listed' if code in wanted else 'never sent'} ({block})" for code in sorted(listed ^ wanted)]


def main():
    found = DOCUMENT.read_text()
    wanted = rendered(found)
    wrong = codes_differ(found, "codes", refusal_codes()) + codes_differ(found, "judgements", judgement_codes())
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(wanted)
    else:
        wrong += list(difflib.unified_diff(found.split("\n"), wanted.split("\n"), "docs/protocol.md", "as the sources have it", lineterm="", n=1))
    print("\n".join(wrong) or "docs/protocol.md agrees with its sources")
    return 1 if wrong else 0


sys.exit(main())
