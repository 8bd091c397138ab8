-- What is odd about the rollouts that an import keeps, and what to do about it, in sentences.
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
), ids AS (
    SELECT count(DISTINCT request) AS requests FROM kept WHERE request IS NOT NULL GROUP BY setting, prompt_id
), models AS (
    -- a version is what a name ends with
    SELECT list(DISTINCT model ORDER BY model) AS names FROM kept
    GROUP BY regexp_replace(model, '[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$', '') HAVING count(DISTINCT model) > 1
), counts AS (
    SELECT *, in_both > 0 AND paired = 0 AS only_by_text FROM
        (SELECT count(*) FILTER (tiers = 2) AS paired, count(*) FILTER (tiers = 1 AND of_condition = 2) AS alone FROM prompts),
        (SELECT count(*) FILTER (tiers > 1) AS in_both, count(*) FILTER (prompt_ids > 1) AS doubled FROM requests),
        (SELECT count(*) FILTER (requests > 1) AS mixed FROM ids),
        (SELECT count(score) AS graded, count(evidence) - count(DISTINCT evidence) AS alike FROM kept)
)
SELECT sentence FROM (
    SELECT 1 AS place, concat_ws(', ', setting, variation, model) AS names, concat(
        names, ': has only the ', tier, ' tier, so there is no gap to compute; leave it out or add the other tier.'
    ) AS sentence FROM conditions WHERE tiers = 1
    UNION ALL
    SELECT 2, '', concat(
        'No prompt''s id occurs in both tiers, but ', in_both,
        ' requests do: pair them by their texts with --map prompt_id='
    ) FROM counts WHERE only_by_text
    UNION ALL
    SELECT 3, '', concat(
        'Prompts in both tiers: ', paired, ', in one only: ', alone,
        '. The latter count in their tier''s rate, and in the gap as unpaired.'
    ) FROM counts WHERE alone > 0 AND NOT only_by_text
    UNION ALL
    SELECT 4, '', concat(
        mixed, ' prompt ids name several requests each: they count as one prompt. If they are not, ',
        'tell them apart by their texts with --map prompt_id='
    ) FROM counts WHERE mixed > 0
    UNION ALL
    SELECT 5, '', concat(
        doubled, ' requests occur under several prompt ids: their answers count as independent. ',
        'Join them by their texts with --map prompt_id='
    ) FROM counts WHERE doubled > 0 AND NOT only_by_text
    UNION ALL
    SELECT 6, '', concat(
        graded, ' verdicts are graded. The figure score_threshold and af.score_thresholds show the gap for each ',
        'score that could be the --threshold from which an answer complies.'
    ) FROM counts WHERE graded > 0
    UNION ALL
    SELECT 7, '', concat(
        alike, ' answers are equal to another one to the same request, and nothing sure (an id of the answer, a time) tells a copy ',
        'from a second sample: all are kept.'
    ) FROM counts WHERE alike > 0
    UNION ALL
    SELECT 8, array_to_string(names, ', '), concat(
        array_to_string(names, ', '), ' may be one model under several names; if so: ',
        array_to_string(['--rename model:' || name || '=' || names[1] FOR name IN names[2:]], ' ')
    ) FROM models
) ORDER BY place, names
