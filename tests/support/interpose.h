/* Counts what the library asks of the C library, and makes allocations fail. Programs link with $(interpose_ldflags). */
#ifndef TESTS_SUPPORT_INTERPOSE_H
#define TESTS_SUPPORT_INTERPOSE_H

typedef struct {
    long allocations; /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
    long frees;       /* of something */
    long maps;        /* mmap, munmap */
    long locks;       /* pthread_mutex_lock, pthread_cond_wait, pthread_cond_timedwait */
} interposed;

/* Of this thread, from now on. */
void interpose_start(void);
interposed interpose_stop(void);
/* The n-th allocation of this thread from now on fails, once; 0: none. */
void interpose_fail(long n);
/* True where that has happened. */
int interpose_failed(void);
/* From now on threads cannot be made, or can. */
void interpose_no_threads(int none);

#endif
