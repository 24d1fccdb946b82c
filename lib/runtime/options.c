/* Options: defaults and setters that do more than store a number. */
#include "runtime/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The machine's memory, or less where a control group allows less. */
static uint64_t memory_bytes(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 40;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FILE *f = fopen(files[i], "re");
        unsigned long long most;
        if (!f)
            continue;
        if (fscanf(f, "%llu", &most) == 1 && most > 0 && most < bytes)
            bytes = most;
        fclose(f);
    }
    return bytes;
}

void oi_options_init(onnx_infer_options *o)
{
    *o = (onnx_infer_options){
        .alloc = oi_alloc_libc,
        .limits = {.nodes = 1000000, .depth = 64, .tensor_bytes = (uint64_t)64 << 30, .total_bytes = memory_bytes(), .plans = 16},
        .level = 2,
        .isa = OI_ISA_COUNT,
    };
}

void oi_options_clear(onnx_infer_options *o)
{
    for (size_t i = 0; i < o->nsymbol; i++)
        oi_free_mem(NULL, o->symbol[i].name);
    for (size_t i = 0; i < o->nshape; i++)
        oi_free_mem(NULL, o->shape[i].input);
    for (size_t i = 0; i < o->nrange; i++)
        oi_free_mem(NULL, o->range[i].symbol);
    oi_pool_release(o->pool);
    oi_free_mem(NULL, o->range);
    oi_free_mem(NULL, o->symbol);
    oi_free_mem(NULL, o->shape);
    oi_custom_ops_release(o->ops);
    memset(o, 0, sizeof *o);
}

oi_status oi_options_set_symbol(onnx_infer_options *o, const char *symbol, int64_t value)
{
    OI_FAIL_IF(value < 0, ONNX_INFER_E_INVALID_ARGUMENT, "symbol '%s' is given %lld; expected 0 or more", symbol, (long long)value);
    for (size_t i = 0; i < o->nsymbol; i++) {
        if (!strcmp(o->symbol[i].name, symbol)) {
            o->symbol[i].value = value;
            return ONNX_INFER_OK;
        }
    }
    oi_symbol_option *grown = oi_realloc_mem(NULL, o->symbol, (o->nsymbol + 1) * sizeof *grown);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    o->symbol = grown;
    char *name = oi_alloc_text(NULL, symbol, strlen(symbol));
    if (!name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    grown[o->nsymbol++] = (oi_symbol_option){name, value};
    return ONNX_INFER_OK;
}

oi_status oi_options_set_input_shape(onnx_infer_options *o, const char *input, int32_t rank, const int64_t *dims)
{
    oi_tensor checked;
    oi_shape_option made = {.rank = rank}, *at = NULL;
    OI_TRY(oi_tensor_describe(&checked, ONNX_INFER_UINT8, rank, dims));
    memcpy(made.dim, checked.dim, sizeof made.dim);
    for (size_t i = 0; i < o->nshape; i++) {
        if (!strcmp(o->shape[i].input, input))
            at = &o->shape[i];
    }
    if (at) {
        made.input = at->input;
        *at = made;
        return ONNX_INFER_OK;
    }
    oi_shape_option *grown = oi_realloc_mem(NULL, o->shape, (o->nshape + 1) * sizeof *grown);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    o->shape = grown;
    made.input = oi_alloc_text(NULL, input, strlen(input));
    if (!made.input)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    grown[o->nshape++] = made;
    return ONNX_INFER_OK;
}

oi_status oi_options_set_range(onnx_infer_options *o, const char *symbol, int64_t min, int64_t opt, int64_t max)
{
    OI_FAIL_IF(min < 0 || opt < min || max < opt, ONNX_INFER_E_INVALID_ARGUMENT,
               "symbol '%s' is given the range %lld, %lld, %lld; expected 0 <= min <= opt <= max", symbol, (long long)min,
               (long long)opt, (long long)max);
    for (size_t i = 0; i < o->nrange; i++) {
        if (!strcmp(o->range[i].symbol, symbol)) {
            o->range[i] = (oi_range_option){o->range[i].symbol, min, opt, max};
            return ONNX_INFER_OK;
        }
    }
    oi_range_option *grown = oi_realloc_mem(NULL, o->range, (o->nrange + 1) * sizeof *grown);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    o->range = grown;
    char *name = oi_alloc_text(NULL, symbol, strlen(symbol));
    if (!name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    grown[o->nrange++] = (oi_range_option){name, min, opt, max};
    return ONNX_INFER_OK;
}

oi_status oi_options_set_limit(onnx_infer_options *o, const char *what, uint64_t max)
{
    const struct { const char *name; uint64_t *limit; } known[] = {
        {"nodes", &o->limits.nodes},
        {"depth", &o->limits.depth},
        {"tensor_bytes", &o->limits.tensor_bytes},
        {"total_bytes", &o->limits.total_bytes},
        {"plans", &o->limits.plans},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].name, what)) {
            OI_FAIL_IF(max == 0, ONNX_INFER_E_INVALID_ARGUMENT, "the limit %s is given 0; expected 1 or more", what);
            *known[i].limit = max;
            return ONNX_INFER_OK;
        }
    }
    return oi_fail(ONNX_INFER_E_NOT_FOUND, "no limit is called '%s'; there are nodes, depth, tensor_bytes, total_bytes, plans", what);
}
