/* Jobs, as the site asks the runner for them. */
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "webui/link_own.h"
#include "webui/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORD_MAX (1 << 20)

struct link_job {
    struct link *link;
    struct proto_job body;
    struct ask ask;
};

int link_job_begin(struct link *l, const struct link_job_ask *q, struct link_job **ret,
                   struct err *err)
{
    if (q->body_fd >= 0 && lseek(q->body_fd, 0, SEEK_SET) < 0)
        return err_errno(err, "lseek");
    struct link_job *job = calloc(1, sizeof *job);
    if (!job)
        return err_set(err, ENOMEM, "out of memory");
    job->link = l;
    job->body = (struct proto_job){.job_id = link_new_id(l),
                                   .kind = q->kind,
                                   .space_id = q->space ? (uint64_t)q->space->id : 0};
    snprintf(job->body.space, sizeof job->body.space, "%s", q->space ? q->space->full : "");
    snprintf(job->body.name, sizeof job->body.name, "%s", q->name ? q->name : "");
    for (size_t i = 0; q->args && q->args[i].key; i++) {
        _cleanup_buf_ struct buf text = BUF_INIT(sizeof job->body.args);
        if (!q->args[i].value)
            continue;
        if (buf_printf(&text, "%s=%s", q->args[i].key, q->args[i].value) < 0 ||
            proto_list_add(job->body.args, &job->body.args_len, sizeof job->body.args, text.data) <
                0) {
            free(job);
            return err_set(err, EINVAL, "%s is too long", q->args[i].key);
        }
    }
    job->ask = (struct ask){
        .type = PROTO_JOB, .id = job->body.job_id, .body = &job->body, .fd = q->body_fd};
    link_ask_begin(l, &job->ask);
    *ret = job;
    return 0;
}

/* What the job told of its end, once it has. */
static int outcome(const struct link_job *job, struct err *err)
{
    const struct ask *a = &job->ask;
    return a->answered && a->code ? err_set(err, a->code, "%s", a->message) : 0;
}

int link_job_stream(struct link_job *job, unsigned timeout_ms, struct err *err)
{
    int r = link_ask_wait(job->link, &job->ask, true, timeout_ms, err);
    if (r == 0 && !job->ask.streamed)
        r = outcome(job, err);
    if (r < 0)
        return r;
    if (job->ask.stream < 0)
        return err_set(err, EPROTO, "the job has no answer");
    return steal_fd(&job->ask.stream);
}

int link_job_wait(struct link_job *job, unsigned timeout_ms, json_t **ret, struct err *err)
{
    struct ask *a = &job->ask;
    int r = link_ask_wait(job->link, a, false, timeout_ms, err);
    if (r == 0)
        r = outcome(job, err);
    if (r < 0 || !ret)
        return r;
    _cleanup_buf_ struct buf text = BUF_INIT(RECORD_MAX);
    if (a->fds[0] < 0 || lseek(a->fds[0], 0, SEEK_SET) < 0 || buf_read_fd(&text, a->fds[0]) < 0)
        return err_set(err, EPROTO, "the job's result could not be read");
    *ret = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        return err_set(err, EPROTO, "the job's result could not be read");
    }
    return 0;
}

void link_job_free(struct link_job *job)
{
    if (!job)
        return;
    link_ask_end(job->link, &job->ask);
    close_fd(&job->ask.fds[0]);
    close_fd(&job->ask.fds[1]);
    close_fd(&job->ask.stream);
    free(job);
}
