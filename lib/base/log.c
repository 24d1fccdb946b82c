/* Messages to the user's callback. */
#include "base/log.h"

#include <stdio.h>

void oi_log_write(const oi_log *log, onnx_infer_log_level level, const char *fmt, ...)
{
    if (!oi_log_wants(log, level))
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0)
        log->fn(log->user, level, text);
}
