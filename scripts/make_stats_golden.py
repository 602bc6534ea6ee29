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


SECTIONS = {"DISTRIBUTION": distributions, "INTERVAL": proportions, "ROC": roc, "METRICS": classification,
            "PAIRED": tests, "LOGISTIC": logistic, "LOGME": logme}
print("/* Expected values for tests/unit/test_*.c of src/stats. Written by scripts/make_stats_golden.py; do not edit.\n"
      " * Define GOLDEN_<SECTION> before including, so that a test sees only what it uses. */\n// clang-format off\n"
      "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>")
for name, section in SECTIONS.items():
    print(f"\n#ifdef GOLDEN_{name}")
    section()
    print("#endif")
print("// clang-format on")
