// classify: which class a network sees in a drawn digit, from C++: model -> plan -> context, and what a model
// says of itself. Usage: classify MODEL   (any network from floats [N,1,28,28] to scores [N,classes])
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <onnx_infer.h>

namespace
{

void check(onnx_infer_status status)
{
    if (status != ONNX_INFER_OK)
        throw std::runtime_error(onnx_infer_error_message(onnx_infer_last_error()));
}

template <auto Free> struct FreeWith {
    template <class T> void operator()(T *p) const
    {
        Free(p);
    }
};
template <class T, auto Free> using Owned = std::unique_ptr<T, FreeWith<Free>>;

// A seven; each character is a square of two by two pixels.
const std::array<const char *, 14> seven = {
    "..............", "..............", "...########...", "...########...", ".........##...",
    "........##....", "........##....", ".......##.....", ".......##.....", "......##......",
    "......##......", "......##......", "..............", ".............."};

std::vector<float> draw_seven()
{
    std::vector<float> pixels;
    for (int y = 0; y < 28; y++)
        for (int x = 0; x < 28; x++)
            pixels.push_back(seven[y / 2][x / 2] == '#' ? 1.f : 0.f);
    return pixels;
}

void print_port(const char *what, const onnx_infer_port *port)
{
    std::printf("%s %s: [", what, onnx_infer_port_name(port));
    for (int32_t axis = 0; axis < onnx_infer_port_rank(port); axis++)
        std::printf("%s%s", axis ? ", " : "", onnx_infer_port_dim_expr(port, axis));
    std::puts("]");
}

void run(const char *path)
{
    onnx_infer_model *m = nullptr;
    check(onnx_infer_model_load_file(path, nullptr, &m));
    const Owned<onnx_infer_model, onnx_infer_model_release> model(m);
    print_port("input", onnx_infer_model_input(m, 0));
    print_port("output", onnx_infer_model_output(m, 0));

    onnx_infer_options *o = nullptr;
    check(onnx_infer_options_create(&o));
    const Owned<onnx_infer_options, onnx_infer_options_free> options(o);
    const std::array<int64_t, 4> dims = {1, 1, 28, 28};
    check(onnx_infer_options_set_input_shape(o, onnx_infer_port_name(onnx_infer_model_input(m, 0)), 4,
                                             dims.data()));

    onnx_infer_plan *p = nullptr;
    check(onnx_infer_plan_create(m, o, &p));
    const Owned<onnx_infer_plan, onnx_infer_plan_release> plan(p);
    onnx_infer_context *c = nullptr;
    check(onnx_infer_context_create(p, &c));
    const Owned<onnx_infer_context, onnx_infer_context_free> context(c);

    std::vector<float> pixels = draw_seven();
    onnx_infer_value *in = nullptr, *out = nullptr;
    check(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, 4, dims.data(), pixels.data(),
                                 pixels.size() * sizeof(float), nullptr, nullptr, &in));
    const Owned<onnx_infer_value, onnx_infer_value_release> input(in);
    check(onnx_infer_run(c, nullptr, 1, &in, 1, &out));
    const Owned<onnx_infer_value, onnx_infer_value_release> output(out);

    const auto *scores = static_cast<const float *>(onnx_infer_tensor_data(out));
    std::vector<size_t> order(onnx_infer_tensor_count(out));
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    for (size_t i = 0; i < std::min<size_t>(3, order.size()); i++)
        std::printf("class %zu: %.4f\n", order[i], static_cast<double>(scores[order[i]]));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fputs("usage: classify MODEL\n", stderr);
        return 2;
    }
    try {
        run(argv[1]);
        return 0;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "classify: %s\n", e.what());
        return 1;
    }
}
