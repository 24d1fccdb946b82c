/* Options: defaults and setters that do more than store a number. */
#include "runtime/options.h"

#include <fcntl.h>
#include <pthread.h>
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
        char text[32] = "";
        int f = open(files[i], O_RDONLY | O_CLOEXEC);
        if (f < 0)
            continue;
        ssize_t n = read(f, text, sizeof text - 1); /* a number, or "max" */
        close(f);
        unsigned long long most = n > 0 ? strtoull(text, NULL, 10) : 0;
        if (most > 0 && most < bytes)
            bytes = most;
    }
    return bytes;
}

/* What options begin with: what the process has set, else the environment's level to standard error. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static oi_log process_log;

static void log_to_stderr(void *user, onnx_infer_log_level level, const char *message)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    char line[1100];
    (void)user;
    int n = snprintf(line, sizeof line, "onnx_infer: %s: %.1040s\n", words[level & 3], message);
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        return; /* nowhere to say it */
}

void oi_options_set_process_log(const oi_log *log)
{
    pthread_mutex_lock(&log_lock);
    process_log = *log;
    pthread_mutex_unlock(&log_lock);
}

static oi_log first_log(void)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    pthread_mutex_lock(&log_lock);
    oi_log log = process_log;
    pthread_mutex_unlock(&log_lock);
    const char *wanted = log.fn ? NULL : getenv("ONNX_INFER_LOG");
    for (int32_t i = 0; wanted && i < 4; i++) {
        if (!strcmp(words[i], wanted))
            log = (oi_log){log_to_stderr, NULL, i};
    }
    return log;
}

void oi_options_init(onnx_infer_options *o)
{
    *o = (onnx_infer_options){
        .alloc = oi_alloc_libc,
        .log = first_log(),
        .limits = {.nodes = 1000000, .depth = 64, .tensor_bytes = (uint64_t)64 << 30, .total_bytes = memory_bytes(), .plans = 16},
        .level = 2,
        .isa = OI_ISA_COUNT,
    };
}

const onnx_infer_options *oi_options_or(const onnx_infer_options *o, onnx_infer_options *defaults)
{
    if (o)
        return o;
    oi_options_init(defaults); /* which asks the system for its memory */
    return defaults;
}

static void free_names(char **name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        oi_free_mem(NULL, name[i]);
    oi_free_mem(NULL, name);
}

void oi_options_clear(onnx_infer_options *o)
{
    for (size_t i = 0; i < o->nsymbol; i++)
        oi_free_mem(NULL, o->symbol[i].name);
    for (size_t i = 0; i < o->nshape; i++)
        oi_free_mem(NULL, o->shape[i].input);
    for (size_t i = 0; i < o->nrange; i++)
        oi_free_mem(NULL, o->range[i].symbol);
    for (size_t i = 0; i < o->noverride; i++) {
        oi_free_mem(NULL, o->override[i].name);
        oi_tensor_clear(&o->override[i].tensor);
    }
    for (size_t i = 0; i < o->nmemory; i++) {
        oi_free_mem(NULL, o->memory[i].location);
        oi_buffer_release(o->memory[i].bytes);
    }
    free_names(o->output, o->noutput);
    oi_free_mem(NULL, o->override);
    oi_free_mem(NULL, o->cache_dir);
    oi_free_mem(NULL, o->memory);
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

oi_status oi_options_set_initializer(onnx_infer_options *o, const char *name, const oi_tensor *t)
{
    for (size_t i = 0; i < o->noverride; i++) {
        if (!strcmp(o->override[i].name, name)) {
            oi_tensor_clear(&o->override[i].tensor);
            oi_tensor_share(&o->override[i].tensor, t);
            return ONNX_INFER_OK;
        }
    }
    oi_onnx_override *grown = oi_realloc_mem(NULL, o->override, (o->noverride + 1) * sizeof *grown);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    o->override = grown;
    char *copy = oi_alloc_text(NULL, name, strlen(name));
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx_override *made = &grown[o->noverride++];
    made->name = copy;
    oi_tensor_share(&made->tensor, t);
    return ONNX_INFER_OK;
}

oi_status oi_options_add_external(onnx_infer_options *o, const char *location, oi_buffer *bytes)
{
    for (size_t i = 0; i < o->nmemory; i++)
        OI_FAIL_IF(!strcmp(o->memory[i].location, location), ONNX_INFER_E_INVALID_ARGUMENT,
                   "the options have a file '%s' of external data already", location);
    oi_onnx_memory_file *grown = oi_realloc_mem(NULL, o->memory, (o->nmemory + 1) * sizeof *grown);
    if (!grown)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    o->memory = grown;
    char *copy = oi_alloc_text(NULL, location, strlen(location));
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    grown[o->nmemory++] = (oi_onnx_memory_file){copy, oi_buffer_retain(bytes)};
    return ONNX_INFER_OK;
}

oi_status oi_options_set_outputs(onnx_infer_options *o, size_t n, const char *const *names)
{
    char **copy = n ? oi_alloc_array(NULL, n, sizeof *copy) : NULL;
    oi_status st = copy || !n ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n && st == ONNX_INFER_OK; i++) {
        if (!names[i])
            st = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "the name of output %zu is NULL", i);
        for (size_t k = 0; k < i && st == ONNX_INFER_OK; k++) {
            if (!strcmp(names[k], names[i]))
                st = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "output '%s' is named twice", names[i]);
        }
        if (st == ONNX_INFER_OK && !(copy[i] = oi_alloc_text(NULL, names[i], strlen(names[i]))))
            st = ONNX_INFER_E_OUT_OF_MEMORY;
    }
    if (st != ONNX_INFER_OK) {
        if (copy)
            free_names(copy, n);
        return st;
    }
    free_names(o->output, o->noutput);
    o->output = copy;
    o->noutput = n;
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
