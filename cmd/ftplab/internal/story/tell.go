package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// tell makes the story of what was captured and of what ftpalg told.
func (r *run) tell(ctx context.Context) (*Story, error) {
	var captured [places][]lab.Packet
	for at, c := range r.captures {
		captured[at] = c.Packets()
	}
	events := r.daemon.Events()
	all := gather(captured)
	told := sessions(all, events)
	if len(told) != len(lab.Reference) {
		return nil, fmt.Errorf("%d control connections were captured, not %d", len(told), len(lab.Reference))
	}
	s := &Story{MadeAt: all[0].first(), Hosts: r.hosts()}
	var err error
	if s.Programs, err = r.programs(ctx); err != nil {
		return nil, err
	}
	if s.Transfers, err = transfers(all, told, events); err != nil {
		return nil, err
	}
	t := teller{story: s, packets: all, first: told[0], second: told[1]}
	return s, t.steps()
}

func (r *run) hosts() []Host {
	var hosts []Host
	for _, h := range []struct {
		*lab.Host
		about string
	}{
		{r.Client, "runs lftp"},
		{r.Router, "forwards everything"},
		{r.Gateway, "is the firewall, with nftables and ftpalg"},
		{r.Server, "runs vsftpd"},
		{r.Outsider, "is a stranger on the server's network"},
	} {
		hosts = append(hosts, Host{Name: h.Name, IPv4: h.IPv4, IPv6: h.IPv6, About: h.about})
	}
	return hosts
}

// programs asks each program that took part for its version.
func (r *run) programs(ctx context.Context) ([]Program, error) {
	var programs []Program
	for _, p := range []struct {
		host       *lab.Host
		name, role string
		command    string // prints the version
	}{
		{r.Client, "lftp", "the FTP client", "lftp --version"},
		{r.Server, "vsftpd", "the FTP server", "vsftpd -v 0>&1"}, // it writes to its standard input
		{r.Gateway, "ftpalg", "opens the firewall for what the dialogue announces", "ftpalg version"},
		{r.Gateway, "nftables", "tells the kernel what to admit", "nft --version"},
		{r.Gateway, "Linux", "forwards and filters packets", "uname -r"},
	} {
		out, err := p.host.Command(ctx, "sh", "-c", p.command).Output()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its version: %w", p.name, err)
		}
		programs = append(programs, Program{Name: p.name, Version: version(string(out)), Role: p.role})
	}
	return programs, nil
}

// version returns the first word of a text that has a digit, or else its first line.
func version(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	for word := range strings.FieldsSeq(line) {
		if strings.ContainsAny(word, "0123456789") {
			return strings.TrimPrefix(word, "v")
		}
	}
	return line
}

// teller fills in the steps of a story.
type teller struct {
	story         *Story
	packets       []*packet
	first, second *session
}

func (t *teller) steps() error {
	for i, f := range []func() (Step, error){
		t.detour, t.opening, t.login, t.port, t.download, t.listing, t.upload, t.challenge, t.answer,
	} {
		step, err := f()
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		step.Number = i + 1
		t.story.Steps = append(t.story.Steps, step)
	}
	return nil
}

// between returns the packets of a session from the first whose text begins with one
// up to the first after it that begins with another. An empty text is the beginning or the end.
func (s *session) between(from, to string) ([]Packet, error) {
	i, err := s.find(0, from)
	if err != nil {
		return nil, err
	}
	if to == "" {
		return s.told[i:], nil
	}
	j, err := s.find(i, to)
	if err != nil {
		return nil, err
	}
	return s.told[i:j], nil
}

var errNoDetour = errors.New("a probe or its answer was not captured everywhere")

func (t *teller) detour() (Step, error) {
	var probes []*packet
	for _, p := range t.packets {
		if p.udp != nil || p.icmp != nil {
			probes = append(probes, p)
		}
	}
	if len(probes) != 4 {
		return Step{}, fmt.Errorf("%w: %d packets", errNoDetour, len(probes))
	}
	text := []string{
		"Before anything else, two empty UDP datagrams go to ports of the server where nobody listens. They show how far away it is: each router on the way takes one off the time to live (TTL), and a packet whose TTL is used up is not forwarded.",
	}
	for _, p := range probes {
		for _, s := range p.seen {
			if s.Frame == nil {
				return Step{}, errNoDetour
			}
		}
		if p.udp != nil {
			text = append(text, fmt.Sprintf("%s: sent with TTL %d; %d behind the router; it leaves the gateway, and arrives, with %d.",
				p.info(), p.seen[atClient].ttl, p.seen[inside].ttl, p.seen[outside].ttl))
		} else {
			text = append(text, fmt.Sprintf("The server's answer, %s: sent with TTL %d; %d behind the gateway; it arrives with %d. It quotes the probe with TTL %d, as the server saw it.",
				p.info(), p.seen[outside].ttl, p.seen[inside].ttl, p.seen[atClient].ttl, p.about.TTL))
		}
	}
	return Step{
		Title:   "The detour: how far is the server?",
		Text:    append(text, "So two routers stand between the client and the server. The second is the firewall."),
		Packets: packetsOf(probes, probes[0].seen[atClient].Time, clientTime),
	}, nil
}

func clientTime(p *packet) time.Time  { return p.seen[atClient].Time }
func gatewayTime(p *packet) time.Time { return p.atGateway() }

func (t *teller) opening() (s Step, err error) {
	s.Title = "First actions: greeting and FEAT"
	s.Text = []string{
		"The client opens a TCP connection to port 21, the control connection: SYN, SYN/ACK, ACK. On it, both ends speak in lines of text. The client sends commands, the server replies, beginning with a number of three digits.",
		"The server greets with 220. The client asks which extensions it knows (FEAT, RFC 2389). The reply has several lines: it begins with 211 and a hyphen, and ends with 211 and a space. What stands between is no reply of its own, whatever it looks like; whoever reads along must know that.",
	}
	s.Packets, err = t.first.between("", "Request: AUTH TLS")
	return s, err
}

func (t *teller) login() (s Step, err error) {
	s.Title = "Login and set-up"
	s.Text = []string{
		"The client would like to encrypt (AUTH TLS). This server cannot, and says 530: so name and password pass in clear text, for everybody on the way to read. So do all commands, and that is what lets a firewall follow them. Had the server said 234, the rest would be hidden from it.",
		"Then the client prepares the download: binary mode (TYPE I), size and date of the file. With PORT it announces where it will wait for the data, and with RETR it asks for the file.",
	}
	end, err := t.first.find(0, "Request: RETR")
	if err != nil {
		return s, err
	}
	begin, err := t.first.find(0, "Request: AUTH TLS")
	s.Packets = t.first.told[begin : end+1]
	return s, err
}

func (t *teller) port() (s Step, err error) {
	i, err := t.first.find(0, "Request: PORT")
	if err != nil {
		return s, err
	}
	p := t.first.packets[i]
	at, _ := p.announcement()
	s.Packets = t.first.told[i : i+1]
	f := dissect(s.Packets[0].No, p)
	t.story.Port = f
	s.Title = "The PORT command in depth"
	s.Text = []string{
		fmt.Sprintf("Packet %d, %d bytes on the wire: %v to %v, Seq %d, Ack %d, Len %d.", f.Number, len(f.Bytes), p.from, p.to, p.seq, p.ack, len(p.payload())),
		fmt.Sprintf("%q has six numbers, each one byte. The first four are the address, %v. The last two are the port: %d * 256 + %d = %d.",
			p.payload(), at.Addr(), at.Port()>>8, at.Port()&255, at.Port()),
		fmt.Sprintf("It means: server, open a connection to me; I listen at %v. The address and the port of the next connection stand in the text of this one, and nowhere in a header.", at),
	}
	return s, nil
}

func (t *teller) download() (s Step, err error) {
	s.Title = "The download"
	s.Text = []string{
		"Now the server is the one that calls. From its port 20 it opens the data connection to the announced port: active mode. To the firewall this is a connection from outside in.",
		"150 says that the transfer begins. The file's 38 bytes pass, and the server closes the data connection: in this way, and in no other, the client learns that the file is complete. 226 ends the transfer on the control connection, which stays open.",
	}
	i, err := t.first.find(0, "Request: RETR")
	if err != nil {
		return s, err
	}
	end, err := t.first.find(i, "Request: TYPE A")
	if err != nil {
		return s, err
	}
	s.Packets = t.first.told[i+1 : end]
	return s, nil
}

func (t *teller) listing() (s Step, err error) {
	s.Title = "The listing, in ASCII"
	s.Text = []string{
		"A listing is a transfer like any other: it has its own announcement, with a new port, and its own data connection. The client asks for text (TYPE A), in which each line ends with CR LF.",
		"QUIT ends the session.",
	}
	s.Packets, err = t.first.between("Request: TYPE A", "")
	return s, err
}

func (t *teller) upload() (s Step, err error) {
	s.Title = "The upload, with ALLO"
	s.Packets, err = t.second.between("Request: PORT", "")
	if err != nil {
		return s, err
	}
	s.Text = []string{
		fmt.Sprintf("A second session, from port %d of the client. Packets 1 to %d are the greeting and the login, as before.", t.second.client.Port(), s.Packets[0].No-1),
		"ALLO tells the server how much room the file will need; servers of today do not care (202), but whoever follows the dialogue must let the exchange stand between PORT and STOR.",
		"Again the server opens the data connection, from outside in, although the data flow the other way. The client, which sends, closes it first.",
	}
	return s, nil
}

func (t *teller) challenge() (Step, error) {
	var knocks []*packet
	for _, p := range t.packets {
		if p.tcp != nil && p.tcp.SYN && !p.tcp.ACK && p.from.Port() == 20 {
			knocks = append(knocks, p)
		}
	}
	const ports = 65535 - 1023
	return Step{
		Title: "The security challenge",
		Text: []string{
			"Here are the packets of this run that ask to be let in, as they came to the gateway from outside. One of them is not the server's: during the download, a stranger knocked at the announced port, from port 20.",
			"A stateless filter judges each packet by itself. It cannot know which port a client has announced, so it must admit every packet from port 20 to every high port.",
			fmt.Sprintf("In numbers: %d ports (1024 to 65535) of every client, for every sender in the Internet, around the clock. Anybody can send from port 20.", ports),
			fmt.Sprintf("Needed were %d connections: one sender, one port each, for %s milliseconds in total.", len(t.story.Transfers), ms(t.open())),
		},
		Packets: packetsOf(knocks, knocks[0].atGateway(), gatewayTime),
	}, nil
}

// open returns for how long the pinholes were open, all together.
func (t *teller) open() (sum time.Duration) {
	for _, tr := range t.story.Transfers {
		sum += tr.Pinhole.ClosedAt.Sub(tr.Pinhole.OpenedAt)
	}
	return sum
}

func (t *teller) answer() (Step, error) {
	s := Step{
		Title: "Securing it",
		Text: []string{
			"A stateful firewall knows which connections are established, and drops what belongs to none: without help, the server's data connections too. So ftpalg reads the dialogue along, and at the transfer's command opens a pinhole in the firewall: from this server, from port 20, to this address and port, once. The first packet of the data connection closes it behind itself.",
		},
	}
	for _, tr := range t.story.Transfers {
		s.Text = append(s.Text, tr.Title+": "+tr.Pinhole.describe())
	}
	for _, p := range t.packets {
		if p.dropped() {
			s.Text = append(s.Text, fmt.Sprintf("The stranger's SYN, %v to %v, came to the gateway %s and went no further.", p.from, p.to, t.when(p.to, p.atGateway())))
		}
	}
	for _, session := range []*session{t.first, t.second} {
		for i, p := range session.packets {
			if len(p.payload()) > 0 || p.tcp.FIN || p.tcp.RST || p.tcp.SYN && !p.tcp.ACK || len(session.told[i].ALG) > 0 {
				s.Packets = append(s.Packets, session.told[i])
			}
		}
	}
	return s, nil
}

func (h *Pinhole) describe() string {
	used := "It was never used"
	if !h.UsedAt.IsZero() {
		used = fmt.Sprintf("It was used after %s ms", ms(h.UsedAt.Sub(h.OpenedAt)))
	}
	return fmt.Sprintf("a pinhole from %v to %v. %s; it was open for %s ms at most, and closed because: %s.",
		netip.AddrPortFrom(h.Source, h.SourcePort), h.Destination, used, ms(h.ClosedAt.Sub(h.OpenedAt)), h.Reason)
}

// when tells a time relative to the life of the pinhole to an address.
func (t *teller) when(to netip.AddrPort, at time.Time) string {
	for _, tr := range t.story.Transfers {
		h := tr.Pinhole
		switch {
		case h.Destination != to:
		case at.Before(h.OpenedAt):
			return ms(h.OpenedAt.Sub(at)) + " ms before the pinhole was opened"
		case at.Before(h.ClosedAt):
			return ms(at.Sub(h.OpenedAt)) + " ms after the pinhole was opened, while it stood open for the server"
		default:
			return ms(at.Sub(h.ClosedAt)) + " ms after the pinhole was closed"
		}
	}
	return "unasked"
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
