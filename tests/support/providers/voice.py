"""What is said and asked in a call: TwiML and NCCO, read as strictly as their makers' documents have it, into the same few steps:
("say", text), ("menu", steps said meanwhile, how), ("pause",), ("hang up",), ("go", url)."""
import json
import xml.etree.ElementTree as ElementTree

NAME = "{http://www.w3.org/XML/1998/namespace}"
TWIML = {
    "Say": {"voice", "language", "loop"},
    "Gather": {"input", "action", "method", "timeout", "numDigits", "finishOnKey", "language", "actionOnEmptyResult", "hints", "bargeIn",
               "speechTimeout", "partialResultCallback", "partialResultCallbackMethod", "profanityFilter", "enhanced", "speechModel",
               "minDigits", "maxDigits"} - {"minDigits", "maxDigits", "bargeIn"},
    "Pause": {"length"}, "Hangup": set(), "Redirect": {"method"}, "Play": {"loop", "digits"}, "Reject": {"reason"},
    "Message": {"to", "from", "action", "method", "statusCallback"},
}
SSML = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w", "amazon:effect"}
KEYS = set("0123456789*#")


class Wrong(Exception):
    """The provider would not take it."""


def positive(value, what, least=1, most=None):
    if not str(value).isdigit() or int(value) < least or (most is not None and int(value) > most):
        raise Wrong(f"{what} is {value!r}")
    return int(value)


def url(value, what):
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or any(c.isspace() for c in value):
        raise Wrong(f"{what} is no absolute address: {value!r}")
    return value


def twiml(text, base=None):
    """The steps of a TwiML document. `base`: the address it came from; without one addresses in it must be absolute."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as why:
        raise Wrong(f"the TwiML is not well-formed: {why}") from why
    if root.tag != "Response":
        raise Wrong(f"the TwiML's root is {root.tag}")
    if (root.text or "").strip():
        raise Wrong(f"text outside of verbs: {root.text.strip()!r}")
    return [verb(each, base, ()) for each in root]


def verb(node, base, within):
    if node.tag not in TWIML:
        raise Wrong(f"the verb {node.tag} is not to be here")
    for name in node.attrib:
        if name not in TWIML[node.tag]:
            raise Wrong(f"{node.tag} has no attribute {name}")
    if (node.tail or "").strip():
        raise Wrong(f"text outside of verbs: {node.tail.strip()!r}")
    if within and node.tag not in ("Say", "Play", "Pause"):
        raise Wrong(f"{node.tag} in {within[-1]}")
    if node.tag == "Say":
        return "say", spoken(node)
    if node.tag == "Gather":
        return gather(node, base)
    if node.tag == "Pause":
        positive(node.get("length", "1"), "Pause's length")
        return ("pause",)
    if node.tag == "Redirect":
        return "go", address((node.text or "").strip(), base, "Redirect")
    if node.tag == "Message":
        return "text", (node.text or "").strip()
    return ("hang up",) if node.tag in ("Hangup", "Reject") else ("pause",)


def spoken(node):
    for each in node.iter():
        if each is not node and each.tag not in SSML:
            raise Wrong(f"{each.tag} in Say")
    said = " ".join("".join(node.itertext()).split())
    if not said:
        raise Wrong("Say without words")
    if len(said) > 4096:
        raise Wrong(f"Say of {len(said)} characters")
    positive(node.get("loop", "1"), "Say's loop", 0)
    return said


def address(value, base, what):
    if base is None:
        return url(value, what)
    import urllib.parse
    return urllib.parse.urljoin(base, value)


def gather(node, base):
    if node.get("input", "dtmf") not in ("dtmf", "speech", "dtmf speech", "speech dtmf"):
        raise Wrong(f"Gather's input is {node.get('input')!r}")
    if node.get("method", "POST") not in ("POST", "GET"):
        raise Wrong(f"Gather's method is {node.get('method')!r}")
    if node.get("actionOnEmptyResult", "false") not in ("true", "false"):
        raise Wrong("Gather's actionOnEmptyResult is neither true nor false")
    if node.get("timeout", "5") != "auto":
        positive(node.get("timeout", "5"), "Gather's timeout")
    digits = positive(node.get("numDigits", "1"), "Gather's numDigits")
    if node.get("action") is None and base is None:
        raise Wrong("Gather has no action")
    if len(node.get("finishOnKey", "#")) > 1 or not set(node.get("finishOnKey", "#")) <= KEYS:
        raise Wrong(f"Gather's finishOnKey is {node.get('finishOnKey')!r}")
    if (node.text or "").strip():
        raise Wrong("text in Gather")
    inner = [verb(each, base, ("Gather",)) for each in node]
    return "menu", inner, {"action": address(node.get("action", ""), base, "Gather's action"), "method": node.get("method", "POST"),
                           "digits": digits, "empty": node.get("actionOnEmptyResult") == "true"}


NCCO = {
    "talk": {"action", "text", "bargeIn", "loop", "level", "language", "style", "premium", "voiceName"},
    "input": {"action", "type", "dtmf", "speech", "eventUrl", "eventMethod", "mode"},
    "stream": {"action", "streamUrl", "level", "bargeIn", "loop"},
    "wait": {"action", "timeout"},
    "notify": {"action", "payload", "eventUrl", "eventMethod"},
}


def ncco(actions):
    """The steps of an NCCO: a list, or the JSON of one."""
    if isinstance(actions, (str, bytes)):
        try:
            actions = json.loads(actions)
        except ValueError as why:
            raise Wrong(f"the NCCO is no JSON: {why}") from why
    if not isinstance(actions, list):
        raise Wrong("the NCCO is no array")
    steps = []
    for place, each in enumerate(actions):
        if not isinstance(each, dict) or each.get("action") not in NCCO:
            raise Wrong(f"the action {each!r} is not to be here")
        for name in each:
            if name not in NCCO[each["action"]]:
                raise Wrong(f"{each['action']} has no member {name}")
        if each["action"] == "talk":
            if each.get("bargeIn") and not any(a.get("action") == "input" for a in actions[place + 1:] if isinstance(a, dict)):
                raise Wrong("talk with bargeIn, and no input behind it")
            steps.append(("say", talk(each)))
        elif each["action"] == "input":
            steps.append(("menu", [], input_(each)))
        else:
            steps.append(("pause",))
    return steps


def talk(action):
    if not isinstance(action.get("text"), str) or not action["text"].strip():
        raise Wrong("talk without text")
    if len(action["text"]) > 1500:
        raise Wrong(f"talk of {len(action['text'])} characters")
    if not isinstance(action.get("bargeIn", False), bool) or not isinstance(action.get("premium", False), bool):
        raise Wrong("talk's bargeIn and premium are true or false")
    if "loop" in action and (not isinstance(action["loop"], int) or action["loop"] < 0):
        raise Wrong(f"talk's loop is {action['loop']!r}")
    if "level" in action and not -1 <= float(action["level"]) <= 1:
        raise Wrong(f"talk's level is {action['level']!r}")
    if not isinstance(action.get("language", "en-US"), str) or not isinstance(action.get("style", 0), int):
        raise Wrong("talk's language is a word and its style a number")
    return " ".join(action["text"].split())


def input_(action):
    kinds = action.get("type")
    if not isinstance(kinds, list) or not kinds or not set(kinds) <= {"dtmf", "speech"}:
        raise Wrong(f"input's type is {kinds!r}")
    how = action.get("dtmf", {})
    if not isinstance(how, dict) or not set(how) <= {"maxDigits", "timeOut", "submitOnHash"}:
        raise Wrong(f"input's dtmf is {how!r}")
    for name, least, most in (("maxDigits", 1, 20), ("timeOut", 0, 10)):
        value = how.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Wrong(f"input's {name} is {value!r}")
    if not isinstance(how.get("submitOnHash", False), bool):
        raise Wrong("input's submitOnHash is true or false")
    urls = action.get("eventUrl")
    if urls is not None and (not isinstance(urls, list) or len(urls) != 1):
        raise Wrong(f"input's eventUrl is {urls!r}")
    if action.get("eventMethod", "POST") not in ("POST", "GET"):
        raise Wrong(f"input's eventMethod is {action['eventMethod']!r}")
    return {"action": url(urls[0], "input's eventUrl") if urls else None, "digits": how.get("maxDigits", 4), "empty": True,
            "method": action.get("eventMethod", "POST")}
