/* What is known of a value before running: kind, element type, shape, and content where it is constant or symbolic. */
#ifndef OI_GRAPH_FACT_H
#define OI_GRAPH_FACT_H

#include "tensor/symdim.h"
#include "tensor/value.h"

typedef struct oi_shape {
    int32_t rank; /* -1: unknown */
    oi_dim dim[OI_MAX_RANK];
} oi_shape;

typedef struct oi_fact oi_fact;
struct oi_fact {
    onnx_infer_kind kind;
    oi_dtype dtype;         /* TENSOR: of elements, UNDEFINED while unknown; MAP: of keys */
    oi_shape shape;         /* TENSOR */
    const oi_fact *elem;    /* SEQUENCE, OPTIONAL: of items; MAP: of values; NULL: unknown. In the graph's arena */
    const oi_tensor *konst; /* known content; the graph keeps it alive */
    const oi_dim *sym;      /* known symbolic content of an int64 or int32 tensor: one oi_dim an element, row-major */
    uint32_t nsym;          /* elements of sym; 0: none (an empty tensor has konst) */
};

enum { OI_SYM_CONTENT_MAX = 64 }; /* integer tensors longer than this carry no symbolic content */

/* A tensor fact without content. */
oi_fact oi_fact_tensor(oi_dtype dtype, int32_t rank, const oi_dim *dims);
oi_fact oi_fact_unknown(void); /* a tensor of unknown type and rank */
/* All dims plain numbers. */
bool oi_shape_is_concrete(const oi_shape *s);
/* Concrete, and copies the dims. */
bool oi_fact_dims(const oi_fact *f, int32_t *rank, int64_t *dims);
bool oi_shape_equal(const oi_shape *a, const oi_shape *b);
/* "float32 1x3xHxW", "sequence of float32 ?", for messages and dumps. */
const char *oi_fact_text(const oi_symtab *syms, const oi_fact *f, char *buf, size_t cap);

#endif
