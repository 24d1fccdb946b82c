// onnx_infer_image.hpp against OpenCV's cvtColor, resize and convertTo on random pictures: the same bits. Without OpenCV
// (NO_OPENCV defined) what can be said without it. The last line counts the checks.
#if !defined(NO_OPENCV)
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#endif
#include <onnx_infer_image.hpp>

#include <cstdio>
#include <random>

namespace image = onnx_infer::image;

static int passed, failed;
static void check(bool ok, const std::string &what)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        std::printf("FAIL %s\n", what.c_str());
}

template <class F> static bool fails(F call)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    return !call();
#else
    try {
        static_cast<void>(call());
        return false;
    } catch (const onnx_infer::error &e) {
        return e.code == ONNX_INFER_E_INVALID_ARGUMENT || e.code == ONNX_INFER_E_BUFFER_TOO_SMALL;
    }
#endif
}

static void without_opencv()
{
    const std::uint8_t pixels[2 * 8] = {0, 10, 20, 30, 40, 50, 99, 99, 60, 70, 80, 90, 100, 255, 99, 99}; // 2x2 and padding
    const image::Picture p(pixels, 2, 2, image::Order::rgb, 8);
    image::Recipe r = image::Recipe::centred(2, 2);
    std::vector<float> out(12);
    onnx_infer::span<float> all(out.data(), out.size());
    static_cast<void>(image::convert(p, r, all));
    bool same = true;
    for (std::size_t c = 0; c < 3; c++) {
        for (std::size_t i = 0; i < 4; i++) {
            const float v = static_cast<float>(pixels[i / 2 * 8 + i % 2 * 3 + c]);
            same = same && out[c * 4 + i] == (v / 255.0f - 0.5f) / 0.5f;
        }
    }
    check(same, "the usual recipe, channels first");
    r.channels_last = true;
    r.order = image::Order::bgr;
    static_cast<void>(image::convert(p, r, all));
    check(out[0] == (20.0f / 255.0f - 0.5f) / 0.5f && out[11] == (90.0f / 255.0f - 0.5f) / 0.5f, "channels last, turned");

    image::Recipe box = image::Recipe::unit(8, 4);
    box.fit = image::Fit::contain;
    std::vector<float> wide(box.size());
    static_cast<void>(image::convert(p, box, {wide.data(), wide.size()}));
    const image::Placement at = image::place(p, box);
    check(at.left == 2 && at.top == 0 && at.width == 4 && at.height == 4 && at.scale_x == 2, "a letterbox in the middle");
    check(wide[0] == 114.0f / 255.0f && wide[1] == 114.0f / 255.0f && wide[7] == 114.0f / 255.0f && wide[2] == 0.0f, "with its padding");

    check(fails([&] { return image::tensor(image::Picture(nullptr, 2, 2, image::Order::rgb), r); }), "no picture");
    check(fails([&] { return image::tensor(p, image::Recipe()); }), "no size");
    check(fails([&] { return image::convert(p, r, {out.data(), 11}); }), "not enough memory");

    const std::vector<float> scores{1, 3, 3, -1000, 2};
    const std::vector<float> probable = image::softmax({scores.data(), scores.size()});
    const auto best = image::top_k({probable.data(), probable.size()}, 3);
    double sum = 0;
    for (float v : probable)
        sum += static_cast<double>(v);
    check(std::fabs(sum - 1) < 1e-6 && probable[3] == 0.0f, "softmax sums to 1");
    check(best.size() == 3 && best[0].index == 1 && best[1].index == 2 && best[2].index == 4, "the three largest");
    check(image::top_k({scores.data(), scores.size()}, 99).size() == 5 && image::softmax({}).empty(), "fewer than asked");
}

#if !defined(NO_OPENCV)
// The same steps with OpenCV.
static std::vector<float> reference(const cv::Mat &m, const image::Picture &p, const image::Recipe &r)
{
    const int channels = r.channels();
    cv::Mat colours;
    if (p.order == image::Order::grey && channels == 3)
        cv::cvtColor(m, colours, cv::COLOR_GRAY2BGR);
    else if (p.order == image::Order::bgr && channels == 1)
        cv::cvtColor(m, colours, cv::COLOR_BGR2GRAY);
    else if (p.order == image::Order::bgr && r.order == image::Order::rgb)
        cv::cvtColor(m, colours, cv::COLOR_BGR2RGB);
    else if (p.order == image::Order::bgra)
        cv::cvtColor(m, colours, r.order == image::Order::rgb ? cv::COLOR_BGRA2RGB : channels == 1 ? cv::COLOR_BGRA2GRAY : cv::COLOR_BGRA2BGR);
    else
        colours = m;
    const image::Placement at = image::place(p, r);
    cv::Mat resized, canvas(r.height, r.width, CV_8UC(channels), cv::Scalar::all(r.pad));
    cv::resize(colours, resized, cv::Size(at.width, at.height), 0, 0, cv::INTER_LINEAR);
    const int left = std::max(0, at.left), top = std::max(0, at.top);
    const int right = std::min(r.width, at.left + at.width), bottom = std::min(r.height, at.top + at.height);
    resized(cv::Rect(left - at.left, top - at.top, right - left, bottom - top)).copyTo(canvas(cv::Rect(left, top, right - left, bottom - top)));
    std::vector<float> out;
    for (int c = 0; c < channels; c++) {
        for (int y = 0; y < r.height; y++) {
            for (int x = 0; x < r.width; x++)
                out.push_back((static_cast<float>(canvas.ptr(y)[x * channels + c]) / r.divide - r.mean[static_cast<std::size_t>(c)]) /
                              r.std[static_cast<std::size_t>(c)]);
        }
    }
    return out;
}

static void against_opencv()
{
    std::mt19937 random(7);
    auto draw = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
    for (int round = 0; round < 300; round++) {
        const int channels = draw(0, 2) == 0 ? 1 : draw(3, 4);
        cv::Mat whole(draw(1, 90) + 3, draw(1, 90) + 5, CV_8UC(channels));
        for (int y = 0; y < whole.rows; y++) {
            for (int x = 0; x < whole.cols * channels; x++)
                whole.ptr(y)[x] = static_cast<unsigned char>(random());
        }
        cv::Mat m = round % 3 ? whole : whole(cv::Rect(2, 1, whole.cols - 5, whole.rows - 3));
        image::Recipe r = round % 2 ? image::Recipe::imagenet(draw(1, 120), draw(1, 120)) : image::Recipe::centred(draw(1, 120), draw(1, 120));
        if (round % 10 == 0) {
            r.width = std::max(1, m.cols / 2);
            r.height = std::max(1, m.rows / 2);
        } else if (round % 10 == 5) {
            r.width = m.cols;
            r.height = m.rows;
        }
        r.order = draw(0, 3) == 0 ? image::Order::grey : draw(0, 1) ? image::Order::rgb : image::Order::bgr;
        r.fit = static_cast<image::Fit>(draw(0, 2));
        const image::Picture p(m);
        const std::vector<float> want = reference(m, p, r);
        std::vector<float> got(r.size());
        static_cast<void>(image::convert(p, r, {got.data(), got.size()}));
        std::size_t wrong = 0;
        float most = 0;
        for (std::size_t i = 0; i < want.size(); i++) {
            wrong += want[i] != got[i];
            most = std::max(most, std::fabs(want[i] - got[i]));
        }
        check(wrong == 0, "picture " + std::to_string(round) + ": " + std::to_string(m.cols) + "x" + std::to_string(m.rows) + "x" +
                              std::to_string(channels) + " to " + std::to_string(r.width) + "x" + std::to_string(r.height) + "x" +
                              std::to_string(r.channels()) + ", fit " + std::to_string(static_cast<int>(r.fit)) + ": " +
                              std::to_string(wrong) + " of " + std::to_string(want.size()) + " differ, by up to " + std::to_string(most));
    }
}
#endif

int main()
{
    without_opencv();
#if !defined(NO_OPENCV)
    against_opencv();
#endif
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
