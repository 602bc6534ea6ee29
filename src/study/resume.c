/* The state behind --resume: network, optimiser moments and counters of the last finished epoch, in
 * two alternating slots. state.json names the valid slot and is replaced last, so a kill at any
 * moment leaves one whole slot; the checkpoints last and best are links to the slot's network, so
 * each epoch writes the network once; averaged weights, where a run keeps them, are files of the slot
 * too, and then last and best are theirs. Random streams are keyed by (seed, epoch, sample), so nothing
 * else has to be kept for the same bits. */
#include "study/recipe.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_SLOTS = 2, MAX_PATH_TEXT = 4096 };

/* DIR/resume/<name><slot>.safetensors; false when the path is too long. */
static bool slot_path(char out[MAX_PATH_TEXT], const char *dir, const char *name, int64_t slot) {
    int n =
        snprintf(out, MAX_PATH_TEXT, "%s/resume/%s%lld.safetensors", dir, name, (long long)slot);
    return n > 0 && n < MAX_PATH_TEXT;
}

static eg_status too_long(const char *dir, eg_error *err) {
    return eg_fail(err, EG_ERR_USAGE, "%s: path too long", dir);
}

/* Make DIR/name the same file as `from`: link beside it, then rename over it. Where the file system
 * has no links the network is saved again. */
static eg_status publish(eg_run *run, const char *from, const char *name, int64_t epoch,
                         double threshold, eg_error *err) {
    char to[MAX_PATH_TEXT], temporary[MAX_PATH_TEXT];
    int n = snprintf(to, sizeof to, "%s/%s", run->dir, name);
    int m = snprintf(temporary, sizeof temporary, "%s/.%s.link", run->dir, name);
    if (n < 0 || m < 0 || n >= MAX_PATH_TEXT || m >= MAX_PATH_TEXT) return too_long(run->dir, err);
    unlink(temporary);
    if (link(from, temporary) == 0) {
        if (rename(temporary, to) == 0) {
            unlink(temporary); /* rename does nothing when both names are the same file already */
            return EG_OK;
        }
        unlink(temporary);
    }
    return eg_study_checkpoint_save(run, to, epoch, threshold, err);
}

static eg_status write_state(const eg_run *run, const eg_resume_state *state, int64_t slot,
                             eg_error *err) {
    char best_loss[40]; /* as text with all its bits: a later epoch is compared with it */
    snprintf(best_loss, sizeof best_loss, "%.17g", state->best_loss);
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:I, s:s, s:o, s:O}", "epoch", (json_int_t)state->epoch, "slot",
                  (json_int_t)slot, "best_epoch", (json_int_t)state->best_epoch, "bad_epochs",
                  (json_int_t)state->bad_epochs, "best_loss", best_loss, "train_seconds",
                  eg_json_real(state->train_seconds), "history", run->history);
    eg_status status = eg_study_file_write(run->dir, "resume/state.json", json, err);
    json_decref(json);
    return status;
}

/* best before state.json: a state that names a best epoch must find that file */
static eg_status publish_all(eg_run *run, const char *from, bool is_best, int64_t epoch,
                             double threshold, eg_error *err) {
    if (is_best) EG_TRY(publish(run, from, "best.safetensors", epoch, threshold, err));
    return publish(run, from, "last.safetensors", epoch, threshold, err);
}

/* A copy as a checkpoint of the slot; with `is_best` it is what last and best become. */
static eg_status save_copy(eg_run *run, eg_weights_copy *copy, const char *name, int64_t slot,
                           const eg_resume_state *state, double threshold, const bool *is_best,
                           eg_error *err) {
    char path[MAX_PATH_TEXT];
    if (!slot_path(path, run->dir, name, slot)) return too_long(run->dir, err);
    eg_study_copy_swap(copy);
    eg_status status = eg_study_checkpoint_save(run, path, state->epoch, threshold, err);
    if (status == EG_OK && is_best)
        status = publish_all(run, path, *is_best, state->epoch, threshold, err);
    eg_study_copy_swap(copy);
    return status;
}

static eg_status load_copy(eg_run *run, eg_weights_copy *copy, const char *name, int64_t slot,
                           eg_error *err) {
    char path[MAX_PATH_TEXT];
    if (!copy) return EG_OK;
    if (!slot_path(path, run->dir, name, slot)) return too_long(run->dir, err);
    EG_TRY(eg_study_checkpoint_load(run->net, path, err));
    eg_study_copy_follow(copy, 1);
    return EG_OK;
}

eg_status eg_study_resume_save(eg_run *run, const eg_optimizer *opt, const eg_resume_state *state,
                               double threshold, bool is_best, eg_error *err) {
    char network[MAX_PATH_TEXT], moments[MAX_PATH_TEXT];
    int64_t slot = state->epoch % N_SLOTS;
    if (!slot_path(network, run->dir, "network-", slot) ||
        !slot_path(moments, run->dir, "optimizer-", slot))
        return too_long(run->dir, err);
    char *folder = eg_path_join(run->dir, "resume");
    eg_status status =
        folder ? eg_dir_make(folder, err) : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    eg_free(folder);
    EG_TRY(status);
    EG_TRY(eg_study_checkpoint_save(run, network, state->epoch, threshold, err));
    EG_TRY(eg_optimizer_save(opt, moments, NULL, 0, err));
    if (run->mean) EG_TRY(save_copy(run, run->mean, "mean-", slot, state, threshold, NULL, err));
    if (run->ema) {
        EG_TRY(save_copy(run, run->ema, "ema-", slot, state, threshold, &is_best, err));
    } else {
        EG_TRY(publish_all(run, network, is_best, state->epoch, threshold, err));
    }
    return write_state(run, state, slot, err);
}

static eg_status parse_state(eg_resume_state *state, int64_t *slot, eg_run *run, const json_t *json,
                             eg_error *err) {
    json_int_t epoch, where, best, bad;
    double seconds = 0, loss;
    const char *best_loss;
    json_t *history;
    if (json_unpack((json_t *)json, "{s:I, s:I, s:I, s:I, s:s, s:F, s:o}", "epoch", &epoch, "slot",
                    &where, "best_epoch", &best, "bad_epochs", &bad, "best_loss", &best_loss,
                    "train_seconds", &seconds, "history", &history) != 0 ||
        !json_is_array(history) || where < 0 || where >= N_SLOTS || epoch < 1 ||
        !eg_parse_real(&loss, best_loss))
        return eg_fail(err, EG_ERR_INPUT,
                       "%s/resume/state.json is damaged - train again with --overwrite", run->dir);
    *state = (eg_resume_state){epoch, best, bad, loss, seconds};
    *slot = where;
    json_array_clear(run->history);
    if (json_array_extend(run->history, history) != 0)
        return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    return EG_OK;
}

static eg_status load_moments(eg_optimizer *opt, const char *path, eg_error *err) {
    eg_state_dict *sd = NULL;
    EG_TRY(eg_weights_read(&sd, path, err));
    eg_status status = eg_optimizer_load(opt, sd, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_state_dict_free(sd);
    return status;
}

eg_status eg_study_resume_load(eg_resume_state *state, eg_run *run, eg_optimizer *opt,
                               eg_error *err) {
    char network[MAX_PATH_TEXT], moments[MAX_PATH_TEXT];
    int64_t slot = 0;
    json_t *json = NULL;
    eg_resume_state read = {.best_loss = INFINITY};
    char *path = eg_path_join(run->dir, "resume/state.json");
    if (!path) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    bool present = eg_path_exists(path);
    eg_free(path);
    if (!present) {
        *state = read;
        return EG_OK;
    }
    EG_TRY(eg_study_file_read(&json, run->dir, "resume/state.json", err));
    eg_status status = parse_state(&read, &slot, run, json, err);
    json_decref(json);
    EG_TRY(status);
    if (!slot_path(network, run->dir, "network-", slot) ||
        !slot_path(moments, run->dir, "optimizer-", slot))
        return too_long(run->dir, err);
    EG_TRY(load_copy(run, run->ema, "ema-", slot, err));
    EG_TRY(load_copy(run, run->mean, "mean-", slot, err));
    EG_TRY(eg_study_checkpoint_load(run->net, network, err)); /* last: the one that trains on */
    EG_TRY(load_moments(opt, moments, err));
    *state = read;
    return EG_OK;
}

void eg_study_resume_clear(const char *dir) {
    char path[MAX_PATH_TEXT];
    int n = snprintf(path, sizeof path, "%s/resume/state.json", dir);
    if (n > 0 && n < MAX_PATH_TEXT) unlink(path);
    for (int64_t slot = 0; slot < N_SLOTS; slot++) {
        if (slot_path(path, dir, "network-", slot)) unlink(path);
        if (slot_path(path, dir, "optimizer-", slot)) unlink(path);
        if (slot_path(path, dir, "ema-", slot)) unlink(path);
        if (slot_path(path, dir, "mean-", slot)) unlink(path);
    }
    n = snprintf(path, sizeof path, "%s/resume", dir);
    if (n > 0 && n < MAX_PATH_TEXT) rmdir(path);
}
