/* Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989); docs/internals.md describes it. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define AFTER_SILENCE 1 /* exit; that of the utterance's beginning is 0 */
#define INSIDE (-1)     /* the exit of nodes where no word ends */
#define BINS 1024       /* of the histogram that limits the number of tokens */
#define MEMORY 8192     /* cached look-aheads, */
#define REMEMBERED 8    /* and the most classes of one */
#define CHAINS 4096     /* of pairs with the same hash */
#define LANES 4         /* blocks whose acoustic look-ahead is computed at a time */
#define SOON 4          /* in so many tokens, what is asked for now is in the cache */
#define NOT_LAST (-1e4f) /* acoustic look-ahead of a senone in which no utterance can end, at the last frame */

/* A state of the language model inside of a phrase, where its number is H or more. next: another with the same hash, or -1 */
typedef struct {
    int32_t lm, phrase, next;
} pair;

/* One for each language model state with tokens (begin … end - 1) or with words that end in it. root: look-ahead of the
 * root; ended: the first of the ends in the state, -1 where there is none */
typedef struct {
    int32_t state;
    uint32_t begin, end;
    float root;
    int32_t ended;
} group;

/* This frame's tokens, or the next one's. */
typedef struct {
    core_token *token;
    group *group;
    core_end *end;
    int64_t tokens, groups, ends, token_room, group_room, end_room;
} token_set;

/* Where paths met, for a lattice. first: record or merge of the better path; other: of the other one; gap: how much
 * worse that is */
typedef struct {
    int32_t first, other;
    float gap;
} merge;

/* All paths into records, the better and the worse ones. */
typedef struct {
    double score;
    int32_t record, leaf, back;
} arrival;

/* A cached look-ahead. asked: (state, class, number of classes) in one number */
typedef struct {
    int64_t asked;
    float ahead[REMEMBERED];
} answer;

/* Of a senone in a frame: its score with the acoustic look-ahead; what it is worth to stay in it, and to leave it. Both
 * take the look-ahead back that the token's score holds */
typedef struct {
    double gain;
    float stay, leave;
} sound;

struct core_search {
    core_graph graph;
    core_scales scales;
    token_set set[2];
    int32_t now;        /* which set is current */
    int64_t best_token, frame;
    double best, cutoff; /* the best token's score; tokens below the cutoff are not passed on */
    core_record *record;
    merge *merge;
    arrival *arrival;
    int64_t records, merges, arrivals, record_room, merge_room, arrival_room;
    uint32_t *place;    /* (N): where a node's token in the current group may be */
    int32_t *group_of;  /* (H + pairs): where a state's group may be */
    const core_phrases *phrases;
    pair *pair;
    int32_t *chain;     /* (CHAINS): the first of the pairs with a hash */
    int64_t pairs, pair_room, group_of_room;
    sound *sound;       /* (S) */
    float *ahead;       /* (A): look-ahead of the classes of a node's children */
    float *scratch;     /* (4, S, LANES) of the acoustic look-ahead, */
    float *lookahead;   /* (LANES · block + 1, S): which begins with the frame before the first block, */
    float *word_ahead;  /* (LANES · block): and after a word */
    int64_t lookahead_room, word_ahead_room;
    int64_t row, ready; /* row: the last frame's in lookahead; ready: blocks after it whose look-ahead is there */
    answer *memory;     /* cached look-aheads, valid for all utterances */
    int32_t *origin;    /* of paths to the end */
    double *score;
    core_word *word;
    int64_t origin_room, score_room, word_room, finals;
    int32_t whole;
    core_arcs arcs;
};

#define ROOM(array, room, needed) grow((void **)&(array), &(room), (needed), sizeof *(array))

core_search *core_search_new(const core_graph *graph, int64_t room)
{
    core_search *search = calloc(1, sizeof *search);
    if (!search)
        return NULL;
    search->graph = *graph;
    int whole = ROOM(search->record, search->record_room, room);
    for (int k = 0; k < 2; k++) {
        token_set *set = &search->set[k];
        whole = whole && ROOM(set->token, set->token_room, room);
        whole = whole && ROOM(set->end, set->end_room, room);
    }
    search->place = calloc((size_t)graph->nodes, sizeof *search->place);
    search->sound = calloc((size_t)graph->senones, sizeof *search->sound);
    search->ahead = calloc((size_t)(graph->look.classes + graph->more.classes), sizeof *search->ahead);
    search->chain = malloc(CHAINS * sizeof *search->chain);
    whole = whole && ROOM(search->group_of, search->group_of_room, graph->grammar.states);
    search->scratch = calloc((size_t)graph->senones, 4 * LANES * sizeof *search->scratch);
    search->memory = malloc(MEMORY * sizeof *search->memory);
    if (!whole || !search->place || !search->chain || !search->sound || !search->ahead || !search->scratch ||
        !search->memory) {
        core_search_free(search);
        return NULL;
    }
    for (int k = 0; k < MEMORY; k++)
        search->memory[k].asked = -1;
    memset(search->group_of, 0, (size_t)search->group_of_room * sizeof *search->group_of);
    return search;
}

void core_search_favour(core_search *search, const core_phrases *phrases) { search->phrases = phrases; }

void core_search_free(core_search *search)
{
    if (!search)
        return;
    for (int k = 0; k < 2; k++) {
        free(search->set[k].token);
        free(search->set[k].group);
        free(search->set[k].end);
    }
    void *arrays[] = {search->record, search->merge, search->arrival, search->place, search->group_of, search->sound,
                      search->ahead, search->scratch, search->lookahead, search->word_ahead, search->memory,
                      search->origin, search->score, search->word, search->arcs.source, search->arcs.target,
                      search->arcs.label, search->arcs.value, search->pair, search->chain, search};
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        free(arrays[k]);
}

/* The score of the best token, without look-aheads. */
static double best_score(const core_search *search)
{
    const core_token *token = &search->set[search->now].token[search->best_token];
    const float *lookahead = search->lookahead + search->row * search->graph.senones;
    float ahead = (float)search->scales.lm_weight * token->ahead;
    return token->score - lookahead[search->graph.node[token->node].senone] - ahead;
}

void core_search_view(const core_search *search, core_view *view)
{
    const token_set *set = &search->set[search->now];
    int64_t bytes = search->record_room * (int64_t)sizeof(core_record) + search->merge_room * (int64_t)sizeof(merge) +
                    search->arrival_room * (int64_t)sizeof(arrival);
    for (int k = 0; k < 2; k++)
        bytes += search->set[k].token_room * (int64_t)sizeof(core_token) +
                 search->set[k].group_room * (int64_t)sizeof(group) + search->set[k].end_room * (int64_t)sizeof(core_end);
    *view = (core_view){set->tokens, set->ends, search->records, bytes, search->cutoff,
                        set->tokens ? best_score(search) : -INFINITY,
                        set->tokens ? (int64_t)set->token[search->best_token].node : -1, set->token, set->end,
                        search->record};
}

/* The state of the language model alone. */
INLINE int32_t lm_of(const core_search *search, int32_t state)
{
    int64_t place = state - search->graph.grammar.states;
    return place < 0 ? state : search->pair[place].lm;
}

/* Adds ln P(token | state), and what its word earns in phrases, to `*logprob`; the state after it replaces `*state`. 0: no
 * memory. */
INLINE int step(core_search *search, int32_t *state, int32_t token, int32_t word, double *logprob)
{
    int64_t states = search->graph.grammar.states, place = *state - states;
    int32_t lm = place < 0 ? *state : search->pair[place].lm, phrase = place < 0 ? 0 : search->pair[place].phrase;
    *logprob += next_word(&search->graph.grammar, &lm, token);
    *state = lm;
    if (!search->phrases)
        return 1;
    *logprob += next_phrase(search->phrases, &phrase, word);
    if (phrase == 0)
        return 1;
    uint64_t key = (uint64_t)(uint32_t)lm << 32 | (uint32_t)phrase;
    int32_t *chain = &search->chain[key * 0x9E3779B97F4A7C15u >> 32 & (CHAINS - 1)], k = *chain;
    while (k >= 0 && (search->pair[k].lm != lm || search->pair[k].phrase != phrase))
        k = search->pair[k].next;
    if (k < 0) {
        k = (int32_t)search->pairs;
        if (!ROOM(search->pair, search->pair_room, search->pairs + 1) ||
            !ROOM(search->group_of, search->group_of_room, states + search->pair_room))
            return 0;
        search->group_of[states + k] = 0;
        search->pair[search->pairs++] = (pair){lm, phrase, *chain};
        *chain = k;
    }
    *state = (int32_t)(states + k);
    return 1;
}

void core_search_logprobs(core_search *search, int64_t count, const int32_t *state, const int32_t *token,
                          const int32_t *word, double *logprob)
{
    for (int64_t k = 0; k < count; k++) {
        int32_t after = lm_of(search, state[k]), phrase = 0;
        logprob[k] = token[k] >= 0 ? next_word(&search->graph.grammar, &after, token[k]) : 0.0;
        if (token[k] < 0 || !search->phrases)
            continue;
        if (state[k] >= search->graph.grammar.states)
            phrase = search->pair[state[k] - search->graph.grammar.states].phrase;
        logprob[k] += next_phrase(search->phrases, &phrase, word[k]);
    }
}

/* lm_lookahead of classes that are all of the graph, or all of added words. */
static void look_ahead(const core_search *search, int64_t state, int64_t first, int64_t count, float *out)
{
    const core_graph *graph = &search->graph;
    int32_t lm = lm_of(search, (int32_t)state);
    if (first < graph->look.classes) {
        lm_lookahead(&graph->grammar, &graph->look, lm, first, count, out);
        return;
    }
    first -= graph->look.classes;
    lm_lookahead(&graph->grammar, &graph->more, lm, first, count, out);
    double unknown = next_word(&graph->grammar, &lm, (int32_t)graph->unknown_token);
    for (int64_t k = 0; k < count; k++) {
        float value = (float)(unknown + graph->unknown[first + k]);
        out[k] = value > out[k] ? value : out[k];
    }
}

/* look_ahead, from the cache if there are few classes; valid until the next call. */
INLINE const float *cached_lookahead(core_search *search, int64_t state, int64_t first, int64_t count)
{
    const core_graph *graph = &search->graph;
    if (count > REMEMBERED) {
        look_ahead(search, state, first, count, search->ahead);
        return search->ahead;
    }
    state = lm_of(search, (int32_t)state);
    int64_t key = (state * (graph->look.classes + graph->more.classes) + first) * REMEMBERED + count - 1;
    answer *found = &search->memory[(uint64_t)key * 0x9E3779B97F4A7C1u >> 20 & (MEMORY - 1)]; /* the newest stays */
    if (found->asked != key) {
        look_ahead(search, state, first, count, found->ahead);
        found->asked = key;
    }
    return found->ahead;
}

/* The place of the state's group in the current set; made, without tokens, where there is none. -1: no memory. */
static int32_t open_group(core_search *search, int32_t state)
{
    token_set *set = &search->set[search->now];
    int32_t place = search->group_of[state];
    if (place < set->groups && set->group[place].state == state)
        return place;
    if (!ROOM(set->group, set->group_room, set->groups + 1))
        return -1;
    place = (int32_t)set->groups++;
    search->group_of[state] = place;
    float root = *cached_lookahead(search, state, 0, 1), more = root;
    if (search->graph.more.classes)
        more = *cached_lookahead(search, state, search->graph.look.classes, 1);
    set->group[place] = (group){state, 0, 0, more > root ? more : root, -1};
    return place;
}

/* The place of the end of (group, exit) in the current set; made with a record and score -inf where there is none. -1: no
 * memory. */
static int32_t open_end(core_search *search, int32_t of, int32_t exit)
{
    token_set *set = &search->set[search->now];
    group *owner = &set->group[of];
    int32_t place = owner->ended;
    while (place >= 0 && set->end[place].exit != exit) /* few words of one state leave through different exits */
        place = set->end[place].next;
    if (place >= 0)
        return place;
    if (!ROOM(set->end, set->end_room, set->ends + 1) ||
        !ROOM(search->record, search->record_room, search->records + 1))
        return -1;
    place = (int32_t)set->ends++;
    search->record[search->records] = (core_record){-INFINITY, 0, 0, 0, owner->state};
    set->end[place] = (core_end){-INFINITY, of, exit, owner->ended, (int32_t)search->records++};
    owner->ended = place;
    return place;
}

int32_t core_search_start(core_search *search, const core_scales *scales)
{
    search->scales = *scales;
    for (int k = 0; k < 2; k++)
        search->set[k].tokens = search->set[k].groups = search->set[k].ends = 0;
    search->records = search->merges = search->arrivals = search->frame = search->best_token = search->finals = 0;
    search->row = search->ready = 0;
    search->now = 0;
    search->pairs = 0;
    memset(search->chain, 0xFF, CHAINS * sizeof *search->chain); /* -1 */
    search->cutoff = -INFINITY;
    size_t senones = (size_t)search->graph.senones;
    if (!ROOM(search->lookahead, search->lookahead_room, (int64_t)senones))
        return -1;
    memset(search->lookahead, 0, senones * sizeof *search->lookahead);
    int32_t place = open_group(search, (int32_t)search->graph.grammar.start);
    if (place < 0 || (place = open_end(search, place, 0)) < 0)
        return -1;
    search->set[0].end[place].score = search->record[0].score = 0.0; /* the path of no words ended here */
    return 0;
}

/* The set that is being filled; a copy, so that the compiler keeps it in registers. */
typedef struct {
    core_token *token;
    uint32_t *place;
    const sound *sound;
    merge *merge;
    double best, limit, beam, lattice_beam;
    int64_t merges;
    uint32_t first, filled, best_token; /* first: where the current group begins */
} filling;

/* What led to a token where two paths met: the better one's origin, or a merge that remembers both. */
INLINE int32_t merged(filling *to, int32_t first, int32_t other, double gap)
{
    if (gap > to->lattice_beam || first == other)
        return first;
    to->merge[to->merges] = (merge){first, other, (float)gap};
    return (int32_t)(-1 - to->merges++);
}

/* Bring a token to a node of the group that is being filled, if it is within the beam. */
INLINE void recombine(filling *to, uint32_t node, double value, float ahead, int32_t back)
{
    if (!(value >= to->limit))
        return;
    uint32_t place = to->place[node];
    if (place >= to->first && place < to->filled && to->token[place].node == node) {
        core_token *token = &to->token[place]; /* there is one already, with the same look-ahead */
        if (value > token->score) {
            token->back = merged(to, back, token->back, value - token->score);
            token->score = value;
        } else {
            token->back = merged(to, token->back, back, token->score - value);
        }
    } else {
        place = to->filled++;
        to->place[node] = place;
        to->token[place] = (core_token){value, ahead, node, back};
    }
    if (value >= to->best) {
        to->best = value;
        to->limit = value - to->beam;
        to->best_token = place;
    }
}

/* Room for N more tokens and their merges; 0: no memory. */
INLINE int has_room(core_search *search, token_set *next, filling *to, int64_t needed)
{
    if (to->filled + needed > next->token_room) {
        if (!ROOM(next->token, next->token_room, to->filled + needed))
            return 0;
        to->token = next->token;
    }
    if (to->lattice_beam >= 0 && to->merges + needed > search->merge_room) {
        if (!ROOM(search->merge, search->merge_room, to->merges + needed))
            return 0;
        to->merge = search->merge;
    }
    return 1;
}

/* Begin words and silence after the words that ended in the group's state; 0: no memory. `best_gain` is the best gain of
 * a senone that a word may begin with. */
static int start_words(core_search *search, token_set *next, filling *to, const group *from, double best_gain)
{
    const core_graph *graph = &search->graph;
    const core_scales *scales = &search->scales;
    const core_end *ends = search->set[search->now].end;
    int looked = 0;
    for (int32_t e = from->ended; e >= 0; e = ends[e].next) {
        core_end end = ends[e];
        int64_t first = graph->entry_begin[end.exit], after = graph->entry_begin[end.exit + 1];
        if (!has_room(search, next, to, 1 + after - first))
            return 0;
        if (graph->pause[end.exit]) {
            double value = end.score + scales->silence + scales->lm_weight * from->root;
            recombine(to, 0, value + to->sound[graph->node[0].senone].gain, from->root, end.record);
        }
        double base = end.score + scales->insertion_penalty + (end.exit == AFTER_SILENCE ? 0.0 : scales->no_silence);
        if (!(base + scales->lm_weight * from->root + best_gain >= to->limit))
            continue;
        int64_t more = graph->look.classes;
        if (!looked)
            look_ahead(search, from->state, 0, graph->roots + 1, search->ahead);
        if (!looked && graph->more_roots)
            look_ahead(search, from->state, more, graph->more_roots + 1, search->ahead + more);
        looked = 1;
        for (int64_t k = first; k < after; k++) {
            core_link link = graph->entry[k];
            float ahead = search->ahead[link.look];
            double value = base + scales->lm_weight * ahead + to->sound[link.senone].gain;
            recombine(to, link.node, value, ahead, end.record);
        }
    }
    return 1;
}

/* Pass a token of the state on by its node's self loop and to that node's children; 0: no memory. */
INLINE int propagate(core_search *search, token_set *next, filling *to, int32_t state, core_token token)
{
    const core_graph *graph = &search->graph;
    const core_node *node = &graph->node[token.node];
    const sound *here = &to->sound[node->senone];
    int64_t begin = node->first, end = node[1].first;
    double weight = search->scales.lm_weight, base = token.score + here->leave;
    if (!has_room(search, next, to, 1 + end - begin))
        return 0;
    recombine(to, node->stay, token.score + here->stay + to->sound[graph->node[node->stay].senone].gain, token.ahead,
              token.back);
    if (begin == end)
        return 1;
    const core_link *child = graph->child;
    int64_t lowest = child[begin].look;
    if (lowest == node->look) { /* the same words are ahead of all children */
        base -= weight * token.ahead;
        double with = base + weight * token.ahead;
        for (int64_t k = begin; k < end; k++)
            recombine(to, child[k].node, with + to->sound[child[k].senone].gain, token.ahead, token.back);
        return 1;
    }
    double best_gain = -INFINITY; /* what is ahead of a child is at best what is ahead of the node */
    for (int64_t k = begin; k < end; k++) {
        double gain = to->sound[child[k].senone].gain;
        best_gain = gain > best_gain ? gain : best_gain;
    }
    if (!(base + best_gain >= to->limit))
        return 1;
    base -= weight * token.ahead;
    const float *aheads = cached_lookahead(search, state, lowest, 1 + child[end - 1].look - lowest);
    for (int64_t k = begin; k < end; k++) {
        float ahead = aheads[child[k].look - lowest];
        recombine(to, child[k].node, base + weight * ahead + to->sound[child[k].senone].gain, ahead, token.back);
    }
    return 1;
}

/* Fill the next set with the successors of the current one; 0: no memory. */
static int propagate_all(core_search *search)
{
    const core_graph *graph = &search->graph;
    const sound *sounds = search->sound;
    token_set *set = &search->set[search->now], *next = &search->set[1 - search->now];
    filling to = {next->token, search->place, sounds, search->merge, -INFINITY, -INFINITY, search->scales.beam,
                  search->scales.lattice_beam, search->merges, 0, 0, (uint32_t)search->best_token};
    double cutoff = search->cutoff, best_gain = -INFINITY; /* that a word may begin with */
    next->groups = next->ends = 0;
    if (set->tokens > 0) { /* the best token's self loop is a first bound, so that the beam bites from the start */
        const core_token *token = &set->token[search->best_token];
        const core_node *node = &graph->node[token->node];
        to.best = token->score + sounds[node->senone].stay + sounds[graph->node[node->stay].senone].gain;
        to.limit = to.best - to.beam;
    }
    for (int64_t k = 0; k < graph->initials; k++) {
        double gain = sounds[graph->initial[k]].gain;
        best_gain = gain > best_gain ? gain : best_gain;
    }
    if (!ROOM(next->group, next->group_room, set->groups))
        return 0;
    for (int64_t g = 0; g < set->groups; g++) {
        const group *from = &set->group[g];
        to.first = to.filled;
        for (int64_t t = from->begin; t < from->end; t++) {
            if (t + 2 * SOON < set->tokens)
                __builtin_prefetch(&graph->node[set->token[t + 2 * SOON].node]);
            if (t + SOON < set->tokens) {
                __builtin_prefetch(&graph->child[graph->node[set->token[t + SOON].node].first]);
                __builtin_prefetch(&search->place[set->token[t + SOON].node]);
            }
            if (set->token[t].score >= cutoff && !propagate(search, next, &to, from->state, set->token[t]))
                return 0;
        }
        if (from->ended >= 0) {
            filling copy = to;
            if (!start_words(search, next, &copy, from, best_gain))
                return 0;
            to = copy;
        }
        if (to.filled > to.first) {
            search->group_of[from->state] = (int32_t)next->groups;
            next->group[next->groups++] = (group){from->state, to.first, to.filled, from->root, -1};
        }
    }
    next->tokens = to.filled;
    search->merges = to.merges;
    search->best_token = to.best_token;
    search->best = to.best;
    search->now = 1 - search->now;
    return 1;
}

/* Set the cutoff to the beam, or higher where more than max_active tokens would stay. */
static void prune(core_search *search)
{
    const token_set *set = &search->set[search->now];
    double best = search->best, width = search->scales.beam / BINS;
    search->cutoff = best - search->scales.beam;
    if (set->tokens <= search->scales.max_active)
        return;
    int64_t histogram[BINS] = {0}, kept = 0;
    for (int64_t t = 0; t < set->tokens; t++) {
        double place = (best - set->token[t].score) / width;
        if (place >= 0 && place < BINS) /* neither infinite nor NaN */
            histogram[(int)place]++;
    }
    for (int place = 0; place < BINS; place++) {
        kept += histogram[place];
        if (kept > search->scales.max_active) {
            search->cutoff = best - width * (place > 1 ? place : 1);
            return;
        }
    }
}

/* Bring a path to the end of (group, exit), where the best stays; 0: no memory. */
static int end_word(core_search *search, int32_t of, int32_t exit, int32_t leaf, int32_t back, double value)
{
    int32_t e = open_end(search, of, exit);
    if (e < 0)
        return 0;
    core_end *end = &search->set[search->now].end[e];
    if (search->scales.lattice_beam >= 0) {
        if (!ROOM(search->arrival, search->arrival_room, search->arrivals + 1))
            return 0;
        search->arrival[search->arrivals++] = (arrival){value, end->record, leaf, back};
    }
    if (value > end->score) {
        core_record *record = &search->record[end->record];
        end->score = record->score = value;
        record->leaf = leaf;
        record->end = (int32_t)search->frame;
        record->back = back;
    }
    return 1;
}

/* Record the words (and silences) that end before the frame, the best one for each state and exit; 0: no memory.
 * `word_ahead` is the acoustic look-ahead after a word's end; words below the cutoff with it are dropped. */
static int end_words(core_search *search, double word_ahead, double cutoff)
{
    const core_graph *graph = &search->graph;
    token_set *set = &search->set[search->now];
    double floor = cutoff > search->cutoff ? cutoff : search->cutoff, weight = search->scales.lm_weight;
    int64_t groups = set->groups;
    for (int64_t g = 0; g < groups; g++) {
        int32_t state = set->group[g].state;
        for (uint32_t t = set->group[g].begin, end = set->group[g].end; t < end; t++) {
            core_token token = set->token[t];
            if (token.score < floor) /* what is ahead of a word's end is at best what is ahead of the word */
                continue;
            const core_node *node = &graph->node[token.node];
            if (node->exit == INSIDE)
                continue;
            double leaving = token.score + search->sound[node->senone].leave;
            if (leaving + word_ahead < cutoff)
                continue;
            leaving -= weight * token.ahead;
            for (int32_t leaf = node->leaf_begin; leaf < node->leaf_end; leaf++) {
                double value = leaving;
                int32_t place = (int32_t)g;
                if (graph->leaf[leaf].word != SILENCE) {
                    int32_t following = state;
                    double logprob = 0.0;
                    if (!step(search, &following, graph->leaf[leaf].token, graph->leaf[leaf].word, &logprob))
                        return 0;
                    value += weight * (logprob + graph->leaf[leaf].logprob);
                    if (value + word_ahead < cutoff)
                        continue;
                    if ((place = open_group(search, following)) < 0)
                        return 0;
                }
                if (value + word_ahead + weight * set->group[place].root < cutoff)
                    continue;
                if (!end_word(search, place, node->exit, leaf, token.back, value))
                    return 0;
            }
        }
    }
    return 1;
}

/* Four floats: the frames of four blocks at a time. */
typedef float quad __attribute__((vector_size(16), aligned(4)));

INLINE quad larger(quad a, quad b)
{
#ifdef __SSE2__
    return _mm_max_ps(a, b);
#else
    for (int k = 0; k < LANES; k++)
        a[k] = b[k] > a[k] ? b[k] : a[k];
    return a;
#endif
}

INLINE void transpose(quad *rows)
{
#ifdef __SSE2__
    _MM_TRANSPOSE4_PS(rows[0], rows[1], rows[2], rows[3]);
#else
    quad old[LANES] = {rows[0], rows[1], rows[2], rows[3]};
    for (int j = 0; j < LANES; j++)
        for (int k = 0; k < LANES; k++)
            rows[j][k] = old[k][j];
#endif
}

/* Look-ahead in sound of `lanes` blocks, relative to each frame's best senone, into lookahead (from row 1) and word_ahead:
 * a Viterbi search backwards through the loop of senones, with transition probabilities but without a language model. It
 * begins `frames` after each block's begin, where the utterance ends if `last`; if not, whatever the last frame's senone
 * may be is as good. Blocks do not depend on each other, so four are computed at a time. */
static void acoustic_lookahead(core_search *search, const float *loglikes, int64_t frames, int64_t block, int64_t lanes,
                               int32_t last)
{
    const core_graph *graph = &search->graph;
    const quad zero = {0}, lowest = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const int32_t *begin = graph->begin, *target = graph->target;
    const float *self_loop = graph->self_loop, *forward = graph->forward;
    int64_t senones = graph->senones, whole = senones - senones % LANES;
    quad *coming = (quad *)search->scratch, *best = coming + senones, *ahead = best + senones; /* before top is taken off */
    quad *staying = graph->onces ? ahead + senones : coming, word = zero, top = zero;
    for (int64_t s = 0; s < senones; s++) {
        ahead[s] = (last ? NOT_LAST : 0.0f) + zero;
        best[s] = lowest;
    }
    for (int64_t k = 0; last && k < graph->finals; k++)
        ahead[graph->final[k]] = forward[graph->final[k]] + zero;
    for (int64_t t = frames - 1; t >= 0; t--) {
        const float *scores[LANES];
        float *row[LANES];
        for (int64_t lane = 0; lane < LANES; lane++) { /* lanes that are not used repeat the first */
            int64_t frame = (lane < lanes ? lane * block : 0) + t;
            scores[lane] = loglikes + frame * senones;
            row[lane] = search->lookahead + (frame + 1) * senones;
            if (t < block)
                search->word_ahead[frame] = word[lane] - top[lane];
        }
        for (int64_t s = 0; s < whole; s += LANES) {
            quad value[LANES], four[LANES];
            for (int k = 0; k < LANES; k++)
                four[k] = value[k] = ahead[s + k] - top;
            transpose(four);
            for (int lane = 0; t < block && lane < LANES; lane++)
                *(quad *)(row[lane] + s) = four[lane];
            for (int lane = 0; lane < LANES; lane++)
                four[lane] = *(const quad *)(scores[lane] + s);
            transpose(four);
            for (int k = 0; k < LANES; k++)
                coming[s + k] = four[k] + value[k];
        }
        for (int64_t s = whole; s < senones; s++)
            for (int lane = 0; lane < LANES; lane++) {
                float value = ahead[s][lane] - top[lane];
                if (t < block)
                    row[lane][s] = value;
                coming[s][lane] = scores[lane][s] + value;
            }
        if (t == 0)
            return;
        for (int64_t s = 0; graph->onces && s < senones; s++)
            staying[s] = coming[s];
        for (int64_t k = 0; k < graph->onces; k++)
            staying[graph->once[k]] = lowest;
        for (int64_t k = 0; k < graph->onces; k++)
            staying[graph->once[k]] = larger(staying[graph->once[k]], coming[graph->rest[k]]);
        word = top = lowest;
        for (int64_t k = 0; k < graph->starts; k++)
            word = larger(word, coming[graph->start[k]]);
        for (int64_t k = 0; k < graph->lasts; k++)
            best[graph->last[k]] = word;
        for (int64_t s = 0; s < senones; s++) {
            quad value = best[s];
            for (int32_t k = begin[s], end = begin[s + 1]; k < end; k++)
                value = larger(value, coming[target[k]]);
            ahead[s] = larger(self_loop[s] + staying[s], forward[s] + value);
            top = larger(top, ahead[s]);
        }
    }
}

/* Search `count` frames, whose acoustic look-ahead is there; ending: the utterance ends with them. 0: no memory. */
static int search_frames(core_search *search, const float *loglikes, int64_t count, int ending)
{
    const core_graph *graph = &search->graph;
    int64_t senones = graph->senones;
    for (int64_t frame = 0; frame < count; frame++) {
        const float *scores = loglikes + frame * senones, *before = search->lookahead + search->row * senones;
        const float *ahead = before + senones;
        for (int64_t s = 0; s < senones; s++)
            search->sound[s] = (sound){(double)scores[s] + ahead[s], graph->self_loop[s] - before[s],
                                       graph->forward[s] - before[s]};
        if (!propagate_all(search))
            return 0;
        prune(search);
        for (int64_t s = 0; s < senones; s++)
            search->sound[s].leave = graph->forward[s] - ahead[s];
        search->frame++;
        search->row++;
        /* at the last frame keep every word end */
        double cutoff = search->best - (ending && frame == count - 1 ? INFINITY : search->scales.word_end_beam);
        if (!end_words(search, search->word_ahead[search->row - 1], cutoff))
            return 0;
    }
    return 1;
}

int64_t core_search_advance(core_search *search, const float *loglikes, int64_t frames, int64_t block, int64_t beyond,
                            int32_t last, int64_t most)
{
    int64_t done = 0, senones = search->graph.senones, rows = LANES * block + 1;
    if (!ROOM(search->lookahead, search->lookahead_room, rows * senones) ||
        !ROOM(search->word_ahead, search->word_ahead_room, rows))
        return -1;
    for (int64_t blocks = 0; blocks < most; blocks++) {
        const float *here = loglikes + done * senones;
        int64_t left = frames - done, count = block, lanes = left < block + beyond ? 0 : 1 + (left - block - beyond) / block;
        if (!search->ready) {
            if (!lanes && !(last && left))
                return done;
            memmove(search->lookahead, search->lookahead + search->row * senones,
                    (size_t)senones * sizeof *search->lookahead);
            search->row = 0;
            lanes = lanes < LANES ? lanes : LANES;
            count = lanes || left > block ? block : left; /* without lanes: towards the end */
            acoustic_lookahead(search, here, lanes ? block + beyond : left, count, lanes ? lanes : 1, !lanes);
            search->ready = lanes ? lanes : 1;
        }
        if (!search_frames(search, here, count, !lanes && count == left))
            return -1;
        search->ready--;
        done += count;
    }
    return done;
}

int64_t core_search_finals(core_search *search, const int32_t **origin, const double **score, int32_t *whole)
{
    const core_graph *graph = &search->graph;
    const token_set *set = &search->set[search->now];
    const core_scales *scales = &search->scales;
    int64_t count = 0;
    if (!ROOM(search->origin, search->origin_room, set->ends + 1) ||
        !ROOM(search->score, search->score_room, set->ends + 1))
        return -1;
    for (int64_t e = 0; e < set->ends; e++) { /* beyond the end of a word stands silence */
        core_end end = set->end[e];
        int32_t state = set->group[end.group].state;
        double logprob = 0.0, left = end.exit == AFTER_SILENCE ? 0.0 : graph->pause[end.exit] ? scales->no_silence : -INFINITY;
        double value = end.score + left;
        if (!step(search, &state, (int32_t)graph->grammar.end, -1, &logprob))
            return -1;
        value += scales->lm_weight * logprob;
        if (value > -INFINITY) {
            search->origin[count] = end.record;
            search->score[count++] = value;
        }
    }
    search->whole = *whole = (count && *whole) || !set->tokens;
    if (!*whole) {
        search->origin[0] = set->token[search->best_token].back;
        search->score[0] = best_score(search);
        count = 1;
    }
    *origin = search->origin;
    *score = search->score;
    return search->finals = count;
}

int32_t core_search_best(const core_search *search)
{
    const token_set *set = &search->set[search->now];
    return set->tokens ? set->token[search->best_token].back : 0;
}

/* The record of the best path where several met. */
static int32_t best_record(const core_search *search, int32_t origin)
{
    while (origin < 0)
        origin = search->merge[-1 - origin].first;
    return origin;
}

int64_t core_search_trace(core_search *search, int32_t origin, const core_word **word)
{
    int64_t count = 0;
    for (int32_t r = best_record(search, origin); r > 0; r = best_record(search, search->record[r].back))
        count++;
    if (!ROOM(search->word, search->word_room, count))
        return -1;
    int32_t r = best_record(search, origin);
    for (int64_t k = count - 1; k >= 0; k--) {
        core_record record = search->record[r];
        r = best_record(search, record.back);
        search->word[k] = (core_word){record.score - search->record[r].score, record.leaf, search->record[r].end,
                                      record.end};
    }
    *word = search->word;
    return count;
}

/* Brown, Spohrer, Hochschild and Baker (1982) trace back from all live paths in the same way. */
int64_t core_search_settle(core_search *search, const core_word **word)
{
    token_set *set = &search->set[search->now];
    core_record *record = search->record;
    int64_t live = 0;
    int32_t *paths = calloc((size_t)search->records, sizeof *paths); /* live ones through a record */
    if (!paths)
        return -1;
    for (int64_t t = 0; t < set->tokens; t++)
        if (set->token[t].score >= search->cutoff)
            paths[set->token[t].back] = 1;
    for (int64_t e = 0; e < set->ends; e++)
        paths[set->end[e].record] = 1;
    for (int64_t r = 0; r < search->records; r++)
        live += paths[r];
    for (int64_t r = search->records - 1; r > 0; r--)
        paths[record[r].back] += paths[r];
    int64_t root = search->records - 1, kept = 0;
    while (root > 0 && paths[root] != live)
        root--;
    int64_t count = core_search_trace(search, (int32_t)root, word);
    for (int64_t r = root; count >= 0 && r < search->records; r++)
        if (paths[r]) {
            record[kept] = record[r];
            paths[r] = (int32_t)kept++; /* its new place; the root's is 0 */
        }
    for (int64_t r = 0; count >= 0 && r < root; r++)
        paths[r] = 0;
    for (int64_t r = 1; r < kept; r++)
        record[r].back = paths[record[r].back];
    if (kept) {
        record[0].back = 0;
        search->records = kept;
        for (int64_t e = 0; e < set->ends; e++)
            set->end[e].record = paths[set->end[e].record];
        for (int64_t t = 0; t < set->tokens; t++)
            set->token[t].back = paths[set->token[t].back];
    }
    free(paths);
    return count;
}

/* What core_search_arcs knows of records and merges. */
typedef struct {
    double *beyond;   /* of a record: the best score from there to the end */
    double *gap_of;   /* of a merge that waits: how much worse the best path through it is */
    double *gap;      /* of a record among the present origins */
    int32_t *found;   /* the present origins, */
    int32_t *where;   /* and the place among them of each record, if it is one */
    int32_t *waiting; /* a heap of merges, the newest on top */
    int64_t origins, heap;
} opening;

static void push(opening *all, int32_t merge)
{
    int64_t place = all->heap++;
    while (place && all->waiting[(place - 1) / 2] < merge) {
        all->waiting[place] = all->waiting[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    all->waiting[place] = merge;
}

static int32_t pop(opening *all)
{
    int32_t top = all->waiting[0], last = all->waiting[--all->heap];
    int64_t place = 0, below;
    while ((below = 2 * place + 1) < all->heap) {
        below += below + 1 < all->heap && all->waiting[below + 1] > all->waiting[below];
        if (all->waiting[below] <= last)
            break;
        all->waiting[place] = all->waiting[below];
        place = below;
    }
    all->waiting[place] = last;
    return top;
}

static void reach(opening *all, int32_t origin, double gap)
{
    if (origin < 0) {
        int32_t merge = -1 - origin;
        if (all->gap_of[merge] == INFINITY)
            push(all, merge);
        all->gap_of[merge] = gap < all->gap_of[merge] ? gap : all->gap_of[merge];
        return;
    }
    int32_t place = all->where[origin];
    if (place >= all->origins || all->found[place] != origin) {
        place = all->where[origin] = (int32_t)all->origins++;
        all->found[place] = origin;
        all->gap[place] = INFINITY;
    }
    all->gap[place] = gap < all->gap[place] ? gap : all->gap[place];
}

/* Arrivals stand in the order of time. From the end backwards, what lies beyond a record is known when the paths into it
 * are opened: its merges, newest first, are taken apart while they are good enough. */
const core_arcs *core_search_arcs(core_search *search, int32_t end)
{
    size_t records = (size_t)search->records, merges = (size_t)search->merges + 1;
    core_arcs *arcs = &search->arcs;
    opening all = {malloc((records + 1) * sizeof(double)), malloc(merges * sizeof(double)),
                   malloc(records * sizeof(double)),       malloc(records * sizeof(int32_t)),
                   calloc(records, sizeof(int32_t)),       malloc(merges * sizeof(int32_t)), 0, 0};
    double best = -INFINITY;
    int whole = all.beyond && all.gap_of && all.gap && all.found && all.where && all.waiting;
    for (size_t r = 0; whole && r <= records; r++)
        all.beyond[r] = r < records ? -INFINITY : 0.0;
    for (size_t m = 0; whole && m < merges; m++)
        all.gap_of[m] = INFINITY;
    for (int64_t k = 0; k < search->finals; k++)
        best = search->score[k] > best ? search->score[k] : best;
    double lowest = best - search->scales.lattice_beam;
    arcs->count = 0;
    for (int64_t k = search->arrivals + search->finals - 1; whole && k >= 0; k--) {
        int64_t final = k - search->arrivals;
        arrival here = final < 0 ? search->arrival[k]
                                 : (arrival){search->score[final], (int32_t)records, end, search->origin[final]};
        double slack = here.score + all.beyond[here.record] - lowest;
        if (!(slack >= 0))
            continue;
        all.origins = 0;
        reach(&all, here.back, 0.0);
        while (all.heap) {
            int32_t number = pop(&all);
            double gap = all.gap_of[number], worse = gap + search->merge[number].gap;
            all.gap_of[number] = INFINITY;
            if (!(gap > slack))
                reach(&all, search->merge[number].first, gap);
            if (!(worse > slack))
                reach(&all, search->merge[number].other, worse);
        }
        for (int64_t o = 0; whole && o < all.origins; o++) {
            int32_t origin = all.found[o];
            double value = here.score - all.gap[o] - search->record[origin].score, through = value + all.beyond[here.record];
            all.beyond[origin] = through > all.beyond[origin] ? through : all.beyond[origin];
            whole = append_arc(arcs, origin, here.record, here.leaf, value);
        }
    }
    void *arrays[] = {all.beyond, all.gap_of, all.gap, all.found, all.where, all.waiting};
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        free(arrays[k]);
    return whole ? arcs : NULL;
}
