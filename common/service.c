#include "service.h"

#include "cleanup.h"
#include "log.h"
#include "proto.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static enum log_level level_of(const char *word)
{
    return strcmp(word, "debug") == 0   ? LOG_LEVEL_DEBUG
           : strcmp(word, "warn") == 0  ? LOG_LEVEL_WARN
           : strcmp(word, "error") == 0 ? LOG_LEVEL_ERROR
                                        : LOG_LEVEL_INFO;
}

/* Started by hand, fd 3 is something else or nothing. */
static int check_supervisor(struct err *err)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (getsockopt(SERVICE_SUP_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
        return err_set(err, EINVAL,
                       "descriptor %d is no socket of a supervisor: this program is started by "
                       "`vitrine up`",
                       SERVICE_SUP_FD);
    int r = fd_set_nonblock(SERVICE_SUP_FD, true);
    if (r == 0)
        r = fd_set_cloexec(SERVICE_SUP_FD, true);
    return r < 0 ? err_set(err, -r, "cannot set up the supervisor's socket: %s", strerror(-r)) : 0;
}

int service_init(struct service *s, const char *program, struct err *err)
{
    s->sup_fd = -1;
    int r = check_supervisor(err);
    if (r < 0)
        return r;
    r = conf_init(&s->conf);
    if (r < 0)
        return err_set(err, -r, "no memory for the configuration");
    int conf_fd = SERVICE_CONF_FD;
    r = conf_from_fd(&s->conf, conf_fd, err);
    close_fd(&conf_fd);
    if (r < 0) {
        conf_free(&s->conf);
        return r;
    }
    signal(SIGPIPE, SIG_IGN);
    log_init(program, strcmp(s->conf.log_format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
             level_of(s->conf.log_level), 2);
    s->sup_fd = SERVICE_SUP_FD;
    return 0;
}

int service_ready(struct service *s, struct err *err)
{
    return proto_send_wait(s->sup_fd, PROTO_SUP_READY, NULL, NULL, 0, 5000, err);
}
