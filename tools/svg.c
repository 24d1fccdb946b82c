/* A graph as a picture: nodes in layers below what they need, shapes on the edges, subgraphs inside their nodes. */
#include "tool.h"

#include "ops/op.h"
#include "svg.h"

#include <string.h>

enum {
    BOX_HEIGHT = 40,
    BOX_WIDTH = 150,  /* at least */
    GAP_X = 24,
    GAP_Y = 40,       /* between layers: holds the shapes on the edges */
    MARGIN = 16,
    HEADER = 44,      /* of a box with subgraphs: its own text */
    CAPTION = 18,     /* of a subgraph: its name */
    LANE = 7,         /* between edges that pass beside other nodes */
    LANES = 8,
    TEXT_CAP = 200,
    SHORT_NAME = 34,  /* letters of a node's name */
    MOST_DEPTH = 32,
};

typedef struct picture picture;

typedef struct {
    uint32_t x, y, width, height, layer;
    bool drawn;
    char label[TEXT_CAP];
    picture *sub; /* one for each subgraph of a node */
    uint32_t nsub;
} box;

/* Boxes of the graph's inputs, then of its nodes, then of its outputs. */
struct picture {
    const oi_graph *g;
    box *box;
    uint32_t count, layers, width, height;
    uint32_t *order; /* boxes layer by layer, from left to right */
};

static uint32_t node_box(const picture *p, oi_node_id id)
{
    return p->g->ninput + id;
}

static uint32_t output_box(const picture *p, uint32_t i)
{
    return p->g->ninput + p->g->nnode + i;
}

/* The box that a value comes from; UINT32_MAX: a constant. */
static uint32_t source_of(const picture *p, oi_value_id v)
{
    const oi_graph *g = p->g;
    if (v == OI_NONE)
        return UINT32_MAX;
    if (g->value[v].def != OI_NONE)
        return node_box(p, g->value[v].def);
    for (uint32_t i = 0; i < g->ninput; i++)
        if (g->input[i] == v)
            return i;
    return UINT32_MAX;
}

/* --- labels ------------------------------------------------------------------------------------------------------------ */

static void append(char *text, const char *more, const char *between)
{
    size_t used = strlen(text);
    snprintf(text + used, TEXT_CAP - used, "%s%s", used ? between : "", more);
}

/* What stands behind "key=" in an operator's attributes, up to a comma outside of brackets. */
static bool attribute(const char *text, const char *key, char *out, size_t cap)
{
    const char *p = strstr(text, key);
    size_t n = 0;
    int depth = 0;
    if (!p)
        return false;
    for (p += strlen(key); *p && *p != '}' && (depth || *p != ',') && n + 1 < cap; p++) {
        depth += (*p == '[') - (*p == ']');
        if (*p != '[' && *p != ']')
            out[n++] = *p == ',' ? 'x' : *p;
    }
    out[n] = '\0';
    return true;
}

/* "ConvBlocked 3x3 + relu", or all operators of a fused step. */
static void label_node(const oi_node *n, char *label)
{
    char attrs[1024], word[64];
    if (!strcmp(n->op->name, "Fused") && n->nsub == 1) {
        const oi_graph *body = n->sub[0].graph;
        for (uint32_t i = 0; i < body->nnode; i++)
            if (body->node[i].op)
                append(label, body->node[i].op->name, " \xc2\xb7 ");
        return;
    }
    append(label, n->op->name, "");
    oi_attr_text(n->op, n->attr, attrs, sizeof attrs);
    if (attribute(attrs, "kernel=", word, sizeof word) || attribute(attrs, "kernel_shape=", word, sizeof word))
        append(label, word, " ");
    if (!oi_attr_field(n, "residual_after")) /* no epilogue */
        return;
    bool act = attribute(attrs, "activation=", word, sizeof word) && strcmp(word, "none");
    if (n->nin > 3 && n->in[3] != OI_NONE)
        append(label, "sum", " + ");
    if (act)
        append(label, word, " + ");
}

/* --- places ------------------------------------------------------------------------------------------------------------ */

static oi_status measure(picture *p, const oi_graph *g, int depth);

static uint32_t text_width(const char *text)
{
    uint32_t letters = 0;
    for (; *text; text++)
        letters += (*text & 0xc0) != 0x80;
    return letters * 7 + 14;
}

/* Room for the text at the edges to stand beside that of the next box. */
static uint32_t shape_width(const oi_graph *g, const oi_node *n)
{
    enum { WIDEST = 260 };
    char text[TEXT_CAP];
    uint32_t width = 0;
    for (uint32_t k = 0; k < n->nout; k++) {
        if (n->out[k] == OI_NONE)
            continue;
        uint32_t this = text_width(oi_fact_text(g->syms, &g->value[n->out[k]].fact, text, sizeof text)) * 3 / 4;
        width = this > width ? this : width;
    }
    return width < WIDEST ? width : WIDEST;
}

static oi_status measure_node(const oi_graph *g, box *b, const oi_node *n, int depth)
{
    b->drawn = n->op != NULL;
    if (!b->drawn)
        return ONNX_INFER_OK;
    label_node(n, b->label);
    b->width = text_width(b->label) > BOX_WIDTH ? text_width(b->label) : BOX_WIDTH;
    b->width = shape_width(g, n) > b->width ? shape_width(g, n) : b->width;
    b->height = BOX_HEIGHT;
    if (!n->nsub || !strcmp(n->op->name, "Fused") || depth >= MOST_DEPTH)
        return ONNX_INFER_OK;
    b->sub = oi_alloc_array(NULL, n->nsub, sizeof *b->sub);
    if (!b->sub)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    uint32_t width = MARGIN, height = 0;
    for (b->nsub = 0; b->nsub < n->nsub; b->nsub++) {
        picture *sub = &b->sub[b->nsub];
        oi_status status = measure(sub, n->sub[b->nsub].graph, depth + 1);
        if (status) {
            b->nsub++;
            return status;
        }
        width += sub->width + MARGIN;
        height = sub->height > height ? sub->height : height;
    }
    b->width = b->width > width ? b->width : width;
    b->height = HEADER + CAPTION + height + MARGIN;
    return ONNX_INFER_OK;
}

static void lift(picture *p, uint32_t at, oi_value_id v)
{
    uint32_t from = source_of(p, v);
    if (from != UINT32_MAX && from != at && p->box[from].layer + 1 > p->box[at].layer)
        p->box[at].layer = p->box[from].layer + 1;
}

/* What needs nothing but constants stands right above what first needs it. */
static void sink(picture *p, oi_node_id id)
{
    const oi_node *n = &p->g->node[id];
    uint32_t first = UINT32_MAX;
    for (uint32_t k = 0; k < n->nin; k++)
        if (source_of(p, n->in[k]) != UINT32_MAX)
            return;
    for (uint32_t i = 0; i < n->nout; i++) {
        const oi_value *v = n->out[i] == OI_NONE ? NULL : &p->g->value[n->out[i]];
        for (uint32_t k = 0; v && k < v->nuse; k++) {
            uint32_t layer = p->box[node_box(p, v->use[k].node)].layer;
            first = layer < first ? layer : first;
        }
    }
    if (first != UINT32_MAX && first > 0)
        p->box[node_box(p, id)].layer = first - 1;
}

/* Nodes are in topological order from TYPED on; before, what comes too early stays where it is. */
static void find_layers(picture *p)
{
    const oi_graph *g = p->g;
    for (uint32_t i = 0; i < g->nnode; i++)
        for (uint32_t k = 0; g->node[i].op && k < g->node[i].nin; k++)
            lift(p, node_box(p, i), g->node[i].in[k]);
    for (uint32_t i = 0; i < g->noutput; i++)
        lift(p, output_box(p, i), g->output[i]);
    for (uint32_t i = 0; i < g->nnode; i++)
        if (g->node[i].op)
            sink(p, i);
    for (uint32_t i = 0; i < p->count; i++)
        if (p->box[i].layer + 1 > p->layers)
            p->layers = p->box[i].layer + 1;
}

/* The middle of what a box needs, times the number of them; 0 of none. */
static uint64_t pull(const picture *p, uint32_t at, uint32_t *n)
{
    const oi_graph *g = p->g;
    const bool output = at >= output_box(p, 0), node = !output && at >= g->ninput;
    const uint32_t count = node ? g->node[at - g->ninput].nin : output;
    uint64_t sum = 0;
    *n = 0;
    for (uint32_t k = 0; k < count; k++) {
        oi_value_id v = node ? g->node[at - g->ninput].in[k] : g->output[at - output_box(p, 0)];
        uint32_t from = source_of(p, v);
        if (from == UINT32_MAX || p->box[from].layer >= p->box[at].layer)
            continue;
        sum += p->box[from].x + p->box[from].width / 2;
        ++*n;
    }
    return sum;
}

/* Boxes of one layer, each below what it needs where there is room. */
static void place_layer(picture *p, uint32_t *box_of, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        box *b = &p->box[box_of[i]];
        uint32_t from;
        uint64_t sum = pull(p, box_of[i], &from), middle = from ? sum / from : b->width / 2;
        b->x = middle > b->width / 2 ? (uint32_t)middle - b->width / 2 : 0;
    }
    for (uint32_t i = 1; i < n; i++) { /* in order of x */
        uint32_t moving = box_of[i], k = i;
        for (; k > 0 && p->box[box_of[k - 1]].x > p->box[moving].x; k--)
            box_of[k] = box_of[k - 1];
        box_of[k] = moving;
    }
    for (uint32_t i = 1; i < n; i++) {
        const box *before = &p->box[box_of[i - 1]];
        uint32_t least = before->x + before->width + GAP_X;
        if (p->box[box_of[i]].x < least)
            p->box[box_of[i]].x = least;
    }
}

static oi_status place(picture *p)
{
    uint32_t *layer = oi_alloc_array(NULL, p->count + 1, sizeof *layer), *start = oi_alloc_array(NULL, p->layers + 2, sizeof *start);
    uint32_t y = MARGIN;
    if (!layer || !start) {
        oi_free_mem(NULL, layer);
        oi_free_mem(NULL, start);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < p->count; i++)
        start[p->box[i].layer + 1] += p->box[i].drawn;
    for (uint32_t l = 0; l < p->layers; l++)
        start[l + 1] += start[l];
    for (uint32_t i = 0; i < p->count; i++)
        if (p->box[i].drawn)
            layer[start[p->box[i].layer]++] = i;
    for (uint32_t l = 0, first = 0; l < p->layers; first = start[l++]) {
        uint32_t tallest = 0, n = start[l] - first;
        place_layer(p, layer + first, n);
        for (uint32_t i = first; i < start[l]; i++) {
            box *b = &p->box[layer[i]];
            b->y = y;
            tallest = b->height > tallest ? b->height : tallest;
            p->width = b->x + b->width > p->width ? b->x + b->width : p->width;
        }
        y += tallest + GAP_Y;
    }
    p->width += 2 * MARGIN + LANE * (LANES + 1);
    p->height = y;
    oi_free_mem(NULL, layer);
    oi_free_mem(NULL, start);
    return ONNX_INFER_OK;
}

static void measure_port(box *b, const char *name)
{
    snprintf(b->label, sizeof b->label, "%.60s", name);
    b->drawn = true;
    b->width = text_width(b->label);
    b->height = BOX_HEIGHT / 2;
}

static oi_status measure(picture *p, const oi_graph *g, int depth)
{
    *p = (picture){.g = g, .count = g->ninput + g->nnode + g->noutput};
    p->box = oi_alloc_array(NULL, p->count + 1, sizeof *p->box);
    if (!p->box)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < g->ninput; i++)
        measure_port(&p->box[i], g->value[g->input[i]].name);
    for (uint32_t i = 0; i < g->nnode; i++)
        OI_TRY(measure_node(g, &p->box[node_box(p, i)], &g->node[i], depth));
    for (uint32_t i = 0; i < g->noutput; i++)
        measure_port(&p->box[output_box(p, i)], g->output_name[i]);
    find_layers(p);
    return place(p);
}

static void clear(picture *p)
{
    for (uint32_t i = 0; p->box && i < p->count; i++) {
        for (uint32_t k = 0; k < p->box[i].nsub; k++)
            clear(&p->box[i].sub[k]);
        oi_free_mem(NULL, p->box[i].sub);
    }
    oi_free_mem(NULL, p->box);
}

/* --- drawing ------------------------------------------------------------------------------------------------------------ */

static oi_status write_escaped(const oi_writer *w, const char *text)
{
    for (; *text; text++) {
        const char *word = *text == '<'   ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                                          : NULL;
        OI_TRY(word ? oi_write_text(w, word) : oi_write(w, text, 1));
    }
    return ONNX_INFER_OK;
}

static oi_status write_label(const oi_writer *w, uint32_t x, uint32_t y, const char *style, const char *text)
{
    OI_TRY(oi_write_format(w, "<text x=\"%u\" y=\"%u\"%s%s%s>", x, y, *style ? " class=\"" : "", style, *style ? "\"" : ""));
    OI_TRY(write_escaped(w, text));
    return oi_write_text(w, "</text>\n");
}

/* The right end of what stands in the layers between two boxes. */
static uint32_t right_of(const picture *p, uint32_t above, uint32_t below)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const box *b = &p->box[i];
        if (b->drawn && b->layer > p->box[above].layer && b->layer < p->box[below].layer && b->x + b->width > right)
            right = b->x + b->width;
    }
    return right;
}

static oi_status draw_edge(const picture *p, const oi_writer *w, uint32_t x, uint32_t y, uint32_t from, uint32_t to)
{
    const box *a = &p->box[from], *b = &p->box[to];
    uint32_t x0 = x + a->x + a->width / 2, y0 = y + a->y + a->height, x1 = x + b->x + b->width / 2, y1 = y + b->y;
    if (b->layer <= a->layer + 1)
        return oi_write_format(w, "<path d=\"M%u %uC%u %u %u %u %u %u\"/>\n", x0, y0, x0, y0 + GAP_Y / 2, x1, y1 - GAP_Y / 2, x1, y1);
    uint32_t lane = x + right_of(p, from, to) + 10 + from % LANES * LANE, y2 = y0 + GAP_Y, y3 = y1 - GAP_Y;
    return oi_write_format(w, "<path d=\"M%u %uC%u %u %u %u %u %uL%u %uC%u %u %u %u %u %u\"/>\n", x0, y0, x0, y0 + GAP_Y / 2, lane,
                           y0 + GAP_Y / 2, lane, y2, lane, y3, lane, y1 - GAP_Y / 2, x1, y1 - GAP_Y / 2, x1, y1);
}

static oi_status draw_edges(const picture *p, const oi_writer *w, uint32_t x, uint32_t y)
{
    const oi_graph *g = p->g;
    for (uint32_t i = 0; i < g->nnode; i++)
        for (uint32_t k = 0; g->node[i].op && k < g->node[i].nin; k++) {
            uint32_t from = source_of(p, g->node[i].in[k]);
            if (from != UINT32_MAX)
                OI_TRY(draw_edge(p, w, x, y, from, node_box(p, i)));
        }
    for (uint32_t i = 0; i < g->noutput; i++) {
        uint32_t from = source_of(p, g->output[i]);
        if (from != UINT32_MAX)
            OI_TRY(draw_edge(p, w, x, y, from, output_box(p, i)));
    }
    return ONNX_INFER_OK;
}

/* Types and shapes below the boxes that values come from. */
static oi_status draw_shapes(const picture *p, const oi_writer *w, uint32_t x, uint32_t y)
{
    const oi_graph *g = p->g;
    char text[TEXT_CAP];
    for (uint32_t i = 0; i < g->ninput + g->nnode; i++) {
        const box *b = &p->box[i];
        const oi_node *n = i < g->ninput ? NULL : &g->node[i - g->ninput];
        uint32_t shown = 0;
        for (uint32_t k = 0; b->drawn && k < (n ? n->nout : 1) && shown < 2; k++) {
            oi_value_id v = n ? n->out[k] : g->input[i];
            if (v == OI_NONE || (n && !g->value[v].nuse && !g->value[v].is_output))
                continue;
            oi_fact_text(g->syms, &g->value[v].fact, text, sizeof text);
            OI_TRY(write_label(w, x + b->x + b->width / 2 + 5, y + b->y + b->height + 12 + 11 * shown++, "s", text));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status draw(const picture *p, const oi_writer *w, uint32_t x, uint32_t y);

static oi_status draw_box(const picture *p, const oi_writer *w, uint32_t i, uint32_t x, uint32_t y)
{
    const box *b = &p->box[i];
    const bool node = i >= p->g->ninput && i < output_box(p, 0);
    const oi_node *n = node ? &p->g->node[i - p->g->ninput] : NULL;
    OI_TRY(oi_write_format(w, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"%d\">",
                           !n ? "p" : b->nsub ? "g" : !strcmp(n->op->name, "Fused") ? "f" : "n", x, y, b->width, b->height, n ? 5 : 10));
    OI_TRY(oi_write_text(w, "<title>"));
    OI_TRY(write_escaped(w, n ? n->name : b->label));
    OI_TRY(oi_write_text(w, "</title></rect>\n"));
    OI_TRY(write_label(w, x + 7, y + 14, n ? "o" : "", b->label));
    if (!n)
        return ONNX_INFER_OK;
    const size_t length = strlen(n->name), most = SHORT_NAME < b->width / 8 ? SHORT_NAME : b->width / 8;
    char name[TEXT_CAP];
    const char *tail = length > most ? n->name + length - most : n->name;
    while ((*tail & 0xc0) == 0x80)
        tail++;
    snprintf(name, sizeof name, "%s%.*s", length > most ? "\xe2\x80\xa6" : "", TEXT_CAP - 8, tail);
    OI_TRY(write_label(w, x + 7, y + 31, "a", name));
    uint32_t left = x + MARGIN;
    for (uint32_t k = 0; k < b->nsub; k++) {
        OI_TRY(oi_write_format(w, "<rect class=\"b\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"/>\n", left, y + HEADER,
                               b->sub[k].width, CAPTION + b->sub[k].height));
        OI_TRY(write_label(w, left + 6, y + HEADER + 13, "o", n->sub[k].name));
        OI_TRY(draw(&b->sub[k], w, left, y + HEADER + CAPTION));
        left += b->sub[k].width + MARGIN;
    }
    return ONNX_INFER_OK;
}

static oi_status draw(const picture *p, const oi_writer *w, uint32_t x, uint32_t y)
{
    x += MARGIN;
    OI_TRY(draw_edges(p, w, x, y));
    for (uint32_t i = 0; i < p->count; i++)
        if (p->box[i].drawn)
            OI_TRY(draw_box(p, w, i, x + p->box[i].x, y + p->box[i].y));
    return draw_shapes(p, w, x, y);
}

static const char style[] = "<style>path{fill:none;stroke:#99a}rect{fill:#eef3fb;stroke:#456}rect.f{fill:#e6f4e4;stroke:#464}"
                            "rect.p{fill:#fff8e0;stroke:#864}rect.g{fill:#f6f6f6;stroke:#666}rect.b{fill:#fff;stroke:#aaa}"
                            "text{fill:#222}.o{font-weight:bold}.a{fill:#567}.s{fill:#a33;font-size:9.5px}</style>\n";

oi_status tool_graph_svg(const oi_graph *g, const oi_writer *w)
{
    picture p;
    oi_status status = measure(&p, g, 0);
    if (!status)
        status = oi_write_format(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" "
                                    "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" style=\"fill:white;stroke:none\"/>\n",
                                 p.width, p.height + MARGIN);
    if (!status)
        status = oi_write_text(w, style);
    if (!status)
        status = draw(&p, w, 0, 0);
    if (!status)
        status = oi_write_text(w, "</svg>\n");
    clear(&p);
    return status;
}
