/* Notes of what hash a model's file had. */
#include "runtime/seen_file.h"

#include "runtime/new_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { SETTLED_SECONDS = 60, WORTH_BYTES = 1 << 16 };

typedef struct {
    char magic[8];
    oi_hash identity, content;
    oi_hash self; /* of what is before it */
} note;

static const char magic[8] = {'O', 'I', 'S', 'E', 'E', 'N', '0', '1'};

bool oi_seen_identify(const oi_source *source, oi_seen *s)
{
    struct stat st;
    if (!source->has_file || fstat(source->file, &st) || st.st_size < WORTH_BYTES)
        return false;
    const int64_t all[] = {(int64_t)st.st_dev, (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                           st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
    const time_t now = time(NULL);
    s->identity = oi_hash_bytes(all, sizeof all);
    s->settled = st.st_ctim.tv_sec < now - SETTLED_SECONDS && st.st_mtim.tv_sec < now - SETTLED_SECONDS;
    return true;
}

static char *path_of(const oi_alloc *a, const char *dir, const oi_seen *s)
{
    size_t most = strlen(dir) + 80;
    char *path = oi_alloc_mem(a, most);
    if (path)
        snprintf(path, most, "%s/%016llx%016llx.onnx_infer_seen", dir, (unsigned long long)s->identity.high,
                 (unsigned long long)s->identity.low);
    return path;
}

bool oi_seen_find(const oi_alloc *a, const char *dir, const oi_seen *s, oi_hash *content)
{
    char *path = path_of(a, dir, s);
    oi_bytes bytes = {0};
    note n;
    oi_status st = path ? oi_bytes_file(a, path, SIZE_MAX, &bytes) : ONNX_INFER_E_OUT_OF_MEMORY;
    bool good = st == ONNX_INFER_OK && bytes.size == sizeof n;
    if (good) {
        memcpy(&n, bytes.data, sizeof n);
        good = !memcmp(n.magic, magic, sizeof magic) && oi_hash_equal(n.identity, s->identity) &&
               oi_hash_equal(n.self, oi_hash_bytes(&n, offsetof(note, self)));
        *content = n.content;
    }
    oi_bytes_clear(&bytes);
    oi_free_mem(a, path);
    return good;
}

void oi_seen_note(const oi_alloc *a, const char *dir, const oi_seen *s, oi_hash content)
{
    oi_new_file f = {0};
    note n = {.identity = s->identity, .content = content};
    char *path = s->settled ? path_of(a, dir, s) : NULL;
    if (!path)
        return;
    memcpy(n.magic, magic, sizeof magic);
    n.self = oi_hash_bytes(&n, offsetof(note, self));
    oi_status st = oi_new_file_open(&f, path, "");
    f.hasty = true; /* a note that is lost in a crash is written again */
    const oi_writer w = oi_new_file_writer(&f);
    if (st == ONNX_INFER_OK)
        st = oi_write(&w, &n, sizeof n);
    oi_new_file_finish(&f, st);
    oi_free_mem(a, path);
}
