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
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var updatePictures = flag.Bool("update-pictures", false, "draw the pictures of the README again, from the red run that it shows; needs script and Chromium")

// The pictures of the README show the run of its block with a failing run.
const (
	terminalPicture = "../../.github/terminal.svg"
	pagePicture     = "../../.github/page.png"
	redRun          = "✗ BROKEN   1 of 3 specs failed"
	drawAgain       = "go test ./cmd/flujo-harness -run '^TestREADME$' -update-pictures"
)

// The picture of the terminal has the text of that block, which TestREADME compares with a real
// run.
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

// maxDistance is the maximum distance between the picture of the page and the present page. A run
// of another minute and commit has the distance 0.00, the same page in another font 0.07, and the
// page of another module with other specs 0.14.
const maxDistance = 0.1

// pictures draws the pictures if the flag is set. Otherwise it compares the page with the one in
// the picture: the words of its first screen always, its appearance if there is a browser. The
// sandbox's folder must be that of the failing run.
func (s *sandbox) pictures() {
	s.t.Helper()
	page, err := os.ReadFile(filepath.Join(s.dir, ".flujo", "report", "index.html"))
	if err != nil {
		s.t.Error(err)
		return
	}
	if *updatePictures {
		s.drawTerminal()
		s.drawPage(page)
		return
	}
	picture, err := os.ReadFile(pagePicture)
	if err != nil {
		s.t.Error(err)
		return
	}
	if !bytes.Contains(picture, pageChunk(page)) {
		s.t.Errorf("%s is stale: its first screen has other headings or labels than these; draw it again: %s\n%s", pagePicture, drawAgain, pageWords(page))
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		s.t.Log("no Chromium here: the looks of the page are not compared")
		return
	}
	d, err := distance(picture, s.photograph())
	if err != nil {
		s.t.Error(err)
	} else if s.t.Logf("the page in %s is at a distance of %.3f", pagePicture, d); d > maxDistance {
		s.t.Errorf("%s is stale: it is at a distance of %.3f from the present page, at most %v is allowed; draw it again: %s", pagePicture, d, maxDistance, drawAgain)
	}
}

// distance returns the distance between two pictures of the same size: the share of squares whose
// mean colours differ clearly, among squares that are not empty in both.
func distance(a, b []byte) (float64, error) {
	one, err := png.Decode(bytes.NewReader(a))
	if err != nil {
		return 0, err
	}
	two, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	if one.Bounds() != two.Bounds() {
		return 1, nil
	}
	const side = 40 // pixels
	background := mean(one, 0, 0, 4)
	drawn, differ := 0, 0
	for y := 0; y < one.Bounds().Dy(); y += side {
		for x := 0; x < one.Bounds().Dx(); x += side {
			m, n := mean(one, x, y, side), mean(two, x, y, side)
			if alike(m, background, 1) && alike(n, background, 1) {
				continue
			}
			if drawn++; !alike(m, n, 10) {
				differ++
			}
		}
	}
	return float64(differ) / float64(max(1, drawn)), nil
}

// alike reports whether two colours differ by at most most, on a scale to 255.
func alike(a, b [3]float64, most float64) bool {
	return max(math.Abs(a[0]-b[0]), math.Abs(a[1]-b[1]), math.Abs(a[2]-b[2])) <= most
}

// mean returns the mean colour of a square.
func mean(m image.Image, x, y, side int) (c [3]float64) {
	square := image.Rect(x, y, x+side, y+side).Intersect(m.Bounds())
	for y := square.Min.Y; y < square.Max.Y; y++ {
		for x := square.Min.X; x < square.Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			for k, v := range []uint32{r, g, b} {
				c[k] += float64(v>>8) / float64(square.Dx()*square.Dy())
			}
		}
	}
	return c
}

// keepHistory copies the history before the failing run, so that the run can be repeated.
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

// photograph returns the first screen of the page as PNG.
func (s *sandbox) photograph() []byte {
	s.t.Helper()
	file := filepath.Join(s.root, "page.png")
	url := "file://" + filepath.ToSlash(filepath.Join(s.dir, ".flujo", "report", "index.html"))
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,800", "--screenshot="+file, url)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("draw the page: %v\n%s", err, out)
	}
	picture, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return picture
}

func (s *sandbox) drawPage(page []byte) {
	s.t.Helper()
	picture := s.photograph()
	const end = 12 // bytes of the last chunk, IEND
	picture = append(append(append([]byte(nil), picture[:len(picture)-end]...), pageChunk(page)...), picture[len(picture)-end:]...)
	if err := os.WriteFile(pagePicture, picture, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

var (
	pageLabels  = regexp.MustCompile(`(?s)<(h[2-6]|th|dt|label|button|summary)\b[^>]*>(.*?)</(?:h[2-6]|th|dt|label|button|summary)>`)
	pageTags    = regexp.MustCompile(`<[^>]*>`)
	firstScreen = regexp.MustCompile(`(?s)^.*?<div class="view" data-view="specs">`)
	pageDigits  = regexp.MustCompile(`[0-9][0-9a-f.,:%]*`)
)

// pageWords returns the headings and labels of the first screen of a page, without figures. These
// are the same on every machine. The line of the run, which names the machine and a duration, and
// other views, which depend on them, are not included.
func pageWords(page []byte) string {
	if first := firstScreen.Find(page); first != nil {
		page = first
	}
	var words []string
	for _, m := range pageLabels.FindAllSubmatch(page, -1) {
		text := html.UnescapeString(string(pageTags.ReplaceAll(m[2], []byte(" "))))
		words = append(words, string(m[1])+" "+strings.Join(strings.Fields(pageDigits.ReplaceAllString(text, "N")), " "))
	}
	return strings.Join(words, "\n")
}

// pageChunk returns a PNG chunk with a digest of the words of a page.
func pageChunk(page []byte) []byte {
	body := fmt.Appendf(nil, "tEXtpage\x00%x", sha256.Sum256([]byte(pageWords(page))))
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	return binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
}

// terminalSVG draws the text of a terminal, with the colours of SGR sequences.
func terminalSVG(text string) []byte {
	const advance, height, margin = 8.4, 18, 16 // for a monospaced font of 14 px
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

// sgrClass returns the SVG class after an SGR sequence with the parameters.
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

// svgText returns the text of a picture, with a line for each "text" element.
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
	one, two := []byte(`<h1>amd64</h1><h2>Run 4</h2><p>7</p><th>pass <b>rate</b></th>`), []byte(`<h1>arm64</h1><h2 id="a">Run 5</h2><p>8</p><th>pass rate</th>`)
	if pageWords(one) != "h2 Run N\nth pass rate" || !bytes.Equal(pageChunk(one), pageChunk(two)) {
		t.Errorf("words %q and %q", pageWords(one), pageWords(two))
	}
	if bytes.Equal(pageChunk(one), pageChunk([]byte(`<h2>Run 4</h2><th>failures</th>`))) {
		t.Error("another label has the same digest")
	}
}

func TestDistanceOfPictures(t *testing.T) {
	draw := func(tall int, c color.Gray) []byte {
		m := image.NewRGBA(image.Rect(0, 0, 400, 400))
		for y := range 400 {
			for x := range 400 {
				m.Set(x, y, color.White)
				if x > 40 && 80 <= y && y < 80+tall {
					m.Set(x, y, c)
				}
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	plain := draw(200, color.Gray{100})
	for what, tt := range map[string]struct {
		other       []byte
		least, most float64
	}{"itself": {plain, 0, 0}, "a little darker": {draw(200, color.Gray{95}), 0, 0}, "a line more": {draw(204, color.Gray{100}), 0, 0.2}, "another colour": {draw(200, color.Gray{0}), 0.99, 1}, "half of it": {draw(100, color.Gray{100}), 0.4, 0.7}} {
		if d, err := distance(plain, tt.other); err != nil || d < tt.least || d > tt.most {
			t.Errorf("%s: %.3f, want %v to %v; error %v", what, d, tt.least, tt.most, err)
		}
	}
}
