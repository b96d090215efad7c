"""The holder in Python, which does what holder_test.go's does. Usage: holder.py ENDPOINT"""
import sys
import threading

import troupe

client, hit = troupe.Client(sys.argv[1]), None
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def told(body):
    def tell(future):
        error = future.exception()
        if error is None:
            say("replied", body, future.result().decode())
        else:
            say("failed", body, error.name, int(error.outcome))
    return tell


for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    try:
        if word == "open":
            hit = client.open("count", resume=int(rest) / 1000)
            say("opened", hit.thread)
        elif word == "call":
            hit.call_async(rest).add_done_callback(told(rest))
        elif word == "ticket":
            say("ticket", hit.ticket())
        elif word == "resume":
            hit = client.resume(rest)
            say("resumed", len(hit.inherited))
            for seq, future in sorted(hit.inherited.items()):
                future.add_done_callback(told(f"#{seq}"))
        elif word == "close":
            hit.close()
            say("closed")
    except troupe.TroupeError as error:
        say("refused", error.name, error.text)
    except ValueError as error:
        say("refused", "bad-ticket", error)
client.close()
