"""A client with a call under way that does not end, and one-shots besides. Usage: client.py ENDPOINT"""
import sys

import troupe

client = troupe.Client(sys.argv[1])
hit = client.open("hold")
hit.call_async(b"x")
print("opened", hit.thread, flush=True)
while True:
    client.do("chat")
