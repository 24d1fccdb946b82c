/* Places boxes in layers and finds ways for the edges between them, without a thought of what they are. */
#ifndef OI_TOOLS_LAYERS_H
#define OI_TOOLS_LAYERS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int32_t width, height; /* given */
    bool sinks;            /* given: stands right above what first needs it, if it needs nothing itself */
    int32_t x, y, layer;   /* found; a layer is as tall as its tallest box */
} layer_box;

typedef struct {
    uint32_t from, to;  /* boxes */
    uint32_t wire;      /* edges from one place share a wire, which they leave one by one */
    int32_t out, in;    /* where it begins and ends, from the left side of its boxes; layers_place may move the end */
    bool aside;         /* given: the box does not belong below where this comes from */
} layer_edge;

/* The way of a wire: straight down through columns[0], [1], ... of the layers below its box, or, from where that ends, along a lane
 * to the right of all boxes. */
typedef struct {
    uint32_t from;
    int32_t out;
    int32_t *columns;
    uint32_t ncolumns;
    int32_t lane, lane_end; /* x, and the layer that it leads to; only where has_lane */
    bool has_lane;
} layer_wire;

typedef struct {
    layer_box *box;
    layer_edge *edge;
    layer_wire *wire;
    uint32_t nbox, nedge, nwire;
    int32_t gap;        /* given: between layers */
    int32_t *top;       /* of each layer; top[nlayer] is where the next would be */
    int32_t *bottom;    /* of each layer's tallest box */
    uint32_t nlayer;
    int32_t width, height;
    int32_t *columns;   /* of all wires */
} layers;

enum { LAYERS_LONG = 16 }; /* layers that an edge may pass between other boxes; longer ones take a lane */

/* Fills in what is to be found; edges to one box stand together in the list; memory and time grow with the number of boxes and edges, not faster. Edges that do not lead down
 * (a graph with a circle) are left without a way: their boxes' layers say so. */
oi_status layers_place(layers *l);
void layers_clear(layers *l); /* what layers_place made; box, edge and wire are the caller's */

#endif
