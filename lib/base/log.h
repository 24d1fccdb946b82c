/* Messages to the user's callback. Nothing is printed unless the user asked for it. */
#ifndef OI_BASE_LOG_H
#define OI_BASE_LOG_H

#include "base/status.h"

typedef struct {
    onnx_infer_log_fn fn; /* NULL: silent */
    void *user;
    onnx_infer_log_level level;
} oi_log;

static inline bool oi_log_wants(const oi_log *log, onnx_infer_log_level level)
{
    return log && log->fn && level <= log->level;
}

/* `log` may be NULL. Messages longer than 1 KiB are cut. */
void oi_log_write(const oi_log *log, onnx_infer_log_level level, const char *fmt, ...) OI_PRINTF(3, 4);

#endif
