package sdks

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The README shows a file that is tested, and names tests that exist.
func TestREADME(t *testing.T) {
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	readme := read("../../README.md")
	_, code, _ := strings.Cut(readme, "```go\n")
	if code, _, _ = strings.Cut(code, "```"); code != read("quickstart/joke_test.go") {
		t.Error("the code in stubs/README.md is not that of quickstart/joke_test.go: copy it")
	}
	var tests strings.Builder
	for _, dir := range []string{".", "..", "../..", "../../cassette", "../../redact"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_test.go") {
				tests.WriteString(read(dir + "/" + f.Name()))
			}
		}
	}
	names := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(readme, -1)
	for _, name := range names {
		if !strings.Contains(tests.String(), "func "+name[1]+"(") {
			t.Errorf("stubs/README.md names %s, and there is no such test", name[1])
		}
	}
	if len(names) < 20 {
		t.Errorf("only %d tests are named", len(names))
	}
}
