/* Models written as ONNX: what is loaded again gives the same, sizes are fixed, large tensors go where they shall, failures
 * leave nothing behind; every allocation failing in turn. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/little_model.h"
#include "support/memory_file.h"
#include "support/scarce_memory.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "in x float Nx4\nconst w float 4x3 1 2 3 4 5 6 7 8 9 10 11 12\nconst s int64 2 -1 3\n"
                           "m = MatMul(x, w)\nr = Reshape(m, s)\ny = Relu(r)\nout y float Nx3\nout w float 4x3\nout y2 float ?x?\n"
                           "y2 = Identity(y)";

static onnx_infer_model *load(const char *graph, const onnx_infer_options *o)
{
    little_bytes g = little_graph(graph, NULL), bytes = little_model_with(&g, "test.ops", 1);
    onnx_infer_model *m;
    OK(onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, o, &m));
    little_free(&g);
    little_free(&bytes);
    return m;
}

static void check_answers(onnx_infer_model *m, int64_t rows)
{
    onnx_infer_plan *p;
    onnx_infer_context *c;
    onnx_infer_value *x, *out[3] = {NULL};
    OK(onnx_infer_plan_create(m, NULL, &p));
    OK(onnx_infer_context_create(p, &c));
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 2, (int64_t[]){rows, 4}, &x));
    for (int64_t i = 0; i < rows * 4; i++)
        ((float *)onnx_infer_tensor_mutable_data(x))[i] = (float)(i - 3);
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 3, out));
    const float *y = onnx_infer_tensor_data(out[0]), *in = onnx_infer_tensor_data(x);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < 3; j++) {
            float sum = 0;
            for (int64_t k = 0; k < 4; k++)
                sum += in[r * 4 + k] * (float)(k * 3 + j + 1);
            ck_assert(y[r * 3 + j] == (sum > 0 ? sum : 0));
        }
    }
    ck_assert(!memcmp(y, onnx_infer_tensor_data(out[2]), onnx_infer_tensor_bytes(out[0])));
    ck_assert(((const float *)onnx_infer_tensor_data(out[1]))[11] == 12);
    for (int i = 0; i < 3; i++)
        onnx_infer_value_release(out[i]);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
}

START_TEST(comes_back_the_same)
{
    onnx_infer_model *m = load(text, NULL), *again;
    onnx_infer_options *o;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_level(o, _i));
    OK(onnx_infer_model_save_onnx(m, _i == 2 ? NULL : o, &w, NULL, NULL));
    OK(onnx_infer_model_load_memory(s.at, s.n, NULL, NULL, NULL, &again));
    ck_assert_str_eq(onnx_infer_port_name(onnx_infer_model_input(again, 0)), "x");
    ck_assert_str_eq(onnx_infer_port_dim_expr(onnx_infer_model_input(again, 0), 0), "N");
    ck_assert_str_eq(onnx_infer_port_name(onnx_infer_model_output(again, 2)), "y2");
    ck_assert_str_eq(onnx_infer_model_property(again, "producer_name"), "onnx_infer");
    check_answers(m, 5);
    check_answers(again, 5);
    onnx_infer_model_release(again);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    free(s.at);
}
END_TEST

START_TEST(sizes_are_fixed)
{
    onnx_infer_model *m = load(text, NULL), *again;
    onnx_infer_options *o;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_symbol(o, "N", 7));
    OK(onnx_infer_model_save_onnx(m, o, &w, NULL, NULL));
    OK(onnx_infer_model_load_memory(s.at, s.n, NULL, NULL, NULL, &again));
    ck_assert_int_eq(onnx_infer_port_dim(onnx_infer_model_input(again, 0), 0), 7);
    ck_assert_int_eq(onnx_infer_port_dim(onnx_infer_model_output(again, 0), 0), 7);
    check_answers(again, 7);
    OK(onnx_infer_options_set_input_shape(o, "x", 2, (int64_t[]){7, 5}));
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, o, &w, NULL, NULL), ONNX_INFER_E_SHAPE_MISMATCH);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(m, o, "/tmp/x.onnx"), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(onnx_infer_options_set_input_shape(o, "x", 2, (int64_t[]){7, 4}));
    OK(onnx_infer_options_set_input_shape(o, "nothing", 2, (int64_t[]){7, 4}));
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, o, &w, NULL, NULL), ONNX_INFER_E_NOT_FOUND);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(m, o, "/tmp/x.onnx"), ONNX_INFER_E_NOT_FOUND);
    onnx_infer_model_release(again);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    free(s.at);
}
END_TEST

static onnx_infer_status keep_type(void *user, onnx_infer_op_context *x)
{
    int64_t dims[8];
    int32_t rank;
    (void)user;
    onnx_infer_status st = onnx_infer_op_input_type(x, 0, NULL, NULL, &rank);
    for (int32_t d = 0; d < rank && !st; d++)
        st = onnx_infer_op_input_dim(x, 0, d, &dims[d], NULL);
    return st ? st : onnx_infer_op_set_output_type(x, 0, ONNX_INFER_FLOAT, rank, dims, NULL);
}

static onnx_infer_status compute(void *user, onnx_infer_op_context *x)
{
    const char *s;
    const float *f;
    const onnx_infer_value *t;
    int64_t i;
    size_t n;
    onnx_infer_value *out;
    (void)user;
    OK(onnx_infer_op_attr_int(x, "i", &i));
    OK(onnx_infer_op_attr_floats(x, "f", &f, &n));
    OK(onnx_infer_op_attr_string(x, "s", &s, NULL));
    OK(onnx_infer_op_attr_tensor(x, "t", &t));
    ck_assert(i == 5 && n == 2 && f[1] == 2.5f && !strcmp(s, "word"));
    ck_assert(((const float *)onnx_infer_tensor_data(t))[1] == 9);
    OK(onnx_infer_op_output(x, 0, ONNX_INFER_FLOAT, 1, onnx_infer_tensor_dims(onnx_infer_op_input(x, 0)), &out));
    memset(onnx_infer_tensor_mutable_data(out), 0, onnx_infer_tensor_bytes(out));
    return ONNX_INFER_OK;
}

START_TEST(custom_operators_and_subgraphs)
{
    const onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "test.ops", .name = "Own", .infer = keep_type, .compute = compute};
    little_bytes sub[2] = {little_graph("y = test.ops::Own(x) i=5 f=[1.5,2.5] s='word' t=<t;float;2;8;9>\nout y float 3", NULL),
                           little_graph("const w float 3 1 1 1\ny = Add(x, w)\nout y float 3", NULL)};
    little_bytes g = little_graph("in x float 3\nin b bool scalar\ny = If(b) then_branch=@0 else_branch=@1\nout y float 3", sub);
    little_bytes bytes = little_model_with(&g, "test.ops", 1);
    onnx_infer_options *o;
    onnx_infer_model *m, *again;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    OK(onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, o, &m));
    OK(onnx_infer_model_save_onnx(m, NULL, &w, NULL, NULL));
    OK(onnx_infer_model_load_memory(s.at, s.n, NULL, NULL, o, &again));
    OK(onnx_infer_plan_create(again, NULL, &p));
    OK(onnx_infer_context_create(p, &c));
    for (int branch = 0; branch < 2; branch++) {
        float x[3] = {1, 2, 3};
        uint8_t b = branch == 0;
        onnx_infer_value *in[2], *y = NULL;
        OK(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, (int64_t[]){3}, x, sizeof x, NULL, NULL, &in[0]));
        OK(onnx_infer_tensor_wrap(ONNX_INFER_BOOL, 0, NULL, &b, 1, NULL, NULL, &in[1]));
        OK(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 1, &y));
        ck_assert(((const float *)onnx_infer_tensor_data(y))[2] == (branch ? 4 : 0));
        onnx_infer_value_release(in[0]);
        onnx_infer_value_release(in[1]);
        onnx_infer_value_release(y);
    }
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(again);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    little_free(&bytes);
    little_free(&g);
    little_free(&sub[0]);
    little_free(&sub[1]);
    free(s.at);
}
END_TEST

static int stop(void *user, size_t done, size_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return 1;
}

START_TEST(saved_plans_need_what_they_were_made_with)
{
    const onnx_infer_op_def def = {.struct_size = sizeof def, .domain = "test.ops", .name = "Own", .infer = keep_type, .compute = compute};
    onnx_infer_options *o, *bad;
    onnx_infer_plan *p, *loaded;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    const onnx_infer_reader r = memory_file_reader(&s);
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_add_op(o, &def));
    onnx_infer_model *m = load("in x float 3\ny = test.ops::Own(x) i=5 f=[1.5,2.5] s='word' t=<t;float;2;8;9>\nz = Relu(y)\nout z float 3", o);
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_plan_save(p, &w));
    OK(onnx_infer_plan_load(&r, o, &loaded));
    onnx_infer_plan_release(loaded);
    ck_assert_int_eq(onnx_infer_plan_load(&r, NULL, &loaded), ONNX_INFER_E_UNSUPPORTED_OP);
    OK(onnx_infer_options_set_progress(o, stop, NULL));
    ck_assert_int_eq(onnx_infer_plan_load(&r, o, &loaded), ONNX_INFER_E_CANCELLED);
    OK(onnx_infer_options_set_progress(o, NULL, NULL));
    OK(onnx_infer_options_set_input_shape(o, "x", 1, (int64_t[]){4}));
    ck_assert_int_eq(onnx_infer_plan_load(&r, o, &loaded), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(onnx_infer_options_create(&bad));
    OK(onnx_infer_options_add_op(bad, &def));
    OK(onnx_infer_options_set_limit(bad, "nodes", 1));
    ck_assert_int_eq(onnx_infer_plan_load(&r, bad, &loaded), ONNX_INFER_E_LIMIT);
    ck_assert_ptr_null(loaded);
    onnx_infer_options_free(bad);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    free(s.at);
}
END_TEST

static const char *conv_net(void)
{
    static char path[1000];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/data/seed-models/simple_cnn/model.onnx", top ? top : ".");
    return path;
}

static memory_file external;

static int open_external(void *user, const char *location, onnx_infer_reader *out)
{
    (void)user;
    ck_assert_str_eq(location, "weights.bin");
    *out = memory_file_reader(&external);
    return 0;
}

START_TEST(weights_beside_the_model)
{
    onnx_infer_model *m, *again;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s), d = memory_file_writer(&external);
    OK(onnx_infer_model_load_file(conv_net(), NULL, &m));
    OK(onnx_infer_model_save_onnx(m, NULL, &w, &d, "weights.bin"));
    ck_assert(s.n < 20000 && external.n > 100000);
    onnx_infer_reader r = memory_file_reader(&s);
    r.open_external = open_external;
    OK(onnx_infer_model_load_reader(&r, NULL, &again));
    onnx_infer_model_release(again);
    onnx_infer_model_release(m);
    free(s.at);
    free(external.at);
}
END_TEST

START_TEST(to_a_file)
{
    char folder[] = "/tmp/onnx_infer_save_XXXXXX", path[64];
    onnx_infer_model *m = load(text, NULL), *again;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    OK(onnx_infer_model_save_onnx_file(m, NULL, path));
    OK(onnx_infer_model_save_onnx_file(m, NULL, path)); /* over the old one */
    OK(onnx_infer_model_load_file(path, NULL, &again));
    check_answers(again, 3);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(m, NULL, "/nowhere/m.onnx"), ONNX_INFER_E_IO);
    remove(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left in it */
    onnx_infer_model_release(again);
    onnx_infer_model_release(m);
}
END_TEST

/* A model whose weights are 2.2 GiB of nothing: a hole in a file. */
START_TEST(too_large_for_one_file)
{
    char folder[] = "/tmp/onnx_infer_save_XXXXXX", path[64], data[64];
    little_bytes g = little_graph("in x float N\nhole w float 600000000 w.bin\ny = Mul(x, w)\nout y float ?", NULL);
    little_bytes bytes = little_model(&g);
    onnx_infer_model *m;
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    snprintf(data, sizeof data, "%s/w.bin", folder);
    FILE *f = fopen(path, "wb");
    ck_assert(fwrite(bytes.at, 1, bytes.n, f) == bytes.n && !fclose(f));
    int fd = open(data, O_CREAT | O_WRONLY, 0600);
    ck_assert(fd >= 0 && !ftruncate(fd, (off_t)600000000 * 4) && !close(fd));
    OK(onnx_infer_model_load_file(path, NULL, &m));
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &w, NULL, NULL), ONNX_INFER_E_LIMIT);
    onnx_infer_plan *p;
    OK(onnx_infer_plan_create(m, NULL, &p));
    ck_assert_int_eq(onnx_infer_plan_save(p, &w), ONNX_INFER_E_LIMIT);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    remove(path);
    remove(data);
    rmdir(folder);
    little_free(&g);
    little_free(&bytes);
    free(s.at);
}
END_TEST

START_TEST(what_is_refused)
{
    onnx_infer_model *m = load(text, NULL), *broken;
    memory_file s = {0}, bad = {.fail_at = 100};
    const onnx_infer_writer w = memory_file_writer(&s), failing = memory_file_writer(&bad);
    onnx_infer_writer small = w, empty = w;
    small.struct_size = 4;
    empty.write = NULL;
    ck_assert_int_eq(onnx_infer_model_save_onnx(NULL, NULL, &w, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, NULL, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &w, &w, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &w, NULL, "x"), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &small, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &empty, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx(m, NULL, &failing, NULL, NULL), ONNX_INFER_E_IO);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(NULL, NULL, "/tmp/x"), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(m, NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    char path[] = "/tmp/onnx_infer_save_XXXXXX";
    little_bytes g = little_graph("in x float 3\ny = Nothing(x)\nout y float 3", NULL), bytes = little_model(&g);
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, bytes.at, bytes.n) == (ssize_t)bytes.n && !close(fd));
    OK(onnx_infer_model_peek_file(path, NULL, &broken));
    ck_assert_int_eq(onnx_infer_model_save_onnx(broken, NULL, &w, NULL, NULL), ONNX_INFER_E_INVALID_MODEL);
    ck_assert_int_eq(onnx_infer_model_save_onnx_file(broken, NULL, "/tmp/x.onnx"), ONNX_INFER_E_INVALID_MODEL);
    remove(path);
    onnx_infer_model_release(broken);
    onnx_infer_model_release(m);
    little_free(&g);
    little_free(&bytes);
    free(s.at);
    free(bad.at);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    const onnx_infer_allocator a = scarce_allocator();
    onnx_infer_model *m = load(text, NULL), *again;
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_allocator(o, &a));
    bool done = false;
    for (long fail = 0; !done; fail++) {
        memory_file s = {0};
        const onnx_infer_writer w = memory_file_writer(&s);
        scarce_left = fail;
        onnx_infer_status st = onnx_infer_model_save_onnx(m, o, &w, NULL, NULL);
        done = scarce_left >= 0;
        scarce_left = -1;
        ck_assert_msg(st == (done ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY) || st == ONNX_INFER_OK, "allocation %ld: %s", fail, onnx_infer_status_name(st));
        ck_assert_uint_eq(scarce_held, 0);
        if (st == ONNX_INFER_OK) {
            OK(onnx_infer_model_load_memory(s.at, s.n, NULL, NULL, NULL, &again));
            check_answers(again, 2);
            onnx_infer_model_release(again);
        }
        scarce_left = fail;
        st = onnx_infer_model_save_onnx_file(m, o, "/tmp/onnx_infer_test_save.onnx");
        scarce_left = -1;
        ck_assert(st == ONNX_INFER_OK || st == ONNX_INFER_E_OUT_OF_MEMORY);
        ck_assert_uint_eq(scarce_held, 0);
        free(s.at);
    }
    remove("/tmp/onnx_infer_test_save.onnx");
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("saving");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, comes_back_the_same, 0, 3);
    tcase_add_test(t, sizes_are_fixed);
    tcase_add_test(t, custom_operators_and_subgraphs);
    tcase_add_test(t, saved_plans_need_what_they_were_made_with);
    tcase_add_test(t, weights_beside_the_model);
    tcase_add_test(t, to_a_file);
    tcase_add_test(t, too_large_for_one_file);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, every_allocation_may_fail);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
