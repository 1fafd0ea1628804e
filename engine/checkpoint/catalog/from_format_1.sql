-- The rows of a catalog of format 1, as rows of the tables of format 2. Columns whose names end in `_at` are
-- microseconds since 1970-01-01, UTC.

-- name: checkpoint
SELECT $format, checkpoint_key, epoch_us(created_at) AS created_at, software FROM checkpoint;

-- name: frontier
SELECT next_batch_id, next_row, generation FROM frontier;

-- name: batches
SELECT batch_id, start_row, end_row, rows_out, run_id, generation, token, attempts, fetch_seconds, write_seconds,
       timings, "cursor", states, bytes_written, checksum, rows_quarantined, quarantine,
       epoch_us(committed_at) AS committed_at
FROM batches ORDER BY batch_id;

-- name: pipelines
SELECT revision, run_id, description FROM pipelines ORDER BY revision;

-- In format 1, runs that ended with rows in quarantine were called finished. Only the newest one can be corrected: for
-- older runs it isn't recorded whether there were rows in quarantine.
-- name: runs
SELECT run_id, epoch_us(started_at) AS started_at, epoch_us(ended_at) AS ended_at,
       CASE WHEN outcome = 'stopped' THEN 'resumable'
            WHEN outcome = 'finished' AND run_id = (SELECT max(run_id) FROM runs)
                 AND EXISTS (SELECT batch_id FROM batches WHERE rows_quarantined > 0) THEN 'incomplete'
            ELSE outcome END,
       first_batch_id, next_batch_id, rows_done, batch_size, host, pid, message, retries
FROM runs ORDER BY run_id;

-- name: failures
SELECT run_id, epoch_us(failed_at) AS failed_at, batch_id, start_row, end_row, step, attempts, error_type, message,
       hint, traceback, row_numbers, examples
FROM failures ORDER BY failed_at;
