package nft

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	nfqueue "github.com/florianl/go-nfqueue/v2"
)

// segment is a packet that came to a queue.
type segment struct {
	queue        int // from the first one on
	sport, dport uint16
	flags        byte
	payload      int
}

func (s segment) String() string {
	flags := s.flags & (fin | syn | rst | ack)
	return fmt.Sprintf("%d>%d flags %#x payload %d", s.sport, s.dport, flags, s.payload)
}

// listener takes packets from the queues of the table and lets them pass.
type listener struct {
	mu   sync.Mutex
	segs []segment

	closers []func()
}

// close listens no longer.
func (l *listener) close() {
	for _, c := range l.closers {
		c()
	}
	l.closers = nil
}

// newListener listens on the host for the time of the test.
func newListener(t testing.TB, h *host, cfg Config) *listener {
	t.Helper()
	l := new(listener)
	for q := range cfg.Workers {
		var nfq *nfqueue.Nfqueue
		ctx, cancel := context.WithCancel(context.Background())
		h.run(t, func() (err error) {
			nfq, err = nfqueue.Open(&nfqueue.Config{
				NfQueue: cfg.Queue + uint16(q), MaxPacketLen: 0xffff, Copymode: nfqueue.NfQnlCopyPacket,
			})
			if err != nil {
				return err
			}
			return nfq.RegisterWithErrorFunc(ctx, func(a nfqueue.Attribute) int {
				l.add(q, *a.Payload)
				nfq.SetVerdict(*a.PacketID, nfqueue.NfAccept)
				return 0
			}, func(error) int { return 0 })
		})
		l.closers = append(l.closers, func() {
			cancel()
			nfq.Close()
		})
	}
	t.Cleanup(l.close)
	return l
}

func (l *listener) add(queue int, b []byte) {
	tcp := b[40:] // IPv6 without extensions
	if b[0]>>4 == 4 {
		tcp = b[int(b[0]&15)*4:]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segs = append(l.segs, segment{
		queue, binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:]),
		tcp[13], len(tcp) - int(tcp[12]>>4)*4,
	})
}

// take returns what came since the last call, when nothing more is on its way.
func (l *listener) take() []segment {
	time.Sleep(150 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	segs := l.segs
	l.segs = nil
	return segs
}

// want fails the test if other segments came than these, in any order.
func (l *listener) want(t *testing.T, what string, want ...string) []segment {
	t.Helper()
	segs := l.take()
	var got []string
	for _, s := range segs {
		got = append(got, s.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: diverted was\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return segs
}
