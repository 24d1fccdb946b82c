/* Scores of next tokens, sequences and hypotheses of searches. */
#include "ops/search.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void forbid_repetition(const oi_search_rules *r, const oi_search_sequences *s, const int32_t *token, float *score)
{
    int64_t before = r->ngram - 1;
    for (int64_t i = 0; i + r->ngram <= s->length; i++) {
        int32_t next = token[i + before];
        bool same = !before || !memcmp(token + i, token + s->length - before, (size_t)before * sizeof *token);
        if (same && next >= 0 && next < r->vocabulary)
            score[next] = -FLT_MAX;
    }
}

static void forbid(int64_t n, const int32_t *mask, float *score)
{
    for (int64_t i = 0; mask && i < n; i++)
        score[i] = mask[i] ? score[i] : -FLT_MAX;
}

void oi_search_apply(const oi_search_rules *r, const oi_search_sequences *s, int64_t row, const int32_t *first_mask, float *score)
{
    const int32_t *token = s->token + row * s->capacity;
    for (int64_t i = 0; i < s->length && r->repetition != 1; i++) {
        bool seen = token[i] < 0 || token[i] >= r->vocabulary;
        for (int64_t k = 0; k < i && !seen; k++)
            seen = token[k] == token[i];
        if (!seen)
            score[token[i]] = score[token[i]] < 0 ? score[token[i]] * r->repetition : score[token[i]] / r->repetition;
    }
    if (r->ngram > 0 && r->ngram <= s->length)
        forbid_repetition(r, s, token, score);
    forbid(r->vocabulary, r->mask, score);
    forbid(r->vocabulary, first_mask, score);
    if (s->length < r->min_length && r->eos >= 0 && r->eos < r->vocabulary)
        score[r->eos] = -FLT_MAX;
}

void oi_search_append(oi_search_sequences *s, const int32_t *from, const int32_t *token)
{
    for (int64_t i = 0; i < s->rows; i++) {
        int32_t *to = s->spare + i * s->capacity;
        memcpy(to, s->token + (from ? from[i] : i) * s->capacity, (size_t)s->length * sizeof *to);
        to[s->length] = token[i];
    }
    int32_t *swap = s->token;
    s->token = s->spare;
    s->spare = swap;
    s->length++;
}

void oi_search_log_softmax(int64_t n, float *v)
{
    float most = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = v[i] > most ? v[i] : most;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)(v[i] - most));
    float rest = (float)log(sum);
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] - most - rest;
}

void oi_search_best(int64_t beams, int64_t vocabulary, const float *score, int64_t k, oi_search_candidate *best)
{
    int64_t used = 0;
    for (int64_t i = 0; i < beams * vocabulary; i++) {
        if (used == k && !(score[i] > best[k - 1].score))
            continue;
        int64_t at = used < k ? used++ : k - 1;
        for (; at > 0 && score[i] > best[at - 1].score; at--)
            best[at] = best[at - 1];
        best[at] = (oi_search_candidate){score[i], (int32_t)(i % vocabulary), (int32_t)(i / vocabulary)};
    }
    for (; used < k; used++)
        best[used] = (oi_search_candidate){-INFINITY, -1, 0};
}

static float penalised(const oi_hypotheses *h, float sum, int64_t length)
{
    return sum / powf((float)length, h->length_penalty);
}

void oi_hypotheses_add(oi_hypotheses *h, const int32_t *token, int64_t n, float sum)
{
    float score = penalised(h, sum, n);
    if (h->used == h->room && !(score > h->at[h->room - 1].score))
        return;
    int64_t at = h->used < h->room ? h->used++ : h->room - 1;
    int32_t *memory = h->at[at].token;
    for (; at > 0 && score > h->at[at - 1].score; at--)
        h->at[at] = h->at[at - 1];
    h->at[at] = (oi_hypothesis){score, memory, n};
    memcpy(memory, token, (size_t)n * sizeof *token);
}

bool oi_hypotheses_can_improve(const oi_hypotheses *h, float best_sum, int64_t length)
{
    return h->used < h->room || h->at[h->room - 1].score < penalised(h, best_sum, length);
}
