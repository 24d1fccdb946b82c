/* TIFF by libtiff: its first picture, whatever its layout, as RGB. */
#include "modules/image.h"

#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

typedef struct {
    const image_job *job;
    uint64_t at;
} source;

static tmsize_t read_at(thandle_t h, void *to, tmsize_t n)
{
    source *s = h;
    uint64_t left = s->at < s->job->n ? s->job->n - s->at : 0, take = (uint64_t)n < left ? (uint64_t)n : left;
    if (take)
        memcpy(to, s->job->data + s->at, take);
    s->at += take;
    return (tmsize_t)take;
}

static tmsize_t write_nothing(thandle_t h, void *from, tmsize_t n)
{
    (void)h, (void)from, (void)n;
    return -1;
}

static toff_t seek(thandle_t h, toff_t to, int whence)
{
    source *s = h;
    s->at = whence == SEEK_SET ? to : whence == SEEK_CUR ? s->at + to : s->job->n + to;
    return s->at;
}

static int close_nothing(thandle_t h)
{
    (void)h;
    return 0;
}

static toff_t size(thandle_t h)
{
    return ((const source *)h)->job->n;
}

static int keep_error(TIFF *t, void *user, const char *module, const char *format, va_list args)
{
    const image_job *j = user;
    (void)t, (void)module;
    if (!j->why[0])
        vsnprintf(j->why, j->why_cap, format, args);
    return 1;
}

static int keep_silent(TIFF *t, void *user, const char *module, const char *format, va_list args)
{
    (void)t, (void)user, (void)module, (void)format, (void)args;
    return 1;
}

static oi_image_status decode(const image_job *j, TIFF *t)
{
    uint32_t width = 0, height = 0;
    uint8_t *rows;
    char text[1024] = "";
    if (!TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width) || !TIFFGetField(t, TIFFTAG_IMAGELENGTH, &height))
        return image_bad(j, "it has no size");
    if (!TIFFRGBAImageOK(t, text))
        return image_bad(j, text);
    oi_image_status status = image_begin(j, width, height, &rows);
    if (status)
        return status;
    size_t n = (size_t)width * height;
    uint32_t *pixel = malloc(n * sizeof *pixel);
    if (!pixel) {
        image_bad(j, "out of memory");
        return OI_IMAGE_STOPPED;
    }
    status = OI_IMAGE_OK;
    if (!TIFFReadRGBAImageOriented(t, width, height, pixel, ORIENTATION_TOPLEFT, 1))
        status = j->why[0] ? OI_IMAGE_BAD : image_bad(j, "its data is broken");
    for (size_t i = 0; i < n && !status; i++) {
        rows[3 * i] = (uint8_t)TIFFGetR(pixel[i]);
        rows[3 * i + 1] = (uint8_t)TIFFGetG(pixel[i]);
        rows[3 * i + 2] = (uint8_t)TIFFGetB(pixel[i]);
    }
    free(pixel);
    return status;
}

oi_image_status image_tiff(const image_job *j)
{
    source s = {j, 0};
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    j->why[0] = 0;
    if (!o) {
        image_bad(j, "out of memory");
        return OI_IMAGE_STOPPED;
    }
    TIFFOpenOptionsSetErrorHandlerExtR(o, keep_error, (void *)j);
    TIFFOpenOptionsSetWarningHandlerExtR(o, keep_silent, NULL);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)(j->max_pixels < (1u << 28) ? j->max_pixels * 8 : 1u << 31));
    TIFF *t = TIFFClientOpenExt("picture", "rm", &s, read_at, write_nothing, seek, close_nothing, size, NULL, NULL, o);
    TIFFOpenOptionsFree(o);
    if (!t)
        return j->why[0] ? OI_IMAGE_BAD : image_bad(j, "it is no TIFF");
    oi_image_status status = decode(j, t);
    TIFFClose(t);
    return status;
}
