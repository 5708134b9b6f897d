/* common/tlsname.c and tlsbundle.c. libs: */
#include "common/cleanup.h"
#include "common/tlsbundle.h"
#include "common/tlsname.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void names_fit(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool fits;
    } cases[] = {
        {"example.org", "example.org", true},
        {"example.org", "EXAMPLE.org", true},
        {"Example.org", "example.org.", true},
        {"example.org", "a.example.org", false},
        {"example.org", "example.orgx", false},
        {"*.example.org", "a.example.org", true},
        {"*.example.org", "A.Example.Org.", true},
        {"*.example.org", "example.org", false},
        {"*.example.org", ".example.org", false},
        {"*.example.org", "a.b.example.org", false},
        {"*.example.org", "a.example.com", false},
        {"*a.example.org", "ba.example.org", false},
        {"a.*.org", "a.b.org", false},
        {"*", "localhost", false},
        {"*.", "localhost.", false},
        {"", "", true},
        {"", "a", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (tls_name_fits(cases[i].pattern, strlen(cases[i].pattern), cases[i].host) !=
            cases[i].fits)
            fail_msg("%s and %s", cases[i].pattern, cases[i].host);
}

static void bundles_come_back(void **state)
{
    struct tls_bundle b = {.n_pairs = 2,
                           .pairs = {{{"chain", 5}, {"key", 3}}, {{"other", 5}, {"", 0}}}};
    struct tls_bundle back;
    struct err err = {0};
    (void)state;
    memset(b.tickets, 7, sizeof(b.tickets));
    b.tickets[1].hmac[31] = 9;
    _cleanup_close_ int fd = tlsbundle_to_fd(&b, &err);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1); /* sealed */
    _cleanup_buf_ struct buf bytes = BUF_INIT(TLS_BUNDLE_MAX);
    assert_int_equal(tlsbundle_from_fd(&back, fd, &bytes, &err), 0);
    assert_int_equal(back.n_pairs, 2);
    assert_memory_equal(back.pairs[0].chain.data, "chain", 5);
    assert_memory_equal(back.pairs[1].chain.data, "other", 5);
    assert_int_equal(back.pairs[1].key.len, 0);
    assert_memory_equal(back.tickets, b.tickets, sizeof(b.tickets));

    /* each piece of it alone is refused, or holds less */
    for (size_t cut = 0; cut < bytes.len; cut++) {
        _cleanup_close_ int part = memfd_create("part", MFD_CLOEXEC);
        _cleanup_buf_ struct buf some = BUF_INIT(TLS_BUNDLE_MAX);
        assert_int_equal(write(part, bytes.data, cut), (ssize_t)cut);
        assert_int_equal(lseek(part, 0, SEEK_SET), 0);
        int r = tlsbundle_from_fd(&back, part, &some, &err);
        assert_true(r == -EPROTO || (r == 0 && back.n_pairs < 2));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_fit),
        cmocka_unit_test(bundles_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
