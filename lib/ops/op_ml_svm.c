/* Support vector machines of ai.onnx.ml: SVMClassifier, SVMRegressor. */
#include "ops/ml_common.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

typedef struct {
    oi_floats coefficients, kernel_params, prob_a, prob_b, rho, vectors;
    oi_ints labels, per_class;
    int64_t kernel, transform, one_class, supports;
} svm_attr;

#define OFFSET(field) ((uint16_t)offsetof(svm_attr, field))

enum { KERNEL_LINEAR, KERNEL_POLY, KERNEL_RBF, KERNEL_SIGMOID };
enum { MOST_TASKS = 64, FEWEST_ROWS = 4 };

/* What the attributes amount to for rows of `cols` columns. */
typedef struct {
    const svm_attr *a;
    int64_t cols, vectors, classes, pairs; /* vectors 0: a linear model without support vectors */
    bool proba, positive;
} machine;

static double power(double base, double exponent)
{
    return exponent == 2 ? base * base : exponent == 3 ? base * base * base : pow(base, exponent);
}

/* The kernel of a row and a support vector, or of a row and the coefficients of a linear model. */
static double kernel(const machine *m, int64_t type, const double *x, const float *v)
{
    const oi_floats *p = &m->a->kernel_params;
    double sum = 0, gamma = p->n > 0 ? (double)p->at[0] : 0, coef0 = p->n > 1 ? (double)p->at[1] : 0, degree = p->n > 2 ? (double)p->at[2] : 0;
    for (int64_t i = 0; i < m->cols && type != KERNEL_RBF; i++)
        sum += x[i] * (double)v[i];
    for (int64_t i = 0; i < m->cols && type == KERNEL_RBF; i++)
        sum += (x[i] - (double)v[i]) * (x[i] - (double)v[i]);
    switch (type) {
    case KERNEL_POLY:
        return power(gamma * sum + coef0, degree);
    case KERNEL_RBF:
        return exp(-gamma * sum);
    case KERNEL_SIGMOID:
        return tanh(gamma * sum + coef0);
    default:
        return sum;
    }
}

/* Runs fn on ranges of rows with `room` doubles for each task, all zero at first. */
typedef struct {
    const machine *m;
    const oi_tensor *x;
    double *room;
    size_t room_n;
    int64_t rows, chunk;
    void (*fn)(const machine *m, const double *x, double *room, int64_t row, void *const *out);
    void *out[2];
} job;

static oi_status run_rows(void *arg, size_t task)
{
    const job *j = arg;
    double *x = j->room + task * j->room_n, *room = x + j->m->cols;
    int64_t end = ((int64_t)task + 1) * j->chunk < j->rows ? ((int64_t)task + 1) * j->chunk : j->rows;
    for (int64_t r = (int64_t)task * j->chunk; r < end; r++) {
        oi_convert(j->x->dtype, j->x->data, (size_t)(r * j->m->cols), ONNX_INFER_DOUBLE, x, 0, (size_t)j->m->cols, true);
        j->fn(j->m, x, room, r, j->out);
    }
    return ONNX_INFER_OK;
}

static oi_status for_rows(oi_eval *e, job *j, size_t room)
{
    j->chunk = (j->rows + MOST_TASKS - 1) / MOST_TASKS;
    j->chunk = j->chunk < FEWEST_ROWS ? FEWEST_ROWS : j->chunk;
    size_t tasks = (size_t)((j->rows + j->chunk - 1) / j->chunk);
    j->room_n = (size_t)j->m->cols + room;
    j->room = oi_eval_scratch_array(e, tasks * j->room_n + 1, sizeof *j->room);
    return j->room ? e->host->parallel(e, tasks, run_rows, j) : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* --- SVMClassifier ---------------------------------------------------------------------------------------------------------- */

static oi_status import_classifier(oi_import *im)
{
    return oi_ml_import_labels(im, "classlabels_strings", "classlabels_ints", true);
}

/* cols -1: not known yet. */
static oi_status read_classifier(const svm_attr *a, int64_t cols, machine *m)
{
    *m = (machine){.a = a, .cols = cols, .classes = a->labels.n ? a->labels.n : 1};
    for (uint32_t i = 0; i < a->per_class.n; i++) {
        OI_FAIL_IF(a->per_class.at[i] < 0 || a->per_class.at[i] > INT32_MAX, ONNX_INFER_E_INVALID_MODEL, "vectors_per_class[%u] is %lld", i,
                   (long long)a->per_class.at[i]);
        m->vectors += a->per_class.at[i];
    }
    OI_FAIL_IF(a->rho.n == 0 || a->coefficients.n == 0, ONNX_INFER_E_INVALID_MODEL, "rho or coefficients is empty");
    m->positive = true;
    for (uint32_t i = 0; i < a->coefficients.n; i++)
        m->positive = m->positive && a->coefficients.at[i] >= 0;
    if (!m->vectors) {
        m->pairs = m->classes;
        OI_FAIL_IF(cols >= 0 && (uint64_t)m->classes * (uint64_t)cols > a->coefficients.n, ONNX_INFER_E_SHAPE_MISMATCH,
                   "%u coefficients of %lld classes do not go with %lld columns", a->coefficients.n, (long long)m->classes, (long long)cols);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(m->classes < 2 || m->classes > 1 << 16 || a->per_class.n != m->classes, ONNX_INFER_E_INVALID_MODEL,
               "there are %lld classes, vectors_per_class has %u elements", (long long)m->classes, a->per_class.n);
    m->pairs = m->classes * (m->classes - 1) / 2;
    m->proba = a->prob_a.n != 0;
    OI_FAIL_IF(a->rho.n < m->pairs || (m->proba && (a->prob_a.n < m->pairs || a->prob_b.n < m->pairs)), ONNX_INFER_E_INVALID_MODEL,
               "rho, prob_a and prob_b have %u, %u, %u elements for %lld pairs of classes", a->rho.n, a->prob_a.n, a->prob_b.n,
               (long long)m->pairs);
    OI_FAIL_IF((uint64_t)(m->classes - 1) * (uint64_t)m->vectors > a->coefficients.n, ONNX_INFER_E_INVALID_MODEL,
               "%u coefficients for %lld vectors and %lld classes", a->coefficients.n, (long long)m->vectors, (long long)m->classes);
    OI_FAIL_IF(cols >= 0 && (uint64_t)m->vectors * (uint64_t)cols != a->vectors.n, ONNX_INFER_E_SHAPE_MISMATCH,
               "support_vectors has %u elements, %lld vectors of %lld columns are needed", a->vectors.n, (long long)m->vectors, (long long)cols);
    return ONNX_INFER_OK;
}

static int64_t score_columns(const machine *m)
{
    int64_t n = m->proba ? m->classes : m->pairs;
    return n == 1 && m->classes == 2 ? 2 : n;
}

static oi_status infer_classifier(oi_infer *x)
{
    machine m;
    oi_dim rows, cols;
    OI_TRY(oi_ml_infer_rows(x, &rows, &cols));
    OI_TRY(read_classifier(x->attr, oi_dim_is_number(cols) ? cols : -1, &m));
    oi_dim dims[2] = {rows, score_columns(&m)};
    oi_infer_set(x, 0, ONNX_INFER_INT64, 1, dims);
    oi_infer_set(x, 1, ONNX_INFER_FLOAT, 2, dims);
    return ONNX_INFER_OK;
}

/* One decision for each pair of classes; the votes of each class. */
static void decide(const machine *m, const double *k, double *score, double *votes)
{
    const svm_attr *a = m->a;
    int64_t pair = 0, first_i = 0;
    memset(votes, 0, (size_t)m->classes * sizeof *votes);
    for (int64_t i = 0; i < m->classes; first_i += a->per_class.at[i++]) {
        int64_t first_j = first_i + a->per_class.at[i];
        for (int64_t j = i + 1; j < m->classes; first_j += a->per_class.at[j++], pair++) {
            const float *of_i = a->coefficients.at + (j - 1) * m->vectors, *of_j = a->coefficients.at + i * m->vectors;
            double sum = a->rho.at[pair];
            for (int64_t v = first_i; v < first_i + a->per_class.at[i]; v++)
                sum += (double)of_i[v] * k[v];
            for (int64_t v = first_j; v < first_j + a->per_class.at[j]; v++)
                sum += (double)of_j[v] * k[v];
            score[pair] = sum;
            votes[sum > 0 ? i : j]++;
        }
    }
}

/* Probabilities of the classes out of those of each pair, r[i * n + j] = P(i | i or j): the fixed-point iteration of Wu, Lin
 * and Weng, to the accuracy that training programs use. q: n * n, qp: n. */
static void couple(int64_t n, const double *r, double *q, double *qp, double *p)
{
    double limit = 0.005 / (double)n;
    for (int64_t i = 0; i < n; i++) {
        p[i] = 1 / (double)n;
        q[i * n + i] = 0;
        for (int64_t j = 0; j < n; j++) {
            if (j == i)
                continue;
            q[i * n + i] += r[j * n + i] * r[j * n + i];
            q[i * n + j] = -r[j * n + i] * r[i * n + j];
        }
    }
    for (int64_t round = 0; round < (n > 100 ? n : 100); round++) {
        double pqp = 0, worst = 0;
        for (int64_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < n; j++)
                qp[i] += q[i * n + j] * p[j];
            pqp += p[i] * qp[i];
        }
        for (int64_t i = 0; i < n; i++)
            worst = fmax(worst, fabs(qp[i] - pqp));
        if (worst < limit)
            return;
        for (int64_t i = 0; i < n; i++) {
            double step = (pqp - qp[i]) / q[i * n + i];
            p[i] += step;
            pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) / (1 + step) / (1 + step);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[i * n + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

static void probabilities(const machine *m, double *score, double *room)
{
    int64_t n = m->classes, pair = 0;
    double *r = room, *q = r + n * n, *qp = q + n * n, *p = qp + n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double v = 1 - oi_ml_logistic(score[pair] * (double)m->a->prob_a.at[pair] + (double)m->a->prob_b.at[pair]);
            r[i * n + j] = fmin(fmax(v, 1e-7), 1 - 1e-7);
            r[j * n + i] = 1 - r[i * n + j];
        }
    couple(n, r, q, qp, p);
    memcpy(score, p, (size_t)n * sizeof *p);
}

static int64_t best_of(const double *v, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = v[i] > v[best] ? i : best;
    return best;
}

/* room: kernels, scores (two at least), votes, and what probabilities takes. */
static void classify_row(const machine *m, const double *x, double *room, int64_t row, void *const *out)
{
    const svm_attr *a = m->a;
    int64_t n = m->pairs, best, width = score_columns(m), most = m->pairs > m->classes ? m->pairs : m->classes;
    double *k = room, *score = k + m->vectors, *votes = score + most + 2, *more = votes + m->classes, weight;
    if (m->vectors) {
        for (int64_t v = 0; v < m->vectors; v++)
            k[v] = kernel(m, a->kernel, x, a->vectors.at + v * m->cols);
        decide(m, k, score, votes);
        if (m->proba) {
            probabilities(m, score, more);
            n = m->classes;
        }
        best = best_of(votes, m->classes);
        weight = votes[best];
    } else {
        for (int64_t c = 0; c < n; c++)
            score[c] = (double)a->rho.at[0] + kernel(m, KERNEL_LINEAR, x, a->coefficients.at + c * m->cols);
        best = best_of(score, n);
        weight = score[best];
    }
    if (m->classes == 2 && a->rho.n == 1 && !m->proba && m->positive && weight >= 0.5)
        best = 1;
    int64_t label = a->labels.n ? a->labels.at[best] : weight > 0;
    if (out[0])
        ((int64_t *)out[0])[row] = label;
    if (out[1]) {
        float *to = (float *)out[1] + row * width;
        if (oi_ml_write_scores(a->transform, width > n ? OI_SECOND_NEGATED : OI_SECOND_NONE, score, (size_t)n, to) < (size_t)width)
            to[1] = to[0];
    }
}

static oi_status eval_classifier(oi_eval *e)
{
    machine m;
    int64_t rows, cols;
    oi_tensor *y, *z = NULL;
    OI_TRY(oi_ml_rows(e, &rows, &cols));
    OI_TRY(read_classifier(e->attr, cols, &m));
    int64_t dims[2] = {rows, score_columns(&m)};
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 1, dims, &y));
    if (e->nout > 1)
        OI_TRY(oi_eval_out(e, 1, ONNX_INFER_FLOAT, 2, dims, &z));
    job j = {.m = &m, .x = oi_eval_in(e, 0), .rows = rows, .fn = classify_row, .out = {y->data, z ? z->data : NULL}};
    size_t n = (size_t)m.classes;
    return for_rows(e, &j, (size_t)m.vectors + (size_t)(m.pairs > m.classes ? m.pairs : m.classes) + 2 + n + (m.proba ? 2 * n * n + 2 * n : 0));
}

/* --- SVMRegressor -------------------------------------------------------------------------------------------------------------- */

static oi_status read_regressor(const svm_attr *a, int64_t cols, machine *m)
{
    *m = (machine){.a = a, .cols = cols, .vectors = a->supports > 0 ? a->supports : 0};
    OI_FAIL_IF(a->rho.n == 0, ONNX_INFER_E_INVALID_MODEL, "rho is empty");
    OI_FAIL_IF(m->vectors > a->coefficients.n, ONNX_INFER_E_INVALID_MODEL, "%lld support vectors have %u coefficients", (long long)m->vectors,
               a->coefficients.n);
    OI_FAIL_IF(cols >= 0 && m->vectors && (uint64_t)m->vectors * (uint64_t)cols != a->vectors.n, ONNX_INFER_E_SHAPE_MISMATCH,
               "support_vectors has %u elements, %lld vectors of %lld columns are needed", a->vectors.n, (long long)m->vectors, (long long)cols);
    OI_FAIL_IF(cols >= 0 && !m->vectors && cols != a->coefficients.n, ONNX_INFER_E_SHAPE_MISMATCH, "%u coefficients do not go with %lld columns",
               a->coefficients.n, (long long)cols);
    return ONNX_INFER_OK;
}

static oi_status infer_regressor(oi_infer *x)
{
    machine m;
    oi_dim dims[2] = {0, 1}, cols;
    OI_TRY(oi_ml_infer_rows(x, &dims[0], &cols));
    OI_TRY(read_regressor(x->attr, oi_dim_is_number(cols) ? cols : -1, &m));
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 2, dims);
    return ONNX_INFER_OK;
}

static void regress_row(const machine *m, const double *x, double *room, int64_t row, void *const *out)
{
    const svm_attr *a = m->a;
    double sum = a->rho.at[0];
    (void)room;
    for (int64_t v = 0; v < m->vectors; v++)
        sum += (double)a->coefficients.at[v] * kernel(m, a->kernel, x, a->vectors.at + v * m->cols);
    if (!m->vectors)
        sum += kernel(m, KERNEL_LINEAR, x, a->coefficients.at);
    if (a->one_class)
        sum = sum > 0 ? 1 : -1;
    else if (a->transform == OI_POST_LOGISTIC || a->transform == OI_POST_PROBIT)
        oi_ml_post(a->transform, &sum, 1);
    ((float *)out[0])[row] = (float)sum;
}

static oi_status eval_regressor(oi_eval *e)
{
    machine m;
    int64_t rows, cols;
    oi_tensor *y;
    OI_TRY(oi_ml_rows(e, &rows, &cols));
    OI_TRY(read_regressor(e->attr, cols, &m));
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 2, (int64_t[]){rows, 1}, &y));
    job j = {.m = &m, .x = oi_eval_in(e, 0), .rows = rows, .fn = regress_row, .out = {y->data}};
    return for_rows(e, &j, 0);
}

/* --- definitions ------------------------------------------------------------------------------------------------------------------- */

#define SHARED \
    {.name = "coefficients", .type = OI_ATTR_FLOATS, .offset = OFFSET(coefficients)}, \
    {.name = "kernel_params", .type = OI_ATTR_FLOATS, .offset = OFFSET(kernel_params)}, \
    {.name = "kernel_type", .type = OI_ATTR_ENUM, .offset = OFFSET(kernel), .s = "LINEAR|POLY|RBF|SIGMOID"}, \
    {.name = "post_transform", .type = OI_ATTR_ENUM, .offset = OFFSET(transform), .s = OI_POST_WORDS}, \
    {.name = "rho", .type = OI_ATTR_FLOATS, .offset = OFFSET(rho)}, \
    {.name = "support_vectors", .type = OI_ATTR_FLOATS, .offset = OFFSET(vectors)}

static const oi_attr_spec classifier_attrs[] = {
    SHARED,
    {.name = "classlabels_ints", .type = OI_ATTR_INTS, .offset = OFFSET(labels)},
    {.name = "prob_a", .type = OI_ATTR_FLOATS, .offset = OFFSET(prob_a)},
    {.name = "prob_b", .type = OI_ATTR_FLOATS, .offset = OFFSET(prob_b)},
    {.name = "vectors_per_class", .type = OI_ATTR_INTS, .offset = OFFSET(per_class)},
    {0},
};
static const oi_attr_spec regressor_attrs[] = {
    SHARED,
    {.name = "n_supports", .type = OI_ATTR_INT, .offset = OFFSET(supports)},
    {.name = "one_class", .type = OI_ATTR_INT, .offset = OFFSET(one_class)},
    {0},
};

const oi_op oi_op_ml_SVMClassifier = {
    .name = "SVMClassifier", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 2,
    .attrs = classifier_attrs, .attr_size = sizeof(svm_attr), .import = import_classifier, .infer = infer_classifier, .eval = eval_classifier,
};
const oi_op oi_op_ml_SVMRegressor = {
    .name = "SVMRegressor", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = regressor_attrs, .attr_size = sizeof(svm_attr), .infer = infer_regressor, .eval = eval_regressor,
};
