/* From a command line to a model that is ready to run. */
#include "tool.h"

#include "runtime/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double tool_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int show_loading(void *user, size_t done, size_t total)
{
    if (tool_now_ms() - *(double *)user > 1000)
        tool_progress("loading: %zu of %zu", done, total);
    return 0;
}

static void show_warning(void *user, onnx_infer_log_level level, const char *message)
{
    (void)user;
    tool_progress("%s", "");
    fprintf(stderr, "onnx-infer: %s%s\n", level <= ONNX_INFER_LOG_WARNING ? "warning: " : "", message);
}

oi_status tool_options(const tool_args *args, onnx_infer_options **out)
{
    OI_TRY(onnx_infer_options_create(out));
    OI_TRY(onnx_infer_options_set_log(*out, args->log ? args->log : show_warning, args->log_user,
                                      args->log || args->verbose ? ONNX_INFER_LOG_DEBUG : ONNX_INFER_LOG_WARNING));
    (*out)->stop_after = args->stop_after;
    OI_TRY(onnx_infer_options_set_threads(*out, args->threads));
    OI_TRY(onnx_infer_options_set_level(*out, args->level));
    if (args->isa)
        OI_TRY(onnx_infer_options_set_cpu_isa(*out, args->isa));
    if (args->backend)
        OI_TRY(onnx_infer_options_set_backend(*out, args->backend));
    OI_TRY(onnx_infer_options_set_cache_dir(*out, args->cache));
    for (size_t i = 0; i < args->dim.n; i++) {
        char *end;
        long long n = strtoll(args->dim.at[i].value, &end, 10);
        OI_FAIL_IF(*end || n < 0, ONNX_INFER_E_INVALID_ARGUMENT, "--dim %s: '%s' is no size",
                   args->dim.at[i].name, args->dim.at[i].value);
        OI_TRY(onnx_infer_options_set_symbol(*out, args->dim.at[i].name, n));
    }
    for (size_t i = 0; i < args->shape.n; i++) {
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        OI_TRY(tool_parse_shape(args->shape.at[i].value, &rank, dims));
        OI_TRY(onnx_infer_options_set_input_shape(*out, args->shape.at[i].name, rank, dims));
    }
    return ONNX_INFER_OK;
}

static const tool_pair *find_pair(const tool_pairs *pairs, const char *name)
{
    for (size_t i = pairs->n; i-- > 0;)
        if (!strcmp(pairs->at[i].name, name))
            return &pairs->at[i];
    return NULL;
}

/* Sizes of the model's symbols, as --dim and the inputs given bind them; -1: open. */
typedef struct {
    const onnx_infer_model *model;
    int64_t *size;
} bindings;

static int64_t *binding(const bindings *b, const char *symbol)
{
    for (size_t i = 0; i < onnx_infer_model_symbol_count(b->model); i++)
        if (!strcmp(onnx_infer_model_symbol(b->model, i), symbol))
            return &b->size[i];
    return NULL;
}

static oi_status bind_options(const tool_args *args, bindings *b)
{
    size_t n = onnx_infer_model_symbol_count(b->model);
    b->size = oi_alloc_array(NULL, n + 1, sizeof *b->size);
    if (!b->size)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        b->size[i] = -1;
    for (size_t i = 0; i < args->dim.n; i++) {
        int64_t *size = binding(b, args->dim.at[i].name);
        if (size)
            *size = strtoll(args->dim.at[i].value, NULL, 10);
        else
            fprintf(stderr, "onnx-infer: note: the model has no symbol '%s'\n", args->dim.at[i].name);
    }
    return ONNX_INFER_OK;
}

static void bind_value(bindings *b, const onnx_infer_port *port, const onnx_infer_value *v)
{
    if (onnx_infer_value_kind(v) != ONNX_INFER_TENSOR ||
        onnx_infer_tensor_rank(v) != onnx_infer_port_rank(port))
        return;
    for (int32_t axis = 0; axis < onnx_infer_port_rank(port); axis++) {
        int64_t *size =
            onnx_infer_port_dim(port, axis) < 0 ? binding(b, onnx_infer_port_dim_expr(port, axis)) : NULL;
        if (size && *size < 0)
            *size = onnx_infer_tensor_dims(v)[axis];
    }
}

/* The shape of an input: --shape, the model, --dim. `open` (may be NULL) stands in for what is left open;
 * without it open dimensions give false. */
static bool port_dims(const bindings *b, const onnx_infer_port *port, const int64_t *open, int64_t *dims)
{
    for (int32_t axis = 0; axis < onnx_infer_port_rank(port); axis++) {
        dims[axis] = onnx_infer_port_dim(port, axis);
        const int64_t *size = dims[axis] < 0 ? binding(b, onnx_infer_port_dim_expr(port, axis)) : NULL;
        if (size)
            dims[axis] = *size;
        if (dims[axis] < 0) {
            if (!open)
                return false;
            dims[axis] = *open;
        }
    }
    return onnx_infer_port_rank(port) >= 0;
}

static oi_status read_input(const tool_args *args, const bindings *b, const onnx_infer_port *port,
                            const char *path, onnx_infer_value **out)
{
    int64_t dims[OI_MAX_RANK];
    int32_t rank = onnx_infer_port_rank(port);
    const tool_pair *shape = find_pair(&args->shape, onnx_infer_port_name(port));
    bool known = shape ? !tool_parse_shape(shape->value, &rank, dims) : port_dims(b, port, NULL, dims);
    return tool_value_read(path, port, known && rank == onnx_infer_port_rank(port) ? dims : NULL, out);
}

static oi_status draw_input(const tool_args *args, const bindings *b, const onnx_infer_port *port,
                            size_t index, onnx_infer_value **out)
{
    static const int64_t one = 1;
    int64_t dims[OI_MAX_RANK] = {0};
    int32_t rank = onnx_infer_port_rank(port);
    const tool_pair *shape = find_pair(&args->shape, onnx_infer_port_name(port));
    if (shape) {
        OI_TRY(tool_parse_shape(shape->value, &rank, dims));
        OI_FAIL_IF(onnx_infer_port_rank(port) >= 0 && rank != onnx_infer_port_rank(port),
                   ONNX_INFER_E_SHAPE_MISMATCH,
                   "--shape %s=%s has rank %" PRId32 ", the model declares rank %" PRId32, shape->name,
                   shape->value, rank, onnx_infer_port_rank(port));
    } else if (onnx_infer_port_kind(port) == ONNX_INFER_TENSOR) {
        OI_FAIL_IF(rank < 0, ONNX_INFER_E_INVALID_ARGUMENT,
                   "the rank of input '%s' is open: give its shape by --shape, or its value by --input",
                   onnx_infer_port_name(port));
        if (!port_dims(b, port, NULL, dims)) {
            port_dims(b, port, &one, dims);
            char text[160];
            fprintf(stderr,
                    "onnx-infer: note: input '%s' is drawn as %s; --dim or --shape set what the model leaves "
                    "open\n",
                    onnx_infer_port_name(port), oi_dims_text(rank, dims, text, sizeof text));
        }
    }
    return tool_draw(port, rank, dims, args->seed, index, out);
}

static oi_status check_names(const tool_pairs *pairs, const char *option, const onnx_infer_model *m)
{
    for (size_t i = 0; i < pairs->n; i++) {
        if (onnx_infer_model_input_index(m, pairs->at[i].name) >= 0)
            continue;
        char names[600] = "";
        size_t used = 0, n = onnx_infer_model_input_count(m);
        for (size_t k = 0; k < n && used < sizeof names - 80; k++)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s'%.60s'", k ? ", " : "",
                                     onnx_infer_port_name(onnx_infer_model_input(m, k)));
        return oi_fail(ONNX_INFER_E_NOT_FOUND, "%s: the model has no input '%s'; its inputs are %s", option,
                       pairs->at[i].name, names);
    }
    return ONNX_INFER_OK;
}

static oi_status make_inputs(const tool_args *args, tool_session *s)
{
    bindings b = {.model = s->model};
    oi_status status = bind_options(args, &b);
    for (size_t i = 0; i < s->nin && !status; i++) {
        const onnx_infer_port *port = onnx_infer_model_input(s->model, i);
        const tool_pair *given = find_pair(&args->input, onnx_infer_port_name(port));
        if (!given)
            continue;
        status = read_input(args, &b, port, given->value, &s->in[i]);
        if (!status)
            bind_value(&b, port, s->in[i]);
    }
    for (size_t i = 0; i < s->nin && !status; i++) {
        const onnx_infer_port *port = onnx_infer_model_input(s->model, i);
        if (s->in[i] || onnx_infer_port_is_optional(port))
            continue;
        status = draw_input(args, &b, port, i, &s->in[i]);
        if (status)
            oi_error_prefix("input '%s': ", onnx_infer_port_name(port));
        else
            bind_value(&b, port, s->in[i]);
    }
    oi_free_mem(NULL, b.size);
    return status;
}

oi_status tool_session_open(const tool_args *args, const char *path, tool_session *s)
{
    *s = (tool_session){0};
    double began = tool_now_ms();
    OI_TRY(tool_options(args, &s->options));
    OI_TRY(onnx_infer_options_set_progress(s->options, show_loading, &began));
    OI_TRY(onnx_infer_model_load_file(path, s->options, &s->model));
    OI_TRY(check_names(&args->input, "--input", s->model));
    OI_TRY(check_names(&args->shape, "--shape", s->model));
    s->nin = onnx_infer_model_input_count(s->model);
    s->nout = onnx_infer_model_output_count(s->model);
    s->in = oi_alloc_array(NULL, s->nin + 1, sizeof(onnx_infer_value *));
    s->out = oi_alloc_array(NULL, s->nout + 1, sizeof(onnx_infer_value *));
    if (!s->in || !s->out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(onnx_infer_plan_create(s->model, s->options, &s->plan));
    OI_TRY(onnx_infer_context_create(s->plan, &s->context));
    s->load_ms = tool_now_ms() - began;
    tool_progress("%s", "");
    OI_TRY(onnx_infer_run_options_create(&s->run_options));
    OI_TRY(onnx_infer_run_options_set_seed(s->run_options, args->seed));
    if (args->timeout > 0)
        OI_TRY(onnx_infer_run_options_set_deadline(
            s->run_options, args->timeout < 1e9 ? (uint64_t)(args->timeout * 1e9) : UINT64_MAX / 2));
    return make_inputs(args, s);
}

oi_status tool_session_run(tool_session *s)
{
    for (size_t i = 0; i < s->nout; i++) {
        onnx_infer_value_release(s->out[i]);
        s->out[i] = NULL;
    }
    return onnx_infer_run(s->context, s->run_options, s->nin, (const onnx_infer_value *const *)s->in, s->nout,
                          s->out);
}

void tool_session_close(tool_session *s)
{
    for (size_t i = 0; s->in && i < s->nin; i++)
        onnx_infer_value_release(s->in[i]);
    for (size_t i = 0; s->out && i < s->nout; i++)
        onnx_infer_value_release(s->out[i]);
    oi_free_mem(NULL, s->in);
    oi_free_mem(NULL, s->out);
    onnx_infer_run_options_free(s->run_options);
    onnx_infer_context_free(s->context);
    onnx_infer_plan_release(s->plan);
    onnx_infer_model_release(s->model);
    onnx_infer_options_free(s->options);
    *s = (tool_session){0};
}
