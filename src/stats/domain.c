/* Can two kinds of images be told apart from their features, beyond chance? Ridge regression on the 0/1 label,
 * cross-validated with whole patients in a fold, measured by the AUC; p by giving the labels out anew among patients.
 * Used for drift (label: the split), shortcuts (the class, from pixels that should not know it) and label noise.
 *
 * Least squares, because its solution is linear in the labels: the factorised normal equations of a fold serve every
 * permutation, which then costs one right-hand side. Eight right-hand sides go together, so that a feature is read once
 * for all of them. Folds do not look at the labels: the permutation test is then exact. Only pairs of images of the same
 * fold are counted in the AUC, since the scores of two folds come from two fits.
 *
 * Every sum is made by one task in a fixed order: the same bits for any number of threads. Read first: stats.h. */
#include "stats/order.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

/* RHS: right-hand sides that go together. PENALTY: of the mean diagonal entry of the Gram matrix; between 0.01 and 1 the
 * AUC of thumbnails moves by less than 0.01. */
enum { FOLDS = 5, RHS = 8, PIECE = 16, CONTROLS = 16 };
#define PENALTY 0.1

typedef struct {
    size_t n, D;
    size_t start[FOLDS + 1]; /* rows of fold k: [start[k], start[k + 1]) */
    uint32_t *row;           /* (n) row of the caller */
    float *z;                /* (n, D) in order of folds, centred */
    double *sum;             /* (FOLDS, D) of each fold's rows */
    double
        *factor; /* (FOLDS, D, D): Gram matrix of the fold's rows, then the Cholesky factor L of the
                                training rows' (lower triangle) */
} ridge;

static void ridge_free(ridge *r) {
    eg_free(r->row);
    eg_free(r->z);
    eg_free(r->sum);
    eg_free(r->factor);
}

/* ---- folds ---- */

/* Units in random order, each to the fold that has the fewest rows. */
static bool folds_draw(ridge *r, const uint32_t *unit, size_t n_units, uint64_t seed) {
    uint32_t *order = eg_malloc(n_units * sizeof *order), *rows = eg_calloc(n_units, sizeof *rows);
    uint8_t *fold = eg_calloc(n_units, 1);
    size_t filled[FOLDS] = {0}, at[FOLDS];
    bool ok = order && rows && fold;
    if (ok) {
        eg_random random = eg_random_make(seed, 0, 0, 0xf01d);
        for (size_t i = 0; i < n_units; i++) order[i] = (uint32_t)i;
        eg_random_shuffle(&random, order, n_units);
        for (size_t i = 0; i < r->n; i++) rows[unit[i]]++;
        for (size_t i = 0; i < n_units; i++) {
            int least = 0;
            for (int k = 1; k < FOLDS; k++)
                if (filled[k] < filled[least]) least = k;
            fold[order[i]] = (uint8_t)least;
            filled[least] += rows[order[i]];
        }
        r->start[0] = 0;
        for (int k = 0; k < FOLDS; k++) {
            at[k] = r->start[k];
            r->start[k + 1] = r->start[k] + filled[k];
        }
        for (size_t i = 0; i < r->n; i++) r->row[at[fold[unit[i]]]++] = (uint32_t)i;
    }
    eg_free(order);
    eg_free(rows);
    eg_free(fold);
    return ok;
}

/* ---- normal equations ---- */

static size_t n_pieces(size_t D) {
    return (D + PIECE - 1) / PIECE;
}

/* Rows [piece * PIECE, ...) of the lower triangle of one fold's Gram matrix. */
static void gram_piece(void *context, int task) {
    const ridge *r = context;
    size_t D = r->D, k = (size_t)task / n_pieces(D), from = (size_t)task % n_pieces(D) * PIECE;
    size_t to = from + PIECE < D ? from + PIECE : D;
    double *gram = r->factor + k * D * D;
    for (size_t a = from; a < to; a++) memset(gram + a * D, 0, D * sizeof *gram);
    for (size_t i = r->start[k]; i < r->start[k + 1]; i++) {
        const float *z = r->z + i * D;
        for (size_t a = from; a < to; a++) {
            const double f = (double)z[a];
            double *restrict row = gram + a * D;
            for (size_t b = 0; b <= a; b++) row[b] += f * (double)z[b];
        }
    }
}

/* All Gram matrices (lower triangles) become those of the training rows of each fold, centred there, with the penalty. */
static void gram_training(ridge *r) {
    const size_t D = r->D;
    double trace = 0;
    for (size_t k = 0; k < FOLDS; k++)
        for (size_t a = 0; a < D; a++) trace += r->factor[k * D * D + a * D + a];
    const double penalty = PENALTY * trace / (double)D + 1e-12;
    for (size_t a = 0; a < D; a++) {
        for (size_t b = 0; b <= a; b++) {
            double all = 0, sum_a = 0, sum_b = 0;
            for (size_t k = 0; k < FOLDS; k++) {
                all += r->factor[k * D * D + a * D + b];
                sum_a += r->sum[k * D + a];
                sum_b += r->sum[k * D + b];
            }
            for (size_t k = 0; k < FOLDS; k++) {
                double *g = r->factor + k * D * D + a * D + b;
                double n = (double)(r->n - (r->start[k + 1] - r->start[k]));
                double u = sum_a - r->sum[k * D + a], v = sum_b - r->sum[k * D + b];
                *g = all - *g - (n > 0 ? u * v / n : 0) + (a == b ? penalty : 0);
            }
        }
    }
}

/* Cholesky by rows (Golub & Van Loan 4.2.5); the penalty keeps the pivots above 0. */
static void factorise(void *context, int k) {
    const ridge *r = context;
    const size_t D = r->D;
    double *a = r->factor + (size_t)k * D * D;
    for (size_t i = 0; i < D; i++) {
        double *row = a + i * D;
        for (size_t j = 0; j <= i; j++) {
            const double *other = a + j * D;
            double s[4] = {0};
            size_t c = 0;
            for (; c + 4 <= j; c += 4)
                for (size_t l = 0; l < 4; l++) s[l] += row[c + l] * other[c + l];
            for (; c < j; c++) s[0] += row[c] * other[c];
            double rest = row[j] - ((s[0] + s[1]) + (s[2] + s[3]));
            row[j] = i == j ? sqrt(rest > 1e-300 ? rest : 1e-300) : rest / other[j];
        }
    }
}

static bool ridge_make(ridge *r, const float *x, size_t n, size_t D, const uint32_t *unit,
                       size_t n_units, uint64_t seed) {
    *r = (ridge){.n = n, .D = D};
    double *mean = eg_calloc(D, sizeof *mean);
    r->row = eg_malloc(n * sizeof *r->row);
    r->z = eg_malloc(n * D * sizeof *r->z);
    r->sum = eg_calloc(FOLDS * D, sizeof *r->sum);
    r->factor = eg_malloc(FOLDS * D * D * sizeof *r->factor);
    bool ok = mean && r->row && r->z && r->sum && r->factor && folds_draw(r, unit, n_units, seed);
    if (ok) {
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < D; j++) mean[j] += (double)x[i * D + j];
        for (size_t j = 0; j < D; j++) mean[j] /= (double)n;
        for (size_t k = 0; k < FOLDS; k++) {
            for (size_t i = r->start[k]; i < r->start[k + 1]; i++) {
                const float *from = x + (size_t)r->row[i] * D;
                for (size_t j = 0; j < D; j++) {
                    r->z[i * D + j] = (float)((double)from[j] - mean[j]);
                    r->sum[k * D + j] += (double)r->z[i * D + j];
                }
            }
        }
        eg_pool_run(gram_piece, r, (int)(FOLDS * n_pieces(D)));
        gram_training(r);
        eg_pool_run(factorise, r, FOLDS);
    }
    eg_free(mean);
    return ok;
}

/* ---- scores of eight labellings ---- */

typedef struct {
    double *y;     /* (n, RHS) labels, rows in the order of folds */
    double *score; /* (n, RHS) */
    double *part;  /* (FOLDS + 1, D, RHS): Z'y of each fold, then the solution */
    double *column;
    uint32_t *order, *scratch, *atoms; /* (n) */
} workspace;

static void workspace_free(workspace *w) {
    eg_free(w->y);
    eg_free(w->score);
    eg_free(w->part);
    eg_free(w->column);
    eg_free(w->order);
    eg_free(w->scratch);
    eg_free(w->atoms);
}

static bool workspace_make(workspace *w, size_t n, size_t D) {
    *w = (workspace){.y = eg_malloc(n * RHS * sizeof(double)),
                     .score = eg_malloc(n * RHS * sizeof(double)),
                     .part = eg_malloc((FOLDS + 1) * D * RHS * sizeof(double)),
                     .column = eg_malloc(n * sizeof(double)),
                     .order = eg_malloc(n * sizeof(uint32_t)),
                     .scratch = eg_malloc(n * sizeof(uint32_t)),
                     .atoms = eg_malloc(n * sizeof(uint32_t))};
    return w->y && w->score && w->part && w->column && w->order && w->scratch && w->atoms;
}

/* b = (L L')^-1 b for eight columns */
static void solve8(double *b, const double *factor, size_t D) {
    for (size_t i = 0; i < D; i++) {
        double *bi = b + i * RHS;
        for (size_t j = 0; j < i; j++)
            for (size_t c = 0; c < RHS; c++) bi[c] -= factor[i * D + j] * b[j * RHS + c];
        for (size_t c = 0; c < RHS; c++) bi[c] /= factor[i * D + i];
    }
    for (size_t i = D; i-- > 0;) {
        double *bi = b + i * RHS;
        for (size_t c = 0; c < RHS; c++) bi[c] /= factor[i * D + i];
        for (size_t j = 0; j < i; j++)
            for (size_t c = 0; c < RHS; c++) b[j * RHS + c] -= factor[i * D + j] * bi[c];
    }
}

/* w->score from w->y */
static void score8(workspace *w, const ridge *r) {
    const size_t D = r->D;
    double ysum[FOLDS + 1][RHS] = {{0}};
    double *b = w->part + FOLDS * D * RHS;
    memset(w->part, 0, FOLDS * D * RHS * sizeof *w->part);
    for (size_t k = 0; k < FOLDS; k++) {
        double *part = w->part + k * D * RHS;
        for (size_t i = r->start[k]; i < r->start[k + 1]; i++) {
            const double *y = w->y + i * RHS;
            const float *z = r->z + i * D;
            for (size_t c = 0; c < RHS; c++) ysum[k][c] += y[c];
            for (size_t j = 0; j < D; j++)
                for (size_t c = 0; c < RHS; c++) part[j * RHS + c] += (double)z[j] * y[c];
        }
        for (size_t c = 0; c < RHS; c++) ysum[FOLDS][c] += ysum[k][c];
    }
    for (size_t k = 0; k < FOLDS; k++) {
        const double n = (double)(r->n - (r->start[k + 1] - r->start[k]));
        double shift[RHS] = {0};
        memset(b, 0, D * RHS * sizeof *b);
        for (size_t j = 0; j < D; j++) {
            double sum = 0;
            for (size_t f = 0; f < FOLDS; f++) {
                if (f == k) continue;
                sum += r->sum[f * D + j];
                for (size_t c = 0; c < RHS; c++) b[j * RHS + c] += w->part[(f * D + j) * RHS + c];
            }
            for (size_t c = 0; c < RHS && n > 0; c++)
                b[j * RHS + c] -= sum * (ysum[FOLDS][c] - ysum[k][c]) / n;
        }
        solve8(b, r->factor + k * D * D, D);
        for (size_t j = 0; j < D && n > 0; j++) {
            double sum = 0;
            for (size_t f = 0; f < FOLDS; f++) sum += f == k ? 0 : r->sum[f * D + j];
            for (size_t c = 0; c < RHS; c++) shift[c] += sum / n * b[j * RHS + c];
        }
        for (size_t i = r->start[k]; i < r->start[k + 1]; i++) {
            const float *z = r->z + i * D;
            double s[RHS] = {0};
            for (size_t j = 0; j < D; j++)
                for (size_t c = 0; c < RHS; c++) s[c] += (double)z[j] * b[j * RHS + c];
            for (size_t c = 0; c < RHS; c++) w->score[i * RHS + c] = s[c] - shift[c];
        }
    }
}

/* Share of the pairs (a 1, a 0) of one fold whose 1 has the higher score; ties count half. NaN: no such pair. */
static double fold_auc(workspace *w, const ridge *r, size_t c) {
    double wins = 0, pairs = 0;
    for (int k = 0; k < FOLDS; k++) {
        const size_t from = r->start[k], n = r->start[k + 1] - from;
        double below = 0, ones = 0;
        for (size_t i = 0; i < n; i++) w->column[i] = w->score[(from + i) * RHS + c];
        eg_stats_order(w->order, w->scratch, w->column, n);
        for (size_t i = 0, end; i < n; i = end) {
            double ones_here = 0, zeros_here = 0;
            for (end = i; end < n && w->column[w->order[end]] == w->column[w->order[i]]; end++) {
                bool one = w->y[(from + w->order[end]) * RHS + c] > 0.5;
                ones_here += one;
                zeros_here += !one;
            }
            wins += ones_here * (below + 0.5 * zeros_here);
            below += zeros_here;
            ones += ones_here;
        }
        pairs += ones * below;
    }
    return pairs > 0 ? wins / pairs : NAN;
}

/* ---- labels ---- */

typedef struct {
    const ridge *r;
    uint32_t *atom;      /* (n) by the caller's row: images that get their label together */
    uint8_t *atom_label; /* (n_atoms) */
    size_t n_atoms;
    uint64_t seed;
    bool halves;  /* controls: a random half of the atoms gets label 1, labelling 0 too */
    double *auc;  /* (labellings, rounded up to RHS) */
    double *kept; /* (n) scores of labelling 0 by the caller's row, or NULL */
    bool *failed; /* a block each: out of memory */
} labellings;

/* A patient with both labels (a leak; an eye each) makes two atoms. */
static bool atoms_make(labellings *l, const eg_domain_options *o) {
    uint32_t *of = eg_malloc(2 * o->n_units * sizeof *of);
    l->atom = eg_malloc(o->n * sizeof *l->atom);
    l->atom_label = eg_malloc(2 * o->n_units);
    if (of && l->atom && l->atom_label) {
        memset(of, 0xff, 2 * o->n_units * sizeof *of);
        for (size_t i = 0; i < o->n; i++) {
            uint32_t *slot = &of[2 * (size_t)o->unit[i] + (o->label[i] != 0)];
            if (*slot == UINT32_MAX) {
                l->atom_label[l->n_atoms] = o->label[i] != 0;
                *slot = (uint32_t)l->n_atoms++;
            }
            l->atom[i] = *slot;
        }
    }
    bool ok = of && l->atom && l->atom_label;
    eg_free(of);
    return ok;
}

static void label_column(workspace *w, const labellings *l, uint32_t *atoms, size_t c,
                         uint32_t number) {
    for (size_t a = 0; a < l->n_atoms; a++) atoms[a] = (uint32_t)a;
    if (number > 0 || l->halves) {
        eg_random random = eg_random_make(l->seed, number, l->halves, 0x1abe1);
        eg_random_shuffle(&random, atoms, l->n_atoms);
    }
    for (size_t i = 0; i < l->r->n; i++) {
        uint32_t a = atoms[l->atom[l->r->row[i]]];
        w->y[i * RHS + c] = l->halves ? a < l->n_atoms / 2 : l->atom_label[a];
    }
}

static void labellings_block(void *context, int block) {
    const labellings *l = context;
    workspace w;
    l->failed[block] = !workspace_make(&w, l->r->n, l->r->D);
    if (!l->failed[block]) {
        for (size_t c = 0; c < RHS; c++)
            label_column(&w, l, w.atoms, c, (uint32_t)((size_t)block * RHS + c));
        score8(&w, l->r);
        for (size_t c = 0; c < RHS; c++) l->auc[(size_t)block * RHS + c] = fold_auc(&w, l->r, c);
        for (size_t i = 0; l->kept && block == 0 && i < l->r->n; i++)
            l->kept[l->r->row[i]] = w.score[i * RHS];
    }
    workspace_free(&w);
}

/* AUC of `n` labellings; *auc is eg_free'd by the caller. False: no memory. */
static bool labellings_run(double **auc, labellings *l, size_t n) {
    const size_t blocks = (n + RHS - 1) / RHS;
    l->auc = eg_malloc(blocks * RHS * sizeof *l->auc);
    l->failed = eg_calloc(blocks, sizeof *l->failed);
    bool ok = l->auc && l->failed;
    if (ok) eg_pool_run(labellings_block, l, (int)blocks);
    for (size_t b = 0; ok && b < blocks; b++) ok = !l->failed[b];
    eg_free(l->failed);
    if (ok)
        *auc = l->auc;
    else
        eg_free(l->auc);
    return ok;
}

/* Random halves of the images with label 0: what the AUC is when there is nothing to find. */
static bool control(double *out, const eg_domain_options *o) {
    size_t n = 0, m = 0;
    bool ok = false;
    *out = NAN;
    for (size_t i = 0; i < o->n; i++) n += o->label[i] == 0;
    if (n < FOLDS) return true;
    float *x = eg_malloc(n * o->D * sizeof *x);
    uint32_t *unit = eg_malloc(n * sizeof *unit);
    int32_t *label = eg_calloc(n, sizeof *label);
    double *auc = NULL;
    ridge r = {0};
    labellings l = {.r = &r, .seed = o->seed, .halves = true};
    if (x && unit && label) {
        for (size_t i = 0; i < o->n; i++) {
            if (o->label[i] != 0) continue;
            memcpy(x + m * o->D, o->x + i * o->D, o->D * sizeof *x);
            unit[m++] = o->unit[i];
        }
        eg_domain_options half = *o;
        half.unit = unit;
        half.label = label;
        half.n = n;
        ok = ridge_make(&r, x, n, o->D, unit, o->n_units, o->seed) && atoms_make(&l, &half) &&
             labellings_run(&auc, &l, CONTROLS);
    }
    if (ok) {
        double sum = 0;
        for (int i = 0; i < CONTROLS; i++) sum += auc[i];
        *out = sum / CONTROLS;
    }
    eg_free(auc);
    eg_free(l.atom);
    eg_free(l.atom_label);
    ridge_free(&r);
    eg_free(x);
    eg_free(unit);
    eg_free(label);
    return ok;
}

eg_status eg_domain_test(eg_domain *out, double *score, const eg_domain_options *o, eg_error *err) {
    ridge r = {0};
    double *auc = NULL;
    labellings l = {.r = &r, .seed = o->seed, .kept = score};
    eg_domain found = {NAN, NAN, NAN};
    if (o->n == 0 || o->D == 0 || o->n_units == 0 || o->n_permutations < 0)
        return eg_fail(err, EG_ERR_INPUT, "domain: %zu images, %zu features, %zu patients", o->n,
                       o->D, o->n_units);
    for (size_t i = 0; i < o->n * o->D; i++)
        if (!isfinite(o->x[i]))
            return eg_fail(err, EG_ERR_INPUT, "domain: feature %zu of image %zu is not finite",
                           i % o->D, i / o->D);
    const size_t n_labellings = (size_t)o->n_permutations + 1;
    bool ok = ridge_make(&r, o->x, o->n, o->D, o->unit, o->n_units, o->seed) && atoms_make(&l, o) &&
              labellings_run(&auc, &l, n_labellings);
    if (ok) {
        size_t as_good = 0, counted = 0;
        found.auc = auc[0];
        for (size_t i = 1; i < n_labellings; i++) {
            counted += !isnan(auc[i]);
            as_good += auc[i] >= auc[0];
        }
        if (counted > 0 && !isnan(auc[0])) found.p = (1 + (double)as_good) / (1 + (double)counted);
        if (o->with_control) ok = control(&found.control_auc, o);
    }
    eg_free(auc);
    eg_free(l.atom);
    eg_free(l.atom_label);
    ridge_free(&r);
    if (!ok) return eg_fail(err, EG_ERR_NO_MEMORY, "domain: no memory for %zu images", o->n);
    *out = found;
    return EG_OK;
}
