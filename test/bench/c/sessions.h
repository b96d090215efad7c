// The hits that a worker holds, with the last seq of each: a hash table with linear probing.
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stddef.h>
#include <stdint.h>

struct session {
	uint64_t hit;  // 0: a free place
	uint32_t seq;  // of the last call that began
};

struct sessions {
	struct session *places;
	size_t mask, count;
};

// Makes a table for at most `most` sessions.
void sessions_init(struct sessions *s, size_t most);

// The session of a hit, NULL if there is none.
struct session *sessions_find(struct sessions *s, uint64_t hit);

// Adds a session; hit is not 0 and not there yet.
struct session *sessions_add(struct sessions *s, uint64_t hit);

void sessions_remove(struct sessions *s, struct session *gone);

#endif
