/* Draws graphs with bodies for test_random. */
#ifndef TESTS_OPTIMIZER_RANDOM_BODIES_H
#define TESTS_OPTIMIZER_RANDOM_BODIES_H

#include <stdint.h>

/* Text for graph_from_text: If, Loop and Scan, one in another too, whose bodies compute some of what the graph around them
 * computes, what does not change from turn to turn, and what both branches compute. The caller frees it. */
char *make_body_graph(uint64_t seed);

#endif
