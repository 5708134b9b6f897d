/* objects: sandbox/filter/rules.o sandbox/filter/rules_shared.o sandbox/filter/compact.o
 * sandbox/filter_verdict.o; libs: -lseccomp
 *
 * A filter that was made small has the verdicts of the one that libseccomp made: of every call by
 * its number, and with arguments at and beside every value that a rule compares with. */
#include "unit.h"

#include "sandbox/filter.h"
#include "sandbox/filter/compact.h"
#include "sandbox/filter/rules.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 600
#define ROUNDS 400 /* of random arguments, each for every call */

struct pair {
    struct sock_filter plain[BPF_MAXINSNS + 1], small[BPF_MAXINSNS + 1];
    int n_plain, n_small;
    uint64_t values[3 * BPF_MAXINSNS]; /* what is compared with, and what is next to that */
    int n_values;
};

static struct pair the_pair;

static struct pair *make(enum rules_for who, uint32_t arch)
{
    struct pair *p = &the_pair;
    struct err err = {0};
    p->n_plain = rules_make_plain(who, arch, p->plain, BPF_MAXINSNS + 1, &err);
    p->n_small = rules_make(who, arch, p->small, BPF_MAXINSNS + 1, &err);
    assert_true(p->n_plain > 0);
    assert_true(p->n_small > 0);
    p->n_values = 0;
    for (int i = 0; i < p->n_plain; i++)
        if (BPF_CLASS(p->plain[i].code) == BPF_JMP)
            for (uint64_t d = 0; d < 3; d++)
                p->values[p->n_values++] = p->plain[i].k + d - 1;
    return p;
}

static void compare(const struct pair *p, const struct seccomp_data *call)
{
    struct filter_program plain = {p->plain, (unsigned short)p->n_plain};
    struct filter_program small = {p->small, (unsigned short)p->n_small};
    uint32_t want = filter_verdict(&plain, call), got = filter_verdict(&small, call);
    if (want != got)
        fail_msg("call %d of %x (%llx, %llx, %llx): 0x%x instead of 0x%x", call->nr, call->arch,
                 (unsigned long long)call->args[0], (unsigned long long)call->args[1],
                 (unsigned long long)call->args[2], got, want);
}

/* The same numbers each time. */
static uint32_t some(uint32_t n)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % n;
}

static uint64_t some_value(const struct pair *p)
{
    uint64_t v = p->values[some((uint32_t)p->n_values)];
    switch (some(4)) {
    case 0:
        return v | (uint64_t)some(UINT32_MAX) << 32;
    case 1:
        return v | ((uint64_t)1 << some(64));
    case 2:
        return (uint32_t)v & 0xfff;
    default:
        return (uint32_t)v;
    }
}

static void same_verdicts(enum rules_for who, uint32_t arch)
{
    struct pair *p = make(who, arch);
    struct seccomp_data call = {.arch = arch};
    for (int nr = 0; nr < CALLS; nr++)
        for (int i = 0; i < ROUNDS; i++) {
            call.nr = nr;
            for (int a = 0; a < 6; a++)
                call.args[a] = some_value(p);
            compare(p, &call);
        }
    for (int i = 0; i < p->n_values; i++) { /* x32's calls, and numbers that no machine has */
        call.nr = (int)p->values[i];
        compare(p, &call);
        call.nr |= 0x40000000;
        compare(p, &call);
    }
    call.nr = 0;
    static const uint32_t others[] = {AUDIT_ARCH_I386, AUDIT_ARCH_ARM, 0, UINT32_MAX};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        call.arch = others[i];
        compare(p, &call);
    }
}

static void test_the_verdicts_are_the_same(void **state)
{
    (void)state;
    static const uint32_t machines[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
    for (size_t m = 0; m < 2; m++)
        for (int who = RULES_USER; who <= RULES_GATEWAY_SANITIZED; who++)
            same_verdicts((enum rules_for)who, machines[m]);
}

static void test_it_is_small(void **state)
{
    (void)state;
    struct pair *p = make(RULES_USER, AUDIT_ARCH_X86_64);
    assert_in_range(p->n_small, 50, p->n_plain / 2);
}

/* A tree that is larger than a jump is long. */
static void test_far_jumps(void **state)
{
    (void)state;
    static struct sock_filter code[BPF_MAXINSNS];
    struct pair *p = &the_pair;
    struct err err = {0};
    int n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (unsigned i = 0; i < 900; i++) { /* a verdict of its own for each */
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2 * i, 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | i);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    memcpy(p->plain, code, sizeof(code));
    memcpy(p->small, code, sizeof(code));
    p->n_plain = n;
    p->n_small = filter_compact(p->small, (size_t)n, BPF_MAXINSNS, &err);
    assert_true(p->n_small > 0);
    for (int nr = -1; nr < 2000; nr++)
        compare(p, &(struct seccomp_data){.nr = nr});
}

static void test_an_unknown_instruction_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 0),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    assert_int_equal(filter_compact(code, 3, 3, &err), -ENOTSUP);
    code[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 7, 0, 0);
    assert_int_equal(filter_compact(code, 3, 3, &err), -ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_verdicts_are_the_same),
        cmocka_unit_test(test_it_is_small),
        cmocka_unit_test(test_far_jumps),
        cmocka_unit_test(test_an_unknown_instruction_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
