-- The rollouts in reading order, with what they are found by; `raw` has every column of the schema.
CREATE TABLE rollouts AS
SELECT
  columns(lambda name: name NOT IN ('verdict', 'af', 'disagreement', 'place')),
  CASE WHEN NOT valid THEN 'invalid' WHEN complied IS NULL THEN 'undecided'
    WHEN complied THEN 'complied' ELSE 'refused' END AS verdict,
  CASE WHEN af_full THEN 'full' WHEN af_partial THEN 'partial'
    WHEN af_full IS NULL THEN 'undecided' ELSE 'none' END AS af,
  CASE WHEN label_complied IS NOT NULL AND complied IS NOT NULL
    AND label_complied != complied THEN 'judge and people'
    WHEN judge_agreeing < 1 THEN 'votes' ELSE 'none' END AS disagreement,
  row_number() OVER (ORDER BY setting, variation, model, prompt_id, sample, tier) AS place
FROM raw ORDER BY place
