/* The flavours that owners may choose from ([hardware] flavours). */
#pragma once

#include "common/err.h"
#include "common/flavours.h"
#include "webui/app.h"
#include "webui/site.h"

/* The limits that the Space has by default: the configuration's with those of its flavour. False
 * where that is not what was asked for, since this server has no such flavour: *ret is the
 * nearest one. */
bool hardware_of(struct app *app, const struct space *space, struct flavour *ret,
                 struct space_limits *limits);
/* "2 vCPU", "16 GB" as Hugging Face writes them. */
void hardware_cpu_text(const struct space_limits *l, char out[32]);
void hardware_ram_text(const struct space_limits *l, char out[32]);
/* "2 GPUs", "" for none. */
void hardware_gpu_text(unsigned gpus, char out[32]);
/* -EINVAL with the flavours that there are where that is none. Hugging Face's name of a GPU is one
 * where there is a flavour with a GPU, which is what the Space has then. */
int hardware_check(const struct app *app, const char *flavour, struct err *err);
/* The same, and what the Space has from its next start on. */
int hardware_set(struct app *app, const struct space *space, const char *flavour, struct err *err);
