/* A graph as a picture. */
#ifndef OI_TOOLS_SVG_H
#define OI_TOOLS_SVG_H

#include "graph/graph.h"

oi_status tool_graph_svg(const oi_graph *g, const oi_writer *w);

#endif
