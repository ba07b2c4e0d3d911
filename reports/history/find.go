package history

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// digestLength is the number of hexadecimal digits in [RunLine.Digest]. Abbreviations of at least
// eight digits are accepted if they are unique.
const digestLength = 16

// Find returns the ID of a run given by its ID or its digest. The error wraps [ErrNoRun] if no run,
// or more than one, matches.
func (h *History) Find(ctx context.Context, name string) (int64, error) {
	r := newReader(ctx, h.db)
	which, args := "WHERE id = ?", []any{name}
	if len(name) >= 8 {
		if len(name) > 64 || strings.Trim(name, "0123456789abcdef") != "" {
			return 0, fmt.Errorf("run %.64q: %w: give its number, or at least eight hex digits of its digest", name, ErrNoRun)
		}
		which, args = "WHERE lower(hex(digest)) LIKE ? LIMIT 2", []any{name + "%"}
	} else if n, err := strconv.ParseInt(name, 10, 64); err != nil || n < 1 {
		return 0, fmt.Errorf("run %q: %w: give its number, or at least eight hex digits of its digest", name, ErrNoRun)
	}
	ids, err := collect(ctx, r.db, "SELECT id FROM runs "+which, args, scanNumber)
	switch {
	case err != nil:
		return 0, h.explain("read", err)
	case len(ids) == 0:
		return 0, fmt.Errorf("run %s: %w", name, ErrNoRun)
	case len(ids) > 1:
		return 0, fmt.Errorf("run %s: %w: the digests of several runs begin with it", name, ErrNoRun)
	}
	return ids[0], nil
}
