/* Options of loading and planning. */
#include "api/api_check.h"
#include "runtime/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

onnx_infer_status onnx_infer_options_create(onnx_infer_options **out)
{
    OI_NEED(out);
    *out = oi_alloc_mem(NULL, sizeof **out);
    if (!*out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_options_init(*out);
    return ONNX_INFER_OK;
}

void onnx_infer_options_free(onnx_infer_options *o)
{
    if (!o)
        return;
    oi_options_clear(o);
    oi_free_mem(NULL, o);
}

onnx_infer_status onnx_infer_options_set_symbol(onnx_infer_options *o, const char *symbol, int64_t value)
{
    OI_NEED(o);
    OI_NEED(symbol);
    return oi_options_set_symbol(o, symbol, value);
}

onnx_infer_status onnx_infer_options_set_input_shape(onnx_infer_options *o, const char *input, int32_t rank, const int64_t *dims)
{
    OI_NEED(o);
    OI_NEED(input);
    OI_NEED(dims || rank <= 0);
    return oi_options_set_input_shape(o, input, rank, dims);
}

onnx_infer_status onnx_infer_options_set_initializer(onnx_infer_options *o, const char *name, const onnx_infer_value *v)
{
    OI_NEED(o);
    OI_NEED(name);
    OI_NEED(v);
    OI_FAIL_IF(v->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH, "initializer '%s' is given a value that is no tensor", name);
    return oi_options_set_initializer(o, name, &v->tensor);
}

onnx_infer_status onnx_infer_options_add_external(onnx_infer_options *o, const char *location, const void *p, size_t n,
                                                  onnx_infer_free_fn fn, void *user)
{
    oi_buffer *bytes;
    OI_NEED(o);
    OI_NEED(location);
    OI_NEED(p || !n);
    if (fn) {
        OI_TRY(oi_buffer_wrap(NULL, (void *)(uintptr_t)p, n, NULL, NULL, &bytes));
    } else {
        OI_TRY(oi_buffer_create(NULL, n, &bytes));
        if (n)
            memcpy(oi_buffer_data(bytes), p, n);
    }
    oi_status st = oi_options_add_external(o, location, bytes);
    if (st == ONNX_INFER_OK && fn)
        oi_buffer_on_free(bytes, fn, user); /* only now: a failed call consumes nothing */
    oi_buffer_release(bytes);
    return st;
}

onnx_infer_status onnx_infer_options_set_outputs(onnx_infer_options *o, size_t n, const char *const *names)
{
    OI_NEED(o);
    OI_NEED(names || !n);
    return oi_options_set_outputs(o, n, names);
}

onnx_infer_status onnx_infer_options_set_cache_dir(onnx_infer_options *o, const char *dir)
{
    OI_NEED(o);
    char *copy = dir ? oi_alloc_text(NULL, dir, strlen(dir)) : NULL;
    if (dir && !copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_free_mem(NULL, o->cache_dir);
    o->cache_dir = copy;
    return ONNX_INFER_OK;
}

static oi_status to_number(const char *key, const char *value, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    OI_FAIL_IF(errno || end == value || *end, ONNX_INFER_E_INVALID_ARGUMENT, "'%s' is given '%s'; expected a whole number", key, value);
    *out = n;
    return ONNX_INFER_OK;
}

static oi_status to_int32(const char *key, const char *value, int32_t *out)
{
    int64_t n;
    OI_TRY(to_number(key, value, &n));
    OI_FAIL_IF(n < INT32_MIN || n > INT32_MAX, ONNX_INFER_E_INVALID_ARGUMENT, "'%s' is given '%s', which is out of range", key, value);
    *out = (int32_t)n;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set(onnx_infer_options *o, const char *key, const char *value)
{
    static const struct { const char *key; onnx_infer_status (*set)(onnx_infer_options *o, int32_t n); } numbers[] = {
        {"level", onnx_infer_options_set_level},
        {"threads", onnx_infer_options_set_threads},
        {"deterministic", onnx_infer_options_set_deterministic},
    };
    static const struct { const char *key; onnx_infer_status (*set)(onnx_infer_options *o, const char *text); } texts[] = {
        {"backend", onnx_infer_options_set_backend},
        {"cache_dir", onnx_infer_options_set_cache_dir},
        {"cpu_isa", onnx_infer_options_set_cpu_isa},
        {"op_library", onnx_infer_options_add_op_library},
    };
    int64_t n;
    int32_t small = 0;
    OI_NEED(o);
    OI_NEED(key);
    OI_NEED(value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(numbers[i].key, key))
            continue;
        OI_TRY(to_int32(key, value, &small));
        return numbers[i].set(o, small);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!strcmp(texts[i].key, key))
            return texts[i].set(o, value);
    }
    if (!strncmp(key, "limit.", 6)) {
        OI_TRY(to_number(key, value, &n));
        OI_FAIL_IF(n < 0, ONNX_INFER_E_INVALID_ARGUMENT, "'%s' is given %s", key, value);
        return oi_options_set_limit(o, key + 6, (uint64_t)n);
    }
    if (!strncmp(key, "symbol.", 7)) {
        OI_TRY(to_number(key, value, &n));
        return oi_options_set_symbol(o, key + 7, n);
    }
    return oi_fail(ONNX_INFER_E_NOT_FOUND, "no option is called '%s'; there are level, threads, deterministic, backend, cache_dir, cpu_isa, "
                   "op_library, limit.NAME and symbol.NAME", key);
}

onnx_infer_status onnx_infer_set_log(onnx_infer_log_fn fn, void *user, onnx_infer_log_level level)
{
    OI_FAIL_IF(level < ONNX_INFER_LOG_ERROR || level > ONNX_INFER_LOG_DEBUG, ONNX_INFER_E_INVALID_ARGUMENT,
               "log level %d; expected 0 to 3", (int)level);
    oi_options_set_process_log(&(oi_log){fn, user, level});
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_add_op(onnx_infer_options *o, const onnx_infer_op_def *def)
{
    OI_NEED(o);
    OI_NEED(def);
    OI_FAIL_IF(def->struct_size < offsetof(onnx_infer_op_def, destroy), ONNX_INFER_E_INVALID_ARGUMENT,
               "struct_size is %zu, expected %zu", def->struct_size, sizeof *def);
    return oi_custom_ops_add(&o->ops, def, o->library);
}

onnx_infer_status onnx_infer_options_add_op_library(onnx_infer_options *o, const char *path)
{
    oi_op_library *library;
    OI_NEED(o);
    OI_NEED(path);
    OI_FAIL_IF(o->library, ONNX_INFER_E_INVALID_ARGUMENT, "a library of operators cannot add another one");
    OI_TRY(oi_op_library_open(path, &library));
    onnx_infer_register_ops_fn add = (onnx_infer_register_ops_fn)oi_op_library_find(library, "onnx_infer_register_ops");
    oi_custom_ops *before = oi_custom_ops_retain(o->ops);
    oi_status st = ONNX_INFER_E_NOT_FOUND;
    if (add) {
        o->library = library;
        st = add(o);
        o->library = NULL;
    }
    if (st != ONNX_INFER_OK) { /* all of its operators or none */
        oi_custom_ops_release(o->ops);
        o->ops = before;
        if (add && oi_error_current()->status != st)
            st = oi_fail(ONNX_INFER_E_BACKEND, "onnx_infer_register_ops returned %d", (int)st);
        oi_error_prefix("operator library '%s': ", path);
    } else {
        oi_custom_ops_release(before);
    }
    oi_op_library_release(library);
    return st;
}

onnx_infer_status onnx_infer_options_set_level(onnx_infer_options *o, int32_t level)
{
    OI_NEED(o);
    OI_FAIL_IF(level < 0 || level > 2, ONNX_INFER_E_INVALID_ARGUMENT, "optimisation level %d; expected 0, 1 or 2", (int)level);
    o->level = level;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_backend(onnx_infer_options *o, const char *name)
{
    OI_NEED(o);
    OI_NEED(name);
    return onnx_infer_backend_probe(name);
}

onnx_infer_status onnx_infer_options_set_cpu_isa(onnx_infer_options *o, const char *isa)
{
    OI_NEED(o);
    OI_NEED(isa);
    oi_cpu_isa level = oi_cpu_isa_from_name(isa);
    OI_FAIL_IF(level == OI_ISA_COUNT, ONNX_INFER_E_NOT_FOUND,
               "no instruction set is called '%s'; there are generic, sse2, avx2, avx512, neon", isa);
    OI_FAIL_IF(!oi_cpu_isa_available(level), ONNX_INFER_E_BACKEND_UNAVAILABLE, "this CPU does not have '%s'; its best is '%s'", isa,
               onnx_infer_cpu_isa());
    o->isa = level;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_threads(onnx_infer_options *o, int32_t n)
{
    OI_NEED(o);
    OI_FAIL_IF(n < 0 || n > 4096, ONNX_INFER_E_INVALID_ARGUMENT, "%d threads; expected 0 (the default) to 4096", (int)n);
    o->threads = n;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_pool(onnx_infer_options *o, onnx_infer_pool *p)
{
    OI_NEED(o);
    oi_pool_retain(p);
    oi_pool_release(o->pool);
    o->pool = p;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_deterministic(onnx_infer_options *o, int32_t level)
{
    OI_NEED(o);
    OI_FAIL_IF(level < 1 || level > 2, ONNX_INFER_E_INVALID_ARGUMENT, "deterministic level %d; expected 1 or 2", (int)level);
    return ONNX_INFER_OK; /* both always hold: no kernel is chosen by timing, and no sum is cut by the size of a cache */
}

onnx_infer_status onnx_infer_options_set_symbol_range(onnx_infer_options *o, const char *symbol, int64_t min, int64_t opt,
                                                      int64_t max)
{
    OI_NEED(o);
    OI_NEED(symbol);
    return oi_options_set_range(o, symbol, min, opt, max);
}

onnx_infer_status onnx_infer_options_set_cancel(onnx_infer_options *o, onnx_infer_cancel *c)
{
    OI_NEED(o);
    o->cancel = c;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_allocator(onnx_infer_options *o, const onnx_infer_allocator *a)
{
    OI_NEED(o);
    OI_NEED(a);
    OI_FAIL_IF(a->struct_size < sizeof *a, ONNX_INFER_E_INVALID_ARGUMENT, "struct_size is %zu, expected %zu", a->struct_size, sizeof *a);
    OI_NEED(a->alloc);
    OI_NEED(a->free);
    o->alloc = *a;
    o->alloc.struct_size = sizeof *a;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_limit(onnx_infer_options *o, const char *what, uint64_t max)
{
    OI_NEED(o);
    OI_NEED(what);
    return oi_options_set_limit(o, what, max);
}

onnx_infer_status onnx_infer_options_set_progress(onnx_infer_options *o, onnx_infer_progress_fn fn, void *user)
{
    OI_NEED(o);
    o->progress = fn;
    o->progress_user = user;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_options_set_log(onnx_infer_options *o, onnx_infer_log_fn fn, void *user, onnx_infer_log_level level)
{
    OI_NEED(o);
    o->log = (oi_log){fn, user, level};
    return ONNX_INFER_OK;
}
