#include "runner/layer.h"

#include "common/built.h"
#include "runner/runner.h"
#include "runner/start_list.h"

int layer_fill(struct proto_start *start, const struct runner *r, const char *key)
{
    return built_layer(r->data, key, start_list_built, start);
}
