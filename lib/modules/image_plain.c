/* Formats without a library of their own: BMP and PNM (PBM, PGM, PPM, as text and as bytes). */
#include "modules/image.h"

#include <string.h>

/* --- BMP --------------------------------------------------------------------------------------------------------------- */

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

/* A channel that a mask cuts out, as 8 bits. */
static uint8_t channel(uint32_t pixel, uint32_t mask)
{
    if (!mask)
        return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift;
    return (uint8_t)(((pixel & mask) >> shift) * 255ull / most);
}

typedef struct {
    uint32_t width, height, bits, compression, palette_at, palette_step, palette_n, data_at;
    uint32_t mask[3];
    bool upwards;
} bmp;

enum { PLAIN = 0, BITFIELDS = 3, ALPHA_BITFIELDS = 6 };

static oi_image_status read_bmp_header(const image_job *j, bmp *b)
{
    if (j->n < 30)
        return image_bad(j, "it ends early");
    uint32_t header = u32(j->data + 14);
    b->data_at = u32(j->data + 10);
    if (header == 12) {
        *b = (bmp){.width = u16(j->data + 18), .height = u16(j->data + 20), .bits = u16(j->data + 24), .palette_step = 3,
                   .data_at = b->data_at, .upwards = true};
    } else {
        if (header < 40 || j->n < 54 || header > j->n - 14)
            return image_bad(j, "its header has an unknown size");
        int64_t height = (int32_t)u32(j->data + 22);
        *b = (bmp){.width = u32(j->data + 18), .bits = u16(j->data + 28), .compression = u32(j->data + 30), .palette_step = 4,
                   .data_at = b->data_at, .upwards = height > 0, .palette_n = u32(j->data + 46)};
        b->height = (uint32_t)(height < 0 ? -height : height);
        if ((int32_t)b->width < 0)
            return image_bad(j, "its width is negative");
    }
    b->palette_at = 14 + header;
    if (b->bits <= 8 && (b->palette_n == 0 || b->palette_n > 1u << b->bits))
        b->palette_n = 1u << b->bits;
    if (b->bits == 16)
        memcpy(b->mask, (uint32_t[]){0x7C00, 0x3E0, 0x1F}, sizeof b->mask);
    else
        memcpy(b->mask, (uint32_t[]){0xFF0000, 0xFF00, 0xFF}, sizeof b->mask);
    if (b->compression == BITFIELDS || b->compression == ALPHA_BITFIELDS) {
        if (j->n < 66 || (b->bits != 16 && b->bits != 32))
            return image_bad(j, "its bit masks do not fit");
        for (size_t k = 0; k < 3; k++)
            b->mask[k] = u32(j->data + 54 + 4 * k);
    } else if (b->compression != PLAIN) {
        return image_bad(j, "it is compressed in a way that is not known");
    }
    return OI_IMAGE_OK;
}

static void bmp_pixel(const image_job *j, const bmp *b, const uint8_t *row, uint32_t x, uint8_t *to)
{
    const uint8_t *palette = j->data + b->palette_at;
    uint32_t v;
    switch (b->bits) {
    case 16:
    case 32:
        v = b->bits == 16 ? u16(row + 2 * (size_t)x) : u32(row + 4 * (size_t)x);
        for (int k = 0; k < 3; k++)
            to[k] = channel(v, b->mask[k]);
        return;
    case 24:
        for (int k = 0; k < 3; k++)
            to[k] = row[3 * (size_t)x + 2 - (size_t)k];
        return;
    default:
        v = row[(size_t)x * b->bits / 8] >> (8 - b->bits - x * b->bits % 8) & ((1u << b->bits) - 1);
        v = v < b->palette_n ? v : 0;
        for (int k = 0; k < 3; k++)
            to[k] = palette[(size_t)v * b->palette_step + 2 - (size_t)k];
    }
}

oi_image_status image_bmp(const image_job *j)
{
    bmp b = {0};
    uint8_t *rows;
    oi_image_status status = read_bmp_header(j, &b);
    if (status)
        return status;
    if (b.bits != 1 && b.bits != 4 && b.bits != 8 && b.bits != 16 && b.bits != 24 && b.bits != 32)
        return image_bad(j, "it has an unknown number of bits");
    if (b.bits <= 8 && (b.palette_at > j->n || (uint64_t)b.palette_n * b.palette_step > j->n - b.palette_at))
        return image_bad(j, "its palette ends early");
    uint64_t stride = ((uint64_t)b.width * b.bits + 31) / 32 * 4;
    if (b.data_at > j->n || (b.height && stride > (j->n - b.data_at) / b.height))
        return image_bad(j, "it ends early");
    status = image_begin(j, b.width, b.height, &rows);
    for (uint32_t y = 0; !status && y < b.height; y++) {
        const uint8_t *row = j->data + b.data_at + (size_t)stride * (b.upwards ? b.height - 1 - y : y);
        for (uint32_t x = 0; x < b.width; x++)
            bmp_pixel(j, &b, row, x, rows + ((size_t)y * b.width + x) * 3);
    }
    return status;
}

/* --- PNM --------------------------------------------------------------------------------------------------------------- */

/* The next number of the header or of a text format; -1 where there is none. Comments run from # to the end of a line. */
static int64_t number(const image_job *j, size_t *at)
{
    int64_t v = 0;
    bool comment = false;
    for (; *at < j->n; ++*at) {
        uint8_t c = j->data[*at];
        if (c == '#')
            comment = true;
        if (comment)
            comment = c != '\n';
        else if (c != ' ' && (c < '\t' || c > '\r'))
            break;
    }
    if (*at >= j->n || j->data[*at] < '0' || j->data[*at] > '9')
        return -1;
    for (; *at < j->n && j->data[*at] >= '0' && j->data[*at] <= '9'; ++*at) {
        v = v * 10 + (j->data[*at] - '0');
        if (v > INT32_MAX)
            return -1;
    }
    return v;
}

/* One digit of a text bitmap, which needs no blanks between them. */
static int64_t bit(const image_job *j, size_t *at)
{
    while (*at < j->n && (j->data[*at] == ' ' || (j->data[*at] >= '\t' && j->data[*at] <= '\r')))
        ++*at;
    if (*at >= j->n || (j->data[*at] != '0' && j->data[*at] != '1'))
        return -1;
    return j->data[(*at)++] - '0';
}

oi_image_status image_pnm(const image_job *j)
{
    int kind = j->data[1] - '0', channels = kind == 3 || kind == 6 ? 3 : 1;
    bool bits = kind == 1 || kind == 4, text = kind <= 3;
    size_t at = 2;
    uint8_t *rows;
    int64_t width = number(j, &at), height = number(j, &at), most = bits ? 1 : number(j, &at);
    if (width < 1 || height < 1 || most < 1 || most > 65535)
        return image_bad(j, "its header is broken");
    at += !text; /* the one blank before the bytes */
    size_t bytes = most > 255 ? 2 : 1, need = bits ? ((size_t)width + 7) / 8 : (size_t)width * (size_t)channels * bytes;
    size_t left = at < j->n ? j->n - at : 0;
    uint64_t fewest = text ? (uint64_t)width * (uint64_t)channels : need; /* bytes of a row */
    if ((uint64_t)left / fewest < (uint64_t)height)
        return image_bad(j, "it ends early");
    oi_image_status status = image_begin(j, (uint64_t)width, (uint64_t)height, &rows);
    for (int64_t y = 0; y < height && !status; y++) {
        const uint8_t *row = j->data + at + (size_t)y * need;
        for (int64_t i = 0; i < width * channels && !status; i++) {
            int64_t v = text && bits ? bit(j, &at)
                        : text       ? number(j, &at)
                        : bits       ? row[i / 8] >> (7 - i % 8) & 1
                        : bytes == 2 ? row[2 * i] << 8 | row[2 * i + 1]
                                     : row[i];
            if (v < 0)
                status = image_bad(j, "a sample is no number");
            v = v > most ? most : v;
            uint8_t sample = (uint8_t)(bits ? (v ? 0 : 255) : most == 255 ? v : (v * 255 + most / 2) / most);
            for (int k = 0; k < 3 / channels; k++)
                *rows++ = sample;
        }
    }
    return status;
}
