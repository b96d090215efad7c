#!/usr/bin/env python3
"""A plain SUB counts what it has missed of `patterns numbers-server`: numbers_client.py ENDPOINT [UPDATES]"""
import struct
import sys

import zmq

with zmq.Context() as context, context.socket(zmq.SUB) as socket:
    socket.linger = 0
    socket.rcvtimeo = 10_000
    socket.connect(sys.argv[1])
    socket.subscribe(b"numbers\0")
    last = missed = 0
    updates = int(sys.argv[2] if len(sys.argv) > 2 else 10_000)
    for i in range(updates):
        _, rest = socket.recv().split(b"\0", 1)
        header, body = rest[:24], rest[24:]
        number = struct.unpack(">Q", header[16:24])[0]
        assert number == int(body), "each topic has its own numbers"
        missed += number - last - 1 if i else 0
        last = number
    print(f"{updates} numbers, {missed} missed, each of them told")
