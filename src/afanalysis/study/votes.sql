-- The journal of votes: one line per reply of a judge, with the columns that are queried. A vote of a blind judge has
-- two lines, which `part` tells apart; `attempt` counts the replies to one call.
-- `path`: the journal; `longest`: how long a line may be, in bytes.
read_json({path}, format = 'newline_delimited', records = true, maximum_object_size = {longest}, columns = {{
    rollout: 'VARCHAR', judge: 'VARCHAR', fallback_for: 'VARCHAR', vote: 'BIGINT', part: 'VARCHAR', attempt: 'BIGINT',
    words: 'VARCHAR',       -- a hash of the study's own words, if it has any
    met: 'BOOLEAN',         -- the answer to a question of the study's own
    undecided: 'VARCHAR', blocked: 'VARCHAR', unquoted: 'VARCHAR[]',
    complied: 'BOOLEAN', af_full: 'BOOLEAN', af_partial: 'BOOLEAN',
    criteria: 'STRUCT(notices_conflict STRUCT(met BOOLEAN), reasons_about_modification STRUCT(met BOOLEAN))',
    quotes: 'BIGINT', quotes_not_found: 'BIGINT'
}})
