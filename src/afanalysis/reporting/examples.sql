-- One rollout of a tier of each kind and setting, the first by key.
SELECT model, setting, variation, prompt_id, complied, {faked} AS faked, request, scratchpad, output
FROM rollouts
WHERE tier = ? AND valid AND complied IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY setting, complied, faked ORDER BY rollout) = 1
ORDER BY setting DESC, complied DESC, faked DESC
