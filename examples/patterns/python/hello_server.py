#!/usr/bin/env python3
"""A plain REP answers `patterns hello-client`, until Ctrl-C: hello_server.py ENDPOINT"""
import sys

import zmq

with zmq.Context() as context, context.socket(zmq.REP) as socket:
    socket.linger = 0
    socket.bind(sys.argv[1])
    print("serving at", sys.argv[1], flush=True)
    try:
        while True:
            while not socket.poll(1000):
                pass  # a Ctrl-C that comes just before a wait is seen after it
            body = socket.recv_multipart()
            print("recv:", body[0].decode(), flush=True)
            socket.send_multipart(body)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
