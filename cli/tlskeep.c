#include "tlskeep.h"

#include "certs.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define LOOK_MS 5000               /* at the files: a few calls of stat */
#define TICKETS_MS (12 * 3600000u) /* a key encrypts for so long, and decrypts for twice that */
#define WARN_MS 86400000u

struct tlskeep {
    const struct conf *conf;
    struct certs *certs;
    struct tls_ticket_key tickets[TLS_TICKET_KEYS];
    uint64_t look_ms, tickets_ms, warn_ms; /* when to */
    bool reload;
    bool unsettled; /* files had changed at the last look: the next one reads them */
};

/* Both are random, also before there was an earlier one: who knew a key could make tickets. */
static int new_ticket_key(struct tlskeep *k, struct err *err)
{
    k->tickets[1] = k->tickets[0];
    if (getrandom(&k->tickets[0], sizeof(k->tickets[0]), 0) != sizeof(k->tickets[0]))
        return err_errno(err, "no random bytes");
    return 0;
}

static void warn(void *arg, const char *text)
{
    (void)arg;
    log_warn(NULL, "up.certificate", "%s", text);
}

static void tell(const struct tlskeep *k)
{
    char text[900];
    certs_describe(k->certs, text, sizeof(text));
    log_info(NULL, "up.certificates", "HTTPS with %s", text);
    certs_warn(k->certs, warn, NULL);
}

static int read_first(struct tlskeep *k, struct err *err)
{
    int r = certs_none_named(k->certs) ? 0 : certs_read(k->certs, err);
    if (r == 0 && !certs_none_named(k->certs))
        return 0;
    if (r < 0 && r != -ENOENT)
        return r;
    if (r < 0)
        log_error(NULL, "up.certificate",
                  "%s: until it is there, HTTPS has a certificate that is signed by itself",
                  err->msg);
    return certs_sign_oneself(k->certs, err);
}

int tlskeep_open(struct tlskeep **ret, const struct conf *conf, struct err *err)
{
    *ret = NULL;
    if (!*conf->tls_listen)
        return 0;
    struct tlskeep *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(err, ENOMEM, "out of memory");
    k->conf = conf;
    int r = certs_open(&k->certs, conf, err);
    if (r == 0)
        r = read_first(k, err);
    for (int i = 0; r == 0 && i < TLS_TICKET_KEYS; i++)
        r = new_ticket_key(k, err);
    if (r < 0) {
        tlskeep_close(k);
        return r;
    }
    tell(k);
    uint64_t now = mono_ms();
    k->look_ms = now + LOOK_MS;
    k->tickets_ms = now + TICKETS_MS;
    k->warn_ms = now + WARN_MS;
    *ret = k;
    return 0;
}

void tlskeep_close(struct tlskeep *k)
{
    if (!k)
        return;
    certs_close(k->certs);
    explicit_bzero(k, sizeof(*k));
    free(k);
}

int tlskeep_fd(const struct tlskeep *k, struct err *err)
{
    return certs_to_fd(k->certs, k->tickets, err);
}

void tlskeep_reload(struct tlskeep *k)
{
    k->reload = true;
}

/* Chain and key are not written at the same moment: what has changed is read at the next look, when
 * it has stopped to. */
static bool is_to_be_read(struct tlskeep *k, uint64_t now)
{
    bool read_it = k->reload;
    if (k->look_ms <= now) {
        bool changed = certs_changed(k->certs);
        read_it = read_it || (changed && k->unsettled);
        k->unsettled = changed && !read_it;
        k->look_ms = now + LOOK_MS;
    }
    k->reload = false;
    return read_it && !certs_none_named(k->certs);
}

bool tlskeep_look(struct tlskeep *k, uint64_t now, uint64_t *next_ms)
{
    struct err err = {0};
    bool news = false;

    if (is_to_be_read(k, now)) {
        if (certs_read(k->certs, &err) < 0) {
            log_error(NULL, "up.certificate", "%s; what was read before stays in use", err.msg);
        } else {
            tell(k);
            news = true;
        }
    }
    if (k->tickets_ms <= now) {
        if (new_ticket_key(k, &err) < 0)
            log_warn(NULL, "up.tickets", "%s", err.msg);
        k->tickets_ms = now + TICKETS_MS;
        news = true;
    }
    if (k->warn_ms <= now) {
        certs_warn(k->certs, warn, NULL);
        k->warn_ms = now + WARN_MS;
    }
    *next_ms = k->look_ms;
    return news;
}

static ssize_t read_answer(const char *folder, const char *token, char *out, size_t size)
{
    _cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    _cleanup_close_ int fd =
        openat(dir, token, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size >= (off_t)size)
        return -EINVAL;
    return read_all(fd, out, size - 1);
}

void tlskeep_challenge(const struct conf *conf, const struct proto_sup_challenge_ask *ask,
                       struct proto_sup_challenge *answer)
{
    *answer = (struct proto_sup_challenge){.ask_id = ask->ask_id};
    /* the gateway has looked already, and may be somebody else's by now */
    if (!*conf->tls_challenges || !*ask->token ||
        ask->token[strspn(ask->token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_")])
        return;
    ssize_t n =
        read_answer(conf->tls_challenges, ask->token, answer->answer, sizeof(answer->answer));
    if (n < 0) {
        if (n != -ENOENT)
            log_warn(NULL, "up.challenge", "cannot read %s in %s: %s", ask->token,
                     conf->tls_challenges, strerror((int)-n));
        return;
    }
    answer->answer[n] = '\0';
    answer->found = memchr(answer->answer, 0, (size_t)n) ? 0 : 1;
}
