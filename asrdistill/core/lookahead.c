/* The n-gram model, and its look-ahead. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int grow(void **array, int64_t *room, int64_t needed, size_t size)
{
    if (needed <= *room)
        return 1;
    int64_t more = *room + *room / 2 > needed ? *room + *room / 2 : needed;
    if (more > INT32_MAX || (size_t)more > SIZE_MAX / size) /* places are int32 */
        return 0;
    void *made = realloc(*array, (size_t)more * size);
    if (!made)
        return 0;
    *array = made;
    *room = more;
    return 1;
}

int64_t find(const int32_t *values, int64_t begin, int64_t end, int64_t wanted)
{
    int64_t length = end - begin;
    while (length > 0) {
        int64_t half = length >> 1, below = values[begin + half] < wanted; /* without a branch that is hard to predict */
        begin = below ? begin + half + 1 : begin;
        length = below ? length - half - 1 : half;
    }
    return begin;
}

double next_word(const core_grammar *grammar, int32_t *state, int32_t token)
{
    double weight = 0.0;
    int32_t here = *state;
    while (here != 0) {
        int64_t end = grammar->arc_begin[here + 1], arc = find(grammar->arc_token, grammar->arc_begin[here], end, token);
        if (arc < end && grammar->arc_token[arc] == token) {
            *state = grammar->arc_next[arc];
            return weight + grammar->arc_logprob[arc];
        }
        weight += grammar->backoff_logprob[here];
        here = grammar->backoff_state[here];
    }
    *state = grammar->arc_next[token];
    return weight + grammar->arc_logprob[token];
}

void core_grammar_logprobs(const core_grammar *grammar, int64_t count, const int32_t *state, const int32_t *token,
                           double *logprob, int32_t *next)
{
    for (int64_t k = 0; k < count; k++) {
        next[k] = state[k];
        logprob[k] = token[k] >= 0 ? next_word(grammar, &next[k], token[k]) : 0.0;
    }
}

void lm_lookahead(const core_grammar *grammar, const core_look *look, int64_t state, int64_t first, int64_t count,
                  float *out)
{
    double weight = 0.0;
    for (int64_t k = 0; k < count; k++)
        out[k] = -INFINITY;
    while (state != 0) {
        int64_t end = look->begin[state + 1], entry = find(look->node, look->begin[state], end, first);
        for (; entry < end && look->node[entry] < first + count; entry++) {
            double value = weight + look->value[entry];
            float *place = &out[look->node[entry] - first];
            if (value > *place)
                *place = (float)value;
        }
        weight += grammar->backoff_logprob[state];
        state = grammar->backoff_state[state];
    }
    for (int64_t k = 0; k < count; k++) {
        double value = weight + look->base[first + k];
        if (value > out[k])
            out[k] = (float)value;
    }
}

static int compare(const void *a, const void *b) { return *(const int32_t *)a - *(const int32_t *)b; }

core_entries *core_look_build(const core_grammar *grammar, int64_t classes, const int32_t *parent,
                              const int64_t *leaf_begin, const core_leaf *leaf, int64_t *begin, float *base)
{
    size_t size = (size_t)classes;
    core_entries *entries = calloc(1, sizeof *entries);
    float *best = malloc(size * sizeof *best);
    int32_t *touched = malloc(size * sizeof *touched);
    int whole = entries && best && touched;
    for (int64_t k = 0; whole && k < classes; k++)
        best[k] = -INFINITY;
    for (int64_t state = 0; whole && state < grammar->states; state++) { /* that to back off to is ready: it is shorter */
        int64_t count = 0;
        for (int64_t arc = grammar->arc_begin[state]; arc < grammar->arc_begin[state + 1]; arc++) {
            int32_t token = grammar->arc_token[arc];
            for (int64_t k = leaf_begin[token]; k < leaf_begin[token + 1]; k++) {
                float value = grammar->arc_logprob[arc] + leaf[k].logprob;
                for (int32_t node = leaf[k].look; node >= 0 && best[node] < value; node = parent[node]) {
                    if (best[node] == -INFINITY)
                        touched[count++] = node;
                    best[node] = value;
                }
            }
        }
        if (state == 0) {
            memcpy(base, best, size * sizeof *best);
            for (int64_t k = 0; k < classes; k++)
                best[k] = -INFINITY;
            begin[0] = begin[1] = 0;
            continue;
        }
        qsort(touched, (size_t)count, sizeof *touched, compare);
        int64_t room = entries->room;
        whole = grow((void **)&entries->node, &room, entries->count + count, sizeof *entries->node) &&
                grow((void **)&entries->value, &entries->room, entries->count + count, sizeof *entries->value);
        for (int64_t k = 0; whole && k < count; k++) {
            core_look look = {classes, begin, entries->node, entries->value, base};
            int32_t node = touched[k];
            float backed_off;
            lm_lookahead(grammar, &look, grammar->backoff_state[state], node, 1, &backed_off);
            if (best[node] > grammar->backoff_logprob[state] + backed_off) {
                entries->node[entries->count] = node;
                entries->value[entries->count++] = best[node];
            }
            best[node] = -INFINITY;
        }
        begin[state + 1] = entries->count;
    }
    free(best);
    free(touched);
    if (whole)
        return entries;
    core_entries_free(entries);
    return NULL;
}

void core_entries_free(core_entries *entries)
{
    if (entries) {
        free(entries->node);
        free(entries->value);
    }
    free(entries);
}
