/* A sink of bytes, with formatted output. */
#ifndef OI_BASE_WRITER_H
#define OI_BASE_WRITER_H

#include "base/status.h"

typedef struct {
    void *user;
    int (*write)(void *user, const void *p, size_t n); /* other than 0: failed */
} oi_writer;

oi_status oi_write(const oi_writer *w, const void *p, size_t n);
oi_status oi_write_text(const oi_writer *w, const char *text);
oi_status oi_write_format(const oi_writer *w, const char *fmt, ...) OI_PRINTF(2, 3); /* lines of any length */
/* The text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
oi_status oi_write_json_string(const oi_writer *w, const char *text);

#endif
