/* panel.h - how packing cuts a number of output vectors into panels for the register tiles. */
#ifndef OI_KERNELS_PANEL_H
#define OI_KERNELS_PANEL_H

#include <stdbool.h>
#include <stddef.h>

/* Two vectors a panel; an odd number ends with a panel of three, a single vector is a panel of its own. */
static inline size_t oi_panel_count(size_t vectors) { return vectors < 2 ? vectors : vectors / 2; }

/* The width of panel i in vectors; *first is the number of vectors before it. */
static inline size_t oi_panel_vectors(size_t vectors, size_t i, size_t *first)
{
    *first = 2 * i;
    return i + 1 == oi_panel_count(vectors) ? vectors - *first : 2;
}

/*
 * The slice of the next panel (`next`, `floats` long, or NULL) that tile i of a panel fetches ahead while it
 * works through `depth` values of k, a cache line for each. The first tile is busy with its own panel, unless
 * tiles are `few`.
 */
static inline const float *oi_panel_ahead(const float *next, size_t floats, size_t depth, size_t i, bool few)
{
    const size_t at = (i - !few) * depth * 16;
    return next && (i > 0 || few) && at + depth * 16 <= floats ? next + at : NULL;
}

#endif
