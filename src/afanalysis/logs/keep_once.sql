-- Each rollout once, numbered among the answers to its prompt in its condition. Of two versions the one with more verdicts
-- is kept, whatever the order of the files.
CREATE TABLE kept AS
WITH once AS (
    FROM entries
    QUALIFY row_number() OVER (PARTITION BY name ORDER BY verdicts DESC, checksum, digest, row, line) = 1
)
SELECT * REPLACE (row_number() OVER (
    PARTITION BY setting, variation, model, tier, prompt_id ORDER BY coalesce(sample, -1), name
) - 1 AS sample)
FROM once
