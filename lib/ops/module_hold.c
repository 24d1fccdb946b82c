/* Operators that need an optional module. */
#include "ops/module_hold.h"

#include <stdio.h>

oi_status oi_module_open_for(const oi_op *op, const char *name, uint32_t version, size_t bytes, oi_module *out)
{
    if (oi_module_open(name, version, bytes, out) == ONNX_INFER_OK)
        return ONNX_INFER_OK;
    char why[sizeof oi_error_current()->message];
    snprintf(why, sizeof why, "%s", oi_error_current()->message);
    return oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "operator %s: %s", op->name, why);
}

static void close_module(void *m)
{
    oi_module_close(m);
}

oi_status oi_module_hold(oi_import *im, const char *name, uint32_t version, size_t bytes)
{
    oi_module *m = oi_arena_mem(im->g->arena, sizeof *m);
    if (!m)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_module_open_for(im->op, name, version, bytes, m));
    oi_status status = oi_arena_on_destroy(im->g->arena, close_module, m);
    if (status)
        oi_module_close(m);
    return status;
}
