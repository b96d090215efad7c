"""A plain ZeroMQ process: it knows nothing of Troupe. Usage: peer.py ENDPOINT"""
import sys

import zmq

sock = zmq.Context().socket(zmq.DEALER)
sock.routing_id = b"calculator"                   # the identity behind the PID
sock.connect(sys.argv[1])
sock.send_multipart([b"prompter", b"what?"])      # to the actor of that name
sock.send_multipart([b"prompter", b"hello"])
while True:
    answer_to, *body = sock.recv_multipart()
    if answer_to:                                 # a question: the answer goes to that address
        sock.send_multipart([answer_to, str(int(body[0]) * int(body[1])).encode()])
    else:
        print("the peer hears: " + body[0].decode(), flush=True)
