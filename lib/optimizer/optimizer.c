/* The optimizer: which passes run at which stage, in which order. */
#include "optimizer/optimizer.h"

#include "ops/infer.h"
#include "optimizer/layout.h"
#include "optimizer/pass.h"
#include "optimizer/rules.h"

#include <string.h>

typedef struct {
    const char *name;
    oi_status (*run)(oi_graph *g, oi_pass *p); /* NULL: rules */
    const oi_rules *rules;
    oi_rounding rounding; /* of `run` */
} pass_entry;

#define RULES(table) {table, sizeof table / sizeof *table}

/* What an operator's own hooks say. */
static oi_status declutter_hook(oi_rewrite *rw, oi_node_id id)
{
    const oi_op *op = rw->g->node[id].op;
    return op->declutter ? op->declutter(rw, id) : ONNX_INFER_OK;
}

static oi_status lower_hook(oi_rewrite *rw, oi_node_id id)
{
    const oi_op *op = rw->g->node[id].op;
    return op->lower(rw, id, rw->target);
}

static oi_status lower_hook_of_bytes(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    return oi_dtype_size(oi_graph_fact(rw->g, n->in[0])->dtype) == 1 ? lower_hook(rw, id) : ONNX_INFER_OK;
}

/* Tried in this order on each node. */
static const oi_rule declutter_rules[] = {
    {"declutter", NULL, declutter_hook, OI_ROUNDS},
    {"idle operator", NULL, oi_rule_idle, OI_EXACT},
    {"twice", NULL, oi_rule_twice, OI_EXACT},
    {"constant to the right", NULL, oi_rule_constant_right, OI_EXACT},
    {"transposes", "Transpose", oi_rule_transposes, OI_EXACT},
    {"flat transpose", "Transpose", oi_rule_flat_transpose, OI_EXACT},
    {"transpose behind", NULL, oi_rule_transpose_down, OI_EXACT},
    {"transpose behind", "Concat", oi_rule_transpose_concat, OI_EXACT},
    {"transpose behind a sum", NULL, oi_rule_transpose_sum, OI_ROUNDS},
    {"transpose behind a choice", NULL, oi_rule_transpose_choice, OI_EXACT},
    {"concatenations", "Concat", oi_rule_concats, OI_EXACT},
    {"gathers", "Gather", oi_rule_split_gathers, OI_EXACT},
    {"blocks into a window", "Conv", oi_rule_blocks_conv, OI_ROUNDS},
    {"upsampling", "Conv", oi_rule_upsample_conv, OI_ROUNDS},
    {"blocks of pixels", "Reshape", oi_rule_space, OI_EXACT},
    {"depth to space behind", NULL, oi_rule_depth_behind, OI_EXACT},
    {"views", NULL, oi_rule_views, OI_EXACT},
    {"views behind", NULL, oi_rule_views_behind, OI_EXACT},
    {"casts", "Cast", oi_rule_casts, OI_EXACT},
    {"expanded operand", NULL, oi_rule_expanded, OI_EXACT},
    {"pads", "Pad", oi_rule_pads, OI_EXACT},
    {"edges cut off", "Slice", oi_rule_crop_transposed, OI_EXACT},
    {"edges cut off", "Pad", oi_rule_crop_transposed, OI_EXACT},
    {"pads into a window", NULL, oi_rule_absorb_pad, OI_EXACT},
    {"scale and shift", NULL, oi_rule_affine, OI_ROUNDS},
    {"scale of columns", "Mul", oi_rule_scale_columns, OI_ROUNDS},
    {"scale and shift before", "Conv", oi_rule_affine_before, OI_ROUNDS},
    {"factor", "Mul", oi_rule_scalar_up, OI_ROUNDS},
    {"factor", "Div", oi_rule_scalar_up, OI_ROUNDS},
    {"two factors", "MatMul", oi_rule_two_factors, OI_ROUNDS},
    {"bias", "Add", oi_rule_bias_up, OI_ROUNDS},
    {"hard sigmoid", "Div", oi_rule_hard_sigmoid, OI_ROUNDS},
    {"hard sigmoid", "Mul", oi_rule_hard_sigmoid, OI_ROUNDS},
    {"hard swish", "Mul", oi_rule_hard_swish, OI_ROUNDS},
    {"hard swish", "Div", oi_rule_hard_swish, OI_ROUNDS},
    {"swish", "Mul", oi_rule_swish, OI_ROUNDS},
    {"mish", "Mul", oi_rule_mish, OI_ROUNDS},
    {"sigmoid", "Reciprocal", oi_rule_sigmoid, OI_ROUNDS},
    {"sigmoid", "Div", oi_rule_sigmoid, OI_ROUNDS},
    {"softsign", "Div", oi_rule_softsign, OI_ROUNDS},
    {"bounds", "Max", oi_rule_bounds, OI_EXACT},
    {"bounds", "Min", oi_rule_bounds, OI_EXACT},
    {"bounds", "Clip", oi_rule_bounds, OI_EXACT},
    {"bounds", "Relu", oi_rule_bounds, OI_EXACT},
    {"hard sigmoid of bounds", "Clip", oi_rule_hard_sigmoid_clip, OI_ROUNDS},
    {"slope below 0", "Max", oi_rule_slope_max, OI_EXACT},
    {"slope below 0", "Where", oi_rule_slope_where, OI_EXACT},
    {"slope below 0", "Add", oi_rule_slope_sum, OI_EXACT},
    {"slope below 0", "Sub", oi_rule_slope_sum, OI_EXACT},
    {"gelu", "Mul", oi_rule_gelu_erf, OI_ROUNDS},
    {"gelu", "Div", oi_rule_gelu_erf, OI_ROUNDS},
    {"gelu by tanh", "Mul", oi_rule_gelu_tanh, OI_ROUNDS},
    {"gelu by tanh", "Div", oi_rule_gelu_tanh, OI_ROUNDS},
    {"mean", "Div", oi_rule_mean, OI_ROUNDS},
    {"mean", "Mul", oi_rule_mean, OI_ROUNDS},
    {"layer norm", "Div", oi_rule_layer_norm, OI_ROUNDS},
    {"layer norm", "Mul", oi_rule_layer_norm, OI_ROUNDS},
    {"layer norm of channels", "Div", oi_rule_layer_norm_channels, OI_ROUNDS},
    {"layer norm of channels", "Mul", oi_rule_layer_norm_channels, OI_ROUNDS},
    {"rms norm", "Div", oi_rule_rms_norm, OI_ROUNDS},
    {"rms norm", "Mul", oi_rule_rms_norm, OI_ROUNDS},
    {"scale of a norm", "Mul", oi_rule_norm_scale, OI_ROUNDS},
    {"bias of a norm", "Add", oi_rule_norm_bias, OI_ROUNDS},
    {"layer norm", "Add", oi_rule_norm_split, OI_ROUNDS},
    {"layer norm", "Sub", oi_rule_norm_split, OI_ROUNDS},
    {"group norm", "Reshape", oi_rule_group_norm, OI_ROUNDS},
    {"scale of a channel norm", "Mul", oi_rule_channel_norm, OI_ROUNDS},
    {"bias of a channel norm", "Add", oi_rule_channel_norm, OI_ROUNDS},
    {"softmax", "Div", oi_rule_softmax, OI_ROUNDS},
    {"softmax", "Mul", oi_rule_softmax, OI_ROUNDS},
    {"logarithm of softmax", "Sub", oi_rule_log_softmax, OI_ROUNDS},
    {"recurrent cell", "Scan", oi_rule_cell, OI_ROUNDS},
    {"recurrent cell", "Loop", oi_rule_cell, OI_ROUNDS},
#ifdef OI_PLANTED_RULE /* tests/optimizer/planted.c, here and below */
    OI_PLANTED_RULE("declutter")
#endif
};
static const oi_rules declutter_ruleset = RULES(declutter_rules);

/* Until nothing changes. */
static const pass_entry declutter_passes[] = {
    {"branches", oi_pass_branches, NULL, OI_EXACT},
    {"captures", oi_pass_captures, NULL, OI_EXACT},
    {"constants", oi_pass_fold, NULL, OI_EXACT},
    {"invariants of loops", oi_pass_hoist, NULL, OI_EXACT},
    {"rules", NULL, &declutter_ruleset, OI_EXACT},
    {"loops", oi_pass_unroll, NULL, OI_EXACT},
    {"common subexpressions", oi_pass_common, NULL, OI_EXACT},
    {"dead code", oi_pass_dead, NULL, OI_EXACT},
};

/* Before quantised values are taken for floats. */
static const oi_rule bytes_rules[] = {
    {"quantised operator", "QuantizeLinear", oi_rule_quantised_operator, OI_ROUNDS},
    {"quantised function", "QuantizeLinear", oi_rule_quantised_function, OI_EXACT},
    {"quantised convolution", "QLinearConv", lower_hook, OI_EXACT},
    {"quantised pool", "MaxPool", lower_hook_of_bytes, OI_EXACT},
    {"transposed bytes", "Transpose", oi_rule_bytes_transposed, OI_EXACT},
    {"transpose behind bytes", NULL, oi_rule_bytes_down, OI_EXACT},
    {"views of bytes", NULL, oi_rule_bytes_views, OI_EXACT},
    {"residual of bytes", "BinaryBytes", oi_rule_bytes_residual, OI_EXACT},
};
static const oi_rules bytes_ruleset = RULES(bytes_rules);

/* While operators still have their standard form. */
static const oi_rule prepare_rules[] = {
    {"taps in padding", "Conv", oi_rule_cut_taps, OI_EXACT},
    {"quantise and back", "DequantizeLinear", oi_rule_quantise_pair, OI_EXACT},
    {"quantised already", "QuantizeDequantize", oi_rule_quantised, OI_EXACT},
    {"scale and shift as Conv", "BatchNormalization", oi_rule_affine_conv, OI_ROUNDS},
    {"scale and shift as Conv", "Add", oi_rule_affine_conv, OI_ROUNDS},
    {"scale and shift as Conv", "Sub", oi_rule_affine_conv, OI_ROUNDS},
    {"rotary embedding", "Add", oi_rule_rotary, OI_ROUNDS},
    {"rotary embedding", "Concat", oi_rule_rotary_parts, OI_ROUNDS},
    {"rotary embedding", "Reshape", oi_rule_rotary_parts, OI_ROUNDS},
    {"rotary embedding of a part", "Concat", oi_rule_rotary_rest, OI_EXACT},
    {"rotary embedding", "RotaryEmbedding", oi_rule_rotary_operator, OI_ROUNDS},
    {"length 1", "Div", oi_rule_l2, OI_ROUNDS},
    {"length 1", "Mul", oi_rule_l2, OI_ROUNDS},
    {"length 1", "LpNormalization", oi_rule_l2, OI_ROUNDS},
    {"attention", "MatMul", oi_rule_attention_pieces, OI_ROUNDS},
    {"attention", "Attention", oi_rule_attention_operator, OI_ROUNDS},
    {"projections", "AttentionStrided", oi_rule_projections, OI_EXACT},
    {"rows of a made table", "Gather", oi_rule_gather_before, OI_EXACT},
    {"transposed weights", "MatMul", oi_rule_transposed_weights, OI_ROUNDS},
    {"transposed weights", "Gemm", oi_rule_transposed_weights, OI_ROUNDS},
#ifdef OI_PLANTED_RULE
    OI_PLANTED_RULE("prepare")
#endif
};
static const oi_rules prepare_ruleset = RULES(prepare_rules);

/* After the layout is settled. */
static const oi_rule settled_rules[] = {
    {"reorder of one pixel", "ReorderToBlocked", oi_rule_single_pixel, OI_EXACT},
    {"reorder of one pixel", "ReorderFromBlocked", oi_rule_single_pixel, OI_EXACT},
    {"view behind a product", NULL, oi_rule_product_in_views, OI_EXACT},
    {"views", NULL, oi_rule_views, OI_EXACT},
    {"idle operator", NULL, oi_rule_idle, OI_EXACT},
#ifdef OI_PLANTED_RULE
    OI_PLANTED_RULE("settled")
#endif
};
static const oi_rules settled_ruleset = RULES(settled_rules);

/* What no epilogue has taken in. */
static const oi_rule residual_rules[] = {
    {"norm of a sum", "LayerNormalization", oi_rule_norm_of_sum, OI_EXACT},
    {"norm of a sum", "RMSNormalization", oi_rule_norm_of_sum, OI_EXACT},
    {"scaled channels", "ConvBlocked", oi_rule_scaled_channels, OI_ROUNDS},
};
static const oi_rules residual_ruleset = RULES(residual_rules);

static const pass_entry lower_passes[] = {
    {"bytes", NULL, &bytes_ruleset, OI_EXACT},
    {"prepare", NULL, &prepare_ruleset, OI_EXACT},
    {"lower", oi_pass_lower, NULL, OI_ROUNDS},
    {"layout", NULL, &oi_layout_rules, OI_EXACT},
    {"settled", NULL, &settled_ruleset, OI_EXACT},
    {"epilogues", NULL, &oi_epilogue_rules, OI_EXACT},
    {"residuals", NULL, &residual_ruleset, OI_ROUNDS},
    {"constants", oi_pass_fold, NULL, OI_EXACT},
    {"dead code", oi_pass_dead, NULL, OI_EXACT},
    {"elementwise", oi_pass_fuse_elementwise, NULL, OI_ROUNDS},
};

enum {
    ROUNDS = 16,            /* of declutter; each but the last has changed something */
    FOLD_BUDGET = 4 << 20,  /* bytes of a decluttered graph */
    FOLD_LOWERED = 256 << 20,
};

/* What rewrites lowered operators alone needs them to be there. */
static bool pass_skipped(const oi_watch *w, const pass_entry *e)
{
    return e->run == oi_pass_lower ? w->exact : oi_watch_skips(w, e->name, e->rounding);
}

static oi_status run_passes(oi_graph *g, oi_pass *p, const pass_entry *pass, size_t n)
{
    for (size_t i = 0; i < n && !oi_pass_stopped(p); i++) {
        OI_TRY(oi_pass_check(p));
        uint64_t before = p->rewriter.commits;
        if (!pass[i].rules && pass_skipped(&p->rewriter.watch, &pass[i]))
            continue;
        p->rewriter.pass = pass[i].name;
        if (pass[i].rules)
            OI_TRY(oi_rewrite_run(g, pass[i].rules->rule, pass[i].rules->n, &p->rewriter));
        else
            OI_TRY(pass[i].run(g, p));
        if (p->rewriter.commits == before)
            continue;
        if (p->rewriter.watch.changed)
            p->rewriter.watch.changed(p->rewriter.watch.user, pass[i].name, NULL);
        if (p->rewriter.strict) {
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
                              .user = o->user, .watch = o->watch}};
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
        OI_TRY(oi_slab_create(oi_arena_alloc_of(g->arena), &p.scratch));
        oi_status status = lower(g, &p);
        oi_slab_destroy(p.scratch);
        OI_TRY(status);
    }
    o->commits = p.rewriter.commits;
    OI_FAIL_IF(o->strict && p.rewriter.exhausted, ONNX_INFER_E_INTERNAL, "the passes do not come to an end");
    OI_TRY(oi_graph_compact(g));
    return oi_graph_verify(g);
}

bool oi_optimize_pass(size_t i, oi_pass_info *out)
{
    const size_t first = sizeof declutter_passes / sizeof *declutter_passes, all = first + sizeof lower_passes / sizeof *lower_passes;
    if (i >= all)
        return false;
    const pass_entry *e = i < first ? &declutter_passes[i] : &lower_passes[i - first];
    *out = (oi_pass_info){i < first ? OI_STAGE_DECLUTTERED : OI_STAGE_LOWERED, e->name, e->rounding, e->rules};
    return true;
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
