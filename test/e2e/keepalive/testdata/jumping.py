"""Worker and client under a wall clock that jumps. Usage: jumping.py CLIENTS WORKERS"""
import sys
import time

import troupe

first, second = time.time(), time.time()
if abs(second - first) < 80000:
    sys.exit("the wall clock does not jump, so this would prove nothing")


def wait(call):
    if call.body == b"for-ever":
        while True:
            call.check()
            time.sleep(0.001)
    return call.body


worker = troupe.Worker(sys.argv[2], {"wait": (lambda: type("Wait", (), {"call": lambda self, call: wait(call)})(), 4)}, name="jumping")
with troupe.Client(sys.argv[1]) as client:
    hit = client.open("wait", resume=60, timeout=20)
    for i in range(100):
        assert hit.call(b"%d" % i, timeout=20) == b"%d" % i
    try:
        hit.call(b"for-ever", timeout=0.2)
    except (troupe.Expired, troupe.Cancelled):  # whoever finds out first, client or worker
        print("expired", flush=True)
    print("alive:", bool(hit.is_alive()), bool(client.is_alive()), flush=True)
    hit.call(b"once more", timeout=20)
    print("ready", flush=True)
    for line in sys.stdin:
        print("answered", hit.call(line.strip().encode(), timeout=20).decode(), flush=True)
worker.stop()
