/* Maps model files and external data, and wraps the caller's memory and readers. */
#include "onnx/file.h"

#include "base/checked.h"
#include "onnx/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

struct oi_external {
    struct oi_external *next;
    char *location;
    oi_bytes bytes;
};

typedef struct {
    oi_alloc alloc; /* a copy: tensors that hold the mapping may outlive the loader's */
    void *base;
    size_t bytes;
} mapping;

static void unmap(void *user, void *data)
{
    mapping *m = user;
    oi_alloc alloc = m->alloc;
    (void)data;
    munmap(m->base, m->bytes);
    oi_free_mem(&alloc, m);
}

/* `size` bytes at `data`, in a mapping of its own. */
static oi_status wrap_mapping(const oi_alloc *a, void *base, size_t mapped, void *data, size_t size, oi_bytes *out)
{
    mapping *m = oi_alloc_mem(a, sizeof *m);
    oi_status status = m ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (m) {
        *m = (mapping){.alloc = a ? *a : oi_alloc_libc, .base = base, .bytes = mapped};
        status = oi_buffer_wrap(a, data, size, unmap, m, &out->buf);
        if (!status)
            oi_buffer_mark_mapped(out->buf);
    }
    if (status) {
        munmap(base, mapped);
        oi_free_mem(a, m);
        return status;
    }
    out->data = data;
    out->size = size;
    out->mapped = true;
    return ONNX_INFER_OK;
}

enum { LARGE_PAGE = 2 << 20 };

static oi_status size_of(int fd, const char *what, size_t *size)
{
    struct stat st;
    OI_FAIL_IF(fstat(fd, &st), ONNX_INFER_E_IO, "%s: %s", what, strerror(errno));
    OI_FAIL_IF(!S_ISREG(st.st_mode), ONNX_INFER_E_IO, "%s: not a regular file", what);
    OI_FAIL_IF((uint64_t)st.st_size > SIZE_MAX / 2, ONNX_INFER_E_LIMIT, "%s: too large for this machine's addresses", what);
    *size = (size_t)st.st_size;
    return ONNX_INFER_OK;
}

/* Maps an open file with a page of zeros behind it, so that vector loads at the end of the last tensor are safe. A large file
 * begins where large pages begin: where the system holds it in such pages it is mapped by them. */
static oi_status map_descriptor(const oi_alloc *a, int fd, const char *what, oi_bytes *out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole, size;
    OI_TRY(size_of(fd, what, &size));
    const size_t slack = size < LARGE_PAGE ? 0 : LARGE_PAGE;
    if (!oi_align_size(size, page, &whole) || !oi_add_size(whole, page + slack, &whole))
        return oi_fail_out_of_memory(size);
    void *all = mmap(NULL, whole, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    OI_FAIL_IF(all == MAP_FAILED, ONNX_INFER_E_OUT_OF_MEMORY, "%s: no address space for %zu bytes: %s", what, whole, strerror(errno));
    char *base = all;
    if (slack)
        base += (LARGE_PAGE - (uintptr_t)all % LARGE_PAGE) % LARGE_PAGE;
    if (size && mmap(base, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        oi_status status = oi_fail(ONNX_INFER_E_IO, "%s: cannot be mapped: %s", what, strerror(errno));
        munmap(all, whole);
        return status;
    }
    return wrap_mapping(a, all, whole, base, size, out);
}

static oi_status open_failed(const char *what)
{
    int e = errno;
    return oi_fail(e == ENOMEM ? ONNX_INFER_E_OUT_OF_MEMORY : ONNX_INFER_E_IO, "%s: cannot be opened: %s", what, strerror(e));
}

static int open_to_read(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

oi_status oi_source_file(const oi_alloc *a, const char *path, oi_source *source, oi_bytes *out)
{
    *source = (oi_source){.alloc = a, .folder = -1};
    memset(out, 0, sizeof *out);
    source->file = open_to_read(path);
    if (source->file < 0)
        return open_failed(path);
    source->has_file = true;
    OI_TRY(map_descriptor(a, source->file, path, out));
    source->path = oi_alloc_text(a, path, strlen(path));
    return source->path ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* Without the folder (no right to read it) only external data are out of reach. */
static oi_status open_folder(oi_source *source)
{
    if (source->folder >= 0 || !source->path)
        return ONNX_INFER_OK;
    const char *slash = strrchr(source->path, '/');
    char *folder = oi_alloc_text(source->alloc, slash ? source->path : ".", slash ? (size_t)(slash - source->path) + 1 : 1);
    if (!folder)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    source->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    oi_free_mem(source->alloc, folder);
    return ONNX_INFER_OK;
}

oi_status oi_bytes_file(const oi_alloc *a, const char *path, size_t small, oi_bytes *out)
{
    memset(out, 0, sizeof *out);
    int fd = open_to_read(path);
    if (fd < 0)
        return open_failed(path);
    size_t size, at = 0;
    oi_status status = size_of(fd, path, &size);
    if (!status && size > small)
        status = map_descriptor(a, fd, path, out);
    else if (!status)
        status = oi_buffer_create(a, size, &out->buf);
    while (!status && !out->mapped && at < size) {
        ssize_t n = pread(fd, (char *)oi_buffer_data(out->buf) + at, size - at, (off_t)at);
        if (n <= 0)
            status = oi_fail(ONNX_INFER_E_IO, "%s: cannot be read", path);
        at += n > 0 ? (size_t)n : 0;
    }
    if (!status && !out->mapped) {
        out->data = oi_buffer_data(out->buf);
        out->size = size;
    }
    if (status)
        oi_bytes_clear(out);
    close(fd);
    return status;
}

/* --- hashes of files -------------------------------------------------------------------------------------------------- */

typedef struct {
    int fd;
    size_t size;
    oi_hash *hash;
    uint8_t *room; /* a chunk for each thread */
} file_job;

static oi_status hash_chunk(void *arg, size_t task, size_t thread)
{
    const file_job *j = arg;
    uint8_t *to = j->room + thread * OI_HASH_CHUNK;
    size_t from = task * OI_HASH_CHUNK, n = j->size - from < OI_HASH_CHUNK ? j->size - from : OI_HASH_CHUNK;
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(j->fd, to + at, n - at, (off_t)(from + at));
        OI_FAIL_IF(got <= 0, ONNX_INFER_E_IO, "the file cannot be read at byte %zu", from + at);
        at += (size_t)got;
    }
    j->hash[task] = oi_hash_bytes(to, n);
    return ONNX_INFER_OK;
}

oi_status oi_source_hash(const oi_source *source, const oi_bytes *bytes, oi_pool *pool, oi_hash *out)
{
    const oi_alloc *a = source->alloc;
    size_t n = oi_hash_chunks(bytes->size), threads = pool && n > 1 ? oi_pool_threads(pool) : 1;
    if (!source->has_file) {
        oi_hash_item item = {.data = bytes->data, .n = bytes->size};
        OI_TRY(oi_hash_items(a, pool, &item, 1));
        *out = item.hash;
        return ONNX_INFER_OK;
    }
    /* Read, not mapped: pages that nobody needs afterwards are not worth their entries in page tables. */
    if (threads > n)
        threads = n;
    file_job j = {source->file, bytes->size, oi_alloc_array(a, n, sizeof *j.hash),
                  oi_alloc_data(a, threads * (bytes->size < OI_HASH_CHUNK ? bytes->size : OI_HASH_CHUNK))};
    oi_status st = j.hash && j.room ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st == ONNX_INFER_OK && threads > 1)
        st = oi_pool_run(pool, n, hash_chunk, &j);
    for (size_t i = 0; st == ONNX_INFER_OK && threads == 1 && i < n; i++)
        st = hash_chunk(&j, i, 0);
    if (st == ONNX_INFER_OK)
        *out = oi_hash_join(j.hash, bytes->size);
    oi_free_mem(a, j.hash);
    oi_free_data(a, j.room, threads * (bytes->size < OI_HASH_CHUNK ? bytes->size : OI_HASH_CHUNK));
    return st;
}

oi_status oi_source_memory(const oi_alloc *a, const void *p, size_t n, onnx_infer_free_fn fn, void *user, oi_source *source,
                           oi_bytes *out)
{
    *source = (oi_source){.alloc = a, .folder = -1};
    memset(out, 0, sizeof *out);
    out->size = n;
    if (fn) {
        OI_TRY(oi_buffer_wrap(a, (void *)(uintptr_t)p, n, fn, user, &out->buf));
    } else {
        OI_TRY(oi_buffer_create(a, n, &out->buf));
        if (n)
            memcpy(oi_buffer_data(out->buf), p, n);
    }
    out->data = oi_buffer_data(out->buf);
    return ONNX_INFER_OK;
}

static oi_status read_all(const oi_alloc *a, const onnx_infer_reader *r, const char *what, oi_bytes *out)
{
    int64_t size = r->size ? r->size(r->user) : -1;
    OI_FAIL_IF(size < 0 || !r->read_at, ONNX_INFER_E_IO, "%s: the reader gives no size", what);
    OI_FAIL_IF((uint64_t)size > SIZE_MAX / 2, ONNX_INFER_E_LIMIT, "%s: too large for this machine's addresses", what);
    out->size = (size_t)size;
    const void *p = r->map && size ? r->map(r->user, 0, (size_t)size) : NULL;
    if (p) {
        OI_TRY(oi_buffer_wrap(a, (void *)(uintptr_t)p, (size_t)size, NULL, NULL, &out->buf));
        out->data = p;
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_buffer_create(a, (size_t)size, &out->buf));
    uint8_t *to = oi_buffer_data(out->buf);
    out->data = to;
    for (size_t at = 0; at < out->size;) {
        int64_t n = r->read_at(r->user, at, to + at, out->size - at);
        OI_FAIL_IF(n <= 0 || (uint64_t)n > out->size - at, ONNX_INFER_E_IO,
                   "%s: the reader failed at byte %zu of %zu", what, at, out->size);
        at += (size_t)n;
    }
    return ONNX_INFER_OK;
}

oi_status oi_source_reader(const oi_alloc *a, const onnx_infer_reader *r, oi_source *source, oi_bytes *out)
{
    *source = (oi_source){.alloc = a, .folder = -1, .reader = r};
    memset(out, 0, sizeof *out);
    return read_all(a, r, "the model", out);
}

/* Opens a relative path below `folder`, never leaving it. */
static int open_beneath(int folder, const char *path)
{
#if defined(SYS_openat2)
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, 0x08 /* RESOLVE_BENEATH */ | 0x02 /* RESOLVE_NO_MAGICLINKS */};
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
#endif
    /* Older systems: one component at a time, through no symbolic link at all. */
    int at = dup(folder);
    while (at >= 0) {
        const char *slash = strchr(path, '/');
        char part[256];
        size_t n = slash ? (size_t)(slash - path) : strlen(path);
        if (n >= sizeof part) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = 0;
        int next = n == 0 ? dup(at)
                          : openat(at, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (slash ? O_DIRECTORY : 0));
        int e = errno;
        close(at);
        errno = e;
        if (!slash)
            return next;
        at = next;
        path = slash + 1;
    }
    return -1;
}

/* Absolute or climbing paths, in the spelling of any system. */
static bool leaves_folder(const char *location)
{
    if (location[0] == '/' || location[0] == '\\' || (location[0] && location[1] == ':'))
        return true;
    for (const char *p = location; *p;) {
        size_t n = strcspn(p, "/\\");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n + (p[n] != 0);
    }
    return false;
}

static oi_status open_external(oi_source *source, const char *location, oi_bytes *out)
{
    const oi_alloc *a = source->alloc;
    OI_FAIL_IF(!location[0], ONNX_INFER_E_INVALID_MODEL, "external data without a location");
    for (size_t i = 0; source->options && i < source->options->nmemory; i++) {
        oi_buffer *bytes = source->options->memory[i].bytes;
        if (strcmp(source->options->memory[i].location, location))
            continue;
        *out = (oi_bytes){.data = oi_buffer_data(bytes), .size = oi_buffer_bytes(bytes), .buf = oi_buffer_retain(bytes)};
        return ONNX_INFER_OK;
    }
    if (source->reader) {
        onnx_infer_reader r = {0};
        const onnx_infer_reader *of = source->reader;
        r.struct_size = sizeof r;
        OI_FAIL_IF(!of->open_external || of->open_external(of->user, location, &r), ONNX_INFER_E_IO,
                   "external data '%s': the reader has no such file", location);
        onnx_infer_reader copying = r; /* the external reader is closed here, so what it maps would not live */
        copying.map = NULL;
        oi_status status = read_all(a, &copying, location, out);
        if (r.close)
            r.close(r.user);
        return status;
    }
    OI_FAIL_IF(leaves_folder(location), ONNX_INFER_E_INVALID_MODEL,
               "external data '%s': the path leaves the model's folder; only files inside it are read", location);
    OI_TRY(open_folder(source));
    OI_FAIL_IF(source->folder < 0, ONNX_INFER_E_IO,
               "external data '%s': a model in memory has no folder; load it from its file or through a reader", location);
    int fd = open_beneath(source->folder, location);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return oi_fail(ONNX_INFER_E_INVALID_MODEL, "external data '%s': a symbolic link leaves the model's folder", location);
    if (fd < 0)
        return oi_fail(ONNX_INFER_E_IO, "external data '%s' beside the model: cannot be opened: %s", location, strerror(errno));
    oi_status status = map_descriptor(a, fd, location, out);
    close(fd);
    return status;
}

oi_status oi_source_external(oi_source *source, const char *location, const oi_bytes **out)
{
    for (struct oi_external *x = source->external; x; x = x->next)
        if (!strcmp(x->location, location)) {
            *out = &x->bytes;
            return ONNX_INFER_OK;
        }
    struct oi_external *x = oi_alloc_mem(source->alloc, sizeof *x);
    if (!x)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    x->location = oi_alloc_text(source->alloc, location, strlen(location));
    oi_status status = x->location ? open_external(source, location, &x->bytes) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (status) {
        oi_bytes_clear(&x->bytes);
        oi_free_mem(source->alloc, x->location);
        oi_free_mem(source->alloc, x);
        return status;
    }
    x->next = source->external;
    source->external = x;
    *out = &x->bytes;
    return ONNX_INFER_OK;
}

void oi_source_next(const oi_source *source, const struct oi_external **at, const oi_bytes **bytes)
{
    *at = *at ? (*at)->next : source->external;
    *bytes = *at ? &(*at)->bytes : NULL;
}

void oi_source_close(oi_source *source)
{
    for (struct oi_external *x = source->external, *next; x; x = next) {
        next = x->next;
        oi_bytes_clear(&x->bytes);
        oi_free_mem(source->alloc, x->location);
        oi_free_mem(source->alloc, x);
    }
    if (source->folder >= 0)
        close(source->folder);
    if (source->has_file)
        close(source->file);
    oi_free_mem(source->alloc, source->path);
    *source = (oi_source){.folder = -1};
}

void oi_bytes_clear(oi_bytes *b)
{
    oi_buffer_release(b->buf);
    memset(b, 0, sizeof *b);
}
