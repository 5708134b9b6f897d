#include "runner/worker_end.h"

#include "common/limits_met.h"
#include "common/util.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void worker_end_read(const char *path, struct worker_end *end)
{
    static const struct {
        const char *word;
        enum proto_exit_reason reason;
    } words[] = {
        {"exited", EXIT_EXITED},           {"signaled", EXIT_SIGNALED},
        {"stopped", EXIT_STOPPED},         {"lease", EXIT_LEASE},
        {"exec-failed", EXIT_EXEC_FAILED}, {"exec_failed", EXIT_EXEC_FAILED},
        {"network", EXIT_NETWORK},
    };
    char text[400], word[32], met[300] = "";
    int status = 0, signo = 0;
    if (file_read_small(path, text, sizeof(text)) <= 0 ||
        sscanf(text, "%31s %d %d %299s", word, &status, &signo, met) < 3)
        return;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i].word) == 0) {
            end->reason = words[i].reason;
            end->status = status;
            end->signal = signo;
        }
    }
    end->met |= limits_met_of_names(met);
}

/* What a program ran out of, and who can do what about it. */
static const char ask_operator[] = "ask the operator for more (vitrine limits)";

/* How it ended; true where it was killed and did not end by itself. */
static bool how(const struct worker_end *end, char *out, size_t size)
{
    switch (end->reason) {
    case EXIT_EXITED:
        snprintf(out, size, "exited with status %d", end->status);
        return false;
    case EXIT_SIGNALED:
        if (end->signal == SIGSYS) /* the filter kills for nothing else */
            snprintf(out, size,
                     "killed by SIGSYS: it made a system call of another kind of program (32-bit?) "
                     "or one that a filter of its own forbids; vitrine-sandbox trace names it");
        else if (sigabbrev_np(end->signal))
            snprintf(out, size, "killed by SIG%s", sigabbrev_np(end->signal));
        else
            snprintf(out, size, "killed by signal %d", end->signal);
        return end->signal == SIGKILL;
    case EXIT_STOPPED:
        snprintf(out, size, "stopped");
        return false;
    case EXIT_LEASE:
        snprintf(out, size, "ended itself: no runner came for it");
        return false;
    case EXIT_NETWORK:
        snprintf(out, size, "its way to the internet ended (slirp4netns); the log says more");
        return false;
    case EXIT_EXEC_FAILED:
        snprintf(out, size, "its program could not be started: %s", strerror(end->status));
        return false;
    }
    snprintf(out, size, "the whole sandbox was killed");
    return true;
}

void worker_end_text(const struct space_limits *l, const struct worker_end *end, char *out,
                     size_t size)
{
    const uint32_t memory = LIMIT_BIT(LIMIT_MEMORY), pids = LIMIT_BIT(LIMIT_PIDS),
                   file_size = LIMIT_BIT(LIMIT_FILE_SIZE);
    if (end->message[0]) {
        snprintf(out, size, "%s", end->message);
        return;
    }
    char limit[80];
    bool killed = how(end, out, size);
    size_t len = strlen(out);
    uint32_t said = 0;
    limit_met_text(LIMIT_MEMORY, l->v[LIMIT_MEMORY], limit);
    if (end->met & memory && killed) {
        snprintf(out, size, "%s; load less, or %s", limit, ask_operator);
        said = memory;
    } else if (end->met & memory && end->reason != EXIT_STOPPED) {
        snprintf(out + len, size - len, " (%s; load less, or %s)", limit, ask_operator);
        said = memory;
    } else if (limits_met_of_end(end->status, end->signal)) {
        limit_met_text(LIMIT_FILE_SIZE, l->v[LIMIT_FILE_SIZE], limit);
        snprintf(out, size, "%s; write smaller ones, or %s", limit, ask_operator);
        said = file_size;
    } else if (end->met & pids && end->reason == EXIT_EXITED) {
        snprintf(out + len, size - len,
                 " (it met its limit of %" PRIu64 " processes and threads; start fewer, or %s)",
                 l->v[LIMIT_PIDS], ask_operator);
        said = pids;
    }
    char rest[400];
    limits_met_text(end->met & ~said, l, rest, sizeof(rest));
    len = strlen(out);
    if (*rest)
        snprintf(out + len, size - len, " (ran into: %s%s%s)", rest,
                 said || end->reason == EXIT_STOPPED ? "" : "; use less, or ",
                 said || end->reason == EXIT_STOPPED ? "" : ask_operator);
}
