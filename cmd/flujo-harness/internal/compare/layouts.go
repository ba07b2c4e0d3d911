package compare

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/revisions"
	"github.com/flujo/flujo-harness/harness"
	"github.com/flujo/flujo-harness/harness/child"
)

// packageBuild builds variants of the test binaries of a package.
type packageBuild struct {
	pkg, stem string
	flags     buildFlags
	sides     [2]revisions.Checkout
	dirs      [2]string
	plain     [2]harness.BenchSide // with untrimmed paths; empty until requested
	layouts   map[int][2]harness.BenchSide
	again     [2]*linking // for further layouts; nil: by the go command
}

// both builds both sides at the same time.
func (b *packageBuild) both(ctx context.Context, name string, layout int) (sides [2]harness.BenchSide, err error) {
	var failed [2]error
	var wg sync.WaitGroup
	for i := range sides {
		to := fmt.Sprintf("%s-%d-%s.test", b.stem, i, name)
		sides[i] = harness.BenchSide{Revision: b.sides[i].Name, Binary: to, Dir: b.dirs[i]}
		wg.Go(func() { failed[i] = b.one(ctx, i, to, layout) })
	}
	wg.Wait()
	return sides, cmp.Or(failed[0], failed[1])
}

// one builds the test binary of one side.
func (b *packageBuild) one(ctx context.Context, side int, to string, layout int) error {
	s, flags := b.sides[side], b.flags
	if again := b.again[side]; again != nil && layout > 0 {
		if again.link(ctx, s.Dir, to, layout) == nil {
			return nil
		}
		b.again[side] = nil
	} else if layout == 1 {
		flags.work = filepath.Dir(b.stem)
	}
	said, err := buildTests(ctx, s, b.pkg, to, flags, layout)
	if err == nil && flags.work != "" {
		b.again[side] = linkingOf(said)
	}
	return err
}

// keptLayouts is the number of layouts whose binaries are kept for other benchmarks of the package.
// Few benchmarks need more.
const keptLayouts = 16

// layout builds both sides with their functions in the n-th random order.
func (b *packageBuild) layout(ctx context.Context, n int) (base, head harness.BenchSide, err error) {
	sides, ok := b.layouts[n]
	if !ok {
		if sides, err = b.both(ctx, fmt.Sprint("layout", min(n, keptLayouts+1)), n); err != nil {
			return base, head, err
		}
		if n <= keptLayouts {
			b.layouts[n] = sides
		}
	}
	return sides[0], sides[1], nil
}

// untrimmed builds both sides without -trimpath.
func (b *packageBuild) untrimmed(ctx context.Context) (base, head harness.BenchSide, twin string, err error) {
	if b.plain[0].Binary == "" {
		b.flags.trim, b.layouts, b.again = false, map[int][2]harness.BenchSide{}, [2]*linking{}
		sides, err := b.both(ctx, "paths", 0)
		if err != nil {
			return base, head, "", err
		}
		if err := copyBinary(sides[0].Binary); err != nil {
			return base, head, "", err
		}
		b.plain = sides
	}
	return b.plain[0], b.plain[1], b.plain[0].Binary + ".twin", nil
}

// linking is the command with which the go command linked a test binary. Running it again takes half of
// the time that the go command takes, and one verdict can need dozens of layouts.
type linking struct {
	work    string // folder of its files
	command string // for a shell
	output  string // file that it writes
}

var (
	workFolder  = regexp.MustCompile(`(?m)^WORK=(.+)$`)
	linkCommand = regexp.MustCompile(`(?m)^.*[/\\]link(?:\.exe)?"? -o (\$WORK\S+) .*` + randomLayout + `\d+.*$`)
)

// linkingOf finds the command in what "go test -c -x -work" has printed. It returns nil if there is not
// exactly one.
func linkingOf(said string) *linking {
	work, commands := workFolder.FindStringSubmatch(said), linkCommand.FindAllStringSubmatch(said, -1)
	if work == nil || len(commands) != 1 {
		return nil
	}
	return &linking{work: work[1], command: commands[0][0], output: work[1] + strings.TrimPrefix(commands[0][1], "$WORK")}
}

var numberOfLayout = regexp.MustCompile(randomLayout + `\d+`)

// link links the binary with another order of its functions.
func (l *linking) link(ctx context.Context, dir, to string, layout int) error {
	again := exec.CommandContext(ctx, "sh", "-c", numberOfLayout.ReplaceAllLiteralString(l.command, fmt.Sprint(randomLayout, layout)))
	again.Dir, again.Env = dir, append(os.Environ(), "WORK="+l.work)
	if said, err := child.CombinedOutput(again); err != nil {
		return fmt.Errorf("%w: %s", err, cli.FirstLines(string(said), 10))
	}
	return os.Rename(l.output, to)
}
