/* deadline: a run that ends when its time is up, one that another thread cancels, and the same context afterwards.
 * Usage: deadline tests/data/seed-models/simple_cnn/model.onnx */
#define _POSIX_C_SOURCE 200809L
#include <onnx_infer.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 2000 }; /* some tenths of a second of work */

static void *fire_soon(void *cancel)
{
    nanosleep(&(struct timespec){0, 5 * 1000 * 1000}, NULL);
    onnx_infer_cancel_fire(cancel);
    return NULL;
}

static void run(const char *what, onnx_infer_context *net, const onnx_infer_run_options *how, const onnx_infer_value *in)
{
    struct timespec from, to;
    onnx_infer_value *out = NULL;
    timespec_get(&from, TIME_UTC);
    onnx_infer_status status = onnx_infer_run(net, how, 1, &in, 1, &out);
    timespec_get(&to, TIME_UTC);
    printf("%-24s %-12s after %.0f ms\n", what, onnx_infer_status_name(status),
           (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    onnx_infer_value_release(out);
}

int main(int argc, char **argv)
{
    onnx_infer_context *net = NULL;
    onnx_infer_value *in = NULL;
    onnx_infer_run_options *in_time = NULL, *until_fired = NULL;
    onnx_infer_cancel *cancel = NULL;
    pthread_t other;
    if (onnx_infer_context_open(argc > 1 ? argv[1] : "model.onnx", NULL, &net) ||
        onnx_infer_tensor_create(ONNX_INFER_FLOAT, 4, (const int64_t[]){BATCH, 1, 28, 28}, &in) ||
        onnx_infer_run_options_create(&in_time) || onnx_infer_run_options_set_deadline(in_time, 2 * 1000 * 1000) ||
        onnx_infer_cancel_create(&cancel) || onnx_infer_run_options_create(&until_fired) ||
        onnx_infer_run_options_set_cancel(until_fired, cancel)) {
        fprintf(stderr, "deadline: %s\n", onnx_infer_error_message(onnx_infer_last_error()));
        return EXIT_FAILURE;
    }
    run("first, with no limit:", net, NULL, in); /* plans for this batch */
    run("a deadline of 2 ms:", net, in_time, in);
    if (pthread_create(&other, NULL, fire_soon, cancel) == 0) {
        run("cancelled after 5 ms:", net, until_fired, in);
        pthread_join(other, NULL);
    }
    onnx_infer_cancel_reset(cancel);
    run("the same, reset:", net, until_fired, in);
    onnx_infer_run_options_free(until_fired);
    onnx_infer_run_options_free(in_time);
    onnx_infer_cancel_free(cancel);
    onnx_infer_value_release(in);
    onnx_infer_context_free(net);
    return EXIT_SUCCESS;
}
