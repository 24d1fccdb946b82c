/* A graph as a picture. */
#ifndef OI_TOOLS_SVG_H
#define OI_TOOLS_SVG_H

#include "graph/graph.h"

typedef struct {
    const char *model; /* what it is called */
    uint64_t flops;    /* of a run; 0: not known */
} tool_picture_facts;

oi_status tool_graph_svg(const oi_graph *g, const tool_picture_facts *facts, const oi_writer *w);

#endif
