"""Goes on with the hits of another worker. Usage: heir.py ENDPOINT"""
import sys

import troupe


class Heir:
    def call(self, call):
        return b"went on with " + call.body


worker = troupe.Worker(sys.argv[1], {"hold": (Heir, 1)})
worker.welcomed.wait()
print("registered", flush=True)
sys.stdin.read()
worker.stop()
worker.join()
