package ftp

import (
	"net/netip"
	"testing"
)

func TestRewrite(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:40222")
	at6 := netip.MustParseAddrPort("[2001:db8::1]:40222")
	command := func(line string, at netip.AddrPort) string { return string(RewriteCommand(nil, []byte(line), at)) }
	for _, tc := range []struct{ got, want string }{
		{command("PORT 10,1,4,4,180,117\r", at), "PORT 192,0,2,1,157,30\r"},
		{command("port 10,1,4,4,180,117", at), "port 192,0,2,1,157,30"},
		{command("EPRT |1|10.1.4.4|46197|\r", at), "EPRT |1|192.0.2.1|40222|\r"},
		{command("Eprt !2!fd00::1!46197!", at6), "Eprt !2!2001:db8::1!40222!"},
		{string(RewritePasv(nil, []byte("Entering Passive Mode (10,2,5,5,195,80)."), at)), "Entering Passive Mode (192,0,2,1,157,30)."},
		{string(RewritePasv(nil, []byte("=10,2,5,5,195,80"), at)), "=192,0,2,1,157,30"},
		{string(RewriteEpsv(nil, []byte("Entering Extended Passive Mode (|||50000|)"), 7000)), "Entering Extended Passive Mode (|||7000|)"},
		{string(RewriteEpsv(nil, []byte("ok (!!!1!) bye"), 65535)), "ok (!!!65535!) bye"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

// What announces one address, rewritten, announces the other.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"PORT 10,1,4,4,180,117\r", "EPRT |2|fd00::1|46197|", "227 ok (10,2,5,5,195,80).", "229 (|||50000|) x"} {
		f.Add([]byte(s), uint16(40222))
	}
	f.Fuzz(func(t *testing.T, line []byte, port uint16) {
		if port == 0 {
			return
		}
		at := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)
		if c, err := ParseCommand(line); err == nil {
			was, err := parse(c)
			if err != nil {
				return
			}
			to := at
			if was.Addr().Is6() {
				to = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), port)
			}
			c, err = ParseCommand(RewriteCommand(nil, line, to))
			if got, wrong := parse(c); err != nil || wrong != nil || got != to {
				t.Errorf("%q announces %v (%v, %v)", line, got, err, wrong)
			}
			return
		}
		if len(line) < 4 {
			return
		}
		text := line[4:]
		if _, err := ParsePasv(text); err == nil {
			if got, err := ParsePasv(RewritePasv(nil, text, at)); err != nil || got != at {
				t.Errorf("%q announces %v (%v)", text, got, err)
			}
		}
		if _, err := ParseEpsv(text); err == nil {
			if got, err := ParseEpsv(RewriteEpsv(nil, text, port)); err != nil || got != port {
				t.Errorf("%q announces %v (%v)", text, got, err)
			}
		}
	})
}

func parse(c Command) (netip.AddrPort, error) {
	if c.Verb == Eprt {
		return ParseEprt(c.Arg)
	}
	return ParsePort(c.Arg)
}
