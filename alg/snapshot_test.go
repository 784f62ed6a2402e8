package alg_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestSnapshot(t *testing.T) {
	x := newWire(t).login()
	want := func(state string) {
		t.Helper()
		sessions, pinholes := x.w.Snapshot()
		if len(sessions) != 1 || sessions[0].State != "dialogue" || !sessions[0].Login || sessions[0].Client != x.flow.Client {
			t.Errorf("sessions %+v", sessions)
		}
		if state == "" {
			if len(pinholes) != 0 {
				t.Errorf("pinholes %+v", pinholes)
			}
		} else if len(pinholes) != 1 || pinholes[0].State != state || pinholes[0].Pinhole != x.hole(46197) {
			t.Errorf("pinholes %+v, want one %s", pinholes, state)
		}
	}
	want("")
	x.c(port46197)
	want("announced")
	x.s(ok200)
	want("accepted")
	x.c("RETR x")
	want("open")
	x.kernel.use(x.hole(46197))
	x.s("150 x")
	want("used")
	x.s("226 x")
	want("closed")
}

// Part by part, each session is told that is there all the time, whatever comes and goes.
func TestPartByPart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := newWire(rt)
		x.lean = true
		there := make(map[uint16]*wire)
		port := uint16(2000)
		begin := func() {
			port++
			there[port] = x.another(port).connect()
		}
		for range rapid.IntRange(0, 20).Draw(rt, "sessions") {
			begin()
		}
		stay := make(map[uint16]bool)
		for p := range there {
			stay[p] = true
		}
		told := make(map[uint16]bool)
		for next := alg.End; next > 0; {
			var part []alg.SessionInfo
			part, _, next = x.w.Part(next, rapid.IntRange(1, 5).Draw(rt, "n"))
			for _, s := range part {
				told[s.Client.Port()] = true
				if there[s.Client.Port()] == nil {
					rt.Fatalf("%v is told, and gone", s.Client)
				}
			}
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				if rapid.Bool().Draw(rt, "begins") {
					begin()
					continue
				}
				for p := uint16(2001); p <= port; p++ { // the same one each time
					if there[p] != nil && rapid.Bool().Draw(rt, "ends") {
						there[p].flags(fromClient, tcp.RST)
						delete(there, p)
						delete(stay, p)
						break
					}
				}
			}
		}
		for p := range stay {
			if !told[p] {
				rt.Fatalf("%d is not told", p)
			}
		}
		if all, _ := x.w.Snapshot(); len(all) != len(there) {
			rt.Fatalf("%d sessions, want %d", len(all), len(there))
		}
	})
}
