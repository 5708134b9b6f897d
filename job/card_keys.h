/* The keys of the front matter that mean something here, and what their values may be. */
#pragma once

#include "common/err.h"
#include "job/front.h"

/* Checks every known key. One without a value (`thumbnail:`) counts as not there. -EINVAL names
 * file, line and reason. */
int card_check_keys(const struct front *front, struct err *err);
