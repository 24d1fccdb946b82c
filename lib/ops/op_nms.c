/* NonMaxSuppression: the best boxes of each class, without those that overlap a better one. */
#include "ops/op.h"

typedef struct {
    int64_t center_point_box;
} nms_attr;

static oi_status infer(oi_infer *x)
{
    oi_infer_set(x, 0, ONNX_INFER_INT64, 2, (oi_dim[]){oi_dim_fresh(x->syms), 3});
    return ONNX_INFER_OK;
}

typedef struct {
    float low[2], high[2];
} box;

static box box_of(const float *v, bool center)
{
    box b;
    for (int i = 0; i < 2; i++) {
        float p = center ? v[i] - v[i + 2] / 2 : v[i], q = center ? v[i] + v[i + 2] / 2 : v[i + 2];
        b.low[i] = p < q ? p : q;
        b.high[i] = p < q ? q : p;
    }
    return b;
}

static bool overlap(const box *a, const box *b, float threshold)
{
    float both = 1, first = 1, second = 1;
    for (int i = 0; i < 2; i++) {
        float low = a->low[i] > b->low[i] ? a->low[i] : b->low[i], high = a->high[i] < b->high[i] ? a->high[i] : b->high[i];
        if (high <= low)
            return false;
        both *= high - low;
        first *= a->high[i] - a->low[i];
        second *= b->high[i] - b->low[i];
    }
    float all = first + second - both;
    return first > 0 && second > 0 && all > 0 && both / all > threshold;
}

static bool better(const float *score, int64_t a, int64_t b)
{
    return score[a] != score[b] ? score[a] > score[b] : a < b;
}

/* Sifts a heap whose root is the best. */
static void sift(const float *score, int64_t *heap, int64_t n, int64_t i)
{
    int64_t moved = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(score, heap[child + 1], heap[child]))
            child++;
        if (!better(score, heap[child], moved))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static oi_status scalar(const oi_eval *e, uint32_t in, oi_dtype dtype, double *v)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t)
        return ONNX_INFER_OK;
    if (t->dtype != dtype || oi_tensor_count(t) != 1)
        return oi_eval_bad_type(e, in);
    *v = oi_elem_get_double(t->dtype, t->data, 0);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *boxes = oi_eval_in(e, 0), *scores = oi_eval_in(e, 1);
    bool center = ((const nms_attr *)e->attr)->center_point_box != 0, limited = oi_eval_in(e, 4) != NULL;
    double most = 0, iou = 0, lowest = 0;
    for (uint32_t i = 0; i < 2; i++) {
        if (!oi_eval_in(e, i) || e->in[i]->dtype != ONNX_INFER_FLOAT)
            return oi_eval_bad_type(e, i);
    }
    OI_FAIL_IF(boxes->rank != 3 || scores->rank != 3 || boxes->dim[2] != 4 || boxes->dim[0] != scores->dim[0] || boxes->dim[1] != scores->dim[2],
               ONNX_INFER_E_SHAPE_MISMATCH, "NonMaxSuppression: boxes and scores do not fit each other");
    OI_TRY(scalar(e, 2, ONNX_INFER_INT64, &most));
    OI_TRY(scalar(e, 3, ONNX_INFER_FLOAT, &iou));
    OI_TRY(scalar(e, 4, ONNX_INFER_FLOAT, &lowest));
    int64_t batch = scores->dim[0], classes = scores->dim[1], n = scores->dim[2], found = 0;
    int64_t limit = most < 0 ? 0 : most < (double)n ? (int64_t)most : n;
    int64_t *heap = oi_eval_scratch_array(e, (size_t)n + 1, sizeof *heap);
    int64_t *kept = oi_eval_scratch_array(e, (size_t)(batch * classes * limit) + 1, sizeof *kept); /* a box's number in all */
    int64_t *counts = oi_eval_scratch_array(e, (size_t)(batch * classes) + 1, sizeof *counts);
    if (!heap || !kept || !counts)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t lane = 0; lane < batch * classes; lane++) {
        const float *score = (const float *)scores->data + lane * n, *at = (const float *)boxes->data + lane / classes * n * 4;
        int64_t size = 0, first = found;
        for (int64_t i = 0; i < n; i++) {
            if (!limited || score[i] > (float)lowest)
                heap[size++] = i;
        }
        for (int64_t i = size / 2; i-- > 0;)
            sift(score, heap, size, i);
        while (size > 0 && found - first < limit) {
            int64_t candidate = heap[0];
            heap[0] = heap[--size];
            if (size)
                sift(score, heap, size, 0);
            box b = box_of(at + candidate * 4, center);
            bool free_of_others = true;
            for (int64_t k = first; k < found && free_of_others; k++) {
                box other = box_of(at + kept[k] * 4, center);
                free_of_others = !overlap(&b, &other, (float)iou);
            }
            if (free_of_others)
                kept[found++] = candidate;
        }
        counts[lane] = found - first;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 2, (const int64_t[]){found, 3}, &y));
    int64_t *out = y->data, k = 0;
    for (int64_t lane = 0; lane < batch * classes; lane++) {
        for (int64_t i = 0; i < counts[lane]; i++, k++) {
            out[3 * k] = lane / classes;
            out[3 * k + 1] = lane % classes;
            out[3 * k + 2] = kept[k];
        }
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "center_point_box", .type = OI_ATTR_INT, .offset = offsetof(nms_attr, center_point_box)}, {0}};

const oi_op oi_op_NonMaxSuppression = {
    .name = "NonMaxSuppression", .domain = "", .since = 10, .newest = 11, .flags = OI_OP_DATA_SHAPES, .min_in = 2, .max_in = 5, .min_out = 1,
    .max_out = 1, .attrs = attrs, .attr_size = sizeof(nms_attr), .infer = infer, .eval = eval,
};
