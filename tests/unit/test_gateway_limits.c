/* objects: gateway/limits.o; libs: -pthread */
#include "tests/unit/unit.h"

#include "gateway/limits.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage a = {0};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&a)->sin_addr) == 1)
        a.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)(void *)&a)->sin6_addr) == 1)
        a.ss_family = AF_INET6;
    return a;
}

static struct limits_address *enter(struct limits *m, const char *text, uint64_t max)
{
    struct sockaddr_storage a = address(text);
    return limits_enter(m, &a, max);
}

static void counts(void **state)
{
    (void)state;
    struct limits *m = limits_new(100);
    struct limits_address *a = enter(m, "192.0.2.1", 2);
    assert_non_null(a);
    assert_ptr_equal(enter(m, "192.0.2.1", 2), a);
    assert_null(enter(m, "192.0.2.1", 2));
    assert_null(enter(m, "::ffff:192.0.2.1", 2)); /* the same */
    assert_false(limits_again(a, 2));
    assert_true(limits_again(a, 3));
    assert_non_null(enter(m, "192.0.2.2", 1));
    for (int i = 0; i < 3; i++)
        limits_leave(a);
    a = enter(m, "192.0.2.1", 1); /* there was none left */
    assert_non_null(a);
    assert_null(enter(m, "192.0.2.1", 1));
    assert_non_null(enter(m, "2001:db8::1", 1));
    assert_null(enter(m, "2001:db8::2", 1)); /* by /64 */
    assert_non_null(enter(m, "2001:db8:0:1::1", 1));
    assert_null(enter(m, "192.0.2.9", 0));
    limits_free(m);
}

static void the_site(void **state)
{
    (void)state;
    struct limits *m = limits_new(100);
    struct limits_address *a = enter(m, "192.0.2.1", UINT64_MAX);
    assert_true(limits_enter_site(a, 2) && limits_enter_site(a, 2));
    assert_false(limits_enter_site(a, 2));
    assert_true(limits_again(a, 2)); /* the counts do not mix */
    assert_false(limits_again(a, 2));
    limits_leave_site(a);
    assert_true(limits_enter_site(a, 2));
    limits_free(m);
}

static void names(void **state)
{
    (void)state;
    struct limits *m = limits_new(100);
    struct limits_address *a = limits_enter_named(m, 'h', "demo-a", 1);
    assert_non_null(a);
    assert_null(limits_enter_named(m, 'h', "demo-a", 1));
    assert_non_null(limits_enter_named(m, 'w', "demo-a", 1));
    assert_non_null(limits_enter_named(m, 'h', "demo-b", 1));
    limits_leave(a);
    assert_non_null(limits_enter_named(m, 'h', "demo-a", 1));
    limits_free(m);
}

/* As many addresses as there may be connections find room. */
static void many(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct limits *m = limits_new(N);
    static struct limits_address *all[N];
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i)};
            struct sockaddr_storage a = {0};
            memcpy(&a, &in, sizeof(in));
            all[i] = limits_enter(m, &a, 1);
            assert_non_null(all[i]);
            assert_null(limits_enter(m, &a, 1));
        }
        for (unsigned i = 0; i < N; i++)
            limits_leave(all[i]);
    }
    limits_free(m);
}

enum { THREADS = 4, ROUNDS = 50000, MOST = 3 };
static struct limits *shared;
static _Atomic int now, most, counted;

static void *come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct limits_address *a = enter(shared, "192.0.2.1", MOST);
        if (!a)
            continue;
        int n = atomic_fetch_add(&now, 1) + 1, seen = atomic_load(&most);
        while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
            ;
        atomic_fetch_add(&counted, 1);
        atomic_fetch_sub(&now, 1);
        limits_leave(a);
    }
    return NULL;
}

/* One holds a place of it all the time, so the key stays where it is, and the limit is exact. */
static void by_several_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared = limits_new(100);
    struct limits_address *a = enter(shared, "192.0.2.1", MOST);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(counted > 0);
    assert_true(most <= MOST - 1);
    assert_true(limits_again(a, 2)); /* nobody was forgotten */
    assert_false(limits_again(a, 2));
    limits_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts), cmocka_unit_test(the_site),           cmocka_unit_test(names),
        cmocka_unit_test(many),   cmocka_unit_test(by_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
