/* A table from names to numbers, for one scope of a graph. */
#ifndef OI_ONNX_NAMES_H
#define OI_ONNX_NAMES_H

#include "base/alloc.h"

typedef struct {
    const char *name; /* NULL: free */
    uint32_t value;
} oi_name_slot;

typedef struct {
    const oi_alloc *alloc;
    oi_name_slot *slot;
    size_t cap, used; /* cap is 0 or a power of two */
} oi_names;

/* NULL where the name is not there. The pointer is good until the next oi_names_put. */
uint32_t *oi_names_find(const oi_names *n, const char *name);
/* The name is borrowed and must outlive the table. *added is false (and the value unchanged) where it was there. */
oi_status oi_names_put(oi_names *n, const char *name, uint32_t value, bool *added);
void oi_names_clear(oi_names *n);

#endif
