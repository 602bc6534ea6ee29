/* A network ready to step on random numbers: see stepper.h. */
#include "study/stepper.h"
#include <stdlib.h>

eg_status eg_study_stepper_open(eg_stepper *s, const char *model, int n_classes, int side,
                                int batch, eg_error *err) {
    *s = (eg_stepper){.batch = batch};
    EG_TRY(eg_network_new(&s->net, model, n_classes, side, err));
    eg_network_init(s->net, 0);
    s->labels = eg_malloc((size_t)batch * sizeof *s->labels);
    if (!s->labels) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (int i = 0; i < batch; i++) s->labels[i] = i % n_classes;
    return EG_OK;
}

void eg_study_stepper_fill(eg_stepper *s) {
    size_t side = (size_t)eg_network_side(s->net), n = (size_t)s->batch * side * side * 3;
    float *input = eg_plan_input(s->plan);
    eg_random random = eg_random_make(0, 0, 0, 0);
    for (size_t i = 0; i < n; i++) input[i] = (float)(2 * eg_random_uniform(&random) - 1);
}

void eg_study_stepper_close(eg_stepper *s) {
    eg_plan_free(s->plan);
    eg_optimizer_free(s->opt);
    eg_network_free(s->net);
    eg_free(s->labels);
    *s = (eg_stepper){0};
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double eg_study_median(double *values, size_t n) {
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}
