package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestResetAfterAViolation(t *testing.T) {
	for name, line := range map[string]string{
		"foreign":  "PORT 10,1,4,9,200,1\r\n",
		"low port": "PORT 10,1,4,4,0,22\r\n",
		"denied":   "PORT 10,1,4,4,23,112\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *alg.Policy) { p.Reset = true }).login()
			before := x.next
			x.wantDrop(x.say(fromClient, line))
			if len(x.injected) != 2 {
				t.Fatalf("%d packets injected, want 2", len(x.injected))
			}
			for _, p := range x.injected {
				seg, err := tcp.Parse(p)
				if err != nil || !seg.ChecksumOK() || !seg.Has(tcp.RST) {
					t.Fatalf("injected %x: %v", p, err)
				}
				from := fromClient
				if seg.Src == x.flow.Server {
					from = fromServer
				}
				if seg.Seq != before[from] {
					t.Errorf("reset at %d, the receiver expects %d", seg.Seq, before[from])
				}
			}
			x.wantReason(alg.Violation, "")
			x.wantNoHelp()
			x.wantNever()

			x = newWire(t).login() // "ignore" passes it
			x.wantPass(x.say(fromClient, line))
			if len(x.injected) != 0 {
				t.Error("a reset although the policy ignores violations")
			}
		})
	}
}
