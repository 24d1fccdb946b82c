// serve: one plan, one copy of the weights, many threads that ask it at once. Each gets the same bits as if it were alone.
// Usage: serve tests/data/seed-models/simple_cnn/model.onnx [THREADS]
#include <onnx_infer.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace oi = onnx_infer;

static std::vector<float> request(int number)
{
    std::vector<float> x(28 * 28);
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] = static_cast<float>((i * 31 + static_cast<std::size_t>(number) * 7) % 256) / 255;
    return x;
}

int main(int argc, char **argv)
try {
    const int threads = argc > 2 ? std::atoi(argv[2]) : 8, requests = 50;
    oi::Options options;
    options.threads(1).symbol("batch_size", 1); // the threads are the callers; a run takes none beside
    oi::Plan plan = oi::Plan::create(oi::Model::load(argc > 1 ? argv[1] : "model.onnx"), options);

    auto answer = [&](int number) {
        const std::vector<float> x = request(number);
        return plan.run({oi::Tensor::wrap(x, {1, 1, 28, 28})}).at(0);
    };
    std::vector<oi::Value> alone;
    for (int i = 0; i < requests; i++)
        alone.push_back(answer(i));

    std::atomic<int> same{0}, failed{0};
    std::vector<std::thread> crowd;
    for (int t = 0; t < threads; t++) {
        crowd.emplace_back([&] {
            try {
                for (int i = 0; i < requests; i++)
                    same += !std::memcmp(answer(i).raw(), alone[static_cast<std::size_t>(i)].raw(), alone[0].bytes());
            } catch (const oi::error &) {
                failed++;
            }
        });
    }
    for (std::thread &t : crowd)
        t.join();
    std::printf("%d threads, %d answers, %d with the same bits as alone\n", threads, threads * requests, same.load());
    return same == threads * requests && failed == 0 ? 0 : 1;
} catch (const std::exception &e) {
    std::fprintf(stderr, "serve: %s\n", e.what());
    return 1;
}
