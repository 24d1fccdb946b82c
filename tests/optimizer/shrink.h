/* Makes a graph's text that fails a test as small as it gets. */
#ifndef TESTS_OPTIMIZER_SHRINK_H
#define TESTS_OPTIMIZER_SHRINK_H

#include <stdbool.h>

/* A text that still fails: lines go, values take each other's place, numbers get smaller, as long as `fails` says so. Each attempt
 * is made in a child process, since most of them are no graphs at all. The caller frees it. */
char *shrink(const char *text, bool (*fails)(void *user, const char *text), void *user);

#endif
