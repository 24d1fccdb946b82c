/* What each function of the interface returns: for NULL, wrong handles and values, and for each status that loading, planning
 * and running can end with, by every way of loading and running. `make covered` compares it with the header. */
#include "support/api_help.h"
#include "support/interpose.h"
#include "support/little_model.h"
#include "support/memory_file.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAD ONNX_INFER_E_INVALID_ARGUMENT
static const int64_t two[1] = {2};

/* --- loading ------------------------------------------------------------------------------------------------------- */

enum { CANCEL = 1, NODES = 2, NO_MEMORY = 4, UNKNOWN_TYPE = 8, CUT = 16, NO_SUCH_OUTPUT = 32 };

static const struct {
    onnx_infer_status expected;
    int how;
    const char *text;
    onnx_infer_status peeked; /* what onnx_infer_model_peek_file says of it */
} loads[] = {
    {ONNX_INFER_OK, 0, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_OUT_OF_MEMORY, NO_MEMORY, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_E_OUT_OF_MEMORY},
    {ONNX_INFER_E_IO, 0, "in x float 2\nhole w float 2 none.bin\ny = Add(x, w)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_PARSE, CUT, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_E_PARSE},
    {ONNX_INFER_E_INVALID_MODEL, 0, "in x float 2\ny = Relu(x) alphabet=1\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_INVALID_MODEL, 0, "in x float 2\ny = Relu(nothing)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_UNSUPPORTED_OP, 0, "in x float 2\ny = NoSuch(x)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_UNSUPPORTED_TYPE, UNKNOWN_TYPE, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_UNSUPPORTED_VERSION, 0, "in x float 2\ny = ai.onnx.ml::Binarizer(x)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_SHAPE_MISMATCH, 0, "in x float 2\nconst w float 3 1 2 3\ny = Add(x, w)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_TYPE_MISMATCH, 0, "in x float 2\nin k int64 2\ny = Add(x, k)\nout y float 2", ONNX_INFER_OK},
    {ONNX_INFER_E_CANCELLED, CANCEL, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_E_CANCELLED},
    {ONNX_INFER_E_NOT_FOUND, NO_SUCH_OUTPUT, "in x float 2\ny = Relu(x)\nout y float 2", ONNX_INFER_E_NOT_FOUND},
    {ONNX_INFER_E_LIMIT, NODES, "in x float 2\na = Relu(x)\nb = Relu(a)\ny = Relu(b)\nout y float 2", ONNX_INFER_E_LIMIT},
};

typedef struct {
    const little_bytes *bytes;
    char path[200];
} source;

static int64_t source_size(void *user)
{
    return (int64_t)((source *)user)->bytes->n;
}

static int64_t source_read(void *user, uint64_t offset, void *to, size_t n)
{
    memcpy(to, ((source *)user)->bytes->at + offset, n);
    return (int64_t)n;
}

static onnx_infer_status load_file(source *s, const onnx_infer_options *o, onnx_infer_model **m)
{
    return onnx_infer_model_load_file(s->path, o, m);
}

static onnx_infer_status load_memory(source *s, const onnx_infer_options *o, onnx_infer_model **m)
{
    return onnx_infer_model_load_memory(s->bytes->at, s->bytes->n, NULL, NULL, o, m);
}

static onnx_infer_status load_reader(source *s, const onnx_infer_options *o, onnx_infer_model **m)
{
    onnx_infer_reader r = {.struct_size = sizeof r, .user = s, .size = source_size, .read_at = source_read};
    return onnx_infer_model_load_reader(&r, o, m);
}

static onnx_infer_status open_context(source *s, const onnx_infer_options *o, onnx_infer_model **m)
{
    onnx_infer_context *c;
    onnx_infer_status st = onnx_infer_context_open(s->path, o, &c);
    *m = st ? NULL : onnx_infer_model_retain((onnx_infer_model *)onnx_infer_plan_model(onnx_infer_context_plan(c)));
    ck_assert(!st == (c != NULL));
    onnx_infer_context_free(c);
    return st;
}

static void *refuse(void *user, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    return NULL;
}

static void refuse_free(void *user, void *p, size_t size, size_t align)
{
    (void)user, (void)p, (void)size, (void)align;
}

static const onnx_infer_allocator no_memory = {sizeof no_memory, NULL, refuse, refuse_free};

/* The model of a row; an element type that nobody knows takes the place of the first float32. */
static little_bytes bytes_of(const char *text, int how)
{
    little_bytes g = little_graph(text, NULL), m = little_model_with(&g, strstr(text, "ai.onnx.ml") ? "ai.onnx.ml" : NULL, 99);
    for (size_t i = 0; (how & UNKNOWN_TYPE) && i + 2 < m.n; i++) {
        if (!memcmp(m.at + i, "\x08\x01\x12", 3)) {
            m.at[i + 1] = 99;
            how = 0;
        }
    }
    if (how & CUT)
        m.n -= 3;
    little_free(&g);
    return m;
}

START_TEST(every_way_of_loading)
{
    static onnx_infer_status (*const ways[])(source *, const onnx_infer_options *, onnx_infer_model **) = {load_file, load_memory,
                                                                                                          load_reader, open_context};
    int how = loads[_i].how;
    little_bytes bytes = bytes_of(loads[_i].text, how);
    source s = {&bytes, "/tmp/onnx_infer_contract.XXXXXX"};
    int fd = mkstemp(s.path);
    ck_assert(fd >= 0 && write(fd, bytes.at, bytes.n) == (ssize_t)bytes.n);
    close(fd);
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_cancel *cancel;
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_options_set_cancel(o, cancel));
    if (how & CANCEL)
        onnx_infer_cancel_fire(cancel);
    if (how & NO_SUCH_OUTPUT)
        OK(onnx_infer_options_set_outputs(o, 1, (const char *const[]){"nobody"}));
    if (how & NODES)
        OK(onnx_infer_options_set_limit(o, "nodes", 1));
    if (how & NO_MEMORY)
        OK(onnx_infer_options_set_allocator(o, &no_memory));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        onnx_infer_model *m = (onnx_infer_model *)&s;
        FAILS(ways[i](&s, o, &m), loads[_i].expected);
        ck_assert(!loads[_i].expected == (m != NULL));
        onnx_infer_model_release(m);
    }
    onnx_infer_model *m = (onnx_infer_model *)&s;
    FAILS(onnx_infer_model_peek_file(s.path, o, &m), loads[_i].peeked);
    ck_assert(!loads[_i].peeked == (m != NULL));
    if (m && loads[_i].expected) { /* it says what is wrong, and makes no plan */
        onnx_infer_plan *p;
        ck_assert_uint_ge(onnx_infer_model_issue_count(m), 1);
        ck_assert_int_eq(onnx_infer_error_code(onnx_infer_model_issue(m, 0)), loads[_i].expected);
        ck_assert_ptr_null(onnx_infer_model_issue(m, 99));
        FAILS(onnx_infer_plan_create(m, o, &p), loads[_i].expected);
    }
    onnx_infer_model_release(m);
    onnx_infer_options_free(o);
    onnx_infer_cancel_free(cancel);
    unlink(s.path);
    little_free(&bytes);
}
END_TEST

START_TEST(files_that_are_not_there)
{
    onnx_infer_model *m;
    onnx_infer_context *c;
    onnx_infer_reader r = {.struct_size = sizeof r, .size = source_size};
    FAILS(onnx_infer_model_load_file("/no/such/model.onnx", NULL, &m), ONNX_INFER_E_IO);
    FAILS(onnx_infer_model_peek_file("/no/such/model.onnx", NULL, &m), ONNX_INFER_E_IO);
    FAILS(onnx_infer_context_open("/no/such/model.onnx", NULL, &c), ONNX_INFER_E_IO);
    FAILS(onnx_infer_model_load_file(NULL, NULL, &m), BAD);
    FAILS(onnx_infer_model_load_file("x", NULL, NULL), BAD);
    FAILS(onnx_infer_model_peek_file(NULL, NULL, &m), BAD);
    FAILS(onnx_infer_model_peek_file("x", NULL, NULL), BAD);
    FAILS(onnx_infer_context_open(NULL, NULL, &c), BAD);
    FAILS(onnx_infer_context_open("x", NULL, NULL), BAD);
    FAILS(onnx_infer_model_load_memory(NULL, 9, NULL, NULL, NULL, &m), BAD);
    FAILS(onnx_infer_model_load_memory("", 0, NULL, NULL, NULL, NULL), BAD);
    FAILS(onnx_infer_model_load_memory(NULL, 0, NULL, NULL, NULL, &m), ONNX_INFER_E_PARSE);
    FAILS(onnx_infer_model_load_reader(NULL, NULL, &m), BAD);
    FAILS(onnx_infer_model_load_reader(&r, NULL, NULL), BAD);
    FAILS(onnx_infer_model_load_reader(&r, NULL, &m), BAD); /* it has no read_at */
    r.struct_size = 1;
    FAILS(onnx_infer_model_load_reader(&r, NULL, &m), BAD);
    ck_assert_ptr_null(m);
}
END_TEST

/* --- planning -------------------------------------------------------------------------------------------------------- */

START_TEST(plans)
{
    onnx_infer_model *m = help_model("in x float Nx2\nconst w float 2 1 2\nconst s int64 2 3 2\na = Reshape(x, s)\ny = Add(a, w)\n"
                                     "out y float 3x2");
    onnx_infer_plan *p;
    onnx_infer_context *c;
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_cancel *cancel;
    onnx_infer_memory memory = {.struct_size = sizeof memory};
    onnx_infer_event event = {.struct_size = sizeof event};
    FAILS(onnx_infer_plan_create(NULL, NULL, &p), BAD);
    FAILS(onnx_infer_plan_create(m, NULL, NULL), BAD);
    OK(onnx_infer_options_set_input_shape(o, "nobody", 1, two));
    FAILS(onnx_infer_plan_create(m, o, &p), ONNX_INFER_E_NOT_FOUND);
    ck_assert_ptr_null(p);
    onnx_infer_options_free(o);
    o = help_options(2, 1);
    OK(onnx_infer_options_set_input_shape(o, "x", 1, two));
    FAILS(onnx_infer_plan_create(m, o, &p), ONNX_INFER_E_SHAPE_MISMATCH);
    onnx_infer_options_free(o);
    o = help_options(2, 1);
    OK(onnx_infer_options_set_limit(o, "tensor_bytes", 8));
    OK(onnx_infer_options_set_symbol(o, "N", 3));
    FAILS(onnx_infer_plan_create(m, o, &p), ONNX_INFER_E_LIMIT);
    onnx_infer_options_free(o);
    o = help_options(2, 1);
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_options_set_cancel(o, cancel));
    onnx_infer_cancel_fire(cancel);
    OK(onnx_infer_options_set_symbol(o, "N", 3));
    FAILS(onnx_infer_plan_create(m, o, &p), ONNX_INFER_E_CANCELLED);
    onnx_infer_cancel_reset(cancel);
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_plan_memory(p, &memory));
    OK(onnx_infer_plan_step(p, 0, &event));
    FAILS(onnx_infer_plan_memory(p, NULL), BAD);
    FAILS(onnx_infer_plan_memory(NULL, &memory), BAD);
    FAILS(onnx_infer_plan_step(NULL, 0, &event), BAD);
    FAILS(onnx_infer_plan_step(p, 0, NULL), BAD);
    FAILS(onnx_infer_plan_step(p, 99, &event), ONNX_INFER_E_NOT_FOUND);
    event.struct_size = 1;
    FAILS(onnx_infer_plan_step(p, 0, &event), BAD);
    FAILS(onnx_infer_context_create(NULL, &c), BAD);
    FAILS(onnx_infer_context_create(p, NULL), BAD);
    ck_assert(onnx_infer_plan_retain(p) == p);
    onnx_infer_plan_release(p);
    ck_assert_ptr_null(onnx_infer_plan_retain(NULL));
    onnx_infer_plan_release(NULL);
    ck_assert_ptr_null(onnx_infer_plan_model(NULL));
    ck_assert_uint_eq(onnx_infer_plan_step_count(NULL), 0);
    ck_assert_ptr_null(onnx_infer_context_plan(NULL));
    OK(onnx_infer_context_create(p, &c));
    FAILS(onnx_infer_context_memory(NULL, &memory), BAD);
    FAILS(onnx_infer_context_memory(c, NULL), BAD);
    onnx_infer_context_free(c);
    onnx_infer_context_free(NULL);
    onnx_infer_plan_release(p);

    OK(onnx_infer_plan_create(m, NULL, &p)); /* open, and nothing has run */
    FAILS(onnx_infer_plan_memory(p, &memory), ONNX_INFER_E_DATA_DEPENDENT);
    onnx_infer_plan_release(p);
    onnx_infer_options_free(o);
    onnx_infer_cancel_free(cancel);
    onnx_infer_model_release(m);
}
END_TEST

START_TEST(opening_by_an_input_that_is_not_there)
{
    source s = {NULL, "/tmp/onnx_infer_contract.XXXXXX"};
    little_bytes bytes = bytes_of(loads[0].text, 0);
    int fd = mkstemp(s.path);
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_context *c;
    ck_assert(fd >= 0 && write(fd, bytes.at, bytes.n) == (ssize_t)bytes.n);
    close(fd);
    OK(onnx_infer_options_set_input_shape(o, "nobody", 1, two));
    FAILS(onnx_infer_context_open(s.path, o, &c), ONNX_INFER_E_NOT_FOUND);
    ck_assert_ptr_null(c);
    unlink(s.path);
    onnx_infer_options_free(o);
    little_free(&bytes);
}
END_TEST

/* --- plans in files -------------------------------------------------------------------------------------------------- */

static onnx_infer_status not_run(void *kernel, onnx_infer_op_context *x)
{
    (void)kernel;
    return onnx_infer_op_fail(x, ONNX_INFER_E_BACKEND, "not to be run");
}

START_TEST(saved_plans)
{
    memory_file s = {0};
    onnx_infer_writer w = memory_file_writer(&s);
    onnx_infer_reader r = memory_file_reader(&s);
    const onnx_infer_op_def ours = {.struct_size = sizeof ours, .domain = "ours", .name = "Op", .compute = not_run,
                                    .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1};
    little_bytes g = little_graph("in x float Nx2\na = Relu(x)\ny = ours::Op(a)\nout y float ?", NULL);
    little_bytes bytes = little_model_with(&g, "ours", 1);
    onnx_infer_options *with = help_options(2, 1), *o;
    onnx_infer_model *m;
    onnx_infer_plan *p;
    onnx_infer_cancel *cancel;
    OK(onnx_infer_options_add_op(with, &ours));
    OK(onnx_infer_model_load_memory(bytes.at, bytes.n, NULL, NULL, with, &m));
    OK(onnx_infer_plan_create(m, with, &p));
    OK(onnx_infer_plan_save(p, &w));
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    FAILS(onnx_infer_plan_load(&r, NULL, &p), ONNX_INFER_E_UNSUPPORTED_OP);
    OK(onnx_infer_plan_load(&r, with, &p));
    onnx_infer_plan_release(p);
    OK(onnx_infer_cancel_create(&cancel));
    onnx_infer_cancel_fire(cancel);
    OK(onnx_infer_options_set_cancel(with, cancel));
    FAILS(onnx_infer_plan_load(&r, with, &p), ONNX_INFER_E_CANCELLED);
    OK(onnx_infer_options_set_cancel(with, NULL));
    OK(onnx_infer_options_set_input_shape(with, "x", 1, two));
    FAILS(onnx_infer_plan_load(&r, with, &p), ONNX_INFER_E_SHAPE_MISMATCH);
    ck_assert_ptr_null(p);
    o = help_options(2, 1);
    OK(onnx_infer_options_add_op(o, &ours));
    OK(onnx_infer_options_set_limit(o, "nodes", 1));
    FAILS(onnx_infer_plan_load(&r, o, &p), ONNX_INFER_E_LIMIT);
    onnx_infer_options_free(o);
    onnx_infer_options_free(with);
    onnx_infer_cancel_free(cancel);
    little_free(&bytes);
    little_free(&g);
    free(s.at);
}
END_TEST

/* Weights of 2 GiB: a hole in a file. */
START_TEST(plans_too_large_to_save)
{
    char folder[] = "/tmp/onnx_infer_contract.XXXXXX", path[100], data[100];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    snprintf(data, sizeof data, "%s/w.bin", folder);
    little_bytes bytes = bytes_of("in k int64 1\nhole w float 536870912 w.bin\ny = Gather(w, k)\nout y float 1", 0);
    FILE *f = fopen(path, "wb"), *hole = fopen(data, "wb");
    ck_assert(f && hole && fwrite(bytes.at, 1, bytes.n, f) == bytes.n && !ftruncate(fileno(hole), (off_t)2 << 30));
    fclose(hole);
    fclose(f);
    memory_file s = {0};
    onnx_infer_writer w = memory_file_writer(&s);
    onnx_infer_model *m;
    onnx_infer_plan *p;
    OK(onnx_infer_model_load_file(path, NULL, &m));
    OK(onnx_infer_plan_create(m, NULL, &p));
    FAILS(onnx_infer_plan_save(p, &w), ONNX_INFER_E_LIMIT);
    onnx_infer_plan_release(p);
    onnx_infer_model_release(m);
    unlink(data);
    unlink(path);
    rmdir(folder);
    little_free(&bytes);
    free(s.at);
}
END_TEST

/* --- running --------------------------------------------------------------------------------------------------------- */

enum { RUN, NAMED, BY_PLAN, BOUND, ASYNC, WAYS };
enum { FIRED = 1, LATE = 2, SMALL = 4, FULL = 8, INTEGERS = 16, LONG = 32 };

static const char *const plain = "in x float N\nin k int64 1\na = Relu(x)\ny = Reshape(a, k)\nout y float ?";
static const struct {
    onnx_infer_status expected;
    int how;
    int64_t k;
} runs[] = {
    {ONNX_INFER_OK, 0, 4},
    {ONNX_INFER_E_INVALID_MODEL, 0, -99},
    {ONNX_INFER_E_SHAPE_MISMATCH, 0, 5},
    {ONNX_INFER_E_TYPE_MISMATCH, INTEGERS, 4},
    {ONNX_INFER_E_CANCELLED, FIRED, 4},
    {ONNX_INFER_E_DEADLINE, LATE, 4},
    {ONNX_INFER_E_LIMIT, SMALL, 1000},
    {ONNX_INFER_E_OUT_OF_MEMORY, FULL, 4},
};

/* An allocator that can be told to say no. */
typedef struct {
    bool full;
} tank;

static void *tank_alloc(void *user, size_t size, size_t align)
{
    void *p = NULL;
    return ((tank *)user)->full || posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size ? size : 1) ? NULL : p;
}

static void tank_free(void *user, void *p, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    free(p);
}

static onnx_infer_status run_by(int way, onnx_infer_plan *p, onnx_infer_context *c, const onnx_infer_run_options *ro,
                                onnx_infer_value **in, onnx_infer_value **out)
{
    const onnx_infer_value *const *given = (const onnx_infer_value *const *)in;
    onnx_infer_status st;
    switch (way) {
    case RUN: return onnx_infer_run(c, ro, 2, given, 1, out);
    case NAMED: return onnx_infer_run_named(c, ro, 2, (const char *const[]){"x", "k"}, given, 1, (const char *const[]){"y"}, out);
    case BY_PLAN: return onnx_infer_plan_run(p, ro, 2, given, 1, out);
    }
    for (size_t i = 0; i < 2; i++) {
        st = onnx_infer_bind_input(c, i, in[i]);
        if (st)
            return st;
    }
    if (way == BOUND)
        return onnx_infer_run_bound(c, ro);
    st = onnx_infer_run_async(c, ro, NULL, NULL);
    return st ? st : onnx_infer_wait(c, UINT64_MAX);
}

START_TEST(every_way_of_running)
{
    int how = runs[_i].how;
    tank memory = {false};
    onnx_infer_allocator allocator = {sizeof allocator, &memory, tank_alloc, tank_free};
    onnx_infer_model *m = help_model(plain);
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_plan *p;
    onnx_infer_run_options *ro;
    onnx_infer_cancel *cancel;
    onnx_infer_value *in[2];
    const int64_t n = (how & SMALL) ? 1000 : 4;
    if (how & SMALL)
        OK(onnx_infer_options_set_limit(o, "tensor_bytes", 64));
    if (how & FULL)
        OK(onnx_infer_options_set_allocator(o, &allocator));
    OK(onnx_infer_plan_create(m, o, &p));
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_run_options_set_cancel(ro, cancel));
    OK(onnx_infer_run_options_set_deadline(ro, (how & LATE) ? 1 : 0));
    OK(onnx_infer_run_options_set_seed(ro, 1));
    if (how & FIRED)
        onnx_infer_cancel_fire(cancel);
    OK(onnx_infer_tensor_create((how & INTEGERS) ? ONNX_INFER_INT64 : ONNX_INFER_FLOAT, 1, &n, &in[0]));
    OK(onnx_infer_tensor_create(ONNX_INFER_INT64, 1, (const int64_t[]){1}, &in[1]));
    *(int64_t *)onnx_infer_tensor_mutable_data(in[1]) = runs[_i].k;
    for (int way = 0; way < WAYS; way++) {
        onnx_infer_context *c;
        onnx_infer_value *out = NULL;
        OK(onnx_infer_context_create(p, &c));
        memory.full = true;
        FAILS(run_by(way, p, c, ro, in, &out), runs[_i].expected);
        memory.full = false;
        ck_assert(way >= BOUND || !runs[_i].expected == (out != NULL));
        onnx_infer_value_release(out);
        onnx_infer_context_free(c);
    }
    for (int i = 0; i < 2; i++)
        onnx_infer_value_release(in[i]);
    onnx_infer_cancel_free(cancel);
    onnx_infer_run_options_free(ro);
    onnx_infer_plan_release(p);
    onnx_infer_options_free(o);
    onnx_infer_model_release(m);
}
END_TEST

START_TEST(wrong_runs)
{
    onnx_infer_context *c = help_context("in x float 2\ny = Relu(x)\nout y float 2", NULL);
    onnx_infer_value *in = help_floats(1, two, 0), *out = NULL;
    const onnx_infer_value *const *given = (const onnx_infer_value *const *)&in;
    const char *const x[1] = {"x"}, *const y[1] = {"y"}, *const z[1] = {"z"}, *const none[1] = {NULL};
    FAILS(onnx_infer_run(NULL, NULL, 1, given, 1, &out), BAD);
    FAILS(onnx_infer_run(c, NULL, 1, NULL, 1, &out), BAD);
    FAILS(onnx_infer_run(c, NULL, 1, given, 1, NULL), BAD);
    FAILS(onnx_infer_run_named(NULL, NULL, 1, x, given, 1, y, &out), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, NULL, given, 1, y, &out), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, x, NULL, 1, y, &out), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, x, given, 1, NULL, &out), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, x, given, 1, y, NULL), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, none, given, 1, y, &out), BAD);
    FAILS(onnx_infer_run_named(c, NULL, 1, z, given, 1, y, &out), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_run_named(c, NULL, 1, x, given, 1, z, &out), ONNX_INFER_E_NOT_FOUND);
    ck_assert_ptr_null(out);
    FAILS(onnx_infer_context_trim(NULL), BAD);
    onnx_infer_value_release(in);
    onnx_infer_context_free(c);
}
END_TEST

static void *no_room(void *user, size_t output, onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, size_t bytes, size_t align)
{
    (void)user, (void)output, (void)dtype, (void)rank, (void)dims, (void)bytes, (void)align;
    return NULL;
}

START_TEST(asynchronous_runs_into_the_wrong_memory)
{
    onnx_infer_context *c = help_context("in x float 2\ny = Relu(x)\ntext = Cast(x) to=8\nout y float 2\nout text ? ?", NULL);
    onnx_infer_value *in = help_floats(1, two, 0);
    OK(onnx_infer_bind_input(c, 0, in));
    OK(onnx_infer_bind_output_fn(c, 0, no_room, NULL));
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    FAILS(onnx_infer_wait(c, UINT64_MAX), ONNX_INFER_E_BUFFER_TOO_SMALL);
    OK(onnx_infer_bind_output_fn(c, 0, NULL, NULL));
    OK(onnx_infer_bind_output_fn(c, 1, no_room, NULL)); /* no function takes strings */
    OK(onnx_infer_run_async(c, NULL, NULL, NULL));
    FAILS(onnx_infer_wait(c, UINT64_MAX), ONNX_INFER_E_TYPE_MISMATCH);
    onnx_infer_value_release(in);
    onnx_infer_context_free(c);
}
END_TEST

/* --- options --------------------------------------------------------------------------------------------------------- */

static int go_on(void *user, size_t done, size_t total)
{
    (void)user, (void)done, (void)total;
    return 0;
}

static void say_nothing(void *user, onnx_infer_log_level level, const char *message)
{
    (void)user, (void)level, (void)message;
}

START_TEST(options)
{
    onnx_infer_options *o = help_options(2, 1);
    onnx_infer_allocator a = no_memory;
    FAILS(onnx_infer_options_create(NULL), BAD);
    FAILS(onnx_infer_options_set_symbol(NULL, "N", 1), BAD);
    FAILS(onnx_infer_options_set_symbol(o, NULL, 1), BAD);
    FAILS(onnx_infer_options_set_symbol(o, "N", -1), BAD);
    OK(onnx_infer_options_set_symbol(o, "N", 1));
    FAILS(onnx_infer_options_set_input_shape(NULL, "x", 1, two), BAD);
    FAILS(onnx_infer_options_set_input_shape(o, NULL, 1, two), BAD);
    FAILS(onnx_infer_options_set_input_shape(o, "x", 1, NULL), BAD);
    FAILS(onnx_infer_options_set_input_shape(o, "x", -1, two), BAD);
    OK(onnx_infer_options_set_input_shape(o, "x", 1, two));
    FAILS(onnx_infer_options_set_level(NULL, 1), BAD);
    FAILS(onnx_infer_options_set_level(o, 3), BAD);
    FAILS(onnx_infer_options_set_backend(NULL, "cpu"), BAD);
    FAILS(onnx_infer_options_set_backend(o, NULL), BAD);
    FAILS(onnx_infer_options_set_backend(o, "abacus"), ONNX_INFER_E_BACKEND_UNAVAILABLE);
    OK(onnx_infer_options_set_backend(o, "cpu"));
    FAILS(onnx_infer_options_set_cpu_isa(NULL, "generic"), BAD);
    FAILS(onnx_infer_options_set_cpu_isa(o, NULL), BAD);
    FAILS(onnx_infer_options_set_cpu_isa(o, "abacus"), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_options_set_cpu_isa(o, strcmp(onnx_infer_cpu_isa(), "neon") ? "neon" : "avx2"), ONNX_INFER_E_BACKEND_UNAVAILABLE);
    OK(onnx_infer_options_set_cpu_isa(o, onnx_infer_cpu_isa()));
    FAILS(onnx_infer_options_set_threads(NULL, 1), BAD);
    FAILS(onnx_infer_options_set_threads(o, -1), BAD);
    FAILS(onnx_infer_options_set_allocator(NULL, &a), BAD);
    FAILS(onnx_infer_options_set_allocator(o, NULL), BAD);
    a.free = NULL;
    FAILS(onnx_infer_options_set_allocator(o, &a), BAD);
    FAILS(onnx_infer_options_set_limit(NULL, "nodes", 1), BAD);
    FAILS(onnx_infer_options_set_limit(o, NULL, 1), BAD);
    FAILS(onnx_infer_options_set_limit(o, "patience", 1), ONNX_INFER_E_NOT_FOUND);
    FAILS(onnx_infer_options_set_progress(NULL, go_on, NULL), BAD);
    OK(onnx_infer_options_set_progress(o, go_on, NULL));
    OK(onnx_infer_options_set_progress(o, NULL, NULL));
    FAILS(onnx_infer_options_set_log(NULL, say_nothing, NULL, ONNX_INFER_LOG_DEBUG), BAD);
    OK(onnx_infer_options_set_log(o, say_nothing, NULL, ONNX_INFER_LOG_DEBUG));
    OK(onnx_infer_options_set_log(o, NULL, NULL, ONNX_INFER_LOG_DEBUG));
    FAILS(onnx_infer_options_set_cancel(NULL, NULL), BAD);
    OK(onnx_infer_options_set_cancel(o, NULL));
    onnx_infer_options_free(o);
    onnx_infer_options_free(NULL);
}
END_TEST

START_TEST(run_options)
{
    onnx_infer_run_options *ro;
    onnx_infer_cancel *cancel;
    onnx_infer_profile *profile;
    onnx_infer_event event = {.struct_size = sizeof event};
    FAILS(onnx_infer_run_options_create(NULL), BAD);
    FAILS(onnx_infer_cancel_create(NULL), BAD);
    FAILS(onnx_infer_profile_create(NULL), BAD);
    OK(onnx_infer_run_options_create(&ro));
    OK(onnx_infer_cancel_create(&cancel));
    OK(onnx_infer_profile_create(&profile));
    FAILS(onnx_infer_run_options_set_cancel(NULL, cancel), BAD);
    OK(onnx_infer_run_options_set_cancel(ro, NULL));
    FAILS(onnx_infer_run_options_set_deadline(NULL, 1), BAD);
    FAILS(onnx_infer_run_options_set_profile(NULL, profile), BAD);
    OK(onnx_infer_run_options_set_profile(ro, NULL));
    FAILS(onnx_infer_run_options_set_seed(NULL, 1), BAD);
    FAILS(onnx_infer_profile_get(NULL, 0, &event), BAD);
    FAILS(onnx_infer_profile_get(profile, 0, NULL), BAD);
    FAILS(onnx_infer_profile_get(profile, 0, &event), ONNX_INFER_E_NOT_FOUND);
    ck_assert_uint_eq(onnx_infer_profile_count(NULL), 0);
    onnx_infer_cancel_fire(NULL);
    onnx_infer_cancel_reset(NULL);
    onnx_infer_cancel_free(cancel);
    onnx_infer_cancel_free(NULL);
    onnx_infer_profile_free(profile);
    onnx_infer_profile_free(NULL);
    onnx_infer_run_options_free(ro);
    onnx_infer_run_options_free(NULL);
}
END_TEST

/* --- values ---------------------------------------------------------------------------------------------------------- */

START_TEST(values)
{
    float data[2] = {1, 2};
    const int64_t huge[3] = {INT64_MAX / 2, 4, 4}, negative[1] = {-1};
    onnx_infer_value *v, *s, *list, *maybe, *map, *three, *other;
    size_t n;
    FAILS(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, two, NULL), BAD);
    FAILS(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, NULL, &v), BAD);
    FAILS(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, negative, &v), BAD);
    FAILS(onnx_infer_tensor_create(999, 1, two, &v), ONNX_INFER_E_UNSUPPORTED_TYPE);
    FAILS(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 3, huge, &v), ONNX_INFER_E_LIMIT);
    ck_assert_ptr_null(v);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, two, data, sizeof data, NULL, NULL, NULL), BAD);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, NULL, data, sizeof data, NULL, NULL, &v), BAD);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, two, NULL, sizeof data, NULL, NULL, &v), BAD);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, two, (char *)data + 1, sizeof data, NULL, NULL, &v), BAD);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, two, data, 7, NULL, NULL, &v), ONNX_INFER_E_BUFFER_TOO_SMALL);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_STRING, 1, two, data, sizeof data, NULL, NULL, &v), ONNX_INFER_E_UNSUPPORTED_TYPE);
    FAILS(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 3, huge, data, sizeof data, NULL, NULL, &v), ONNX_INFER_E_LIMIT);
    ck_assert_ptr_null(v);

    v = help_floats(1, two, 0);
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 1, two, &s));
    FAILS(onnx_infer_tensor_set_string(NULL, 0, "a", 1), BAD);
    FAILS(onnx_infer_tensor_set_string(s, 0, NULL, 1), BAD);
    FAILS(onnx_infer_tensor_set_string(s, 2, "a", 1), BAD);
    FAILS(onnx_infer_tensor_set_string(v, 0, "a", 1), BAD);
    OK(onnx_infer_tensor_set_string(s, 0, "a", 1));
    OK(onnx_infer_tensor_set_string(s, 1, NULL, 0));
    ck_assert_str_eq(onnx_infer_tensor_string(s, 0, NULL), "a");
    ck_assert_str_eq(onnx_infer_tensor_string(s, 1, &n), "");
    ck_assert_uint_eq(n, 0);
    ck_assert_ptr_null(onnx_infer_tensor_string(NULL, 0, &n));
    ck_assert_ptr_null(onnx_infer_tensor_string(v, 0, &n));
    ck_assert_ptr_null(onnx_infer_tensor_data(s));

    FAILS(onnx_infer_sequence_create(NULL), BAD);
    FAILS(onnx_infer_optional_create(NULL), BAD);
    OK(onnx_infer_sequence_create(&list));
    OK(onnx_infer_optional_create(&maybe));
    FAILS(onnx_infer_value_push(NULL, v), BAD);
    FAILS(onnx_infer_value_push(list, NULL), BAD);
    FAILS(onnx_infer_value_push(list, list), BAD);
    FAILS(onnx_infer_value_push(v, v), BAD);
    FAILS(onnx_infer_value_push(v, s), ONNX_INFER_E_TYPE_MISMATCH);
    OK(onnx_infer_value_push(list, v));
    OK(onnx_infer_value_push(maybe, v));
    FAILS(onnx_infer_map_create(NULL, v, &map), BAD);
    FAILS(onnx_infer_map_create(s, NULL, &map), BAD);
    FAILS(onnx_infer_map_create(s, v, NULL), BAD);
    FAILS(onnx_infer_map_create(v, v, &map), ONNX_INFER_E_TYPE_MISMATCH);
    three = help_floats(1, (const int64_t[]){3}, 0);
    FAILS(onnx_infer_map_create(s, three, &map), ONNX_INFER_E_SHAPE_MISMATCH);
    OK(onnx_infer_map_create(s, v, &map));
    FAILS(onnx_infer_value_push(map, v), ONNX_INFER_E_TYPE_MISMATCH);

    /* Values of another kind, and none. */
    onnx_infer_value *const wrong[2] = {list, NULL};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(onnx_infer_tensor_dtype(wrong[i]), ONNX_INFER_UNDEFINED);
        ck_assert_int_eq(onnx_infer_tensor_rank(wrong[i]), -1);
        ck_assert_ptr_null(onnx_infer_tensor_dims(wrong[i]));
        ck_assert_uint_eq(onnx_infer_tensor_count(wrong[i]), 0);
        ck_assert_uint_eq(onnx_infer_tensor_bytes(wrong[i]), 0);
        ck_assert_ptr_null(onnx_infer_tensor_data(wrong[i]));
        ck_assert_ptr_null(onnx_infer_tensor_mutable_data(wrong[i]));
        ck_assert_ptr_null(onnx_infer_map_keys(wrong[i]));
        ck_assert_ptr_null(onnx_infer_map_values(wrong[i]));
    }
    ck_assert_int_eq(onnx_infer_value_kind(map), ONNX_INFER_MAP);
    ck_assert_int_eq(onnx_infer_value_kind(NULL), ONNX_INFER_TENSOR);
    ck_assert(onnx_infer_map_keys(map) == s && onnx_infer_map_values(map) == v);
    ck_assert_uint_eq(onnx_infer_value_count(NULL), 0);
    ck_assert_uint_eq(onnx_infer_value_count(maybe), 1);
    ck_assert_ptr_null(onnx_infer_value_item(NULL, 0));
    ck_assert_ptr_null(onnx_infer_value_item(list, 1));
    ck_assert_ptr_null(onnx_infer_value_retain(NULL));
    other = onnx_infer_value_retain(v);
    onnx_infer_value_release(other);
    onnx_infer_value_release(map);
    onnx_infer_value_release(three);
    onnx_infer_value_release(maybe);
    onnx_infer_value_release(list);
    onnx_infer_value_release(s);
    onnx_infer_value_release(v);
    onnx_infer_value_release(NULL);
}
END_TEST

/* --- models, ports, errors, capability ----------------------------------------------------------------------------- */

START_TEST(questions)
{
    onnx_infer_model *m = help_model("in x float Nx2\ny = Relu(x)\nout y float Nx2");
    const onnx_infer_port *in = onnx_infer_model_input(m, 0);
    const char *text;
    int64_t version;
    ck_assert_uint_eq(onnx_infer_model_input_count(NULL), 0);
    ck_assert_uint_eq(onnx_infer_model_output_count(NULL), 0);
    ck_assert_ptr_null(onnx_infer_model_input(NULL, 0));
    ck_assert_ptr_null(onnx_infer_model_output(NULL, 0));
    ck_assert_ptr_null(onnx_infer_model_input(m, 1));
    ck_assert_ptr_nonnull(onnx_infer_model_output(m, 0));
    ck_assert_int_eq(onnx_infer_model_input_index(NULL, "x"), -1);
    ck_assert_int_eq(onnx_infer_model_input_index(m, NULL), -1);
    ck_assert_int_eq(onnx_infer_model_input_index(m, "x"), 0);
    ck_assert_int_eq(onnx_infer_model_output_index(NULL, "y"), -1);
    ck_assert_int_eq(onnx_infer_model_output_index(m, NULL), -1);
    ck_assert_int_eq(onnx_infer_model_output_index(m, "y"), 0);
    ck_assert_uint_eq(onnx_infer_model_symbol_count(NULL), 0);
    ck_assert_uint_eq(onnx_infer_model_symbol_count(m), 1);
    ck_assert_ptr_null(onnx_infer_model_symbol(NULL, 0));
    ck_assert_str_eq(onnx_infer_model_symbol(m, 0), "N");
    ck_assert_ptr_null(onnx_infer_model_property(NULL, "doc"));
    ck_assert_ptr_null(onnx_infer_model_property(m, NULL));
    ck_assert_ptr_null(onnx_infer_model_property(m, "no such"));
    ck_assert_uint_eq(onnx_infer_model_opset_count(NULL), 0);
    FAILS(onnx_infer_model_opset(NULL, 0, &text, &version), BAD);
    FAILS(onnx_infer_model_opset(m, 9, &text, &version), ONNX_INFER_E_NOT_FOUND);
    ck_assert_uint_ge(onnx_infer_model_opset_count(m), 1);
    OK(onnx_infer_model_opset(m, 0, NULL, NULL));
    OK(onnx_infer_model_opset(m, 0, &text, &version));
    ck_assert_int_eq(version, 17);
    ck_assert_uint_eq(onnx_infer_model_metadata_count(NULL), 0);
    FAILS(onnx_infer_model_metadata(NULL, 0, &text, &text), BAD);
    FAILS(onnx_infer_model_metadata(m, 0, &text, &text), ONNX_INFER_E_NOT_FOUND);
    ck_assert_uint_eq(onnx_infer_model_issue_count(NULL), 0);
    ck_assert_ptr_null(onnx_infer_model_issue(NULL, 0));
    ck_assert(onnx_infer_model_retain(m) == m);
    onnx_infer_model_release(m);
    ck_assert_ptr_null(onnx_infer_model_retain(NULL));
    onnx_infer_model_release(NULL);

    ck_assert_ptr_null(onnx_infer_port_name(NULL));
    ck_assert_str_eq(onnx_infer_port_name(in), "x");
    ck_assert_int_eq(onnx_infer_port_kind(NULL), ONNX_INFER_TENSOR);
    ck_assert_int_eq(onnx_infer_port_kind(in), ONNX_INFER_TENSOR);
    ck_assert_int_eq(onnx_infer_port_dtype(NULL), ONNX_INFER_UNDEFINED);
    ck_assert_int_eq(onnx_infer_port_dtype(in), ONNX_INFER_FLOAT);
    ck_assert_int_eq(onnx_infer_port_rank(NULL), -1);
    ck_assert_int_eq(onnx_infer_port_rank(in), 2);
    ck_assert_int_eq(onnx_infer_port_dim(NULL, 0), -1);
    ck_assert_int_eq(onnx_infer_port_dim(in, 0), -1);
    ck_assert_int_eq(onnx_infer_port_dim(in, 1), 2);
    ck_assert_ptr_null(onnx_infer_port_dim_expr(NULL, 0));
    ck_assert_ptr_null(onnx_infer_port_dim_expr(in, 2));
    ck_assert_ptr_null(onnx_infer_port_dim_expr(in, -1));
    ck_assert_str_eq(onnx_infer_port_dim_expr(in, 0), "N");
    ck_assert_int_eq(onnx_infer_port_is_optional(NULL), 0);
    ck_assert_int_eq(onnx_infer_port_is_optional(in), 0);
    onnx_infer_model_release(m);
}
END_TEST

static void give_back(void *user, void *data)
{
    (void)data;
    *(bool *)user = true;
}

START_TEST(pairs_of_metadata)
{
    /* "k": "v", a field of ModelProto after the others. */
    little_bytes bytes = bytes_of(loads[0].text, 0);
    static const char pair[] = "\x72\x06\x0a\x01k\x12\x01v";
    uint8_t *longer = malloc(bytes.n + sizeof pair - 1);
    onnx_infer_model *m;
    const char *key, *value;
    memcpy(longer, bytes.at, bytes.n);
    memcpy(longer + bytes.n, pair, sizeof pair - 1);
    OK(onnx_infer_model_load_memory(longer, bytes.n + sizeof pair - 1, NULL, NULL, NULL, &m));
    ck_assert_uint_eq(onnx_infer_model_metadata_count(m), 1);
    OK(onnx_infer_model_metadata(m, 0, &key, &value));
    OK(onnx_infer_model_metadata(m, 0, NULL, NULL));
    ck_assert_str_eq(key, "k");
    ck_assert_str_eq(value, "v");
    onnx_infer_model_release(m);
    bool given_back = false; /* borrowed instead of copied */
    OK(onnx_infer_model_load_memory(longer, bytes.n + sizeof pair - 1, give_back, &given_back, NULL, &m));
    ck_assert(!given_back);
    onnx_infer_model_release(m);
    ck_assert(given_back);
    free(longer);
    little_free(&bytes);
}
END_TEST

START_TEST(errors)
{
    onnx_infer_error *kept;
    ck_assert_ptr_nonnull(onnx_infer_last_error());
    ck_assert_ptr_null(onnx_infer_error_clone(NULL));
    onnx_infer_error_free(NULL);
    ck_assert_int_eq(onnx_infer_error_code(NULL), ONNX_INFER_OK);
    ck_assert_str_eq(onnx_infer_error_message(NULL), "");
    ck_assert_str_eq(onnx_infer_error_node(NULL), "");
    ck_assert_str_eq(onnx_infer_error_op(NULL), "");
    ck_assert_str_eq(onnx_infer_error_tensor(NULL), "");
    ck_assert_str_eq(onnx_infer_error_symbol(NULL), "");
    ck_assert_int_eq(onnx_infer_error_axis(NULL), -1);
    ck_assert_int_eq(onnx_infer_error_got(NULL), -1);
    ck_assert_int_eq(onnx_infer_error_expected(NULL), -1);
    FAILS(onnx_infer_options_create(NULL), BAD);
    kept = onnx_infer_error_clone(onnx_infer_last_error());
    FAILS(onnx_infer_context_open("/no/such", NULL, &(onnx_infer_context *){NULL}), ONNX_INFER_E_IO);
    ck_assert_int_eq(onnx_infer_error_code(kept), BAD);
    ck_assert_ptr_nonnull(strstr(onnx_infer_error_message(kept), "out"));
    onnx_infer_error *kept2 = onnx_infer_error_clone(kept);
    onnx_infer_error_free(kept);
    ck_assert_str_eq(onnx_infer_status_name(ONNX_INFER_E_PARSE), "E_PARSE");
    ck_assert_ptr_nonnull(onnx_infer_status_name(12345));
    ck_assert_str_eq(onnx_infer_error_node(kept2), "");
    onnx_infer_error_free(kept2);
    ck_assert_int_eq(onnx_infer_max_opset(NULL), 0);
    ck_assert_int_gt(onnx_infer_max_opset(""), 20);
    ck_assert_int_gt(onnx_infer_max_ir_version(), 8);
    ck_assert_uint_eq(onnx_infer_version_number(),
                      ONNX_INFER_VERSION_MAJOR << 16 | ONNX_INFER_VERSION_MINOR << 8 | ONNX_INFER_VERSION_PATCH);
    ck_assert_int_ge(onnx_infer_default_threads(), 1);
    ck_assert_ptr_null(onnx_infer_op_name(onnx_infer_op_count()));
    ck_assert_ptr_null(onnx_infer_op_domain(onnx_infer_op_count()));
}
END_TEST

/* --- no memory --------------------------------------------------------------------------------------------------------- */

#define EMPTY(call)                                                          \
    do {                                                                     \
        interpose_fail(1);                                                   \
        onnx_infer_status st_ = (call);                                      \
        interpose_fail(0);                                                   \
        ck_assert_msg(st_ == ONNX_INFER_E_OUT_OF_MEMORY, "%s: %s", #call, onnx_infer_status_name(st_)); \
        ck_assert_int_eq(onnx_infer_error_code(onnx_infer_last_error()), ONNX_INFER_E_OUT_OF_MEMORY);   \
    } while (0)

START_TEST(nothing_left)
{
    onnx_infer_options *o = help_options(2, 1), *o2;
    onnx_infer_run_options *ro;
    onnx_infer_cancel *cancel;
    onnx_infer_profile *profile;
    onnx_infer_value *v = help_floats(1, two, 0), *v2, *s, *list;
    float data[2];
    EMPTY(onnx_infer_options_create(&o2));
    EMPTY(onnx_infer_options_set_symbol(o, "N", 1));
    EMPTY(onnx_infer_options_set_symbol_range(o, "M", 1, 2, 3));
    EMPTY(onnx_infer_options_set_input_shape(o, "x", 1, two));
    EMPTY(onnx_infer_options_set_cache_dir(o, "/tmp"));
    EMPTY(onnx_infer_run_options_create(&ro));
    EMPTY(onnx_infer_cancel_create(&cancel));
    EMPTY(onnx_infer_profile_create(&profile));
    EMPTY(onnx_infer_tensor_create(ONNX_INFER_FLOAT, 1, two, &v2));
    ck_assert_ptr_null(v2);
    EMPTY(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 1, two, data, sizeof data, NULL, NULL, &v2));
    EMPTY(onnx_infer_sequence_create(&v2));
    EMPTY(onnx_infer_optional_create(&v2));
    OK(onnx_infer_sequence_create(&list));
    EMPTY(onnx_infer_value_push(list, v));
    ck_assert_uint_eq(onnx_infer_value_count(list), 0);
    OK(onnx_infer_tensor_create(ONNX_INFER_STRING, 1, two, &s));
    EMPTY(onnx_infer_tensor_set_string(s, 0, "a text that is too long to be kept inside of the tensor itself", 60));
    ck_assert_str_eq(onnx_infer_tensor_string(s, 0, NULL), "");
    EMPTY(onnx_infer_map_create(s, v, &v2));
    onnx_infer_context *c = help_context("in x float N\ny = Relu(x)\nout y float N", NULL), *copy;
    int32_t rank;
    int64_t dims[1];
    EMPTY(onnx_infer_context_clone(c, &copy));
    ck_assert_ptr_null(copy);
    EMPTY(onnx_infer_plan_output_shape(onnx_infer_context_plan(c), 1, (const int32_t[]){1}, (const int64_t *const[]){two}, 0, &rank,
                                       dims, 1));
    OK(onnx_infer_plan_output_shape(onnx_infer_context_plan(c), 1, (const int32_t[]){1}, (const int64_t *const[]){two}, 0, &rank,
                                    dims, 1));
    onnx_infer_context_free(c);
    onnx_infer_value_release(s);
    onnx_infer_value_release(list);
    onnx_infer_value_release(v);
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("contract");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_way_of_loading, 0, sizeof loads / sizeof *loads);
    tcase_add_test(t, files_that_are_not_there);
    tcase_add_test(t, plans);
    tcase_add_test(t, saved_plans);
    tcase_add_test(t, plans_too_large_to_save);
    tcase_add_test(t, opening_by_an_input_that_is_not_there);
    tcase_add_loop_test(t, every_way_of_running, 0, sizeof runs / sizeof *runs);
    tcase_add_test(t, wrong_runs);
    tcase_add_test(t, asynchronous_runs_into_the_wrong_memory);
    tcase_add_test(t, options);
    tcase_add_test(t, run_options);
    tcase_add_test(t, values);
    tcase_add_test(t, questions);
    tcase_add_test(t, pairs_of_metadata);
    tcase_add_test(t, errors);
    tcase_add_test(t, nothing_left);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
