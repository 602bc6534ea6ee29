/* Features of all images by a frozen network, for drift, duplicates and label noise: those of `engraft features`, from the
 * cache where they are there. Read first: features.c, data_report.h.                                              */
#include "study/data_report.h"
#include "study/feature_cache.h"

static eg_status network_load(eg_network **net, const eg_data_case *c, const eg_settings *s,
                              eg_error *err) {
    eg_state_dict *sd = NULL;
    bool head;
    EG_TRY(eg_network_new(net, s->arch->name, c->ds->n_classes, s->preprocess.crop, err));
    EG_TRY(eg_weights_read(&sd, s->o.weights, err));
    eg_status status = eg_network_load(*net, sd, &head, err);
    if (status != EG_OK) status = eg_error_in(err, status, s->o.weights);
    eg_state_dict_free(sd);
    return status;
}

static eg_status extract(eg_data_case *c, eg_network **net, uint32_t **all, eg_settings *s,
                         eg_error *err) {
    eg_feature_store store = {0};
    EG_TRY(network_load(net, c, s, err));
    EG_TRY(eg_study_settings_fit(s, c->ds, c->ev, err));
    eg_row_cache cache = eg_study_row_cache(&s->o, c->ev);
    eg_scorer_options o = {.ds = c->ds,
                           .preprocess = s->preprocess,
                           .batch = s->score_batch > 0 ? s->score_batch : 16,
                           .workers = (int)s->o.workers,
                           .bf16 = s->bf16,
                           .features = true};
    EG_TRY(eg_dataset_indices(all, &o.n, c->ds, EG_SPLIT_ALL, err));
    o.indices = *all;
    if (cache.folder) EG_TRY(eg_dataset_hash(c->ds, *all, o.n, c->ev, err));
    EG_TRY(eg_study_features_get(&store, *net, &o, &cache, c->ev, err));
    c->features = store.rows;
    c->n_features = store.width;
    c->model = s->arch->name;
    return EG_OK;
}

eg_status eg_study_data_features(eg_data_case *c, eg_error *err) {
    eg_settings s;
    eg_network *net = NULL;
    uint32_t *all = NULL;
    EG_TRY(eg_study_settings_resolve(&s, c->o, c->o->model, "frozen", err));
    eg_study_settings_say(&s, NULL, c->ev);
    eg_status status = extract(c, &net, &all, &s, err);
    eg_free(all);
    eg_network_free(net);
    eg_study_settings_free(&s);
    return status;
}
