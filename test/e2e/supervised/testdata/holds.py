"""Holds the interpreter's lock, in C, for as many ms as a call says. Usage: holds.py ENDPOINT LEASE"""
import ctypes
import sys

import troupe

libc = ctypes.PyDLL(None)  # unlike CDLL, it keeps the lock while it calls


@troupe.service("hold", slots=2, lease=float(sys.argv[2]))
def hold(call):
    if call.body.startswith(b"declared "):
        call.hold(60)
    libc.usleep(int(call.body.split()[-1]) * 1000)
    return b"held"


troupe.serve(sys.argv[1])
