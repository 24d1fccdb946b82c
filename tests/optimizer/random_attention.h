/* Random graphs that are attention in the spellings of exporters. */
#ifndef TESTS_OPTIMIZER_RANDOM_ATTENTION_H
#define TESTS_OPTIMIZER_RANDOM_ATTENTION_H

#include <stdint.h>

/* The text of a graph, for graph_from_text. The caller frees it. */
char *make_attention_graph(uint64_t seed);

#endif
