"""Tests of bodies in parts on direct hits, at a worker's door and at a client; the test plays broker, client and worker.

Run: /usr/bin/python3 -m unittest test_direct (in this directory).
"""
import json
import queue
import time

import test_extensions as ext
import troupe as t
from test_extensions import KIB, MIB, UNKNOWN, chunks, digest, size
from test_troupe import NET, setUpModule  # noqa: F401 (unittest calls setUpModule)
from troupe import Outcome


class Reader:
    """Reads its body, and tells how that ended."""
    ends: queue.SimpleQueue = queue.SimpleQueue()

    def call(self, call):
        try:
            sha = digest(call.input)
        except t.TroupeError as error:
            Reader.ends.put(error.name)
            raise
        Reader.ends.put("whole")
        return json.dumps([call.input.size, sha])


class Writer:
    """Replies without an end, and tells why that ended nevertheless."""
    ends: queue.SimpleQueue = queue.SimpleQueue()

    def call(self, call):
        why = "closed"
        try:
            while True:
                yield bytes(KIB)
                call.check()
        except t.TroupeError as error:
            why = error.name
            raise
        finally:
            Writer.ends.put(why)


class Door(ext.DoorCase):
    services = {"reader": Reader, "writer": Writer}

    def setUp(self):
        Reader.ends, Writer.ends = queue.SimpleQueue(), queue.SimpleQueue()
        super().setUp()

    def announce(self, guest, seq, announced=UNKNOWN):
        """Begins a call with a body in parts, and takes the first credit."""
        guest.say(t.CALL, announced, b"", hit=1, epoch=5, seq=seq, flags=t.MORE)
        head, _ = guest.take(t.CREDIT)
        self.assertEqual((head.hit, head.seq, head.arg), (1, seq, t.STREAM_WINDOW // KIB))

    def part(self, guest, seq, part, data, flags=t.MORE):
        guest.say(t.PART, data, hit=1, epoch=5, seq=seq, part=part, flags=flags)

    def answer(self, guest, *kinds):
        """The next message to the client, credit for its connection aside."""
        while (said := guest.take(t.CREDIT, *kinds))[0].type == t.CREDIT:
            pass
        return said

    def ended(self, status):
        while (head := self.link.take(t.ENDED, t.TALLY, t.RENEW)[0]).type != t.ENDED:
            pass
        self.assertEqual((head.hit, t.STATUS[head.status]), (1, status))


class TestPartsAtTheDoor(Door):
    def test_a_body_of_many_windows_and_its_account(self):
        self.begin_direct(service=b"reader")
        guest = self.enter()
        guest.say(t.CALL, size(5 * MIB), b"", hit=1, epoch=5, seq=1, flags=t.MORE)
        allowed = sent = highest = 0
        for number, piece in enumerate(chunks(5 * MIB), 1):
            while sent + len(piece) > allowed:
                head, _ = guest.take(t.CREDIT)
                if head.hit:
                    allowed = head.arg * KIB
                    highest = max(highest, allowed - sent)
            sent += len(piece)
            self.part(guest, 1, number, piece, flags=t.MORE * (sent < 5 * MIB))
        self.assertLessEqual(highest, t.STREAM_WINDOW + 100 * KIB)
        self.assertEqual(json.loads(self.answer(guest, t.REPLY)[1][0]), [5 * MIB, digest(chunks(5 * MIB))])
        while (told := self.link.take(t.TALLY, t.RENEW, t.PING)[0]).type != t.TALLY or told.seq != 1:
            pass
        self.assertEqual((told.hit, told.arg), (1, 5 * KIB))  # KiB

    def test_bad_parts_are_named_and_the_hit_goes_on(self):
        self.begin_direct(service=b"reader")
        guest = self.enter()
        cases = [("bad-part", UNKNOWN, [(2, t.MORE, b"1")]), ("bad-part", UNKNOWN, [(1, t.MORE, b"1"), (1, 0, b"2")]),
                 ("bad-part", size(5), [(1, t.MORE, b"123456")]), ("bad-part", size(5), [(1, 0, b"1234")]),
                 ("over-credit", UNKNOWN, [(1, t.MORE, bytes(t.STREAM_WINDOW + 1))])]
        for seq, (name, announced, parts) in enumerate(cases, 1):
            self.announce(guest, seq, announced)
            for number, flags, data in parts:
                self.part(guest, seq, number, data, flags)
            head, _ = self.answer(guest, t.ERROR)
            self.assertEqual((head.seq, t.STATUS[head.status], head.arg), (seq, name, Outcome.unknown))
            self.assertEqual(Reader.ends.get(timeout=NET), name)
        self.announce(guest, 6)
        self.part(guest, 6, 1, b"abc", flags=0)
        self.assertEqual(json.loads(self.answer(guest, t.REPLY)[1][0]), [-1, digest([b"abc"])])
        self.assertEqual(Reader.ends.get(timeout=NET), "whole")

    def test_cancel_in_the_middle(self):
        self.begin_direct(service=b"reader")
        guest = self.enter()
        self.announce(guest, 1)
        self.part(guest, 1, 1, b"abc")
        guest.say(t.CANCEL, hit=1, epoch=5, seq=1)
        self.assertEqual(Reader.ends.get(timeout=NET), "cancelled")
        self.assertEqual(t.STATUS[self.answer(guest, t.ERROR)[0].status], "cancelled")
        self.announce(guest, 2)
        self.part(guest, 1, 2, b"late")  # has crossed the CANCEL
        self.part(guest, 2, 1, b"", flags=0)
        self.assertEqual(self.answer(guest, t.REPLY)[0].seq, 2)
        self.assertEqual(Reader.ends.get(timeout=NET), "whole")

    def test_cancel_of_a_reply_in_the_middle(self):
        self.begin_direct(service=b"writer")
        guest = self.enter()
        guest.say(t.CALL, b"", hit=1, epoch=5, seq=1)
        self.answer(guest, t.REPLY)
        guest.say(t.CREDIT, hit=1, epoch=5, seq=1, arg=4)
        self.answer(guest, t.PART)
        guest.say(t.CANCEL, hit=1, epoch=5, seq=1)
        while (head := self.answer(guest, t.PART, t.ERROR)[0]).type == t.PART:
            self.assertTrue(head.flags & t.MORE)  # it has no end
        self.assertEqual((head.seq, t.STATUS[head.status]), (1, "cancelled"))
        self.assertIn(Writer.ends.get(timeout=NET), ("cancelled", "closed"))

    def test_a_client_that_is_lost_in_the_middle(self):
        self.begin_direct(service=b"reader")
        guest = self.enter()
        self.announce(guest, 1)
        self.part(guest, 1, 1, b"abc")
        guest.close()
        self.assertEqual(Reader.ends.get(timeout=NET), "cancelled")
        self.ended("cancelled")


class TestTheLease(Door):
    lease_ms = 500

    def lapse(self, guest):
        """Takes what the client is told when no lease comes any more."""
        while (head := self.answer(guest, t.ERROR, t.PART)[0]).type == t.PART:
            self.assertTrue(head.flags & t.MORE)
        self.assertEqual((t.STATUS[head.status], head.flags, head.seq, head.arg), ("lease-over", t.LAST, 0, Outcome.unknown))

    def test_its_end_in_the_middle_of_a_body(self):
        self.begin_direct(service=b"reader")
        guest = self.enter()
        self.announce(guest, 1)
        self.part(guest, 1, 1, b"abc")
        self.lapse(guest)
        self.assertEqual(Reader.ends.get(timeout=NET), "lease-over")
        self.ended("lease-over")

    def test_its_end_in_the_middle_of_a_reply(self):
        self.begin_direct(service=b"writer")
        guest = self.enter()
        guest.say(t.CALL, b"", hit=1, epoch=5, seq=1)
        self.answer(guest, t.REPLY)
        guest.say(t.CREDIT, hit=1, epoch=5, seq=1, arg=4)
        self.answer(guest, t.PART)
        self.lapse(guest)
        self.assertIn(Writer.ends.get(timeout=NET), ("lease-over", "closed"))
        self.ended("lease-over")

    def test_the_lease_of_an_earlier_hit_does_not_end_a_later_one(self):
        self.begin_direct(service=b"reader")
        self.enter()
        self.link.say(t.END, hit=1, epoch=5)
        self.ended("ok")
        until = time.monotonic() + self.lease_ms / 1000
        while (left := until - time.monotonic()) > 0:
            self.link.router.poll(left * 1000) and self.link.take(t.RENEW, t.TALLY, t.PING)
        self.link.say(t.BEGIN, b"reader", b"", ext.TOKEN, hit=2, epoch=5, flags=t.DIRECT)
        asked = []
        while len(asked) < 3:  # which takes most of a lease
            head, _ = self.link.take(t.OPENED, t.RENEW, t.PING)
            asked += [head.arg] * (head.type == t.RENEW)
        self.link.say(t.LEASE, arg=asked[-1])
        guest = self.guest()
        guest.hello(2)
        self.assertEqual(guest.take(t.WELCOME)[0].hit, 2)


class TestPartsAtADirectClient(ext.DirectClientCase):
    def way(self):
        opening = self.open()
        self.welcome()
        return opening.result(NET)

    def say(self, kind, seq, *frames, **fields):
        self.worker.say(kind, *frames, hit=0xABC, epoch=7, seq=seq, **fields)

    def begin_reply(self, hit, seq, announced=UNKNOWN):
        waiting = self.threads.submit(hit.stream, b"")
        self.worker.take(t.CALL)
        self.say(t.REPLY, seq, announced, b"", flags=t.MORE)
        self.assertEqual(self.worker.take(t.CREDIT)[0][:7], (t.CREDIT, 0, 0, 0xABC, 7, seq, 0))
        return waiting.result(NET)

    def break_off(self, how):
        if how == "lost":
            return self.worker.close()
        self.say(t.ERROR, 0, b"over", flags=t.LAST, status=t.STATUS.index("lease-over"), arg=Outcome.unknown)

    def test_a_reply_that_breaks_off_has_no_end(self):
        for how, kind in (("lost", t.WorkerGone), ("lease", t.LeaseOver)):
            reply = self.begin_reply(self.way(), 1)
            self.say(t.PART, 1, b"abc", part=1, flags=t.MORE)
            self.assertEqual(next(reply), b"abc")
            self.break_off(how)
            for _ in range(2):
                self.assertRaises(kind, reply.read)
            self.assertEqual(self.link.take(t.CLOSE)[0].hit, 0xABC)

    def test_a_body_that_breaks_off(self):
        for how, kind in (("lost", t.WorkerGone), ("lease", t.LeaseOver)):
            call = self.way().call_async(b"", stream=chunks(3_000_000))
            self.worker.take(t.CALL)
            self.say(t.CREDIT, 1, arg=10)
            self.assertEqual(len(self.worker.take(t.PART)[1][0]), 10 * KIB)
            self.break_off(how)
            self.assertFails(call, kind, Outcome.unknown)
            self.assertEqual(self.link.take(t.CLOSE)[0].hit, 0xABC)

    def test_bad_parts_of_a_reply(self):
        hit = self.way()
        for seq, (name, number, data, flags) in enumerate([(t.BadPart, 2, b"x", t.MORE), (t.BadPart, 1, b"1234567", t.MORE), (t.BadPart, 1, b"12345", 0)], 1):
            reply = self.begin_reply(hit, seq, size(6))
            self.say(t.PART, seq, data, part=number, flags=flags)
            self.assertRaises(name, reply.read)
            self.assertEqual(self.worker.take(t.CANCEL)[0].seq, seq)  # to the worker, not to the broker
        reply = self.begin_reply(hit, 4)
        self.say(t.PART, 4, bytes(t.STREAM_WINDOW + 1), part=1, flags=t.MORE)
        self.assertRaises(t.OverCredit, reply.read)
        self.assertEqual(self.worker.take(t.CANCEL)[0].seq, 4)
        self.link.settle()

    def test_a_reply_that_is_left(self):
        reply = self.begin_reply(self.way(), 1)
        reply.close()
        self.assertEqual(self.worker.take(t.CANCEL)[0].seq, 1)
