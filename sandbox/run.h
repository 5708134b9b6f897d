/* `vitrine-sandbox run`: one sandbox, by hand; `vitrine-sandbox trace`: the same, watched. */
#pragma once

/* argv[0] is "run", or "trace" (trace.h). The exit status is the program's (128 + N for a signal),
 * 125 where the sandbox could not be made, 126 or 127 where the program could not be run, 2 for
 * wrong usage. */
int run_main(int argc, char **argv);
