/* The table of all operators, out of op_list.h. */
#include "ops/op.h"

#include <string.h>

#define OI_OP(id) extern const oi_op oi_op_##id;
#include "ops/op_list.h"
#undef OI_OP

static const oi_op *const table[] = {
#define OI_OP(id) &oi_op_##id,
#include "ops/op_list.h"
#undef OI_OP
};

const oi_op *const *oi_op_table(size_t *n)
{
    *n = sizeof table / sizeof *table;
    return table;
}

static bool is_default_domain(const char *domain)
{
    return !domain[0] || strcmp(domain, "ai.onnx") == 0;
}

const oi_op *oi_op_find(const char *domain, const char *name)
{
    if (is_default_domain(domain))
        domain = "";
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i]->name, name) == 0 && strcmp(table[i]->domain, domain) == 0)
            return table[i];
    }
    return NULL;
}

int32_t oi_op_newest_opset(const char *domain)
{
    static const struct { const char *domain; int32_t newest; } known[] = {
        {"", 28}, {"ai.onnx.ml", 5}, {"ai.onnx.preview", 1}, {"ai.onnx.preview.training", 1}, {"ai.onnx.training", 1},
        {"com.microsoft", 1}, {"onnx_infer", 1},
    };
    if (is_default_domain(domain))
        domain = "";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].domain, domain) == 0)
            return known[i].newest;
    }
    return 0;
}
