package main_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// programs is how much TestPrograms does. "direct" tells what a client or server cannot
// do from what the gateway does not let it do.
var programs = flag.String("programs", "some", "the combinations of FTP programs: "+
	"some (every server with every client), all, or direct (all, without the daemon)")

// serverProgram is one of the servers, and what an operator has to write for it.
type serverProgram struct {
	name     string
	start    func(context.Context, *lab.Lab) (*lab.Process, error)
	settings string // of its [[server]]; empty: it needs none
}

var serverPrograms = []serverProgram{
	{name: "vsftpd", start: func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartVSFTPD(ctx, lab.VSFTPDOptions{})
	}},
	{name: "proftpd", start: func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartProFTPD(ctx, lab.ProFTPDOptions{Directives: []string{"PassivePorts 50000 50100"}})
	}, settings: bounded},
	{name: "proftpd-any-port", start: func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartProFTPD(ctx, lab.ProFTPDOptions{AnyPort: true, Directives: []string{"PassivePorts 50000 50100"}})
	}, settings: "source_port = 0\n" + bounded},
	{name: "pure-ftpd", start: func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartPureFTPD(ctx, lab.PureFTPDOptions{Args: []string{"--passiveportrange", "50000:50100"}})
	}, settings: "source_port = \"1-1023\"\n" + bounded},
	{name: "pyftpdlib", start: func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartPyFTPdlib(ctx, lab.PyFTPdlibOptions{PassiveFirst: 50000, PassiveLast: 50100})
	}, settings: "source_port = 0\nopen_on = \"port\"\n" + bounded},
}

// bounded lets clients ask MLST in passive mode, as ncftp does before each PASV.
const bounded = `passive_ports = "50000-50100"`

// combination is one server and one client in one way.
type combination struct {
	server string
	client clientProgram
	mode   string     // active or passive
	host   netip.Addr // of the server, as the client knows it
}

func (c combination) name() string {
	family := "IPv4"
	if c.host.Is6() {
		family = "IPv6"
	}
	return c.client.name + " " + family
}

// url is the server's, with the log-in.
func (c combination) url() string {
	host := c.host.String()
	if c.host.Is6() {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("ftp://%s:%s@%s", lab.User, lab.Password, host)
}

// The files of a transfer: a small one, and one that takes many segments.
const (
	smallSize = 38
	bigSize   = 8 << 20
)

// contents are the small and the big file. Text would not show a wrong transfer type.
func contents() map[string][]byte {
	random := rand.NewChaCha8([32]byte{})
	files := map[string][]byte{"small": make([]byte, smallSize), "big": make([]byte, bigSize)}
	for _, b := range files {
		_, _ = random.Read(b)
	}
	return files
}

// TestPrograms has real clients get, put and list files at real servers, through a
// gateway whose firewall admits no data connection by itself. Each gateway helps one
// mode only, so that a client that falls back to the other fails.
func TestPrograms(t *testing.T) {
	for i, server := range serverPrograms {
		for _, mode := range []string{"active", "passive"} {
			t.Run(server.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				testPrograms(t, server, mode, untranslated, func(j int, c combination) bool { return c.chosen(i + j) })
			})
		}
	}
}

// The same where the gateway translates addresses.
func TestProgramsThroughATranslation(t *testing.T) {
	for k, a := range arrangements {
		for i, server := range serverPrograms {
			for m, mode := range []string{"active", "passive"} {
				t.Run(a.name+" "+server.name+" "+mode, func(t *testing.T) {
					t.Parallel()
					// Every client and every server once.
					testPrograms(t, server, mode, a, func(j int, c combination) bool {
						return (j+k)%len(serverPrograms) == i && (j+k/2)%2 == m && c.host.Is6() == (j%3 == k && !c.client.only4)
					})
				})
			}
		}
	}
}

func testPrograms(t *testing.T, server serverProgram, mode string, a arrangement, chosen func(int, combination) bool) {
	t.Helper()
	all := map[int][]combination{}
	for j, client := range clientPrograms {
		for _, host := range []netip.Addr{netip.MustParseAddr("10.2.5.5"), netip.MustParseAddr("fd00:2:5::5")} {
			if c := (combination{server.name, client, mode, a.dials(host)}); *programs != "some" || chosen(j, c) {
				all[j] = append(all[j], c)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	files := contents()
	l := gatewayFor(t, server, mode)
	a.apply(t, l)
	if _, err := server.start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		for _, dir := range []string{lab.ServerFiles, l.Client.Home()} {
			if err := os.WriteFile(l.Path(filepath.Join(dir, name)), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for j := range clientPrograms {
		for _, c := range all[j] {
			t.Run(c.name(), func(t *testing.T) { c.run(t, l, files) })
		}
	}
}

// chosen tells whether the combination is one of few: every server meets every client,
// every client all modes and families, and so does every server.
func (c combination) chosen(i int) bool {
	mode := []string{"active", "passive"}[i%2]
	return c.mode == mode && c.host.Is6() == (i/2%2 == 1 && !c.client.only4)
}

func gatewayFor(t *testing.T, s serverProgram, mode string) *lab.Lab {
	t.Helper()
	if *programs == "direct" {
		l := newLab(t)
		if err := l.Gateway.LoadRuleset(t.Context(), oneWay[mode]); err != nil {
			t.Fatal(err)
		}
		return l
	}
	// Servers draw their passive ports at random, one in some thousands a denied one.
	config := fmt.Sprintf("[pinhole]\nmodes = [%q]\ndeny_ports = []\n", mode)
	if s.settings != "" {
		config += fmt.Sprintf("[[server]]\naddresses = [\"10.2.5.5\", \"fd00:2:5::5\"]\n%s\n", s.settings)
	}
	return newGateway(t, config).Lab
}

// oneWay are firewalls that admit all data connections of one mode, and none of the
// other.
var oneWay = map[string]string{
	"active":  strings.Replace(lab.Ruleset("stateful"), statefulControl, statefulControl+"\n\t\tiifname \"outside\" tcp dport > 1023 accept", 1),
	"passive": strings.Replace(lab.Ruleset("stateful"), statefulControl, statefulControl+"\n\t\tiifname \"inside\" tcp dport > 1023 accept", 1),
}

const statefulControl = `iifname "inside" tcp dport 21 accept`

// run has the client transfer the files and compares them at both ends.
func (c combination) run(t *testing.T, l *lab.Lab, files map[string][]byte) {
	dir, err := os.MkdirTemp(l.Path(l.Client.Home()), "")
	if err != nil {
		t.Fatal(err)
	}
	lacks := c.client.lacks(c)
	patience := time.Minute
	if lacks != "" {
		patience = 10 * time.Second // to find that out
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := l.Client.Command(ctx, "sh", "-ec", c.client.script(c))
	cmd.Dir = filepath.Join(l.Client.Home(), filepath.Base(dir))
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s ended after %v:\n%s", c.client.name, took, out)
		}
	})
	if lacks != "" {
		t.Log(lacks)
		if err == nil {
			t.Error("it can do what it is said not to")
		}
		return
	}
	if err != nil {
		t.Errorf("exit status: %v", err)
	}
	for name, want := range files {
		compare(t, filepath.Join(dir, "got."+name), want)
		put := l.Path(filepath.Join(lab.ServerFiles, "put."+name))
		if c.client.cannotPut == "" {
			compare(t, put, want)
		} else {
			t.Log(c.client.cannotPut)
		}
		_ = os.Remove(put) // the next client's is to be its own
	}
	listing, err := os.ReadFile(filepath.Join(dir, "listing"))
	if err != nil || !bytes.Contains(listing, []byte("small")) || !bytes.Contains(listing, []byte("big")) {
		t.Errorf("the listing: %v: %q", err, listing)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes that differ from the %d of the original", filepath.Base(path), len(got), len(want))
	}
}
