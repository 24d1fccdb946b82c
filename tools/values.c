/* Values from files, to files, and in words. */
#include "tool.h"

#include "onnx/value_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static oi_status read_raw(const char *path, const onnx_infer_port *port, const int64_t *dims,
                          onnx_infer_value **out)
{
    OI_FAIL_IF(
        !dims, ONNX_INFER_E_INVALID_ARGUMENT,
        "%s holds raw bytes, and the shape of input '%s' is open: give it by --shape, or write a .npy file",
        path, onnx_infer_port_name(port));
    OI_FAIL_IF(onnx_infer_port_dtype(port) == ONNX_INFER_STRING, ONNX_INFER_E_INVALID_ARGUMENT,
               "strings cannot be read from raw bytes (%s)", path);
    FILE *f = fopen(path, "rb");
    OI_FAIL_IF(!f, ONNX_INFER_E_IO, "%s cannot be opened: %s", path, strerror(errno));
    oi_status status =
        onnx_infer_tensor_create(onnx_infer_port_dtype(port), onnx_infer_port_rank(port), dims, out);
    if (!status) {
        size_t need = onnx_infer_tensor_bytes(*out);
        size_t got = need ? fread(onnx_infer_tensor_mutable_data(*out), 1, need, f) : 0;
        if (got != need || fgetc(f) != EOF)
            status = oi_fail(ONNX_INFER_E_IO, "%s has %s than the %zu bytes that input '%s' needs", path,
                             got != need ? "less" : "more", need, onnx_infer_port_name(port));
    }
    fclose(f);
    if (status) {
        onnx_infer_value_release(*out);
        *out = NULL;
    }
    return status;
}

oi_status tool_value_read(const char *path, const onnx_infer_port *port, const int64_t *dims,
                          onnx_infer_value **out)
{
    if (ends_with(path, ".npy"))
        return tool_npy_read(path, out);
    if (ends_with(path, ".pb"))
        return oi_onnx_read_value(NULL, path, onnx_infer_port_kind(port), out);
    return read_raw(path, port, dims, out);
}

static oi_status make_folder(const char *path)
{
    OI_FAIL_IF(mkdir(path, 0777) && errno != EEXIST, ONNX_INFER_E_IO, "%s cannot be made: %s", path,
               strerror(errno));
    return ONNX_INFER_OK;
}

static oi_status write_proto(const char *path, const onnx_infer_value *v)
{
    FILE *f = fopen(path, "wb");
    OI_FAIL_IF(!f, ONNX_INFER_E_IO, "%s cannot be written: %s", path, strerror(errno));
    oi_writer w = tool_file_writer(f);
    oi_status status = oi_onnx_write_value(v, &w);
    if (fclose(f) && !status)
        status = oi_fail(ONNX_INFER_E_IO, "%s cannot be written: %s", path, strerror(errno));
    return status;
}

static oi_status save(const char *stem, const onnx_infer_value *v, int depth)
{
    char path[4096];
    bool npy = v->kind == ONNX_INFER_TENSOR && tool_npy_holds(v->tensor.dtype);
    if (v->kind == ONNX_INFER_SEQUENCE && depth == 0) {
        OI_TRY(make_folder(stem));
        for (size_t i = 0; i < v->count; i++) {
            OI_FAIL_IF((size_t)snprintf(path, sizeof path, "%s/%zu", stem, i) >= sizeof path, ONNX_INFER_E_IO,
                       "%s: the path is too long", stem);
            OI_TRY(save(path, v->item[i], depth + 1));
        }
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF((size_t)snprintf(path, sizeof path, "%s%s", stem, npy ? ".npy" : ".pb") >= sizeof path,
               ONNX_INFER_E_IO, "%s: the path is too long", stem);
    return npy ? tool_npy_write(path, v) : write_proto(path, v);
}

oi_status tool_value_save(const char *dir, size_t k, const onnx_infer_value *v)
{
    char stem[3072];
    OI_TRY(make_folder(dir));
    OI_FAIL_IF((size_t)snprintf(stem, sizeof stem, "%s/output_%zu", dir, k) >= sizeof stem, ONNX_INFER_E_IO,
               "%s: the path is too long", dir);
    return save(stem, v, 0);
}

const char *tool_value_text(const onnx_infer_value *v, char *buf, size_t cap)
{
    char dims[160];
    switch (v->kind) {
    case ONNX_INFER_TENSOR:
        snprintf(buf, cap, "%s %s", oi_dtype_name(v->tensor.dtype),
                 oi_dims_text(v->tensor.rank, v->tensor.dim, dims, sizeof dims));
        break;
    case ONNX_INFER_SEQUENCE:
        snprintf(buf, cap, "sequence of %zu", v->count);
        break;
    case ONNX_INFER_OPTIONAL:
        snprintf(buf, cap, "optional, %s", v->count ? "filled" : "empty");
        break;
    default:
        snprintf(buf, cap, "map of %zu", v->count ? (size_t)oi_tensor_count(&v->item[0]->tensor) : 0);
    }
    return buf;
}

const char *tool_port_text(const onnx_infer_port *p, char *buf, size_t cap)
{
    static const char *const kinds[] = {"", "sequence of ", "optional ", "map from "};
    size_t used = (size_t)snprintf(buf, cap, "%s%s ", kinds[onnx_infer_port_kind(p) & 3],
                                   oi_dtype_name(onnx_infer_port_dtype(p)));
    int32_t rank = onnx_infer_port_rank(p);
    if (rank <= 0 && used < cap)
        snprintf(buf + used, cap - used, "%s", rank ? "?" : "scalar");
    for (int32_t i = 0; i < rank && used < cap; i++)
        used +=
            (size_t)snprintf(buf + used, cap - used, "%s%s", i ? "x" : "", onnx_infer_port_dim_expr(p, i));
    return buf;
}

typedef struct {
    double min, max, sum;
    size_t nan, n;
} summary;

static summary summarise(const oi_tensor *t)
{
    summary s = {INFINITY, -INFINITY, 0, 0, 0};
    size_t count = (size_t)oi_tensor_count(t);
    for (size_t i = 0; i < count; i++) {
        double v = oi_dtype_is_float(t->dtype) ? oi_elem_get_double(t->dtype, t->data, i)
                                               : (double)oi_elem_get_int(t->dtype, t->data, i);
        if (isnan(v)) {
            s.nan++;
            continue;
        }
        s.min = v < s.min ? v : s.min;
        s.max = v > s.max ? v : s.max;
        s.sum += v;
        s.n++;
    }
    return s;
}

static bool is_number(onnx_infer_dtype t)
{
    return t != ONNX_INFER_STRING && !oi_dtype_is_complex(t);
}

static void print_tensor(FILE *f, const oi_tensor *t)
{
    size_t count = (size_t)oi_tensor_count(t), shown = count < 6 ? count : 6;
    if (is_number(t->dtype) && count > 1) {
        summary s = summarise(t);
        if (s.n)
            fprintf(f, "  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.sum / (double)s.n);
        if (s.nan)
            fprintf(f, "  NaN %zu", s.nan);
    }
    fprintf(f, "  [");
    for (size_t i = 0; i < shown; i++) {
        const char *gap = i ? ", " : "";
        if (t->dtype == ONNX_INFER_STRING) {
            const oi_string *s = (const oi_string *)t->data + i;
            fprintf(f, "%s\"%.*s\"", gap, (int)(s->n < 60 ? s->n : 60), s->text ? s->text : "");
        } else if (oi_dtype_is_complex(t->dtype)) {
            bool narrow = t->dtype == ONNX_INFER_COMPLEX64;
            double re = narrow ? (double)((const float *)t->data)[2 * i] : ((const double *)t->data)[2 * i];
            double im =
                narrow ? (double)((const float *)t->data)[2 * i + 1] : ((const double *)t->data)[2 * i + 1];
            fprintf(f, "%s%.6g%+.6gi", gap, re, im);
        } else if (oi_dtype_is_float(t->dtype)) {
            fprintf(f, "%s%.6g", gap, oi_elem_get_double(t->dtype, t->data, i));
        } else {
            fprintf(f, "%s%" PRId64, gap, oi_elem_get_int(t->dtype, t->data, i));
        }
    }
    fprintf(f, "%s]", shown < count ? ", ..." : "");
}

void tool_value_print(FILE *f, const char *name, const onnx_infer_value *v)
{
    char text[256];
    fprintf(f, "%s: %s", name, tool_value_text(v, text, sizeof text));
    if (v->kind == ONNX_INFER_TENSOR)
        print_tensor(f, &v->tensor);
    fputc('\n', f);
    for (size_t i = 0; v->kind != ONNX_INFER_TENSOR && i < v->count && i < 8; i++) {
        char item[512];
        snprintf(item, sizeof item, "  %s[%zu]", name, i);
        tool_value_print(f, item, v->item[i]);
    }
}

static oi_status json_number(const oi_writer *w, double v)
{
    return isfinite(v) ? oi_write_format(w, "%.9g", v) : oi_write_text(w, "null");
}

oi_status tool_value_json(const oi_writer *w, const char *name, const onnx_infer_value *v)
{
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map"};
    OI_TRY(oi_write_text(w, "{\"name\":"));
    OI_TRY(oi_write_json_string(w, name));
    OI_TRY(oi_write_format(w, ",\"kind\":\"%s\"", kinds[v->kind & 3]));
    if (v->kind != ONNX_INFER_TENSOR) {
        OI_TRY(oi_write_text(w, ",\"items\":["));
        for (size_t i = 0; i < v->count; i++) {
            OI_TRY(oi_write_text(w, i ? "," : ""));
            OI_TRY(tool_value_json(w, "", v->item[i]));
        }
        return oi_write_text(w, "]}");
    }
    const oi_tensor *t = &v->tensor;
    OI_TRY(oi_write_format(w, ",\"dtype\":\"%s\",\"shape\":[", oi_dtype_name(t->dtype)));
    for (int32_t i = 0; i < t->rank; i++)
        OI_TRY(oi_write_format(w, "%s%" PRId64, i ? "," : "", t->dim[i]));
    OI_TRY(oi_write_text(w, "]"));
    if (is_number(t->dtype)) {
        summary s = summarise(t);
        OI_TRY(oi_write_text(w, ",\"min\":"));
        OI_TRY(json_number(w, s.min));
        OI_TRY(oi_write_text(w, ",\"max\":"));
        OI_TRY(json_number(w, s.max));
        OI_TRY(oi_write_text(w, ",\"mean\":"));
        OI_TRY(json_number(w, s.n ? s.sum / (double)s.n : NAN));
        OI_TRY(oi_write_format(w, ",\"nan\":%zu", s.nan));
    }
    return oi_write_text(w, "}");
}
