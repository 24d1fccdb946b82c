/* An allocator whose allocations run out. */
#include "support/scarce_memory.h"

#include <stdlib.h>

long scarce_left = -1;
size_t scarce_held;

static void *failing_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    if (scarce_left >= 0 && scarce_left-- == 0)
        return NULL;
    void *p = NULL;
    if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size ? size : 1))
        return NULL;
    scarce_held++;
    return p;
}

static void counting_free(void *user, void *p, size_t size, size_t align)
{
    (void)user;
    (void)size;
    (void)align;
    scarce_held -= p != NULL;
    free(p);
}

onnx_infer_allocator scarce_allocator(void)
{
    return (onnx_infer_allocator){sizeof(onnx_infer_allocator), NULL, failing_alloc, counting_free};
}
