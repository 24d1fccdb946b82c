/* A sink of bytes, with formatted output. */
#include "base/writer.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

oi_status oi_write(const oi_writer *w, const void *p, size_t n)
{
    OI_FAIL_IF(w->write(w->user, p, n) != 0, ONNX_INFER_E_IO, "writing %zu bytes failed", n);
    return ONNX_INFER_OK;
}

oi_status oi_write_text(const oi_writer *w, const char *text)
{
    return oi_write(w, text, strlen(text));
}

oi_status oi_write_format(const oi_writer *w, const char *fmt, ...)
{
    char small[512];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    oi_status status = ONNX_INFER_OK;
    if (n < 0) {
        status = oi_fail(ONNX_INFER_E_INTERNAL, "bad format");
    } else if ((size_t)n < sizeof small) {
        status = oi_write(w, small, (size_t)n);
    } else {
        char *large = oi_alloc_mem(NULL, (size_t)n + 1);
        if (large) {
            vsnprintf(large, (size_t)n + 1, fmt, again);
            status = oi_write(w, large, (size_t)n);
        } else {
            status = ONNX_INFER_E_OUT_OF_MEMORY;
        }
        oi_free_mem(NULL, large);
    }
    va_end(again);
    return status;
}

/* Length of the UTF-8 sequence at s (RFC 3629), 0 where it is malformed. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct { unsigned char mask, lead, len; uint32_t lowest; } form[] = {
        {0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
    for (size_t k = 0; k < 4; k++) {
        if ((s[0] & form[k].mask) != form[k].lead)
            continue;
        uint32_t point = s[0] & (unsigned char)~form[k].mask;
        for (size_t i = 1; i < form[k].len; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            point = point << 6 | (s[i] & 0x3f);
        }
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        return point < form[k].lowest || point > 0x10ffff || surrogate ? 0 : form[k].len;
    }
    return 0;
}

oi_status oi_write_json_string(const oi_writer *w, const char *text)
{
    OI_TRY(oi_write_text(w, "\""));
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (n == 0) {
            OI_TRY(oi_write_text(w, "\\ufffd"));
            n = 1;
        } else if (*s < 0x20 || *s == '"' || *s == '\\') {
            OI_TRY(oi_write_format(w, "\\u%04x", *s));
        } else {
            OI_TRY(oi_write(w, s, n));
        }
        s += n;
    }
    return oi_write_text(w, "\"");
}
