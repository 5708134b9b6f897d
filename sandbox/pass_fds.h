/* Descriptors from one process of the sandbox to another: a message of one byte, or of what goes
 * with them, that carries them (SCM_RIGHTS, unix(7)). What is more than this is a message of
 * common/proto.h. */
#pragma once

#include <stddef.h>

#define PASS_FDS_MAX 253 /* the kernel takes no more in one message (SCM_MAX_FD) */

/* Sends n of them, up to PASS_FDS_MAX, which stay the caller's; `flags` of sendmsg beside
 * MSG_NOSIGNAL. 0 or a negative errno. */
int pass_fds(int sock, const int *fds, int n, int flags);
int pass_data(int sock, const void *data, size_t len, const int *fds, int n, int flags);

/* Waits for such a message; `flags` of recvmsg. How many came, which are the caller's from here;
 * -EPIPE at the end of the connection, -EMSGSIZE where there were more than `max`, or another
 * negative errno. */
int pass_fds_receive(int sock, int *fds, int max, int flags);
/* The same of pass_data; -EPROTO where it was not `len` bytes long. */
int pass_data_receive(int sock, void *data, size_t len, int *fds, int max, int flags);
