"""The same broker twice. Usage: twice.py CLIENTS CLIENTS-AGAIN WORKERS WORKERS-AGAIN"""
import logging
import queue
import sys

import troupe

clients, workers = sys.argv[1:3], sys.argv[3:5]
said: queue.Queue = queue.Queue()
handler = logging.Handler(logging.ERROR)
handler.emit = lambda record: said.put(record.getMessage())
logging.getLogger().addHandler(handler)

try:
    troupe.Client([clients[0], clients[0]])
except ValueError as error:
    print("by one address:", error, flush=True)
worker = troupe.Worker(workers, {"echo": (lambda: type("Echo", (), {"call": lambda self, call: call.body})(), 2)}, name="w")
print("worker:", said.get(timeout=30), flush=True)
with troupe.Client(clients) as client:
    print("client:", said.get(timeout=30), flush=True)
    print("served:", client.do("echo", b"hello", timeout=30).decode(), flush=True)
worker.stop()
worker.join()
