package suites

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

// names holds the names of the descriptions in this program. Child processes find their work by
// name.
type names struct {
	what  string
	taken map[string]bool
}

var (
	backends  = names{what: "backends", taken: map[string]bool{}}
	pipelines = names{what: "pipelines", taken: map[string]bool{}}
	workloads = names{what: "workloads", taken: map[string]bool{}}
)

// reserve reserves a name and reports whether it was free.
func (n names) reserve(name string) bool {
	free := !n.taken[name]
	n.taken[name] = true
	return free
}

// refuse defines a failing spec instead of those of a description with a duplicate name.
func (n names) refuse(name string, at types.CodeLocation) {
	It("has a unique name", at, Label("category:self-check"), func() {
		Fail("two " + n.what + " are described as " + name + ": rename one, because child processes find their work by name")
	})
}

// labelled returns a label "key:name" without the characters that label filters reserve.
func labelled(key, name string) Labels {
	return Label(key + ":" + strings.Trim(strings.NewReplacer("&", "-", "|", "-", "!", "-", ",", "-", "(", "-", ")", "-", "/", "-", ":", "-").Replace(name), "- "))
}
