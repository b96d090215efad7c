#!/usr/bin/python3
"""Database sessions: each hit is one sqlite3 connection, which refuses every other thread than its own.

Usage: worker.py DATABASE [ENDPOINT [SLOTS]]. What it takes and gives is written down in README.md.
"""
import json
import os
import pathlib
import sqlite3
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from troupe import ServiceError, serve, service  # noqa: E402

if not 2 <= len(sys.argv) <= 4:
    sys.exit(__doc__)
DATABASE, ENDPOINT, SLOTS = sys.argv[1:] + ["tcp://127.0.0.1:5701", "16"][len(sys.argv) - 2:]


def fits(value):
    return value is None or type(value) in (float, str) or type(value) is int and -2**63 <= value < 2**63


@service("sqlite", slots=int(SLOTS))
class Session:
    def open(self, session):
        seconds = session.get("busy_timeout_ms", 5000) / 1000
        self.db = sqlite3.connect(DATABASE, timeout=seconds, isolation_level=None)  # BEGIN and COMMIT are the client's
        self.db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # a client has the operator's file, and no other

    def call(self, call):
        self.db.set_progress_handler(call.cancelled.is_set, 10_000)  # interrupts a statement that was cancelled
        request, before = json.loads(call.body), self.db.total_changes
        args = request.get("args", [])
        if wrong := [arg for arg in args if not fits(arg)]:  # of these, sqlite3 tells the text and code of an earlier error
            raise ServiceError(f"args has {wrong[0]!r:.40}: send null, strings, and numbers of at most 64 bits", why={"sqlite": 0})
        try:
            rows = self.db.execute(request["sql"], args).fetchall()
        except sqlite3.Error as error:
            call.check()
            raise ServiceError(str(error), why={"sqlite": getattr(error, "sqlite_errorcode", 0)})
        return json.dumps({"rows": rows, "changes": self.db.total_changes - before,
                           "thread": threading.get_native_id(), "pid": os.getpid()})

    def close(self):
        self.db.close()  # rolls back what was not committed


db = sqlite3.connect(DATABASE)
db.execute("PRAGMA journal_mode = WAL")  # stays with the file: readers and a writer do not wait for each other
db.close()
serve(ENDPOINT)
