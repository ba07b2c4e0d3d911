package compare

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/publish"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/reports/render"
	"github.com/flujo/flujo-harness/stubs/redact"
	"github.com/flujo/flujo-harness/thresholds"
)

// maxRows is the maximum number of benchmarks in the table of a comment. The command prints all
// of them.
const maxRows = 100

// content returns the content of a comment on the comparison. Benchmarks that did not hold come
// first, and the whole output of the command is folded.
func (r *Result) content(sides [2]revisions.Checkout, margin float64, outcome thresholds.Outcome, complete bool) publish.Content {
	of := r.outcomes()
	title := fmt.Sprintf("%s: %s against %s: %d broken, %d inconclusive, %d held", strings.ToUpper(outcome.String()), cli.Plural(int64(len(r.Differences)), "benchmark"), sides[0].Name,
		of[thresholds.Broken]+of[thresholds.Invalid], of[thresholds.Inconclusive], of[thresholds.Held])
	return publish.Content{Part: "compare", Name: "flujo-harness compare", Title: title, Outcome: outcome, Complete: complete, Commit: sides[1].Of.Commit,
		Write: func(w io.Writer, most int) error {
			text, err := r.comment(sides, margin, outcome, title, most)
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		}}
}

func (r *Result) comment(sides [2]revisions.Checkout, margin float64, worst thresholds.Outcome, title string, most int) ([]byte, error) {
	var secrets redact.Redactor
	code := func(s string) string { return render.HTMLCode(secrets.Text(s)) }
	var text, printed bytes.Buffer
	fmt.Fprintf(&text, "## Benchmarks\n\n<p>%s</p>\n\n<table>\n<tr><th>verdict</th><th align=\"left\">benchmark</th><th>base</th><th>head</th><th>time (95%%, n)</th><th>instructions (95%%, n)</th></tr>\n", code(title))
	order := make([]int, len(r.Differences))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cli.Rank(r.Verdicts[y].Outcome) - cli.Rank(r.Verdicts[x].Outcome) })
	for n, i := range order {
		d, v := r.Differences[i], r.Verdicts[i]
		base, head, time, executed := "", "", "not measured", "not counted"
		if len(d.Blocks) > 0 {
			base, head, time = cli.Micros(d.BaseNS.Value/1e3), cli.Micros(d.HeadNS.Value/1e3), change(timeOf(d, v))
		}
		if v.Instructions != nil {
			executed = change(*v.Instructions)
		}
		row := fmt.Sprintf("<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", strings.ToUpper(v.Outcome.String()), code(d.Name), base, head, time, executed)
		if n == maxRows || text.Len()+len(row) > most/2 {
			fmt.Fprintf(&text, "<tr><td colspan=\"6\">and %d more</td></tr>\n", len(order)-n)
			break
		}
		text.WriteString(row)
	}
	text.WriteString("</table>\n\n<details><summary>What was printed</summary>\n\n")
	if err := r.show(&printed, sides, margin, worst); err != nil {
		return nil, err
	}
	const end = "\n</details>\n"
	render.WriteCode(&text, secrets.Text(printed.String()), most-text.Len()-len(end))
	text.WriteString(end)
	return text.Bytes(), nil
}
