package alg

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
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
	if x.count(PinholeUsed) != 1 || x.count(PinholeClosed) != 1 {
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
		if !x.kernel.open[x.passive(46197)] {
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
	x.wantReason(PinholeRefused, "foreign address")
}

func TestEpsvAll(t *testing.T) {
	x := newWire(t).login()
	x.c("EPSV ALL")
	x.s("200 ok")
	for _, late := range []string{port46197, "EPRT |1|10.1.4.4|46197|", "PASV"} {
		x.c(late)
		if late == "PASV" {
			x.s("227 (10,2,5,5,180,117)")
		} else {
			x.s(ok200)
		}
		x.c("LIST")
		x.s("425 x")
	}
	x.wantNever()
	x.wantReason(PinholeRefused, "after EPSV ALL")
	x.c("EPSV")
	x.s("229 ok (|||46197|)")
	x.wantOpen(x.passive(46197))

	x = newWire(t).login()
	x.c("EPSV ALL")
	x.s("502 not here")
	x.c(port46197)
	x.s(ok200)
	x.c("LIST")
	x.wantOpen(x.hole(46197))
}

func TestAnnouncementsOfTheServerThatOpenNothing(t *testing.T) {
	for _, tc := range []struct {
		name, asked, reply, reason string
	}{
		{"unsolicited 227", "", "227 (10,2,5,5,180,117)", "not asked for"},
		{"unsolicited 229", "", "229 (|||46197|)", "not asked for"},
		{"227 to EPSV", "EPSV", "227 (10,2,5,5,180,117)", "not asked for"},
		{"229 to PASV", "PASV", "229 (|||46197|)", "not asked for"},
		{"227 to NOOP", "NOOP", "227 (10,2,5,5,180,117)", "not asked for"},
		{"another host", "PASV", "227 (10,2,5,6,180,117)", "foreign address"},
		{"low port", "PASV", "227 (10,2,5,5,0,22)", "below the lowest"},
		{"low port in 229", "EPSV", "229 (|||22|)", "below the lowest"},
		{"denied port", "EPSV", "229 (|||3306|)", "denied port"},
		{"two candidates", "PASV", "227 (10,2,5,5,180,117) (10,2,5,5,180,118)", ftp.ErrAmbiguous.Error()},
		{"no numbers", "PASV", "227 ok", ftp.ErrNotSix.Error()},
		{"address in 229", "EPSV", "229 (|1|10.2.5.5|46197|)", ftp.ErrEpsvAddress.Error()},
		{"inside a multi-line reply", "PASV", "211-Features\r\n227 (10,2,5,5,180,117)\r\n211 End", ""},
		{"first line of a multi-line reply", "PASV", "227-(10,2,5,5,180,117)\r\n227 ok", ftp.ErrNotSix.Error()},
		{"LPSV", "LPSV", "228 (4,4,10,2,5,5,2,180,117)", "LPSV is not helped"},
		{"after a refusal", "PASV", "500 no\r\n227 (10,2,5,5,180,117)", "not asked for"},
		{"a continuation that looks like one", "CWD x", "550 AAAA\r\n227 x (10,2,5,5,180,117)", "not asked for"},
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
				x.wantReason(PinholeRefused, tc.reason)
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
	if x.count(PinholeClosed) != 1 {
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
		x := newWire(t, func(p *Policy) {
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
