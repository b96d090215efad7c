// Echo worker. usage: hitworker ENDPOINT troupe|peer SLOTS [hit|seq|body]
//
// troupe: registers the service "echo" with a HIT/1 broker and holds up to SLOTS sessions.
// peer:   answers the same messages behind a zmq_proxy, where nobody opens sessions: the first call of a hit does.
// Prints "ready" when it is registered (peer: connecting). It watches the order of every hit's calls.
// With the fourth argument it lies: that part of every answer with seq 5 is wrong, to prove that the load client sees it.
#include "link.h"
#include "sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

struct worker {
	struct link link;
	struct sessions sessions;
	size_t slots;
	const char *lie; // NULL: none
};

static void announce(void)
{
	puts("ready");
	fflush(stdout);
}

static void send_ready(struct worker *w)
{
	uint64_t incarnation;
	char json[256];
	if (getrandom(&incarnation, sizeof incarnation, 0) != sizeof incarnation)
		die("no random incarnation to be had");
	int size = snprintf(json, sizeof json,
		"{\"services\":[\"echo\"],\"slots\":%zu,\"pid\":%d,\"incarnation\":\"%016llx\",\"lang\":\"c\",\"threads\":\"shared\"}",
		w->slots, (int)getpid(), (unsigned long long)incarnation);
	struct hit_header h = {.type = HIT_READY};
	link_header(&w->link, &h, 1);
	link_bytes(&w->link, json, (size_t)size, 0);
}

static void spoil(const char *part, struct hit_header *h, zmq_msg_t *body)
{
	if (strcmp(part, "hit") == 0)
		h->hit ^= 1;
	else if (strcmp(part, "seq") == 0)
		h->seq++;
	else
		((uint8_t *)zmq_msg_data(body))[zmq_msg_size(body) - 1] ^= 1;
}

// Sends the bodies of m, from frame `first` on, back under the header.
static void reply(struct worker *w, struct message *m, int first, uint16_t flags, uint32_t seq)
{
	struct hit_header h = {.type = HIT_REPLY, .flags = flags, .hit = m->head.hit, .epoch = m->head.epoch, .seq = seq};
	if (w->lie != NULL && seq == 5)
		spoil(w->lie, &h, &m->frame[m->frames - 1]);
	if (w->link.envelope)
		link_frame(&w->link, &m->envelope, 1);
	link_header(&w->link, &h, 1);
	for (int i = first; i < m->frames; i++)
		link_frame(&w->link, &m->frame[i], i + 1 < m->frames);
}

// Says that no session could be opened, and why.
static void refuse(struct worker *w, const struct message *m, uint16_t status, const char *text)
{
	struct hit_header h = {.type = HIT_ENDED, .status = status, .hit = m->head.hit, .epoch = m->head.epoch};
	link_header(&w->link, &h, 1);
	link_bytes(&w->link, text, strlen(text), 0);
}

static void begin(struct worker *w, struct message *m)
{
	if (m->head.flags & HIT_LAST) { // one-shot: no session outlives the message
		reply(w, m, 2, HIT_LAST, 1);
		return;
	}
	if (w->sessions.count == w->slots) {
		refuse(w, m, HIT_QUEUE_FULL, "all slots are busy");
		return;
	}
	if (sessions_find(&w->sessions, m->head.hit) != NULL)
		die("BEGIN for hit %llx, which is open", (unsigned long long)m->head.hit);
	struct session *s = sessions_add(&w->sessions, m->head.hit);
	struct hit_header h = {.type = HIT_OPENED, .hit = m->head.hit, .epoch = m->head.epoch, .arg = (uint32_t)syscall(SYS_gettid)};
	link_header(&w->link, &h, 0);
	if (m->head.flags & HIT_FIRST) {
		s->seq = 1;
		reply(w, m, 2, 0, 1);
	}
}

static void call(struct worker *w, struct message *m)
{
	struct session *s = sessions_find(&w->sessions, m->head.hit);
	if (s == NULL && w->link.envelope && m->head.seq == 1)
		s = sessions_add(&w->sessions, m->head.hit);
	if (s == NULL)
		die("CALL for hit %llx, which is not open", (unsigned long long)m->head.hit);
	if (m->head.seq != s->seq + 1)
		die("hit %llx: seq %u came after %u", (unsigned long long)m->head.hit, m->head.seq, s->seq);
	s->seq = m->head.seq;
	if (m->head.flags & HIT_LAST)
		sessions_remove(&w->sessions, s);
	reply(w, m, 0, m->head.flags, m->head.seq);
}

static void end(struct worker *w, const struct message *m)
{
	struct session *s = sessions_find(&w->sessions, m->head.hit);
	struct hit_header h = {.type = HIT_ENDED, .hit = m->head.hit, .epoch = m->head.epoch};
	if (s != NULL) {
		h.arg = s->seq;
		sessions_remove(&w->sessions, s);
	}
	link_header(&w->link, &h, 0);
}

static void handle(struct worker *w, struct message *m)
{
	switch (m->head.type) {
	case HIT_CALL: call(w, m); break;
	case HIT_BEGIN: begin(w, m); break;
	case HIT_END: end(w, m); break;
	case HIT_OPEN: reply(w, m, 2, m->head.flags & (HIT_REF | HIT_LAST), 1); break; // peer: a one-shot as the client sent it
	case HIT_WELCOME:
		link_welcome(&w->link, m);
		if (w->link.heartbeat_ms > 0)
			zmq_setsockopt(w->link.socket, ZMQ_RCVTIMEO, &w->link.heartbeat_ms, sizeof w->link.heartbeat_ms);
		announce();
		break;
	case HIT_ERROR: die("the broker says: %.*s", (int)zmq_msg_size(&m->frame[0]), (char *)zmq_msg_data(&m->frame[0]));
	case HIT_CANCEL: break; // every call has been answered before the next message is read
	default: die("a message of type %d came", m->head.type);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		die("usage: hitworker ENDPOINT troupe|peer SLOTS [hit|seq|body]");
	static struct worker w;
	static struct message m;
	w.link.envelope = strcmp(argv[2], "peer") == 0;
	w.slots = (size_t)strtoul(argv[3], NULL, 10);
	w.lie = argv[4];
	sessions_init(&w.sessions, w.slots);
	link_connect(&w.link, argv[1], -1);
	if (w.link.envelope)
		announce();
	else
		send_ready(&w);
	struct hit_header ping = {.type = HIT_PING};
	for (;;) {
		if (!link_receive(&w.link, &m)) {
			link_header(&w.link, &ping, 0);
			continue;
		}
		handle(&w, &m);
		message_close(&m);
	}
}
