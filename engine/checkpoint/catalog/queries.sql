-- name: insert_checkpoint
INSERT INTO checkpoint VALUES ($format, $checkpoint_key, $created_at, $software);

-- name: insert_frontier
INSERT INTO frontier VALUES (0, 0, 0);

-- name: select_checkpoint
SELECT format, checkpoint_key FROM checkpoint;

-- name: select_frontier
SELECT next_batch_id, next_row, epoch FROM frontier;

-- name: advance_frontier
UPDATE frontier SET next_batch_id = $next_batch_id, next_row = $next_row
WHERE next_batch_id = $expected_batch_id AND next_row = $expected_row
RETURNING next_batch_id;

-- name: rewind_frontier
UPDATE frontier SET next_batch_id = $next_batch_id, next_row = $next_row, epoch = epoch + 1;

-- name: place_frontier
UPDATE frontier SET next_batch_id = $next_batch_id, next_row = $next_row, epoch = $epoch;

-- name: delete_batches_from
DELETE FROM batches WHERE batch_id >= $batch_id;

-- name: delete_batch
DELETE FROM batches WHERE batch_id = $batch_id AND attempt_id = $attempt_id RETURNING batch_id;

-- name: count_quarantined
SELECT coalesce(sum(rows_quarantined), 0) FROM batches WHERE rows_quarantined > 0;

-- name: select_quarantined
SELECT batch_id, attempt_id FROM batches WHERE rows_quarantined > 0 ORDER BY batch_id;

-- name: count_batches
SELECT count(*), coalesce(max(batch_id), -1), coalesce(sum(rows_out), 0) FROM batches;

-- name: missing_batches
SELECT batch_id FROM range($next_batch_id) AS ids(batch_id) WHERE batch_id NOT IN (SELECT batch_id FROM batches)
ORDER BY batch_id;

-- name: count_breaks
SELECT count(*), coalesce(sum((batch_id <> before_id + 1 OR start_row <> before_row + 1)::INTEGER), 0),
       coalesce(max(end_row), -1)
FROM (SELECT batch_id, start_row, end_row, coalesce(lag(batch_id) OVER ordered, -1) AS before_id,
             coalesce(lag(end_row) OVER ordered, -1) AS before_row
      FROM batches WINDOW ordered AS (ORDER BY batch_id));

-- name: select_batches
SELECT batch_id, start_row, end_row, rows_out, run_id, epoch, attempt_id, attempts, fetch_seconds, write_seconds,
       timings, "cursor", states, bytes_written, checksum, rows_quarantined, quarantine
FROM batches WHERE batch_id BETWEEN $first_batch_id AND $last_batch_id ORDER BY batch_id;

-- name: read_pipelines
SELECT max(hash(pipelines)) FROM pipelines;

-- name: read_runs
SELECT max(hash(runs)) FROM runs;

-- name: read_failures
SELECT max(hash(failures)) FROM failures;

-- name: select_pipeline
SELECT revision, description FROM pipelines ORDER BY revision DESC LIMIT 1;

-- name: insert_pipeline
INSERT INTO pipelines VALUES ($revision, $run_id, $description);

-- name: next_run_id
SELECT coalesce(max(run_id), 0) + 1 FROM runs;

-- name: insert_run
INSERT INTO runs VALUES ($run_id, $started_at, NULL, 'running', $first_batch_id, NULL, NULL, $batch_size, $host, $pid, '',
                         NULL);

-- name: insert_lost_run
INSERT INTO runs VALUES ($run_id, $at, $at, 'resumable', 0, $next_batch_id, NULL, $batch_size, '', 0, $message, NULL);

-- name: end_run
UPDATE runs SET ended_at = $ended_at, state = $state, message = $message, retries = $retries,
       next_batch_id = (SELECT next_batch_id FROM frontier),
       rows_done = (SELECT coalesce(sum(end_row - start_row + 1), 0) FROM batches WHERE batches.run_id = runs.run_id)
WHERE run_id = $run_id;

-- name: refuse_run
UPDATE runs SET ended_at = $ended_at, state = 'failed', message = $message WHERE run_id = $run_id;

-- name: mark_crashed_runs
UPDATE runs SET state = 'crashed', next_batch_id = (SELECT next_batch_id FROM frontier)
WHERE state = 'running'
RETURNING run_id;

-- name: select_runs
SELECT run_id, epoch_us(started_at), epoch_us(ended_at), state, first_batch_id, next_batch_id, rows_done, batch_size, host, pid, message,
       retries
FROM runs ORDER BY run_id DESC LIMIT $limit;

-- name: select_last_begun_run
SELECT run_id, epoch_us(started_at), epoch_us(ended_at), state, first_batch_id, next_batch_id, rows_done, batch_size, host, pid, message,
       retries
FROM runs WHERE NOT (state = 'failed' AND next_batch_id IS NULL) ORDER BY run_id DESC LIMIT 1;

-- name: insert_failure
INSERT INTO failures VALUES ($run_id, $at, $batch_id, $start_row, $end_row, $step, $attempts, $error_type,
                             $message, $hint, $traceback, $row_numbers, $examples);

-- name: select_failures
SELECT run_id, epoch_us(failed_at), batch_id, start_row, end_row, step, attempts, error_type, message, hint, traceback,
       row_numbers, examples
FROM failures ORDER BY failed_at DESC LIMIT $limit;
