#!/usr/bin/env python3
"""Write tests/data/stats/stats_golden.h: expected values of src/stats from scikit-learn and SciPy.

Where neither has the figure (DeLong, Wilson as a check, calibration error, Holm, prior shift), the formula is
written out here in the slow, obvious way, another way than the C code goes. Needed only to make the file again:

    python3 scripts/make_stats_golden.py > tests/data/stats/stats_golden.h

Needs numpy, scipy, scikit-learn (made with 2.4.6, 1.17.1, 1.9.1).
"""
import math
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240607)


def number(v):
    v = float(v)
    if math.isnan(v):
        return "NAN"
    if math.isinf(v):
        return "INFINITY" if v > 0 else "-INFINITY"
    return repr(v)


def rows(values, form):
    out, line = [], "   "
    for v in values:
        text = " " + form(v) + ","
        if len(line) + len(text) > 110:
            out.append(line)
            line = "   "
        line += text
    return "\n".join(out + [line])


def array(ctype, name, values, form=number):
    print(f"static const {ctype} {name}[] = {{\n{rows(values, form)}\n}};")


def integers(name, values, ctype="int32_t"):
    array(ctype, name, values, lambda v: str(int(v)))


# ---- distributions -------------------------------------------------------------------------------------------

def distributions():
    z = [-37.0, -8.5, -3.0, -1.0, -1e-3, 0.0, 0.3, 1.96, 5.0, 9.0]
    array("double", "golden_normal_cdf", [w for v in z for w in (v, stats.norm.cdf(v))])
    p = [1e-200, 1e-12, 1e-4, 0.024, 0.025, 0.1, 0.5, 0.6, 0.975, 0.9999]
    array("double", "golden_normal_quantile", [w for v in p for w in (v, stats.norm.ppf(v))])
    cases = [(0.1, 1), (3.84, 1), (30.0, 1), (0.5, 2.5), (12.0, 10), (90.0, 100), (130.0, 100), (5100.0, 5000)]
    array("double", "golden_chi2_cdf", [w for x, d in cases for w in (x, d, stats.chi2.cdf(x, d))])
    cases = [(0.975, 1), (0.975, 2), (0.9, 3.5), (0.025, 9), (0.6, 30), (0.995, 200), (0.975, 1e6), (1e-9, 4)]
    array("double", "golden_t_quantile", [w for q, d in cases for w in (q, d, stats.t.ppf(q, d))])
    cases = [(0, 5, 0.3), (2, 5, 0.3), (50, 100, 0.5), (10, 100, 0.5), (583, 624, 0.92), (5000, 10000, 0.51),
             (0, 1, 0.5), (3, 4000, 0.001)]
    array("double", "golden_binomial_cdf", [w for k, n, q in cases for w in (k, n, q, stats.binom.cdf(k, n, q))])


def proportions():
    out = []
    for k, n, level in [(0, 10, .95), (10, 10, .95), (1, 1, .95), (81, 263, .95), (15, 148, .99), (573, 624, .95),
                        (1, 29, .9)]:
        test = stats.binomtest(k, n)
        wilson = test.proportion_ci(level, method="wilson")
        exact = test.proportion_ci(level, method="exact")
        out += [k, n, level, wilson.low, wilson.high, exact.low, exact.high]
    array("double", "golden_proportion", out)
    x = rng.normal(3, 2, 12)
    array("double", "golden_mean_x", x)
    low, high = stats.t.interval(0.95, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    array("double", "golden_mean", [x.mean(), low, high])


# ---- ROC -----------------------------------------------------------------------------------------------------

def psi(score, label):
    """(n1, n0) matrix: 1 where the positive wins, 1/2 at a tie (DeLong, DeLong & Clarke-Pearson 1988)."""
    a, b = score[label == 1][:, None], score[label == 0][None, :]
    return (a > b) + 0.5 * (a == b)


def delong(scores, label):
    """Areas and their covariance matrix by the definition, O(n1 n0)."""
    mats = [psi(s, label) for s in scores]
    v10 = np.array([m.mean(1) for m in mats])
    v01 = np.array([m.mean(0) for m in mats])
    n1, n0 = mats[0].shape
    return [m.mean() for m in mats], np.atleast_2d(np.cov(v10)) / n1 + np.atleast_2d(np.cov(v01)) / n0


def area_interval(auc, var, n1, n0):
    if var > 1e-30 and 0 < auc < 1:
        half = stats.norm.ppf(0.975) * math.sqrt(var) / (auc * (1 - auc))
        logit = math.log(auc / (1 - auc))
        return 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))
    m = min(n1, n0)
    low = stats.binomtest(math.floor(auc * m), m).proportion_ci(0.95, method="exact").low
    high = stats.binomtest(math.ceil(auc * m), m).proportion_ci(0.95, method="exact").high
    return low, high


def roc_cases():
    label = (rng.random(60) < 0.4).astype(int)
    smooth = label * 1.2 + rng.normal(0, 1, 60)
    yield "smooth", smooth, label
    yield "ties", np.round(smooth * 2) / 2, label
    yield "equal", np.full(20, 0.5), np.tile([0, 1], 10)
    yield "perfect", np.r_[np.linspace(0, .4, 8), np.linspace(.6, 1, 12)], np.r_[np.zeros(8), np.ones(12)].astype(int)
    yield "reversed", np.r_[np.linspace(.6, 1, 5), np.linspace(0, .4, 6)], np.r_[np.zeros(5), np.ones(6)].astype(int)
    yield "one_positive", rng.random(9), np.r_[1, np.zeros(8)].astype(int)
    yield "negatives_only", rng.random(7), np.zeros(7, int)
    yield "positives_only", rng.random(7), np.ones(7, int)
    yield "single", np.array([0.3]), np.array([1])


def roc():
    table = []
    for name, score, label in roc_cases():
        n1, n0 = int(label.sum()), int((1 - label).sum())
        auc = var = low = high = math.nan
        if n1 and n0:
            auc = metrics.roc_auc_score(label, score)
            if n1 > 1 and n0 > 1:
                (mine,), cov = delong([score], label)
                assert abs(mine - auc) < 1e-14
                var = cov[0, 0]
            low, high = area_interval(auc, var, n1, n0)
        ap = metrics.average_precision_score(label, score) if n1 else math.nan
        fpr, tpr, threshold = metrics.roc_curve(label, score, drop_intermediate=False)
        array("double", f"golden_{name}_score", score)
        integers(f"golden_{name}_label", label)
        array("double", f"golden_{name}_curve", np.c_[fpr, tpr, threshold].ravel())
        table.append(f'    {{"{name}", golden_{name}_score, golden_{name}_label, {len(score)}, {number(auc)}, '
                     f"{number(var)}, {{{number(low)}, {number(high)}}}, {number(ap)}, golden_{name}_curve, {len(fpr)}}},")
    print("static const struct {\n    const char *name;\n    const double *score;\n    const int32_t *label;\n"
          "    size_t n;\n    double auc, variance, ci[2], ap;\n    const double *curve; /* (points, 3) */\n"
          "    size_t points;\n} golden_roc[] = {")
    print("\n".join(table) + "\n};")
    label = (rng.random(80) < 0.5).astype(int)
    shared = label + rng.normal(0, 1, 80)
    a, b = shared + rng.normal(0, .6, 80), np.round(shared + rng.normal(0, .9, 80), 1)
    areas, cov = delong([a, b], label)
    d, sd = areas[0] - areas[1], math.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    z = stats.norm.ppf(0.975)
    array("double", "golden_paired_a", a)
    array("double", "golden_paired_b", b)
    integers("golden_paired_label", label)
    array("double", "golden_paired", [d, d - z * sd, d + z * sd, 2 * stats.norm.sf(abs(d) / sd)])


# ---- metrics -------------------------------------------------------------------------------------------------

def ece(prob, label, guess):
    confidence = prob[np.arange(len(label)), guess]
    total, edges = 0.0, np.linspace(0, 1, 16)
    for lo, hi in zip(edges[:-1], edges[1:]):
        inside = (confidence > lo) & (confidence <= hi)
        if inside.any():
            total += inside.mean() * abs((guess == label)[inside].mean() - confidence[inside].mean())
    return total


def metric_cases():
    label = (rng.random(70) < 0.6).astype(int)
    p1 = np.round(1 / (1 + np.exp(-(label * 2 - 1 + rng.normal(0, 1.3, 70)))), 2)
    binary = np.c_[1 - p1, p1]
    yield "binary", binary, label, math.nan
    yield "binary_cut", binary, label, 0.3
    yield "one_class", binary[:12], np.ones(12, int), math.nan
    label = rng.integers(0, 3, 60)
    logit = rng.normal(0, 1, (60, 3)) + 1.3 * np.eye(3)[label]
    three = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
    yield "three", three, label, math.nan
    two_of_three = np.where(label == 2, 0, label)
    yield "absent", three, two_of_three, math.nan
    yield "case", three[:1], label[:1], math.nan


def metric_figures(prob, label, threshold):
    k = prob.shape[1]
    guess = prob.argmax(1) if math.isnan(threshold) else (prob[:, 1] >= threshold).astype(int)
    confusion = metrics.confusion_matrix(label, guess, labels=range(k))
    classes = len(set(label))
    nan = math.nan
    fig = {"loss": -np.log(np.clip(prob[np.arange(len(label)), label], 1e-12, None)).mean(),
           "accuracy": metrics.accuracy_score(label, guess),
           "balanced": metrics.balanced_accuracy_score(label, guess),
           "auc": nan, "sens": nan, "spec": nan, "ppv": nan, "npv": nan, "mcc": nan,
           "brier": metrics.brier_score_loss(label, prob[:, 1], pos_label=1) if k == 2
           else ((prob - np.eye(k)[label]) ** 2).sum(1).mean(),
           "ece": ece(prob, label, guess)}
    if k == 2:
        tn, fp, fn, tp = confusion.ravel()
        if classes == 2:
            fig["auc"] = metrics.roc_auc_score(label, prob[:, 1])
            fig["mcc"] = metrics.matthews_corrcoef(label, guess)
        fig["sens"] = tp / (tp + fn) if tp + fn else nan
        fig["spec"] = tn / (tn + fp) if tn + fp else nan
        fig["ppv"] = tp / (tp + fp) if tp + fp else nan
        fig["npv"] = tn / (tn + fn) if tn + fn else nan
        fig["f1"] = metrics.f1_score(label, guess)
    else:
        if classes == k:
            fig["auc"] = metrics.roc_auc_score(label, prob, multi_class="ovr", average="macro")
        fig["f1"] = metrics.f1_score(label, guess, average="macro")
    return fig, confusion


METRIC_FIELDS = ["loss", "accuracy", "balanced", "auc", "sens", "spec", "ppv", "npv", "f1", "mcc", "brier", "ece"]


def classification():
    table = []
    for name, prob, label, threshold in metric_cases():
        fig, confusion = metric_figures(prob, label, threshold)
        array("double", f"golden_{name}_prob", prob.ravel())
        integers(f"golden_{name}_truth", label)
        integers(f"golden_{name}_confusion", confusion.ravel(), "int64_t")
        values = ", ".join(number(fig[f]) for f in METRIC_FIELDS)
        table.append(f'    {{"{name}", golden_{name}_prob, golden_{name}_truth, {len(label)}, {prob.shape[1]}, '
                     f"{number(threshold)},\n     golden_{name}_confusion,\n     {values}}},")
    print("static const struct {\n    const char *name;\n    const double *prob;\n    const int32_t *label;\n"
          "    size_t n;\n    int n_classes;\n    double threshold;\n    const int64_t *confusion;\n    double "
          + ", ".join(METRIC_FIELDS) + ";\n} golden_metrics[] = {")
    print("\n".join(table) + "\n};")


def tests():
    out = []
    for a, b in [(0, 0), (1, 0), (5, 5), (2, 12), (40, 21), (120, 180)]:
        p = stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0
        out += [a, b, p]
    array("double", "golden_mcnemar", out)
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.04, 0.9, 1e-20])
    order, m = np.argsort(p, kind="stable"), len(p)
    adjusted, running = np.empty(m), 0.0
    for i, j in enumerate(order):
        running = max(running, min(1.0, (m - i) * p[j]))
        adjusted[j] = running
    array("double", "golden_holm_p", p)
    array("double", "golden_holm", adjusted)


# ---- logistic ------------------------------------------------------------------------------------------------

def exact_fit(x, y, C, weight):
    """LogisticRegression by Newton's method, checked by its gradient and against the L-BFGS solver, which stops
    by its own rule on the function value a little before."""
    x = x.astype(np.float64)
    fits = [LogisticRegression(C=C, solver=s, tol=1e-10, max_iter=100000, class_weight=weight).fit(x, y)
            for s in ("lbfgs", "newton-cg")]
    (_, by_lbfgs), (fit, prob) = [(f, f.predict_proba(x)) for f in fits]
    assert np.abs(by_lbfgs - prob).max() < 5e-6, np.abs(by_lbfgs - prob).max()
    s = np.array([C * (weight[t] if weight else 1) for t in y])[:, None]
    residual = s * (prob - np.eye(prob.shape[1])[y])
    residual = residual[:, 1:] if prob.shape[1] == 2 else residual
    gradient = fit.coef_ + residual.T @ x
    assert max(np.abs(gradient).max(), np.abs(residual.sum(0)).max()) < 1e-7
    return prob


def logistic():
    # like pooled features: positive, of different widths, not centred
    x = np.abs(rng.normal(1, 1, (60, 8)) * np.array([1, .1, 3, .5, 10, 1, .02, 2])).astype(np.float32)
    array("float", "golden_logistic_x", x.ravel(), lambda v: f"{float(v)!r}f")
    score = (x / x.std(0)) @ rng.normal(0, 1, 8)
    table = []
    for name, k, C, weights in [("k2", 2, 0.01, None), ("k2_weighted", 2, 1.0, [2.5, 0.7]), ("k3", 3, 0.01, None),
                                ("k3_weighted", 3, 5.0, [1.0, 0.4, 3.0])]:
        noisy = score + rng.normal(0, 1, 60)
        y = np.searchsorted(np.quantile(noisy, np.linspace(0, 1, k + 1)[1:-1] * 0.8), noisy)
        weight = dict(enumerate(weights)) if weights else None
        prob = exact_fit(x, y, C, weight)
        integers(f"golden_{name}_y", y)
        array("double", f"golden_{name}_fit", prob.ravel())
        if weights:
            array("double", f"golden_{name}_weight", weights)
        table.append(f'    {{"{name}", golden_{name}_y, {k}, {number(C)}, '
                     f'{f"golden_{name}_weight" if weights else "NULL"}, golden_{name}_fit}},')
    print("static const struct {\n    const char *name;\n    const int32_t *label;\n    int n_classes;\n"
          "    double C;\n    const double *class_weight;\n    const double *prob; /* (60, n_classes) */\n"
          "} golden_logistic[] = {")
    print("\n".join(table) + "\n};")


# ---- LogME ---------------------------------------------------------------------------------------------------

def log_evidence(f, y, alpha, beta):
    """log N(y; 0, I / beta + F F' / alpha) by its definition: no SVD, no closed form of the authors."""
    cov = np.eye(len(y)) / beta + f @ f.T / alpha
    sign, logdet = np.linalg.slogdet(cov)
    return -0.5 * (logdet + y @ np.linalg.solve(cov, y) + len(y) * math.log(2 * math.pi))


def best_evidence(f, y):
    from scipy.optimize import minimize
    fits = [minimize(lambda p: -log_evidence(f, y, math.exp(p[0]), math.exp(p[1])), start, method="Nelder-Mead",
                     options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000}) for start in ((0, 0), (2, 2), (4, 1))]
    return -min(fit.fun for fit in fits) / len(y)


def logme():
    own = np.random.default_rng(20211)  # a stream of its own: sections before it keep their values
    table = []
    for name, n, d, k in [("tall", 60, 8, 3), ("wide", 24, 40, 2), ("deficient", 50, 10, 2), ("square", 30, 30, 4)]:
        x = np.round(np.maximum(own.normal(0.3, 1, (n, d)), 0) * 32) / 32  # short to print, exact in float
        if name == "deficient":
            x[:, 7] = x[:, 2]
            x[:, 9] = 0
        y = np.argsort(np.argsort(x[:, :3] @ [1.0, -1.0, 0.5] + own.normal(0, 0.7, n))) * k // n
        value = np.mean([best_evidence(x, (y == c).astype(float)) for c in range(k)])
        array("float", f"golden_{name}_x", x.ravel(), lambda v: repr(float(v)) + "f")
        integers(f"golden_{name}_y", y)
        table.append(f'    {{"{name}", golden_{name}_x, golden_{name}_y, {n}, {d}, {k}, {number(value)}}},')
    print("static const struct {\n    const char *name;\n    const float *x; /* (n, D) */\n    const int32_t *label;\n"
          "    size_t n, D;\n    int n_classes;\n    double value;\n} golden_logme[] = {")
    print("\n".join(table) + "\n};")


# ---- published ROC examples ----------------------------------------------------------------------------------

# DeLong, DeLong & Clarke-Pearson (1988) as in SAS/STAT's PROC LOGISTIC example: albumin, total protein, K-G score, outcome.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1"""
# pROC's example, aSAH (Turck et al. 2010): ranks of S100b and WFNS, the 41 poor outcomes first, then the 72 good ones.
# From the placements of pROC's own tests; areas 0.7313686 and 0.8236789, DeLong Z = -2.209, p = 0.02718, interval
# -0.17421442 to -0.01040618 as its documentation prints them.
S100B = """14 10 20 13 37 43 41 4 30 8 4 35 33 40 43 25 43 43 43 4 43 27 1 8 23 43 25 43 6 25 14 10 12 23 43 16 43 28 43
43 37 14 16 10 2 38 22 10 10 2 6 2 8 12 4 22 4 12 14 22 2 20 16 32 8 42 38 20 4 36 38 12 6 8 6 2 14 10 16 18 2
2 8 2 8 6 20 8 6 30 12 26 4 10 28 4 2 24 34 10 18 6 16 10 4 2 22 18 38 22 18 42 40"""
WFNS = """6 4 8 10 10 10 10 4 10 4 2 4 10 8 8 4 10 10 10 4 10 4 10 4 8 10 8 8 2 8 8 4 4 10 10 4 4 10 10 10 10 2 2 2 2 10
2 4 4 2 4 4 2 2 2 4 2 4 2 2 6 8 2 8 2 10 10 2 2 4 8 2 2 4 4 2 4 2 4 4 2 2 2 2 4 2 4 2 2 6 4 8 4 2 8 2 2 10 8 4
4 2 2 2 6 2 4 4 8 8 2 2 2"""


def delong_published():
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    label = table[:, 3].astype(int)
    scores = [table[:, 0], table[:, 1], 10 - table[:, 2]]
    areas, cov = delong(scores, label)
    contrast = np.array([[1, 0, -1], [0, 1, -1.0]])
    e = contrast @ areas
    chi2 = e @ np.linalg.solve(contrast @ cov @ contrast.T, e)
    assert round(chi2, 4) == 2.5340 and round(stats.chi2.sf(chi2, 2), 4) == 0.2817  # as SAS prints them
    array("double", "golden_ovarian_score", np.concatenate(scores))
    integers("golden_ovarian_label", label)
    array("double", "golden_ovarian", [*areas, *cov.ravel(), chi2, stats.chi2.sf(chi2, 2)])
    label = np.r_[np.ones(41, int), np.zeros(72, int)]
    a, b = [np.array(t.split(), float) for t in (S100B, WFNS)]
    areas, cov = delong([a, b], label)
    assert abs(areas[0] - 0.731368563685637) < 1e-14 and abs(areas[1] - 0.823678861788618) < 1e-14
    d, sd = areas[0] - areas[1], math.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    z, p = stats.norm.ppf(0.975), 2 * stats.norm.sf(abs(d) / sd)
    assert round(d / sd, 3) == -2.209 and round(p, 5) == 0.02718
    assert round(d - z * sd, 8) == -0.17421442 and round(d + z * sd, 8) == -0.01040618
    array("double", "golden_asah_s100b", a)
    array("double", "golden_asah_wfns", b)
    integers("golden_asah_label", label)
    array("double", "golden_asah", [*areas, cov[0, 0], cov[1, 1], d, d - z * sd, d + z * sd, p])


# ---- sections added later: streams of their own, so that those before keep their values -----------------------

def resampling():
    own = np.random.default_rng(7001)
    x = own.gamma(2.0, 1.0, 40)
    estimate = x.mean()
    values = own.choice(x, (300, 40)).mean(1)
    values[5] = estimate  # a tie with the estimate counts half
    left_out = np.array([np.delete(x, i).mean() for i in range(40)])
    d = left_out.mean() - left_out
    acceleration = (d ** 3).sum() / (6 * (d ** 2).sum() ** 1.5)
    # as scipy.stats.bootstrap(method="BCa"), whose draws cannot be given from outside
    share = ((values < estimate).mean() + (values <= estimate).mean()) / 2
    z0 = stats.norm.ppf(share)
    ends = [stats.norm.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z))) for z in stats.norm.ppf([0.025, 0.975])]
    array("double", "golden_bca_x", x)
    array("double", "golden_bca_values", values)
    array("double", "golden_bca", [estimate, acceleration, *np.percentile(values, [100 * e for e in ends])])


def kappa_interval(confusion):
    """Delta method with the derivative by complex steps instead of the published formula."""
    n = confusion.sum()
    p = (confusion / n).astype(complex)

    def kappa(q):
        pe = (q.sum(0) * q.sum(1)).sum()
        return (np.trace(q) - pe) / (1 - pe)
    gradient = np.zeros(p.shape)
    for i in np.ndindex(p.shape):
        q = p.copy()
        q[i] += 1e-30j
        gradient[i] = kappa(q).imag / 1e-30
    p = p.real
    sd = math.sqrt(((p * gradient ** 2).sum() - (p * gradient).sum() ** 2) / n)
    k = kappa(p).real
    return k, k - stats.norm.ppf(0.975) * sd, k + stats.norm.ppf(0.975) * sd


def rest_interval(parts, n):
    """parts: (scores, is_class, case of each). Influence of every case by the full matrix of pairs."""
    influence, area = np.zeros(n), 0.0
    for score, is_class, case, weight in parts:
        m = psi(score, is_class)
        area += weight * m.mean()
        np.add.at(influence, case[is_class == 1], weight * (m.mean(1) - m.mean()) / m.shape[0])
        np.add.at(influence, case[is_class == 0], weight * (m.mean(0) - m.mean()) / m.shape[1])
    variance = (influence ** 2).sum() * n / (n - 1)
    return (area, *area_interval(area, variance, 1, 1))


def multiclass():
    own = np.random.default_rng(7002)
    label = own.integers(0, 4, 90)
    logit = np.round(own.normal(0, 1, (90, 4)) + 1.2 * np.eye(4)[label], 2)
    prob = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
    confusion = metrics.confusion_matrix(label, prob.argmax(1))
    k, low, high = kappa_interval(confusion)
    assert abs(k - metrics.cohen_kappa_score(label, prob.argmax(1))) < 1e-14
    onehot, cases = np.eye(4, dtype=int)[label], np.arange(90)
    macro = rest_interval([(prob[:, c], onehot[:, c], cases, 0.25) for c in range(4)], 90)
    micro = rest_interval([(prob.ravel(), onehot.ravel(), np.repeat(cases, 4), 1.0)], 90)
    assert abs(macro[0] - metrics.roc_auc_score(label, prob, multi_class="ovr", average="macro")) < 1e-14
    assert abs(micro[0] - metrics.roc_auc_score(onehot, prob, average="micro")) < 1e-14
    array("double", "golden_four_prob", prob.ravel())
    integers("golden_four_label", label)
    integers("golden_four_confusion", confusion.ravel(), "int64_t")
    array("double", "golden_four", [k, low, high, *macro, *micro])


def pr_curve():
    own = np.random.default_rng(7003)
    label = (own.random(50) < 0.35).astype(int)
    score = np.round(label + own.normal(0, 1, 50), 1)
    precision, recall, threshold = metrics.precision_recall_curve(label, score)
    threshold = np.r_[threshold, np.inf]
    array("double", "golden_pr_score", score)
    integers("golden_pr_label", label)
    array("double", "golden_pr", np.c_[precision, recall, threshold][::-1].ravel())
    ap = metrics.average_precision_score(label, score)
    half = stats.norm.ppf(0.975) / math.sqrt(label.sum() * ap * (1 - ap))
    logit = math.log(ap / (1 - ap))
    array("double", "golden_ap", [ap, 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))])


def calibration():
    from scipy.optimize import brentq, minimize
    from sklearn.calibration import calibration_curve
    from sklearn.isotonic import IsotonicRegression
    own = np.random.default_rng(7004)
    label = (own.random(80) < 0.6).astype(int)
    p = np.round(1 / (1 + np.exp(-(2.5 * (label * 2 - 1) + own.normal(0, 3, 80)))), 3)
    array("double", "golden_cal_p", p)
    integers("golden_cal_label", label)
    for name, strategy in (("width", "uniform"), ("mass", "quantile")):
        rate, mean = calibration_curve(label, p, n_bins=8, strategy=strategy)
        array("double", f"golden_cal_{name}", np.c_[rate, mean].ravel())
    clipped = np.clip(p, 1e-12, None), np.clip(1 - p, 1e-12, None)
    f = np.log(clipped[0]) - np.log(clipped[1])
    target = np.where(label == 1, (label.sum() + 1) / (label.sum() + 2), 1 / ((1 - label).sum() + 2))

    def loss(w):
        x = w[0] * f + w[1]
        s = 1 / (1 + np.exp(-x))
        return (np.logaddexp(0, x) - target * x).sum(), np.array([((s - target) * f).sum(), (s - target).sum()])
    fit = minimize(loss, [0.5, 0], jac=True, method="BFGS", options={"gtol": 1e-12})
    for _ in range(5):  # Newton to the last digits
        s = 1 / (1 + np.exp(-(fit.x[0] * f + fit.x[1])))
        w = s * (1 - s)
        h = np.array([[(w * f * f).sum(), (w * f).sum()], [(w * f).sum(), w.sum()]])
        fit.x = fit.x - np.linalg.solve(h, loss(fit.x)[1])
    array("double", "golden_cal_platt", [*fit.x, *1 / (1 + np.exp(-(fit.x[0] * f + fit.x[1])))[:5]])
    iso = IsotonicRegression(out_of_bounds="clip").fit(p, label)
    probe = np.linspace(0, 1, 41)
    array("double", "golden_cal_isotonic", iso.predict(probe))
    k = 3
    label = own.integers(0, k, 60)
    logit = 3 * (own.normal(0, 1, (60, k)) + np.eye(k)[label])
    prob = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
    z = np.log(np.clip(prob, 1e-12, None))

    def slope(b):
        q = np.exp(b * z - (b * z).max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        return ((q * z).sum(1) - z[np.arange(60), label]).mean()
    temperature = 1 / brentq(slope, 0.01, 100, xtol=1e-15, rtol=1e-14)
    q = np.exp(z / temperature)
    array("double", "golden_temp_prob", prob.ravel())
    integers("golden_temp_label", label)
    array("double", "golden_temp", [temperature, *(q / q.sum(1, keepdims=True))[0]])


def causes():
    from scipy.optimize import curve_fit
    own = np.random.default_rng(7005)
    # learning curve
    size = np.array([100, 200, 400, 800, 1600, 3200.0])
    sigma = 0.3 / np.sqrt(size)
    error = 0.05 + 2.0 * size ** -0.6 + sigma * np.array([0.4, -0.7, 0.2, 0.5, -0.3, 0.1])
    fit, _ = curve_fit(lambda n, a, b, c: a + b * (n / 100) ** -c, size, error, [0.05, 0.1, 0.6], sigma=sigma,
                       bounds=([0, 0, 0.01], [1, 10, 3]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    a, b, c = fit
    array("double", "golden_curve_size", size)
    array("double", "golden_curve_error", error)
    array("double", "golden_curve_sigma", sigma)
    array("double", "golden_curve", [a, b * 100 ** c, c, a + b * (6400 / 100) ** -c])
    # confident learning, as cleanlab's compute_confident_joint and calibrate_confident_joint say it
    k, n = 3, 120
    label = own.integers(0, k, n)
    logit = own.normal(0, 1, (n, k)) + 2 * np.eye(k)[label]
    prob = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
    given = np.where(own.random(n) < 0.15, (label + 1) % k, label)
    threshold = np.array([prob[given == c, c].mean() for c in range(k)])
    joint = np.zeros((k, k))
    for row, y in zip(prob, given):
        above = np.where(row >= threshold)[0]
        if len(above):
            joint[y, above[row[above].argmax()]] += 1
    joint = joint / joint.sum(1, keepdims=True) * np.bincount(given)[:, None] / n
    array("double", "golden_noise_prob", prob.ravel())
    integers("golden_noise_label", given)
    array("double", "golden_noise_joint", joint.ravel())
    # CKA by the definition with centring matrices
    for name, m, d1, d2 in (("cases", 12, 20, 15), ("features", 40, 6, 9)):
        x = np.round(own.normal(0, 1, (m, d1)) * 32) / 32
        y = np.round((x @ own.normal(0, 1, (d1, d2)) + own.normal(0, 3, (m, d2))) * 32) / 32
        h = np.eye(m) - 1 / m
        kx, ky = h @ x @ x.T @ h, h @ y @ y.T @ h
        value = np.trace(kx @ ky) / math.sqrt(np.trace(kx @ kx) * np.trace(ky @ ky))
        array("float", f"golden_cka_{name}_x", x.ravel(), lambda v: repr(float(v)) + "f")
        array("float", f"golden_cka_{name}_y", y.ravel(), lambda v: repr(float(v)) + "f")
        array("double", f"golden_cka_{name}", [value])
    # class shares: the likelihood maximised directly, not by EM
    from scipy.optimize import minimize
    label = own.choice(3, 150, p=[0.6, 0.3, 0.1])
    logit = own.normal(0, 1, (150, 3)) + 2 * np.eye(3)[label]
    prob, prior = np.exp(logit) / np.exp(logit).sum(1, keepdims=True), np.array([0.2, 0.3, 0.5])
    ratio = prob / prior

    def negative(w):
        q = np.r_[w, 0]
        q = np.exp(q - q.max()) / np.exp(q - q.max()).sum()
        mix = ratio @ q
        g = -(ratio * q / mix[:, None]).sum(0) + len(mix) * q
        return -np.log(mix).sum(), g[:2]
    fit = minimize(negative, [0, 0], jac=True, method="BFGS", options={"gtol": 1e-11})
    q = np.exp(np.r_[fit.x, 0])
    array("double", "golden_prior_prob", prob.ravel())
    array("double", "golden_prior", q / q.sum())


def sizes():
    # Connor (1987); and the power at that n by the exact binomial over discordant pairs, as a check of the size of it
    out = []
    for psi_, d, power in [(0.1, 0.03, 0.8), (0.25, 0.05, 0.9), (0.06, 0.04, 0.8)]:
        za, zb = stats.norm.ppf(0.975), stats.norm.ppf(power)
        out += [psi_, d, power, math.ceil((za * math.sqrt(psi_) + zb * math.sqrt(psi_ - d * d)) ** 2 / d ** 2)]
    array("double", "golden_sizes", out)


def tango():
    """Score interval of a paired difference: the restricted maximum found numerically, not by Tango's quadratic."""
    from scipy.optimize import brentq, minimize_scalar

    def statistic(b, c, n, d):
        def negative(q):  # log-likelihood of the trinomial with shares q + d, q, 1 - 2 q - d
            rest = n - b - c
            return -sum(k * math.log(max(p, 1e-300)) for k, p in ((b, q + d), (c, q), (rest, 1 - 2 * q - d)) if k)
        lo, hi = max(0, -d), (1 - d) / 2
        q = minimize_scalar(negative, bounds=(lo, hi), method="bounded", options={"xatol": 1e-14}).x
        q = min((q, lo, hi), key=negative)
        return (b - c - n * d) / math.sqrt(n * (2 * q + d - d * d))
    z, out = stats.norm.ppf(0.975), []
    for b, c, n in [(6, 7, 25), (10, 0, 40), (1, 0, 44), (0, 0, 30), (12, 53, 155), (40, 21, 624), (3, 3, 9)]:
        d = (b - c) / n
        low = brentq(lambda x: statistic(b, c, n, x) - z, -1 + 1e-7, d - 1e-9 if d > -1 else -1, xtol=1e-13)
        high = brentq(lambda x: statistic(b, c, n, x) + z, d + 1e-9, 1 - 1e-7, xtol=1e-13)
        out += [b, c, n, low, high]
    array("double", "golden_tango", out)


SECTIONS = {"DISTRIBUTION": distributions, "INTERVAL": proportions, "ROC": roc, "METRICS": classification,
            "PAIRED": tests, "LOGISTIC": logistic, "LOGME": logme, "DELONG": delong_published,
            "RESAMPLE": resampling, "MULTICLASS": multiclass, "PR": pr_curve, "CALIBRATION": calibration, "CAUSES": causes,
            "SIZES": sizes, "TANGO": tango}
print("/* Expected values for tests/unit/test_*.c of src/stats. Written by scripts/make_stats_golden.py; do not edit.\n"
      " * Define GOLDEN_<SECTION> before including, so that a test sees only what it uses. */\n// clang-format off\n"
      "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>")
for name, section in SECTIONS.items():
    print(f"\n#ifdef GOLDEN_{name}")
    section()
    print("#endif")
print("// clang-format on")
