#!/usr/bin/env python3
"""A plain REQ asks `patterns hello-server`: hello_client.py ENDPOINT [REQUESTS]"""
import sys

import zmq

with zmq.Context() as context, context.socket(zmq.REQ) as socket:
    socket.linger = 0
    socket.rcvtimeo = 10_000  # else a lost answer is waited for for ever
    socket.connect(sys.argv[1])
    for i in range(1, 1 + int(sys.argv[2] if len(sys.argv) > 2 else 3)):
        socket.send_string(str(i))
        print("message:", socket.recv_string(), flush=True)
