#include "sitedial.h"

#include "common/cleanup.h"
#include "listener.h"

#include <errno.h>

#define MAX_IN_A_ROW 16 /* then everything else of the supervisor has its turn */

static int answer(int sock, int run_fd, uint32_t count, struct err *err)
{
    int fds[PROTO_MAX_FDS], n = 0;
    struct proto_dialed dialed = {0};
    if (count > PROTO_MAX_FDS)
        count = PROTO_MAX_FDS;
    while ((uint32_t)n < count) {
        int fd = listener_unix_connect(run_fd, "webui.sock", NULL);
        if (fd < 0) {
            dialed.error = (uint32_t)-fd;
            break;
        }
        fds[n++] = fd;
    }
    if (n > 0)
        dialed.error = 0;
    dialed.count = (uint32_t)n;
    int r = proto_send(sock, PROTO_DIALED, &dialed, fds, n, err);
    while (n > 0)
        close_fd(&fds[--n]);
    return r;
}

int sitedial_serve(int sock, int run_fd, struct proto_msg *msg, struct err *err)
{
    for (int i = 0; i < MAX_IN_A_ROW; i++) {
        int r = proto_recv(sock, msg, 0, err);
        if (r == -EAGAIN)
            return 0;
        if (r == 0)
            return err_set(err, EPIPE, "the gateway has closed its way to the site");
        if (r < 0)
            return r;
        if (msg->type == PROTO_DIAL && msg->n_fds == 0)
            r = answer(sock, run_fd, msg->u.dial.count, err);
        else
            r = err_set(err, EPROTO, "the gateway sent %s where DIAL was due",
                        proto_type_name(msg->type));
        proto_msg_done(msg);
        if (r < 0)
            return r;
    }
    return 0;
}
