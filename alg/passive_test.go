package alg_test

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

func TestPassiveOpensWithTheReplyAndClosesAfterTheTransfer(t *testing.T) {
	x := newWire(t).login()
	x.c("PASV")
	x.wantOpen()
	x.s("227 Entering Passive Mode (10,2,5,5,180,117).")
	x.wantOpen(x.passive(46197)) // clients connect before they send the transfer command
	x.kernel.use(x.passive(46197))
	x.c("RETR x")
	x.s("150 x", "226 x")
	x.wantOpen()
	if x.count(alg.PinholeUsed) != 1 || x.count(alg.PinholeClosed) != 1 {
		t.Error(x.told())
	}
}

func TestFormsOf227(t *testing.T) {
	for _, reply := range []string{
		"227 Entering Passive Mode (10,2,5,5,180,117)",
		"227 Entering Passive Mode 10,2,5,5,180,117",
		"227 =10,2,5,5,180,117",
		"227 Entering Passive Mode (10,2,5,5,180,117). Go ahead",
	} {
		x := newWire(t).login()
		x.c("PASV")
		x.s(reply)
		if !x.kernel.open(x.passive(46197)) {
			t.Errorf("%q opened nothing\n%s", reply, x.told())
		}
	}
}

func TestExtendedPassive(t *testing.T) {
	for _, ask := range []string{"EPSV", "EPSV 1", "epsv"} {
		x := newWire(t).login()
		x.c(ask)
		x.s("229 Entering Extended Passive Mode (|||46197|)")
		x.wantOpen(x.passive(46197))
	}
	x := newWire(t).login()
	x.c("EPSV 2") // the control connection is IPv4
	x.s("229 Entering Extended Passive Mode (|||46197|)")
	x.wantNever()
}

func TestIPv6(t *testing.T) {
	x := newWireBetween(t, "fd00:1::4", "fd00:2::5").login()
	x.c("EPRT |2|fd00:1:0::4|46197|") // another spelling of the same address
	x.s("200 EPRT ok")
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
	x.s("150 x", "226 x")
	x.c("EPSV 2")
	x.s("229 ok (!!!5000!)")
	x.wantOpen(x.passive(5000))
	x.c(port46197)
	x.wantOpen()
	x.wantReason(alg.PinholeRefused, "foreign")
}

func TestEpsvAll(t *testing.T) {
	all := func() *wire {
		x := newWire(t).login()
		x.c("EPSV ALL")
		x.s("200 ok")
		return x
	}
	for late, answer := range map[string]string{port46197: ok200, "EPRT |1|10.1.4.4|46197|": ok200, "PASV": ok227} {
		x := all()
		x.c(late)
		x.s(answer)
		x.c("LIST")
		x.s("425 x")
		x.wantNever()
		x.wantReason(alg.PinholeRefused, "EPSV ALL")
	}
	x := all()
	x.c("EPSV")
	x.s("229 ok (|||46197|)")
	x.wantOpen(x.passive(46197))

	x = newWire(t).login()
	x.c("EPSV ALL")
	x.s("502 not here")
	x.wantHelp()
}

func TestAnnouncementsOfTheServerThatOpenNothing(t *testing.T) {
	for _, tc := range []struct {
		name, asked, reply, reason string
	}{
		{"unsolicited 227", "", "227 (10,2,5,5,180,117)", ""},
		{"unsolicited 229", "", "229 (|||46197|)", ""},
		{"227 to EPSV", "EPSV", "227 (10,2,5,5,180,117)", ""},
		{"229 to PASV", "PASV", "229 (|||46197|)", ""},
		{"227 to NOOP", "NOOP", "227 (10,2,5,5,180,117)", ""},
		{"low port", "PASV", "227 (10,2,5,5,0,22)", "lowest|min_port"},
		{"low port in 229", "EPSV", "229 (|||22|)", "lowest|min_port"},
		{"denied|deny_ports", "EPSV", "229 (|||3306|)", "denied|deny_ports"},
		{"two candidates", "PASV", "227 (10,2,5,5,180,117) (10,2,5,5,180,118)", ""},
		{"no numbers", "PASV", "227 ok", ""},
		{"address in 229", "EPSV", "229 (|1|10.2.5.5|46197|)", ""},
		{"inside a multi-line reply", "PASV", "211-Features\r\n227 (10,2,5,5,180,117)\r\n211 End", ""},
		{"first line of a multi-line reply", "PASV", "227-(10,2,5,5,180,117)\r\n227 ok", ""},
		{"LPSV", "LPSV", "228 (4,4,10,2,5,5,2,180,117)", "LPSV is not helped"},
		{"after a refusal", "PASV", "500 no\r\n227 (10,2,5,5,180,117)", ""},
		{"a continuation that looks like one", "CWD x", "550 AAAA\r\n227 x (10,2,5,5,180,117)", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := newWire(t).login()
			if tc.asked != "" {
				x.c(tc.asked)
			}
			x.s(tc.reply)
			x.c("RETR x")
			x.wantNever()
			if tc.reason != "" {
				x.wantReason(alg.PinholeRefused, tc.reason)
			}
		})
	}
}

func TestPassiveBeforeLogin(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 x")
	x.c("PASV")
	x.s("227 (10,2,5,5,180,117)")
	x.wantNever()
}

func TestPassiveWithTheTransferSentAhead(t *testing.T) {
	x := newWire(t).login()
	x.c("PASV\r\nRETR x")
	x.s("227 (10,2,5,5,180,117)")
	x.wantOpen(x.passive(46197))
	x.kernel.use(x.passive(46197))
	x.s("150 x", "226 x")
	if x.count(alg.PinholeClosed) != 1 {
		t.Error(x.told())
	}
}

func TestClientsAndServersOfThePolicy(t *testing.T) {
	for _, tc := range []struct {
		clients, servers string
		want             bool
	}{
		{"10.1.0.0/16", "", true},
		{"10.3.0.0/16", "", false},
		{"", "10.2.5.5/32", true},
		{"", "10.2.5.6/32", false},
	} {
		x := newWire(t, func(p *alg.Policy) {
			if tc.clients != "" {
				p.Clients = []netip.Prefix{netip.MustParsePrefix(tc.clients)}
			}
			if tc.servers != "" {
				p.Servers = []netip.Prefix{netip.MustParsePrefix(tc.servers)}
			}
		}).login()
		x.c(port46197)
		x.s(ok200)
		x.c("RETR x")
		if got := len(x.kernel.opened) == 1; got != tc.want {
			t.Errorf("clients %q, servers %q: helped %v, want %v", tc.clients, tc.servers, got, tc.want)
		}
	}
}
