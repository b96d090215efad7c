#!/usr/bin/python3
"""Database sessions: each hit is one sqlite3 connection, which refuses every other thread than its own.

Usage: worker.py DATABASE [ENDPOINT [SLOTS [DIRECT]]]. DIRECT is an endpoint of its own for direct hits. What it takes and gives is written down in README.md.
"""
import hashlib
import io
import json
import os
import pathlib
import sqlite3
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from troupe import Parts, ServiceError, serve, service  # noqa: E402

if not 2 <= len(sys.argv) <= 5:
    sys.exit(__doc__)
DATABASE, ENDPOINT, SLOTS, DIRECT = sys.argv[1:] + ["tcp://127.0.0.1:5701", "16", ""][len(sys.argv) - 2:]
MOST = 16 << 20  # bytes of a chunk, of which one is in memory


def fits(value):
    return value is None or type(value) in (float, str) or type(value) is int and -2**63 <= value < 2**63


def wrong(text):
    return ServiceError(text, why={"sqlite": 0})


def told(call, error):
    call.check()  # a statement that was interrupted is cancelled, and has no error of its own
    return ServiceError(str(error), why={"sqlite": getattr(error, "sqlite_errorcode", 0)})


def check(request, size):
    """Judges how the request and the body in parts behind it, of so many bytes, go together."""
    chunk, output = request.get("input"), request.get("output")
    if chunk is None and size:
        raise wrong('a body in parts came, and the call does not say what to do with it: give "input", the bytes per chunk')
    if chunk is not None and output:
        raise wrong('"input" and "output" in one call: the one stores a body, the other sends one; leave one of them out')
    if output and not request["sql"].upper().startswith(("SELECT", "WITH")):
        raise wrong('"output" with a statement that does not begin with SELECT or WITH: those have rows to send')
    if chunk is not None and (type(chunk) is not int or not 1 <= chunk <= MOST):
        raise wrong(f'"input" is {chunk!r:.40}: give the bytes per chunk, 1 to {MOST}')
    if chunk is not None and not request["sql"].upper().startswith(("INSERT", "REPLACE")):
        raise wrong('"input" with a statement that does not begin with INSERT or REPLACE: those take chunks, each with its number')


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
        if unfit := [arg for arg in args if not fits(arg)]:  # of these, sqlite3 tells the text and code of an earlier error
            raise wrong(f"args has {unfit[0]!r:.40}: send null, strings, and numbers of at most 64 bits")
        check(request, call.input.size)
        answer = {"thread": threading.get_native_id(), "pid": os.getpid()}
        if "input" in request:
            return json.dumps(answer | self.store(call, request, args) | {"rows": [], "changes": self.db.total_changes - before})
        try:
            cursor = self.db.execute(request["sql"], args)
            if request.get("output"):
                return Parts(self.column(call, cursor), json.dumps(answer))
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise told(call, error)
        return json.dumps(answer | {"rows": rows, "changes": self.db.total_changes - before})

    def store(self, call, request, args):
        """Runs the INSERT once per chunk of the body, all or none of it."""
        number, size, digest, body = 0, 0, hashlib.sha256(), io.BufferedReader(call.input, request["input"])
        try:
            self.db.execute("SAVEPOINT body")
            try:
                while chunk := body.read(request["input"]):  # waits for the client, and raises where the rest does not come
                    number, size = number + 1, size + len(chunk)
                    digest.update(chunk)
                    self.db.execute(request["sql"], [*args, number, chunk])
                    call.progress(size / call.input.size if call.input.size > 0 else 0)  # the thread is not stuck
                call.check()
                self.db.execute("RELEASE body")
            except BaseException:
                self.undo()
                raise
        except sqlite3.Error as error:
            raise told(call, error)
        return {"chunks": number, "bytes": size, "sha256": digest.hexdigest()}

    def undo(self):
        self.db.set_progress_handler(None, 0)  # this is not to be interrupted
        try:
            self.db.execute("ROLLBACK TO body")
            self.db.execute("RELEASE body")
        except sqlite3.OperationalError:
            pass  # SQLite has rolled back the whole transaction, as it does when it interrupts an INSERT

    def column(self, call, cursor):
        """Gives the first column of each row, as the client reads it."""
        if cursor.description is None:
            raise wrong('"output" with a statement that has no rows: give a SELECT')
        return self.values(call, cursor)

    def values(self, call, cursor):
        try:
            for number, row in enumerate(cursor, 1):
                if not isinstance(row[0], (bytes, str)):
                    raise wrong(f"row {number} is neither BLOB nor text: select what is, or leave \"output\" out")
                yield row[0] if isinstance(row[0], bytes) else row[0].encode()
        except sqlite3.Error as error:
            raise told(call, error)
        finally:
            cursor.close()

    def close(self):
        self.db.close()  # rolls back what was not committed


db = sqlite3.connect(DATABASE)
db.execute("PRAGMA journal_mode = WAL")  # stays with the file: readers and a writer do not wait for each other
db.close()
serve(ENDPOINT, direct_bind=DIRECT)
