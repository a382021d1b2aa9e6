"""Drives bin/drain: a journal and a writer without a broker."""
import json
import queue
import subprocess
import threading

from support import messages
from support.site import BUILD, wait_until


class Drain:
    """Records go in by send(); what the writer says comes back in `lines`, `members` and, at the end, `figures`."""

    def __init__(self, journal, dsn, **options):
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen([BUILD / "bin" / "drain", f"--journal={journal}", f"--database={dsn}", *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        bufsize=1)
        self.lines, self.members, self.figures, self.appended, self.stopped = [], [], None, 0, None
        self.errors = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def _read(self):
        for line in self.process.stdout:
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "appended":
                self.appended += 1
            elif kind == "member":
                self.members.append(tuple(rest.split(" ")))
            elif kind == "figures":
                self.figures = json.loads(rest)
            elif kind == "stopped":
                self.stopped = float(rest)
            self.lines.append(line.rstrip("\n"))

    def said(self, words):
        return [line for line in self.lines if words in line]

    def raw(self, text):
        self.process.stdin.write(json.dumps({"raw": text}) + "\n")

    def send(self, family, id_, leaf, payload, *, sender="ann", org="acme", roles="member", topic=None):
        self.process.stdin.write(json.dumps({"org": org, "sender": sender, "roles": roles, "payload": payload,
                                             "topic": topic or messages.topic(family, id_, leaf, org)}) + "\n")

    def expect(self, words, timeout=30):
        wait_until(lambda: self.said(words), f"the writer says '{words}'; it said {self.lines[-5:]}", timeout)

    def expect_member(self, *change, timeout=30):
        wait_until(lambda: change in self.members, f"{change}; came: {self.members[-5:]}", timeout)

    def finish(self, code=0, timeout=90):
        """No more input: waits until all is written and the writer has stopped; its figures."""
        self.process.stdin.close()
        self.process.wait(timeout)
        self.reader.join(10)
        assert self.process.returncode == code, self.process.stderr.read() + "\n".join(self.lines[-20:])
        return self.figures
