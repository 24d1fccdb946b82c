/* GreedySearch and BeamSearch of com.microsoft: sequences of tokens made by a decoder that is run again and again, with
 * the keys and values of its last turn as inputs of the next. */
#include "base/checked.h"
#include "ops/infer.h"
#include "ops/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t decoder_start, early_stopping, eos, model_type, ngram, pad, vocabulary;
} search_attr;

enum { MODEL_GPT, MODEL_T5 };

extern const oi_op oi_op_ms_BeamSearch;

/* Where the inputs are: -1 where the operator has none. */
typedef struct {
    int8_t ids, max_length, min_length, beams, returned, length_penalty, repetition, mask, first_mask, attention;
} search_inputs;

static const search_inputs greedy_inputs = {0, 1, 2, -1, -1, -1, 3, 4, 5, 6}, beam_inputs = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static const search_inputs *inputs_of(const oi_op *op)
{
    return op == &oi_op_ms_BeamSearch ? &beam_inputs : &greedy_inputs;
}

static int32_t find_sub(const oi_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->nsub; i++) {
        if (!strcmp(n->sub[i].name, name))
            return (int32_t)i;
    }
    return -1;
}

/* --- infer --- */

/* What is known of every turn's inputs: element types, and the dims that the file gives as numbers. */
static oi_status infer_bodies(oi_infer *x)
{
    for (uint32_t s = 0; s < x->node->nsub; s++) {
        const oi_graph *g = x->node->sub[s].graph;
        uint32_t n = g->ninput - x->node->sub[s].ncapture;
        oi_fact *formal = oi_arena_array(x->arena, n + 1, sizeof *formal), *outs = oi_arena_array(x->arena, g->noutput + 1, sizeof *outs);
        const oi_fact **list = oi_arena_array(x->arena, n + 1, sizeof *list);
        if (!formal || !outs || !list)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (uint32_t i = 0; i < n; i++) {
            const oi_fact *declared = &g->value[g->input[i]].fact;
            formal[i] = oi_fact_tensor(declared->dtype, declared->shape.rank, declared->shape.dim);
            for (int32_t k = 0; k < formal[i].shape.rank; k++) {
                if (!oi_dim_is_number(formal[i].shape.dim[k]))
                    formal[i].shape.dim[k] = oi_dim_fresh(x->syms);
            }
            list[i] = &formal[i];
        }
        OI_TRY(x->sub(x, s, list, n, outs));
    }
    return ONNX_INFER_OK;
}

static oi_dim number(oi_infer *x, int8_t in)
{
    oi_dim v;
    bool known = in >= 0 && oi_infer_in(x, (uint32_t)in) && oi_infer_content(x, (uint32_t)in, &v, 1) == 1;
    return known && !(oi_dim_is_number(v) && v < 0) ? v : oi_dim_fresh(x->syms);
}

static oi_status infer(oi_infer *x)
{
    const search_inputs *in = inputs_of(x->op);
    const oi_fact *ids = oi_infer_in(x, 0);
    OI_FAIL_IF(!ids, ONNX_INFER_E_INVALID_MODEL, "input 0 is left out, %s needs it", x->op->name);
    OI_FAIL_IF(find_sub(x->node, "decoder") < 0, ONNX_INFER_E_INVALID_MODEL, "it has no decoder");
    OI_TRY(infer_bodies(x));
    oi_dim batch = ids->shape.rank == 2 ? ids->shape.dim[0] : oi_dim_fresh(x->syms), length = number(x, in->max_length);
    if (in->beams < 0) {
        oi_infer_set(x, 0, ONNX_INFER_INT32, 2, (oi_dim[]){batch, length});
        return ONNX_INFER_OK;
    }
    oi_dim returned = number(x, in->returned);
    oi_infer_set(x, 0, ONNX_INFER_INT32, 3, (oi_dim[]){batch, returned, length});
    oi_infer_set(x, 1, ONNX_INFER_FLOAT, 2, (oi_dim[]){batch, returned});
    oi_infer_set_fresh(x, 2, ONNX_INFER_FLOAT, 4);
    return ONNX_INFER_OK;
}

/* --- a search --- */

/* An input of the operator, not one that only a subgraph sees; NULL: left out. */
static const oi_tensor *given(const oi_eval *e, int8_t in)
{
    return in >= 0 && (uint32_t)in < oi_node_formal_inputs(e->node) ? oi_eval_in(e, (uint32_t)in) : NULL;
}

typedef struct {
    oi_eval *e;
    const search_attr *a;
    const oi_tensor *ids, *attention;      /* of the prompt, [batch][prompt] int32 */
    int64_t batch, beams, rows, prompt;    /* rows: batch * beams */
    int64_t returned, step;                /* sequences of each sample; turns made */
    bool beam;
    oi_search_rules rules;
    oi_search_sequences sequences;
    int32_t *next, *from;                  /* of each row: its token, and which row it goes on from */
    float *score;                          /* [rows][vocabulary]; set with the first logits */
    float *sum;                            /* of a beam search: [rows] */
    bool *ended;                           /* of a greedy search: [batch] */
    oi_search_candidate *best;
    oi_hypotheses *hypotheses;             /* [batch] */
    float length_penalty;
    oi_tensor *scores;                     /* output 2, or NULL */
    uint32_t nin, nout;                    /* of the decoder */
    int32_t decoder, first;                /* subgraphs; first: of the first turn */
    onnx_infer_value **in, **out;
} search;

/* A new int32 tensor of rank 2 in slot i of the decoder's inputs; *data to be filled in. */
static oi_status new_ints(search *s, uint32_t i, int64_t rows, int64_t columns, int32_t **data)
{
    oi_tensor t;
    onnx_infer_value *v;
    OI_TRY(oi_tensor_create(s->e->alloc, ONNX_INFER_INT32, 2, (const int64_t[]){rows, columns}, &t));
    *data = t.data;
    oi_status status = oi_value_from_tensor(s->e->alloc, &t, &v);
    if (status) {
        oi_tensor_clear(&t);
        return status;
    }
    oi_value_release(s->in[i]);
    s->in[i] = v;
    return ONNX_INFER_OK;
}

/* Slot i becomes rows[k] (NULL: k / beams) of v along `axis`, one for each row of the search. */
static oi_status pick_rows(search *s, uint32_t i, const onnx_infer_value *v, int32_t axis, const int32_t *rows)
{
    OI_FAIL_IF(!v || v->kind != ONNX_INFER_TENSOR || v->tensor.rank <= axis || v->tensor.dtype == ONNX_INFER_STRING ||
                   oi_dtype_is_packed(v->tensor.dtype), ONNX_INFER_E_SHAPE_MISMATCH,
               "the state for the decoder's input %u has no axis %d, or a type that none has", i, (int)axis);
    const oi_tensor *from = &v->tensor;
    int64_t dims[OI_MAX_RANK], outer = oi_dims_count(axis, from->dim), there = from->dim[axis];
    memcpy(dims, from->dim, (size_t)from->rank * sizeof *dims);
    dims[axis] = s->rows;
    oi_tensor t;
    onnx_infer_value *made;
    OI_TRY(oi_tensor_create(s->e->alloc, from->dtype, from->rank, dims, &t));
    size_t block = oi_tensor_count(from) ? from->bytes / (size_t)(outer * there) : 0;
    oi_status status = ONNX_INFER_OK;
    for (int64_t o = 0; o < outer && block; o++) {
        for (int64_t k = 0; k < s->rows; k++) {
            int64_t row = rows ? rows[k] : k / s->beams;
            if (row >= there) {
                status = oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "the decoder's state for input %u has %lld rows, expected %lld", i,
                                 (long long)there, (long long)s->rows);
                break;
            }
            memcpy((char *)t.data + (size_t)(o * s->rows + k) * block, (const char *)from->data + (size_t)(o * there + row) * block, block);
        }
    }
    if (!status)
        status = oi_value_from_tensor(s->e->alloc, &t, &made);
    if (status) {
        oi_tensor_clear(&t);
        return status;
    }
    oi_value_release(s->in[i]);
    s->in[i] = made;
    return ONNX_INFER_OK;
}

/* An empty state: the dims that the decoder declares, the search's rows along `axis`, nothing along `empty`. */
static oi_status empty_state(search *s, uint32_t i, int32_t axis, int32_t empty)
{
    const oi_graph *g = s->e->node->sub[s->decoder].graph;
    const oi_fact *f = &g->value[g->input[i]].fact;
    int64_t dims[OI_MAX_RANK];
    oi_tensor t;
    OI_FAIL_IF(f->shape.rank <= empty || f->shape.rank <= axis, ONNX_INFER_E_INVALID_MODEL, "the decoder's input %u has no declared shape", i);
    for (int32_t k = 0; k < f->shape.rank; k++) {
        dims[k] = k == axis ? s->rows : k == empty ? 0 : f->shape.dim[k];
        OI_FAIL_IF(!oi_dim_is_number(dims[k]), ONNX_INFER_E_INVALID_MODEL, "the decoder does not say how long axis %d of its input %u is", (int)k, i);
    }
    OI_TRY(oi_tensor_create(s->e->alloc, f->dtype ? f->dtype : ONNX_INFER_FLOAT, f->shape.rank, dims, &t));
    oi_status status = oi_value_from_tensor(s->e->alloc, &t, &s->in[i]);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

/* --- the next token of each row --- */

/* The scores of the last token of each row, out of logits [rows or batch][tokens][vocabulary]. */
static oi_status take_logits(search *s, const onnx_infer_value *v)
{
    const oi_tensor *t = v && v->kind == ONNX_INFER_TENSOR ? &v->tensor : NULL;
    OI_FAIL_IF(!t || t->rank != 3 || !oi_dtype_is_float(t->dtype) || t->dim[1] < 1 || t->dim[2] < 1 || t->dim[2] > INT32_MAX ||
                   (t->dim[0] != s->rows && t->dim[0] != s->batch) || (s->score && t->dim[2] != s->rules.vocabulary) ||
                   (s->a->vocabulary > 0 && s->a->vocabulary > t->dim[2]),
               ONNX_INFER_E_SHAPE_MISMATCH, "the decoder's logits do not fit %lld sequences", (long long)s->rows);
    const oi_tensor *mask = NULL, *first = NULL;
    if (!s->score) {
        const search_inputs *in = inputs_of(s->e->op);
        s->rules.vocabulary = t->dim[2];
        size_t n;
        OI_FAIL_IF(!oi_mul_size((size_t)s->rows, (size_t)t->dim[2], &n), ONNX_INFER_E_LIMIT, "too many scores");
        s->score = oi_eval_scratch_array(s->e, n, sizeof *s->score);
        if (!s->score)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        mask = given(s->e, in->mask);
        first = given(s->e, in->first_mask);
        OI_FAIL_IF((mask && (mask->dtype != ONNX_INFER_INT32 || oi_tensor_count(mask) != t->dim[2])) ||
                       (first && (first->dtype != ONNX_INFER_INT32 || oi_tensor_count(first) != s->batch * t->dim[2])),
                   ONNX_INFER_E_SHAPE_MISMATCH, "a vocabulary mask does not have the %lld tokens of the logits", (long long)t->dim[2]);
        s->rules.mask = mask ? mask->data : NULL;
        s->rules.first_mask = first ? first->data : NULL;
    }
    int64_t words = s->rules.vocabulary;
    for (int64_t i = 0; i < s->rows; i++) {
        int64_t row = t->dim[0] == s->rows ? i : i / s->beams;
        for (int64_t k = 0; k < words; k++)
            s->score[i * words + k] = (float)oi_elem_get_double(t->dtype, t->data, (size_t)((row * t->dim[1] + t->dim[1] - 1) * words + k));
    }
    return ONNX_INFER_OK;
}

static float *score_row(const search *s, int64_t row)
{
    float *score = s->score + row * s->rules.vocabulary;
    const int32_t *first = s->step == 0 && s->rules.first_mask ? s->rules.first_mask + row / s->beams * s->rules.vocabulary : NULL;
    if (s->beam)
        oi_search_log_softmax(s->rules.vocabulary, score);
    oi_search_apply(&s->rules, &s->sequences, row, first, score);
    return score;
}

static bool choose_greedy(search *s)
{
    bool all = true;
    for (int64_t i = 0; i < s->rows; i++) {
        const float *score = score_row(s, i);
        int64_t best = 0;
        for (int64_t k = 1; k < s->rules.vocabulary; k++)
            best = score[k] > score[best] ? k : best;
        s->ended[i] = s->ended[i] || best == s->a->eos;
        s->next[i] = (int32_t)(s->ended[i] ? s->a->pad : best);
        all = all && s->ended[i];
    }
    return all;
}

/* The rows of one sample go on; its finished ones are kept. Fails only where the vocabulary is too small. */
static oi_status choose_beams(search *s, int64_t sample)
{
    oi_hypotheses *h = &s->hypotheses[sample];
    int64_t base = sample * s->beams, k = 2 * s->beams, used = 0;
    if (h->done) {
        for (int64_t i = 0; i < s->beams; i++) {
            s->sum[base + i] = 0;
            s->next[base + i] = (int32_t)s->a->pad;
            s->from[base + i] = 0;
        }
        return ONNX_INFER_OK;
    }
    oi_search_best(s->beams, s->rules.vocabulary, s->score + base * s->rules.vocabulary, k, s->best);
    for (int64_t i = 0; i < k && used < s->beams; i++) {
        const oi_search_candidate *c = &s->best[i];
        OI_FAIL_IF(c->token < 0, ONNX_INFER_E_INVALID_ARGUMENT, "%lld beams need a vocabulary of at least twice as many tokens",
                   (long long)s->beams);
        if (s->a->eos >= 0 && c->token == s->a->eos) {
            if (i < s->beams)
                oi_hypotheses_add(h, s->sequences.token + (base + c->beam) * s->sequences.capacity, s->sequences.length, c->score);
            continue;
        }
        s->sum[base + used] = c->score;
        s->next[base + used] = c->token;
        s->from[base + used] = (int32_t)base + c->beam;
        used++;
    }
    OI_FAIL_IF(used < s->beams, ONNX_INFER_E_INVALID_ARGUMENT, "%lld beams need a vocabulary of at least twice as many tokens", (long long)s->beams);
    h->done = h->used == h->room && (s->a->early_stopping || !oi_hypotheses_can_improve(h, s->best[0].score, s->sequences.length));
    return ONNX_INFER_OK;
}

/* Sets next and from by the logits, and puts the tokens behind the sequences. *done: nothing more is to be found. */
static oi_status choose(search *s, const onnx_infer_value *logits, bool *done)
{
    OI_TRY(take_logits(s, logits));
    if (!s->beam) {
        *done = choose_greedy(s);
    } else {
        int64_t words = s->rules.vocabulary, all = s->rows * words;
        for (int64_t i = 0; i < s->rows; i++) {
            float *score = score_row(s, i);
            for (int64_t k = 0; k < words; k++)
                score[k] += s->sum[i];
        }
        if (!s->scores && oi_eval_wants(s->e, 2)) {
            int64_t turns = s->sequences.capacity - s->prompt;
            OI_TRY(oi_eval_out(s->e, 2, ONNX_INFER_FLOAT, 4, (const int64_t[]){turns, s->batch, s->beams, words}, &s->scores));
            memset(s->scores->data, 0, s->scores->bytes);
        }
        if (s->scores)
            memcpy((float *)s->scores->data + s->step * all, s->score, (size_t)all * sizeof *s->score);
        *done = true;
        for (int64_t b = 0; b < s->batch; b++) {
            OI_TRY(choose_beams(s, b));
            *done = *done && s->hypotheses[b].done;
        }
    }
    oi_search_append(&s->sequences, s->beam ? s->from : NULL, s->next);
    s->step++;
    return ONNX_INFER_OK;
}

/* --- turns of a decoder --- */

static void release(onnx_infer_value **v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        oi_value_release(v[i]);
        v[i] = NULL;
    }
}

static oi_status run_decoder(search *s, bool *done)
{
    OI_TRY(s->e->host->check(s->e));
    int32_t sub = s->step == 0 && s->first >= 0 ? s->first : s->decoder;
    OI_TRY(s->e->host->sub(s->e, (uint32_t)sub, s->nin, s->in, s->nout, s->out));
    return choose(s, s->out[0], done);
}

/* Tokens that are not padding count up; the mask shows them. */
static oi_status first_gpt(search *s, int64_t *place)
{
    const int32_t *ids = s->ids->data, *shown = s->attention ? s->attention->data : NULL;
    int32_t *token, *position, *mask;
    OI_TRY(new_ints(s, 0, s->rows, s->prompt, &token));
    OI_TRY(new_ints(s, 1, s->rows, s->prompt, &position));
    OI_TRY(new_ints(s, 2, s->rows, s->prompt, &mask));
    for (int64_t i = 0; i < s->rows; i++) {
        place[i] = 0;
        for (int64_t k = 0; k < s->prompt; k++) {
            int64_t at = i / s->beams * s->prompt + k, to = i * s->prompt + k;
            bool pad = ids[at] == s->a->pad;
            token[to] = ids[at];
            position[to] = (int32_t)(pad ? 0 : place[i]++);
            mask[to] = shown ? shown[at] : !pad;
        }
    }
    for (uint32_t i = 3; i < s->nin; i++)
        OI_TRY(empty_state(s, i, 1, 3));
    return ONNX_INFER_OK;
}

static oi_status next_gpt(search *s, const int64_t *place)
{
    int64_t length = s->sequences.length;
    int32_t *token, *position, *mask;
    onnx_infer_value *before = oi_value_retain(s->in[2]);
    oi_status status = new_ints(s, 0, s->rows, 1, &token);
    if (!status)
        status = new_ints(s, 1, s->rows, 1, &position);
    if (!status)
        status = new_ints(s, 2, s->rows, length, &mask);
    const int32_t *old = before->tensor.data;
    for (int64_t i = 0; i < s->rows && !status; i++) {
        token[i] = s->next[i];
        position[i] = (int32_t)(place[i] + s->step - 1);
        memcpy(mask + i * length, old + i * (length - 1), (size_t)(length - 1) * sizeof *mask);
        mask[i * length + length - 1] = 1;
    }
    oi_value_release(before);
    for (uint32_t i = 3; i < s->nin && !status; i++)
        status = pick_rows(s, i, s->out[i - 2], 1, s->from);
    release(s->out, s->nout);
    return status;
}

static oi_status search_gpt(search *s)
{
    const oi_sub *body = &s->e->node->sub[s->decoder];
    bool done = false;
    s->nin = body->graph->ninput - body->ncapture;
    s->nout = body->graph->noutput;
    OI_FAIL_IF(s->nin < 3 || s->nout != s->nin - 2, ONNX_INFER_E_UNSUPPORTED_OP,
               "a decoder with %u inputs and %u outputs: it should take tokens, positions, mask and the states that it gives", s->nin, s->nout);
    s->in = oi_eval_scratch_array(s->e, s->nin + 1, sizeof *s->in);
    s->out = oi_eval_scratch_array(s->e, s->nout + 1, sizeof *s->out);
    int64_t *place = oi_eval_scratch_array(s->e, (size_t)s->rows + 1, sizeof *place);
    if (!s->in || !s->out || !place)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = first_gpt(s, place);
    while (!status && s->sequences.length < s->sequences.capacity) {
        status = run_decoder(s, &done);
        if (status || done || s->sequences.length == s->sequences.capacity)
            break;
        status = next_gpt(s, place);
    }
    release(s->in, s->nin);
    release(s->out, s->nout);
    return status;
}

/* --- an encoder and a decoder --- */

/* The tokens that the decoder takes: the last ones, or the whole sequences. */
static oi_status feed_tokens(search *s, bool whole)
{
    int64_t n = whole ? s->sequences.length : 1;
    int32_t *token;
    OI_TRY(new_ints(s, 0, s->rows, n, &token));
    for (int64_t i = 0; i < s->rows; i++)
        memcpy(token + i * n, s->sequences.token + i * s->sequences.capacity + s->sequences.length - n, (size_t)n * sizeof *token);
    return ONNX_INFER_OK;
}

/* Runs the encoder with the prompt, its mask and where it takes them the first tokens of the decoder. */
static oi_status encode(search *s, uint32_t sub, onnx_infer_value **out, uint32_t nout)
{
    const oi_sub *body = &s->e->node->sub[sub];
    uint32_t n = body->graph->ninput - body->ncapture;
    const int32_t *ids = s->ids->data, *shown = s->attention ? s->attention->data : NULL;
    int64_t length = s->ids->dim[1], rows = s->rows;
    int32_t *token, *mask, *start;
    onnx_infer_value *three[3] = {NULL}, **kept = s->in;
    OI_FAIL_IF(n < 2 || n > 3, ONNX_INFER_E_UNSUPPORTED_OP, "an encoder with %u inputs: it should take tokens, mask and the decoder's start", n);
    s->in = three;
    oi_status status = new_ints(s, 0, s->batch, length, &token);
    if (!status)
        status = new_ints(s, 1, s->batch, length, &mask);
    if (!status && n > 2)
        status = new_ints(s, 2, s->batch, 1, &start);
    for (int64_t i = 0; i < s->batch && !status; i++) {
        bool begun = false;
        for (int64_t k = 0; k < length; k++) {
            int64_t at = i * length + k;
            begun = begun || ids[at] != s->a->pad;
            token[at] = ids[at];
            mask[at] = shown ? shown[at] : begun;
        }
        if (n > 2)
            start[i] = (int32_t)s->a->decoder_start;
    }
    s->in = kept;
    if (!status)
        status = s->e->host->sub(s->e, sub, n, three, nout, out);
    if (!status)
        status = pick_rows(s, 1, three[1], 0, NULL);
    release(three, 3);
    s->rows = rows;
    return status;
}

static bool name_begins(const oi_graph *g, oi_value_id v, const char *text)
{
    return !strncmp(g->value[v].name, text, strlen(text));
}

/* The encoder's outputs: logits of the first token, hidden states, the decoder's states and those that it only reads; or
 * only the last, and the decoder begins with the start token. */
static oi_status begin_t5(search *s, onnx_infer_value **made, uint32_t n, bool whole, uint32_t state, uint32_t carried, bool *done)
{
    const oi_sub *encoder = &s->e->node->sub[find_sub(s->e->node, "encoder")];
    bool fresh = name_begins(encoder->graph, encoder->graph->output[0], "present_key_cross") ||
                 !strncmp(encoder->graph->output_name[0], "present_key_cross", strlen("present_key_cross"));
    if (fresh) {
        OI_FAIL_IF(n != s->nin - state - carried || state != 2, ONNX_INFER_E_UNSUPPORTED_OP, "the encoder's %u outputs are not what the decoder takes", n);
        for (uint32_t i = 0; i < carried; i++)
            OI_TRY(empty_state(s, state + i, 0, 2));
        for (uint32_t i = 0; i < n; i++)
            OI_TRY(pick_rows(s, state + carried + i, made[i], 0, NULL));
        return feed_tokens(s, whole);
    }
    OI_FAIL_IF(n != s->nin - state + 2, ONNX_INFER_E_UNSUPPORTED_OP, "the encoder's %u outputs are not what the decoder takes", n);
    for (uint32_t i = state; i < s->nin; i++)
        OI_TRY(pick_rows(s, i, made[i - state + 2], 0, NULL));
    if (state == 3)
        OI_TRY(pick_rows(s, 2, made[1], 0, NULL));
    OI_TRY(choose(s, made[0], done));
    for (uint32_t i = state; i < state + carried; i++)
        OI_TRY(pick_rows(s, i, s->in[i], 0, s->from));
    return feed_tokens(s, whole);
}

static oi_status search_t5(search *s)
{
    int32_t sub = find_sub(s->e->node, "encoder");
    const oi_sub *body = &s->e->node->sub[s->decoder];
    const oi_graph *g = body->graph;
    OI_FAIL_IF(sub < 0 || s->a->decoder_start < 0 || !s->beam, ONNX_INFER_E_INVALID_MODEL, "it needs an encoder and decoder_start_token_id");
    uint32_t n = s->e->node->sub[sub].graph->noutput;
    s->nin = g->ninput - body->ncapture;
    s->nout = g->noutput;
    uint32_t carried = s->nout - 1, state = s->nin < 2 * carried ? 0 : s->nin - 2 * carried;
    OI_FAIL_IF(carried % 2 || (state != 2 && state != 3), ONNX_INFER_E_UNSUPPORTED_OP,
               "a decoder with %u inputs and %u outputs: it should take tokens, mask, perhaps hidden states, states and cross states", s->nin, s->nout);
    /* A declared length of 1 says that the decoder takes one token a turn. */
    const oi_fact *ids = &g->value[g->input[0]].fact;
    bool whole = !(ids->shape.rank == 2 && ids->shape.dim[1] == 1), done = false;
    s->in = oi_eval_scratch_array(s->e, s->nin + 1, sizeof *s->in);
    s->out = oi_eval_scratch_array(s->e, s->nout + 1, sizeof *s->out);
    onnx_infer_value **made = oi_eval_scratch_array(s->e, n + (size_t)1, sizeof *made);
    if (!s->in || !s->out || !made)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = encode(s, (uint32_t)sub, made, n);
    if (!status)
        status = begin_t5(s, made, n, whole, state, carried, &done);
    release(made, n);
    while (!status && !done && s->sequences.length < s->sequences.capacity) {
        status = run_decoder(s, &done);
        if (status || done || s->sequences.length == s->sequences.capacity)
            break;
        for (uint32_t i = 0; i < carried && !status; i++)
            status = pick_rows(s, state + i, s->out[1 + i], 0, s->from);
        release(s->out, s->nout);
        if (!status)
            status = feed_tokens(s, whole);
    }
    release(s->in, s->nin);
    release(s->out, s->nout);
    return status;
}

/* --- the operators --- */

/* One number at an input; `absent` where it is left out. */
static oi_status number_at(const oi_eval *e, int8_t in, double absent, double *v)
{
    const oi_tensor *t = given(e, in);
    *v = absent;
    OI_FAIL_IF(t && (oi_tensor_count(t) != 1 || !(oi_dtype_is_float(t->dtype) || oi_dtype_is_int(t->dtype))), ONNX_INFER_E_SHAPE_MISMATCH,
               "input %d is not one number", in);
    if (t)
        *v = oi_dtype_is_float(t->dtype) ? oi_elem_get_double(t->dtype, t->data, 0) : (double)oi_elem_get_int(t->dtype, t->data, 0);
    return ONNX_INFER_OK;
}

static oi_status allocate(search *s, int64_t capacity)
{
    oi_eval *e = s->e;
    size_t tokens;
    OI_FAIL_IF(!oi_mul_size((size_t)s->rows + 1, (size_t)capacity, &tokens), ONNX_INFER_E_LIMIT, "too many tokens");
    s->sequences = (oi_search_sequences){.rows = s->rows, .capacity = capacity, .length = s->prompt};
    s->sequences.token = oi_eval_scratch_array(e, tokens, sizeof(int32_t));
    s->sequences.spare = oi_eval_scratch_array(e, tokens, sizeof(int32_t));
    s->next = oi_eval_scratch_array(e, (size_t)s->rows + 1, sizeof *s->next);
    s->from = oi_eval_scratch_array(e, (size_t)s->rows + 1, sizeof *s->from);
    s->sum = oi_eval_scratch_array(e, (size_t)s->rows + 1, sizeof *s->sum);
    s->ended = oi_eval_scratch_array(e, (size_t)s->batch + 1, sizeof *s->ended);
    s->best = oi_eval_scratch_array(e, 2 * (size_t)s->beams + 1, sizeof *s->best);
    s->hypotheses = oi_eval_scratch_array(e, (size_t)s->batch + 1, sizeof *s->hypotheses);
    oi_hypothesis *h = oi_eval_scratch_array(e, (size_t)s->rows + 1, sizeof *h);
    int32_t *kept = oi_eval_scratch_array(e, tokens, sizeof *kept);
    if (!s->sequences.token || !s->sequences.spare || !s->next || !s->from || !s->sum || !s->ended || !s->best || !s->hypotheses || !h || !kept)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t i = 0; i < s->rows; i++) {
        h[i].token = kept + i * capacity;
        s->from[i] = (int32_t)i;
        s->sum[i] = i % s->beams ? -1e9f : 0; /* the beams of a sample begin alike: only one may count */
    }
    for (int64_t b = 0; b < s->batch; b++)
        s->hypotheses[b] = (oi_hypotheses){.at = h + b * s->beams, .room = s->beams, .length_penalty = s->length_penalty};
    return ONNX_INFER_OK;
}

static oi_status write_sequences(search *s)
{
    int64_t capacity = s->sequences.capacity, returned = s->beam ? s->returned : 1;
    oi_tensor *y, *scores = NULL;
    const int64_t three[3] = {s->batch, returned, capacity}, two[2] = {s->batch, capacity};
    OI_TRY(oi_eval_out(s->e, 0, ONNX_INFER_INT32, s->beam ? 3 : 2, s->beam ? three : two, &y));
    int32_t *to = y->data;
    for (int64_t i = 0; i < oi_tensor_count(y); i++)
        to[i] = (int32_t)s->a->pad;
    if (s->beam && oi_eval_wants(s->e, 1))
        OI_TRY(oi_eval_out(s->e, 1, ONNX_INFER_FLOAT, 2, three, &scores));
    for (int64_t b = 0; b < s->batch; b++) {
        oi_hypotheses *h = &s->hypotheses[b];
        for (int64_t i = 0; i < s->beams && s->beam && !h->done; i++)
            oi_hypotheses_add(h, s->sequences.token + (b * s->beams + i) * capacity, s->sequences.length, s->sum[b * s->beams + i]);
        for (int64_t i = 0; i < returned; i++) {
            const int32_t *from = s->beam ? h->at[i].token : s->sequences.token + b * capacity;
            memcpy(to + (b * returned + i) * capacity, from, (size_t)(s->beam ? h->at[i].n : s->sequences.length) * sizeof *to);
            if (scores)
                ((float *)scores->data)[b * returned + i] = h->at[i].score;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const search_inputs *in = inputs_of(e->op);
    search s = {.e = e, .a = e->attr, .ids = oi_eval_in(e, 0), .attention = given(e, in->attention), .beam = in->beams >= 0,
                .decoder = find_sub(e->node, "decoder"), .first = find_sub(e->node, "init_decoder")};
    double capacity, least, beams, returned, length_penalty, repetition;
    OI_TRY(number_at(e, in->max_length, -1, &capacity));
    OI_TRY(number_at(e, in->min_length, 0, &least));
    OI_TRY(number_at(e, in->beams, 1, &beams));
    OI_TRY(number_at(e, in->returned, 1, &returned));
    OI_TRY(number_at(e, in->length_penalty, 1, &length_penalty));
    OI_TRY(number_at(e, in->repetition, 1, &repetition));
    OI_FAIL_IF(!s.ids || s.ids->dtype != ONNX_INFER_INT32 || s.ids->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH,
               "input_ids needs int32 and rank 2; other models are not in this build");
    OI_FAIL_IF(s.attention && (s.attention->dtype != ONNX_INFER_INT32 || !oi_tensor_same_shape(s.attention, s.ids)), ONNX_INFER_E_SHAPE_MISMATCH,
               "attention_mask is not as input_ids");
    OI_FAIL_IF(s.a->model_type != MODEL_GPT && s.a->model_type != MODEL_T5, ONNX_INFER_E_UNSUPPORTED_OP, "model_type %lld is not in this build",
               (long long)s.a->model_type);
    s.prompt = s.a->model_type == MODEL_T5 ? 1 : s.ids->dim[1];
    OI_FAIL_IF(!(beams >= 1 && beams <= 1 << 16) || !(returned >= 1 && returned <= beams) || !(capacity > (double)s.prompt && capacity <= 1 << 24) ||
                   !(repetition > 0),
               ONNX_INFER_E_INVALID_ARGUMENT, "%g beams of which %g are returned, at most %g tokens, penalty %g cannot be", beams, returned,
               capacity, repetition);
    s.batch = s.ids->dim[0];
    s.beams = (int64_t)beams;
    s.returned = (int64_t)returned;
    s.length_penalty = (float)length_penalty;
    OI_FAIL_IF(!oi_mul_i64(s.batch, s.beams, &s.rows) || s.rows > INT32_MAX, ONNX_INFER_E_LIMIT, "too many sequences");
    s.rules = (oi_search_rules){.eos = s.a->eos, .min_length = (int64_t)least, .ngram = s.a->ngram, .repetition = (float)repetition};
    OI_TRY(allocate(&s, (int64_t)capacity));
    for (int64_t i = 0; i < s.rows; i++) {
        for (int64_t k = 0; k < s.prompt; k++)
            s.sequences.token[i * s.sequences.capacity + k] =
                s.a->model_type == MODEL_T5 ? (int32_t)s.a->decoder_start : ((const int32_t *)s.ids->data)[i / s.beams * s.prompt + k];
    }
    OI_TRY(s.a->model_type == MODEL_T5 ? search_t5(&s) : search_gpt(&s));
    return write_sequences(&s);
}

#define INT(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(search_attr, field), .i = value}
#define NEEDED(label, field) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(search_attr, field), .flags = OI_ATTR_REQUIRED}
#define COMMON                                                                                                   \
    INT("decoder_start_token_id", decoder_start, -1), NEEDED("eos_token_id", eos), INT("model_type", model_type, 0), \
    INT("no_repeat_ngram_size", ngram, 0), NEEDED("pad_token_id", pad), INT("vocab_size", vocabulary, -1)
#define MS(label, ins, outs)                                                                                     \
    .name = label, .domain = "com.microsoft", .since = 1, .newest = 1, .flags = OI_OP_CONTROL, .min_in = ins, .max_in = UINT16_MAX, \
    .min_out = 1, .max_out = outs, .attr_size = sizeof(search_attr), .infer = infer, .eval = eval

static const oi_attr_spec greedy_attrs[] = {COMMON, {0}};
static const oi_attr_spec beam_attrs[] = {COMMON, INT("early_stopping", early_stopping, 0), {0}};

const oi_op oi_op_ms_GreedySearch = {MS("GreedySearch", 2, 1), .attrs = greedy_attrs};
const oi_op oi_op_ms_BeamSearch = {MS("BeamSearch", 5, 3), .attrs = beam_attrs};
