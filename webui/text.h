/* Texts that came from a bundle or a demo, made fit for a fixed field and for JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Copies at most size - 1 bytes, never half a character; what is not UTF-8 becomes '?'. */
void text_copy(char *out, size_t size, const char *text);

/* "just now", "5 minutes ago", "3 days ago" */
void text_ago(uint64_t then_ms, char out[32]);
/* "4 s", "12 min", "3 h 20 min", "5 d 2 h" */
void text_duration(uint64_t ms, char out[32]);
