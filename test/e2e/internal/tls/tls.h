#ifndef TROUPE_TEST_TLS_H
#define TROUPE_TEST_TLS_H

#include <stdint.h>

void troupe_tls_set(uint64_t value);
uint64_t troupe_tls_get(void);
int troupe_tls_thread(void);
long troupe_tls_block(int fd);

#endif
