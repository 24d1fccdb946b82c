/* JPEG by libjpeg-turbo, with its default ("fancy") chroma upsampling, as the standard asks. */
#include "modules/image.h"

#include <setjmp.h>
#include <stdlib.h>

#include <jpeglib.h>

enum { MAX_SCANS = 500 }; /* of a progressive picture: each costs a pass over all of it */

typedef struct {
    struct jpeg_error_mgr base; /* first: the library's pointer to it is ours */
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    const image_job *job;
} manager;

static void fail(j_common_ptr c)
{
    manager *m = (manager *)c->err;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    image_bad(m->job, text);
    longjmp(m->out, 1);
}

/* A warning means that data is missing or wrong. */
static void warn(j_common_ptr c, int level)
{
    if (level < 0)
        fail(c);
}

static void stay_silent(j_common_ptr c)
{
    (void)c;
}

static void watch(j_common_ptr c)
{
    manager *m = (manager *)c->err;
    if (((j_decompress_ptr)c)->input_scan_number > MAX_SCANS) {
        image_bad(m->job, "it has too many scans");
        longjmp(m->out, 1);
    }
}

oi_image_status image_jpeg(const image_job *j)
{
    struct jpeg_decompress_struct c;
    manager m = {.job = j, .progress.progress_monitor = watch};
    volatile oi_image_status status = OI_IMAGE_BAD;
    c.err = jpeg_std_error(&m.base);
    m.base.error_exit = fail;
    m.base.emit_message = warn;
    m.base.output_message = stay_silent;
    if (setjmp(m.out)) {
        jpeg_destroy_decompress(&c);
        return status;
    }
    jpeg_create_decompress(&c);
    c.progress = &m.progress;
    c.mem->max_memory_to_use = 1L << 30;
    jpeg_mem_src(&c, j->data, (unsigned long)j->n);
    jpeg_read_header(&c, TRUE);
    c.out_color_space = c.jpeg_color_space == JCS_CMYK || c.jpeg_color_space == JCS_YCCK ? JCS_CMYK : JCS_RGB;
    uint8_t *rows;
    status = image_begin(j, c.image_width, c.image_height, &rows);
    if (status)
        longjmp(m.out, 1);
    status = OI_IMAGE_BAD;
    jpeg_start_decompress(&c);
    size_t width = c.output_width;
    JSAMPARRAY cmyk = c.out_color_space == JCS_CMYK ? c.mem->alloc_sarray((j_common_ptr)&c, JPOOL_IMAGE, (JDIMENSION)(4 * width), 1) : NULL;
    while (c.output_scanline < c.output_height) {
        uint8_t *row = rows + (size_t)c.output_scanline * width * 3;
        jpeg_read_scanlines(&c, cmyk ? cmyk : &row, 1);
        for (size_t i = 0; cmyk && i < width * 3; i++) { /* as Adobe writes it: inverted */
            unsigned ink = cmyk[0][i / 3 * 4 + i % 3], black = cmyk[0][i / 3 * 4 + 3];
            row[i] = (uint8_t)((c.saw_Adobe_marker ? ink * black : (255 - ink) * (255 - black)) / 255);
        }
    }
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
    return OI_IMAGE_OK;
}
