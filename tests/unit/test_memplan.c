/* The memory planner on random lifetimes: nothing that lives at once overlaps, and the arena is not wasteful. */
#include "runtime/memplan.h"

#include <check.h>
#include <stdlib.h>

static uint64_t state = 1;

static uint32_t draw(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static bool is_sound(const oi_mem_item *item, size_t n, size_t total)
{
    bool sound = true;
    for (size_t i = 0; i < n; i++) {
        sound = sound && item[i].offset % OI_ALIGN == 0 && item[i].offset + item[i].bytes <= total;
        for (size_t j = 0; j < i; j++) {
            if (item[i].first > item[j].last || item[j].first > item[i].last)
                continue;
            sound = sound && (item[i].offset >= item[j].offset + item[j].bytes || item[j].offset >= item[i].offset + item[i].bytes);
        }
    }
    return sound;
}

/* Of all steps at which something begins. */
static size_t most_alive(const oi_mem_item *item, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t now = 0;
        for (size_t j = 0; j < n; j++) {
            if (item[j].first <= item[i].first && item[i].first <= item[j].last)
                now += (item[j].bytes + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN;
        }
        most = now > most ? now : most;
    }
    return most;
}

START_TEST(random_lifetimes)
{
    state = (uint64_t)_i;
    size_t n = 1 + draw(200);
    oi_mem_need need;
    oi_mem_item *item = calloc(n, sizeof *item);
    for (size_t i = 0; i < n; i++) {
        item[i].first = draw(100);
        item[i].last = draw(10) ? item[i].first + draw(8) : UINT32_MAX;
        item[i].bytes = draw(5) ? draw(10000) : 0;
    }
    ck_assert_int_eq(oi_memplan(NULL, item, n, &need), ONNX_INFER_OK);
    ck_assert(is_sound(item, n, need.total));
    ck_assert_uint_eq(need.live, most_alive(item, n));
    ck_assert_uint_le(need.total, need.live * 5 / 4);
    size_t live[120], most = 0;
    oi_memplan_live(item, n, 120, live);
    for (uint32_t s = 0; s < 120; s++)
        most = live[s] > most ? live[s] : most;
    ck_assert_uint_eq(need.live, most);
    free(item);
}
END_TEST

START_TEST(chain_takes_two_buffers)
{
    oi_mem_item item[50];
    oi_mem_need need;
    for (uint32_t i = 0; i < 50; i++)
        item[i] = (oi_mem_item){.bytes = 1000, .first = i, .last = i + 1};
    ck_assert_int_eq(oi_memplan(NULL, item, 50, &need), ONNX_INFER_OK);
    ck_assert_uint_le(need.total, 2 * (1024 + OI_ALIGN));
}
END_TEST

START_TEST(very_many_items)
{
    enum { N = 30000 };
    oi_mem_item *item = calloc(N, sizeof *item);
    oi_mem_need need;
    for (uint32_t i = 0; i < N; i++)
        item[i] = (oi_mem_item){.bytes = 64 + draw(1000), .first = i, .last = i + 2};
    ck_assert_int_eq(oi_memplan(NULL, item, N, &need), ONNX_INFER_OK);
    ck_assert_uint_lt(need.total, 20000);
    bool sound = true;
    for (size_t i = 0; i + 10 < N; i++)
        sound = sound && is_sound(item + i, 10, need.total);
    ck_assert(sound);
    free(item);
}
END_TEST

START_TEST(overflow_is_a_limit)
{
    oi_mem_item item[2] = {{.bytes = SIZE_MAX - 10}, {.bytes = SIZE_MAX / 2}};
    oi_mem_need need;
    ck_assert_int_eq(oi_memplan(NULL, item, 2, &need), ONNX_INFER_E_LIMIT);
    ck_assert_int_eq(oi_memplan(NULL, NULL, 0, &need), ONNX_INFER_OK);
    ck_assert_uint_eq(need.total, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("memplan");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, random_lifetimes, 0, 100);
    tcase_add_test(t, chain_takes_two_buffers);
    tcase_add_test(t, very_many_items);
    tcase_add_test(t, overflow_is_a_limit);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
