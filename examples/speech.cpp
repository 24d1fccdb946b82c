// speech: where somebody speaks in a recording. A recurrent network (silero_vad) is fed 32 ms at a time, as from a microphone;
// its state goes from run to run by a link, without a copy, and a run allocates nothing. Prints the spans of speech and
// draws them. Usage: speech silero_vad.onnx FILE.wav [DRAWING.svg]   (16-bit PCM; scripts/fetch-models fetches the network)
#include <onnx_infer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

namespace oi = onnx_infer;

constexpr std::size_t rate = 16000, step = 512, context = 64; // each run sees 64 samples of the one before

// The first channel of a wav file, at 16 kHz, from -1 to 1.
static std::vector<float> read_wav(const char *path)
{
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> b((std::istreambuf_iterator<char>(in)), {});
    auto number = [&](std::size_t at, int bytes) {
        std::uint32_t v = 0;
        for (int i = 0; i < bytes && at + static_cast<std::size_t>(i) < b.size(); i++)
            v |= static_cast<std::uint32_t>(static_cast<unsigned char>(b[at + static_cast<std::size_t>(i)])) << 8 * i;
        return v;
    };
    std::size_t channels = 0, from = 0, data = 0, bytes = 0;
    for (std::size_t at = 12; b.size() > 44 && at + 8 <= b.size(); at += 8 + number(at + 4, 4)) {
        if (!std::memcmp(&b[at], "fmt ", 4) && number(at + 8, 2) == 1 && number(at + 22, 2) == 16) {
            channels = number(at + 10, 2);
            from = number(at + 12, 4);
        } else if (!std::memcmp(&b[at], "data", 4)) {
            data = at + 8;
            bytes = std::min<std::size_t>(number(at + 4, 4), b.size() - data);
            break;
        }
    }
    if (!channels || !from || !data)
        throw std::runtime_error(std::string(path) + " is no 16-bit PCM wav file");
    auto sample = [&](std::size_t i) {
        return static_cast<float>(static_cast<std::int16_t>(number(data + i * channels * 2, 2))) / 32768;
    };
    const std::size_t count = bytes / (2 * channels);
    std::vector<float> out;
    for (std::size_t i = 0; count > 1; i++) {
        const double at = static_cast<double>(i) * static_cast<double>(from) / rate;
        const std::size_t k = static_cast<std::size_t>(at);
        if (k + 1 >= count)
            break;
        out.push_back(sample(k) + (sample(k + 1) - sample(k)) * static_cast<float>(at - static_cast<double>(k)));
    }
    return out;
}

struct Span {
    double from, to; // seconds
};

// Speech begins where the probability passes one half, and ends where it stays low for a quarter of a second.
static std::vector<Span> spans_of(const std::vector<float> &probability)
{
    constexpr double seconds = static_cast<double>(step) / rate;
    std::vector<Span> spans;
    bool speaks = false;
    double quiet = 0;
    for (std::size_t i = 0; i < probability.size(); i++) {
        const double at = static_cast<double>(i) * seconds;
        if (probability[i] >= 0.5f) {
            if (!speaks)
                spans.push_back({at, at});
            speaks = true;
            spans.back().to = at + seconds;
            quiet = 0;
        } else if (speaks && probability[i] < 0.35f && (quiet += seconds) >= 0.25) {
            speaks = false;
        }
    }
    spans.erase(std::remove_if(spans.begin(), spans.end(), [](const Span &s) { return s.to - s.from < 0.1; }), spans.end());
    return spans;
}

static void draw(const char *path, const std::vector<float> &sound, const std::vector<float> &probability, const std::vector<Span> &spans)
{
    constexpr int width = 1000, height = 200;
    const double length = static_cast<double>(sound.size()) / rate;
    std::ofstream svg(path);
    svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << width << " " << height << "'><rect width='100%' height='100%' fill='white'/>\n";
    for (const Span &s : spans)
        svg << "<rect x='" << s.from / length * width << "' width='" << (s.to - s.from) / length * width << "' height='" << height
            << "' fill='#cde8cd'/>\n";
    svg << "<path stroke='#456' fill='none' d='";
    for (int x = 0; x < width; x++) {
        const auto from = sound.begin() + static_cast<std::ptrdiff_t>(sound.size()) * x / width;
        const auto to = std::max(from + 1, sound.begin() + static_cast<std::ptrdiff_t>(sound.size()) * (x + 1) / width);
        const auto [low, high] = std::minmax_element(from, to);
        svg << "M" << x << " " << 100 - *high * 95 << "V" << 101 - *low * 95;
    }
    svg << "'/>\n<polyline stroke='#c33' fill='none' stroke-width='1.5' points='";
    for (std::size_t i = 0; i < probability.size(); i++)
        svg << static_cast<double>(i) * step / static_cast<double>(sound.size()) * width << "," << height - probability[i] * height << " ";
    svg << "'/></svg>\n";
}

int main(int argc, char **argv)
try {
    if (argc < 3) {
        std::fputs("usage: speech silero_vad.onnx FILE.wav [DRAWING.svg]\n", stderr);
        return 2;
    }
    std::vector<float> sound = read_wav(argv[2]);
    oi::Options options;
    options.threads(1).input_shape("input", {1, context + step}).input_shape("state", {2, 1, 128});
    oi::Context net = oi::Context::open(argv[1], options);
    const oi::Model model = net.model();

    std::vector<float> window(context + step);
    std::vector<std::int64_t> sample_rate{rate};
    oi::Value zeros = oi::Tensor::create<float>({2, 1, 128});
    net.bind_input(model.input_index("input").value(), oi::Tensor::wrap(window, {1, context + step}));
    net.bind_input(model.input_index("sr").value(), oi::Tensor::wrap(sample_rate, {}));
    net.bind_input(model.input_index("state").value(), zeros);
    net.bind_state(model.output_index("stateN").value(), model.input_index("state").value());

    std::vector<float> probability;
    for (std::size_t at = 0; at + step <= sound.size(); at += step) {
        std::copy(window.end() - context, window.end(), window.begin());
        std::copy_n(sound.begin() + static_cast<std::ptrdiff_t>(at), step, window.begin() + context);
        net.run_bound();
        probability.push_back(net.output(0).data<float>()[0]);
    }

    const std::vector<Span> spans = spans_of(probability);
    for (const Span &s : spans)
        std::printf("speech from %.2f s to %.2f s\n", s.from, s.to);
    if (argc > 3)
        draw(argv[3], sound, probability, spans);
} catch (const std::exception &e) {
    std::fprintf(stderr, "speech: %s\n", e.what());
    return 1;
}
