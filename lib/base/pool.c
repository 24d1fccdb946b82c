/* The thread pool: persistent workers, a shared task counter, a gate that says whether a loop can be joined. */
#include "base/pool.h"

#include "base/fpenv.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    GATE_OPEN = 1 << 30,    /* there is a loop to join */
    GATE_WAITING = 1 << 29, /* the caller sleeps until the last worker leaves */
    GATE_COUNT = GATE_WAITING - 1,
    SPIN_PER_CLOCK = 64,
};

typedef struct {
    oi_pool *pool;
    size_t index;
    pthread_t thread;
} worker;

struct onnx_infer_pool {
    atomic_uint refs;
    oi_alloc alloc;
    onnx_infer_executor external; /* parallel_for NULL: own workers */
    uint64_t spin_ns;
    size_t threads;  /* the caller included */
    size_t running;  /* workers started; behind `taken` */
    bool start_failed;
    pid_t pid;       /* of the process that started them */
    worker *workers;

    atomic_flag taken;     /* a loop is set up or running */
    atomic_uint epoch;     /* counts loops */
    atomic_uint open_runs;
    atomic_bool stop;
    atomic_uint sleepers;

    /* The loop. Written by the caller while the gate is closed and empty. */
    _Alignas(64) atomic_uint gate; /* GATE_OPEN, GATE_WAITING and the number of workers inside */
    oi_pool_body body;
    void *arg;
    size_t n_tasks;
    bool flush_subnormals;
    _Alignas(64) atomic_size_t next;
    atomic_bool failed;

    pthread_mutex_t lock; /* of the conditions and of what follows */
    pthread_cond_t wake, done;
    size_t failed_task;
    oi_error error;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_failure(oi_pool *p, size_t task)
{
    pthread_mutex_lock(&p->lock);
    if (!atomic_load(&p->failed) || task < p->failed_task) {
        p->failed_task = task;
        p->error = *oi_error_current();
        atomic_store(&p->failed, true);
    }
    pthread_mutex_unlock(&p->lock);
}

static void do_tasks(oi_pool *p, size_t thread)
{
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (task >= p->n_tasks || atomic_load_explicit(&p->failed, memory_order_relaxed))
            return;
        oi_status st = p->body(p->arg, task, thread);
        if (st != ONNX_INFER_OK) {
            if (oi_error_current()->status != st)
                oi_fail(st, "a task failed");
            note_failure(p, task);
        }
    }
}

static void do_tasks_as(oi_pool *p, size_t thread)
{
    if (p->flush_subnormals) {
        oi_fpenv env = oi_fpenv_enter();
        do_tasks(p, thread);
        oi_fpenv_leave(env);
    } else {
        do_tasks(p, thread);
    }
}

static void join_loop(oi_pool *p, size_t thread)
{
    unsigned gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
    do {
        if (!(gate & GATE_OPEN))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&p->gate, &gate, gate + 1, memory_order_acquire, memory_order_relaxed));
    do_tasks_as(p, thread);
    gate = atomic_fetch_sub_explicit(&p->gate, 1, memory_order_acq_rel);
    if ((gate & GATE_WAITING) && (gate & GATE_COUNT) == 1) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

/* True when the epoch moved on within the time that a run's workers spin. */
static bool spin_for_loop(oi_pool *p, unsigned seen)
{
    uint64_t end = 0;
    while (atomic_load_explicit(&p->open_runs, memory_order_relaxed) > 0 && !atomic_load(&p->stop)) {
        for (int i = 0; i < SPIN_PER_CLOCK; i++) {
            if (atomic_load_explicit(&p->epoch, memory_order_acquire) != seen)
                return true;
            relax();
        }
        uint64_t now = now_ns();
        if (!end)
            end = now + p->spin_ns;
        else if (now > end)
            return false;
    }
    return false;
}

static void *work(void *arg)
{
    worker *w = arg;
    oi_pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        if (atomic_load_explicit(&p->epoch, memory_order_acquire) == seen && !spin_for_loop(p, seen)) {
            pthread_mutex_lock(&p->lock);
            atomic_fetch_add(&p->sleepers, 1);
            while (atomic_load(&p->epoch) == seen && !atomic_load(&p->stop))
                pthread_cond_wait(&p->wake, &p->lock);
            atomic_fetch_sub(&p->sleepers, 1);
            pthread_mutex_unlock(&p->lock);
        }
        if (atomic_load(&p->stop))
            return NULL;
        seen = atomic_load_explicit(&p->epoch, memory_order_acquire);
        join_loop(p, w->index);
    }
}

oi_status oi_pool_create(const oi_alloc *a, size_t threads, uint64_t spin_ns, oi_pool **out)
{
    *out = NULL;
    OI_FAIL_IF(threads < 1 || threads > 4096, ONNX_INFER_E_INVALID_ARGUMENT, "%zu threads; expected 1 to 4096", threads);
    oi_pool *p = oi_alloc_data(a, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memset(p, 0, sizeof *p);
    p->alloc = a ? *a : oi_alloc_libc;
    p->threads = threads;
    p->spin_ns = spin_ns < UINT64_MAX / 2 ? spin_ns : UINT64_MAX / 2;
    atomic_init(&p->refs, 1);
    atomic_flag_clear(&p->taken);
    p->workers = oi_alloc_array(a, threads, sizeof *p->workers);
    if (!p->workers)
        goto fail;
    if (pthread_mutex_init(&p->lock, NULL)) {
        oi_fail_out_of_memory(sizeof p->lock);
        goto fail;
    }
    if (pthread_cond_init(&p->wake, NULL)) {
        oi_fail_out_of_memory(sizeof p->wake);
        goto fail_wake;
    }
    if (pthread_cond_init(&p->done, NULL)) {
        oi_fail_out_of_memory(sizeof p->done);
        goto fail_done;
    }
    p->pid = getpid();
    *out = p;
    return ONNX_INFER_OK;
fail_done:
    pthread_cond_destroy(&p->wake);
fail_wake:
    pthread_mutex_destroy(&p->lock);
fail:
    oi_free_mem(a, p->workers);
    oi_free_data(a, p, sizeof *p);
    return ONNX_INFER_E_OUT_OF_MEMORY;
}

oi_status oi_pool_create_external(const oi_alloc *a, const onnx_infer_executor *e, oi_pool **out)
{
    *out = NULL;
    OI_FAIL_IF(e->threads < 1, ONNX_INFER_E_INVALID_ARGUMENT, "an executor of %d threads; expected 1 to 4096", (int)e->threads);
    OI_TRY(oi_pool_create(a, (size_t)e->threads, 0, out));
    (*out)->external = *e;
    return ONNX_INFER_OK;
}

oi_pool *oi_pool_retain(oi_pool *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void oi_pool_release(oi_pool *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (p->pid == getpid()) {
        pthread_mutex_lock(&p->lock);
        atomic_store(&p->stop, true);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < p->running; i++)
            pthread_join(p->workers[i].thread, NULL);
        pthread_cond_destroy(&p->done);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
    }
    oi_alloc alloc = p->alloc;
    oi_free_mem(&alloc, p->workers);
    oi_free_data(&alloc, p, sizeof *p);
}

size_t oi_pool_threads(const oi_pool *p)
{
    return p->threads;
}

/* In the child of a fork only the thread that forked is left, whatever the state says. */
static void forget_parent(oi_pool *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->running = 0;
    p->start_failed = false;
    atomic_store(&p->sleepers, 0);
    atomic_store(&p->open_runs, 0);
    atomic_store(&p->gate, 0);
    atomic_store(&p->epoch, 0);
    atomic_flag_clear(&p->taken);
    p->pid = getpid();
}

void oi_pool_begin(oi_pool *p)
{
    if (p->threads > 1 && p->pid != getpid())
        forget_parent(p);
    atomic_fetch_add(&p->open_runs, 1);
}

void oi_pool_end(oi_pool *p)
{
    atomic_fetch_sub(&p->open_runs, 1);
}

/* Where the system gives fewer threads than asked for the pool does with them. */
static void start_workers(oi_pool *p)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->running < p->threads - 1 && !p->start_failed) {
        worker *w = &p->workers[p->running];
        *w = (worker){.pool = p, .index = p->running + 1};
        if (pthread_create(&w->thread, NULL, work, w))
            p->start_failed = true;
        else
            p->running++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static oi_status run_alone(size_t n_tasks, oi_pool_body body, void *arg)
{
    for (size_t i = 0; i < n_tasks; i++)
        OI_TRY(body(arg, i, 0));
    return ONNX_INFER_OK;
}

static void wait_for_workers(oi_pool *p)
{
    uint64_t end = 0;
    while (atomic_load_explicit(&p->gate, memory_order_acquire) & GATE_COUNT) {
        for (int i = 0; i < SPIN_PER_CLOCK; i++) {
            if (!(atomic_load_explicit(&p->gate, memory_order_acquire) & GATE_COUNT))
                return;
            relax();
        }
        uint64_t now = now_ns();
        if (!end)
            end = now + p->spin_ns;
        else if (now > end)
            break;
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_or(&p->gate, GATE_WAITING);
    while (atomic_load(&p->gate) & GATE_COUNT)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void external_lane(void *arg, size_t i)
{
    do_tasks_as(arg, i);
}

/* All tasks of the loop that is set up, by the workers and this thread. */
static void run_with_workers(oi_pool *p)
{
    const size_t n_tasks = p->n_tasks;
    if (p->running < p->threads - 1 && !p->start_failed)
        start_workers(p);
    atomic_store_explicit(&p->gate, GATE_OPEN, memory_order_release);
    atomic_fetch_add(&p->epoch, 1);
    unsigned sleepers = atomic_load(&p->sleepers);
    if (sleepers) {
        pthread_mutex_lock(&p->lock);
        if (n_tasks - 1 >= sleepers)
            pthread_cond_broadcast(&p->wake);
        else
            for (size_t i = 1; i < n_tasks; i++)
                pthread_cond_signal(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
    do_tasks(p, 0);
    atomic_fetch_and(&p->gate, ~(unsigned)GATE_OPEN);
    wait_for_workers(p);
}

oi_status oi_pool_run(oi_pool *p, size_t n_tasks, oi_pool_body body, void *arg)
{
    if (n_tasks <= 1 || p->threads <= 1 || atomic_flag_test_and_set_explicit(&p->taken, memory_order_acquire))
        return run_alone(n_tasks, body, arg);
    p->body = body;
    p->arg = arg;
    p->n_tasks = n_tasks;
    p->flush_subnormals = oi_fpenv_is_set();
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->failed, false, memory_order_relaxed);
    if (p->external.parallel_for)
        p->external.parallel_for(p->external.user, n_tasks < p->threads ? n_tasks : p->threads, external_lane, p);
    else
        run_with_workers(p);
    oi_status st = ONNX_INFER_OK;
    if (atomic_load(&p->failed)) {
        *oi_error_current() = p->error;
        st = p->error.status;
    }
    atomic_flag_clear_explicit(&p->taken, memory_order_release);
    return st;
}
