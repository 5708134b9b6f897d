/* `vitrine-sandbox check`: what this machine offers. */
#pragma once

/* argv[0] is "check". 0 where workers can run, else 1; 2 for wrong usage. */
int check_main(int argc, char **argv);
