package report

import (
	"bytes"
	_ "embed"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/check.js
var check string

// The page in a real browser. With -artifacts, go test keeps the pictures.
func TestChromium(t *testing.T) {
	dir := t.ArtifactDir()
	b := startBrowser(t)
	testComplaints(t, b, dir)

	s, m := fixture(t)
	path := filepath.Join(dir, "page.html")
	if err := os.WriteFile(path, []byte(render(t, s, m)), 0o644); err != nil {
		t.Fatal(err)
	}
	url := "file://" + path
	for _, screen := range []struct {
		name          string
		width, height int
		theme         string
		paper         color.Gray
	}{
		{"light", 1280, 800, "light", color.Gray{255}},
		{"hall", 1920, 1080, "dark", color.Gray{17}},
		{"phone", 320, 640, "light", color.Gray{255}},
		{"phone-dark", 320, 640, "dark", color.Gray{17}},
	} {
		b.screen(screen.width, screen.height, screen.theme)
		b.open(url)
		for _, part := range []string{"network", "step-4", "transfer-1", "masquerade", "firewalls", "exposure"} {
			var there bool
			b.eval(`(document.getElementById("`+part+`")?.scrollIntoView(), document.getElementById("`+part+`") !== null)`, &there)
			if !there {
				t.Errorf("%s: there is no #%s", screen.name, part)
			}
			path := filepath.Join(dir, screen.name+"-"+part+".png")
			picture := b.save(path, "Page.captureScreenshot", map[string]any{"format": "png"})
			testPicture(t, path, picture, screen.width, screen.height, screen.paper)
		}
	}
	for _, width := range []int{320, 360, 480, 703, 704, 768, 959, 960, 1024, 1280, 1600, 1920, 3840} {
		b.screen(width, 800, "light")
		var faults []string
		b.eval(check, &faults)
		for _, f := range faults {
			t.Errorf("at a width of %d: %s", width, f)
		}
	}
	testParts(t, b)
	testKeyboard(t, b, url)
	testWithoutScript(t, b, url)
	pdf := b.save(filepath.Join(dir, "page.pdf"), "Page.printToPDF", map[string]any{"preferCSSPageSize": true})
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Errorf("it was printed as %q", pdf[:min(len(pdf), 20)])
	}
	for _, c := range b.complaints {
		t.Error(c)
	}
}

// testComplaints makes sure that the browser tells what the other tests rely on: errors,
// what the page's policy forbids, and any use of a network.
func testComplaints(t *testing.T, b *browser, dir string) {
	path := filepath.Join(dir, "faulty.html")
	const faulty = `<meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'; style-src 'none'">
		<script>console.error("said"); nothing.there</script><p style="color: red"><img src="http://127.0.0.1:1/picture">`
	if err := os.WriteFile(path, []byte(faulty), 0o644); err != nil {
		t.Fatal(err)
	}
	b.open("file://" + path)
	heard := strings.Join(b.complaints, "\n")
	for _, want := range []string{`"said"`, "nothing is not defined", "Content Security Policy", "asks the network for http://127.0.0.1:1/picture"} {
		if !strings.Contains(heard, want) {
			t.Errorf("nobody complained about %q:\n%s", want, heard)
		}
	}
	b.complaints = nil
}

// testPicture looks at the corner, which has the colour of the paper, and for anything else.
func testPicture(t *testing.T, path string, picture []byte, width, height int, paper color.Gray) {
	t.Helper()
	p, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if size := p.Bounds().Size(); size.X != width || size.Y != height {
		t.Errorf("%s is %v, want %d x %d", path, size, width, height)
	}
	corner := p.At(1, height-1)
	if got := color.GrayModel.Convert(corner); got != paper {
		t.Errorf("%s: the paper is %v, want %v", path, got, paper)
	}
	for y := range height {
		for x := range width {
			if p.At(x, y) != corner {
				return
			}
		}
	}
	t.Errorf("%s is empty", path)
}

func testParts(t *testing.T, b *browser) {
	for part, want := range map[string]int{
		"main > section":      13, // the network, ten steps, the firewalls, the exposure
		"main > section.step": 10,
		"table.packets":       8, // the last two steps of the fixture have none
		"table.firewalls td.good, table.firewalls td.bad": 60,
		"table.exposure tbody tr":                         10,
		"svg.wide":                                        5,
		"svg.narrow":                                      5,
		"#transfer-1 .wide .hole":                         1,
		"#frame .bytes i":                                 89,
		".parts td:nth-of-type(1) .bytes i":               20,
		".parts td:nth-of-type(2) .bytes i":               23,
		".parts tr.changed":                               3,
		".crossing td.changed":                            7, // two lines, one length, one Seq, three Ack
		".fields tbody tr":                                31,
	} {
		var got int
		b.eval("document.querySelectorAll("+quote(part)+").length", &got)
		if got != want {
			t.Errorf("%d of %s, want %d", got, part, want)
		}
	}
}

// quote makes a JavaScript string of a text without quotes.
func quote(text string) string { return `"` + text + `"` }

func testKeyboard(t *testing.T, b *browser, url string) {
	b.screen(1280, 800, "light")
	b.open(url + "#step-4")
	where := `[location.hash, document.activeElement.id, document.querySelector("nav [aria-current]")?.hash ?? ""]`
	for _, c := range []struct {
		key  string
		want []string
	}{
		{"ArrowRight", []string{"#step-5", "step-5-title"}},
		{"ArrowRight", []string{"#step-6", "step-6-title"}},
		{"ArrowLeft", []string{"#step-5", "step-5-title"}},
	} {
		b.press(c.key)
		var got []string
		b.eval("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r("+where+"))))", &got)
		if want := append(c.want, c.want[0]); !slices.Equal(got, want) {
			t.Errorf("%s goes to %q, want %q", c.key, got, want)
		}
	}
	var first, second string
	b.eval(`(document.querySelector(".bytes a").focus(), document.querySelector(".readout").textContent)`, &first)
	b.press("ArrowRight")
	b.eval(`document.querySelector(".readout").textContent`, &second)
	if !strings.HasPrefix(first, "Ethernet, bytes 0–5: Destination") || !strings.HasPrefix(second, "Ethernet, bytes 6–11: Source") {
		t.Errorf("the bytes are told as %q and %q", first, second)
	}
}

// testWithoutScript compares what can be read with and without JavaScript.
func testWithoutScript(t *testing.T, b *browser, url string) {
	const text = `["header", "main", "footer"].map((part) => document.querySelector(part).innerText)`
	var with, without []string
	b.open(url)
	b.eval(`document.querySelectorAll(".readout").forEach((e) => e.remove())`+"\n;"+text, &with)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(url)
	b.eval(text, &without)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	if !slices.Equal(with, without) {
		t.Error("what can be read depends on JavaScript")
	}
}
