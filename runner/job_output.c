#include "runner/job_output.h"

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/flavours.h"
#include "common/util.h"
#include "runner/logs.h"
#include "runner/runner.h"
#include "runner/space.h"
#include "runner/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define PROGRESS_EACH_MS 100

void job_fail(struct job *j, int code, const char *message)
{
    if (j->error_code) /* the first one counts */
        return;
    j->error_code = code;
    snprintf(j->error, sizeof(j->error), "%s", message);
}

static void warn_of_hardware(const struct job *j, const char *suggested)
{
    struct flavour f;
    if (!suggested || !*suggested || flavour_find(conf_of(j->r), suggested, &f))
        return;
    logs_build(j->r, j->space->id, false,
               "warning: suggested_hardware: this server has no \"%.40s\"%s; the nearest is %s, "
               "which it gets unless its settings say otherwise",
               suggested, flavours_have_gpu(conf_of(j->r)) ? "" : " (and no GPU)", f.name);
}

static void take_result(struct job *j, const char *json)
{
    json_error_t e;
    json_t *o = json_loads(json, 0, &e);
    const char *sha = json_string_value(json_object_get(o, "sha"));
    size_t len = sha ? strlen(sha) : 0;
    if (!json_is_object(o) ||
        (sha && ((len != 40 && len != 64) || strspn(sha, "0123456789abcdef") != len))) {
        job_fail(j, EPROTO, "it was done, but the result cannot be read");
        json_decref(o);
        return;
    }
    free(j->result);
    j->result = strdup(json);
    if (!j->result)
        job_fail(j, ENOMEM, "the server is out of memory");
    if (!sha || !j->kind->logged || !json_object_get(o, "sdk")) { /* no version */
        json_decref(o);
        return;
    }
    snprintf(j->sha, sizeof(j->sha), "%s", sha);
    logs_build(j->r, j->space->id, false, "%" JSON_INTEGER_FORMAT " files, sdk %s",
               json_integer_value(json_object_get(o, "files")),
               json_string_value(json_object_get(o, "sdk")));
    size_t i;
    json_t *w;
    json_array_foreach(json_object_get(o, "warnings"), i, w)
        logs_build(j->r, j->space->id, false, "warning: %s", json_string_value(w));
    warn_of_hardware(
        j, json_string_value(json_object_get(json_object_get(o, "card"), "suggested_hardware")));
    json_decref(o);
}

static void take_progress(struct job *j, const char *line)
{
    struct proto_job_progress p = {.job_id = j->job_id};
    uint64_t now = mono_ms();
    if (now - j->progress_ms < PROGRESS_EACH_MS ||
        sscanf(line, "%63s %" SCNu64 " %" SCNu64, p.step, &p.done, &p.total) != 3)
        return;
    j->progress_ms = now;
    link_send(&j->r->webui, PROTO_JOB_PROGRESS, &p, NULL, 0);
}

/* "ERRNO SENTENCE", where it makes a difference which error it is */
static void take_refusal(struct job *j, const char *text)
{
    char *end;
    long code = strtol(text, &end, 10);
    job_fail(j, code > 0 && code < 134 ? (int)code : EINVAL, *end == ' ' ? end + 1 : end);
}

static bool take_line(void *arg, char *line, size_t len)
{
    (void)len;
    struct job *j = arg;
    if (strncmp(line, "progress ", 9) == 0)
        take_progress(j, line + 9);
    else if (strncmp(line, "result ", 7) == 0 && !j->result)
        take_result(j, line + 7);
    else if (strncmp(line, "refused ", 8) == 0)
        take_refusal(j, line + 8);
    else if (strncmp(line, "error ", 6) == 0)
        job_fail(j, EINVAL, line + 6);
    return true;
}

void job_output_read(struct job *j, unsigned pieces)
{
    int n = j->out < 0 ? 1 : lines_read(&j->lines, j->out, pieces, take_line, j);
    if (n > 0)
        return;
    if (n < 0) {
        job_fail(j, EPROTO, "the job's result is too large");
        if (j->worker)
            worker_stop(j->worker, 0);
    }
    loop_del(j->r->loop, &j->out_io);
    close_fd(&j->out);
}
