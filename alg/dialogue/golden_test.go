package dialogue_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recording is what passed on one control connection, and beside it.
type recording struct {
	events []event
	six    bool // over IPv6
}

// event is a line of a recording: 'C', 'S' with bytes, or 'D' with a word.
type event struct {
	kind     byte
	text     string
	from, to netip.AddrPort // of a data connection that comes
}

func (e event) String() string {
	if e.kind == 'D' {
		return "D " + e.text
	}
	return fmt.Sprintf("%c %q", e.kind, e.text)
}

var ends = regexp.MustCompile(`^# data connection from (\S+) to (\S+)$`)

// load reads a recording: testdata/README.txt has its form.
func load(t testing.TB, path string) recording {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	var from, to netip.AddrPort
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line := s.Text()
		if m := ends.FindStringSubmatch(line); m != nil {
			from, to = netip.MustParseAddrPort(m[1]), netip.MustParseAddrPort(m[2])
			r.six = r.six || from.Addr().Is6()
		}
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "C", "S":
			if text, err = strconv.Unquote(text); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			r.events = append(r.events, event{kind: kind[0], text: text})
		case "D":
			e := event{kind: 'D', text: text}
			if text == "connect" {
				e.from, e.to = from, to
			}
			r.events = append(r.events, e)
		case "#":
		default:
			t.Fatalf("%s: %q", path, line)
		}
	}
	return r
}

// terms are those of the recordings' hosts, with the rules that each server needs.
func (r recording) terms(server string) dialogue.Terms {
	rules := dialogue.Rules{
		Modes:        []dialogue.Mode{dialogue.Active, dialogue.Passive},
		SourcePort:   dialogue.Port(20),
		MinPort:      1024,
		DenyPorts:    []uint16{1433, 1521, 2049, 3306, 3389, 5432, 5900, 5985, 6000, 6379, 8080, 9200, 11211, 27017},
		RequireLogin: true,
	}
	if server == "pyftpdlib" { // it connects before it answers PORT, from any port
		rules.OpenOnPort, rules.SourcePort = true, dialogue.Ports{}
	}
	t := dialogue.Terms{Client: netip.MustParseAddr("10.1.4.4"), Server: netip.MustParseAddr("10.2.5.5"), Rules: &rules}
	if r.six {
		t.Client, t.Server = netip.MustParseAddr("fd00:1:4::4"), netip.MustParseAddr("fd00:2:5::5")
	}
	return t
}

// play runs a dialogue over a recording. It writes down each event from which something
// follows, with the decisions, and says which data connections were not admitted.
func (r recording) play(t testing.TB, terms dialogue.Terms) (transcript string, d dialogue.Dialogue, missed int) {
	t.Helper()
	var out strings.Builder
	var client, server dialogue.Splitter
	var said []dialogue.Decision
	for _, e := range r.events {
		said = said[:0]
		switch e.kind {
		case 'C':
			said = feed(&client, true, e.text, said, func(l dialogue.Line, out []dialogue.Decision) []dialogue.Decision {
				return d.Command(&terms, l, out)
			})
		case 'S':
			said = feed(&server, false, e.text, said, func(l dialogue.Line, out []dialogue.Decision) []dialogue.Decision {
				return d.Reply(&terms, l, out)
			})
		case 'D':
			if e.text != "connect" {
				continue
			}
			a := d.Live()
			admitted := a.State == dialogue.Opened && a.At == e.to && a.From.Contains(e.from.Port())
			if admitted {
				d.Came()
				fmt.Fprintf(&out, "%v\n\tadmitted: %v\n", e, e.to)
			} else {
				missed++
				fmt.Fprintf(&out, "%v\n\tNOT ADMITTED: %v\n", e, e.to)
			}
		}
		if len(said) > 0 {
			fmt.Fprintln(&out, e)
			for _, x := range said {
				fmt.Fprintf(&out, "\t%v\n", x)
			}
		}
	}
	return out.String(), d, missed
}

// feed gives bytes of one side to its splitter, and the lines to the dialogue.
func feed(s *dialogue.Splitter, client bool, text string, said []dialogue.Decision,
	line func(dialogue.Line, []dialogue.Decision) []dialogue.Decision,
) []dialogue.Decision {
	end := dialogue.ServersEnd
	if client {
		end = dialogue.ClientsEnd
	}
	for b := []byte(text); len(b) > 0; {
		l, n, ok := s.Next(b, end)
		b = b[n:]
		if ok {
			said = line(l, said)
		}
	}
	return said
}

// Each recorded dialogue gives the decisions of the golden file beside it.
func TestRecordedDialogues(t *testing.T) {
	for path := range recordings(t) {
		server, scenario := parts(path)
		t.Run(server+"/"+scenario, func(t *testing.T) {
			r := load(t, path)
			got, _, _ := r.play(t, r.terms(server))
			golden := strings.TrimSuffix(path, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// recordings are the paths of all of them.
func recordings(t testing.TB) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	set := map[string]bool{}
	for _, p := range paths {
		set[filepath.ToSlash(p)] = true
	}
	return set
}

// parts are the server and the scenario of a recording.
func parts(path string) (server, scenario string) {
	dir, file := filepath.Split(path)
	return filepath.Base(dir), strings.TrimSuffix(file, ".txt")
}

// What the recorded dialogues show of the servers is helped, and believed, but for what is
// named here. A server stands for itself, "*" for all of them.
var (
	notAdmitted = map[string]string{
		"*/abor-unconnected":        "ABOR closes the pinhole, and the client connects after it to set the server free",
		"*/facts":                   "no 229 is believed after the reply to MLST",
		"*/passive":                 "EPSV 2 on an IPv4 connection is refused here, though servers answer it",
		"*/passive6":                "EPSV 1 on an IPv6 connection likewise",
		"*/pipelined-transfers":     "one announcement is live: a second PORT takes the place of the first",
		"*/refused":                 "after a refused transfer the pinhole is closed until the next transfer command, and the client connects before it",
		"proftpd/pipelined-refused": "after a refused PORT the server connects to the port before",
		"proftpd/unannounced":       "without a new announcement the server connects to the port before",
	}
	notBelieved = map[string]string{
		"*/facts":                  "MLST",
		"*/names-nul":              "STAT with an argument",
		"*/stat":                   "STAT with an argument",
		"*/stat-argument-transfer": "STAT with an argument",
		"pure-ftpd/pwd":            "a name that is one quote, which the server does not double",
	}
	notFollowed = map[string]string{
		"*/empty-line":           "lines that begin with a space, which no client sends",
		"*/features":             "XYZZY is in no list of verbs",
		"*/pipelined-many":       "XYZZY",
		"*/names-iac":            "a Telnet command in a line",
		"*/names-lf":             "a line that begins with a number",
		"*/stat-telnet-transfer": "a Telnet command before STAT",
	}
)

func TestWhatServersDoIsHelped(t *testing.T) {
	used := map[string]bool{}
	listed := func(list string, m map[string]string, server, scenario string) bool {
		for _, key := range []string{server + "/" + scenario, "*/" + scenario} {
			if m[key] != "" {
				used[list+key] = true
				return true
			}
		}
		return false
	}
	for path := range recordings(t) {
		server, scenario := parts(path)
		r := load(t, path)
		transcript, d, missed := r.play(t, r.terms(server))
		if missed > 0 && !listed("a", notAdmitted, server, scenario) {
			t.Errorf("%s: %d data connections are not admitted:\n%s", path, missed, transcript)
		}
		if strings.Contains(transcript, "\tdoubted") && !listed("b", notBelieved, server, scenario) {
			t.Errorf("%s is not believed:\n%s", path, transcript)
		}
		if !d.Followed() && !listed("c", notFollowed, server, scenario) {
			t.Errorf("%s is not followed:\n%s", path, transcript)
		}
		if d.Live().State == dialogue.Opened {
			t.Errorf("%s: a pinhole stands open at the end:\n%s", path, transcript)
		}
	}
	for list, m := range map[string]map[string]string{"a": notAdmitted, "b": notBelieved, "c": notFollowed} {
		for key := range m {
			if !used[list+key] {
				t.Errorf("%s is listed, and need not be", key)
			}
		}
	}
}
