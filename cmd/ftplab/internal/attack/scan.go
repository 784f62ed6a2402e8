package attack

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// allPorts is how many TCP ports a host has. There is no port 0.
const allPorts = 1<<16 - 1

// listening are the ports of the client where something listens while it is scanned.
var listening = []uint16{22, 3306, 8080}

// The scan sends from port 20, as an FTP server does. Nothing gets lost in the lab, so a
// probe need not be repeated; an answer is waited for many times as long as one takes.
// More probes under way at once than nmap can read answers for make it miss some, and so
// does --min-rate where the machine is busy.
const nmapOptions = "-n -Pn -sS -g 20 -p- -T5 --max-retries 0 --max-rtt-timeout 100ms --min-parallelism 2000 -oX -"

var scans = []row{
	{
		name: "scan by a stranger", about: "A third host outside scans every TCP port of the client with nmap, from source port 20.",
		attack: true,
		stage:  scanning,
		measure: func(ctx context.Context, c *column) (cell Cell, err error) {
			cell, c.scanned, err = c.scan(ctx, c.Outsider)
			return cell, err
		},
	},
	{
		name: "scan by the server", about: "The same scan from the server's address.",
		attack: true,
		stage:  scanning,
		measure: func(ctx context.Context, c *column) (cell Cell, err error) {
			cell, c.served, err = c.scan(ctx, c.Server)
			return cell, err
		},
	},
}

// listenOnClient makes some ports answer differently from the rest.
func (c *column) listenOnClient(ctx context.Context) (end func() error, err error) {
	var ends []func() error
	end = func() error {
		var errs []error
		for _, f := range ends {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for _, port := range listening {
		ln, err := c.Client.Listen(ctx, "tcp", netip.AddrPortFrom(c.Client.IPv4, port).String())
		if err != nil {
			return nil, errors.Join(err, end())
		}
		ends = append(ends, ln.Close)
	}
	return end, nil
}

// scan counts the ports of the client that answer: open or closed, the probe got through.
func (c *column) scan(ctx context.Context, from *lab.Host) (Cell, int, error) {
	args := append(strings.Fields(nmapOptions), c.Client.IPv4.String())
	out, err := from.Command(ctx, "nmap", args...).Output()
	if err != nil {
		return Cell{}, 0, fmt.Errorf("running nmap: %w", err)
	}
	states, err := readScan(out)
	if err != nil {
		return Cell{}, 0, err
	}
	reached := states["open"] + states["closed"]
	if reached == 0 {
		return Cell{Blocked, fmt.Sprintf("none of %d ports answered", allPorts)}, 0, nil
	}
	return Cell{Reached, fmt.Sprintf("%d of %d ports answered, %d of them open", reached, allPorts, states["open"])}, reached, nil
}

// readScan counts the ports by their states in what nmap -oX has written about one host.
func readScan(text []byte) (map[string]int, error) {
	var report struct {
		Ports []struct {
			State struct {
				State string `xml:"state,attr"`
			} `xml:"state"`
		} `xml:"host>ports>port"`
		More []struct { // not listed one by one
			State string `xml:"state,attr"`
			Count int    `xml:"count,attr"`
		} `xml:"host>ports>extraports"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading the report of nmap: %w", err)
	}
	states, sum := map[string]int{}, len(report.Ports)
	for _, p := range report.Ports {
		states[p.State.State]++
	}
	for _, m := range report.More {
		states[m.State] += m.Count
		sum += m.Count
	}
	if sum != allPorts {
		return nil, fmt.Errorf("nmap reports %d ports instead of %d", sum, allPorts)
	}
	return states, nil
}
