"""A client and a worker whose broker goes. Usage: both.py CLIENTS WORKERS"""
import sys
import threading

import troupe

begun = threading.Event()


def say(line):
    sys.stdout.write(line + "\n")  # in one piece: print writes several, and two threads speak here
    sys.stdout.flush()


class Hold:
    def open(self, session):
        self.thread = threading.get_native_id()

    def call(self, call):
        begun.set()
        call.cancelled.wait()

    def close(self):
        say("worker: closed on its thread" if threading.get_native_id() == self.thread else "worker: closed elsewhere")


worker = troupe.Worker(sys.argv[2], {"hold": (Hold, 1)}, silence=0.4)
client = troupe.Client(sys.argv[1], silence=0.4)
hit = client.open("hold")
call = hit.call_async(b"x")
begun.wait()
say("begun")
error = call.exception()
say(f"client: {error.name} {error.outcome.name} {error.why['verdict']}, {error.why['detector']}")
sys.stdin.read()
