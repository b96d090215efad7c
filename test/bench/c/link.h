// One DEALER connection, shared by load client and worker so that both sides of a comparison run the same code.
#ifndef LINK_H
#define LINK_H

#include "hit.h"

#include <zmq.h>

struct link {
	void *context, *socket;
	int envelope;                  // 1: an identity frame comes first (worker behind zmq_proxy), 0: none
	uint64_t window;               // bytes; 0 before WELCOME, and for ever behind zmq_proxy: no credit is sent then
	uint64_t received, credited;   // bytes since WELCOME: in all, and at the last CREDIT
	int heartbeat_ms;
};

struct message {
	struct hit_header head;
	int frames;                    // after the header
	zmq_msg_t envelope, frame[HIT_FRAMES];
};

// Prints why and ends the process: a benchmark with an error has no figure.
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

// Connects. Receiving gives up after timeout_ms. Where the variable CURVE_SERVER names the other end's public key (Z85), the connection is
// encrypted, and CURVE_PUBLIC and CURVE_SECRET are this end's own pair.
void link_connect(struct link *l, const char *endpoint, int timeout_ms);

// Sends what is left, for a second at most, and frees everything.
void link_close(struct link *l);

// Receives one message; PING, PONG and credit are dealt with here. Returns 0 when the timeout passed.
// The caller closes the message.
int link_receive(struct link *l, struct message *m);

void message_close(struct message *m);

// Sends the header frame; more: frames follow.
void link_header(struct link *l, const struct hit_header *h, int more);

// Sends a frame: copied bytes, or a received frame, which is emptied.
void link_bytes(struct link *l, const void *bytes, size_t size, int more);
void link_frame(struct link *l, zmq_msg_t *frame, int more);

// The number behind a key of the flat JSON object in the first frame, 0 if it is not there.
uint64_t link_number(const struct message *m, const char *key);

// Takes window and heartbeat from a WELCOME; bytes are counted from it on.
void link_welcome(struct link *l, struct message *m);

#endif
