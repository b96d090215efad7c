// Many echo workers in one process. usage: hitcrowd ENDPOINT COUNT SLOTS
//
// Each is a connection of its own to a HIT/1 broker, where it offers the service "echo" with so many slots and takes one-shots only.
// Prints "ready" when all are registered.
#include "hit.h"
#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct member {
	void *socket;
	uint64_t window, received, credited; // bytes; no window before WELCOME
};

struct crowd {
	struct member *members;
	int count, welcomed, slots;
};

static void *enter(void *context, const char *endpoint, int epoll, int i, int slots)
{
	void *s = zmq_socket(context, ZMQ_DEALER);
	int zero = 0, fd;
	size_t size = sizeof fd;
	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
	if (s == NULL || zmq_connect(s, endpoint) != 0 || zmq_getsockopt(s, ZMQ_FD, &fd, &size) != 0)
		die("worker %d cannot connect to %s", i, endpoint);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = (uint32_t)i};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("worker %d cannot be waited for", i);
	uint8_t head[HIT_HEADER];
	char json[200];
	int n = snprintf(json, sizeof json, "{\"name\":\"crowd-%d\",\"services\":[\"echo\"],\"slots\":%d,\"lang\":\"c\"}", i, slots);
	struct hit_header h = {.type = HIT_READY};
	hit_put(&h, head);
	zmq_send(s, head, sizeof head, ZMQ_SNDMORE);
	zmq_send(s, json, (size_t)n, 0);
	return s;
}

// Answers a one-shot: its frames behind the header, the service and the options are the body.
static void answer(void *s, const struct hit_header *begin, zmq_msg_t *frames, int count)
{
	uint8_t head[HIT_HEADER];
	struct hit_header h = {.type = HIT_REPLY, .flags = HIT_LAST, .hit = begin->hit, .epoch = begin->epoch, .seq = 1};
	hit_put(&h, head);
	zmq_send(s, head, sizeof head, ZMQ_SNDMORE);
	for (int i = 2; i < count; i++)
		zmq_msg_send(&frames[i], s, i + 1 < count ? ZMQ_SNDMORE : 0);
}

static uint64_t window_of(zmq_msg_t *welcome)
{
	char json[1024] = "";
	size_t size = zmq_msg_size(welcome);
	memcpy(json, zmq_msg_data(welcome), size < sizeof json - 1 ? size : sizeof json - 1);
	char *at = strstr(json, "\"window\":");
	return at == NULL ? 0 : strtoull(at + 9, NULL, 10);
}

// Lets the broker send more when half of the window has come.
static void credit(struct member *m)
{
	if (m->window == 0 || m->received - m->credited < m->window / 2)
		return;
	uint8_t head[HIT_HEADER];
	struct hit_header h = {.type = HIT_CREDIT, .arg = (uint32_t)((m->received + m->window) / 1024)};
	hit_put(&h, head);
	zmq_send(m->socket, head, sizeof head, 0);
	m->credited = m->received;
}

// Takes one message. Returns 0 when there is none.
static int take(struct crowd *c, struct member *m)
{
	void *s = m->socket;
	zmq_msg_t head, frames[HIT_FRAMES];
	struct hit_header h;
	int count = 0;
	zmq_msg_init(&head);
	if (zmq_msg_recv(&head, s, ZMQ_DONTWAIT) < 0)
		return 0;
	int more = zmq_msg_more(&head);
	while (more) {
		if (count == HIT_FRAMES)
			die("a message has too many frames");
		zmq_msg_init(&frames[count]);
		zmq_msg_recv(&frames[count], s, 0);
		more = zmq_msg_more(&frames[count++]);
	}
	if (hit_parse(&h, zmq_msg_data(&head), zmq_msg_size(&head)) != HIT_OK)
		die("a header cannot be read");
	m->received += zmq_msg_size(&head);
	for (int i = 0; i < count; i++)
		m->received += zmq_msg_size(&frames[i]);
	if (h.type == HIT_BEGIN)
		answer(s, &h, frames, count);
	else if (h.type == HIT_WELCOME) {
		m->window = window_of(&frames[0]);
		m->received = zmq_msg_size(&head) + zmq_msg_size(&frames[0]);
		if (++c->welcomed == c->count) {
			puts("ready");
			fflush(stdout);
		}
	} else if (h.type == HIT_ERROR)
		die("the broker says: %.*s", (int)zmq_msg_size(&frames[0]), (char *)zmq_msg_data(&frames[0]));
	for (int i = 0; i < count; i++)
		zmq_msg_close(&frames[i]);
	zmq_msg_close(&head);
	credit(m);
	return 1;
}

// Takes all that is there; ZMQ_FD tells of changes only, so ZMQ_EVENTS is asked after the last message, too.
static void drain(struct crowd *c, struct member *m)
{
	int events;
	size_t size = sizeof events;
	do {
		while (take(c, m))
			;
		zmq_getsockopt(m->socket, ZMQ_EVENTS, &events, &size);
	} while (events & ZMQ_POLLIN);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		die("usage: hitcrowd ENDPOINT COUNT SLOTS");
	struct crowd c = {.count = atoi(argv[2]), .slots = atoi(argv[3])};
	void *context = zmq_ctx_new();
	int most = c.count + 16, epoll = epoll_create1(0);
	zmq_ctx_set(context, ZMQ_MAX_SOCKETS, most);
	c.members = calloc((size_t)c.count, sizeof *c.members);
	for (int i = 0; i < c.count; i++)
		c.members[i].socket = enter(context, argv[1], epoll, i, c.slots);
	for (int i = 0; i < c.count; i++)
		drain(&c, &c.members[i]);
	struct epoll_event ready[256];
	for (;;) {
		int n = epoll_wait(epoll, ready, 256, 100);
		for (int i = 0; i < n; i++)
			drain(&c, &c.members[ready[i].data.u32]);
	}
}
