/* ImageDecoder, by the module "image". */
#include "modules/image_module.h"
#include "ops/module_hold.h"

#include <string.h>

enum { MOST_PIXELS = 1 << 27 };
enum { RGB, BGR, GRAYSCALE };

typedef struct {
    int64_t format;
} image_attr;

static oi_status import(oi_import *im)
{
    return oi_module_hold(im, "image", OI_IMAGE_MODULE_VERSION, sizeof(oi_image_module));
}

static oi_status infer(oi_infer *x)
{
    static const oi_dtype bytes = ONNX_INFER_UINT8;
    OI_TRY(oi_infer_need_dtype(x, 0, &bytes, 1));
    OI_FAIL_IF(x->in[0]->shape.rank >= 0 && x->in[0]->shape.rank != 1, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1",
               x->in[0]->shape.rank);
    oi_dim dims[3] = {oi_dim_fresh(x->syms), oi_dim_fresh(x->syms), ((const image_attr *)x->attr)->format == GRAYSCALE ? 1 : 3};
    oi_infer_set(x, 0, ONNX_INFER_UINT8, 3, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_alloc *alloc;
    uint8_t *rows;
    size_t bytes;
    uint32_t width, height;
} picture;

static void *place(void *user, uint32_t width, uint32_t height)
{
    picture *p = user;
    p->width = width;
    p->height = height;
    p->bytes = (size_t)width * height * 3;
    p->rows = oi_alloc_data(p->alloc, p->bytes);
    return p->rows;
}

/* The weights of ITU-R 601 in 16 bits, as the standard's reference has them. */
static void write_pixels(const picture *p, int64_t format, uint8_t *y)
{
    size_t n = (size_t)p->width * p->height;
    const uint8_t *x = p->rows;
    if (format == RGB)
        memcpy(y, x, p->bytes);
    for (size_t i = 0; format == BGR && i < n; i++) {
        y[3 * i] = x[3 * i + 2];
        y[3 * i + 1] = x[3 * i + 1];
        y[3 * i + 2] = x[3 * i];
    }
    for (size_t i = 0; format == GRAYSCALE && i < n; i++)
        y[i] = (uint8_t)((x[3 * i] * 19595u + x[3 * i + 1] * 38470u + x[3 * i + 2] * 7471u + 0x8000u) >> 16);
}

/* A picture that cannot be decoded becomes an empty one, as the standard says; one that is too large is an error. */
static oi_status eval(oi_eval *e)
{
    int64_t format = ((const image_attr *)e->attr)->format, dims[3] = {0, 0, format == GRAYSCALE ? 1 : 3};
    const oi_tensor *t = oi_eval_in(e, 0);
    picture p = {.alloc = e->alloc};
    oi_module m;
    oi_tensor *y;
    char why[256] = "";
    if (!t || t->dtype != ONNX_INFER_UINT8)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank != 1, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1", t->rank);
    OI_TRY(oi_module_open_for(e->op, "image", OI_IMAGE_MODULE_VERSION, sizeof(oi_image_module), &m));
    oi_image_status failed = ((const oi_image_module *)m.table)->decode(t->data, t->bytes, MOST_PIXELS, place, &p, why, sizeof why);
    oi_module_close(&m);
    oi_status status = ONNX_INFER_OK;
    if (failed == OI_IMAGE_LIMIT || failed == OI_IMAGE_STOPPED)
        status = oi_fail(failed == OI_IMAGE_LIMIT ? ONNX_INFER_E_LIMIT : ONNX_INFER_E_OUT_OF_MEMORY, "the picture: %s", why);
    if (!failed) {
        dims[0] = p.height;
        dims[1] = p.width;
    }
    if (!status)
        status = oi_eval_out(e, 0, ONNX_INFER_UINT8, 3, dims, &y);
    if (!status && !failed)
        write_pixels(&p, format, y->data);
    if (p.rows)
        oi_free_data(e->alloc, p.rows, p.bytes);
    return status;
}

static const oi_attr_spec attrs[] = {
    {.name = "pixel_format", .type = OI_ATTR_ENUM, .offset = offsetof(image_attr, format), .s = "RGB|BGR|Grayscale"},
    {0},
};

const oi_op oi_op_ImageDecoder = {
    .name = "ImageDecoder", .domain = "", .since = 20, .newest = 20, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .attrs = attrs, .attr_size = sizeof(image_attr), .import = import, .infer = infer, .eval = eval,
};
