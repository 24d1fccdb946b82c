/* Matrix products over the kernels: with packed constant operands, and with two operands known only when running. */
#include "kernels/gemm.h"
#include "ops/eval_prepared.h"
#include "ops/op_matmul.h"
#include "ops/op_matmul_blas.h"
#include "ops/rewrite.h"

#include <string.h>

#define PACK(field) ((uint16_t)offsetof(oi_pack_gemm_attr, field))
static const oi_attr_spec pack_attrs[] = {
    {.name = "isa", .type = OI_ATTR_INT, .offset = PACK(isa), .flags = OI_ATTR_REQUIRED},
    {.name = "k", .type = OI_ATTR_INT, .offset = PACK(k), .flags = OI_ATTR_REQUIRED},
    {.name = "n", .type = OI_ATTR_INT, .offset = PACK(n), .flags = OI_ATTR_REQUIRED},
    {.name = "transposed", .type = OI_ATTR_INT, .offset = PACK(transposed)},
    {.name = "alpha", .type = OI_ATTR_FLOAT, .offset = PACK(alpha), .f = 1},
    {0},
};

static oi_status packed_size(const oi_pack_gemm_attr *a, int64_t *size)
{
    OI_FAIL_IF(a->k < 0 || a->n < 0, ONNX_INFER_E_INTERNAL, "negative size");
    *size = (int64_t)oi_gemm_packed_size(oi_kernels_for((oi_cpu_isa)a->isa), (size_t)a->k, (size_t)a->n);
    return ONNX_INFER_OK;
}

static oi_status infer_pack(oi_infer *x)
{
    oi_dim size;
    OI_TRY(packed_size(x->attr, &size));
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 1, &size);
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_pack_gemm_attr *a;
    const void *from;
    float *to;
} packing;

static oi_status pack_part(void *arg, size_t i)
{
    const packing *p = arg;
    oi_gemm_pack_part(oi_kernels_for((oi_cpu_isa)p->a->isa), (size_t)p->a->k, (size_t)p->a->n, p->from,
                      (size_t)(p->a->transposed ? p->a->k : p->a->n), p->a->transposed != 0, p->a->alpha, i, p->to);
    return ONNX_INFER_OK;
}

static oi_status eval_pack(oi_eval *e)
{
    const oi_pack_gemm_attr *a = e->attr;
    int64_t size;
    oi_tensor *out;
    OI_TRY(packed_size(a, &size));
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 1, &size, &out));
    packing p = {a, oi_eval_in(e, 0)->data, out->data};
    return oi_eval_parts(e, oi_gemm_pack_parts(oi_kernels_for((oi_cpu_isa)a->isa), (size_t)a->n), out->bytes, pack_part, &p);
}

const oi_op oi_op_oi_PackGemmB = {
    .name = "PackGemmB", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .loose = 1, .attrs = pack_attrs, .attr_size = sizeof(oi_pack_gemm_attr),
    .infer = infer_pack, .eval = eval_pack,
};

#define GEMM(field) ((uint16_t)offsetof(oi_gemm_packed_attr, field))
static const oi_attr_spec gemm_attrs[] = {
    {.name = "isa", .type = OI_ATTR_INT, .offset = GEMM(isa), .flags = OI_ATTR_REQUIRED},
    {.name = "k", .type = OI_ATTR_INT, .offset = GEMM(k), .flags = OI_ATTR_REQUIRED},
    {.name = "n", .type = OI_ATTR_INT, .offset = GEMM(n), .flags = OI_ATTR_REQUIRED},
    {.name = "as_is", .type = OI_ATTR_INT, .offset = GEMM(as_is)},
    {.name = "alpha", .type = OI_ATTR_FLOAT, .offset = GEMM(alpha), .f = 1},
    OI_ACTIVATION_ATTRS(oi_gemm_packed_attr, act),
    {0},
};

static oi_status infer_gemm(oi_infer *x)
{
    const oi_gemm_packed_attr *a = x->attr;
    oi_shape shape = x->in[0]->shape;
    OI_FAIL_IF(shape.rank < 1 || shape.dim[shape.rank - 1] != a->k, ONNX_INFER_E_INTERNAL, "input 0 does not end in %lld",
               (long long)a->k);
    shape.dim[shape.rank - 1] = a->n;
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, shape.rank, shape.dim);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_gemm_plan plan;
    oi_gemm_args args; /* all but the pointers that a run brings */
    oi_activation act;
    bool residual_is_input_2;
} gemm_state;

static oi_status finish(oi_prepare *p, gemm_state *s, const oi_gemm_shape *shape, oi_run_fn run)
{
    OI_TRY(oi_gemm_plan_init(&s->plan, p->target->kernels, shape));
    p->step->state = s;
    p->step->run = run;
    p->step->n_tasks = (uint32_t)s->plan.n_tasks;
    p->step->thread_workspace = s->plan.workspace * sizeof(float);
    p->step->flops = 2 * (uint64_t)shape->batch * shape->m * shape->n * shape->k;
    p->step->kernel = oi_arena_format(p->arena, "gemm %zux%zux%zu%s %s", shape->m, shape->n, shape->k,
                                      shape->b_packed ? " packed" : "", p->target->kernels->name);
    return ONNX_INFER_OK;
}

static gemm_state *new_state(oi_prepare *p)
{
    gemm_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (s)
        s->args.alpha = 1;
    return s;
}

static oi_status run_packed(const oi_run *r, uint32_t task)
{
    const gemm_state *s = r->step->state;
    oi_gemm_args args = s->args;
    args.a = r->in[0], args.b = r->in[1], args.c = r->out[0], args.stop = r->stop;
    args.epilogue = oi_activation_epilogue(&s->act, r->step->nin > 2 ? r->in[2] : NULL, r->step->nin > 3 ? r->in[3] : NULL);
    oi_gemm_run(&s->plan, &args, task, r->thread_workspace);
    return ONNX_INFER_OK;
}

static oi_status prepare_packed(oi_prepare *p)
{
    const oi_gemm_packed_attr *a = p->step->attr;
    const oi_tensor *x = &p->step->in[0];
    gemm_state *s = new_state(p);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_gemm_shape shape = {.m = (size_t)oi_dims_count(x->rank - 1, x->dim), .n = (size_t)a->n, .k = (size_t)a->k, .batch = 1,
                           .b_packed = !a->as_is, .trans_b = a->as_is != 0};
    s->act = a->act;
    s->args.alpha = a->alpha;
    s->args.lda = s->args.ldb = shape.k, s->args.ldc = s->args.ldr = shape.n;
    return finish(p, s, &shape, run_packed); /* not in place: partial sums may pass through the output */
}

static oi_status eval_gemm(oi_eval *e)
{
    const oi_gemm_packed_attr *a = e->attr;
    oi_tensor x = *oi_eval_in(e, 0);
    OI_FAIL_IF(x.rank < 1, ONNX_INFER_E_INTERNAL, "input 0 is a scalar");
    x.dim[x.rank - 1] = a->n;
    return oi_eval_prepared(e, (oi_cpu_isa)a->isa, ONNX_INFER_FLOAT, x.rank, x.dim);
}

const oi_op oi_op_oi_GemmPacked = {
    .name = "GemmPacked", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY,
    .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .loose = 1 << 1, .attrs = gemm_attrs, .attr_size = sizeof(oi_gemm_packed_attr),
    .infer = infer_gemm, .eval = eval_gemm, .prepare = prepare_packed,
};

/* True where so few rows meet a large transposed B that it is best left where it lies, perhaps in the mapped file. */
static bool best_as_is(const oi_fact *a, const oi_pack_gemm_attr *pack)
{
    enum { LARGE = 1 << 18 }; /* elements: smaller ones stay in cache from run to run, where panels are faster */
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    return pack->transposed && oi_fact_dims(a, &rank, dims) && oi_dims_count(rank - 1, dims) <= OI_GEMM_DOT_ROWS &&
           pack->k >= LARGE / pack->n;
}

/* --- lowering ------------------------------------------------------------------------------------------------------ */

/* The matrix that v is the transpose of, if v is computed from a constant one; else v. */
static oi_value_id behind_transpose(const oi_graph *g, oi_value_id v, int64_t *transposed)
{
    const oi_node *t = oi_match_def(g, v, "Transpose");
    const oi_fact *f = t ? oi_graph_fact(g, t->in[0]) : NULL;
    if (!f || !f->konst || f->shape.rank != 2)
        return v;
    const oi_ints *perm = oi_attr_field(t, "perm");
    if (perm->at && perm->at[0] == 0)
        return v;
    *transposed = !*transposed;
    return t->in[0];
}

static oi_status lower(oi_rewrite *rw, oi_node_id id, const oi_target *target, const oi_gemm_attr *how, oi_value_id bias)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    int64_t transposed = how && how->trans_b;
    const oi_value_id weights = behind_transpose(g, node.in[1], &transposed);
    const oi_fact *a = oi_graph_fact(g, node.in[0]), *b = oi_graph_fact(g, weights);
    int64_t dims[OI_MAX_RANK];
    int32_t rank;
    if (a->dtype != ONNX_INFER_FLOAT || a->shape.rank < 1 || !b->konst || !oi_fact_dims(b, &rank, dims) || rank != 2 ||
        dims[0] == 0 || dims[1] == 0 || oi_matmul_blas_serves(target, a->dtype))
        return ONNX_INFER_OK;
    oi_pack_gemm_attr *pack = oi_attr_new(g->arena, &oi_op_oi_PackGemmB);
    oi_gemm_packed_attr *gemm = oi_attr_new(g->arena, &oi_op_oi_GemmPacked);
    if (!pack || !gemm)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    pack->isa = gemm->isa = target->isa;
    pack->transposed = transposed;
    pack->alpha = how ? how->alpha : 1;
    pack->k = gemm->k = dims[pack->transposed ? 1 : 0];
    pack->n = gemm->n = dims[pack->transposed ? 0 : 1];
    if (a->shape.dim[a->shape.rank - 1] != gemm->k)
        return ONNX_INFER_OK;
    oi_value_id in[3] = {node.in[0], weights, bias};
    if (best_as_is(a, pack)) {
        gemm->as_is = 1;
        gemm->alpha = pack->alpha;
    } else {
        in[1] = oi_rewrite_node(rw, &oi_op_oi_PackGemmB, pack, 1, &weights);
    }
    oi_rewrite_replace(rw, node.out[0], oi_rewrite_node(rw, &oi_op_oi_GemmPacked, gemm, bias == OI_NONE ? 2 : 3, in));
    return rw->status;
}

oi_status oi_matmul_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    return lower(rw, id, target, NULL, OI_NONE);
}

oi_status oi_gemm_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target)
{
    const oi_node node = rw->g->node[id];
    const oi_gemm_attr *a = node.attr;
    if (a->trans_a)
        return ONNX_INFER_OK;
    oi_value_id c = node.nin > 2 ? node.in[2] : OI_NONE;
    if (c != OI_NONE) {
        const oi_fact *fact = oi_graph_fact(rw->g, c), *out = oi_graph_fact(rw->g, node.out[0]);
        const oi_shape *s = &fact->shape;
        bool row = (s->rank == 1 || (s->rank == 2 && s->dim[0] == 1)) && s->dim[s->rank - 1] == out->shape.dim[1];
        if (!row || a->beta != 1)
            return ONNX_INFER_OK;
    }
    return lower(rw, id, target, a, c);
}

bool oi_matmul_takes_transposed(const oi_graph *g, const oi_node *n)
{
    int64_t transposed = 0;
    return n->nin > 1 && behind_transpose(g, n->in[1], &transposed) != n->in[1];
}

/* --- both operands at run time --------------------------------------------------------------------------------------- */

static oi_status run_matmul(const oi_run *r, uint32_t task)
{
    const gemm_state *s = r->step->state;
    oi_gemm_args args = s->args;
    args.a = r->in[0], args.b = r->in[1], args.c = r->out[0], args.stop = r->stop;
    if (s->residual_is_input_2)
        args.epilogue.residual = r->in[2];
    oi_gemm_run(&s->plan, &args, task, r->thread_workspace);
    return ONNX_INFER_OK;
}

static void *arena_mem(void *arena, size_t bytes)
{
    return oi_arena_mem(arena, bytes);
}

oi_status oi_matmul_prepare(oi_prepare *p)
{
    const oi_tensor *a = &p->step->in[0], *b = &p->step->in[1];
    bool blas = a->dtype == b->dtype && oi_matmul_blas_serves(p->target, a->dtype);
    if (!blas && (a->dtype != ONNX_INFER_FLOAT || b->dtype != ONNX_INFER_FLOAT))
        return ONNX_INFER_OK;
    gemm_state *s = new_state(p);
    oi_matmul_shape product;
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_matmul_resolve(a->rank, a->dim, b->rank, b->dim, arena_mem, p->arena, &product));
    if (blas)
        return oi_matmul_blas_prepare(p, &product, NULL);
    bool shared_b = b->rank <= 2; /* then the rows of all matrices of A are rows of one */
    oi_gemm_shape shape = {.m = (size_t)product.m * (shared_b ? product.batch : 1), .n = (size_t)product.n,
                           .k = (size_t)product.k, .batch = shared_b ? 1 : product.batch};
    s->args.lda = shape.k, s->args.ldb = s->args.ldc = s->args.ldr = shape.n;
    s->args.c_batch = shape.m * shape.n;
    s->args.epilogue = oi_epilogue_none();
    if (!shared_b) {
        s->args.a_offsets = product.a_offset;
        s->args.b_offsets = product.b_offset;
    }
    return finish(p, s, &shape, run_matmul);
}

oi_status oi_gemm_prepare(oi_prepare *p)
{
    const oi_gemm_attr *g = p->step->attr;
    const oi_tensor *a = &p->step->in[0], *b = &p->step->in[1], *y = &p->step->out[0];
    const oi_tensor *c = p->step->nin > 2 && p->step->in[2].dtype ? &p->step->in[2] : NULL;
    if (a->rank != 2 || b->rank != 2)
        return ONNX_INFER_OK;
    if (!c && a->dtype == b->dtype && oi_matmul_blas_serves(p->target, a->dtype)) {
        int64_t a_dims[2] = {y->dim[0], a->dim[g->trans_a ? 0 : 1]}, b_dims[2] = {a_dims[1], y->dim[1]};
        oi_matmul_shape product;
        OI_TRY(oi_matmul_resolve(2, a_dims, 2, b_dims, arena_mem, p->arena, &product));
        return oi_matmul_blas_prepare(p, &product, g);
    }
    if (a->dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    int64_t columns = c && c->rank ? c->dim[c->rank - 1] : 1, rows = c && c->rank == 2 ? c->dim[0] : 1;
    if (c && (columns != y->dim[1] || (rows != 1 && rows != y->dim[0]) || c->rank > 2))
        return ONNX_INFER_OK;
    gemm_state *s = new_state(p);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_gemm_shape shape = {.m = (size_t)y->dim[0], .n = (size_t)y->dim[1], .k = (size_t)a->dim[g->trans_a ? 0 : 1],
                           .batch = 1, .trans_a = g->trans_a != 0, .trans_b = g->trans_b != 0};
    s->args.alpha = g->alpha;
    s->args.lda = (size_t)a->dim[1], s->args.ldb = (size_t)b->dim[1], s->args.ldc = shape.n;
    s->args.ldr = rows == 1 ? 0 : shape.n;
    s->args.epilogue = oi_epilogue_none();
    s->args.epilogue.beta = g->beta;
    s->residual_is_input_2 = c != NULL;
    return finish(p, s, &shape, run_matmul);
}
