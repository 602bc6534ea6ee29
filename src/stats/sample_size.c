/* How many cases it would take to tell two classifiers apart: paired proportions from the share of discordant cases,
 * and any difference whose standard error is known for one n. Planning figures: they take the observed difference for
 * the true one. */
#include "stats/stats.h"

#include <math.h>

static bool levels_make_sense(double level, double power) {
    return level > 0 && level < 1 && power > 0 && power < 1;
}

/* Connor (1987), Biometrics 43:207, for McNemar's test: with share psi of pairs that disagree and difference d,
 * n = (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2. */
double eg_sample_size_paired(double discordant, double difference, double level, double power) {
    double d = fabs(difference);
    if (!levels_make_sense(level, power) || !(discordant > 0 && discordant <= 1)) return NAN;
    if (!(d > 0) || d > discordant) return NAN;
    double z_a = eg_normal_quantile(0.5 + 0.5 * level), z_b = eg_normal_quantile(power);
    double root = z_a * sqrt(discordant) + z_b * sqrt(fmax(discordant - d * d, 0));
    return ceil(root * root / (d * d));
}

/* The standard error falls with the root of n, the mix of classes kept. */
double eg_sample_size_scaled(double difference, double se, size_t n, double level, double power) {
    double d = fabs(difference);
    if (!levels_make_sense(level, power) || !(d > 0) || !(se > 0) || n == 0) return NAN;
    double z = eg_normal_quantile(0.5 + 0.5 * level) + eg_normal_quantile(power);
    return ceil((double)n * (z * se / d) * (z * se / d));
}

/* P(|d / se| beyond the critical value), the far tail counted too. */
double eg_power_scaled(double difference, double se, double level) {
    if (!(se > 0) || !(level > 0 && level < 1) || isnan(difference)) return NAN;
    double z = eg_normal_quantile(0.5 + 0.5 * level), shift = fabs(difference) / se;
    return eg_normal_cdf(shift - z) + eg_normal_cdf(-shift - z);
}
