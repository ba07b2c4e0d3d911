package postgres

import "strings"

// stepColumns has the columns in the order of their arguments, see stepArgs.
const stepColumns = `run, seq, epoch, status, attempts, started, ended, calls, tokens, cost, due, sum, path, token, whom, feedback, error, output, state`

// insertRun is the first part of a start. The record of the state uses the number of the run that it
// returns.
const insertRun = `r AS (INSERT INTO @.runs (key, tenant, run, pipeline, plan, birth, nonce, epoch, status, started, sum, executor, until, held,
		origin_tenant, origin_run, origin_seq)
		VALUES ($1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::bigint, $6::bigint, $6::bigint, 1, 1, $7::bigint, $8::bigint, $9::bytea, $10::bigint, $11::bigint,
		$12::bytea, $13::bytea, $14::bigint) ON CONFLICT (key) DO NOTHING RETURNING id)
	INSERT INTO @.steps (` + stepColumns + `)
	SELECT r.id, 0, 1, 1, 0, $7::bigint, $7::bigint, 0, 0, 0, 0, $15::bigint, '', '', '', '', '', NULL, $16::bytea FROM r RETURNING run`

// insertStep inserts a record if the CTE f has changed the row of its run.
const insertStep = ` INSERT INTO @.steps (` + stepColumns + `)
	SELECT f.id, $3::bigint, f.epoch, $4::smallint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11::bigint, $12::bigint,
		$13::bytea, $14::bytea, $15::bytea, $16::bytea, $17::bytea, $18::bytea, $19::bytea FROM f`

// fence is the condition of all saves with a lease; its arguments are the number of the run and the
// nonce. It does not compare epochs: after a failover that has lost records, the numbers of lost runs
// and the epochs of lost claims are given out again.
const fence = ` WHERE id = $1::bigint AND nonce = $2::bigint AND status = 1`

// finishRow releases a run. A pause (status 4) is refused if there are answers that its executor
// does not know. Their number is a column of the row, because a subquery would not see answers that
// were committed while the statement waited for the row.
const finishRow = `UPDATE @.runs SET status = $3::smallint, error = $4::bytea, ended = $5::bigint, exits = $6::bytea, wake = $7::bigint,
	seen = $8::bigint, released = epoch, releaser = $2::bigint, sum = (sum & -4294967296) | $9::bigint`

const finishFence = fence + ` AND ($3::smallint <> 4 OR answers = $8::bigint)`

// statements has the statements for one schema.
type statements struct {
	start, startPlan, step, finish, finishState, answer, acquire, lock, claim, reopen, renew string
	readRun, readSteps, readAnswers                                                          string
	startMade, claimMade, stepMade, finishMade, answerMade                                   string
	pruneRun, pruneSteps, pruneAnswers                                                       string
}

// runColumns has the columns that stored.scan reads.
const runColumns = `r.id, r.pipeline, r.plan, r.nonce, r.epoch, r.status, r.seq, r.answers, r.seen, r.error, r.started, r.ended, r.wake, r.exits, r.sum,
	r.executor, r.until, r.held, r.origin_tenant, r.origin_run, r.origin_seq`

// newStatements returns the statements for a quoted schema.
func newStatements(schema string) *statements {
	q := func(text string) string { return qualify(text, schema) }
	return &statements{
		start: q(`WITH ` + insertRun),
		startPlan: q(`WITH p AS (INSERT INTO @.plans (plan, text, sum) VALUES ($5::bigint, $17::bytea, $18::bigint) ON CONFLICT DO NOTHING), ` +
			insertRun),
		step: q(`WITH f AS (UPDATE @.runs SET seq = $3::bigint` + fence + ` AND seq = $3::bigint - 1 RETURNING id, epoch)` + insertStep),

		finish: q(finishRow + finishFence),
		finishState: q(`WITH f AS (` + finishRow + `, seq = $10::bigint` + finishFence + ` AND seq = $10::bigint - 1 RETURNING id, epoch)
			INSERT INTO @.steps (` + stepColumns + `)
			SELECT f.id, $10::bigint, f.epoch, $3::smallint, 0, $5::bigint, $5::bigint, 0, 0, 0, 0, $11::bigint, '', '', '', '', '', NULL, $12::bytea FROM f`),

		// The pause must exist, and the run must not have ended. Of two simultaneous answers the
		// second violates the primary key.
		answer: q(`WITH f AS (UPDATE @.runs SET answers = answers + 1 WHERE key = $1::bytea AND status NOT IN (2, 3, 6)
				AND EXISTS (SELECT 1 FROM @.steps s WHERE s.run = runs.id AND s.status = 4 AND s.token = $2::bytea)
				AND NOT EXISTS (SELECT 1 FROM @.answers a WHERE a.run = runs.id AND a.key = $3::bytea) RETURNING id)
			INSERT INTO @.answers (run, key, token, answer, at, sum) SELECT f.id, $3::bytea, $2::bytea, $4::bytea, $5::bigint, $6::bigint FROM f`),

		// Only if nothing was saved since the run was loaded. If it has ended, there is a record of
		// its state, which statement claim removes.
		acquire: q(`UPDATE @.runs SET epoch = epoch + 1, status = 1, error = '', ended = 0, wake = 0, seen = 0, nonce = $6::bigint,
			sum = (sum & -4294967296) | $7::bigint, executor = $8::bytea, until = $9::bigint, held = $10::bigint
			WHERE key = $1::bytea AND epoch = $2::bigint AND status = $3::smallint AND status IN (1, 4, 5)
			AND seq = $4::bigint AND answers = $5::bigint AND ($11::bigint = 0 OR nonce = $11::bigint) RETURNING id`),

		lock: q(`SELECT ` + runColumns + `, p.text, p.sum FROM @.runs r LEFT JOIN @.plans p ON p.plan = r.plan WHERE r.key = $1::bytea FOR UPDATE OF r`),
		claim: q(`UPDATE @.runs SET epoch = $2::bigint, status = 1, error = '', ended = 0, wake = 0, seen = 0, nonce = $3::bigint, seq = $4::bigint,
			sum = (sum & -4294967296) | $5::bigint, executor = $6::bytea, until = $7::bigint, held = $8::bigint WHERE id = $1::bigint`),

		reopen: q(`DELETE FROM @.steps WHERE run = $1::bigint AND seq = $2::bigint AND path = ''`),

		// In the same order as batches lock rows, which prevents deadlocks.
		renew: q(`UPDATE @.runs SET executor = $3::bytea, until = $4::bigint, held = $5::bigint
			FROM (SELECT l.id, l.nonce FROM @.runs l JOIN unnest($1::bigint[], $2::bigint[]) AS x (id, nonce) ON l.id = x.id AND l.nonce = x.nonce
				WHERE l.status = 1 ORDER BY l.id FOR UPDATE OF l) mine
			WHERE runs.id = mine.id AND runs.nonce = mine.nonce AND runs.status = 1 RETURNING runs.id, runs.epoch, runs.nonce`),

		readRun:   q(`SELECT ` + runColumns + `, p.text, p.sum FROM @.runs r LEFT JOIN @.plans p ON p.plan = r.plan WHERE r.key = $1::bytea`),
		readSteps: q(`SELECT ` + stepColumnsOf("s") + ` FROM @.steps s JOIN @.runs r ON r.id = s.run WHERE r.key = $1::bytea ORDER BY s.seq`),
		readAnswers: q(`SELECT a.token, a.answer, a.at, a.sum FROM @.answers a JOIN @.runs r ON r.id = a.run WHERE r.key = $1::bytea
			ORDER BY a.at, a.token`),

		startMade:  q(`SELECT id FROM @.runs WHERE key = $1::bytea AND birth = $2::bigint`),
		claimMade:  q(`SELECT id FROM @.runs WHERE key = $1::bytea AND nonce = $2::bigint`),
		stepMade:   q(`SELECT sum FROM @.steps WHERE run = $1::bigint AND seq = $2::bigint AND epoch = $3::bigint`),
		finishMade: q(`SELECT nonce, status, answers, released, releaser FROM @.runs WHERE id = $1::bigint`),
		answerMade: q(`SELECT r.status, EXISTS (SELECT 1 FROM @.steps s WHERE s.run = r.id AND s.status = 4 AND s.token = $2::bytea),
			(SELECT a.sum FROM @.answers a WHERE a.run = r.id AND a.key = $3::bytea) FROM @.runs r WHERE r.key = $1::bytea`),

		pruneRun:     q(`DELETE FROM @.runs WHERE id = $1::bigint AND nonce = $2::bigint AND status = $3::smallint AND status <> 1`),
		pruneSteps:   q(`DELETE FROM @.steps WHERE run = $1::bigint AND NOT EXISTS (SELECT 1 FROM @.runs WHERE id = $1::bigint)`),
		pruneAnswers: q(`DELETE FROM @.answers WHERE run = $1::bigint AND NOT EXISTS (SELECT 1 FROM @.runs WHERE id = $1::bigint)`),
	}
}

// qualify replaces each @ by the quoted schema.
func qualify(text, schema string) string { return strings.ReplaceAll(text, "@.", schema+".") }

func stepColumnsOf(table string) string {
	return table + "." + strings.ReplaceAll(stepColumns, ", ", ", "+table+".")
}
