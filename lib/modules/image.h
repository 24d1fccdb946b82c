/* What the decoders of the module "image" share. */
#ifndef OI_MODULES_IMAGE_H
#define OI_MODULES_IMAGE_H

#include "modules/image_module.h"

#include <stdio.h>

/* One picture being decoded. */
typedef struct {
    const uint8_t *data;
    size_t n;
    uint64_t max_pixels;
    oi_image_place place;
    void *user;
    char *why;
    size_t why_cap;
} image_job;

/* Each decodes its own format. */
oi_image_status image_bmp(const image_job *j);
oi_image_status image_jp2(const image_job *j);
oi_image_status image_jpeg(const image_job *j);
oi_image_status image_png(const image_job *j);
oi_image_status image_pnm(const image_job *j);
oi_image_status image_tiff(const image_job *j);
oi_image_status image_webp(const image_job *j);

oi_image_status image_bad(const image_job *j, const char *why);
/* Checks the size and asks for the rows. */
oi_image_status image_begin(const image_job *j, uint64_t width, uint64_t height, uint8_t **rows);

#endif
