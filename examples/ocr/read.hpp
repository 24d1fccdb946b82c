// What the text says: the network that sees whether a line is upside down, and the one that reads it.
#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "network.hpp"

namespace ocr
{

// Turns lines that are upside down.
class Turner
{
  public:
    Turner(const std::string &model, int threads) : network_(model, threads)
    {
    }
    void turn(std::vector<cv::Mat> &lines);

  private:
    Network network_;
};

struct Text {
    std::string text; // UTF-8
    double confidence;
};

class Reader
{
  public:
    Reader(const std::string &model, int threads);
    // One text a line, in the order of `lines`.
    std::vector<Text> read(const std::vector<cv::Mat> &lines);

  private:
    Text decode(const float *scores, int64_t steps) const;

    Network network_;
    std::vector<std::string>
        characters_; // by class; class 0 separates equal neighbours and stands for nothing
};

} // namespace ocr
