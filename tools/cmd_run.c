/* onnx-infer run: one run of a model. */
#include "tool.h"

#include <string.h>

static oi_status print_json(const tool_session *s, double run_ms)
{
    oi_writer w = tool_file_writer(stdout);
    OI_TRY(oi_write_format(&w, "{\"load_ms\":%.3f,\"run_ms\":%.3f,\"outputs\":[", s->load_ms, run_ms));
    for (size_t i = 0; i < s->nout; i++) {
        OI_TRY(oi_write_text(&w, i ? ",\n" : "\n"));
        OI_TRY(tool_value_json(&w, onnx_infer_port_name(onnx_infer_model_output(s->model, i)), s->out[i]));
    }
    return oi_write_text(&w, "]}\n");
}

static oi_status run(const tool_args *args, tool_session *s)
{
    OI_TRY(tool_session_open(args, args->path[0], s));
    double began = tool_now_ms();
    OI_TRY(tool_session_run(s));
    double run_ms = tool_now_ms() - began;
    for (size_t i = 0; args->save && i < s->nout; i++)
        OI_TRY(tool_value_save(args->save, i, s->out[i]));
    if (args->json)
        return print_json(s, run_ms);
    for (size_t i = 0; i < s->nout; i++)
        tool_value_print(stdout, onnx_infer_port_name(onnx_infer_model_output(s->model, i)), s->out[i]);
    return ONNX_INFER_OK;
}

int tool_run(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_RUN_OPTIONS | TOOL_MACHINE | TOOL_STAGE | TOOL_SAVE | TOOL_JSON };
    tool_args args;
    tool_session s = {0};
    oi_status status = tool_args_read(argc, argv, ACCEPTS, &args);
    if (!status && args.help) {
        printf("usage: onnx-infer run MODEL [OPTION]...\n\nRuns a model once. Inputs that are not given are "
               "drawn from the seed; those with a default keep it.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (!status && args.npath != 1) {
        status = oi_fail(ONNX_INFER_E_INVALID_ARGUMENT,
                         "run takes one model, not %zu; see onnx-infer run --help", args.npath);
    } else if (!status) {
        status = run(&args, &s);
    }
    int code = status ? tool_complain(args.npath == 1 ? args.path[0] : NULL) : 0;
    tool_session_close(&s);
    tool_args_clear(&args);
    return code;
}
