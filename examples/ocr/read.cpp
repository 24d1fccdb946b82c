// What the text says: the network that sees whether a line is upside down, and the one that reads it.
#include "read.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <opencv2/imgproc.hpp>

#include "picture.hpp"

namespace ocr
{
namespace
{

constexpr int line_height = 48;
constexpr int turner_width = 192;
constexpr int reader_width = 320; // at least
constexpr size_t batch_size = 6;
constexpr float is_upside_down = 0.9f;

double ratio(const cv::Mat &line)
{
    return static_cast<double>(line.cols) / line.rows;
}

// Lines of like width together, so that little of a batch is padding.
std::vector<size_t> by_ratio(const std::vector<cv::Mat> &lines)
{
    std::vector<size_t> order(lines.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return ratio(lines[a]) < ratio(lines[b]); });
    return order;
}

std::array<float, 256> line_scale()
{
    std::array<float, 256> table{};
    for (int v = 0; v < 256; v++)
        table[v] = (static_cast<float>(v) / 255.f - 0.5f) / 0.5f;
    return table;
}

// Scales a line to the networks' height; right of it the input stays 0.
void put_line(const cv::Mat &line, int width, float *out)
{
    static const std::array<float, 256> scale = line_scale();
    const int needed = static_cast<int>(std::ceil(line_height * ratio(line)));
    cv::Mat resized;
    cv::resize(line, resized, cv::Size(std::min(needed, width), line_height));
    to_planes(resized, scale, out, static_cast<size_t>(width), static_cast<size_t>(width) * line_height);
}

std::vector<float> make_batch(const std::vector<cv::Mat> &lines, const size_t *order, size_t count, int width)
{
    const size_t size = size_t{3} * line_height * static_cast<size_t>(width);
    std::vector<float> batch(count * size);
    for (size_t i = 0; i < count; i++)
        put_line(lines[order[i]], width, batch.data() + i * size);
    return batch;
}

std::vector<std::string> split_lines(const std::string &text)
{
    std::vector<std::string> parts;
    for (size_t from = 0; from < text.size();) {
        const size_t end = std::min(text.find('\n', from), text.size());
        parts.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    return parts;
}

// The first of the greatest; as probabilities sum to 1, one above a half settles it.
size_t find_likeliest(const float *probability, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count && probability[best] <= 0.5f; i++)
        if (probability[i] > probability[best])
            best = i;
    return best;
}

} // namespace

void Turner::turn(std::vector<cv::Mat> &lines)
{
    const std::vector<size_t> order = by_ratio(lines);
    for (size_t first = 0; first < lines.size(); first += batch_size) {
        const size_t count = std::min(batch_size, lines.size() - first);
        std::vector<float> batch = make_batch(lines, &order[first], count, turner_width);
        const Tensor scores =
            network_.run(batch, {static_cast<int64_t>(count), 3, line_height, turner_width});
        if (scores.rank() != 2 || scores.dim(0) != static_cast<int64_t>(count) || scores.dim(1) != 2)
            throw std::runtime_error("the angle network does not give two scores a line");
        for (size_t i = 0; i < count; i++) {
            const float upright = scores.data()[2 * i], upside_down = scores.data()[2 * i + 1];
            if (upside_down > upright && upside_down > is_upside_down)
                cv::rotate(lines[order[first + i]], lines[order[first + i]], cv::ROTATE_180);
        }
    }
}

Reader::Reader(const std::string &model, int threads) : network_(model, threads)
{
    characters_ = split_lines(network_.metadata("character"));
    characters_.insert(characters_.begin(), "");
    characters_.push_back(" ");
}

std::vector<Text> Reader::read(const std::vector<cv::Mat> &lines)
{
    const std::vector<size_t> order = by_ratio(lines);
    std::vector<Text> texts(lines.size());
    for (size_t first = 0; first < lines.size(); first += batch_size) {
        const size_t count = std::min(batch_size, lines.size() - first);
        const double widest =
            std::max(static_cast<double>(reader_width) / line_height, ratio(lines[order[first + count - 1]]));
        const int width = static_cast<int>(line_height * widest);
        std::vector<float> batch = make_batch(lines, &order[first], count, width);
        const Tensor scores = network_.run(batch, {static_cast<int64_t>(count), 3, line_height, width});
        if (scores.rank() != 3 || scores.dim(0) != static_cast<int64_t>(count) ||
            scores.dim(2) != static_cast<int64_t>(characters_.size()))
            throw std::runtime_error(
                "the reading network's classes are not the characters that its metadata names");
        for (size_t i = 0; i < count; i++)
            texts[order[first + i]] = decode(
                scores.data() + static_cast<int64_t>(i) * scores.dim(1) * scores.dim(2), scores.dim(1));
    }
    return texts;
}

// The likeliest class of each step, where it differs from the step before.
Text Reader::decode(const float *scores, int64_t steps) const
{
    Text result{"", 0};
    size_t before = 0;
    int kept = 0;
    for (int64_t step = 0; step < steps; step++, scores += characters_.size()) {
        const size_t likeliest = find_likeliest(scores, characters_.size());
        if (likeliest != before && likeliest != 0) {
            result.text += characters_[likeliest];
            result.confidence += scores[likeliest];
            kept++;
        }
        before = likeliest;
    }
    if (kept > 0)
        result.confidence /= kept;
    return result;
}

} // namespace ocr
