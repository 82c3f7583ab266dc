/* Lattices: best paths, sums over paths, and expansion by another language model. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef CORE_SOURCES
#define CORE_SOURCES ""
#endif

const char *core_sources(void) { return CORE_SOURCES; }

static double log_add(double a, double b)
{
    if (a == b)
        return a + 0.693147180559945309417232121458176568; /* ln 2; both may be -inf */
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

void core_lattice_best(int64_t arcs, const int32_t *source, const int32_t *target, const double *score, int64_t nodes,
                       double *best, int32_t *came)
{
    for (int64_t node = 0; node < nodes; node++) {
        best[node] = node ? -INFINITY : 0.0;
        came[node] = -1;
    }
    for (int64_t arc = 0; arc < arcs; arc++) {
        double value = best[source[arc]] + score[arc];
        if (value > best[target[arc]]) {
            best[target[arc]] = value;
            came[target[arc]] = (int32_t)arc;
        }
    }
}

void core_lattice_forward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                          int64_t nodes, double *total)
{
    for (int64_t node = 0; node < nodes; node++)
        total[node] = node ? -INFINITY : 0.0;
    for (int64_t arc = 0; arc < arcs; arc++)
        total[target[arc]] = log_add(total[target[arc]], total[source[arc]] + score[arc]);
}

void core_lattice_backward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                           int64_t nodes, int32_t summed, double *total)
{
    for (int64_t node = 0; node < nodes; node++)
        total[node] = node < nodes - 1 ? -INFINITY : 0.0;
    for (int64_t arc = arcs - 1; arc >= 0; arc--) {
        double value = total[target[arc]] + score[arc], *here = &total[source[arc]];
        *here = summed ? log_add(*here, value) : value > *here ? value : *here;
    }
}

int append_arc(core_arcs *arcs, int32_t source, int32_t target, int32_t label, double value)
{
    if (arcs->count == arcs->room) {
        int64_t room = arcs->room, needed = arcs->room + 1024;
        int64_t rooms[] = {room, room, room, room};
        if (!grow((void **)&arcs->source, &rooms[0], needed, sizeof *arcs->source) ||
            !grow((void **)&arcs->target, &rooms[1], needed, sizeof *arcs->target) ||
            !grow((void **)&arcs->label, &rooms[2], needed, sizeof *arcs->label) ||
            !grow((void **)&arcs->value, &rooms[3], needed, sizeof *arcs->value))
            return 0;
        arcs->room = rooms[0];
    }
    arcs->source[arcs->count] = source;
    arcs->target[arcs->count] = target;
    arcs->label[arcs->count] = label;
    arcs->value[arcs->count++] = value;
    return 1;
}

void core_arcs_free(core_arcs *arcs)
{
    if (arcs) {
        free(arcs->source);
        free(arcs->target);
        free(arcs->label);
        free(arcs->value);
    }
    free(arcs);
}

/* A node's copies, one for each state of the language model that paths to it are in: chained in the order in which they
 * were found. */
typedef struct {
    int32_t node, state, number, next; /* number: among the copies of the node */
} copy;

typedef struct {
    copy *copy;
    int32_t *slot; /* a hash table of copies, -1 where there is none; a power of two, at most half full */
    int32_t *last; /* copy of a node */
    int64_t count, room, slots, slot_room;
} copies;

static int64_t slot_of(const copies *all, int32_t node, int32_t state)
{
    uint64_t key = (uint64_t)(uint32_t)node << 32 | (uint32_t)state;
    int64_t slot = (int64_t)(key * 0x9E3779B97F4A7C15u >> 32) & (all->slots - 1);
    while (all->slot[slot] >= 0 && (all->copy[all->slot[slot]].node != node || all->copy[all->slot[slot]].state != state))
        slot = (slot + 1) & (all->slots - 1);
    return slot;
}

/* The copy of a node for a state; made where there is none. -1: no memory. */
static int32_t copy_of(copies *all, int32_t node, int32_t state, int32_t *made)
{
    if (2 * all->count >= all->slots) {
        int64_t slots = all->slots ? 2 * all->slots : 1024;
        if (!grow((void **)&all->slot, &all->slot_room, slots, sizeof *all->slot))
            return -1;
        all->slots = slots;
        memset(all->slot, 0xFF, (size_t)slots * sizeof *all->slot); /* -1 */
        for (int64_t k = 0; k < all->count; k++)
            all->slot[slot_of(all, all->copy[k].node, all->copy[k].state)] = (int32_t)k;
    }
    int64_t slot = slot_of(all, node, state);
    if (all->slot[slot] >= 0)
        return all->slot[slot];
    if (!grow((void **)&all->copy, &all->room, all->count + 1, sizeof *all->copy))
        return -1;
    int32_t new = all->slot[slot] = (int32_t)all->count++;
    all->copy[new] = (copy){node, state, made[node]++, -1};
    if (all->last[node] >= 0)
        all->copy[all->last[node]].next = new;
    all->last[node] = new;
    return new;
}

core_arcs *core_lattice_expand(const core_grammar *grammar, int64_t arcs, const int32_t *source, const int32_t *target,
                               const int32_t *token, int64_t nodes, int32_t *made)
{
    core_arcs *out = calloc(1, sizeof *out);
    copies all = {.last = malloc((size_t)nodes * sizeof(int32_t))};
    int32_t *first = malloc((size_t)nodes * sizeof *first), last = (int32_t)nodes - 1, number = 0; /* copies */
    int64_t arc = 0;
    int whole = out && all.last && first;
    for (int64_t node = 0; whole && node < nodes; node++) {
        made[node] = 0;
        all.last[node] = -1;
    }
    /* the first node's, and one last node, reached or not */
    whole = whole && (first[0] = copy_of(&all, 0, (int32_t)grammar->start, made)) >= 0;
    whole = whole && (first[last] = copy_of(&all, last, 0, made)) >= 0;
    for (int32_t node = 0; whole && node < nodes; node++) {
        int64_t begin = arc;
        while (arc < arcs && source[arc] == node)
            arc++;
        for (int32_t from = made[node] ? first[node] : -1; whole && from >= 0; from = all.copy[from].next)
            for (int64_t k = begin; whole && k < arc; k++) {
                int32_t state = all.copy[from].state;
                double logprob = token[k] >= 0 ? next_word(grammar, &state, token[k]) : 0.0;
                int32_t new = !made[target[k]], to = copy_of(&all, target[k], target[k] == last ? 0 : state, made);
                if (to >= 0 && new)
                    first[target[k]] = to;
                whole = to >= 0 && append_arc(out, from, to, (int32_t)k, logprob);
            }
    }
    for (int64_t node = 0; whole && node < nodes; node++) { /* from here on: the new number of a node's first copy */
        first[node] = number;
        number += made[node];
    }
    for (int64_t k = 0; whole && k < out->count; k++) {
        copy from = all.copy[out->source[k]], to = all.copy[out->target[k]];
        out->source[k] = first[from.node] + from.number;
        out->target[k] = first[to.node] + to.number;
    }
    free(all.copy);
    free(all.slot);
    free(all.last);
    free(first);
    if (whole)
        return out;
    core_arcs_free(out);
    return NULL;
}
