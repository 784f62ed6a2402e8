package alg_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// printer is a packet filter that only says what it is asked to do.
type printer struct{}

func (printer) Commit(ops []alg.Op) error {
	for _, op := range ops {
		switch p := op.Pinhole; op.Kind {
		case alg.OpOpen:
			fmt.Printf("  open: %v from port %v may connect to %v, once, within %v\n", p.Source, p.SourcePorts, p.Dest, op.Timeout)
		case alg.OpClose:
			fmt.Printf("  close: %v\n", p.Dest)
		}
	}
	return nil
}

func (printer) Unused(alg.Pinhole) (bool, error) { return false, nil } // the connection came

// A Worker reads the packets of control connections, and has opened what they announce.
func ExampleWorker() {
	policy := alg.DefaultPolicy()
	w := alg.NewWorker(alg.WorkerConfig{
		Policy:   policy,
		Pinholes: printer{},
		Limits:   alg.NewLimits(policy.MaxSessions, policy.MaxSessionsPerClient),
		Sink:     func(e alg.Event) { fmt.Println("  event:", e.Kind) },
	})

	client, server := netip.MustParseAddrPort("10.1.4.4:41138"), netip.MustParseAddrPort("10.2.5.5:21")
	const inside, outside = 3, 4 // the interfaces of the gateway
	up, down := uint32(1000), uint32(2000)
	now := time.Unix(1e9, 0)

	var id uint64
	give := func(data []byte, in, out uint32) {
		id++
		r := w.Batch(now, []alg.Packet{{ID: id, Data: data, In: in, Out: out}})
		for _, v := range r.Verdicts {
			if v.Drop {
				fmt.Println("  dropped")
			}
		}
		w.Settle(now) // after the verdicts were given
	}
	give(segment(client, server, up-1, 0, tcp.SYN, ""), inside, outside)
	give(segment(server, client, down-1, up, tcp.SYN|tcp.ACK, ""), outside, inside)
	for _, line := range []string{
		"< 220 ready", "> USER ftpuser", "< 331 password?", "> PASS ftppass", "< 230 logged in",
		"> PORT 10,1,4,4,180,117", "< 200 PORT command successful", "> RETR R1.cfg", "< 150 here it comes", "< 226 done",
	} {
		fmt.Println(line)
		text := line[2:] + "\r\n"
		if line[0] == '>' {
			give(segment(client, server, up, down, tcp.ACK, text), inside, outside)
			up += uint32(len(text))
		} else {
			give(segment(server, client, down, up, tcp.ACK, text), outside, inside)
			down += uint32(len(text))
		}
	}
	// Output:
	// < 220 ready
	//   event: session.start
	// > USER ftpuser
	// < 331 password?
	// > PASS ftppass
	// < 230 logged in
	// > PORT 10,1,4,4,180,117
	//   event: pinhole.announced
	// < 200 PORT command successful
	// > RETR R1.cfg
	//   open: 10.2.5.5 from port 20 may connect to 10.1.4.4:46197, once, within 30s
	//   event: pinhole.open
	// < 150 here it comes
	//   event: pinhole.used
	// < 226 done
	//   event: pinhole.closed
	//   close: 10.1.4.4:46197
}

// segment is a TCP segment as a queue hands it over: from the IP header on.
func segment(from, to netip.AddrPort, seq, ack uint32, flags uint8, text string) []byte {
	const ip = 20
	p := append(tcp.Reset(from, to, seq, ack), text...)
	p[ip+13] = flags
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	s, err := tcp.Parse(p)
	if err != nil {
		panic(err)
	}
	s.SetChecksum()
	return p
}
