package compare

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
)

// tableWidth is the maximum width of the table in columns: that of a terminal by default, also for
// files and comments, so that they look alike.
const tableWidth = 80

// tableRow is a benchmark in the table.
type tableRow struct {
	verdict, name    string
	base, head, time string   // columns next to the name, or below it if they do not fit
	others           []string // figures on the lines below
}

// table prints the differences from i to n-1, which belong to one package.
func (r Result) table(to io.Writer, i, n int) error {
	pkg := r.packages[i]
	rows := []tableRow{{verdict: "verdict", name: "benchmark", base: "base", head: "head", time: "time (95%, n)"}}
	for ; i < n; i++ {
		d, v := r.Differences[i], r.Verdicts[i]
		row := tableRow{verdict: strings.ToUpper(v.Outcome.String()), name: strings.TrimPrefix(d.Name, pkg+"."), time: "not measured", others: []string{"instructions not counted"}}
		if len(d.Blocks) > 0 {
			row.base, row.head, row.time = cli.Micros(d.BaseNS.Value/1e3), cli.Micros(d.HeadNS.Value/1e3), change(timeOf(d, v))
		}
		if v.Instructions != nil {
			row.others[0] = "instructions " + change(*v.Instructions)
		}
		for _, c := range d.Counts {
			row.others = append(row.others, c.String())
		}
		rows = append(rows, row)
	}
	_, err := fmt.Fprintf(to, "\npkg: %s\n%s\n", pkg, strings.Join(tableLines(rows), "\n"))
	return err
}

// tableLines returns the lines of a table, the first row of which is its head. The times are next to
// the names if there is room for them. A name without room has a line of its own, or several: it is
// not shortened, because names of sub-benchmarks may differ in the middle only.
func tableLines(rows []tableRow) (lines []string) {
	widest := func(cell func(tableRow) string) (n int) {
		for _, r := range rows {
			n = max(n, ansi.StringWidth(cell(r)))
		}
		return n
	}
	verdicts := widest(func(r tableRow) string { return r.verdict }) + 2
	bases, heads := widest(func(r tableRow) string { return r.base })+2, widest(func(r tableRow) string { return r.head })+2
	room := tableWidth - verdicts - bases - heads - widest(func(r tableRow) string { return r.time }) - 2
	names := 0
	for _, r := range rows {
		if n := ansi.StringWidth(r.name); n <= room {
			names = max(names, n)
		}
	}
	indent, below := verdicts+names+2, verdicts // of times that are not next to the name, and of the other figures
	if names < ansi.StringWidth(rows[0].name) { // no room for the head: no name is next to times
		names, indent, below = 0, 2, 2
	}
	pad := func(s string, n int) string { return s + strings.Repeat(" ", max(0, n-ansi.StringWidth(s))) }
	add := func(line string) { lines = append(lines, strings.TrimRight(line, " ")) }
	for _, r := range rows {
		times := pad(r.base, bases) + pad(r.head, heads) + r.time
		if ansi.StringWidth(r.name) <= names {
			add(pad(r.verdict, verdicts) + pad(r.name, names+2) + times)
		} else {
			for i, part := range foldName(r.name, tableWidth-verdicts) {
				if i > 0 {
					r.verdict = ""
				}
				add(pad(r.verdict, verdicts) + part)
			}
			add(strings.Repeat(" ", indent) + times)
		}
		for _, line := range foldList(r.others, tableWidth-below) {
			add(strings.Repeat(" ", below) + line)
		}
	}
	return lines
}

// foldName breaks a name into parts of at most width columns, after a slash if possible.
func foldName(name string, width int) (parts []string) {
	for ansi.StringWidth(name) > width {
		part := ansi.Truncate(name, width, "")
		if i := strings.LastIndex(part, "/"); i > 0 {
			part = part[:i+1]
		}
		if part == "" {
			break
		}
		parts, name = append(parts, part), name[len(part):]
	}
	return append(parts, name)
}

// foldList joins items with commas to lines of at most width columns. An item that is longer has a
// line of its own.
func foldList(items []string, width int) (lines []string) {
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		if n := len(lines); n > 0 && ansi.StringWidth(lines[n-1]+" "+item) <= width {
			lines[n-1] += " " + item
		} else {
			lines = append(lines, item)
		}
	}
	return lines
}
