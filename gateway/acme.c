#include "acme.h"

#include "client.h"
#include "reply.h"

#include <string.h>

#define WAITING_MAX 64
#define WAIT_MS 5000

static const char place[] = "/.well-known/acme-challenge/";
#define PLACE_LEN (sizeof(place) - 1)

void acme_init(struct challenges *ch, uint64_t first_id)
{
    *ch = (struct challenges){.sup_fd = -1, .last_id = first_id};
    list_init(&ch->waiting);
}

bool acme_is_challenge(const char *target, size_t len)
{
    return len >= PLACE_LEN && memcmp(target, place, PLACE_LEN) == 0;
}

static void none(struct client *c)
{
    reply_send(c, &(struct reply){.status = 404,
                                  .title = "No such challenge",
                                  .text = "There is no answer to this challenge."});
}

/* base64url, as RFC 8555 has it: so it is no path. */
static bool is_token(const char *p, size_t len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i++)
        if (!memchr(letters, p[i], sizeof(letters) - 1))
            return false;
    return len > 0;
}

void acme_ask(struct client *c, const char *target, size_t len)
{
    struct challenges *ch = &c->loop->challenges;
    struct proto_sup_challenge_ask ask = {.ask_id = ++ch->last_id};
    const char *token = target + PLACE_LEN;

    len -= PLACE_LEN;
    if (!c->loop->conf->tls_challenges[0] || len >= sizeof(ask.token) || !is_token(token, len)) {
        none(c);
        return;
    }
    memcpy(ask.token, token, len);
    if (ch->n_waiting >= WAITING_MAX ||
        proto_send(ch->sup_fd, PROTO_SUP_CHALLENGE_ASK, &ask, NULL, 0, NULL) < 0) {
        reply_send(c, &(struct reply){.status = 503, .title = "Too busy", .retry_after_s = 1});
        return;
    }
    c->challenge_id = ask.ask_id;
    c->state = CLIENT_CHALLENGE;
    ch->n_waiting++;
    list_push_back(&ch->waiting, &c->wait);
    client_set_deadline(c, WAIT_MS);
}

void acme_answer(struct loop *l, const struct proto_sup_challenge *m)
{
    struct link *at = l->challenges.waiting.next;

    for (; at != &l->challenges.waiting; at = at->next) {
        struct client *c = container_of(at, struct client, wait);
        if (c->challenge_id != m->ask_id)
            continue;
        client_unwait(c);
        if (m->found)
            reply_text(c, m->answer);
        else
            none(c);
        return;
    }
}

void acme_give_up(struct client *c)
{
    client_unwait(c);
    reply_send(c, &(struct reply){.status = 503, .title = "No answer in time", .retry_after_s = 1});
}
