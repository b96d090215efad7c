#!/usr/bin/env python3
"""A worker of `patterns ventilator` made of a DEALER and a PUSH, until it is killed (PIPE/1, docs/patterns.md): pipeline_worker.py VENTILATOR"""
import os
import sys
import time

import zmq

with zmq.Context() as context, context.socket(zmq.DEALER) as ventilator, context.socket(zmq.PUSH) as sink:
    ventilator.linger, sink.linger = 0, 1000
    ventilator.connect(sys.argv[1])
    ventilator.send_multipart([b"READY", b"python-%d" % os.getpid(), b"2"])
    poller = zmq.Poller()
    poller.register(ventilator, zmq.POLLIN)
    done = 0
    while poller.poll(10_000):
        word, *rest = ventilator.recv_multipart()
        if word == b"SINK":
            sink.connect(rest[0])
        elif word == b"TASK":
            entry, body = rest
            time.sleep(int(body) / 1000)  # a workload in ms
            sink.send_multipart([entry, b"0", body])
            ventilator.send_multipart([b"DONE", entry])
            done += 1
        elif word == b"KILL":
            break
    print(done, "tasks done, then killed:", rest[0].decode() if word == b"KILL" else "no")
