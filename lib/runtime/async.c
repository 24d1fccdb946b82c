/* Asynchronous runs: a thread for each context that asks for one, asleep between its runs. */
#include "runtime/session.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { IDLE, QUEUED, RUNNING, CALLING };

struct oi_async {
    onnx_infer_context *context;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake, done;
    pthread_t thread;
    pid_t pid;            /* of the process that started the thread */
    bool started, quit;
    int phase;
    onnx_infer_run_options options;
    bool has_options;
    onnx_infer_done_fn fn;
    void *user;
    oi_error error;       /* of the last run; its status says how it ended */
};

static oi_status init_sync(oi_async *x)
{
    pthread_condattr_t attr;
    OI_FAIL_IF(pthread_mutex_init(&x->lock, NULL), ONNX_INFER_E_OUT_OF_MEMORY, "no memory for a lock");
    bool ok = pthread_cond_init(&x->wake, NULL) == 0;
    bool timed = ok && pthread_condattr_init(&attr) == 0;
    if (timed) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        timed = pthread_cond_init(&x->done, &attr) == 0;
        pthread_condattr_destroy(&attr);
    }
    if (timed)
        return ONNX_INFER_OK;
    if (ok)
        pthread_cond_destroy(&x->wake);
    pthread_mutex_destroy(&x->lock);
    return oi_fail(ONNX_INFER_E_OUT_OF_MEMORY, "no memory for a condition");
}

oi_status oi_async_create(onnx_infer_context *c, oi_async **out)
{
    const oi_alloc *a = &c->plan->engine.alloc;
    oi_async *x = oi_alloc_mem(a, sizeof *x);
    *out = NULL;
    if (!x)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status st = init_sync(x);
    if (st != ONNX_INFER_OK) {
        oi_free_mem(a, x);
        return st;
    }
    x->context = c;
    x->pid = getpid();
    *out = x;
    return ONNX_INFER_OK;
}

/* In the child of a fork the thread is gone, and its run with it. */
static oi_status forget_parent(oi_async *x)
{
    if (x->pid == getpid())
        return ONNX_INFER_OK;
    bool was_running = x->phase == QUEUED || x->phase == RUNNING;
    OI_TRY(init_sync(x));
    x->pid = getpid();
    x->started = false;
    x->phase = IDLE;
    if (was_running)
        oi_context_give(x->context);
    return ONNX_INFER_OK;
}

void oi_async_destroy(oi_async *x, const oi_alloc *a)
{
    if (!x)
        return;
    if (x->pid == getpid()) {
        pthread_mutex_lock(&x->lock);
        x->quit = true;
        pthread_cond_signal(&x->wake);
        pthread_mutex_unlock(&x->lock);
        if (x->started)
            pthread_join(x->thread, NULL);
        pthread_cond_destroy(&x->done);
        pthread_cond_destroy(&x->wake);
        pthread_mutex_destroy(&x->lock);
    }
    oi_free_mem(a, x);
}

/* One run and its callback. Called and returns with the lock. */
static void serve(oi_async *x)
{
    x->phase = RUNNING;
    onnx_infer_done_fn fn = x->fn;
    void *user = x->user;
    pthread_mutex_unlock(&x->lock);
    oi_status st = oi_context_run_bound(x->context, x->has_options ? &x->options : NULL);
    oi_error error = {.status = ONNX_INFER_OK};
    if (st != ONNX_INFER_OK)
        error = *oi_error_current();
    error.status = st;
    pthread_mutex_lock(&x->lock);
    x->error = error;
    x->phase = CALLING;
    pthread_mutex_unlock(&x->lock);
    oi_context_give(x->context);
    if (fn)
        fn(user, st, st == ONNX_INFER_OK ? NULL : &error);
    pthread_mutex_lock(&x->lock);
    if (x->phase == CALLING) { /* else the callback has asked for the next run */
        x->phase = IDLE;
        pthread_cond_broadcast(&x->done);
    }
}

static void *work(void *arg)
{
    oi_async *x = arg;
    pthread_mutex_lock(&x->lock);
    for (;;) {
        while (x->phase != QUEUED && !x->quit)
            pthread_cond_wait(&x->wake, &x->lock);
        if (x->phase != QUEUED)
            break;
        serve(x);
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

static oi_status start_thread(oi_async *x)
{
    sigset_t all, old;
    if (x->started)
        return ONNX_INFER_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&x->thread, NULL, work, x);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    OI_FAIL_IF(failed, ONNX_INFER_E_OUT_OF_MEMORY, "the system gives no thread for an asynchronous run (error %d)", failed);
    x->started = true;
    return ONNX_INFER_OK;
}

/* With the lock, and the context taken. */
static oi_status queue_run(oi_async *x, const onnx_infer_run_options *ro, onnx_infer_done_fn fn, void *user)
{
    OI_FAIL_IF(x->phase == CALLING && !pthread_equal(pthread_self(), x->thread), ONNX_INFER_E_BUSY,
               "the callback of the last asynchronous run has not returned");
    OI_TRY(start_thread(x));
    x->has_options = ro != NULL;
    if (ro)
        x->options = *ro;
    x->fn = fn;
    x->user = user;
    x->phase = QUEUED;
    pthread_cond_signal(&x->wake);
    return ONNX_INFER_OK;
}

oi_status oi_async_run(onnx_infer_context *c, const onnx_infer_run_options *ro, onnx_infer_done_fn fn, void *user)
{
    oi_async *x = c->async;
    OI_TRY(forget_parent(x));
    OI_TRY(oi_context_take(c));
    pthread_mutex_lock(&x->lock);
    oi_status st = queue_run(x, ro, fn, user);
    pthread_mutex_unlock(&x->lock);
    if (st != ONNX_INFER_OK)
        oi_context_give(c);
    return st;
}

oi_status oi_async_wait(onnx_infer_context *c, uint64_t timeout_ns)
{
    oi_async *x = c->async;
    struct timespec until;
    OI_TRY(forget_parent(x));
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t s = timeout_ns / 1000000000u, ns = timeout_ns % 1000000000u + (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(s + ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    pthread_mutex_lock(&x->lock);
    bool from_callback = x->phase == CALLING && pthread_equal(pthread_self(), x->thread);
    int late = 0;
    while (x->phase != IDLE && !from_callback && late != ETIMEDOUT) {
        if (timeout_ns == UINT64_MAX)
            pthread_cond_wait(&x->done, &x->lock);
        else
            late = pthread_cond_timedwait(&x->done, &x->lock, &until);
    }
    bool ended = x->phase == IDLE || from_callback;
    oi_error error = x->error;
    pthread_mutex_unlock(&x->lock);
    OI_FAIL_IF(!ended, ONNX_INFER_E_BUSY, "the asynchronous run has not ended yet");
    if (error.status != ONNX_INFER_OK)
        *oi_error_current() = error;
    return error.status;
}
