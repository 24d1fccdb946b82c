/* The optimizer: which passes run at which stage, in which order. */
#include "optimizer/optimizer.h"

#include "ops/infer.h"
#include "optimizer/layout.h"
#include "optimizer/pass.h"
#include "optimizer/rules.h"

#include <string.h>

typedef struct {
    const char *name;
    oi_status (*run)(oi_graph *g, oi_pass *p);
} pass_entry;

/* What an operator's own hooks say. */
static oi_status declutter_hook(oi_rewrite *rw, oi_node_id id)
{
    const oi_op *op = rw->g->node[id].op;
    return op->declutter ? op->declutter(rw, id) : ONNX_INFER_OK;
}

static oi_status fuse_hook(oi_rewrite *rw, oi_node_id id)
{
    const oi_op *op = rw->g->node[id].op;
    return op->fuse ? op->fuse(rw, id, rw->target) : ONNX_INFER_OK;
}

/* Tried in this order on each node. */
static const oi_rule declutter_rules[] = {
    {"declutter", NULL, declutter_hook},
    {"idle operator", NULL, oi_rule_idle},
    {"twice", NULL, oi_rule_twice},
    {"constant to the right", NULL, oi_rule_constant_right},
    {"transposes", "Transpose", oi_rule_transposes},
    {"flat transpose", "Transpose", oi_rule_flat_transpose},
    {"transpose behind", NULL, oi_rule_transpose_down},
    {"transpose behind", "Concat", oi_rule_transpose_concat},
    {"gathers", "Gather", oi_rule_split_gathers},
    {"upsampling", "Conv", oi_rule_upsample_conv},
    {"depth to space behind", NULL, oi_rule_depth_behind},
    {"views", NULL, oi_rule_views},
    {"casts", "Cast", oi_rule_casts},
    {"scale and shift", NULL, oi_rule_affine},
    {"scale of columns", "Mul", oi_rule_scale_columns},
    {"scale and shift before", "Conv", oi_rule_affine_before},
    {"factor", "Mul", oi_rule_scalar_up},
    {"factor", "Div", oi_rule_scalar_up},
    {"two factors", "MatMul", oi_rule_two_factors},
    {"bias", "Add", oi_rule_bias_up},
    {"hard sigmoid", "Div", oi_rule_hard_sigmoid},
    {"hard sigmoid", "Mul", oi_rule_hard_sigmoid},
    {"hard swish", "Mul", oi_rule_hard_swish},
    {"hard swish", "Div", oi_rule_hard_swish},
    {"swish", "Mul", oi_rule_swish},
    {"mish", "Mul", oi_rule_mish},
    {"clip", "Min", oi_rule_clip},
    {"gelu", "Mul", oi_rule_gelu_erf},
    {"gelu", "Div", oi_rule_gelu_erf},
    {"gelu by tanh", "Mul", oi_rule_gelu_tanh},
    {"gelu by tanh", "Div", oi_rule_gelu_tanh},
    {"layer norm", "Div", oi_rule_layer_norm},
    {"layer norm", "Mul", oi_rule_layer_norm},
    {"rms norm", "Div", oi_rule_rms_norm},
    {"rms norm", "Mul", oi_rule_rms_norm},
    {"scale of a norm", "Mul", oi_rule_norm_scale},
    {"bias of a norm", "Add", oi_rule_norm_bias},
    {"layer norm", "Add", oi_rule_norm_split},
    {"group norm", "Reshape", oi_rule_group_norm},
    {"scale of a channel norm", "Mul", oi_rule_channel_norm},
    {"bias of a channel norm", "Add", oi_rule_channel_norm},
    {"softmax", "Div", oi_rule_softmax},
#ifdef OI_PLANTED_RULES /* tests/optimizer/planted.c */
    OI_PLANTED_RULES
#endif
};

static oi_status pass_rules(oi_graph *g, oi_pass *p)
{
    return oi_rewrite_run(g, declutter_rules, sizeof declutter_rules / sizeof *declutter_rules, &p->rewriter);
}

/* Until nothing changes. */
static const pass_entry declutter_passes[] = {
    {"branches", oi_pass_branches},
    {"loops", oi_pass_unroll},
    {"captures", oi_pass_captures},
    {"constants", oi_pass_fold},
    {"rules", pass_rules},
    {"common subexpressions", oi_pass_common},
    {"dead code", oi_pass_dead},
};

/* While operators still have their standard form. */
static const oi_rule prepare_rules[] = {
    {"taps in padding", "Conv", oi_rule_cut_taps},
    {"quantise and back", "DequantizeLinear", oi_rule_quantise_pair},
    {"quantised already", "QuantizeDequantize", oi_rule_quantised},
    {"scale and shift as Conv", "BatchNormalization", oi_rule_affine_conv},
    {"scale and shift as Conv", "Add", oi_rule_affine_conv},
    {"scale and shift as Conv", "Sub", oi_rule_affine_conv},
    {"rotary embedding", "Add", oi_rule_rotary},
    {"rotary embedding", "Concat", oi_rule_rotary_parts},
    {"rotary embedding", "Reshape", oi_rule_rotary_parts},
    {"rotary embedding", "RotaryEmbedding", oi_rule_rotary_operator},
    {"attention", "MatMul", oi_rule_attention_pieces},
    {"attention", "Attention", oi_rule_attention_operator},
    {"projections", "AttentionStrided", oi_rule_projections},
};

static oi_status pass_prepare(oi_graph *g, oi_pass *p)
{
    return oi_rewrite_run(g, prepare_rules, sizeof prepare_rules / sizeof *prepare_rules, &p->rewriter);
}

static oi_status pass_layout(oi_graph *g, oi_pass *p)
{
    return oi_rewrite_run(g, oi_layout_rules, oi_layout_rule_count, &p->rewriter);
}

/* After the layout is settled. */
static const oi_rule settled_rules[] = {
    {"fuse", NULL, fuse_hook},
    {"reorder of one pixel", "ReorderToBlocked", oi_rule_single_pixel},
    {"reorder of one pixel", "ReorderFromBlocked", oi_rule_single_pixel},
    {"view behind a product", NULL, oi_rule_product_in_views},
    {"views", NULL, oi_rule_views},
    {"idle operator", NULL, oi_rule_idle},
};

static oi_status pass_settled(oi_graph *g, oi_pass *p)
{
    return oi_rewrite_run(g, settled_rules, sizeof settled_rules / sizeof *settled_rules, &p->rewriter);
}

static oi_status pass_epilogues(oi_graph *g, oi_pass *p)
{
    return oi_rewrite_run(g, oi_epilogue_rules, oi_epilogue_rule_count, &p->rewriter);
}

static const pass_entry lower_passes[] = {
    {"prepare", pass_prepare},
    {"lower", oi_pass_lower},
    {"layout", pass_layout},
    {"settled", pass_settled},
    {"epilogues", pass_epilogues},
    {"constants", oi_pass_fold},
    {"dead code", oi_pass_dead},
    {"elementwise", oi_pass_fuse_elementwise},
};

enum {
    ROUNDS = 16,            /* of declutter; each but the last has changed something */
    FOLD_BUDGET = 4 << 20,  /* bytes of a decluttered graph */
    FOLD_LOWERED = 256 << 20,
};

static oi_status run_passes(oi_graph *g, oi_pass *p, const pass_entry *pass, size_t n)
{
    for (size_t i = 0; i < n && !oi_pass_stopped(p); i++) {
        OI_TRY(oi_pass_check(p));
        uint64_t before = p->rewriter.commits;
        OI_TRY(pass[i].run(g, p));
        if (p->rewriter.commits != before && p->rewriter.strict) {
            oi_status status = oi_graph_verify(g);
            if (status) {
                oi_error_prefix("%s: after %s: ", p->rewriter.stage, pass[i].name);
                return status;
            }
        }
    }
    return ONNX_INFER_OK;
}

static void set_stage(oi_graph *g, oi_stage stage, bool subgraphs)
{
    g->stage = stage;
    for (uint32_t i = 0; i < g->nnode && subgraphs; i++) {
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            set_stage(g->node[i].sub[k].graph, stage, true);
    }
}

static oi_status declutter(oi_graph *g, oi_pass *p)
{
    for (int round = 0;; round++) {
        uint64_t before = p->rewriter.commits;
        OI_TRY(run_passes(g, p, declutter_passes, sizeof declutter_passes / sizeof *declutter_passes));
        if (p->rewriter.commits == before)
            break;
        OI_TRY(oi_infer_graph(g));
        if (round + 1 == ROUNDS) {
            p->rewriter.exhausted = true;
            oi_log_write(g->log, ONNX_INFER_LOG_WARNING, "declutter: still changing after %d rounds; stopped", ROUNDS);
            break;
        }
        if (oi_pass_stopped(p))
            break;
    }
    set_stage(g, OI_STAGE_DECLUTTERED, true);
    return ONNX_INFER_OK;
}

static oi_status lower(oi_graph *g, oi_pass *p)
{
    set_stage(g, OI_STAGE_LOWERED, false);
    return run_passes(g, p, lower_passes, sizeof lower_passes / sizeof *lower_passes);
}

oi_status oi_optimize_with(oi_graph *g, oi_stage to, const oi_target *target, oi_optimize_options *o)
{
    oi_pass p = {.rewriter = {.commits = o->commits, .stop_after = o->stop_after, .strict = o->strict, .check = o->check,
                              .user = o->user}};
    if (g->stage == OI_STAGE_IMPORTED && to > g->stage)
        OI_TRY(oi_infer_graph(g));
    if (g->stage < OI_STAGE_DECLUTTERED && to >= OI_STAGE_DECLUTTERED) {
        p.rewriter.stage = "declutter";
        p.fold_each = p.fold_budget = o->fold_budget ? o->fold_budget : FOLD_BUDGET;
        OI_TRY(declutter(g, &p));
    }
    if (g->stage < OI_STAGE_LOWERED && to >= OI_STAGE_LOWERED) {
        OI_FAIL_IF(!target, ONNX_INFER_E_INVALID_ARGUMENT, "lowering needs a target");
        p.rewriter.stage = "lower";
        p.rewriter.target = target;
        p.fold_each = FOLD_LOWERED;
        p.fold_budget = SIZE_MAX;
        OI_TRY(lower(g, &p));
    }
    o->commits = p.rewriter.commits;
    OI_FAIL_IF(o->strict && p.rewriter.exhausted, ONNX_INFER_E_INTERNAL, "the passes do not come to an end");
    OI_TRY(oi_graph_compact(g));
    return oi_graph_verify(g);
}

oi_status oi_optimize(oi_graph *g, oi_stage to, const oi_target *target)
{
    oi_optimize_options o = {0};
    return oi_optimize_with(g, to, target, &o);
}

/* Puts what is known of an input into the copy. */
static oi_status give_input(oi_graph *g, uint32_t i, const oi_fact *given)
{
    oi_value_id v = g->input[i];
    oi_fact fact = *given;
    fact.konst = NULL;
    OI_TRY(oi_graph_set_fact(g, v, &fact));
    if (!given->konst)
        return ONNX_INFER_OK;
    oi_tensor t;
    oi_value_id constant;
    oi_tensor_share(&t, given->konst);
    oi_status status = oi_graph_add_const(g, NULL, &t, &constant);
    oi_tensor_clear(&t);
    OI_TRY(status);
    return oi_graph_replace_uses(g, v, constant);
}

/* Only the outputs wanted, in their order, and what they need. */
static oi_status keep_outputs(oi_graph *g, const bool *want)
{
    oi_pass p = {.rewriter = {.stage = "outputs"}};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->noutput; i++) {
        if (want[i])
            g->output[kept++] = g->output[i];
    }
    g->noutput = kept;
    for (uint32_t v = 0; v < g->nvalue; v++)
        g->value[v].is_output = false;
    for (uint32_t i = 0; i < kept; i++)
        g->value[g->output[i]].is_output = true;
    return oi_pass_dead(g, &p);
}

oi_status oi_optimize_for(const oi_alloc *a, const oi_graph *g, const int64_t *bound, const oi_fact *const *input, oi_stage to,
                          const oi_target *target, const bool *want, oi_optimize_options *o, oi_graph **out)
{
    oi_optimize_options defaults = {0};
    oi_graph *copy;
    *out = NULL;
    if (!o)
        o = &defaults;
    OI_TRY(oi_graph_clone(a, g, bound, &copy));
    oi_status status = want ? keep_outputs(copy, want) : ONNX_INFER_OK;
    for (uint32_t i = 0; i < copy->ninput && input && !status; i++) {
        if (input[i])
            status = give_input(copy, i, input[i]);
    }
    if (!status)
        status = oi_infer_graph(copy);
    if (!status && to > OI_STAGE_TYPED) {
        set_stage(copy, OI_STAGE_TYPED, true); /* known sizes make more to simplify */
        status = oi_optimize_with(copy, to, target, o);
    } else if (!status) {
        status = oi_graph_compact(copy);
    }
    if (status) {
        oi_graph_destroy(copy);
        return status;
    }
    *out = copy;
    return ONNX_INFER_OK;
}
