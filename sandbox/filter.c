/* See filter.h. */
#include "filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

int filter_load(const struct filter_program *p, struct err *err)
{
    struct sock_fprog prog = {.len = p->len, .filter = (struct sock_filter *)p->code};
    long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
    if (r < 0)
        return err_errno(err, "load the filter of %u instructions", p->len);
    if (r > 0)
        return err_set(err, ESRCH, "load the filter: thread %ld does not take it", r);
    return 0;
}
