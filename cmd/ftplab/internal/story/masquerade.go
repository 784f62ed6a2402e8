package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// side is an end of the control connection that crosses the masquerade.
type side int

const (
	ofClient side = iota
	ofServer
	sides
)

// takenPort is where the client listens for its data in the last step, and something of
// the gateway's own, too: another port has to stand for it. Those that ftpalg takes then
// have more digits, so that the line always changes its length.
const takenPort = 2121

// masqueraded is the file that crosses the masquerade, in the client's home.
const masqueraded = "masqueraded.cfg"

// masquerade has the gateway translate from now on, and the client download once more.
func (r *run) masquerade(ctx context.Context) error {
	r.Progress("behind masquerade, with lftp: download")
	taken, err := r.Gateway.Listen(ctx, "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), takenPort).String())
	if err != nil {
		return err
	}
	defer taken.Close()
	if err := r.Gateway.LoadRuleset(ctx, lab.Ruleset("masquerade")); err != nil {
		return err
	}
	for at, host := range [sides]*lab.Host{r.Client, r.Server} {
		if r.crossing[at], err = host.Capture("eth0"); err != nil {
			return err
		}
	}
	download := fmt.Sprintf("set ftp:port-range %d-%[1]d; get R1.cfg -o %s", takenPort, masqueraded)
	if err := r.lftp(ctx, lab.Script{Title: "Download behind masquerade", Commands: download}); err != nil {
		return err
	}
	got, err := os.ReadFile(r.Path(r.Client.Home() + "/" + masqueraded))
	if err != nil {
		return fmt.Errorf("look at what was transferred: %w", err)
	}
	if string(got) != lab.R1 {
		return fmt.Errorf("R1.cfg arrived through the masquerade as %q", got)
	}
	return r.settle(ctx, len(lab.Reference)+1, r.crossing[ofClient])
}

// Growth is by how many bytes the line is longer for the server.
func (m *Masquerade) Growth() int {
	n := 0
	for _, p := range m.Parts {
		n += len(p.Server) - len(p.Client)
	}
	return n
}

// errCrossing says that the two sides have not seen what they should have.
var errCrossing = errors.New("the captures on both sides of the masquerade do not fit together")

// cross tells of the announcement on both sides of the masquerade.
func cross(captured [sides][]lab.Packet) (*Masquerade, error) {
	m := &Masquerade{}
	var control, data [sides]*lab.Connection
	for at, packets := range captured {
		for _, c := range lab.Connections(packets) {
			switch {
			case c.To.Port() == 21:
				control[at] = &c
			case c.From.Port() == 20:
				data[at] = &c
			}
		}
		if control[at] == nil || data[at] == nil {
			return nil, errCrossing
		}
	}
	m.Client, m.Outside = control[ofClient].From, control[ofServer].From
	m.Packets = []Crossing{{
		Sender: "server", Data: true, Time: data[ofClient].Segments[0].Time,
		Client: asks(data[ofClient]), Server: asks(data[ofServer]),
	}}
	for _, client := range []bool{true, false} {
		there, here := said(control[ofClient], client), said(control[ofServer], client)
		if len(there) != len(here) {
			return nil, errCrossing
		}
		for i, s := range there {
			sender := "server"
			if client {
				sender = "client"
			}
			m.Packets = append(m.Packets, Crossing{Sender: sender, Client: view(s), Server: view(here[i]), Time: s.Time})
			if at, ok := announced(s.Payload); ok && client {
				m.announcement(at, s.Payload, here[i].Payload)
			}
		}
	}
	if len(m.Parts) == 0 {
		return nil, errCrossing
	}
	slices.SortStableFunc(m.Packets, func(a, b Crossing) int { return a.Time.Compare(b.Time) })
	begin := slices.IndexFunc(m.Packets, func(c Crossing) bool { return strings.HasPrefix(c.Client.Text, "PORT ") })
	end := slices.IndexFunc(m.Packets, func(c Crossing) bool { return strings.Contains(c.Client.Text, "226 ") })
	if begin < 0 || end < begin {
		return nil, errCrossing
	}
	m.Packets = m.Packets[begin : end+1]
	return m, nil
}

// announcement notes the line on both sides, where the other side has one, too.
func (m *Masquerade) announcement(at netip.AddrPort, sent, received []byte) {
	before, after := parts(sent), parts(received)
	instead, ok := announced(received)
	if !ok || len(before) != len(after) {
		return
	}
	m.Announced, m.Instead, m.Parts = at, instead, nil
	for i, name := range []string{"Command", "Address", "Port, high byte", "Port, low byte", "End of line"}[:len(before)] {
		m.Parts = append(m.Parts, Part{Name: name, Client: []byte(before[i]), Server: []byte(after[i])})
	}
}

// said returns what one end said, without what came again.
func said(c *lab.Connection, initiator bool) (all []lab.Segment) {
	next := uint32(1)
	for _, s := range c.Segments {
		if s.Initiator == initiator && len(s.Payload) > 0 && s.Seq == next {
			all = append(all, s)
			next += uint32(len(s.Payload))
		}
	}
	return all
}

func view(s lab.Segment) View {
	text := strings.ReplaceAll(strings.TrimSuffix(string(s.Payload), "\r\n"), "\r\n", " | ")
	return View{Text: text, Seq: s.Seq, Ack: s.Ack, Len: len(s.Payload)}
}

// asks is the view of a connection's first packet.
func asks(c *lab.Connection) View {
	return View{Text: fmt.Sprintf("SYN %v -> %v", c.From, c.To)}
}

// errNotTranslated says that the announcement passed as it was, or the transfer without one.
var errNotTranslated = errors.New("the announcement did not cross the masquerade as it should")

func (t *teller) masquerade(captured [sides][]lab.Packet, events []lab.Event) (s Step, err error) {
	m, err := cross(captured)
	if err != nil {
		return s, err
	}
	hole, closed := pinhole(events, m.Announced)
	next := slices.IndexFunc(m.Packets, func(c Crossing) bool { return c.Sender == "client" && strings.HasPrefix(c.Client.Text, "RETR ") })
	if !closed || next < 0 || m.Growth() <= 0 || m.Instead.Addr() != m.Outside.Addr() {
		return s, errNotTranslated
	}
	t.Masquerade = *m
	line, retr := m.Packets[0], m.Packets[next]
	s.Title = "Behind masquerade: one line, two sides"
	s.Text = []string{
		fmt.Sprintf("Most gateways give their clients one address that is known outside. Now this one does, too: for the server, the client's %v is %v.",
			m.Client, m.Outside),
		fmt.Sprintf("The client announces where it listens all the same: %v, which nobody outside knows. "+
			"ftpalg has the line changed on its way: the gateway's address, and port %d, because something of the gateway's own listens at %d. "+
			"%d bytes became %d.", m.Announced, m.Instead.Port(), m.Announced.Port(), line.Client.Len, line.Server.Len),
		fmt.Sprintf("From then on the two sides count differently: the client's next line, RETR, has Seq %d on its own side and Seq %d on the server's; "+
			"and what the server acknowledges with %d, the client hears as %d. The kernel adds and takes away the difference, packet by packet. "+
			"ftpalg told it before the line went on, and the connection stays right even if ftpalg ends.",
			retr.Client.Seq, retr.Server.Seq, m.acknowledged().Server.Ack, m.acknowledged().Client.Ack),
		fmt.Sprintf("The server connects to %v, from its port 20, and the kernel passes that on to %v, once. "+
			"The file's %d bytes arrived unchanged. Then ftpalg closed the pinhole: %s.", m.Instead, m.Announced, len(lab.R1), hole.Reason),
	}
	return s, nil
}

// acknowledged returns the server's first packet after the announcement.
func (m *Masquerade) acknowledged() Crossing {
	i := slices.IndexFunc(m.Packets, func(c Crossing) bool { return c.Sender == "server" && !c.Data })
	return m.Packets[i]
}
