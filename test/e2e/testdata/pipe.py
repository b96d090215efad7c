"""Sends its input to a service as it comes, and prints what comes back: pipe.py BROKER SERVICE routed|direct"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples" / "python"))

import troupe  # noqa: E402

endpoint, service, route = sys.argv[1:]
with troupe.Client(endpoint) as client, client.open(service, direct=route == "direct") as hit:
    with hit.stream(b"", stream=sys.stdin.buffer) as reply:
        for chunk in reply:
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
