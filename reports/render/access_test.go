package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
)

// needName lists the roles that must have a name for screen readers.
var needName = []string{"link", "button", "searchbox", "textbox", "combobox", "image", "img", "region", "heading", "progressbar", "DisclosureTriangle", "navigation", "table", "search"}

// reach selects the elements that the Tab key must reach in a view.
const reach = `[...document.querySelectorAll('a[href],button,input,select,summary,[tabindex="0"]')].filter(e => e.checkVisibility({visibilityProperty: true}) && !e.matches('.skip'))`

// accessible checks each view for users of a screen reader or a keyboard: elements have names, headings
// skip no level, and the Tab key reaches every element once, in the order of the document, with a
// visible focus ring.
func accessible(tb *tab, path string) {
	tb.open(path)
	for _, name := range append(viewNames, "spec") {
		if name == "spec" {
			tb.view("specs")
			is[int](tb, `(document.querySelector('[data-spec-row] a').click(), 0)`)
			tb.until(`document.documentElement.dataset.ready === 'spec'`)
		} else {
			tb.view(name)
		}
		if name != "specs" { // of 100 rows alike
			is[int](tb, openAll)
		}
		if problems := tb.unnamed(); len(problems) > 0 {
			tb.t.Errorf("%s: without a name: %q", name, problems)
		}
		want(tb, name+": headings that skip a level", []string{}, `(() => { let last = 1; return [...document.querySelectorAll('h1,h2,h3,h4')].filter(h => h.checkVisibility()).filter(h => { const level = +h.tagName[1], skips = level > last + 1; last = level; return skips }).map(h => h.outerHTML.slice(0, 100)) })()`)
		tb.tabThrough(name)
	}
}

// unnamed lists elements without a name for screen readers.
func (tb *tab) unnamed() (problems []string) {
	tb.t.Helper()
	tree, err := chromedp.Call(tb.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		tb.t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // another type is not a name
		}
		return strings.TrimSpace(s)
	}
	seen := 0
	for _, n := range tree.Nodes {
		if role := text(n.Role); !n.Ignored && slices.Contains(needName, role) {
			if seen++; text(n.Name) == "" {
				problems = append(problems, fmt.Sprintf("%s %s", role, n.NodeID))
			}
		}
	}
	if seen < 10 {
		tb.t.Errorf("only %d elements are announced", seen)
	}
	return problems
}

// tabThrough presses Tab until all of a view has had the focus.
func (tb *tab) tabThrough(view string) {
	tb.t.Helper()
	all := is[int](tb, `(window.toReach = `+reach+`, document.activeElement.blur(), scrollTo(0, 0), document.querySelector('.skip').focus(), window.toReach.length)`)
	last := -1
	for range all {
		tb.do(chromedp.KeyEvent("\t"))
		at := is[int](tb, `window.toReach.indexOf(document.activeElement)`)
		if at != last+1 {
			tb.t.Errorf("%s: Tab comes from %d to %d of %d: %s", view, last, at, all, is[string](tb, `document.activeElement.outerHTML.slice(0, 120) + ' and not to ' + (window.toReach[`+fmt.Sprint(last+1)+`] || document.body).outerHTML.slice(0, 120)`))
			return
		}
		last = at
		if !is[bool](tb, `(e => getComputedStyle(e).outlineStyle !== 'none' || e.querySelector('circle') && getComputedStyle(e.querySelector('circle')).strokeWidth !== '1px')(document.activeElement)`) {
			tb.t.Errorf("%s: no ring around %s", view, is[string](tb, `document.activeElement.outerHTML.slice(0, 120)`))
		}
	}
}
