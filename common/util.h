/* Small things that every program needs: clocks, whole reads and writes, files written whole,
 * names. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t now_ms(void);  /* CLOCK_REALTIME, ms since 1970 */
uint64_t mono_ms(void); /* CLOCK_MONOTONIC, ms */
uint64_t mono_us(void); /* CLOCK_MONOTONIC, us */

/* "2026-11-23T06:28:00.123Z", 25 bytes with the NUL. */
void time_iso(uint64_t ms, char out[25]);

/* Retry EINTR and short counts. 0 or negative errno; read_all returns the bytes read (< len at the
 * end of the file). */
int write_all(int fd, const void *data, size_t len);
ssize_t read_all(int fd, void *data, size_t len);

/* Writes a file whole: temporary name beside it, fsync, rename, fsync of the folder. */
int file_write_whole(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Reads at most `max` - 1 bytes of a small file into `out`, NUL-terminated, trailing newlines cut.
 * Bytes or negative errno. */
ssize_t file_read_small(const char *path, char *out, size_t max);

/* mkdir -p: every missing parent with `mode`. */
int mkdir_p(const char *path, mode_t mode, struct err *err);

/* Removes a tree without following links, staying on the device (dirfd may be AT_FDCWD). Missing is
 * fine. */
int remove_tree(int dirfd, const char *name, struct err *err);

/* "512M" -> bytes (B K M G T, powers of 1024), "500ms 3s 10m 48h 7d never" -> ms (never =
 * UINT64_MAX). 0 or -EINVAL. */
int parse_bytes(const char *s, uint64_t *ret);
int parse_duration_ms(const char *s, uint64_t *ret_ms);
/* "512 MiB", "1.5 GiB" for people. */
void format_bytes(uint64_t bytes, char out[32]);

/* Owner and Space names as Hugging Face has them: [A-Za-z0-9_.-]{1,96}, no "--", "..", no leading
 * or trailing "-" or
 * ".", not ending in ".git" (HF-API "Connection"). On failure `err` says what is wrong with it. */
int name_check(const char *name, const char *what, struct err *err);

/* The host label of a Space (DESIGN "Doors"): OWNER-NAME lowercased, what is no letter or digit
 * becomes '-', runs kept; cut to 63 with "-" and 8 hex digits of a hash where too long or where
 * `salt` is not 0 (a collision). RFC 1035 2.3.4. */
void host_label(const char *owner, const char *name, unsigned salt, char out[64]);

/* Fills with random bytes of getrandom(2) and writes 2*n hex digits and a NUL. n <= 64. */
void random_hex(char *out, size_t n);

/* Lowercase hex SHA-256 of the bytes (libsodium). 65 bytes with the NUL. */
void sha256_hex(const void *data, size_t len, char out[65]);

/* /proc/sys/kernel/random/boot_id without newline, 37 bytes. */
int boot_id(char out[37]);

int fd_set_nonblock(int fd, bool on);
/* An IPv4 TCP socket? Where one comes out of a sandbox, its word is not taken for that. */
bool fd_is_tcp(int fd);
int fd_set_cloexec(int fd, bool on);

/* The folder that holds the running executable and its sibling programs ("/usr/lib/vitrine",
 * "build"). */
int exe_dir(char *out, size_t len, struct err *err);
