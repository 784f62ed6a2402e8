package conntrack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// number is that of the tests' queue.
const number = 7

// rewriter changes lines that begin with @, each in a segment of its own, as they pass the
// gateway's forward hook, and leaves the rest to the kernel.
type rewriter struct {
	conn  *Conn
	queue *queue.Queue
	flows map[alg.Flow]*rewritten
}

type rewritten struct {
	translation alg.Translation
	adjustments [2]alg.Adjustment
	lines       [2]map[uint32]bool // by their sequence number
}

// changed returns what becomes of a line that begins with @, how, and a number: it grows,
// shrinks, does the one and the other (mixed), or grows on the whole (tends).
func changed(line string) string {
	var n int
	how := line[1]
	_, _ = fmt.Sscanf(line[2:], "%d", &n)
	line = "#" + strings.TrimSuffix(line[1:], "\n")
	switch {
	case how == 'g', how == 'm' && n%4 == 0, how == 't' && n%2 == 1:
		return line + strings.Repeat("+", n%23+5) + "\n"
	case how == 'm' && n%4 == 1, how == 't':
		return line[:len(line)-1-n%4] + "\n"
	case how == 'm' && n%4 == 2:
		return line + "\n"
	}
	return "!\n"
}

// queued has a rule that queues SYN/ACKs and segments with payload of port 21; bypass lets
// them pass where nobody listens. It is called on the gateway. Kernels without the nft queue
// statement have the xtables target.
func queued(bypass bool) error {
	statement := &expr.Queue{Num: number, Total: 1}
	info := make(xt.Unknown, 8) // struct xt_NFQ_info_v3: queue, count, flags
	binary.NativeEndian.PutUint16(info, number)
	binary.NativeEndian.PutUint16(info[2:], 1)
	if bypass {
		statement.Flag = expr.QueueFlagBypass
		info[4] = 1
	}
	err := queuedBy(statement)
	if errors.Is(err, unix.ENOENT) {
		err = queuedBy(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info})
	}
	return err
}

func queuedBy(statement expr.Any) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "queue"})
	chain := c.AddChain(&nftables.Chain{
		Table: table, Name: "forward", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityMangle,
	})
	for _, offset := range []uint32{0, 2} { // tcp sport, tcp dport
		for _, which := range [][]expr.Any{
			{ // tcp flags & (syn | ack) == syn | ack
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x12}, Xor: []byte{0}},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x12}},
			},
			{ // @ih,0,8 >= 0: there is payload
				&expr.Payload{DestRegister: 1, Base: 3, Offset: 0, Len: 1},
				&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{0}},
			},
		} {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(append([]expr.Any{
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(21)},
			}, which...), statement)})
		}
	}
	return c.Flush()
}

// openRewriter is called on the gateway.
func openRewriter(conn *Conn) (*rewriter, error) {
	q, err := queue.Open(queue.Config{Number: number})
	return &rewriter{conn: conn, queue: q, flows: map[alg.Flow]*rewritten{}}, err
}

// rewrite starts a rewriter, for the time of the test or until it is stopped.
func (n *network) rewrite(t *testing.T) (stop func()) {
	t.Helper()
	var r *rewriter
	n.gateway.run(t, func() (err error) {
		r, err = openRewriter(n.conn)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.queue.Run(ctx, r.handle) }()
	stop = func() {
		if cancel != nil {
			cancel()
			cancel = nil
			if err := errors.Join(<-done, r.queue.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func (r *rewriter) handle(packets []queue.Packet) error {
	for _, p := range packets {
		data, err := r.packet(p.Data)
		if err == nil {
			err = r.queue.Verdicts([]queue.Verdict{{ID: p.ID, Data: data}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packet returns what a packet becomes, nil where it stays.
func (r *rewriter) packet(data []byte) ([]byte, error) {
	s, err := tcp.Parse(data)
	if err != nil {
		return nil, err
	}
	flow, from := alg.Flow{Client: s.Src, Server: s.Dst}, tcp.Client
	if s.Src.Port() == 21 {
		flow, from = alg.Flow{Client: s.Dst, Server: s.Src}, tcp.Server
	}
	f := r.flows[flow]
	if f == nil || s.Has(tcp.SYN) {
		t, a, ok, err := r.conn.Prepare(flow, true)
		if err != nil || !ok {
			return nil, fmt.Errorf("preparing %v: %t, %w", flow, ok, err)
		}
		f = &rewritten{translation: t, adjustments: a, lines: [2]map[uint32]bool{{}, {}}}
		r.flows[flow] = f
	}
	if len(s.Payload) == 0 || s.Payload[0] != '@' {
		return nil, nil
	}
	to := changed(string(s.Payload))
	if delta := len(to) - len(s.Payload); delta != 0 && !f.lines[from][s.Seq] {
		a := &f.adjustments[from]
		*a = alg.Adjustment{Pos: s.Seq, Before: a.After, After: a.After + int32(delta)}
		if err := r.conn.Adjust(flow, f.translation, from, *a); err != nil {
			return nil, err
		}
	}
	f.lines[from][s.Seq] = true
	return replaced(data, []byte(to))
}

// replaced returns a packet with another payload, all its lengths and checksums right.
func replaced(packet, payload []byte) ([]byte, error) {
	first := layers.LayerTypeIPv4
	if packet[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(packet, first, gopacket.Default)
	t, ok := p.TransportLayer().(*layers.TCP)
	if !ok {
		return nil, errors.New("no TCP")
	}
	network, ok := p.NetworkLayer().(gopacket.SerializableLayer)
	if !ok {
		return nil, errors.New("no IP")
	}
	if err := t.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
		return nil, err
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, network, t, gopacket.Payload(payload))
	return b.Bytes(), err
}

// asRewriter has the test program run a rewriter and nothing else: see TestRewriterDies.
const asRewriter = "CONNTRACK_TEST_REWRITER"

func TestMain(m *testing.M) {
	if os.Getenv(asRewriter) == "" {
		os.Exit(m.Run())
	}
	err := func() error {
		conn, err := Open(label)
		if err != nil {
			return err
		}
		r, err := openRewriter(conn)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		return r.queue.Run(context.Background(), r.handle)
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
