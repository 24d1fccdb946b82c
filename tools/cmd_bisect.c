/* onnx-infer bisect: the first change of the optimizer after which results differ. */
#include "tool.h"

#include <inttypes.h>
#include <string.h>

/* What the log says of a change ends with its number: "lower: fuse sum: Add -> ... at 'node' (12)". */
typedef struct {
    uint64_t wanted, last;
    char line[512]; /* of the change wanted */
} change_log;

static uint64_t number_of(const char *line)
{
    const char *open = strrchr(line, '(');
    uint64_t n = 0;
    return open && sscanf(open, "(%" SCNu64 ")", &n) == 1 ? n : 0;
}

static void note_change(void *user, onnx_infer_log_level level, const char *message)
{
    change_log *log = user;
    uint64_t n = level == ONNX_INFER_LOG_DEBUG ? number_of(message) : 0;
    if (n > log->last)
        log->last = n;
    if (n && n == log->wanted && !log->line[0])
        snprintf(log->line, sizeof log->line, "%.500s", message);
}

/* Runs with the first n changes; `s` is open afterwards. */
static oi_status run_with(const tool_args *args, uint64_t n, change_log *log, tool_session *s)
{
    tool_args some = *args;
    some.stop_after = n;
    some.level = n ? args->level : 0;
    some.log = log ? note_change : NULL;
    some.log_user = log;
    OI_TRY(tool_session_open(&some, args->path[0], s));
    return tool_session_run(s);
}

static oi_status differs(const tool_args *args, uint64_t n, change_log *log, const tool_session *expected, bool *yes)
{
    tool_session s = {0};
    char why[256];
    oi_status status = run_with(args, n, log, &s);
    *yes = status != ONNX_INFER_OK;
    if (status)
        printf("%" PRIu64 " changes: %s\n", n, onnx_infer_error_message(onnx_infer_last_error()));
    for (size_t i = 0; i < s.nout && !*yes; i++) {
        double rtol = args->rtol < 0 ? 1e-3 : args->rtol, atol = args->atol < 0 ? 1e-4 : args->atol;
        *yes = tool_compare(s.out[i], expected->out[i], rtol, atol, why, sizeof why) != NULL;
        if (*yes)
            printf("%" PRIu64 " changes: output %zu %s\n", n, i, why);
    }
    tool_session_close(&s);
    return status == ONNX_INFER_E_OUT_OF_MEMORY || status == ONNX_INFER_E_CANCELLED ? status : ONNX_INFER_OK;
}

static oi_status search(const tool_args *args, const tool_session *expected)
{
    change_log log = {0};
    bool bad;
    OI_TRY(differs(args, UINT64_MAX, &log, expected, &bad));
    uint64_t good = 0, wrong = log.last;
    if (!bad) {
        printf("%" PRIu64 " changes: results agree\n", log.last);
        return ONNX_INFER_OK;
    }
    while (wrong - good > 1) {
        uint64_t middle = good + (wrong - good) / 2;
        OI_TRY(differs(args, middle, NULL, expected, &bad));
        *(bad ? &wrong : &good) = middle;
    }
    log = (change_log){.wanted = wrong};
    OI_TRY(differs(args, wrong, &log, expected, &bad));
    printf("change %" PRIu64 " is the first after which results differ%s%s\n", wrong, log.line[0] ? ": " : "", log.line);
    return oi_fail(ONNX_INFER_E_INTERNAL, "the optimizer changes the results");
}

static oi_status bisect(const tool_args *args)
{
    tool_session expected = {0};
    oi_status status = run_with(args, 0, NULL, &expected);
    if (!status)
        status = search(args, &expected);
    tool_session_close(&expected);
    return status;
}

int tool_bisect(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_RUN_OPTIONS | TOOL_MACHINE | TOOL_LEVEL | TOOL_TOLERANCE };
    tool_args args;
    oi_status status = tool_args_read(argc, argv, ACCEPTS, &args);
    if (!status && args.help) {
        printf("usage: onnx-infer bisect MODEL [OPTION]...\n\nRuns a model by the reference evaluators and with more or "
               "fewer of the optimizer's changes, and shows\nthe first change after which results differ.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (!status && args.npath != 1) {
        status = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "bisect takes one model, not %zu; see onnx-infer bisect --help",
                         args.npath);
    } else if (!status) {
        status = bisect(&args);
    }
    int code = status ? tool_complain(args.npath == 1 ? args.path[0] : NULL) : 0;
    tool_args_clear(&args);
    return code;
}
