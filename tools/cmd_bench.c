/* onnx-infer bench: how fast a model loads and runs, and where the time goes. */
#include "tool.h"

#include "runtime/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_RUNS = 1 << 20, PROFILED_RUNS = 5 };

typedef struct {
    double *ms;
    size_t n;
    double first_ms;
} times;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const times *t, double p)
{
    double at = p * (double)(t->n - 1);
    size_t low = (size_t)at, high = low + 1 < t->n ? low + 1 : low;
    return t->ms[low] + (at - (double)low) * (t->ms[high] - t->ms[low]);
}

static oi_status measure(const tool_args *args, tool_session *s, times *t)
{
    t->ms = oi_alloc_array(NULL, MAX_RUNS, sizeof *t->ms);
    if (!t->ms)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    double began = tool_now_ms(), shown = began;
    OI_TRY(tool_session_run(s));
    t->first_ms = tool_now_ms() - began;
    began = tool_now_ms();
    do {
        double start = tool_now_ms();
        OI_TRY(tool_session_run(s));
        double end = tool_now_ms();
        t->ms[t->n++] = end - start;
        if (end - shown > 1000) {
            tool_progress("%zu runs, %.0f of %.0f s", t->n, (end - began) / 1e3, args->seconds);
            shown = end;
        }
    } while (tool_now_ms() - began < args->seconds * 1e3 && t->n < MAX_RUNS);
    tool_progress("%s", "");
    qsort(t->ms, t->n, sizeof *t->ms, by_size);
    return ONNX_INFER_OK;
}

/* The step's time: the least of several runs, which other work on the machine disturbs least. */
static oi_status collect_profile(tool_session *s, onnx_infer_profile *p, onnx_infer_event **out, size_t *n)
{
    OI_TRY(onnx_infer_run_options_set_profile(s->run_options, p));
    for (int run = 0; run < PROFILED_RUNS; run++) {
        OI_TRY(tool_session_run(s));
        size_t count = onnx_infer_profile_count(p);
        if (!run) {
            *n = count;
            *out = oi_alloc_array(NULL, count + 1, sizeof **out);
            if (!*out)
                return ONNX_INFER_E_OUT_OF_MEMORY;
        }
        OI_FAIL_IF(count != *n, ONNX_INFER_E_INTERNAL, "two runs with the same inputs took %zu and %zu steps",
                   *n, count);
        for (size_t i = 0; i < count; i++) {
            onnx_infer_event e = {.struct_size = sizeof e};
            OI_TRY(onnx_infer_profile_get(p, i, &e)); /* its strings last until the next run */
            if (run && (*out)[i].dur_ns < e.dur_ns)
                e.dur_ns = (*out)[i].dur_ns;
            (*out)[i] = e;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status print_steps(const onnx_infer_event *e, size_t n, bool json)
{
    oi_writer w = tool_file_writer(stdout);
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)e[i].dur_ns;
    if (!json)
        printf("%10s %6s %9s  %-20s %-28s %s\n", "ms", "%", "GFLOP/s", "operator", "kernel", "node");
    for (size_t i = 0; i < n; i++) {
        double rate = e[i].dur_ns ? (double)e[i].flops / (double)e[i].dur_ns : 0;
        if (!json) {
            printf("%10.4f %6.2f %9.1f  %-20s %-28s %s\n", (double)e[i].dur_ns / 1e6,
                   total > 0 ? (double)e[i].dur_ns * 100 / total : 0, rate, e[i].op, e[i].kernel, e[i].node);
            continue;
        }
        OI_TRY(oi_write_text(&w, i ? ",\n{\"node\":" : "\n{\"node\":"));
        OI_TRY(oi_write_json_string(&w, e[i].node));
        OI_TRY(oi_write_text(&w, ",\"op\":"));
        OI_TRY(oi_write_json_string(&w, e[i].op));
        OI_TRY(oi_write_text(&w, ",\"kernel\":"));
        OI_TRY(oi_write_json_string(&w, e[i].kernel));
        OI_TRY(oi_write_format(&w, ",\"ms\":%.6f,\"gflops\":%.3f,\"tasks\":%d}", (double)e[i].dur_ns / 1e6,
                               rate, (int)e[i].tasks));
    }
    return ONNX_INFER_OK;
}

static oi_status print_profile(tool_session *s, bool json)
{
    onnx_infer_profile *p = NULL;
    onnx_infer_event *steps = NULL;
    size_t n = 0;
    OI_TRY(onnx_infer_profile_create(&p));
    oi_status status = collect_profile(s, p, &steps, &n);
    if (!status)
        status = print_steps(steps, n, json);
    oi_free_mem(NULL, steps);
    onnx_infer_run_options_set_profile(s->run_options, NULL);
    onnx_infer_profile_free(p);
    return status;
}

/* Bytes of the arenas of all graphs that were run, and the most that is in use of them at one step. */
static oi_status arena_of(const tool_session *s, uint64_t *arena, uint64_t *live)
{
    onnx_infer_memory used = {.struct_size = sizeof used};
    OI_TRY(onnx_infer_context_memory(s->context, &used));
    *arena = used.arena_peak;
    *live = oi_frame_live(s->context->frame);
    return ONNX_INFER_OK;
}

static oi_status bench(const tool_args *args, tool_session *s, times *t)
{
    OI_TRY(tool_session_open(args, args->path[0], s));
    OI_TRY(measure(args, s, t));
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double rss = (double)used.ru_maxrss / 1024;
    double p50 = percentile(t, 0.5), p90 = percentile(t, 0.9), p99 = percentile(t, 0.99);
    uint64_t arena, live;
    OI_TRY(arena_of(s, &arena, &live));
    if (args->json)
        printf("{\"load_ms\":%.3f,\"first_ms\":%.3f,\"min_ms\":%.4f,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_"
               "ms\":%.4f,\"runs\":%zu,\"peak_rss_mb\":%.1f,\"arena_bytes\":%llu,\"live_bytes\":%llu",
               s->load_ms, t->first_ms, t->ms[0], p50, p90, p99, t->n, rss, (unsigned long long)arena, (unsigned long long)live);
    else
        printf("load %.1f ms, first run %.2f ms, %zu runs: p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, best %.3f "
               "ms; peak RSS %.1f MB\n",
               s->load_ms, t->first_ms, t->n, p50, p90, p99, t->ms[0], rss);
    if (args->profile) {
        if (args->json)
            printf(",\"steps\":[");
        OI_TRY(print_profile(s, args->json));
        if (args->json)
            printf("]");
    }
    if (args->json)
        printf("}\n");
    return ONNX_INFER_OK;
}

int tool_bench(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_RUN_OPTIONS | TOOL_MACHINE | TOOL_STAGE | TOOL_BENCH | TOOL_JSON };
    tool_args args;
    tool_session s = {0};
    times t = {0};
    oi_status status = tool_args_read(argc, argv, ACCEPTS, &args);
    if (!status && args.help) {
        printf("usage: onnx-infer bench MODEL [OPTION]...\n\nMeasures loading, the first run, and runs one "
               "after another with the same inputs.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (!status && args.npath != 1) {
        status = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT,
                         "bench takes one model, not %zu; see onnx-infer bench --help", args.npath);
    } else if (!status) {
        status = bench(&args, &s, &t);
    }
    int code = status ? tool_complain(args.npath == 1 ? args.path[0] : NULL) : 0;
    oi_free_mem(NULL, t.ms);
    tool_session_close(&s);
    tool_args_clear(&args);
    return code;
}
