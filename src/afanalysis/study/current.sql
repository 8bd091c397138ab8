-- The rollouts that were sent what the study sends now. Left out is one whose condition's system prompt, whose request
-- or whose model's sampling settings have changed since, or whose request is no longer in the study.
-- `rollouts`: the journal. The tables `systems` and `requests` and the variables hold the hashes of what is sent now.
SELECT r.* FROM {rollouts} r
    JOIN systems s ON s.place = r.setting || ' ' || r.variation AND s.system = r.system
    JOIN requests q ON q.setting = r.setting AND q.prompt_id = r.prompt_id AND q.request = left(sha256(r.request), 16)
    WHERE r.sampling = coalesce(getvariable('by_model')[r.model], getvariable('sampling'))
