/* The learning-rate finder (Smith 2017): one pass of training whose rate grows from step to step by the same factor, the
 * loss of each step kept. Suggested is the rate at which the smoothed loss, over the logarithm of the rate, falls
 * steepest: training images only, no validation. Draws its own small SVG, for the report room is not the study's to call.
 * Read first: recipe.h, sweep(). */
#include "study/recipe.h"
#include <math.h>
#include <string.h>

enum { STEPS = 100, EDGE = 5, WIDTH = 640, HEIGHT = 400, MARGIN = 56 };
static const double LOWEST = 1e-7, HIGHEST = 1.0, SMOOTHING = 0.9, BLOWN_UP = 4;

typedef struct {
    eg_run *run;
    eg_plan *plan;
    eg_loader *loader;
    eg_optimizer *opt;
    float *class_weight;
    double lr[STEPS], loss[STEPS], smooth[STEPS];
    int n;    /* steps done */
    int best; /* of the suggested rate; -1: none */
} finder;

static eg_status open_finder(finder *f, eg_error *err) {
    const eg_settings *s = f->run->s;
    const eg_data_stage *data = f->run->data;
    EG_TRY(eg_study_layers_set(f->run->net, s, s->o.unfreeze_epochs + 1, err));
    eg_plan_options plan = eg_study_train_plan(f->run);
    EG_TRY(eg_plan_new(&f->plan, f->run->net, &plan, err));
    eg_loader_options loader = eg_study_train_loader(f->run);
    EG_TRY(eg_loader_new(&f->loader, &loader, err));
    eg_opt_options opt = eg_study_optimizer_options(&s->o);
    opt.gathers = false;
    EG_TRY(eg_optimizer_for(&f->opt, f->run->net, &opt, err));
    f->class_weight = eg_study_class_weights(s, data);
    return f->class_weight ? EG_OK : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* One step at its rate; *ends: the loss has left, and there is nothing more to see. */
static eg_status one_step(bool *ends, finder *f, const eg_batch *batch, eg_error *err) {
    const eg_options *o = &f->run->s->o;
    size_t side = (size_t)f->run->s->preprocess.crop;
    int i = f->n;
    eg_loss_result loss;
    eg_loss_options how = {f->class_weight, o->label_smoothing, f->run->s->focal_gamma,
                           batch->labels2, batch->lambda};
    f->lr[i] = LOWEST * pow(HIGHEST / LOWEST, i / (double)(STEPS - 1));
    memcpy(eg_plan_input(f->plan), batch->pixels, batch->n * side * side * 3 * sizeof(float));
    EG_TRY(eg_plan_forward(f->plan, (int)batch->n, (uint64_t)i, err));
    EG_TRY(eg_plan_backward(&loss, f->plan, batch->labels, &how, err));
    double norm = eg_optimizer_grad_norm(f->opt), limit = o->clip_grad;
    *ends = !isfinite(loss.objective) || !isfinite(norm);
    if (*ends) return EG_OK;
    eg_optimizer_step(f->opt, f->lr[i], limit > 0 && norm > limit ? limit / norm : 1);
    /* a moving mean that counts what is missing at its start (as Adam's), so that the first losses are not small */
    static const double KEPT = SMOOTHING;
    double before = i > 0 ? f->smooth[i - 1] * (1 - pow(KEPT, i)) : 0;
    f->loss[i] = loss.objective;
    f->smooth[i] = (KEPT * before + (1 - KEPT) * loss.objective) / (1 - pow(KEPT, i + 1));
    f->n++;
    double least = INFINITY;
    for (int k = 0; k < f->n; k++) least = fmin(least, f->smooth[k]);
    *ends = f->n > 2 * EDGE && f->smooth[i] > BLOWN_UP * least;
    return EG_OK;
}

static eg_status sweep(finder *f, eg_error *err) {
    const eg_events *ev = f->run->ev;
    bool ends = false;
    for (uint32_t epoch = 1; f->n < STEPS && !ends; epoch++) {
        EG_TRY(eg_loader_start(f->loader, epoch, true, err));
        while (f->n < STEPS && !ends) {
            eg_batch batch;
            if (eg_study_stopped(ev))
                return eg_fail(err, EG_ERR_INTERRUPTED,
                               "interrupted in the sweep of the learning rate: nothing is written");
            EG_TRY(eg_loader_next(&batch, f->loader, err));
            if (batch.n == 0) break;
            EG_TRY(one_step(&ends, f, &batch, err));
            eg_study_report(ev, &(eg_progress){.kind = EG_PROGRESS_SCAN,
                                               .stage = "find-lr",
                                               .step = f->n,
                                               .n_steps = STEPS});
        }
    }
    return EG_OK;
}

/* The steepest fall, between neighbours of either side; the first and last steps tell of the smoothing alone. */
static void suggest(finder *f) {
    double steepest = 0;
    f->best = -1;
    for (int i = EDGE; i + EDGE < f->n; i++) {
        double slope = f->smooth[i + 1] - f->smooth[i - 1];
        if (slope < steepest) {
            steepest = slope;
            f->best = i;
        }
    }
}

static double plot_x(double lr) {
    return MARGIN + (WIDTH - 2 * MARGIN) * log(lr / LOWEST) / log(HIGHEST / LOWEST);
}

/* Smoothed loss over the rate, a line at the suggested one. */
static void draw(eg_buffer *b, const finder *f) {
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < f->n; i++) {
        low = fmin(low, f->smooth[i]);
        high = fmax(high, f->smooth[i]);
    }
    if (!(high > low)) high = low + 1;
    const double floor_y = HEIGHT - MARGIN, span = HEIGHT - 2 * MARGIN;
    eg_buffer_printf(b,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                     "font-family=\"sans-serif\" font-size=\"13\">\n"
                     "<title>Loss over the learning rate</title>\n"
                     "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
                     WIDTH, HEIGHT, WIDTH, HEIGHT);
    for (int decade = -7; decade <= 0; decade++)
        eg_buffer_printf(b,
                         "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                         "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">1e%d</text>\n",
                         plot_x(pow(10, decade)), plot_x(pow(10, decade)), MARGIN, floor_y,
                         plot_x(pow(10, decade)), floor_y + 20, decade);
    eg_buffer_printf(b,
                     "<text x=\"%d\" y=\"%d\">%.3g</text><text x=\"%d\" y=\"%.1f\">%.3g</text>\n"
                     "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">learning rate</text>\n"
                     "<text x=\"%d\" y=\"24\">training loss, smoothed</text>\n"
                     "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" points=\"",
                     8, MARGIN + 4, high, 8, floor_y, low, WIDTH / 2, HEIGHT - 12, MARGIN);
    for (int i = 0; i < f->n; i++)
        eg_buffer_printf(b, "%.1f,%.1f ", plot_x(f->lr[i]),
                         floor_y - span * (f->smooth[i] - low) / (high - low));
    eg_buffer_printf(b, "\"/>\n");
    if (f->best >= 0)
        eg_buffer_printf(
            b,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\" stroke=\"#c0392b\" "
            "stroke-dasharray=\"5 4\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" "
            "fill=\"#c0392b\">%.2g</text>\n",
            plot_x(f->lr[f->best]), plot_x(f->lr[f->best]), MARGIN, floor_y, plot_x(f->lr[f->best]),
            MARGIN - 8, f->lr[f->best]);
    eg_buffer_printf(b, "</svg>\n");
}

static eg_status write_text(const char *dir, const char *name, eg_buffer *b, eg_error *err) {
    char *path = eg_path_join(dir, name);
    eg_status status = path && !b->failed
                           ? eg_file_write_atomic(path, &(eg_part){b->data, b->size}, 1, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for %s", name);
    eg_free(path);
    eg_buffer_free(b);
    return status;
}

static json_t *document(const finder *f) {
    json_t *lr = json_array(), *loss = json_array(), *smooth = json_array();
    for (int i = 0; i < f->n; i++) {
        json_array_append_new(lr, eg_json_real(f->lr[i]));
        json_array_append_new(loss, eg_json_real(f->loss[i]));
        json_array_append_new(smooth, eg_json_real(f->smooth[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:o, s:o, s:o, s:o}", "model",
                     f->run->s->arch->name, "mode", eg_study_mode_name(f->run->s->mode), "opt",
                     f->run->s->o.opt, "batch_size", (json_int_t)f->run->s->o.batch_size, "steps",
                     f->n, "suggestion", f->best >= 0 ? eg_json_real(f->lr[f->best]) : json_null(),
                     "lr", lr, "loss", loss, "smoothed_loss", smooth);
}

static eg_status write_all(json_t **out, const finder *f, eg_error *err) {
    const char *dir = f->run->dir;
    eg_buffer csv = {0}, svg = {0};
    eg_buffer_printf(&csv, "lr,loss,smoothed_loss\n");
    for (int i = 0; i < f->n; i++)
        eg_buffer_printf(&csv, "%.9g,%.9g,%.9g\n", f->lr[i], f->loss[i], f->smooth[i]);
    draw(&svg, f);
    eg_status status = write_text(dir, "lr_finder.csv", &csv, err);
    if (status != EG_OK) eg_buffer_free(&svg);
    EG_TRY(status);
    EG_TRY(write_text(dir, "lr_finder.svg", &svg, err));
    json_t *json = document(f);
    status = eg_study_file_write(dir, "lr_finder.json", json, err);
    if (status == EG_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

static eg_status find(json_t **out, finder *f, eg_error *err) {
    EG_TRY(eg_study_run_network(f->run, err));
    EG_TRY(open_finder(f, err));
    EG_TRY(sweep(f, err));
    if (f->n <= 2 * EDGE)
        return eg_fail(
            err, EG_ERR_DIVERGED,
            "--find-lr: the loss was not finite after %d steps at a rate of %.2g: are the "
            "weights sound?",
            f->n, f->lr[f->n > 0 ? f->n - 1 : 0]);
    suggest(f);
    if (f->best >= 0)
        eg_study_note(f->run->ev, "the loss falls steepest at a learning rate of %.2g: --lr %.2g",
                      f->lr[f->best], f->lr[f->best]);
    return write_all(out, f, err);
}

eg_status eg_study_find_lr(json_t **out, eg_run *run, eg_error *err) {
    finder *f = eg_calloc(1, sizeof *f);
    if (!f) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    f->run = run;
    eg_status status = find(out, f, err);
    eg_optimizer_free(f->opt);
    eg_loader_free(f->loader);
    eg_plan_free(f->plan);
    eg_free(f->class_weight);
    eg_free(f);
    eg_network_free(run->net);
    run->net = NULL;
    return status;
}
