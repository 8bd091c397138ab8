# Known answers for the tests of `stats`, from independent software. Run with:
#   Rscript tests/stats/known_answers.R        (R 4.2, survey 4.1, brglm2 0.9, geepack 1.3,
# metafor 3.8)
suppressMessages({library(survey); library(brglm2); library(geepack); library(metafor)})
options(digits = 9)

cat("== a rate and a gap where every prompt weighs alike: survey, prompts as clusters\n")
n <- c(5, 1, 20, 3, 8, 2); s <- c(2, 0, 11, 3, 1, 0); m <- c(4, 2, 10, 1, 6, 5); r <- c(0, 1, 3, 0, 1, 0)
answers <- do.call(rbind, lapply(seq_along(n), function(i) data.frame(
  prompt = i, tier = c(rep("free", n[i]), rep("paid", m[i])),
  y = c(rep(1, s[i]), rep(0, n[i] - s[i]), rep(1, r[i]), rep(0, m[i] - r[i])),
  w = c(rep(1 / n[i], n[i]), rep(1 / m[i], m[i])))))
free <- svydesign(~prompt, weights = ~w, data = subset(answers, tier == "free"))
print(svymean(~y, free))
both <- svydesign(~prompt, weights = ~w, data = answers)
print(summary(svyglm(y ~ tier, both))$coefficients["tierpaid", 1:2])

cat("== Firth's estimates: brglm2\n")
d <- data.frame(s = c(4, 1, 3, 0, 0, 0), n = c(5, 5, 5, 5, 5, 5), tier = c(1, 1, 1, 0, 0, 0))
print(coef(glm(cbind(s, n - s) ~ tier, binomial, d, method = "brglm_fit", type = "AS_mean")))
data(ohio)
print(coef(glm(resp ~ age * smoke, binomial, ohio, method = "brglm_fit", type = "AS_mean")))
print(coef(geeglm(resp ~ age * smoke, id = id, data = ohio, family = binomial, corstr = "independence")))

cat("== an unweighted mean over conditions and its prediction interval: base R\n")
y <- c(.14, .02, .31, .08, .00, .22)
print(t.test(y)$conf.int)
fit <- lm(y ~ 1); print(predict(fit, data.frame(1), interval = "prediction"))

cat("== the same rate and gap where every answer weighs alike: survey, prompts as clusters\n")
print(svymean(~y, svydesign(~prompt, weights = ~1, data = subset(answers, tier == "free"))))
print(summary(svyglm(y ~ tier, svydesign(~prompt, weights = ~1, data = answers)))$coefficients["tierpaid", 1:2])

cat("== intervals on the effective sample size: survey\n")
ten <- data.frame(prompt = rep(1:40, each = 10),
                  y = unlist(lapply(rep(c(0, 2, 7, 10), 10), function(s) rep(1:0, c(s, 10 - s)))))
design <- svydesign(~prompt, weights = ~1, data = ten)
print(svymean(~y, design, deff = "replace"))
for (method in c("logit", "beta", "mean")) print(attr(svyciprop(~y, design, method = method), "ci"))

cat("== adjusted p-values, and the exact McNemar test: base R\n")
print(p.adjust(c(.001, .02, .03, .04, .5), "holm"))
print(p.adjust(c(.001, .02, .03, .04, .5), "BH"))
print(binom.test(2, 14)$p.value)

cat("== homogeneity and Paule and Mandel's variance of the BCG vaccine trials: metafor\n")
y <- c(-.8893, -1.5854, -1.3481, -1.4416, -.2175, -.7861, -1.6209, .0120, -.4694, -1.3713, -.3394, .4459, -.0173)
v <- c(.3256, .1946, .4154, .0200, .0512, .0069, .2230, .0040, .0564, .0730, .0124, .5325, .0714)
fit <- rma(y, v, method = "PM"); print(c(Q = fit$QE, tau2 = fit$tau2))
