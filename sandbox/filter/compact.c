/* See compact.h. The program is followed for every call that could make a difference, which gives a
 * decision diagram: a node asks for one word of the call (a part of it, by a mask) and has a list
 * of ranges of its value with what follows; equal nodes are one. Then a program is made of the
 * diagram, from its end to its beginning, as jumps lead forward. A node's ranges become a tree of
 * comparisons that is as small as can be, and flat where that costs nothing. */
#include "compact.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NODES 4096
#define MAX_RANGES 4096
#define MAX_KNOWN 16
#define CHAIN 5      /* single values that are tried one after the other, at most */
#define MAX_JUMP 255 /* of a comparison */

/* What is asked for: (word at offset) & mask. */
struct word {
    uint32_t offset, mask;
};

struct range {
    uint32_t first; /* up to the next range's first - 1 */
    int next;       /* a node */
};

struct node {
    bool is_verdict;
    uint32_t verdict;
    struct word word;
    struct range *ranges;
    int n;
    size_t at; /* of its program, counted from the end; 0: not there yet */
};

struct known {
    struct word word;
    uint32_t value;
};

struct compact {
    const struct sock_filter *code;
    size_t n;
    struct node nodes[MAX_NODES];
    int n_nodes;
    struct sock_filter *out; /* backwards: out[0] is the last instruction */
    size_t n_out, max;
    struct err *err;
};

static bool same_word(struct word a, struct word b)
{
    return a.offset == b.offset && a.mask == b.mask;
}

static bool same_node(const struct node *a, const struct node *b)
{
    if (a->is_verdict || b->is_verdict)
        return a->is_verdict == b->is_verdict && a->verdict == b->verdict;
    if (!same_word(a->word, b->word) || a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->ranges[i].first != b->ranges[i].first || a->ranges[i].next != b->ranges[i].next)
            return false;
    return true;
}

/* The number of this node; takes its ranges over. */
static int intern(struct compact *c, struct node *node)
{
    for (int i = 0; i < c->n_nodes; i++)
        if (same_node(&c->nodes[i], node)) {
            free(node->ranges);
            return i;
        }
    if (c->n_nodes == MAX_NODES) {
        free(node->ranges);
        return err_set(c->err, E2BIG, "the filter makes too many decisions");
    }
    c->nodes[c->n_nodes] = *node;
    return c->n_nodes++;
}

/* ---- from a program to the diagram */

static bool is_true(uint16_t op, uint32_t value, uint32_t k)
{
    return op == BPF_JEQ ? value == k : op == BPF_JGT ? value > k : value >= k;
}

static const struct known *find(const struct known *known, int n, struct word word)
{
    for (int i = 0; i < n; i++)
        if (same_word(known[i].word, word))
            return &known[i];
    return NULL;
}

enum { WALK_VERDICT, WALK_ASKS };

/* Follows the program as far as what is known leads: to a verdict, or to a comparison of a word
 * that is not known. */
static int walk(const struct compact *c, size_t *pc, struct word *a, const struct known *known,
                int n_known)
{
    for (;;) {
        if (*pc >= c->n)
            return err_set(c->err, ENOTSUP, "the filter has no end");
        const struct sock_filter *i = &c->code[*pc];
        switch (i->code) {
        case BPF_RET | BPF_K:
            return WALK_VERDICT;
        case BPF_LD | BPF_W | BPF_ABS:
            *a = (struct word){i->k, UINT32_MAX};
            ++*pc;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a->mask &= i->k;
            ++*pc;
            break;
        case BPF_JMP | BPF_JA:
            *pc += 1 + i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K: {
            const struct known *k = find(known, n_known, *a);
            if (!k && a->mask)
                return WALK_ASKS;
            bool yes = is_true(BPF_OP(i->code), k ? k->value : 0, i->k);
            *pc += 1u + (yes ? i->jt : i->jf);
            break;
        }
        default:
            return err_set(c->err, ENOTSUP, "the filter has an instruction of kind 0x%x", i->code);
        }
    }
}

/* Where answers about one word change, found by following all that the program may ask on the way.
 */
struct search {
    struct word word;
    const struct known *known;
    int n_known;
    uint32_t first[MAX_RANGES]; /* of ranges, in no order */
    int n;
    struct { /* comparisons that were met */
        size_t pc;
        struct word word;
    } seen[BPF_MAXINSNS];
    int n_seen;
};

static bool is_new(struct search *s, size_t pc, struct word word)
{
    for (int i = 0; i < s->n_seen; i++)
        if (s->seen[i].pc == pc && same_word(s->seen[i].word, word))
            return false;
    return true;
}

static int collect(const struct compact *c, size_t pc, struct word a, struct search *s)
{
    int r;
    while ((r = walk(c, &pc, &a, s->known, s->n_known)) == WALK_ASKS && is_new(s, pc, a)) {
        const struct sock_filter *i = &c->code[pc];
        if (s->n_seen == BPF_MAXINSNS || s->n + 2 > MAX_RANGES)
            return err_set(c->err, E2BIG, "the filter compares too often");
        s->seen[s->n_seen].pc = pc;
        s->seen[s->n_seen++].word = a;
        if (same_word(a, s->word)) {
            if (BPF_OP(i->code) != BPF_JGT)
                s->first[s->n++] = i->k;
            if (BPF_OP(i->code) != BPF_JGE && i->k != UINT32_MAX)
                s->first[s->n++] = i->k + 1;
        }
        r = collect(c, pc + 1 + i->jt, a, s);
        if (r < 0)
            return r;
        pc += 1u + i->jf;
    }
    return r < 0 ? r : 0;
}

static int compare_firsts(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The node for the program from pc on: its number. */
static int diagram(struct compact *c, size_t pc, struct word a, const struct known *known,
                   int n_known)
{
    int r = walk(c, &pc, &a, known, n_known);
    if (r < 0)
        return r;
    struct node node = {.is_verdict = r == WALK_VERDICT};
    if (node.is_verdict) {
        node.verdict = c->code[pc].k;
        return intern(c, &node);
    }
    if (n_known == MAX_KNOWN)
        return err_set(c->err, E2BIG, "the filter asks for too many words");
    node.word = a;
    struct known more[MAX_KNOWN];
    if (n_known > 0)
        memcpy(more, known, (size_t)n_known * sizeof(*known));
    more[n_known].word = a;

    struct search *s = calloc(1, sizeof(*s));
    if (s) {
        s->word = a;
        s->known = known;
        s->n_known = n_known;
        s->n = 1; /* the range that begins with 0 */
        r = collect(c, pc, a, s);
        qsort(s->first, (size_t)s->n, sizeof(*s->first), compare_firsts);
        node.ranges = calloc((size_t)s->n, sizeof(*node.ranges));
    }
    if (!s || !node.ranges)
        r = err_set(c->err, ENOMEM, "out of memory");
    for (int i = 0; r >= 0 && i < s->n; i++) {
        if (i > 0 && s->first[i] == s->first[i - 1])
            continue;
        more[n_known].value = s->first[i];
        r = diagram(c, pc, a, more, n_known + 1);
        if (r >= 0 && (node.n == 0 || node.ranges[node.n - 1].next != r))
            node.ranges[node.n++] = (struct range){s->first[i], r};
    }
    free(s);
    if (r < 0) {
        free(node.ranges);
        return r;
    }
    if (node.n == 1) { /* all the same */
        r = node.ranges[0].next;
        free(node.ranges);
        return r;
    }
    return intern(c, &node);
}

/* ---- from the diagram to a program */

/* Puts an instruction in front of all others: where it is, counted from the end. */
static size_t put(struct compact *c, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
    if (c->n_out < c->max)
        c->out[c->n_out] = (struct sock_filter){code, jt, jf, k};
    return ++c->n_out;
}

/* The distance for a jump from an instruction that is put next. */
static size_t distance(const struct compact *c, size_t at)
{
    return c->n_out - at;
}

/* The node's program, within reach of the next instructions: where a jump would not get there, a
 * step of the way (or the verdict again) is put in front. */
static size_t near(struct compact *c, int node, size_t reach)
{
    struct node *n = &c->nodes[node];
    if (distance(c, n->at) + reach > MAX_JUMP)
        n->at = n->is_verdict ? put(c, BPF_RET | BPF_K, 0, 0, n->verdict)
                              : put(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(c, n->at));
    return n->at;
}

/* How ranges i..j of a node are told apart best: by `split` (the first range of the right side),
 * or, where that is 0, by trying single values one after the other. */
struct plan {
    int cost, depth, split;
};

static bool is_single(const struct node *n, int i)
{
    return i + 1 < n->n && n->ranges[i].first + 1 == n->ranges[i + 1].first;
}

/* Of ranges i..j the one value that all have that are no single ones, if there are few of those;
 * else -1. */
static int chain_rest(const struct node *n, int i, int j, int *ret_singles)
{
    int rest = -1, singles = 0;
    for (int k = i; k <= j; k++)
        if (!is_single(n, k)) {
            if (rest >= 0 && n->ranges[k].next != rest)
                return -1;
            rest = n->ranges[k].next;
        }
    for (int k = i; k <= j; k++)
        singles += n->ranges[k].next != rest;
    *ret_singles = singles;
    return singles <= CHAIN ? rest : -1;
}

static struct plan *plan_at(struct plan *plans, const struct node *n, int i, int j)
{
    return &plans[i * n->n + j];
}

static void plan_node(const struct node *n, struct plan *plans)
{
    for (int len = 1; len <= n->n; len++)
        for (int i = 0, j = len - 1; j < n->n; i++, j++) {
            struct plan best = {INT32_MAX, 0, 0};
            int singles, rest = len == 1 ? n->ranges[i].next : chain_rest(n, i, j, &singles);
            if (rest >= 0)
                best.cost = best.depth = len == 1 ? 0 : singles;
            for (int m = i + 1; m <= j; m++) {
                const struct plan *l = plan_at(plans, n, i, m - 1), *r = plan_at(plans, n, m, j);
                int cost = 1 + l->cost + r->cost;
                int depth = 1 + (l->depth > r->depth ? l->depth : r->depth);
                if (cost < best.cost || (cost == best.cost && depth < best.depth))
                    best = (struct plan){cost, depth, m};
            }
            *plan_at(plans, n, i, j) = best;
        }
}

static size_t put_ranges(struct compact *c, const struct node *n, struct plan *plans, int i, int j)
{
    if (i == j)
        return near(c, n->ranges[i].next, 2);
    const struct plan *p = plan_at(plans, n, i, j);
    if (p->split) {
        size_t right = put_ranges(c, n, plans, p->split, j);
        size_t left = put_ranges(c, n, plans, i, p->split - 1);
        /* the right side may be out of reach by now: behind the left side, which is long */
        if (distance(c, right) > MAX_JUMP)
            right = put(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(c, right));
        if (distance(c, left) > MAX_JUMP)
            left = put(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(c, left));
        return put(c, BPF_JMP | BPF_JGE | BPF_K, (uint8_t)distance(c, right),
                   (uint8_t)distance(c, left), n->ranges[p->split].first);
    }
    int singles, rest = chain_rest(n, i, j, &singles);
    size_t at = near(c, rest, 2 * CHAIN + 2);
    for (int k = j; k >= i; k--) {
        if (n->ranges[k].next == rest)
            continue;
        size_t yes = near(c, n->ranges[k].next, 2);
        at = put(c, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)distance(c, yes), (uint8_t)distance(c, at),
                 n->ranges[k].first);
    }
    return at;
}

static int put_node(struct compact *c, int node)
{
    struct node *n = &c->nodes[node];
    if (n->at)
        return 0;
    if (n->is_verdict) {
        n->at = put(c, BPF_RET | BPF_K, 0, 0, n->verdict);
        return 0;
    }
    int r = 0;
    for (int i = 0; r == 0 && i < n->n; i++)
        r = put_node(c, n->ranges[i].next);
    struct plan *plans = n->n <= 0 ? NULL : calloc((size_t)n->n * (size_t)n->n, sizeof(*plans));
    if (r < 0 || !plans) {
        free(plans);
        return r < 0 ? r : err_set(c->err, ENOMEM, "out of memory");
    }
    plan_node(n, plans);
    size_t at = put_ranges(c, n, plans, 0, n->n - 1);
    free(plans);
    if (at != c->n_out)
        put(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance(c, at));
    if (n->word.mask != UINT32_MAX)
        put(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, n->word.mask);
    n->at = put(c, BPF_LD | BPF_W | BPF_ABS, 0, 0, n->word.offset);
    return 0;
}

int filter_compact(struct sock_filter *code, size_t n, size_t max, struct err *err)
{
    struct compact *c = calloc(1, sizeof(*c));
    struct sock_filter *out = calloc(max, sizeof(*out));
    int r = c && out ? 0 : err_set(err, ENOMEM, "out of memory");
    if (r == 0) {
        *c = (struct compact){.code = code, .n = n, .out = out, .max = max, .err = err};
        int top = diagram(c, 0, (struct word){0}, NULL, 0);
        r = top < 0 ? top : put_node(c, top);
        if (r == 0 && c->n_out > max)
            r = err_set(err, E2BIG, "the filter has %zu instructions", c->n_out);
        for (size_t i = 0; r == 0 && i < c->n_out; i++)
            code[i] = out[c->n_out - 1 - i];
        r = r < 0 ? r : (int)c->n_out;
        for (int i = 0; i < c->n_nodes; i++)
            free(c->nodes[i].ranges);
    }
    free(out);
    free(c);
    return r;
}
