#include "link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void option(void *socket, int name, int value)
{
	if (zmq_setsockopt(socket, name, &value, sizeof value) != 0)
		die("socket option %d: %s", name, zmq_strerror(errno));
}

// Sets a key option from an environment variable, Z85.
static void key(void *socket, int name, const char *variable)
{
	const char *text = getenv(variable);
	if (text == NULL || zmq_setsockopt(socket, name, text, strlen(text)) != 0)
		die("%s must be a key in Z85 where CURVE_SERVER is set", variable);
}

static void encrypt(void *socket)
{
	if (getenv("CURVE_SERVER") == NULL)
		return;
	key(socket, ZMQ_CURVE_SERVERKEY, "CURVE_SERVER");
	key(socket, ZMQ_CURVE_PUBLICKEY, "CURVE_PUBLIC");
	key(socket, ZMQ_CURVE_SECRETKEY, "CURVE_SECRET");
}

void link_connect(struct link *l, const char *endpoint, int timeout_ms)
{
	l->context = zmq_ctx_new();
	l->socket = zmq_socket(l->context, ZMQ_DEALER);
	option(l->socket, ZMQ_SNDHWM, 0);
	option(l->socket, ZMQ_RCVHWM, 0);
	option(l->socket, ZMQ_LINGER, 1000);
	option(l->socket, ZMQ_RCVTIMEO, timeout_ms);
	encrypt(l->socket);
	if (zmq_connect(l->socket, endpoint) != 0)
		die("connect %s: %s", endpoint, zmq_strerror(errno));
}

void link_close(struct link *l)
{
	zmq_close(l->socket);
	zmq_ctx_term(l->context);
}

// Receives one frame. Returns 0 when the timeout passed.
static int receive_frame(struct link *l, zmq_msg_t *frame)
{
	zmq_msg_init(frame);
	while (zmq_msg_recv(frame, l->socket, 0) < 0) {
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			die("receive: %s", zmq_strerror(errno));
	}
	return 1;
}

static void credit(struct link *l, uint64_t bytes)
{
	l->received += bytes;
	if (l->window == 0 || l->received - l->credited < l->window / 2)
		return;
	struct hit_header h = {.type = HIT_CREDIT, .arg = (uint32_t)((l->received + l->window) / 1024)};
	link_header(l, &h, 0);
	l->credited = l->received;
}

static int receive_any(struct link *l, struct message *m)
{
	zmq_msg_t head;
	m->frames = 0;
	zmq_msg_init(&m->envelope);
	if (l->envelope && !receive_frame(l, &m->envelope))
		return 0;
	if (!receive_frame(l, &head))
		return 0;
	int status = hit_parse(&m->head, zmq_msg_data(&head), zmq_msg_size(&head));
	int more = zmq_msg_more(&head);
	uint64_t bytes = zmq_msg_size(&head);
	zmq_msg_close(&head);
	while (more) {
		if (m->frames == HIT_FRAMES)
			die("a message of more than %d frames came", HIT_FRAMES);
		zmq_msg_t *frame = &m->frame[m->frames++];
		receive_frame(l, frame);
		bytes += zmq_msg_size(frame);
		more = zmq_msg_more(frame);
	}
	if (status == HIT_OK)
		status = hit_check(&m->head, m->frames);
	if (status != HIT_OK)
		die("a message of type %d with %d frames came that is not HIT/1 (status %d)", m->head.type, m->frames, status);
	credit(l, bytes);
	return 1;
}

int link_receive(struct link *l, struct message *m)
{
	while (receive_any(l, m)) {
		if (m->head.type != HIT_PING && m->head.type != HIT_PONG)
			return 1;
		if (m->head.type == HIT_PING) {
			struct hit_header pong = {.type = HIT_PONG, .arg = m->head.arg};
			link_header(l, &pong, 0);
		}
		message_close(m);
	}
	return 0;
}

void message_close(struct message *m)
{
	zmq_msg_close(&m->envelope);
	for (int i = 0; i < m->frames; i++)
		zmq_msg_close(&m->frame[i]);
}

void link_bytes(struct link *l, const void *bytes, size_t size, int more)
{
	if (zmq_send(l->socket, bytes, size, more ? ZMQ_SNDMORE : 0) < 0)
		die("send: %s", zmq_strerror(errno));
}

void link_header(struct link *l, const struct hit_header *h, int more)
{
	uint8_t frame[HIT_HEADER];
	hit_put(h, frame);
	link_bytes(l, frame, sizeof frame, more);
}

void link_frame(struct link *l, zmq_msg_t *frame, int more)
{
	if (zmq_msg_send(frame, l->socket, more ? ZMQ_SNDMORE : 0) < 0)
		die("send: %s", zmq_strerror(errno));
}

// The number behind a key of a flat JSON object, 0 if it is not there.
static uint64_t number(const char *json, const char *key)
{
	const char *at = strstr(json, key);
	return at == NULL ? 0 : strtoull(at + strlen(key) + strspn(at + strlen(key), "\": "), NULL, 10);
}

// Copies the first frame as text.
static size_t text(const struct message *m, char *json, size_t room)
{
	size_t size = zmq_msg_size(&m->frame[0]);
	if (size >= room)
		die("the JSON frame has %zu bytes, room is for %zu", size, room - 1);
	memcpy(json, zmq_msg_data((zmq_msg_t *)&m->frame[0]), size);
	json[size] = 0;
	return size;
}

uint64_t link_number(const struct message *m, const char *key)
{
	char json[4096];
	text(m, json, sizeof json);
	return number(json, key);
}

void link_welcome(struct link *l, struct message *m)
{
	char json[4096];
	size_t size = text(m, json, sizeof json);
	l->window = number(json, "\"window\"");
	l->heartbeat_ms = (int)number(json, "\"heartbeat_ms\"");
	l->received = HIT_HEADER + size;
	l->credited = 0;
}
