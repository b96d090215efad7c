// The peers of the classic patterns: plain libzmq sockets, as fast as they go.
// usage: rawpat publish SIZE                      PUB; prints "publisher ENDPOINT"
//        rawpat subscribe ENDPOINT COUNT WARM RUN so many SUBs; prints {"rps": messages per second at all of them}
//        rawpat push SIZE                         PUSH; prints "pusher ENDPOINT"
//        rawpat relay FROM TO                     PULL to PUSH; prints "ready"
//        rawpat beats                             ROUTER that sends heartbeats each second, and nothing else; prints "worker ENDPOINT", "client ENDPOINT"
//        rawpat pull WARM RUN                     PULL; prints "puller ENDPOINT", and then {"rps": messages per second}
// WARM and RUN are seconds. Those that send go on until they are killed.
#include "link.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { MOST = 64 };

static void *open_socket(void *context, int type)
{
	void *socket = zmq_socket(context, type);
	if (socket == NULL)
		die("socket: %s", zmq_strerror(errno));
	return socket;
}

static void *bound(void *context, int type, const char *what)
{
	char endpoint[256];
	size_t size = sizeof endpoint;
	void *socket = open_socket(context, type);
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
		die("bind: %s", zmq_strerror(errno));
	printf("%s %s\n", what, endpoint);
	fflush(stdout);
	return socket;
}

static void *connected(void *context, int type, const char *endpoint)
{
	void *socket = open_socket(context, type);
	if (type == ZMQ_SUB && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) != 0)
		die("subscribe: %s", zmq_strerror(errno));
	if (zmq_connect(socket, endpoint) != 0)
		die("connect %s: %s", endpoint, zmq_strerror(errno));
	return socket;
}

static void flood(void *socket, size_t size)
{
	char *body = calloc(1, size);
	for (;;)
		if (body == NULL || zmq_send(socket, body, size, 0) < 0)
			die("send: %s", zmq_strerror(errno));
}

// Takes all that is there of a socket, and returns how much that was.
static uint64_t drain(void *socket)
{
	uint64_t n = 0;
	for (;; n++) {
		zmq_msg_t m;
		zmq_msg_init(&m);
		int got = zmq_msg_recv(&m, socket, ZMQ_DONTWAIT);
		zmq_msg_close(&m);
		if (got < 0)
			return n;
	}
}

static void receive(void **sockets, int count, double warm, double run)
{
	zmq_pollitem_t items[MOST];
	uint64_t begun = 0, n = 0;
	for (int i = 0; i < count; i++)
		items[i] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
	for (;;) {
		if (zmq_poll(items, count, 10000) <= 0)
			die("nothing came for 10 s");
		uint64_t got = 0, now = now_ns();
		for (int i = 0; i < count; i++)
			if (items[i].revents & ZMQ_POLLIN)
				got += drain(sockets[i]);
		if (begun == 0)
			begun = now;
		if (now - begun < warm * 1e9)
			continue;
		n += got;
		if (now - begun >= (warm + run) * 1e9) {
			printf("{\"rps\":%.0f}\n", n / run);
			fflush(stdout);
			return;
		}
	}
}

static void relay(void *from, void *to)
{
	puts("ready");
	fflush(stdout);
	for (;;) {
		zmq_msg_t m;
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, from, 0) < 0 || zmq_msg_send(&m, to, 0) < 0)
			die("relay: %s", zmq_strerror(errno));
	}
}

// What libzmq's heartbeats cost by themselves: whoever connects is sent one each second, and what comes is thrown away.
static void beats(void *context)
{
	int each = 1000, never = 1 << 30, backlog = 1024;
	char endpoint[256];
	size_t size = sizeof endpoint;
	void *socket = open_socket(context, ZMQ_ROUTER);
	if (zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &each, sizeof each) != 0 || zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &never, sizeof never) != 0 ||
	    zmq_setsockopt(socket, ZMQ_BACKLOG, &backlog, sizeof backlog) != 0)
		die("options: %s", zmq_strerror(errno));
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
		die("bind: %s", zmq_strerror(errno));
	printf("client %s\nworker %s\n", endpoint, endpoint);
	fflush(stdout);
	zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
	while (zmq_poll(&item, 1, -1) > 0)
		drain(socket);
	die("poll: %s", zmq_strerror(errno));
}

int main(int argc, char **argv)
{
	void *context = zmq_ctx_new(), *sockets[MOST];
	if (argc == 3 && strcmp(argv[1], "publish") == 0) {
		flood(bound(context, ZMQ_PUB, "publisher"), strtoul(argv[2], NULL, 10));
	} else if (argc == 6 && strcmp(argv[1], "subscribe") == 0) {
		int count = atoi(argv[3]);
		if (count < 1 || count > MOST)
			die("COUNT is %s: from 1 to %d are possible", argv[3], MOST);
		for (int i = 0; i < count; i++)
			sockets[i] = connected(context, ZMQ_SUB, argv[2]);
		receive(sockets, count, atof(argv[4]), atof(argv[5]));
	} else if (argc == 3 && strcmp(argv[1], "push") == 0) {
		flood(bound(context, ZMQ_PUSH, "pusher"), strtoul(argv[2], NULL, 10));
	} else if (argc == 4 && strcmp(argv[1], "relay") == 0) {
		relay(connected(context, ZMQ_PULL, argv[2]), connected(context, ZMQ_PUSH, argv[3]));
	} else if (argc == 2 && strcmp(argv[1], "beats") == 0) {
		beats(context);
	} else if (argc == 4 && strcmp(argv[1], "pull") == 0) {
		sockets[0] = bound(context, ZMQ_PULL, "puller");
		receive(sockets, 1, atof(argv[2]), atof(argv[3]));
	} else {
		die("usage: rawpat publish SIZE | subscribe ENDPOINT COUNT WARM RUN | push SIZE | relay FROM TO | pull WARM RUN | beats");
	}
	return 0; // what is connected ends with the process
}
