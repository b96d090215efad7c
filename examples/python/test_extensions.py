"""Tests of what troupe.py has beyond calls: bodies in parts, resumption, vitals, several brokers, slots that grow, direct hits.

As in test_troupe.py the test plays the broker; with a real one in TROUPE_CLIENTS and TROUPE_WORKERS both sides are tested there as well.
Run: /usr/bin/python3 -m unittest test_extensions (in this directory).
"""
import contextlib
import hashlib
import io
import json
import logging
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest
import unittest.mock

import test_troupe
import troupe as t
from test_troupe import HERE, NET, Broker, Case, setUpModule  # noqa: F401 (unittest calls setUpModule)
from troupe import Outcome, Parts

KIB, MIB = 1 << 10, 1 << 20
UNKNOWN = struct.pack(">Q", 2**64 - 1)


def size(n):
    return struct.pack(">Q", n)


def chunks(n, each=100 * KIB):
    """n bytes that cannot be mistaken for others, piece by piece."""
    made = 0
    while made < n:
        piece = hashlib.sha256(str(made).encode()).digest() * (min(each, n - made) // 32 + 1)
        piece = piece[:min(each, n - made)]
        made += len(piece)
        yield piece


def digest(pieces):
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
    return sha.hexdigest()


class TestWatch(unittest.TestCase):
    """The judge of a connection, in virtual time."""

    def watch(self):
        w = t._Watch(3.0)
        w.meet(100.0)
        return w

    def run_until(self, w, end, silent, untaken=None, start=100.0, step=0.5):
        """Comes round each step and looks where that is due, silent(now) being what the kernel says. Returns when it was too long, and how long."""
        now = start
        while (now := now + step) <= end:
            if w.due(now, 0.0) and (found := w.looked(now, silent(now), untaken and untaken(now))):
                return now, found
        return None

    def test_a_peer_that_gives_signs_is_well(self):
        self.assertIsNone(self.run_until(self.watch(), 1000.0, lambda now: now % 2.9))

    def test_silence_for_the_limit_is_frozen(self):
        now, silence = self.run_until(self.watch(), 200.0, lambda now: max(now - 120.0, 0.0))
        self.assertEqual((now, silence), (123.0, 3.0))

    def test_messages_are_signs(self):
        w = self.watch()
        for n in range(20):
            self.assertFalse(w.due(now := 100.5 + n / 2, now) and w.looked(now, now - 100.0, None))

    def test_who_stood_still_does_not_judge(self):
        w = self.watch()
        self.assertIsNone(self.run_until(w, 110.0, lambda now: 0.0))
        self.assertTrue(w.due(130.0, 0.0))  # nobody came round for 20 s
        self.assertEqual(w.looked(130.0, 20.0, None), 0)
        now, silence = self.run_until(w, 140.0, lambda now: now - 110.0, start=130.0)
        self.assertEqual((now, silence), (133.0, 3.0), "all counts start again")

    def test_where_nothing_is_known_nothing_is_said(self):
        self.assertIsNone(self.run_until(self.watch(), 1000.0, lambda now: None))

    def test_a_kernel_without_times(self):
        taking = lambda now: 9 * (int(now) % 2)  # now and then all of it is taken
        self.assertIsNone(self.run_until(self.watch(), 1000.0, lambda now: None, taking, step=0.25))
        w = self.watch()
        now, _ = self.run_until(w, 200.0, lambda now: None, lambda now: 9 * max(int(now - 120.0), 0), step=0.25)
        self.assertTrue(122.0 < now <= 123.3, now)
        self.assertEqual(w.turns, 0.25)

    def test_rare_heartbeats_make_it_longer(self):
        w = self.watch()
        w.lengthen(9.0)
        w.lengthen(6.0)
        self.assertEqual(self.run_until(w, 200.0, lambda now: max(now - 120.0, 0.0))[0], 129.0)
        w.meet(300.0)
        self.assertEqual(w.limit, 3.0, "another broker may be another one")

    def test_limits_that_make_no_sense(self):
        for silence in (0, -1, 0.05, 1e9, float("nan")):
            with self.assertRaisesRegex(ValueError, "from 0.1 s to a day"):
                t.Client("tcp://127.0.0.1:1", silence=silence)


class WorkerCase(test_troupe.WorkerCase):
    """A worker with services of this file at the test's broker, max_body 1 MiB."""
    services = {}

    def start(self, link, slots=4, **options):
        worker = t.Worker(link.endpoint if isinstance(link, Broker) else link, {name: (what, slots) for name, what in self.services.items()}, **options)
        self.addCleanup(worker.ended.wait, NET)
        self.addCleanup(worker.stop)
        return worker, link.greet(t.READY) if isinstance(link, Broker) else None

    def parts(self, seq, pieces, hit=0x10, first=1, last=True):
        """Sends parts under the credit that the worker gives, and returns what it said otherwise."""
        pieces, other, sent, allowed, number = list(pieces) + [b""] * last, [], 0, 0, first - 1
        for i, piece in enumerate(pieces):
            while sent + len(piece) > allowed:
                head, frames = self.link.take(t.CREDIT, t.REPLY, t.ERROR, t.PART)
                if head.type != t.CREDIT:
                    other.append((head, frames))
                    if head.type == t.ERROR:
                        return other
                elif head.hit:
                    self.assertEqual((head.hit, head.epoch, head.seq), (hit, 1, seq))
                    allowed = head.arg * KIB
                    self.assertLessEqual(allowed - sent, 2 * MIB)
            number, sent = number + 1, sent + len(piece)
            self.link.say(t.PART, piece, hit=hit, epoch=1, seq=seq, part=number, flags=0 if last and i == len(pieces) - 1 else t.MORE)
        return other

    def answer(self, *kinds):
        """The next message that is no credit."""
        while True:
            head, frames = super().answer(*(kinds or (t.REPLY,)), t.CREDIT)
            if head.type != t.CREDIT:
                return head, frames

    def take_stream(self, seq, hit=0x10, allow=None):
        """Takes the parts of a reply whose beginning was taken, with as much credit as it needs; returns them and the last header."""
        got, came, number, allowed = [], 0, 0, 0
        while True:
            if allow is None and came + MIB > allowed:
                allowed = came + 2 * MIB
                self.link.say(t.CREDIT, hit=hit, epoch=1, seq=seq, arg=allowed // KIB)
            head, frames = self.answer(t.PART, t.ERROR)
            if head.type == t.ERROR:
                return got, head
            number += 1
            self.assertEqual((head.hit, head.epoch, head.seq, head.part), (hit, 1, seq, number))
            came += len(frames[0])
            self.assertLessEqual(came, allowed)
            got.append(frames[0])
            if not head.flags & t.MORE:
                return got, head


def lazily(what):
    return lambda: what() if isinstance(what, type) else unittest.mock.Mock(spec=["call"], call=what)


class Sums:
    """What a body consists of."""

    def call(self, call):
        if call.body == b"ignore":
            return "ignored"
        if call.body == b"file":
            with io.BufferedReader(call.input, 64 * KIB) as file:
                return json.dumps([call.input.size, digest(iter(lambda: file.read(10_000), b""))])
        if call.body == b"first":
            return call.input.read(5)
        return json.dumps([call.input.size, digest(call.input)])


class Streams:
    """Replies in parts, of several kinds."""
    closed = queue.Queue()

    def call(self, call):
        what, _, n = call.body.decode().partition(" ")
        if what == "file":
            return io.BytesIO(b"".join(chunks(int(n))))
        if what == "parts":
            return Parts(chunks(int(n)), head=["a", "b"], size=int(n))
        if what == "short":
            return Parts([b"12345"], size=6)
        return self.generate(call, what, int(n or 0))

    def generate(self, call, what, n):
        try:
            if what == "upper":
                for chunk in call.input:
                    yield chunk.upper()
            yield from chunks(n)
            if what == "fail":
                raise ValueError("in the middle")
            if what == "text":
                yield "text"
            while what == "endless":
                yield bytes(KIB)
        finally:
            Streams.closed.put(what)


class TestPartsAtWorker(WorkerCase):
    services = {"sums": Sums, "streams": Streams}

    def test_a_large_body_within_a_window(self):
        self.begin("sums")
        for seq, body in enumerate((b"", b"file"), 1):
            self.link.say(t.CALL, size(9 * MIB), body, hit=0x10, epoch=1, seq=seq, flags=t.MORE)
            self.assertEqual(self.parts(seq, chunks(9 * MIB)), [])
            self.assertEqual(json.loads(self.answer()[1][0]), [9 * MIB, digest(chunks(9 * MIB))])

    def test_credit_waits_for_the_reader_and_never_exceeds_the_window(self):
        gate, inside = threading.Event(), queue.Queue()

        class Slow:
            def call(self, call):
                first = next(call.input)
                inside.put(1)
                assert gate.wait(NET)
                return str(len(first) + len(call.input.read()))

        self.link.close()
        self.link, self.services = self.broker(), {"slow": Slow}
        self.start(self.link)
        self.begin("slow")
        self.link.say(t.CALL, UNKNOWN, b"", hit=0x10, epoch=1, seq=1, flags=t.MORE)
        self.assertEqual(self.link.take(t.CREDIT)[0].arg, t.STREAM_WINDOW // KIB)
        for part in range(1, 9):
            self.link.say(t.PART, bytes(128 * KIB), hit=0x10, epoch=1, seq=1, part=part, flags=t.MORE)
        inside.get(timeout=NET)
        credits = []
        self.link.say(t.PING, arg=5)
        while (message := self.link.take(t.CREDIT, t.PONG)[0]).type != t.PONG:
            credits.append(message.arg * (message.hit != 0))
        self.assertLess(max(credits, default=0) * KIB, t.STREAM_WINDOW * 2)  # a window beyond the part that was read, no more
        gate.set()
        self.parts(1, [], first=9)
        self.assertEqual(self.answer()[1], [b"%d" % MIB])

    def test_a_body_that_is_not_read_is_not_waited_for(self):
        self.begin("sums")
        self.link.say(t.CALL, UNKNOWN, b"ignore", hit=0x10, epoch=1, seq=1, flags=t.MORE)
        self.assertEqual(self.answer()[1], [b"ignored"])
        self.link.say(t.PART, b"late", hit=0x10, epoch=1, seq=1, part=1, flags=t.MORE)  # has crossed the answer
        self.call(b"", 2)
        self.assertEqual(json.loads(self.answer()[1][0]), [0, digest([])])

    def test_a_body_that_is_not_whole_is_an_error_for_its_reader(self):
        self.begin("sums")
        cases = [(size(5), [(1, t.MORE, b"123456")]), (size(5), [(1, 0, b"1234")]), (UNKNOWN, [(2, 0, b"1")]),
                 (UNKNOWN, [(1, t.MORE, b"1"), (1, 0, b"2")])]
        for seq, (announced, parts) in enumerate(cases, 1):
            self.link.say(t.CALL, announced, b"", hit=0x10, epoch=1, seq=seq, flags=t.MORE)
            self.assertEqual(self.link.take(t.CREDIT)[0].seq, seq)
            for part, flags, data in parts:
                self.link.say(t.PART, data, hit=0x10, epoch=1, seq=seq, part=part, flags=flags)
            head, _ = self.answer(t.ERROR)
            self.assertEqual((t.STATUS[head.status], head.seq, head.arg), ("bad-part", seq, Outcome.unknown))
        self.link.say(t.CALL, UNKNOWN, b"", hit=0x10, epoch=1, seq=5, flags=t.MORE)
        self.link.take(t.CREDIT)
        for part in range(1, 11):  # 1280 KiB, however fast it reads it has not allowed that before it got the first
            self.link.say(t.PART, bytes(4 * t.STREAM_WINDOW), hit=0x10, epoch=1, seq=5, part=part, flags=t.MORE)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "over-credit")
        self.call(b"", 6)
        self.assertEqual(self.answer()[0].seq, 6)

    def test_part_of_a_call_without_parts(self):
        gate = threading.Event()
        self.link.close()
        self.link, self.services = self.broker(), {"wait": lazily(lambda call: gate.wait(NET) and b"")}
        self.start(self.link)
        self.begin("wait")
        self.call(b"", 1)
        self.link.say(t.PART, b"x", hit=0x10, epoch=1, seq=1, part=1)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "bad-part")
        gate.set()
        self.answer()

    def test_cancel_ends_the_reading(self):
        self.begin("sums")
        self.link.say(t.CALL, UNKNOWN, b"", hit=0x10, epoch=1, seq=1, flags=t.MORE)
        self.link.take(t.CREDIT)
        self.link.say(t.PART, b"x", hit=0x10, epoch=1, seq=1, part=1, flags=t.MORE)
        self.link.say(t.CANCEL, hit=0x10, epoch=1, seq=1)
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.arg), ("cancelled", Outcome.finished))

    def test_a_deadline_ends_the_reading(self):
        self.begin("sums")
        self.link.say(t.CALL, UNKNOWN, b"", hit=0x10, epoch=1, seq=1, flags=t.MORE, arg=300)
        self.assertIn(t.STATUS[self.answer(t.ERROR)[0].status], ("cancelled", "expired"))  # the second on a very slow machine

    def test_replies_in_parts(self):
        self.begin("streams")
        for seq, (what, head_frames, announced) in enumerate([("generate 3000000", [b""], UNKNOWN), ("file 3000000", [b""], UNKNOWN),
                                                              ("parts 3000000", [b"a", b"b"], size(3_000_000)), ("parts 0", [b"a", b"b"], size(0))], 1):
            self.call(what.encode(), seq)
            head, frames = self.answer()
            self.assertEqual((head.flags, head.seq, frames), (t.MORE, seq, [announced, *head_frames]))
            n = int(what.split()[1])
            got, _ = self.take_stream(seq)
            self.assertEqual(digest(got), digest(chunks(n)))
            self.assertLessEqual(max(map(len, got)), t.PART_SIZE)

    def test_nothing_is_sent_without_credit(self):
        self.begin("streams")
        self.call(b"generate 3000000", 1)
        self.answer()
        self.link.settle()
        self.link.say(t.CREDIT, hit=0x10, epoch=1, seq=1, arg=100)
        head, frames = self.answer(t.PART)
        self.assertEqual(len(frames[0]), 100 * KIB)
        self.link.say(t.CREDIT, hit=0x10, epoch=1, seq=1, arg=50)  # goes back: has no effect
        self.link.say(t.CREDIT, hit=0x10, epoch=1, seq=1, arg=100)
        self.link.settle()
        self.link.say(t.CREDIT, hit=0x10, epoch=1, seq=1, arg=101)
        self.assertEqual(len(self.answer(t.PART)[1][0]), KIB)
        self.link.say(t.CANCEL, hit=0x10, epoch=1, seq=1)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "cancelled")

    def test_a_reply_that_reads_while_it_writes(self):
        self.begin("streams")
        self.link.say(t.CALL, UNKNOWN, b"upper", hit=0x10, epoch=1, seq=1, flags=t.MORE)
        self.parts(1, [b"abc", b"def"])
        self.answer()
        self.assertEqual(b"".join(self.take_stream(1)[0]), b"ABCDEF")

    def test_errors_in_the_middle_of_a_reply(self):
        self.begin("streams")
        while not Streams.closed.empty():
            Streams.closed.get()
        for seq, (what, status) in enumerate([(b"fail 5", "service-error"), (b"short", "service-error"), (b"endless", "cancelled")], 1):
            self.call(what, seq)
            self.answer()
            if what == b"endless":
                self.link.say(t.CANCEL, hit=0x10, epoch=1, seq=seq)
            _, head = self.take_stream(seq)
            self.assertEqual((t.STATUS[head.status], head.seq), (status, seq))
        self.assertEqual([Streams.closed.get(timeout=NET) for _ in range(2)], ["fail", "endless"])  # both were closed on their thread
        self.call(b"text", 4)
        self.answer()
        self.assertEqual(self.take_stream(4)[0], [b"text", b""])

    def test_the_last_part_carries_last(self):
        self.begin("streams")
        self.call(b"generate 5", 1, flags=t.LAST)
        self.assertEqual(self.answer()[0].flags, t.MORE)
        got, head = self.take_stream(1)
        self.assertEqual((head.flags, digest(got)), (t.LAST, digest(chunks(5))))
        self.link.settle()

    def test_a_one_shot_has_no_parts(self):
        for hit, (body, reply) in enumerate([(b"generate 5", [b"".join(chunks(5))]), (b"parts 5", [b"a", b"b", b"".join(chunks(5))])]):
            self.begin("streams", hit, None, body, flags=t.FIRST | t.LAST, opened=False)
            self.assertEqual(self.answer()[1], reply)
        self.begin("streams", 9, None, b"endless", flags=t.FIRST | t.LAST, opened=False)
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "too-large")

    def test_small_messages_pass_parts_and_parts_take_turns(self):
        box, sent = t._Outbox(), []
        for hit in (1, 2):
            for part in (1, 2):
                box._put(t.Head(t.PART, hit=hit, part=part, seq=1), ())
            box._put(t.Head(t.REPLY, hit=hit, seq=2), ())
        box._put(t.Head(t.WORKING, hit=1), ()), box._put(t.Head(t.REPLY, hit=3), ())
        box._flush(lambda head, frames: sent.append((head.type, head.hit, head.part)))
        self.assertEqual(sent, [(t.WORKING, 1, 0), (t.REPLY, 3, 0), (t.PART, 1, 1), (t.PART, 2, 1), (t.PART, 1, 2), (t.PART, 2, 2),
                                (t.REPLY, 1, 0), (t.REPLY, 2, 0)])

    def test_a_lost_broker_ends_readers_and_writers(self):
        self.begin("sums", hit=1), self.begin("streams", hit=2)
        self.link.say(t.CALL, UNKNOWN, b"", hit=1, epoch=1, seq=1, flags=t.MORE)
        self.link.take(t.CREDIT)
        self.call(b"endless", 1, hit=2)
        self.answer()
        endpoint = self.link.endpoint
        self.link.close()
        self.link = self.broker(endpoint=endpoint, incarnation="two")
        self.assertLessEqual(self.link.greet(t.READY)["busy"], 2)
        for hit in range(10, 14):
            while True:  # a slot that is still being freed is told by ENDED or, if it comes first, by slot-taken
                self.link.say(t.BEGIN, b"sums", b"", hit=hit, epoch=1)
                head, _ = self.answer(t.OPENED, t.ENDED, t.CHANGED)
                while head.type != t.OPENED and head.hit != hit:
                    head, _ = self.answer(t.OPENED, t.ENDED, t.CHANGED)
                if head.type == t.OPENED:
                    break


class TestSlots(WorkerCase):
    services = {"recorder": test_troupe.Recorder}

    def end(self, hit):
        self.link.say(t.END, hit=hit, epoch=1)
        self.answer(t.ENDED)

    def test_slots_grow_and_shrink(self):
        link, self.link = self.link, self.broker()
        worker, ready = self.start(self.link, slots=2, max_slots=4, slot_idle=0.05, keep_threads=True)
        self.assertEqual((ready["slots"], ready["slots_max"]), (2, 4))
        threads = {self.begin("recorder", hit=hit) for hit in range(1, 5)}
        self.assertEqual((len(threads), worker.slots), (4, 4))
        self.begin("recorder", hit=5, opened=False)
        self.assertEqual(t.STATUS[self.answer(t.ENDED)[0].status], "slot-taken")
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 4, "slots_max": 4})
        self.end(1), self.end(2), self.end(3)
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 2, "slots_max": 4})
        self.begin("recorder", hit=6), self.begin("recorder", hit=7)
        self.assertEqual(worker.slots, 3)
        self.link = link

    def test_fixed_slots_say_nothing_of_growth(self):
        self.assertNotIn("slots_max", self.ready)
        self.begin("recorder")
        self.end(0x10)
        self.link.settle()

    def test_several_brokers_share_the_slots(self):
        one, two = self.broker(), self.broker(incarnation="two")
        worker, _ = self.start([one.endpoint, two.endpoint], slots=2)
        self.assertEqual([link.greet(t.READY)["slots"] for link in (one, two)], [2, 2])
        self.link = one
        self.begin("recorder", hit=1)
        self.assertEqual(json.loads(two.take(t.CHANGED)[1][0]), {"slots": 1})
        self.link = two
        self.begin("recorder", hit=1)  # handles of two brokers may be the same
        self.assertEqual(json.loads(one.take(t.CHANGED)[1][0]), {"slots": 1})
        self.begin("recorder", 2, None, b"", flags=t.FIRST | t.LAST, opened=False)
        head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.flags, head.arg), ("slot-taken", t.LAST, Outcome.never_started))
        self.assertEqual(json.loads(two.take(t.CHANGED)[1][0]), {"slots": 1})
        self.link.settle()
        self.end(1)
        self.assertEqual(json.loads(one.take(t.CHANGED)[1][0]), {"slots": 2})
        self.link = one
        self.call(b"x", 1, hit=1)
        self.assertEqual(self.answer()[0].seq, 1)
        two.close()  # and only its hits end
        self.call(b"y", 2, hit=1)
        self.assertEqual(self.answer()[0].seq, 2)
        worker.drain()
        one.take(t.BYE)
        for _ in range(2):
            one.say(t.PONG, arg=one.take(t.PING)[0].arg)
        self.end(1)
        worker.join()

    def test_a_broker_by_two_names_is_left_out(self):
        with self.assertRaisesRegex(ValueError, "named twice"):
            t.Worker(["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"], {"x": (lambda: None, 1)})
        with self.assertRaisesRegex(ValueError, "weight 0"):
            t.Client([("tcp://127.0.0.1:1", 0)])
        with self.assertRaisesRegex(ValueError, "no broker"):
            t.Client([])
        one, two = self.broker(), self.broker()
        worker, _ = self.start([one.endpoint, two.endpoint])
        one.greet(t.READY), one.settle(), two.greet(t.READY)
        self.link = one
        self.begin("recorder", hit=1)
        deadline = time.monotonic() + NET
        while not any(link.failure for link in worker._brokers):
            self.assertLess(time.monotonic(), deadline)
            one.settle()
        self.assertIn("the same broker", str(worker._brokers[1].failure))


class Deaf:
    """Sessions whose calls, or close, do not return before the test says so, whatever they are told."""
    release, began, closed = threading.Event(), queue.SimpleQueue(), queue.SimpleQueue()

    def call(self, call):
        if call.body == b"hang":
            self.began.put(threading.get_ident())
            self.release.wait(NET)
        return call.body

    def close(self):
        self.closed.put(threading.get_ident())


class Slow(Deaf):
    release, began, closed = threading.Event(), queue.SimpleQueue(), queue.SimpleQueue()


class TestBacklog(WorkerCase):
    services = {"slow": Slow}

    def setUp(self):
        super().setUp()
        Slow.release.clear()
        self.addCleanup(Slow.release.set)
        self.link = self.broker()

    def test_calls_beyond_the_slots_wait_for_their_turn(self):
        self.start(self.link, slots=1, backlog=2)
        for hit in 1, 2, 3:
            self.begin("slow", hit=hit)
        self.call(b"hang", 1, hit=1)
        Slow.began.get(timeout=NET)
        self.call(b"hang", 1, hit=2)
        self.call(b"hang", 1, hit=3)
        self.link.say(t.CANCEL, hit=2, epoch=1, seq=1)
        head, (text,) = self.answer(t.ERROR)
        self.assertEqual((head.hit, t.STATUS[head.status], head.arg), (2, "cancelled", t.Outcome.never_started))
        self.assertTrue(Slow.began.empty())
        Slow.release.set()
        self.assertEqual([self.answer()[0].hit for _ in range(2)], [1, 3])
        Slow.began.get(timeout=NET)

    def test_who_is_written_off_gives_its_turn_back(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.start(self.link, slots=1, backlog=1, write_off=0.05)
        self.begin("slow", hit=1)
        self.begin("slow", hit=2)
        self.call(b"hang", 1, hit=1)
        Slow.began.get(timeout=NET)
        self.call(b"hello", 1, hit=2)
        self.link.say(t.CANCEL, hit=1, epoch=1), self.link.say(t.END, hit=1, epoch=1)
        self.assertEqual(t.STATUS[self.answer(t.ENDED)[0].status], "stuck")
        came = dict(self.answer(t.REPLY, t.CHANGED) for _ in range(2))
        self.assertIn([b"hello"], came.values())
        Slow.release.set()

    def test_mistakes(self):
        for wrong in {"backlog": -1}, {"backlog": 1, "slots": 1, "max_slots": 2}:
            with self.assertRaisesRegex(ValueError, "backlog"):
                t.Worker("tcp://127.0.0.1:1", {"slow": (Slow, 1)}, **wrong)


class TestWrittenOff(WorkerCase):
    services = {"deaf": Deaf}

    def setUp(self):
        super().setUp()
        Deaf.release.clear()
        self.addCleanup(Deaf.release.set)
        logging.disable(logging.NOTSET)
        self.addCleanup(logging.disable, logging.CRITICAL)
        self.link = self.broker()
        self.worker, _ = self.start(self.link, slots=1, write_off=0.05, max_zombies=1)

    def hang(self, hit):
        self.begin("deaf", hit=hit)
        self.call(b"hang", 1, hit=hit)
        thread = Deaf.began.get(timeout=NET)
        self.link.say(t.CANCEL, hit=hit, epoch=1), self.link.say(t.END, hit=hit, epoch=1)
        head, (text,) = self.answer(t.ENDED)
        self.assertEqual((head.hit, t.STATUS[head.status], head.arg), (hit, "stuck", 1))
        self.assertIn(b"written off", text)
        return thread

    def test_a_hung_thread_costs_its_own_hit_only(self):
        with self.assertLogs(t.log, "ERROR") as logged:
            thread = self.hang(1)
        self.assertIn("self.release.wait(NET)", logged.output[0])
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 1, "zombies": 1})
        self.begin("deaf", hit=2)  # on the only slot
        self.call(b"hello", 1, hit=2)
        self.assertEqual(self.answer()[1], [b"hello"])
        self.link.say(t.PROBE, arg=7)
        head, (about,) = self.answer(t.VITALS)
        sessions, io_thread = json.loads(about)["tree"]["children"]
        self.assertEqual((head.arg, sessions["id"], io_thread["id"]), (7, "sessions", "io"))
        self.assertEqual([(c["id"], c["state"], c["message"]) for c in sessions["children"]], [("2", "running", ""), ("1", "written off", "call 1")])
        Deaf.release.set()
        self.assertEqual(Deaf.closed.get(timeout=NET), thread)  # what it held is released on its thread
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 1})
        self.assertFalse(self.worker.zombies)
        self.link.settle()  # nothing else was said of hit 1

    def test_a_one_shot(self):
        self.begin("deaf", 1, None, b"hang", flags=t.FIRST | t.LAST, opened=False)
        Deaf.began.get(timeout=NET)
        self.link.say(t.CANCEL, hit=1, epoch=1)
        with self.assertLogs(t.log, "ERROR"):
            head, _ = self.answer(t.ERROR)
        self.assertEqual((t.STATUS[head.status], head.flags, head.seq, head.arg), ("stuck", t.LAST, 1, Outcome.unknown))
        self.assertEqual(json.loads(self.answer(t.CHANGED)[1][0]), {"slots": 1, "zombies": 1})

    def test_a_call_that_goes_on_is_left_alone(self):
        self.begin("deaf", hit=1)
        self.call(b"hang", 1, hit=1)
        Deaf.began.get(timeout=NET)
        self.link.say(t.END, hit=1, epoch=1)  # in peace: what runs, runs
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            self.link.settle()
        Deaf.release.set()
        self.assertEqual(self.answer()[1], [b"hang"])
        self.assertEqual(self.answer(t.ENDED)[0].status, 0)

    def test_too_many_end_the_process(self):
        with self.assertLogs(t.log, "ERROR"):
            self.hang(1)
            self.answer(t.CHANGED)
            self.hang(2)
            with self.assertRaises(SystemExit) as end:
                self.worker.join()
        self.assertEqual(end.exception.code, 70)


class TestVitals(WorkerCase):
    def ask(self, call):
        return json.dumps(call.client_alive(NET)._asdict())

    def setUp(self):
        self.services = {"ask": lazily(self.ask)}
        super().setUp()

    def test_a_worker_asks_about_its_client(self):
        self.begin("ask")
        for seq, alive in enumerate((True, False), 1):
            self.call(b"", seq)
            head, _ = self.link.take(t.PROBE)
            self.assertEqual((head.hit, head.epoch), (0x10, 1))
            told = {"peer": "client", "alive": alive, "by": "heartbeat", "within_ms": 3000, "state": "open", "running": seq, "new": 1}
            self.link.say(t.VITALS, json.dumps(told).encode(), hit=0x10, epoch=1, arg=head.arg)
            reply = json.loads(self.answer()[1][0])
            self.assertEqual((reply["alive"], reply["within_ms"], reply["running"], reply["queued"]), (alive, 3000, seq, 0))


class ClientCase(test_troupe.ClientCase):
    def credit(self, seq, kib, **fields):
        self.link.say(t.CREDIT, hit=0xABC, epoch=3, seq=seq, arg=kib, **fields)

    def take_parts(self, seq):
        """The parts of a body, with credit as they come."""
        got, came = [], 0
        while True:
            self.credit(seq, came // KIB + 200)
            head, frames = self.link.take(t.PART)
            came += len(frames[0])
            self.assertEqual((head.hit, head.epoch, head.seq, head.part), (0xABC, 3, seq, len(got) + 1))
            got.append(frames[0])
            if not head.flags & t.MORE:
                return got

    def part(self, seq, number, data, flags=t.MORE, **fields):
        self.link.say(t.PART, data, hit=0xABC, epoch=3, seq=seq, part=number, flags=flags, **fields)


class TestPartsAtClient(ClientCase):
    def test_a_body_in_parts(self):
        hit = self.open()
        for seq, (source, announced) in enumerate([(chunks(3_000_000), -1), (io.BytesIO(b"".join(chunks(3_000_000))), 3_000_000), (io.StringIO("äö"), -1),
                                                   (b"abc", 3), ([], 0)], 1):
            call = hit.call_async(b"head", stream=source, size=announced)
            behind = hit.call_async(b"behind")
            head, frames = self.link.take(t.CALL)
            self.assertEqual((head.flags, frames), (t.MORE, [UNKNOWN if announced < 0 else size(announced), b"head"]))
            want = {3: "äö".encode(), 4: b"abc", 5: b""}.get(seq, b"".join(chunks(3_000_000)))
            self.assertEqual(b"".join(self.take_parts(2 * seq - 1)), want)
            self.assertEqual(self.link.take(t.CALL)[1], [b"behind"])  # not before the parts
            self.reply(2 * seq - 1, b"ok"), self.reply(2 * seq, b"ok")
            self.assertEqual((call.result(NET), behind.result(NET)), (b"ok", b"ok"))

    def test_nothing_goes_without_credit_and_an_answer_ends_it(self):
        hit = self.open()
        call = hit.call_async(b"", stream=chunks(3_000_000))
        behind = hit.call_async(b"behind")
        self.link.take(t.CALL)
        self.link.settle()
        self.credit(1, 10)
        self.assertEqual(len(self.link.take(t.PART)[1][0]), 10 * KIB)
        self.link.settle()
        self.reply(1, b"enough")
        self.assertEqual(call.result(NET), b"enough")
        head, frames = self.link.take(t.CALL)
        self.assertEqual((head.seq, frames), (2, [b"behind"]))
        self.credit(1, 10_000)  # of a call that is over
        self.link.settle()
        self.reply(2, b"")
        behind.result(NET)

    def test_a_source_that_fails_cancels_the_call(self):
        def source():
            yield b"abc"
            raise KeyError("gone")
        hit = self.open()
        for seq, (given, announced, kind) in enumerate([(source(), -1, KeyError), ([b"abc"], 4, t.BadPart), ([b"abc"], 2, t.BadPart), (5, -1, TypeError)], 1):
            call = hit.call_async(b"", stream=given, size=announced)
            self.link.take(t.CALL)
            self.credit(seq, 1)
            while (head := self.link.take(t.PART, t.CANCEL)[0]).type == t.PART:
                self.assertTrue(head.flags & t.MORE)
            self.assertEqual(head.seq, seq)
            with self.assertRaises(kind):
                call.result(NET)
            self.error(seq, "cancelled", Outcome.finished)

    @unittest.mock.patch.object(t, "GRACE", NET)
    def test_cancel_and_deadline_end_a_body(self):
        hit = self.open()
        call = hit.call_async(b"", stream=chunks(3_000_000))
        self.link.take(t.CALL)
        hit.cancel()
        self.link.take(t.CANCEL)
        self.credit(1, 1000)
        self.link.settle()
        self.error(1, "cancelled", Outcome.finished)
        self.assertFails(call, t.Cancelled, Outcome.finished)
        call, late = hit.call_async(b"", timeout=0.05, stream=chunks(3_000_000)), hit.call_async(b"", timeout=0.001)
        self.link.take(t.CALL)
        self.assertFails(late, t.Expired, Outcome.never_started, "its turn")
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 2)
        self.error(2, "cancelled", Outcome.finished)
        self.assertFails(call, t.Expired, Outcome.finished)

    def begin_reply(self, hit, seq, *frames, announced=UNKNOWN, **options):
        waiting = self.threads.submit(hit.stream, b"", **options)
        self.link.take(t.CALL)
        self.reply(seq, announced, *(frames or (b"",)), flags=t.MORE)
        self.assertEqual(self.link.take(t.CREDIT)[0][:7], (t.CREDIT, 0, 0, 0xABC, 3, seq, 0))
        return waiting.result(NET)

    def test_a_reply_in_parts(self):
        hit = self.open()
        reply = self.begin_reply(hit, 1, b"a", b"b", announced=size(6))
        self.assertEqual((reply.frames, reply.size), ([b"a", b"b"], 6))
        self.part(1, 1, b"abc"), self.part(1, 2, b"def"), self.part(1, 3, b"", flags=0)
        self.assertEqual(list(reply), [b"abc", b"def"])
        self.assertEqual((list(reply), reply.read(), reply.read(5)), ([], b"", b""))
        reply = self.begin_reply(hit, 2)
        self.part(2, 1, b"line 1\nli"), self.part(2, 2, b"ne 2\n", flags=0)
        self.assertEqual(list(io.BufferedReader(reply)), [b"line 1\n", b"line 2\n"])
        reply = self.begin_reply(hit, 3)
        self.part(3, 1, b"abc"), self.part(3, 2, b"d", flags=0)
        self.assertEqual([reply.read(2), reply.read(2), reply.read(2), reply.read(2)], [b"ab", b"c", b"d", b""])
        waiting = self.threads.submit(hit.stream)
        self.link.take(t.CALL)
        self.reply(4, b"x", b"y")
        reply = waiting.result(NET)
        self.assertEqual((reply.frames, reply.read()), ([b"x", b"y"], b""))

    def test_a_reply_of_many_windows(self):
        hit = self.open()
        reply, got = self.begin_reply(hit, 1), self.threads.submit(lambda: digest(reply))
        allowed, sent = t.STREAM_WINDOW, 0
        for number, piece in enumerate(chunks(9 * MIB), 1):
            while sent + len(piece) > allowed:
                head, _ = self.link.take(t.CREDIT)
                if head.hit:
                    self.assertLessEqual(head.arg * KIB, sent + t.STREAM_WINDOW)
                    allowed = head.arg * KIB
            sent += len(piece)
            self.part(1, number, piece)
        self.part(1, number + 1, b"", flags=0)
        self.assertEqual(reply.size, -1)
        self.assertEqual(got.result(NET), digest(chunks(9 * MIB)))

    def test_a_reply_that_breaks_off(self):
        hit = self.open()
        reply = self.begin_reply(hit, 1)
        self.part(1, 1, b"abc")
        self.error(1, "service-error", Outcome.finished)
        self.assertEqual(next(reply), b"abc")
        for _ in range(2):
            self.assertRaisesRegex(t.ServiceError, "text of", reply.read)
        for seq, (number, data, flags) in enumerate([(2, b"x", t.MORE), (1, b"1234567", t.MORE), (1, b"12345", 0)], 2):
            reply = self.begin_reply(hit, seq, announced=size(6))
            self.part(seq, number, data, flags=flags)
            self.assertRaises(t.BadPart, reply.read)
            self.assertEqual(self.link.take(t.CANCEL)[0].seq, seq)
            self.part(seq, 5, b"late", flags=0)
        reply = self.begin_reply(hit, 5)
        self.link.close()
        self.assertRaises(t.BrokerGone, reply.read)

    @unittest.mock.patch.object(t, "GRACE", 0)
    def test_a_reply_that_nobody_wants_any_more(self):
        hit = self.open()
        with self.begin_reply(hit, 1):
            pass
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 1)
        reply = self.begin_reply(hit, 2, timeout=0.2)
        self.assertRaises(t.Expired, reply.read)
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 2)

    def test_call_puts_a_reply_together(self):
        hit = self.open()
        for seq, head_frames in ((1, [b""]), (2, [b"a", b"b"])):
            call = hit.call_async(b"")
            self.link.take(t.CALL)
            self.reply(seq, UNKNOWN, *head_frames, flags=t.MORE)
            self.assertEqual(self.link.take(t.CREDIT)[0].seq, seq)
            self.part(seq, 1, b"abc"), self.part(seq, 2, b"def", flags=0)
            self.assertEqual(call.result(NET), b"abcdef" if seq == 1 else [b"a", b"b", b"abcdef"])
        call = hit.call_async(b"")
        self.link.take(t.CALL)
        self.reply(3, UNKNOWN, b"", flags=t.MORE)
        self.link.take(t.CREDIT)
        self.part(3, 1, bytes(t.STREAM_WINDOW))
        while not (head := self.link.take(t.CREDIT)[0]).hit:
            pass
        self.assertEqual(head.arg, 2 * t.STREAM_WINDOW // KIB)
        self.part(3, 2, b"1")
        self.assertFails(call, t.TooLarge, Outcome.unknown, "Hit.stream")
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 3)


class TestResume(ClientCase):
    key = bytes(range(16))

    def open(self, keep=60.0):
        opening = self.threads.submit(self.client.open, "upper", timeout=None, resume=keep)
        head, frames = self.link.take(t.OPEN)
        self.assertEqual(json.loads(frames[1]), {"resume_ms": round(keep * 1000)})
        self.link.say(t.OPENED, (0xABC).to_bytes(8, "big"), b"w1", self.key, flags=t.REF, hit=head.hit, epoch=3, arg=4711)
        return opening.result(NET)

    def lose(self, incarnation="one"):
        """The connection is lost, and made anew."""
        self.link.say(t.ERROR, b"who are you?", status=t.STATUS.index("not-registered"))
        self.link.welcome["incarnation"] = incarnation
        self.link.greet(t.HELLO)

    def resumed(self, accepted, answered, acked=0, epoch=4):
        head, frames = self.link.take(t.RESUME)
        self.assertEqual((head.hit, frames), (0xABC, [self.key]))
        self.link.say(t.RESUMED, b"w1", struct.pack(">I", acked), hit=0xABC, epoch=epoch, seq=accepted, arg=answered)
        return head

    def test_calls_go_on(self):
        hit = self.open()
        calls = [hit.call_async(b"%d" % n) for n in range(1, 5)]
        for _ in calls:
            self.link.take(t.CALL)
        self.reply(1, b"r1")
        self.assertEqual(calls[0].result(NET), b"r1")
        self.lose()
        head = self.resumed(3, 2)  # the fourth never came, the second was answered meanwhile
        self.assertEqual((head.seq, head.arg), (4, 1))
        self.link.say(t.REPLY, b"r2", hit=0xABC, epoch=4, seq=2)
        head, frames = self.link.take(t.CALL)
        self.assertEqual((head.seq, head.epoch, frames), (4, 4, [b"4"]))
        for seq in (3, 4):
            self.link.say(t.REPLY, b"r%d" % seq, hit=0xABC, epoch=4, seq=seq)
        self.assertEqual([call.result(NET) for call in calls], [b"r1", b"r2", b"r3", b"r4"])

    def test_calls_that_are_made_meanwhile_wait(self):
        hit = self.open()
        self.link.say(t.ERROR, b"who are you?", status=t.STATUS.index("not-registered"))
        self.link.take(t.HELLO)
        early, late = hit.call_async(b"a"), hit.call_async(b"b", timeout=0.001)
        self.assertFails(late, t.Expired, Outcome.never_started)
        self.link.say(t.WELCOME, json.dumps(self.link.welcome).encode())
        self.resumed(0, 0)
        self.assertEqual(self.link.take(t.CALL)[1], [b"a"])
        self.link.say(t.ERROR, b"lost", hit=0xABC, epoch=4, seq=1, status=t.STATUS.index("reply-lost"), arg=Outcome.reply_lost)
        self.assertFails(early, t.ReplyLost, Outcome.reply_lost)

    def test_bodies_in_parts_do_not_go_on(self):
        hit = self.open()
        sent, kept = hit.call_async(b"", stream=iter([b"abc"])), hit.call_async(b"next")
        self.link.take(t.CALL)
        self.lose()
        self.resumed(1, 0)
        self.assertEqual(self.link.take(t.CANCEL)[0].seq, 1)
        self.assertEqual(self.link.take(t.CALL)[0].seq, 2)
        self.link.say(t.ERROR, b"stopped", hit=0xABC, epoch=4, seq=1, status=t.STATUS.index("cancelled"), arg=Outcome.finished)
        self.link.say(t.REPLY, b"", hit=0xABC, epoch=4, seq=2)
        self.assertFails(sent, t.Cancelled, Outcome.finished)
        kept.result(NET)
        waiting = self.threads.submit(hit.stream)
        self.link.take(t.CALL)
        self.link.say(t.REPLY, UNKNOWN, b"", hit=0xABC, epoch=4, seq=3, flags=t.MORE)
        reply = waiting.result(NET)
        self.link.take(t.CREDIT)
        self.lose()
        self.assertRaises(t.ReplyLost, reply.read)
        self.resumed(3, 3, acked=2, epoch=5)
        self.link.take(t.CANCEL)
        self.link.say(t.ERROR, b"lost", hit=0xABC, epoch=5, seq=3, status=t.STATUS.index("reply-lost"), arg=Outcome.reply_lost)
        call = hit.call_async(b"")
        self.assertEqual(self.link.take(t.CALL)[0].seq, 4)
        self.link.say(t.REPLY, b"", hit=0xABC, epoch=5, seq=4)
        call.result(NET)

    def test_answers_are_acknowledged(self):
        hit = self.open()
        for seq in range(1, t.ACK_ANSWERS + 1):
            call = hit.call_async(b"")
            self.link.take(t.CALL)
            self.reply(seq, b"")
            call.result(NET)
        head, _ = self.link.take(t.ACK)
        self.assertEqual((head.hit, head.epoch, head.arg), (0xABC, 3, t.ACK_ANSWERS))
        call = hit.call_async(b"")
        self.link.take(t.CALL)
        self.reply(t.ACK_ANSWERS + 1, bytes(t.ACK_BYTES))
        self.assertEqual(self.link.take(t.ACK)[0].arg, t.ACK_ANSWERS + 1)
        self.link.say(t.CLOSED, b"", hit=0xABC, epoch=3)
        self.assertEqual(self.link.take(t.ACK)[0].arg, t.ACK_ANSWERS + 1)

    def test_hits_that_are_not_taken_up_again(self):
        self.open().ticket()
        for how, kind, outcome in [("restarted", t.BrokerGone, Outcome.unknown), ("over", t.TroupeError, Outcome.unknown), ("held", t.Fenced, Outcome.unknown),
                                   ("fenced", t.Fenced, Outcome.unknown), ("late", t.BrokerGone, Outcome.unknown)]:
            with self.subTest(how):
                self.tearDown(), self.doCleanups(), self.setUp()
                hit = self.open(0.05 if how == "late" else 60.0)
                call = hit.call_async(b"")
                self.link.take(t.CALL)
                if how == "fenced":
                    self.link.say(t.CLOSED, b"", hit=0xABC, epoch=3, arg=1, status=t.STATUS.index("fenced"))
                elif how == "late":
                    self.link.close()
                else:
                    self.lose("two" if how == "restarted" else "one")
                if how == "over":
                    self.link.take(t.RESUME)
                    self.link.say(t.ERROR, b"no such hit", hit=0xABC, seq=1, status=t.STATUS.index("unknown-hit"), arg=Outcome.never_started)
                if how == "held":
                    self.resumed(1, 1, 1, epoch=9)
                    self.assertEqual(self.link.take(t.DETACH)[0].epoch, 9)
                self.assertFails(call, kind, outcome)
                self.assertIs(hit._ended.result(NET), None)

    def test_a_ticket_for_another_process(self):
        hit = self.open()
        calls = [hit.call_async(b"%d" % n) for n in range(1, 4)]
        for _ in calls:
            self.link.take(t.CALL)
        self.reply(1, b"r1")
        calls[0].result(NET)
        detaching = self.threads.submit(hit.detach)
        head, _ = self.link.take(t.DETACH)
        self.assertEqual((head.hit, head.epoch), (0xABC, 3))
        ticket = detaching.result(NET)
        self.assertFails(calls[1], t.Closed, Outcome.unknown)
        self.assertRegex(ticket, "^troupe-ticket:1:[A-Za-z0-9_-]+:[0-9a-f]{8}$")
        taking = self.threads.submit(self.client.resume, ticket)
        head = self.resumed(2, 1)
        self.assertEqual((head.seq, head.arg), (3, 1))
        again = taking.result(NET)
        self.assertEqual((again.worker, again.service, sorted(again.inherited)), ("w1", "upper", [2, 3]))
        self.link.say(t.REPLY, b"r2", hit=0xABC, epoch=4, seq=2)
        self.assertEqual(again.inherited[2].result(NET), b"r2")
        self.assertFails(again.inherited[3], t.BrokerGone, Outcome.never_started)
        call = again.call_async(b"3")
        self.assertEqual(self.link.take(t.CALL)[0].seq, 3)
        self.link.say(t.REPLY, b"r3", hit=0xABC, epoch=4, seq=3)
        self.assertEqual(call.result(NET), b"r3")
        self.assertRaisesRegex(t.TroupeError, "already", self.client.resume, again.ticket())

    def test_tickets_that_do_not_fit(self):
        ticket = self.open().ticket()
        for bad, text in [("nonsense", "no ticket"), (ticket[:-3], "checksum"), (ticket.replace(":1:", ":2:"), "no ticket")]:
            self.assertRaisesRegex(ValueError, text, self.client.resume, bad)
        with t.Client("tcp://127.0.0.1:1") as other:
            self.assertRaisesRegex(ValueError, "connect to that one", other.resume, ticket)
        other = self.connect(self.link)
        self.link.greet(t.HELLO)
        taking = self.threads.submit(other.resume, ticket)
        self.link.take(t.RESUME)
        self.link.say(t.ERROR, b"wrong", hit=0xABC, status=t.STATUS.index("bad-key"), arg=Outcome.never_started)
        self.assertFails(taking, t.BadKey, Outcome.never_started)
        self.assertRaises(t.Expired, other.resume, ticket, 0.01)
        hit = test_troupe.ClientCase.open  # a hit without a key has none
        self.link = self.broker()
        self.client = self.connect(self.link)
        self.link.greet(t.HELLO)
        self.assertRaises(t.BadKey, hit(self).ticket)


class TestClientVitals(ClientCase):
    def vitals(self, asked, **told):
        head, _ = self.link.take(t.PROBE)
        self.link.say(t.VITALS, json.dumps(told).encode(), hit=head.hit, epoch=head.epoch, arg=head.arg)
        return head, asked.result(NET)

    def test_is_the_worker_alive(self):
        hit = self.open()
        head, vitals = self.vitals(self.threads.submit(hit.is_alive), peer="worker", alive=True, running=3, progress_ms=9000, queued=2)
        self.assertEqual((head.hit, head.epoch), (0xABC, 3))
        self.assertTrue(vitals)
        self.assertEqual((vitals.peer, vitals.running, vitals.progress_ms, vitals.queued), ("worker", 3, 9000, 2))
        self.assertFalse(self.vitals(self.threads.submit(hit.is_alive), peer="hit", alive=False)[1])
        self.link.say(t.CLOSED, b"w1 was killed", hit=0xABC, epoch=3, status=t.STATUS.index("worker-gone"))
        hit._ended.result(NET)
        self.assertEqual(hit.is_alive()[:3], (False, "worker", "w1 was killed"))

    def test_is_the_broker_alive(self):
        head, vitals = self.vitals(self.threads.submit(self.client.is_alive), peer="broker", alive=True)
        self.assertEqual((head.hit, bool(vitals)), (0, True))
        self.assertFalse(self.client.is_alive(0.01))  # it says nothing
        self.assertRaises(ValueError, self.client.is_alive, 1, "tcp://elsewhere:1")
        asked = self.threads.submit(self.client.is_alive, NET)
        self.link.take(t.PROBE), self.link.take(t.PROBE)
        self.link.close()
        self.assertRegex(asked.result(NET).by, "is lost")
        self.assertRegex(self.client.is_alive().by, "no connection")


class TestSeveralBrokers(ClientCase):
    def setUp(self):
        self.threads = self.pool()
        self.links = [self.broker(incarnation=name) for name in ("a", "b", "c")]
        self.client = t.Client([(self.links[0].endpoint, 2), self.links[1].endpoint, self.links[2].endpoint], patience=NET)
        self.addCleanup(self.client.close)
        for link in self.links:
            link.greet(t.HELLO)
        deadline = time.monotonic() + NET
        while not all(link.known for link in self.client._brokers):
            self.assertLess(time.monotonic(), deadline)
        self.taken = queue.Queue()

    def next_open(self):
        """The next OPEN at any broker; PINGs are answered."""
        while True:
            for link in self.links:
                if link.router.poll(10):
                    head, frames = link.take(t.OPEN, t.PING, t.CLOSE, t.BYE)
                    if head.type == t.OPEN:
                        return link, head
                    if head.type == t.PING:
                        link.say(t.PONG, arg=head.arg)

    def refuse(self, link, head, name):
        link.say(t.ERROR, name.encode(), hit=head.hit, flags=t.REF, status=t.STATUS.index(name), arg=Outcome.never_started)

    def accept(self, link, head, handle=0xABC):
        link.say(t.OPENED, handle.to_bytes(8, "big"), b"w", flags=t.REF, hit=head.hit, epoch=3)

    def test_hits_go_round_by_weight(self):
        seen = []
        for _ in range(8):
            opening = self.threads.submit(self.client.open, "upper")
            link, head = self.next_open()
            self.assertEqual(head.flags, t.REF | t.NOW)
            seen.append(self.links.index(link))
            self.accept(link, head, 0x100 + len(seen))
            opening.result(NET)
        self.assertEqual(sorted(seen), [0, 0, 0, 0, 1, 1, 2, 2])

    def test_a_full_broker_is_passed_by_and_in_the_end_one_is_waited_for(self):
        opening, asked = self.threads.submit(self.client.open, "upper"), []
        for name in ("unknown-service", "queue-full", "queue-full"):
            link, head = self.next_open()
            self.assertTrue(head.flags & t.NOW)
            asked.append(link)
            self.refuse(link, head, name)
        self.assertEqual(len({id(link) for link in asked}), 3)
        link, head = self.next_open()
        self.assertIsNot(link, asked[0])
        self.assertEqual(head.flags, t.REF)  # it waits there
        self.refuse(link, head, "slot-taken")  # and once more
        link, head = self.next_open()
        self.refuse(link, head, "draining")
        other, head = self.next_open()
        self.assertIsNot(other, link)
        self.accept(other, head)
        self.assertEqual(opening.result(NET).handle, 0xABC)

    def test_nobody_has_the_service(self):
        opening = self.threads.submit(self.client.open, "upper")
        for _ in range(3):
            self.refuse(*self.next_open(), "unknown-service")
        self.assertFails(opening, t.UnknownService, Outcome.never_started)
        once = self.client.do_async("upper")
        for _ in range(3):
            link, head = self.next_open()
            self.assertEqual(head.flags, t.FIRST | t.LAST | t.REF | t.NOW)
            self.refuse(link, head, "unknown-service")
        self.assertFails(once, t.UnknownService, Outcome.never_started)

    def test_what_a_service_answers_is_not_asked_elsewhere(self):
        once = self.client.do_async("upper")
        link, head = self.next_open()
        link.say(t.ERROR, b"own", hit=head.hit, seq=1, flags=t.REF | t.LAST, status=t.STATUS.index("service-error"), arg=Outcome.finished)
        self.assertFails(once, t.ServiceError, Outcome.finished)

    def test_a_silent_broker_is_left(self):
        self.client.patience = 0.05
        opening = self.threads.submit(self.client.open, "upper")
        silent = next(link for link in self.links * 3000 if link.router.poll(10))
        head, _ = silent.take(t.OPEN)
        self.links.remove(silent)
        link, second = self.next_open()
        self.accept(link, second)
        hit = opening.result(NET)
        while (late := silent.take(t.PING, t.CLOSE)[0]).type == t.PING:
            pass
        self.assertEqual((late.flags, late.hit), (t.REF, head.hit))
        self.accept(silent, head, 0xDEF)  # the hit that nobody wants any more
        while (late := silent.take(t.PING, t.CLOSE)[0]).type == t.PING:
            pass
        self.assertEqual((late.flags, late.hit, hit.handle), (0, 0xDEF, 0xABC))

    def test_a_slow_session_is_no_silent_broker(self):
        self.client.patience = 0.3
        opening = self.threads.submit(self.client.open, "upper")
        link, head = self.next_open()
        for _ in range(4):  # it answers PINGs, far beyond the patience
            link.say(t.PONG, arg=link.take(t.PING)[0].arg)
        self.accept(link, head)
        opening.result(NET)

    def test_a_one_shot_goes_only_to_who_is_there(self):
        for link in self.client._brokers:
            link.heard_at -= 2
        once = self.client.do_async("upper")
        for link in self.links:
            self.assertTrue(link.router.poll(NET * 1000))
        head, _ = self.links[1].take(t.PING)
        self.links[1].say(t.PONG, arg=head.arg)
        head, _ = self.links[1].take(t.OPEN)
        self.links[1].say(t.REPLY, b"ok", flags=t.REF | t.LAST, hit=head.hit, seq=1)
        self.assertEqual(once.result(NET), b"ok")

    def test_a_lost_broker(self):
        opening = self.threads.submit(self.client.open, "upper")
        link, head = self.next_open()
        self.accept(link, head)
        hit = opening.result(NET)
        call = hit.call_async(b"")
        while link.take(t.CALL, t.PING)[0].type != t.CALL:
            pass
        opening = self.threads.submit(self.client.open, "upper")
        second, head = self.next_open()
        self.links.remove(second)
        second.close()
        if second is not link:
            self.links.remove(link)
            link.close()
        self.assertFails(call, t.BrokerGone, Outcome.unknown)
        third, head = self.next_open()  # the open has found the one that is left
        self.accept(third, head, 0xDEF)
        self.assertEqual(opening.result(NET).handle, 0xDEF)


class TestOneBroker(ClientCase):
    def test_a_slot_that_is_taken_is_asked_for_again(self):
        opening = self.threads.submit(self.client.open, "upper")
        head, _ = self.link.take(t.OPEN)
        self.error(0, "slot-taken", Outcome.never_started, hit=head.hit, flags=t.REF)
        head, _ = self.link.take(t.OPEN)
        self.assertEqual(head.flags, t.REF)
        self.link.say(t.OPENED, (0xABC).to_bytes(8, "big"), b"w1", flags=t.REF, hit=head.hit, epoch=3)
        self.assertEqual(opening.result(NET).handle, 0xABC)


TOKEN = bytes(range(16, 32))


class DirectClientCase(ClientCase):
    def open(self, **options):
        """A direct hit: the broker of this test, and its worker, which is another ROUTER."""
        self.worker = self.broker(incarnation="worker")
        opening = self.threads.submit(self.client.open, "upper", direct=True, **options)
        head, _ = self.link.take(t.OPEN)
        self.assertEqual(head.flags, t.REF | t.DIRECT)
        self.link.say(t.OPENED, (0xABC).to_bytes(8, "big"), b"w1", b"", self.worker.endpoint.encode(), TOKEN, b"", flags=t.REF | t.DIRECT, hit=head.hit, epoch=3)
        head, frames = self.worker.take(t.HELLO)
        about = json.loads(frames[0])
        self.assertEqual((head.flags, head.hit, about["token"], about["window"]), (t.DIRECT, 0xABC, TOKEN.hex(), test_troupe.WINDOW))
        return opening

    def welcome(self):
        self.worker.say(t.WELCOME, json.dumps(self.worker.welcome).encode(), flags=t.DIRECT, hit=0xABC, epoch=7)


class TestDirectClient(DirectClientCase):
    def test_calls_take_the_direct_way(self):
        opening = self.open()
        self.welcome()
        hit = opening.result(NET)
        call = hit.call_async(b"a", stream=[b"b"])
        head, frames = self.worker.take(t.CALL)
        self.assertEqual((head.hit, head.epoch, head.seq, frames), (0xABC, 7, 1, [UNKNOWN, b"a"]))
        self.worker.say(t.CREDIT, hit=0xABC, epoch=7, seq=1, arg=1)
        self.assertEqual(self.worker.take(t.PART)[1], [b"b"])
        self.worker.take(t.PART)
        self.worker.say(t.REPLY, b"r", hit=0xABC, epoch=7, seq=1)
        self.assertEqual(call.result(NET), b"r")
        closing = self.threads.submit(hit.close)
        head, _ = self.link.take(t.CLOSE)
        self.assertEqual((head.hit, head.epoch), (0xABC, 3))
        self.link.say(t.CLOSED, b"", hit=0xABC, epoch=3)
        closing.result(NET)
        self.worker.take(t.BYE)
        self.link.settle()

    def test_a_token_that_is_refused(self):
        opening = self.open()
        self.worker.say(t.ERROR, b"no", hit=0xABC, status=t.STATUS.index("bad-token"), arg=Outcome.never_started)
        self.assertFails(opening, t.BadToken, Outcome.never_started)
        self.assertEqual(self.link.take(t.CLOSE)[0].hit, 0xABC)

    def test_a_worker_that_cannot_be_reached(self):
        opening = self.open(timeout=0.2)
        self.assertFails(opening, t.Expired, Outcome.never_started, self.worker.endpoint)
        self.assertEqual(self.link.take(t.CLOSE)[0].hit, 0xABC)

    def test_a_connection_that_is_lost_and_a_lease_that_is_over(self):
        for how, kind in (("lost", t.WorkerGone), ("farewell", t.LeaseOver)):
            opening = self.open()
            self.welcome()
            hit = opening.result(NET)
            call = hit.call_async(b"")
            self.worker.take(t.CALL)
            if how == "lost":
                self.worker.close()
            else:
                self.worker.say(t.ERROR, b"over", hit=0xABC, epoch=7, flags=t.LAST, status=t.STATUS.index("lease-over"), arg=Outcome.unknown)
            self.assertFails(call, kind, Outcome.unknown)
            self.assertEqual(self.link.take(t.CLOSE)[0][:5], (t.CLOSE, 0, 0, 0xABC, 3))
            self.assertFails(hit.call_async(b""), kind, Outcome.never_started)
        opening = self.open()
        self.welcome()
        call = opening.result(NET).call_async(b"")
        self.worker.take(t.CALL)
        self.worker.say(t.ERROR, b"over", hit=0xABC, epoch=7, seq=1, status=t.STATUS.index("lease-over"), arg=Outcome.never_started)
        self.assertFails(call, t.LeaseOver, Outcome.never_started)

    def test_no_worker_has_a_direct_endpoint(self):
        opening = self.threads.submit(self.client.open, "upper", direct=True)
        self.error(0, "unknown-service", Outcome.never_started, hit=self.link.take(t.OPEN)[0].hit, flags=t.REF)
        self.assertFails(opening, t.UnknownService, Outcome.never_started)


class Guest:
    """The client of a direct hit, at the worker's door."""

    def __init__(self, url):
        self.context = t.zmq.Context()
        self.sock = self.context.socket(t.zmq.DEALER)
        self.sock.linger = 0
        self.sock.connect(url)

    def say(self, kind, *frames, **fields):
        self.sock.send_multipart([t.Head(kind, **fields).pack(), *frames])

    def hello(self, hit, token=TOKEN, window=MIB, flags=t.DIRECT):
        self.say(t.HELLO, json.dumps({"token": token.hex(), "window": window}).encode(), hit=hit, flags=flags)

    def take(self, *kinds):
        assert self.sock.poll(NET * 1000), f"no {kinds} came"
        raw, *frames = self.sock.recv_multipart()
        head = t.Head.unpack(raw)
        head.check(len(frames))
        assert head.type in kinds, f"{head} with {frames} came instead of {kinds}"
        return head, frames

    def close(self):
        self.sock.close(0)
        self.context.term()


class DoorCase(WorkerCase):
    services = {"echo": lazily(lambda call: call.bodies), "streams": Streams, "sums": Sums, "gate": test_troupe.Gate}
    lease_ms = 60_000

    def setUp(self):
        self.link = self.broker()
        self.link.welcome["lease_ms"] = self.lease_ms
        self.worker, self.ready = self.start(self.link, direct_bind="tcp://127.0.0.1:0")

    def begin_direct(self, hit=1, service=b"echo", lease=True):
        self.link.say(t.BEGIN, service, b"", TOKEN, hit=hit, epoch=5, flags=t.DIRECT)
        head, _ = self.link.take(t.OPENED, t.RENEW)
        for _ in range(head.type == t.OPENED and not lease):
            head, _ = self.link.take(t.RENEW)
        if head.type == t.RENEW:
            if lease:
                self.link.say(t.LEASE, arg=head.arg)
            self.link.take(t.OPENED)
        else:
            while self.link.router.poll(50 if hit == 1 else 0):
                self.link.say(t.LEASE, arg=self.link.take(t.RENEW)[0].arg)

    def guest(self):
        guest = Guest(self.ready["direct"])
        self.addCleanup(lambda: guest.sock.closed or guest.close())
        return guest

    def enter(self, hit=1, **options):
        guest = self.guest()
        guest.hello(hit, **options)
        head, frames = guest.take(t.WELCOME)
        self.assertEqual((head.flags, head.hit, head.epoch), (t.DIRECT, hit, 5))
        return guest


class TestDirectWorker(DoorCase):
    def test_calls_and_their_account(self):
        self.begin_direct()
        guest = self.enter()
        for seq in (1, 2):
            guest.say(t.CALL, bytes(3000), hit=1, epoch=5, seq=seq)
            self.assertEqual(guest.take(t.REPLY)[1], [bytes(3000)])
        told = None
        while told != (2, 11):
            head, _ = self.link.take(t.TALLY, t.RENEW, t.PING)
            if head.type == t.TALLY:
                self.assertEqual((head.hit, head.epoch), (1, 5))
                told = head.seq, head.arg
        self.link.say(t.CALL, b"", hit=1, epoch=5, seq=3)  # not on this way
        self.assertEqual(t.STATUS[self.answer(t.ERROR)[0].status], "refused")
        self.link.say(t.END, hit=1, epoch=5)
        head, _ = self.answer(t.ENDED)
        self.assertEqual((head.hit, head.status, head.arg), (1, 0, 2))
        guest.say(t.CALL, b"", hit=1, epoch=5, seq=3)
        self.assertEqual(t.STATUS[guest.take(t.ERROR)[0].status], "unknown-hit")

    def test_tokens(self):
        self.begin_direct()
        refused = [dict(hit=1, token=bytes(16)), dict(hit=2), dict(hit=1, token=b""), dict(hit=1, flags=0)]
        for options in refused:
            guest = self.guest()
            guest.hello(**options)
            head, _ = guest.take(t.ERROR)
            self.assertEqual((t.STATUS[head.status], head.arg), ("bad-token", Outcome.never_started))
            guest.say(t.CALL, b"", hit=1, epoch=5, seq=1)
            self.assertEqual(t.STATUS[guest.take(t.ERROR)[0].status], "not-registered")
        guest, second = self.enter(), self.guest()
        second.hello(1)  # it is good for one connection
        self.assertEqual(t.STATUS[second.take(t.ERROR)[0].status], "bad-token")
        guest.say(t.CALL, b"a", hit=1, epoch=5, seq=1)
        guest.take(t.REPLY)
        with unittest.mock.patch.object(t, "TOKEN_LIFE", -1):
            self.begin_direct(hit=3)
            second.hello(3)
            self.assertEqual(t.STATUS[second.take(t.ERROR)[0].status], "bad-token")

    def test_nonsense_at_the_door(self):
        self.begin_direct()
        guest = self.enter()
        for status, frames in [("bad-frame", [b"short"]), ("bad-type", [t.Head(99).pack()]), ("bad-type", [t.Head(t.END).pack()]),
                               ("stale-epoch", [t.Head(t.CALL, hit=1, epoch=4, seq=1).pack(), b""]), ("bad-seq", [t.Head(t.CALL, hit=1, epoch=5, seq=2).pack(), b""]),
                               ("unknown-hit", [t.Head(t.CALL, hit=9, epoch=5, seq=1).pack(), b""])]:
            guest.sock.send_multipart(frames)
            self.assertEqual(t.STATUS[guest.take(t.ERROR)[0].status], status)
        guest.say(t.PING, arg=3)
        self.assertEqual(guest.take(t.PONG)[0].arg, 3)

    def test_bodies_in_parts_and_the_window(self):
        self.begin_direct(service=b"streams")
        guest = self.enter(window=300 * KIB)
        guest.say(t.CALL, b"generate 3000000", hit=1, epoch=5, seq=1)
        guest.take(t.REPLY)
        guest.say(t.CREDIT, hit=1, epoch=5, seq=1, arg=10_000)
        got, came = [], 0
        while not got or head.flags & t.MORE:
            head, frames = guest.take(t.PART)
            got += frames
            came += 32 + len(frames[0])
            if came > 200 * KIB:
                self.assertLess(came, 700 * KIB)  # what a window and a part are
                guest.say(t.CREDIT, arg=sum(map(len, got)) // KIB + 300)
                came = 0
        self.assertEqual(digest(got), digest(chunks(3_000_000)))

    def test_a_client_that_leaves(self):
        for hit, how in ((1, "bye"), (2, "lost")):
            self.begin_direct(hit=hit, service=b"gate")
            guest = self.enter(hit)
            guest.say(t.CALL, b"wait", hit=hit, epoch=5, seq=1)
            gate = test_troupe.Gate.last
            inside = gate.inside.get(timeout=NET)
            guest.say(t.BYE) if how == "bye" else guest.close()
            self.assertTrue(inside.cancelled.wait(NET))
            gate.go.set()
            head, _ = self.link.take(t.ENDED, t.TALLY)
            while head.type == t.TALLY:
                head, _ = self.link.take(t.ENDED, t.TALLY)
            self.assertEqual((head.hit, t.STATUS[head.status], head.arg), (hit, "cancelled", 1))

    def test_nobody_is_served_without_a_lease(self):
        self.link.close()
        self.link = self.broker()
        self.link.welcome["lease_ms"] = 400
        self.worker, self.ready = self.start(self.link, direct_bind="tcp://127.0.0.1:0")
        self.link.say(t.BEGIN, b"echo", b"", TOKEN, hit=1, epoch=5, flags=t.DIRECT)
        asked, opened = [], False
        while not opened or not asked:
            head, _ = self.link.take(t.OPENED, t.RENEW)
            opened = opened or head.type == t.OPENED
            asked += [head.arg] * (head.type == t.RENEW)
        guest = self.guest()
        guest.hello(1)
        self.assertFalse(guest.sock.poll(100))  # it is not welcome before there is a lease
        while not guest.sock.poll(0):
            if self.link.router.poll(50):
                self.link.say(t.LEASE, arg=self.link.take(t.RENEW)[0].arg)
        self.assertEqual(guest.take(t.WELCOME)[0].hit, 1)
        head, _ = guest.take(t.ERROR)  # and none is granted any more
        self.assertEqual((t.STATUS[head.status], head.flags, head.seq, head.arg), ("lease-over", t.LAST, 0, Outcome.unknown))
        while (head := self.link.take(t.RENEW, t.ENDED)[0]).type == t.RENEW:
            self.link.say(t.LEASE, arg=head.arg + 1000)  # which was never asked for
        self.assertEqual(t.STATUS[head.status], "lease-over")
        guest.say(t.CALL, b"", hit=1, epoch=5, seq=1)
        self.assertIn(t.STATUS[guest.take(t.ERROR)[0].status], ("lease-over", "unknown-hit"))

    def test_an_unbindable_door_is_said_at_once(self):
        with self.assertRaisesRegex(ValueError, "cannot bind to 'nonsense' for direct hits"):
            t.Worker(self.link.endpoint, {"x": (lambda: None, 1)}, direct_bind="nonsense")


if __name__ == "__main__":
    unittest.main()
