"""Tests of troupe_tasks.py at a real broker (TROUPE_CLIENTS, TROUPE_WORKERS). Run: go test ./examples/python."""
import io
import math
import os
import queue
import threading
import time
import unittest

import troupe as t
import troupe_tasks as tt
from test_troupe import NET, setUpModule  # noqa: F401 (unittest calls setUpModule)

CLIENTS, WORKERS = os.environ.get("TROUPE_CLIENTS", ""), os.environ.get("TROUPE_WORKERS", "")
FACTOR = 7


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def mixed(n, plus=1, *, times=2):
    return (math.sqrt(n) + FACTOR + plus) * times


@unittest.skipUnless(CLIENTS, "there is no broker")
class TasksCase(unittest.TestCase):
    def setUp(self):
        self.tasks = tt.Tasks(CLIENTS)
        self.addCleanup(self.tasks.close)

    def worker(self, services, name, **options):
        worker = t.Worker(WORKERS, services, name=name, **options)
        self.addCleanup(worker.ended.wait, NET)
        self.addCleanup(worker.stop)
        self.assertTrue(worker.welcomed.wait(NET))
        return worker


class Results(TasksCase):
    def test_a_map_keeps_order(self):
        self.worker({"py-double": (lambda: self, 8)}, "doubles")
        self.call = lambda call: str(2 * int(call.body))
        got = self.tasks.map("py-double", map(str, range(300)))
        self.assertEqual([str(2 * n).encode() for n in range(300)], got.get(NET))
        self.assertEqual([300, True, True], [got.progress, got.ready(), got.successful()])
        self.assertEqual(list(range(300)), sorted(number for number, _ in got.as_completed(NET)))
        out = io.StringIO()
        got.wait_interactive(out)
        self.assertEqual("", out.getvalue(), "there is no terminal")

    def test_failed_tasks_run_on_another_worker(self):
        class Fails:
            def call(self, call):
                raise ValueError("out of ink")

        class Good:
            def call(self, call):
                return b"good"
        for name in ("bad1", "bad2"):
            self.worker({"py-retry": (Fails, 8)}, name)
        self.worker({"py-retry": (Good, 1)}, "good")
        for _ in range(10):
            one = self.tasks.view(retries=5, backoff=0.001).submit("py-retry")
            self.assertEqual(b"good", one.get(NET))
            self.assertLessEqual(len(one.attempts), 3, "each worker fails it once")
        one = self.tasks.view(retries=3, backoff=0.001, where="worker=bad1|bad2").submit("py-retry")
        with self.assertRaisesRegex(t.ServiceError, "out of ink"):
            one.get(NET)
        self.assertEqual(4, len(one.attempts))
        with self.assertRaises(t.NoMatch):
            self.tasks.view(where="worker=nobody", absent="fail").submit("py-retry").get(NET)

    def test_aborted_tasks(self):
        began, told = queue.SimpleQueue(), queue.SimpleQueue()

        class Slow:
            def call(self, call):
                began.put(call.body)
                call.cancelled.wait(NET)
                told.put(call.body)
                call.check()
        self.worker({"py-slow": (Slow, 1)}, "slow")
        runs = self.tasks.submit("py-slow", b"runs")
        self.assertEqual(b"runs", began.get(timeout=NET))
        waits = self.tasks.submit("py-slow", b"waits")
        with self.assertRaises(TimeoutError):
            waits.get(0.01)
        waits.abort()
        runs.abort()
        for one in (runs, waits):
            with self.assertRaises(t.Cancelled):
                one.get(NET)
            self.assertFalse(one.successful())
        self.assertEqual(b"runs", told.get(timeout=NET), "its thread was told")
        late = self.tasks.view(deadline=0.05).submit("py-slow", b"late")
        with self.assertRaises(t.Expired):
            late.get(NET)

    def test_tasks_are_come_back_for(self):
        ran, gate = [], threading.Event()

        class Job:
            def call(self, call):
                ran.append(call.body)
                gate.wait(NET)
                return call.body
        self.worker({"py-job": (Job, 2)}, "job")
        first = tt.Tasks(CLIENTS)
        first.view(id="py-order-1").submit("py-job", b"x")
        end = time.monotonic() + NET
        while not ran:
            self.assertLess(time.monotonic(), end)
            first.client.is_alive()
        first.close()
        back = self.tasks.attach("py-job", "py-order-1")
        gate.set()
        self.assertEqual(b"x", back.get(NET))
        self.assertEqual(b"x", self.tasks.view(id="py-order-1").submit("py-job", b"y").get(NET), "the same submission runs once")
        self.assertEqual([b"x"], ran)
        with self.assertRaises(t.TroupeError) as caught:
            self.tasks.attach("py-job", "py-order-2").get(NET)
        self.assertEqual("unknown-hit", caught.exception.name)

    def test_all_are_asked(self):
        class Job:
            def __init__(self, fails):
                self.fails = fails

            def call(self, call):
                if self.fails:
                    raise ValueError("no")
                return b"yes"
        for number in range(3):
            self.worker({"py-all": (lambda number=number: Job(number == 2), 1)}, f"all{number}", labels={"odd": str(number % 2)})
        rows = self.tasks.all("py-all")
        self.assertEqual([("all0", "answered", b"yes"), ("all1", "answered", b"yes"), ("all2", "failed", None)], [(r.worker, r.state, r.reply) for r in rows])
        self.assertEqual(["all1"], [row.worker for row in self.tasks.all("py-all", where="odd=1")])
        self.assertEqual([], self.tasks.all("py-nobody"))
        self.assertEqual({"all0", "all1", "all2"}, {m["worker"] for m in self.tasks.client.members("py-all")})
        with self.assertRaisesRegex(t.Refused, "selector"):
            self.tasks.client.members("py-all", "==")

    def test_a_worker_changes_what_it_offers(self):
        class Job:
            def call(self, call):
                return b"done"
        worker = self.worker({"py-now": (Job, 2), "py-later": (Job, 2)}, "changes")
        with t.Client(CLIENTS) as client, client.open("py-now") as hit:
            worker.offer(["py-later"], labels={"shift": "late"})
            self.assertEqual(b"done", self.tasks.view(where="shift=late").submit("py-later").get(NET))
            self.assertEqual([], self.tasks.all("py-now"))
            self.assertEqual(b"done", hit.call(b""), "an open hit goes on")
        worker.offer(["py-now", "py-later"])
        self.assertEqual(b"done", self.tasks.submit("py-now").get(NET))
        self.assertEqual({"shift": "late"}, self.tasks.client.members("py-now")[0]["labels"])
        for bad in (["py-unheard"], []):
            with self.assertRaisesRegex(ValueError, "services"):
                worker.offer(bad)

    def test_queues_are_looked_into_and_changed(self):
        class Job:
            def call(self, call):
                return b"done"
        self.worker({"py-held": (Job, 1)}, "held")
        self.worker({"py-instead": (Job, 1)}, "instead")
        queue = self.tasks.queue("py-held")
        queue.hold()
        with self.assertRaisesRegex(t.Refused, "held already"):
            queue.hold()
        results = [self.tasks.view(topic=topic).submit("py-held") for topic in ("tea", "milk", "tea", "milk")]
        until = time.monotonic() + NET
        while queue.count() < 4 and time.monotonic() < until:
            time.sleep(0.005)
        self.assertEqual({"tea": 2, "milk": 2}, queue.list()[0]["topics"])
        self.assertIn("py-held", [row["service"] for row in self.tasks.queue().list()])
        items = list(queue.show(topic="tea"))
        self.assertEqual(["tea", "tea"], [item["topic"] for item in items])
        queue.remove(items[0]["id"])
        self.assertEqual([0, 1], [queue.count(older=3600), queue.clear(topic="tea")])
        self.assertEqual(2, queue.move("py-instead", topic="milk"))
        for topic, result in zip(("tea", "milk", "tea", "milk"), results):
            if topic == "milk":
                self.assertEqual(b"done", result.get(NET))
            else:
                with self.assertRaises(t.Killed):
                    result.get(NET)
        queue.release()
        self.assertEqual(b"done", self.tasks.submit("py-held").get(NET))
        with self.assertRaisesRegex(ValueError, "older"):
            queue.count(older=-1)

    def test_what_waits_here_is_bounded(self):
        class Job:
            def call(self, call):
                return call.body
        self.worker({"py-few": (Job, 4)}, "few")
        with tt.Tasks(CLIENTS, in_flight=3) as few:
            self.assertEqual([str(n).encode() for n in range(50)], few.map("py-few", map(str, range(50))).get(NET))
        with self.assertRaises(t.Closed):
            few.submit("py-few")
        for bad in ({"retries": -1}, {"deadline": 0}, {"keep": -1}):
            with self.assertRaises(ValueError):
                self.tasks.view(**bad)
        with self.assertRaises(ValueError):
            tt.Tasks(CLIENTS, in_flight=0)
        with self.assertRaises(TypeError):
            self.tasks.submit("py-few", 7)


class Functions(TasksCase):
    def setUp(self):
        super().setUp()
        self.worker(tt.functions(WORKERS), "functions")

    def test_functions_travel(self):
        around = 3
        self.assertEqual(1024, self.tasks.apply(pow, 2, 10).get(NET))
        self.assertEqual([0, 3, 6], self.tasks.map(lambda x: x * around, range(3)).get(NET))
        self.assertEqual(math.factorial(20), self.tasks.apply_sync(factorial, 20))
        self.assertEqual(mixed(16, 5, times=3), self.tasks.apply(mixed, 16, 5, times=3).get(NET))
        self.assertEqual(mixed(16), self.tasks.apply(mixed, 16).get(NET))
        self.assertEqual([[1, 2]], self.tasks.map(sorted, [[2, 1]]).get(NET))
        with self.assertRaisesRegex(t.ServiceError, "ZeroDivisionError") as caught:
            self.tasks.apply(lambda: 1 / 0).get(NET)
        self.assertIn("traceback", caught.exception.why)

    def test_what_cannot_travel_is_said(self):
        lock = threading.Lock()
        for what, args in ((lambda: lock, ()), (7, ()), (abs, (lock,))):
            with self.assertRaises(tt.CannotShip):
                self.tasks.apply(what, *args)
        version, tt.VERSION = tt.VERSION, "2.7"
        try:
            body = tt.pack(abs, (1,), {})
        finally:
            tt.VERSION = version
        with self.assertRaisesRegex(t.BadBody, "Python 2.7"):
            self.tasks.client.do(tt.FUNCTIONS, body, NET)
        with self.assertRaises(t.ServiceError):
            self.tasks.client.do(tt.FUNCTIONS, b"junk", NET)

    def test_functions_are_not_run_for_strangers(self):
        for end in ("tcp://10.1.2.3:5701", "tcp://0.0.0.0:5701", ["tcp://127.0.0.1:1", "tcp://example.org:5701"]):
            with self.assertRaisesRegex(PermissionError, "not encrypted"):
                tt.functions(end)
        self.assertIn(tt.FUNCTIONS, tt.functions("ipc:///tmp/x"))


if __name__ == "__main__":
    unittest.main()
