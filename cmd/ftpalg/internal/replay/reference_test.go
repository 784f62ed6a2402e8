package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

var (
	update    = flag.Bool("update", false, "write the golden files anew")
	recapture = flag.Bool("recapture", false, "capture the reference dialogue anew, in the lab (as root); use with -update")
)

const reference = "testdata/reference.pcapng"

// The reference dialogue, between a real client and a real server: a download, a
// listing and an upload, each with its one pinhole.
func TestReferenceDialogue(t *testing.T) {
	if *recapture {
		recordReference(t)
	}
	var text, lines bytes.Buffer
	write, encode := event.NewText(&text), json.NewEncoder(&lines)
	s, err := File(t.Context(), reference, Config{Policy: alg.DefaultPolicy(), Sink: func(e alg.Event) {
		j := event.From(e)
		if err := write.Write(j); err != nil {
			t.Fatal(err)
		}
		if err := encode.Encode(j); err != nil {
			t.Fatal(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&text, &s)
	golden(t, "reference.txt", text.Bytes())
	golden(t, "reference.json", lines.Bytes())
	if s.Started != 2 || s.Ended != 2 || s.Opened != 3 || s.Used != 3 || s.Refused != 0 || len(s.Warnings()) > 0 {
		t.Errorf("the summary: %+v", s)
	}
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has\n%s\nbut the replay says\n%s", file, want, got)
	}
}

// recordReference captures the dialogue where it enters the gateway.
func recordReference(t *testing.T) {
	l, err := lab.New(t.Context(), lab.Options{Ruleset: lab.Ruleset("open")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	capture, err := l.Gateway.Capture("inside")
	if err != nil {
		t.Fatal(err)
	}
	detour(t, l)
	for _, session := range lab.Reference {
		if out, err := l.Client.LFTP(t.Context(), session.Commands).CombinedOutput(); err != nil {
			t.Fatalf("lftp: %v\n%s", err, out)
		}
	}
	time.Sleep(500 * time.Millisecond) // the last packets of the last session
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := capture.WritePcapNG(&file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reference, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// detour sends the probes with which the dialogue begins.
func detour(t *testing.T, l *lab.Lab) {
	for i := range uint16(2) {
		conn, err := l.Client.DialFrom(context.Background(), netip.AddrPortFrom(l.Client.IPv4, 49160+i), "udp", netip.AddrPortFrom(l.Server.IPv4, 33440+i).String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(nil); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
