/* objects: ; any bytes as a configuration file, and as one that is handed over */
#include "common/cleanup.h"
#include "common/conf.h"
#include "common/util.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("conf", MFD_CLOEXEC);
    if (fd < 0 || write_all(fd, data, size) < 0)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct conf c;
    struct err err = {0};
    if (conf_init(&c) < 0)
        abort();
    if (conf_load(&c, path, &err) == 0) {
        /* What was read is the same after it was handed over. */
        struct conf d;
        _cleanup_close_ int sealed = conf_to_fd(&c, &err);
        if (sealed < 0 || conf_init(&d) < 0 || conf_from_fd(&d, sealed, &err) < 0 ||
            strcmp(c.server_data, d.server_data) != 0 ||
            c.lifecycle_sleep_after != d.lifecycle_sleep_after || c.limits_cpu != d.limits_cpu ||
            c.limits_memory != d.limits_memory)
            abort();
        conf_free(&d);
        (void)conf_check(&c, &err);
    } else if (err.code == 0 || !strstr(err.msg, path)) {
        abort();
    }
    (void)conf_from_fd(&c, fd, &err);
    conf_free(&c);
    return 0;
}
