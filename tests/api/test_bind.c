/* Bound runs: memory of the caller and of the context, functions, state, arenas, some of the outputs, shapes ahead; what
 * a run asks of the C library, and how long a small one takes. */
#include "support/api_help.h"
#include "support/interpose.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A cell of a recurrent net: s is its state. */
static const char cell[] = "in x float Nx4\n"
                           "in s float Nx4\n"
                           "const w float 4x4 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n"
                           "p = MatMul(x, w)\n"
                           "t = Add(p, s)\n"
                           "y = Mul(t, t)\n"
                           "out y float Nx4\n"
                           "out t float Nx4\n";
/* A cache that grows. */
static const char cache[] = "in x float 1x1\n"
                            "in past float 1xP\n"
                            "now = Concat(past, x) axis=1\n"
                            "out now float 1xQ\n";
static const char several[] = "in x float Nx2\n"
                              "a = Neg(x)\n"
                              "b = Abs(a)\n"
                              "c = Exp(x)\n"
                              "same = Identity(x)\n"
                              "out a float Nx2\n"
                              "out b float Nx2\n"
                              "out c float Nx2\n"
                              "out same float Nx2\n";
static const char kinds[] = "in x float N\n"
                            "found = NonZero(x)\n"
                            "text = Cast(x) to=8\n"
                            "list = SequenceConstruct(x, x)\n"
                            "out found int64 1xK\n"
                            "out text ? N\n"
                            "out list ? ?\n";

static onnx_infer_context *open_text(const char *text, int level)
{
    onnx_infer_options *o = help_options(level, 1);
    onnx_infer_context *c = help_context(text, o);
    onnx_infer_options_free(o);
    return c;
}

START_TEST(outputs_stay_with_the_context)
{
    onnx_infer_context *c = open_text(several, _i);
    onnx_infer_value *x = help_floats(2, (int64_t[]){3, 2}, -2), *out[4] = {NULL, NULL, NULL, NULL}, *other;
    ck_assert_ptr_null(onnx_infer_output(c, 0));
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 4, out));
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_run_bound(c, NULL));
    for (size_t i = 0; i < 4; i++)
        ck_assert(!memcmp(onnx_infer_tensor_data(onnx_infer_output(c, i)), onnx_infer_tensor_data(out[i]), 24));
    const onnx_infer_value *first = onnx_infer_output(c, 0);
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_ptr_eq(onnx_infer_output(c, 0), first); /* used again */
    onnx_infer_value *held = onnx_infer_value_retain((onnx_infer_value *)first);
    ((float *)onnx_infer_tensor_mutable_data(x))[0] = 7;
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_ptr_ne(onnx_infer_output(c, 0), held); /* but not what somebody holds */
    ck_assert_float_eq(help_float(held, 0), 2);
    ck_assert_float_eq(help_float(onnx_infer_output(c, 0), 0), -7);
    other = help_floats(2, (int64_t[]){5, 2}, 1);
    OK(onnx_infer_bind_input(c, 0, other));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_int_eq(onnx_infer_tensor_dims(onnx_infer_output(c, 3))[0], 5);
    ck_assert_ptr_null(onnx_infer_output(c, 4));
    ck_assert_ptr_null(onnx_infer_output(NULL, 0));
    OK(onnx_infer_context_trim(c));
    ck_assert_ptr_null(onnx_infer_output(c, 0));
    OK(onnx_infer_run_bound(c, NULL));
    OK(onnx_infer_bind_input(c, 0, NULL));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    ck_assert_ptr_null(onnx_infer_output(c, 0));
    OK(onnx_infer_unbind_all(c));
    for (size_t i = 0; i < 4; i++)
        onnx_infer_value_release(out[i]);
    onnx_infer_value_release(held);
    onnx_infer_value_release(other);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

typedef struct {
    int calls;
    int32_t rank;
    int64_t dims[8];
    size_t output, bytes;
    onnx_infer_dtype dtype;
    void *memory;
} taker;

static void *take(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, size_t bytes, size_t align)
{
    taker *t = user;
    if (!align || align & (align - 1))
        ck_abort_msg("align is %zu", align);
    t->calls++;
    t->output = output;
    t->dtype = dtype;
    t->rank = rank;
    for (int32_t d = 0; d < rank; d++)
        t->dims[d] = dims[d];
    t->bytes = bytes;
    return t->memory;
}

START_TEST(outputs_go_to_memory_of_the_caller)
{
    onnx_infer_context *c = open_text(several, _i);
    onnx_infer_value *x = help_floats(2, (int64_t[]){3, 2}, 1), *mine = help_floats(2, (int64_t[]){3, 2}, 0), *small, *whole;
    float memory[8] = {0}, copied[8] = {0};
    taker t = {.memory = memory}, same = {.memory = copied};
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_output(c, 0, mine));
    OK(onnx_infer_bind_output_fn(c, 1, take, &t));
    OK(onnx_infer_bind_output_fn(c, 3, take, &same));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_ptr_eq(onnx_infer_output(c, 0), mine);
    ck_assert_float_eq(help_float(mine, 5), -6);
    ck_assert_float_eq(memory[5], 6);
    ck_assert_float_eq(memory[6], 0);
    ck_assert_float_eq(copied[5], 6);
    ck_assert(t.calls == 1 && t.output == 1 && t.dtype == ONNX_INFER_FLOAT && t.rank == 2 && t.dims[0] == 3 && t.bytes == 24);
    ck_assert_ptr_null(onnx_infer_output(c, 1));
    ck_assert_ptr_nonnull(onnx_infer_output(c, 2));
    t.memory = NULL;
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_BUFFER_TOO_SMALL);
    ck_assert_str_eq(onnx_infer_error_tensor(onnx_infer_last_error()), "b");
    OK(onnx_infer_bind_output_fn(c, 1, NULL, NULL));
    small = help_floats(2, (int64_t[]){2, 2}, 0);
    OK(onnx_infer_bind_output(c, 0, small));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(onnx_infer_tensor_create(ONNX_INFER_INT64, 2, (int64_t[]){3, 2}, &whole));
    FAILS(onnx_infer_bind_output(c, 0, whole), ONNX_INFER_E_TYPE_MISMATCH);
    FAILS(onnx_infer_bind_input(c, 0, whole), ONNX_INFER_E_TYPE_MISMATCH);
    FAILS(onnx_infer_bind_output(c, 4, mine), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_bind_output_fn(c, 4, take, &t), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_bind_input(c, 1, x), ONNX_INFER_E_NOT_FOUND);
    OK(onnx_infer_bind_output(c, 0, NULL));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_ptr_ne(onnx_infer_output(c, 0), mine);
    /* The input's own memory: what is read later must not be lost. */
    OK(onnx_infer_bind_output(c, 0, x));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_float_eq(help_float(x, 0), -1);
    ck_assert_float_eq(copied[0], 1);
    onnx_infer_value_release(x);
    onnx_infer_value_release(mine);
    onnx_infer_value_release(small);
    onnx_infer_value_release(whole);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(outputs_of_every_kind)
{
    onnx_infer_context *c = open_text(kinds, _i);
    onnx_infer_value *x = help_floats(1, (int64_t[]){4}, 0), *list;
    int64_t memory[8] = {0};
    taker t = {.memory = memory};
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_output_fn(c, 0, take, &t));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert(t.calls == 1 && t.dtype == ONNX_INFER_INT64 && t.rank == 2 && t.dims[1] == 3);
    ck_assert(memory[0] == 1 && memory[2] == 3);
    ck_assert_int_eq(onnx_infer_tensor_dtype(onnx_infer_output(c, 1)), ONNX_INFER_STRING);
    ck_assert_uint_eq(onnx_infer_value_count(onnx_infer_output(c, 2)), 2);
    ((float *)onnx_infer_tensor_mutable_data(x))[0] = 5;
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_int_eq(t.dims[1], 4);
    t.memory = NULL;
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_BUFFER_TOO_SMALL);
    t.memory = memory;
    OK(onnx_infer_bind_output_fn(c, 1, take, &t));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_TYPE_MISMATCH);
    OK(onnx_infer_bind_output_fn(c, 1, NULL, NULL));
    OK(onnx_infer_bind_output_fn(c, 2, take, &t));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_TYPE_MISMATCH);
    OK(onnx_infer_sequence_create(&list));
    FAILS(onnx_infer_bind_output(c, 2, list), ONNX_INFER_E_TYPE_MISMATCH);
    OK(onnx_infer_bind_output(c, 2, NULL));
    OK(onnx_infer_run_bound(c, NULL));
    onnx_infer_value_release(list);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(state_feeds_the_next_run)
{
    onnx_infer_context *c = open_text(cell, _i), *clone;
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 4}, 1), *first = help_floats(2, (int64_t[]){1, 4}, 100), *wrong;
    onnx_infer_run_options *ro;
    const onnx_infer_value *seen[4];
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_state(c, 1, 1));
    for (int run = 1; run <= 4; run++) {
        OK(onnx_infer_run_bound(c, NULL));
        seen[run - 1] = onnx_infer_output(c, 1);
        ck_assert_float_eq(help_float(seen[run - 1], 0), (float)run);
        ck_assert_float_eq(help_float(seen[run - 1], 3), 4 * (float)run);
        ck_assert_float_eq(help_float(onnx_infer_output(c, 0), 1), 4 * (float)(run * run));
    }
    ck_assert(seen[0] == seen[2] && seen[1] == seen[3] && seen[0] != seen[1]); /* two buffers change places */
    OK(onnx_infer_context_clone(c, &clone));
    OK(onnx_infer_run_bound(clone, NULL));
    ck_assert_float_eq(help_float(onnx_infer_output(clone, 1), 0), 5);
    /* A run that fails leaves the state. */
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_run_options_set_deadline(ro, 1));
    FAILS(onnx_infer_run_bound(c, ro), ONNX_INFER_E_DEADLINE);
    ck_assert_ptr_null(onnx_infer_output(c, 1));
    OK(onnx_infer_context_trim(c));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_float_eq(help_float(onnx_infer_output(c, 1), 0), 5);
    OK(onnx_infer_run_bound(clone, NULL));
    ck_assert_float_eq(help_float(onnx_infer_output(clone, 1), 0), 6);
    /* From a state of the caller's, which stays as it is. */
    OK(onnx_infer_bind_input(c, 1, first));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_float_eq(help_float(onnx_infer_output(c, 1), 0), 6);
    OK(onnx_infer_reset_state(c));
    ck_assert_ptr_null(onnx_infer_output(c, 1));
    for (int run = 1; run <= 3; run++)
        OK(onnx_infer_run_bound(c, NULL));
    ck_assert_float_eq(help_float(onnx_infer_output(c, 1), 0), 103);
    ck_assert_float_eq(help_float(first, 0), 100);
    wrong = help_floats(2, (int64_t[]){2, 4}, 0);
    FAILS(onnx_infer_bind_output(c, 1, wrong), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_state(c, 1, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_state(c, 0, 1), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_state(c, 2, 1), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_bind_state(c, 0, 2), ONNX_INFER_E_NOT_FOUND);
    OK(onnx_infer_bind_input(c, 0, wrong));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_SHAPE_MISMATCH);
    /* Another batch: zeros follow the other input. */
    OK(onnx_infer_bind_input(c, 1, NULL));
    OK(onnx_infer_reset_state(c));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_int_eq(onnx_infer_tensor_dims(onnx_infer_output(c, 1))[0], 2);
    OK(onnx_infer_unbind_all(c));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_bind_output(c, 1, wrong));
    FAILS(onnx_infer_bind_state(c, 1, 1), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_run_bound(clone, NULL));
    onnx_infer_run_options_free(ro);
    onnx_infer_context_free(c);
    onnx_infer_context_free(clone);
    onnx_infer_value_release(wrong);
    onnx_infer_value_release(first);
    onnx_infer_value_release(x);
}
END_TEST

START_TEST(state_may_grow)
{
    onnx_infer_context *c = open_text(cache, _i);
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 1}, 0), *empty = help_floats(2, (int64_t[]){1, 0}, 0);
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_state(c, 0, 1));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT); /* how long is it at first? */
    OK(onnx_infer_bind_input(c, 1, empty));
    for (int run = 0; run < 20; run++) {
        ((float *)onnx_infer_tensor_mutable_data(x))[0] = (float)run;
        OK(onnx_infer_run_bound(c, NULL));
        const onnx_infer_value *now = onnx_infer_output(c, 0);
        ck_assert_int_eq(onnx_infer_tensor_dims(now)[1], run + 1);
        for (int i = 0; i <= run; i++)
            ck_assert_float_eq(help_float(now, (size_t)i), (float)i);
    }
    onnx_infer_value_release(x);
    onnx_infer_value_release(empty);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(state_needs_equal_types)
{
    onnx_infer_context *c = open_text("in x float 2\nin n int64 2\nm = Cast(x) to=7\nk = Add(m, n)\ny = Neg(x)\nout y float 2\nout k int64 2\n", 2);
    onnx_infer_value *x = help_floats(1, (int64_t[]){2}, 3);
    FAILS(onnx_infer_bind_state(c, 0, 1), ONNX_INFER_E_TYPE_MISMATCH);
    OK(onnx_infer_bind_state(c, 1, 1));
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_run_bound(c, NULL));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert_int_eq(((const int64_t *)onnx_infer_tensor_data(onnx_infer_output(c, 1)))[1], 8);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

static const char chain[] = "in x float Nx64\n"
                            "a = Softmax(x) axis=1\n"
                            "t = Transpose(a) perm=[1,0]\n"
                            "p = MatMul(a, t)\n"
                            "s = Softmax(p) axis=1\n"
                            "y = MatMul(s, x)\n"
                            "out y float Nx64\n";

START_TEST(arenas_of_the_caller)
{
    onnx_infer_context *c = open_text(chain, 2);
    onnx_infer_value *x = help_floats(2, (int64_t[]){32, 64}, 0), *more = help_floats(2, (int64_t[]){64, 64}, 0);
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    OK(onnx_infer_context_memory(c, &memory));
    ck_assert_uint_eq(memory.arena_now, 0);
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_run_bound(c, NULL));
    OK(onnx_infer_plan_memory(onnx_infer_context_plan(c), &memory));
    size_t need = memory.arena_peak;
    ck_assert_uint_gt(need, 0);
    onnx_infer_value *expected = onnx_infer_value_retain((onnx_infer_value *)onnx_infer_output(c, 0));
    char *own = malloc(need + 65);
    memset(own, 0x5A, need + 65);
    OK(onnx_infer_context_set_arena(c, own + 1, need + 63));
    OK(onnx_infer_run_bound(c, NULL));
    ck_assert(!memcmp(onnx_infer_tensor_data(expected), onnx_infer_tensor_data(onnx_infer_output(c, 0)), onnx_infer_tensor_bytes(expected)));
    ck_assert(own[0] == 0x5A && own[need + 64] == 0x5A);
    OK(onnx_infer_context_memory(c, &memory));
    ck_assert_uint_ge(memory.arena_now, need);
    OK(onnx_infer_bind_input(c, 0, more));
    FAILS(onnx_infer_run_bound(c, NULL), ONNX_INFER_E_LIMIT);
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_context_trim(c));
    OK(onnx_infer_run_bound(c, NULL));
    FAILS(onnx_infer_context_set_arena(c, own, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_context_set_arena(c, NULL, 0));
    free(own);
    OK(onnx_infer_bind_input(c, 0, more));
    OK(onnx_infer_run_bound(c, NULL));
    OK(onnx_infer_context_memory(c, &memory));
    ck_assert_uint_gt(memory.arena_peak, need);
    OK(onnx_infer_context_trim(c));
    OK(onnx_infer_context_memory(c, &memory));
    ck_assert_uint_eq(memory.arena_now, 0);
    onnx_infer_value_release(expected);
    onnx_infer_value_release(x);
    onnx_infer_value_release(more);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(values_of_unknown_size_are_counted)
{
    onnx_infer_context *c = open_text(kinds, _i);
    onnx_infer_value *x = help_floats(1, (int64_t[]){1000}, 1), *out = NULL;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    OK(onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &out));
    OK(onnx_infer_context_memory(c, &memory));
    ck_assert_uint_ge(memory.heap_peak, 8000);
    onnx_infer_value_release(out);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

/* --- what a run asks of the C library ---------------------------------------------------------------------------------- */

START_TEST(bound_runs_allocate_and_lock_nothing)
{
    static const char *const models[] = {cell, several, chain};
    static const int64_t dims[][2] = {{8, 4}, {8, 2}, {32, 64}};
    onnx_infer_context *c = open_text(models[_i], 2);
    onnx_infer_value *x = help_floats(2, dims[_i], 0);
    float memory[64];
    taker t = {.memory = memory};
    OK(onnx_infer_bind_input(c, 0, x));
    if (_i == 0) {
        OK(onnx_infer_bind_state(c, 1, 1));
        OK(onnx_infer_bind_output_fn(c, 0, take, &t));
    }
    for (int warm = 0; warm < 3; warm++)
        OK(onnx_infer_run_bound(c, NULL));
    interpose_start();
    for (int run = 0; run < 100; run++)
        OK(onnx_infer_run_bound(c, NULL));
    interposed seen = interpose_stop();
    ck_assert_msg(!seen.allocations && !seen.frees && !seen.maps && !seen.locks, "%ld allocations, %ld frees, %ld maps, %ld locks",
                  seen.allocations, seen.frees, seen.maps, seen.locks);
    /* So do runs by index, and by name, into values of the caller's. */
    onnx_infer_value *in[2] = {x, x};
    const size_t last = _i == 1 ? 3 : _i ? 0 : 1;
    onnx_infer_value *out[4] = {NULL, NULL, NULL, NULL};
    OK(onnx_infer_run(c, NULL, _i ? 1 : 2, (const onnx_infer_value *const *)in, last + 1, out));
    interpose_start();
    for (int run = 0; run < 100; run++)
        OK(onnx_infer_run(c, NULL, _i ? 1 : 2, (const onnx_infer_value *const *)in, last + 1, out));
    seen = interpose_stop();
    ck_assert_msg(!seen.allocations && !seen.frees && !seen.maps && !seen.locks, "%ld allocations, %ld frees, %ld maps, %ld locks",
                  seen.allocations, seen.frees, seen.maps, seen.locks);
    for (size_t i = 0; i < 4; i++)
        onnx_infer_value_release(out[i]);
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of many batches, since others use this machine too. */
START_TEST(a_linear_cell_takes_less_than_a_microsecond)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
    return;
#endif
    onnx_infer_context *c = open_text("in x float 1x4\nconst w float 4x4 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                                      "const b float 4 1 2 3 4\ny = Gemm(x, w, b)\nout y float 1x4\n", 2);
    onnx_infer_value *x = help_floats(2, (int64_t[]){1, 4}, 1), *out = help_floats(2, (int64_t[]){1, 4}, 0);
    double best[2] = {1, 1};
    OK(onnx_infer_bind_input(c, 0, x));
    OK(onnx_infer_bind_output(c, 0, out));
    for (int batch = 0; batch < 200; batch++) {
        for (int bound = 0; bound < 2; bound++) {
            double start = seconds();
            for (int run = 0; run < 1000; run++)
                OK(bound ? onnx_infer_run_bound(c, NULL) : onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &out));
            double each = (seconds() - start) / 1000;
            best[bound] = each < best[bound] ? each : best[bound];
        }
    }
    printf("the 4x4 cell: %.0f ns by index, %.0f ns bound\n", best[0] * 1e9, best[1] * 1e9);
    ck_assert_msg(best[0] < 1e-6 && best[1] < 1e-6, "%.0f ns by index, %.0f ns bound", best[0] * 1e9, best[1] * 1e9);
    onnx_infer_value_release(x);
    onnx_infer_value_release(out);
    onnx_infer_context_free(c);
}
END_TEST

/* --- some of the outputs -------------------------------------------------------------------------------------------------- */

START_TEST(only_what_is_asked_for_is_computed)
{
    static const char *const names[] = {"a", "b", "c", "same"};
    onnx_infer_context *c = open_text(several, _i);
    onnx_infer_value *x = help_floats(2, (int64_t[]){3, 2}, 1), *all[4] = {NULL, NULL, NULL, NULL};
    onnx_infer_run_options *ro;
    onnx_infer_profile *profile;
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_profile_create(&profile));
    OK(onnx_infer_run_options_set_profile(ro, profile));
    OK(onnx_infer_run(c, ro, 1, (const onnx_infer_value *const *)&x, 4, all));
    size_t steps = onnx_infer_profile_count(profile);
    for (int round = 0; round < 2; round++) {
        for (unsigned set = 1; set < 16; set++) {
            const char *wanted[4];
            onnx_infer_value *out[4] = {NULL, NULL, NULL, NULL};
            size_t n = 0;
            for (unsigned i = 4; i-- > 0;) { /* in another order than the model's */
                if (set >> i & 1)
                    wanted[n++] = names[i];
            }
            OK(onnx_infer_run_named(c, ro, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&x, n, wanted, out));
            if (set == 4)
                ck_assert_uint_lt(onnx_infer_profile_count(profile), steps);
            for (size_t k = 0; k < n; k++) {
                size_t i = 0;
                while (strcmp(names[i], wanted[k]))
                    i++;
                ck_assert(!memcmp(onnx_infer_tensor_data(out[k]), onnx_infer_tensor_data(all[i]), 24));
                onnx_infer_value_release(out[k]);
            }
        }
    }
    OK(onnx_infer_context_trim(c));
    onnx_infer_value *mine = help_floats(2, (int64_t[]){3, 2}, 0);
    OK(onnx_infer_run_named(c, NULL, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&x, 1, &names[2], &mine));
    ck_assert(!memcmp(onnx_infer_tensor_data(mine), onnx_infer_tensor_data(all[2]), 24));
    OK(onnx_infer_run_named(c, NULL, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&x, 0, NULL, NULL));
    onnx_infer_value *out[2] = {NULL, NULL};
    FAILS(onnx_infer_run_named(c, NULL, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&x, 2,
                               (const char *const[]){"a", "a"}, out), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_named(c, NULL, 1, (const char *const[]){"x"}, (const onnx_infer_value *const *)&x, 1,
                               (const char *const[]){"q"}, out), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_run_named(c, NULL, 1, (const char *const[]){NULL}, (const onnx_infer_value *const *)&x, 1, names, out),
          ONNX_INFER_E_INVALID_ARGUMENT);
    for (size_t i = 0; i < 4; i++)
        onnx_infer_value_release(all[i]);
    onnx_infer_value_release(mine);
    onnx_infer_value_release(x);
    onnx_infer_profile_free(profile);
    onnx_infer_run_options_free(ro);
    onnx_infer_context_free(c);
}
END_TEST

/* --- shapes ahead ----------------------------------------------------------------------------------------------------------- */

START_TEST(shapes_are_known_before_a_run)
{
    static const char plain[] = "in x float Nx6\nin m float Nx6\n"
                                "s = Shape(x)\nconst two int64 1 2\nd = Mul(s, two)\nbig = ConstantOfShape(d)\n"
                                "const minus int64 1 -1\nflat = Reshape(x, minus)\nfound = NonZero(m)\n"
                                "out big float AxB\nout flat float C\nout found int64 DxE\n";
    onnx_infer_context *c = open_text(plain, _i);
    onnx_infer_plan *p = (onnx_infer_plan *)onnx_infer_context_plan(c);
    int64_t dims[8], x[2] = {5, 6}, wrong[2] = {4, 6};
    int32_t rank, ranks[2] = {2, 2};
    const int64_t *in[2] = {x, x};
    OK(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, dims, 8));
    ck_assert(rank == 2 && dims[0] == 10 && dims[1] == 12);
    OK(onnx_infer_plan_output_shape(p, 2, ranks, in, 1, &rank, dims, 1));
    ck_assert(rank == 1 && dims[0] == 30);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 2, &rank, dims, 8), ONNX_INFER_E_DATA_DEPENDENT);
    ck_assert(rank == 2 && dims[0] == 2 && dims[1] == -1);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, dims, 1), ONNX_INFER_E_BUFFER_TOO_SMALL);
    ck_assert_int_eq(rank, 2);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, NULL, 0), ONNX_INFER_E_BUFFER_TOO_SMALL);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 3, &rank, dims, 8), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_plan_output_shape(p, 3, (int32_t[]){2, 2, 2}, (const int64_t *const[]){x, x, x}, 0, &rank, dims, 8),
          ONNX_INFER_E_INVALID_ARGUMENT);
    in[1] = wrong;
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, dims, 8), ONNX_INFER_E_SHAPE_MISMATCH);
    in[1] = NULL;
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    ranks[1] = -1;
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    ranks[0] = 9;
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, (const int64_t *const[]){(int64_t[9]){0}, x}, 0, &rank, dims, 8), ONNX_INFER_E_LIMIT);
    FAILS(onnx_infer_plan_output_shape(NULL, 2, ranks, in, 0, &rank, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_output_shape(p, 2, NULL, in, 0, &rank, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, NULL, 0, &rank, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, NULL, dims, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_plan_output_shape(p, 2, ranks, in, 0, &rank, NULL, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    onnx_infer_context_free(c);
}
END_TEST

START_TEST(ranges_are_planned_ahead)
{
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_memory most = {.struct_size = sizeof most}, used = {.struct_size = sizeof used};
    FAILS(onnx_infer_options_set_symbol_range(o, "N", 4, 2, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_symbol_range(o, "N", -1, 2, 8), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_options_set_symbol_range(o, "N", 1, 1, 2));
    OK(onnx_infer_options_set_symbol_range(o, "N", 2, 8, 64));
    OK(onnx_infer_options_set_symbol_range(o, "nobody", 2, 8, 64));
    onnx_infer_context *c = help_context(chain, o);
    OK(onnx_infer_plan_memory(onnx_infer_context_plan(c), &most));
    ck_assert_uint_gt(onnx_infer_plan_step_count(onnx_infer_context_plan(c)), 0);
    for (int64_t n = 1; n <= 65; n += n < 4 ? 1 : 1 + n % 7) {
        onnx_infer_value *x = help_floats(2, (int64_t[]){n, 64}, 0), *y = NULL;
        onnx_infer_status st = onnx_infer_run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y);
        ck_assert_int_eq(st, n < 2 || n > 64 ? ONNX_INFER_E_SHAPE_MISMATCH : ONNX_INFER_OK);
        if (st != ONNX_INFER_OK) {
            ck_assert_str_eq(onnx_infer_error_symbol(onnx_infer_last_error()), "N");
            ck_assert_int_eq(onnx_infer_error_got(onnx_infer_last_error()), n);
        }
        onnx_infer_value_release(x);
        onnx_infer_value_release(y);
    }
    onnx_infer_value *x = help_floats(2, (int64_t[]){64, 64}, 0), *y = help_run1(c, x);
    OK(onnx_infer_context_memory(c, &used));
    ck_assert_uint_le(used.arena_peak, most.arena_peak);
    onnx_infer_value_release(x);
    onnx_infer_value_release(y);
    onnx_infer_context_free(c);
    /* A value that is set counts more than a range. */
    OK(onnx_infer_options_set_symbol(o, "N", 100));
    c = help_context(chain, o);
    x = help_floats(2, (int64_t[]){100, 64}, 0);
    onnx_infer_value_release(help_run1(c, x));
    onnx_infer_value_release(x);
    onnx_infer_context_free(c);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(null_is_refused)
{
    onnx_infer_context *c = NULL;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    FAILS(onnx_infer_bind_input(NULL, 0, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_output(NULL, 0, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_output_fn(NULL, 0, take, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_bind_state(NULL, 0, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_unbind_all(NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_reset_state(NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_run_bound(NULL, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_trim(NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_set_arena(NULL, NULL, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_memory(NULL, &memory), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_clone(NULL, &c), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_context_clone(c, NULL), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_symbol_range(NULL, "N", 1, 2, 3), ONNX_INFER_E_INVALID_ARGUMENT);
    onnx_infer_options *o = help_options(2, 1);
    FAILS(onnx_infer_options_set_symbol_range(o, NULL, 1, 2, 3), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_deterministic(NULL, 1), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_deterministic(o, 0), ONNX_INFER_E_INVALID_ARGUMENT);
    FAILS(onnx_infer_options_set_deterministic(o, 3), ONNX_INFER_E_INVALID_ARGUMENT);
    OK(onnx_infer_options_set_deterministic(o, 1));
    OK(onnx_infer_options_set_deterministic(o, 2));
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bind");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, outputs_stay_with_the_context, 0, 3);
    tcase_add_loop_test(t, outputs_go_to_memory_of_the_caller, 0, 3);
    tcase_add_loop_test(t, outputs_of_every_kind, 0, 3);
    tcase_add_loop_test(t, state_feeds_the_next_run, 0, 3);
    tcase_add_loop_test(t, state_may_grow, 0, 3);
    tcase_add_test(t, state_needs_equal_types);
    tcase_add_test(t, arenas_of_the_caller);
    tcase_add_loop_test(t, values_of_unknown_size_are_counted, 0, 3);
    tcase_add_loop_test(t, bound_runs_allocate_and_lock_nothing, 0, 3);
    tcase_add_test(t, a_linear_cell_takes_less_than_a_microsecond);
    tcase_add_loop_test(t, only_what_is_asked_for_is_computed, 0, 3);
    tcase_add_loop_test(t, shapes_are_known_before_a_run, 0, 3);
    tcase_add_test(t, ranges_are_planned_ahead);
    tcase_add_test(t, null_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
