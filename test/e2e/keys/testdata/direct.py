"""Direct hits over CURVE with troupe.py, one side or both.

usage: direct.py worker WORKERS WORKER-KEY
       direct.py client CLIENTS CLIENT-KEY
The client opens a direct hit per line that it reads, and prints the reply to it.
"""
import sys

import troupe


class Upper:
    def call(self, call):
        return call.body.upper()


def worker(workers, key):
    served = troupe.Worker(workers, {"up": (Upper, 4)}, key=key, direct_bind="tcp://127.0.0.1:0")
    assert served.welcomed.wait(30)
    print("serves", flush=True)
    sys.stdin.read()
    served.stop()
    served.join()


def client(clients, key):
    with troupe.Client(clients, key=key) as caller:
        for line in sys.stdin:
            try:
                with caller.open("up", timeout=20, direct=True) as hit:
                    print("reply", hit.call(line.strip().encode(), timeout=20).decode(), flush=True)
            except troupe.TroupeError as error:
                print("error", error.name, error.text, flush=True)


{"worker": worker, "client": client}[sys.argv[1]](*sys.argv[2:])
