/* Patients from file names, DICOM headers or a manifest's column, and how many of them two splits share. A validation split
 * that puts images of one child on both sides measures memory, not learning, so the id must be right: in the Kermany set
 * personN is numbered anew in the bacteria and in the virus series. The pattern in circulation, person(\d+), takes both for
 * one child and reports a leak that is not there; eg_dataset_patient_overlap counts both readings. A DICOM patient id is
 * known here as a salted hash only. Opens files for rule dicom only. Read patients.h first. */
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

/* ---- DICOM headers ---- */

/* One probe a sample, each at its own place. */
typedef struct {
    const eg_dataset *ds;
    const eg_dataset_options *o;
    char (*id)[17];  /* (n_samples) "": none */
    bool *is_dicom;  /* (n_samples) */
    bool *no_memory; /* (n_samples) */
} dicom_probe;

/* A file that cannot be read has no patient here; the check says what is wrong with it. */
static void probe_one(void *context, int i) {
    dicom_probe *p = context;
    eg_image_info info = {0};
    char *path = eg_dataset_path(p->ds, (uint32_t)i);
    eg_status status =
        path ? eg_image_probe(&info, path, p->o->salt, p->o->n_salt, NULL) : EG_ERR_NO_MEMORY;
    eg_free(path);
    p->no_memory[i] = status == EG_ERR_NO_MEMORY;
    p->is_dicom[i] = status == EG_OK && strcmp(info.format, "DICOM") == 0;
    if (p->is_dicom[i]) memcpy(p->id[i], info.patient, sizeof info.patient);
}

/* Is the first image a DICOM file? What the others are is then worth a look. */
static bool begins_with_dicom(const eg_dataset *ds) {
    eg_image_info info = {0};
    if (ds->source == EG_SOURCE_NPZ || ds->n_samples == 0) return false;
    char *path = eg_dataset_path(ds, 0);
    bool is = path && eg_image_probe(&info, path, NULL, 0, NULL) == EG_OK &&
              strcmp(info.format, "DICOM") == 0;
    eg_free(path);
    return is;
}

/* Take the hashes into the samples. *all: every image is a DICOM file with a patient id; without it nothing is taken when
 * `only_all`. */
static eg_status take_dicom(bool *all, eg_dataset *ds, const eg_dataset_options *o, bool only_all,
                            eg_error *err) {
    size_t n = ds->n_samples;
    dicom_probe p = {ds, o, eg_calloc(n, sizeof *p.id), eg_calloc(n, sizeof *p.is_dicom),
                     eg_calloc(n, sizeof *p.no_memory)};
    eg_status status = EG_OK;
    if (!p.id || !p.is_dicom || !p.no_memory) status = EG_ERR_NO_MEMORY;
    if (status == EG_OK) eg_pool_run(probe_one, &p, (int)n);
    *all = true;
    for (size_t i = 0; i < n && status == EG_OK; i++) {
        if (p.no_memory[i]) status = EG_ERR_NO_MEMORY;
        *all = *all && p.is_dicom[i] && p.id[i][0];
    }
    for (size_t i = 0; i < n && status == EG_OK && (*all || !only_all); i++) {
        ds->samples[i].patient = NULL;
        if (!p.id[i][0]) continue;
        ds->samples[i].patient = eg_arena_strdup(ds->arena, p.id[i], strlen(p.id[i]));
        if (!ds->samples[i].patient) status = EG_ERR_NO_MEMORY;
    }
    eg_free(p.id);
    eg_free(p.is_dicom);
    eg_free(p.no_memory);
    return status == EG_OK ? EG_OK
                           : eg_fail(err, status, "%s: out of memory for patient ids", ds->path);
}

/* ---- choosing and applying a rule ---- */

static eg_status apply_names(eg_dataset *ds, const char *name, patient_rule match, eg_error *err) {
    // a name outside the rule keeps NULL: its image then stands alone
    for (size_t i = 0; i < ds->n_samples; i++) {
        eg_sample *sample = &ds->samples[i];
        char id[EG_DATA_PATIENT_BYTES];
        sample->patient = NULL;
        if (!match || !match(id, sample->file)) continue;
        sample->patient = eg_arena_strdup(ds->arena, id, strlen(id));
        if (!sample->patient)
            return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for patient ids", ds->path);
    }
    ds->patient_rule = name;
    return EG_OK;
}

static eg_status apply_dicom(eg_dataset *ds, const eg_dataset_options *o, eg_error *err) {
    bool all, any = false;
    if (!o->salt || o->n_salt == 0)
        return eg_fail(
            err, EG_ERR_USAGE,
            "patients: rule dicom needs a salt for its hashes - give --patient-salt FILE");
    EG_TRY(take_dicom(&all, ds, o, false, err));
    for (size_t i = 0; i < ds->n_samples; i++) any = any || ds->samples[i].patient;
    if (!any)
        return eg_fail(err, EG_ERR_INPUT,
                       "%s: --patients dicom: no image is a DICOM file with a patient id - use "
                       "--patients auto",
                       ds->path);
    ds->patient_rule = "dicom";
    return EG_OK;
}

/* The manifest's column, else DICOM headers when all have an id, else Kermany's names. */
static eg_status apply_auto(eg_dataset *ds, const eg_dataset_options *o, bool has_column,
                            eg_error *err) {
    bool all = false;
    if (has_column) return EG_OK;
    if (o->salt && o->n_salt > 0 && begins_with_dicom(ds))
        EG_TRY(take_dicom(&all, ds, o, true, err));
    if (all) ds->patient_rule = "dicom";
    if (all) return EG_OK;
    // at least 90 %: a few stray names must not switch the protection off
    bool fits =
        ds->n_samples > 0 && count_matches(ds, eg_data_patient_kermany) * 10 >= ds->n_samples * 9;
    return fits ? apply_names(ds, "kermany", eg_data_patient_kermany, err)
                : apply_names(ds, "none", NULL, err);
}

eg_status eg_data_patients_assign(eg_dataset *ds, const eg_dataset_options *o, eg_error *err) {
    const char *rule = o->patients ? o->patients : "auto";
    const bool has_column = strcmp(ds->patient_rule, "column") == 0;
    if (strcmp(rule, "auto") == 0) return apply_auto(ds, o, has_column, err);
    if (strcmp(rule, "none") == 0) return apply_names(ds, "none", NULL, err);
    if (strcmp(rule, "kermany") == 0)
        return apply_names(ds, "kermany", eg_data_patient_kermany, err);
    if (strcmp(rule, "prefix") == 0) return apply_names(ds, "prefix", eg_data_patient_prefix, err);
    if (strcmp(rule, "dicom") == 0) return apply_dicom(ds, o, err);
    if (strcmp(rule, "column") != 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "patients: rule '%s' is unknown - use auto, none, kermany, prefix, dicom or "
                       "column",
                       rule);
    if (has_column) return EG_OK;
    return eg_fail(err, EG_ERR_INPUT,
                   "%s: --patients column: %s - name it with --columns patient=NAME, or use "
                   "--patients auto",
                   ds->path,
                   ds->source == EG_SOURCE_MANIFEST ? "there is no column of patients"
                                                    : "only a CSV has columns");
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

/* ---- a split that leaks ---- */

/* "a, b, c" of the first files of split `a` whose patient is in split `b` too; *n_files: of all of them in `a`. */
static void name_files(char *out, size_t size, size_t *n_files, const eg_dataset *ds,
                       const mention *of_b, size_t n_b, eg_split a) {
    size_t used = 0;
    out[0] = '\0';
    *n_files = 0;
    for (size_t i = 0; i < ds->n_samples; i++) {
        const eg_sample *s = &ds->samples[i];
        if (s->split != a || !s->patient) continue;
        mention wanted = {s->patient, strlen(s->patient), false};
        if (!bsearch(&wanted, of_b, n_b, sizeof *of_b, compare_mentions)) continue;
        if ((*n_files)++ >= 3 || used + 1 >= size) continue;
        int n = snprintf(out + used, size - used, "%s%.90s", used ? ", " : "", s->file);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* The usual reading of such names, where it would count otherwise. */
static void explain_apparent(char *out, size_t size, size_t shared, size_t apparent) {
    out[0] = '\0';
    if (apparent > shared)
        snprintf(
            out, size,
            " (by the pattern person(\\d+) %zu, which takes personN of the bacteria and of the "
            "virus series for one child)",
            apparent);
}

static eg_status refuse_pair(const eg_dataset *ds, eg_split a, eg_split b, eg_error *err) {
    size_t shared, apparent, n_b = 0, n_files;
    char files[300], reading[160];
    eg_dataset_patient_overlap(&shared, &apparent, ds, a, b);
    if (shared == 0) return EG_OK;
    mention *of_b = shared == SIZE_MAX ? NULL : eg_malloc(ds->n_samples * sizeof *of_b);
    if (!of_b)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory comparing patients", ds->path);
    for (size_t i = 0; i < ds->n_samples; i++)
        if (ds->samples[i].split == b && ds->samples[i].patient)
            of_b[n_b++] = (mention){ds->samples[i].patient, strlen(ds->samples[i].patient), true};
    qsort(of_b, n_b, sizeof *of_b, compare_mentions);
    name_files(files, sizeof files, &n_files, ds, of_b, n_b, a);
    eg_free(of_b);
    explain_apparent(reading, sizeof reading, shared, apparent);
    return eg_fail(
        err, EG_ERR_INPUT,
        "%s: %zu patient%s both in %s and in %s%s: %zu image%s of %s, %s%s - keep patients "
        "whole (--val-by patient, or mend the split), or --allow-shared-patients",
        ds->path, shared, shared == 1 ? " is" : "s are", eg_split_name(a), eg_split_name(b),
        reading, n_files, n_files == 1 ? "" : "s", eg_split_name(a), files,
        n_files > 3 ? ", ..." : "");
}

eg_status eg_dataset_refuse_shared(const eg_dataset *ds, eg_error *err) {
    EG_TRY(refuse_pair(ds, EG_SPLIT_TRAIN, EG_SPLIT_VAL, err));
    EG_TRY(refuse_pair(ds, EG_SPLIT_TRAIN, EG_SPLIT_TEST, err));
    return refuse_pair(ds, EG_SPLIT_VAL, EG_SPLIT_TEST, err);
}
