package alg_test

import (
	"testing"
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
