package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted.
const backlog = 4096

// server serves FTP: whoever logs in may read files whose name is their length in bytes,
// and write any file, which goes nowhere.
type server struct {
	poller   *poller
	zeroes   []byte // what files are made of
	sink     []byte
	dataPort uint16 // of active data connections
	peers    map[*peer]struct{}
}

// Serve serves on these addresses until ctx ends. It calls ready when it listens. Active
// data connections come from the port before that of the first (RFC 959, section 3.2), so
// from 20 where that is 21.
func Serve(ctx context.Context, addrs []netip.AddrPort, ready func()) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	s := &server{poller: p, zeroes: make([]byte, 256<<10), sink: make([]byte, 256<<10), peers: map[*peer]struct{}{}}
	defer s.end()
	for _, a := range addrs {
		fd, at, err := listen(a, backlog)
		if err != nil {
			return err
		}
		defer p.drop(&fd)
		if s.dataPort == 0 {
			s.dataPort = at.Port() - 1
		}
		if err := p.add(fd, unix.EPOLLIN, door{s, a.Addr()}); err != nil {
			return err
		}
	}
	ready()
	for ctx.Err() == nil {
		if err := p.wait(100); err != nil {
			return fmt.Errorf("serving: %w", err)
		}
	}
	return nil
}

func (s *server) end() {
	for p := range s.peers {
		p.end()
	}
}

// door is where control connections come in.
type door struct {
	server *server
	at     netip.Addr
}

func (d door) ready(fd int, _ uint32) {
	for {
		c := accept(fd)
		if c < 0 {
			return
		}
		p := &peer{server: d.server, at: d.at, control: control{fd: c}, listener: -1, data: -1}
		_ = unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		d.server.peers[p] = struct{}{}
		err := d.server.poller.add(c, unix.EPOLLIN, p)
		if err == nil {
			err = p.say([]byte("220 ready\r\n"))
		}
		if err != nil {
			p.end()
		}
	}
}

// peer is one client, as the server sees it.
type peer struct {
	control
	server *server
	at     netip.Addr // where it reached us

	active         netip.AddrPort // what PORT or EPRT said last
	listener, data int            // -1: none
	busy           bool           // with a transfer: what is said meanwhile waits
	storing        bool
	joined         bool  // the data connection stands, and 150 was said
	left           int64 // bytes to send
	out            []byte
}

func (p *peer) end() {
	delete(p.server.peers, p)
	p.stopData()
	p.server.poller.drop(&p.fd)
}

func (p *peer) stopData() {
	p.server.poller.drop(&p.listener)
	p.server.poller.drop(&p.data)
}

func (p *peer) ready(fd int, _ uint32) {
	var err error
	switch fd {
	case p.fd:
		if err = p.read(); err == nil {
			err = p.serve()
		}
	case p.listener:
		if c := accept(fd); c >= 0 {
			p.server.poller.drop(&p.listener)
			p.data = c
			if p.busy {
				err = p.begin()
			}
		}
	case p.data:
		err = p.transfer()
	}
	if err != nil {
		p.end()
	}
}

var errQuit = errors.New("it said QUIT")

// serve carries out commands until one begins a transfer.
func (p *peer) serve() error {
	for !p.busy {
		line, ok := p.line()
		if !ok {
			break
		}
		if err := p.do(string(line)); err != nil {
			return err
		}
	}
	return nil
}

// do carries out one command. An error ends the session.
func (p *peer) do(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "NOOP":
		return p.say([]byte("200 ok\r\n"))
	case "USER":
		return p.say([]byte("331 who says so?\r\n"))
	case "PASS":
		return p.say([]byte("230 welcome\r\n"))
	case "PORT":
		a, ok := readComma(arg)
		return p.actively(a, ok)
	case "EPRT":
		addr, port, ok := readBars(arg)
		return p.actively(netip.AddrPortFrom(addr, port), ok && addr.IsValid())
	case "PASV", "EPSV":
		return p.passively(verb == "EPSV")
	case "RETR":
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || n < 0 {
			return p.say([]byte("550 no such file\r\n"))
		}
		p.left, p.storing = n, false
		return p.open()
	case "STOR":
		p.storing = true
		return p.open()
	case "QUIT":
		return errors.Join(p.say([]byte("221 bye\r\n")), errQuit)
	}
	return p.say([]byte("502 what?\r\n"))
}

func (p *peer) actively(a netip.AddrPort, ok bool) error {
	if !ok {
		return p.say([]byte("501 to where?\r\n"))
	}
	p.stopData()
	p.active = a
	return p.say([]byte("200 there\r\n"))
}

func (p *peer) passively(extended bool) error {
	p.stopData()
	if p.at.Is6() && !extended {
		return p.say([]byte("522 use EPSV\r\n"))
	}
	fd, at, err := listen(netip.AddrPortFrom(p.at, 0), 1)
	if err != nil {
		return err
	}
	p.listener = fd
	if err := p.server.poller.add(fd, unix.EPOLLIN, p); err != nil {
		return err
	}
	if extended {
		return p.say(fmt.Appendf(p.out[:0], "229 here (|||%d|)\r\n", at.Port()))
	}
	return p.say(append(comma(append(p.out[:0], "227 here ("...), at), ").\r\n"...))
}
