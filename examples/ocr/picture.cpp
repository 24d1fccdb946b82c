// Pictures: reading files, the sizes that the networks take, cutting text lines out, drawing boxes.
#include "picture.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace ocr
{
namespace
{

constexpr int longest_side = 2000;
constexpr int shortest_side = 30;
constexpr int widest_ratio = 8; // width to height, beyond which a strip gets borders

// Transparent pixels become white under dark ink; under any other the picture is inverted.
cv::Mat drop_alpha(const cv::Mat &picture)
{
    cv::Mat colour, alpha, hidden, shown;
    cv::cvtColor(picture, colour, cv::COLOR_BGRA2BGR);
    cv::extractChannel(picture, alpha, 3);
    colour.copyTo(shown, alpha);
    const cv::Scalar sum = cv::sum(shown);
    if (sum[0] + sum[1] + sum[2] > 0) {
        cv::bitwise_not(shown, shown);
        return shown;
    }
    cv::bitwise_not(alpha, hidden);
    cv::cvtColor(hidden, hidden, cv::COLOR_GRAY2BGR);
    return shown + hidden;
}

// Weights of four neighbours for a place `t` past the second, by cubic convolution with slope -0.75.
std::array<float, 4> cubic_weights(float t)
{
    const auto near = [](float d) { return (1.25f * d - 2.25f) * d * d + 1; };
    const auto far = [](float d) { return ((-0.75f * d + 3.75f) * d - 6) * d + 3; };
    const std::array<float, 3> w = {far(t + 1), near(t), near(1 - t)};
    return {w[0], w[1], w[2], 1 - w[0] - w[1] - w[2]};
}

// The colour between pixels; outside of the picture the colours of its edge go on.
cv::Vec3b sample(const cv::Mat &picture, double x, double y)
{
    x = std::fmin(std::fmax(x, -3), picture.cols + 2);
    y = std::fmin(std::fmax(y, -3), picture.rows + 2);
    const double left = std::floor(x), top = std::floor(y);
    const std::array<float, 4> wx = cubic_weights(static_cast<float>(x - left)),
                               wy = cubic_weights(static_cast<float>(y - top));
    std::array<int, 4> column{};
    for (int i = 0; i < 4; i++)
        column[i] = 3 * std::clamp(static_cast<int>(left) - 1 + i, 0, picture.cols - 1);
    float sum[3] = {0, 0, 0};
    for (int j = 0; j < 4; j++) {
        const unsigned char *row =
            picture.ptr(std::clamp(static_cast<int>(top) - 1 + j, 0, picture.rows - 1));
        for (int channel = 0; channel < 3; channel++) {
            float along = 0;
            for (int i = 0; i < 4; i++)
                along += wx[i] * static_cast<float>(row[column[i] + channel]);
            sum[channel] += wy[j] * along;
        }
    }
    return {cv::saturate_cast<uchar>(sum[0]), cv::saturate_cast<uchar>(sum[1]),
            cv::saturate_cast<uchar>(sum[2])};
}

// What `from` encloses, straightened to `size`. OpenCV before 5 rounds places to 1/32 of a pixel, which
// changes what is read in borderline cases, so that the example has its own.
cv::Mat straighten(const cv::Mat &picture, const Box &from, cv::Size size)
{
    const auto w = static_cast<float>(size.width), h = static_cast<float>(size.height);
    const Box upright = {cv::Point2f(0, 0), {w, 0}, {w, h}, {0, h}};
    const cv::Mat to_upright = cv::getPerspectiveTransform(from.data(), upright.data());
    const cv::Matx33d m = cv::Matx33d(to_upright).inv();
    cv::Mat line(size, CV_8UC3);
    for (int y = 0; y < size.height; y++)
        for (int x = 0; x < size.width; x++) {
            const cv::Vec3d place = m * cv::Vec3d(x, y, 1);
            line.at<cv::Vec3b>(y, x) = sample(picture, place[0] / place[2], place[1] / place[2]);
        }
    return line;
}

void resize_by(Fitted &fitted, double ratio)
{
    const cv::Size from = fitted.picture.size();
    const cv::Size to(to_multiple_of_32(static_cast<int>(from.width * ratio)),
                      to_multiple_of_32(static_cast<int>(from.height * ratio)));
    if (to.width <= 0 || to.height <= 0)
        throw std::runtime_error("the picture is too narrow: " + std::to_string(from.width) + "x" +
                                 std::to_string(from.height));
    cv::resize(fitted.picture, fitted.picture, to);
    fitted.scale_x = static_cast<float>(static_cast<double>(from.width) / to.width);
    fitted.scale_y = static_cast<float>(static_cast<double>(from.height) / to.height);
}

} // namespace

cv::Mat load_picture(const std::string &path)
{
    cv::Mat picture = cv::imread(path, cv::IMREAD_UNCHANGED | cv::IMREAD_IGNORE_ORIENTATION);
    if (picture.empty())
        throw std::runtime_error("cannot read the picture " + path);
    if (picture.depth() != CV_8U)
        throw std::runtime_error(path + " does not have 8 bits a colour");
    if (picture.channels() == 1)
        cv::cvtColor(picture, picture, cv::COLOR_GRAY2BGR);
    else if (picture.channels() == 4)
        picture = drop_alpha(picture);
    return picture;
}

int to_multiple_of_32(int n)
{
    return static_cast<int>(std::nearbyint(n / 32.0)) * 32;
}

Fitted fit(const cv::Mat &picture)
{
    Fitted fitted;
    fitted.picture = picture;
    const int longer = std::max(picture.cols, picture.rows);
    if (longer > longest_side)
        resize_by(fitted, static_cast<double>(longest_side) / longer);
    const int shorter = std::min(fitted.picture.cols, fitted.picture.rows);
    if (shorter < shortest_side)
        resize_by(fitted, static_cast<double>(shortest_side) / shorter);

    const int w = fitted.picture.cols, h = fitted.picture.rows;
    if (h <= shortest_side || w > widest_ratio * h) {
        fitted.pad_top = std::abs(2 * std::max(w / widest_ratio, shortest_side) - h) / 2;
        cv::copyMakeBorder(fitted.picture, fitted.picture, fitted.pad_top, fitted.pad_top, 0, 0,
                           cv::BORDER_CONSTANT);
    }
    return fitted;
}

Box to_file(const Box &box, const Fitted &fitted, cv::Size file)
{
    Box result = box;
    for (cv::Point2f &p : result) {
        p.x = std::clamp(p.x * fitted.scale_x, 0.f, static_cast<float>(file.width));
        p.y = std::clamp((p.y - static_cast<float>(fitted.pad_top)) * fitted.scale_y, 0.f,
                         static_cast<float>(file.height));
    }
    return result;
}

cv::Mat cut_out(const cv::Mat &picture, const Box &box)
{
    const auto length = [&](int a, int b) {
        const cv::Point2f d = box[a] - box[b];
        return std::sqrt(d.x * d.x + d.y * d.y);
    };
    const cv::Size size(static_cast<int>(std::max(length(0, 1), length(2, 3))),
                        static_cast<int>(std::max(length(0, 3), length(1, 2))));
    cv::Mat line = straighten(picture, box, size);
    if (size.height >= 1.5 * size.width)
        cv::rotate(line, line, cv::ROTATE_90_COUNTERCLOCKWISE);
    return line;
}

void to_planes(const cv::Mat &picture, const std::array<float, 256> &value, float *out, size_t row,
               size_t plane)
{
    for (int y = 0; y < picture.rows; y++) {
        const unsigned char *pixel = picture.ptr(y);
        float *to = out + static_cast<size_t>(y) * row;
        for (int x = 0; x < picture.cols; x++, pixel += 3, to++) {
            to[0] = value[pixel[0]];
            to[plane] = value[pixel[1]];
            to[2 * plane] = value[pixel[2]];
        }
    }
}

void draw_boxes(cv::Mat &picture, const std::vector<Box> &boxes)
{
    const cv::Scalar red(0, 0, 255);
    for (size_t i = 0; i < boxes.size(); i++) {
        std::vector<cv::Point> corners;
        for (const cv::Point2f &p : boxes[i])
            corners.emplace_back(cvRound(p.x), cvRound(p.y));
        cv::polylines(picture, corners, true, cv::Scalar(0, 160, 0), 2, cv::LINE_AA);
        cv::putText(picture, std::to_string(i + 1), corners[0] + cv::Point(-4, -3), cv::FONT_HERSHEY_SIMPLEX,
                    0.5, red, 1, cv::LINE_AA);
    }
}

} // namespace ocr
