package selftest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/thresholds"
)

// rows are the rows of a table. The first row is the header.
type rows [][]string

func (r *rows) add(cells ...string) { *r = append(*r, cells) }

// write prints the table, aligned or as Markdown.
func (r rows) write(to io.Writer, markdown bool) error {
	if !markdown {
		table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		for _, cells := range r {
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
		return table.Flush()
	}
	for i, cells := range r {
		if _, err := fmt.Fprintf(to, "| %s |\n", strings.Join(cells, " | ")); err != nil {
			return err
		}
		if i == 0 {
			fmt.Fprintf(to, "|%s\n", strings.Repeat("---|", len(cells)))
		}
	}
	return nil
}

// eachLine decodes every line of JSON lines files written by --raw.
func eachLine[T any](paths []string, take func(T) error) error {
	for _, path := range paths {
		if err := linesOf(path, take); err != nil {
			return cli.Usage(fmt.Errorf("--from %s: %w: name a file that --raw wrote, and --compare if it was given then", path, err))
		}
	}
	return nil
}

func linesOf[T any](path string, take func(T) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := json.NewDecoder(bufio.NewReader(file))
	for n := 1; in.More(); n++ {
		var row T
		if err := in.Decode(&row); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if err := take(row); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	return nil
}

// compareRow is a verdict of the study of compare as written by --raw.
type compareRow struct {
	Change         string    `json:"change"`
	Margin         float64   `json:"margin"`
	Burners        int       `json:"burners"`
	Benchmark      string    `json:"benchmark"`
	Outcome        string    `json:"outcome"`
	By             string    `json:"by"`
	Reason         string    `json:"reason"`
	Seconds        float64   `json:"seconds"`
	Instructions   *float64  `json:"instructions,omitempty"` // head/base
	Base           []float64 `json:"base,omitempty"`         // instructions of the unchanged benchmark, by process
	Time           float64   `json:"time,omitempty"`         // head/base
	Blocks         int       `json:"blocks"`
	Injected       *float64  `json:"injected,omitempty"` // percent that the change adds to the operations which decided
	BenchstatAlarm *bool     `json:"benchstat_alarm,omitempty"`
	ThresholdAlarm *bool     `json:"threshold_alarm,omitempty"`

	Difference *harness.Difference `json:"difference,omitempty"` // with all blocks and layouts; not read again
}

// recorded reads verdicts from files.
func (c *compareErrors) recorded(paths []string) error {
	err := eachLine(paths, func(r compareRow) error {
		var o thresholds.Outcome
		if err := o.UnmarshalText([]byte(r.Outcome)); err != nil {
			return err
		}
		var k *compared
		for _, known := range c.kinds {
			if known.String() == r.Change && known.margin == r.Margin && known.burners == r.Burners {
				k = known
			}
		}
		if k == nil {
			i := injection{margin: r.Margin, comments: r.Change == (injection{comments: true}).String()}
			if text, ok := strings.CutSuffix(r.Change, "%"); ok {
				if _, err := fmt.Sscan(text, &i.slower); err != nil {
					return fmt.Errorf("change %q: %w", r.Change, err)
				}
			}
			k = &compared{injection: i, burners: r.Burners, count: map[thresholds.Outcome]int{}}
			c.kinds = append(c.kinds, k)
		}
		c.add(k, r, o)
		return nil
	})
	if err == nil && len(c.kinds) == 0 {
		err = cli.Usage(errors.New("--from: no verdicts in it"))
	}
	return err
}

// add adds a verdict. If a benchmark makes so few operations that the change was rounded to
// another size, its verdict says nothing about the change and is left out.
func (c *compareErrors) add(k *compared, r compareRow, o thresholds.Outcome) {
	if r.Injected != nil && math.Abs(*r.Injected-k.slower) > k.slower/10 {
		if k.rounded++; k.firstRounded == "" {
			k.firstRounded = fmt.Sprintf("%s, %+.2g%%", r.Benchmark, *r.Injected)
		}
		return
	}
	k.count[o]++
	k.seconds = append(k.seconds, r.Seconds)
	if o != thresholds.Held && o != thresholds.Broken && k.other == "" {
		k.other = r.Reason
	}
	if r.Instructions != nil {
		k.change = append(k.change, *r.Instructions)
		c.counts[r.Benchmark] = append(c.counts[r.Benchmark], r.Base...)
	}
	if r.BenchstatAlarm == nil || r.ThresholdAlarm == nil {
		return
	}
	if k.ruled++; *r.BenchstatAlarm {
		k.benchstat++
	}
	if *r.ThresholdAlarm {
		k.threshold++
	}
}
