/* --weights: which file belongs to which model. The option holds FILE or MODEL=FILE, several joined
 * with newlines. A name before '=' counts only when it is a known model, so a path may contain '='.
 * Opens nothing. */
#include "study/run.h"
#include <string.h>

/* Length of the MODEL of "MODEL=FILE" when it is a known model, else 0. */
static size_t model_length(const char *entry, size_t n) {
    const char *equals = memchr(entry, '=', n);
    size_t length = equals ? (size_t)(equals - entry) : 0;
    char name[64];
    if (length == 0 || length >= sizeof name) return 0;
    memcpy(name, entry, length);
    name[length] = '\0';
    return eg_arch_find(name) ? length : 0;
}

eg_status eg_study_weights_find(char **out, const char *spec, const char *model, eg_error *err) {
    const char *plain = NULL, *named = NULL;
    size_t plain_n = 0, named_n = 0;
    for (const char *at = spec; at && *at;) {
        size_t n = strcspn(at, "\n");
        size_t length = model_length(at, n);
        if (length == 0 && n > 0) {
            if (plain)
                return eg_fail(err, EG_ERR_USAGE,
                               "--weights: %.*s and %.*s both come without a model: write "
                               "--weights MODEL=FILE for each",
                               (int)plain_n, plain, (int)n, at);
            plain = at;
            plain_n = n;
        } else if (strlen(model) == length && memcmp(at, model, length) == 0) {
            named = at + length + 1;
            named_n = n - length - 1;
        }
        at += n + (at[n] == '\n');
    }
    if (named && named_n == 0)
        return eg_fail(err, EG_ERR_USAGE, "--weights %s=: no file behind the '='", model);
    char *path = NULL;
    if (named || plain) {
        path = named ? eg_strndup(named, named_n) : eg_strndup(plain, plain_n);
        if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    }
    *out = path;
    return EG_OK;
}
