"""Worker and client of troupe.py at a broker with keys.

usage: library.py CLIENTS WORKERS CLIENT-KEY WORKER-KEY STRANGER-KEY
"""
import os
import sys

import troupe


def main(clients, workers, client_key, worker_key, stranger_key):
    worker = troupe.Worker(workers, {"up": (lambda: Upper(), 2)}, key=worker_key)
    assert worker.welcomed.wait(30)
    with troupe.Client(clients, key=client_key) as client:
        print("reply", client.do("up", b"hello", timeout=20).decode(), flush=True)
        try:
            client.do("down", b"hello", timeout=20)
        except troupe.Refused as error:
            print("refused", error.text, flush=True)
    os.environ["TROUPE_KEY"] = client_key
    with troupe.Client(clients) as client:
        print("by environment", client.do("up", b"hello", timeout=20).decode(), flush=True)
    with troupe.Client(clients, key=stranger_key) as client:
        try:
            client.do("up", b"hello", timeout=2)
        except troupe.Refused as error:
            print("turned away", error.text, flush=True)
    with troupe.Client(clients, key="") as client:
        try:
            client.do("up", b"hello", timeout=1)
        except (troupe.Refused, troupe.BrokerGone) as error:  # whoever reads the other's greeting first knows why
            print("no key", error.text, flush=True)
    for bad in (client_key[:-1], client_key[:20] + ("A" if client_key[20] != "A" else "B") + client_key[21:], "nothing", __file__):
        try:
            troupe.Client(clients, key=bad)
        except ValueError as error:
            assert client_key[20:40] not in str(error)
            print("bad", error, flush=True)
    worker.stop()
    worker.join()
    print("done", flush=True)


class Upper:
    def call(self, call):
        return call.body.upper()


main(*sys.argv[1:])
