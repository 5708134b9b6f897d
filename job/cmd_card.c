/* `vitrine-job card`: stdin is a README.md, which is judged as it would be in a submission; the
 * bundle itself is not there. The result is
 * {"errors":[{"message","line"?}],"warnings":[{"message"}]}, as Hugging Face's clients take it.
 * what=yaml: the front matter alone, of a repository that is no Space. */
#include "common/cleanup.h"
#include "common/util.h"
#include "job/card.h"
#include "job/front.h"
#include "job/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { README_READ_MAX = 1 << 20 };

static int add(json_t *list, const char *message)
{
    unsigned line = 0;
    json_t *o = json_pack("{s:s}", "message", message);

    if (sscanf(message, "README.md:%u:", &line) == 1)
        json_object_set_new(o, "line", json_integer(line));
    return json_array_append_new(list, o);
}

static int judge_yaml(const char *text, size_t len, struct err *err)
{
    struct front front = {0};
    struct front_split split;
    int r = front_split(text, len, &split, err);

    if (r == 0 && split.found)
        r = front_parse(split.yaml, split.yaml_len, split.yaml_line, &front, err);
    front_free(&front);
    return r;
}

static int judge_card(const char *text, size_t len, json_t *warnings, struct err *err)
{
    /* what it leaves out, the files of the bundle may say */
    const struct card_hints hints = {.has_readme = true, .has_app_py = true};
    _cleanup_(card_free) struct card card = {0};
    struct front_split split;
    size_t i;
    json_t *w;
    int r = card_read(text, len, &hints, &card, &split, err);

    json_array_foreach(card.warnings, i, w) add(warnings, json_string_value(w));
    if (r == 0 && !split.found)
        add(warnings,
            "README.md has no front matter (between two lines of ---): the SDK is guessed "
            "by the files that are there");
    return r;
}

int job_card(struct job *job, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(README_READ_MAX + 1);
    json_t *errors = json_array(), *warnings = json_array();
    struct err wrong = {0};
    int r = buf_reserve(&text, README_READ_MAX + 1);
    ssize_t n = r < 0 ? 0 : read_all(STDIN_FILENO, text.data, README_READ_MAX);

    if (r == 0 && n >= 0) {
        text.data[n] = '\0';
        r = strcmp(job_arg(job, "what", ""), "yaml") == 0
                ? judge_yaml(text.data, (size_t)n, &wrong)
                : judge_card(text.data, (size_t)n, warnings, &wrong);
        if (r < 0 && wrong.code == EINVAL)
            r = add(errors, wrong.msg);
    }
    json_t *result = json_pack("{s:o, s:o}", "errors", errors, "warnings", warnings);
    _cleanup_free_ char *said = result ? json_dumps(result, JSON_COMPACT) : NULL;

    json_decref(result);
    if (n < 0)
        return err_set(err, (int)-n, "README.md cannot be read");
    if (r < 0 || !said || buf_puts(&job->out, said) < 0)
        return err_set(err, r < 0 && wrong.code ? wrong.code : ENOMEM, "%s",
                       *wrong.msg ? wrong.msg : "out of memory");
    return 0;
}
