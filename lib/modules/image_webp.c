/* WebP by libwebp; of an animation the first frame cannot be told apart here, so animations are refused. */
#include "modules/image.h"

#include <webp/decode.h>

oi_image_status image_webp(const image_job *j)
{
    WebPBitstreamFeatures f;
    uint8_t *rows;
    if (WebPGetFeatures(j->data, j->n, &f) != VP8_STATUS_OK)
        return image_bad(j, "its header is broken");
    if (f.has_animation)
        return image_bad(j, "it is an animation");
    oi_image_status status = image_begin(j, (uint64_t)f.width, (uint64_t)f.height, &rows);
    if (status)
        return status;
    size_t stride = (size_t)f.width * 3;
    if (stride > INT32_MAX || !WebPDecodeRGBInto(j->data, j->n, rows, stride * (size_t)f.height, (int)stride))
        return image_bad(j, "its data is broken");
    return OI_IMAGE_OK;
}
