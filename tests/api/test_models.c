/* Little models through the C interface: wrong hints, loops, sequences, defaults, symbols, memory shared by inputs and
 * outputs, and random graphs that must give the same bits at every level and number of threads. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/little_model.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static onnx_infer_context *open_graph(little_bytes *graph, int level, int threads)
{
    little_bytes model = little_model(graph);
    onnx_infer_options *o = help_options(level, threads);
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_context *c;
    OK(onnx_infer_model_load_memory(model.at, model.n, NULL, NULL, o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_context_create(p, &c));
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    little_free(&model);
    return c;
}

static onnx_infer_context *open_text(const char *text, int level)
{
    little_bytes g = little_graph(text, NULL);
    onnx_infer_context *c = open_graph(&g, level, 2);
    little_free(&g);
    return c;
}

static onnx_infer_value *tensor(int32_t rank, const int64_t *dims, const float *data)
{
    onnx_infer_value *v;
    OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, rank, dims, &v));
    memcpy(onnx_infer_tensor_mutable_data(v), data, onnx_infer_tensor_bytes(v));
    return v;
}

static onnx_infer_value *vector(int64_t n, const float *data)
{
    return tensor(1, &n, data);
}

static bool equals(const onnx_infer_value *v, size_t n, const float *want)
{
    return v && onnx_infer_tensor_count(v) == n && !memcmp(onnx_infer_tensor_data(v), want, n * sizeof *want);
}

static const float some[7] = {1, 0, 2, 0, 3, 4, 5};

START_TEST(wrong_hints_do_no_harm)
{
    static const char *const texts[] = {
        "in x float 7\ninfo n int64 1x3\nn = NonZero(x)\nc = Cast(n) to=1\ny = Add(c, c)\nout y float ?x?",
        "in x float K\nn = NonZero(x)\ny = Cast(n) to=1\nout y float 1x3",
        "in x float K\ninfo n int64 1x3\nn = NonZero(x)\ns = Shape(n)\nz = ConstantOfShape(s)\nc = Cast(n) to=1\n"
        "y = Add(c, z)\nout y float ?x?",
    };
    float want[5] = {0, 2, 4, 5, 6};
    onnx_infer_context *c = open_text(texts[_i / 3], _i % 3);
    onnx_infer_value *x = vector(7, some), *y = NULL;
    for (int i = 0; i < 5; i++)
        want[i] *= _i / 3 == 0 ? 2.0f : 1.0f;
    for (int run = 0; run < 3; run++) {
        OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y));
        ck_assert(equals(y, 5, want));
        onnx_infer_value_release(y);
        y = NULL;
    }
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(loops_run_and_scan)
{
    little_bytes body = little_graph("in i int64 scalar\nin go bool scalar\nin a float 2\nb = Add(a, w)\ng = Identity(go)\n"
                                     "s = ReduceSum(b) keepdims=0\nout g bool scalar\nout b float 2\nout s float scalar", NULL);
    little_bytes g = little_graph("in n int64 scalar\nin x float 2\nconst w float 2 1 2\ny, all = Loop(n, _, x) body=@0\n"
                                  "out y float 2\nout all float ?", &body);
    onnx_infer_context *c = open_graph(&g, _i, 2);
    onnx_infer_value *in[2], *out[2] = {NULL, NULL};
    OK(onnx_infer_tensor_create(ONNX_INFER_INT64, 0, NULL, &in[0]));
    in[1] = vector(2, (float[]){10, 20});
    for (int64_t n = 0; n < 2000; n = n * 3 + 1) {
        *(int64_t *)onnx_infer_tensor_mutable_data(in[0]) = n;
        OK(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 2, out));
        ck_assert(equals(out[0], 2, (float[]){10 + (float)n, 20 + 2 * (float)n}));
        ck_assert_uint_eq(onnx_infer_tensor_count(out[1]), (size_t)n);
        const float *all = onnx_infer_tensor_data(out[1]);
        ck_assert(n == 0 || all[n - 1] == 30 + 3 * (float)n);
        for (int i = 0; i < 2; i++) {
            onnx_infer_value_release(out[i]);
            out[i] = NULL;
        }
    }
    onnx_infer_value_release(in[0]);
    onnx_infer_value_release(in[1]);
    onnx_infer_context_free(c);
    little_free(&g);
    little_free(&body);
}
END_TEST

START_TEST(sequences_own_their_items)
{
    float memory[3] = {1, 2, 3};
    little_bytes g = little_graph("in x float 3\na = Neg(x)\ns = SequenceConstruct(x, a)\nk = SequenceLength(s)\nout k int64 scalar",
                                  NULL);
    little_bytes g2 = little_graph("in x float 3\nin at int64 scalar\na = Neg(x)\ns = SequenceConstruct(x, a)\n"
                                   "y = SequenceAt(s, at)\nout y float 3", NULL);
    onnx_infer_context *c = open_graph(&g2, _i, 1);
    onnx_infer_value *in[2], *y = NULL;
    OK(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, (int64_t[]){3}, memory, sizeof memory, NULL, NULL, &in[0]));
    OK(onnx_infer_tensor_create(ONNX_INFER_INT64, 0, NULL, &in[1]));
    OK(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 1, &y));
    memory[0] = 9; /* what was given back does not see it */
    ck_assert(equals(y, 3, (float[]){1, 2, 3}));
    onnx_infer_value_release(y);
    onnx_infer_value_release(in[0]);
    onnx_infer_value_release(in[1]);
    onnx_infer_context_free(c);
    little_free(&g);
    little_free(&g2);
}
END_TEST

START_TEST(inputs_with_defaults)
{
    onnx_infer_context *c = open_text("in x float 3\nin w float 3\nconst w float 3 1 2 3\ny = Mul(x, w)\nout y float 3", _i);
    const onnx_infer_model *m = onnx_infer_plan_model(onnx_infer_context_plan(c));
    onnx_infer_value *in[2] = {vector(3, (float[]){1, 1, 2}), vector(3, (float[]){5, 6, 7})}, *y = NULL;
    ck_assert(!onnx_infer_port_is_optional(onnx_infer_model_input(m, 0)));
    ck_assert(onnx_infer_port_is_optional(onnx_infer_model_input(m, 1)));
    for (int run = 0; run < 4; run++) {
        OK(onnx_infer_run(c, NULL, run % 2 ? 2 : 1, (const onnx_infer_value *const *)in, 1, &y));
        ck_assert(equals(y, 3, run % 2 ? (float[]){5, 6, 14} : (float[]){1, 2, 6}));
        onnx_infer_value_release(y);
        y = NULL;
    }
    onnx_infer_value_release(in[0]);
    onnx_infer_value_release(in[1]);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(symbols_agree_over_inputs)
{
    onnx_infer_context *c = open_text("in a float Nx2\nin b float N\nk = Unsqueeze(b, one)\nconst one int64 1 1\ny = Add(a, k)\n"
                                      "out y float Nx2", 2);
    float x[8] = {0};
    onnx_infer_value *in[2] = {tensor(2, (int64_t[]){3, 2}, x), vector(2, x)}, *y = NULL;
    ck_assert_int_eq(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 1, &y), ONNX_INFER_E_SHAPE_MISMATCH);
    const onnx_infer_error *e = onnx_infer_last_error();
    ck_assert_str_eq(onnx_infer_error_tensor(e), "b");
    ck_assert_str_eq(onnx_infer_error_symbol(e), "N");
    ck_assert_int_eq(onnx_infer_error_got(e), 2);
    ck_assert_int_eq(onnx_infer_error_expected(e), 3);
    ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(e), "'a'"));
    onnx_infer_value_release(in[1]);
    in[1] = vector(3, x);
    OK(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, 1, &y));
    onnx_infer_value_release(y);
    onnx_infer_value_release(in[0]);
    onnx_infer_value_release(in[1]);
    onnx_infer_context_free(c);
}
END_TEST

/* Outputs that are inputs, constants, each other; and a caller who lets an output overwrite the input. */
START_TEST(outputs_may_be_anything)
{
    onnx_infer_context *c = open_text("in x float 4\nconst k float 4 4 3 2 1\na = Neg(x)\nb = Relu(a)\ny = Add(b, x)\n"
                                      "r = Reshape(a, two)\nconst two int64 2 2 2\nout y float 4\nout x float 4\nout k float 4\n"
                                      "out a float 4\nout r float 2x2\nout y float 4", _i);
    float memory[4] = {1, -2, 3, -4};
    const float x[4] = {1, -2, 3, -4}, k[4] = {4, 3, 2, 1}, a[4] = {-1, 2, -3, 4}, y[4] = {1, 0, 3, 0};
    const float *const want[6] = {y, x, k, a, a, y};
    onnx_infer_value *in, *out[6] = {NULL};
    OK(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, (int64_t[]){4}, memory, sizeof memory, NULL, NULL, &in));
    for (int own = 0; own < 2; own++) {
        memcpy(memory, x, sizeof x);
        if (own)
            out[0] = onnx_infer_value_retain(in);
        OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&in, own ? 1 : 6, out));
        for (int i = 0; i < (own ? 1 : 6); i++)
            ck_assert_msg(equals(out[i], 4, want[i]), "output %d", i);
        for (int i = 0; i < 6; i++) {
            onnx_infer_value_release(out[i]);
            out[i] = NULL;
        }
    }
    onnx_infer_value_release(in);
    onnx_infer_context_free(c);
}
END_TEST

/* --- random graphs of operators that are exact on small whole numbers -------------------------------------------------- */

static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static size_t random_graph(char *text, size_t cap)
{
    static const char *const binary[] = {"Add", "Sub", "Max", "Min"};
    static const char *const unary[] = {"Neg", "Relu", "Identity", "Abs"};
    uint32_t nodes = 3 + draw(30);
    char form[40]; /* of each value: 'a' is 6x4, 'b' 4x6, 'c' 24 */
    const char *const dims[] = {"6x4", "4x6", "24"};
    size_t at = (size_t)snprintf(text, cap, "in v0 float 6x4\nin v1 float 6x4\nconst sa int64 2 6 4\nconst sb int64 2 4 6\n"
                                            "const sc int64 1 24\n"), noutput = 0;
    form[0] = form[1] = 'a';
    for (uint32_t i = 2; i < nodes + 2; i++) {
        uint32_t x = i - 1 - draw(i < 6 ? i : 6), y;
        char to = (char)('a' + draw(3));
        for (y = draw(i); form[y] != form[x]; y = (y + 1) % i) {
        }
        form[i] = form[x];
        switch (draw(5)) {
        case 0:
            at += (size_t)snprintf(text + at, cap - at, "v%u = %s(v%u)\n", i, unary[draw(4)], x);
            break;
        case 1:
            at += (size_t)snprintf(text + at, cap - at, "v%u = Reshape(v%u, s%c)\n", i, x, to);
            form[i] = to;
            break;
        case 2:
            if (form[x] != 'c') {
                at += (size_t)snprintf(text + at, cap - at, "v%u = Transpose(v%u)\n", i, x);
                form[i] = form[x] == 'a' ? 'b' : 'a';
                break;
            } /* fall through */
        default:
            at += (size_t)snprintf(text + at, cap - at, "v%u = %s(v%u, v%u)\n", i, binary[draw(4)], x, y);
        }
    }
    for (uint32_t i = nodes + 2; i-- > 2;) {
        if (noutput == 0 || (noutput < 6 && draw(6) == 0)) {
            at += (size_t)snprintf(text + at, cap - at, "out v%u float %s\n", i, dims[form[i] - 'a']);
            noutput++;
        }
    }
    return noutput;
}

START_TEST(random_graphs_agree)
{
    char text[4000];
    float data[2][24];
    onnx_infer_value *in[2], *want[6] = {NULL}, *out[6] = {NULL};
    random_state = (uint64_t)_i;
    size_t n = random_graph(text, sizeof text);
    for (int i = 0; i < 48; i++)
        data[i / 24][i % 24] = (float)draw(20) - 10;
    in[0] = tensor(2, (int64_t[]){6, 4}, data[0]);
    in[1] = tensor(2, (int64_t[]){6, 4}, data[1]);
    for (int level = 0; level < 3; level++) {
        onnx_infer_context *c = open_text(text, level);
        for (int run = 0; run < 3; run++) { /* the last into memory that holds something else */
            OK(onnx_infer_run(c, NULL, 2, (const onnx_infer_value *const *)in, n, out));
            for (size_t i = 0; i < n; i++) {
                if (!want[i])
                    want[i] = onnx_infer_value_retain(out[i]);
                ck_assert_msg(equals(out[i], 24, onnx_infer_tensor_data(want[i])), "seed %d level %d run %d output %zu of\n%s", _i,
                              level, run, i, text);
                if (run == 1 && out[i] != want[i]) {
                    memset(onnx_infer_tensor_mutable_data(out[i]), 0xEE, onnx_infer_tensor_bytes(out[i]));
                } else {
                    onnx_infer_value_release(out[i]);
                    out[i] = NULL;
                }
            }
        }
        onnx_infer_context_free(c);
    }
    for (size_t i = 0; i < n; i++)
        onnx_infer_value_release(want[i]);
    onnx_infer_value_release(in[0]);
    onnx_infer_value_release(in[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("models");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, wrong_hints_do_no_harm, 0, 9);
    tcase_add_loop_test(t, loops_run_and_scan, 0, 3);
    tcase_add_loop_test(t, sequences_own_their_items, 0, 3);
    tcase_add_loop_test(t, inputs_with_defaults, 0, 3);
    tcase_add_test(t, symbols_agree_over_inputs);
    tcase_add_loop_test(t, outputs_may_be_anything, 0, 3);
    tcase_add_loop_test(t, random_graphs_agree, 0, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
