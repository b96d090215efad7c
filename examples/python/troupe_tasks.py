"""Tasks for Troupe in Python: work for any number of workers, one of them, some, or all. Needs troupe.py beside it, Python 3.9 and pyzmq.

    from troupe_tasks import Tasks

    with Tasks("tcp://127.0.0.1:5700") as tasks:
        hello = tasks.submit("upper", "hello")                    # an AsyncResult: get, ready, wait, progress, abort
        print(hello.get())
        print(tasks.map("upper", ["to", "be"]).get())             # in order; as_completed() as they come
        print(tasks.view(retries=3, where="gpu=a100").submit("render", scene).get())
        for row in tasks.all("reload"): print(row)                # every worker, and what became of each

Python functions themselves go to workers that take them, `python3 troupe_tasks.py tcp://127.0.0.1:5701 --allow-functions`:

        print(tasks.apply(pow, 2, 10).get())
        print(tasks.map(lambda x: x * x, range(10)).get())

Whoever may open hits at such a worker's broker can run any code there: so such workers serve a loopback or ipc endpoint, or one that is encrypted.
Functions travel as their byte code, which differs between versions of Python: both ends need the same one.
"""
from __future__ import annotations

import argparse
import builtins
import importlib
import marshal
import pickle
import random
import sys
import threading
import time
import traceback
import types
from concurrent import futures
from typing import Any, Callable, Iterable, Iterator, NamedTuple

import troupe
from troupe import Cancelled, Client, Expired, Outcome, TroupeError

FUNCTIONS = "python-function"  # the service
VERSION = "{}.{}".format(*sys.version_info[:2])
AGAIN = {"worker-gone", "service-error", "panicked", "stuck", "internal", "peer-slow", "draining", "slot-taken", "lease-over", "reply-lost"}


class CannotShip(TypeError):
    """The function, or what it needs, cannot travel; the text names it."""


# -- Functions as bytes. -------------------------------------------------------------------------------------------------------

def _pack(value: Any) -> tuple:
    """A value in a form that the other end can make it of again: functions by their code, modules by name, all else by pickle."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if isinstance(value, types.BuiltinFunctionType) or isinstance(value, type) and value.__module__ == "builtins":
        return "pickle", pickle.dumps(value)
    if isinstance(value, types.FunctionType):
        return "function", _pack_function(value)
    try:
        return "pickle", pickle.dumps(value)
    except Exception as error:
        raise CannotShip(f"{value!r:.80} cannot be sent to a worker: {error}: give it what it needs as arguments that can be pickled") from error


def _pack_function(f: types.FunctionType) -> tuple:
    names = set()
    codes = [f.__code__]
    for code in codes:  # it grows
        names |= set(code.co_names)
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    needs = {}
    for name in names & f.__globals__.keys():
        if f.__globals__[name] is f:
            continue  # recursion: the other end binds it
        try:
            needs[name] = _pack(f.__globals__[name])
        except CannotShip as error:
            raise CannotShip(f"{f.__name__} uses {name}, and {error}") from None
    try:
        cells = [_pack(cell.cell_contents) for cell in f.__closure__ or ()]
    except ValueError:
        raise CannotShip(f"{f.__name__} uses a variable around it that has no value yet") from None
    return f.__name__, marshal.dumps(f.__code__), needs, _pack(f.__defaults__), _pack(f.__kwdefaults__), cells


def _unpack(packed: tuple) -> Any:
    kind, what = packed
    if kind == "module":
        return importlib.import_module(what)
    if kind == "pickle":
        return pickle.loads(what)
    name, code, needs, defaults, keywords, cells = what
    space = {"__builtins__": builtins, "__name__": "troupe_task"} | {name: _unpack(value) for name, value in needs.items()}
    f = types.FunctionType(marshal.loads(code), space, name, _unpack(defaults), tuple(types.CellType(_unpack(cell)) for cell in cells))
    f.__kwdefaults__ = _unpack(keywords)
    space.setdefault(name, f)
    return f


def pack(f: Callable, args: tuple, keywords: dict) -> bytes:
    """A call of a function, as bytes. Raises CannotShip."""
    if not callable(f):
        raise CannotShip(f"{f!r:.80} is no function: apply takes one, and submit the name of a service")
    return pickle.dumps((VERSION, _pack(f), _pack(args), _pack(keywords)))


def run_packed(body: bytes) -> bytes:
    """Runs a packed call, and packs its result. This runs whatever code it is given."""
    version, f, args, keywords = pickle.loads(body)
    if version != VERSION:
        raise troupe.BadBody(f"the function is of Python {version}, this worker has {VERSION}: start a worker with the same one", Outcome.never_started)
    try:
        result = _unpack(f)(*_unpack(args), **_unpack(keywords))
    except TroupeError:
        raise
    except Exception as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        raise troupe.ServiceError(f"{type(error).__name__}: {error}", Outcome.finished, {"traceback": lines}) from None
    return pickle.dumps(result)


def functions(endpoint: str | list, *, slots: int = 8, key: str | None = None) -> dict:
    """The service that runs functions, for Worker(services=...). Refuses endpoints that others could reach without a key: whoever reaches it runs any code."""
    ends = [endpoint] if isinstance(endpoint, str) else list(endpoint)
    for end in ends:
        url = end[0] if isinstance(end, tuple) else end
        local = url.startswith(("ipc://", "inproc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:"))
        if not local and not troupe._keys(key, url):
            raise PermissionError(f"{url} is not encrypted and may be reached by others, who could run any code here: use a loopback or ipc endpoint, or a key (docs/security.md)")
    return {FUNCTIONS: (lambda: _Runner(), slots)}


class _Runner:
    def call(self, call: troupe.Call) -> bytes:
        return run_packed(call.body)


# -- Results. ------------------------------------------------------------------------------------------------------------------

class AsyncResult:
    """What becomes of one task. Names are those of ipyparallel's and multiprocessing's results. May be shared by threads."""

    def __init__(self, tasks: Tasks, service: str, body: Any, unpack: Callable[[Any], Any]) -> None:
        self.tasks, self.service, self.body, self._unpack = tasks, service, body, unpack
        self.future: futures.Future = futures.Future()
        self.attempts: list[TroupeError | None] = []  # what each has come to; None: it was answered
        self.submitted = time.monotonic()
        self.completed: float | None = None
        self.fraction = 0.0   # as the task has said itself
        self._wait: Any = None
        self._avoid: list[str] = []
        self._stopped = False

    def get(self, timeout: float | None = None) -> Any:
        """Waits for the result, or raises the task's error: a TroupeError, or TimeoutError when only the wait is over."""
        try:
            return self.future.result(timeout)
        except futures.TimeoutError:
            if self.future.done():
                raise
            raise TimeoutError(f"the task is not done after {timeout} s; it goes on") from None

    result = get

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the task is over, however. Reports whether it is."""
        return bool(futures.wait([self.future], timeout).done)

    def ready(self) -> bool:
        """Whether the task is over."""
        return self.future.done()

    def successful(self) -> bool:
        """Whether it was answered. Raises ValueError before it is over."""
        if not self.ready():
            raise ValueError("the task is not over: wait() for it first")
        return self.future.exception() is None

    @property
    def progress(self) -> float:
        """How much is done, 0 to 1."""
        return 1.0 if self.ready() and self.successful() else self.fraction

    @property
    def elapsed(self) -> float:
        """Seconds since it was submitted, until it was over."""
        return (self.completed or time.monotonic()) - self.submitted

    def abort(self) -> None:
        """Cancels the task: where it waits it is taken out of the queue, where it runs its thread is told (call.cancelled)."""
        self._stopped = True
        self.tasks._abort(self)

    cancel = abort

    def _end(self, value: Any) -> None:
        self.completed = time.monotonic()
        try:
            if not isinstance(value, BaseException):
                value = self._unpack(value)
        except Exception as error:
            value = error
        if not self.future.done():
            self.future.set_exception(value) if isinstance(value, BaseException) else self.future.set_result(value)


class AsyncMapResult:
    """What becomes of many tasks."""

    def __init__(self, results: list[AsyncResult]) -> None:
        self.results = results

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        """The results in order, each as soon as it is there; raises the first error that it comes to."""
        return (one.get() for one in self.results)

    def as_completed(self, timeout: float | None = None) -> Iterator[tuple[int, AsyncResult]]:
        """(number, result) as the tasks end, in any order. Raises TimeoutError when that takes too long in all."""
        number = {one.future: (i, one) for i, one in enumerate(self.results)}
        for future in futures.as_completed(number, timeout):
            yield number[future]

    def get(self, timeout: float | None = None) -> list:
        """All results in order, or the first error."""
        end = None if timeout is None else time.monotonic() + timeout
        return [one.get(None if end is None else max(end - time.monotonic(), 0)) for one in self.results]

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until all are over. Reports whether they are."""
        return not futures.wait([one.future for one in self.results], timeout).not_done

    def ready(self) -> bool:
        """Whether all are over."""
        return all(one.ready() for one in self.results)

    def successful(self) -> bool:
        """Whether all were answered."""
        return all(one.successful() for one in self.results)

    @property
    def progress(self) -> int:
        """How many are over."""
        return sum(one.ready() for one in self.results)

    def abort(self) -> None:
        """Cancels those that are not over."""
        for one in self.results:
            if not one.ready():
                one.abort()

    def wait_interactive(self, file: Any = None, every: float = 0.1) -> None:
        """Waits, with a bar on a terminal that shows how many are over, how many have failed, and how long the rest may take."""
        file = file or sys.stderr
        began = time.monotonic()
        while not self.wait(every if file.isatty() else None):
            done, whole = self.progress, max(len(self.results), 1)
            failed = sum(one.ready() and not one.successful() for one in self.results)
            left = (time.monotonic() - began) / done * (whole - done) if done else float("inf")
            bar = "#" * (30 * done // whole)
            print(f"\r[{bar:<30}] {done}/{whole}{f', {failed} failed' if failed else ''}{f', {left:.0f} s left' if done else ''}\x1b[K", end="", file=file, flush=True)
        if file.isatty():
            print("\r\x1b[K", end="", file=file, flush=True)


class Row(NamedTuple):
    """What became of one worker's answer to a question to all."""
    worker: str
    host: str
    pid: int
    state: str               # answered, failed, lost, late
    reply: Any = None
    error: TroupeError | None = None
    verdict: str = ""        # of one that is lost: GONE, FROZEN, STUCK, ..., LEFT


# -- Submitting. ---------------------------------------------------------------------------------------------------------------

class Queue:
    """Looks into what waits for a service, and changes it, as an operator does: the broker must let its client use ADMIN; Refused where it does not. Who has
    submitted what is taken out is told (Killed). topic, older (seconds) and target (as listed) choose some of what waits."""

    def __init__(self, client: Client, service: str) -> None:
        self._client, self.service = client, service

    def _ask(self, cmd: str, topic: str = "", older: float = 0, target: str = "", **more: Any) -> dict:
        if older < 0:
            raise ValueError(f"older is {older}: it may not be negative")
        request = {"cmd": "queue." + cmd, "service": self.service, "topic": topic, "older_ms": int(older * 1000), "for": target} | more
        return self._client.admin({name: value for name, value in request.items() if value})

    def list(self) -> list[dict]:
        """How many wait (waiting), for whom (for), how long the first one has (oldest_ms), and how many there are of each topic (topics)."""
        return self._ask("list")["queues"]

    def show(self, **which: Any) -> Iterator[dict]:
        """Each one that waits, the first first: its id, topic, client, age_ms and more."""
        after = ""
        while True:
            page = self._ask("show", after=after, **which)
            yield from page["items"]
            if not page.get("more"):
                return
            after = page["after"]

    def remove(self, id: str) -> None:
        """Takes one out, by its id in show."""
        self._ask("remove", id=id)

    def count(self, **which: Any) -> int:
        """How many clear and move would take out."""
        return self._ask("clear", dry_run=True, **which)["would"]

    def clear(self, **which: Any) -> int:
        """Takes out what waits now; how many that were."""
        return self._ask("clear", **which)["removed"]

    def move(self, to: str, **which: Any) -> int:
        """Has another service do what waits now; how many have moved. What finds no room there stays."""
        return self._ask("move", to=to, **which)["moved"]

    def hold(self) -> None:
        """Lets nothing out, whoever is free, until release."""
        self._ask("hold")

    def release(self) -> None:
        self._ask("release")


class Tasks:
    """Submits tasks to brokers' client endpoints. `with` closes it. May be shared by threads.

    in_flight: how many may be at the broker at the same time; further ones wait here. key: as for troupe.Client."""

    def __init__(self, endpoint: Any, *, in_flight: int = 1000, name: str = "", key: str | None = None) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}: it starts at 1")
        self.client = Client(endpoint, name=name, key=key)
        self.in_flight, self._lock, self._under = in_flight, threading.Lock(), 0
        self._queue: list[tuple[AsyncResult, dict]] = []
        self._timers: set[threading.Timer] = set()
        self._closed = False
        self._all: set[AsyncResult] = set()
        self._how: dict = {}

    def view(self, *, worker: str = "", where: str = "", affinity: str = "", absent: str = "", retries: int = 0, deadline: float | None = None, topic: str = "",
             id: str = "", keep: float = 600, backoff: float = 0.05) -> View:
        """The same with settings: who may have the tasks (worker: by name; where: by labels; affinity: who had this key last; absent="fail": not to wait for
        somebody), how often one that failed is run again (it may then run more than once), how many seconds it may take, what listings show (topic), and
        the id by which it runs once and can be come back for."""
        target = {key: value for key, value in (("worker", worker), ("where", where), ("key", affinity), ("absent", absent)) if value}
        if retries < 0 or backoff < 0 or keep < 0 or deadline is not None and deadline <= 0:
            raise ValueError(f"retries is {retries}, backoff {backoff}, keep {keep} and deadline {deadline}: none may be negative, nor the deadline nothing")
        return View(self, {"target": target, "retries": retries, "deadline": deadline, "topic": topic, "id": id, "keep": keep, "backoff": backoff})

    def submit(self, service: str, body: Any = b"") -> AsyncResult:
        """Submits one task of a service; its result is the reply: bytes, or a list of them."""
        return self.view().submit(service, body)

    def map(self, what: str | Callable, items: Iterable) -> AsyncMapResult:
        """Submits one task for each item, of a service or of a function."""
        return self.view().map(what, items)

    def apply(self, f: Callable, *args: Any, **keywords: Any) -> AsyncResult:
        """Runs a function on a worker that takes functions."""
        return self.view().apply(f, *args, **keywords)

    def apply_sync(self, f: Callable, *args: Any, **keywords: Any) -> Any:
        """apply, and wait."""
        return self.apply(f, *args, **keywords).get()

    def all(self, service: str, body: Any = b"", *, where: str = "", timeout: float | None = None) -> list[Row]:
        """Has every worker do it that offers the service now, and says what became of each. No time-out decides, unless one is given."""
        before = self.client.members(service, where)
        asked = [(m, View(self, {"target": {"member": m["member"]}, "retries": 0, "deadline": timeout, "topic": "", "id": "", "keep": 0, "backoff": 0.05})
                  .submit(service, body)) for m in before]
        rows = []
        for m, one in asked:
            one.wait()
            error = one.future.exception()
            about = m["worker"], m["host"], m["pid"]
            if error is None:
                rows.append(Row(*about, "answered", one.get()))
            elif isinstance(error, TroupeError) and error.name in ("worker-gone", "stuck", "broker-gone", "not-registered", "no-match", "draining"):
                verdict = "LEFT" if error.name in ("no-match", "draining") else (error.why or {}).get("verdict", "GONE")
                rows.append(Row(*about, "lost", None, error, verdict))
            else:
                rows.append(Row(*about, "failed", None, error))
        known = {m["member"] for m in before}
        rows += [Row(m["worker"], m["host"], m["pid"], "late") for m in self.client.members(service, where) if m["member"] not in known]
        return sorted(rows, key=lambda row: row.worker)

    def queue(self, service: str = "") -> Queue:
        """What waits for a service at the broker, to be looked into and changed; without a name for all services, which can be listed only."""
        return Queue(self.client, service)

    def attach(self, service: str, id: str) -> AsyncResult:
        """Comes back for a task that was submitted with this id, here or by a process that is gone. UnknownHit if nobody knows it."""
        return self._begin(service, b"", lambda reply: reply, {"target": {}, "retries": 0, "deadline": None, "topic": "", "id": id, "keep": 0, "backoff": 0, "attach": True})

    def close(self) -> None:
        """Cancels what is not over, but for tasks with ids, and ends the connections."""
        with self._lock:
            self._closed, queue, self._queue = True, self._queue, []
            all_, timers = list(self._all), list(self._timers)
        for timer in timers:
            timer.cancel()
        self.client.close()
        for one in [one for one, _ in queue] + all_:
            one._end(troupe.Closed("the tasks' client is closed", Outcome.unknown))

    def __enter__(self) -> Tasks:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _begin(self, service: str, body: Any, unpack: Callable, how: dict) -> AsyncResult:
        one = AsyncResult(self, service, body, unpack)
        with self._lock:
            if self._closed:
                raise troupe.Closed("the tasks' client is closed", Outcome.never_started)
            self._all.add(one)
            if self._under >= self.in_flight:
                self._queue.append((one, how))
                return one
            self._under += 1
        self._attempt(one, how)
        return one

    def _attempt(self, one: AsyncResult, how: dict) -> None:
        """Gives the task to the broker once more."""
        left = None if how["deadline"] is None else how["deadline"] - (time.monotonic() - one.submitted)
        if one._stopped or left is not None and left <= 0:
            return self._over(one, Cancelled("aborted", Outcome.never_started) if one._stopped else Expired("the task's deadline has passed", Outcome.never_started))
        target = dict(how["target"])
        if one._avoid and not target.keys() & {"worker", "member", "key"}:
            target["where"] = ",".join(filter(None, [target.get("where", ""), *("member!=" + m for m in one._avoid)]))
            target["absent"] = "fail"
        task = {"id": how["id"], "keep_ms": round(how["keep"] * 1000), "again": bool(one.attempts), "attach": how.get("attach", False)} if how["id"] else None

        def progressed(fraction: float, _: str) -> None:
            one.fraction = fraction
        flags = troupe.FIRST | troupe.LAST | troupe.REF | (troupe.IDEMPOTENT if how["retries"] else 0)
        try:
            options = troupe._options(how["topic"], None, 0, target, task)
            one._wait = troupe._Wait(None, [one.service.encode(), options, *troupe._frames(one.body)], left, progressed, flags)
            self.client._start(one._wait).add_done_callback(lambda future: self._answered(one, how, future))
        except Exception as error:
            self._over(one, error)

    def _answered(self, one: AsyncResult, how: dict, future: futures.Future) -> None:
        """Runs on the client's io thread."""
        error = future.exception()
        if error is None:
            one.attempts.append(None)
            return self._over(one, future.result())
        if not isinstance(error, TroupeError) or one._stopped or self._closed:
            return self._over(one, error)
        if error.name == "queue-full" and error.outcome == Outcome.never_started:
            return self._later(one, how, random.uniform(0.005, 0.2))
        if error.name == "no-match" and one._avoid:  # nobody is left but those that have failed it
            one._avoid = []
            return self._later(one, how, 0)
        one.attempts.append(error)
        if error.name in AGAIN and len(one.attempts) <= how["retries"]:
            if error.member and error.member not in one._avoid:
                one._avoid = [*one._avoid, error.member][-16:]
            return self._later(one, how, random.uniform(0, min(how["backoff"] * 2 ** (len(one.attempts) - 1), 5)))
        self._over(one, error)

    def _later(self, one: AsyncResult, how: dict, seconds: float) -> None:
        def again() -> None:
            with self._lock:
                self._timers.discard(timer)
            self._attempt(one, how)
        timer = threading.Timer(seconds, again)
        timer.daemon = True
        with self._lock:
            if self._closed:
                return
            self._timers.add(timer)
        timer.start()

    def _over(self, one: AsyncResult, value: Any) -> None:
        one._end(value)
        with self._lock:
            self._all.discard(one)
            self._under -= 1
            following = None
            while self._queue and following is None:
                following = self._queue.pop(0)
                if following[0].ready():
                    following = None
            self._under += following is not None
        if following:
            self._attempt(*following)

    def _abort(self, one: AsyncResult) -> None:
        with self._lock:
            waits_here = any(waiting is one for waiting, _ in self._queue)
            if waits_here:
                self._all.discard(one)
        if waits_here:
            one._end(Cancelled("aborted before it was given to the broker", Outcome.never_started))
        elif one._wait is not None:
            self.client._post(self.client._give_up, one._wait, Cancelled("aborted", Outcome.unknown))


class View:
    """Tasks with settings, see Tasks.view."""

    def __init__(self, tasks: Tasks, how: dict) -> None:
        self.tasks, self.how = tasks, how

    def submit(self, service: str, body: Any = b"") -> AsyncResult:
        """Submits one task of a service."""
        troupe._frames(body)  # or TypeError, here
        return self.tasks._begin(service, body, lambda reply: reply, self.how)

    def apply(self, f: Callable, *args: Any, **keywords: Any) -> AsyncResult:
        """Runs a function on a worker that takes functions. Raises CannotShip where it cannot travel."""
        return self.tasks._begin(FUNCTIONS, pack(f, args, keywords), pickle.loads, self.how)

    def map(self, what: str | Callable, items: Iterable) -> AsyncMapResult:
        """Submits one task for each item. With an id they have the ids ID/0, ID/1 and so on."""
        results = []
        for number, item in enumerate(items):
            view = View(self.tasks, {**self.how, "id": f"{self.how['id']}/{number}" if self.how["id"] else ""})
            results.append(view.apply(what, item) if callable(what) else view.submit(what, item))
        return AsyncMapResult(results)

    def apply_sync(self, f: Callable, *args: Any, **keywords: Any) -> Any:
        """apply, and wait."""
        return self.apply(f, *args, **keywords).get()


def main() -> None:
    parser = argparse.ArgumentParser(description="A worker that runs Python functions (Tasks.apply).")
    parser.add_argument("broker", nargs="+", help="the broker's endpoint for workers")
    parser.add_argument("--allow-functions", action="store_true", help="run whatever code submitters send: required, since nothing else is offered")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--name", default="")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    if not asked.allow_functions:
        parser.error("this worker runs whatever code submitters send: say --allow-functions if that is meant")
    try:
        services = functions(asked.broker, slots=asked.slots)
    except PermissionError as error:
        parser.error(str(error))
    troupe.serve(asked.broker, services=services, slots=asked.slots, name=asked.name, keep_threads=True, labels=dict(label.split("=", 1) for label in asked.label))


if __name__ == "__main__":
    main()
