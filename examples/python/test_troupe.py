"""Tests of troupe.py: the test plays the broker, message by message, on plain ROUTER sockets.

Run: /usr/bin/python3 -m unittest test_troupe (in this directory). No test sleeps; what is waited for has 30 s, as a safety net only.
With a broker's endpoints in TROUPE_CLIENTS and TROUPE_WORKERS the files are tested at that broker as well.
"""
import concurrent.futures
import json
import logging
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import zmq

import troupe as t
from troupe import Head, Outcome

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NET = 30  # seconds until a test that waits for what does not come gives up
WINDOW = 1 << 20


def setUpModule():
    logging.disable(logging.CRITICAL)


class Broker:
    """One ROUTER that speaks as the broker does, in the words of a test."""

    def __init__(self, endpoint="tcp://127.0.0.1:*", incarnation="one", window=WINDOW, heartbeat_ms=10_000, max_body=1 << 20):
        self.welcome = {"broker": "test", "incarnation": incarnation, "max_body": max_body, "window": window, "heartbeat_ms": heartbeat_ms,
                        "name": "n1"}
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger, self.router.router_mandatory = 0, 1
        self.router.bind(endpoint)
        self.endpoint = self.router.last_endpoint.decode()
        self.peer = None
        self.sent = 0  # bytes, from WELCOME on

    def take(self, *kinds, within=NET):
        """The next message, which must be of one of the types; returns its header and frames."""
        if not self.router.poll(within * 1000):
            raise AssertionError(f"no message of the types {kinds} came within {within} s")
        peer, raw, *frames = self.router.recv_multipart()
        head = Head.unpack(raw)
        head.check(len(frames))
        assert head.type in kinds, f"{head} with {frames} came instead of the types {kinds}"
        self.peer = peer
        return head, frames

    def say(self, kind, *frames, **fields):
        self.raw(Head(kind, **fields).pack(), *frames)

    def raw(self, *frames):
        self.sent += sum(map(len, frames))
        self.router.send_multipart([self.peer, *frames])

    def greet(self, kind):
        """Takes HELLO or READY, welcomes, and returns what the peer said of itself."""
        _, frames = self.take(kind)
        self.sent = 0
        self.say(t.WELCOME, json.dumps(self.welcome).encode())
        return json.loads(frames[0])

    def settle(self):
        """Returns once the peer has read everything that was sent, and fails if it has said anything else."""
        self.say(t.PING, arg=77)
        head, _ = self.take(t.PONG)
        assert head.arg == 77, head

    def close(self):
        self.router.close(0)
        self.context.term()  # waits until the port is free again


class Case(unittest.TestCase):
    def broker(self, **options):
        broker = Broker(**options)
        self.addCleanup(lambda: broker.router.closed or broker.close())
        return broker

    def pool(self):
        pool = concurrent.futures.ThreadPoolExecutor(8)
        self.addCleanup(pool.shutdown)
        return pool

    def assertFails(self, future, kind, outcome, text=""):
        with self.assertRaises(kind) as caught:
            future.result(NET)
        self.assertIs(caught.exception.outcome, outcome)
        self.assertIn(text, caught.exception.text)
        return caught.exception


# -- The wire. -----------------------------------------------------------------------------------------------------------------

class Vectors(unittest.TestCase):
    path = ROOT / "docs" / "protocol" / "vectors.json"

    def setUp(self):
        if not self.path.exists():
            self.skipTest(f"there is no {self.path}: this copy of the file is tested away from its repository")
        self.vectors = json.loads(self.path.read_text())

    def judge(self, frame, frames):
        try:
            head = Head.unpack(frame)
            head.check(frames)
            return "ok", head
        except t.TroupeError as error:
            return error.name, None

    def test_headers(self):
        self.assertGreater(len(self.vectors["headers"]), 50)
        for vector in self.vectors["headers"]:
            with self.subTest(vector["name"]):
                frame = bytes.fromhex(vector["hex"])
                verdict, head = self.judge(frame, vector["frames"])
                self.assertEqual(verdict, vector["expect"])
                if head:
                    want = [vector[field] for field in Head._fields]
                    want[Head._fields.index("hit")] = int(vector["hit"], 16)
                    self.assertEqual(list(head), want)
                    self.assertEqual(head.pack(), frame)

    def test_statuses_are_those_of_the_specification(self):
        table = re.findall(r"^\| (\d+) \| ([a-z-]+) \|", (self.path.parent / "hit.md").read_text(), re.M)
        self.assertEqual({int(number): name for number, name in table}, dict(enumerate(t.STATUS)))


# -- The worker. ---------------------------------------------------------------------------------------------------------------

class Recorder:
    """A session that writes down what happens to it, and on which thread."""
    log = queue.Queue()
    local = threading.local()

    def __init__(self):
        self.note("init")

    def note(self, what):
        Recorder.log.put((what, threading.get_native_id()))

    def open(self, session):
        Recorder.local.value = session
        self.note("open")

    def call(self, call):
        self.note(call.body.decode())
        return json.dumps([Recorder.local.value, threading.get_native_id()])

    def close(self):
        self.note("close" if hasattr(Recorder.local, "value") else "close elsewhere")


class Gate:
    """A session whose calls stand still until the test lets them go."""

    def __init__(self):
        self.inside, self.go = queue.Queue(), threading.Event()
        Gate.last = self

    def call(self, call):
        if call.body == b"wait":
            self.inside.put(call)
            assert self.go.wait(NET)
        return b"ran " + call.body


def progress(call):
    call.progress(0.5, "half")
    call.progress(7)
    return [b"a", "b"]


def fail(call):
    if call.body == b"crash":
        raise SystemExit("enough")
    if call.body == b"unspeakable":
        raise type("Unspeakable", (Exception,), {"__str__": None})
    if call.body == b"own":
        raise t.ServiceError("no such table", why={"table": "t1"})
    return {}[1] if call.body == b"key" else 5


def wait_for_cancel(call):
    call.progress(0)
    assert call.cancelled.wait(NET)
    call.check()


class NoOpen:
    def open(self, session):
        raise (SystemExit if session == "exit" else ValueError)("cannot open")

    def call(self, call):
        raise AssertionError("called although it is not open")


SERVICES = {"recorder": Recorder, "gate": Gate, "noopen": NoOpen}


class WorkerCase(Case):
    def setUp(self):
        self.link = self.broker()
        self.worker, self.ready = self.start(self.link)

    def start(self, link, slots=4, **options):
        services = dict(t._SERVICES)
        t._SERVICES.clear()
        for name, what in (SERVICES | {"upper": lambda call: call.body.upper(), "progress": progress, "fail": fail,
                                       "cancel": wait_for_cancel, "big": lambda call: bytes(2 << 20)}).items():
            t.service(name, slots=slots)(what)
        worker = t.Worker(link.endpoint, **options)
        t._SERVICES.clear(), t._SERVICES.update(services)
        self.addCleanup(worker.ended.wait, NET)
        self.addCleanup(worker.stop)
        return worker, link.greet(t.READY)

    def begin(self, service, hit=0x10, session=None, *bodies, flags=0, arg=0, epoch=1, opened=True):
        options = json.dumps({"session": session, "label": "l"}).encode() if session is not None else b""
        self.link.say(t.BEGIN, service.encode(), options, *bodies, hit=hit, epoch=epoch, flags=flags, arg=arg)
        if opened:
            return self.link.take(t.OPENED)[0].arg

    def call(self, body, seq, hit=0x10, **fields):
        self.link.say(t.CALL, body, hit=hit, epoch=1, seq=seq, **fields)

    def answer(self, *kinds):
        return self.link.take(*(kinds or (t.REPLY,)))


class TestWorker(WorkerCase):
    def test_ready_says_what_it_offers(self):
        self.assertEqual((self.ready["slots"], self.ready["busy"], self.ready["pid"], self.ready["lang"], self.ready["threads"]),
                         (4, 0, os.getpid(), "python", "pinned"))
        self.assertIn("upper", self.ready["services"])
        self.assertRegex(self.ready["incarnation"], "^[0-9a-f]{16}$")

    def test_a_session_lives_on_one_thread_in_order(self):
        while not Recorder.log.empty():
            Recorder.log.get()
        thread = self.begin("recorder", session={"n": 1})
        for seq in range(1, 6):
            self.call(b"c%d" % seq, seq)
        for seq in range(1, 6):
            head, frames = self.answer()
            self.assertEqual((head.hit, head.epoch, head.seq, head.flags), (0x10, 1, seq, 0))
            self.assertEqual(json.loads(frames[0]), [{"n": 1}, thread])
        self.link.say(t.END, hit=0x10, epoch=1)
        head, _ = self.answer(t.ENDED)
        self.assertEqual((head.hit, head.status, head.arg), (0x10, 0, 5))
        notes = [Recorder.log.get(timeout=NET) for _ in range(8)]
        self.assertEqual(notes, [(what, thread) for what in ("init", "open", "c1", "c2", "c3", "c4", "c5", "close")])
        self.assertNotEqual(thread, threading.get_native_id())

    def test_hits_have_threads_of_their_own(self):
        threads = {self.begin("gate", hit=hit) for hit in range(1, 5)}
        self.assertEqual(len(threads), 4)

    def test_500_hits_meet_at_a_barrier(self):
        """A service that returns only when all are inside it: 500 threads, each with the local value its own open left there."""
        barrier, local = threading.Barrier(500), threading.local()

        class Meet:
            def open(self, session):
                local.value = session

            def call(self, call):
                barrier.wait(NET)
                return json.dumps([local.value, threading.get_native_id()])

        self.link.close()
        self.link = self.broker()
        worker = t.Worker(self.link.endpoint, {"meet": (Meet, 500)})
        self.addCleanup(worker.stop)
        self.link.greet(t.READY)
        threads = {}
        for hit in range(500):
            threads[hit] = self.begin("meet", hit=hit, session=hit)
            self.call(b"", 1, hit=hit)
        for _ in threads:
            head, frames = self.answer()
            self.assertEqual(json.loads(frames[0]), [head.hit, threads[head.hit]])
        self.assertEqual(len(set(threads.values())), 500)

    def test_threads_end_with_their_hit_or_are_kept(self):
        link, self.link = self.link, self.broker()
        self.start(self.link, slots=1, keep_threads=True)
        threads = []
        for hit in range(1, 4):
            threads.append(self.begin("upper", hit=hit))
            self.link.say(t.END, hit=hit, epoch=1)
            self.answer(t.ENDED)
        self.assertEqual(len(set(threads)), 1)
        self.link = link
        self.begin("recorder", hit=1, session="first")
        self.link.say(t.END, hit=1, epoch=1)
        self.answer(t.ENDED)
        self.begin("recorder", hit=2, session="second")
        self.call(b"x", 1, hit=2)
        self.assertEqual(json.loads(self.answer()[1][0])[0], "second")

    def test_one_shot(self):
        self.begin("upper", 0x10, None, b"abc", flags=t.FIRST | t.LAST, opened=False)
        head, frames = self.answer()
        self.assertEqual((head.flags, head.hit, head.seq, frames), (t.LAST, 0x10, 1, [b"ABC"]))
        self.link.settle()  # and no ENDED

    def test_one_shot_that_fails_that_crashes_that_cannot_open(self):
        for hit, (service, session, body, status, outcome) in enumerate([
                ("fail", None, b"key", "service-error", Outcome.finished), ("fail", None, b"crash", "panicked", Outcome.unknown),
                ("noopen", "x", b"", "service-error", Outcome.never_started), ("nosuch", None, b"", "unknown-service", Outcome.never_started)]):
            self.begin(service, hit, session, body, flags=t.FIRST | t.LAST, opened=False)
            head, _ = self.answer(t.ERROR)
            self.assertEqual((head.flags, head.hit, head.seq, t.STATUS[head.status], head.arg), (t.LAST, hit, 1, status, outcome))
        self.link.settle()

    def test_first_call_within_open(self):
        self.begin("upper", 0x10, None, b"abc", flags=t.FIRST)
        self.assertEqual(self.answer()[1], [b"ABC"])
        self.call(b"d", 2)
        self.assertEqual(self.answer()[1], [b"D"])

    def test_last_call_ends_the_session_before_its_answer(self):
        self.begin("recorder", session=1)
        self.call(b"x", 1, flags=t.LAST)
        self.assertEqual(self.answer()[0].flags, t.LAST)
        notes = []
        while not Recorder.log.empty():
            notes.append(Recorder.log.get()[0])
        self.assertEqual(notes[-2:], ["x", "close"])
        self.link.settle()

    def test_progress_and_frames(self):
        self.begin("progress")
        self.call(b"", 1)
        head, frames = self.answer(t.WORKING)
        self.assertEqual((head.hit, head.seq, head.arg, frames), (0x10, 1, 5000, [b"half"]))
        self.assertEqual(self.answer(t.WORKING)[0].arg, 10000)
        self.assertEqual(self.answer()[1], [b"a", b"b"])

    def test_errors_of_the_service_leave_the_session_open(self):
        self.begin("fail")
        for seq, (body, text) in enumerate([(b"key", b"KeyError: 1"), (b"own", b"no such table"), (b"int", b"TypeError: a body is")], 1):
            self.call(body, seq)
            head, frames = self.answer(t.ERROR)
            self.assertEqual((t.STATUS[head.status], head.seq, head.arg), ("service-error", seq, Outcome.finished))
            self.assertTrue(frames[0].startswith(text), frames[0])
            why = json.loads(frames[1])
            self.assertTrue(why == {"table": "t1"} if body == b"own" else "in " in why["traceback"][-2], why)

    def test_a_crash_ends_the_session_and_frees_the_slot(self):
        self.begin("fail")
        self.link.say(t.CALL, b"crash", hit=0x10, epoch=1, seq=1)
        head, frames = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.arg, frames[0]), ("panicked", Outcome.unknown, b"SystemExit: enough"))
        head, frames = self.answer(t.ENDED)
        self.assertEqual((t.STATUS[head.status], head.arg), ("panicked", 1))
        self.call(b"late", 2)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "unknown-hit")
        for hit in range(1, 5):
            self.begin("upper", hit=hit)

    def test_a_session_that_cannot_open(self):
        for session, status in (("x", "service-error"), ("exit", "panicked")):
            self.begin("noopen", session=session, opened=False)
            head, frames = self.answer(t.ENDED)
            self.assertEqual((t.STATUS[head.status], head.arg), (status, 0))
            self.assertIn(b"cannot open", frames[0])

    def test_options_that_are_nonsense(self):
        for hit, options in enumerate((b"{", b"[1]", b'{"label": "\xff"}', b'{"session": ' + b"[" * 9000 + b"]" * 9000 + b"}")):
            self.link.say(t.BEGIN, b"recorder", options, hit=hit, epoch=1)
            self.assertEqual(t.STATUS[self.answer(t.ENDED)[0].status], "service-error")
        self.link.say(t.BEGIN, b"recorder", b"null", hit=9, epoch=1)
        self.answer(t.OPENED)

    def test_a_failure_that_nobody_foresaw_frees_the_slot(self):
        self.begin("fail")
        self.call(b"unspeakable", 1)
        head, _ = self.answer(t.ENDED)
        self.assertEqual((t.STATUS[head.status], head.arg), ("panicked", 1))
        self.begin("fail", 0x11, None, b"unspeakable", flags=t.FIRST | t.LAST, opened=False)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "panicked")
        for hit in range(1, 5):
            self.begin("upper", hit=hit)

    def test_more_hits_than_slots_are_refused(self):
        for hit in range(1, 5):
            self.begin("upper", hit=hit)
        self.begin("upper", hit=5, opened=False)
        self.assertEqual(t.STATUS[self.answer(t.ENDED)[0].status], "slot-taken")
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 4})
        self.link.say(t.END, hit=1, epoch=1)
        self.answer(t.ENDED)
        self.begin("upper", hit=5)

    def test_a_call_whose_deadline_passed_is_not_run(self):
        self.begin("gate")
        self.call(b"wait", 1)
        gate = Gate.last
        gate.inside.get(timeout=NET)
        self.call(b"late", 2, arg=1)
        self.call(b"fine", 3, arg=3_600_000)
        self.link.settle()
        queued = self.worker._brokers[0].hits[0x10].calls[2]
        queued.deadline = time.monotonic() - 1  # it has passed, however fast this machine is
        gate.go.set()
        self.assertEqual(self.answer()[1], [b"ran wait"])
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.seq, head.arg), ("expired", 2, Outcome.never_started))
        self.assertEqual(self.answer()[1], [b"ran fine"])

    def test_cancel_of_a_waiting_call(self):
        self.begin("gate")
        for seq, body in enumerate((b"wait", b"b", b"c"), 1):
            self.call(body, seq)
        gate = Gate.last
        gate.inside.get(timeout=NET)
        for _ in range(2):
            self.link.say(t.CANCEL, hit=0x10, epoch=1, seq=2)
        self.link.settle()
        gate.go.set()
        self.assertEqual(self.answer()[1], [b"ran wait"])
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.seq, head.arg), ("cancelled", 2, Outcome.never_started))
        self.assertEqual(self.answer()[1], [b"ran c"])
        self.link.say(t.CANCEL, hit=0x10, epoch=1, seq=2)
        self.link.say(t.CANCEL, hit=0x99, epoch=1, seq=2)
        self.link.settle()

    def test_cancel_of_a_running_call(self):
        self.begin("cancel")
        self.call(b"", 1)
        self.answer(t.WORKING)
        self.link.say(t.CANCEL, hit=0x10, epoch=1)
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.arg), ("cancelled", Outcome.finished))
        self.link.say(t.END, hit=0x10, epoch=1)
        self.assertEqual(self.answer(t.ENDED)[0].arg, 1)

    def test_end_runs_what_waits(self):
        self.begin("gate")
        self.call(b"wait", 1), self.call(b"b", 2)
        for _ in range(2):
            self.link.say(t.END, hit=0x10, epoch=1)
        self.link.settle()  # else the second END might come when the hit is over
        Gate.last.inside.get(timeout=NET)
        Gate.last.go.set()
        self.assertEqual([self.answer()[1], self.answer()[1]], [[b"ran wait"], [b"ran b"]])
        self.assertEqual(self.answer(t.ENDED)[0].arg, 2)
        self.link.settle()

    def test_a_reply_that_is_too_large(self):
        self.begin("big")
        self.call(b"", 1)
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.arg), ("too-large", Outcome.reply_lost))

    def test_nonsense_is_named_and_harms_nobody(self):
        self.begin("upper")
        self.call(b"first", 1)
        self.assertEqual(self.answer()[1], [b"FIRST"])
        bad = [("bad-frame", [b"short"]), ("bad-version", [b"XX" + Head(t.PING).pack()[2:]]), ("bad-type", [Head(99).pack()]),
               ("bad-type", [Head(t.HELLO).pack(), b"{}"]), ("bad-flag", [Head(t.CALL, flags=8).pack(), b""]),
               ("bad-frame", [Head(t.CALL).pack()]), ("bad-frame", [Head(t.BEGIN, flags=t.FIRST, hit=3).pack(), b"upper", b""]),
               ("bad-seq", [Head(t.CALL, hit=0x10, epoch=1, seq=3).pack(), b""]), ("bad-seq", [Head(t.BEGIN, hit=0x10, epoch=1).pack(), b"upper", b""]),
               ("stale-epoch", [Head(t.CALL, hit=0x10, epoch=2, seq=1).pack(), b""])]
        for status, frames in bad:
            with self.subTest(status=status, frames=frames):
                self.link.raw(*frames)
                self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], status)
        self.link.raw(Head(t.ERROR).pack())  # an ERROR is never answered by an ERROR
        self.link.say(t.ERROR, b"no such hit", hit=0x77, status=t.STATUS.index("unknown-hit"))
        self.call(b"a", 2)
        self.assertEqual(self.answer()[1], [b"A"])

    def test_the_first_call_has_any_seq(self):
        """hit.md, section 17: a hit that has moved here goes on with the seq it has, and its calls follow BEGIN at once."""
        self.link.say(t.BEGIN, b"upper", b"", hit=0x10, epoch=1)
        self.call(b"a", 7)
        self.call(b"b", 8)
        self.answer(t.OPENED)
        self.assertEqual([(head.seq, body) for head, body in (self.answer(), self.answer())], [(7, [b"A"]), (8, [b"B"])])

    def test_credit_follows_what_was_received(self):
        self.link.close()
        self.link = self.broker(window=8192)
        self.start(self.link)
        self.begin("upper")
        granted, seq = None, 0
        while self.link.sent < 40_000:
            seq += 1
            self.call(bytes(1000), seq)
            head, _ = self.answer(t.REPLY, t.CREDIT)
            if head.type == t.CREDIT:
                self.assertLessEqual(head.arg * 1024, self.link.sent + 8192)
                self.assertGreater(head.arg * 1024, self.link.sent + 8192 - 1024 - 1032)
                granted = head.arg
                self.answer()
        self.assertGreaterEqual(granted * 1024, 40_000)

    def test_pings_when_idle(self):
        self.link.close()
        self.link = self.broker(heartbeat_ms=20)
        self.start(self.link)
        for _ in range(3):
            self.link.take(t.PING)
            self.link.say(t.PONG)


class TestWorkerAndRestarts(WorkerCase):
    def restart(self, how):
        """Two hits are open, one of them inside a call; then the broker is lost. Returns the gate of that one, and READY."""
        self.begin("recorder", hit=1, session=1)
        self.begin("gate", hit=2)
        self.link.say(t.CALL, b"wait", hit=2, epoch=1, seq=1)
        running = Gate.last.inside.get(timeout=NET)
        while not Recorder.log.empty():
            Recorder.log.get()
        ready = how()
        self.assertTrue(running.cancelled.wait(NET))
        self.assertEqual(Recorder.log.get(timeout=NET)[0], "close")
        return Gate.last, ready

    def closed_and_bound_again(self):
        endpoint = self.link.endpoint
        self.link.close()
        self.link = self.broker(endpoint=endpoint, incarnation="two")
        return self.link.greet(t.READY)

    def test_a_lost_broker_ends_the_hits_and_is_greeted_again(self):
        gate, ready = self.restart(self.closed_and_bound_again)
        self.assertIn(ready["busy"], (1, 2))  # the gate, and perhaps the recorder, which is about to close
        if ready["busy"] == 2:
            self.assertEqual(self.answer(t.ENDED)[0].hit, 0)
        self.assertEqual(ready["incarnation"], self.ready["incarnation"])
        self.link.settle()
        gate.go.set()
        head, _ = self.answer(t.ENDED)
        self.assertEqual((head.hit, head.status, head.arg), (0, 0, 0))
        self.assertEqual(self.begin("upper", hit=2) > 0, True)

    def forgotten(self):
        old = self.link.peer
        self.link.say(t.ERROR, b"who are you?", status=t.STATUS.index("not-registered"))
        ready = self.link.greet(t.READY)
        self.assertNotEqual(self.link.peer, old, "it must come on a new socket")
        return ready

    def test_a_broker_that_forgot_us(self):
        gate, ready = self.restart(self.forgotten)
        self.assertIn(ready["busy"], (1, 2))
        gate.go.set()

    def other_incarnation(self):
        self.link.say(t.WELCOME, json.dumps(self.link.welcome | {"incarnation": "three"}).encode())
        return self.link.greet(t.READY)

    def test_another_incarnation_on_the_same_connection(self):
        gate, ready = self.restart(self.other_incarnation)
        self.assertIn(ready["busy"], (1, 2))
        gate.go.set()

    def test_it_waits_for_a_broker_that_comes_later(self):
        endpoint = self.link.endpoint
        self.link.close()
        worker = t.Worker(endpoint, {"upper": (lambda: None, 1)})
        self.addCleanup(worker.stop)
        self.link = self.broker(endpoint=endpoint)
        self.link.greet(t.READY)
        self.link.greet(t.READY)  # both workers

    def test_a_taken_name_ends_it(self):
        link = self.broker()
        worker = t.Worker(link.endpoint, {"upper": (lambda: None, 1)}, name="w")
        _, frames = link.take(t.READY)
        self.assertEqual(json.loads(frames[0])["name"], "w")
        link.say(t.ERROR, b"w is alive", status=t.STATUS.index("name-taken"))
        self.assertRaisesRegex(t.NameTaken, "w is alive", worker.join)

    def test_a_draining_broker_is_asked_again(self):
        link = self.broker()
        worker = t.Worker(link.endpoint, {"upper": (lambda: None, 1)})
        self.addCleanup(worker.stop)
        link.take(t.READY)
        link.say(t.ERROR, b"about to stop", status=t.STATUS.index("draining"))
        link.greet(t.READY)
        self.assertTrue(worker.welcomed.wait(NET))

    def test_a_bad_endpoint_is_said_at_once(self):
        with self.assertRaisesRegex(ValueError, "nonsense.*tcp://HOST:PORT"):
            t.Worker("nonsense", {"upper": (lambda: None, 1)})
        with self.assertRaisesRegex(ValueError, "no service"):
            t.Worker(self.link.endpoint)


class TestWorkerLeaves(WorkerCase):
    def test_drain_lets_open_hits_end(self):
        self.begin("upper")
        self.worker.drain()
        self.link.take(t.BYE)
        ping, _ = self.link.take(t.PING)
        self.begin("upper", hit=0x11)  # was on its way when BYE came
        self.link.say(t.PONG, arg=ping.arg)
        self.link.say(t.PONG, arg=self.link.take(t.PING)[0].arg)
        for hit in (0x10, 0x11):
            self.call(b"a", 1, hit=hit)
            self.assertEqual(self.answer()[1], [b"A"])
            self.assertFalse(self.worker.ended.is_set())
            self.link.say(t.END, hit=hit, epoch=1)
            self.answer(t.ENDED)
        self.worker.join()

    def test_drain_without_a_broker(self):
        self.link.close()
        self.worker.drain()
        self.worker.join()

    def test_stop_does_not_wait_for_a_stuck_thread(self):
        self.begin("gate")
        self.call(b"wait", 1)
        gate = Gate.last
        gate.inside.get(timeout=NET)
        self.worker.stop()
        self.worker.join()
        gate.go.set()


class TestServe(Case):
    """upper_worker.py as a process: signals."""

    def start(self):
        link = self.broker()
        process = subprocess.Popen([sys.executable, str(HERE / "upper_worker.py"), link.endpoint], stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        ready = link.greet(t.READY)
        self.assertEqual((ready["pid"], ready["slots"], ready["services"]), (process.pid, 8, ["upper", "counter"]))
        link.say(t.BEGIN, b"counter", b'{"session": {"start": 40}}', b"1", hit=1, epoch=1, flags=t.FIRST)
        link.take(t.OPENED)
        self.assertEqual(link.take(t.REPLY)[1], [b"41"])
        return link, process

    def test_sigterm_drains(self):
        link, process = self.start()
        process.send_signal(signal.SIGTERM)
        link.take(t.BYE)
        for _ in range(2):
            link.say(t.PONG, arg=link.take(t.PING)[0].arg)
        link.say(t.CALL, b"1", hit=1, epoch=1, seq=2)
        self.assertEqual(link.take(t.REPLY)[1], [b"42"])
        link.say(t.END, hit=1, epoch=1)
        link.take(t.ENDED)
        self.assertEqual(process.wait(NET), 0)

    def test_a_second_signal_stops_at_once(self):
        link, process = self.start()
        process.send_signal(signal.SIGINT)
        link.take(t.BYE)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(NET), 0)


class TestSqlite(Case):
    """examples/sqlite/worker.py as a process: every hit a connection, which sqlite3 itself ties to its thread."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.link, self.seqs = self.broker(), {}
        self.process = subprocess.Popen([sys.executable, str(ROOT / "examples/sqlite/worker.py"), place.name + "/test.db", self.link.endpoint, "9"],
                                        stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (self.process.kill(), self.process.wait()))
        ready = self.link.greet(t.READY)
        self.assertEqual((ready["services"], ready["slots"]), (["sqlite"], 9))
        self.threads = {hit: self.open(hit) for hit in range(9)}

    def open(self, hit):
        self.seqs[hit] = 0
        self.link.say(t.BEGIN, b"sqlite", b'{"session": {"busy_timeout_ms": 100}}', hit=hit, epoch=1)
        return self.link.take(t.OPENED)[0].arg

    def ask(self, hit, sql, *args):
        self.seqs[hit] += 1
        self.link.say(t.CALL, json.dumps({"sql": sql, "args": args}).encode(), hit=hit, epoch=1, seq=self.seqs[hit])

    def run_sql(self, hit, sql, *args):
        self.ask(hit, sql, *args)
        head, frames = self.link.take(t.REPLY, t.ERROR)
        if head.type == t.ERROR:
            return t._told(head, *frames)
        reply = json.loads(frames[0])
        self.assertEqual((reply.pop("thread"), reply.pop("pid")), (self.threads[hit], self.process.pid))
        return reply

    def end(self, hit):
        self.link.say(t.END, hit=hit, epoch=1)
        self.assertEqual(self.link.take(t.ENDED)[0].status, 0)

    def test_interleaved_transactions(self):
        self.run_sql(0, "CREATE TABLE entry (hit INTEGER PRIMARY KEY, note TEXT, amount REAL)")
        for hit in range(1, 9):
            self.run_sql(hit, "BEGIN")
        for hit in range(1, 9):  # all eight are open; each in turn writes, reads what it wrote, and ends
            self.assertEqual(self.run_sql(hit, "INSERT INTO entry VALUES (?, ?, ?)", 2**62 + hit, None, 0.5), {"rows": [], "changes": 1})
            self.assertEqual(self.run_sql(hit, "SELECT * FROM entry WHERE hit > ?", 2**62 + hit - 1), {"rows": [[2**62 + hit, None, 0.5]], "changes": 0})
            self.run_sql(hit, "COMMIT" if hit % 2 else "ROLLBACK")
        self.assertEqual(self.run_sql(0, "SELECT hit - ? FROM entry ORDER BY hit", 2**62), {"rows": [[1], [3], [5], [7]], "changes": 0})
        self.assertEqual(len(set(self.threads.values())), 9)

    def test_errors_leave_the_transaction_open_and_the_end_rolls_back(self):
        self.run_sql(0, "CREATE TABLE entry (hit INTEGER PRIMARY KEY)")
        self.run_sql(1, "BEGIN IMMEDIATE")
        self.run_sql(1, "INSERT INTO entry VALUES (1)")
        self.assertEqual(self.run_sql(1, "INSERT INTO entry VALUES (1)").why, {"sqlite": 1555})  # SQLITE_CONSTRAINT_PRIMARYKEY
        self.assertEqual(self.run_sql(2, "BEGIN IMMEDIATE").why, {"sqlite": 5})  # SQLITE_BUSY
        self.assertIsInstance(self.run_sql(2, "SELECT X'00'"), t.ServiceError)
        self.assertEqual(self.run_sql(1, "SELECT count(*) FROM entry")["rows"], [[1]])
        self.end(1)
        self.assertEqual(self.run_sql(2, "SELECT count(*) FROM entry")["rows"], [[0]])
        self.run_sql(2, "BEGIN IMMEDIATE")

    def test_a_cancelled_statement_is_interrupted(self):
        self.ask(1, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
        self.link.say(t.CANCEL, hit=1, epoch=1)
        head, frames = self.link.take(t.ERROR)
        self.assertIsInstance(t._told(head, *frames), t.Cancelled)
        self.run_sql(1, "SELECT 1")


# -- The client. ---------------------------------------------------------------------------------------------------------------

class ClientCase(Case):
    def setUp(self):
        self.link, self.threads = self.broker(), self.pool()
        self.client = self.connect(self.link)
        self.link.greet(t.HELLO)
        self.client.welcomed.wait(NET)

    def connect(self, link):
        client = t.Client(link.endpoint, name="tester")
        self.addCleanup(client.close)
        return client

    def open(self, **options):
        """Opens a hit with the handle 0xABC under epoch 3."""
        opening = self.threads.submit(self.client.open, "upper", timeout=None, **options)
        head, self.opened_with = self.link.take(t.OPEN)
        self.assertEqual(head.flags, t.REF)
        self.link.say(t.OPENED, (0xABC).to_bytes(8, "big"), b"w1", flags=t.REF, hit=head.hit, epoch=3, arg=4711)
        return opening.result(NET)

    def reply(self, seq, *frames, **fields):
        self.link.say(t.REPLY, *frames, hit=0xABC, epoch=3, seq=seq, **fields)

    def error(self, seq, name, outcome, *why, **fields):
        self.link.say(t.ERROR, b"text of " + name.encode(), *why, hit=fields.pop("hit", 0xABC), epoch=3, seq=seq, arg=outcome,
                      status=t.STATUS.index(name), **fields)


class TestClient(ClientCase):
    def test_open_call_close(self):
        hit = self.open(session={"a": 1}, label="mine")
        self.assertEqual((hit.handle, hit.worker, hit.thread), (0xABC, "w1", 4711))
        self.assertEqual(self.opened_with[0], b"upper")
        self.assertEqual(json.loads(self.opened_with[1]), {"session": {"a": 1}, "label": "mine"})
        with hit:
            waiting = self.threads.submit(hit.call, b"abc", timeout=60)
            head, frames = self.link.take(t.CALL)
            self.assertEqual((head.hit, head.epoch, head.seq, head.arg, frames), (0xABC, 3, 1, 60_000, [b"abc"]))
            self.reply(1, b"ABC")
            self.assertEqual(waiting.result(NET), b"ABC")
            several = hit.call_async(["a", b"", b"c"])
            self.assertEqual(self.link.take(t.CALL)[1], [b"a", b"", b"c"])
            self.reply(2, b"x", b"y")
            self.assertEqual(several.result(NET), [b"x", b"y"])
            closing = self.threads.submit(hit.close)
            self.assertEqual(self.link.take(t.CLOSE)[0].hit, 0xABC)
            self.assertFails(hit.call_async(b""), t.Closed, Outcome.never_started)
            self.link.say(t.CLOSED, b"", hit=0xABC, epoch=3, arg=2)
            closing.result(NET)
        self.assertFails(hit.call_async(b""), t.Closed, Outcome.never_started)
        self.link.settle()  # the with statement did not close it again

    def test_calls_keep_their_order_and_find_their_answers(self):
        hit = self.open()
        calls = [hit.call_async(b"%d" % n) for n in range(50)]
        for n in range(50):
            head, frames = self.link.take(t.CALL)
            self.assertEqual((head.seq, frames), (n + 1, [b"%d" % n]))
        for n in range(50):
            self.reply(n + 1, b"r%d" % n)
        self.assertEqual([call.result(NET) for call in calls], [b"r%d" % n for n in range(50)])

    def test_one_shot(self):
        notes = queue.Queue()
        future = self.client.do_async("upper", b"abc", timeout=9, progress=lambda *note: notes.put(note))
        head, frames = self.link.take(t.OPEN)
        self.assertEqual((head.flags, head.arg, frames), (t.FIRST | t.LAST | t.REF, 9000, [b"upper", b"", b"abc"]))
        self.link.say(t.WORKING, b"half", flags=t.REF, hit=head.hit, seq=1, arg=5000)
        self.link.say(t.REPLY, b"ABC", flags=t.REF | t.LAST, hit=head.hit, seq=1)
        self.assertEqual(future.result(NET), b"ABC")
        self.assertEqual(notes.get(timeout=NET), (0.5, "half"))

    def test_progress_of_a_call(self):
        hit, notes = self.open(), queue.Queue()
        future = hit.call_async(b"", progress=lambda *note: notes.put(note))
        self.link.take(t.CALL)
        self.link.say(t.WORKING, hit=0xABC, epoch=3, seq=1, arg=2500)
        self.link.say(t.WORKING, hit=0xABC, epoch=3, seq=9, arg=2500)  # of a call that is not there
        self.reply(1, b"")
        future.result(NET)
        self.assertEqual(notes.get(timeout=NET), (0.25, ""))
        self.assertTrue(notes.empty())

    def test_errors_have_a_class_a_name_an_outcome_and_a_reason(self):
        hit = self.open()
        cases = [(t.ServiceError, "service-error", Outcome.finished), (t.Panicked, "panicked", Outcome.unknown),
                 (t.TooLarge, "too-large", Outcome.reply_lost), (t.Expired, "expired", Outcome.never_started)]
        for seq, (kind, name, outcome) in enumerate(cases, 1):
            future = hit.call_async(b"")
            self.link.take(t.CALL)
            self.error(seq, name, outcome, b'{"n": 1}')
            error = self.assertFails(future, kind, outcome, "text of " + name)
            self.assertEqual((error.name, error.why), (name, {"n": 1}))
        future = hit.call_async(b"")
        self.link.take(t.CALL)
        self.error(5, "service-error", Outcome.finished, b"{not JSON")
        self.assertEqual(self.assertFails(future, t.ServiceError, Outcome.finished).why, b"{not JSON")
        future = self.threads.submit(self.client.open, "nosuch")
        self.error(0, "unknown-service", Outcome.never_started, hit=self.link.take(t.OPEN)[0].hit, flags=t.REF)
        self.assertFails(future, t.UnknownService, Outcome.never_started)
        future = self.client.do_async("upper")
        self.error(0, "internal", Outcome.unknown, hit=self.link.take(t.OPEN)[0].hit, flags=t.REF | t.LAST)
        self.assertEqual(self.assertFails(future, t.Internal, Outcome.unknown).name, "internal")

    def test_every_status_has_a_class(self):
        for name in t.STATUS[1:]:
            error = t.TroupeError.of(name, "text")
            self.assertIsNot(type(error), t.TroupeError, name)
            self.assertEqual(error.name, name)
        self.assertIsInstance(t.TroupeError.of("not-registered", ""), t.BrokerGone)
        self.assertIsInstance(t.TroupeError.of("unknown-hit", ""), t.Closed)
        for name in ("bad-seq", "not-owner", "status-99"):
            self.assertIs(type(t.TroupeError.of(name, "")), t.ProtocolError)

    def test_a_call_that_its_worker_did_not_start_keeps_its_number(self):
        hit = self.open()
        for seq, (kind, name) in enumerate([(t.BadBody, "bad-body"), (t.Expired, "expired"), (t.Cancelled, "cancelled")], 1):
            future = hit.call_async(b"")
            self.assertEqual(self.link.take(t.CALL)[0].seq, seq)
            self.error(seq, name, Outcome.never_started)
            self.assertFails(future, kind, Outcome.never_started)

    def test_a_refused_call_gives_its_number_back(self):
        hit = self.open()
        calls = [hit.call_async(b"%d" % n) for n in range(3)]
        for _ in calls:
            self.link.take(t.CALL)
        self.reply(1, b"")
        self.error(2, "queue-full", Outcome.never_started)
        self.assertFails(calls[1], t.QueueFull, Outcome.never_started)
        behind = [hit.call_async(b"new %d" % n) for n in range(2)]
        self.link.settle()  # nothing is sent while call 3 is not refused, too
        self.error(3, "bad-seq", Outcome.never_started)
        self.assertFails(calls[2], t.QueueFull, Outcome.never_started, "text of queue-full")
        for n, future in enumerate(behind):
            head, frames = self.link.take(t.CALL)
            self.assertEqual((head.seq, frames), (2 + n, [b"new %d" % n]))
            self.reply(2 + n, b"ok")
            self.assertEqual(future.result(NET), b"ok")

    def test_a_hit_that_is_closed_by_the_other_side(self):
        hit = self.open()
        calls = [hit.call_async(b"") for _ in range(3)]
        for _ in calls:
            self.link.take(t.CALL)
        self.link.say(t.CLOSED, b"w1 was killed", b'{"detector": "socket"}', hit=0xABC, epoch=3, arg=2, status=t.STATUS.index("worker-gone"))
        for call, outcome in zip(calls, (Outcome.unknown, Outcome.unknown, Outcome.never_started)):
            self.assertEqual(self.assertFails(call, t.WorkerGone, outcome, "w1 was killed").why, {"detector": "socket"})
        self.assertFails(hit.call_async(b""), t.WorkerGone, Outcome.never_started)
        hit.close()
        self.link.settle()

    def test_cancel(self):
        hit = self.open()
        call = hit.call_async(b"")
        self.link.take(t.CALL)
        hit.cancel()
        head, _ = self.link.take(t.CANCEL)
        self.assertEqual((head.hit, head.epoch, head.seq), (0xABC, 3, 0))
        self.error(1, "cancelled", Outcome.finished)
        self.assertFails(call, t.Cancelled, Outcome.finished)

    @unittest.mock.patch.object(t, "GRACE", NET)
    def test_a_deadline_cancels_and_takes_the_word_of_the_worker(self):
        hit = self.open()
        call = hit.call_async(b"", timeout=0.001)
        self.assertEqual(self.link.take(t.CALL)[0].arg, 1)
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 1)
        self.error(1, "cancelled", Outcome.never_started)
        self.assertFails(call, t.Expired, Outcome.never_started, "no answer within 0.001 s; text of cancelled")

    def test_a_deadline_without_a_word(self):
        hit = self.open()
        self.assertFails(hit.call_async(b"", timeout=0.001), t.Expired, Outcome.unknown)
        self.link.take(t.CALL), self.link.take(t.CANCEL)
        self.reply(1, b"late")
        call = hit.call_async(b"")
        self.assertEqual(self.link.take(t.CALL)[0].seq, 2)
        self.reply(2, b"in time")
        self.assertEqual(call.result(NET), b"in time")

    def test_an_open_that_comes_too_late_is_closed(self):
        opening = self.threads.submit(self.client.open, "upper", timeout=0.001)
        head, _ = self.link.take(t.OPEN)
        self.assertFails(opening, t.Expired, Outcome.never_started)
        self.assertEqual(self.link.take(t.CLOSE)[0][:4], (t.CLOSE, t.REF, 0, head.hit))
        self.link.say(t.OPENED, (0xABC).to_bytes(8, "big"), b"w1", flags=t.REF, hit=head.hit, epoch=3)
        head, _ = self.link.take(t.CLOSE)
        self.assertEqual((head.flags, head.hit, head.epoch), (0, 0xABC, 3))

    def test_a_one_shot_over_its_deadline_is_cancelled(self):
        future = self.client.do_async("upper", timeout=0.001)
        head, _ = self.link.take(t.OPEN)
        self.assertEqual(self.link.take(t.CANCEL)[0][:4], (t.CANCEL, t.REF, 0, head.hit))
        self.assertFails(future, t.Expired, Outcome.unknown)

    def test_bodies_over_the_limit_are_not_sent(self):
        hit, body = self.open(), [bytes(1 << 19), bytes((1 << 19) + 1)]
        self.assertFails(hit.call_async(body), t.TooLarge, Outcome.never_started, "1048577 bytes")
        self.assertFails(self.client.do_async("upper", body), t.TooLarge, Outcome.never_started, "the broker takes 1048576")
        self.link.settle()

    def test_bodies_that_are_none(self):
        hit = self.open()
        for body in (5, [], [1], {"a": 1}, [b""] * 61):
            with self.assertRaises(TypeError):
                hit.call_async(body)
        self.link.settle()

    def test_nonsense_of_the_broker_is_named(self):
        for status, frames in (("bad-type", [Head(t.BEGIN).pack(), b"s", b""]), ("bad-frame", [Head(t.OPENED, flags=t.REF).pack()])):
            self.link.raw(*frames)
            self.assertEqual(t.STATUS[self.link.take(t.ERROR)[0].status], status)

    def test_credit(self):
        self.link.close()
        self.link = self.broker(window=4096)
        self.client = self.connect(self.link)
        self.link.greet(t.HELLO)
        hit = self.open()
        call = hit.call_async(b"")
        self.link.take(t.CALL)
        self.reply(1, bytes(9000))
        self.assertEqual(self.link.take(t.CREDIT)[0].arg, (self.link.sent + 4096) // 1024)
        self.assertEqual(len(call.result(NET)), 9000)

    def test_close_says_bye_and_ends_what_is_under_way(self):
        hit = self.open()
        call, opening = hit.call_async(b""), self.client.do_async("upper")
        self.link.take(t.CALL), self.link.take(t.OPEN)
        self.client.close()
        self.link.take(t.BYE)
        self.assertFails(call, t.Closed, Outcome.unknown)
        self.assertFails(opening, t.Closed, Outcome.unknown)
        with self.assertRaises(t.Closed):
            self.client.open("upper")
        self.client.close()


class TestClientAndRestarts(ClientCase):
    def test_a_lost_broker(self):
        hit = self.open()
        call, once = hit.call_async(b""), self.client.do_async("upper", timeout=None)
        opening = self.threads.submit(self.client.open, "upper")
        self.link.take(t.CALL), self.link.take(t.OPEN), self.link.take(t.OPEN)
        self.link.close()
        self.assertFails(call, t.BrokerGone, Outcome.unknown)
        self.assertFails(once, t.BrokerGone, Outcome.unknown)
        self.assertFails(opening, t.BrokerGone, Outcome.never_started)
        self.assertFails(hit.call_async(b""), t.BrokerGone, Outcome.never_started)
        hit.close()
        later = self.client.do_async("upper", timeout=None)
        self.link = self.broker(endpoint=self.link.endpoint, incarnation="two")
        self.link.greet(t.HELLO)
        self.link.say(t.REPLY, b"again", flags=t.REF | t.LAST, hit=self.link.take(t.OPEN)[0].hit, seq=1)
        self.assertEqual(later.result(NET), b"again")

    def test_a_broker_that_forgot_us(self):
        call = self.open().call_async(b"")
        self.link.take(t.CALL)
        self.error(1, "not-registered", Outcome.never_started)
        self.assertFails(call, t.BrokerGone, Outcome.unknown, "does not know us")
        self.link.greet(t.HELLO)

    def test_no_broker(self):
        endpoint = self.link.endpoint
        self.link.close()
        with t.Client(endpoint) as client:
            with self.assertRaises(t.BrokerGone) as caught:
                client.open("upper", timeout=0.01)
            self.assertIs(caught.exception.outcome, Outcome.never_started)
            self.assertIn("is it started", caught.exception.text)
            waiting = client.do_async("upper", timeout=None)
        self.assertFails(waiting, t.Closed, Outcome.never_started)

    def test_a_refused_greeting(self):
        link = self.broker()
        client = t.Client(link.endpoint)
        waiting = client.do_async("upper", timeout=None)
        link.take(t.HELLO)
        link.say(t.ERROR, b"own routing id", status=t.STATUS.index("bad-identity"))
        self.assertFails(waiting, t.Closed, Outcome.never_started)
        self.assertTrue(client.ended.wait(NET))
        self.assertEqual(client.failure.name, "bad-identity")


# -- Everything together. ------------------------------------------------------------------------------------------------------

class TestAtRealBroker(Case):
    """Worker and client at the broker whose endpoints are in TROUPE_CLIENTS and TROUPE_WORKERS."""

    def setUp(self):
        self.clients, self.workers = os.environ.get("TROUPE_CLIENTS"), os.environ.get("TROUPE_WORKERS")
        if not self.clients or not self.workers:
            self.skipTest("no broker: start `troupe broker` and name its endpoints in TROUPE_CLIENTS and TROUPE_WORKERS")
        self.service = "test-" + os.urandom(4).hex()  # nobody else's
        self.client = t.Client(self.clients)
        self.addCleanup(self.client.close)

    def serve(self, what, slots=4):
        services = dict(t._SERVICES)
        t.service(self.service, slots)(what)
        worker = t.Worker(self.workers, {self.service: t._SERVICES[self.service]})
        t._SERVICES.clear(), t._SERVICES.update(services)
        self.addCleanup(worker.ended.wait, NET)
        self.addCleanup(worker.stop)
        self.assertTrue(worker.welcomed.wait(NET))
        return worker

    def start_worker(self, *args):
        """A worker process that is registered."""
        process = subprocess.Popen([sys.executable, *args], stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        self.assertRegex(process.stderr.readline(), "troupe: worker .* serves ")
        return process

    def test_the_example_programs(self):
        self.start_worker(str(HERE / "upper_worker.py"), self.workers)
        output = subprocess.run([sys.executable, str(HERE / "client.py"), self.clients], stdout=subprocess.PIPE, timeout=NET, text=True).stdout
        for line in ("HELLO", "calls run in order: 41 42", "ValueError", "still there: 42", "unknown-service, safe to try again: True"):
            self.assertIn(line, output)

    def test_many_hits_keep_their_thread_and_order(self):
        self.serve(Recorder, slots=100)
        hits = [self.client.open(self.service, session=n) for n in range(100)]
        calls = [(n, hit, hit.call_async(b"c")) for _ in range(10) for n, hit in enumerate(hits)]
        for n, hit, call in calls:
            self.assertEqual(json.loads(call.result(NET)), [n, hit.thread])
        self.assertEqual(len({hit.thread for hit in hits}), 100)
        for hit in hits:
            hit.close()

    @unittest.mock.patch.object(t, "GRACE", NET)
    def test_errors_progress_cancel(self):
        notes = queue.Queue()
        self.serve(lambda call: {b"p": progress, b"c": wait_for_cancel}.get(call.body, fail)(call))
        hit = self.client.open(self.service)
        self.assertEqual(hit.call(b"p", timeout=NET, progress=lambda *note: notes.put(note)), [b"a", b"b"])
        self.assertEqual(notes.get(timeout=NET), (0.5, "half"))
        self.assertFails(hit.call_async(b"key"), t.ServiceError, Outcome.finished, "KeyError: 1")
        with self.assertRaises(t.Expired) as caught:
            hit.call(b"c", timeout=0.05)
        self.assertIn(caught.exception.outcome, (Outcome.finished, Outcome.never_started))  # the second on a very slow machine
        running, waiting = hit.call_async(b"c", progress=lambda *_: hit.cancel()), hit.call_async(b"p")
        self.assertFails(running, t.Cancelled, Outcome.finished)
        self.assertFails(waiting, t.Cancelled, Outcome.never_started)
        self.assertFails(hit.call_async(b"crash"), t.Panicked, Outcome.unknown, "SystemExit: enough")
        hit._ended.result(NET)
        self.assertFails(hit.call_async(b"key"), t.Panicked, Outcome.never_started)
        self.assertFails(self.client.do_async(self.service, b"crash"), t.Panicked, Outcome.unknown)

    @unittest.mock.patch.object(t, "GRACE", NET)
    def test_all_slots_busy(self):
        self.serve(Gate, slots=1)
        hit = self.client.open(self.service)
        self.assertFails(self.client.do_async(self.service, timeout=0.05), t.Expired, Outcome.never_started)
        later = self.client.do_async(self.service, b"x", timeout=NET)
        hit.close()
        self.assertEqual(later.result(NET), b"ran x")

    def test_a_killed_worker(self):
        program = f"""if True:
            import sys, threading
            sys.path.insert(0, {str(HERE)!r})
            from troupe import serve, service
            @service({self.service!r}, slots=4)
            def hang(call):
                call.progress(0)
                threading.Event().wait()
            serve({self.workers!r})"""
        process, inside = self.start_worker("-c", program), queue.Queue()
        hits = [self.client.open(self.service) for _ in range(4)]
        calls = [hit.call_async(progress=lambda *note: inside.put(note)) for hit in hits]
        for _ in calls:
            inside.get(timeout=NET)
        process.kill()
        for call in calls:
            self.assertFails(call, t.WorkerGone, Outcome.unknown)

    def test_a_client_that_leaves_frees_the_threads(self):
        ended = queue.Queue()

        class Session(Gate):
            def close(self):
                ended.put(threading.get_native_id())

        self.serve(Session)
        other = t.Client(self.clients)
        hits = [other.open(self.service) for _ in range(4)]
        other.close()
        self.assertEqual({ended.get(timeout=NET) for _ in hits}, {hit.thread for hit in hits})

    def test_a_worker_that_drains(self):
        worker = self.serve(Gate)
        hit = self.client.open(self.service)
        worker.drain()
        self.assertEqual(hit.call(b"x", timeout=NET), b"ran x")
        hit.close()
        worker.join()

    def test_large_bodies(self):
        self.serve(lambda call: call.bodies)
        body = [os.urandom(3 << 20), b"", os.urandom(7 << 20)]
        with self.client.open(self.service) as hit:
            for _ in range(3):
                self.assertEqual(hit.call(body, timeout=NET), body)


if __name__ == "__main__":
    unittest.main()
