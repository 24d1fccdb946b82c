// photo: classifies a picture that OpenCV reads, with real weights (open_nsfw: is it safe to show at work?). Shows the
// picture helper with cv::Mat: cut to 224x224, colours, mean and layout as the network wants them, in one pass.
// Usage: photo open-nsfw.onnx PICTURE...   (scripts/fetch-models fetches the network)
#include <opencv2/imgcodecs.hpp>

#include <onnx_infer_image.hpp>

#include <cstdio>

namespace oi = onnx_infer;

int main(int argc, char **argv)
try {
    oi::Context net = oi::Context::open(argc > 1 ? argv[1] : "open-nsfw.onnx");
    oi::image::Recipe recipe = oi::image::Recipe::unit(224, 224);
    recipe.order = oi::image::Order::bgr; // trained by Caffe: BGR, 0 to 255 less the mean, channels last
    recipe.divide = 1;
    recipe.mean = {104, 117, 123};
    recipe.channels_last = true;
    recipe.fit = oi::image::Fit::cover;
    for (int i = 2; i < argc; i++) {
        cv::Mat picture = cv::imread(argv[i], cv::IMREAD_COLOR);
        if (picture.empty())
            throw std::runtime_error(std::string("cannot read ") + argv[i]);
        oi::Value p = net.run1(oi::image::tensor(picture, recipe));
        std::printf("%s: safe %.4f, not safe %.4f\n", argv[i], static_cast<double>(p.data<float>()[0]),
                    static_cast<double>(p.data<float>()[1]));
    }
} catch (const std::exception &e) {
    std::fprintf(stderr, "photo: %s\n", e.what());
    return 1;
}
