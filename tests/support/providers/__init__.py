"""The providers in a test's hands: Twilio, Vonage and a receiver of webhooks on one port of 127.0.0.1, and the phones they reach.

    with Simulator() as sim:
        sim.script("+27821110001", "twilio", http=503, times=1)
        sim.script("+27821110002", call="busy")
        ...
        sim.phone("+27821110001").wait_text("OK")
        sim.phone("+27821110001").reply("OK")
        sim.assert_strict()

    sim.script(BEN, "twilio", fault="hang-after")        it goes out, and nobody says so
    sim.script(BEN, keys=("9", "1"))                     presses these in a call; without it, phone.press() does
    sim.script(BEN, text="undelivered", text_code=30006) a landline
    sim.down("twilio", http=503); sim.up()               all of one provider, and back
    sim.receipt(text, "delivered", times=3)              any receipt, whenever
    site.gateway(providers=sim)                          a gateway that knows no other world

It takes what the providers would take and nothing else; whatever they would refuse is remembered and fails assert_strict().
It all happens on one thread with an asyncio loop; tests read under its lock and wait for states."""
from .script import Script, segments
from .simulator import Hit, Hook, Simulator

__all__ = ["Hit", "Hook", "Script", "Simulator", "segments"]
