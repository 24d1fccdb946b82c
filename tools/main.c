/* onnx-infer: runs, shows, checks, verifies and measures ONNX models. */
#include "tool.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} COMMANDS[] = {
    {"run", "runs a model once and shows or saves its outputs", tool_run},
    {"inspect", "shows inputs, outputs, sizes and the graph of a model", tool_inspect},
    {"check", "lists everything in a model that is invalid or unsupported", tool_check},
    {"verify", "runs directories of test data and compares the outputs", tool_verify},
    {"save", "writes a model, simplified, as ONNX", tool_save},
    {"bench", "measures how fast a model loads and runs", tool_bench},
    {"bisect", "finds the change of the optimizer that changes a model's results", tool_bisect},
    {"ops", "lists the operators of this build", tool_ops},
};

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static void print_help(FILE *f)
{
    fprintf(f, "onnx-infer %s runs ONNX models.\n\nusage: onnx-infer COMMAND ...\n\n", onnx_infer_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(f, "  %-8s %s\n", COMMANDS[i].name, COMMANDS[i].what);
    fprintf(f, "\n'onnx-infer COMMAND --help' lists a command's options.\n\nexit codes: 0 all is well");
    for (int32_t s = 1; s <= ONNX_INFER_E_INTERNAL; s++)
        fprintf(f, "%s%2d %s", (s - 1) % 3 ? "  " : "\n  ", s, onnx_infer_status_name(s));
    fprintf(f,
            "\n  %2d a directory failed to verify\nstderr says what happened. E_INVALID_ARGUMENT is also a "
            "wrong command line.\n",
            EXIT_VERIFY_FAILED);
}

int tool_complain(const char *prefix)
{
    const onnx_infer_error *e = onnx_infer_last_error();
    if (prefix && !strncmp(onnx_infer_error_message(e), prefix, strlen(prefix)))
        prefix = NULL; /* the message says it already */
    tool_progress("%s", "");
    const char *message = onnx_infer_error_message(e);
    if (prefix && !strncmp(message, prefix, strlen(prefix)))
        prefix = NULL; /* the library has said it */
    fprintf(stderr, "onnx-infer: %s%s%s (%s)\n", prefix ? prefix : "", prefix ? ": " : "", message, onnx_infer_status_name(onnx_infer_error_code(e)));
    return onnx_infer_error_code(e) ? onnx_infer_error_code(e) : ONNX_INFER_E_INTERNAL;
}

static int write_file(void *user, const void *p, size_t n)
{
    return fwrite(p, 1, n, user) == n ? 0 : -1;
}

oi_writer tool_file_writer(FILE *f)
{
    return (oi_writer){f, write_file};
}

void tool_progress(const char *fmt, ...)
{
    if (!isatty(STDERR_FILENO))
        return;
    va_list list;
    va_start(list, fmt);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, fmt, list);
    va_end(list);
    fflush(stderr);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return ONNX_INFER_E_INVALID_ARGUMENT;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("onnx-infer %s, %s kernels, %d threads\n", onnx_infer_version(), onnx_infer_cpu_isa(),
               (int)onnx_infer_default_threads());
        return 0;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(argv[1], COMMANDS[i].name)) {
            int code = COMMANDS[i].run(argc - 2, argv + 2);
            if (fflush(stdout) && !code) {
                oi_fail(ONNX_INFER_E_IO, "standard output cannot be written");
                code = tool_complain(NULL);
            }
            return code;
        }
    fprintf(stderr, "onnx-infer: no command '%s'; there are run, inspect, check, verify, save, bench and ops\n",
            argv[1]);
    return ONNX_INFER_E_INVALID_ARGUMENT;
}
