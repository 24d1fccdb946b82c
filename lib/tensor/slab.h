/* Memory for large constants that are made together and live together, such as packed weights: cut from few pieces, which
 * come in big pages where the system has them. Pages that each constant would have of its own cost more to get than most
 * constants cost to make. */
#ifndef OI_TENSOR_SLAB_H
#define OI_TENSOR_SLAB_H

#include "tensor/tensor.h"

typedef struct oi_slab oi_slab;

oi_status oi_slab_create(const oi_alloc *a, oi_slab **out);
/* Buffers out of it live on. Accepts NULL. */
void oi_slab_destroy(oi_slab *s);

/* Uninitialised memory, OI_ALIGNed; small sizes get memory of their own. A piece goes when all buffers out of it have gone
 * and the slab has moved on to another; while it has not, it starts over in a piece that is whole again. Any thread. */
oi_status oi_slab_buffer(oi_slab *s, size_t bytes, oi_buffer **out);

#endif
