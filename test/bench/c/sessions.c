#include "sessions.h"

#include <stdlib.h>

// Fibonacci hashing: handles may be consecutive or random, the high bits of the product are spread either way.
static size_t home(const struct sessions *s, uint64_t hit)
{
	return (size_t)((hit * 0x9e3779b97f4a7c15u) >> 32) & s->mask;
}

void sessions_init(struct sessions *s, size_t most)
{
	size_t places = 16;
	while (places < 2 * most)
		places *= 2;
	s->places = calloc(places, sizeof *s->places);
	if (s->places == NULL)
		abort();
	s->mask = places - 1;
	s->count = 0;
}

struct session *sessions_find(struct sessions *s, uint64_t hit)
{
	for (size_t i = home(s, hit); s->places[i].hit != 0; i = (i + 1) & s->mask)
		if (s->places[i].hit == hit)
			return &s->places[i];
	return NULL;
}

struct session *sessions_add(struct sessions *s, uint64_t hit)
{
	size_t i = home(s, hit);
	while (s->places[i].hit != 0)
		i = (i + 1) & s->mask;
	s->places[i] = (struct session){.hit = hit};
	s->count++;
	return &s->places[i];
}

// Later places of the same run move up, so that probing needs no tombstones.
void sessions_remove(struct sessions *s, struct session *gone)
{
	size_t hole = (size_t)(gone - s->places);
	for (size_t i = (hole + 1) & s->mask; s->places[i].hit != 0; i = (i + 1) & s->mask) {
		size_t distance = (i - home(s, s->places[i].hit)) & s->mask;
		if (distance >= ((i - hole) & s->mask)) {
			s->places[hole] = s->places[i];
			hole = i;
		}
	}
	s->places[hole].hit = 0;
	s->count--;
}
