/* A graph as a picture: nodes in layers below what they need, with the shapes of their results below them, edges between, subgraphs
 * inside their nodes, and above all of it what the graph is. */
#include "tool.h"

#include "layers.h"
#include "ops/op.h"
#include "svg.h"
#include "svg_label.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 40,          /* between layers */
    MARGIN = 16,
    PAD = 7,           /* between a box and its text */
    NARROWEST = 70,    /* a node */
    PILL = 14,         /* height of a shape below its box */
    PILL_GAP = 6,
    PILLS = 6,         /* more results share one */
    PORT_HEIGHT = 20,  /* of an input or output */
    CAPTION = 18,      /* of a subgraph: its name */
    WIDE = 1800,       /* subgraphs side by side */
    ROUND = 6,         /* corners of lanes */
    MOST_DEPTH = 32,
    MOST_OPERATORS = 512,
    OPERATORS_SHOWN = 24,
    TITLE_LETTERS = 110, /* of a line in the head */
};

typedef struct picture picture;

typedef struct {
    label text;
    int32_t pills_width, first_pill; /* from the left side */
    uint32_t npill, first_wire;
    bool shared_pill, shapes, drawn; /* shapes: of some result something is known */
    picture *sub; /* one for each subgraph of a node */
    uint32_t nsub;
} content;

/* Boxes of the graph's inputs, then of its nodes, then of its outputs. */
struct picture {
    const oi_graph *g;
    layers l;
    content *content;
    uint32_t *wire_of; /* of each value; UINT32_MAX: none begins there */
    int32_t x, y;      /* of a subgraph's frame in its node's box */
};

static uint32_t node_box(const picture *p, oi_node_id id)
{
    return p->g->ninput + id;
}

static uint32_t output_box(const picture *p, uint32_t i)
{
    return p->g->ninput + p->g->nnode + i;
}

/* The node of a box; NULL: an input or output. */
static const oi_node *node_of(const picture *p, uint32_t box)
{
    return box >= p->g->ninput && box < output_box(p, 0) ? &p->g->node[box - p->g->ninput] : NULL;
}

/* --- boxes ------------------------------------------------------------------------------------------------------------- */

static bool is_wanted(const oi_graph *g, oi_value_id v)
{
    return v != OI_NONE && (g->value[v].nuse || g->value[v].is_output);
}

/* 0: nothing is known of it. */
static int32_t pill_width(const oi_graph *g, oi_value_id v)
{
    char text[LABEL_CAP];
    label_shape(g, v, text, sizeof text);
    return text[0] ? label_width(LABEL_SHAPE, text) + 10 : 0;
}

/* The results' shapes side by side below the box, and a wire from each. */
static void measure_pills(picture *p, uint32_t box, uint32_t nout, const oi_value_id *out)
{
    content *c = &p->content[box];
    int32_t sum = 0, widest = 0;
    c->npill = 0;
    for (uint32_t k = 0; k < nout; k++)
        c->npill += is_wanted(p->g, out[k]);
    c->shared_pill = c->npill > PILLS;
    for (uint32_t k = 0; k < nout; k++) {
        if (!is_wanted(p->g, out[k]))
            continue;
        const int32_t width = pill_width(p->g, out[k]);
        c->shapes = c->shapes || width;
        sum += width + PILL_GAP;
        widest = width > widest ? width : widest;
    }
    c->pills_width = c->shared_pill ? widest + 40 : sum ? sum - PILL_GAP : 0;
}

/* Once the width of the box is known. */
static void place_pills(picture *p, uint32_t box, uint32_t nout, const oi_value_id *out)
{
    content *c = &p->content[box];
    const layer_box *b = &p->l.box[box];
    int32_t x = c->first_pill = (b->width - c->pills_width) / 2;
    c->first_wire = p->l.nwire;
    for (uint32_t k = 0; k < nout; k++) {
        if (!is_wanted(p->g, out[k]))
            continue;
        if (!c->shared_pill || p->l.nwire == c->first_wire) {
            const int32_t width = c->shared_pill ? c->pills_width : pill_width(p->g, out[k]);
            p->l.wire[p->l.nwire++] = (layer_wire){.from = box, .out = x + width / 2};
            x += width + PILL_GAP;
        }
        p->wire_of[out[k]] = p->l.nwire - 1;
    }
}

static oi_status measure(picture *p, const oi_graph *g, int depth);

static int32_t frame_width(const picture *sub)
{
    return sub->l.width + 2 * MARGIN;
}

static int32_t frame_height(const picture *sub)
{
    return sub->l.height + CAPTION + 2 * MARGIN;
}

static oi_status measure_subgraphs(picture *p, uint32_t box, const oi_node *n, int depth)
{
    content *c = &p->content[box];
    layer_box *b = &p->l.box[box];
    int32_t x = MARGIN, y = b->height, width = 0, height = 0;
    if (!n->nsub || !strcmp(n->op->name, "Fused") || depth >= MOST_DEPTH)
        return ONNX_INFER_OK;
    c->sub = oi_alloc_array(NULL, n->nsub, sizeof *c->sub);
    if (!c->sub)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    while (c->nsub < n->nsub) {
        picture *sub = &c->sub[c->nsub];
        oi_status status = measure(sub, n->sub[c->nsub++].graph, depth + 1);
        if (status)
            return status;
        if (x > MARGIN && x + sub->l.width > WIDE) { /* below the others */
            x = MARGIN;
            y += height + MARGIN;
            height = 0;
        }
        sub->x = x;
        sub->y = y;
        x += frame_width(sub) + MARGIN;
        width = x > width ? x : width;
        height = frame_height(sub) > height ? frame_height(sub) : height;
    }
    b->width = b->width > width ? b->width : width;
    b->height = y + height + MARGIN;
    return ONNX_INFER_OK;
}

static oi_status measure_node(picture *p, oi_node_id id, int depth)
{
    const oi_node *n = &p->g->node[id];
    const uint32_t box = node_box(p, id);
    content *c = &p->content[box];
    layer_box *b = &p->l.box[box];
    c->drawn = n->op != NULL;
    if (!c->drawn)
        return ONNX_INFER_OK;
    label_node(p->g, n, &c->text);
    b->width = NARROWEST;
    b->height = PAD;
    for (uint32_t i = 0; i < c->text.n; i++) {
        const int32_t width = label_width(c->text.kind[i], c->text.line[i]) + 2 * PAD;
        b->width = width > b->width ? width : b->width;
        b->height += label_height(c->text.kind[i]);
    }
    b->height += PAD - 2;
    measure_pills(p, box, n->nout, n->out);
    b->width = c->pills_width > b->width ? c->pills_width : b->width;
    OI_TRY(measure_subgraphs(p, box, n, depth));
    b->height += c->shapes ? PILL : 0;
    b->sinks = true;
    for (uint32_t k = 0; k < n->nin && b->sinks; k++)
        b->sinks = n->in[k] == OI_NONE || p->g->value[n->in[k]].def != OI_NONE || p->g->value[n->in[k]].fact.konst;
    place_pills(p, box, n->nout, n->out);
    return ONNX_INFER_OK;
}

static void measure_port(picture *p, uint32_t box, const char *name, bool input, oi_value_id v)
{
    content *c = &p->content[box];
    layer_box *b = &p->l.box[box];
    char *line = c->text.line[c->text.n++];
    label_shorten(name, LABEL_NAME, line, LABEL_CAP);
    c->text.kind[0] = LABEL_DETAILS;
    c->drawn = true;
    b->width = label_width(LABEL_DETAILS, line) + 2 * PAD;
    b->height = PORT_HEIGHT;
    b->sinks = input;
    if (input) {
        measure_pills(p, box, 1, &v);
        b->height += c->shapes ? PILL : 0;
        b->width = c->pills_width > b->width ? c->pills_width : b->width;
        place_pills(p, box, 1, &v);
    }
}

/* --- edges ------------------------------------------------------------------------------------------------------------- */

static uint32_t wire_to(const picture *p, oi_value_id v)
{
    return v == OI_NONE ? UINT32_MAX : p->wire_of[v];
}

/* Only the first of its operands is what the operator works on: shapes, indices, bounds stand aside. */
static bool has_one_subject(const oi_node *n)
{
    static const char *const many[] = {"Concat", "MatMul", "Einsum", "GemmPacked", "AttentionStrided", "Attention", "Where"};
    if (!n || (n->op->flags & (OI_OP_ELEMENTWISE | OI_OP_CONTROL)))
        return false;
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        if (!strcmp(n->op->name, many[i]))
            return false;
    return true;
}

/* The edges into a box enter side by side. */
static void add_edges(picture *p, uint32_t box, uint32_t nin, const oi_value_id *in)
{
    const bool subject = has_one_subject(node_of(p, box));
    uint32_t n = 0, k = 0;
    for (uint32_t i = 0; i < nin; i++)
        n += wire_to(p, in[i]) != UINT32_MAX;
    for (uint32_t i = 0; i < nin; i++) {
        const uint32_t wire = wire_to(p, in[i]);
        if (wire == UINT32_MAX)
            continue;
        const layer_wire *w = &p->l.wire[wire];
        p->l.edge[p->l.nedge++] = (layer_edge){.from = w->from, .to = box, .wire = wire, .out = w->out, .aside = subject && i > 0,
                                               .in = (int32_t)((int64_t)p->l.box[box].width * ++k / (n + 1))};
    }
}

static oi_status measure(picture *p, const oi_graph *g, int depth)
{
    const uint32_t nbox = g->ninput + g->nnode + g->noutput;
    size_t inputs = g->noutput, outputs = g->ninput;
    *p = (picture){.g = g, .l = {.nbox = nbox, .gap = GAP}};
    for (uint32_t i = 0; i < g->nnode; i++) {
        inputs += g->node[i].op ? g->node[i].nin : 0;
        outputs += g->node[i].op ? g->node[i].nout : 0;
    }
    p->content = oi_alloc_array(NULL, nbox + (size_t)1, sizeof *p->content);
    p->l.box = oi_alloc_array(NULL, nbox + (size_t)1, sizeof *p->l.box);
    p->l.edge = oi_alloc_array(NULL, inputs + 1, sizeof *p->l.edge);
    p->l.wire = oi_alloc_array(NULL, outputs + 1, sizeof *p->l.wire);
    p->wire_of = oi_alloc_array(NULL, g->nvalue + (size_t)1, sizeof *p->wire_of);
    if (!p->content || !p->l.box || !p->l.edge || !p->l.wire || !p->wire_of)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memset(p->wire_of, 0xff, g->nvalue * sizeof *p->wire_of);
    for (uint32_t i = 0; i < g->ninput; i++)
        measure_port(p, i, g->value[g->input[i]].name, true, g->input[i]);
    for (uint32_t i = 0; i < g->nnode; i++)
        OI_TRY(measure_node(p, i, depth));
    for (uint32_t i = 0; i < g->noutput; i++)
        measure_port(p, output_box(p, i), g->output_name[i] ? g->output_name[i] : g->value[g->output[i]].name, false, g->output[i]);
    for (uint32_t i = 0; i < g->nnode; i++)
        if (g->node[i].op)
            add_edges(p, node_box(p, i), g->node[i].nin, g->node[i].in);
    for (uint32_t i = 0; i < g->noutput; i++)
        add_edges(p, output_box(p, i), 1, &g->output[i]);
    return layers_place(&p->l);
}

static void clear(picture *p)
{
    for (uint32_t i = 0; p->content && i < p->l.nbox; i++) {
        for (uint32_t k = 0; k < p->content[i].nsub; k++)
            clear(&p->content[i].sub[k]);
        oi_free_mem(NULL, p->content[i].sub);
    }
    layers_clear(&p->l);
    oi_free_mem(NULL, p->content);
    oi_free_mem(NULL, p->l.box);
    oi_free_mem(NULL, p->l.edge);
    oi_free_mem(NULL, p->l.wire);
    oi_free_mem(NULL, p->wire_of);
}

/* --- text -------------------------------------------------------------------------------------------------------------- */

/* Bytes of the letter at p where it is one of XML; 0: it is none. */
static int letter_bytes(const char *p)
{
    const unsigned char c = (unsigned char)p[0];
    const int n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (n == 1)
        return c >= 0x20 || c == '\n' ? 1 : 0;
    for (int i = 1; i < n; i++)
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
    const unsigned char d = (unsigned char)p[n > 1];
    const bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xef && d == 0xbf && (unsigned char)p[2] >= 0xbe) ||
                     (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f);
    return bad ? 0 : n;
}

static oi_status write_escaped(const oi_writer *w, const char *text)
{
    while (*text) {
        const int n = letter_bytes(text);
        const char *word = !n             ? "?"
                           : *text == '<' ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                           : *text == '"' ? "&quot;"
                                          : NULL;
        OI_TRY(word ? oi_write_text(w, word) : oi_write(w, text, (size_t)n));
        text += n ? n : 1;
    }
    return ONNX_INFER_OK;
}

static oi_status write_text(const oi_writer *w, int32_t x, int32_t y, const char *class, const char *text)
{
    OI_TRY(oi_write_format(w, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y));
    OI_TRY(write_escaped(w, text));
    return oi_write_text(w, "</text>\n");
}

static oi_status write_value(const oi_writer *w, const oi_graph *g, const char *what, oi_value_id v)
{
    char text[512];
    if (v == OI_NONE)
        return ONNX_INFER_OK;
    OI_TRY(oi_write_format(w, "\n%s ", what));
    OI_TRY(write_escaped(w, g->value[v].name));
    OI_TRY(oi_write_text(w, ": "));
    return write_escaped(w, oi_fact_text(g->syms, &g->value[v].fact, text, sizeof text));
}

/* What a browser shows where the pointer rests: nothing is shortened there. */
static oi_status write_tooltip(const oi_writer *w, const oi_graph *g, const oi_node *n)
{
    char attrs[4096];
    OI_TRY(oi_write_text(w, "<title>"));
    OI_TRY(write_escaped(w, n->name));
    OI_TRY(oi_write_text(w, "\n"));
    OI_TRY(write_escaped(w, n->op->name));
    OI_TRY(oi_write_text(w, " "));
    OI_TRY(write_escaped(w, oi_attr_text(n->op, n->attr, attrs, sizeof attrs)));
    for (uint32_t k = 0; k < n->nin; k++)
        OI_TRY(write_value(w, g, g->value[n->in[k] == OI_NONE ? 0 : n->in[k]].fact.konst ? "constant" : "in", n->in[k]));
    for (uint32_t k = 0; k < n->nout; k++)
        OI_TRY(write_value(w, g, "out", n->out[k]));
    return oi_write_text(w, "</title>");
}

/* --- drawing ------------------------------------------------------------------------------------------------------------ */

/* From (x0, y0) down to (x1, y1), with a bend in the gap. */
static oi_status curve(const oi_writer *w, int32_t x0, int32_t y0, int32_t x1, int32_t y1)
{
    const int32_t middle = (y0 + y1) / 2;
    return x0 == x1 ? oi_write_format(w, "L%d %d", x1, y1) : oi_write_format(w, "C%d %d %d %d %d %d", x0, middle, x1, middle, x1, y1);
}

/* Level of a lane's way along the gap below a layer: not the same for all. */
static int32_t along(const layers *l, int32_t layer, uint32_t wire)
{
    return l->bottom[layer] + GAP / 2 + ((int32_t)(wire % 5) - 2) * 3;
}

static oi_status draw_wire(const picture *p, const oi_writer *w, int32_t x, int32_t y, uint32_t i)
{
    const layers *l = &p->l;
    const layer_wire *wire = &l->wire[i];
    const layer_box *b = &l->box[wire->from];
    const int32_t x0 = x + b->x + wire->out, y0 = y + b->y + b->height;
    int32_t at = x0;
    if (wire->ncolumns) {
        OI_TRY(oi_write_format(w, "<path d=\"M%d %dL%d %d", x0, y0, x0, y + l->bottom[b->layer]));
        for (uint32_t k = 0; k < wire->ncolumns; k++) {
            const int32_t layer = b->layer + 1 + (int32_t)k;
            OI_TRY(curve(w, at, y + l->bottom[layer - 1], x + wire->columns[k], y + l->top[layer]));
            at = x + wire->columns[k];
            OI_TRY(oi_write_format(w, "L%d %d", at, y + l->bottom[layer]));
        }
        OI_TRY(oi_write_text(w, "\"/>\n"));
    }
    if (!wire->has_lane)
        return ONNX_INFER_OK;
    const int32_t out = y + along(l, b->layer, i), lane = x + wire->lane, end = y + along(l, wire->lane_end - 1, i);
    return oi_write_format(w, "<path d=\"M%d %dL%d %dQ%d %d %d %dL%d %dQ%d %d %d %dL%d %d\"/>\n", x0, y0, x0, out - ROUND, x0, out, x0 + ROUND,
                           out, lane - ROUND, out, lane, out, lane, out + ROUND, lane, end - ROUND);
}

/* From where it leaves its wire. */
static oi_status draw_edge(const picture *p, const oi_writer *w, int32_t x, int32_t y, const layer_edge *e)
{
    const layers *l = &p->l;
    const layer_wire *wire = &l->wire[e->wire];
    const layer_box *a = &l->box[e->from], *b = &l->box[e->to];
    const int32_t down = b->layer - a->layer, x1 = x + b->x + e->in, y1 = y + b->y, before = b->layer - 1;
    if (down > LAYERS_LONG) {
        const int32_t lane = x + wire->lane, level = y + along(l, before, e->wire);
        return oi_write_format(w, "<path class=\"e\" d=\"M%d %dQ%d %d %d %dL%d %dQ%d %d %d %dL%d %d\"/>\n", lane, level - ROUND, lane, level,
                               lane - ROUND, level, x1 + ROUND, level, x1, level, x1, level + ROUND, x1, y1);
    }
    if (down > 1) {
        const int32_t column = x + wire->columns[down - 2];
        OI_TRY(oi_write_format(w, "<path class=\"e\" d=\"M%d %d", column, y + l->bottom[before]));
        OI_TRY(curve(w, column, y + l->bottom[before], x1, y1));
    } else {
        const int32_t x0 = x + a->x + e->out, y0 = y + a->y + a->height, bend = down == 1 ? y + l->bottom[a->layer] : y0;
        OI_TRY(oi_write_format(w, "<path class=\"e\" d=\"M%d %dL%d %d", x0, y0, x0, bend));
        OI_TRY(curve(w, x0, bend, x1, y1));
    }
    return oi_write_text(w, "\"/>\n");
}

static oi_status draw_pill(const oi_writer *w, int32_t x, int32_t y, int32_t width, const char *text)
{
    if (!text[0])
        return ONNX_INFER_OK;
    OI_TRY(oi_write_format(w, "<rect class=\"s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, y, width, PILL));
    return write_text(w, x + width / 2, y + PILL - 4, "s", text);
}

static oi_status draw_pills(const picture *p, const oi_writer *w, uint32_t box, int32_t x, int32_t y, uint32_t nout, const oi_value_id *out)
{
    const content *c = &p->content[box];
    char shape[LABEL_CAP], text[LABEL_CAP + 24];
    x += c->first_pill;
    y += p->l.box[box].height - PILL;
    for (uint32_t k = 0; k < nout; k++) {
        if (!is_wanted(p->g, out[k]))
            continue;
        label_shape(p->g, out[k], shape, sizeof shape);
        if (c->shared_pill) {
            snprintf(text, sizeof text, "%" PRIu32 " \xc3\x97 %s", c->npill, shape);
            return draw_pill(w, x, y, c->pills_width, text);
        }
        const int32_t width = pill_width(p->g, out[k]);
        OI_TRY(draw_pill(w, x, y, width, shape));
        x += width + PILL_GAP;
    }
    return ONNX_INFER_OK;
}

static oi_status draw(const picture *p, const oi_writer *w, int32_t x, int32_t y);

static oi_status draw_subgraphs(const picture *p, const oi_writer *w, uint32_t box, int32_t x, int32_t y)
{
    const content *c = &p->content[box];
    const oi_node *n = node_of(p, box);
    char name[LABEL_CAP];
    for (uint32_t k = 0; k < c->nsub; k++) {
        const picture *sub = &c->sub[k];
        const int32_t left = x + sub->x, top = y + sub->y;
        label_shorten(n->sub[k].name, LABEL_NAME, name, sizeof name);
        OI_TRY(oi_write_format(w, "<g class=\"sub\"><rect class=\"b\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", left, top,
                               frame_width(sub), frame_height(sub)));
        OI_TRY(write_text(w, left + 6, top + 13, "l", name));
        OI_TRY(draw(sub, w, left + MARGIN, top + CAPTION + MARGIN));
        OI_TRY(oi_write_text(w, "</g>\n"));
    }
    return ONNX_INFER_OK;
}

static oi_status draw_node(const picture *p, const oi_writer *w, uint32_t i, int32_t x, int32_t y)
{
    static const char *const class[LABEL_KINDS] = {"o", "d", "a", "s"};
    const content *c = &p->content[i];
    const layer_box *b = &p->l.box[i];
    const oi_node *n = node_of(p, i);
    OI_TRY(oi_write_format(w, "<g class=\"n k%d\" data-name=\"", (int)label_family_of(n)));
    OI_TRY(write_escaped(w, n->name));
    OI_TRY(oi_write_text(w, "\">"));
    OI_TRY(write_tooltip(w, p->g, n));
    OI_TRY(oi_write_format(w, "\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n", x, y, b->width, b->height - (c->shapes ? PILL : 0)));
    int32_t line = y + PAD - 3;
    for (uint32_t k = 0; k < c->text.n; k++) {
        line += label_height(c->text.kind[k]);
        OI_TRY(write_text(w, x + PAD, line, class[c->text.kind[k]], c->text.line[k]));
    }
    OI_TRY(draw_pills(p, w, i, x, y, n->nout, n->out));
    OI_TRY(draw_subgraphs(p, w, i, x, y));
    return oi_write_text(w, "</g>\n");
}

static oi_status draw_port(const picture *p, const oi_writer *w, uint32_t i, int32_t x, int32_t y)
{
    const layer_box *b = &p->l.box[i];
    const bool input = i < p->g->ninput;
    const char *name = input ? p->g->value[p->g->input[i]].name : p->g->output_name[i - output_box(p, 0)];
    OI_TRY(oi_write_format(w, "<g class=\"p\" data-%s=\"", input ? "input" : "output"));
    OI_TRY(write_escaped(w, name ? name : ""));
    OI_TRY(oi_write_text(w, "\"><title>"));
    OI_TRY(write_escaped(w, name ? name : ""));
    OI_TRY(oi_write_format(w, "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"10\"/>\n", x, y, b->width, PORT_HEIGHT));
    OI_TRY(write_text(w, x + PAD, y + 14, "d", p->content[i].text.line[0]));
    if (input)
        OI_TRY(draw_pills(p, w, i, x, y, 1, &p->g->input[i]));
    return oi_write_text(w, "</g>\n");
}

static oi_status draw(const picture *p, const oi_writer *w, int32_t x, int32_t y)
{
    for (uint32_t i = 0; i < p->l.nwire; i++)
        OI_TRY(draw_wire(p, w, x, y, i));
    for (uint32_t i = 0; i < p->l.nedge; i++)
        OI_TRY(draw_edge(p, w, x, y, &p->l.edge[i]));
    for (uint32_t i = 0; i < p->l.nbox; i++) {
        const int32_t bx = x + p->l.box[i].x, by = y + p->l.box[i].y;
        if (p->content[i].drawn)
            OI_TRY(node_of(p, i) ? draw_node(p, w, i, bx, by) : draw_port(p, w, i, bx, by));
    }
    return ONNX_INFER_OK;
}

/* --- the head ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    struct {
        const char *name;
        uint32_t n;
    } op[MOST_OPERATORS];
    uint32_t nop, nodes, constants, family[FAMILIES];
    uint64_t parameters;
} census;

static void count_graph(const oi_graph *g, census *c)
{
    for (uint32_t v = 0; v < g->nvalue; v++)
        if (g->value[v].def == OI_NONE && !g->value[v].is_input && g->value[v].fact.konst && g->value[v].nuse)
            c->parameters += (uint64_t)oi_tensor_count(g->value[v].fact.konst);
    for (uint32_t i = 0; i < g->nnode; i++) {
        const oi_node *n = &g->node[i];
        uint32_t k = 0;
        if (!n->op)
            continue;
        c->nodes++;
        c->family[label_family_of(n)]++;
        while (k < c->nop && strcmp(c->op[k].name, n->op->name))
            k++;
        if (k == c->nop && k < MOST_OPERATORS)
            c->op[c->nop++].name = n->op->name;
        if (k < MOST_OPERATORS)
            c->op[k].n++;
        for (uint32_t s = 0; s < n->nsub && strcmp(n->op->name, "Fused"); s++)
            count_graph(n->sub[s].graph, c);
    }
}

static int by_count(const void *a, const void *b)
{
    const uint32_t *x = (const uint32_t *)((const char *)a + sizeof(const char *)), *y = (const uint32_t *)((const char *)b + sizeof(const char *));
    return *x < *y ? 1 : *x > *y ? -1 : strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum { HEAD_LINES = 12 };

typedef struct {
    char line[HEAD_LINES][LABEL_CAP];
    uint32_t n;
} head;

static void add_to_head(head *h, const char *between, const char *word)
{
    char *line = h->line[h->n - 1];
    if (strlen(line) + strlen(word) > TITLE_LETTERS && line[0] && h->n < HEAD_LINES) {
        line = h->line[h->n++];
        line[0] = '\0';
    }
    const size_t used = strlen(line);
    snprintf(line + used, LABEL_CAP - used, "%s%s", used ? between : "", word);
}

/* "23.5 million" */
static void put_large(uint64_t n, char *out, size_t cap)
{
    if (n >= 1000000000)
        snprintf(out, cap, "%.2f billion", (double)n / 1e9);
    else if (n >= 1000000)
        snprintf(out, cap, "%.2f million", (double)n / 1e6);
    else
        snprintf(out, cap, "%" PRIu64, n);
}

static void write_head(const oi_graph *g, const tool_picture_facts *facts, census *c, head *h)
{
    static const char *const stages[] = {"imported", "typed", "decluttered", "lowered"};
    char word[LABEL_CAP], number[48], model[LABEL_CAP];
    const char *slash = strrchr(facts->model, '/');
    label_shorten(slash ? slash + 1 : facts->model, 60, model, sizeof model);
    snprintf(h->line[0], LABEL_CAP, "%.130s, %s", model, stages[g->stage]);
    h->n = 2;
    put_large(c->parameters, number, sizeof number);
    snprintf(word, sizeof word, "%" PRIu32 " nodes, %s parameters", c->nodes, number);
    add_to_head(h, "", word);
    snprintf(word, sizeof word, "%.3g GFLOP a run", (double)facts->flops / 1e9);
    if (facts->flops)
        add_to_head(h, ", ", word);
    if (g->stage == OI_STAGE_IMPORTED)
        add_to_head(h, "; ", "types and shapes are known from the stage typed on");
    h->line[h->n++][0] = '\0';
    qsort(c->op, c->nop, sizeof *c->op, by_count);
    for (uint32_t i = 0; i < c->nop && i < OPERATORS_SHOWN; i++) {
        snprintf(word, sizeof word, "%" PRIu32 " %.60s", c->op[i].n, c->op[i].name);
        add_to_head(h, " \xc2\xb7 ", word);
    }
    if (c->nop > OPERATORS_SHOWN)
        add_to_head(h, " \xc2\xb7 ", "...");
}

enum { HEAD_TOP = 20, HEAD_LINE = 16, LEGEND = 22, SQUARE = 11 };

static int32_t legend_width(uint32_t family)
{
    return SQUARE + 6 + label_width(LABEL_DETAILS, label_family_names[family]) + 16;
}

static oi_status draw_head(const head *h, const census *c, const oi_writer *w)
{
    int32_t x = MARGIN, y = HEAD_TOP;
    OI_TRY(write_text(w, x, y, "t", h->line[0]));
    for (uint32_t i = 1; i < h->n; i++)
        OI_TRY(write_text(w, x, y += HEAD_LINE, "l", h->line[i]));
    y += LEGEND - 10;
    for (uint32_t k = 0; k < FAMILIES; k++) {
        if (!c->family[k])
            continue;
        OI_TRY(oi_write_format(w, "<g class=\"k%" PRIu32 "\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", k, x, y, SQUARE, SQUARE));
        OI_TRY(write_text(w, x + SQUARE + 5, y + 9, "d", label_family_names[k]));
        OI_TRY(oi_write_text(w, "</g>\n"));
        x += legend_width(k);
    }
    return ONNX_INFER_OK;
}

static const char style[] =
    "<style>svg{background:#fff}text{font-family:'DejaVu Sans',Verdana,Arial,sans-serif;font-size:10px;fill:#223}"
    "path{fill:none;stroke:#8a93a3}path.e{marker-end:url(#a)}rect{fill:#f4f4f4;stroke:#666}"
    ".o{font-size:12px;font-weight:bold}.t{font-size:16px;font-weight:bold}.l{font-size:11px}.a{fill:#5a6a7c}text.s{fill:#7a3b10;text-anchor:middle}"
    ".n rect.s,.p rect.s{fill:#fdf6ee;stroke:#d9c3a5}.p>rect{fill:#fff3c4;stroke:#a08020}"
    ".n rect.b{fill:#fff;stroke:#b9a5cf;stroke-dasharray:4 2}"
    ".k0>rect{fill:#d6e6fb;stroke:#3b6ea8}.k1>rect{fill:#ddf3da;stroke:#4d8a46}.k2>rect{fill:#fde6cf;stroke:#b5762e}"
    ".k3>rect{fill:#eceef1;stroke:#7d8794}.k4>rect{fill:#d5f2f0;stroke:#2f8f88}.k5>rect{fill:#fbdbe6;stroke:#b34a74}"
    ".k6>rect{fill:#f3edfa;stroke:#7b58a6}.k7>rect{fill:#fbf7dc;stroke:#94893a}</style>\n"
    "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">"
    "<path d=\"M0 1L7 4L0 7z\" style=\"fill:#8a93a3;stroke:none\"/></marker></defs>\n";

static oi_status write_picture(const picture *p, const head *h, const census *c, const oi_writer *w)
{
    const int32_t top = HEAD_TOP + (int32_t)(h->n - 1) * HEAD_LINE + LEGEND + MARGIN;
    int32_t width = p->l.width + 2 * MARGIN, legend = MARGIN;
    for (uint32_t i = 0; i < h->n; i++) {
        const int32_t line = label_width(LABEL_DETAILS, h->line[i]) * (i ? 11 : 18) / 10 + 2 * MARGIN;
        width = line > width ? line : width;
    }
    for (uint32_t k = 0; k < FAMILIES; k++)
        legend += c->family[k] ? legend_width(k) : 0;
    width = legend > width ? legend : width;
    const int32_t height = top + p->l.height + MARGIN;
    OI_TRY(oi_write_format(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n<title>", width,
                           height, width, height));
    OI_TRY(write_escaped(w, h->line[0]));
    OI_TRY(oi_write_text(w, "</title>\n"));
    OI_TRY(oi_write_text(w, style));
    OI_TRY(oi_write_format(w, "<rect width=\"%d\" height=\"%d\" style=\"fill:#fff;stroke:none\"/>\n", width, height));
    OI_TRY(draw_head(h, c, w));
    OI_TRY(draw(p, w, (width - p->l.width) / 2, top));
    return oi_write_text(w, "</svg>\n");
}

oi_status tool_graph_svg(const oi_graph *g, const tool_picture_facts *facts, const oi_writer *w)
{
    picture p;
    census *c = oi_alloc_array(NULL, 1, sizeof *c);
    head h = {.n = 0};
    oi_status status = measure(&p, g, 0);
    if (!status && !c)
        status = ONNX_INFER_E_OUT_OF_MEMORY;
    if (!status) {
        count_graph(g, c);
        write_head(g, facts, c, &h);
        status = write_picture(&p, &h, c, w);
    }
    clear(&p);
    oi_free_mem(NULL, c);
    return status;
}
