/* Writes little ONNX models from C, for tests: graphs as text, straight to the wire format. */
#ifndef TESTS_SUPPORT_LITTLE_MODEL_H
#define TESTS_SUPPORT_LITTLE_MODEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *at;
    size_t n, cap;
} little_bytes; /* freed with little_free */

void little_free(little_bytes *b);

/* A graph (GraphProto) from lines:
 *   in x float 2xNx?         an input: element type float, int64 or bool; dims: numbers, names, ? for none given; "scalar";
 *                            "any": no rank given
 *   info x float 2x3         a value_info entry
 *   const w float 2x2 1 2 3 4
 *   hole w float 2x2 FILE    the same with the data in a file beside the model
 *   y = Add(x, w) axis=1     a node; several outputs and inputs are separated by commas, "_" leaves one out;
 *                            attributes are integers (1), floats (0.5), strings ('a'), lists of numbers ([1,2], [0.5]),
 *                            tensors (<v;float;2;0.5;1>) or graphs of `sub` after '@': body=@0
 *   y = some.domain::Op(x)   a node of another domain
 *   out y float 2xN          an output
 * Ends the program on a line that it does not understand. */
little_bytes little_graph(const char *text, const little_bytes *sub);
/* The graph as a model of opset 17. */
little_bytes little_model(const little_bytes *graph);
/* The same, and a version of another domain (may be NULL). */
little_bytes little_model_with(const little_bytes *graph, const char *domain, int64_t version);

#endif
