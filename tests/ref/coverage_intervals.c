/* Coverage of the 95 % intervals that are reported: accuracy and sensitivity (Wilson) exactly; AUC (DeLong on the logit
 * scale), the difference of two AUCs, of paired accuracies (Tango) and of independent ones by simulation, at
 * n = 100 and 624 and truths 0.6, 0.9 and 0.97; and accuracy of patients with several images, by image and by patient.
 * Prints the table of docs/figures.md and fails where an interval that is used leaves 93 to 97 %. Takes a minute. */
#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 624 };
static int failures;

/* `exact`: no simulation; else the standard error of `replicates` draws is allowed twice beyond the limits. `claimed`: an
 * interval that the program reports as 95 %; others are shown for comparison. */
static void report(const char *what, int n, double truth, double coverage, int replicates,
                   bool claimed) {
    double slack = replicates > 0 ? 2 * sqrt(0.95 * 0.05 / replicates) : 0;
    bool inside = coverage >= 0.93 - slack && coverage <= 0.97 + slack;
    printf("| %s | %d | %.2f | %.1f %% | %s | %s |\n", what, n, truth, 100 * coverage,
           replicates > 0 ? "simulated" : "exact",
           inside    ? "yes"
           : claimed ? "**no**"
                     : "no (not used)");
    fflush(stdout);
    failures += claimed && !inside;
}

static bool holds(const double ci[2], double truth) {
    return ci[0] <= truth && truth <= ci[1];
}

static void proportions(int n, double truth) {
    double wilson = 0, exact = 0, before = 0;
    for (int k = 0; k <= n; k++) {
        double up_to = eg_binomial_cdf(k, n, truth), mass = up_to - before, ci[2];
        before = up_to;
        if (mass < 1e-10) continue;
        eg_wilson(ci, k, n, 0.95);
        wilson += holds(ci, truth) ? mass : 0;
        eg_clopper_pearson(ci, k, n, 0.95);
        exact += holds(ci, truth) ? mass : 0;
    }
    report("accuracy, sensitivity: Wilson", n, truth, wilson, 0, true);
    report("the same: Clopper-Pearson", n, truth, exact, 0, false);
}

/* Binormal scores with this AUC; two of them share half of their variance. */
static void areas(int n, double truth, int replicates) {
    static double a[MOST], b[MOST];
    static int32_t label[MOST];
    double shift = sqrt(2) * eg_normal_quantile(truth);
    int single = 0, paired = 0;
    for (int r = 0; r < replicates; r++) {
        eg_random random = eg_random_make(91, (uint32_t)r, (uint32_t)n, (uint32_t)(100 * truth));
        for (int i = 0; i < n; i++) {
            label[i] = i * 8 < n * 5; /* 62.5 % positive, as in the chest X-rays' test set */
            double shared = sqrt(0.5) * eg_random_normal(&random);
            a[i] = shift * label[i] + shared + sqrt(0.5) * eg_random_normal(&random);
            b[i] = shift * label[i] + shared + sqrt(0.5) * eg_random_normal(&random);
        }
        double auc, variance, ci[2], d, p;
        eg_auc_delong(&auc, &variance, ci, a, label, (size_t)n, 0.95);
        single += holds(ci, truth);
        eg_auc_delong_paired(&d, ci, &p, a, b, label, (size_t)n, 0.95);
        paired += holds(ci, 0);
    }
    report("AUC: DeLong, logit", n, truth, (double)single / replicates, replicates, true);
    report("difference of AUCs: DeLong", n, truth, (double)paired / replicates, replicates, true);
}

/* Paired accuracies: a right with probability `truth`, b with truth - 0.03, errors of both correlated. Independent: the
 * same two shares on other images. */
static void differences(int n, double truth, int replicates) {
    static uint8_t a[MOST], b[MOST];
    int paired = 0, independent = 0;
    double wrong_a = 1 - truth, wrong_b = wrong_a + 0.03, both = 0.6 * wrong_a;
    for (int r = 0; r < replicates; r++) {
        eg_random random = eg_random_make(92, (uint32_t)r, (uint32_t)n, (uint32_t)(100 * truth));
        int64_t k1 = 0, k2 = 0;
        for (int i = 0; i < n; i++) {
            double u = eg_random_uniform(&random);
            a[i] = !(u < wrong_a);
            b[i] = !(u < both || (u >= wrong_a && u < wrong_a + wrong_b - both));
            k1 += eg_random_uniform(&random) < truth;
            k2 += eg_random_uniform(&random) < truth - 0.03;
        }
        eg_paired p;
        double d, ci[2];
        eg_mcnemar(&p, a, b, (size_t)n, 0.95);
        paired += holds(p.ci, 0.03);
        eg_difference_independent(&d, ci, k1, n, k2, n, 0.95);
        independent += holds(ci, 0.03);
    }
    report("paired difference of accuracies: Tango", n, truth, (double)paired / replicates,
           replicates, true);
    report("independent difference: Newcombe 10", n, truth, (double)independent / replicates,
           replicates, true);
}

static void mean_right(void *context, double *value, const uint32_t *indices, size_t n) {
    const uint8_t *right = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += right[indices[i]];
    *value = sum / (double)n;
}

/* Four images a patient, correlated by 0.3: each copies the patient's own answer with the root of that. */
static void patients(int n, double truth, int replicates) {
    static uint8_t right[MOST];
    static int32_t patient[MOST];
    int by_image = 0, by_patient = 0;
    for (int r = 0; r < replicates; r++) {
        eg_random random = eg_random_make(93, (uint32_t)r, (uint32_t)n, (uint32_t)(100 * truth));
        int64_t k = 0;
        uint8_t first = 0;
        for (int i = 0; i < n; i++) {
            patient[i] = i / 4;
            if (i % 4 == 0) first = eg_random_uniform(&random) < truth;
            bool copies = eg_random_uniform(&random) < sqrt(0.3);
            right[i] = copies ? first : eg_random_uniform(&random) < truth;
            k += right[i];
        }
        double ci[2];
        eg_resampled out;
        eg_wilson(ci, k, n, 0.95);
        by_image += holds(ci, truth);
        eg_resample_options o = {.cluster = patient, .n_resamples = 600, .seed = (uint64_t)r};
        if (eg_resample(&out, 1, mean_right, right, (size_t)n, &o, NULL) != EG_OK) failures++;
        by_patient += holds(out.ci, truth);
    }
    report("four images a patient: Wilson by image", n, truth, (double)by_image / replicates,
           replicates, false);
    report("four images a patient: bootstrap by patient", n, truth, (double)by_patient / replicates,
           replicates, n == 624 && truth < 0.95);
}

int main(void) {
    static const int SIZE[] = {100, 624};
    static const double TRUTH[] = {0.6, 0.9, 0.97};
    printf("| interval, 95 %% | n | truth | holds the truth | how | 93-97 %% |\n"
           "|---|---|---|---|---|---|\n");
    for (int s = 0; s < 2; s++) {
        for (int t = 0; t < 3; t++) {
            proportions(SIZE[s], TRUTH[t]);
            areas(SIZE[s], TRUTH[t], 10000);
            differences(SIZE[s], TRUTH[t], 10000);
            patients(SIZE[s], TRUTH[t], 1000);
        }
    }
    if (failures) fprintf(stderr, "%d intervals leave 93 to 97 %%\n", failures);
    return failures != 0;
}
