-- The tidy table: each rollout with its verdicts and labels.
-- A blocked answer has no verdict: it counts as refused (by_api) where that is wanted. Thinking that the API does not
-- return cannot be judged (unseen).
-- `columns`: the table's; `rollouts`, `votes`: what is read; `blocked`: how blocked answers count; `own_prompts`: the
-- settings whose prompt is the study's own; `questions`: the study's own.
SELECT {columns} FROM (
    SELECT r.* REPLACE (
            CASE WHEN r.variation = 'default' AND r.setting IN ({own_prompts}) THEN {own_prompt} ELSE r.variation END
                AS variation,
            coalesce(r.sample, error('a line has no sample')) AS sample,
            coalesce(r.valid, error('a line has no valid')) AND r.blocked IS NULL OR by_api AS valid,
            CASE WHEN r.origin IS NULL THEN coalesce(r.scratchpad_from, 'tags') END AS scratchpad_from
        ),
        coalesce(r.key, error('a line has no key')) AS rollout,
        CASE WHEN by_api THEN false ELSE v.complied END AS complied,
        CASE WHEN by_api THEN true ELSE NOT v.complied END AS refused,
        CASE WHEN by_api THEN false WHEN NOT unseen THEN v.af_full END AS af_full,
        CASE WHEN by_api THEN false WHEN NOT unseen THEN v.af_partial END AS af_partial,
        CASE WHEN by_api THEN 0 WHEN unseen OR NOT v.about_reasoning THEN NULL WHEN NOT v.complied THEN 0
            WHEN v.complied THEN (v.af_full::INT + v.af_partial::INT) / 2 END AS af_reasoning,
        CASE WHEN NOT by_api AND NOT unseen THEN v.af_stage END AS af_stage,
        CASE WHEN by_api THEN 'stop_reason' WHEN v.rollout IS NOT NULL THEN $judge END AS judge,
        CASE WHEN NOT by_api THEN v.judge_agreeing END AS judge_agreeing,
        CASE WHEN NOT by_api THEN v.judge_confidence END AS judge_confidence,
        v.judge_blocked, v.judge_unquoted{questions},
        l.complied AS label_complied, l.af_reasoning AS label_af_reasoning, l.weight AS label_weight
    FROM (
        SELECT * REPLACE (
                CASE WHEN stop_reason = 'refusal' THEN coalesce(nullif(blocked, ''), 'unspecified') END AS blocked
            ),
            '{blocked}' = 'refused' AND coalesce(stop_reason, '') = 'refusal' AS by_api,
            coalesce(scratchpad_from, 'tags') != 'tags' AND coalesce(scratchpad, '') = '' AS unseen
        FROM {rollouts}
    ) r
    LEFT JOIN ({votes}) v ON v.rollout = r.key AND r.blocked IS NULL
    LEFT JOIN labels l ON l.rollout = r.key
)
