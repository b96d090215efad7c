"""A worker of the chaos test in Python: the same service as in service.go, and the same journal. Usage: worker.py CONFIG (JSON)"""
import json
import os
import sys
import threading
import time

from troupe import Parts, serve, service

config = json.loads(sys.argv[1])
journal = os.open(config["Journal"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)


def note(*fields):
    os.write(journal, (" ".join(map(str, fields)) + "\n").encode())


def work(ms):
    end = time.monotonic() - ms / 1000
    while ms < 0 and time.monotonic() < end:
        pass
    time.sleep(max(ms, 0) / 1000)


def chunks(data):
    for at in range(0, len(data), 60000):
        yield data[at:at + 60000]


@service("chaos", slots=config["Slots"])
class Chaos:
    def open(self, session):
        self.key, self.count = session["key"], 0
        self.name = self.key

    def call(self, call):
        no, ms = map(int, call.body.split())
        note("B", self.name, no, call.seq, os.getpid(), threading.get_native_id(), time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        self.count += 1
        reply = f"{self.key} {no} {self.count}"
        body = call.input.read()
        if not body:
            work(ms)
        note("E", self.name, no)
        return Parts(chunks(body), reply, len(body)) if body else reply

    def close(self):
        note("C", self.name, os.getpid(), threading.get_native_id())


@service("chaos-again", slots=config["Slots"], repair="restart")
class Again(Chaos):
    def open(self, session):
        super().open(session)
        self.name = f"{self.key}~{time.clock_gettime_ns(time.CLOCK_MONOTONIC)}"


serve(config["Brokers"], name=config["Name"])
