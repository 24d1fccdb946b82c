/* Tensors, buffers and values: shapes, ownership, strings, containers. */
#include "tensor/slab.h"
#include "tensor/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int frees;

static void count_free(void *user, void *data)
{
    (void)data;
    frees += *(int *)user;
}

START_TEST(hostile_shapes_are_refused)
{
    oi_tensor t;
    int64_t big[3] = {(int64_t)1 << 40, (int64_t)1 << 40, 0}, negative[1] = {-1}, nine[9] = {0};
    int64_t byte_overflow[1] = {INT64_MAX / 2};
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_FLOAT, 3, big), ONNX_INFER_E_LIMIT);
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_FLOAT, 1, byte_overflow), ONNX_INFER_E_LIMIT);
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_FLOAT, 1, negative), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(oi_error_current()->axis, 0);
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_FLOAT, 9, nine), ONNX_INFER_E_LIMIT);
    ck_assert_int_eq(oi_tensor_describe(&t, 99, 0, NULL), ONNX_INFER_E_UNSUPPORTED_TYPE);
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_INT4, 1, (int64_t[]){5}), ONNX_INFER_OK);
    ck_assert_uint_eq(t.bytes, 3);
    ck_assert_int_eq(oi_tensor_describe(&t, ONNX_INFER_DOUBLE, 0, NULL), ONNX_INFER_OK);
    ck_assert_uint_eq(t.bytes, 8);
}
END_TEST

START_TEST(storage_is_shared_and_freed)
{
    oi_tensor a, b, c;
    int one = 1;
    float data[6] = {1, 2, 3, 4, 5, 6};
    ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_FLOAT, 2, (int64_t[]){2, 3}, &a), ONNX_INFER_OK);
    ck_assert_uint_eq((uintptr_t)a.data % OI_ALIGN, 0);
    memcpy(a.data, data, sizeof data);
    oi_tensor_share_as(&b, &a, 1, (int64_t[]){6});
    ck_assert(!oi_buffer_is_unique(a.buf) && b.data == a.data);
    ck_assert_int_eq(oi_tensor_clone(NULL, &b, &c), ONNX_INFER_OK);
    ck_assert(oi_tensor_equal(&b, &c) && !oi_tensor_equal(&a, &b));
    oi_tensor_clear(&a);
    ck_assert(oi_buffer_is_unique(b.buf));
    oi_tensor_clear(&b);
    oi_tensor_clear(&c);
    ck_assert_int_eq(oi_tensor_describe(&a, ONNX_INFER_FLOAT, 1, (int64_t[]){6}), ONNX_INFER_OK);
    ck_assert_int_eq(oi_buffer_wrap(NULL, data, sizeof data, count_free, &one, &a.buf), ONNX_INFER_OK);
    a.data = data;
    oi_tensor_share(&b, &a);
    oi_tensor_clear(&a);
    ck_assert_int_eq(frees, 0);
    oi_tensor_clear(&b);
    ck_assert_int_eq(frees, 1);
}
END_TEST

START_TEST(slabs)
{
    enum { N = 40 };
    oi_slab *s;
    oi_buffer *b[N];
    size_t bytes[N];
    ck_assert_int_eq(oi_slab_create(NULL, &s), ONNX_INFER_OK);
    for (int i = 0; i < N; i++) {
        bytes[i] = (size_t)i * i * 3001 + 1; /* from none to several pieces' worth */
        ck_assert_int_eq(oi_slab_buffer(s, bytes[i], &b[i]), ONNX_INFER_OK);
        ck_assert_uint_eq(oi_buffer_bytes(b[i]), bytes[i]);
        ck_assert_uint_eq((uintptr_t)oi_buffer_data(b[i]) % OI_ALIGN, 0);
        ck_assert(oi_buffer_is_heap(b[i]) && oi_buffer_is_unique(b[i]));
        memset(oi_buffer_data(b[i]), i, bytes[i]);
    }
    oi_slab_destroy(s);
    for (int i = 0; i < N; i++) {
        const unsigned char *p = oi_buffer_data(b[i]);
        size_t right = 0;
        for (size_t k = 0; k < bytes[i]; k++)
            right += p[k] == i;
        ck_assert_uint_eq(right, bytes[i]);
        oi_buffer_release(b[i]);
    }
    ck_assert_int_eq(oi_slab_create(NULL, &s), ONNX_INFER_OK);
    ck_assert_int_eq(oi_slab_buffer(s, SIZE_MAX - 8, &b[0]), ONNX_INFER_E_OUT_OF_MEMORY);
    ck_assert_int_eq(oi_slab_buffer(s, SIZE_MAX / 4, &b[0]), ONNX_INFER_E_OUT_OF_MEMORY);
    ck_assert_int_eq(oi_slab_buffer(s, 100000, &b[0]), ONNX_INFER_OK);
    const void *first = oi_buffer_data(b[0]);
    oi_buffer_release(b[0]);
    ck_assert_int_eq(oi_slab_buffer(s, 200000, &b[0]), ONNX_INFER_OK);
    ck_assert_ptr_eq(oi_buffer_data(b[0]), first); /* nobody holds anything of the piece */
    ck_assert_int_eq(oi_slab_buffer(s, 100000, &b[1]), ONNX_INFER_OK);
    ck_assert_ptr_ne(oi_buffer_data(b[1]), first);
    oi_buffer_release(b[0]);
    oi_buffer_release(b[1]);
    oi_slab_destroy(s);
}
END_TEST

START_TEST(filling)
{
    const unsigned char element[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    enum { MOST = 3000 };
    unsigned char *to = malloc(MOST * 16 + 1);
    for (size_t size = 1; size <= 16; size++) {
        for (size_t n = 0; n < MOST; n = n < 5 ? n + 1 : n * 3) {
            size_t wrong = 0;
            to[n * size] = 99;
            oi_elem_fill(to, n, size, element);
            for (size_t i = 0; i < n * size; i++)
                wrong += to[i] != element[i % size];
            ck_assert_uint_eq(wrong, 0);
            ck_assert_uint_eq(to[n * size], 99);
        }
    }
    free(to);
}
END_TEST

START_TEST(strings)
{
    oi_tensor a, b;
    ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_STRING, 1, (int64_t[]){3}, &a), ONNX_INFER_OK);
    ck_assert_int_eq(oi_tensor_set_string(NULL, &a, 1, "a\0b", 3), ONNX_INFER_OK);
    ck_assert_int_eq(oi_tensor_set_string(NULL, &a, 1, "cd", 2), ONNX_INFER_OK);
    ck_assert_int_eq(oi_tensor_clone(NULL, &a, &b), ONNX_INFER_OK);
    ck_assert(oi_tensor_equal(&a, &b));
    ck_assert_int_eq(oi_tensor_set_string(NULL, &b, 1, "", 0), ONNX_INFER_OK);
    ck_assert(!oi_tensor_equal(&a, &b));
    oi_tensor_clear(&a);
    oi_tensor_clear(&b);
}
END_TEST

START_TEST(broadcasting)
{
    int32_t rank;
    int64_t out[OI_MAX_RANK], stride[OI_MAX_RANK];
    char text[64];
    ck_assert(oi_dims_broadcast(3, (int64_t[]){2, 1, 4}, 2, (int64_t[]){3, 1}, &rank, out));
    ck_assert_str_eq(oi_dims_text(rank, out, text, sizeof text), "2x3x4");
    oi_dims_broadcast_strides(2, (int64_t[]){3, 1}, rank, out, stride);
    ck_assert(stride[0] == 0 && stride[1] == 1 && stride[2] == 0);
    oi_dims_broadcast_strides(3, (int64_t[]){2, 1, 4}, rank, out, stride);
    ck_assert(stride[0] == 4 && stride[1] == 0 && stride[2] == 1);
    ck_assert(oi_dims_broadcast(1, (int64_t[]){1}, 1, (int64_t[]){0}, &rank, out) && out[0] == 0);
    ck_assert(!oi_dims_broadcast(1, (int64_t[]){2}, 1, (int64_t[]){3}, &rank, out));
    ck_assert_str_eq(oi_dims_text(0, NULL, text, sizeof text), "scalar");
    ck_assert_str_eq(oi_dims_text(3, (int64_t[]){100, 200, 300}, text, 6), "100x2");
}
END_TEST

START_TEST(containers)
{
    onnx_infer_value *seq, *item, *copy, *opt;
    oi_tensor t;
    ck_assert_int_eq(oi_value_create(NULL, ONNX_INFER_SEQUENCE, &seq), ONNX_INFER_OK);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(oi_tensor_create(NULL, ONNX_INFER_INT32, 0, NULL, &t), ONNX_INFER_OK);
        *(int32_t *)t.data = i;
        ck_assert_int_eq(oi_value_from_tensor(NULL, &t, &item), ONNX_INFER_OK);
        ck_assert_int_eq(oi_value_insert(seq, 0, item), ONNX_INFER_OK);
        oi_value_release(item);
    }
    ck_assert_int_eq(*(int32_t *)seq->item[0]->tensor.data, 9);
    ck_assert_int_eq(oi_value_copy_container(NULL, seq, &copy), ONNX_INFER_OK);
    ck_assert_ptr_eq(copy->item[3], seq->item[3]);
    ck_assert_int_eq(oi_value_create(NULL, ONNX_INFER_OPTIONAL, &opt), ONNX_INFER_OK);
    ck_assert_int_eq(oi_value_push(opt, seq), ONNX_INFER_OK);
    ck_assert_int_eq(oi_value_push(opt, seq), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(oi_value_push(opt->item[0]->item[0], seq), ONNX_INFER_E_TYPE_MISMATCH);
    ck_assert_int_eq(oi_value_insert(seq, 11, copy), ONNX_INFER_E_INVALID_ARGUMENT);
    oi_value_release(seq);
    oi_value_release(opt);
    ck_assert_int_eq(*(int32_t *)copy->item[9]->tensor.data, 0);
    oi_value_release(copy);
    oi_value_release(NULL);
}
END_TEST

START_TEST(deep_nesting_takes_no_stack)
{
    onnx_infer_value *v = NULL, *outer;
    bool made = true;
    for (int i = 0; i < 300000 && made; i++) {
        made = oi_value_create(NULL, ONNX_INFER_OPTIONAL, &outer) == ONNX_INFER_OK;
        if (v && made) {
            made = oi_value_push(outer, v) == ONNX_INFER_OK;
            oi_value_release(v);
        }
        v = outer;
    }
    ck_assert(made);
    oi_value_release(v);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tensor");
    TCase *t = tcase_create("all");
    tcase_add_test(t, hostile_shapes_are_refused);
    tcase_add_test(t, storage_is_shared_and_freed);
    tcase_add_test(t, slabs);
    tcase_add_test(t, filling);
    tcase_add_test(t, strings);
    tcase_add_test(t, broadcasting);
    tcase_add_test(t, containers);
    tcase_add_test(t, deep_nesting_takes_no_stack);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
