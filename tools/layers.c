/* Places boxes in layers: longest way from above, order by the middle of what is above and below, places by least squares. */
#include "layers.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { GAP_BOX = 26, GAP_WIRE = 9, WIRE_WIDTH = 2, ORDER_SWEEPS = 8, PLACE_SWEEPS = 16, LANE_STEP = 8, MOST_LANES = 256 };

/* How much the ends of a segment want to stand below each other: between boxes, from a box to a wire, along a wire, by a lane; of all these, where the edge says so. */
static const double BOXES = 1, ENDS = 6, ALONG = 16, LANE = 0.1, ASIDE = 0.1, HANGS_ON = 0.02;

/* A box, or a wire where it passes a layer. */
typedef struct {
    int32_t width;
    bool is_box;
    double x, want, weight, key;
    uint32_t place; /* in its layer's row */
} item;

typedef struct {
    uint32_t above, below; /* items */
    int32_t out, in;       /* from their left sides */
    double pull;
} segment;

/* Lists of segments by item: of its upper or its lower side. */
typedef struct {
    uint32_t *first, *list;
} by_item;

typedef struct {
    layers *l;
    item *item;
    segment *seg;
    uint32_t nitem, nseg;
    by_item up, down;
    uint32_t *row, *row_first; /* items layer by layer */
    uint32_t *wire_item;       /* of each wire: its item in the layer below its box */
    void *block[32];           /* all memory, to be freed at once */
    uint32_t nblock;
    bool failed;
} work;

static void *array(work *w, size_t n, size_t size)
{
    void *p = oi_alloc_array(NULL, n + 1, size);
    w->failed = w->failed || !p || w->nblock == sizeof w->block / sizeof *w->block;
    if (p && w->nblock < sizeof w->block / sizeof *w->block)
        w->block[w->nblock++] = p;
    return p;
}

/* --- layers -------------------------------------------------------------------------------------------------------- */

static bool leads_down(const layers *l, const layer_edge *e)
{
    return l->box[e->to].layer > l->box[e->from].layer;
}

/* The edges that leave each box: list[first[b]] to list[first[b + 1]]. */
static void list_edges(const layers *l, uint32_t *first, uint32_t *next, uint32_t *list)
{
    for (uint32_t i = 0; i < l->nedge; i++)
        first[l->edge[i].from + 1]++;
    for (uint32_t i = 0; i < l->nbox; i++)
        first[i + 1] += first[i];
    memcpy(next, first, l->nbox * sizeof *next);
    for (uint32_t i = 0; i < l->nedge; i++)
        list[next[l->edge[i].from]++] = i;
}

/* Boxes with nothing but such above them that sink. */
static void sink(layers *l, const uint32_t *order, uint32_t n, const uint32_t *first, const uint32_t *list, bool *floats)
{
    for (uint32_t i = 0; i < l->nbox; i++)
        floats[i] = l->box[i].sinks;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = first[order[i]]; k < first[order[i] + 1]; k++)
            floats[l->edge[list[k]].to] = floats[l->edge[list[k]].to] && floats[order[i]];
    }
    for (uint32_t i = n; i-- > 0;) {
        int32_t least = INT32_MAX;
        for (uint32_t k = first[order[i]]; k < first[order[i] + 1]; k++) {
            int32_t layer = l->box[l->edge[list[k]].to].layer;
            least = layer < least ? layer : least;
        }
        if (floats[order[i]] && least != INT32_MAX && least - 1 > l->box[order[i]].layer)
            l->box[order[i]].layer = least - 1;
    }
}

static void find_layers(work *w)
{
    layers *l = w->l;
    uint32_t *first = array(w, l->nbox + 1, sizeof *first), *list = array(w, l->nedge, sizeof *list);
    uint32_t *missing = array(w, l->nbox, sizeof *missing), *order = array(w, l->nbox, sizeof *order), n = 0;
    bool *floats = array(w, l->nbox, sizeof *floats);
    if (w->failed)
        return;
    list_edges(l, first, order, list);
    for (uint32_t i = 0; i < l->nedge; i++)
        missing[l->edge[i].to]++;
    for (uint32_t i = 0; i < l->nbox; i++) {
        l->box[i].layer = 0;
        if (!missing[i])
            order[n++] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = first[order[i]]; k < first[order[i] + 1]; k++) {
            const uint32_t to = l->edge[list[k]].to;
            if (l->box[to].layer <= l->box[order[i]].layer)
                l->box[to].layer = l->box[order[i]].layer + 1;
            if (--missing[to] == 0)
                order[n++] = to;
        }
    }
    sink(l, order, n, first, list, floats);
    l->nlayer = 0;
    for (uint32_t i = 0; i < l->nbox; i++)
        l->nlayer = (uint32_t)l->box[i].layer + 1 > l->nlayer ? (uint32_t)l->box[i].layer + 1 : l->nlayer;
}

/* The way that leads straight on enters a box in the middle: the longest of those that take no lane
 * and do not come from a box that is there for this one only. The others keep their order on both sides of it. */
static void choose_middles(work *w)
{
    layers *l = w->l;
    uint32_t *entering = array(w, l->nbox, sizeof *entering), *leaving = array(w, l->nbox, sizeof *leaving);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < l->nedge; i++) {
        entering[l->edge[i].to]++;
        leaving[l->edge[i].from]++;
    }
    for (uint32_t first = 0, n; first < l->nedge; first += n) { /* edges of one box stand together */
        const uint32_t to = l->edge[first].to;
        uint32_t main = UINT32_MAX;
        int32_t longest = 0;
        bool one = true;
        for (n = 0; first + n < l->nedge && l->edge[first + n].to == to; n++) {
            const layer_edge *e = &l->edge[first + n];
            const int32_t down = l->box[to].layer - l->box[e->from].layer;
            if ((!entering[e->from] && leaving[e->from] == 1) || down > LAYERS_LONG || e->aside)
                continue;
            one = down == longest ? false : down > longest ? true : one;
            main = down > longest ? n : main;
            longest = down > longest ? down : longest;
        }
        if (main == UINT32_MAX || !one || n < 2)
            continue;
        for (uint32_t k = 0; k < n; k++) {
            const int32_t half = l->box[to].width / 2;
            l->edge[first + k].in = k == main  ? half
                                    : k < main ? (int32_t)(half * (int64_t)(k + 1) / (main + 1))
                                               : half + (int32_t)(half * (int64_t)(k - main) / (n - main));
        }
    }
}

/* --- items and segments ---------------------------------------------------------------------------------------------- */

static uint32_t span(const layers *l, const layer_edge *e)
{
    return leads_down(l, e) ? (uint32_t)(l->box[e->to].layer - l->box[e->from].layer) : 0;
}

static void count_columns(layers *l)
{
    for (uint32_t i = 0; i < l->nwire; i++)
        l->wire[i].ncolumns = 0, l->wire[i].has_lane = false;
    for (uint32_t i = 0; i < l->nedge; i++) {
        const layer_edge *e = &l->edge[i];
        layer_wire *wire = &l->wire[e->wire];
        const uint32_t layers_down = span(l, e);
        wire->from = e->from;
        wire->out = e->out;
        if (layers_down > LAYERS_LONG)
            wire->has_lane = true;
        else if (layers_down > 1 && layers_down - 1 > wire->ncolumns)
            wire->ncolumns = layers_down - 1;
    }
}

static void add_segment(work *w, uint32_t above, int32_t out, uint32_t below, int32_t in, double pull)
{
    w->seg[w->nseg++] = (segment){above, below, out, in, pull};
}

static void index_segments(work *w, bool upper, by_item *b)
{
    b->first = array(w, w->nitem + 1, sizeof *b->first);
    b->list = array(w, w->nseg, sizeof *b->list);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < w->nseg; i++)
        b->first[(upper ? w->seg[i].below : w->seg[i].above) + 1]++;
    for (uint32_t i = 0; i < w->nitem; i++)
        b->first[i + 1] += b->first[i];
    uint32_t *next = array(w, w->nitem, sizeof *next);
    if (w->failed)
        return;
    memcpy(next, b->first, w->nitem * sizeof *next);
    for (uint32_t i = 0; i < w->nseg; i++)
        b->list[next[upper ? w->seg[i].below : w->seg[i].above]++] = i;
}

static void fill_rows(work *w, const int32_t *layer_of)
{
    layers *l = w->l;
    w->row = array(w, w->nitem, sizeof *w->row);
    w->row_first = array(w, l->nlayer + 1, sizeof *w->row_first);
    uint32_t *next = array(w, l->nlayer, sizeof *next);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < w->nitem; i++)
        w->row_first[layer_of[i] + 1]++;
    for (uint32_t i = 0; i < l->nlayer; i++)
        w->row_first[i + 1] += w->row_first[i];
    memcpy(next, w->row_first, l->nlayer * sizeof *next);
    for (uint32_t i = 0; i < w->nitem; i++) {
        w->item[i].place = next[layer_of[i]] - w->row_first[layer_of[i]];
        w->row[next[layer_of[i]]++] = i;
    }
}

static void make_items(work *w)
{
    layers *l = w->l;
    size_t columns = 0;
    count_columns(l);
    for (uint32_t i = 0; i < l->nwire; i++)
        columns += l->wire[i].ncolumns;
    l->columns = oi_alloc_array(NULL, columns + 1, sizeof *l->columns);
    w->failed = w->failed || !l->columns;
    w->item = array(w, l->nbox + columns, sizeof *w->item);
    w->seg = array(w, l->nedge + columns, sizeof *w->seg);
    w->wire_item = array(w, l->nwire, sizeof *w->wire_item);
    int32_t *layer_of = array(w, l->nbox + columns, sizeof *layer_of);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < l->nbox; i++) {
        w->item[i] = (item){.width = l->box[i].width, .is_box = true};
        layer_of[i] = l->box[i].layer;
    }
    w->nitem = l->nbox;
    for (uint32_t i = 0; i < l->nwire; i++) {
        layer_wire *wire = &l->wire[i];
        wire->columns = l->columns + (w->nitem - l->nbox);
        w->wire_item[i] = w->nitem;
        for (uint32_t k = 0; k < wire->ncolumns; k++) {
            layer_of[w->nitem] = l->box[wire->from].layer + 1 + (int32_t)k;
            w->item[w->nitem] = (item){.width = WIRE_WIDTH};
            add_segment(w, k ? w->nitem - 1 : wire->from, k ? WIRE_WIDTH / 2 : wire->out, w->nitem, WIRE_WIDTH / 2, k ? ALONG : ENDS);
            w->nitem++;
        }
    }
    for (uint32_t i = 0; i < l->nedge; i++) {
        const layer_edge *e = &l->edge[i];
        const uint32_t down = span(l, e);
        const double pull = e->aside ? ASIDE : 1;
        if (down == 1)
            add_segment(w, e->from, e->out, e->to, e->in, BOXES * pull);
        else if (down > 1 && down <= LAYERS_LONG)
            add_segment(w, w->wire_item[e->wire] + down - 2, WIRE_WIDTH / 2, e->to, e->in, ENDS * pull);
        else if (down)
            add_segment(w, e->from, e->out, e->to, e->in, LANE * pull);
    }
    index_segments(w, true, &w->up);
    index_segments(w, false, &w->down);
    fill_rows(w, layer_of);
}

/* --- order ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    double key;
    uint32_t item, place;
} sorted;

static int by_key(const void *a, const void *b)
{
    const sorted *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key ? 1 : x->place < y->place ? -1 : x->place > y->place;
}

/* The row in the order of the mean place of its neighbours above, or below. */
static void order_row(work *w, uint32_t layer, bool upper, sorted *s)
{
    const by_item *b = upper ? &w->up : &w->down;
    const uint32_t first = w->row_first[layer], n = w->row_first[layer + 1] - first;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t id = w->row[first + i];
        double sum = 0;
        for (uint32_t k = b->first[id]; k < b->first[id + 1]; k++) {
            const segment *e = &w->seg[b->list[k]];
            const item *other = &w->item[upper ? e->above : e->below];
            sum += other->key + (double)(upper ? e->out : e->in) / (other->width + 1) * 0.9;
        }
        const uint32_t degree = b->first[id + 1] - b->first[id];
        s[i] = (sorted){degree ? sum / degree : w->item[id].key, id, w->item[id].place};
    }
    qsort(s, n, sizeof *s, by_key);
    for (uint32_t i = 0; i < n; i++) {
        w->row[first + i] = s[i].item;
        w->item[s[i].item].place = i;
        w->item[s[i].item].key = i;
    }
}

static void find_order(work *w)
{
    const uint32_t rows = w->l->nlayer;
    sorted *s = array(w, w->nitem, sizeof *s);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < w->nitem; i++)
        w->item[i].key = w->item[i].place;
    for (int sweep = 0; sweep < ORDER_SWEEPS; sweep++) {
        for (uint32_t i = 1; i < rows; i++)
            order_row(w, sweep % 2 ? rows - 1 - i : i, sweep % 2 == 0, s);
    }
}

/* --- places ------------------------------------------------------------------------------------------------------------- */

/* Of a segment for one of its items; a box at its other end that hangs on nothing else comes along anyway. */
static double weight_of(const work *w, const segment *e, uint32_t other)
{
    const uint32_t degree = w->up.first[other + 1] - w->up.first[other] + w->down.first[other + 1] - w->down.first[other];
    return degree == 1 ? HANGS_ON : e->pull;
}

static void want_of(const work *w, item *it, uint32_t id, bool upper, bool lower)
{
    double sum = 0, weight = 0;
    for (uint32_t k = w->up.first[id]; upper && k < w->up.first[id + 1]; k++) {
        const segment *e = &w->seg[w->up.list[k]];
        const double h = weight_of(w, e, e->above);
        sum += h * (w->item[e->above].x + e->out - e->in);
        weight += h;
    }
    for (uint32_t k = w->down.first[id]; lower && k < w->down.first[id + 1]; k++) {
        const segment *e = &w->seg[w->down.list[k]];
        const double h = weight_of(w, e, e->below);
        sum += h * (w->item[e->below].x + e->in - e->out);
        weight += h;
    }
    it->want = weight > 0 ? sum / weight : it->x;
    it->weight = weight > 0 ? weight : 0.01;
}

static double apart(const item *a, const item *b)
{
    return a->width + (a->is_box && b->is_box ? GAP_BOX : a->is_box || b->is_box ? (GAP_BOX + GAP_WIRE) / 2 : GAP_WIRE);
}

/* The row as near as it can be to where its items want to stand, with the room between them that they need: neighbours that come too
 * near each other become one group, which stands at the mean of what its members want. */
static void place_row(work *w, uint32_t layer, bool upper, bool lower, double *at, double *weight, uint32_t *count)
{
    const uint32_t first = w->row_first[layer], n = w->row_first[layer + 1] - first;
    double offset = 0;
    uint32_t groups = 0;
    for (uint32_t i = 0; i < n; i++) {
        item *it = &w->item[w->row[first + i]];
        want_of(w, it, w->row[first + i], upper, lower);
        offset += i ? apart(&w->item[w->row[first + i - 1]], it) : 0;
        it->key = offset;
        at[groups] = it->want - offset;
        weight[groups] = it->weight;
        count[groups++] = 1;
        for (; groups > 1 && at[groups - 1] < at[groups - 2]; groups--) {
            const double sum = weight[groups - 1] + weight[groups - 2];
            at[groups - 2] = (at[groups - 1] * weight[groups - 1] + at[groups - 2] * weight[groups - 2]) / sum;
            weight[groups - 2] = sum;
            count[groups - 2] += count[groups - 1];
        }
    }
    for (uint32_t g = 0, i = first; g < groups; g++) {
        for (uint32_t k = 0; k < count[g]; k++, i++)
            w->item[w->row[i]].x = at[g] + w->item[w->row[i]].key;
    }
}

static void find_places(work *w)
{
    const uint32_t rows = w->l->nlayer;
    double *at = array(w, w->nitem, sizeof *at), *weight = array(w, w->nitem, sizeof *weight);
    uint32_t *count = array(w, w->nitem, sizeof *count);
    if (w->failed)
        return;
    for (uint32_t i = 0; i < rows; i++)
        place_row(w, i, true, false, at, weight, count);
    for (int sweep = 0; sweep < PLACE_SWEEPS; sweep++) {
        const bool up = sweep % 2 == 0, both = sweep + 4 >= PLACE_SWEEPS;
        for (uint32_t i = 0; i < rows; i++)
            place_row(w, up ? rows - 1 - i : i, both || !up, both || up, at, weight, count);
    }
}

/* Where the picture as a whole leans to one side, rows move back by what they lean with those around them, all of a row alike. */
static void stand_upright(work *w)
{
    enum { AROUND = 20, LEANS = 400 };
    const uint32_t rows = w->l->nlayer;
    double *sum = array(w, rows + 1, sizeof *sum), *mean = array(w, rows, sizeof *mean), least = 1e300, most = -1e300;
    if (w->failed)
        return;
    for (uint32_t i = 0; i < rows; i++) {
        double x = 0;
        for (uint32_t k = w->row_first[i]; k < w->row_first[i + 1]; k++)
            x += w->item[w->row[k]].x + w->item[w->row[k]].width / 2.0;
        const uint32_t n = w->row_first[i + 1] - w->row_first[i];
        sum[i + 1] = sum[i] + (n ? x / n : 0);
    }
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t from = i > AROUND ? i - AROUND : 0, to = i + AROUND + 1 < rows ? i + AROUND + 1 : rows;
        mean[i] = (sum[to] - sum[from]) / (to - from);
        least = mean[i] < least ? mean[i] : least;
        most = mean[i] > most ? mean[i] : most;
    }
    for (uint32_t i = 0; i < rows && most - least > LEANS; i++) {
        for (uint32_t k = w->row_first[i]; k < w->row_first[i + 1]; k++)
            w->item[w->row[k]].x -= mean[i];
    }
}

/* --- results ------------------------------------------------------------------------------------------------------------ */

static void take_places(work *w)
{
    layers *l = w->l;
    double left = 1e300;
    for (uint32_t i = 0; i < w->nitem; i++)
        left = w->item[i].x < left ? w->item[i].x : left;
    l->width = 0;
    for (uint32_t i = 0; i < w->nitem; i++) {
        const int32_t x = (int32_t)(w->item[i].x - left + 0.5), right = x + w->item[i].width;
        l->width = right > l->width ? right : l->width;
        if (i < l->nbox)
            l->box[i].x = x;
        else
            l->columns[i - l->nbox] = x + WIRE_WIDTH / 2;
    }
}

static void find_heights(layers *l)
{
    for (uint32_t i = 0; i < l->nbox; i++)
        l->bottom[l->box[i].layer] = l->box[i].height > l->bottom[l->box[i].layer] ? l->box[i].height : l->bottom[l->box[i].layer];
    for (uint32_t i = 0; i < l->nlayer; i++) {
        l->bottom[i] += l->top[i];
        l->top[i + 1] = l->bottom[i] + l->gap;
    }
    for (uint32_t i = 0; i < l->nbox; i++)
        l->box[i].y = l->top[l->box[i].layer];
    l->height = l->nlayer ? l->bottom[l->nlayer - 1] : 0;
}

/* Each long wire gets the first lane that is free where it begins. */
static void find_lanes(work *w)
{
    layers *l = w->l;
    int32_t *end = array(w, l->nwire, sizeof *end), busy[MOST_LANES];
    uint32_t *first = array(w, l->nlayer + 1, sizeof *first), *order = array(w, l->nwire, sizeof *order), lanes = 0;
    if (w->failed)
        return;
    for (uint32_t i = 0; i < l->nedge; i++) {
        const int32_t layer = l->box[l->edge[i].to].layer;
        end[l->edge[i].wire] = layer > end[l->edge[i].wire] ? layer : end[l->edge[i].wire];
    }
    for (uint32_t i = 0; i < l->nwire; i++)
        first[l->wire[i].has_lane ? (uint32_t)l->box[l->wire[i].from].layer + 1 : 0] += l->wire[i].has_lane;
    for (uint32_t i = 0; i < l->nlayer; i++)
        first[i + 1] += first[i];
    const uint32_t n = first[l->nlayer];
    for (uint32_t i = 0; i < l->nwire; i++) {
        if (l->wire[i].has_lane)
            order[first[l->box[l->wire[i].from].layer]++] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        layer_wire *wire = &l->wire[order[i]];
        uint32_t k = 0;
        while (k < lanes && busy[k] > l->box[wire->from].layer)
            k++;
        k = k < MOST_LANES ? k : order[i] % MOST_LANES;
        busy[k] = wire->lane_end = end[order[i]];
        lanes = k + 1 > lanes ? k + 1 : lanes;
        wire->lane = l->width + LANE_STEP * (int32_t)(k + 2);
    }
    l->width += lanes ? LANE_STEP * (int32_t)(lanes + 2) : 0;
}

oi_status layers_place(layers *l)
{
    work w = {.l = l};
    find_layers(&w);
    while (w.nblock) /* of the layers */
        oi_free_mem(NULL, w.block[--w.nblock]);
    l->top = oi_alloc_array(NULL, l->nlayer + 2, sizeof *l->top);
    l->bottom = oi_alloc_array(NULL, l->nlayer + 1, sizeof *l->bottom);
    w.failed = w.failed || !l->top || !l->bottom;
    if (!w.failed)
        choose_middles(&w);
    if (!w.failed)
        make_items(&w);
    if (!w.failed)
        find_order(&w);
    if (!w.failed)
        find_places(&w);
    if (!w.failed)
        stand_upright(&w);
    if (!w.failed) {
        take_places(&w);
        find_heights(l);
        find_lanes(&w);
    }
    while (w.nblock)
        oi_free_mem(NULL, w.block[--w.nblock]);
    return w.failed ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_OK;
}

void layers_clear(layers *l)
{
    oi_free_mem(NULL, l->top);
    oi_free_mem(NULL, l->bottom);
    oi_free_mem(NULL, l->columns);
    l->top = l->bottom = l->columns = NULL;
}
