/* What the files of the command-line tool share. The tool runs models through the public interface; it looks
 * inside the library only to read and write ONNX's own files and to show graphs. */
#ifndef OI_TOOLS_TOOL_H
#define OI_TOOLS_TOOL_H

#include "base/writer.h"
#include "tensor/value.h"

#include <stdio.h>

/* Exit codes: 0 is success, 1 to 21 are the statuses of onnx_infer.h, then: */
enum { EXIT_VERIFY_FAILED = 22 };

/* --- cli.c: the command line
 * -------------------------------------------------------------------------------------- */

typedef struct {
    char *name; /* owned; `value` points into it, past the '=' */
    const char *value;
} tool_pair;

typedef struct {
    tool_pair *at;
    size_t n;
} tool_pairs;

/* Everything that a command line can say. */
typedef struct {
    const char **path; /* of the model, or directories */
    size_t npath;
    tool_pairs input, dim, shape;
    uint64_t seed;
    int32_t threads, level;
    const char *isa, *backend, *cache, *save, *graph, *stage;
    double timeout, seconds, rtol, atol; /* rtol and atol negative: not given */
    bool json, profile, reload, exact, verbose, help;
    uint64_t stop_after; /* 0: no bound */
    void (*log)(void *user, onnx_infer_log_level level, const char *message); /* gets all that is logged; NULL: stderr */
    void *log_user;
} tool_args;

enum {
    TOOL_RUN_OPTIONS = 1,
    TOOL_STAGE = 2,
    TOOL_SAVE = 4,
    TOOL_JSON = 8,
    TOOL_GRAPH = 16,
    TOOL_TOLERANCE = 32,
    TOOL_BENCH = 64,
    TOOL_MACHINE = 128,
    TOOL_SHAPES = 1 << 12,
    TOOL_RELOAD = 1 << 13,
    TOOL_LEVEL = 1 << 14
};

/* Reads the words behind the command's name; `accepts` are TOOL_* bits. */
oi_status tool_args_read(int argc, char **argv, unsigned accepts, tool_args *args);
void tool_args_clear(tool_args *args);
/* The stage's level for onnx_infer_options_set_level: imported and typed 0, decluttered 1, lowered 2. */
oi_status tool_stage_level(const char *stage, int32_t *level);
/* "2x3x4"; "" and "scalar" are rank 0. */
oi_status tool_parse_shape(const char *text, int32_t *rank, int64_t *dims);
void tool_print_options(FILE *f, unsigned accepts);

/* --- session.c: from a command line to a model that runs
 * ----------------------------------------------------------- */

typedef struct {
    onnx_infer_options *options;
    onnx_infer_model *model;
    onnx_infer_plan *plan;
    onnx_infer_context *context;
    onnx_infer_run_options *run_options;
    onnx_infer_value **in, **out; /* nin, nout */
    size_t nin, nout;
    double load_ms; /* of model, plan and context */
} tool_session;

/* Options as the command line wants them. */
oi_status tool_options(const tool_args *args, onnx_infer_options **out);
/* Loads, plans, and reads or draws the inputs. tool_session_close is due also after a failure. */
oi_status tool_session_open(const tool_args *args, const char *path, tool_session *s);
/* One run into s->out, releasing what was there. */
oi_status tool_session_run(tool_session *s);
void tool_session_close(tool_session *s);
double tool_now_ms(void); /* monotonic */

/* --- values
 * -----------------------------------------------------------------------------------------------------------
 */

/* draw.c: inputs from a seed, the same on every machine: floats normal(0, 1), integers 1, bool true, strings
 * empty. Input `index` has a stream of its own. */
oi_status tool_draw(const onnx_infer_port *port, int32_t rank, const int64_t *dims, uint64_t seed,
                    size_t index, onnx_infer_value **out);

/* npy.c */
oi_status tool_npy_read(const char *path, onnx_infer_value **out);
bool tool_npy_holds(onnx_infer_dtype t);
oi_status tool_npy_write(const char *path, const onnx_infer_value *tensor);

/* values.c: an input's value from .npy, .pb, or raw bytes for anything else (`dims` then give the shape). */
oi_status tool_value_read(const char *path, const onnx_infer_port *port, const int64_t *dims,
                          onnx_infer_value **out);
/* Writes DIR/output_K: .npy, .pb, or a folder for a sequence. */
oi_status tool_value_save(const char *dir, size_t k, const onnx_infer_value *v);
void tool_value_print(FILE *f, const char *name, const onnx_infer_value *v);
oi_status tool_value_json(const oi_writer *w, const char *name, const onnx_infer_value *v);
/* "float32 1x3x224x224", "sequence of 3", ... */
const char *tool_value_text(const onnx_infer_value *v, char *buf, size_t cap);
const char *tool_port_text(const onnx_infer_port *p, char *buf, size_t cap);

/* compare.c: NULL where the values agree, else why not, in `why`. Numbers agree within atol + rtol *
 * |expected|. */
const char *tool_compare(const onnx_infer_value *got, const onnx_infer_value *expected, double rtol,
                         double atol, char *why, size_t cap);
/* The same for outputs of random operators: type, shape and distribution. */
const char *tool_compare_random(const onnx_infer_value *got, const onnx_infer_value *expected, char *why,
                                size_t cap);

/* --- messages
 * ------------------------------------------------------------------------------------------------------------
 */

/* Prints the thread's error record on stderr as `onnx-infer: [prefix: ]message` and returns its code for
 * main. */
int tool_complain(const char *prefix);
oi_writer tool_file_writer(FILE *f);
/* Shows a line on a terminal in place of the last, for work that takes longer than a second; "" clears it. */
void tool_progress(const char *fmt, ...) OI_PRINTF(1, 2);

/* --- commands: main's argc and argv without the tool's name; each returns the exit code
 * ----------------------------- */

int tool_run(int argc, char **argv);
int tool_inspect(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_verify(int argc, char **argv);
int tool_save(int argc, char **argv);
int tool_bench(int argc, char **argv);
int tool_bisect(int argc, char **argv);
int tool_ops(int argc, char **argv);

#endif
