/* The shared library is loaded, used and unloaded again and again, by threads that live on, and used in children of a
 * fork: nothing stays behind (memory, threads, mappings), nothing hangs, the bits are the same. Ends with
 * "N passed, M failed"; skipped (77) where the shared library is not built. */
#include <onnx_infer.h>

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPEAT = 200 };

static int passed, failed;

static void check(int ok, const char *what)
{
    passed += ok != 0;
    failed += !ok;
    if (!ok)
        printf("FAIL %s\n", what);
}

/* A field of /proc/self/status, in its unit; -1 where there is none. */
static long status_field(const char *name)
{
    char line[200];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, name, strlen(name)))
            value = strtol(line + strlen(name) + 1, NULL, 10);
    }
    if (f)
        fclose(f);
    return value;
}

/* Bytes that are allocated or mapped, of which a page or two may come and go with the C library's own. */
static long held(void)
{
    char line[4400];
    unsigned long from, to;
    struct mallinfo2 info = mallinfo2();
    long bytes = (long)(info.uordblks + info.hblkhd);
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && strstr(line, "/"))
            bytes += (long)(to - from);
    }
    if (f)
        fclose(f);
    return bytes;
}

static int is_mapped(void)
{
    char line[4400];
    int found = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        found |= strstr(line, "libonnx_infer") != NULL;
    if (f)
        fclose(f);
    return found;
}

typedef struct {
    void *handle;
    __typeof__(&onnx_infer_context_open) open;
    __typeof__(&onnx_infer_context_free) close;
    __typeof__(&onnx_infer_tensor_create) create;
    __typeof__(&onnx_infer_tensor_mutable_data) mutable_data;
    __typeof__(&onnx_infer_tensor_data) data;
    __typeof__(&onnx_infer_run) run;
    __typeof__(&onnx_infer_value_release) release;
    __typeof__(&onnx_infer_options_create) options;
    __typeof__(&onnx_infer_options_set_threads) set_threads;
    __typeof__(&onnx_infer_options_free) options_free;
    __typeof__(&onnx_infer_last_error) last_error;
    __typeof__(&onnx_infer_error_message) message;
} library;

static char library_path[4000], model_path[4000];

static int load(library *l)
{
    l->handle = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        return 0;
#define GET(field, name) *(void **)&l->field = dlsym(l->handle, name)
    GET(open, "onnx_infer_context_open");
    GET(close, "onnx_infer_context_free");
    GET(create, "onnx_infer_tensor_create");
    GET(mutable_data, "onnx_infer_tensor_mutable_data");
    GET(data, "onnx_infer_tensor_data");
    GET(run, "onnx_infer_run");
    GET(release, "onnx_infer_value_release");
    GET(options, "onnx_infer_options_create");
    GET(set_threads, "onnx_infer_options_set_threads");
    GET(options_free, "onnx_infer_options_free");
    GET(last_error, "onnx_infer_last_error");
    GET(message, "onnx_infer_error_message");
#undef GET
    return l->open && l->close && l->create && l->run && l->release && l->options && l->last_error;
}

static onnx_infer_context *open_net(const library *l, int threads)
{
    onnx_infer_options *o = NULL;
    onnx_infer_context *c = NULL;
    if (l->options(&o) == ONNX_INFER_OK && l->set_threads(o, threads) == ONNX_INFER_OK)
        l->open(model_path, o, &c);
    l->options_free(o);
    return c;
}

/* Runs the small CNN on four pictures; writes its 40 scores. */
static int answer(const library *l, onnx_infer_context *c, float *scores)
{
    onnx_infer_value *x = NULL, *y = NULL;
    int ok = l->create(ONNX_INFER_FLOAT, 4, (const int64_t[]){4, 1, 28, 28}, &x) == ONNX_INFER_OK;
    if (ok) {
        float *p = l->mutable_data(x);
        for (int i = 0; i < 4 * 784; i++)
            p[i] = (float)(i * 7 % 255) / 255;
        ok = l->run(c, NULL, 1, (const onnx_infer_value *const *)&x, 1, &y) == ONNX_INFER_OK;
    }
    if (ok)
        memcpy(scores, l->data(y), 40 * sizeof *scores);
    l->release(x);
    l->release(y);
    return ok;
}

/* An error record of a thread that outlives the library. */
typedef struct {
    const library *l;
    pthread_barrier_t *used, *unloaded;
} worker_arg;

static void *worker(void *p)
{
    worker_arg *a = p;
    onnx_infer_context *c = NULL;
    void *failed_as_asked = (void *)(size_t)(a->l->open("/no/such/model.onnx", NULL, &c) == ONNX_INFER_E_IO &&
                                             strlen(a->l->message(a->l->last_error())) > 0);
    pthread_barrier_wait(a->used);
    pthread_barrier_wait(a->unloaded);
    return failed_as_asked;
}

static int use_and_unload(float *scores)
{
    library l;
    pthread_t thread;
    pthread_barrier_t used, unloaded;
    worker_arg arg = {&l, &used, &unloaded};
    void *worked = NULL;
    if (!load(&l))
        return 0;
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&unloaded, NULL, 2);
    pthread_create(&thread, NULL, worker, &arg);
    onnx_infer_context *c = open_net(&l, 2), *none = NULL;
    int ok = c && answer(&l, c, scores) && l.open("/no/such/model.onnx", NULL, &none) == ONNX_INFER_E_IO;
    l.close(c);
    pthread_barrier_wait(&used);
    dlclose(l.handle);
    ok = ok && !is_mapped();
    pthread_barrier_wait(&unloaded);
    pthread_join(thread, &worked);
    pthread_barrier_destroy(&used);
    pthread_barrier_destroy(&unloaded);
    return ok && worked;
}

int main(void)
{
    const char *build = getenv("top_builddir"), *source = getenv("top_srcdir");
    float first[40], again[40];
    snprintf(library_path, sizeof library_path, "%s/.libs/libonnx_infer.so", build ? build : ".");
    snprintf(model_path, sizeof model_path, "%s/tests/data/seed-models/simple_cnn/model.onnx", source ? source : ".");
    if (access(library_path, R_OK) != 0) {
        printf("skipped: %s is not built\n", library_path);
        return 77;
    }
    mallopt(M_ARENA_MAX, 1); /* all that is allocated is in one place, to be counted */
    check(use_and_unload(first), "the library is loaded, used and unloaded");

    int good = 0, same = 0;
    long early = 0;
    for (int i = 0; i < REPEAT; i++) {
        good += use_and_unload(again);
        same += !memcmp(first, again, sizeof first);
        if (i == REPEAT / 4)
            early = held();
    }
    long late = held();
    check(good == REPEAT, "200 times more");
    check(same == REPEAT, "the same bits each time");
    check(late - early < 16384, "no memory stays");
    if (late - early >= 16384)
        printf("    %ld bytes after 50 times, %ld after 200\n", early, late);
    check(status_field("Threads:") == 1, "no thread stays");

    library l;
    check(load(&l), "it loads again");
    onnx_infer_context *c = open_net(&l, 2);
    check(c && answer(&l, c, again) && !memcmp(first, again, sizeof first), "and runs");
    int children = 0;
    for (int i = 0; i < 20 && c; i++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0) {
            float theirs[40];
            onnx_infer_context *other = i % 2 ? open_net(&l, 2) : NULL;
            alarm(20);
            int ok = answer(&l, c, theirs) && !memcmp(first, theirs, sizeof first);
            ok = ok && (!(i % 2) || (other && answer(&l, other, theirs) && !memcmp(first, theirs, sizeof first)));
            l.close(other);
            l.close(c);
            dlclose(l.handle);
            _exit(ok ? 0 : 1);
        }
        children += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    check(children == 20, "20 children of a fork run, free and unload");
    check(c && answer(&l, c, again) && !memcmp(first, again, sizeof first), "the parent runs on");
    l.close(c);
    dlclose(l.handle);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
