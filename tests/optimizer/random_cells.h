/* Draws loops over recurrent cells for test_random. */
#ifndef TESTS_OPTIMIZER_RANDOM_CELLS_H
#define TESTS_OPTIMIZER_RANDOM_CELLS_H

#include <stdint.h>

/* Text for graph_from_text: a Scan or Loop whose body is a LSTM, GRU or RNN cell in the spelling of some exporter, or nearly
 * one. The caller frees it. */
char *make_cell_graph(uint64_t seed);

#endif
