"""A client of the chaos test in Python: what visitor.go does, but for direct hits, one-shots and bodies in parts, and the same ledger. Usage: client.py CONFIG (JSON); it ends with its input."""
import json
import os
import random
import sys
import threading
import time

from troupe import Client, TroupeError

config = json.loads(sys.argv[1])
ledger = os.open(config["Ledger"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
over = threading.Event()
# What there may be when faults happen, and nobody is to blame.
TYPED = {"worker-gone", "broker-gone", "closed", "cancelled", "queue-full", "lease-over", "reply-lost", "fenced", "peer-slow", "unknown-service", "internal"}


def note(**told):
    os.write(ledger, (json.dumps(told) + "\n").encode())


def fail(error, told, begun):
    if not isinstance(error, TroupeError):
        note(wrong=f"an error that is no TroupeError: {error!r}", **told)
        raise error
    told |= {"status": error.name, "outcome": error.outcome.name.replace("_", " ")}
    if time.monotonic() - begun >= config["Patience"]:
        note(**told | ({"lost": True, "status": str(error)} if told["no"] else {}))
    elif error.name in TYPED or told["kind"] == "again" and error.name == "stuck":
        note(**told)
    else:
        note(wrong=f"an error that should not be here: {error}", **told)


def call(hit, told, idempotent):
    begun = time.monotonic()
    try:
        reply = hit.call(f"{told['no']} {random.choice([0, 0, 0, 1, 30])}", config["Patience"], idempotent=idempotent).decode()
    except Exception as error:
        fail(error, told, begun)
        return False
    key, no, count = reply.split()
    wrong = {} if (key, int(no)) == (told["key"], told["no"]) else {"wrong": f"the reply is {reply:.80}"}
    note(replied=True, count=int(count), **told, **wrong)
    return not wrong


def visit(client, key):
    kind, service, how = random.choice([("routed", "chaos", {}), ("resumable", "chaos", {"resume": 20}), ("again", "chaos-again", {})])
    begun = time.monotonic()
    try:
        hit = client.open(service, {"key": key}, key, config["Patience"], **how)
    except Exception as error:
        return fail(error, {"key": key, "no": 0, "kind": kind}, begun)
    for no in range(1, random.randint(2, 12)):
        if over.is_set() or not call(hit, {"key": key, "no": no, "kind": kind}, kind == "again"):
            break
        over.wait(random.random() * config["Pause"])
    try:
        hit.close()
    except TroupeError:
        pass  # its end was told


def visits(client, number):
    visit_no = 0
    while not over.is_set():
        visit_no += 1
        visit(client, f"{config['Name']}-{os.getpid()}-{number}-{visit_no}")


with Client(config["Brokers"], name=config["Name"]) as client:
    threads = [threading.Thread(target=visits, args=(client, n)) for n in range(config["Visitors"])]
    for t in threads:
        t.start()
    sys.stdin.read()
    over.set()
    for t in threads:
        t.join()
