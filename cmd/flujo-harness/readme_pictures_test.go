package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var updatePictures = flag.Bool("update-pictures", false, "draw the pictures of the README again, from the red run that it shows; needs script and Chromium")

// The pictures of the README, of the run in the block that shows a red run.
const (
	terminalPicture = "../../.github/terminal.svg"
	pagePicture     = "../../.github/page.png"
	redRun          = "✗ BROKEN   1 of 3 specs failed"
	drawAgain       = "go test ./cmd/flujo-harness -run '^TestREADME$' -update-pictures"
)

// The picture of the terminal has the text of the README's red run, which TestREADME compares with
// a real one.
func TestTerminalPictureIsCurrent(t *testing.T) {
	picture, err := os.ReadFile(terminalPicture)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := readmeBlocks(readTree(t, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if !strings.Contains(b.text, redRun) {
			continue
		}
		got, err := svgText(picture)
		if want := masked(b.text[strings.Index(b.text, "$ "):]); err != nil || masked(got) != want {
			t.Errorf("the picture is stale, draw it again: %s\nerror %v\n%s\nwant\n%s", drawAgain, err, masked(got), want)
		}
		return
	}
	t.Errorf("no block of the README shows %q", redRun)
}

// pictures draws the pictures where that is asked for, else it compares the words of the page with
// those of the page in the picture. The sandbox stands where the red run was made.
func (s *sandbox) pictures() {
	s.t.Helper()
	page, err := os.ReadFile(filepath.Join(s.dir, ".flujo", "report", "index.html"))
	if err != nil {
		s.t.Error(err)
		return
	}
	if !*updatePictures {
		picture, err := os.ReadFile(pagePicture)
		if err != nil {
			s.t.Error(err)
		} else if !bytes.Contains(picture, pageChunk(page)) {
			// No failure: sections such as that of what took longer depend on the times of a run.
			s.t.Logf("%s may be stale: it shows a page with other headings or labels than this one; to draw it again: %s", pagePicture, drawAgain)
		}
		return
	}
	s.drawTerminal()
	s.drawPage(page)
}

// keepHistory copies the history as it is before the red run, which can then be made once more.
func (s *sandbox) keepHistory() {
	s.t.Helper()
	if out, said, err := s.do("flujo-harness history backup ../before.db"); err != nil {
		s.t.Fatalf("copy the history: %v\n%s%s", err, out, said)
	}
}

func (s *sandbox) drawTerminal() {
	s.t.Helper()
	env := s.env
	s.env = append(s.env[:len(s.env):len(s.env)], "NO_COLOR=", "COLUMNS=", "TERM=xterm-256color")
	out, said, err := s.do(`script -qec "stty cols 100; flujo-harness run --db ../before.db 2>/dev/null" /dev/null || true`)
	if s.env = env; err != nil {
		s.t.Fatalf("draw the terminal: %v\n%s", err, said)
	}
	text := "$ flujo-harness run\n" + strings.ReplaceAll(out, "\r\n", "\n")
	if err := os.WriteFile(terminalPicture, terminalSVG(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sandbox) drawPage(page []byte) {
	s.t.Helper()
	file := filepath.Join(s.root, "page.png")
	url := "file://" + filepath.ToSlash(filepath.Join(s.dir, ".flujo", "report", "index.html"))
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,800", "--screenshot="+file, url)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("draw the page: %v\n%s", err, out)
	}
	png, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	const end = 12 // bytes of the last chunk, IEND
	png = append(append(append([]byte(nil), png[:len(png)-end]...), pageChunk(page)...), png[len(png)-end:]...)
	if err := os.WriteFile(pagePicture, png, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

var (
	pageLabels = regexp.MustCompile(`(?s)<(h[1-6]|th|dt|label|button|summary)\b[^>]*>(.*?)</(?:h[1-6]|th|dt|label|button|summary)>`)
	pageTags   = regexp.MustCompile(`<[^>]*>`)
	pageDigits = regexp.MustCompile(`[0-9][0-9a-f.,:%]*`)
)

// pageWords are the headings and labels of a page, without figures: they are the same on every
// machine.
func pageWords(page []byte) string {
	var words []string
	for _, m := range pageLabels.FindAllSubmatch(page, -1) {
		text := html.UnescapeString(string(pageTags.ReplaceAll(m[2], []byte(" "))))
		words = append(words, string(m[1])+" "+strings.Join(strings.Fields(pageDigits.ReplaceAllString(text, "N")), " "))
	}
	return strings.Join(words, "\n")
}

// pageChunk is a chunk of PNG that names the words of a page by their digest.
func pageChunk(page []byte) []byte {
	body := fmt.Appendf(nil, "tEXtpage\x00%x", sha256.Sum256([]byte(pageWords(page))))
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	return binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
}

// terminalSVG draws the text of a terminal, with the colours of SGR sequences.
func terminalSVG(text string) []byte {
	const advance, height, margin = 8.4, 18, 16 // of a monospaced font of 14 px
	var body bytes.Buffer
	columns, row := 0, 0
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		line = strings.TrimRight(line, "\n")
		columns = max(columns, utf8.RuneCountInString(sgr.ReplaceAllString(line, "")))
		row++
		fmt.Fprintf(&body, `<text x="%d" y="%d" xml:space="preserve">`, margin, margin+height*row-4)
		class, at := "", 0
		write := func(s string) {
			switch {
			case s == "":
			case class == "":
				body.WriteString("<tspan>" + html.EscapeString(s) + "</tspan>")
			default:
				body.WriteString(`<tspan class="` + class + `">` + html.EscapeString(s) + "</tspan>")
			}
		}
		for _, m := range sgr.FindAllStringSubmatchIndex(line, -1) {
			write(line[at:m[0]])
			at = m[1]
			class = sgrClass(class, line[m[2]:m[3]])
		}
		write(line[at:])
		body.WriteString("</text>\n")
	}
	width, tall := 2*margin+int(advance*float64(columns)), 2*margin+height*row
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e6edf3}.bold{font-weight:bold}.dim{fill:#9198a1}.red{fill:#ff7b72}.green{fill:#56d364}.yellow{fill:#e3b341}</style>
<rect width="100%%" height="100%%" rx="6" fill="#0d1117"/>
%s</svg>
`, width, tall, body.String())
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// sgrClass is the class of SVG after the parameters of an SGR sequence.
func sgrClass(class, parameters string) string {
	names := map[string]string{"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "91": "red", "92": "green", "93": "yellow"}
	for p := range strings.SplitSeq(parameters, ";") {
		switch name, ok := names[p]; {
		case p == "" || p == "0":
			class = ""
		case ok:
			class = strings.TrimSpace(class + " " + name)
		}
	}
	return class
}

// svgText is the text of a picture, a line for each element "text".
func svgText(picture []byte) (string, error) {
	var lines []string
	inside := false
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return strings.Join(lines, "\n"), nil
		}
		if err != nil {
			return "", err
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "text" {
				lines, inside = append(lines, ""), true
			}
		case xml.EndElement:
			inside = inside && e.Name.Local != "text"
		case xml.CharData:
			if inside {
				lines[len(lines)-1] += string(e)
			}
		}
	}
}

func TestPicturesAreReadBack(t *testing.T) {
	const text = "$ run\n\x1b[1;31m✗ BROKEN\x1b[0m   1 < 3  \x1b[2m1.1 s\x1b[m\n"
	picture := terminalSVG(text)
	if got, err := svgText(picture); err != nil || got != "$ run\n✗ BROKEN   1 < 3  1.1 s" {
		t.Errorf("%q, error %v", got, err)
	}
	if !bytes.Contains(picture, []byte(`<tspan class="bold red">✗ BROKEN</tspan><tspan>   1 &lt; 3  </tspan><tspan class="dim">1.1 s</tspan>`)) {
		t.Errorf("colours are lost: %s", picture)
	}
	one, two := []byte(`<h1>Run 4</h1><p>7</p><th>pass <b>rate</b></th>`), []byte(`<h1 id="a">Run 5</h1><p>8</p><th>pass rate</th>`)
	if pageWords(one) != "h1 Run N\nth pass rate" || !bytes.Equal(pageChunk(one), pageChunk(two)) {
		t.Errorf("words %q and %q", pageWords(one), pageWords(two))
	}
	if bytes.Equal(pageChunk(one), pageChunk([]byte(`<h1>Run 4</h1><th>failures</th>`))) {
		t.Error("another label has the same digest")
	}
}
