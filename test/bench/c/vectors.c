// Replays docs/protocol/vectors.txt. usage: vectors FILE
// Prints the number of vectors and exits with 0, or the first that fails and exits with 1.
#include "hit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const refusals[] = {"ok", "bad-frame", "bad-version", "bad-type", "bad-flag"};

// Turns hexadecimal digits into bytes; "-" stands for none.
static size_t unhex(const char *text, uint8_t *out, size_t room)
{
	size_t n = 0;
	for (; n < room && sscanf(text + 2 * n, "%2hhx", out + n) == 1; n++)
		;
	return strcmp(text, "-") == 0 ? 0 : n;
}

static int header_vector(const char *line)
{
	char expect[32], hex[256];
	int frames;
	struct hit_header want = {0}, got = {0};
	if (sscanf(line, "header %*s %31s %d %255s %" SCNu8 "%" SCNu16 "%" SCNu16 "%" SCNx64 "%" SCNu32 "%" SCNu32 "%" SCNu32 "%" SCNu32,
		   expect, &frames, hex, &want.type, &want.flags, &want.status, &want.hit, &want.epoch, &want.seq, &want.part, &want.arg) < 6)
		return 0;
	uint8_t frame[128], again[HIT_HEADER];
	size_t size = unhex(hex, frame, sizeof frame);
	int status = hit_parse(&got, frame, size);
	if (status == HIT_OK)
		status = hit_check(&got, frames);
	if (strcmp(refusals[status], expect) != 0)
		return 0;
	if (status != HIT_OK)
		return 1;
	hit_put(&want, again);
	return memcmp(again, frame, HIT_HEADER) == 0 && got.type == want.type && got.flags == want.flags && got.status == want.status &&
	       got.hit == want.hit && got.epoch == want.epoch && got.seq == want.seq && got.part == want.part && got.arg == want.arg;
}

static int credit_vector(const char *line)
{
	uint64_t limit, want;
	uint32_t arg;
	if (sscanf(line, "credit %*s %" SCNu64 "%" SCNu32 "%" SCNu64, &limit, &arg, &want) != 3)
		return 0;
	return hit_credit_limit(limit, arg) == want;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (file == NULL) {
		fprintf(stderr, "usage: vectors FILE (docs/protocol/vectors.txt)\n");
		return 2;
	}
	char line[1024];
	int count = 0;
	while (fgets(line, sizeof line, file) != NULL) {
		int right = strncmp(line, "header ", 7) == 0 ? header_vector(line) : credit_vector(line);
		if (!right) {
			fprintf(stderr, "this side does not agree with: %s", line);
			return 1;
		}
		count++;
	}
	fclose(file);
	printf("%d\n", count);
	return 0;
}
