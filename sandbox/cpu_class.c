/* See cpu_class.h. */
#include "cpu_class.h"

#include "common/cleanup.h"
#include "common/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHARE 4         /* a fourth of a CPU in the long run: who uses less is no hog */
#define MOST_US 100000  /* of credit, and of debt */
#define START_US 20000  /* of credit, with which a group begins */
#define ENOUGH_US 25000 /* takes a batch group out of that class */
#define FIRST_WAIT_US 100000ull
#define MOST_LAPSES 6        /* 6.4 s */
#define FORGIVEN_US 10000000 /* so long without a lapse */
#define CPUS_OF_ONE 8        /* of that many, batch groups leave one alone */
#define CALM_US 1000000      /* how long somebody calm counts as at work */
#define HOGS_US 2000000      /* and a hog: moving to and fro is not free */
#define LOAD_US 200000       /* for which the load of the calm is measured */
#define FITS_PERCENT 50      /* of what was left alone: they keep to it, */
#define TOO_MUCH_PERCENT 75  /* and no more */
#define WORK_PART 200        /* who uses less than this part of a CPU does nothing */
#define INTERVAL_MS 50       /* while somebody works */
#define START_INTERVAL_MS 20 /* the first time after a start */
#define CALM_INTERVAL_MS 250
#define BACK_NICE 10 /* a tenth of a share: not so little that what it frees is missed */
#define CALM_PART 20 /* all together less than this part of one CPU: nobody works */

bool cpu_class_judge(struct cpu_class *g, uint64_t now_us, uint64_t used_us)
{
    int64_t credit =
        g->credit_us + (int64_t)((now_us - g->looked_us) / SHARE) - (int64_t)(used_us - g->used_us);
    g->credit_us = credit > MOST_US ? MOST_US : credit < -MOST_US ? -MOST_US : credit;
    g->looked_us = now_us;
    g->used_us = used_us;
    uint64_t since_us = now_us - g->changed_us;
    if (!g->batch && since_us > FORGIVEN_US)
        g->lapses = 0;
    bool batch = g->batch ? g->credit_us < ENOUGH_US || since_us < (FIRST_WAIT_US << g->lapses)
                          : g->credit_us < 0;
    if (batch && !g->batch && g->lapses < MOST_LAPSES)
        g->lapses++;
    return batch;
}

bool cpu_class_left_fits(bool fits, uint64_t used_us, uint64_t since_us, int cpus)
{
    uint64_t percent = used_us * 100 / since_us / (uint64_t)cpus;
    return percent <= (fits ? TOO_MUCH_PERCENT : FITS_PERCENT);
}

/* The CPUs that we may use, and those of them that batch groups keep to. */
static bool has_narrow(struct cpu_classes *c)
{
    if (c->n_narrow == 0) {
        c->n_narrow = -1;
        if (sched_getaffinity(0, sizeof(c->all), &c->all) == 0) {
            int n = CPU_COUNT(&c->all), leave = n < 2 * CPUS_OF_ONE ? 1 : n / CPUS_OF_ONE;
            c->narrow = c->all;
            for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && leave > 0 && n > 1; cpu--)
                if (CPU_ISSET(cpu, &c->narrow)) {
                    CPU_CLR(cpu, &c->narrow);
                    leave--;
                }
            CPU_XOR(&c->left, &c->all, &c->narrow);
            c->n_narrow = n > 1 ? CPU_COUNT(&c->narrow) : -1;
        }
    }
    return c->n_narrow > 0;
}

static bool narrow_fits(struct cpu_classes *c, uint64_t cpu_milli)
{
    return has_narrow(c) && cpu_milli && cpu_milli <= (uint64_t)c->n_narrow * 1000;
}

/* `from`: where it probably is, since a folder lists its entries in the same order each time. */
static struct cpu_class *find(struct cpu_classes *c, const char *name, size_t from)
{
    for (size_t i = 0; i < c->n; i++) {
        struct cpu_class *g = &c->list[(from + i) % c->n];
        if (strcmp(g->group.name, name) == 0)
            return g;
    }
    return NULL;
}

static struct cpu_class *add(struct cpu_classes *c, const struct cgroup_host *h,
                             const struct cgroup_group *group, uint64_t now)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct cpu_class *grown = reallocarray(c->list, cap, sizeof(*grown));
        if (!grown)
            return NULL;
        c->list = grown;
        c->cap = cap;
    }
    struct cpu_class *g = &c->list[c->n];
    *g = (struct cpu_class){.group = *group, .looked_us = now, .changed_us = now};
    int batch = cgroup_batch(h, &g->group);
    if (batch < 0)
        return NULL;
    g->batch = batch == 1;
    g->narrow_fits = narrow_fits(c, cgroup_cpu_milli(h, group));
    g->used_us = cgroup_cpu_us(h, &g->group);
    g->credit_us = g->used_us > 2 * MOST_US ? -MOST_US : START_US - (int64_t)g->used_us;
    c->n++;
    return g;
}

/* Each group that there is, new ones included; those that are gone are forgotten. */
static void list_groups(struct cpu_classes *c, const struct cgroup_host *h, uint64_t now)
{
    for (size_t i = 0; i < c->n; i++)
        c->list[i].seen = false;
    struct cgroup_group g;
    if (h->single) {
        cgroup_single_name(&g);
        struct cpu_class *one = c->n ? &c->list[0] : add(c, h, &g, now);
        if (one)
            one->seen = true;
    } else {
        int fd = h->fd[h->v2[CGROUP_CPU] ? CGROUP_UNIFIED : CGROUP_CPU];
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *e;
        size_t next = 0;
        while (d && (e = readdir(d))) {
            if (e->d_type != DT_DIR || e->d_name[0] != 'g' || strlen(e->d_name) >= sizeof(g.name))
                continue;
            struct cpu_class *one = find(c, e->d_name, next);
            memcpy(g.name, e->d_name, strlen(e->d_name) + 1);
            /* what waits for its order is nobody's yet, and saves no credit */
            if (!one && (!cgroup_is_marked(h, &g) || !(one = add(c, h, &g, now))))
                continue;
            one->seen = true;
            next = (size_t)(one - c->list) + 1;
        }
    }
    for (size_t i = c->n; i-- > 0;)
        if (!c->list[i].seen)
            c->list[i] = c->list[--c->n];
}

/* It says itself that it is in one of `groups` (a word of their names). */
static bool is_in(pid_t tid, const char *groups)
{
    char path[32], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/cgroup", tid);
    return file_read_small(path, text, sizeof(text)) >= 0 && strstr(text, groups);
}

void cpu_class_give_back(pid_t tid, const cpu_set_t *given, const cpu_set_t *all,
                         const char *groups)
{
    cpu_set_t has;
    if (sched_getaffinity(tid, sizeof(has), &has) == 0 && CPU_EQUAL(&has, given) &&
        !is_in(tid, groups))
        (void)sched_setaffinity(tid, sizeof(*all), all);
}

/* Whoever is not in the group any more has ended, perhaps before the CPUs were set, and its number
 * may have been somebody else's by then. */
static void look_again(const struct cpu_classes *c, const struct cgroup_host *h,
                       const struct cpu_class *g, const pid_t *tids, int n, const cpu_set_t *given)
{
    pid_t now[CGROUP_MAX_THREADS];
    int n_now = cgroup_threads(h, &g->group, now), at = 0;
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < n_now && now[(at + k) % n_now] != tids[i])
            k++;
        if (k < n_now)
            at = (at + k + 1) % n_now; /* the next is likely to follow */
        else
            cpu_class_give_back(tids[i], given, &c->all, h->single ? g->group.name : h->name);
    }
}

/* Each of its threads, as they are now; those that they make later inherit it. No program can
 * change it (sandbox/filter/lists.h). */
static void keep_to(const struct cpu_classes *c, const struct cgroup_host *h, struct cpu_class *g,
                    enum cpu_place place)
{
    const cpu_set_t *set = place == PLACE_NARROW ? &c->narrow
                           : place == PLACE_LEFT ? &c->left
                                                 : &c->all;
    pid_t tids[CGROUP_MAX_THREADS];
    int n = cgroup_threads(h, &g->group, tids);
    for (int i = 0; i < n; i++)
        (void)sched_setaffinity(tids[i], sizeof(*set), set);
    if (place != PLACE_ALL)
        look_again(c, h, g, tids, n, set);
    g->place = place;
}

/* How long the threads that it has now have waited for a CPU in all. */
static uint64_t waited_us(const struct cgroup_host *h, const struct cgroup_group *g)
{
    pid_t tids[CGROUP_MAX_THREADS];
    int n = cgroup_threads(h, g, tids);
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) {
        char path[40], text[80] = "";
        unsigned long long waited_ns = 0;
        snprintf(path, sizeof(path), "/proc/%d/schedstat", tids[i]);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read_all(fd, text, sizeof(text) - 1) > 0 &&
            sscanf(text, "%*u %llu", &waited_ns) == 1)
            sum += waited_ns / 1000;
    }
    return sum;
}

/* Uses little because it wants little, and not because it is given little? Known from the second
 * time on. */
static bool wants_little(struct cpu_class *g, const struct cgroup_host *h, uint64_t now)
{
    uint64_t waited = waited_us(h, &g->group), before = g->waited_us, at = g->waited_at_us;
    g->waited_us = waited;
    g->waited_at_us = now;
    return at && (waited <= before || waited - before < (now - at) / SHARE);
}

/* Or may be one, as long as it was not calm for a moment. */
static bool is_hog(const struct cpu_class *g)
{
    return g->batch || !g->was_calm;
}

static void judge(struct cpu_classes *c, struct cpu_class *g, const struct cgroup_host *h,
                  uint64_t now)
{
    uint64_t used = cgroup_cpu_us(h, &g->group), just_used = used - g->used_us;
    g->worked = just_used > (now - g->looked_us) / WORK_PART;
    if (is_hog(g)) {
        if (g->worked && g->narrow_fits)
            c->hogs_until_us = now + HOGS_US;
    } else {
        c->load_us += just_used;
        if (g->worked)
            c->calm_until_us = now + CALM_US;
    }
    bool batch = cpu_class_judge(g, now, used);
    bool calm_now = !batch && (g->batch || !g->was_calm) && g->credit_us >= ENOUGH_US;
    if (calm_now && !wants_little(g, h, now))
        return;
    g->was_calm |= calm_now;
    g->waited_at_us = batch || !g->was_calm ? g->waited_at_us : 0;
    if (batch != g->batch && cgroup_set_batch(h, &g->group, batch)) {
        g->batch = batch;
        g->changed_us = now;
    }
}

/* Who makes one sandbox knows nothing of the calm ones beside it. */
static bool is_kept_off(const struct cpu_classes *c, const struct cgroup_host *h, uint64_t now)
{
    return h->single || now < c->calm_until_us;
}

static void weigh_calm(struct cpu_classes *c, uint64_t now)
{
    uint64_t since = now - c->load_since_us;
    if (since < LOAD_US || c->n_narrow <= 0)
        return;
    c->left_fits = cpu_class_left_fits(c->left_fits, c->load_us, since, CPU_COUNT(&c->left));
    c->load_us = 0;
    c->load_since_us = now;
}

/* Where its threads belong now. Somebody calm who does nothing stays where he is until hogs and
 * the others part company: that would be a price for each of many who sleep. */
static enum cpu_place place_of(const struct cpu_classes *c, const struct cgroup_host *h,
                               const struct cpu_class *g, uint64_t now)
{
    if (is_hog(g))
        return g->narrow_fits && is_kept_off(c, h, now) ? PLACE_NARROW : PLACE_ALL;
    bool apart = !h->single && c->n_narrow > 0 && c->left_fits && now < c->hogs_until_us;
    return apart && (g->worked || g->place == PLACE_LEFT) ? PLACE_LEFT : PLACE_ALL;
}

/* Have they used so little together that none of them can be a hog? */
static bool are_calm(struct cpu_classes *c, const struct cgroup_host *h, uint64_t now)
{
    uint64_t used = 0; /* by nobody, before the one is known */
    if (!h->single || c->n)
        used = cgroup_cpu_us(h, h->single ? &c->list[0].group : NULL);
    bool calm = c->peeked_us && used - c->used_us < (now - c->peeked_us) / CALM_PART;
    c->peeked_us = now;
    c->used_us = used;
    return calm;
}

int cpu_classes_look(struct cpu_classes *c, const struct cgroup_host *h)
{
    uint64_t now = mono_us(), waited_ms = (now - c->peeked_us) / 1000;
    if (!cgroup_host_has(h, CGROUP_CPU))
        return -1;
    if (c->peeked_us && waited_ms < (uint64_t)c->interval_ms)
        return c->n || c->hurry ? c->interval_ms - (int)waited_ms : -1;
    bool calm = are_calm(c, h, now);
    if (!calm || c->some_waiting || c->hurry) {
        list_groups(c, h, now);
        c->some_waiting = c->hurry = false;
        for (size_t i = 0; i < c->n; i++)
            judge(c, &c->list[i], h, now);
        weigh_calm(c, now);
        for (size_t i = 0; i < c->n; i++) {
            struct cpu_class *g = &c->list[i];
            enum cpu_place place = place_of(c, h, g, now);
            if (place != g->place)
                keep_to(c, h, g, place);
            c->some_waiting |= is_hog(g) || place != PLACE_ALL;
        }
    }
    c->interval_ms = calm && !c->some_waiting ? CALM_INTERVAL_MS : INTERVAL_MS;
    return c->n ? c->interval_ms : -1;
}

void cpu_classes_begin(struct cpu_classes *c, const struct cgroup_host *h, pid_t pid,
                       uint64_t cpu_milli)
{
    c->interval_ms = START_INTERVAL_MS;
    c->hurry = true;
    if (narrow_fits(c, cpu_milli) && is_kept_off(c, h, mono_us()))
        (void)sched_setaffinity(pid, sizeof(cpu_set_t), &c->narrow);
}

void cpu_classes_step_back(struct cpu_classes *c)
{
    (void)setpriority(PRIO_PROCESS, 0, BACK_NICE);
    if (has_narrow(c))
        (void)sched_setaffinity(0, sizeof(c->narrow), &c->narrow);
}

void cpu_classes_expect(struct cpu_classes *c)
{
    c->hogs_until_us = mono_us() + HOGS_US;
    c->hurry = true;
}

void cpu_classes_free(struct cpu_classes *c)
{
    free(c->list);
    *c = (struct cpu_classes){0};
}
