/* The optional modules: what they answer, and that hostile text, patterns and pictures end in an error within bounds. */
#include "base/module.h"
#include "modules/image_module.h"
#include "modules/text_module.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const void *open_module(const char *name, uint32_t version, size_t bytes, oi_module *m)
{
    if (oi_module_open(name, version, bytes, m) == ONNX_INFER_OK)
        return m->table;
    char file[4096];
    const char *folder = getenv("ONNX_INFER_MODULES");
    snprintf(file, sizeof file, "%s/libonnx_infer_%s.so", folder ? folder : "", name);
    FILE *f = fopen(file, "rb");
    ck_assert_msg(!f, "%s is there, but: %s", file, oi_error_current()->message);
    fprintf(stderr, "note: module %s is not built, it is not tested\n", name);
    return NULL;
}

START_TEST(test_missing)
{
    oi_module m;
    ck_assert_int_eq(oi_module_open("no_such_thing", 1, 8, &m), ONNX_INFER_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(oi_error_current()->message, "libonnx_infer_no_such_thing.so could not be opened"));
    oi_module_close(&m);
    const oi_text_module *t = open_module("text", OI_TEXT_MODULE_VERSION, sizeof *t, &m);
    if (t) {
        oi_module_close(&m);
        ck_assert_int_eq(oi_module_open("text", 999, 8, &m), ONNX_INFER_E_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(oi_error_current()->message, "needs 999"));
    }
}
END_TEST

/* --- text --------------------------------------------------------------------------------------------------------------- */

START_TEST(test_case)
{
    static const struct { oi_text_case to; const char *language, *from, *expect; } rows[] = {
        {OI_TEXT_LOWER, "", "ÉTÉ", "été"}, {OI_TEXT_UPPER, "", "straße", "STRASSE"}, {OI_TEXT_UPPER, "en", "i", "I"},
        {OI_TEXT_UPPER, "tr", "i", "İ"}, {OI_TEXT_LOWER, "tr", "I", "ı"}, {OI_TEXT_LOWER, "", "ΣΑΣ", "σας"},
        {OI_TEXT_FOLD, "", "Straße", "strasse"}, {OI_TEXT_UPPER, "", "", ""},
        {OI_TEXT_LOWER, "", "a\xFFz", NULL}, {OI_TEXT_UPPER, "", "\xC3", NULL}, {OI_TEXT_LOWER, "", "\xED\xA0\x80", NULL},
    };
    oi_module m;
    const oi_text_module *t = open_module("text", OI_TEXT_MODULE_VERSION, sizeof *t, &m);
    for (size_t i = 0; t && i < sizeof rows / sizeof *rows; i++) {
        char *out, why[100] = "";
        size_t n;
        oi_text_status status = t->change_case(rows[i].to, rows[i].language, rows[i].from, strlen(rows[i].from), &out, &n, why, sizeof why);
        ck_assert_msg((status == OI_TEXT_OK) == (rows[i].expect != NULL), "row %zu: %s", i, why);
        if (!status) {
            ck_assert_msg(n == strlen(rows[i].expect) && !memcmp(out, rows[i].expect, n), "row %zu: %.*s", i, (int)n, out);
            t->free_text(out);
        }
    }
    oi_module_close(&m);
}
END_TEST

START_TEST(test_regex)
{
    static const struct { const char *pattern, *text; int expect; } rows[] = {
        {"a*", "aaa", 1}, {"a*", "aab", 0}, {"a|ab", "ab", 1}, {"(a|ab)(c|bcd)", "abcd", 1}, {"a", "a\n", 0}, {"^a$", "a", 1}, {"^a$", "a\n", 0},
        {"\\d{3}", "123", 1}, {"(?i)É", "é", 1}, {".", "é", 1}, {"\\pL+", "日本", 1}, {"", "", 1}, {"x?", "", 1}, {".*", "a\xFFz", 0},
        {"a(", "", -1}, {"[z-a]", "", -1}, {"\\p{Nonsense}", "", -1},
    };
    oi_module m;
    const oi_text_module *t = open_module("text", OI_TEXT_MODULE_VERSION, sizeof *t, &m);
    for (size_t i = 0; t && i < sizeof rows / sizeof *rows; i++) {
        void *regex;
        bool matches = false;
        char why[100] = "";
        oi_text_status status = t->regex_compile(rows[i].pattern, strlen(rows[i].pattern), true, &regex, why, sizeof why);
        ck_assert_msg((status != OI_TEXT_OK) == (rows[i].expect < 0), "pattern %s: %s", rows[i].pattern, why);
        if (!status)
            status = t->regex_match(regex, rows[i].text, strlen(rows[i].text), &matches, why, sizeof why);
        if (rows[i].expect >= 0)
            ck_assert_msg(!status && matches == rows[i].expect, "%s on %s: %d %s", rows[i].pattern, rows[i].text, matches, why);
        t->regex_free(regex);
    }
    oi_module_close(&m);
}
END_TEST

/* Patterns over which a backtracking matcher would spend years: an answer or a limit, in seconds. */
START_TEST(test_regex_bounds)
{
    static const struct { const char *pattern; int expect; } rows[] = {
        {"(a+)+b", 0}, {"(a|aa)+", 1}, {"(a*)*c", 0}, {"(a|a?)+d", 0}, {"a*a*a*a*a*a*a*a*b", 0}, {"((a{0,30}){0,30}){0,30}b", -1},
        {"(x+x+)+y", 0},
    };
    oi_module m;
    const oi_text_module *t = open_module("text", OI_TEXT_MODULE_VERSION, sizeof *t, &m);
    char text[3000], *long_pattern;
    memset(text, 'a', sizeof text);
    clock_t begin = clock();
    for (size_t i = 0; t && i < sizeof rows / sizeof *rows; i++) {
        void *regex;
        bool matches = false;
        char why[100] = "";
        oi_text_status status = t->regex_compile(rows[i].pattern, strlen(rows[i].pattern), true, &regex, why, sizeof why);
        if (!status)
            status = t->regex_match(regex, text, sizeof text, &matches, why, sizeof why);
        ck_assert_msg(rows[i].expect < 0 || (!status && matches == rows[i].expect), "%s: %d %s", rows[i].pattern, matches, why);
        t->regex_free(regex);
    }
    ck_assert_msg(clock() - begin < 20 * CLOCKS_PER_SEC, "it took %.1f s", (double)(clock() - begin) / CLOCKS_PER_SEC);
    if (t) {
        enum { LONG = 1 << 20 };
        void *regex;
        char why[100];
        ck_assert_ptr_nonnull(long_pattern = malloc(LONG));
        memset(long_pattern, '(', LONG);
        ck_assert_int_eq(t->regex_compile(long_pattern, LONG, true, &regex, why, sizeof why), OI_TEXT_LIMIT);
        ck_assert_int_ne(t->regex_compile(long_pattern, 60000, true, &regex, why, sizeof why), OI_TEXT_OK);
        free(long_pattern);
    }
    oi_module_close(&m);
}
END_TEST

/* --- pictures ------------------------------------------------------------------------------------------------------------- */

static const char *const formats[] = {"png", "jpeg", "tiff", "webp", "jp2", "bmp", "ppm"};
enum { FORMATS = sizeof formats / sizeof *formats, ROOM = 1 << 16, PIXELS = 1 << 20 };

static size_t read_picture(const char *format, uint8_t *data)
{
    char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/data/modules/gradient.%s", top ? top : ".", format);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    size_t n = fread(data, 1, ROOM, f);
    fclose(f);
    return n;
}

typedef struct {
    uint8_t *rows;
    uint32_t width, height;
    unsigned calls;
} canvas;

static void *place(void *user, uint32_t width, uint32_t height)
{
    canvas *c = user;
    c->calls++;
    c->width = width;
    c->height = height;
    free(c->rows);
    return c->rows = malloc((size_t)width * height * 3);
}

/* The bytes are copied to the end of memory of their own, so that reading past them is seen by a sanitizer. */
static oi_image_status decode(const oi_image_module *t, const uint8_t *data, size_t n, canvas *c)
{
    char why[200] = "";
    uint8_t *own = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(own);
    memcpy(own, data, n);
    *c = (canvas){0};
    oi_image_status status = t->decode(own, n, PIXELS, place, c, why, sizeof why);
    ck_assert(c->calls <= 1);
    ck_assert(status == OI_IMAGE_OK || why[0]);
    free(own);
    return status;
}

START_TEST(test_pictures)
{
    oi_module m;
    const oi_image_module *t = open_module("image", OI_IMAGE_MODULE_VERSION, sizeof *t, &m);
    uint8_t data[ROOM];
    canvas c;
    for (size_t i = 0; t && i < FORMATS; i++) {
        size_t n = read_picture(formats[i], data);
        ck_assert_msg(decode(t, data, n, &c) == OI_IMAGE_OK, "%s", formats[i]);
        ck_assert_msg(c.width == 7 && c.height == 6, "%s is %u x %u", formats[i], c.width, c.height);
        int most = strcmp(formats[i], "jpeg") ? 0 : 30; /* the only lossy one, and with few chroma samples */
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 7; x++) {
                const int expect[3] = {x * 36, y * 50, (x + y) * 20};
                for (int k = 0; k < 3; k++)
                    ck_assert_msg(abs(c.rows[(y * 7 + x) * 3 + k] - expect[k]) <= most, "%s at %d,%d: channel %d is %d", formats[i], x, y, k,
                                  c.rows[(y * 7 + x) * 3 + k]);
            }
        free(c.rows);
    }
    oi_module_close(&m);
}
END_TEST

START_TEST(test_truncated)
{
    oi_module m;
    const oi_image_module *t = open_module("image", OI_IMAGE_MODULE_VERSION, sizeof *t, &m);
    uint8_t data[ROOM];
    canvas c;
    for (size_t i = 0; t && i < FORMATS; i++) {
        size_t n = read_picture(formats[i], data), whole = 0;
        for (size_t cut = 0; cut < n; cut++) {
            whole += decode(t, data, cut, &c) == OI_IMAGE_OK;
            free(c.rows);
        }
        ck_assert_msg(whole < 40, "%s: %zu of %zu truncated files decode", formats[i], whole, n); /* trailers may be missing */
    }
    oi_module_close(&m);
}
END_TEST

START_TEST(test_mutated)
{
    oi_module m;
    const oi_image_module *t = open_module("image", OI_IMAGE_MODULE_VERSION, sizeof *t, &m);
    uint8_t data[ROOM], copy[ROOM];
    uint64_t seed = 20;
    canvas c;
    for (size_t i = 0; t && i < FORMATS; i++) {
        size_t n = read_picture(formats[i], data);
        for (int round = 0; round < 400; round++) {
            memcpy(copy, data, n);
            for (int k = 0; k < 1 + round % 4; k++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
                copy[(seed >> 33) % n] = (uint8_t)(seed >> 25);
            }
            decode(t, copy, n, &c);
            free(c.rows);
        }
    }
    oi_module_close(&m);
}
END_TEST

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
    }
    return ~c;
}

START_TEST(test_huge)
{
    static const char pnm[] = "P5 2000000000 2000000000 255\n";
    oi_module m;
    const oi_image_module *t = open_module("image", OI_IMAGE_MODULE_VERSION, sizeof *t, &m);
    uint8_t data[ROOM];
    canvas c;
    if (t) {
        size_t n = read_picture("png", data);
        memcpy(data + 16, "\0\0\xEA\x60\0\0\xEA\x60", 8); /* 60000 x 60000 */
        uint32_t sum = crc(data + 12, 17);
        for (int k = 0; k < 4; k++)
            data[29 + k] = (uint8_t)(sum >> (24 - 8 * k));
        ck_assert_int_eq(decode(t, data, n, &c), OI_IMAGE_LIMIT);
        ck_assert_uint_eq(c.calls, 0);
        ck_assert_int_eq(decode(t, (const uint8_t *)pnm, strlen(pnm), &c), OI_IMAGE_BAD);
        n = read_picture("bmp", data);
        memcpy(data + 18, "\xFF\xFF\xFF\x7F\xFF\xFF\xFF\x7F", 8);
        ck_assert_int_eq(decode(t, data, n, &c), OI_IMAGE_BAD);
        ck_assert_uint_eq(c.calls, 0);
        ck_assert_int_eq(decode(t, data, 0, &c), OI_IMAGE_BAD);
    }
    oi_module_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("modules");
    TCase *t = tcase_create("modules");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_case);
    tcase_add_test(t, test_regex);
    tcase_add_test(t, test_regex_bounds);
    tcase_add_test(t, test_pictures);
    tcase_add_test(t, test_truncated);
    tcase_add_test(t, test_mutated);
    tcase_add_test(t, test_huge);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
