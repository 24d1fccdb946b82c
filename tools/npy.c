/* Reads and writes .npy files (format versions 1 to 3). */
#include "tool.h"

#include "base/checked.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 1 << 20 };

static const struct {
    const char *code;
    onnx_infer_dtype dtype;
} TYPES[] = {
    {"f2", ONNX_INFER_FLOAT16},   {"f4", ONNX_INFER_FLOAT},       {"f8", ONNX_INFER_DOUBLE},
    {"i1", ONNX_INFER_INT8},      {"i2", ONNX_INFER_INT16},       {"i4", ONNX_INFER_INT32},
    {"i8", ONNX_INFER_INT64},     {"u1", ONNX_INFER_UINT8},       {"u2", ONNX_INFER_UINT16},
    {"u4", ONNX_INFER_UINT32},    {"u8", ONNX_INFER_UINT64},      {"b1", ONNX_INFER_BOOL},
    {"c8", ONNX_INFER_COMPLEX64}, {"c16", ONNX_INFER_COMPLEX128},
};

static const char *type_code(onnx_infer_dtype t)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].dtype == t)
            return TYPES[i].code;
    return NULL;
}

bool tool_npy_holds(onnx_infer_dtype t)
{
    return type_code(t) != NULL;
}

/* Finds the value behind 'key': in the header's dictionary. */
static const char *value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p = strchr(p + strlen(key), ':');
    return p ? p + 1 + strspn(p + 1, " ") : NULL;
}

static oi_status parse_header(const char *path, const char *header, onnx_infer_dtype *dtype, bool *fortran,
                              int32_t *rank, int64_t *dims)
{
    const char *descr = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'"),
               *shape = value_of(header, "'shape'");
    OI_FAIL_IF(!descr || !order || !shape || *shape != '(', ONNX_INFER_E_PARSE,
               "%s: the header of this .npy file is damaged", path);
    *dtype = ONNX_INFER_UNDEFINED;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        size_t n = strlen(TYPES[i].code);
        if (descr[0] == '\'' && descr[1] && strchr("<|=", descr[1]) &&
            !strncmp(descr + 2, TYPES[i].code, n) && descr[2 + n] == '\'')
            *dtype = TYPES[i].dtype;
    }
    OI_FAIL_IF(*dtype == ONNX_INFER_UNDEFINED, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "%s holds numpy's type %.8s, which cannot be read; convert it to a little-endian number type, "
               "or use .pb",
               path, descr);
    *fortran = !strncmp(order, "True", 4);
    *rank = 0;
    for (const char *p = shape + 1;;) {
        p += strspn(p, " ,");
        if (*p == ')')
            return ONNX_INFER_OK;
        char *end;
        errno = 0;
        long long n = strtoll(p, &end, 10);
        OI_FAIL_IF(errno || end == p || n < 0, ONNX_INFER_E_PARSE,
                   "%s: the shape in this .npy file is damaged", path);
        OI_FAIL_IF(*rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "%s has more than %d dimensions", path,
                   OI_MAX_RANK);
        dims[(*rank)++] = n;
        p = end;
    }
}

/* Rearranges column-major elements. */
static oi_status from_fortran(oi_tensor *t)
{
    oi_tensor out;
    OI_TRY(oi_tensor_create(NULL, t->dtype, t->rank, t->dim, &out));
    size_t size = oi_dtype_size(t->dtype);
    int64_t index[OI_MAX_RANK] = {0}, count = oi_tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        int64_t from = 0;
        for (int32_t axis = t->rank - 1; axis >= 0; axis--)
            from = from * t->dim[axis] + index[axis];
        memcpy((char *)out.data + (size_t)i * size, (const char *)t->data + (size_t)from * size, size);
        for (int32_t axis = t->rank - 1; axis >= 0 && ++index[axis] == t->dim[axis]; axis--)
            index[axis] = 0;
    }
    oi_tensor_clear(t);
    *t = out;
    return ONNX_INFER_OK;
}

static oi_status read_open(FILE *f, const char *path, oi_tensor *t)
{
    unsigned char start[12];
    OI_FAIL_IF(fread(start, 1, 10, f) != 10 || memcmp(start, "\x93NUMPY", 6), ONNX_INFER_E_PARSE,
               "%s is no .npy file", path);
    size_t n = start[8] | (size_t)start[9] << 8;
    if (start[6] >= 2) {
        OI_FAIL_IF(fread(start + 10, 1, 2, f) != 2, ONNX_INFER_E_PARSE, "%s is cut off in its header", path);
        n |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    OI_FAIL_IF(n > MAX_HEADER, ONNX_INFER_E_PARSE, "%s: its header claims %zu bytes", path, n);
    char *header = oi_alloc_mem(NULL, n + 1);
    if (!header)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    onnx_infer_dtype dtype = ONNX_INFER_UNDEFINED;
    bool fortran = false;
    int32_t rank = 0;
    int64_t dims[OI_MAX_RANK];
    oi_status status = fread(header, 1, n, f) == n
                           ? parse_header(path, header, &dtype, &fortran, &rank, dims)
                           : oi_fail(ONNX_INFER_E_PARSE, "%s is cut off in its header", path);
    oi_free_mem(NULL, header);
    OI_TRY(status);
    oi_tensor wanted;
    if (oi_tensor_describe(&wanted, dtype, rank, dims))
        return oi_error_prefix("%s: ", path);
    long at = ftell(f);
    OI_FAIL_IF(at < 0 || fseek(f, 0, SEEK_END), ONNX_INFER_E_IO, "%s cannot be read to its end: %s", path,
               strerror(errno));
    long end = ftell(f);
    OI_FAIL_IF(end < at || (size_t)(end - at) < wanted.bytes, ONNX_INFER_E_PARSE,
               "%s is cut off: its shape needs %zu bytes of data, it has %ld", path, wanted.bytes, end - at);
    OI_FAIL_IF(fseek(f, at, SEEK_SET), ONNX_INFER_E_IO, "%s cannot be read: %s", path, strerror(errno));
    OI_TRY(oi_tensor_create(NULL, dtype, rank, dims, t));
    if (t->bytes && fread(t->data, 1, t->bytes, f) != t->bytes)
        return oi_fail(ONNX_INFER_E_IO, "%s cannot be read: %s", path, strerror(errno));
    if (dtype == ONNX_INFER_BOOL)
        for (size_t i = 0; i < t->bytes; i++)
            ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
    return fortran && rank > 1 ? from_fortran(t) : ONNX_INFER_OK;
}

oi_status tool_npy_read(const char *path, onnx_infer_value **out)
{
    FILE *f = fopen(path, "rb");
    OI_FAIL_IF(!f, ONNX_INFER_E_IO, "%s cannot be opened: %s", path, strerror(errno));
    oi_tensor t = {0};
    oi_status status = read_open(f, path, &t);
    fclose(f);
    if (!status)
        status = oi_value_from_tensor(NULL, &t, out);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

oi_status tool_npy_write(const char *path, const onnx_infer_value *v)
{
    const oi_tensor *t = &v->tensor;
    char shape[OI_MAX_RANK * 24] = "", header[512];
    size_t used = 0;
    for (int32_t i = 0; i < t->rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%" PRId64 "%s", t->dim[i],
                                 t->rank == 1      ? ","
                                 : i + 1 < t->rank ? ", "
                                                   : "");
    const char *code = type_code(t->dtype);
    int n = snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                     code[1] == '1' && !code[2] ? '|' : '<', code, shape);
    size_t padded = ((size_t)n + 1 + 10 + 63) / 64 * 64 - 10; /* data begin at a multiple of 64 */
    memset(header + n, ' ', padded - (size_t)n - 1);
    header[padded - 1] = '\n';
    const unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255), (unsigned char)(padded >> 8)};
    FILE *f = fopen(path, "wb");
    OI_FAIL_IF(!f, ONNX_INFER_E_IO, "%s cannot be written: %s", path, strerror(errno));
    bool ok = fwrite(start, 1, 10, f) == 10 && fwrite(header, 1, padded, f) == padded &&
              (!t->bytes || fwrite(t->data, 1, t->bytes, f) == t->bytes);
    if (fclose(f))
        ok = false;
    OI_FAIL_IF(!ok, ONNX_INFER_E_IO, "%s cannot be written: %s", path, strerror(errno));
    return ONNX_INFER_OK;
}
