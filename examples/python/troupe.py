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

One io thread owns the socket and all state; what other threads want is posted to it (`_Link._post`). So there is no lock here.
"""
from __future__ import annotations

import collections
import concurrent.futures as futures
import enum
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
import threading
import time
import traceback
import types
from typing import Any, Callable, NamedTuple, Union

import zmq

log = logging.getLogger("troupe")
Body = Union[bytes, str, None, "list[bytes | str]"]  # several frames are a list
Progress = Callable[[float, str], Any]               # called with fraction and note, on the io thread: it must not block

# -- The wire: types, flags, statuses, header (hit.md, sections 2 to 5). -------------------------------------------------------

HELLO, OPEN, CALL, CANCEL, CLOSE, PING, PONG, CREDIT, ADMIN, BYE, RESUME, ACK, DETACH, PROBE, PART = range(1, 16)
WELCOME, OPENED, REPLY, WORKING, ERROR, CLOSED, REPORT, RESUMED, VITALS = range(17, 26)
READY, ENDED, CHANGED, RENEW, TALLY, BEGIN, END, LEASE = 33, 34, 35, 36, 37, 49, 50, 51
FIRST, LAST, MORE, NOW, REF, DIRECT, MOST = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 60
RULES = {  # type: name, flags that may be set, least and most frames after the header
    HELLO: ("hello", DIRECT, 1, 1), OPEN: ("open", FIRST | LAST | REF | NOW | DIRECT, 2, 2 + MOST), CALL: ("call", LAST | MORE, 1, MOST),
    CANCEL: ("cancel", REF, 0, 0), CLOSE: ("close", REF, 0, 0), PING: ("ping", 0, 0, 0), PONG: ("pong", 0, 0, 0),
    CREDIT: ("credit", 0, 0, 0), ADMIN: ("admin", 0, 1, 1), BYE: ("bye", 0, 0, 0), RESUME: ("resume", 0, 1, 1), ACK: ("ack", 0, 0, 0),
    DETACH: ("detach", 0, 0, 0), PROBE: ("probe", 0, 0, 0), PART: ("part", LAST | MORE, 1, MOST), WELCOME: ("welcome", DIRECT, 1, 1),
    OPENED: ("opened", REF | DIRECT, 0, 6), REPLY: ("reply", LAST | REF | MORE, 1, MOST), WORKING: ("working", REF, 0, 1),
    ERROR: ("error", LAST | REF, 1, 2), CLOSED: ("closed", REF, 1, 2), REPORT: ("report", 0, 1, 1), RESUMED: ("resumed", 0, 2, 2),
    VITALS: ("vitals", 0, 1, 1), READY: ("ready", 0, 1, 1), ENDED: ("ended", 0, 0, 1), CHANGED: ("changed", 0, 1, 1),
    RENEW: ("renew", 0, 0, 0), TALLY: ("tally", 0, 0, 0), BEGIN: ("begin", FIRST | LAST | DIRECT, 2, 2 + MOST), END: ("end", 0, 0, 0),
    LEASE: ("lease", 0, 0, 0)}
STATUS = ("ok bad-frame bad-version bad-type bad-flag too-large not-registered unknown-service unknown-hit not-owner stale-epoch bad-seq"
          " closed queue-full expired cancelled worker-gone service-error panicked name-taken draining peer-slow killed internal"
          " broker-gone refused bad-identity bad-key reply-lost fenced bad-token lease-over bad-part over-credit slot-taken").split()


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

    def __init_subclass__(cls, name: str) -> None:
        cls.name, TroupeError.kinds[name] = name, cls

    def __str__(self) -> str:
        return f"{self.text} [{self.name}, {self.outcome.name}]"

    @staticmethod
    def of(name: str, text: str, outcome: Outcome = Outcome.never_started, why: Any = None) -> TroupeError:
        """The error of a status, by the status's name."""
        error = TroupeError.kinds.get(name, TroupeError)(text, outcome, why)
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
        opens, first, last = self.type in (OPEN, BEGIN), self.flags & FIRST, self.flags & LAST
        tokened = self.type == BEGIN and self.flags == DIRECT  # service, options, token
        if self.flags & ~flags or opens and last and not first:
            raise TroupeError.of("bad-flag", f"{name.upper()} with flags {self.flags:#x}: {flags:#x} are possible, last only with first")
        sized = self.type in (CALL, REPLY) and self.flags & MORE  # the announced size comes before the body
        if (not least + bool(sized) <= frames <= most or bool(self.part) != (self.type == PART) or opens and bool(first or tokened) != (frames > 2)
                or self.type == OPENED and frames in (1, 4, 5)):
            raise TroupeError.of("bad-frame", f"{name.upper()} with flags {self.flags:#x}, part {self.part} and {frames} frames after the"
                                              f" header: {least} to {most} are possible, bodies only with the flag first, a part only on PART")


_HEADER = struct.Struct(">2sBBHHQIIII")


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
    return TroupeError.of(name, text.decode(errors="replace"), outcome, reason)


# -- The connection, for both sides. -------------------------------------------------------------------------------------------

class _Link:
    """One DEALER to the broker and the io thread that owns it: greets, beats, acknowledges, notices losses, comes back.

    A lost connection is never continued: `_lost` hears of it, and a new socket greets anew. A message of type NAME goes to the method
    `_on_name`; a side has those of the types that are meant for it."""

    def __init__(self, endpoint: str, name: str, window: int) -> None:
        self.endpoint, self.asked_name, self.name, self.asked_window = endpoint, name, name, window
        self.welcomed = threading.Event()            # set while the broker knows us
        self.ended = threading.Event()               # set when the io thread has ended
        self.failure: BaseException | None = None    # why it ended, if by itself
        self._todo: collections.deque = collections.deque()  # (function, arguments) that other threads posted
        self._out: collections.deque = collections.deque()   # messages on their way into the socket
        self._incarnation, self._beat, self._sent_at, self._retry_at, self._pause = "", 1.0, 0.0, 0.0, 0.05  # the last four: seconds
        self._rung = self._stopping = False
        self._bell, self._ear = socket.socketpair()  # wakes the io thread out of its poll
        self._bell.setblocking(False)
        self._context, self._poller = zmq.Context(), zmq.Poller()
        self._poller.register(self._ear, zmq.POLLIN)
        self._connect()
        threading.Thread(target=self._run, name="troupe-io", daemon=True).start()

    def _post(self, do: Callable, *args: Any) -> None:
        """Has the io thread call do(*args). From any thread, and from signal handlers."""
        self._todo.append((do, args))
        if not self._rung:
            self._rung = True
            try:
                self._bell.send(b"!")
            except OSError:
                pass  # the io thread has ended

    def _connect(self) -> None:
        self._sock = sock = self._context.socket(zmq.DEALER)
        sock.linger, sock.rcvhwm, sock.reconnect_ivl, sock.reconnect_ivl_max = 0, 0, 100, 2000  # ms; our window bounds what may come
        sock.heartbeat_ivl, sock.heartbeat_timeout = 1000, 5000  # ms: a frozen host becomes DISCONNECTED, too
        sock.heartbeat_ttl = 3000  # and the broker may give this process up when it stands still
        self._monitor = sock.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            sock.connect(self.endpoint)
        except zmq.ZMQError as error:
            self._monitor.close(0), sock.close(0), self._context.term(), self._bell.close(), self._ear.close()
            raise ValueError(f"cannot connect to {self.endpoint!r} ({error}): write tcp://HOST:PORT or ipc://PATH") from None
        self._poller.register(self._monitor, zmq.POLLIN)
        self._received = self._acknowledged = 0
        kind, about = self._greeting()
        self._send(Head(kind), json.dumps(about | {"name": self.asked_name, "window": self.asked_window, "lang": "python"}).encode())

    def _drop(self, error: TroupeError, linger: int = 0) -> None:
        """Ends the connection and all that lived by it."""
        if self._sock is not None:
            self._poller.unregister(self._monitor), self._sock in self._poller and self._poller.unregister(self._sock)
            self._sock.disable_monitor(), self._monitor.close(0), self._sock.close(linger if self.welcomed.is_set() else 0)
            self._sock, self._retry_at, self._pause = None, time.monotonic() + self._pause, min(2 * self._pause, 2.0)
            self._out.clear(), self.welcomed.clear()
        self._lost(error)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:  # a defect of this file, which must leave nobody waiting
            log.exception("troupe: the io thread has crashed")
            self.failure, self._stopping = error, True
        self._drop(Closed("closed by its owner", Outcome.unknown), linger=1000)
        self._context.term()
        self.ended.set()
        self._work()
        self._bell.close(), self._ear.close()

    def _turn(self) -> None:
        if self._sock is None and time.monotonic() >= self._retry_at:
            self._connect()
        if self._sock is not None:
            self._poller.register(self._sock, zmq.POLLIN | (zmq.POLLOUT if self._out else 0))
        ready = dict(self._poller.poll(50 if self._sock is None or self._hasty() else self._beat * 500))  # ms
        if self._ear.fileno() in ready:
            self._ear.recv(1)
            self._rung = False  # before the work: what is posted from now on rings again
        self._work()
        if self._sock is not None:
            self._exchange(lost=self._monitor in ready)
        self._tick(time.monotonic())

    def _work(self) -> None:
        for _ in range(len(self._todo)):
            do, args = self._todo.popleft()
            do(*args)

    def _exchange(self, lost: bool) -> None:
        sock = self._sock
        for _ in itertools.repeat(0) if lost else range(100):  # all that came before a loss is read before it counts
            try:
                self._read(sock.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            if self._sock is not sock:
                return  # dropped for what it said
        if lost:
            return self._drop(BrokerGone(f"the connection to the broker at {self.endpoint} is lost", Outcome.unknown))
        if self.welcomed.is_set() and time.monotonic() - self._sent_at >= self._beat:
            self._send(Head(PING))
        try:
            while self._out:
                sock.send_multipart(self._out[0], zmq.NOBLOCK)
                self._out.popleft()
        except zmq.Again:
            pass  # the poller tells when there is room

    def _send(self, head: Head, *frames: bytes) -> None:
        """Sends a message, from the io thread. Without a connection it is dropped, for its hit is lost anyhow."""
        if self._sock is not None:
            self._out.append((head.pack(), *frames))
            self._sent_at = time.monotonic()

    def _read(self, frames: list[bytes]) -> None:
        head = Head(0)
        try:
            head = Head.unpack(frames[0])
            head.check(len(frames) - 1)
            hear = getattr(self, "_on_" + RULES[head.type][0], None)
            if hear is None:
                raise TroupeError.of("bad-type", f"{RULES[head.type][0].upper()} is not for this peer")
            hear(head, *frames[1:])
        except Exception as error:
            log.warning("troupe: cannot take the broker's message: %r", error)
            if head.type != ERROR:
                self._complain(head, error if isinstance(error, TroupeError) else TroupeError.of("bad-frame", repr(error)))
        if self.welcomed.is_set():
            self._received += sum(map(len, frames))
            if self._received - self._acknowledged >= self.window // 2:
                self._acknowledged = self._received
                self._send(Head(CREDIT, arg=(self._received + self.window) // 1024 % 2**32))

    def _complain(self, about: Head, error: TroupeError) -> None:
        self._send(about._replace(type=ERROR, flags=0, status=STATUS.index(error.name), part=0, arg=error.outcome), error.text.encode())

    def _on_welcome(self, _: Head, about: bytes) -> None:
        info = json.loads(about)
        if self.welcomed.is_set() and info["incarnation"] != self._incarnation:
            return self._drop(BrokerGone(f"the broker at {self.endpoint} was restarted", Outcome.unknown))
        self._incarnation, self.name, self._beat = info["incarnation"], info["name"], info["heartbeat_ms"] / 1000
        self.max_body, self.window = info["max_body"], info["window"]
        self._pause = 0.05
        self.welcomed.set()
        self._registered()

    def _on_error(self, head: Head, text: bytes, why: bytes = b"") -> None:
        error = _told(head, text, why)
        if error.name == "not-registered" or error.name == "draining" and not self.welcomed.is_set():
            self._drop(BrokerGone(f"the broker at {self.endpoint} does not know us (any more): {error.text}", Outcome.unknown))
        elif not self.welcomed.is_set():  # it refuses our greeting, and would again
            self.failure, self._stopping = error, True
        else:
            self._refused(head, error)

    def _on_ping(self, head: Head) -> None:
        self._send(Head(PONG, arg=head.arg))

    def _on_pong(self, head: Head) -> None:
        pass

    def _on_bye(self, head: Head) -> None:
        log.info("troupe: the broker at %s leaves", self.endpoint)

    def _quit(self) -> None:
        self._stopping = True
        self._send(Head(BYE))


# -- The worker. ---------------------------------------------------------------------------------------------------------------

_SERVICES: dict[str, tuple[Callable[[], Any], int]] = {}  # name: what makes a session, slots asked for


def service(name: str, slots: int = 8) -> Callable:
    """Offers a class or a function (see the top) as a service. The slots of a process are shared by its services: the largest counts."""
    def register(what: Any) -> Any:
        _SERVICES[name] = (what if isinstance(what, type) else lambda: types.SimpleNamespace(call=what)), slots
        return what
    return register


def serve(endpoint: str, **options: Any) -> None:
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
        self.hit, self.seq, self.last, self.bodies, self._hit = hit.handle, seq, bool(head.flags & LAST), list(bodies), hit
        self.body = bodies[0]               # the first frame; most calls have one
        self.cancelled = threading.Event()  # set when the client has cancelled the call, or is lost
        self.deadline = time.monotonic() + head.arg / 1000 if head.arg else math.inf  # in time.monotonic()
        self._stopped: Cancelled | None = None

    def progress(self, fraction: float, note: str = "") -> None:
        """Tells the client how far the call is, 0 to 1. It also proves that this thread goes on."""
        self._hit.say(WORKING, note.encode(), seq=self.seq, arg=round(max(0.0, min(fraction, 1.0)) * 10000))

    def check(self) -> None:
        """Raises Cancelled when nobody wants the answer any more. For now and then in long work."""
        if self.cancelled.is_set() or time.monotonic() > self.deadline:
            self._stopped = Cancelled("stopped while it ran: " + ("cancelled" if self.cancelled.is_set() else "its deadline passed"))
            raise self._stopped


class _Served:
    """One hit at the worker. Its slot's thread is in `run` from BEGIN to the end; the io thread only fills `inbox`."""

    def __init__(self, worker: Worker, head: Head, make: Callable[[], Any], options: bytes) -> None:
        self.worker, self.handle, self.epoch, self.make, self.options = worker, head.hit, head.epoch, make, options
        self.alone = bool(head.flags & LAST)      # one-shot: neither OPENED nor ENDED
        self.inbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()  # None: END
        self.calls: dict[int, Call] = {}          # not answered yet; belongs to the io thread, as does `heard`
        self.heard = self.began = 0               # highest seq that came, that began

    def say(self, kind: int, *frames: bytes, **fields: int) -> None:
        self.worker._post(self.worker._say, self, Head(kind, hit=self.handle, epoch=self.epoch, **fields), frames)

    def run(self) -> None:
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
        try:
            getattr(session, "close", bool)()
        except BaseException:
            log.exception("troupe: the session of hit %x could not be closed", self.handle)
        self.end(call, result if call else None)

    def serve(self, session: Any, call: Call) -> list[bytes] | TroupeError:
        if call.cancelled.is_set():
            return Cancelled("cancelled before its turn came", Outcome.never_started)
        if time.monotonic() > call.deadline:
            return Expired("its deadline passed before its turn came: the calls before it took too long", Outcome.never_started)
        self.began = call.seq
        try:
            bodies = _frames(session.call(call))
        except BaseException as error:
            return call._stopped if error is call._stopped else self.judge(error)
        if (size := sum(map(len, bodies))) > self.worker.max_body:
            return TooLarge(f"the reply has {size} bytes, the broker takes {self.worker.max_body}", Outcome.reply_lost)
        return bodies

    def judge(self, error: BaseException) -> TroupeError:
        """What the client is told of an exception. After an Exception the session goes on; others, as SystemExit, end it."""
        if type(error) is ServiceError:
            return ServiceError(error.text, why=error.why)
        text, why = f"{type(error).__name__}: {error}", {"traceback": traceback.format_exception(error)[-3:]}
        return ServiceError(text, why=why) if isinstance(error, Exception) else Panicked(text, Outcome.unknown, why)

    def answer(self, seq: int, result: list[bytes] | TroupeError, flags: int = 0) -> None:
        if isinstance(result, TroupeError):
            why = [json.dumps(result.why, default=str).encode()] if result.why else []
            self.say(ERROR, result.text.encode(errors="replace"), *why, flags=flags, seq=seq, status=STATUS.index(result.name), arg=result.outcome)
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


def _slot(work: queue.SimpleQueue) -> None:
    """The body of a slot's thread: one hit after another, until None."""
    while hit := work.get():
        try:
            hit.run()
        except BaseException as error:  # what run does not foresee must not keep the slot
            log.exception("troupe: hit %x has failed", hit.handle)
            hit.end(None, Panicked(f"the worker failed: {type(error).__name__}", Outcome.unknown))


class Worker(_Link):
    """Serves a broker's worker endpoint, each open hit on a thread of its own. Programs use `serve`; this is for those with an own main.

    services: by default what @service named. slots: hits at the same time, by default as @service says. name: unique at the broker, by
    default host and pid, so that a second worker in a process needs one. window: bytes the broker may send ahead of acknowledgement, 0: its default.
    keep_threads: a thread takes further hits instead of ending with its hit; that saves a start, and keeps thread-local state."""

    def __init__(self, endpoint: str, services: dict | None = None, *, slots: int = 0, name: str = "", keep_threads: bool = False,
                 window: int = 0) -> None:
        self.services = dict(services or _SERVICES)
        if not self.services:
            raise ValueError("no service: put @service(NAME) on a function or a class first")
        self.slots, self.keep_threads = slots or max(asked for _, asked in self.services.values()), keep_threads
        self.draining = self._parted = False
        self._hits: dict[int, _Served] = {}
        self._held: set[_Served] = set()          # hits of lost connections whose threads have not ended them yet
        self._work_of: dict[_Served, queue.SimpleQueue] = {}
        self._idle: list[queue.SimpleQueue] = []  # of threads without a hit
        self._born = secrets.token_hex(8)
        super().__init__(endpoint, name, window)

    def drain(self) -> None:
        """Takes no new hits, and ends when the open ones have ended."""
        self.draining = True
        self._post(self._part)

    def stop(self) -> None:
        """Ends now. Threads that are stuck in a service's code do not hold the process."""
        self._post(self._quit)

    def join(self) -> None:
        """Waits for the end; raises what caused it if it was not asked for, as NameTaken."""
        self.ended.wait()
        if self.failure:
            raise self.failure

    # All that follows runs on the io thread.

    def _greeting(self) -> tuple[int, dict]:
        return READY, {"services": list(self.services), "slots": self.slots, "busy": len(self._held), "pid": os.getpid(),
                       "host": socket.gethostname(), "incarnation": self._born, "threads": "pinned"}

    def _registered(self) -> None:
        log.info("troupe: worker %s serves %s at %s, %d slots", self.name, ", ".join(self.services), self.endpoint, self.slots)

    def _on_begin(self, head: Head, name: bytes, options: bytes, *bodies: bytes) -> None:
        if head.hit in self._hits:
            raise TroupeError.of("bad-seq", f"BEGIN for hit {head.hit:x}, which is open already")
        make, _ = self.services.get(name.decode(), (None, 0))
        hit = _Served(self, head, make, options)
        if make is None:
            return hit.end(None, UnknownService(f"this worker does not serve {name.decode()}", Outcome.never_started))
        if len(self._hits) + len(self._held) >= self.slots:
            return hit.end(None, QueueFull(f"all {self.slots} slots of this worker are taken", Outcome.never_started))
        self._hits[head.hit] = hit
        if bodies:
            self._queue(hit, head, 1, bodies)
        self._work_of[hit] = work = self._idle.pop() if self._idle else self._new_slot()
        work.put(hit)

    def _new_slot(self) -> queue.SimpleQueue:
        work: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_slot, args=(work,), name="troupe-slot", daemon=True).start()
        return work

    def _queue(self, hit: _Served, head: Head, seq: int, bodies: tuple[bytes, ...]) -> None:
        hit.heard, hit.calls[seq] = seq, Call(hit, head, seq, bodies)
        hit.inbox.put(hit.calls[seq])

    def _on_call(self, head: Head, *bodies: bytes) -> None:
        hit = self._hits.get(head.hit)
        if hit is None:  # no reason to wonder: its service may have crashed a moment ago
            self._complain(head, TroupeError.of("unknown-hit", f"no hit {head.hit:x} is open here"))
        elif head.epoch != hit.epoch:
            raise TroupeError.of("stale-epoch", f"hit {head.hit:x} is under epoch {hit.epoch}, not {head.epoch}")
        elif head.seq != hit.heard + 1:
            raise TroupeError.of("bad-seq", f"call {head.seq} of hit {head.hit:x} came after call {hit.heard}")
        else:
            self._queue(hit, head, head.seq, bodies)

    def _on_cancel(self, head: Head) -> None:
        hit = self._hits.get(head.hit)
        for seq, call in hit.calls.items() if hit and hit.epoch == head.epoch else ():
            if head.seq in (0, seq):
                call.cancelled.set()

    def _on_end(self, head: Head) -> None:
        hit = self._hits.get(head.hit)
        if hit and hit.epoch == head.epoch:
            hit.inbox.put(None)
        else:  # so that the broker does not count its slot as taken for ever
            self._send(Head(ENDED, status=STATUS.index("unknown-hit"), hit=head.hit, epoch=head.epoch))

    def _say(self, hit: _Served, head: Head, frames: tuple[bytes, ...]) -> None:
        """Sends what a hit has to say. Its last word frees the slot."""
        if head.type in (REPLY, ERROR):
            hit.calls.pop(head.seq, None)
        over = head.type == ENDED or head.flags & LAST
        if over and (work := self._work_of.pop(hit, None)):
            self._idle.append(work) if self.keep_threads else work.put(None)
        if hit not in self._held:
            self._send(head, *frames)
            if over:
                self._hits.pop(hit.handle, None)
        elif over:
            self._held.remove(hit)
            self._send(Head(ENDED))

    def _lost(self, error: TroupeError) -> None:
        for hit in self._hits.values():
            for call in hit.calls.values():
                call.cancelled.set()
            hit.inbox.put(None)
        if not self._stopping:
            log.warning("troupe: %s; %d hits end", error.text, len(self._hits))
        self._held.update(self._hits.values())
        self._hits.clear()
        if self.draining:
            self._retry_at = math.inf

    def _refused(self, head: Head, error: TroupeError) -> None:
        log.info("troupe: the broker refused a message of hit %x: %s", head.hit, error)

    def _part(self) -> None:
        """BYE, then two PINGs, one after the other: the broker may answer the first before it has seen to BYE, the second never.
        Then no BEGIN is on its way any more."""
        self._parted = not self.welcomed.is_set()
        self._send(Head(BYE)), self._send(Head(PING, arg=1))

    def _on_pong(self, head: Head) -> None:
        if self.draining and head.arg == 1:
            self._send(Head(PING, arg=2))
        self._parted = self._parted or self.draining and head.arg == 2

    def _hasty(self) -> bool:
        return False

    def _tick(self, now: float) -> None:
        if self.draining and (self._parted or self._sock is None) and not self._hits and not self._held:
            self._stopping = True


# -- The client. ---------------------------------------------------------------------------------------------------------------

GRACE = 0.25  # seconds after a deadline in which broker and worker may still say what became of the call


class _Wait:
    """An open (hit is None) or a call under way, and the future that tells its end."""

    def __init__(self, hit: Hit | None, frames: list[bytes], timeout: float | None, progress: Progress | None, flags: int) -> None:
        self.hit, self.frames, self.timeout, self.progress, self.flags = hit, frames, timeout, progress, flags
        self.size = sum(map(len, frames if hit else frames[2:]))
        self.future: futures.Future = futures.Future()
        self.future.set_running_or_notify_cancel()  # nobody but us ends it
        self.ms = 0 if timeout is None else min(max(1, round(timeout * 1000)), 2**32 - 1)
        self.deadline = math.inf if timeout is None else time.monotonic() + timeout
        self.number = 0                             # the reference or the seq, once it is sent
        self.late = False

    @property
    def doubt(self) -> Outcome:
        """What can be said of it when no answer comes: no call runs before it is sent, nor while a session is only opened."""
        return Outcome.unknown if self.number and (self.hit or self.flags & LAST) else Outcome.never_started

    def end(self, result: Any) -> None:
        if isinstance(result, Cancelled) and self.late:
            result = Expired(f"no answer within {self.timeout} s; {result.text}", result.outcome)
        self.future.set_exception(result) if isinstance(result, TroupeError) else self.future.set_result(result)


class Hit:
    """A session at `worker`, on the OS thread `thread` there. From Client.open; may be shared by threads; `with` closes it."""

    def __init__(self, client: Client, handle: int, epoch: int, worker: str, thread: int) -> None:
        self.client, self.handle, self.epoch, self.worker, self.thread = client, handle, epoch, worker, thread
        self._calls: dict[int, _Wait] = {}         # under way, by seq; this and what follows belongs to the io thread
        self._behind: collections.deque[_Wait] = collections.deque()  # not sent yet, see Client._call
        self._next, self._closing = 1, False
        self._refusal: TroupeError | None = None   # of the call that had the seq `_next` before
        self._over: TroupeError | None = None      # why it has ended
        self._ended: futures.Future = futures.Future()

    def call(self, body: Body = None, timeout: float | None = None, progress: Progress | None = None) -> bytes | list[bytes]:
        """Calls the service and waits for the reply: bytes, or a list of them if it has several frames. Raises TroupeError.

        After `timeout` seconds (None: no limit) the call is cancelled; Expired tells whether it ever started."""
        return self.call_async(body, timeout, progress).result()

    def call_async(self, body: Body = None, timeout: float | None = None, progress: Progress | None = None) -> futures.Future:
        """As call, without waiting. The calls of a hit run in the order in which they were made.

        Callbacks of the future run on the io thread: they must not block."""
        return self.client._start(_Wait(self, _frames(body), timeout, progress, 0))

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

    def _settles(self) -> bool:
        """Whether a seq has become free again while later ones are under way; those are going to be refused as well."""
        return next(reversed(self._calls), 0) >= self._next

    def __enter__(self) -> Hit:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Client(_Link):
    """A connection to a broker's client endpoint. May be shared by threads; `with` closes it. Timeouts are seconds, None: no limit.

    Without a broker, open and do wait for one. If it is lost, all calls under way raise BrokerGone; later opens find the next one."""

    def __init__(self, endpoint: str, *, name: str = "", window: int = 0) -> None:
        self._waits: dict[_Wait, None] = {}  # all opens and calls under way, in order
        self._look_at = 0.0                  # when to look at their deadlines
        self._opens: dict[int, _Wait] = {}   # by reference
        self._hits: dict[int, Hit] = {}      # by handle
        self._references = itertools.count(1)
        super().__init__(endpoint, name, window)

    def open(self, service: str, session: Any = None, label: str = "", timeout: float | None = 30) -> Hit:
        """Opens a hit. `session` (a value with a JSON form) is for the service, `label` names the hit in listings. Raises TroupeError."""
        options = {key: value for key, value in (("label", label or None), ("session", session)) if value is not None}
        return self._start(_Wait(None, [service.encode(), json.dumps(options).encode()], timeout, None, REF)).result()

    def do(self, service: str, body: Body = None, timeout: float | None = 30, progress: Progress | None = None) -> bytes | list[bytes]:
        """Opens a hit for a single call, calls and closes, all in one message. As Hit.call otherwise."""
        return self.do_async(service, body, timeout, progress).result()

    def do_async(self, service: str, body: Body = None, timeout: float | None = 30, progress: Progress | None = None) -> futures.Future:
        """As do, without waiting."""
        return self._start(_Wait(None, [service.encode(), b"", *_frames(body)], timeout, progress, FIRST | LAST | REF))

    def close(self) -> None:
        """Ends all hits and the connection. Does nothing the second time."""
        self._post(self._quit)
        self.ended.wait()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _start(self, wait: _Wait) -> futures.Future:
        self._post(self._call, wait) if wait.hit else self._post(self._open, wait)
        if self.ended.is_set():  # perhaps nobody reads what was posted
            raise Closed("this client is closed", Outcome.never_started) from self.failure
        return wait.future

    # All that follows runs on the io thread.

    def _greeting(self) -> tuple[int, dict]:
        return HELLO, {}

    def _registered(self) -> None:
        for wait in [wait for wait in self._waits if not wait.hit and not wait.number]:
            self._open(wait)

    def _open(self, wait: _Wait) -> None:
        if self._stopping:
            return wait.end(Closed("this client is closed", Outcome.never_started))
        self._waits[wait] = None
        if self.welcomed.is_set() and wait.size > self.max_body:
            self._give_up(wait, TooLarge(f"the body has {wait.size} bytes, the broker takes {self.max_body}", wait.doubt))
        elif self.welcomed.is_set():
            wait.number = next(self._references)
            self._opens[wait.number] = wait
            self._send(Head(OPEN, wait.flags, hit=wait.number, arg=wait.ms), *wait.frames)

    def _call(self, wait: _Wait) -> None:
        hit = wait.hit
        if hit._over or hit._closing:
            wait.end((hit._over or Closed(f"hit {hit.handle:x} is closed")).but(Outcome.never_started))
        elif hit._settles():
            hit._behind.append(wait)
        elif wait.size > self.max_body:  # the broker would hang up on it
            wait.end(TooLarge(f"the body has {wait.size} bytes, the broker takes {self.max_body}", Outcome.never_started))
        else:
            wait.number, hit._calls[hit._next] = hit._next, wait
            hit._next += 1
            self._waits[wait] = None
            self._send(Head(CALL, hit=hit.handle, epoch=hit.epoch, seq=wait.number, arg=wait.ms), *wait.frames)

    def _cancel(self, hit: Hit, seq: int) -> None:
        self._send(Head(CANCEL, hit=hit.handle, epoch=hit.epoch, seq=seq))

    def _close(self, hit: Hit) -> None:
        if not hit._closing and not hit._over:
            hit._closing = True
            self._send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))

    def _take(self, head: Head) -> _Wait | None:
        """The open or the call that a message answers; it is over."""
        hit = self._hits.get(head.hit)
        wait = self._opens.pop(head.hit, None) if head.flags & REF else hit and hit._calls.pop(head.seq, None)
        self._waits.pop(wait, None)
        return wait

    def _on_opened(self, head: Head, handle: bytes, worker: bytes) -> None:
        hit = Hit(self, int.from_bytes(handle, "big"), head.epoch, worker.decode(errors="replace"), head.arg)
        if wait := self._take(head):
            self._hits[hit.handle] = hit
            wait.end(hit)
        else:  # it came too late
            self._send(Head(CLOSE, hit=hit.handle, epoch=hit.epoch))

    def _on_working(self, head: Head, note: bytes = b"") -> None:
        hit = self._hits.get(head.hit)
        wait = self._opens.get(head.hit) if head.flags & REF else hit and hit._calls.get(head.seq)
        if wait and wait.progress:
            try:
                wait.progress(head.arg / 10000, note.decode(errors="replace"))
            except Exception:
                log.exception("troupe: the progress callback failed")

    def _on_reply(self, head: Head, *bodies: bytes) -> None:
        if wait := self._take(head):
            wait.end(bodies[0] if len(bodies) == 1 else list(bodies))

    def _refused(self, head: Head, error: TroupeError) -> None:
        if not (wait := self._take(head)):
            return log.info("troupe: the broker said of hit %x: %s", head.hit, error)
        hit = wait.hit
        if hit and error.outcome == Outcome.never_started and error.name not in ("cancelled", "expired"):
            if wait.number < hit._next:  # the broker refused it before it reached the worker: the seq is free again
                hit._next, hit._refusal = wait.number, error
            else:  # it could not follow a refused one
                error = hit._refusal.but(Outcome.never_started)
        wait.end(error)
        while hit and hit._behind and not hit._settles():
            self._call(hit._behind.popleft())

    def _on_closed(self, head: Head, text: bytes, why: bytes = b"") -> None:
        if not head.flags & REF and (hit := self._hits.get(head.hit)):
            self._end(hit, _told(head, text, why) if head.status else Closed("the hit is closed"), head.arg)

    def _end(self, hit: Hit, error: TroupeError, began: float) -> None:
        """Ends a hit for its callers; calls up to `began` may have started."""
        hit._over = error
        del self._hits[hit.handle]
        for wait in [*hit._calls.values(), *hit._behind]:
            self._waits.pop(wait, None)
            wait.end(error.but(wait.doubt if wait.number <= began else Outcome.never_started))
        hit._ended.set_result(None)

    def _lost(self, error: TroupeError) -> None:
        for hit in list(self._hits.values()):
            self._end(hit, error, math.inf)
        for wait in [wait for wait in self._waits if wait.number or self._stopping]:  # the others wait for the next broker
            del self._waits[wait]
            wait.end(error.but(wait.doubt))
        self._opens.clear()

    def _hasty(self) -> bool:
        return bool(self._waits)

    def _tick(self, now: float) -> None:
        """Cancels what is over its deadline, and gives up on what is not answered even then."""
        if now < self._look_at:
            return
        self._look_at = now + 0.02
        for wait in [wait for wait in self._waits if now > wait.deadline]:
            hit, number = wait.hit, wait.number
            if not wait.late and (hit or wait.flags & LAST):
                self._cancel(hit, number) if hit else self._send(Head(CANCEL, REF, hit=number))
            wait.late = True
            if not number:
                self._give_up(wait, BrokerGone(f"no broker at {self.endpoint} within {wait.timeout} s: is it started?", wait.doubt))
            elif now > wait.deadline + GRACE:
                self._give_up(wait, Expired(f"no answer within {wait.timeout} s", wait.doubt))

    def _give_up(self, wait: _Wait, error: TroupeError) -> None:
        del self._waits[wait]
        if wait.hit:
            del wait.hit._calls[wait.number]
        elif self._opens.pop(wait.number, None):
            self._send(Head(CLOSE, REF, hit=wait.number))
        wait.end(error)
