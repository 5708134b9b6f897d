/* One attempt is one function that returns true if it got what it was after: it read the token of
 * a canary (and printed it), changed a canary, or got past a check that should have held. It knows
 * the canaries from the environment (tests/attack/canaries.py), but not the token, so a leak is
 * proven by the token that it prints. No attempt does harm where it succeeds: it opens without
 * writing, or calls with arguments that are refused after the check of rights only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_MARK "vitrine-canary-"
#define TOKEN_LEN (sizeof(TOKEN_MARK) - 1 + 32)

struct attempt {
    const char *name;
    bool (*run)(const struct attempt *a);
    const char *path; /* what it is about, where one function serves several attempts */
    long n;
};

struct attempt_group {
    const char *kind; /* escape, kernel, leak, peers, bomb */
    const struct attempt *attempts;
    size_t count;
};

extern const struct attempt_group files_group, escape_group, kernel_group, rights_group, leak_group,
    peers_group, storms_group, bombs_group;

/* A canary's name or number from the environment; "" and -1 where it was not set up. */
const char *canary(const char *name);
long canary_number(const char *name);
/* DIR/NAME in the folder of the canaries, in a buffer that the next call overwrites. */
const char *canary_path(const char *name);
/* A folder that the attempt may write in. */
const char *scratch(void);

/* Prints the token if it is in there. */
bool has_token(const char *data, size_t len);
/* Reads at most 1 MiB (without waiting longer than a second), and looks for the token. */
bool fd_has_token(int fd);
bool file_has_token(const char *path);
bool can_open(const char *path, int flags);
/* True where the call was not refused for lack of rights: it worked, or failed for its arguments.
 */
bool past_check(long result);

/* Of a monotonic clock, and how long a bomb is to work. */
double bomb_now(void);
double bomb_seconds(void);

/* main.c: the victim and the neighbour that the suite sets up, and the one who measures */
int victim_main(void);
int neighbour_main(void);
/* docker_like.c: writes the filter to standard output, as bwrap --seccomp takes it */
int docker_filter_main(void);
int measure_main(const char *path, double seconds);
