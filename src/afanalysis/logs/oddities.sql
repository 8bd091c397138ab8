-- What is odd about the rollouts that an import keeps, in one row.
WITH conditions AS (
    SELECT setting, variation, model, min(tier) AS tier, count(DISTINCT tier) AS tiers
    FROM kept GROUP BY setting, variation, model
), prompts AS (
    SELECT count(DISTINCT kept.tier) AS tiers, any_value(conditions.tiers) AS of_condition
    FROM kept JOIN conditions USING (setting, variation, model)
    GROUP BY setting, variation, model, prompt_id
), requests AS (
    SELECT count(DISTINCT tier) AS tiers, count(DISTINCT prompt_id) AS prompt_ids
    FROM kept WHERE request IS NOT NULL GROUP BY request
), models AS (
    -- a version is what a name ends with
    SELECT list(DISTINCT model ORDER BY model) AS names FROM kept
    GROUP BY regexp_replace(model, '[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$', '') HAVING count(DISTINCT model) > 1
)
SELECT
    (SELECT list([setting, variation, model, tier] ORDER BY setting, variation, model)
        FROM conditions WHERE tiers = 1) AS one_tier,
    (SELECT list(names ORDER BY names) FROM models) AS one_model,
    (SELECT count_if(tiers = 2) FROM prompts) AS paired,
    (SELECT count_if(tiers = 1 AND of_condition = 2) FROM prompts) AS alone,
    (SELECT count_if(tiers > 1) FROM requests) AS in_both,
    (SELECT count_if(prompt_ids > 1) FROM requests) AS doubled,
    (SELECT count(*) FROM (
        SELECT 1 FROM kept WHERE request IS NOT NULL
        GROUP BY setting, prompt_id HAVING count(DISTINCT request) > 1
    )) AS mixed,
    count(score) AS graded,
    count(identity) - count(DISTINCT identity) AS alike
FROM kept
