/* Wrappers that the linker puts in the place of the C library's functions: see interpose.h. */
#include "support/interpose.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>

static _Thread_local struct {
    int on;
    interposed seen;
    long left;
    int failed;
} here;
static int no_threads;

void interpose_start(void)
{
    here.seen = (interposed){0};
    here.on = 1;
}

interposed interpose_stop(void)
{
    here.on = 0;
    return here.seen;
}

void interpose_fail(long n)
{
    here.left = n;
    here.failed = 0;
}

int interpose_failed(void)
{
    return here.failed;
}

void interpose_no_threads(int none)
{
    no_threads = none;
}

static int refuse(void)
{
    here.seen.allocations += here.on;
    if (!here.left || --here.left)
        return 0;
    here.failed = 1;
    errno = ENOMEM;
    return 1;
}

#define WRAP(type, name, args) \
    type __real_##name args;   \
    type __wrap_##name args;   \
    type __wrap_##name args

WRAP(void *, malloc, (size_t n))
{
    return refuse() ? NULL : __real_malloc(n);
}

WRAP(void *, calloc, (size_t n, size_t size))
{
    return refuse() ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, (void *p, size_t n))
{
    return refuse() ? NULL : __real_realloc(p, n);
}

WRAP(void *, aligned_alloc, (size_t align, size_t n))
{
    return refuse() ? NULL : __real_aligned_alloc(align, n);
}

WRAP(int, posix_memalign, (void **out, size_t align, size_t n))
{
    return refuse() ? ENOMEM : __real_posix_memalign(out, align, n);
}

WRAP(void, free, (void *p))
{
    here.seen.frees += here.on && p;
    __real_free(p);
}

WRAP(void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t offset))
{
    here.seen.maps += here.on;
    return __real_mmap(at, n, prot, flags, fd, offset);
}

WRAP(int, munmap, (void *at, size_t n))
{
    here.seen.maps += here.on;
    return __real_munmap(at, n);
}

WRAP(int, pthread_mutex_lock, (pthread_mutex_t *m))
{
    here.seen.locks += here.on;
    return __real_pthread_mutex_lock(m);
}

WRAP(int, pthread_cond_wait, (pthread_cond_t *c, pthread_mutex_t *m))
{
    here.seen.locks += here.on;
    return __real_pthread_cond_wait(c, m);
}

WRAP(int, pthread_cond_timedwait, (pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until))
{
    here.seen.locks += here.on;
    return __real_pthread_cond_timedwait(c, m, until);
}

WRAP(int, pthread_create, (pthread_t *t, const pthread_attr_t *attr, void *(*start)(void *), void *arg))
{
    return no_threads ? EAGAIN : __real_pthread_create(t, attr, start, arg);
}
