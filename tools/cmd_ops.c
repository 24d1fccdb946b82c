/* onnx-infer ops: the operators of this build. */
#include "tool.h"

#include "ops/op.h"

static const char *domain_of(const oi_op *op)
{
    return op->domain[0] ? op->domain : "ai.onnx";
}

static void print_op(const oi_op *op, bool json, bool first)
{
    bool fast = op->prepare || op->lower;
    if (json)
        printf("%s\n  {\"domain\": \"%s\", \"name\": \"%s\", \"since\": %d, \"newest\": %d, \"deprecated\": %d, \"fast\": %s}",
               first ? "" : ",", domain_of(op), op->name, op->since, (int)oi_op_newest_opset(op->domain), op->deprecated,
               fast ? "true" : "false");
    else
        printf("%-26s %-32s %2d to %-3d%s%s\n", domain_of(op), op->name, op->since, (int)oi_op_newest_opset(op->domain),
               fast ? " fast" : "", op->deprecated ? " deprecated" : "");
}

static void print_table(bool json)
{
    size_t n, shown = 0;
    const oi_op *const *table = oi_op_table(&n);
    fputs(json ? "[" : "", stdout);
    for (size_t i = 0; i < n; i++) {
        if (table[i]->flags & OI_OP_LOWERED_ONLY)
            continue;
        print_op(table[i], json, !shown);
        shown++;
    }
    if (json)
        puts("\n]");
    else
        printf("%zu operators\n", shown);
}

int tool_ops(int argc, char **argv)
{
    enum { ACCEPTS = TOOL_JSON };
    tool_args args;
    int code = 0;
    if (tool_args_read(argc, argv, ACCEPTS, &args)) {
        code = tool_complain(NULL);
    } else if (args.help) {
        printf("usage: onnx-infer ops [OPTION]...\n\n"
               "Lists the operators of this build, a line each: domain, name, the opset versions that models may use it in.\n"
               "\"fast\" marks those that have kernels of their own beside the plain reference evaluator.\n\n");
        tool_print_options(stdout, ACCEPTS);
    } else {
        print_table(args.json);
    }
    tool_args_clear(&args);
    return code;
}
