/* Asking the hub: metadata, lists and files of models, as huggingface_hub asks for them
 * (file_download.py, get_hf_file_metadata; hf_api.py, repo_info), by libcurl through the proxy that
 * is the only way out. */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#define HUB_WORD 129 /* of preload_word_ok, with its NUL */

struct hub {
    CURL *curl;
    const char *base; /* URL without a slash at its end */
    char error[CURL_ERROR_SIZE];
};

/* `proxy_port`: of the loopback; 0: no proxy. hub_close either way. */
int hub_open(struct hub *h, const char *base, unsigned proxy_port, struct err *err);
void hub_close(struct hub *h);

/* What the hub says of a file: its commit, its ETag without quotes, and its size. `hashed`: the
 * ETag is its SHA-256, as files of LFS have it. */
struct hub_meta {
    char commit[HUB_WORD], etag[HUB_WORD];
    bool hashed;
    uint64_t size;
};
int hub_head(struct hub *h, const char *repo, const char *revision, const char *path,
             struct hub_meta *ret, struct err *err);

/* The names of all files of a revision, each with its NUL, in `names`; the commit that it is. */
int hub_list(struct hub *h, const char *repo, const char *revision, struct buf *names,
             unsigned *ret_n, char commit[HUB_WORD], struct err *err);

/* Reads a file from `from` on. take() returns false to end it. `*ret_status` is HTTP's, 0 where
 * there was no answer; the text of a failure is h->error. The result is 0 where the body came
 * whole.
 */
int hub_get(struct hub *h, const char *repo, const char *revision, const char *path, uint64_t from,
            bool (*take)(void *arg, long status, const char *data, size_t n), void *arg,
            long *ret_status);
/* The sentence for a status that no repetition makes better; 0 where it is none. */
int hub_refused(const char *repo, const char *path, long status, struct err *err);
