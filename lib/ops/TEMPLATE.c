/* NAME: what it computes, in a line. A template for a new operator: copy it to op_<family>.c, replace Template, and see
 * "Adding an operator" in CONTRIBUTING.md. As it stands it is y = x * factor; tests/support/check_template compiles it. */
#include "ops/op.h"

/* Attributes: a plain struct and a table that says where each is. */
typedef struct {
    float factor;
} template_attr;

static const oi_attr_spec attrs[] = {
    {.name = "factor", .type = OI_ATTR_FLOAT, .offset = offsetof(template_attr, factor), .f = 1.0f},
    {0},
};

static const oi_dtype types[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE};

/* Optional: brings the form of an older opset to the newest one. Here version 1 called the attribute "scale". */
static oi_status import_template(oi_import *im)
{
    oi_raw_attr *old = im->opset < 2 ? oi_import_find(im, "scale") : NULL;
    if (old)
        old->name = "factor";
    return ONNX_INFER_OK;
}

/* Facts of the outputs from facts of the inputs. Dims may be symbolic: compute with oi_dim_*, never with C operators. */
static oi_status infer(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, types, sizeof types / sizeof *types));
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

/* The plain reference, right for every element type of the standard. Outputs come from oi_eval_out, temporary memory from
 * oi_eval_scratch. */
static oi_status eval(oi_eval *e)
{
    const template_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    int64_t n = oi_tensor_count(x);
    if (x->dtype == ONNX_INFER_DOUBLE) {
        for (int64_t i = 0; i < n; i++)
            ((double *)y->data)[i] = ((const double *)x->data)[i] * (double)a->factor;
    } else if (x->dtype == ONNX_INFER_FLOAT) {
        for (int64_t i = 0; i < n; i++)
            ((float *)y->data)[i] = ((const float *)x->data)[i] * a->factor;
    } else {
        return oi_eval_bad_type(e, 0);
    }
    return ONNX_INFER_OK;
}

/* Optional: the fast path for given shapes. A task does its part of the output, allocates nothing, and how many tasks
 * there are never depends on the number of threads. */
enum { FLOATS_PER_TASK = 1 << 14 };

static oi_status run(const oi_run *r, uint32_t task)
{
    const template_attr *a = r->step->attr;
    int64_t n = oi_tensor_count(&r->step->in[0]), first = (int64_t)task * FLOATS_PER_TASK, last = first + FLOATS_PER_TASK;
    const float *x = r->in[0];
    float *y = r->out[0];
    for (int64_t i = first; i < (last < n ? last : n); i++)
        y[i] = x[i] * a->factor;
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    if (step->in[0].dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK; /* run stays NULL: eval does it */
    step->run = run;
    step->n_tasks = (uint32_t)((oi_tensor_count(&step->in[0]) + FLOATS_PER_TASK - 1) / FLOATS_PER_TASK);
    step->in_place = 0;
    step->kernel = "loop";
    return ONNX_INFER_OK;
}

const oi_op oi_op_Template = {
    .name = "Template", .domain = "", .since = 1, .newest = 2, .flags = OI_OP_ELEMENTWISE,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(template_attr),
    .import = import_template, .infer = infer, .eval = eval, .prepare = prepare,
};
