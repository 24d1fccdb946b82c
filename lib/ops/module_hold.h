/* Operators that need an optional module. */
#ifndef OI_OPS_MODULE_HOLD_H
#define OI_OPS_MODULE_HOLD_H

#include "base/module.h"
#include "ops/op.h"

/* oi_module_open with the operator's words: E_UNSUPPORTED_OP and the reason where there is no such module. */
oi_status oi_module_open_for(const oi_op *op, const char *name, uint32_t version, size_t bytes, oi_module *out);
/* For import hooks: opens the module, and keeps it open as long as the graph is there, so that opening it again costs little. */
oi_status oi_module_hold(oi_import *im, const char *name, uint32_t version, size_t bytes);

#endif
