/* The listening sockets that `up` holds, so that a program's restart refuses no connection. */
#pragma once

#include "common/err.h"

#include <stddef.h>
#include <sys/types.h>

/* "127.0.0.1:8080", "[::1]:8080" or "localhost:8080" as a listening TCP socket, non-blocking and
 * close-on-exec. `actual` gets the address with its real port (port 0 takes a free one). "[::]"
 * takes IPv4 as well, unless its port is taken there. Waits `wait_ms` for a port that is still in
 * use by a program that is ending. -EADDRINUSE, -EACCES and -EADDRNOTAVAIL have their remedy in the
 * message. */
int listener_tcp(const char *listen_on, int wait_ms, char *actual, size_t len, struct err *err);

/* A listening Unix stream socket at an absolute path, in place of one that nobody listens on any
 * more; with this mode, and of this owner where there is one (names or numbers; "" for none). */
int listener_path(const char *path, mode_t mode, const char *user, const char *group,
                  struct err *err);

/* Where it listens: "127.0.0.1:80", "[::1]:80", or the path of a Unix socket. */
int listener_where(int fd, char *out, size_t len, struct err *err);

/* A listening Unix stream socket `name` in the folder `dir_fd`, in place of one that was left
 * there; mode 0600. */
int listener_unix(int dir_fd, const char *name, struct err *err);

/* A stream socket connected to it, non-blocking; never waits (-EAGAIN where its queue is full). */
int listener_unix_connect(int dir_fd, const char *name, struct err *err);

/* Cuts "ADDR:PORT" in two; brackets of an IPv6 address are taken off. 0 or -EINVAL. */
int listener_split(const char *listen_on, char *addr, size_t addr_len, char *port, size_t port_len,
                   struct err *err);
