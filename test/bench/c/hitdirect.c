// Echo worker for direct hits. usage: hitdirect ENDPOINT SLOTS
//
// Registers the service "echo" with a HIT/1 broker, and a ROUTER of its own to which clients send the calls of direct hits (hit.md, section 12). It keeps the
// lease that it serves under, and ends itself where that is over. Prints "ready" when it is registered.
#include "link.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TOKEN = 16, MOST = 64 };

struct guest {
	uint64_t hit; // 0: a free place
	uint32_t epoch, seq;
	char token[2 * TOKEN + 1]; // hex
};

struct worker {
	struct link link, door; // to the broker; our ROUTER
	char url[256];
	struct guest guests[MOST];
	size_t slots;
	uint64_t lease_ns, renewed, until; // how long a lease is; when RENEW was sent last; the end of the lease
	uint32_t renewals, due;            // RENEWs sent; the one whose LEASE is awaited
	uint64_t asked;                    // when that was sent
};

static void open_door(struct worker *w)
{
	size_t size = sizeof w->url;
	int unlimited = 0, at_once = 0;
	w->door.context = w->link.context;
	w->door.socket = zmq_socket(w->link.context, ZMQ_ROUTER);
	w->door.envelope = 1;
	zmq_setsockopt(w->door.socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
	zmq_setsockopt(w->door.socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
	zmq_setsockopt(w->door.socket, ZMQ_RCVTIMEO, &at_once, sizeof at_once);
	if (zmq_bind(w->door.socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(w->door.socket, ZMQ_LAST_ENDPOINT, w->url, &size) != 0)
		die("bind: %s", zmq_strerror(errno));
}

static void send_ready(struct worker *w)
{
	uint64_t incarnation;
	char json[512];
	if (getrandom(&incarnation, sizeof incarnation, 0) != sizeof incarnation)
		die("no random incarnation to be had");
	int size = snprintf(json, sizeof json,
		"{\"services\":[\"echo\"],\"slots\":%zu,\"pid\":%d,\"incarnation\":\"%016llx\",\"lang\":\"c\",\"threads\":\"shared\",\"direct\":\"%s\"}",
		w->slots, (int)getpid(), (unsigned long long)incarnation, w->url);
	struct hit_header h = {.type = HIT_READY};
	link_header(&w->link, &h, 1);
	link_bytes(&w->link, json, (size_t)size, 0);
}

static struct guest *guest_of(struct worker *w, uint64_t hit)
{
	for (size_t i = 0; i < w->slots; i++)
		if (w->guests[i].hit == hit)
			return &w->guests[i];
	return NULL;
}

static void renew(struct worker *w, uint64_t now)
{
	struct hit_header h = {.type = HIT_RENEW, .arg = ++w->renewals};
	link_header(&w->link, &h, 0);
	w->due = w->renewals;
	w->asked = w->renewed = now;
}

static void begin(struct worker *w, struct message *m)
{
	struct hit_header opened = {.type = HIT_OPENED, .hit = m->head.hit, .epoch = m->head.epoch, .arg = (uint32_t)syscall(SYS_gettid)};
	struct guest *g = guest_of(w, 0);
	if (!(m->head.flags & HIT_DIRECT) || m->frames != 3 || zmq_msg_size(&m->frame[2]) != TOKEN)
		die("BEGIN of a hit that is not direct: this worker serves no others");
	if (g == NULL)
		die("BEGIN where all %zu slots are busy", w->slots);
	*g = (struct guest){.hit = m->head.hit, .epoch = m->head.epoch};
	for (int i = 0; i < TOKEN; i++)
		sprintf(g->token + 2 * i, "%02x", ((uint8_t *)zmq_msg_data(&m->frame[2]))[i]);
	if (now_ns() >= w->until)
		renew(w, now_ns());
	link_header(&w->link, &opened, 0);
}

static void end(struct worker *w, const struct message *m)
{
	struct guest *g = guest_of(w, m->head.hit);
	struct hit_header h = {.type = HIT_ENDED, .hit = m->head.hit, .epoch = m->head.epoch};
	if (g != NULL) {
		h.arg = g->seq;
		g->hit = 0;
	}
	link_header(&w->link, &h, 0);
}

static void from_broker(struct worker *w, struct message *m)
{
	switch (m->head.type) {
	case HIT_BEGIN: begin(w, m); break;
	case HIT_END: end(w, m); break;
	case HIT_WELCOME:
		w->lease_ns = link_number(m, "\"lease_ms\"") * 1000000;
		link_welcome(&w->link, m);
		puts("ready");
		fflush(stdout);
		break;
	case HIT_LEASE:
		if (m->head.arg == w->due)
			w->until = w->asked + w->lease_ns;
		break;
	case HIT_ERROR: die("the broker says: %.*s", (int)zmq_msg_size(&m->frame[0]), (char *)zmq_msg_data(&m->frame[0]));
	case HIT_CANCEL: break; // every call has been answered before the next message is read
	default: die("a message of type %d came from the broker", m->head.type);
	}
}

// Lets a client in that has the token, once there is a lease: until then it is not heard.
static void hello(struct worker *w, struct message *m)
{
	static const char json[] = "{\"broker\":\"hitdirect\",\"incarnation\":\"0\",\"max_body\":33554432,\"window\":4194304,\"heartbeat_ms\":1000,\"name\":\"hit\"}";
	struct guest *g = guest_of(w, m->head.hit);
	if (g == NULL || g->token[0] == 0 || memmem(zmq_msg_data(&m->frame[0]), zmq_msg_size(&m->frame[0]), g->token, 2 * TOKEN) == NULL)
		die("HELLO without the token of hit %llx", (unsigned long long)m->head.hit);
	g->token[0] = 0; // it is good once
	struct message answer;
	while (now_ns() >= w->until && link_receive(&w->link, &answer)) {
		from_broker(w, &answer);
		message_close(&answer);
	}
	struct hit_header h = {.type = HIT_WELCOME, .flags = HIT_DIRECT, .hit = g->hit, .epoch = g->epoch};
	link_frame(&w->door, &m->envelope, 1);
	link_header(&w->door, &h, 1);
	link_bytes(&w->door, json, sizeof json - 1, 0);
}

static void call(struct worker *w, struct message *m)
{
	struct guest *g = guest_of(w, m->head.hit);
	if (g == NULL || g->epoch != m->head.epoch || m->head.seq != g->seq + 1)
		die("CALL %u of hit %llx is not what is next", m->head.seq, (unsigned long long)m->head.hit);
	g->seq++;
	struct hit_header h = {.type = HIT_REPLY, .hit = g->hit, .epoch = g->epoch, .seq = g->seq};
	link_frame(&w->door, &m->envelope, 1);
	link_header(&w->door, &h, 1);
	for (int i = 0; i < m->frames; i++)
		link_frame(&w->door, &m->frame[i], i + 1 < m->frames);
}

static void from_client(struct worker *w, struct message *m)
{
	switch (m->head.type) {
	case HIT_CALL: call(w, m); break;
	case HIT_HELLO: hello(w, m); break;
	case HIT_CREDIT: case HIT_BYE: case HIT_CANCEL: break; // so little is under way that no window is ever full
	default: die("a message of type %d came from a client", m->head.type);
	}
}

// Serves what has come, a batch at most.
static void serve(struct worker *w)
{
	static struct message m;
	for (int left = 256; left > 0 && link_receive(&w->door, &m); left--) {
		from_client(w, &m);
		message_close(&m);
	}
}

static void keep_lease(struct worker *w)
{
	uint64_t now = now_ns();
	if (w->until == 0)
		return;
	if (now >= w->until)
		die("the broker has not prolonged the lease");
	if (now >= w->renewed + w->lease_ns / 4)
		renew(w, now);
}

int main(int argc, char **argv)
{
	static struct worker w;
	static struct message m;
	if (argc != 3 || (w.slots = (size_t)strtoul(argv[2], NULL, 10)) < 1 || w.slots > MOST)
		die("usage: hitdirect ENDPOINT SLOTS, of which there are at most %d", MOST);
	link_connect(&w.link, argv[1], 1000);
	open_door(&w);
	send_ready(&w);
	zmq_pollitem_t items[] = {{.socket = w.door.socket, .events = ZMQ_POLLIN}, {.socket = w.link.socket, .events = ZMQ_POLLIN}};
	struct hit_header ping = {.type = HIT_PING};
	for (;;) {
		if (zmq_poll(items, 2, 250) == 0)
			link_header(&w.link, &ping, 0);
		if (items[0].revents)
			serve(&w);
		if (items[1].revents && link_receive(&w.link, &m)) {
			from_broker(&w, &m);
			message_close(&m);
		}
		keep_lease(&w);
	}
}
