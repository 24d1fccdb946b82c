/* Operators on their own, for tests. */
#include "support/eval_host.h"

#include "ops/infer.h"
#include "optimizer/optimizer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static oi_dtype dtype_named(const char *name, size_t n)
{
    for (oi_dtype t = 1; t < OI_DTYPE_COUNT; t++) {
        if (strlen(oi_dtype_name(t)) == n && strncmp(oi_dtype_name(t), name, n) == 0)
            return t;
    }
    ck_abort_msg("no element type in '%s'", name);
    return 0;
}

/* One tensor; returns what follows. */
static const char *parse_one(const char *s, oi_tensor *t)
{
    memset(t, 0, sizeof *t);
    s += strspn(s, " ");
    if (*s == '-')
        return s + 1 + strspn(s + 1, " ");
    size_t n = strcspn(s, " :|");
    oi_dtype dtype = dtype_named(s, n);
    int64_t dims[OI_MAX_RANK];
    int32_t rank = 0;
    s += n + strspn(s + n, " ");
    while (*s && *s != ':' && *s != '|') {
        char *end;
        dims[rank++] = strtol(s, &end, 10);
        ck_assert_msg(end != s && rank <= OI_MAX_RANK, "bad shape: '%s'", s);
        s = end + strspn(end, "x ");
    }
    ck_assert_int_eq(oi_tensor_create(NULL, dtype, rank, dims, t), ONNX_INFER_OK);
    if (t->bytes && dtype != ONNX_INFER_STRING)
        memset(t->data, 0, t->bytes);
    s += *s == ':';
    int64_t count = oi_tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        s += strspn(s, " ");
        n = strcspn(s, " |");
        ck_assert_msg(n > 0, "too few elements");
        if (dtype == ONNX_INFER_STRING)
            ck_assert_int_eq(oi_tensor_set_string(NULL, t, (size_t)i, s, n), ONNX_INFER_OK);
        else if (oi_dtype_is_float(dtype))
            oi_elem_set_double(dtype, t->data, (size_t)i, strtod(s, NULL));
        else
            oi_elem_set_int(dtype, t->data, (size_t)i, *s == '-' ? strtoll(s, NULL, 0) : (int64_t)strtoull(s, NULL, 0));
        s += n;
    }
    return s + strspn(s, " ");
}

void eval_parse(const char *text, eval_tensors *out)
{
    memset(out, 0, sizeof *out);
    for (const char *s = text; *s;) {
        ck_assert_uint_lt(out->n, EVAL_MAX);
        s = parse_one(s, &out->t[out->n++]);
        ck_assert_msg(!*s || *s == '|', "what is '%s'?", s);
        s += *s == '|';
    }
}

void eval_clear(eval_tensors *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        oi_tensor_clear(&t->t[i]);
    t->n = 0;
}

static const oi_op *find(const char *name)
{
    const oi_op *op = oi_op_find("", name);
    return op ? op : oi_op_find("com.microsoft", name);
}

oi_status eval_op(const char *name, const char *attrs, const eval_tensors *in, uint32_t nout, eval_tensors *out)
{
    const oi_op *op = find(name);
    oi_graph *g = oi_graph_create(NULL, NULL);
    oi_value_id ins[EVAL_MAX], outs[EVAL_MAX];
    oi_node_id id;
    void *attr;
    memset(out, 0, sizeof *out);
    ck_assert_msg(op != NULL, "no operator %s", name);
    ck_assert_ptr_nonnull(g);
    for (uint32_t i = 0; i < in->n; i++) {
        oi_tensor t;
        ins[i] = OI_NONE;
        if (!in->t[i].dtype)
            continue;
        oi_tensor_share(&t, &in->t[i]);
        ck_assert_int_eq(oi_graph_add_const(g, "", &t, &ins[i]), ONNX_INFER_OK);
    }
    for (uint32_t i = 0; i < nout; i++)
        outs[i] = OI_NONE;
    ck_assert_msg(oi_attr_parse_text(g->arena, op, attrs, &attr) == ONNX_INFER_OK, "%s: bad attributes '%s'", name, attrs);
    ck_assert_int_eq(oi_graph_add_node(g, op, "n", attr, in->n, ins, nout, outs, 0, NULL, &id), ONNX_INFER_OK);
    oi_status status = oi_infer_node(g, id);
    if (!status) {
        status = oi_fold_node(g, id, NULL, out->t);
        out->n = nout;
    }
    for (uint32_t i = 0; !status && i < nout; i++) {
        const oi_fact *f = oi_graph_fact(g, outs[i]);
        ck_assert_msg(f->dtype == out->t[i].dtype, "%s: inferred %s", name, oi_dtype_name(f->dtype));
        ck_assert_msg(f->shape.rank < 0 || f->shape.rank == out->t[i].rank, "%s: inferred rank %d", name, (int)f->shape.rank);
        for (int32_t k = 0; k < f->shape.rank; k++)
            ck_assert_msg(!oi_dim_is_number(f->shape.dim[k]) || f->shape.dim[k] == out->t[i].dim[k], "%s: inferred %lld along axis %d",
                          name, (long long)f->shape.dim[k], (int)k);
    }
    oi_graph_destroy(g);
    return status;
}

bool eval_prepared(const char *name, const char *attrs, const eval_tensors *in, eval_tensors *out, oi_cpu_isa isa)
{
    oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_arena *arena = oi_arena_create(&oi_alloc_libc);
    const oi_op *op = find(name);
    const void *from[EVAL_MAX];
    void *attr, *to[EVAL_MAX];
    ck_assert_ptr_nonnull(arena);
    ck_assert_int_eq(oi_attr_parse_text(arena, op, attrs, &attr), ONNX_INFER_OK);
    oi_step step = {.op = op, .attr = attr, .nin = in->n, .nout = out->n, .in = in->t, .out = out->t, .in_place = -1};
    oi_prepare p = {.step = &step, .arena = arena, .target = &target};
    if (op->prepare)
        ck_assert_int_eq(op->prepare(&p), ONNX_INFER_OK);
    if (step.run) {
        for (uint32_t i = 0; i < in->n; i++)
            from[i] = in->t[i].data;
        for (uint32_t i = 0; i < out->n; i++) {
            to[i] = out->t[i].data;
            if (out->t[i].bytes)
                memset(to[i], 0xA5, out->t[i].bytes);
        }
        oi_run r = {.step = &step, .in = from, .out = to, .workspace = oi_alloc_data(&oi_alloc_libc, step.workspace + 1),
                    .thread_workspace = oi_alloc_data(&oi_alloc_libc, step.thread_workspace + 1)};
        if (step.phases <= 1)
            step.phase_end[step.phases = 0] = step.n_tasks;
        for (uint32_t phase = 0, first = 0; phase == 0 || phase < step.phases; first = step.phase_end[phase++]) {
            for (uint32_t task = step.phase_end[phase]; task-- > first;)
                ck_assert_int_eq(step.run(&r, task), ONNX_INFER_OK);
        }
        oi_free_data(&oi_alloc_libc, r.workspace, step.workspace + 1);
        oi_free_data(&oi_alloc_libc, r.thread_workspace, step.thread_workspace + 1);
    }
    oi_arena_destroy(arena);
    return step.run != NULL;
}

/* A graph of the operator alone. */
static oi_graph *graph_of(const oi_op *op, const char *attrs, const eval_tensors *in, uint32_t open, uint32_t nout)
{
    oi_graph *g = oi_graph_create(NULL, NULL);
    oi_value_id ins[EVAL_MAX], outs[EVAL_MAX];
    oi_node_id id;
    void *attr;
    ck_assert_ptr_nonnull(g);
    for (uint32_t i = 0; i < in->n; i++) {
        oi_fact fact = oi_fact_tensor(in->t[i].dtype, in->t[i].rank, in->t[i].dim);
        oi_tensor t;
        ins[i] = OI_NONE;
        if (!in->t[i].dtype)
            continue;
        if (open >> i & 1) {
            ck_assert_int_eq(oi_graph_add_input(g, "", &fact, &ins[i]), ONNX_INFER_OK);
            continue;
        }
        oi_tensor_share(&t, &in->t[i]);
        ck_assert_int_eq(oi_graph_add_const(g, "", &t, &ins[i]), ONNX_INFER_OK);
    }
    for (uint32_t i = 0; i < nout; i++)
        outs[i] = OI_NONE;
    ck_assert_int_eq(oi_attr_parse_text(g->arena, op, attrs, &attr), ONNX_INFER_OK);
    ck_assert_int_eq(oi_graph_add_node(g, op, "n", attr, in->n, ins, nout, outs, 0, NULL, &id), ONNX_INFER_OK);
    for (uint32_t i = 0; i < nout; i++)
        ck_assert_int_eq(oi_graph_mark_output(g, outs[i]), ONNX_INFER_OK);
    return g;
}

bool eval_lowered(const char *name, const char *attrs, const eval_tensors *in, uint32_t open, eval_tensors *out, oi_cpu_isa isa)
{
    const oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_graph *g = graph_of(find(name), attrs, in, open, out->n);
    bool lowered = false;
    oi_status status = oi_optimize(g, OI_STAGE_LOWERED, &target);
    ck_assert_msg(status == ONNX_INFER_OK, "%s {%s}: %s", name, attrs, oi_error_current()->message);
    oi_tensor *value = calloc(g->nvalue, sizeof *value);
    for (uint32_t i = 0, k = 0; i < in->n; i++) {
        if (in->t[i].dtype && (open >> i & 1))
            oi_tensor_share(&value[g->input[k++]], &in->t[i]);
    }
    for (uint32_t v = 0; v < g->nvalue; v++) {
        if (g->value[v].fact.konst)
            oi_tensor_share(&value[v], g->value[v].fact.konst);
    }
    for (oi_node_id id = 0; id < g->nnode; id++) {
        const oi_node *n = &g->node[id];
        const oi_tensor *from[EVAL_MAX];
        oi_tensor made[EVAL_MAX];
        lowered = lowered || (n->op->flags & OI_OP_LOWERED_ONLY);
        for (uint32_t i = 0; i < n->nin; i++)
            from[i] = n->in[i] == OI_NONE ? NULL : &value[n->in[i]];
        status = oi_fold_eval(g, id, NULL, n->nin, from, made);
        ck_assert_msg(status == ONNX_INFER_OK, "%s {%s}: %s", name, attrs, oi_error_current()->message);
        for (uint32_t i = 0; i < n->nout; i++) {
            if (n->out[i] != OI_NONE)
                value[n->out[i]] = made[i];
        }
    }
    for (uint32_t i = 0; i < out->n; i++) {
        oi_tensor_clear(&out->t[i]);
        oi_tensor_share(&out->t[i], &value[g->output[i]]);
    }
    for (uint32_t v = 0; v < g->nvalue; v++)
        oi_tensor_clear(&value[v]);
    free(value);
    oi_graph_destroy(g);
    return lowered;
}

/* An assertion that holds costs a write to the test runner: too much for each element. */
static void expect_element(const oi_tensor *got, const oi_tensor *want, size_t i, double rel, double abs, const char *what)
{
    if (got->dtype == ONNX_INFER_STRING) {
        const oi_string *a = (const oi_string *)got->data + i, *b = (const oi_string *)want->data + i;
        if (a->n != b->n || memcmp(a->text, b->text, a->n) != 0)
            ck_abort_msg("%s: element %zu is '%s', expected '%s'", what, i, a->text, b->text);
        return;
    }
    if (!oi_dtype_is_float(got->dtype)) {
        int64_t a = oi_elem_get_int(got->dtype, got->data, i), b = oi_elem_get_int(want->dtype, want->data, i);
        if (a != b)
            ck_abort_msg("%s: element %zu is %lld, expected %lld", what, i, (long long)a, (long long)b);
        return;
    }
    double a = oi_elem_get_double(got->dtype, got->data, i), b = oi_elem_get_double(want->dtype, want->data, i);
    bool same = (isnan(a) && isnan(b)) || (a == b && (a != 0 || signbit(a) == signbit(b))) || (a != b && fabs(a - b) <= rel * fabs(b) + abs) ||
                (a == b && abs > 0);
    if (!same)
        ck_abort_msg("%s: element %zu is %.9g, expected %.9g", what, i, a, b);
}

void eval_expect(const eval_tensors *got, const eval_tensors *want, double rel, double abs, const char *what)
{
    ck_assert_msg(got->n == want->n, "%s: %u outputs, expected %u", what, got->n, want->n);
    for (uint32_t k = 0; k < want->n; k++) {
        const oi_tensor *a = &got->t[k], *b = &want->t[k];
        if (!b->dtype)
            continue;
        ck_assert_msg(a->dtype == b->dtype, "%s: output %u is %s, expected %s", what, k, oi_dtype_name(a->dtype), oi_dtype_name(b->dtype));
        ck_assert_msg(oi_tensor_same_shape(a, b), "%s: output %u has another shape", what, k);
        int64_t n = oi_tensor_count(b);
        for (int64_t i = 0; i < n; i++)
            expect_element(a, b, (size_t)i, rel, abs, what);
    }
}
