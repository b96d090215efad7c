#!/usr/bin/env python3
"""Five threads with a plain REP each behind ROUTER and DEALER serve `patterns threads-client`, until Ctrl-C: threads_server.py ENDPOINT"""
import sys
import threading
import time

import zmq


def work(context):
    with context.socket(zmq.REP) as socket:
        socket.linger = 0
        socket.connect("inproc://workers")
        try:
            while True:
                socket.recv()
                time.sleep(1)  # some work
                socket.send(b"World")
        except zmq.ContextTerminated:
            pass


def share_out(context, endpoint):
    with context.socket(zmq.ROUTER) as clients, context.socket(zmq.DEALER) as workers:
        clients.linger = workers.linger = 0
        clients.bind(endpoint)
        workers.bind("inproc://workers")
        print("serving at", endpoint, flush=True)
        try:
            zmq.proxy(clients, workers)
        except zmq.ContextTerminated:
            pass


context = zmq.Context()
threading.Thread(target=share_out, args=(context, sys.argv[1])).start()
for _ in range(5):
    threading.Thread(target=work, args=(context,)).start()
try:
    threading.Event().wait()  # not zmq.proxy, which misses a Ctrl-C that comes between two of its waits
except KeyboardInterrupt:
    print("interrupted", flush=True)
context.term()  # wakes all sockets, and waits until their threads have closed them
