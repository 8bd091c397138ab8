-- The rollouts of an import: `entries` as they were read, `kept`, in which each is once, and the
-- `others`.
-- `entries`: the file that was read; `longest`: how long an entry may be, in bytes.
CREATE TABLE entries (
    -- as the rollout's record has them
    setting VARCHAR, variation VARCHAR, model VARCHAR, tier VARCHAR, prompt_id VARCHAR, source VARCHAR,
    score DOUBLE, valid BOOLEAN, collected_at VARCHAR,
    line BIGINT,        -- the number of its record in the file of records
    name VARCHAR,       -- what its key is made from, in 32 hex digits
    named_by VARCHAR,   -- what its log names it by: `uuid`, `id`, `sample`, `time` or `nothing`
    id VARCHAR,         -- a hash of that name
    content VARCHAR,    -- a hash of its condition, request and texts
    checksum BIGINT,    -- of its record and votes, to tell copies from other versions
    verdicts BIGINT,    -- how many its votes hold
    judged BOOLEAN,     -- whether one of them is on compliance
    digest VARCHAR,     -- of its file
    file BIGINT,        -- its number
    row BIGINT,
    request VARCHAR,    -- a hash; missing where there is no request
    sample BIGINT,      -- as the log has it
    votes JSON,
    remarks JSON        -- what was repaired, and what was noted: reasons and examples; missing if nothing was
);
COPY entries FROM {entries} (FORMAT json, maximum_object_size {longest});

-- What names answers: an id (of a row, a sample, a time) that stands for two of them anywhere names something else,
-- as do ids of which most occur several times in a file.
CREATE TABLE naming AS
SELECT named_by, named_by != 'nothing' AND max(contents) = 1 AND (named_by != 'id' OR max(repeated) <= 0.5) AS tells
FROM (
    SELECT named_by, id, count(DISTINCT content) AS contents FROM entries GROUP BY named_by, id
) JOIN (
    SELECT named_by, max(share) AS repeated FROM (
        SELECT named_by, avg((times > 1)::INT) AS share
        FROM (SELECT named_by, digest, file, id, count(*) AS times FROM entries GROUP BY ALL)
        GROUP BY named_by, file
    ) GROUP BY named_by
) USING (named_by)
GROUP BY named_by;

-- What is the same for all rows of one rollout. Equal rows of one file are told apart by their order in it, unless
-- an id says that they are copies; those of two files are, unless the files are equal.
CREATE VIEW named AS
SELECT entries.* EXCLUDE (votes, remarks), tells, nth, CASE
    WHEN named_by = 'uuid' THEN id
    WHEN named_by = 'id' AND tells THEN concat_ws('/', id, content)
    WHEN tells THEN concat_ws('/', id, content, nth)
    ELSE concat_ws('/', name, digest, nth)
END AS rollout
FROM entries JOIN (
    SELECT line, row_number() OVER (PARTITION BY name, file ORDER BY row, line) - 1 AS nth FROM entries
) USING (line) LEFT JOIN naming USING (named_by);

-- Of several versions the one with more verdicts is kept, then the valid, then the later one, whatever the order of
-- the files. Rollouts are numbered among the answers to their prompt in their condition.
CREATE TABLE kept AS
WITH once AS (
    FROM named
    QUALIFY row_number() OVER (
        PARTITION BY rollout
        ORDER BY verdicts DESC, valid DESC, variation != 'default', collected_at DESC, digest, row DESC, line DESC
    ) = 1
), unique_names AS (
    SELECT * REPLACE (
        CASE
            WHEN named_by = 'nothing' THEN left(sha256(unhex(name) || encode(concat(digest, ' ', nth))), 32)
            WHEN row_number() OVER (PARTITION BY name ORDER BY nth, digest) = 1 THEN name
            ELSE md5(concat_ws('/', name, digest, nth))
        END AS name
    ), if(named_by = 'nothing' OR NOT tells, content, once.name) AS evidence FROM once
)
SELECT * REPLACE (row_number() OVER (
    PARTITION BY setting, variation, model, tier, prompt_id ORDER BY coalesce(sample, -1), name
) - 1 AS sample)
FROM unique_names;

-- Of each rollout not kept: why, its file and row, and its prompt's id.
CREATE VIEW others AS
SELECT if(entry.checksum = kept.checksum, 'a copy of another row',
    'another version of a rollout, with fewer verdicts or other fields') AS reason, entry.file, entry.row, entry.prompt_id
FROM named AS entry JOIN kept USING (rollout)
WHERE entry.line != kept.line
ORDER BY entry.digest, entry.row, entry.name, entry.line
