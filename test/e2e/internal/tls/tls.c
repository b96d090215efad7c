#include "tls.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread uint64_t value;

void troupe_tls_set(uint64_t v) { value = v; }

uint64_t troupe_tls_get(void) { return value; }

int troupe_tls_thread(void) { return (int)syscall(SYS_gettid); }

long troupe_tls_block(int fd) {
	char byte;
	ssize_t n;
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	return n;
}
