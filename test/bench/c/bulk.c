// The peer of large bodies: PUSH to PULL over tcp in messages of 1 MiB, each written afresh by its sender.
// usage: bulk pull BYTES | bulk push ENDPOINT BYTES
// The puller prints "pull ENDPOINT", and at the end {"mbps": 10^6 bytes per second from the first message to the last}.
#include "link.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { MESSAGE = 1 << 20, WATERMARK = 8 }; // a few messages under way are faster than the default of 1,000, which leave the caches

static void *open_socket(void *context, int type, int watermark_option)
{
	int watermark = WATERMARK;
	void *socket = zmq_socket(context, type);
	if (socket == NULL || zmq_setsockopt(socket, watermark_option, &watermark, sizeof watermark) != 0)
		die("socket: %s", zmq_strerror(errno));
	return socket;
}

static void pull(void *context, uint64_t bytes)
{
	char endpoint[256];
	size_t size = sizeof endpoint;
	uint64_t got = 0, first = 0, begun = 0;
	void *socket = open_socket(context, ZMQ_PULL, ZMQ_RCVHWM);
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
		die("bind: %s", zmq_strerror(errno));
	printf("pull %s\n", endpoint);
	fflush(stdout);
	while (got < bytes) {
		zmq_msg_t m;
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, socket, 0) < 0)
			die("receive: %s", zmq_strerror(errno));
		got += zmq_msg_size(&m);
		if (begun == 0) {
			begun = now_ns();
			first = got;
		}
		zmq_msg_close(&m);
	}
	printf("{\"mbps\":%.1f}\n", (double)(got - first) * 1e3 / (double)(now_ns() - begun));
	zmq_close(socket);
}

static void push(void *context, const char *endpoint, uint64_t bytes)
{
	char *source = malloc(MESSAGE);
	void *socket = open_socket(context, ZMQ_PUSH, ZMQ_SNDHWM);
	if (source == NULL || zmq_connect(socket, endpoint) != 0)
		die("connect %s: %s", endpoint, zmq_strerror(errno));
	memset(source, 'x', MESSAGE);
	for (uint64_t sent = 0; sent < bytes; sent += MESSAGE)
		if (zmq_send(socket, source, MESSAGE, 0) < 0)
			die("send: %s", zmq_strerror(errno));
	zmq_close(socket);
	free(source);
}

int main(int argc, char **argv)
{
	void *context = zmq_ctx_new();
	if (argc == 3 && strcmp(argv[1], "pull") == 0)
		pull(context, strtoull(argv[2], NULL, 10));
	else if (argc == 4 && strcmp(argv[1], "push") == 0)
		push(context, argv[2], strtoull(argv[3], NULL, 10));
	else
		die("usage: bulk pull BYTES | bulk push ENDPOINT BYTES");
	zmq_ctx_term(context);
	return 0;
}
