"""A worker whose calls hold the interpreter's lock for as many seconds as their body says: no other thread of the process runs meanwhile."""
import ctypes
import sys

sys.path.insert(0, sys.argv[1])
from troupe import Worker, service  # noqa: E402

libc = ctypes.PyDLL(None)  # PyDLL keeps the lock while C runs


def hold(call):
    libc.usleep(int(float(call.body) * 1_000_000))
    return call.body


@service("held")
def held(call):
    call.hold(20)
    return hold(call)


service("bare")(hold)
service("leased", lease=20)(hold)
service("fails", repair="fail")(hold)

worker = Worker(sys.argv[2], name="holder")
print("registered", flush=True)
worker.join()
