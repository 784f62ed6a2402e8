package conntrack

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/mdlayher/netlink"

	"github.com/ftpalg/ftpalg/alg"
)

// inOneGo is how many questions are asked in one system call. Their answers fit the
// socket's default buffer.
const inOneGo = 64

// Counting asks for the traffic of data connections, many in one go, on a socket of its
// own. It is safe for concurrent use.
type Counting struct{ raw *socket }

// OpenCounting opens the socket in the calling thread's network namespace.
func OpenCounting() (*Counting, error) {
	raw, err := openSocket()
	if err != nil {
		return nil, fmt.Errorf("opening ctnetlink for counters: %w", err)
	}
	return &Counting{raw}, nil
}

// Close closes the socket.
func (c *Counting) Close() error {
	if err := c.raw.close(); err != nil {
		return fmt.Errorf("closing ctnetlink for counters: %w", err)
	}
	return nil
}

// Accounting reports whether the kernel counts the traffic of flows, in the calling
// thread's network namespace. That is the operator's choice: net.netfilter.nf_conntrack_acct.
func Accounting() bool {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_acct")
	return err == nil && strings.TrimSpace(string(b)) != "0"
}

// Counters returns what has passed through the data connections that used the pinholes, in
// their order. It is zero where the kernel does not know: accounting is off, the flow is
// gone, or its source port is not known, which only a pinhole with a single one names, so
// that passive ones never do.
func (c *Counting) Counters(pinholes []alg.Pinhole) ([]alg.Counters, error) {
	counters := make([]alg.Counters, len(pinholes))
	for first := 0; first < len(pinholes); first += inOneGo {
		end := min(first+inOneGo, len(pinholes))
		if err := c.ask(pinholes[first:end], counters[first:end]); err != nil {
			return counters, fmt.Errorf("reading the counters of %d data connections: %w", len(pinholes), err)
		}
	}
	return counters, nil
}

func (c *Counting) ask(pinholes []alg.Pinhole, counters []alg.Counters) error {
	var questions []netlink.Message
	var asked []int
	for i, p := range pinholes {
		port, known := p.SourcePorts.Single()
		if !known {
			continue
		}
		// Asked for by the listener's side, which shows its own address even where a
		// destination NAT took the connection there.
		source := p.Source
		if p.As.IsValid() {
			source = p.As
		}
		reply := tuple(ctaTupleReply, p.Dest, netip.AddrPortFrom(source, port))
		m, err := message(msgGet, 0, p.Source, reply)
		if err != nil {
			return err
		}
		questions, asked = append(questions, m), append(asked, i)
	}
	if len(questions) == 0 {
		return nil
	}
	answers, err := c.raw.exchange(questions...)
	if err != nil {
		return err
	}
	for k, a := range answers {
		for _, f := range a.flows { // none, where there is no such flow
			counters[asked[k]] = alg.Counters{
				Packets: f.CountersOrig.Packets + f.CountersReply.Packets,
				Bytes:   f.CountersOrig.Bytes + f.CountersReply.Bytes,
			}
		}
	}
	return nil
}
