/* Random graphs that are nearly one of the graphs that rules rewrite or leave (cases.h). */
#ifndef TESTS_OPTIMIZER_RANDOM_MUTANT_H
#define TESTS_OPTIMIZER_RANDOM_MUTANT_H

#include <stddef.h>
#include <stdint.h>

/* The text of a graph, for graph_from_text. The caller frees it. */
char *make_mutant_graph(uint64_t seed);

/* The graphs that they are made of, i = 0, 1, ..., as they are; NULL: no more. The caller frees it. */
char *unmutated_graph(size_t i);

#endif
