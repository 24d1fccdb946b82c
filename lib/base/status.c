/* The thread's error record. It is the one object of the library that is not reached through a handle: the C interface
 * promises the text of the last failure to each thread. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

static _Thread_local oi_error current = {.axis = -1, .got = -1, .expected = -1};

static const char *const status_names[] = {
    "OK", "E_INVALID_ARGUMENT", "E_OUT_OF_MEMORY", "E_IO", "E_PARSE", "E_INVALID_MODEL", "E_UNSUPPORTED_OP",
    "E_UNSUPPORTED_TYPE", "E_UNSUPPORTED_VERSION", "E_SHAPE_MISMATCH", "E_TYPE_MISMATCH", "E_NOT_FOUND", "E_CANCELLED",
    "E_DEADLINE", "E_BACKEND_UNAVAILABLE", "E_BACKEND", "E_BUSY", "E_LIMIT", "E_BUFFER_TOO_SMALL", "E_CACHE_STALE",
    "E_DATA_DEPENDENT", "E_INTERNAL",
};

oi_error *oi_error_current(void)
{
    return &current;
}

static void copy_text(char *dst, size_t cap, const char *src)
{
    size_t n = src ? strnlen(src, cap - 1) : 0;
    if (n)
        memcpy(dst, src, n);
    dst[n] = 0;
}

oi_status oi_fail(oi_status code, const char *fmt, ...)
{
    char message[sizeof current.message];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(message, sizeof message, fmt, args) < 0)
        message[0] = 0;
    va_end(args);
    memset(&current, 0, sizeof current);
    current.status = code;
    current.axis = -1;
    current.got = current.expected = -1;
    memcpy(current.message, message, sizeof message);
    return code;
}

oi_status oi_fail_out_of_memory(size_t bytes)
{
    return oi_fail(ONNX_INFER_E_OUT_OF_MEMORY, "out of memory: %zu bytes could not be allocated", bytes);
}

oi_status oi_error_at_node(const char *node, const char *op)
{
    if (!current.node[0] && !current.op[0]) {
        copy_text(current.node, sizeof current.node, node);
        copy_text(current.op, sizeof current.op, op);
    }
    return current.status;
}

oi_status oi_error_at_tensor(const char *tensor)
{
    if (!current.tensor[0])
        copy_text(current.tensor, sizeof current.tensor, tensor);
    return current.status;
}

oi_status oi_error_at_axis(int32_t axis, int64_t got, int64_t expected)
{
    current.axis = axis;
    current.got = got;
    current.expected = expected;
    return current.status;
}

oi_status oi_error_at_symbol(const char *symbol)
{
    copy_text(current.symbol, sizeof current.symbol, symbol);
    return current.status;
}

oi_status oi_error_prefix(const char *fmt, ...)
{
    char text[sizeof current.message];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0)
        return current.status;
    size_t used = strnlen(text, sizeof text - 1);
    copy_text(text + used, sizeof text - used, current.message);
    memcpy(current.message, text, sizeof text);
    return current.status;
}

const char *oi_status_name(oi_status status)
{
    if (status < 0 || (size_t)status >= sizeof status_names / sizeof *status_names)
        return "E_?";
    return status_names[status];
}
