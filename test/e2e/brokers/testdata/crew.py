"""The crew of a worker in Python, which says what crew_test.go's says. Usage: crew.py CONFIG"""
import json
import sys
import threading

import troupe

config = json.loads(sys.argv[1])
account = {"Open": 0, "Most": 0, "Opened": 0, "Broken": ""}
on: dict = {}
lock = threading.Lock()


@troupe.service("berth", slots=config["Slots"])
class Berth:
    def open(self, session):
        self.thread = threading.get_native_id()
        with lock:
            if self.thread in on:
                account["Broken"] = account["Broken"] or f"a hit was opened on thread {self.thread}, which another one has"
            on[self.thread] = self
            account["Opened"] += 1
            account["Open"] += 1
            account["Most"] = max(account["Most"], account["Open"])

    def check(self, when):
        with lock:
            if threading.get_native_id() != self.thread or on.get(self.thread) is not self:
                account["Broken"] = account["Broken"] or f"{when} ran on thread {threading.get_native_id()}, the opening on {self.thread}"

    def call(self, call):
        self.check("a call")
        return call.body + b" " + str(self.thread).encode()

    def close(self):
        self.check("the close")
        with lock:
            del on[self.thread]
            account["Open"] -= 1


growth = {"max_slots": config["MaxSlots"], "slot_idle": config["SlotIdle"] / 1e9} if config["MaxSlots"] else {}
worker = troupe.Worker(config["Brokers"], name=config["Name"], slots=config["Slots"], **growth)
worker.welcomed.wait()
print("registered", flush=True)
for line in sys.stdin:
    if line.strip() == "tell":
        with lock:
            print("told", json.dumps(account), flush=True)
    elif line.strip() == "drain":
        worker.drain()
        threading.Thread(target=lambda: (worker.join(), print("drained", flush=True)), daemon=True).start()
worker.stop()
worker.join()
