// ocr: reads the text in a picture with the three PP-OCR networks and the onnx_infer library.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <opencv2/core/utility.hpp>
#include <opencv2/imgcodecs.hpp>

#include "detect.hpp"
#include "picture.hpp"
#include "read.hpp"

namespace
{

constexpr double least_confidence = 0.5; // of a line that is reported

const char *const usage = "usage: ocr [--models FOLDER] [--threads N] [--out FILE] [--repeat N] PICTURE\n"
                          "  --models FOLDER  where the three networks are (default: "
                          ".cache/models/rapidocr_onnxruntime-1.4.4/rapidocr_onnxruntime/models)\n"
                          "  --threads N      threads of a run; 0 takes what the machine gives (default: 0)\n"
                          "  --out FILE       write the picture with the boxes drawn\n"
                          "  --repeat N       read the picture N times and report the fastest (default: 1)\n";

struct Arguments {
    std::string models = ".cache/models/rapidocr_onnxruntime-1.4.4/rapidocr_onnxruntime/models", picture, out;
    int threads = 0, repeat = 1;
};

struct Line {
    ocr::Box box;
    ocr::Text text;
};

struct Times { // milliseconds
    double find, turn, read;
    double total() const
    {
        return find + turn + read;
    }
};

class Clock
{
  public:
    // Milliseconds since the last call.
    double lap()
    {
        const auto now = std::chrono::steady_clock::now();
        const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
        last_ = now;
        return ms;
    }

  private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

struct Networks {
    explicit Networks(const Arguments &a)
        : detector(a.models + "/ch_PP-OCRv4_det_infer.onnx", a.threads),
          turner(a.models + "/ch_ppocr_mobile_v2.0_cls_infer.onnx", a.threads),
          reader(a.models + "/ch_PP-OCRv4_rec_infer.onnx", a.threads)
    {
    }
    ocr::Detector detector;
    ocr::Turner turner;
    ocr::Reader reader;
};

std::vector<Line> read_picture(Networks &networks, const cv::Mat &picture, Times &times)
{
    Clock clock;
    const ocr::Fitted fitted = ocr::fit(picture);
    const std::vector<ocr::Box> boxes = networks.detector.find(fitted.picture);
    times.find = clock.lap();
    std::vector<cv::Mat> cuts;
    for (const ocr::Box &box : boxes)
        cuts.push_back(ocr::cut_out(fitted.picture, box));
    networks.turner.turn(cuts);
    times.turn = clock.lap();
    const std::vector<ocr::Text> texts = networks.reader.read(cuts);
    times.read = clock.lap();
    std::vector<Line> lines;
    for (size_t i = 0; i < boxes.size(); i++)
        if (texts[i].confidence >= least_confidence)
            lines.push_back({ocr::to_file(boxes[i], fitted, picture.size()), texts[i]});
    return lines;
}

void write_drawing(const std::string &path, cv::Mat picture, const std::vector<Line> &lines)
{
    std::vector<ocr::Box> boxes;
    for (const Line &line : lines)
        boxes.push_back(line.box);
    ocr::draw_boxes(picture, boxes);
    if (!cv::imwrite(path, picture))
        throw std::runtime_error("cannot write " + path);
}

int whole_number(const char *text, int least)
{
    char *end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < least || n > 4096)
        throw std::invalid_argument(std::string("not a number from ") + std::to_string(least) +
                                    " to 4096: " + text);
    return static_cast<int>(n);
}

Arguments parse(int argc, char **argv)
{
    Arguments a;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        const bool takes_value =
            word == "--models" || word == "--threads" || word == "--out" || word == "--repeat";
        if (takes_value && i + 1 == argc)
            throw std::invalid_argument(word + " needs a value");
        if (word == "--models")
            a.models = argv[++i];
        else if (word == "--threads")
            a.threads = whole_number(argv[++i], 0);
        else if (word == "--out")
            a.out = argv[++i];
        else if (word == "--repeat")
            a.repeat = whole_number(argv[++i], 1);
        else if (word.rfind("--", 0) == 0 || !a.picture.empty())
            throw std::invalid_argument("unexpected: " + word);
        else
            a.picture = word;
    }
    if (a.picture.empty())
        throw std::invalid_argument("no picture given");
    return a;
}

void run(const Arguments &a)
{
    Clock clock;
    if (a.threads > 0)
        cv::setNumThreads(a.threads);
    const cv::Mat picture = ocr::load_picture(a.picture);
    clock.lap();
    Networks networks(a);
    const double load = clock.lap();
    std::vector<Line> lines;
    Times fastest{};
    for (int i = 0; i < a.repeat; i++) {
        Times times{};
        lines = read_picture(networks, picture, times);
        if (i == 0 || times.total() < fastest.total())
            fastest = times;
    }
    for (size_t i = 0; i < lines.size(); i++)
        std::printf("%3zu  %.3f  %s\n", i + 1, lines[i].text.confidence, lines[i].text.text.c_str());
    std::printf("\n%zu lines in %.0f ms: find %.0f, turn %.0f, read %.0f; networks loaded in %.0f ms\n",
                lines.size(), fastest.total(), fastest.find, fastest.turn, fastest.read, load);
    if (!a.out.empty()) {
        write_drawing(a.out, picture, lines);
        std::printf("boxes drawn in %s\n", a.out.c_str());
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return 0;
    }
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::invalid_argument &e) {
        std::fprintf(stderr, "ocr: %s\n%s", e.what(), usage);
        return 2;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "ocr: %s\n", e.what());
        return 1;
    }
}
