// Load client. usage: hitload ENDPOINT troupe|peer|direct
//
// direct: the one hit that is opened has a connection of its own to its worker, past the broker.
//
// Reads commands from its standard input and answers each with one line of JSON:
//
//	open HITS                          opens hits of the service "echo" until so many are open
//	run ACTIVE CALLS SIZE WARM RUN     keeps CALLS calls of SIZE bytes under way over ACTIVE of the open hits, in turn
//	oneshot CALLS SIZE WARM RUN        the same with hits that are opened, called and closed in one message
//
// WARM and RUN are seconds; only RUN is measured, "total" counts both. So `printf 'open 1000\nrun 1000 512 32 0.5 2\n' |
// hitload tcp://127.0.0.1:5555 troupe` is one measurement. The process ends with its input. Hit, seq and body of every
// answer are verified; whatever is not as it should be ends the process with a message and status 1.
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 15000 };

static void run(struct load *l, struct measure *m, uint32_t calls, double warm, double seconds)
{
	measure_reset(m);
	uint64_t from = now_ns() + (uint64_t)(warm * 1e9), until = from + (uint64_t)(seconds * 1e9);
	for (uint32_t i = 0; i < calls; i++)
		load_send(l, now_ns());
	while (l->idle < l->token_count) {
		const struct token *answered = load_receive(l);
		uint64_t t = now_ns();
		if (t >= until)
			continue;
		if (t >= from)
			measure_add(m, t, t - answered->sent_at);
		load_send(l, t);
	}
	measure_print(m, l->total);
}

static void obey(struct load *l, struct measure *m, const char *line)
{
	uint32_t active = 0, calls, size;
	double warm, seconds;
	if (sscanf(line, "open %u", &active) == 1) {
		load_open(l, active);
		printf("{\"open\":%u}\n", l->opened);
		fflush(stdout);
		return;
	}
	int one_shot = sscanf(line, "oneshot %u %u %lf %lf", &calls, &size, &warm, &seconds) == 4;
	if (!one_shot && sscanf(line, "run %u %u %u %lf %lf", &active, &calls, &size, &warm, &seconds) != 5)
		die("unknown command: %s", line);
	load_prepare(l, (uint32_t)one_shot, active, calls, size);
	run(l, m, calls, warm, seconds);
}

// Waits for a line of input; meanwhile the connection is looked after. Returns 0 at the end of the input.
static int next_command(struct load *l, char *line, int size)
{
	zmq_pollitem_t input = {.fd = 0, .events = ZMQ_POLLIN};
	struct hit_header ping = {.type = HIT_PING};
	long patience = l->link.heartbeat_ms > 0 ? l->link.heartbeat_ms : -1;
	while (zmq_poll(&input, 1, patience) == 0)
		link_header(&l->link, &ping, 0);
	return fgets(line, size, stdin) != NULL;
}

int main(int argc, char **argv)
{
	static struct load l;
	static struct measure m;
	char line[256];
	if (argc != 3)
		die("usage: hitload ENDPOINT troupe|peer|direct");
	setvbuf(stdin, NULL, _IONBF, 0); // so that poll sees what has not been read
	l.peer = strcmp(argv[2], "peer") == 0;
	l.direct = strcmp(argv[2], "direct") == 0;
	link_connect(&l.link, argv[1], TIMEOUT_MS);
	load_greet(&l);
	while (next_command(&l, line, sizeof line))
		obey(&l, &m, line);
	struct hit_header bye = {.type = HIT_BYE};
	if (!l.peer)
		link_header(&l.link, &bye, 0);
	if (l.calls == &l.way)
		link_close(&l.way);
	link_close(&l.link);
	return 0;
}
