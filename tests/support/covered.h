/* Notes which public functions a test program called, what they returned and which pointers were NULL. The linker sends
 * the calls of programs that link $(api_ldadd) through a shim that tests/support/header.py makes from the header. */
#ifndef OI_TESTS_COVERED_H
#define OI_TESTS_COVERED_H

#include <stdatomic.h>
#include <stdint.h>

/* What one function was seen to do in this process. */
typedef struct {
    _Atomic uint64_t slot[64];
} oi_covered_set;

/* Appends "function status nulls" to the file that $ONNX_INFER_COVERED names, once for each combination and process.
 * status: -1 for a function that returns none; nulls: a bit for each pointer argument that was NULL. Any thread; does
 * not allocate. */
void oi_covered(oi_covered_set *seen, const char *function, int status, unsigned nulls);

#endif
