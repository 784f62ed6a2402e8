package load

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// open begins a transfer: in active mode it connects, in passive mode it waits for the client.
func (p *peer) open() error {
	switch {
	case p.data >= 0: // the client was quick
		p.busy = true
		return p.begin()
	case p.listener >= 0:
		p.busy = true
		return nil
	case !p.active.IsValid():
		return p.say([]byte("425 where to?\r\n"))
	}
	fd, err := dial(netip.AddrPortFrom(p.at, p.server.dataPort), p.active)
	p.active = netip.AddrPort{}
	if err != nil {
		return p.say(fmt.Appendf(p.out[:0], "425 %s\r\n", err))
	}
	p.busy, p.data = true, fd
	return p.server.poller.add(fd, unix.EPOLLOUT, p)
}

// begin is called when the data connection stands.
func (p *peer) begin() error {
	if p.joined {
		return nil
	}
	p.joined = true
	if err := p.say([]byte("150 here it comes\r\n")); err != nil {
		return err
	}
	if p.storing {
		return p.wantData(unix.EPOLLIN)
	}
	if done, err := p.send(); done || err != nil {
		return err
	}
	return p.wantData(unix.EPOLLOUT)
}

// wantData waits for the data connection, which may be one that is not waited for yet.
func (p *peer) wantData(events uint32) error {
	if p.data < len(p.server.poller.on) && p.server.poller.on[p.data].handler == handler(p) {
		return p.server.poller.change(p.data, events)
	}
	return p.server.poller.add(p.data, events, p)
}

// transfer goes on with a transfer when the data connection is ready for more.
func (p *peer) transfer() error {
	if !p.joined {
		if err := connected(p.data); err != nil {
			return p.finish(fmt.Appendf(p.out[:0], "425 %s\r\n", err))
		}
		return p.begin()
	}
	if p.storing {
		return p.receive()
	}
	_, err := p.send()
	return err
}

// perTurn is how much of one transfer goes before others have their turn.
const perTurn = 1 << 20

// send sends what there is room for, and reports whether the transfer is over. Another
// may have begun then.
func (p *peer) send() (done bool, err error) {
	for turn := perTurn; p.left > 0 && turn > 0; {
		n, err := write(p.data, p.server.zeroes[:min(p.left, int64(len(p.server.zeroes)))])
		if err != nil {
			return true, p.finish([]byte("426 it broke\r\n"))
		}
		if n == 0 {
			return false, nil
		}
		p.left -= int64(n)
		turn -= n
	}
	if p.left > 0 {
		return false, nil
	}
	return true, p.finish([]byte("226 done\r\n"))
}

func (p *peer) receive() error {
	for range 8 {
		n, err := unix.Read(p.data, p.server.sink)
		switch {
		case again(err):
			return nil
		case err != nil:
			return p.finish([]byte("426 it broke\r\n"))
		case n == 0:
			return p.finish([]byte("226 done\r\n"))
		}
	}
	return nil
}

// finish ends a transfer and goes on with what was said meanwhile.
func (p *peer) finish(reply []byte) error {
	p.stopData()
	p.busy, p.joined = false, false
	if err := p.say(reply); err != nil {
		return err
	}
	return p.serve()
}
