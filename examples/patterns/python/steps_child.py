#!/usr/bin/env python3
"""The child of `patterns steps URL parent` (PAIR/1, docs/patterns.md): steps_child.py URL"""
import os
import sys

import zmq

with zmq.Context() as context, context.socket(zmq.DEALER) as parent:
    parent.linger = 1000
    parent.rcvtimeo = 10_000
    parent.connect(sys.argv[1])
    parent.send_multipart([b"HELLO", os.urandom(16), b"10"])
    word, *_ = parent.recv_multipart()
    assert word == b"YES", "somebody else is the other end"
    for step in (b"step 1", b"step 2", b"ready"):
        parent.send_multipart([b"SAY", step])
    parent.send_multipart([b"BYE"])
