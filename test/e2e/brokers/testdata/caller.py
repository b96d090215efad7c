"""A client of several brokers, which does what caller_test.go's does, line by line. Usage: caller.py PATIENCE ENDPOINT WEIGHT ..."""
import collections
import json
import sys
import threading
import time

import troupe

brokers = [(url, int(weight)) for url, weight in zip(sys.argv[2::2], sys.argv[3::2])]
client = troupe.Client(brokers, patience=float(sys.argv[1]))
hits: list = []


def answered(hit, body):
    same, _, thread = hit.call(body, timeout=30).partition(b" ")
    if same != body or int(thread) != hit.thread:
        raise ValueError(f"asked {body!r} on thread {hit.thread}, got {same!r} from {thread!r}")


def awaits(url):
    until = time.monotonic() + 30
    while not client.is_alive(timeout=1, broker=url):
        if time.monotonic() > until:
            raise TimeoutError(url)
        time.sleep(0.01)
    return {}


def spread(count, lanes):
    at: collections.Counter = collections.Counter()
    wrong: list = []

    def lane(number):
        try:
            for i in range(number, int(count), int(lanes)):
                hit = client.open("berth")
                answered(hit, b"%d" % i)
                hits.append(hit)
                at[hit.worker] += 1
        except Exception as error:
            wrong.append(error)
    threads = [threading.Thread(target=lane, args=(number,)) for number in range(int(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return at


def do(count):
    return collections.Counter(client.do("name").decode() for _ in range(int(count)))


def verify():
    for i, hit in enumerate(hits):
        answered(hit, b"%d" % i)
    return {}


def release():
    while hits:
        hits.pop().close()
    return {}


for line in sys.stdin:
    command, *args = line.split()
    try:
        print(json.dumps({"awaits": awaits, "spread": spread, "do": do, "verify": verify, "release": release}[command](*args)), flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
client.close()
