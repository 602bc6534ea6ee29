/* Where pretrained weights lie on this machine: PyTorch's folder of downloads, then our own. A file
 * counts only when its SHA-256 is the table's (all 64 digits where they are known, else the 8 of the
 * file name). Nothing is fetched here (pull.c) and nothing is written. Read first: run.h. */
#include "study/run.h"
#include <stdio.h>
#include <string.h>

/* Earlier names of files that are still found in caches. EfficientNet-B0: the file was replaced on
 * torchvision's server in 2023, and for months the new one was served under the old name, so below
 * the old name both contents are in use. */
static const struct {
    const char *model, *file, *digits;
} OLD_NAMES[] = {
    {"efficientnet_b0", "efficientnet_b0_rwightman-3dd342df.pth", "3dd342df"},
};

const char *eg_study_weights_old_name(const char *model, const char **digits) {
    for (size_t i = 0; i < sizeof OLD_NAMES / sizeof *OLD_NAMES; i++) {
        if (strcmp(OLD_NAMES[i].model, model) != 0) continue;
        *digits = OLD_NAMES[i].digits;
        return OLD_NAMES[i].file;
    }
    *digits = NULL;
    return NULL;
}

bool eg_study_weights_match(bool *full, const char *sha256, const char *expected) {
    size_t n = expected ? strlen(expected) : 0;
    *full = n == 64;
    return n >= 8 && n <= 64 && strncmp(sha256, expected, n) == 0;
}

/* One name in one folder. A file with another SHA-256 is remembered in out->wrong, once. */
static eg_status look_at(eg_cached_weights *out, const char *folder, const char *place,
                         const char *file, const char *expected, const char *also, eg_error *err) {
    char *path = eg_path_join(folder, file);
    char sha256[65];
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    if (eg_path_exists(path) && !eg_path_is_dir(path)) {
        /* one that cannot be read is as good as none: the next place may have it */
        bool full, read = eg_sha256_file(sha256, path, NULL) == EG_OK;
        bool same = read && (eg_study_weights_match(&full, sha256, expected) ||
                             eg_study_weights_match(&full, sha256, also));
        if (same) {
            out->path = path;
            out->place = place;
            out->full = full;
            memcpy(out->sha256, sha256, sizeof sha256);
            return EG_OK;
        }
        if (!out->wrong[0])
            snprintf(out->wrong, sizeof out->wrong, "%s is there but %s: not used", path,
                     read ? "has another SHA-256" : "cannot be read");
    }
    eg_free(path);
    return EG_OK;
}

eg_status eg_study_weights_cached(eg_cached_weights *out, const char *model, const char *file,
                                  const char *sha256, const eg_options *o, eg_error *err) {
    const struct {
        const char *folder, *name;
    } places[] = {{o->torch_cache, "PyTorch's cache"}, {o->cache, "the cache"}};
    const char *digits, *old = eg_study_weights_old_name(model, &digits);
    *out = (eg_cached_weights){0};
    for (size_t i = 0; i < 2 && file && sha256; i++) {
        if (!places[i].folder || !*places[i].folder) continue;
        EG_TRY(look_at(out, places[i].folder, places[i].name, file, sha256, NULL, err));
        if (!out->path && old)
            EG_TRY(look_at(out, places[i].folder, places[i].name, old, sha256, digits, err));
        if (out->path) return EG_OK;
    }
    return EG_OK;
}
