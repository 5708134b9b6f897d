/* objects: egress/policy.o egress/links.o
 *
 * A policy, and pages in two pieces: the same comes out wherever they end, and no name is left. */
#include "common/buf.h"
#include "egress/links.h"
#include "egress/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static void page(const char *p, size_t size, size_t first, struct buf *out)
{
    struct links l;
    links_init(&l, true, "a.b", 443, 80);
    char *copy = malloc(size ? size : 1);
    memcpy(copy, p, size);
    MUST(links_feed(&l, copy, first, false, out) == 0);
    MUST(links_feed(&l, copy + first, size - first, true, out) == 0);
    MUST(l.n_kept == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy policy;
    struct err err = {0};
    if (policy_parse(&policy, (const char *)data, size, &err) < 0)
        MUST(*err.msg && !strchr(err.msg, '\n'));
    else
        MUST(policy.n_hosts <= POLICY_HOSTS && policy.n_logins <= POLICY_LOGINS);
    _cleanup_buf_ struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22);
    page((const char *)data, size, size, &whole);
    page((const char *)data, size, size ? data[0] % size : 0, &pieces);
    MUST(whole.len == pieces.len && whole.len <= size);
    MUST(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
    MUST(!whole.len || !strstr(whole.data, "https://a.b/"));
    return 0;
}
