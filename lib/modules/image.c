/* The module "image": which decoder a picture goes to. */
#include "modules/image.h"

#include <string.h>

oi_image_status image_bad(const image_job *j, const char *why)
{
    snprintf(j->why, j->why_cap, "%s", why);
    return OI_IMAGE_BAD;
}

oi_image_status image_begin(const image_job *j, uint64_t width, uint64_t height, uint8_t **rows)
{
    if (!width || !height || width > UINT32_MAX || height > UINT32_MAX)
        return image_bad(j, "a side has no length");
    if (width > j->max_pixels / height || width * height > SIZE_MAX / 4) {
        snprintf(j->why, j->why_cap, "it has %llu x %llu pixels, at most %llu are allowed", (unsigned long long)width,
                 (unsigned long long)height, (unsigned long long)j->max_pixels);
        return OI_IMAGE_LIMIT;
    }
    *rows = j->place(j->user, (uint32_t)width, (uint32_t)height);
    if (*rows)
        return OI_IMAGE_OK;
    snprintf(j->why, j->why_cap, "no memory for %llu x %llu pixels", (unsigned long long)width, (unsigned long long)height);
    return OI_IMAGE_STOPPED;
}

static const struct {
    const char *magic;
    uint8_t at, n;
    oi_image_status (*decode)(const image_job *j);
} formats[] = {
    {"\xFF\xD8\xFF", 0, 3, image_jpeg},
    {"\x89PNG\r\n\x1A\n", 0, 8, image_png},
    {"BM", 0, 2, image_bmp},
    {"II*\0", 0, 4, image_tiff},
    {"MM\0*", 0, 4, image_tiff},
    {"II+\0", 0, 4, image_tiff},
    {"MM\0+", 0, 4, image_tiff},
    {"WEBP", 8, 4, image_webp},
    {"\0\0\0\x0CjP  \r\n\x87\n", 0, 12, image_jp2},
    {"\xFF\x4F\xFF\x51", 0, 4, image_jp2},
    {"P1", 0, 2, image_pnm}, {"P2", 0, 2, image_pnm}, {"P3", 0, 2, image_pnm},
    {"P4", 0, 2, image_pnm}, {"P5", 0, 2, image_pnm}, {"P6", 0, 2, image_pnm},
};

static oi_image_status decode(const void *data, size_t n, uint64_t max_pixels, oi_image_place place, void *user, char *why, size_t cap)
{
    const image_job j = {data, n, max_pixels, place, user, why, cap};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (n >= (size_t)formats[i].at + formats[i].n && memcmp(j.data + formats[i].at, formats[i].magic, formats[i].n) == 0)
            return formats[i].decode(&j);
    return image_bad(&j, "it begins like no picture that is known");
}

static const oi_image_module table = {.head = {OI_IMAGE_MODULE_VERSION, sizeof(oi_image_module)}, .decode = decode};

__attribute__((visibility("default"))) const oi_module_head *OI_MODULE_ENTRY(void);
const oi_module_head *OI_MODULE_ENTRY(void)
{
    return &table.head;
}
