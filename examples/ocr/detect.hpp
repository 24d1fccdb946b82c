// Where the text is: the detection network and the road from its map of probabilities to boxes.
#pragma once

#include <string>
#include <vector>

#include "network.hpp"
#include "picture.hpp"

namespace ocr
{

class Detector
{
  public:
    Detector(const std::string &model, int threads) : network_(model, threads)
    {
    }
    // Boxes around lines of text in pixels of `picture`, in reading order.
    std::vector<Box> find(const cv::Mat &picture);

  private:
    Network network_;
};

} // namespace ocr
