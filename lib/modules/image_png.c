/* PNG by libpng: palettes and grey become RGB, 16 bits become 8, transparency is dropped. */
#include "modules/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const image_job *job;
    size_t at;
} source;

static void fail(png_structp png, png_const_charp text)
{
    const source *s = png_get_error_ptr(png);
    image_bad(s->job, text);
    png_longjmp(png, 1);
}

static void stay_silent(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void give(png_structp png, png_bytep to, size_t n)
{
    source *s = png_get_io_ptr(png);
    if (n > s->job->n - s->at)
        png_error(png, "it ends early");
    memcpy(to, s->job->data + s->at, n);
    s->at += n;
}

oi_image_status image_png(const image_job *j)
{
    source s = {j, 0};
    png_bytep *volatile row = NULL;
    volatile oi_image_status status = OI_IMAGE_BAD;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, fail, stay_silent);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        image_bad(j, "out of memory");
        return OI_IMAGE_STOPPED;
    }
    if (setjmp(png_jmpbuf(png))) {
        free(row);
        png_destroy_read_struct(&png, &info, NULL);
        return status;
    }
    png_set_read_fn(png, &s, give);
    png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_chunk_malloc_max(png, 8000000);
    png_set_chunk_cache_max(png, 100);
    png_read_info(png, info);
    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    uint8_t *rows;
    status = image_begin(j, width, height, &rows);
    if (status)
        png_longjmp(png, 1);
    status = OI_IMAGE_BAD;
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)width * 3)
        png_error(png, "its rows are of an unexpected form");
    row = malloc(height * sizeof *row);
    if (!row)
        png_error(png, "out of memory");
    for (uint32_t i = 0; i < height; i++)
        row[i] = rows + (size_t)i * width * 3;
    png_read_image(png, row);
    png_read_end(png, NULL);
    free(row);
    png_destroy_read_struct(&png, &info, NULL);
    return OI_IMAGE_OK;
}
