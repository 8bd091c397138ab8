-- The rollouts of an import: `entries` as they were read, and `kept`, in which each is once.
-- `entries`: the file that was read; `longest`: how long an entry may be, in bytes.
CREATE TABLE entries (
    -- as the rollout's record has them
    setting VARCHAR, variation VARCHAR, model VARCHAR, tier VARCHAR, prompt_id VARCHAR, source VARCHAR,
    score DOUBLE, valid BOOLEAN,
    line BIGINT,        -- the number of its record in the file of records
    name VARCHAR,       -- what its key is made from, in 32 hex digits
    identity VARCHAR,   -- the same without its file, of one that its log does not name
    checksum BIGINT,    -- of its record and votes, to tell copies from other versions
    verdicts BIGINT,    -- how many its votes hold
    judged BOOLEAN,     -- whether one of them is on compliance
    digest VARCHAR,     -- of its file
    file BIGINT,        -- its number
    row BIGINT,
    request VARCHAR,    -- a hash; missing where there is no request
    sample BIGINT,      -- as the log has it
    votes JSON
);
COPY entries FROM {entries} (FORMAT json, maximum_object_size {longest});

-- Numbered among the answers to its prompt in its condition. Of two versions the one with more verdicts is kept,
-- whatever the order of the files.
CREATE TABLE kept AS
WITH once AS (
    FROM entries
    QUALIFY row_number() OVER (PARTITION BY name ORDER BY verdicts DESC, checksum, digest, row, line) = 1
)
SELECT * REPLACE (row_number() OVER (
    PARTITION BY setting, variation, model, tier, prompt_id ORDER BY coalesce(sample, -1), name
) - 1 AS sample)
FROM once
