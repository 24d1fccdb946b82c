/* write_models DIR: the models of test_bisect.sh. */
#include "support/little_model.h"

#include <stdio.h>
#include <stdlib.h>

static void write_model(const char *folder, const char *name, const char *text, const char *body)
{
    char path[4096];
    little_bytes sub = {0};
    if (body)
        sub = little_graph(body, NULL);
    little_bytes graph = little_graph(text, body ? &sub : NULL), model = little_model(&graph);
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(model.at, 1, model.n, f) != model.n || fclose(f)) {
        perror(path);
        exit(1);
    }
    little_free(&model);
    little_free(&graph);
    little_free(&sub);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 1;
    write_model(argv[1], "plain", "in x float 4\nw = Identity(x)\na = Neg(w)\nb = Sigmoid(a)\nc = Identity(b)\ny = Tanh(c)\nout y float 4\n", NULL);
    write_model(argv[1], "loop",
                "in x float 4\nconst m int64 scalar 40\nconst go bool scalar 1\ns = Identity(x)\nt = Neg(s)\nr = Abs(t)\n"
                "z = Loop(m, go, r) body=@0\ny = Tanh(z)\nout y float 4\n",
                "in i int64 scalar\nin g bool scalar\nin v float any\nn = Identity(v)\nk = Neg(n)\nw = Sigmoid(k)\nh = Identity(g)\n"
                "out h bool scalar\nout w float any\n");
    return 0;
}
