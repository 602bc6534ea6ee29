/* Learning rates against torch's schedulers, and the corners they do not have. */
#include "net_test.h"

#include "data/net/schedule_golden.h"

static void check(const eg_schedule *s, const double *golden) {
    for (int step = 0; step < 42; step++) {
        double got = eg_schedule_lr(s, step);
        if (fabs(got - golden[step]) > 1e-9 * golden[step])
            fail_msg("step %d: got %.17g, expected %.17g", step, got, golden[step]);
    }
}

static void as_torch(void **state) {
    (void)state;
    check(&(eg_schedule){EG_SCHED_STEP, .lr = 0.3, .gamma = 0.1, .step_size = 2, .n_epochs = 6,
                         .steps_per_epoch = 7},
          golden_step);
    check(&(eg_schedule){EG_SCHED_COSINE, .lr = 0.3, .min_lr = 0.001, .warmup_epochs = 2,
                         .n_epochs = 6, .steps_per_epoch = 7},
          golden_cosine);
    check(&(eg_schedule){EG_SCHED_ONECYCLE, .lr = 0.3, .n_epochs = 1, .steps_per_epoch = 43},
          golden_onecycle);
    check(&(eg_schedule){EG_SCHED_ONECYCLE, .lr = 0.3, .warmup_epochs = 0.5, .n_epochs = 1,
                         .steps_per_epoch = 43},
          golden_onecycle_own);
}

static void ends(void **state) {
    (void)state;
    eg_schedule s = {EG_SCHED_CONSTANT, .lr = 0.5, .warmup_epochs = 1, .n_epochs = 3,
                     .steps_per_epoch = 5};
    assert_true(eg_schedule_lr(&s, 0) == 0.5 / 25);
    assert_true(eg_schedule_lr(&s, 4) < 0.5 && eg_schedule_lr(&s, 4) > 0.4);
    assert_true(eg_schedule_lr(&s, 5) == 0.5);
    assert_true(eg_schedule_lr(&s, 1000) == 0.5);
    s.warmup_epochs = 0;
    assert_true(eg_schedule_lr(&s, 0) == 0.5);
    s.kind = EG_SCHED_ONECYCLE;
    assert_true(fabs(eg_schedule_lr(&s, 14) - 0.5 / 25 / 1e4) < 1e-12);
    assert_true(eg_schedule_lr(&s, 99) == eg_schedule_lr(&s, 14));
}

/* ReduceLROnPlateau: the rate after each epoch, from the losses so far alone. */
static void plateau(void **state) {
    (void)state;
    const size_t n = sizeof golden_plateau_losses / sizeof *golden_plateau_losses;
    eg_schedule s = {EG_SCHED_PLATEAU, .lr = 0.3,      .gamma = 0.1,
                     .min_lr = 0.0005, .n_epochs = 20, .steps_per_epoch = 5,
                     .patience = 2};
    assert_true(eg_schedule_plateau(&s, NULL, 0) == 0.3);
    for (size_t k = 1; k <= n; k++) {
        s.patience = 2;
        assert_float_equal(eg_schedule_plateau(&s, golden_plateau_losses, k), golden_plateau[k - 1],
                           1e-15);
        s.patience = 0;
        assert_float_equal(eg_schedule_plateau(&s, golden_plateau_losses, k),
                           golden_plateau_at_once[k - 1], 1e-15);
    }
    const double none[] = {NAN, NAN};
    assert_float_equal(eg_schedule_plateau(&s, none, 2), 0.003, 1e-15);
    assert_true(eg_schedule_lr(&s, 3) == 0.3); /* not set: as given */
    s.plateau_lr = 0.003;
    assert_true(eg_schedule_lr(&s, 3) == 0.003);
    s.warmup_epochs = 1;
    assert_true(eg_schedule_lr(&s, 0) == 0.3 / 25);
}

/* Every kind, also with silly numbers: finite, never above lr, never below 0. */
static void bounded(void **state) {
    (void)state;
    for (int kind = EG_SCHED_CONSTANT; kind <= EG_SCHED_PLATEAU; kind++)
        for (int epochs = 0; epochs < 4; epochs++)
            for (int per_epoch = 0; per_epoch < 4; per_epoch++)
                for (int warmup = 0; warmup < 6; warmup++)
                    for (int step = 0; step < 14; step++) {
                        eg_schedule s = {(eg_sched_kind)kind,           .lr = 0.5,
                                         .warmup_epochs = warmup * 0.7, .gamma = 0.1,
                                         .step_size = step % 2,         .n_epochs = epochs,
                                         .steps_per_epoch = per_epoch};
                        double lr = eg_schedule_lr(&s, step);
                        assert_true(isfinite(lr) && lr >= 0 && lr <= 0.5 * (1 + 1e-12));
                    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_torch), cmocka_unit_test(ends),
                                       cmocka_unit_test(plateau), cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
