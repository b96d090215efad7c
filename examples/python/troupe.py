"""HIT/1 for Python in one file, worker and client. It needs pyzmq and nothing else; the protocol is docs/protocol/hit.md.

A worker offers services. Every hit has a thread of its own, from open to close:

    from troupe import service, serve

    @service("counter", slots=8)            # up to 8 hits at the same time in this process
    class Counter:                          # one object per hit; __init__ and all methods run on the hit's thread
        def open(self, session):            # optional; `session` is what the client gave to open()
            self.n = session.get("start", 0)
        def call(self, call):               # returns bytes, str, a list of them, or None
            self.n += int(call.body)
            return str(self.n)
        def close(self):                    # optional
            print("counted to", self.n)

    serve("tcp://127.0.0.1:5701")           # Ctrl-C lets open hits end, a second one stops at once

A service without a session is a function: `@service("upper")` on `def upper(call): return call.body.upper()`.

    with Client("tcp://127.0.0.1:5700") as client:              # may be shared by threads
        client.do("upper", b"hello", timeout=5)                 # open, call and close in one message
        with client.open("counter", session={"start": 40}) as hit:
            hit.call_async(b"1"), hit.call(b"1", timeout=5)     # run in order, on one and the same thread

Large bodies come and go in parts, at most 1 MiB of each on its way: `hit.call(b"name", stream=file)` sends what a file or an iterable
gives, `for chunk in hit.stream(b"name")` takes a reply as it comes. A service reads `call.input` and returns a generator (or a file).
Where endpoints are asked for, a list of several brokers is possible, at both sides.

One io thread owns the sockets and all state; what other threads want is posted to it (`_Side._post`). So there is no lock here.
"""
from __future__ import annotations

import base64
import binascii
import collections
import concurrent.futures as futures
import contextlib
import enum
import fcntl
import functools
import hashlib
import hmac
import io
import itertools
import json
import logging
import math
import os
import queue
import secrets
import signal
import socket
import struct
import sys
import termios
import threading
import time
import traceback
import types
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence, Union

import zmq
import zmq.utils.z85
from zmq.utils.monitor import parse_monitor_message

log = logging.getLogger("troupe")
Body = Union[bytes, str, None, "list[bytes | str]"]  # several frames are a list
Progress = Callable[[float, str], Any]               # called with fraction and note, on the io thread: it must not block

# -- The wire: types, flags, statuses, header (hit.md, sections 2 to 5). -------------------------------------------------------

HELLO, OPEN, CALL, CANCEL, CLOSE, PING, PONG, CREDIT, ADMIN, BYE, RESUME, ACK, DETACH, PROBE, PART = range(1, 16)
WELCOME, OPENED, REPLY, WORKING, ERROR, CLOSED, REPORT, RESUMED, VITALS, MOVED = range(17, 27)
READY, ENDED, CHANGED, RENEW, TALLY, HOLD, BEGIN, END, LEASE = 33, 34, 35, 36, 37, 38, 49, 50, 51
BEAT = 1000  # ms between the heartbeats that ZeroMQ's own thread sends, or less where silence is short
FIRST, LAST, MORE, NOW, REF, DIRECT, IDEMPOTENT, MOST = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 60
RULES = {  # type: name, flags that may be set, least and most frames after the header
    HELLO: ("hello", DIRECT, 1, 1), OPEN: ("open", FIRST | LAST | REF | NOW | DIRECT | IDEMPOTENT, 2, 2 + MOST),
    CALL: ("call", LAST | MORE | IDEMPOTENT, 1, MOST),
    CANCEL: ("cancel", REF, 0, 0), CLOSE: ("close", REF, 0, 0), PING: ("ping", 0, 0, 0), PONG: ("pong", 0, 0, 0),
    CREDIT: ("credit", 0, 0, 0), ADMIN: ("admin", 0, 1, 1), BYE: ("bye", 0, 0, 0), RESUME: ("resume", 0, 1, 1), ACK: ("ack", 0, 0, 0),
    DETACH: ("detach", 0, 0, 0), PROBE: ("probe", 0, 0, 0), PART: ("part", LAST | MORE, 1, MOST), WELCOME: ("welcome", DIRECT, 1, 1),
    OPENED: ("opened", REF | DIRECT, 0, 6), REPLY: ("reply", LAST | REF | MORE, 1, MOST), WORKING: ("working", REF, 0, 1),
    ERROR: ("error", LAST | REF, 1, 2), CLOSED: ("closed", REF, 1, 2), REPORT: ("report", 0, 1, 1), RESUMED: ("resumed", 0, 2, 2),
    VITALS: ("vitals", 0, 1, 1), MOVED: ("moved", 0, 1, 1), READY: ("ready", 0, 1, 1), ENDED: ("ended", 0, 0, 1), CHANGED: ("changed", 0, 1, 1),
    RENEW: ("renew", 0, 0, 0), TALLY: ("tally", MORE, 0, 0), HOLD: ("hold", 0, 0, 0), BEGIN: ("begin", FIRST | LAST | DIRECT, 2, 2 + MOST), END: ("end", 0, 0, 0),
    LEASE: ("lease", 0, 0, 0)}
STATUS = ("ok bad-frame bad-version bad-type bad-flag too-large not-registered unknown-service unknown-hit not-owner stale-epoch bad-seq"
          " closed queue-full expired cancelled worker-gone service-error panicked name-taken draining peer-slow killed internal"
          " broker-gone refused bad-identity bad-key reply-lost fenced bad-token lease-over bad-part over-credit slot-taken bad-body stuck no-match").split()


class Outcome(enum.IntEnum):
    """What became of a call that failed."""
    finished = 0       # the service ran and answered with this error
    never_started = 1  # it did not run and will not: trying again is safe
    unknown = 2        # it may have run, in part or whole
    reply_lost = 3     # it ran to its end, but its reply is lost


class TroupeError(Exception):
    """An error of HIT/1. Programs branch on the subclass (or `name`) and on `outcome`; `text` and `why` are for people."""
    name = "internal"
    kinds: dict[str, type[TroupeError]] = {}

    def __init__(self, text: str, outcome: Outcome = Outcome.finished, why: Any = None) -> None:
        super().__init__(text)
        self.text, self.outcome, self.why = text, outcome, why
        self.member = ""  # the registration of the worker that had a single call, as Client.members names it

    def __init_subclass__(cls, name: str) -> None:
        cls.name, TroupeError.kinds[name] = name, cls

    def __str__(self) -> str:
        return f"{self.text} [{self.name}, {self.outcome.name}]"

    @staticmethod
    def of(name: str, text: str, outcome: Outcome = Outcome.never_started, why: Any = None) -> TroupeError:
        """The error of a status, by the status's name."""
        error = TroupeError.kinds.get(name, ProtocolError)(text, outcome, why)
        error.name = name
        return error

    def but(self, outcome: Outcome) -> TroupeError:
        """A copy of the error with another outcome."""
        return TroupeError.of(self.name, self.text, outcome, self.why)


class TooLarge(TroupeError, name="too-large"): """The body is over the broker's limit."""
class UnknownService(TroupeError, name="unknown-service"): """No worker has offered this service."""
class Closed(TroupeError, name="closed"): """The hit or the client is closed."""
class QueueFull(TroupeError, name="queue-full"): """More waits than the limit allows: try again later."""
class Expired(TroupeError, name="expired"): """The deadline passed."""
class Cancelled(TroupeError, name="cancelled"): """The call was cancelled."""
class WorkerGone(TroupeError, name="worker-gone"): """The worker's process or connection is lost, and the session with it."""
class ServiceError(TroupeError, name="service-error"): """The service's own error; a service may raise it to give its own `why`."""
class Panicked(TroupeError, name="panicked"): """The service's code crashed; its session is lost."""
class NameTaken(TroupeError, name="name-taken"): """A living worker has this name."""
class Draining(TroupeError, name="draining"): """Takes no new hits."""
class PeerSlow(TroupeError, name="peer-slow"): """The receiver does not read."""
class Killed(TroupeError, name="killed"): """An operator ended the hit."""
class BrokerGone(TroupeError, name="broker-gone"): """The broker, or the connection to it, is lost."""
class Refused(TroupeError, name="refused"): """Not allowed here."""
class BadKey(TroupeError, name="bad-key"): """The ticket's key is not the hit's."""
class ReplyLost(TroupeError, name="reply-lost"): """The call was answered, but nobody could keep the answer."""
class Fenced(TroupeError, name="fenced"): """Another client has taken the hit up."""
class BadToken(TroupeError, name="bad-token"): """The token opens no direct hit (any more): open another one."""
class LeaseOver(TroupeError, name="lease-over"): """The worker has not heard from its broker for too long to serve direct hits."""
class BadPart(TroupeError, name="bad-part"): """A body in parts did not come as it was announced: it is not whole."""
class OverCredit(TroupeError, name="over-credit"): """More was sent than the receiver had allowed."""
class BadBody(TroupeError, name="bad-body"): """The service could not read the body, and did not run; a service may raise it before it has done anything."""
class Stuck(TroupeError, name="stuck"): """The call gave no sign for longer than its lease; `why` tells how long that was."""
class NoMatch(TroupeError, name="no-match"): """Nobody who offers the service is what the target asks for."""
class SlotTaken(TroupeError, name="slot-taken"): """The slot went to another hit meanwhile: try again."""
class Internal(TroupeError, name="internal"): """The broker's actor of the hit crashed."""
class NotRegistered(BrokerGone, name="not-registered"): """The broker does not know this connection: it was restarted."""
class UnknownHit(Closed, name="unknown-hit"): """The hit is over, or never was."""
class ProtocolError(TroupeError, name="bad-frame"): """Something was said that HIT/1 does not allow: the statuses without a class of their own."""


class Head(NamedTuple):
    """The header of a message. Fields that a message does not use are zero."""
    type: int
    flags: int = 0
    status: int = 0
    hit: int = 0
    epoch: int = 0
    seq: int = 0
    part: int = 0
    arg: int = 0

    def pack(self) -> bytes:
        return _HEADER.pack(b"TR", 1, *self)

    @staticmethod
    def unpack(frame: bytes) -> Head:
        """Reads a header, or raises TroupeError bad-frame or bad-version."""
        if len(frame) != _HEADER.size:
            raise TroupeError.of("bad-frame", f"header of {len(frame)} bytes: send {_HEADER.size} bytes as a frame of their own")
        magic, version, *fields = _HEADER.unpack(frame)
        if (magic, version) != (b"TR", 1):
            raise TroupeError.of("bad-version", f"magic {magic!r}, version {version}: this side speaks b'TR', version 1")
        return Head(*fields)

    def check(self, frames: int) -> None:
        """Judges type, flags and the number of frames after the header, or raises TroupeError bad-type, bad-flag or bad-frame."""
        if self.type not in RULES:
            raise TroupeError.of("bad-type", f"message type {self.type} is unknown to HIT/1")
        name, flags, least, most = RULES[self.type]
        opens, first = self.type in (OPEN, BEGIN), self.flags & FIRST
        tokened = self.type == BEGIN and self.flags == DIRECT  # service, options, token
        if self.flags & ~flags or opens and self.flags & (LAST | IDEMPOTENT) and not first:
            raise TroupeError.of("bad-flag", f"{name.upper()} with flags {self.flags:#x}: {flags:#x} are possible, last and idempotent only with first")
        sized = self.type in (CALL, REPLY) and self.flags & MORE  # the announced size comes before the body
        if (not least + bool(sized) <= frames <= most or bool(self.part) != (self.type == PART) or opens and bool(first or tokened) != (frames > 2)
                or self.type == OPENED and frames in (1, 4, 5)):
            raise TroupeError.of("bad-frame", f"{name.upper()} with flags {self.flags:#x}, part {self.part} and {frames} frames after the"
                                              f" header: {least} to {most} are possible, bodies only with the flag first, a part only on PART")


_HEADER = struct.Struct(">2sBBHHQIIII")
_NOW, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)  # pyzmq's own are enums, and slow to combine


def _frames(body: Body) -> list[bytes]:
    """The frames of a body as users give it, or TypeError."""
    parts = body if isinstance(body, (list, tuple)) else [b"" if body is None else body]
    if not 1 <= len(parts) <= MOST or not all(isinstance(part, (str, bytes, bytearray, memoryview)) for part in parts):
        raise TypeError(f"a body is bytes, str, None, or a list of 1 to {MOST} bytes or str, not {body!r:.60}")
    return [part.encode() if isinstance(part, str) else bytes(part) for part in parts]


def _told(head: Head, text: bytes, why: bytes = b"") -> TroupeError:
    """The error that ERROR or CLOSED tells of."""
    name = STATUS[head.status] if head.status < len(STATUS) else f"status-{head.status}"
    outcome = Outcome(head.arg) if head.type == ERROR and head.arg < len(Outcome) else Outcome.unknown
    try:
        reason = json.loads(why or b"null")
    except (ValueError, RecursionError):
        reason = why  # a worker's why passes the broker unread
    error = TroupeError.of(name, text.decode(errors="replace"), outcome, reason)
    error.member = f"{head.epoch:x}" if head.flags & REF and head.epoch else ""
    return error


# -- Keys: the one string of `troupe keys add` (docs/security.md). -------------------------------------------------------------

def _keys(key: str | None, endpoint: str) -> tuple[bytes, bytes, bytes] | None:
    """Server, public and secret key for a socket, None where it is not encrypted: without a key, and on ipc paths, which the system guards."""
    key = (os.environ.get("TROUPE_KEY", "") if key is None else key).strip()
    if key and not key.startswith("troupe1-"):
        mode = os.stat(key).st_mode & 0o777 if os.path.isfile(key) else None
        if mode is None:
            raise ValueError("the key is neither what `troupe keys add` has printed nor a file with that")
        if mode & 0o077:
            raise ValueError(f"{key} has mode {mode:04o}, others can read it: chmod 600 {key}")
        with open(key, encoding="ascii") as file:
            key = file.read().strip()
    if not key or not endpoint.startswith(("tcp://", "ipc://@")):
        return None
    try:
        raw = base64.b64decode(key[8:] + "=", "-_", validate=True) if key.startswith("troupe1-") and len(key) == 99 else b""
    except ValueError:
        raw = b""
    if len(raw) != 68 or hashlib.sha256(b"troupe1-" + raw[:64]).digest()[:4] != raw[64:]:
        raise ValueError("the key cannot be read: it was not copied whole, or changed when it was copied")
    server, secret = (zmq.utils.z85.encode(part) for part in (raw[:32], raw[32:64]))
    return server, zmq.curve_public(secret), secret


def _direct_keys(token: bytes) -> tuple[bytes, bytes]:
    """Public and secret key of a direct hit's client: nobody has them who has not got the token."""
    secret = zmq.utils.z85.encode(hashlib.sha256(b"HIT/1 direct " + token).digest())
    return zmq.curve_public(secret), secret


# -- Bodies in parts. ----------------------------------------------------------------------------------------------------------

STREAM_WINDOW = 1 << 20  # bytes of a body that may be on their way to its reader
PART_SIZE = 1 << 17      # bytes of a part, at most
UNKNOWN_SIZE = 2**64 - 1


class Parts(NamedTuple):
    """A reply in parts, where more is to be said of it than a generator or a file says: frames that come before it, and its size."""
    chunks: Any
    head: Body = None
    size: int = -1


def _parts(result: Any) -> Parts | None:
    """A service's result as parts, if it is meant to be sent so."""
    return result if isinstance(result, Parts) else Parts(result) if hasattr(result, "__next__") or hasattr(result, "read") else None


def _chunks(source: Any) -> Iterator[bytes]:
    """The bytes that a file, an iterable, or bytes consist of."""
    if hasattr(source, "read"):
        while chunk := source.read(PART_SIZE):
            yield chunk
    else:
        yield from [source] if isinstance(source, (str, bytes, bytearray, memoryview)) else source


def _announced(size: int) -> bytes:
    return struct.pack(">Q", UNKNOWN_SIZE if size < 0 else size)


def _told_size(frame: bytes) -> int:
    if len(frame) != 8:
        raise TroupeError.of("bad-frame", f"the size of a body in parts has {len(frame)} bytes: 8 belong to it")
    size, = struct.unpack(">Q", frame)
    return -1 if size == UNKNOWN_SIZE else size


def _left(deadline: float) -> float | None:
    """Seconds until a deadline, as queues want it."""
    return None if deadline == math.inf else max(0.0, deadline - time.monotonic())


class Stream(io.RawIOBase):
    """A body that comes in parts: iterate over it, read() it as an unbuffered file, or wrap it in io.BufferedReader; one thread at a time.

    `size` is what was announced, -1 if nothing was. Who reads faster than the sender waits; who reads slower makes the sender wait. A read
    raises TroupeError when the rest does not come: a body that ends without that is whole. Reading has the deadline of its call."""

    def __init__(self, size: int = 0, grant: Callable[[int], Any] | None = None, deadline: float = math.inf) -> None:
        self.size, self.error = size, None  # type: int, TroupeError | None
        self._grant, self._deadline, self._came = grant, deadline, queue.SimpleQueue()  # of bytes, an error, or None: the end
        self._rest, self._ended, self._read, self._asked = memoryview(b""), grant is None, 0, 0  # the reader's
        self._part, self._size, self._allowed, self._whole = 0, 0, 0, grant is None              # the io thread's

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, fewer where a part ends; b"" at the end. Without a size all that is left."""
        if size is None or size < 0:
            return b"".join(self)
        return bytes(self._cut(size)) if size and self._fill() else b""

    readall = read

    def readinto(self, buffer: Any) -> int:
        into = memoryview(buffer).cast("B")
        piece = self._cut(len(into)) if len(into) and self._fill() else b""
        into[:len(piece)] = piece
        return len(piece)

    def __next__(self) -> bytes:
        if not self._fill():
            raise StopIteration
        piece = self._cut(len(self._rest))
        return piece.obj if len(piece) == len(piece.obj) else bytes(piece)

    def _cut(self, size: int) -> memoryview:
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._read += len(piece)
        return piece

    def _fill(self) -> bool:
        """Waits until there are bytes to cut from, and returns whether there are any."""
        if self.closed:
            raise ValueError("this stream is closed")
        while not self._rest and not self._ended:
            if self.error:
                raise self.error
            self._ask()
            try:
                came = self._came.get(timeout=_left(self._deadline))
            except queue.Empty:
                came = Cancelled("stopped while it ran: its deadline passed")
            if isinstance(came, TroupeError):
                self.error = came
            elif came is None:
                self._ended = True
            else:
                self._rest = memoryview(came)
        return not self._ended

    def _ask(self) -> None:
        """Allows the sender to go on, in steps of half a window."""
        if not self._whole and self._read + STREAM_WINDOW // 2 >= self._asked:
            self._asked = self._read + STREAM_WINDOW
            self._grant(self._asked // 1024)

    def _take(self, head: Head, bodies: tuple[bytes, ...]) -> bool:
        """Takes a PART, on the io thread, and returns whether it was the last. Raises BadPart or OverCredit."""
        before, self._size = self._part, self._size + sum(map(len, bodies))
        self._part, last = head.part, not head.flags & MORE
        if head.part != before + 1:
            raise BadPart(f"part {head.part} came after part {before}", Outcome.unknown)
        if 0 <= self.size < self._size or last and 0 <= self.size != self._size:
            raise BadPart(f"{self._size} bytes came{' in all' * last}, {self.size} were announced", Outcome.unknown)
        if self._size > self._allowed * 1024:
            raise OverCredit(f"{self._size} bytes came, {self._allowed} KiB were allowed", Outcome.unknown)
        for body in filter(None, bodies):
            self._came.put(body)
        if last:
            self._whole = True
            self._came.put(None)
        return last

    def _fail(self, error: TroupeError) -> None:
        """Ends it with an error, on the io thread."""
        if not self._whole:
            self._whole = True
            self._came.put(error)


class _Outflow:
    """The parts of a body on their way out. One thread writes them; the io thread gives it credit, or an error that stops it."""

    def __init__(self, size: int, send: Callable[[int, int, Any], Any], deadline: float = math.inf) -> None:
        self.size, self.sent, self.part, self.error = size, 0, 0, None  # type: int, int, int, TroupeError | None
        self._send, self._deadline, self._told = send, deadline, queue.SimpleQueue()  # of bytes allowed in all, or an error
        self._allowed = 0  # the writer's, in bytes
        self._limit = 0    # the io thread's, in KiB

    def allow(self, kib: int) -> None:
        """Takes CREDIT, on the io thread: an absolute limit modulo 2^32, which never goes back."""
        ahead = (kib - self._limit) % 2**32
        if 0 < ahead < 2**31:
            self._limit += ahead
            self._told.put(self._limit * 1024)

    def stop(self, error: TroupeError) -> None:
        self.error = self.error or error
        self._told.put(self.error)

    def write(self, source: Any) -> None:
        """Sends all parts but the last, which is empty and left to the caller. Raises what the source raises, BadPart, or what stops it."""
        for chunk in _chunks(source):
            rest = memoryview(chunk.encode() if isinstance(chunk, str) else bytes(chunk))
            if 0 <= self.size < self.sent + len(rest):
                raise BadPart(f"{self.sent + len(rest)} bytes are to be sent, {self.size} were announced")
            while rest:
                size = min(self._room(), PART_SIZE)
                part, rest = rest[:size], rest[size:]
                self.part, self.sent = self.part + 1, self.sent + len(part)
                self._send(self.part, MORE, part)
        if 0 <= self.size != self.sent:
            raise BadPart(f"the body ended after {self.sent} bytes, {self.size} were announced")

    def _room(self) -> int:
        """Waits for credit, and returns how much there is."""
        while True:
            starved = self.sent >= self._allowed
            try:
                told = self._told.get(starved, _left(self._deadline))
            except queue.Empty:
                if not starved:
                    return self._allowed - self.sent
                told = self.error = Cancelled("stopped while it ran: its deadline passed")
            if isinstance(told, TroupeError):
                raise told
            self._allowed = told


# -- The connections, for both sides. ------------------------------------------------------------------------------------------

_BEHIND_PARTS = (PART, CALL, CLOSE, DETACH, REPLY, ERROR, ENDED)  # do not overtake the parts of their hit


class _Outbox:
    """What waits to be sent to a peer: small messages go before parts, and the parts of its hits take turns."""

    def __init__(self) -> None:
        self._small: collections.deque = collections.deque()
        self._large: collections.OrderedDict[int, collections.deque] = collections.OrderedDict()  # by hit

    def _put(self, head: Head, frames: tuple) -> None:
        if head.type == PART or self._large and head.type in _BEHIND_PARTS and head.hit in self._large:
            self._large.setdefault(head.hit, collections.deque()).append((head, frames))
        else:
            self._small.append((head, frames))

    def unsend(self, hit: int, seq: int) -> None:
        """Forgets parts that nobody wants any more."""
        if left := [message for message in self._large.pop(hit, ()) if message[0].type != PART or message[0].seq != seq]:
            self._large[hit] = collections.deque(left)

    def _clear(self) -> None:
        self._small.clear(), self._large.clear()

    def _flush(self, send: Callable[[Head, tuple], Any]) -> None:
        """Sends in order, until there is nothing left or send raises zmq.Again."""
        try:
            while self._small or self._large:
                if self._small:
                    send(*self._small[0])
                    self._small.popleft()
                    continue
                hit, waiting = next(iter(self._large.items()))
                send(*waiting[0])
                waiting.popleft()
                self._large.move_to_end(hit) if waiting else self._large.pop(hit)
        except zmq.Again:
            pass  # the poller tells when there is room


class _Watch:
    """Judges a connection by what the kernel knows of its other end, whose ZeroMQ thread sends heartbeats and answers ours, whatever its program does (docs/liveness.md). Pure: it
    is told the time."""

    def __init__(self, limit: float) -> None:
        self.asked = self.limit = limit            # seconds of silence
        self.met = self.heard = self.since = self.ran = self.next = 0.0
        self.untaken, self.turns = 0, limit / PULSES  # bytes at the last look; how often to come round, seconds

    def meet(self, now: float) -> None:
        """A fresh connection: nothing of an earlier one counts."""
        self.met = self.heard = self.since = self.ran = self.next = now
        self.limit, self.untaken, self.turns = self.asked, 0, self.asked / PULSES

    def lengthen(self, limit: float) -> None:
        self.limit = max(self.limit, limit)
        self.turns = self.limit / PULSES

    def due(self, now: float, heard: float) -> bool:
        """Whether to look at the connection now. All that has come is read; a message came last at `heard`."""
        late = now - self.ran > self.turns + max(self.limit / 10, 0.05)
        self.ran, self.heard = now, max(self.heard, heard)
        if late:  # we stood still ourselves: what was said was not heard, and what it would answer to not sent
            self.since = now
        return now >= self.next

    def looked(self, now: float, silent: float | None, untaken: int | None) -> float:
        """How long it was silent, if that is too long, else 0. silent: for how long the kernel has had no bytes from it, None where no times are kept; untaken: how many
        bytes of ours it has not taken then, None where nothing is known at all."""
        if silent is not None:
            self.heard = max(self.heard, now - silent)
        elif not untaken or untaken < self.untaken:
            self.heard = now
        self.untaken, coarse = untaken or 0, silent is None and untaken is not None
        silence = now - max(self.heard, self.since)
        if coarse and self.untaken:  # what it took last was sent up to a heartbeat before the look that found it taken
            silence += min(BEAT / 1000, self.limit / 3)
        self.turns = self.limit / (LOOKS if coarse else PULSES)
        self.next = now + (self.turns if coarse else max(self.limit - silence, self.turns / 2))
        return silence if silence >= self.limit else 0.0


PULSES, LOOKS = 4, 12  # how often within the limit the io thread comes round, and looks at a connection whose kernel keeps no times


class _Wire:
    """The descriptor of a connection, which is libzmq's: it may mean another one by now."""

    def __init__(self, fd: int) -> None:
        self.fd, self.cookie = fd, self._cookie(fd)

    @staticmethod
    def _cookie(fd: int) -> bytes:
        try:
            with socket.socket(fileno=os.dup(fd)) as sock:
                return sock.getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE, never used again
        except OSError:
            return b""

    def silence(self) -> tuple[float | None, int | None]:
        """For how many seconds the kernel has had nothing from there; over ipc None, and how many bytes were not taken there."""
        if not self.cookie or self._cookie(self.fd) != self.cookie:
            return None, None
        try:
            with socket.socket(fileno=os.dup(self.fd)) as sock:
                if sock.family == socket.AF_UNIX:
                    return None, int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, b"1234"), sys.byteorder)
                if any(fcntl.ioctl(sock, termios.FIONREAD, bytes(4))):  # what waits for our own thread to read it is no silence
                    return 0.0, None
                return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)[52:56], sys.byteorder) / 1000, None  # tcpi_last_data_recv
        except OSError:
            return None, None


class _Link(_Outbox):
    """One DEALER to a broker, which belongs to the io thread: greets, beats, acknowledges, notices losses, comes back.

    A lost connection is never continued: `_lost` of its side hears of it, and a new socket greets anew. A message of type NAME goes to
    the method `_on_name` here, or else at its side; that has those of the types that are meant for it."""

    def __init__(self, side: _Side, endpoint: str, weight: int = 1) -> None:
        super().__init__()
        self.side, self.endpoint, self.weight, self.hits = side, endpoint, weight, {}  # hits by handle
        self.sock: zmq.Socket | None = None
        self.known = False                                # the broker knows us
        self.failure: TroupeError | None = None           # why it is not tried again
        self.curve, self.turned_away = self.keys(), ""   # how it is encrypted, and why we are not let in
        self.incarnation, self.broker, self.info = "", "", {}
        self.max_body = self.window = 0                   # bytes, once it is known
        self.beat, self.sent_at, self.heard_at, self.retry_at, self._pause = 1.0, 0.0, 0.0, 0.0, 0.05  # seconds
        self.asked_at, self.suspect = 0.0, False          # since when a PING waits for a sign of life, see Client._tick
        self.current = 0                                  # see Client._choose
        self.told, self.parted = (0, 0), False            # slots and how far they can grow, see Worker._tell_slots; Worker._part
        self.fresh = self.leaves = False                  # named by MOVED and not met yet; to be left because of MOVED, see Worker._move_on
        self.lease_until = self.renew_at = 0.0            # see Worker._renew
        self.asked_lease: dict[int, float] = {}
        self.watch, self.wire = _Watch(side.silence), None  # type: _Watch, _Wire | None
        self.connect()

    whom = "broker"

    @property
    def turns(self) -> float:
        """How often the io thread is to come round, in seconds: so the watch tells its own lateness from the broker's silence."""
        return self.watch.turns

    def keys(self) -> tuple[bytes, bytes, bytes] | None:
        return _keys(self.side.key, self.endpoint)

    def connect(self) -> None:
        self.sock = sock = self.side._context.socket(zmq.DEALER)
        sock.linger, sock.rcvhwm, sock.reconnect_ivl, sock.reconnect_ivl_max = 0, 0, 100, 2000  # ms; our window bounds what may come
        sock.heartbeat_ivl, sock.heartbeat_timeout = self.side.heartbeat, 0  # ms; the watch judges, for libzmq's own timeouts fire first thing after we stood still ourselves
        if self.curve:
            sock.curve_serverkey, sock.curve_publickey, sock.curve_secretkey = self.curve
        self.monitor = sock.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
                                               | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        try:
            sock.connect(self.endpoint)
        except zmq.ZMQError as error:
            self.monitor.close(0), sock.close(0)
            raise ValueError(f"cannot connect to {self.endpoint!r} ({error}): write tcp://HOST:PORT or ipc://PATH") from None
        self.side._poller.register(self.monitor, zmq.POLLIN)
        self._received = self._acknowledged = 0
        self.asked_at, self.suspect, self.wire = 0.0, False, None
        self.watch.meet(time.monotonic())
        self.greet()

    def greet(self) -> None:
        kind, about = self.side._greeting(self)
        self.send(Head(kind), self.side._about(about))

    def drop(self, error: TroupeError, linger: int = 0) -> None:
        """Ends the connection and all that lived by it."""
        if self.sock is not None:
            poller = self.side._poller
            poller.unregister(self.monitor), self.sock in poller and poller.unregister(self.sock)
            self.sock.disable_monitor(), self.monitor.close(0), self.sock.close(linger if self.known else 0)
            self.sock, self.retry_at, self._pause = None, time.monotonic() + self._pause, min(2 * self._pause, 2.0)
            self._clear()
            self.known = False
            self.side._link_changed(self)
        self.side._lost(self, error)

    def exchange(self, news: bool) -> None:
        """Reads and writes what is possible; news: the monitor has some."""
        sock, lost = self.sock, news and self.hear_monitor()
        for _ in itertools.repeat(0) if lost else range(100):  # all that came before a loss is read before it counts
            try:
                self._read(sock.recv_multipart(_NOW))
            except zmq.Again:
                break
            if self.sock is not sock:
                return  # dropped for what it said
        if lost:
            text = f"the connection to the {self.whom} at {self.endpoint} is lost"
            return self.drop(BrokerGone(text, Outcome.unknown, self.reason("GONE", "disconnected", text)))
        if self.known and self.frozen():
            return None
        if self.known and time.monotonic() - self.sent_at >= self.beat:
            self.send(Head(PING))
        self._flush(self._transmit)

    def frozen(self) -> bool:
        """Gives a peer up that gives no sign of life, with all that lived by it; another connection is tried."""
        now = time.monotonic()
        if not self.watch.due(now, self.heard_at) or not (silent := self.watch.looked(now, *(self.wire.silence() if self.wire else (None, None)))):
            return False
        text = f"the {self.whom} at {self.endpoint} has been silent for {silent:.2f} s, the limit is {self.watch.limit:g} s: its process stands still, or its host is out of reach"
        why = self.reason("FROZEN", "transport silence", text)
        why["values_ms"], why["limits_ms"] = {"silent": round(silent * 1000)}, {"silent": round(self.watch.limit * 1000)}
        self.drop(BrokerGone(text, Outcome.unknown, why))
        return True

    def reason(self, verdict: str, detector: str, measured: str) -> dict:
        """The why-record of the end of this connection (docs/liveness.md)."""
        now, watch = time.monotonic(), self.watch
        heard = [("its transport", watch.heard), ("a message", self.heard_at)]
        return {"verdict": verdict, "detector": detector, "measured": measured, "broker": self.broker or self.endpoint, "age_ms": round((now - watch.met) * 1000),
                "heard": [{"what": what, "ago_ms": round((now - at) * 1000)} for what, at in heard if at >= watch.met],
                "done": "its hits are lost, but for those that can be resumed; a fresh connection is tried", "knob": "silence of Client and Worker"}

    def hear_monitor(self) -> bool:
        """Reports whether the connection is lost, or did not come about, and notes why the broker does not let us in, if that is so."""
        lost = False
        while self.monitor.poll(0):
            news = parse_monitor_message(self.monitor.recv_multipart())
            if (event := news["event"]) == zmq.EVENT_CONNECTED:
                self.wire = _Wire(news["value"])
                continue
            lost = True
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.turned_away = "the broker does not know this key, or it was revoked"
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.turned_away = "the broker does not encrypt, leave the key out" if self.curve else "the broker lets only peers with a key in"
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and self.curve:
                self.turned_away = "the handshake was broken off: most likely the broker's key is another one than this peer was given"
        return lost

    def _transmit(self, head: Head, frames: tuple) -> None:
        message, copy = (head.pack(), *frames), head.type != PART
        for frame in message[:-1]:
            self.sock.send(frame, _MORE, copy)
        self.sock.send(message[-1], _NOW, copy)

    def send(self, head: Head, *frames: bytes) -> None:
        """Sends a message, from the io thread. Without a connection it is dropped, for its hit is lost anyhow."""
        if self.sock is not None:
            self._put(head, frames)
            self.sent_at = time.monotonic()

    def ask(self, now: float) -> None:
        """Asks for a sign of life, unless that is done already."""
        if not self.asked_at:
            self.asked_at = now
            self.send(Head(PING))

    def _read(self, frames: list[bytes]) -> None:
        head = Head(0)
        self.heard_at, self.asked_at, self.suspect = time.monotonic(), 0.0, False
        try:
            head = Head.unpack(frames[0])
            head.check(len(frames) - 1)
            name = "_on_" + RULES[head.type][0]
            if own := getattr(self, name, None):
                own(head, *frames[1:])
            elif hear := getattr(self.side, name, None):
                hear(self, head, *frames[1:])
            else:
                raise TroupeError.of("bad-type", f"{RULES[head.type][0].upper()} is not for this peer")
        except Exception as error:
            log.warning("troupe: cannot take the message of %s: %r", self.endpoint, error)
            if head.type != ERROR:
                self.complain(head, error if isinstance(error, TroupeError) else TroupeError.of("bad-frame", repr(error)))
        if self.known:
            self._received += sum(map(len, frames))
            if self._received - self._acknowledged >= self.window // 2:
                self._acknowledged = self._received
                self.send(Head(CREDIT, arg=(self._received + self.window) // 1024 % 2**32))

    def complain(self, about: Head, error: TroupeError) -> None:
        self.send(about._replace(type=ERROR, flags=0, status=STATUS.index(error.name), part=0, arg=error.outcome), error.text.encode())

    def _on_welcome(self, _: Head, about: bytes) -> None:
        info = json.loads(about)
        if self.known and info["incarnation"] != self.incarnation:
            return self.drop(BrokerGone(f"the broker at {self.endpoint} was restarted", Outcome.unknown))
        for other in self.side._brokers:
            if other is not self and other.known and (other.broker, other.incarnation) == (info["broker"], info["incarnation"]):
                return self.fail(Refused(f"{self.endpoint} and {other.endpoint} are the same broker {other.broker!r}: name it once"))
        self.take_welcome(info)
        self.side.name = info["name"]
        self.side._link_changed(self)
        self.side._registered(self)

    def take_welcome(self, info: dict) -> None:
        self.incarnation, self.broker, self.beat = info["incarnation"], info["broker"], info["heartbeat_ms"] / 1000
        self.max_body, self.window, self.info, self._pause, self.known = info["max_body"], info["window"], info, 0.05, True
        self.turned_away = ""
        self.watch.lengthen(3 * self.beat)  # where heartbeats are rare, silence is longer

    def fail(self, error: TroupeError) -> None:
        """The broker refuses us, and would again. Without any other this side ends."""
        self.failure = error
        if all(link.failure for link in self.side._brokers):
            self.side.failure, self.side._stopping = error, True
        else:
            log.error("troupe: the broker at %s takes no part: %s", self.endpoint, error.text)
            self.drop(error)

    def _on_error(self, head: Head, text: bytes, why: bytes = b"") -> None:
        error = _told(head, text, why)
        if error.name == "not-registered" or error.name == "draining" and not self.known:
            self.drop(BrokerGone(f"the broker at {self.endpoint} does not know us (any more): {error.text}", Outcome.unknown))
        elif not self.known:  # it refuses our greeting
            self.fail(error)
        else:
            self.side._refused(self, head, error)

    def _on_ping(self, head: Head) -> None:
        self.send(Head(PONG, arg=head.arg))

    def _on_pong(self, head: Head) -> None:
        self.side._ponged(self, head)

    def _on_bye(self, head: Head) -> None:
        log.info("troupe: the broker at %s leaves", self.endpoint)


class Vitals(NamedTuple):
    """What is known of a peer, without asking its application; true in a condition if it is alive."""
    alive: bool           # its connection stands and its transport has answered
    peer: str             # worker, client or broker
    by: str = ""          # the instrument that says so
    within_ms: int = 0    # a silence of the transport longer than this would have been noticed
    state: str = ""       # of the hit
    running: int = 0      # number of the call under way, 0: none
    running_ms: int = 0   # for how long
    progress_ms: int = 0  # since the hit's thread last gave a sign
    queued: int = 0       # calls behind the running one

    def __bool__(self) -> bool:
        return self.alive


Brokers = Union[str, "Sequence[str | tuple[str, int]]"]  # an endpoint, or several, each perhaps with a weight


def _listed(brokers: Brokers) -> list[tuple[str, int]]:
    listed = [broker if isinstance(broker, (tuple, list)) else (broker, 1) for broker in ([brokers] if isinstance(brokers, str) else brokers)]
    for endpoint, weight in listed:
        if [url for url, _ in listed].count(endpoint) > 1:
            raise ValueError(f"the broker {endpoint!r} is named twice: name it once, with a weight if it is to get more")
        if not isinstance(weight, int) or weight < 1:
            raise ValueError(f"the broker {endpoint!r} has the weight {weight!r}: a whole number from 1 on is possible")
    if not listed:
        raise ValueError("no broker is named: name an endpoint as tcp://HOST:PORT or ipc://PATH")
    return listed


class _Side:
    """What client and worker have in common: the io thread, and the links that it looks after."""

    def __init__(self, brokers: Brokers, name: str, window: int, key: str | None, silence: float) -> None:
        listed, self.key, self.silence = _listed(brokers), key, silence
        if not 0.1 <= silence <= 86400:
            raise ValueError(f"silence is {silence!r}: from 0.1 s to a day are possible, 3 is the default")
        self.heartbeat = min(BEAT, round(silence * 1000 / 3))  # ms between the heartbeats that ZeroMQ's own thread sends
        self.endpoint = ", ".join(endpoint for endpoint, _ in listed)
        self.asked_name, self.name, self.asked_window = name, name, window
        self.welcomed = threading.Event()            # set while a broker knows us
        self.ended = threading.Event()               # set when the io thread has ended
        self.failure: BaseException | None = None    # why it ended, if by itself
        self._todo: collections.deque = collections.deque()  # (function, arguments) that other threads posted
        self._probes: dict[int, tuple[futures.Future, list[_Link]]] = {}
        self._numbers = itertools.count(1)           # of references and PROBEs
        self._rung = self._stopping = False
        self._bell, self._ear = socket.socketpair()  # wakes the io thread out of its poll
        self._bell.setblocking(False)
        self._context, self._poller = zmq.Context(), zmq.Poller()
        self._poller.register(self._ear, zmq.POLLIN)
        self._brokers: list[_Link] = []
        self._links: list = []                       # these, and what serves direct hits
        try:
            self._prepare()
            for endpoint, weight in listed:
                self._brokers.append(_Link(self, endpoint, weight))
            self._links += self._brokers
        except BaseException:
            self._context.destroy(0), self._bell.close(), self._ear.close()
            raise
        threading.Thread(target=self._run, name="troupe-io", daemon=True).start()

    def _prepare(self) -> None:
        pass

    def _post(self, do: Callable, *args: Any) -> None:
        """Has the io thread call do(*args). From any thread, and from signal handlers."""
        self._todo.append((do, args))
        if not self._rung:
            self._rung = True
            try:
                self._bell.send(b"!")
            except OSError:
                pass  # the io thread has ended

    def _about(self, about: dict) -> bytes:
        return json.dumps({"name": self.asked_name, "window": self.asked_window, "lang": "python"} | about).encode()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:  # a defect of this file, which must leave nobody waiting
            log.exception("troupe: the io thread has crashed")
            self.failure, self._stopping = error, True
        for link in list(self._links):
            link.drop(Closed("closed by its owner", Outcome.unknown), linger=1000)
        self._context.term()
        self.ended.set()
        self._work()
        self._bell.close(), self._ear.close()

    def _turn(self) -> None:
        down = False
        for link in list(self._links):
            if link.sock is None and time.monotonic() >= link.retry_at and not link.failure:
                link.connect()
            if link.sock is not None:
                self._poller.register(link.sock, zmq.POLLIN | (zmq.POLLOUT if link._small or link._large else 0))
            down = down or link.sock is None
        ready = dict(self._poller.poll(50 if down or self._hasty() else min(min(link.beat / 2, link.turns) for link in self._links) * 1000))  # ms
        if self._ear.fileno() in ready:
            self._ear.recv(1)
            self._rung = False  # before the work: what is posted from now on rings again
        self._work()
        for link in list(self._links):
            if link.sock is not None:
                link.exchange(link.monitor in ready)
        self._tick(time.monotonic())

    def _work(self) -> None:
        for _ in range(len(self._todo)):
            do, args = self._todo.popleft()
            do(*args)

    def _quit(self) -> None:
        self._stopping = True
        for link in self._links:
            link.send(Head(BYE))

    def _link_changed(self, link: _Link) -> None:
        link.fresh = link.fresh and not link.known and not link.failure
        self.welcomed.set() if any(link.known for link in self._brokers) else self.welcomed.clear()
        for number, (future, asked) in list(self._probes.items()):
            if not link.known and link in asked:
                asked.remove(link)
                if not asked:
                    del self._probes[number]
                    future.set_result(Vitals(False, "broker", f"the connection to the broker at {link.endpoint} is lost"))

    def _on_moved(self, link: _Link, _: Head, about: bytes) -> None:
        """A broker that drains names others: they are spoken with from now on, too."""
        for url in json.loads(about)["to"]:
            try:
                if url in [other.endpoint for other in self._brokers]:
                    continue
                new = _Link(self, url)
            except ValueError as error:
                log.warning("troupe: the broker at %s sends us where nobody can be: %s", link.endpoint, error)
                continue
            log.info("troupe: the broker at %s sends us to %s", link.endpoint, url)
            new.fresh, link.leaves = True, True
            self._brokers.append(new), self._links.append(new)

    def _vitals(self, links: list[_Link], about: Head, timeout: float) -> Vitals:
        """Asks brokers with PROBE, and waits for the first answer."""
        future, number = futures.Future(), next(self._numbers) % 2**32
        self._post(self._probe, future, number, links, about)
        try:
            return future.result(0 if self.ended.is_set() else timeout)
        except futures.TimeoutError:
            self._post(self._probes.pop, number, None)
            return Vitals(False, "broker", f"no broker has answered within {timeout} s")

    def _probe(self, future: futures.Future, number: int, links: list[_Link], about: Head) -> None:
        if not (asked := [link for link in links if link.known]):
            return future.set_result(Vitals(False, "broker", f"there is no connection to {', '.join(link.endpoint for link in links)}"))
        self._probes[number] = future, asked
        for link in asked:
            link.send(about._replace(type=PROBE, arg=number))

    def _on_vitals(self, _: _Link, head: Head, about: bytes) -> None:
        info = json.loads(about)
        if head.arg in self._probes:
            self._probes.pop(head.arg)[0].set_result(Vitals(**{name: info[name] for name in Vitals._fields if name in info}))

    def _ponged(self, link: _Link, head: Head) -> None:
        pass


# -- The worker. ---------------------------------------------------------------------------------------------------------------

_SERVICES: dict[str, tuple[Callable[[], Any], int]] = {}  # name: what makes a session, slots asked for
_TERMS: dict[str, dict[str, Any]] = {}                    # name: what is asked of the broker for its calls


def service(name: str, slots: int = 8, *, lease: float = 0, repair: str = "") -> Callable:
    """Offers a class or a function (see the top) as a service. The slots of a process are shared by its services: the largest counts.

    lease: for how many seconds a call may give no sign (an answer, a part, call.progress) before it is stuck, where the broker's limit is too short, say for
    code that holds the interpreter's lock. repair, what is done then: "tell" it is shown, "fail" its client is told at once (the
    default where there is a lease), "restart" what may run again goes to another worker, also when this one is lost."""
    def register(what: Any) -> Any:
        asked = {"lease_ms": round(lease * 1000), "repair": repair}
        _TERMS[name] = {key: value for key, value in asked.items() if value}
        _SERVICES[name] = (what if isinstance(what, type) else lambda: types.SimpleNamespace(call=what)), slots
        return what
    return register


class _Parent:
    """Whoever has started this process and wants to know that the io thread comes round: `troupe supervise`, or systemd (sd_notify(3)). It is never waited for."""

    def __init__(self) -> None:
        name, limit, whom = (os.environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        self._to = "\0" + name[1:] if name[:1] == "@" else name
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._to else None
        self.limit = int(limit) / 1e6 if self._sock and limit.isdigit() and whom in ("", str(os.getpid())) else 0.0
        self._next = self._longest = self._until = 0.0

    def say(self, text: str) -> None:
        if self._sock:
            try:
                self._sock.sendto(text.encode(), socket.MSG_DONTWAIT, self._to)
            except OSError:
                pass  # nobody listens, or not now

    def promise(self, longest: float) -> None:
        """Asks for as long as services have declared that they may hold the interpreter's lock."""
        self._longest = longest
        self._allow(longest)

    def hold(self, seconds: float) -> None:
        if seconds > self._longest:
            self._until = max(self._until, time.monotonic() + seconds)
            self._allow(seconds)

    def _allow(self, seconds: float) -> None:
        if self.limit:
            self.say(f"WATCHDOG_USEC={round((self.limit + seconds) * 1e6)}")

    def beat(self, now: float) -> None:
        if self.limit and now >= self._next:
            self._next = now + min(self.limit / 8, 1)
            if 0 < self._until < now:
                self._until = 0.0
                self._allow(self._longest)
            self.say("WATCHDOG=1")


_parent = functools.cache(_Parent)


def serve(endpoint: Brokers, **options: Any) -> None:
    """Serves until SIGINT or SIGTERM; options as for Worker. For the main thread, which has nothing to do but wait for signals."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    worker = Worker(endpoint, **options)

    def on_signal(*_: Any) -> None:
        worker.stop() if worker.draining else worker.drain()
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        worker.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Call:
    """One call, as its service sees it."""

    def __init__(self, hit: _Served, head: Head, seq: int, bodies: tuple[bytes, ...]) -> None:
        self.deadline = time.monotonic() + head.arg / 1000 if head.arg else math.inf  # in time.monotonic()
        self._input: Stream | None = None
        if head.flags & MORE:
            self._input = Stream(_told_size(bodies[0]), lambda kib: hit.worker._post(hit.worker._grant, hit, self, kib), self.deadline)
            bodies = bodies[1:]
        self.hit, self.seq, self.last, self.bodies, self._hit = hit.handle, seq, bool(head.flags & LAST), list(bodies), hit
        self.body = bodies[0]               # the first frame; most calls have one
        self.cancelled = threading.Event()  # set when the client has cancelled the call, or is lost
        self._stopped: Cancelled | None = None
        self._out: _Outflow | None = None   # of a reply in parts

    @property
    def input(self) -> Stream:
        """What the client sends in parts after the body; empty where it sends none."""
        if self._input is None:
            self._input = Stream()
        return self._input

    def progress(self, fraction: float, note: str = "") -> None:
        """Tells the client how far the call is, 0 to 1. It also proves that this thread goes on."""
        self._hit.promise(0)
        self._hit.say(WORKING, note.encode(), seq=self.seq, arg=round(max(0.0, min(fraction, 1.0)) * 10000))

    def hold(self, seconds: float) -> None:
        """Tells the broker that this call will give no sign for so long, say because it holds the interpreter's lock: until then it is not stuck."""
        sent = threading.Event()
        self._hit.promise(seconds)
        _parent().hold(seconds)
        self._hit.say(HOLD, seq=self.seq, arg=round(seconds * 1000))
        post = self._hit.worker._post
        post(post, sent.set)  # by the round after it is flushed: the io thread needs the lock, too, which what follows may take
        sent.wait(1)

    def check(self) -> None:
        """Raises Cancelled when nobody wants the answer any more. For now and then in long work."""
        if self.cancelled.is_set() or time.monotonic() > self.deadline:
            self._stopped = Cancelled("stopped while it ran: " + ("cancelled" if self.cancelled.is_set() else "its deadline passed"))
            raise self._stopped

    def client_alive(self, timeout: float = 5) -> Vitals:
        """Asks the broker whether the client is still there: `if not call.client_alive(): return`. Waits for the broker, not for the client."""
        hit = self._hit
        return hit.worker._vitals([hit.link], Head(PROBE, hit=hit.handle, epoch=hit.epoch), timeout)

    def _cancel(self, error: TroupeError) -> None:
        """Tells the thread, wherever it stands in the call. On the io thread."""
        self.cancelled.set()
        if self._input:
            self._input._fail(error)
        if self._out:
            self._out.stop(error)


class _Served:
    """One hit at the worker. Its slot's thread is in `run` from BEGIN to the end; the io thread only fills `inbox`."""

    def __init__(self, worker: Worker, link: _Link, head: Head, make: Callable[[], Any], options: bytes) -> None:
        self.worker, self.link, self.handle, self.epoch, self.make, self.options = worker, link, head.hit, head.epoch, make, options
        self.alone = bool(head.flags & LAST)      # one-shot: neither OPENED nor ENDED
        self.inbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()  # None: END
        self.calls: dict[int, Call] = {}          # not answered yet; belongs to the io thread, as does `heard`
        self.heard = self.began = 0               # highest seq that came, that began
        self.way: _Link | _Guest | None = link    # where answers go; None: the client of a direct hit has not come yet
        self.door: _Entrance | None = None        # of a direct hit
        self.ends = self.written = False          # it was told to end; its thread was written off
        self.stopped = self.closing = self.promised = 0.0  # when what runs was asked to stop, when close began, until when a call may give no sign
        self.thread = 0
        self.turn: list[threading.Semaphore] = []  # one, while a call runs that others have to wait for
        self.lease = self.turned = 0.0            # of its service's calls; when the present one began

    def say(self, kind: int, *frames: bytes, **fields: int) -> None:
        self.worker._post(self.worker._say, self, Head(kind, hit=self.handle, epoch=self.epoch, **fields), frames)

    def promise(self, seconds: float) -> None:
        """Notes that the running call may give no sign for so long, or for its lease."""
        self.promised = max(self.promised, time.monotonic() + max(seconds, self.lease))

    def run(self) -> None:
        self.thread = threading.get_ident()
        try:
            given = (json.loads(self.options or b"null") or {}).get("session")
            session = self.make()
            getattr(session, "open", bool)({} if given is None else given)
        except BaseException as error:
            return self.end(None, self.judge(error).but(Outcome.never_started))
        if not self.alone:
            self.say(OPENED, arg=threading.get_native_id())
        result = None
        while call := self.inbox.get():
            result = self.serve(session, call)
            if call.last:
                break
            self.answer(call.seq, result)
            if isinstance(result, Panicked):
                break
        self.closing = time.monotonic()
        try:
            getattr(session, "close", bool)()
        except BaseException:
            log.exception("troupe: the session of hit %x could not be closed", self.handle)
        self.end(call, result if call else self.door and self.door.severed)

    def serve(self, session: Any, call: Call) -> list[bytes] | _Outflow | TroupeError:
        if call.cancelled.is_set():
            return Cancelled("cancelled before its turn came", Outcome.never_started)
        if time.monotonic() > call.deadline:
            return Expired("its deadline passed before its turn came: the calls before it took too long", Outcome.never_started)
        if turns := self.worker._turns:
            if late := self.queue(turns, call):
                return late
            self.turn.append(turns)
        try:
            return self.perform(session, call)
        finally:
            self.done()

    def queue(self, turns: threading.Semaphore, call: Call) -> TroupeError | None:
        """Waits for a turn, and says so now and then: who waits for others is not stuck."""
        sign = time.monotonic() + 1
        while not turns.acquire(timeout=0.02):
            if call.cancelled.is_set():
                return Cancelled("cancelled before its turn came", Outcome.never_started)
            if (now := time.monotonic()) > call.deadline:
                return Expired("its deadline passed while it waited for its turn at the worker: allow more time, or give the worker more slots", Outcome.never_started)
            if now > sign:
                sign = now + 1
                call.progress(0, "waits for its turn at the worker")
        return None

    def done(self) -> None:
        """Gives the turn back, once: the call has ended, or its thread was written off."""
        with contextlib.suppress(IndexError):  # pop is one step, whichever thread it is
            self.turn.pop().release()

    def perform(self, session: Any, call: Call) -> list[bytes] | _Outflow | TroupeError:
        self.began, self.turned = call.seq, time.monotonic()
        self.promised = self.turned + self.lease
        if call._input:
            call._input._ask()
        try:
            result = session.call(call)
            parts = _parts(result)
            bodies = _frames(parts.head if parts else result)
            if parts and not self.alone:
                return self.stream(call, bodies, parts)
            if parts:  # the only message that may answer a one-shot
                bodies = self.collect(bodies, parts)
        except BaseException as error:
            own = (call._stopped, call._input and call._input.error, call._out and call._out.error)
            return error if any(error is known for known in own) else self.judge(error)
        if (size := sum(map(len, bodies))) > self.link.max_body:
            return TooLarge(f"the reply has {size} bytes, the broker takes {self.link.max_body}", Outcome.reply_lost)
        return bodies

    def stream(self, call: Call, bodies: list[bytes], parts: Parts) -> _Outflow:
        """Sends a reply in parts, all but the last one."""
        out = call._out = _Outflow(parts.size, lambda part, flags, data: self.say(PART, data, seq=call.seq, part=part, flags=flags), call.deadline)
        if call.cancelled.is_set():
            call.check()
        try:
            self.say(REPLY, _announced(parts.size), *bodies, flags=MORE, seq=call.seq)
            out.write(parts.chunks)
        finally:
            getattr(parts.chunks, "close", bool)()
        return out

    def collect(self, bodies: list[bytes], parts: Parts) -> list[bytes]:
        whole = bytearray()
        for chunk in _chunks(parts.chunks):
            whole += chunk.encode() if isinstance(chunk, str) else chunk
            if len(whole) > self.link.max_body:
                break  # and is too large
        return [*bodies, bytes(whole)] if parts.head is not None else [bytes(whole)]

    def judge(self, error: BaseException) -> TroupeError:
        """What the client is told of an exception. After an Exception the session goes on; others, as SystemExit, end it."""
        if type(error) is ServiceError:
            return ServiceError(error.text, why=error.why)
        if type(error) is BadBody:
            return BadBody(error.text, Outcome.never_started, error.why)
        text, why = f"{type(error).__name__}: {error}", {"traceback": traceback.format_exception(error)[-3:]}
        return ServiceError(text, why=why) if isinstance(error, Exception) else Panicked(text, Outcome.unknown, why)

    def answer(self, seq: int, result: list[bytes] | _Outflow | TroupeError, flags: int = 0) -> None:
        if isinstance(result, TroupeError):
            why = [json.dumps(result.why, default=str).encode()] if result.why else []
            self.say(ERROR, result.text.encode(errors="replace"), *why, flags=flags, seq=seq, status=STATUS.index(result.name), arg=result.outcome)
        elif isinstance(result, _Outflow):
            self.say(PART, b"", flags=flags, seq=seq, part=result.part + 1)
        else:
            self.say(REPLY, *result, flags=flags, seq=seq)

    def end(self, call: Call | None, result: Any) -> None:
        """The hit's last word: the answer with the flag last where it is due, else ENDED, with the error that ended the session."""
        if self.alone or call and call.last:
            self.answer(call.seq if call else 1, result, LAST)
        elif result is None:
            self.say(ENDED, arg=self.began)
        else:
            self.say(ENDED, result.text.encode(errors="replace"), status=STATUS.index(result.name), arg=self.began)

    def sever(self, error: TroupeError) -> None:
        """Nobody listens any more: what runs is told, what waits does not run. On the io thread."""
        for call in self.calls.values():
            call._cancel(error)
        self.ends, self.stopped = True, self.stopped or time.monotonic()
        self.worker._leaving.add(self)
        self.inbox.put(None)


def _slot(work: queue.SimpleQueue) -> None:
    """The body of a slot's thread: one hit after another, until None."""
    while hit := work.get():
        try:
            hit.run()
        except BaseException as error:  # what run does not foresee must not keep the slot
            log.exception("troupe: hit %x has failed", hit.handle)
            hit.end(None, Panicked(f"the worker failed: {type(error).__name__}", Outcome.unknown))


class Worker(_Side):
    """Serves brokers' worker endpoints, each open hit on a thread of its own. Programs use `serve`; this is for those with an own main.

    endpoint: of the broker, or a list of those of several, which share the slots. services: by default what @service named.
    slots: hits at the same time, by default as @service says; max_slots: how far they grow while all are busy, 0: not at all; they shrink
    again when they were not all used for slot_idle seconds. name: unique at the broker, by default host and pid, so that a second worker
    in a process needs one. window: bytes the broker may send ahead of acknowledgement, 0: its default.
    write_off: for how many seconds a session may not come back that was asked to end, its calls cancelled: then its thread is written off, with its stack in the
    log, and its slot gets another one; no thread can be ended from outside. A call with a longer lease has that first. With more than max_zombies such threads
    join raises SystemExit(70), for whoever started the process to start it again.
    keep_threads: a thread takes further hits instead of ending with its hit; that saves a start, and keeps thread-local state.
    key: for a broker with keys, the string that `troupe keys add` has printed or a file with it, by default TROUPE_KEY's.
    backlog: so many hits beyond slots are taken, and of all only `slots` calls run at a time; the others wait at the worker for their turn, where the broker's queue shows them no more.
    silence: after how many seconds without a sign from a broker's transport it is given up; more than 3 are asked of the broker for this worker, too.
    labels: what hits may select workers by (`target` of Client.open); worker, host and lang are there without being given.
    direct_bind: an endpoint of our own, as tcp://127.0.0.1:0, where clients may have hits without the broker on the way; direct_url is what
    they connect to, if that is another one."""

    def __init__(self, endpoint: Brokers, services: dict | None = None, *, slots: int = 0, name: str = "", keep_threads: bool = False,
                 window: int = 0, max_slots: int = 0, slot_idle: float = 30, direct_bind: str = "", direct_url: str = "",
                 key: str | None = None, write_off: float = 5, max_zombies: int = 16, labels: dict[str, str] | None = None, backlog: int = 0,
                 silence: float = 3) -> None:
        self.labels = dict(labels or {})
        self.services = dict(services or _SERVICES)
        self._known = dict(self.services)         # those that were offered before, too: hits may be on their way to them
        if not self.services:
            raise ValueError("no service: put @service(NAME) on a function or a class first")
        self.slots = self._least = slots or max(asked for _, asked in self.services.values())  # at present, and what they shrink to
        if backlog < 0 or backlog and max_slots > self.slots:
            raise ValueError(f"backlog is {backlog} with max_slots {max_slots}: it may not be negative, and not go with slots that grow")
        self._turns = threading.Semaphore(self.slots) if backlog else None
        self.slots = self._least = self.slots + backlog
        self.max_slots, self.slot_idle, self.keep_threads = max(max_slots, self.slots), slot_idle, keep_threads
        self.draining = False
        self._byes: set[_Link] = set()            # see _move_on
        self._held: set[_Served] = set()          # hits of lost connections whose threads have not ended them yet
        self._work_of: dict[_Served, queue.SimpleQueue] = {}
        self._idle: list[queue.SimpleQueue] = []  # of threads without a hit
        self._full_at = self._tally_at = 0.0      # when all slots were taken, when brokers were told of direct hits
        self._direct, self._door = (direct_bind, direct_url), None  # type: tuple[str, str], _Door | None
        self._born = secrets.token_hex(8)
        self.write_off, self.max_zombies = write_off, max_zombies
        self._leaving: set[_Served] = set()       # hits that were asked to stop, or to end
        self.zombies: set[_Served] = set()        # hits whose threads were written off, and have not come back
        super().__init__(endpoint, name, window, key, silence)

    def drain(self) -> None:
        """Takes no new hits, and ends when the open ones have ended."""
        self.draining = True
        self._post(self._leave)

    def offer(self, services: Iterable[str] | None = None, labels: dict[str, str] | None = None) -> None:
        """Changes what the worker offers, by the names of services that it was made with or that @service has named since, or its labels, all of them; None leaves
        them as they are. Brokers are told at once. Open hits go on, and those on their way to a service that is not offered any more are served yet."""
        offered = None
        if services is not None:
            known = _SERVICES | self._known
            wanted = list(services)
            if not wanted:
                raise ValueError("services: there are none: name at least one, or use drain")
            if unknown := [name for name in wanted if name not in known]:
                raise ValueError(f"services: {unknown} are unknown: put @service(NAME) on a function or a class first")
            offered = {name: known[name] for name in wanted}
        self._post(self._offer, offered, None if labels is None else dict(labels))

    def stop(self) -> None:
        """Ends now. Threads that are stuck in a service's code do not hold the process."""
        self._post(self._quit)

    def join(self) -> None:
        """Waits for the end; raises what caused it if it was not asked for, as NameTaken."""
        self.ended.wait()
        if self.failure:
            raise self.failure

    # All that follows runs on the io thread.

    def _prepare(self) -> None:
        _parent().promise(max(_TERMS.get(name, {}).get("lease_ms", 0) for name in self.services) / 1000)
        if self._direct[0]:
            self._door = _Door(self, *self._direct)
            self._links.append(self._door)

    def _used(self) -> int:
        return len(self._held) + sum(len(link.hits) for link in self._brokers)

    def _share(self, link: _Link) -> tuple[int, int]:
        """How many hits this broker may have here at present, all but those of other brokers, and how far that can grow: 0, not at all."""
        others = self._used() - len(link.hits) - sum(hit.link is link for hit in self._held)
        return self.slots - others, (self.max_slots - others) * (self.max_slots > self._least)

    def _greeting(self, link: _Link) -> tuple[int, dict]:
        busy, (slots, most) = sum(hit.link is link for hit in self._held), self._share(link)
        link.told = slots if most else max(1, slots), most  # READY cannot say that there is none now
        about = {"services": list(self.services), "slots": link.told[0], "busy": busy, "pid": os.getpid(),
                 "host": socket.gethostname(), "incarnation": self._born, "threads": "pinned"}
        if self.silence > 3:
            about["silence_ms"] = round(self.silence * 1000)
        if most:
            about["slots_max"] = most
        if terms := self._terms():
            about["terms"] = terms
        if self.labels:
            about["labels"] = self.labels
        if self._door:
            about |= {"direct": self._door.url, "direct_key": self._door.public}
        return READY, about

    def _registered(self, link: _Link) -> None:
        _parent().say("READY=1")
        log.info("troupe: worker %s serves %s at %s, %d slots", self.name, ", ".join(self.services), link.endpoint, self.slots)

    def _on_begin(self, link: _Link, head: Head, name: bytes, options: bytes, *bodies: bytes) -> None:
        if head.hit in link.hits:
            raise TroupeError.of("bad-seq", f"BEGIN for hit {head.hit:x}, which is open already")
        make, _ = self._known.get(name.decode(), (None, 0))
        hit = _Served(self, link, head, make, options)
        if make is None:
            return hit.end(None, UnknownService(f"this worker does not serve {name.decode()}", Outcome.never_started))
        if self._used() >= self.max_slots:
            hit.end(None, SlotTaken(f"all {self.max_slots} slots of this worker are taken", Outcome.never_started))
            return self._post(setattr, link, "told", (-1, 0))  # CHANGED has to follow, whatever it says
        if head.flags & DIRECT and not self._door:
            return hit.end(None, Refused("this worker has no endpoint for direct hits", Outcome.never_started))
        link.hits[head.hit] = hit
        self.slots = max(self.slots, self._used())
        link.told = max(link.told[0], len(link.hits)), link.told[1]  # the broker has counted it
        if head.flags & DIRECT:
            self._door.expect(hit, bodies[0])
        elif bodies:
            self._queue(hit, head, 1, bodies)
        hit.lease = _TERMS.get(name.decode(), {}).get("lease_ms", 0) / 1000
        self._work_of[hit] = work = self._idle.pop() if self._idle else self._new_slot()
        work.put(hit)

    def _new_slot(self) -> queue.SimpleQueue:
        work: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_slot, args=(work,), name="troupe-slot", daemon=True).start()
        return work

    def _queue(self, hit: _Served, head: Head, seq: int, bodies: tuple[bytes, ...]) -> None:
        call = Call(hit, head, seq, bodies)
        if not hit.calls:
            hit.stopped = 0.0  # that was of earlier ones
        hit.heard, hit.calls[seq] = seq, call
        hit.inbox.put(call)

    def _on_call(self, link: _Link | _Guest, head: Head, *bodies: bytes) -> None:
        hit = link.hits.get(head.hit)
        if hit is None:  # no reason to wonder: its service may have crashed a moment ago
            link.complain(head, TroupeError.of("unknown-hit", f"no hit {head.hit:x} is open here"))
        elif head.epoch != hit.epoch:
            raise TroupeError.of("stale-epoch", f"hit {head.hit:x} is under epoch {hit.epoch}, not {head.epoch}")
        elif hit.way is not link:
            raise Refused(f"hit {head.hit:x} is direct: its calls come on its own connection", Outcome.never_started)
        elif hit.door and not hit.door.holds():
            raise LeaseOver("the worker has not heard from its broker for too long: open another hit", Outcome.never_started)
        elif head.seq != hit.heard + 1 and (hit.heard or hit.door or not head.seq):  # one that has moved here goes on with the seq it has
            raise TroupeError.of("bad-seq", f"call {head.seq} of hit {head.hit:x} came after call {hit.heard}")
        else:
            self._queue(hit, head, head.seq, bodies)

    def _on_part(self, link: _Link | _Guest, head: Head, *bodies: bytes) -> None:
        hit = link.hits.get(head.hit)
        call = hit.calls.get(head.seq) if hit and hit.epoch == head.epoch else None
        if call is None or call._input and call._input._whole:
            return  # of what is over: it has crossed the answer
        if call._input is None:
            raise BadPart(f"call {head.seq} of hit {head.hit:x} has no parts", Outcome.never_started)
        try:
            call._input._take(head, bodies)
        except TroupeError as error:
            call._input._fail(error)  # the service learns of it, and with it the client

    def _on_credit(self, link: _Link | _Guest, head: Head) -> None:
        hit = link.hits.get(head.hit)
        call = hit.calls.get(head.seq) if hit and hit.epoch == head.epoch else None
        if call and call._out:
            call._out.allow(head.arg)

    def _grant(self, hit: _Served, call: Call, kib: int) -> None:
        """Allows the client to send more of a call's body."""
        call._input._allowed = kib
        if hit.way and hit not in self._held and call.seq in hit.calls:
            hit.way.send(Head(CREDIT, hit=hit.handle, epoch=hit.epoch, seq=call.seq, arg=kib % 2**32))

    def _on_cancel(self, link: _Link | _Guest, head: Head) -> None:
        hit = link.hits.get(head.hit)
        for seq, call in hit.calls.items() if hit and hit.epoch == head.epoch else ():
            if head.seq in (0, seq):
                call._cancel(Cancelled("stopped while it ran: cancelled"))
        if hit and hit.epoch == head.epoch and head.seq in (0, next(iter(hit.calls), 0)):
            hit.stopped = hit.stopped or time.monotonic()
            self._leaving.add(hit)

    def _on_end(self, link: _Link, head: Head) -> None:
        hit = link.hits.get(head.hit)
        if hit and hit.epoch == head.epoch:
            hit.ends = True
            self._leaving.add(hit)
            hit.inbox.put(None)
        else:  # so that the broker does not count its slot as taken for ever
            link.send(Head(ENDED, status=STATUS.index("unknown-hit"), hit=head.hit, epoch=head.epoch))

    def _on_probe(self, link: _Link, head: Head) -> None:
        """Tells the broker of the threads of this process."""
        def node(name: str, path: str, state: str = "running", waiting: int = -1, message: str = "", since: float = 0.0, **more: Any) -> dict:
            span = round((time.monotonic() - since) * 1000) if message and since else 0
            return {"id": name, "path": path, "state": state, "restarts": 0, "mailbox": waiting, "message": message, "for_ms": span} | more
        hits = []
        for hit in itertools.islice([*self._work_of, *self.zombies], 256):
            name, calls = f"{hit.handle:x}", len(hit.calls)
            doing, since = ("close", hit.closing) if hit.closing else (f"call {next(iter(hit.calls), 0)}", hit.turned) if calls else ("", 0.0)
            hits.append(node(name, f"{self.name}/sessions/{name}", "written off" if hit.written else "running", max(0, calls - 1), doing, since))
        children = [node("sessions", f"{self.name}/sessions", supervisor=True, children=hits), node("io", f"{self.name}/io", message="answers PROBE")]
        link.send(Head(VITALS, arg=head.arg), json.dumps({
            "peer": "worker", "alive": True, "by": "its io thread has answered", "tree": node(self.name, self.name, supervisor=True, children=children)}).encode())

    def _say(self, hit: _Served, head: Head, frames: tuple[bytes, ...]) -> None:
        """Sends what a hit has to say. Its last word frees the slot."""
        over = head.type == ENDED or head.flags & LAST
        if hit.written:  # its last word was said for it
            return self._came_back(hit) if over else None
        if head.type == ERROR or head.type in (REPLY, PART) and not head.flags & MORE:
            hit.calls.pop(head.seq, None)
            hit.stopped = 0.0
        if head.type == ERROR and hit.way:
            hit.way.unsend(hit.handle, head.seq)
        if over and (work := self._work_of.pop(hit, None)):
            self._idle.append(work) if self.keep_threads else work.put(None)
        if hit in self._held:
            if over:
                self._held.remove(hit)
                hit.link.send(Head(ENDED))
            return hit.door.leave() if over and hit.door else None
        if over:
            hit.link.hits.pop(hit.handle, None)
        if hit.door:
            hit.door.say(head, frames)
        else:
            hit.link.send(head, *frames)
        if over and hit.door:
            hit.door.leave()

    def _overdue(self, now: float) -> None:
        """Writes off the threads of sessions that have had their time to come back."""
        for hit in list(self._leaving):
            running = next(iter(hit.calls.values()), None)
            if hit not in self._work_of or not (hit.ends or hit.alone or hit.closing or running and running.last):
                self._leaving.discard(hit)  # it is over, or goes on
            elif hit.closing and now >= hit.closing + self.write_off or not hit.closing and hit.stopped and now >= max(hit.stopped + self.write_off, hit.promised):
                self._write_off(hit, now - (hit.closing or hit.stopped))

    def _write_off(self, hit: _Served, after: float) -> None:
        frame = sys._current_frames().get(hit.thread)
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        text = f"it did not come back within {after:.1f} s of being asked to: its thread was written off"
        log.error("troupe: hit %x: %s, its slot is free for another one; it is in\n%s", hit.handle, text, stack)
        self._leaving.discard(hit)
        self._work_of.pop(hit).put(None)  # the thread ends, should it come back
        if hit.door:
            hit.door.farewell(Stuck(text + ": open another hit", Outcome.unknown))
        kind = {"type": ERROR, "flags": LAST, "seq": 1, "arg": Outcome.unknown} if hit.alone else {"type": ENDED, "arg": hit.began}
        self._say(hit, Head(hit=hit.handle, epoch=hit.epoch, status=STATUS.index("stuck"), **kind), (text.encode(),))
        hit.written = True
        hit.done()
        self.zombies.add(hit)
        self._count_zombies()
        if len(self.zombies) > self.max_zombies:
            log.error("troupe: %d threads were written off and have not come back, the limit is %d: the process ends", len(self.zombies), self.max_zombies)
            self.failure = SystemExit(70)
            self._post(self._quit)  # when what was said is sent

    def _came_back(self, hit: _Served) -> None:
        log.info("troupe: the thread of hit %x, which was written off, has come back; it has ended", hit.handle)
        self.zombies.discard(hit)
        self._count_zombies()

    def _count_zombies(self) -> None:
        for link in self._brokers:
            link.told = -1, link.told[1]  # CHANGED tells

    def _lost(self, link: _Link, error: TroupeError) -> None:
        for hit in link.hits.values():
            if hit.door:
                hit.door.farewell(BrokerGone("the worker has lost its broker, and with it the hit: open another one", Outcome.unknown))
            hit.sever(error)
        if not self._stopping:
            log.warning("troupe: %s; %d hits end", error.text, len(link.hits))
        self._held.update(link.hits.values())
        link.hits.clear()
        if self.draining:
            link.retry_at = math.inf

    def _refused(self, _: _Link, head: Head, error: TroupeError) -> None:
        log.info("troupe: the broker refused a message of hit %x: %s", head.hit, error)

    def _leave(self) -> None:
        for link in self._brokers:
            self._part(link)

    def _part(self, link: _Link) -> None:
        """BYE, then two PINGs, one after the other: the broker may answer the first before it has seen to BYE, the second never.
        Then no BEGIN is on its way any more."""
        link.parted = not link.known
        link.send(Head(BYE)), link.send(Head(PING, arg=1))

    def _ponged(self, link: _Link, head: Head) -> None:
        leaves = self.draining or link.leaves
        if leaves and head.arg == 1:
            link.send(Head(PING, arg=2))
        link.parted = link.parted or leaves and head.arg == 2

    def _move_on(self) -> None:
        """Leaves brokers that have sent us elsewhere, once their hits have ended."""
        for link in [link for link in self._brokers if link.leaves and not link.hits and not any(hit.link is link for hit in self._held)]:
            if link.parted or link.sock is None:
                self._brokers.remove(link), self._links.remove(link)
                link.sock and link.drop(Closed("the worker has moved to another broker"), linger=1000)
            elif link not in self._byes:
                self._byes.add(link), self._part(link)

    def _hasty(self) -> bool:
        return (bool(self._door and self._door.expected) or any(hit.stopped or hit.closing for hit in self._leaving)
                or any(link.leaves for link in self._brokers))

    def _tick(self, now: float) -> None:
        self._overdue(now)
        _parent().beat(now)
        used = self._used()
        self._tell_slots(now, used)
        self._move_on()
        if self._door:
            self._renew(now)
        if self.draining and not used and all(link.parted or link.sock is None for link in self._brokers):
            self._stopping = True

    def _tell_slots(self, now: float, used: int) -> None:
        """Retires slots that were not needed for a while, and tells each broker how many there are for it."""
        if used == self.slots:
            self._full_at = now
        if self.slots > self._least and now - self._full_at > self.slot_idle:
            self.slots, self._full_at = max(self._least, used), now
            while len(self._idle) > self.slots - used:
                self._idle.pop().put(None)
        for link in self._brokers:
            if link.known and not self.draining and self._share(link) != link.told:
                self._tell(link, {})

    def _offer(self, services: dict | None, labels: dict[str, str] | None) -> None:
        about: dict = {}
        if services is not None:
            self.services = services
            self._known |= services
            about["services"] = list(services)
            if terms := self._terms():
                about["terms"] = terms
        if labels is not None:
            self.labels = about["labels"] = labels
        for link in self._brokers:
            if link.known:
                self._tell(link, about)

    def _tell(self, link: _Link, about: dict) -> None:
        """Says CHANGED: how many slots there are for this broker, and what else is new."""
        slots, most = link.told = self._share(link)
        about = about | {"slots": slots} | ({"slots_max": most} if most else {}) | ({"zombies": len(self.zombies)} if self.zombies else {})
        link.send(Head(CHANGED), json.dumps(about).encode())

    def _terms(self) -> dict:
        return {name: _TERMS[name] for name in self.services if _TERMS.get(name)}

    def _renew(self, now: float) -> None:
        """Keeps the leases under which direct hits are served, and tells the brokers what these have done."""
        if tally := now - self._tally_at >= 0.5:
            self._tally_at = now
        for link in self._brokers:
            direct = [hit.door for hit in link.hits.values() if hit.door]
            if tally:
                for entrance in direct:
                    entrance.tally()
            if direct and link.lease_until and now > link.lease_until:
                link.lease_until = 0.0
                for entrance in direct:
                    entrance.farewell(LeaseOver("the worker has not heard from its broker for too long: open another hit", Outcome.unknown))
            if direct and link.known and now >= link.renew_at:
                number, lease = next(self._numbers) % 2**32, link.info.get("lease_ms", 300) / 1000
                link.asked_lease = {asked: at for asked, at in link.asked_lease.items() if now - at < lease} | {number: now}
                link.renew_at = now + lease / 3
                link.send(Head(RENEW, arg=number))

    def _on_lease(self, link: _Link, head: Head) -> None:
        """It lasts from when we asked, which is earlier than when the broker thinks it began."""
        if asked := link.asked_lease.pop(head.arg, 0):
            link.lease_until = max(link.lease_until, asked + link.info.get("lease_ms", 0) / 1000)
            for hit in link.hits.values():
                if hit.door:
                    hit.door.welcome()


# -- The worker's door for direct hits. ----------------------------------------------------------------------------------------

TOKEN_LIFE = 10  # seconds after OPENED in which the client of a direct hit may come


class _Entrance:
    """What a direct hit has that others have not: its token, its client's connection, and an account. It belongs to the io thread."""

    def __init__(self, door: _Door, hit: _Served, token: bytes) -> None:
        self.door, self.hit, self.token, self.until = door, hit, token, 0.0  # until: when the token is void, 0 before OPENED
        self.guest: _Guest | None = None
        self.awaits = False                      # the guest waits for WELCOME, until there is a lease
        self.severed: TroupeError | None = None  # nothing is served or answered any more
        self.bytes, self.answered, self.signs, self.told = 0, 0, 0, (0, 0, False)  # signs: that the thread has given
        self.key = zmq.utils.z85.decode(_direct_keys(token)[0]) if door.judge else b""  # public, of the client

    def invites(self, key: bytes) -> bool:
        return key == self.key and not self.guest and not self.severed

    def opens(self, token: str) -> bool:
        return (hmac.compare_digest(token.encode(), self.token.hex().encode()) and not self.guest and not self.severed
                and time.monotonic() < self.until)

    def holds(self) -> bool:
        """Whether the broker cannot have given the hit up: its lease holds."""
        return not self.severed and time.monotonic() < self.hit.link.lease_until

    def enter(self, guest: _Guest) -> None:
        self.guest, self.awaits, self.hit.way, guest.hits[self.hit.handle] = guest, True, guest, self.hit
        self.welcome()

    def welcome(self) -> None:
        if self.awaits and self.holds():
            self.awaits = False
            worker, link, name = self.hit.worker, self.hit.link, f"hit {self.hit.handle:x}"
            info = {"broker": link.broker, "incarnation": worker._born, "max_body": link.max_body, "window": self.guest.window,
                    "heartbeat_ms": round(link.beat * 1000), "name": name}
            self.guest.send(Head(WELCOME, DIRECT, hit=self.hit.handle, epoch=self.hit.epoch), json.dumps(info).encode())

    def say(self, head: Head, frames: tuple) -> None:
        """Answers go to the client, under the lease only; all else goes to the broker."""
        hit = self.hit
        if head.type in (OPENED, ENDED):
            self.until = time.monotonic() + TOKEN_LIFE
            self.tally()
            return hit.link.send(head, *frames)
        if head.type == HOLD:
            return hit.link.send(head)
        if self.guest and self.holds():
            self.answered = max(self.answered, head.seq * (head.type != WORKING))
            self.bytes += sum(map(len, frames))
            self.signs += head.type != CREDIT
            self.guest.send(head, *frames)
        if head.flags & LAST:
            hit.link.send(Head(ENDED, hit=hit.handle, epoch=hit.epoch, arg=hit.began))

    def farewell(self, error: TroupeError) -> None:
        """Tells the client that the hit is over, without any answer, and ends the session."""
        if self.guest and not self.severed:
            about = Head(ERROR, LAST, STATUS.index(error.name), self.hit.handle, self.hit.epoch, arg=error.outcome)
            self.guest.send(about, error.text.encode())
        self.sever(error)

    def sever(self, error: TroupeError) -> None:
        if not self.severed:
            self.severed = error
            self.hit.sever(error)

    def tally(self) -> None:
        now = self.answered, self.signs, self.hit.heard != self.answered
        if now != self.told:
            self.told = now
            self.hit.link.send(Head(TALLY, MORE * now[2], hit=self.hit.handle, epoch=self.hit.epoch, seq=now[0], arg=self.bytes // 1024 % 2**32))

    def leave(self) -> None:
        self.door.expected.pop(self.hit.handle, None)
        if self.guest:
            self.guest.hits.clear()


class _Guest(_Outbox):
    """The client of a direct hit, at our ROUTER. What its window has no room for waits (hit.md, section 7)."""

    def __init__(self, door: _Door, peer: bytes, socket_number: int, window: int) -> None:
        super().__init__()
        self.door, self.peer, self.socket_number, self.window, self.hits = door, peer, socket_number, window or 1 << 20, {}
        self.sent, self.limit = 0, self.window

    def send(self, head: Head, *frames: bytes) -> None:
        self._put(head, frames)

    def complain(self, about: Head, error: TroupeError) -> None:
        self.door.refuse(self.peer, about, error)

    def transmit(self, head: Head, frames: tuple) -> None:
        size = _HEADER.size + sum(map(len, frames))
        if self.sent + size > self.limit and self.sent - self.limit + self.window >= self.window // 2:
            raise zmq.Again
        self.door.sock.send_multipart((self.peer, head.pack(), *frames), zmq.NOBLOCK, copy=head.type != PART)
        self.sent += size

    def flush(self) -> None:
        try:
            self._flush(self.transmit)
        except zmq.ZMQError as error:
            return self.door.gone(self, f"the connection is lost ({error})")
        if sum(sum(map(len, frames)) for head, frames in itertools.chain(self._small, *self._large.values()) if head.type != PART) > self.window:
            self.door.gone(self, "it does not read")

    def credit(self, kib: int) -> None:
        ahead = (kib - self.limit // 1024) % 2**32
        if ahead < 2**31:
            self.limit = (self.limit // 1024 + ahead) * 1024


class _Door:
    """The worker's own ROUTER, where the clients of direct hits come. To the io thread it is one link more."""
    known, failure, retry_at, beat, turns, _small, _large = False, None, math.inf, math.inf, math.inf, (), ()

    def __init__(self, worker: Worker, bind: str, url: str) -> None:
        self.worker = worker
        self.expected: dict[int, _Entrance] = {}  # by the hit's handle
        self.guests: dict[bytes, _Guest] = {}
        self.sock = worker._context.socket(zmq.ROUTER)
        self.sock.linger, self.sock.router_mandatory, self.sock.rcvhwm, self.sock.sndhwm = 0, 1, 0, 0  # windows bound what waits
        self.sock.maxmsgsize, self.public = 1 << 28, ""  # of a frame, in bytes
        self.judge: zmq.Socket | None = None
        if _keys(worker.key, bind):  # then this way is encrypted, too
            self.judge = worker._context.socket(zmq.REP)
            self.judge.bind("inproc://zeromq.zap.01")  # before the first who may ask: without a judge libzmq lets everybody in
            worker._poller.register(self.judge, zmq.POLLIN)
            public, self.sock.curve_secretkey = zmq.curve_keypair()
            self.sock.curve_server, self.sock.zap_domain, self.public = 1, b"direct", public.decode()
        self.monitor = self.sock.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            self.sock.bind(bind)
        except zmq.ZMQError as error:
            self.monitor.close(0), self.sock.close(0), self.judge and self.judge.close(0)
            raise ValueError(f"cannot bind to {bind!r} for direct hits ({error}): write tcp://ADDRESS:PORT, port 0 for any") from None
        self.url = url or self.sock.last_endpoint.decode()
        worker._poller.register(self.monitor, zmq.POLLIN)

    def connect(self) -> None:
        pass

    def send(self, head: Head) -> None:
        pass

    def drop(self, error: TroupeError, linger: int = 0) -> None:
        self.sock.disable_monitor(), self.monitor.close(0), self.sock.close(linger), self.judge and self.judge.close(0)

    def admit(self) -> None:
        """Lets those shake hands whose key is made from a token that is good, and nobody else (ZAP, RFC 27)."""
        while True:
            try:
                _, number, *_, mechanism, key = self.judge.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            known = mechanism == b"CURVE" and any(entrance.invites(key) for entrance in self.expected.values())
            self.judge.send_multipart([b"1.0", number, *((b"200", b"") if known else (b"400", b"no direct hit has this key")), b"", b""])

    def expect(self, hit: _Served, token: bytes) -> None:
        hit.way, hit.door = None, _Entrance(self, hit, token)
        self.expected[hit.handle] = hit.door
        link, others = hit.link, any(other.door for other in hit.link.hits.values() if other is not hit)
        if not others and link.lease_until - time.monotonic() < link.info.get("lease_ms", 0) / 3000:  # the end of a lease of earlier hits is none of this one
            link.lease_until = link.renew_at = 0.0

    def exchange(self, lost: bool) -> None:
        if self.judge:
            self.admit()
        for _ in range(100):
            try:
                peer = self.sock.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            head = self.sock.recv(copy=False)
            frames = self.sock.recv_multipart() if self.sock.rcvmore else []
            self._read(peer, head.get(zmq.SRCFD), head.bytes, frames)
        if lost:
            self._losses()
        for guest in list(self.guests.values()):
            guest.flush()

    def _read(self, peer: bytes, socket_number: int, header: bytes, frames: list[bytes]) -> None:
        head, guest = Head(0), self.guests.get(peer)
        try:
            head = Head.unpack(header)
            head.check(len(frames))
            if head.type == HELLO:
                return self._hello(peer, socket_number, head, frames[0])
            if head.type == PING:
                return self.tell(peer, Head(PONG, arg=head.arg))
            if guest is None:
                raise TroupeError.of("not-registered", "say HELLO with the hit's token first")
            if head.type == CREDIT and not head.hit:
                guest.credit(head.arg)
            elif head.type == BYE:
                self.gone(guest, "it said BYE")
            elif head.type in (CALL, PART, CANCEL, CREDIT):
                if head.type in (CALL, PART) and head.hit in guest.hits:
                    guest.hits[head.hit].door.bytes += sum(map(len, frames))
                getattr(self.worker, "_on_" + RULES[head.type][0])(guest, head, *frames)
            elif head.type not in (PONG, ERROR):
                raise TroupeError.of("bad-type", f"{RULES[head.type][0].upper()} is not for a worker")
        except Exception as error:
            if head.type != ERROR:
                self.refuse(peer, head, error if isinstance(error, TroupeError) else TroupeError.of("bad-frame", repr(error)))

    def _hello(self, peer: bytes, socket_number: int, head: Head, about: bytes) -> None:
        self._losses()  # of connections that had this number before
        info, entrance = json.loads(about), self.expected.get(head.hit)
        if peer in self.guests or not head.flags & DIRECT or not entrance or not entrance.opens(str(info.get("token"))):
            raise BadToken(f"the token opens no direct hit here (any more): use it once, within {TOKEN_LIFE} s of OPENED, for its own hit",
                           Outcome.never_started)
        self.guests[peer] = guest = _Guest(self, peer, socket_number, int(info.get("window") or 0))
        entrance.enter(guest)

    def _losses(self) -> None:
        while self.monitor.poll(0):
            number = parse_monitor_message(self.monitor.recv_multipart())["value"]
            for guest in [guest for guest in self.guests.values() if guest.socket_number == number]:
                self.gone(guest, "the connection is lost")

    def gone(self, guest: _Guest, how: str) -> None:
        """The client has left: its session ends."""
        del self.guests[guest.peer]
        for hit in guest.hits.values():
            hit.door.sever(Cancelled(f"the client of this direct hit is gone: {how}", Outcome.unknown))

    def refuse(self, peer: bytes, about: Head, error: TroupeError) -> None:
        self.tell(peer, about._replace(type=ERROR, flags=0, status=STATUS.index(error.name), part=0, arg=error.outcome), error.text.encode())

    def tell(self, peer: bytes, head: Head, *frames: bytes) -> None:
        try:
            self.sock.send_multipart((peer, head.pack(), *frames), zmq.NOBLOCK)
        except zmq.ZMQError:
            pass  # it has left meanwhile


# -- The client. ---------------------------------------------------------------------------------------------------------------

GRACE = 0.25  # seconds after a deadline in which broker and worker may still say what became of the call
ACK_ANSWERS, ACK_BYTES = 32, 1 << 16  # a hit that can be resumed acknowledges after so many answers, or so much
REFUSALS = ("bad-frame", "bad-version", "bad-type", "bad-flag", "too-large", "bad-seq", "queue-full", "peer-slow", "worker-gone",
            "stale-epoch")  # by which a broker refuses a call before it has reached the worker: its seq is free again
ELSEWHERE = ("queue-full", "draining", "unknown-service", "slot-taken", "peer-slow")  # refusals after which another broker is asked


class Reply(Stream):
    """A reply as Hit.stream gives it: `frames` (what came before the parts, or all of a reply without parts), then the parts as Stream says.

    Close it, or leave its `with`, to cancel what has not come yet."""

    def __init__(self, frames: list[bytes], size: int = 0, grant: Callable | None = None, leave: Callable[[], Any] = bool) -> None:
        super().__init__(size, grant)
        self.frames, self._leave = frames, leave

    def close(self) -> None:
        if not self._whole:
            self._leave()
        super().close()


class _Wait:
    """An open (hit is None) or a call under way, and the future that tells its end."""

    def __init__(self, hit: Hit | None, frames: list[bytes], timeout: float | None, progress: Progress | None, flags: int,
                 source: Any = None, size: int = -1, streams: bool = False) -> None:
        self.hit, self.frames, self.timeout, self.progress, self.flags = hit, frames, timeout, progress, flags
        self.source, self.announced, self.streams = source, size, streams  # what is sent in parts, whether the caller takes them
        self.size = sum(map(len, frames if hit else frames[2:]))
        self.future: futures.Future = futures.Future()
        self.future.set_running_or_notify_cancel()  # nobody but us ends it
        self.ms = 0 if timeout is None else min(max(1, round(timeout * 1000)), 2**32 - 1)
        self.deadline = math.inf if timeout is None else time.monotonic() + timeout
        self.number = 0                             # the reference or the seq, once it is sent
        self.late = False
        self.link: _Link | None = None              # where the open went
        self.opening: Hit | None = None             # the hit that waits for its direct connection, or to be resumed
        self.refusals: dict[_Link, TroupeError] = {}  # of an open, see Client._place
        self.queues = False                         # the open waits at a broker for a slot
        self.out: _Outflow | None = None            # the parts of the body
        self.reply: Reply | None = None             # a reply in parts that has begun
        self.pieces: list[bytes] = []               # of it, where the caller wants it as a whole

    @property
    def doubt(self) -> Outcome:
        """What can be said of it when no answer comes: no call runs before it is sent, nor while a session is only opened."""
        return Outcome.unknown if self.number and (self.hit or self.flags & LAST) else Outcome.never_started

    def end(self, result: Any) -> None:
        if isinstance(result, Cancelled) and self.late:
            result = Expired(f"no answer within {self.timeout} s; {result.text}", result.outcome)
        if isinstance(result, TroupeError) and self.reply:
            self.reply._fail(result)
        if not self.future.done():
            self.future.set_exception(result) if isinstance(result, BaseException) else self.future.set_result(result)


class Hit:
    """A session at `worker`, on the OS thread `thread` there. From Client.open; may be shared by threads; `with` closes it."""

    def __init__(self, client: Client, link: _Link, handle: int, epoch: int, worker: str, thread: int, service: str) -> None:
        self.client, self.handle, self.epoch, self.worker, self.thread, self.service = client, handle, epoch, worker, thread, service
        self.inherited: dict[int, futures.Future] = {}  # of a resumed hit: calls of its earlier holder that were not answered, by number
        self._link = self._way = link              # to its broker; where its calls go, which is another one for a direct hit
        self._way_epoch = epoch
        self._calls: dict[int, _Wait] = {}         # under way, by seq; this and what follows belongs to the io thread
        self._behind: collections.deque[_Wait] = collections.deque()  # not sent yet, see Client._call
        self._feeding: _Wait | None = None         # the call whose body is being sent in parts
        self._next, self._closing = 1, False
        self._refusal: TroupeError | None = None   # of the call that had the seq `_next` before
        self._over: TroupeError | None = None      # why it has ended
        self._ended: futures.Future = futures.Future()
        # Of a hit that can be resumed:
        self._key, self._keep = b"", 0.0           # keep: for how many seconds its broker keeps it without us
        self._incarnation = link.incarnation       # of that broker
        self._adrift = math.inf                    # since the connection was lost: when it is given up; else infinite
        self._tries = 0                            # RESUMEs that were not answered
        self._received = self._answers = self._bytes = 0  # seq of the last answer; what is not acknowledged
        self._left: list[int] = []                 # calls that nobody waits for any more

    def call(self, body: Body = None, timeout: float | None = None, progress: Progress | None = None, *, stream: Any = None,
             size: int = -1, idempotent: bool = False) -> bytes | list[bytes]:
        """Calls the service and waits for the reply: bytes, or a list of them if it has several frames. Raises TroupeError.

        After `timeout` seconds (None: no limit) the call is cancelled; Expired tells whether it ever started.
        stream: a file or an iterable whose bytes are sent after the body as the worker takes them, read on a thread of its own; size: how
        many these are, if that is known. What fails in it cancels the call and is raised here. A reply in parts is put together, up to
        the broker's limit of a body.
        idempotent: the call may run more than once, and needs nothing that calls before it have left in the session: where its service is repaired by
        "restart", it goes to another worker when its own is lost or stuck. It means nothing on direct hits."""
        return self.call_async(body, timeout, progress, stream=stream, size=size, idempotent=idempotent).result()

    def call_async(self, body: Body = None, timeout: float | None = None, progress: Progress | None = None, *, stream: Any = None,
                   size: int = -1, idempotent: bool = False) -> futures.Future:
        """As call, without waiting. The calls of a hit run in the order in which they were made.

        Callbacks of the future run on the io thread: they must not block."""
        return self.client._start(_Wait(self, _frames(body), timeout, progress, IDEMPOTENT if idempotent else 0, stream, size))

    def stream(self, body: Body = None, timeout: float | None = None, progress: Progress | None = None, *, stream: Any = None,
               size: int = -1) -> Reply:
        """As call, but returns the reply when it begins: `for chunk in hit.stream(b"name")`. The deadline is that of the whole reply."""
        return self.client._start(_Wait(self, _frames(body), timeout, progress, 0, stream, size, streams=True)).result()

    def cancel(self) -> None:
        """Cancels all calls under way: those that wait never run, the running one is asked to stop. Their futures tell the end."""
        self.client._post(self.client._cancel, self, 0)

    def close(self, timeout: float | None = 30) -> None:
        """Lets the calls under way run, then ends the session. Does nothing if the hit has ended already."""
        self.client._post(self.client._close, self)
        try:
            self._ended.result(timeout)
        except futures.TimeoutError:
            raise Expired(f"hit {self.handle:x} has not ended within {timeout} s: a call still runs", Outcome.unknown) from None

    def is_alive(self, timeout: float = 5) -> Vitals:
        """Asks the broker about the worker: whether it is there, what runs for how long. Waits for the broker, not for the worker."""
        if self._over:
            return Vitals(False, "worker", self._over.text, state="over")
        return self.client._vitals([self._link], Head(PROBE, hit=self.handle, epoch=self.epoch), timeout)

    def ticket(self) -> str:
        """Text that takes the hit up again, from any process: see Client.resume. It may be stored, and is as secret as the hit is."""
        if not self._key:
            raise BadKey("the hit has no ticket: open it with resume=SECONDS, at a broker that allows it", Outcome.never_started)
        about = {"broker": self._link.endpoint, "incarnation": self._incarnation, "hit": f"{self.handle:x}", "key": self._key.hex(),
                 "service": self.service, "resume_ms": round(self._keep * 1000), "sent": self._next - 1, "received": self._received}
        text = "troupe-ticket:1:" + base64.urlsafe_b64encode(json.dumps(about).encode()).rstrip(b"=").decode()
        return f"{text}:{binascii.crc32(text.encode()):08x}"

    def detach(self, timeout: float | None = 30) -> str:
        """Leaves the hit to whoever resumes it with the ticket returned. Calls under way go on; here they end with Closed, outcome unknown."""
        done: futures.Future = futures.Future()
        self.client._post(self.client._detach, self, done)
        return done.result(timeout)

    def _waits_for_its_turn(self) -> bool:
        """Whether no call may be sent now: a seq has become free again while later ones, which are going to be refused as well, are under
        way; or a body is being sent; or the connection is lost."""
        return next(reversed(self._calls), 0) >= self._next or self._feeding is not None or self._adrift != math.inf

    def __enter__(self) -> Hit:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class _Way(_Link):
    """The direct connection of a hit to its worker. It is never made anew."""
    whom = "worker"

    def __init__(self, client: Client, endpoint: str, hit: Hit, wait: _Wait, token: bytes, curve: bytes) -> None:
        self.hit, self.wait, self.token, self.server_key = hit, wait, token, curve
        super().__init__(client, endpoint)

    def keys(self) -> tuple[bytes, bytes, bytes] | None:
        if not self.endpoint.startswith(("tcp://", "ipc://@")):
            return None
        if not self.server_key and _keys(self.side.key, self.endpoint):
            raise ValueError("it offers no key, and this client has one for its broker; nothing is sent in the clear: give the worker a key, too")
        return (self.server_key, *_direct_keys(self.token)) if self.server_key else None

    def greet(self) -> None:
        about = {"token": self.token.hex(), "window": self.side.asked_window or self.hit._link.window}
        self.send(Head(HELLO, DIRECT, hit=self.hit.handle), self.side._about(about))

    def drop(self, error: TroupeError, linger: int = 0) -> None:
        if self in self.side._links:
            self.side._links.remove(self)
            super().drop(error, linger)

    def leave(self) -> None:
        """The hit is over."""
        if self.sock is not None:
            self.send(Head(BYE))
            self._flush(self._transmit)
            self.drop(Closed("the hit is over"), linger=1000)

    def _on_welcome(self, head: Head, about: bytes) -> None:
        self.take_welcome(json.loads(about))
        self.hits[self.hit.handle], self.hit._way, self.hit._way_epoch = self.hit, self, head.epoch
        self.side._waits.pop(self.wait, None)
        self.wait.end(self.hit)

    def _on_error(self, head: Head, text: bytes, why: bytes = b"") -> None:
        error = _told(head, text, why)
        if self.known and head.seq:
            self.side._refused(self, head, error)
        elif not self.known or head.flags & LAST or error.name == "not-registered":
            self.drop(error)


def _options(label: str, session: Any, resume: float, target: dict[str, str] | None, task: dict | None = None) -> bytes:
    """The options frame of OPEN."""
    all_ = (("label", label or None), ("session", session), ("resume_ms", round(resume * 1000) or None), ("target", target or None), ("task", task))
    options = {key: value for key, value in all_ if value is not None}
    return json.dumps(options).encode() if options else b""


class Client(_Side):
    """Connections to brokers' client endpoints. May be shared by threads; `with` closes it. Timeouts are seconds, None: no limit.

    endpoint: of the broker, or a list of several, each perhaps with a weight: [("tcp://a:5700", 2), "tcp://b:5700"]. Hits go to them in turn;
    one that has no free slot, or gives no sign of life for `patience` seconds when it is asked for one, is passed by.
    Without a broker, open and do wait for one. If it is lost, all calls under way raise BrokerGone; later opens find the next one.
    silence: after how many seconds without a sign from a broker's transport it is given up; calls raise BrokerGone then, with the record in `why`.
    key: as for Worker; one that the broker does not know makes opens raise Refused when their time is over."""

    def __init__(self, endpoint: Brokers, *, name: str = "", window: int = 0, patience: float = 0.25, key: str | None = None, silence: float = 3) -> None:
        self.patience = patience
        self._waits: dict[_Wait, None] = {}  # all opens and calls under way, in order
        self._look_at = 0.0                  # when to look at their deadlines
        self._asked: dict[int, tuple[futures.Future, _Link]] = {}  # by ADMIN
        self._opens: dict[int, _Wait] = {}   # by reference
        self._kept: set[Hit] = set()         # those that are adrift
        super().__init__(endpoint, name, window, key, silence)

    def open(self, service: str, session: Any = None, label: str = "", timeout: float | None = 30, *, resume: float = 0,
             direct: bool = False, target: dict[str, str] | None = None) -> Hit:
        """Opens a hit. `session` (a value with a JSON form) is for the service, `label` names the hit in listings. Raises TroupeError.

        resume: for how many seconds the broker is to keep the hit, and answers, when our connection is lost; it is then taken up by itself.
        direct: calls go to the worker without the broker on the way, which must have been given an endpoint for that.
        target: who may have it, exactly one of {"worker": NAME}, {"where": "gpu=a100|h100,zone!=b"}, {"key": KEY} (the worker that had this key last) and
        {"member": ID} of `members`, with "absent": "fail" if it is not to wait for one."""
        flags = REF | DIRECT if direct else REF
        return self._start(_Wait(None, [service.encode(), _options(label, session, resume, target)], timeout, None, flags)).result()

    def do(self, service: str, body: Body = None, timeout: float | None = 30, progress: Progress | None = None, *,
           idempotent: bool = False, label: str = "", target: dict[str, str] | None = None) -> bytes | list[bytes]:
        """Opens a hit for a single call, calls and closes, all in one message. As open and Hit.call otherwise."""
        return self.do_async(service, body, timeout, progress, idempotent=idempotent, label=label, target=target).result()

    def do_async(self, service: str, body: Body = None, timeout: float | None = 30, progress: Progress | None = None, *,
                 idempotent: bool = False, label: str = "", target: dict[str, str] | None = None) -> futures.Future:
        """As do, without waiting."""
        flags = FIRST | LAST | REF | (IDEMPOTENT if idempotent else 0)
        return self._start(_Wait(None, [service.encode(), _options(label, None, 0, target), *_frames(body)], timeout, progress, flags))

    def resume(self, ticket: str, timeout: float | None = 30) -> Hit:
        """Takes a hit up again by its ticket; whoever has held it gets Fenced. Hit.inherited has its calls that were under way."""
        about = _ticket(ticket)
        link = next((link for link in self._brokers if about["broker"] == link.endpoint or link.incarnation == about["incarnation"]), None)
        if link is None:
            raise ValueError(f"the ticket is of the broker at {about['broker']}, this client has {self.endpoint}: connect to that one")
        hit = Hit(self, link, int(about["hit"], 16), 0, "", 0, about["service"])
        hit._key, hit._keep, hit._received, hit._next = bytes.fromhex(about["key"]), about["resume_ms"] / 1000, about["received"], about["sent"] + 1
        wait = _Wait(None, [b"", b""], timeout, None, 0)
        wait.opening, wait.link = hit, link
        self._post(self._resume, wait, about["incarnation"])
        return self._result(wait).result()

    def members(self, service: str, where: str = "", timeout: float = 5) -> list[dict]:
        """Who offers a service: for each worker its name (`worker`), its registration (`member`, for a target), host, pid, slots and labels."""
        return self.admin({"cmd": "members", "service": service, "where": where}, timeout)["members"]

    def admin(self, request: dict, timeout: float = 5) -> dict:
        """Asks the broker, of several the first that is there, what ADMIN offers (docs/protocol/hit.md, section 10). Raises TroupeError."""
        future: futures.Future = futures.Future()
        number = next(self._numbers) % 2**32 or 1
        self._post(self._ask, future, number, request)
        try:
            answer = future.result(0 if self.ended.is_set() else timeout)
        except futures.TimeoutError:
            self._post(self._asked.pop, number, None)
            raise BrokerGone(f"no broker has answered within {timeout} s", Outcome.unknown) from None
        if "error" in answer:
            raise Refused(answer["error"], Outcome.never_started)
        return answer

    def _ask(self, future: futures.Future, number: int, request: dict) -> None:
        link = next((link for link in self._brokers if link.known), None)
        if link is None:
            return future.set_exception(BrokerGone(f"there is no connection to {', '.join(link.endpoint for link in self._brokers)}", Outcome.never_started))
        self._asked[number] = future, link
        link.send(Head(ADMIN, arg=number), json.dumps(request).encode())

    def _on_report(self, _: _Link, head: Head, answer: bytes) -> None:
        if head.arg in self._asked:
            self._asked.pop(head.arg)[0].set_result(json.loads(answer))

    def is_alive(self, timeout: float = 5, broker: str = "") -> Vitals:
        """Asks the broker whether it is there; of several that one, or whichever answers first."""
        links = [link for link in self._brokers if broker in ("", link.endpoint)]
        if not links:
            raise ValueError(f"no broker {broker!r} here: this client has {self.endpoint}")
        return self._vitals(links, Head(PROBE), timeout)

    def close(self) -> None:
        """Ends all hits and the connections. Does nothing the second time."""
        self._post(self._quit)
        self.ended.wait()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _start(self, wait: _Wait) -> futures.Future:
        self._post(self._call, wait) if wait.hit else self._post(self._open, wait)
        return self._result(wait)

    def _result(self, wait: _Wait) -> futures.Future:
        if self.ended.is_set():  # perhaps nobody reads what was posted
            raise Closed("this client is closed", Outcome.never_started) from self.failure
        return wait.future

    # All that follows runs on the io thread. First: opens, and where they go.

    def _greeting(self, link: _Link) -> tuple[int, dict]:
        return HELLO, {"beat_ms": self.heartbeat}

    def _registered(self, link: _Link) -> None:
        for hit in [hit for hit in self._kept if hit._link is link]:
            self._take_up(hit)
        self._place_all()

    def _place_all(self) -> None:
        for wait in [wait for wait in self._waits if not wait.hit and not wait.number and not wait.opening]:
            self._place(wait)

    def _open(self, wait: _Wait) -> None:
        if self._stopping:
            return wait.end(Closed("this client is closed", Outcome.never_started))
        self._waits[wait] = None
        self._place(wait)

    def _place(self, wait: _Wait) -> None:
        """Sends an open to a broker. With several of them it asks each for a slot that is free now, then waits in the queue of one."""
        several, now = len(self._brokers) > 1, time.monotonic()
        there = [link for link in self._brokers if link.known and not link.suspect]
        if not there:
            return  # _registered and _tick try again
        if wait.size > (most := max(link.max_body for link in there)):
            return self._give_up(wait, TooLarge(f"the body has {wait.size} bytes, the broker takes {most}", wait.doubt))
        links, flags = [link for link in there if link not in wait.refusals and link.max_body >= wait.size], NOW if several else 0
        if several and not links and any(link.fresh for link in self._brokers):
            return  # one was named by a broker that drains, and is not there yet
        if several and not links:  # nobody has a slot: wait where there may be one some time
            links, flags = [link for link in there if getattr(wait.refusals.get(link), "name", "") in ("queue-full", "slot-taken", "peer-slow")], 0
            if not links:
                return self._give_up(wait, next(reversed(wait.refusals.values())))
        if several and wait.flags & LAST:  # it cannot be taken back: only to those who are surely there
            for link in links:
                now - link.heard_at < 1 or link.ask(now)
            links = [link for link in links if now - link.heard_at < 1]
        if links:
            wait.link, wait.number, wait.queues = self._choose(links), next(self._numbers), not flags
            self._opens[wait.number] = wait
            wait.link.send(Head(OPEN, wait.flags | flags, hit=wait.number, arg=wait.ms), *wait.frames)
            several and wait.link.ask(now)

    def _choose(self, links: list[_Link]) -> _Link:
        """Smooth weighted round robin."""
        for link in links:
            link.current += link.weight
        best = max(links, key=lambda link: link.current)
        best.current -= sum(link.weight for link in links)
        return best

    def _withdraw(self, wait: _Wait) -> None:
        """Takes back an open, to place it elsewhere."""
        if self._opens.pop(wait.number, None):
            wait.link.send(Head(CLOSE, REF, hit=wait.number))
        wait.number, wait.link = 0, None

    def _on_opened(self, link: _Link, head: Head, handle: bytes, worker: bytes, key: bytes = b"", endpoint: bytes = b"", token: bytes = b"",
                   curve: bytes = b"") -> None:
        wait = self._take(link, head)
        hit = Hit(self, link, int.from_bytes(handle, "big"), head.epoch, worker.decode(errors="replace"), head.arg,
                  wait.frames[0].decode() if wait else "")
        if not wait:  # it came too late
            return link.send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))
        link.hits[hit.handle] = hit
        if key:
            asked = json.loads(wait.frames[1])["resume_ms"]
            hit._key, hit._keep = key, min(asked, link.info.get("max_resume_ms") or asked) / 1000
        if not head.flags & DIRECT:
            return wait.end(hit)
        wait.opening, self._waits[wait] = hit, None  # until the worker has welcomed us
        try:
            hit._way = _Way(self, endpoint.decode(), hit, wait, token, curve)
            self._links.append(hit._way)
        except ValueError as error:
            self._give_up(wait, TroupeError.of("worker-gone", f"the worker's endpoint for direct hits is of no use: {error}"))

    # Calls, their bodies and replies.

    def _call(self, wait: _Wait) -> None:
        hit = wait.hit
        if hit._over or hit._closing:
            wait.end((hit._over or Closed(f"hit {hit.handle:x} is closed")).but(Outcome.never_started))
        elif hit._waits_for_its_turn():
            hit._behind.append(wait)
            self._waits[wait] = None
        elif wait.size > hit._way.max_body:  # the broker would hang up on it
            wait.end(TooLarge(f"the body has {wait.size} bytes, the broker takes {hit._way.max_body}", Outcome.never_started))
        else:
            wait.number, hit._calls[hit._next] = hit._next, wait
            hit._next += 1
            self._waits[wait] = None
            flags = wait.flags if hit._way is hit._link else 0
            head = Head(CALL, flags, hit=hit.handle, epoch=hit._way_epoch, seq=wait.number, arg=wait.ms)
            if wait.source is None:
                return hit._way.send(head, *wait.frames)
            hit._way.send(head._replace(flags=flags | MORE), _announced(wait.announced), *wait.frames)
            hit._feeding = wait
            wait.out = _Outflow(wait.announced, lambda part, flags, data: self._post(self._part, wait, part, flags, data))
            threading.Thread(target=self._pour, args=(wait,), name="troupe-body", daemon=True).start()

    def _advance(self, hit: Hit) -> None:
        """Sends the calls that waited for their turn."""
        while hit._behind and not hit._waits_for_its_turn():
            wait = hit._behind.popleft()
            if self._waits.pop(wait, wait) is None:
                self._call(wait)

    def _pour(self, wait: _Wait) -> None:
        """Sends the parts of a body, on a thread of its own."""
        try:
            wait.out.write(wait.source)
            self._post(self._poured, wait, None)
        except BaseException as error:
            self._post(self._poured, wait, error)

    def _part(self, wait: _Wait, part: int, flags: int, data: Any) -> None:
        hit = wait.hit
        if hit._feeding is wait:
            hit._way.send(Head(PART, flags, hit=hit.handle, epoch=hit._way_epoch, seq=wait.number, part=part), data)

    def _poured(self, wait: _Wait, error: BaseException | None) -> None:
        hit = wait.hit
        if hit._feeding is not wait:
            return
        if error is None:
            self._part(wait, wait.out.part + 1, 0, b"")
        else:  # the source has failed: nobody is to take what was sent for the whole
            self._cancel(hit, wait.number)
            self._forget(wait)
            wait.end(error)
        hit._feeding = None
        self._advance(hit)

    def _forget(self, wait: _Wait) -> None:
        """A call under way is over for its caller; its answer may still come."""
        self._waits.pop(wait, None)
        if wait.hit._calls.pop(wait.number, None):
            wait.hit._left.append(wait.number) if wait.hit._adrift != math.inf else None
            self._stop_body(wait, Closed("nobody waits for the call any more"))

    def _stop_body(self, wait: _Wait, error: TroupeError) -> None:
        """Sends no more parts of a call."""
        hit = wait.hit
        if wait.out and hit._feeding is wait:
            wait.out.stop(error)
            hit._feeding = None
            hit._way.unsend(hit.handle, wait.number)

    def _on_credit(self, link: _Link, head: Head) -> None:
        hit = link.hits.get(head.hit)
        if hit and hit._feeding and hit._feeding.number == head.seq:
            hit._feeding.out.allow(head.arg)

    def _cancel(self, hit: Hit, seq: int) -> None:
        hit._way.send(Head(CANCEL, hit=hit.handle, epoch=hit._way_epoch, seq=seq))
        if hit._feeding and seq in (0, hit._feeding.number):
            self._stop_body(hit._feeding, Cancelled("the call was cancelled"))

    def _close(self, hit: Hit) -> None:
        if not hit._closing and not hit._over:
            hit._closing = True
            for wait in hit._behind:
                self._waits.pop(wait, None)
                wait.end(Closed(f"hit {hit.handle:x} was closed before its turn came", Outcome.never_started))
            hit._behind.clear()
            hit._link.send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))

    def _take(self, link: _Link, head: Head) -> _Wait | None:
        """The open or the call that a message answers; it is over."""
        hit = link.hits.get(head.hit)
        if head.flags & REF:
            wait = self._opens.pop(head.hit, None) if head.hit in self._opens and self._opens[head.hit].link is link else None
        else:
            wait = hit and hit._calls.pop(head.seq, None)
        self._waits.pop(wait, None)
        if wait and wait.out:
            self._stop_body(wait, Closed("the call is answered"))
        return wait

    def _on_working(self, link: _Link, head: Head, note: bytes = b"") -> None:
        hit = link.hits.get(head.hit)
        wait = self._opens.get(head.hit) if head.flags & REF else hit and hit._calls.get(head.seq)
        if wait and wait.progress:
            try:
                wait.progress(head.arg / 10000, note.decode(errors="replace"))
            except Exception:
                log.exception("troupe: the progress callback failed")

    def _on_reply(self, link: _Link, head: Head, *bodies: bytes) -> None:
        if head.flags & MORE:
            return self._begin_reply(link, head, _told_size(bodies[0]), list(bodies[1:]))
        if wait := self._take(link, head):
            wait.end(Reply(list(bodies)) if wait.streams else bodies[0] if len(bodies) == 1 else list(bodies))
        self._received(link, head, sum(map(len, bodies)))

    def _begin_reply(self, link: _Link, head: Head, size: int, frames: list[bytes]) -> None:
        """Takes the beginning of a reply in parts, and allows as many bytes of them as its reader takes."""
        hit = link.hits.get(head.hit)
        wait = hit and hit._calls.get(head.seq)
        if not wait:
            return  # nobody wants it: without credit nothing comes
        wait.reply = Reply(frames, size, lambda kib: self._post(self._grant, wait, kib), lambda: self._post(self._leave, wait))
        wait.reply._ask()
        if wait.streams:
            wait.future.set_result(wait.reply)

    def _grant(self, wait: _Wait, kib: int) -> None:
        hit, wait.reply._allowed = wait.hit, kib
        if hit._calls.get(wait.number) is wait:
            hit._way.send(Head(CREDIT, hit=hit.handle, epoch=hit._way_epoch, seq=wait.number, arg=kib % 2**32))

    def _leave(self, wait: _Wait) -> None:
        """The reader of a reply does not want the rest."""
        if wait.hit._calls.get(wait.number) is wait:
            self._cancel(wait.hit, wait.number)
            self._forget(wait)
            self._advance(wait.hit)

    def _on_part(self, link: _Link, head: Head, *bodies: bytes) -> None:
        hit = link.hits.get(head.hit)
        wait = hit and hit._calls.get(head.seq)
        if not wait or not wait.reply:  # it has crossed the end
            return None if head.flags & MORE else self._received(link, head, 0)
        try:
            last = wait.reply._take(head, bodies)
            if not wait.streams:
                self._collect(wait)
        except TroupeError as error:
            self._cancel(hit, wait.number)
            self._forget(wait)
            wait.end(error)
            return self._advance(hit)
        if last:
            self._take(link, head)
            head_frames = [] if wait.reply.frames == [b""] else wait.reply.frames
            wait.end(wait.reply if wait.streams else [*head_frames, b"".join(wait.pieces)] if head_frames else b"".join(wait.pieces))
            self._received(link, head, 0)

    def _collect(self, wait: _Wait) -> None:
        while wait.reply._came.qsize() and wait.reply._fill():
            wait.pieces.append(next(wait.reply))
        if not wait.reply._whole:
            wait.reply._ask()
        if wait.reply._read > wait.hit._way.max_body:
            raise TooLarge(f"the reply has more than {wait.hit._way.max_body} bytes: take it by Hit.stream", Outcome.unknown)

    def _received(self, link: _Link, head: Head, size: int) -> None:
        """A call is answered: calls that waited go on, and a hit that can be resumed acknowledges now and then."""
        hit = link.hits.get(head.hit)
        if not hit or head.flags & REF:
            return
        if hit._key:
            hit._received, hit._answers, hit._bytes = max(hit._received, head.seq), hit._answers + 1, hit._bytes + size
            if hit._answers >= ACK_ANSWERS or hit._bytes >= ACK_BYTES or head.flags & LAST:
                hit._answers = hit._bytes = 0
                link.send(Head(ACK, hit=hit.handle, epoch=hit.epoch, arg=hit._received))
        if hit._behind:
            self._advance(hit)

    def _refused(self, link: _Link, head: Head, error: TroupeError) -> None:
        if not head.hit and not head.flags and head.seq in self._asked:
            return self._asked.pop(head.seq)[0].set_exception(error)
        hit = link.hits.get(head.hit)
        if hit and hit._adrift != math.inf and not head.flags & REF:  # the answer to RESUME
            return self._end(hit, error, math.inf)
        if not (wait := self._take(link, head)):
            log.info("troupe: the broker said of hit %x: %s", head.hit, error)
            return self._received(link, head, 0) if hit and head.seq and error.outcome != Outcome.never_started else None
        hit = wait.hit
        if not hit and error.outcome == Outcome.never_started and (
                error.name == "slot-taken" or error.name in ELSEWHERE and len(self._brokers) > 1):
            return self._elsewhere(wait, error)
        if hit and error.outcome == Outcome.never_started and error.name in REFUSALS:
            if wait.number < hit._next:  # the broker refused it before it reached the worker: the seq is free again
                hit._next, hit._refusal = wait.number, error
            else:  # it could not follow a refused one
                error = hit._refusal.but(Outcome.never_started)
            wait.end(error)
            return self._advance(hit)
        wait.end(error)
        self._received(link, head, 0)

    def _elsewhere(self, wait: _Wait, error: TroupeError) -> None:
        """A broker has refused an open: the next one, or the same again if its slot was taken only meanwhile."""
        again = error.name == "slot-taken" and (wait.queues or len(self._brokers) == 1)
        if not again:
            wait.refusals[wait.link] = TroupeError.of("draining", error.text) if wait.queues else error
        wait.number, wait.link = 0, None
        self._waits[wait] = None
        self._place(wait)

    # The ends of hits, and how they are taken up again.

    def _on_closed(self, link: _Link, head: Head, text: bytes, why: bytes = b"") -> None:
        if not head.flags & REF and (hit := link.hits.get(head.hit)):
            if hit._key:  # the broker need not keep the end for us
                link.send(Head(ACK, hit=hit.handle, epoch=head.epoch, arg=hit._received))
            self._end(hit, _told(head, text, why) if head.status else Closed("the hit is closed"), head.arg)

    def _end(self, hit: Hit, error: TroupeError, began: float) -> None:
        """Ends a hit for its callers; calls up to `began` may have started."""
        hit._over = error
        self._kept.discard(hit)
        hit._link.hits.pop(hit.handle, None)
        for wait in [*hit._calls.values(), *hit._behind]:
            self._waits.pop(wait, None)
            self._stop_body(wait, error)
            wait.end(error.but(wait.doubt if wait.number <= began else Outcome.never_started))
        for wait in [wait for wait in self._waits if wait.opening is hit]:
            del self._waits[wait]
            wait.end(error.but(Outcome.never_started))
        hit._calls.clear(), hit._behind.clear()
        hit._ended.set_result(None)
        if isinstance(hit._way, _Way):
            hit._way.leave()

    def _lost(self, link: _Link, error: TroupeError) -> None:
        if isinstance(link, _Way):
            hit = link.hit
            if not hit._over:
                text = f"the direct connection to worker {hit.worker} at {link.endpoint} is lost: {error.text}"
                hit._link.send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))
                self._end(hit, error if error.name != "broker-gone" else WorkerGone(text, Outcome.unknown), math.inf)
            return
        for hit in list(link.hits.values()):
            self._drift(hit) if hit._key and not self._stopping and not link.failure else self._end(hit, error, math.inf)
        several = len(self._brokers) > 1 and not self._stopping
        for wait in [wait for wait in self._waits if wait.link is link and wait.number or self._stopping]:  # the others wait for the next broker
            self._opens.pop(wait.number, None)
            if several and not wait.flags & LAST:
                wait.number, wait.link = 0, None
            elif not wait.opening or self._stopping:
                del self._waits[wait]
                wait.end(error.but(wait.doubt))

    def _drift(self, hit: Hit) -> None:
        """The connection of a hit is lost that can be resumed: its calls wait for that, but parts do not go on."""
        self._kept.add(hit)
        if hit._adrift == math.inf:
            hit._adrift = time.monotonic() + hit._keep
        for wait in list(hit._calls.values()):
            if wait.reply:
                wait.end(ReplyLost("the connection was lost while the reply came", Outcome.reply_lost))
                self._forget(wait)
            self._stop_body(wait, BrokerGone("the connection was lost while the body was sent"))

    def _resume(self, wait: _Wait, incarnation: str) -> None:
        """Begins to take up a hit by its ticket."""
        hit = wait.opening
        if self._stopping or hit.handle in hit._link.hits:
            held = "this client is closed" if self._stopping else "this client holds the hit already: go on with the Hit there is"
            return wait.end(TroupeError.of("closed" if self._stopping else "bad-seq", held))
        self._waits[wait], hit._incarnation, hit._link.hits[hit.handle] = None, incarnation, hit
        hit._adrift = time.monotonic() + hit._keep
        self._kept.add(hit)
        if hit._link.known:
            self._take_up(hit)

    def _take_up(self, hit: Hit) -> None:
        """Asks for a hit on a new connection to its broker."""
        if hit._incarnation != hit._link.incarnation:
            return self._end(hit, BrokerGone("the broker was restarted, and the hit is lost with the old one: open another one", Outcome.unknown), math.inf)
        hit._tries += 1
        hit._link.send(Head(RESUME, hit=hit.handle, seq=hit._next - 1, arg=hit._received), hit._key)

    def _on_resumed(self, link: _Link, head: Head, worker: bytes, acked: bytes = b"") -> None:
        """The hit is ours again, up to the call `seq`; answers up to `acked` are not kept any more."""
        hit = link.hits.get(head.hit)
        if hit is None or hit._adrift == math.inf:  # nobody wants it
            return link.send(Head(DETACH, hit=head.hit, epoch=head.epoch))
        opening = next((wait for wait in self._waits if wait.opening is hit), None)
        if not opening and head.epoch - hit.epoch > hit._tries:
            link.send(Head(DETACH, hit=head.hit, epoch=head.epoch))
            return self._end(hit, Fenced("another client has held the hit meanwhile, with its ticket: resume it with a fresh one", Outcome.unknown), math.inf)
        self._kept.discard(hit)
        hit.epoch = hit._way_epoch = head.epoch
        hit.worker, hit._adrift, hit._tries, told = worker.decode(errors="replace"), math.inf, 0, int.from_bytes(acked, "big")
        if opening:
            self._inherit(hit, head.seq, told)
            del self._waits[opening]
            opening.end(hit)
        fresh = []  # the broker has never heard of them
        for seq, wait in list(hit._calls.items()):
            if hit._received < seq <= told:
                self._forget(wait)
                wait.end(ReplyLost("another holder of the hit's ticket has received the answer", Outcome.reply_lost))
            elif seq > head.seq:
                fresh.append(hit._calls.pop(seq))
            elif wait.out and wait.out.error:  # its body did not come to its end
                self._cancel(hit, seq)
        hit._next = head.seq + 1
        for seq in hit._left:
            seq <= head.seq and self._cancel(hit, seq)
        hit._left.clear()
        for wait in reversed(fresh):
            wait.number = 0
            if wait.out:  # what was read of its source is gone
                self._waits.pop(wait, None)
                wait.end(BrokerGone("the connection was lost before the call reached the broker: call again", Outcome.never_started))
            else:
                hit._behind.appendleft(wait)
        if hit._closing:
            link.send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))
        self._advance(hit)

    def _inherit(self, hit: Hit, accepted: int, acked: int) -> None:
        """Makes the calls of an earlier holder, whose answers are still to come, calls of this one."""
        sent, hit._received = hit._next - 1, max(hit._received, acked)
        for seq in range(hit._received + 1, max(accepted, sent) + 1):
            wait = _Wait(hit, [], None, None, 0)
            wait.number, hit.inherited[seq] = seq, wait.future
            if seq <= accepted:
                hit._calls[seq] = wait
                self._waits[wait] = None
            else:
                wait.end(BrokerGone("the call had not reached the broker when its connection was lost: call again", Outcome.never_started))

    def _detach(self, hit: Hit, done: futures.Future) -> None:
        try:
            text = hit.ticket()
            if hit._over:
                raise hit._over.but(Outcome.never_started)
        except TroupeError as error:
            return done.set_exception(error)
        hit._link.send(Head(DETACH, hit=hit.handle, epoch=hit.epoch))
        self._end(hit, Closed("the hit was detached: resume it with its ticket", Outcome.unknown), hit._next - 1)
        done.set_result(text)

    # What time brings.

    def _hasty(self) -> bool:
        return bool(self._waits or self._kept)

    def _ponged(self, link: _Link, head: Head) -> None:
        if len(self._brokers) > 1:
            self._place_all()

    def _tick(self, now: float) -> None:
        """Cancels what is over its deadline, and gives up on what is not answered even then."""
        if now < self._look_at:
            return
        self._look_at = now + 0.02
        if len(self._brokers) > 1 and self._waits:
            self._suspect(now)
        for hit in [hit for hit in self._kept if now > hit._adrift]:
            text = f"the broker was not reached again within {hit._keep:.0f} s, for which it keeps the hit: open another one"
            self._end(hit, BrokerGone(text, Outcome.unknown), math.inf)
        for wait in [wait for wait in self._waits if now > wait.deadline]:
            hit, number = wait.hit, wait.number
            if not wait.late and number and (hit or wait.flags & LAST):
                self._cancel(hit, number) if hit else wait.link.send(Head(CANCEL, REF, hit=number))
            wait.late = True
            if hit and not number:
                self._give_up(wait, Expired(f"its turn did not come within {wait.timeout} s", wait.doubt))
            elif wait.opening:
                self._give_up(wait, Expired(f"{wait.opening._way.endpoint} was not reached within {wait.timeout} s", wait.doubt))
            elif not number and (closed := [link for link in self._brokers if link.turned_away]):
                text = f"{closed[0].endpoint} lets this client not in: {closed[0].turned_away} (`troupe doctor` says more)"
                self._give_up(wait, Refused(text, wait.doubt))
            elif not number:
                self._give_up(wait, BrokerGone(f"no broker at {self.endpoint} within {wait.timeout} s: is it started, or does it want a key?", wait.doubt))
            elif now > wait.deadline + GRACE:
                self._give_up(wait, Expired(f"no answer within {wait.timeout} s", wait.doubt))

    def _suspect(self, now: float) -> None:
        """Passes by the brokers that give no sign of life, as long as they do not."""
        opens = [wait for wait in self._waits if not wait.hit and not wait.opening]
        for link in {wait.link for wait in opens if wait.number}:
            now - link.heard_at > self.patience and link.ask(now)
        for link in self._brokers:
            if link.known and not link.suspect and link.asked_at and now - link.asked_at > self.patience:
                log.warning("troupe: the broker at %s has not answered for %g s: others are asked", link.endpoint, self.patience)
                link.suspect = True
                for wait in [wait for wait in opens if wait.link is link and not wait.flags & LAST]:
                    self._withdraw(wait)
        self._place_all()

    def _give_up(self, wait: _Wait, error: TroupeError) -> None:
        self._waits.pop(wait, None)
        if wait.opening:
            hit = wait.opening
            wait.end(error)
            if hit._adrift == math.inf:
                hit._link.send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))
            return self._end(hit, error, 0)
        if wait.hit and wait.number:
            self._forget(wait)
            self._advance(wait.hit)
        elif wait.hit:
            wait.hit._behind.remove(wait)
        elif self._opens.pop(wait.number, None):
            wait.link.send(Head(CLOSE, REF, hit=wait.number))
        wait.end(error)


def _ticket(text: str) -> dict:
    """Reads a ticket, or raises ValueError that says what is wrong with it."""
    word, version, body, check = (text.strip().split(":") + [""] * 4)[:4]
    if word != "troupe-ticket" or version != "1":
        raise ValueError(f"no ticket that this file can read, it begins with {text[:20]!r}: give the text of Hit.ticket, as it was")
    if check != f"{binascii.crc32(f'{word}:{version}:{body}'.encode()):08x}":
        raise ValueError("the ticket's checksum is wrong: it was cut, or changed")
    try:
        about = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        int(about["hit"], 16), about["broker"], about["incarnation"], about["service"]
        whole = len(bytes.fromhex(about["key"])) == 16 and 0 <= about["received"] <= about["sent"] and about["resume_ms"] > 0
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the ticket cannot be read: {error!r}") from None
    if not whole:
        raise ValueError("the ticket contradicts itself: its key has 16 bytes, and no more answers came than calls were made")
    return about
