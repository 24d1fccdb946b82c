/* A graph as a picture: nodes in layers below what they need. */
#include "tool.h"

#include "ops/op.h"
#include "svg.h"

#include <string.h>

enum { BOX_WIDTH = 190, BOX_HEIGHT = 40, GAP_X = 20, GAP_Y = 34, MARGIN = 20 };

typedef struct {
    const oi_graph *g;
    const oi_writer *w;
    uint32_t *layer, *column; /* of each node */
    uint32_t *width;          /* nodes in each layer */
    uint32_t layers;
} picture;

static oi_status place(picture *p)
{
    uint32_t n = p->g->nnode;
    p->layer = oi_alloc_array(NULL, n + 1, sizeof *p->layer);
    p->column = oi_alloc_array(NULL, n + 1, sizeof *p->column);
    p->width = oi_alloc_array(NULL, n + 2, sizeof *p->width);
    if (!p->layer || !p->column || !p->width)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) { /* nodes are in topological order from TYPED on */
        const oi_node *node = &p->g->node[i];
        if (!node->op)
            continue;
        for (uint32_t k = 0; k < node->nin; k++) {
            oi_node_id def = node->in[k] == OI_NONE ? OI_NONE : p->g->value[node->in[k]].def;
            if (def != OI_NONE && def < i && p->layer[def] + 1 > p->layer[i])
                p->layer[i] = p->layer[def] + 1;
        }
        p->column[i] = p->width[p->layer[i]]++;
        p->layers = p->layer[i] + 1 > p->layers ? p->layer[i] + 1 : p->layers;
    }
    return ONNX_INFER_OK;
}

static uint32_t left(const picture *p, uint32_t node)
{
    return MARGIN + p->column[node] * (BOX_WIDTH + GAP_X);
}

static uint32_t top(const picture *p, uint32_t node)
{
    return MARGIN + p->layer[node] * (BOX_HEIGHT + GAP_Y);
}

static oi_status write_escaped(const oi_writer *w, const char *text, size_t most)
{
    for (size_t i = 0; text[i] && i < most; i++) {
        const char *word = text[i] == '<'   ? "&lt;"
                           : text[i] == '>' ? "&gt;"
                           : text[i] == '&' ? "&amp;"
                                            : NULL;
        OI_TRY(word ? oi_write_text(w, word) : oi_write(w, text + i, 1));
    }
    return ONNX_INFER_OK;
}

static oi_status draw_edges(const picture *p)
{
    for (uint32_t i = 0; i < p->g->nnode; i++) {
        const oi_node *node = &p->g->node[i];
        for (uint32_t k = 0; node->op && k < node->nin; k++) {
            oi_node_id def = node->in[k] == OI_NONE ? OI_NONE : p->g->value[node->in[k]].def;
            if (def == OI_NONE)
                continue;
            uint32_t x0 = left(p, def) + BOX_WIDTH / 2, y0 = top(p, def) + BOX_HEIGHT,
                     x1 = left(p, i) + BOX_WIDTH / 2, y1 = top(p, i);
            OI_TRY(oi_write_format(p->w, "<path d=\"M%u %uC%u %u %u %u %u %u\"/>\n", x0, y0, x0, y0 + GAP_Y,
                                   x1, y1 - GAP_Y, x1, y1));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status draw_nodes(const picture *p)
{
    char text[160];
    for (uint32_t i = 0; i < p->g->nnode; i++) {
        const oi_node *node = &p->g->node[i];
        if (!node->op)
            continue;
        uint32_t x = left(p, i), y = top(p, i);
        OI_TRY(oi_write_format(p->w,
                               "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" rx=\"5\"/><text x=\"%u\" "
                               "y=\"%u\" font-weight=\"bold\">",
                               x, y, BOX_WIDTH, BOX_HEIGHT, x + 6, y + 15));
        OI_TRY(write_escaped(p->w, node->op->name, 28));
        OI_TRY(oi_write_format(p->w, "</text><text x=\"%u\" y=\"%u\">", x + 6, y + 31));
        if (node->nout && node->out[0] != OI_NONE)
            OI_TRY(write_escaped(
                p->w, oi_fact_text(p->g->syms, &p->g->value[node->out[0]].fact, text, sizeof text), 30));
        OI_TRY(oi_write_text(p->w, "</text><title>"));
        OI_TRY(write_escaped(p->w, node->name, 1000));
        OI_TRY(oi_write_text(p->w, "</title>\n"));
    }
    return ONNX_INFER_OK;
}

static oi_status draw(picture *p)
{
    uint32_t widest = 1;
    OI_TRY(place(p));
    for (uint32_t i = 0; i < p->layers; i++)
        widest = p->width[i] > widest ? p->width[i] : widest;
    OI_TRY(oi_write_format(
        p->w,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" "
        "font-size=\"11\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/><g fill=\"none\" stroke=\"#888\">\n",
        2 * MARGIN + widest * (BOX_WIDTH + GAP_X), 2 * MARGIN + p->layers * (BOX_HEIGHT + GAP_Y)));
    OI_TRY(draw_edges(p));
    OI_TRY(oi_write_text(p->w, "</g><style>rect[rx]{fill:#eef3fb;stroke:#456}</style>\n"));
    OI_TRY(draw_nodes(p));
    return oi_write_text(p->w, "</svg>\n");
}

oi_status tool_graph_svg(const oi_graph *g, const oi_writer *w)
{
    picture p = {.g = g, .w = w};
    oi_status status = draw(&p);
    oi_free_mem(NULL, p.layer);
    oi_free_mem(NULL, p.column);
    oi_free_mem(NULL, p.width);
    return status;
}
