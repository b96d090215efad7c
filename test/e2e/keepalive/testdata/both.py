"""A client and a worker whose broker goes. Usage: both.py CLIENTS WORKERS"""
import sys
import threading

import troupe

begun = threading.Event()


class Hold:
    def open(self, session):
        self.thread = threading.get_native_id()

    def call(self, call):
        begun.set()
        call.cancelled.wait()

    def close(self):
        print("worker: closed on its thread" if threading.get_native_id() == self.thread else "worker: closed elsewhere", flush=True)


worker = troupe.Worker(sys.argv[2], {"hold": (Hold, 1)})
client = troupe.Client(sys.argv[1])
hit = client.open("hold")
call = hit.call_async(b"x")
begun.wait()
print("begun", flush=True)
error = call.exception()
print("client:", error.name, error.outcome.name, flush=True)
sys.stdin.read()
