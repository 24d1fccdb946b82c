/* Memory: every allocation of the library goes through an oi_alloc, the caller's or the C library's. */
#ifndef OI_BASE_ALLOC_H
#define OI_BASE_ALLOC_H

#include "base/status.h"

typedef struct onnx_infer_allocator oi_alloc;

#define OI_ALIGN 64 /* of tensor data: a cache line and the widest vector */

/* malloc and free of the C library. */
extern const oi_alloc oi_alloc_libc;

/* Zeroed memory for control structures, aligned for any type; NULL (and a record) when there is none.
 * Freed by oi_free_mem with the same allocator. `a` NULL: oi_alloc_libc. */
void *oi_alloc_mem(const oi_alloc *a, size_t bytes);
/* count * size, checked. */
void *oi_alloc_array(const oi_alloc *a, size_t count, size_t size);
/* Grows or shrinks what oi_alloc_mem gave (old may be NULL); new bytes are zero. On failure NULL, and old stays. */
void *oi_realloc_mem(const oi_alloc *a, void *old, size_t bytes);
void oi_free_mem(const oi_alloc *a, void *p);
char *oi_alloc_text(const oi_alloc *a, const char *text, size_t n); /* a NUL-terminated copy */

/* Uninitialised memory for tensor data, aligned to OI_ALIGN and followed by OI_ALIGN spare bytes that vector loads may
 * touch; freed with the same size. */
void *oi_alloc_data(const oi_alloc *a, size_t bytes);
void oi_free_data(const oi_alloc *a, void *p, size_t bytes);

#endif
