package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// What an event becomes in the log: the names are those of `ftpalg events`.
func TestEventRecords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	client, server := netip.MustParseAddrPort("10.1.4.4:40000"), netip.MustParseAddrPort("10.2.5.5:21")
	pinhole := alg.Pinhole{
		Mode: alg.Active, Source: server.Addr(), SourcePorts: alg.Ports{First: 20, Last: 20},
		Dest: netip.MustParseAddrPort("10.1.4.4:46197"),
	}
	const flow = `"client":"10.1.4.4:40000","server":"10.2.5.5:21"`
	const hole = `"mode":"active","source":"10.2.5.5","source_port":20,"address":"10.1.4.4","port":46197`
	for _, c := range []struct {
		event alg.Event
		want  string // after the time
	}{
		{
			alg.Event{Kind: alg.SessionStart, Session: 7, Client: client, Server: server},
			`"level":"INFO","msg":"session started","event":"session.start","session":7,` + flow,
		},
		{
			alg.Event{Kind: alg.PinholeRefused, Session: 7, Client: client, Server: server, Reason: "a denied port", Pinhole: pinhole},
			`"level":"INFO","msg":"pinhole refused","event":"pinhole.refused","session":7,` + flow + `,"reason":"a denied port",` + hole,
		},
		{
			alg.Event{
				Kind: alg.PinholeClosed, Session: 7, Client: client, Server: server, Reason: "226", Pinhole: pinhole,
				OpenedAt: at.Add(-time.Second), Open: 1500 * time.Microsecond, Used: true, Counters: alg.Counters{Packets: 9, Bytes: 900},
			},
			`"level":"INFO","msg":"pinhole closed","event":"pinhole.closed","session":7,` + flow + `,"reason":"226",` + hole +
				`,"opened_at":"2026-01-02T03:04:04Z","used":true,"lifetime":"1.5ms","packets":9,"bytes":900`,
		},
		{
			alg.Event{Kind: alg.PinholeClosed, Session: 7, Client: client, Server: server, Reason: "500", Pinhole: pinhole},
			`"level":"INFO","msg":"pinhole closed","event":"pinhole.closed","session":7,` + flow + `,"reason":"500",` + hole + `,"used":false`,
		},
		{
			alg.Event{Kind: alg.Failure, Reason: "no luck", Err: errors.New("bad")},
			`"level":"ERROR","msg":"failure","event":"failure","reason":"no luck","error":"bad"`,
		},
		{
			alg.Event{
				Kind: alg.PinholeMissed, Session: 7, Client: client, Server: server, Reason: "came from port 33333, not 20: source_port",
				Pinhole: alg.Pinhole{Source: server.Addr(), SourcePorts: alg.Ports{First: 1, Last: 1023}, Dest: pinhole.Dest},
			},
			`"level":"WARN","msg":"data connection found no pinhole","event":"pinhole.missed","session":7,` + flow +
				`,"reason":"came from port 33333, not 20: source_port","mode":"active","source":"10.2.5.5","source_port":"1-1023","address":"10.1.4.4","port":46197`,
		},
		{
			alg.Event{Kind: "nat.translated"}, // of a later version
			`"level":"INFO","msg":"nat.translated","event":"nat.translated"`,
		},
	} {
		var b bytes.Buffer
		e := newEvents(slog.New(slog.NewJSONHandler(&b, nil)))
		c.event.Time = at
		e.write(&c.event)
		if want := `{"time":"2026-01-02T03:04:05Z",` + c.want + "}\n"; b.String() != want {
			t.Errorf("got\n%swant\n%s", b.String(), want)
		}
	}
}

// Each kind of event that there is has words of its own.
func TestEveryKindIsDescribed(t *testing.T) {
	words := make(map[string]alg.Kind)
	for _, k := range []alg.Kind{
		alg.SessionStart, alg.SessionEnd, alg.NotFTP, alg.PassiveOff, alg.AuthTLS, alg.FTPSAdmitted, alg.FTPSRefused,
		alg.PinholeAnnounced, alg.PinholeOpen, alg.PinholeUsed, alg.PinholeClosed, alg.PinholeRefused, alg.PinholeMissed,
		alg.Violation, alg.Overload, alg.Failure,
	} {
		text, _ := describe(k)
		if other, ok := words[text]; ok || k != alg.Violation && k != alg.Overload && k != alg.Failure && text == string(k) {
			t.Errorf("%s is described as %q, like %q", k, text, other)
		}
		words[text] = k
	}
}

// The level of the log decides over events too.
func TestEventLevel(t *testing.T) {
	var b bytes.Buffer
	e := newEvents(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn})))
	e.write(&alg.Event{Kind: alg.SessionStart})
	e.write(&alg.Event{Kind: alg.Violation})
	if got := b.String(); strings.Contains(got, "session") || !strings.Contains(got, "violation") {
		t.Error(got)
	}
}

// The sink never waits. What it had to leave out is said, once and in total.
func TestEventsAreLost(t *testing.T) {
	var b bytes.Buffer
	e := newEvents(slog.New(slog.NewTextHandler(&b, nil)))
	const lost = 5
	for range maxEvents + lost {
		e.sink(alg.Event{Kind: alg.SessionStart})
	}
	e.close()
	if err := e.run(); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if n := strings.Count(got, "event=session.start"); n != maxEvents {
		t.Errorf("%d events were logged, want %d", n, maxEvents)
	}
	// When they begin, for the client when none of its events waits, and at the end.
	if strings.Count(got, "level=WARN") != 3 || !strings.Contains(got, "events=5\n") {
		t.Error("the losses were not told once each: ", strings.Count(got, "level=WARN"))
	}
}

// What one client has happen at will takes no room from the others, nor from what cannot be
// had at will.
func TestOneClientDoesNotDrownTheOthers(t *testing.T) {
	var b bytes.Buffer
	e := newEvents(slog.New(slog.NewTextHandler(&b, nil)))
	loud, quiet := netip.MustParseAddrPort("10.1.4.4:40000"), netip.MustParseAddrPort("10.1.4.5:40000")
	for range 2 * maxEvents {
		e.sink(alg.Event{Kind: alg.PinholeAnnounced, Client: loud})
	}
	e.sink(alg.Event{Kind: alg.SessionEnd, Client: loud})
	for range maxOfOne {
		e.sink(alg.Event{Kind: alg.PinholeOpen, Client: quiet})
	}
	e.close()
	if err := e.run(); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for text, want := range map[string]int{
		"event=pinhole.announced": maxOfOne, "event=session.end": 1, "event=pinhole.open": maxOfOne,
		"15360 events of this client were left out": 1,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is there %d times, want %d", text, n, want)
		}
	}
}
