/* What searches for the next tokens share: scores out of logits, and hypotheses of a beam search. */
#ifndef OI_OPS_SEARCH_H
#define OI_OPS_SEARCH_H

#include "ops/op.h"

/* What a search may not choose, and what it should rather not. Masks are int32, 0 where a token is forbidden; NULL: none. */
typedef struct {
    int64_t vocabulary;
    int64_t eos, min_length, ngram; /* eos is forbidden below min_length; ngram 0: may repeat */
    float repetition;               /* 1: no penalty */
    const int32_t *mask, *first_mask; /* [vocabulary]; [batch][vocabulary], of the first step */
} oi_search_rules;

/* Sequences of `rows` rows of `capacity` tokens, the first `length` of each written. */
typedef struct {
    int32_t *token, *spare;
    int64_t rows, capacity, length;
} oi_search_sequences;

/* Applies the rules to the scores of the next token of a row. */
void oi_search_apply(const oi_search_rules *r, const oi_search_sequences *s, int64_t row, const int32_t *first_mask, float *score);
/* Row i becomes row from[i] (NULL: i) with token[i] behind it. length < capacity. */
void oi_search_append(oi_search_sequences *s, const int32_t *from, const int32_t *token);
/* v = log(softmax(v)) */
void oi_search_log_softmax(int64_t n, float *v);

typedef struct {
    float score;
    int32_t token, beam;
} oi_search_candidate;

/* The best k of the scores [beams][vocabulary], best first, the first of equal ones. Fewer than k: the rest has token -1. */
void oi_search_best(int64_t beams, int64_t vocabulary, const float *score, int64_t k, oi_search_candidate *best);

typedef struct {
    float score;
    int32_t *token; /* room for a whole sequence */
    int64_t n;
} oi_hypothesis;

/* The best finished sequences of a sample, best first; `room` hypotheses with their tokens' memory are given. */
typedef struct {
    oi_hypothesis *at;
    int64_t used, room;
    float length_penalty;
    bool done;
} oi_hypotheses;

/* Takes the sequence in where it is among the best. */
void oi_hypotheses_add(oi_hypotheses *h, const int32_t *token, int64_t n, float sum);
/* Whether a sequence of this length could still become one of the best. */
bool oi_hypotheses_can_improve(const oi_hypotheses *h, float best_sum, int64_t length);

#endif
