/* Model bytes for a fuzzer: LLVMFuzzerTestOneInput for libFuzzer (-fsanitize=fuzzer -DFUZZING), and without it a main
 * that replays files: fuzz_model FILE... */
#include "onnx/model_file.h"
#include "ops/infer.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_free(void *user, void *data)
{
    (void)user;
    (void)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const oi_onnx_options o = {.max_nodes = 10000, .max_tensor_bytes = 1 << 24, .keep_issues = size % 2};
    oi_onnx_model *m = NULL;
    if (!oi_onnx_load_memory(data, size, no_free, NULL, &o, &m) && !m->nissue)
        (void)!oi_infer_graph(m->graph);
    oi_onnx_free(m);
    return 0;
}

#ifndef FUZZING
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f || fseek(f, 0, SEEK_END)) {
            perror(argv[i]);
            return 1;
        }
        long n = ftell(f);
        uint8_t *p = malloc(n > 0 ? (size_t)n : 1);
        rewind(f);
        if (!p || n < 0 || fread(p, 1, (size_t)n, f) != (size_t)n) {
            perror(argv[i]);
            return 1;
        }
        fclose(f);
        LLVMFuzzerTestOneInput(p, (size_t)n);
        free(p);
    }
    return 0;
}
#endif
