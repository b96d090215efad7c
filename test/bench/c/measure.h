// Clocks, and a histogram of latencies of fixed size.
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>

enum { MEASURE_STEP_NS = 100, MEASURE_STEPS = 1 << 20 }; // up to 104 ms; what is longer counts as that

struct measure {
	uint32_t *steps;
	size_t count;          // latencies recorded
	uint64_t first, last;  // ns, when the first and the last were recorded
	double cpu;            // s of this process, at the first
};

uint64_t now_ns(void);

// Empties the measure; allocates at the first use.
void measure_reset(struct measure *m);

// Records a call that was answered at `now` after `took` ns.
void measure_add(struct measure *m, uint64_t now, uint64_t took);

// Prints one line of JSON: rate, quantiles in us, calls measured, calls in all, CPU us of this process per call.
void measure_print(const struct measure *m, size_t total);

#endif
