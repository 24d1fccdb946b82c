// sealed: a model that lies encrypted on the disk and is decrypted only as the library reads it; its plain bytes are never
// written anywhere. The cipher here is a toy that stands for AES-CTR or ChaCha20: like them it can start at any offset.
// Usage: sealed seal MODEL FILE KEY | sealed run FILE KEY
#include <onnx_infer.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace oi = onnx_infer;

// Adds the key's stream to the bytes that begin at `offset`; the same again takes it away.
static void apply(std::uint64_t key, std::uint64_t offset, std::uint8_t *bytes, std::size_t n)
{
    for (std::size_t i = 0; i < n; i++) {
        std::uint64_t x = (key + (offset + i) / 8 + 1) * 0x9E3779B97F4A7C15u;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
        x = (x ^ x >> 27) * 0x94D049BB133111EBu;
        bytes[i] ^= static_cast<std::uint8_t>((x ^ x >> 31) >> (offset + i) % 8 * 8);
    }
}

class SealedFile : public oi::Reader {
public:
    SealedFile(const std::string &path, std::uint64_t key) : in_(path, std::ios::binary | std::ios::ate), key_(key) {}
    std::int64_t size() override { return in_ ? static_cast<std::int64_t>(in_.tellg()) : -1; }
    std::int64_t read_at(std::uint64_t offset, void *to, std::size_t n) override
    {
        in_.seekg(static_cast<std::streamoff>(offset));
        if (!in_.read(static_cast<char *>(to), static_cast<std::streamsize>(n)))
            return -1;
        apply(key_, offset, static_cast<std::uint8_t *>(to), n);
        return static_cast<std::int64_t>(n);
    }

private:
    std::ifstream in_;
    std::uint64_t key_;
};

int main(int argc, char **argv)
try {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "seal" && argc == 5) {
        std::ifstream in(argv[2], std::ios::binary);
        std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
        apply(std::strtoull(argv[4], nullptr, 16), 0, reinterpret_cast<std::uint8_t *>(bytes.data()), bytes.size());
        std::ofstream(argv[3], std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    } else if (what == "run" && argc == 4) {
        oi::Model model = oi::Model::load_reader(std::make_unique<SealedFile>(argv[2], std::strtoull(argv[3], nullptr, 16)));
        oi::Context net = oi::Context::create(oi::Plan::create(model));
        const std::vector<std::int64_t> dims = model.inputs().at(0).shape(1);
        oi::Value x = oi::Tensor::create<float>(dims);
        for (float &v : x.mutable_data<float>())
            v = 1;
        oi::Value y = net.run1(x);
        for (float v : y.data<float>())
            std::printf("%g ", static_cast<double>(v));
        std::puts("");
    } else {
        std::fputs("usage: sealed seal MODEL FILE KEY | sealed run FILE KEY\n", stderr);
        return 2;
    }
} catch (const std::exception &e) {
    std::fprintf(stderr, "sealed: %s\n", e.what());
    return 1;
}
