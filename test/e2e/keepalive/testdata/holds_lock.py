"""Keeps the interpreter's lock for an hour, in C. Usage: holds_lock.py worker|client ENDPOINT"""
import ctypes
import sys

import troupe

libc = ctypes.PyDLL(None)  # unlike CDLL, it keeps the lock while it calls


def hold():
    print("holds", flush=True)
    libc.sleep(3600)


if sys.argv[1] == "worker":
    @troupe.service("lock", slots=1)
    def lock(call):
        hold()

    worker = troupe.Worker(sys.argv[2])
    worker.welcomed.wait()
    print("registered", flush=True)
    sys.stdin.read()
else:
    hit = troupe.Client(sys.argv[2]).open("ask", resume=60)
    hit.call_async(b"x")
    while not hit.is_alive().running:  # then the call is at the broker
        pass
    print("called", flush=True)
    hold()
