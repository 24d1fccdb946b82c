/* Dumps of graphs: text for people and tests, dot for graphviz, JSON for programs. */
#include "ops/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_CAP = 512 };

/* "%name", or "%12" where the value has none. */
static oi_status write_value(const oi_graph *g, oi_value_id v, const oi_writer *w)
{
    if (v == OI_NONE)
        return oi_write_text(w, "_");
    const char *name = g->value[v].name;
    return *name ? oi_write_format(w, "%%%s", name) : oi_write_format(w, "%%%" PRIu32, v);
}

static oi_status write_typed_value(const oi_graph *g, oi_value_id v, const oi_writer *w)
{
    char text[TEXT_CAP];
    OI_TRY(write_value(g, v, w));
    if (v == OI_NONE)
        return ONNX_INFER_OK;
    return oi_write_format(w, ":%s", oi_fact_text(g->syms, &g->value[v].fact, text, sizeof text));
}

static oi_status write_list(const oi_graph *g, const oi_value_id *v, uint32_t n, bool typed,
                            const oi_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        OI_TRY(oi_write_text(w, i ? ", " : ""));
        OI_TRY(typed ? write_typed_value(g, v[i], w) : write_value(g, v[i], w));
    }
    return ONNX_INFER_OK;
}

static oi_status dump_text(const oi_graph *g, const oi_writer *w, const char *indent);

static oi_status dump_node(const oi_graph *g, const oi_node *n, const oi_writer *w, const char *indent)
{
    char text[TEXT_CAP];
    OI_TRY(oi_write_text(w, indent));
    OI_TRY(write_list(g, n->out, n->nout, true, w));
    OI_TRY(oi_write_format(w, " = %s%s%s(", n->op->domain, *n->op->domain ? "." : "", n->op->name));
    OI_TRY(write_list(g, n->in, n->nin, false, w));
    OI_TRY(oi_write_text(w, ")"));
    const char *attrs = oi_attr_text(n->op, n->attr, text, sizeof text);
    if (*attrs && strcmp(attrs, "{}"))
        OI_TRY(oi_write_format(w, " %s", attrs));
    OI_TRY(oi_write_format(w, " # %s\n", n->name));
    for (uint32_t i = 0; i < n->nsub; i++) {
        char inner[64];
        snprintf(inner, sizeof inner, "%.48s    ", indent);
        OI_TRY(oi_write_format(w, "%s  %s:\n", indent, n->sub[i].name));
        OI_TRY(dump_text(n->sub[i].graph, w, inner));
    }
    return ONNX_INFER_OK;
}

static oi_status dump_text(const oi_graph *g, const oi_writer *w, const char *indent)
{
    OI_TRY(oi_write_format(w, "%sinputs ", indent));
    OI_TRY(write_list(g, g->input, g->ninput, true, w));
    OI_TRY(oi_write_text(w, "\n"));
    for (uint32_t i = 0; i < g->nvalue; i++)
        if (g->value[i].def == OI_NONE && !g->value[i].is_input && g->value[i].fact.konst &&
            g->value[i].nuse) {
            OI_TRY(oi_write_format(w, "%sconst ", indent));
            OI_TRY(write_typed_value(g, i, w));
            OI_TRY(oi_write_text(w, "\n"));
        }
    for (uint32_t i = 0; i < g->nnode; i++)
        if (g->node[i].op)
            OI_TRY(dump_node(g, &g->node[i], w, indent));
    OI_TRY(oi_write_format(w, "%soutputs ", indent));
    OI_TRY(write_list(g, g->output, g->noutput, false, w));
    return oi_write_text(w, "\n");
}

oi_status oi_graph_dump_text(const oi_graph *g, const oi_writer *w)
{
    return dump_text(g, w, "");
}

/* --- dot
 * ----------------------------------------------------------------------------------------------------------
 */

static oi_status write_label(const oi_writer *w, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            OI_TRY(oi_write_text(w, "\\"));
        OI_TRY(oi_write(w, text, 1));
    }
    return ONNX_INFER_OK;
}

static oi_status dump_dot_edges(const oi_graph *g, uint32_t id, const oi_writer *w)
{
    char text[TEXT_CAP];
    const oi_node *n = &g->node[id];
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] == OI_NONE)
            continue;
        const oi_value *v = &g->value[n->in[i]];
        if (v->def == OI_NONE && !v->is_input)
            continue;
        OI_TRY(oi_write_format(w,
                               v->def == OI_NONE ? "  v%" PRIu32 " -> n%" PRIu32 " [label=\""
                                                 : "  n%" PRIu32 " -> n%" PRIu32 " [label=\"",
                               v->def == OI_NONE ? n->in[i] : v->def, id));
        OI_TRY(write_label(w, oi_fact_text(g->syms, &v->fact, text, sizeof text)));
        OI_TRY(oi_write_text(w, "\"];\n"));
    }
    return ONNX_INFER_OK;
}

oi_status oi_graph_dump_dot(const oi_graph *g, const oi_writer *w)
{
    OI_TRY(oi_write_text(w, "digraph {\n  node [shape=box, fontsize=10];\n  edge [fontsize=8];\n"));
    for (uint32_t i = 0; i < g->ninput; i++) {
        OI_TRY(oi_write_format(w, "  v%" PRIu32 " [shape=ellipse, label=\"", g->input[i]));
        OI_TRY(write_label(w, g->value[g->input[i]].name));
        OI_TRY(oi_write_text(w, "\"];\n"));
    }
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (!g->node[i].op)
            continue;
        OI_TRY(oi_write_format(w, "  n%" PRIu32 " [label=\"%s\\n", i, g->node[i].op->name));
        OI_TRY(write_label(w, g->node[i].name));
        OI_TRY(oi_write_text(w, "\"];\n"));
        OI_TRY(dump_dot_edges(g, i, w));
    }
    for (uint32_t i = 0; i < g->noutput; i++) {
        OI_TRY(oi_write_format(w, "  o%" PRIu32 " [shape=ellipse, label=\"", i));
        OI_TRY(write_label(w, g->output_name[i]));
        const oi_value *v = &g->value[g->output[i]];
        OI_TRY(oi_write_format(w,
                               v->def == OI_NONE ? "\"];\n  v%" PRIu32 " -> o%" PRIu32 ";\n"
                                                 : "\"];\n  n%" PRIu32 " -> o%" PRIu32 ";\n",
                               v->def == OI_NONE ? g->output[i] : v->def, i));
    }
    return oi_write_text(w, "}\n");
}

/* --- JSON
 * ---------------------------------------------------------------------------------------------------------
 */

static oi_status json_ids(const oi_writer *w, const char *key, const oi_value_id *v, uint32_t n)
{
    OI_TRY(oi_write_format(w, "\"%s\":[", key));
    for (uint32_t i = 0; i < n; i++)
        OI_TRY(v[i] == OI_NONE ? oi_write_format(w, "%snull", i ? "," : "")
                               : oi_write_format(w, "%s%" PRIu32, i ? "," : "", v[i]));
    return oi_write_text(w, "]");
}

static oi_status json_node(const oi_node *n, const oi_writer *w)
{
    char text[TEXT_CAP];
    OI_TRY(oi_write_text(w, "{\"name\":"));
    OI_TRY(oi_write_json_string(w, n->name));
    OI_TRY(
        oi_write_format(w, ",\"domain\":\"%s\",\"op\":\"%s\",\"attributes\":", n->op->domain, n->op->name));
    OI_TRY(oi_write_json_string(w, oi_attr_text(n->op, n->attr, text, sizeof text)));
    OI_TRY(oi_write_text(w, ","));
    OI_TRY(json_ids(w, "inputs", n->in, n->nin));
    OI_TRY(oi_write_text(w, ","));
    OI_TRY(json_ids(w, "outputs", n->out, n->nout));
    OI_TRY(oi_write_text(w, ",\"graphs\":{"));
    for (uint32_t i = 0; i < n->nsub; i++) {
        OI_TRY(oi_write_format(w, "%s\"%s\":", i ? "," : "", n->sub[i].name));
        OI_TRY(oi_graph_dump_json(n->sub[i].graph, w));
    }
    return oi_write_text(w, "}}");
}

oi_status oi_graph_dump_json(const oi_graph *g, const oi_writer *w)
{
    char text[TEXT_CAP];
    OI_TRY(oi_write_text(w, "{"));
    OI_TRY(json_ids(w, "inputs", g->input, g->ninput));
    OI_TRY(oi_write_text(w, ","));
    OI_TRY(json_ids(w, "outputs", g->output, g->noutput));
    OI_TRY(oi_write_text(w, ",\n\"values\":["));
    for (uint32_t i = 0; i < g->nvalue; i++) {
        OI_TRY(oi_write_text(w, i ? ",\n{\"name\":" : "\n{\"name\":"));
        OI_TRY(oi_write_json_string(w, g->value[i].name));
        OI_TRY(oi_write_text(w, ",\"type\":"));
        OI_TRY(oi_write_json_string(w, oi_fact_text(g->syms, &g->value[i].fact, text, sizeof text)));
        OI_TRY(oi_write_format(w, ",\"constant\":%s}",
                               g->value[i].def == OI_NONE && g->value[i].fact.konst ? "true" : "false"));
    }
    OI_TRY(oi_write_text(w, "],\n\"nodes\":["));
    const char *gap = "\n";
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (!g->node[i].op)
            continue;
        OI_TRY(oi_write_text(w, gap));
        OI_TRY(json_node(&g->node[i], w));
        gap = ",\n";
    }
    return oi_write_text(w, "]}\n");
}
