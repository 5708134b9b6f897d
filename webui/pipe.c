#include "webui/pipe.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (64 * 1024)
#define CSP "default-src 'none'; frame-ancestors 'none'"

struct pipe_source {
    int fd;
    struct link_job *job;
    unsigned wait_ms;
    bool has_length;
    char first[1];
    size_t n_first;
};

static void source_free(void *cls)
{
    struct pipe_source *p = cls;
    if (!p)
        return;
    close_fd(&p->fd); /* who writes to it ends then */
    link_job_free(p->job);
    free(p);
}

static ssize_t source_read(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct pipe_source *p = cls;
    if (p->n_first && max) {
        out[0] = p->first[0];
        p->n_first = 0;
        return 1;
    }
    ssize_t n;
    do
        n = read(p->fd, out, max);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    struct err err = {0};
    if (n < 0 || p->has_length) /* it ended before what was promised */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (link_job_wait(p->job, p->wait_ms, NULL, &err) == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    log_info(NULL, "site.pipe", "%s", err.msg);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct pipe_source *source_new(int fd, struct link_job *job, uint64_t length)
{
    struct pipe_source *p = calloc(1, sizeof *p);
    if (!p) {
        close_fd(&fd);
        link_job_free(job);
        return NULL;
    }
    *p = (struct pipe_source){
        .fd = fd, .job = job, .wait_ms = 10000, .has_length = length != UINT64_MAX};
    return p;
}

static struct MHD_Response *response_of(struct pipe_source *p, uint64_t length)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        length == UINT64_MAX ? MHD_SIZE_UNKNOWN : length, BLOCK_BYTES, source_read, p, source_free);
    if (!response)
        source_free(p);
    return response;
}

struct MHD_Response *pipe_response(int fd, struct link_job *job, uint64_t length)
{
    struct pipe_source *p = source_new(fd, job, length);
    return p ? response_of(p, length) : NULL;
}

struct MHD_Response *pipe_file(struct repo_file *f)
{
    struct MHD_Response *response = pipe_response(f->fd, f->job, f->length);
    *f = REPO_FILE_NONE;
    return response;
}

enum MHD_Result pipe_answer(struct req *r, struct link_job *job, const char *type)
{
    struct err err = {0};
    unsigned wait_ms = (unsigned)r->app->conf->upload_job_timeout + 10000;
    int fd = link_job_stream(job, wait_ms, &err);
    if (fd < 0) {
        link_job_free(job);
        return req_fail(r, &err);
    }
    struct pipe_source *p = source_new(fd, job, UINT64_MAX);
    if (!p)
        return MHD_NO;
    if (read_all(fd, p->first, 1) != 1) {
        int n = link_job_wait(job, wait_ms, NULL, &err);
        source_free(p);
        return n < 0 ? req_fail(r, &err) : req_error(r, 500, "the answer is empty");
    }
    p->n_first = 1;
    struct MHD_Response *response = response_of(p, UINT64_MAX);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-cache, max-age=0, must-revalidate");
    return req_queue(r, 200, response, CSP);
}
