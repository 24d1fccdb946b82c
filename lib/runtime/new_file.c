/* A file that takes its place only when it is whole. */
#include "runtime/new_file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Large blocks at places that are their multiples: the system then holds the file in large pages, as it is mapped later. */
enum { MOST_WRITERS = 1000, BLOCK = 2 << 20 };

oi_status oi_new_file_open(oi_new_file *f, const char *path, const char *ending)
{
    size_t n = strlen(path) + strlen(ending) + 40;
    int fd = -1;
    memset(f, 0, sizeof *f);
    f->path = oi_alloc_mem(NULL, n);
    f->temporary = oi_alloc_mem(NULL, n);
    if (!f->path || !f->temporary)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    snprintf(f->path, n, "%s%s", path, ending);
    for (int i = 0; i < MOST_WRITERS && fd < 0; i++) {
        snprintf(f->temporary, n, "%s.%ld.%d.tmp", f->path, (long)getpid(), i);
        fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    OI_FAIL_IF(fd < 0, ONNX_INFER_E_IO, "%s: cannot be written: %s", f->path, strerror(errno));
    f->file = fdopen(fd, "wb");
    if (!f->file) {
        close(fd);
        unlink(f->temporary);
        return oi_fail_out_of_memory(sizeof *f->file);
    }
    setvbuf(f->file, NULL, _IOFBF, BLOCK);
    return ONNX_INFER_OK;
}

static int write_file(void *user, const void *p, size_t n)
{
    return fwrite(p, 1, n, user) == n ? 0 : -1;
}

oi_writer oi_new_file_writer(oi_new_file *f)
{
    return (oi_writer){f->file, write_file};
}

oi_status oi_new_file_finish(oi_new_file *f, oi_status status)
{
    if (f->file) {
        bool bad = fflush(f->file) != 0;
        bad = (!f->hasty && fsync(fileno(f->file)) != 0) || bad;
        bad = fclose(f->file) != 0 || bad;
        if (bad && status == ONNX_INFER_OK)
            status = oi_fail(ONNX_INFER_E_IO, "%s: cannot be written: %s", f->path, strerror(errno));
        if (status == ONNX_INFER_OK && rename(f->temporary, f->path))
            status = oi_fail(ONNX_INFER_E_IO, "%s: cannot be put in its place: %s", f->path, strerror(errno));
        if (status != ONNX_INFER_OK)
            unlink(f->temporary);
    }
    oi_free_mem(NULL, f->path);
    oi_free_mem(NULL, f->temporary);
    memset(f, 0, sizeof *f);
    return status;
}
