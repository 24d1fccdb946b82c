// Where the text is: the detection network and the road from its map of probabilities to boxes.
#include "detect.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <clipper.hpp>
#include <opencv2/imgproc.hpp>

namespace ocr
{
namespace
{

constexpr int shortest_side = 736; // the network sees pictures of at least this size
constexpr float is_text = 0.3f;    // probability of a pixel
constexpr double is_line = 0.5;    // mean probability in a box
constexpr double grow_ratio =
    1.6; // the network marks the core of a line only: grow by area / perimeter times this
constexpr float smallest_side = 3; // of a box, in pixels of the network's map
constexpr size_t most_boxes = 1000;
constexpr float same_line = 10; // boxes whose tops differ by less are read from left to right

std::array<float, 256> detector_scale()
{
    std::array<float, 256> table{};
    for (int v = 0; v < 256; v++)
        table[v] = static_cast<float>(
            (static_cast<double>(static_cast<float>(v) * static_cast<float>(1 / 255.0)) - 0.5) / 0.5);
    return table;
}

cv::Size network_size(cv::Size picture)
{
    const int shorter = std::min(picture.width, picture.height);
    const double ratio = shorter < shortest_side ? static_cast<double>(shortest_side) / shorter : 1.0;
    return {to_multiple_of_32(static_cast<int>(picture.width * ratio)),
            to_multiple_of_32(static_cast<int>(picture.height * ratio))};
}

struct Rectangle {
    Box corners;
    float shorter_side;
};

// The smallest rectangle at any angle; its corners are named by where they lie.
Rectangle smallest_rectangle(const std::vector<cv::Point> &points)
{
    const cv::RotatedRect rect = cv::minAreaRect(points);
    Box p;
    rect.points(p.data());
    std::stable_sort(p.begin(), p.end(),
                     [](const cv::Point2f &a, const cv::Point2f &b) { return a.x < b.x; });
    if (!(p[1].y > p[0].y))
        std::swap(p[0], p[1]);
    if (!(p[3].y > p[2].y))
        std::swap(p[2], p[3]);
    return {{p[0], p[2], p[3], p[1]}, std::min(rect.size.width, rect.size.height)};
}

double mean_inside(const cv::Mat &map, const Box &box)
{
    const auto [left, right] = std::minmax({box[0].x, box[1].x, box[2].x, box[3].x});
    const auto [top, bottom] = std::minmax({box[0].y, box[1].y, box[2].y, box[3].y});
    const int x0 = std::clamp(static_cast<int>(std::floor(left)), 0, map.cols - 1);
    const int x1 = std::clamp(static_cast<int>(std::ceil(right)), 0, map.cols - 1);
    const int y0 = std::clamp(static_cast<int>(std::floor(top)), 0, map.rows - 1);
    const int y1 = std::clamp(static_cast<int>(std::ceil(bottom)), 0, map.rows - 1);
    std::vector<cv::Point> polygon;
    for (const cv::Point2f &p : box)
        polygon.emplace_back(static_cast<int>(p.x - static_cast<float>(x0)),
                             static_cast<int>(p.y - static_cast<float>(y0)));
    cv::Mat mask = cv::Mat::zeros(y1 - y0 + 1, x1 - x0 + 1, CV_8U);
    cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{polygon}, cv::Scalar(1));
    return cv::mean(map(cv::Rect(x0, y0, mask.cols, mask.rows)), mask)[0];
}

// The box with its edges moved outwards and its corners rounded.
std::vector<cv::Point> grow(const Box &box)
{
    double twice_area = 0, perimeter = 0;
    ClipperLib::Path path;
    for (size_t i = 0; i < box.size(); i++) {
        const cv::Point2d a = box[i], b = box[(i + 1) % box.size()];
        twice_area += a.x * b.y - b.x * a.y;
        perimeter += std::hypot(b.x - a.x, b.y - a.y);
        path.emplace_back(static_cast<ClipperLib::cInt>(a.x), static_cast<ClipperLib::cInt>(a.y));
    }
    ClipperLib::ClipperOffset offset;
    offset.AddPath(path, ClipperLib::jtRound, ClipperLib::etClosedPolygon);
    ClipperLib::Paths grown;
    offset.Execute(grown, std::abs(twice_area) / 2 * grow_ratio / perimeter);
    std::vector<cv::Point> points;
    for (const ClipperLib::Path &part : grown)
        for (const ClipperLib::IntPoint &p : part)
            points.emplace_back(static_cast<int>(p.X), static_cast<int>(p.Y));
    return points;
}

// Left and right pairs by x, each from top to bottom, inside the picture; none when the box is too thin to
// hold text.
std::optional<Box> tidy(Box box, cv::Size picture)
{
    const auto by_y = [](const cv::Point2f &a, const cv::Point2f &b) { return a.y < b.y; };
    std::stable_sort(box.begin(), box.end(),
                     [](const cv::Point2f &a, const cv::Point2f &b) { return a.x < b.x; });
    std::stable_sort(box.begin(), box.begin() + 2, by_y);
    std::stable_sort(box.begin() + 2, box.end(), by_y);
    box = {box[0], box[2], box[3], box[1]};
    for (cv::Point2f &p : box) {
        p.x = std::clamp(p.x, 0.f, static_cast<float>(picture.width - 1));
        p.y = std::clamp(p.y, 0.f, static_cast<float>(picture.height - 1));
    }
    const cv::Point2f top = box[0] - box[1], side = box[0] - box[3];
    if (static_cast<int>(std::sqrt(top.dot(top))) <= 3 || static_cast<int>(std::sqrt(side.dot(side))) <= 3)
        return std::nullopt;
    return box;
}

// From top to bottom; of neighbours in that order which start at about the same height, the left one first.
void sort_for_reading(std::vector<Box> &boxes)
{
    std::stable_sort(boxes.begin(), boxes.end(), [](const Box &a, const Box &b) {
        return std::pair(a[0].y, a[0].x) < std::pair(b[0].y, b[0].x);
    });
    for (size_t i = 1; i < boxes.size(); i++)
        for (size_t j = i; j > 0; j--) {
            if (std::abs(boxes[j][0].y - boxes[j - 1][0].y) >= same_line ||
                boxes[j][0].x >= boxes[j - 1][0].x)
                break;
            std::swap(boxes[j], boxes[j - 1]);
        }
}

std::vector<Box> boxes_of_map(const cv::Mat &map, cv::Size picture)
{
    cv::Mat text = map > is_text;
    cv::dilate(text, text, cv::Mat::ones(2, 2, CV_8U));
    std::vector<std::vector<cv::Point>> contours;
    cv::findContours(text, contours, cv::RETR_LIST, cv::CHAIN_APPROX_SIMPLE);
    contours.resize(std::min(contours.size(), most_boxes));

    std::vector<Box> boxes;
    for (const std::vector<cv::Point> &contour : contours) {
        const Rectangle core = smallest_rectangle(contour);
        if (core.shorter_side < smallest_side || mean_inside(map, core.corners) < is_line)
            continue;
        const std::vector<cv::Point> grown = grow(core.corners);
        if (grown.empty())
            continue;
        Rectangle line = smallest_rectangle(grown);
        if (line.shorter_side < smallest_side + 2)
            continue;
        const auto to_picture = [](float v, int from, int to) {
            const float scaled = std::nearbyint(v / static_cast<float>(from) * static_cast<float>(to));
            return std::clamp(scaled, 0.f, static_cast<float>(to));
        };
        for (cv::Point2f &p : line.corners)
            p = {to_picture(p.x, map.cols, picture.width), to_picture(p.y, map.rows, picture.height)};
        if (const std::optional<Box> box = tidy(line.corners, picture))
            boxes.push_back(*box);
    }
    sort_for_reading(boxes);
    return boxes;
}

} // namespace

std::vector<Box> Detector::find(const cv::Mat &picture)
{
    static const std::array<float, 256> scale = detector_scale();
    const cv::Size size = network_size(picture.size());
    if (size.empty())
        return {};
    cv::Mat resized;
    cv::resize(picture, resized, size);
    const auto area = static_cast<size_t>(size.area());
    std::vector<float> input(3 * area);
    to_planes(resized, scale, input.data(), static_cast<size_t>(size.width), area);
    const Tensor map = network_.run(input, {1, 3, size.height, size.width});
    if (map.rank() != 4 || map.dim(2) != size.height || map.dim(3) != size.width)
        throw std::runtime_error("the detection network gave a map of another size than its input");
    const cv::Mat view(size, CV_32F, const_cast<float *>(map.data()));
    return boxes_of_map(view, picture.size());
}

} // namespace ocr
