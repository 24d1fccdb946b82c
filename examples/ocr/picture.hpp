// Pictures: reading files, the sizes that the networks take, cutting text lines out, drawing boxes.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace ocr
{

// Corners of a text line: top left, top right, bottom right, bottom left.
using Box = std::array<cv::Point2f, 4>;

// Blue, green, red; 8 bits each. Greyscale and transparent files are converted. Throws when it cannot be
// read.
cv::Mat load_picture(const std::string &path);

// How a picture was changed before the search for text, so that boxes can be taken back to the file's pixels.
struct Fitted {
    cv::Mat picture;
    float scale_x = 1, scale_y = 1; // of the file / of the picture
    int pad_top = 0;
};
// Shrinks what is longer than 2000 pixels, enlarges what is narrower than 30, gives a strip of text black
// borders.
Fitted fit(const cv::Mat &picture);
Box to_file(const Box &box, const Fitted &fitted, cv::Size file);

// The nearest multiple of 32, halves to the even one.
int to_multiple_of_32(int n);

// Cuts a box out and straightens it; a line that runs upwards or downwards is turned a quarter.
cv::Mat cut_out(const cv::Mat &picture, const Box &box);

// value[v] for each byte v of `picture`, colour planes apart. A row starts `row` floats after the last, a
// plane `plane`.
void to_planes(const cv::Mat &picture, const std::array<float, 256> &value, float *out, size_t row,
               size_t plane);

// Outlines of the boxes with their numbers, from 1.
void draw_boxes(cv::Mat &picture, const std::vector<Box> &boxes);

} // namespace ocr
