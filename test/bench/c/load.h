// The calls of the load client: what is sent, and the proof that what comes back is its answer.
#ifndef LOAD_H
#define LOAD_H

#include "link.h"
#include "measure.h"

enum { LOAD_KEY = 8 }; // bytes of a body that say whose it is: token and serial; the rest is a fixed pattern

struct hit {
	uint64_t handle;
	uint32_t epoch, sent, answered; // seq of the last call sent and of the last answer
};

// A token is the right to have one call under way.
struct token {
	uint32_t hit;     // index of its hit
	uint32_t seq;     // of its call within the hit; one-shot: 1
	uint32_t serial;  // how many calls it has made: the body of every call differs
	uint32_t flying;
	uint64_t sent_at; // ns
};

struct load {
	struct link link;
	struct link way;           // of a direct hit, to its worker
	struct link *calls;        // where calls go: one of the two
	int peer;                  // behind a zmq_proxy: nobody opens hits
	int direct;                // the hit, there is only one, is direct
	struct hit *hits;
	uint32_t opened;
	struct token *tokens;
	uint32_t token_count;
	uint32_t *queue;           // idle tokens, the longest idle first; room for all of them
	uint32_t head, idle;
	uint32_t one_shot, size;
	uint8_t *body;             // of `size` bytes: key and pattern
	uint64_t total;            // calls answered in this run
};

// Says HELLO and waits for WELCOME (peer: nothing).
void load_greet(struct load *l);

// Opens hits until `count` are open. Peer: makes up their handles and waits until one call has been answered.
void load_open(struct load *l, uint32_t count);

// Gives out tokens over the first `active` hits in an order without pattern (one_shot: over none).
void load_prepare(struct load *l, uint32_t one_shot, uint32_t active, uint32_t calls, uint32_t size);

// Sends the next call; now is its time.
void load_send(struct load *l, uint64_t now);

// Receives one answer, proves it and returns its token, which is idle again.
const struct token *load_receive(struct load *l);

#endif
