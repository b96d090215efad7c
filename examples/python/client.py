#!/usr/bin/python3
"""A small client of upper_worker.py. Usage: client.py [ENDPOINT]"""
import sys

from troupe import Client, Outcome, ServiceError, TroupeError

with Client(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5700") as client:
    print("one call, one message:", client.do("upper", b"hello", timeout=5).decode())

    with client.open("counter", session={"start": 40}, label="example") as hit:
        print(f"a session at worker {hit.worker}, on one thread to its end:")
        waiting = [hit.call_async(b"1") for _ in range(2)]
        print("  calls run in order:", *(future.result(5).decode() for future in waiting))
        try:
            hit.call(b"not a number", timeout=5)
        except ServiceError as error:
            print("  an error of the service, after which the session goes on:", error.text)
        print("  the total is still there:", hit.call(b"0", timeout=5).decode())

    try:
        client.do("no-such-service", timeout=1)
    except TroupeError as error:
        print(f"an error to branch on: {error.name}, safe to try again: {error.outcome is Outcome.never_started}")
