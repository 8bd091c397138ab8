-- The rollouts in reading order, with what they are found by and the words in which they are shown; `raw` has every
-- column of the schema.
CREATE TABLE rollouts AS
SELECT
  columns(lambda name: name NOT IN ('verdict', 'AF reasoning', 'disagreement', 'found', 'thought')),
  CASE WHEN complied IS NULL AND blocked IS NOT NULL THEN 'blocked' WHEN NOT valid THEN 'invalid'
    WHEN complied IS NULL THEN 'undecided' WHEN complied THEN 'complied' ELSE 'refused' END AS verdict,
  CASE WHEN af_full THEN 'full' WHEN af_partial THEN 'partial'
    WHEN af_full IS NULL THEN 'undecided' ELSE 'none' END AS "AF reasoning",
  CASE WHEN label_complied IS NOT NULL AND complied IS NOT NULL
    AND label_complied != complied THEN 'judge and people'
    WHEN judge_agreeing < 1 THEN 'votes' ELSE 'none' END AS disagreement,
  concat(verdict, CASE WHEN verdict = 'blocked' THEN ' by the API (' || blocked || ')'
    WHEN verdict IN ('complied', 'refused') AND "AF reasoning" IN ('full', 'partial')
      THEN ' with ' || "AF reasoning" || ' AF reasoning'
    WHEN verdict IN ('complied', 'refused') AND "AF reasoning" = 'undecided' AND coalesce(scratchpad, '') != ''
      THEN ', AF reasoning undecided' END) AS found,
  CASE WHEN scratchpad_from IN ('thinking', 'think-tags') THEN 'Thinking' ELSE 'Scratchpad' END AS thought
FROM raw
ORDER BY list_position(['helpful-only', 'animal-welfare'], setting), setting, variation != 'default', variation,
  model, prompt_id, sample, list_position(['free', 'paid'], tier), tier
