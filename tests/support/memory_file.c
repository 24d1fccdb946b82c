/* A file in memory. */
#include "support/memory_file.h"

#include <stdlib.h>
#include <string.h>

static int append(void *user, const void *p, size_t n)
{
    memory_file *f = user;
    if (f->fail_at && f->n + n >= f->fail_at)
        return -1;
    f->at = realloc(f->at, f->n + n + 1);
    memcpy(f->at + f->n, p, n);
    f->n += n;
    return 0;
}

static int64_t size_of(void *user)
{
    return (int64_t)((memory_file *)user)->n;
}

static int64_t read_at(void *user, uint64_t at, void *to, size_t n)
{
    const memory_file *f = user;
    if (f->fail_at && at + n > f->fail_at)
        return -1;
    memcpy(to, f->at + at, n);
    return (int64_t)n;
}

onnx_infer_writer memory_file_writer(memory_file *f)
{
    return (onnx_infer_writer){sizeof(onnx_infer_writer), f, append};
}

onnx_infer_reader memory_file_reader(memory_file *f)
{
    return (onnx_infer_reader){sizeof(onnx_infer_reader), f, size_of, read_at, NULL, NULL, NULL};
}
