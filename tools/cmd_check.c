/* onnx-infer check: everything in a model that is invalid or unsupported, in one report. */
#include "tool.h"

static int report(const char *path)
{
    onnx_infer_model *m = NULL;
    onnx_infer_plan *plan = NULL;
    if (onnx_infer_model_peek_file(path, NULL, &m))
        return tool_complain(path);
    int code = 0;
    size_t n = onnx_infer_model_issue_count(m);
    for (size_t i = 0; i < n; i++) {
        const onnx_infer_error *e = onnx_infer_model_issue(m, i);
        printf("%s: %s\n", onnx_infer_status_name(onnx_infer_error_code(e)), onnx_infer_error_message(e));
        if (!code)
            code = onnx_infer_error_code(e);
    }
    if (n) {
        fprintf(stderr, "onnx-infer: %s: %zu problem%s\n", path, n, n == 1 ? "" : "s");
    } else if (onnx_infer_plan_create(m, NULL, &plan)) {
        code = tool_complain(path);
    } else {
        printf("%s: all is well\n", path);
    }
    onnx_infer_plan_release(plan);
    onnx_infer_model_release(m);
    return code;
}

int tool_check(int argc, char **argv)
{
    tool_args args;
    oi_status status = tool_args_read(argc, argv, 0, &args);
    int code = 0;
    if (status) {
        code = tool_complain(NULL);
    } else if (args.help) {
        printf("usage: onnx-infer check MODEL\n\nLists everything in a model that is invalid or unsupported, "
               "a line each. The exit code is 0 where nothing\n"
               "is, else the status of the first problem.\n\n");
        tool_print_options(stdout, 0);
    } else if (args.npath != 1) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "check takes one model, not %zu; see onnx-infer check --help",
                args.npath);
        code = tool_complain(NULL);
    } else {
        code = report(args.path[0]);
    }
    tool_args_clear(&args);
    return code;
}
