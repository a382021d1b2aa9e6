"""A phone's view: what it received and what is done with it. The objects are filled by the simulator's thread and read by tests under
its lock."""
import time
from dataclasses import dataclass, field


@dataclass
class Text:
    """A text that a phone received."""
    body: str
    sender: str
    provider: str
    sid: str
    at: float  # time.time()


@dataclass
class Call:
    """A call to a phone, whatever became of it."""
    number: str
    sender: str
    provider: str
    sid: str
    at: float
    status: str = "queued"  # in the provider's words
    answered: bool = False
    machine: bool = False
    heard: list = field(default_factory=list)    # sentences, as they were spoken
    pressed: list = field(default_factory=list)
    menus: int = 0       # how often a key was awaited
    waiting: bool = False  # for a key
    over: bool = False
    started: float = None
    ended: float = None
    keys: object = field(default=None, repr=False)  # a queue of the simulator's loop
    task: object = field(default=None, repr=False)
    facts: dict = field(default_factory=dict, repr=False)  # what the provider keeps of it

    @property
    def said(self):
        return " ".join(self.heard)


class Phone:
    def __init__(self, simulator, number):
        self.simulator, self.number = simulator, number
        self.texts, self.calls = [], []

    def wait_texts(self, count=1, timeout=30):
        """The texts, once there are so many."""
        self.simulator.wait(lambda: len(self.texts) >= count, f"{self.number} received {count} texts", timeout, lambda: self.texts)
        return list(self.texts)

    def wait_text(self, *words, timeout=30):
        """The first text that has all these words."""
        def found():
            return next((t for t in self.texts if all(word in t.body for word in words)), None)
        return self.simulator.wait(found, f"{self.number} received a text with {words}", timeout, lambda: self.texts)

    def wait_calls(self, count=1, timeout=30):
        self.simulator.wait(lambda: len(self.calls) >= count, f"{self.number} was called {count} times", timeout, lambda: self.calls)
        return list(self.calls)

    def wait_over(self, count=1, timeout=30):
        """The calls, once so many are over."""
        self.simulator.wait(lambda: sum(c.over for c in self.calls) >= count, f"{count} calls to {self.number} ended", timeout,
                            lambda: self.calls)
        return list(self.calls)

    def wait_menu(self, timeout=30):
        """The call in which a key is awaited."""
        return self.simulator.wait(lambda: next((c for c in reversed(self.calls) if c.waiting), None),
                                   f"a call to {self.number} waits for a key", timeout, lambda: self.calls)

    def press(self, key, timeout=30):
        """Presses a key in a call that waits for one, and waits until what came of it was heard."""
        call = self.wait_menu(timeout)
        menus = call.menus
        call.waiting = False
        self.simulator.soon(call.keys.put_nowait, key)
        self.simulator.wait(lambda: call.over or call.menus > menus, f"pressing {key} at {self.number} had an answer", timeout,
                            lambda: call)
        return call

    def hang_up(self, timeout=30):
        call = self.wait_menu(timeout)
        self.simulator.soon(call.keys.put_nowait, "hang up")
        self.simulator.wait(lambda: call.over, f"the call to {self.number} is over", timeout)
        return call

    def reply(self, body, to=None, provider=None):
        """Writes back to whoever wrote last, or to a number of a provider's."""
        if provider is None or to is None:
            last = self.wait_texts()[-1]
            provider, to = provider or last.provider, to or last.sender
        return self.simulator.inbound(provider, self.number, to, body)


def now():
    return time.time()
