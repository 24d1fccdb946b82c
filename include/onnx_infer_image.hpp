/* Pictures for networks: from 8-bit pixels to the float tensor that an image network takes, in one pass, and from its scores
 * to classes. Header-only, C++17; needs nothing but onnx_infer.hpp. Where OpenCV was included first, cv::Mat is a picture too.
 *
 *   onnx_infer::image::Recipe recipe = onnx_infer::image::Recipe::imagenet(224, 224);
 *   onnx_infer::Value x = onnx_infer::image::tensor({pixels, width, height, onnx_infer::image::Order::rgb}, recipe);
 *   onnx_infer::Value y = net.run1(x);
 *   for (auto [index, p] : onnx_infer::image::top_k(onnx_infer::image::softmax(y.data<float>()), 5)) ...
 *
 * The steps are those of the usual recipe, with its roundings: colours in the network's order, resized in 8 bits as
 * cv::resize does with INTER_LINEAR, then (v / divide - mean) / std in float32.
 */
#ifndef ONNX_INFER_IMAGE_HPP
#define ONNX_INFER_IMAGE_HPP

#include <onnx_infer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

namespace onnx_infer {
#if defined(ONNX_INFER_NO_EXCEPTIONS) && defined(__cpp_lib_span)
inline namespace results20 {
#elif defined(ONNX_INFER_NO_EXCEPTIONS)
inline namespace results17 {
#elif defined(__cpp_lib_span)
inline namespace exceptions20 {
#else
inline namespace exceptions17 {
#endif
namespace image {

/* What the bytes of a pixel are. */
enum class Order { grey, rgb, bgr, rgba, bgra };

inline int channels_of(Order order)
{
    return order == Order::grey ? 1 : order == Order::rgb || order == Order::bgr ? 3 : 4;
}

/* Pixels in rows from the top, each row `stride` bytes after the one before. Borrows. */
struct Picture {
    Picture(const std::uint8_t *pixels, int w, int h, Order o, std::ptrdiff_t row = 0)
        : data(pixels), width(w), height(h), order(o),
          stride(row != 0 ? row : static_cast<std::ptrdiff_t>(w) * channels_of(o))
    {
    }
#if defined(OPENCV_CORE_HPP) || defined(OPENCV_CORE_MAT_HPP)
    /* 8 bits; 3 and 4 channels are BGR and BGRA, as OpenCV reads them, unless told. */
    Picture(const cv::Mat &m)
        : Picture(m, m.channels() == 1 ? Order::grey : m.channels() == 3 ? Order::bgr : Order::bgra)
    {
    }
    Picture(const cv::Mat &m, Order o)
        : Picture(m.depth() == CV_8U && m.dims == 2 && m.channels() == channels_of(o) ? m.data : nullptr, m.cols, m.rows, o,
                  static_cast<std::ptrdiff_t>(m.step[0]))
    {
    }
#endif
    const std::uint8_t *data;
    int width, height;
    Order order;
    std::ptrdiff_t stride;
};

/* How a picture of another shape is made to fit. */
enum class Fit {
    stretch, /* each side on its own */
    contain, /* as large as fits whole, in the middle, the rest filled with `pad` (letterbox) */
    cover    /* as small as covers all, the middle of it */
};

/* What a network wants. Values are (v / divide - mean) / std, by the network's channels. */
struct Recipe {
    int width = 0, height = 0;
    Order order = Order::rgb; /* grey, rgb or bgr: the network's channels */
    float divide = 255.0f;
    std::array<float, 3> mean{}, std{1.0f, 1.0f, 1.0f};
    Fit fit = Fit::stretch;
    std::uint8_t pad = 114;
    bool channels_last = false; /* NHWC instead of NCHW */

    static Recipe unit(int w, int h) /* 0 to 1 */
    {
        Recipe r;
        r.width = w;
        r.height = h;
        return r;
    }
    static Recipe centred(int w, int h) /* -1 to 1: (v / 255 - 0.5) / 0.5 */
    {
        Recipe r = unit(w, h);
        r.mean = r.std = {0.5f, 0.5f, 0.5f};
        return r;
    }
    static Recipe imagenet(int w, int h)
    {
        Recipe r = unit(w, h);
        r.mean = {0.485f, 0.456f, 0.406f};
        r.std = {0.229f, 0.224f, 0.225f};
        return r;
    }
    int channels() const { return channels_of(order); }
    std::size_t size() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * static_cast<std::size_t>(channels()); }
};

/* Where the picture lies in the network's input: input = picture * scale + offset. */
struct Placement {
    double scale_x = 1, scale_y = 1;
    int left = 0, top = 0;      /* of the resized picture; negative where it is cut */
    int width = 0, height = 0;  /* of the resized picture */
};

inline Placement place(const Picture &p, const Recipe &r)
{
    Placement at;
    at.width = r.width;
    at.height = r.height;
    if (r.fit != Fit::stretch) {
        double x = static_cast<double>(r.width) / p.width, y = static_cast<double>(r.height) / p.height;
        double scale = r.fit == Fit::contain ? std::min(x, y) : std::max(x, y);
        at.width = std::max(1, static_cast<int>(std::lround(p.width * scale)));
        at.height = std::max(1, static_cast<int>(std::lround(p.height * scale)));
        at.left = (r.width - at.width) / 2;
        at.top = (r.height - at.height) / 2;
    }
    at.scale_x = static_cast<double>(at.width) / p.width;
    at.scale_y = static_cast<double>(at.height) / p.height;
    return at;
}

namespace detail {
/* One side of a bilinear resize in fixed point: for each output the first of two neighbours and the second's weight of 2048. */
struct Axis {
    struct Tap {
        int at[2];
        int weight[2];
    };
    Axis(int from, int to, bool clamp) : taps(static_cast<std::size_t>(to))
    {
        const double scale = 1.0 / (static_cast<double>(to) / from);
        for (int i = 0; i < to; i++) {
            float f = static_cast<float>((i + 0.5) * scale - 0.5);
            int first = static_cast<int>(std::floor(f));
            f -= static_cast<float>(first);
            if (clamp && (first < 0 || first >= from - 1)) {
                f = 0;
                first = first < 0 ? 0 : from - 1;
            }
            Tap &t = taps[static_cast<std::size_t>(i)];
            t.at[0] = std::clamp(first, 0, from - 1);
            t.at[1] = std::clamp(first + 1, 0, from - 1);
            t.weight[0] = static_cast<int>(std::lrint((1.0f - f) * 2048));
            t.weight[1] = static_cast<int>(std::lrint(f * 2048));
        }
    }
    std::vector<Tap> taps;
};

/* Rows of a picture in the network's channels. */
class Rows {
public:
    Rows(const Picture &p, Order to) : p_(p), to_(to), n_(channels_of(to)) {}
    /* Row y; in `buffer` where the channels had to be changed. */
    const std::uint8_t *row(int y, std::vector<std::uint8_t> &buffer) const
    {
        const std::uint8_t *from = p_.data + p_.stride * y;
        if (p_.order == to_)
            return from;
        buffer.resize(static_cast<std::size_t>(p_.width) * static_cast<std::size_t>(n_));
        std::uint8_t *out = buffer.data();
        const int step = channels_of(p_.order);
        const bool red_first = p_.order == Order::rgb || p_.order == Order::rgba;
        for (int x = 0; x < p_.width; x++, from += step, out += n_) {
            if (p_.order == Order::grey) {
                out[0] = out[1] = out[2] = from[0];
            } else {
                const std::uint8_t red = from[red_first ? 0 : 2], green = from[1], blue = from[red_first ? 2 : 0];
                if (n_ == 1) {
                    out[0] = static_cast<std::uint8_t>((red * 9798 + green * 19235 + blue * 3735 + (1 << 14)) >> 15);
                } else {
                    out[0] = to_ == Order::rgb ? red : blue;
                    out[1] = green;
                    out[2] = to_ == Order::rgb ? blue : red;
                }
            }
        }
        return buffer.data();
    }

private:
    const Picture &p_;
    Order to_;
    int n_;
};

/* The network's values of the 256 values of each channel, and where they go. */
class Writer {
public:
    Writer(const Recipe &r, float *out) : r_(r), out_(out), n_(static_cast<std::size_t>(r.channels()))
    {
        for (std::size_t c = 0; c < n_; c++) {
            for (std::size_t v = 0; v < 256; v++)
                table_[c][v] = (static_cast<float>(v) / r.divide - r.mean[c]) / r.std[c];
        }
    }
    std::size_t channels() const { return n_; }
    /* Writes `count` pixels from `x` on of row y; pixel(i, c) gives them. */
    template <class Pixel> void write(int y, int x, int count, Pixel pixel)
    {
        const std::size_t w = static_cast<std::size_t>(r_.width), plane = w * static_cast<std::size_t>(r_.height);
        const std::size_t first = static_cast<std::size_t>(y) * w + static_cast<std::size_t>(x);
        for (std::size_t c = 0; c < n_; c++) {
            const float *table = table_[c].data();
            float *to = r_.channels_last ? out_ + first * n_ + c : out_ + c * plane + first;
            const std::size_t step = r_.channels_last ? n_ : 1;
            for (int i = 0; i < count; i++)
                to[static_cast<std::size_t>(i) * step] = table[pixel(i, c)];
        }
    }
    void fill(int y, int x, int count)
    {
        write(y, x, count, [this](int, std::size_t) { return r_.pad; });
    }

private:
    const Recipe &r_;
    float *out_;
    std::size_t n_;
    std::array<std::array<float, 256>, 3> table_{};
};

inline bool is_whole(const Picture &p, const Recipe &r)
{
    return p.data && p.width > 0 && p.height > 0 && r.width > 0 && r.height > 0 && r.channels() <= 3 &&
           static_cast<std::int64_t>(r.width) * r.height < (1 << 30) && p.width < (1 << 24) && p.height < (1 << 24);
}

inline void convert(const Picture &p, const Recipe &r, float *out)
{
    const Placement at = place(p, r);
    const Rows rows(p, r.order);
    Writer writer(r, out);
    const int n = static_cast<int>(writer.channels());
    const int x0 = std::max(0, at.left), x1 = std::min(r.width, at.left + at.width), skip = x0 - at.left;
    const bool same = at.width == p.width && at.height == p.height;
    const bool halved = at.width * 2 == p.width && at.height * 2 == p.height;
    const Axis across(p.width, at.width, true), down(p.height, at.height, false);
    const std::size_t wide = static_cast<std::size_t>(x1 - x0) * static_cast<std::size_t>(n);
    std::array<std::vector<std::uint8_t>, 2> buffer;
    std::array<std::vector<int>, 2> resized{std::vector<int>(wide), std::vector<int>(wide)};
    std::array<int, 2> holds{-1, -1};
    std::vector<std::uint8_t> line(wide);

    for (int y = 0; y < r.height; y++) {
        const int from = y - at.top;
        if (from < 0 || from >= at.height) {
            writer.fill(y, 0, r.width);
            continue;
        }
        writer.fill(y, 0, x0);
        writer.fill(y, x1, r.width - x1);
        if (same) {
            const std::uint8_t *row = rows.row(from, buffer[0]) + skip * n;
            writer.write(y, x0, x1 - x0, [row, n](int i, std::size_t c) { return row[i * n + static_cast<int>(c)]; });
            continue;
        }
        if (halved) { /* the mean of four, as INTER_LINEAR has it */
            const std::uint8_t *a = rows.row(2 * from, buffer[0]) + 2 * skip * n, *b = rows.row(2 * from + 1, buffer[1]) + 2 * skip * n;
            writer.write(y, x0, x1 - x0, [a, b, n](int i, std::size_t c) {
                const int k = 2 * i * n + static_cast<int>(c);
                return static_cast<std::uint8_t>((a[k] + a[k + n] + b[k] + b[k + n] + 2) >> 2);
            });
            continue;
        }
        const Axis::Tap &v = down.taps[static_cast<std::size_t>(from)];
        std::array<const int *, 2> sums{};
        for (std::size_t k = 0; k < 2; k++) {
            std::size_t slot = holds[0] == v.at[k] ? 0 : holds[1] == v.at[k] ? 1 : 2;
            if (slot == 2) { /* into the one that the other tap does not need */
                slot = holds[0] == v.at[1 - k] ? 1 : 0;
                const std::uint8_t *row = rows.row(v.at[k], buffer[0]);
                int *to = resized[slot].data();
                for (int x = x0 - at.left; x < x1 - at.left; x++) {
                    const Axis::Tap &h = across.taps[static_cast<std::size_t>(x)];
                    const std::uint8_t *a = row + h.at[0] * n, *b = row + h.at[1] * n;
                    for (int c = 0; c < n; c++)
                        *to++ = a[c] * h.weight[0] + b[c] * h.weight[1];
                }
                holds[slot] = v.at[k];
            }
            sums[k] = resized[slot].data();
        }
        for (std::size_t i = 0; i < wide; i++) {
            const int sum = ((v.weight[0] * (sums[0][i] >> 4)) >> 16) + ((v.weight[1] * (sums[1][i] >> 4)) >> 16);
            line[i] = static_cast<std::uint8_t>((sum + 2) >> 2);
        }
        writer.write(y, x0, x1 - x0, [&line, n](int i, std::size_t c) { return line[static_cast<std::size_t>(i * n) + c]; });
    }
}
} // namespace detail

/* Writes recipe.size() floats: one picture, channels first unless the recipe says otherwise. */
inline outcome<Placement> convert(const Picture &picture, const Recipe &recipe, span<float> out)
{
    if (!detail::is_whole(picture, recipe))
        return onnx_infer::detail::fail<Placement>(
            error(ONNX_INFER_E_INVALID_ARGUMENT, "a picture of 8-bit grey, RGB or BGR pixels and a recipe with a size are needed"));
    if (out.size() < recipe.size())
        return onnx_infer::detail::fail<Placement>(error(ONNX_INFER_E_BUFFER_TOO_SMALL, "the picture takes " + std::to_string(recipe.size()) +
                                                                                            " floats, " + std::to_string(out.size()) + " are given"));
    detail::convert(picture, recipe, out.data());
    return place(picture, recipe);
}

/* A tensor of one picture, or of several as a batch. */
inline outcome<Tensor> tensor(span<const Picture> pictures, const Recipe &recipe)
{
    for (const Picture &p : pictures) {
        if (!detail::is_whole(p, recipe))
            return onnx_infer::detail::fail<Tensor>(error(ONNX_INFER_E_INVALID_ARGUMENT,
                                                          "a picture of 8-bit grey, RGB or BGR pixels and a recipe with a size are needed"));
    }
    std::vector<float> all(pictures.size() * recipe.size());
    for (std::size_t i = 0; i < pictures.size(); i++)
        detail::convert(pictures[i], recipe, all.data() + i * recipe.size());
    const std::int64_t n = static_cast<std::int64_t>(pictures.size());
    if (recipe.channels_last)
        return Tensor::own(std::move(all), {n, recipe.height, recipe.width, recipe.channels()});
    return Tensor::own(std::move(all), {n, recipe.channels(), recipe.height, recipe.width});
}
inline outcome<Tensor> tensor(const Picture &picture, const Recipe &recipe)
{
    return tensor(span<const Picture>(&picture, 1), recipe);
}

/* Scores to probabilities that sum to 1. */
inline std::vector<float> softmax(span<const float> scores)
{
    std::vector<float> p(scores.begin(), scores.end());
    if (p.empty())
        return p;
    const float most = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (float &v : p) {
        v = std::exp(v - most);
        sum += static_cast<double>(v);
    }
    for (float &v : p)
        v = static_cast<float>(static_cast<double>(v) / sum);
    return p;
}

struct Scored {
    std::size_t index;
    float score;
};

/* The k largest, largest first; of equals the first. */
inline std::vector<Scored> top_k(span<const float> scores, std::size_t k)
{
    std::vector<std::size_t> index(scores.size());
    std::iota(index.begin(), index.end(), std::size_t{0});
    k = std::min(k, index.size());
    std::partial_sort(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(k), index.end(),
                      [&](std::size_t a, std::size_t b) { return scores[a] > scores[b] || (!(scores[b] > scores[a]) && a < b); });
    std::vector<Scored> best;
    for (std::size_t i = 0; i < k; i++)
        best.push_back({index[i], scores[index[i]]});
    return best;
}

} // namespace image
} // inline namespace
} // namespace onnx_infer
#endif
