/* Waiting for another thread, for so long at most. The clock is CLOCK_MONOTONIC: nobody waits
 * longer because somebody set the time of day. */
#pragma once

#include <pthread.h>
#include <time.h>

/* The condition is its owner's to destroy. */
void timedwait_init(pthread_cond_t *c);
/* For pthread_cond_timedwait on such a condition: when `ms` from now are over. */
struct timespec timedwait_end(unsigned ms);
