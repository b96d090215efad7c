// The peer: zmq_proxy between a ROUTER for clients and a DEALER for workers, both on free ports of the loopback.
// Prints "client ENDPOINT" and "worker ENDPOINT". usage: proxy
//
// Where the variable CURVE_SECRET is set both are encrypted, and it is their secret key (Z85). Nobody judges the keys of peers here: libzmq lets
// everybody in who knows the public one.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void *bind_one(void *context, int type, const char *whom)
{
	int unlimited = 0;
	char endpoint[256];
	size_t size = sizeof endpoint;
	void *socket = zmq_socket(context, type);
	zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
	zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
	const char *secret = getenv("CURVE_SECRET");
	int server = 1;
	if (secret != NULL && (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server) != 0 ||
	                       zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, strlen(secret)) != 0)) {
		fprintf(stderr, "CURVE_SECRET must be a key in Z85: %s\n", zmq_strerror(errno));
		return NULL;
	}
	if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
		fprintf(stderr, "bind: %s\n", zmq_strerror(errno));
		return NULL;
	}
	printf("%s %s\n", whom, endpoint);
	return socket;
}

int main(void)
{
	void *context = zmq_ctx_new();
	void *front = bind_one(context, ZMQ_ROUTER, "client");
	void *back = bind_one(context, ZMQ_DEALER, "worker");
	if (front == NULL || back == NULL)
		return 1;
	fflush(stdout);
	zmq_proxy(front, back, NULL);
	return 0;
}
