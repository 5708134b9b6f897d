#include "job/plan.h"

#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

int plan_print(const struct plan *p, struct err *err)
{
    json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s}", "debs",
                          p->debs, "digest", p->digest, "pre", p->pre, "main", p->main, "bound",
                          p->bound, "pins_sdk", p->pins_sdk, "python", p->program, "python_id",
                          p->id, "base", p->base, "installer", p->installer, "warning", p->warning);
    _cleanup_free_ char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return err_set(err, ENOMEM, "out of memory");
    printf("plan %s\n", text);
    return 0;
}
