"""Sends back what it gets, as it comes: mirror.py BROKER DIRECT-BIND"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples" / "python"))

import troupe  # noqa: E402


@troupe.service("mirror", slots=2)
def mirror(call):
    yield from call.input


worker = troupe.Worker(sys.argv[1], name="python", direct_bind=sys.argv[2])
worker.welcomed.wait()
print("registered", flush=True)
sys.stdin.read()
worker.drain()
worker.join()
