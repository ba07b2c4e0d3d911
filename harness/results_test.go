package harness

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/harness/machine"
	"github.com/google/go-cmp/cmp"
)

// recorded is a complete measurement of three sessions with two blocks each.
func recorded(t *testing.T) Results {
	t.Helper()
	c, err := Measure(t.Context(), specOf(t), func(context.Context, Session) (SessionResult, error) { return fake(2), nil },
		func(*Comparison) bool { return false })
	if err != nil || !c.Complete || len(c.Blocks) != 6 {
		t.Fatalf("%+v, error %v", c, err)
	}
	c.Environment = machine.Environment{OS: "linux", Arch: "amd64", Cores: 2, CPU: "Some CPU", Filesystem: "ext4"}
	c.Counters = map[string]Counters{ArmBackend: {Allocs: 120, AllocBytes: 9000, Commits: 5, Syncs: 1}}
	c.Most, c.Counted = c.Counters, []map[string]Counters{c.Counters}
	return Results{Program: ThisProgram(), Command: "flujo-harness bench", Commit: "abc1234", Comparisons: []Comparison{*c}}
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	want := recorded(t)
	want.Verdicts = []byte(`[{"outcome": "held"}]`)
	var plain, packed bytes.Buffer
	if err := want.Write(&plain); err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	want.Schema, want.Verdicts = 1, nil
	var err error
	if want.Digest, err = digestOf(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"plain": plain.Bytes(), "packed": packed.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadResults(path)
		if err != nil {
			t.Fatal(err)
		}
		got.Verdicts = nil
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("%s (-written +read):\n%s", name, d)
		}
	}
}

// bomb unpacks to more than a results file may have.
func bomb(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for i := 0; err == nil && i <= mostResults>>20; i++ {
		_, err = z.Write(blanks)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Whatever a file holds, it is refused, or every figure in it is one.
func FuzzDecodeResults(f *testing.F) {
	f.Add([]byte(`{"schema": 1, "comparisons": []}`))
	whole, err := json.Marshal(Results{Schema: 1, Comparisons: []Comparison{{Schema: 1, Workload: "default", Plan: small(),
		Blocks: []Block{{Session: 1, Slots: fake(1).Slots[0]}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeResults(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, c := range r.Comparisons {
			for _, b := range c.Blocks {
				if math.IsNaN(b.CostRatio) || math.IsInf(b.CostRatio, 0) {
					t.Errorf("(W-N)/F of a block is %v", b.CostRatio)
				}
			}
		}
	})
}

func TestFilesThatAreNoResultsAreRefused(t *testing.T) {
	var good bytes.Buffer
	if err := recorded(t).Write(&good); err != nil {
		t.Fatal(err)
	}
	undigested := regexp.MustCompile(`,\s*"digest": "[0-9a-f]*"`).ReplaceAllString(good.String(), "")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(good.Bytes()); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"empty":            {"", "the file is empty"},
		"blank":            {" \n", "the file is empty"},
		"no JSON":          {"ok  \tshop\t0.1s", "no results file"},
		"other JSON":       {`{"a": 1}`, "it has no schema"},
		"nothing measured": {`{"schema": 1, "comparisons": []}`, "nothing was measured"},
		"cut off":          {good.String()[:good.Len()/2], "not all of one"},
		"more after it":    {good.String() + "{}", "no results file"},
		"NaN":              {strings.Replace(good.String(), "101000", "NaN", 1), "no results file"},
		"another schema":   {strings.Replace(good.String(), `"schema": 1`, `"schema": 2`, 1), "schema 2: this program reads 1"},
		"a later measure":  {strings.Replace(undigested, "   \"schema\": 1", "   \"schema\": 7", 1), "schema 7: this program reads 1"},
		"another commit":   {strings.Replace(good.String(), "abc1234", "abc1235", 1), "its digest is not that of its content"},
		"clean":            {strings.Replace(good.String(), `"dirty": false`, `"dirty": true`, 1), "its digest is not that of its content"},
		"a command":        {strings.Replace(undigested, "abc1234", `\n::error::x`, 1), "7 to 64 digits"},
		"an escape":        {strings.Replace(undigested, "abc1234", `\u001b[2J`, 1), "7 to 64 digits"},
		"a name twice":     {strings.Replace(good.String(), `"schema": 1`, `"schema": 1, "commit": "x", "commit": "y"`, 1), "duplicate"},
		"a bomb":           {bomb(t), "larger than 256 MiB"},
		"too deep":         {strings.Repeat("[", 100_000), "no results file"},
		"cut off packed":   {packed.String()[:packed.Len()/2], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "results.json")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadResults(path)
			var bad *ResultsError
			if !errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			var schema *SchemaError
			if strings.Contains(tc.want, "schema ") && strings.Contains(tc.want, "reads") != errors.As(err, &schema) {
				t.Errorf("error %v is of another type", err)
			}
		})
	}
	if _, err := ReadResults(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// Whatever is wrong with recorded samples is an error of its own, never a figure.
func TestRecomputeRefusesBadSamples(t *testing.T) {
	slot := func(v float64) func(*Comparison) {
		return func(c *Comparison) { c.Blocks[3].Slots[ArmFloor][1] = v }
	}
	for name, tc := range map[string]struct {
		change func(*Comparison)
		want   error
	}{
		"NaN":          {slot(math.NaN()), errNotPositive},
		"infinite":     {slot(math.Inf(1)), errNotPositive},
		"zero":         {slot(0), errNotPositive},
		"negative":     {slot(-5), errNotPositive},
		"another slot": {slot(49999), errNotRaw},
		"a slot less":  {func(c *Comparison) { c.Blocks[0].Slots[ArmTwin] = c.Blocks[0].Slots[ArmTwin][:1] }, errMissing},
		"no arm":       {func(c *Comparison) { delete(c.Blocks[5].Slots, ArmSlow) }, errMissingArm},
		"no slots":     {func(c *Comparison) { c.Blocks[5].Slots = nil }, errMissingArm},
		"no samples":   {func(c *Comparison) { c.Blocks[5].Slots[ArmNone] = nil }, errMissingArm},
		"one session":  {func(c *Comparison) { c.Blocks = c.Blocks[:2] }, errTooFew},
		"six blocks of one": {func(c *Comparison) {
			c.Plan.Blocks = 6
			for i := range c.Blocks {
				c.Blocks[i].Session = 1
			}
		}, errTooFew},
		"four blocks":        {func(c *Comparison) { c.Blocks = c.Blocks[:4] }, errTooFew},
		"none":               {func(c *Comparison) { c.Blocks = nil }, errTooFew},
		"a block less":       {func(c *Comparison) { c.Blocks = c.Blocks[:5] }, errMissing},
		"a session less":     {func(c *Comparison) { c.Blocks = append(c.Blocks[:2:2], c.Blocks[4:]...) }, errMissing},
		"from the second on": {func(c *Comparison) { c.Blocks = c.Blocks[2:] }, errMissing},
		"out of order":       {func(c *Comparison) { c.Blocks[1], c.Blocks[2] = c.Blocks[2], c.Blocks[1] }, errMissing},
		"no audit":           {func(c *Comparison) { c.Audit = nil }, errNoAudit},
		"counters":           {func(c *Comparison) { c.Counters = map[string]Counters{ArmBackend: {Allocs: 1}} }, errNotRaw},
		"figure":             {func(c *Comparison) { c.CostRatio.Value *= 0.99 }, errNotRaw},
		"interval":           {func(c *Comparison) { c.Overhead.High *= 0.99 }, errNotRaw},
		"n":                  {func(c *Comparison) { c.Cost.N++ }, errNotRaw},
		"injected":           {func(c *Comparison) { c.Injected.Low = math.NaN() }, errNotRaw},
	} {
		t.Run(name, func(t *testing.T) {
			c := recorded(t).Comparisons[0]
			tc.change(&c)
			if got, err := Recompute(&c); !errors.Is(err, tc.want) || got != nil {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
	bad := recorded(t).Comparisons[0]
	bad.Plan.Sessions = 0
	if _, err := Recompute(&bad); err == nil {
		t.Error("a plan without sessions was taken")
	}
}

// No statistic of a block can be edited: this fails for a new one that Recompute
// does not know.
func TestEveryStatisticIsRecomputed(t *testing.T) {
	block := reflect.TypeFor[Block]()
	for i := range block.NumField() {
		if block.Field(i).Type.Kind() != reflect.Float64 {
			continue
		}
		c := recorded(t).Comparisons[0]
		f := reflect.ValueOf(&c.Blocks[4]).Elem().Field(i)
		f.SetFloat(f.Float() * 1.000001)
		if _, err := Recompute(&c); !errors.Is(err, errNotRaw) {
			t.Errorf("an edited %s: %v", block.Field(i).Name, err)
		}
	}
}

// A measurement that was at fault is judged as such, however little there is of it.
func TestFaultyMeasurementsMayBeShort(t *testing.T) {
	c := recorded(t).Comparisons[0]
	c.Blocks, c.Problem = nil, "session 1: script ran dry"
	if got, err := Recompute(&c); err != nil || got.Valid() {
		t.Errorf("%+v, error %v", got, err)
	}
	c = recorded(t).Comparisons[0]
	c.Problem = "session 2: script ran dry"
	c.Blocks[0].Slots[ArmNone][0] = -1
	if _, err := Recompute(&c); !errors.Is(err, errNotPositive) {
		t.Errorf("a faulty measurement with a bad slot: %v", err)
	}
}

func TestRecomputeLeavesItsInput(t *testing.T) {
	c, same := recorded(t).Comparisons[0], recorded(t).Comparisons[0]
	got, err := Recompute(&c)
	if err != nil {
		t.Fatal(err)
	}
	got.Blocks[0].CostRatio = -1
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Started" || p.String() == "Seconds" }, cmp.Ignore())
	if d := cmp.Diff(same, c, ignore); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
}
