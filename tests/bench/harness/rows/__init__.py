"""The rows of the table, one file each, in the order they are printed. A row has a TITLE and a function
`measure(lab)` that returns its lines; each can be measured alone. Reference and ours alternate within a row, so that
both see the same machine, and the median of the rounds counts."""
from . import (access, alert, catchup, connect, crowd, decode, drain, engine, fanout, hooks, ingest, members, memory, outage, persist, raises, reach,
               restart, sensors, state, texts, tracks, vitals, zones)

ROWS = {"ingest": ingest, "persist": persist, "drain": drain, "raises": raises, "alert": alert, "fanout": fanout, "connect": connect,
        "access": access, "members": members, "memory": memory, "restart": restart, "catchup": catchup,
        "state": state, "reach": reach, "crowd": crowd, "texts": texts, "engine": engine, "hooks": hooks, "vitals": vitals,
        "decode": decode, "zones": zones, "outage": outage, "sensors": sensors, "tracks": tracks}

# One word for several.
GROUPS = {"escalation": ["reach", "crowd", "texts", "engine", "hooks"], "edge": ["outage", "sensors"]}
