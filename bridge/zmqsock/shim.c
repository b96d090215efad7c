//go:build cgo

#include "shim.h"
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// tr_keep_memory tells glibc's allocator to keep some memory instead of giving each freed large message back to the kernel and faulting it in again
// for the next one. Whoever has set the allocator's own variables of the environment knows better.
void tr_keep_memory(void) {
#ifdef __GLIBC__
    enum { KEEP = 8 << 20 }; // bytes
    if (getenv("MALLOC_TRIM_THRESHOLD_") || getenv("MALLOC_MMAP_THRESHOLD_")) return;
    mallopt(M_TRIM_THRESHOLD, KEEP);
    mallopt(M_MMAP_THRESHOLD, KEEP);
#endif
}

tr_in *tr_in_new(uint32_t msgs, size_t arena) {
    uint32_t frames = msgs * 4 + TR_MAX_FRAMES, wholes = msgs + TR_MAX_FRAMES;
    size_t need = sizeof(tr_in) + wholes * sizeof(zmq_msg_t) + frames * sizeof(tr_frame) + msgs * sizeof(tr_msg);
    uint8_t *p = calloc(1, need);
    if (!p) return NULL;
    tr_in *b = (tr_in *)p;
    p += sizeof(tr_in);
    b->wholes = (zmq_msg_t *)p;
    p += wholes * sizeof(zmq_msg_t);
    b->frames = (tr_frame *)p;
    p += frames * sizeof(tr_frame);
    b->msgs = (tr_msg *)p;
    b->arena = malloc(arena);
    if (!b->arena) {
        free(b);
        return NULL;
    }
    b->cap = arena;
    b->msgs_cap = msgs, b->frames_cap = frames, b->wholes_cap = wholes;
    return b;
}

void tr_in_clear(tr_in *b, int poison) {
    for (uint32_t i = 0; i < b->nwholes; i++) {
        zmq_msg_t *w = &b->wholes[i];
        // A body that is referenced elsewhere (sent on, and perhaps not yet written) keeps its bytes.
        if (poison && !zmq_msg_get(w, ZMQ_SHARED)) memset(zmq_msg_data(w), 0xDB, zmq_msg_size(w));
        zmq_msg_close(w);
    }
    if (poison) memset(b->arena, 0xDB, b->used);
    b->used = 0;
    b->nmsgs = b->nframes = b->nwholes = b->nusers = 0;
}

void tr_in_free(tr_in *b) {
    tr_in_clear(b, 0);
    free(b->users);
    free(b->arena);
    free(b);
}

static int recv_retry(zmq_msg_t *m, void *sock) {
    int rc;
    do rc = zmq_msg_recv(m, sock, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

// keep puts a received frame into the arena, or moves it whole; m is empty afterwards.
static void keep(tr_in *b, zmq_msg_t *m, size_t comfort) {
    tr_frame *f = &b->frames[b->nframes++];
    f->size = zmq_msg_size(m);
    if (f->size <= comfort && b->cap - b->used >= f->size) {
        f->data = b->arena + b->used;
        f->whole = NULL;
        memcpy(f->data, zmq_msg_data(m), f->size);
        b->used += (f->size + 7) & ~(size_t)7;
        if (b->used > b->cap) b->used = b->cap;
        zmq_msg_close(m);
        return;
    }
    zmq_msg_t *w = &b->wholes[b->nwholes++];
    zmq_msg_init(w);
    zmq_msg_move(w, m);
    zmq_msg_close(m);
    f->whole = w;
    f->data = zmq_msg_data(w);
}

// header_type returns the type byte of a header frame, 255 if it is none.
static uint8_t header_type(zmq_msg_t *m) {
    return zmq_msg_size(m) == 32 ? ((uint8_t *)zmq_msg_data(m))[3] : 255;
}

// keep_user notes who is at the other end of the message's connection, if that has proved it. Without memory nobody is: the broker refuses those.
static void keep_user(tr_in *b, tr_msg *out, zmq_msg_t *m) {
    const char *user = zmq_msg_gets(m, "User-Id");
    if (!user || strlen(user) >= sizeof(tr_user)) return;
    if (!b->users) b->users = calloc(b->msgs_cap, sizeof(tr_user));
    if (!b->users) return;
    strcpy(b->users[b->nusers], user);
    out->user = ++b->nusers;
}

// recv_rest takes the frames of the message whose first one is in m. It returns -1 where the context ends under the message.
static int recv_rest(tr_in *b, tr_msg *out, zmq_msg_t *m, void *sock, size_t comfort, int router, uint64_t fd_types) {
    for (int i = 0;; i++) {
        int more = zmq_msg_more(m);
        out->size += zmq_msg_size(m);
        if (i == router) {
            uint8_t t = header_type(m);
            if (fd_types == UINT64_MAX || (t < 64 && (fd_types >> t & 1))) {
                out->fd = zmq_msg_get(m, ZMQ_SRCFD);
                keep_user(b, out, m);
            }
        }
        if (out->count < TR_MAX_FRAMES) {
            keep(b, m, comfort);
            out->count++;
        } else {
            out->dropped++;
            zmq_msg_close(m);
        }
        if (!more) return 0;
        zmq_msg_init(m);
        if (recv_retry(m, sock) < 0) {
            zmq_msg_close(m);
            return -1;
        }
    }
}

// tr_recv adds up to max messages to b. It returns how many, or -1 with errno (never EAGAIN, never EINTR) if there are none.
// Bit t of fd_types asks for the descriptor of messages whose header has type t, all bits for that of every message.
int tr_recv(tr_in *b, void *sock, uint32_t max, size_t comfort, int router, uint64_t fd_types) {
    int got = 0;
    while (max-- > 0 && b->nmsgs < b->msgs_cap && b->frames_cap - b->nframes >= TR_MAX_FRAMES &&
           b->wholes_cap - b->nwholes >= TR_MAX_FRAMES) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        if (recv_retry(&m, sock) < 0) {
            int e = errno;
            zmq_msg_close(&m);
            errno = e;
            return e == EAGAIN ? got : (got ? got : -1);
        }
        tr_msg *out = &b->msgs[b->nmsgs];
        *out = (tr_msg){.first = b->nframes, .fd = -1};
        if (recv_rest(b, out, &m, sock, comfort, router, fd_types) < 0) { // half a message is none
            b->nframes = out->first;
            if (out->user) b->nusers--;
            return got ? got : -1;
        }
        b->nmsgs++;
        got++;
    }
    return got;
}

// tr_enforce makes libzmq refuse everybody where no ZAP handler answers, in place of letting everybody in. Not every build of libzmq can (it is a
// draft option); it returns 0 or an errno.
int tr_enforce(void *sock) {
    int on = 1;
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif
    return zmq_setsockopt(sock, ZMQ_ZAP_ENFORCE_DOMAIN, &on, sizeof on) == 0 ? 0 : errno;
}

// tr_msg_take moves a frame out of its batch: the bytes stay where they are.
zmq_msg_t *tr_msg_take(tr_frame *f) {
    zmq_msg_t *m = malloc(sizeof *m);
    if (!m) return NULL;
    zmq_msg_init(m);
    zmq_msg_move(m, f->whole);
    f->data = zmq_msg_data(m);
    return m;
}

static void free_bytes(void *data, void *hint) {
    (void)hint;
    free(data);
}

// tr_msg_own makes a frame of malloced bytes. libzmq frees them after the last reference, on any thread.
zmq_msg_t *tr_msg_own(void *data, size_t size) {
    zmq_msg_t *m = malloc(sizeof *m);
    if (!m) return NULL;
    if (zmq_msg_init_data(m, data, size, free_bytes, NULL) < 0) {
        free(m);
        return NULL;
    }
    return m;
}

void tr_msg_drop(zmq_msg_t *m) {
    zmq_msg_close(m);
    free(m);
}

static int send_retry(zmq_msg_t *m, void *sock, int flags) {
    int rc;
    do rc = zmq_msg_send(m, sock, flags | ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        int e = errno;
        zmq_msg_close(m);
        return e;
    }
    return 0;
}

static int send_bytes(void *sock, const void *p, size_t n, int flags) {
    zmq_msg_t m;
    if (zmq_msg_init_size(&m, n) < 0) {
        // Half a message cannot be taken back, and the next one would be read as its tail. Go's own allocator ends the process, too.
        fprintf(stderr, "troupe: out of memory for a message of %zu bytes\n", n);
        abort();
    }
    memcpy(zmq_msg_data(&m), p, n);
    return send_retry(&m, sock, flags);
}

static int send_frame(void *sock, tr_frame *f, int flags) {
    if (!f->whole) return send_bytes(sock, f->data, f->size, flags);
    zmq_msg_t m;
    zmq_msg_init(&m);
    if (zmq_msg_copy(&m, f->whole) < 0) return errno;
    return send_retry(&m, sock, flags);
}

static int send_one(tr_out *o, tr_frame *frames) {
    int err = 0;
    uint32_t i = 0, left = o->count + (o->hdrlen > 0);
    if (o->idlen) {
        err = send_bytes(o->sock, o->id, o->idlen, left ? ZMQ_SNDMORE : 0);
    } else if (o->idframe) {
        left--, i++;
        err = send_frame(o->sock, &frames[o->first], left ? ZMQ_SNDMORE : 0);
    }
    if (!err && o->hdrlen) {
        left--;
        err = send_bytes(o->sock, o->hdr, o->hdrlen, left ? ZMQ_SNDMORE : 0);
    }
    for (; !err && i < o->count; i++) {
        left--;
        err = send_frame(o->sock, &frames[o->first + i], left ? ZMQ_SNDMORE : 0);
    }
    return err;
}

// tr_send sends all messages, goes on after a refusal, and returns how many were refused.
int tr_send(tr_out *outs, uint32_t n, tr_frame *frames) {
    int refused = 0;
    for (uint32_t i = 0; i < n; i++) {
        outs[i].err = send_one(&outs[i], frames);
        refused += outs[i].err != 0;
    }
    return refused;
}

// tr_send_some sends messages until one is refused, and returns how many were sent. The one that was refused has its errno in err.
int tr_send_some(tr_out *outs, uint32_t n, tr_frame *frames) {
    for (uint32_t i = 0; i < n; i++) {
        outs[i].err = send_one(&outs[i], frames);
        if (outs[i].err != 0) return (int)i;
    }
    return (int)n;
}

// recv_all takes the frames of a message as they are; those beyond the limit are thrown away. It returns how many there are, 0 where no message waits (errno
// says why), and in over how many were thrown away.
static uint32_t recv_all(zmq_msg_t *frames, void *from, uint32_t *over) {
    uint32_t n = 0;
    zmq_msg_t spare;
    for (*over = 0;;) {
        zmq_msg_t *m = n < TR_MAX_FRAMES ? &frames[n] : &spare;
        zmq_msg_init(m);
        if (recv_retry(m, from) < 0) { // the first one, or the context ends under the message: half of it is none
            int e = errno;
            zmq_msg_close(m);
            while (n > 0) zmq_msg_close(&frames[--n]);
            errno = e;
            return 0;
        }
        int more = zmq_msg_more(m);
        if (m != &spare) {
            n++;
        } else {
            (*over)++;
            zmq_msg_close(m);
        }
        if (!more) return n;
    }
}

// relay_one sends a message on. It returns 0, or the errno of the first frame, which then is, as all others are, still the caller's.
static int relay_one(zmq_msg_t *frames, uint32_t n, void *to) {
    int rc;
    do rc = zmq_msg_send(&frames[0], to, ZMQ_DONTWAIT | (n > 1 ? ZMQ_SNDMORE : 0));
    while (rc < 0 && errno == EINTR);
    if (rc < 0) return errno;
    for (uint32_t i = 1; i < n; i++) // where the first one was taken, so are the others, or they are thrown away with it
        (void)send_retry(&frames[i], to, i + 1 < n ? ZMQ_SNDMORE : 0);
    return 0;
}

// tr_relay passes up to max messages on from one socket to another, without a copy. Those of fewer frames than least, or of too many, are thrown away. A message
// that nobody takes is dropped or, with waits, kept in the batch, and ends the call. It returns 0, or -1 with errno where the socket is closed.
int tr_relay(tr_in *b, void *from, void *to, uint32_t max, uint32_t least, int waits, size_t comfort, tr_relayed *r) {
    *r = (tr_relayed){0};
    while (max-- > 0 && b->nmsgs < b->msgs_cap && b->frames_cap - b->nframes >= TR_MAX_FRAMES && b->wholes_cap - b->nwholes >= TR_MAX_FRAMES) {
        zmq_msg_t frames[TR_MAX_FRAMES];
        uint32_t over, n = recv_all(frames, from, &over);
        if (n == 0) return errno == EAGAIN ? 0 : -1;
        size_t size = 0;
        for (uint32_t i = 0; i < n; i++) size += zmq_msg_size(&frames[i]);
        int refused = over > 0 || n < least;
        if (refused) {
            r->bad++;
        } else {
            r->taken++, r->size += size;
            if (relay_one(frames, n, to) == 0) {
                r->sent++;
                continue;
            }
            if (waits) {
                tr_msg *out = &b->msgs[b->nmsgs++];
                *out = (tr_msg){.first = b->nframes, .count = n, .fd = -1, .size = size};
                for (uint32_t i = 0; i < n; i++) keep(b, &frames[i], comfort);
                r->held = 1;
                return 0;
            }
            r->dropped++;
        }
        for (uint32_t i = 0; i < n; i++) zmq_msg_close(&frames[i]);
    }
    return 0;
}
