/* Graphs as bytes: the same graph comes back at every stage; cut off, flipped and forged bytes never do harm. */
#include "onnx/model_bytes.h"
#include "ops/infer.h"
#include "optimizer/optimizer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const models[] = {"simple_cnn", "dummy_cell_state", "my_module_if", "model_3_script", "bicubic_resize_dynamic",
                                     "clip_export"};
enum { N_MODELS = sizeof models / sizeof *models, MOST = 4096 };

/* Constants that are not small, kept by number. */
typedef struct {
    oi_tensor at[MOST];
    uint32_t n;
} shelf;

static oi_status put(void *user, const oi_tensor *t, oi_const_ref *ref)
{
    shelf *s = user;
    ck_assert_uint_lt(s->n, MOST);
    *ref = (oi_const_ref){7, s->n, 11};
    oi_tensor_share(&s->at[s->n++], t);
    return ONNX_INFER_OK;
}

static oi_status get(void *user, const oi_const_ref *ref, oi_tensor *t)
{
    const shelf *s = user;
    OI_FAIL_IF(ref->place != 7 || ref->at != 11 || ref->index >= s->n || s->at[ref->index].bytes != t->bytes, ONNX_INFER_E_CACHE_STALE,
               "no such constant");
    t->data = s->at[ref->index].data;
    t->buf = oi_buffer_retain(s->at[ref->index].buf);
    return ONNX_INFER_OK;
}

static void clear(shelf *s)
{
    while (s->n)
        oi_tensor_clear(&s->at[--s->n]);
}

static oi_onnx_model *load(const char *name, oi_stage stage)
{
    char path[1000];
    const char *top = getenv("top_srcdir");
    const oi_cpu_isa isa = oi_cpu_isa_detect();
    const oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_onnx_model *m;
    snprintf(path, sizeof path, "%s/tests/data/seed-models/%s/model.onnx", top ? top : "..", name);
    ck_assert_msg(!oi_onnx_load_file(path, NULL, &m), "%s", oi_error_current()->message);
    ck_assert_msg(!oi_optimize(m->graph, stage, &target), "%s", oi_error_current()->message);
    if (stage == OI_STAGE_TYPED)
        ck_assert(!oi_infer_graph(m->graph));
    return m;
}

static int append(void *user, const void *p, size_t n)
{
    oi_blob_put(user, p, n, 1);
    return 0;
}

static oi_blob text_of(const oi_graph *g)
{
    oi_blob b = {0};
    const oi_writer w = {&b, append};
    ck_assert(!oi_graph_dump_text(g, &w) && !oi_graph_dump_json(g, &w));
    return b;
}

/* Reads a copy that ends where the bytes end, so that a sanitizer sees reads past them. */
static void free_copy(void *user, void *data)
{
    (void)user;
    free(data);
}

static oi_status try(const uint8_t *p, size_t n, shelf *s, oi_onnx_model **out)
{
    uint8_t *exact = malloc(n ? n : 1);
    const oi_const_reader r = {get, s};
    const oi_bytes none = {0};
    oi_onnx_model *m = NULL;
    oi_buffer *buf;
    if (n)
        memcpy(exact, p, n);
    ck_assert(!oi_buffer_wrap(NULL, exact, n, free_copy, NULL, &buf));
    oi_cursor c = {.data = exact, .n = n};
    oi_status status = oi_onnx_model_read(&c, NULL, NULL, buf, &r, &none, &m);
    if (status == ONNX_INFER_OK && out) {
        *out = m;
        oi_buffer_release(buf);
        return status;
    }
    ck_assert(status == ONNX_INFER_OK || status == ONNX_INFER_E_CACHE_STALE || status == ONNX_INFER_E_OUT_OF_MEMORY ||
              status == ONNX_INFER_E_LIMIT);
    if (status == ONNX_INFER_OK) {
        oi_blob text = text_of(m->graph);
        oi_free_mem(NULL, text.at);
    }
    oi_onnx_free(m);
    oi_buffer_release(buf);
    return status;
}

START_TEST(the_same_comes_back)
{
    static const oi_stage stages[] = {OI_STAGE_TYPED, OI_STAGE_DECLUTTERED, OI_STAGE_LOWERED};
    for (int k = 0; k < N_MODELS; k++) {
        shelf s = {.n = 0};
        oi_blob b = {0};
        oi_onnx_model *m = load(models[k], stages[_i]), *back = NULL;
        const oi_const_writer w = {put, &s};
        ck_assert_msg(!oi_onnx_model_write(m, &b, &w), "%s", oi_error_current()->message);
        ck_assert_msg(!try(b.at, b.n, &s, &back), "%s: %s", models[k], oi_error_current()->message);
        oi_blob one = text_of(m->graph), two = text_of(back->graph);
        ck_assert_msg(one.n == two.n && !memcmp(one.at, two.at, one.n), "%s", models[k]);
        ck_assert(back->ninput == m->ninput && back->noutput == m->noutput && back->nopset == m->nopset);
        ck_assert(back->graph->stage == stages[_i]);
        oi_onnx_free(back);
        oi_onnx_free(m);
        clear(&s);
        oi_free_mem(NULL, one.at);
        oi_free_mem(NULL, two.at);
        oi_free_mem(NULL, b.at);
    }
}
END_TEST

START_TEST(forged_bytes_do_no_harm)
{
    static const uint32_t forged[] = {0, 1, 2, 9, 255, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    shelf s = {.n = 0};
    oi_blob b = {0};
    oi_onnx_model *m = load(models[_i], OI_STAGE_LOWERED);
    const oi_const_writer w = {put, &s};
    size_t good = 0;
    ck_assert(!oi_onnx_model_write(m, &b, &w));
    for (size_t at = 0; at < b.n; at += 1 + b.n / 3000) { /* flipped, one by one */
        b.at[at] ^= (uint8_t)(1 << at % 8);
        good += try(b.at, b.n, &s, NULL) == ONNX_INFER_OK;
        b.at[at] ^= (uint8_t)(1 << at % 8);
    }
    for (size_t at = 0; at + 4 <= b.n; at += 4 * (1 + b.n / 8000)) { /* numbers */
        uint32_t keep;
        memcpy(&keep, b.at + at, 4);
        for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
            memcpy(b.at + at, &forged[i], 4);
            good += try(b.at, b.n, &s, NULL) == ONNX_INFER_OK;
        }
        memcpy(b.at + at, &keep, 4);
    }
    for (size_t n = 0; n < b.n; n += 1 + b.n / 1000) /* cut off */
        ck_assert_int_ne(try(b.at, n, &s, NULL), ONNX_INFER_OK);
    ck_assert_uint_gt(good, 0); /* a name, a number that is as good */
    oi_onnx_free(m);
    clear(&s);
    oi_free_mem(NULL, b.at);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("graphs as bytes");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_same_comes_back, 0, 3);
    tcase_add_loop_test(t, forged_bytes_do_no_harm, 0, N_MODELS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
