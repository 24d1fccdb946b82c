/* What operators over the module "text" share. */
#ifndef OI_OPS_TEXT_REGEX_H
#define OI_OPS_TEXT_REGEX_H

#include "modules/text_module.h"
#include "ops/module_hold.h"

static inline oi_status oi_text_open(const oi_op *op, oi_module *m)
{
    return oi_module_open_for(op, "text", OI_TEXT_MODULE_VERSION, sizeof(oi_text_module), m);
}

/* The module's failure as one of ours; OI_TEXT_BAD becomes `bad`. */
static inline oi_status oi_text_failed(oi_text_status status, oi_status bad, const char *what, const char *why)
{
    return oi_fail(status == OI_TEXT_NO_MEMORY ? ONNX_INFER_E_OUT_OF_MEMORY : status == OI_TEXT_LIMIT ? ONNX_INFER_E_LIMIT : bad, "%s: %s",
                   what, why);
}

#endif
