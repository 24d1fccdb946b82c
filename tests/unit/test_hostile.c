/* Hostile bytes to the loader: models cut off at every byte, flipped bits, forged lengths; and each allocation failing. */
#include "onnx/model_file.h"
#include "ops/infer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const models[] = {"dummy_cell_state", "my_module_if", "model_3_script", "bicubic_resize_dynamic", "clip_export"};
enum { N_MODELS = sizeof models / sizeof *models };

static uint8_t *read_model(const char *name, size_t *n)
{
    char path[1000];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/data/seed-models/%s/model.onnx", top ? top : "..", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n);
    ck_assert_uint_eq(fread(p, 1, *n, f), *n);
    fclose(f);
    return p;
}

static void no_free(void *user, void *data)
{
    (void)user;
    (void)data;
}

/* Loads a copy that ends where the bytes end, so that a sanitizer sees reads past them; what loads is inferred too. */
static oi_status try(const uint8_t *p, size_t n, const oi_alloc *alloc)
{
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, p, n);
    const oi_onnx_options o = {.alloc = alloc, .max_nodes = 10000, .max_tensor_bytes = 1 << 24};
    oi_onnx_model *m = NULL;
    oi_status status = oi_onnx_load_memory(exact, n, no_free, NULL, &o, &m);
    if (status)
        ck_assert_msg(oi_error_current()->message[0], "status %s without a message", oi_status_name(status));
    else
        status = oi_infer_graph(m->graph);
    oi_onnx_free(m);
    free(exact);
    return status;
}

START_TEST(cut_off_anywhere)
{
    for (int k = 0; k < N_MODELS; k++) {
        size_t n;
        uint8_t *p = read_model(models[k], &n);
        ck_assert_int_eq(try(p, n, NULL), ONNX_INFER_OK);
        size_t step = n > 4096 ? n / 2048 : 1;
        for (size_t cut = 0; cut < n; cut += step)
            try(p, cut, NULL);
        free(p);
    }
}
END_TEST

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

START_TEST(damaged_bytes)
{
    const char *given = getenv("ONNX_INFER_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL), state = seed;
    printf("damaged_bytes: ONNX_INFER_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    for (int k = 0; k < N_MODELS; k++) {
        size_t n;
        uint8_t *p = read_model(models[k], &n), *bad = malloc(n);
        for (int round = 0; round < 5000; round++) {
            memcpy(bad, p, n);
            for (uint64_t i = next(&state) % 4 + 1; i--;) {
                size_t at = next(&state) % n;
                uint64_t how = next(&state);
                bad[at] = how % 3 == 0 ? (uint8_t)(how >> 8) : how % 3 == 1 ? bad[at] ^ (uint8_t)(1u << (how >> 8 & 7)) : 0xff;
            }
            try(bad, n, NULL);
        }
        free(p);
        free(bad);
    }
}
END_TEST

/* field LEN of the given nesting: each level a message that holds the next. */
START_TEST(deep_and_forged)
{
    static uint8_t deep[40000];
    size_t at = sizeof deep;
    /* graph (7) -> node (1) -> attribute (5) -> g (6) -> node (1) ..., from the inside out */
    static const uint8_t cycle[] = {1, 5, 6};
    for (size_t level = 0, n = 0; at > 20; level++) {
        uint8_t head[8];
        size_t len = sizeof deep - at, h = 0;
        head[h++] = (uint8_t)(cycle[2 - level % 3] << 3 | 2);
        for (n = len; n > 127; n >>= 7)
            head[h++] = (uint8_t)(n | 0x80);
        head[h++] = (uint8_t)n;
        if (h + 8 > at)
            break;
        at -= h;
        memcpy(deep + at, head, h);
    }
    uint8_t wrapped[40016] = {7 << 3 | 2};
    size_t h = 1, n = sizeof deep - at;
    for (; n > 127; n >>= 7)
        wrapped[h++] = (uint8_t)(n | 0x80);
    wrapped[h++] = (uint8_t)n;
    memcpy(wrapped + h, deep + at, sizeof deep - at);
    oi_status status = try(wrapped, h + sizeof deep - at, NULL);
    ck_assert_msg(status == ONNX_INFER_E_LIMIT || status == ONNX_INFER_E_PARSE, "%s", oi_status_name(status));

    /* Lengths beyond the end, of more than 64 bits, endless varints. */
    static const uint8_t beyond[] = {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t over[] = {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    uint8_t endless[64];
    memset(endless, 0xff, sizeof endless);
    ck_assert_int_eq(try(beyond, sizeof beyond, NULL), ONNX_INFER_E_PARSE);
    ck_assert_int_eq(try(over, sizeof over, NULL), ONNX_INFER_E_PARSE);
    ck_assert_int_eq(try(endless, sizeof endless, NULL), ONNX_INFER_E_PARSE);
    ck_assert_int_eq(try(endless, 0, NULL), ONNX_INFER_E_PARSE);
    /* The graph twice: protobuf would merge them, again and again, in quadratic time. */
    static const uint8_t twice[] = {0x3a, 0x00, 0x3a, 0x00};
    ck_assert_int_eq(try(twice, sizeof twice, NULL), ONNX_INFER_E_PARSE);
}
END_TEST

START_TEST(many_small_messages_hit_a_limit)
{
    size_t n = 2 << 20; /* a graph of a million empty nodes */
    uint8_t *p = malloc(n + 8);
    size_t h = 0, len = n;
    p[h++] = 0x3a;
    for (; len > 127; len >>= 7)
        p[h++] = (uint8_t)(len | 0x80);
    p[h++] = (uint8_t)len;
    for (size_t i = 0; i < n; i += 2) {
        p[h + i] = 1 << 3 | 2;
        p[h + i + 1] = 0;
    }
    ck_assert_int_eq(try(p, h + n, NULL), ONNX_INFER_E_LIMIT);
    free(p);
}
END_TEST

/* --- allocations that fail ---------------------------------------------------------------------------------------------- */

static size_t until_failure, living;

static void *failing_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    if (until_failure && !--until_failure)
        return NULL;
    void *p = aligned_alloc(align < sizeof(void *) ? sizeof(void *) : align, (size + align - 1) / align * align);
    living += p != NULL;
    return p;
}

static void failing_free(void *user, void *p, size_t size, size_t align)
{
    (void)user;
    (void)size;
    (void)align;
    living -= p != NULL;
    free(p);
}

START_TEST(each_allocation_fails_in_turn)
{
    static const oi_alloc alloc = {sizeof alloc, NULL, failing_alloc, failing_free};
    for (int k = 0; k < N_MODELS; k++) {
        size_t bytes, n = 0;
        uint8_t *p = read_model(models[k], &bytes);
        oi_status status;
        do {
            until_failure = ++n;
            status = try(p, bytes, &alloc);
            ck_assert_msg(status == ONNX_INFER_OK || status == ONNX_INFER_E_OUT_OF_MEMORY, "%s, allocation %zu: %s: %s", models[k],
                          n, oi_status_name(status), oi_error_current()->message);
            ck_assert_msg(living == 0, "%s, allocation %zu: %zu left", models[k], n, living);
        } while (!until_failure);
        ck_assert_int_eq(status, ONNX_INFER_OK);
        ck_assert_uint_gt(n, 10);
        free(p);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hostile");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, cut_off_anywhere);
    tcase_add_test(t, damaged_bytes);
    tcase_add_test(t, deep_and_forged);
    tcase_add_test(t, many_small_messages_hit_a_limit);
    tcase_add_test(t, each_allocation_fails_in_turn);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
