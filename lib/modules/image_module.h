/* The table of the module "image": pictures in the formats of ImageDecoder. */
#ifndef OI_MODULES_IMAGE_MODULE_H
#define OI_MODULES_IMAGE_MODULE_H

#include "base/module.h"

enum { OI_IMAGE_MODULE_VERSION = 1 };

typedef enum {
    OI_IMAGE_OK,
    OI_IMAGE_BAD,     /* no picture of a known format, or a broken one */
    OI_IMAGE_LIMIT,   /* more pixels than allowed */
    OI_IMAGE_STOPPED, /* no memory, or place returned NULL */
} oi_image_status;

/* Answers where rows of `width` pixels go, three bytes each (red, green, blue), one row behind the other. Called at most
 * once. */
typedef void *(*oi_image_place)(void *user, uint32_t width, uint32_t height);

typedef struct {
    oi_module_head head;
    /* BMP, JPEG, JPEG 2000, PNG, PNM (PBM, PGM, PPM), TIFF or WebP, told by its first bytes. `why` gets a reason (cap bytes)
     * unless OI_IMAGE_OK; what was placed is then worthless. Any thread. */
    oi_image_status (*decode)(const void *data, size_t n, uint64_t max_pixels, oi_image_place place, void *user, char *why, size_t cap);
} oi_image_module;

#endif
