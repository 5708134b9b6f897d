/* Whom the CPU goes to first. Sandboxes share it equally for as long as they like; but one that
 * works without a pause is *batch*: the kernel runs it whenever nobody else wants to (cpu.idle,
 * Linux 5.15), so that short work never waits for long work. Who has been calm for a moment is
 * taken out of that class, and who is a hog is put back.
 *
 * That is not all where the kernel does not preempt itself: neighbours would wait for the end of
 * long system calls. So batch groups, and new ones until they were calm, keep off some CPUs (one of
 * eight, at least one where there are two) if their limit lets them do with less, as long as there
 * is somebody calm who works. The kernel takes a CPU on which only batch groups run for an idle
 * one, and would still wake the calm there: while there are hogs, who is calm and works keeps to
 * the CPUs that were left alone, as long as all of them together need no more than a part of those.
 *
 * The measure is a credit of CPU time: it grows by a quarter of the time that passes, and shrinks
 * by what was used; at most a tenth of a second of it is saved, and owed. A hog among many hogs
 * gets little and looks calm, so whoever was put back waits twice as long the next time. All groups
 * of the folder that belong to a worker are looked at, whoever made them, so that nothing has to be
 * remembered across a restart. */
#pragma once

#include "sandbox/cgroup.h"

#include <sched.h>
#include <stdint.h>

enum cpu_place { PLACE_UNKNOWN, PLACE_ALL, PLACE_NARROW, PLACE_LEFT };

struct cpu_class {
    struct cgroup_group group;
    uint64_t looked_us, used_us; /* when it was looked at, what it had used by then */
    uint64_t changed_us;         /* when it became what it is */
    int64_t credit_us;
    uint64_t waited_us, waited_at_us; /* by its threads for a CPU; as of when, 0: not asked */
    unsigned lapses;                  /* how often it was put back lately */
    bool batch, was_calm, seen;
    bool narrow_fits; /* its limit is no more than the CPUs that batch groups have */
    bool worked;      /* at the last look */
    enum cpu_place place;
};

struct cpu_classes {
    struct cpu_class *list; /* owned */
    size_t n, cap;
    bool some_waiting, hurry; /* to be taken for calm; somebody began */
    cpu_set_t all, narrow, left;
    int n_narrow;           /* CPUs; 0: not known yet, -1: no narrower set than all */
    uint64_t peeked_us;     /* at what they use together; on the monotonic clock, 0: not yet */
    uint64_t used_us;       /* by all of them, then */
    uint64_t calm_until_us; /* somebody calm has worked not long before */
    uint64_t hogs_until_us; /* the same of somebody who is kept off what was left alone */
    uint64_t load_us, load_since_us; /* used by the calm since then */
    bool left_fits;                  /* they need little enough of it */
    int interval_ms;
};

/* To be called again after that many milliseconds, or earlier: -1 where there is nothing to look
 * after (no CPU controller, no group, a kernel without cpu.idle). Called too early it does nothing
 * but answer. */
int cpu_classes_look(struct cpu_classes *c, const struct cgroup_host *h);
/* A sandbox is being made: `pid` is its PID 1, which the program's process will follow (program.c),
 * `cpu_milli` its limit (0: none). Looks again soon. */
void cpu_classes_begin(struct cpu_classes *c, const struct cgroup_host *h, pid_t pid,
                       uint64_t cpu_milli);
/* The calling process works where batch groups do, and steps back behind whoever works there that
 * is none. */
void cpu_classes_step_back(struct cpu_classes *c);
/* A process that has stepped back gets work: as if there were a hog. */
void cpu_classes_expect(struct cpu_classes *c);
void cpu_classes_free(struct cpu_classes *c);

/* The judgement alone: at `now_us` it has used `used_us`. True where it is to be a batch group from
 * now on. Changes no control group. */
bool cpu_class_judge(struct cpu_class *g, uint64_t now_us, uint64_t used_us);
/* A thread that was given the CPUs `given` and is none of `groups` (a word of their names) gets
 * `all` instead. */
void cpu_class_give_back(pid_t tid, const cpu_set_t *given, const cpu_set_t *all,
                         const char *groups);
/* Do the calm need so little that the CPUs which were left alone will do? They used that much
 * together in the last `since_us` (not 0); `fits` is what was said before. */
bool cpu_class_left_fits(bool fits, uint64_t used_us, uint64_t since_us, int cpus);
