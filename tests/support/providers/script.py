"""What tests want providers and phones to do."""
from dataclasses import dataclass, field

GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./"
          "0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà")
GSM_TWO = set("^{}\\[~]|€\f")


@dataclass
class Script:
    """One instruction. Of those that fit a request the youngest counts, and it alone."""
    number: str = "*"    # E.164
    provider: str = "*"  # "twilio", "vonage", "webhook", or one of their kinds: "twilio-sms"
    kind: str = "*"      # "sms", "voice", "webhook"; "*": all of these; "list", "fetch"; "all": everything
    times: int = None    # then it is spent

    # ---- how the request is answered
    slow: float = 0.0        # seconds later; what was asked for is done before
    http: int = None         # this status instead of doing it
    retry_after: int = None  # a header, with `http`
    code: int = None         # refused with this error of the provider's: 21211; of Vonage's texts the status in the 200: 1, 9...
    # "hang-after", "cut-after": it is done and the answer never comes; "hang-before", "cut-before": it is not done;
    # "html", "garbage", "huge", "short": done, and the answer is not to be understood, or not whole
    fault: str = None
    size: int = 100 << 20    # of a huge answer
    parts: tuple = None      # Vonage's texts: the status of each part

    # ---- what becomes of a text
    text: str = "delivered"  # or "queued", "sent": nothing more is heard; "undelivered", "failed", "expired", "rejected"
    text_code: int = None    # and why: 30006

    # ---- what becomes of a call
    call: str = "answer"     # "busy", "no-answer", "failed", "canceled", "machine"
    # What is pressed at each menu; None: silence. Then they hang up. Without it somebody has the phone in their hand and waits for
    # phone.press().
    keys: tuple = None
    rings: float = 0.0       # seconds, before anything comes of the call

    # ---- how we hear of it
    receipts: str = "once"   # "never", "reversed", "early": before the request is answered
    late: float = 0.0        # seconds
    repeat: int = 1          # so often each
    forged: bool = False     # signed with another secret
    unsigned: bool = False
    extra: dict = field(default_factory=dict)  # more parameters

    used: int = 0

    def fits(self, provider, kind, number):
        if self.times is not None and self.used >= self.times:
            return False
        if self.provider not in ("*", provider, f"{provider}-{kind}"):
            return False
        if self.kind != "all" and kind not in (("sms", "voice", "webhook") if self.kind == "*" else (self.kind,)):
            return False
        return self.number in ("*", number)

    @property
    def done(self):
        """Is what is asked for done?"""
        return self.http is None and self.code is None and self.fault not in ("hang-before", "cut-before")


def segments(text):
    """(how many parts, is it GSM-7)."""
    if all(c in GSM or c in GSM_TWO for c in text):
        length = sum(2 if c in GSM_TWO else 1 for c in text)
        return (1 if length <= 160 else -(-length // 153)), True
    length = len(text.encode("utf-16-le")) // 2
    return (1 if length <= 70 else -(-length // 67)), False
