/* Plans in files: saved and loaded, kept in a cache folder; damaged, stale, cut off, written by many at once and by processes
 * that are killed: never another answer, never a crash. */
#include <onnx_infer.h>

#include "support/api_help.h"
#include "support/memory_file.h"
#include "support/scarce_memory.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The library's clock, so that files are older than they are. */
static time_t ahead;

time_t time(time_t *to)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec + ahead;
    return now.tv_sec + ahead;
}

static const char *model_path(const char *name)
{
    static _Thread_local char path[1000];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/tests/data/seed-models/%s/model.onnx", top ? top : ".", name);
    return path;
}

static onnx_infer_options *options(const char *cache)
{
    onnx_infer_options *o;
    OK(onnx_infer_options_create(&o));
    OK(onnx_infer_options_set_threads(o, 1));
    OK(onnx_infer_options_set_cache_dir(o, cache));
    return o;
}

static onnx_infer_plan *plan_of(const char *name, const onnx_infer_options *o)
{
    onnx_infer_model *m;
    onnx_infer_plan *p;
    OK(onnx_infer_model_load_file(model_path(name), o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    onnx_infer_model_release(m);
    return p;
}

/* The first output for inputs that are the same each time; gives the plan back. */
static onnx_infer_value *answer(onnx_infer_plan *p)
{
    onnx_infer_context *c;
    const onnx_infer_model *m = onnx_infer_plan_model(p);
    onnx_infer_value *in[4] = {NULL}, *out = NULL;
    size_t n = onnx_infer_model_input_count(m);
    OK(onnx_infer_context_create(p, &c));
    for (size_t i = 0; i < n && i < 4; i++) {
        const onnx_infer_port *port = onnx_infer_model_input(m, i);
        int64_t dims[8];
        for (int32_t d = 0; d < onnx_infer_port_rank(port); d++)
            dims[d] = onnx_infer_port_dim(port, d) < 0 ? 16 : onnx_infer_port_dim(port, d);
        OK(onnx_infer_tensor_create(ONNX_INFER_FLOAT, onnx_infer_port_rank(port), dims, &in[i]));
        float *x = onnx_infer_tensor_mutable_data(in[i]);
        for (size_t k = 0; k < onnx_infer_tensor_count(in[i]); k++)
            x[k] = (float)sin((double)k * 0.31 + (double)i);
    }
    OK(onnx_infer_run(c, NULL, n, (const onnx_infer_value *const *)in, 1, &out));
    for (size_t i = 0; i < n; i++)
        onnx_infer_value_release(in[i]);
    onnx_infer_context_free(c);
    onnx_infer_plan_release(p);
    return out;
}

static bool same(const onnx_infer_value *a, const onnx_infer_value *b)
{
    return onnx_infer_tensor_bytes(a) == onnx_infer_tensor_bytes(b) &&
           !memcmp(onnx_infer_tensor_data(a), onnx_infer_tensor_data(b), onnx_infer_tensor_bytes(a));
}

static const char net[] = "simple_cnn";

START_TEST(a_saved_plan_gives_the_same)
{
    static const char *const nets[] = {"simple_cnn", "dummy_cell", "model_dynamic_23"};
    memory_file s = {0}, again = {0};
    const onnx_infer_writer w = memory_file_writer(&s), w2 = memory_file_writer(&again);
    const onnx_infer_reader r = memory_file_reader(&s);
    onnx_infer_options *o = options(NULL);
    onnx_infer_plan *p = plan_of(nets[_i], o), *loaded, *direct;
    OK(onnx_infer_plan_save(p, &w));
    onnx_infer_value *want = answer(p);
    for (int k = 0; k < 2; k++) {
        OK(onnx_infer_plan_load(&r, o, &loaded));
        onnx_infer_value *got = answer(loaded);
        ck_assert(same(got, want));
        onnx_infer_value_release(got);
    }
    /* a loaded plan can be saved again */
    OK(onnx_infer_plan_load(&r, o, &loaded));
    OK(onnx_infer_plan_save(loaded, &w2));
    onnx_infer_plan_release(loaded);
    const onnx_infer_reader r2 = memory_file_reader(&again);
    OK(onnx_infer_plan_load(&r2, o, &direct));
    onnx_infer_value *got = answer(direct);
    ck_assert(same(got, want));
    onnx_infer_value_release(got);
    onnx_infer_value_release(want);
    onnx_infer_options_free(o);
    free(s.at);
    free(again.at);
}
END_TEST

START_TEST(damaged_plans_are_stale)
{
    memory_file s = {0};
    const onnx_infer_writer w = memory_file_writer(&s);
    const onnx_infer_reader r = memory_file_reader(&s);
    onnx_infer_options *o = options(NULL);
    onnx_infer_plan *p = plan_of(net, o), *loaded;
    OK(onnx_infer_plan_save(p, &w));
    onnx_infer_value *want = answer(p);
    size_t whole = s.n, step = whole / 700 + 1, ended_well = 0;
    for (size_t at = 0; at < whole; at += at < 400 ? 1 : step) {
        s.at[at] ^= (char)(1 << at % 8);
        onnx_infer_status st = onnx_infer_plan_load(&r, o, &loaded);
        s.at[at] ^= (char)(1 << at % 8);
        ck_assert_msg(st == ONNX_INFER_E_CACHE_STALE || st == ONNX_INFER_OK, "byte %zu: %s", at, onnx_infer_status_name(st));
        if (st == ONNX_INFER_OK) { /* a byte between two parts */
            onnx_infer_value *got = answer(loaded);
            ck_assert(same(got, want));
            onnx_infer_value_release(got);
            ended_well++;
        }
    }
    ck_assert_uint_lt(ended_well, 60);
    for (size_t n = 0; n < whole; n += n < 300 ? 1 : whole / 50) {
        s.n = n;
        IS(onnx_infer_plan_load(&r, o, &loaded), CACHE_STALE);
        ck_assert_ptr_null(loaded);
    }
    s.n = whole;
    /* another instruction set */
    OK(onnx_infer_options_set_cpu_isa(o, "generic"));
    if (strcmp(onnx_infer_cpu_isa(), "generic"))
        IS(onnx_infer_plan_load(&r, o, &loaded), CACHE_STALE);
    onnx_infer_value_release(want);
    onnx_infer_options_free(o);
    free(s.at);
}
END_TEST

START_TEST(what_is_refused)
{
    memory_file s = {0};
    onnx_infer_writer w = memory_file_writer(&s), small = w, empty = w;
    onnx_infer_reader r = memory_file_reader(&s), bad = r;
    onnx_infer_options *o = options(NULL);
    onnx_infer_plan *p = plan_of(net, o), *loaded;
    small.struct_size = 8;
    empty.write = NULL;
    IS(onnx_infer_plan_save(NULL, &w), INVALID_ARGUMENT);
    IS(onnx_infer_plan_save(p, NULL), INVALID_ARGUMENT);
    IS(onnx_infer_plan_save(p, &small), INVALID_ARGUMENT);
    IS(onnx_infer_plan_save(p, &empty), INVALID_ARGUMENT);
    s.fail_at = 1000;
    IS(onnx_infer_plan_save(p, &w), IO);
    s.fail_at = 0;
    s.n = 0;
    OK(onnx_infer_plan_save(p, &w));
    IS(onnx_infer_plan_load(NULL, o, &loaded), INVALID_ARGUMENT);
    IS(onnx_infer_plan_load(&r, o, NULL), INVALID_ARGUMENT);
    bad.struct_size = 8;
    IS(onnx_infer_plan_load(&bad, o, &loaded), INVALID_ARGUMENT);
    bad = r;
    bad.read_at = NULL;
    IS(onnx_infer_plan_load(&bad, o, &loaded), INVALID_ARGUMENT);
    s.fail_at = 100;
    IS(onnx_infer_plan_load(&r, o, &loaded), IO);
    s.fail_at = 0;
    OK(onnx_infer_options_set_input_shape(o, "nothing", 1, (int64_t[]){1}));
    IS(onnx_infer_plan_load(&r, o, &loaded), NOT_FOUND);
    ck_assert_ptr_null(loaded);
    OK(onnx_infer_plan_load(&r, NULL, &loaded));
    onnx_infer_plan_release(loaded);
    IS(onnx_infer_options_set_cache_dir(NULL, "/tmp"), INVALID_ARGUMENT);
    OK(onnx_infer_options_set_cache_dir(o, NULL));
    onnx_infer_plan_release(p);
    onnx_infer_options_free(o);
    free(s.at);
}
END_TEST

/* --- the cache folder -------------------------------------------------------------------------------------------------- */

typedef struct {
    char path[400], note[400];
    struct stat stat;
    int files, notes, others; /* cache files, notes of models' hashes, and anything else */
} folder;

static folder look(const char *dir)
{
    folder f = {0};
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (n > 16 && !strcmp(e->d_name + n - 16, ".onnx_infer_seen")) {
            snprintf(f.note, sizeof f.note, "%s/%s", dir, e->d_name);
            f.notes++;
        } else if (n > 11 && !strcmp(e->d_name + n - 11, ".onnx_infer")) {
            snprintf(f.path, sizeof f.path, "%s/%s", dir, e->d_name);
            ck_assert(!stat(f.path, &f.stat));
            f.files++;
        } else {
            f.others++;
        }
    }
    closedir(d);
    return f;
}

static void clear(const char *dir)
{
    DIR *d = opendir(dir);
    char path[700];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            remove(path);
    }
    closedir(d);
}

static int warnings;

static void count_warnings(void *user, onnx_infer_log_level level, const char *message)
{
    warnings += user == &warnings && level == ONNX_INFER_LOG_WARNING && message[0];
}

START_TEST(the_cache_is_used_and_mended)
{
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    onnx_infer_options *none = options(NULL), *o = options(dir);
    OK(onnx_infer_options_set_log(o, count_warnings, &warnings, ONNX_INFER_LOG_WARNING));
    onnx_infer_value *want = answer(plan_of(net, none)), *got = answer(plan_of(net, o));
    ck_assert(same(got, want));
    onnx_infer_value_release(got);
    folder first = look(dir);
    ck_assert(first.files == 1 && first.others == 0);
    /* found: nothing has to be packed, so nothing is written */
    got = answer(plan_of(net, o));
    folder second = look(dir);
    ck_assert(same(got, want) && second.stat.st_ino == first.stat.st_ino && second.files == 1);
    onnx_infer_value_release(got);
    warnings = 0;

    size_t size = (size_t)first.stat.st_size, step = size / 150 + 1;
    char *bytes = malloc(size);
    FILE *f = fopen(first.path, "rb");
    ck_assert(fread(bytes, 1, size, f) == size);
    fclose(f);
    int mended = 0, tried = 0;
    for (size_t at = 0; at < size; at += at < 200 ? 9 : step) {
        f = fopen(first.path, "wb"); /* another inode is not needed: nobody has it open */
        bytes[at] ^= 16;
        ck_assert(fwrite(bytes, 1, size, f) == size && !fclose(f));
        bytes[at] ^= 16;
        ino_t before = look(dir).stat.st_ino;
        got = answer(plan_of(net, o));
        ck_assert_msg(same(got, want), "byte %zu", at);
        onnx_infer_value_release(got);
        mended += look(dir).stat.st_ino != before;
        tried++;
    }
    ck_assert_int_gt(mended, tried * 3 / 4); /* what tells of packing is not looked at where nothing is packed */
    ck_assert_int_eq(warnings, mended);
    for (size_t n = 0; n < size; n += size / 20) { /* cut off */
        f = fopen(first.path, "wb");
        ck_assert(fwrite(bytes, 1, n, f) == n && !fclose(f));
        got = answer(plan_of(net, o));
        ck_assert(same(got, want));
        onnx_infer_value_release(got);
    }
    /* a folder where nothing can be written, and one that is not there */
    clear(dir);
    rmdir(dir);
    got = answer(plan_of(net, o));
    ck_assert(same(got, want));
    onnx_infer_value_release(got);
    onnx_infer_value_release(want);
    onnx_infer_options_free(none);
    onnx_infer_options_free(o);
    free(bytes);
}
END_TEST

START_TEST(plans_by_input_shape_are_cached_too)
{
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    onnx_infer_options *o = options(dir);
    onnx_infer_value *a = answer(plan_of("model_dynamic_23", o)), *b = answer(plan_of("model_dynamic_23", o));
    ck_assert(same(a, b));
    onnx_infer_value_release(a);
    onnx_infer_value_release(b);
    onnx_infer_options_free(o);
    clear(dir);
    rmdir(dir);
}
END_TEST

/* Changes one byte of a file, whose times stay what they were. */
static void change(const char *path, long at)
{
    struct stat s;
    ck_assert(!stat(path, &s));
    FILE *f = fopen(path, "r+b");
    ck_assert_msg(f && !fseek(f, at, SEEK_SET), "%s", path);
    int c = fgetc(f);
    ck_assert(!fseek(f, at, SEEK_SET) && fputc(c ^ 0x40, f) != EOF && !fclose(f));
    const struct timespec times[2] = {s.st_atim, s.st_mtim};
    ck_assert(!utimensat(AT_FDCWD, path, times, 0));
}

static onnx_infer_value *answer_of(const char *path, const onnx_infer_options *o)
{
    onnx_infer_model *m;
    onnx_infer_plan *p;
    OK(onnx_infer_model_load_file(path, o, &m));
    OK(onnx_infer_plan_create(m, o, &p));
    onnx_infer_model_release(m);
    return answer(p);
}

/* A byte of a weight, in the model or in its external data: another model, though its file has the name, size and times of before. */
START_TEST(changed_weights_are_another_model)
{
    static const struct { const char *dir, *file; time_t ahead; } of[] = {
        {"simple_cnn", "model.onnx", 0}, {"simple_cnn_external", "weights.bin", 0}, {"simple_cnn", "model.onnx", 3600}};
    ahead = of[_i].ahead;
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX", models[] = "/tmp/onnx_infer_model_XXXXXX";
    ck_assert(mkdtemp(dir) && mkdtemp(models));
    onnx_infer_options *none = options(NULL), *o = options(dir);
    char from[1000], to[1000];
    snprintf(from, sizeof from, "%.*s*", (int)(strlen(model_path(of[_i].dir)) - strlen("model.onnx")), model_path(of[_i].dir));
    char command[1200];
    snprintf(command, sizeof command, "cp -r %s '%s'", from, models);
    ck_assert(!system(command));
    snprintf(to, sizeof to, "%s/model.onnx", models);
    char changed[1000];
    snprintf(changed, sizeof changed, "%s/%s", models, of[_i].file);
    struct stat s;
    ck_assert_msg(!stat(changed, &s), "%s", changed);
    onnx_infer_value *want = answer_of(to, none), *first = answer_of(to, o), *second = answer_of(to, o);
    ck_assert(same(want, first) && same(want, second));
    ck_assert_int_eq(look(dir).notes, of[_i].ahead != 0); /* of a file that is old enough, and large enough */
    for (long at = 0; of[_i].ahead && at < 56; at += 5) { /* a damaged note says nothing */
        change(look(dir).note, at);
        onnx_infer_value *got = answer_of(to, o);
        ck_assert_msg(same(got, want), "byte %ld of the note", at);
        onnx_infer_value_release(got);
        ck_assert_int_eq(look(dir).notes, 1);
    }
    int differ = 0;
    for (int k = 0; k < 6; k++) {
        change(changed, (long)s.st_size / 8 * (k + 1));
        onnx_infer_value *plain, *cached;
        onnx_infer_model *m;
        if (onnx_infer_model_load_file(to, none, &m)) { /* the byte was none of a weight */
            change(changed, (long)s.st_size / 8 * (k + 1));
            continue;
        }
        onnx_infer_model_release(m);
        plain = answer_of(to, none);
        cached = answer_of(to, o);
        ck_assert_msg(same(plain, cached), "byte %d", k);
        differ += !same(plain, want);
        onnx_infer_value_release(plain);
        onnx_infer_value_release(cached);
    }
    ck_assert_int_gt(differ, 2);
    ahead = 0;
    clear(dir);
    clear(models);
    rmdir(dir);
    rmdir(models);
    onnx_infer_value_release(want);
    onnx_infer_value_release(first);
    onnx_infer_value_release(second);
    onnx_infer_options_free(none);
    onnx_infer_options_free(o);
}
END_TEST

typedef struct {
    const char *dir;
    const onnx_infer_value *want;
    bool good;
} worker;

static void *plan_often(void *arg)
{
    worker *w = arg;
    onnx_infer_options *o = options(w->dir);
    w->good = true;
    for (int i = 0; i < 6; i++) {
        onnx_infer_value *got = answer(plan_of(net, o));
        w->good = w->good && same(got, w->want);
        onnx_infer_value_release(got);
    }
    onnx_infer_options_free(o);
    return NULL;
}

START_TEST(many_writers_at_once)
{
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    onnx_infer_options *none = options(NULL);
    onnx_infer_value *want = answer(plan_of(net, none));
    pthread_t id[4];
    worker w[4];
    for (int round = 0; round < 3; round++) {
        clear(dir);
        for (int i = 0; i < 4; i++) {
            w[i] = (worker){dir, want, false};
            ck_assert(!pthread_create(&id[i], NULL, plan_often, &w[i]));
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(id[i], NULL);
            ck_assert(w[i].good);
        }
        folder f = look(dir);
        ck_assert(f.files == 1 && f.others == 0);
    }
    clear(dir);
    rmdir(dir);
    onnx_infer_value_release(want);
    onnx_infer_options_free(none);
}
END_TEST

START_TEST(writers_that_are_killed)
{
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    onnx_infer_options *none = options(NULL), *o = options(dir);
    onnx_infer_value *want = answer(plan_of(net, none));
    srand(7);
    for (int i = 0; i < 60; i++) {
        clear(dir);
        pid_t child = fork();
        ck_assert(child >= 0);
        if (child == 0) {
            for (;;) {
                onnx_infer_value_release(answer(plan_of(net, o)));
                clear(dir);
            }
        }
        usleep((useconds_t)(rand() % 20000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        onnx_infer_value *got = answer(plan_of(net, o));
        ck_assert(same(got, want));
        onnx_infer_value_release(got);
    }
    clear(dir);
    rmdir(dir);
    onnx_infer_value_release(want);
    onnx_infer_options_free(none);
    onnx_infer_options_free(o);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    const onnx_infer_allocator a = scarce_allocator();
    char dir[] = "/tmp/onnx_infer_cache_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    onnx_infer_options *none = options(NULL), *o = options(dir);
    scarce_left = -1;
    OK(onnx_infer_options_set_allocator(o, &a));
    onnx_infer_value *want = answer(plan_of(net, none));
    bool done = false;
    for (long fail = 0; !done; fail += fail < 200 ? 1 : 7) {
        onnx_infer_model *m = NULL;
        onnx_infer_plan *p = NULL, *loaded = NULL;
        memory_file s = {0};
        const onnx_infer_writer w = memory_file_writer(&s);
        const onnx_infer_reader r = memory_file_reader(&s);
        if (fail % 3 == 0)
            clear(dir);
        scarce_left = fail;
        onnx_infer_status st = onnx_infer_model_load_file(model_path(net), o, &m);
        if (!st)
            st = onnx_infer_plan_create(m, o, &p);
        if (!st)
            st = onnx_infer_plan_save(p, &w);
        if (!st)
            st = onnx_infer_plan_load(&r, o, &loaded);
        done = scarce_left >= 0;
        scarce_left = -1;
        ck_assert_msg(st == ONNX_INFER_OK || st == ONNX_INFER_E_OUT_OF_MEMORY, "allocation %ld: %s: %s", fail, onnx_infer_status_name(st),
                      onnx_infer_error_message(onnx_infer_last_error()));
        onnx_infer_model_release(m);
        onnx_infer_plan *both[2] = {p, loaded};
        for (int k = 0; k < 2; k++) {
            onnx_infer_value *got = both[k] ? answer(both[k]) : NULL;
            ck_assert(!got || same(got, want));
            onnx_infer_value_release(got);
        }
        ck_assert_uint_eq(scarce_held, 0);
        free(s.at);
    }
    clear(dir);
    rmdir(dir);
    onnx_infer_value_release(want);
    onnx_infer_options_free(none);
    onnx_infer_options_free(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan files");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 180);
    tcase_add_loop_test(t, a_saved_plan_gives_the_same, 0, 3);
    tcase_add_test(t, damaged_plans_are_stale);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, the_cache_is_used_and_mended);
    tcase_add_test(t, plans_by_input_shape_are_cached_too);
    tcase_add_loop_test(t, changed_weights_are_another_model, 0, 3);
    tcase_add_test(t, many_writers_at_once);
    tcase_add_test(t, writers_that_are_killed);
    tcase_add_test(t, every_allocation_may_fail);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
