/* Values: memory in any layout, DLPack both ways, conversion, strings and containers; what each refuses, and every
 * allocation failing in turn. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/little_model.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the C library's allocator, failing on demand ------------------------------------------------------------------- */

static long left = -1; /* allocations until one fails; below 0: none does */

static bool refuse(void)
{
    if (left < 0 || left-- > 0)
        return false;
    errno = ENOMEM;
    return true;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#define CAN_FAIL 1
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    return refuse() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return refuse() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return refuse() ? NULL : __libc_realloc(p, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    *out = refuse() ? NULL : __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t n)
{
    return refuse() ? NULL : __libc_memalign(align, n);
}
#else
#define CAN_FAIL 0
#endif

/* Calls it with each allocation failing in turn, until it succeeds; `undo` gives back what a success made. */
#define EVERY_ALLOCATION(call, undo)                                       \
    do {                                                                   \
        onnx_infer_status st_ = ONNX_INFER_E_OUT_OF_MEMORY;                \
        for (long n_ = 0; CAN_FAIL && st_ != ONNX_INFER_OK; n_++) {        \
            left = n_;                                                     \
            st_ = (call);                                                  \
            left = -1;                                                     \
            ck_assert(st_ == ONNX_INFER_OK || st_ == ONNX_INFER_E_OUT_OF_MEMORY); \
            ck_assert_msg(n_ < 1000, "line %d", __LINE__);                 \
        }                                                                  \
        if (CAN_FAIL) {                                                    \
            undo;                                                          \
        }                                                                  \
    } while (0)

static int freed;

static void count_free(void *user, void *data)
{
    freed += user == &freed && data != NULL; /* check's own functions allocate */
}

/* --- strides -------------------------------------------------------------------------------------------------------- */

START_TEST(strided_memory)
{
    float m[4][6];
    onnx_infer_value *v;
    for (int i = 0; i < 24; i++)
        ((float *)m)[i] = (float)i;
    freed = 0;
    /* dense: the same memory */
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, (int64_t[]){4, 6}, (int64_t[]){24, 4}, m, count_free, &freed, &v));
    ck_assert_ptr_eq(onnx_infer_tensor_data(v), m);
    ck_assert_int_eq(freed, 0);
    onnx_infer_value_release(v);
    ck_assert_int_eq(freed, 1);
    /* transposed */
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, (int64_t[]){6, 4}, (int64_t[]){4, 24}, m, count_free, &freed, &v));
    ck_assert_int_eq(freed, 2);
    const float *x = onnx_infer_tensor_data(v);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 4; j++)
            ck_assert(x[i * 4 + j] == m[j][i]);
    }
    onnx_infer_value_release(v);
    ck_assert_int_eq(freed, 2);
    /* backwards, repeated, and at an odd address */
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, (int64_t[]){3, 4}, (int64_t[]){0, -24}, &m[3][5], NULL, NULL, &v));
    x = onnx_infer_tensor_data(v);
    for (int i = 0; i < 12; i++)
        ck_assert(x[i] == m[3 - i % 4][5]);
    onnx_infer_value_release(v);
    char odd[40];
    memcpy(odd + 1, m, 32);
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 1, (int64_t[]){8}, (int64_t[]){4}, odd + 1, NULL, NULL, &v));
    ck_assert(!memcmp(onnx_infer_tensor_data(v), m, 32));
    onnx_infer_value_release(v);
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 0, NULL, NULL, m, NULL, NULL, &v));
    onnx_infer_value_release(v);
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, (int64_t[]){0, 4}, (int64_t[]){77, 3}, NULL, NULL, NULL, &v));
    onnx_infer_value_release(v);
    /* complex numbers are moved as a whole */
    double c[6] = {1, 2, 3, 4, 5, 6};
    OK(onnx_infer_tensor_wrap_strided(ONNX_INFER_COMPLEX128, 1, (int64_t[]){3}, (int64_t[]){-16}, &c[4], NULL, NULL, &v));
    ck_assert(!memcmp(onnx_infer_tensor_data(v), (double[]){5, 6, 3, 4, 1, 2}, sizeof c));
    onnx_infer_value_release(v);

    const int64_t dims[2] = {2, 2}, strides[2] = {24, 8}, negative[2] = {-1, 2}, huge[2] = {INT64_MAX / 4, 8};
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, dims, strides, m, count_free, &freed, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, NULL, strides, m, count_free, &freed, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, dims, NULL, m, count_free, &freed, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, dims, strides, NULL, count_free, &freed, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, negative, strides, m, count_free, &freed, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_STRING, 2, dims, strides, m, count_free, &freed, &v), UNSUPPORTED_TYPE);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_INT4, 2, dims, strides, m, count_free, &freed, &v), UNSUPPORTED_TYPE);
    IS(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, huge, strides, m, count_free, &freed, &v), LIMIT);
    ck_assert_int_eq(freed, 2);
    EVERY_ALLOCATION(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 2, dims, strides, m, count_free, &freed, &v),
                     onnx_infer_value_release(v));
    EVERY_ALLOCATION(onnx_infer_tensor_wrap_strided(ONNX_INFER_FLOAT, 1, dims, (int64_t[]){4}, m, count_free, &freed, &v),
                     onnx_infer_value_release(v));
    ck_assert_int_eq(freed, CAN_FAIL ? 4 : 2); /* only successes */
}
END_TEST

/* --- DLPack: the struct as its documentation lays it out ------------------------------------------------------------- */

typedef struct managed {
    uint32_t version[2];
    void *ctx;
    void (*deleter)(struct managed *self);
    uint64_t flags;
    void *data;
    int32_t device[2];
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} managed;

static int deleted;

static void count_deleted(managed *self)
{
    deleted += self->version[0] == 1;
}

static managed dl(void *data, int64_t *shape, int64_t *strides)
{
    return (managed){.version = {1, 0}, .deleter = count_deleted, .data = data, .device = {1, 0}, .ndim = 2, .code = 2,
                     .bits = 32, .lanes = 1, .shape = shape, .strides = strides};
}

START_TEST(from_dlpack)
{
    float m[12];
    int64_t shape[2] = {3, 4}, dense[2] = {4, 1}, turned[2] = {1, 3};
    onnx_infer_value *v;
    for (int i = 0; i < 12; i++)
        m[i] = (float)i;
    deleted = 0;
    managed d = dl(m, shape, NULL);
    OK(onnx_infer_tensor_from_dlpack(&d, &v));
    ck_assert_ptr_eq(onnx_infer_tensor_data(v), m);
    ck_assert_ptr_eq(onnx_infer_tensor_mutable_data(v), m);
    ck_assert_int_eq(deleted, 0);
    onnx_infer_value_release(v);
    ck_assert_int_eq(deleted, 1);
    d = dl(m, shape, dense);
    d.flags = 1; /* read-only */
    d.byte_offset = 0;
    OK(onnx_infer_tensor_from_dlpack(&d, &v));
    ck_assert_ptr_eq(onnx_infer_tensor_data(v), m);
    ck_assert_ptr_null(onnx_infer_tensor_mutable_data(v));
    onnx_infer_value *same;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, shape, &same));
    IS(onnx_infer_tensor_copy(same, v), INVALID_ARGUMENT);
    onnx_infer_value_release(same);
    onnx_infer_value_release(v);
    ck_assert_int_eq(deleted, 2);
    d = dl(m, shape, turned);
    d.flags = 1;
    OK(onnx_infer_tensor_from_dlpack(&d, &v));
    ck_assert_int_eq(deleted, 3);
    ck_assert(((float *)onnx_infer_tensor_mutable_data(v))[1] == 3);
    onnx_infer_value_release(v);
    char odd[60];
    memcpy(odd + 5, m, sizeof m);
    d = dl(odd, shape, NULL);
    d.byte_offset = 5;
    OK(onnx_infer_tensor_from_dlpack(&d, &v));
    ck_assert_int_eq(deleted, 4);
    ck_assert(!memcmp(onnx_infer_tensor_data(v), m, sizeof m));
    onnx_infer_value_release(v);
    int64_t two[1] = {5};
    uint8_t nibbles[3] = {0x21, 0x43, 0x05};
    d = dl(nibbles, two, NULL);
    d.ndim = 1;
    d.code = 1;
    d.bits = 4;
    d.deleter = NULL;
    OK(onnx_infer_tensor_from_dlpack(&d, &v));
    ck_assert_int_eq(onnx_infer_tensor_dtype(v), ONNX_INFER_UINT4);
    onnx_infer_value_release(v);

#define REFUSED(field, value, status)                     \
    d = dl(m, shape, NULL);                               \
    d.field = value;                                      \
    IS(onnx_infer_tensor_from_dlpack(&d, &v), status);    \
    ck_assert_ptr_null(v)
    REFUSED(version[0], 2, UNSUPPORTED_VERSION);
    REFUSED(device[0], 2, BACKEND_UNAVAILABLE);
    REFUSED(lanes, 4, UNSUPPORTED_TYPE);
    REFUSED(bits, 24, UNSUPPORTED_TYPE);
    REFUSED(flags, 4, UNSUPPORTED_TYPE);
    REFUSED(shape, NULL, INVALID_ARGUMENT);
    REFUSED(data, NULL, INVALID_ARGUMENT);
    REFUSED(ndim, 40, LIMIT);
    IS(onnx_infer_tensor_from_dlpack(NULL, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_from_dlpack(&d, NULL), INVALID_ARGUMENT);
    ck_assert_int_eq(deleted, 4); /* a failure consumes nothing */
    d = dl(m, shape, turned);
    EVERY_ALLOCATION(onnx_infer_tensor_from_dlpack(&d, &v), onnx_infer_value_release(v));
    d = dl(m, shape, dense);
    EVERY_ALLOCATION(onnx_infer_tensor_from_dlpack(&d, &v), onnx_infer_value_release(v));
    ck_assert_int_eq(deleted, CAN_FAIL ? 6 : 4);
}
END_TEST

START_TEST(to_dlpack)
{
    onnx_infer_value *v, *back, *sequence;
    void *out;
    freed = 0;
    float m[6] = {1, 2, 3, 4, 5, 6};
    OK(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, (int64_t[]){2, 3}, m, sizeof m, count_free, &freed, &v));
    OK(onnx_infer_tensor_to_dlpack(v, &out));
    onnx_infer_value_release(v);
    managed *d = out;
    ck_assert(d->version[0] == 1 && d->data == m && d->ndim == 2 && d->code == 2 && d->bits == 32 && d->lanes == 1);
    ck_assert(d->shape[0] == 2 && d->shape[1] == 3 && d->strides[0] == 3 && d->strides[1] == 1 && d->flags == 0);
    OK(onnx_infer_tensor_from_dlpack(out, &back)); /* takes it over */
    ck_assert_ptr_eq(onnx_infer_tensor_data(back), m);
    ck_assert_int_eq(freed, 0);
    onnx_infer_value_release(back);
    ck_assert_int_eq(freed, 1);
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 1, (int64_t[]){1}, &v));
    IS(onnx_infer_tensor_to_dlpack(v, &out), UNSUPPORTED_TYPE);
    onnx_infer_value_release(v);
    OK(onnx_infer_sequence_create(&sequence));
    IS(onnx_infer_tensor_to_dlpack(sequence, &out), TYPE_MISMATCH);
    ck_assert_ptr_null(out);
    onnx_infer_value_release(sequence);
    IS(onnx_infer_tensor_to_dlpack(NULL, &out), INVALID_ARGUMENT);
    OK(onnx_infer_tensor_create(ONNX_INFER_BFLOAT16, 1, (int64_t[]){2}, &v));
    IS(onnx_infer_tensor_to_dlpack(v, NULL), INVALID_ARGUMENT);
    EVERY_ALLOCATION(onnx_infer_tensor_to_dlpack(v, &out), ((managed *)out)->deleter(out));
    onnx_infer_value_release(v);
}
END_TEST

/* --- conversion ------------------------------------------------------------------------------------------------------ */

START_TEST(copies_convert)
{
    onnx_infer_value *f, *i, *half, *s, *t, *c, *sequence;
    const int64_t dims[2] = {2, 2};
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, dims, &f));
    OK(onnx_infer_tensor_create(ONNX_INFER_INT32, 2, dims, &i));
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT16, 2, dims, &half));
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 2, dims, &s));
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 2, dims, &t));
    OK(onnx_infer_tensor_create(ONNX_INFER_COMPLEX64, 2, dims, &c));
    memcpy(onnx_infer_tensor_mutable_data(f), (float[]){1.5f, -2.75f, 100, 0}, 16);
    OK(onnx_infer_tensor_copy(f, i));
    ck_assert(!memcmp(onnx_infer_tensor_data(i), (int32_t[]){1, -2, 100, 0}, 16));
    OK(onnx_infer_tensor_copy(f, half));
    ck_assert_int_eq(((const uint16_t *)onnx_infer_tensor_data(half))[0], 0x3E00);
    OK(onnx_infer_tensor_copy(half, f));
    ck_assert(((const float *)onnx_infer_tensor_data(f))[1] == -2.75f);
    OK(onnx_infer_tensor_copy(f, f));
    OK(onnx_infer_tensor_set_string(s, 2, "some text", 9));
    OK(onnx_infer_tensor_copy(s, t));
    ck_assert_str_eq(onnx_infer_tensor_string(t, 2, NULL), "some text");
    IS(onnx_infer_tensor_copy(s, f), UNSUPPORTED_TYPE);
    IS(onnx_infer_tensor_copy(c, f), UNSUPPORTED_TYPE);
    IS(onnx_infer_tensor_copy(NULL, f), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_copy(f, NULL), INVALID_ARGUMENT);
    OK(onnx_infer_sequence_create(&sequence));
    IS(onnx_infer_tensor_copy(sequence, f), TYPE_MISMATCH);
    IS(onnx_infer_tensor_copy(f, sequence), TYPE_MISMATCH);
    onnx_infer_value *flat;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, (int64_t[]){4}, &flat));
    IS(onnx_infer_tensor_copy(f, flat), SHAPE_MISMATCH);
    EVERY_ALLOCATION(onnx_infer_tensor_copy(s, t), ck_assert_str_eq(onnx_infer_tensor_string(t, 2, NULL), "some text"));
    onnx_infer_value *all[] = {f, i, half, s, t, c, sequence, flat};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        onnx_infer_value_release(all[k]);
}
END_TEST

/* --- strings and containers ------------------------------------------------------------------------------------------- */

START_TEST(strings_and_containers)
{
    onnx_infer_value *s, *seq, *opt, *map, *n;
    size_t len;
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 1, (int64_t[]){3}, &s));
    ck_assert_str_eq(onnx_infer_tensor_string(s, 0, &len), "");
    ck_assert_uint_eq(len, 0);
    OK(onnx_infer_tensor_set_string(s, 0, "a\0b", 3));
    ck_assert(!memcmp(onnx_infer_tensor_string(s, 0, &len), "a\0b", 4) && len == 3);
    OK(onnx_infer_tensor_set_string(s, 0, NULL, 0));
    ck_assert_str_eq(onnx_infer_tensor_string(s, 0, NULL), "");
    IS(onnx_infer_tensor_set_string(s, 3, "x", 1), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_set_string(s, 0, NULL, 1), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_set_string(NULL, 0, "x", 1), INVALID_ARGUMENT);
    ck_assert_ptr_null(onnx_infer_tensor_string(s, 3, &len));
    ck_assert_ptr_null(onnx_infer_tensor_string(NULL, 0, &len));
    ck_assert_ptr_null(onnx_infer_tensor_data(s));
    ck_assert_ptr_null(onnx_infer_tensor_mutable_data(s));
    EVERY_ALLOCATION(onnx_infer_tensor_set_string(s, 1, "text", 4), ck_assert_str_eq(onnx_infer_tensor_string(s, 1, NULL), "text"));

    EVERY_ALLOCATION(onnx_infer_sequence_create(&seq), onnx_infer_value_release(seq));
    EVERY_ALLOCATION(onnx_infer_optional_create(&opt), onnx_infer_value_release(opt));
    IS(onnx_infer_sequence_create(NULL), INVALID_ARGUMENT);
    IS(onnx_infer_optional_create(NULL), INVALID_ARGUMENT);
    OK(onnx_infer_sequence_create(&seq));
    OK(onnx_infer_optional_create(&opt));
    EVERY_ALLOCATION(onnx_infer_value_push(seq, s), (void)0);
    if (!CAN_FAIL)
        OK(onnx_infer_value_push(seq, s));
    OK(onnx_infer_value_push(opt, seq));
    IS(onnx_infer_value_push(opt, seq), INVALID_ARGUMENT);
    IS(onnx_infer_value_push(seq, seq), INVALID_ARGUMENT);
    IS(onnx_infer_value_push(s, seq), TYPE_MISMATCH);
    IS(onnx_infer_value_push(NULL, s), INVALID_ARGUMENT);
    IS(onnx_infer_value_push(seq, NULL), INVALID_ARGUMENT);
    ck_assert_uint_eq(onnx_infer_value_count(seq), 1);
    ck_assert_ptr_eq(onnx_infer_value_item(seq, 0), s);
    ck_assert_ptr_null(onnx_infer_value_item(seq, 1));
    ck_assert_ptr_null(onnx_infer_value_item(NULL, 0));
    ck_assert_uint_eq(onnx_infer_value_count(NULL), 0);
    ck_assert_uint_eq(onnx_infer_value_count(s), 0);

    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, (int64_t[]){3}, &n));
    EVERY_ALLOCATION(onnx_infer_map_create(s, n, &map), onnx_infer_value_release(map));
    OK(onnx_infer_map_create(s, n, &map));
    ck_assert_int_eq(onnx_infer_value_kind(map), ONNX_INFER_MAP);
    ck_assert_ptr_eq(onnx_infer_map_keys(map), s);
    ck_assert_ptr_eq(onnx_infer_map_values(map), n);
    ck_assert_ptr_null(onnx_infer_map_keys(seq));
    ck_assert_ptr_null(onnx_infer_map_values(NULL));
    ck_assert_ptr_null(onnx_infer_map_keys(NULL));
    IS(onnx_infer_value_push(map, s), TYPE_MISMATCH);
    onnx_infer_value *other;
    IS(onnx_infer_map_create(n, s, &other), TYPE_MISMATCH);
    IS(onnx_infer_map_create(s, seq, &other), SHAPE_MISMATCH);
    IS(onnx_infer_map_create(NULL, n, &other), INVALID_ARGUMENT);
    IS(onnx_infer_map_create(s, NULL, &other), INVALID_ARGUMENT);
    IS(onnx_infer_map_create(s, n, NULL), INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_tensor_dtype(map), ONNX_INFER_UNDEFINED);
    ck_assert_int_eq(onnx_infer_tensor_rank(map), -1);
    ck_assert_ptr_null(onnx_infer_tensor_dims(map));
    ck_assert_uint_eq(onnx_infer_tensor_count(map), 0);
    ck_assert_uint_eq(onnx_infer_tensor_bytes(map), 0);
    onnx_infer_value *all[] = {s, seq, opt, map, n};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        onnx_infer_value_release(all[k]);
}
END_TEST

START_TEST(tensors)
{
    const int64_t dims[2] = {2, 3}, negative[1] = {-1}, huge[2] = {INT64_MAX / 2, 4}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    float m[6] = {0};
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 2, dims, &v));
    ck_assert_uint_eq(onnx_infer_tensor_bytes(v), 48);
    ck_assert_ptr_eq(onnx_infer_value_retain(v), v);
    onnx_infer_value_release(v);
    onnx_infer_value_release(v);
    onnx_infer_value_release(NULL);
    ck_assert_int_eq(onnx_infer_tensor_dtype(NULL), ONNX_INFER_UNDEFINED);
    ck_assert_int_eq(onnx_infer_tensor_rank(NULL), -1);
    ck_assert_ptr_null(onnx_infer_tensor_dims(NULL));
    ck_assert_uint_eq(onnx_infer_tensor_count(NULL) + onnx_infer_tensor_bytes(NULL), 0);
    ck_assert_ptr_null(onnx_infer_tensor_data(NULL));
    ck_assert_ptr_null(onnx_infer_tensor_mutable_data(NULL));
    ck_assert_ptr_null(onnx_infer_value_retain(NULL));
    ck_assert_int_eq(onnx_infer_value_kind(NULL), ONNX_INFER_TENSOR);
    OK(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 0, NULL, &v));
    onnx_infer_value_release(v);
    IS(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 2, NULL, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 2, dims, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 1, negative, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 9, nine, &v), LIMIT);
    IS(onnx_infer_tensor_create(ONNX_INFER_DOUBLE, 2, huge, &v), LIMIT);
    EVERY_ALLOCATION(onnx_infer_tensor_create(ONNX_INFER_STRING, 2, dims, &v), onnx_infer_value_release(v));
    EVERY_ALLOCATION(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, dims, &v), onnx_infer_value_release(v));
    freed = 0;
    EVERY_ALLOCATION(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, m, sizeof m, count_free, &freed, &v),
                     onnx_infer_value_release(v));
    ck_assert_int_eq(freed, CAN_FAIL);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, m, 20, NULL, NULL, &v), BUFFER_TOO_SMALL);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, (char *)m + 1, 24, NULL, NULL, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_STRING, 2, dims, m, 24, NULL, NULL, &v), UNSUPPORTED_TYPE);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 9, nine, m, 24, NULL, NULL, &v), LIMIT);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, NULL, 24, NULL, NULL, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, NULL, m, 24, NULL, NULL, &v), INVALID_ARGUMENT);
    IS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 2, dims, m, 24, NULL, NULL, NULL), INVALID_ARGUMENT);
}
END_TEST

/* Options keep their texts and lists with the C library's allocator. */
START_TEST(options_without_memory)
{
    const onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "d", .name = "n",
                                   .compute = (onnx_infer_status(*)(void *, onnx_infer_op_context *))abort};
    onnx_infer_options *o;
    EVERY_ALLOCATION(onnx_infer_options_create(&o), onnx_infer_options_free(o));
    OK(onnx_infer_options_create(&o));
    EVERY_ALLOCATION(onnx_infer_options_set_symbol(o, "s", 1), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_set_symbol_range(o, "t", 1, 2, 3), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_set_input_shape(o, "x", 1, (int64_t[]){1}), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_add_op(o, &def), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_set(o, "symbol.text", "4"), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_set_cache_dir(o, "/tmp"), (void)0);
    EVERY_ALLOCATION(onnx_infer_options_add_external(o, "file", "bytes", 5, NULL, NULL), (void)0);
    freed = 0;
    EVERY_ALLOCATION(onnx_infer_options_add_external(o, "other", "bytes", 5, count_free, &freed), (void)0);
    ck_assert_int_eq(freed, 0);
    EVERY_ALLOCATION(onnx_infer_options_set_outputs(o, 2, (const char *const[]){"a", "b"}), (void)0);
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 0, NULL, &v));
    EVERY_ALLOCATION(onnx_infer_options_set_initializer(o, "w", v), (void)0);
    onnx_infer_value_release(v);
    if (getenv("OP_LIBRARY")) {
        onnx_infer_status st = ONNX_INFER_E_OUT_OF_MEMORY;
        for (long n = 0; CAN_FAIL && st != ONNX_INFER_OK; n++) { /* the loader says IO where it has no memory */
            left = n;
            st = onnx_infer_options_add_op_library(o, getenv("OP_LIBRARY"));
            left = -1;
            ck_assert(st == ONNX_INFER_OK || st == ONNX_INFER_E_OUT_OF_MEMORY || st == ONNX_INFER_E_IO);
        }
    }
    onnx_infer_options_free(o);
}
END_TEST

/* A value that is read-only is an input, never an output. */
START_TEST(read_only_values_in_runs)
{
    float m[4] = {1, -2, 3, -4};
    int64_t shape[2] = {2, 2};
    managed d = dl(m, shape, NULL);
    little_bytes g = little_graph("in x float 2x2\ny = Relu(x)\nout y float 2x2", NULL), bytes = little_model(&g);
    onnx_infer_model *model;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    onnx_infer_value *x, *y = NULL;
    d.flags = 1;
    OK(onnx_infer_tensor_from_dlpack(&d, &x));
    OK(onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, NULL, &model));
    OK(onnx_infer_plan_create(model, NULL, &p));
    OK(onnx_infer_context_create(p, &c));
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y));
    ck_assert(((const float *)onnx_infer_tensor_data(y))[2] == 3);
    IS(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&y, 1, &x), INVALID_ARGUMENT);
    IS(onnx_infer_bind_output(c, 0, x), INVALID_ARGUMENT);
    ck_assert(m[1] == -2);
    onnx_infer_value_release(x);
    onnx_infer_value_release(y);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(model);
    little_free(&g);
    little_free(&bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("values");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, strided_memory);
    tcase_add_test(t, from_dlpack);
    tcase_add_test(t, to_dlpack);
    tcase_add_test(t, copies_convert);
    tcase_add_test(t, strings_and_containers);
    tcase_add_test(t, tensors);
    tcase_add_test(t, options_without_memory);
    tcase_add_test(t, read_only_values_in_runs);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
