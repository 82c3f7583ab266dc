/* The native kernels of asrdistill. Nothing here has global state: functions may run in any thread, on arrays of their
 * own. Arrays belong to the caller. Indices are trusted: asrdistill/decode/bounds.py checks those of a search graph when
 * it is loaded. Types and orders of operations are fixed, so that results are the same to the bit on every machine. */
#ifndef CORE_H
#define CORE_H

#include <stdint.h>

#define CORE __attribute__((visibility("default")))

/* The hash of the sources that the library was compiled from. */
CORE const char *core_sources(void);

/* The n-gram model (lookahead.c), as in asrdistill/decode/lm.py: H states and the arcs of all of them. */
typedef struct {
    int64_t states, start, end;
    const int64_t *arc_begin;     /* (H + 1) */
    const int32_t *arc_token;     /* (M), rising within a state */
    const float *arc_logprob;     /* (M) */
    const int32_t *arc_next;      /* (M) */
    const float *backoff_logprob; /* (H) */
    const int32_t *backoff_state; /* (H), below their states */
} core_grammar;

/* For each pair of state and token (N): ln P(token | state), and the state after it, by back-off where there is no arc.
 * 0 and the same state where the token is -1. */
CORE void core_grammar_logprobs(const core_grammar *grammar, int64_t count, const int32_t *state, const int32_t *token,
                                double *logprob, int32_t *next);

/* Look-ahead of the language model: best log-probability ahead for (state, class), A classes. */
typedef struct {
    int64_t classes;
    const int64_t *begin; /* (H + 1): entries of a state */
    const int32_t *node;  /* class, rising within a state */
    const float *value;
    const float *base; /* (A): values of the empty history */
} core_look;

/* The lexicon tree, as in asrdistill/decode/tree.py. */
typedef struct {
    uint32_t senone, look, first;
    int32_t exit, leaf_begin, leaf_end;
    uint32_t stay;
} core_node;

typedef struct {
    uint32_t node, senone, look;
} core_link;

typedef struct {
    int32_t word, token;
    float logprob;
    int32_t look;
} core_leaf;

/* Entries of a look-ahead table that is being made. */
typedef struct {
    int64_t count, room;
    int32_t *node;
    float *value;
} core_entries;

/* Spreads each arc's probability from the leaves of its token (leaf_begin, one more than tokens) towards the root, keeps
 * the best, and fills begin (H + 1) and base (A). parent (A): the class above, -1 for the root. NULL: no memory. */
CORE core_entries *core_look_build(const core_grammar *grammar, int64_t classes, const int32_t *parent,
                                   const int64_t *leaf_begin, const core_leaf *leaf, int64_t *begin, float *base);
CORE void core_entries_free(core_entries *entries);

/* Everything that a search reads, with N nodes, S senones and E exits; asrdistill/decode/lookahead.py: successors. */
typedef struct {
    core_grammar grammar;
    core_look look, more; /* more: of words that were added; its classes follow those of look */
    int64_t nodes, senones, roots, more_roots, unknown_token;
    const float *unknown; /* (classes of more): what is best ahead of the words with this token, without its probability */
    const core_node *node; /* (N + 1) */
    const core_link *child;
    const core_leaf *leaf;
    const int32_t *entry_begin; /* (E + 1) */
    const core_link *entry;
    const int32_t *initial;
    const uint8_t *pause;             /* (E) */
    const float *self_loop, *forward; /* (S) */
    const int32_t *begin, *target, *start, *last, *final, *once, *rest;
    int64_t initials, starts, lasts, finals, onces;
} core_graph;

/* Phrases to favour (phrases.c): an automaton over words (Aho, Corasick 1975), whose state 0 is the beginning. In state q
 * the words arc_word[arc_begin[q]] … lead on; another word is looked up in state fail[q] < q. */
typedef struct {
    int64_t states;
    const int32_t *arc_begin; /* (Q + 1) */
    const int32_t *arc_word;  /* rising within a state */
    const int32_t *arc_next;
    const int32_t *fail;      /* (Q) */
    const double *potential;  /* (Q): given in advance for what may become a phrase */
    const double *earned;     /* (Q): for the phrases that end here */
} core_phrases;

/* Search (search.c): scores are natural logarithms, beams in their units. */
typedef struct {
    double beam, word_end_beam;
    int64_t max_active;
    double lm_weight, insertion_penalty;
    double silence, no_silence; /* added where silence is taken; where it may stand and is not taken */
    double lattice_beam;        /* what is worse by more is not remembered where paths meet; below 0: nothing is */
} core_scales;

/* score: look-ahead included; ahead: that of the language model; back: record of the word (or silence) before, or
 * -1 - a merge of several */
typedef struct {
    double score;
    float ahead;
    uint32_t node;
    int32_t back;
} core_token;

/* The best word (or silence) that leads to a group's state through an exit. score: without look-ahead; next: another end
 * of the group, or -1 */
typedef struct {
    double score;
    int32_t group, exit, next, record;
} core_end;

/* score: of the path to here; end: frame after its last; back: record before it, or -1 - a merge; state: of the language
 * model, after it. Record 0 is where all paths begin. */
typedef struct {
    double score;
    int32_t leaf, end, back, state;
} core_record;

typedef struct {
    double score;
    int32_t leaf, begin, end;
} core_word;

/* Arcs (source, target, label, value) of a lattice that is being made. */
typedef struct {
    int64_t count, room;
    int32_t *source, *target, *label;
    double *value;
} core_arcs;

/* What a search holds at present; valid until its next call. */
typedef struct {
    int64_t tokens, ends, records, bytes;
    double cutoff; /* tokens below it are not passed on */
    double best;   /* score of the best token, without look-aheads; -inf if there is none */
    int64_t node;  /* of that token; -1 */
    const core_token *token;
    const core_end *end;
    const core_record *record;
} core_view;

typedef struct core_search core_search;

/* Memory for a search in the graph, whose arrays must outlive it; `room` tokens, records and ends at first. Calls that
 * need more memory return NULL or -1 where there is none; the search must then be started again or freed. */
CORE core_search *core_search_new(const core_graph *graph, int64_t room);
/* The phrases that the next utterances favour, whose arrays must outlive the search; NULL: none. */
CORE void core_search_favour(core_search *search, const core_phrases *phrases);
/* ln P(token) with its share of the phrases' weights, for states of records (N); `word` is the token's, -1 for </s>.
 * 0 where the token is -1. After the search of an utterance. */
CORE void core_search_logprobs(core_search *search, int64_t count, const int32_t *state, const int32_t *token,
                               const int32_t *word, double *logprob);
CORE void core_search_free(core_search *search);
CORE void core_search_view(const core_search *search, core_view *view);
/* Begin an utterance. */
CORE int32_t core_search_start(core_search *search, const core_scales *scales);
/* Search on with loglikes (frames, S), all finite, in blocks, of which each needs `beyond` more frames for its acoustic
 * look-ahead; with all if the utterance ends with them (last). Ends after `most` blocks. Returns how many frames were
 * searched; the next call begins with the frame after these. */
CORE int64_t core_search_advance(core_search *search, const float *loglikes, int64_t frames, int64_t block,
                                 int64_t beyond, int32_t last, int64_t most);
/* The number of paths on which a word or silence ended with the last frame (whole = 1), or of the best token's alone (0),
 * where there are none or where whole was 0 before; origins and scores with </s> stand in `origin` and `score` until the
 * next call. */
CORE int64_t core_search_finals(core_search *search, const int32_t **origin, const double **score, int32_t *whole);
/* Record or merge of the best token; 0 if there is none. */
CORE int32_t core_search_best(const core_search *search);
/* The number of words and silences on the best path to a record or merge; they stand in `word`, in order of time. */
CORE int64_t core_search_trace(core_search *search, int32_t origin, const core_word **word);
/* Those that all live paths share, which are then forgotten; only without a lattice beam. */
CORE int64_t core_search_settle(core_search *search, const core_word **word);
/* Arcs between records on paths within the lattice beam of the best; the last node, one after the records, is the end.
 * Labels are leaves, or `end` on arcs into the end. After core_search_finals. */
CORE const core_arcs *core_search_arcs(core_search *search, int32_t end);

/* Lattices (lattice.c): V nodes and A arcs, sorted by source, each leading upwards; paths lead from node 0 to the last.
 * score (A) is each arc's share of a path's score. */

/* best (V): score of the best path to each node; came (V): the arc by which it comes, or -1. */
CORE void core_lattice_best(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                            int64_t nodes, double *best, int32_t *came);
/* total (V): ln of the sum over all paths from the start to each node. */
CORE void core_lattice_forward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                               int64_t nodes, double *total);
/* total (V): of the paths from each node to the end the best one's score, or ln of the sum over all. */
CORE void core_lattice_backward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                                int64_t nodes, int32_t summed, double *total);
/* Splits nodes by the state of a language model and gives arcs its ln P(token), 0 for token -1 (A). copies (V): nodes
 * made of each node; labels are arcs. NULL: no memory. */
CORE core_arcs *core_lattice_expand(const core_grammar *grammar, int64_t arcs, const int32_t *source,
                                    const int32_t *target, const int32_t *token, int64_t nodes, int32_t *copies);
CORE void core_arcs_free(core_arcs *arcs);

/* Confusion networks (confusion.c): aligns all paths with the slots (Q); word (A) and slots are numbers below `kinds`,
 * `nothing` among them. posterior (A) of arcs. Fills share, starts, ends (Q, kinds), all 0 before: shares and sums of
 * times by word. Returns the expected errors; -1: no memory. */
CORE double core_confusion_align(int64_t arcs, const int32_t *source, const int32_t *target, const int32_t *word,
                                 const double *posterior, int64_t nodes, const int32_t *time, int64_t slots,
                                 const int32_t *slot, int32_t nothing, int64_t kinds, double *share, double *starts,
                                 double *ends);

/* Online front end (frontend.c): samples in [-1, 1) to frames of `bins` log-mel energies, or of `cepstra` cepstra if that
 * is not 0. The arrays must outlive it. */
typedef struct {
    int64_t window, shift, fft, bins, cepstra; /* samples; a power of two that holds a window; sizes of frames */
    int32_t snip_edges;                        /* only frames within the samples; otherwise these are reflected */
    float preemphasis, floor;                  /* floor: of log-mel energies that become cepstra */
    const float *taper;                        /* (window): the window, times the scale of samples */
    const float *filter;                       /* (fft / 2, bins) */
    const float *dct;                          /* (bins, cepstra) */
    const double *mean, *deviation;            /* (cepstra): of training, or NULL: frames are not normalised */
    int64_t recent;                            /* so many frames make the running mean, above 0 if there is one, */
    double prior;                              /* and the mean of training counts for so many more */
} core_features;

typedef struct core_frontend core_frontend;

/* For one stream; NULL: no memory. */
CORE core_frontend *core_frontend_new(const core_features *features);
CORE void core_frontend_free(core_frontend *front);
/* More samples, the last ones if so (then `front` can only be freed). Returns how many frames they complete, which stand
 * in `frames` until the next call; -1: no memory. */
CORE int64_t core_frontend_accept(core_frontend *front, const float *samples, int64_t count, int32_t last,
                                  const float **frames);

/* Words (words.c): aligns ref (n) with hyp (m) as sclite does and returns the first of the rows of pairs (n + m, 2) that
 * is used: places in ref and hyp, -1 where there is none; -1: no memory. Keeps the moves of at most `most` cells. */
CORE int64_t core_align_words(int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t most,
                              int64_t *pairs);

/* Graphones (graphones.c), as in asrdistill/lang/g2p.py: n-grams of all lengths as a tree of N nodes. */
typedef struct {
    const int32_t *token;
    const float *logprob, *backoff;
    const int32_t *suffix, *children; /* (N); (N + 1) */
} core_ngrams;

/* The best sequences for a word: token[begin[2 i]] … token[begin[2 i + 1] - 1] are graphones of letter i, those up to
 * begin[2 i + 2] of letters i and i + 1. Fills score (width) and spelled (width, letters), right-justified after -1, best
 * first. Returns their number; -1: no memory. */
CORE int64_t core_pronounce(const core_ngrams *ngrams, int64_t letters, const int64_t *begin, const int32_t *token,
                            double beam, int64_t width, double *score, int32_t *spelled);

/* Layers of networks (network.c). `most` is the largest set of instructions that may be used: 0 plain, 1 AVX2,
 * 2 AVX-512 with VNNI. In float32 the sets differ by rounding; a row's outputs do not depend on the rows beside it. */

typedef struct {
    const void *weight;    /* panels of 16 units, of float or of int8_t, at most 64 in magnitude */
    const float *scale;    /* of whole panels: what a unit's sum of bytes is multiplied by; NULL: weights are float */
    const float *bias;     /* of whole panels */
    int64_t inputs, units;
    int32_t relu;
} core_layer;

typedef struct {
    const void *x;         /* float; or uint8_t, of which three beyond the last row can be read */
    int64_t count, stride; /* rows, and numbers from one to the next */
    const float *add;      /* what is added to the outputs, or NULL */
    int64_t add_stride;
    float *y;              /* (count, units) */
} core_rows;

CORE void core_layer_run(int32_t most, const core_layer *layer, const core_rows *rows);
/* y (count, size): round(x * factor) + zero, from 0 to 255; factor (size). */
CORE void core_to_bytes(int32_t most, const float *x, int64_t count, int64_t size, const float *factor, int32_t zero,
                        uint8_t *y);
/* y (count, channels): y[t] = sum over k of weight[k] * x[t * step + k * dilation]; weight (taps, channels). */
CORE void core_delayed(int32_t most, const float *x, int64_t count, int64_t step, int64_t dilation, int64_t taps,
                       int64_t channels, const float *weight, float *y);

#endif
