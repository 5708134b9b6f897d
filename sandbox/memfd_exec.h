/* Running from a sealed copy in memory, so that nothing that gets hold of /proc/PID/exe of a
 * sandbox's PID 1 could write to the program on disk (CVE-2019-5736). */
#pragma once

/* Runs this program again from such a copy, with the same arguments; returns if it runs from one
 * already, or if the machine does not let it. */
void memfd_exec(char **argv);
