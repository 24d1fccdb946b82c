/* An allocator for tests whose allocations run out: one fails when it is asked for, all are counted. */
#ifndef TESTS_SUPPORT_SCARCE_MEMORY_H
#define TESTS_SUPPORT_SCARCE_MEMORY_H

#include <onnx_infer.h>

/* Allocations until one fails, once; below 0: none does. 0 or more afterwards says that none had to. */
extern long scarce_left;
/* Blocks that were given and not taken back. */
extern size_t scarce_held;

onnx_infer_allocator scarce_allocator(void);

#endif
