#!/usr/bin/env python3
"""A plain SUB prints five prices of a symbol of `patterns feed` or `patterns feed-forwarder`: feed_client.py ENDPOINT SYMBOL"""
import sys

import zmq

with zmq.Context() as context, context.socket(zmq.SUB) as socket:
    socket.linger = 0
    socket.rcvtimeo = 10_000
    socket.connect(sys.argv[1])
    socket.subscribe(sys.argv[2].encode() + b"\0")
    for _ in range(5):
        _, rest = socket.recv().split(b"\0", 1)  # topic; then 24 bytes of header, and the body
        print(sys.argv[2], rest[24:].decode())
