package top

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// fake is a daemon that says what it is told to.
type fake struct {
	status   api.Status
	err      error
	sessions []api.Session
	pinholes []api.Pinhole
	listed   int // how often it was asked for them
}

func (f *fake) Status(context.Context) (api.Status, error) { return f.status, f.err }

func (f *fake) Snapshot(context.Context) ([]api.Session, []api.Pinhole, error) {
	f.listed++
	return f.sessions, f.pinholes, nil
}

func (f *fake) Events(context.Context, func(event.JSON) error) error { return errors.New("none") }

// look has the daemon asked and returns what is shown then.
func look(m model) (model, string) {
	next, _ := m.Update(m.ask())
	m = next.(model)
	return m, strings.Join(m.lines(), "\n")
}

func busy(sessions int) *fake {
	f := &fake{status: api.Status{
		Version: "v1", StartedAt: time.Now().Add(-time.Hour), Sessions: uint64(sessions), Pinholes: 2, Transfers: 7, Refused: 3, Missed: 1,
		Queues: []api.Queue{{Number: 21000, Waiting: 5, Dropped: 6}, {Number: 21001, Waiting: 1}},
	}}
	for i := range sessions {
		id := uint64(i + 1)
		client := netip.AddrPortFrom(netip.MustParseAddr("10.1.4.4"), uint16(40000+i))
		f.sessions = append(f.sessions, api.Session{Session: id, Client: client, Server: netip.MustParseAddrPort("10.2.5.5:21"), State: "dialogue", Login: true})
		if i == 1 {
			f.pinholes = append(f.pinholes, api.Pinhole{State: "used", Mode: "active", Session: id, OpenedAt: time.Now().Add(-3 * time.Second)})
		}
	}
	return f
}

// The screen is filled and not more, at every size, and no text of others reaches the terminal
// as anything but letters.
func TestTheScreenIsFilledAndNotMore(t *testing.T) {
	f := busy(100)
	m := newModel(t.Context(), f, time.Now())
	for i := range 40 {
		_ = m.heard.hear(event.JSON{Event: alg.PinholeRefused, Reason: fmt.Sprintf("\x1b[2J\nhostile %d\u4e16\x9b", i), Time: time.Now()})
		_ = m.heard.hear(event.JSON{Event: alg.Failure, Reason: "a denied port", Error: strings.Repeat("x\x1b]0;title\a", 100), Time: time.Now()})
	}
	for _, size := range [][2]int{{80, 24}, {80, 10}, {200, 60}, {20, 5}, {1, 1}, {3, 2}, {0, 0}} {
		m.width, m.height = size[0], size[1]
		for _, state := range []string{"there", "gone"} {
			f.err = nil
			if state == "gone" {
				f.err = errors.New("no daemon answers at /run/ftpalg/ftpalg.sock: is it running?")
			}
			var text string
			m, text = look(m)
			lines := strings.Split(text, "\n")
			if len(lines) > max(size[1], 1) {
				t.Errorf("%v, %s: %d lines", size, state, len(lines))
			}
			for _, line := range lines {
				plain := strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[1m"), "\x1b[m")
				if len(plain) > size[0] || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%v, %s: %q", size, state, line)
				}
			}
		}
	}
}

// At 80x24 there is room for everything that matters.
func TestWhatIsShown(t *testing.T) {
	f := busy(100)
	m := newModel(t.Context(), f, time.Now())
	for _, e := range []event.JSON{
		{Event: alg.PinholeRefused, Reason: "a port below the lowest allowed", Client: netip.MustParseAddrPort("10.1.4.9:4000")},
		{Event: alg.PinholeRefused, Reason: "a port below the lowest allowed", Client: netip.MustParseAddrPort("10.1.4.9:4000")},
		{Event: alg.PinholeMissed, Reason: "the data connection came from port 33333, not 20: see source_port"},
		{Event: alg.PinholeMissed, Reason: "the data connection came from port 33334, not 20: see source_port"},
		{Event: alg.PassiveOff, Reason: "STAT with an argument"},
		{Event: alg.PinholeClosed, Used: new(true), Bytes: 5_000_000, Packets: 10},
		{Event: alg.SessionStart},
	} {
		_ = m.heard.hear(e)
	}
	m, text := look(m)
	for _, want := range []string{
		"sessions 100   open pinholes 2   queues 2: 6 waiting, 6 overrun",
		"transfers 7   announcements refused 3   connections missed 1",
		"active used      3s     10.1.4.4:40001  10.2.5.5:21",
		"2      ", "       a port below the lowest allowed\n", "pinhole.refused      min_port       10.1.4.9", "pinhole.missed       source_port\n", "session.passive_off  passive_ports", "more", "q quit",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not there", want)
		}
	}
	lines := strings.Split(text, "\n")
	if !strings.Contains(lines[6], "40001") || !strings.Contains(lines[7], "40099") {
		t.Errorf("transfers come first, and then the newest:\n%s\n%s", lines[6], lines[7])
	}
	if t.Failed() {
		t.Log("\n" + text)
	}

	// Rates look back ten seconds, and a new daemon begins anew.
	f.status.Transfers, f.status.Queues[0].Worker.Packets = 27, 1000
	a := m.ask().(answer)
	a.at = m.answer.at.Add(10 * time.Second)
	_ = m.heard.hear(event.JSON{Event: alg.PinholeClosed, Used: new(true), Bytes: 30_000_000, Packets: 10})
	m.take(a)
	if r := between(m.samples); r.transfers != 2 || r.packets != 100 || r.bytes != 3_000_000 {
		t.Errorf("%+v", r)
	}
	f.status.StartedAt, f.status.Transfers = time.Now(), 1
	if m, _ = look(m); between(m.samples) != (rates{}) {
		t.Errorf("rates across a restart: %+v", between(m.samples))
	}
}

// The lists copy every session where packets wait: of many they are not asked for.
func TestManySessionsAreNotListed(t *testing.T) {
	f := busy(3)
	f.status.Sessions = maxListed + 1
	_, text := look(newModel(t.Context(), f, time.Now()))
	if f.listed > 0 || !strings.Contains(text, "More than 2000 sessions") {
		t.Errorf("asked %d times\n%s", f.listed, text)
	}
}
