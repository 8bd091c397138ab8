-- The judges of a study, with how well formed their votes are. Of a vote that was requested again the best line counts.
-- `votes`: the journal.
SELECT judge,
    count(DISTINCT rollout) AS rollouts,
    count(DISTINCT (rollout, vote)) AS votes,
    count(DISTINCT (rollout, vote)) FILTER (undecided IS NOT NULL) AS undecided,
    count(DISTINCT (rollout, vote)) FILTER (blocked IS NOT NULL) AS blocked,
    coalesce(sum(quotes), 0)::BIGINT AS quotes,
    coalesce(sum(quotes_not_found), 0)::BIGINT AS quotes_not_found
FROM (
    FROM {votes}
    QUALIFY row_number() OVER (
        PARTITION BY judge, rollout, vote, part ORDER BY undecided IS NOT NULL, coalesce(attempt, 0)
    ) = 1
)
GROUP BY judge
