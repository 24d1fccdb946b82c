/* Opening optional modules. */
#include "base/module.h"

#include "config.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

typedef struct {
    char text[640];
    size_t used;
} reasons;

static void add_reason(reasons *r, const char *path, const char *why)
{
    size_t n = strlen(path);
    if (why && strncmp(why, path, n) == 0 && why[n] == ':') /* the linker's words begin with the path */
        why += n + 1 + (why[n + 1] == ' ');
    int wrote = snprintf(r->text + r->used, sizeof r->text - r->used, "%s%s: %s", r->used ? "; " : "", path, why ? why : "unknown reason");
    r->used += wrote > 0 ? (size_t)wrote : 0;
    r->used = r->used < sizeof r->text ? r->used : sizeof r->text - 1;
}

/* Only the first object, the program, is asked for. */
static int has_interpreter(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(bool *)found = true;
    return 1;
}

static bool try_open(const char *path, uint32_t version, size_t bytes, oi_module *m, reasons *r)
{
    char why[96];
    m->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!m->handle) {
        add_reason(r, path, dlerror());
        return false;
    }
    oi_module_entry entry;
    void *symbol = dlsym(m->handle, "onnx_infer_module");
    memcpy(&entry, &symbol, sizeof entry);
    const oi_module_head *head = entry ? entry() : NULL;
    m->table = head;
    if (head && head->version == version && head->bytes >= bytes)
        return true;
    if (head)
        snprintf(why, sizeof why, "it is version %u, this library needs %u", (unsigned)head->version, (unsigned)version);
    add_reason(r, path, head ? why : "it is no module of onnx_infer");
    dlclose(m->handle);
    *m = (oi_module){0};
    return false;
}

/* folder/relative/file, where it fits. */
static bool join(char *path, const char *folder, size_t n, const char *relative, const char *file)
{
    int wrote = snprintf(path, PATH_BYTES, "%.*s/%s%s%s", (int)(n < PATH_BYTES ? n : PATH_BYTES), folder, relative, relative[0] ? "/" : "", file);
    return wrote > 0 && wrote < PATH_BYTES;
}

static const char here; /* something of this library's or program's image */

oi_status oi_module_open(const char *name, uint32_t version, size_t bytes, oi_module *out)
{
    char file[96], path[PATH_BYTES];
    reasons r = {0};
    bool dynamic = false;
    Dl_info info;
    *out = (oi_module){0};
    snprintf(file, sizeof file, "libonnx_infer_%s.so", name);
    dl_iterate_phdr(has_interpreter, &dynamic);
    OI_FAIL_IF(!dynamic, ONNX_INFER_E_NOT_FOUND, "module %s: a static program opens no modules", file);
    const char *folder = secure_getenv("ONNX_INFER_MODULES");
    if (folder && folder[0] && join(path, folder, strlen(folder), "", file) && try_open(path, version, bytes, out, &r))
        return ONNX_INFER_OK;
    const char *slash = dladdr(&here, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    if (slash) {
        size_t n = (size_t)(slash - info.dli_fname);
        bool in_bin = n >= 4 && memcmp(slash - 4, "/bin", 4) == 0;
        if (join(path, info.dli_fname, n, "", file) && try_open(path, version, bytes, out, &r))
            return ONNX_INFER_OK;
        bool absolute = OI_LIBDIR_FROM_BINDIR[0] == '/';
        if (in_bin && join(path, absolute ? "" : info.dli_fname, absolute ? 0 : n, &OI_LIBDIR_FROM_BINDIR[absolute], file) &&
            try_open(path, version, bytes, out, &r))
            return ONNX_INFER_OK;
    }
    if (try_open(file, version, bytes, out, &r))
        return ONNX_INFER_OK;
    return oi_fail(ONNX_INFER_E_NOT_FOUND, "module %s could not be opened: %s", file, r.text);
}

void oi_module_close(oi_module *m)
{
    if (m->handle)
        dlclose(m->handle);
    *m = (oi_module){0};
}
