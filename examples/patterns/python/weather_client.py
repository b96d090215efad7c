#!/usr/bin/env python3
"""A plain SUB averages five reports of `patterns weather-server`: weather_client.py ENDPOINT [ZIP]"""
import os
import sys

import zmq

place = (sys.argv[2] if len(sys.argv) > 2 else "10001").encode() + b"\0"  # topics end with a zero byte: 10001 is not 100010
with zmq.Context() as context, context.socket(zmq.SUB) as socket:
    socket.linger = 0
    socket.rcvtimeo = 10_000
    socket.connect(sys.argv[1])
    socket.subscribe(place)
    ask = b"\xffKNOW" + os.urandom(8).hex().encode() + b" python\0" + place
    socket.subscribe(ask)  # who sends something must not begin before it knows who listens
    while socket.recv_multipart()[0] != ask:
        pass
    socket.unsubscribe(ask)
    reports = [socket.recv().split(b"\0", 1)[1][24:] for _ in range(5)]  # topic; then 24 bytes of header, and the body
    degrees = [int(report.split()[0]) for report in reports]
    print(f"average temperature of {place[:-1].decode()}: {sum(degrees) / 5:.1f} F")
