#!/usr/bin/python3
"""A whole worker: two services, each open hit on a thread of its own. Usage: upper_worker.py [ENDPOINT]"""
import sys

from troupe import serve, service


@service("upper", slots=8)
def upper(call):
    return call.body.upper()


@service("counter", slots=8)
class Counter:
    def open(self, session):
        self.total = session.get("start", 0)

    def call(self, call):
        self.total += int(call.body)
        return str(self.total)


serve(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5701")
