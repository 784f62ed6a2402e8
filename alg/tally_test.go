package alg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// sum adds up what was counted.
func sum(counts ...[]uint64) (n uint64) {
	for _, c := range counts {
		for _, one := range c {
			n += one
		}
	}
	return n
}

// wantTally compares what was counted with what is there, and with the causes that there may
// be. Every test of a worker has it after each call.
func (g *gateway) wantTally() {
	g.t.Helper()
	tally := g.w.Tally()
	if g.w.Sessions() > 64 {
		return // it would take most of the time
	}
	var states [len(alg.States)]int64
	sessions, _ := g.w.Snapshot()
	for _, s := range sessions {
		states[slices.Index(alg.States[:], s.State)]++
	}
	if tally.Sessions != states {
		g.t.Errorf("sessions by state: %v are counted, %v are there (%v)", tally.Sessions, states, alg.States)
	}
	for kind, of := range map[alg.Kind][]uint64{
		alg.PinholeClosed: tally.Closed[:], alg.PinholeRefused: tally.Refused[:],
		alg.PinholeMissed: tally.Missed[:], alg.Violation: tally.Violations[:],
	} {
		for c, n := range of {
			if n > 0 && !slices.Contains(alg.Causes(kind), alg.Cause(c)) {
				g.t.Errorf("%s because of %q: not one of its causes", kind, alg.Cause(c))
			}
		}
	}
}

// wantTold compares what was counted with all that was ever told.
func (g *gateway) wantTold() {
	g.t.Helper()
	tally := g.w.Tally()
	told := make(map[alg.Kind]uint64)
	for _, e := range g.events {
		told[e.Kind]++
	}
	for kind, counted := range map[alg.Kind]uint64{
		alg.SessionStart:     tally.Started,
		alg.SessionEnd:       tally.Ended,
		alg.PinholeAnnounced: sum(tally.Announced[:]),
		alg.PinholeOpen:      sum(tally.Opened[:]),
		alg.PinholeUsed:      sum(tally.Used[:]),
		alg.PinholeClosed:    sum(tally.Closed[:]),
		alg.PinholeRefused:   sum(tally.Refused[:]),
		alg.PinholeMissed:    sum(tally.Missed[:]),
		alg.Violation:        sum(tally.Violations[:]),
		alg.PassiveOff:       tally.PassiveOff,
		alg.NotFTP:           tally.NotFTP,
		alg.AuthTLS:          tally.AuthTLS,
		alg.Overload:         tally.Overload,
		alg.Failure:          tally.Failures,
	} {
		if counted != told[kind] && (told[alg.Overload] == 0 || counted < told[kind]) {
			g.t.Errorf("%s: %d are counted, %d were told", kind, counted, told[kind])
		}
	}
}

// What is not told, as too much of it came, is counted all the same.
func TestTallyCountsWhatIsNotTold(t *testing.T) {
	x := newWire(t).login()
	const times = 300
	for range times {
		x.c("PORT 10,1,4,4,0,22")
		x.s("500 no")
	}
	tally := x.w.Tally()
	if got := tally.Refused[alg.LowPort]; got != times {
		t.Errorf("%d refusals were counted, want %d", got, times)
	}
	if tally.Overload != 1 {
		t.Errorf("%d times it was told that there were too many", tally.Overload)
	}
}

func TestTallyOfATransfer(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.wait(time.Second)
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	x.wantTold()
	tally := x.w.Tally()
	if tally.Announced[alg.Active] != 1 || tally.Opened[alg.Active] != 1 || tally.Used[alg.Active] != 1 || tally.Closed[alg.Completed] != 1 {
		t.Errorf("%+v", tally)
	}
	if sum(tally.Open.Counts[:]) != 1 || tally.Open.Sum < time.Second || tally.Open.Counts[20] != 1 {
		t.Errorf("it was open for %v: %v", tally.Open.Sum, tally.Open.Counts)
	}
}

// An opening that the packet filter refused is not counted as one.
func TestTallyOfARefusedOpening(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]alg.Op) error { return errKernel }
	x.port()
	x.retr()
	if tally := x.w.Tally(); sum(tally.Opened[:]) != 0 || tally.Failures == 0 {
		t.Errorf("%+v", tally)
	}
}

func TestHistogram(t *testing.T) {
	var h alg.Histogram
	for _, one := range []struct {
		d  time.Duration
		at int
	}{
		{-1, 0},
		{0, 0},
		{1000, 0},
		{1001, 1},
		{2000, 1},
		{2001, 2},
		{4 * time.Microsecond, 2},
		{time.Second, 20},
		{24 * time.Hour, 31},
	} {
		before := h.Counts[one.at]
		h.Observe(one.d, 3)
		if h.Counts[one.at] != before+3 {
			t.Errorf("%v counts at %v", one.d, h.Counts)
		}
		if one.at < 31 && one.d > h.Bound(one.at) || one.at > 0 && one.d <= h.Bound(one.at-1) {
			t.Errorf("%v does not belong between %v and %v", one.d, h.Bound(one.at-1), h.Bound(one.at))
		}
	}
	if want := 3 * (0 + 1000 + 1001 + 2000 + 2001 + 4000 + time.Second + 24*time.Hour); h.Sum != want {
		t.Errorf("the sum is %v, want %v", h.Sum, want)
	}
}

// noReasons are the texts of packages alg and dialogue that are no reason of an event whose
// causes are counted.
var noReasons = []string{
	// Of events that are not counted by cause, and notes.
	"more sessions of one client than max_sessions_per_client allows", "at last", "the packet filter refused a change",
	"it is not known whether the pinhole was used", "taken up again", "taken up in its middle",
	"AUTH was accepted: the dialogue is encrypted, and its data connections cannot be helped, unless the server has ftps_ports",
	"AUTH was accepted: connections to the server's ftps_ports are admitted while the control connection lives",
	"; as it is translated, the server itself has to announce its outside address (masquerade address), and the gateway has to forward these ports to it",
	"the server's ftps_ports", "the client has too many connections to the server's ftps_ports",
	"AUTH was turned into another command, as the policy has it", "connection tracking would not take the label away",
	"the connection is translated, and broken", "the connection is translated, and its announcements cannot be",
	"connection tracking would not correct the sequence numbers",
	"too many events: no more are told until a connection is admitted",
	"the 227 names another address: it is helped towards the server's own",
	// Why 227 and 229 are not believed: the rest of a reason that begins with that.
	"STAT with an argument has names of files in its reply",
	"MLST has a name of a file in its reply, and the server has no passive_ports",
	"the name in a 257 does not end on its line", "a line of the server is no reply", "a reply to no command",
	"a 227 or 229 that was not asked for", "a command with urgent data in it, of which servers take out a byte",
	"the dialogue was taken up after a crash",
	// What an announcement of is violated by: see announcementOf.
	"an announcement of ",
	// Names and parts of them.
	"session.start", "session.end", "pinhole.announced", "pinhole.open", "pinhole.used", "pinhole.closed", "pinhole.refused",
	"pinhole.missed", "session.passive_off", "ftps.admitted", "ftps.refused", "violation", "auth.tls", "session.not_ftp",
	"overload", "failure", "announced", "accepted", "open", "used", "closed", "ended", "began", "under way", "close", "refused",
	"doubted", "secured", "over", "act %d", "%v %v", "%v %v from %v", ", standing", " (violation)", "greeting", "dialogue",
	"unhelped", "257", "active", "passive", "any", "%d-%d", "0123456789", "PORT ", "EPRT ", "229 ", "227 ",
	"", " ", ": ", "(", "-", "\n", "\r\n",
	"not the bytes of a value of this version", "not an FTP reply", "%q is neither \"active\" nor \"passive\"",
	"%q is neither a port nor a range of ports, such as \"50000-50100\"",
}

// Every reason has a cause: a new one has to be given one, or to be named above.
func TestEveryReasonHasACause(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, pattern := range []string{"*.go", "dialogue/*.go", "ftp/errors.go", "tcp/handshake.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || file == "cause.go" || file == "tally.go" {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ImportSpec, *ast.Field: // and tags
					_, isImport := n.(*ast.ImportSpec)
					return !isImport && n.(*ast.Field).Tag == nil
				case *ast.BasicLit:
					if n.Kind != token.STRING {
						break
					}
					text, err := strconv.Unquote(n.Value)
					if err != nil {
						t.Fatal(err)
					}
					seen[text] = true
					if !slices.Contains(noReasons, text) && alg.CauseOf(strings.TrimRight(text, "\n")) == alg.Other && alg.CauseOf("VERB "+text) == alg.Other {
						t.Errorf("%s: %q has no cause", file, text)
					}
				}
				return true
			})
		}
	}
	for _, text := range noReasons {
		if !seen[text] {
			t.Errorf("%q is said nowhere", text)
		}
	}
	for _, text := range alg.ReasonsWithACause() {
		// The verbs of these are put together elsewhere.
		if text != "USER" && !seen[text] && !slices.ContainsFunc(slices.Collect(keys(seen)), func(s string) bool { return strings.Contains(s, text) }) {
			t.Errorf("%q has a cause, but is said nowhere", text)
		}
	}
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for c := alg.Other; c.String() != "other" || c == alg.Other; c++ {
		if names[c.String()] || c.String() == "" {
			t.Errorf("cause %d has the name %q", c, c)
		}
		names[c.String()] = true
	}
	for reason, want := range map[string]alg.Cause{
		"LPRT is not helped":                           alg.NotHelped,
		"an announcement of a foreign address":         alg.ForeignAddress,
		"passive replies are not believed any more: x": alg.NotBelieved,
		"the data connection came from port 33333, not 20, and before the transfer command: see source_port and open_on": alg.SeeBoth,
		"the data connection came from port 33333, not 20: see source_port":                                              alg.SeeSourcePort,
		"the data connection came before the transfer command: see open_on":                                              alg.SeeOpenOn,
		"what nobody says": alg.Other,
	} {
		if got := alg.CauseOf(reason); got != want {
			t.Errorf("%q: %v, want %v", reason, got, want)
		}
	}
}

// A setting that is named for a cause is one of the configuration's.
func TestSettingsOfCauses(t *testing.T) {
	for reason, want := range map[string]string{
		"a port below the lowest allowed": "min_port", "a denied port": "deny_ports", "nobody is logged in": "require_login",
		"active mode is not allowed": "modes", "a port outside the server's passive_ports": "passive_ports",
		"came from port 33333, not 20: see source_port": "source_port", "see open_on": "open_on",
		"both: see source_port and open_on":                                           "source_port, open_on",
		"passive replies are not believed any more: STAT":                             "passive_ports",
		"a packet in the name of one end came by another way than that end's (paths)": "paths",
		"a foreign address": "", "timeout": "", "no reason": "",
	} {
		if got := alg.CauseOf(reason).Setting(); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
}
