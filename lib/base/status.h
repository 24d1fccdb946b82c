/* Status codes and the thread's error record: what every fallible function of the library returns and writes. */
#ifndef OI_BASE_STATUS_H
#define OI_BASE_STATUS_H

#include <onnx_infer.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef onnx_infer_status oi_status;

#if defined(__GNUC__)
#define OI_PRINTF(format_arg, first) __attribute__((format(printf, format_arg, first)))
#define OI_NODISCARD __attribute__((warn_unused_result))
#else
#define OI_PRINTF(format_arg, first)
#define OI_NODISCARD
#endif

/* Texts are cut at their field's size; all are NUL-terminated. */
struct onnx_infer_error {
    oi_status status;
    int32_t axis;
    int64_t got, expected;
    char node[160], op[64], tensor[160], symbol[64];
    char message[1024];
};
typedef struct onnx_infer_error oi_error;

/* The calling thread's record: of its last failure, or all empty. */
oi_error *oi_error_current(void);

/* Starts a new record with this message and returns `code`. */
oi_status oi_fail(oi_status code, const char *fmt, ...) OI_PRINTF(2, 3);
oi_status oi_fail_out_of_memory(size_t bytes);

/* Detail added to the current record on the way out. Each returns the record's status, so that
 * `return oi_error_at_axis(...)` reads well. The first to name a node or a tensor wins: it was nearest to the fault. */
oi_status oi_error_at_node(const char *node, const char *op);
oi_status oi_error_at_tensor(const char *tensor);
oi_status oi_error_at_axis(int32_t axis, int64_t got, int64_t expected);
oi_status oi_error_at_symbol(const char *symbol);
/* Puts text before the message: "node 'c3' (Conv): " */
oi_status oi_error_prefix(const char *fmt, ...) OI_PRINTF(1, 2);

const char *oi_status_name(oi_status status); /* "E_PARSE"; "E_?" for a number without a name */

/* The only control-flow macros of the code base. */
#define OI_TRY(expr)                        \
    do {                                    \
        oi_status oi_try_status_ = (expr);  \
        if (oi_try_status_ != ONNX_INFER_OK) \
            return oi_try_status_;          \
    } while (0)

#define OI_FAIL_IF(cond, code, ...)             \
    do {                                        \
        if (cond)                               \
            return oi_fail((code), __VA_ARGS__); \
    } while (0)

#endif
