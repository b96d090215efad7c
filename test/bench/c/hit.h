// Codec of HIT/1, written to docs/protocol/hit.md.
#ifndef HIT_H
#define HIT_H

#include <stddef.h>
#include <stdint.h>

enum { HIT_HEADER = 32, HIT_BODIES = 60, HIT_FRAMES = 2 + HIT_BODIES };

enum hit_type {
	HIT_HELLO = 1, HIT_OPEN, HIT_CALL, HIT_CANCEL, HIT_CLOSE, HIT_PING, HIT_PONG, HIT_CREDIT, HIT_ADMIN, HIT_BYE,
	HIT_RESUME, HIT_ACK, HIT_DETACH, HIT_PROBE, HIT_PART,
	HIT_WELCOME = 17, HIT_OPENED, HIT_REPLY, HIT_WORKING, HIT_ERROR, HIT_CLOSED, HIT_REPORT, HIT_RESUMED, HIT_VITALS, HIT_MOVED,
	HIT_READY = 33, HIT_ENDED, HIT_CHANGED, HIT_RENEW, HIT_TALLY, HIT_HOLD,
	HIT_BEGIN = 49, HIT_END, HIT_LEASE,
};

enum hit_flag {
	HIT_FIRST = 0x0001, HIT_LAST = 0x0002, HIT_MORE = 0x0004, HIT_NOW = 0x0008, HIT_REF = 0x0010, HIT_DIRECT = 0x0020,
};

enum hit_status {
	HIT_OK, HIT_BAD_FRAME, HIT_BAD_VERSION, HIT_BAD_TYPE, HIT_BAD_FLAG,
	HIT_QUEUE_FULL = 13,
};

struct hit_header {
	uint8_t type;
	uint16_t flags, status;
	uint64_t hit;
	uint32_t epoch, seq, part, arg;
};

// Writes the header as a frame of HIT_HEADER bytes.
void hit_put(const struct hit_header *h, uint8_t *frame);

// Reads a header frame. Returns HIT_OK or the status that refuses it.
int hit_parse(struct hit_header *h, const uint8_t *frame, size_t size);

// Judges type, flags and the number of frames after the header.
int hit_check(const struct hit_header *h, int frames);

// The limit in bytes that the arg of a CREDIT means, given the limit in force.
uint64_t hit_credit_limit(uint64_t limit, uint32_t arg);

#endif
