#include "load.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPENS_UNDER_WAY = 500 };

// A mixing function (splitmix64's): handles without pattern, and a shuffle that is the same in every run.
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void *room(void *old, size_t count, size_t size)
{
	void *new = realloc(old, (count > 0 ? count : 1) * size);
	if (new == NULL)
		die("no memory for %zu times %zu bytes", count, size);
	return new;
}

// Receives a message and dies of what is never an answer.
static void await(struct load *l, struct link *from, struct message *m, int type)
{
	if (!link_receive(from, m))
		die("no answer came: %u of %u tokens are under way after %llu calls", l->token_count - l->idle, l->token_count, (unsigned long long)l->total);
	if ((m->head.type == HIT_ERROR || m->head.type == HIT_CLOSED) && type != m->head.type)
		die("the broker says (status %d): %.*s", m->head.status, (int)zmq_msg_size(&m->frame[0]), (char *)zmq_msg_data(&m->frame[0]));
	if (m->head.type != type)
		die("a message of type %d came instead of type %d", m->head.type, type);
}

void load_greet(struct load *l)
{
	static struct message m;
	struct hit_header h = {.type = HIT_HELLO};
	static const char json[] = "{\"name\":\"hitload\",\"lang\":\"c\"}";
	l->calls = &l->link;
	if (l->peer)
		return;
	link_header(&l->link, &h, 1);
	link_bytes(&l->link, json, sizeof json - 1, 0);
	await(l, &l->link, &m, HIT_WELCOME);
	link_welcome(&l->link, &m);
	message_close(&m);
}

static void send_open(struct load *l, uint32_t index)
{
	struct hit_header h = {.type = HIT_OPEN, .flags = HIT_REF | (l->direct ? HIT_DIRECT : 0), .hit = index + 1};
	link_header(&l->link, &h, 1);
	link_bytes(&l->link, "echo", 4, 1);
	link_bytes(&l->link, "", 0, 0);
}

// Connects to the worker of a direct hit and shows the token.
static void enter(struct load *l, struct message *m, struct hit *hit)
{
	static struct message welcome;
	char endpoint[256], token[2 * 16 + 1], json[64];
	size_t size = zmq_msg_size(&m->frame[3]);
	if (size >= sizeof endpoint || zmq_msg_size(&m->frame[4]) != 16)
		die("OPENED with an endpoint of %zu bytes and a token of %zu", size, zmq_msg_size(&m->frame[4]));
	memcpy(endpoint, zmq_msg_data(&m->frame[3]), size);
	endpoint[size] = 0;
	for (int i = 0; i < 16; i++)
		sprintf(token + 2 * i, "%02x", ((uint8_t *)zmq_msg_data(&m->frame[4]))[i]);
	link_connect(&l->way, endpoint, 15000);
	l->calls = &l->way;
	struct hit_header h = {.type = HIT_HELLO, .flags = HIT_DIRECT, .hit = hit->handle};
	link_header(&l->way, &h, 1);
	link_bytes(&l->way, json, (size_t)snprintf(json, sizeof json, "{\"token\":\"%s\"}", token), 0);
	await(l, &l->way, &welcome, HIT_WELCOME);
	link_welcome(&l->way, &welcome);
	hit->epoch = welcome.head.epoch;
	message_close(&welcome);
}

static void receive_opened(struct load *l, uint32_t count)
{
	static struct message m;
	uint64_t handle;
	await(l, &l->link, &m, HIT_OPENED);
	uint64_t index = m.head.hit - 1;
	if (!(m.head.flags & HIT_REF) || index >= count || l->hits[index].handle != 0)
		die("OPENED for the reference %llu, which was not asked", (unsigned long long)m.head.hit);
	if (m.frames != (l->direct ? 6 : 2) || zmq_msg_size(&m.frame[0]) != sizeof handle)
		die("OPENED with %d frames and a handle of %zu bytes", m.frames, zmq_msg_size(&m.frame[0]));
	memcpy(&handle, zmq_msg_data(&m.frame[0]), sizeof handle);
	l->hits[index].handle = be64toh(handle);
	l->hits[index].epoch = m.head.epoch;
	if (l->direct)
		enter(l, &m, &l->hits[index]);
	message_close(&m);
}

void load_open(struct load *l, uint32_t count)
{
	if (count <= l->opened)
		return;
	if (l->direct && count > 1)
		die("%u direct hits: each needs a connection of its own, this client has one", count);
	l->hits = room(l->hits, count, sizeof *l->hits);
	memset(l->hits + l->opened, 0, (count - l->opened) * sizeof *l->hits);
	uint32_t sent = l->opened;
	for (uint32_t answered = l->opened; !l->peer && answered < count; answered++) {
		for (; sent < count && sent - answered < OPENS_UNDER_WAY; sent++)
			send_open(l, sent);
		receive_opened(l, count);
	}
	for (; sent < count; sent++) // peer
		l->hits[sent].handle = mix(sent);
	l->opened = count;
	load_prepare(l, 0, 1, 1, LOAD_KEY);
	load_send(l, now_ns());
	load_receive(l);
}

void load_prepare(struct load *l, uint32_t one_shot, uint32_t active, uint32_t calls, uint32_t size)
{
	if (calls == 0 || size < LOAD_KEY || (!one_shot && (active == 0 || active > l->opened)))
		die("%u calls of %u bytes over %u of %u open hits: not possible (a body has at least %d bytes)", calls, size, active, l->opened, LOAD_KEY);
	l->one_shot = one_shot;
	l->token_count = active > calls ? active : calls;
	l->tokens = room(l->tokens, l->token_count, sizeof *l->tokens);
	l->queue = room(l->queue, l->token_count, sizeof *l->queue);
	for (uint32_t i = 0; i < l->token_count; i++) {
		l->tokens[i] = (struct token){.hit = one_shot ? 0 : i % active};
		uint32_t j = (uint32_t)(mix(i) % (i + 1));
		l->queue[i] = l->queue[j];
		l->queue[j] = i;
	}
	l->head = 0;
	l->idle = l->token_count;
	l->total = 0;
	l->size = size;
	l->body = room(l->body, size, 1);
	for (uint32_t i = LOAD_KEY; i < size; i++)
		l->body[i] = (uint8_t)mix(i);
}

// Puts the key of the token's call before the pattern.
static void write_key(struct load *l, uint32_t index)
{
	memcpy(l->body, &index, sizeof index);
	memcpy(l->body + sizeof index, &l->tokens[index].serial, sizeof index);
}

// The reference of a one-shot call: unique, as serial and token are.
static uint64_t reference(const struct load *l, uint32_t index)
{
	return (uint64_t)l->tokens[index].serial << 32 | (index + 1);
}

void load_send(struct load *l, uint64_t now)
{
	uint32_t index = l->queue[l->head];
	struct token *t = &l->tokens[index];
	struct hit_header h = {.type = HIT_CALL};
	l->head = l->head + 1 == l->token_count ? 0 : l->head + 1;
	l->idle--;
	t->serial++;
	t->flying = 1;
	t->sent_at = now;
	if (l->one_shot) {
		t->seq = 1;
		h = (struct hit_header){.type = HIT_OPEN, .flags = HIT_FIRST | HIT_LAST | HIT_REF, .hit = reference(l, index)};
		link_header(l->calls, &h, 1);
		link_bytes(l->calls, "echo", 4, 1);
		link_bytes(l->calls, "", 0, 1);
	} else {
		struct hit *hit = &l->hits[t->hit];
		t->seq = ++hit->sent;
		h.hit = hit->handle;
		h.epoch = hit->epoch;
		h.seq = t->seq;
		link_header(l->calls, &h, 1);
	}
	write_key(l, index);
	link_bytes(l->calls, l->body, l->size, 0);
}

// Proves hit, seq and body; returns the token's index.
static uint32_t prove(struct load *l, struct message *m)
{
	uint32_t index;
	const uint8_t *body = zmq_msg_data(&m->frame[0]);
	if (m->frames != 1 || zmq_msg_size(&m->frame[0]) != l->size)
		die("the answer has %d frames and %zu bytes instead of 1 with %u", m->frames, zmq_msg_size(&m->frame[0]), l->size);
	memcpy(&index, body, sizeof index);
	if (index >= l->token_count || !l->tokens[index].flying)
		die("the answer has the body of token %u, which has no call under way", index);
	write_key(l, index);
	if (memcmp(body, l->body, l->size) != 0)
		die("the answer for token %u has another body than its call", index);
	struct token *t = &l->tokens[index];
	struct hit *hit = l->one_shot ? NULL : &l->hits[t->hit];
	uint64_t handle = l->one_shot ? reference(l, index) : hit->handle;
	uint16_t flags = l->one_shot ? HIT_REF | HIT_LAST : 0;
	if (m->head.hit != handle || m->head.seq != t->seq || m->head.flags != flags)
		die("the answer is for hit %llx, seq %u, flags %x; its body was sent to hit %llx, seq %u, flags %x",
		    (unsigned long long)m->head.hit, m->head.seq, m->head.flags, (unsigned long long)handle, t->seq, flags);
	if (hit != NULL && ++hit->answered != t->seq)
		die("hit %llx: the answer %u came where %u was due", (unsigned long long)handle, t->seq, hit->answered);
	t->flying = 0;
	return index;
}

const struct token *load_receive(struct load *l)
{
	static struct message m;
	await(l, l->calls, &m, HIT_REPLY);
	uint32_t index = prove(l, &m);
	message_close(&m);
	uint32_t tail = l->head + l->idle++;
	l->queue[tail < l->token_count ? tail : tail - l->token_count] = index;
	l->total++;
	return &l->tokens[index];
}
