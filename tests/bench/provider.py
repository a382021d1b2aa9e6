"""The simulator of the providers (tests/support/providers) in a process of its own, for tools/bench: it notes when each request to
send a text was there, by the clock that all processes of a machine share.

    provider.py FOLDER [RECEIPTS]

The gateway's settings, as JSON, are the first line on stdout. Then each line on stdin is a question, answered by one line:
{"do": "route", "port": N} leads the public address there; {"do": "take"} gives what came since, as [nanoseconds, body]
each; {"do": "violations"} what a provider would have refused. It ends with stdin. RECEIPTS: "once" or "never"."""
import gc
import json
import os
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from support.providers import Simulator  # noqa: E402


def main(folder, receipts="never"):
    sim, arrived = Simulator(), []
    sim.keep = False

    def note(request):
        if request.method == "POST" and request.path.endswith(("/Messages.json", "/sms/json")):
            arrived.append((time.monotonic_ns(), request.body.decode()))

    def take():
        with sim.lock:
            taken, arrived[:] = list(arrived), []
        return taken

    sim.extra = note
    sim.script("*", "*", "sms", receipts=receipts)
    gc.disable()  # it would stop the clock's reader at any moment
    with sim:
        settings = sim.settings(Path(folder))
        print(json.dumps({"settings": settings, "port": sim.port, "public_url": sim.public_url, "accounts": sim.accounts()},
                         default=str), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["do"] == "route":
                sim.route(asked["port"])
                answer = True
            elif asked["do"] == "take":
                answer = take()
            else:
                answer = sim.forgive()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
