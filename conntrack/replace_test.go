package conntrack

import (
	"errors"
	"testing"
	"time"
)

// unentered drops what comes in the midst of a connection that has no entry. Without it
// the gateway takes such a packet for its own and answers with a reset, or makes an entry.
const unentered = `
table inet unentered {
	chain forward { type filter hook forward priority filter - 10; policy accept; jump drops; }
	chain input { type filter hook input priority filter - 10; policy accept; jump drops; }
	chain drops {
		ct state new tcp flags & (syn | rst) == 0x0 tcp sport 21 drop
		ct state new tcp flags & (syn | rst) == 0x0 tcp dport { 21, 2121 } drop
	}
}
`

// An entry is made anew under traffic of both directions, again and again.
func TestReplaceUnderTraffic(t *testing.T) {
	for _, name := range []string{"IPv4 both", "IPv4 hairpin", "IPv6 masqueraded", "IPv4 forwarded"} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.gateway.nft(t, unentered)
			c := n.connect(t, ways()[name])
			entry, _, err := n.conn.search(c.flow)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- pumped(c, 100<<20) }()
			replaced := 0
			for {
				select {
				case err := <-done:
					if i := n.invalid(t); err != nil || replaced < 5 || i != 0 {
						t.Errorf("after %d: %v, %d packets were invalid", replaced, err, i)
					}
					return
				case <-time.After(1 * time.Millisecond):
				}
				now, ok, err := n.conn.search(c.flow)
				if err != nil || !ok || now.Mark != entry.Mark {
					t.Fatalf("%+v, %t, %v", now, ok, err)
				}
				if err := n.conn.replace(c.flow, c.translation, now); err != nil {
					t.Fatalf("after %d: %v", replaced, err)
				}
				replaced++
			}
		})
	}
}

// What has just ended, or is another by now, is not made anew, and nothing is left behind.
func TestReplaceEnded(t *testing.T) {
	n := newNetwork(t)
	c := n.connect(t, ways()["IPv4 both"])
	entry, _, err := n.conn.search(c.flow)
	if err != nil {
		t.Fatal(err)
	}
	other := entry
	other.ID++
	if err := n.conn.replace(c.flow, c.translation, other); !errors.Is(err, ErrNoFlow) {
		t.Errorf("another entry: %v, want %v", err, ErrNoFlow)
	}
	if got, ok, err := n.conn.search(c.flow); !ok || err != nil || got.ID != entry.ID || got.Status.SeqAdjust() {
		t.Errorf("%+v, %t, %v", got, ok, err)
	}
	if err := n.conn.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := n.conn.replace(c.flow, c.translation, entry); !errors.Is(err, ErrNoFlow) {
		t.Errorf("no entry: %v, want %v", err, ErrNoFlow)
	}
	if got, ok, err := n.conn.search(c.flow); ok || err != nil {
		t.Errorf("made for nobody: %+v, %v", got, err)
	}
}

// Where it cannot be made anew, that is said.
func TestReplaceFails(t *testing.T) {
	n := newNetwork(t)
	c := n.connect(t, ways()["IPv4 both"])
	entry, _, err := n.conn.search(c.flow)
	if err != nil {
		t.Fatal(err)
	}
	entry.ProtoInfo.TCP.State = 99
	if err := n.conn.replace(c.flow, c.translation, entry); !errors.Is(err, ErrLost) {
		t.Errorf("%v, want %v", err, ErrLost)
	}
}
