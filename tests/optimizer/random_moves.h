/* Draws graphs of operators that move elements, for test_random. */
#ifndef TESTS_OPTIMIZER_RANDOM_MOVES_H
#define TESTS_OPTIMIZER_RANDOM_MOVES_H

#include <stdint.h>

/* Text for graph_from_text: transposes and views with operators of axes and elementwise ones between them. The caller frees
 * it. */
char *make_move_graph(uint64_t seed);

#endif
