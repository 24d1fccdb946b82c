/* JPEG 2000 by OpenJPEG: files (JP2) and bare code streams. */
#include "modules/image.h"

#include <openjpeg.h>
#include <string.h>

typedef struct {
    const image_job *job;
    size_t at;
} source;

static OPJ_SIZE_T read_some(void *to, OPJ_SIZE_T n, void *user)
{
    source *s = user;
    size_t left = s->job->n - s->at;
    if (!left)
        return (OPJ_SIZE_T)-1;
    n = n < left ? n : left;
    memcpy(to, s->job->data + s->at, n);
    s->at += n;
    return n;
}

static OPJ_OFF_T skip(OPJ_OFF_T n, void *user)
{
    source *s = user;
    if (n < 0 || (uint64_t)n > s->job->n - s->at)
        return -1;
    s->at += (size_t)n;
    return n;
}

static OPJ_BOOL seek(OPJ_OFF_T to, void *user)
{
    source *s = user;
    if (to < 0 || (uint64_t)to > s->job->n)
        return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static void keep_error(const char *text, void *user)
{
    const image_job *j = user;
    if (!j->why[0])
        snprintf(j->why, j->why_cap, "%.*s", (int)strcspn(text, "\n"), text);
}

static int sample(const opj_image_comp_t *c, uint32_t x, uint32_t y)
{
    uint32_t cx = c->w ? x / c->dx : 0, cy = c->h ? y / c->dy : 0;
    cx = cx < c->w ? cx : c->w - 1;
    cy = cy < c->h ? cy : c->h - 1;
    int64_t v = c->data[(size_t)cy * c->w + cx];
    v += c->sgnd ? (int64_t)1 << (c->prec - 1) : 0;
    v = c->prec > 8 ? v >> (c->prec - 8) : c->prec < 8 ? v * 255 / ((1 << c->prec) - 1) : v;
    return (int)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static uint8_t clamp(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

static void write_rows(const opj_image_t *image, uint32_t width, uint32_t height, uint8_t *rows)
{
    bool grey = image->numcomps < 3, ycc = !grey && (image->color_space == OPJ_CLRSPC_SYCC ||
                                                     (image->comps[1].dx > image->comps[0].dx && image->color_space != OPJ_CLRSPC_SRGB));
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++, rows += 3) {
            int v[3];
            for (int k = 0; k < 3; k++)
                v[k] = sample(&image->comps[grey ? 0 : k], x, y);
            rows[0] = ycc ? clamp(v[0] + 1.402 * (v[2] - 128)) : (uint8_t)v[0];
            rows[1] = ycc ? clamp(v[0] - 0.344136 * (v[1] - 128) - 0.714136 * (v[2] - 128)) : (uint8_t)v[1];
            rows[2] = ycc ? clamp(v[0] + 1.772 * (v[1] - 128)) : (uint8_t)v[2];
        }
}

static oi_image_status decode(const image_job *j, opj_codec_t *codec, opj_stream_t *stream)
{
    opj_image_t *image = NULL;
    opj_dparameters_t parameters;
    uint8_t *rows;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_error_handler(codec, keep_error, (void *)j);
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) || !opj_read_header(stream, codec, &image)) {
        opj_image_destroy(image);
        return j->why[0] ? OI_IMAGE_BAD : image_bad(j, "its header is broken");
    }
    uint64_t width = image->x1 > image->x0 ? image->x1 - image->x0 : 0, height = image->y1 > image->y0 ? image->y1 - image->y0 : 0;
    oi_image_status status = image->numcomps ? image_begin(j, width, height, &rows) : image_bad(j, "it has no components");
    if (!status && (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream)))
        status = j->why[0] ? OI_IMAGE_BAD : image_bad(j, "its data is broken");
    for (uint32_t k = 0; !status && k < image->numcomps && k < 3; k++) {
        const opj_image_comp_t *c = &image->comps[k];
        if (!c->data || !c->w || !c->h || !c->dx || !c->dy || c->prec < 1 || c->prec > 31)
            status = image_bad(j, "a component is empty");
    }
    if (!status)
        write_rows(image, (uint32_t)width, (uint32_t)height, rows);
    opj_image_destroy(image);
    return status;
}

oi_image_status image_jp2(const image_job *j)
{
    source s = {j, 0};
    opj_codec_t *codec = opj_create_decompress(j->data[0] == 0xFF ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    oi_image_status status;
    j->why[0] = 0;
    if (codec && stream) {
        opj_stream_set_user_data(stream, &s, NULL);
        opj_stream_set_user_data_length(stream, j->n);
        opj_stream_set_read_function(stream, read_some);
        opj_stream_set_skip_function(stream, skip);
        opj_stream_set_seek_function(stream, seek);
        status = decode(j, codec, stream);
    } else {
        image_bad(j, "out of memory");
        status = OI_IMAGE_STOPPED;
    }
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return status;
}
