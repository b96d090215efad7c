"""Asks whether worker and broker are alive, while another thread waits for a call. Usage: asks.py ENDPOINT TIMES"""
import sys
import threading

import troupe

client = troupe.Client(sys.argv[1])
hit = client.open("hold")


def call():
    try:
        hit.call(b"x")
    except troupe.TroupeError:
        pass  # the broker goes in the end


threading.Thread(target=call, daemon=True).start()
while True:
    vitals = hit.is_alive()
    if not vitals or vitals.peer != "worker":
        print("worker: not alive:", vitals, flush=True)
        break
    if vitals.running and vitals.progress_ms > int(sys.argv[2]) * vitals.within_ms:
        print("worker: busy", flush=True)
        break
print("broker:", "alive" if client.is_alive() else "not alive", flush=True)
for line in sys.stdin:
    vitals = client.is_alive(timeout=0.2)
    print("broker:", "alive" if vitals else "silent" if "answered" in vitals.by else "lost", flush=True)
