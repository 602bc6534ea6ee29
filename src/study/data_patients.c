/* Patients across splits, in both readings: as the data set means them, and as the pattern in circulation, person(\d+),
 * would count them. Names come from file names or from the table; patients of DICOM files are hashes already.
 * Read first: data_report.h, data/patients.c.                                                                     */
#include "study/data_report.h"

#include <string.h>

enum { MOST_NAMES = 20 };

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory counting patients");
}

/* Patients in more than one split: their number, the first of them, and the images they have in the smaller part. */
static eg_status shared_json(json_t *out, size_t *n_shared, const eg_data_case *c, eg_error *err) {
    uint8_t *in = eg_calloc(c->n_units + 1, 1);
    uint32_t *first = eg_malloc((c->n_units + 1) * sizeof *first);
    json_t *names = json_array();
    size_t images = 0;
    bool ok = in && first && names;
    *n_shared = 0;
    for (size_t i = c->ds->n_samples; ok && i-- > 0;) {
        in[c->unit[i]] |= (uint8_t)(1 << c->ds->samples[i].split);
        first[c->unit[i]] = (uint32_t)i;
    }
    for (size_t u = 0; ok && u < c->n_units; u++) {
        if ((in[u] & (in[u] - 1)) == 0) continue;
        (*n_shared)++;
        if (*n_shared <= MOST_NAMES)
            ok = json_array_append_new(names, json_string(c->ds->samples[first[u]].patient)) == 0;
    }
    for (size_t i = 0; ok && i < c->ds->n_samples; i++)
        images += (in[c->unit[i]] & (in[c->unit[i]] - 1)) != 0 &&
                  c->ds->samples[i].split != eg_study_data_base(c);
    ok = ok && json_object_set_new(out, "shared", json_integer((json_int_t)*n_shared)) == 0 &&
         json_object_set_new(out, "shared_images", json_integer((json_int_t)images)) == 0 &&
         json_object_set(out, "shared_names", names) == 0;
    eg_free(in);
    eg_free(first);
    json_decref(names);
    return ok ? EG_OK : no_memory(err);
}

/* Patients with images under two labels inside one split: right where the disease changes or there are two eyes, else a
 * sign of wrong labels, because most sets label the patient. Of the split that is trained on. */
static eg_status mixed_json(json_t *out, const eg_data_case *c, eg_error *err) {
    int32_t *label = eg_malloc((c->n_units + 1) * sizeof *label); /* -1: none seen, -2: two seen */
    uint32_t *n_images = eg_calloc(c->n_units + 1, sizeof *n_images);
    json_t *names = json_array();
    bool ok = label && n_images && names;
    size_t several = 0, mixed = 0;
    for (size_t u = 0; ok && u < c->n_units; u++) label[u] = -1;
    for (size_t i = 0; ok && i < c->ds->n_samples; i++) {
        const eg_sample *s = &c->ds->samples[i];
        const uint32_t u = c->unit[i];
        if (s->split != eg_study_data_base(c)) continue;
        several += ++n_images[u] == 2;
        if (label[u] == -1) label[u] = s->label;
        if (label[u] < 0 || label[u] == s->label) continue;
        label[u] = -2;
        if (mixed++ < MOST_NAMES) ok = json_array_append_new(names, json_string(s->patient)) == 0;
    }
    ok = ok && json_object_set_new(out, "mixed",
                                   json_pack("{s:I, s:I, s:O}", "patients", (json_int_t)mixed, "of",
                                             (json_int_t)several, "names", names)) == 0;
    eg_free(label);
    eg_free(n_images);
    json_decref(names);
    return ok ? EG_OK : no_memory(err);
}

/* Number of patients, and of images without one, of every split. */
static eg_status counts_json(json_t *out, const eg_data_case *c, eg_error *err) {
    uint8_t *seen = eg_calloc(c->n_units + 1, 1);
    json_t *splits = json_object();
    bool ok = seen && splits;
    size_t unknown = 0;
    for (size_t i = 0; i < c->ds->n_samples; i++) unknown += !c->ds->samples[i].patient;
    for (int s = 0; ok && s < EG_SPLIT_COUNT; s++) {
        size_t n = 0;
        memset(seen, 0, c->n_units);
        for (size_t i = 0; i < c->ds->n_samples; i++) {
            if ((int)c->ds->samples[i].split != s) continue;
            n += !seen[c->unit[i]];
            seen[c->unit[i]] = 1;
        }
        if (n > 0)
            ok = json_object_set_new(splits, eg_split_name((eg_split)s),
                                     json_integer((json_int_t)n)) == 0;
    }
    ok = ok && json_object_set(out, "splits", splits) == 0 &&
         json_object_set_new(out, "images_without", json_integer((json_int_t)unknown)) == 0;
    eg_free(seen);
    json_decref(splits);
    return ok ? EG_OK : no_memory(err);
}

/* Both readings of every pair of splits that are there; the sum of the apparent one. */
static eg_status pairs_json(json_t *out, size_t *apparent_sum, const eg_data_case *c,
                            eg_error *err) {
    static const eg_split sides[][2] = {{EG_SPLIT_TRAIN, EG_SPLIT_VAL},
                                        {EG_SPLIT_TRAIN, EG_SPLIT_TEST},
                                        {EG_SPLIT_VAL, EG_SPLIT_TEST}};
    json_t *pairs = json_array();
    bool ok = pairs != NULL;
    *apparent_sum = 0;
    for (size_t i = 0; ok && i < 3; i++) {
        size_t shared, apparent;
        if (eg_study_data_count(c, sides[i][0], -1) == 0 ||
            eg_study_data_count(c, sides[i][1], -1) == 0)
            continue;
        eg_dataset_patient_overlap(&shared, &apparent, c->ds, sides[i][0], sides[i][1]);
        ok = shared != SIZE_MAX && apparent != SIZE_MAX;
        *apparent_sum += apparent;
        ok =
            ok && json_array_append_new(
                      pairs, json_pack("{s:s, s:s, s:I, s:I}", "a", eg_split_name(sides[i][0]), "b",
                                       eg_split_name(sides[i][1]), "shared", (json_int_t)shared,
                                       "apparent_shared", (json_int_t)apparent)) == 0;
    }
    ok = ok && json_object_set(out, "pairs", pairs) == 0 &&
         json_object_set_new(out, "apparent_shared", json_integer((json_int_t)*apparent_sum)) == 0;
    json_decref(pairs);
    return ok ? EG_OK : no_memory(err);
}

static bool say(json_t *text, const eg_data_case *c, size_t shared, size_t apparent, bool pairs) {
    const char *rule = c->ds->patient_rule;
    if (strcmp(rule, "none") == 0)
        return eg_study_say(
            text, "Nothing gives patients, so it is not known whether one is on two sides: every "
                  "image counts as a patient of its own. Name a rule with --patients, or give a "
                  "CSV with a column patient.");
    if (!pairs)
        return eg_study_say(text, "There is one split only, so no patient can be on two sides.");
    bool ok = shared > 0
                  ? eg_study_say(text,
                                 "%zu patient%s in more than one split (rule %s): figures on "
                                 "the other splits are flattered.",
                                 shared, shared == 1 ? " is" : "s are", rule)
                  : eg_study_say(text, "No patient is in more than one split (rule %s).", rule);
    if (apparent > shared)
        ok = ok && eg_study_say(
                       text,
                       "Reading the number alone, as the pattern person(\\d+) does, would report "
                       "%zu shared patients. The numbers are given once a subtype: person1 of "
                       "the bacteria files and person1 of the virus files are two children, so "
                       "that reading is false.",
                       apparent);
    return ok;
}

eg_status eg_study_data_patients(json_t *doc, const eg_data_case *c, eg_error *err) {
    json_t *out = json_pack("{s:s}", "rule", c->ds->patient_rule), *text = json_array();
    size_t shared = 0, apparent = 0;
    eg_status status =
        out && text && json_object_set_new(doc, "patients", out) == 0 ? EG_OK : no_memory(err);
    if (status == EG_OK) status = shared_json(out, &shared, c, err);
    if (status == EG_OK) status = pairs_json(out, &apparent, c, err);
    if (status == EG_OK) status = counts_json(out, c, err);
    if (status == EG_OK) status = mixed_json(out, c, err);
    if (status == EG_OK) {
        bool pairs = json_array_size(json_object_get(out, "pairs")) > 0;
        if (!say(text, c, shared, apparent, pairs) || json_object_set(out, "text", text) != 0)
            status = no_memory(err);
    }
    json_decref(text);
    return status;
}
