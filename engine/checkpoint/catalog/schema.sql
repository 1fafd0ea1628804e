-- The catalog, format 2. All tables are created with the file. There is no ALTER, no DROP and no key, because most
-- known recovery defects of the storage engine involve these. Each transaction checks uniqueness and order itself:
-- the frontier moves only by an UPDATE that names its previous value.

CREATE TABLE checkpoint (
    format INTEGER NOT NULL CHECK (format >= 1),
    checkpoint_key VARCHAR NOT NULL CHECK (length(checkpoint_key) = 32),
    created_at TIMESTAMPTZ NOT NULL,
    software VARCHAR NOT NULL
);

-- Always one row: the first batch and the first source row that are not committed. `epoch` counts
-- rewinds and resets; parts of an older epoch beyond the frontier are leftovers of a rewind or reset.
CREATE TABLE frontier (
    next_batch_id BIGINT NOT NULL CHECK (next_batch_id >= 0),
    next_row BIGINT NOT NULL CHECK (next_row >= 0),
    epoch BIGINT NOT NULL CHECK (epoch >= 0)
);

-- One row for each committed batch. `start_row` and `end_row` are source rows, both inclusive. `timings` is a list of
-- [[steps…], seconds, rows in, rows out]; `cursor` and `states` are JSON. `quarantine` is a JSON list of the
-- quarantine files of the batch, NULL if there are none.
CREATE TABLE batches (
    batch_id BIGINT NOT NULL CHECK (batch_id >= 0),
    start_row BIGINT NOT NULL CHECK (start_row >= 0),
    end_row BIGINT NOT NULL,
    rows_out BIGINT NOT NULL CHECK (rows_out >= 0),
    run_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    attempt_id VARCHAR NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 1),
    fetch_seconds DOUBLE NOT NULL,
    write_seconds DOUBLE NOT NULL,
    timings VARCHAR NOT NULL,
    "cursor" VARCHAR,
    states VARCHAR,
    bytes_written BIGINT NOT NULL CHECK (bytes_written > 0),
    checksum VARCHAR NOT NULL CHECK (length(checksum) = 8),
    rows_quarantined BIGINT NOT NULL CHECK (rows_quarantined >= 0),
    quarantine VARCHAR,
    committed_at TIMESTAMPTZ NOT NULL,
    CHECK (end_row >= start_row - 1),
    CHECK ((rows_quarantined > 0) = (quarantine IS NOT NULL))
);

-- One row for each changed description of the pipeline; the newest row is valid.
CREATE TABLE pipelines (
    revision BIGINT NOT NULL CHECK (revision >= 1),
    run_id BIGINT NOT NULL,
    description VARCHAR NOT NULL
);

-- One row for each call of run(); rows are never deleted. `state` is a `RunState`.
CREATE TABLE runs (
    run_id BIGINT NOT NULL CHECK (run_id >= 1),
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    state VARCHAR NOT NULL
        CHECK (state IN ('running', 'resumable', 'failed', 'finished', 'incomplete', 'crashed')),
    first_batch_id BIGINT NOT NULL,
    next_batch_id BIGINT,
    rows_done BIGINT,
    batch_size BIGINT NOT NULL CHECK (batch_size >= 1),
    host VARCHAR NOT NULL,
    pid BIGINT NOT NULL,
    message VARCHAR NOT NULL,
    retries BIGINT
);

-- One row for each batch whose failure ended a run. `step` is NULL for failures of the source.
CREATE TABLE failures (
    run_id BIGINT NOT NULL,
    failed_at TIMESTAMPTZ NOT NULL,
    batch_id BIGINT NOT NULL,
    start_row BIGINT,
    end_row BIGINT,
    step VARCHAR,
    attempts INTEGER NOT NULL,
    error_type VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    hint VARCHAR NOT NULL,
    traceback VARCHAR NOT NULL,
    row_numbers VARCHAR NOT NULL,
    examples VARCHAR NOT NULL
);
