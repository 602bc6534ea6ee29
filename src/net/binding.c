/* Binding: tensors of a weights file to tensors of a network, by name and shape, all or nothing. A file that does not
 * fit is refused with what is missing, what is too much, what has another shape, and a guess of what the file is;
 * nothing is copied then. Only heads may differ (another number of classes) or be absent, auxiliary branches may be
 * absent (torchvision saves networks without them when aux_logits is off; they start anew then), and only counters
 * (num_batches_tracked) may be missing: PyTorch before 0.4.1 had none, and reads them as 0, as we do.
 *
 * Names are ours (torchvision's) or those of the architecture's foreign_name, or timm's. Reading files is the codec's work.  */
#include "net/graph.h"
#include <stdio.h>
#include <string.h>

static const eg_tensor *find_bound(const eg_arch *arch, const eg_state_dict *sd, const char *name) {
    char foreign[256];
    const eg_tensor *t = eg_state_dict_find(sd, name);
    if (!t && arch->foreign_name && arch->foreign_name(foreign, arch, name))
        t = eg_state_dict_find(sd, foreign);
    if (!t && eg_timm_name(foreign, arch, name)) t = eg_state_dict_find(sd, foreign);
    return t;
}

const eg_tensor *eg_network_bound(const eg_network *net, const eg_state_dict *sd,
                                  const char *name) {
    return find_bound(eg_arch_entry(net->info), sd, name);
}

/* ---- shapes ---- */

typedef enum { FITS, OTHER_CLASSES, DIFFERS } fit;

/* A table that the architecture determines: another one would be another network. Without values (guessing), by shape. */
static fit compare_table(const eg_net_tensor *ours, const eg_tensor *theirs) {
    if (theirs->dtype != EG_DTYPE_I64 || theirs->n_dims != ours->n_dims ||
        theirs->dims[0] != ours->dims[0])
        return DIFFERS;
    if (ours->counter && memcmp(ours->counter, theirs->data, ours->count * sizeof(int64_t)) != 0)
        return DIFFERS;
    return FITS;
}

/* timm has some linear layers as convolutions, (K,C,R,S) for (K,CRS), and layer scale as (C): the values lie alike. Only
 * under its names: ours with another shape is another network. */
static bool same_values(const eg_net_tensor *ours, const eg_tensor *theirs) {
    return strcmp(ours->name, theirs->name) != 0 && theirs->n_dims > 0 &&
           theirs->dims[0] == ours->dims[0] && eg_tensor_count(theirs) == ours->count;
}

/* OTHER_CLASSES: a head tensor whose first dimension alone differs. */
static fit compare(const eg_net_tensor *ours, const eg_tensor *theirs) {
    if (theirs->dtype == EG_DTYPE_BOOL) return DIFFERS;
    if (ours->role == EG_TENSOR_COUNTER && ours->n_dims) return compare_table(ours, theirs);
    if (ours->role == EG_TENSOR_COUNTER) { /* a scalar, () or (1) */
        bool whole = theirs->dtype == EG_DTYPE_I64 || theirs->dtype == EG_DTYPE_I32;
        return whole && theirs->n_dims <= 1 && eg_tensor_count(theirs) == 1 ? FITS : DIFFERS;
    }
    if (ours->n_dims != theirs->n_dims) return same_values(ours, theirs) ? FITS : DIFFERS;
    for (int i = 1; i < ours->n_dims; i++)
        if (ours->dims[i] != theirs->dims[i]) return DIFFERS;
    if (ours->dims[0] == theirs->dims[0]) return FITS;
    return ours->is_head ? OTHER_CLASSES : DIFFERS;
}

static void shape_text(char out[80], int n_dims, const int64_t *dims) {
    size_t used = (size_t)snprintf(out, 80, "(");
    for (int i = 0; i < n_dims && used < 60; i++)
        used += (size_t)snprintf(out + used, 80 - used, "%s%lld", i ? "," : "", (long long)dims[i]);
    snprintf(out + used, 80 - used, ")");
}

/* ---- guessing ---- */

/* Does the state dict hold this trunk, all of it and nothing else? */
static bool is_of(const eg_arch *arch, const eg_state_dict *sd) {
    eg_graph g;
    if (eg_graph_make(&g, arch, 1000, arch->info.img_size, NULL) != EG_OK) return false;
    size_t bound = 0;
    bool ok = true;
    for (int i = 0; i < g.n_tensors && ok; i++) {
        const eg_net_tensor *t = &g.tensors[i];
        const eg_tensor *given = find_bound(arch, sd, t->name);
        if (given) {
            bound++;
            ok = compare(t, given) != DIFFERS;
        } else {
            ok = t->is_head || t->is_aux || t->role == EG_TENSOR_COUNTER;
        }
    }
    eg_graph_free(&g);
    return ok && bound == eg_state_dict_count(sd);
}

const eg_arch_info *eg_arch_guess(const eg_state_dict *sd) {
    for (size_t i = 0; i < eg_arch_count(); i++) {
        const eg_arch_info *info = eg_arch_at(i);
        if (is_of(eg_arch_entry(info), sd)) return info;
    }
    return NULL;
}

/* ---- the report ---- */

enum { SHOWN = 3, LIST_BYTES = 200 };
typedef struct {
    size_t n, used;
    char text[LIST_BYTES];
} name_list;

static void list_add(name_list *l, const char *format, ...) EG_PRINTF(2, 3);
static void list_add(name_list *l, const char *format, ...) {
    if (l->n++ >= SHOWN) return;
    char item[160];
    va_list args;
    va_start(args, format);
    vsnprintf(item, sizeof item, format, args);
    va_end(args);
    int n =
        snprintf(l->text + l->used, sizeof l->text - l->used, "%s%s", l->used ? ", " : "", item);
    if (n > 0) l->used += (size_t)n;
    if (l->used >= sizeof l->text) l->used = sizeof l->text - 1; /* cut, still terminated */
}

typedef struct {
    const eg_tensor **bound; /* one a tensor of ours, NULL = not in the file */
    name_list missing, unexpected, differing;
    bool head;     /* the head is there and has our number of classes */
    bool aux_head; /* the same of the auxiliary heads */
    bool aux;      /* the auxiliary branches are there */
} match;

static void match_tensors(match *m, eg_network *net, const eg_state_dict *sd) {
    const eg_graph *g = &net->graph;
    m->head = m->aux_head = m->aux = true;
    for (int i = 0; i < g->n_tensors; i++) {
        const eg_net_tensor *t = &g->tensors[i];
        m->bound[i] = eg_network_bound(net, sd, t->name);
        if (!m->bound[i]) {
            if (t->role == EG_TENSOR_COUNTER) continue;
            if (t->is_aux)
                m->aux = m->aux_head = false;
            else if (t->is_head)
                m->head = false;
            else
                list_add(&m->missing, "%.60s", t->name);
            continue;
        }
        fit f = compare(t, m->bound[i]);
        if (f == OTHER_CLASSES) *(t->is_aux ? &m->aux_head : &m->head) = false;
        if (f == DIFFERS) {
            char given[80], expected[80];
            shape_text(given, m->bound[i]->n_dims, m->bound[i]->dims);
            shape_text(expected, t->n_dims, t->dims);
            list_add(&m->differing, "%.60s %s %.30s, expected %.30s", t->name,
                     eg_dtype_name(m->bound[i]->dtype), given, expected);
        }
    }
}

static void match_unexpected(match *m, const eg_network *net, const eg_state_dict *sd) {
    for (size_t k = 0; k < eg_state_dict_count(sd); k++) {
        const eg_tensor *t = eg_state_dict_at(sd, k);
        bool used = false;
        for (int i = 0; i < net->graph.n_tensors && !used; i++)
            used = m->bound[i] && strcmp(m->bound[i]->name, t->name) == 0;
        if (!used) list_add(&m->unexpected, "%.60s", t->name);
    }
}

static size_t report_list(char *out, size_t room, const char *what, const name_list *l,
                          bool first) {
    if (l->n == 0) return 0;
    int n = snprintf(out, room, "%s%s %zu (%s%s)", first ? " " : ", ", what, l->n, l->text,
                     l->n > SHOWN ? ", ..." : "");
    return n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static eg_status report(const match *m, const eg_network *net, const eg_state_dict *sd,
                        eg_error *err) {
    char text[640] = "";
    size_t used = 0;
    used += report_list(text + used, sizeof text - used, "missing", &m->missing, used == 0);
    used += report_list(text + used, sizeof text - used, "unexpected", &m->unexpected, used == 0);
    used +=
        report_list(text + used, sizeof text - used, "shape differs in", &m->differing, used == 0);
    const eg_arch_info *guess = eg_arch_guess(sd);
    if (guess && guess != net->info)
        return eg_fail(err, EG_ERR_MISMATCH, "does not fit %s:%.480s - is this %s %s file?",
                       net->info->name, text, strchr("aeiou", guess->name[0]) ? "an" : "a",
                       guess->name);
    return eg_fail(err, EG_ERR_MISMATCH,
                   "does not fit %s at %d pixels:%.480s - see engraft inspect", net->info->name,
                   net->side, text);
}

/* ---- loading ---- */

static void copy(eg_net_tensor *to, const eg_tensor *given) {
    if (to->role != EG_TENSOR_COUNTER) {
        eg_tensor_to_f32(to->data, given); /* compare() let only numeric types pass */
    } else if (to->n_dims) {
        return; /* a table, compared already */
    } else if (!given) {
        *to->counter = 0;
    } else if (given->dtype == EG_DTYPE_I64) {
        memcpy(to->counter, given->data, sizeof *to->counter);
    } else {
        int32_t narrow;
        memcpy(&narrow, given->data, sizeof narrow);
        *to->counter = narrow;
    }
}

eg_status eg_network_load(eg_network *net, const eg_state_dict *sd, bool *head_loaded,
                          eg_error *err) {
    match m = {.bound = eg_calloc((size_t)net->graph.n_tensors, sizeof *m.bound)};
    if (!m.bound) return eg_fail(err, EG_ERR_NO_MEMORY, "weights: out of memory");
    match_tensors(&m, net, sd);
    match_unexpected(&m, net, sd);
    eg_status status = EG_OK;
    if (m.missing.n || m.unexpected.n || m.differing.n) {
        status = report(&m, net, sd, err);
    } else {
        /* a branch that the file has in part is no branch: anew as a whole */
        if (!m.aux) eg_network_init_aux(net, 0);
        for (int i = 0; i < net->graph.n_tensors; i++) {
            eg_net_tensor *t = &net->graph.tensors[i];
            bool wanted = t->is_aux    ? m.aux && (m.aux_head || !t->is_head)
                          : t->is_head ? m.head
                                       : true;
            if (wanted) copy(t, m.bound[i]);
        }
        if (head_loaded) *head_loaded = m.head;
    }
    eg_free(m.bound);
    return status;
}
