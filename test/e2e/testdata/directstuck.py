"""A worker whose direct calls give no sign until they are cancelled. Usage: directstuck.py WORKERS"""
import sys
import time

import troupe


class Sleeps:
    def call(self, call):
        if call.body == b"hold":
            call.hold(60)
        while True:
            call.check()
            time.sleep(0.01)


troupe.service("python-fails", slots=4, repair="fail")(Sleeps)
worker = troupe.Worker(sys.argv[1], name="python", direct_bind="tcp://127.0.0.1:0")
assert worker.welcomed.wait(30)
print("registered", flush=True)
worker.join()
