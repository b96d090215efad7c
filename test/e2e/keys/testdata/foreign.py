"""A peer that knows ZeroMQ and nothing of troupe: it says one message, and tells what comes of it.

usage: foreign.py hello|ready ENDPOINT SERVER-KEY|- SECRET-KEY|-

Each line is what has happened: "handshake NAME", "gone", "TYPE STATUS TEXT" for a message that came.
"""
import json
import struct
import sys
import time

import zmq

HEADER = struct.Struct(">2sBBHHQIIII")
HANDSHAKE = {zmq.EVENT_HANDSHAKE_SUCCEEDED: "done", zmq.EVENT_HANDSHAKE_FAILED_AUTH: "auth",
             zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "protocol", zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "unexplained"}
PING, PONG = 6, 7


def main(what, endpoint, server, secret):
    context = zmq.Context()
    sock = context.socket(zmq.DEALER)
    sock.linger = 0
    if server != "-":
        sock.curve_serverkey, sock.curve_secretkey = server.encode(), secret.encode()
        sock.curve_publickey = zmq.curve_public(secret.encode())
    monitor = sock.get_monitor_socket()
    sock.connect(endpoint)
    kind = {"hello": 1, "ready": 33}[what]
    about = {"name": "foreign"} if what == "hello" else {"name": "foreign", "services": ["upper"], "slots": 1}
    sock.send_multipart([HEADER.pack(b"TR", 1, kind, 0, 0, 0, 0, 0, 0, 0), json.dumps(about).encode()])
    poller = zmq.Poller()
    poller.register(sock, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        ready = dict(poller.poll(1000))
        if sock in ready:
            head, *frames = sock.recv_multipart()
            _, _, kind, _, status, *_, arg = HEADER.unpack(head)
            if kind == PING:
                sock.send(HEADER.pack(b"TR", 1, PONG, 0, 0, 0, 0, 0, 0, arg))
                continue
            print("said", kind, status, *(frame.decode() for frame in frames[:1]), flush=True)
        elif monitor in ready:
            event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
            if event in HANDSHAKE:
                print("handshake", HANDSHAKE[event], flush=True)
            elif event == zmq.EVENT_DISCONNECTED:
                print("gone", flush=True)


main(*sys.argv[1:])
