package history

import (
	"database/sql"
	"fmt"
	"iter"
	"slices"

	"github.com/flujo/flujo-harness/reports"
)

// names holds the content of table names, sorted by ID. Strings and slices of suites and containers
// are shared between specs, because a history may have 100,000 specs in a few suites.
type names struct {
	ids   []int64
	texts []specTexts
}

// specTexts identifies a spec within a run; [reports.Spec.Key] is computed from these fields.
type specTexts struct {
	suite      string
	containers []string
	leaf       string
	occurrence int
}

func (t *specTexts) spec() reports.Spec {
	return reports.Spec{Suite: t.suite, Containers: t.containers, Leaf: t.leaf, Occurrence: t.occurrence}
}

// name is a row of table names.
type name struct {
	id    int64
	key   string
	texts string
}

func scanName(rows *sql.Rows) (n name, err error) {
	var sum int64
	if err := rows.Scan(&n.id, &n.key, &n.texts, &sum); err != nil {
		return n, err
	}
	if sum != checksum(n.key, n.texts) {
		return n, fmt.Errorf("name %d: %w", n.id, errSum)
	}
	return n, nil
}

// Name returns the spec with this name ID, or ok == false if there is none. Only the fields that
// identify it are set.
func (r *Reader) Name(id int64) (s reports.Spec, ok bool, err error) {
	if err := r.readNames(); err != nil {
		return s, false, err
	}
	at, ok := slices.BinarySearch(r.names.ids, id)
	if !ok {
		return s, false, nil
	}
	return r.names.texts[at].spec(), true, nil
}

// Names returns all name IDs in ascending order, each with its spec as returned by [Reader.Name].
func (r *Reader) Names() (iter.Seq2[int64, reports.Spec], error) {
	if err := r.readNames(); err != nil {
		return nil, err
	}
	return func(yield func(int64, reports.Spec) bool) {
		for i, id := range r.names.ids {
			if !yield(id, r.names.texts[i].spec()) {
				return
			}
		}
	}, nil
}

// NameCount returns the number of names, or 0 before they are read.
func (r *Reader) NameCount() int {
	if r.names == nil {
		return 0
	}
	return len(r.names.ids)
}

// readNames reads the table on the first call.
func (r *Reader) readNames() error {
	if r.names != nil {
		return nil
	}
	count, err := collect(r.ctx, r.db, "SELECT count(*) FROM names", nil, scanNumber)
	if err != nil {
		return err
	}
	all := names{ids: make([]int64, 0, count[0]), texts: make([]specTexts, 0, count[0])}
	suites, containers := map[string]string{}, map[string][]string{}
	var path []byte
	err = each(r.ctx, r.db, "SELECT id, key, texts, sum FROM names ORDER BY id", nil, func(rows *sql.Rows) error {
		n, err := scanName(rows)
		if err != nil {
			return err
		}
		s, err := reports.DecodeTexts(n.texts)
		if err != nil {
			return fmt.Errorf("name %d: %w", n.id, err)
		}
		t := specTexts{s.Suite, s.Containers, s.Leaf, s.Occurrence}
		if known, ok := suites[t.suite]; ok {
			t.suite = known
		} else {
			suites[t.suite] = t.suite
		}
		if len(t.containers) > 0 {
			path = path[:0]
			for _, c := range t.containers {
				path = append(append(path, c...), 0)
			}
			if known, ok := containers[string(path)]; ok && slices.Equal(known, t.containers) {
				t.containers = known
			} else {
				t.containers = slices.Clip(t.containers)
				containers[string(path)] = t.containers
			}
		}
		all.ids, all.texts = append(all.ids, n.id), append(all.texts, t)
		return nil
	})
	if err != nil {
		return err
	}
	r.names = &all
	return nil
}
