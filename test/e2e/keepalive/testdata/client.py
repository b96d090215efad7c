"""A client with a call under way that does not end, and one-shots besides. Usage: client.py ENDPOINT [direct]"""
import sys

import troupe

client = troupe.Client(sys.argv[1], silence=0.4)  # and so it beats three times as often
hit = client.open("hold", direct=len(sys.argv) > 2)
hit.call_async(b"x")
print("opened", hit.thread, flush=True)
while True:
    client.do("chat")
