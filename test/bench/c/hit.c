#include "hit.h"

#include <endian.h>
#include <string.h>

// What sections 3 and 4 allow: no entry, no such type.
static const struct rule {
	uint8_t known, least, most; // frames after the header
	uint16_t flags;
} rules[256] = {
	[HIT_HELLO] = {1, 1, 1, HIT_DIRECT},
	[HIT_OPEN] = {1, 2, HIT_FRAMES, HIT_FIRST | HIT_LAST | HIT_REF | HIT_NOW | HIT_DIRECT},
	[HIT_CALL] = {1, 1, HIT_BODIES, HIT_LAST | HIT_MORE},
	[HIT_CANCEL] = {1, 0, 0, HIT_REF},
	[HIT_CLOSE] = {1, 0, 0, HIT_REF},
	[HIT_PING] = {1, 0, 0, 0},
	[HIT_PONG] = {1, 0, 0, 0},
	[HIT_CREDIT] = {1, 0, 0, 0},
	[HIT_ADMIN] = {1, 1, 1, 0},
	[HIT_BYE] = {1, 0, 0, 0},
	[HIT_RESUME] = {1, 1, 1, 0},
	[HIT_ACK] = {1, 0, 0, 0},
	[HIT_DETACH] = {1, 0, 0, 0},
	[HIT_PROBE] = {1, 0, 0, 0},
	[HIT_PART] = {1, 1, HIT_BODIES, HIT_LAST | HIT_MORE},
	[HIT_WELCOME] = {1, 1, 1, HIT_DIRECT},
	[HIT_OPENED] = {1, 0, 6, HIT_REF | HIT_DIRECT},
	[HIT_REPLY] = {1, 1, HIT_BODIES, HIT_LAST | HIT_REF | HIT_MORE},
	[HIT_WORKING] = {1, 0, 1, HIT_REF},
	[HIT_ERROR] = {1, 1, 2, HIT_LAST | HIT_REF},
	[HIT_CLOSED] = {1, 1, 2, HIT_REF},
	[HIT_REPORT] = {1, 1, 1, 0},
	[HIT_RESUMED] = {1, 2, 2, 0},
	[HIT_VITALS] = {1, 1, 1, 0},
	[HIT_MOVED] = {1, 1, 1, 0},
	[HIT_READY] = {1, 1, 1, 0},
	[HIT_ENDED] = {1, 0, 1, 0},
	[HIT_CHANGED] = {1, 1, 1, 0},
	[HIT_RENEW] = {1, 0, 0, 0},
	[HIT_TALLY] = {1, 0, 0, HIT_MORE},
	[HIT_HOLD] = {1, 0, 0, 0},
	[HIT_BEGIN] = {1, 2, HIT_FRAMES, HIT_FIRST | HIT_LAST | HIT_DIRECT},
	[HIT_END] = {1, 0, 0, 0},
	[HIT_LEASE] = {1, 0, 0, 0},
};

static void put16(uint8_t *b, uint16_t v) { v = htobe16(v); memcpy(b, &v, sizeof v); }
static void put32(uint8_t *b, uint32_t v) { v = htobe32(v); memcpy(b, &v, sizeof v); }
static void put64(uint8_t *b, uint64_t v) { v = htobe64(v); memcpy(b, &v, sizeof v); }
static uint16_t get16(const uint8_t *b) { uint16_t v; memcpy(&v, b, sizeof v); return be16toh(v); }
static uint32_t get32(const uint8_t *b) { uint32_t v; memcpy(&v, b, sizeof v); return be32toh(v); }
static uint64_t get64(const uint8_t *b) { uint64_t v; memcpy(&v, b, sizeof v); return be64toh(v); }

void hit_put(const struct hit_header *h, uint8_t *b)
{
	b[0] = 'T';
	b[1] = 'R';
	b[2] = 1;
	b[3] = h->type;
	put16(b + 4, h->flags);
	put16(b + 6, h->status);
	put64(b + 8, h->hit);
	put32(b + 16, h->epoch);
	put32(b + 20, h->seq);
	put32(b + 24, h->part);
	put32(b + 28, h->arg);
}

int hit_parse(struct hit_header *h, const uint8_t *b, size_t size)
{
	if (size != HIT_HEADER)
		return HIT_BAD_FRAME;
	if (b[0] != 'T' || b[1] != 'R' || b[2] != 1)
		return HIT_BAD_VERSION;
	h->type = b[3];
	h->flags = get16(b + 4);
	h->status = get16(b + 6);
	h->hit = get64(b + 8);
	h->epoch = get32(b + 16);
	h->seq = get32(b + 20);
	h->part = get32(b + 24);
	h->arg = get32(b + 28);
	return HIT_OK;
}

int hit_check(const struct hit_header *h, int frames)
{
	const struct rule *r = &rules[h->type];
	if (!r->known)
		return HIT_BAD_TYPE;
	if (h->flags & ~r->flags)
		return HIT_BAD_FLAG;
	if (frames < r->least || frames > r->most || (h->part != 0) != (h->type == HIT_PART))
		return HIT_BAD_FRAME;
	if (h->type == HIT_OPENED)
		return frames == 1 || frames == 4 || frames == 5 ? HIT_BAD_FRAME : HIT_OK;
	if ((h->type == HIT_CALL || h->type == HIT_REPLY) && h->flags & HIT_MORE)
		return frames < 2 ? HIT_BAD_FRAME : HIT_OK;
	if (h->type != HIT_OPEN && h->type != HIT_BEGIN)
		return HIT_OK;
	if (h->type == HIT_BEGIN && h->flags & HIT_DIRECT)
		return frames != 3 || h->flags != HIT_DIRECT ? HIT_BAD_FRAME : HIT_OK;
	if (h->flags & HIT_FIRST)
		return frames < 3 ? HIT_BAD_FRAME : HIT_OK;
	if (h->flags & HIT_LAST)
		return HIT_BAD_FLAG;
	return frames > 2 ? HIT_BAD_FRAME : HIT_OK;
}

uint64_t hit_credit_limit(uint64_t limit, uint32_t arg)
{
	uint32_t step = arg - (uint32_t)(limit >> 10);
	if (step == 0 || step >= 0x80000000u)
		return limit; // repeated, or going back (RFC 1982)
	return ((limit >> 10) + step) << 10;
}
