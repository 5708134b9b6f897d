#include "headers.h"

#include <string.h>
#include <strings.h>

#define VALUES_MAX 4

const char *const custom_header_names[HEADER_COUNT] = {
    [HEADER_COEP] = "cross-origin-embedder-policy",
    [HEADER_COOP] = "cross-origin-opener-policy",
    [HEADER_CORP] = "cross-origin-resource-policy",
};

static const char *const values[HEADER_COUNT][VALUES_MAX] = {
    [HEADER_COEP] = {"unsafe-none", "require-corp", "credentialless"},
    [HEADER_COOP] = {"unsafe-none", "same-origin-allow-popups", "same-origin",
                     "noopener-allow-popups"},
    [HEADER_CORP] = {"same-site", "same-origin", "cross-origin"},
};

enum custom_header custom_header_find(const char *name)
{
    enum custom_header h = 0;
    while (h < HEADER_COUNT && strcasecmp(custom_header_names[h], name) != 0)
        h++;
    return h;
}

unsigned custom_header_value(enum custom_header which, const char *value)
{
    for (unsigned i = 0; i < VALUES_MAX && values[which][i]; i++)
        if (strcasecmp(values[which][i], value) == 0)
            return i + 1;
    return 0;
}

const char *custom_header_text(enum custom_header which, unsigned number)
{
    return number >= 1 && number <= VALUES_MAX ? values[which][number - 1] : NULL;
}
