"""The witness of the proof of affinity in Python: says about each call what witness_test.go's says. Usage: witness.py ENDPOINT NAME SLOTS BARRIER LIMIT"""
import json
import os
import sys
import threading

import troupe

endpoint, name, slots, want, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
local = threading.local()
counts = {"Opened": 0, "Closed": 0, "Broken": 0, "First": ""}
counting = threading.Lock()
inside: set = set()
barrier = threading.Barrier(want)


@troupe.service("witness", slots=slots)
class Witness:
    def open(self, session):
        self.value, self.thread, self.seq, self.lanes, self.wrong = session, threading.get_native_id(), 0, {}, ""
        local.value = session
        with counting:
            counts["Opened"] += 1

    def blame(self, text):
        if not self.wrong:
            self.wrong = text
            with counting:
                counts["Broken"] += 1
                counts["First"] = counts["First"] or text

    def check(self, when):
        if threading.get_native_id() != self.thread:
            self.blame(f"{when} ran on thread {threading.get_native_id()}, the opening on {self.thread}")
        if getattr(local, "value", None) != self.value:
            self.blame(f"{when} found the thread-local value {getattr(local, 'value', None)}, the opening left {self.value}")

    def call(self, call):
        self.check("a call")
        if call.seq != self.seq + 1:
            self.blame(f"call {call.seq} came after call {self.seq}")
        self.seq = call.seq
        said = {"hit": call.hit, "seq": call.seq, "thread": threading.get_native_id(), "value": local.value}
        if call.body == b"barrier":
            with counting:
                inside.add(self.thread)
            barrier.wait(limit)
            kernel = {int(task) for task in os.listdir("/proc/self/task")}
            said["inside"] = len(inside & kernel)
            self.check("the end of the barrier")
        else:
            said["lane"], said["number"] = map(int, call.body.split())
            last = self.lanes.get(said["lane"], 0)
            if said["number"] != last + 1:
                self.blame(f"lane {said['lane']}: call {said['number']} came after call {last}")
            self.lanes[said["lane"]] = said["number"]
        said["wrong"] = self.wrong
        return json.dumps(said)

    def close(self):
        self.check("the close")
        with counting:
            counts["Closed"] += 1


@troupe.service("verdict", slots=slots)
def verdict(call):
    with counting:
        return json.dumps(counts)


worker = troupe.Worker(endpoint, name=name)
worker.welcomed.wait()
print("registered", flush=True)
sys.stdin.read()
worker.drain()
worker.join()
