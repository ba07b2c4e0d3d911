package suites

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

// names of what is described in this program: children are told by them what to do.
type names struct {
	what  string
	taken map[string]bool
}

var (
	backends  = names{what: "backends", taken: map[string]bool{}}
	pipelines = names{what: "pipelines", taken: map[string]bool{}}
	workloads = names{what: "workloads", taken: map[string]bool{}}
)

// claim reports whether the name was free.
func (n names) claim(name string) bool {
	free := !n.taken[name]
	n.taken[name] = true
	return free
}

// refuse makes a spec that fails, in place of those of a name that was taken.
func (n names) refuse(name string, at types.CodeLocation) {
	It("has a name of its own", at, Label("category:self-check"), func() {
		Fail("two " + n.what + " are described as " + name + ": rename one: child processes find their work by it")
	})
}

// labelled is a label of the scheme of this package.
func labelled(key, name string) Labels {
	return Label(key + ":" + strings.Trim(strings.NewReplacer("&", "-", "|", "-", "!", "-", ",", "-", "(", "-", ")", "-", "/", "-", ":", "-").Replace(name), "- "))
}
