/* onnx-infer save: writes a model, simplified, as ONNX. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static int save(const tool_args *args)
{
    onnx_infer_options *options = NULL;
    onnx_infer_model *model = NULL;
    oi_status status = tool_options(args, &options);
    if (!status)
        status = onnx_infer_model_load_file(args->path[0], options, &model);
    if (!status)
        status = onnx_infer_model_save_onnx_file(model, options, args->path[1]);
    onnx_infer_model_release(model);
    onnx_infer_options_free(options);
    return status ? tool_complain(NULL) : 0;
}

int tool_save(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_SHAPES | TOOL_STAGE };
    tool_args args;
    int code = 0;
    if (tool_args_read(argc, argv, ACCEPTS, &args)) {
        code = tool_complain(NULL);
    } else if (args.help) {
        printf("usage: onnx-infer save MODEL OUT.onnx [OPTION]...\n\n"
               "Writes the model as the optimizer simplifies it before it knows a machine: constants and shape "
               "arithmetic folded,\n"
               "functions inlined, operators in a new form. --dim and --shape fix sizes for good; --stage typed "
               "only brings operators\n"
               "to a new opset. 2 GB of weights and more go to OUT.onnx.data.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else if (args.npath != 2) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "save takes a model and a file to write; see onnx-infer save --help");
        code = tool_complain(NULL);
    } else {
        code = save(&args);
    }
    tool_args_clear(&args);
    return code;
}
