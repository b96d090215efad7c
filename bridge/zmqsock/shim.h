// The batch shim: N multipart messages in one call from Go, a batch out in one.
#ifndef TROUPE_SHIM_H
#define TROUPE_SHIM_H
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

// One frame. `whole` is set where the bytes live in a zmq_msg_t of their own instead of the arena.
typedef struct {
    void *data;
    zmq_msg_t *whole;
    size_t size;
} tr_frame;

// One received message: frames [first, first + count). `dropped` frames beyond the limit were thrown away.
typedef struct {
    uint32_t first;
    uint32_t count;
    uint32_t dropped;
    int32_t fd; // descriptor it came from, -1 if not asked for or unknown
    size_t size;
    uint32_t user; // number, from 1, of the user id of its connection in users; 0: none, or not asked for
} tr_msg;

// The public key of a connection's other end in Z85, as the guard has told it to libzmq.
typedef char tr_user[41];

// A received batch. All tables are one allocation, but users, which is made when the first one is asked for.
typedef struct {
    uint8_t *arena;
    size_t cap, used;
    tr_msg *msgs;
    tr_frame *frames;
    zmq_msg_t *wholes;
    uint32_t msgs_cap, frames_cap, wholes_cap;
    uint32_t nmsgs, nframes, nwholes;
    tr_user *users;
    uint32_t nusers;
} tr_in;

// One message to send: routing id, header, frames; each part may be absent.
typedef struct {
    void *sock;
    uint32_t first, count;
    int32_t err; // 0 sent, else the errno of its first refused frame
    uint8_t idlen, hdrlen;
    uint8_t idframe; // set where the routing id is too long for id: it is the first of the frames then
    uint8_t id[9];
    uint8_t hdr[32];
} tr_out;

#define TR_MAX_FRAMES 64

tr_in *tr_in_new(uint32_t msgs, size_t arena);
void tr_in_clear(tr_in *b, int poison);
void tr_in_free(tr_in *b);
int tr_recv(tr_in *b, void *sock, uint32_t max, size_t comfort, int router, uint64_t fd_types);
int tr_enforce(void *sock);
void tr_keep_memory(void);

// A frame of its own in C memory: moved out of a batch, or made of malloced bytes that libzmq frees. NULL when memory is exhausted.
zmq_msg_t *tr_msg_take(tr_frame *f);
zmq_msg_t *tr_msg_own(void *data, size_t size);
void tr_msg_drop(zmq_msg_t *m);

// What tr_relay has done: messages, but for size. `held`: the last one that was taken is in the batch, since nobody takes it now.
typedef struct {
    uint64_t size;
    uint32_t taken, sent, dropped, bad, held;
} tr_relayed;

int tr_relay(tr_in *b, void *from, void *to, uint32_t max, uint32_t least, int waits, size_t comfort, tr_relayed *r);

int tr_send(tr_out *outs, uint32_t n, tr_frame *frames);
int tr_send_some(tr_out *outs, uint32_t n, tr_frame *frames);
#endif
