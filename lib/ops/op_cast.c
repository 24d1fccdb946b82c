/* Cast, CastLike, BitCast: one element type to another. */
#include "ops/loop.h"
#include "ops/number_text.h"
#include "ops/rewrite.h"
#include "tensor/convert.h"

#include <string.h>

typedef struct {
    int64_t to, saturate, round_mode;
} cast_attr;

extern const oi_op oi_op_CastLike;

/* Until opset 5 `to` was a word. */
static oi_status import(oi_import *im)
{
    static const char *const words[] = {"UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL",
                                        "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128"};
    const oi_raw_attr *to = oi_import_find(im, "to");
    if (!to || to->type != OI_RAW_STRING)
        return ONNX_INFER_OK;
    for (size_t i = 1; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == to->slen && strncmp(words[i], to->s, to->slen) == 0)
            return oi_import_set_int(im, "to", (int64_t)i);
    }
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "Cast: there is no element type '%.*s'", (int)(to->slen < 32 ? to->slen : 32), to->s);
}

static bool known(oi_dtype from, oi_dtype to)
{
    bool text_from = from == ONNX_INFER_STRING, text_to = to == ONNX_INFER_STRING;
    if (text_from || text_to)
        return !oi_dtype_is_complex(from) && !oi_dtype_is_complex(to);
    return oi_convert_known(from, to);
}

static oi_status check(const char *op, oi_dtype from, int64_t to)
{
    OI_FAIL_IF(to <= 0 || to >= OI_DTYPE_COUNT, ONNX_INFER_E_INVALID_MODEL, "%s: there is no element type %lld", op, (long long)to);
    OI_FAIL_IF(from && !known(from, (oi_dtype)to), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not convert %s to %s", op, oi_dtype_name(from),
               oi_dtype_name((oi_dtype)to));
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    int64_t to = x->op == &oi_op_CastLike ? x->in[1]->dtype : ((const cast_attr *)x->attr)->to;
    if (to || x->op != &oi_op_CastLike)
        OI_TRY(check(x->op->name, f->dtype, to));
    oi_infer_set(x, 0, (oi_dtype)to, f->shape.rank, f->shape.dim);
    bool whole = to == ONNX_INFER_INT64 || to == ONNX_INFER_INT32;
    if (whole && f->nsym && (oi_dtype_is_int(f->dtype) || f->dtype == ONNX_INFER_BOOL))
        oi_infer_set_content(x, 0, f->sym, f->nsym);
    return ONNX_INFER_OK;
}

static oi_status to_text(const oi_eval *e, const oi_tensor *t, oi_tensor *y)
{
    size_t n = (size_t)oi_tensor_count(t);
    char buf[OI_NUMBER_TEXT_MAX];
    for (size_t i = 0; i < n; i++)
        OI_TRY(oi_tensor_set_string(e->alloc, y, i, buf, oi_number_text(t->dtype, t->data, i, buf)));
    return ONNX_INFER_OK;
}

static oi_status from_text(const oi_eval *e, const oi_tensor *t, oi_tensor *y)
{
    size_t n = (size_t)oi_tensor_count(t);
    const oi_string *s = t->data;
    for (size_t i = 0; i < n; i++) {
        int64_t whole;
        double real;
        if (oi_dtype_is_int(y->dtype) && oi_number_parse_int(&s[i], &whole)) {
            oi_elem_set_int(y->dtype, y->data, i, whole);
        } else {
            OI_FAIL_IF(!oi_number_parse(&s[i], &real), ONNX_INFER_E_INVALID_ARGUMENT, "%s: '%.*s' (element %zu) is no number", e->op->name,
                       (int)(s[i].n < 64 ? s[i].n : 64), s[i].text ? s[i].text : "", i);
            oi_elem_set_double(y->dtype, y->data, i, real);
        }
    }
    return ONNX_INFER_OK;
}

/* To float8e8m0, whose rounding can be chosen. */
static void to_exponents(const cast_attr *a, const oi_tensor *t, oi_tensor *y, size_t first, size_t n)
{
    static const oi_e8m0_rounding modes[] = {OI_E8M0_UP, OI_E8M0_DOWN, OI_E8M0_NEAREST};
    for (size_t i = first; i < first + n; i++)
        ((uint8_t *)y->data)[i] =
            oi_float8e8m0_from_float((float)oi_elem_get_double(t->dtype, t->data, i), modes[a->round_mode], a->saturate != 0);
}

static void convert(const cast_attr *a, const oi_tensor *t, oi_tensor *y, size_t first, size_t n)
{
    if (y->dtype == ONNX_INFER_FLOAT8E8M0 && t->dtype != y->dtype)
        to_exponents(a, t, y, first, n);
    else
        oi_convert(t->dtype, t->data, first, y->dtype, y->data, first, n, a->saturate != 0);
}

static oi_status eval(oi_eval *e)
{
    const cast_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0), *like = oi_eval_in(e, 1);
    bool by_input = e->op == &oi_op_CastLike;
    if (!t || (by_input && !like))
        return oi_eval_bad_type(e, t ? 1 : 0);
    oi_dtype to = by_input ? like->dtype : (oi_dtype)a->to;
    OI_TRY(check(e->op->name, t->dtype, to));
    if (t->dtype == to)
        return e->host->out_view(e, 0, t, t->rank, t->dim);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, to, t->rank, t->dim, &y));
    if (to == ONNX_INFER_STRING)
        return to_text(e, t, y);
    if (t->dtype == ONNX_INFER_STRING)
        return from_text(e, t, y);
    convert(a, t, y, 0, (size_t)oi_tensor_count(t));
    return ONNX_INFER_OK;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const oi_step *step = r->step;
    oi_tensor t = step->in[0], y = step->out[0];
    int64_t first, n;
    t.data = (void *)(uintptr_t)r->in[0];
    y.data = r->out[0];
    oi_loop_flat(oi_tensor_count(&t), step->n_tasks, task, &first, &n);
    convert(step->attr, &t, &y, (size_t)first, (size_t)n);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    if (!oi_convert_known(step->in[0].dtype, step->out[0].dtype))
        return ONNX_INFER_OK;
    step->kernel = "loop";
    step->n_tasks = oi_loop_flat_tasks(oi_tensor_count(&step->out[0]));
    step->run = run;
    return ONNX_INFER_OK;
}

/* Cast, where the type is known: it does not wait for the other input. */
static oi_status declutter_like(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    oi_dtype to = oi_graph_fact(rw->g, n->in[1])->dtype;
    const oi_op *cast = oi_op_find("", "Cast");
    if (to == ONNX_INFER_UNDEFINED)
        return ONNX_INFER_OK;
    cast_attr *attr = oi_attr_new(rw->g->arena, cast);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *attr = *(const cast_attr *)n->attr;
    attr->to = to;
    oi_rewrite_replace(rw, n->out[0], oi_rewrite_node(rw, cast, attr, 1, n->in));
    return rw->status;
}

/* --- BitCast --- */

static oi_status check_bits(oi_dtype from, int64_t to)
{
    OI_FAIL_IF(to <= 0 || to >= OI_DTYPE_COUNT, ONNX_INFER_E_INVALID_MODEL, "BitCast: there is no element type %lld", (long long)to);
    OI_FAIL_IF(from && (oi_dtype_get(from)->bits != oi_dtype_get((oi_dtype)to)->bits || from == ONNX_INFER_STRING || to == ONNX_INFER_STRING),
               ONNX_INFER_E_INVALID_MODEL, "BitCast: %s and %s differ in width", oi_dtype_name(from), oi_dtype_name((oi_dtype)to));
    return ONNX_INFER_OK;
}

static oi_status infer_bits(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    int64_t to = ((const cast_attr *)x->attr)->to;
    OI_TRY(check_bits(f->dtype, to));
    oi_infer_set(x, 0, (oi_dtype)to, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_bits(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    int64_t to = ((const cast_attr *)e->attr)->to;
    if (!t)
        return oi_eval_bad_type(e, 0);
    OI_TRY(check_bits(t->dtype, to));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, (oi_dtype)to, t->rank, t->dim, &y));
    if (t->bytes)
        memcpy(y->data, t->data, t->bytes);
    return ONNX_INFER_OK;
}

/* --- definitions --- */

#define TO {.name = "to", .type = OI_ATTR_INT, .offset = offsetof(cast_attr, to), .flags = OI_ATTR_REQUIRED}
#define SATURATE {.name = "saturate", .type = OI_ATTR_INT, .offset = offsetof(cast_attr, saturate), .i = 1}
#define ROUND_MODE {.name = "round_mode", .type = OI_ATTR_ENUM, .offset = offsetof(cast_attr, round_mode), .s = "up|down|nearest"}

static const oi_attr_spec cast_attrs[] = {TO, SATURATE, ROUND_MODE, {0}};
static const oi_attr_spec cast_like_attrs[] = {SATURATE, ROUND_MODE, {0}};
static const oi_attr_spec bit_cast_attrs[] = {TO, {0}};

const oi_op oi_op_Cast = {
    .name = "Cast", .domain = "", .since = 1, .newest = 28, .flags = OI_OP_ELEMENTWISE, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .attrs = cast_attrs, .attr_size = sizeof(cast_attr), .import = import, .infer = infer, .eval = eval,
    .prepare = prepare,
};
const oi_op oi_op_CastLike = {
    .name = "CastLike", .domain = "", .since = 15, .newest = 25, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .attrs = cast_like_attrs,
    .attr_size = sizeof(cast_attr), .infer = infer, .eval = eval, .declutter = declutter_like,
    .prepare = prepare,
};
const oi_op oi_op_BitCast = {
    .name = "BitCast", .domain = "", .since = 26, .newest = 26, .flags = OI_OP_ELEMENTWISE, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .attrs = bit_cast_attrs, .attr_size = sizeof(cast_attr), .infer = infer_bits, .eval = eval_bits,
};
