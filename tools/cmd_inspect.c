/* onnx-infer inspect: what a model is made of, and its graph at any stage. */
#include "tool.h"

#include "onnx/model_file.h"
#include "ops/op.h"
#include "optimizer/optimizer.h"
#include "svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const PROPERTIES[] = {"producer_name", "producer_version", "graph_name", "domain",
                                         "version",       "ir_version",       "doc"};
enum { PROPERTY_COUNT = sizeof PROPERTIES / sizeof *PROPERTIES };

typedef struct {
    uint64_t parameters, constant_bytes;
    uint32_t nodes;
    bool costs; /* the rest is known: no dimension is open */
    uint64_t flops;
    onnx_infer_memory memory;
    size_t steps;
} sizes;

/* --- the graph at a stage
 * ------------------------------------------------------------------------------------------ */

static oi_status stage_of(const char *name, oi_stage *stage)
{
    static const char *const names[] = {"imported", "typed", "decluttered", "lowered"};
    int32_t level;
    OI_TRY(tool_stage_level(name, &level));
    *stage = OI_STAGE_LOWERED;
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i]))
            *stage = (oi_stage)i;
    return ONNX_INFER_OK;
}

/* Symbols as --dim fixes them, input facts as --shape does. */
static oi_status specialise(const tool_args *args, const oi_graph *g, oi_stage stage, const oi_target *target,
                            oi_graph **out)
{
    size_t nsym = oi_symtab_count(g->syms);
    oi_optimize_options o = {.stop_after = args->stop_after};
    int64_t *bound = oi_alloc_array(NULL, nsym + 1, sizeof *bound);
    oi_fact *fact = oi_alloc_array(NULL, g->ninput + 1, sizeof *fact);
    const oi_fact **in = oi_alloc_array(NULL, g->ninput + 1, sizeof *in);
    oi_status status = bound && fact && in ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < nsym && !status; i++)
        bound[i] = -1;
    for (size_t i = 0; i < args->dim.n && !status; i++) {
        oi_symbol s;
        if (oi_dim_find_symbol(g->syms, args->dim.at[i].name, &s))
            bound[s] = strtoll(args->dim.at[i].value, NULL, 10);
    }
    for (size_t i = 0; i < args->shape.n && !status; i++)
        for (uint32_t k = 0; k < g->ninput && !status; k++)
            if (!strcmp(g->value[g->input[k]].name, args->shape.at[i].name)) {
                fact[k] = g->value[g->input[k]].fact;
                status = tool_parse_shape(args->shape.at[i].value, &fact[k].shape.rank, fact[k].shape.dim);
                in[k] = &fact[k];
            }
    if (!status)
        status = oi_optimize_for(NULL, g, bound, in, stage, target, NULL, &o, out);
    oi_free_mem(NULL, bound);
    oi_free_mem(NULL, fact);
    oi_free_mem(NULL, in);
    return status;
}

static oi_status write_graph(const oi_graph *g, const char *file, const tool_picture_facts *facts)
{
    oi_writer out = tool_file_writer(stdout);
    if (!file)
        return oi_graph_dump_text(g, &out);
    const char *dot = strrchr(file, '.');
    oi_status (*write)(const oi_graph *, const oi_writer *) = NULL;
    static const struct {
        const char *end;
        oi_status (*write)(const oi_graph *, const oi_writer *);
    } forms[] = {{".txt", oi_graph_dump_text},
                 {".dot", oi_graph_dump_dot},
                 {".json", oi_graph_dump_json}};
    const bool picture = dot && !strcmp(dot, ".svg");
    for (size_t i = 0; dot && i < sizeof forms / sizeof *forms; i++)
        if (!strcmp(dot, forms[i].end))
            write = forms[i].write;
    OI_FAIL_IF(!write && !picture, ONNX_INFER_E_INVALID_ARGUMENT,
               "--graph takes FILE.txt, FILE.dot, FILE.json or FILE.svg, not '%s'", file);
    FILE *f = fopen(file, "w");
    OI_FAIL_IF(!f, ONNX_INFER_E_IO, "%s cannot be written: %s", file, strerror(errno));
    out = tool_file_writer(f);
    oi_status status = picture ? tool_graph_svg(g, facts, &out) : write(g, &out);
    if (fclose(f) && !status)
        status = oi_fail(ONNX_INFER_E_IO, "%s cannot be written: %s", file, strerror(errno));
    return status;
}

/* --- the summary
 * --------------------------------------------------------------------------------------------------- */

static void count_constants(const oi_graph *g, sizes *s)
{
    for (uint32_t i = 0; i < g->nvalue; i++) {
        const oi_value *v = &g->value[i];
        if (v->def == OI_NONE && !v->is_input && v->fact.konst) {
            s->parameters += (uint64_t)oi_tensor_count(v->fact.konst);
            s->constant_bytes += v->fact.konst->bytes;
        }
    }
    for (uint32_t i = 0; i < g->nnode; i++)
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            count_constants(g->node[i].sub[k].graph, s);
}

static oi_status count_costs(const tool_args *args, onnx_infer_model *m, sizes *s)
{
    onnx_infer_options *o = NULL;
    onnx_infer_plan *plan = NULL;
    oi_status status = tool_options(args, &o);
    if (!status)
        status = onnx_infer_plan_create(m, o, &plan);
    if (!status && onnx_infer_plan_step_count(plan)) {
        s->costs = true;
        s->steps = onnx_infer_plan_step_count(plan);
        s->memory.struct_size = sizeof s->memory;
        status = onnx_infer_plan_memory(plan, &s->memory);
        for (size_t i = 0; i < s->steps && !status; i++) {
            onnx_infer_event e = {.struct_size = sizeof e};
            status = onnx_infer_plan_step(plan, i, &e);
            s->flops += e.flops;
        }
    }
    onnx_infer_plan_release(plan);
    onnx_infer_options_free(o);
    return status;
}

/* In the head of a picture stands what a run costs, where that is known. */
static oi_status show_graph(const tool_args *args, onnx_infer_model *model, oi_onnx_model *m)
{
    sizes s = {0};
    tool_picture_facts facts = {.model = args->path[0]};
    if (args->graph && !onnx_infer_model_issue_count(model) && !count_costs(args, model, &s))
        facts.flops = s.flops;
    oi_stage stage = OI_STAGE_TYPED;
    if (args->stage)
        OI_TRY(stage_of(args->stage, &stage));
    if (stage == OI_STAGE_IMPORTED)
        return write_graph(m->graph, args->graph, &facts);
    oi_cpu_isa isa = args->isa ? oi_cpu_isa_from_name(args->isa) : oi_cpu_isa_detect();
    OI_FAIL_IF(isa == OI_ISA_COUNT, ONNX_INFER_E_INVALID_ARGUMENT, "no instruction set '%s'", args->isa);
    const oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_graph *g = NULL;
    OI_TRY(oi_optimize(m->graph, OI_STAGE_TYPED, &target));
    OI_TRY(specialise(args, m->graph, stage, &target, &g));
    oi_status status = write_graph(g, args->graph, &facts);
    oi_graph_destroy(g);
    return status;
}

static void print_ports(const onnx_infer_model *m, const char *what, size_t n,
                        const onnx_infer_port *(*port)(const onnx_infer_model *, size_t))
{
    char text[512];
    for (size_t i = 0; i < n; i++) {
        const onnx_infer_port *p = port(m, i);
        printf("%-8s %s: %s%s\n", i ? "" : what, onnx_infer_port_name(p),
               tool_port_text(p, text, sizeof text), onnx_infer_port_is_optional(p) ? " (optional)" : "");
    }
}

static void print_text(const onnx_infer_model *m, const sizes *s)
{
    print_ports(m, "inputs", onnx_infer_model_input_count(m), onnx_infer_model_input);
    print_ports(m, "outputs", onnx_infer_model_output_count(m), onnx_infer_model_output);
    if (onnx_infer_model_symbol_count(m))
        printf("%-8s", "symbols");
    for (size_t i = 0; i < onnx_infer_model_symbol_count(m); i++)
        printf(" %s%s", onnx_infer_model_symbol(m, i), i + 1 < onnx_infer_model_symbol_count(m) ? "," : "\n");
    printf("%-8s", "opsets");
    for (size_t i = 0; i < onnx_infer_model_opset_count(m); i++) {
        const char *domain;
        int64_t version;
        if (!onnx_infer_model_opset(m, i, &domain, &version))
            printf("%s %s %" PRId64, i ? "," : "", *domain ? domain : "ai.onnx", version);
    }
    printf("\n");
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        const char *value = onnx_infer_model_property(m, PROPERTIES[i]);
        if (value && *value)
            printf("%-8s %s: %s\n", "", PROPERTIES[i], value);
    }
    for (size_t i = 0; i < onnx_infer_model_metadata_count(m); i++) {
        const char *key, *value;
        if (!onnx_infer_model_metadata(m, i, &key, &value))
            printf("%-8s %s: %.200s\n", i ? "" : "metadata", key, value);
    }
    printf("%-8s %" PRIu32 " nodes, %" PRIu64 " parameters (%.1f MB)\n", "size", s->nodes, s->parameters,
           (double)s->constant_bytes / 1e6);
    if (s->costs)
        printf("%-8s %.3f GFLOP a run in %zu steps; memory: %.1f MB activations, %.1f MB packed weights, "
               "%.1f MB weights, %.1f MB used in the file\n",
               "cost", (double)s->flops / 1e9, s->steps, (double)s->memory.arena_peak / 1e6,
               (double)s->memory.packed / 1e6, (double)s->memory.weights / 1e6,
               (double)s->memory.mapped / 1e6);
    else
        printf("%-8s known once --dim or --shape fix what the inputs leave open\n", "cost");
    for (size_t i = 0; i < onnx_infer_model_issue_count(m); i++)
        printf("%-8s %s\n", i ? "" : "problems", onnx_infer_error_message(onnx_infer_model_issue(m, i)));
}

static oi_status json_port(const oi_writer *w, const onnx_infer_port *p)
{
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map"};
    OI_TRY(oi_write_text(w, "{\"name\":"));
    OI_TRY(oi_write_json_string(w, onnx_infer_port_name(p)));
    OI_TRY(oi_write_format(
        w, ",\"kind\":\"%s\",\"dtype\":\"%s\",\"optional\":%s,\"shape\":", kinds[onnx_infer_port_kind(p) & 3],
        oi_dtype_name(onnx_infer_port_dtype(p)), onnx_infer_port_is_optional(p) ? "true" : "false"));
    if (onnx_infer_port_rank(p) < 0)
        return oi_write_text(w, "null}");
    OI_TRY(oi_write_text(w, "["));
    for (int32_t i = 0; i < onnx_infer_port_rank(p); i++) {
        OI_TRY(oi_write_text(w, i ? "," : ""));
        if (onnx_infer_port_dim(p, i) >= 0)
            OI_TRY(oi_write_format(w, "%" PRId64, onnx_infer_port_dim(p, i)));
        else
            OI_TRY(oi_write_json_string(w, onnx_infer_port_dim_expr(p, i)));
    }
    return oi_write_text(w, "]}");
}

static oi_status json_pair(const oi_writer *w, const char *gap, const char *key, const char *value)
{
    OI_TRY(oi_write_text(w, gap));
    OI_TRY(oi_write_json_string(w, key));
    OI_TRY(oi_write_text(w, ":"));
    return oi_write_json_string(w, value);
}

static oi_status print_json(const onnx_infer_model *m, const sizes *s)
{
    oi_writer w = tool_file_writer(stdout);
    OI_TRY(oi_write_text(&w, "{\"inputs\":["));
    for (size_t i = 0; i < onnx_infer_model_input_count(m); i++) {
        OI_TRY(oi_write_text(&w, i ? ",\n" : "\n"));
        OI_TRY(json_port(&w, onnx_infer_model_input(m, i)));
    }
    OI_TRY(oi_write_text(&w, "],\"outputs\":["));
    for (size_t i = 0; i < onnx_infer_model_output_count(m); i++) {
        OI_TRY(oi_write_text(&w, i ? ",\n" : "\n"));
        OI_TRY(json_port(&w, onnx_infer_model_output(m, i)));
    }
    OI_TRY(oi_write_text(&w, "],\n\"symbols\":["));
    for (size_t i = 0; i < onnx_infer_model_symbol_count(m); i++) {
        OI_TRY(oi_write_text(&w, i ? "," : ""));
        OI_TRY(oi_write_json_string(&w, onnx_infer_model_symbol(m, i)));
    }
    OI_TRY(oi_write_text(&w, "],\n\"opsets\":{"));
    for (size_t i = 0; i < onnx_infer_model_opset_count(m); i++) {
        const char *domain;
        int64_t version;
        OI_TRY(onnx_infer_model_opset(m, i, &domain, &version));
        OI_TRY(oi_write_text(&w, i ? "," : ""));
        OI_TRY(oi_write_json_string(&w, *domain ? domain : "ai.onnx"));
        OI_TRY(oi_write_format(&w, ":%" PRId64, version));
    }
    OI_TRY(oi_write_text(&w, "},\n\"properties\":{"));
    const char *gap = "";
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        const char *value = onnx_infer_model_property(m, PROPERTIES[i]);
        if (value && *value) {
            OI_TRY(json_pair(&w, gap, PROPERTIES[i], value));
            gap = ",";
        }
    }
    OI_TRY(oi_write_text(&w, "},\n\"metadata\":{"));
    for (size_t i = 0; i < onnx_infer_model_metadata_count(m); i++) {
        const char *key, *value;
        OI_TRY(onnx_infer_model_metadata(m, i, &key, &value));
        OI_TRY(json_pair(&w, i ? "," : "", key, value));
    }
    OI_TRY(oi_write_text(&w, "},\n\"problems\":["));
    for (size_t i = 0; i < onnx_infer_model_issue_count(m); i++) {
        OI_TRY(oi_write_text(&w, i ? "," : ""));
        OI_TRY(oi_write_json_string(&w, onnx_infer_error_message(onnx_infer_model_issue(m, i))));
    }
    OI_TRY(oi_write_format(&w,
                           "],\n\"nodes\":%" PRIu32 ",\"parameters\":%" PRIu64 ",\"constant_bytes\":%" PRIu64,
                           s->nodes, s->parameters, s->constant_bytes));
    if (s->costs)
        OI_TRY(oi_write_format(
            &w,
            ",\n\"flops\":%" PRIu64 ",\"steps\":%zu,\"arena_bytes\":%" PRIu64 ",\"packed_bytes\":%" PRIu64
            ",\"weight_bytes\":%" PRIu64 ",\"mapped_bytes\":%" PRIu64,
            s->flops, s->steps, s->memory.arena_peak, s->memory.packed, s->memory.weights, s->memory.mapped));
    return oi_write_text(&w, "}\n");
}

static oi_status inspect_loaded(const tool_args *args, onnx_infer_model *m, oi_onnx_model *file)
{
    sizes s = {0};
    if (args->stage || args->graph) {
        OI_TRY(show_graph(args, m, file));
        if (!args->graph)
            return ONNX_INFER_OK;
    } else {
        count_constants(file->graph, &s);
        s.nodes = oi_graph_live_nodes(file->graph, true);
        if (!onnx_infer_model_issue_count(m))
            OI_TRY(count_costs(args, m, &s));
        if (args->json)
            return print_json(m, &s);
        print_text(m, &s);
    }
    return ONNX_INFER_OK;
}

static oi_status inspect(const tool_args *args)
{
    onnx_infer_model *m = NULL;
    oi_onnx_model *file = NULL;
    const oi_onnx_options o = {.keep_issues = true};
    oi_status status = onnx_infer_model_peek_file(args->path[0], NULL, &m);
    if (!status)
        status = oi_onnx_load_file(args->path[0], &o, &file);
    if (!status)
        status = inspect_loaded(args, m, file);
    oi_onnx_free(file);
    onnx_infer_model_release(m);
    return status;
}

int tool_inspect(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_RUN_OPTIONS | TOOL_MACHINE | TOOL_STAGE | TOOL_GRAPH | TOOL_JSON };
    tool_args args;
    oi_status status = tool_args_read(argc, argv, ACCEPTS, &args);
    if (!status && args.help) {
        printf("usage: onnx-infer inspect MODEL [OPTION]...\n\nShows what a model is made of. With --stage "
               "it prints the graph at that stage instead, with --graph it writes\n"
               "the graph to a file.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (!status && args.npath != 1) {
        status = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT,
                         "inspect takes one model, not %zu; see onnx-infer inspect --help", args.npath);
    } else if (!status) {
        status = inspect(&args);
    }
    int code = status ? tool_complain(args.npath == 1 ? args.path[0] : NULL) : 0;
    tool_args_clear(&args);
    return code;
}
