/* The faults that a phantom can be given, by name and strength. The list is in
 * engraft_options.h; what a
 * fault does to an image stands in phantom_plan.c. Read first: phantom.h. */
#include "data/phantom.h"

#include <string.h>

static const struct {
    const char *name, *text;
} faults[EG_DATA_FAULT_COUNT] = {
#define FAULT_ROW(id, name, what) {name, what},
    EG_FAULT_LIST(FAULT_ROW)
#undef FAULT_ROW
};

/* At the default strength each fault is plain to see in 400 images. */
static const double default_strength = 0.5;

const char *eg_data_fault_name(eg_data_fault fault) {
    return faults[fault].name;
}

const char *eg_data_fault_text(eg_data_fault fault) {
    return faults[fault].text;
}

/* "prior-shift" is prior_shift, as for the names of options. */
static bool same_name(const char *text, size_t n, const char *name) {
    if (strlen(name) != n) return false;
    for (size_t i = 0; i < n; i++)
        if ((text[i] == '-' ? '_' : text[i]) != name[i]) return false;
    return true;
}

static eg_status fail_unknown(const char *text, size_t n, eg_error *err) {
    char list[400] = "";
    size_t used = 0;
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", f ? ", " : "",
                                 faults[f].name);
    return eg_fail(err, EG_ERR_USAGE, "--plant %.*s: expected CAUSE or CAUSE=STRENGTH, one of %s",
                   (int)(n < 60 ? n : 60), text, list);
}

/* One line of n bytes. */
static eg_status parse_one(eg_data_faults *out, const char *text, size_t n, eg_error *err) {
    const char *equals = memchr(text, '=', n);
    size_t n_name = equals ? (size_t)(equals - text) : n;
    for (int f = 0; f < EG_DATA_FAULT_COUNT; f++) {
        if (!same_name(text, n_name, faults[f].name)) continue;
        double strength = default_strength;
        if (equals) {
            char number[32] = "";
            size_t n_number = n - n_name - 1;
            if (n_number < sizeof number) memcpy(number, equals + 1, n_number);
            if (!eg_parse_real(&strength, number) || strength < 0 || strength > 1)
                return eg_fail(err, EG_ERR_USAGE,
                               "--plant %.*s: expected a strength from 0 (nothing) to 1",
                               (int)(n < 60 ? n : 60), text);
        }
        out->strength[f] = strength;
        return EG_OK;
    }
    return fail_unknown(text, n_name, err);
}

eg_status eg_data_faults_parse(eg_data_faults *out, const char *plant, eg_error *err) {
    eg_data_faults made = {0};
    while (plant && *plant) {
        size_t n = strcspn(plant, "\n");
        EG_TRY(parse_one(&made, plant, n, err));
        plant += n + (plant[n] == '\n');
    }
    *out = made;
    return EG_OK;
}
