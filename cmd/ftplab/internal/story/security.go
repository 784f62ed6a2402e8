package story

import (
	"errors"
	"fmt"
	"time"
)

// highPorts is how many ports a stateless filter must open for active FTP: those above
// 1023.
const highPorts = 1<<16 - 1<<10

// errNoStranger says that the gateway was not put to the test, or has failed it.
var errNoStranger = errors.New("no packet of a stranger was seen to be dropped")

func (t *teller) challenge() (Step, error) {
	var calls []*packet
	for _, p := range t.packets {
		if p.tcp != nil && p.tcp.SYN && p.from.Port() == 20 && p.to.Port() != 21 && !p.tcp.ACK {
			calls = append(calls, p)
		}
	}
	if len(t.turnedAway()) == 0 {
		return Step{}, errNoStranger
	}
	return Step{
		Title: "The security challenge",
		Text: []string{
			"These packets of this run asked the gateway to let them in, from outside. " +
				"All come from port 20 and go to a high port. But one is not the server's: at the time of the download a stranger knocked, at the announced port.",
			"A stateless filter judges each packet by itself. It cannot know which port was announced, nor by whom, " +
				"so it must admit every packet from port 20 to every high port. Anybody can send from port 20.",
			fmt.Sprintf("In numbers: it stands open at %d ports of every client (1024 to 65535), for every sender there is, around the clock. "+
				"What was needed in this run: %d connections, each from one sender to one port, announced for %s ms all together.",
				highPorts, len(t.Transfers), ms(t.openTime())),
		},
		Packets: tabulate(calls, calls[0].atGateway(), (*packet).atGateway),
	}, nil
}

// turnedAway returns the packets of the stranger that the gateway dropped.
func (t *teller) turnedAway() (dropped []*packet) {
	for _, p := range t.packets {
		if p.dropped() && t.host(p.from.Addr()) == "outsider" {
			dropped = append(dropped, p)
		}
	}
	return dropped
}

// openTime is for how long pinholes were open at most, all together.
func (s *Story) openTime() (sum time.Duration) {
	for _, t := range s.Transfers {
		sum += t.Pinhole.Existed()
	}
	return sum
}

func (t *teller) answer() (Step, error) {
	s := Step{
		Title: "Securing it",
		Text: []string{
			"A stateful firewall admits what belongs to a known connection, and drops the rest: by itself, the server's data connections too. " +
				"So ftpalg reads the dialogue along. When the transfer's command passes, it opens a pinhole: " +
				"for this server, from port 20, to this address and port, once. The first packet that comes through closes it behind itself.",
		},
	}
	for _, transfer := range t.Transfers {
		s.Text = append(s.Text, transfer.Title+": "+transfer.Pinhole.text())
	}
	for _, p := range t.turnedAway() {
		s.Text = append(s.Text, fmt.Sprintf("The stranger's %s, %v to %v, came %s. The gateway dropped it.", flags(p.tcp), p.from, p.to, t.when(p)))
	}
	for _, session := range []*session{t.first, t.second} {
		for i, p := range session.packets {
			if len(session.told[i].ALG) > 0 || p.tells() {
				s.Packets = append(s.Packets, session.told[i])
			}
		}
	}
	return s, nil
}

// tells reports whether the packet says something, or opens or closes a connection.
func (p *packet) tells() bool {
	return !p.again && (len(p.payload()) > 0 || p.tcp.FIN || p.tcp.RST || p.tcp.SYN && !p.tcp.ACK)
}

// text describes the pinhole's life.
func (h *Pinhole) text() string {
	used := "never used"
	if !h.UsedAt.IsZero() {
		used = "used after " + ms(h.UsedAt.Sub(h.OpenedAt)) + " ms"
	}
	return fmt.Sprintf("a pinhole from %s to %v, %s, open for %s ms at most.",
		h.From(), h.Destination, used, ms(h.Existed()))
}

// when tells when a packet came, in the life of the pinhole to where it was going.
func (t *teller) when(p *packet) string {
	at := p.atGateway()
	for _, transfer := range t.Transfers {
		h := transfer.Pinhole
		switch {
		case h.Destination != p.to:
		case at.Before(h.OpenedAt):
			return ms(h.OpenedAt.Sub(at)) + " ms before that pinhole was opened"
		case h.UsedAt.IsZero() || at.Before(h.UsedAt):
			return "while that pinhole stood open for the server, " + ms(at.Sub(h.OpenedAt)) + " ms after it was opened"
		default:
			return ms(at.Sub(h.UsedAt)) + " ms after the server had used that pinhole"
		}
	}
	return "to a port that nobody had announced"
}
