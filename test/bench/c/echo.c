// The peer of the direct route: one ROUTER on a free port of the loopback, which sends every message back to its sender, with the type REPLY in the
// header. Prints "client ENDPOINT" and "worker ENDPOINT", which are the same: there is nobody behind it. usage: echo
#include "hit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

int main(void)
{
	int unlimited = 0;
	char endpoint[256];
	size_t size = sizeof endpoint;
	void *context = zmq_ctx_new();
	void *socket = zmq_socket(context, ZMQ_ROUTER);
	zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
	zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
		fprintf(stderr, "bind: %s\n", zmq_strerror(errno));
		return 1;
	}
	printf("client %s\nworker %s\n", endpoint, endpoint);
	fflush(stdout);
	zmq_msg_t frame;
	zmq_msg_init(&frame);
	for (int number = 0; zmq_msg_recv(&frame, socket, 0) >= 0; number++) {
		int more = zmq_msg_more(&frame);
		if (number == 1 && zmq_msg_size(&frame) == HIT_HEADER)
			((uint8_t *)zmq_msg_data(&frame))[3] = HIT_REPLY;
		zmq_msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0);
		if (!more)
			number = -1;
	}
	return 0;
}
