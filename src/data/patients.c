/* Patients from file names, and how many of them two splits share. A validation split that puts
 * images of one child on both sides measures memory, not learning, so the id must be right: in
 * the Kermany set personN is numbered anew in the bacteria and in the virus series. The pattern
 * in circulation, person(\d+), takes both for one child and reports a leak that is not there;
 * eg_dataset_patient_overlap counts both readings. Opens no file. Read patients.h first. */
#include "data/patients.h"

#include <stdlib.h>
#include <string.h>

/* The rules read the file name only, never the folders in front of it. */
static const char *base_name(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? slash + 1 : file;
}

static size_t count_digits(const char *text) {
    return strspn(text, "0123456789");
}

/* "IM-0115-0001.jpeg" -> normal/IM-0115; with `start` behind NORMAL2- -> normal2/IM-... */
static bool match_normal(char *out, const char *series, const char *start) {
    if (strncmp(start, "IM-", 3) != 0) return false;
    size_t n = count_digits(start + 3);
    if (n == 0 || start[3 + n] != '-') return false;
    snprintf(out, EG_DATA_PATIENT_BYTES, "%s/IM-%.*s", series, (int)n, start + 3);
    return true;
}

/* Series in front of the number: bacteria/person1 and virus/person1 are two children. */
bool eg_data_patient_kermany(char out[EG_DATA_PATIENT_BYTES], const char *file) {
    const char *name = base_name(file);
    if (strncmp(name, "NORMAL2-", 8) == 0) return match_normal(out, "normal2", name + 8);
    if (strncmp(name, "person", 6) != 0) return match_normal(out, "normal", name);
    size_t n = count_digits(name + 6);
    if (n == 0 || name[6 + n] != '_') return false;
    const char *rest = name + 6 + n + 1;
    const char *series = strncmp(rest, "bacteria_", 9) == 0 ? "bacteria"
                         : strncmp(rest, "virus_", 6) == 0  ? "virus"
                                                            : NULL;
    if (!series) return false;
    snprintf(out, EG_DATA_PATIENT_BYTES, "%s/person%.*s", series, (int)n, name + 6);
    return true;
}

/* The text before the first '_' or '-': "00000013_005.png" -> 00000013, "p07-left-2.png" -> p07.
 * The class is no part of it, since one patient may have images in several classes (a healthy
 * and an ill eye). */
bool eg_data_patient_prefix(char out[EG_DATA_PATIENT_BYTES], const char *file) {
    const char *name = base_name(file);
    size_t n = strcspn(name, "_-");
    if (n == 0 || name[n] == '\0' || n >= EG_DATA_PATIENT_BYTES) return false;
    memcpy(out, name, n);
    out[n] = '\0';
    return true;
}

/* Every rule has this form, so that `auto` can try one without choosing it. */
typedef bool (*patient_rule)(char out[EG_DATA_PATIENT_BYTES], const char *file);

static size_t count_matches(const eg_dataset *ds, patient_rule rule) {
    char id[EG_DATA_PATIENT_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < ds->n_samples; i++) n += rule(id, ds->samples[i].file);
    return n;
}

eg_status eg_data_patients_assign(eg_dataset *ds, const char *rule, eg_error *err) {
    patient_rule match = NULL;
    const char *name = "none";
    if (!rule || strcmp(rule, "auto") == 0) {
        // at least 90 %: a few stray names must not switch the protection off
        bool fits = count_matches(ds, eg_data_patient_kermany) * 10 >= ds->n_samples * 9;
        rule = fits && ds->n_samples > 0 ? "kermany" : "none";
    }
    if (strcmp(rule, "kermany") == 0) {
        match = eg_data_patient_kermany;
        name = "kermany";
    } else if (strcmp(rule, "prefix") == 0) {
        match = eg_data_patient_prefix;
        name = "prefix";
    } else if (strcmp(rule, "none") != 0) {
        return eg_fail(err, EG_ERR_USAGE,
                       "patients: rule '%s' is unknown - use auto, none, kermany or prefix", rule);
    }
    // a name outside the rule keeps NULL: its image then stands alone
    for (size_t i = 0; i < ds->n_samples; i++) {
        eg_sample *sample = &ds->samples[i];
        char id[EG_DATA_PATIENT_BYTES];
        sample->patient = NULL;
        if (!match || !match(id, sample->file)) continue;
        sample->patient = eg_arena_strdup(ds->arena, id, strlen(id));
        if (!sample->patient)
            return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for patient ids", ds->root);
    }
    ds->patient_rule = name;
    return EG_OK;
}

/* ---- overlap of two splits ---- */

/* One image's id and the side it is on. */
typedef struct {
    const char *id; /* n_bytes of it count */
    size_t n_bytes;
    bool in_b;
} mention;

/* Ids are not NUL-terminated where they are digits inside a name. */
static int compare_ids(const mention *x, const mention *y) {
    size_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    int order = memcmp(x->id, y->id, n);
    if (order != 0) return order;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int compare_mentions(const void *x, const void *y) {
    return compare_ids(x, y);
}

/* The digits that person(\d+) finds; false when there are none. */
static bool apparent_id(mention *m, const char *file) {
    for (const char *p = strstr(base_name(file), "person"); p; p = strstr(p + 1, "person")) {
        size_t n = count_digits(p + 6);
        if (n == 0) continue;
        m->id = p + 6;
        m->n_bytes = n;
        return true;
    }
    return false;
}

/* Number of distinct ids that occur both with and without in_b. Sorts `mentions`. */
static size_t count_shared(mention *mentions, size_t n) {
    size_t shared = 0;
    qsort(mentions, n, sizeof *mentions, compare_mentions);
    for (size_t i = 0, end; i < n; i = end) {
        bool in_a = false, in_b = false;
        for (end = i; end < n && compare_ids(&mentions[i], &mentions[end]) == 0; end++) {
            if (mentions[end].in_b)
                in_b = true;
            else
                in_a = true;
        }
        shared += in_a && in_b;
    }
    return shared;
}

void eg_dataset_patient_overlap(size_t *shared, size_t *apparent, const eg_dataset *ds, eg_split a,
                                eg_split b) {
    *shared = *apparent = 0;
    if (a == b || ds->n_samples == 0) return;
    mention *mentions = eg_malloc(ds->n_samples * sizeof *mentions);
    if (!mentions) {
        *shared = *apparent = SIZE_MAX; // a count of 0 would be a claim
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        if ((s->split != a && s->split != b) || !s->patient) continue;
        mentions[n++] = (mention){s->patient, strlen(s->patient), s->split == b};
    }
    *shared = n ? count_shared(mentions, n) : 0;
    if (strcmp(ds->patient_rule, "kermany") == 0) {
        n = 0;
        for (size_t i = 0; i < ds->n_samples; i++) {
            const eg_sample *s = &ds->samples[i];
            mention m = {.in_b = s->split == b};
            if ((s->split == a || s->split == b) && apparent_id(&m, s->file)) mentions[n++] = m;
        }
        *apparent = n ? count_shared(mentions, n) : 0;
    }
    eg_free(mentions);
}
