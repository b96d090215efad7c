#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

void measure_reset(struct measure *m)
{
	if (m->steps == NULL && (m->steps = malloc(MEASURE_STEPS * sizeof *m->steps)) == NULL)
		abort();
	memset(m->steps, 0, MEASURE_STEPS * sizeof *m->steps);
	m->count = 0;
	m->first = m->last = 0;
}

void measure_add(struct measure *m, uint64_t now, uint64_t took)
{
	uint64_t step = took / MEASURE_STEP_NS;
	if (m->count == 0) {
		m->first = now;
		m->cpu = cpu_seconds();
	}
	m->last = now;
	m->steps[step < MEASURE_STEPS ? step : MEASURE_STEPS - 1]++;
	m->count++;
}

// The upper end, in us, of the step that holds the share of all latencies.
static double quantile(const struct measure *m, double share)
{
	double left = share * (double)m->count;
	size_t i = 0;
	for (; i + 1 < MEASURE_STEPS && left >= m->steps[i]; i++)
		left -= m->steps[i];
	return (double)(i + 1) * MEASURE_STEP_NS / 1e3;
}

void measure_print(const struct measure *m, size_t total)
{
	double seconds = (double)(m->last - m->first) / 1e9;
	double rate = seconds > 0 ? (double)(m->count - 1) / seconds : 0;
	double cpu = m->count > 0 ? (cpu_seconds() - m->cpu) / (double)m->count * 1e6 : 0;
	printf("{\"rps\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"n\":%zu,\"total\":%zu,\"ccpu\":%.3f}\n",
	       rate, quantile(m, 0.5), quantile(m, 0.99), quantile(m, 0.999), m->count, total, cpu);
	fflush(stdout);
}
