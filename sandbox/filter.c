/* See filter.h. */
#include "filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

int filter_load(const struct filter_program *p, struct err *err)
{
    struct sock_fprog prog = {.len = p->len, .filter = (struct sock_filter *)p->code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return err_errno(err, "load the filter of %u instructions", p->len);
    return 0;
}
