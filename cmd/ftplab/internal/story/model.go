// Package story tells the reference dialogue of active FTP in ten steps, from packets
// that were captured in this very run.
package story

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// StepCount is how many steps a story has.
const StepCount = 10

// Story is what one run of the reference dialogue showed. It is plain data: the text on
// a terminal, the page and the JSON are all made from it.
type Story struct {
	MadeAt    time.Time  `json:"made_at"`
	Programs  []Program  `json:"programs"` // that took part, with their versions
	Hosts     []Host     `json:"hosts"`    // from the client to the server
	Steps     []Step     `json:"steps"`    // ten
	Transfers []Transfer `json:"transfers"`
	Port      Frame      `json:"port"` // the PORT command of the download, byte by byte

	Masquerade Masquerade `json:"masquerade"` // of the last step
}

// Program is something that took part.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Role    string `json:"role"`
}

// Host is one machine of the lab.
type Host struct {
	Name  string     `json:"name"`
	IPv4  netip.Addr `json:"ipv4"`
	IPv6  netip.Addr `json:"ipv6"`
	About string     `json:"about"`
}

// Step is one of the ten steps.
type Step struct {
	Number  int      `json:"number"` // from 1 on
	Title   string   `json:"title"`
	Text    []string `json:"text"` // paragraphs
	Packets []Packet `json:"packets"`
}

// Packet is one line of the table that analysers show.
type Packet struct {
	No          int           `json:"no"` // within its session, in steps 1 and 8 within the step, from 1 on
	Time        time.Time     `json:"time"`
	After       time.Duration `json:"after"` // since the first packet of the session, ns
	Source      netip.Addr    `json:"source"`
	Destination netip.Addr    `json:"destination"`
	Protocol    string        `json:"protocol"` // "TCP", "FTP", "FTP-DATA", "UDP", "ICMP"
	SrcPort     uint16        `json:"src_port,omitempty"`
	DstPort     uint16        `json:"dst_port,omitempty"`
	Info        string        `json:"info"`
	ALG         []string      `json:"alg,omitempty"` // what ftpalg did when it had seen it
}

// Transfer is one announcement and what came of it, as a ladder of messages.
type Transfer struct {
	Title    string    `json:"title"`
	Messages []Message `json:"messages"` // in the order of their times
	Pinhole  Pinhole   `json:"pinhole"`
}

// Message is one packet of a transfer, between the client and the server, or for one of
// them from somebody else.
type Message struct {
	Time       time.Time `json:"time"`
	FromClient bool      `json:"from_client"`
	Data       bool      `json:"data"`             // of the data connection; else of the control connection
	Sender     string    `json:"sender,omitempty"` // the host, where it is neither of the two
	Text       string    `json:"text"`
	Dropped    bool      `json:"dropped,omitempty"` // by the gateway: it was seen on one side of it only
}

// Pinhole is one opening of the firewall, and the moments of its life as they were. The
// kernel takes it away with the packet that uses it; ftpalg finds that out when it next
// has a reason to ask, and closes when the transfer is over.
type Pinhole struct {
	Source      netip.Addr     `json:"source"`
	SourcePort  lab.Ports      `json:"source_port"`
	Destination netip.AddrPort `json:"destination"`
	OpenedAt    time.Time      `json:"opened_at,omitzero"` // absent: it never opened
	UsedAt      time.Time      `json:"used_at,omitzero"`   // first packet of the data connection on the gateway; absent: never
	FoundAt     time.Time      `json:"found_at,omitzero"`  // ftpalg found it used; absent: it did not, or only at the end
	ClosedAt    time.Time      `json:"closed_at"`          // ftpalg closed it: the transfer was over
	Reason      string         `json:"reason"`             // of that
}

// From names those whom it admits.
func (h *Pinhole) From() string { return from(h.Source, h.SourcePort) }

func from(source netip.Addr, ports lab.Ports) string {
	if ports.First == ports.Last && ports.First > 0 {
		return netip.AddrPortFrom(source, ports.First).String()
	}
	if ports == (lab.Ports{}) {
		return fmt.Sprintf("%v, any port", source)
	}
	return fmt.Sprintf("%v, ports %v", source, ports)
}

// Existed returns for how long it can have admitted anything, at most: until ftpalg saw
// that it was gone.
func (h *Pinhole) Existed() time.Duration {
	if h.FoundAt.IsZero() {
		return h.ClosedAt.Sub(h.OpenedAt)
	}
	return h.FoundAt.Sub(h.OpenedAt)
}

// Frame is one frame, byte by byte.
type Frame struct {
	Number int     `json:"number"`
	Bytes  []byte  `json:"bytes"`
	Fields []Field `json:"fields"` // in the order of their bytes, without gaps
}

// Field is a run of bytes of a frame that mean one thing.
type Field struct {
	Offset  int    `json:"offset"`
	Length  int    `json:"length"`
	Layer   string `json:"layer"` // "Ethernet", "IPv4", "TCP" or "FTP"
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
}

// Masquerade is one announcement on both sides of a gateway that translates, with what was
// said until the transfer was over.
type Masquerade struct {
	Client    netip.AddrPort `json:"client"`    // its end of the control connection
	Outside   netip.AddrPort `json:"outside"`   // the same, as the server sees it
	Announced netip.AddrPort `json:"announced"` // where the client listens
	Instead   netip.AddrPort `json:"instead"`   // what stands for that outside
	Parts     []Part         `json:"parts"`     // of the announcement, in order
	Packets   []Crossing     `json:"packets"`   // from the announcement on
}

// Part is a run of bytes of the announcement that mean one thing.
type Part struct {
	Name   string `json:"name"`
	Client []byte `json:"client"` // as sent
	Server []byte `json:"server"` // as received
}

// Crossing is one packet as the client's side and the server's side saw it.
type Crossing struct {
	Time   time.Time `json:"time"`   // on the client's side
	Sender string    `json:"sender"` // "client" or "server"
	Data   bool      `json:"data"`   // it asks for the data connection; else of the control connection
	Client View      `json:"client"`
	Server View      `json:"server"`
}

// View is a TCP segment as one side saw it.
type View struct {
	Text string `json:"text"`
	Seq  uint32 `json:"seq"` // with Ack, counted from the first of each direction
	Ack  uint32 `json:"ack"`
	Len  int    `json:"len"`
}
