package story

import (
	"errors"
	"fmt"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// errDetour says that the detour has gone astray.
var errDetour = errors.New("the captures do not have two probes and their two answers")

func (t *teller) detour() (Step, error) {
	var probes []*packet
	for _, p := range t.packets {
		if p.tcp == nil {
			probes = append(probes, p)
		}
	}
	if len(probes) != 4 {
		return Step{}, errDetour
	}
	s := Step{
		Title: "The detour: how far is the server?",
		Text: []string{"Before anything else, two empty UDP datagrams go to ports of the server where nobody listens. " +
			"They show how far away it is: each router on the way takes one off a packet's time to live (TTL), " +
			"and does not forward a packet whose TTL is used up."},
		Packets: tabulate(probes, probes[0].first(), atClientTime),
	}
	for i, p := range probes {
		if p.dropped() || p.seen[atClient].Frame == nil {
			return Step{}, errDetour
		}
		sent, between, arrived, more := p.seen[atClient].ttl, p.seen[inside].ttl, p.seen[outside].ttl, ""
		if p.icmp != nil {
			sent, arrived = arrived, sent
			more = fmt.Sprintf(" It quotes the probe as the server got it: with TTL %d.", p.quotedTTL)
		}
		s.Text = append(s.Text, fmt.Sprintf("Packet %d: sent with TTL %d, %d between the routers, arrived with TTL %d.%s",
			i+1, sent, between, arrived, more))
	}
	s.Text = append(s.Text, "So there are two routers between client and server. The second of them is the firewall.")
	return s, nil
}

func atClientTime(p *packet) time.Time { return p.seen[atClient].Time }

func (t *teller) opening() (s Step, err error) {
	s.Title = "First actions: the greeting, and FEAT"
	s.Text = []string{
		"The client opens a TCP connection to port 21: SYN, SYN/ACK, ACK. This is the control connection. " +
			"Both ends speak in lines of text: the client gives commands, the server replies with a number of three digits and some words.",
		"The server greets with 220. The client asks what it can do beyond the standard (FEAT, RFC 2389). " +
			"The reply has several lines: it begins with \"211-\" and ends with \"211 \". What stands between is not a reply of its own, " +
			"whatever it looks like, and a firewall that reads along must know that.",
	}
	s.Packets, err = t.first.part("", "Request: AUTH TLS")
	return s, err
}

func (t *teller) login() (s Step, err error) {
	s.Title = "Login and set-up"
	s.Text = []string{
		"The client would like to encrypt (AUTH TLS). This server cannot and says 530. So the name and the password pass in clear text, " +
			"for everybody on the way to read; and so does every command, which is what lets a firewall follow them. " +
			"Had the server said 234, the rest would be hidden from it.",
		"Then the client prepares the download: binary mode (TYPE I), the file's size and date. " +
			"With PORT it announces where it will wait for the data, and with RETR it asks for the file.",
	}
	begin, err := t.first.find(0, "Request: AUTH TLS")
	if err != nil {
		return s, err
	}
	end, err := t.first.find(begin, "Request: RETR")
	if err != nil {
		return s, err
	}
	s.Packets = t.first.told[begin : end+1]
	return s, nil
}

func (t *teller) port() (s Step, err error) {
	s.Title = "The PORT command in depth"
	i, err := t.first.find(0, "Request: PORT")
	if err != nil {
		return s, err
	}
	p := t.first.packets[i]
	at, _ := p.announcement()
	s.Packets = t.first.told[i : i+1]
	t.Port = dissect(i+1, p)
	s.Text = []string{
		fmt.Sprintf("Packet %d, %d bytes on the wire: %v to %v, Seq %d, Ack %d, Len %d.",
			i+1, len(t.Port.Bytes), p.from, p.to, p.seq, p.ack, len(p.payload())),
		fmt.Sprintf("%q has six numbers of one byte each. The first four are the address, %v. The last two are the port: %d * 256 + %d = %d.",
			p.payload(), at.Addr(), at.Port()>>8, at.Port()&255, at.Port()),
		fmt.Sprintf("It means: \"Open a connection to me. I listen at %v.\" "+
			"Where the next connection will go stands in the text of this one, and in no header.", at),
	}
	return s, nil
}

func (t *teller) download() (s Step, err error) {
	s.Title = "The download"
	s.Text = []string{
		"Now the server calls the client: from its port 20 it opens the data connection to the announced port. " +
			"That is active mode. To the firewall, it is a connection from outside in.",
		fmt.Sprintf("150 says that the transfer begins. The file's %d bytes pass, and the server closes the data connection: "+
			"that is how the client learns that the file is complete. 226 ends the transfer on the control connection, which stays open.", len(lab.R1)),
	}
	s.Packets, err = t.first.part("Request: RETR", "Request: TYPE A")
	if err == nil {
		s.Packets = s.Packets[1:]
	}
	return s, err
}

func (t *teller) listing() (s Step, err error) {
	s.Title = "The listing, in ASCII"
	s.Text = []string{
		"A listing is a transfer like any other, with an announcement of its own, another port, and a data connection of its own. " +
			"The client asks for text (TYPE A), whose lines end with CR LF on the wire.",
		"With QUIT the client ends the session.",
	}
	s.Packets, err = t.first.part("Request: TYPE A", "")
	return s, err
}

func (t *teller) upload() (s Step, err error) {
	s.Title = "The upload, with ALLO"
	s.Packets, err = t.second.part("Request: PORT", "")
	if err != nil {
		return s, err
	}
	s.Text = []string{
		fmt.Sprintf("A second session, from the client's port %d. Its packets 1 to %d are the greeting and the login, as before.",
			t.second.client.Port(), s.Packets[0].No-1),
		"ALLO tells the server how much room the file will need. Servers of today do not care (202), " +
			"but a firewall must not be confused by a command between PORT and STOR.",
		"Again the server opens the data connection, from outside in, although the data flow the other way. " +
			"The client is the sender, so it is the one to close first.",
	}
	return s, nil
}
