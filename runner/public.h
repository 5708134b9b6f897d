/* Reasons that visitors and submitters read. The words of a failure inside this program or of the
 * system name paths of the server; those are for its log and its event log alone. */
#pragma once

/* `message` if it is fit for everybody, else a sentence that says as much as may be said. */
const char *public_reason(int code, const char *message);
